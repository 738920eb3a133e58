/*
 * virtio-blk.c - virtio block device
 *
 * Source: VIRTIO 1.2, 5.2.
 */
#include <stdlib.h>
#include "hw/disk/drive.h"
#include "hw/virtio/virtio.h"

#define SECTOR 512u
#define ID_BYTES 20
#define HEADER_BYTES 16
#define SEGMENT_BYTES 16            /* of discard and write-zeroes */
#define MAX_SEGMENTS 32u
#define MAX_WRITE_ZEROES_SECTORS (1u << 22) /* 2 GiB a segment */

enum { F_SEG_MAX = 2, F_GEOMETRY = 4, F_RO = 5, F_BLK_SIZE = 6, F_FLUSH = 9, F_TOPOLOGY = 10,
       F_CONFIG_WCE = 11, F_MQ = 12, F_DISCARD = 13, F_WRITE_ZEROES = 14 };
enum { T_IN = 0, T_OUT = 1, T_FLUSH = 4, T_GET_ID = 8, T_DISCARD = 11, T_WRITE_ZEROES = 13 };
enum { S_OK, S_IOERR, S_UNSUPP };
enum { SEG_UNMAP = 1 };

enum { /* configuration, 5.2.4 */
    CFG_CAPACITY = 0, CFG_SEG_MAX = 12, CFG_CYLINDERS = 16, CFG_HEADS = 18, CFG_SECTORS = 19,
    CFG_BLK_SIZE = 20, CFG_PHYS_EXP = 24, CFG_MIN_IO = 26, CFG_OPT_IO = 28, CFG_WCE = 32,
    CFG_NUM_QUEUES = 34, CFG_MAX_DISCARD = 36, CFG_MAX_DISCARD_SEG = 40,
    CFG_DISCARD_ALIGN = 44, CFG_MAX_WZ = 48, CFG_MAX_WZ_SEG = 52, CFG_WZ_UNMAP = 56,
    CFG_BYTES = 60,
};

struct virtio_blk {
    struct virtio_pci vpci;
    struct drive *drive;
    char *serial;
    uint32_t queues, queue_size;
    uint32_t logical_block, physical_block, min_io, opt_io, discard_granularity;
    bool discard, write_zeroes, config_wce;
    uint8_t write_cache;         /* enum on_off_auto */
    int32_t bootindex;
    struct blk_req *free;        /* requests kept for use again */
};

/** struct blk_req - a request between virtq_pop() and virtq_push() */
struct blk_req {
    struct drive_req dr;
    struct virtq_elem e;
    struct virtio_blk *s;
    uint32_t data_bytes;         /* written into guest memory when it succeeds */
    uint8_t segments[MAX_SEGMENTS * SEGMENT_BYTES];
    unsigned n_segments, segment;
    bool zeroes;                 /* segments are of WRITE_ZEROES */
    struct blk_req *next;
};

static struct virtio_blk *blk_of(struct virtio *v)
{
    return container_of(v, struct virtio_blk, vpci.v);
}

/* ---- requests ------------------------------------------------------------------------ */

static struct blk_req *req_get(struct virtio_blk *s)
{
    struct blk_req *r = s->free;

    if (r)
        s->free = r->next;
    else
        r = xzalloc(sizeof *r);  /* as many as the queues have entries */
    r->s = s;
    return r;
}

static void req_put(struct blk_req *r)
{
    r->next = r->s->free;
    r->s->free = r;
}

/* The status byte is the last writable one. */
static void req_done(struct blk_req *r, uint8_t status)
{
    struct virtio_blk *s = r->s;
    struct virtq *q = r->e.q;
    uint64_t last = r->e.in.bytes - 1;
    uint32_t written = status == S_OK ? r->data_bytes + 1 : 1;

    if (!virtio_live(&s->vpci.v)) {     /* being reset */
        virtq_discard(&r->e);
        req_put(r);
        return;
    }
    sg_put(&r->e.in, last, &status, 1);
    /* RAM has changed up to the end, whatever the driver is told */
    mem_dirtied(&s->vpci.v.m->mem, r->e.in.piece[r->e.in.n - 1].gpa,
                r->e.in.piece[r->e.in.n - 1].len);
    virtq_push(&r->e, status == S_OK ? written : MIN(r->e.in.bytes, UINT32_MAX));
    req_put(r);
    virtq_notify(q);
}

static void on_block_done(struct drive_req *dr, int ret)
{
    struct blk_req *r = container_of(dr, struct blk_req, dr);

    req_done(r, ret == 0 ? S_OK : ret == -ENOTSUP ? S_UNSUPP : S_IOERR);
}

static void submit(struct blk_req *r, enum block_op op, unsigned flags, uint64_t off, uint64_t len)
{
    r->dr.r.op = op;
    r->dr.r.flags = flags;
    r->dr.r.off = off;
    r->dr.r.len = len;
    r->dr.cb = on_block_done;
    drive_submit(r->s->drive, &r->dr);
}

static bool in_range(struct virtio_blk *s, uint64_t sector, uint64_t n)
{
    uint64_t all = drive_sectors(s->drive), per = s->logical_block / SECTOR;

    return n <= all && sector <= all - n && sector % per == 0 && n % per == 0;
}

static void do_transfer(struct blk_req *r, uint64_t sector, bool write)
{
    struct sg *list = write ? &r->e.out : &r->e.in;
    uint64_t len = write ? list->bytes - HEADER_BYTES : list->bytes - 1;

    if (len % SECTOR || !in_range(r->s, sector, len / SECTOR)) {
        log_guest(LOG_PCI, "virtio-blk sector=%#llx len=%#llx out of range",
                  (unsigned long long)sector, (unsigned long long)len);
        req_done(r, S_IOERR);
        return;
    }
    if (write && block_readonly(r->s->drive->blk)) {
        req_done(r, S_IOERR);
        return;
    }
    r->dr.r.iov = sg_iov(list, write ? HEADER_BYTES : 0, len, &r->dr.r.niov);
    r->data_bytes = write ? 0 : len;
    submit(r, write ? BLOCK_WRITE : BLOCK_READ, 0, sector * SECTOR, len);
}

static void do_get_id(struct blk_req *r)
{
    char id[ID_BYTES] = { 0 };
    const char *from = r->s->serial ? r->s->serial : "";
    uint64_t room = r->e.in.bytes - 1;

    memcpy(id, from, MIN(strlen(from), sizeof id));
    r->data_bytes = MIN(room, sizeof id);
    sg_put(&r->e.in, 0, id, r->data_bytes);
    req_done(r, S_OK);
}

/* ---- discard, write zeroes -------------------------------------------------------------- */

static void next_segment(struct blk_req *r);

static void on_segment_done(struct drive_req *dr, int ret)
{
    struct blk_req *r = container_of(dr, struct blk_req, dr);

    if (ret < 0 || r->segment == r->n_segments)
        on_block_done(dr, ret);
    else
        next_segment(r);
}

static void next_segment(struct blk_req *r)
{
    const uint8_t *p = r->segments + r->segment++ * SEGMENT_BYTES;
    unsigned flags = r->zeroes && (ldl32(p + 12) & SEG_UNMAP) ? BLOCK_REQ_UNMAP : 0;

    r->dr.r.op = r->zeroes ? BLOCK_WRITE_ZEROES : BLOCK_DISCARD;
    r->dr.r.flags = flags;
    r->dr.r.off = ldl64(p) * SECTOR;
    r->dr.r.len = (uint64_t)ldl32(p + 8) * SECTOR;
    r->dr.cb = on_segment_done;
    drive_submit(r->s->drive, &r->dr);
}

static uint8_t check_segments(struct blk_req *r)
{
    for (unsigned i = 0; i < r->n_segments; i++) {
        const uint8_t *p = r->segments + i * SEGMENT_BYTES;
        uint32_t n = ldl32(p + 8), flags = ldl32(p + 12);

        if ((flags & ~(uint32_t)SEG_UNMAP) || (flags && !r->zeroes))
            return S_UNSUPP;
        if (n > MAX_WRITE_ZEROES_SECTORS || !in_range(r->s, ldl64(p), n))
            return S_IOERR;
    }
    return S_OK;
}

static void do_segments(struct blk_req *r, bool zeroes)
{
    uint64_t len = r->e.out.bytes - HEADER_BYTES;
    uint8_t status = S_IOERR;

    if (!virtio_has(&r->s->vpci.v, zeroes ? F_WRITE_ZEROES : F_DISCARD)) {
        req_done(r, S_UNSUPP);
        return;
    }
    r->zeroes = zeroes;
    r->segment = 0;
    r->n_segments = len / SEGMENT_BYTES;
    if (len && len % SEGMENT_BYTES == 0 && len <= sizeof r->segments &&
        !block_readonly(r->s->drive->blk)) {
        sg_get(&r->e.out, HEADER_BYTES, r->segments, len);
        status = check_segments(r);
    }
    if (status == S_OK)
        next_segment(r);
    else
        req_done(r, status);
}

/* ---- queue ---------------------------------------------------------------------------------- */

static void dispatch(struct blk_req *r)
{
    uint8_t header[HEADER_BYTES];
    uint32_t type;

    sg_get(&r->e.out, 0, header, sizeof header);
    type = ldl32(header);
    r->data_bytes = 0;
    switch (type) {
    case T_IN:
    case T_OUT:
        do_transfer(r, ldl64(header + 8), type == T_OUT);
        break;
    case T_FLUSH:
        submit(r, BLOCK_FLUSH, 0, 0, 0);
        break;
    case T_GET_ID:
        do_get_id(r);
        break;
    case T_DISCARD:
    case T_WRITE_ZEROES:
        do_segments(r, type == T_WRITE_ZEROES);
        break;
    default:
        req_done(r, S_UNSUPP);
        break;
    }
}

static void take_requests(struct virtio *v, struct virtq *q)
{
    struct virtio_blk *s = blk_of(v);

    for (;;) {
        struct blk_req *r = req_get(s);

        if (!virtq_pop(q, &r->e)) {
            req_put(r);
            return;
        }
        if (r->e.out.bytes < HEADER_BYTES || !r->e.in.bytes) {
            virtq_discard(&r->e);
            req_put(r);
            virtio_broken(v, "request without header or status");
            return;
        }
        dispatch(r);
    }
}

static void queue_notify(struct virtio *v, struct virtq *q)
{
    struct block *b = blk_of(v)->drive->blk;

    block_plug(b);
    take_requests(v, q);
    block_unplug(b);
}

/* Without the flush feature the driver cannot flush: then every write must. */
static void driver_ok(struct virtio *v)
{
    struct virtio_blk *s = blk_of(v);

    if (!virtio_has(v, F_FLUSH) && !virtio_has(v, F_CONFIG_WCE))
        block_set_write_cache(s->drive->blk, false);
}

static bool default_write_cache(const struct virtio_blk *s)
{
    enum block_cache c = block_options(s->drive->blk)->cache;

    if (s->write_cache != ON_OFF_AUTO_AUTO)
        return s->write_cache == ON_OFF_AUTO_ON;
    return c != BLOCK_CACHE_WRITETHROUGH && c != BLOCK_CACHE_DIRECTSYNC;
}

static void blk_reset_queues(struct virtio *v)
{
    struct virtio_blk *s = blk_of(v);

    drive_drain(s->drive);
    block_set_write_cache(s->drive->blk, default_write_cache(s));
}

/* ---- configuration --------------------------------------------------------------------------- */

static unsigned phys_exp(const struct virtio_blk *s)
{
    return __builtin_ctz(MAX(s->physical_block, s->logical_block) / s->logical_block);
}

static void get_config(struct virtio *v, uint8_t *c)
{
    struct virtio_blk *s = blk_of(v);
    uint64_t sectors = drive_sectors(s->drive), cyl = sectors / (16 * 63);
    uint32_t align = MAX(s->discard_granularity, s->logical_block);

    stl64(c + CFG_CAPACITY, sectors);
    stl32(c + CFG_SEG_MAX, s->queue_size - 2);
    stl16(c + CFG_CYLINDERS, MIN(cyl, 65535u));
    c[CFG_HEADS] = 16;
    c[CFG_SECTORS] = 63;
    stl32(c + CFG_BLK_SIZE, s->logical_block);
    c[CFG_PHYS_EXP] = phys_exp(s);
    stl16(c + CFG_MIN_IO, s->min_io / s->logical_block);
    stl32(c + CFG_OPT_IO, s->opt_io / s->logical_block);
    c[CFG_WCE] = block_write_cache(s->drive->blk);
    stl16(c + CFG_NUM_QUEUES, s->queues);
    stl32(c + CFG_MAX_DISCARD, MAX_WRITE_ZEROES_SECTORS);
    stl32(c + CFG_MAX_DISCARD_SEG, MAX_SEGMENTS);
    stl32(c + CFG_DISCARD_ALIGN, align / SECTOR);
    stl32(c + CFG_MAX_WZ, MAX_WRITE_ZEROES_SECTORS);
    stl32(c + CFG_MAX_WZ_SEG, MAX_SEGMENTS);
    c[CFG_WZ_UNMAP] = 1;
}

/* The cache mode is the only writable byte. */
static void set_config(struct virtio *v, const uint8_t *c)
{
    if (virtio_has(v, F_CONFIG_WCE))
        block_set_write_cache(blk_of(v)->drive->blk, c[CFG_WCE] & 1);
}

static const struct virtio_ops blk_ops = {
    .id = 2, .name = "virtio-blk", .config_len = CFG_BYTES, .get_config = get_config,
    .set_config = set_config, .queue_notify = queue_notify, .driver_ok = driver_ok,
    .reset = blk_reset_queues,
};

static void medium_changed(void *opaque)
{
    virtio_config_changed(&((struct virtio_blk *)opaque)->vpci.v);
}

/* ---- life ------------------------------------------------------------------------------------- */

static uint64_t blk_features(const struct virtio_blk *s)
{
    uint64_t f = BIT(F_SEG_MAX) | BIT(F_GEOMETRY) | BIT(F_BLK_SIZE) | BIT(F_FLUSH) |
                 BIT(F_TOPOLOGY);

    if (s->config_wce)
        f |= BIT(F_CONFIG_WCE);
    if (s->queues > 1)
        f |= BIT(F_MQ);
    if (block_readonly(s->drive->blk))
        f |= BIT(F_RO);
    if (s->discard)
        f |= BIT(F_DISCARD);
    if (s->write_zeroes)
        f |= BIT(F_WRITE_ZEROES);
    return f;
}

static int check_props(struct virtio_blk *s, struct err *e)
{
    const char *name = s->vpci.pci.dev.type->name;

    if (!s->drive)
        return err_set(e, -EINVAL, "%s: drive property not set", name);
    if (s->queue_size & (s->queue_size - 1))
        return err_set(e, -EINVAL, "%s: queue-size=%u: a power of two is wanted", name,
                       s->queue_size);
    if ((s->logical_block & (s->logical_block - 1)) || (s->physical_block & (s->physical_block - 1)))
        return err_set(e, -EINVAL, "%s: block sizes are powers of two", name);
    if (!block_present(s->drive->blk))
        return err_set(e, -ENOMEDIUM, "%s: drive '%s' is empty, and this is no removable disk",
                       name, s->drive->id);
    return 0;
}

static int blk_init(struct device *d, struct err *e)
{
    struct virtio_blk *s = (struct virtio_blk *)d;
    static const struct virtio_pci_id id = { 0x1001, 0x010000 };
    int ret = check_props(s, e);

    if (ret == 0)
        ret = drive_claim(s->drive, d, medium_changed, s, e);
    if (ret < 0)
        return ret;
    if (!s->serial && s->drive->serial)
        s->serial = xstrdup(s->drive->serial);
    virtio_init(&s->vpci.v, d->machine, &blk_ops, blk_features(s));
    for (unsigned i = 0; i < s->queues; i++)
        virtio_add_queue(&s->vpci.v, s->queue_size);
    ret = virtio_pci_init(&s->vpci, &id, e);
    if (ret < 0)
        drive_release(s->drive);
    return ret;
}

static void blk_reset(struct device *d)
{
    virtio_pci_reset(&((struct virtio_blk *)d)->vpci);
}

static void blk_destroy(struct device *d)
{
    struct virtio_blk *s = (struct virtio_blk *)d;
    struct blk_req *next;

    s->vpci.v.status = 0;
    drive_release(s->drive);
    virtio_pci_destroy(&s->vpci);
    for (struct blk_req *r = s->free; r; r = next) {
        next = r->next;
        free(r);
    }
}

static const struct dev_prop blk_props[] = {
    PROP(DRIVE, "drive", struct virtio_blk, drive, NULL, 0, 0, "the disk: id of -drive or -blockdev"),
    VIRTIO_PCI_PROPS(struct virtio_blk, vpci),
    PROP(I32, "bootindex", struct virtio_blk, bootindex, "-1", 0, 0, "place in the boot order"),
    PROP(U32, "num-queues", struct virtio_blk, queues, "1", 1, VIRTIO_MAX_QUEUES - 1, "request queues"),
    PROP(U32, "queue-size", struct virtio_blk, queue_size, "256", 4, VIRTQ_MAX_SIZE,
         "entries a queue, a power of two"),
    PROP(STRING, "serial", struct virtio_blk, serial, NULL, 0, 0, "serial number, 20 characters"),
    PROP(U32, "logical_block_size", struct virtio_blk, logical_block, "512", 512, 32768, "bytes"),
    PROP(U32, "physical_block_size", struct virtio_blk, physical_block, "512", 512, 32768, "bytes"),
    PROP(U32, "min_io_size", struct virtio_blk, min_io, NULL, 0, 1 << 24, "bytes"),
    PROP(U32, "opt_io_size", struct virtio_blk, opt_io, NULL, 0, 0, "bytes"),
    PROP(U32, "discard_granularity", struct virtio_blk, discard_granularity, NULL, 0, 1 << 30, "bytes"),
    PROP(BOOL, "discard", struct virtio_blk, discard, "on", 0, 0, "offer DISCARD"),
    PROP(BOOL, "write-zeroes", struct virtio_blk, write_zeroes, "on", 0, 0, "offer WRITE_ZEROES"),
    PROP(BOOL, "config-wce", struct virtio_blk, config_wce, "on", 0, 0, "guest may set the cache mode"),
    PROP(ON_OFF_AUTO, "write-cache", struct virtio_blk, write_cache, "auto", 0, 0, "cache mode at reset"),
    { .name = "share-rw", .type = PROP_IGNORED, .help = "no effect" },
    { .name = "iothread", .type = PROP_IGNORED, .help = "no effect" },
    { .name = "scsi", .type = PROP_IGNORED, .help = "no effect" },
    PROP_END
};

static const struct dev_field blk_fields[] = {
    VIRTIO_PCI_FIELDS(struct virtio_blk, vpci),
    FIELD_END
};

#define BLK_TYPE(suffix, how) { \
    .name = "virtio-blk-pci" suffix, .desc = "virtio block device" how, .size = sizeof(struct virtio_blk), \
    .init = blk_init, .reset = blk_reset, .destroy = blk_destroy, .fields = blk_fields, .props = blk_props }

const struct device_type virtio_blk_pci_type = BLK_TYPE("", "");
const struct device_type virtio_blk_pci_transitional_type = BLK_TYPE("-transitional", ", with legacy interface");
const struct device_type virtio_blk_pci_non_transitional_type = BLK_TYPE("-non-transitional", ", virtio 1 only");
