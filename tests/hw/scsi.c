/* scsi.c - commands of a direct-access block device */
#include "hw/disk/scsi.h"
#include "tests/hw/disk.h"

#define SECTORS 2048

struct unit {
    struct rig r;
    struct scsi_disk d;
    struct scsi_op op;
};

static struct unit *unit_new(bool removable)
{
    struct unit *u = xzalloc(sizeof *u);

    rig_init(&u->r);
    u->d.drive = rig_drive(&u->r, "d", SECTORS);
    u->d.serial = "S-17";
    u->d.removable = removable;
    scsi_reset(&u->d);
    return u;
}

static void unit_end(struct unit *u)
{
    rig_free(&u->r);
    free(u);
}

/* the command of these bytes, the rest 0 */
static enum scsi_what run(struct unit *u, const char *bytes, unsigned n)
{
    uint8_t cdb[16] = { 0 };

    memcpy(cdb, bytes, n);
    scsi_command(&u->d, cdb, sizeof cdb, &u->op);
    return u->op.what;
}
#define CMD(u, bytes) run(u, bytes, sizeof(bytes) - 1)

static void has_sense(struct unit *u, unsigned key, unsigned asc, unsigned ascq)
{
    cr_assert_eq(CMD(u, "\x03\0\0\0\x12"), SCSI_REPLY);
    cr_assert_eq(u->op.len, 18);
    cr_assert_eq(u->op.reply[0], 0x70);
    cr_assert_eq(u->op.reply[2], key, "key %#x", u->op.reply[2]);
    cr_assert_eq(u->op.reply[12], asc, "asc %#x", u->op.reply[12]);
    cr_assert_eq(u->op.reply[13], ascq);
    CMD(u, "\x03\0\0\0\x12");
    cr_assert_eq(u->op.reply[2], 0, "told once");
}

Test(scsi, identification)
{
    struct unit *u = unit_new(true);
    const uint8_t *b = u->op.reply;

    cr_assert_eq(CMD(u, "\x12\0\0\0\x24"), SCSI_REPLY);
    cr_assert_eq(u->op.len, 36);
    cr_assert_eq(b[1], 0x80, "removable");
    cr_assert_arr_eq(b + 8, "TRANSOM ", 8);
    CMD(u, "\x12\0\0\0\x05");
    cr_assert_eq(u->op.len, 5, "as much as is wanted");
    cr_assert_eq(CMD(u, "\x12\0\0\0\0"), SCSI_DONE);
    CMD(u, "\x12\x01\x80\0\xff");
    cr_assert_eq(u->op.len, 8);
    cr_assert_arr_eq(b + 4, "S-17", 4);
    CMD(u, "\x12\x01\x83\0\xff");
    cr_assert_arr_eq(b + 8, "TRANSOM S-17", 12);
    CMD(u, "\x12\x01\0\0\xff");
    cr_assert_arr_eq(b, "\0\0\0\x05\x00\x80\x83\xb0\xb2", 9);
    cr_assert_eq(CMD(u, "\x12\x01\x99\0\xff"), SCSI_FAILED);
    has_sense(u, 5, 0x24, 0);
    cr_assert_eq(CMD(u, "\xa0\0\0\0\0\0\0\0\0\x10"), SCSI_REPLY);
    cr_assert_arr_eq(b, "\0\0\0\x08\0\0\0\0\0\0\0\0\0\0\0\0", 16);
    unit_end(u);
}

Test(scsi, capacity)
{
    struct unit *u = unit_new(false);

    CMD(u, "\x25");
    cr_assert_eq(u->op.len, 8);
    cr_assert_arr_eq(u->op.reply, "\0\0\x07\xff\0\0\x02\0", 8);
    CMD(u, "\x9e\x10\0\0\0\0\0\0\0\0\0\0\0\x20");
    cr_assert_eq(u->op.len, 32);
    cr_assert_arr_eq(u->op.reply, "\0\0\0\0\0\0\x07\xff\0\0\x02\0\0\0\x80\0", 16);
    cr_assert_eq(CMD(u, "\x9e\x11\0\0\0\0\0\0\0\0\0\0\0\x20"), SCSI_FAILED);
    unit_end(u);
}

Test(scsi, extents)
{
    struct unit *u = unit_new(false);

    cr_assert_eq(CMD(u, "\x08\0\x01\0\0"), SCSI_READ);
    cr_assert_eq(u->op.off, 256 * 512);
    cr_assert_eq(u->op.len, 256 * 512, "0 is 256");
    cr_assert_eq(CMD(u, "\x28\0\0\0\x07\xff\0\0\x01"), SCSI_READ);
    cr_assert_eq(u->op.off, 2047 * 512);
    cr_assert_eq(u->op.len, 512);
    cr_assert_eq(CMD(u, "\x28\0\0\0\x07\xff\0\0\0"), SCSI_DONE, "nothing");
    cr_assert_eq(CMD(u, "\x2a\x08\0\0\0\x01\0\0\x02"), SCSI_WRITE);
    cr_assert(u->op.fua);
    cr_assert_eq(CMD(u, "\x0a\x08\0\0\x01"), SCSI_FAILED, "those are bits of the address");
    cr_assert_eq(CMD(u, "\xa8\0\0\0\0\x02\0\0\0\x03"), SCSI_READ);
    cr_assert_eq(u->op.len, 3 * 512);
    cr_assert_eq(CMD(u, "\x8a\0\0\0\0\0\0\0\0\x02\0\0\0\x03"), SCSI_WRITE);
    cr_assert_eq(u->op.off, 1024);
    cr_assert_not(u->op.fua);
    cr_assert_eq(CMD(u, "\x28\0\0\0\x07\xff\0\0\x02"), SCSI_FAILED);
    has_sense(u, 5, 0x21, 0);
    cr_assert_eq(CMD(u, "\x88\0\xff\xff\xff\xff\xff\xff\xff\xff\0\0\0\x02"), SCSI_FAILED, "no wrap around");
    cr_assert_eq(CMD(u, "\x2f\0\0\0\x07\xff\0\0\x02"), SCSI_FAILED);
    cr_assert_eq(CMD(u, "\x2f\x02\0\0\0\0\0\0\x02"), SCSI_FAILED, "nothing to compare with");
    cr_assert_eq(CMD(u, "\x2f\0\0\0\0\0\0\0\x02"), SCSI_DONE);
    cr_assert_eq(CMD(u, "\x35"), SCSI_FLUSH);
    cr_assert_eq(CMD(u, "\x99"), SCSI_FAILED);
    has_sense(u, 5, 0x20, 0);
    unit_end(u);
}

Test(scsi, mode_sense)
{
    struct unit *u = unit_new(false);

    cr_assert_eq(CMD(u, "\x1a\0\x3f\0\xc0"), SCSI_REPLY);
    cr_assert_eq(u->op.len, 24);
    cr_assert_arr_eq(u->op.reply, "\x17\0\x10\0\x08\x12\x04", 7);
    CMD(u, "\x5a\0\x08\0\0\0\0\0\xff");
    cr_assert_eq(u->op.len, 28);
    cr_assert_eq(u->op.reply[1], 26);
    cr_assert_eq(u->op.reply[10], 4, "write cache");
    CMD(u, "\x1a\0\x48\0\xc0");
    cr_assert_eq(u->op.reply[6], 0, "nothing can be changed");
    cr_assert_eq(CMD(u, "\x1a\0\xc8\0\xc0"), SCSI_FAILED);
    has_sense(u, 5, 0x39, 0);
    cr_assert_eq(CMD(u, "\x1a\0\x1c\0\xc0"), SCSI_FAILED);
    unit_end(u);
}

Test(scsi, medium)
{
    struct unit *u = unit_new(true);

    cr_assert_eq(CMD(u, "\0"), SCSI_DONE);
    CMD(u, "\x1e\0\0\0\x01");
    cr_assert_eq(CMD(u, "\x1b\0\0\0\x02"), SCSI_FAILED);
    has_sense(u, 5, 0x53, 2);
    CMD(u, "\x1e\0\0\0\0");
    cr_assert_eq(CMD(u, "\x1b\0\0\0\x02"), SCSI_DONE);
    cr_assert_eq(CMD(u, "\0"), SCSI_FAILED);
    has_sense(u, 2, 0x3a, 0);
    CMD(u, "\x1b\0\0\0\x03");
    cr_assert_eq(CMD(u, "\0"), SCSI_DONE);
    scsi_medium(&u->d);
    cr_assert_eq(CMD(u, "\x12\0\0\0\x24"), SCSI_REPLY, "INQUIRY goes before");
    cr_assert_eq(CMD(u, "\0"), SCSI_FAILED);
    has_sense(u, 6, 0x28, 0);
    cr_assert_eq(CMD(u, "\0"), SCSI_DONE);
    unit_end(u);
}

Test(scsi, errors_of_the_drive)
{
    struct unit *u = unit_new(false);

    scsi_failed(&u->d, SCSI_READ, -EIO);
    has_sense(u, 3, 0x11, 0);
    scsi_failed(&u->d, SCSI_WRITE, -EIO);
    has_sense(u, 3, 0x0c, 0);
    scsi_failed(&u->d, SCSI_WRITE, -ENOSPC);
    has_sense(u, 7, 0x27, 7);
    scsi_failed(&u->d, SCSI_WRITE, -EROFS);
    has_sense(u, 7, 0x27, 0);
    scsi_failed(&u->d, SCSI_READ, -ENOMEDIUM);
    has_sense(u, 2, 0x3a, 0);
    unit_end(u);
}

Test(scsi, unmap)
{
    static const uint8_t list[] = { 0, 38, 0, 32, 0, 0, 0, 0,
                                    0, 0, 0, 0, 0, 0, 0, 8, 0, 0, 0, 16, 0, 0, 0, 0,
                                    0, 0, 0, 0, 0, 0, 7, 255, 0, 0, 0, 1, 0, 0, 0, 0 };
    struct scsi_range range[SCSI_RANGES];
    struct unit *u = unit_new(false);
    uint8_t bad[sizeof list];

    cr_assert_eq(CMD(u, "\x42\0\0\0\0\0\0\0\x28"), SCSI_LIST);
    cr_assert_eq(u->op.len, 40);
    cr_assert_eq(CMD(u, "\x42\0\0\0\0\0\0\xff\xff"), SCSI_FAILED);
    cr_assert_eq(scsi_unmap(&u->d, list, sizeof list, range), 2);
    cr_assert_eq(range[0].off, 8 * 512);
    cr_assert_eq(range[0].len, 16 * 512);
    cr_assert_eq(range[1].off, 2047 * 512);
    cr_assert_eq(scsi_unmap(&u->d, list, 39, range), -1, "shorter than it says");
    has_sense(u, 5, 0x1a, 0);
    memcpy(bad, list, sizeof bad);
    bad[35] = 2;
    cr_assert_eq(scsi_unmap(&u->d, bad, sizeof bad, range), -1, "past the end");
    has_sense(u, 5, 0x21, 0);
    unit_end(u);
}
