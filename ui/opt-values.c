/*
 * opt-values.c - options whose argument is a list of its own: -m, -smp,
 * -machine, -rtc, -boot, -name, -uuid, -msg
 */
#define _GNU_SOURCE 1
#include <ctype.h>
#include <stdlib.h>
#include <time.h>
#include "hw/boot/boot-order.h"
#include "ui/options.h"

#define ITEM_MAX 256

/** struct item - "key=value" or, for the first, perhaps just "value" */
struct item {
    char key[ITEM_MAX];   /* "" when there is no '=' */
    char val[ITEM_MAX];
};

/* Next item of the list at *@s, which moves past it; ",," is a plain comma. */
static bool next_item(const char **s, struct item *it)
{
    char text[ITEM_MAX], *eq;
    size_t n = 0;

    if (!**s)
        return false;
    while (**s) {
        if (**s == ',' && (*s)[1] != ',')
            break;
        if (**s == ',')
            (*s)++;
        if (n + 1 < sizeof text)
            text[n++] = **s;
        (*s)++;
    }
    if (**s == ',')
        (*s)++;
    text[n] = 0;
    eq = strchr(text, '=');
    *it->key = 0;
    if (eq) {
        *eq = 0;
        snprintf(it->key, sizeof it->key, "%s", text);
    }
    snprintf(it->val, sizeof it->val, "%s", eq ? eq + 1 : text);
    return true;
}

static int bad(struct err *e, const char *opt, const char *val, const char *why)
{
    return err_set(e, -EINVAL, "%s %s: %s", opt, val, why);
}

static int unknown_key(struct err *e, const char *opt, const char *val, const struct item *it,
                       const char *const *keys, size_t n)
{
    const char *key = *it->key ? it->key : it->val;

    return opt_err_near(e, key, keys, n, "", "%s %s: unknown property '%s'", opt, val, key);
}

static bool to_number(const char *s, uint64_t max, uint64_t *v)
{
    char *end;

    errno = 0;
    *v = strtoull(s, &end, 0);
    return isdigit((unsigned char)*s) && !*end && !errno && *v <= max;
}

/* on/off and their like; false: neither */
static bool to_bool(const char *s, bool *v)
{
    *v = !strcmp(s, "on") || !strcmp(s, "yes") || !strcmp(s, "true") || !strcmp(s, "y");
    return *v || !strcmp(s, "off") || !strcmp(s, "no") || !strcmp(s, "false") || !strcmp(s, "n");
}

/* ---- -m, -smp ------------------------------------------------------------------ */

int opt_memory(struct options *o, const char *val, struct err *e)
{
    static const char *const keys[] = { "size", "slots", "maxmem" };
    const char *rest = val;
    struct item it;

    while (next_item(&rest, &it)) {
        if (!strcmp(it.key, "slots") || !strcmp(it.key, "maxmem"))
            return bad(e, "-m", val, "memory cannot be plugged in later yet");
        if (*it.key && strcmp(it.key, "size"))
            return unknown_key(e, "-m", val, &it, keys, ARRAY_SIZE(keys));
        if (parse_size(it.val, MiB, &o->cfg.ram_bytes) < 0)
            return bad(e, "-m", val, "a size like 512, 512M or 2G is wanted");
        if (!o->cfg.ram_bytes)
            return bad(e, "-m", val, "a machine needs memory");
    }
    return 0;
}

#define TOO_MANY_VCPUS "there can be up to 64 vCPUs"
enum { SMP_CPUS, SMP_SOCKETS, SMP_DIES, SMP_CLUSTERS, SMP_CORES, SMP_THREADS, SMP_MAXCPUS, SMP_KEYS };

/* What was not said: as many places as vCPUs; one socket, die and thread, the rest cores. */
static void smp_defaults(uint64_t n[SMP_KEYS])
{
    uint64_t inner;

    if (!n[SMP_MAXCPUS])
        n[SMP_MAXCPUS] = n[SMP_CPUS];
    for (int i = SMP_DIES; i <= SMP_THREADS; i++)
        if (!n[i] && i != SMP_CORES)
            n[i] = 1;
    inner = n[SMP_DIES] * n[SMP_CLUSTERS] * n[SMP_THREADS];
    if (!n[SMP_SOCKETS])
        n[SMP_SOCKETS] = n[SMP_CORES] ? MAX(n[SMP_MAXCPUS] / (inner * n[SMP_CORES]), 1u) : 1;
    if (!n[SMP_CORES])
        n[SMP_CORES] = MAX(n[SMP_MAXCPUS] / (inner * n[SMP_SOCKETS]), 1u);
    if (!n[SMP_MAXCPUS])
        n[SMP_MAXCPUS] = inner * n[SMP_SOCKETS] * n[SMP_CORES];
    if (!n[SMP_CPUS])
        n[SMP_CPUS] = n[SMP_MAXCPUS];
}

static int smp_check(const uint64_t n[SMP_KEYS], const char *val, struct err *e)
{
    if (n[SMP_CPUS] > MAX_VCPUS || n[SMP_MAXCPUS] > MAX_VCPUS)
        return bad(e, "-smp", val, TOO_MANY_VCPUS);
    if (n[SMP_CLUSTERS] > 1)
        return bad(e, "-smp", val, "this board has no clusters");
    if (n[SMP_SOCKETS] * n[SMP_DIES] * n[SMP_CORES] * n[SMP_THREADS] != n[SMP_MAXCPUS])
        return bad(e, "-smp", val, "sockets x dies x cores x threads must make maxcpus");
    if (n[SMP_CPUS] > n[SMP_MAXCPUS])
        return bad(e, "-smp", val, "more vCPUs than there are places for them");
    return 0;
}

/* Nothing of it is done: what is off may be said. */
int opt_overcommit(struct options *o, const char *val, struct err *e)
{
    static const char *const keys[] = { "mem-lock", "cpu-pm" };
    const char *rest = val;
    struct item it;
    bool on;

    while (next_item(&rest, &it)) {
        if (strcmp(it.key, "mem-lock") && strcmp(it.key, "cpu-pm"))
            return unknown_key(e, "-overcommit", val, &it, keys, ARRAY_SIZE(keys));
        if (!to_bool(it.val, &on))
            return bad(e, "-overcommit", val, "on or off is wanted");
        if (on)
            return bad(e, "-overcommit", val, "not supported yet");
    }
    return 0;
}

int opt_smp(struct options *o, const char *val, struct err *e)
{
    static const char *const keys[SMP_KEYS] = { "cpus", "sockets", "dies", "clusters", "cores",
                                                "threads", "maxcpus" };
    uint64_t n[SMP_KEYS] = { 0 };
    const char *rest = val;
    struct item it;

    while (next_item(&rest, &it)) {
        int k = *it.key ? SMP_KEYS : SMP_CPUS;

        for (int i = 0; i < SMP_KEYS; i++)
            if (!strcmp(it.key, keys[i]))
                k = i;
        if (k == SMP_KEYS)
            return unknown_key(e, "-smp", val, &it, keys, ARRAY_SIZE(keys));
        if (!to_number(it.val, UINT64_MAX, &n[k]) || !n[k])
            return bad(e, "-smp", val, "a number of CPUs is wanted");
        if (n[k] > MAX_VCPUS)
            return bad(e, "-smp", val, TOO_MANY_VCPUS);
    }
    smp_defaults(n);
    if (smp_check(n, val, e) < 0)
        return -EINVAL;
    o->cfg.n_vcpus = (unsigned)n[SMP_CPUS];
    o->cfg.max_vcpus = (unsigned)n[SMP_MAXCPUS];
    o->cfg.dies = (unsigned)n[SMP_DIES];
    o->cfg.cores = (unsigned)n[SMP_CORES];
    o->cfg.threads = (unsigned)n[SMP_THREADS];
    return 0;
}

/* ---- -machine ------------------------------------------------------------------------ */

static int machine_type(struct options *o, const char *type, struct err *e)
{
    static const char *const ours[] = { "pc", "pc-i440fx", "q35", "pc-q35" };
    static const char *const later[] = { "microvm", "isapc", "xenfv", "xenpv" };

    if (!strcmp(type, "none")) {
        o->no_machine = true;
        return 0;
    }
    o->no_machine = false;
    if (!strcmp(type, "pc") || !strncmp(type, "pc-i440fx", 9)) {
        o->cfg.board = BOARD_PC;
        return 0;
    }
    if (!strcmp(type, "q35") || !strncmp(type, "pc-q35", 6)) {
        o->cfg.board = BOARD_Q35;
        return 0;
    }
    for (size_t i = 0; i < ARRAY_SIZE(later); i++)
        if (!strcmp(type, later[i]))
            return err_set(e, -EINVAL, "-machine %s: not supported yet (use pc)", type);
    return opt_err_near(e, type, ours, ARRAY_SIZE(ours), "", "-machine %s: unknown machine", type);
}

static int machine_switch(struct options *o, const char *val, const struct item *it, struct err *e)
{
    static const char *const keys[] = { "type", "accel", "acpi", "hpet", "pit", "usb", "graphics",
                                        "dump-guest-core", "mem-merge", "vmport", "smm",
                                        "kernel", "initrd", "append", "pflash0", "pflash1",
                                        "memory-backend" };
    static const char *const must_be_off[] = { "smm", "vmport" };
    static const char *const no_effect[] = { "dump-guest-core", "graphics" };
    bool on;

    if (!strcmp(it->key, "pflash0") || !strcmp(it->key, "pflash1")) {
        int n = it->key[6] - '0';
        free(o->pflash[n]);
        o->cfg.pflash[n] = o->pflash[n] = xstrdup(it->val);
        return 0;
    }
    if (!strcmp(it->key, "kernel-irqchip") || !strcmp(it->key, "kernel_irqchip")) {
        o->irqchip_given = accel_irqchip_parse(it->val, &o->irqchip);
        return o->irqchip_given ? 0
               : err_set(e, -EINVAL, "-machine %s=%s: on, split or off is wanted", it->key, it->val);
    }
    if (!strcmp(it->key, "kvm-shadow-mem"))
        return err_set(e, -EINVAL, "-machine %s=%s: not supported", it->key, it->val);
    if (!strcmp(it->key, "memory-backend")) {
        free(o->memory_backend);
        o->memory_backend = xstrdup(it->val);
        return 0;
    }
    for (size_t i = 0; i < ARRAY_SIZE(must_be_off); i++)
        if (!strcmp(it->key, must_be_off[i]) &&
            (!strcmp(it->val, "auto") || (to_bool(it->val, &on) && !on)))
            return 0;
        else if (!strcmp(it->key, must_be_off[i]))
            return err_set(e, -EINVAL, "-machine %s=%s: not supported yet", it->key, it->val);
    for (size_t i = 0; i < ARRAY_SIZE(no_effect); i++)
        if (!strcmp(it->key, no_effect[i]) && to_bool(it->val, &on))
            return 0;
    if (strcmp(it->key, "acpi") && strcmp(it->key, "hpet") && strcmp(it->key, "pit") && strcmp(it->key, "mem-merge") &&
        strcmp(it->key, "usb"))
        return unknown_key(e, "-machine", val, it, keys, ARRAY_SIZE(keys));
    if (!to_bool(it->val, &on))
        return err_set(e, -EINVAL, "-machine %s=%s: on or off is wanted", it->key, it->val);
    if (!strcmp(it->key, "usb"))
        o->cfg.usb = on;
    else
        *(!strcmp(it->key, "acpi") ? &o->cfg.no_acpi
          : !strcmp(it->key, "mem-merge") ? &o->cfg.no_mem_merge
          : !strcmp(it->key, "hpet") ? &o->cfg.no_hpet : &o->cfg.no_pit) = !on;
    return 0;
}

int opt_machine(struct options *o, const char *val, struct err *e)
{
    const char *rest = val;
    struct item it;
    int ret = 0;

    if (!strcmp(val, "help") || !strcmp(val, "?")) {
        o->action = ACT_MACHINE_HELP;
        return 0;
    }
    while (ret == 0 && next_item(&rest, &it)) {
        if (!*it.key || !strcmp(it.key, "type")) {
            ret = machine_type(o, it.val, e);
        } else if (!strcmp(it.key, "accel")) {
            if (o->n_accels < OPT_ACCELS)
                o->accels[o->n_accels++] = xstrdup(it.val);
        } else {
            ret = machine_switch(o, val, &it, e);
        }
    }
    return ret;
}

/* ---- -rtc, -boot ----------------------------------------------------------------------------- */

/* "2006-06-17" or "2006-06-17T16:01:21", as UTC */
static bool rtc_date(const char *s, int64_t *out)
{
    struct tm tm = { 0 };
    const char *end = strptime(s, strchr(s, 'T') ? "%Y-%m-%dT%H:%M:%S" : "%Y-%m-%d", &tm);

    *out = timegm(&tm);
    return end && !*end && tm.tm_year >= 70;
}

int opt_rtc(struct options *o, const char *val, struct err *e)
{
    static const char *const keys[] = { "base", "clock", "driftfix" };
    const char *rest = val;
    struct item it;

    while (next_item(&rest, &it)) {
        if (!strcmp(it.key, "base") && !strcmp(it.val, "utc"))
            o->cfg.rtc_localtime = false;
        else if (!strcmp(it.key, "base") && !strcmp(it.val, "localtime"))
            o->cfg.rtc_localtime = true;
        else if (!strcmp(it.key, "base")) {
            if (!rtc_date(it.val, &o->cfg.rtc_base_s))
                return bad(e, "-rtc", val, "base is utc, localtime, or a date like 2006-06-17T16:01:21");
            o->cfg.rtc_base_set = true;
        } else if (!strcmp(it.key, "clock") || !strcmp(it.key, "driftfix")) {
            if (strcmp(it.val, "host") && strcmp(it.val, "vm") && strcmp(it.val, "none"))
                return bad(e, "-rtc", val, "only clock=host, clock=vm and driftfix=none are supported yet");
        } else {
            return unknown_key(e, "-rtc", val, &it, keys, ARRAY_SIZE(keys));
        }
    }
    return 0;
}

static int boot_letters(char **own, const char **cfg, const char *val, const char *order, struct err *e)
{
    if (!boot_order_valid(order))
        return bad(e, "-boot", val, "an order is letters a to p, each once: "
                   "a floppy, c disk, d CD, n network");
    free(*own);
    *cfg = *own = xstrdup(order);
    return 0;
}

static int boot_switch(const char *val, const struct item *it, struct boot_config *b, struct err *e)
{
    bool *sw = !strcmp(it->key, "menu") ? &b->menu : &b->strict;

    return to_bool(it->val, sw) ? 0 : bad(e, "-boot", val, "menu and strict are on or off");
}

/* Milliseconds; the firmware counts splash-time in 16 bits. -1: for ever. */
static int boot_wait(const char *val, const struct item *it, struct boot_config *b, struct err *e)
{
    bool splash = !strcmp(it->key, "splash-time");
    char *end;
    long n = strtol(it->val, &end, 10);

    if (!*it->val || *end || n < -1 || n > 0xffff || (splash && n < 0))
        return bad(e, "-boot", val, "a wait is 0 to 65535 ms (reboot-timeout: -1 waits for ever)");
    if (splash) {
        b->splash_ms_set = true;
        b->splash_ms = n;
    } else {
        b->fail_wait_ms_set = true;
        b->fail_wait_ms = n;
    }
    return 0;
}

int opt_boot(struct options *o, const char *val, struct err *e)
{
    static const char *const keys[] = { "order", "once", "menu", "strict", "splash",
                                        "splash-time", "reboot-timeout" };
    struct boot_config *b = &o->cfg.boot;
    const char *rest = val;
    struct item it;
    int ret = 0;

    while (ret == 0 && next_item(&rest, &it)) {
        if (!*it.key || !strcmp(it.key, "order"))
            ret = boot_letters(&o->boot_order, &b->order, val, it.val, e);
        else if (!strcmp(it.key, "once"))
            ret = boot_letters(&o->boot_once, &b->once, val, it.val, e);
        else if (!strcmp(it.key, "strict") || !strcmp(it.key, "menu"))
            ret = boot_switch(val, &it, b, e);
        else if (!strcmp(it.key, "splash-time") || !strcmp(it.key, "reboot-timeout"))
            ret = boot_wait(val, &it, b, e);
        else if (!strcmp(it.key, "splash"))
            free(o->boot_splash), b->splash = o->boot_splash = xstrdup(it.val);
        else
            ret = unknown_key(e, "-boot", val, &it, keys, ARRAY_SIZE(keys));
    }
    return ret;
}

/* ---- -name, -uuid, -msg -------------------------------------------------------------------------- */

int opt_name(struct options *o, const char *val, struct err *e)
{
    static const char *const keys[] = { "guest", "process", "debug-threads" };
    const char *rest = val;
    struct item it;

    while (next_item(&rest, &it)) {
        if (!*it.key || !strcmp(it.key, "guest"))
            free(o->name), o->name = xstrdup(it.val);
        else if (strcmp(it.key, "process") && strcmp(it.key, "debug-threads"))
            return unknown_key(e, "-name", val, &it, keys, ARRAY_SIZE(keys));
    }
    return 0;
}

int opt_uuid(struct options *o, const char *val, struct err *e)
{
    static const char form[] = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx";
    size_t i = 0;

    for (; form[i] && val[i]; i++)
        if (form[i] == 'x' ? !isxdigit((unsigned char)val[i]) : val[i] != form[i])
            break;
    if (form[i] || val[i])
        return bad(e, "-uuid", val, "not of the form 550e8400-e29b-41d4-a716-446655440000");
    o->cfg.uuid = val;
    return 0;
}

int opt_msg(struct options *o, const char *val, struct err *e)
{
    static const char *const keys[] = { "timestamp", "guest-name" };
    const char *rest = val;
    struct item it;

    while (next_item(&rest, &it)) {
        bool on;

        if (strcmp(it.key, "timestamp") && strcmp(it.key, "guest-name"))
            return unknown_key(e, "-msg", val, &it, keys, ARRAY_SIZE(keys));
        if (!to_bool(it.val, &on))
            return bad(e, "-msg", val, "on or off is wanted");
        if (!strcmp(it.key, "timestamp"))
            o->timestamps = on;
    }
    return 0;
}
