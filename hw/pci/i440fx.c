/*
 * i440fx.c - 82441FX PMC: host bridge, configuration mechanism #1, shadow RAM
 *
 * 0xA0000..0xFFFFF belongs to PCI unless a register says otherwise: the "hole"
 * region hides the RAM there, and thirteen windows (PAM) bring it back, for
 * reads, writes or both. A window that only takes writes is slow MMIO; firmware
 * uses it for moments.
 * Source: Intel 82441FX (PMC) datasheet, 290549, 3.2.
 */
#include "hw/pci/pci.h"

#define N_PAM       13
#define PAM_REG     0x59
#define PAM_READ    1
#define PAM_WRITE   2
#define SMRAM_REG   0x72
#define SMRAM_OPEN  0x40
#define SMRAM_LOCK  0x10
#define SMRAM_ENABLE 0x08
#define HOLE_BASE   0xa0000u
#define HOLE_LEN    0x60000u
#define SHADOW_PRIO 3
#define CONFIG_ENABLE 0x80000000u

struct i440fx {
    struct pci_device pci;
    uint32_t address;              /* CONFADD */
    struct mem_region hole, smram;
    struct pam {
        struct mem_region r;
        struct i440fx *host;
    } pam[N_PAM];
};

/* ---- shadow windows ------------------------------------------------------------ */

/* What answers below the windows: the ROM or card that the write-only mode reads. */
static struct mem_region *below_window(struct mem_map *mm, gpa_t gpa)
{
    struct mem_region *best = NULL;

    for (struct mem_region *r = mm->regions; r; r = r->next)
        if (r->enabled && r->prio < SHADOW_PRIO && gpa >= r->base &&
            gpa - r->base < r->len && (!best || r->prio > best->prio))
            best = r;
    return best;
}

static uint64_t pam_read(void *opaque, uint64_t off, unsigned size)
{
    struct pam *w = opaque;
    gpa_t gpa = w->r.base + off;
    struct mem_region *r = below_window(&w->host->pci.dev.machine->mem, gpa);
    uint64_t v = 0;

    if (!r || r->kind == MEM_MMIO || gpa - r->base + size > r->len)
        return ~0ull;
    memcpy(&v, r->host + (gpa - r->base), size);
    return v;
}

static void pam_write(void *opaque, uint64_t off, uint64_t val, unsigned size)
{
    struct pam *w = opaque;
    struct machine *m = w->host->pci.dev.machine;
    gpa_t gpa = w->r.base + off;

    memcpy(m->ram + gpa, &val, size);
    for (struct mem_listener *l = m->mem.listeners; l; l = l->next)
        if (l->ram_written)
            l->ram_written(l->opaque, gpa, size);
}

static const struct io_ops pam_ops = { pam_read, pam_write, 1, 8 };

/* Returns whether the window changed. */
static bool pam_set(struct pam *w, unsigned bits)
{
    struct mem_region old = w->r;

    w->r.enabled = bits != 0;
    w->r.kind = bits == PAM_READ ? MEM_ROM : bits == PAM_WRITE ? MEM_MMIO : MEM_RAM;
    return old.enabled != w->r.enabled || old.kind != w->r.kind;
}

/* PAM0 holds the 64 KiB window in its high nibble; then two 16 KiB ones a byte. */
static unsigned pam_bits(const struct i440fx *f, unsigned n)
{
    unsigned nibble = n + 1;

    return f->pci.config[PAM_REG + nibble / 2] >> (nibble & 1 ? 4 : 0) & 3;
}

static bool smram_set(struct i440fx *f)
{
    uint8_t v = f->pci.config[SMRAM_REG];
    bool open = (v & SMRAM_OPEN) && (v & SMRAM_ENABLE), was = f->smram.enabled;

    f->smram.enabled = open;
    return open != was;
}

static void i440fx_update(struct i440fx *f)
{
    bool changed = smram_set(f);

    for (unsigned n = 0; n < N_PAM; n++)
        changed |= pam_set(&f->pam[n], pam_bits(f, n));
    if (changed)
        mem_update(&f->pci.dev.machine->mem);
}

void i440fx_set_pam(struct machine *m, unsigned bits)
{
    struct pci_device *p = pci_find(m->pci, 0, PCI_DEVFN(0, 0));

    if (!p || p->dev.type != &i440fx_type)
        return;
    pci_config_write(p, PAM_REG, bits << 4, 1);
    for (unsigned i = 1; i < 7; i++)
        pci_config_write(p, PAM_REG + i, bits << 4 | bits, 1);
}

static void i440fx_config_written(struct pci_device *p, unsigned off, unsigned size)
{
    struct i440fx *f = (struct i440fx *)p;
    uint8_t *smram = &p->config[SMRAM_REG];

    if (*smram & SMRAM_LOCK) {           /* D_LCK closes it until reset */
        *smram &= ~SMRAM_OPEN;
        p->wmask[SMRAM_REG] = 0;
    }
    if (off + size > PAM_REG && off <= SMRAM_REG)
        i440fx_update(f);
}

/* ---- configuration mechanism #1 -------------------------------------------------- */

static uint64_t confadd_read(void *opaque, uint64_t off, unsigned size)
{
    struct i440fx *f = opaque;

    if (off == 0 && size == 4)
        return f->address;
    if (off == 1 && size == 1)
        return piix3_reset_control_read(f->pci.dev.machine);
    return ~0ull;
}

/* Only dword accesses reach CONFADD; bytes go on to the ISA bridge. */
static void confadd_write(void *opaque, uint64_t off, uint64_t val, unsigned size)
{
    struct i440fx *f = opaque;

    if (off == 0 && size == 4)
        f->address = val & 0x80fffffc;
    else if (off == 1 && size == 1)
        piix3_reset_control(f->pci.dev.machine, val);
}

static struct pci_device *confdata_target(struct i440fx *f)
{
    if (!(f->address & CONFIG_ENABLE))
        return NULL;
    return pci_find(f->pci.bus, f->address >> 16, f->address >> 8);
}

static uint64_t confdata_read(void *opaque, uint64_t off, unsigned size)
{
    struct i440fx *f = opaque;
    struct pci_device *p = confdata_target(f);
    unsigned reg = (f->address & 0xfc) + off;
    uint64_t v = p ? pci_config_read(p, reg, size) : ~0ull;

    log_ev(LOG_PCI, "config read address=%#x reg=%#x size=%u val=%#llx", f->address,
           reg, size, (unsigned long long)(v & size_mask(size)));
    return v;
}

static void confdata_write(void *opaque, uint64_t off, uint64_t val, unsigned size)
{
    struct i440fx *f = opaque;
    struct pci_device *p = confdata_target(f);
    unsigned reg = (f->address & 0xfc) + off;

    log_ev(LOG_PCI, "config write address=%#x reg=%#x size=%u val=%#llx", f->address,
           reg, size, (unsigned long long)val);
    if (p)
        pci_config_write(p, reg, val, size);
}

static const struct io_ops confadd_ops = { confadd_read, confadd_write, 1, 4 };
static const struct io_ops confdata_ops = { confdata_read, confdata_write, 1, 4 };

/* ---- construction ------------------------------------------------------------------ */

static uint64_t hole_read(void *opaque, uint64_t off, unsigned size)
{
    return ~0ull;
}

static void hole_write(void *opaque, uint64_t off, uint64_t val, unsigned size)
{
}

static const struct io_ops hole_ops = { hole_read, hole_write, 1, 8 };

static void windows_init(struct i440fx *f)
{
    struct machine *m = f->pci.dev.machine;

    f->hole = (struct mem_region){ .name = "pci-hole", .base = HOLE_BASE,
        .len = HOLE_LEN, .kind = MEM_MMIO, .enabled = true, .ops = &hole_ops };
    mem_add(&m->mem, &f->hole);
    f->smram = (struct mem_region){ .name = "smram", .base = 0xa0000, .len = 0x20000,
        .kind = MEM_RAM, .prio = SHADOW_PRIO, .host = m->ram + 0xa0000 };
    mem_add(&m->mem, &f->smram);
    for (unsigned n = 0; n < N_PAM; n++) {
        gpa_t base = n ? 0xc0000 + (n - 1) * 0x4000 : 0xf0000;

        f->pam[n].host = f;
        f->pam[n].r = (struct mem_region){ .name = "pam", .base = base,
            .len = n ? 0x4000 : 0x10000, .prio = SHADOW_PRIO, .ops = &pam_ops,
            .host = m->ram + base, .opaque = &f->pam[n] };
        mem_add(&m->mem, &f->pam[n].r);
    }
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
    memset(f->pci.wmask + PAM_REG, 0x33, 7);
    f->pci.wmask[PAM_REG] = 0x30;
    memset(f->pci.wmask + 0x60, 0xff, 8);         /* DRB: DRAM row boundaries */
    f->pci.wmask[0x50] = 0xff, f->pci.wmask[0x51] = 0xff;   /* PMCCFG */
    f->pci.wmask[0x57] = 0xff;                    /* DRAMC */
    f->pci.config_written = i440fx_config_written;
    windows_init(f);
    port_map(d->machine, "confadd", 0xcf8, 4, &confadd_ops, f);
    port_map(d->machine, "confdata", 0xcfc, 4, &confdata_ops, f);
    return 0;
}

static void i440fx_reset(struct device *d)
{
    struct i440fx *f = (struct i440fx *)d;

    pci_device_reset(&f->pci);
    stl16(f->pci.config + PCI_COMMAND, PCI_COMMAND_MEM | PCI_COMMAND_MASTER);
    stl16(f->pci.config + PCI_STATUS, 0x0280);
    memset(f->pci.config + PAM_REG, 0, 7);
    f->pci.config[SMRAM_REG] = 0x02;
    f->pci.wmask[SMRAM_REG] = 0x78;
    f->address = 0;
    i440fx_update(f);
}

static void i440fx_destroy(struct device *d)
{
    struct i440fx *f = (struct i440fx *)d;

    mem_remove(&d->machine->mem, &f->hole);
    mem_remove(&d->machine->mem, &f->smram);
    for (unsigned n = 0; n < N_PAM; n++)
        mem_remove(&d->machine->mem, &f->pam[n].r);
    pci_device_unplug(&f->pci);
    pci_bus_free(d->machine->pci);
}

static const struct dev_field i440fx_fields[] = {
    FIELD(BYTES, struct i440fx, pci.config),
    FIELD(U32, struct i440fx, address),
    FIELD_END
};

const struct device_type i440fx_type = {
    .name = "i440FX", .desc = "82441FX host bridge", .size = sizeof(struct i440fx),
    .init = i440fx_init, .reset = i440fx_reset, .destroy = i440fx_destroy,
    .fields = i440fx_fields,
};
