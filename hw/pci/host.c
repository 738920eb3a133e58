/*
 * host.c - configuration mechanism #1, reset control, shadow RAM
 *
 * Source: PCI Local Bus Specification 3.0, 3.2.2.3.2; Intel 82441FX datasheet,
 * 290549, 3.2.19 (PAM) and 3.2.27 (SMRAM); Intel 3 Series Express Chipset
 * datasheet, 316966, 5.1.22-29: the same registers elsewhere. RC: Intel 82371SB
 * datasheet, 290550, 2.5.2.
 */
#include "hw/pci/host.h"

#define PAM_REGS    7
#define PAM_READ    1
#define PAM_WRITE   2
#define SMRAM_OPEN  0x40
#define SMRAM_LOCK  0x10
#define SMRAM_ENABLE 0x08
#define SMRAM_SEG   0x02           /* C_BASE_SEG: always 0xA0000 */
#define HOLE_BASE   0xa0000u
#define HOLE_LEN    0x60000u
#define SHADOW_PRIO 3
#define CONFIG_ENABLE 0x80000000u
#define RC_SRST     0x02
#define RC_RCPU     0x04

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
    struct mem_region *r = below_window(&w->shadow->bridge->dev.machine->mem, gpa);
    uint64_t v = 0;

    if (!r || r->kind == MEM_MMIO || gpa - r->base + size > r->len)
        return ~0ull;
    memcpy(&v, r->host + (gpa - r->base), size);
    return v;
}

static void pam_write(void *opaque, uint64_t off, uint64_t val, unsigned size)
{
    struct pam *w = opaque;
    struct machine *m = w->shadow->bridge->dev.machine;
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
    w->r.ops = w->r.kind == MEM_MMIO ? &pam_ops : NULL;   /* a ROM with them takes writes */
    return old.enabled != w->r.enabled || old.kind != w->r.kind;
}

/* PAM0 holds the 64 KiB window in its high nibble; then two 16 KiB ones a byte. */
static unsigned pam_bits(const struct shadow *s, unsigned n)
{
    unsigned nibble = n + 1;

    return s->bridge->config[s->pam_reg + nibble / 2] >> (nibble & 1 ? 4 : 0) & 3;
}

static bool smram_set(struct shadow *s)
{
    uint8_t v = s->bridge->config[s->smram_reg];
    bool open = (v & SMRAM_OPEN) && (v & SMRAM_ENABLE), was = s->smram.enabled;

    s->smram.enabled = open;
    return open != was;
}

static void shadow_update(struct shadow *s)
{
    bool changed = smram_set(s);

    for (unsigned n = 0; n < PAM_WINDOWS; n++)
        changed |= pam_set(&s->pam[n], pam_bits(s, n));
    if (changed)
        mem_update(&s->bridge->dev.machine->mem);
}

void pci_shadow_set(struct machine *m, unsigned bits)
{
    struct shadow *s = m->pci ? m->pci->shadow : NULL;

    if (!s)
        return;
    pci_config_write(s->bridge, s->pam_reg, bits << 4, 1);
    for (unsigned i = 1; i < PAM_REGS; i++)
        pci_config_write(s->bridge, s->pam_reg + i, bits << 4 | bits, 1);
}

void shadow_written(struct shadow *s, unsigned off, unsigned size)
{
    uint8_t *smram = &s->bridge->config[s->smram_reg];

    if (*smram & SMRAM_LOCK) {           /* D_LCK closes it until reset */
        *smram &= ~SMRAM_OPEN;
        s->bridge->wmask[s->smram_reg] = 0;
    }
    if (off + size > s->pam_reg && off <= s->smram_reg)
        shadow_update(s);
}

/* RAM outlives the sleep S3, and so does where it is seen: SeaBIOS knows from a variable in its shadow copy
 * that it is to resume, not to start. */
void shadow_reset(struct shadow *s)
{
    if (!s->bridge->dev.machine->waking)
        memset(s->bridge->config + s->pam_reg, 0, PAM_REGS);
    s->bridge->config[s->smram_reg] = SMRAM_SEG;
    s->bridge->wmask[s->smram_reg] = 0x78;
    shadow_update(s);
}

static uint64_t hole_read(void *opaque, uint64_t off, unsigned size)
{
    return ~0ull;
}

static void hole_write(void *opaque, uint64_t off, uint64_t val, unsigned size)
{
}

static const struct io_ops hole_ops = { hole_read, hole_write, 1, 8 };

void shadow_init(struct shadow *s, struct pci_device *bridge, uint8_t pam_reg, uint8_t smram_reg)
{
    struct machine *m = bridge->dev.machine;

    s->bridge = bridge;
    s->pam_reg = pam_reg;
    s->smram_reg = smram_reg;
    bridge->bus->shadow = s;
    memset(bridge->wmask + pam_reg, 0x33, PAM_REGS);
    bridge->wmask[pam_reg] = 0x30;
    s->hole = (struct mem_region){ .name = "pci-hole", .base = HOLE_BASE,
        .len = HOLE_LEN, .kind = MEM_MMIO, .enabled = true, .ops = &hole_ops };
    mem_add(&m->mem, &s->hole);
    s->smram = (struct mem_region){ .name = "smram", .base = 0xa0000, .len = 0x20000,
        .kind = MEM_RAM, .prio = SHADOW_PRIO, .host = m->ram + 0xa0000 };
    mem_add(&m->mem, &s->smram);
    for (unsigned n = 0; n < PAM_WINDOWS; n++) {
        gpa_t base = n ? 0xc0000 + (n - 1) * 0x4000 : 0xf0000;

        s->pam[n].shadow = s;
        s->pam[n].r = (struct mem_region){ .name = "pam", .base = base,
            .len = n ? 0x4000 : 0x10000, .prio = SHADOW_PRIO, .host = m->ram + base,
            .opaque = &s->pam[n] };
        mem_add(&m->mem, &s->pam[n].r);
    }
}

void shadow_free(struct shadow *s)
{
    struct mem_map *mm = &s->bridge->dev.machine->mem;

    mem_remove(mm, &s->hole);
    mem_remove(mm, &s->smram);
    for (unsigned n = 0; n < PAM_WINDOWS; n++)
        mem_remove(mm, &s->pam[n].r);
    s->bridge->bus->shadow = NULL;
}

/* ---- configuration mechanism #1 -------------------------------------------------- */

static void reset_control(struct pci_host *h, uint8_t val)
{
    if ((val & RC_RCPU) && !(h->rc & RC_RCPU))
        machine_request_reset(h->m, CAUSE_GUEST_RESET);
    h->rc = val & (RC_SRST | RC_RCPU);
}

static uint64_t confadd_read(void *opaque, uint64_t off, unsigned size)
{
    struct pci_host *h = opaque;

    if (off == 0 && size == 4)
        return h->address & ~3u;
    if (off == 1 && size == 1)
        return h->rc;
    return ~0ull;
}

/* Only dword accesses reach CONFADD; bytes go on to the ISA bridge. */
static void confadd_write(void *opaque, uint64_t off, uint64_t val, unsigned size)
{
    struct pci_host *h = opaque;

    if (off == 0 && size == 4)
        h->address = val & 0x80ffffff;
    else if (off == 1 && size == 1)
        reset_control(h, val);
}

static struct pci_device *confdata_target(struct pci_host *h)
{
    if (!(h->address & CONFIG_ENABLE))
        return NULL;
    return pci_find(h->m->pci, h->address >> 16, h->address >> 8);
}

/* Bits 1:0 of CONFADD are reserved and the port's offset selects the byte; software
 * that sets them and uses port 0xcfc alone means them, when that makes sense. */
static unsigned config_reg(const struct pci_host *h, unsigned off, unsigned size)
{
    unsigned low = (h->address & 3) | off;

    return (h->address & 0xfc) + (low + size <= 4 ? low : off);
}

static uint64_t confdata_read(void *opaque, uint64_t off, unsigned size)
{
    struct pci_host *h = opaque;
    struct pci_device *p = confdata_target(h);
    unsigned reg = config_reg(h, off, size);
    uint64_t v = p ? pci_config_read(p, reg, size) : ~0ull;

    log_ev(LOG_PCI, "config read address=%#x reg=%#x size=%u val=%#llx", h->address,
           reg, size, (unsigned long long)(v & size_mask(size)));
    return v;
}

static void confdata_write(void *opaque, uint64_t off, uint64_t val, unsigned size)
{
    struct pci_host *h = opaque;
    struct pci_device *p = confdata_target(h);
    unsigned reg = config_reg(h, off, size);

    log_ev(LOG_PCI, "config write address=%#x reg=%#x size=%u val=%#llx", h->address,
           reg, size, (unsigned long long)val);
    if (p)
        pci_config_write(p, reg, val, size);
}

static const struct io_ops confadd_ops = { confadd_read, confadd_write, 1, 4 };
static const struct io_ops confdata_ops = { confdata_read, confdata_write, 1, 4 };

void pci_host_init(struct pci_host *h, struct machine *m)
{
    h->m = m;
    port_map(m, "confadd", 0xcf8, 4, &confadd_ops, h);
    port_map(m, "confdata", 0xcfc, 4, &confdata_ops, h);
}

void pci_host_reset(struct pci_host *h)
{
    h->address = 0;
    h->rc = 0;
}
