/*
 * ich9-smb.c - 82801IB (ICH9) function 3: SMBus host controller
 *
 * Source: Intel ICH9 datasheet, 316972, chapter 19.
 */
#include "hw/acpi/smb.h"
#include "hw/pci/pci.h"

enum { HOSTC = 0x40 };

struct ich9_smb {
    struct pci_device pci;
    struct smb_host smb;
};

static uint64_t smb_port_read(void *opaque, uint64_t off, unsigned size)
{
    return smb_read(&((struct ich9_smb *)opaque)->smb, off);
}

static void smb_port_write(void *opaque, uint64_t off, uint64_t val, unsigned size)
{
    struct ich9_smb *s = opaque;

    smb_write(&s->smb, off, val);
    pci_irq_set(&s->pci, smb_irq(&s->smb));
}

static const struct io_ops smb_ops = { smb_port_read, smb_port_write, 1, 1 };

static int ich9_smb_init(struct device *d, struct err *e)
{
    struct ich9_smb *s = (struct ich9_smb *)d;
    static const struct pci_info info = {
        .vendor = 0x8086, .device = 0x2930, .revision = 2, .class_code = 0x0c0500, .int_pin = 1,
    };
    int ret = pci_device_init(&s->pci, &info, e);

    if (ret < 0)
        return ret;
    pci_bar_io(&s->pci, 4, SMB_REGS, "ich9-smb", &smb_ops, s);
    s->pci.wmask[HOSTC] = 0x0f;
    return 0;
}

static void ich9_smb_reset(struct device *d)
{
    struct ich9_smb *s = (struct ich9_smb *)d;

    pci_device_reset(&s->pci);
    stl16(s->pci.config + PCI_STATUS, 0x0280);
    s->pci.config[HOSTC] = 0x01;                  /* HST_EN, as firmware would */
    memset(&s->smb, 0, sizeof s->smb);
}

static void ich9_smb_destroy(struct device *d)
{
    pci_device_unplug((struct pci_device *)d);
}

static const struct dev_field ich9_smb_fields[] = {
    FIELD(BYTES, struct ich9_smb, pci.config),
    FIELD(BYTES, struct ich9_smb, smb.reg),
    FIELD_END
};

const struct device_type ich9_smb_type = {
    .name = "ICH9-SMB", .desc = "ICH9 SMBus controller", .size = sizeof(struct ich9_smb),
    .init = ich9_smb_init, .reset = ich9_smb_reset, .destroy = ich9_smb_destroy,
    .fields = ich9_smb_fields,
};
