/* chardev.c - back ends: files, sockets, terminals, the multiplexer */
#define _GNU_SOURCE 1
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <termios.h>
#include <unistd.h>
#include "tests/ui/memchr.h"

static struct loop *loop;
static struct sink sink;
static char dir[] = "/tmp/transom-test-XXXXXX", path[64];

static void setup(void)
{
    loop = loop_new();
    cr_assert_not_null(mkdtemp(dir));
    snprintf(path, sizeof(path), "%s/x", dir);
}

static void teardown(void)
{
    loop_free(loop);
    unlink(path);
    rmdir(dir);
}

TestSuite(chardev, .init = setup, .fini = teardown, .timeout = 300);

static struct chardev *open_spec(const char *fmt)
{
    struct err e = { "" };
    char spec[200];
    struct chardev *c;

    snprintf(spec, sizeof(spec), fmt, path);
    c = chardev_new(loop, spec, "test0", &e);
    cr_assert_not_null(c, "%s", e.msg);
    cr_assert_str_eq(c->label, "test0");
    sink_attach(&sink, c);
    return c;
}

static void expect_error(const char *spec, const char *msg)
{
    struct err e = { "" };

    cr_assert_null(chardev_new(loop, spec, "x", &e));
    cr_assert_str_eq(e.msg, msg);
}

static int put(struct chardev *c, const char *s)
{
    return c->write(c, (const uint8_t *)s, strlen(s));
}

static int dial(void)
{
    struct sockaddr_un sa = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    strcpy(sa.sun_path, path);
    cr_assert_eq(connect(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
    return fd;
}

static void spin(void)
{
    loop_run_once(loop, 1000000000, NULL, NULL, NULL);
}

/* Read until @n bytes came; the loop runs so that buffers flush. */
static void expect_bytes(int fd, const char *want)
{
    char got[256] = "";
    int n = 0, len = strlen(want);

    fcntl(fd, F_SETFL, O_NONBLOCK);
    while (n < len) {
        int rc = read(fd, got + n, len - n);

        if (rc > 0)
            n += rc;
        else
            loop_run_once(loop, 1000000, NULL, NULL, NULL);
    }
    cr_assert_str_eq(got, want);
}

Test(chardev, errors_are_one_line)
{
    expect_error("file:/x/y", "file:/x/y: No such file or directory");
    expect_error("unix:/x/y,server=on,wait=off",
                 "unix:/x/y,server=on,wait=off: No such file or directory");
    expect_error("unix:/x/y,sever=on",
                 "unix:/x/y,sever=on: unknown option 'sever', did you mean 'server'?");
    expect_error("unix:/x/y,server=maybe",
                 "unix:/x/y,server=maybe: server=maybe: wants on or off");
    expect_error("unix:", "unix:: path= is empty");
    expect_error("tcp:localhost", "tcp:localhost: wants HOST:PORT");
    expect_error("tpc:localhost:1", "tpc:localhost:1: unknown kind 'tpc', did you mean 'tcp'?");
    expect_error("xyzzyxyzzy", "xyzzyxyzzy: unknown kind of character device");
    expect_error("file", "file: 'file' is written otherwise (see -help)");
    expect_error("null,x", "null,x: null takes no arguments");
    expect_error("stdio,sgnal=off", "stdio,sgnal=off: unknown option 'sgnal', did you mean 'signal'?");
    expect_error("mon:mon:stdio", "mon:mon:stdio: one mon: is enough");
    expect_error("/dev/nonexistent", "/dev/nonexistent: No such file or directory");
}

Test(chardev, refused_connection)
{
    struct sockaddr_in sa = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    int held = socket(AF_INET, SOCK_STREAM, 0);    /* nobody else gets the port, and nobody listens there */
    socklen_t len = sizeof(sa);
    struct err e = { "" };
    char spec[40], want[80];

    cr_assert_eq(bind(held, (struct sockaddr *)&sa, len) | getsockname(held, (struct sockaddr *)&sa, &len), 0);
    snprintf(spec, sizeof(spec), "tcp:127.0.0.1:%d", ntohs(sa.sin_port));
    snprintf(want, sizeof(want), "%s: Connection refused", spec);
    cr_assert_null(chardev_new(loop, spec, "x", &e));
    cr_assert_str_eq(e.msg, want);
    close(held);
}

Test(chardev, null_takes_everything)
{
    struct chardev *c = open_spec("null");

    cr_assert_eq(put(c, "abc"), 3);
    cr_assert_str_eq(chardev_desc(c), "null");
    chardev_free(c);
    chardev_free(NULL);
}

Test(chardev, file_gets_all_bytes_in_order)
{
    struct chardev *c = open_spec("file:%s");
    char text[20001];
    int fd;

    for (int i = 0; i < 20000; i++) {
        uint8_t b = 'a' + i % 26;

        cr_assert_eq(c->write(c, &b, 1), 1);
    }
    chardev_free(c);
    fd = open(path, O_RDONLY);
    cr_assert_eq(read(fd, text, sizeof(text)), 20000);
    for (int i = 0; i < 20000; i++)
        cr_assert_eq(text[i], 'a' + i % 26);
    close(fd);
}

Test(chardev, burst_is_flushed_by_the_loop)
{
    struct chardev *c = open_spec("unix:%s,server=on,wait=off");
    int fd = dial();

    spin();
    put(c, "a");
    put(c, "b"); /* within the millisecond: buffered */
    put(c, "c");
    expect_bytes(fd, "abc");
    chardev_free(c);
    close(fd);
}

Test(chardev, unix_server)
{
    struct chardev *c = open_spec("unix:%s,server=on,wait=off");
    int fd;
    char byte;

    cr_assert_eq(put(c, "nobody hears this"), 17);
    fd = dial();
    spin();
    cr_assert_eq(sink.events[CHR_EVENT_OPENED], 1);
    put(c, "hello");
    expect_bytes(fd, "hello");
    cr_assert_eq(write(fd, "input", 5), 5);
    while (sink.n_in < 5)
        spin();
    cr_assert_str_eq(sink.in, "input");
    close(fd);
    while (!sink.events[CHR_EVENT_CLOSED])
        spin();
    fd = dial(); /* and again */
    while (sink.events[CHR_EVENT_OPENED] < 2)
        spin();
    put(c, "again");
    expect_bytes(fd, "again");
    chardev_free(c);
    fcntl(fd, F_SETFL, 0);
    cr_assert_eq(read(fd, &byte, 1), 0);
    cr_assert_neq(access(path, F_OK), 0, "the socket is removed");
    close(fd);
}

Test(chardev, input_waits_for_room)
{
    struct chardev *c = open_spec("unix:%s,server=on,wait=off");
    int fd = dial();

    spin();
    sink.room = 3;
    cr_assert_eq(write(fd, "abcdef", 6), 6);
    while (sink.n_in < 3)
        spin();
    loop_run_once(loop, 0, NULL, NULL, NULL);
    loop_run_once(loop, 0, NULL, NULL, NULL);
    cr_assert_eq(sink.n_in, 3);
    sink.room = 100;
    c->poll_input(c);
    while (sink.n_in < 6)
        spin();
    cr_assert_str_eq(sink.in, "abcdef");
    chardev_free(c);
    close(fd);
}

static bool hears(void *front)
{
    return *(bool *)front;
}

/* A server with a client, and a front end that takes no input; @listens: it may yet. */
static struct chardev *open_without_room(bool *listens, int *fd)
{
    struct chardev *c = open_spec("unix:%s,server=on,wait=off");

    *fd = dial();
    c->front = listens;
    c->can_receive = NULL;
    c->event = NULL;
    c->front_open = hears;
    while (!chardev_is_open(c))
        spin();
    cr_assert_eq(write(*fd, "abc", 3), 3);
    return c;
}

static void expect_still_open(struct chardev *c)
{
    for (unsigned i = 0; i < 20; i++)
        loop_run_once(loop, 1000000, NULL, NULL, NULL);
    cr_assert(chardev_is_open(c));
}

Test(chardev, what_a_client_said_last_is_kept_for_who_listens)
{
    bool listens = true;
    int fd;
    struct chardev *c = open_without_room(&listens, &fd);

    shutdown(fd, SHUT_WR);
    expect_still_open(c);
    close(fd);
    expect_still_open(c);
    listens = false;
    c->poll_input(c);
    while (chardev_is_open(c))
        spin();
    chardev_free(c);
}

Test(chardev, a_client_that_leaves_is_noticed_though_nobody_listens)
{
    bool listens = false;
    int fd;
    struct chardev *c = open_without_room(&listens, &fd);

    expect_still_open(c);
    close(fd);
    while (chardev_is_open(c))
        spin();
    chardev_free(c);
}

Test(chardev, full_socket_pushes_back)
{
    struct chardev *c = open_spec("unix:%s,server=on,wait=off");
    int fd = dial(), taken = 0, got = 0, n;
    char buf[4096];

    spin();
    memset(buf, 'x', sizeof(buf));
    while ((n = c->write(c, (uint8_t *)buf, sizeof(buf))) > 0)
        taken += n;
    cr_assert_eq(sink.can_writes, 0);
    fcntl(fd, F_SETFL, O_NONBLOCK);
    while (got < taken) {
        n = read(fd, buf, sizeof(buf));
        if (n > 0)
            got += n;
        loop_run_once(loop, 0, NULL, NULL, NULL);
    }
    cr_assert_eq(sink.can_writes, 1);
    chardev_free(c);
    close(fd);
}

/* A front end that was told to wait must hear when its reader has gone. */
Test(chardev, reader_leaves_a_full_socket)
{
    struct chardev *c = open_spec("unix:%s,server=on,wait=off");
    int fd = dial();
    char buf[4096] = "";

    spin();
    while (c->write(c, (uint8_t *)buf, sizeof(buf)) > 0)
        ;
    close(fd);
    while (!sink.can_writes)
        spin();
    cr_assert_eq(put(c, "dropped"), 7);
    chardev_free(c);
}

Test(chardev, tcp_server_and_client)
{
    struct err e = { "" };
    struct chardev *s = NULL, *c;
    struct sink at_server;
    char spec[64];
    int port;

    for (port = 20000 + getpid() % 20000; !s && port < 65000; port++) {
        snprintf(spec, sizeof(spec), "tcp:127.0.0.1:%d,server,nowait,nodelay", port);
        s = chardev_new(loop, spec, "server", &e);
    }
    cr_assert_not_null(s, "%s", e.msg);
    snprintf(spec, sizeof(spec), "tcp:127.0.0.1:%d", port - 1);
    sink_attach(&at_server, s);
    c = open_spec(spec);
    put(c, "ping");
    while (at_server.n_in < 4)
        spin();
    cr_assert_str_eq(at_server.in, "ping");
    chardev_free(c);
    while (!at_server.events[CHR_EVENT_CLOSED])
        spin();
    chardev_free(s);
}

Test(chardev, pty)
{
    struct chardev *c = open_spec("pty");
    const char *desc = chardev_desc(c);
    int fd;

    cr_assert_eq(strncmp(desc, "pty:/dev/", 9), 0);
    cr_assert_eq(put(c, "before anybody opened it"), 24);
    fd = open(desc + 4, O_RDWR | O_NOCTTY);
    cr_assert_geq(fd, 0);
    while (!sink.events[CHR_EVENT_OPENED])
        spin();
    put(c, "out\n");
    expect_bytes(fd, "out\n");
    cr_assert_eq(write(fd, "in\x03", 3), 3);
    while (sink.n_in < 3)
        spin();
    cr_assert_str_eq(sink.in, "in\x03", "raw: Ctrl-C is a byte");
    close(fd);
    while (!sink.events[CHR_EVENT_CLOSED])
        spin();
    chardev_free(c);
}

/* stdio on a terminal of our own: modes while open, modes after. */
Test(chardev, stdio_terminal_modes)
{
    struct termios before, during, after;
    int master = posix_openpt(O_RDWR | O_NOCTTY), slave;
    struct err e = { "" };
    struct chardev *c;

    cr_assert_geq(master, 0);
    setsid(); /* the slave becomes our controlling terminal */
    cr_assert_eq(grantpt(master) | unlockpt(master), 0);
    slave = open(ptsname(master), O_RDWR);
    cr_assert_geq(slave, 0);
    dup2(slave, 0);
    dup2(slave, 1);
    tcgetattr(0, &before);
    c = chardev_new(loop, "stdio,signal=off", "stdio0", &e);
    cr_assert_not_null(c, "%s", e.msg);
    cr_assert_null(chardev_new(loop, "stdio", "again", &e));
    cr_assert(strstr(e.msg, "already in use"), "%s", e.msg);
    sink_attach(&sink, c);
    tcgetattr(0, &during);
    if (tcgetpgrp(0) == getpgrp()) {
        cr_assert_eq(during.c_lflag & (ICANON | ECHO | ISIG), 0);
        cr_assert(during.c_oflag & OPOST);
    }
    cr_assert_eq(fcntl(1, F_GETFL) & O_NONBLOCK, 0, "the shell's flags are untouched");
    put(c, "x\n");
    expect_bytes(master, "x\r\n");
    cr_assert_eq(write(master, "k", 1), 1);
    while (!sink.n_in)
        spin();
    chardev_free(c);
    tcgetattr(0, &after);
    cr_assert_eq(after.c_lflag, before.c_lflag);
    cr_assert_eq(after.c_iflag, before.c_iflag);
}

/* ---- multiplexer --------------------------------------------------------------- */

static struct memback *back;
static struct chardev *port0, *port1;
static struct sink sink1;

static void mux_setup(void)
{
    back = memback_new();
    port0 = chardev_mux_new(&back->chr.c, "serial0");
    port1 = chardev_mux_add(port0, "monitor0");
    sink_attach(&sink, port0);
    sink_attach(&sink1, port1);
}

TestSuite(mux, .init = mux_setup);

Test(mux, focus)
{
    cr_assert(chardev_has_focus(port0));
    memback_type(back, "a\x01" "cb\x01" "cc");
    cr_assert_str_eq(sink.in, "ac");
    cr_assert_str_eq(sink1.in, "b");
    cr_assert_eq(sink1.events[CHR_EVENT_OPENED], 1);
    put(port0, "zero ");
    put(port1, "one");
    cr_assert_str_eq(back->out, "zero one", "all output is shown");
}

Test(mux, literal_and_unknown_keys)
{
    memback_type(back, "\x01\x01" "x\x01" "yz");
    cr_assert_str_eq(sink.in, "\x01xz");
}

static void on_quit(void *opaque)
{
    ++*(int *)opaque;
}

Test(mux, quit_help_break)
{
    int quits = 0;

    memback_type(back, "\x01x");
    chardev_mux_on_quit(port1, on_quit, &quits);
    memback_type(back, "\x01x");
    cr_assert_eq(quits, 1);
    memback_type(back, "\x01h");
    cr_assert(strstr(back->out, "C-a x"));
    memback_type(back, "\x01" "b");
    cr_assert_eq(sink.events[CHR_EVENT_BREAK], 1);
    cr_assert_eq(sink1.events[CHR_EVENT_BREAK], 0);
    cr_assert_eq(sink.n_in, 0);
}

Test(mux, time_stamps)
{
    memback_type(back, "\x01t");
    put(port0, "ab\ncd");
    put(port0, "e\n");
    cr_assert_eq(back->n_out, 2 * 15 + 7, "%s", back->out);
    cr_assert_eq(back->out[0], '[');
    cr_assert_eq(strncmp(back->out + 15, "ab\n[", 4), 0);
    memback_type(back, "\x01t");
    memback_clear(back);
    put(port0, "f\n");
    cr_assert_str_eq(back->out, "f\n");
}

Test(mux, escape_works_while_the_guest_sleeps)
{
    int quits = 0;

    chardev_mux_on_quit(port0, on_quit, &quits);
    sink.room = 0;
    memback_type(back, "typed ahead");
    cr_assert_eq(sink.n_in, 0);
    memback_type(back, "\x01x");
    cr_assert_eq(quits, 1);
    sink.room = 100;
    port0->poll_input(port0);
    cr_assert_str_eq(sink.in, "typed ahead");
}

Test(mux, full_ring_pushes_back)
{
    struct chardev *b = &back->chr.c;
    int polled;

    sink.room = 0;
    while (b->can_receive(b->front) > 0)
        memback_type(back, "x");
    polled = back->polled;
    sink.room = 1;
    port0->poll_input(port0);
    cr_assert_eq(back->polled, polled + 1);
    cr_assert_eq(b->can_receive(b->front), 1);
}

Test(mux, back_end_goes_with_the_last_port)
{
    bool closed = false;

    back->closed = &closed;
    chardev_free(port0);
    cr_assert_not(closed);
    chardev_free(port1);
    cr_assert(closed);
}

Test(mux, ports_are_counted)
{
    cr_assert_not_null(chardev_mux_add(port0, "2"));
    cr_assert_not_null(chardev_mux_add(port0, "3"));
    cr_assert_null(chardev_mux_add(port0, "4"));
}
