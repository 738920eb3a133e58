/*
 * piix3.c - 82371SB (PIIX3) function 0: ISA bridge, PIRQ routing
 *
 * Source: Intel 82371SB datasheet, 290550, 2.2 (PIRQRC).
 */
#include "hw/pci/pci.h"

#define PIRQRC        0x60
#define PIRQRC_OFF    0x80

struct piix3 {
    struct pci_device pci;
    uint8_t pirq_level[4];
    uint16_t driven;             /* ISA lines that a PIRQ holds high */
};

/* ISA lines 0, 1, 2, 8 and 13 cannot be routed to. */
#define PIRQ_ALLOWED 0xdef8u

static void piix3_route(struct piix3 *s)
{
    uint16_t want = 0, diff;

    for (unsigned i = 0; i < 4; i++) {
        uint8_t rc = s->pci.config[PIRQRC + i];

        if (!(rc & PIRQRC_OFF) && s->pirq_level[i])
            want |= 1u << (rc & 15);
    }
    want &= PIRQ_ALLOWED;
    diff = want ^ s->driven;
    s->driven = want;
    for (unsigned n = 0; n < 16; n++)
        if (diff >> n & 1)
            irq_set(machine_irq(s->pci.dev.machine, n), want >> n & 1);
}

static void piix3_pirq_set(void *opaque, int pirq, int level)
{
    struct piix3 *s = opaque;

    s->pirq_level[pirq & 3] = level != 0;
    piix3_route(s);
}

static void piix3_config_written(struct pci_device *p, unsigned off, unsigned size)
{
    if (off < PIRQRC + 4 && off + size > PIRQRC)
        piix3_route((struct piix3 *)p);
}

/* INTA of slot 1 is on PIRQA, of slot 2 on PIRQB, and so on round. */
static unsigned piix3_pirq_of(const struct pci_bus *bus, uint8_t devfn, unsigned pin)
{
    return (PCI_SLOT(devfn) + pin - 1 + 3) & 3;
}

static int piix3_init(struct device *d, struct err *e)
{
    struct piix3 *s = (struct piix3 *)d;
    static const struct pci_info info = {
        .vendor = 0x8086, .device = 0x7000, .class_code = 0x060100,
        .multifunction = true,
    };
    int ret = pci_device_init(&s->pci, &info, e);

    if (ret < 0)
        return ret;
    memset(s->pci.wmask + 0x4c, 0xff, 4);         /* IORT, XBCS */
    memset(s->pci.wmask + PIRQRC, 0x8f, 4);
    memset(s->pci.wmask + 0x69, 0xff, 3);         /* TOM, MSTAT */
    memset(s->pci.wmask + 0x70, 0xff, 2);         /* MBIRQ */
    memset(s->pci.wmask + 0x76, 0xff, 5);         /* MBDMA, PCSC, APICBASE */
    memset(s->pci.wmask + 0xa0, 0xff, 0x10);      /* SMI */
    s->pci.config_written = piix3_config_written;
    s->pci.bus->pirq_of = piix3_pirq_of;
    s->pci.bus->pirq_set = piix3_pirq_set;
    s->pci.bus->pirq_opaque = s;
    return 0;
}

static void piix3_reset(struct device *d)
{
    struct piix3 *s = (struct piix3 *)d;
    uint8_t *c = s->pci.config;

    pci_device_reset(&s->pci);
    stl16(c + PCI_COMMAND, PCI_COMMAND_IO | PCI_COMMAND_MEM | PCI_COMMAND_MASTER);
    stl16(c + PCI_STATUS, 0x0200);
    memset(c + 0x40, 0, sizeof s->pci.config - 0x40);
    c[0x4c] = 0x4d, c[0x4e] = 0x03;
    memset(c + PIRQRC, PIRQRC_OFF, 4);
    c[0x69] = 0x02, c[0x70] = 0x80, c[0x76] = 0x0c, c[0x77] = 0x0c;
    c[0x78] = 0x02, c[0xa0] = 0x08, c[0xa8] = 0x0f;
    piix3_route(s);
}

static void piix3_destroy(struct device *d)
{
    struct piix3 *s = (struct piix3 *)d;

    s->pci.bus->pirq_set = NULL;
    pci_device_unplug(&s->pci);
}

static const struct dev_field piix3_fields[] = {
    FIELD(BYTES, struct piix3, pci.config),
    FIELD(BYTES, struct piix3, pirq_level),
    FIELD(U16, struct piix3, driven),
    FIELD_END
};

const struct device_type piix3_type = {
    .name = "PIIX3", .desc = "82371SB ISA bridge", .size = sizeof(struct piix3),
    .init = piix3_init, .reset = piix3_reset, .destroy = piix3_destroy,
    .fields = piix3_fields,
};
