/*
 * shrink.c - the least sequence that still differs
 *
 * Greedy: a change stays when the engine still differs. Fewer instructions first, then
 * fewer prefixes, plain displacements and immediates, zero registers, zero vectors, and
 * zero memory. Changes that make the host's run hang or die are taken back.
 */
#include "tests/fuzz/insn/ifuzz.h"
#include <stdlib.h>

struct shrinker {
    struct bench *b;
    enum fuzz_engine e;
    struct seq best;
};

/* Bytes of an instruction must not run into the next one. Row 0: made of several. */
static bool whole(const struct seq *q)
{
    struct x86_insn in;

    for (unsigned i = 0; i < q->n; i++)
        if (q->in[i].row && (x86_decode_with(q->in[i].b, q->in[i].n, q->bits, NULL, &in) != q->in[i].n))
            return false;
    for (unsigned i = 0; i < q->n; i++) {      /* what is glued is there as a whole */
        unsigned left = q->glue[i] & ~GLUED;
        if (left && (i + 1 == q->n || q->glue[i + 1] != ((left - 1) | GLUED)))
            return false;
        if (q->glue[i] & GLUED && (!i || (q->glue[i - 1] & ~GLUED) != left + 1))
            return false;
    }
    return q->n > 0;
}

/* Keep what stands in b->seq[0] when it still differs. */
static bool keep(struct shrinker *s)
{
    if (whole(&s->b->seq[0]) && bench_host(s->b) && bench_differs(s->b, s->e)) {
        s->best = s->b->seq[0];
        return true;
    }
    s->b->seq[0] = s->best;
    return false;
}

static void drop(struct seq *q, unsigned at)
{
    for (unsigned k = at; k + 1 < q->n; k++)
        q->in[k] = q->in[k + 1], q->glue[k] = q->glue[k + 1];
    for (unsigned k = at; k < q->n; k++)
        q->taint[k] = q->taint[k + 1];
    q->n--;
    for (unsigned k = 0; k < q->n; k++)
        if (q->in[k].rel && q->in[k].target > (int)at)
            q->in[k].target--;
}

static bool drop_instructions(struct shrinker *s)
{
    bool any = false;

    for (unsigned half = s->best.n / 2; half; half /= 2)
        for (unsigned i = 0; i + half <= s->best.n;) {
            for (unsigned k = 0; k < half; k++)
                drop(&s->b->seq[0], i);
            if (keep(s))
                any = true;
            else
                i += half;
        }
    return any;
}

/* the same instruction without its byte @at */
static void drop_byte(struct ins *in, unsigned at)
{
    memmove(in->b + at, in->b + at + 1, (size_t)(in->n - at - 1));
    in->n--;
    in->rip_at -= in->rip_at != 0;
    in->abs -= in->abs != 0;
}

static void drop_prefixes(struct shrinker *s)
{
    static const uint8_t prefixes[] = { 0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65, 0x66, 0x67, 0xf2, 0xf3, 0xf0 };

    for (unsigned i = 0; i < s->best.n; i++)
        for (unsigned at = 0; at < 4 && at + 1 < s->best.in[i].n; at++)
            if (memchr(prefixes, s->best.in[i].b[at], sizeof(prefixes))) {
                drop_byte(&s->b->seq[0].in[i], at);
                at -= keep(s);
            }
}

/* displacements and immediates: trailing bytes that may as well be 0 */
static void zero_tails(struct shrinker *s)
{
    for (unsigned i = 0; i < s->best.n; i++)
        for (unsigned at = 2; at < s->best.in[i].n; at++)
            if (s->best.in[i].b[at] && !s->best.in[i].rel && !s->best.in[i].rip_at) {
                s->b->seq[0].in[i].b[at] = 0;
                keep(s);
            }
}

static void zero_registers(struct shrinker *s)
{
    for (unsigned i = 0; i < 16; i++)
        if (s->best.r[i] && i != R_SP) {
            s->b->seq[0].r[i] = 0;
            if (!keep(s)) {
                s->b->seq[0].r[i] &= 0xff;
                keep(s);
            }
        }
    s->b->seq[0].flags = EF_1 | EF_IF;
    keep(s);
}

static void zero_vectors(struct shrinker *s)
{
    struct seq *q = &s->b->seq[0];

    if (!q->fpu)
        return;
    q->f.fx.mxcsr = 0x1f80;
    keep(s);
    q->f.fx.fcw = 0x37f;
    keep(s);
    q->f.fx.fsw = 0;
    q->f.fx.ftw = 0;
    keep(s);
    memset(&q->f.z, 0, sizeof(q->f.z));
    q->zmm = false;
    keep(s);
    for (unsigned i = 0; i < 16; i++) {
        memset(q->f.ymmh[i], 0, 16);
        keep(s);
        memset(q->f.fx.xmm[i], 0, 16);
        keep(s);
    }
    for (unsigned i = 0; i < 8; i++) {
        memset(q->f.fx.st[i], 0, 16);
        keep(s);
    }
}

/* The memory image, in ever smaller pieces; false: that piece matters. */
static void zero_memory(struct shrinker *s, uint8_t *p, unsigned n)
{
    uint8_t was[4096];
    bool zero = true;

    for (unsigned i = 0; i < n; i++)
        zero &= !p[i];
    if (zero)
        return;
    memcpy(was, p, n);
    memset(p, 0, n);
    fguest_image(s->b->guest, s->b->im);
    if (keep(s))
        return;
    memcpy(p, was, n);
    fguest_image(s->b->guest, s->b->im);
    if (n == 8)
        return;
    zero_memory(s, p, n / 2);
    zero_memory(s, p + n / 2, n / 2);
}

bool shrink(struct bench *b, enum fuzz_engine e)
{
    struct shrinker *s = aligned_alloc(64, align_up(sizeof(*s), 64));
    bool differs;

    s->b = b;
    s->e = e;
    s->best = b->seq[0];
    differs = keep(s);
    if (differs) {
        while (drop_instructions(s))
            ;
        drop_prefixes(s);
        zero_registers(s);
        zero_vectors(s);
        zero_tails(s);
        for (unsigned i = 0; i < sizeof(*b->im); i += 4096)
            zero_memory(s, (uint8_t *)b->im + i, 4096);
        b->seq[0] = s->best;
    }
    free(s);
    return differs;
}

/* ---- as a case of tests/insn ------------------------------------------------------- */

static void to_case(const struct bench *b, struct tcase *c)
{
    const struct seq *q = &b->seq[0];

    memset(c, 0, sizeof(*c));
    c->n = q->n;
    c->bits = q->bits;
    c->off = q->off & 4095;
    c->len = q->len;
    memcpy(c->in, q->in, sizeof(c->in));
    c->fpu = q->fpu;
    c->approximate = q->approximate;
    c->ignore = b->host[0].vector == VEC_END ? q->taint[q->n] : EF_ARITH & q->taint[q->n];
    memcpy(c->init.r, q->r, sizeof(q->r));
    c->init.flags = q->flags;
    c->init.f.fx.mxcsr = 0x1f80;
    c->init.f.fx.fcw = 0x37f;
    if (q->fpu) {
        c->init.f.fx = q->f.fx;
        memcpy(c->init.f.ymmh, q->f.ymmh, sizeof(q->f.ymmh));
        c->init.f.z = q->f.z;
    }
    memcpy(c->init.data, b->im->data, DATA_BYTES);
    memcpy(c->init.stack, b->im->stack, STACK_BYTES);
    memcpy(c->ro, b->im->ro, RO_BYTES);
    case_assemble(c);
}

void case_store(const struct bench *b, const char *dir, const char *why)
{
    struct tcase *c = aligned_alloc(64, align_up(sizeof(*c), 64));
    uint32_t id = 0;
    char *name;

    to_case(b, c);
    for (unsigned i = 0; i < c->len; i++)
        id = (id ^ c->code[i]) * 0x01000193u;
    name = xasprintf("%s/%s-%u-%08x", dir, c->in[0].row ? x86_rows[c->in[0].row].name : "seq", c->bits, id);
    FILE *f = fopen(name, "w");
    if (!f || !case_write(f, c, why))
        fprintf(stderr, "ifuzz: cannot write %s\n", name);
    else
        printf("  stored as %s\n", name);
    if (f)
        fclose(f);
    free(name);
    free(c);
}
