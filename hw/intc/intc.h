/*
 * intc.h - interrupt controllers: 8259 pair, I/O APIC, local APICs, and the
 * request lines into the vCPUs
 *
 * All functions want the machine lock held unless they say that they take it.
 * Levels are logical: 1 is "asserted", whatever polarity the board would use.
 */
#ifndef HW_INTC_INTC_H
#define HW_INTC_INTC_H

#include "hw/hw.h"

/* ---- 8259 pair --------------------------------------------------------- */

struct pic;
extern const struct device_type i8259_type; /* one device: master and slave */

/** struct pic_chip - state of one of the two */
struct pic_chip {
    uint8_t lines;       /* input levels */
    uint8_t irr, isr, imr;
    uint8_t elcr;
    uint8_t vector_base; /* ICW2, low three bits 0 */
    uint8_t icw1, icw3, icw4;
    uint8_t step;        /* enum icw_step */
    uint8_t lowest;      /* IR with the lowest priority */
    uint8_t read_isr;    /* OCW3: even port reads ISR instead of IRR */
    uint8_t poll;        /* next read is a poll */
    uint8_t smm;         /* special mask mode */
    uint8_t rotate_aeoi;
};

/** pic_chips() - both, master first, for whoever takes their work over or gives it back:
 *  pic_silence() after the one, pic_changed() after the other */
struct pic_chip *pic_chips(struct pic *p);
void pic_silence(struct pic *p);
void pic_changed(struct pic *p);

/**
 * pic_set_irq() - drive one ISA input of the pair
 * @irq: 0..15 (2 is the cascade and is ignored); others are ignored
 * @p: may be NULL
 */
void pic_set_irq(struct pic *p, int irq, int level);

/**
 * pic_ack() - INTA cycle
 * Returns the vector 0..255; with no request left this is the spurious
 * IRQ7 vector, as the chip answers.
 * Source: Intel 8259A data sheet, "Interrupt Sequence".
 */
int pic_ack(struct pic *p);

/** pic_print() - registers of both chips, a line each; pic_irq_count() - how often input
 *  @irq (0..15) was raised; @p may be NULL */
void pic_print(const struct pic *p, FILE *f);
uint64_t pic_irq_count(const struct pic *p, unsigned irq);


/* ---- I/O APIC ---------------------------------------------------------- */

#define IOAPIC_BASE 0xfec00000ull
#define IOAPIC_PINS 24

struct ioapic;
extern const struct device_type ioapic_type;

/** struct ioapic_state - registers; @lines: levels of the pins */
struct ioapic_state {
    uint64_t redtbl[IOAPIC_PINS];
    uint32_t lines, id;
    uint8_t select;
};
/** ioapic_get_state()/ioapic_set_state() - for whoever takes its work over; set acts on
 *  nothing, the levels excepted: ioapic_changed() does */
void ioapic_get_state(const struct ioapic *io, struct ioapic_state *s);
void ioapic_set_state(struct ioapic *io, const struct ioapic_state *s);
void ioapic_changed(struct ioapic *io);
/** ioapic_message() - what pin @pin sends: false: it is masked */
bool ioapic_message(const struct ioapic *io, unsigned pin, uint64_t *addr, uint32_t *data);

/** ioapic_set_irq() - drive pin @pin (others are ignored); @io may be NULL */
void ioapic_set_irq(struct ioapic *io, int pin, int level);

/** ioapic_print() - redirection table; ioapic_irq_count() - how often pin @pin was raised;
 *  @io may be NULL */
void ioapic_print(const struct ioapic *io, FILE *f);
uint64_t ioapic_irq_count(const struct ioapic *io, unsigned pin);

/** ioapic_eoi() - EOI message for @vector: level pins that were delivered
 *  with it are released, and fire again when still asserted; @io may be NULL */
void ioapic_eoi(struct ioapic *io, uint8_t vector);

/* ---- messages between APICs -------------------------------------------- */

enum apic_delivery {
    APIC_FIXED, APIC_LOWEST, APIC_SMI, APIC_RESERVED,
    APIC_NMI, APIC_INIT, APIC_STARTUP, APIC_EXTINT,
};
enum apic_destmode { APIC_PHYSICAL, APIC_LOGICAL };
enum apic_trigger { APIC_EDGE, APIC_LEVEL };

/**
 * apic_deliver() - send an interrupt message as the I/O APIC and MSI do
 * @dest: 8-bit destination; 0xff is everybody
 * Returns true when at least one local APIC accepted it.
 * Source: Intel SDM vol. 3A, "Message Signalled Interrupts" and "Determining
 * IPI Destination".
 */
bool apic_deliver(struct machine *m, uint8_t dest, enum apic_destmode destmode,
                  enum apic_delivery delivery, uint8_t vector,
                  enum apic_trigger trigger);

/** apic_deliver_x2() - the same with a 32-bit destination, as interrupt remapping
 *  makes; 0xffffffff is everybody */
bool apic_deliver_x2(struct machine *m, uint32_t dest, enum apic_destmode destmode,
                     enum apic_delivery delivery, uint8_t vector, enum apic_trigger trigger);

/**
 * apic_send_to_ids() - one interrupt to many vCPUs
 * @map: bit n, 0..127: the one with APIC ID @first + n
 * @icr: vector and delivery mode as in the ICR: fixed and NMI; others are logged and dropped
 * Returns how many took it. Takes the lock.
 */
int apic_send_to_ids(struct machine *m, const uint64_t map[2], uint32_t first, uint32_t icr);

/**
 * lapic_msi() - a device's write to 0xfee00000..0xfeefffff
 * @addr, @data: as on the bus; other addresses are logged and dropped
 * Takes the machine lock (it is recursive). Returns whether an APIC accepted it.
 * Devices call bus_message() (hw/dma/iommu.h).
 * Source: Intel SDM vol. 3A, "Message Address/Data Register Format".
 */
bool lapic_msi(struct machine *m, uint64_t addr, uint32_t data);

/* ---- local APIC -------------------------------------------------------- */

#define LAPIC_BASE 0xfee00000ull

enum lapic_lvt {
    LVT_TIMER, LVT_THERMAL, LVT_PERF, LVT_LINT0, LVT_LINT1, LVT_ERROR,
    LVT_COUNT,
};

struct lapic;
extern const struct device_type lapic_type;

/**
 * lapic_new() - construct the local APIC of @v and set @v->lapic
 * The one of vCPU 0 also maps the register page into machine memory.
 * Returns the APIC (owned by the machine) or NULL with @e set.
 */
struct lapic *lapic_new(struct machine *m, struct vcpu *v, struct err *e) MUST_CHECK;

/** lapic_new_all() - lapic_new() for each vCPU of @m without one; 0 or -errno */
int lapic_new_all(struct machine *m, struct err *e) MUST_CHECK;

/**
 * lapic_mmio_read()/lapic_mmio_write() - xAPIC register access
 * @off: 0..0xfff from the page's base
 * @size: 1, 2, 4 or 8 for reads; writes other than 4 bytes are dropped
 * With the APIC disabled or in x2APIC mode reads give all ones.
 */
uint64_t lapic_mmio_read(struct lapic *a, uint64_t off, unsigned size);
void lapic_mmio_write(struct lapic *a, uint64_t off, uint64_t val, unsigned size);

/**
 * lapic_route_by_vcpu() - tell the register page who accesses it
 * @current: vCPU whose access is being carried out by this thread, or NULL
 *   when none is (the access is then a device's: an MSI). Without this call
 *   every access goes to vCPU 0's APIC.
 */
void lapic_route_by_vcpu(struct machine *m,
                         struct vcpu *(*current)(struct machine *m));

/** lapic_get_page()/lapic_set_page() - all registers as the xAPIC page shows them (with x2APIC:
 *  the 32-bit ID, ICR's upper half at 310h), 1 KiB, for whoever takes the APIC's work over */
enum { LAPIC_PAGE_BYTES = 0x400 };
void lapic_get_page(const struct lapic *a, uint8_t *page);
/** @base: IA32_APIC_BASE. The timer goes on from the current count, unless its mode is
 *  TSC deadline. */
void lapic_set_page(struct lapic *a, uint64_t base, const uint8_t *page);
/** lapic_follow() - meanwhile: its base and TPR are these, for who looks; nothing follows */
void lapic_follow(struct lapic *a, uint64_t base, uint8_t tpr);
/** lapic_silence() - somebody else does its work now: no timer, no requests */
void lapic_silence(struct lapic *a);

/** lapic_set_lint() - drive LINT0 (@n 0: the 8259's INTR) or LINT1 (@n 1: NMI) */
void lapic_set_lint(struct lapic *a, unsigned n, int level);
/** lapic_raise_lvt() - a local event: LVT_PERF or LVT_THERMAL; takes the lock */
void lapic_raise_lvt(struct lapic *a, enum lapic_lvt which);
/** lapic_ack() - take the highest deliverable vector into service; -1: none */
int lapic_ack(struct lapic *a);
/** lapic_extint_taken() - an ExtINT message from the I/O APIC has been served */
void lapic_extint_taken(struct lapic *a);
/** lapic_eoi() - end of interrupt, as a write to the EOI register; takes the lock */
void lapic_eoi(struct lapic *a);
/** lapic_set_pv_eoi() - MSR_KVM_PV_EOI_EN; false: reserved bits; takes the lock.
 *  The vCPU's own thread, or it is parked. */
bool lapic_set_pv_eoi(struct lapic *a, uint64_t val);
/** lapic_pv_stop() - registers are as if the guest wrote all its EOIs; like lapic_set_pv_eoi() */
void lapic_pv_stop(struct lapic *a);
/** lapic_cpu_init() - the vCPU carries out INIT: all but ID and base is reset;
 *  takes the lock */
void lapic_cpu_init(struct lapic *a);
/** lapic_sipi_vector() - page number of the latest start-up IPI; any thread */
uint8_t lapic_sipi_vector(const struct lapic *a);
/** lapic_is_bsp() - whether this is the bootstrap processor */
bool lapic_is_bsp(const struct lapic *a);

#endif
