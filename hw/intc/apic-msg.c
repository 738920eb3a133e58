/*
 * apic-msg.c - interrupt messages: IPIs, I/O APIC and MSI delivery, destinations
 *
 * Source: Intel SDM vol. 3A, "Issuing Interprocessor Interrupts" and
 * "Message Signalled Interrupts".
 */
#include "hw/dma/iommu.h"
#include "hw/intc/lapic-int.h"

enum {
    ICR_VECTOR = 0xff, ICR_DELMOD_POS = 8, ICR_LOGICAL = 1 << 11,
    ICR_ASSERT = 1 << 14, ICR_LEVEL = 1 << 15, ICR_SHORTHAND_POS = 18,
};
enum { SHORTHAND_NONE, SHORTHAND_SELF, SHORTHAND_ALL, SHORTHAND_OTHERS };

#define DFR_FLAT 0xf        /* bits 31..28 */
#define DEST_ALL8 0xff
#define DEST_ALL32 0xffffffffu
#define MSI_WINDOW_BYTES 0x100000

/* struct apic_msg - one message on its way */
struct apic_msg {
    uint32_t dest;
    bool wide;               /* 32-bit destination (x2APIC ICR) */
    enum apic_destmode destmode;
    enum apic_delivery delivery;
    uint8_t vector;
    enum apic_trigger trigger;
};

static bool match_logical(const struct lapic *a, uint32_t dest)
{
    uint8_t ldr = a->ldr >> 24;

    if (lapic_x2(a)) /* cluster number above, member bits below */
        return dest >> 16 == a->ldr >> 16 && (dest & a->ldr & 0xffff);
    if (a->dfr >> 28 == DFR_FLAT)
        return dest & ldr;
    return (dest >> 4 == ldr >> 4 || dest >> 4 == 0xf) && (dest & ldr & 0xf);
}

static bool matches(const struct lapic *a, const struct apic_msg *msg)
{
    if (!lapic_enabled(a))
        return false;
    if (msg->dest == (msg->wide ? DEST_ALL32 : DEST_ALL8))
        return true;
    if (msg->destmode == APIC_LOGICAL)
        return match_logical(a, msg->dest);
    return msg->dest == lapic_id(a);
}

/* Of the APICs that match, the one that works at the lowest priority. */
static struct lapic *arbitrate(struct machine *m, const struct apic_msg *msg)
{
    struct lapic *best = NULL;

    for (unsigned i = 0; i < m->n_vcpus; i++) {
        struct lapic *a = m->vcpus[i]->lapic;

        if (!a || !matches(a, msg) || !lapic_sw_enabled(a))
            continue;
        if (!best || lapic_ppr(a) < lapic_ppr(best))
            best = a;
    }
    return best;
}

/* As a write to the window of messages, for local APICs that are the accelerator's. */
static bool hand_over(struct machine *m, const struct apic_msg *msg)
{
    uint64_t addr = LAPIC_BASE | (uint64_t)(msg->dest & 0xff) << 12 | (msg->destmode ? 4 : 0);
    uint32_t data = msg->vector | (uint32_t)msg->delivery << 8 | (msg->trigger ? 0xc000 : 0);

    return m->chips->message(m, addr | (uint64_t)(msg->dest & 0xffffff00u) << 32, data);
}

static bool deliver(struct machine *m, const struct apic_msg *msg)
{
    bool any = false;

    if (m->chips)
        return hand_over(m, msg);
    if (!m->vcpus)
        return false;
    if (msg->delivery == APIC_LOWEST) {
        struct lapic *a = arbitrate(m, msg);
        return a && lapic_accept(a, APIC_FIXED, msg->vector, msg->trigger);
    }
    for (unsigned i = 0; i < m->n_vcpus; i++) {
        struct lapic *a = m->vcpus[i]->lapic;

        if (a && matches(a, msg))
            any |= lapic_accept(a, msg->delivery, msg->vector, msg->trigger);
    }
    return any;
}

static bool deliver_logged(struct machine *m, const struct apic_msg *msg)
{
    bool ok = deliver(m, msg);

    log_ev(LOG_APIC, "deliver dest=%#x logical=%d mode=%d vector=%#x level=%d ok=%d",
           msg->dest, msg->destmode, msg->delivery, msg->vector, msg->trigger, ok);
    return ok;
}

bool apic_deliver(struct machine *m, uint8_t dest, enum apic_destmode destmode,
                  enum apic_delivery delivery, uint8_t vector,
                  enum apic_trigger trigger)
{
    struct apic_msg msg = { dest, false, destmode, delivery, vector, trigger };

    return deliver_logged(m, &msg);
}

bool apic_deliver_x2(struct machine *m, uint32_t dest, enum apic_destmode destmode,
                     enum apic_delivery delivery, uint8_t vector, enum apic_trigger trigger)
{
    struct apic_msg msg = { dest, true, destmode, delivery, vector, trigger };

    return deliver_logged(m, &msg);
}

bool lapic_msi(struct machine *m, uint64_t addr, uint32_t data)
{
    bool ok;

    if (addr - LAPIC_BASE >= MSI_WINDOW_BYTES) {
        log_guest(LOG_APIC, "msi addr=%#llx outside window", (unsigned long long)addr);
        return false;
    }
    machine_lock(m);
    ok = apic_deliver(m, bits(addr, 12, 8), addr & 4 ? APIC_LOGICAL : APIC_PHYSICAL,
                      bits(data, 8, 3), data & 0xff, data & 0x8000 ? APIC_LEVEL : APIC_EDGE);
    machine_unlock(m);
    return ok;
}

bool bus_message(struct machine *m, uint16_t rid, uint64_t addr, uint32_t data)
{
    if (m->iommu)
        return m->iommu->message(m->iommu, rid, addr, data);
    return lapic_msi(m, addr, data);
}

/* ---- the ICR --------------------------------------------------------------- */

static void send_to_all(struct lapic *a, const struct apic_msg *msg, bool self)
{
    struct machine *m = a->dev.machine;

    for (unsigned i = 0; i < m->n_vcpus; i++) {
        struct lapic *t = m->vcpus[i]->lapic;

        if (t && lapic_enabled(t) && (self || t != a))
            lapic_accept(t, msg->delivery, msg->vector, msg->trigger);
    }
}

int apic_send_to_ids(struct machine *m, const uint64_t map[2], uint32_t first, uint32_t icr)
{
    enum apic_delivery delivery = bits(icr, ICR_DELMOD_POS, 3);
    int n = 0;

    if (delivery != APIC_NMI && (delivery != APIC_FIXED || (icr & ICR_VECTOR) < 16)) {
        log_guest(LOG_APIC, "icr=%#x to many", icr);
        return 0;
    }
    machine_lock(m);
    for (unsigned i = 0; i < m->n_vcpus; i++) {
        struct lapic *a = m->vcpus[i]->lapic;
        uint32_t at = a ? lapic_id(a) - first : ~0u;

        if (at < 128 && (map[at / 64] >> at % 64 & 1) && lapic_enabled(a))
            n += lapic_accept(a, delivery, icr & ICR_VECTOR, APIC_EDGE);
    }
    machine_unlock(m);
    return n;
}

/** lapic_send_self() - fixed, edge-triggered IPI to the APIC itself */
void lapic_send_self(struct lapic *a, uint8_t vector)
{
    if (vector < 16)
        lapic_error(a, ESR_SEND_ILLEGAL);
    else
        lapic_accept(a, APIC_FIXED, vector, APIC_EDGE);
}

/* Whether the ICR holds something that goes out on the bus. */
static bool icr_sendable(struct lapic *a, uint32_t icr, unsigned delivery)
{
    if ((delivery == APIC_FIXED || delivery == APIC_LOWEST) && (icr & ICR_VECTOR) < 16) {
        lapic_error(a, ESR_SEND_ILLEGAL);
        return false;
    }
    if (delivery == APIC_RESERVED || delivery == APIC_EXTINT) {
        log_guest(LOG_APIC, "icr=%#x reserved delivery mode", icr);
        return false;
    }
    /* INIT level de-assert only set arbitration IDs on old parts */
    return !(delivery == APIC_INIT && (icr & ICR_LEVEL) && !(icr & ICR_ASSERT));
}

/** lapic_send_ipi() - carry out what a->icr says */
void lapic_send_ipi(struct lapic *a)
{
    uint32_t icr = a->icr;
    struct apic_msg msg = {
        .dest = lapic_x2(a) ? a->icr >> 32 : a->icr >> 56,
        .wide = lapic_x2(a),
        .destmode = icr & ICR_LOGICAL ? APIC_LOGICAL : APIC_PHYSICAL,
        .delivery = bits(icr, ICR_DELMOD_POS, 3),
        .vector = icr & ICR_VECTOR,
        .trigger = APIC_EDGE, /* level is for INIT de-assert only */
    };

    log_ev(LOG_APIC, "ipi cpu=%u icr=%#llx", a->vcpu->index, (unsigned long long)a->icr);
    if (!icr_sendable(a, icr, msg.delivery))
        return;
    switch (bits(icr, ICR_SHORTHAND_POS, 2)) {
    case SHORTHAND_NONE:
        deliver(a->dev.machine, &msg);
        break;
    case SHORTHAND_SELF:
        if (msg.delivery == APIC_FIXED)
            lapic_accept(a, msg.delivery, msg.vector, msg.trigger);
        else
            log_guest(LOG_APIC, "icr=%#x self with delivery mode", icr);
        break;
    case SHORTHAND_ALL:
        send_to_all(a, &msg, true);
        break;
    case SHORTHAND_OTHERS:
        send_to_all(a, &msg, false);
        break;
    }
}
