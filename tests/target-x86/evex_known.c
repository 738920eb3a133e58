/*
 * evex_known.c - portable EVEX execution: known answers, for every host
 *
 * Each row of evex-ops.def runs on fixed pseudo-random operands; a hash of all that
 * it changes is compared with evex-known.h, recorded (EVEX_RECORD=1, to standard
 * output) where evex_exec.c agreed with the host CPU.
 */
#include "target-x86/tr-int.h"
#include "tests/target-x86/evex-case.h"
#include <criterion/criterion.h>

static const uint32_t known[] = {
#include "tests/target-x86/evex-known.h"
};

static uint64_t hash(uint64_t h, const void *p, size_t n)
{
    const uint8_t *b = p;

    for (size_t i = 0; i < n; i++)
        h = (h ^ b[i]) * 0x100000001b3ull;
    return h;
}

static uint64_t run(uint64_t h, const struct ir_vec *v, unsigned trial)
{
    struct evex_state s;
    uint8_t mem[64], z[64];

    evex_random_state(&s, mem, trial, true);
    struct x86_cpu *c = evex_new_cpu(&s);
    uint64_t gpr = s.ax;
    bool ok = x86_vec_exec(&c->tcg, v, mem, &gpr);
    h = hash(h, &ok, 1);
    for (unsigned i = 0; ok && i < 32; i++) {
        x86_get_zmm(c, i, z);
        h = hash(h, z, 64);
    }
    h = hash(h, c->z.k, sizeof(c->z.k));
    h = hash(h, mem, 64);
    h = hash(h, &gpr, 8);
    h = hash(h, &c->fx.mxcsr, 4);
    h = hash(h, &c->tcg.fl, sizeof(c->tcg.fl));
    free(c);
    return h;
}

static uint32_t row_hash(const struct evex_name *n)
{
    const struct erow *r = evex_row(n->map, n->pp, n->op, n->w);
    uint64_t h = 0xcbf29ce484222325ull;

    rng_state = 0x9e3779b97f4a7c15ull;
    for (unsigned i = 0; i < 24 * 8; i++) {
        struct evex_form f = { .l = i % 3, .mem = i / 3 & 1, .bcast = i / 6 & 1, .rc = i / 12 & 1 };
        if (!evex_has_form(r, f))
            continue;
        struct ir_vec v = evex_make_vec(n, r, f);
        h = run(h, &v, i / 24 + i);
    }
    return (uint32_t)(h ^ h >> 32);
}

Test(evex_known, rows)
{
    bool record = getenv("EVEX_RECORD");

    if (!record)
        cr_assert_eq(ARRAY_SIZE(known), ARRAY_SIZE(evex_names), "%zu recorded, %zu rows",
                     ARRAY_SIZE(known), ARRAY_SIZE(evex_names));
    for (size_t i = 0; i < ARRAY_SIZE(evex_names); i++) {
        const struct evex_name *n = &evex_names[i];
        uint32_t h = row_hash(n);
        if (record)
            printf("0x%08x,%c", h, i % 8 == 7 ? '\n' : ' ');
        else
            cr_expect_eq(h, known[i], "%s: map %u pp %u op %02x w %u", n->name, n->map, n->pp, n->op, n->w);
    }
}

/* what the decoder keeps as a vector instruction can be executed */
Test(evex_known, every_row_has_an_operation)
{
    for (unsigned i = 1; i < x86_row_count(); i++) {
        const struct x86_row *r = &x86_rows[i];
        unsigned pp = 0;
        if (r->op >> 8 < MAP_EVEX || r->tr != tr_vec)
            continue;
        while (pp < 3 && !row_has(r, AB_PNP + pp))
            pp++;
        for (unsigned w = 0; w < 2; w++)
            if (!row_has(r, w ? AB_W0 : AB_W1))
                cr_expect(evex_row(r->op >> 8 & 3, pp, r->op & 255, w)->fn != NULL, "%s W%u", r->name, w);
    }
}
