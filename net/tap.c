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

#define BATCH_FRAMES  64
#define BATCH_BYTES   (4 * (VNET_BYTES + NET_FRAME_MAX))
#define BATCHES_A_TURN 16
#define VNET_BYTES    10
#define IFUP   "/etc/qemu-ifup"
#define IFDOWN "/etc/qemu-ifdown"
#define BRIDGE_HELPER "/usr/lib/qemu/qemu-bridge-helper"

enum { VNET_NEEDS_CSUM = 1, VNET_DATA_VALID = 2 };
enum { VNET_GSO_TCP4 = 1, VNET_GSO_UDP = 3, VNET_GSO_TCP6 = 4, VNET_GSO_ECN = 0x80 };

struct tap {
    struct netport port;
    int fd;
    bool vnet, paused, full;
    char *down_script;       /* owned */
    char ifname[IFNAMSIZ];
    struct iovec got[BATCH_FRAMES]; /* in buf */
    uint8_t buf[BATCH_BYTES];
};

static void tap_ready(void *opaque, int fd, short revents);

static void watch(struct tap *t)
{
    loop_add_fd(t->port.net->loop, t->fd, (t->paused ? 0 : POLLIN) | (t->full ? POLLOUT : 0),
                tap_ready, t);
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
static unsigned read_batch(struct tap *t)
{
    struct net *net = t->port.net;
    size_t at = 0;
    unsigned n = 0;

    if (net->unlock)
        net->unlock(net->lock_opaque);
    while (n < BATCH_FRAMES && BATCH_BYTES - at >= VNET_BYTES + NET_FRAME_MAX) {
        ssize_t len = read(t->fd, t->buf + at, VNET_BYTES + NET_FRAME_MAX);

        if (len <= 0)
            break;
        t->got[n++] = (struct iovec){ t->buf + at, len };
        at += len;
    }
    if (net->lock)
        net->lock(net->lock_opaque);
    return n;
}

static void send_batch(struct tap *t, unsigned n)
{
    size_t skip = t->vnet ? VNET_BYTES : 0;

    for (unsigned i = 0; i < n; i++) {
        const uint8_t *d = t->got[i].iov_base;
        struct net_frame f = { .data = d + skip };

        if (t->got[i].iov_len <= skip)
            continue;
        f.len = t->got[i].iov_len - skip;
        if (t->vnet)
            vnet_get(d, &f.off);
        t->paused = !net_send(&t->port, &f);
    }
}

static void tap_read(struct tap *t)
{
    unsigned n = BATCH_FRAMES;

    for (int i = 0; i < BATCHES_A_TURN && n && !t->paused; i++) {
        n = read_batch(t);
        send_batch(t, n);
    }
    if (t->paused)
        watch(t);
}

static void tap_ready(void *opaque, int fd, short revents)
{
    struct tap *t = opaque;

    if (revents & POLLOUT && t->full) {
        t->full = false;
        watch(t);
        net_flush(&t->port);
    }
    if (revents & POLLIN && !t->paused)
        tap_read(t);
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
    ssize_t n;

    if (t->full)
        return false;
    if (t->vnet)
        vnet_put(h, &f->off);
    n = t->vnet ? writev(t->fd, iov, 2) : write(t->fd, f->data, f->len);
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
    pid_t pid = fork();

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

static int bridge_helper(const char *helper, const char *br, struct err *e)
{
    int sv[2], fd, status = 0;
    char arg_fd[32], arg_br[64];
    pid_t pid;

    if (socketpair(AF_UNIX, SOCK_STREAM, 0, sv) < 0)
        return err_set(e, -errno, "bridge: %s", strerror(errno));
    snprintf(arg_fd, sizeof arg_fd, "--fd=%d", sv[1]);
    snprintf(arg_br, sizeof arg_br, "--br=%s", br);
    pid = fork();
    if (pid == 0) {
        close(sv[0]);
        execl(helper, helper, "--use-vnet", arg_fd, arg_br, (char *)NULL);
        _exit(127);
    }
    close(sv[1]);
    fd = pid < 0 ? -1 : receive_fd(sv[0]);
    close(sv[0]);
    if (pid > 0)
        waitpid(pid, &status, 0);
    if (fd < 0)
        return err_set(e, -EIO, "helper=%s: gave no tap on bridge %s", helper, br);
    return fd;
}

/* ---- opening ------------------------------------------------------------------------------ */

static int tun_open(struct tap *t, const char *name, bool vnet, struct err *e)
{
    struct ifreq ifr = { .ifr_flags = IFF_TAP | IFF_NO_PI | (vnet ? IFF_VNET_HDR : 0) };
    int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC), code;

    if (fd < 0)
        return err_set(e, -errno, "tap: /dev/net/tun: %s", strerror(errno));
    if (name && strlen(name) >= IFNAMSIZ) {
        close(fd);
        return err_set(e, -EINVAL, "ifname=%s: longer than %d characters", name, IFNAMSIZ - 1);
    }
    snprintf(ifr.ifr_name, IFNAMSIZ, "%s", name ? name : "tap%d");
    if (ioctl(fd, TUNSETIFF, &ifr) < 0) {
        code = errno;
        close(fd);
        return err_set(e, -code, "tap: interface %s: %s", name ? name : "tapN", strerror(code));
    }
    snprintf(t->ifname, sizeof t->ifname, "%s", ifr.ifr_name);
    return fd;
}

/* A descriptor from outside: what kind of tap it is, the kernel knows. */
static int tap_adopt(struct tap *t, int fd, struct err *e)
{
    struct ifreq ifr = { .ifr_name = "" };

    if (ioctl(fd, TUNGETIFF, &ifr) < 0)
        return err_set(e, -EINVAL, "fd=%d: not a tap: %s", fd, strerror(errno));
    t->vnet = ifr.ifr_flags & IFF_VNET_HDR;
    snprintf(t->ifname, sizeof t->ifname, "%s", ifr.ifr_name);
    fcntl(fd, F_SETFD, FD_CLOEXEC);
    t->fd = fd;
    return 0;
}

static void tap_start(struct tap *t)
{
    int hdr = VNET_BYTES;

    fcntl(t->fd, F_SETFL, fcntl(t->fd, F_GETFL) | O_NONBLOCK);
    if (t->vnet && ioctl(t->fd, TUNSETVNETHDRSZ, &hdr) == 0) {
        /* the kernel may leave these open in what it gives us; net.c completes
         * them for cards that cannot take them */
        if (ioctl(t->fd, TUNSETOFFLOAD, TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6) < 0)
            ioctl(t->fd, TUNSETOFFLOAD, 0);
        t->port.caps = NET_CAP_CSUM | NET_CAP_TSO4 | NET_CAP_TSO6;
    }
    netport_info(&t->port, "ifname=%s,vnet_hdr=%s", t->ifname, t->vnet ? "on" : "off");
    watch(t);
}

static void tap_close(void *opaque)
{
    struct tap *t = opaque;

    if (t->fd >= 0) {
        if (t->down_script)
            run_script(t->down_script, t->ifname, NULL);
        loop_del_fd(t->port.net->loop, t->fd);
        close(t->fd);
    }
    netport_free(&t->port);
    free(t->down_script);
    free(t);
}

static const struct net_ops tap_ops = {
    .kind = "tap", .receive = tap_receive, .room = tap_room, .close = tap_close,
};

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

static int tap_open(struct tap *t, struct net_props *ps, struct err *e)
{
    const char *fd = props_get(ps, "fd", NULL), *helper = props_get(ps, "helper", NULL);
    long queues;
    char *end;
    long n;

    if (props_number(ps, "queues", 256, 1, &queues, e) < 0)
        return -EINVAL;
    if (queues != 1)
        return err_set(e, -ENOTSUP, "queues=%ld: only one queue is supported", queues);
    if (fd) {
        n = strtol(fd, &end, 10);
        if (*end || end == fd)
            return err_set(e, -EINVAL, "fd=%s: a descriptor's number is wanted", fd);
        return tap_adopt(t, n, e);
    }
    if (helper) {
        n = bridge_helper(helper, props_get(ps, "br", "br0"), e);
        return n < 0 ? n : tap_adopt(t, n, e);
    }
    if (props_bool(ps, "vnet_hdr", true, &t->vnet, e) < 0)
        return -EINVAL;
    t->fd = tun_open(t, props_get(ps, "ifname", NULL), t->vnet, e);
    return t->fd < 0 ? t->fd : scripts(t, ps, e);
}

static struct tap *tap_alloc(struct net *n, const char *id)
{
    struct tap *t = xzalloc(sizeof *t);

    t->fd = -1;
    netport_init(&t->port, n, &tap_ops, t, id);
    return t;
}

struct netport *net_tap_new(struct net *n, const char *id, struct net_props *ps, struct err *e)
{
    struct tap *t = tap_alloc(n, id);

    if (tap_open(t, ps, e) < 0) {
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
    int fd = bridge_helper(props_get(ps, "helper", BRIDGE_HELPER), props_get(ps, "br", "br0"), e);

    if (fd < 0 || tap_adopt(t, fd, e) < 0) {
        tap_close(t);
        return NULL;
    }
    tap_start(t);
    return &t->port;
}
