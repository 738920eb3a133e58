/* virtio_rng.c - random bytes by virtio: how many, of which source, how fast */
#include <fcntl.h>
#include "hw/misc/rng.h"
#include "hw/outside.h"
#include "tests/hw/virtq.h"

#define BUF    0x40000
#define MS     1000000ll

static void start(struct vdriver *g, const char *const *props)
{
    vd_start(g, &virtio_rng_pci_type, props);
    vd_drive(g, 0, 1);
}

/* Of the request's @len bytes that are not as they were; all the others are behind those. */
static unsigned filled(struct vdriver *g, unsigned len)
{
    unsigned n = len;

    while (n && g->r.m->ram[BUF + n - 1] == 0x5a)
        n--;
    return n;
}

static int ask(struct vdriver *g, uint32_t len)
{
    memset(g->r.m->ram + BUF, 0x5a, len);
    vd_give(g, 0, BUF, len, VQ_WRITE);
    return vd_next(g, 0);
}

Test(virtio_rng, fills_a_request)
{
    struct vdriver g;
    bool zero = true;

    start(&g, NULL);
    cr_assert_eq(ask(&g, 4096), 4096);
    cr_assert_geq(filled(&g, 4096), 4090);          /* 0x5a six times at the end: 2^-48 */
    for (unsigned i = 0; i < 64; i++)
        zero &= !g.r.m->ram[BUF + i];
    cr_assert_not(zero);
    cr_assert_eq(ask(&g, 3), 3);
    cr_assert_eq(ask(&g, 0), 0);
    cr_assert_eq(ask(&g, 0x30000), 65536);           /* it need not be full */
    vd_give(&g, 0, BUF, 64, 0);                      /* nothing in it is for us to write */
    cr_assert_eq(vd_next(&g, 0), 0);
    rig_free(&g.r);
}

Test(virtio_rng, serves_all_that_wait)
{
    struct vdriver g;

    start(&g, NULL);
    for (unsigned i = 0; i < VQ_SIZE; i++)
        vd_add(&g, 0, BUF, 16, VQ_WRITE);
    vd_kick(&g, 0);
    for (unsigned i = 0; i < VQ_SIZE; i++)
        cr_assert_eq(vd_next(&g, 0), 16);
    vd_give(&g, 0, BUF, 16, VQ_WRITE);
    cr_assert_eq(vd_next(&g, 0), 16);
    vd_step(&g, MS);                                 /* it looks again, and there is nothing */
    cr_assert_eq(vd_next(&g, 0), -1);
    rig_free(&g.r);
}

Test(virtio_rng, keeps_to_its_rate)
{
    static const char *const props[] = { "max-bytes", "100", "period", "1000", NULL };
    struct vdriver g;

    start(&g, props);
    vd_step(&g, 700 * MS);                           /* a period begins with its first byte */
    cr_assert_eq(ask(&g, 60), 60);
    vd_step(&g, 999 * MS);
    cr_assert_eq(ask(&g, 60), 40);
    cr_assert_eq(ask(&g, 60), -1);
    vd_give(&g, 0, BUF, 30, VQ_WRITE);
    vd_step(&g, MS - 1);
    cr_assert_eq(vd_next(&g, 0), -1);
    vd_step(&g, 1);
    cr_assert_eq(vd_next(&g, 0), 60);
    cr_assert_eq(vd_next(&g, 0), 30);
    vd_wr(&g, 0x14, 0, 1);                           /* a reset gives no more */
    vd_drive(&g, 0, 1);
    cr_assert_eq(ask(&g, 60), 10);
    cr_assert_eq(ask(&g, 60), -1);
    machine_reset(g.r.m);
    vd_drive(&g, 0, 1);
    cr_assert_eq(ask(&g, 60), -1);
    vd_step(&g, 1000 * MS);
    cr_assert_eq(vd_next(&g, 0), 60);
    rig_free(&g.r);
}

/* A device whose source "pipe" has what is written to ends[1] */
static void begin_with_pipe(struct vdriver *g, const char *const *props, int ends[2])
{
    struct err e = { "" };
    char name[32];

    cr_assert_eq(pipe(ends), 0);
    snprintf(name, sizeof name, "/proc/self/fd/%d", ends[0]);
    memset(g, 0, sizeof *g);
    rig_init(&g->r);
    cr_assert_not_null(rng_new(g->r.m, "pipe", name, &e), "%s", e.msg);
    g->d = rig_add(&g->r, &virtio_rng_pci_type, VQ_DEV, props);
}

Test(virtio_rng, waits_for_a_source_without_bytes)
{
    static const char *const props[] = { "rng", "pipe", NULL };
    struct vdriver g;
    struct err e = { "" };
    int ends[2];

    begin_with_pipe(&g, props, ends);
    vd_drive(&g, 0, 1);
    cr_assert_eq(ask(&g, 16), -1);
    vd_step(&g, 1000 * MS);
    cr_assert_eq(vd_next(&g, 0), -1);
    cr_assert_eq(write(ends[1], "0123456789", 10), 10);
    vd_step(&g, 1000 * MS);
    cr_assert_eq(vd_next(&g, 0), 10);
    cr_assert_eq(memcmp(g.r.m->ram + BUF, "0123456789ZZZZZZ", 16), 0);
    vd_give(&g, 0, BUF, 16, VQ_WRITE);
    vd_wr(&g, 0x14, 0, 1);                           /* reset while one waits */
    cr_assert_eq(write(ends[1], "abc", 3), 3);
    vd_step(&g, 1000 * MS);
    vd_drive(&g, 0, 1);
    cr_assert_eq(ask(&g, 16), 3);
    close(ends[1]);
    cr_assert_eq(ask(&g, 16), -1);                   /* the end of it is no byte either */
    vd_step(&g, 1000 * MS);
    cr_assert_eq(vd_next(&g, 0), -1);
    cr_assert_eq(rng_del(rng_find(g.r.m, "pipe"), &e), -EBUSY);
    machine_remove_device(g.r.m, g.d);
    cr_assert_eq(rng_del(rng_find(g.r.m, "pipe"), &e), 0);
    cr_assert_null(rng_find(g.r.m, "pipe"));
    rig_free(&g.r);
    close(ends[0]);
}

/* ---- what passes to the outside ------------------------------------------------------------- */

struct seen {
    unsigned n;
    uint64_t v;
};

static void answer(void *opaque, struct outside_event *ev)
{
    struct seen *s = opaque;

    if (ev->kind != OUTSIDE_ENTROPY)
        return;
    s->n++;
    ev->arg[1] = (int64_t)s->v;
}

static bool ours(void *opaque) { return true; }
static uint64_t count(void *opaque) { return 0; }

static uint64_t next(void *opaque)
{
    return 0x0101010101010101ull * ++*(unsigned *)opaque;
}

Test(virtio_rng, asks_the_outside_for_every_byte)
{
    static const struct outside_turns turns = { .ours = ours, .count = count, .random = next };
    static const uint8_t counted[10] = { 1, 1, 1, 1, 1, 1, 1, 1, 2, 2 };
    struct seen s = { 0, 0x2020202020202020ull };
    struct vdriver g;
    unsigned numbers = 0;

    start(&g, NULL);
    outside_observe(g.r.m, answer, &s);
    cr_assert_eq(ask(&g, 20), 20);
    cr_assert_eq(s.n, 3);
    for (unsigned i = 0; i < 20; i++)
        cr_assert_eq(g.r.m->ram[BUF + i], 0x20);
    outside_observe(g.r.m, NULL, NULL);
    g.r.m->outside->turns = &turns;
    g.r.m->outside->turns_opaque = &numbers;
    cr_assert_eq(ask(&g, 10), 10);
    cr_assert_eq(memcmp(g.r.m->ram + BUF, counted, 10), 0);
    g.r.m->outside->turns = NULL;
    rig_free(&g.r);
}

/* ---- packed rings: a request that goes back into its queue ------------------------------------ */

Test(virtio_rng, puts_back_what_it_cannot_serve_packed)
{
    static const char *const props[] = { "packed", "on", "rng", "pipe", NULL };
    struct vdriver g;
    uint8_t *ring;
    int ends[2];

    begin_with_pipe(&g, props, ends);
    vd_drive(&g, BIT(VIRTIO_F_RING_PACKED), 1);
    ring = vd_ring(&g, 0);
    for (unsigned n = 0; n < 3 * VQ_SIZE; n++) {     /* the wrap counter turns in the midst of it */
        uint8_t *p = ring + 16 * (n % VQ_SIZE);
        bool wrap = n / VQ_SIZE % 2 == 0;

        stl64(p, BUF);
        stl32(p + 8, 16);
        stl16(p + 12, (uint16_t)n);
        stl16(p + 14, VQ_WRITE | (wrap ? 1 << 7 : 1 << 15));
        vd_kick(&g, 0);
        vd_step(&g, 200 * MS);                       /* looked at several times */
        cr_assert_eq(!!(ldl16(p + 14) & 1 << 15), !wrap, "request %u is still there", n);
        cr_assert_eq(write(ends[1], "xyz", 3), 3);
        vd_step(&g, 200 * MS);
        cr_assert_eq(!!(ldl16(p + 14) & 1 << 15), wrap, "request %u is used", n);
        cr_assert_eq(ldl32(p + 8), 3);
        cr_assert_eq(ldl16(p + 12), n);
    }
    rig_free(&g.r);
    close(ends[0]);
    close(ends[1]);
}
