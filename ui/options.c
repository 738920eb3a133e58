/*
 * options.c - the command line: the table of options, and reading it
 *
 * One row an option. What QEMU has and Transom has not built yet is in a table
 * of its own, so that people get "not supported yet" and not a wrong guess.
 */
#include <stdlib.h>
#include "hw/display/vga.h"
#include "ui/display.h"
#include "ui/options.h"

/* ---- plain options ------------------------------------------------------------- */

#define TEXT(field) \
    static int set_##field(struct options *o, const char *v, struct err *e) \
    { o->field = v; return 0; }
#define CFG_TEXT(field) \
    static int set_##field(struct options *o, const char *v, struct err *e) \
    { o->cfg.field = v; return 0; }
#define FLAG(field) \
    static int set_##field(struct options *o, const char *v, struct err *e) \
    { o->field = true; return 0; }
#define CFG_FLAG(field) \
    static int set_##field(struct options *o, const char *v, struct err *e) \
    { o->cfg.field = true; return 0; }

TEXT(pidfile)
TEXT(log_file)
TEXT(log_filter)
TEXT(debugcon)
TEXT(gdb)
CFG_TEXT(kernel)
CFG_TEXT(initrd)
CFG_TEXT(append)
CFG_TEXT(mem_path)
FLAG(magic_break)
FLAG(nodefaults)
FLAG(paused)
FLAG(daemonize)
CFG_FLAG(no_reboot)
CFG_FLAG(no_shutdown)
CFG_FLAG(no_hpet)
CFG_FLAG(mem_prealloc)
CFG_FLAG(no_acpi)

static int set_help(struct options *o, const char *v, struct err *e)
{
    o->action = ACT_HELP;
    return 0;
}

static int set_version(struct options *o, const char *v, struct err *e)
{
    o->action = ACT_VERSION;
    return 0;
}

static int set_nothing(struct options *o, const char *v, struct err *e)
{
    return 0;
}

static int set_usb(struct options *o, const char *v, struct err *e)
{
    o->cfg.usb = true;
    return 0;
}

static int set_bios(struct options *o, const char *v, struct err *e)
{
    o->cfg.bios = v;
    return *v ? 0 : err_set(e, -EINVAL, "-bios: a file's name is wanted");
}

static int set_cpu(struct options *o, const char *v, struct err *e)
{
    if (!*v || *v == ',')
        return err_set(e, -EINVAL, "-cpu %s: a model's name comes first (-cpu help lists them)", v);
    if (!strcmp(v, "help") || !strcmp(v, "?")) {
        o->action = ACT_CPU_HELP;
        return 0;
    }
    return x86_model_parse(v, &o->model, e);
}

static int set_accel(struct options *o, const char *v, struct err *e)
{
    if (!strcmp(v, "help") || !strcmp(v, "?"))
        o->action = ACT_ACCEL_HELP;
    else if (o->n_accels == OPT_ACCELS)
        return err_set(e, -EINVAL, "-accel %s: more than %d of them", v, OPT_ACCELS);
    else
        o->accels[o->n_accels++] = xstrdup(v);
    return 0;
}

static int set_kvm(struct options *o, const char *v, struct err *e)
{
    return set_accel(o, "kvm", e);
}

static int set_one_insn(struct options *o, const char *v, struct err *e)
{
    return set_accel(o, "tcg,one-insn-per-tb=on", e);
}

static int set_gdb_default(struct options *o, const char *v, struct err *e)
{
    return set_gdb(o, "tcp::1234", e);
}

static int set_log(struct options *o, const char *v, struct err *e)
{
    if (!strcmp(v, "help") || !strcmp(v, "?"))
        o->action = ACT_LOG_HELP;
    o->log_items = v;
    return v[strspn(v, ",")] ? 0 : err_set(e, -EINVAL, "-d %s: an item is wanted (-d help lists them)", v);
}

static int set_rom_dir(struct options *o, const char *v, struct err *e)
{
    if (!strcmp(v, "help"))
        o->action = ACT_ROM_HELP;
    else if (o->n_rom_dirs == OPT_ROM_DIRS)
        return err_set(e, -EINVAL, "-L %s: more than %d directories", v, OPT_ROM_DIRS);
    else
        o->rom_dirs[o->n_rom_dirs++] = v;
    return 0;
}

static int set_serial(struct options *o, const char *v, struct err *e)
{
    unsigned n = 0;

    while (n < OPT_SERIALS && o->serial[n])
        n++;
    if (n == OPT_SERIALS)
        return err_set(e, -EINVAL, "-serial %s: a PC has %d ports", v, OPT_SERIALS);
    o->serial[n] = v;
    o->n_serial = MAX(o->n_serial, n + 1);
    return 0;
}

static int set_nographic(struct options *o, const char *v, struct err *e)
{
    o->nographic = o->display_given = true;
    return 0;
}

static int set_vnc(struct options *o, const char *v, struct err *e)
{
    o->vnc = v;
    o->display_given = true;
    return 0;
}

static int set_sdl(struct options *o, const char *v, struct err *e)
{
    o->sdl = "sdl";
    o->display_given = true;
    return 0;
}

static int set_display(struct options *o, const char *v, struct err *e)
{
    static const char *const kinds[] = { "none", "gtk", "sdl", "curses", "vnc", "spice-app",
                                         "egl-headless", "dbus" };
    size_t len = strcspn(v, ",=:");

    if (!strcmp(v, "help") || !strcmp(v, "?")) {
        o->action = ACT_DISPLAY_HELP;
        return 0;
    }
    o->display_given = true;
    if (!strcmp(v, "none")) {
        o->sdl = NULL;
        return 0;
    }
    if (len == 3 && !strncmp(v, "sdl", 3) && (!v[3] || v[3] == ',')) {
        o->sdl = v;
        return 0;
    }
    if (!strncmp(v, "vnc=", 4))
        return set_vnc(o, v + 4, e);
    if (!strncmp(v, "vnc:", 4))
        return set_vnc(o, v + 3, e);
    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
        if (len == strlen(kinds[i]) && !strncmp(v, kinds[i], len))
            return err_set(e, -EINVAL, "-display %s: not supported yet (none, sdl, vnc=:N are)", v);
    return opt_err_near(e, v, kinds, ARRAY_SIZE(kinds), "", "-display %s: unknown display", v);
}

static int set_vga(struct options *o, const char *v, struct err *e)
{
    if (strcmp(v, "std") && strcmp(v, "none"))
        return err_set(e, -EINVAL, "-vga %s: only std and none are supported yet", v);
    o->vga = v;
    return 0;
}

static int none_only(const char *opt, const char *what, const char *v, struct err *e)
{
    if (strcmp(v, "none") && strcmp(v, "null"))
        return err_set(e, -EINVAL, "%s %s: %s not supported yet (only none)", opt, v, what);
    return 0;
}

static int set_parallel(struct options *o, const char *v, struct err *e)
{
    return none_only("-parallel", "parallel ports are", v, e);
}

/* Sound goes nowhere yet: only the back end that does so is there. */
static int set_audiodev(struct options *o, const char *v, struct err *e)
{
    struct kv_list kv = { NULL, 0 };
    struct err why = { "" };
    const char *driver;
    int ret = kv_parse(&kv, v, &why);

    driver = kv_driver(&kv);
    if (ret < 0)
        err_set(e, ret, "-audiodev %s: %s", v, why.msg);
    else if (!driver || strcmp(driver, "none"))
        ret = err_set(e, -ENOTSUP, "-audiodev %s: only driver none is supported yet", v);
    kv_free(&kv);
    return ret;
}

/* There is no watchdog; what QMP's set-action takes is taken here. */
static int set_watchdog_action(struct options *o, const char *v, struct err *e)
{
    return strcmp(v, "reset") ? err_set(e, -ENOTSUP, "-watchdog-action %s: not supported yet (only reset)", v) : 0;
}

static int set_sandbox(struct options *o, const char *v, struct err *e)
{
    return strcmp(v, "off") ? err_set(e, -ENOTSUP, "-sandbox %s: not supported yet", v) : 0;
}

/* ---- the table ------------------------------------------------------------------------ */

static const struct opt_row rows[] = {
    { "h", NULL, GRP_STANDARD, NULL, set_help },
    { "help", NULL, GRP_STANDARD, "this page", set_help },
    { "version", NULL, GRP_STANDARD, "version", set_version },
    { "M", "", GRP_STANDARD, NULL, opt_machine },
    { "machine", "[type=]TYPE[,prop=on|off]", GRP_STANDARD,
      "pc, q35; accel=LIST, acpi=, hpet= (-M; 'help' lists)", opt_machine },
    { "cpu", "MODEL[,+FLAG][,-FLAG]", GRP_STANDARD, "CPU model and features ('help' lists)", set_cpu },
    { "accel", "NAME[:NAME][,prop=value]", GRP_STANDARD,
      "what runs the CPU: kvm, tcg (or bt); repeatable ('help' lists)", set_accel },
    { "enable-kvm", NULL, GRP_STANDARD, "the same as -accel kvm", set_kvm },
    { "smp", "[cpus=]N[,sockets=][,dies=]...", GRP_STANDARD,
      "vCPUs, 1 to 64 (1); cores=, threads=, maxcpus=", opt_smp },
    { "m", "[size=]MIB", GRP_STANDARD, "RAM, suffixes K M G (default 128M)", opt_memory },
    { "mem-path", "PATH", GRP_STANDARD, "guest RAM from there, such as a hugetlbfs", set_mem_path },
    { "mem-prealloc", NULL, GRP_STANDARD, "get all of guest RAM at the start", set_mem_prealloc },
    { "bios", "FILE", GRP_STANDARD, "firmware (default bios-256k.bin)", set_bios },
    { "L", "DIR", GRP_STANDARD, "look for firmware there first; repeatable ('help' lists)", set_rom_dir },
    { "boot", "[order=]LETTERS[,once=][,menu=][,strict=]...", GRP_STANDARD,
      "a floppy, c disk, d CD, n network; splash=, splash-time=", opt_boot },
    { "rtc", "base=utc|localtime|DATE", GRP_STANDARD, "time of the CMOS clock", opt_rtc },
    { "name", "NAME", GRP_STANDARD, "name of the guest", opt_name },
    { "uuid", "UUID", GRP_STANDARD, "the machine's UUID", opt_uuid },
    { "kernel", "FILE", GRP_KERNEL, "bzImage (entered directly without -bios), PVH, Multiboot", set_kernel },
    { "initrd", "FILE", GRP_KERNEL, "its initial RAM disk", set_initrd },
    { "append", "TEXT", GRP_KERNEL, "its command line", set_append },
    { "device", "NAME[,prop=value]", GRP_DEVICES,
      "cards, disks, USB ... ('help' lists; NAME,help)", opt_device },
    { "global", "DEVICE.PROP=VALUE", GRP_DEVICES, "a property for every device of that name", opt_global },
    { "usb", NULL, GRP_DEVICES, "the chipset's USB controller", set_usb },
    { "usbdevice", "tablet|mouse|keyboard", GRP_DEVICES, "that and a device on it", opt_usbdevice },
    { "drive", "[file=]FILE[,if=IF][,format=FMT]...", GRP_DISKS,
      "a disk; if=ide|virtio|floppy|pflash|none, media=disk|cdrom, cache=, id=", opt_drive },
    { "blockdev", "driver=FMT,node-name=N,...", GRP_DISKS, "an image for -device ...,drive=N", opt_blockdev },
    { "hda", "FILE", GRP_DISKS, "first IDE disk; -hdb, -hdc, -hdd the others", opt_hda },
    { "hdb", "FILE", GRP_DISKS, NULL, opt_hdb },
    { "hdc", "FILE", GRP_DISKS, NULL, opt_hdc },
    { "hdd", "FILE", GRP_DISKS, NULL, opt_hdd },
    { "cdrom", "FILE", GRP_DISKS, "a disc in the IDE CD-ROM drive", opt_cdrom },
    { "fda", "FILE", GRP_DISKS, "floppy disk; -fdb the second", opt_fda },
    { "fdb", "FILE", GRP_DISKS, NULL, opt_fdb },
    { "pflash", "FILE", GRP_DISKS, "a flash chip: firmware, then its variables", opt_pflash },
    { "snapshot", NULL, GRP_DISKS, "keep nothing that is written to disks", opt_snapshot },
    { "serial", "CHARDEV", GRP_DEVICES, "a serial port; repeatable, up to 4", set_serial },
    { "debugcon", "CHARDEV", GRP_DEVICES, "firmware debug console at port 0x402", set_debugcon },
    { "nodefaults", NULL, GRP_DEVICES, "no default serial port, monitor, display adapter, CD and floppy drive", set_nodefaults },
    { "no-hpet", NULL, GRP_DEVICES, "without HPET", set_no_hpet },
    { "no-acpi", NULL, GRP_DEVICES, "without ACPI", set_no_acpi },
    { "vga", "std|none", GRP_DEVICES, "display adapter", set_vga },
    { "nic", "KIND[,model=CARD][,mac=MAC][,prop=value]", GRP_DEVICES,
      "network card with its back end: user, tap ...; none", opt_nic },
    { "netdev", "KIND,id=ID[,prop=value]", GRP_DEVICES,
      "network back end: user, tap, bridge, socket, stream, dgram, hubport", opt_netdev },
    { "net", "nic|user|tap|none[,prop=value]", GRP_DEVICES, NULL, opt_net },
    { "object", "KIND,id=ID[,prop=value]", GRP_DEVICES,
      "filter-dump; rng-random, rng-builtin; secret; memory-backend-ram", opt_object },
    { "parallel", "none", GRP_DEVICES, NULL, set_parallel },
    { "audiodev", "none,id=ID", GRP_DEVICES, NULL, set_audiodev },
    { "nographic", NULL, GRP_DISPLAY,
      "serial port and monitor on this terminal (Ctrl-A h: keys)", set_nographic },
    { "display", "none|sdl[,prop=value]|vnc=:N", GRP_DISPLAY,
      "a window (the default on a desktop), a VNC server, neither", set_display },
    { "vnc", "[HOST]:N|unix:PATH|none[,password=on]...", GRP_DISPLAY,
      "VNC server; to=N, share=, websocket=, connections=", set_vnc },
    { "sdl", NULL, GRP_DISPLAY, NULL, set_sdl },
    { "monitor", "CHARDEV", GRP_DISPLAY, "monitor prompt there; repeatable", opt_monitor },
    { "chardev", "KIND,id=ID[,prop=value]", GRP_DISPLAY,
      "a character device: stdio, socket, pty ... ('help' lists)", opt_chardev },
    { "mon", "[chardev=]ID[,mode=readline|control]", GRP_DISPLAY,
      "a monitor there; control: QMP, pretty=on|off", opt_mon },
    { "qmp", "CHARDEV", GRP_DISPLAY, "machine protocol (QMP) there; -qmp-pretty: indented", opt_qmp },
    { "qmp-pretty", "CHARDEV", GRP_DISPLAY, NULL, opt_qmp_pretty },
    { "S", NULL, GRP_RUN, "do not start the CPU; 'cont' in the monitor does", set_paused },
    { "no-reboot", NULL, GRP_RUN, "end instead of a reset", set_no_reboot },
    { "no-shutdown", NULL, GRP_RUN, "stop instead of ending at power-off", set_no_shutdown },
    { "pidfile", "FILE", GRP_RUN, "write the process id there", set_pidfile },
    { "daemonize", NULL, GRP_RUN, "to the background once everything is set up", set_daemonize },
    { "msg", "timestamp=on|off", GRP_RUN, "time stamps on messages", opt_msg },
    { "no-user-config", NULL, GRP_RUN, NULL, set_nothing },
    { "nodefconfig", NULL, GRP_RUN, NULL, set_nothing },
    { "overcommit", "mem-lock=off", GRP_RUN, NULL, opt_overcommit },
    { "sandbox", "off", GRP_RUN, NULL, set_sandbox },
    { "watchdog-action", "reset", GRP_RUN, NULL, set_watchdog_action },
    { "s", NULL, GRP_DEBUG, "short for -gdb tcp::1234", set_gdb_default },
    { "gdb", "tcp:[HOST]:PORT|unix:PATH|stdio", GRP_DEBUG, "serve a gdb there ('target remote')", set_gdb },
    { "d", "ITEM[,ITEM...]", GRP_DEBUG, "log these ('help' lists)", set_log },
    { "D", "FILE", GRP_DEBUG, "log to FILE instead of standard error", set_log_file },
    { "dfilter", "RANGE[,RANGE...]", GRP_DEBUG, "log only code there: START+LEN, START..END", set_log_filter },
    { "icount", "[shift=]N|auto[,align=][,sleep=]...", GRP_DEBUG,
      "time is 2^N ns an instruction; hash=FILE, every=N, stop=N", opt_icount },
    { "trace", "EVENT[,EVENT][,file=][,size=][,ring=on]", GRP_DEBUG,
      "record to FILE for transom-trace ('help' lists)", opt_trace },
    { "magic-break", NULL, GRP_DEBUG, "XCHG BX, BX stops the machine, for gdb or the monitor", set_magic_break },
    { "symbols", "FILE", GRP_DEBUG, "names of guest code for -d, x/i: ELF, System.map, kallsyms; repeatable", opt_symbols },
    { "verify", "interp|kvm", GRP_DEBUG, "compare translated code, block by block", opt_verify },
    { "one-insn-per-tb", NULL, GRP_DEBUG, NULL, set_one_insn },
    { "singlestep", NULL, GRP_DEBUG, NULL, set_one_insn },
};

/* What QEMU has and we do not, yet: name, whether it takes an argument, what it is. */
static const struct { const char *name; bool arg; const char *what; } later[] = {
    { "sd", true, "disks are" }, { "mtdblock", true, "disks are" },
   
    { "gtk", false, "a window is" }, { "curses", false, "" }, { "full-screen", false, "a window is" },
    { "k", true, "" },
    { "incoming", true, "" }, { "loadvm", true, "" }, { "smbios", true, "" },
    { "acpitable", true, "" }, { "fw_cfg", true, "" }, { "option-rom", true, "" },
    { "audio", true, "sound is" }, { "soundhw", true, "sound is" },
    { "virtfs", true, "" }, { "fsdev", true, "" }, { "tpmdev", true, "" }, { "numa", true, "" },
    { "spice", true, "" }, { "watchdog", true, "" },
    { "runas", true, "" }, { "run-with", true, "" }, { "chroot", true, "" }, { "dtb", true, "" },
    { "plugin", true, "" }, { "seed", true, "" }, { "action", true, "" },
    { "readconfig", true, "" }, { "semihosting", false, "" }, { "win2k-hack", false, "" },
    { "perfmap", false, "" }, { "jitdump", false, "" }, { "preconfig", false, "" }, { "shim", true, "" },
};

const struct opt_row *options_table(size_t *n)
{
    *n = ARRAY_SIZE(rows);
    return rows;
}

/* ---- reading --------------------------------------------------------------------------------- */

static int unknown_option(const char *arg, const char *name, struct err *e)
{
    const char *names[ARRAY_SIZE(rows)];
    size_t n = 0;

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        if (rows[i].help)
            names[n++] = rows[i].name;
    return opt_err_near(e, name, names, n, "-", "%s: unknown option", arg);
}

static int not_yet(const char *arg, const char *name, const char *val, struct err *e)
{
    for (size_t i = 0; i < ARRAY_SIZE(later); i++) {
        const char *what = later[i].what;

        if (strcmp(name, later[i].name))
            continue;
        return err_set(e, -ENOTSUP, "%s%s%s: %s%snot supported yet", arg,
                       later[i].arg && val ? " " : "", later[i].arg && val ? val : "",
                       what, *what ? " " : "");
    }
    return unknown_option(arg, name, e);
}

static const struct opt_row *find_row(const char *name)
{
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        if (!strcmp(name, rows[i].name))
            return &rows[i];
    return NULL;
}

/* One option at argv[*i], which moves past it and its argument. */
static int parse_one(struct options *o, int argc, char **argv, int *i, struct err *e)
{
    const char *arg = argv[*i], *name = arg + 1, *val = NULL;
    const struct opt_row *r;

    if (*arg != '-') {
        ++*i;
        return opt_hda(o, arg, e);
    }
    if (*name == '-')
        name++;
    ++*i;
    r = find_row(name);
    if (!r)
        return not_yet(arg, name, *i < argc ? argv[*i] : NULL, e);
    if (r->arg) {
        if (*i == argc)
            return err_set(e, -EINVAL, "%s: needs an argument%s%s", arg, *r->arg ? ": " : "", r->arg);
        val = argv[(*i)++];
    }
    return r->set(o, val, e);
}

/* What -d tells of the CPU only the translator knows. */
static int accel_for_log(struct accel_options *o, struct err *e)
{
    static const char why[] = "-d tells of the CPU what KVM does not";
    int ret;

    accel_default(o);
    if (o->ops == &accel_bt)
        return 0;
    ret = accel_parse("tcg", o, e);
    snprintf(o->why, sizeof o->why, "%s", why);
    snprintf(o->warning, sizeof o->warning, "%s", why);
    return ret;
}

/* Which accelerator: the first -accel that works. */
static int choose_accel(struct options *o, struct err *e)
{
    struct err why = { "" };
    int ret;

    if (!o->n_accels && o->log_items && accel_log_wants(log_items_mask(o->log_items)))
        return accel_for_log(&o->accel, e);
    if (!o->n_accels && !o->icount.on && !o->trace.kinds) {
        accel_default(&o->accel);
        return 0;
    }
    if (!o->n_accels)
        return accel_parse("tcg", &o->accel, e);   /* what counts and records */
    ret = accel_choose(o->accels, o->n_accels, o->irqchip_given ? &o->irqchip : NULL, &o->accel, &why);
    if (ret < 0)
        return err_set(e, ret, "-accel %s", why.msg);
    return 0;
}

/* The kernel's chips need the kernel's vCPUs. */
static int check_irqchip(const struct options *o, struct err *e)
{
    if (o->irqchip_given && o->irqchip == IRQCHIP_ON && o->accel.ops == &accel_bt
        && !o->accel.switchable)
        return err_set(e, -EINVAL, "-machine kernel-irqchip=on: only with KVM%s%s",
                       o->accel.why[0] ? "; " : "", o->accel.why);
    return 0;
}

static int check_kvm_features(const struct options *o, struct err *e)
{
    const char *name = o->accel.ops == &accel_bt ? x86_kvm_feature_name(o->model.kvm_on) : NULL;

    return name ? err_set(e, -EINVAL, "-cpu: '%s' needs KVM", name) : 0;
}

static bool has_monitor(const struct options *o)
{
    for (unsigned i = 0; i < o->n_serial; i++)
        if (o->serial[i] && !strncmp(o->serial[i], "mon:", 4))
            return true;
    return o->debugcon && !strncmp(o->debugcon, "mon:", 4);
}

/* Where serial port and monitor go when nothing was said. */
static int default_consoles(struct options *o, struct err *e)
{
    bool serial = !o->n_serial && !o->nodefaults;
    bool monitor = !o->monitor && !o->n_mon && !o->nodefaults && !has_monitor(o);

    bool terminal = o->nographic && !o->daemonize;

    if (terminal && serial && monitor) {
        o->serial[o->n_serial++] = "mon:stdio";
    } else {
        if (serial)
            o->serial[o->n_serial++] = terminal ? "stdio" : "null";
        if (monitor && terminal)
            return opt_monitor(o, "stdio", e);
    }
    return 0;
}

/* The TSC runs at the host's rate unless tsc-frequency= says otherwise. */
static int finish_cpu(struct options *o, struct err *e)
{
    struct x86_model plain;

    if (x86_model_parse(NULL, &plain, e) < 0)
        return -EINVAL;
    if (!o->model.name)
        o->model = plain;
    if (o->model.tsc_hz == plain.tsc_hz)
        o->model.tsc_hz = 0;
    return 0;
}

/* As QEMU has it: -device VGA takes the default adapter's place. */
static void default_vga(struct options *o)
{
    bool std = o->vga ? !strcmp(o->vga, "std") : !o->nodefaults;

    for (const struct opt_dev *d = o->disks.devs; d; d = d->next)
        if (d->type->type == &vga_type)
            std = o->vga && !strcmp(o->vga, "std");
    o->cfg.no_vga = !std;
}

/* A window is the default where there is a desktop, but not for what runs unseen. */
static void default_display(struct options *o)
{
    if (!o->display_given && !o->nodefaults && !o->daemonize && sdl_available())
        o->sdl = "sdl";
}

static int finish(struct options *o, struct err *e)
{
    if (o->cfg.initrd && !o->cfg.kernel)
        return err_set(e, -EINVAL, "-initrd: only with -kernel");
    if (o->cfg.append && !o->cfg.kernel)
        return err_set(e, -EINVAL, "-append: only with -kernel");
    o->cfg.kernel_via_firmware = o->cfg.kernel && o->cfg.bios;
    o->cfg.nographic = o->nographic;
    o->cfg.rom_dirs = o->rom_dirs;
#ifdef CONFIG_FIRMWARE_DIR
    o->rom_dirs[o->n_rom_dirs] = CONFIG_FIRMWARE_DIR;
#endif
    if (objects_check(o, e) < 0 || default_consoles(o, e) < 0)
        return -EINVAL;
    if (disks_finish(o, e) < 0)
        return -EINVAL;
    default_vga(o);
    default_display(o);
    if (finish_cpu(o, e) < 0)
        return -EINVAL;
    if (choose_accel(o, e) < 0 || check_irqchip(o, e) < 0 || check_kvm_features(o, e) < 0)
        return -EINVAL;
    return opt_debug_finish(o, e);
}

int options_parse(struct options *o, int argc, char **argv, struct err *e)
{
    int ret = 0;

    memset(o, 0, sizeof *o);
    o->cfg.ram_bytes = 128 * MiB;
    o->cfg.n_vcpus = 1;
    for (int i = 1; ret == 0 && i < argc && o->action == ACT_RUN; )
        ret = parse_one(o, argc, argv, &i, e);
    if (ret == 0 && o->action == ACT_RUN)
        ret = finish(o, e);
    return ret;
}

void options_free(struct options *o)
{
    for (unsigned i = 0; i < o->n_accels; i++)
        free(o->accels[i]);
    free(o->name);
    free(o->boot_order);
    free(o->pflash[0]);
    free(o->pflash[1]);
    free(o->boot_once);
    free(o->boot_splash);
    disks_options_free(&o->disks);
    opt_chardev_free(o);
    objects_free(o->objects);
    free(o->memory_backend);
    opt_debug_free(o);
    opt_global_free(o);
    opt_net_free(o);
    memset(o, 0, sizeof *o);
}

int options_log(const struct options *o, struct err *e)
{
    struct err why = { "" };

    if (o->log_items && log_set_items(o->log_items, &why) < 0)
        return err_set(e, -EINVAL, "-d %s: %s", o->log_items, why.msg);
    if (o->log_file && log_set_file(o->log_file, &why) < 0)
        return err_set(e, -EINVAL, "-D %s", why.msg);
    if (o->log_filter)
        return log_set_filter(o->log_filter, e);
    return 0;
}
