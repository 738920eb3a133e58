/*
 * monitor-device.c - devices that come and go while the machine runs; USB
 */
#include <stdlib.h>
#include "hw/usb/usb.h"
#include "ui/monitor-int.h"
#include "ui/run-int.h"

int run_device_add(struct machine *m, struct kv_list *l, struct err *e)
{
    const char *name, *id = kv_get(l, "id");
    const struct user_device *u;
    struct user_prop *props;
    struct device *d;
    size_t n = 0;

    if (!kv_get(l, "driver") && l->n && !*l->item[0].key)
        kv_add(l, "driver", l->item[0].val);
    name = kv_get(l, "driver");
    if (!name)
        return err_set(e, -EINVAL, "DRIVER[,id=ID][,prop=value] is wanted");
    if (!(u = user_device_find(name)))
        return err_set(e, -ENODEV, "there is no device '%s'", name);
    props = xzalloc((l->n + 1) * sizeof *props);
    for (size_t i = 0; i < l->n; i++)
        if (*l->item[i].key && strcmp(l->item[i].key, "driver") && strcmp(l->item[i].key, "id"))
            props[n++] = (struct user_prop){ l->item[i].key, l->item[i].val };
    d = user_device_plug(m, u, id, props, n, e);
    free(props);
    return d ? 0 : -EINVAL;
}

int run_device_del(struct machine *m, const char *id, struct err *e)
{
    struct device *d = machine_device_by_id(m, id);

    if (!d)
        return err_set(e, -ENODEV, "there is no device '%s'", id);
    return user_device_unplug(d, e);
}

static void cmd_device_add(struct monitor *mon, char *rest)
{
    struct kv_list l = { NULL, 0 };
    struct err e = { "" };

    if (kv_parse(&l, rest, &e) < 0 || run_device_add(monitor_machine(mon), &l, &e) < 0)
        monitor_printf(mon, "device_add: %s\n", e.msg);
    kv_free(&l);
}

static void cmd_device_del(struct monitor *mon, char *rest)
{
    struct err e = { "" };

    if (!*rest)
        monitor_printf(mon, "device_del: ID is wanted\n");
    else if (run_device_del(monitor_machine(mon), rest, &e) < 0)
        monitor_printf(mon, "device_del: %s\n", e.msg);
}

static void info_usb(struct monitor *mon, char *rest)
{
    struct machine *m = monitor_machine(mon);
    unsigned bus = 0;

    if (!m->usb)
        monitor_printf(mon, "USB support not enabled\n");
    for (struct usb_bus *b = m->usb; b; b = b->next, bus++)
        for (struct usb_port *p = b->ports; p; p = p->next)
            if (p->dev)
                monitor_printf(mon, "  Device %u.%u, Port %s, Speed %s Mb/s, Product %s%s%s\n", bus,
                               p->dev->addr, p->path, p->dev->model->low_speed ? "1.5" : "12",
                               p->dev->model->product, p->dev->dev.id ? ", ID: " : "",
                               p->dev->dev.id ? p->dev->dev.id : "");
}

const struct monitor_cmd device_commands[] = {
    { "device_add", "DRIVER[,id=ID][,prop=value]", "plug a device in", cmd_device_add },
    { "device_del", "ID", "take a device out, a card once the guest lets it go", cmd_device_del },
    { NULL, NULL, NULL, NULL }
};

const struct monitor_cmd device_infos[] = {
    { "usb", "", "USB devices", info_usb },
    { NULL, NULL, NULL, NULL }
};
