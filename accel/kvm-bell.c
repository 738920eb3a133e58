/*
 * kvm-bell.c - doorbells (hw/doorbell.h) that KVM answers itself: ioeventfd
 *
 * A write to one makes an eventfd readable, and the main loop rings; the vCPU does not come out.
 * Each bell's descriptor stays in the loop for its life; where KVM takes writes for it follows the
 * maps. What KVM refuses (no such capability, its table is full) stays an access like others.
 */
#include <poll.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include "accel/kvm-int.h"
#include "hw/doorbell.h"

enum { PORT_BYTES = 2, MODERN_BYTES = 2, NOWHERE = -1 };

/** struct kvm_bell - @gpa, @port: where KVM takes writes now, or NOWHERE */
struct kvm_bell {
    struct doorbell *d;
    struct kvm *k;
    struct loop *loop;      /* outlives the machine */
    int fd;
    int64_t gpa;
    int port;
    struct kvm_bell *next;
};

static void rung(void *opaque, int fd, short revents)
{
    struct kvm_bell *b = opaque;
    uint64_t n;

    if (read(fd, &n, sizeof n) != sizeof n)
        return;
    machine_lock(b->k->a->m);
    b->d->ring(b->d->opaque, b->d->n);
    machine_unlock(b->k->a->m);
}

static int assign(struct kvm_bell *b, struct kvm_ioeventfd io, bool on)
{
    io.fd = b->fd;
    if (!on)
        io.flags |= KVM_IOEVENTFD_FLAG_DEASSIGN;
    return kvm_ioctl(b->k->vm_fd, KVM_IOEVENTFD, &io);
}

static int assign_mem(struct kvm_bell *b, int64_t gpa, bool on)
{
    return assign(b, (struct kvm_ioeventfd){ .addr = (uint64_t)gpa,
                                             .len = b->k->bell_any_len ? 0 : MODERN_BYTES }, on);
}

static int assign_port(struct kvm_bell *b, int port, bool on)
{
    return assign(b, (struct kvm_ioeventfd){ .addr = (uint64_t)port, .len = PORT_BYTES, .datamatch = b->d->value,
                                             .flags = KVM_IOEVENTFD_FLAG_PIO | KVM_IOEVENTFD_FLAG_DATAMATCH }, on);
}

static void place(struct kvm_bell *b, int64_t gpa, int port)
{
    if (b->gpa != gpa) {
        if (b->gpa != NOWHERE)
            assign_mem(b, b->gpa, false);
        b->gpa = gpa != NOWHERE && assign_mem(b, gpa, true) == 0 ? gpa : NOWHERE;
    }
    if (b->port != port) {
        if (b->port != NOWHERE)
            assign_port(b, b->port, false);
        b->port = port != NOWHERE && assign_port(b, port, true) == 0 ? port : NOWHERE;
    }
}

static void follow(struct kvm_bell *b)
{
    const struct machine *m = b->k->a->m;
    gpa_t gpa;

    place(b, doorbell_gpa(m, b->d, &gpa) ? (int64_t)gpa : NOWHERE, doorbell_port(m, b->d));
}

static bool listed(const struct machine *m, const struct doorbell *d)
{
    const struct doorbell *i = m->doorbells;

    while (i && i != d)
        i = i->next;
    return i;
}

static bool known(const struct kvm *k, const struct doorbell *d)
{
    const struct kvm_bell *b = k->bells;

    while (b && b->d != d)
        b = b->next;
    return b;
}

static void drop_gone(struct kvm *k)
{
    for (struct kvm_bell **p = &k->bells, *b; (b = *p);) {
        if (listed(k->a->m, b->d)) {
            p = &b->next;
            continue;
        }
        place(b, NOWHERE, NOWHERE);
        loop_del_fd(b->loop, b->fd);
        close(b->fd);
        *p = b->next;
        free(b);
    }
}

static void add(struct kvm *k, struct doorbell *d)
{
    struct kvm_bell *b;
    int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

    if (fd < 0)
        return;
    b = xzalloc(sizeof *b);
    *b = (struct kvm_bell){ .d = d, .k = k, .loop = k->a->m->loop, .fd = fd, .gpa = NOWHERE, .port = NOWHERE,
                            .next = k->bells };
    k->bells = b;
    loop_add_fd(b->loop, fd, POLLIN, rung, b);
}

void kvm_bells_follow(struct accel *a)
{
    struct kvm *k = a->kvm;

    if (!k->ioeventfd)
        return;
    drop_gone(k);
    for (struct doorbell *d = a->m->doorbells; d; d = d->next)
        if (!known(k, d))
            add(k, d);
    for (struct kvm_bell *b = k->bells; b; b = b->next)
        follow(b);
}

unsigned kvm_bells_placed(const struct kvm *k)
{
    unsigned n = 0;

    for (const struct kvm_bell *b = k->bells; b; b = b->next)
        n += (b->gpa != NOWHERE) + (b->port != NOWHERE);
    return n;
}
