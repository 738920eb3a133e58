/*
 * accel.c - choosing an accelerator from the command line
 */
#include <stdlib.h>
#include "accel/accel-int.h"

#define TB_BYTES_DEFAULT (128 * MiB)
#define PROFILE_FILE_DEFAULT "transom-profile.txt"
#define PROFILE_TOP_DEFAULT 50
#define PROFILE_DISAS_DEFAULT 10
#define PROFILE_TOP_MAX 1000000
#define TB_MIB_MAX 2047         /* jumps in translated code reach 2 GiB */

static const struct accel_ops *const accels[] = { &accel_bt };

/* Names of other emulators' accelerators, so that lists may have them. */
static const char *const elsewhere[] = { "kvm", "hvf", "whpx", "mshv", "nvmm", "xen", "hax" };

static bool is_name(const char *name, size_t len, const char *of)
{
    return of && strlen(of) == len && !strncmp(name, of, len);
}

static const struct accel_ops *find(const char *name, size_t len)
{
    for (size_t i = 0; i < ARRAY_SIZE(accels); i++)
        if (is_name(name, len, accels[i]->name) || is_name(name, len, accels[i]->alias))
            return accels[i];
    return NULL;
}

/* Why the single name @name cannot be taken. */
static int refuse(const char *name, struct err *e)
{
    static const char *const names[] = { "tcg", "bt", "kvm" };
    const char *near;

    if (!strcmp(name, "kvm"))
        return err_set(e, -ENOTSUP, "kvm: not supported yet (kvm:tcg falls back to the translator)");
    for (size_t i = 0; i < ARRAY_SIZE(elsewhere); i++)
        if (!strcmp(name, elsewhere[i]))
            return err_set(e, -ENOTSUP, "%s: not available on this host", name);
    near = nearest_word(name, names, ARRAY_SIZE(names));
    return err_set(e, -EINVAL, "%s: unknown accelerator%s%s%s", name,
                   near ? " (did you mean " : "", near ? near : "", near ? "?)" : "");
}

/* First of "a:b:c" that is known and works. */
static int choose(const char *list, struct accel_options *o, struct err *e)
{
    bool many = strchr(list, ':');

    for (const char *p = list;; ) {
        size_t len = strcspn(p, ":");

        o->ops = find(p, len);
        if (o->ops && (!o->ops->probe || o->ops->probe(o, e) == 0))
            return 0;
        if (o->ops && !many)
            return -ENOTSUP;         /* the probe said why */
        if (!p[len])
            break;
        p += len + 1;
    }
    if (many)
        return err_set(e, -ENOTSUP, "%s: none of these is available", list);
    return refuse(list, e);
}

static int on_off(const char *key, const char *val, bool *out, struct err *e)
{
    if (!strcmp(val, "on") || !strcmp(val, "yes"))
        *out = true;
    else if (!strcmp(val, "off") || !strcmp(val, "no"))
        *out = false;
    else
        return err_set(e, -EINVAL, "%s=%s: on or off is wanted", key, val);
    return 0;
}

static int set_tb_size(const char *val, struct accel_options *o, struct err *e)
{
    char *end;
    unsigned long mib = strtoul(val, &end, 10);

    if (end == val || *end || mib < 1 || mib > TB_MIB_MAX)
        return err_set(e, -EINVAL, "tb-size=%s: 1 to %d MiB is wanted", val, TB_MIB_MAX);
    o->tb_bytes = mib * MiB;
    return 0;
}

static int set_backend(const char *val, struct accel_options *o, struct err *e)
{
    if (!strcmp(val, "host"))
        o->backend = TCG_BACKEND_HOST;
    else if (!strcmp(val, "interp"))
        o->backend = TCG_BACKEND_INTERP;
    else
        return err_set(e, -EINVAL, "backend=%s: host or interp is wanted", val);
    return 0;
}

/* One vCPU has one thread whatever is asked for; only nonsense is refused. */
static int check_thread(const char *val, struct err *e)
{
    if (strcmp(val, "single") && strcmp(val, "multi"))
        return err_set(e, -EINVAL, "thread=%s: single or multi is wanted", val);
    return 0;
}

static int set_count(const char *key, const char *val, unsigned *out, struct err *e)
{
    char *end;
    unsigned long n = strtoul(val, &end, 10);

    if (*val < '0' || *val > '9' || *end || n > PROFILE_TOP_MAX)
        return err_set(e, -EINVAL, "%s=%s: 0 to %d is wanted", key, val, PROFILE_TOP_MAX);
    *out = (unsigned)n;
    return 0;
}

static int set_profile_file(const char *val, struct accel_options *o, struct err *e)
{
    if (!*val || strlen(val) >= sizeof(o->profile_file))
        return err_set(e, -EINVAL, "profile-file=%s: a name of at most %zu bytes is wanted", val,
                       sizeof(o->profile_file) - 1);
    strcpy(o->profile_file, val);
    return 0;
}

/* Options that say what is to be told about a run. */
static int set_telling(const char *key, const char *val, struct accel_options *o, struct err *e)
{
    if (!strcmp(key, "perf-map") || !strcmp(key, "perfmap"))
        return on_off(key, val, &o->perf_map, e);
    if (!strcmp(key, "jitdump"))
        return on_off(key, val, &o->jitdump, e);
    if (!strcmp(key, "profile"))
        return on_off(key, val, &o->profile, e);
    if (!strcmp(key, "profile-top"))
        return set_count(key, val, &o->profile_top, e);
    if (!strcmp(key, "profile-disas"))
        return set_count(key, val, &o->profile_disas, e);
    if (!strcmp(key, "profile-file"))
        return set_profile_file(val, o, e);
    return 1;
}

static int set_option(const char *key, const char *val, struct accel_options *o, struct err *e)
{
    static const char *const keys[] = { "backend", "optimise", "tb-size", "one-insn-per-tb", "perf-map", "jitdump",
                                        "profile", "profile-disas", "profile-file", "profile-top", "thread" };
    static const char *const kvm_keys[] = { "kernel-irqchip", "kvm-shadow-mem", "dirty-ring-size",
                                            "notify-vmexit", "eager-split-size" };
    const char *near;
    int ret = set_telling(key, val, o, e);

    if (ret <= 0)
        return ret;
    if (!strcmp(key, "backend"))
        return set_backend(val, o, e);
    if (!strcmp(key, "optimise") || !strcmp(key, "optimize"))
        return on_off(key, val, &o->optimise, e);
    if (!strcmp(key, "one-insn-per-tb"))
        return on_off(key, val, &o->one_insn, e);
    if (!strcmp(key, "tb-size"))
        return set_tb_size(val, o, e);
    if (!strcmp(key, "thread"))
        return check_thread(val, e);
    for (size_t i = 0; i < ARRAY_SIZE(kvm_keys); i++)
        if (!strcmp(key, kvm_keys[i]))
            return err_set(e, -ENOTSUP, "%s: only with kvm, which is not supported yet", key);
    near = nearest_word(key, keys, ARRAY_SIZE(keys));
    return err_set(e, -EINVAL, "unknown property '%s'%s%s%s", key,
                   near ? " (did you mean " : "", near ? near : "", near ? "?)" : "");
}

void accel_default(struct accel_options *o)
{
    *o = (struct accel_options){ .ops = &accel_bt, .backend = TCG_BACKEND_HOST,
                                 .optimise = true, .tb_bytes = TB_BYTES_DEFAULT,
                                 .profile_top = PROFILE_TOP_DEFAULT, .profile_disas = PROFILE_DISAS_DEFAULT,
                                 .profile_file = PROFILE_FILE_DEFAULT };
    if (o->ops->probe && o->ops->probe(o, NULL) < 0)
        o->backend = TCG_BACKEND_INTERP;
}

int accel_parse(const char *arg, struct accel_options *o, struct err *e)
{
    char *copy = xstrdup(arg), *rest = copy, *names, *item;
    struct err why = { "" };
    int ret = 0;

    accel_default(o);
    names = strsep(&rest, ",");
    if (!strncmp(names, "accel=", 6))
        names += 6;
    while (ret == 0 && (item = strsep(&rest, ","))) {
        char *val = strchr(item, '=');

        if (val)
            *val++ = 0;
        ret = set_option(item, val ? val : "on", o, &why);
        if (ret < 0)
            err_set(e, ret, "%s: %s", arg, why.msg);
    }
    if (ret == 0)
        ret = choose(names, o, e);
    free(copy);
    return ret;
}

void accel_help(FILE *f)
{
    fputs("Accelerators (-accel NAME[:NAME...][,property=value...]):\n", f);
    for (size_t i = 0; i < ARRAY_SIZE(accels); i++)
        fprintf(f, "%s, %-10s %s\n", accels[i]->name, accels[i]->alias, accels[i]->help);
    fputs("Properties:\n"
          "  backend=host|interp     host code, or interpret the intermediate code\n"
          "  optimise=on|off         passes over the intermediate code\n"
          "  tb-size=MIB             room for translations (default 128)\n"
          "  one-insn-per-tb=on|off  translate every instruction on its own\n"
          "  perf-map=on|off         name guest blocks for perf in /tmp/perf-PID.map\n"
          "  jitdump=on|off          likewise with the code, for \"perf inject\", in jit-PID.dump\n"
          "  profile=on|off          count where the time goes; told at the end and by \"info profile\"\n"
          "  profile-file=FILE       where to, default " PROFILE_FILE_DEFAULT "; stderr\n"
          "  profile-top=N           how many of the hottest blocks (default 50)\n"
          "  profile-disas=N         how many of them with their code (default 10)\n"
          "  thread=single|multi     taken for compatibility\n", f);
}
