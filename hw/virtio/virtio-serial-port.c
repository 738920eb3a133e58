/*
 * virtio-serial-port.c - a port: bytes between two queues and a character back end
 *
 * Source: VIRTIO 1.2, 5.3.6.
 */
#include "hw/outside.h"
#include "hw/virtio/virtio-serial.h"

#define CHUNK         4096
#define REQUEST_COST  512            /* of a round's bytes, beside its own */
#define ROUND_GAP_NS  100000
#define EVENT_GAP_NS  1000000000     /* between two VSERPORT_CHANGE */

static int64_t now_ns(const struct vser_port *p)
{
    return clock_now_ns(&p->dev.machine->clock);
}

/* ---- from the guest to the back end ---------------------------------------------------- */

/* How many of @len bytes the back end takes now; without one they are gone. */
static int take(struct vser_port *p, const uint8_t *buf, int len)
{
    int n = p->chr ? p->chr->write(p->chr, buf, len) : len;

    n = (int)outside_value(p->dev.machine, OUTSIDE_CHAR, OUTSIDE_TAKEN, (uint64_t)n);
    return MAX(MIN(n, len), 0);
}

/* A part of the request held; false: the back end is full, and says when it is not any more. */
static bool send_part(struct vser_port *p, uint64_t *budget)
{
    uint8_t buf[CHUNK];
    int len = (int)sg_get(&p->out.out, p->out_done, buf, sizeof buf), n = len ? take(p, buf, len) : 0;

    p->out_done += (uint64_t)n;
    *budget -= MIN(*budget, (uint64_t)n);
    return n == len;
}

static void give_back(struct vser_port *p)
{
    p->out_held = false;
    virtq_push(&p->out, 0);
    virtq_notify(p->out.q);
}

void vser_port_send(struct vser_port *p)
{
    uint64_t budget = VSER_ROUND_BYTES;

    while (budget) {
        if (!p->out_held && !virtq_pop(vser_tx(p), &p->out))
            return;
        if (!p->out_held) {
            p->out_held = true;
            p->out_done = 0;
            budget -= MIN(budget, (uint64_t)REQUEST_COST);
        }
        if (!send_part(p, &budget))
            return;
        if (p->out_done == p->out.out.bytes)
            give_back(p);
    }
    timer_mod(&p->more, now_ns(p) + ROUND_GAP_NS);
}

static void next_round(void *opaque)
{
    vser_port_send(opaque);
}

/* ---- from the back end to the guest ------------------------------------------------------ */

static bool guest_listens(const struct vser_port *p)
{
    return vser_has_ports(p->bus) ? p->guest_open : p->nr == 0;
}

/* The guest's next buffer is looked at and left where it is: a driver that closes a port takes its buffers back. */
static int can_receive(void *front)
{
    struct vser_port *p = front;
    struct virtq *q = vser_rx(p);
    struct virtq_elem e;

    if (!guest_listens(p))
        return 0;
    for (unsigned n = 0; n < q->size && virtq_pop(q, &e); n++) {
        uint64_t room = MIN(e.in.bytes, (uint64_t)CHUNK);

        if (room) {
            virtq_unpop(&e);
            return (int)room - (int)outside_waiting(p->dev.machine, p);
        }
        virtq_push(&e, 0);
        virtq_notify(q);
    }
    return 0;
}

/* What has no room now is lost: the guest closed the port or took buffers back since the back end asked. */
static void bytes_arrive(void *target, const struct outside_event *ev)
{
    struct vser_port *p = target;
    struct virtq *q = vser_rx(p);
    struct virtq_elem e;
    size_t at = 0;

    for (unsigned n = 0; n < q->size && at < ev->len && guest_listens(p) && virtq_pop(q, &e); n++) {
        uint64_t put = sg_put(&e.in, 0, (const uint8_t *)ev->data + at, ev->len - at);

        virtq_push(&e, (uint32_t)put);
        virtq_notify(q);
        at += put;
    }
    if (at < ev->len)
        log_ev(LOG_PCI, "virtio-serial port=%d lost=%u", p->nr, (unsigned)(ev->len - at));
    if (outside_counted(p->dev.machine))       /* it was asked while these were on their way */
        vser_port_poll(p);
}

void vser_port_poll(struct vser_port *p)
{
    if (p->chr && p->chr->poll_input)
        p->chr->poll_input(p->chr);
}

/* ---- open and closed ------------------------------------------------------------------------ */

static void send_event(void *opaque)
{
    struct vser_port *p = opaque;

    p->event_at_ns = now_ns(p) + EVENT_GAP_NS;
    machine_event(p->dev.machine, "VSERPORT_CHANGE", "{\"id\": \"%s\", \"open\": %s}", p->dev.id,
                  p->guest_open ? "true" : "false");
}

/* The last of many changes is always told. Who left the other end while it was open is noticed when it closes. */
void vser_port_guest_open(struct vser_port *p, bool open)
{
    if (p->guest_open == open)
        return;
    p->guest_open = open;
    if (p->dev.id && now_ns(p) >= p->event_at_ns)
        send_event(p);
    else if (p->dev.id)
        timer_mod(&p->event, p->event_at_ns);
    vser_port_poll(p);
}

/* An end that the guest has not heard of yet is told before the new beginning. */
static void host_opens(struct vser_port *p, bool open)
{
    if (p->console || p->host_open == open)
        return;
    p->host_open = open;
    if (!p->ready)
        return;
    if (!open && p->notes & BIT(VSER_OPEN))
        p->notes &= (uint8_t)~BIT(VSER_OPEN);
    else
        vser_note(p, open ? VSER_OPEN : VSER_CLOSE);
}

void vser_port_reset(struct vser_port *p)
{
    if (p->out_held)
        virtq_discard(&p->out);
    p->out_held = p->ready = false;
    p->notes = 0;
    timer_del(&p->more);
    outside_forget(p->dev.machine, p);
    vser_port_guest_open(p, false);
}

/* ---- front end of the character device -------------------------------------------------------- */

static void room_comes(void *target, const struct outside_event *ev)
{
    struct vser_port *p = target;

    if (p->out_held)
        vser_port_send(p);
}

static void open_comes(void *target, const struct outside_event *ev)
{
    host_opens(target, ev->arg[1] == CHR_EVENT_OPENED);
}

static void post(struct vser_port *p, struct outside_event ev,
                 void (*happen)(void *target, const struct outside_event *ev))
{
    ev.kind = OUTSIDE_CHAR;
    ev.source = p->chr->label;
    (void)outside_post(p->dev.machine, &ev, happen, p);
}

static void receive(void *front, const uint8_t *buf, int len)
{
    post(front, (struct outside_event){ .arg = { OUTSIDE_BYTES }, .data = buf, .len = (size_t)len }, bytes_arrive);
}

static void can_write(void *front)
{
    post(front, (struct outside_event){ .arg = { OUTSIDE_ROOM } }, room_comes);
}

static void chr_event(void *front, int event)
{
    if (event == CHR_EVENT_OPENED || event == CHR_EVENT_CLOSED)
        post(front, (struct outside_event){ .arg = { OUTSIDE_EVENT, event } }, open_comes);
}

static bool front_open(void *front)
{
    const struct vser_port *p = front;

    return p->console || p->guest_open;
}

static int claim(struct vser_port *p, struct err *e)
{
    struct machine *m = p->dev.machine;
    struct err why = { "" };

    if (!p->chardev_id)
        return 0;
    p->chr = m->chars ? m->chars->claim(m->chars_opaque, p->chardev_id, &why) : NULL;
    if (!p->chr)
        return err_set(e, -EINVAL, "%s: %s", p->dev.type->name, m->chars ? why.msg : "there are no character devices");
    p->chr->can_receive = can_receive;
    p->chr->receive = receive;
    p->chr->can_write = can_write;
    p->chr->event = chr_event;
    p->chr->front_open = front_open;
    p->chr->front = p;
    p->host_open = p->console || m->chars->is_open(p->chr);
    return 0;
}

static void release(struct vser_port *p)
{
    struct machine *m = p->dev.machine;
    struct chardev *c = p->chr;

    outside_forget(m, p);
    p->chr = NULL;
    if (!c)
        return;
    c->can_receive = NULL;
    c->receive = NULL;
    c->can_write = NULL;
    c->event = NULL;
    c->front_open = NULL;
    c->front = NULL;
    m->chars->release(m->chars_opaque, c);
}

/* ---- life ------------------------------------------------------------------------------------- */

static int port_init(struct device *d, struct err *e)
{
    struct vser_port *p = (struct vser_port *)d;
    int ret;

    p->console = d->type == &virtconsole_type;
    p->host_open = p->console;
    if (p->name && strlen(p->name) > VSER_NAME_MAX)
        return err_set(e, -EINVAL, "%s: name= is longer than %u bytes", d->type->name, VSER_NAME_MAX);
    timer_init(&p->more, &d->machine->timers, next_round, p);
    timer_init(&p->event, &d->machine->timers, send_event, p);
    ret = claim(p, e);
    if (ret == 0 && (ret = vser_attach(p, e)) < 0)
        release(p);
    if (ret == 0)
        vser_port_poll(p);
    return ret;
}

static void port_destroy(struct device *d)
{
    struct vser_port *p = (struct vser_port *)d;

    timer_del(&p->more);
    timer_del(&p->event);
    if (p->out_held)
        give_back(p);
    vser_detach(p);
    release(p);
}

static const struct dev_prop port_props[] = {
    PROP(STRING, "bus", struct vser_port, bus_name, NULL, 0, 0, "which bus: ID.0 of a virtio-serial-pci"),
    PROP(STRING, "chardev", struct vser_port, chardev_id, NULL, 0, 0, "id of the -chardev at the other end"),
    PROP(STRING, "name", struct vser_port, name, NULL, 0, 0, "what the guest finds it by, e.g. org.qemu.guest_agent.0"),
    PROP(I32, "nr", struct vser_port, nr, "-1", 0, 0, "number of the port (-1: a free one)"),
    PROP_END
};

static const struct dev_field port_fields[] = {
    FIELD(BOOL, struct vser_port, host_open), FIELD(BOOL, struct vser_port, ready),
    FIELD(BOOL, struct vser_port, guest_open), FIELD(U8, struct vser_port, notes),
    FIELD_END
};

const struct device_type virtconsole_type = {
    .name = "virtconsole", .desc = "terminal of the guest's (hvc0)", .size = sizeof(struct vser_port),
    .init = port_init, .destroy = port_destroy, .fields = port_fields, .props = port_props,
};
const struct device_type virtserialport_type = {
    .name = "virtserialport", .desc = "named channel between guest and host", .size = sizeof(struct vser_port),
    .init = port_init, .destroy = port_destroy, .fields = port_fields, .props = port_props,
};
