/*
 * ich9-lpc.c - 82801IB (ICH9) function 0: ISA bridge, eight PIRQs, ACPI
 * registers, chipset configuration registers
 *
 * A PIRQ reaches I/O APIC pin 16 + n always, and an ISA line when its routing
 * register says so. Slots 25 to 31 belong to the ICH: the DxxIR registers say
 * which PIRQ a pin is on. The others are behind the MCH; their INTA to INTD go
 * round PIRQE to PIRQH.
 * Source: Intel ICH9 datasheet, 316972: 10.1 (chipset registers), 13.1 (LPC),
 * 13.8.3 (power management).
 */
#include "hw/acpi/acpi.h"
#include "hw/acpi/pm.h"
#include "hw/intc/intc.h"
#include "hw/pci/pci.h"

enum { PMBASE = 0x40, ACPI_CNTL = 0x44, GPIOBASE = 0x48, PIRQ_AD = 0x60, PIRQ_EH = 0x68,
       GEN_PMCON = 0xa0, RCBA = 0xf0 };
enum { PM_SMI_EN = 0x30 };
#define PIRQ_OFF      0x80
#define PIRQ_ALLOWED  0xdef8u     /* ISA lines 0, 1, 2, 8 and 13 cannot be routed to */
#define ACPI_EN       0x80
#define SCI_SEL(v)    ((v) & 7)
#define PM_LEN        128
#define SMI_EN_APMC   0x20
#define SLP_TYP_S3    5           /* as \_S5, \_S4 and \_S3 in dsdt-q35.asl say */
#define SLP_TYP_S4    6
#define SLP_TYP_S5    7
#define RCBA_LEN      0x4000u
#define RCBA_PRIO     2
#define FIRST_ICH_SLOT 25
/* DxxIP, DxxIR and OIC: the chipset registers that are kept */
#define KEPT_AT       0x3100u
#define KEPT_LEN      0x100u
#define IR_DEFAULT    0x3210      /* INTA on PIRQA, ... */
#define FIRST_PIN     16          /* of the I/O APIC */

struct ich9_lpc {
    struct pci_device pci;
    struct pm pm;
    struct irq_line sci;
    struct port_range *pm_ports;
    uint16_t pm_at;               /* 0: not decoded */
    uint32_t smi_en;
    uint8_t pirq_level[PCI_PIRQS];
    uint16_t driven;              /* ISA lines that a PIRQ holds high */
    bool sci_level;
    uint8_t kept[KEPT_LEN];
    struct mem_region rcba;
};

/* ---- interrupts --------------------------------------------------------------------- */

static uint8_t pirq_route(const struct ich9_lpc *s, unsigned n)
{
    return s->pci.config[n < 4 ? PIRQ_AD + n : PIRQ_EH + n - 4];
}

static void route(struct ich9_lpc *s)
{
    struct machine *m = s->pci.dev.machine;
    uint16_t want = 0, diff;

    for (unsigned i = 0; i < PCI_PIRQS; i++)
        if (!(pirq_route(s, i) & PIRQ_OFF) && s->pirq_level[i])
            want |= 1u << (pirq_route(s, i) & 15);
    want &= PIRQ_ALLOWED;
    diff = want ^ s->driven;
    s->driven = want;
    for (unsigned n = 0; n < 16; n++)
        if (diff >> n & 1)
            irq_set(machine_irq(m, n), want >> n & 1);
}

static void pirq_set(void *opaque, int pirq, int level)
{
    struct ich9_lpc *s = opaque;

    s->pirq_level[pirq & (PCI_PIRQS - 1)] = level != 0;
    ioapic_set_irq(s->pci.dev.machine->ioapic, FIRST_PIN + (pirq & (PCI_PIRQS - 1)), level);
    route(s);
}

/* DxxIR of the ICH's slots: 31 at 3140h, 30 at 3142h, ..., 26 at 314Ch, 25 at 3150h. */
static unsigned ir_offset(unsigned slot)
{
    static const uint16_t at[] = { 0x3150, 0x314c, 0x3148, 0x3146, 0x3144, 0x3142, 0x3140 };

    return at[slot - FIRST_ICH_SLOT] - KEPT_AT;
}

static unsigned pirq_of(const struct pci_bus *bus, uint8_t devfn, unsigned pin)
{
    const struct ich9_lpc *s = bus->pirq_opaque;
    unsigned slot = PCI_SLOT(devfn), n = (pin - 1) & 3;

    if (slot < FIRST_ICH_SLOT)
        return 4 + ((slot + n) & 3);
    return ldl16(s->kept + ir_offset(slot)) >> 4 * n & 7;
}

/* SCI_IRQ_SEL: IRQ 9, 10, 11, then I/O APIC pins 20 to 23. */
static void sci_drive(struct ich9_lpc *s, unsigned sel, int level)
{
    struct machine *m = s->pci.dev.machine;

    if (sel < 3)
        irq_set(machine_irq(m, 9 + sel), level);
    else if (sel >= 4)
        ioapic_set_irq(m->ioapic, 16 + sel, level);
}

static void sci_set(void *opaque, int n, int level)
{
    struct ich9_lpc *s = opaque;

    s->sci_level = level;
    sci_drive(s, SCI_SEL(s->pci.config[ACPI_CNTL]), level);
}

/* ---- ACPI registers ------------------------------------------------------------------ */

static uint64_t pm_port_read(void *opaque, uint64_t off, unsigned size)
{
    struct ich9_lpc *s = opaque;

    if (off >= PM_SMI_EN && off < PM_SMI_EN + 4)
        return s->smi_en >> (off - PM_SMI_EN) * 8;
    return pm_read(&s->pm, off, size);
}

static void pm_port_write(void *opaque, uint64_t off, uint64_t val, unsigned size)
{
    struct ich9_lpc *s = opaque;

    if (off == PM_SMI_EN && size == 4)
        s->smi_en = val | SMI_EN_APMC;
    else
        pm_write(&s->pm, off, val, size);
}

static const struct io_ops pm_ops = { pm_port_read, pm_port_write, 1, 4 };

static void pm_map(struct ich9_lpc *s)
{
    const uint8_t *c = s->pci.config;
    uint16_t at = c[ACPI_CNTL] & ACPI_EN ? ldl16(c + PMBASE) & 0xff80 : 0;

    if (at == s->pm_at)
        return;
    port_unmap(s->pci.dev.machine, s->pm_ports);
    s->pm_ports = at ? port_map(s->pci.dev.machine, "ich9-pm", at, PM_LEN, &pm_ops, s) : NULL;
    s->pm_at = at;
}

/* ---- chipset configuration registers ------------------------------------------------- */

static uint64_t rcba_read(void *opaque, uint64_t off, unsigned size)
{
    struct ich9_lpc *s = opaque;
    uint64_t v = 0;

    if (off >= KEPT_AT && off + size <= KEPT_AT + KEPT_LEN)
        memcpy(&v, s->kept + (off - KEPT_AT), size);
    return v;
}

static void rcba_write(void *opaque, uint64_t off, uint64_t val, unsigned size)
{
    struct ich9_lpc *s = opaque;

    if (off >= KEPT_AT && off + size <= KEPT_AT + KEPT_LEN) {
        pci_rewire(s->pci.bus, false);
        memcpy(s->kept + (off - KEPT_AT), &val, size);
        pci_rewire(s->pci.bus, true);
    } else {
        log_guest(LOG_PCI, "rcba write off=%#llx val=%#llx", (unsigned long long)off,
                  (unsigned long long)val);
    }
}

static const struct io_ops rcba_ops = { rcba_read, rcba_write, 1, 4 };

static void rcba_map(struct ich9_lpc *s)
{
    uint32_t v = ldl32(s->pci.config + RCBA), base = v & ~(RCBA_LEN - 1);
    bool on = v & 1;

    if (on == s->rcba.enabled && base == s->rcba.base)
        return;
    s->rcba.enabled = on;
    s->rcba.base = base;
    mem_update(&s->pci.dev.machine->mem);
}

static void kept_reset(struct ich9_lpc *s)
{
    memset(s->kept, 0, sizeof s->kept);
    for (unsigned slot = FIRST_ICH_SLOT; slot < 32; slot++)
        stl16(s->kept + ir_offset(slot), IR_DEFAULT);
}

/* ---- life ------------------------------------------------------------------------------ */

static void lpc_config_written(struct pci_device *p, unsigned off, unsigned size)
{
    struct ich9_lpc *s = (struct ich9_lpc *)p;

    pm_map(s);
    rcba_map(s);
    route(s);
    if (off <= ACPI_CNTL && off + size > ACPI_CNTL) {
        for (unsigned sel = 0; sel < 8; sel++)
            if (sel != SCI_SEL(p->config[ACPI_CNTL]))
                sci_drive(s, sel, 0);
        sci_drive(s, SCI_SEL(p->config[ACPI_CNTL]), s->sci_level);
    }
}

static void pm_setup(struct ich9_lpc *s)
{
    s->sci = (struct irq_line){ sci_set, s, 0 };
    s->pm.sci = &s->sci;
    s->pm.gpe_at = ACPI_ICH9_GPE;
    s->pm.gpe_half = ACPI_ICH9_GPE_LEN / 2;
    s->pm.typ_s3 = SLP_TYP_S3;
    s->pm.typ_s4 = SLP_TYP_S4;
    s->pm.typ_s5 = SLP_TYP_S5;
    pm_init(&s->pm, s->pci.dev.machine);
}

static int lpc_init(struct device *d, struct err *e)
{
    struct ich9_lpc *s = (struct ich9_lpc *)d;
    static const struct pci_info info = {
        .vendor = 0x8086, .device = 0x2918, .revision = 2, .class_code = 0x060100,
        .multifunction = true,
    };
    int ret = pci_device_init(&s->pci, &info, e);
    uint8_t *w = s->pci.wmask;

    if (ret < 0)
        return ret;
    stl16(w + PMBASE, 0xff80);
    w[ACPI_CNTL] = ACPI_EN | 7;
    stl16(w + GPIOBASE, 0xffc0);
    w[GPIOBASE + 4] = 0x10;                       /* GC */
    memset(w + PIRQ_AD, 0x8f, 4);
    w[0x64] = 0xff;                               /* SERIRQ_CNTL */
    memset(w + PIRQ_EH, 0x8f, 4);
    memset(w + 0x80, 0xff, 0x20);                 /* LPC_IOD to LGMR */
    memset(w + GEN_PMCON, 0xff, 0x10);
    stl32(w + RCBA, 0xffffc001);
    s->pci.config_written = lpc_config_written;
    s->pci.bus->pirq_of = pirq_of;
    s->pci.bus->pirq_set = pirq_set;
    s->pci.bus->pirq_opaque = s;
    pm_setup(s);
    kept_reset(s);
    s->rcba = (struct mem_region){ .name = "rcba", .len = RCBA_LEN, .kind = MEM_MMIO,
        .prio = RCBA_PRIO, .ops = &rcba_ops, .opaque = s };
    mem_add(&d->machine->mem, &s->rcba);
    return 0;
}

static void lpc_reset(struct device *d)
{
    struct ich9_lpc *s = (struct ich9_lpc *)d;
    uint8_t *c = s->pci.config;

    pci_device_reset(&s->pci);
    stl16(c + PCI_COMMAND, PCI_COMMAND_IO | PCI_COMMAND_MEM | PCI_COMMAND_MASTER);
    stl16(c + PCI_STATUS, 0x0200);
    memset(c + 0x40, 0, 0xc0);
    c[PMBASE] = 1, c[GPIOBASE] = 1;               /* I/O space indicators */
    c[0x64] = 0x10;
    memset(c + PIRQ_AD, PIRQ_OFF, 4);
    memset(c + PIRQ_EH, PIRQ_OFF, 4);
    s->smi_en = SMI_EN_APMC;                      /* see the head of hw/acpi/pm.c */
    pci_rewire(s->pci.bus, false);
    kept_reset(s);
    pci_rewire(s->pci.bus, true);
    pm_reset(&s->pm);
    lpc_config_written(&s->pci, ACPI_CNTL, 1);
}

static void lpc_destroy(struct device *d)
{
    struct ich9_lpc *s = (struct ich9_lpc *)d;

    pm_free(&s->pm);
    mem_remove(&d->machine->mem, &s->rcba);
    s->pci.bus->pirq_set = NULL;
    s->pci.bus->pirq_of = NULL;
    pci_device_unplug(&s->pci);
}

static const struct dev_field lpc_fields[] = {
    FIELD(BYTES, struct ich9_lpc, pci.config),
    PM_FIELDS(struct ich9_lpc, pm),
    FIELD(U32, struct ich9_lpc, smi_en),
    FIELD(BYTES, struct ich9_lpc, pirq_level),
    FIELD(U16, struct ich9_lpc, driven),
    FIELD(BOOL, struct ich9_lpc, sci_level),
    FIELD(BYTES, struct ich9_lpc, kept),
    FIELD_END
};

const struct device_type ich9_lpc_type = {
    .name = "ICH9-LPC", .desc = "ICH9 LPC bridge", .size = sizeof(struct ich9_lpc),
    .init = lpc_init, .reset = lpc_reset, .destroy = lpc_destroy, .fields = lpc_fields,
};
