/*
 * chips.h - a stepped machine with vCPUs that only have interrupt lines, for
 * the tests of interrupt and timer chips
 */
#ifndef TESTS_HW_CHIPS_H
#define TESTS_HW_CHIPS_H

#include "hw/intc/intc.h"
#include "hw/timer/timer.h"
#include "tests/hw/stepped.h"

#define MAX_TEST_VCPUS 4

struct bench {
    struct machine *m;
    struct vcpu v[MAX_TEST_VCPUS];
    struct vcpu *pv[MAX_TEST_VCPUS];
    int kicks;
};

static inline void bench_kick(struct vcpu *v)
{
    ++*(int *)v->cpu;
}

static inline void bench_init(struct bench *b, unsigned n_vcpus)
{
    memset(b, 0, sizeof *b);
    b->m = stepped_machine();
    for (unsigned i = 0; i < n_vcpus; i++) {
        b->v[i] = (struct vcpu){ .machine = b->m, .index = i, .apic_id = i,
                                 .kick = bench_kick, .cpu = &b->kicks };
        b->pv[i] = &b->v[i];
    }
    b->m->vcpus = b->pv;
    b->m->n_vcpus = n_vcpus;
}

static inline struct device *bench_add(struct bench *b, const struct device_type *t,
                                       uint16_t port, const struct irq_line *irq)
{
    struct err e = { "" };
    struct device *d = machine_add_device(b->m, t, port, irq, NULL, NULL, &e);

    cr_assert_not_null(d, "%s: %s", t->name, e.msg);
    return d;
}

static inline void bench_step(struct bench *b, int64_t ns)
{
    clock_step(&b->m->clock, &b->m->timers, ns);
}

static inline uint32_t rd32(struct bench *b, gpa_t gpa)
{
    return mmio_read(&b->m->mem, gpa, 4);
}

static inline void wr32(struct bench *b, gpa_t gpa, uint32_t v)
{
    mmio_write(&b->m->mem, gpa, v, 4);
}

/* struct edges - a wire that counts how often it rose */
struct edges {
    int level, rises;
};

static inline void edges_set(void *opaque, int n, int level)
{
    struct edges *e = opaque;

    e->rises += level && !e->level;
    e->level = level;
}

#endif
