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
#define IRQCHIP_DEFAULT IRQCHIP_SPLIT   /* leaves messages of the I/O APIC to an IOMMU */

static const struct accel_ops *const accels[] = { &accel_bt, &accel_kvm };

/* Names of other emulators' accelerators, so that lists may have them. */
static const char *const elsewhere[] = { "hvf", "whpx", "mshv", "nvmm", "xen", "hax" };

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

    for (size_t i = 0; i < ARRAY_SIZE(elsewhere); i++)
        if (!strcmp(name, elsewhere[i]))
            return err_set(e, -ENOTSUP, "%s: not available on this host", name);
    near = nearest_word(name, names, ARRAY_SIZE(names));
    return err_set(e, -EINVAL, "%s: unknown accelerator%s%s%s", name,
                   near ? " (did you mean " : "", near ? near : "", near ? "?)" : "");
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

static int set_tb_cache(const char *val, struct accel_options *o, struct err *e)
{
    if (!*val || strlen(val) >= sizeof(o->tb_cache))
        return err_set(e, -EINVAL, "tb-cache=%s: a name of at most %zu bytes is wanted", val, sizeof(o->tb_cache) - 1);
    strcpy(o->tb_cache, val);
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

static int set_irqchip(const char *val, struct accel_options *o, struct err *e)
{
    o->irqchip_given = accel_irqchip_parse(val, &o->irqchip);
    if (o->irqchip_given)
        return 0;
    return err_set(e, -EINVAL, "kernel-irqchip=%s: on, split or off is wanted", val);
}

bool accel_irqchip_parse(const char *val, enum accel_irqchip *out)
{
    static const char *const names[] = { [IRQCHIP_OFF] = "off", [IRQCHIP_SPLIT] = "split",
                                         [IRQCHIP_ON] = "on" };

    for (unsigned i = 0; i < ARRAY_SIZE(names); i++)
        if (!strcmp(val, names[i])) {
            *out = i;
            return true;
        }
    return false;
}

/* Is accelerator @name one of @list's? */
static bool lists(const char *list, const char *name)
{
    for (const char *p = list;; p++) {
        size_t len = strcspn(p, ":");

        if (is_name(p, len, name))
            return true;
        p += len;
        if (!*p)
            return false;
    }
}

/* Tests want to see that a wrong CPU is noticed. */
static int set_bug(const char *val, struct accel_options *o, struct err *e)
{
    o->bug = !strcmp(val, "sbb") ? TCG_BUG_SBB : !strcmp(val, "sar") ? TCG_BUG_SAR : TCG_BUG_NONE;
    return o->bug ? 0 : err_set(e, -EINVAL, "x-seed-bug=%s: sbb or sar is wanted", val);
}

/* @names: the accelerators it is for */
static int set_option(const char *names, const char *key, const char *val, struct accel_options *o,
                      struct err *e)
{
    static const char *const keys[] = { "backend", "optimise", "tb-size", "tb-cache", "one-insn-per-tb", "perf-map", "jitdump",
                                        "profile", "profile-disas", "profile-file", "profile-top", "thread",
                                        "switch", "kernel-irqchip" };
    static const char *const kvm_keys[] = { "kvm-shadow-mem", "dirty-ring-size", "notify-vmexit",
                                            "eager-split-size" };
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
    if (!strcmp(key, "switch"))
        return on_off(key, val, &o->switchable, e);
    if (!strcmp(key, "tb-size"))
        return set_tb_size(val, o, e);
    if (!strcmp(key, "tb-cache"))
        return set_tb_cache(val, o, e);
    if (!strcmp(key, "thread"))
        return check_thread(val, e);
    if (!strcmp(key, "x-seed-bug"))
        return set_bug(val, o, e);
    if (!strcmp(key, "kernel-irqchip") && !lists(names, "kvm"))
        return err_set(e, -EINVAL, "%s: only with kvm", key);
    if (!strcmp(key, "kernel-irqchip"))
        return set_irqchip(val, o, e);
    for (size_t i = 0; i < ARRAY_SIZE(kvm_keys); i++)
        if (!strcmp(key, kvm_keys[i]))
            return err_set(e, -ENOTSUP, "%s: not supported", key);
    near = nearest_word(key, keys, ARRAY_SIZE(keys));
    return err_set(e, -EINVAL, "unknown property '%s'%s%s%s", key,
                   near ? " (did you mean " : "", near ? near : "", near ? "?)" : "");
}

/* ---- choosing --------------------------------------------------------------------------- */

/* What a slower KVM is slower than: the translator has run the probe's loop at 400 to 2000
 * million instructions a second on all hosts tried. */
#define WORTH_HZ 200000000

#define FORCED_PROBE "TRANSOM_KVM_PROBE"

enum verdict { GOOD, SLOW, UNUSABLE };

/* Tests say by TRANSOM_KVM_PROBE what the measurement has found. */
static int64_t measure(const struct accel_ops *ops, struct err *e)
{
    const char *forced = getenv(FORCED_PROBE);

    if (forced && !strcmp(forced, "fast"))
        return 2000000000;
    if (forced && !strcmp(forced, "slow"))
        return 1000000;
    if (forced && !strcmp(forced, "wrong"))
        return err_set(e, -EIO, "%s: the test guest goes wrong (TRANSOM_KVM_PROBE)", ops->name);
    if (forced && !strcmp(forced, "none"))
        return err_set(e, -ENOENT, "%s: not there (TRANSOM_KVM_PROBE)", ops->name);
    return ops->measure(e);
}

/* Does it work, and is it worth while? @e: why not. */
static enum verdict judge(const struct accel_options *o, struct err *e)
{
    const struct accel_ops *ops = o->ops;
    int64_t hz;

    if (!(ops->measure && getenv(FORCED_PROBE)) && ops->probe && ops->probe(o, e) < 0)
        return UNUSABLE;
    if (!ops->measure)
        return GOOD;
    hz = measure(ops, e);
    if (hz < 0)
        return UNUSABLE;
    err_set(e, -EAGAIN, "%s: %.1f million instructions a second%s", ops->name, (double)hz / 1e6,
            hz < WORTH_HZ ? ", slower than the translator: this host's has no hardware behind it" : "");
    return hz < WORTH_HZ ? SLOW : GOOD;
}

static void defaults(struct accel_options *o)
{
    *o = (struct accel_options){ .ops = &accel_bt, .backend = TCG_BACKEND_HOST, .optimise = true,
                                 .tb_bytes = TB_BYTES_DEFAULT, .irqchip = IRQCHIP_DEFAULT,
                                 .profile_top = PROFILE_TOP_DEFAULT, .profile_disas = PROFILE_DISAS_DEFAULT,
                                 .profile_file = PROFILE_FILE_DEFAULT };
}

void accel_default(struct accel_options *o)
{
    struct err why = { "" };

    defaults(o);
    o->ops = &accel_kvm;
    if (judge(o, &why) != GOOD)
        o->ops = &accel_bt;
    snprintf(o->why, sizeof o->why, "%.*s", (int)sizeof o->why - 1, why.msg);
    if (o->ops == &accel_bt && o->ops->probe && o->ops->probe(o, NULL) < 0)
        o->backend = TCG_BACKEND_INTERP;
}

/* The first of "a:b:c" that is known and works. @alone: there is nothing else. */
static int choose(const char *list, bool alone, struct accel_options *o, struct err *e)
{
    bool many = strchr(list, ':');
    int ret = many ? err_set(e, -ENOTSUP, "%s: none of these is available", list) : refuse(list, e);

    for (const char *p = list;; p++) {
        size_t len = strcspn(p, ":");
        struct err why = { "" };
        enum verdict v;

        o->ops = find(p, len);
        v = o->ops ? judge(o, &why) : UNUSABLE;
        if (v == SLOW && alone && !many)
            snprintf(o->warning, sizeof o->warning, "%.*s", ACCEL_WHY - 1, why.msg);
        if (v == GOOD || (v == SLOW && alone && !many)) {
            if (why.msg[0])
                snprintf(o->why, sizeof o->why, "%.*s", ACCEL_WHY - 1, why.msg);
            return 0;
        }
        if (why.msg[0])
            snprintf(o->why, sizeof o->why, "%.*s", ACCEL_WHY - 1, why.msg);
        if (why.msg[0] && !many)
            ret = err_set(e, -ENOTSUP, "%s", why.msg);
        p += len;
        if (!*p)
            return ret;
    }
}

/* One -accel argument; @o->why is kept. */
static int parse(const char *arg, bool alone, struct accel_options *o, struct err *e)
{
    char *copy = xstrdup(arg), *rest = copy, *names, *item;
    struct err why = { "" };
    int ret = 0;

    names = strsep(&rest, ",");
    if (!strncmp(names, "accel=", 6))
        names += 6;
    while (ret == 0 && (item = strsep(&rest, ","))) {
        char *val = strchr(item, '=');

        if (val)
            *val++ = 0;
        ret = set_option(names, item, val ? val : "on", o, &why);
        if (ret < 0)
            err_set(e, ret, "%s: %s", arg, why.msg);
    }
    if (ret == 0)
        ret = choose(names, alone, o, e);
    free(copy);
    return ret;
}

int accel_choose(char *const *args, unsigned n, const enum accel_irqchip *irqchip,
                 struct accel_options *o, struct err *e)
{
    char why[ACCEL_WHY] = "";
    int ret = -EINVAL;

    for (unsigned i = 0; ret < 0 && i < n; i++) {
        defaults(o);
        o->irqchip_given = irqchip;
        if (irqchip)
            o->irqchip = *irqchip;
        memcpy(o->why, why, sizeof why);
        ret = parse(args[i], n == 1, o, e);
        memcpy(why, o->why, sizeof why);
    }
    /* somebody asked for more than he gets */
    if (ret == 0 && o->why[0] && o->ops == &accel_bt)
        memcpy(o->warning, o->why, sizeof o->warning);
    return ret;
}

int accel_parse(const char *arg, struct accel_options *o, struct err *e)
{
    char *args[1] = { (char *)arg };

    return accel_choose(args, 1, NULL, o, e);
}

bool accel_log_wants(uint32_t mask)
{
    return mask & (LOG_IN_ASM | LOG_OP | LOG_OP_OPT | LOG_OUT_ASM | LOG_EXEC | LOG_NOCHAIN | LOG_CPU | LOG_FPU | LOG_INT
                   | LOG_MMU | LOG_PCALL | LOG_INSN_ROWS);
}

/* ---- help ---------------------------------------------------------------------------------- */

void accel_help(FILE *f)
{
    struct accel_options o;

    fputs("Accelerators (-accel NAME[:NAME...][,property=value...]):\n", f);
    for (size_t i = 0; i < ARRAY_SIZE(accels); i++)
        fprintf(f, "%-3s%s%-10s %s\n", accels[i]->name, accels[i]->alias ? ", " : "  ",
                accels[i]->alias ? accels[i]->alias : "", accels[i]->help);
    fputs("Properties:\n"
          "  backend=host|interp     host code, or interpret the intermediate code\n"
          "  optimise=on|off         passes over the intermediate code\n"
          "  tb-size=MIB             room for translations (default 128)\n"
          "  tb-cache=FILE           keep translations there, for the next run\n"
          "  one-insn-per-tb=on|off  translate every instruction on its own\n"
          "  perf-map=on|off         name guest blocks for perf in /tmp/perf-PID.map\n"
          "  jitdump=on|off          likewise with the code, for \"perf inject\", in jit-PID.dump\n"
          "  profile=on|off          count where the time goes; told at the end and by \"info profile\"\n"
          "  profile-file=FILE       where to, default " PROFILE_FILE_DEFAULT "; stderr\n"
          "  profile-top=N           how many of the hottest blocks (default 50)\n"
          "  profile-disas=N         how many of them with their code (default 10)\n"
          "  thread=single|multi     taken for compatibility\n"
          "  switch=on|off           only CPU features that both have, so that the monitor's\n"
          "                          \"accel\" can move the guest\n"
          "  kernel-irqchip=on|split|off  kvm: interrupt chips that are the kernel's\n", f);
    accel_default(&o);
    fprintf(f, "Here the default is %s (%s)\n", o.ops->name, o.why);
}
