/*
 * evex-approx.c - VRCP14 and VRSQRT14
 *
 * The manual promises a relative error below 2^-14 and leaves the value open. These
 * are the values of Intel's processors: linear in each of 64 intervals of the
 * significand's top 16 bits (VRCP14), in each of 32 of its top 15 bits for even and
 * for odd exponents (VRSQRT14); exact for powers of two (of four). The tables were
 * fitted to every result that a Sapphire Rapids processor gives. Both types share
 * them. Nothing is raised; of MXCSR only DAZ and FTZ count.
 */
#include "target-x86/evexx-int.h"

/* the result's 16 bits below the leading one: (c0 - c1 * offset in the interval) >> 9 */
struct line {
    uint32_t c0;
    uint16_t c1;
};

static const struct line rcp_lines[64] = {
    { 33552640, 1009 }, { 32519680, 977 }, { 31519232, 949 }, { 30547968, 921 }, { 29604608, 893 },
    { 28690176, 869 }, { 27800320, 843 }, { 26936832, 821 }, { 26096128, 797 }, { 25279488, 777 },
    { 24483840, 755 }, { 23710208, 735 }, { 22957056, 717 }, { 22223616, 699 }, { 21508352, 681 },
    { 20810752, 663 }, { 20131584, 647 }, { 19468544, 631 }, { 18822656, 617 }, { 18191104, 601 },
    { 17575168, 587 }, { 16973568, 573 }, { 16386560, 561 }, { 15811840, 547 }, { 15250944, 535 },
    { 14702592, 523 }, { 14167296, 513 }, { 13642240, 501 }, { 13129472, 491 }, { 12627200, 479 },
    { 12135936, 469 }, { 11654912, 459 }, { 11184640, 451 }, { 10723072, 441 }, { 10271744, 433 },
    { 9828352, 423 }, { 9394688, 415 }, { 8969472, 407 }, { 8552448, 399 }, { 8143616, 391 },
    { 7743488, 385 }, { 7349504, 377 }, { 6963456, 369 }, { 6585088, 363 }, { 6213888, 357 },
    { 5848320, 349 }, { 5490176, 343 }, { 5138432, 337 }, { 4793088, 331 }, { 4453632, 325 },
    { 4120064, 319 }, { 3793408, 315 }, { 3470848, 309 }, { 3154176, 303 }, { 2843648, 299 },
    { 2537216, 293 }, { 2236928, 289 }, { 1941248, 285 }, { 1649920, 279 }, { 1364736, 275 },
    { 1083648, 271 }, { 806656, 267 }, { 533760, 263 }, { 264960, 259 },
};
/* exponent even, odd */
static const struct line rsqrt_lines[2][32] = { {
    { 33551488, 1001 }, { 32526464, 955 }, { 31548032, 915 }, { 30611712, 877 }, { 29714176, 841 },
    { 28853120, 807 }, { 28026496, 775 }, { 27232384, 747 }, { 26467584, 719 }, { 25731200, 693 },
    { 25021312, 669 }, { 24336896, 647 }, { 23675136, 625 }, { 23035136, 603 }, { 22417280, 585 },
    { 21818752, 567 }, { 21238656, 549 }, { 20676992, 533 }, { 20131712, 517 }, { 19602432, 501 },
    { 19089024, 487 }, { 18590080, 473 }, { 18105344, 461 }, { 17633664, 449 }, { 17174400, 437 },
    { 16727424, 425 }, { 16292608, 415 }, { 15867648, 403 }, { 15454080, 393 }, { 15051520, 385 },
    { 14657408, 375 }, { 14273792, 367 },
}, {
    { 13896320, 707 }, { 13171840, 675 }, { 12480000, 647 }, { 11817472, 619 }, { 11183616, 595 },
    { 10574720, 571 }, { 9990272, 549 }, { 9428096, 527 }, { 8887936, 509 }, { 8367488, 491 },
    { 7864960, 473 }, { 7380608, 457 }, { 6912640, 441 }, { 6460672, 427 }, { 6023296, 413 },
    { 5600640, 401 }, { 5190528, 389 }, { 4792704, 377 }, { 4407168, 365 }, { 4033664, 355 },
    { 3670400, 345 }, { 3317504, 335 }, { 2974208, 325 }, { 2640896, 317 }, { 2316544, 309 },
    { 2000512, 301 }, { 1692544, 293 }, { 1392384, 285 }, { 1100416, 279 }, { 814720, 271 },
    { 536576, 265 }, { 264960, 259 },
} };

/* 1.fraction * 2^exp in the form of struct sf */
static struct sf number(bool sign, uint32_t frac16, int exp)
{
    return (struct sf){ .cls = SF_NORM, .sign = sign, .exp = exp,
                        .m = (u128)(0x10000 | (frac16 & 0xffff)) << 110 };
}

static uint32_t on_line(const struct line *l, unsigned offset)
{
    return (l->c0 - l->c1 * offset) >> 9;
}

static struct sf reciprocal(struct sf s)
{
    unsigned x = (unsigned)(s.m >> 110) & 0xffff;

    if (!(s.m << 2))
        return number(s.sign, 0, -s.exp);
    return number(s.sign, on_line(&rcp_lines[x >> 10], x & 1023), -s.exp - 1);
}

static struct sf reciprocal_root(struct sf s)
{
    unsigned x = (unsigned)(s.m >> 111) & 0x7fff, odd = s.exp & 1;

    if (!odd && !(s.m << 2))
        return number(false, 0, -s.exp / 2);
    return number(false, on_line(&rsqrt_lines[odd][x >> 10], x & 1023), -(s.exp - (int)odd) / 2 - 1);
}

static uint64_t approximate(const struct vx *x, const struct sf_fmt *f, uint64_t v, bool root)
{
    struct sf_env e = { .rm = RM_NEAR, .masked = FE_X86_ALL, .daz = x->env.daz, .ftz = x->env.ftz };
    struct sf s = sf_unpack(&e, f, v);

    if (sf_is_nan(s))
        return sf_pack(f, sf_quiet(s));
    if (s.cls == SF_ZERO)
        return sf_pack(f, sf_inf(s.sign));
    if (root && s.sign)
        return sf_pack(f, sf_default_nan());
    if (s.cls == SF_INF)
        return sf_pack(f, sf_zero(s.sign));
    return sf_pack(f, sf_round(&e, root ? reciprocal_root(s) : reciprocal(s), f));
}

static void each(struct vx *x, bool root)
{
    const struct sf_fmt *f = x->es == 8 ? &sf_f64 : &sf_f32;

    for (unsigned i = 0; i < x->lanes; i++)
        el_put(&x->d, x->es, i, approximate(x, f, el_get(&x->b, x->es, i), root));
}

void ex_rcp14(struct vx *x) { each(x, false); }
void ex_rsqrt14(struct vx *x) { each(x, true); }
