/*
 * vser.c - random requests and messages for virtio-serial and virtio-rng, ports that come and go
 *
 * A case is a seed: a board with one of the cards (every fourth: rng), split or packed rings, a driver that
 * negotiates at random. Then OPS operations: requests, most of them plausible, what a driver says of its ports,
 * back ends that are full, speak, open and close, ports plugged in and out, time, resets, bits of a ring changed.
 * In the end a channel has to carry bytes both ways, or a request has to be filled. Made for SAN=1.
 *
 *   vser [--seed N] [--count N] [--seconds N]
 */
#include "hw/user-devices.h"
#include "hw/virtio/virtio-serial.h"
#include "tests/fuzz/rig.h"

enum { RAM_BYTES = 4 << 20, OPS = 4000, CASE_SECONDS = 300, PER_CHILD = 50 };
enum { DEVFN = PCI_DEVFN(4, 0), RINGS = 0x10000, STRIDE = 0x4000, DRIVER = 0x1000, DEVICE = 0x2000,
       INDIRECT = 0x3000, DATA = 0x100000, MSG = 0x8000, QUEUES = 12, PORTS = 5, MESSAGES = 32 };
enum { STATUS = 0x14, NEXT = 1, WRITE = 2, INDIRECT_FLAG = 4, CONTROL_RX = 2, CONTROL_TX = 3, PORT1_RX = 4, PORT1_TX = 5 };
enum { DEVICE_READY = 0, PORT_READY = 3, PORT_OPEN = 6 };
#define MODERN 0xe0000000u

struct fuzz {
    struct machine *m;
    uint64_t rng;
    bool is_rng, packed;
    unsigned queues, size;
    uint16_t avail[QUEUES];          /* packed: descriptors made since the start */
    struct chardev chr;              /* behind every port */
    bool reliable;                   /* it takes all, and says nothing by itself */
    uint64_t taken;
};

static struct fuzz_run run;          /* shown[1]: requests, [2]: served at the end, [3]: bytes */

static void die(const char *why) { fuzz_die("fuzz-vser", why); }

static void wr(struct fuzz *f, unsigned reg, uint32_t v, unsigned size) { mmio_write(&f->m->mem, MODERN + reg, v, size); }

static uint8_t *ring(struct fuzz *f, unsigned q) { return f->m->ram + RINGS + q * STRIDE; }

/* ---- back ends ----------------------------------------------------------------------------- */

static int chr_write(struct chardev *c, const uint8_t *buf, int len)
{
    struct fuzz *f = container_of(c, struct fuzz, chr);

    if (!f->reliable && !pick(f, 4))
        len = (int)pick(f, (unsigned)len + 1);
    f->taken += (uint64_t)len;
    return len;
}

static void speak(struct fuzz *f, unsigned most)
{
    struct chardev *c = &f->chr;
    int room = c->can_receive ? c->can_receive(c->front) : 0;
    uint8_t buf[4096];

    memset(buf, 0x61, sizeof buf);
    if (room > 0)
        c->receive(c->front, buf, MIN(room, (int)most));
}

static void chr_poll(struct chardev *c)
{
    struct fuzz *f = container_of(c, struct fuzz, chr);

    if (!f->reliable && pick(f, 2))
        speak(f, 1 + pick(f, 4096));
}

static struct chardev *chr_claim(void *opaque, const char *id, struct err *e)
{
    struct chardev *c = opaque;

    if (c->front)
        err_set(e, -EBUSY, "one at a time");
    return c->front ? NULL : c;
}

static void chr_release(void *opaque, struct chardev *c) { }
static bool chr_is_open(const struct chardev *c) { return true; }

static const struct machine_chars chars = { chr_claim, chr_release, chr_is_open };

static void chr_news(struct fuzz *f)
{
    struct chardev *c = &f->chr;
    unsigned what = pick(f, 4);

    if (!c->front)
        return;
    if (what < 2)
        c->event(c->front, what ? CHR_EVENT_OPENED : CHR_EVENT_CLOSED);
    else if (what == 2)
        c->can_write(c->front);
    else
        speak(f, 1 + pick(f, 4096));
}

/* ---- the driver ------------------------------------------------------------------------------ */

static void bring_up(struct fuzz *f, uint64_t refused)
{
    uint64_t features = ~refused & (f->packed ? ~0ull : ~BIT(VIRTIO_F_RING_PACKED));

    memset(f->avail, 0, sizeof f->avail);
    memset(ring(f, 0), 0, QUEUES * STRIDE);
    fuzz_cfg_wr(f->m, DEVFN, PCI_BAR0 + 16, MODERN, 4);
    fuzz_cfg_wr(f->m, DEVFN, PCI_COMMAND, 7, 2);
    wr(f, STATUS, 0, 1);
    wr(f, STATUS, 3, 1);
    for (unsigned i = 0; i < 2; i++) {
        wr(f, 0x08, i, 4);
        wr(f, 0x0c, (uint32_t)(features >> (32 * i)), 4);
    }
    wr(f, STATUS, 11, 1);
    f->size = 1u << (1 + pick(f, 5));
    for (unsigned q = 0; q < f->queues; q++) {
        wr(f, 0x16, q, 2);
        wr(f, 0x18, MIN(f->size, f->is_rng ? 8 : f->size), 2);
        wr(f, 0x20, RINGS + q * STRIDE, 4);
        wr(f, 0x28, RINGS + q * STRIDE + DRIVER, 4);
        wr(f, 0x30, RINGS + q * STRIDE + DEVICE, 4);
        wr(f, 0x1c, 1, 2);
    }
    f->size = MIN(f->size, f->is_rng ? 8 : f->size);
    wr(f, STATUS, 15, 1);
}

static void kick(struct fuzz *f, unsigned q) { wr(f, 0x3000 + 4 * q, q, 2); }

static void put_desc(struct fuzz *f, uint8_t *p, unsigned n, uint64_t addr, uint32_t len, unsigned flags)
{
    stl64(p, addr);
    stl32(p + 8, len);
    stl16(p + 12, (uint16_t)(f->packed ? n : flags));
    stl16(p + 14, (uint16_t)(f->packed ? flags : (n + 1) % f->size));
}

/* Flags of the packed descriptor made as number @n: it is the device's now. */
static unsigned is_available(const struct fuzz *f, unsigned n)
{
    return n / f->size % 2 ? 1u << 15 : 1u << 7;
}

static bool is_used(struct fuzz *f, unsigned q, unsigned n)
{
    unsigned flags = ldl16(ring(f, q) + 16 * n + 14);

    return !(flags >> 7 & 1) == !(flags >> 15 & 1);
}

/* A driver does not overwrite what the device has. */
static bool has_room(struct fuzz *f, unsigned q, unsigned n)
{
    bool room = true;

    if (!f->packed)
        return (uint16_t)(f->avail[q] - ldl16(ring(f, q) + DEVICE + 2)) < f->size;
    for (unsigned i = 0; i < n; i++)
        room &= f->avail[q] + i < f->size || is_used(f, q, (f->avail[q] + i) % f->size);
    return room;
}

/* A request of @n buffers in a row, mostly if there is room for it. */
static void request(struct fuzz *f, unsigned q, unsigned n, uint64_t addr, uint32_t len, unsigned flags)
{
    uint8_t *r = ring(f, q);
    unsigned first = f->avail[q];

    if (!has_room(f, q, n) && pick(f, 100))
        return;
    for (unsigned i = 0; i < n; i++) {
        unsigned at = (first + i) % f->size, more = i + 1 < n ? NEXT : 0;

        put_desc(f, r + 16 * at, at, addr + i * 64, len,
                 flags | more | (f->packed ? is_available(f, first + i) : 0));
    }
    if (f->packed) {
        f->avail[q] = (uint16_t)(first + n);
    } else {
        stl16(r + DRIVER + 4 + 2 * (first % f->size), (uint16_t)(first % f->size));
        stl16(r + DRIVER + 2, ++f->avail[q]);
    }
    ++run.shown[1];
}

/* Odd queues are the device's to read. */
static void random_request(struct fuzz *f)
{
    unsigned q = pick(f, f->queues), n = pick(f, 4) ? 1 : 1 + pick(f, f->size);
    uint32_t len = pick(f, 8) ? pick(f, 5000) : pick(f, 2) ? 0 : (uint32_t)r64(f) >> pick(f, 24);
    uint64_t addr = pick(f, 32) ? DATA + pick(f, 0x100000) : r64(f) >> pick(f, 40);
    unsigned flags = (q & 1 && !f->is_rng) == !!pick(f, 16) ? 0 : WRITE;

    if (!pick(f, 16)) {
        uint8_t *t = ring(f, q) + INDIRECT;

        for (unsigned i = 0; i < 8; i++)
            put_desc(f, t + 16 * i, i, DATA + pick(f, 0x10000), pick(f, 3000), (flags & WRITE) | (i < 7 && pick(f, 6) ? NEXT : 0));
        request(f, q, 1, RINGS + q * STRIDE + INDIRECT, 128, INDIRECT_FLAG);
    } else {
        request(f, q, n, addr, len, flags);
    }
    if (pick(f, 4))
        kick(f, q);
}

static void message(struct fuzz *f, uint32_t port, unsigned event, unsigned value)
{
    uint8_t *m = f->m->ram + MSG + 8 * (f->avail[CONTROL_TX] % MESSAGES);

    stl32(m, port);
    stl16(m + 4, (uint16_t)event);
    stl16(m + 6, (uint16_t)value);
    request(f, CONTROL_TX, 1, (uint64_t)(m - f->m->ram), 8, 0);
    kick(f, CONTROL_TX);
}

/* ---- ports -------------------------------------------------------------------------------------- */

static void plug(struct fuzz *f, const char *id, const char *nr)
{
    struct user_prop p[] = { { "nr", nr }, { "chardev", "c" }, { "name", "org.x.0" } };
    struct err e = { "" };

    if (!user_device_plug(f->m, user_device_find(*nr == '0' ? "virtconsole" : "virtserialport"), id, p,
                          f->chr.front ? 1 : 3, &e))
        die(e.msg);
}

static void plug_or_unplug(struct fuzz *f, unsigned n)
{
    char nr[2] = { (char)('0' + n), 0 }, id[3] = { 'p', nr[0], 0 };
    struct device *d = machine_device_by_id(f->m, id);
    struct err e = { "" };

    if (!d)
        plug(f, id, nr);
    else if (user_device_unplug(d, &e) < 0)
        die(e.msg);
}

/* ---- a case --------------------------------------------------------------------------------------- */

/* A driver that mostly knows what ports want to hear. */
static void start(struct fuzz *f, uint64_t refused)
{
    bring_up(f, refused);
    if (f->is_rng || !pick(f, 4))
        return;
    message(f, 0, DEVICE_READY, 1);
    for (uint32_t n = 0; n < PORTS; n++) {
        message(f, n, PORT_READY, 1);
        message(f, n, PORT_OPEN, 1);
    }
}

static void one_op(struct fuzz *f)
{
    unsigned what = pick(f, 64);

    if (what == 0 && !pick(f, 8))
        machine_reset(f->m);
    else if (what == 1 && pick(f, 2))
        start(f, pick(f, 8) ? 0 : r64(f));
    else if (what == 2)
        ring(f, pick(f, f->queues))[pick(f, STRIDE)] ^= (uint8_t)(1u << pick(f, 8));
    else if (what < 6)
        clock_step(&f->m->clock, &f->m->timers, pick(f, 4) ? pick(f, 300000) : pick(f, 2000000000));
    else if (f->is_rng)
        random_request(f);
    else if (what < 8)
        plug_or_unplug(f, pick(f, PORTS));
    else if (what < 16)
        chr_news(f);
    else if (what < 22)
        message(f, pick(f, PORTS + 1), pick(f, 9), pick(f, 4) ? 1 : 0);
    else if (what == 22)
        wr(f, 0x2000 + pick(f, 12), (uint32_t)r64(f), 1u << pick(f, 3));
    else
        random_request(f);
}

static bool first_used(struct fuzz *f, unsigned q)
{
    return f->packed ? is_used(f, q, 0) : ldl16(ring(f, q) + DEVICE + 2) > 0;
}

static void serves_channel(struct fuzz *f)
{
    uint64_t taken;

    while (!f->chr.front || machine_device_by_id(f->m, "p1") != f->chr.front) {
        for (unsigned n = 0; n < PORTS; n++) {
            char id[3] = { 'p', (char)('0' + n), 0 };

            if (machine_device_by_id(f->m, id))
                plug_or_unplug(f, n);
        }
        plug_or_unplug(f, 1);
    }
    bring_up(f, 0);
    message(f, 0, DEVICE_READY, 1);
    message(f, 1, PORT_OPEN, 1);
    taken = f->taken;
    request(f, PORT1_TX, 1, DATA, 5000, 0);
    kick(f, PORT1_TX);
    if (f->taken != taken + 5000 || !first_used(f, PORT1_TX))
        die("a channel does not take what it is sent");
    request(f, PORT1_RX, 1, DATA, 5000, WRITE);
    kick(f, PORT1_RX);
    speak(f, 100);
    if (!first_used(f, PORT1_RX) || memcmp(f->m->ram + DATA, "aaaa", 4))
        die("a channel does not give what it has");
    run.shown[2] += 2;
    run.shown[3] += f->taken;
}

static void serves_bytes(struct fuzz *f)
{
    bring_up(f, 0);
    request(f, 0, 1, DATA, 64, WRITE);
    kick(f, 0);
    if (!first_used(f, 0))
        die("a request for random bytes is not filled");
    ++run.shown[2];
}

static void one(uint64_t seed)
{
    struct fuzz f = { .rng = seed, .is_rng = seed % 4 == 3, .packed = seed % 8 >= 4 };
    struct user_prop p[] = { { "addr", "4" }, { "packed", f.packed ? "on" : "off" } };
    struct err e = { "" };

    alarm(CASE_SECONDS);
    f.queues = f.is_rng ? 1 : QUEUES;
    f.m = fuzz_machine("fuzz-vser", RAM_BYTES);
    f.chr = (struct chardev){ .label = "c", .write = chr_write, .poll_input = chr_poll };
    f.m->chars = &chars;
    f.m->chars_opaque = &f.chr;
    if (!user_device_add(f.m, user_device_find(f.is_rng ? "virtio-rng-pci" : "virtio-serial-pci"), "v", p, 2, &e))
        die(e.msg);
    machine_reset(f.m);
    start(&f, 0);
    for (unsigned i = 0; i < OPS; i++)
        one_op(&f);
    f.reliable = true;
    if (f.is_rng)
        serves_bytes(&f);
    else
        serves_channel(&f);
    machine_free(f.m);
}

int main(int argc, char **argv)
{
    int ret;

    run = (struct fuzz_run){ .name = "fuzz-vser", .one = one, .count = 40, .per_child = PER_CHILD,
                             .shown = fuzz_shared() };
    ret = fuzz_main(&run, argc, argv);
    printf("fuzz-vser: %llu requests, %llu bytes taken, %llu proper requests served\n", (unsigned long long)run.shown[1],
           (unsigned long long)run.shown[3], (unsigned long long)run.shown[2]);
    return ret;
}
