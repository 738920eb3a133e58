/*
 * scsi.c - commands of a direct-access block device
 *
 * Blocks have 512 bytes. Mode pages cannot be changed; the write cache is as the drive says.
 *
 * Source: INCITS SPC-4, 6.4 to 6.51, 7.5, 7.8; SBC-3, 5 and 6.
 */
#include "hw/disk/scsi.h"

enum { KEY_NONE = 0, KEY_NOT_READY = 2, KEY_MEDIUM = 3, KEY_ILLEGAL = 5, KEY_ATTENTION = 6, KEY_PROTECT = 7 };
enum { ASC_WRITE = 0x0c, ASC_READ = 0x11, ASC_LIST_LENGTH = 0x1a, ASC_OPCODE = 0x20, ASC_LBA = 0x21, ASC_FIELD = 0x24,
       ASC_PROTECTED = 0x27, ASC_CHANGED = 0x28, ASC_PARAMETERS = 0x2a, ASC_SAVING = 0x39, ASC_NO_MEDIUM = 0x3a, ASC_LOCKED = 0x53 };
#define ASCQ_NO_SPACE  7             /* of ASC_PROTECTED */
#define ASCQ_LOCKED    2
#define ASCQ_CAPACITY  9             /* of ASC_PARAMETERS: it has changed */

enum { /* operation codes */
    TEST_UNIT_READY = 0x00, REQUEST_SENSE = 0x03, READ_6 = 0x08, WRITE_6 = 0x0a, INQUIRY = 0x12, MODE_SENSE_6 = 0x1a,
    START_STOP_UNIT = 0x1b, PREVENT_REMOVAL = 0x1e, READ_FORMAT_CAPACITIES = 0x23, READ_CAPACITY_10 = 0x25,
    READ_10 = 0x28, WRITE_10 = 0x2a, VERIFY_10 = 0x2f, SYNCHRONIZE_10 = 0x35, UNMAP = 0x42, MODE_SENSE_10 = 0x5a,
    READ_16 = 0x88, WRITE_16 = 0x8a, VERIFY_16 = 0x8f, SYNCHRONIZE_16 = 0x91, SERVICE_IN_16 = 0x9e,
    REPORT_LUNS = 0xa0, READ_12 = 0xa8, WRITE_12 = 0xaa, VERIFY_12 = 0xaf,
};
enum { SERVICE_READ_CAPACITY = 0x10 };
enum { CDB_FUA = 1 << 3, CDB_BYTCHK = 3 << 1, CDB_EVPD = 1, CDB_LOEJ = 2, CDB_START = 1 };
enum { VPD_PAGES = 0x00, VPD_SERIAL = 0x80, VPD_ID = 0x83, VPD_LIMITS = 0xb0, VPD_PROVISIONING = 0xb2 };
enum { PAGE_CACHING = 0x08, PAGE_ALL = 0x3f, PAGE_WCE = 1 << 2, MODE_WP = 1 << 7, MODE_DPOFUA = 1 << 4 };

static uint32_t get16(const uint8_t *p) { return __builtin_bswap16(ldl16(p)); }
static uint32_t get32(const uint8_t *p) { return __builtin_bswap32(ldl32(p)); }
static uint64_t get64(const uint8_t *p) { return __builtin_bswap64(ldl64(p)); }
static void put16(uint8_t *p, uint16_t v) { stl16(p, __builtin_bswap16(v)); }
static void put32(uint8_t *p, uint32_t v) { stl32(p, __builtin_bswap32(v)); }
static void put64(uint8_t *p, uint64_t v) { stl64(p, __builtin_bswap64(v)); }

/* ---- sense ---------------------------------------------------------------------------------- */

static void sense(struct scsi_disk *d, uint8_t key, uint8_t asc, uint8_t ascq)
{
    d->key = key;
    d->asc = asc;
    d->ascq = ascq;
}

static void fail(struct scsi_disk *d, struct scsi_op *op, uint8_t key, uint8_t asc, uint8_t ascq)
{
    sense(d, key, asc, ascq);
    op->what = SCSI_FAILED;
}

void scsi_failed(struct scsi_disk *d, enum scsi_what what, int err)
{
    if (err == -ENOMEDIUM)
        sense(d, KEY_NOT_READY, ASC_NO_MEDIUM, 0);
    else if (err == -ENOSPC)
        sense(d, KEY_PROTECT, ASC_PROTECTED, ASCQ_NO_SPACE);
    else if (err == -EROFS)
        sense(d, KEY_PROTECT, ASC_PROTECTED, 0);
    else
        sense(d, KEY_MEDIUM, what == SCSI_READ ? ASC_READ : ASC_WRITE, 0);
}

/* Fixed format, SPC-4 4.5.3 */
static void request_sense(struct scsi_disk *d, const uint8_t *cdb, struct scsi_op *op)
{
    uint8_t *b = op->reply;

    b[0] = 0x70;
    b[2] = d->key;
    b[7] = 10;
    b[12] = d->asc;
    b[13] = d->ascq;
    sense(d, KEY_NONE, 0, 0);
    op->what = SCSI_REPLY;
    op->len = MIN(18, cdb[4]);
}

/* ---- the medium ------------------------------------------------------------------------------- */

static bool has_medium(const struct scsi_disk *d)
{
    return block_present(d->drive->blk) && !d->unloaded;
}

static uint64_t blocks(const struct scsi_disk *d)
{
    return block_length(d->drive->blk) / SCSI_BLOCK;
}

static bool may_unmap(const struct scsi_disk *d)
{
    return block_options(d->drive->blk)->discard && !block_readonly(d->drive->blk);
}

void scsi_medium(struct scsi_disk *d)
{
    d->unloaded = false;
    d->changed = block_present(d->drive->blk);
}

void scsi_reset(struct scsi_disk *d)
{
    sense(d, KEY_NONE, 0, 0);
    d->locked = d->unloaded = d->changed = false;
}

static void reply(struct scsi_op *op, unsigned len, uint32_t wanted)
{
    op->what = wanted ? SCSI_REPLY : SCSI_DONE;
    op->len = MIN(len, wanted);
}

/* ---- identification ------------------------------------------------------------------------------ */

static void put_text(uint8_t *p, const char *s, unsigned len)
{
    memset(p, ' ', len);
    memcpy(p, s, strnlen(s, len));
}

static unsigned vpd_page(const struct scsi_disk *d, uint8_t page, uint8_t *b)
{
    static const uint8_t pages[] = { VPD_PAGES, VPD_SERIAL, VPD_ID, VPD_LIMITS, VPD_PROVISIONING };
    const char *serial = d->serial ? d->serial : "";
    unsigned n = strnlen(serial, 36);

    switch (page) {
    case VPD_PAGES:
        memcpy(b, pages, sizeof pages);
        return sizeof pages;
    case VPD_SERIAL:
        memcpy(b, serial, n);
        return n;
    case VPD_ID:                     /* T10 vendor identification, in ASCII */
        b[0] = 2;
        b[1] = 1;
        b[3] = 8 + n;
        put_text(b + 4, "TRANSOM", 8);
        memcpy(b + 12, serial, n);
        return 12 + n;
    case VPD_LIMITS:
        if (may_unmap(d)) {
            put32(b + 16, UINT32_MAX);       /* blocks of an UNMAP, from byte 4 on */
            put32(b + 20, SCSI_RANGES);
        }
        return 60;
    case VPD_PROVISIONING:
        b[1] = may_unmap(d) ? 0x80 : 0;      /* LBPU */
        return 4;
    default:
        return 0;
    }
}

static bool has_vpd(uint8_t page)
{
    return page == VPD_PAGES || page == VPD_SERIAL || page == VPD_ID || page == VPD_LIMITS || page == VPD_PROVISIONING;
}

static void inquiry(struct scsi_disk *d, const uint8_t *cdb, struct scsi_op *op)
{
    uint8_t *b = op->reply;
    unsigned n;

    if (cdb[1] & CDB_EVPD ? !has_vpd(cdb[2]) : cdb[2]) {
        fail(d, op, KEY_ILLEGAL, ASC_FIELD, 0);
        return;
    }
    if (cdb[1] & CDB_EVPD) {
        n = vpd_page(d, cdb[2], b + 4);
        b[1] = cdb[2];
        put16(b + 2, n);
        reply(op, 4 + n, get16(cdb + 3));
        return;
    }
    b[1] = d->removable ? 0x80 : 0;
    b[2] = 5;                        /* SPC-3 */
    b[3] = 2;
    b[4] = 31;
    put_text(b + 8, "TRANSOM", 8);
    put_text(b + 16, "DISK", 16);
    put_text(b + 32, "1.0", 4);
    reply(op, 36, get16(cdb + 3));
}

/* One logical unit, number 0. */
static void report_luns(const uint8_t *cdb, struct scsi_op *op)
{
    put32(op->reply, 8);
    reply(op, 16, get32(cdb + 6));
}

/* ---- parameters -------------------------------------------------------------------------------------- */

static unsigned caching_page(const struct scsi_disk *d, uint8_t *p, bool changeable)
{
    p[0] = PAGE_CACHING;
    p[1] = 18;
    p[2] = !changeable && block_write_cache(d->drive->blk) ? PAGE_WCE : 0;
    return 20;
}

static void mode_sense(struct scsi_disk *d, const uint8_t *cdb, struct scsi_op *op)
{
    bool six = cdb[0] == MODE_SENSE_6;
    uint8_t *b = op->reply, page = cdb[2] & 0x3f, control = cdb[2] >> 6;
    uint8_t what = MODE_DPOFUA | (block_readonly(d->drive->blk) ? MODE_WP : 0);
    unsigned n = six ? 4 : 8;

    if (control == 3) {              /* saved values */
        fail(d, op, KEY_ILLEGAL, ASC_SAVING, 0);
        return;
    }
    if ((page != PAGE_CACHING && page != PAGE_ALL) || (cdb[3] && cdb[3] != 0xff)) {
        fail(d, op, KEY_ILLEGAL, ASC_FIELD, 0);
        return;
    }
    n += caching_page(d, b + n, control == 1);
    if (six) {
        b[0] = n - 1;
        b[2] = what;
    } else {
        put16(b, n - 2);
        b[3] = what;
    }
    reply(op, n, six ? cdb[4] : get16(cdb + 7));
}

static uint64_t last_block(const struct scsi_disk *d)
{
    return blocks(d) ? blocks(d) - 1 : 0;
}

static void capacity_10(const struct scsi_disk *d, struct scsi_op *op)
{
    put32(op->reply, MIN(last_block(d), (uint64_t)UINT32_MAX));
    put32(op->reply + 4, SCSI_BLOCK);
    reply(op, 8, 8);
}

static void capacity_16(struct scsi_disk *d, const uint8_t *cdb, struct scsi_op *op)
{
    if ((cdb[1] & 0x1f) != SERVICE_READ_CAPACITY) {
        fail(d, op, KEY_ILLEGAL, ASC_FIELD, 0);
        return;
    }
    put64(op->reply, last_block(d));
    put32(op->reply + 8, SCSI_BLOCK);
    op->reply[14] = may_unmap(d) ? 0x80 : 0;     /* LBPME */
    reply(op, 32, get32(cdb + 10));
}

/* UFI's, which drivers of sticks ask for: one formatted medium */
static void format_capacities(const struct scsi_disk *d, const uint8_t *cdb, struct scsi_op *op)
{
    op->reply[3] = 8;
    put32(op->reply + 4, MIN(blocks(d), (uint64_t)UINT32_MAX));
    put32(op->reply + 8, 2u << 24 | SCSI_BLOCK);
    reply(op, 12, get16(cdb + 7));
}

static void start_stop(struct scsi_disk *d, const uint8_t *cdb, struct scsi_op *op)
{
    bool start = cdb[4] & CDB_START;

    if (!(cdb[4] & CDB_LOEJ) || !d->removable)
        return;
    if (!start && d->locked)
        fail(d, op, KEY_ILLEGAL, ASC_LOCKED, ASCQ_LOCKED);
    else
        d->unloaded = !start;
}

/* ---- blocks --------------------------------------------------------------------------------------------- */

/* First block and number of blocks of a command that has them. */
static void extent(const uint8_t *cdb, uint64_t *lba, uint64_t *n)
{
    switch (cdb[0] >> 5) {           /* command group: length of the descriptor block */
    case 0:
        *lba = get32(cdb) & 0x1fffff;
        *n = cdb[4] ? cdb[4] : 256;
        break;
    case 4:
        *lba = get64(cdb + 2);
        *n = get32(cdb + 10);
        break;
    case 5:
        *lba = get32(cdb + 2);
        *n = get32(cdb + 6);
        break;
    default:
        *lba = get32(cdb + 2);
        *n = get16(cdb + 7);
    }
}

static bool in_range(const struct scsi_disk *d, uint64_t lba, uint64_t n)
{
    return n <= blocks(d) && lba <= blocks(d) - n;
}

static void transfer(struct scsi_disk *d, const uint8_t *cdb, enum scsi_what what, struct scsi_op *op)
{
    uint64_t lba, n;

    extent(cdb, &lba, &n);
    if (!in_range(d, lba, n)) {
        fail(d, op, KEY_ILLEGAL, ASC_LBA, 0);
    } else if (what == SCSI_WRITE && block_readonly(d->drive->blk)) {
        fail(d, op, KEY_PROTECT, ASC_PROTECTED, 0);
    } else if (n) {
        op->what = what;
        op->off = lba * SCSI_BLOCK;
        op->len = n * SCSI_BLOCK;
        op->fua = what == SCSI_WRITE && cdb[0] >> 5 && cdb[1] & CDB_FUA;
    }
}

/* Without the host's data there is nothing to compare: what is there can be read. */
static void verify(struct scsi_disk *d, const uint8_t *cdb, struct scsi_op *op)
{
    uint64_t lba, n;

    extent(cdb, &lba, &n);
    if (cdb[1] & CDB_BYTCHK)
        fail(d, op, KEY_ILLEGAL, ASC_FIELD, 0);
    else if (!in_range(d, lba, n))
        fail(d, op, KEY_ILLEGAL, ASC_LBA, 0);
}

static void unmap(struct scsi_disk *d, const uint8_t *cdb, struct scsi_op *op)
{
    unsigned len = get16(cdb + 7);

    if (!may_unmap(d))
        fail(d, op, KEY_ILLEGAL, ASC_OPCODE, 0);
    else if (len > SCSI_LIST_MAX || cdb[1] & 1)
        fail(d, op, KEY_ILLEGAL, ASC_FIELD, 0);
    else if (len)
        *op = (struct scsi_op){ .what = SCSI_LIST, .len = len };
}

int scsi_unmap(struct scsi_disk *d, const uint8_t *list, unsigned len, struct scsi_range *range)
{
    unsigned n;

    if (len < 8 || get16(list + 2) > len - 8 || get16(list + 2) % 16) {
        sense(d, KEY_ILLEGAL, ASC_LIST_LENGTH, 0);
        return -1;
    }
    n = MIN(get16(list + 2) / 16, SCSI_RANGES);
    for (unsigned i = 0; i < n; i++) {
        uint64_t lba = get64(list + 8 + i * 16), count = get32(list + 16 + i * 16);

        if (!in_range(d, lba, count)) {
            sense(d, KEY_ILLEGAL, ASC_LBA, 0);
            return -1;
        }
        range[i] = (struct scsi_range){ lba * SCSI_BLOCK, count * SCSI_BLOCK };
    }
    return (int)n;
}

/* ---- dispatch ------------------------------------------------------------------------------------------------ */

static void with_medium(struct scsi_disk *d, const uint8_t *cdb, struct scsi_op *op)
{
    switch (cdb[0]) {
    case TEST_UNIT_READY:
        break;
    case READ_6: case READ_10: case READ_12: case READ_16:
        transfer(d, cdb, SCSI_READ, op);
        break;
    case WRITE_6: case WRITE_10: case WRITE_12: case WRITE_16:
        transfer(d, cdb, SCSI_WRITE, op);
        break;
    case VERIFY_10: case VERIFY_12: case VERIFY_16:
        verify(d, cdb, op);
        break;
    case SYNCHRONIZE_10: case SYNCHRONIZE_16:
        op->what = SCSI_FLUSH;
        break;
    case READ_CAPACITY_10:
        capacity_10(d, op);
        break;
    case SERVICE_IN_16:
        capacity_16(d, cdb, op);
        break;
    case READ_FORMAT_CAPACITIES:
        format_capacities(d, cdb, op);
        break;
    case UNMAP:
        unmap(d, cdb, op);
        break;
    default:
        fail(d, op, KEY_ILLEGAL, ASC_OPCODE, 0);
    }
}

/* What answers whatever the medium does; false: not one of them. */
static bool without_medium(struct scsi_disk *d, const uint8_t *cdb, struct scsi_op *op)
{
    switch (cdb[0]) {
    case REQUEST_SENSE:
        request_sense(d, cdb, op);
        return true;
    case INQUIRY:
        inquiry(d, cdb, op);
        return true;
    case REPORT_LUNS:
        report_luns(cdb, op);
        return true;
    case MODE_SENSE_6: case MODE_SENSE_10:
        mode_sense(d, cdb, op);
        return true;
    case START_STOP_UNIT:
        start_stop(d, cdb, op);
        return true;
    case PREVENT_REMOVAL:
        d->locked = cdb[4] & 1;
        return true;
    default:
        return false;
    }
}

static bool before_attention(uint8_t code)
{
    return code == REQUEST_SENSE || code == INQUIRY || code == REPORT_LUNS;
}

void scsi_command(struct scsi_disk *d, const uint8_t *block, unsigned n, struct scsi_op *op)
{
    uint8_t cdb[16] = { 0 };

    memcpy(cdb, block, MIN(n, (unsigned)sizeof cdb));
    *op = (struct scsi_op){ .what = SCSI_DONE };
    if (cdb[0] != REQUEST_SENSE)
        sense(d, KEY_NONE, 0, 0);
    if (d->changed && !before_attention(cdb[0])) {
        d->changed = false;
        fail(d, op, KEY_ATTENTION, d->removable ? ASC_CHANGED : ASC_PARAMETERS, d->removable ? 0 : ASCQ_CAPACITY);
    } else if (!without_medium(d, cdb, op)) {
        if (has_medium(d))
            with_medium(d, cdb, op);
        else
            fail(d, op, KEY_NOT_READY, ASC_NO_MEDIUM, 0);
    }
}
