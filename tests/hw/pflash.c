/* pflash.c - flash chips by their commands, and what reaches the drive */
#include "hw/disk/pflash.h"
#include "tests/hw/disk.h"

#define CODE_SECTORS 512u     /* 256 KiB */
#define VARS_SECTORS 16u
#define VARS (4 * GiB - (CODE_SECTORS + VARS_SECTORS) * 512ull)

enum { READY = 0x80, ERASE_FAILED = 0x20, PROGRAM_FAILED = 0x10, LOCKED = 0x02 };

static uint8_t rd(struct rig *r, gpa_t at) { return mmio_read(&r->m->mem, at, 1); }
static void wr(struct rig *r, gpa_t at, uint8_t v) { mmio_write(&r->m->mem, at, v, 1); }

static struct drive *chip(struct rig *r, const char *id, int unit, unsigned sectors)
{
    struct drive *d = rig_drive(r, id, sectors);

    d->interface = DRIVE_IF_PFLASH;
    d->unit = unit;
    return d;
}

static void chips(struct rig *r)
{
    struct err e = { "" };

    rig_init(r);
    chip(r, "code", 0, CODE_SECTORS);
    chip(r, "vars", 1, VARS_SECTORS);
    cr_assert_eq(pflash_add_all(r->m, &e), 2, "%s", e.msg);
    machine_reset(r->m);
}

static void program(struct rig *r, gpa_t at, uint8_t v)
{
    wr(r, at, 0x40);
    wr(r, at, v);
}

static void erase(struct rig *r, gpa_t at, uint8_t confirm)
{
    wr(r, at, 0x20);
    wr(r, at, confirm);
}

Test(pflash, is_memory_where_firmware_is_looked_for)
{
    struct rig r;
    uint64_t len = 16;

    chips(&r);
    cr_assert_eq(rd(&r, VARS + 512), 2, "the second chip lies below the first");
    cr_assert_eq(rd(&r, VARS + VARS_SECTORS * 512), 1);
    cr_assert_eq(rd(&r, 0xfffff), (uint8_t)CODE_SECTORS);
    cr_assert_not_null(mem_host(&r.m->mem, VARS, &len, false));
    cr_assert_null(mem_host(&r.m->mem, VARS, &len, true));
    rig_free(&r);
}

Test(pflash, programs_and_erases_through_to_the_drive)
{
    struct rig r;

    chips(&r);
    wr(&r, VARS, 0x50);
    cr_assert_eq(rd(&r, VARS), 1, "CLEAR STATUS shows the array");
    wr(&r, VARS, 0x70);
    cr_assert_eq(rd(&r, VARS), 0);
    program(&r, VARS + 3, 0xf0);
    cr_assert_eq(rd(&r, VARS), READY);
    wr(&r, VARS, 0xff);
    cr_assert_eq(rd(&r, VARS + 3), 0, "programming only clears bits");
    erase(&r, VARS + 5, 0xd0);
    program(&r, VARS + 3, 0xa5);
    wr(&r, VARS, 0xff);
    cr_assert_eq(rd(&r, VARS + 3), 0xa5);
    cr_assert_eq(rd(&r, VARS + 4095), 0xff);
    cr_assert_eq(rd(&r, VARS + 4096), 9, "the next block stays");
    rig_wait(&r, drive_find(r.m, "vars"));
    cr_assert_eq(rig_file_byte(&r, 1, 3), 0xa5);
    cr_assert_eq(rig_file_byte(&r, 1, 4095), 0xff);
    rig_free(&r);
}

Test(pflash, what_is_unwritten_at_the_end_is_written)
{
    struct rig r;
    char path[40];
    FILE *f;

    chips(&r);
    erase(&r, VARS, 0xd0);
    program(&r, VARS + 9, 0x5a);     /* never back to the array */
    strcpy(path, r.path[1]);
    r.n_files = 1;
    rig_free(&r);
    f = fopen(path, "r");
    fseek(f, 9, SEEK_SET);
    cr_assert_eq(fgetc(f), 0x5a);
    fclose(f);
    unlink(path);
}

Test(pflash, locked_blocks_and_wrong_sequences)
{
    struct rig r;

    chips(&r);
    wr(&r, VARS, 0x60);
    wr(&r, VARS, 0x01);
    program(&r, VARS, 0);
    cr_assert_eq(rd(&r, VARS), READY | PROGRAM_FAILED | LOCKED);
    erase(&r, VARS, 0xd0);
    cr_assert_eq(rd(&r, VARS), READY | ERASE_FAILED | LOCKED);
    wr(&r, VARS, 0x90);
    cr_assert_eq(rd(&r, VARS + 2), 1);
    cr_assert_eq(rd(&r, VARS + 4096 + 2), 0);
    erase(&r, VARS + 4096, 0x55);
    cr_assert_eq(rd(&r, VARS), READY | ERASE_FAILED | PROGRAM_FAILED, "no confirmation");
    wr(&r, VARS, 0x60);
    wr(&r, VARS, 0xd0);
    program(&r, VARS, 0);
    cr_assert_eq(rd(&r, VARS), READY);
    wr(&r, VARS, 0x98);
    cr_assert_eq(rd(&r, VARS + 0x10), 'Q');
    cr_assert_eq(rd(&r, VARS + 0x27), 13, "8 KiB");
    machine_reset(r.m);
    cr_assert_eq(rd(&r, VARS), 0, "a reset shows the array");
    rig_free(&r);
}

Test(pflash, wrong_chips_are_refused)
{
    struct err e = { "" };
    struct rig r;

    rig_init(&r);
    chip(&r, "vars", 1, VARS_SECTORS);
    cr_assert_lt(pflash_add_all(r.m, &e), 0);
    cr_assert(strstr(e.msg, "pflash1 without pflash0"), "%s", e.msg);
    chip(&r, "odd", 0, 3);
    cr_assert_lt(pflash_add_all(r.m, &e), 0);
    cr_assert(strstr(e.msg, "whole 4 KiB"), "%s", e.msg);
    rig_free(&r);
}
