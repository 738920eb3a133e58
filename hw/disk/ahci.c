/*
 * ahci.c - ICH9 AHCI controller: registers, ports, interrupts
 *
 * Memory BAR 5: 0x00 generic host control, 0x100 + 0x80 * n port n.
 *
 * Source: Serial ATA AHCI 1.3.1, chapter 3; Intel ICH9 datasheet, 15.
 */
#include "hw/disk/ahci-int.h"

enum { H_CAP = 0x00, H_GHC = 0x04, H_IS = 0x08, H_PI = 0x0c, H_VS = 0x10, H_CAP2 = 0x24 };
enum { GHC_HR = 1, GHC_IE = 2 };
#define GHC_AE      0x80000000u
#define CAP_BITS    (1u << 31 /* 64-bit */ | 1u << 30 /* NCQ */ | 2u << 20 /* 3 Gb/s */ | \
                     1u << 18 /* AHCI only */ | (AHCI_SLOTS - 1) << 8 | (AHCI_PORTS - 1))
#define PORT_AT     0x100u
#define PORT_BYTES  0x80u
#define BAR_BYTES   0x1000u
#define SSTS_UP     0x123u               /* device there, 3 Gb/s, active */
#define IE_BITS     0xfdc000ffu
#define CMD_WRITABLE (CMD_ST | CMD_SUD | CMD_POD | CMD_FRE | CMD_ATAPI | 0x0e000000u)

/* ---- interrupts --------------------------------------------------------------------- */

static void update_irq(struct ahci *s, bool edge)
{
    bool level;

    for (unsigned i = 0; i < AHCI_PORTS; i++)
        if (s->port[i].is & s->port[i].ie)
            s->is |= 1u << i;
    level = (s->ghc & GHC_IE) && s->is;
    pci_irq_set(&s->pci, level);
    if (level && edge)
        msi_notify(&s->msi, 0);
}

void ahci_raise(struct ahci_port *p, uint32_t bits)
{
    p->is |= bits;
    update_irq(p->ahci, bits & p->ie);
}

/* ---- port registers --------------------------------------------------------------------- */

static uint32_t signature(const struct ahci_port *p)
{
    if (!p->ata.drive)
        return 0xffffffff;
    return p->ata.cd ? 0xeb140101 : 0x00000101;
}

static uint32_t port_reg(const struct ahci_port *p, unsigned reg)
{
    switch (reg) {
    case P_CLB:
        return p->clb;
    case P_CLBU:
        return p->clb >> 32;
    case P_FB:
        return p->fb;
    case P_FBU:
        return p->fb >> 32;
    case P_IS:
        return p->is;
    case P_IE:
        return p->ie;
    case P_CMD:
        return p->cmd;
    case P_TFD:
        return p->tfd;
    case P_SIG:
        return signature(p);
    case P_SSTS:
        return p->ata.drive ? SSTS_UP : 0;
    case P_SCTL:
        return p->sctl;
    case P_SERR:
        return p->serr;
    case P_SACT:
        return p->sact;
    case P_CI:
        return p->ci;
    }
    return 0;
}

static void set_half(uint64_t *v, bool high, uint32_t half)
{
    *v = high ? (*v & 0xffffffff) | (uint64_t)half << 32 : (*v & ~0xffffffffull) | half;
}

static void set_cmd(struct ahci_port *p, uint32_t v)
{
    uint32_t was = p->cmd;

    p->cmd = (p->cmd & ~CMD_WRITABLE) | (v & CMD_WRITABLE);
    if (v & CMD_CLO)
        p->tfd &= ~(uint32_t)(ATA_BSY | ATA_DRQ);
    if ((was & CMD_ST) && !(v & CMD_ST)) {
        ahci_stop(p);
        p->cmd &= ~CMD_CR;
    }
    if (v & CMD_ST)
        p->cmd |= CMD_CR;
    p->cmd = v & CMD_FRE ? p->cmd | CMD_FR : p->cmd & ~(uint32_t)CMD_FR;
    if (!(was & CMD_ST) && (v & CMD_ST))
        ahci_run(p);
}

/* DET 1 holds the link in reset; leaving it resets the device. */
static void set_sctl(struct ahci_port *p, uint32_t v)
{
    bool was = (p->sctl & 15) == 1;

    p->sctl = v & 0xfff;
    if (was && (v & 15) == 0) {
        ahci_device_reset(p);
        if (p->ata.drive)
            p->serr |= 1u << 26;             /* exchanged */
    }
}

static void port_set_reg(struct ahci_port *p, unsigned reg, uint32_t v)
{
    switch (reg) {
    case P_CLB:
    case P_CLBU:
        if (!(p->cmd & CMD_ST))
            set_half(&p->clb, reg == P_CLBU, reg == P_CLB ? v & ~0x3ffu : v);
        break;
    case P_FB:
    case P_FBU:
        set_half(&p->fb, reg == P_FBU, reg == P_FB ? v & ~0xffu : v);
        break;
    case P_IS:
        p->is &= ~v;
        update_irq(p->ahci, false);
        break;
    case P_IE:
        p->ie = v & IE_BITS;
        update_irq(p->ahci, true);
        break;
    case P_CMD:
        set_cmd(p, v);
        break;
    case P_SCTL:
        set_sctl(p, v);
        break;
    case P_SERR:
        p->serr &= ~v;
        break;
    case P_SACT:
        if (p->cmd & CMD_ST)
            p->sact |= v;
        break;
    case P_CI:
        if (p->cmd & CMD_ST) {
            p->ci |= v;
            ahci_run(p);
        }
        break;
    }
}

/* ---- host registers ------------------------------------------------------------------------ */

static void port_reset(struct ahci_port *p)
{
    ahci_stop(p);
    p->is = p->ie = p->sctl = p->serr = 0;
    p->cmd = CMD_SUD | CMD_POD;
    p->clb = p->fb = 0;
    p->in_reset = false;
    if (p->ata.drive)
        ata_dev_reset(&p->ata);
    ahci_device_reset(p);
    p->is = 0;
}

static void hba_reset(struct ahci *s)
{
    for (unsigned i = 0; i < AHCI_PORTS; i++)
        port_reset(&s->port[i]);
    s->ghc = GHC_AE;
    s->is = 0;
    update_irq(s, false);
}

static uint64_t mem_get(void *opaque, uint64_t off, unsigned size)
{
    struct ahci *s = opaque;
    uint64_t port = (off - PORT_AT) / PORT_BYTES;

    if (off >= PORT_AT)
        return port < AHCI_PORTS ? port_reg(&s->port[port], off % PORT_BYTES) : 0;
    switch (off) {
    case H_CAP:
        return CAP_BITS;
    case H_GHC:
        return s->ghc;
    case H_IS:
        return s->is;
    case H_PI:
        return (1u << AHCI_PORTS) - 1;
    case H_VS:
        return 0x00010300;
    }
    return 0;
}

static void mem_set(void *opaque, uint64_t off, uint64_t val, unsigned size)
{
    struct ahci *s = opaque;
    uint64_t port = (off - PORT_AT) / PORT_BYTES;

    if (size != 4 || (off & 3)) {
        log_guest(LOG_PCI, "ahci write off=%#llx size=%u", (unsigned long long)off, size);
        return;
    }
    if (off >= PORT_AT) {
        if (port < AHCI_PORTS)
            port_set_reg(&s->port[port], off % PORT_BYTES, val);
    } else if (off == H_GHC && (val & GHC_HR)) {
        hba_reset(s);
    } else if (off == H_GHC) {
        s->ghc = GHC_AE | (val & GHC_IE);
        update_irq(s, true);
    } else if (off == H_IS) {
        s->is &= ~(uint32_t)val;
        update_irq(s, true);
    }
}

static const struct io_ops mem_ops = { mem_get, mem_set, 4, 4 };

/* ---- disks --------------------------------------------------------------------------------------- */

int ahci_plug(struct device *ctl, struct ide_unit_device *u, int port, struct err *e)
{
    struct ahci *s = (struct ahci *)ctl;
    struct ahci_port *p;
    int ret;

    for (int i = 0; port < 0 && i < AHCI_PORTS; i++)
        if (!s->port[i].ata.drive)
            port = i;
    if (port < 0 || port >= AHCI_PORTS || s->port[port].ata.drive)
        return err_set(e, -EBUSY, "%s: no such free port on the AHCI controller", u->dev.type->name);
    p = &s->port[port];
    p->ata.cd = u->dev.type == &ide_cd_type;
    p->ata.serial = u->serial;
    p->ata.model = u->model;
    p->ata.ver = u->ver;
    p->ata.unit = port;
    p->ata.sata = true;
    p->ata.ncq_depth = p->ata.cd ? 0 : AHCI_SLOTS;
    p->ata.drive = u->drive;
    ret = ata_attach(&p->ata, &u->dev, e);
    if (ret < 0) {
        p->ata.drive = NULL;
        return ret;
    }
    ata_dev_reset(&p->ata);
    u->controller = ctl;
    u->place_bus = port;
    u->place_unit = 0;
    return 0;
}

/* ---- life ------------------------------------------------------------------------------------------ */

static void config_written(struct pci_device *pci, unsigned off, unsigned size)
{
    msi_written(&container_of(pci, struct ahci, pci)->msi, off, size);
}

static void master_on(struct pci_device *pci)
{
    for (unsigned n = 0; n < AHCI_PORTS; n++)
        ahci_run(&container_of(pci, struct ahci, pci)->port[n]);
}

static int ahci_init(struct device *d, struct err *e)
{
    struct ahci *s = (struct ahci *)d;
    static const struct pci_info info = { .vendor = 0x8086, .device = 0x2922, .revision = 2,
                                          .class_code = 0x010601, .int_pin = 1 };
    int ret = pci_device_init(&s->pci, &info, e);

    if (ret < 0)
        return ret;
    for (unsigned i = 0; i < AHCI_PORTS; i++) {
        s->port[i].ahci = s;
        s->port[i].n = i;
    }
    s->mem = (struct mem_region){ .name = "ahci", .len = BAR_BYTES, .kind = MEM_MMIO,
                                  .ops = &mem_ops, .opaque = s };
    pci_bar_mem(&s->pci, 5, 0, &s->mem);
    s->pci.config_written = config_written;
    s->pci.master_on = master_on;
    return msi_init(&s->msi, &s->pci, 1, e);
}

static void ahci_reset(struct device *d)
{
    struct ahci *s = (struct ahci *)d;

    msi_reset(&s->msi);
    hba_reset(s);
    pci_device_reset(&s->pci);
}

static void ahci_destroy(struct device *d)
{
    struct ahci *s = (struct ahci *)d;

    for (unsigned i = 0; i < AHCI_PORTS; i++) {
        ahci_stop(&s->port[i]);
        drive_release(s->port[i].ata.drive);
    }
    pci_device_unplug(&s->pci);
}

static const struct dev_prop ahci_props[] = {
    PROP(DEVFN, "addr", struct ahci, addr, NULL, 0, 0, "PCI slot[.function]"),
    PROP_END
};

static const struct dev_field ahci_fields[] = {
    FIELD(BYTES, struct ahci, pci.config), FIELD(U32, struct ahci, ghc), FIELD(U32, struct ahci, is),
    FIELD_END
};

const struct device_type ahci_type = {
    .name = "ahci", .desc = "ICH9 AHCI controller", .size = sizeof(struct ahci),
    .init = ahci_init, .reset = ahci_reset, .destroy = ahci_destroy, .fields = ahci_fields,
    .props = ahci_props,
};
