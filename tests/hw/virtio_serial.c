/* virtio_serial.c - consoles and channels as a guest's driver and the back ends' other sides see them */
#include "hw/user-devices.h"
#include "hw/virtio/virtio-serial.h"
#include "tests/hw/virtq.h"

#define CTL        0x30000          /* buffers for messages: 64 bytes each, VQ_SIZE of them */
#define CTL_BYTES  64
#define MSG        0x31000          /* the guest's messages */
#define BUF        0x40000
#define QUEUES     12               /* ports 0 to 4 */
#define SECOND     1000000000ll

enum { PORT0_RX, PORT0_TX, CTL_RX, CTL_TX, PORT1_RX, PORT1_TX, PORT2_RX, PORT2_TX };
enum { MULTIPORT = 1, EMERG = 2 };
enum { DEVICE_READY, DEVICE_ADD, DEVICE_REMOVE, PORT_READY, CONSOLE_PORT, RESIZE, PORT_OPEN, PORT_NAME };

/* ---- back ends --------------------------------------------------------------------------- */

struct toy {
    struct chardev c;
    const char *id;
    bool used, open;
    int room;                       /* bytes that write() still takes */
    uint8_t out[65536];
    int n_out;
    uint64_t written;               /* in all; beyond @out nothing is kept */
    const char *in;                 /* what the other side has said and nobody has taken */
};

static struct toy toys[3];

static int toy_write(struct chardev *c, const uint8_t *buf, int len)
{
    struct toy *t = (struct toy *)c;

    len = MIN(len, t->room);
    t->room -= len;
    t->written += (uint64_t)len;
    for (int i = 0; i < len && t->n_out < (int)sizeof t->out; i++)
        t->out[t->n_out++] = buf[i];
    return len;
}

static void toy_poll(struct chardev *c)
{
    struct toy *t = (struct toy *)c;
    int n;

    while (t->in && *t->in && c->can_receive && (n = MIN((int)strlen(t->in), c->can_receive(c->front))) > 0) {
        t->in += n;
        c->receive(c->front, (const uint8_t *)t->in - n, n);
    }
}

static struct chardev *toy_claim(void *opaque, const char *id, struct err *e)
{
    for (unsigned i = 0; i < ARRAY_SIZE(toys); i++)
        if (!strcmp(toys[i].id, id) && !toys[i].used) {
            toys[i].used = true;
            return &toys[i].c;
        }
    err_set(e, -ENODEV, "no '%s'", id);
    return NULL;
}

static void toy_release(void *opaque, struct chardev *c)
{
    cr_assert_null(c->receive);
    ((struct toy *)c)->used = false;
}

static bool toy_is_open(const struct chardev *c)
{
    return ((const struct toy *)c)->open;
}

static const struct machine_chars chars = { toy_claim, toy_release, toy_is_open };

static void says(struct toy *t, const char *text)
{
    t->in = text;
    t->c.poll_input(&t->c);
}

static void opens(struct toy *t, bool open)
{
    t->open = open;
    t->c.event(t->c.front, open ? CHR_EVENT_OPENED : CHR_EVENT_CLOSED);
}

/* ---- the machine ---------------------------------------------------------------------------- */

struct told {
    unsigned n;
    char data[64];                  /* of the last event */
};

static void on_event(void *opaque, const char *name, const char *data)
{
    struct told *t = opaque;

    cr_assert_str_eq(name, "VSERPORT_CHANGE");
    snprintf(t->data, sizeof t->data, "%s", data);
    t->n++;
}

static struct device *try_plug(struct vdriver *g, const char *type, const char *id, const char *props, struct err *e)
{
    struct user_prop p[4];
    char *text = xstrdup(props), *rest = text, *word;
    struct device *d;
    size_t n = 0;

    while ((word = strsep(&rest, ",")))
        if (*word) {
            p[n].name = strsep(&word, "=");
            p[n++].val = word;
        }
    d = user_device_plug(g->r.m, user_device_find(type), id, p, n, e);
    free(text);
    return d;
}

static struct device *plug(struct vdriver *g, const char *type, const char *id, const char *props)
{
    struct err e = { "" };
    struct device *d = try_plug(g, type, id, props, &e);

    cr_assert_not_null(d, "%s", e.msg);
    return d;
}

static void start(struct vdriver *g, const char *const *props)
{
    static const char *const ids[] = { "c0", "c1", "c2" };

    for (unsigned i = 0; i < ARRAY_SIZE(toys); i++)
        toys[i] = (struct toy){ .c = { .label = ids[i], .write = toy_write, .poll_input = toy_poll },
                                .id = ids[i], .room = 1 << 30 };
    vd_start(g, &virtio_serial_pci_type, props);
    g->r.m->chars = &chars;
}

/* ---- the driver ------------------------------------------------------------------------------- */

static void give_control(struct vdriver *g, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        vd_add(g, CTL_RX, CTL + g->avail[CTL_RX] % VQ_SIZE * CTL_BYTES, CTL_BYTES, VQ_WRITE);
    vd_kick(g, CTL_RX);
}

static void drive(struct vdriver *g)
{
    vd_drive(g, BIT(MULTIPORT) | BIT(EMERG), QUEUES);
    give_control(g, VQ_SIZE);
}

static void send(struct vdriver *g, unsigned port, unsigned event, unsigned value)
{
    uint8_t *m = g->r.m->ram + MSG;

    stl32(m, port);
    stl16(m + 4, event);
    stl16(m + 6, value);
    vd_give(g, CTL_TX, MSG, 8, 0);
}

/* The next message is this one; with its buffer the driver can be told again. */
static void expect_text(struct vdriver *g, unsigned port, unsigned event, unsigned value, const char *text)
{
    const uint8_t *m = g->r.m->ram + CTL + g->seen[CTL_RX] % VQ_SIZE * CTL_BYTES;
    int len = vd_next(g, CTL_RX);

    cr_assert_eq(len, 8 + (int)strlen(text), "event %u of port %u: %d bytes", event, port, len);
    cr_assert_eq(ldl32(m), port, "event %u: port %u, not %u", event, ldl32(m), port);
    cr_assert_eq(ldl16(m + 4), event, "event %u, not %u", ldl16(m + 4), event);
    cr_assert_eq(ldl16(m + 6), value);
    cr_assert_eq(memcmp(m + 8, text, strlen(text)), 0);
    give_control(g, 1);
}

static void expect(struct vdriver *g, unsigned port, unsigned event, unsigned value)
{
    expect_text(g, port, event, value, "");
}

static void expect_nothing(struct vdriver *g)
{
    cr_assert_eq(vd_next(g, CTL_RX), -1);
}

/* Port 1 is a channel at c1, and open on both sides. */
static struct device *channel(struct vdriver *g)
{
    struct device *d;

    start(g, NULL);
    toys[1].open = true;
    d = plug(g, "virtserialport", "ch", "chardev=c1,name=org.x.0,nr=1");
    drive(g);
    send(g, 0xffffffff, DEVICE_READY, 1);
    expect(g, 1, DEVICE_ADD, 1);
    send(g, 1, PORT_READY, 1);
    expect_text(g, 1, PORT_NAME, 1, "org.x.0");
    expect(g, 1, PORT_OPEN, 1);
    send(g, 1, PORT_OPEN, 1);
    return d;
}

static void put(struct vdriver *g, const char *text)
{
    memcpy(g->r.m->ram + BUF, text, strlen(text));
    vd_give(g, PORT1_TX, BUF, (uint32_t)strlen(text), 0);
}

static void expect_out(struct toy *t, const char *text)
{
    cr_assert_eq(t->n_out, (int)strlen(text), "%d bytes", t->n_out);
    cr_assert_eq(memcmp(t->out, text, strlen(text)), 0);
}

/* ---- what the guest is told ---------------------------------------------------------------------- */

Test(virtio_serial, tells_what_ports_there_are)
{
    struct vdriver g;

    start(&g, NULL);
    plug(&g, "virtconsole", NULL, "chardev=c0");
    toys[1].open = true;
    plug(&g, "virtserialport", "a", "chardev=c1,name=org.x.0");
    plug(&g, "virtserialport", "b", "chardev=c2,nr=3");
    drive(&g);
    cr_assert_eq(vd_rd(&g, VQ_CONFIG + 4, 4), 31);
    expect_nothing(&g);
    send(&g, 0, DEVICE_READY, 0);
    expect_nothing(&g);
    send(&g, 0, DEVICE_READY, 1);
    expect(&g, 0, DEVICE_ADD, 1);
    expect(&g, 1, DEVICE_ADD, 1);
    expect(&g, 3, DEVICE_ADD, 1);
    expect_nothing(&g);
    send(&g, 0, PORT_READY, 1);
    expect(&g, 0, CONSOLE_PORT, 1);
    expect(&g, 0, PORT_OPEN, 1);              /* a console always is, whoever looks */
    send(&g, 3, PORT_READY, 1);
    expect_nothing(&g);
    send(&g, 1, PORT_READY, 1);
    expect_text(&g, 1, PORT_NAME, 1, "org.x.0");
    expect(&g, 1, PORT_OPEN, 1);
    expect_nothing(&g);
    rig_free(&g.r);
}

Test(virtio_serial, tells_when_there_is_room_to)
{
    struct vdriver g;
    const uint8_t *m;

    channel(&g);
    while (vd_used(&g, CTL_RX) != g.avail[CTL_RX]) {     /* until the driver has no buffer left */
        opens(&toys[1], false);
        opens(&toys[1], true);
    }
    for (unsigned i = 0; i < 3; i++) {                   /* only the last end and beginning are news then */
        opens(&toys[1], false);
        opens(&toys[1], true);
    }
    while (g.seen[CTL_RX] != vd_used(&g, CTL_RX))
        vd_next(&g, CTL_RX);
    give_control(&g, 3);
    cr_assert_eq((uint16_t)(vd_used(&g, CTL_RX) - g.seen[CTL_RX]), 2);
    for (unsigned value = 0; value < 2; value++) {
        m = g.r.m->ram + CTL + g.seen[CTL_RX] % VQ_SIZE * CTL_BYTES;
        cr_assert_eq(vd_next(&g, CTL_RX), 8);
        cr_assert_eq(ldl16(m + 4), PORT_OPEN);
        cr_assert_eq(ldl16(m + 6), value);
    }
    rig_free(&g.r);
}

Test(virtio_serial, tells_who_comes_and_goes_at_the_other_side)
{
    struct vdriver g;

    channel(&g);
    opens(&toys[1], false);
    expect(&g, 1, PORT_OPEN, 0);
    opens(&toys[1], false);
    expect_nothing(&g);
    opens(&toys[1], true);
    expect(&g, 1, PORT_OPEN, 1);
    plug(&g, "virtconsole", NULL, "chardev=c0");
    expect(&g, 0, DEVICE_ADD, 1);
    send(&g, 0, PORT_READY, 1);
    expect(&g, 0, CONSOLE_PORT, 1);
    expect(&g, 0, PORT_OPEN, 1);
    opens(&toys[0], true);
    opens(&toys[0], false);
    expect_nothing(&g);
    rig_free(&g.r);
}

/* ---- bytes ------------------------------------------------------------------------------------------ */

Test(virtio_serial, takes_what_the_guest_sends)
{
    struct vdriver g;

    channel(&g);
    put(&g, "hello ");
    cr_assert_eq(vd_next(&g, PORT1_TX), 0);
    put(&g, "world");
    expect_out(&toys[1], "hello world");
    vd_give(&g, PORT1_TX, BUF, 0, 0);               /* nothing at all */
    vd_give(&g, PORT1_TX, BUF, 16, VQ_WRITE);       /* nothing to read */
    cr_assert_eq(vd_used(&g, PORT1_TX), 4);
    expect_out(&toys[1], "hello world");
    rig_free(&g.r);
}

Test(virtio_serial, keeps_what_the_back_end_cannot_take)
{
    struct vdriver g;

    channel(&g);
    toys[1].room = 3;
    put(&g, "hello ");
    cr_assert_eq(vd_next(&g, PORT1_TX), -1);
    memcpy(g.r.m->ram + BUF + 16, "world", 5);
    vd_give(&g, PORT1_TX, BUF + 16, 5, 0);
    expect_out(&toys[1], "hel");
    toys[1].room = 2;
    toys[1].c.can_write(toys[1].c.front);
    expect_out(&toys[1], "hello");
    cr_assert_eq(vd_used(&g, PORT1_TX), 0);
    toys[1].room = 100;
    vd_kick(&g, PORT1_TX);                          /* the guest may ask, too */
    expect_out(&toys[1], "hello world");
    cr_assert_eq(vd_used(&g, PORT1_TX), 2);
    toys[1].c.can_write(toys[1].c.front);
    expect_out(&toys[1], "hello world");
    rig_free(&g.r);
}

Test(virtio_serial, sends_much_in_rounds)
{
    struct vdriver g;

    channel(&g);
    for (unsigned i = 0; i < 6; i++)
        vd_add(&g, PORT1_TX, BUF, 0x60000, 0);
    vd_kick(&g, PORT1_TX);
    cr_assert_geq(toys[1].written, VSER_ROUND_BYTES);
    cr_assert_lt(toys[1].written, 6 * 0x60000);
    cr_assert_lt(vd_used(&g, PORT1_TX), 6);
    vd_step(&g, SECOND);
    cr_assert_eq(toys[1].written, 6 * 0x60000);
    cr_assert_eq(vd_used(&g, PORT1_TX), 6);
    rig_free(&g.r);
}

Test(virtio_serial, gives_the_guest_what_it_has_room_for)
{
    struct vdriver g;

    channel(&g);
    says(&toys[1], "abcdefghij");
    cr_assert_str_eq(toys[1].in, "abcdefghij");      /* it waits there */
    vd_give(&g, PORT1_RX, BUF, 4, VQ_WRITE);
    cr_assert_eq(vd_next(&g, PORT1_RX), 4);
    cr_assert_str_eq(toys[1].in, "efghij");
    vd_add(&g, PORT1_RX, BUF + 4, 0, VQ_WRITE);       /* no room at all */
    vd_add(&g, PORT1_RX, BUF + 4, 3, 0);              /* none that is ours */
    vd_add(&g, PORT1_RX, BUF + 4, 100, VQ_WRITE);
    vd_kick(&g, PORT1_RX);
    cr_assert_eq(vd_next(&g, PORT1_RX), 0);
    cr_assert_eq(vd_next(&g, PORT1_RX), 0);
    cr_assert_eq(vd_next(&g, PORT1_RX), 6);
    cr_assert_eq(memcmp(g.r.m->ram + BUF, "abcdefghij", 10), 0);
    cr_assert_str_empty(toys[1].in);
    rig_free(&g.r);
}

Test(virtio_serial, leaves_buffers_to_a_guest_that_takes_them_back)
{
    struct vdriver g;

    channel(&g);
    vd_give(&g, PORT1_RX, BUF, 4, VQ_WRITE);
    vd_give(&g, PORT1_RX, BUF, 4, VQ_WRITE);
    cr_assert_eq(vd_used(&g, PORT1_RX), 0);
    g.avail[PORT1_RX] = 0;                            /* as a driver that removes a port does */
    stl16(vd_ring(&g, PORT1_RX) + 0x402, 0);
    says(&toys[1], "abc");
    cr_assert_eq(vd_used(&g, PORT1_RX), 0);
    cr_assert_str_eq(toys[1].in, "abc");
    vd_give(&g, PORT1_RX, BUF + 64, 4, VQ_WRITE);
    cr_assert_eq(vd_next(&g, PORT1_RX), 3);
    cr_assert_eq(vd_rd(&g, 0x14, 1), 15);             /* nothing is broken */
    rig_free(&g.r);
}

Test(virtio_serial, holds_input_back_while_the_guest_has_it_closed)
{
    struct vdriver g;

    channel(&g);
    cr_assert(toys[1].c.front_open(toys[1].c.front));
    vd_give(&g, PORT1_RX, BUF, 100, VQ_WRITE);
    send(&g, 1, PORT_OPEN, 0);
    cr_assert_not(toys[1].c.front_open(toys[1].c.front));
    says(&toys[1], "abc");
    cr_assert_eq(vd_next(&g, PORT1_RX), -1);
    send(&g, 1, PORT_OPEN, 1);
    cr_assert_eq(vd_next(&g, PORT1_RX), 3);
    rig_free(&g.r);
}

Test(virtio_serial, without_ports_there_is_one_console)
{
    static const char *const one[] = { "max_ports", "1", NULL };
    struct vdriver g;

    start(&g, one);
    plug(&g, "virtconsole", NULL, "chardev=c0");
    toys[0].in = "abc";
    vd_drive(&g, BIT(MULTIPORT), 2);
    cr_assert_eq(vd_rd(&g, 0x12, 2), 2);
    vd_wr(&g, 0x08, 0, 4);
    cr_assert_not(vd_rd(&g, 0x0c, 4) & BIT(MULTIPORT));
    memcpy(g.r.m->ram + BUF, "out", 3);
    vd_give(&g, PORT0_TX, BUF, 3, 0);
    expect_out(&toys[0], "out");
    vd_give(&g, PORT0_RX, BUF, 100, VQ_WRITE);
    cr_assert_eq(vd_next(&g, PORT0_RX), 3);
    rig_free(&g.r);
    start(&g, NULL);                                  /* the same by the driver's choice */
    plug(&g, "virtconsole", NULL, "chardev=c0");
    plug(&g, "virtserialport", NULL, "chardev=c1");
    vd_drive(&g, 0, QUEUES);
    vd_give(&g, PORT0_TX, BUF, 3, 0);
    cr_assert_eq(toys[0].n_out, 3);
    send(&g, 0, DEVICE_READY, 1);
    vd_give(&g, PORT1_TX, BUF, 3, 0);
    cr_assert_eq(toys[1].n_out, 0);
    cr_assert_eq(vd_next(&g, CTL_TX), -1);
    rig_free(&g.r);
}

Test(virtio_serial, prints_for_a_guest_without_driver)
{
    static const char *const off[] = { "emergency-write", "off", NULL };
    struct vdriver g;

    for (unsigned on = 0; on < 2; on++) {
        start(&g, on ? NULL : off);
        plug(&g, "virtserialport", NULL, "chardev=c1");
        plug(&g, "virtconsole", NULL, "chardev=c0");
        cfg_wr(g.r.m, VQ_DEV, PCI_BAR0 + 16, VQ_MODERN, 4);
        cfg_wr(g.r.m, VQ_DEV, PCI_COMMAND, 7, 2);
        vd_wr(&g, VQ_CONFIG + 8, 'x', 4);
        vd_wr(&g, VQ_CONFIG, 80, 2);
        vd_wr(&g, VQ_CONFIG + 8, 'y', 4);
        expect_out(&toys[0], on ? "xy" : "");
        cr_assert_eq(toys[1].n_out, 0);
        rig_free(&g.r);
    }
}

/* ---- programs ------------------------------------------------------------------------------------------ */

Test(virtio_serial, programs_hear_of_the_guests_side)
{
    struct told told = { 0, "" };
    struct vdriver g;

    start(&g, NULL);
    g.r.m->event = on_event;
    g.r.m->event_opaque = &told;
    plug(&g, "virtserialport", "ch", "chardev=c1");
    plug(&g, "virtserialport", NULL, "chardev=c2");
    drive(&g);
    send(&g, 0, DEVICE_READY, 1);
    send(&g, 2, PORT_OPEN, 1);                       /* it has no name */
    cr_assert_eq(told.n, 0);
    send(&g, 1, PORT_OPEN, 1);
    cr_assert_eq(told.n, 1);
    cr_assert_str_eq(told.data, "{\"id\": \"ch\", \"open\": true}");
    send(&g, 1, PORT_OPEN, 1);
    send(&g, 1, PORT_OPEN, 0);
    send(&g, 1, PORT_OPEN, 1);
    send(&g, 1, PORT_OPEN, 0);
    cr_assert_eq(told.n, 1);                         /* one a second */
    vd_step(&g, SECOND);
    cr_assert_eq(told.n, 2);
    cr_assert_str_eq(told.data, "{\"id\": \"ch\", \"open\": false}");
    vd_step(&g, SECOND);
    send(&g, 1, PORT_OPEN, 1);
    vd_step(&g, SECOND);
    vd_wr(&g, 0x14, 0, 1);                           /* a reset closes */
    cr_assert_eq(told.n, 4);
    cr_assert_str_eq(told.data, "{\"id\": \"ch\", \"open\": false}");
    g.r.m->event = NULL;
    rig_free(&g.r);
}

/* ---- coming and going ------------------------------------------------------------------------------------- */

Test(virtio_serial, ports_come_and_go)
{
    struct vdriver g;
    struct device *d = channel(&g);
    struct err e = { "" };

    toys[1].room = 2;
    put(&g, "hello");
    cr_assert_eq(vd_used(&g, PORT1_TX), 0);
    cr_assert_eq(user_device_unplug(d, &e), 0);
    cr_assert_eq(vd_next(&g, PORT1_TX), 0);           /* the guest has its request back */
    expect(&g, 1, DEVICE_REMOVE, 1);
    cr_assert_not(toys[1].used);
    put(&g, "nobody");                                /* a port that is not there */
    cr_assert_eq(vd_next(&g, PORT1_TX), 0);
    vd_give(&g, PORT1_RX, BUF, 10, VQ_WRITE);
    cr_assert_eq(vd_next(&g, PORT1_RX), -1);
    expect_nothing(&g);
    d = plug(&g, "virtserialport", "ch", "chardev=c1,nr=1");
    expect(&g, 1, DEVICE_ADD, 1);
    send(&g, 1, PORT_READY, 1);
    expect(&g, 1, PORT_OPEN, 1);
    send(&g, 1, PORT_OPEN, 1);
    says(&toys[1], "abc");
    cr_assert_eq(vd_next(&g, PORT1_RX), 3);
    while (vd_used(&g, CTL_RX) != g.avail[CTL_RX]) {
        opens(&toys[1], false);
        opens(&toys[1], true);
    }
    cr_assert_eq(user_device_unplug(d, &e), 0);       /* and cannot be told */
    plug(&g, "virtserialport", "ch", "chardev=c1,nr=1");
    while (g.seen[CTL_RX] != vd_used(&g, CTL_RX))
        vd_next(&g, CTL_RX);
    give_control(&g, 2);
    expect(&g, 1, DEVICE_REMOVE, 1);
    expect(&g, 1, DEVICE_ADD, 1);
    rig_free(&g.r);
}

Test(virtio_serial, a_port_that_was_never_told_of_goes_unnoticed)
{
    struct vdriver g;
    struct err e = { "" };
    struct device *d;

    start(&g, NULL);
    d = plug(&g, "virtserialport", "ch", "chardev=c1");
    drive(&g);
    cr_assert_eq(user_device_unplug(d, &e), 0);
    d = plug(&g, "virtserialport", "ch", "chardev=c1");
    send(&g, 0, DEVICE_READY, 1);
    expect(&g, 1, DEVICE_ADD, 1);
    expect_nothing(&g);
    rig_free(&g.r);
}

Test(virtio_serial, ports_go_with_their_controller)
{
    struct vdriver g;

    channel(&g);
    toys[1].room = 2;
    put(&g, "hello");
    g.d->gone = true;
    machine_device_by_id(g.r.m, "ch")->gone = true;   /* both at once: each goes once */
    machine_remove_gone(g.r.m);
    cr_assert_null(machine_device_by_id(g.r.m, "ch"));
    cr_assert_null(machine_find_device(g.r.m, "virtio-serial-pci"));
    cr_assert_not(toys[1].used);
    rig_free(&g.r);
}

Test(virtio_serial, a_reset_forgets_what_was_under_way)
{
    struct vdriver g;

    channel(&g);
    toys[1].room = 2;
    put(&g, "hello");
    vd_give(&g, PORT1_RX, BUF, 10, VQ_WRITE);
    machine_reset(g.r.m);
    toys[1].room = 100;
    toys[1].c.can_write(toys[1].c.front);
    says(&toys[1], "abc");
    cr_assert_not(toys[1].c.front_open(toys[1].c.front));
    expect_out(&toys[1], "he");
    drive(&g);
    cr_assert_eq(vd_used(&g, PORT1_TX), 0);
    send(&g, 0, DEVICE_READY, 1);
    expect(&g, 1, DEVICE_ADD, 1);
    send(&g, 1, PORT_READY, 1);
    expect_text(&g, 1, PORT_NAME, 1, "org.x.0");
    expect(&g, 1, PORT_OPEN, 1);
    send(&g, 1, PORT_OPEN, 1);
    vd_give(&g, PORT1_RX, BUF, 10, VQ_WRITE);
    cr_assert_eq(vd_next(&g, PORT1_RX), 3);
    put(&g, "again");
    expect_out(&toys[1], "heagain");
    rig_free(&g.r);
}

Test(virtio_serial, refuses_places_that_are_none)
{
    static const struct { const char *type, *props, *why; } wrong[] = {
        { "virtserialport", "nr=0", "nr=0 can only be a virtconsole" },
        { "virtserialport", "nr=4", "ports 0 to 3" },
        { "virtserialport", "nr=2", "nr=2 of 'virtio-serial-bus.0' is taken" },
        { "virtserialport", "bus=vs1.0", "no virtio-serial bus 'vs1.0'" },
        { "virtserialport", "chardev=c9", "no 'c9'" },
        { "virtserialport", "nam=x", "did you mean name" },
    };
    static const char *const props[] = { "max_ports", "4", NULL };
    struct err e = { "" };
    char name[300] = "name=";
    struct vdriver g;

    start(&g, props);
    plug(&g, "virtserialport", NULL, "nr=2,bus=virtio-serial-bus.0");
    for (unsigned i = 0; i < ARRAY_SIZE(wrong); i++) {
        cr_assert_null(try_plug(&g, wrong[i].type, NULL, wrong[i].props, &e));
        cr_assert_not_null(strstr(e.msg, wrong[i].why), "%s", e.msg);
    }
    memset(name + 5, 'x', 256);
    cr_assert_null(try_plug(&g, "virtserialport", NULL, name, &e));
    plug(&g, "virtserialport", NULL, "");
    plug(&g, "virtserialport", NULL, "");
    cr_assert_null(try_plug(&g, "virtserialport", NULL, "", &e));
    cr_assert_not_null(strstr(e.msg, "all 4 ports"), "%s", e.msg);
    plug(&g, "virtconsole", NULL, "");
    for (unsigned i = 0; i < ARRAY_SIZE(toys); i++)
        cr_assert_not(toys[i].used);
    rig_free(&g.r);
}

Test(virtio_serial, survives_messages_that_are_none)
{
    static const struct { unsigned port, event, value; } bad[] = {
        { 7, PORT_READY, 1 }, { 31, PORT_OPEN, 1 }, { 0xffffffff, PORT_OPEN, 1 }, { 0, PORT_OPEN, 1 },
        { 1, 99, 1 }, { 1, PORT_READY, 0 }, { 1, DEVICE_REMOVE, 1 }, { 1, PORT_NAME, 1 },
    };
    struct vdriver g;

    channel(&g);
    for (unsigned i = 0; i < ARRAY_SIZE(bad); i++)
        send(&g, bad[i].port, bad[i].event, bad[i].value);
    vd_give(&g, CTL_TX, MSG, 7, 0);                   /* too short */
    vd_give(&g, CTL_TX, MSG, 8, VQ_WRITE);
    expect_nothing(&g);
    vd_wr(&g, 0x14, 0, 1);
    vd_drive(&g, BIT(MULTIPORT), QUEUES);
    send(&g, 0, DEVICE_READY, 1);
    vd_give(&g, CTL_RX, CTL, 3, VQ_WRITE);            /* a buffer for less than a message */
    cr_assert_eq(vd_next(&g, CTL_RX), 3);
    cr_assert_eq(vd_rd(&g, 0x14, 1), 15);
    rig_free(&g.r);
}
