/*
 * gdb-mem.c - memory as the debugger sees it, breakpoints and watchpoints
 */
#include <stdlib.h>
#include "ui/gdb-int.h"

#define PAGE 4096u

/* ---- memory ---------------------------------------------------------------------------- */

/* Reading a device's register may change it: only those who ask for physical memory do. */
static bool is_memory(struct gdb *g, gpa_t gpa, bool write)
{
    const struct mem_flat *f = mem_find(&g->m->mem, gpa);

    return f && (f->region->kind == MEM_RAM || (f->region->kind == MEM_ROM && !write));
}

/* @len bytes that lie in one page */
static bool access_page(struct gdb *g, uint64_t addr, uint8_t *buf, size_t len, bool write)
{
    gpa_t gpa = addr;

    if (!g->phys_mem && (!x86_debug_walk(gdb_cpu(g), addr, &gpa) || !is_memory(g, gpa, write)))
        return false;
    if (write)
        mem_write(&g->m->mem, gpa, buf, len);
    else
        mem_read(&g->m->mem, gpa, buf, len);
    return true;
}

bool gdb_mem(struct gdb *g, uint64_t addr, void *buf, size_t len, bool write)
{
    uint8_t *p = buf;

    for (size_t done = 0, n; done < len; done += n) {
        n = MIN(len - done, PAGE - (addr + done) % PAGE);
        if (!access_page(g, addr + done, p + done, n, write))
            return false;
    }
    return true;
}

/* ---- breakpoints and watchpoints -------------------------------------------------------------- */

/* The kinds of Z packets */
enum { Z_SOFTWARE, Z_HARDWARE, Z_WRITE, Z_READ, Z_ACCESS, Z_KINDS };

static bool is_break(const struct gdb_point *p)
{
    return p->kind <= Z_HARDWARE;
}

static int find_point(const struct gdb *g, const struct gdb_point *p)
{
    for (unsigned i = 0; i < g->n_points; i++)
        if (g->points[i].kind == p->kind && g->points[i].addr == p->addr && g->points[i].len == p->len)
            return (int)i;
    return -1;
}

static bool room_for(const struct gdb *g, const struct gdb_point *p)
{
    unsigned same = 0;

    for (unsigned i = 0; i < g->n_points; i++)
        same += is_break(&g->points[i]) == is_break(p);
    return same < (is_break(p) ? TCG_BREAKS_MAX : TCG_WATCHES_MAX);
}

/* A watchpoint that is gone explains no stop any more. */
static void forget_stops(struct gdb *g)
{
    for (unsigned i = 0; i < g->n_cpus; i++)
        g->stop[i].kind = STOP_NONE;
}

static int change_point(struct gdb *g, bool insert, const struct gdb_point *p)
{
    int at = find_point(g, p);

    if (insert == (at >= 0))
        return 0;                         /* packets may come twice */
    if (insert && !room_for(g, p))
        return GDB_E2BIG;
    if (insert) {
        g->points[g->n_points++] = *p;
    } else {
        g->points[at] = g->points[--g->n_points];
        if (!is_break(p))
            forget_stops(g);
    }
    g->points_changed = true;
    return 0;
}

/* "KIND,ADDR,LEN"; conditions and commands, which we did not offer, are not taken. */
int gdb_point_set(struct gdb *g, bool insert, const char *s)
{
    struct gdb_point p;
    uint64_t kind;

    if (!take_hex(&s, &kind) || !take_char(&s, ',') || !take_hex(&s, &p.addr) || !take_char(&s, ',')
        || !take_hex(&s, &p.len) || *s)
        return GDB_EINVAL;
    if (kind >= Z_KINDS)
        return -1;
    p.kind = (uint8_t)kind;
    if (is_break(&p))
        p.len = 1;
    if (!p.len || p.len > 1 << 20 || p.addr + p.len - 1 < p.addr)
        return GDB_EINVAL;
    return change_point(g, insert, &p);
}

void gdb_points_clear(struct gdb *g)
{
    g->points_changed |= g->n_points;
    g->n_points = 0;
    forget_stops(g);
}

static unsigned kinds_of(const struct gdb_point *p)
{
    static const uint8_t kinds[Z_KINDS] = {
        [Z_WRITE] = TCG_WATCH_WRITE, [Z_READ] = TCG_WATCH_READ,
        [Z_ACCESS] = TCG_WATCH_READ | TCG_WATCH_WRITE,
    };

    return kinds[p->kind];
}

/* An address that came under a 32-bit description may be the lower half of one. */
void gdb_points_apply(struct gdb *g)
{
    uint64_t mask = g->regs.arch == GDB_X86_64 ? ~0ull : 0xffffffffu;
    struct tcg_watch watches[TCG_WATCHES_MAX];
    struct tcg_break *breaks;
    unsigned nb = 0, nw = 0;

    if (!g->points_changed)
        return;
    breaks = xzalloc(TCG_BREAKS_MAX * sizeof(*breaks));
    memset(watches, 0, sizeof(watches));
    for (unsigned i = 0; i < g->n_points; i++) {
        const struct gdb_point *p = &g->points[i];

        if (is_break(p))
            breaks[nb++] = (struct tcg_break){ p->addr, mask };
        else
            watches[nw++] = (struct tcg_watch){ p->addr, p->len, kinds_of(p) };
    }
    accel_debug_set(g->accel, breaks, nb, watches, nw);
    free(breaks);
    g->points_changed = false;
}
