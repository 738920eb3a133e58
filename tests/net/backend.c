/* backend.c - what -netdev says; stream peers that misbehave; pcap */
#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
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

/* what is wrong, and what the line has to say about it */
static const char *const wrong[][2] = {
    { "vde,id=v", "no network back end 'vde': there are " },
    { "socket,id=1a,listen=:0", "id=1a: a letter is wanted" },
    { "socket,id=a b,listen=:0", "id=a b: a letter is wanted" },
    { "socket,id=s", "one of listen=, connect=, mcast=, udp= and fd= is wanted" },
    { "socket,id=s,listen=:0,connect=:1", "one of listen=" },
    { "socket,id=s,listen=:0,localaddr=127.0.0.1", "localaddr= goes with" },
    { "socket,id=s,listen=1234", "1234: HOST:PORT is wanted" },
    { "socket,id=s,fd=x", "fd=x: not a socket" },
    { "socket,id=s,fd=987654321", "fd=987654321: not a socket" },
    { "socket,id=s,udp=127.0.0.1:1", "localaddr=HOST:PORT is needed too" },
    { "socket,id=s,mcast=1.2.3.4:5", "not a multicast address" },
    { "stream,id=s,server=on", "addr.type= is missing" },
    { "stream,id=s,addr.type=tcp", "addr.type=tcp: inet, unix or fd is wanted" },
    { "stream,id=s,addr.type=inet,addr.host=::1", "addr.port= is missing" },
    { "stream,id=s,addr.type=inet,addr.host=127.0.0.1,addr.port=1,addr.ipv4=off,addr.ipv6=off", "neither" },
    { "stream,id=s,addr.type=inet,addr.host=localhost,addr.port=1,addr.numeric=on", "localhost:1: " },
    { "stream,id=s,addr.type=unix", "addr.path= is missing" },
    { "stream,id=s,addr.type=unix,addr.path=/nonexistent/s", "/nonexistent/s: No such file" },
    { "stream,id=s,addr.type=unix,addr.path=/s,addr.abstract=2", "addr.abstract=2: on or off" },
    { "stream,id=s,addr.type=fd", "addr.str=FD is missing" },
    { "stream,id=s,addr.type=unix,addr.path=/nonexistent/s,server=maybe", "server=maybe: on or off" },
    { "stream,id=s,addr.type=inet,addr.host=127.0.0.1,addr.port=0,server=on,reconnect=1", "not for a server" },
    { "stream,id=s,addr.type=inet,addr.port=1,reconnect=x", "reconnect=x: a number up to 86400" },
    { "dgram,id=s", "local.type= is missing" },
    { "dgram,id=s,local.type=inet,local.host=127.0.0.1", "local.port= is missing" },
    { "dgram,id=s,local.type=fd", "local.str=FD is missing" },
    { "dgram,id=s,remote.type=vsock", "remote.type=vsock: inet, unix or fd" },
    { "hubport,id=h,hubid=0,netdev=none", "there is no netdev 'none'" },
    { "tap,id=t,fd=x", "fd=x: a descriptor's number is wanted" },
    { "tap,id=t,fd=987654321", "fd=987654321: not a tap" },
    { "tap,id=t,fds=987654321:1", "fd=987654321: not a tap" },
    { "tap,id=t,fds=1;2", "fds=1;2: a descriptor's number is wanted, or several" },
    { "tap,id=t,fd=1,fds=2", "one of fd=, fds= and helper=" },
    { "tap,id=t,fd=1,ifname=t0", "fd= and ifname= exclude each other" },
    { "tap,id=t,vhost=on", "vhost is not supported" },
    { "tap,id=t,queues=0", "queues=0: at least one" },
    { "tap,id=t,queues=32", "queues=32: a number up to 31" },
    { "tap,id=t,ifname=a-name-that-is-too-long", "longer than 15 characters" },
    { "tap,id=t,helper=/nonexistent", "helper=/nonexistent: No such file" },
    { "bridge,id=t,helper=/nonexistent", "helper=/nonexistent: No such file" },
    { "tap,id=t,vnet_hdr=2", "vnet_hdr=2: on or off" },
};

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
    for (size_t i = 0; i < ARRAY_SIZE(wrong); i++)
        cr_assert_not_null(strstr(refused(&b, wrong[i][0]), wrong[i][1]), "%s: %s", wrong[i][0], b.e.msg);
    refused(&b, "");
    refused(&b, "socket,id=s,connect=nowhere");
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
    cr_assert_str_eq(refused(&b, "user,id=u,smb=/nonexistent"), "smb=/nonexistent: No such file or directory");
    cr_assert_str_eq(refused(&b, "user,id=u,smb=/dev/null"), "smb=/dev/null: not a folder");
    cr_assert_not_null(strstr(refused(&b, "user,id=u,smbserver=1.2.3.4"), "an address in the network of net="));
    cr_assert_not_null(strstr(refused(&b, "user,id=u,smbserver=10.0.2.9"), "smb=FOLDER is missing"));
    refused(&b, "user,id=u,ipv6-net=fd00::/x");
    refused(&b, "user,id=u,ipv6-prefixlen=129");
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

/* A socket of @type bound to a free port of 127.0.0.1; sets @port. */
static int bound(int type, int *port)
{
    struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t len = sizeof a;
    int fd = socket(AF_INET, type, 0);

    cr_assert_eq(bind(fd, (struct sockaddr *)&a, len), 0);
    cr_assert(type != SOCK_STREAM || listen(fd, 1) == 0);
    cr_assert_eq(getsockname(fd, (struct sockaddr *)&a, &len), 0);
    *port = ntohs(a.sin_port);
    return fd;
}

Test(backend, sockets_name_a_port_in_use)
{
    static const char *const specs[] = {
        "socket,id=s,listen=127.0.0.1:%d",
        "stream,id=s,server=on,addr.type=inet,addr.host=127.0.0.1,addr.port=%d",
        "socket,id=s,udp=127.0.0.1:9,localaddr=127.0.0.1:%d",
        "dgram,id=s,local.type=inet,local.host=127.0.0.1,local.port=%d",
    };
    struct box b;

    box_init(&b);
    for (size_t i = 0; i < ARRAY_SIZE(specs); i++) {
        char spec[120], want[80];
        int port, fd = bound(i < 2 ? SOCK_STREAM : SOCK_DGRAM, &port);

        snprintf(spec, sizeof spec, specs[i], port);
        snprintf(want, sizeof want, "127.0.0.1:%d: Address already in use", port);
        cr_assert_str_eq(refused(&b, spec), want);
        close(fd);
    }
    box_free(&b);
}

Test(backend, a_connection_that_is_refused_is_told)
{
    struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    int fd = socket(AF_INET, SOCK_STREAM, 0);    /* holds the port; nobody listens there */
    socklen_t len = sizeof a;
    char spec[80];
    struct box b;

    cr_assert_eq(bind(fd, (struct sockaddr *)&a, len) | getsockname(fd, (struct sockaddr *)&a, &len), 0);
    box_init(&b);
    snprintf(spec, sizeof spec, "socket,id=s,connect=127.0.0.1:%d", ntohs(a.sin_port));
    cr_assert_not_null(strstr(refused(&b, spec), "Connection refused"), "%s", b.e.msg);
    close(fd);
    box_free(&b);
}

Test(backend, datagrams_through_a_descriptor)
{
    struct peer *p = xzalloc(sizeof *p);
    uint8_t f[100], in[200];
    char spec[80];
    struct box b;
    int sv[2];

    box_init(&b);
    cr_assert_eq(socketpair(AF_UNIX, SOCK_DGRAM, 0, sv), 0);
    netport_init(&p->port, b.n, &peer_ops, p, "p");
    snprintf(spec, sizeof spec, "dgram,id=d,local.type=fd,local.str=%d", sv[0]);
    cr_assert_eq(net_connect(&p->port, net_backend_new(b.n, spec, NULL, &b.e), &b.e), 0, "%s", b.e.msg);
    make_frame(f, 100);
    cr_assert_eq(send(sv[1], f, 100, 0), 100);
    turn(&b);
    cr_assert(p->n == 1 && p->len[0] == 100);
    net_send(&p->port, &(struct net_frame){ .data = f, .len = 100 });
    cr_assert_eq(recv(sv[1], in, sizeof in, MSG_DONTWAIT), 100);
    cr_assert_arr_eq(in, f, 100);
    close(sv[1]);
    box_free(&b);
    free(p);
}

/* A socket of an earlier run goes, a file of somebody's stays. */
Test(backend, only_a_stale_socket_is_removed)
{
    char dir[] = "/tmp/transom-sock-XXXXXX", path[64], spec[140];
    struct box b;

    box_init(&b);
    cr_assert_not_null(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/s", dir);
    snprintf(spec, sizeof spec, "stream,id=s,server=on,addr.type=unix,addr.path=%s", path);
    close(open(path, O_CREAT | O_WRONLY, 0600));
    cr_assert_not_null(strstr(refused(&b, spec), "Address already in use"), "%s", b.e.msg);
    cr_assert_eq(unlink(path), 0, "it is still there");
    for (int i = 0; i < 2; i++) {
        struct sockaddr_un un = { .sun_family = AF_UNIX };
        int fd = socket(AF_UNIX, SOCK_STREAM, 0);

        strcpy(un.sun_path, path);
        cr_assert_eq(bind(fd, (struct sockaddr *)&un, sizeof un), 0);
        close(fd);                       /* its file stays */
        net_backend_del(net_backend_new(b.n, spec, NULL, &b.e));
        cr_assert_eq(access(path, F_OK), -1, "ours went with us");
    }
    rmdir(dir);
    box_free(&b);
}

Test(backend, an_abstract_name_is_no_file)
{
    struct box b;
    char spec[140];
    struct netport *a, *c;
    struct peer *p = xzalloc(2 * sizeof *p);
    uint8_t f[60];

    box_init(&b);
    snprintf(spec, sizeof spec, "stream,id=a,server=on,addr.type=unix,addr.path=transom-%d,addr.abstract=on", getpid());
    a = net_backend_new(b.n, spec, NULL, &b.e);
    cr_assert_not_null(a, "%s", b.e.msg);
    snprintf(spec, sizeof spec, "stream,id=c,addr.type=unix,addr.path=transom-%d,addr.abstract=on", getpid());
    c = net_backend_new(b.n, spec, NULL, &b.e);
    cr_assert_not_null(c, "%s", b.e.msg);
    for (int i = 0; i < 2; i++)
        netport_init(&p[i].port, b.n, &peer_ops, &p[i], NULL);
    cr_assert_eq(net_connect(&p[0].port, a, &b.e), 0);
    cr_assert_eq(net_connect(&p[1].port, c, &b.e), 0);
    turn(&b);
    net_send(&p[1].port, &(struct net_frame){ .data = f, .len = make_frame(f, 60) });
    turn(&b);
    cr_assert_eq(p[0].n, 1);
    box_free(&b);
    free(p);
}

Test(backend, one_direction_is_recorded)
{
    static const struct { const char *props, *want; unsigned frames; } cases[] = {
        { "", NULL, 2 }, { ",queue=rx", NULL, 1 }, { ",queue=tx", NULL, 1 }, { ",status=off", NULL, 0 },
        { ",queue=up", "queue=up: all, rx or tx", 0 }, { ",maxlne=3", "no property 'maxlne' (did you mean maxlen?)", 0 },
        { ",maxlen=x", "maxlen=x: a number", 0 },
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct peer *p = xzalloc(sizeof *p);
        char path[] = "/tmp/transom-pcap-XXXXXX", spec[120];
        struct netport *null;
        struct stat st;
        uint8_t f[60];
        struct box b;

        box_init(&b);
        close(mkstemp(path));
        netport_init(&p->port, b.n, &peer_ops, p, "p");
        null = net_backend_new(b.n, "null,id=n", NULL, &b.e);
        cr_assert_eq(net_connect(&p->port, null, &b.e), 0);
        snprintf(spec, sizeof spec, "filter-dump,id=d,netdev=n,file=%s%s", path, cases[i].props);
        b.e.msg[0] = 0;
        cr_assert_eq(net_dump_new(b.n, spec, &b.e) < 0, cases[i].want != NULL);
        cr_assert(!cases[i].want || strstr(b.e.msg, cases[i].want), "%s", b.e.msg);
        make_frame(f, 60);
        net_send(&p->port, &(struct net_frame){ .data = f, .len = 60 });
        net_send(null, &(struct net_frame){ .data = f, .len = 60 });
        box_free(&b);
        cr_assert_eq(stat(path, &st), 0);
        cr_assert(cases[i].want || st.st_size == 24 + cases[i].frames * 76, "%s: %ld", spec, (long)st.st_size);
        unlink(path);
        free(p);
    }
}
