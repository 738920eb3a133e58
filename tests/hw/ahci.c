/* ahci.c - AHCI by its registers and the structures in memory */
#include "hw/disk/ahci.h"
#include "tests/hw/disk.h"

#define DEV   PCI_DEVFN(5, 0)
#define ABAR  0x90000000u
#define CLB   0x10000
#define FB    0x11000
#define TABLE 0x12000     /* + 0x1000 a slot */
#define DMA   0x40000

enum { IS = 0x10, IE = 0x14, CMD = 0x18, TFD = 0x20, SIG = 0x24, SSTS = 0x28, SCTL = 0x2c,
       SACT = 0x34, CI = 0x38 };

struct guest {
    struct rig r;
    struct machine *m;
    struct drive *hd, *cd;
};

static uint32_t rd(struct guest *g, unsigned port, unsigned reg)
{
    return mmio_read(&g->m->mem, ABAR + 0x100 + 0x80 * port + reg, 4);
}

static void wr(struct guest *g, unsigned port, unsigned reg, uint32_t v)
{
    mmio_write(&g->m->mem, ABAR + 0x100 + 0x80 * port + reg, v, 4);
}

static void setup_unit(struct device *d, const void *arg)
{
    const char *const *p = arg;
    struct err e = { "" };

    prop_defaults(d);
    for (; *p; p += 2)
        cr_assert_eq(prop_set(d, p[0], p[1], &e), 0, "%s", e.msg);
}

static void setup_hba(struct device *d, const void *arg)
{
    prop_defaults(d);
    d->id = xstrdup("sata");
    ((struct pci_device *)d)->devfn = DEV;
}

static void guest_init(struct guest *g)
{
    static const char *const hd[] = { "drive", "hd", "bus", "sata.0", NULL };
    static const char *const cd[] = { "drive", "cd", "bus", "sata.2", NULL };
    struct err e = { "" };

    memset(g, 0, sizeof *g);
    rig_init(&g->r);
    g->m = g->r.m;
    g->hd = rig_drive(&g->r, "hd", 200);
    g->cd = rig_drive(&g->r, "cd", 64);
    cr_assert_not_null(machine_add_device(g->m, &ahci_type, 0, NULL, setup_hba, NULL, &e));
    cr_assert_not_null(machine_add_device(g->m, &ide_hd_type, 0, NULL, setup_unit, hd, &e), "%s", e.msg);
    cr_assert_not_null(machine_add_device(g->m, &ide_cd_type, 0, NULL, setup_unit, cd, &e), "%s", e.msg);
    machine_reset(g->m);
    g->m->pci->pirq_set = watch_line;
    cfg_wr(g->m, DEV, PCI_BAR0 + 20, ABAR, 4);
    cfg_wr(g->m, DEV, PCI_COMMAND, 6, 2);
    mmio_write(&g->m->mem, ABAR + 4, 0x80000002, 4);
    for (unsigned p = 0; p < 3; p += 2) {
        wr(g, p, 0x00, CLB + p * 0x10000);
        wr(g, p, 0x08, FB + p * 0x10000);
        wr(g, p, IE, 0xffffffff);
        wr(g, p, CMD, 0x11);
    }
}

/* command in slot @n of @port; the rest of the FIS is the caller's */
static uint8_t *slot(struct guest *g, unsigned port, unsigned n, uint8_t cmd, uint32_t bytes)
{
    uint8_t *h = g->m->ram + CLB + port * 0x10000 + 32 * n;
    uint32_t at = TABLE + port * 0x10000 + 0x400 * n;
    uint8_t *t = g->m->ram + at;

    memset(h, 0, 32);
    memset(t, 0, 0x100);
    stl32(h, 5 | (bytes ? 1 << 16 : 0));
    stl32(h + 8, at);
    t[0] = 0x27;
    t[1] = 0x80;
    t[2] = cmd;
    t[7] = 0x40;
    stl32(t + 0x80, DMA + 0x1000 * n);
    stl32(t + 0x8c, bytes - 1);
    return t;
}

Test(ahci, ports_show_what_is_there)
{
    struct guest g;

    guest_init(&g);
    cr_assert_eq(cfg_rd(g.m, DEV, 0, 4), 0x29228086);
    cr_assert_eq(mmio_read(&g.m->mem, ABAR, 4) & 31, 5);
    cr_assert_eq(mmio_read(&g.m->mem, ABAR + 12, 4), 0x3f);
    cr_assert_eq(rd(&g, 0, SSTS), 0x123);
    cr_assert_eq(rd(&g, 1, SSTS), 0);
    cr_assert_eq(rd(&g, 0, SIG), 0x101);
    cr_assert_eq(rd(&g, 2, SIG), 0xeb140101);
    cr_assert_eq(rd(&g, 0, TFD) & 0xff, 0x50);
    rig_free(&g.r);
}

static uint8_t msi_cap(struct guest *g)
{
    uint8_t cap = cfg_rd(g->m, DEV, PCI_CAP_PTR, 1);

    while (cfg_rd(g->m, DEV, cap, 1) != 0x05)
        cap = cfg_rd(g->m, DEV, cap + 1, 1);
    return cap;
}

Test(ahci, enabling_messages_lets_the_pin_go)
{
    struct guest g;
    uint8_t cap, *t;

    guest_init(&g);
    cap = msi_cap(&g);
    t = slot(&g, 0, 0, 0x25, 512);
    t[12] = 1;
    wr(&g, 0, CI, 1);
    rig_wait(&g.r, g.hd);
    cr_assert_eq(g.r.line[0], 1);
    cfg_wr(g.m, DEV, cap + 2, 1, 2);
    cr_assert_eq(g.r.line[0], 0, "a function with MSI enabled drives no pin");
    cr_assert(cfg_rd(g.m, DEV, PCI_STATUS, 2) & PCI_STATUS_INTX, "but something is pending");
    wr(&g, 0, IS, 1);
    mmio_write(&g.m->mem, ABAR + 8, 1, 4);
    cfg_wr(g.m, DEV, cap + 2, 0, 2);
    cr_assert_eq(g.r.line[0], 0, "the guest has acknowledged meanwhile");
    rig_free(&g.r);
}

Test(ahci, dma_read_and_write)
{
    struct guest g;
    uint8_t *t;

    guest_init(&g);
    t = slot(&g, 0, 3, 0x25, 1024);
    t[4] = 8, t[12] = 2;
    block_plug(g.hd->blk);
    wr(&g, 0, CI, 8);
    cr_assert_eq(rd(&g, 0, CI), 8, "until it is done");
    block_unplug(g.hd->blk);
    rig_wait(&g.r, g.hd);
    cr_assert_eq(rd(&g, 0, CI), 0);
    cr_assert_eq(g.m->ram[DMA + 0x3000], 9);
    cr_assert_eq(g.m->ram[DMA + 0x3000 + 512], 10);
    cr_assert_eq(ldl32(g.m->ram + CLB + 3 * 32 + 4), 1024, "bytes moved");
    cr_assert_eq(rd(&g, 0, IS), 1);
    cr_assert_eq(g.m->ram[FB + 0x40], 0x34, "register FIS");
    cr_assert_eq(g.r.line[0], 1);
    wr(&g, 0, IS, 1);
    mmio_write(&g.m->mem, ABAR + 8, 1, 4);
    cr_assert_eq(g.r.line[0], 0);
    memset(g.m->ram + DMA, 0xa7, 512);
    t = slot(&g, 0, 0, 0x35, 512);
    t[4] = 77, t[12] = 1;
    wr(&g, 0, CI, 1);
    rig_wait(&g.r, g.hd);
    cr_assert_eq(rig_file_byte(&g.r, 0, 77 * 512), 0xa7);
    cr_assert_eq(rig_file_byte(&g.r, 0, 78 * 512), 79);
    rig_free(&g.r);
}

Test(ahci, ncq_commands_run_side_by_side)
{
    struct guest g;

    guest_init(&g);
    for (unsigned n = 0; n < 32; n++) {
        uint8_t *t = slot(&g, 0, n, 0x60, 512);

        t[3] = 1, t[4] = 2 * n, t[12] = n << 3;
    }
    wr(&g, 0, SACT, 0xffffffff);
    block_plug(g.hd->blk);
    wr(&g, 0, CI, 0xffffffff);
    cr_assert_eq(rd(&g, 0, CI), 0, "accepted");
    cr_assert_eq(g.hd->in_flight, 32);
    block_unplug(g.hd->blk);
    rig_wait(&g.r, g.hd);
    cr_assert_eq(rd(&g, 0, SACT), 0);
    cr_assert_eq(rd(&g, 0, IS), 8);
    for (unsigned n = 0; n < 32; n++)
        cr_assert_eq(g.m->ram[DMA + 0x1000 * n], 2 * n + 1, "slot %u", n);
    rig_free(&g.r);
}

Test(ahci, identify_and_errors)
{
    struct guest g;
    uint8_t *t;

    guest_init(&g);
    slot(&g, 0, 0, 0xec, 512);
    wr(&g, 0, CI, 1);
    cr_assert_eq(ldl32(g.m->ram + DMA + 120), 200);
    cr_assert_eq(ldl16(g.m->ram + DMA + 150), 31, "queue depth");
    cr_assert_eq(rd(&g, 0, IS), 2, "PIO setup FIS");
    wr(&g, 0, IS, 2);
    t = slot(&g, 0, 0, 0x25, 512);
    t[4] = 200, t[12] = 1;
    wr(&g, 0, CI, 1);
    cr_assert_eq(rd(&g, 0, TFD), 0x1051, "IDNF");
    cr_assert(rd(&g, 0, IS) & 1 << 30);
    cr_assert_eq(rd(&g, 0, CI), 1, "stays until the port is stopped");
    wr(&g, 0, CMD, 0x10);
    cr_assert_eq(rd(&g, 0, CI), 0);
    wr(&g, 0, CMD, 0x11);
    t = slot(&g, 0, 0, 0x25, 512);       /* table with room for one of two sectors */
    t[12] = 2;
    wr(&g, 0, CI, 1);
    cr_assert_eq(rd(&g, 0, TFD) & 1, 1);
    rig_free(&g.r);
}

Test(ahci, packets)
{
    struct guest g;
    uint8_t *t;

    guest_init(&g);
    for (unsigned i = 0; i < 2; i++) {   /* the first meets UNIT ATTENTION */
        wr(&g, 2, CMD, 0x10);
        wr(&g, 2, CMD, 0x11);
        t = slot(&g, 2, 0, 0xa0, 2048);
        g.m->ram[CLB + 0x20000] |= 0x20;
        t[0x40] = 0x28, t[0x45] = 3, t[0x48] = 1;
        wr(&g, 2, CI, 1);
        rig_wait(&g.r, g.cd);
        cr_assert_eq(rd(&g, 2, TFD) & 1, !i);
        if (!i) {
            wr(&g, 2, CMD, 0x10);
            wr(&g, 2, CMD, 0x11);
            t = slot(&g, 2, 0, 0xa0, 18);
            g.m->ram[CLB + 0x20000] |= 0x20;
            t[0x40] = 0x03, t[0x44] = 18;
            wr(&g, 2, CI, 1);
            cr_assert_eq(g.m->ram[DMA + 2], 6);
        }
    }
    cr_assert_eq(g.m->ram[DMA], 13);
    cr_assert_eq(g.m->ram[DMA + 2047], 16);
    rig_free(&g.r);
}

Test(ahci, stopping_waits_for_what_is_in_flight)
{
    struct guest g;
    uint8_t *t;

    guest_init(&g);
    memset(g.m->ram + DMA, 0xdd, 512);
    t = slot(&g, 0, 0, 0x35, 512);
    t[4] = 60, t[12] = 1;
    block_plug(g.hd->blk);               /* in flight: nobody starts it yet */
    wr(&g, 0, CI, 1);
    cr_assert(drive_busy(g.hd));
    mmio_write(&g.m->mem, ABAR + 4, 0x80000001, 4);
    cr_assert(!drive_busy(g.hd));
    block_unplug(g.hd->blk);
    cr_assert_eq(rig_file_byte(&g.r, 0, 60 * 512), 0xdd);
    cr_assert_eq(rig_file_byte(&g.r, 0, 0), 1);
    cr_assert_eq(rd(&g, 0, CI), 0);
    rig_free(&g.r);
}

Test(ahci, waits_for_bus_mastering)
{
    struct guest g;
    uint8_t *t;

    guest_init(&g);
    cfg_wr(g.m, DEV, PCI_COMMAND, 2, 2);
    t = slot(&g, 0, 0, 0x25, 512);
    t[4] = 20;
    t[12] = 1;
    memset(g.m->ram + DMA, 0xee, 512);
    memset(g.m->ram + FB, 0xee, 256);
    wr(&g, 0, CI, 1);
    rig_wait(&g.r, g.hd);
    cr_assert_eq(rd(&g, 0, CI), 1, "not begun");
    cr_assert_eq(g.m->ram[DMA], 0xee);
    cr_assert_eq(g.m->ram[FB + 0x40], 0xee, "no FIS was received");
    cr_assert_eq(g.r.line[0], 0);
    cfg_wr(g.m, DEV, PCI_COMMAND, 6, 2);
    rig_wait(&g.r, g.hd);
    cr_assert_eq(rd(&g, 0, CI), 0);
    cr_assert_eq(g.m->ram[DMA], 21);
    cr_assert_eq(g.r.line[0], 1);
    rig_free(&g.r);
}

/* DATA SET MANAGEMENT of @n blocks in slot 0; returns task file data */
static uint32_t trim(struct guest *g, uint8_t feature, unsigned n)
{
    uint8_t *t = slot(g, 0, 0, 6, MAX(n, 1u) * 512);

    t[3] = feature;
    t[12] = n;
    wr(g, 0, CI, 1);
    rig_wait(&g->r, g->hd);
    if (rd(g, 0, TFD) & 1) {             /* after an error: start again */
        uint32_t tfd = rd(g, 0, TFD);

        wr(g, 0, CMD, 0x10);
        wr(g, 0, CMD, 0x11);
        return tfd;
    }
    cr_assert_eq(rd(g, 0, CI), 0);
    return rd(g, 0, TFD);
}

Test(ahci, trim_gives_up_ranges)
{
    struct guest g;

    guest_init(&g);
    slot(&g, 0, 0, 0xec, 512);
    wr(&g, 0, CI, 1);
    cr_assert_eq(ldl16(g.m->ram + DMA + 169 * 2), 1);
    memset(g.m->ram + DMA, 0, 1024);
    stl64(g.m->ram + DMA, 16 | 8ull << 48);
    stl64(g.m->ram + DMA + 1016, 32 | 8ull << 48);
    cr_assert_eq(trim(&g, 1, 2) & 0xff, 0x50);
    cr_assert_eq(rig_file_byte(&g.r, 0, 15 * 512), 16);
    cr_assert_eq(rig_file_byte(&g.r, 0, 16 * 512), 0);
    cr_assert_eq(rig_file_byte(&g.r, 0, 32 * 512), 0);
    cr_assert_eq(rig_file_byte(&g.r, 0, 40 * 512), 41);
    stl64(g.m->ram + DMA, 199 | 8ull << 48);
    cr_assert_eq(trim(&g, 1, 1) & 0xffff, 0x451, "past the end");
    cr_assert_eq(trim(&g, 0, 1) & 0xffff, 0x451, "not TRIM");
    cr_assert_eq(trim(&g, 1, 0) & 0xffff, 0x451, "no list");
    memset(g.m->ram + DMA, 0, 512);
    cr_assert_eq(trim(&g, 1, 1) & 0xffff, 0x50, "no range at all");
    rig_free(&g.r);
}

Test(ahci, stopping_in_the_middle_of_a_trim)
{
    struct guest g;
    uint8_t *t;

    guest_init(&g);
    t = slot(&g, 0, 0, 6, 512);
    t[3] = 1, t[12] = 1;
    for (unsigned i = 0; i < 64; i++)
        stl64(g.m->ram + DMA + 8 * i, 8 | 8ull << 48);
    wr(&g, 0, CI, 1);
    cr_assert(drive_busy(g.hd));
    wr(&g, 0, CMD, 0x10);
    cr_assert(!drive_busy(g.hd));
    cr_assert_eq(rd(&g, 0, CI), 0);
    rig_free(&g.r);
}
