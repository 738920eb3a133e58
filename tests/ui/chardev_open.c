/* chardev_open.c - -chardev: kinds, options, what is refused */
#define _GNU_SOURCE 1
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include "tests/ui/memchr.h"

static struct loop *loop;
static struct sink sink;
static char dir[64], path[96];

static void setup(void)
{
    loop = loop_new();
    strcpy(dir, "/tmp/transom-test-XXXXXX");
    cr_assert_not_null(mkdtemp(dir));
    snprintf(path, sizeof(path), "%s/x", dir);
}

static void teardown(void)
{
    char *clean = xasprintf("rm -rf %s", dir);

    loop_free(loop);
    cr_assert_eq(system(clean), 0);
    free(clean);
}

TestSuite(chardev_open, .init = setup, .fini = teardown, .timeout = 300);

static struct chardev *try_open(struct err *e, const char *fmt, ...)
{
    struct kv_list kv = { NULL, 0 };
    struct chardev *c;
    char spec[300];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(spec, sizeof(spec), fmt, ap);
    va_end(ap);
    cr_assert_eq(kv_parse(&kv, spec, e), 0);
    c = chardev_open(loop, &kv, spec, "c0", e);
    kv_free(&kv);
    if (c)
        sink_attach(&sink, c);
    return c;
}

#define OPEN(...) ({ struct err e_ = { "" }; struct chardev *c_ = try_open(&e_, __VA_ARGS__); \
                     cr_assert_not_null(c_, "%s", e_.msg); c_; })
#define REFUSED(words, ...) do { struct err e_ = { "" }; cr_assert_null(try_open(&e_, __VA_ARGS__)); \
                                 cr_assert(strstr(e_.msg, words), "%s", e_.msg); \
                                 cr_assert_null(strchr(e_.msg, '\n')); } while (0)

static void put(struct chardev *c, const char *s)
{
    cr_assert_eq(c->write(c, (const uint8_t *)s, (int)strlen(s)), (int)strlen(s));
}

static const char *contents(const char *name)
{
    static char text[200];
    int fd = open(name, O_RDONLY), n = fd < 0 ? 0 : (int)read(fd, text, sizeof(text) - 1);

    text[MAX(n, 0)] = 0;
    close(fd);
    return text;
}

static void spin(void)
{
    loop_run_once(loop, 100000000, NULL, NULL, NULL);
}

static int dial(const char *name)
{
    struct sockaddr_un sa = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    strcpy(sa.sun_path, name);
    cr_assert_eq(connect(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
    return fd;
}

Test(chardev_open, refused)
{
    REFUSED("unknown kind of character device 'sokcet', did you mean 'socket'?", "sokcet,id=a");
    REFUSED("'vc' is not supported", "vc,id=a");
    REFUSED("the kind comes first", "id=a,path=b");
    REFUSED("path= is wanted", "file,id=a");
    REFUSED("did you mean 'append'?", "file,path=%s,apend=on", path);
    REFUSED("append=perhaps: wants on or off", "file,path=%s,append=perhaps", path);
    REFUSED("one of path=, port= and fd= is wanted", "socket,id=a");
    REFUSED("one of path=, port= and fd= is wanted", "socket,id=a,path=x,port=1");
    REFUSED("tls-creds is not supported", "socket,port=1,tls-creds=t0");
    REFUSED("websocket is not supported", "socket,port=1,server=on,websocket=on");
    REFUSED("reconnect is for clients", "socket,path=%s,server=on,reconnect=1", path);
    REFUSED("reconnect=x: wants a number", "socket,path=%s,reconnect=x", path);
    REFUSED("is no open socket", "socket,fd=9999");
    REFUSED("is no open socket", "socket,fd=0x");
    REFUSED("a power of two", "ringbuf,size=100");
    REFUSED("size=1G", "ringbuf,size=1G");
    REFUSED("logfile=/no/where", "null,logfile=/no/where");
}

Test(chardev_open, file_append_and_input)
{
    char input[100];
    struct chardev *c;
    int fd;

    snprintf(input, sizeof(input), "%s/in", dir);
    fd = open(input, O_CREAT | O_WRONLY, 0600);
    cr_assert_eq(write(fd, "typed", 5), 5);
    close(fd);
    c = OPEN("file,path=%s", path);
    put(c, "one");
    chardev_free(c);
    c = OPEN("file,path=%s,append=on", path);
    put(c, "two");
    chardev_free(c);
    cr_assert_str_eq(contents(path), "onetwo");
    c = OPEN("file,path=%s,input-path=%s", path, input);
    while (sink.n_in < 5)
        spin();
    cr_assert_str_eq(sink.in, "typed");
    put(c, "on it goes after the end of the input");
    chardev_free(c);
    cr_assert_str_eq(contents(path), "on it goes after the end of the input");
}

Test(chardev_open, log_file)
{
    struct chardev *c = OPEN("ringbuf,logfile=%s", path);
    struct err e = { "" };
    uint8_t buf[10];

    put(c, "abc");
    cr_assert_eq(chardev_ringbuf_read(c, buf, 10, &e), 3, "the back end is reached through it");
    chardev_free(c);
    c = OPEN("null,logfile=%s,logappend=on", path);
    put(c, "def");
    chardev_free(c);
    cr_assert_str_eq(contents(path), "abcdef");
}

Test(chardev_open, ring_buffer)
{
    struct chardev *c = OPEN("ringbuf,size=8"), *other = OPEN("null");
    struct err e = { "" };
    uint8_t buf[10] = "";

    put(c, "abcdefghij");
    cr_assert_eq(chardev_ringbuf_read(c, buf, 3, &e), 3);
    cr_assert_eq(memcmp(buf, "cde", 3), 0, "the oldest were dropped");
    cr_assert_eq(chardev_ringbuf_write(c, (const uint8_t *)"12", 2, &e), 0);
    cr_assert_eq(chardev_ringbuf_read(c, buf, 10, &e), 7);
    cr_assert_eq(memcmp(buf, "fghij12", 7), 0);
    cr_assert_eq(chardev_ringbuf_read(c, buf, 10, &e), 0);
    cr_assert_eq(chardev_ringbuf_read(other, buf, 10, &e), -EINVAL);
    chardev_free(c);
    chardev_free(other);
}

Test(chardev_open, pipes)
{
    char in[110], out[110], buf[8] = "";
    struct chardev *c;
    int to, from;

    snprintf(in, sizeof(in), "%s.in", path);
    snprintf(out, sizeof(out), "%s.out", path);
    cr_assert_eq(mkfifo(in, 0600) | mkfifo(out, 0600), 0);
    c = OPEN("pipe,path=%s", path);
    to = open(in, O_RDWR);
    from = open(out, O_RDWR);
    cr_assert_eq(write(to, "in", 2), 2);
    while (sink.n_in < 2)
        spin();
    cr_assert_str_eq(sink.in, "in");
    put(c, "out");
    cr_assert_eq(read(from, buf, 3), 3);
    cr_assert_str_eq(buf, "out");
    chardev_free(c);
    close(to);
    close(from);
}

Test(chardev_open, inherited_listening_socket)
{
    struct sockaddr_un sa = { .sun_family = AF_UNIX };
    int l = socket(AF_UNIX, SOCK_STREAM, 0), fd;
    struct chardev *c;

    strcpy(sa.sun_path, path);
    cr_assert_eq(bind(l, (struct sockaddr *)&sa, sizeof(sa)), 0);
    c = OPEN("socket,fd=%d,server=on,wait=off", l);
    cr_assert(strstr(chardev_desc(c), path), "%s", chardev_desc(c));
    for (int round = 1; round <= 2; round++) {
        fd = dial(path);
        while (sink.events[CHR_EVENT_OPENED] < round)
            spin();
        cr_assert(chardev_is_open(c));
        close(fd);
        while (sink.events[CHR_EVENT_CLOSED] < round)
            spin();
    }
    chardev_free(c);
}

/* A descriptor sent with a byte is kept until somebody takes it. */
Test(chardev_open, descriptors_are_passed)
{
    struct chardev *c = OPEN("socket,path=%s,server=on,wait=off", path);
    int fd = dial(path), pipe_fd[2], got;
    union { struct cmsghdr align; char bytes[CMSG_SPACE(sizeof(int))]; } control = { .bytes = "" };
    struct iovec iov = { (void *)"x", 1 };
    struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control.bytes,
                        .msg_controllen = sizeof(control.bytes) };
    struct cmsghdr *h = CMSG_FIRSTHDR(&m);

    cr_assert_eq(pipe(pipe_fd), 0);
    h->cmsg_level = SOL_SOCKET;
    h->cmsg_type = SCM_RIGHTS;
    h->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(h), &pipe_fd[1], sizeof(int));
    cr_assert_eq(sendmsg(fd, &m, 0), 1);
    while (!sink.n_in)
        spin();
    got = chardev_take_fd(c);
    cr_assert_geq(got, 0);
    cr_assert_eq(fcntl(got, F_GETFD), FD_CLOEXEC);
    cr_assert_eq(write(got, "!", 1), 1);
    cr_assert_eq(read(pipe_fd[0], &control, 1), 1);
    cr_assert_eq(chardev_take_fd(c), -1);
    close(got);
    close(pipe_fd[0]);
    close(pipe_fd[1]);
    close(fd);
    chardev_free(c);
}

Test(chardev_open, client_tries_again)
{
    struct chardev *c = OPEN("socket,path=%s,reconnect-ms=20", path);
    struct sockaddr_un sa = { .sun_family = AF_UNIX };
    int l = socket(AF_UNIX, SOCK_STREAM, 0), fd;

    cr_assert_not(chardev_is_open(c));
    spin();
    strcpy(sa.sun_path, path);
    cr_assert_eq(bind(l, (struct sockaddr *)&sa, sizeof(sa)) | listen(l, 1), 0);
    for (int round = 1; round <= 2; round++) {
        while (sink.events[CHR_EVENT_OPENED] < round)
            spin();
        fd = accept(l, NULL, NULL);
        cr_assert_geq(fd, 0);
        close(fd);
        while (sink.events[CHR_EVENT_CLOSED] < round)
            spin();
    }
    chardev_free(c);
    close(l);
}

Test(chardev_open, telnet)
{
    static const uint8_t said[] = { 'a', 255, 253, 1, 'b', 255, 255, 255, 250, 24, 1, 255, 240, 'c' };
    struct chardev *c = OPEN("socket,path=%s,server=on,wait=off,telnet=on", path);
    int fd = dial(path), n = 0;
    uint8_t got[64];

    while (!sink.events[CHR_EVENT_OPENED])
        spin();
    cr_assert_eq(write(fd, said, sizeof(said)), (ssize_t)sizeof(said));
    while (sink.n_in < 4)
        spin();
    cr_assert_eq(memcmp(sink.in, "ab\xff" "c", 4), 0);
    c->write(c, (const uint8_t *)"x\xffy", 3);
    while (n < telnet_hello_len + 4) {
        ssize_t more = recv(fd, got + n, sizeof(got) - n, MSG_DONTWAIT);

        n += MAX(more, 0);
        loop_run_once(loop, 1000000, NULL, NULL, NULL);
    }
    cr_assert_eq(memcmp(got, telnet_hello, telnet_hello_len), 0);
    cr_assert_eq(memcmp(got + telnet_hello_len, "x\xff\xffy", 4), 0);
    chardev_free(c);
    close(fd);
}

/* A port of the kernel's choice, then the same again: it is named; with to= the next is taken. */
Test(chardev_open, port_in_use)
{
    struct sockaddr_in sa = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t len = sizeof(sa);
    int l = socket(AF_INET, SOCK_STREAM, 0), port;
    struct chardev *c;
    char words[64];

    cr_assert_eq(bind(l, (struct sockaddr *)&sa, sizeof(sa)) | listen(l, 1), 0);
    getsockname(l, (struct sockaddr *)&sa, &len);
    port = ntohs(sa.sin_port);
    snprintf(words, sizeof(words), "port %d is already in use", port);
    REFUSED(words, "socket,host=127.0.0.1,port=%d,server=on,wait=off", port);
    c = OPEN("socket,host=127.0.0.1,port=%d,to=%d,server=on,wait=off", port, MIN(port + 50, 65535));
    cr_assert_null(strstr(chardev_desc(c), words + 5));
    chardev_free(c);
    close(l);
}

Test(chardev_open, multiplexed)
{
    struct chardev *c = OPEN("null,mux=on"), *second = chardev_mux_add(c, "second");

    cr_assert_not_null(second);
    cr_assert_str_eq(chardev_desc(c), "mux:null");
    chardev_free(second);
    chardev_free(c);
}
