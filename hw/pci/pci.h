/*
 * pci.h - PCI bus: configuration space, base address registers, INTx
 *
 * A PCI device's instance struct begins with struct pci_device. Its init calls
 * pci_device_init() and then the pci_bar_*() functions; its reset calls
 * pci_device_reset(). The board gives the slot through pci_setup_devfn:
 *
 *   uint8_t devfn = PCI_DEVFN(2, 0);
 *   machine_add_device(m, &vga_type, 0, NULL, pci_setup_devfn, &devfn, e);
 *
 * Source: PCI Local Bus Specification 3.0, chapter 6.
 */
#ifndef HW_PCI_PCI_H
#define HW_PCI_PCI_H

#include "hw/dma/iommu.h"

#define PCI_DEVFN(slot, fn) ((slot) << 3 | (fn))
#define PCI_SLOT(devfn)     ((devfn) >> 3)
#define PCI_FUNC(devfn)     ((devfn) & 7)

/* configuration space, type 0 header */
enum {
    PCI_VENDOR_ID = 0x00, PCI_DEVICE_ID = 0x02, PCI_COMMAND = 0x04,
    PCI_STATUS = 0x06, PCI_REVISION = 0x08, PCI_CLASS = 0x09,
    PCI_HEADER_TYPE = 0x0e, PCI_BAR0 = 0x10, PCI_SUBSYS_VENDOR = 0x2c,
    PCI_SUBSYS_ID = 0x2e, PCI_ROM_BAR = 0x30, PCI_CAP_PTR = 0x34,
    PCI_INT_LINE = 0x3c, PCI_INT_PIN = 0x3d,
};
enum {
    PCI_COMMAND_IO = 1 << 0, PCI_COMMAND_MEM = 1 << 1, PCI_COMMAND_MASTER = 1 << 2,
    PCI_COMMAND_SERR = 1 << 8, PCI_COMMAND_INTX_OFF = 1 << 10,
    PCI_STATUS_INTX = 1 << 3, PCI_STATUS_CAPS = 1 << 4,
};
enum { PCI_BAR_IO = 1, PCI_BAR_64 = 4, PCI_BAR_PREFETCH = 8 };
#define PCI_ROM_SLOT 6       /* index of the expansion ROM in bar[] */
#define PCI_ROM_ENABLE 1u

struct pci_bus;

/** struct pci_bar - one decoder; @size 0: not implemented */
struct pci_bar {
    uint64_t size;              /* bytes, power of two */
    uint8_t flags;              /* PCI_BAR_*; as read in the low bits */
    struct mem_region *mem;     /* memory: owned by the device */
    const char *name;           /* I/O */
    struct io_ops ops;
    void *opaque;
    struct port_range *ports;   /* while mapped */
    uint64_t mapped_at;         /* address decoded now, or PCI_UNMAPPED */
};
#define PCI_UNMAPPED (~0ull)

/** struct pci_info - read-only identification */
struct pci_info {
    uint16_t vendor, device;
    uint8_t revision;
    uint32_t class_code;        /* base << 16 | sub << 8 | interface */
    uint16_t subsys_vendor, subsys_id; /* 0: 1af4:1100 */
    uint8_t int_pin;            /* 0: none, 1: INTA ... 4: INTD */
    bool multifunction;
};

struct pci_device {
    struct device dev;
    struct pci_bus *target;     /* where init plugs it in; NULL: the root bus */
    struct pci_bus *bus;        /* where it is; NULL: nowhere yet */
    struct dma dma;             /* as which it reads, writes and signals */
    uint8_t devfn;
    uint8_t config[256];
    uint8_t wmask[256];         /* bits that software can write */
    uint8_t w1c[256];           /* bits that a written 1 clears */
    struct pci_bar bar[7];      /* [6]: expansion ROM */
    struct mem_region rom;
    uint8_t next_cap;           /* first free byte for a capability */
    bool intx_asserted;         /* level the device drives */
    bool messages;              /* MSI or MSI-X is on: it drives no pin */
    bool intx_on_bus;           /* what is left of the level after both masks */
    bool fixed;                 /* stays while the machine runs; set by init */
    /* called after a configuration write; may be NULL */
    void (*config_written)(struct pci_device *p, unsigned off, unsigned size);
    /* called when bus mastering has been switched on: what waited for it; may be NULL */
    void (*master_on)(struct pci_device *p);
    struct pci_device *next;
};

#define PCI_PIRQS 8      /* A..H; the PIIX3 has four */

struct pci_bus {
    struct machine *machine;
    uint8_t number;                      /* of a bridge's: what software gave it, 0: nothing */
    uint8_t n_slots;
    struct pci_device *bridge;           /* whose secondary bus it is; NULL: the root */
    struct pci_bus *children, *sibling;  /* behind bridges here; beside this one */
    bool in_reset;                       /* the bridge holds it */
    uint8_t first_slot;                  /* for cards; below: host bridge, VGA and so on */
    struct pci_device *slots[256];       /* by devfn */
    struct shadow *shadow;               /* host bridge's, hw/pci/host.h; or NULL */
    unsigned intx_count[PCI_PIRQS];      /* asserting devices a PIRQ */
    /* the board's wiring; the ISA bridge sets all three. NULL: all on PIRQ 0 */
    unsigned (*pirq_of)(const struct pci_bus *bus, uint8_t devfn, unsigned pin);
    void (*pirq_set)(void *opaque, int pirq, int level);
    void *pirq_opaque;
};

/** pci_bus_new() - the root bus of @m; stored in m->pci, freed by pci_bus_free() */
struct pci_bus *pci_bus_new(struct machine *m);
void pci_bus_free(struct pci_bus *bus);

/** pci_setup_devfn() - machine_add_device() setup; @arg: const uint8_t devfn */
void pci_setup_devfn(struct device *d, const void *arg);

/**
 * pci_device_init() - fill the header and plug @p into m->pci
 * @p->devfn: set before, by pci_setup_devfn()
 *
 * Returns 0, or -EBUSY / -ENODEV with @e set when the slot is taken or the
 * machine has no PCI bus.
 */
int pci_device_init(struct pci_device *p, const struct pci_info *info,
                    struct err *e) MUST_CHECK;
/** pci_device_reset() - RST#: command, BARs and interrupt line to 0 */
void pci_device_reset(struct pci_device *p);
/** pci_device_hide() - the slot is switched off: nothing of @p answers any more; it
 *  stays whole, for pci_device_unplug() */
void pci_device_hide(struct pci_device *p);
/** pci_device_unplug() - destroy callback's half: unmap and leave the bus */
void pci_device_unplug(struct pci_device *p);

/**
 * pci_bar_io() - declare BAR @n as @size (4..256, power of two) I/O ports
 * pci_bar_mem() - declare BAR @n as memory
 * @flags: PCI_BAR_64 (takes BAR @n + 1 too), PCI_BAR_PREFETCH
 * @r: kind, len (power of two, >= 4096 for RAM/ROM, >= 16), host or ops set by
 *   the caller, which keeps it alive; base, prio and enabled are the bus's
 */
void pci_bar_io(struct pci_device *p, unsigned n, unsigned size, const char *name,
                const struct io_ops *ops, void *opaque);
void pci_bar_mem(struct pci_device *p, unsigned n, unsigned flags, struct mem_region *r);
/** pci_rom() - expansion ROM from @image (copied; rounded up to a power of two) */
void pci_rom(struct pci_device *p, const uint8_t *image, size_t len);

/** pci_add_cap() - append a capability of @len bytes (header included);
 *  returns its offset, or 0 when configuration space is full */
uint8_t pci_add_cap(struct pci_device *p, uint8_t id, uint8_t len);

/** pci_rewire() - before (@on false) and after the ISA bridge changes what
 *  pirq_of() says: asserted pins let go and take hold again */
void pci_rewire(struct pci_bus *bus, bool on);

/** pci_irq_set() - the level the device wants on its INTx pin; masks are this file's business */
void pci_irq_set(struct pci_device *p, int level);

/** pci_use_messages() - MSI or MSI-X is @on: the pin is let go until it is off again */
void pci_use_messages(struct pci_device *p, bool on);

/** pci_config_read()/pci_config_write() - size 1, 2, 4, inside one dword;
 *  what the host bridge does for the CPU, and direct boot for itself */
uint32_t pci_config_read(struct pci_device *p, unsigned off, unsigned size);
void pci_config_write(struct pci_device *p, unsigned off, uint32_t val, unsigned size);
/** pci_free_slot() - devfn of the first free slot for a card; -1: all are taken */
int pci_free_slot(const struct pci_bus *bus);
/** pci_target() - the bus that @p is on, or will be */
struct pci_bus *pci_target(const struct pci_device *p);
/** pci_update_bars() - map what the base address registers and the bridges above say */
void pci_update_bars(struct pci_device *p);

/* ---- bridges (bridge.c) --------------------------------------------------------- */

/** pci_bridge_init() - after pci_device_init(): a type 1 header; @bus, part of the device, is behind it
 *  and has @n_slots */
void pci_bridge_init(struct pci_bus *bus, struct pci_device *bridge, unsigned n_slots);
/** pci_bridge_written() - from config_written() */
void pci_bridge_written(struct pci_bus *bus, unsigned off, unsigned size);
/** pci_bridge_reset() - after pci_device_reset(); pci_bridge_free() - before pci_device_unplug(), the bus
 *  being empty */
void pci_bridge_reset(struct pci_bus *bus);
void pci_bridge_free(struct pci_bus *bus);
/** pci_bridge_forwards() - whether all bridges above @bus let [@at, @at + @size) through */
bool pci_bridge_forwards(const struct pci_bus *bus, uint64_t at, uint64_t size, bool io);
/** pci_find() - device at bus/devfn, behind bridges as their bus numbers say, or NULL */
struct pci_device *pci_find(struct pci_bus *bus, uint8_t busnr, uint8_t devfn);

/** pci_pirq_of() - PIRQ (0: A, 7: H) behind @pin (1..4) of a slot on @bus */
unsigned pci_pirq_of(const struct pci_bus *bus, uint8_t devfn, unsigned pin);

/* chips of the i440FX board */
extern const struct device_type i440fx_type;   /* 00:00.0, ports 0xcf8..0xcff */
extern const struct device_type piix3_type;    /* 00:01.0 */
extern const struct device_type piix4_pm_type; /* 00:01.3 */

/* chips of the Q35 board */
extern const struct device_type mch_type;      /* 00:00.0, ports 0xcf8..0xcff, ECAM */
extern const struct device_type ich9_lpc_type; /* 00:1f.0 */
extern const struct device_type ich9_smb_type; /* 00:1f.3 */
#define MCH_ECAM_BASE 0xb0000000u    /* where firmware puts PCIEXBAR */
#define MCH_ECAM_LEN  0x10000000u    /* 256 buses */
#define ICH9_RCBA     0xfed1c000u    /* where firmware puts the chipset registers */
/** mch_ecam_base() - what PCIEXBAR decodes, or MCH_ECAM_BASE while it is off */
uint64_t mch_ecam_base(struct machine *m);

/** pci_shadow_set() - set read/write enables of all shadow windows
 *  @bits: 0 ROM/PCI, 1 read RAM, 2 write RAM, 3 both (direct boot does what
 *  firmware would have done) */
void pci_shadow_set(struct machine *m, unsigned bits);

#endif
