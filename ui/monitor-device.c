/*
 * monitor-device.c - devices that come and go while the machine runs; USB
 */
#include <stdlib.h>
#include "hw/usb/usb.h"
#include "ui/commands-int.h"
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
    if (!m->pci)
        return err_set(e, -ENODEV, "there is no machine to plug it into");
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

/* In the protocol: members are properties. */
static int cmd_device_add(struct call *c, struct err *e)
{
    struct kv_list l = { NULL, 0 };
    int ret;

    flat_kv(&l, c->args);
    ret = run_device_add(c->m, &l, e);
    kv_free(&l);
    return ret;
}

/* At the prompt: as after -device. */
static int cmd_device_add_line(struct call *c, struct err *e)
{
    struct kv_list l = { NULL, 0 };
    int ret = kv_parse(&l, jv_text(c->args, "device"), e);

    if (ret == 0)
        ret = run_device_add(c->m, &l, e);
    kv_free(&l);
    return ret;
}

static int cmd_device_del(struct call *c, struct err *e)
{
    const char *id = jv_text(c->args, "id");

    if (!strncmp(id, "/machine/peripheral/", 20))
        id += 20;
    if (!machine_device_by_id(c->m, id))
        return cmd_not_found(c, e, "Device '%.64s' not found", id);
    return run_device_del(c->m, id, e);
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
                               p->dev->addr, p->path, usb_speed_mbit(p->dev),
                               p->dev->model->product, p->dev->dev.id ? ", ID: " : "",
                               p->dev->dev.id ? p->dev->dev.id : "");
}

const struct command device_commands[] = {
    { .qmp = "device_add", .args = "driver:T,bus:s?,id:s?,*", .run = cmd_device_add },
    { .hmp = "device_add", .args = "device:S", .help = "plug a device in: DRIVER[,id=ID][,prop=value]",
      .run = cmd_device_add_line },
    { .hmp = "device_del", .qmp = "device_del", .args = "id:D",
      .help = "take a device out, a card once the guest lets it go", .run = cmd_device_del },
    { .hmp = NULL }
};

const struct monitor_cmd device_infos[] = {
    { "usb", "", "USB devices", info_usb },
    { NULL, NULL, NULL, NULL }
};
