/*
 * help.c - what -help, -version and the "help" arguments print
 */
#include "hw/net/nic.h"
#include "ui/options.h"
#include "ui/ui.h"

static const char *const groups[GRP_COUNT] = {
    [GRP_STANDARD] = "Machine", [GRP_KERNEL] = "Linux kernel without a disk",
    [GRP_DISKS] = "Disks",
    [GRP_DEVICES] = "Devices", [GRP_DISPLAY] = "Display and monitor",
    [GRP_RUN] = "Running", [GRP_DEBUG] = "Traces",
};

static void print_row(const struct opt_row *r, FILE *f)
{
    char left[64];

    snprintf(left, sizeof left, "-%s%s%s", r->name, r->arg ? " " : "", r->arg ? r->arg : "");
    if (strlen(left) > 26)
        fprintf(f, "  %s\n  %-26s %s\n", left, "", r->help);
    else
        fprintf(f, "  %-26s %s\n", left, r->help);
}

static void print_page(FILE *f)
{
    size_t n;
    const struct opt_row *rows = options_table(&n);

    fputs("Usage: transom [OPTION]...\n"
          "A PC in software. The options are QEMU's.\n", f);
    for (unsigned g = 0; g < GRP_COUNT; g++) {
        fprintf(f, "\n%s:\n", groups[g]);
        for (size_t i = 0; i < n; i++)
            if (rows[i].group == g && rows[i].help)
                print_row(&rows[i], f);
    }
    fputs("\nCHARDEV: stdio  null  none  file:PATH  pipe:PATH  pty  /dev/TTY  chardev:ID\n"
          "  mon:CHARDEV (with the monitor)  unix:PATH[,server=on][,wait=off]\n"
          "  tcp:[HOST]:PORT[,server=on][,wait=off]  telnet:[HOST]:PORT[,...]\n"
          "\nExample:\n"
          "  transom -kernel vmlinuz -initrd initrd.img -append console=ttyS0 -m 512 -nographic\n", f);
}

static void print_roms(FILE *f)
{
#ifdef CONFIG_FIRMWARE_DIR
    fputs(CONFIG_FIRMWARE_DIR "\n", f);
#endif
    fputs("/usr/share/seabios\n/usr/share/qemu\n", f);
}

void options_info(const struct options *o, FILE *f)
{
    switch (o->action) {
    case ACT_RUN:
        break;
    case ACT_HELP:
        print_page(f);
        break;
    case ACT_VERSION:
        fputs("Transom emulator version " TRANSOM_VERSION_TEXT "\n", f);
        break;
    case ACT_CPU_HELP:
        x86_model_help(f);
        break;
    case ACT_LOG_HELP:
        log_help(f);
        break;
    case ACT_ACCEL_HELP:
        accel_help(f);
        break;
    case ACT_MACHINE_HELP:
        fputs("Supported machines are:\n"
              "pc                   Standard PC (i440FX + PIIX, 1996) (default)\n"
              "pc-i440fx            the same\n"
              "q35                  Standard PC (Q35 + ICH9, 2009)\n"
              "pc-q35               the same\n", f);
        break;
    case ACT_DEVICE_HELP:
        disks_device_help(o->disks.help, f);
        if (o->disks.help)
            break;
        fputs("name \"isa-debug-exit\", bus ISA: exit code from a port (iobase=0x501)\n"
              "name \"pc-testdev\", bus ISA: ports that test guests use\n", f);
        break;
    case ACT_NETDEV_HELP:
        fputs("Available netdev backend types:\n", f);
        for (size_t i = 0; net_backend_kind(i); i++)
            fprintf(f, "%s\n", net_backend_kind(i));
        break;
    case ACT_NIC_HELP:
        fputs("Available NIC models:\n", f);
        for (const char *const *name = nic_models(); *name; name++)
            fprintf(f, "%s\n", *name);
        break;
    case ACT_TRACE_HELP:
        opt_trace_help(f);
        break;
    case ACT_DISPLAY_HELP:
        fputs("Available display backend types:\nnone\n", f);
#ifdef CONFIG_SDL
        fputs("sdl\n", f);
#endif
#ifdef CONFIG_VNC
        fputs("vnc\n", f);
#endif
        break;
    case ACT_CHARDEV_HELP:
        fputs("Available chardev backend types:\n", f);
        for (size_t i = 0; chardev_kind_name(i); i++)
            fprintf(f, "  %s\n", chardev_kind_name(i));
        break;
    case ACT_ROM_HELP:
        print_roms(f);
        break;
    }
}
