/*
 * opt-chardev.c - options about character devices and who uses them: -chardev, -mon,
 * -monitor, -qmp, -device isa-serial and isa-debugcon
 */
#include <stdlib.h>
#include "ui/options.h"

#define DEBUGCON_PORT 0x402

void opt_chardev_free(struct options *o)
{
    struct opt_chardev *next;

    for (struct opt_chardev *c = o->chardevs; c; c = next) {
        next = c->next;
        kv_free(&c->kv);
        free(c->text);
        free(c);
    }
    for (unsigned i = 0; i < o->n_mon; i++)
        free(o->mon[i].spec);
    for (unsigned i = 0; i < OPT_SERIALS; i++)
        free(o->serial_own[i]);
    free(o->debugcon_own);
}

/* "KIND,id=ID,..." */
int opt_chardev(struct options *o, const char *val, struct err *e)
{
    struct opt_chardev **p = &o->chardevs, *c;
    struct err why = { "" };

    if (!strcmp(val, "help") || !strcmp(val, "?")) {
        o->action = ACT_CHARDEV_HELP;
        return 0;
    }
    while (*p)
        p = &(*p)->next;
    *p = c = xzalloc(sizeof(*c));
    c->text = xstrdup(val);
    if (kv_parse(&c->kv, val, &why) < 0)
        return err_set(e, -EINVAL, "-chardev %s: %s", val, why.msg);
    return 0;
}

/* ---- monitors ------------------------------------------------------------------------ */

int opt_mon_add(struct options *o, const char *option, const char *spec, bool control, bool pretty,
                    struct err *e)
{
    if (o->n_mon == OPT_MONS)
        return err_set(e, -EINVAL, "%s %s: more than %d monitors", option, spec, OPT_MONS);
    o->mon[o->n_mon++] = (struct opt_mon){ option, xstrdup(spec), control, pretty };
    return 0;
}

/* The first is remembered as such: "none" means that there is to be no default one. */
int opt_monitor(struct options *o, const char *val, struct err *e)
{
    if (!o->monitor)
        o->monitor = val;
    return strcmp(val, "none") ? opt_mon_add(o, "-monitor", val, false, false, e) : 0;
}

int opt_qmp(struct options *o, const char *val, struct err *e)
{
    return opt_mon_add(o, "-qmp", val, true, false, e);
}

int opt_qmp_pretty(struct options *o, const char *val, struct err *e)
{
    return opt_mon_add(o, "-qmp-pretty", val, true, true, e);
}

static int mon_switch(const char *val, const struct kv *k, bool *on, struct err *e)
{
    *on = !strcmp(k->val, "on");
    return *on || !strcmp(k->val, "off") ? 0
         : err_set(e, -EINVAL, "-mon %s: %s is on or off", val, k->key);
}

/* "[chardev=]ID[,mode=readline|control][,pretty=on|off]" */
static int mon_parse(struct options *o, const char *val, const struct kv_list *kv, struct err *e)
{
    static const char *const keys[] = { "chardev", "mode", "pretty", "id" };
    bool control = false, pretty = false;
    const char *id = NULL;
    char *spec;
    int ret;

    for (size_t i = 0; i < kv->n; i++) {
        const struct kv *k = &kv->item[i];

        if (!strcmp(k->key, "chardev") || (!*k->key && i == 0))
            id = k->val;
        else if (!strcmp(k->key, "mode") && (!strcmp(k->val, "control") || !strcmp(k->val, "readline")))
            control = !strcmp(k->val, "control");
        else if (!strcmp(k->key, "mode"))
            return err_set(e, -EINVAL, "-mon %s: mode is readline or control", val);
        else if (!strcmp(k->key, "pretty") && mon_switch(val, k, &pretty, e) < 0)
            return -EINVAL;
        else if (strcmp(k->key, "pretty") && strcmp(k->key, "id"))
            return opt_err_near(e, *k->key ? k->key : k->val, keys, ARRAY_SIZE(keys), "",
                                "-mon %s: unknown property '%s'", val, *k->key ? k->key : k->val);
    }
    if (!id)
        return err_set(e, -EINVAL, "-mon %s: chardev= is wanted", val);
    if (pretty && !control)
        return err_set(e, -EINVAL, "-mon %s: pretty is for mode=control", val);
    spec = xasprintf("chardev:%s", id);
    ret = opt_mon_add(o, "-mon", spec, control, pretty, e);
    free(spec);
    return ret;
}

int opt_mon(struct options *o, const char *val, struct err *e)
{
    struct kv_list kv = { NULL, 0 };
    struct err why = { "" };
    int ret = kv_parse(&kv, val, &why);

    if (ret < 0)
        err_set(e, ret, "-mon %s: %s", val, why.msg);
    else
        ret = mon_parse(o, val, &kv, e);
    kv_free(&kv);
    return ret;
}

/* ---- -device isa-serial, isa-debugcon ------------------------------------------------------ */

static const struct { unsigned port, irq; } ports[OPT_SERIALS] = {
    { 0x3f8, 4 }, { 0x2f8, 3 }, { 0x3e8, 4 }, { 0x2e8, 3 },
};

/* A number of @kv, or @def; false: it is none. */
static bool number(const struct kv_list *kv, const char *key, unsigned def, unsigned *n)
{
    const char *text = kv_get(kv, key);
    char *end;

    *n = text ? (unsigned)strtoul(text, &end, 0) : def;
    return !text || (*text && !*end);
}

/* By index=, by iobase=, or the first that is free. */
static int serial_place(const struct options *o, const struct kv_list *kv, const char *val, unsigned *place,
                        struct err *e)
{
    unsigned base, irq;

    if (!number(kv, "index", OPT_SERIALS, place) || !number(kv, "iobase", 0, &base))
        return err_set(e, -EINVAL, "-device %s: index and iobase are numbers", val);
    for (unsigned i = 0; base && i < OPT_SERIALS; i++)
        if (ports[i].port == base)
            *place = i;
    if (!kv_get(kv, "index") && !base)
        for (*place = 0; *place < OPT_SERIALS && o->serial[*place]; ++*place)
            ;
    if (*place >= OPT_SERIALS || (base && ports[*place].port != base) ||
        !number(kv, "irq", ports[*place].irq, &irq) || irq != ports[*place].irq)
        return err_set(e, -EINVAL, "-device %s: a PC's serial ports are index 0 to 3 at 0x3f8, 0x2f8, "
                       "0x3e8, 0x2e8 with interrupts 4, 3, 4, 3", val);
    if (o->serial[*place])
        return err_set(e, -EBUSY, "-device %s: serial port %u is there already", val, *place);
    return 0;
}

static int serial_device(struct options *o, const struct kv_list *kv, const char *val, struct err *e)
{
    static const char *const keys[] = { "driver", "chardev", "index", "iobase", "irq", "id" };
    const char *chr = kv_get(kv, "chardev");
    unsigned n;

    if (opt_only_keys(kv, keys, ARRAY_SIZE(keys), "-device ", val, e) < 0 || serial_place(o, kv, val, &n, e) < 0)
        return -EINVAL;
    o->serial_own[n] = chr ? xasprintf("chardev:%s", chr) : xstrdup("null");
    o->serial[n] = o->serial_own[n];
    o->n_serial = MAX(o->n_serial, n + 1);
    if (kv_get(kv, "id"))
        snprintf(o->serial_id[n], sizeof(o->serial_id[n]), "%s", kv_get(kv, "id"));
    return 0;
}

static int debugcon_device(struct options *o, const struct kv_list *kv, const char *val, struct err *e)
{
    static const char *const keys[] = { "driver", "chardev", "iobase", "readback", "id" };
    const char *chr = kv_get(kv, "chardev");
    unsigned base, readback;

    if (opt_only_keys(kv, keys, ARRAY_SIZE(keys), "-device ", val, e) < 0)
        return -EINVAL;
    if (!number(kv, "iobase", DEBUGCON_PORT, &base) || base != DEBUGCON_PORT ||
        !number(kv, "readback", 0xe9, &readback) || readback != 0xe9)
        return err_set(e, -EINVAL, "-device %s: the debug console is at 0x402 and reads 0xe9", val);
    if (o->debugcon || !chr)
        return err_set(e, -EINVAL, "-device %s: %s", val,
                       chr ? "there is a debug console already" : "chardev= is wanted");
    o->debugcon = o->debugcon_own = xasprintf("chardev:%s", chr);
    return 0;
}

int opt_char_device(struct options *o, const char *val, struct err *e)
{
    struct kv_list kv = { NULL, 0 };
    struct err why = { "" };
    const char *driver;
    int ret = kv_parse(&kv, val, &why);

    driver = kv_driver(&kv);
    if (ret < 0 || !driver)
        ret = 1;                       /* somebody else's to complain about */
    else if (!strcmp(driver, "isa-serial"))
        ret = serial_device(o, &kv, val, e);
    else if (!strcmp(driver, "isa-debugcon"))
        ret = debugcon_device(o, &kv, val, e);
    else
        ret = 1;
    kv_free(&kv);
    return ret;
}
