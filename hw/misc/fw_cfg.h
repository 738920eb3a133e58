/*
 * fw_cfg.h - firmware configuration device: named blobs for SeaBIOS and OVMF
 *
 * Items are numbered; the numbers below are fixed by the interface, files get
 * theirs from 0x20 up and are found through the directory item.
 * Source: the interface's specification, "QEMU Firmware Configuration
 * (fw_cfg) Device".
 */
#ifndef HW_MISC_FW_CFG_H
#define HW_MISC_FW_CFG_H

#include "hw/hw.h"

enum fw_cfg_key {
    FW_CFG_SIGNATURE = 0x00, FW_CFG_ID = 0x01, FW_CFG_UUID = 0x02,
    FW_CFG_RAM_SIZE = 0x03, FW_CFG_NOGRAPHIC = 0x04, FW_CFG_NB_CPUS = 0x05,
    FW_CFG_KERNEL_ADDR = 0x07, FW_CFG_KERNEL_SIZE = 0x08,
    FW_CFG_INITRD_ADDR = 0x0a, FW_CFG_INITRD_SIZE = 0x0b,
    FW_CFG_BOOT_DEVICE = 0x0c, FW_CFG_NUMA = 0x0d, FW_CFG_BOOT_MENU = 0x0e,
    FW_CFG_MAX_CPUS = 0x0f, FW_CFG_KERNEL_ENTRY = 0x10, FW_CFG_KERNEL_DATA = 0x11,
    FW_CFG_INITRD_DATA = 0x12, FW_CFG_CMDLINE_ADDR = 0x13,
    FW_CFG_CMDLINE_SIZE = 0x14, FW_CFG_CMDLINE_DATA = 0x15,
    FW_CFG_SETUP_ADDR = 0x16, FW_CFG_SETUP_SIZE = 0x17, FW_CFG_SETUP_DATA = 0x18,
    FW_CFG_FILE_DIR = 0x19, FW_CFG_FILE_FIRST = 0x20,
    FW_CFG_IRQ0_OVERRIDE = 0x8002,
};
#define FW_CFG_PORT       0x510
#define FW_CFG_DMA_PORT   0x514
#define FW_CFG_MAX_FILES  64
#define FW_CFG_NAME_BYTES 56     /* of a file, terminator included */

struct fw_cfg;
extern const struct device_type fw_cfg_type; /* give it FW_CFG_PORT; sets m->fw_cfg */

/** fw_cfg_add() - set item @key to a copy of @data, replacing what it was
 *  Unknown keys (other than the enum's) are a bug of the caller. */
void fw_cfg_add(struct fw_cfg *f, uint16_t key, const void *data, size_t len);
void fw_cfg_add_u16(struct fw_cfg *f, uint16_t key, uint16_t v);
void fw_cfg_add_u32(struct fw_cfg *f, uint16_t key, uint32_t v);
void fw_cfg_add_u64(struct fw_cfg *f, uint16_t key, uint64_t v);
/** fw_cfg_add_string() - with the terminating 0 */
void fw_cfg_add_string(struct fw_cfg *f, uint16_t key, const char *s);
/** fw_cfg_give() - as fw_cfg_add(), but takes ownership of malloc'd @data */
void fw_cfg_give(struct fw_cfg *f, uint16_t key, void *data, size_t len);

/**
 * fw_cfg_add_file() - set file @name to a copy of @data
 * @name: shorter than FW_CFG_NAME_BYTES, e.g. "etc/e820"
 *
 * Returns the item's key, or -ENOSPC (FW_CFG_MAX_FILES) or -ENAMETOOLONG.
 * Adding a file gives files new keys: do it before the guest runs.
 */
int fw_cfg_add_file(struct fw_cfg *f, const char *name, const void *data, size_t len);
/**
 * fw_cfg_on_select() - call @refresh each time the guest selects file @name
 * It may set this file's contents anew with fw_cfg_add_file(), at the same length:
 * the guest has read that from the directory before. Unknown names are ignored.
 */
void fw_cfg_on_select(struct fw_cfg *f, const char *name, void (*refresh)(struct machine *m));
/** fw_cfg_file() - contents of file @name and its @len, or NULL */
const uint8_t *fw_cfg_file(struct fw_cfg *f, const char *name, size_t *len);

#endif
