/*
 * root-port.c - a PCI Express root port whose slot takes and gives cards while the guest runs
 *
 * The slot has an attention button, indicators and a power controller; commands complete at once. A card
 * that comes changes presence and link. One that is to go is asked for with the button; guests wait five
 * seconds for a second thought, let go of the card and switch its power off: then it is off the bus, and
 * the main loop destroys it when no vCPU runs. Error reporting and power management events are not there.
 *
 * Source: PCI Express Base Specification 3.0, 6.7 and 7.8.
 */
#include "hw/pci/msi.h"
#include "hw/pci/root-port.h"
#include "hw/prop.h"

#define CAP_ID_EXPRESS 0x10
#define CAP_BYTES      0x3c
enum { E_CAPS = 2, E_DEV_CAP = 4, E_DEV_CTL = 8, E_LINK_CAP = 0x0c, E_LINK_CTL = 0x10, E_LINK_STA = 0x12,
       E_SLOT_CAP = 0x14, E_SLOT_CTL = 0x18, E_SLOT_STA = 0x1a, E_ROOT_CTL = 0x1c };
enum {
    CAPS_ROOT_PORT = 2 | 4 << 4 | 1 << 8,          /* version 2, with a slot */
    DEV_CAP_ERROR_ROLE = 1 << 15,
    LINK_X1_2500 = 1 | 1 << 4, LINK_CAP_ACTIVE = 1 << 20, LINK_ACTIVE = 1 << 13,
    /* button, power controller, both indicators, hot plug, commands complete at once */
    SLOT_CAP = 1 << 0 | 1 << 1 | 1 << 3 | 1 << 4 | 1 << 6 | 1 << 18, SLOT_CAP_NUMBER_POS = 19,
    /* status; bits 0 to 4 have their enables at the same places of the control register */
    SLOT_BUTTON = 1 << 0, SLOT_PRESENCE_CHANGED = 1 << 3, SLOT_PRESENT = 1 << 6, SLOT_LINK_CHANGED = 1 << 8,
    SLOT_EVENTS = 0x1f | SLOT_LINK_CHANGED,
    SLOT_IRQ = 1 << 5, SLOT_PI = 3 << 8, SLOT_PI_ON = 1 << 8, SLOT_PI_OFF = 3 << 8, SLOT_OFF = 1 << 10,
    SLOT_LINK_ENABLE = 1 << 12, SLOT_CTL_KEPT = 0x17ff,
};

struct root_port {
    struct pci_device pci;
    struct pci_bus bus;
    struct msi msi;
    uint8_t cap;
    uint16_t slot_ctl;           /* as it was before the last write */
    bool irq;                    /* an enabled event is pending */
    bool asked;                  /* the button was pressed for the card to go */
    int32_t addr;
    uint32_t port, chassis, slot;
    bool multifunction;
};

static uint8_t *reg(struct root_port *s, unsigned off)
{
    return s->pci.config + s->cap + off;
}

static struct root_port *port_of(const struct pci_bus *bus)
{
    return (struct root_port *)bus->bridge;
}

static bool occupied(const struct root_port *s)
{
    return s->bus.slots[0] != NULL;
}

/* ---- events ------------------------------------------------------------------------- */

static void update_irq(struct root_port *s)
{
    uint16_t ctl = ldl16(reg(s, E_SLOT_CTL)), sta = ldl16(reg(s, E_SLOT_STA));
    bool pending = (sta & ctl & 0x1f) || ((sta & SLOT_LINK_CHANGED) && (ctl & SLOT_LINK_ENABLE));
    bool on = pending && (ctl & SLOT_IRQ), rises = on && !s->irq;

    s->irq = on;
    pci_irq_set(&s->pci, on);
    if (rises)
        msi_notify(&s->msi, 0);
}

static void slot_event(struct root_port *s, uint16_t what)
{
    log_ev(LOG_PCI, "root-port id=%s slot event=%#x", s->pci.dev.id ? s->pci.dev.id : "", what);
    stl16(reg(s, E_SLOT_STA), ldl16(reg(s, E_SLOT_STA)) | what);
    update_irq(s);
}

/* What the registers say about the card. */
static void note_presence(struct root_port *s)
{
    uint16_t link = ldl16(reg(s, E_LINK_STA)) & ~LINK_ACTIVE, slot = ldl16(reg(s, E_SLOT_STA)) & ~SLOT_PRESENT;

    stl16(reg(s, E_LINK_STA), link | (occupied(s) ? LINK_ACTIVE : 0));
    stl16(reg(s, E_SLOT_STA), slot | (occupied(s) ? SLOT_PRESENT : 0));
}

static void eject(struct root_port *s)
{
    s->asked = false;
    for (unsigned devfn = 0; devfn < ARRAY_SIZE(s->bus.slots); devfn++) {
        struct pci_device *p = s->bus.slots[devfn];

        if (!p)
            continue;
        log_ev(LOG_PCI, "root-port eject device=%s", p->dev.type->name);
        pci_device_hide(p);
        machine_request_remove(s->pci.dev.machine, &p->dev);
    }
    note_presence(s);
}

static void control_written(struct root_port *s)
{
    uint16_t now = ldl16(reg(s, E_SLOT_CTL)), old = s->slot_ctl;

    s->slot_ctl = now;
    if ((now & SLOT_PI) == SLOT_PI_ON && (old & SLOT_PI) != SLOT_PI_ON)
        s->asked = false;                    /* the guest has thought better of it */
    if ((now & SLOT_OFF) && !(old & SLOT_OFF) && s->asked) {
        eject(s);
        slot_event(s, SLOT_PRESENCE_CHANGED | SLOT_LINK_CHANGED);
    }
    update_irq(s);
}

/* ---- the host's side ------------------------------------------------------------------ */

struct pci_bus *root_port_bus(struct machine *m, const char *id)
{
    struct device *d = machine_device_by_id(m, id);

    return d && d->type == &pcie_root_port_type ? &((struct root_port *)d)->bus : NULL;
}

int root_port_check(const struct pci_bus *bus, const char *name, struct err *e)
{
    if (occupied(port_of(bus)))
        return err_set(e, -EBUSY, "%s: the slot of '%s' is taken by %s", name, bus->bridge->dev.id,
                       bus->slots[0]->dev.type->name);
    return 0;
}

void root_port_added(struct pci_device *p)
{
    struct root_port *s = port_of(p->bus);
    bool heard = s->slot_ctl & SLOT_IRQ;

    if (!heard) {                            /* nobody would switch it on */
        s->slot_ctl = SLOT_PI_ON;
        stl16(reg(s, E_SLOT_CTL), s->slot_ctl);
    }
    note_presence(s);
    /* Linux overlooks changes while it is still busy with the card before, but not the button */
    slot_event(s, SLOT_PRESENCE_CHANGED | SLOT_LINK_CHANGED | (heard ? SLOT_BUTTON : 0));
}

int root_port_remove(struct pci_device *p, struct err *e)
{
    struct root_port *s = port_of(p->bus);

    if (p->dev.gone)
        return 0;                            /* the main loop is about to */
    if (s->asked)
        return err_set(e, -EBUSY, "Device %s is already in the process of unplug", p->dev.id ? p->dev.id : "");
    s->asked = true;
    if (ldl16(reg(s, E_SLOT_CTL)) & SLOT_OFF) {
        eject(s);
        slot_event(s, SLOT_PRESENCE_CHANGED | SLOT_LINK_CHANGED);
    } else {
        slot_event(s, SLOT_BUTTON);
    }
    return 0;
}

/* ---- life -------------------------------------------------------------------------------- */

static void config_written(struct pci_device *p, unsigned off, unsigned size)
{
    struct root_port *s = (struct root_port *)p;

    pci_bridge_written(&s->bus, off, size);
    msi_written(&s->msi, off, size);
    if (off < (unsigned)s->cap + E_ROOT_CTL && off + size > (unsigned)s->cap + E_SLOT_CTL)
        control_written(s);
}

static int port_init(struct device *d, struct err *e)
{
    struct root_port *s = (struct root_port *)d;
    const struct pci_info info = { .vendor = 0x1b36, .device = 0x000c, .class_code = 0x060400, .int_pin = 1,
                                   .multifunction = s->multifunction };
    uint32_t number = (s->slot ? s->slot : s->chassis) & 0x1fff;
    int ret;

    if (d->machine->cfg.board != BOARD_Q35)
        return err_set(e, -EINVAL, "%s: goes with -machine q35 only", d->type->name);
    ret = pci_device_init(&s->pci, &info, e);
    if (ret < 0)
        return ret;
    pci_bridge_init(&s->bus, &s->pci, 1);
    s->cap = pci_add_cap(&s->pci, CAP_ID_EXPRESS, CAP_BYTES);
    stl16(reg(s, E_CAPS), CAPS_ROOT_PORT);
    stl32(reg(s, E_DEV_CAP), DEV_CAP_ERROR_ROLE);
    stl32(reg(s, E_LINK_CAP), LINK_X1_2500 | LINK_CAP_ACTIVE | s->port << 24);
    stl32(reg(s, E_SLOT_CAP), SLOT_CAP | number << SLOT_CAP_NUMBER_POS);
    stl16(s->pci.wmask + s->cap + E_DEV_CTL, 0x00ff);
    stl16(s->pci.wmask + s->cap + E_LINK_CTL, 0x00fb);
    stl16(s->pci.wmask + s->cap + E_SLOT_CTL, SLOT_CTL_KEPT);
    stl16(s->pci.w1c + s->cap + E_SLOT_STA, SLOT_EVENTS);
    stl16(s->pci.wmask + s->cap + E_ROOT_CTL, 0x000f);
    s->pci.config_written = config_written;
    return msi_init(&s->msi, &s->pci, 1, e);
}

static void port_reset(struct device *d)
{
    struct root_port *s = (struct root_port *)d;

    if (s->asked)                            /* it starts anew: without the card */
        eject(s);
    pci_device_reset(&s->pci);
    pci_bridge_reset(&s->bus);
    msi_reset(&s->msi);
    stl16(reg(s, E_DEV_CTL), 0);
    stl16(reg(s, E_LINK_CTL), 0);
    stl16(reg(s, E_LINK_STA), LINK_X1_2500);
    stl16(reg(s, E_SLOT_CTL), occupied(s) ? SLOT_PI_ON : SLOT_PI_OFF | SLOT_OFF);
    stl16(reg(s, E_SLOT_STA), 0);
    stl16(reg(s, E_ROOT_CTL), 0);
    s->slot_ctl = ldl16(reg(s, E_SLOT_CTL));
    note_presence(s);
    update_irq(s);
}

static void port_destroy(struct device *d)
{
    struct root_port *s = (struct root_port *)d;

    pci_bridge_free(&s->bus);
    pci_device_unplug(&s->pci);
}

static const struct dev_prop port_props[] = {
    PROP(DEVFN, "addr", struct root_port, addr, NULL, 0, 0, "PCI slot[.function]"),
    PROP(U32, "port", struct root_port, port, NULL, 0, 255, "number of the link"),
    PROP(U32, "chassis", struct root_port, chassis, NULL, 0, 255, "number of the slot, unless slot= gives one"),
    PROP(U32, "slot", struct root_port, slot, NULL, 0, 8191, "number of the slot as guests show it"),
    PROP(BOOL, "multifunction", struct root_port, multifunction, NULL, 0, 0, "other functions are in its place, too"),
    { .name = "hotplug", .type = PROP_IGNORED, .help = "no effect: always on" },
    { .name = "io-reserve", .type = PROP_IGNORED, .help = "no effect" },
    { .name = "mem-reserve", .type = PROP_IGNORED, .help = "no effect" },
    { .name = "pref64-reserve", .type = PROP_IGNORED, .help = "no effect" },
    PROP_END
};

static const struct dev_field port_fields[] = {
    FIELD(BYTES, struct root_port, pci.config), FIELD(U8, struct root_port, bus.number),
    FIELD(U16, struct root_port, slot_ctl), FIELD(BOOL, struct root_port, irq),
    FIELD(BOOL, struct root_port, asked),
    FIELD_END
};

const struct device_type pcie_root_port_type = {
    .name = "pcie-root-port", .desc = "PCI Express root port", .size = sizeof(struct root_port),
    .init = port_init, .reset = port_reset, .destroy = port_destroy, .fields = port_fields,
    .props = port_props,
};
