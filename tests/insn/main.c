/*
 * main.c - insn [-seed N] [-count N] [-sequences N] [-bits N] [-row NAME] [-phase N] [-case K] [-v]
 *              [FILE...]: only these stored cases
 *
 * Runs every row of the instruction table that an unprivileged program may use:
 * random encodings and operands alone, then random short sequences, which is
 * where flags, temporaries and block ends meet. Exit status 1: states differ.
 */
#include "tests/insn/insn.h"
#include "target-x86/insn-table.h"
#include "tcg/tcg-int.h"
#include <dirent.h>
#include <stdlib.h>
#include <unistd.h>

#define MAX_ROWS 4096
#define MAX_ENGINES 4

struct options {
    uint64_t seed;
    unsigned count, sequences, shown;
    const char *row;
    long phase;                   /* 5000: integer sequences, 5001: all; 5002, 5003: of 32-bit code;
                                   * + 10: programs */
    long only;                    /* case number, or -1 */
    unsigned bits;                /* only this code size, or 0 */
    const char *expected;         /* file of known answers */
    const char *rows;             /* file to be written: all rows, which of them ran here */
    const char *cases;            /* folder of stored cases */
    char **files;                 /* only these; or NULL */
    bool verbose, integer, record;
    bool kept;                    /* blocks through images, in the place of those not optimised */
};

struct bench {
    struct engine engine[MAX_ENGINES];
    unsigned n_engines;
    struct x86_model model;
    struct options opt;
    unsigned differ, seq_differ, stored, stored_differ;
    bool row_tested[MAX_ROWS];
    uint64_t cases;
    struct tcase c;
    struct state out[MAX_ENGINES];
};

/* ---- comparing -------------------------------------------------------------------- */

static bool same_x87(const struct x86_fxarea *a, const struct x86_fxarea *b)
{
    if (a->fcw != b->fcw || a->fsw != b->fsw || a->ftw != b->ftw)
        return false;
    for (unsigned i = 0; i < 8; i++)
        if (memcmp(a->st[i], b->st[i], 10))
            return false;
    return true;
}

static bool same_fpu(const struct fpu *a, const struct fpu *b)
{
    return a->fx.mxcsr == b->fx.mxcsr && !memcmp(a->fx.xmm, b->fx.xmm, sizeof(a->fx.xmm)) &&
           !memcmp(a->ymmh, b->ymmh, sizeof(a->ymmh)) && !memcmp(&a->z, &b->z, sizeof(a->z)) &&
           same_x87(&a->fx, &b->fx);
}

#define FLAGS_COMPARED (EF_ARITH | EF_DF)

/*
 * A vector or x87 instruction whose operand faults may have marked the MMX state
 * in use or set MXCSR flags already: silicon does for some.
 */
static bool same_fpu_end(const struct tcase *c, const struct state *a, const struct state *b)
{
    if (c->fpu && a->vector >= EXC_SS && a->vector <= EXC_PF)
        return !memcmp(a->f.fx.xmm, b->f.fx.xmm, sizeof(a->f.fx.xmm)) &&
               !memcmp(a->f.ymmh, b->f.ymmh, sizeof(a->f.ymmh)) &&
               !memcmp(&a->f.z, &b->f.z, sizeof(a->f.z));
    return same_fpu(&a->f, &b->f);
}

/*
 * #SS for a non-canonical stack address is reported as #GP: see target.c. A vector
 * operand both misaligned and beyond its stack segment: silicon looks at alignment first.
 */
static bool same_vector(const struct tcase *c, int a, int b)
{
    return a == b || (a == EXC_SS && b == EXC_GP) || (c->fpu && c->bits == 16 && a == EXC_GP && b == EXC_SS);
}

static bool same_cr2(const struct tcase *c, const struct state *a, const struct state *b)
{
    uint64_t at = a->pc - CODE_VA - c->off;

    return at >= c->len ? a->cr2 == b->cr2
                        : same_address(c->code + at, c->len - (unsigned)at, c->bits, a->error, a->cr2, b->cr2);
}

/* @exact: to the last bit also where results are approximations */
static bool same(const struct tcase *c, const struct state *a, const struct state *b, bool exact)
{
    if (!same_vector(c, a->vector, b->vector) || a->pc != b->pc || memcmp(a->r, b->r, sizeof(a->r)))
        return false;
    if ((a->flags ^ b->flags) & FLAGS_COMPARED & ~(exact && c->n == 1 && !c->stored ? c->ignore_host : c->ignore))
        return false;
    if (a->vector >= 0 && (a->error != b->error || (a->vector == EXC_PF && !same_cr2(c, a, b))))
        return false;
    return !memcmp(a->data, b->data, DATA_BYTES) && !memcmp(a->stack, b->stack, STACK_BYTES) &&
           ((c->approximate && !exact) || same_fpu_end(c, a, b));
}

/* engines whose state differs from the first one's, as a mask */
static unsigned run_case(struct bench *b, struct tcase *c)
{
    unsigned bad = 0;

    for (unsigned i = 0; i < b->n_engines; i++) {
        b->engine[i].run(&b->engine[i], c, &b->out[i]);
        if (i && !same(c, &b->out[0], &b->out[i], !b->engine[i].portable))
            bad |= 1u << i;
    }
    b->cases++;
    return bad;
}

/* ---- showing ------------------------------------------------------------------------ */

static void show_bytes(const char *what, const uint8_t *init, const uint8_t *a, const uint8_t *b, unsigned n,
                       uint64_t va)
{
    unsigned shown = 0;

    for (unsigned i = 0; i < n && shown < 16; i++)
        if (a[i] != b[i]) {
            printf("    %s %#llx: was %02x, %02x, here %02x\n", what, (unsigned long long)(va + i), init[i], a[i], b[i]);
            shown++;
        }
}

static void show_vec(const struct fpu *i, const struct fpu *a, const struct fpu *b)
{
    for (unsigned k = 0; k < 16; k++) {
        show_bytes("xmm byte", i->fx.xmm[k], a->fx.xmm[k], b->fx.xmm[k], 16, k * 0x100);
        show_bytes("ymmh byte", i->ymmh[k], a->ymmh[k], b->ymmh[k], 16, k * 0x100);
        show_bytes("zmmh byte", i->z.zmmh[k], a->z.zmmh[k], b->z.zmmh[k], 32, k * 0x100);
        show_bytes("zmm16.. byte", i->z.hi16[k], a->z.hi16[k], b->z.hi16[k], 64, k * 0x100);
    }
    for (unsigned k = 0; k < 8; k++)
        if (a->z.k[k] != b->z.k[k])
            printf("    k%u was %#llx, %#llx, here %#llx\n", k, (unsigned long long)i->z.k[k],
                   (unsigned long long)a->z.k[k], (unsigned long long)b->z.k[k]);
    if (a->fx.mxcsr != b->fx.mxcsr)
        printf("    mxcsr was %#x, %#x, here %#x\n", i->fx.mxcsr, a->fx.mxcsr, b->fx.mxcsr);
    if (a->fx.fcw != b->fx.fcw || a->fx.fsw != b->fx.fsw || a->fx.ftw != b->fx.ftw)
        printf("    fcw fsw ftw was %04x %04x %02x, %04x %04x %02x, here %04x %04x %02x\n", i->fx.fcw, i->fx.fsw,
               i->fx.ftw, a->fx.fcw, a->fx.fsw, a->fx.ftw, b->fx.fcw, b->fx.fsw, b->fx.ftw);
    for (unsigned k = 0; k < 8; k++)
        show_bytes("st byte", i->fx.st[k], a->fx.st[k], b->fx.st[k], 10, k * 0x100);
}

static void show_difference(const struct tcase *c, const struct state *a, const struct state *b)
{
    if (a->vector != b->vector || a->pc != b->pc || a->error != b->error || a->cr2 != b->cr2)
        printf("    end: vector=%d error=%#x cr2=%#llx pc=%#llx, here vector=%d error=%#x cr2=%#llx pc=%#llx\n",
               a->vector, a->error, (unsigned long long)a->cr2, (unsigned long long)a->pc, b->vector, b->error,
               (unsigned long long)b->cr2, (unsigned long long)b->pc);
    for (unsigned i = 0; i < 16; i++)
        if (a->r[i] != b->r[i])
            printf("    r%u was %#llx, %#llx, here %#llx\n", i, (unsigned long long)c->init.r[i],
                   (unsigned long long)a->r[i], (unsigned long long)b->r[i]);
    if ((a->flags ^ b->flags) & FLAGS_COMPARED & ~c->ignore)
        printf("    flags was %#x, %#x, here %#x (differ %#x)\n", (unsigned)c->init.flags, (unsigned)a->flags,
               (unsigned)b->flags, (unsigned)((a->flags ^ b->flags) & FLAGS_COMPARED & ~c->ignore));
    show_bytes("data", c->init.data, a->data, b->data, DATA_BYTES, DATA_VA);
    show_bytes("stack", c->init.stack, a->stack, b->stack, STACK_BYTES, STACK_VA);
    show_vec(&c->init.f, &a->f, &b->f);
}

static void show_case(struct bench *b, const char *what, unsigned bad)
{
    const struct tcase *c = &b->c;

    printf("--- %s: seed=%llu", what, (unsigned long long)b->opt.seed);
    for (unsigned i = 1; i < b->n_engines; i++)
        if (bad >> i & 1)
            printf(" [%s]", b->engine[i].name);
    printf(" differs from %s\n", b->engine[0].name);
    tcg_disas(stdout, c->code, c->len, CODE_VA + c->off, c->bits);
    printf("  bytes:");
    for (unsigned i = 0; i < c->len; i++)
        printf(" %02x", c->code[i]);
    printf("\n  flags=%#x", (unsigned)c->init.flags);
    for (unsigned i = 0; i < 16; i++)
        printf(" r%u=%#llx", i, (unsigned long long)c->init.r[i]);
    printf("\n");
    for (unsigned i = 1; i < b->n_engines; i++)
        if (bad >> i & 1) {
            printf("  %s (was / %s / here):\n", b->engine[i].name, b->engine[0].name);
            show_difference(c, &b->out[0], &b->out[i]);
        }
    fflush(stdout);
}

/* run again with IR and host code shown */
static void show_translation(struct bench *b, unsigned bad)
{
    struct err e;

    for (unsigned i = 1; i < b->n_engines; i++) {
        if (!(bad >> i & 1) || log_set_items("op,op_opt,out_asm", &e))
            continue;
        printf("  translation, %s:\n", b->engine[i].name);
        fflush(stdout);
        b->engine[i].run(&b->engine[i], &b->c, &b->out[i]);
        fflush(NULL);
        log_mask = 0;
    }
}

/* ---- cases ------------------------------------------------------------------------------ */

static uint64_t case_seed(const struct bench *b, unsigned row, unsigned k)
{
    return b->opt.seed * 1000003ull + row * 7919ull * 65536 + k;
}

/* Drop instructions while the same engines still differ. */
static unsigned reduce(struct bench *b, unsigned bad)
{
    struct tcase best = b->c;
    bool again = true;

    while (again) {
        again = false;
        for (unsigned i = 0; i < best.n && best.n > 1; i++) {
            b->c = best;
            for (unsigned k = i; k + 1 < best.n; k++)
                b->c.in[k] = best.in[k + 1];
            b->c.n--;
            for (unsigned k = 0; k < b->c.n; k++)
                if (b->c.in[k].rel && b->c.in[k].target > (int)i)
                    b->c.in[k].target--;
            case_assemble(&b->c);
            if (run_case(b, &b->c) & bad) {
                best = b->c;
                again = true;
                break;
            }
        }
    }
    b->c = best;
    return run_case(b, &b->c);
}

static void report(struct bench *b, const char *what, unsigned bad)
{
    if (b->opt.shown == 0 && !b->opt.verbose)
        return;
    if (b->opt.shown)
        b->opt.shown--;
    show_case(b, what, bad);
    if (b->opt.verbose)
        show_translation(b, bad);
}

/* false: the row differs, or never produced a case */
static bool test_row(struct bench *b, unsigned row, unsigned bits)
{
    unsigned ran = 0, differ = 0;
    char what[96];

    for (unsigned k = 0; k < b->opt.count * 4 && ran < b->opt.count; k++) {
        if (b->opt.only >= 0 && b->opt.only != (long)k)
            continue;
        rng_seed(case_seed(b, row_id(row) ^ bits, k));
        if (!gen_single(&b->c, row, bits, &b->model))
            continue;
        ran++;
        unsigned bad = run_case(b, &b->c);
        if (bad && !differ++) {
            snprintf(what, sizeof(what), "-bits %u -row %s (%u) -case %u", bits, x86_row_name(row), row, k);
            report(b, what, bad);
        }
    }
    if (!b->opt.count)
        return true;
    if (!ran && b->opt.only < 0)
        printf("row %u %s: no encoding came out in %u-bit code\n", row, x86_row_name(row), bits);
    if (differ)
        printf("row %u %s: %u of %u cases differ\n", row, x86_row_name(row), differ, ran);
    b->row_tested[row] |= ran > 0;
    return ran && !differ;
}

static void test_sequences(struct bench *b, const uint16_t *rows, unsigned n, unsigned bits, unsigned salt,
                           unsigned count)
{
    char what[96];

    for (unsigned k = 0; k < count; k++) {
        if (b->opt.only >= 0 && b->opt.only != (long)k)
            continue;
        rng_seed(case_seed(b, salt, k));
        if (!(salt >= 5010 ? gen_program : gen_sequence)(&b->c, rows, n, bits, &b->model))
            continue;
        unsigned bad = run_case(b, &b->c);
        if (!bad)
            continue;
        b->seq_differ++;
        if (b->opt.shown || b->opt.verbose) {
            bad = reduce(b, bad);
            snprintf(what, sizeof(what), "-phase %u -case %u", salt, k);
            report(b, what, bad);
        }
    }
}

/* ---- all -------------------------------------------------------------------------------- */

static bool parse(struct options *o, int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        bool more = i + 1 < argc;
        if (!strcmp(argv[i], "-v"))
            o->verbose = true;
        else if (!strcmp(argv[i], "-seed") && more)
            o->seed = strtoull(argv[++i], NULL, 0);
        else if (!strcmp(argv[i], "-count") && more)
            o->count = (unsigned)strtoul(argv[++i], NULL, 0);
        else if (!strcmp(argv[i], "-sequences") && more)
            o->sequences = (unsigned)strtoul(argv[++i], NULL, 0);
        else if (!strcmp(argv[i], "-row") && more)
            o->row = argv[++i];
        else if (!strcmp(argv[i], "-case") && more)
            o->only = strtol(argv[++i], NULL, 0);
        else if (!strcmp(argv[i], "-show") && more)
            o->shown = (unsigned)strtoul(argv[++i], NULL, 0);
        else if (!strcmp(argv[i], "-bits") && more)
            o->bits = (unsigned)strtoul(argv[++i], NULL, 0);
        else if (!strcmp(argv[i], "-phase") && more)
            o->phase = strtol(argv[++i], NULL, 0);
        else if (!strcmp(argv[i], "-expected") && more)
            o->expected = argv[++i];
        else if (!strcmp(argv[i], "-rows") && more)
            o->rows = argv[++i];
        else if (!strcmp(argv[i], "-cases") && more)
            o->cases = argv[++i];
        else if (argv[i][0] != '-') {
            o->files = argv + i;
            return true;
        } else if (!strcmp(argv[i], "-record"))
            o->record = true;
        else if (!strcmp(argv[i], "-integer"))
            o->integer = true;
        else if (!strcmp(argv[i], "-kept"))
            o->kept = true;
        else
            return false;
    }
    return true;
}

static bool add_engines(struct bench *b)
{
    struct engine *e = b->engine;
    struct err err;

    if (x86_model_parse("host", &b->model, &err)) {
        fprintf(stderr, "insn: %s\n", err.msg);
        return false;
    }
    b->n_engines += native_engine(e);
    b->n_engines += guest_engine(&e[b->n_engines], "interpreter", true, true, false, &b->model);
#ifdef __x86_64__
    if (!b->opt.kept)
        b->n_engines += guest_engine(&e[b->n_engines], "translated", false, false, false, &b->model);
    b->n_engines += guest_engine(&e[b->n_engines], "optimised", false, true, false, &b->model);
    if (b->opt.kept)
        b->n_engines += guest_engine(&e[b->n_engines], "kept", false, true, true, &b->model);
#endif
    return b->n_engines > 0;
}

/* the back end installs its fault handlers when it first runs */
static void warm_up(struct bench *b)
{
    rng_seed(1);
    memset(&b->c, 0, sizeof(b->c));
    b->c = (struct tcase){ .n = 1, .bits = 64, .in[0] = { .b = { 0x90 }, .n = 1, .target = -1 } };
    b->c.init.f.fx.fcw = 0x37f;
    b->c.init.f.fx.mxcsr = 0x1f80;
    case_assemble(&b->c);
    for (unsigned i = 0; i < b->n_engines; i++)
        b->engine[i].run(&b->engine[i], &b->c, &b->out[i]);
}

/* all rows alone, then sequences of those that pass */
static void test_mode(struct bench *b, unsigned bits)
{
    uint16_t integer[MAX_ROWS], all[MAX_ROWS];
    unsigned n_int = 0, n_all = 0, salt = bits == 64 ? 5000 : bits == 32 ? 5002 : 5004;
    const struct options *o = &b->opt;
    bool singles = o->row || o->only < 0;

    for (unsigned i = 1; i < x86_row_count(); i++) {
        if (gen_wanted(i, bits, &b->model) || (o->integer && i > x86_last_integer_row()))
            continue;
        if (singles && (!o->row || !strcmp(o->row, x86_row_name(i))) && !test_row(b, i, bits)) {
            b->differ++;
            continue;             /* known already: sequences are for what alone is right */
        }
        if (!case_approximate(i))
            all[n_all++] = (uint16_t)i;
        if (i <= x86_last_integer_row())
            integer[n_int++] = (uint16_t)i;
    }
    if (o->row)
        return;
    if (!o->phase || o->phase == salt)
        test_sequences(b, integer, n_int, bits, salt, o->sequences);
    if (!o->integer && (!o->phase || o->phase == salt + 1))
        test_sequences(b, all, n_all, bits, salt + 1, o->sequences / 3);
    if (bits != 16 && (!o->phase || o->phase == salt + 10))
        test_sequences(b, integer, n_int, bits, salt + 10, o->sequences / 3);
}

/* ---- known answers --------------------------------------------------------------------- */

/* every feature on: the same encodings wherever the file is used */
static void full_model(struct x86_model *m, const struct x86_model *like)
{
    *m = *like;
    memset(m->feat, 0xff, sizeof(m->feat));
}

/* Lines of the rows whose cases every engine agrees on. */
static void record(struct bench *b)
{
    struct x86_model full;
    struct expected x[MAX_ENGINES];

    full_model(&full, &b->model);
    for (unsigned bits = 64; bits >= 16; bits /= 2)
        for (unsigned row = 1; row < x86_row_count(); row++) {
            bool agree = !gen_wanted(row, bits, &b->model);
            for (unsigned i = 0; agree && i < b->n_engines; i++)
                agree = expected_hash(&b->engine[i], row, bits, &full, &b->c, &b->out[0], &x[i]) &&
                        x[i].results == x[0].results;
            if (agree)
                printf("%u %08x %08x %08x\n", bits, x[0].id, x[0].inputs, x[0].results);
        }
}

static const struct expected *find_expected(const struct expected *list, unsigned n, unsigned bits, uint32_t id)
{
    for (unsigned i = 0; i < n; i++)
        if (list[i].id == id && list[i].bits == bits)
            return &list[i];
    return NULL;
}

/* The last engine against the file. */
static void check_expected(struct bench *b)
{
    static struct expected list[3 * MAX_ROWS];
    struct x86_model full;
    struct expected x;
    unsigned n, checked = 0, other = 0;

    if (!expected_read(b->opt.expected, list, ARRAY_SIZE(list), &n)) {
        printf("insn: cannot read %s\n", b->opt.expected);
        b->differ++;
        return;
    }
    full_model(&full, &b->model);
    for (unsigned bits = 64; bits >= 16; bits /= 2)
        for (unsigned row = 1; row < x86_row_count(); row++) {
            const struct expected *want = find_expected(list, n, bits, row_id(row));
            if (!want || gen_wanted(row, bits, &b->model) ||
                !expected_hash(&b->engine[b->n_engines - 1], row, bits, &full, &b->c, &b->out[0], &x))
                continue;
            checked++;
            b->row_tested[row] = true;
            if (x.inputs != want->inputs) {
                other++;
            } else if (x.results != want->results) {
                printf("row %u %s: not the known answer in %u-bit code\n", row, x86_row_name(row), bits);
                b->differ++;
            }
        }
    b->differ += other > checked / 8;     /* not a few odd ones: the generator has changed */
    printf("insn: %u known answers, %u checked, %u not comparable\n", n, checked, other);
}

/* ---- stored cases ---------------------------------------------------------------------- */

static bool host_has(struct bench *b, const struct tcase *c, bool has_16)
{
    struct x86_insn in;

    for (unsigned i = 0; i < c->n; i++)
        if (x86_decode_with(c->in[i].b, c->in[i].n, c->bits, &b->model, &in) < 1)
            return false;
    return c->bits != 16 || has_16;
}

static void run_file(struct bench *b, const char *name, bool has_16)
{
    FILE *f = fopen(name, "r");
    unsigned line = 0, bad;

    if (!f || !case_read(f, &b->c, &line)) {
        printf("insn: %s:%u: not a case\n", name, line);
        b->differ++;
    } else if (b->c.stored = true, !host_has(b, &b->c, has_16)) {
        printf("insn: %s: skipped, this host has no such instruction or segment\n", name);
    } else if ((bad = run_case(b, &b->c))) {
        b->stored_differ++;
        report(b, name, bad);
    }
    b->stored++;
    if (f)
        fclose(f);
}

static void run_folder(struct bench *b, const char *dir, bool has_16)
{
    struct dirent **list;
    int n = scandir(dir, &list, NULL, alphasort);

    for (int i = 0; i < n; i++) {
        char *name = xasprintf("%s/%s", dir, list[i]->d_name);
        if (list[i]->d_name[0] != '.')
            run_file(b, name, has_16);
        free(name);
        free(list[i]);
    }
    if (n < 0) {
        printf("insn: cannot read %s\n", dir);
        b->differ++;
    } else {
        free(list);
    }
    printf("insn: %u stored cases, %u differ\n", b->stored, b->stored_differ);
}

static void summary(const struct bench *b)
{
    unsigned tested = 0;

    for (unsigned i = 1; i < x86_row_count(); i++)
        tested += b->row_tested[i];
    if (!b->opt.row && !b->opt.integer && b->opt.only < 0) {
        printf("insn: not tested here:");
        for (unsigned i = 1; i < x86_row_count(); i++)
            if (!b->row_tested[i])
                printf(" %s", x86_row_name(i));
        printf("\n");
    }
    printf("insn: %u rows, %u tested on %u engines, %u differ; %llu cases, %u sequences differ\n",
           x86_row_count() - 1, tested, b->n_engines, b->differ, (unsigned long long)b->cases, b->seq_differ);
}

static bool row_offered(unsigned row, const struct x86_model *m)
{
    unsigned ft = x86_rows[row].attr >> AB_FT_SHIFT & 255;

    return !ft || m->feat[x86_ft_bits[ft].word] >> x86_ft_bits[ft].bit & 1;
}

/* one line a row, as -d insn_rows names it, and whether it ran here or no CPU model has it on this host */
static bool write_rows(const struct bench *b)
{
    FILE *f = fopen(b->opt.rows, "w");
    struct x86_model all;
    struct err e;

    if (!f || x86_model_parse("max,+monitor,+clzero", &all, &e)) {
        fprintf(stderr, "insn: cannot write %s\n", b->opt.rows);
        return false;
    }
    for (unsigned i = 1; i < x86_row_count(); i++)
        fprintf(f, "row=%u name=%s%s\n", i, x86_row_name(i),
                b->row_tested[i] ? " tested" : row_offered(i, &all) ? "" : " absent");
    return !fclose(f);
}

static void free_engines(struct bench *b)
{
    for (unsigned i = 0; i < b->n_engines; i++)
        if (b->engine[i].free)
            b->engine[i].free(&b->engine[i]);
}

static void test_all(struct bench *b, bool has_16)
{
    for (unsigned bits = 64; bits >= 16; bits /= 2)
        if (b->n_engines > 1 && (!b->opt.bits || b->opt.bits == bits) && (bits != 16 || has_16))
            test_mode(b, bits);
    if (!b->opt.row && b->opt.only < 0)
        check_expected(b);
    if (!b->opt.row && b->opt.only < 0 && b->n_engines > 1)
        run_folder(b, b->opt.cases, has_16);
    summary(b);
}

int main(int argc, char **argv)
{
    static struct bench bench;
    struct bench *b = &bench;
    char dir[] = "/tmp/transom-insn-XXXXXX", file[sizeof(dir) + 8];
    bool has_16;

    b->opt = (struct options){ .seed = 1, .count = 60, .sequences = 60000, .shown = 20, .only = -1,
                                .expected = "tests/insn/expected.txt", .cases = "tests/insn/cases" };
    if (!parse(&b->opt, argc, argv)) {
        fprintf(stderr, "usage: insn [-seed N] [-count N] [-sequences N] [-bits 16|32|64] [-row NAME] [-phase N]\n"
                "            [-case K] [-integer] [-kept] [-show N] [-v]\n"
                "            [-expected FILE] [-rows FILE] [-record > FILE] [-cases DIR] [FILE...]\n");
        return 2;
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (b->opt.kept && !mkdtemp(dir)) {
        perror(dir);
        return 1;
    }
    snprintf(file, sizeof(file), "%s/kept", dir);
    guest_keep(b->opt.kept ? file : NULL);
    if (!add_engines(b))
        return 1;
    warm_up(b);
    watchdog_start();
    if (!b->opt.record)
        printf("insn: seed %llu\n", (unsigned long long)b->opt.seed);
    has_16 = native_has_16();
    for (char **f = b->opt.files; f && *f; f++)
        run_file(b, *f, has_16);
    if (b->opt.files)
        printf("insn: %u stored cases, %u differ\n", b->stored, b->stored_differ);
    else if (b->opt.record && has_16)
        record(b);
    else
        test_all(b, has_16);
    if (b->opt.rows && !write_rows(b))
        b->differ++;
    free_engines(b);
    if (b->opt.kept) {
        rmdir(dir);
        printf("insn: %llu blocks taken from the cache file\n", (unsigned long long)guest_taken());
        b->differ += !guest_taken();
    }
    return b->differ || b->seq_differ || b->stored_differ;
}
