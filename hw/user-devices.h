/*
 * user-devices.h - the devices that -device can make
 */
#ifndef HW_USER_DEVICES_H
#define HW_USER_DEVICES_H

#include "hw/prop.h"

enum user_bus { USER_PCI, USER_IDE, USER_ISA, USER_SYSTEM, USER_USB, USER_VSERIAL };

struct user_device {
    const struct device_type *type;
    enum user_bus bus;
    const char *category;        /* as "-device help" groups them */
    const char *alias;           /* another name, or NULL */
    bool fixed;                  /* neither comes nor goes while the machine runs */
};

/** user_devices() - the table; *n rows */
const struct user_device *user_devices(size_t *n);
/** user_device_find() - by name or alias, or NULL */
const struct user_device *user_device_find(const char *name);

/** struct user_prop - one prop=value for user_device_add() */
struct user_prop {
    const char *name, *val;
};

/**
 * user_device_add() - construct one with these properties
 * @id: or NULL
 * PCI devices without addr= get the next free slot.
 * Returns the device (owned by the machine) or NULL with @e set.
 */
struct device *user_device_add(struct machine *m, const struct user_device *u, const char *id,
                               const struct user_prop *props, size_t n, struct err *e) MUST_CHECK;

/**
 * user_device_plug() - the same in a machine that runs; the guest is told
 * Refused (NULL with @e set) where neither bus nor device can do that.
 */
struct device *user_device_plug(struct machine *m, const struct user_device *u, const char *id,
                                const struct user_prop *props, size_t n, struct err *e) MUST_CHECK;
/**
 * user_device_unplug() - take @d out: at once from USB, with what is behind it, and from virtio-serial; from PCI
 * when the guest lets it go
 * Returns 0, or -EOPNOTSUPP with @e set. Main thread.
 */
int user_device_unplug(struct device *d, struct err *e) MUST_CHECK;

/**
 * boot_path() - the device's name as firmware lists it, OpenFirmware style
 * Returns false when nothing can be booted from it.
 */
bool boot_path(const struct device *d, char *path, size_t size);
/** boot_order_publish() - write "bootorder" for all devices with a bootindex;
 *  0 or -errno with @e set (two devices with one index) */
int boot_order_publish(struct machine *m, struct err *e) MUST_CHECK;

#endif
