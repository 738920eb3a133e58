/*
 * opt-global.c - -global DRIVER.PROP=VALUE: what a property is for every device of a kind
 *
 * Checked here; prop_defaults() (hw/prop.c) sets them in each instance before its own -device
 * properties. A few drivers are no devices of ours: the chipset's, whose properties are the
 * board's, and those that have nothing to set while we have no such part.
 */
#define _GNU_SOURCE 1
#include <stdlib.h>
#include "ui/options.h"

/* Parts of the board that management programs set something of. */
static const struct {
    const char *driver, *prop;
    char sleep;              /* 3 or 4: the value goes to cfg.no_s3 or .no_s4 of @board */
    enum board board;
    const char *only;        /* values that make no difference, blank separated; NULL: any number or switch */
} board_props[] = {
    { "PIIX4_PM", "disable_s3", 3, BOARD_PC, NULL },
    { "PIIX4_PM", "disable_s4", 4, BOARD_PC, NULL },
    { "ICH9-LPC", "disable_s3", 3, BOARD_Q35, NULL },
    { "ICH9-LPC", "disable_s4", 4, BOARD_Q35, NULL },
    { "ICH9-LPC", "noreboot", 0, BOARD_Q35, "off on 0 1 true false" },  /* a strap of the TCO timer, which is not there */
    { "kvm-pit", "lost_tick_policy", 0, BOARD_PC, "delay discard" },   /* a chip of the kernel's that we do not use */
};

static int bad(struct err *e, const char *val, const char *why)
{
    return err_set(e, -EINVAL, "-global %s: %s", val, why);
}

static bool is_word(const char *list, const char *word)
{
    size_t n = strlen(word);

    for (const char *s = list; (s = strstr(s, word)); s++)
        if (n && (s == list || s[-1] == ' ') && (!s[n] || s[n] == ' '))
            return true;
    return false;
}

/* 1: none of the board's. */
static int board_global(struct options *o, const char *val, const struct dev_global *g, struct err *e)
{
    bool known = false;

    for (size_t i = 0; i < ARRAY_SIZE(board_props); i++) {
        if (strcmp(g->driver, board_props[i].driver))
            continue;
        known = true;
        if (strcmp(g->prop, board_props[i].prop))
            continue;
        if (board_props[i].only && !is_word(board_props[i].only, g->val))
            return bad(e, val, "this value is not supported");
        if (board_props[i].sleep && !is_word("0 1 on off true false", g->val))
            return bad(e, val, "on or off is wanted");
        if (board_props[i].sleep)
            (board_props[i].sleep == 3 ? o->cfg.no_s3 : o->cfg.no_s4)[board_props[i].board] =
                is_word("1 on true", g->val);
        return 0;
    }
    return known ? err_set(e, -EINVAL, "-global %s: %s has no property '%s'", val, g->driver, g->prop) : 1;
}

/* On a bare instance, which is then thrown away. */
static int try_prop(const struct user_device *u, const char *val, const struct dev_global *g, struct err *e)
{
    const struct dev_prop *p = prop_find(u->type, g->prop);
    struct device *d;
    struct err why = { "" };
    int ret;

    if (p && p->type == PROP_DRIVE)
        return bad(e, val, "a drive belongs to one device");
    d = xzalloc(u->type->size);
    d->type = u->type;
    ret = prop_set(d, g->prop, g->val, &why);
    prop_free(d);
    free(d);
    return ret < 0 ? bad(e, val, why.msg) : 0;
}

static int device_global(struct options *o, const char *val, struct dev_global *g, struct err *e)
{
    const struct user_device *table, *u = user_device_find(g->driver);
    const char *names[64];
    size_t n = 0, rows;

    if (!u) {
        table = user_devices(&rows);
        for (; n < MIN(rows, ARRAY_SIZE(names)); n++)
            names[n] = table[n].type->name;
        return opt_err_near(e, g->driver, names, n, "", "-global %s: unknown device '%s'", val, g->driver);
    }
    free(g->driver);
    g->driver = xstrdup(u->type->name);    /* aliases are one device */
    return try_prop(u, val, g, e);
}

/* "DRIVER.PROP=VALUE" or "driver=DRIVER,property=PROP,value=VALUE" */
static int split(const char *val, struct dev_global *g, struct err *e)
{
    const char *dot = strchr(val, '.'), *eq = strchr(val, '=');
    struct kv_list l = { NULL, 0 };
    int ret = 0;

    if (dot && eq && dot < eq && dot > val && eq > dot + 1) {
        g->driver = xasprintf("%.*s", (int)(dot - val), val);
        g->prop = xasprintf("%.*s", (int)(eq - dot - 1), dot + 1);
        g->val = xstrdup(eq + 1);
        return 0;
    }
    ret = kv_parse(&l, val, e);
    if (ret == 0 && l.n == 3 && kv_get(&l, "driver") && kv_get(&l, "property") && kv_get(&l, "value")) {
        g->driver = xstrdup(kv_get(&l, "driver"));
        g->prop = xstrdup(kv_get(&l, "property"));
        g->val = xstrdup(kv_get(&l, "value"));
    } else if (ret == 0) {
        ret = bad(e, val, "DRIVER.PROPERTY=VALUE is wanted");
    }
    kv_free(&l);
    return ret;
}

static void free_one(struct dev_global *g)
{
    free(g->driver);
    free(g->prop);
    free(g->val);
}

int opt_global(struct options *o, const char *val, struct err *e)
{
    struct dev_global g = { NULL, NULL, NULL };
    int ret = split(val, &g, e);

    if (ret == 0)
        ret = board_global(o, val, &g, e);
    if (ret > 0) {
        ret = device_global(o, val, &g, e);
        if (ret == 0) {
            o->cfg.globals = xrealloc(o->cfg.globals, (o->cfg.n_globals + 1) * sizeof g);
            o->cfg.globals[o->cfg.n_globals++] = g;
            return 0;
        }
    }
    free_one(&g);
    return ret;
}

void opt_global_free(struct options *o)
{
    for (unsigned i = 0; i < o->cfg.n_globals; i++)
        free_one(&o->cfg.globals[i]);
    free(o->cfg.globals);
}
