/*
 * monitor-mem.c - expressions and memory dumps: x, xp, print
 */
#include <ctype.h>
#include <stdlib.h>
#include "ui/monitor-int.h"

#define DEPTH_MAX 64       /* parentheses and signs */
#define COUNT_MAX 65536    /* items of one dump */

/* ---- expressions ------------------------------------------------------------ */

struct expr {
    struct monitor *mon;
    const char *s;
    unsigned depth;
    struct err *e;
    int rc;             /* first error; the value is then meaningless */
};

static uint64_t expr_sum(struct expr *x);

static uint64_t expr_fail(struct expr *x, const char *why)
{
    if (!x->rc)
        x->rc = err_set(x->e, -EINVAL, "%s at '%s'", why, x->s);
    return 0;
}

static void skip_blanks(struct expr *x)
{
    while (isspace((unsigned char)*x->s))
        x->s++;
}

static uint64_t expr_register(struct expr *x)
{
    const struct monitor_hooks *h = monitor_hooks(x->mon);
    uint64_t val = 0;
    char name[16];
    size_t n = 0;

    x->s++;
    while (isalnum((unsigned char)x->s[n]) || x->s[n] == '_')
        n++;
    snprintf(name, sizeof(name), "%.*s", (int)n, x->s);
    if (!h->reg || n >= sizeof(name) || !h->reg(h->opaque, monitor_cpu(x->mon), name, &val))
        return expr_fail(x, "unknown register");
    x->s += n;
    return val;
}

static uint64_t expr_number(struct expr *x)
{
    char *end;
    uint64_t val;

    if (!isdigit((unsigned char)*x->s))
        return expr_fail(x, "number expected");
    errno = 0;
    val = strtoull(x->s, &end, 0);
    if (errno)
        return expr_fail(x, "number too large");
    x->s = end;
    return val;
}

static uint64_t expr_unary(struct expr *x)
{
    uint64_t val;

    if (++x->depth > DEPTH_MAX)
        return expr_fail(x, "expression too deep");
    skip_blanks(x);
    switch (*x->s) {
    case '-':
        x->s++;
        val = -expr_unary(x);
        break;
    case '+':
        x->s++;
        val = expr_unary(x);
        break;
    case '~':
        x->s++;
        val = ~expr_unary(x);
        break;
    case '(':
        x->s++;
        val = expr_sum(x);
        if (*x->s != ')')
            val = expr_fail(x, "')' expected");
        else
            x->s++;
        break;
    case '$':
        val = expr_register(x);
        break;
    default:
        val = expr_number(x);
        break;
    }
    x->depth--;
    skip_blanks(x);
    return val;
}

static uint64_t expr_product(struct expr *x)
{
    uint64_t val = expr_unary(x), rhs;

    while (!x->rc && *x->s && strchr("*/%", *x->s)) {
        char op = *x->s++;

        rhs = expr_unary(x);
        if (op == '*')
            val *= rhs;
        else if (!rhs)
            return expr_fail(x, "division by zero");
        else
            val = op == '/' ? val / rhs : val % rhs;
    }
    return val;
}

static uint64_t expr_bits(struct expr *x)
{
    uint64_t val = expr_product(x);

    while (!x->rc && *x->s && strchr("&|^", *x->s)) {
        char op = *x->s++;
        uint64_t rhs = expr_product(x);

        val = op == '&' ? val & rhs : op == '|' ? val | rhs : val ^ rhs;
    }
    return val;
}

static uint64_t expr_sum(struct expr *x)
{
    uint64_t val = expr_bits(x);

    while (!x->rc && (*x->s == '+' || *x->s == '-')) {
        char op = *x->s++;
        uint64_t rhs = expr_bits(x);

        val = op == '+' ? val + rhs : val - rhs;
    }
    return val;
}

int monitor_eval(struct monitor *mon, const char **s, uint64_t *val, struct err *e)
{
    struct expr x = { .mon = mon, .s = *s, .e = e };

    *val = expr_sum(&x);
    *s = x.s;
    return x.rc;
}

#define INSN_BYTES 15

/* ---- formats ---------------------------------------------------------------------- */

struct format {
    unsigned count, bytes;
    char letter;        /* x d u o c i */
};

/* "/4xw " and the like at *@s; without a slash the defaults stay. */
static int parse_format(const char **s, struct format *f, struct err *e)
{
    const char *p = *s;

    if (*p != '/')
        return 0;
    p++;
    if (isdigit((unsigned char)*p)) {
        char *end;
        unsigned long n = strtoul(p, &end, 10);

        if (n > COUNT_MAX)
            return err_set(e, -EINVAL, "at most %d items", COUNT_MAX);
        f->count = n;
        p = end;
    }
    for (; *p && !isspace((unsigned char)*p); p++) {
        static const char sizes[] = "bhwg";
        const char *size = strchr(sizes, *p);

        if (size)
            f->bytes = 1u << (size - sizes);
        else if (strchr("xduoci", *p))
            f->letter = *p;
        else
            return err_set(e, -EINVAL, "unknown format letter '%c'", *p);
    }
    while (isspace((unsigned char)*p))
        p++;
    *s = p;
    return 0;
}

static void print_value(struct monitor *mon, const struct format *f, uint64_t val)
{
    unsigned long long v = val & size_mask(f->bytes);

    switch (f->letter) {
    case 'd':
        monitor_printf(mon, "%lld", (long long)sext(val, f->bytes));
        break;
    case 'u':
        monitor_printf(mon, "%llu", v);
        break;
    case 'o':
        monitor_printf(mon, "%#llo", v);
        break;
    case 'c':
        monitor_printf(mon, v >= ' ' && v < 0x7f ? "'%c'" : "'\\x%02x'",
                       (int)(v & 0xff));
        break;
    default:
        monitor_printf(mon, "0x%0*llx", (int)f->bytes * 2, v);
        break;
    }
}

/* Bytes at a virtual address, page by page; false: not mapped. */
static bool read_virtual(struct monitor *mon, gva_t va, uint8_t *buf, unsigned n)
{
    const struct monitor_hooks *h = monitor_hooks(mon);
    gpa_t pa;

    for (unsigned i = 0; i < n; i++) {
        if (!h->translate(h->opaque, monitor_cpu(mon), va + i, &pa))
            return false;
        mem_read(&monitor_machine(mon)->mem, pa, buf + i, 1);
    }
    return true;
}

static void dump(struct monitor *mon, const struct format *f, uint64_t addr, bool physical)
{
    unsigned per_line = f->letter == 'c' ? 8 : 16 / f->bytes;

    for (unsigned i = 0; i < f->count; i++, addr += f->bytes) {
        uint8_t raw[8] = { 0 };

        if (i % per_line == 0)
            monitor_printf(mon, "%s%016llx:", i ? "\n" : "", (unsigned long long)addr);
        if (physical) {
            mem_read(&monitor_machine(mon)->mem, addr, raw, f->bytes);
        } else if (!read_virtual(mon, addr, raw, f->bytes)) {
            monitor_printf(mon, " not mapped");
            break;
        }
        monitor_printf(mon, " ");
        print_value(mon, f, ldl64(raw));
    }
    if (f->count)
        monitor_printf(mon, "\n");
}

/* As many bytes as there are, up to @n. */
static unsigned read_code(struct monitor *mon, uint64_t addr, uint8_t *buf, unsigned n, bool physical)
{
    unsigned got = 0;

    if (physical) {
        mem_read(&monitor_machine(mon)->mem, addr, buf, n);
        return n;
    }
    while (got < n && read_virtual(mon, addr + got, buf + got, 1))
        got++;
    return got;
}

static void list_code(struct monitor *mon, unsigned count, uint64_t addr, bool physical)
{
    const struct monitor_hooks *h = monitor_hooks(mon);

    for (unsigned i = 0; i < count; i++) {
        uint8_t code[INSN_BYTES];
        unsigned got = read_code(mon, addr, code, sizeof code, physical), len = 0;
        char text[400] = "";

        if (got && h->list)
            len = h->list(h->opaque, monitor_cpu(mon), addr, code, got, text, sizeof text);
        monitor_printf(mon, "0x%08llx: %s%s\n", (unsigned long long)addr, text,
                       !got ? " not mapped" : !h->list ? " no disassembler here" : len ? "" : " (bad)");
        if (!got || !h->list)
            return;
        addr += len ? len : 1;
    }
}

static void dump_command(struct monitor *mon, const char *rest, bool physical)
{
    struct format f = { .count = 1, .bytes = 4, .letter = 'x' };
    struct err e = { "" };
    uint64_t addr;

    if (!physical && !monitor_hooks(mon)->translate) {
        monitor_printf(mon, "x: virtual memory is not available here (try xp)\n");
        return;
    }
    if (parse_format(&rest, &f, &e) || monitor_eval(mon, &rest, &addr, &e))
        monitor_printf(mon, "%s\n", e.msg);
    else if (*rest)
        monitor_printf(mon, "unexpected '%s'\n", rest);
    else if (f.letter == 'i')
        list_code(mon, f.count, addr, physical);
    else
        dump(mon, &f, addr, physical);
}

void cmd_x(struct monitor *mon, char *rest)
{
    dump_command(mon, rest, false);
}

void cmd_xp(struct monitor *mon, char *rest)
{
    dump_command(mon, rest, true);
}

void cmd_gva2gpa(struct monitor *mon, char *rest)
{
    const struct monitor_hooks *h = monitor_hooks(mon);
    const char *s = rest;
    struct err e = { "" };
    uint64_t va;
    gpa_t pa;

    if (!h->translate)
        monitor_printf(mon, "gva2gpa: not available\n");
    else if (monitor_eval(mon, &s, &va, &e) || *s)
        monitor_printf(mon, "%s\n", *e.msg ? e.msg : "gva2gpa: an address is wanted");
    else if (h->translate(h->opaque, monitor_cpu(mon), va, &pa))
        monitor_printf(mon, "gpa: %#llx\n", (unsigned long long)pa);
    else
        monitor_printf(mon, "Unmapped\n");
}

void cmd_print(struct monitor *mon, char *rest)
{
    struct format f = { .count = 1, .bytes = 8, .letter = 'x' };
    const char *s = rest;
    struct err e = { "" };
    uint64_t val;

    if (parse_format(&s, &f, &e) || monitor_eval(mon, &s, &val, &e)) {
        monitor_printf(mon, "%s\n", e.msg);
    } else if (*s) {
        monitor_printf(mon, "unexpected '%s'\n", s);
    } else if (f.letter == 'x') {
        monitor_printf(mon, "%#llx\n", (unsigned long long)val);
    } else {
        print_value(mon, &f, val);
        monitor_printf(mon, "\n");
    }
}
