/* rep.c - repeated string operations of translated code, with and without the helper, as the interpreter's */
#include "tests/target-x86/engines.h"

#ifdef __x86_64__

struct rep_case {
    uint8_t op;              /* opcode: a4, a5, aa, ab */
    bool word, quad, down;   /* prefixes 66h, REX.W; DF */
    uint32_t si, di;         /* from GUEST_DATA on */
    uint32_t count;
    bool code64;
};

static void same(const struct rep_case *c)
{
    struct engine_in in = { .mode = c->code64 ? GUEST_LONG : GUEST_PROT, .down = c->down };
    char code[4], what[80];

    if (c->word)
        code[in.n++] = 0x66;
    code[in.n++] = (char)0xf3;
    if (c->quad)
        code[in.n++] = 0x48;
    code[in.n++] = (char)c->op;
    in.code = code;
    for (unsigned i = 0; i < 16; i++)
        in.regs[i] = 0x1234567 * i;
    in.regs[G_RAX] = c->code64 ? 0x8877665544332211 : 0x44332211;
    in.regs[G_RSI] = GUEST_DATA + c->si;
    in.regs[G_RDI] = GUEST_DATA + c->di;
    in.regs[G_RCX] = c->count;
    snprintf(what, sizeof what, "op %02x, %u from %#x to %#x", c->op, c->count, c->si, c->di);
    cr_assert_eq(engines_agree(&in, what)->regs[G_RCX], 0);
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

#endif
