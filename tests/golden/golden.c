/*
 * golden.c - translates the cases, prints their host code, compares with what is stored
 *
 * golden DIR compares, golden --write DIR stores; one text a file of cases. What is
 * translated does not depend on this host's CPU: the guest's has every feature, and the
 * back end asks for none but those it cannot do without.
 */
#define _GNU_SOURCE
#include <stdlib.h>
#include <sys/mman.h>
#include "tests/golden/golden.h"
#include "tcg/tb-cache-int.h"

#define BASE 0x10000000u
#define PAGES 16u
#define CODE_AT 0x200u       /* in the page */
#define CACHE_BYTES (4 * MiB)
#define MAX_CASE 256u        /* guest bytes */
#define NAME_CHARS 64
#define SHOW_CASES 12        /* whose code is shown when it differs */

struct rig {
    uint8_t *ram;
    struct tcg *tcg;
    struct x86_cpu *cpu;
    struct x86_model model;
    struct x86_bus bus;
    struct listing *l;
    struct moved *moved;
    struct code_size all;
    unsigned n_cases, n_differ;
};

/* ---- the guest ------------------------------------------------------------------------ */

static enum phys_kind lookup(void *opaque, gpa_t gpa, uint8_t **host, uint32_t *page)
{
    struct rig *r = opaque;

    if (gpa < BASE || gpa >= BASE + PAGES * PAGE_SIZE)
        return PHYS_NONE;
    *host = r->ram + (gpa - BASE);
    *page = (uint32_t)((gpa - BASE) >> PAGE_BITS);
    return PHYS_RAM;
}

static uint64_t mmio_read(void *o, struct tcg_cpu *c, gpa_t gpa, unsigned size) { return ~0ull; }
static void mmio_write(void *o, struct tcg_cpu *c, gpa_t gpa, uint64_t v, unsigned size) { }
static uint64_t a20_mask(void *opaque) { return ~0ull; }

/* As of a program or kernel of today; by enum of case.inc. */
static uint32_t mode_of(int64_t kind)
{
    enum {
        COMMON = MODE_PE | MODE_SS32 | MODE_AVX | MODE_FLAT_CS,
        FLAT = COMMON | MODE_FLAT_DATA | MODE_FLAT_FSGS,
    };
    static const uint32_t modes[] = {
        FLAT | MODE_CODE64 | MODE_LONG | MODE_CPL3 | MODE_AVX512,
        FLAT | MODE_CODE64 | MODE_LONG | MODE_IOPL_OK | MODE_AVX512,
        FLAT | MODE_CODE32 | MODE_CPL3,
        COMMON | MODE_CODE32 | MODE_CPL3,
        MODE_CODE16 | MODE_IOPL_OK,
    };

    return modes[kind];
}

static const char *const kinds[] = { "user64", "kernel64", "user32", "seg32", "real16" };

static int rig_init(struct rig *r, struct err *e)
{
    struct phys_ops phys = { .lookup = lookup, .mmio_read = mmio_read, .mmio_write = mmio_write,
                             .n_ram_pages = PAGES, .opaque = r };
    struct tcg_config cfg = { .backend = TCG_BACKEND_HOST, .optimise = true, .cache_bytes = CACHE_BYTES };

    r->ram = aligned_alloc(PAGE_SIZE, PAGES * PAGE_SIZE);
    r->tcg = tcg_new(&x86_target, &cfg, &phys, e);
    r->cpu = r->tcg ? (struct x86_cpu *)tcg_cpu_alloc(r->tcg, e) : NULL;
    if (!r->cpu)
        return -ENOTSUP;
    memset(r->model.feat, 0xff, sizeof(r->model.feat));
    r->bus = (struct x86_bus){ .a20_mask = a20_mask, .opaque = r };
    r->cpu->model = &r->model;
    r->cpu->bus = &r->bus;
    r->tcg->relocs = true;
    r->moved = moved_new(r->tcg);
    r->l = listing_new(r->tcg);
    return r->l ? 0 : err_set(e, -ENOTSUP, "built without Capstone");
}

/* ---- one case -------------------------------------------------------------------------- */

static void key_of(struct rig *r, struct tb_key *k, int64_t kind, unsigned off)
{
    uint32_t mode = mode_of(kind);
    bool flat = mode & MODE_FLAT_CS;

    *k = (struct tb_key){ .mode = mode, .flat = flat, .lin = BASE + off, .pc = flat ? BASE + off : off,
                          .cs_base = flat ? 0 : BASE,
                          .cs_limit = (mode & MODE_CODE_MASK) == MODE_CODE16 ? 0xffff : 0xffffffff,
                          .pc_bytes = (mode & MODE_CODE_MASK) == MODE_CODE64 ? 8 : 4 };
    r->cpu->mode = mode;
    r->cpu->tcg.va_mask = k->pc_bytes == 8 ? ~0ull : 0xffffffff;
    r->cpu->tcg.pc = k->pc;
    r->cpu->tcg.pcbase = k->pc - (k->lin & PAGE_MASK);
}

/* Its blocks in order of address: a breakpoint ends the last one. */
static void translate(struct rig *r, const struct golden_case *c, unsigned len, FILE *f, struct code_size *size)
{
    struct tcg_break end = { .lin = BASE + CODE_AT + len, .mask = ~0ull };
    bool cold = !strcmp(c->file, "stubs");
    struct tb_key k;

    memset(r->ram, 0x90, PAGES * PAGE_SIZE);
    memcpy(r->ram + CODE_AT, c->code, len);
    tcg_flush_all(r->tcg, TCG_FLUSH_RESET);
    tcg_debug_set(r->tcg, &end, 1, NULL, 0);
    for (unsigned at = 0; at < len;) {
        struct tb *tb;

        key_of(r, &k, c->kind, CODE_AT + at);
        tb = tb_make(&r->cpu->tcg, &k, 0, true);
        assert(tb && tb->len);
        if (at)
            fprintf(f, "  block at +%#x\n", at);
        listing_block(r->l, tb, cold, f, size);
        moved_check(r->moved, tb, r->ram + CODE_AT + at, c->name);
        at += tb->len;
    }
}

/* The first instruction alone, over a page's end: code that a block has only there. */
static void translate_across(struct rig *r, const struct golden_case *c, unsigned len)
{
    struct tb_key k;
    struct tb *tb;

    memset(r->ram, 0x90, PAGES * PAGE_SIZE);
    memcpy(r->ram + PAGE_SIZE - 1, c->code, len);
    tcg_flush_all(r->tcg, TCG_FLUSH_RESET);
    tcg_debug_set(r->tcg, NULL, 0, NULL, 0);
    key_of(r, &k, c->kind, PAGE_SIZE - 1);
    tb = tb_make(&r->cpu->tcg, &k, 0, true);
    moved_check(r->moved, tb, r->ram + PAGE_SIZE - 1, c->name);
}

/* Was every kind of relocation there, and would each be missed? */
static bool moved_well(const struct moved_count *n)
{
    bool all = n->blocks && n->two_pages && !n->wrong && !n->unseen;

    for (unsigned i = 0; i < TR_PAGE2; i++)
        all &= n->left_out[i] > 0;
    printf("golden: %u blocks moved, %u of them in two pages: %u are not what they were; relocations left out on purpose:",
           n->blocks, n->two_pages, n->wrong);
    for (unsigned i = 0; i < TR_PAGE2; i++)
        printf(" %u", n->left_out[i]);
    printf(", %u unnoticed\n", n->unseen);
    return all;
}

static void print_case(struct rig *r, const struct golden_case *c, FILE *f)
{
    unsigned len = (unsigned)(c[1].code - c->code);
    struct code_size size = { 0 };
    char *text = NULL;
    size_t bytes;
    FILE *body = open_memstream(&text, &bytes);

    assert(len && len <= MAX_CASE);
    translate(r, c, len, body, &size);
    translate_across(r, c, len);
    fclose(body);
    fprintf(f, "%s %s: guest %u bytes, host %u insns %u bytes, out of line %u insns %u bytes\n%s\n",
            c->name, kinds[c->kind], len, size.insns, size.bytes, size.cold_insns, size.cold_bytes, text);
    free(text);
    r->n_cases++;
    r->all.insns += size.insns;
    r->all.bytes += size.bytes;
    r->all.cold_insns += size.cold_insns;
    r->all.cold_bytes += size.cold_bytes;
}

/* ---- comparing --------------------------------------------------------------------------- */

/* Two lines say the same when the parts before the tab do: the rest is the disassembler's. */
static bool same_line(const char *a, const char *b)
{
    size_t n = strcspn(a, "\t\n"), m = strcspn(b, "\t\n");

    return n == m && !memcmp(a, b, n);
}

static const char *next_line(const char *s)
{
    s += strcspn(s, "\n");
    return *s ? s + 1 : s;
}

/* Where the case after this one begins: cases end with an empty line. */
static const char *next_case(const char *s)
{
    while (*s && *s != '\n')
        s = next_line(s);
    return *s ? s + 1 : s;
}

static bool same_case(const char *a, const char *b)
{
    const char *a_end = next_case(a), *b_end = next_case(b);

    while (a < a_end && b < b_end && same_line(a, b)) {
        a = next_line(a);
        b = next_line(b);
    }
    return a == a_end && b == b_end;
}

/* The case of the same name and kind in @text, or NULL. */
static const char *find_case(const char *text, const char *head)
{
    size_t n = strcspn(head, ":");

    for (; *text; text = next_case(text))
        if (strcspn(text, ":") == n && !memcmp(text, head, n))
            return text;
    return NULL;
}

static void print_lines(const char *mark, const char *from)
{
    for (const char *end = next_case(from); from < end && *from != '\n'; from = next_line(from))
        printf("%s%.*s\n", mark, (int)strcspn(from, "\n"), from);
}

static void compare_texts(struct rig *r, const char *file, const char *was, const char *is)
{
    for (const char *c = is; *c; c = next_case(c)) {
        const char *old = find_case(was, c);

        if (old && same_case(old, c))
            continue;
        if (r->n_differ++ < SHOW_CASES) {
            printf("%s.S differs:\n", file);
            if (old)
                print_lines("-", old);
            print_lines("+", c);
        } else {
            if (old)
                printf("%s.S -%.*s\n", file, (int)strcspn(old, "\n"), old);
            printf("%s.S +%.*s\n", file, (int)strcspn(c, "\n"), c);
        }
    }
    for (const char *c = was; *c; c = next_case(c))
        if (!find_case(is, c) && ++r->n_differ)
            printf("%s.S: stored, but no case of that name: %.*s\n", file, (int)strcspn(c, ":"), c);
}

static char *read_file(const char *name)
{
    FILE *f = fopen(name, "r");
    char *text = NULL, buf[4096];
    size_t len, n;
    FILE *m = open_memstream(&text, &len);

    while (f && (n = fread(buf, 1, sizeof(buf), f)) > 0)
        fwrite(buf, 1, n, m);
    if (f)
        fclose(f);
    fclose(m);
    return text;
}

static int store(const char *name, const char *text)
{
    FILE *f = fopen(name, "w");

    if (!f || fputs(text, f) < 0 || fclose(f)) {
        fprintf(stderr, "golden: cannot write %s: %s\n", name, strerror(errno));
        return 1;
    }
    return 0;
}

/* The cases from @c on to the end of their file. */
static int do_file(struct rig *r, const struct golden_case *c, const char *dir, bool write)
{
    const char *file = c->file;
    char *name = xasprintf("%s/%s.txt", dir, file), *text = NULL, *was;
    size_t len;
    FILE *f = open_memstream(&text, &len);
    int ret = 0;

    for (; c->kind >= 0; c++)
        print_case(r, c, f);
    fclose(f);
    if (write) {
        ret = store(name, text);
    } else {
        was = read_file(name);
        compare_texts(r, file, was, text);
        free(was);
    }
    free(text);
    free(name);
    return ret;
}

static bool begins_file(const struct golden_case *c)
{
    return c == __start_golden_cases || c[-1].kind < 0;
}

int main(int argc, char **argv)
{
    bool write = argc == 3 && !strcmp(argv[1], "--write");
    struct rig r = { .n_cases = 0 };
    struct err e = { "" };
    struct moved_count moved;
    int ret = 0;

    if (argc != 2 && !write) {
        fprintf(stderr, "usage: golden [--write] DIR\n");
        return 1;
    }
    if (rig_init(&r, &e)) {
        printf("golden: skipped: %s\n", e.msg);
        return write;
    }
    for (const struct golden_case *c = __start_golden_cases; c < __stop_golden_cases; c++)
        if (begins_file(c))
            ret |= do_file(&r, c, argv[argc - 1], write);
    printf("golden: %u cases, host code %u instructions in %u bytes, out of line %u in %u; %u differ\n", r.n_cases,
           r.all.insns, r.all.bytes, r.all.cold_insns, r.all.cold_bytes, r.n_differ);
    if (r.n_differ)
        printf("golden: look at what became longer; \"make golden\" stores it as it is now\n");
    moved = moved_free(r.moved);
    listing_free(r.l);
    tcg_cpu_free(&r.cpu->tcg);
    tcg_free(r.tcg);
    free(r.ram);
    return ret || r.n_differ || !moved_well(&moved);
}
