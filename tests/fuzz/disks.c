/*
 * disks.c - disk controllers driven by rings, lists and tables that are mostly right
 *
 * A case is a seed. It chooses a controller with a small disk behind it, sets the
 * controller up as a driver would, and gives it requests built by the rules; in
 * two cases of three some values in them are then spoilt: addresses, lengths, links,
 * indexes, opcodes. Registers are touched in between, the machine is reset now and
 * then. Cases that spoil nothing must be answered without an error, so that this
 * reaches what it means to test. Made for SAN=1.
 */
#include "block/block.h"
#include "hw/disk/ahci.h"
#include "hw/disk/drive.h"
#include "hw/disk/fdc.h"
#include "hw/disk/ide.h"
#include "hw/disk/nvme.h"
#include "hw/pci/pci.h"
#include "hw/user-devices.h"
#include "hw/virtio/virtio.h"
#include "tests/fuzz/rig.h"

enum { RAM_BYTES = 8 << 20, DISK_BYTES = 1 << 20, STEPS = 150, CASE_SECONDS = 300 };
enum { DEVFN = PCI_DEVFN(5, 0), IO_BAR = 0xc000, MEM_BAR = 0xe0000000, BAR_STEP = 0x100000 };
enum { TABLES = 0x100000, DATA = 0x200000, DATA_BYTES = 0x400000 };

struct fuzz {
    struct machine *m;
    struct vcpu vcpu, *vcpus[1];
    struct block_ctx *ctx;
    struct drive *d;
    uint64_t rng;
    unsigned spoil;            /* one value in this many; 0: none */
    unsigned tail, head;       /* of the ring */
    bool packed, phase;
    uint16_t avail;
    unsigned asked, good;
};

struct target {
    const char *name, *device, *bus_device;
    void (*setup)(struct fuzz *f);
    void (*step)(struct fuzz *f);
};

/* @right, or now and then something that tempts */
static uint64_t v(struct fuzz *f, uint64_t right)
{
    if (!f->spoil || pick(f, f->spoil))
        return right;
    switch (pick(f, 9)) {
    case 0: return right + 1;
    case 1: return right - 1;
    case 2: return right ^ 1ull << pick(f, 64);
    case 3: return r64(f);
    case 4: return ~0ull;
    case 5: return 0;
    case 6: return RAM_BYTES - pick(f, 5000);
    case 7: return MEM_BAR + pick(f, 0x4000);      /* its own registers */
    default: return TABLES + pick(f, 0x20000);     /* what it is reading */
    }
}

static uint8_t *ram(struct fuzz *f, uint64_t at) { return f->m->ram + at % (RAM_BYTES - 8192); }
static void w16(struct fuzz *f, uint64_t at, uint64_t x) { stl16(ram(f, at), (uint16_t)x); }
static void w32(struct fuzz *f, uint64_t at, uint64_t x) { stl32(ram(f, at), (uint32_t)x); }
static void w64(struct fuzz *f, uint64_t at, uint64_t x) { stl64(ram(f, at), x); }

static void reg(struct fuzz *f, unsigned bar, unsigned off, uint64_t x, unsigned size)
{
    machine_lock(f->m);
    mmio_write(&f->m->mem, MEM_BAR + bar * BAR_STEP + off, x, size);
    machine_unlock(f->m);
}

static uint64_t reg_read(struct fuzz *f, unsigned bar, unsigned off, unsigned size)
{
    uint64_t x;

    machine_lock(f->m);
    x = mmio_read(&f->m->mem, MEM_BAR + bar * BAR_STEP + off, size);
    machine_unlock(f->m);
    return x;
}

/* all that is under way, so that an answer can be looked at */
static void settle(struct fuzz *f)
{
    machine_lock(f->m);
    while (drive_busy(f->d) && !f->d->parked)
        block_ctx_wait(f->ctx, 1000000);
    machine_unlock(f->m);
}

static void answered(struct fuzz *f, bool good)
{
    f->asked++;
    f->good += good;
}

/* a piece of the data area, of whole sectors when everything is right */
static uint64_t data_at(struct fuzz *f, unsigned align)
{
    return DATA + (pick(f, DATA_BYTES - 0x20000) & ~(align - 1));
}

static void pick_sectors(struct fuzz *f, uint64_t *lba, unsigned *n)
{
    *n = 1 + pick(f, pick(f, 4) ? 8 : 64);
    *lba = pick(f, DISK_BYTES / 512 - *n + 1);
}

/* ---- virtio-blk ------------------------------------------------------------------------ */

enum { VQ = 64, VQ_DESC = TABLES, VQ_AVAIL = TABLES + 0x2000, VQ_USED = TABLES + 0x3000, VQ_INDIRECT = TABLES + 0x4000 };
enum { D_NEXT = 1, D_WRITE = 2, D_INDIRECT = 4 };

static void virtio_setup(struct fuzz *f)
{
    static const uint64_t at[3] = { VQ_DESC, VQ_AVAIL, VQ_USED };
    uint64_t features = BIT(VIRTIO_F_VERSION_1) | BIT(28) | BIT(9) | BIT(13) | BIT(14);

    f->packed = pick(f, 2);
    f->phase = true;
    memset(ram(f, VQ_DESC), 0, 0x4000);
    features |= f->packed ? BIT(VIRTIO_F_RING_PACKED) : 0;
    features |= pick(f, 2) ? BIT(29) : 0;                  /* event index */
    reg(f, 4, 0x14, 0, 1);
    reg(f, 4, 0x14, 3, 1);
    for (unsigned i = 0; i < 2; i++) {
        uint32_t offered;
        reg(f, 4, 0x00, i, 4);
        offered = (uint32_t)reg_read(f, 4, 0x04, 4);
        reg(f, 4, 0x08, i, 4);
        reg(f, 4, 0x0c, v(f, features >> (32 * i) & offered), 4);
    }
    reg(f, 4, 0x14, 0x0b, 1);
    reg(f, 4, 0x16, 0, 2);
    reg(f, 4, 0x18, v(f, VQ), 2);
    for (unsigned i = 0; i < 3; i++) {
        uint64_t a = v(f, at[i]);
        reg(f, 4, 0x20 + 8 * i, (uint32_t)a, 4);
        reg(f, 4, 0x24 + 8 * i, a >> 32, 4);
    }
    if (pick(f, 2))
        reg(f, 4, 0x1a, 0, 2);
    reg(f, 4, 0x1c, 1, 2);
    reg(f, 4, 0x14, 0x0f, 1);
    f->tail = f->avail = 0;
}

struct piece { uint64_t at; uint32_t len; uint16_t flags; };

static void put_desc(struct fuzz *f, uint64_t at, const struct piece *p, uint16_t flags, uint16_t last)
{
    w64(f, at, v(f, p->at));
    w32(f, at + 8, v(f, p->len));
    w16(f, at + (f->packed ? 14 : 12), v(f, flags));
    w16(f, at + (f->packed ? 12 : 14), v(f, last));
}

static void put_indirect(struct fuzz *f, struct piece *p, unsigned *n)
{
    for (unsigned i = 0; i < *n; i++)
        put_desc(f, VQ_INDIRECT + 16 * i, &p[i], p[i].flags | (i + 1 < *n && !f->packed ? D_NEXT : 0), i + 1);
    p[0] = (struct piece){ VQ_INDIRECT, 16 * *n, D_INDIRECT };
    *n = 1;
}

static void put_chain(struct fuzz *f, const struct piece *p, unsigned n)
{
    unsigned head = f->packed ? f->tail : pick(f, VQ - n);

    for (unsigned i = 0; i < n; i++) {
        uint16_t flags = p[i].flags | (i + 1 < n ? D_NEXT : 0);
        if (f->packed) {
            flags |= f->phase ? 1 << 7 : 1 << 15;
            put_desc(f, VQ_DESC + 16 * f->tail, &p[i], flags, 7);
            if (++f->tail == VQ) {
                f->tail = 0;
                f->phase = !f->phase;
            }
        } else {
            put_desc(f, VQ_DESC + 16 * (head + i), &p[i], flags, head + i + 1);
        }
    }
    if (f->packed)
        return;
    w16(f, VQ_AVAIL + 4 + 2 * (f->avail % VQ), v(f, head));
    f->avail = (uint16_t)v(f, f->avail + 1);
    w16(f, VQ_AVAIL + 2, f->avail);
}

static void virtio_step(struct fuzz *f)
{
    static const uint8_t types[] = { 0, 0, 1, 1, 4, 8, 11, 13 };
    uint64_t hdr = data_at(f, 16), status = data_at(f, 1), lba;
    uint32_t type = types[pick(f, ARRAY_SIZE(types))];
    struct piece p[8] = { { hdr, 16, 0 } };
    unsigned n = 1, sectors, left;

    pick_sectors(f, &lba, &sectors);
    left = type == 4 ? 0 : type == 8 ? 20 : type > 8 ? 16 : sectors * 512;
    w32(f, hdr, v(f, type));
    w32(f, hdr + 4, 0);
    w64(f, hdr + 8, v(f, type > 1 ? 0 : lba));
    while (left) {
        uint32_t len = n == 6 || pick(f, 3) == 0 || type > 1 ? left : 512 * (1 + pick(f, (left + 511) / 512));
        p[n++] = (struct piece){ data_at(f, 1), MIN(len, left), type == 0 || type == 8 ? D_WRITE : 0 };
        left -= MIN(len, left);
    }
    if (type > 8) {
        w64(f, p[1].at, v(f, lba));
        w32(f, p[1].at + 8, v(f, sectors));
        w32(f, p[1].at + 12, v(f, 0));
    }
    p[n++] = (struct piece){ status, 1, D_WRITE };
    *ram(f, status) = 0xee;
    if (!pick(f, 4))
        put_indirect(f, p, &n);
    put_chain(f, p, n);
    reg(f, 4, 0x3000, v(f, 0), 2);
    settle(f);
    answered(f, *ram(f, status) == 0);
    if (reg_read(f, 4, 0x14, 1) & 0x40)         /* DEVICE_NEEDS_RESET */
        virtio_setup(f);
}

/* ---- NVMe -------------------------------------------------------------------------------- */

enum { NQ = 16, ASQ = TABLES, ACQ = TABLES + 0x1000, SQ1 = TABLES + 0x2000, CQ1 = TABLES + 0x3000, PRPS = TABLES + 0x4000 };

static bool nvme_answer(struct fuzz *f, unsigned q)
{
    const uint8_t *e = ram(f, (q ? CQ1 : ACQ) + 16 * f->head);
    unsigned status = ldl16(e + 14);

    settle(f);
    if (!q)
        return ldl16(ram(f, ACQ) + 14) == 1;
    status = ldl16(e + 14);
    if ((status & 1) != f->phase)
        return false;
    f->head = (f->head + 1) % NQ;
    f->phase ^= !f->head;
    reg(f, 0, 0x100c, v(f, f->head), 4);
    return status >> 1 == 0;
}

static void nvme_put(struct fuzz *f, uint64_t at, uint32_t op, uint64_t prp1, uint64_t prp2, uint64_t cdw10,
                     uint32_t cdw12)
{
    memset(ram(f, at), 0, 64);
    w32(f, at, v(f, op | 7 << 16));
    w32(f, at + 4, v(f, op > 0xff ? 0 : 1));
    w64(f, at + 24, v(f, prp1));
    w64(f, at + 32, v(f, prp2));
    w64(f, at + 40, v(f, cdw10));
    w32(f, at + 48, v(f, cdw12));
}

static void nvme_setup(struct fuzz *f)
{
    f->phase = true;
    f->head = f->tail = 0;
    memset(ram(f, ASQ), 0, 0x5000);
    reg(f, 0, 0x14, 0, 4);
    reg(f, 0, 0x24, v(f, (NQ - 1) << 16 | (NQ - 1)), 4);
    reg(f, 0, 0x28, v(f, ASQ), 8);
    reg(f, 0, 0x30, v(f, ACQ), 8);
    reg(f, 0, 0x14, v(f, 4 << 20 | 6 << 16 | 1), 4);
    nvme_put(f, ASQ, 5, CQ1, 0, (NQ - 1) << 16 | 1, 0);     /* create completion queue */
    w32(f, ASQ + 44, v(f, 1));
    nvme_put(f, ASQ + 64, 1, SQ1, 0, (NQ - 1) << 16 | 1, 0);
    w32(f, ASQ + 64 + 44, v(f, 1 << 16 | 1));
    reg(f, 0, 0x1000, 2, 4);
    settle(f);
}

static void nvme_step(struct fuzz *f)
{
    static const uint8_t ops[] = { 1, 1, 2, 2, 2, 0, 8, 9 };
    uint32_t op = ops[pick(f, ARRAY_SIZE(ops))];
    uint64_t lba, prp1 = data_at(f, 4), prp2 = 0;
    unsigned n, bytes, pages;

    pick_sectors(f, &lba, &n);
    bytes = op == 9 ? 16 : n * 512;
    pages = (unsigned)((prp1 % 4096 + bytes + 4095) / 4096);
    if (pages == 2) {
        prp2 = data_at(f, 4096);
    } else if (pages > 2) {
        prp2 = PRPS;
        for (unsigned i = 0; i + 1 < pages; i++)
            w64(f, PRPS + 8 * i, v(f, data_at(f, 4096)));
    }
    if (op == 9) {                                          /* data set management: one range */
        prp1 &= ~15ull;
        w32(f, prp1, 0);
        w32(f, prp1 + 4, v(f, n));
        w64(f, prp1 + 8, v(f, lba));
    }
    nvme_put(f, SQ1 + 64 * f->tail, op, prp1, prp2, op == 9 ? 0 : lba, op == 9 ? 0 : n - 1);
    if (op == 9)
        w32(f, SQ1 + 64 * f->tail + 44, v(f, 4));           /* deallocate */
    f->tail = (f->tail + 1) % NQ;
    reg(f, 0, 0x1008, v(f, f->tail), 4);
    answered(f, nvme_answer(f, 1));
}

/* ---- AHCI ---------------------------------------------------------------------------------- */

enum { ABAR = 5, CLB = TABLES, FB = TABLES + 0x1000, CTBA = TABLES + 0x2000, PORT = 0x100 };

static void ahci_setup(struct fuzz *f)
{
    reg(f, ABAR, 4, 0x80000002, 4);
    reg(f, ABAR, PORT + 0x00, v(f, CLB), 4);
    reg(f, ABAR, PORT + 0x04, 0, 4);
    reg(f, ABAR, PORT + 0x08, v(f, FB), 4);
    reg(f, ABAR, PORT + 0x0c, 0, 4);
    reg(f, ABAR, PORT + 0x14, 0xffffffff, 4);
    reg(f, ABAR, PORT + 0x18, v(f, 0x11), 4);
}

static unsigned ahci_prds(struct fuzz *f, uint64_t table, unsigned bytes)
{
    unsigned n = 0;

    while (bytes) {
        unsigned len = n == 7 || !pick(f, 3) ? bytes : MIN(bytes, 512 * (1 + pick(f, 8)));
        w64(f, table + 0x80 + 16 * n, v(f, data_at(f, 2)));
        w32(f, table + 0x8c + 16 * n, v(f, len - 1));
        bytes -= len;
        n++;
    }
    return n;
}

static void ahci_step(struct fuzz *f)
{
    /* READ/WRITE DMA EXT, NCQ read and write, IDENTIFY, FLUSH, VERIFY, TRIM */
    static const uint8_t ops[] = { 0x25, 0x35, 0x60, 0x61, 0xec, 0xea, 0x42, 0x06 };
    unsigned slot = pick(f, 32), n, prds, moved;
    uint64_t table = CTBA + 0x400 * slot, lba;
    uint8_t op = ops[pick(f, ARRAY_SIZE(ops))], *t = ram(f, table);
    bool ncq = op == 0x60 || op == 0x61;

    pick_sectors(f, &lba, &n);
    moved = op == 0xec ? 512 : op == 0xea || op == 0x42 ? 0 : n * 512;
    memset(t, 0, 0x80);
    t[0] = 0x27, t[1] = 0x80, t[2] = (uint8_t)v(f, op), t[7] = 0x40;
    t[4] = (uint8_t)lba, t[5] = (uint8_t)(lba >> 8), t[6] = (uint8_t)v(f, lba >> 16);
    if (ncq)
        t[3] = (uint8_t)n, t[12] = (uint8_t)v(f, slot << 3);
    else
        t[12] = (uint8_t)n, t[13] = (uint8_t)v(f, 0), t[3] = op == 0x06;
    prds = ahci_prds(f, table, moved);
    w32(f, CLB + 32 * slot, v(f, 5 | (op == 0x35 || op == 0x61 ? 0x40 : 0) | prds << 16));
    w32(f, CLB + 32 * slot + 4, 0);
    w64(f, CLB + 32 * slot + 8, v(f, table));
    if (ncq)
        reg(f, ABAR, PORT + 0x34, v(f, 1ull << slot), 4);
    reg(f, ABAR, PORT + 0x38, v(f, 1ull << slot), 4);
    settle(f);
    answered(f, op == 0x06 || (!(reg_read(f, ABAR, PORT + 0x38, 4) >> slot & 1) && !(reg_read(f, ABAR, PORT + 0x20, 4) & 1)));
    reg(f, ABAR, PORT + 0x10, 0xffffffff, 4);
    if (reg_read(f, ABAR, PORT + 0x20, 4) & 1) {            /* what a driver does after an error */
        reg(f, ABAR, PORT + 0x18, 0x10, 4);
        reg(f, ABAR, PORT + 0x30, 0xffffffff, 4);
        reg(f, ABAR, PORT + 0x18, 0x11, 4);
    }
}

/* ---- IDE ------------------------------------------------------------------------------------ */

enum { IDE = 0x1f0, PRDT = TABLES };

static void out(struct fuzz *f, uint16_t port, uint64_t x) { port_write(f->m, port, (uint8_t)x, 1); }

static void ide_setup(struct fuzz *f)
{
    port_write(f->m, 0xcf8, 0x80000000u | PCI_DEVFN(1, 1) << 8 | 0x20, 4);
    port_write(f->m, 0xcfc, IO_BAR, 4);
    port_write(f->m, 0xcf8, 0x80000000u | PCI_DEVFN(1, 1) << 8 | 4, 4);
    port_write(f->m, 0xcfc, 5, 2);
    out(f, IDE + 0x206, 0);
}

static void ide_pio(struct fuzz *f, unsigned words, bool to_host)
{
    while (words--)
        if (to_host)
            port_read(f->m, IDE, 2);
        else
            port_write(f->m, IDE, (uint16_t)r64(f), 2);
    settle(f);
}

static void ide_dma(struct fuzz *f, unsigned bytes, bool to_host)
{
    unsigned n = 0;

    while (bytes) {
        unsigned len = !pick(f, 3) ? bytes : MIN(bytes, 512 * (1 + pick(f, 4)));
        w32(f, PRDT + 8 * n, v(f, data_at(f, 2) & ~0xffffull));
        w32(f, PRDT + 8 * n + 4, v(f, len | (len == bytes ? 0x80000000u : 0)));
        bytes -= len;
        n++;
    }
    out(f, IO_BAR, 0);
    port_write(f->m, IO_BAR + 4, (uint32_t)v(f, PRDT), 4);
    out(f, IO_BAR + 2, 6);
    out(f, IO_BAR, v(f, 1 | (to_host ? 8 : 0)));
    settle(f);
    out(f, IO_BAR, 0);
}

static void ide_step(struct fuzz *f)
{
    /* DMA and PIO, 28 and 48 bits, multiple, flush, verify, TRIM */
    static const struct { uint8_t op; bool dma, in, ext; } ops[] = {
        { 0xc8, 1, 1, 0 }, { 0xca, 1, 0, 0 }, { 0x25, 1, 1, 1 }, { 0x35, 1, 0, 1 }, { 0x20, 0, 1, 0 },
        { 0x30, 0, 0, 0 }, { 0xec, 0, 1, 0 }, { 0xe7, 0, 0, 0 }, { 0x40, 0, 1, 0 }, { 0x06, 1, 0, 1 },
    };
    unsigned k = pick(f, ARRAY_SIZE(ops)), n;
    uint64_t lba;

    pick_sectors(f, &lba, &n);
    n = MIN(n, 32u);
    if (ops[k].ext)
        for (unsigned i = 2; i < 6; i++)
            out(f, IDE + i, 0);
    if (ops[k].op == 0x06)
        out(f, IDE + 1, v(f, 1));                           /* TRIM */
    out(f, IDE + 2, v(f, n));
    out(f, IDE + 3, v(f, lba));
    out(f, IDE + 4, v(f, lba >> 8));
    out(f, IDE + 5, v(f, lba >> 16));
    out(f, IDE + 6, v(f, 0xe0));
    out(f, IDE + 7, v(f, ops[k].op));
    settle(f);
    if (ops[k].dma)
        ide_dma(f, n * 512, ops[k].in);
    else if (ops[k].op == 0x20 || ops[k].op == 0x30)
        for (unsigned i = 0; i < n; i++)
            ide_pio(f, 256, ops[k].in);
    else if (ops[k].op == 0xec)
        ide_pio(f, 256, true);
    answered(f, ops[k].op == 0x06 || !(port_read(f->m, IDE + 7, 1) & 0x89));   /* its ranges may be anywhere */
    if (f->spoil && !pick(f, 8)) {
        out(f, IDE + 0x206, 4);                             /* software reset, perhaps mid-way */
        out(f, IDE + 0x206, 0);
    }
}

/* ---- floppy ------------------------------------------------------------------------------------ */

static void fdc_setup(struct fuzz *f)
{
    out(f, 0xd6, 0xc0);
    out(f, 0xd4, 0);
    out(f, 0x3f2, 0);
    out(f, 0x3f2, 0x1c);
}

static void fdc_dma(struct fuzz *f, uint8_t mode, unsigned bytes)
{
    uint64_t at = v(f, DATA + 0x10000 * pick(f, 8));

    out(f, 0x0c, 0);
    out(f, 0x0b, v(f, mode | 2));
    out(f, 0x04, at);
    out(f, 0x04, at >> 8);
    out(f, 0x81, at >> 16);
    out(f, 0x05, (bytes - 1) & 0xff);
    out(f, 0x05, v(f, (bytes - 1) >> 8));
    out(f, 0x0a, 2);
}

static void fdc_send(struct fuzz *f, const uint8_t *c, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        out(f, 0x3f5, v(f, c[i]));
    for (unsigned i = 0; i < 50; i++) {
        settle(f);
        clock_step(&f->m->clock, &f->m->timers, 20000000);
    }
}

/* result bytes; returns ST0 */
static uint8_t fdc_results(struct fuzz *f)
{
    uint8_t st0 = 0xff;

    for (unsigned i = 0; i < 16 && (port_read(f->m, 0x3f4, 1) & 0xd0) == 0xd0; i++) {
        uint8_t b = (uint8_t)port_read(f->m, 0x3f5, 1);
        st0 = i ? st0 : b;
    }
    return st0;
}

static void fdc_step(struct fuzz *f)
{
    uint8_t cyl = (uint8_t)pick(f, 80), head = (uint8_t)pick(f, 2), sector = (uint8_t)(1 + pick(f, 18));
    uint8_t seek[] = { 0x0f, (uint8_t)(head << 2), cyl }, sense[] = { 8 }, st0;
    bool write = pick(f, 2);
    uint8_t move[] = { write ? 0x45 : 0x46, (uint8_t)(head << 2), cyl, head, sector, 2, 18, 0x1b, 0xff };

    fdc_send(f, seek, 3);
    fdc_send(f, sense, 1);
    fdc_results(f);
    fdc_dma(f, write ? 0x48 : 0x44, 512);
    fdc_send(f, move, 9);
    st0 = fdc_results(f);
    answered(f, !(st0 & 0xc0));
}

/* ---- a case --------------------------------------------------------------------------------------- */

static const struct target targets[] = {
    { "virtio-blk", "virtio-blk-pci", NULL, virtio_setup, virtio_step },
    { "nvme", "nvme", NULL, nvme_setup, nvme_step },
    { "ahci", "ide-hd", "ahci", ahci_setup, ahci_step },
    { "ide", "ide-hd", NULL, ide_setup, ide_step },
    { "fdc", "floppy", NULL, fdc_setup, fdc_step },
};
static volatile uint64_t *counters;  /* of fuzz_run: [1 + target] requests answered well */

static void no_kick(struct vcpu *c) { }

static void die(const struct err *e) { fuzz_die("fuzz-disks", e->msg); }

static int temp_file(char *path, unsigned bytes)
{
    int fd;

    strcpy(path, "/tmp/fuzz-disks-XXXXXX");
    fd = mkstemp(path);
    if (fd < 0 || ftruncate(fd, bytes))
        perror("fuzz-disks"), exit(2);
    return fd;
}

static void add_drive(struct fuzz *f, bool floppy)
{
    struct err e = { "" };
    struct block_opts o;
    struct block *blk;
    char path[40];

    close(temp_file(path, floppy ? 1440 * 1024 : DISK_BYTES));
    block_opts_init(&o);
    o.file = xstrdup(path);
    o.format = xstrdup("raw");
    o.discard = true;
    o.snapshot = pick(f, 2);             /* a qcow2 overlay */
    o.cache = BLOCK_CACHE_UNSAFE;
    blk = block_open(f->ctx, &o, &e);
    unlink(path);
    block_opts_free(&o);
    if (!blk)
        die(&e);
    f->d = drive_new(f->m, "d", blk);
}

static void add(struct fuzz *f, const char *type, const struct user_prop *p, size_t n, const char *id)
{
    struct err e = { "" };

    if (!user_device_add(f->m, user_device_find(type), id, p, n, &e))
        die(&e);
}

static void add_controller(struct fuzz *f, const struct target *t)
{
    bool floppy = !strcmp(t->device, "floppy"), pci = strcmp(t->name, "ide") && !floppy;
    struct user_prop p[4] = { { "drive", "d" } }, addr = { "addr", "5" };
    uint8_t ide = PCI_DEVFN(1, 1);
    struct err e = { "" };
    size_t n = 1;

    add_drive(f, floppy);
    if (floppy && !machine_add_device(f->m, &fdc_type, 0, NULL, NULL, NULL, &e))
        die(&e);
    if (!strcmp(t->name, "ide") && !machine_add_device(f->m, &piix3_ide_type, 0, NULL, pci_setup_devfn, &ide, &e))
        die(&e);
    if (t->bus_device) {
        add(f, t->bus_device, &addr, 1, "ctl");
        p[n++] = (struct user_prop){ "bus", "ctl.0" };
    } else if (pci) {
        p[n++] = addr;
    }
    if (!strcmp(t->name, "nvme"))
        p[n++] = (struct user_prop){ "serial", "1" };
    if (!strcmp(t->name, "virtio-blk"))
        p[n++] = (struct user_prop){ "packed", "on" };
    add(f, t->device, p, n, NULL);
}

static void make_machine(struct fuzz *f, const struct target *t)
{
    struct err e = { "" };
    char rom[40];
    struct machine_config cfg = { .ram_bytes = RAM_BYTES, .bios = rom, .n_vcpus = 1 };

    close(temp_file(rom, 256 * 1024));
    if (!(f->m = machine_new(&cfg, &e)))
        die(&e);
    clock_init_stepped(&f->m->clock);
    f->vcpu = (struct vcpu){ .machine = f->m, .kick = no_kick };
    f->vcpus[0] = &f->vcpu;
    f->m->vcpus = f->vcpus;
    f->m->n_vcpus = 1;
    if (pc_build(f->m, &e) || !(f->ctx = block_ctx_new(2, &e)))
        die(&e);
    unlink(rom);
    add_controller(f, t);
}

static void place_bars(struct fuzz *f)
{
    for (unsigned i = 0; i < 6; i++) {
        port_write(f->m, 0xcf8, 0x80000000u | DEVFN << 8 | (0x10 + 4 * i), 4);
        if (port_read(f->m, 0xcfc, 4) & 1)
            port_write(f->m, 0xcfc, IO_BAR, 4);
        else
            port_write(f->m, 0xcfc, MEM_BAR + i * BAR_STEP, 4);
        if ((port_read(f->m, 0xcfc, 4) & 7) == 4) {
            i++;
            port_write(f->m, 0xcf8, 0x80000000u | DEVFN << 8 | (0x10 + 4 * i), 4);
            port_write(f->m, 0xcfc, 0, 4);
        }
    }
    port_write(f->m, 0xcf8, 0x80000000u | DEVFN << 8 | 4, 4);
    port_write(f->m, 0xcfc, 7, 2);
}

static void start(struct fuzz *f, const struct target *t)
{
    machine_reset(f->m);
    place_bars(f);
    t->setup(f);
}

static void run_case(uint64_t seed)
{
    const struct target *t = &targets[seed % ARRAY_SIZE(targets)];
    struct fuzz f = { .rng = seed };
    struct drive *drives;

    alarm(CASE_SECONDS);
    f.spoil = pick(&f, 3) ? 16u << pick(&f, 6) : 0;
    make_machine(&f, t);
    start(&f, t);
    for (unsigned i = 0; i < STEPS; i++) {
        t->step(&f);
        if (f.spoil && !pick(&f, 40))
            start(&f, t);
    }
    counters[1 + (t - targets)] += f.good;
    drives = f.m->drives;
    machine_free(f.m);
    drives_free(drives, NULL);
    block_ctx_free(f.ctx);
    if (f.spoil || f.good == f.asked)
        return;
    fprintf(stderr, "fuzz-disks: %s: %u of %u good requests were refused\n", t->name, f.asked - f.good, f.asked);
    exit(1);
}

int main(int argc, char **argv)
{
    struct fuzz_run r = { .name = "fuzz-disks", .one = run_case, .count = 60, .per_child = 20,
                          .shown = fuzz_shared() };
    int ret;

    counters = r.shown;
    ret = fuzz_main(&r, argc, argv);
    for (unsigned i = 0; i < ARRAY_SIZE(targets); i++)
        printf("fuzz-disks: %s: %llu requests served\n", targets[i].name, (unsigned long long)counters[1 + i]);
    return ret;
}
