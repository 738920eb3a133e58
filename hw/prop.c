/*
 * prop.c - properties of a device, from text
 */
#include <ctype.h>
#include <stdlib.h>
#include "hw/disk/drive.h"
#include "hw/prop.h"

const struct dev_prop *prop_find(const struct device_type *t, const char *name)
{
    for (const struct dev_prop *p = t->props; p && p->name; p++)
        if (!strcmp(p->name, name))
            return p;
    return NULL;
}

const char *prop_type_name(enum prop_type t)
{
    static const char *const names[] = {
        [PROP_BOOL] = "bool", [PROP_ON_OFF_AUTO] = "on|off|auto", [PROP_U16] = "uint16",
        [PROP_U32] = "uint32", [PROP_U64] = "uint64", [PROP_SIZE] = "size",
        [PROP_I32] = "int32", [PROP_STRING] = "str", [PROP_DRIVE] = "drive id",
        [PROP_DEVFN] = "slot[.function]", [PROP_IGNORED] = "any",
    };

    return names[t];
}

static int unknown(const struct device_type *t, const char *name, struct err *e)
{
    const char *names[64], *near;
    size_t n = 0;

    for (const struct dev_prop *p = t->props; p && p->name && n < ARRAY_SIZE(names); p++)
        names[n++] = p->name;
    near = nearest_word(name, names, n);
    return err_set(e, -EINVAL, "%s: no property '%s'%s%s%s", t->name, name,
                   near ? " (did you mean " : "", near ? near : "", near ? "?)" : "");
}

static bool parse_bool(const char *s, bool *v)
{
    *v = !strcmp(s, "on") || !strcmp(s, "yes") || !strcmp(s, "true") || !strcmp(s, "y");
    return *v || !strcmp(s, "off") || !strcmp(s, "no") || !strcmp(s, "false") || !strcmp(s, "n");
}

static bool parse_number(const struct dev_prop *p, const char *s, uint64_t *v)
{
    char *end;

    if (p->type == PROP_SIZE)
        return parse_size(s, 1, v) == 0;
    errno = 0;
    *v = strtoull(s, &end, 0);
    return isdigit((unsigned char)*s) && !*end && !errno;
}

static int set_number(struct device *d, const struct dev_prop *p, const char *val, struct err *e)
{
    static const uint64_t most[] = { [PROP_U16] = UINT16_MAX, [PROP_U32] = UINT32_MAX,
                                     [PROP_U64] = UINT64_MAX, [PROP_SIZE] = UINT64_MAX };
    uint64_t v, max = p->max ? p->max : most[p->type];

    if (!parse_number(p, val, &v) || v < p->min || v > max)
        return err_set(e, -EINVAL, "%s: %s=%s: a number from %llu to %llu is wanted",
                       d->type->name, p->name, val, (unsigned long long)p->min,
                       (unsigned long long)max);
    memcpy((char *)d + p->offset, &v, p->type == PROP_U16 ? 2 : p->type == PROP_U32 ? 4 : 8);
    return 0;
}

static int set_int(struct device *d, const struct dev_prop *p, const char *val, struct err *e)
{
    char *end;
    long v = strtol(val, &end, 0);

    if (end == val || *end || v < -1 || v > INT32_MAX)
        return err_set(e, -EINVAL, "%s: %s=%s: a number is wanted", d->type->name, p->name, val);
    *(int32_t *)((char *)d + p->offset) = v;
    return 0;
}

static int set_devfn(struct device *d, const struct dev_prop *p, const char *val, struct err *e)
{
    char *end;
    unsigned long slot = strtoul(val, &end, 16), fn = 0;

    if (end != val && *end == '.')
        fn = strtoul(end + 1, &end, 16);
    if (!isxdigit((unsigned char)*val) || *end || slot > 31 || fn > 7)
        return err_set(e, -EINVAL, "%s: %s=%s: SLOT or SLOT.FUNCTION is wanted, 0 to 1f",
                       d->type->name, p->name, val);
    *(int32_t *)((char *)d + p->offset) = slot << 3 | fn;
    return 0;
}

static int set_drive(struct device *d, const struct dev_prop *p, const char *val, struct err *e)
{
    struct drive *dr = drive_find(d->machine, val);

    if (!dr)
        return err_set(e, -EINVAL, "%s: there is no drive '%s'", d->type->name, val);
    if (dr->owner)
        return err_set(e, -EBUSY, "%s: drive '%s' is in use by %s", d->type->name, val,
                       dr->owner->type->name);
    *(struct drive **)((char *)d + p->offset) = dr;
    return 0;
}

static int set_switch(struct device *d, const struct dev_prop *p, const char *val, struct err *e)
{
    bool on;

    if (p->type == PROP_ON_OFF_AUTO && !strcmp(val, "auto")) {
        *((uint8_t *)d + p->offset) = ON_OFF_AUTO_AUTO;
        return 0;
    }
    if (!parse_bool(val, &on))
        return err_set(e, -EINVAL, "%s: %s=%s: on or off is wanted", d->type->name, p->name, val);
    if (p->type == PROP_BOOL)
        *(bool *)((char *)d + p->offset) = on;
    else
        *((uint8_t *)d + p->offset) = on ? ON_OFF_AUTO_ON : ON_OFF_AUTO_OFF;
    return 0;
}

static int set_row(struct device *d, const struct dev_prop *p, const char *val, struct err *e)
{
    char **s = (char **)((char *)d + p->offset);

    switch (p->type) {
    case PROP_BOOL:
    case PROP_ON_OFF_AUTO:
        return set_switch(d, p, val, e);
    case PROP_I32:
        return set_int(d, p, val, e);
    case PROP_DEVFN:
        return set_devfn(d, p, val, e);
    case PROP_DRIVE:
        return set_drive(d, p, val, e);
    case PROP_STRING:
        free(*s);
        *s = xstrdup(val);
        return 0;
    case PROP_IGNORED:
        return 0;
    default:
        return set_number(d, p, val, e);
    }
}

int prop_set(struct device *d, const char *name, const char *val, struct err *e)
{
    const struct dev_prop *p = prop_find(d->type, name);

    return p ? set_row(d, p, val, e) : unknown(d->type, name, e);
}

/* What -global says: ui/opt-global.c has tried it on an instance of this type. */
static void set_globals(struct device *d)
{
    const struct machine_config *cfg = &d->machine->cfg;

    for (unsigned i = 0; i < cfg->n_globals; i++) {
        const struct dev_global *g = &cfg->globals[i];

        if (!strcmp(g->driver, d->type->name) && prop_set(d, g->prop, g->val, NULL) < 0)
            log_ev(LOG_PCI, "global driver=%s prop=%s refused", g->driver, g->prop);
    }
}

void prop_defaults(struct device *d)
{
    for (const struct dev_prop *p = d->type->props; p && p->name; p++) {
        int ret = 0;

        if (p->type == PROP_DEVFN)
            *(int32_t *)((char *)d + p->offset) = -1;
        else if (p->def)
            ret = set_row(d, p, p->def, NULL);
        assert(ret == 0);           /* the table's own text */
        (void)ret;
    }
    set_globals(d);
}

void prop_free(struct device *d)
{
    for (const struct dev_prop *p = d->type->props; p && p->name; p++) {
        char **s = (char **)((char *)d + p->offset);

        if (p->type != PROP_STRING)
            continue;
        free(*s);
        *s = NULL;
    }
}
