/*
 * gdb-cmd.c - packets that are no queries: registers, memory, threads, run control
 */
#include <stdlib.h>
#include "ui/gdb-int.h"

/* ---- replies ------------------------------------------------------------------------ */

void gdb_reply(struct gdb *g, const char *s)
{
    g->out.len = 0;
    g->out.full = false;
    out_str(&g->out, s);
}

void gdb_error(struct gdb *g, unsigned err)
{
    char text[8];

    snprintf(text, sizeof(text), "E%02x", err & 0xff);
    gdb_reply(g, text);
}

/* 0: done */
static void reply_done(struct gdb *g, unsigned err)
{
    if (err)
        gdb_error(g, err);
    else
        gdb_reply(g, "OK");
}

struct x86_cpu *gdb_cpu(struct gdb *g)
{
    return accel_cpu(g->accel, g->cpu);
}

/* ---- threads: vCPU n is thread n + 1 of process 1 --------------------------------------- */

void out_thread(struct gdb *g, unsigned cpu)
{
    out_fmt(&g->out, g->multiprocess ? "p01.%02x" : "%02x", cpu + 1);
}

static bool take_id(const char **s, int64_t *id)
{
    uint64_t v;

    if (take_char(s, '-')) {
        *id = -1;
        return take_char(s, '1');
    }
    if (!take_hex(s, &v) || v > INT32_MAX)
        return false;
    *id = (int64_t)v;
    return true;
}

bool take_thread(const struct gdb *g, const char **s, int *cpu)
{
    int64_t pid = 1, tid = -1;

    if (take_char(s, 'p')) {
        if (!take_id(s, &pid) || (take_char(s, '.') && !take_id(s, &tid)))
            return false;
    } else if (!take_id(s, &tid)) {
        return false;
    }
    if (pid > 1 || tid > (int64_t)g->n_cpus)
        return false;
    *cpu = tid > 0 ? (int)tid - 1 : tid == 0 ? (int)g->cpu : -1;
    return true;
}

static void set_thread(struct gdb *g, const char *s)
{
    char op = *s;
    int cpu;

    if ((op != 'g' && op != 'c') || (s++, !take_thread(g, &s, &cpu)) || *s) {
        gdb_error(g, GDB_EINVAL);
        return;
    }
    if (op == 'c')
        g->cont_cpu = cpu;
    else if (cpu >= 0)
        g->cpu = (unsigned)cpu;
    gdb_reply(g, "OK");
}

static void thread_alive(struct gdb *g, const char *s)
{
    int cpu;

    reply_done(g, take_thread(g, &s, &cpu) && cpu >= 0 && !*s ? 0 : GDB_EINVAL);
}

/* ---- registers ------------------------------------------------------------------------------ */

void gdb_use_arch(struct gdb *g, enum gdb_arch arch)
{
    if (g->regs.xml && g->regs.arch == arch)
        return;
    gdb_regs_free(&g->regs);
    gdb_regs_init(&g->regs, arch, accel_cpu(g->accel, 0));
    g->points_changed = true;             /* how addresses compare */
}

static void read_registers(struct gdb *g)
{
    uint8_t buf[GDB_REG_BYTES];

    for (unsigned i = 0; i < g->regs.n; i++) {
        gdb_reg_read(gdb_cpu(g), &g->regs.reg[i], buf);
        out_hex(&g->out, buf, gdb_reg_bytes(&g->regs.reg[i]));
    }
}

/* What cannot be changed is left alone: gdb sends all to change one. A packet may
 * end early, between two registers. */
static void write_registers(struct gdb *g, const char *s)
{
    uint8_t buf[GDB_REG_BYTES];

    for (unsigned i = 0; i < g->regs.n && *s; i++) {
        if (!take_bytes(&s, buf, gdb_reg_bytes(&g->regs.reg[i]))) {
            gdb_error(g, GDB_EINVAL);
            return;
        }
        (void)!gdb_reg_write(gdb_cpu(g), &g->regs.reg[i], buf);
    }
    reply_done(g, *s ? GDB_EINVAL : 0);
}

static void read_register(struct gdb *g, const char *s)
{
    uint8_t buf[GDB_REG_BYTES];
    uint64_t n;

    if (!take_hex(&s, &n) || *s || n >= g->regs.n) {
        gdb_error(g, GDB_EINVAL);
        return;
    }
    gdb_reg_read(gdb_cpu(g), &g->regs.reg[n], buf);
    out_hex(&g->out, buf, gdb_reg_bytes(&g->regs.reg[n]));
}

/* "N=VALUE", of exactly the register's size */
static void write_register(struct gdb *g, const char *s)
{
    uint8_t buf[GDB_REG_BYTES];
    uint64_t n;
    bool ok = take_hex(&s, &n) && take_char(&s, '=') && n < g->regs.n
              && take_bytes(&s, buf, gdb_reg_bytes(&g->regs.reg[n])) && !*s;

    reply_done(g, ok && gdb_reg_write(gdb_cpu(g), &g->regs.reg[n], buf) ? 0 : GDB_EINVAL);
}

/* ---- memory -------------------------------------------------------------------------------------- */

static bool take_range(const char **s, uint64_t *addr, uint64_t *len)
{
    return take_hex(s, addr) && take_char(s, ',') && take_hex(s, len);
}

/* What is there before the first byte that is not. */
static void read_memory(struct gdb *g, const char *s)
{
    uint8_t buf[GDB_PACKET / 2];
    uint64_t addr, len, got = 0;

    if (!take_range(&s, &addr, &len) || *s || len > sizeof(buf)) {
        gdb_error(g, GDB_EINVAL);
        return;
    }
    while (got < len) {
        uint64_t n = MIN(len - got, 4096 - (addr + got) % 4096);

        if (!gdb_mem(g, addr + got, buf + got, n, false))
            break;
        got += n;
    }
    if (len && !got)
        gdb_error(g, GDB_EFAULT);
    else
        out_hex(&g->out, buf, got);
}

static void write_memory(struct gdb *g, const char *s)
{
    uint8_t buf[GDB_PACKET / 2];
    uint64_t addr, len;

    if (!take_range(&s, &addr, &len) || !take_char(&s, ':') || len > sizeof(buf)
        || !take_bytes(&s, buf, len) || *s)
        gdb_error(g, GDB_EINVAL);
    else
        reply_done(g, gdb_mem(g, addr, buf, len, true) ? 0 : GDB_EFAULT);
}

/* The data, already without escapes, may hold any byte. */
static void write_binary(struct gdb *g, const char *s)
{
    uint64_t addr, len;

    if (!take_range(&s, &addr, &len) || !take_char(&s, ':')
        || len != (uint64_t)(g->rx.buf + g->rx.len - s))
        gdb_error(g, GDB_EINVAL);
    else
        reply_done(g, gdb_mem(g, addr, (void *)(uintptr_t)s, len, true) ? 0 : GDB_EFAULT);
}

static void set_point(struct gdb *g, bool insert, const char *s)
{
    int err = gdb_point_set(g, insert, s);

    if (err >= 0)
        reply_done(g, (unsigned)err);
}

/* ---- run control ---------------------------------------------------------------------------------- */

/* c, C, s, S: the thread of Hc, and with it all others unless it steps alone. An
 * address to go on from is optional; before it stands the signal of C and S. */
static bool go_plain(struct gdb *g, char op, const char *s)
{
    bool step = op == 's' || op == 'S';
    uint64_t v;

    if ((op == 'C' || op == 'S') && (!take_hex(&s, &v) || (*s && !take_char(&s, ';'))))
        return false;
    if (*s && (!take_hex(&s, &v) || *s || !x86_debug_set_pc(gdb_cpu(g), v)))
        return false;
    gdb_go_all(g, GO_RUN);
    if (step)
        g->go[g->cont_cpu >= 0 ? (unsigned)g->cont_cpu : g->cpu] = GO_STEP;
    return true;
}

/* Returns true when the stop reply answers. */
static bool go_on(struct gdb *g, bool ok)
{
    if (ok)
        gdb_go(g);
    else
        gdb_error(g, GDB_EINVAL);
    return ok;
}

static void detach(struct gdb *g)
{
    gdb_points_clear(g);
    gdb_reply(g, "OK");
    gdb_put(g);
    g->told_exec = false;
    gdb_go_all(g, GO_RUN);
    if (g->m->run_state == RUN_SHUTDOWN)
        gdb_points_apply(g);
    else
        gdb_go(g);
    g->waiting = false;
}

/* Packets of several letters; true when nothing more is to be sent. */
static bool verbose(struct gdb *g, const char *s)
{
    if (!strncmp(s, "Cont;", 5))
        return go_on(g, gdb_vcont(g, s + 5));
    if (!strcmp(s, "Cont?")) {
        gdb_reply(g, "vCont;c;C;s;S;t");
    } else if (!strncmp(s, "Attach;", 7)) {
        gdb_stop_reply(g);
    } else if (!strncmp(s, "Kill;", 5)) {
        gdb_reply(g, "OK");
        g->hooks.quit(g->hooks.opaque);
    }
    return false;
}

/* True when the reply has been sent, or comes later. */
static bool command(struct gdb *g, char op, const char *s)
{
    switch (op) {
    case '?': gdb_stop_reply(g); break;
    case 'g': read_registers(g); break;
    case 'G': write_registers(g, s); break;
    case 'p': read_register(g, s); break;
    case 'P': write_register(g, s); break;
    case 'm': read_memory(g, s); break;
    case 'M': write_memory(g, s); break;
    case 'X': write_binary(g, s); break;
    case 'H': set_thread(g, s); break;
    case 'T': thread_alive(g, s); break;
    case 'Z': set_point(g, true, s); break;
    case 'z': set_point(g, false, s); break;
    case 'c': case 'C': case 's': case 'S': return go_on(g, go_plain(g, op, s));
    case 'v': return verbose(g, s);
    case 'D': detach(g); return true;
    case 'k': g->hooks.quit(g->hooks.opaque); return true;
    }
    return false;
}

/* An empty reply says that the packet is unknown. */
void gdb_packet(struct gdb *g)
{
    const char *s = g->rx.buf;

    gdb_reply(g, "");
    if (*s == 'q' || *s == 'Q')
        (void)!gdb_query(g, s);
    else if (g->rx.len && command(g, *s, s + 1))
        return;
    gdb_put(g);
}
