/*
 * diff.c - transom-trace diff: the first difference between two traces
 *
 * Compared is the sequence of instructions, however it was cut into blocks, and, where both
 * have them, registers at the beginning of blocks, interrupts, and values read from devices.
 */
#include <inttypes.h>
#include <stdlib.h>
#include "trace/tool/tool.h"

#define HISTORY 8                /* instructions shown before the difference */

/** struct side - one of the two */
struct side {
    struct trace_reader *r;
    struct trace_iter *it;
    struct trace_step s;
    bool more;
    unsigned at, offset;         /* next instruction of s.block, and its bytes' offset */
    unsigned event;              /* next event of s */
    uint64_t reg[17];
};

/** struct done - an instruction that both have executed */
struct done {
    uint64_t count, pc;
    uint8_t code[15], len, mode;
};

struct differ {
    const struct tool *tool;
    struct side side[2];
    struct done history[HISTORY];
    uint64_t n;                  /* instructions compared */
    struct lister *lister;
};

/* ---- walking --------------------------------------------------------------------------- */

static void take_registers(struct side *d, const struct trace_event_rec *e)
{
    for (unsigned i = 0, n = 1; i < 17 && n < e->n; i++)
        if (e->field[0] >> i & 1)
            d->reg[i] = e->field[n++];
}

/* Stand before an instruction. False: the trace has ended. */
static bool settle(struct side *d)
{
    while (d->more && (!d->s.block || d->at == d->s.executed)) {
        for (unsigned i = 0; i < d->s.n_events; i++)     /* behind its last: of the next block */
            if (d->s.event[i].kind == TRACE_REG)
                take_registers(d, &d->s.event[i]);
        d->more = trace_next(d->it, &d->s);
        d->at = d->offset = d->event = 0;
    }
    return d->more;
}

static void advance(struct side *d)
{
    d->offset += d->s.block->insn_len[d->at++];
}

static uint64_t pc_of(const struct side *d)
{
    return d->s.block->pc + d->offset;
}

static void remember(struct differ *x)
{
    const struct side *d = &x->side[0];
    struct done *h = &x->history[x->n++ % HISTORY];

    h->count = d->s.count + d->at;
    h->pc = pc_of(d);
    h->mode = d->s.block->mode;
    h->len = MIN(d->s.block->insn_len[d->at], 15);
    memcpy(h->code, d->s.block->code + d->offset, h->len);
}

/* ---- telling ------------------------------------------------------------------------------ */

static void show(const struct differ *x, const char *mark, uint64_t count, uint64_t pc, const uint8_t *code,
                 unsigned len, unsigned mode)
{
    char text[200], sym[256];

    printf("%s %" PRIu64 " %#" PRIx64 ": %s", mark, count, pc,
           lister_text(x->lister, code, len, pc, mode, text, sizeof text));
    if (*show_symbol(x->tool, pc, sym, sizeof sym))
        printf("  <%s>", sym);
    putchar('\n');
}

static void show_history(const struct differ *x)
{
    for (uint64_t i = x->n > HISTORY ? x->n - HISTORY : 0; i < x->n; i++) {
        const struct done *h = &x->history[i % HISTORY];

        show(x, " ", h->count, h->pc, h->code, h->len, h->mode);
    }
}

static void show_next(const struct differ *x, unsigned which)
{
    const struct side *d = &x->side[which];
    const struct trace_block *b = d->more ? d->s.block : NULL;

    printf("%s:\n", x->tool->file[which]);
    if (b)
        show(x, which ? "+" : "-", d->s.count + d->at, pc_of(d), b->code + d->offset, b->insn_len[d->at], b->mode);
    else
        printf("%s ends\n", which ? "+" : "-");
}

static int parted(const struct differ *x, const char *why)
{
    printf("%s after %" PRIu64 " equal instructions\n", why, x->n);
    show_history(x);
    show_next(x, 0);
    show_next(x, 1);
    return 1;
}

/* The last instruction before this that writes @reg is the one whose result differs. */
static void blame(const struct differ *x, unsigned reg)
{
    for (uint64_t i = x->n; i > 0 && i + HISTORY > x->n; i--) {
        const struct done *h = &x->history[(i - 1) % HISTORY];

        if (!lister_writes(x->lister, h->code, h->len, h->pc, h->mode, reg))
            continue;
        show(x, "the instruction:", h->count, h->pc, h->code, h->len, h->mode);
        return;
    }
}

static int registers_differ(const struct differ *x)
{
    static const char *const names[] = { "rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi", "r8",
                                         "r9", "r10", "r11", "r12", "r13", "r14", "r15", "flags" };

    printf("registers differ after %" PRIu64 " equal instructions\n", x->n);
    show_history(x);
    for (unsigned i = 0; i < 17; i++)
        if (x->side[0].reg[i] != x->side[1].reg[i])
            printf("%s: %#" PRIx64 ", then %#" PRIx64 "\n", names[i], x->side[0].reg[i], x->side[1].reg[i]);
    for (unsigned i = 0; i < 17; i++)
        if (x->side[0].reg[i] != x->side[1].reg[i]) {
            blame(x, i);
            break;
        }
    return 1;
}

/* ---- comparing ------------------------------------------------------------------------------ */

static bool both_have(const struct differ *x, unsigned kind)
{
    return trace_header(x->side[0].r)->kinds & trace_header(x->side[1].r)->kinds & TRACE_HAS(kind);
}

/* Next event of @kind that belongs to what was executed so far. */
static const struct trace_event_rec *next_event(struct side *d, unsigned kind)
{
    for (; d->event < d->s.n_events; d->event++)
        if (d->s.event[d->event].kind == kind && d->s.event[d->event].at < d->at)
            return &d->s.event[d->event++];
    return NULL;
}

/* Values that devices gave to the instruction just executed. */
static bool same_inputs(struct differ *x)
{
    const struct trace_event_rec *a, *b;

    if (!both_have(x, TRACE_IO))
        return true;
    do {
        a = next_event(&x->side[0], TRACE_IO);
        b = next_event(&x->side[1], TRACE_IO);
        if (a && b && memcmp(a->field, b->field, 3 * sizeof *a->field))
            return false;
    } while (a && b);
    return true;
}

static int compare(struct differ *x)
{
    struct side *a = &x->side[0], *b = &x->side[1];
    bool regs = both_have(x, TRACE_REG);

    for (;;) {
        bool more_a = settle(a), more_b = settle(b);

        if (regs && more_a && more_b && !a->at && !b->at && memcmp(a->reg, b->reg, sizeof a->reg))
            return registers_differ(x);
        if (!more_a || !more_b) {
            if (more_a != more_b)
                return parted(x, "one trace ends");
            printf("no difference in %" PRIu64 " instructions\n", x->n);
            return 0;
        }
        if (pc_of(a) != pc_of(b) || a->s.block->mode != b->s.block->mode)
            return parted(x, "the paths part");
        remember(x);
        advance(a);
        advance(b);
        if (!same_inputs(x))
            return parted(x, "a device answers differently");
    }
}

int cmd_diff(struct tool *t, struct err *e)
{
    struct differ *x = xzalloc(sizeof *x);
    unsigned cpu = t->filter.cpu < 0 ? 0 : (unsigned)t->filter.cpu;
    int ret = 0;

    x->tool = t;
    for (unsigned i = 0; ret == 0 && i < 2; i++) {
        x->side[i].r = trace_open(t->file[i], e);
        if (!x->side[i].r)
            ret = -EINVAL;
        else
            x->side[i].it = trace_iter_new(x->side[i].r, cpu);
        x->side[i].more = true;
    }
    if (ret == 0) {
        x->lister = lister_new();
        ret = compare(x);
        for (unsigned i = 0; i < 2; i++)
            ret |= tool_damage(x->side[i].r, t->file[i]);
    }
    lister_free(x->lister);
    for (unsigned i = 0; i < 2; i++) {
        trace_iter_free(x->side[i].it);
        trace_close(x->side[i].r);
    }
    free(x);
    return ret;
}
