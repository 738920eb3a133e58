/*
 * engines.h - run a piece of code up to its UD2, on the interpreter and on the back end, and compare
 *
 * The code is at GUEST_CODE; ENGINE_BYTES from GUEST_DATA on hold a pattern, and the page maps know
 * these pages but for `unseen`. No page has its neighbour behind it in the host's memory, but in runs of `joined`.
 */
#ifndef TESTS_TARGET_X86_ENGINES_H
#define TESTS_TARGET_X86_ENGINES_H

#include <pthread.h>
#include <unistd.h>

#include "tests/target-x86/guest.h"
#include "tcg/tcg-int.h"

#define ENGINE_BYTES 0x6000u
#define ENGINE_SECONDS 60
#define ENGINE_VECTORS (GUEST_LONG | MODE_AVX | MODE_AVX512)
/* byte @i of the data */
#define ENGINE_PATTERN(i) ((uint8_t)((i) * 7 + ((i) >> 8)))

struct engine_in {
    const char *code;
    size_t n;
    uint32_t mode;           /* GUEST_* */
    bool down;               /* DF */
    bool poked;              /* another thread makes it come out of translated code again and again */
    unsigned joined;         /* 0, 2, 4 */
    unsigned unseen;         /* bit n: the page maps do not have page n of the data */
    uint64_t regs[16];
};

struct engine_out {
    uint8_t ram[ENGINE_BYTES];
    uint64_t regs[16];
    uint64_t ip, flags;
};

static inline uint8_t *engine_data(const struct guest *g, unsigned page)
{
    return guest_page(g, (GUEST_DATA - GUEST_BASE) / 4096 + page);
}

struct engine_poker {
    struct tcg_cpu *tc;
    bool stop;
};

static inline void *engine_poke(void *arg)
{
    struct engine_poker *p = arg;

    while (!__atomic_load_n(&p->stop, __ATOMIC_ACQUIRE)) {
        __atomic_store_n(&p->tc->run, 0, __ATOMIC_RELAXED);
        usleep(20);
    }
    return NULL;
}

static inline void engine_run(enum tcg_backend backend, const struct engine_in *in, struct engine_out *out)
{
    struct guest *g = guest_new_on(backend, true);
    struct tcg_cpu *tc = &g->cpu->tcg;
    struct tb_key k;
    uint64_t v;

    g->joined = in->joined ? in->joined : 1;
    memcpy(guest_page(g, 0), in->code, in->n);
    memcpy(guest_page(g, 0) + in->n, "\x0f\x0b", 2);
    for (unsigned i = 0; i < ENGINE_BYTES; i++)
        engine_data(g, i / 4096)[i % 4096] = ENGINE_PATTERN(i);
    guest_key(g, &k, in->mode, 0);
    tcg_mode_changed(tc, in->mode);
    tc->va_mask = in->mode == GUEST_LONG || in->mode == ENGINE_VECTORS ? ~0ull : 0xffffffff;
    memcpy(tc->regs, in->regs, sizeof(in->regs));
    g->cpu->df = in->down ? -1 : 1;
    for (unsigned i = 0; i < ENGINE_BYTES; i += 4096) {
        if (in->unseen >> i / 4096 & 1)
            continue;
        cr_assert(tcg_load(tc, GUEST_DATA + i, 1, &v));
        cr_assert(tcg_store(tc, GUEST_DATA + i, 1, v));
    }
    struct engine_poker poker = { .tc = tc };
    pthread_t thread;
    if (in->poked)
        cr_assert_eq(pthread_create(&thread, NULL, engine_poke, &poker), 0);
    alarm(ENGINE_SECONDS);
    do
        tcg_run(tc);
    while (!g->faulted);
    alarm(0);
    if (in->poked) {
        __atomic_store_n(&poker.stop, true, __ATOMIC_RELEASE);
        pthread_join(thread, NULL);
    }
    for (unsigned i = 0; i < ENGINE_BYTES / 4096; i++)
        memcpy(out->ram + i * 4096, engine_data(g, i), 4096);
    memcpy(out->regs, tc->regs, sizeof(out->regs));
    out->ip = tc->pc;
    out->flags = x86_get_eflags(g->cpu);
    guest_free(g);
}

/** engines_agree() - both do the same; @what names the case. Returns what they did, valid until the next call */
static inline const struct engine_out *engines_agree(const struct engine_in *in, const char *what)
{
    static struct engine_out a, b;

    engine_run(TCG_BACKEND_INTERP, in, &a);
    engine_run(TCG_BACKEND_HOST, in, &b);
    cr_assert_eq(a.ip, b.ip, "%s", what);
    cr_assert_eq(a.flags, b.flags, "%s: flags %#x, not %#x", what, (unsigned)b.flags, (unsigned)a.flags);
    cr_assert_arr_eq(a.regs, b.regs, sizeof(a.regs), "%s", what);
    cr_assert_arr_eq(a.ram, b.ram, sizeof(a.ram), "%s", what);
    return &b;
}

#endif
