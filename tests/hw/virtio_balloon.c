/* virtio_balloon.c - the balloon driven as a guest's driver would: what it gives, keeps and tells */
#include "hw/virtio/virtio-balloon.h"
#include "hw/virtio/virtio.h"
#include "tests/hw/disk.h"

#define DEV      PCI_DEVFN(4, 0)
#define MODERN   0x90000000u
#define CONFIG   0x2000
#define QBASE    0x10000           /* rings of queue n: QBASE + n * 0x4000 */
#define LIST     0x30000
#define PAGES    0x40000           /* 64 of them are given and looked at */
#define QSIZE    8

enum { INFLATE, DEFLATE, STATS, REPORTING };
enum { F_STATS = 1, F_POISON = 4, F_REPORTING = 5 };
enum { WRITE = 2 };

struct guest {
    struct rig r;
    struct device *d;
    uint16_t avail[4];
    unsigned events;
    char data[64];                 /* of the last */
};

static void wr(struct guest *g, unsigned off, uint32_t v, unsigned size)
{
    mmio_write(&g->r.m->mem, MODERN + off, v, size);
}

static uint32_t rd(struct guest *g, unsigned off, unsigned size)
{
    return mmio_read(&g->r.m->mem, MODERN + off, size);
}

static void on_event(void *opaque, const char *name, const char *data)
{
    struct guest *g = opaque;

    cr_assert_str_eq(name, "BALLOON_CHANGE");
    snprintf(g->data, sizeof g->data, "%s", data);
    g->events++;
}

static void start(struct guest *g, uint64_t features)
{
    static const char *const props[] = { "free-page-reporting", "on", NULL };

    memset(g, 0, sizeof *g);
    rig_init(&g->r);
    g->d = rig_add(&g->r, &virtio_balloon_pci_type, DEV, props);
    g->r.m->event = on_event;
    g->r.m->event_opaque = g;
    cfg_wr(g->r.m, DEV, PCI_BAR0 + 16, MODERN, 4);
    cfg_wr(g->r.m, DEV, PCI_COMMAND, 7, 2);
    wr(g, 0x14, 3, 1);
    for (unsigned i = 0; i < 2; i++) {
        wr(g, 0x08, i, 4);
        wr(g, 0x0c, (features | BIT(VIRTIO_F_VERSION_1)) >> (32 * i), 4);
    }
    wr(g, 0x14, 11, 1);
    cr_assert_eq(rd(g, 0x14, 1), 11);
    for (unsigned n = 0; n < 4; n++) {
        wr(g, 0x16, n, 2);
        wr(g, 0x18, QSIZE, 2);
        for (unsigned i = 0; i < 3; i++)
            wr(g, 0x20 + 8 * i, QBASE + n * 0x4000 + i * 0x1000, 4);
        wr(g, 0x1c, 1, 2);
    }
    wr(g, 0x14, 15, 1);
    memset(g->r.m->ram + PAGES, 0xaa, 64 * 4096);
}

static void stop(struct guest *g)
{
    g->r.m->event = NULL;
    rig_free(&g->r);
}

static uint16_t used(struct guest *g, unsigned q)
{
    return ldl16(g->r.m->ram + QBASE + q * 0x4000 + 0x2002);
}

/* One buffer of one descriptor; kicks as a driver with event indexes off does: always. */
static void give(struct guest *g, unsigned q, gpa_t addr, uint32_t len, uint16_t flags)
{
    uint8_t *ring = g->r.m->ram + QBASE + q * 0x4000, *p = ring + 16 * (g->avail[q] % QSIZE);

    stl64(p, addr);
    stl32(p + 8, len);
    stl16(p + 12, flags);
    stl16(ring + 0x1004 + 2 * (g->avail[q] % QSIZE), g->avail[q] % QSIZE);
    stl16(ring + 0x1002, ++g->avail[q]);
    wr(g, 0x3000 + 4 * q, q, 2);
}

static void give_pages(struct guest *g, unsigned q, const uint32_t *pfn, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        stl32(g->r.m->ram + LIST + 4 * i, pfn[i]);
    give(g, q, LIST, 4 * n, 0);
}

/* Which of the 64 pages are gone. */
static uint64_t gone(struct guest *g)
{
    uint64_t set = 0;

    for (unsigned i = 0; i < 64; i++) {
        const uint8_t *p = g->r.m->ram + PAGES + i * 4096;
        bool first = p[0] == 0, last = p[4095] == 0;

        cr_assert_eq(first, last, "page %u is half gone", i);
        set |= (uint64_t)first << i;
    }
    return set;
}

Test(virtio_balloon, takes_the_pages_listed)
{
    static const uint32_t up[] = { 0x40, 0x41, 0x42, 0x50 }, down[] = { 0x65, 0x64, 0x63, 0x45 };
    struct guest g;

    start(&g, BIT(F_STATS));
    give_pages(&g, INFLATE, up, 4);
    cr_assert_eq(used(&g, INFLATE), 1);
    cr_assert_eq(gone(&g), 0x10007, "%#llx", (unsigned long long)gone(&g));
    give_pages(&g, INFLATE, down, 4);
    cr_assert_eq(gone(&g), 0x3800010027ull, "%#llx", (unsigned long long)gone(&g));
    give_pages(&g, DEFLATE, up, 4);
    cr_assert_eq(used(&g, DEFLATE), 1);
    stop(&g);
}

Test(virtio_balloon, survives_pages_that_are_none)
{
    static const uint32_t pfn[] = { 0x100, 0x60, 0xfee00, 0xffffffff, 0, 0x90000, 0xb8, 0x41 };
    struct guest g;

    start(&g, BIT(F_STATS));
    g.r.m->ram[0] = 0x55;
    give_pages(&g, INFLATE, pfn, 8);
    cr_assert_eq(used(&g, INFLATE), 1);
    cr_assert_eq(gone(&g), 0x100000002ull, "%#llx", (unsigned long long)gone(&g));
    cr_assert_eq(g.r.m->ram[0], 0);         /* page 0 is RAM as any other */
    give(&g, INFLATE, LIST, 3, 0);           /* less than one */
    give(&g, INFLATE, LIST, 0xffffffff, 0);  /* more than there is memory: it has no end in RAM */
    cr_assert_leq(used(&g, INFLATE), 3);
    stop(&g);
}

Test(virtio_balloon, takes_reported_pages_that_hold_zeroes)
{
    struct guest g;

    start(&g, BIT(F_REPORTING) | BIT(F_POISON));
    give(&g, REPORTING, PAGES, 4 * 4096, WRITE);
    cr_assert_eq(gone(&g), 0xf);
    give(&g, REPORTING, PAGES + 0x6800, 0x1800 + 0x800, WRITE);   /* half of 6, all of 7, half of 8 */
    cr_assert_eq(gone(&g), 0x8f, "%#llx", (unsigned long long)gone(&g));
    wr(&g, CONFIG + 12, 0xaaaaaaaa, 4);
    give(&g, REPORTING, PAGES + 0x10000, 4096, WRITE);
    cr_assert_eq(gone(&g), 0x8f);
    cr_assert_eq(used(&g, REPORTING), 3);
    stop(&g);
}

Test(virtio_balloon, tells_what_is_wanted_and_what_is_given)
{
    struct guest g;
    uint8_t gen;

    start(&g, BIT(F_STATS));
    cr_assert_eq(balloon_find(g.r.m), g.d);
    cr_assert_eq(balloon_actual(g.d), MiB);
    gen = rd(&g, 0x15, 1);
    balloon_set_target(g.d, 256 * KiB);
    cr_assert_eq(rd(&g, CONFIG, 4), 192);
    cr_assert_neq(rd(&g, 0x15, 1), gen);
    wr(&g, CONFIG + 4, 100, 4);
    cr_assert_eq(balloon_actual(g.d), MiB - 100 * 4096);
    cr_assert_eq(g.events, 1);
    cr_assert_str_eq(g.data, "{\"actual\": 638976}");
    wr(&g, CONFIG + 4, 150, 4);              /* the next second tells of what is then */
    wr(&g, CONFIG + 4, 192, 4);
    cr_assert_eq(g.events, 1);
    clock_step(&g.r.m->clock, &g.r.m->timers, 1000000000);
    cr_assert_eq(g.events, 2);
    cr_assert_str_eq(g.data, "{\"actual\": 262144}");
    wr(&g, CONFIG + 4, 0xffffffff, 4);       /* more than there is */
    cr_assert_eq(balloon_actual(g.d), 0);
    balloon_set_target(g.d, 64 * MiB);
    cr_assert_eq(rd(&g, CONFIG, 4), 0);
    wr(&g, 0x14, 0, 1);
    cr_assert_eq(balloon_actual(g.d), MiB);
    stop(&g);
}

Test(virtio_balloon, asks_for_statistics)
{
    uint64_t value[BALLOON_STATS];
    struct guest g;

    start(&g, BIT(F_STATS));
    cr_assert_eq(balloon_stats(g.d, value), 0);
    cr_assert_eq(value[4], UINT64_MAX);
    stl16(g.r.m->ram + LIST, 4);
    stl64(g.r.m->ram + LIST + 2, 12345);
    stl16(g.r.m->ram + LIST + 10, 77);       /* a tag that is none */
    give(&g, STATS, LIST, 25, 0);
    cr_assert_neq(balloon_stats(g.d, value), 0);
    cr_assert_eq(value[4], 12345);
    cr_assert_eq(used(&g, STATS), 0);        /* it is kept until the next are wanted */
    clock_step(&g.r.m->clock, &g.r.m->timers, 5000000000);
    cr_assert_eq(used(&g, STATS), 0);
    balloon_set_polling(g.d, 2);
    cr_assert_eq(balloon_polling(g.d), 2);
    clock_step(&g.r.m->clock, &g.r.m->timers, 1999999999);
    cr_assert_eq(used(&g, STATS), 0);
    clock_step(&g.r.m->clock, &g.r.m->timers, 1);
    cr_assert_eq(used(&g, STATS), 1);
    stl64(g.r.m->ram + LIST + 2, 54321);
    give(&g, STATS, LIST, 10, 0);
    balloon_stats(g.d, value);
    cr_assert_eq(value[4], 54321);
    give(&g, STATS, LIST, 10, 0);            /* a second one */
    cr_assert_eq(used(&g, STATS), 2);
    wr(&g, 0x14, 0, 1);                      /* reset with one held */
    clock_step(&g.r.m->clock, &g.r.m->timers, 5000000000);
    stop(&g);
}
