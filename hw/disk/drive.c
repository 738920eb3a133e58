/*
 * drive.c - drives of the machine, and what happens to requests that fail
 */
#include <stdlib.h>
#include "hw/disk/drive.h"
#include "hw/outside.h"
#include "trace/format.h"

/* Counted time: what a request takes, about as an SSD. */
#define COUNTED_NS 50000
#define COUNTED_BYTES_A_NS 1

static void block_changed(void *opaque)
{
    struct drive *d = opaque;

    if (d->changed)
        d->changed(d->changed_opaque);
}

struct drive *drive_new(struct machine *m, const char *id, struct block *blk)
{
    struct drive *d = xzalloc(sizeof *d), **p = &m->drives;

    d->id = xstrdup(id);
    d->blk = blk;
    d->machine = m;
    while (*p)
        p = &(*p)->next;
    *p = d;
    block_set_change(blk, block_changed, d);
    return d;
}

struct drive *drive_find(struct machine *m, const char *id)
{
    struct drive *d = m->drives;

    while (d && strcmp(d->id, id))
        d = d->next;
    return d;
}

int drive_claim(struct drive *d, struct device *owner, void (*changed)(void *opaque),
                void *opaque, struct err *e)
{
    if (d->owner && d->owner != owner)
        return err_set(e, -EBUSY, "%s: drive '%s' is in use by %s", owner->type->name, d->id,
                       d->owner->type->name);
    d->owner = owner;
    d->changed = changed;
    d->changed_opaque = opaque;
    return 0;
}

/* ---- media ------------------------------------------------------------------------ */

int drive_may_open(struct drive *d, bool force, struct err *e)
{
    const struct drive_tray *t = d->tray;

    if (d->owner && !t)
        return err_set(e, -EPERM, "Device '%s' is not removable", d->id);
    if (!t || force || !t->locked || !t->locked(d->changed_opaque))
        return 0;
    if (t->ask)
        t->ask(d->changed_opaque);
    return err_set(e, -EPERM, "Device '%s' is locked and force was not specified, "
                   "wait for tray to open and try again", d->id);
}

/* An id that may stand in JSON as it is; "" for others. */
static const char *plain(const char *id)
{
    return id && !id[strcspn(id, "\"\\\n\r\t")] ? id : "";
}

bool drive_tray_open(const struct drive *d)
{
    return d->tray && d->tray->open && d->tray->open(d->changed_opaque);
}

void drive_tray_move(struct drive *d, bool open)
{
    if (!d->tray || !d->tray->move || drive_tray_open(d) == open)
        return;
    d->tray->move(d->changed_opaque, open);
    machine_event(d->machine, "DEVICE_TRAY_MOVED", "{\"device\": \"%s\", \"id\": \"%s\", \"tray-open\": %s}",
                  plain(d->id), plain(d->owner ? d->owner->id : NULL), open ? "true" : "false");
}

int drive_eject(struct drive *d, bool force, struct err *e)
{
    int ret = drive_may_open(d, force, e);

    if (ret < 0)
        return ret;
    drive_drain(d);
    drive_tray_move(d, true);
    ret = block_eject(d->blk);
    return ret < 0 ? err_set(e, ret, "Device '%s': %s", d->id, strerror(-ret)) : 0;
}

int drive_change(struct drive *d, const struct block_opts *o, bool force, struct err *e)
{
    int ret = drive_may_open(d, force, e);

    if (ret < 0)
        return ret;
    drive_drain(d);
    drive_tray_move(d, true);
    ret = block_change(d->blk, o, e);
    drive_tray_move(d, false);
    return ret;
}

void drive_release(struct drive *d)
{
    if (!d)
        return;
    drive_drain(d);
    d->owner = NULL;
    d->changed = NULL;
    d->tray = NULL;
}

int drive_del(struct drive *d, struct err *e)
{
    struct drive **p = &d->machine->drives;

    if (d->owner)
        return err_set(e, -EBUSY, "Node '%s' is in use", d->id);
    while (*p != d)
        p = &(*p)->next;
    *p = d->next;
    d->next = NULL;
    return drives_free(d, e);
}

int drives_free(struct drive *list, struct err *e)
{
    struct drive *next;
    int first = 0;

    for (struct drive *d = list; d; d = next) {
        int ret;

        next = d->next;
        drive_drain(d);
        ret = block_close(d->blk);
        if (ret < 0 && !first)
            first = err_set(e, ret, "drive %s: %s", d->id, strerror(-ret));
        free(d->id);
        free(d->serial);
        free(d);
    }
    return first;
}

/* ---- requests --------------------------------------------------------------------- */

static enum block_onerr on_error(const struct drive_req *r, int err)
{
    const struct block_opts *o = block_options(r->drive->blk);
    enum block_onerr how = r->r.op == BLOCK_READ ? o->rerror : o->werror;

    if (err == -ECANCELED || err == -ENOMEDIUM)
        return BLOCK_ERR_REPORT;
    if (how == BLOCK_ERR_ENOSPC)
        return err == -ENOSPC ? BLOCK_ERR_STOP : BLOCK_ERR_REPORT;
    return how;
}

/* BLK: the drive's place in the list, operation, offset, length or what came of it */
static void note(const struct drive_req *r, bool done, int64_t last)
{
    const struct machine *m = r->drive->machine;
    unsigned n = 0;

    if (likely(!m->trace.event))
        return;
    for (const struct drive *d = m->drives; d && d != r->drive; d = d->next)
        n++;
    m->trace.event(m->trace.opaque, TRACE_BLK, (uint64_t[]){ n, (unsigned)r->r.op | done << 8,
                                                             (uint64_t)r->r.off, (uint64_t)last }, 4);
}

static void finish(struct drive_req *r, int ret)
{
    note(r, true, -(int64_t)ret);
    outside_tell(r->drive->machine, &(struct outside_event){ .kind = OUTSIDE_DISK, .source = r->drive->id, .arg = {
        r->r.op, (int64_t)r->r.off, (int64_t)r->r.len, ret } });
    r->drive->in_flight--;
    r->cb(r, ret);
}

static void tell_error(const struct drive *d, enum block_op op, enum block_onerr how, int err)
{
    machine_event(d->machine, "BLOCK_IO_ERROR", "{\"device\": \"%s\", \"node-name\": \"%s\", \"operation\": "
                  "\"%s\", \"action\": \"%s\", \"nospace\": %s, \"reason\": \"%s\"}", plain(d->id), plain(d->id),
                  op == BLOCK_READ ? "read" : "write",
                  how == BLOCK_ERR_IGNORE ? "ignore" : how == BLOCK_ERR_STOP ? "stop" : "report",
                  err == -ENOSPC ? "true" : "false", strerror(-err));
}

static void done(struct drive_req *r, int ret)
{
    struct drive *d = r->drive;

    if (likely(!ret) || r->ahead) {
        finish(r, ret);
        return;
    }
    log_ev(LOG_UNIMP, "drive=%s op=%d off=%#llx len=%#llx error=%s", d->id, r->r.op,
           (unsigned long long)r->r.off, (unsigned long long)r->r.len, strerror(-ret));
    tell_error(d, r->r.op, on_error(r, ret), ret);
    switch (on_error(r, ret)) {
    case BLOCK_ERR_IGNORE:
        finish(r, 0);
        break;
    case BLOCK_ERR_STOP:
        r->next_parked = d->parked;
        d->parked = r;
        fprintf(stderr, "transom: drive %s: %s; the guest is stopped\n", d->id, strerror(-ret));
        machine_request_stop(d->machine);
        break;
    default:
        finish(r, ret);
        break;
    }
}

static void on_done(struct block_req *br, int ret)
{
    done(container_of(br, struct drive_req, r), ret);
}

/* ---- when time is counted ------------------------------------------------------------ */

static void keep_result(struct block_req *br, int ret)
{
    container_of(br, struct drive_req, r)->ret = ret;
}

static void on_due(void *opaque)
{
    struct drive_req *r = opaque;

    done(r, r->ret);
}

static int64_t counted_ns(const struct drive_req *r)
{
    bool moves = r->r.op == BLOCK_READ || r->r.op == BLOCK_WRITE;

    return COUNTED_NS + (moves ? (int64_t)MIN(r->r.len / COUNTED_BYTES_A_NS, (uint64_t)INT32_MAX) : 0);
}

static void start_counted(struct drive *d, struct drive_req *r)
{
    struct timer_list *timers = &d->machine->timers;

    r->r.cb = keep_result;
    block_submit(d->blk, &r->r);
    block_drain(d->blk);
    timer_init(&r->due, timers, on_due, r);
    timer_mod(&r->due, clock_now_ns(timers->clock) + counted_ns(r));
}

/* The request of @d that ends next, or NULL. */
static struct drive_req *first_due(const struct drive *d)
{
    for (struct timer *t = d->machine->timers.head; t; t = t->next)
        if (t->cb == on_due && ((struct drive_req *)t->opaque)->drive == d)
            return t->opaque;
    return NULL;
}

/* All of them end now. */
static void drain_counted(struct drive *d)
{
    struct drive_req *r;

    while ((r = first_due(d))) {
        timer_del(&r->due);
        done(r, r->ret);
    }
}

/* ---- starting and waiting ---------------------------------------------------------------- */

static void start(struct drive *d, struct drive_req *r)
{
    r->next_parked = NULL;
    if (outside_counted(d->machine)) {
        start_counted(d, r);
        return;
    }
    r->r.cb = on_done;
    block_submit(d->blk, &r->r);
}

void drive_submit(struct drive *d, struct drive_req *r)
{
    r->drive = d;
    d->in_flight++;
    note(r, false, (int64_t)r->r.len);
    start(d, r);
}

static struct drive_req *take_parked(struct drive *d)
{
    struct drive_req *list = d->parked;

    d->parked = NULL;
    return list;
}

void drive_drain(struct drive *d)
{
    struct drive_req *r, *next;

    do {
        for (r = take_parked(d); r; r = next) {
            next = r->next_parked;
            finish(r, -ECANCELED);
        }
        if (d->in_flight) {          /* the machine may be gone otherwise */
            block_drain(d->blk);
            drain_counted(d);
        }
    } while (d->in_flight);
}

bool drive_busy(const struct drive *d)
{
    return d->in_flight != 0;
}

bool drives_stopped(const struct machine *m)
{
    for (const struct drive *d = m->drives; d; d = d->next)
        if (d->parked)
            return true;
    return false;
}

void drives_resume(struct machine *m)
{
    struct drive_req *r, *next;

    for (struct drive *d = m->drives; d; d = d->next)
        for (r = take_parked(d); r; r = next) {
            next = r->next_parked;
            start(d, r);
        }
}
