/*
 * opt-device.c - -device and -usbdevice: whose device it is
 */
#include <stdlib.h>
#include "ui/options.h"

static int number(const struct kv_list *l, const char *key, uint64_t max, uint64_t *v)
{
    const char *text = kv_get(l, key);
    char *end;

    if (!text)
        return 0;
    errno = 0;
    *v = strtoull(text, &end, 0);
    return !*text || *text == '-' || *end || errno || *v > max ? -EINVAL : 0;
}

static int debug_exit(struct options *o, const struct kv_list *l, const char *val, struct err *e)
{
    static const char *const keys[] = { "driver", "iobase", "iosize", "id" };
    uint64_t port = 0x501, size = 2;

    if (opt_only_keys(l, keys, ARRAY_SIZE(keys), "-device ", val, e) < 0)
        return -EINVAL;
    if (number(l, "iobase", 0xfffc, &port) < 0)
        return err_set(e, -EINVAL, "-device %s: iobase is a port, 0 to 0xfffc", val);
    if (number(l, "iosize", 4, &size) < 0 || !size)
        return err_set(e, -EINVAL, "-device %s: iosize is 1 to 4", val);
    o->cfg.isa_debug_exit = true;
    o->cfg.isa_debug_exit_port = (uint16_t)port;
    return 0;
}

/* A device that is none of the tables'. */
static int other_device(struct options *o, const struct kv_list *l, const char *val, struct err *e)
{
    static const char *const names[] = {
        "isa-debug-exit", "pc-testdev", "isa-debugcon", "isa-serial", "VGA", "virtio-blk-pci",
        "virtio-net-pci", "virtio-rng-pci", "virtio-balloon-pci", "virtio-serial-pci",
        "virtio-vga", "virtio-gpu-pci", "virtio-scsi-pci", "virtio-9p-pci", "virtio-keyboard-pci",
        "e1000", "rtl8139", "ne2k_pci", "ide-hd", "ide-cd", "ahci", "nvme", "scsi-hd", "scsi-cd",
        "qemu-xhci", "nec-usb-xhci", "usb-ehci", "usb-tablet", "usb-kbd", "usb-mouse", "usb-hub", "usb-storage",
        "piix3-usb-uhci",
        "AC97", "intel-hda", "hda-duplex", "pvpanic", "edu", "loader", "vmgenid",
        "pcie-root-port", "pci-bridge",
    };
    const char *driver = kv_driver(l);

    if (!driver || !*driver)
        return err_set(e, -EINVAL, "-device %s: the device's name comes first", val);
    if (!strcmp(driver, "isa-debug-exit"))
        return debug_exit(o, l, val, e);
    if (!strcmp(driver, "pc-testdev") && l->n == 1) {
        o->cfg.pc_testdev = true;
        return 0;
    }
    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        if (!strcmp(driver, names[i]))
            return err_set(e, -EINVAL, "-device %s: not supported yet", driver);
    return opt_err_near(e, driver, names, ARRAY_SIZE(names), "", "-device %s: unknown device", driver);
}

int opt_device(struct options *o, const char *val, struct err *e)
{
    struct kv_list l = { NULL, 0 };
    int ret;

    if (!strcmp(val, "help") || !strcmp(val, "?")) {
        o->action = ACT_DEVICE_HELP;
        return 0;
    }
    ret = opt_char_device(o, val, e);
    if (ret > 0)
        ret = disks_device(o, val, e);
    if (ret <= 0)
        return ret;
    ret = kv_parse(&l, val, e);
    if (ret == 0)
        ret = other_device(o, &l, val, e);
    kv_free(&l);
    return ret;
}

/* A controller comes along, as with QEMU. */
int opt_usbdevice(struct options *o, const char *val, struct err *e)
{
    static const char *const names[] = { "tablet", "mouse", "keyboard" };
    static const char *const devices[] = { "usb-tablet", "usb-mouse", "usb-kbd" };

    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        if (strcmp(val, names[i]))
            continue;
        o->cfg.usb = true;
        return disks_device(o, devices[i], e);
    }
    return opt_err_near(e, val, names, ARRAY_SIZE(names), "", "-usbdevice %s: tablet, mouse or keyboard is wanted",
                        val);
}
