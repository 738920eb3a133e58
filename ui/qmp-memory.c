/*
 * qmp-memory.c - guest memory into files: bytes as they are, or a core that debuggers read
 *
 * A dump is written while all vCPUs stand still, and while nothing else is served: programs that ask for
 * it in the background ("detach") get its end as an event all the same. It is an ELF core of 64 bits,
 * whatever mode the vCPUs are in, with the machine's RAM at its physical addresses and a
 * note of registers for each vCPU.
 *
 * Source: System V ABI, gABI ch. 5 "Program Header"; AMD64 supplement; NT_PRSTATUS as gdb reads it:
 * offsets below.
 */
#define _GNU_SOURCE 1
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include "ui/commands-int.h"
#include <elf.h>   /* its PF_* are macros: behind x86.h, whose PF_* are of another kind */

#define SAVE_CHUNK  65536u
#define WRITE_CHUNK (16 * MiB)

/* All of it, or -errno. */
static int write_whole(int fd, const void *p, uint64_t n)
{
    const uint8_t *at = p;

    while (n) {
        ssize_t done = write(fd, at, MIN(n, WRITE_CHUNK));

        if (done < 0 && errno != EINTR)
            return -errno;
        at += MAX(done, 0);
        n -= (uint64_t)MAX(done, 0);
    }
    return 0;
}

/* ---- bytes --------------------------------------------------------------------------------- */

/* @len bytes at @addr, virtual addresses of vCPU @cpu unless @physical. */
static int save(struct call *c, int fd, uint64_t addr, uint64_t len, bool physical, unsigned cpu,
                struct err *e)
{
    uint8_t *buf = xmalloc(SAVE_CHUNK);
    int ret = 0;

    while (len && ret == 0) {
        uint64_t n = MIN(len, SAVE_CHUNK - (addr & (SAVE_CHUNK - 1)));
        gpa_t pa = addr;

        if (!physical) {
            n = MIN(n, 4096 - (addr & 4095));
            if (!c->hooks->translate(c->hooks->opaque, cpu, addr, &pa))
                ret = err_set(e, -EFAULT, "Invalid addr 0x%016llx: not mapped", (unsigned long long)addr);
        }
        if (ret == 0) {
            mem_read(&c->m->mem, pa, buf, n);
            ret = write_whole(fd, buf, n);
            if (ret < 0)
                err_set(e, ret, "%s", strerror(-ret));
        }
        addr += n;
        len -= n;
    }
    free(buf);
    return ret;
}

/* What could not be written shows at the end on some file systems. */
static int close_written(int fd, int ret, struct err *e)
{
    return close(fd) < 0 && ret == 0 ? err_set(e, -errno, "%s", strerror(errno)) : ret;
}

static int save_command(struct call *c, bool physical, struct err *e)
{
    const char *path = jv_text(c->args, "filename");
    int64_t len = jv_number(c->args, "size", 0), cpu = jv_number(c->args, "cpu-index", 0);
    int fd, ret;

    if (len < 0 || (uint64_t)len > c->m->cfg.ram_bytes)
        return err_set(e, -EINVAL, "size: more than the machine has");
    if (cpu < 0 || cpu >= (int64_t)c->m->n_vcpus || !c->hooks->translate)
        return err_set(e, -EINVAL, "there is no vCPU %lld", (long long)cpu);
    fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (fd < 0)
        return err_set(e, -errno, "Could not open '%.200s': %s", path, strerror(errno));
    ret = save(c, fd, (uint64_t)jv_number(c->args, "val", 0), (uint64_t)len, physical, (unsigned)cpu, e);
    return close_written(fd, ret, e);
}

static int cmd_memsave(struct call *c, struct err *e)
{
    return save_command(c, false, e);
}

static int cmd_pmemsave(struct call *c, struct err *e)
{
    return save_command(c, true, e);
}

/* ---- dumps --------------------------------------------------------------------------------- */

enum { STATUS_BYTES = 336, STATUS_PID = 32, STATUS_REGS = 112, NOTE_ALIGN = 4 };
#define NOTE_NAME "CORE"

/* What is asked for: RAM in [begin, end); its two pieces, below and above 4 GiB. */
struct dump {
    int fd;
    uint64_t begin, end;
    struct { gpa_t at; const uint8_t *host; uint64_t len; } piece[2];
    unsigned n;
};

static void add_piece(struct dump *d, const struct mem_region *r)
{
    uint64_t from = MAX(d->begin, r->base), to = MIN(d->end, r->base + r->len);

    if (from >= to)
        return;
    d->piece[d->n].at = from;
    d->piece[d->n].host = r->host + (from - r->base);
    d->piece[d->n++].len = to - from;
}

static uint64_t total_bytes(const struct dump *d)
{
    uint64_t sum = 0;

    for (unsigned i = 0; i < d->n; i++)
        sum += d->piece[i].len;
    return sum;
}

struct note {
    Elf64_Nhdr head;
    char name[8];
    uint8_t status[STATUS_BYTES];
};

static void fill_note(struct note *n, const struct x86_cpu *cpu)
{
    const uint64_t regs[] = {
        GPR(cpu, G_R15), GPR(cpu, G_R14), GPR(cpu, G_R13), GPR(cpu, G_R12), GPR(cpu, G_RBP), GPR(cpu, G_RBX),
        GPR(cpu, G_R11), GPR(cpu, G_R10), GPR(cpu, G_R9), GPR(cpu, G_R8), GPR(cpu, G_RAX), GPR(cpu, G_RCX),
        GPR(cpu, G_RDX), GPR(cpu, G_RSI), GPR(cpu, G_RDI), UINT64_MAX /* no system call */, cpu->tcg.pc,
        cpu->seg[S_CS].sel, x86_get_eflags(cpu), GPR(cpu, G_RSP), cpu->seg[S_SS].sel, cpu->seg[S_FS].base,
        cpu->seg[S_GS].base, cpu->seg[S_DS].sel, cpu->seg[S_ES].sel, cpu->seg[S_FS].sel, cpu->seg[S_GS].sel,
    };

    memset(n, 0, sizeof *n);
    n->head = (Elf64_Nhdr){ .n_namesz = sizeof NOTE_NAME, .n_descsz = STATUS_BYTES, .n_type = NT_PRSTATUS };
    memcpy(n->name, NOTE_NAME, sizeof NOTE_NAME);
    stl32(n->status + STATUS_PID, cpu->index + 1);
    for (size_t i = 0; i < ARRAY_SIZE(regs); i++)
        stl64(n->status + STATUS_REGS + 8 * i, regs[i]);
}

/* Header, program headers, notes: what comes before the memory. */
static int write_heads(struct run *r, const struct dump *d)
{
    uint64_t notes = sizeof(Elf64_Ehdr) + (d->n + 1) * sizeof(Elf64_Phdr);
    uint64_t note_bytes = r->m->n_vcpus * sizeof(struct note), at = align_up(notes + note_bytes, 4096);
    Elf64_Ehdr h = { .e_ident = { ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB, EV_CURRENT },
                     .e_type = ET_CORE, .e_machine = EM_X86_64, .e_version = EV_CURRENT, .e_phoff = sizeof h,
                     .e_ehsize = sizeof h, .e_phentsize = sizeof(Elf64_Phdr), .e_phnum = (uint16_t)(d->n + 1) };
    uint8_t *buf = xzalloc(at);
    Elf64_Phdr *p = (Elf64_Phdr *)(buf + sizeof h);
    int ret;

    memcpy(buf, &h, sizeof h);
    *p++ = (Elf64_Phdr){ .p_type = PT_NOTE, .p_offset = notes, .p_filesz = note_bytes, .p_align = NOTE_ALIGN };
    for (unsigned i = 0, n = 0; n < r->m->n_vcpus; n++, i += sizeof(struct note)) {
        struct note note;

        fill_note(&note, accel_cpu(r->accel, n));
        memcpy(buf + notes + i, &note, sizeof note);
    }
    for (uint64_t i = 0, off = at; i < d->n; off += d->piece[i++].len)
        *p++ = (Elf64_Phdr){ .p_type = PT_LOAD, .p_flags = PF_R | PF_W | PF_X, .p_offset = off, .p_paddr = d->piece[i].at,
                             .p_filesz = d->piece[i].len, .p_memsz = d->piece[i].len };
    ret = write_whole(d->fd, buf, at);
    free(buf);
    return ret;
}

/* The vCPUs stand still. */
static int write_dump(struct run *r, const void *arg, struct err *e)
{
    const struct dump *d = arg;
    int ret = write_heads(r, d);

    r->dump.status = DUMP_ACTIVE;
    r->dump.completed = 0;
    r->dump.total = total_bytes(d);
    for (unsigned i = 0; i < d->n && ret == 0; i++) {
        ret = write_whole(d->fd, d->piece[i].host, d->piece[i].len);
        r->dump.completed += ret == 0 ? d->piece[i].len : 0;
    }
    return ret < 0 ? err_set(e, ret, "dump: failed to save memory: %s", strerror(-ret)) : 0;
}

static void write_progress(struct jw *w, const char *key, const struct run_dump *d)
{
    static const char *const names[] = { [DUMP_NONE] = "none", [DUMP_ACTIVE] = "active",
                                         [DUMP_COMPLETED] = "completed", [DUMP_FAILED] = "failed" };

    jw_open(w, key);
    jw_uint(w, "total", d->total);
    jw_str(w, "status", names[d->status]);
    jw_uint(w, "completed", d->completed);
    jw_close(w);
}

static void tell_end(struct run *r, const char *error)
{
    struct jw w = { .text = NULL };

    jw_open(&w, NULL);
    write_progress(&w, "result", &r->dump);
    if (error)
        jw_str(&w, "error", error);
    jw_close(&w);
    run_event(r, "DUMP_COMPLETED", w.text);
    jw_free(&w);
}

/* "file:PATH", "fd:NAME": a descriptor that came with getfd; -1 with @e set */
static int open_target(struct call *c, const char *to, struct err *e)
{
    int fd = -1;

    if (!strncmp(to, "fd:", 3)) {
        fd = c->qmp ? qmp_take_fd(c->qmp, to + 3) : -1;
        if (fd < 0)
            err_set(e, -ENOENT, "File descriptor named '%.64s' not found", to + 3);
    } else if (!strncmp(to, "file:", 5)) {
        fd = open(to + 5, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
        if (fd < 0)
            err_set(e, -errno, "Could not open '%.200s': %s", to + 5, strerror(errno));
    } else {
        err_set(e, -EINVAL, "parameter 'protocol' must start with 'file:' or 'fd:'");
    }
    return fd;
}

/* The part of memory that is wanted; 0 or -EINVAL with @e set */
static int choose(const struct call *c, struct dump *d, struct err *e)
{
    int64_t begin = jv_number(c->args, "begin", 0), length = jv_number(c->args, "length", INT64_MAX);

    if (!jv_get(c->args, "begin") != !jv_get(c->args, "length"))
        return err_set(e, -EINVAL, "'begin' and 'length' are wanted together");
    if (begin < 0 || length <= 0)
        return err_set(e, -EINVAL, "'begin' or 'length' is out of range");
    d->begin = (uint64_t)begin;
    d->end = (uint64_t)begin + (uint64_t)length;
    add_piece(d, &c->m->ram_low);
    add_piece(d, &c->m->ram_high);
    return d->n ? 0 : err_set(e, -EINVAL, "there is no memory in that range");
}

/* @detached: how it ends is told by the event and by query-dump alone. */
static int dump_to(struct call *c, const char *to, bool detached, struct err *e)
{
    struct dump d = { .fd = -1 };
    int ret = c->run && c->run->accel ? choose(c, &d, e) : err_set(e, -ENODEV, "there is no machine");

    if (ret < 0)
        return ret;
    d.fd = open_target(c, to, e);
    if (d.fd < 0)
        return -EINVAL;
    ret = run_while_held(c->run, write_dump, &d, e);
    ret = close_written(d.fd, ret, e);
    c->run->dump.status = ret < 0 ? DUMP_FAILED : DUMP_COMPLETED;
    tell_end(c->run, ret < 0 ? e->msg : NULL);
    return detached ? 0 : ret;
}

static int cmd_dump(struct call *c, struct err *e)
{
    const char *format = jv_text(c->args, "format");

    if (jv_flag(c->args, "paging", false))
        return err_set(e, -ENOTSUP, "paging is not supported: the dump has physical addresses");
    if (format && strcmp(format, "elf"))
        return err_set(e, -ENOTSUP, "dump format '%.32s' is not supported (elf)", format);
    return dump_to(c, jv_text(c->args, "protocol"), jv_flag(c->args, "detach", false), e);
}

static int cmd_dump_line(struct call *c, struct err *e)
{
    char *to = xasprintf("file:%s", jv_text(c->args, "filename"));
    int ret = dump_to(c, to, false, e);

    free(to);
    return ret;
}

static int query_dump(struct call *c, struct err *e)
{
    write_progress(c->out, NULL, &c->run->dump);
    return 0;
}

static int query_dump_formats(struct call *c, struct err *e)
{
    jw_open(c->out, NULL);
    jw_open_array(c->out, "formats");
    jw_str(c->out, NULL, "elf");
    jw_close(c->out);
    jw_close(c->out);
    return 0;
}

const struct command memory_commands[] = {
    { .hmp = "memsave", .qmp = "memsave", .args = "val:i,size:i,filename:F,cpu-index:i?!",
      .help = "virtual memory into a file", .run = cmd_memsave },
    { .hmp = "pmemsave", .qmp = "pmemsave", .args = "val:i,size:i,filename:F",
      .help = "physical memory into a file", .run = cmd_pmemsave },
    { .hmp = "dump-guest-memory", .args = "filename:F,begin:i?,length:i?",
      .help = "RAM and registers into an ELF core", .run = cmd_dump_line },
    { .qmp = "dump-guest-memory", .args = "paging:b,protocol:s,detach:b?,begin:i?,length:i?,format:s?",
      .run = cmd_dump },
    { .qmp = "query-dump", .returns = "any", .run = query_dump },
    { .qmp = "query-dump-guest-memory-capability", .returns = "any", .run = query_dump_formats },
    { .hmp = NULL }
};
