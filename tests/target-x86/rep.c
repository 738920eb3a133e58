/* rep.c - repeated string operations of translated code, with and without the helper, as the interpreter's */
#include "tests/target-x86/engines.h"

#ifdef __x86_64__

struct rep_case {
    uint8_t op;              /* opcode: a4, a5, a6, a7, aa, ab, ae, af */
    bool word, quad, down;   /* prefixes 66h, REX.W; DF */
    bool ne;                 /* REPNE */
    uint32_t si, di;         /* from GUEST_DATA on */
    uint32_t count;
    uint64_t value;          /* RAX; 0: that of value() */
    unsigned joined;         /* pages that follow each other in the host's memory, too */
    bool code64;
};

static bool scans(const struct rep_case *c) { return (c->op & 0xf6) == 0xa6; }

/* For SCAS an element of the middle page; all bytes differ. */
static uint64_t value(const struct rep_case *c)
{
    uint64_t v = 0;

    if (c->value)
        return c->value;
    if (!scans(c))
        return 0x8877665544332211;
    for (unsigned i = 0x2ff0; i < 0x2ff8; i++)
        v |= (uint64_t)ENGINE_PATTERN(i) << (i % 8 * 8);
    return v;
}

static void same(const struct rep_case *c)
{
    struct engine_in in = { .mode = c->code64 ? GUEST_LONG : GUEST_PROT, .down = c->down, .joined = c->joined };
    char code[4], what[120];

    if (c->word)
        code[in.n++] = 0x66;
    code[in.n++] = c->ne ? (char)0xf2 : (char)0xf3;
    if (c->quad)
        code[in.n++] = 0x48;
    code[in.n++] = (char)c->op;
    in.code = code;
    for (unsigned i = 0; i < 16; i++)
        in.regs[i] = 0x1234567 * i;
    in.regs[G_RAX] = c->code64 ? value(c) : (uint32_t)value(c);
    in.regs[G_RSI] = GUEST_DATA + c->si;
    in.regs[G_RDI] = GUEST_DATA + c->di;
    in.regs[G_RCX] = c->count;
    snprintf(what, sizeof what, "op %02x%s, word %d, quad %d, %u from %#x to %#x, %u joined", c->op,
             c->ne ? " REPNE" : "", c->word, c->quad, c->count, c->si, c->di, c->joined);
    const struct engine_out *out = engines_agree(&in, what);
    cr_assert(scans(c) || out->regs[G_RCX] == 0, "%s", what);
}

static void all_sizes(struct rep_case c)
{
    uint8_t bytes = c.op;

    for (unsigned m = 0; m < 2; m++) {
        c.code64 = m;
        c.op = bytes;
        c.word = c.quad = false;
        same(&c);
        c.op = bytes | 1;
        same(&c);
        c.word = true;
        same(&c);
        c.word = false;
        c.quad = true;
        if (c.code64)
            same(&c);
    }
}

static void places(uint8_t op, bool down)
{
    static const uint32_t at[][3] = {       /* from, to, count */
        { 0x1000, 0x2000, 0 }, { 0x1000, 0x2000, 1 }, { 0x1003, 0x2005, 100 }, { 0x1000, 0x2000, 512 },
        { 0x1800, 0x2ff0, 2 }, { 0x1800, 0x2ff0, 16 }, { 0x1800, 0x2ff0, 17 }, { 0x1ff9, 0x2008, 7 },
        { 0x1ff9, 0x2008, 8 }, { 0x1100, 0x1101, 200 }, { 0x1101, 0x1100, 200 }, { 0x1100, 0x1109, 90 },
        { 0x1000, 0x2000, 0x200 }, { 0x1001, 0x2000, 0x200 }, { 0x1000, 0x3000, 0x1000 / 8 + 1 },
    };

    for (unsigned i = 0; i < ARRAY_SIZE(at); i++)
        all_sizes((struct rep_case){ .op = op, .down = down, .si = at[i][0], .di = at[i][1], .count = at[i][2] });
}

Test(rep, movs_up) { places(0xa4, false); }
Test(rep, movs_down) { places(0xa4, true); }
Test(rep, stos_up) { places(0xaa, false); }
Test(rep, stos_down) { places(0xaa, true); }

Test(rep, a_whole_page)
{
    same(&(struct rep_case){ .op = 0xa4, .si = 0x1000, .di = 0x3000, .count = 4096, .code64 = true });
    same(&(struct rep_case){ .op = 0xab, .quad = true, .di = 0x3000, .count = 512, .code64 = true });
    same(&(struct rep_case){ .op = 0xa4, .si = 0x1000, .di = 0x3000, .count = 4097, .code64 = true });
}

/* Over page ends, with operands that overlap, elements that lie in two pages, pages that follow each other
 * in the host's memory and others. Counts are of elements of 8 bytes at most. */
static void over_pages(uint8_t op, bool ne, unsigned joined)
{
    static const uint32_t at[][3] = {
        { 0x0000, 0x3000, 0x3000 / 8 }, { 0x0040, 0x3000, 0x2f00 / 8 }, { 0x0003, 0x2ffd, 0x2f00 / 8 },
        { 0x0ff0, 0x3ff8, 0x200 }, { 0x0ffd, 0x3005, 0x200 }, { 0x0800, 0x0801, 0x2000 / 8 },
        { 0x0801, 0x0800, 0x2000 / 8 }, { 0x0803, 0x0808, 0x2000 / 8 }, { 0x0800, 0x0808, 0x2000 / 8 },
        { 0x0ff9, 0x0fff, 64 }, { 0x1ff8, 0x3ff1, 3 }, { 0x2000, 0x2000, 0x2000 / 8 },
    };

    for (unsigned i = 0; i < ARRAY_SIZE(at); i++)
        all_sizes((struct rep_case){ .op = op, .ne = ne, .joined = joined, .si = at[i][0], .di = at[i][1],
                                     .count = at[i][2] });
    for (unsigned i = 0; i < 2; i++)        /* bytes up to the end */
        same(&(struct rep_case){ .op = op, .ne = ne, .joined = joined, .si = 1 + i, .di = 0x3000 - i,
                                 .count = 0x2fff, .code64 = true });
}

static void over_all_pages(uint8_t op, bool ne)
{
    over_pages(op, ne, 1);
    over_pages(op, ne, 2);
    over_pages(op, ne, 4);
}

Test(rep, movs_over_pages) { over_all_pages(0xa4, false); }
Test(rep, stos_over_pages) { over_all_pages(0xaa, false); }
Test(rep, scas_over_pages) { over_all_pages(0xae, true); }
Test(rep, cmps_over_pages) { over_all_pages(0xa6, false); }
Test(rep, scas_while_equal) { over_pages(0xae, false, 2); }
Test(rep, cmps_until_equal) { over_pages(0xa6, true, 2); }

/* What is stored is one byte again and again, or nearly. */
Test(rep, stos_of_one_byte)
{
    static const uint64_t v[] = { 0x5555555555555555, 0x55555555, 0x5500000055555555, 0x5655, 0x5555 };

    for (unsigned i = 0; i < ARRAY_SIZE(v); i++) {
        all_sizes((struct rep_case){ .op = 0xaa, .value = v[i], .di = 0x1003, .count = 33 });
        all_sizes((struct rep_case){ .op = 0xaa, .value = v[i], .di = 0x1ffd, .joined = 2, .count = 700 });
    }
}

/* Every distance between what is read and what is written. */
Test(rep, movs_near)
{
    for (uint32_t d = 0; d < 24; d++) {
        all_sizes((struct rep_case){ .op = 0xa4, .si = 0x2100, .di = 0x20f4 + d, .count = 40 });
        all_sizes((struct rep_case){ .op = 0xa4, .si = 0x2f80, .di = 0x2f74 + d, .joined = 4, .count = 40 });
    }
}

/* SCAS of what is first at @at, and CMPS of what is the same up to there; around the ends of 16 bytes and of pages.
 * The data 329 bytes further on are the same for 183 bytes from a multiple of 256 on. */
Test(rep, stops)
{
    static const uint32_t at[] = { 0, 1, 7, 15, 16, 17, 31, 32, 33, 47, 182, 183, 200, 255 };
    enum { AHEAD = 329, SAME = 183 };

    for (unsigned i = 0; i < ARRAY_SIZE(at); i++)
        for (uint32_t more = 0; more < 3; more++) {
            struct rep_case c = { .op = 0xae, .ne = true, .di = 0x1f80, .count = at[i] + more, .joined = 1 + more % 2,
                                  .value = 0x100 | ENGINE_PATTERN(0x1f80 + at[i]) };
            all_sizes(c);
            c.ne = false;
            c.value = 0x100 | ENGINE_PATTERN(0x1f80);
            all_sizes(c);
            c = (struct rep_case){ .op = 0xa6, .si = 0x1000 + SAME - MIN(at[i], SAME), .count = at[i] + more };
            c.di = c.si + AHEAD;
            all_sizes(c);
            c.di++;
            c.ne = true;
            all_sizes(c);
        }
}

/* REPNE SCASB or REPE CMPSB between loads and stores of YMM0 and YMM1. */
static void keeps_vectors(const char *code, size_t n)
{
    struct engine_in in = { .code = code, .n = n, .mode = ENGINE_VECTORS };

    in.regs[G_RAX] = 0x100;
    in.regs[G_RBX] = GUEST_DATA + 0x345;
    in.regs[G_RDX] = GUEST_DATA + 0x3000;
    in.regs[G_RSI] = GUEST_DATA + 0x1000;
    in.regs[G_RDI] = GUEST_DATA + 0x1000 + (code[18] == (char)0xa6 ? 329 : 0);
    in.regs[G_RCX] = 250;
    cr_assert_eq(engines_agree(&in, "vectors are kept")->ip, GUEST_CODE + n);
}

#define YMM_LOAD "\xc5\xfe\x6f\x03\xc5\xfe\x6f\x4b\x20\x0f\x1f\x80\0\0\0\0"         /* and a NOP of 7 bytes */
#define YMM_STORE "\xc5\xfe\x7f\x02\xc5\xfe\x7f\x4a\x20"

Test(rep, scans_keep_vectors)
{
    static const char scas[] = YMM_LOAD "\x90\xf2\xae" YMM_STORE, cmps[] = YMM_LOAD "\x90\xf3\xa6" YMM_STORE;

    keeps_vectors(scas, sizeof scas - 1);
    keeps_vectors(cmps, sizeof cmps - 1);
}

/* 500 times mov rdi, rdx; mov rsi, rbp; mov ecx, count; the instruction; add r8, rcx: interrupted at any page, but each ends */
static void interrupted(uint8_t op, bool ne, uint16_t count)
{
    char code[] = "\x48\x89\xd7\x48\x89\xee\xb9\0\0\0\0\xf3\xa4\x49\x01\xc8\x48\xff\xcb\x75\xeb";
    struct engine_in in = { .code = code, .n = sizeof code - 1, .mode = GUEST_LONG, .poked = true };

    stl16((uint8_t *)code + 7, count);
    code[11] = ne ? (char)0xf2 : (char)0xf3;
    code[12] = (char)op;
    in.regs[G_RAX] = 0x5a;
    in.regs[G_RBX] = 500;
    in.regs[G_RDX] = GUEST_DATA + 0x2fff;
    in.regs[G_RBP] = GUEST_DATA + (op == 0xa6 ? 0x2fff : 1);
    const struct engine_out *out = engines_agree(&in, "interrupted");
    cr_assert_eq(out->ip, GUEST_CODE + in.n);
    cr_assert_eq(out->regs[8], 0);
}

Test(rep, interrupted)
{
    interrupted(0xa4, false, 0x3000);
    interrupted(0xaa, false, 0x3000);
    interrupted(0xa6, false, 0x3000);
    interrupted(0xaf, true, 0x3000 / 4);
}

#endif
