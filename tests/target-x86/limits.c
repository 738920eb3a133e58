/* limits.c - guest code at the translator's limits: blocks that are too much at once */
#include <unistd.h>

#include "tests/target-x86/guest.h"

#ifdef __x86_64__

static void put(struct guest *g, unsigned off, const void *bytes, unsigned n)
{
    memcpy(g->ram + off, bytes, n);
}

static void run_real(struct guest *g, unsigned off)
{
    struct tb_key k;
    struct tcg_cpu *tc = &g->cpu->tcg;

    guest_key(g, &k, GUEST_REAL, off);
    tcg_mode_changed(tc, GUEST_REAL);
    tc->va_mask = 0xffffffff;
    tc->regs[G_RSP] = 0x4800;
    tc->run = 1;
    alarm(300);              /* instead of never */
    tcg_run(tc);
    alarm(0);
    cr_assert(!g->faulted);
}

/*
 * A block whose code the back end refuses is made again from an empty cache, in
 * which the block that led to it is no more and must not be chained.
 */
Test(limits, flush_between_two_blocks)
{
    static const uint8_t insns[] = { 0x87, 0x00,     /* xchg [bx + si], ax */
                                     0x12, 0x35,     /* adc dh, [di] */
                                     0x00, 0x10 };   /* add [bx + si], dl */
    struct guest *g = guest_new_on(TCG_BACKEND_HOST, true);
    uint8_t code[64 * sizeof(insns) + 5];

    put(g, 0x100, "\xeb\x1e", 2);                    /* jmp 0x120 */
    for (unsigned i = 0; i < 64; i++)
        memcpy(code + i * sizeof(insns), insns, sizeof(insns));
    memcpy(code + 64 * sizeof(insns), "\xb9\x34\x12\xf4", 5);   /* mov cx, 0x1234; hlt */
    put(g, 0x120, code, sizeof(code));
    run_real(g, 0x100);
    cr_assert_eq(g->cpu->tcg.regs[G_RCX] & 0xffff, 0x1234);
    cr_assert_gt(tcg_get_stats(g->tcg)->flushes, 0, "the blocks fit: make them larger");
    guest_free(g);
}

#endif
