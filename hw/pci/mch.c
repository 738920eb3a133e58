/*
 * mch.c - 82G33/Q35 MCH: the host bridge of the Q35 board
 *
 * PCIEXBAR opens the enhanced configuration window: 4 KiB a function. Devices
 * here have 256 bytes of it; the rest reads as ones, as conventional functions
 * do. The register blocks behind EPBAR, MCHBAR and DMIBAR are not there.
 * Source: Intel 3 Series Express Chipset Family datasheet, 316966, 5.1.
 */
#include "hw/pci/host.h"

enum { MCHBAR = 0x48, DEVEN = 0x54, PCIEXBAR = 0x60, DMIBAR = 0x68, EPBAR = 0x40, PAM_REG = 0x90,
       SMRAM_REG = 0x9d, ESMRAMC = 0x9e, TOLUD = 0xb0, SKPD = 0xdc };
#define PCIEXBAR_EN      1u
#define PCIEXBAR_LEN(v)  ((v) >> 1 & 3)    /* 256, 128, 64 MiB, reserved */
#define ESMRAMC_CACHE    0x38              /* SM_CACHE, SM_L1, SM_L2: read as ones */
#define ECAM_PRIO        2
#define CONFIG_BYTES     256u

struct mch {
    struct pci_device pci;
    struct pci_host host;
    struct shadow shadow;
    struct mem_region ecam;
};

/* ---- enhanced configuration window ---------------------------------------------- */

static struct pci_device *ecam_target(struct mch *s, uint64_t off)
{
    return off % 4096 < CONFIG_BYTES ? pci_find(s->pci.bus, off >> 20, off >> 12) : NULL;
}

static uint64_t ecam_read(void *opaque, uint64_t off, unsigned size)
{
    struct pci_device *p = ecam_target(opaque, off);

    return p ? pci_config_read(p, off % 4096, size) : ~0ull;
}

static void ecam_write(void *opaque, uint64_t off, uint64_t val, unsigned size)
{
    struct pci_device *p = ecam_target(opaque, off);

    log_ev(LOG_PCI, "ecam write off=%#llx size=%u val=%#llx", (unsigned long long)off, size,
           (unsigned long long)val);
    if (p)
        pci_config_write(p, off % 4096, val, size);
}

static const struct io_ops ecam_ops = { ecam_read, ecam_write, 1, 4 };

static uint64_t pciexbar(const struct mch *s)
{
    return ldl64(s->pci.config + PCIEXBAR);
}

static uint64_t ecam_len(uint64_t bar)
{
    return (uint64_t)MCH_ECAM_LEN >> MIN(PCIEXBAR_LEN(bar), 2u);
}

static void ecam_update(struct mch *s)
{
    uint64_t v = pciexbar(s), len = ecam_len(v), base = v & 0xfffffffffull & ~(len - 1);
    bool on = (v & PCIEXBAR_EN) && PCIEXBAR_LEN(v) != 3;

    if (on == s->ecam.enabled && base == s->ecam.base && len == s->ecam.len)
        return;
    log_ev(LOG_PCI, "ecam at=%#llx on=%d", (unsigned long long)base, on);
    s->ecam.enabled = on;
    s->ecam.base = base;
    s->ecam.len = len;
    mem_update(&s->pci.dev.machine->mem);
}

uint64_t mch_ecam_base(struct machine *m)
{
    struct mch *s = (struct mch *)pci_find(m->pci, 0, PCI_DEVFN(0, 0));

    if (!s || s->pci.dev.type != &mch_type || !s->ecam.enabled)
        return MCH_ECAM_BASE;
    return s->ecam.base;
}

/* ---- life ------------------------------------------------------------------------- */

static void mch_config_written(struct pci_device *p, unsigned off, unsigned size)
{
    struct mch *s = (struct mch *)p;

    shadow_written(&s->shadow, off, size);
    if (off < PCIEXBAR + 8 && off + size > PCIEXBAR)
        ecam_update(s);
}

static int mch_init(struct device *d, struct err *e)
{
    struct mch *s = (struct mch *)d;
    static const struct pci_info info = {
        .vendor = 0x8086, .device = 0x29c0, .revision = 2, .class_code = 0x060000,
    };
    int ret = pci_device_init(&s->pci, &info, e);
    uint8_t *w = s->pci.wmask;

    if (ret < 0)
        return ret;
    stl64(w + EPBAR, 0xffffff001ull);
    stl64(w + MCHBAR, 0xfffffc001ull);
    stl64(w + PCIEXBAR, 0xffc000007ull);
    stl64(w + DMIBAR, 0xffffff001ull);
    stl32(w + DEVEN, 0x3cf);
    stl32(w + SKPD, 0xffffffff);
    w[ESMRAMC] = 0x87;
    memset(w + 0xa0, 0xff, 8);                   /* TOM, TOUUD, GBSM */
    stl16(w + TOLUD, 0xfff0);
    s->pci.config_written = mch_config_written;
    s->ecam = (struct mem_region){ .name = "ecam", .base = MCH_ECAM_BASE, .len = MCH_ECAM_LEN,
        .kind = MEM_MMIO, .prio = ECAM_PRIO, .ops = &ecam_ops, .opaque = s };
    mem_add(&d->machine->mem, &s->ecam);
    shadow_init(&s->shadow, &s->pci, PAM_REG, SMRAM_REG);
    s->pci.bus->first_slot = 2;
    pci_host_init(&s->host, d->machine);
    return 0;
}

static void mch_reset(struct device *d)
{
    struct mch *s = (struct mch *)d;
    uint8_t *c = s->pci.config;

    pci_device_reset(&s->pci);
    stl16(c + PCI_COMMAND, PCI_COMMAND_MEM | PCI_COMMAND_MASTER);
    stl16(c + PCI_STATUS, 0x0080);
    memset(c + 0x40, 0, PAM_REG - 0x40);
    memset(c + SMRAM_REG, 0, 0x100 - SMRAM_REG);
    stl64(c + PCIEXBAR, 0xe0000000);             /* off */
    stl32(c + DEVEN, 0x3db);
    c[ESMRAMC] = ESMRAMC_CACHE;
    shadow_reset(&s->shadow);
    ecam_update(s);
    pci_host_reset(&s->host);
}

static void mch_destroy(struct device *d)
{
    struct mch *s = (struct mch *)d;

    mem_remove(&d->machine->mem, &s->ecam);
    shadow_free(&s->shadow);
    pci_device_unplug(&s->pci);
    pci_bus_free(d->machine->pci);
}

static const struct dev_field mch_fields[] = {
    FIELD(BYTES, struct mch, pci.config),
    FIELD(U32, struct mch, host.address),
    FIELD(U8, struct mch, host.rc),
    FIELD_END
};

const struct device_type mch_type = {
    .name = "mch", .desc = "Q35 host bridge", .size = sizeof(struct mch),
    .init = mch_init, .reset = mch_reset, .destroy = mch_destroy, .fields = mch_fields,
};
