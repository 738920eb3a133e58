/*
 * monitor-state.c - info state: what a device holds, by its table of fields
 */
#include "ui/monitor-int.h"
#include "ui/run-int.h"

#define ROW_BYTES 16
#define MAX_ROWS  64          /* of an array: what is longer is cut */

static uint64_t element(const uint8_t *p, unsigned width)
{
    uint64_t v = 0;

    memcpy(&v, p, width);
    return v;
}

/* Rows of zeroes are left out. */
static void print_array(struct monitor *mon, const struct dev_field *f, const uint8_t *p, unsigned width)
{
    static const uint8_t zeroes[ROW_BYTES];
    unsigned shown = 0;

    monitor_printf(mon, "  %s: %u x %u bytes\n", f->name, f->bytes / width, width);
    for (uint32_t at = 0; at < f->bytes; at += ROW_BYTES) {
        uint32_t end = MIN(at + ROW_BYTES, f->bytes);

        if (!memcmp(p + at, zeroes, end - at))
            continue;
        if (shown++ == MAX_ROWS) {
            monitor_printf(mon, "    ...\n");
            return;
        }
        monitor_printf(mon, "    %04x:", at / width);
        for (uint32_t i = at; i < end; i += width)
            monitor_printf(mon, " %0*llx", (int)width * 2, (unsigned long long)element(p + i, width));
        monitor_printf(mon, "\n");
    }
}

static void print_field(struct monitor *mon, const struct device *d, const struct dev_field *f)
{
    const uint8_t *p = (const uint8_t *)d + f->offset;
    unsigned width = dev_field_width(f);

    if (!width)
        monitor_printf(mon, "  %s: a structure of %u bytes\n", f->name, f->bytes);
    else if (f->bytes > width)
        print_array(mon, f, p, width);
    else
        monitor_printf(mon, "  %s: %#llx\n", f->name, (unsigned long long)element(p, width));
}

static void print_device(struct monitor *mon, const struct device *d)
{
    monitor_printf(mon, "%s%s%s\n", d->type->name, d->id ? ", id " : "", d->id ? d->id : "");
    for (const struct dev_field *f = d->type->fields; f && f->name; f++)
        print_field(mon, d, f);
}

/* "info state": what can be asked for; "info state NAME": by id, or all of that type. */
static void info_state(struct monitor *mon, char *rest)
{
    struct machine *m = monitor_machine(mon);
    const struct device *by_id = *rest ? machine_device_by_id(m, rest) : NULL;
    bool any = false;

    for (const struct device *d = m->devices; d; d = d->next) {
        if (!d->type->fields)
            continue;
        if (!*rest)
            monitor_printf(mon, "%s%s%s\n", d->type->name, d->id ? ", id " : "", d->id ? d->id : "");
        else if (by_id ? d == by_id : !strcmp(d->type->name, rest))
            print_device(mon, d);
        else
            continue;
        any = true;
    }
    if (!any)
        monitor_printf(mon, "no device '%s' that tells its state (info state lists them)\n", rest);
}

const struct monitor_cmd state_infos[] = {
    { "state", "[DEVICE]", "registers and other state of a device, by id or type", info_state },
    { NULL, NULL, NULL, NULL }
};
