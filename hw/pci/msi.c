/*
 * msi.c - message signalled interrupts
 */
#include "hw/intc/intc.h"
#include "hw/pci/msi.h"

#define CAP_ID_MSI  0x05
#define CAP_ID_MSIX 0x11

enum { MSI_CONTROL = 2, MSI_ADDR = 4, MSI_ADDR_HIGH = 8, MSI_DATA = 12, MSI_MASK = 16,
       MSI_PENDING = 20, MSI_LEN = 24 };
enum { MSI_ENABLE = 1 << 0, MSI_MME_POS = 4, MSI_64BIT = 1 << 7, MSI_MASKABLE = 1 << 8 };

enum { MSIX_CONTROL = 2, MSIX_TABLE = 4, MSIX_PBA = 8, MSIX_LEN = 12 };
enum { MSIX_FUNC_MASK = 1 << 14, MSIX_ENABLE = 1 << 15 };
enum { ENTRY_ADDR = 0, ENTRY_DATA = 8, ENTRY_CONTROL = 12, ENTRY_BYTES = 16 };
#define ENTRY_MASKED 1u
#define PBA_AT       0x800
#define BAR_BYTES    0x1000

static bool overlaps(unsigned off, unsigned size, unsigned first, unsigned len)
{
    return off < first + len && off + size > first;
}

/* Without bus mastering the function may not put the message on the bus. */
static void send(struct pci_device *p, uint64_t addr, uint32_t data)
{
    if (dma_enabled(&p->dma))
        bus_message(p->dev.machine, p->dma.rid, addr, data);
    else
        log_guest(LOG_PCI, "devfn=%#x message without bus mastering", p->devfn);
}

/* ---- MSI -------------------------------------------------------------------------- */

static uint8_t *msi_reg(const struct msi *x, unsigned reg)
{
    return x->pci->config + x->cap + reg;
}

int msi_init(struct msi *x, struct pci_device *p, unsigned vectors, struct err *e)
{
    unsigned log2 = __builtin_ctz(vectors);

    x->pci = p;
    x->vectors = vectors;
    x->cap = pci_add_cap(p, CAP_ID_MSI, MSI_LEN);
    if (!x->cap)
        return err_set(e, -ENOSPC, "%s: no room for the MSI capability", p->dev.type->name);
    stl16(msi_reg(x, MSI_CONTROL), log2 << 1 | MSI_64BIT | MSI_MASKABLE);
    stl16(p->wmask + x->cap + MSI_CONTROL, 7 << MSI_MME_POS | MSI_ENABLE);
    stl32(p->wmask + x->cap + MSI_ADDR, 0xfffffffc);
    stl32(p->wmask + x->cap + MSI_ADDR_HIGH, 0xffffffff);
    stl16(p->wmask + x->cap + MSI_DATA, 0xffff);
    stl32(p->wmask + x->cap + MSI_MASK, (uint32_t)(BIT(vectors) - 1));
    return 0;
}

void msi_reset(struct msi *x)
{
    if (!x->cap)
        return;
    stl16(msi_reg(x, MSI_CONTROL),
          ldl16(msi_reg(x, MSI_CONTROL)) & ~(7 << MSI_MME_POS | MSI_ENABLE));
    memset(msi_reg(x, MSI_ADDR), 0, MSI_LEN - MSI_ADDR);
    pci_use_messages(x->pci, false);
}

bool msi_enabled(const struct msi *x)
{
    return x->cap && (ldl16(msi_reg(x, MSI_CONTROL)) & MSI_ENABLE);
}

/* How many vectors the guest gave us, never more than we asked for. */
static unsigned msi_allocated(const struct msi *x)
{
    unsigned mme = ldl16(msi_reg(x, MSI_CONTROL)) >> MSI_MME_POS & 7;

    return MIN(1u << mme, x->vectors);
}

void msi_notify(struct msi *x, unsigned n)
{
    unsigned have;
    uint64_t addr;

    if (!msi_enabled(x))
        return;
    have = msi_allocated(x);
    n &= have - 1;
    if (ldl32(msi_reg(x, MSI_MASK)) >> n & 1) {
        stl32(msi_reg(x, MSI_PENDING), ldl32(msi_reg(x, MSI_PENDING)) | 1u << n);
        return;
    }
    addr = ldl32(msi_reg(x, MSI_ADDR)) | (uint64_t)ldl32(msi_reg(x, MSI_ADDR_HIGH)) << 32;
    send(x->pci, addr, (ldl16(msi_reg(x, MSI_DATA)) & ~(have - 1)) | n);
}

void msi_written(struct msi *x, unsigned off, unsigned size)
{
    uint32_t due;

    if (!x->cap || !overlaps(off, size, x->cap, MSI_LEN))
        return;
    pci_use_messages(x->pci, msi_enabled(x));
    if (!msi_enabled(x))
        return;
    due = ldl32(msi_reg(x, MSI_PENDING)) & ~ldl32(msi_reg(x, MSI_MASK));
    stl32(msi_reg(x, MSI_PENDING), ldl32(msi_reg(x, MSI_PENDING)) & ~due);
    for (; due; due &= due - 1)
        msi_notify(x, __builtin_ctz(due));
}

/* ---- MSI-X ------------------------------------------------------------------------- */

static uint16_t msix_control(const struct msix *x)
{
    return x->cap ? ldl16(x->pci->config + x->cap + MSIX_CONTROL) : 0;
}

bool msix_enabled(const struct msix *x)
{
    return msix_control(x) & MSIX_ENABLE;
}

static bool msix_masked(const struct msix *x, unsigned n)
{
    return (msix_control(x) & MSIX_FUNC_MASK) ||
           (ldl32(x->table + n * ENTRY_BYTES + ENTRY_CONTROL) & ENTRY_MASKED);
}

void msix_notify(struct msix *x, unsigned n)
{
    const uint8_t *entry = x->table + n * ENTRY_BYTES;

    if (n >= x->vectors || !msix_enabled(x))
        return;
    if (msix_masked(x, n)) {
        x->pba[n / 8] |= 1 << n % 8;
        return;
    }
    send(x->pci, ldl64(entry + ENTRY_ADDR), ldl32(entry + ENTRY_DATA));
}

/* Vector @n may have been unmasked. */
static void msix_fire(struct msix *x, unsigned n)
{
    if (!(x->pba[n / 8] >> n % 8 & 1) || !msix_enabled(x) || msix_masked(x, n))
        return;
    x->pba[n / 8] &= ~(1 << n % 8);
    msix_notify(x, n);
}

void msix_written(struct msix *x, unsigned off, unsigned size)
{
    if (!x->cap || !overlaps(off, size, x->cap, MSIX_LEN))
        return;
    pci_use_messages(x->pci, msix_enabled(x));
    for (unsigned n = 0; n < x->vectors; n++)
        msix_fire(x, n);
}

static uint64_t msix_mem_read(void *opaque, uint64_t off, unsigned size)
{
    struct msix *x = opaque;
    uint64_t v = 0;

    if (off + size <= x->vectors * (uint64_t)ENTRY_BYTES)
        memcpy(&v, x->table + off, size);
    else if (off >= PBA_AT && off + size <= PBA_AT + sizeof x->pba)
        memcpy(&v, x->pba + (off - PBA_AT), size);
    return v;
}

static void msix_mem_write(void *opaque, uint64_t off, uint64_t val, unsigned size)
{
    struct msix *x = opaque;

    if (off + size > x->vectors * (uint64_t)ENTRY_BYTES)
        return;                          /* the PBA is read-only */
    memcpy(x->table + off, &val, size);
    msix_fire(x, off / ENTRY_BYTES);
}

static const struct io_ops msix_ops = { msix_mem_read, msix_mem_write, 4, 8 };

int msix_init(struct msix *x, struct pci_device *p, unsigned bar, unsigned vectors,
              struct err *e)
{
    assert(vectors >= 1 && vectors <= MSIX_MAX_VECTORS);
    x->pci = p;
    x->vectors = vectors;
    x->cap = pci_add_cap(p, CAP_ID_MSIX, MSIX_LEN);
    if (!x->cap)
        return err_set(e, -ENOSPC, "%s: no room for the MSI-X capability", p->dev.type->name);
    stl16(p->config + x->cap + MSIX_CONTROL, vectors - 1);
    stl16(p->wmask + x->cap + MSIX_CONTROL, MSIX_ENABLE | MSIX_FUNC_MASK);
    stl32(p->config + x->cap + MSIX_TABLE, bar);
    stl32(p->config + x->cap + MSIX_PBA, PBA_AT | bar);
    x->mem = (struct mem_region){ .name = "msix", .len = BAR_BYTES, .kind = MEM_MMIO,
                                  .ops = &msix_ops, .opaque = x };
    pci_bar_mem(p, bar, 0, &x->mem);
    msix_reset(x);
    return 0;
}

void msix_reset(struct msix *x)
{
    if (!x->cap)
        return;
    stl16(x->pci->config + x->cap + MSIX_CONTROL, x->vectors - 1);
    pci_use_messages(x->pci, false);
    memset(x->table, 0, sizeof x->table);
    memset(x->pba, 0, sizeof x->pba);
    for (unsigned n = 0; n < x->vectors; n++)
        stl32(x->table + n * ENTRY_BYTES + ENTRY_CONTROL, ENTRY_MASKED);
}
