/* count.c - instructions are counted once, also where somebody wants the vCPU in the middle of a block */
#include <unistd.h>

#include "tests/target-x86/guest.h"

static void kick(void *opaque, uint16_t port, uint32_t v, unsigned size)
{
    tcg_kick(&((struct guest *)opaque)->cpu->tcg);
}

/* Real-mode code that ends with HLT; an OUT is a kick, and a request waits for STI. */
static uint64_t counted(enum tcg_backend backend, const char *code, unsigned n)
{
    struct guest *g = guest_new_config((struct tcg_config){ .backend = backend, .optimise = true, .count = true,
                                                            .cache_bytes = 4 << 20 });
    struct tcg_cpu *tc = &g->cpu->tcg;
    struct tb_key k;
    uint64_t count;

    memcpy(g->ram + 0x100, code, n);
    g->bus.port_out = kick;
    guest_key(g, &k, GUEST_REAL, 0x100);
    tcg_mode_changed(tc, GUEST_REAL);
    tc->va_mask = 0xffffffff;
    g->cpu->irq_held = true;
    tcg_count_until(tc, 1000);
    alarm(300);                          /* instead of never */
    for (unsigned i = 0; !g->cpu->halted; i++) {
        cr_assert(i < 100 && !g->faulted);
        tc->run = 1;
        tcg_run(tc);
    }
    alarm(0);
    count = tcg_count(tc);
    guest_free(g);
    return count;
}

static void both(const char *code, unsigned n, uint64_t want)
{
    cr_assert_eq(counted(TCG_BACKEND_INTERP, code, n), want);
#ifdef __x86_64__
    cr_assert_eq(counted(TCG_BACKEND_HOST, code, n), want);
#endif
}

/* out 0x80, al; inc ax, three times; out 0x80, al; inc ax; hlt */
Test(count, behind_an_out) { both("\xe6\x80\x40\x40\x40\xe6\x80\x40\xf4", 9, 7); }
/* sti; inc ax, three times; hlt */
Test(count, behind_the_shadow_of_sti) { both("\xfb\x40\x40\x40\xf4", 5, 5); }
