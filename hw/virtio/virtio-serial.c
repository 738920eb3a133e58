/*
 * virtio-serial.c - the controller: queues, what is said on the control queues, the bus of ports
 *
 * Queue 0 and 1 are port 0's receive and transmit queues, 2 and 3 the control queues, 2n + 2 and 2n + 3 port n's.
 *
 * Source: VIRTIO 1.2, 5.3.
 */
#include "hw/virtio/virtio-serial.h"

enum { F_SIZE = 0, F_MULTIPORT = 1, F_EMERG_WRITE = 2 };
enum { CFG_COLS = 0, CFG_ROWS = 2, CFG_MAX_PORTS = 4, CFG_EMERG = 8, CFG_BYTES = 12 };
enum { Q_CONTROL_RX = 2, Q_CONTROL_TX = 3, Q_FIRST = 4 };
enum { /* events of a control message, 5.3.6.2 */
    DEVICE_READY, DEVICE_ADD, DEVICE_REMOVE, PORT_READY, CONSOLE_PORT, RESIZE, PORT_OPEN, PORT_NAME,
};

#define CONTROL_BYTES   8u           /* le32 id, le16 event, le16 value */
#define DATA_QUEUE      128
#define CONTROL_QUEUE   32

static struct virtio_serial *serial_of(struct virtio *v)
{
    return container_of(v, struct virtio_serial, vpci.v);
}

/* ---- queues ------------------------------------------------------------------------ */

bool vser_has_ports(const struct virtio_serial *s)
{
    return virtio_has(&s->vpci.v, F_MULTIPORT);
}

static unsigned first_queue(const struct vser_port *p)
{
    return p->nr ? 2u * (unsigned)p->nr + 2 : 0;
}

struct virtq *vser_rx(const struct vser_port *p)
{
    return &p->bus->vpci.v.q[first_queue(p)];
}

struct virtq *vser_tx(const struct vser_port *p)
{
    return &p->bus->vpci.v.q[first_queue(p) + 1];
}

/* A port that is not there takes what it is sent and forgets it. */
static void swallow(struct virtq *q)
{
    struct virtq_elem e;

    for (unsigned n = 0; n < q->size && virtq_pop(q, &e); n++) {
        virtq_push(&e, 0);
        virtq_notify(q);
    }
}

/* ---- to the guest --------------------------------------------------------------------- */

/* One message, followed by @text; false: the guest has no buffer for it now. */
static bool tell(struct virtio_serial *s, unsigned nr, unsigned event, unsigned value, const char *text)
{
    struct virtq *q = &s->vpci.v.q[Q_CONTROL_RX];
    uint8_t m[CONTROL_BYTES + VSER_NAME_MAX];
    size_t len = CONTROL_BYTES + strlen(text);
    struct virtq_elem e;
    uint64_t n;

    stl32(m, nr);
    stl16(m + 4, (uint16_t)event);
    stl16(m + 6, (uint16_t)value);
    memcpy(m + CONTROL_BYTES, text, len - CONTROL_BYTES);
    if (!virtq_pop(q, &e))
        return false;
    n = sg_put(&e.in, 0, m, len);
    if (n < len)
        log_guest(LOG_PCI, "virtio-serial control buffer bytes=%u for %u", (unsigned)n, (unsigned)len);
    virtq_push(&e, (uint32_t)n);
    virtq_notify(q);
    return true;
}

static bool tell_note(struct vser_port *p, enum vser_note note)
{
    struct virtio_serial *s = p->bus;
    unsigned nr = (unsigned)p->nr;

    switch (note) {
    case VSER_ADD:
        return tell(s, nr, DEVICE_ADD, 1, "");
    case VSER_CONSOLE:
        return tell(s, nr, CONSOLE_PORT, 1, "");
    case VSER_NAME:
        return tell(s, nr, PORT_NAME, 1, p->name);
    default:
        return tell(s, nr, PORT_OPEN, note == VSER_OPEN, "");
    }
}

static bool flush_port(struct vser_port *p)
{
    for (unsigned n = 0; n < VSER_NOTES; n++) {
        if (!(p->notes & BIT(n)))
            continue;
        if (!tell_note(p, n))
            return false;
        p->notes &= (uint8_t)~BIT(n);
    }
    return true;
}

/* As much as there are buffers for. A number is free for the next port only after the last one's end. */
static void flush(struct virtio_serial *s)
{
    for (unsigned nr = 0; nr < s->max_ports; nr++) {
        if (s->removed & BIT(nr)) {
            if (!tell(s, nr, DEVICE_REMOVE, 1, ""))
                return;
            s->removed &= ~(uint32_t)BIT(nr);
        }
        if (s->port[nr] && !flush_port(s->port[nr]))
            return;
    }
}

void vser_note(struct vser_port *p, enum vser_note note)
{
    if (!vser_has_ports(p->bus) || !p->bus->driver_ready)
        return;
    p->notes |= (uint8_t)BIT(note);
    flush(p->bus);
}

/* ---- from the guest --------------------------------------------------------------------- */

static void device_ready(struct virtio_serial *s, bool ok)
{
    if (!ok) {
        log_guest(LOG_PCI, "virtio-serial driver gives up");
        return;
    }
    s->driver_ready = true;
    for (unsigned nr = 0; nr < s->max_ports; nr++)
        if (s->port[nr])
            s->port[nr]->notes |= BIT(VSER_ADD);
    flush(s);
}

static void port_ready(struct vser_port *p, bool ok)
{
    if (!ok) {
        log_guest(LOG_PCI, "virtio-serial port=%d refused by the driver", p->nr);
        return;
    }
    p->ready = true;
    if (p->console)
        vser_note(p, VSER_CONSOLE);
    if (p->name && *p->name)
        vser_note(p, VSER_NAME);
    if (p->host_open)
        vser_note(p, VSER_OPEN);
}

static void control(struct virtio_serial *s, const uint8_t m[CONTROL_BYTES])
{
    uint32_t nr = ldl32(m);
    unsigned event = ldl16(m + 4), value = ldl16(m + 6);
    struct vser_port *p = nr < s->max_ports ? s->port[nr] : NULL;

    if (event == DEVICE_READY)
        device_ready(s, value);
    else if (p && event == PORT_READY)
        port_ready(p, value);
    else if (p && event == PORT_OPEN)
        vser_port_guest_open(p, value);
    else
        log_guest(LOG_PCI, "virtio-serial control port=%u event=%u value=%u", nr, event, value);
}

static void take_control(struct virtio_serial *s, struct virtq *q)
{
    uint8_t m[CONTROL_BYTES];
    struct virtq_elem e;

    for (unsigned n = 0; n < q->size && virtq_pop(q, &e); n++) {
        bool whole = sg_get(&e.out, 0, m, sizeof m) == sizeof m;

        virtq_push(&e, 0);
        virtq_notify(q);
        if (whole)
            control(s, m);
        else
            log_guest(LOG_PCI, "virtio-serial control message too short");
    }
}

static void queue_notify(struct virtio *v, struct virtq *q)
{
    struct virtio_serial *s = serial_of(v);
    unsigned nr = q->index < Q_CONTROL_RX ? 0 : q->index / 2 - 1;
    struct vser_port *p = s->port[nr];

    if (q->index >= Q_CONTROL_RX && !vser_has_ports(s))
        log_guest(LOG_PCI, "virtio-serial queue=%u without multiple ports", q->index);
    else if (q->index == Q_CONTROL_RX)
        flush(s);
    else if (q->index == Q_CONTROL_TX)
        take_control(s, q);
    else if (q->index & 1 && p)
        vser_port_send(p);
    else if (q->index & 1)
        swallow(q);
    else if (p)
        vser_port_poll(p);
}

/* ---- configuration ------------------------------------------------------------------------ */

static void get_config(struct virtio *v, uint8_t *c)
{
    stl32(c + CFG_MAX_PORTS, serial_of(v)->max_ports);
}

/* A character for the first console, from a guest that has no queues yet; it waits for nobody. */
static void set_config(struct virtio *v, const uint8_t *c)
{
    struct virtio_serial *s = serial_of(v);
    uint8_t byte = c[CFG_EMERG];

    if (!s->emergency_write || !ldl32(c + CFG_EMERG))
        return;
    for (unsigned nr = 0; nr < s->max_ports; nr++)
        if (s->port[nr] && s->port[nr]->console && s->port[nr]->chr) {
            (void)s->port[nr]->chr->write(s->port[nr]->chr, &byte, 1);
            return;
        }
}

/* Without ports in the plural nothing says that one is open. */
static void driver_ok(struct virtio *v)
{
    struct virtio_serial *s = serial_of(v);

    if (!vser_has_ports(s) && s->port[0])
        vser_port_poll(s->port[0]);
}

static void reset_queues(struct virtio *v)
{
    struct virtio_serial *s = serial_of(v);

    for (unsigned nr = 0; nr < s->max_ports; nr++)
        if (s->port[nr])
            vser_port_reset(s->port[nr]);
    s->driver_ready = false;
    s->removed = 0;
}

static const struct virtio_ops serial_ops = {
    .id = 3, .name = "virtio-serial", .config_len = CFG_BYTES, .get_config = get_config, .set_config = set_config,
    .queue_notify = queue_notify, .driver_ok = driver_ok, .reset = reset_queues,
};

/* ---- the bus -------------------------------------------------------------------------------- */

static bool is_serial(const struct device *d)
{
    return virtio_pci_is(d, &virtio_serial_pci_type);
}

/* Number for @p on @s that is free, -1: there is none. The first console is port 0, which no channel can be. */
static int free_nr(const struct virtio_serial *s, const struct vser_port *p)
{
    for (unsigned nr = p->console ? 0 : 1; nr < s->max_ports; nr++)
        if (!s->port[nr])
            return (int)nr;
    return -1;
}

static int check_nr(const struct virtio_serial *s, const struct vser_port *p, struct err *e)
{
    const char *type = p->dev.type->name;

    if (p->nr < 0)
        return err_set(e, -ENOSPC, "%s: all %u ports of '%s' are taken", type, s->max_ports, s->name);
    if ((uint32_t)p->nr >= s->max_ports)
        return err_set(e, -EINVAL, "%s: nr=%d: '%s' has ports 0 to %u", type, p->nr, s->name, s->max_ports - 1);
    if (!p->nr && !p->console)
        return err_set(e, -EINVAL, "%s: nr=0 can only be a virtconsole", type);
    if (s->port[p->nr])
        return err_set(e, -EBUSY, "%s: nr=%d of '%s' is taken", type, p->nr, s->name);
    return 0;
}

/* By name, else the first with room, else the first. */
static struct virtio_serial *choose_bus(const struct vser_port *p)
{
    struct virtio_serial *first = NULL;

    for (struct device *d = p->dev.machine->devices; d; d = d->next) {
        struct virtio_serial *s = (struct virtio_serial *)d;

        if (!is_serial(d) || d->gone)
            continue;
        if (p->bus_name ? !strcmp(p->bus_name, s->name) : free_nr(s, p) >= 0)
            return s;
        if (!first && !p->bus_name)
            first = s;
    }
    return first;
}

int vser_attach(struct vser_port *p, struct err *e)
{
    struct virtio_serial *s = choose_bus(p);

    if (!s && p->bus_name)
        return err_set(e, -ENODEV, "%s: there is no virtio-serial bus '%s'", p->dev.type->name, p->bus_name);
    if (!s)
        return err_set(e, -ENODEV, "%s: there is no virtio-serial bus: -device virtio-serial-pci makes one",
                       p->dev.type->name);
    if (p->nr < 0)
        p->nr = free_nr(s, p);
    if (check_nr(s, p, e) < 0)
        return -EINVAL;
    p->bus = s;
    s->port[p->nr] = p;
    vser_note(p, VSER_ADD);
    return 0;
}

void vser_detach(struct vser_port *p)
{
    struct virtio_serial *s = p->bus;

    if (!s)
        return;
    s->port[p->nr] = NULL;
    if (vser_has_ports(s) && s->driver_ready && !(p->notes & BIT(VSER_ADD)))
        s->removed |= BIT(p->nr);
    p->bus = NULL;
    flush(s);
}

/* ---- life ------------------------------------------------------------------------------------ */

static void name_bus(struct virtio_serial *s)
{
    const struct device *d = &s->vpci.pci.dev;
    unsigned n = 0;

    for (const struct device *i = d->machine->devices; i; i = i->next)
        n += is_serial(i) && !i->id;
    if (d->id)
        snprintf(s->name, sizeof s->name, "%.76s.0", d->id);
    else
        snprintf(s->name, sizeof s->name, "virtio-serial-bus.%u", n);
}

static int serial_init(struct device *d, struct err *e)
{
    struct virtio_serial *s = (struct virtio_serial *)d;
    static const struct virtio_pci_id id = { 0x1003, 0x078000 };
    bool many = s->max_ports > 1;
    uint64_t features = (many ? BIT(F_MULTIPORT) : 0) | (s->emergency_write ? BIT(F_EMERG_WRITE) : 0);

    name_bus(s);
    if (!s->vpci.vectors)
        s->vpci.vectors = s->max_ports + 1;
    virtio_init(&s->vpci.v, d->machine, &serial_ops, features);
    for (unsigned q = 0; q < (many ? Q_FIRST + 2 * (s->max_ports - 1) : Q_CONTROL_RX); q++)
        virtio_add_queue(&s->vpci.v, q == Q_CONTROL_RX || q == Q_CONTROL_TX ? CONTROL_QUEUE : DATA_QUEUE);
    return virtio_pci_init(&s->vpci, &id, e);
}

static void serial_reset(struct device *d)
{
    virtio_pci_reset(&((struct virtio_serial *)d)->vpci);
}

/* Ports that are still there go with it, when it leaves a machine that runs. */
static void serial_destroy(struct device *d)
{
    struct virtio_serial *s = (struct virtio_serial *)d;

    virtio_reset(&s->vpci.v);
    for (unsigned nr = 0; nr < s->max_ports; nr++)
        if (s->port[nr])
            machine_remove_device(d->machine, &s->port[nr]->dev);
    virtio_pci_destroy(&s->vpci);
}

static const struct dev_prop serial_props[] = {
    VIRTIO_PCI_PROPS(struct virtio_serial, vpci),
    PROP(U32, "max_ports", struct virtio_serial, max_ports, "31", 1, VSER_PORTS_MAX, "how many ports it can have"),
    PROP(BOOL, "emergency-write", struct virtio_serial, emergency_write, "on", 0, 0,
         "the guest can print before it has a driver"),
    PROP_END
};

static const struct dev_field serial_fields[] = {
    VIRTIO_PCI_FIELDS(struct virtio_serial, vpci),
    FIELD(BOOL, struct virtio_serial, driver_ready), FIELD(U32, struct virtio_serial, removed),
    FIELD_END
};

#define SERIAL_TYPE(suffix, how) { \
    .name = "virtio-serial-pci" suffix, .desc = "virtio consoles and channels" how, \
    .size = sizeof(struct virtio_serial), .init = serial_init, .reset = serial_reset, .destroy = serial_destroy, \
    .fields = serial_fields, .props = serial_props }

const struct device_type virtio_serial_pci_type = SERIAL_TYPE("", "");
const struct device_type virtio_serial_pci_transitional_type = SERIAL_TYPE("-transitional", ", with legacy interface");
const struct device_type virtio_serial_pci_non_transitional_type = SERIAL_TYPE("-non-transitional", ", virtio 1 only");
