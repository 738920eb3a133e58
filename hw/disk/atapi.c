/*
 * atapi.c - packet commands of a CD-ROM drive
 *
 * Source: INCITS MMC-5 and SPC-3; numbers of features and pages are theirs.
 */
#include "hw/disk/ata.h"

enum { KEY_NONE, KEY_NOT_READY = 2, KEY_MEDIUM = 3, KEY_ILLEGAL = 5, KEY_ATTENTION = 6 };
enum { ASC_READ_ERROR = 0x11, ASC_BAD_OPCODE = 0x20, ASC_LBA = 0x21, ASC_BAD_FIELD = 0x24,
       ASC_CHANGED = 0x28, ASC_INCOMPATIBLE = 0x30, ASC_NO_MEDIUM = 0x3a, ASC_LOCKED = 0x53 };
enum { EVENT_NONE, EVENT_EJECT, EVENT_NEW, EVENT_REMOVED };

static void put16(uint8_t *p, uint16_t v) { stl16(p, __builtin_bswap16(v)); }
static void put32(uint8_t *p, uint32_t v) { stl32(p, __builtin_bswap32(v)); }
static uint16_t get16(const uint8_t *p) { return __builtin_bswap16(ldl16(p)); }
static uint32_t get32(const uint8_t *p) { return __builtin_bswap32(ldl32(p)); }

void atapi_sense(struct ata_dev *d, uint8_t key, uint8_t asc, uint8_t ascq)
{
    d->atapi.key = key;
    d->atapi.asc = asc;
    d->atapi.ascq = ascq;
}

static enum atapi_what fail(struct ata_dev *d, uint8_t key, uint8_t asc, uint8_t ascq)
{
    atapi_sense(d, key, asc, ascq);
    return ATAPI_FAILED;
}

static enum atapi_what bad_field(struct ata_dev *d)
{
    return fail(d, KEY_ILLEGAL, ASC_BAD_FIELD, 0);
}

void atapi_read_failed(struct ata_dev *d, int err)
{
    if (err == -ENOMEDIUM)
        atapi_sense(d, KEY_NOT_READY, ASC_NO_MEDIUM, 0);
    else
        atapi_sense(d, KEY_MEDIUM, ASC_READ_ERROR, 0);
}

/* ---- the tray --------------------------------------------------------------------- */

/* What the guest finds when it looks: a medium in an open tray is none. */
static void note_medium(struct ata_dev *d)
{
    bool now = block_present(d->drive->blk) && !d->atapi.tray_open;

    if (!now && !d->atapi.present)
        return;
    d->atapi.changed = now;
    d->atapi.event = now ? EVENT_NEW : EVENT_REMOVED;
    d->atapi.present = now;
}

void atapi_medium(struct ata_dev *d)
{
    note_medium(d);
}

static void move_tray(void *opaque, bool open)
{
    struct ata_dev *d = opaque;

    if (d->atapi.tray_open == open)
        return;
    d->atapi.tray_open = open;
    note_medium(d);
}

static bool tray_locked(void *opaque)
{
    return ((struct ata_dev *)opaque)->atapi.locked;
}

static bool tray_open(void *opaque)
{
    return ((struct ata_dev *)opaque)->atapi.tray_open;
}

static void eject_button(void *opaque)
{
    ((struct ata_dev *)opaque)->atapi.event = EVENT_EJECT;
}

const struct drive_tray atapi_tray = { tray_locked, tray_open, eject_button, move_tray };

static bool has_medium(const struct ata_dev *d)
{
    return block_present(d->drive->blk) && !d->atapi.tray_open;
}

static uint32_t blocks(const struct ata_dev *d)
{
    return MIN(block_length(d->drive->blk) / CD_BLOCK, (uint64_t)UINT32_MAX);
}

/* More than 80 minutes. */
static bool is_dvd(const struct ata_dev *d)
{
    return blocks(d) > 360000;
}

/* A reply of @len bytes in buf, of which the host wants at most @max. */
static enum atapi_what reply(struct ata_dev *d, uint32_t len, uint32_t max)
{
    d->atapi.len = MIN(len, max);
    return d->atapi.len ? ATAPI_REPLY : ATAPI_DONE;
}

/* ---- identification, sense ------------------------------------------------------------ */

static void put_text(uint8_t *p, const char *s, unsigned len)
{
    memset(p, ' ', len);
    memcpy(p, s, MIN(strlen(s), (size_t)len));
}

static enum atapi_what inquiry(struct ata_dev *d, const uint8_t *cdb)
{
    uint8_t *b = d->atapi.buf;

    if (cdb[1] & 1)                /* vital product data: none */
        return bad_field(d);
    b[0] = 5;                      /* CD-ROM */
    b[1] = 0x80;                   /* removable */
    b[3] = 0x21;                   /* ATAPI, response format */
    b[4] = 31;
    put_text(b + 8, "TRANSOM", 8);
    put_text(b + 16, "DVD-ROM", 16);
    put_text(b + 32, d->ver ? d->ver : "1.0", 4);
    return reply(d, 36, cdb[4]);
}

static enum atapi_what request_sense(struct ata_dev *d, const uint8_t *cdb)
{
    uint8_t *b = d->atapi.buf;

    b[0] = 0xf0;
    b[2] = d->atapi.key;
    b[7] = 10;
    b[12] = d->atapi.asc;
    b[13] = d->atapi.ascq;
    if (d->atapi.key == KEY_ATTENTION)
        d->atapi.changed = false;
    atapi_sense(d, KEY_NONE, 0, 0);
    return reply(d, 18, cdb[4]);
}

/* ---- the medium ------------------------------------------------------------------------- */

static enum atapi_what capacity(struct ata_dev *d)
{
    put32(d->atapi.buf, blocks(d) - 1);
    put32(d->atapi.buf + 4, CD_BLOCK);
    return reply(d, 8, 8);
}

static enum atapi_what read_blocks(struct ata_dev *d, uint64_t lba, uint32_t n,
                                   uint64_t *out_lba, uint32_t *out_n)
{
    uint64_t all = blocks(d);

    if (n > all || lba > all - n)
        return fail(d, KEY_ILLEGAL, ASC_LBA, 0);
    *out_lba = lba;
    *out_n = n;
    return n ? ATAPI_READ : ATAPI_DONE;
}

/* READ CD: only the user data of mode 1 sectors. */
static enum atapi_what read_cd(struct ata_dev *d, const uint8_t *cdb, uint64_t *lba, uint32_t *n)
{
    uint32_t count = get32(cdb + 5) & 0xffffff;    /* bytes 6, 7, 8 */

    if (!count || !(cdb[9] & 0xf8))
        return ATAPI_DONE;
    if ((cdb[9] & 0xf8) != 0x10)
        return bad_field(d);
    return read_blocks(d, get32(cdb + 2), count, lba, n);
}

/* Minutes, seconds, frames: 75 a second, from 2 s. */
static void put_address(uint8_t *p, uint32_t lba, bool msf)
{
    if (!msf) {
        put32(p, lba);
        return;
    }
    lba += 150;
    p[0] = 0;
    p[1] = lba / 75 / 60;
    p[2] = lba / 75 % 60;
    p[3] = lba % 75;
}

static unsigned toc_track(uint8_t *p, uint8_t track, uint32_t lba, bool msf)
{
    p[1] = 0x14;                   /* data track */
    p[2] = track;
    put_address(p + 4, lba, msf);
    return 8;
}

/* Full TOC entry: session, control, point, address. */
static unsigned toc_point(uint8_t *p, uint8_t point, uint8_t min, uint8_t sec, uint8_t frame)
{
    p[0] = 1;
    p[1] = 0x14;
    p[3] = point;
    p[8] = min, p[9] = sec, p[10] = frame;
    return 11;
}

static unsigned full_toc(struct ata_dev *d, uint8_t *b)
{
    uint8_t end[4];
    unsigned n = 4;

    put_address(end, blocks(d), true);
    n += toc_point(b + n, 0xa0, 1, 0, 0);
    n += toc_point(b + n, 0xa1, 1, 0, 0);
    n += toc_point(b + n, 0xa2, end[1], end[2], end[3]);
    n += toc_point(b + n, 1, 0, 2, 0);
    return n;
}

static enum atapi_what read_toc(struct ata_dev *d, const uint8_t *cdb)
{
    uint8_t *b = d->atapi.buf, format = cdb[2] & 15, start = cdb[6];
    bool msf = cdb[1] & 2;
    unsigned n = 4;

    if (!format)
        format = cdb[9] >> 6;      /* where old drivers put it */
    b[2] = b[3] = 1;
    if (format == 0) {
        if (start > 1 && start != 0xaa)
            return bad_field(d);
        if (start <= 1)
            n += toc_track(b + n, 1, 0, msf);
        n += toc_track(b + n, 0xaa, blocks(d), msf);
    } else if (format == 1) {
        n += toc_track(b + n, 1, 0, msf);
    } else if (format == 2) {
        n = full_toc(d, b);
    } else {
        return bad_field(d);
    }
    put16(b, n - 2);
    return reply(d, n, get16(cdb + 7));
}

enum { DVD_PHYSICAL = 0, DVD_COPYRIGHT = 1, DVD_MAKER = 4, DVD_LIST = 0xff };
#define DVD_LAYER_BYTES 2048u
#define DVD_FIRST       0x30000u   /* physical sector of block 0 */

/* A DVD-ROM of one layer. */
static void put_layer(const struct ata_dev *d, uint8_t *p)
{
    p[0] = 0x01;                   /* DVD-ROM, part version 1 */
    p[1] = 0x02;                   /* 120 mm, 10.08 Mbit/s */
    p[2] = 0x01;                   /* one layer, embossed */
    put32(p + 4, DVD_FIRST);
    put32(p + 8, MIN(DVD_FIRST + (uint64_t)blocks(d) - 1, 0xffffffu));
}

/* The bytes of structure @format at @p, without the header; 0: there is no such. */
static unsigned dvd_structure(const struct ata_dev *d, uint8_t format, uint8_t *p)
{
    switch (format) {
    case DVD_PHYSICAL:
        if (p)
            put_layer(d, p);
        return DVD_LAYER_BYTES;
    case DVD_COPYRIGHT:            /* none, for all regions */
        return 4;
    case DVD_MAKER:                /* says nothing */
        return DVD_LAYER_BYTES;
    }
    return 0;
}

static unsigned dvd_list(const struct ata_dev *d, uint8_t *p)
{
    static const uint8_t formats[] = { DVD_PHYSICAL, DVD_COPYRIGHT, DVD_MAKER };

    for (unsigned i = 0; i < ARRAY_SIZE(formats); i++, p += 4) {
        p[0] = formats[i];
        p[1] = 0x40;               /* can be read */
        put16(p + 2, dvd_structure(d, formats[i], NULL) + 4);
    }
    return 4 * ARRAY_SIZE(formats);
}

static enum atapi_what read_dvd_structure(struct ata_dev *d, const uint8_t *cdb)
{
    uint8_t *b = d->atapi.buf, format = cdb[7];
    unsigned n;

    if (!is_dvd(d))
        return fail(d, KEY_ILLEGAL, ASC_INCOMPATIBLE, 2);
    if (cdb[1] & 15 || (format == DVD_PHYSICAL && cdb[6]))
        return bad_field(d);       /* of another kind of medium, of another layer */
    n = format == DVD_LIST ? dvd_list(d, b + 4) : dvd_structure(d, format, b + 4);
    if (!n)
        return bad_field(d);
    put16(b, n + 2);
    return reply(d, n + 4, get16(cdb + 8));
}

static enum atapi_what disc_information(struct ata_dev *d, const uint8_t *cdb)
{
    uint8_t *b = d->atapi.buf;

    if (cdb[1] & 7)
        return bad_field(d);
    put16(b, 32);
    b[2] = 0x0e;                   /* complete, one session */
    b[3] = b[4] = b[5] = b[6] = 1;
    b[7] = 0x20;
    return reply(d, 34, get16(cdb + 7));
}

/* ---- the drive ----------------------------------------------------------------------------- */

enum { PROFILE_CD = 0x08, PROFILE_DVD = 0x10 };

static uint16_t current_profile(const struct ata_dev *d)
{
    if (!has_medium(d))
        return 0;
    return is_dvd(d) ? PROFILE_DVD : PROFILE_CD;
}

enum { FEATURE_PROFILES = 0x0000, FEATURE_CORE = 0x0001, FEATURE_REMOVABLE = 0x0003, FEATURE_RANDOM = 0x0010,
       FEATURE_CD = 0x001e, FEATURE_DVD = 0x001f };
enum { FEATURE_CURRENT = 1, FEATURE_PERSISTENT = 2 };

/* Those from one on, those of them that are current, or that one only. */
static bool asked_for(const uint8_t *cdb, uint16_t feature, uint8_t flags)
{
    uint16_t from = get16(cdb + 2);

    if ((cdb[1] & 3) == 2)
        return feature == from;
    return feature >= from && (!(cdb[1] & 3) || flags & FEATURE_CURRENT);
}

/* Appends feature @code with the data that follow @data, when it is asked for. */
static unsigned put_feature(uint8_t *p, const uint8_t *cdb, uint16_t code, uint8_t flags, const uint8_t *data,
                            uint8_t len)
{
    if (!asked_for(cdb, code, flags))
        return 0;
    put16(p, code);
    p[2] = flags;
    p[3] = len;
    memcpy(p + 4, data, len);
    return 4 + len;
}

static enum atapi_what get_configuration(struct ata_dev *d, const uint8_t *cdb)
{
    uint8_t *b = d->atapi.buf;
    uint16_t now = current_profile(d);
    uint8_t cd = now == PROFILE_CD, dvd = now == PROFILE_DVD, any = cd || dvd;
    const uint8_t always = FEATURE_PERSISTENT | FEATURE_CURRENT;
    const uint8_t profiles[] = { 0, PROFILE_DVD, dvd, 0, 0, PROFILE_CD, cd, 0 };
    static const uint8_t core[] = { 0, 0, 0, 2, 1, 0, 0, 0 };                    /* ATAPI */
    static const uint8_t removable[] = { 0x29, 0, 0, 0 };                        /* tray, eject, lock */
    static const uint8_t random[] = { 0, 0, CD_BLOCK >> 8, 0, 0, 1, 0, 0 };      /* one block at a time */
    static const uint8_t nothing[4];
    unsigned n = 8;

    if ((cdb[1] & 3) == 3)
        return bad_field(d);
    put16(b + 6, now);
    n += put_feature(b + n, cdb, FEATURE_PROFILES, always, profiles, sizeof profiles);
    n += put_feature(b + n, cdb, FEATURE_CORE, always | 0x08, core, sizeof core);
    n += put_feature(b + n, cdb, FEATURE_REMOVABLE, always, removable, sizeof removable);
    n += put_feature(b + n, cdb, FEATURE_RANDOM, any, random, sizeof random);
    n += put_feature(b + n, cdb, FEATURE_CD, 0x08 | cd, nothing, sizeof nothing);
    n += put_feature(b + n, cdb, FEATURE_DVD, dvd, nothing, 0);
    put32(b, n - 4);
    return reply(d, n, get16(cdb + 7));
}

static enum atapi_what event_status(struct ata_dev *d, const uint8_t *cdb)
{
    uint8_t *b = d->atapi.buf;

    if (!(cdb[1] & 1))             /* asynchronous: not done by anybody */
        return bad_field(d);
    b[3] = 0x10;                   /* media class is supported */
    if (!(cdb[4] & 0x10)) {
        b[2] = 0x80;
        put16(b, 2);
        return reply(d, 4, get16(cdb + 7));
    }
    put16(b, 6);
    b[2] = 4;
    b[4] = d->atapi.event;
    b[5] = (has_medium(d) ? 2 : 0) | (d->atapi.tray_open ? 1 : 0);
    d->atapi.event = EVENT_NONE;
    return reply(d, 8, get16(cdb + 7));
}

static unsigned mode_page(uint8_t *p, uint8_t page, bool locked)
{
    static const uint8_t sizes[] = { [0x01] = 8, [0x0e] = 16, [0x2a] = 30 };

    p[0] = page;
    p[1] = sizes[page] - 2;
    if (page == 0x01) {
        p[3] = 5;                  /* retries */
    } else if (page == 0x2a) {
        p[2] = 0x3b;               /* reads CD-R, CD-RW, DVD-ROM ... */
        p[4] = 0x70;
        p[6] = 0x29 | (locked ? 2 : 0);
        put16(p + 8, 706);
        put16(p + 12, 512);
        put16(p + 14, 706);
    }
    return sizes[page];
}

static enum atapi_what mode_sense(struct ata_dev *d, const uint8_t *cdb, bool six)
{
    static const uint8_t pages[] = { 0x01, 0x0e, 0x2a };
    uint8_t *b = d->atapi.buf, page = cdb[2] & 0x3f;
    unsigned head = six ? 4 : 8, n = head;

    if (cdb[2] >> 6 == 3)          /* saved values */
        return fail(d, KEY_ILLEGAL, 0x39, 0);
    for (unsigned i = 0; i < ARRAY_SIZE(pages); i++)
        if (page == pages[i] || page == 0x3f)
            n += mode_page(b + n, pages[i], d->atapi.locked);
    if (n == head)
        return bad_field(d);
    if (six) {
        b[0] = n - 1;
        b[1] = has_medium(d) ? 1 : 0x70;
    } else {
        put16(b, n - 2);
        b[2] = has_medium(d) ? 1 : 0x70;
    }
    return reply(d, n, six ? cdb[4] : get16(cdb + 7));
}

/* LoEj with Start: close; without: open. The medium itself stays in the drive
 * until the user takes it. */
static enum atapi_what start_stop(struct ata_dev *d, const uint8_t *cdb)
{
    bool eject = cdb[4] & 2, start = cdb[4] & 1;

    if (!eject)
        return ATAPI_DONE;
    if (!start && d->atapi.locked)
        return fail(d, KEY_ILLEGAL, ASC_LOCKED, 2);
    drive_tray_move(d->drive, !start);
    return ATAPI_DONE;
}

static enum atapi_what mechanism(struct ata_dev *d, const uint8_t *cdb)
{
    d->atapi.buf[1] = d->atapi.tray_open ? 0x10 : 0;
    d->atapi.buf[5] = 1;
    return reply(d, 8, get16(cdb + 8));
}

static enum atapi_what sub_channel(struct ata_dev *d, const uint8_t *cdb)
{
    d->atapi.buf[1] = 0x15;        /* no audio status */
    return reply(d, 4, get16(cdb + 7));
}

/* ---- dispatch ---------------------------------------------------------------------------------- */

static enum atapi_what without_medium(struct ata_dev *d, const uint8_t *cdb, bool *handled)
{
    *handled = true;
    switch (cdb[0]) {
    case 0x03:
        return request_sense(d, cdb);
    case 0x12:
        return inquiry(d, cdb);
    case 0x15: case 0x55:          /* MODE SELECT */
        d->atapi.len = MIN(cdb[0] == 0x15 ? cdb[4] : get16(cdb + 7), ATAPI_BUF);
        return d->atapi.len ? ATAPI_TAKE : ATAPI_DONE;
    case 0x1a: case 0x5a:
        return mode_sense(d, cdb, cdb[0] == 0x1a);
    case 0x1b:
        return start_stop(d, cdb);
    case 0x1e:
        d->atapi.locked = cdb[4] & 1;
        return ATAPI_DONE;
    case 0x46:
        return get_configuration(d, cdb);
    case 0x4a:
        return event_status(d, cdb);
    case 0xbd:
        return mechanism(d, cdb);
    case 0xbb: case 0xda: case 0x4e: case 0x35:  /* speed, stop, synchronize */
        return ATAPI_DONE;
    }
    *handled = false;
    return ATAPI_FAILED;
}

static enum atapi_what with_medium(struct ata_dev *d, const uint8_t *cdb, uint64_t *lba, uint32_t *n)
{
    switch (cdb[0]) {
    case 0x00:
        return ATAPI_DONE;
    case 0x25:
        return capacity(d);
    case 0x28:
        return read_blocks(d, get32(cdb + 2), get16(cdb + 7), lba, n);
    case 0xa8:
        return read_blocks(d, get32(cdb + 2), get32(cdb + 6), lba, n);
    case 0x2b:                     /* SEEK */
        return get32(cdb + 2) < blocks(d) ? ATAPI_DONE : fail(d, KEY_ILLEGAL, ASC_LBA, 0);
    case 0x42:
        return sub_channel(d, cdb);
    case 0x43:
        return read_toc(d, cdb);
    case 0x51:
        return disc_information(d, cdb);
    case 0xad:
        return read_dvd_structure(d, cdb);
    case 0xbe:
        return read_cd(d, cdb, lba, n);
    }
    return fail(d, KEY_ILLEGAL, ASC_BAD_OPCODE, 0);
}

static bool is_known_with_medium(uint8_t op)
{
    static const uint8_t known[] = { 0x00, 0x25, 0x28, 0x2b, 0x42, 0x43, 0x51, 0xa8, 0xad, 0xbe };

    return memchr(known, op, sizeof known) != NULL;
}

enum atapi_what atapi_command(struct ata_dev *d, const uint8_t *cdb, uint64_t *lba, uint32_t *n)
{
    enum atapi_what what;
    bool handled;

    memset(d->atapi.buf, 0, sizeof d->atapi.buf);
    d->atapi.len = 0;
    /* INQUIRY, REQUEST SENSE, GET EVENT STATUS go before UNIT ATTENTION */
    if (d->atapi.changed && cdb[0] != 0x03 && cdb[0] != 0x12 && cdb[0] != 0x4a &&
        cdb[0] != 0x46 && has_medium(d)) {
        d->atapi.changed = false;
        return fail(d, KEY_ATTENTION, ASC_CHANGED, 0);
    }
    what = without_medium(d, cdb, &handled);
    if (!handled && !is_known_with_medium(cdb[0]))
        return fail(d, KEY_ILLEGAL, ASC_BAD_OPCODE, 0);
    if (!handled && !has_medium(d))
        return fail(d, KEY_NOT_READY, ASC_NO_MEDIUM, d->atapi.tray_open ? 2 : 1);
    if (!handled)
        what = with_medium(d, cdb, lba, n);
    if (what != ATAPI_FAILED && cdb[0] != 0x03)
        atapi_sense(d, KEY_NONE, 0, 0);
    return what;
}
