/*
 * options.c - the command line: what is read, and what wrong input is told
 */
#include <criterion/criterion.h>
#include <stdlib.h>
#include "ui/options.h"

#define MAX_ARGS 16

/* Parses the words of @line after "transom", '' being an empty one; the strings live until the next call. */
static int parse(struct options *o, struct err *e, const char *line)
{
    static char text[512];
    char *argv[MAX_ARGS + 2] = { "transom" }, *rest = text, *word;
    int argc = 1;

    cr_assert_lt(strlen(line), sizeof text);
    strcpy(text, line);
    while ((word = strsep(&rest, " ")) && argc < MAX_ARGS)
        if (*word)
            argv[argc++] = strcmp(word, "''") ? word : "";
    e->msg[0] = 0;
    return options_parse(o, argc, argv, e);
}

/* @line is understood; what @o was before goes */
static void good(struct options *o, const char *line)
{
    struct err e;

    options_free(o);
    cr_assert_eq(parse(o, &e, line), 0, "%s: %s", line, e.msg);
}

/* @line fails with exactly @msg */
static void fails(const char *line, const char *msg)
{
    struct options o;
    struct err e;

    cr_assert_lt(parse(&o, &e, line), 0, "'%s' is accepted", line);
    options_free(&o);
    cr_assert_str_eq(e.msg, msg);
}

/* @line fails with one line that has @part in it */
static void fails_with(const char *line, const char *part)
{
    struct options o;
    struct err e;

    cr_assert_lt(parse(&o, &e, line), 0, "'%s' is accepted", line);
    options_free(&o);
    cr_assert_not_null(strstr(e.msg, part), "'%s' says '%s', not '%s'", line, e.msg, part);
    cr_assert_null(strchr(e.msg, '\n'));
}

Test(options, nothing_gives_a_pc_with_128_mib)
{
    struct options o = { .n_accels = 0 };

    setenv("TRANSOM_KVM_PROBE", "slow", 1);
    good(&o, "");
    cr_assert_eq(o.action, ACT_RUN);
    cr_assert_eq(o.cfg.ram_bytes, 128 * MiB);
    cr_assert_eq(o.cfg.n_vcpus, 1);
    cr_assert_str_eq(o.model.name, "max");
    cr_assert_eq(o.accel.ops, &accel_bt);
    cr_assert_eq(o.accel.tb_bytes, 128 * MiB);
    cr_assert(o.accel.optimise);
    cr_assert_eq(o.n_serial, 1);
    cr_assert_str_eq(o.serial[0], "null");
    cr_assert_null(o.monitor);
    options_free(&o);
}

Test(options, one_dash_or_two)
{
    struct options o = { .n_accels = 0 };

    good(&o, "--m 64 --no-reboot -no-shutdown");
    cr_assert_eq(o.cfg.ram_bytes, 64 * MiB);
    cr_assert(o.cfg.no_reboot);
    cr_assert(o.cfg.no_shutdown);
    options_free(&o);
}

Test(options, memory_sizes)
{
    static const struct { const char *line; uint64_t bytes; } rows[] = {
        { "-m 512", 512 * MiB }, { "-m 512M", 512 * MiB }, { "-m 1G", GiB },
        { "-m size=2048k", 2 * MiB }, { "-m 1.5G", 1536 * MiB }, { "-m size=64", 64 * MiB },
    };
    struct options o = { .n_accels = 0 };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        good(&o, rows[i].line);
        cr_assert_eq(o.cfg.ram_bytes, rows[i].bytes, "%s", rows[i].line);
    }
    fails_with("-m 12Q", "-m 12Q: ");
    fails_with("-m 0", "-m 0: ");
    fails_with("-m", "-m: needs an argument");
    fails_with("-m 512,maxmem=1G", "plugged");
    fails("-m siez=512", "-m siez=512: unknown property 'siez' (did you mean size?)");
    options_free(&o);
}

Test(options, unknown_words_get_the_nearest)
{
    fails("-frobnicate", "-frobnicate: unknown option");
    fails("-bot c", "-bot: unknown option (did you mean -boot?)");
    fails("--no-rebot", "--no-rebot: unknown option (did you mean -no-reboot?)");
    fails("-device isa-debug-exti", "-device isa-debug-exti: unknown device (did you mean isa-debug-exit?)");
    fails("-device isa-debug-exit,iobas=1", "-device isa-debug-exit,iobas=1: unknown property "
          "'iobas' (did you mean iobase?)");
    fails_with("-cpu qemu46", "qemu64");
    fails_with("-cpu max,+ssse33", "ssse3");
    fails_with("-machine pk", "did you mean pc?");
    fails("-accel tgc", "-accel tgc: unknown accelerator (did you mean tcg?)");
    fails("-accel tcg,tb-sise=3", "-accel tcg,tb-sise=3: unknown property 'tb-sise' "
          "(did you mean tb-size?)");
}

Test(options, what_is_not_built_yet_says_so)
{
    static const char *const lines[] = {
        "-drive if=scsi,file=x",
        "-machine microvm", "-display gtk",
    };

    for (size_t i = 0; i < ARRAY_SIZE(lines); i++)
        fails_with(lines[i], "support");
}

Test(options, processors)
{
    static const struct { const char *line; unsigned cpus, max, dies, cores, threads; } rows[] = {
        { "-smp 1", 1, 1, 1, 1, 1 },
        { "-smp 4", 4, 4, 1, 4, 1 },
        { "-smp cpus=4,threads=2", 4, 4, 1, 2, 2 },
        { "-smp 6,sockets=2", 6, 6, 1, 3, 1 },
        { "-smp 8,cores=2", 8, 8, 1, 2, 1 },
        { "-smp sockets=2,dies=2,cores=2,threads=2", 16, 16, 2, 2, 2 },
        { "-smp 3,maxcpus=8,sockets=2,cores=2,threads=2", 3, 8, 1, 2, 2 },
        { "-smp 64", 64, 64, 1, 64, 1 },
    };
    struct options o = { .n_accels = 0 };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        good(&o, rows[i].line);
        cr_assert_eq(o.cfg.n_vcpus, rows[i].cpus, "%s", rows[i].line);
        cr_assert_eq(o.cfg.max_vcpus, rows[i].max, "%s", rows[i].line);
        cr_assert_eq(o.cfg.dies, rows[i].dies, "%s", rows[i].line);
        cr_assert_eq(o.cfg.cores, rows[i].cores, "%s", rows[i].line);
        cr_assert_eq(o.cfg.threads, rows[i].threads, "%s", rows[i].line);
        options_free(&o);
    }
    fails("-smp 65", "-smp 65: there can be up to 64 vCPUs");
    fails_with("-smp 2,maxcpus=65", "up to 64");
    fails_with("-smp 2,sockets=2,cores=2", "must make maxcpus");
    fails_with("-smp 1,cores=2", "must make maxcpus");
    fails_with("-smp 4,maxcpus=2", "more vCPUs than there are places");
    fails_with("-smp 4,clusters=2", "no clusters");
    fails_with("-smp 0", "a number of CPUs");
    fails_with("-smp 2,core=2", "did you mean cores?");
}

Test(options, boards_by_name)
{
    struct options o = { .n_accels = 0 };

    good(&o, "-machine q35");
    cr_assert_eq(o.cfg.board, BOARD_Q35);
    good(&o, "-M pc-q35-emu1,usb=off");
    cr_assert_eq(o.cfg.board, BOARD_Q35);
    good(&o, "-machine type=q35 -machine pc-i440fx");
    cr_assert_eq(o.cfg.board, BOARD_PC);
    options_free(&o);
    fails_with("-machine q36", "did you mean q35?");
    good(&o, "-watchdog-action reset");
    options_free(&o);
    fails_with("-watchdog-action poweroff", "only reset");
}

Test(options, kvm_only_flags)
{
    fails_with("-machine pc,kernel-irqchip=on", "only with KVM");
    fails_with("-machine pc,kernel-irqchip=maybe", "on, split or off is wanted");
    fails_with("-accel kvm,kernel-irqchip=maybe", "on, split or off is wanted");
    fails_with("-accel tcg,kernel-irqchip=on", "only with kvm");
    fails_with("-cpu max,+kvm_asyncpf", "KVM");
}

/* What the probe finds is forced: the tests' own machine does not matter. */
#ifdef __x86_64__        /* elsewhere there is only the interpreter to choose */
Test(options, the_best_accelerator_that_works)
{
    static const struct { const char *probe, *line; const struct accel_ops *ops; const char *why, *warning; } rows[] = {
        { "fast", "", &accel_kvm, "2000.0 million", "" },
        { "slow", "", &accel_bt, "slower than the translator", "" },
        { "wrong", "", &accel_bt, "goes wrong", "" },
        { "none", "", &accel_bt, "not there", "" },
        { "fast", "-accel kvm", &accel_kvm, "", "" },
        { "fast", "-enable-kvm", &accel_kvm, "", "" },
        { "fast", "-machine pc,accel=kvm", &accel_kvm, "", "" },
        { "slow", "-accel kvm", &accel_kvm, "", "slower than the translator" },
        { "slow", "-enable-kvm", &accel_kvm, "", "slower than the translator" },
        { "fast", "-accel kvm:tcg", &accel_kvm, "", "" },
        { "slow", "-accel kvm:tcg", &accel_bt, "slower", "slower" },
        { "none", "-accel kvm:tcg", &accel_bt, "not there", "not there" },
        { "fast", "-accel kvm -accel tcg", &accel_kvm, "", "" },
        { "slow", "-accel kvm -accel tcg", &accel_bt, "slower", "slower" },
        { "fast", "-accel tcg:kvm", &accel_bt, "", "" },
        { "fast", "-machine pc,accel=kvm:tcg", &accel_kvm, "", "" },
        { "wrong", "-machine pc,accel=kvm:tcg", &accel_bt, "goes wrong", "goes wrong" },
        { "fast", "-accel kvm,kernel-irqchip=split", &accel_kvm, "", "" },
        { "fast", "-d pit,guest_errors", &accel_kvm, "", "" },
        { "fast", "-d pit,int", &accel_bt, "-d tells", "-d tells" },
        { "fast", "-d all", &accel_bt, "-d tells", "-d tells" },
        { "slow", "-d int", &accel_bt, "slower", "" },
        { "fast", "-d int -accel kvm", &accel_kvm, "", "" },
    };
    struct options o = { .n_accels = 0 };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        setenv("TRANSOM_KVM_PROBE", rows[i].probe, 1);
        good(&o, rows[i].line);
        cr_assert_eq(o.accel.ops, rows[i].ops, "%s: %s", rows[i].probe, rows[i].line);
        cr_assert(strstr(o.accel.why, rows[i].why), "%s: %s: %s", rows[i].probe, rows[i].line, o.accel.why);
        cr_assert(strstr(o.accel.warning, rows[i].warning) && !*o.accel.warning == !*rows[i].warning,
                  "%s: %s: %s", rows[i].probe, rows[i].line, o.accel.warning);
        options_free(&o);
    }
    setenv("TRANSOM_KVM_PROBE", "none", 1);
    fails("-accel kvm", "-accel kvm: not there (TRANSOM_KVM_PROBE)");
    fails("-machine accel=kvm", "-accel kvm: not there (TRANSOM_KVM_PROBE)");
    fails("-enable-kvm", "-accel kvm: not there (TRANSOM_KVM_PROBE)");
    setenv("TRANSOM_KVM_PROBE", "wrong", 1);
    fails_with("-accel kvm", "the test guest goes wrong");
}

Test(options, accelerator_lists_fall_back)
{
    struct options o = { .n_accels = 0 };

    setenv("TRANSOM_KVM_PROBE", "slow", 1);
    good(&o, "-accel kvm:tcg");
    cr_assert_eq(o.accel.ops, &accel_bt);
    good(&o, "-accel bt,backend=interp,optimise=off,tb-size=8,one-insn-per-tb=on");
    cr_assert_eq(o.accel.backend, TCG_BACKEND_INTERP);
    cr_assert_not(o.accel.optimise);
    cr_assert(o.accel.one_insn);
    cr_assert_eq(o.accel.tb_bytes, 8 * MiB);
    good(&o, "-accel kvm -accel tcg,tb-size=16");
    cr_assert_eq(o.accel.tb_bytes, 16 * MiB);
    good(&o, "-machine pc,accel=kvm:mshv:tcg,usb=off");
    cr_assert_eq(o.accel.ops, &accel_bt);
    fails_with("-accel xen:hvf", "none of these");
    fails_with("-accel tcg,tb-size=0", "tb-size=0");
    fails_with("-accel tcg,tb-size=4096", "tb-size=4096");
    fails_with("-accel tcg,backend=llvm", "backend=llvm");
    options_free(&o);
}
#endif

Test(options, machine_properties)
{
    struct options o = { .n_accels = 0 };

    good(&o, "-M pc-i440fx-7.2,acpi=off,hpet=off,dump-guest-core=off");
    cr_assert(o.cfg.no_acpi);
    cr_assert(o.cfg.no_hpet);
    cr_assert_not(o.cfg.no_pit);
    good(&o, "-machine pit=off");
    cr_assert(o.cfg.no_pit);
    good(&o, "-machine type=pc,acpi=on");
    cr_assert_not(o.cfg.no_acpi);
    fails_with("-machine pc,usb=auto", "usb=auto");
    fails_with("-machine pc,acpi=maybe", "on or off");
    options_free(&o);
}

Test(options, nographic_puts_serial_and_monitor_together)
{
    struct options o = { .n_accels = 0 };

    good(&o, "-nographic");
    cr_assert_str_eq(o.serial[0], "mon:stdio");
    cr_assert_null(o.monitor);
    cr_assert(o.cfg.nographic);
    good(&o, "-nographic -serial file:x");
    cr_assert_str_eq(o.monitor, "stdio");
    good(&o, "-nographic -monitor none");
    cr_assert_str_eq(o.serial[0], "stdio");
    good(&o, "-nographic -serial mon:stdio");
    cr_assert_null(o.monitor);
    good(&o, "-nographic -nodefaults");
    cr_assert_eq(o.n_serial, 0);
    cr_assert_null(o.monitor);
    options_free(&o);
}

Test(options, serial_ports_up_to_four)
{
    struct options o = { .n_accels = 0 };

    good(&o, "-serial stdio -serial none -serial null -serial pty");
    cr_assert_eq(o.n_serial, 4);
    cr_assert_str_eq(o.serial[3], "pty");
    fails_with("-serial null -serial null -serial null -serial null -serial null", "4 ports");
    options_free(&o);
}

Test(options, kernel_goes_direct_unless_firmware_is_named)
{
    struct options o = { .n_accels = 0 };

    good(&o, "-kernel k -initrd i -append console=ttyS0");
    cr_assert_str_eq(o.cfg.kernel, "k");
    cr_assert_not(o.cfg.kernel_via_firmware);
    good(&o, "-kernel k -bios b");
    cr_assert(o.cfg.kernel_via_firmware);
    fails_with("-initrd i", "only with -kernel");
    fails_with("-append a", "only with -kernel");
    options_free(&o);
}

Test(options, debug_exit_port)
{
    struct options o = { .n_accels = 0 };

    good(&o, "-device isa-debug-exit");
    cr_assert(o.cfg.isa_debug_exit);
    cr_assert_eq(o.cfg.isa_debug_exit_port, 0x501);
    good(&o, "-device isa-debug-exit,iobase=0xf4,iosize=0x04");
    cr_assert_eq(o.cfg.isa_debug_exit_port, 0xf4);
    good(&o, "-device {\"driver\":\"isa-debug-exit\",\"iobase\":244}");
    cr_assert_eq(o.cfg.isa_debug_exit_port, 0xf4);
    fails_with("-device {\"driver\":\"isa-debug-exti\"}", "did you mean isa-debug-exit?");
    fails_with("-device virtio-blk-pci,drive", "'drive' lacks its value");
    fails_with("-device isa-debug-exit,iobase=0x10000", "iobase");
    fails_with("-device isa-debug-exit,iobase=-1", "iobase");
    options_free(&o);
}

Test(options, networks)
{
    struct options o = { .n_accels = 0 };

    good(&o, "-netdev help");
    cr_assert_eq(o.action, ACT_NETDEV_HELP);
    good(&o, "-nic user,model=help");
    cr_assert_eq(o.action, ACT_NIC_HELP);
    good(&o, "-net nic,model=help");
    cr_assert_eq(o.action, ACT_NIC_HELP);
    good(&o, "-netdev {\"type\":\"user\",\"id\":\"n\",\"hostfwd\":[{\"str\":\"tcp::1-:2\"},{\"str\":\"udp::3-:4\"}]}");
    cr_assert_str_eq(o.net[0].val, "user,id=n,hostfwd=tcp::1-:2,hostfwd=udp::3-:4");
    good(&o, "-netdev user,id=n -nic tap,fd=3 -net none");
    cr_assert_eq(o.n_net, 3);
    options_free(&o);
    fails_with("-netdev {\"type\":\"user\"", "-netdev");
}

Test(options, global_properties)
{
    struct options o = { .n_accels = 0 };

    good(&o, "-global virtio-net.mq=on -global driver=e1000,property=mac,value=52:54:00:00:00:07");
    cr_assert_eq(o.cfg.n_globals, 2);
    cr_assert_str_eq(o.cfg.globals[0].driver, "virtio-net-pci");
    cr_assert_str_eq(o.cfg.globals[0].prop, "mq");
    cr_assert_str_eq(o.cfg.globals[1].val, "52:54:00:00:00:07");
    cr_assert(!o.cfg.no_s3[BOARD_PC]);
    good(&o, "-global PIIX4_PM.disable_s3=1 -global kvm-pit.lost_tick_policy=delay");
    cr_assert(o.cfg.no_s3[BOARD_PC] && !o.cfg.no_s3[BOARD_Q35] && !o.cfg.no_s4[BOARD_PC], "of one board only");
    good(&o, "-global ICH9-LPC.disable_s4=1 -global PIIX4_PM.disable_s4=1 -global PIIX4_PM.disable_s4=0");
    cr_assert(!o.cfg.no_s3[BOARD_Q35] && o.cfg.no_s4[BOARD_Q35] && !o.cfg.no_s4[BOARD_PC]);
    cr_assert_eq(o.cfg.n_globals, 0);
    options_free(&o);
    fails("-global e1000", "-global e1000: DRIVER.PROPERTY=VALUE is wanted");
    fails("-global e1001.mac=x", "-global e1001.mac=x: unknown device 'e1001' (did you mean e1000?)");
    fails("-global e1000.mca=x", "-global e1000.mca=x: e1000: no property 'mca' (did you mean mac?)");
    fails_with("-global virtio-net-pci.mq=2", "on or off");
    fails_with("-global ide-hd.drive=d", "one device");
    fails_with("-global PIIX4_PM.disable_s4=2", "on or off");
    fails_with("-global ICH9-LPC.noreboot=2", "not supported");
}

Test(options, rom_directories_keep_their_order)
{
    struct options o = { .n_accels = 0 };

    good(&o, "-L a -L b");
    cr_assert_str_eq(o.cfg.rom_dirs[0], "a");
    cr_assert_str_eq(o.cfg.rom_dirs[1], "b");
    cr_assert_null(o.rom_dirs[OPT_ROM_DIRS + 1]);
    options_free(&o);
}

Test(options, rtc_boot_name_uuid)
{
    struct options o = { .n_accels = 0 };

    good(&o, "-rtc base=localtime -boot order=dc,strict=on -name guest=vm,debug-threads=on "
         "-uuid 550e8400-e29b-41d4-a716-446655440000 -msg timestamp=on -overcommit mem-lock=off");
    cr_assert(o.cfg.rtc_localtime);
    cr_assert_str_eq(o.cfg.boot.order, "dc");
    cr_assert_str_eq(o.name, "vm");
    cr_assert_str_eq(o.cfg.uuid, "550e8400-e29b-41d4-a716-446655440000");
    cr_assert(o.timestamps);
    good(&o, "-boot d");
    cr_assert_str_eq(o.cfg.boot.order, "d");
    fails_with("-boot cc", "-boot cc: ");
    fails_with("-boot order=x", "letters");
    fails_with("-uuid 550e8400", "-uuid 550e8400: ");
    good(&o, "-rtc base=2006-06-17T16:01:21,clock=vm");
    cr_assert(o.cfg.rtc_base_set);
    cr_assert_eq(o.cfg.rtc_base_s, 1150560081);
    fails_with("-rtc base=2024-13-01", "a date");
    fails_with("-overcommit mem-lock=on", "not supported yet");
    options_free(&o);
}

Test(options, questions)
{
    static const struct { const char *line; enum opt_action a; } rows[] = {
        { "-h", ACT_HELP }, { "-help", ACT_HELP }, { "--help", ACT_HELP }, { "-version", ACT_VERSION },
        { "-cpu help", ACT_CPU_HELP }, { "-d help", ACT_LOG_HELP }, { "-accel help", ACT_ACCEL_HELP },
        { "-machine help", ACT_MACHINE_HELP }, { "-M ?", ACT_MACHINE_HELP },
        { "-device help", ACT_DEVICE_HELP }, { "-L help", ACT_ROM_HELP },
        { "-display help", ACT_DISPLAY_HELP },
        { "-help -nonsense", ACT_HELP },
    };
    struct options o = { .n_accels = 0 };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        good(&o, rows[i].line);
        cr_assert_eq(o.action, rows[i].a, "%s", rows[i].line);
    }
    options_free(&o);
}

Test(options, help_has_every_group_and_fits_a_terminal)
{
    struct options o = { .action = ACT_RUN };
    char *text = NULL, *line, *rest;
    size_t len;
    FILE *f = open_memstream(&text, &len);

    o.action = ACT_HELP;
    options_info(&o, f);
    fclose(f);
    for (const char *const *w = (const char *const[]){ "-kernel", "-serial", "-nographic",
                                                       "-no-reboot", "-dfilter", NULL }; *w; w++)
        cr_assert_not_null(strstr(text, *w), "%s", *w);
    rest = text;
    while ((line = strsep(&rest, "\n")))
        cr_assert_leq(strlen(line), 100, "%s", line);
    free(text);
}

Test(options, table_has_no_name_twice)
{
    size_t n;
    const struct opt_row *r = options_table(&n);

    for (size_t i = 0; i < n; i++) {
        cr_assert_not_null(r[i].set, "%s", r[i].name);
        for (size_t j = 0; j < i; j++)
            cr_assert_str_neq(r[i].name, r[j].name);
    }
}

Test(options, log_items_are_checked)
{
    struct options o = { .n_accels = 0 };
    struct err e = { "" };

    good(&o, "-d in_asn");
    cr_assert_lt(options_log(&o, &e), 0);
    cr_assert_not_null(strstr(e.msg, "-d in_asn: "));
    cr_assert_not_null(strstr(e.msg, "in_asm"));
    good(&o, "-D /nonexistent/dir/log");
    cr_assert_lt(options_log(&o, &e), 0);
    cr_assert_not_null(strstr(e.msg, "-D /nonexistent/dir/log: "));
    options_free(&o);
}

Test(options, displays)
{
    struct options o = { .n_accels = 0 };

    good(&o, "-display none");
    cr_assert_null(o.sdl);
    cr_assert_null(o.vnc);
    options_free(&o);
    good(&o, "-vnc 127.0.0.1:3,password=on");
    cr_assert_str_eq(o.vnc, "127.0.0.1:3,password=on");
    cr_assert_null(o.sdl, "VNC instead of a window");
    options_free(&o);
    good(&o, "-display vnc=:1");
    cr_assert_str_eq(o.vnc, ":1");
    options_free(&o);
    good(&o, "-vnc none");
    cr_assert_str_eq(o.vnc, "none");
    options_free(&o);
    good(&o, "-display sdl,gl=off");
    cr_assert_str_eq(o.sdl, "sdl,gl=off");
    options_free(&o);
    good(&o, "-nodefaults");
    cr_assert(o.cfg.no_vga);
    cr_assert_null(o.sdl);
    options_free(&o);
    good(&o, "-nodefaults -vga std");
    cr_assert_not(o.cfg.no_vga);
    options_free(&o);
    good(&o, "-vga none");
    cr_assert(o.cfg.no_vga);
    options_free(&o);
    good(&o, "-device VGA");
    cr_assert(o.cfg.no_vga, "the device takes the default's place");
    options_free(&o);
    fails_with("-display sdk", "did you mean sdl");
    fails_with("-vga cirrus", "only std and none");
}

Test(options, nothing_where_something_is_wanted)
{
    struct options o = { .n_accels = 0 };

    good(&o, "-M '' -m '' -smp '' -boot '' -rtc ''");
    cr_assert_eq(o.cfg.ram_bytes, 128 * MiB);
    cr_assert_eq(o.cfg.n_vcpus, 1);
    good(&o, "-name '' -msg '' -overcommit ''");
    options_free(&o);
    fails("-cpu ''", "-cpu : a model's name comes first (-cpu help lists them)");
    fails("-cpu ,+avx", "-cpu ,+avx: a model's name comes first (-cpu help lists them)");
    fails_with("-accel ''", "-accel : unknown");
    fails("-bios ''", "-bios: a file's name is wanted");
    fails("-d ''", "-d : an item is wanted (-d help lists them)");
    fails("-d ,", "-d ,: an item is wanted (-d help lists them)");
    fails("-trace exec,file=", "-trace exec,file=: file=: a file's name is wanted");
    fails("-device ,", "-device ,: the device's name comes first");
    fails("-object ,", "-object ,: the kind comes first");
    fails_with("-object rng-builtin,id=1#", "id '1#': a letter is wanted");
    fails("-", "-: unknown option");
    fails_with("-device e1000,id=", "-device e1000,id=: id '': a letter is wanted");
    fails_with("-device e1000,id=a\"b", "id 'a\"b': a letter is wanted");
    fails_with("-m ,", "-m ,: a size");
    fails_with("-uuid ''", "not of the form");
}
