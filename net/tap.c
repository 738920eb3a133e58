/*
 * tap.c - a network interface of the host (TUN/TAP), and QEMU's bridge helper
 *
 * With vnet_hdr each frame carries struct virtio_net_hdr (10 bytes), so that
 * checksums and segmentation are the host kernel's work; without, frames are
 * complete. Scripts are run with the interface's name as their argument.
 *
 * Source: Linux Documentation/networking/tuntap; struct virtio_net_hdr: VIRTIO
 * 1.2, 5.1.6.
 */
#define _GNU_SOURCE 1
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>
#include "net/net-int.h"

#define TAP_QUEUES    31           /* as many pairs as a card can have */
#define BATCH_FRAMES  64
#define BATCH_BYTES   (4 * (VNET_BYTES + NET_FRAME_MAX))
#define BATCHES_A_TURN 16
#define VNET_BYTES    10
#define IFUP   "/etc/qemu-ifup"
#define IFDOWN "/etc/qemu-ifdown"
#define BRIDGE_HELPER "/usr/lib/qemu/qemu-bridge-helper"

enum { VNET_NEEDS_CSUM = 1, VNET_DATA_VALID = 2 };
enum { VNET_GSO_TCP4 = 1, VNET_GSO_UDP = 3, VNET_GSO_TCP6 = 4, VNET_GSO_ECN = 0x80 };

struct tap;

/** struct tap_queue - one descriptor of the interface; the kernel keeps a flow on one of them */
struct tap_queue {
    struct tap *tap;
    int fd;
    uint8_t index;
    bool detached;           /* the card does not use it: the kernel was told */
    bool gone;               /* the interface was deleted */
};

struct tap {
    struct netport port;
    bool vnet, paused, full;
    bool several;            /* IFF_MULTI_QUEUE */
    unsigned n_queues;
    struct tap_queue queue[TAP_QUEUES];
    char *down_script;       /* owned */
    char ifname[IFNAMSIZ];
    struct iovec got[BATCH_FRAMES]; /* in buf */
    uint8_t buf[BATCH_BYTES];
};

static void tap_ready(void *opaque, int fd, short revents);

static void watch(struct tap *t)
{
    short events = (t->paused ? 0 : POLLIN) | (t->full ? POLLOUT : 0);

    for (unsigned i = 0; i < t->n_queues; i++)
        if (!t->queue[i].detached && !t->queue[i].gone)
            loop_add_fd(t->port.net->loop, t->queue[i].fd, events, tap_ready, &t->queue[i]);
}

/* ---- struct virtio_net_hdr --------------------------------------------------------- */

static void vnet_put(uint8_t *h, const struct net_offload *o)
{
    static const uint8_t gso[] = { 0, VNET_GSO_TCP4, VNET_GSO_TCP6, VNET_GSO_UDP };

    h[0] = o->csum ? VNET_NEEDS_CSUM : o->valid ? VNET_DATA_VALID : 0;
    h[1] = gso[o->gso] | (o->ecn ? VNET_GSO_ECN : 0);
    stl16(h + 2, o->hdr_len);
    stl16(h + 4, o->gso_size);
    stl16(h + 6, o->csum_start);
    stl16(h + 8, o->csum_offset);
}

static void vnet_get(const uint8_t *h, struct net_offload *o)
{
    unsigned type = h[1] & ~VNET_GSO_ECN;

    *o = (struct net_offload){
        .csum = h[0] & VNET_NEEDS_CSUM, .valid = h[0] & VNET_DATA_VALID,
        .ecn = h[1] & VNET_GSO_ECN,
        .gso = type == VNET_GSO_TCP4 ? NET_GSO_TCP4 : type == VNET_GSO_TCP6 ? NET_GSO_TCP6
             : type == VNET_GSO_UDP ? NET_GSO_UDP : NET_GSO_NONE,
        .hdr_len = ldl16(h + 2), .gso_size = ldl16(h + 4),
        .csum_start = ldl16(h + 6), .csum_offset = ldl16(h + 8),
    };
}

/* ---- frames -------------------------------------------------------------------------- */

/* Frames one behind the other into buf, without the machine lock: reading 64 KiB takes
 * longer than handing them to a card, and vCPUs would wait. */
static unsigned read_batch(struct tap *t, int fd)
{
    struct net *net = t->port.net;
    size_t at = 0;
    unsigned n = 0;

    if (net->unlock)
        net->unlock(net->lock_opaque);
    while (n < BATCH_FRAMES && BATCH_BYTES - at >= VNET_BYTES + NET_FRAME_MAX) {
        ssize_t len = read(fd, t->buf + at, VNET_BYTES + NET_FRAME_MAX);

        if (len <= 0)
            break;
        t->got[n++] = (struct iovec){ t->buf + at, len };
        at += len;
    }
    if (net->lock)
        net->lock(net->lock_opaque);
    return n;
}

static void send_batch(struct tap *t, uint8_t queue, unsigned n)
{
    size_t skip = t->vnet ? VNET_BYTES : 0;

    for (unsigned i = 0; i < n; i++) {
        const uint8_t *d = t->got[i].iov_base;
        struct net_frame f = { .data = d + skip, .queue = queue };

        if (t->got[i].iov_len <= skip)
            continue;
        f.len = t->got[i].iov_len - skip;
        if (t->vnet)
            vnet_get(d, &f.off);
        t->paused |= !net_send(&t->port, &f);
    }
}

static void tap_read(struct tap_queue *q)
{
    struct tap *t = q->tap;
    unsigned n = BATCH_FRAMES;

    for (int i = 0; i < BATCHES_A_TURN && n && !t->paused; i++) {
        n = read_batch(t, q->fd);
        send_batch(t, q->index, n);
    }
    if (t->paused)
        watch(t);
}

static void tap_ready(void *opaque, int fd, short revents)
{
    struct tap_queue *q = opaque;
    struct tap *t = q->tap;

    if (revents & POLLOUT && t->full) {
        t->full = false;
        watch(t);
        net_flush(&t->port);
    }
    if (revents & POLLIN && !t->paused)
        tap_read(q);
    else if (revents & POLLERR) {        /* for good: it would be told again and again */
        log_ev(LOG_NET, "net id=%s interface %s is gone", t->port.id, t->ifname);
        q->gone = true;
        loop_del_fd(t->port.net->loop, fd);
    }
}

static void tap_room(void *opaque)
{
    struct tap *t = opaque;

    t->paused = false;
    watch(t);
}

static bool tap_receive(void *opaque, const struct net_frame *f)
{
    struct tap *t = opaque;
    uint8_t h[VNET_BYTES];
    struct iovec iov[2] = { { h, VNET_BYTES }, { (void *)f->data, f->len } };
    const struct tap_queue *q = &t->queue[f->queue < t->n_queues ? f->queue : 0];
    ssize_t n;

    if (t->full)
        return false;
    if (q->detached)
        q = &t->queue[0];
    if (q->gone)
        return true;         /* lost, as with a cable that is out */
    if (t->vnet)
        vnet_put(h, &f->off);
    n = t->vnet ? writev(q->fd, iov, 2) : write(q->fd, f->data, f->len);
    if (n < 0 && errno == EAGAIN) {
        t->full = true;
        watch(t);
        return false;
    }
    return true;             /* other errors: the interface is down; frames are lost */
}

/* ---- scripts, helper ------------------------------------------------------------------- */

static int run_script(const char *script, const char *ifname, struct err *e)
{
    int status = 0;
    pid_t pid;

    if (access(script, X_OK) < 0)
        return err_set(e, -errno, "script=%s: %s", script, strerror(errno));
    pid = fork();
    if (pid == 0) {
        execl(script, script, ifname, (char *)NULL);
        _exit(127);
    }
    if (pid < 0 || waitpid(pid, &status, 0) < 0)
        return err_set(e, -errno, "script=%s: %s", script, strerror(errno));
    if (!WIFEXITED(status) || WEXITSTATUS(status))
        return err_set(e, -EIO, "script=%s: failed with status %d", script,
                       WIFEXITED(status) ? WEXITSTATUS(status) : -1);
    return 0;
}

/* The helper sends the descriptor of a tap on bridge @br through the socket. */
static int receive_fd(int sock)
{
    char byte, ctl[CMSG_SPACE(sizeof(int))];
    struct iovec iov = { &byte, 1 };
    struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = ctl,
                          .msg_controllen = sizeof ctl };
    struct cmsghdr *c;
    int fd = -1;

    if (recvmsg(sock, &msg, MSG_CMSG_CLOEXEC) <= 0)
        return -1;
    c = CMSG_FIRSTHDR(&msg);
    if (c && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS)
        memcpy(&fd, CMSG_DATA(c), sizeof fd);
    return fd;
}

/* In the child: what it has to say goes to @errors, so that there is one line in the end. */
static void exec_helper(const char *helper, const char *br, int sock, int errors)
{
    char arg_fd[32], arg_br[64];

    snprintf(arg_fd, sizeof arg_fd, "--fd=%d", sock);
    snprintf(arg_br, sizeof arg_br, "--br=%s", br);
    dup2(errors, STDERR_FILENO);
    execl(helper, helper, "--use-vnet", arg_fd, arg_br, (char *)NULL);
    _exit(127);
}

static int helper_failed(const char *helper, const char *br, int errors, struct err *e)
{
    char said[160] = "";
    ssize_t n = read(errors, said, sizeof said - 1);

    said[n > 0 ? strcspn(said, "\n") : 0] = 0;
    return err_set(e, -EIO, "helper=%s: gave no tap on bridge %s%s%s", helper, br, *said ? ": " : "", said);
}

static int bridge_helper(const char *helper, const char *br, struct err *e)
{
    int sv[2], errors[2], fd;
    pid_t pid;

    if (access(helper, X_OK) < 0)
        return err_set(e, -errno, "helper=%s: %s", helper, strerror(errno));
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, sv) < 0)
        return err_set(e, -errno, "bridge: %s", strerror(errno));
    if (pipe2(errors, O_CLOEXEC) < 0) {
        close(sv[0]);
        close(sv[1]);
        return err_set(e, -errno, "bridge: %s", strerror(errno));
    }
    pid = fork();
    if (pid == 0) {
        close(sv[0]);
        exec_helper(helper, br, sv[1], errors[1]);
    }
    close(sv[1]);
    close(errors[1]);
    fd = pid < 0 ? -1 : receive_fd(sv[0]);
    close(sv[0]);
    if (pid > 0)
        waitpid(pid, NULL, 0);
    if (fd < 0)
        fd = helper_failed(helper, br, errors[0], e);
    close(errors[0]);
    return fd;
}

/* ---- opening ------------------------------------------------------------------------------ */

static void add_queue(struct tap *t, int fd)
{
    struct tap_queue *q = &t->queue[t->n_queues];

    *q = (struct tap_queue){ .tap = t, .fd = fd, .index = t->n_queues++ };
    fcntl(fd, F_SETFD, FD_CLOEXEC);
    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
}

static int tun_error(const char *name, int code, struct err *e)
{
    return err_set(e, -code, "tap: interface %s: %s%s", *name ? name : "tapN", strerror(code),
                   code == EPERM ? " (this needs root, or an interface made for this user: "
                                   "ip tuntap add)" : "");
}

/* One queue of interface t->ifname, or of a new one, whose name is then there. */
static int tun_open(struct tap *t, struct err *e)
{
    struct ifreq ifr = { .ifr_flags = IFF_TAP | IFF_NO_PI | (t->vnet ? IFF_VNET_HDR : 0) |
                                      (t->several ? IFF_MULTI_QUEUE : 0) };
    int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC), code, ret;

    if (fd < 0)
        return err_set(e, -errno, "tap: /dev/net/tun: %s", strerror(errno));
    snprintf(ifr.ifr_name, IFNAMSIZ, "%s", *t->ifname ? t->ifname : "tap%d");
    ret = ioctl(fd, TUNSETIFF, &ifr);
    if (ret < 0 && errno == EINVAL && !t->several) { /* made with several: one will do */
        ifr.ifr_flags |= IFF_MULTI_QUEUE;
        ret = ioctl(fd, TUNSETIFF, &ifr);
    }
    if (ret < 0) {
        code = errno;
        close(fd);
        return tun_error(t->ifname, code, e);
    }
    snprintf(t->ifname, sizeof t->ifname, "%s", ifr.ifr_name);
    add_queue(t, fd);
    return 0;
}

/* A descriptor from outside: what kind of tap it is, the kernel knows. It stays theirs when
 * this fails. */
static int tap_adopt(struct tap *t, int fd, struct err *e)
{
    struct ifreq ifr = { .ifr_name = "" };
    bool vnet;

    if (ioctl(fd, TUNGETIFF, &ifr) < 0)
        return err_set(e, -EINVAL, "fd=%d: not a tap: %s", fd, strerror(errno));
    vnet = ifr.ifr_flags & IFF_VNET_HDR;
    if (t->n_queues && (vnet != t->vnet || strncmp(t->ifname, ifr.ifr_name, IFNAMSIZ)))
        return err_set(e, -EINVAL, "fd=%d: a queue of %s, not of %s as the others", fd, ifr.ifr_name,
                       t->ifname);
    t->vnet = vnet;
    t->several = ifr.ifr_flags & IFF_MULTI_QUEUE;
    snprintf(t->ifname, sizeof t->ifname, "%s", ifr.ifr_name);
    add_queue(t, fd);
    return 0;
}

static void tap_start(struct tap *t)
{
    int hdr = VNET_BYTES, fd = t->queue[0].fd;  /* these are the interface's, not the queue's */

    if (t->vnet && ioctl(fd, TUNSETVNETHDRSZ, &hdr) == 0) {
        /* the kernel may leave these open in what it gives us; net.c completes
         * them for cards that cannot take them */
        if (ioctl(fd, TUNSETOFFLOAD, TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6) < 0)
            ioctl(fd, TUNSETOFFLOAD, 0);
        t->port.caps = NET_CAP_CSUM | NET_CAP_TSO4 | NET_CAP_TSO6;
    }
    t->port.queues = t->n_queues;
    netport_info(&t->port, "ifname=%s,vnet_hdr=%s,queues=%u", t->ifname, t->vnet ? "on" : "off",
                 t->n_queues);
    watch(t);
}

/* The kernel gives flows to attached queues only. */
static void tap_set_queues(void *opaque, unsigned n)
{
    struct tap *t = opaque;

    for (unsigned i = 1; i < t->n_queues; i++) {
        struct tap_queue *q = &t->queue[i];
        bool detach = i >= n;
        struct ifreq ifr = { .ifr_flags = detach ? IFF_DETACH_QUEUE : IFF_ATTACH_QUEUE };

        if (detach == q->detached || ioctl(q->fd, TUNSETQUEUE, &ifr) < 0)
            continue;
        q->detached = detach;
        if (detach)                      /* poll() would say POLLERR for ever */
            loop_del_fd(t->port.net->loop, q->fd);
    }
    watch(t);
}

static void tap_close(void *opaque)
{
    struct tap *t = opaque;

    if (t->down_script)
        run_script(t->down_script, t->ifname, NULL);
    for (unsigned i = 0; i < t->n_queues; i++) {
        loop_del_fd(t->port.net->loop, t->queue[i].fd);
        close(t->queue[i].fd);
    }
    netport_free(&t->port);
    free(t->down_script);
    free(t);
}

static const struct net_ops tap_ops = {
    .kind = "tap", .receive = tap_receive, .room = tap_room, .close = tap_close,
    .set_queues = tap_set_queues,
};

/* ---- properties ---------------------------------------------------------------------------- */

/* The default scripts are optional, a named one is not. */
static int scripts(struct tap *t, struct net_props *ps, struct err *e)
{
    const char *up = props_get(ps, "script", NULL), *down = props_get(ps, "downscript", NULL);
    const char *run = up ? up : access(IFUP, X_OK) == 0 ? IFUP : "no";

    down = down ? down : access(IFDOWN, X_OK) == 0 ? IFDOWN : "no";
    if (strcmp(run, "no") && *run && run_script(run, t->ifname, e) < 0)
        return -EIO;
    if (strcmp(down, "no") && *down)
        t->down_script = xstrdup(down);
    return 0;
}

/* fd=N, or fds=N:N... */
static int open_fds(struct tap *t, const char *key, const char *list, struct err *e)
{
    const char *s = list;
    char *end;

    do {
        long fd = strtol(s, &end, 10);

        if (end == s || (*end && (*end != ':' || !strcmp(key, "fd"))) || fd < 0 || fd > INT32_MAX)
            return err_set(e, -EINVAL, "%s=%s: a descriptor's number is wanted%s", key, list,
                           strcmp(key, "fd") ? ", or several with colons" : "");
        if (t->n_queues == TAP_QUEUES)
            return err_set(e, -E2BIG, "%s=%s: more than %d queues", key, list, TAP_QUEUES);
        if (tap_adopt(t, fd, e) < 0)
            return -EINVAL;
        s = end + 1;
    } while (*end);
    return 0;
}

static int open_new(struct tap *t, struct net_props *ps, struct err *e)
{
    const char *name = props_get(ps, "ifname", "");
    long queues;
    int ret = 0;

    if (props_number(ps, "queues", TAP_QUEUES, 1, &queues, e) < 0 ||
        props_bool(ps, "vnet_hdr", true, &t->vnet, e) < 0)
        return -EINVAL;
    if (!queues)
        return err_set(e, -EINVAL, "queues=0: at least one is wanted");
    if (strlen(name) >= IFNAMSIZ)
        return err_set(e, -EINVAL, "ifname=%s: longer than %d characters", name, IFNAMSIZ - 1);
    snprintf(t->ifname, sizeof t->ifname, "%s", name);
    t->several = queues > 1;
    while (ret == 0 && (long)t->n_queues < queues)
        ret = tun_open(t, e);
    return ret < 0 ? ret : scripts(t, ps, e);
}

static int open_helper(struct tap *t, const char *helper, const char *br, struct err *e)
{
    int fd = bridge_helper(helper, br, e);

    if (fd < 0)
        return fd;
    if (tap_adopt(t, fd, e) == 0)
        return 0;
    close(fd);
    return -EINVAL;
}

/* What makes no sense beside a tap that is there already. */
static int check_alone(struct net_props *ps, const char *with, struct err *e)
{
    static const char *const keys[] = { "ifname", "script", "downscript", "vnet_hdr", "queues" };

    for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
        if (props_get(ps, keys[i], NULL))
            return err_set(e, -EINVAL, "tap: %s= and %s= exclude each other", with, keys[i]);
    return 0;
}

/* vhost is the kernel at work on the guest's rings: here they are ours. */
static int no_vhost(struct net_props *ps, struct err *e)
{
    bool on;

    if (props_bool(ps, "vhost", false, &on, e) < 0)
        return -EINVAL;
    if (on || props_get(ps, "vhostfd", NULL) || props_get(ps, "vhostfds", NULL))
        return err_set(e, -ENOTSUP, "tap: vhost is not supported: leave it out");
    return 0;
}

static int set_sndbuf(struct tap *t, struct net_props *ps, struct err *e)
{
    const char *text = props_get(ps, "sndbuf", NULL);
    uint64_t bytes = 0;
    int n;

    if (!text)
        return 0;
    if (parse_size(text, 1, &bytes) < 0 || bytes > INT32_MAX)
        return err_set(e, -EINVAL, "sndbuf=%s: bytes are wanted; 0: no limit", text);
    n = bytes ? (int)bytes : INT32_MAX;
    if (ioctl(t->queue[0].fd, TUNSETSNDBUF, &n) < 0)
        return err_set(e, -errno, "sndbuf=%s: %s", text, strerror(errno));
    return 0;
}

static int tap_open(struct tap *t, struct net_props *ps, struct err *e)
{
    const char *fd = props_get(ps, "fd", NULL), *fds = props_get(ps, "fds", NULL);
    const char *helper = props_get(ps, "helper", NULL);
    const char *given = fd ? "fd" : fds ? "fds" : helper ? "helper" : NULL;

    if (!!fd + !!fds + !!helper > 1)
        return err_set(e, -EINVAL, "tap: one of fd=, fds= and helper= is wanted");
    if (no_vhost(ps, e) < 0 || (given && check_alone(ps, given, e) < 0))
        return -EINVAL;
    if (helper)
        return open_helper(t, helper, props_get(ps, "br", "br0"), e);
    return given ? open_fds(t, given, fd ? fd : fds, e) : open_new(t, ps, e);
}

/* Descriptors that came from outside stay open when it fails: they are not ours yet. */
static void give_back(struct tap *t, struct net_props *ps)
{
    if (!props_get(ps, "fd", NULL) && !props_get(ps, "fds", NULL))
        return;
    t->n_queues = 0;
}

static struct tap *tap_alloc(struct net *n, const char *id)
{
    struct tap *t = xzalloc(sizeof *t);

    netport_init(&t->port, n, &tap_ops, t, id);
    return t;
}

struct netport *net_tap_new(struct net *n, const char *id, struct net_props *ps, struct err *e)
{
    struct tap *t = tap_alloc(n, id);

    if (tap_open(t, ps, e) < 0 || set_sndbuf(t, ps, e) < 0) {
        give_back(t, ps);
        tap_close(t);
        return NULL;
    }
    tap_start(t);
    return &t->port;
}

struct netport *net_bridge_new(struct net *n, const char *id, struct net_props *ps,
                               struct err *e)
{
    struct tap *t = tap_alloc(n, id);

    if (open_helper(t, props_get(ps, "helper", BRIDGE_HELPER), props_get(ps, "br", "br0"), e) < 0) {
        tap_close(t);
        return NULL;
    }
    tap_start(t);
    return &t->port;
}
