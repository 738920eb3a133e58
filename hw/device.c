/*
 * device.c - constructing, finding, resetting and destroying devices
 */
#include <stdlib.h>
#include "hw/hw-int.h"
#include "hw/outside.h"
#include "hw/prop.h"

static void device_append(struct machine *m, struct device *d)
{
    struct device **p = &m->devices;

    while (*p)
        p = &(*p)->next;
    *p = d;
}

/* What every device has; its own is gone. */
static void device_free(struct device *d)
{
    prop_free(d);
    free((char *)d->id);
    free(d);
}

struct device *machine_add_device(struct machine *m, const struct device_type *t,
                                  uint16_t port, const struct irq_line *irq,
                                  void (*setup)(struct device *d, const void *arg),
                                  const void *arg, struct err *e)
{
    struct device *d = xzalloc(MAX(t->size, sizeof *d));
    struct port_range *range = NULL;

    d->type = t;
    d->machine = m;
    d->port = port;
    d->irq = irq;
    if (setup)
        setup(d, arg);
    if (port && t->io.len)
        range = port_map(m, t->name, port, t->io.len, &t->io.ops, d);
    if (t->init && t->init(d, e) < 0) {
        port_unmap(m, range);
        device_free(d);
        return NULL;
    }
    device_append(m, d);
    return d;
}

/* What firmware.c calls a ROM image is no name that a user gave. */
bool device_is_named(const struct device *d)
{
    return d->id && strcmp(d->type->name, "firmware-rom");
}

/* vCPUs come first among the devices without id. */
char *device_path(struct machine *m, const struct device *d, const char *suffix)
{
    unsigned n = m->n_vcpus;

    if (device_is_named(d))
        return xasprintf("/machine/peripheral/%s%s", d->id, suffix);
    for (const struct device *i = m->devices; i && i != d; i = i->next)
        n += !device_is_named(i);
    return xasprintf("/machine/unattached/device[%u]%s", n, suffix);
}

struct device *machine_device_by_id(struct machine *m, const char *id)
{
    struct device *d = m->devices;

    while (d && (!d->id || strcmp(d->id, id)))
        d = d->next;
    return d;
}

void machine_remove_device(struct machine *m, struct device *d)
{
    struct device **p = &m->devices;

    while (*p != d)
        p = &(*p)->next;
    *p = d->next;
    if (m->device_deleted)
        m->device_deleted(m->device_deleted_opaque, d);
    if (d->type->destroy)
        d->type->destroy(d);
    device_free(d);
}

/* From the start each time: what was plugged into it goes with a device. */
void machine_remove_gone(struct machine *m)
{
    struct device *d = m->devices;

    while (d)
        if (d->gone) {
            machine_remove_device(m, d);
            d = m->devices;
        } else {
            d = d->next;
        }
}

struct device *machine_find_device(struct machine *m, const char *type_name)
{
    struct device *d = m->devices;

    while (d && strcmp(d->type->name, type_name) != 0)
        d = d->next;
    return d;
}

void machine_reset(struct machine *m)
{
    machine_lock(m);
    outside_tell(m, &(struct outside_event){ .kind = OUTSIDE_CONTROL, .arg = { OUTSIDE_RESET } });
    for (unsigned last = 0; last < 2; last++)
        for (struct device *d = m->devices; d; d = d->next)
            if (d->type->reset && d->type->reset_last == last)
                d->type->reset(d);
    m->waking = false;
    machine_unlock(m);
}

/* Last constructed first. Recursion depth is the number of devices: dozens. */
static void destroy_list(struct device *d)
{
    if (!d)
        return;
    destroy_list(d->next);
    if (d->type->destroy)
        d->type->destroy(d);
}

/* All are destroyed before any is freed: they may still refer to each other. */
void devices_free(struct machine *m)
{
    struct device *next;

    destroy_list(m->devices);
    for (struct device *d = m->devices; d; d = next) {
        next = d->next;
        device_free(d);
    }
    m->devices = NULL;
}

unsigned dev_field_width(const struct dev_field *f)
{
    static const uint8_t width[] = { [FIELD_U8] = 1, [FIELD_U16] = 2, [FIELD_U32] = 4, [FIELD_U64] = 8,
                                     [FIELD_BOOL] = sizeof(bool) };

    return f->type == FIELD_BYTES ? f->elem : width[f->type];
}
