/*
 * virtio-pci.c - virtio over PCI: modern, legacy and transitional devices
 *
 * BAR 0: legacy registers (I/O)          BAR 1: MSI-X
 * BAR 4: modern registers (memory, 64-bit, prefetchable)
 *   0x0000 common configuration   0x1000 ISR
 *   0x2000 device configuration   0x3000 notification, 4 bytes a queue
 *
 * Source: VIRTIO 1.2, 4.1.
 */
#include "hw/virtio/virtio.h"

#define VENDOR_VIRTIO   0x1af4
#define MODERN_DEVICE   0x1040
#define CAP_ID_VENDOR   0x09

enum { BAR_LEGACY = 0, BAR_MSIX = 1, BAR_MODERN = 4 };
enum { COMMON_AT = 0x0000, ISR_AT = 0x1000, DEVICE_AT = 0x2000, NOTIFY_AT = 0x3000,
       MODERN_BYTES = 0x4000, PART_BYTES = 0x1000 };
enum { CAP_COMMON = 1, CAP_NOTIFY, CAP_ISR, CAP_DEVICE, CAP_PCI };
enum { NOTIFY_MULTIPLIER = 4 };
enum { ISR_QUEUE = 1, ISR_CONFIG = 2 };

enum { /* common configuration, 4.1.4.3 */
    C_DEVICE_FEATURE_SEL = 0x00, C_DEVICE_FEATURE = 0x04, C_DRIVER_FEATURE_SEL = 0x08,
    C_DRIVER_FEATURE = 0x0c, C_CONFIG_VECTOR = 0x10, C_NUM_QUEUES = 0x12, C_STATUS = 0x14,
    C_GENERATION = 0x15, C_QUEUE_SEL = 0x16, C_QUEUE_SIZE = 0x18, C_QUEUE_VECTOR = 0x1a,
    C_QUEUE_ENABLE = 0x1c, C_QUEUE_NOTIFY_OFF = 0x1e, C_QUEUE_DESC = 0x20,
    C_QUEUE_DRIVER = 0x28, C_QUEUE_DEVICE = 0x30, C_END = 0x38,
};
enum { /* legacy registers, 4.1.4.8 */
    L_DEVICE_FEATURES = 0, L_DRIVER_FEATURES = 4, L_QUEUE_PFN = 8, L_QUEUE_SIZE = 12,
    L_QUEUE_SEL = 14, L_QUEUE_NOTIFY = 16, L_STATUS = 18, L_ISR = 19,
    L_CONFIG_VECTOR = 20, L_QUEUE_VECTOR = 22, L_CONFIG = 20, L_CONFIG_MSIX = 24,
};
#define LEGACY_PAGE 4096u

static struct virtio_pci *pci_of(struct virtio *v)
{
    return container_of(v, struct virtio_pci, v);
}

static struct virtq *selected(struct virtio_pci *p)
{
    return p->queue_sel < p->v.n_queues ? &p->v.q[p->queue_sel] : NULL;
}

/* ---- interrupts -------------------------------------------------------------------- */

static void pci_interrupt(struct virtio *v, uint16_t vector, bool config)
{
    struct virtio_pci *p = pci_of(v);

    if (msix_enabled(&p->msix)) {
        if (vector != VIRTIO_NO_VECTOR)
            msix_notify(&p->msix, vector);
        return;
    }
    v->isr |= config ? ISR_QUEUE | ISR_CONFIG : ISR_QUEUE;
    pci_irq_set(&p->pci, 1);
}

/* Reading acknowledges. */
static uint8_t isr_read(struct virtio_pci *p)
{
    uint8_t isr = p->v.isr;

    p->v.isr = 0;
    pci_irq_set(&p->pci, 0);
    return isr;
}

/* What cannot be had reads back as "none". */
static uint16_t check_vector(struct virtio_pci *p, uint16_t vector)
{
    return vector < p->msix.vectors ? vector : VIRTIO_NO_VECTOR;
}

/* ---- queues -------------------------------------------------------------------------- */

/* Addresses and size are fixed once a queue is enabled or the driver is done. */
static bool queue_frozen(struct virtio_pci *p, const struct virtq *q)
{
    if (!q->enabled && !(p->v.status & VIRTIO_DRIVER_OK))
        return false;
    log_guest(LOG_PCI, "%s queue=%u registers written while in use", p->v.ops->name, q->index);
    return true;
}

static void set_queue_size(struct virtio_pci *p, struct virtq *q, uint16_t size)
{
    bool pow2 = size && !(size & (size - 1));

    if (queue_frozen(p, q))
        return;
    if (size && size <= q->size_max && (pow2 || virtio_has(&p->v, VIRTIO_F_RING_PACKED)))
        q->size = size;
    else
        log_guest(LOG_PCI, "%s queue=%u size=%u refused", p->v.ops->name, q->index, size);
}

static void enable_queue(struct virtio_pci *p, struct virtq *q, uint16_t val)
{
    if (val == 1 && !queue_frozen(p, q))
        q->enabled = true;
}

static void set_queue_address(struct virtio_pci *p, struct virtq *q, unsigned off, uint32_t val)
{
    gpa_t *a = off < C_QUEUE_DRIVER ? &q->desc : off < C_QUEUE_DEVICE ? &q->driver : &q->device;

    if (queue_frozen(p, q))
        return;
    if (off & 4)
        *a = (*a & 0xffffffff) | (gpa_t)val << 32;
    else
        *a = (*a & ~0xffffffffull) | val;
}

/* ---- modern registers ------------------------------------------------------------------ */

static uint32_t common_queue_read(struct virtio_pci *p, unsigned off)
{
    struct virtq *q = selected(p);

    if (!q)
        return 0;
    switch (off) {
    case C_QUEUE_SIZE:
        return q->size;
    case C_QUEUE_VECTOR:
        return q->vector;
    case C_QUEUE_ENABLE:
        return q->enabled;
    case C_QUEUE_NOTIFY_OFF:
        return q->index;
    case C_QUEUE_DESC:
        return q->desc;
    case C_QUEUE_DESC + 4:
        return q->desc >> 32;
    case C_QUEUE_DRIVER:
        return q->driver;
    case C_QUEUE_DRIVER + 4:
        return q->driver >> 32;
    case C_QUEUE_DEVICE:
        return q->device;
    case C_QUEUE_DEVICE + 4:
        return q->device >> 32;
    }
    return 0;
}

static uint32_t common_read(struct virtio_pci *p, unsigned off)
{
    const struct virtio *v = &p->v;

    switch (off) {
    case C_DEVICE_FEATURE_SEL:
        return p->feature_sel[0];
    case C_DEVICE_FEATURE:
        return p->feature_sel[0] < 2 ? v->host_features >> (32 * p->feature_sel[0]) : 0;
    case C_DRIVER_FEATURE_SEL:
        return p->feature_sel[1];
    case C_DRIVER_FEATURE:
        return p->feature_sel[1] < 2 ? v->guest_features >> (32 * p->feature_sel[1]) : 0;
    case C_CONFIG_VECTOR:
        return v->config_vector;
    case C_NUM_QUEUES:
        return v->n_queues;
    case C_STATUS:
        return v->status;
    case C_GENERATION:
        return v->config_gen;
    case C_QUEUE_SEL:
        return p->queue_sel;
    default:
        return common_queue_read(p, off);
    }
}

static void common_queue_write(struct virtio_pci *p, unsigned off, uint32_t val)
{
    struct virtq *q = selected(p);

    if (!q)
        return;
    if (off == C_QUEUE_SIZE)
        set_queue_size(p, q, val);
    else if (off == C_QUEUE_VECTOR)
        q->vector = check_vector(p, val);
    else if (off == C_QUEUE_ENABLE)
        enable_queue(p, q, val);
    else if (off >= C_QUEUE_DESC && off < C_END)
        set_queue_address(p, q, off, val);
}

static void common_write(struct virtio_pci *p, unsigned off, uint32_t val)
{
    p->v.legacy = false;
    switch (off) {
    case C_DEVICE_FEATURE_SEL:
        p->feature_sel[0] = val;
        break;
    case C_DRIVER_FEATURE_SEL:
        p->feature_sel[1] = val;
        break;
    case C_DRIVER_FEATURE:
        virtio_set_features(&p->v, p->feature_sel[1], val);
        break;
    case C_CONFIG_VECTOR:
        p->v.config_vector = check_vector(p, val);
        break;
    case C_STATUS:
        virtio_set_status(&p->v, val);
        if (!p->v.status)
            pci_irq_set(&p->pci, 0);
        break;
    case C_QUEUE_SEL:
        p->queue_sel = val;
        break;
    default:
        common_queue_write(p, off, val);
        break;
    }
}

/* Width of the register at @off: accesses of any other width do nothing. */
static unsigned common_width(unsigned off)
{
    if (off == C_STATUS || off == C_GENERATION)
        return 1;
    return off >= C_CONFIG_VECTOR && off < C_QUEUE_DESC ? 2 : 4;
}

static uint64_t modern_read(void *opaque, uint64_t off, unsigned size)
{
    struct virtio_pci *p = opaque;

    switch (off & ~(uint64_t)(PART_BYTES - 1)) {
    case COMMON_AT:
        if (off & (common_width(off) - 1))
            return 0;
        return common_read(p, off) & size_mask(size);
    case ISR_AT:
        return off == ISR_AT ? isr_read(p) : 0;
    case DEVICE_AT:
        return virtio_config_read(&p->v, off - DEVICE_AT, size);
    default:
        return 0;
    }
}

static void modern_write(void *opaque, uint64_t off, uint64_t val, unsigned size)
{
    struct virtio_pci *p = opaque;

    switch (off & ~(uint64_t)(PART_BYTES - 1)) {
    case COMMON_AT:
        if (size == common_width(off))
            common_write(p, off, val);
        else
            log_guest(LOG_PCI, "%s common off=%#llx size=%u", p->v.ops->name,
                      (unsigned long long)off, size);
        break;
    case DEVICE_AT:
        virtio_config_write(&p->v, off - DEVICE_AT, val, size);
        break;
    case NOTIFY_AT:
        virtio_kick(&p->v, (off - NOTIFY_AT) / NOTIFY_MULTIPLIER);
        break;
    }
}

static const struct io_ops modern_ops = { modern_read, modern_write, 1, 4 };

/* ---- legacy registers -------------------------------------------------------------------- */

static unsigned legacy_config_at(struct virtio_pci *p)
{
    return msix_enabled(&p->msix) ? L_CONFIG_MSIX : L_CONFIG;
}

/* Descriptors, available ring, used ring on the next page: 2.7.2 */
static void legacy_set_pfn(struct virtio_pci *p, struct virtq *q, uint32_t pfn)
{
    gpa_t base = (gpa_t)pfn * LEGACY_PAGE;

    if (!pfn && !(p->v.status & VIRTIO_DRIVER_OK)) {
        uint16_t vector = q->vector;

        if (q->in_flight)
            return;
        virtq_reset(q);
        q->vector = vector;
        return;
    }
    if (!pfn || queue_frozen(p, q))
        return;
    q->desc = base;
    q->driver = base + 16 * q->size;
    q->device = align_up(q->driver + 2 * (3 + q->size), LEGACY_PAGE);
    q->enabled = true;
}

static uint64_t legacy_read(void *opaque, uint64_t off, unsigned size)
{
    struct virtio_pci *p = opaque;
    struct virtq *q = selected(p);

    if (off >= legacy_config_at(p))
        return virtio_config_read(&p->v, off - legacy_config_at(p), size);
    switch (off) {
    case L_DEVICE_FEATURES:
        return (uint32_t)p->v.host_features;
    case L_DRIVER_FEATURES:
        return (uint32_t)p->v.guest_features;
    case L_QUEUE_PFN:
        return q && q->enabled ? q->desc / LEGACY_PAGE : 0;
    case L_QUEUE_SIZE:
        return q ? q->size_max : 0;
    case L_QUEUE_SEL:
        return p->queue_sel;
    case L_STATUS:
        return p->v.status;
    case L_ISR:
        return isr_read(p);
    case L_CONFIG_VECTOR:
        return p->v.config_vector;
    case L_QUEUE_VECTOR:
        return q ? q->vector : VIRTIO_NO_VECTOR;
    }
    return 0;
}

/* Legacy drivers need not know of bus mastering: devices before virtio 1 did not look at the bit, and Linux
 * before 2.6.34 leaves it off. So that it is true, the device sets it for them. */
static void legacy_master(struct virtio_pci *p)
{
    stl16(p->pci.config + PCI_COMMAND, ldl16(p->pci.config + PCI_COMMAND) | PCI_COMMAND_MASTER);
}

static void legacy_reg_write(struct virtio_pci *p, unsigned off, uint32_t val)
{
    struct virtq *q = selected(p);

    switch (off) {
    case L_DRIVER_FEATURES:
        virtio_set_features(&p->v, 0, val);
        break;
    case L_QUEUE_PFN:
        if (q)
            legacy_set_pfn(p, q, val);
        break;
    case L_QUEUE_SEL:
        p->queue_sel = val;
        break;
    case L_QUEUE_NOTIFY:
        virtio_kick(&p->v, val & 0xffff);
        break;
    case L_STATUS:
        if (val & VIRTIO_DRIVER)
            legacy_master(p);
        virtio_set_status(&p->v, val);
        if (!p->v.status)
            pci_irq_set(&p->pci, 0);
        break;
    case L_CONFIG_VECTOR:
        p->v.config_vector = check_vector(p, val);
        break;
    case L_QUEUE_VECTOR:
        if (q)
            q->vector = check_vector(p, val);
        break;
    }
}

static void legacy_write(void *opaque, uint64_t off, uint64_t val, unsigned size)
{
    struct virtio_pci *p = opaque;

    p->v.legacy = true;
    if (off >= legacy_config_at(p))
        virtio_config_write(&p->v, off - legacy_config_at(p), val, size);
    else
        legacy_reg_write(p, off, val);
}

static const struct io_ops legacy_ops = { legacy_read, legacy_write, 1, 4 };

/* ---- capabilities -------------------------------------------------------------------------- */

static uint8_t add_cap(struct virtio_pci *p, uint8_t type, uint32_t off, uint32_t len, uint8_t bytes)
{
    uint8_t at = pci_add_cap(&p->pci, CAP_ID_VENDOR, bytes), *c = p->pci.config + at;

    if (!at)
        return 0;
    c[2] = bytes;
    c[3] = type;
    c[4] = BAR_MODERN;
    stl32(c + 8, off);
    stl32(c + 12, len);
    return at;
}

static void add_modern(struct virtio_pci *p)
{
    uint8_t notify;

    p->modern = (struct mem_region){ .name = "virtio-modern", .len = MODERN_BYTES,
                                     .kind = MEM_MMIO, .ops = &modern_ops, .opaque = p };
    pci_bar_mem(&p->pci, BAR_MODERN, PCI_BAR_64 | PCI_BAR_PREFETCH, &p->modern);
    add_cap(p, CAP_COMMON, COMMON_AT, PART_BYTES, 16);
    add_cap(p, CAP_ISR, ISR_AT, PART_BYTES, 16);
    if (p->v.ops->config_len)
        add_cap(p, CAP_DEVICE, DEVICE_AT, PART_BYTES, 16);
    notify = add_cap(p, CAP_NOTIFY, NOTIFY_AT, PART_BYTES, 20);
    stl32(p->pci.config + notify + 16, NOTIFY_MULTIPLIER);
    p->cfg_cap = add_cap(p, CAP_PCI, 0, 0, 20);
    memset(p->pci.wmask + p->cfg_cap + 4, 0xff, 1);
    memset(p->pci.wmask + p->cfg_cap + 8, 0xff, 12);
}

/* Access to BAR 4 through configuration space, 4.1.4.9: for firmware that has
 * not mapped it. Reads take effect when the window's registers are written. */
static void cfg_window(struct virtio_pci *p, unsigned off, unsigned size)
{
    uint8_t *c = p->pci.config + p->cfg_cap;
    uint32_t at = ldl32(c + 8), len = ldl32(c + 12);
    bool wrote = off >= p->cfg_cap + 16u && off < p->cfg_cap + 20u;

    if (!p->cfg_cap || off + size <= p->cfg_cap + 4u || off >= p->cfg_cap + 20u)
        return;
    if (c[4] != BAR_MODERN || (len != 1 && len != 2 && len != 4) || at & (len - 1) ||
        at > MODERN_BYTES - len)
        return;
    if (wrote)
        modern_write(p, at, ldl32(c + 16) & size_mask(len), len);
}

/* The data register reads what the window shows at that moment; it is kept
 * fresh whenever the window moves, which is what drivers do before they read. */
static void cfg_refresh(struct virtio_pci *p, unsigned off)
{
    uint8_t *c = p->pci.config + p->cfg_cap;
    uint32_t at = ldl32(c + 8), len = ldl32(c + 12);

    if (!p->cfg_cap || off < p->cfg_cap + 4u || off >= p->cfg_cap + 16u || c[4] != BAR_MODERN)
        return;
    if ((len == 1 || len == 2 || len == 4) && !(at & (len - 1)) && at <= MODERN_BYTES - len)
        stl32(c + 16, modern_read(p, at, len));
}

static void config_written(struct pci_device *pci, unsigned off, unsigned size)
{
    struct virtio_pci *p = container_of(pci, struct virtio_pci, pci);

    msix_written(&p->msix, off, size);
    cfg_window(p, off, size);
    cfg_refresh(p, off);
}

/* Notifications that came before. */
static void master_on(struct pci_device *pci)
{
    struct virtio_pci *p = container_of(pci, struct virtio_pci, pci);

    for (unsigned n = 0; n < p->v.n_queues; n++)
        virtio_kick(&p->v, n);
}

/* ---- life ------------------------------------------------------------------------------------- */

static void core_features(struct virtio_pci *p)
{
    uint64_t f = p->v.host_features;

    if (p->indirect)
        f |= BIT(VIRTIO_F_INDIRECT_DESC);
    if (p->event_idx)
        f |= BIT(VIRTIO_F_EVENT_IDX);
    if (!p->disable_modern) {
        f |= BIT(VIRTIO_F_VERSION_1);
        if (p->packed)
            f |= BIT(VIRTIO_F_RING_PACKED);
        if (p->iommu_platform)
            f |= BIT(VIRTIO_F_ACCESS_PLATFORM);
    }
    if (p->transitional)
        f |= BIT(VIRTIO_F_NOTIFY_ON_EMPTY) | BIT(VIRTIO_F_ANY_LAYOUT);
    p->v.host_features = f;
}

static unsigned wanted_vectors(const struct virtio_pci *p)
{
    unsigned n = p->vectors ? p->vectors : p->v.n_queues + 1;

    return MIN(n, (unsigned)MSIX_MAX_VECTORS);
}

static void ring(void *opaque, unsigned n)
{
    virtio_kick(opaque, n);
}

/* Writes to both notification registers, as an accelerator may take them. */
static void add_doorbells(struct virtio_pci *p, bool legacy)
{
    for (unsigned n = 0; n < p->v.n_queues; n++) {
        p->bell[n] = (struct doorbell){ .ring = ring, .opaque = &p->v, .n = n };
        if (!p->disable_modern) {
            p->bell[n].mem = &p->modern;
            p->bell[n].mem_off = NOTIFY_AT + NOTIFY_MULTIPLIER * n;
        }
        if (legacy) {
            p->bell[n].ports = &p->pci.bar[BAR_LEGACY].ports;
            p->bell[n].port_off = L_QUEUE_NOTIFY;
            p->bell[n].value = n;
        }
        doorbell_add(p->v.m, &p->bell[n]);
    }
}

/* Types whose names say which interfaces there are, against properties that say otherwise. */
static int interfaces_by_name(struct virtio_pci *p, struct err *e)
{
    const char *name = p->pci.dev.type->name, *form = strstr(name, "-pci-");
    bool old;

    if (!form)
        return 0;
    old = !strcmp(form, "-pci-transitional");
    if (p->disable_modern || p->disable_legacy == (old ? ON_OFF_AUTO_ON : ON_OFF_AUTO_OFF))
        return err_set(e, -EINVAL, "%s: disable-legacy and disable-modern are decided by its name", name);
    p->disable_legacy = old ? ON_OFF_AUTO_OFF : ON_OFF_AUTO_ON;
    return 0;
}

int virtio_pci_init(struct virtio_pci *p, const struct virtio_pci_id *id, struct err *e)
{
    struct pci_info info = { .vendor = VENDOR_VIRTIO, .class_code = id->class_code,
                             .subsys_vendor = VENDOR_VIRTIO, .int_pin = 1 };
    int ret = interfaces_by_name(p, e);
    bool legacy = id->legacy_device && p->disable_legacy != ON_OFF_AUTO_ON;
    unsigned io = 64;

    if (ret < 0)
        return ret;
    if (!legacy && p->disable_modern)
        return err_set(e, -EINVAL, "%s: disable-legacy and disable-modern leave no interface",
                       p->pci.dev.type->name);
    p->transitional = legacy;
    info.device = legacy ? id->legacy_device : MODERN_DEVICE + p->v.ops->id;
    info.revision = legacy ? 0 : 1;
    info.subsys_id = legacy ? p->v.ops->id : 0x1100;
    core_features(p);
    p->v.interrupt = pci_interrupt;
    ret = pci_device_init(&p->pci, &info, e);
    if (ret < 0)
        return ret;
    p->v.dma = p->pci.dma;
    p->v.dma.bypass = !p->iommu_platform;
    while (io < L_CONFIG_MSIX + p->v.ops->config_len)
        io *= 2;
    if (legacy)
        pci_bar_io(&p->pci, BAR_LEGACY, io, "virtio-legacy", &legacy_ops, p);
    ret = msix_init(&p->msix, &p->pci, BAR_MSIX, wanted_vectors(p), e);
    if (ret < 0)
        return ret;
    if (!p->disable_modern)
        add_modern(p);
    p->pci.config_written = config_written;
    p->pci.master_on = master_on;
    if (p->ioeventfd)
        add_doorbells(p, legacy);
    return 0;
}

void virtio_pci_reset(struct virtio_pci *p)
{
    virtio_reset(&p->v);
    p->feature_sel[0] = p->feature_sel[1] = 0;
    p->queue_sel = 0;
    msix_reset(&p->msix);
    pci_device_reset(&p->pci);
}

void virtio_pci_destroy(struct virtio_pci *p)
{
    for (unsigned n = 0; n < p->v.n_queues; n++)
        doorbell_remove(p->v.m, &p->bell[n]);
    pci_device_unplug(&p->pci);
}
