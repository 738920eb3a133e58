/*
 * kvm-msi.c - interrupt messages on their way to the kernel's local APICs
 *
 * A message is an ioctl. One that comes again and again gets a route of its own and an eventfd
 * (irqfd): it then is a write that finds its destination looked up already. A route costs the kernel
 * a grace period, so it has to be earned, and a message that nobody sends any more loses its own only to
 * another in the same place of the table. The routes of the I/O APIC's pins are here, too.
 */
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include "accel/kvm-int.h"
#include "hw/intc/intc.h"

/* numbers of interrupts: the chips' pins or the I/O APIC's, then the messages' */
enum { GSI_PIC_PINS = 16, GSI_MSI = 64 };
enum { WORTH_A_ROUTE = 16, FORGOTTEN = 64 };   /* times sent; times another wanted its place */
enum { MSI_TRIGGER_LEVEL = 1 << 15 };

static struct kvm_msi_route *place_of(struct kvm *k, uint64_t addr, uint32_t data)
{
    return &k->msi[((addr >> 12) * 31 + (addr >> 32) * 7 + data) % KVM_MSI_ROUTES];
}

static bool same(const struct kvm_msi_route *r, uint64_t addr, uint32_t data)
{
    return r->addr == addr && r->data == data;
}

/* ---- the table of routes ------------------------------------------------------------------- */

static void set_message(struct kvm_irq_routing_entry *e, uint32_t gsi, uint64_t addr, uint32_t data)
{
    *e = (struct kvm_irq_routing_entry){ .gsi = gsi, .type = KVM_IRQ_ROUTING_MSI };
    e->u.msi.address_lo = (uint32_t)addr;
    e->u.msi.address_hi = addr >> 32;
    e->u.msi.data = data;
}

/* on: the 8259s' 16 inputs, then the I/O APIC's pins. */
static unsigned add_chips(struct kvm_irq_routing_entry *e)
{
    for (unsigned i = 0; i < GSI_PIC_PINS + IOAPIC_PINS; i++) {
        e[i] = (struct kvm_irq_routing_entry){ .gsi = i, .type = KVM_IRQ_ROUTING_IRQCHIP };
        e[i].u.irqchip.irqchip = i < 8 ? KVM_IRQCHIP_PIC_MASTER : i < GSI_PIC_PINS ? KVM_IRQCHIP_PIC_SLAVE
                                 : KVM_IRQCHIP_IOAPIC;
        e[i].u.irqchip.pin = i < GSI_PIC_PINS ? i & 7 : i - GSI_PIC_PINS;
    }
    return GSI_PIC_PINS + IOAPIC_PINS;
}

/* split: KVM has to know what the pins send, so that it tells the ends of these interrupts. */
static unsigned add_pins(struct kvm_irq_routing_entry *e, struct ioapic *io)
{
    unsigned n = 0;

    for (unsigned i = 0; io && i < IOAPIC_PINS; i++) {
        uint64_t addr;
        uint32_t data;

        if (ioapic_message(io, i, &addr, &data))
            set_message(&e[n++], i, addr, data);
    }
    return n;
}

bool kvm_routes_set(struct kvm *k)
{
    enum { MAX = GSI_PIC_PINS + IOAPIC_PINS + KVM_MSI_ROUTES };
    struct { struct kvm_irq_routing h; struct kvm_irq_routing_entry e[MAX]; } t;
    unsigned n = k->irqchip == IRQCHIP_ON ? add_chips(t.e) : add_pins(t.e, k->a->m->ioapic);
    int ret;

    for (unsigned i = 0; i < KVM_MSI_ROUTES; i++)
        if (k->msi[i].fd >= 0)
            set_message(&t.e[n++], GSI_MSI + i, k->msi[i].addr, k->msi[i].data);
    t.h = (struct kvm_irq_routing){ .nr = n };
    ret = kvm_ioctl(k->vm_fd, KVM_SET_GSI_ROUTING, &t);
    if (ret < 0)
        log_write("kvm: interrupt routes: %s", strerror(-ret));
    return ret == 0;
}

/* ---- messages with a descriptor ---------------------------------------------------------------- */

static int irqfd(const struct kvm *k, const struct kvm_msi_route *r, bool on)
{
    struct kvm_irqfd fd = { .fd = (uint32_t)r->fd, .gsi = GSI_MSI + (uint32_t)(r - k->msi),
                            .flags = on ? 0 : KVM_IRQFD_FLAG_DEASSIGN };

    return kvm_ioctl(k->vm_fd, KVM_IRQFD, &fd);
}

/* What was written to it has arrived when this returns. */
static void drop(struct kvm *k, struct kvm_msi_route *r)
{
    if (r->fd >= 0) {
        irqfd(k, r, false);
        close(r->fd);
    }
    *r = (struct kvm_msi_route){ .fd = -1 };
}

static void give_route(struct kvm *k, struct kvm_msi_route *r)
{
    int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

    if (fd < 0)
        return;
    r->fd = fd;
    if (kvm_routes_set(k) && irqfd(k, r, true) == 0)
        return;
    close(fd);
    r->fd = -1;
    k->irqfd = false;                /* this KVM does not want to */
}

/* Sent by its route? */
static bool routed(struct kvm *k, uint64_t addr, uint32_t data)
{
    struct kvm_msi_route *r = place_of(k, addr, data);
    uint64_t one = 1;

    if (!k->irqfd || (data & MSI_TRIGGER_LEVEL))
        return false;
    if (!same(r, addr, data)) {
        if (r->fd >= 0 && ++r->wanted < FORGOTTEN)
            return false;
        drop(k, r);
        *r = (struct kvm_msi_route){ .addr = addr, .data = data, .fd = -1 };
    }
    r->wanted = 0;
    if (r->fd < 0 && ++r->sent == WORTH_A_ROUTE)
        give_route(k, r);
    return r->fd >= 0 && write(r->fd, &one, sizeof one) == sizeof one;
}

bool kvm_message(struct machine *m, uint64_t addr, uint32_t data)
{
    struct kvm *k = accel_of(m)->kvm;
    struct kvm_msi msi = { .address_lo = (uint32_t)addr, .address_hi = addr >> 32, .data = data };

    return routed(k, addr, data) || kvm_ioctl(k->vm_fd, KVM_SIGNAL_MSI, &msi) > 0;
}

void kvm_messages_forget(struct kvm *k)
{
    for (unsigned i = 0; i < KVM_MSI_ROUTES; i++)
        drop(k, &k->msi[i]);
}

unsigned kvm_messages_routed(const struct kvm *k)
{
    unsigned n = 0;

    for (unsigned i = 0; i < KVM_MSI_ROUTES; i++)
        n += k->msi[i].fd >= 0;
    return n;
}
