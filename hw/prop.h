/*
 * prop.h - properties of a device: what "-device NAME,prop=value" can set
 *
 * A device type lists them in a table; the command line and its help read only
 * that. Values land in the instance between allocation and init.
 */
#ifndef HW_PROP_H
#define HW_PROP_H

#include "hw/hw.h"

enum prop_type {
    PROP_BOOL,     /* bool: on, off */
    PROP_ON_OFF_AUTO, /* uint8_t: enum on_off_auto */
    PROP_U16, PROP_U32, PROP_U64,
    PROP_SIZE,     /* uint64_t bytes, with suffixes */
    PROP_I32,      /* int32_t, -1 allowed */
    PROP_STRING,   /* char *, owned by the device: prop_free() */
    PROP_DRIVE,    /* struct drive *: the id of a -drive or -blockdev */
    PROP_DEVFN,    /* int32_t: "SLOT[.FN]", hexadecimal; -1: the next free one */
    PROP_IGNORED,  /* accepted for compatibility, no effect */
};
enum on_off_auto { ON_OFF_AUTO_AUTO, ON_OFF_AUTO_ON, ON_OFF_AUTO_OFF };

/** struct dev_prop - one row; @min..@max bound the numeric types (max 0: none) */
struct dev_prop {
    const char *name;
    uint32_t offset;
    enum prop_type type;
    const char *def;       /* initial value as text; NULL: 0 */
    uint64_t min, max;
    const char *help;
};

#define PROP(ty, name, st, m, def, min, max, help) \
    { name, offsetof(st, m), PROP_##ty, def, min, max, help }
#define PROP_END { NULL, 0, PROP_IGNORED, NULL, 0, 0, NULL }

/** prop_find() - row @name of @t, or NULL */
const struct dev_prop *prop_find(const struct device_type *t, const char *name);
/**
 * prop_set() - parse @val into @d
 * Returns 0, or -EINVAL with @e saying what is wrong (an unknown name gets the
 * nearest one suggested).
 */
int prop_set(struct device *d, const char *name, const char *val, struct err *e) MUST_CHECK;
/** prop_defaults() - set every row's default, then what -global says (cfg.globals) */
void prop_defaults(struct device *d);
/** prop_free() - release strings; a device that goes needs not, hw/device.c does */
void prop_free(struct device *d);
/** prop_type_name() - for help: "bool", "uint32" ... */
const char *prop_type_name(enum prop_type t);

#endif
