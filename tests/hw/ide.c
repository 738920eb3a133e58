/* ide.c - PIIX3 IDE by ports, as BIOS and drivers use it */
#include "block/block-int.h"
#include "hw/disk/ide.h"
#include "tests/hw/disk.h"

#define DEV  PCI_DEVFN(1, 1)
#define BM   0xc000
#define PRD  0x10000
#define DMA  0x20000

enum { DRDY = 0x40, BSY = 0x80, DRQ = 8, ERR = 1 };

struct guest {
    struct rig r;
    struct machine *m;
    struct drive *hd, *cd;
    int irq[16];
    struct device *cd_dev;
    uint8_t unit;               /* of packet(): device register */
};

static void plug(struct guest *g, const struct device_type *t, const char *drive, const char *bus)
{
    const char *props[] = { "drive", drive, "bus", bus, NULL };
    struct rig_setup s = { 0, props };
    struct err e = { "" };
    struct ide_unit_device *u;

    u = (struct ide_unit_device *)machine_add_device(g->m, t, 0, NULL, NULL, NULL, &e);
    cr_assert_null(u, "no drive, no device");
    (void)s;
}

static void setup_unit(struct device *d, const void *arg)
{
    const char *const *p = arg;
    struct err e = { "" };

    prop_defaults(d);
    for (; *p; p += 2)
        cr_assert_eq(prop_set(d, p[0], p[1], &e), 0, "%s", e.msg);
}

static void guest_init(struct guest *g)
{
    static const char *const hd[] = { "drive", "hd", "serial", "S123", NULL };
    static const char *const cd[] = { "drive", "cd", "bus", "ide.1", NULL };
    struct err e = { "" };

    memset(g, 0, sizeof *g);
    rig_init(&g->r);
    g->m = g->r.m;
    g->hd = rig_drive(&g->r, "hd", 400);
    g->cd = rig_drive(&g->r, "cd", 64);
    for (unsigned i = 0; i < 16; i++)
        g->m->isa_irq[i] = (struct irq_line){ watch_line, g->irq, i };
    board_add(g->m, &piix3_ide_type, DEV);
    cr_assert_not_null(machine_add_device(g->m, &ide_hd_type, 0, NULL, setup_unit, hd, &e), "%s", e.msg);
    cr_assert_not_null(machine_add_device(g->m, &ide_cd_type, 0, NULL, setup_unit, cd, &e), "%s", e.msg);
    plug(g, &ide_hd_type, NULL, NULL);
    machine_reset(g->m);
    cfg_wr(g->m, DEV, 0x20, BM, 4);
    cfg_wr(g->m, DEV, PCI_COMMAND, 5, 2);
}

static void wait_idle(struct guest *g, struct drive *d, uint16_t base)
{
    rig_wait(&g->r, d);
    cr_assert_eq(inb(g->m, base + 0x206) & BSY, 0);
}

static void taskfile(struct guest *g, uint16_t base, uint64_t lba, uint32_t n, bool ext)
{
    if (ext) {
        outb(g->m, base + 2, n >> 8);
        outb(g->m, base + 3, lba >> 24);
        outb(g->m, base + 4, lba >> 32);
        outb(g->m, base + 5, lba >> 40);
    }
    outb(g->m, base + 2, n);
    outb(g->m, base + 3, lba);
    outb(g->m, base + 4, lba >> 8);
    outb(g->m, base + 5, lba >> 16);
    outb(g->m, base + 6, 0xe0 | (ext ? 0 : lba >> 24));
}

static void command(struct guest *g, uint8_t cmd)
{
    outb(g->m, 0x1f7, cmd);
    wait_idle(g, g->hd, 0x1f0);
}

static void insw(struct guest *g, uint16_t base, uint8_t *buf, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i += 2)
        stl16(buf + i, port_read(g->m, base, 2));
    rig_wait(&g->r, g->hd);
    rig_wait(&g->r, g->cd);
}

Test(ide, signatures_tell_disk_from_cd)
{
    struct guest g;

    guest_init(&g);
    cr_assert_eq(cfg_rd(g.m, DEV, 0, 4), 0x70108086);
    outb(g.m, 0x1f6, 0xa0);
    cr_assert_eq(inb(g.m, 0x1f7), 0x50);
    cr_assert_eq(inb(g.m, 0x1f4) | inb(g.m, 0x1f5), 0);
    outb(g.m, 0x1f6, 0xb0);
    cr_assert_eq(inb(g.m, 0x1f7), 0, "no slave");
    outb(g.m, 0x376, 4);
    cr_assert_eq(inb(g.m, 0x376), BSY);
    outb(g.m, 0x376, 0);
    cr_assert_eq(inb(g.m, 0x174), 0x14);
    cr_assert_eq(inb(g.m, 0x175), 0xeb);
    rig_free(&g.r);
}

Test(ide, identify)
{
    struct guest g;
    uint8_t id[512];

    guest_init(&g);
    outb(g.m, 0x1f6, 0xa0);
    command(&g, 0xec);
    cr_assert_eq(g.irq[14], 1);
    cr_assert_eq(inb(g.m, 0x1f7), 0x58);
    cr_assert_eq(g.irq[14], 0, "status read acknowledges");
    insw(&g, 0x1f0, id, 512);
    cr_assert_eq(inb(g.m, 0x1f7), 0x50);
    cr_assert_eq(ldl32(id + 120), 400);
    cr_assert_eq(ldl64(id + 200), 400);
    cr_assert_eq(memcmp(id + 20, "1S32", 4), 0, "serial, swapped");
    command(&g, 0xa1);
    cr_assert_eq(inb(g.m, 0x1f7) & ERR, ERR, "no packet device");
    outb(g.m, 0x176, 0xa0);
    outb(g.m, 0x177, 0xec);
    cr_assert_eq(inb(g.m, 0x174), 0x14);
    outb(g.m, 0x177, 0xa1);
    insw(&g, 0x170, id, 512);
    cr_assert_eq(ldl16(id), 0x85c0);
    rig_free(&g.r);
}

Test(ide, diagnostic_is_for_both_devices_whichever_is_selected)
{
    struct guest g;

    guest_init(&g);
    outb(g.m, 0x1f4, 0x77);
    outb(g.m, 0x1f6, 0xb0);
    command(&g, 0x90);
    cr_assert_eq(g.irq[14], 1);
    cr_assert_eq(inb(g.m, 0x1f6), 0xa0, "device 0 is selected");
    cr_assert_eq(inb(g.m, 0x1f1), 1, "passed");
    cr_assert_eq(inb(g.m, 0x1f4), 0, "signature");
    rig_free(&g.r);
}

Test(ide, pio_read_and_write)
{
    struct guest g;
    uint8_t buf[1024];

    guest_init(&g);
    taskfile(&g, 0x1f0, 5, 2, false);
    command(&g, 0x20);
    insw(&g, 0x1f0, buf, 512);
    cr_assert_eq(inb(g.m, 0x1f7), 0x58, "one sector a block");
    insw(&g, 0x1f0, buf + 512, 512);
    cr_assert_eq(inb(g.m, 0x1f7), 0x50);
    cr_assert_eq(buf[0], 6);
    cr_assert_eq(buf[512], 7);
    taskfile(&g, 0x1f0, 9, 1, true);
    command(&g, 0x34);
    cr_assert_eq(g.irq[14], 0, "no interrupt before the first block");
    for (unsigned i = 0; i < 128; i++)
        port_write(g.m, 0x1f0, 0x5a5a5a5a, 4);
    wait_idle(&g, g.hd, 0x1f0);
    cr_assert_eq(g.irq[14], 1);
    command(&g, 0xe7);
    cr_assert_eq(inb(g.m, 0x1f7), 0x50);
    cr_assert_eq(rig_file_byte(&g.r, 0, 9 * 512 + 511), 0x5a);
    cr_assert_eq(rig_file_byte(&g.r, 0, 10 * 512), 11);
    rig_free(&g.r);
}

Test(ide, read_multiple_and_chs)
{
    struct guest g;
    uint8_t buf[512 * 6];

    guest_init(&g);
    outb(g.m, 0x1f2, 3);
    command(&g, 0xc6);
    cr_assert_eq(inb(g.m, 0x1f7) & ERR, ERR, "3 is no power of two");
    outb(g.m, 0x1f2, 4);
    command(&g, 0xc6);
    taskfile(&g, 0x1f0, 0, 6, false);
    command(&g, 0xc4);
    insw(&g, 0x1f0, buf, 2048);
    cr_assert_eq(inb(g.m, 0x1f7), 0x58);
    insw(&g, 0x1f0, buf + 2048, 1024);
    cr_assert_eq(inb(g.m, 0x1f7), 0x50);
    cr_assert_eq(buf[5 * 512], 6);
    taskfile(&g, 0x1f0, 0, 1, false);
    outb(g.m, 0x1f3, 2);                 /* sector 2, head 1 of cylinder 0 */
    outb(g.m, 0x1f6, 0xa1);
    command(&g, 0x20);
    insw(&g, 0x1f0, buf, 512);
    cr_assert_eq(buf[0], 65);
    rig_free(&g.r);
}

/* the medium is read in larger pieces than the host gets: registers and interrupts show the latter */
Test(ide, long_pio_read_goes_by_drq_blocks)
{
    struct guest g;
    uint8_t buf[512];

    guest_init(&g);
    taskfile(&g, 0x1f0, 100, 200, false);
    command(&g, 0x20);
    for (unsigned i = 0; i < 200; i++) {
        cr_assert_eq(g.irq[14], 1, "sector %u", i);
        cr_assert_eq(inb(g.m, 0x1f7), 0x58);
        cr_assert_eq(g.irq[14], 0);
        cr_assert_eq(inb(g.m, 0x1f2), 199 - i, "sectors to come");
        cr_assert_eq(inb(g.m, 0x1f3), (100 + i + (i < 199)) & 0xff, "where it is");
        insw(&g, 0x1f0, buf, 512);
        cr_assert_eq(buf[0], (101 + i) & 0xff);
        cr_assert_eq(buf[511], (101 + i) & 0xff);
    }
    cr_assert_eq(g.irq[14], 0, "nothing comes behind the last");
    cr_assert_eq(inb(g.m, 0x1f7), 0x50);
    rig_free(&g.r);
}

/* as REP INSW takes them: no further than the interrupt at a DRQ block's end */
Test(ide, string_of_words)
{
    struct guest g;
    uint8_t buf[2048] = { 0 };

    guest_init(&g);
    cr_assert_eq(port_read_string(g.m, 0x1f0, 2, buf, 100), 0, "no data phase");
    cr_assert_eq(port_read_string(g.m, 0x1f7, 1, buf, 1), 0, "no data register");
    taskfile(&g, 0x1f0, 20, 2, false);
    command(&g, 0x20);
    cr_assert_eq(inb(g.m, 0x1f7), 0x58);
    cr_assert_eq(port_read_string(g.m, 0x1f0, 2, buf, 1), 1);
    cr_assert_eq(port_read(g.m, 0x1f0, 2), 21 * 0x101);
    cr_assert_eq(port_read_string(g.m, 0x1f0, 4, buf + 4, 126), 126);
    cr_assert_eq(g.irq[14], 0);
    cr_assert_eq(port_read_string(g.m, 0x1f0, 2, buf + 508, 1000), 2);
    rig_wait(&g.r, g.hd);
    cr_assert_eq(g.irq[14], 1, "the next sector");
    cr_assert_eq(port_read_string(g.m, 0x1f0, 2, buf + 512, 1000), 256);
    cr_assert_eq(inb(g.m, 0x1f7), 0x50);
    cr_assert_eq(port_read_string(g.m, 0x1f0, 2, buf + 1024, 1), 0);
    for (unsigned i = 0; i < 1024; i++)
        cr_assert(buf[i] == 21 + i / 512 || i == 2 || i == 3, "%u", i);
    rig_free(&g.r);
}

#define BAD 137u

static int bad_sector(void *opaque, enum bfile_event ev, uint64_t off, const struct iovec *iov, unsigned n,
                      uint64_t len)
{
    ++*(unsigned *)opaque;
    return ev == BEV_READ && off <= BAD * 512 && BAD * 512 < off + len ? -EIO : 0;
}

/* @d gets a medium with a sector that cannot be read */
static void spoil(struct rig *r, struct drive *d, unsigned *reads)
{
    struct err e = { "" };
    struct block_opts o;
    struct bnode *n;
    struct bfile *f;
    int ret;

    block_opts_init(&o);
    block_close(d->blk);
    f = bfile_open(r->path[0], &o, false, &ret, &e);
    cr_assert_not_null(f, "%s", e.msg);
    n = bnode_open_file(bfile_layer(f, bad_sector, reads), &raw_driver, &o, 0, &e);
    cr_assert_not_null(n, "%s", e.msg);
    d->blk = block_from_node(r->ctx, n);
}

Test(ide, unreadable_sector_fails_alone)
{
    struct guest g;
    uint8_t buf[512];
    unsigned reads = 0;

    guest_init(&g);
    spoil(&g.r, g.hd, &reads);
    taskfile(&g, 0x1f0, 10, 0, false);   /* 256 sectors */
    command(&g, 0x20);
    for (unsigned i = 10; i < BAD; i++) {
        cr_assert_eq(inb(g.m, 0x1f7), 0x58, "sector %u", i);
        insw(&g, 0x1f0, buf, 512);
        cr_assert_eq(buf[0], (i + 1) & 0xff);
    }
    cr_assert_eq(inb(g.m, 0x1f7) & (DRQ | ERR), ERR);
    cr_assert_eq(inb(g.m, 0x1f1), 0x40, "uncorrectable");
    cr_assert_eq(inb(g.m, 0x1f3), BAD);
    cr_assert_eq(inb(g.m, 0x1f4), 0);
    cr_assert_lt(reads, 100, "up to there several at once");
    taskfile(&g, 0x1f0, BAD + 1, 2, false);
    command(&g, 0x20);
    insw(&g, 0x1f0, buf, 512);
    cr_assert_eq(buf[0], (BAD + 2) & 0xff);
    rig_free(&g.r);
}

Test(ide, past_the_end_is_idnf)
{
    struct guest g;

    guest_init(&g);
    taskfile(&g, 0x1f0, 399, 2, false);
    command(&g, 0x20);
    cr_assert_eq(inb(g.m, 0x1f7), 0x41);
    cr_assert_eq(inb(g.m, 0x1f1), 0x10);
    taskfile(&g, 0x1f0, 0xffffffffffff, 0, true);
    command(&g, 0x24);
    cr_assert_eq(inb(g.m, 0x1f1), 0x10);
    command(&g, 0x99 ^ 0xff);
    cr_assert_eq(inb(g.m, 0x1f1), 4, "unknown: aborted");
    rig_free(&g.r);
}

static void prd(struct guest *g, unsigned i, uint32_t addr, uint32_t bytes, bool last)
{
    stl32(g->m->ram + PRD + 8 * i, addr);
    stl32(g->m->ram + PRD + 8 * i + 4, bytes | (last ? 0x80000000 : 0));
}

Test(ide, bus_master)
{
    struct guest g;

    guest_init(&g);
    prd(&g, 0, DMA, 512, false);
    prd(&g, 1, DMA + 0x1000, 1024, true);
    port_write(g.m, BM + 4, PRD, 4);
    outb(g.m, BM, 8);
    taskfile(&g, 0x1f0, 20, 3, true);
    outb(g.m, 0x1f7, 0x25);
    outb(g.m, BM, 9);
    wait_idle(&g, g.hd, 0x1f0);
    cr_assert_eq(inb(g.m, BM + 2) & 7, 4, "interrupt, not active");
    cr_assert_eq(g.irq[14], 1);
    cr_assert_eq(g.m->ram[DMA], 21);
    cr_assert_eq(g.m->ram[DMA + 512], 0);
    cr_assert_eq(g.m->ram[DMA + 0x1000 + 512], 23);
    outb(g.m, BM, 0);
    outb(g.m, BM + 2, 6);
    cr_assert_eq(inb(g.m, BM + 2) & 7, 0);
    memset(g.m->ram + DMA, 0x77, 512);
    outb(g.m, BM, 1);                    /* bus master first, then the command */
    taskfile(&g, 0x1f0, 30, 1, false);
    outb(g.m, 0x1f7, 0xca);
    wait_idle(&g, g.hd, 0x1f0);
    cr_assert_eq(inb(g.m, 0x1f7), 0x50);
    cr_assert_eq(inb(g.m, BM + 2) & 7, 5, "table longer than the command");
    cr_assert_eq(rig_file_byte(&g.r, 0, 30 * 512), 0x77);
    rig_free(&g.r);
}

Test(ide, short_table_and_wrong_direction_fail)
{
    struct guest g;

    guest_init(&g);
    prd(&g, 0, DMA, 512, true);
    port_write(g.m, BM + 4, PRD, 4);
    taskfile(&g, 0x1f0, 0, 2, false);
    outb(g.m, 0x1f7, 0xc8);
    outb(g.m, BM, 9);
    wait_idle(&g, g.hd, 0x1f0);
    cr_assert_eq(inb(g.m, 0x1f7) & ERR, ERR);
    cr_assert_eq(inb(g.m, BM + 2) & 3, 2);
    outb(g.m, BM, 0);
    taskfile(&g, 0x1f0, 0, 1, false);
    outb(g.m, 0x1f7, 0xca);
    outb(g.m, BM, 9);
    cr_assert_eq(inb(g.m, 0x1f7) & ERR, ERR);
    cr_assert_eq(rig_file_byte(&g.r, 0, 0), 1, "untouched");
    rig_free(&g.r);
}

/* CVE-2023-5088: a reset must not redirect what is in flight to sector 0 */
Test(ide, reset_during_dma_writes_where_it_was_told)
{
    struct guest g;

    guest_init(&g);
    memset(g.m->ram + DMA, 0xdd, 512);
    prd(&g, 0, DMA, 512, true);
    port_write(g.m, BM + 4, PRD, 4);
    taskfile(&g, 0x1f0, 50, 1, false);
    outb(g.m, 0x1f7, 0xca);
    block_plug(g.hd->blk);               /* in flight: nobody starts it yet */
    outb(g.m, BM, 1);
    cr_assert(drive_busy(g.hd));
    outb(g.m, 0x3f6, 4);
    cr_assert(!drive_busy(g.hd));
    block_unplug(g.hd->blk);
    outb(g.m, 0x3f6, 0);
    cr_assert_eq(inb(g.m, 0x1f7), 0x50);
    cr_assert_eq(rig_file_byte(&g.r, 0, 0), 1);
    cr_assert_eq(rig_file_byte(&g.r, 0, 50 * 512), 0xdd);
    rig_free(&g.r);
}

Test(ide, bus_master_waits_for_the_function_to_be_one)
{
    struct guest g;

    guest_init(&g);
    cfg_wr(g.m, DEV, PCI_COMMAND, 1, 2);
    prd(&g, 0, DMA, 512, true);
    memset(g.m->ram + DMA, 0xee, 512);
    port_write(g.m, BM + 4, PRD, 4);
    taskfile(&g, 0x1f0, 20, 1, false);
    outb(g.m, 0x1f7, 0xc8);
    outb(g.m, BM, 9);
    wait_idle(&g, g.hd, 0x1f0);
    cr_assert_eq(inb(g.m, BM + 2) & 7, 1, "active, no interrupt");
    cr_assert_eq(inb(g.m, 0x1f7) & (DRQ | ERR), DRQ);
    cr_assert_eq(g.m->ram[DMA], 0xee);
    cfg_wr(g.m, DEV, PCI_COMMAND, 5, 2);
    wait_idle(&g, g.hd, 0x1f0);
    cr_assert_eq(inb(g.m, BM + 2) & 7, 4);
    cr_assert_eq(g.m->ram[DMA], 21);
    rig_free(&g.r);
}

Test(ide, stopping_the_bus_master_leaves_a_flush_alone)
{
    struct guest g;

    guest_init(&g);
    prd(&g, 0, DMA, 512, true);
    port_write(g.m, BM + 4, PRD, 4);
    taskfile(&g, 0x1f0, 0, 1, false);
    outb(g.m, 0x1f7, 0xc8);
    outb(g.m, BM, 9);
    wait_idle(&g, g.hd, 0x1f0);
    block_plug(g.hd->blk);
    outb(g.m, 0x1f7, 0xe7);
    cr_assert_eq(inb(g.m, 0x3f6) & BSY, BSY);
    outb(g.m, BM, 0);
    cr_assert_eq(inb(g.m, 0x3f6) & BSY, BSY, "no bus master command");
    block_unplug(g.hd->blk);
    wait_idle(&g, g.hd, 0x1f0);
    cr_assert_eq(inb(g.m, 0x1f7), 0x50);
    rig_free(&g.r);
}

Test(ide, an_interrupt_held_back_comes_later)
{
    struct guest g;

    guest_init(&g);
    outb(g.m, 0x3f6, 2);                 /* nIEN */
    outb(g.m, 0x1f6, 0xa0);
    command(&g, 0xe7);
    cr_assert_eq(g.irq[14], 0);
    cr_assert_eq(inb(g.m, BM + 2) & 4, 0, "nothing on the wire");
    outb(g.m, 0x3f6, 0);
    cr_assert_eq(g.irq[14], 1, "pending all the time");
    cr_assert_eq(inb(g.m, BM + 2) & 4, 4);
    outb(g.m, 0x3f6, 2);
    cr_assert_eq(g.irq[14], 0);
    cr_assert_eq(inb(g.m, 0x1f7), 0x50, "acknowledged while it is held back");
    outb(g.m, 0x3f6, 0);
    cr_assert_eq(g.irq[14], 0);
    outb(g.m, 0x3f6, 2);
    command(&g, 0xe7);
    outb(g.m, 0x1f7, 0xec);              /* a new command forgets it; this one interrupts, too */
    outb(g.m, 0x3f6, 6);
    outb(g.m, 0x3f6, 0);
    cr_assert_eq(g.irq[14], 0, "and a reset");
    rig_free(&g.r);
}

/* Another unit, after guest_init(). */
static void add_unit(struct guest *g, const struct device_type *t, const char *drive, const char *bus)
{
    const char *props[] = { "drive", drive, "bus", bus, "unit", "1", NULL };
    struct err e = { "" };

    cr_assert_not_null(machine_add_device(g->m, t, 0, NULL, setup_unit, props, &e), "%s", e.msg);
    machine_reset(g->m);
    cfg_wr(g->m, DEV, 0x20, BM, 4);
    cfg_wr(g->m, DEV, PCI_COMMAND, 5, 2);
}

static void entry(struct guest *g, unsigned i, uint64_t lba, unsigned n)
{
    stl64(g->m->ram + DMA + 8 * i, lba | (uint64_t)n << 48);
}

/* DATA SET MANAGEMENT of @n blocks; returns the status */
static uint8_t trim(struct guest *g, uint8_t feature, unsigned n)
{
    prd(g, 0, DMA, MAX(n, 1u) * 512, true);
    outb(g->m, BM, 0);
    outb(g->m, BM + 2, 6);
    port_write(g->m, BM + 4, PRD, 4);
    taskfile(g, 0x1f0, 0, n, true);
    outb(g->m, 0x1f6, 0xe0 | g->unit);
    outb(g->m, 0x1f1, 0);
    outb(g->m, 0x1f1, feature);
    outb(g->m, 0x1f7, 6);
    outb(g->m, BM, 1);
    wait_idle(g, g->hd, 0x1f0);
    return inb(g->m, 0x1f7);
}

static unsigned identify_word(struct guest *g, unsigned n)
{
    uint8_t id[512];

    outb(g->m, 0x1f6, 0xa0 | g->unit);
    command(g, 0xec);
    insw(g, 0x1f0, id, 512);
    return ldl16(id + 2 * n);
}

Test(ide, trim_gives_up_ranges)
{
    struct guest g;

    guest_init(&g);
    cr_assert_eq(identify_word(&g, 169) & 1, 1);
    cr_assert_eq(identify_word(&g, 105), 8);
    memset(g.m->ram + DMA, 0, 4096);
    entry(&g, 0, 8, 8);
    entry(&g, 3, 24, 16);                /* what is 0 long does not count */
    entry(&g, 70, 48, 8);                /* in the second block */
    cr_assert_eq(trim(&g, 1, 2), 0x50);
    cr_assert_eq(inb(g.m, BM + 2) & 7, 4);
    cr_assert_eq(rig_file_byte(&g.r, 0, 7 * 512), 8);
    cr_assert_eq(rig_file_byte(&g.r, 0, 8 * 512), 0);
    cr_assert_eq(rig_file_byte(&g.r, 0, 24 * 512), 0);
    cr_assert_eq(rig_file_byte(&g.r, 0, 40 * 512), 41);
    cr_assert_eq(rig_file_byte(&g.r, 0, 48 * 512), 0);
    memset(g.m->ram + DMA, 0, 4096);
    cr_assert_eq(trim(&g, 1, 8), 0x50, "no range at all");
    entry(&g, 0, 399, 2);
    cr_assert_eq(trim(&g, 1, 1) & ERR, ERR, "past the end");
    cr_assert_eq(trim(&g, 0, 1) & ERR, ERR, "not TRIM");
    cr_assert_eq(trim(&g, 1, 0) & ERR, ERR, "no list");
    cr_assert_eq(trim(&g, 1, 9) & ERR, ERR, "longer than it says");
    cr_assert_eq(rig_file_byte(&g.r, 0, 399 * 512), 144);
    rig_free(&g.r);
}

Test(ide, what_is_not_there_is_not_claimed)
{
    struct guest g;

    guest_init(&g);
    rig_drive_with(&g.r, "keep", 64, 0, false);
    add_unit(&g, &ide_hd_type, "keep", "ide.0");
    g.hd = drive_find(g.m, "keep");
    g.unit = 0x10;
    cr_assert_eq(identify_word(&g, 169), 0, "it does not discard");
    cr_assert_eq(identify_word(&g, 105), 0);
    entry(&g, 0, 8, 8);
    cr_assert_eq(trim(&g, 1, 1) & ERR, ERR);
    cr_assert_eq(identify_word(&g, 82) & 1, 0, "SMART");
    outb(g.m, 0x1f1, 0xd8);
    outb(g.m, 0x1f4, 0x4f);
    outb(g.m, 0x1f5, 0xc2);
    command(&g, 0xb0);
    cr_assert_eq(inb(g.m, 0x1f7) & ERR, ERR);
    cr_assert_eq(inb(g.m, 0x1f1), 4, "aborted");
    rig_free(&g.r);
}

/* ---- CD-ROM --------------------------------------------------------------------------- */

static uint8_t packet(struct guest *g, const uint8_t *cdb, uint16_t limit, bool dma)
{
    outb(g->m, 0x176, 0xa0 | g->unit);
    outb(g->m, 0x171, dma);
    outb(g->m, 0x174, limit);
    outb(g->m, 0x175, limit >> 8);
    outb(g->m, 0x177, 0xa0);
    cr_assert_eq(inb(g->m, 0x172), 1, "wants a command");
    for (unsigned i = 0; i < 12; i += 2)
        port_write(g->m, 0x170, ldl16(cdb + i), 2);
    wait_idle(g, g->cd, 0x170);
    return inb(g->m, 0x376);
}

static unsigned sense(struct guest *g)
{
    uint8_t buf[18];
    static const uint8_t cdb[12] = { 3, 0, 0, 0, 18 };

    cr_assert_eq(packet(g, cdb, 18, false), 0x58);
    insw(g, 0x170, buf, 18);
    return buf[2] << 8 | buf[12];
}

Test(ide, cd_reads_by_pio_in_the_pieces_asked_for)
{
    struct guest g;
    static const uint8_t tur[12] = { 0 }, cap[12] = { 0x25 };
    static const uint8_t read10[12] = { 0x28, 0, 0, 0, 0, 2, 0, 0, 2 };
    uint8_t buf[4096];

    guest_init(&g);
    cr_assert_eq(packet(&g, tur, 0, false) & ERR, ERR, "unit attention");
    cr_assert_eq(sense(&g), 0x628);
    cr_assert_eq(packet(&g, tur, 0, false), 0x50);
    cr_assert_eq(packet(&g, cap, 8, false), 0x58);
    insw(&g, 0x170, buf, 8);
    cr_assert_eq(buf[3], 15, "last block");
    cr_assert_eq(buf[6], 8);
    cr_assert_eq(packet(&g, read10, 1024, false), 0x58);
    for (unsigned i = 0; i < 4; i++) {
        cr_assert_eq(inb(g.m, 0x174) | inb(g.m, 0x175) << 8, 1024);
        insw(&g, 0x170, buf + 1024 * i, 1024);
    }
    cr_assert_eq(inb(g.m, 0x172), 3);
    cr_assert_eq(inb(g.m, 0x177), 0x50);
    cr_assert_eq(buf[0], 9, "block 2 is sector 8");
    cr_assert_eq(buf[4095], 16);
    rig_free(&g.r);
}

Test(ide, cd_tells_the_features_asked_for)
{
    struct guest g;
    static const uint8_t tur[12] = { 0 }, all[12] = { 0x46, 0, 0, 0, 0, 0, 0, 0, 64 };
    static const uint8_t from3[12] = { 0x46, 1, 0, 3, 0, 0, 0, 0, 64 }, none[12] = { 0x46, 2, 0, 0x20, 0, 0, 0, 0, 64 };
    static const uint8_t one[12] = { 0x46, 2, 0, 1, 0, 0, 0, 0, 64 }, bad[12] = { 0x46, 3, 0, 0, 0, 0, 0, 0, 64 };
    uint8_t buf[64];

    guest_init(&g);
    packet(&g, tur, 0, false);
    sense(&g);
    cr_assert_eq(packet(&g, all, 64, false), 0x58);
    cr_assert_eq(inb(g.m, 0x174), 64);
    insw(&g, 0x170, buf, 64);
    cr_assert_eq(buf[3], 60, "bytes that follow");
    cr_assert_eq(buf[7], 8, "a CD");
    cr_assert_eq(buf[61], 0x1f);
    cr_assert_eq(buf[62], 0, "reading DVDs is nothing for now");
    cr_assert_eq(packet(&g, from3, 64, false), 0x58);
    cr_assert_eq(inb(g.m, 0x174), 36, "without what is not current");
    insw(&g, 0x170, buf, 36);
    cr_assert_eq(buf[9], 3);
    cr_assert_eq(buf[29], 0x1e);
    cr_assert_eq(packet(&g, one, 64, false), 0x58);
    cr_assert_eq(inb(g.m, 0x174), 20);
    insw(&g, 0x170, buf, 20);
    cr_assert_eq(buf[9], 1);
    cr_assert_eq(packet(&g, none, 64, false), 0x58);
    cr_assert_eq(inb(g.m, 0x174), 8, "the header");
    insw(&g, 0x170, buf, 8);
    cr_assert_eq(buf[3], 4);
    cr_assert_eq(packet(&g, bad, 64, false) & ERR, ERR);
    cr_assert_eq(sense(&g), 0x524);
    rig_free(&g.r);
}

Test(ide, cd_of_more_than_80_minutes_is_a_dvd)
{
    struct guest g;
    static const uint8_t tur[12] = { 0 }, config[12] = { 0x46, 1, 0, 0x1f, 0, 0, 0, 0, 64 };
    static const uint8_t physical[12] = { 0xad, 0, 0, 0, 0, 0, 0, 0, 0x08, 0x04 };
    static const uint8_t copyright[12] = { 0xad, 0, 0, 0, 0, 0, 0, 1, 0, 64 };
    static const uint8_t list[12] = { 0xad, 0, 0, 0, 0, 0, 0, 0xff, 0, 64 }, bad[12] = { 0xad, 0, 0, 0, 0, 0, 0, 7, 0, 64 };
    static const uint8_t layer1[12] = { 0xad, 0, 0, 0, 0, 0, 1, 0, 0, 64 };
    uint8_t buf[2052];

    guest_init(&g);
    packet(&g, tur, 0, false);
    sense(&g);
    cr_assert_eq(packet(&g, physical, 2052, false) & ERR, ERR);
    cr_assert_eq(sense(&g), 0x530, "of a CD it cannot be read");
    rig_drive_with(&g.r, "dvd", 16, 900ull << 20, false);
    add_unit(&g, &ide_cd_type, "dvd", "ide.1");
    g.cd = drive_find(g.m, "dvd");
    g.unit = 0x10;
    packet(&g, tur, 0, false);
    sense(&g);
    cr_assert_eq(packet(&g, config, 64, false), 0x58);
    insw(&g, 0x170, buf, inb(g.m, 0x174));
    cr_assert_eq(buf[7], 0x10, "DVD-ROM");
    cr_assert_eq(buf[9], 0x1f);
    cr_assert_eq(packet(&g, physical, 2052, false), 0x58);
    cr_assert_eq(inb(g.m, 0x174) | inb(g.m, 0x175) << 8, 2052);
    insw(&g, 0x170, buf, 2052);
    cr_assert_eq(buf[0] << 8 | buf[1], 2050);
    cr_assert_eq(buf[4], 0x01, "DVD-ROM");
    cr_assert_eq(buf[9] << 16 | buf[10] << 8 | buf[11], 0x30000);
    cr_assert_eq(buf[13] << 16 | buf[14] << 8 | buf[15], 0x30000 + (900 << 20) / 2048 - 1);
    cr_assert_eq(packet(&g, copyright, 64, false), 0x58);
    cr_assert_eq(inb(g.m, 0x174), 8);
    insw(&g, 0x170, buf, 8);
    cr_assert_eq(buf[4], 0, "not protected");
    cr_assert_eq(packet(&g, list, 64, false), 0x58);
    cr_assert_eq(inb(g.m, 0x174), 16);
    insw(&g, 0x170, buf, 16);
    cr_assert_eq(buf[8], 1);
    cr_assert_eq(buf[11], 8, "its length");
    cr_assert_eq(packet(&g, bad, 64, false) & ERR, ERR);
    cr_assert_eq(sense(&g), 0x524);
    cr_assert_eq(packet(&g, layer1, 64, false) & ERR, ERR);
    cr_assert_eq(sense(&g), 0x524);
    rig_free(&g.r);
}

Test(ide, cd_reads_by_bus_master)
{
    struct guest g;
    static const uint8_t tur[12] = { 0 };
    static const uint8_t read12[12] = { 0xa8, 0, 0, 0, 0, 1, 0, 0, 0, 1 };
    static const uint8_t far[12] = { 0x28, 0, 0, 0, 0, 16, 0, 0, 1 };

    guest_init(&g);
    packet(&g, tur, 0, false);
    sense(&g);
    prd(&g, 0, DMA, 2048, true);
    port_write(g.m, BM + 12, PRD, 4);
    packet(&g, read12, 0, true);
    outb(g.m, BM + 8, 9);
    wait_idle(&g, g.cd, 0x170);
    cr_assert_eq(inb(g.m, BM + 10) & 7, 4);
    cr_assert_eq(g.irq[15], 1);
    cr_assert_eq(g.m->ram[DMA], 5);
    outb(g.m, BM + 8, 0);
    cr_assert_eq(packet(&g, far, 2048, false) & ERR, ERR);
    cr_assert_eq(sense(&g), 0x521);
    rig_free(&g.r);
}

Test(ide, cd_locks_ejects_and_changes)
{
    struct guest g;
    static const uint8_t tur[12] = { 0 }, lock[12] = { 0x1e, 0, 0, 0, 1 }, unlock[12] = { 0x1e };
    static const uint8_t eject[12] = { 0x1b, 0, 0, 0, 2 }, load[12] = { 0x1b, 0, 0, 0, 3 };
    static const uint8_t event[12] = { 0x4a, 1, 0, 0, 0x10, 0, 0, 0, 8 };
    struct err e = { "" };
    uint8_t buf[8];

    guest_init(&g);
    packet(&g, tur, 0, false);
    sense(&g);
    packet(&g, lock, 0, false);
    cr_assert_eq(drive_eject(g.cd, false, &e), -EPERM, "the guest holds it");
    cr_assert_eq(packet(&g, event, 8, false), 0x58);
    insw(&g, 0x170, buf, 8);
    cr_assert_eq(buf[4], 1, "and is asked to let go");
    cr_assert_eq(drive_eject(g.hd, true, &e), -EPERM, "a hard disk stays");
    cr_assert_eq(packet(&g, eject, 0, false) & ERR, ERR);
    cr_assert_eq(sense(&g), 0x553);
    packet(&g, unlock, 0, false);
    cr_assert_eq(packet(&g, eject, 0, false), 0x50);
    cr_assert_eq(packet(&g, tur, 0, false) & ERR, ERR);
    cr_assert_eq(sense(&g), 0x23a, "tray open");
    cr_assert_eq(packet(&g, load, 0, false) & ERR, 0);
    cr_assert_eq(packet(&g, tur, 0, false) & ERR, ERR);
    cr_assert_eq(sense(&g), 0x628, "may have changed");
    cr_assert_eq(drive_eject(g.cd, false, &e), 0, "%s", e.msg);
    cr_assert_eq(packet(&g, event, 8, false), 0x58);
    insw(&g, 0x170, buf, 8);
    cr_assert_eq(buf[4], 3, "removal");
    cr_assert_eq(buf[5], 1, "no medium, tray open");
    cr_assert_eq(packet(&g, tur, 0, false) & ERR, ERR);
    cr_assert_eq(sense(&g), 0x23a);
    rig_free(&g.r);
}
