/*
 * piix4-pm.c - 82371AB (PIIX4) function 3: where ACPI registers and SMBus appear
 *
 * Source: Intel 82371AB datasheet, 290562, chapters 7.1-7.3.
 */
#include "hw/acpi/acpi.h"
#include "hw/acpi/pci-hotplug.h"
#include "hw/acpi/pm.h"
#include "hw/acpi/smb.h"
#include "hw/pci/pci.h"

enum { PMBA = 0x40, DEVACTB = 0x58, PMREGMISC = 0x80, SMBBA = 0x90, SMBHSTCFG = 0xd2 };
#define PM_LEN     64
#define SMB_LEN    16
#define SCI_IRQ    9
#define SUS_TYP_S5 0              /* as \_S5, \_S4 and \_S3 in dsdt.asl say */
#define SUS_TYP_S4 2
#define SUS_TYP_S3 1

struct piix4_pm {
    struct pci_device pci;
    struct pm pm;
    struct smb_host smb;
    struct pci_hotplug hotplug;
    struct port_range *pm_ports, *smb_ports;
    uint16_t pm_at, smb_at;       /* 0: not decoded */
};

static uint64_t pm_port_read(void *opaque, uint64_t off, unsigned size)
{
    return pm_read(&((struct piix4_pm *)opaque)->pm, off, size);
}

static void pm_port_write(void *opaque, uint64_t off, uint64_t val, unsigned size)
{
    pm_write(&((struct piix4_pm *)opaque)->pm, off, val, size);
}

static const struct io_ops pm_ops = { pm_port_read, pm_port_write, 1, 4 };

static uint64_t smb_port_read(void *opaque, uint64_t off, unsigned size)
{
    return smb_read(&((struct piix4_pm *)opaque)->smb, off);
}

/* Its interrupt is an SMI or IRQ 9; neither is wired. */
static void smb_port_write(void *opaque, uint64_t off, uint64_t val, unsigned size)
{
    smb_write(&((struct piix4_pm *)opaque)->smb, off, val);
}

static const struct io_ops smb_ops = { smb_port_read, smb_port_write, 1, 1 };

static void remap(struct piix4_pm *s, struct port_range **r, uint16_t *at, uint16_t want,
                  unsigned len, const char *name, const struct io_ops *ops)
{
    struct machine *m = s->pci.dev.machine;

    if (want == *at)
        return;
    port_unmap(m, *r);
    *r = want ? port_map(m, name, want, len, ops, s) : NULL;
    *at = want;
}

static void pm_config_written(struct pci_device *p, unsigned off, unsigned size)
{
    struct piix4_pm *s = (struct piix4_pm *)p;
    const uint8_t *c = p->config;
    uint16_t pm = c[PMREGMISC] & 1 ? ldl16(c + PMBA) & 0xffc0 : 0;
    uint16_t smb = c[SMBHSTCFG] & 1 ? ldl16(c + SMBBA) & 0xfff0 : 0;

    remap(s, &s->pm_ports, &s->pm_at, pm, PM_LEN, "piix4-pm", &pm_ops);
    remap(s, &s->smb_ports, &s->smb_at, smb, SMB_LEN, "piix4-smb", &smb_ops);
}

static int piix4_pm_init(struct device *d, struct err *e)
{
    struct piix4_pm *s = (struct piix4_pm *)d;
    static const struct pci_info info = {
        .vendor = 0x8086, .device = 0x7113, .revision = 3, .class_code = 0x068000,
        .int_pin = 1,
    };
    int ret = pci_device_init(&s->pci, &info, e);

    if (ret < 0)
        return ret;
    stl16(s->pci.wmask + PMBA, 0xffc0);
    memset(s->pci.wmask + 0x44, 0xff, PMREGMISC - 0x44);
    s->pci.wmask[PMREGMISC] = 1;
    stl16(s->pci.wmask + SMBBA, 0xfff0);
    memset(s->pci.wmask + SMBHSTCFG, 0xff, 4);
    s->pci.config_written = pm_config_written;
    s->pm.sci = machine_irq(d->machine, SCI_IRQ);
    s->pm.gpe_at = ACPI_PIIX4_GPE;
    s->pm.gpe_half = ACPI_PIIX4_GPE_LEN / 2;
    s->pm.typ_s3 = SUS_TYP_S3;
    s->pm.typ_s4 = SUS_TYP_S4;
    s->pm.typ_s5 = SUS_TYP_S5;
    pm_init(&s->pm, d->machine);
    pci_hotplug_init(&s->hotplug, d->machine);
    return 0;
}

static void piix4_pm_reset(struct device *d)
{
    struct piix4_pm *s = (struct piix4_pm *)d;
    uint8_t *c = s->pci.config;

    pci_device_reset(&s->pci);
    stl16(c + PCI_STATUS, 0x0280);
    memset(c + 0x40, 0, 0xc0);
    c[PMBA] = 1, c[SMBBA] = 1;            /* I/O space indicators */
    c[DEVACTB + 3] = 0x02;                /* APMC_EN: see the head of pm.c */
    memset(&s->smb, 0, sizeof s->smb);
    pm_config_written(&s->pci, 0, 4);
    pm_reset(&s->pm);
    pci_hotplug_reset(&s->hotplug);
}

static void piix4_pm_destroy(struct device *d)
{
    d->machine->hotplug = NULL;
    pm_free(&((struct piix4_pm *)d)->pm);
    pci_device_unplug((struct pci_device *)d);
}

static const struct dev_field pm_fields[] = {
    FIELD(BYTES, struct piix4_pm, pci.config),
    PM_FIELDS(struct piix4_pm, pm),
    FIELD(BYTES, struct piix4_pm, smb.reg),
    PCI_HOTPLUG_FIELDS(struct piix4_pm, hotplug),
    FIELD_END
};

const struct device_type piix4_pm_type = {
    .name = "PIIX4_PM", .desc = "82371AB power management", .size = sizeof(struct piix4_pm),
    .init = piix4_pm_init, .reset = piix4_pm_reset, .destroy = piix4_pm_destroy, .fields = pm_fields,
};
