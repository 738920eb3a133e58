/*
 * linux.h - starting a Linux kernel given on the command line
 *
 * Without firmware the kernel is entered directly (64-bit entry when it has
 * one, else the 32-bit one), on a board left as firmware would have left it.
 * With firmware it goes through fw_cfg and our option ROM (roms/linuxboot).
 * Source: the Linux/x86 boot protocol, 2.06 to 2.15.
 */
#ifndef HW_BOOT_LINUX_H
#define HW_BOOT_LINUX_H

#include "hw/hw.h"

/* offsets in the setup header; the same in file and boot_params */
enum {
    HDR_SETUP_SECTS = 0x1f1, HDR_SYSSIZE = 0x1f4, HDR_VID_MODE = 0x1fa,
    HDR_BOOT_FLAG = 0x1fe, HDR_JUMP_LEN = 0x201, HDR_MAGIC = 0x202,
    HDR_VERSION = 0x206, HDR_TYPE_OF_LOADER = 0x210, HDR_LOADFLAGS = 0x211,
    HDR_CODE32_START = 0x214, HDR_RAMDISK_IMAGE = 0x218, HDR_RAMDISK_SIZE = 0x21c,
    HDR_HEAP_END_PTR = 0x224, HDR_CMD_LINE_PTR = 0x228,
    HDR_INITRD_ADDR_MAX = 0x22c, HDR_KERNEL_ALIGNMENT = 0x230,
    HDR_RELOCATABLE = 0x234, HDR_MIN_ALIGNMENT = 0x235, HDR_XLOADFLAGS = 0x236,
    HDR_CMDLINE_SIZE = 0x238, HDR_PREF_ADDRESS = 0x258, HDR_INIT_SIZE = 0x260,
};
enum { LOADED_HIGH = 0x01, CAN_USE_HEAP = 0x80, XLF_KERNEL_64 = 0x0001 };
#define BZIMAGE_HEAD_LEN 1024

/** struct bzimage - a checked kernel file; numbers are within its length */
struct bzimage {
    int fd;
    const char *path;               /* the caller's */
    uint8_t head[BZIMAGE_HEAD_LEN]; /* first bytes, setup header included */
    uint32_t setup_len;             /* real-mode part, boot sector included */
    uint32_t kernel_len;            /* protected-mode part, follows it */
    uint16_t version;
    uint32_t cmdline_max;           /* without the terminator */
    uint64_t pref_address;
    uint64_t init_size;             /* memory needed from the load address */
    uint32_t alignment;             /* when relocatable */
    bool relocatable, entry64;
    uint32_t initrd_addr_max;
};

/**
 * bzimage_open() - open and check a kernel
 * Returns 0, or a negative errno with @e saying what is wrong with @path.
 * On success the caller ends with bzimage_close().
 */
int bzimage_open(struct bzimage *k, const char *path, struct err *e) MUST_CHECK;
void bzimage_close(struct bzimage *k);

/** boot_open() - open @path (regular file) for option @opt; *@len its bytes
 *  Returns a file descriptor or a negative errno with @e set. */
int boot_open(const char *opt, const char *path, uint64_t *len, struct err *e) MUST_CHECK;
/** boot_read() - exactly @len bytes at @off; 0 or -errno */
int boot_read(int fd, void *buf, size_t len, uint64_t off) MUST_CHECK;

/** linux_boot_add() - direct boot of m->cfg.kernel; files are checked now and
 *  copied at every reset. 0 or -errno with @e set. */
int linux_boot_add(struct machine *m, struct err *e) MUST_CHECK;
/** linux_firmware_add() - give m->cfg.kernel to the firmware through fw_cfg */
int linux_firmware_add(struct machine *m, struct err *e) MUST_CHECK;

/**
 * board_init_like_firmware() - what a firmware's POST leaves behind
 * Interrupt routing, PM base, BARs, A20, virtual wire mode, shadow RAM
 * readable; the caller may write 0xC0000..0xFFFFF between
 * pci_shadow_set(m, 3) and this.
 */
void board_init_like_firmware(struct machine *m);

extern const struct device_type linux_boot_type;

#endif
