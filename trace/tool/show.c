/*
 * show.c - instructions, symbols and events as text; filters
 */
#include <inttypes.h>
#include <stdlib.h>
#ifdef CONFIG_CAPSTONE
#include <capstone/capstone.h>
#endif
#include "trace/tool/tool.h"

/* ---- filters ---------------------------------------------------------------------------- */

bool filter_cpu(const struct filter *f, unsigned cpu)
{
    return f->cpu < 0 || (unsigned)f->cpu == cpu;
}

struct trace_iter *filter_open(const struct filter *f, struct trace_reader *r, unsigned stream)
{
    struct trace_iter *it = trace_iter_new(r, stream);

    if (f->insns.to && f->insns.from)
        trace_skip_to(it, f->insns.from);
    return it;
}

static bool pc_passes(const struct filter *f, const struct trace_block *b)
{
    for (unsigned i = 0; i < f->n_pc; i++)
        if (b->pc <= f->pc[i].to && b->pc + b->len - 1 >= f->pc[i].from)
            return true;
    return !f->n_pc;
}

static bool passes(const struct filter *f, const struct trace_step *s)
{
    if (!s->block)
        return false;
    if (f->cpl >= 0 && s->block->mode >> TRACE_MODE_CPL != f->cpl)
        return false;
    if (f->cr3_set && (s->cr3 ^ f->cr3) >> 12)
        return false;
    if (f->insns.to && s->count + MAX(s->executed, 1u) <= f->insns.from)
        return false;
    return pc_passes(f, s->block);
}

bool filter_next(const struct filter *f, struct trace_iter *it, struct trace_step *s)
{
    bool gap = false, fresh = false;

    while (trace_next(it, s)) {
        gap |= s->gap;
        fresh |= s->new_chunk;
        if (f->insns.to && s->count > f->insns.to)
            return false;
        if (!passes(f, s))
            continue;
        s->gap = gap;
        s->new_chunk = fresh;
        return true;
    }
    return false;
}

/* ---- text -------------------------------------------------------------------------------- */

const char *show_symbol(const struct tool *t, uint64_t pc, char *buf, size_t size)
{
    uint64_t start;
    const char *name = guest_symbols_find(t->symbols, pc, &start);

    *buf = 0;
    if (name && pc == start)
        snprintf(buf, size, "%s", name);
    else if (name)
        snprintf(buf, size, "%s+%#" PRIx64, name, pc - start);
    return buf;
}

static const char *const kind_names[] = {
#define X(N, name, fields) name,
    TRACE_KINDS(X)
#undef X
};

static void show_registers(FILE *f, const struct trace_event_rec *e)
{
    static const char *const names[] = { "rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi", "r8",
                                         "r9", "r10", "r11", "r12", "r13", "r14", "r15", "f" };
    unsigned n = 1;

    for (unsigned i = 0; i < ARRAY_SIZE(names); i++)
        if ((e->field[0] >> i & 1) && n < e->n)
            fprintf(f, " %s=%#" PRIx64, names[i], e->field[n++]);
}

/* Of one to eight words, the low one first. */
static void show_value(FILE *f, const struct trace_event_rec *e)
{
    unsigned n = MIN(e->n, TRACE_FIELDS);

    fprintf(f, " value=0x%" PRIx64, e->field[n - 1]);
    while (--n > 2)
        fprintf(f, "%016" PRIx64, e->field[n - 1]);
}

static void show_access(FILE *f, const struct trace_event_rec *e, const char *what)
{
    fprintf(f, " %s %s=%#" PRIx64 " size=%u", e->field[1] >> 8 & 1 ? "write" : "read", what, e->field[0],
            (unsigned)(e->field[1] & 0xff));
    if (e->n > 2)
        show_value(f, e);
}

static void show_blk(FILE *f, const struct trace_event_rec *e)
{
    static const char *const ops[] = { "read", "write", "flush", "discard", "zero" };
    unsigned op = e->field[1] & 0xff;
    bool done = e->field[1] >> 8 & 1;

    fprintf(f, " drive=%u %s off=%#" PRIx64, (unsigned)e->field[0], op < ARRAY_SIZE(ops) ? ops[op] : "?",
            e->field[2]);
    if (done)
        fprintf(f, " done errno=%u", (unsigned)e->field[3]);
    else
        fprintf(f, " len=%" PRIu64, e->field[3]);
}

void show_event(FILE *f, const struct trace_event_rec *e)
{
    char name[9] = "";

    fprintf(f, "%s", kind_names[e->kind]);
    switch (e->kind) {
    case TRACE_PARTIAL:
        fprintf(f, " left=%u", (unsigned)e->field[0]);
        break;
    case TRACE_INT:
        fprintf(f, " vector=%#x error=%#x soft=%u pc=%#" PRIx64, (unsigned)e->field[0], (unsigned)e->field[1],
                (unsigned)e->field[2], e->field[3]);
        if (e->field[0] == 14)
            fprintf(f, " cr2=%#" PRIx64, e->field[4]);
        break;
    case TRACE_CR3:
        fprintf(f, "=%#" PRIx64, e->field[0]);
        break;
    case TRACE_IO:
        show_access(f, e, "port");
        break;
    case TRACE_MMIO: case TRACE_MEM:
        show_access(f, e, "addr");
        break;
    case TRACE_REG:
        show_registers(f, e);
        break;
    case TRACE_IRQ:
        fprintf(f, " line=%u level=%u", (unsigned)e->field[0], (unsigned)e->field[1]);
        break;
    case TRACE_BLK:
        show_blk(f, e);
        break;
    case TRACE_NET:
        stl64(name, e->field[0]);
        for (char *p = name; *p; p++)
            *p = *p > ' ' && *p < 127 ? *p : '?';
        fprintf(f, " from=%s%s len=%u", name, e->field[1] ? " (card)" : "", (unsigned)e->field[2]);
        break;
    }
}

/* ---- instructions -------------------------------------------------------------------------- */

#ifdef CONFIG_CAPSTONE
struct lister {
    csh handle[3];
    cs_insn *insn[3];
};

struct lister *lister_new(void)
{
    static const cs_mode modes[3] = { CS_MODE_16, CS_MODE_32, CS_MODE_64 };
    struct lister *l = xzalloc(sizeof *l);

    for (unsigned i = 0; i < 3; i++) {
        if (cs_open(CS_ARCH_X86, modes[i], &l->handle[i]) != CS_ERR_OK) {
            lister_free(l);
            return NULL;
        }
        cs_option(l->handle[i], CS_OPT_DETAIL, CS_OPT_ON);
        l->insn[i] = cs_malloc(l->handle[i]);
    }
    return l;
}

void lister_free(struct lister *l)
{
    for (unsigned i = 0; l && i < 3; i++) {
        if (l->insn[i])
            cs_free(l->insn[i], 1);
        if (l->handle[i])
            cs_close(&l->handle[i]);
    }
    free(l);
}

static const cs_insn *decode(struct lister *l, const uint8_t *code, unsigned len, uint64_t pc, unsigned mode)
{
    unsigned i = MIN(mode & TRACE_MODE_BITS, 2u);
    size_t left = len;

    return l && cs_disasm_iter(l->handle[i], &code, &left, &pc, l->insn[i]) ? l->insn[i] : NULL;
}

const char *lister_text(struct lister *l, const uint8_t *code, unsigned len, uint64_t pc, unsigned mode,
                        char *buf, size_t size)
{
    const cs_insn *in = decode(l, code, len, pc, mode);

    if (in)
        snprintf(buf, size, "%s%s%s", in->mnemonic, *in->op_str ? " " : "", in->op_str);
    else
        snprintf(buf, size, "(bad)");
    return buf;
}

/* 0..15 as instructions number them, 16 flags, -1 others */
static int reg_number(csh h, unsigned reg)
{
    static const char *const names[16][4] = {
        { "rax", "eax", "ax", "al" }, { "rcx", "ecx", "cx", "cl" }, { "rdx", "edx", "dx", "dl" },
        { "rbx", "ebx", "bx", "bl" }, { "rsp", "esp", "sp", "spl" }, { "rbp", "ebp", "bp", "bpl" },
        { "rsi", "esi", "si", "sil" }, { "rdi", "edi", "di", "dil" }, { "r8", "r8d", "r8w", "r8b" },
        { "r9", "r9d", "r9w", "r9b" }, { "r10", "r10d", "r10w", "r10b" }, { "r11", "r11d", "r11w", "r11b" },
        { "r12", "r12d", "r12w", "r12b" }, { "r13", "r13d", "r13w", "r13b" }, { "r14", "r14d", "r14w", "r14b" },
        { "r15", "r15d", "r15w", "r15b" } };
    const char *n = cs_reg_name(h, reg);

    if (!n)
        return -1;
    if (strstr(n, "flags"))
        return 16;
    for (int i = 0; i < 16; i++)
        for (int k = 0; k < 4; k++)
            if (!strcmp(n, names[i][k]))
                return i;
    return n[0] && n[1] == 'h' && !n[2] ? (int)(strchr("acdb", n[0]) ? strchr("acdb", n[0]) - "acdb" : -1) : -1;
}

bool lister_writes(struct lister *l, const uint8_t *code, unsigned len, uint64_t pc, unsigned mode, unsigned reg)
{
    const cs_insn *in = decode(l, code, len, pc, mode);
    csh h = l ? l->handle[MIN(mode & TRACE_MODE_BITS, 2u)] : 0;
    cs_regs reads, writes;
    uint8_t n_reads = 0, n_writes = 0;

    if (!in || cs_regs_access(h, in, reads, &n_reads, writes, &n_writes) != CS_ERR_OK)
        return false;
    for (unsigned i = 0; i < n_writes; i++)
        if (reg_number(h, writes[i]) == (int)reg)
            return true;
    return reg == 16 && in->detail->x86.eflags;
}
#else
struct lister *lister_new(void) { return NULL; }
void lister_free(struct lister *l) { }
const char *lister_text(struct lister *l, const uint8_t *code, unsigned len, uint64_t pc, unsigned mode,
                        char *buf, size_t size)
{
    size_t at = 0;

    *buf = 0;
    for (unsigned i = 0; i < len && at + 4 < size; i++)
        at += (size_t)snprintf(buf + at, size - at, "%02x ", code[i]);
    return buf;
}
bool lister_writes(struct lister *l, const uint8_t *code, unsigned len, uint64_t pc, unsigned mode, unsigned reg)
{
    return false;
}
#endif
