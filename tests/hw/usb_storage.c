/* usb_storage.c - a disk behind the Bulk-Only Transport, by its pipes on an xHCI */
#include "tests/hw/xhci.h"

#define BIN     3                    /* device context indices of its pipes */
#define BOUT    4
#define CBW     0x3e000
#define CSW     0x3f000
#define SECTORS 1200
enum { GOOD = 0, FAILED = 1, PHASE = 2 };

struct stick {
    struct hc h;
    struct drive *d;
    uint32_t tag, residue;
};

static uint8_t *ram(struct stick *k, gpa_t at) { return k->h.m->ram + at; }

static struct stick *stick_with(const char *prop, const char *val, unsigned sectors)
{
    struct stick *k = xzalloc(sizeof *k);
    struct user_prop p[] = { { "port", "1" }, { "drive", "d" }, { "serial", "AB12" }, { prop, val } };
    struct err e = { "" };

    hc_init(&k->h, NULL);
    k->d = rig_drive(&k->h.r, "d", sectors);
    cr_assert_not_null(user_device_add(k->h.m, user_device_find("usb-storage"), NULL, p, prop ? 4 : 3, &e), "%s", e.msg);
    hc_address(&k->h, 0, 512);
    hc_input(&k->h, 0, 0);
    hc_input_ep(&k->h, BIN, EP_BULK_IN, 1024, 0);
    hc_input_ep(&k->h, BOUT, EP_BULK_OUT, 1024, 0);
    cr_assert_eq(hc_cmd(&k->h, INPUT, TRB_CONFIGURE_EP, 1, 0), CC_SUCCESS);
    cr_assert_eq(hc_control(&k->h, 0, USB_SET_CONFIGURATION, 1, 0, 0), 0);
    return k;
}

static struct stick *stick(void) { return stick_with(NULL, NULL, SECTORS); }

static void stick_end(struct stick *k)
{
    hc_free(&k->h);
    free(k);
}

/* a TD on a bulk pipe, in pieces of 64 KiB at most; its completion code, 0: not yet */
static unsigned bulk(struct stick *k, unsigned dci, gpa_t at, uint32_t len)
{
    struct xhci_trb ev;

    for (uint32_t n; (n = MIN(len, 0x10000u)) < len; len -= n, at += n)
        hc_put(&k->h, dci, at, n, TRB_NORMAL << 10 | TRB_CH);
    hc_put(&k->h, dci, at, len, TRB_NORMAL << 10 | TRB_IOC | TRB_ISP);
    hc_ring(&k->h, dci);
    if (k->d->owner)
        rig_wait(&k->h.r, k->d);
    for (unsigned n = 0; n < 8 && k->d->owner; n++)      /* one chunk after the other */
        rig_wait(&k->h.r, k->d);
    ev = hc_event_of(&k->h, TRB_EV_TRANSFER);
    return EV_CODE(ev);
}

static void send_command(struct stick *k, const void *cdb, unsigned n, uint32_t expected, bool in)
{
    uint8_t *b = ram(k, CBW);

    memset(b, 0, 31);
    memcpy(b, "USBC", 4);
    stl32(b + 4, ++k->tag);
    stl32(b + 8, expected);
    b[12] = in ? 0x80 : 0;
    b[14] = n;
    memcpy(b + 15, cdb, n);
}

static int take_status(struct stick *k)
{
    const uint8_t *b = ram(k, CSW);

    memset(ram(k, CSW), 0, 16);
    cr_assert_eq(bulk(k, BIN, CSW, 13), CC_SUCCESS);
    cr_assert_arr_eq(b, "USBS", 4);
    cr_assert_eq(ldl32(b + 4), k->tag);
    k->residue = ldl32(b + 8);
    return b[12];
}

/* command, data from or to DATA, status */
static int scsi(struct stick *k, const void *cdb, unsigned n, uint32_t expected, bool in)
{
    send_command(k, cdb, n, expected, in);
    cr_assert_eq(bulk(k, BOUT, CBW, 31), CC_SUCCESS);
    if (expected)
        cr_assert_eq(bulk(k, in ? BIN : BOUT, DATA, expected), CC_SUCCESS);
    return take_status(k);
}
#define IN(k, cdb, n)  scsi(k, cdb, sizeof(cdb) - 1, n, true)
#define OUT(k, cdb, n) scsi(k, cdb, sizeof(cdb) - 1, n, false)

static void has_sense(struct stick *k, unsigned key, unsigned asc)
{
    cr_assert_eq(IN(k, "\x03\0\0\0\x12\0", 18), GOOD);
    cr_assert_eq(ram(k, DATA)[2], key);
    cr_assert_eq(ram(k, DATA)[12], asc);
}

/* a halted pipe as a driver gets it going again */
static void unhalt(struct stick *k, unsigned dci)
{
    cr_assert_eq(hc_cmd(&k->h, 0, TRB_RESET_EP, 1, dci << 16), CC_SUCCESS);
    cr_assert_eq(hc_cmd(&k->h, (ring_of(dci) + k->h.tr[dci] * 16) | 1, TRB_SET_DEQUEUE, 1, dci << 16), CC_SUCCESS);
    cr_assert_eq(hc_control(&k->h, 2, USB_CLEAR_FEATURE, 0, dci / 2 | (dci & 1) << 7, 0), 0);
}

static void bulk_only_reset(struct stick *k)
{
    cr_assert_eq(hc_control(&k->h, 0x21, 0xff, 0, 0, 0), 0);
}

Test(usb_storage, descriptors)
{
    struct stick *k = stick();
    const uint8_t *b = ram(k, DATA);

    cr_assert_eq(hc_port(&k->h, 0) >> 10 & 15, 4, "super speed");
    cr_assert_eq(hc_control(&k->h, 0x80, USB_GET_DESCRIPTOR, USB_DESC_DEVICE << 8, 0, 18), 18);
    cr_assert_eq(ldl16(b + 2), 0x300);
    cr_assert_eq(b[7], 9);
    cr_assert_eq(hc_control(&k->h, 0x80, USB_GET_DESCRIPTOR, USB_DESC_CONFIG << 8, 0, 255), 44);
    cr_assert_eq(hc_control(&k->h, 0x80, USB_GET_DESCRIPTOR, USB_DESC_BOS << 8, 0, 255), 22);
    cr_assert_eq(b[16], 0x0e, "full, high, super");
    cr_assert_eq(hc_control(&k->h, 0x80, USB_GET_DESCRIPTOR, USB_DESC_STRING << 8 | 3, 0, 255), 10);
    cr_assert_arr_eq(b + 2, "A\0B\0001\0002\0", 8);
    cr_assert_eq(hc_control(&k->h, 0xa1, 0xfe, 0, 0, 1), 1);
    cr_assert_eq(b[0], 0, "one logical unit");
    stick_end(k);
}

Test(usb_storage, reads)
{
    struct stick *k = stick();

    cr_assert_eq(IN(k, "\x28\0\0\0\0\x03\0\0\x02\0", 1024), GOOD);
    cr_assert_eq(k->residue, 0);
    cr_assert_eq(ram(k, DATA)[0], 4);
    cr_assert_eq(ram(k, DATA)[1023], 5);
    cr_assert_eq(ram(k, DATA)[1024], 0);
    stick_end(k);
}

/* More than one request to the drive, in packets that do not divide it. */
Test(usb_storage, long_reads)
{
    struct stick *k = stick();

    cr_assert_eq(IN(k, "\x28\0\0\0\0\x01\0\x02\x58\0", 600 * 512), GOOD);
    for (unsigned n = 0; n < 600; n++)
        cr_assert_eq(ram(k, DATA)[n * 512 + n % 512], (n + 2) & 0xff, "sector %u", n);
    send_command(k, "\x28\0\0\0\0\x01\0\x02\x58\0", 10, 600 * 512, true);
    cr_assert_eq(bulk(k, BOUT, CBW, 31), CC_SUCCESS);
    memset(ram(k, DATA), 0, 600 * 512);
    for (unsigned at = 0; at < 600 * 512; at += 51200 / 4)
        cr_assert_eq(bulk(k, BIN, DATA + at, 51200 / 4), CC_SUCCESS);
    cr_assert_eq(take_status(k), GOOD);
    for (unsigned n = 0; n < 600; n++)
        cr_assert_eq(ram(k, DATA)[n * 512 + n % 512], (n + 2) & 0xff, "sector %u", n);
    stick_end(k);
}

Test(usb_storage, writes)
{
    struct stick *k = stick();

    for (unsigned i = 0; i < 600 * 512; i++)
        ram(k, DATA)[i] = i / 512 * 7 + i % 5;
    cr_assert_eq(OUT(k, "\x2a\0\0\0\0\x64\0\x02\x58\0", 600 * 512), GOOD);
    cr_assert_eq(k->residue, 0);
    cr_assert_eq(OUT(k, "\x35\0\0\0\0\0\0\0\0\0", 0), GOOD);
    for (unsigned n = 0; n < 600; n += 37)
        cr_assert_eq(rig_file_byte(&k->h.r, 0, (100 + n) * 512 + 4), (uint8_t)(n * 7 + (n * 512 + 4) % 5), "sector %u", n);
    cr_assert_eq(rig_file_byte(&k->h.r, 0, 700 * 512), 700 + 1 - 512, "not more");
    stick_end(k);
}

Test(usb_storage, unmap)
{
    struct stick *k = stick();

    memset(ram(k, DATA), 0, 24);
    ram(k, DATA)[1] = 22, ram(k, DATA)[3] = 16, ram(k, DATA)[15] = 8, ram(k, DATA)[19] = 8;
    cr_assert_eq(OUT(k, "\x42\0\0\0\0\0\0\0\x18\0", 24), GOOD);
    cr_assert_eq(rig_file_byte(&k->h.r, 0, 8 * 512), 0);
    cr_assert_eq(rig_file_byte(&k->h.r, 0, 16 * 512), 17);
    stick_end(k);
}

Test(usb_storage, a_command_that_fails)
{
    struct stick *k = stick();

    memset(ram(k, DATA), 0xee, 2048);
    cr_assert_eq(IN(k, "\x28\0\xff\0\0\0\0\0\x02\0", 1024), FAILED);
    cr_assert_eq(k->residue, 1024);
    cr_assert_eq(ram(k, DATA)[1023], 0, "what means nothing is zeroes");
    has_sense(k, 5, 0x21);
    cr_assert_eq(OUT(k, "\x2a\0\xff\0\0\0\0\0\x02\0", 1024), FAILED);
    cr_assert_eq(k->residue, 1024);
    cr_assert_eq(IN(k, "\x25\0\0\0\0\0\0\0\0\0", 64), GOOD, "less than was expected");
    cr_assert_eq(k->residue, 56);
    stick_end(k);
}

Test(usb_storage, phase_errors)
{
    struct stick *k = stick();

    cr_assert_eq(IN(k, "\x28\0\0\0\0\0\0\0\x02\0", 512), PHASE, "the host expects less");
    cr_assert_eq(OUT(k, "\x28\0\0\0\0\0\0\0\x01\0", 512), PHASE, "the other way");
    cr_assert_eq(OUT(k, "\x2a\0\0\0\0\0\0\0\x01\0", 0), PHASE);
    cr_assert_eq(rig_file_byte(&k->h.r, 0, 0), 1, "nothing was written");
    stick_end(k);
}

Test(usb_storage, no_command)
{
    struct stick *k = stick();

    send_command(k, "\0\0\0\0\0\0", 6, 0, false);
    ram(k, CBW)[0] = 'X';
    cr_assert_eq(bulk(k, BOUT, CBW, 31), CC_STALL);
    cr_assert_eq(bulk(k, BIN, CSW, 13), CC_STALL);
    unhalt(k, BIN);
    cr_assert_eq(bulk(k, BIN, CSW, 13), CC_STALL, "until it is reset");
    bulk_only_reset(k);
    unhalt(k, BIN);
    unhalt(k, BOUT);
    cr_assert_eq(OUT(k, "\0\0\0\0\0\0", 0), GOOD);
    send_command(k, "\0\0\0\0\0\0", 6, 0, false);
    cr_assert_eq(bulk(k, BOUT, CBW, 30), CC_STALL, "too short");
    stick_end(k);
}

/* The drive is at work. */
static void begin_long_read(struct stick *k)
{
    send_command(k, "\x28\0\0\0\0\0\0\x02\0\0", 10, 512 * 512, true);
    cr_assert_eq(bulk(k, BOUT, CBW, 31), CC_SUCCESS);
    hc_put(&k->h, BIN, DATA, 0x10000, TRB_NORMAL << 10 | TRB_IOC);
    hc_ring(&k->h, BIN);
}

/* A reset while the drive is at work: the next command waits until that is over. */
Test(usb_storage, reset_in_between)
{
    struct stick *k = stick();

    begin_long_read(k);
    cr_assert(drive_busy(k->d));
    bulk_only_reset(k);
    cr_assert_eq(hc_cmd(&k->h, 0, TRB_STOP_EP, 1, BIN << 16), CC_SUCCESS);
    cr_assert_eq(hc_cmd(&k->h, (ring_of(BIN) + k->h.tr[BIN] * 16) | 1, TRB_SET_DEQUEUE, 1, BIN << 16), CC_SUCCESS);
    send_command(k, "\0\0\0\0\0\0", 6, 0, false);
    hc_put(&k->h, BOUT, CBW, 31, TRB_NORMAL << 10 | TRB_IOC);
    hc_ring(&k->h, BOUT);
    cr_assert_eq(EV_TYPE(hc_event_of(&k->h, TRB_EV_TRANSFER)), 0, "NAK");
    rig_wait(&k->h.r, k->d);
    cr_assert_eq(EV_CODE(hc_event_of(&k->h, TRB_EV_TRANSFER)), CC_SUCCESS);
    cr_assert_eq(take_status(k), GOOD);
    stick_end(k);
}

Test(usb_storage, unplugged_while_the_drive_is_at_work)
{
    struct stick *k = stick();

    begin_long_read(k);
    machine_remove_device(k->h.m, &k->h.s->socket[0].dev->dev);
    cr_assert_not(drive_busy(k->d));
    cr_assert_null(k->d->owner);
    cr_assert_eq(EV_CODE(hc_event_of(&k->h, TRB_EV_TRANSFER)), CC_TRANSACTION);
    stick_end(k);
}

Test(usb_storage, medium_comes_and_goes)
{
    struct stick *k = stick_with("removable", "on", 64);
    struct err e = { "" };

    cr_assert_eq(OUT(k, "\0\0\0\0\0\0", 0), GOOD);
    cr_assert_eq(OUT(k, "\x1e\0\0\0\x01\0", 0), GOOD);
    cr_assert_eq(drive_eject(k->d, false, &e), -EPERM, "locked");
    cr_assert_eq(OUT(k, "\x1e\0\0\0\0\0", 0), GOOD);
    cr_assert_eq(drive_eject(k->d, false, &e), 0, "%s", e.msg);
    cr_assert_eq(OUT(k, "\0\0\0\0\0\0", 0), FAILED);
    has_sense(k, 2, 0x3a);
    stick_end(k);
}

Test(usb_storage, what_is_refused)
{
    struct user_prop p[] = { { "drive", "d" } };
    const struct user_device *u = user_device_find("usb-storage");
    struct hc *h = xzalloc(sizeof *h);
    struct err e = { "" };
    struct drive *d;

    hc_init(h, NULL);
    cr_assert_null(user_device_add(h->m, u, NULL, NULL, 0, &e));
    cr_assert_str_eq(e.msg, "usb-storage: drive property not set");
    d = rig_drive(&h->r, "d", 0);
    cr_assert_null(user_device_add(h->m, u, NULL, p, 1, &e));
    cr_assert_str_eq(e.msg, "usb-storage: drive 'd' is empty (removable=on allows that)");
    d->cdrom = true;
    cr_assert_null(user_device_add(h->m, u, NULL, p, 1, &e));
    cr_assert_str_eq(e.msg, "usb-storage: drive 'd' is a CD-ROM, and this is a disk");
    cr_assert_null(d->owner);
    hc_free(h);
    free(h);
}

Test(usb_storage, place_in_the_boot_order)
{
    struct stick *k = stick();
    char path[96];

    cr_assert(boot_path(&k->h.s->socket[0].dev->dev, path, sizeof path));
    cr_assert_str_eq(path, "/pci@i0cf8/usb@5/storage@1/channel@0/disk@0,0");
    stick_end(k);
}
