/*
 * xhci.c - random rings, contexts and registers for the xHCI controller, with every device behind it
 *
 * A case is a seed: a board with the controller, a pool of TRBs, of which most are what a driver
 * could write, contexts likewise, rings and tables that point into them. Then OPS operations:
 * registers, doorbells, TRBs and bits of them changed, whole enumerations as a driver does them,
 * time, what a user does, devices plugged in and out. In the end, after a reset, a device has to
 * answer a proper request. Made for SAN=1.
 *
 *   xhci [--seed N] [--count N] [--seconds N]
 */
#include "hw/input/input.h"
#include "hw/usb/xhci-int.h"
#include "hw/user-devices.h"
#include "tests/fuzz/rig.h"

enum { RAM_BYTES = 4 << 20, OPS = 4000, CASE_SECONDS = 300, PER_CHILD = 50 };
enum { BAR = 0x90000000, TABLE = 0x91000000, DEVFN = PCI_DEVFN(5, 0), DCBAA = 0x10000, ERST = 0x11000, EVENTS = 0x12000,
       CONTEXTS = 0x20000, N_CONTEXTS = 64, CTX_BYTES = 0x440, POOL = 0x40000, TRBS = 4096, DATA = 0x80000 };
enum { OP_CMD = 0x40, OP_CRCR = 0x58, OP_DCBAAP = 0x70, OP_CONFIG = 0x78, OP_PORTSC = 0x440, RT_INTR = 0x1020,
       DOORBELLS = 0x2000, PORTS = 8, SLOTS = 8 };

struct fuzz {
    struct machine *m;
    struct xhci *s;
    uint64_t rng;
};

static struct fuzz_run run;          /* shown[1]: operations, [2]: transfer events */

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

static void make_ctx(struct fuzz *f, unsigned n)
{
    uint8_t *c = f->m->ram + CONTEXTS + n * CTX_BYTES;

    stl32(c, pick(f, 8) ? 0 : (uint32_t)r64(f));
    stl32(c + 4, pick(f, 2) ? 3 : 1u | 1u << pick(f, 8) | 1u << pick(f, pick(f, 8) ? 8 : 32));
    stl32(c + 32, 31u << 27 | (pick(f, 4) ? 0 : (uint32_t)r64(f) & 0xfffff));
    stl32(c + 36, (1 + pick(f, pick(f, 8) ? PORTS : 40)) << 16);
    for (unsigned dci = 1; dci < 32; dci++)
        ep_ctx(f, c + (dci + 1) * 32, dci);
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

/* As a driver does it: a slot for what is at a port, its first endpoints. */
static void enumerate(struct fuzz *f)
{
    unsigned slot = 1 + pick(f, 4), port = pick(f, PORTS);
    uint32_t input = CONTEXTS, add[] = { 3, 1 | 1 << 2 | 1 << 3 | 1 << 4 };

    out(f, OP_PORTSC + port * 16, PORT_PP | PORT_PR | PORT_CHANGES, 4);
    command(f, POOL, 0, TRB_ENABLE_SLOT << TRB_TYPE_AT);
    for (unsigned n = 0; n < 2; n++) {
        make_ctx(f, 0);
        stl32(f->m->ram + input, 0);
        stl32(f->m->ram + input + 4, add[n]);
        stl32(f->m->ram + input + 36, (port + 1) << 16);
        command(f, POOL, input, (n ? TRB_CONFIGURE_EP : TRB_ADDRESS_DEVICE) << TRB_TYPE_AT | slot << 24);
    }
}

static void plug_or_unplug(struct fuzz *f)
{
    static const char *const names[] = { "usb-tablet", "usb-mouse", "usb-kbd", "usb-hub" };
    struct usb_port *p = f->m->usb->ports;
    struct err e = { "" };

    for (unsigned n = pick(f, 12); n && p->next; n--)
        p = p->next;
    if (p->dev && user_device_unplug(&p->dev->dev, &e) < 0)
        die(e.msg);
    else if (!user_device_plug(f->m, user_device_find(names[pick(f, 4)]), NULL, NULL, 0, &e) && !*e.msg)
        die("refused without a word");
}

static void use(struct fuzz *f)
{
    if (pick(f, 2))
        input_key(f->m, pick(f, 0x201), pick(f, 2));
    else if (pick(f, 2))
        input_motion(f->m, (int)r64(f), (int)r64(f), (int)r64(f), pick(f, 32));
    else
        input_position(f->m, pick(f, 2000), pick(f, 2000), 1 + pick(f, 2000), pick(f, 2000), (int)r64(f), pick(f, 32));
}

static unsigned any_register(struct fuzz *f)
{
    static const unsigned at[] = { 0, OP_CMD, OP_PORTSC, RT_INTR, DOORBELLS };

    return (pick(f, 8) ? at[pick(f, ARRAY_SIZE(at))] + pick(f, 0x90) : pick(f, 0x4000)) & (pick(f, 8) ? ~3u : ~0u);
}

static void one_op(struct fuzz *f)
{
    unsigned reg = any_register(f), size = 1u << pick(f, 4);

    switch (pick(f, 20)) {
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
        use(f);
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
    default:
        clock_step(&f->m->clock, &f->m->timers, pick(f, 8) ? pick(f, 500000) : pick(f, 20000000));
    }
}

/* ---- a case ---------------------------------------------------------------------------------------- */

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
    unsigned n = 0;
    uint8_t *ram = f->m->ram;

    out(f, OP_CMD, CMD_HCRST, 4);
    while (!f->s->socket[0].dev && !f->s->socket[1].dev && !f->s->socket[2].dev && !f->s->socket[3].dev)
        plug_or_unplug(f);
    while (!f->s->socket[n].dev)
        n++;
    start(f, 256);
    make_ctx(f, 0);
    stl32(ram + CONTEXTS, 0);
    stl32(ram + CONTEXTS + 4, 3);
    stl32(ram + CONTEXTS + 32, 0);
    stl32(ram + CONTEXTS + 36, (4 + n + 1) << 16);
    stl32(ram + CONTEXTS + 68, EP_CONTROL << 3 | 64 << 16);
    stl64(ram + CONTEXTS + 72, (POOL + 0x1000) | 1);
    stl64(ram + DCBAA + 8, DATA + 0x8000);
    out(f, OP_PORTSC + (4 + n) * 16, PORT_PP | PORT_PR, 4);
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
    machine_free(f.m);
}

int main(int argc, char **argv)
{
    int ret;

    run = (struct fuzz_run){ .name = "fuzz-xhci", .one = one, .count = 100, .per_child = PER_CHILD,
                             .shown = fuzz_shared() };
    ret = fuzz_main(&run, argc, argv);
    printf("fuzz-xhci: %llu operations, %llu devices configured at their end\n", (unsigned long long)run.shown[1],
           (unsigned long long)run.shown[2]);
    return ret;
}
