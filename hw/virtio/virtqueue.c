/*
 * virtqueue.c - split and packed rings: the one place that reads what a driver
 * wrote into them
 *
 * The driver runs on another thread while we look. So every descriptor is read
 * once, into host memory, before it is checked; indexes are read with acquire
 * and written with release order.
 *
 * Source: VIRTIO 1.2, 2.7 (split) and 2.8 (packed).
 */
#include "hw/virtio/virtio.h"

enum { DESC_NEXT = 1, DESC_WRITE = 2, DESC_INDIRECT = 4, DESC_AVAIL = 1 << 7, DESC_USED = 1 << 15 };
enum { AVAIL_NO_INTERRUPT = 1 };
enum { EVENT_ENABLE, EVENT_DISABLE, EVENT_DESC };     /* packed, 2.8.14 */
#define DESC_BYTES 16u

struct desc {
    gpa_t addr;
    uint32_t len;
    uint16_t id, next, flags;
};

/* 16 bits of a ring; in RAM in one piece, so that they are read or written at once. */
static uint16_t ring_get16(struct virtq *q, gpa_t at)
{
    uint64_t n = 2;
    gpa_t gpa;
    uint16_t *p = (uint16_t *)dma_host(&q->vd->dma, at, &n, false, &gpa);

    if (!p || n < 2 || ((uintptr_t)p & 1))
        return 0;
    return __atomic_load_n(p, __ATOMIC_ACQUIRE);
}

static void ring_put16(struct virtq *q, gpa_t at, uint16_t v)
{
    uint64_t n = 2;
    gpa_t gpa;
    uint16_t *p = (uint16_t *)dma_host(&q->vd->dma, at, &n, true, &gpa);

    if (!p || n < 2 || ((uintptr_t)p & 1))
        return;
    __atomic_store_n(p, v, __ATOMIC_RELEASE);
    mem_dirtied(&q->vd->m->mem, gpa, 2);
}

static int broken(struct virtq *q, const char *why)
{
    virtio_broken(q->vd, why);
    return -EINVAL;
}

static bool is_packed(const struct virtq *q)
{
    return virtio_has(q->vd, VIRTIO_F_RING_PACKED);
}

void virtq_reset(struct virtq *q)
{
    q->size = q->size_max;
    q->enabled = false;
    q->vector = VIRTIO_NO_VECTOR;
    q->desc = q->driver = q->device = 0;
    q->last_avail = q->used_idx = q->signalled = q->in_flight = 0;
    q->signalled_valid = false;
    q->avail_wrap = q->used_wrap = true;
}

/* ---- descriptors ------------------------------------------------------------------- */

static int read_split(struct virtq *q, gpa_t table, unsigned i, struct desc *d)
{
    uint8_t raw[DESC_BYTES];

    if (!dma_get(&q->vd->dma, table + (gpa_t)i * DESC_BYTES, raw, sizeof raw))
        return broken(q, "descriptor outside memory");
    *d = (struct desc){ ldl64(raw), ldl32(raw + 8), 0, ldl16(raw + 14), ldl16(raw + 12) };
    return 0;
}

static int read_packed(struct virtq *q, gpa_t table, unsigned i, struct desc *d)
{
    uint8_t raw[DESC_BYTES];

    if (!dma_get(&q->vd->dma, table + (gpa_t)i * DESC_BYTES, raw, sizeof raw))
        return broken(q, "descriptor outside memory");
    *d = (struct desc){ ldl64(raw), ldl32(raw + 8), ldl16(raw + 12), 0, ldl16(raw + 14) };
    return 0;
}

/* One buffer of the request. */
static int take_buffer(struct virtq_elem *e, const struct desc *d)
{
    bool write = d->flags & DESC_WRITE;
    int ret;

    if (!write && e->in.bytes)
        return broken(e->q, "readable buffer after a writable one");
    ret = sg_add(write ? &e->in : &e->out, d->addr, d->len);
    return ret < 0 ? broken(e->q, "buffer that cannot be used") : 0;
}

/* Number of descriptors in the table that @d points to; negative: broken. */
static int indirect_count(struct virtq *q, const struct desc *d)
{
    if (!virtio_has(q->vd, VIRTIO_F_INDIRECT_DESC))
        return broken(q, "indirect descriptor not negotiated");
    if (!d->len || d->len % DESC_BYTES || d->len / DESC_BYTES > VIRTQ_MAX_CHAIN)
        return broken(q, "size of an indirect table");
    return d->len / DESC_BYTES;
}

/* A chain linked by next fields, from entry @i of a table of @n. */
static int take_chain(struct virtq_elem *e, gpa_t table, unsigned n, unsigned i, bool inner)
{
    for (unsigned count = 0; ; count++) {
        struct desc d;
        int ret;

        if (i >= n || count >= n)
            return broken(e->q, "descriptor chain leaves its table or loops");
        if (read_split(e->q, table, i, &d) < 0)
            return -EINVAL;
        if (d.flags & DESC_INDIRECT) {
            if (inner || (d.flags & DESC_NEXT))
                return broken(e->q, "indirect descriptor inside or followed by others");
            ret = indirect_count(e->q, &d);
            return ret < 0 ? ret : take_chain(e, d.addr, ret, 0, true);
        }
        ret = take_buffer(e, &d);
        if (ret < 0 || !(d.flags & DESC_NEXT))
            return ret;
        i = d.next;
    }
}

/* ---- taking ------------------------------------------------------------------------- */

static gpa_t avail_ring(const struct virtq *q, uint16_t i)
{
    return q->driver + 4 + 2 * (i % q->size);
}

static gpa_t used_event_at(const struct virtq *q)
{
    return q->driver + 4 + 2 * q->size;
}

static gpa_t avail_event_at(const struct virtq *q)
{
    return q->device + 4 + 8 * q->size;
}

/* Nothing there: ask for a notification, then look again, as the driver may
 * have added one in between. */
static bool split_empty(struct virtq *q)
{
    uint16_t idx = ring_get16(q, q->driver + 2);

    if (idx != q->last_avail)
        return false;
    if (!virtio_has(q->vd, VIRTIO_F_EVENT_IDX))
        return true;
    ring_put16(q, avail_event_at(q), q->last_avail);
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    return ring_get16(q, q->driver + 2) == q->last_avail;
}

static int pop_split(struct virtq *q, struct virtq_elem *e)
{
    uint16_t ahead;

    if (q->in_flight >= q->size || split_empty(q))
        return 0;
    ahead = ring_get16(q, q->driver + 2) - q->last_avail;
    if (ahead > q->size)
        return broken(q, "available index too far ahead");
    e->id = ring_get16(q, avail_ring(q, q->last_avail));
    e->n_desc = 1;
    if (take_chain(e, q->desc, q->size, e->id, false) < 0)
        return -EINVAL;
    q->last_avail++;
    return 1;
}

static bool packed_available(struct virtq *q)
{
    uint16_t flags = ring_get16(q, q->desc + q->last_avail * DESC_BYTES + 14);

    return !!(flags & DESC_AVAIL) == q->avail_wrap && !!(flags & DESC_USED) != q->avail_wrap;
}

/* Ask for a notification at the entry we wait for. */
static void packed_arm(struct virtq *q)
{
    bool event = virtio_has(q->vd, VIRTIO_F_EVENT_IDX);

    ring_put16(q, q->device, q->last_avail | (q->avail_wrap ? 0x8000 : 0));
    ring_put16(q, q->device + 2, event ? EVENT_DESC : EVENT_ENABLE);
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
}

static int packed_indirect(struct virtq_elem *e, const struct desc *d)
{
    int n = indirect_count(e->q, d);

    for (int i = 0; i < n; i++) {
        struct desc in;

        if (read_packed(e->q, d->addr, i, &in) < 0)
            return -EINVAL;
        if (in.flags & DESC_INDIRECT)
            return broken(e->q, "indirect descriptor inside another");
        if (take_buffer(e, &in) < 0)
            return -EINVAL;
    }
    return n < 0 ? n : 0;
}

static int packed_chain(struct virtq *q, struct virtq_elem *e)
{
    unsigned i = q->last_avail;
    struct desc d;

    for (e->n_desc = 1; ; e->n_desc++) {
        if (e->n_desc > q->size - q->in_flight)
            return broken(q, "chain longer than the ring has entries");
        if (read_packed(q, q->desc, i, &d) < 0)
            return -EINVAL;
        if ((d.flags & DESC_INDIRECT) && ((d.flags & DESC_NEXT) || e->n_desc > 1))
            return broken(q, "indirect descriptor in a chain");
        if ((d.flags & DESC_INDIRECT ? packed_indirect(e, &d) : take_buffer(e, &d)) < 0)
            return -EINVAL;
        if (!(d.flags & DESC_NEXT))
            break;
        i = i + 1 == q->size ? 0 : i + 1;
    }
    e->id = d.id;                 /* of the last: 2.8.6 */
    return 1;
}

static int pop_packed(struct virtq *q, struct virtq_elem *e)
{
    int ret;

    if (q->in_flight >= q->size)
        return 0;
    if (!packed_available(q)) {
        packed_arm(q);
        if (!packed_available(q))
            return 0;
    }
    ret = packed_chain(q, e);
    if (ret < 0)
        return ret;
    q->last_avail += e->n_desc;
    if (q->last_avail >= q->size) {
        q->last_avail -= q->size;
        q->avail_wrap = !q->avail_wrap;
    }
    return 1;
}

int virtq_pop(struct virtq *q, struct virtq_elem *e)
{
    int ret;

    if (!q->enabled || !virtio_live(q->vd) || !dma_enabled(&q->vd->dma))
        return 0;
    e->q = q;
    sg_init(&e->out, &q->vd->dma, false);
    sg_init(&e->in, &q->vd->dma, true);
    ret = is_packed(q) ? pop_packed(q, e) : pop_split(q, e);
    if (ret > 0) {
        q->in_flight += e->n_desc;
        return 1;
    }
    sg_free(&e->out);
    sg_free(&e->in);
    return 0;
}

void virtq_unpop(struct virtq_elem *e)
{
    struct virtq *q = e->q;

    sg_free(&e->out);
    sg_free(&e->in);
    q->in_flight -= e->n_desc;
    if (!is_packed(q)) {
        q->last_avail--;
        return;
    }
    if (q->last_avail < e->n_desc) {
        q->last_avail += q->size;
        q->avail_wrap = !q->avail_wrap;
    }
    q->last_avail -= e->n_desc;
}

/* ---- returning ----------------------------------------------------------------------- */

static void push_split(struct virtq *q, uint16_t id, uint32_t written)
{
    uint8_t used[8];

    stl32(used, id);
    stl32(used + 4, written);
    dma_put(&q->vd->dma, q->device + 4 + 8 * (q->used_idx % q->size), used, sizeof used);
    q->used_idx++;
    ring_put16(q, q->device + 2, q->used_idx);
}

static void push_packed(struct virtq *q, const struct virtq_elem *e, uint32_t written)
{
    gpa_t at = q->desc + q->used_idx * DESC_BYTES;
    uint16_t flags = q->used_wrap ? DESC_AVAIL | DESC_USED : 0;
    uint8_t part[6];

    stl32(part, written);
    stl16(part + 4, e->id);
    dma_put(&q->vd->dma, at + 8, part, sizeof part);
    ring_put16(q, at + 14, flags | (written ? DESC_WRITE : 0));
    q->used_idx += e->n_desc;
    if (q->used_idx >= q->size) {
        q->used_idx -= q->size;
        q->used_wrap = !q->used_wrap;
    }
}

void virtq_push(struct virtq_elem *e, uint32_t written)
{
    struct virtq *q = e->q;

    written = MIN(written, e->in.bytes);
    sg_free(&e->out);
    sg_done(&e->in, written);
    q->in_flight -= e->n_desc;
    if (!q->enabled)
        return;
    if (is_packed(q))
        push_packed(q, e, written);
    else
        push_split(q, e->id, written);
}

static void all_split(struct virtq *q, struct virtq_elem **e, const uint32_t *written, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        uint16_t slot = (uint16_t)(q->used_idx + i) % q->size;
        uint8_t used[8];

        stl32(used, e[i]->id);
        stl32(used + 4, written[i]);
        dma_put(&q->vd->dma, q->device + 4 + 8 * slot, used, sizeof used);
    }
    q->used_idx += n;
    ring_put16(q, q->device + 2, q->used_idx);
}

/* The flags of the first descriptor go last: they let the driver in. */
static void all_packed(struct virtq *q, struct virtq_elem **e, const uint32_t *written, unsigned n)
{
    gpa_t first = q->desc + q->used_idx * DESC_BYTES;
    uint16_t first_flags = 0;

    for (unsigned i = 0; i < n; i++) {
        gpa_t at = q->desc + q->used_idx * DESC_BYTES;
        uint16_t flags = q->used_wrap ? DESC_AVAIL | DESC_USED : 0;
        uint8_t part[6];

        stl32(part, written[i]);
        stl16(part + 4, e[i]->id);
        dma_put(&q->vd->dma, at + 8, part, sizeof part);
        flags |= written[i] ? DESC_WRITE : 0;
        if (i)
            ring_put16(q, at + 14, flags);
        else
            first_flags = flags;
        q->used_idx += e[i]->n_desc;
        if (q->used_idx >= q->size) {
            q->used_idx -= q->size;
            q->used_wrap = !q->used_wrap;
        }
    }
    ring_put16(q, first + 14, first_flags);
}

void virtq_push_all(struct virtq_elem **e, uint32_t *written, unsigned n)
{
    struct virtq *q;

    if (!n)
        return;
    q = e[0]->q;
    for (unsigned i = 0; i < n; i++) {
        written[i] = MIN(written[i], e[i]->in.bytes);
        sg_free(&e[i]->out);
        sg_done(&e[i]->in, written[i]);
        q->in_flight -= e[i]->n_desc;
    }
    if (q->enabled && is_packed(q))
        all_packed(q, e, written, n);
    else if (q->enabled)
        all_split(q, e, written, n);
}

void virtq_discard(struct virtq_elem *e)
{
    sg_free(&e->out);
    sg_done(&e->in, e->in.bytes);     /* a cancelled transfer may have begun */
    e->q->in_flight -= e->n_desc;
}

/* ---- interrupts ------------------------------------------------------------------------- */

/* Whether @event lies in (@old, @now], modulo 2^16: 2.7.10 */
static bool passed(uint16_t event, uint16_t now, uint16_t old)
{
    return (uint16_t)(now - event - 1) < (uint16_t)(now - old);
}

static bool wants_split(struct virtq *q, uint16_t old, bool valid)
{
    if (virtio_has(q->vd, VIRTIO_F_NOTIFY_ON_EMPTY) && !q->in_flight &&
        ring_get16(q, q->driver + 2) == q->last_avail)
        return true;
    if (!virtio_has(q->vd, VIRTIO_F_EVENT_IDX))
        return !(ring_get16(q, q->driver) & AVAIL_NO_INTERRUPT);
    return !valid || passed(ring_get16(q, used_event_at(q)), q->used_idx, old);
}

static bool wants_packed(struct virtq *q, uint16_t old, bool valid)
{
    uint16_t flags = ring_get16(q, q->driver + 2) & 3, off_wrap = ring_get16(q, q->driver);
    int off = off_wrap & 0x7fff;

    if (flags == EVENT_DISABLE)
        return false;
    if (flags != EVENT_DESC || !virtio_has(q->vd, VIRTIO_F_EVENT_IDX))
        return true;
    if (!!(off_wrap & 0x8000) != q->used_wrap)
        off -= q->size;
    if (old > q->used_idx)             /* it has wrapped since */
        old -= q->size;
    return !valid || passed(off, q->used_idx, old);
}

void virtq_notify(struct virtq *q)
{
    uint16_t old = q->signalled;
    bool valid = q->signalled_valid;

    if (!q->enabled)
        return;
    __atomic_thread_fence(__ATOMIC_SEQ_CST);   /* used entry before the driver's wish */
    q->signalled = q->used_idx;
    q->signalled_valid = true;
    if (is_packed(q) ? wants_packed(q, old, valid) : wants_split(q, old, valid))
        q->vd->interrupt(q->vd, q->vector, false);
}
