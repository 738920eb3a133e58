/*
 * firmware.c - the firmware ROM and what fw_cfg tells it about the machine
 */
#include <stdlib.h>
#include "hw/acpi/acpi.h"
#include "hw/acpi/pm.h"
#include "hw/boot/firmware.h"
#include "hw/misc/fw_cfg.h"

#define LOW_COPY_MAX (128 * KiB)
#define ROM_PRIO     1
#define E820_RAM     1

struct firmware_rom {
    struct device dev;
    uint8_t *image;
    struct mem_region high, low;
};

/* ---- ROM --------------------------------------------------------------------------- */

static void rom_region(struct machine *m, struct mem_region *r, const char *name,
                       gpa_t end, uint8_t *host, uint64_t len)
{
    *r = (struct mem_region){ .name = name, .base = end - len, .len = len,
                              .kind = MEM_ROM, .prio = ROM_PRIO, .enabled = true,
                              .host = host };
    mem_add(&m->mem, r);
}

static int rom_init(struct device *d, struct err *e)
{
    struct firmware_rom *f = (struct firmware_rom *)d;
    struct machine *m = d->machine;
    const char *name = d->id;
    size_t len, low;
    uint8_t *file = machine_read_rom(m, name, &len, e);

    if (!file)
        return -ENOENT;
    if (len % 4096 || len < 8192) {
        free(file);
        return err_set(e, -EINVAL, "firmware %s: %zu bytes is no multiple of 4 KiB",
                       name, len);
    }
    f->image = aligned_alloc(4096, len);
    if (f->image)
        memcpy(f->image, file, len);
    free(file);
    if (!f->image)
        return err_set(e, -ENOMEM, "firmware %s: out of memory", name);
    low = MIN(len, LOW_COPY_MAX);
    rom_region(m, &f->high, "bios", 4 * GiB, f->image, len);
    rom_region(m, &f->low, "bios-low", MiB, f->image + len - low, low);
    return 0;
}

static void rom_destroy(struct device *d)
{
    struct firmware_rom *f = (struct firmware_rom *)d;

    mem_remove(&d->machine->mem, &f->high);
    mem_remove(&d->machine->mem, &f->low);
    free(f->image);
}

const struct device_type firmware_rom_type = {
    .name = "firmware-rom", .desc = "firmware ROM", .size = sizeof(struct firmware_rom),
    .init = rom_init, .destroy = rom_destroy,
};

static void rom_setup(struct device *d, const void *arg)
{
    d->id = xstrdup(arg);
}

int firmware_rom_add(struct machine *m, const char *name, struct err *e)
{
    return machine_add_device(m, &firmware_rom_type, 0, NULL, rom_setup, name, e)
           ? 0 : -EINVAL;
}

/* ---- fw_cfg -------------------------------------------------------------------------- */

static int add_e820(struct machine *m)
{
    uint8_t map[2 * 20] = { 0 };
    size_t n = 0;

    for (unsigned i = 0; i < 2; i++) {
        const struct mem_region *r = i ? &m->ram_high : &m->ram_low;

        if (!r->len)
            continue;
        stl64(map + n, r->base);
        stl64(map + n + 8, r->len);
        stl32(map + n + 16, E820_RAM);
        n += 20;
    }
    return fw_cfg_add_file(m->fw_cfg, "etc/e820", map, n);
}

static void add_numbers(struct machine *m)
{
    struct fw_cfg *f = m->fw_cfg;

    fw_cfg_add_u64(f, FW_CFG_RAM_SIZE, m->cfg.ram_bytes);
    fw_cfg_add_u16(f, FW_CFG_NB_CPUS, m->cfg.n_vcpus);
    fw_cfg_add_u16(f, FW_CFG_MAX_CPUS, machine_apic_ids(m));   /* firmware sizes tables by ID */
    fw_cfg_add_u16(f, FW_CFG_NOGRAPHIC, m->cfg.nographic);
    fw_cfg_add_u32(f, FW_CFG_IRQ0_OVERRIDE, 1);
    fw_cfg_add_u64(f, FW_CFG_NUMA, 0);
}

/* A byte for each of S0 to S5: whether there is such a state, and its SLP_TYP. SeaBIOS offers a resume
 * entry, OVMF keeps what a resume needs, when S3 is there. */
#define STATE_THERE 0x80

static int add_system_states(struct machine *m)
{
    const struct machine_config *cfg = &m->cfg;
    uint8_t state[6] = { [0] = STATE_THERE, [5] = STATE_THERE };

    if (m->pm) {
        state[3] = m->pm->typ_s3 | (cfg->no_s3[cfg->board] ? 0 : STATE_THERE);
        state[4] = m->pm->typ_s4 | (cfg->no_s4[cfg->board] ? 0 : STATE_THERE);
        state[5] = m->pm->typ_s5 | STATE_THERE;
    }
    return fw_cfg_add_file(m->fw_cfg, "etc/system-states", state, sizeof state);
}

int firmware_items_add(struct machine *m, struct err *e)
{
    int ret;

    add_numbers(m);
    ret = add_e820(m);
    if (ret >= 0)
        ret = add_system_states(m);
    if (ret < 0)
        return err_set(e, ret, "fw_cfg: no room for the board's files");
    return acpi_publish(m, e);
}
