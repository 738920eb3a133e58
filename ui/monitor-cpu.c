/*
 * monitor-cpu.c - the monitor's view of vCPUs: registers, expressions, page tables
 */
#define _GNU_SOURCE 1
#include <stdlib.h>
#include "ui/monitor-int.h"
#include "ui/run-int.h"

/* ---- a look at a vCPU ---------------------------------------------------------------- */

static struct x86_cpu *cpu_at(struct run *r, unsigned n)
{
    return accel_cpu(r->accel, n < r->m->n_vcpus ? n : 0);
}

/*
 * The vCPU may need the machine lock to come to a stand, so it gets it for that
 * long: this is a callback of the loop, which took the lock once. If somebody
 * took it again, hold() gives up and the values are a little old.
 */
struct x86_cpu *run_hold_cpu(struct run *r, unsigned n)
{
    machine_unlock(r->m);
    accel_hold(r->accel);
    machine_lock(r->m);
    return cpu_at(r, n);
}

void run_release_cpu(struct run *r)
{
    accel_release(r->accel);
}

static void show_registers(void *opaque, FILE *f)
{
    x86_log_cpu(opaque, f);
}

void run_hook_registers(void *opaque, struct monitor *mon, bool all)
{
    unsigned one = monitor_cpu(mon);
    struct run *r = opaque;

    run_hold_cpu(r, one);
    for (unsigned n = all ? 0 : one; n < (all ? r->m->n_vcpus : one + 1); n++) {
        monitor_printf(mon, "\nCPU#%u\n" + (n == 0), n);
        monitor_print_stream(mon, show_registers, &cpu_at(r, n)->tcg);
    }
    run_release_cpu(r);
}

bool run_hook_translate(void *opaque, unsigned cpu, gva_t va, gpa_t *pa)
{
    bool ok = x86_debug_walk(run_hold_cpu(opaque, cpu), va, pa);

    run_release_cpu(opaque);
    return ok;
}

unsigned run_hook_list(void *opaque, unsigned cpu, uint64_t addr, const uint8_t *code, unsigned n, char *buf,
                       size_t size)
{
    struct run *r = opaque;
    unsigned bits = 16u << (run_hold_cpu(r, cpu)->mode & MODE_CODE_MASK), len = 0;
    uint64_t start = 0;
    const char *name = guest_symbols_find(r->opt->symbols, addr, &start);
    FILE *f = fmemopen(buf, size, "w");

    run_release_cpu(r);
    if (!f)
        return 0;
    fputs("  ", f);
    len = tcg_disas_one(f, code, n, addr, bits);
    if (name)
        fprintf(f, "  <%s+%#llx>", name, (unsigned long long)(addr - start));
    fclose(f);
    buf[size - 1] = 0;
    return len;
}

static int retranslate(struct run *r, const void *arg, struct err *e)
{
    accel_retranslate(r->accel);
    return 0;
}

/* What is executed was translated for what was logged before. */
const char *run_hook_log_changed(void *opaque)
{
    struct run *r = opaque;
    struct err e = { "" };

    if (run_while_held(r, retranslate, NULL, &e) < 0)
        return "the vCPUs do not stand still: only what is translated from now on is logged so";
    if (accel_log_wants(log_mask) && strcmp(accel_name(r->accel), "tcg"))
        return "KVM tells nothing of what the CPU does; \"accel tcg\" moves the guest to the translator, which does";
    return NULL;
}

static bool find_reg(const struct x86_cpu *cpu, const char *name, uint64_t *val)
{
    static const char *const names[16] = { "rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi",
                                           "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15" };
    static const char *const seg[S_COUNT] = { "es", "cs", "ss", "ds", "fs", "gs" };
    const struct { const char *name; uint64_t val; } others[] = {
        { "rip", cpu->tcg.pc }, { "pc", cpu->tcg.pc }, { "cr0", cpu->cr0 }, { "cr2", cpu->cr2 },
        { "cr3", cpu->cr3 }, { "cr4", cpu->cr4 }, { "efer", cpu->efer },
        { "eip", (uint32_t)cpu->tcg.pc }, { "eflags", x86_get_eflags(cpu) },
    };

    for (unsigned i = 0; i < 16; i++) {
        bool low = i < 8 && name[0] == 'e' && !strcmp(name + 1, names[i] + 1);

        if (low || !strcmp(name, names[i])) {
            *val = low ? (uint32_t)GPR(cpu, i) : GPR(cpu, i);
            return true;
        }
    }
    for (unsigned i = 0; i < S_COUNT; i++)
        if (!strcmp(name, seg[i])) {
            *val = cpu->seg[i].sel;
            return true;
        }
    for (unsigned i = 0; i < ARRAY_SIZE(others); i++)
        if (!strcmp(name, others[i].name)) {
            *val = others[i].val;
            return true;
        }
    return false;
}

bool run_hook_reg(void *opaque, unsigned cpu, const char *name, uint64_t *val)
{
    bool ok = find_reg(run_hold_cpu(opaque, cpu), name, val);

    run_release_cpu(opaque);
    return ok;
}

static struct run *run_of(struct monitor *mon)
{
    return monitor_hooks(mon)->opaque;
}

/* ---- info cpus, jit, kvm -------------------------------------------------------------------- */

static void info_cpus(struct monitor *mon, char *rest)
{
    struct run *r = run_of(mon);

    run_hold_cpu(r, 0);
    for (unsigned n = 0; n < r->m->n_vcpus; n++) {
        const struct x86_cpu *cpu = cpu_at(r, n);

        monitor_printf(mon, "%c CPU #%u: pc=0x%016llx%s thread_id=%d\n", n == monitor_cpu(mon) ? '*' : ' ',
                       n, (unsigned long long)(cpu->seg[S_CS].base + cpu->tcg.pc),
                       cpu->halted ? " (halted)" : "", r->m->vcpus[n]->thread_id);
    }
    run_release_cpu(r);
}

static void show_jit(void *opaque, FILE *f)
{
    struct run *r = opaque;

    accel_info(r->accel, f);
}

static void info_jit(struct monitor *mon, char *rest)
{
    monitor_print_stream(mon, show_jit, run_of(mon));
}

/* "info profile [TOP [DISAS]]" */
static void info_profile(struct monitor *mon, char *rest)
{
    unsigned top = 20, disas = 0;
    char *text = NULL;
    bool counted;
    size_t len;
    FILE *f;

    if (*rest && sscanf(rest, "%u %u", &top, &disas) < 1) {
        monitor_printf(mon, "info profile: how many blocks, how many of them with their code?\n");
        return;
    }
    f = open_memstream(&text, &len);
    if (!f)
        return;
    counted = accel_profile(run_of(mon)->accel, f, top, disas);
    fclose(f);
    if (counted)
        monitor_printf(mon, "%s", text);
    else
        monitor_printf(mon, "nothing is counted without -accel tcg,profile=on\n");
    free(text);
}

static void cmd_profile_restart(struct monitor *mon, char *rest)
{
    if (!accel_profile_restart(run_of(mon)->accel))
        monitor_printf(mon, "nothing is counted without -accel tcg,profile=on\n");
}

static void info_kvm(struct monitor *mon, char *rest)
{
    bool on = !strcmp(accel_name(run_of(mon)->accel), "kvm");

    monitor_printf(mon, "kvm support: %s\n", on ? "enabled" : "disabled");
}

/* ---- page tables -------------------------------------------------------------------------------- */

enum { P = 1 << 0, RW = 1 << 1, US = 1 << 2, PWT = 1 << 3, PCD = 1 << 4, A = 1 << 5, D = 1 << 6,
       PS = 1 << 7, G = 1 << 8 };
#define NX      BIT(63)
#define PTE_ADDR 0x000ffffffffff000ull

#define ENTRIES_MAX (1u << 22)   /* a guest's tables may refer to themselves */
#define LINES_MAX   (1u << 14)

/** struct walk - through all page tables of a vCPU, lowest address first */
struct walk {
    struct monitor *mon;
    struct mem_map *mem;
    unsigned levels, entry_bytes;
    bool pse;                    /* large pages in 32-bit tables */
    uint64_t a20;
    unsigned entries, lines;     /* seen, printed */
    /* "info tlb": one page; "info mem": its rights, US | RW | P, to be joined */
    void (*page)(struct walk *w, uint64_t va, uint64_t len, uint64_t pte, unsigned rights);
    uint64_t start, end;         /* "info mem": the run so far, and its rights */
    unsigned rights;
};

static bool exhausted(const struct walk *w)
{
    return w->entries > ENTRIES_MAX || w->lines > LINES_MAX;
}

static unsigned index_bits(const struct walk *w, unsigned level)
{
    return w->entry_bytes == 4 ? 10 : w->levels == 3 && level == 3 ? 2 : 9;
}

static unsigned level_shift(const struct walk *w, unsigned level)
{
    return 12 + (level - 1) * (w->entry_bytes == 4 ? 10 : 9);
}

static uint64_t canonical(const struct walk *w, uint64_t va)
{
    unsigned top = level_shift(w, w->levels) + index_bits(w, w->levels);

    return w->levels > 3 ? (uint64_t)((int64_t)(va << (64 - top)) >> (64 - top)) : va;
}

static bool is_page(const struct walk *w, unsigned level, uint64_t pte)
{
    return level == 1 || ((pte & PS) && (w->entry_bytes == 8 ? level <= 3 - (w->levels == 3) : w->pse));
}

/* @rights: of the levels above */
static void walk_table(struct walk *w, unsigned level, gpa_t table, uint64_t va, unsigned rights)
{
    unsigned shift = level_shift(w, level);

    for (uint64_t i = 0; i < BIT(index_bits(w, level)) && !exhausted(w); i++) {
        uint64_t pte = 0, at = va + (i << shift);
        unsigned now;

        w->entries++;
        mem_read(w->mem, (table + i * w->entry_bytes) & w->a20, &pte, w->entry_bytes);
        /* PAE's first level has neither RW nor US */
        now = w->levels == 3 && level == 3 ? (unsigned)(pte & P) | RW | US : (unsigned)pte;
        now &= rights;
        if (is_page(w, level, pte) || !(pte & P))
            w->page(w, canonical(w, at), BIT(shift), pte, pte & P ? now : 0);
        else
            walk_table(w, level - 1, pte & (w->entry_bytes == 4 ? 0xfffff000u : PTE_ADDR), at, now);
    }
}

static bool walk_all(struct walk *w, struct monitor *mon)
{
    struct run *r = run_of(mon);
    const struct x86_cpu *cpu = run_hold_cpu(r, monitor_cpu(mon));
    bool lma = cpu->efer & EFER_LMA, paging = cpu->cr0 & (1u << 31);
    gpa_t root;

    w->mon = mon;
    w->mem = &r->m->mem;
    w->a20 = r->m->mem.a20_mask;
    w->pse = cpu->cr4 & CR4_PSE;
    w->levels = lma ? (cpu->cr4 & CR4_LA57 ? 5 : 4) : cpu->cr4 & CR4_PAE ? 3 : 2;
    w->entry_bytes = w->levels == 2 ? 4 : 8;
    root = cpu->cr3 & (lma ? PTE_ADDR : w->levels == 3 ? 0xffffffe0u : 0xfffff000u);
    if (paging)
        walk_table(w, w->levels, root, 0, P | RW | US);
    else
        monitor_printf(mon, "PG disabled\n");
    run_release_cpu(r);
    return paging;
}

static void say_exhausted(const struct walk *w)
{
    if (exhausted(w))
        monitor_printf(w->mon, "(there is more: given up after %u entries)\n", w->entries);
}

/* Physical address of a page of @len bytes; 4 MiB pages have bits 39:32 in 20:13. */
static uint64_t page_address(const struct walk *w, uint64_t len, uint64_t pte)
{
    uint64_t high = w->entry_bytes == 4 && len > 4096 ? bits(pte, 13, 8) << 32 : 0;

    return (pte & PTE_ADDR & ~(len - 1)) | high;
}

static void tlb_page(struct walk *w, uint64_t va, uint64_t len, uint64_t pte, unsigned rights)
{
    static const struct { uint64_t bit; char letter; } flags[] = {
        { NX, 'X' }, { G, 'G' }, { 0, 'P' }, { D, 'D' }, { A, 'A' }, { PCD, 'C' }, { PWT, 'T' },
        { US, 'U' }, { RW, 'W' },
    };
    char text[ARRAY_SIZE(flags) + 1] = "";

    if (!(pte & P))
        return;
    for (size_t i = 0; i < ARRAY_SIZE(flags); i++) {
        bool set = flags[i].bit ? pte & flags[i].bit : len > 4096;

        text[i] = set ? flags[i].letter : '-';
    }
    monitor_printf(w->mon, "%016llx: %016llx %s\n", (unsigned long long)va,
                   (unsigned long long)page_address(w, len, pte), text);
    w->lines++;
}

static void info_tlb(struct monitor *mon, char *rest)
{
    struct walk w = { .page = tlb_page };

    walk_all(&w, mon);
    say_exhausted(&w);
}

static void mem_line(struct walk *w)
{
    if (!w->rights)
        return;
    monitor_printf(w->mon, "%016llx-%016llx %016llx %cr%c\n", (unsigned long long)w->start,
                   (unsigned long long)w->end, (unsigned long long)(w->end - w->start),
                   w->rights & US ? 'u' : '-', w->rights & RW ? 'w' : '-');
    w->lines++;
}

static void mem_page(struct walk *w, uint64_t va, uint64_t len, uint64_t pte, unsigned rights)
{
    if (rights != w->rights || va != w->end) {
        mem_line(w);
        w->start = va;
        w->rights = rights;
    }
    w->end = va + len;
}

static void info_mem(struct monitor *mon, char *rest)
{
    struct walk w = { .page = mem_page };

    if (walk_all(&w, mon))
        mem_line(&w);
    say_exhausted(&w);
}

const struct monitor_cmd vcpu_commands[] = {
    { "profile-restart", "", "info profile leaves out all that has been so far", cmd_profile_restart },
    { NULL, NULL, NULL, NULL }
};

const struct monitor_cmd cpu_infos[] = {
    { "accel", "", "what runs the vCPUs, and why", info_jit },
    { "cpus", "", "vCPUs and where they are", info_cpus },
    { "jit", "", "accelerator and its statistics", info_jit },
    { "profile", "[TOP [DISAS]]", "where the time goes: TOP hottest blocks, DISAS of them with code", info_profile },
    { "kvm", "", "whether KVM is used", info_kvm },
    { "tlb", "", "virtual pages, one a line", info_tlb },
    { "mem", "", "virtual memory with its rights", info_mem },
    { NULL, NULL, NULL, NULL }
};
