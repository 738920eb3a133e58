/* virtio_blk.c - virtio-blk driven as a guest's driver would */
#include "hw/virtio/virtio.h"
#include "tests/hw/disk.h"

#define DEV      PCI_DEVFN(4, 0)
#define MODERN   0x90000000u
#define MSIX     0x91000000u
#define LEGACY   0xc000
#define DESC     0x10000
#define AVAIL    0x11000
#define USED     0x12000
#define HDR      0x20000
#define DATA     0x21000
#define STATUS   0x2f000
#define QSIZE    8

enum { NEXT = 1, WRITE = 2, INDIRECT = 4 };
enum { IN, OUT, FLUSH = 4, GET_ID = 8, DISCARD = 11, WRITE_ZEROES = 13 };

struct guest {
    struct rig r;
    struct drive *d;
    uint16_t avail, used;
    bool legacy, packed, wrap;
    unsigned at;                /* packed: next descriptor */
};

static uint64_t rd(struct guest *g, unsigned off, unsigned size)
{
    return mmio_read(&g->r.m->mem, MODERN + off, size);
}

static void wr(struct guest *g, unsigned off, uint32_t v, unsigned size)
{
    mmio_write(&g->r.m->mem, MODERN + off, v, size);
}

static void put16(struct guest *g, gpa_t at, uint16_t v) { stl16(g->r.m->ram + at, v); }
static uint16_t get16(struct guest *g, gpa_t at) { return ldl16(g->r.m->ram + at); }

static void guest_init(struct guest *g, const char *const *extra)
{
    const char *props[20] = { "drive", "d0", "queue-size", "8", "serial", "SN-1" };
    unsigned n = 6;

    for (; extra && *extra; extra++)
        props[n++] = *extra;
    memset(g, 0, sizeof *g);
    rig_init(&g->r);
    g->d = rig_drive(&g->r, "d0", 64);
    rig_add(&g->r, &virtio_blk_pci_type, DEV, props);
    cfg_wr(g->r.m, DEV, PCI_BAR0, LEGACY, 4);
    cfg_wr(g->r.m, DEV, PCI_BAR0 + 4, MSIX, 4);
    cfg_wr(g->r.m, DEV, PCI_BAR0 + 16, MODERN, 4);
    cfg_wr(g->r.m, DEV, PCI_COMMAND, 7, 2);
    g->wrap = true;
}

static void set_queue(struct guest *g, unsigned n)
{
    static const gpa_t at[3] = { DESC, AVAIL, USED };

    wr(g, 0x16, n, 2);
    wr(g, 0x18, QSIZE, 2);
    for (unsigned i = 0; i < 3; i++) {
        wr(g, 0x20 + 8 * i, at[i] + n * 0x4000, 4);
        wr(g, 0x24 + 8 * i, 0, 4);
    }
    wr(g, 0x1c, 1, 2);
}

/* what a driver does, up to FEATURES_OK */
static void negotiate(struct guest *g, uint64_t features)
{
    wr(g, 0x14, 0, 1);
    wr(g, 0x14, 3, 1);
    for (unsigned i = 0; i < 2; i++) {
        wr(g, 0x08, i, 4);
        wr(g, 0x0c, features >> (32 * i), 4);
    }
    wr(g, 0x14, 3 | VIRTIO_FEATURES_OK, 1);
}

static void start(struct guest *g, uint64_t features)
{
    g->packed = features >> VIRTIO_F_RING_PACKED & 1;
    negotiate(g, features | BIT(VIRTIO_F_VERSION_1));
    cr_assert(rd(g, 0x14, 1) & VIRTIO_FEATURES_OK);
    set_queue(g, 0);
    wr(g, 0x14, 3 | VIRTIO_FEATURES_OK | VIRTIO_DRIVER_OK, 1);
}

static void desc(struct guest *g, gpa_t table, unsigned i, gpa_t addr, uint32_t len,
                 uint16_t flags, uint16_t next)
{
    uint8_t *p = g->r.m->ram + table + 16 * i;

    stl64(p, addr);
    stl32(p + 8, len);
    stl16(p + 12, flags);
    stl16(p + 14, next);
}

static void kick(struct guest *g)
{
    if (g->legacy)
        port_write(g->r.m, LEGACY + 16, 0, 2);
    else
        wr(g, 0x3000, 0, 2);
    rig_wait(&g->r, g->d);
}

static void offer(struct guest *g, unsigned head)
{
    put16(g, AVAIL + 4 + 2 * (g->avail % QSIZE), head);
    put16(g, AVAIL + 2, ++g->avail);
}

static void header(struct guest *g, uint32_t type, uint64_t sector)
{
    uint8_t *h = g->r.m->ram + HDR;

    stl32(h, type);
    stl32(h + 4, 0);
    stl64(h + 8, sector);
    g->r.m->ram[STATUS] = 0xee;
}

static void packed_desc(struct guest *g, gpa_t addr, uint32_t len, uint16_t flags, uint16_t id)
{
    flags |= g->wrap ? 1 << 7 : 1 << 15;
    desc(g, DESC, g->at, addr, len, id, flags);
    if (++g->at == QSIZE) {
        g->at = 0;
        g->wrap = !g->wrap;
    }
}

/* header, data, status; returns the status byte */
static uint8_t request(struct guest *g, uint32_t type, uint64_t sector, uint32_t len)
{
    bool in = type == IN || type == GET_ID;

    header(g, type, sector);
    if (g->packed) {
        packed_desc(g, HDR, 16, NEXT, 5);
        if (len)
            packed_desc(g, DATA, len, NEXT | (in ? WRITE : 0), 5);
        packed_desc(g, STATUS, 1, WRITE, 5);
    } else {
        desc(g, DESC, 0, HDR, 16, NEXT, len ? 1 : 2);
        desc(g, DESC, 1, DATA, len, NEXT | (in ? WRITE : 0), 2);
        desc(g, DESC, 2, STATUS, 1, WRITE, 0);
        offer(g, 0);
    }
    kick(g);
    return g->r.m->ram[STATUS];
}

Test(virtio_blk, is_a_transitional_device_with_its_capabilities)
{
    struct guest g;
    unsigned seen = 0;

    guest_init(&g, NULL);
    cr_assert_eq(cfg_rd(g.r.m, DEV, 0, 4), 0x10011af4);
    cr_assert_eq(cfg_rd(g.r.m, DEV, PCI_SUBSYS_ID, 2), 2);
    for (uint8_t c = cfg_rd(g.r.m, DEV, PCI_CAP_PTR, 1); c; c = cfg_rd(g.r.m, DEV, c + 1, 1))
        if (cfg_rd(g.r.m, DEV, c, 1) == 9)
            seen |= 1 << cfg_rd(g.r.m, DEV, c + 3, 1);
    cr_assert_eq(seen, 0x3e, "common, notify, ISR, device, PCI");
    rig_free(&g.r);
}

Test(virtio_blk, modern_only_has_no_ports)
{
    static const char *const props[] = { "disable-legacy", "on", NULL };
    struct guest g;

    guest_init(&g, props);
    cr_assert_eq(cfg_rd(g.r.m, DEV, 0, 4), 0x10421af4);
    cr_assert_eq(cfg_rd(g.r.m, DEV, PCI_BAR0, 4), 0);
    negotiate(&g, 0);
    cr_assert(!(rd(&g, 0x14, 1) & VIRTIO_FEATURES_OK), "VERSION_1 is a must");
    rig_free(&g.r);
}

/* What the bus shows of the form @type */
static void check_form(const struct device_type *type, uint32_t id, bool ports)
{
    const char *const props[] = { "drive", "d0", NULL };
    struct rig r;

    rig_init(&r);
    rig_drive(&r, "d0", 64);
    rig_add(&r, type, DEV, props);
    cr_assert_eq(cfg_rd(r.m, DEV, 0, 4), id, "%s", type->name);
    cr_assert_eq(cfg_rd(r.m, DEV, PCI_BAR0, 4) & 1, ports, "%s", type->name);
    rig_free(&r);
}

Test(virtio_blk, forms_by_name)
{
    check_form(&virtio_blk_pci_type, 0x10011af4, true);
    check_form(&virtio_blk_pci_transitional_type, 0x10011af4, true);
    check_form(&virtio_blk_pci_non_transitional_type, 0x10421af4, false);
}

static void check_io(struct guest *g)
{
    uint8_t *data = g->r.m->ram + DATA;

    cr_assert_eq(request(g, IN, 3, 1024), 0);
    cr_assert_eq(data[0], 4);
    cr_assert_eq(data[512], 5);
    memset(data, 0xab, 512);
    cr_assert_eq(request(g, OUT, 7, 512), 0);
    cr_assert_eq(request(g, FLUSH, 0, 0), 0);
    cr_assert_eq(rig_file_byte(&g->r, 0, 7 * 512), 0xab);
    cr_assert_eq(rig_file_byte(&g->r, 0, 8 * 512), 9);
    cr_assert_eq(request(g, GET_ID, 0, 20), 0);
    cr_assert_str_eq((char *)data, "SN-1");
    cr_assert_eq(request(g, IN, 64, 512), 1, "past the end");
    cr_assert_eq(request(g, IN, UINT64_MAX, 1024), 1);
    cr_assert_eq(request(g, IN, 0, 100), 1, "no whole sector");
    cr_assert_eq(request(g, 99, 0, 0), 2, "unknown type");
}

Test(virtio_blk, split_ring)
{
    struct guest g;

    guest_init(&g, NULL);
    start(&g, 0);
    check_io(&g);
    cr_assert_eq(get16(&g, USED + 2), g.avail);
    cr_assert_eq(ldl32(g.r.m->ram + USED + 4 + 4), 1025, "1024 bytes and the status");
    cr_assert_eq(rd(&g, 0x1000, 1), 1, "ISR");
    cr_assert_eq(rd(&g, 0x1000, 1), 0, "cleared by reading");
    rig_free(&g.r);
}

Test(virtio_blk, packed_ring)
{
    static const char *const props[] = { "packed", "on", NULL };
    struct guest g;

    guest_init(&g, props);
    start(&g, BIT(VIRTIO_F_RING_PACKED));
    for (unsigned i = 0; i < 4; i++)    /* several times round the ring */
        check_io(&g);
    cr_assert_eq(get16(&g, DESC + 12), 5, "id of the used element");
    rig_free(&g.r);
}

Test(virtio_blk, legacy_interface)
{
    struct guest g;
    struct machine *m;

    guest_init(&g, NULL);
    m = g.r.m;
    g.legacy = true;
    cfg_wr(m, DEV, PCI_COMMAND, 3, 2);           /* such a driver need not know of bus mastering */
    outb(m, LEGACY + 18, 0);
    outb(m, LEGACY + 18, 1);
    cr_assert_eq(cfg_rd(m, DEV, PCI_COMMAND, 2), 3);
    outb(m, LEGACY + 18, 3);
    cr_assert_eq(cfg_rd(m, DEV, PCI_COMMAND, 2), 7, "the device sees to it");
    cr_assert_eq(port_read(m, LEGACY + 20, 4), 64, "capacity right behind the registers");
    port_write(m, LEGACY + 4, 0, 4);
    port_write(m, LEGACY + 14, 0, 2);
    cr_assert_eq(port_read(m, LEGACY + 12, 2), QSIZE);
    port_write(m, LEGACY + 8, 0x30000 / 4096, 4);
    outb(m, LEGACY + 18, 7);
    /* the rings' places follow from the page: descriptors, available, used */
    header(&g, IN, 9);
    desc(&g, 0x30000, 0, HDR, 16, NEXT, 1);
    desc(&g, 0x30000, 1, DATA, 512, NEXT | WRITE, 2);
    desc(&g, 0x30000, 2, STATUS, 1, WRITE, 0);
    put16(&g, 0x30000 + 16 * QSIZE + 4, 0);
    put16(&g, 0x30000 + 16 * QSIZE + 2, 1);
    kick(&g);
    cr_assert_eq(m->ram[STATUS], 0);
    cr_assert_eq(m->ram[DATA], 10);
    cr_assert_eq(get16(&g, 0x31000 + 2), 1);
    cr_assert_eq(g.r.line[3], 1, "INTA of slot 4 is PIRQD");
    cr_assert_eq(inb(m, LEGACY + 19), 1);
    cr_assert_eq(g.r.line[3], 0);
    rig_free(&g.r);
}

Test(virtio_blk, indirect_descriptors)
{
    struct guest g;

    guest_init(&g, NULL);
    start(&g, BIT(VIRTIO_F_INDIRECT_DESC));
    header(&g, IN, 1);
    desc(&g, 0x40000, 0, HDR, 16, NEXT, 1);
    desc(&g, 0x40000, 1, DATA, 512, NEXT | WRITE, 2);
    desc(&g, 0x40000, 2, STATUS, 1, WRITE, 0);
    desc(&g, DESC, 4, 0x40000, 48, INDIRECT, 0);
    offer(&g, 4);
    kick(&g);
    cr_assert_eq(g.r.m->ram[STATUS], 0);
    cr_assert_eq(g.r.m->ram[DATA], 2);
    cr_assert_eq(ldl32(g.r.m->ram + USED + 4), 4, "head");
    rig_free(&g.r);
}

Test(virtio_blk, event_index_spares_interrupts)
{
    struct guest g;

    guest_init(&g, NULL);
    start(&g, BIT(VIRTIO_F_EVENT_IDX));
    put16(&g, AVAIL + 4 + 2 * QSIZE, 2);        /* not before the third */
    request(&g, IN, 0, 512);
    rd(&g, 0x1000, 1);                          /* the first is always told */
    request(&g, IN, 0, 512);
    cr_assert_eq(rd(&g, 0x1000, 1), 0);
    request(&g, IN, 0, 512);
    cr_assert_eq(rd(&g, 0x1000, 1), 1);
    cr_assert_eq(get16(&g, USED + 4 + 8 * QSIZE), 3, "avail_event");
    rig_free(&g.r);
}

Test(virtio_blk, discard_and_write_zeroes)
{
    struct guest g;
    uint8_t *seg;

    guest_init(&g, NULL);
    start(&g, BIT(13) | BIT(14));
    seg = g.r.m->ram + DATA;
    memset(seg, 0, 32);
    stl64(seg, 2), stl32(seg + 8, 1);
    stl64(seg + 16, 5), stl32(seg + 24, 2), stl32(seg + 28, 1);
    cr_assert_eq(request(&g, WRITE_ZEROES, 0, 32), 0);
    cr_assert_eq(rig_file_byte(&g.r, 0, 1 * 512), 2);
    cr_assert_eq(rig_file_byte(&g.r, 0, 2 * 512), 0);
    cr_assert_eq(rig_file_byte(&g.r, 0, 3 * 512), 4);
    cr_assert_eq(rig_file_byte(&g.r, 0, 6 * 512 + 511), 0);
    cr_assert_eq(rig_file_byte(&g.r, 0, 7 * 512), 8);
    cr_assert_eq(request(&g, DISCARD, 0, 16), 0);
    cr_assert_eq(request(&g, DISCARD, 0, 32), 2, "no flags in DISCARD");
    stl64(seg, 63), stl32(seg + 8, 2);
    cr_assert_eq(request(&g, DISCARD, 0, 16), 1, "past the end");
    cr_assert_eq(request(&g, DISCARD, 0, 8), 1, "half a segment");
    rig_free(&g.r);
}

Test(virtio_blk, several_queues)
{
    static const char *const props[] = { "num-queues", "4", NULL };
    struct guest g;

    guest_init(&g, props);
    cr_assert_eq(rd(&g, 0x12, 2), 4);
    cr_assert_eq(rd(&g, 0x2000 + 34, 2), 4);
    negotiate(&g, BIT(VIRTIO_F_VERSION_1) | BIT(12));
    set_queue(&g, 2);
    wr(&g, 0x14, 15, 1);
    header(&g, IN, 6);
    desc(&g, DESC + 0x8000, 0, HDR, 16, NEXT, 1);
    desc(&g, DESC + 0x8000, 1, DATA, 512, NEXT | WRITE, 2);
    desc(&g, DESC + 0x8000, 2, STATUS, 1, WRITE, 0);
    put16(&g, AVAIL + 0x8000 + 2, 1);
    wr(&g, 0x3008, 2, 2);
    rig_wait(&g.r, g.d);
    cr_assert_eq(g.r.m->ram[STATUS], 0);
    cr_assert_eq(g.r.m->ram[DATA], 7);
    rig_free(&g.r);
}

Test(virtio_blk, msix_masks_and_remembers)
{
    struct guest g;
    struct machine *m;
    uint8_t cap;

    guest_init(&g, NULL);
    m = g.r.m;
    for (cap = cfg_rd(m, DEV, PCI_CAP_PTR, 1); cfg_rd(m, DEV, cap, 1) != 0x11; )
        cap = cfg_rd(m, DEV, cap + 1, 1);
    mmio_write(&m->mem, MSIX + 16, 0xfee00000, 4);
    mmio_write(&m->mem, MSIX + 20, 0, 4);
    mmio_write(&m->mem, MSIX + 24, 0x61, 4);
    cfg_wr(m, DEV, cap + 2, 0x8000, 2);
    negotiate(&g, BIT(VIRTIO_F_VERSION_1));
    set_queue(&g, 0);
    wr(&g, 0x1a, 9, 2);
    cr_assert_eq(rd(&g, 0x1a, 2), 0xffff, "there is no vector 9");
    wr(&g, 0x1a, 1, 2);
    wr(&g, 0x14, 15, 1);
    cr_assert_eq(request(&g, IN, 0, 512), 0);
    cr_assert_eq(rig_vector(&g.r), -1, "masked after reset");
    cr_assert_eq(mmio_read(&m->mem, MSIX + 0x800, 4), 2, "pending");
    mmio_write(&m->mem, MSIX + 28, 0, 4);
    cr_assert_eq(rig_vector(&g.r), 0x61);
    cr_assert_eq(mmio_read(&m->mem, MSIX + 0x800, 4), 0);
    cr_assert_eq(request(&g, IN, 0, 512), 0);
    cr_assert_eq(rig_vector(&g.r), 0x61);
    cr_assert_eq(g.r.line[3], 0, "no INTx with MSI-X");
    rig_free(&g.r);
}

Test(virtio_blk, resize_is_told)
{
    struct guest g;
    struct err e;
    uint8_t gen;

    guest_init(&g, NULL);
    start(&g, 0);
    gen = rd(&g, 0x15, 1);
    cr_assert_eq(rd(&g, 0x2000, 4), 64);
    cr_assert_eq(block_resize(g.d->blk, 128 * 512, &e), 0);
    cr_assert_eq(rd(&g, 0x2000, 4), 128);
    cr_assert_neq(rd(&g, 0x15, 1), gen);
    cr_assert_eq(rd(&g, 0x1000, 1), 3, "configuration bit");
    rig_free(&g.r);
}

/* ---- drivers that break the rules ------------------------------------------------------ */

static void expect_broken(struct guest *g, const char *why)
{
    kick(g);
    cr_assert(rd(g, 0x14, 1) & VIRTIO_NEEDS_RESET, "%s", why);
    memset(g->r.m->ram + AVAIL, 0, 0x2000);
    g->avail = 0;
    start(g, 0);
    cr_assert_eq(request(g, IN, 0, 512), 0, "works again after a reset");
}

Test(virtio_blk, bad_descriptors_break_the_device)
{
    struct guest g;

    guest_init(&g, NULL);
    start(&g, 0);
    desc(&g, DESC, 0, HDR, 16, NEXT, 1);
    desc(&g, DESC, 1, DATA, 512, NEXT | WRITE, 0);
    offer(&g, 0);
    expect_broken(&g, "loop");
    desc(&g, DESC, 0, HDR, 16, NEXT, 200);
    offer(&g, 0);
    expect_broken(&g, "next outside");
    offer(&g, 77);
    expect_broken(&g, "head outside");
    desc(&g, DESC, 0, HDR, 16, INDIRECT, 0);
    offer(&g, 0);
    expect_broken(&g, "indirect not negotiated");
    desc(&g, DESC, 0, STATUS, 1, NEXT | WRITE, 1);
    desc(&g, DESC, 1, HDR, 16, 0, 0);
    offer(&g, 0);
    expect_broken(&g, "readable after writable");
    desc(&g, DESC, 0, HDR, 8, NEXT, 1);
    desc(&g, DESC, 1, STATUS, 1, WRITE, 0);
    offer(&g, 0);
    expect_broken(&g, "short header");
    desc(&g, DESC, 0, HDR, 16, 0, 0);
    offer(&g, 0);
    expect_broken(&g, "no status byte");
    desc(&g, DESC, 0, 1ull << 45, 0xffffffff, NEXT, 1);
    offer(&g, 0);
    expect_broken(&g, "buffer of 4 GiB nowhere");
    put16(&g, AVAIL + 2, g.avail + 100);
    expect_broken(&g, "index far ahead");
    rig_free(&g.r);
}

Test(virtio_blk, data_from_nowhere_reads_as_zeroes)
{
    struct guest g;

    guest_init(&g, NULL);
    start(&g, 0);
    header(&g, OUT, 10);
    desc(&g, DESC, 0, HDR, 16, NEXT, 1);
    desc(&g, DESC, 1, 0xa0000000, 512, NEXT, 2);
    desc(&g, DESC, 2, STATUS, 1, WRITE, 0);
    offer(&g, 0);
    kick(&g);
    cr_assert_eq(g.r.m->ram[STATUS], 0);
    cr_assert_eq(rig_file_byte(&g.r, 0, 10 * 512), 0);
    cr_assert_eq(rig_file_byte(&g.r, 0, 11 * 512), 12);
    rig_free(&g.r);
}

Test(virtio_blk, queue_registers_are_fixed_once_in_use)
{
    struct guest g;

    guest_init(&g, NULL);
    start(&g, 0);
    wr(&g, 0x16, 0, 2);
    wr(&g, 0x18, 4, 2);
    wr(&g, 0x20, 0x50000, 4);
    cr_assert_eq(rd(&g, 0x18, 2), QSIZE);
    cr_assert_eq(rd(&g, 0x20, 4), DESC);
    wr(&g, 0x08, 0, 4);
    wr(&g, 0x0c, 0xffffffff, 4);
    cr_assert_eq(rd(&g, 0x0c, 4), 0, "features too");
    wr(&g, 0x16, 60000, 2);
    wr(&g, 0x20, 0x50000, 4);
    cr_assert_eq(rd(&g, 0x18, 2), 0, "no such queue");
    wr(&g, 0x14, 0, 1);
    wr(&g, 0x16, 0, 2);
    wr(&g, 0x18, 7, 2);
    cr_assert_eq(rd(&g, 0x18, 2), QSIZE, "7 is no power of two");
    rig_free(&g.r);
}

Test(virtio_blk, reset_waits_for_what_is_in_flight)
{
    struct guest g;

    guest_init(&g, NULL);
    start(&g, 0);
    header(&g, FLUSH, 0);               /* on a worker's thread: a read may be done at once */
    desc(&g, DESC, 0, HDR, 16, NEXT, 1);
    desc(&g, DESC, 1, STATUS, 1, WRITE, 0);
    offer(&g, 0);
    wr(&g, 0x3000, 0, 2);               /* nobody polls */
    cr_assert(drive_busy(g.d));
    wr(&g, 0x14, 0, 1);
    cr_assert(!drive_busy(g.d));
    cr_assert_eq(get16(&g, USED + 2), 0, "not reported");
    cr_assert_eq(g.r.m->ram[STATUS], 0xee);
    rig_free(&g.r);
}

Test(virtio_blk, window_in_configuration_space)
{
    struct guest g;
    struct machine *m;
    uint8_t cap;

    guest_init(&g, NULL);
    m = g.r.m;
    cfg_wr(m, DEV, PCI_COMMAND, 0, 2);           /* BARs off */
    for (cap = cfg_rd(m, DEV, PCI_CAP_PTR, 1);
         cfg_rd(m, DEV, cap, 1) != 9 || cfg_rd(m, DEV, cap + 3, 1) != 5; )
        cap = cfg_rd(m, DEV, cap + 1, 1);
    cfg_wr(m, DEV, cap + 4, 4, 1);
    cfg_wr(m, DEV, cap + 8, 0x2000, 4);
    cfg_wr(m, DEV, cap + 12, 4, 4);
    cr_assert_eq(cfg_rd(m, DEV, cap + 16, 4), 64, "capacity");
    cfg_wr(m, DEV, cap + 8, 0x14, 4);
    cfg_wr(m, DEV, cap + 12, 1, 4);
    cfg_wr(m, DEV, cap + 16, 1, 1);
    cfg_wr(m, DEV, cap + 8, 0x14, 4);
    cr_assert_eq(cfg_rd(m, DEV, cap + 16, 1), 1, "status");
    rig_free(&g.r);
}

Test(virtio_blk, waits_for_bus_mastering)
{
    for (int platform = 0; platform < 2; platform++) {
        static const char *const extra[] = { "iommu_platform", "on", NULL };
        struct guest g;

        guest_init(&g, platform ? extra : NULL);
        start(&g, platform ? BIT(VIRTIO_F_ACCESS_PLATFORM) : 0);
        cfg_wr(g.r.m, DEV, PCI_COMMAND, 3, 2);
        memset(g.r.m->ram + DATA, 0xee, 512);
        header(&g, IN, 9);
        desc(&g, DESC, 0, HDR, 16, NEXT, 1);
        desc(&g, DESC, 1, DATA, 512, NEXT | WRITE, 2);
        desc(&g, DESC, 2, STATUS, 1, WRITE, 0);
        offer(&g, 0);
        kick(&g);
        cr_assert_eq(get16(&g, USED + 2), 0);
        cr_assert_eq(g.r.m->ram[DATA], 0xee);
        cr_assert_eq(rd(&g, 0x14, 1) & VIRTIO_NEEDS_RESET, 0, "no fault of the driver's");
        cfg_wr(g.r.m, DEV, PCI_COMMAND, 7, 2);
        rig_wait(&g.r, g.d);
        cr_assert_eq(get16(&g, USED + 2), 1, "then what was offered");
        cr_assert_eq(g.r.m->ram[DATA], 10);
        rig_free(&g.r);
    }
}
