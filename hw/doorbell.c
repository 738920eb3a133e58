/*
 * doorbell.c - the machine's list of doorbells, and where each answers
 */
#include "hw/doorbell.h"

void doorbells_changed(struct machine *m)
{
    if (m->accel && m->accel->doorbells_changed)
        m->accel->doorbells_changed(m);
}

void doorbell_add(struct machine *m, struct doorbell *d)
{
    d->next = m->doorbells;
    m->doorbells = d;
    doorbells_changed(m);
}

void doorbell_remove(struct machine *m, struct doorbell *d)
{
    struct doorbell **p = &m->doorbells;

    while (*p && *p != d)
        p = &(*p)->next;
    if (!*p)
        return;
    *p = d->next;
    doorbells_changed(m);
}

bool doorbell_gpa(const struct machine *m, const struct doorbell *d, gpa_t *gpa)
{
    const struct mem_flat *f;

    if (!d->mem || !d->mem->enabled)
        return false;
    *gpa = d->mem->base + d->mem_off;
    f = mem_find(&m->mem, *gpa);
    return f && f->region == d->mem;
}

int doorbell_port(const struct machine *m, const struct doorbell *d)
{
    return d->ports && *d->ports ? port_at(m, *d->ports, d->port_off) : -1;
}
