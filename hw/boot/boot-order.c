/*
 * boot-order.c - boot order, menu, splash picture and waits for SeaBIOS
 *
 * Letters go to CMOS as three nibbles: 0x3d low, 0x3d high, 0x38 high. The
 * rest are fw_cfg files. Source: SeaBIOS documentation, "Runtime configuration".
 */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include "hw/boot/boot-order.h"
#include "hw/misc/fw_cfg.h"
#include "hw/timer/timer.h"

#define DEFAULT_ORDER "cad"
#define SPLASH_MAX (16 * MiB)

struct boot_order {
    struct device dev;
    uint32_t resets;          /* seen; the first one starts the machine */
    char order[17];
};

bool boot_order_valid(const char *letters)
{
    for (const char *p = letters; *p; p++)
        if (*p < 'a' || *p > 'p' || strchr(p + 1, *p))
            return false;
    return true;
}

/* Nibble by which SeaBIOS knows a letter; 0: none. */
static uint8_t boot_code(char letter)
{
    static const char letters[] = "acdn";
    const char *p = letter ? strchr(letters, letter) : NULL;

    return p ? p - letters + 1 : 0;
}

static void write_cmos(struct machine *m, const char *order)
{
    struct device *rtc = machine_find_device(m, mc146818_type.name);
    uint8_t code[3] = { 0 };

    for (unsigned i = 0; i < 3 && order[i]; i++)
        code[i] = boot_code(order[i]);
    rtc_set_cmos(rtc, 0x3d, code[1] << 4 | code[0]);
    rtc_set_cmos(rtc, 0x38, code[2] << 4);
}

static void boot_order_reset(struct device *d)
{
    struct boot_order *b = (struct boot_order *)d;
    const char *once = d->machine->cfg.boot.once;

    write_cmos(d->machine, once && !b->resets ? once : b->order);
    if (b->resets < 2)
        b->resets++;
}

static const struct dev_field boot_order_fields[] = {
    FIELD(U32, struct boot_order, resets),
    FIELD_END
};

static const struct device_type boot_order_type = {
    .name = "boot-order", .size = sizeof(struct boot_order), .reset = boot_order_reset,
    .fields = boot_order_fields,
};

int boot_order_set(struct machine *m, const char *letters, struct err *e)
{
    struct boot_order *b = (struct boot_order *)machine_find_device(m, boot_order_type.name);

    if (!b || !boot_order_valid(letters))
        return err_set(e, -EINVAL, "an order is letters a to p, each once: "
                       "a floppy, c disk, d CD, n network");
    snprintf(b->order, sizeof b->order, "%s", *letters ? letters : DEFAULT_ORDER);
    return 0;
}

/* ---- fw_cfg ------------------------------------------------------------------------- */

static int read_all(const char *path, uint8_t **data, size_t *len, struct err *e)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat st;
    ssize_t n = -1;

    *data = NULL;
    if (fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size <= (off_t)SPLASH_MAX) {
        *data = xmalloc(st.st_size + 1);
        n = read(fd, *data, st.st_size);
    }
    *len = MAX(n, 0);
    if (fd >= 0)
        close(fd);
    return n >= 2 ? 0 : err_set(e, -EIO, "-boot splash=%s: cannot be read, or not 2 bytes to 16 MiB", path);
}

static int add_splash(struct machine *m, const char *path, struct err *e)
{
    uint8_t *data;
    size_t len;
    int ret = read_all(path, &data, &len, e);
    const char *name = NULL;

    if (ret == 0 && data[0] == 'B' && data[1] == 'M')
        name = "bootsplash.bmp";
    else if (ret == 0 && data[0] == 0xff && data[1] == 0xd8)
        name = "bootsplash.jpg";
    else if (ret == 0)
        ret = err_set(e, -EINVAL, "-boot splash=%s: neither BMP nor JPEG", path);
    if (name && fw_cfg_add_file(m->fw_cfg, name, data, len) < 0)
        ret = err_set(e, -ENOSPC, "fw_cfg: no room for the splash picture");
    free(data);
    return ret;
}

static int add_files(struct machine *m, struct err *e)
{
    const struct boot_config *b = &m->cfg.boot;
    uint8_t wait[4];
    int ret;

    fw_cfg_add_u16(m->fw_cfg, FW_CFG_BOOT_MENU, b->menu);
    stl32(wait, b->fail_wait_ms_set ? b->fail_wait_ms : UINT32_MAX);  /* stay at "No bootable device" */
    ret = fw_cfg_add_file(m->fw_cfg, "etc/boot-fail-wait", wait, 4);
    if (ret >= 0 && b->splash_ms_set) {
        stl16(wait, b->splash_ms);
        ret = fw_cfg_add_file(m->fw_cfg, "etc/boot-menu-wait", wait, 2);
    }
    if (ret < 0)
        return err_set(e, ret, "fw_cfg: no room for the boot options");
    return b->splash ? add_splash(m, b->splash, e) : 0;
}

int boot_order_add(struct machine *m, struct err *e)
{
    struct device *d = machine_add_device(m, &boot_order_type, 0, NULL, NULL, NULL, e);
    int ret = d ? boot_order_set(m, m->cfg.boot.order ? m->cfg.boot.order : "", e) : -EIO;

    return ret == 0 ? add_files(m, e) : ret;
}
