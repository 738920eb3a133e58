/* rep.c - repeated string operations of translated code, with and without the helper, as the interpreter's */
#include <unistd.h>

#include "tests/target-x86/guest.h"
#include "tcg/tcg-int.h"

#ifdef __x86_64__

struct result {
    uint8_t ram[0x6000];
    uint64_t regs[16];
    uint64_t ip, flags;
};

struct rep_case {
    uint8_t op;              /* opcode: a4, a5, aa, ab */
    bool word, quad, down;   /* prefixes 66h, REX.W; DF */
    uint32_t si, di;         /* from GUEST_DATA on */
    uint32_t count;
    bool code64;
};

static void put_code(struct guest *g, const struct rep_case *c)
{
    uint8_t *p = g->ram;

    if (c->word)
        *p++ = 0x66;
    *p++ = 0xf3;
    if (c->quad)
        *p++ = 0x48;
    *p++ = c->op;
    memcpy(p, "\x0f\x0b", 2);      /* ud2: ends it, because there is no IDT */
}

static void run(enum tcg_backend backend, const struct rep_case *c, struct result *r)
{
    struct guest *g = guest_new_on(backend, true);
    struct tcg_cpu *tc = &g->cpu->tcg;
    struct tb_key k;
    uint8_t *data = g->ram + (GUEST_DATA - GUEST_BASE);

    put_code(g, c);
    for (unsigned i = 0; i < sizeof(r->ram); i++)
        data[i] = (uint8_t)(i * 7 + (i >> 8));
    guest_key(g, &k, c->code64 ? GUEST_LONG : GUEST_PROT, 0);
    tcg_mode_changed(tc, k.mode);
    tc->va_mask = c->code64 ? ~0ull : 0xffffffff;
    for (unsigned i = 0; i < 16; i++)
        tc->regs[i] = 0x1234567 * i;
    tc->regs[G_RAX] = c->code64 ? 0x8877665544332211 : 0x44332211;
    tc->regs[G_RSI] = GUEST_DATA + c->si;
    tc->regs[G_RDI] = GUEST_DATA + c->di;
    tc->regs[G_RCX] = c->count;
    g->cpu->df = c->down ? -1 : 1;
    uint64_t v;
    for (unsigned i = 0; i < sizeof(r->ram); i += 4096) {    /* the maps know the pages */
        cr_assert(tcg_load(tc, GUEST_DATA + i, 1, &v));
        cr_assert(tcg_store(tc, GUEST_DATA + i, 1, v));
    }
    alarm(60);
    do
        tcg_run(tc);
    while (!g->faulted);
    alarm(0);
    memcpy(r->ram, data, sizeof(r->ram));
    memcpy(r->regs, tc->regs, sizeof(r->regs));
    r->ip = tc->pc;
    r->flags = x86_get_eflags(g->cpu);
    guest_free(g);
}

static void same(const struct rep_case *c)
{
    static struct result a, b;

    run(TCG_BACKEND_INTERP, c, &a);
    run(TCG_BACKEND_HOST, c, &b);
    cr_assert_eq(a.regs[G_RCX], 0);
    cr_assert_eq(a.ip, b.ip);
    cr_assert_eq(a.flags, b.flags);
    cr_assert_arr_eq(a.regs, b.regs, sizeof(a.regs), "op %02x, %u from %#x to %#x", c->op, c->count, c->si, c->di);
    cr_assert_arr_eq(a.ram, b.ram, sizeof(a.ram), "op %02x, %u from %#x to %#x", c->op, c->count, c->si, c->di);
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
