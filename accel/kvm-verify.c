/*
 * kvm-verify.c - the translator against the host's CPU, block by block (-verify kvm)
 *
 * Before each block KVM gets the vCPU's state and executes the block's instructions one by one, in
 * a copy of the guest's RAM: a private mapping of the same memory file, so pages that KVM writes become its own.
 * Then the translator executes the block, and registers, vector state and those pages are compared; the
 * pages are dropped and the copy is the guest's RAM again. Each block begins from the translator's state.
 *
 * The guest's descriptor table for interrupts is empty in KVM: an instruction that faults ends in a
 * shutdown. Where the translator faults KVM must, too. What is not compared: blocks in which only KVM cannot go on, or
 * with an instruction that reaches a device, reads the time or a random number, transfers control through the IDT or
 * shows the trap flag that single-stepping sets (skips()); how an exception is delivered.
 */
#define _GNU_SOURCE 1
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>
#include "accel/bt-icount.h"
#include "accel/kvm-int.h"
#include "tcg/tcg-int.h"

#define PAGE 4096u
#define PAGES_MAX 256            /* that a block may write; more are not compared */
#define REP_MAX 100000           /* rounds of one string instruction */
#define INSN_BYTES 16

enum { F_SHOWN = EF_CF | EF_PF | EF_AF | EF_ZF | EF_SF | EF_OF | EF_DF | EF_IF | EF_AC | EF_NT };

/** struct kvm_verify - one machine's */
struct kvm_verify {
    struct bt *bt;
    uint8_t *copy;               /* of RAM: what KVM sees */
    uint64_t ram_bytes;
    uint32_t generation;         /* of the memory map that the slots follow */
    unsigned n_slots;
    struct kvm_slot slot[KVM_SLOTS];
    unsigned long *bitmap;       /* of the largest slot's pages */
    uint32_t page[PAGES_MAX];    /* written since: RAM pages */
    unsigned n_pages;
    bool too_many;
    bool stale;                  /* KVM has not executed everything that drops translations of addresses */
    /* the block under way */
    bool pending;                /* it is to be compared */
    struct tb tb;
    uint64_t pcbase, count;
    struct kvm_regs step[TRACE_INSNS + 1];   /* after so many instructions */
    unsigned steps;              /* that KVM completed */
    bool faulted;                /* at the next */
    bool rep;                    /* which is, or might be, a string instruction that is not complete */
    struct x86_state before, after, ours;
    uint64_t blocks, insns, skipped;
};

/* ---- memory ------------------------------------------------------------------------------- */

static void set_slot(struct kvm_verify *v, unsigned i, uint64_t len)
{
    const struct kvm_slot *s = &v->slot[i];
    struct kvm_userspace_memory_region r = {
        .slot = i, .guest_phys_addr = s->base, .memory_size = len, .userspace_addr = (uintptr_t)s->host,
        .flags = s->readonly ? KVM_MEM_READONLY : KVM_MEM_LOG_DIRTY_PAGES,
    };

    if (kvm_ioctl(v->bt->a->kvm->vm_fd, KVM_SET_USER_MEMORY_REGION, &r) < 0)
        v->slot[i].len = 0;
}

/* RAM by way of the copy, ROM as it is; what is neither comes out and ends the comparison. */
static bool slot_of(const struct kvm_verify *v, const struct mem_flat *f, struct kvm_slot *s)
{
    const struct mem_region *r = f->region;
    uint8_t *host = r->host + f->offset, *ram = v->bt->m->ram;
    bool is_ram = r->kind != MEM_MMIO && host >= ram && host < ram + v->ram_bytes;

    if (r->kind == MEM_MMIO || (!is_ram && r->kind == MEM_RAM) || f->base % PAGE || f->len % PAGE)
        return false;
    *s = (struct kvm_slot){ f->base, f->len, is_ram ? v->copy + (host - ram) : host, r->kind == MEM_ROM, NULL };
    return (uintptr_t)s->host % PAGE == 0;
}

/* Machine lock held. */
static void follow_map(struct kvm_verify *v)
{
    const struct mem_map *mm = &v->bt->m->mem;

    if (v->generation == mm->generation && v->n_slots)
        return;
    for (unsigned i = 0; i < v->n_slots; i++)
        if (v->slot[i].len)
            set_slot(v, i, 0);
    v->n_slots = 0;
    for (size_t i = 0; i < mm->n_flat && v->n_slots < v->bt->a->kvm->max_slots; i++)
        if (slot_of(v, &mm->flat[i], &v->slot[v->n_slots])) {
            set_slot(v, v->n_slots, v->slot[v->n_slots].len);
            v->n_slots++;
        }
    v->generation = mm->generation;
}

static void note_page(struct kvm_verify *v, const uint8_t *host)
{
    if (v->n_pages == PAGES_MAX) {
        v->too_many = true;
        madvise((void *)(uintptr_t)host, PAGE, MADV_DONTNEED);
        return;
    }
    v->page[v->n_pages++] = (uint32_t)((host - v->copy) / PAGE);
}

/* What KVM has written. */
static void find_pages(struct kvm_verify *v)
{
    v->n_pages = 0;
    v->too_many = false;
    for (unsigned i = 0; i < v->n_slots; i++) {
        const struct kvm_slot *s = &v->slot[i];
        struct kvm_dirty_log log = { .slot = i, .dirty_bitmap = v->bitmap };

        if (s->readonly || !s->len || kvm_ioctl(v->bt->a->kvm->vm_fd, KVM_GET_DIRTY_LOG, &log) < 0)
            continue;
        for (uint64_t w = 0; w < (s->len / PAGE + 63) / 64; w++)
            for (uint64_t bits = v->bitmap[w]; bits; bits &= bits - 1)
                note_page(v, s->host + (w * 64 + (unsigned)__builtin_ctzll(bits)) * PAGE);
    }
}

static void drop_pages(struct kvm_verify *v)
{
    for (unsigned i = 0; i < v->n_pages; i++)
        madvise(v->copy + (uint64_t)v->page[i] * PAGE, PAGE, MADV_DONTNEED);
    v->n_pages = 0;
}

/* ---- which instructions ------------------------------------------------------------------- */

static bool is_prefix(uint8_t b, bool long_mode)
{
    return b == 0x26 || b == 0x2e || b == 0x36 || b == 0x3e || (b >= 0x64 && b <= 0x67) || b == 0xf0 || b == 0xf2
           || b == 0xf3 || (long_mode && (b & 0xf0) == 0x40);
}

/* Two-byte opcodes: @b stands behind 0F. */
static bool skips_0f(const uint8_t *b, bool long_mode)
{
    unsigned reg = b[1] >> 3 & 7;

    switch (b[0]) {
    case 0x01:                       /* SGDT to INVLPG: only that, SMSW and LMSW */
        return b[1] >= 0xc0 ? (reg != 4 && reg != 6) : (reg != 4 && reg != 6 && reg != 7);
    case 0x05: case 0x07: case 0x34: case 0x35:          /* SYSCALL and the like: RFLAGS */
    case 0x21: case 0x22: case 0x23:                     /* debug registers; what KVM makes of CR0 and CR4 */
    case 0x30: case 0x31: case 0x32: case 0x33:          /* MSRs, RDTSC, RDPMC */
    case 0xa2:                                           /* CPUID */
    case 0xb2:                                           /* LSS: no trap behind it */
    case 0xae:                                           /* FXSAVE: pointers; XSAVE: components */
    case 0x08: case 0x09:                                /* INVD, WBINVD */
        return true;
    case 0xa0: case 0xa8:                                /* PUSH FS, GS */
        return !long_mode;
    case 0xc7:                                           /* RDRAND, RDSEED, RDPID; XSAVES */
        return reg != 1;
    default:
        return false;
    }
}

static bool skips(const uint8_t *code, unsigned len, bool long_mode)
{
    unsigned i = 0;

    while (i < len && is_prefix(code[i], long_mode))
        i++;
    switch (code[i]) {
    case 0x0f:
        return skips_0f(code + i + 1, long_mode);
    case 0x06: case 0x0e: case 0x16: case 0x1e:          /* PUSH of a selector may leave upper bytes alone */
    case 0x17:                                           /* POP SS */
    case 0x6c: case 0x6d: case 0x6e: case 0x6f: case 0xe4: case 0xe5: case 0xe6: case 0xe7:
    case 0xec: case 0xed: case 0xee: case 0xef:          /* ports */
    case 0x9a: case 0xea: case 0xca: case 0xcb:          /* far transfers: tasks, gates */
    case 0x9c: case 0x9d: case 0xcc: case 0xcd: case 0xce: case 0xcf: case 0xf1: /* RFLAGS, IDT */
    case 0xf4: case 0xfb:                                /* HLT, STI */
        return true;
    case 0x8e:
        return (code[i + 1] >> 3 & 7) == 2;              /* MOV SS: no trap behind it */
    case 0xff:
        return (code[i + 1] >> 3 & 7) == 3 || (code[i + 1] >> 3 & 7) == 5;
    case 0xd9: case 0xdd:                                /* FSTENV, FSAVE, FLDENV, FRSTOR: pointers */
        return code[i + 1] < 0xc0 && ((code[i + 1] >> 3 & 7) == 6 || (code[i + 1] >> 3 & 7) == 4);
    default:
        return false;
    }
}

static bool is_string(const uint8_t *code, unsigned len, bool long_mode)
{
    bool rep = false;
    unsigned i = 0;

    for (; i < len && is_prefix(code[i], long_mode); i++)
        rep |= code[i] == 0xf2 || code[i] == 0xf3;
    return rep && ((code[i] >= 0xa4 && code[i] <= 0xa7) || (code[i] >= 0xaa && code[i] <= 0xaf));
}

static bool in_long_mode(const struct x86_state *s)
{
    return (s->efer & EFER_LMA) && (s->seg[S_CS].attr & SEG_L);
}

/* ---- executing ------------------------------------------------------------------------------- */

/* One instruction of KVM's, in which nothing else happens. False: it did not end as one. */
static bool step(struct kvm_verify *v, struct kvm_cpu *k, bool string, struct kvm_regs *r)
{
    uint64_t pc = v->step[v->steps].rip;

    for (unsigned n = 0; n < REP_MAX; n++) {
        int ret;

        do {
            k->run->immediate_exit = 0;
            ret = kvm_ioctl(k->fd, KVM_RUN, NULL);
        } while (ret == -EINTR || ret == -EAGAIN);
        v->faulted = ret == 0 && k->run->exit_reason == KVM_EXIT_SHUTDOWN;
        if (ret < 0 || k->run->exit_reason != KVM_EXIT_DEBUG || kvm_ioctl(k->fd, KVM_GET_REGS, r) < 0)
            return false;
        if (!string || r->rip != pc)
            return true;
    }
    return false;
}

static bool single_step(const struct kvm_cpu *k)
{
    struct kvm_guest_debug d = { .control = KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_SINGLESTEP };

    return kvm_ioctl(k->fd, KVM_SET_GUEST_DEBUG, &d) == 0;
}

/* Another CR3 for a moment: KVM forgets its translations of addresses. */
static void flush(struct kvm_verify *v, struct kvm_cpu *k)
{
    struct err e = { "" };

    v->after.cr3 ^= PAGE;
    if (kvm_put_state(k->c, &v->after, &e) == 0)
        v->stale = false;
    v->after.cr3 ^= PAGE;
}

/* KVM in the vCPU's state, without interrupts and handlers. */
static bool put_state(struct kvm_verify *v, struct kvm_cpu *k)
{
    struct err e = { "" };

    x86_state_get(k->c->cpu, &v->before);
    v->after = v->before;
    v->after.idt.limit = 0;
    v->after.idt.base = 0;
    v->after.rflags &= ~(uint64_t)EF_TF;
    v->after.irq_pending = v->after.nmi_pending = v->after.exc_pending = v->after.shadow = v->after.shadow_ss = false;
    v->after.mp = MP_RUNNING;
    v->after.dr[7] = 0x400;
    if (v->stale)
        flush(v, k);
    if (kvm_put_state(k->c, &v->after, &e) < 0) {
        log_ev(LOG_UNIMP, "-verify kvm: %s", e.msg);
        return false;
    }
    return single_step(k) && kvm_ioctl(k->fd, KVM_GET_REGS, &v->step[0]) == 0;
}

static bool wanted(const struct x86_cpu *cpu, const struct tb *tb)
{
    return tb->insn_len && tb->n_insns <= TRACE_INSNS && !cpu->in_smm
           && !(x86_get_eflags(cpu) & (EF_TF | EF_VM)) && !(cpu->dr[7] & 0xff);
}

/* KVM executes @tb, up to where it cannot go on. */
static bool execute(struct kvm_verify *v, struct tcg_cpu *tc, const struct tb *tb)
{
    struct kvm_cpu *k = &v->bt->a->kvm->cpus[0];
    uint64_t lin = tc->pcbase + tb->off + (tb->flat ? 0 : tb->cs_base);
    bool long_mode = in_long_mode(&v->before), string;
    uint8_t code[INSN_BYTES];

    for (v->steps = 0; v->steps < tb->n_insns; v->steps++) {
        unsigned len = tb->insn_len[v->steps];

        memset(code, 0, sizeof code);
        if (len >= INSN_BYTES || tcg_fetch(tc, lin, code, len, false) != len)
            return false;
        string = is_string(code, len, long_mode);
        if (skips(code, len, long_mode) || !step(v, k, string, &v->step[v->steps + 1])) {
            v->rep = string;
            return v->faulted;
        }
        lin += len;
        /* a fault that was delivered after all, or nothing has happened */
        if (v->steps + 1u < tb->n_insns && (v->step[v->steps + 1].rip ^ (v->step[v->steps].rip + len)) & 0xffff) {
            v->faulted = true;
            return true;
        }
    }
    return true;
}

void kvm_verify_before_block(void *opaque, struct tcg_cpu *tc, const struct tb *tb)
{
    struct kvm_verify *v = opaque;
    struct machine *m = v->bt->m;

    kvm_verify_look(v, tc);
    machine_lock(m);
    follow_map(v);
    machine_unlock(m);
    v->faulted = v->rep = false;
    v->tb = *tb;
    v->pcbase = tc->pcbase;
    v->count = tcg_count(tc);
    v->pending = wanted(X86(tc), tb) && m->mem.a20_mask == ~0ull
                 && put_state(v, &v->bt->a->kvm->cpus[0]) && execute(v, tc, tb);
    find_pages(v);
    if (v->pending && !v->too_many)
        return;
    v->pending = false;
    v->stale = true;
    v->skipped++;
    drop_pages(v);
}

/* ---- comparing --------------------------------------------------------------------------------- */

/* General registers, RIP and flags as x86_get_core() has them, of KVM. */
static void core_of(const struct kvm_verify *v, const struct kvm_regs *r, uint64_t w[X86_CORE_WORDS])
{
    const uint64_t regs[16] = { r->rax, r->rcx, r->rdx, r->rbx, r->rsp, r->rbp, r->rsi, r->rdi,
                                r->r8, r->r9, r->r10, r->r11, r->r12, r->r13, r->r14, r->r15 };

    memcpy(w, regs, sizeof regs);
    w[16] = r->rip;
    w[17] = r->rflags;
}

static bool same_core(const struct kvm_verify *v, const struct kvm_regs *r, struct tcg_cpu *tc)
{
    uint64_t flags = F_SHOWN & ~(uint64_t)x86_fl_to_eflags(v->tb.undefined_fl);
    uint64_t mask = in_long_mode(&v->before) ? ~0ull : 0xffffffff, a[X86_CORE_WORDS], b[X86_CORE_WORDS];

    x86_get_core(X86(tc), a);
    core_of(v, r, b);
    for (unsigned i = 0; i < 17; i++)
        if ((a[i] ^ b[i]) & mask)
            return false;
    return !((a[17] ^ b[17]) & flags);
}

/* Parts of the XSAVE area that programs see, but for the x87 pointers; SDM vol. 1, 13.4 */
static const struct { uint16_t at, len; uint8_t component; const char *name; } parts[] = {
    { 0, 6, 0, "x87 control" }, { 24, 4, 1, "mxcsr" }, { 32, 128, 0, "st" }, { 160, 256, 1, "xmm" },
    { 576, 256, 2, "ymmh" }, { 1088, 64, 5, "k" }, { 1152, 512, 6, "zmmh" }, { 1664, 1024, 7, "zmm16+" },
};

/* A component that the header does not name is in its initial state. */
static void get_part(const struct x86_state *s, unsigned n, uint8_t *out)
{
    memset(out, 0, parts[n].len);
    if (parts[n].at == 24 || ldl64(s->xsave + 512) >> parts[n].component & 1)
        memcpy(out, s->xsave + parts[n].at, parts[n].len);
    else if (parts[n].at == 0)
        stl16(out, 0x37f);
}

/* What differs, or NULL. */
static const char *other_vectors(const struct x86_state *a, const struct x86_state *b)
{
    uint8_t x[1024], y[1024];

    for (unsigned i = 0; i < ARRAY_SIZE(parts); i++) {
        if (!(a->xcr0 >> parts[i].component & 1))
            continue;
        get_part(a, i, x);
        get_part(b, i, y);
        if (memcmp(x, y, parts[i].len))
            return parts[i].name;
    }
    return NULL;
}

static const char *other_system(const struct x86_state *a, const struct x86_state *b)
{
    static const char *const names[S_COUNT] = { [S_ES] = "es", [S_CS] = "cs", [S_SS] = "ss", [S_DS] = "ds",
                                                [S_FS] = "fs", [S_GS] = "gs" };
    const uint64_t et = 0x10;            /* CR0.ET is always 1 */

    for (unsigned i = 0; i < S_COUNT; i++)
        if (a->seg[i].sel != b->seg[i].sel || ((a->seg[i].attr & SEG_P) && a->seg[i].base != b->seg[i].base))
            return names[i];
    if ((a->cr0 ^ b->cr0) & ~et)
        return "cr0";
    if (a->cr3 != b->cr3)
        return "cr3";
    return a->cr4 != b->cr4 ? "cr4" : a->efer != b->efer ? "efer" : NULL;
}

/* Returns what is not as KVM has it after all of the block, or NULL. */
static const char *other_state(struct kvm_verify *v)
{
    struct accel_cpu *c = &v->bt->cpus[0].ac;
    struct err e = { "" };
    const char *what;

    if (!v->tb.has_vectors)
        return NULL;
    x86_state_get(c->cpu, &v->ours);
    if (kvm_get_state(c, &v->after, &e) < 0)
        return NULL;
    what = other_system(&v->ours, &v->after);
    return what ? what : other_vectors(&v->ours, &v->after);
}

static const char *other_memory(const struct kvm_verify *v)
{
    for (unsigned i = 0; i < v->n_pages; i++) {
        uint64_t at = (uint64_t)v->page[i] * PAGE;

        if (memcmp(v->copy + at, v->bt->m->ram + at, PAGE))
            return "memory";
    }
    return NULL;
}

/* ---- telling ------------------------------------------------------------------------------------- */

static void tell_core(const struct kvm_verify *v, unsigned n, struct tcg_cpu *tc)
{
    uint64_t a[X86_CORE_WORDS], b[X86_CORE_WORDS];
    char name[32];

    x86_get_core(X86(tc), a);
    core_of(v, &v->step[n], b);
    fprintf(stderr, "%-14s %18s %18s\n", "", "host code", "kvm");
    for (unsigned i = 0; i < 18; i++) {
        x86_word_name(i, name, sizeof name);
        fprintf(stderr, "%-14s %#18llx %#18llx%s\n", name, (unsigned long long)a[i], (unsigned long long)b[i],
                a[i] == b[i] ? "" : "  <--");
    }
}

static void tell_memory(const struct kvm_verify *v)
{
    for (unsigned i = 0; i < v->n_pages; i++)
        for (unsigned k = 0; k < PAGE; k += 8) {
            uint64_t at = (uint64_t)v->page[i] * PAGE + k, a = ldl64(v->bt->m->ram + at), b = ldl64(v->copy + at);

            if (a != b)
                fprintf(stderr, "%#-14llx %#18llx %#18llx  <--\n", (unsigned long long)at, (unsigned long long)a,
                        (unsigned long long)b);
        }
}

/* Ends the process. */
static void differs(struct kvm_verify *v, struct tcg_cpu *tc, unsigned n, const char *what)
{
    fprintf(stderr, "transom: -verify: difference behind the block at %#llx, after %llu instructions and %llu blocks: %s\n",
            (unsigned long long)(v->pcbase + v->tb.off), (unsigned long long)tcg_count(tc),
            (unsigned long long)v->blocks, what);
    tell_core(v, n, tc);
    tell_memory(v);
    tcg_list_block(tc, &v->tb, v->pcbase);
    tcg_list_host_code(&v->tb, stderr);
    fflush(stderr);
    _exit(1);
}

void kvm_verify_look(struct kvm_verify *v, struct tcg_cpu *tc)
{
    uint64_t n = tcg_count(tc) - v->count;
    bool fault = tc->exception && tc->exception != TCG_EXC_RESTART;
    const char *what = NULL;

    if (!v->pending)
        return;
    v->pending = false;
    /* a part of the block: each engine has its own; KVM could not go on, a KVM in software now and then
     * without a reason; in real mode it finds handlers all the same */
    if (v->rep || (n < v->steps && !fault) || n > v->steps || (fault && !(v->before.cr0 & CR0_PE))) {
        v->skipped++;
    } else {
        if (n < v->steps)
            what = "KVM has no fault";
        else if (!same_core(v, &v->step[n], tc))
            what = "registers";
        else if (!v->faulted && !(what = other_state(v)))
            what = other_memory(v);     /* a KVM in software has written half an operand when the other half faults */
        if (what)
            differs(v, tc, (unsigned)MIN(n, (uint64_t)v->steps), what);
        v->blocks++;
        v->insns += n;
    }
    drop_pages(v);
}

/* ---- life ---------------------------------------------------------------------------------------- */

struct kvm_verify *kvm_verify_new(struct bt *bt, struct err *e)
{
    struct kvm_verify *v = xzalloc(sizeof *v);

    v->bt = bt;
    v->ram_bytes = bt->m->cfg.ram_bytes;
    v->bitmap = xmalloc(align_up(v->ram_bytes / PAGE / 8 + 8, 8));
    v->copy = mmap(NULL, v->ram_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_NORESERVE, bt->m->ram_fd, 0);
    if (v->copy != MAP_FAILED)
        return v;
    err_set(e, -errno, "-verify kvm: %s", strerror(errno));
    free(v->bitmap);
    free(v);
    return NULL;
}

void kvm_verify_free(struct kvm_verify *v)
{
    if (!v)
        return;
    fprintf(stderr, "transom: -verify: no difference in %llu blocks, %llu instructions (%llu blocks not compared)\n",
            (unsigned long long)v->blocks, (unsigned long long)v->insns, (unsigned long long)v->skipped);
    munmap(v->copy, v->ram_bytes);
    free(v->bitmap);
    free(v);
}
