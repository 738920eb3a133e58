/*
 * virtio.h - virtio core: queues, negotiation; the PCI transport
 *
 * A device (virtio-blk, ...) embeds struct virtio_pci, fills in struct
 * virtio_ops and takes requests with virtq_pop(). Everything the driver puts
 * into a ring is checked in virtqueue.c and nowhere else; what a device gets is
 * a pair of scatter lists over guest memory (hw/dma/sg.h).
 *
 * Kept by the core:
 *  - at most queue-size requests of a queue are in flight;
 *  - a chain has at most queue-size descriptors, an indirect one VIRTQ_MAX_CHAIN;
 *  - readable buffers come before writable ones, or the device is broken;
 *  - a used length never exceeds the writable bytes of its request;
 *  - addresses and size of a queue do not change once it is enabled;
 *  - features do not change after FEATURES_OK (DRIVER_OK for legacy drivers).
 * A driver that breaks the rules sets DEVICE_NEEDS_RESET; nothing moves until
 * it resets the device.
 *
 * Source: Virtual I/O Device (VIRTIO) Version 1.2, OASIS; chapter references
 * are to it.
 */
#ifndef HW_VIRTIO_VIRTIO_H
#define HW_VIRTIO_VIRTIO_H

#include "hw/dma/sg.h"
#include "hw/doorbell.h"
#include "hw/pci/msi.h"
#include "hw/prop.h"

#define VIRTIO_MAX_QUEUES  64
#define VIRTQ_MAX_SIZE     1024
#define VIRTQ_MAX_CHAIN    1024
#define VIRTIO_NO_VECTOR   0xffff
#define VIRTIO_CONFIG_MAX  256

enum { /* device status, 2.1 */
    VIRTIO_ACKNOWLEDGE = 1, VIRTIO_DRIVER = 2, VIRTIO_DRIVER_OK = 4, VIRTIO_FEATURES_OK = 8,
    VIRTIO_NEEDS_RESET = 64, VIRTIO_FAILED = 128,
};
enum { /* feature bits of the core, chapter 6 */
    VIRTIO_F_NOTIFY_ON_EMPTY = 24, VIRTIO_F_ANY_LAYOUT = 27, VIRTIO_F_INDIRECT_DESC = 28,
    VIRTIO_F_EVENT_IDX = 29, VIRTIO_F_VERSION_1 = 32, VIRTIO_F_ACCESS_PLATFORM = 33,
    VIRTIO_F_RING_PACKED = 34,
};

struct virtio;

struct virtq {
    struct virtio *vd;
    uint16_t index;
    uint16_t size, size_max;    /* entries; size is the driver's choice */
    bool enabled;
    uint16_t vector;            /* MSI-X, or VIRTIO_NO_VECTOR */
    gpa_t desc, driver, device; /* 2.6; packed: 2.8 */
    uint16_t last_avail;        /* next entry to take */
    uint16_t used_idx;          /* next entry to fill */
    uint16_t signalled;         /* used_idx at the last interrupt */
    bool signalled_valid;
    bool avail_wrap, used_wrap; /* packed rings */
    uint16_t in_flight;         /* taken and not returned; packed: descriptors */
};

/** struct virtq_elem - a request of the driver; never copied (lists inside) */
struct virtq_elem {
    struct virtq *q;
    uint16_t id, n_desc;
    struct sg out;              /* readable by the device */
    struct sg in;               /* writable by the device */
};

struct virtio_ops {
    uint16_t id;                /* 5 */
    const char *name;
    uint32_t config_len;
    /** get_config() - fill in config_len bytes; NULL when that is 0 */
    void (*get_config)(struct virtio *v, uint8_t *config);
    /** set_config() - the driver wrote bytes; @config holds the result; may be NULL */
    void (*set_config)(struct virtio *v, const uint8_t *config);
    /** queue_notify() - there may be requests in @q */
    void (*queue_notify)(struct virtio *v, struct virtq *q);
    /** driver_ok() - DRIVER_OK has been set; features are final; may be NULL */
    void (*driver_ok)(struct virtio *v);
    /** reset() - end all requests in flight before anything is forgotten */
    void (*reset)(struct virtio *v);
};

struct virtio {
    const struct virtio_ops *ops;
    struct machine *m;
    struct dma dma;             /* past an IOMMU unless ACCESS_PLATFORM is offered */
    uint64_t host_features, guest_features;
    uint8_t status, isr;
    uint8_t config_gen;
    bool legacy;                /* this driver came through the legacy interface */
    bool busy;                  /* inside a device callback of its own */
    uint16_t config_vector;
    unsigned n_queues;
    struct virtq q[VIRTIO_MAX_QUEUES];
    /* transport: raise an interrupt; @config: about configuration, else queue */
    void (*interrupt)(struct virtio *v, uint16_t vector, bool config);
};

static inline bool virtio_has(const struct virtio *v, unsigned bit)
{
    return v->guest_features >> bit & 1;
}

/* ---- core (virtio.c) ------------------------------------------------------ */

/** virtio_init() - @host_features without the core's own bits */
void virtio_init(struct virtio *v, struct machine *m, const struct virtio_ops *ops,
                 uint64_t host_features);
/** virtio_add_queue() - one more queue of at most @size entries */
struct virtq *virtio_add_queue(struct virtio *v, uint16_t size);
/** virtio_reset() - as by the guest: no features, no queues, status 0 */
void virtio_reset(struct virtio *v);
/** virtio_set_status() - the guest wrote @status; 0 resets */
void virtio_set_status(struct virtio *v, uint8_t status);
/** virtio_set_features() - the driver's choice, half @hi; kept to what is offered */
void virtio_set_features(struct virtio *v, unsigned half, uint32_t bits);
/** virtio_live() - whether queues may be served now */
bool virtio_live(const struct virtio *v);
/** virtio_kick() - the driver notified queue @n */
void virtio_kick(struct virtio *v, unsigned n);
/** virtio_config_changed() - new generation, and an interrupt about it */
void virtio_config_changed(struct virtio *v);
/** virtio_config_read()/_write() - device configuration, sizes 1, 2, 4 */
uint32_t virtio_config_read(struct virtio *v, unsigned off, unsigned size);
void virtio_config_write(struct virtio *v, unsigned off, uint32_t val, unsigned size);
/** virtio_broken() - the driver broke the rules: stop until it resets */
void virtio_broken(struct virtio *v, const char *why);

/* ---- queues (virtqueue.c) --------------------------------------------------- */

/**
 * virtq_pop() - take the next request
 * @e: filled in; give it back with virtq_push() or, on reset, virtq_discard()
 * Returns 1; 0 when there is none (notifications are on again then), when the
 * device may not reach memory, or when it is broken.
 */
int virtq_pop(struct virtq *q, struct virtq_elem *e) MUST_CHECK;
/** virtq_unpop() - the request popped last goes back into its queue, as if it had never been taken; nothing of
 *  that queue was popped or pushed since. Its notifications may be off: whoever puts it back comes again by itself. */
void virtq_unpop(struct virtq_elem *e);
/** virtq_push() - return a request of which the first @written bytes of in are
 *  filled (clamped); virtq_notify() then tells the driver */
void virtq_push(struct virtq_elem *e, uint32_t written);
/** virtq_push_all() - return @n requests that the driver sees at once (mergeable
 *  buffers of one frame); @written is clamped */
void virtq_push_all(struct virtq_elem **e, uint32_t *written, unsigned n);
/** virtq_discard() - the request vanishes (device reset) */
void virtq_discard(struct virtq_elem *e);
/** virtq_notify() - interrupt the driver unless it asked not to be */
void virtq_notify(struct virtq *q);
/** virtq_reset() - the queue alone, to what it is after virtio_add_queue() */
void virtq_reset(struct virtq *q);

/* ---- PCI transport (virtio-pci.c) --------------------------------------------- */

struct virtio_pci {
    struct pci_device pci;
    struct virtio v;
    struct msix msix;
    struct mem_region modern;
    /* driver's selectors */
    uint32_t feature_sel[2];
    uint16_t queue_sel;
    uint8_t cfg_cap;             /* offset of the configuration access capability */
    struct doorbell bell[VIRTIO_MAX_QUEUES];
    /* properties */
    uint8_t disable_legacy;      /* enum on_off_auto */
    bool disable_modern, packed, event_idx, indirect, transitional, iommu_platform, ioeventfd;
    uint32_t vectors;            /* 0: as many as queues want */
    int32_t addr;
};

/** rows that every virtio-pci device's property table starts with */
#define VIRTIO_PCI_PROPS(st, base) \
    PROP(DEVFN, "addr", st, base.addr, NULL, 0, 0, "PCI slot[.function]"), \
    PROP(ON_OFF_AUTO, "disable-legacy", st, base.disable_legacy, "auto", 0, 0, \
         "no legacy interface (auto: there is one)"), \
    PROP(BOOL, "disable-modern", st, base.disable_modern, NULL, 0, 0, "no virtio 1 interface"), \
    PROP(BOOL, "packed", st, base.packed, NULL, 0, 0, "offer packed rings"), \
    PROP(BOOL, "event_idx", st, base.event_idx, "on", 0, 0, "offer event indexes"), \
    PROP(BOOL, "indirect_desc", st, base.indirect, "on", 0, 0, "offer indirect descriptors"), \
    PROP(BOOL, "iommu_platform", st, base.iommu_platform, NULL, 0, 0, \
         "addresses go through the IOMMU; the driver must know"), \
    PROP(BOOL, "ioeventfd", st, base.ioeventfd, "on", 0, 0, \
         "KVM hands notifications to the main loop while the guest goes on"), \
    PROP(U32, "vectors", st, base.vectors, NULL, 0, MSIX_MAX_VECTORS, \
         "MSI-X vectors (0: one a queue and one)")

/** struct virtio_pci_id - how a device shows on the bus */
struct virtio_pci_id {
    uint16_t legacy_device;     /* 0x1000...; 0: no transitional device exists */
    uint32_t class_code;
};

/** virtio_pci_is() - whether @d is of @type, or of that type's "-transitional" or "-non-transitional" form */
static inline bool virtio_pci_is(const struct device *d, const struct device_type *type)
{
    return d->type->init == type->init;
}

/**
 * virtio_pci_init() - after virtio_init() and virtio_add_queue(): plug it in
 * Returns 0 or -errno with @e set.
 */
int virtio_pci_init(struct virtio_pci *p, const struct virtio_pci_id *id, struct err *e) MUST_CHECK;
/** virtio_pci_reset(), virtio_pci_destroy() - for the device type's reset and destroy */
void virtio_pci_reset(struct virtio_pci *p);
void virtio_pci_destroy(struct virtio_pci *p);

/** device state of the transport for a fields table */
#define VIRTIO_PCI_FIELDS(st, base) \
    FIELD(BYTES, st, base.pci.config), FIELD(BYTES, st, base.msix.table), \
    FIELD(BYTES, st, base.msix.pba), FIELD(U64, st, base.v.guest_features), \
    FIELD(U8, st, base.v.status), FIELD(U8, st, base.v.isr), FIELD(U8, st, base.v.config_gen), \
    FIELD(BOOL, st, base.v.legacy), FIELD(U16, st, base.v.config_vector), \
    FIELD(BYTES, st, base.v.q), FIELD(BYTES, st, base.feature_sel), FIELD(U16, st, base.queue_sel)

extern const struct device_type virtio_blk_pci_type;
extern const struct device_type virtio_blk_pci_transitional_type, virtio_blk_pci_non_transitional_type;
extern const struct device_type virtio_rng_pci_type;
extern const struct device_type virtio_rng_pci_transitional_type, virtio_rng_pci_non_transitional_type;

#endif
