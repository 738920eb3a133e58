/*
 * lapic-int.h - inside of the local APIC, shared by lapic.c (vectors,
 * priorities), lapic-regs.c, lapic-timer.c and apic-msg.c (IPIs, MSIs,
 * destinations)
 */
#ifndef HW_INTC_LAPIC_INT_H
#define HW_INTC_LAPIC_INT_H

#include "hw/intc/intc.h"

/* register numbers: xAPIC offset / 16 = x2APIC MSR - 0x800 */
enum {
    R_ID = 0x02, R_VERSION = 0x03, R_TPR = 0x08, R_APR = 0x09, R_PPR = 0x0a,
    R_EOI = 0x0b, R_RRD = 0x0c, R_LDR = 0x0d, R_DFR = 0x0e, R_SVR = 0x0f,
    R_ISR = 0x10, R_TMR = 0x18, R_IRR = 0x20, R_ESR = 0x28,
    R_ICR = 0x30, R_ICR_HIGH = 0x31, R_LVT = 0x32, /* six of them */
    R_TIMER_INIT = 0x38, R_TIMER_CURRENT = 0x39, R_TIMER_DIVIDE = 0x3e,
    R_SELF_IPI = 0x3f,
};

enum { BASE_BSP = 1 << 8, BASE_X2APIC = 1 << 10, BASE_ENABLE = 1 << 11 };
enum { SVR_VECTOR = 0xff, SVR_ENABLE = 1 << 8, SVR_WRITABLE = 0x3ff };
enum {
    LVT_VECTOR = 0xff, LVT_DELMOD_POS = 8, LVT_DELIVS = 1 << 12,
    LVT_REMOTE_IRR = 1 << 14, LVT_LEVEL = 1 << 15, LVT_MASKED = 1 << 16,
    LVT_TIMER_MODE = 3 << 17, LVT_TIMER_PERIODIC = 1 << 17,
    LVT_TIMER_DEADLINE = 2 << 17,
};
enum {
    ESR_SEND_ILLEGAL = 1 << 5, ESR_RECEIVE_ILLEGAL = 1 << 6,
    ESR_REGISTER = 1 << 7,
};

struct lapic {
    struct device dev;
    struct vcpu *vcpu;
    struct mem_region region;           /* vCPU 0: the register page */
    struct vcpu *(*current)(struct machine *m); /* vCPU 0: lapic_route_by_vcpu() */
    struct timer timer;

    uint64_t base;                      /* IA32_APIC_BASE */
    uint64_t irr[4], isr[4], tmr[4];    /* bit n of the 256: word n/64 */
    uint32_t tpr, svr, ldr, dfr;
    uint8_t xapic_id;                   /* ID register of the xAPIC; software may change it */
    uint32_t esr, esr_new;              /* as read; gathered since */
    uint32_t lvt[LVT_COUNT];
    uint64_t icr;
    uint8_t lint;                       /* input levels, bit n: LINTn */
    uint8_t extint_msg;                 /* ExtINT by message waits for INTA */
    uint8_t sipi_vector;
    uint64_t pv_eoi;                    /* MSR_KVM_PV_EOI_EN */
    bool pv_eoi_owed;                   /* the guest may have ended the interrupt in its memory */

    /* timer: everything follows from when it next runs out */
    uint32_t timer_init;                /* initial count */
    uint32_t timer_divide;              /* DCR as written */
    int64_t timer_next_ns;              /* 0: not running */
    uint64_t tsc_deadline;              /* 0: none */
    int64_t due_ns, step_ns;            /* TSC deadlines: the last one, and how far behind the one before it was */
    bool steady;                        /* twice as far: the next is expected there */
};

static inline bool lapic_enabled(const struct lapic *a)
{
    return a->base & BASE_ENABLE;
}

static inline bool lapic_x2(const struct lapic *a)
{
    return a->base & BASE_X2APIC;
}

/* What physical destinations call it now. */
static inline uint32_t lapic_id(const struct lapic *a)
{
    return lapic_x2(a) ? a->vcpu->apic_id : a->xapic_id;
}

static inline bool lapic_sw_enabled(const struct lapic *a)
{
    return lapic_enabled(a) && (a->svr & SVR_ENABLE);
}

/* lapic.c */
bool lapic_accept(struct lapic *a, enum apic_delivery delivery, uint8_t vector,
                  enum apic_trigger trigger);
void lapic_error(struct lapic *a, uint32_t esr_bits);
void lapic_lvt_event(struct lapic *a, enum lapic_lvt which);
uint8_t lapic_ppr(const struct lapic *a);
void lapic_update(struct lapic *a);
void lapic_update_extint(struct lapic *a);
void lapic_end_interrupt(struct lapic *a);
void lapic_move_page(struct lapic *a);
void lapic_tpr_write(struct lapic *a, uint8_t val);

/* lapic-regs.c */
enum { LAPIC_MMIO_BYTES = 0x1000 };
extern const struct io_ops lapic_page_ops; /* opaque: vCPU 0's APIC */

/* lapic-timer.c */
void lapic_timer_expired(void *opaque);
void lapic_timer_reset(struct lapic *a);
uint32_t lapic_timer_current(const struct lapic *a);
void lapic_timer_set_initial(struct lapic *a, uint32_t val);
void lapic_timer_set_divide(struct lapic *a, uint32_t val);
/** lapic_timer_restore() - counts down from @current; 0: it stands still */
void lapic_timer_restore(struct lapic *a, uint32_t init, uint32_t current, uint32_t divide);
void lapic_timer_set_lvt(struct lapic *a, uint32_t val);

/* lapic-pv.c; the vCPU's own thread, or it is parked */
/** lapic_pv_settle() - an EOI that is owed is carried out, or the guest will write it */
void lapic_pv_settle(struct lapic *a);
/** lapic_pv_offer() - the vector just taken may be ended in memory */
void lapic_pv_offer(struct lapic *a);

/* apic-msg.c */
void lapic_send_ipi(struct lapic *a);    /* as a->icr says */
void lapic_send_self(struct lapic *a, uint8_t vector);

#endif
