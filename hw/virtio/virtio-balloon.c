/*
 * virtio-balloon.c - the guest gives pages back: those that the host asks for (inflate), and
 * those that happen to be free (reporting)
 *
 * A page given back is discarded: the host's kernel takes its memory and has zeroes for whoever
 * touches it next, the guest included, so deflating needs nothing of us. Queues are numbered as drivers
 * do it: one behind the other, as far as their feature is offered; there is no free page hinting, so
 * reporting is queue 3.
 *
 * Source: VIRTIO 1.2, 5.5.
 */
#include <time.h>
#include "hw/virtio/virtio-balloon.h"
#include "hw/virtio/virtio.h"

enum { F_STATS_VQ = 1, F_DEFLATE_ON_OOM = 2, F_PAGE_POISON = 4, F_PAGE_REPORTING = 5 };
enum { CFG_NUM_PAGES = 0, CFG_ACTUAL = 4, CFG_POISON = 12, CFG_BYTES = 16 };
enum { Q_INFLATE, Q_DEFLATE, Q_STATS, Q_REPORTING };

#define PAGE_BYTES    4096u      /* whatever the guest's pages are: 5.5.6 */
#define PAGE_SHIFT    12
#define QUEUE_SIZE    128
#define PFNS_MAX      65536u     /* that are looked at in one request */
#define STAT_BYTES    10         /* tag, value */
#define EVENT_GAP_NS  1000000000 /* between two BALLOON_CHANGE */

struct virtio_balloon {
    struct virtio_pci vpci;
    bool deflate_on_oom, reporting, page_poison;
    uint32_t num_pages;          /* that the guest is to give */
    uint32_t actual;             /* that it says it has given */
    uint32_t poison;             /* what fills its free pages */
    struct virtq_elem stats;     /* waits for the next poll */
    bool stats_held;
    uint32_t poll_s;
    struct timer poll;
    uint64_t stat[BALLOON_STATS];
    int64_t stat_time;
    struct timer event;
    int64_t event_at_ns;         /* earliest time of the next */
};

static struct virtio_balloon *balloon_of(struct virtio *v)
{
    return container_of(v, struct virtio_balloon, vpci.v);
}

/* ---- pages ----------------------------------------------------------------------------- */

/** struct run - pages next to each other, which go at once */
struct run {
    struct machine *m;
    gpa_t first, n;
};

static void run_flush(struct run *r)
{
    if (r->n)
        ram_discard(r->m, r->first << PAGE_SHIFT, r->n << PAGE_SHIFT);
    r->n = 0;
}

/* Guests hand out pages upwards or downwards. */
static void run_add(struct run *r, gpa_t pfn)
{
    if (r->n && pfn == r->first + r->n) {
        r->n++;
    } else if (r->n && pfn + 1 == r->first) {
        r->first = pfn;
        r->n++;
    } else {
        run_flush(r);
        r->first = pfn;
        r->n = 1;
    }
}

static void discard_listed(struct virtio_balloon *s, const struct virtq_elem *e)
{
    struct run run = { .m = s->vpci.v.m };
    uint8_t pfn[256 * 4];
    uint64_t end = MIN(e->out.bytes / 4, PFNS_MAX) * 4, got;

    if (end != e->out.bytes)
        log_guest(LOG_PCI, "virtio-balloon list bytes=%#llx", (unsigned long long)e->out.bytes);
    for (uint64_t at = 0; at < end; at += got) {
        got = sg_get(&e->out, at, pfn, MIN(end - at, sizeof pfn));
        for (unsigned i = 0; i < got; i += 4)
            run_add(&run, ldl32(pfn + i));
    }
    run_flush(&run);
}

/* Pages that are filled with something else than zeroes would come back wrong. */
static void discard_reported(struct virtio_balloon *s, const struct virtq_elem *e)
{
    if (virtio_has(&s->vpci.v, F_PAGE_POISON) && s->poison)
        return;
    for (unsigned i = 0; i < e->in.n; i++)
        if (!e->in.piece[i].bounce)
            ram_discard(s->vpci.v.m, e->in.piece[i].gpa, e->in.piece[i].len);
}

static void take_pages(struct virtio_balloon *s, struct virtq *q)
{
    struct virtq_elem e;

    while (virtq_pop(q, &e)) {
        if (q->index == Q_INFLATE)
            discard_listed(s, &e);
        else if (q->index == Q_REPORTING)
            discard_reported(s, &e);
        virtq_push(&e, 0);
        virtq_notify(q);
    }
}

/* ---- statistics --------------------------------------------------------------------------- */

static void arm_poll(struct virtio_balloon *s)
{
    if (s->poll_s)
        timer_mod(&s->poll, clock_now_ns(&s->vpci.v.m->clock) + s->poll_s * 1000000000ll);
    else
        timer_del(&s->poll);
}

/* The buffer goes back when the next numbers are wanted: 5.5.6.3. */
static void on_poll(void *opaque)
{
    struct virtio_balloon *s = opaque;

    if (s->stats_held && virtio_live(&s->vpci.v)) {
        s->stats_held = false;
        virtq_push(&s->stats, 0);
        virtq_notify(s->stats.q);
    }
    arm_poll(s);
}

static void read_stats(struct virtio_balloon *s)
{
    uint64_t end = MIN(s->stats.out.bytes, 16u * STAT_BYTES);
    uint8_t record[STAT_BYTES];

    for (uint64_t at = 0; at + STAT_BYTES <= end; at += STAT_BYTES) {
        sg_get(&s->stats.out, at, record, STAT_BYTES);
        if (ldl16(record) < BALLOON_STATS)
            s->stat[ldl16(record)] = ldl64(record + 2);
    }
    s->stat_time = time(NULL);
}

/* There is one buffer; others go back. The queue must be seen empty for the driver to tell of
 * the next. */
static void take_stats(struct virtio_balloon *s, struct virtq *q)
{
    struct virtq_elem other;

    if (!s->stats_held && virtq_pop(q, &s->stats)) {
        s->stats_held = true;
        read_stats(s);
    }
    while (s->stats_held && virtq_pop(q, &other)) {
        virtq_push(&other, 0);
        virtq_notify(q);
    }
}

static void queue_notify(struct virtio *v, struct virtq *q)
{
    if (q->index == Q_STATS)
        take_stats(balloon_of(v), q);
    else
        take_pages(balloon_of(v), q);
}

/* ---- configuration ---------------------------------------------------------------------------- */

static void send_event(void *opaque)
{
    struct virtio_balloon *s = opaque;
    struct machine *m = s->vpci.v.m;

    s->event_at_ns = clock_now_ns(&m->clock) + EVENT_GAP_NS;
    machine_event(m, "BALLOON_CHANGE", "{\"actual\": %llu}",
                  (unsigned long long)balloon_actual(&s->vpci.pci.dev));
}

/* The last of many changes is always told. */
static void actual_changed(struct virtio_balloon *s, uint32_t actual)
{
    if (actual == s->actual)
        return;
    s->actual = actual;
    if (clock_now_ns(&s->vpci.v.m->clock) >= s->event_at_ns)
        send_event(s);
    else
        timer_mod(&s->event, s->event_at_ns);
}

static void get_config(struct virtio *v, uint8_t *c)
{
    struct virtio_balloon *s = balloon_of(v);

    stl32(c + CFG_NUM_PAGES, s->num_pages);
    stl32(c + CFG_ACTUAL, s->actual);
    stl32(c + CFG_POISON, s->poison);
}

static void set_config(struct virtio *v, const uint8_t *c)
{
    struct virtio_balloon *s = balloon_of(v);

    s->poison = ldl32(c + CFG_POISON);
    actual_changed(s, ldl32(c + CFG_ACTUAL));
}

/* Who starts anew has all of its memory; what is wanted of it stays. */
static void balloon_reset_queues(struct virtio *v)
{
    struct virtio_balloon *s = balloon_of(v);

    if (s->stats_held)
        virtq_discard(&s->stats);
    s->stats_held = false;
    s->poison = 0;
    actual_changed(s, 0);
}

static const struct virtio_ops balloon_ops = {
    .id = 5, .name = "virtio-balloon", .config_len = CFG_BYTES, .get_config = get_config,
    .set_config = set_config, .queue_notify = queue_notify, .reset = balloon_reset_queues,
};

/* ---- for the monitor --------------------------------------------------------------------------- */

bool balloon_is(const struct device *d)
{
    return virtio_pci_is(d, &virtio_balloon_pci_type);
}

struct device *balloon_find(struct machine *m)
{
    struct device *d = m->devices;

    while (d && !balloon_is(d))
        d = d->next;
    return d;
}

static uint64_t all_pages(const struct virtio_balloon *s)
{
    return MIN(s->vpci.v.m->cfg.ram_bytes >> PAGE_SHIFT, (uint64_t)UINT32_MAX);
}

void balloon_set_target(struct device *d, uint64_t bytes)
{
    struct virtio_balloon *s = (struct virtio_balloon *)d;
    uint64_t all = all_pages(s), keep = MIN(bytes >> PAGE_SHIFT, all);

    s->num_pages = all - keep;
    virtio_config_changed(&s->vpci.v);
}

uint64_t balloon_actual(const struct device *d)
{
    const struct virtio_balloon *s = (const struct virtio_balloon *)d;
    uint64_t given = MIN((uint64_t)s->actual, all_pages(s)) << PAGE_SHIFT;

    return s->vpci.v.m->cfg.ram_bytes - given;
}

void balloon_set_polling(struct device *d, uint32_t seconds)
{
    struct virtio_balloon *s = (struct virtio_balloon *)d;

    s->poll_s = seconds;
    arm_poll(s);
}

uint32_t balloon_polling(const struct device *d)
{
    return ((const struct virtio_balloon *)d)->poll_s;
}

int64_t balloon_stats(const struct device *d, uint64_t value[BALLOON_STATS])
{
    const struct virtio_balloon *s = (const struct virtio_balloon *)d;

    memcpy(value, s->stat, sizeof s->stat);
    return s->stat_time;
}

/* ---- life ---------------------------------------------------------------------------------------- */

static uint64_t balloon_features(const struct virtio_balloon *s)
{
    uint64_t f = BIT(F_STATS_VQ);

    if (s->deflate_on_oom)
        f |= BIT(F_DEFLATE_ON_OOM);
    if (s->page_poison)
        f |= BIT(F_PAGE_POISON);
    if (s->reporting)
        f |= BIT(F_PAGE_REPORTING);
    return f;
}

static int balloon_init(struct device *d, struct err *e)
{
    struct virtio_balloon *s = (struct virtio_balloon *)d;
    static const struct virtio_pci_id id = { 0x1002, 0x00ff00 };

    if (balloon_find(d->machine))
        return err_set(e, -EEXIST, "%s: there is a balloon already", d->type->name);
    memset(s->stat, 0xff, sizeof s->stat);
    timer_init(&s->poll, &d->machine->timers, on_poll, s);
    timer_init(&s->event, &d->machine->timers, send_event, s);
    virtio_init(&s->vpci.v, d->machine, &balloon_ops, balloon_features(s));
    for (unsigned i = 0; i < (s->reporting ? 4 : 3); i++)
        virtio_add_queue(&s->vpci.v, QUEUE_SIZE);
    return virtio_pci_init(&s->vpci, &id, e);
}

static void balloon_reset(struct device *d)
{
    virtio_pci_reset(&((struct virtio_balloon *)d)->vpci);
}

static void balloon_destroy(struct device *d)
{
    struct virtio_balloon *s = (struct virtio_balloon *)d;

    timer_del(&s->poll);
    timer_del(&s->event);
    s->vpci.v.status = 0;
    if (s->stats_held)
        virtq_discard(&s->stats);
    virtio_pci_destroy(&s->vpci);
}

static const struct dev_prop balloon_props[] = {
    VIRTIO_PCI_PROPS(struct virtio_balloon, vpci),
    PROP(BOOL, "deflate-on-oom", struct virtio_balloon, deflate_on_oom, NULL, 0, 0,
         "the guest may take pages back when it runs out"),
    PROP(BOOL, "free-page-reporting", struct virtio_balloon, reporting, NULL, 0, 0,
         "the guest tells which pages are free, and the host takes them"),
    PROP(BOOL, "page-poison", struct virtio_balloon, page_poison, "on", 0, 0,
         "the guest tells what it fills free pages with"),
    PROP_END
};

static const struct dev_field balloon_fields[] = {
    VIRTIO_PCI_FIELDS(struct virtio_balloon, vpci),
    FIELD(U32, struct virtio_balloon, num_pages), FIELD(U32, struct virtio_balloon, actual),
    FIELD(U32, struct virtio_balloon, poison),
    FIELD_END
};

#define BALLOON_TYPE(suffix, how) { \
    .name = "virtio-balloon-pci" suffix, .desc = "virtio memory balloon" how, .size = sizeof(struct virtio_balloon), \
    .init = balloon_init, .reset = balloon_reset, .destroy = balloon_destroy, .fields = balloon_fields, .props = balloon_props }

const struct device_type virtio_balloon_pci_type = BALLOON_TYPE("", "");
const struct device_type virtio_balloon_pci_transitional_type = BALLOON_TYPE("-transitional", ", with legacy interface");
const struct device_type virtio_balloon_pci_non_transitional_type = BALLOON_TYPE("-non-transitional", ", virtio 1 only");
