/*
 * coverage.c - transom-trace coverage: which code was executed, as drcov or by source line
 *
 * drcov: version 2 of DynamoRIO's format, as coverage viewers read it. lcov: geninfo(1), from the
 * line tables of the program given with --elf.
 */
#include <inttypes.h>
#include <stdlib.h>
#ifdef CONFIG_DW
#include <elfutils/libdwfl.h>
#endif
#include "trace/tool/tool.h"

#define HASH_BITS 20

/** struct seen - an executed block */
struct seen {
    uint64_t pc, times;
    uint32_t next;               /* index + 1 */
    uint16_t len;
    uint8_t n;
    uint8_t insn_len[TRACE_INSNS];
};

struct coverage {
    struct seen *seen;
    size_t n, room;
    uint32_t hash[1 << HASH_BITS];
};

/* Its place + 1. */
static uint32_t find(struct coverage *c, const struct trace_block *b)
{
    uint32_t *head = &c->hash[(b->pc * 0x9e3779b97f4a7c15ull) >> (64 - HASH_BITS)];

    for (uint32_t i = *head; i; i = c->seen[i - 1].next)
        if (c->seen[i - 1].pc == b->pc && c->seen[i - 1].len == b->len)
            return i;
    if (c->n == c->room) {
        c->room = c->room ? c->room * 2 : 4096;
        c->seen = xrealloc(c->seen, c->room * sizeof *c->seen);
    }
    c->seen[c->n] = (struct seen){ .pc = b->pc, .len = b->len, .n = b->n_insns, .next = *head };
    memcpy(c->seen[c->n].insn_len, b->insn_len, sizeof b->insn_len);
    *head = (uint32_t)++c->n;
    return *head;
}

static void collect(const struct tool *t, struct trace_reader *r, struct coverage *c)
{
    struct trace_step s;

    for (unsigned i = 0; i < MIN(trace_header(r)->n_cpus, 1024u); i++) {
        struct trace_iter *it = filter_cpu(&t->filter, i) ? filter_open(&t->filter, r, i) : NULL;

        while (it && filter_next(&t->filter, it, &s)) {
            if (!s.block->user)
                s.block->user = find(c, s.block);
            c->seen[s.block->user - 1].times++;
        }
        trace_iter_free(it);
    }
}

static int by_pc(const void *a, const void *b)
{
    const struct seen *x = a, *y = b;

    return (x->pc > y->pc) - (x->pc < y->pc);
}

/* ---- drcov ------------------------------------------------------------------------------ */

/* A module is what 32 bits of offset reach: stretches of code with the same upper half. */
static size_t count_modules(const struct coverage *c)
{
    size_t n = 0;

    for (size_t i = 0; i < c->n; i++)
        n += !i || c->seen[i].pc >> 32 != c->seen[i - 1].pc >> 32;
    return n;
}

static void write_drcov(const struct coverage *c, const char *name, FILE *f)
{
    unsigned module = 0;

    fprintf(f, "DRCOV VERSION: 2\nDRCOV FLAVOR: drcov\nModule Table: version 2, count %zu\n"
               "Columns: id, base, end, entry, checksum, timestamp, path\n", count_modules(c));
    for (size_t i = 0; i < c->n; i++)
        if (!i || c->seen[i].pc >> 32 != c->seen[i - 1].pc >> 32) {
            uint64_t base = c->seen[i].pc & ~0xffffffffull;

            fprintf(f, "%3u, %#018" PRIx64 ", %#018" PRIx64 ", 0, 0, 0, %s\n", module++, base,
                    base + 0xffffffff, name);
        }
    fprintf(f, "BB Table: %zu bbs\n", c->n);
    module = 0;
    for (size_t i = 0; i < c->n; i++) {
        uint8_t row[8];

        module += i && c->seen[i].pc >> 32 != c->seen[i - 1].pc >> 32;
        stl32(row, (uint32_t)c->seen[i].pc);
        stl16(row + 4, c->seen[i].len);
        stl16(row + 6, (uint16_t)module);
        fwrite(row, 1, sizeof row, f);
    }
}

/* ---- lcov ------------------------------------------------------------------------------------ */

#ifdef CONFIG_DW
/** struct line - an address that begins a line; times it was executed */
struct line {
    const char *file;
    int number;
    uint64_t times;
};

struct lines {
    struct line *line;
    size_t n, room;
};

/* How often the instruction at @pc was executed. Blocks are short: few begin before and reach it. */
static uint64_t times_at(const struct coverage *c, uint64_t pc)
{
    size_t lo = 0, hi = c->n;
    uint64_t times = 0;

    while (lo < hi) {
        size_t mid = (lo + hi) / 2;

        if (c->seen[mid].pc <= pc)
            lo = mid + 1;
        else
            hi = mid;
    }
    for (size_t i = lo; i-- > 0 && pc - c->seen[i].pc < TRACE_INSNS * 15;) {
        uint64_t at = c->seen[i].pc;

        for (unsigned k = 0; k < c->seen[i].n && at < pc; k++)
            at += c->seen[i].insn_len[k];
        if (at == pc && pc - c->seen[i].pc < c->seen[i].len)
            times += c->seen[i].times;
    }
    return times;
}

static void add_line(struct lines *l, const char *file, int number, uint64_t times)
{
    if (l->n == l->room) {
        l->room = l->room ? l->room * 2 : 1024;
        l->line = xrealloc(l->line, l->room * sizeof *l->line);
    }
    l->line[l->n++] = (struct line){ file, number, times };
}

static void add_unit(const struct coverage *c, Dwarf_Die *unit, Dwarf_Addr bias, struct lines *l)
{
    Dwarf_Lines *table;
    size_t n;

    if (dwarf_getsrclines(unit, &table, &n))
        return;
    for (size_t i = 0; i < n; i++) {
        Dwarf_Line *row = dwarf_onesrcline(table, i);
        Dwarf_Addr addr;
        const char *file;
        bool end = false;
        int number;

        if (!row || dwarf_lineaddr(row, &addr) || dwarf_lineno(row, &number) || number <= 0
            || (dwarf_lineendsequence(row, &end) == 0 && end))
            continue;
        file = dwarf_linesrc(row, NULL, NULL);
        if (file)
            add_line(l, file, number, times_at(c, addr + bias));
    }
}

static int by_place(const void *a, const void *b)
{
    const struct line *x = a, *y = b;
    int d = strcmp(x->file, y->file);

    return d ? d : x->number - y->number;
}

static void write_file(const struct line *l, size_t n, FILE *f)
{
    size_t found = 0, hit = 0;

    fprintf(f, "TN:\nSF:%s\n", l->file);
    for (size_t i = 0; i < n;) {
        uint64_t times = 0;
        int number = l[i].number;

        for (; i < n && l[i].number == number; i++)
            times = MAX(times, l[i].times);
        fprintf(f, "DA:%d,%" PRIu64 "\n", number, times);
        found++;
        hit += times > 0;
    }
    fprintf(f, "LF:%zu\nLH:%zu\nend_of_record\n", found, hit);
}

static void write_lines(struct lines *l, FILE *f)
{
    if (l->n)
        qsort(l->line, l->n, sizeof *l->line, by_place);
    for (size_t i = 0, from; i < l->n;) {
        for (from = i; i < l->n && !strcmp(l->line[i].file, l->line[from].file); i++)
            ;
        write_file(&l->line[from], i - from, f);
    }
}

static int write_lcov(const struct tool *t, const struct coverage *c, FILE *f, struct err *e)
{
    static const Dwfl_Callbacks how = { .find_elf = dwfl_build_id_find_elf,
                                        .find_debuginfo = dwfl_standard_find_debuginfo,
                                        .section_address = dwfl_offline_section_address };
    Dwfl *dw = dwfl_begin(&how);
    Dwfl_Module *mod = NULL;
    struct lines l = { NULL, 0, 0 };
    Dwarf_Die *unit = NULL;
    Dwarf_Addr bias;
    int ret = 0;

    if (dw) {
        dwfl_report_begin(dw);
        mod = dwfl_report_elf(dw, t->elf, t->elf, -1, 0, false);
        dwfl_report_end(dw, NULL, NULL);
    }
    if (!mod || !dwfl_module_getdwarf(mod, &bias)) {
        ret = err_set(e, -EINVAL, "--elf %s: %s", t->elf, dwfl_errmsg(-1) ? dwfl_errmsg(-1) : "no line tables");
    } else {
        while ((unit = dwfl_module_nextcu(mod, unit, &bias)))
            add_unit(c, unit, bias, &l);
        write_lines(&l, f);
    }
    if (dw)
        dwfl_end(dw);
    free(l.line);
    return ret;
}
#else
static int write_lcov(const struct tool *t, const struct coverage *c, FILE *f, struct err *e)
{
    return err_set(e, -ENOTSUP, "--format lcov: this transom-trace was built without libdw");
}
#endif

/* ---- command ------------------------------------------------------------------------------------ */

static int write_coverage(struct tool *t, struct coverage *c, bool lcov, struct err *e)
{
    FILE *f = tool_out(t, e);
    struct err later;
    int ret = 0, closed;

    if (!f)
        return -EIO;
    if (c->n)
        qsort(c->seen, c->n, sizeof *c->seen, by_pc);
    if (lcov)
        ret = write_lcov(t, c, f, e);
    else
        write_drcov(c, t->elf ? t->elf : "guest", f);
    closed = tool_out_close(t, f, ret < 0 ? &later : e);
    return ret < 0 ? ret : closed;
}

int cmd_coverage(struct tool *t, struct err *e)
{
    const char *format = t->format ? t->format : "drcov";
    bool lcov = !strcmp(format, "lcov");
    struct trace_reader *r;
    struct coverage *c;
    int ret;

    if (!lcov && strcmp(format, "drcov"))
        return err_set(e, -EINVAL, "--format %s: drcov or lcov is wanted", format);
    if (lcov && !t->elf)
        return err_set(e, -EINVAL, "--format lcov: wants --elf FILE, the guest's program with its DWARF");
    r = trace_open(t->file[0], e);
    if (!r)
        return -EINVAL;
    c = xzalloc(sizeof *c);
    collect(t, r, c);
    ret = write_coverage(t, c, lcov, e);
    if (ret == 0)
        ret = tool_damage(r, t->file[0]);
    free(c->seen);
    free(c);
    trace_close(r);
    return ret;
}
