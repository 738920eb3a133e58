/* profile.c - what -accel tcg,profile=on counts, against guest code whose counts are known */
#include <unistd.h>

#include "tests/target-x86/guest.h"
#include "tcg/tcg-int.h"

#define ROUNDS 1000
#define ELSEWHERE 0x100000u   /* RAM once more, where guest addresses are not the host's */

static enum phys_kind lookup_twice(void *opaque, gpa_t gpa, uint8_t **host, uint32_t *page)
{
    return guest_lookup(opaque, gpa >= GUEST_BASE + ELSEWHERE ? gpa - ELSEWHERE : gpa, host, page);
}

static struct guest *counted(enum tcg_backend backend)
{
    struct guest *g = guest_new_config((struct tcg_config){
        .backend = backend, .optimise = true, .cache_bytes = 4 << 20, .profile = true });

    g->tcg->phys.lookup = lookup_twice;
    return g;
}

static void run_real(struct guest *g, unsigned off)
{
    struct tcg_cpu *tc = &g->cpu->tcg;
    struct tb_key k;

    guest_key(g, &k, GUEST_REAL, off);
    g->cpu->seg[S_DS].base += ELSEWHERE;
    tcg_mode_changed(tc, GUEST_REAL);
    tc->va_mask = 0xffffffff;
    tc->regs[G_RSP] = 0x4800;
    tc->run = 1;
    alarm(60);               /* instead of never */
    tcg_run(tc);
    alarm(0);
    cr_assert(!g->faulted);
}

/* The record of the code at @off, with the runs of all its translations. */
static struct profile_block record(const struct guest *g, unsigned off)
{
    const struct tcg_profile *p = g->tcg->profile;
    struct profile_block found = { .n_insns = 0 };

    for (uint32_t i = 0; i < p->n_blocks; i++) {
        if (p->block[i].lin != GUEST_CODE + off)
            continue;
        found = p->block[i];
        for (uint32_t k = 0; k < p->n_tbs; k++)
            if (p->of_tb[k] == i)
                found.runs += profile_runs(g->tcg, k);
    }
    return found;
}

static uint64_t calls_of(const struct guest *g, const char *name)
{
    const struct cpu_profile *p = g->cpu->tcg.prof;
    struct symbols *s = symbols_open();
    uint64_t n = 0;

    for (unsigned i = 0; i <= PROFILE_HELPERS; i++) {
        const char *is = p->helper[i].fn ? symbols_name(s, p->helper[i].fn) : NULL;
        if (is && !strcmp(is, name))
            n += p->helper[i].calls;
    }
    symbols_free(s);
    return n;
}

static char *report(const struct guest *g)
{
    char *text = NULL;
    size_t len;
    FILE *f = open_memstream(&text, &len);

    cr_assert(tcg_profile_report(g->tcg, f, 20, 20));
    fclose(f);
    return text;
}

/* mov cx, ROUNDS; 103: add ax, 3; dec cx; jnz 103; hlt */
static const uint8_t loop[] = { 0xb9, ROUNDS & 255, ROUNDS >> 8, 0x05, 3, 0, 0x49, 0x75, 0xfa, 0xf4 };

static const enum tcg_backend backends[] = {
    TCG_BACKEND_INTERP,
#ifdef __x86_64__
    TCG_BACKEND_HOST,
#endif
};

Test(profile, runs_of_a_loop)
{
    for (unsigned i = 0; i < ARRAY_SIZE(backends); i++) {
        struct guest *g = counted(backends[i]);

        memcpy(g->ram + 0x100, loop, sizeof(loop));
        run_real(g, 0x100);
        cr_assert_eq(g->cpu->tcg.regs[G_RAX] & 0xffff, 3 * ROUNDS);
        cr_assert_eq(record(g, 0x100).runs, 1);
        cr_assert_eq(record(g, 0x100).n_insns, 4);
        cr_assert_eq(record(g, 0x103).runs, ROUNDS - 1);
        cr_assert_eq(record(g, 0x103).n_insns, 3);
        cr_assert_eq(record(g, 0x109).runs, 1);
        guest_free(g);
    }
}

Test(profile, runs_outlive_a_flush)
{
    for (unsigned i = 0; i < ARRAY_SIZE(backends); i++) {
        struct guest *g = counted(backends[i]);

        memcpy(g->ram + 0x100, loop, sizeof(loop));
        run_real(g, 0x100);
        tcg_flush_all(g->tcg, TCG_FLUSH_RESET);
        cr_assert_eq(record(g, 0x103).runs, ROUNDS - 1);
        cr_assert_null(record(g, 0x103).tb);
        run_real(g, 0x100);
        cr_assert_eq(record(g, 0x103).runs, 2 * (ROUNDS - 1));
        cr_assert_eq(record(g, 0x103).translations, 2);
        cr_assert_eq(g->tcg->profile->again, 3);
        cr_assert_eq(tcg_get_stats(g->tcg)->flushed[TCG_FLUSH_RESET], 1);
        guest_free(g);
    }
}

Test(profile, restart)
{
    struct guest *g = counted(TCG_BACKEND_INTERP);
    char *text;

    memcpy(g->ram + 0x100, loop, sizeof(loop));
    run_real(g, 0x100);
    cr_assert(tcg_profile_restart(g->tcg));
    text = report(g);
    cr_assert(strstr(text, "3 pieces of code, 0 runs, 0 instructions"), "%s", text);
    cr_assert(strstr(text, "s, 0 blocks, 0 guest bytes"), "%s", text);
    free(text);
    tcg_flush_all(g->tcg, TCG_FLUSH_RESET);      /* runs go to the records */
    run_real(g, 0x103);
    text = report(g);
    cr_assert(strstr(text, "3 pieces of code, 65537 runs, 196609 instructions"), "%s", text);
    cr_assert(strstr(text, "translated before: 2 blocks"), "%s", text);
    free(text);
    guest_free(g);
}

Test(profile, report_has_the_figures)
{
    for (unsigned i = 0; i < ARRAY_SIZE(backends); i++) {
        struct guest *g = counted(backends[i]);
        char *text;

        memcpy(g->ram + 0x100, loop, sizeof(loop));
        run_real(g, 0x100);
        text = report(g);
        cr_assert(strstr(text, "0x0000000010000103 16 real                   999      3"), "%s", text);
        cr_assert(strstr(text, "3 pieces of code, 1001 runs, 3002 instructions"), "%s", text);
        cr_assert(strstr(text, "translation"), "%s", text);
        free(text);
        guest_free(g);
    }
}

Test(profile, nothing_without_the_option)
{
    struct guest *g = guest_new();

    cr_assert_null(g->tcg->profile);
    cr_assert_null(g->cpu->tcg.prof);
    cr_assert_eq(profile_runs_bytes(g->tcg), 0);
    cr_assert(!tcg_profile_report(g->tcg, stderr, 1, 1));
    guest_free(g);
}

/* xor eax; cpuid; dec si; jnz: 50 times */
Test(profile, helpers_by_name)
{
    static const uint8_t code[] = { 0xbe, 50, 0, 0x31, 0xc0, 0x0f, 0xa2, 0x4e, 0x75, 0xf9, 0xf4 };

    for (unsigned i = 0; i < ARRAY_SIZE(backends); i++) {
        struct guest *g = counted(backends[i]);
        char *text;

        memcpy(g->ram + 0x100, code, sizeof(code));
        run_real(g, 0x100);
        cr_assert_eq(calls_of(g, "h_cpuid"), 50);
        text = report(g);
        cr_assert(strstr(text, "h_cpuid "), "%s", text);
        free(text);
        guest_free(g);
    }
}

#ifdef __x86_64__

static uint64_t misses(const struct guest *g, enum profile_miss why, unsigned write)
{
    return g->cpu->tcg.prof->misses[why][write];
}

/* the first access to a page fills the map; one across pages never gets in place */
Test(profile, misses_that_fill)
{
    static const uint8_t code[] = {
        0xb9, 100, 0,              /* mov cx, 100 */
        0xa1, 0x00, 0x00,          /* 103: mov ax, [0] */
        0xa3, 0x00, 0x10,          /* mov [0x1000], ax */
        0xa1, 0x00, 0x20,          /* mov ax, [0x2000] */
        0xa1, 0xff, 0x2f,          /* mov ax, [0x2fff] */
        0x49, 0x75, 0xf1, 0xf4,    /* dec cx; jnz 103; hlt */
    };
    struct guest *g = counted(TCG_BACKEND_HOST);

    memcpy(g->ram + 0x100, code, sizeof(code));
    run_real(g, 0x100);
    cr_assert_eq(misses(g, PM_FILL, 0), 2);
    cr_assert_eq(misses(g, PM_FILL, 1), 1);
    cr_assert_eq(misses(g, PM_CROSSING, 0), 100);
    cr_assert_eq(misses(g, PM_BESIDE, 1) + misses(g, PM_CODE, 1) + misses(g, PM_DEVICE, 0), 0);
    guest_free(g);
}

/* CS: stores to the page that the loop is in, first beside it, then into it */
Test(profile, stores_by_code)
{
    static const uint8_t code[] = {
        0xb9, 100, 0,              /* mov cx, 100 */
        0x2e, 0x88, 0x0e, 0, 8,    /* 103: mov cs:[0x800], cl */
        0x49, 0x75, 0xf8,          /* dec cx; jnz 103 */
        0x2e, 0x88, 0x0e, 2, 1,    /* mov cs:[0x102], cl */
        0xf4,
    };
    struct guest *g = counted(TCG_BACKEND_HOST);
    const struct tcg_stats *s;

    memcpy(g->ram + 0x100, code, sizeof(code));
    run_real(g, 0x100);
    s = tcg_get_stats(g->tcg);
    cr_assert_eq(misses(g, PM_BESIDE, 1), 100);
    cr_assert_geq(misses(g, PM_CODE, 1), 1);
    cr_assert_geq(s->dropped[TCG_DROP_STORE], 1);
    cr_assert_eq(s->dropped[TCG_DROP_STORE], s->invalidations);
    guest_free(g);
}

/* An instruction that stores into its own block is done again once; from then on its block ends behind it. */
Test(profile, stores_into_the_own_block)
{
    static const uint8_t code[] = {
        0xb9, 100, 0,                                    /* mov cx, 100 */
        0x2e, 0x88, 0x0e, 0x10, 1,                       /* 103: mov cs:[0x110], cl */
        0x90, 0x90, 0x90, 0x90, 0x90, 0x90, 0x90,
        0xb0, 0, 0x00, 0xc3,                             /* 10f: mov al, cl as it was stored; add bl, al */
        0x49, 0x75, 0xed, 0xf4,                          /* dec cx; jnz 103; hlt */
    };
    struct guest *g = counted(TCG_BACKEND_HOST);

    memcpy(g->ram + 0x100, code, sizeof(code));
    g->cpu->tcg.regs[G_RBX] = 0;
    run_real(g, 0x100);
    cr_assert_eq(g->cpu->tcg.regs[G_RBX] & 0xff, 100 * 101 / 2 % 256);
    cr_assert_eq(g->cpu->tcg.prof->exits[PX_RESTART], 1);
    cr_assert_geq(tcg_get_stats(g->tcg)->dropped[TCG_DROP_STORE], 100);
    guest_free(g);
}

/* Each round returns to one place by way of the jump cache: only the first leaves. */
Test(profile, exits_by_cause)
{
    static const uint8_t code[] = {
        0xb9, 100, 0,              /* mov cx, 100 */
        0xe8, 0x04, 0,             /* 103: call 10a */
        0x49, 0x75, 0xfa, 0xf4,    /* dec cx; jnz 103; hlt */
        0xc3,                      /* 10a: ret */
    };
    struct guest *g = counted(TCG_BACKEND_HOST);
    uint64_t all = 0;

    memcpy(g->ram + 0x100, code, sizeof(code));
    run_real(g, 0x100);
    for (unsigned i = 0; i < PX_COUNT; i++)
        all += g->cpu->tcg.prof->exits[i];
    cr_assert_geq(g->cpu->tcg.prof->exits[PX_UNCHAINED], 2);
    cr_assert_eq(record(g, 0x10a).runs, 100);
    cr_assert_eq(record(g, 0x106).runs, 100);
    cr_assert_geq(all, 3);
    guest_free(g);
}

#endif
