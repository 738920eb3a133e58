/*
 * qmp-qom.c - the machine as the tree of objects that programs expect: /machine with its
 * peripherals (devices with an id) and the rest, types and their properties
 *
 * There is no such tree behind it: paths are looked up in the list of devices. What a type
 * or a property is called is QEMU's interface; only what works here is listed.
 */
#define _GNU_SOURCE 1
#include <stdlib.h>
#include "hw/disk/drive.h"
#include "hw/virtio/virtio-balloon.h"
#include "ui/commands-int.h"
#include "ui/options.h"

#define PERIPHERAL "/machine/peripheral"
#define UNATTACHED "/machine/unattached"

/* ---- paths ------------------------------------------------------------------------ */

/** struct object - what a path leads to */
struct object {
    enum { OBJ_NONE, OBJ_ROOT, OBJ_MACHINE, OBJ_PERIPHERAL, OBJ_UNATTACHED, OBJ_CPU, OBJ_DEVICE,
           OBJ_BACKEND } kind;
    unsigned cpu;
    const struct device *dev;
};

static const struct device *by_id(struct machine *m, const char *id, size_t n)
{
    for (const struct device *d = m->devices; d; d = d->next)
        if (device_is_named(d) && strlen(d->id) == n && !strncmp(d->id, id, n))
            return d;
    return NULL;
}

static struct object by_number(struct machine *m, unsigned long n)
{
    struct object o = { OBJ_NONE };

    if (n < m->n_vcpus) {
        o.kind = OBJ_CPU;
        o.cpu = (unsigned)n;
        return o;
    }
    n -= m->n_vcpus;
    for (const struct device *d = m->devices; d; d = d->next)
        if (!device_is_named(d) && !n--) {
            o.kind = OBJ_DEVICE;
            o.dev = d;
            break;
        }
    return o;
}

static struct object peripheral(struct machine *m, const char *rest)
{
    size_t n = strcspn(rest, "/");
    struct object o = { OBJ_NONE, 0, by_id(m, rest, n) };

    if (o.dev && !rest[n])
        o.kind = OBJ_DEVICE;
    else if (o.dev && !strcmp(rest + n, "/virtio-backend") && !strncmp(o.dev->type->name, "virtio-", 7))
        o.kind = OBJ_BACKEND;
    return o;
}

static struct object lookup(struct machine *m, const char *path)
{
    struct object o = { OBJ_NONE };
    char *end;

    if (!strcmp(path, "/") || !*path)
        o.kind = OBJ_ROOT;
    else if (!strcmp(path, "/machine"))
        o.kind = OBJ_MACHINE;
    else if (!strcmp(path, PERIPHERAL))
        o.kind = OBJ_PERIPHERAL;
    else if (!strcmp(path, UNATTACHED) || !strcmp(path, "/machine/peripheral-anon"))
        o.kind = OBJ_UNATTACHED;
    else if (!strncmp(path, PERIPHERAL "/", sizeof(PERIPHERAL)))
        o = peripheral(m, path + sizeof(PERIPHERAL));
    else if (!strncmp(path, UNATTACHED "/device[", sizeof(UNATTACHED) + 7)) {
        unsigned long n = strtoul(path + sizeof(UNATTACHED) + 7, &end, 10);

        if (!strcmp(end, "]"))
            o = by_number(m, n);
    } else if (*path != '/') {
        o = peripheral(m, path);       /* an id alone will do */
    }
    return o;
}

static int find_path(struct call *c, struct object *o, const char *path, struct err *e)
{
    *o = lookup(c->m, path);
    return o->kind == OBJ_NONE ? cmd_not_found(c, e, "Device '%.128s' not found", path) : 0;
}

/* ---- properties of a device ------------------------------------------------------------ */

static const char *qom_type(enum prop_type t)
{
    static const char *const names[] = {
        [PROP_BOOL] = "bool", [PROP_ON_OFF_AUTO] = "OnOffAuto", [PROP_U16] = "uint16",
        [PROP_U32] = "uint32", [PROP_U64] = "uint64", [PROP_SIZE] = "size", [PROP_I32] = "int32",
        [PROP_STRING] = "str", [PROP_DRIVE] = "str", [PROP_DEVFN] = "str", [PROP_IGNORED] = "str",
    };

    return names[t];
}

void prop_write(struct jw *w, const char *key, const struct device *d, const struct dev_prop *p)
{
    static const char *const onoff[] = { "auto", "on", "off" };
    const void *at = (const char *)d + p->offset;

    switch (p->type) {
    case PROP_BOOL:
        jw_bool(w, key, *(const bool *)at);
        break;
    case PROP_ON_OFF_AUTO:
        jw_str(w, key, onoff[MIN(*(const uint8_t *)at, 2)]);
        break;
    case PROP_U16:
        jw_uint(w, key, *(const uint16_t *)at);
        break;
    case PROP_U32:
        jw_uint(w, key, *(const uint32_t *)at);
        break;
    case PROP_U64: case PROP_SIZE:
        jw_uint(w, key, *(const uint64_t *)at);
        break;
    case PROP_I32:
        jw_int(w, key, *(const int32_t *)at);
        break;
    case PROP_DEVFN:
        jw_strf(w, key, "%02x.%x", (unsigned)*(const int32_t *)at >> 3 & 31, *(const int32_t *)at & 7);
        break;
    case PROP_STRING:
        jw_str(w, key, *(char *const *)at ? *(char *const *)at : "");
        break;
    case PROP_DRIVE:
        jw_str(w, key, *(struct drive *const *)at ? (*(struct drive *const *)at)->id : "");
        break;
    default:
        jw_str(w, key, "");
        break;
    }
}

/* Where a property is that lies in the table under @name; IGNORED ones have no value. */
static const struct dev_prop *real_prop(const struct device_type *t, const char *name)
{
    const struct dev_prop *p = prop_find(t, name);

    return p && p->type != PROP_IGNORED ? p : NULL;
}

/* ---- qom-list, qom-get, qom-list-get ------------------------------------------------------ */

static const char *cpu_model(const struct run *r)
{
    return r->opt->model.name ? r->opt->model.name : "qemu64";
}

/** struct visit - listing the properties of an object, with or without their values */
struct visit {
    struct jw *w;
    struct call *c;
    bool values;
};

static void member_begin(struct visit *v, const char *name, const char *type)
{
    jw_open(v->w, NULL);
    jw_str(v->w, "name", name);
    jw_str(v->w, "type", type);
}

static void member_str(struct visit *v, const char *name, const char *type, const char *value)
{
    member_begin(v, name, type);
    if (v->values)
        jw_str(v->w, "value", value);
    jw_close(v->w);
}

static void member_bool(struct visit *v, const char *name, bool value)
{
    member_begin(v, name, "bool");
    if (v->values)
        jw_bool(v->w, "value", value);
    jw_close(v->w);
}

static void member_feature(void *opaque, const char *name, bool on)
{
    member_bool(opaque, name, on);
}

static void child(struct visit *v, const char *name, const char *type, const char *path)
{
    char *text = xasprintf("child<%s>", type);

    member_str(v, name, text, path);
    free(text);
}

static void list_devices(struct visit *v, bool named)
{
    struct machine *m = v->c->m;
    unsigned n = 0;
    char name[32];

    for (n = 0; !named && n < m->n_vcpus; n++) {
        char *type = xasprintf("%s-x86_64-cpu", cpu_model(v->c->run));

        snprintf(name, sizeof(name), "device[%u]", n);
        child(v, name, type, "");
        free(type);
    }
    for (const struct device *d = m->devices; d; d = d->next) {
        char *path;

        if (device_is_named(d) != named)
            continue;
        path = device_path(m, d, "");
        snprintf(name, sizeof(name), "device[%u]", n++);
        child(v, named ? d->id : name, d->type->name, path);
        free(path);
    }
}

static void list_cpu(struct visit *v, unsigned n)
{
    char *type = xasprintf("%s-x86_64-cpu", cpu_model(v->c->run));

    member_str(v, "type", "string", type);
    member_bool(v, "realized", true);
    each_feature(&v->c->run->opt->model, member_feature, v);
    free(type);
}

static void list_device(struct visit *v, const struct device *d)
{
    member_str(v, "type", "string", d->type->name);
    member_bool(v, "realized", true);
    for (const struct dev_prop *p = d->type->props; p && p->name; p++) {
        if (p->type == PROP_IGNORED)
            continue;
        member_begin(v, p->name, qom_type(p->type));
        if (v->values)
            prop_write(v->w, "value", d, p);
        jw_close(v->w);
    }
    for (const char *const *name = balloon_props; balloon_is(d) && *name; name++) {
        member_begin(v, *name, strcmp(*name, "guest-stats") ? "int" : "guest statistics");
        if (v->values)
            balloon_prop_get(v->w, "value", d, *name);
        jw_close(v->w);
    }
    if (!strncmp(d->type->name, "virtio-", 7))
        child(v, "virtio-backend", "virtio-device", "");
}

static void list_object(struct visit *v, const struct object *o)
{
    const char *machine = v->c->m->cfg.board == BOARD_Q35 ? "pc-q35-transom-machine" : "pc-i440fx-transom-machine";

    jw_open_array(v->w, v->values ? "properties" : NULL);
    if (o->kind == OBJ_ROOT) {
        child(v, "machine", machine, "/machine");
    } else if (o->kind == OBJ_MACHINE) {
        member_str(v, "type", "string", machine);
        child(v, "peripheral", "container", PERIPHERAL);
        child(v, "peripheral-anon", "container", "/machine/peripheral-anon");
        child(v, "unattached", "container", UNATTACHED);
    } else if (o->kind == OBJ_CPU) {
        list_cpu(v, o->cpu);
    } else if (o->kind == OBJ_DEVICE) {
        list_device(v, o->dev);
    } else {
        member_str(v, "type", "string", o->kind == OBJ_BACKEND ? "virtio-device" : "container");
        if (o->kind == OBJ_PERIPHERAL || o->kind == OBJ_UNATTACHED)
            list_devices(v, o->kind == OBJ_PERIPHERAL);
    }
    jw_close(v->w);
}

static int qom_list(struct call *c, struct err *e)
{
    struct visit v = { c->out, c, false };
    struct object o;

    if (find_path(c, &o, jv_text(c->args, "path"), e) < 0)
        return -ENODEV;
    list_object(&v, &o);
    return 0;
}

static int qom_list_get(struct call *c, struct err *e)
{
    const struct jv *paths = jv_get(c->args, "paths");
    struct visit v = { c->out, c, true };
    struct object o;

    if (paths->type != JV_ARRAY)
        return err_set(e, -EINVAL, "Invalid parameter type for 'paths', expected: array");
    for (const struct jv *p = paths->child; p; p = p->next) {
        if (p->type != JV_STRING)
            return err_set(e, -EINVAL, "Invalid parameter type for 'paths[]', expected: string");
        if (find_path(c, &o, p->s, e) < 0)
            return -ENODEV;
    }
    jw_open_array(c->out, NULL);
    for (const struct jv *p = paths->child; p; p = p->next) {
        o = lookup(c->m, p->s);
        jw_open(c->out, NULL);
        list_object(&v, &o);
        jw_close(c->out);
    }
    jw_close(c->out);
    return 0;
}

/** struct wanted - a feature that is looked for */
struct wanted {
    const char *name;
    bool found, on;
};

static void find_feature(void *opaque, const char *name, bool on)
{
    struct wanted *f = opaque;

    if (!strcmp(name, f->name)) {
        f->found = true;
        f->on = on;
    }
}

static bool get_cpu(struct call *c, const char *name)
{
    struct wanted f = { .name = name };

    each_feature(&c->run->opt->model, find_feature, &f);
    if (f.found)
        jw_bool(c->out, NULL, f.on);
    return f.found;
}

static int qom_get(struct call *c, struct err *e)
{
    const char *name = jv_text(c->args, "property");
    const struct dev_prop *p;
    struct object o;

    if (find_path(c, &o, jv_text(c->args, "path"), e) < 0)
        return -ENODEV;
    if ((o.kind == OBJ_CPU || o.kind == OBJ_DEVICE) && !strcmp(name, "realized"))
        jw_bool(c->out, NULL, true);
    else if (o.kind == OBJ_CPU && !strcmp(name, "type"))
        jw_strf(c->out, NULL, "%s-x86_64-cpu", cpu_model(c->run));
    else if (o.kind == OBJ_DEVICE && !strcmp(name, "type"))
        jw_str(c->out, NULL, o.dev->type->name);
    else if (o.kind == OBJ_DEVICE && (p = real_prop(o.dev->type, name)))
        prop_write(c->out, NULL, o.dev, p);
    else if (o.kind == OBJ_DEVICE && balloon_prop_get(c->out, NULL, o.dev, name) == 0)
        return 0;
    else if (o.kind != OBJ_CPU || !get_cpu(c, name))
        return err_set(e, -EINVAL, "Property '%.64s' not found", name);
    return 0;
}

static int qom_set(struct call *c, struct err *e)
{
    const char *name = jv_text(c->args, "property");
    struct object o;
    int ret = -ENOENT;

    if (find_path(c, &o, jv_text(c->args, "path"), e) < 0)
        return -ENODEV;
    if (o.kind == OBJ_DEVICE)
        ret = balloon_prop_set((struct device *)o.dev, name, jv_get(c->args, "value"), e);
    if (ret != -ENOENT)
        return ret;
    return err_set(e, -EPERM, "Property '%.64s' cannot be set while the machine runs", name);
}

/* ---- types ------------------------------------------------------------------------------------ */

/* What is always there or no device of user_devices(). */
static const struct { const char *name, *parent; } types[] = {
    { "tcg-accel", "accel" }, { "isa-serial", "isa-device" }, { "isa-debugcon", "isa-device" },
    { "isa-debug-exit", "isa-device" }, { "pc-testdev", "isa-device" }, { "i8042", "isa-device" },
    { "PIIX4_PM", "pci-device" }, { "ICH9-LPC", "pci-device" }, { "mch", "pci-device" },
    { "secret", "secret_common" }, { "memory-backend-ram", "memory-backend" },
    { "rng-random", "rng-backend" }, { "rng-builtin", "rng-backend" }, { "filter-dump", "netfilter" }, { "pc-q35-transom-machine", "generic-pc-machine" },
    { "pc-i440fx-transom-machine", "generic-pc-machine" },
};

static const char *bus_parent(enum user_bus bus)
{
    return bus == USER_PCI ? "pci-device" : bus == USER_IDE ? "ide-device" : bus == USER_ISA ? "isa-device"
           : bus == USER_VSERIAL ? "virtio-serial-port" : bus == USER_USB ? "usb-device" : "device";
}

static void type_row(struct call *c, const char *name, const char *parent)
{
    const char *only = jv_text(c->args, "implements");

    if (only && strcmp(only, name) && strcmp(only, parent) &&
        !(!strcmp(only, "device") && strstr(parent, "device")))
        return;
    jw_open(c->out, NULL);
    jw_str(c->out, "name", name);
    jw_str(c->out, "parent", parent);
    jw_close(c->out);
}

static int qom_list_types(struct call *c, struct err *e)
{
    struct accel_options kvm;
    struct err why;
    const char *name;
    size_t n;
    const struct user_device *u = user_devices(&n);

    jw_open_array(c->out, NULL);
    for (size_t i = 0; i < ARRAY_SIZE(types); i++)
        type_row(c, types[i].name, types[i].parent);
    if (accel_parse("kvm", &kvm, &why) == 0)
        type_row(c, "kvm-accel", "accel");
    for (size_t i = 0; i < n; i++)
        type_row(c, u[i].type->name, bus_parent(u[i].bus));
    for (unsigned i = 0; (name = x86_model_name(i)); i++) {
        char *text = xasprintf("%s-x86_64-cpu", name);

        type_row(c, text, "x86_64-cpu");
        free(text);
    }
    jw_close(c->out);
    return 0;
}

static void write_default(struct jw *w, const struct dev_prop *p)
{
    bool number = p->type == PROP_U16 || p->type == PROP_U32 || p->type == PROP_U64 || p->type == PROP_I32;

    if (p->type == PROP_BOOL)
        jw_bool(w, "default-value", p->def && (!strcmp(p->def, "on") || !strcmp(p->def, "true")));
    else if (number && p->def)
        jw_int(w, "default-value", strtoll(p->def, NULL, 0));
    else if (p->type == PROP_ON_OFF_AUTO)
        jw_str(w, "default-value", p->def ? p->def : "auto");
}

static void write_props(struct jw *w, const struct device_type *t)
{
    for (const struct dev_prop *p = t->props; p && p->name; p++) {
        if (p->type == PROP_IGNORED)
            continue;
        jw_open(w, NULL);
        jw_str(w, "name", p->name);
        jw_str(w, "type", qom_type(p->type));
        if (p->help)
            jw_str(w, "description", p->help);
        write_default(w, p);
        jw_close(w);
    }
}

static int device_list_properties(struct call *c, struct err *e)
{
    const char *name = jv_text(c->args, "typename");
    const struct user_device *u = user_device_find(name);
    bool known = u;

    for (size_t i = 0; i < ARRAY_SIZE(types); i++)
        known |= !strcmp(types[i].name, name) && strstr(types[i].parent, "device");
    if (!known)
        return cmd_not_found(c, e, "Device '%.64s' not found", name);
    jw_open_array(c->out, NULL);
    if (u)
        write_props(c->out, u->type);
    jw_close(c->out);
    return 0;
}

/* Unknown types have no properties here rather than an error: libvirt asks for some without
 * looking whether they are there, and does not survive DeviceNotFound. */
static int qom_list_properties(struct call *c, struct err *e)
{
    const struct user_device *u = user_device_find(jv_text(c->args, "typename"));

    jw_open_array(c->out, NULL);
    if (u)
        write_props(c->out, u->type);
    jw_close(c->out);
    return 0;
}

const struct command qom_commands[] = {
    { .qmp = "qom-list", .args = "path:s", .returns = "any", .run = qom_list },
    { .qmp = "qom-get", .args = "path:s,property:s", .returns = "any", .run = qom_get },
    { .qmp = "qom-set", .args = "path:s,property:s,value:j", .run = qom_set },
    { .qmp = "qom-list-get", .args = "paths:j", .returns = "any", .run = qom_list_get },
    { .qmp = "qom-list-types", .args = "implements:s?,abstract:b?", .returns = "any", .run = qom_list_types },
    { .qmp = "qom-list-properties", .args = "typename:s", .returns = "any", .run = qom_list_properties },
    { .qmp = "device-list-properties", .args = "typename:s", .returns = "any",
      .run = device_list_properties },
    { .hmp = NULL }
};
