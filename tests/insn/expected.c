/*
 * expected.c - answers of the host CPU kept in a file, for hosts that are not x86
 *
 * One line a row and code size: "bits id inputs results", hexadecimal; id stands
 * for the row's description, so that inserting rows moves nothing; inputs is a
 * hash of the cases, results of the states they leave on every engine. A row
 * whose cases come out otherwise (another compiler may order the calls of the
 * random number generator otherwise) is not compared.
 */
#include "tests/insn/insn.h"

#define CASES 6

static uint64_t fnv(uint64_t h, const void *p, size_t n)
{
    const uint8_t *b = p;

    for (size_t i = 0; i < n; i++)
        h = (h ^ b[i]) * 0x100000001b3ull;
    return h;
}

uint32_t row_id(unsigned row)
{
    const struct x86_row *r = &x86_rows[row];
    const uint64_t words[] = { r->op, r->attr, r->dst, r->a, r->b, r->arg };
    uint64_t h = fnv(0xcbf29ce484222325ull, r->name, strlen(r->name));

    h = fnv(h, words, sizeof(words));
    return (uint32_t)(h ^ h >> 32);
}

/* what comparing two states looks at */
static uint64_t hash_state(uint64_t h, const struct tcase *c, const struct state *s)
{
    uint64_t flags = s->flags & (EF_ARITH | EF_DF) & ~(uint64_t)c->ignore;
    bool fault = s->vector >= 0;
    const uint64_t words[] = { (uint64_t)s->vector, s->pc, flags, fault ? s->error : 0,
                               s->vector == EXC_PF ? s->cr2 : 0 };

    h = fnv(h, words, sizeof(words));
    h = fnv(h, s->r, sizeof(s->r));
    h = fnv(h, s->stack, STACK_BYTES);
    h = fnv(h, s->data, DATA_BYTES);
    if (!c->fpu || c->approximate)
        return h;
    h = fnv(h, s->f.fx.xmm, sizeof(s->f.fx.xmm));
    h = fnv(h, s->f.ymmh, sizeof(s->f.ymmh));
    if (c->in[0].row > x86_last_avx_row())
        h = fnv(h, &s->f.z, sizeof(s->f.z));
    if (fault)
        return h;
    h = fnv(h, &s->f.fx.mxcsr, 4);
    h = fnv(h, &s->f.fx, 5);               /* FCW, FSW, FTW */
    for (unsigned i = 0; i < 8; i++)
        h = fnv(h, s->f.fx.st[i], 10);
    return h;
}

bool expected_hash(struct engine *e, unsigned row, unsigned bits, const struct x86_model *m, struct tcase *c,
                   struct state *out, struct expected *x)
{
    unsigned ran = 0;

    *x = (struct expected){ .bits = (uint8_t)bits, .id = row_id(row) };
    uint64_t in = x->id, res = x->id;
    for (unsigned k = 0; k < CASES * 6 && ran < CASES; k++) {
        rng_seed(x->id * 64ull + k + bits * 0x100000000ull);
        if (!gen_single(c, row, bits, m))
            continue;
        ran++;
        in = fnv(in, c->code, c->len);
        in = fnv(in, c->init.r, sizeof(c->init.r));
        in = fnv(in, c->init.data, DATA_BYTES);
        e->run(e, c, out);
        if (out->vector == VEC_HANG || out->vector == VEC_CRASH)
            return false;
        res = hash_state(res, c, out);
    }
    x->inputs = (uint32_t)(in ^ in >> 32);
    x->results = (uint32_t)(res ^ res >> 32);
    return ran > 0;
}

bool expected_read(const char *path, struct expected *list, unsigned max, unsigned *n)
{
    FILE *f = fopen(path, "r");
    unsigned bits, id, inputs, results;
    char line[80];

    *n = 0;
    if (!f)
        return false;
    while (*n < max && fgets(line, sizeof(line), f))
        if (sscanf(line, "%u %x %x %x", &bits, &id, &inputs, &results) == 4)
            list[(*n)++] = (struct expected){ (uint8_t)bits, id, inputs, results };
    fclose(f);
    return true;
}
