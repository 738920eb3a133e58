/*
 * i440fx.c - 82441FX PMC: the host bridge of the i440FX board
 *
 * Source: Intel 82441FX (PMC) datasheet, 290549, 3.2.
 */
#include "hw/pci/host.h"

#define PMCCFG      0x50     /* 2 bytes */
#define DRAMC       0x57
#define PAM_REG     0x59
#define DRB         0x60     /* where each row of DRAM ends */
#define DRB_ROWS    8
#define SMRAM_REG   0x72

struct i440fx {
    struct pci_device pci;
    struct pci_host host;
    struct shadow shadow;
};

static void i440fx_config_written(struct pci_device *p, unsigned off, unsigned size)
{
    shadow_written(&((struct i440fx *)p)->shadow, off, size);
}

static int i440fx_init(struct device *d, struct err *e)
{
    struct i440fx *f = (struct i440fx *)d;
    static const struct pci_info info = {
        .vendor = 0x8086, .device = 0x1237, .revision = 2, .class_code = 0x060000,
    };
    int ret = pci_device_init(&f->pci, &info, e);

    if (ret < 0)
        return ret;
    memset(f->pci.wmask + PMCCFG, 0xff, 2);
    f->pci.wmask[DRAMC] = 0xff;
    memset(f->pci.wmask + DRB, 0xff, DRB_ROWS);
    f->pci.config_written = i440fx_config_written;
    shadow_init(&f->shadow, &f->pci, PAM_REG, SMRAM_REG);
    f->pci.bus->first_slot = 3;
    pci_host_init(&f->host, d->machine);
    return 0;
}

static void i440fx_reset(struct device *d)
{
    struct i440fx *f = (struct i440fx *)d;

    pci_device_reset(&f->pci);
    stl16(f->pci.config + PCI_COMMAND, PCI_COMMAND_MEM | PCI_COMMAND_MASTER);
    stl16(f->pci.config + PCI_STATUS, 0x0280);
    memset(f->pci.config + PMCCFG, 0, 2);
    f->pci.config[DRAMC] = 1;
    memset(f->pci.config + DRB, 1, DRB_ROWS);
    shadow_reset(&f->shadow);
    pci_host_reset(&f->host);
}

static void i440fx_destroy(struct device *d)
{
    struct i440fx *f = (struct i440fx *)d;

    shadow_free(&f->shadow);
    pci_device_unplug(&f->pci);
    pci_bus_free(d->machine->pci);
}

static const struct dev_field i440fx_fields[] = {
    FIELD(BYTES, struct i440fx, pci.config),
    FIELD(U32, struct i440fx, host.address),
    FIELD(U8, struct i440fx, host.rc),
    FIELD_END
};

const struct device_type i440fx_type = {
    .name = "i440FX", .desc = "82441FX host bridge", .size = sizeof(struct i440fx),
    .init = i440fx_init, .reset = i440fx_reset, .destroy = i440fx_destroy,
    .fields = i440fx_fields,
};
