/*
 * linux-fw.c - a Linux kernel for the firmware: fw_cfg items and our option ROM
 *
 * The ROM copies what the items hold to the addresses they name and enters the
 * kernel's real-mode setup, which then asks the firmware for everything.
 */
#include <stdlib.h>
#include <unistd.h>
#include "hw/boot/linux.h"
#include "hw/misc/fw_cfg.h"
#include "linuxboot.rom.h"             /* made from roms/linuxboot */

#define SETUP_AT       0x10000u
#define CMDLINE_AT     0x20000u
#define CMDLINE_ROOM   0x10000u
#define KERNEL_AT      0x100000u
#define SETUP_MAX      (65 * 512u)     /* 64 sectors and the boot sector */
#define FIRMWARE_ROOM  MiB             /* its tables, at the top of low RAM */

/* Gives @len bytes of the file at @off as item @key. */
static int give_file(struct machine *m, uint16_t key, int fd, uint64_t off, size_t len)
{
    void *buf = malloc(len + 1);
    int ret = buf ? boot_read(fd, buf, len, off) : -ENOMEM;

    if (ret < 0)
        free(buf);
    else
        fw_cfg_give(m->fw_cfg, key, buf, len);
    return ret;
}

static int give_kernel(struct machine *m, const struct bzimage *k, struct err *e)
{
    int ret = give_file(m, FW_CFG_KERNEL_DATA, k->fd, k->setup_len, k->kernel_len);

    if (ret < 0)
        return err_set(e, ret, "-kernel %s: %s", k->path, strerror(-ret));
    fw_cfg_add_u32(m->fw_cfg, FW_CFG_KERNEL_ADDR, KERNEL_AT);
    fw_cfg_add_u32(m->fw_cfg, FW_CFG_KERNEL_SIZE, k->kernel_len);
    fw_cfg_add_u32(m->fw_cfg, FW_CFG_KERNEL_ENTRY, KERNEL_AT);
    return 0;
}

static int give_initrd(struct machine *m, const struct bzimage *k, uint8_t *setup,
                       struct err *e)
{
    const char *path = m->cfg.initrd;
    uint64_t len, low = MAX(KERNEL_AT, k->pref_address) + k->init_size;
    uint64_t top = MIN(m->ram_low.len - FIRMWARE_ROOM, (uint64_t)k->initrd_addr_max + 1);
    int fd, ret;

    if (!path)
        return 0;
    fd = boot_open("-initrd", path, &len, e);
    if (fd < 0)
        return fd;
    if (top < low || len > top - low || align_down(top - len, 4096) < low)
        ret = err_set(e, -ENOMEM, "-initrd %s: %llu MiB do not fit into RAM beside the "
                      "kernel (-m %llu)", path, (unsigned long long)(len / MiB + 1),
                      (unsigned long long)(m->cfg.ram_bytes / MiB));
    else if ((ret = give_file(m, FW_CFG_INITRD_DATA, fd, 0, len)) < 0)
        err_set(e, ret, "-initrd %s: %s", path, strerror(-ret));
    close(fd);
    if (ret < 0)
        return ret;
    stl32(setup + HDR_RAMDISK_IMAGE, align_down(top - len, 4096));
    stl32(setup + HDR_RAMDISK_SIZE, len);
    fw_cfg_add_u32(m->fw_cfg, FW_CFG_INITRD_ADDR, align_down(top - len, 4096));
    fw_cfg_add_u32(m->fw_cfg, FW_CFG_INITRD_SIZE, len);
    return 0;
}

static int give_cmdline(struct machine *m, const struct bzimage *k, struct err *e)
{
    const char *s = m->cfg.append ? m->cfg.append : "";

    if (strlen(s) > MIN(k->cmdline_max, CMDLINE_ROOM - 1))
        return err_set(e, -E2BIG, "-append: %zu characters, this kernel takes %u",
                       strlen(s), k->cmdline_max);
    fw_cfg_add_u32(m->fw_cfg, FW_CFG_CMDLINE_ADDR, CMDLINE_AT);
    fw_cfg_add_u32(m->fw_cfg, FW_CFG_CMDLINE_SIZE, strlen(s) + 1);
    fw_cfg_add_string(m->fw_cfg, FW_CFG_CMDLINE_DATA, s);
    return 0;
}

static int give_setup(struct machine *m, const struct bzimage *k, struct err *e)
{
    uint8_t *setup = xmalloc(SETUP_MAX);
    int ret = boot_read(k->fd, setup, k->setup_len, 0);

    if (ret < 0)
        err_set(e, ret, "-kernel %s: %s", k->path, strerror(-ret));
    else
        ret = give_initrd(m, k, setup, e);
    setup[HDR_TYPE_OF_LOADER] = 0xff;
    setup[HDR_LOADFLAGS] |= CAN_USE_HEAP;
    stl16(setup + HDR_HEAP_END_PTR, 0xfe00);
    stl32(setup + HDR_CODE32_START, KERNEL_AT);
    stl32(setup + HDR_CMD_LINE_PTR, CMDLINE_AT);
    fw_cfg_add_u32(m->fw_cfg, FW_CFG_SETUP_ADDR, SETUP_AT);
    fw_cfg_add_u32(m->fw_cfg, FW_CFG_SETUP_SIZE, k->setup_len);
    fw_cfg_give(m->fw_cfg, FW_CFG_SETUP_DATA, setup, k->setup_len);
    return ret;
}

int linux_firmware_add(struct machine *m, struct err *e)
{
    static const char order[] = "/rom@genroms/linuxboot.bin\n";
    struct bzimage k;
    int ret = bzimage_open(&k, m->cfg.kernel, e);

    if (ret < 0)
        return ret;
    if (k.setup_len > SETUP_MAX)
        ret = err_set(e, -ENOEXEC, "-kernel %s: real-mode part of %u bytes is too large",
                      k.path, k.setup_len);
    if (ret == 0)
        ret = give_kernel(m, &k, e);
    if (ret == 0)
        ret = give_setup(m, &k, e);
    if (ret == 0)
        ret = give_cmdline(m, &k, e);
    bzimage_close(&k);
    if (ret < 0)
        return ret;
    ret = fw_cfg_add_file(m->fw_cfg, "genroms/linuxboot.bin", linuxboot_rom,
                          sizeof linuxboot_rom);
    if (ret >= 0)
        ret = fw_cfg_add_file(m->fw_cfg, "bootorder", order, sizeof order);
    return ret < 0 ? err_set(e, ret, "fw_cfg: no room for the boot ROM") : 0;
}
