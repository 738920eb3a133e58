/* segments.c - code whose segment has a base and a limit: chained jumps, returns, wrapping, the same bytes in two segments */
#include <unistd.h>

#include "tcg/tcg-int.h"
#include "tests/target-x86/guest.h"

#define SECONDS 60
#define WHERE(off, code) { off, code, sizeof(code) - 1 }

struct piece {
    unsigned at;             /* from the start of memory on */
    const char *code;
    size_t n;
};

static struct guest *guest_on(enum tcg_backend backend, const struct piece *p, unsigned n)
{
    struct guest *g = guest_new_on(backend, true);

    for (unsigned i = 0; i < n; i++)
        memcpy(g->ram + p[i].at, p[i].code, p[i].n);
    return g;
}

/* Run from @ip on in a segment at @base (from the start of memory on) up to an exception. */
static void run(struct guest *g, uint32_t mode, int64_t base, uint32_t limit, uint32_t ip)
{
    struct tcg_cpu *tc = &g->cpu->tcg;
    struct tb_key k;

    guest_key(g, &k, mode, 0);
    tcg_mode_changed(tc, mode);
    tc->va_mask = 0xffffffff;
    tc->pc = ip;
    g->cpu->seg[S_CS].base = (uint32_t)(GUEST_CODE + base);
    g->cpu->seg[S_CS].limit = limit;
    GPR(g->cpu, R_SP) = 0x800;
    g->faulted = false;
    alarm(SECONDS);
    do
        tcg_run(tc);
    while (!g->faulted);
    alarm(0);
}

static void each_backend(void (*test)(enum tcg_backend))
{
    test(TCG_BACKEND_INTERP);
#ifdef __x86_64__
    test(TCG_BACKEND_HOST);
#endif
}

static uint64_t lookups(struct guest *g)
{
    return tcg_get_stats(g->tcg)->lookups;
}

/* 0: call 0x1000; call 0x3000; dec cx; jnz 0; ud2. 0x1000: inc ax; call si; ret. 0x2000: inc di; ret.
 * 0x2010: inc bx; ret. 0x3000: inc dx; jmp 0x2000 */
static void over_pages(enum tcg_backend backend)
{
    static const unsigned shift[] = { 0, 0x10, 0x230, 0xff5 };

    for (unsigned i = 0; i < ARRAY_SIZE(shift); i++) {
        const struct piece p[] = {
            WHERE(shift[i], "\xe8\xfd\x0f\xe8\xfa\x2f\x49\x0f\x85\xf5\xff\x0f\x0b"),
            WHERE(shift[i] + 0x1000, "\x40\xff\xd6\xc3"),
            WHERE(shift[i] + 0x2000, "\x47\xc3"),
            WHERE(shift[i] + 0x2010, "\x43\xc3"),
            WHERE(shift[i] + 0x3000, "\x42\xe9\xfc\xef"),
        };
        struct guest *g = guest_on(backend, p, ARRAY_SIZE(p));
        const uint64_t *r = g->cpu->tcg.regs;

        g->cpu->tcg.regs[G_RCX] = 500;
        g->cpu->tcg.regs[G_RSI] = 0x2010;
        run(g, GUEST_REAL, shift[i], 0xffff, 0);
        cr_assert_eq(g->cpu->tcg.pc, 0xb, "shift %#x", shift[i]);
        cr_assert(r[G_RAX] == 500 && r[G_RBX] == 500 && r[G_RDX] == 500 && r[G_RDI] == 500, "shift %#x", shift[i]);
        cr_assert_eq(GPR(g->cpu, R_SP), 0x800);
        if (backend == TCG_BACKEND_HOST)
            cr_assert_lt(lookups(g), 60, "shift %#x: %llu look-ups", shift[i], (unsigned long long)lookups(g));
        guest_free(g);
    }
}

Test(segments, jumps_and_returns_over_pages) { each_backend(over_pages); }

/* 0: call 7; loop 0; ud2. 7: call 0xa; pop ax; add dx, ax; ret */
static const char tell_ip[] = "\xe8\x04\x00\xe2\xfb\x0f\x0b\xe8\x00\x00\x58\x01\xc2\xc3";

static void two_segments(enum tcg_backend backend)
{
    static const uint32_t ip[] = { 0x100, 0x300, 0x1000, 0x300, 0x100 };
    const struct piece p = WHERE(0x1000, tell_ip);
    struct guest *g = guest_on(backend, &p, 1);

    for (unsigned i = 0; i < 4 * ARRAY_SIZE(ip); i++) {
        uint32_t at = ip[i % ARRAY_SIZE(ip)];
        g->cpu->tcg.regs[G_RCX] = 20;
        g->cpu->tcg.regs[G_RDX] = 0;
        run(g, GUEST_REAL, 0x1000 - (int64_t)at, i / 3 & 1 ? 0xffff : 0x7fff, at);
        cr_assert_eq(g->cpu->tcg.pc, at + 5);
        cr_assert_eq(g->cpu->tcg.regs[G_RDX], (20 * (at + 0xa)) & 0xffff, "IP %#x", at);
    }
    guest_free(g);
}

Test(segments, same_bytes_in_two_segments) { each_backend(two_segments); }

/* 0: call si; ud2. 0x8ff8: sixteen inc ax; ret */
static void limits(enum tcg_backend backend)
{
    static const struct { uint32_t limit, ip, ax; } c[] = {
        { 0xffff, 2, 16 }, { 0x8fff, 0x9000, 8 }, { 0x8ffb, 0x8ffc, 4 }, { 0xffff, 2, 16 }, { 0x9007, 0x9008, 16 },
        { 0x8ff7, 0, 0 }, { 0x9008, 2, 16 },
    };
    const struct piece p[] = { WHERE(0, "\xff\xd6\x0f\x0b"), WHERE(0x8ff8, "@@@@@@@@@@@@@@@@\xc3") };
    struct guest *g = guest_on(backend, p, 2);

    for (unsigned i = 0; i < 3 * ARRAY_SIZE(c); i++) {
        unsigned n = i % ARRAY_SIZE(c);
        g->cpu->tcg.regs[G_RSI] = 0x8ff8;
        g->cpu->tcg.regs[G_RAX] = 0;
        run(g, GUEST_REAL, 0, c[n].limit, 0);
        cr_assert_eq(g->cpu->tcg.pc, c[n].ip, "limit %#x: IP %#x", c[n].limit, (unsigned)g->cpu->tcg.pc);
        cr_assert_eq(g->cpu->tcg.regs[G_RAX], c[n].ax, "limit %#x", c[n].limit);
    }
    guest_free(g);
}

Test(segments, limit_is_of_the_segment_that_runs) { each_backend(limits); }

/* 0xfff0: jmp 0x10. 0x10: inc ax; dec cx; jz 0x17; jmp 0xfff0; 0x17: ud2 */
static void wraps16(enum tcg_backend backend)
{
    const struct piece p[] = { WHERE(0x10, "\x40\x49\x74\x03\xe9\xd9\xff\x0f\x0b"), WHERE(0xfff0, "\xe9\x1d\x00"),
                               WHERE(0xfffd, "\x90\x90\x90") };
    struct guest *g = guest_on(backend, p, ARRAY_SIZE(p));

    g->cpu->tcg.regs[G_RCX] = 300;
    run(g, GUEST_REAL, 0, 0xffff, 0xfff0);
    cr_assert_eq(g->cpu->tcg.pc, 0x17);
    cr_assert_eq(g->cpu->tcg.regs[G_RAX], 300);
    if (backend == TCG_BACKEND_HOST)
        cr_assert_lt(lookups(g), 30);
    for (unsigned i = 0; i < 3; i++) {
        run(g, GUEST_REAL, 0, 0xffff, 0xfffd);
        cr_assert_eq(g->cpu->tcg.pc, 0x10000, "only jumps wrap");
    }
    guest_free(g);
}

Test(segments, sixteen_bits_wrap) { each_backend(wraps16); }

/* 0xfffffff0, linear 0: inc eax; dec ecx; jz out; jmp 0; ud2. 0, linear 0x10: jmp 0xfffffff0 */
static void wraps32(enum tcg_backend backend)
{
    const struct piece p[] = { WHERE(0, "\x40\x49\x74\x02\xeb\x0a\x0f\x0b"), WHERE(0x10, "\xeb\xee"),
                               WHERE(0x1000, "\xe9\xfb\xef\xff\xff"), WHERE(0x20, "\xe9\xdb\x0f\x00\x00") };
    struct guest *g = guest_on(backend, p, ARRAY_SIZE(p));

    g->cpu->tcg.regs[G_RCX] = 300;
    run(g, GUEST_PROT_SEG, 0x10, 0xffffffff, 0xfffffff0);
    cr_assert_eq(g->cpu->tcg.pc, 0xfffffff6);
    cr_assert_eq(g->cpu->tcg.regs[G_RAX], 300);
    memcpy(g->ram + 0x10, "\xeb\x0e", 2);       /* to 0x10, which leads over the next page */
    tcg_invalidate_phys(g->tcg, 0, 0x10, 2);
    g->cpu->tcg.regs[G_RCX] = 300;
    run(g, GUEST_PROT_SEG, 0x10, 0xffffffff, 0xfffffff0);
    cr_assert_eq(g->cpu->tcg.regs[G_RAX], 600);
    if (backend == TCG_BACKEND_HOST)
        cr_assert_lt(lookups(g), 60);
    guest_free(g);
}

Test(segments, thirty_two_bits_wrap) { each_backend(wraps32); }

/* an instruction that lies in two pages: 0xffe: mov ax, 0x1234; add dx, ax; loop 0xffe; ud2 */
static void over_an_end(enum tcg_backend backend)
{
    const struct piece p = WHERE(0xffe + 0x10, "\xb8\x34\x12\x01\xc2\xe2\xf9\x0f\x0b");
    struct guest *g = guest_on(backend, &p, 1);
    uint64_t made;

    g->cpu->tcg.regs[G_RCX] = 100;
    run(g, GUEST_REAL, 0x10, 0xffff, 0xffe);
    cr_assert_eq(g->cpu->tcg.regs[G_RDX], 100 * 0x1234 & 0xffff);
    memmove(g->ram + 0xffe, p.code, p.n);       /* now it really crosses */
    tcg_invalidate_phys(g->tcg, 0, 0xffe, 2);
    tcg_invalidate_phys(g->tcg, 1, 0, 0x20);
    made = tcg_get_stats(g->tcg)->translations;
    for (unsigned i = 0; i < 3; i++) {
        g->cpu->tcg.regs[G_RCX] = 100;
        g->cpu->tcg.regs[G_RDX] = 0;
        run(g, GUEST_REAL, 0, 0xffff, 0xffe);
        cr_assert_eq(g->cpu->tcg.regs[G_RDX], 100 * 0x1234 & 0xffff);
    }
    cr_assert_lt(tcg_get_stats(g->tcg)->translations - made, 10, "made once");
    g->ram[0x1000] = 0x13;                      /* the immediate's second byte, in the second page */
    tcg_invalidate_phys(g->tcg, 1, 0, 1);
    g->cpu->tcg.regs[G_RCX] = 1;
    run(g, GUEST_REAL, 0, 0xffff, 0xffe);
    cr_assert_eq(g->cpu->tcg.regs[G_RAX], 0x1334);
    guest_free(g);
}

Test(segments, instruction_over_a_page_end) { each_backend(over_an_end); }

/* what a chained jump leads to is changed: 0: call 0x1000; loop 0; ud2. 0x1000: add ax, 1; ret */
static void changed(enum tcg_backend backend)
{
    const struct piece p[] = { WHERE(0x40, "\xe8\xfd\x0f\xe2\xfb\x0f\x0b"), WHERE(0x1040, "\x83\xc0\x01\xc3") };
    struct guest *g = guest_on(backend, p, 2);

    for (unsigned i = 1; i < 5; i++) {
        g->ram[0x1042] = (uint8_t)i;
        tcg_invalidate_phys(g->tcg, 1, 0x42, 1);
        g->cpu->tcg.regs[G_RAX] = 0;
        g->cpu->tcg.regs[G_RCX] = 10;
        run(g, GUEST_REAL, 0x40, 0xffff, 0);
        cr_assert_eq(g->cpu->tcg.regs[G_RAX], 10 * i);
    }
    guest_free(g);
}

Test(segments, changed_code_is_not_jumped_to) { each_backend(changed); }
