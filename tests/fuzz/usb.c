/*
 * usb.c - random schedules and registers for the USB controller, with every device behind it
 *
 * A case is a seed: a board with the controller, a frame list and a pool of queue heads and
 * transfer descriptors that link to each other at random - most of them plausible, with setup
 * packets that devices know. Then OPS operations: registers, descriptors, requests and bits of
 * them changed, time, what a user does, devices plugged in and out. In the end a device has to
 * answer a proper request. Made for SAN=1.
 *
 *   usb [--seed N] [--count N] [--seconds N]
 */
#include "tests/fuzz/usb-rig.h"

enum { RAM_BYTES = 4 << 20, OPS = 4000, CASE_SECONDS = 300, PER_CHILD = 50 };
enum { IO = 0xc000, DEVFN = PCI_DEVFN(1, 2), LIST = 0x10000, POOL = 0x20000, NODES = 128,
       SETUPS = 0x40000, N_SETUPS = 64, DATA = 0x50000 };
enum { CMD = 0, STS = 2, FLBASE = 8, PORTSC = 16 };

struct fuzz {
    struct machine *m;
    uint64_t rng;
};

static struct fuzz_run run;          /* shown[1]: operations */

static void die(const char *why) { fuzz_die("fuzz-usb", why); }

static void out(struct fuzz *f, unsigned reg, uint32_t v, unsigned size) { port_write(f->m, IO + reg, v, size); }

/* ---- schedules ---------------------------------------------------------------------------- */

static uint32_t link_to(struct fuzz *f)
{
    unsigned n = pick(f, NODES);

    if (!pick(f, 16))
        return (uint32_t)r64(f);
    return POOL + n * 32 + (n % 4 == 0 ? 2 : pick(f, 2) * 4) + !pick(f, 6);
}

/* Every fourth node is a queue head. */
static void make_node(struct fuzz *f, unsigned n)
{
    static const uint8_t pids[] = { USB_IN, USB_OUT, USB_SETUP, USB_IN };
    uint8_t *p = f->m->ram + POOL + n * 32;
    uint32_t pid = pids[pick(f, 4)];
    unsigned len = pid == USB_SETUP ? 8 : pick(f, 4) ? pick(f, 65) : pick(f, 2048);

    stl32(p, link_to(f));
    stl32(p + 4, n % 4 == 0 ? link_to(f) : 1u << 23 | pick(f, 4) << 27 | pick(f, 64) << 24);
    stl32(p + 8, pid | pick(f, 4) << 8 | (pick(f, 3) ? 0 : pick(f, 3)) << 15 | ((len - 1) & 0x7ff) << 21);
    stl32(p + 12, pid == USB_SETUP ? SETUPS + pick(f, N_SETUPS) * 8 : DATA + pick(f, 0x10000));
    if (!pick(f, 16))
        p[pick(f, 16)] ^= 1u << pick(f, 8);
}

static void make_setup(struct fuzz *f, unsigned n)
{
    static const uint8_t types[] = { 0x00, 0x80, 0x81, 0x21, 0xa1, 0x02, 0x82, 0xa0, 0x20, 0x23, 0xa3 };
    uint8_t *s = f->m->ram + SETUPS + n * 8;

    s[0] = types[pick(f, ARRAY_SIZE(types))];
    s[1] = pick(f, 13);
    stl16(s + 2, pick(f, 2) ? pick(f, 24) : pick(f, 64) << 8 | pick(f, 4));
    stl16(s + 4, pick(f, 10));
    stl16(s + 6, pick(f, 4) ? pick(f, 256) : r64(f));
}

static void make_all(struct fuzz *f)
{
    for (unsigned n = 0; n < NODES; n++)
        make_node(f, n);
    for (unsigned n = 0; n < N_SETUPS; n++)
        make_setup(f, n);
    for (unsigned n = 0; n < 1024; n++)
        stl32(f->m->ram + LIST + n * 4, link_to(f));
}

/* ---- operations ------------------------------------------------------------------------------ */

static void enable_ports(struct fuzz *f)
{
    for (unsigned n = 0; n < 2; n++) {
        out(f, PORTSC + n * 2, 1 << 9, 2);
        out(f, PORTSC + n * 2, 0, 2);
        out(f, PORTSC + n * 2, 1 << 2 | 1 << 1, 2);
    }
    out(f, FLBASE, LIST, 4);
    out(f, CMD, 1, 2);
}

static void plug_or_unplug(struct fuzz *f)
{
    static const char *const names[] = { "usb-tablet", "usb-mouse", "usb-kbd", "usb-hub" };

    usb_plug_or_unplug(f->m, &f->rng, "fuzz-usb", names[pick(f, ARRAY_SIZE(names))], NULL, 0);
}

static void one_op(struct fuzz *f)
{
    switch (pick(f, 16)) {
    case 0:
        out(f, pick(f, 32), (uint32_t)r64(f), 1u << pick(f, 3));
        break;
    case 1:
        port_read(f->m, IO + pick(f, 32), 1u << pick(f, 3));
        break;
    case 2:
        enable_ports(f);
        break;
    case 3: case 4:
        usb_use(f->m, &f->rng);
        break;
    case 5:
        if (!pick(f, 8))
            plug_or_unplug(f);
        break;
    case 6:
        make_setup(f, pick(f, N_SETUPS));
        break;
    case 7:
        if (!pick(f, 20))
            make_all(f);
        break;
    case 8: case 9: case 10: case 11:
        make_node(f, pick(f, NODES));
        break;
    default:
        clock_step(&f->m->clock, &f->m->timers, pick(f, 8) ? pick(f, 2000000) : pick(f, 100000000));
    }
}

/* ---- a case ------------------------------------------------------------------------------------- */

static void make_board(struct fuzz *f)
{
    f->m = fuzz_machine("fuzz-usb", RAM_BYTES);
    fuzz_add_chip("fuzz-usb", f->m, &piix3_uhci_type, DEVFN);
    machine_reset(f->m);
    fuzz_cfg_wr(f->m, DEVFN, 4, 5, 4);
    fuzz_cfg_wr(f->m, DEVFN, 0x20, IO, 4);
    for (unsigned i = 0; i < 4; i++)
        plug_or_unplug(f);
}

/* After a reset of the controller the first device says what it is. */
static void still_serving(struct fuzz *f)
{
    uint8_t *ram = f->m->ram;

    out(f, CMD, 2, 2);
    while (!f->m->usb->ports->dev)
        plug_or_unplug(f);
    enable_ports(f);
    out(f, CMD, 0, 2);
    memcpy(ram + SETUPS, "\x80\x06\x00\x01\x00\x00\x08\x00", 8);
    for (unsigned n = 0; n < 1024; n++)
        stl32(ram + LIST + n * 4, n ? 1 : POOL);
    for (unsigned n = 0; n < 2; n++) {
        stl32(ram + POOL + n * 32, n ? 1 : POOL + 32);
        stl32(ram + POOL + n * 32 + 4, 1u << 23);
        stl32(ram + POOL + n * 32 + 8, (n ? USB_IN : USB_SETUP) | 7 << 21);
        stl32(ram + POOL + n * 32 + 12, n ? DATA : SETUPS);
    }
    out(f, 6, 0, 2);
    out(f, CMD, 1, 2);
    clock_step(&f->m->clock, &f->m->timers, 3000000);
    if (memcmp(ram + DATA, "\x12\x01\x10\x01", 4))
        die("a proper request is not answered");
}

static void one(uint64_t seed)
{
    struct fuzz f = { .rng = seed };

    alarm(CASE_SECONDS);
    make_board(&f);
    make_all(&f);
    enable_ports(&f);
    for (unsigned i = 0; i < OPS; i++)
        one_op(&f);
    run.shown[1] += OPS;
    still_serving(&f);
    machine_free(f.m);
}

int main(int argc, char **argv)
{
    int ret;

    run = (struct fuzz_run){ .name = "fuzz-usb", .one = one, .count = 20, .per_child = PER_CHILD,
                             .shown = fuzz_shared() };
    ret = fuzz_main(&run, argc, argv);
    printf("fuzz-usb: %llu operations\n", (unsigned long long)run.shown[1]);
    return ret;
}
