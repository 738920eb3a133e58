/*
 * hw.h - the machine and its devices: memory map, ports, interrupt lines,
 * device types, time, run state
 *
 * A device does not know which accelerator runs the CPUs, nor what display or
 * character back end is behind it. All device callbacks run with the machine
 * lock held (machine_lock()); the lock is recursive.
 */
#ifndef HW_HW_H
#define HW_HW_H

#include <pthread.h>
#include "util/util.h"

struct machine;
struct device;

/* ---- guest physical memory ------------------------------------------- */

/**
 * struct io_ops - register access of a device
 * @min_bytes/@max_bytes: access sizes the device decodes (powers of two; 0: 1
 *   and 4). Wider accesses are split and narrower ones widened by the bus code:
 *   a read narrower than min reads min bytes and shifts; a write narrower than
 *   min is passed on with its own size.
 * @off: offset from the start of the region; always off + size <= region length
 */
struct io_ops {
    uint64_t (*read)(void *opaque, uint64_t off, unsigned size);
    void (*write)(void *opaque, uint64_t off, uint64_t val, unsigned size);
    uint8_t min_bytes, max_bytes;
};

enum mem_kind { MEM_RAM, MEM_ROM, MEM_MMIO };

/**
 * struct mem_region - a range of guest physical addresses
 * Filled by its owner, then given to mem_add(). Where regions overlap the
 * higher @prio wins (RAM 0, ROM 1, devices 2, shadow windows 3).
 * @host: RAM and ROM: the bytes, page aligned, at least @len of them
 * @dirty: RAM: set by mem_track(), before mem_add(); else NULL
 * Owner keeps the struct alive while it is in the map.
 */
struct mem_region {
    const char *name;
    gpa_t base;
    uint64_t len;          /* RAM/ROM: multiple of 4096 */
    enum mem_kind kind;
    int prio;
    bool enabled;
    uint8_t *host;
    const struct io_ops *ops;  /* MMIO; ROM: only write, for flash chips, or NULL */
    void *opaque;
    struct mem_dirty *dirty;
    struct mem_region *next; /* owned by the map */
};

/** struct mem_flat - one piece of the resolved map; pieces are sorted, disjoint */
struct mem_flat {
    gpa_t base;
    uint64_t len;
    struct mem_region *region;
    uint64_t offset;       /* of @base in region */
};

/** struct mem_listener - told when the map or RAM contents change */
struct mem_listener {
    void (*map_changed)(void *opaque);                     /* after a rebuild */
    void (*ram_written)(void *opaque, gpa_t gpa, uint64_t len); /* by a device */
    /** watch() - the next write to any page whose mem_dirty.written is 0 must set
     *  it; returns a ticket. May be NULL, like watching(). */
    uint64_t (*watch)(void *opaque);
    /** watching() - whether that holds since @ticket for every vCPU; until then
     *  writes to those pages may go unnoticed */
    bool (*watching)(void *opaque, uint64_t ticket);
    /** dirty_sync() - mem_dirty.written of @r is to be true now; may be NULL */
    void (*dirty_sync)(void *opaque, struct mem_region *r);
    void *opaque;
    struct mem_listener *next;
};

struct mem_map {
    struct mem_region *regions;
    struct mem_flat *flat;
    size_t n_flat;
    struct mem_listener *listeners;
    uint64_t a20_mask;     /* ~0 or ~(1 << 20); applied by the CPU side */
    uint32_t generation;   /* counts rebuilds */
};

/** mem_add()/mem_remove() - put a region into the map / take it out */
void mem_add(struct mem_map *mm, struct mem_region *r);
void mem_remove(struct mem_map *mm, struct mem_region *r);
/** mem_update() - after changing base/len/enabled/kind/host of regions in the map */
void mem_update(struct mem_map *mm);
void mem_listen(struct mem_map *mm, struct mem_listener *l);
/** mem_find() - piece that holds @gpa, or NULL (open bus: reads all ones) */
const struct mem_flat *mem_find(const struct mem_map *mm, gpa_t gpa);

/** mem_read()/mem_write() - any length, RAM/ROM/MMIO, as a device or the
 *  monitor sees memory; ROM writes are dropped; never fails (open bus).
 *  mem_write() tells the listeners about RAM. */
void mem_read(struct mem_map *mm, gpa_t gpa, void *buf, uint64_t len);
void mem_write(struct mem_map *mm, gpa_t gpa, const void *buf, uint64_t len);
/** mmio_read()/mmio_write() - one CPU access, size 1, 2, 4, 8; caller holds the lock */
uint64_t mmio_read(struct mem_map *mm, gpa_t gpa, unsigned size);
void mmio_write(struct mem_map *mm, gpa_t gpa, uint64_t val, unsigned size);

/**
 * mem_host() - the bytes at @gpa, for transfers without a copy
 * @len: wanted; reduced to what lies there in one piece
 * @write: the caller is going to write: RAM only; else RAM or ROM
 *
 * Returns NULL when there is no memory at @gpa (a device, nothing). The pointer
 * stays valid as long as the machine. After a write: mem_dirtied().
 */
uint8_t *mem_host(struct mem_map *mm, gpa_t gpa, uint64_t *len, bool write);
/** mem_dirtied() - RAM was written through mem_host(): tells the listeners */
void mem_dirtied(struct mem_map *mm, gpa_t gpa, uint64_t len);

/**
 * ram_discard() - the guest gave up [@gpa, @gpa + @len): the host may use that memory
 * What is no guest RAM, and pages that are not covered whole, stay. Contents become zeroes (of
 * -mem-path FILE: what the file holds). Told to listeners as written.
 */
void ram_discard(struct machine *m, gpa_t gpa, uint64_t len);

/* ---- pages of a region that were written ---------------------------------- */

/**
 * struct mem_dirty - which 4 KiB pages of a RAM region were written, for one reader
 * Writes by vCPUs cost nothing but the first to a page after it was taken.
 */
struct mem_dirty {
    uint8_t *written;    /* a byte a page; atomic */
    uint8_t *settling;   /* pages taken, which may yet be written unnoticed */
    size_t n_pages;
    bool any_settling;
    uint64_t ticket;     /* from watch(), of those */
};

/** mem_track() - start recording writes to @r (RAM, not yet in the map); all pages
 *  count as written. mem_untrack() frees; @r is out of the map. */
void mem_track(struct mem_region *r);
void mem_untrack(struct mem_region *r);
/** mem_dirty_set() - the owner itself wrote to r->host; a range beyond its end is cut */
void mem_dirty_set(struct mem_region *r, uint64_t off, uint64_t len);
/**
 * mem_dirty_take() - which pages were written since they were last taken
 * @page, @n: range of pages inside @r
 * @out: @n bytes, set to 0 or 1
 *
 * Returns whether any was. A page is reported at least once after each write to
 * it, often twice: a vCPU may write while it is on its way to notice. Contents are to be
 * read after this call. Machine lock held.
 */
bool mem_dirty_take(struct mem_map *mm, struct mem_region *r, size_t page, size_t n,
                    uint8_t *out);

/* DMA from a device: the same, named so that it reads as what it is. Disk and
 * network controllers use hw/dma/sg.h, which never reaches device registers. */
#define dma_read(m, gpa, buf, len) mem_read(&(m)->mem, gpa, buf, len)
#define dma_write(m, gpa, buf, len) mem_write(&(m)->mem, gpa, buf, len)

/* ---- I/O ports --------------------------------------------------------- */

/** port_map() - claim @len ports from @port; the last claim of a port wins
 *  Returns a handle for port_unmap(), owned by the machine. */
struct port_range;
struct port_range *port_map(struct machine *m, const char *name, uint16_t port,
                            unsigned len, const struct io_ops *ops, void *opaque);
void port_unmap(struct machine *m, struct port_range *r);
/** port_set_strings() - @read gives what the next @n calls of io_ops.read() would, to @buf, and returns for
 *  how many that was done. Only the last of them may do anything else, such as raise an interrupt. */
void port_set_strings(struct port_range *r,
                      unsigned (*read)(void *opaque, uint64_t off, unsigned size, void *buf, unsigned n));
/** port_at() - the port of @r's @off, or -1 when another range answers there */
int port_at(const struct machine *m, const struct port_range *r, unsigned off);
/** port_read()/port_write() - one CPU access, size 1, 2, 4; unclaimed reads all
 *  ones; takes the machine lock */
uint32_t port_read(struct machine *m, uint16_t port, unsigned size);
void port_write(struct machine *m, uint16_t port, uint32_t val, unsigned size);
/** port_read_string() - up to @n accesses of port_read(), one after the other, to @buf
 *  Returns how many were made; 0: none, they must be made one by one. */
unsigned port_read_string(struct machine *m, uint16_t port, unsigned size, void *buf, unsigned n);

/* ---- interrupt lines --------------------------------------------------- */

/** struct irq_line - one wire; the sink decides about edge or level */
struct irq_line {
    void (*set)(void *opaque, int n, int level);
    void *opaque;
    int n;
};

static inline void irq_set(const struct irq_line *l, int level)
{
    if (l && l->set)
        l->set(l->opaque, l->n, level);
}

static inline void irq_pulse(const struct irq_line *l)
{
    irq_set(l, 1);
    irq_set(l, 0);
}

/** machine_irq() - ISA line @n (0..15): drives both 8259s and the I/O APIC
 *  (line 0 arrives at I/O APIC pin 2) */
const struct irq_line *machine_irq(struct machine *m, unsigned n);

/* ---- devices ----------------------------------------------------------- */

enum field_type { FIELD_U8, FIELD_U16, FIELD_U32, FIELD_U64, FIELD_BOOL, FIELD_BYTES };

/** struct dev_field - one piece of device state, beside RAM and properties: what "info state" at the
 *  monitor shows */
struct dev_field {
    const char *name;
    uint32_t offset, bytes; /* bytes: whole size, arrays included */
    enum field_type type;
    uint8_t elem;           /* FIELD_BYTES: of an array of integers, the bytes of one; else 0 */
};

#define FIELD_IS(st, m, ty) \
    __builtin_types_compatible_p(__typeof__(((st *)0)->m), ty[sizeof(((st *)0)->m) / (sizeof(ty))])
#define FIELD_ELEM(st, m) \
    (FIELD_IS(st, m, uint8_t) ? 1 : FIELD_IS(st, m, uint16_t) ? 2 : FIELD_IS(st, m, uint32_t) ? 4 : \
     FIELD_IS(st, m, uint64_t) ? 8 : 0)
#define FIELD(ty, st, m) { #m, offsetof(st, m), sizeof(((st *)0)->m), FIELD_##ty, FIELD_ELEM(st, m) }
#define FIELD_END { NULL, 0, 0, 0, 0 }
/** dev_field_width() - bytes of an integer, or of each in an array; 0: it is something else */
unsigned dev_field_width(const struct dev_field *f);

/** struct device_type - what is the same for every instance of a chip */
struct device_type {
    const char *name;       /* as its manual or QEMU spells it */
    const char *desc;
    size_t size;            /* of the instance struct; struct device first */
    int (*init)(struct device *d, struct err *e); /* after wiring; may be NULL */
    void (*reset)(struct device *d);              /* hardware reset; may be NULL */
    void (*destroy)(struct device *d);            /* may be NULL; struct freed by core */
    const struct dev_field *fields;
    bool reset_last;                              /* plays firmware: after all others */
    const struct dev_prop *props;                 /* -device properties; hw/prop.h; or NULL */
    /* the usual single port range, mapped by machine_add_device() when a
     * port is given; chips with more map them in init */
    struct { uint16_t len; struct io_ops ops; } io;
};

struct device {
    const struct device_type *type;
    struct machine *machine;
    const char *id;          /* user-given or NULL; owned */
    uint16_t port;           /* 0: none */
    bool gone;               /* for machine_remove_gone() */
    const struct irq_line *irq; /* output wire, NULL: not connected */
    struct device *next;     /* construction order */
};

/** struct device_row - a line of a board's construction list */
struct device_row {
    const struct device_type *type;
    uint16_t port;
    int8_t irq;              /* ISA line; -1 none. 0 is the timer's line 0. */
    bool has_irq;
};

/**
 * machine_add_device() - construct, wire, map and init one device
 * @setup: called between allocation and init to fill properties; may be NULL
 * Returns the instance (owned by the machine) or NULL with @e set.
 */
struct device *machine_add_device(struct machine *m, const struct device_type *t,
                                  uint16_t port, const struct irq_line *irq,
                                  void (*setup)(struct device *d, const void *arg),
                                  const void *arg, struct err *e) MUST_CHECK;
/**
 * machine_remove_device() - destroy and free a device of the running machine
 * machine_request_remove() - have the main loop do that when no vCPU runs; any thread
 * machine_remove_gone() - what the main loop then does
 */
void machine_remove_device(struct machine *m, struct device *d);
void machine_request_remove(struct machine *m, struct device *d);
void machine_remove_gone(struct machine *m);
/** device_path() - "/machine/peripheral/ID", or "/machine/unattached/device[N]", as programs call @d; owned by
 *  the caller. @suffix is appended */
char *device_path(struct machine *m, const struct device *d, const char *suffix);
/** device_is_named() - whether its id is one that the user gave */
bool device_is_named(const struct device *d);
/** machine_device_by_id() - the device that the user named so, or NULL */
struct device *machine_device_by_id(struct machine *m, const char *id);
/** machine_find_device() - first device of that type name, or NULL */
struct device *machine_find_device(struct machine *m, const char *type_name);

/* ---- character back ends (implemented in ui/) -------------------------- */

/**
 * struct chardev - a byte stream between a device and the outside
 * Front (device) side calls write/accept; the back end calls receive.
 */
struct chardev {
    const char *label;
    /** write() - send bytes out; returns how many were taken (0: try again
     *  when can_write is called). Never blocks. */
    int (*write)(struct chardev *c, const uint8_t *buf, int len);
    /** poll_input() - the front end has room again: deliver what waits */
    void (*poll_input)(struct chardev *c);
    void (*close)(struct chardev *c);
    /* set by the front end: */
    int (*can_receive)(void *front);                      /* bytes it can take now */
    void (*receive)(void *front, const uint8_t *buf, int len);
    void (*can_write)(void *front);                       /* room after a 0 write; may be NULL */
    void (*event)(void *front, int event);                /* CHR_*; may be NULL */
    bool (*front_open)(void *front);                      /* the guest listens; NULL: always */
    void *front;
};
enum { CHR_EVENT_BREAK, CHR_EVENT_OPENED, CHR_EVENT_CLOSED };

/** struct machine_chars - character back ends by id, for devices that the user gives one */
struct machine_chars {
    /** claim() - become the front end of @id, or of another port when it is multiplexed; NULL with @e set */
    struct chardev *(*claim)(void *opaque, const char *id, struct err *e);
    /** release() - what claim() gave; what the front end has set in it is NULL again */
    void (*release)(void *opaque, struct chardev *c);
    /** is_open() - somebody is at the other side, as far as the kind can tell */
    bool (*is_open)(const struct chardev *c);
};

/* ---- vCPUs as devices and boards see them ------------------------------- */

/**
 * struct cpu_ops - what the interrupt chips need from a vCPU; installed by the
 * accelerator glue (accel/), one object a vCPU
 */
struct vcpu {
    struct machine *machine;
    unsigned index;
    uint32_t apic_id;
    int thread_id;                               /* the host's; 0: not started */
    void *cpu;                                   /* accelerator's state */
    struct lapic *lapic;                         /* hw/intc/lapic.c */
    /** kick() - make the vCPU look at its interrupt state soon (any thread) */
    void (*kick)(struct vcpu *v);
    /* lines into the CPU; set by chips under the machine lock, read by the
     * CPU with atomic loads; every change that raises one is followed by kick() */
    uint32_t intr;                               /* INTR pending: enum vcpu_intr */
};

/* intr bits: which source asks. The CPU masks EXTINT/APIC with IF. */
enum {
    VCPU_INTR_PIC   = 1 << 0,  /* 8259 INTR through LINT0/ExtINT or wire */
    VCPU_INTR_APIC  = 1 << 1,  /* local APIC has a deliverable vector */
    VCPU_INTR_NMI   = 1 << 2,
    VCPU_INTR_SMI   = 1 << 3,
    VCPU_INTR_INIT  = 1 << 4,
    VCPU_INTR_SIPI  = 1 << 5,
    VCPU_INTR_MCE   = 1 << 6,
    VCPU_INTR_EXIT  = 1 << 7,  /* leave the run loop: stop, reset, quit */
    VCPU_INTR_STPCLK = 1 << 8, /* the chipset stops the CPU's clock: nothing is executed */
    VCPU_INTR_UNHALT = 1 << 9, /* another vCPU's wish: out of HLT, or the next one ends at once */
};

void vcpu_intr_raise(struct vcpu *v, uint32_t bits);  /* sets and kicks */
void vcpu_intr_lower(struct vcpu *v, uint32_t bits);

/**
 * machine_tick_late() - the tick of @t was late and its next is due already, since @due_ns
 * @at_ns: when it comes at the latest; before, when the CPU has taken an interrupt
 * @t's callback is called with the deadline gone by or not. Lock held.
 */
void machine_tick_late(struct machine *m, struct timer *t, int64_t due_ns, int64_t at_ns);
/** machine_tick_taken() - the CPU has taken an interrupt while m->late_tick is set; lock held */
void machine_tick_taken(struct machine *m);

/**
 * vcpu_ack_interrupt() - the CPU takes an external interrupt (INTA cycle)
 * Asks the local APIC first, then the 8259s. Returns the vector, or -1 when
 * the request has gone. Takes the machine lock.
 */
int vcpu_ack_interrupt(struct vcpu *v);

/* Local APIC as the CPU core sees it (hw/intc/lapic.c); all take the lock. */
uint64_t lapic_get_base(struct lapic *a);                 /* IA32_APIC_BASE */
/** returns false: illegal change (guest gets #GP) */
bool lapic_set_base(struct lapic *a, uint64_t val);
uint8_t lapic_get_tpr(struct lapic *a);                   /* CR8 = bits 7..4 */
void lapic_set_tpr(struct lapic *a, uint8_t tpr);
/** x2APIC MSRs 0x800..0x8ff; false: #GP */
bool lapic_msr_read(struct lapic *a, uint32_t msr, uint64_t *val);
bool lapic_msr_write(struct lapic *a, uint32_t msr, uint64_t val);
/** IA32_TSC_DEADLINE; @now_tsc is the guest's TSC at the moment */
uint64_t lapic_get_tsc_deadline(struct lapic *a);
void lapic_set_tsc_deadline(struct lapic *a, uint64_t tsc, uint64_t now_tsc, uint64_t tsc_hz);

/* ---- the machine --------------------------------------------------------- */

enum run_state { RUN_PRELAUNCH, RUN_RUNNING, RUN_PAUSED, RUN_SHUTDOWN };
enum shutdown_cause { CAUSE_NONE, CAUSE_GUEST_RESET, CAUSE_GUEST_SHUTDOWN,
                      CAUSE_TRIPLE_FAULT, CAUSE_HOST_SIGNAL, CAUSE_MONITOR,
                      CAUSE_DEBUG_EXIT, CAUSE_WAKEUP };

/** struct boot_config - -boot */
struct boot_config {
    const char *order, *once;              /* letters "c", "dc" ... or NULL */
    const char *splash;                    /* picture file, or NULL */
    bool menu;                             /* firmware offers F12 */
    bool strict;                           /* boot from what has a bootindex only */
    bool splash_ms_set, fail_wait_ms_set;
    uint16_t splash_ms;                    /* how long menu prompt and picture stay */
    uint32_t fail_wait_ms;                 /* "No bootable device": until a reset; ~0: for ever */
};

#define MAX_VCPUS 64
enum board { BOARD_PC, BOARD_Q35, N_BOARDS };   /* i440FX and PIIX3; Q35 and ICH9 */

/** struct dev_global - a property that all devices of one type get (-global); text is owned */
struct dev_global {
    char *driver, *prop, *val;             /* @driver: as in struct device_type */
};

/** struct machine_config - what the command line decided */
struct machine_config {
    enum board board;
    uint64_t ram_bytes;
    const char *mem_path;                  /* -mem-path: file or directory behind RAM; or NULL */
    bool mem_prealloc, no_mem_merge;
    bool mem_shared;                       /* RAM is a memory file, ram_fd, that others may map */
    unsigned n_vcpus;                      /* 1..MAX_VCPUS */
    unsigned max_vcpus;                    /* places in the topology; 0: n_vcpus */
    unsigned dies, cores, threads;         /* a socket, a die, a core; 0: one, all, one */
    const char *kernel, *initrd, *append;  /* direct boot; may be NULL */
    bool kernel_via_firmware;              /* -bios was given with -kernel */
    const char *pflash[2];                 /* drives of flash chips, or NULL: by interface */
    const char *bios;                      /* firmware file name or NULL */
    const char **rom_dirs;                 /* NULL-terminated search path (-L first) */
    struct chardev *serial[4];             /* NULL: port absent */
    struct chardev *debugcon;              /* port 0x402, or NULL */
    bool no_reboot, no_shutdown;
    bool rtc_localtime;
    bool rtc_base_set;                     /* -rtc base=DATE: */
    int64_t rtc_base_s;                    /* what the CMOS clock shows at first, as seconds since 1970 */
    bool no_hpet, no_acpi, no_pit;
    bool no_s3[N_BOARDS], no_s4[N_BOARDS]; /* that board's guest is not told of this sleep state */
    bool usb;                              /* the chipset's USB controller */
    bool no_vga;                           /* -vga none, or there is one of -device */
    bool nographic;                        /* firmware's console is COM1 too */
    bool isa_debug_exit;                   /* -device isa-debug-exit */
    uint16_t isa_debug_exit_port;
    bool pc_testdev;                       /* -device pc-testdev */
    struct boot_config boot;
    uint64_t tsc_hz;                       /* guest TSC frequency */
    uint32_t cpu_signature;                /* CPUID.1 EAX, for tables */
    uint32_t cpu_features_edx;             /* CPUID.1 EDX, for tables */
    const char *uuid;                      /* textual or NULL */
    struct dev_global *globals;            /* -global, checked; prop_defaults() sets them */
    unsigned n_globals;
};

/** struct machine_trace - who records what devices do (-trace); event NULL: nobody */
struct machine_trace {
    /** event() - @kind: enum trace_kind (trace/format.h), with @n fields; machine lock held */
    void (*event)(void *opaque, unsigned kind, const uint64_t *field, unsigned n);
    void *opaque;
};

/**
 * struct machine_chips - interrupt chips that the accelerator has itself
 * Those of hw/intc pass on what they get and keep nothing but the levels of their lines;
 * their state comes back when the accelerator hands it over. A NULL member: that chip
 * is hw/intc's. The local APICs are the accelerator's whenever there is such a struct.
 */
struct machine_chips {
    void (*set_pic)(struct machine *m, int irq, int level);
    void (*set_ioapic)(struct machine *m, int pin, int level);
    /** message() - a message to the local APICs: @addr as for lapic_msi(), the destination's
     *  bits 31..8 in its upper half. Returns whether one took it. */
    bool (*message)(struct machine *m, uint64_t addr, uint32_t data);
    /** routes_changed() - a redirection entry of hw/intc's I/O APIC was written */
    void (*routes_changed)(struct machine *m);
};

/** struct machine - everything there is; no other global mutable state */
struct machine {
    pthread_mutex_t lock;       /* recursive; guards all device state */
    struct machine_config cfg;
    struct clock clock;
    struct timer_list timers;
    struct loop *loop;
    struct mem_map mem;
    struct mem_region ram_low, ram_high;  /* below / above 4 GiB */
    uint8_t *ram;
    int ram_fd;                 /* file behind ram (-mem-path), or -1 */
    struct port_range **ports;  /* [65536], owned by hw/core */
    struct port_range *port_list;
    struct device *devices;
    struct irq_line isa_irq[16];
    struct vcpu **vcpus;
    unsigned n_vcpus;
    struct pic *pic;            /* 8259 pair */
    struct ioapic *ioapic;
    const struct machine_chips *chips;  /* NULL: all are hw/intc's */
    struct timer *late_tick;    /* machine_tick_late()'s, until the CPU takes an interrupt; NULL: none */
    int64_t late_tick_ns;       /* its deadline */
    struct pci_bus *pci;
    struct iommu *iommu;        /* hw/dma/iommu.h, or NULL */
    struct doorbell *doorbells; /* hw/doorbell.h */
    struct fw_cfg *fw_cfg;
    struct pm *pm;              /* ACPI registers, hw/acpi/pm.h */
    struct pci_hotplug *hotplug; /* hw/acpi/pci-hotplug.h, or NULL */
    struct vga *vga;
    struct console *consoles;   /* hw/display/console.h */
    struct input *input;        /* hw/input/input.h; made with the first sink */
    struct usb_bus *usb;        /* hw/usb/usb.h; all of them */
    struct kbd8042 *kbd;
    struct drive *drives;       /* hw/disk/drive.h */
    const struct machine_chars *chars; /* NULL: there are none */
    void *chars_opaque;
    struct rng *rngs;           /* hw/misc/rng.h */
    struct machine_trace trace;
    struct outside *outside;    /* hw/outside.h: where what the guest cannot know comes in */
    struct net *net;            /* packet back ends, net/net.h; or NULL */
    /* run control; requests are made by devices and monitors, carried out by
     * the main loop */
    enum run_state run_state;
    int32_t request_reset, request_shutdown, request_powerdown; /* enum shutdown_cause */
    int32_t request_stop;       /* a device wants the guest paused (werror=stop) */
    int32_t request_remove;     /* some devices are "gone" */
    /* told of every device that is about to be removed; set by the user interface */
    void (*device_deleted)(void *opaque, const struct device *d);
    void *device_deleted_opaque;
    int exit_code;              /* of the process; isa-debug-exit sets it */
    bool waking;                /* the reset under way ends the sleep S3: RAM is to be kept */
    /** event() - a program at a monitor is told: @name as in QMP, @data a JSON object or
     *  NULL; NULL: nobody listens. Use machine_event(). */
    void (*event)(void *opaque, const char *name, const char *data);
    void *event_opaque;
    /* set by accel/: stop and start all vCPUs, reset them */
    const struct machine_accel *accel;
    void *accel_opaque;
};

/** struct machine_accel - what run control needs from the accelerator */
struct machine_accel {
    void (*pause_all)(struct machine *m);   /* returns when no vCPU runs guest code */
    void (*resume_all)(struct machine *m);
    void (*reset_all)(struct machine *m);   /* CPU reset; called paused */
    /** doorbells_changed() - the list, or where one answers (hw/doorbell.h); machine lock held */
    void (*doorbells_changed)(struct machine *m);
};

struct machine *machine_new(const struct machine_config *cfg, struct err *e) MUST_CHECK;
void machine_free(struct machine *m);
/**
 * machine_apic_id() - APIC ID of vCPU @n by the topology: threads, cores, dies and
 * sockets in bit fields, lowest first, each as wide as its count needs
 * Source: Intel SDM vol. 3A, "Hierarchical Mapping of Shared Resources".
 */
uint32_t machine_apic_id(const struct machine *m, unsigned n);
/** machine_apic_ids() - one more than the highest that any place has */
uint32_t machine_apic_ids(const struct machine *m);
void machine_lock(struct machine *m);
void machine_unlock(struct machine *m);
/**
 * pc_board() - construct the board's devices; cards and disks come after it
 * pc_boot() - after them: what firmware or a kernel is told, and how it starts
 * pc_build() - both, for a board without cards
 * 0 or -errno with @e set.
 */
int pc_board(struct machine *m, struct err *e) MUST_CHECK;
int pc_boot(struct machine *m, struct err *e) MUST_CHECK;
int pc_build(struct machine *m, struct err *e) MUST_CHECK;
/** pc_low_end() - where RAM below 4 GiB ends at most: PCI memory starts there */
uint64_t pc_low_end(const struct machine_config *cfg);
/** machine_reset() - reset devices in construction order (not the CPUs) */
void machine_reset(struct machine *m);
/** requests: any thread; the main loop is woken */
void machine_request_reset(struct machine *m, enum shutdown_cause why);
void machine_request_shutdown(struct machine *m, enum shutdown_cause why, int exit_code);
/** machine_request_powerdown() - press the ACPI power button; the main loop
 *  answers request_powerdown with pm_power_button() (hw/acpi/pm.h) */
void machine_request_powerdown(struct machine *m);
/** machine_request_stop() - pause the guest until the user continues it; any thread */
void machine_request_stop(struct machine *m);
/** machine_event() - tell programs at monitors; @fmt: the event's data, a JSON object, or NULL.
 *  Names in it must need no escaping (ids are checked). Any thread; takes the lock. */
void machine_event(struct machine *m, const char *name, const char *fmt, ...) PRINTF(3, 4);
/** machine_read_rom() - find @name along the search path and read it whole
 *  Returns bytes (caller frees) or NULL with @e set. */
uint8_t *machine_read_rom(struct machine *m, const char *name, size_t *len, struct err *e);

/**
 * struct boot_state - CPU registers for a direct kernel entry; when valid the
 * accelerator starts the boot CPU from it instead of the reset vector
 */
struct boot_state {
    bool valid;
    uint64_t rip, rsi, rsp, cr3;   /* 64-bit entry: flat long mode, paging on */
    gpa_t gdt;                     /* GDT: 0x10 code64, 0x18 data */
    uint32_t gdt_limit;
    bool long_mode;                /* false: 32-bit protected, paging off */
    uint32_t eax, ebx;             /* Multiboot, PVH: magic, information */
    bool real_mode;                /* CS = rip / 16, IP = rip % 16; nothing else counts */
};
const struct boot_state *machine_boot_state(struct machine *m);

#endif
