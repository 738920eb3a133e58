/*
 * xhci.c - random rings, contexts and registers for the xHCI controller, with every device behind it
 *
 * A case is a seed: a board with the controller, a pool of TRBs, of which most are what a driver
 * could write, contexts likewise, rings and tables that point into them. Then OPS operations:
 * registers, doorbells, TRBs and bits of them changed, whole enumerations and commands to a disk as a
 * driver does them, time, what a user does, devices plugged in and out. In the end, after a reset, a device has to
 * answer a proper request. Made for SAN=1.
 *
 *   xhci [--seed N] [--count N] [--seconds N]
 */
#include "hw/disk/drive.h"
#include "hw/usb/xhci-int.h"
#include "tests/fuzz/usb-rig.h"

enum { RAM_BYTES = 4 << 20, OPS = 4000, CASE_SECONDS = 300, PER_CHILD = 50 };
enum { BAR = 0x90000000, TABLE = 0x91000000, DEVFN = PCI_DEVFN(5, 0), DCBAA = 0x10000, ERST = 0x11000, EVENTS = 0x12000,
       CONTEXTS = 0x20000, N_CONTEXTS = 64, CTX_BYTES = 0x440, POOL = 0x40000, TRBS = 4096, DATA = 0x80000, OWN = 0x70000 /* rings of operations */,
       DISK_BYTES = 256 << 10 };
enum { OP_CMD = 0x40, OP_CRCR = 0x58, OP_DCBAAP = 0x70, OP_CONFIG = 0x78, OP_PORTSC = 0x440, RT_INTR = 0x1020,
       DOORBELLS = 0x2000, PORTS = 8, SLOTS = 8 };

struct fuzz {
    struct machine *m;
    struct xhci *s;
    struct block_ctx *ctx;
    struct drive *d;
    uint64_t rng;
};

static struct fuzz_run run;          /* shown[1]: operations, [2], [3]: what came of them */

static void die(const char *why) { fuzz_die("fuzz-xhci", why); }

static void out(struct fuzz *f, unsigned reg, uint64_t v, unsigned size) { mmio_write(&f->m->mem, BAR + reg, v, size); }

/* ---- rings and contexts --------------------------------------------------------------------- */

static uint64_t trb_at(struct fuzz *f)
{
    return pick(f, 64) ? POOL + pick(f, TRBS) * 16 : r64(f);
}

static uint64_t ctx_at(struct fuzz *f)
{
    return pick(f, 64) ? CONTEXTS + pick(f, N_CONTEXTS) * CTX_BYTES : r64(f);
}

/* A setup packet that some device knows. */
static uint64_t setup(struct fuzz *f)
{
    static const uint8_t types[] = { 0x00, 0x80, 0x81, 0x21, 0xa1, 0x02, 0x82, 0xa0, 0x20, 0x23, 0xa3 };
    uint64_t value = pick(f, 2) ? pick(f, 24) : pick(f, 64) << 8 | pick(f, 4);

    return types[pick(f, ARRAY_SIZE(types))] | pick(f, 13) << 8 | value << 16 | (uint64_t)pick(f, 10) << 32 |
           (uint64_t)pick(f, pick(f, 8) ? 256 : 65536) << 48;
}

static void make_trb(struct fuzz *f, unsigned n)
{
    static const uint8_t types[] = { TRB_NORMAL, TRB_NORMAL, TRB_SETUP, TRB_DATA, TRB_STATUS, TRB_LINK, TRB_EVENT_DATA,
        TRB_NOOP, TRB_ENABLE_SLOT, TRB_DISABLE_SLOT, TRB_ADDRESS_DEVICE, TRB_ADDRESS_DEVICE, TRB_CONFIGURE_EP,
        TRB_CONFIGURE_EP, TRB_EVALUATE, TRB_RESET_EP, TRB_STOP_EP, TRB_SET_DEQUEUE, TRB_SET_DEQUEUE, TRB_RESET_DEVICE };
    unsigned type = pick(f, 32) ? types[pick(f, ARRAY_SIZE(types))] : pick(f, 64);
    uint32_t control = type << TRB_TYPE_AT | (pick(f, 4) != 0) | (uint32_t)pick(f, 5) << 1 | pick(f, 2) << 5;
    uint32_t status = pick(f, 4) ? pick(f, 600) : r64(f) & 0x1ffff;
    uint64_t param = type == TRB_LINK || type == TRB_SET_DEQUEUE ? trb_at(f) | 1 : DATA + pick(f, 0x10000);
    uint8_t *p = f->m->ram + POOL + n * 16;

    if (type == TRB_SETUP) {
        param = setup(f);
        status = 8;
        control = (control & ~(uint32_t)TRB_CH) | TRB_IDT;
    } else if (type == TRB_DATA || type == TRB_STATUS) {
        control |= pick(f, 2) << 16;
    } else if (type >= TRB_ENABLE_SLOT) {
        control |= (1 + pick(f, pick(f, 8) ? 4 : 80)) << 24 | (pick(f, 3) ? 1 : pick(f, 32)) << 16;
        control |= pick(f, 8) ? 0 : 1 << 9;
        if (type == TRB_ADDRESS_DEVICE || type == TRB_CONFIGURE_EP || type == TRB_EVALUATE)
            param = ctx_at(f);
    }
    stl64(p, param);
    stl32(p + 8, status | (pick(f, 8) ? 0 : (uint32_t)pick(f, 20) << 22));
    stl32(p + 12, control);
    if (!pick(f, 32))
        p[pick(f, 16)] ^= 1u << pick(f, 8);
}

static void ep_ctx(struct fuzz *f, uint8_t *c, unsigned dci)
{
    static const uint8_t out_types[] = { EP_BULK_OUT, EP_INT_OUT, EP_ISO_OUT, EP_CONTROL };
    unsigned type = pick(f, 8) ? (dci & 1 ? 4 : 0) + out_types[pick(f, 2)] : out_types[pick(f, 4)];
    static const uint16_t packets[] = { 8, 16, 64, 512, 1024, 2, 1 };

    if (dci == 1)
        type = EP_CONTROL;
    stl32(c, pick(f, 8) << 16 | (pick(f, 32) ? 0 : pick(f, 32) << 10));
    stl32(c + 4, 3 << 1 | type << 3 | (uint32_t)(pick(f, 16) ? packets[pick(f, 7)] : r64(f) & 0xffff) << 16);
    stl64(c + 8, trb_at(f) | 1);
}

/* What a slot's endpoints are when it is a disk. */
static void disk_ctx(uint8_t *c)
{
    stl32(c + 2 * 32 + 4, EP_CONTROL << 3 | 512u << 16);
    stl32(c + 4 * 32, 0);
    stl32(c + 5 * 32, 0);
    stl32(c + 4 * 32 + 4, EP_BULK_IN << 3 | 512u << 16);
    stl32(c + 5 * 32 + 4, EP_BULK_OUT << 3 | 512u << 16);
}

static void make_ctx(struct fuzz *f, unsigned n)
{
    uint8_t *c = f->m->ram + CONTEXTS + n * CTX_BYTES;

    stl32(c, pick(f, 8) ? 0 : (uint32_t)r64(f));
    stl32(c + 4, pick(f, 2) ? 3 : 1u | 1u << pick(f, 8) | 1u << pick(f, pick(f, 8) ? 8 : 32));
    stl32(c + 32, 31u << 27 | (pick(f, 4) ? 0 : (uint32_t)r64(f) & 0xfffff));
    stl32(c + 36, (1 + pick(f, pick(f, 8) ? PORTS : 40)) << 16);
    for (unsigned dci = 1; dci < 32; dci++)
        ep_ctx(f, c + (dci + 1) * 32, dci);
    if (pick(f, 2))
        disk_ctx(c);
    if (!pick(f, 16))
        c[pick(f, CTX_BYTES)] ^= 1u << pick(f, 8);
}

static void make_all(struct fuzz *f)
{
    for (unsigned n = 0; n < TRBS; n++)
        make_trb(f, n);
    for (unsigned n = 0; n < N_CONTEXTS; n++)
        make_ctx(f, n);
    for (unsigned n = 0; n <= XHCI_SLOTS; n++)
        stl64(f->m->ram + DCBAA + n * 8, ctx_at(f));
}

/* ---- operations ------------------------------------------------------------------------------- */

/* Event rings of @trbs. */
static void start(struct fuzz *f, unsigned trbs)
{
    out(f, OP_CONFIG, SLOTS, 4);
    out(f, OP_DCBAAP, DCBAA, 8);
    out(f, OP_CRCR, trb_at(f) | 1, 8);
    for (unsigned n = 0; n < 3; n++) {
        for (unsigned seg = 0; seg < 2; seg++) {
            stl64(f->m->ram + ERST + n * 32 + seg * 16, EVENTS + n * 0x2000 + seg * 0x1000);
            stl32(f->m->ram + ERST + n * 32 + seg * 16 + 8, MIN(trbs, 256u));
        }
        out(f, RT_INTR + n * 32 + 8, 1 + !pick(f, 8), 4);
        out(f, RT_INTR + n * 32 + 24, EVENTS + n * 0x2000, 8);
        out(f, RT_INTR + n * 32 + 16, ERST + n * 32, 8);
        out(f, RT_INTR + n * 32 + 4, pick(f, 2) ? 0 : pick(f, 4000), 4);
        out(f, RT_INTR + n * 32, 2, 4);
    }
    out(f, OP_CMD, CMD_RS | CMD_INTE | (pick(f, 4) ? 0 : CMD_EWE), 4);
    for (unsigned n = 0; n < PORTS; n++)
        out(f, OP_PORTSC + n * 16, PORT_PP | PORT_PR | PORT_CHANGES, 4);
}

/* Software takes events: the dequeue pointer moves to where the controller is, or anywhere. */
static void take_events(struct fuzz *f)
{
    unsigned n = pick(f, 3);
    const struct xhci_intr *it = &f->s->intr[n];
    uint64_t to = EVENTS + n * 0x2000 + (pick(f, 8) ? it->seg * 0x1000 + it->at * 16 : pick(f, 512) * 16);

    out(f, RT_INTR + n * 32 + 24, to | ERDP_EHB, 8);
    out(f, RT_INTR + n * 32, 3, 4);
}

static void command(struct fuzz *f, uint64_t at, uint64_t param, uint32_t control)
{
    uint8_t *p = f->m->ram + at;

    memset(p, 0, 32);
    stl64(p, param);
    stl32(p + 12, control | 1);
    f->s->cmd_ring = (struct xhci_ring){ at, true };
    out(f, DOORBELLS, 0, 4);
}

/* @n TRBs at OWN are next on an endpoint's ring. */
static void transfer(struct fuzz *f, unsigned slot, unsigned dci, unsigned n)
{
    struct xhci_ep *ep = &f->s->slot[slot].ep[dci];

    memset(f->m->ram + OWN + n * 16, 0, 16);
    ep->ring = (struct xhci_ring){ OWN, true };
    ep->done = 0;
    out(f, DOORBELLS + 4 * slot, dci, 4);
}

static void own_trb(struct fuzz *f, unsigned n, uint64_t param, uint32_t status, uint32_t control)
{
    uint8_t *p = f->m->ram + OWN + n * 16;

    stl64(p, param);
    stl32(p + 8, status);
    stl32(p + 12, control | 1);
}

/* A request without data. */
static void request(struct fuzz *f, unsigned slot, uint64_t setup_packet)
{
    own_trb(f, 0, setup_packet, 8, TRB_SETUP << TRB_TYPE_AT | TRB_IDT);
    own_trb(f, 1, 0, 0, TRB_STATUS << TRB_TYPE_AT | TRB_DIR_IN | TRB_IOC);
    transfer(f, slot, 1, 2);
}

/* A command block that a disk knows, most of it sane. */
static void make_cbw(struct fuzz *f, uint8_t *b, uint32_t expected, bool in)
{
    static const uint8_t codes[] = { 0x00, 0x03, 0x08, 0x0a, 0x12, 0x1a, 0x1b, 0x1e, 0x23, 0x25, 0x28, 0x2a, 0x28, 0x2a,
                                     0x2f, 0x35, 0x42, 0x5a, 0x88, 0x8a, 0x9e, 0xa0, 0xa8, 0xaa };

    memset(b, 0, 31);
    memcpy(b, "USBC", 4);
    stl32(b + 8, expected);
    b[12] = in ? 0x80 : 0;
    b[14] = 16;
    b[15] = codes[pick(f, ARRAY_SIZE(codes))];
    for (unsigned i = 16; i < 31; i++)
        b[i] = pick(f, 4) ? 0 : (uint8_t)r64(f);
    b[pick(f, 2) ? 23 : 29] = expected / 512;
    if (!pick(f, 16))
        b[pick(f, 31)] ^= 1u << pick(f, 8);
}

/* Reset Recovery */
static void recover(struct fuzz *f, unsigned slot)
{
    for (unsigned dci = 1; dci < 5; dci++)
        command(f, POOL, 0, TRB_RESET_EP << TRB_TYPE_AT | dci << 16 | slot << 24);
    request(f, slot, 0xff21);
    request(f, slot, 0x8100000102);
    request(f, slot, 0x0200000102);
}

static bool is_disk(const struct usb_device *d)
{
    return d && d->dev.type == &usb_storage_type;
}

/* Mostly one that stands for a disk. */
static unsigned disk_slot(struct fuzz *f)
{
    for (unsigned n = 1; n <= SLOTS && pick(f, 16); n++)
        if (f->s->slot[n].state == SLOT_CONFIGURED && is_disk(xhci_device(f->s, n)))
            return n;
    return 1 + pick(f, 4);
}

/* Likewise the port. */
static unsigned disk_port(struct fuzz *f)
{
    for (unsigned n = 0; n < PORTS && pick(f, 4); n++)
        if (is_disk(f->s->port[n].socket->dev) && f->s->port[n].sc & PORT_CCS)
            return n;
    return pick(f, PORTS);
}

/* As a driver of a disk does it; now and then it does not wait, or leaves something out. */
static void disk_command(struct fuzz *f)
{
    unsigned slot = disk_slot(f);
    bool in = pick(f, 2);
    uint32_t expected = pick(f, 4) ? pick(f, 8) * 512 : pick(f, 100000);

    if (pick(f, 8))
        recover(f, slot);
    make_cbw(f, f->m->ram + DATA, expected, in);
    for (unsigned part = 0; part < 3; part++) {
        unsigned dci = part == 0 ? 4 : part == 2 || in ? 3 : 4;

        own_trb(f, 0, DATA + part * 0x100, part == 0 ? 31 : part == 1 ? expected : 13, TRB_NORMAL << TRB_TYPE_AT | TRB_IOC);
        if (pick(f, 16))
            transfer(f, slot, dci, 1);
        while (pick(f, 16) && drive_busy(f->d) && !f->d->parked)
            block_ctx_wait(f->ctx, 1000000);
    }
}

/* As a driver does it: a slot for what is at a port, its first endpoints. */
static void enumerate(struct fuzz *f)
{
    unsigned slot = 1 + pick(f, 4), port = disk_port(f);
    uint32_t input = CONTEXTS, add[] = { 3, 1 | 1 << 3 | 1 << 4 };

    out(f, OP_PORTSC + port * 16, PORT_PP | PORT_PR | PORT_CHANGES, 4);
    command(f, POOL, 0, TRB_DISABLE_SLOT << TRB_TYPE_AT | slot << 24);
    for (slot = 1; slot < SLOTS && f->s->slot[slot].state != SLOT_DISABLED; slot++)
        ;
    command(f, POOL, 0, TRB_ENABLE_SLOT << TRB_TYPE_AT);
    for (unsigned n = 0; n < 2; n++) {
        make_ctx(f, 0);
        if (port < f->s->first2)
            disk_ctx(f->m->ram + input);
        stl32(f->m->ram + input, 0);
        stl32(f->m->ram + input + 4, add[n]);
        stl32(f->m->ram + input + 32, 31u << 27);
        stl32(f->m->ram + input + 36, (port + 1) << 16);
        command(f, POOL, input, (n ? TRB_CONFIGURE_EP : TRB_ADDRESS_DEVICE) << TRB_TYPE_AT | slot << 24);
    }
    request(f, slot, 0x10900);
}

static void plug_or_unplug(struct fuzz *f)
{
    static const char *const names[] = { "usb-tablet", "usb-mouse", "usb-kbd", "usb-hub", "usb-storage", "usb-storage" };
    struct user_prop disk[] = { { "drive", "d" }, { "removable", pick(f, 2) ? "on" : "off" } };
    unsigned kind = pick(f, ARRAY_SIZE(names));

    usb_plug_or_unplug(f->m, &f->rng, "fuzz-xhci", names[kind], disk, kind < 4 ? 0 : ARRAY_SIZE(disk));
}

static unsigned any_register(struct fuzz *f)
{
    static const unsigned at[] = { 0, OP_CMD, OP_PORTSC, RT_INTR, DOORBELLS };

    return (pick(f, 8) ? at[pick(f, ARRAY_SIZE(at))] + pick(f, 0x90) : pick(f, 0x4000)) & (pick(f, 8) ? ~3u : ~0u);
}

static void one_op(struct fuzz *f)
{
    unsigned reg = any_register(f), size = 1u << pick(f, 4);

    if (!xhci_running(f->s) && pick(f, 2)) {         /* it has died of something */
        out(f, OP_CMD, CMD_HCRST, 4);
        start(f, 64);
    }
    switch (pick(f, 24)) {
    case 0:
        if (reg + size <= 0x4000)
            out(f, reg, pick(f, 2) ? r64(f) : pick(f, 256), size);
        break;
    case 1:
        if (reg + size <= 0x4000)
            mmio_read(&f->m->mem, BAR + reg, size);
        break;
    case 2:
        if (!pick(f, 16))
            out(f, OP_CMD, CMD_HCRST, 4);
        start(f, pick(f, 16) ? 16 + pick(f, 200) : (unsigned)r64(f) & 0xffff);
        break;
    case 3: case 4:
        usb_use(f->m, &f->rng);
        break;
    case 5:
        if (!pick(f, 8))
            plug_or_unplug(f);
        break;
    case 6: case 7:
        enumerate(f);
        break;
    case 8:
        if (!pick(f, 20))
            make_all(f);
        break;
    case 9:
        make_ctx(f, pick(f, N_CONTEXTS));
        break;
    case 10: case 11: case 12:
        make_trb(f, pick(f, TRBS));
        break;
    case 13: case 14: case 15: case 16:
        out(f, DOORBELLS + 4 * pick(f, 5), pick(f, 6), 4);
        break;
    case 17: case 18:
        take_events(f);
        break;
    case 19: case 20: case 21:
        disk_command(f);
        break;
    case 22:
        block_ctx_poll(f->ctx);
        break;
    default:
        clock_step(&f->m->clock, &f->m->timers, pick(f, 8) ? pick(f, 500000) : pick(f, 20000000));
    }
}

/* ---- a case ---------------------------------------------------------------------------------------- */

static void add_drive(struct fuzz *f)
{
    char path[] = "/tmp/fuzz-xhci-XXXXXX";
    int fd = mkstemp(path);
    struct err e = { "" };
    struct block_opts o;
    struct block *blk;

    if (fd < 0 || ftruncate(fd, DISK_BYTES))
        perror("fuzz-xhci"), exit(2);
    close(fd);
    block_opts_init(&o);
    o.file = xstrdup(path);
    o.format = xstrdup("raw");
    o.discard = true;
    o.cache = BLOCK_CACHE_UNSAFE;
    f->ctx = block_ctx_new(2, &e);
    blk = f->ctx ? block_open(f->ctx, &o, &e) : NULL;
    unlink(path);
    block_opts_free(&o);
    if (!blk)
        die(e.msg);
    f->d = drive_new(f->m, "d", blk);
}

static void make_board(struct fuzz *f)
{
    struct user_prop p[] = { { "addr", "5" }, { pick(f, 4) ? "intrs" : "msix", pick(f, 2) ? "3" : "4" } };
    struct err e = { "" };

    if (!strcmp(p[1].name, "msix"))
        p[1].val = "off";
    f->m = fuzz_machine("fuzz-xhci", RAM_BYTES);
    f->s = (struct xhci *)user_device_add(f->m, user_device_find("qemu-xhci"), NULL, p, 2, &e);
    if (!f->s)
        die(e.msg);
    add_drive(f);
    machine_reset(f->m);
    fuzz_cfg_wr(f->m, DEVFN, 4, 6, 4);
    fuzz_cfg_wr(f->m, DEVFN, 0x10, BAR, 4);
    fuzz_cfg_wr(f->m, DEVFN, 0x20, TABLE, 4);
    for (unsigned i = 0; i < 4; i++)
        plug_or_unplug(f);
}

static void control(struct fuzz *f, uint64_t at, uint64_t param, uint32_t status, uint32_t control_)
{
    uint8_t *p = f->m->ram + at;

    stl64(p, param);
    stl32(p + 8, status);
    stl32(p + 12, control_ | 1);
}

/* After a reset of the controller the device in the first taken socket says what it is. */
static void still_serving(struct fuzz *f)
{
    unsigned n = 0, port;
    uint8_t *ram = f->m->ram;

    out(f, OP_CMD, CMD_HCRST, 4);
    while (drive_busy(f->d) && !f->d->parked)
        block_ctx_wait(f->ctx, 1000000);
    while (!f->s->socket[0].dev && !f->s->socket[1].dev && !f->s->socket[2].dev && !f->s->socket[3].dev)
        plug_or_unplug(f);
    while (!f->s->socket[n].dev)
        n++;
    port = n + (f->s->socket[n].dev->speed == USB_SUPER ? f->s->first3 : f->s->first2);
    start(f, 256);
    make_ctx(f, 0);
    stl32(ram + CONTEXTS, 0);
    stl32(ram + CONTEXTS + 4, 3);
    stl32(ram + CONTEXTS + 32, 0);
    stl32(ram + CONTEXTS + 36, (port + 1) << 16);
    stl32(ram + CONTEXTS + 68, EP_CONTROL << 3 | 512 << 16);
    stl64(ram + CONTEXTS + 72, (POOL + 0x1000) | 1);
    stl64(ram + DCBAA + 8, DATA + 0x8000);
    out(f, OP_PORTSC + port * 16, PORT_PP | PORT_PR, 4);
    command(f, POOL, 0, TRB_ENABLE_SLOT << TRB_TYPE_AT);
    command(f, POOL, CONTEXTS, TRB_ADDRESS_DEVICE << TRB_TYPE_AT | 1 << 24);
    memset(ram + POOL + 0x1000, 0, 64);
    memset(ram + DATA, 0, 18);
    control(f, POOL + 0x1000, 0x0008000001000680, 8, TRB_SETUP << TRB_TYPE_AT | TRB_IDT);
    control(f, POOL + 0x1010, DATA, 8, TRB_DATA << TRB_TYPE_AT | TRB_DIR_IN);
    control(f, POOL + 0x1020, 0, 0, TRB_STATUS << TRB_TYPE_AT | TRB_IOC);
    out(f, DOORBELLS + 4, 1, 4);
    clock_step(&f->m->clock, &f->m->timers, 3000000);
    if (ram[DATA] != 18 || ram[DATA + 1] != USB_DESC_DEVICE)
        die("a proper request is not answered");
}

static void one(uint64_t seed)
{
    struct fuzz f = { .rng = seed };
    struct block_stats stats;
    struct drive *drives;

    alarm(CASE_SECONDS);
    make_board(&f);
    make_all(&f);
    start(&f, 64);
    for (unsigned i = 0; i < OPS; i++)
        one_op(&f);
    run.shown[1] += OPS;
    for (unsigned n = 1; n <= SLOTS; n++)
        run.shown[2] += f.s->slot[n].state == SLOT_CONFIGURED;
    still_serving(&f);
    block_get_stats(f.d->blk, &stats);
    run.shown[3] += stats.rd_ops + stats.wr_ops + stats.flush_ops + stats.unmap_ops;
    drives = f.m->drives;
    machine_free(f.m);
    drives_free(drives, NULL);
    block_ctx_free(f.ctx);
}

int main(int argc, char **argv)
{
    int ret;

    run = (struct fuzz_run){ .name = "fuzz-xhci", .one = one, .count = 100, .per_child = PER_CHILD,
                             .shown = fuzz_shared() };
    ret = fuzz_main(&run, argc, argv);
    printf("fuzz-xhci: %llu operations, %llu devices configured at their end, %llu disk requests\n",
           (unsigned long long)run.shown[1], (unsigned long long)run.shown[2], (unsigned long long)run.shown[3]);
    return ret;
}
