/* backend.c - what -netdev says; stream peers that misbehave; pcap */
#include <arpa/inet.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>
#include "tests/hw/nic.h"

struct box {
    struct loop *loop;
    struct clock clock;
    struct timer_list timers;
    struct net *n;
    struct err e;
};

static void box_init(struct box *b)
{
    memset(b, 0, sizeof *b);
    b->loop = loop_new();
    clock_init_stepped(&b->clock);
    timer_list_init(&b->timers, &b->clock);
    b->n = net_new(b->loop, &b->timers);
}

static void box_free(struct box *b)
{
    net_free(b->n);
    loop_free(b->loop);
}

static const char *refused(struct box *b, const char *spec)
{
    b->e.msg[0] = 0;
    cr_assert_null(net_backend_new(b->n, spec, NULL, &b->e), "%s", spec);
    return b->e.msg;
}

Test(backend, wrong_arguments_get_one_line)
{
    struct box b;

    box_init(&b);
    cr_assert_str_eq(refused(&b, "sockte,id=x"),
                     "no network back end 'sockte' (did you mean socket?)");
    cr_assert_str_eq(refused(&b, "user"), "user: id= is missing");
    cr_assert_str_eq(refused(&b, "hubport,id=h"), "hubport: hubid= is missing");
    cr_assert_str_eq(refused(&b, "hubport,id=h,hubdi=3"),
                     "hubport: no property 'hubdi' (did you mean hubid?)");
    cr_assert_str_eq(refused(&b, "hubport,id=h,hubid=x"),
                     "hubid=x: a number up to 2147483647 is wanted");
    refused(&b, "");
    refused(&b, "socket,id=s");
    refused(&b, "socket,id=s,connect=nowhere");
    refused(&b, "stream,id=s,addr.type=inet");
    refused(&b, "dgram,id=s");
    refused(&b, "socket,id=s,mcast=10.0.0.1:99");
    cr_assert_null(b.n->ports, "nothing is left behind");
    box_free(&b);
}

#ifdef CONFIG_SLIRP
Test(backend, user_arguments)
{
    struct box b;

    box_init(&b);
    refused(&b, "user,id=u,net=10.0.2.0/99");
    refused(&b, "user,id=u,net=10.0.2.0/24,host=10.0.3.2");
    refused(&b, "user,id=u,dns=10.0.2.2");
    refused(&b, "user,id=u,hostfwd=tcp::x-:22");
    refused(&b, "user,id=u,hostfwd=icmp::1-:22");
    refused(&b, "user,id=u,guestfwd=tcp:10.0.2.100:80-magic");
    refused(&b, "user,id=u,tftp=/nonexistent");
    refused(&b, "user,id=u,restrict=perhaps");
    cr_assert_not_null(net_backend_new(b.n, "user,id=u,net=192.168.7.0/24,ipv6=off", NULL, &b.e),
                       "%s", b.e.msg);
    cr_assert_str_eq(refused(&b, "user,id=u"), "there is a netdev 'u' already");
    box_free(&b);
}

Test(backend, a_port_in_use_is_named)
{
    struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t len = sizeof a;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    char spec[100], want[120];
    struct box b;

    box_init(&b);
    cr_assert_eq(bind(fd, (struct sockaddr *)&a, len), 0);
    cr_assert_eq(listen(fd, 1), 0);
    getsockname(fd, (struct sockaddr *)&a, &len);
    snprintf(spec, sizeof spec, "user,id=u,hostfwd=tcp:127.0.0.1:%d-:22", ntohs(a.sin_port));
    snprintf(want, sizeof want, "port %d: Address already in use", ntohs(a.sin_port));
    cr_assert_not_null(strstr(refused(&b, spec), want), "%s", b.e.msg);
    close(fd);
    box_free(&b);
}

/* Frames of noise, and headers cut off everywhere, into the stack. */
Test(backend, user_survives_noise)
{
    struct peer *p = xzalloc(sizeof *p);
    uint64_t seed = 7;
    uint8_t f[1600];
    struct box b;

    box_init(&b);
    netport_init(&p->port, b.n, &peer_ops, p, "p");
    cr_assert_eq(net_connect(&p->port, net_backend_new(b.n, "user,id=u,restrict=on", NULL, &b.e),
                             &b.e), 0);
    for (unsigned i = 0; i < 20000; i++) {
        struct net_frame fr = { .data = f, .len = 14 + rnd(&seed) % (i % 2 ? 60 : 1500) };

        for (unsigned k = 0; k < fr.len; k++)
            f[k] = rnd(&seed);
        memset(f, 0x52, 1);
        f[12] = i & 1 ? 0x08 : 0x86;
        f[13] = i & 1 ? i & 2 ? 0 : 6 : 0xdd;
        f[14] = i & 1 ? 0x45 : 0x60;
        f[23] = "\1\6\21\2"[i / 4 % 4];
        net_send(&p->port, &fr);
        if (i % 100 == 0)
            clock_step(&b.clock, &b.timers, 10000000);
    }
    box_free(&b);
    free(p);
}
#endif

/* ---- stream ---------------------------------------------------------------------------- */

static struct netport *stream_pair(struct box *b, int *far)
{
    int sv[2];
    char spec[64];
    struct netport *p;

    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, sv), 0);
    snprintf(spec, sizeof spec, "socket,id=s,fd=%d", sv[0]);
    p = net_backend_new(b->n, spec, NULL, &b->e);
    cr_assert_not_null(p, "%s", b->e.msg);
    *far = sv[1];
    return p;
}

static void turn(struct box *b)
{
    for (int i = 0; i < 10; i++)
        loop_run_once(b->loop, 0, NULL, NULL, NULL);
}

Test(backend, stream_frames_in_pieces)
{
    struct peer *p = xzalloc(sizeof *p);
    uint8_t out[4 + 100], in[200];
    struct box b;
    int far;

    box_init(&b);
    netport_init(&p->port, b.n, &peer_ops, p, "p");
    cr_assert_eq(net_connect(&p->port, stream_pair(&b, &far), &b.e), 0);
    stl32(out, htonl(100));
    make_frame(out + 4, 100);
    for (unsigned i = 0; i < sizeof out; i++) {
        cr_assert_eq(write(far, out + i, 1), 1);
        cr_assert_eq(p->n, 0);
        turn(&b);
    }
    cr_assert_eq(p->n, 1);
    cr_assert_arr_eq(p->data[0], out + 4, 100);
    net_send(&p->port, &(struct net_frame){ .data = out + 4, .len = 100 });
    cr_assert_eq(read(far, in, sizeof in), 104);
    cr_assert_arr_eq(in, out, 104);
    close(far);
    box_free(&b);
    free(p);
}

Test(backend, stream_with_impossible_lengths_is_hung_up)
{
    static const uint32_t lengths[] = { 0, 13, 0xffffffff, NET_FRAME_MAX + 1 };

    for (unsigned i = 0; i < ARRAY_SIZE(lengths); i++) {
        uint32_t len = htonl(lengths[i]);
        struct box b;
        char c;
        int far;

        box_init(&b);
        stream_pair(&b, &far);
        cr_assert_eq(write(far, &len, 4), 4);
        turn(&b);
        cr_assert_eq(recv(far, &c, 1, MSG_DONTWAIT), 0, "length %#x", lengths[i]);
        close(far);
        box_free(&b);
    }
}

Test(backend, hub_and_dump)
{
    struct peer *p = xzalloc(3 * sizeof *p);
    char path[] = "/tmp/transom-pcap-XXXXXX", spec[100];
    uint8_t file[200], f[60];
    struct box b;
    FILE *in;

    box_init(&b);
    close(mkstemp(path));
    for (int i = 0; i < 3; i++) {
        netport_init(&p[i].port, b.n, &peer_ops, &p[i], NULL);
        snprintf(spec, sizeof spec, "hubport,id=h%d,hubid=%d", i, i == 2 ? 5 : 0);
        cr_assert_eq(net_connect(&p[i].port, net_backend_new(b.n, spec, NULL, &b.e), &b.e), 0);
    }
    snprintf(spec, sizeof spec, "filter-dump,id=d,netdev=h0,file=%s,maxlen=20", path);
    cr_assert_eq(net_dump_new(b.n, spec, &b.e), 0, "%s", b.e.msg);
    net_send(&p[0].port, &(struct net_frame){ .data = f, .len = make_frame(f, 60) });
    cr_assert(p[1].n == 1 && p[2].n == 0 && p[0].n == 0);
    box_free(&b);
    in = fopen(path, "r");
    cr_assert_eq(fread(file, 1, sizeof file, in), 24 + 16 + 20);
    cr_assert_eq(ldl32(file), 0xa1b2c3d4);
    cr_assert_eq(ldl32(file + 24 + 12), 60);
    fclose(in);
    unlink(path);
    free(p);
}
