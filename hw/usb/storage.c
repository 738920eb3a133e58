/*
 * storage.c - usb-storage: a disk behind the Bulk-Only Transport
 *
 * One request to the drive is under way at a time; meanwhile both pipes answer NAK. Where a
 * command gives less than the host expects the rest is zeroes, and the residue says so
 * (6.7.2, 6.7.3 allow that); where it would give more, or the other way, that is a phase error.
 * After a reset the request under way ends for nobody: nothing new is taken until then.
 *
 * Source: USB Mass Storage Class, Bulk-Only Transport 1.0.
 */
#include "hw/disk/scsi.h"
#include "hw/usb/usb.h"

enum { GET_MAX_LUN = 0xfe, BULK_ONLY_RESET = 0xff };
enum { EP_IN = 1, EP_OUT = 2 };
enum { STATUS_GOOD = 0, STATUS_FAILED = 1, STATUS_PHASE = 2 };
#define CBW_BYTES     31u
#define CSW_BYTES     13u
#define CBW_SIGNATURE 0x43425355u
#define CSW_SIGNATURE 0x53425355u
#define CHUNK         (256u << 10)   /* bytes of one request to the drive, but for what is left of a packet */

enum stage {
    BOT_COMMAND,                     /* a command block is wanted */
    BOT_DATA_IN, BOT_DATA_OUT,
    BOT_WAIT,                        /* the drive has to end before there is a status */
    BOT_STATUS,
    BOT_DEAD,                        /* that was no command: reset is wanted */
};

struct storage {
    struct usb_device usb;
    struct scsi_disk scsi;
    struct scsi_op op;               /* the command; SCSI_DONE once nothing more comes of it */
    uint8_t stage, status;
    bool to_host;
    uint32_t tag, expected;          /* bytes of the data stage */
    uint32_t moved, given;           /* of them: over the bus; those that mean something */
    uint64_t at;                     /* bytes of op.len that the drive was asked for */
    uint8_t buf[CHUNK + USB_PACKET_MAX];
    uint32_t take, fill;             /* [take, fill) is not yet moved */
    struct scsi_range range[SCSI_RANGES];
    unsigned n_ranges, next_range;
    bool busy, orphan;               /* a request is under way; it is nobody's any more */
    struct drive_req req;
    struct iovec iov;
    /* properties */
    char *serial;
    bool removable;
    int32_t bootindex;
    uint32_t logical_block, physical_block;
};

/* ---- the drive ------------------------------------------------------------------------------ */

static void on_done(struct drive_req *r, int ret);

static void submit(struct storage *s, enum block_op op, uint64_t off, uint64_t len, uint8_t *data)
{
    s->iov = (struct iovec){ data, len };
    s->req.r.op = op;
    s->req.r.flags = op == BLOCK_WRITE && s->op.fua ? BLOCK_REQ_FUA : 0;
    s->req.r.off = off;
    s->req.r.len = len;
    s->req.r.iov = &s->iov;
    s->req.r.niov = data != NULL;
    s->req.cb = on_done;
    s->busy = true;
    drive_submit(s->scsi.drive, &s->req);
}

/* The next piece of a READ, behind what is not moved yet: less than a packet. */
static void read_on(struct storage *s)
{
    uint32_t n = MIN(s->op.len - s->at, (uint64_t)CHUNK);

    memmove(s->buf, s->buf + s->take, s->fill - s->take);
    s->fill -= s->take;
    s->take = 0;
    submit(s, BLOCK_READ, s->op.off + s->at, n, s->buf + s->fill);
    s->at += n;
}

static void write_on(struct storage *s)
{
    uint32_t n = MIN(s->op.len - s->at, (uint64_t)s->fill);

    submit(s, BLOCK_WRITE, s->op.off + s->at, n, s->buf);
    s->at += n;
}

static void discard_on(struct storage *s)
{
    while (s->next_range < s->n_ranges && !s->range[s->next_range].len)
        s->next_range++;
    if (s->next_range == s->n_ranges)
        return;
    submit(s, BLOCK_DISCARD, s->range[s->next_range].off, s->range[s->next_range].len, NULL);
    s->next_range++;
}

static void command_failed(struct storage *s)
{
    s->status = STATUS_FAILED;
    s->op.what = SCSI_DONE;
}

static void go_on(struct storage *s, int ret)
{
    if (ret < 0) {
        scsi_failed(&s->scsi, s->op.what, ret);
        command_failed(s);
    } else if (s->op.what == SCSI_READ) {
        s->fill += s->iov.iov_len;
    } else if (s->op.what == SCSI_WRITE) {
        s->given += s->iov.iov_len;
        s->fill = 0;
    } else if (s->op.what == SCSI_LIST) {
        discard_on(s);
    }
    if (s->stage == BOT_WAIT && !s->busy)
        s->stage = BOT_STATUS;
}

static void on_done(struct drive_req *r, int ret)
{
    struct storage *s = container_of(r, struct storage, req);

    s->busy = false;
    if (!s->orphan)
        go_on(s, ret);
    s->orphan = false;
    usb_ready(&s->usb);
}

/* ---- command, data, status -------------------------------------------------------------------- */

static bool is_command(const uint8_t *b, unsigned len)
{
    return len == CBW_BYTES && ldl32(b) == CBW_SIGNATURE && !(b[13] & 15) && (b[14] & 31) >= 1 && (b[14] & 31) <= 16;
}

/* What of the data stage the command is about; the host must have said at least that, and that way. */
static void agree(struct storage *s)
{
    bool in = s->op.what == SCSI_READ || s->op.what == SCSI_REPLY;

    if (s->op.what == SCSI_FAILED) {
        command_failed(s);
    } else if (s->op.len > s->expected || (s->op.len && in != s->to_host)) {
        log_guest(LOG_USB, "usb-storage bytes=%#llx expected=%#x", (unsigned long long)s->op.len, s->expected);
        s->status = STATUS_PHASE;
        s->op.what = SCSI_DONE;
    }
}

static int command(struct storage *s, const uint8_t *b, unsigned len)
{
    if (!is_command(b, len)) {
        log_guest(LOG_USB, "usb-storage len=%u no command", len);
        s->stage = BOT_DEAD;
        return USB_STALL;
    }
    s->tag = ldl32(b + 4);
    s->expected = ldl32(b + 8);
    s->to_host = b[12] & USB_DIR_IN;
    s->status = STATUS_GOOD;
    s->moved = s->given = s->take = s->fill = s->n_ranges = s->next_range = 0;
    s->at = 0;
    scsi_command(&s->scsi, b + 15, b[14] & 31, &s->op);
    agree(s);
    if (s->op.what == SCSI_REPLY) {
        memcpy(s->buf, s->op.reply, s->op.len);
        s->fill = s->op.len;
    } else if (s->op.what == SCSI_FLUSH) {
        submit(s, BLOCK_FLUSH, 0, 0, NULL);
    }
    if (s->expected)
        s->stage = s->to_host ? BOT_DATA_IN : BOT_DATA_OUT;
    else
        s->stage = s->busy ? BOT_WAIT : BOT_STATUS;
    return len;
}

static void data_moved(struct storage *s, unsigned len)
{
    s->moved += len;
    if (s->moved == s->expected)
        s->stage = s->busy ? BOT_WAIT : BOT_STATUS;
}

static int data_in(struct storage *s, uint8_t *buf, unsigned len)
{
    uint32_t n = MIN(len, s->expected - s->moved), have;

    if (s->op.what == SCSI_READ && s->fill - s->take < n && s->at < s->op.len) {
        read_on(s);
        return USB_NAK;
    }
    have = MIN(n, s->fill - s->take);
    memcpy(buf, s->buf + s->take, have);
    memset(buf + have, 0, n - have);
    s->take += have;
    s->given += have;
    data_moved(s, n);
    return n;
}

static void take_list(struct storage *s)
{
    int n = scsi_unmap(&s->scsi, s->buf, s->op.len, s->range);

    if (n < 0) {
        command_failed(s);
        return;
    }
    s->given = s->op.len;
    s->n_ranges = n;
    discard_on(s);
}

/* What a WRITE or a parameter list has no use for is dropped. */
static int data_out(struct storage *s, const uint8_t *buf, unsigned len)
{
    bool wanted = s->op.what == SCSI_WRITE || s->op.what == SCSI_LIST;
    uint32_t n = wanted ? MIN(len, s->op.len - s->at - s->fill) : 0;

    if (len > s->expected - s->moved) {
        s->stage = BOT_DEAD;
        return USB_STALL;
    }
    memcpy(s->buf + s->fill, buf, n);
    s->fill += n;
    if (s->op.what == SCSI_WRITE && n && (s->fill >= CHUNK || s->at + s->fill == s->op.len))
        write_on(s);
    else if (s->op.what == SCSI_LIST && s->moved + len == s->expected)
        take_list(s);
    data_moved(s, len);
    return len;
}

static int status(struct storage *s, uint8_t *buf, unsigned len)
{
    uint8_t csw[CSW_BYTES];

    stl32(csw, CSW_SIGNATURE);
    stl32(csw + 4, s->tag);
    stl32(csw + 8, s->expected - s->given);
    csw[12] = s->status;
    s->stage = BOT_COMMAND;
    len = MIN(len, CSW_BYTES);
    memcpy(buf, csw, len);
    return len;
}

/* ---- pipes -------------------------------------------------------------------------------------- */

static int storage_in(struct usb_device *d, unsigned ep, uint8_t *buf, unsigned len)
{
    struct storage *s = (struct storage *)d;

    if (ep != EP_IN || s->stage == BOT_DEAD)
        return USB_STALL;
    if (s->busy)
        return USB_NAK;
    if (s->stage == BOT_DATA_IN)
        return data_in(s, buf, len);
    return s->stage == BOT_STATUS ? status(s, buf, len) : USB_NAK;
}

static int storage_out(struct usb_device *d, unsigned ep, const uint8_t *buf, unsigned len)
{
    struct storage *s = (struct storage *)d;

    if (ep != EP_OUT || s->stage == BOT_DEAD)
        return USB_STALL;
    if (s->busy)
        return USB_NAK;
    if (s->stage == BOT_DATA_OUT)
        return data_out(s, buf, len);
    if (s->stage == BOT_COMMAND)
        return command(s, buf, len);
    s->stage = BOT_DEAD;
    return USB_STALL;
}

/* 3.1: ready for a command; what the drive is doing is waited for then. */
static void bot_reset(struct usb_device *d)
{
    struct storage *s = (struct storage *)d;

    s->stage = BOT_COMMAND;
    s->orphan = s->busy;
}

static int storage_request(struct usb_device *d, const struct usb_request *r, uint8_t *data)
{
    if ((r->type & ~USB_DIR_IN) != (USB_CLASS | USB_INTERFACE) || r->index)
        return USB_STALL;
    if (r->request == BULK_ONLY_RESET && !r->value && !r->length) {
        bot_reset(d);
        return 0;
    }
    if (r->request != GET_MAX_LUN || r->value || r->length != 1)
        return USB_STALL;
    data[0] = 0;
    return 1;
}

/* ---- descriptors ---------------------------------------------------------------------------------- */

/* One interface, transparent SCSI, bulk only; @more: bytes behind each endpoint descriptor */
#define CONFIG(len) 9, 2, len, 0, 1, 1, 0, 0x80, 50, 9, 4, 0, 0, 2, 8, 6, 0x50, 0
#define ENDPOINT(addr, packet) 7, 5, addr, 2, (packet) & 0xff, (packet) >> 8, 0
#define COMPANION 6, 48, 15, 0, 0, 0     /* bursts of 16, no streams */

static const uint8_t config_full[] = { CONFIG(32), ENDPOINT(0x80 | EP_IN, 64), ENDPOINT(EP_OUT, 64) };
static const uint8_t config_high[] = { CONFIG(32), ENDPOINT(0x80 | EP_IN, 512), ENDPOINT(EP_OUT, 512) };
static const uint8_t config_super[] = { CONFIG(44), ENDPOINT(0x80 | EP_IN, 1024), COMPANION,
                                        ENDPOINT(EP_OUT, 1024), COMPANION };

/* The identification that guests' tables of quirks know for such a device. */
static const struct usb_model storage_model = {
    .product = "USB Disk", .vendor = 0x46f4, .product_id = 0x0001,
    .form[USB_FULL] = { 0x0110, 64, config_full, sizeof config_full },
    .form[USB_HIGH] = { 0x0200, 64, config_high, sizeof config_high },
    .form[USB_SUPER] = { 0x0300, 9, config_super, sizeof config_super },
    .request = storage_request, .in = storage_in, .out = storage_out, .reset = bot_reset,
};

/* ---- life -------------------------------------------------------------------------------------------- */

static void medium_changed(void *opaque)
{
    scsi_medium(&((struct storage *)opaque)->scsi);
}

static bool tray_locked(void *opaque)
{
    return ((struct storage *)opaque)->scsi.locked;
}

static const struct drive_tray tray = { .locked = tray_locked };

static int check(const struct storage *s, struct err *e)
{
    const struct drive *d = s->scsi.drive;

    if (!d)
        return err_set(e, -EINVAL, "usb-storage: drive property not set");
    if (d->cdrom)
        return err_set(e, -EINVAL, "usb-storage: drive '%s' is a CD-ROM, and this is a disk", d->id);
    if (!s->removable && !block_present(d->blk))
        return err_set(e, -ENOMEDIUM, "usb-storage: drive '%s' is empty (removable=on allows that)", d->id);
    return 0;
}

static int storage_init(struct device *d, struct err *e)
{
    struct storage *s = (struct storage *)d;
    int ret = check(s, e);

    if (ret == 0)
        ret = drive_claim(s->scsi.drive, d, medium_changed, s, e);
    if (ret < 0)
        return ret;
    s->scsi.drive->tray = s->removable ? &tray : NULL;
    s->scsi.removable = s->removable;
    s->usb.serial = s->scsi.serial = s->serial ? s->serial : s->scsi.drive->serial;
    scsi_reset(&s->scsi);
    ret = usb_plug(&s->usb, &storage_model, e);
    if (ret < 0)
        drive_release(s->scsi.drive);
    return ret;
}

static void storage_reset(struct device *d)
{
    struct storage *s = (struct storage *)d;

    usb_reset_device(&s->usb);
    drive_drain(s->scsi.drive);
    scsi_reset(&s->scsi);
}

static void storage_destroy(struct device *d)
{
    struct storage *s = (struct storage *)d;

    usb_unplug(&s->usb);
    bot_reset(&s->usb);
    drive_release(s->scsi.drive);
}

static const struct dev_prop storage_props[] = {
    USB_PROPS(struct storage, usb),
    PROP(DRIVE, "drive", struct storage, scsi.drive, NULL, 0, 0, "the disk: id of -drive or -blockdev"),
    PROP(STRING, "serial", struct storage, serial, NULL, 0, 0, "serial number"),
    PROP(BOOL, "removable", struct storage, removable, "off", 0, 0, "the medium can be changed"),
    PROP(I32, "bootindex", struct storage, bootindex, "-1", 0, 0, "place in the boot order"),
    PROP(U32, "logical_block_size", struct storage, logical_block, "512", 512, 512, "bytes"),
    PROP(U32, "physical_block_size", struct storage, physical_block, "512", 512, 512, "bytes"),
    { .name = "share-rw", .type = PROP_IGNORED, .help = "no effect" },
    { .name = "write-cache", .type = PROP_IGNORED, .help = "no effect: cache= of the drive decides" },
    PROP_END
};

static const struct dev_field storage_fields[] = {
    USB_FIELDS(struct storage, usb),
    FIELD(U8, struct storage, scsi.key), FIELD(U8, struct storage, scsi.asc), FIELD(U8, struct storage, scsi.ascq),
    FIELD(BOOL, struct storage, scsi.locked), FIELD(BOOL, struct storage, scsi.unloaded),
    FIELD(BOOL, struct storage, scsi.changed), FIELD(BYTES, struct storage, op), FIELD(U8, struct storage, stage),
    FIELD(U8, struct storage, status), FIELD(BOOL, struct storage, to_host), FIELD(U32, struct storage, tag),
    FIELD(U32, struct storage, expected), FIELD(U32, struct storage, moved), FIELD(U32, struct storage, given),
    FIELD(U64, struct storage, at), FIELD(U32, struct storage, take), FIELD(U32, struct storage, fill),
    FIELD(BYTES, struct storage, buf), FIELD(BYTES, struct storage, range), FIELD(U32, struct storage, n_ranges),
    FIELD(U32, struct storage, next_range),
    FIELD_END
};

const struct device_type usb_storage_type = {
    .name = "usb-storage", .desc = "USB disk", .size = sizeof(struct storage), .init = storage_init,
    .reset = storage_reset, .destroy = storage_destroy, .fields = storage_fields, .props = storage_props,
};
