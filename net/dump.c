/*
 * dump.c - filter-dump: the frames of a back end, in a file for tshark
 *
 * Source: the pcap file format (draft-ietf-opsawg-pcap): magic a1b2c3d4,
 * microseconds, link type 1 (Ethernet).
 */
#include <stdlib.h>
#include <time.h>
#include "net/net-int.h"

struct net_dump {
    FILE *f;
    size_t max_bytes;        /* a frame */
    bool rx, tx;             /* what the back end receives, what it sends: queue= */
};

struct pcap_file {
    uint32_t magic;
    uint16_t major, minor;
    int32_t zone;
    uint32_t accuracy, snap_bytes, link_type;
};

struct pcap_frame {
    uint32_t sec, usec, stored_bytes, frame_bytes;
};

void net_dump_free(struct net_dump *d)
{
    if (!d)
        return;
    fclose(d->f);
    free(d);
}

void net_dump_frame(struct net_dump *d, const struct net_frame *f, bool sent)
{
    size_t len = MIN(f->len, d->max_bytes);
    struct timespec now;
    struct pcap_frame h;

    if (!(sent ? d->tx : d->rx))
        return;
    clock_gettime(CLOCK_REALTIME, &now);
    h = (struct pcap_frame){ .sec = now.tv_sec, .usec = now.tv_nsec / 1000,
                             .stored_bytes = len, .frame_bytes = f->len };
    if (fwrite(&h, sizeof h, 1, d->f) == 1 && fwrite(f->data, 1, len, d->f) == len && !fflush(d->f))
        return;
    /* a full disk ends the recording, not the guest */
    fprintf(stderr, "transom: filter-dump: %s; the recording ends here\n", strerror(errno));
    d->rx = d->tx = false;
}

static struct net_dump *dump_open(const char *path, long max_bytes, struct err *e)
{
    struct pcap_file h = { .magic = 0xa1b2c3d4, .major = 2, .minor = 4,
                           .snap_bytes = max_bytes, .link_type = 1 };
    struct net_dump *d;
    FILE *f = fopen(path, "we");

    if (!f || fwrite(&h, sizeof h, 1, f) != 1 || fflush(f)) {
        err_set(e, -errno, "file=%s: %s", path, strerror(errno));
        if (f)
            fclose(f);
        return NULL;
    }
    d = xzalloc(sizeof *d);
    d->f = f;
    d->max_bytes = max_bytes;
    return d;
}

/* queue=: seen from the back end, tx is what it gives to the card */
static int directions(struct net_dump *d, struct net_props *ps, struct err *e)
{
    const char *queue = props_get(ps, "queue", "all");

    d->rx = !strcmp(queue, "all") || !strcmp(queue, "rx");
    d->tx = !strcmp(queue, "all") || !strcmp(queue, "tx");
    return d->rx || d->tx ? 0 : err_set(e, -EINVAL, "queue=%s: all, rx or tx is wanted", queue);
}

static int dump_make(struct net *n, struct net_props *ps, struct err *e)
{
    const char *dev = props_get(ps, "netdev", NULL), *file = props_get(ps, "file", NULL);
    struct netport *p = dev ? net_find(n, dev) : NULL;
    struct net_dump d;
    bool on;
    long max;

    if (!dev || !file)
        return err_set(e, -EINVAL, "filter-dump: netdev= and file= are needed");
    if (!p)
        return err_set(e, -ENOENT, "filter-dump: there is no netdev '%s'", dev);
    if (p->dump)
        return err_set(e, -EBUSY, "filter-dump: '%s' is being recorded already", dev);
    if (props_number(ps, "maxlen", 262144, NET_FRAME_MAX, &max, e) < 0 ||
        props_bool(ps, "status", true, &on, e) < 0 || directions(&d, ps, e) < 0)
        return -EINVAL;
    p->dump = dump_open(file, max, e);
    if (!p->dump)
        return -EIO;
    p->dump->rx = on && d.rx;
    p->dump->tx = on && d.tx;
    return 0;
}

int net_dump_new(struct net *n, const char *spec, struct err *e)
{
    struct net_props ps;
    int ret = props_parse(&ps, spec, e);

    if (ret < 0)
        return ret;
    if (ps.n && !ps.p[0].val)
        ps.p[0].used = true;             /* "filter-dump" itself */
    ret = !props_get(&ps, "id", NULL) ? err_set(e, -EINVAL, "filter-dump: id= is missing")
        : props_check("filter-dump", "id netdev file maxlen queue status", &ps, e);
    if (ret == 0)
        ret = dump_make(n, &ps, e);
    props_free(&ps);
    return ret;
}
