/*
 * vnc.c - VNC peers that do not behave: wrong passwords, garbage, hang-ups, in every state
 *
 * Each seed is a session over a socket pair. It takes a path through the protocol and
 * leaves it somewhere; every now and then, and at the end, a proper client must
 * still be served. The count of inputs is that of messages sent.
 */
#define _GNU_SOURCE 1
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <rfb/rfb.h>
#include "hw/display/console.h"
#include "hw/display/vga.h"
#include "tests/fuzz/run.h"
#include "ui/display.h"

#define PASSWORD "secret"
#define PROPER_EVERY 64
#define WAIT_MS 20000            /* for what must come */
#define SHORT_MS 20

static struct fuzz_run run;
static struct machine *m;
static struct vnc *open_server, *locked_server;
static uint64_t rng;

static uint32_t rnd(uint32_t n)
{
    rng = rng * 6364136223846793005ull + 1442695040888963407ull;
    return (uint32_t)((rng >> 33) % n);
}

static void die(const char *why)
{
    fprintf(stderr, "vnc fuzzer: %s\n", why);
    abort();
}

/* ---- the machine: something to look at, that changes its size ------------------------ */

static void paint(void *opaque, bool all)
{
    struct console *c = m->consoles;

    if (!c->pixels || rnd(40) == 0)
        console_resize(c, 1 + rnd(700), 1 + rnd(400));
    for (unsigned i = 0; i < 50; i++)
        c->pixels[rnd(c->width * c->height)] = rnd(0x1000000);
    console_damage(c, rnd(c->width), rnd(c->height), 1 + rnd(200), 1 + rnd(100));
}

static const struct console_source source = { .update = paint };

static void set_up(void)
{
    struct machine_config cfg = { .ram_bytes = MiB, .n_vcpus = 1 };
    struct err e = { "" };

    m = machine_new(&cfg, &e);
    if (!m)
        die(e.msg);
    console_new(m, "fuzz", &source, NULL);
    open_server = vnc_new(m, "none", "fuzz", &e);
    locked_server = vnc_new(m, "none,password=on", "fuzz", &e);
    if (!open_server || !locked_server || vnc_password(locked_server, PASSWORD, &e) < 0)
        die(e.msg);
}

/* ---- the peer ---------------------------------------------------------------------------- */

static int connected(struct vnc *v)
{
    int sp[2];

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sp) < 0)
        die("socketpair");
    vnc_serve(v, sp[0], false);
    return sp[1];
}

static bool put(int fd, const void *p, size_t n)
{
    ++run.shown[1];
    return send(fd, p, n, MSG_NOSIGNAL | MSG_DONTWAIT) == (ssize_t)n;
}

/* @n bytes, or false when the server hung up (or, with @ms, took longer). */
static bool get(int fd, void *p, size_t n, int ms)
{
    for (size_t done = 0; done < n; ) {
        struct pollfd pf = { .fd = fd, .events = POLLIN };
        ssize_t k;

        if (poll(&pf, 1, ms) <= 0)
            return false;
        k = recv(fd, (char *)p + done, n - done, 0);
        if (k <= 0)
            return false;
        done += k;
    }
    return true;
}

static void drain(int fd)
{
    char buf[65536];

    while (recv(fd, buf, sizeof buf, MSG_DONTWAIT) > 0)
        ;
}

static void random_bytes(uint8_t *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        p[i] = rnd(256);
}

/* Say something else than what is due, or nothing at all. True: go on nevertheless. */
static bool misbehave(int fd, unsigned in)
{
    uint8_t junk[300];

    if (rnd(in))
        return true;
    if (rnd(2)) {
        random_bytes(junk, sizeof junk);
        put(fd, junk, 1 + rnd(sizeof junk));
    }
    return rnd(3) == 0;
}

static bool handshake(int fd, bool locked, bool proper)
{
    static const char *const versions[] = { "RFB 003.008\n", "RFB 003.007\n", "RFB 003.003\n",
                                            "RFB 999.999\n", "GET / HTTP/1." };
    const char *version = versions[proper || rnd(3) ? 0 : rnd(32) ? rnd(4) : 4];
    int wait = proper ? WAIT_MS : SHORT_MS;
    uint8_t buf[256], n, type;
    uint32_t result;

    if (!put(fd, version, 12) || !get(fd, buf, 12, wait))
        return false;
    if (!proper && !misbehave(fd, 12))
        return false;
    if (!strcmp(version, versions[2])) {
        if (!get(fd, buf, 4, wait))
            return false;
        type = buf[3];
    } else {
        if (!get(fd, &n, 1, wait) || !n || !get(fd, buf, n, wait))
            return false;
        type = proper || rnd(8) ? buf[0] : rnd(256);
        if (!put(fd, &type, 1))
            return false;
    }
    if (!proper && !misbehave(fd, 12))
        return false;
    if (type == 2) {
        if (!get(fd, buf, CHALLENGESIZE, wait))
            return false;
        if (proper || rnd(3))
            rfbEncryptBytes(buf, (char *)PASSWORD);
        if (!put(fd, buf, CHALLENGESIZE))
            return false;
    }
    if (version == versions[0] || type == 2)
        if (!get(fd, &result, 4, wait) || result)
            return false;
    return proper || misbehave(fd, 12);
}

static bool init(int fd, bool proper, unsigned *w, unsigned *h)
{
    int wait = proper ? WAIT_MS : SHORT_MS;
    uint8_t shared = proper || rnd(8), head[24], name[256];
    uint32_t len;

    if (!put(fd, &shared, 1) || !get(fd, head, 24, wait))
        return false;
    *w = head[0] << 8 | head[1];
    *h = head[2] << 8 | head[3];
    len = head[20] << 24 | head[21] << 16 | head[22] << 8 | head[23];
    return len < sizeof name && get(fd, name, len, wait);
}

/* ---- messages -------------------------------------------------------------------------------- */

static size_t put16(uint8_t *p, unsigned v)
{
    p[0] = v >> 8;
    p[1] = v;
    return 2;
}

static size_t put32(uint8_t *p, uint32_t v)
{
    put16(p, v >> 16);
    put16(p + 2, v);
    return 4;
}

static size_t pixel_format(uint8_t *p)
{
    static const uint8_t bpps[] = { 8, 16, 32, 32, 24, 0, 255 };

    random_bytes(p, 20);
    p[0] = 0;
    if (rnd(4)) {
        p[4] = bpps[rnd(ARRAY_SIZE(bpps))];
        p[5] = MIN(p[4], 24);
        p[7] = rnd(8) != 0;
        for (unsigned i = 0; i < 3; i++) {
            put16(p + 8 + 2 * i, (1 << (1 + rnd(8))) - 1);
            p[14 + i] = rnd(32);
        }
    }
    return 20;
}

static size_t encodings(uint8_t *p)
{
    static const int32_t known[] = { 0, 1, 2, 4, 5, 6, 7, 8, 9, 15, 16, 17, 18, -260, -223, -224, -232, -239,
                                     -240, -247, -256, -307, -308, -32, -28, -512, -763, -1, 1000 };
    unsigned n = rnd(12);

    p[0] = 2;
    p[1] = 0;
    put16(p + 2, n);
    for (unsigned i = 0; i < n; i++)
        put32(p + 4 + 4 * i, rnd(8) ? (uint32_t)known[rnd(ARRAY_SIZE(known))] : rnd(~0u));
    return 4 + 4 * n;
}

static size_t update_request(uint8_t *p, unsigned w, unsigned h)
{
    bool fits = rnd(4);

    p[0] = 3;
    p[1] = rnd(2);
    put16(p + 2, fits ? 0 : rnd(65536));
    put16(p + 4, fits ? 0 : rnd(65536));
    put16(p + 6, fits ? w : rnd(65536));
    put16(p + 8, fits ? h : rnd(65536));
    return 10;
}

static size_t cut_text(uint8_t *p)
{
    uint32_t n = rnd(40);

    p[0] = 6;
    put32(p + 4, rnd(8) ? n : rnd(~0u));
    random_bytes(p + 8, n);
    return 8 + n;
}

static size_t message(uint8_t *p, unsigned w, unsigned h)
{
    switch (rnd(10)) {
    case 0:
        return pixel_format(p);
    case 1:
        return encodings(p);
    case 2: case 3: case 4:
        return update_request(p, w, h);
    case 5:
        p[0] = 4;
        p[1] = rnd(2);
        put32(p + 4, rnd(2) ? rnd(0x80) : 0xff00 + rnd(256));
        return 8;
    case 6:
        p[0] = 5;
        p[1] = rnd(256);
        put16(p + 2, rnd(65536));
        put16(p + 4, rnd(65536));
        return 6;
    case 7:
        return cut_text(p);
    case 8:
        random_bytes(p, 64);
        p[0] = rnd(2) ? 8 : rnd(16);         /* SetScale, and what else libraries know */
        return p[0] == 8 ? 4 : 1 + rnd(63);
    default:
        random_bytes(p, 64);
        return rnd(8) ? 0 : 1 + rnd(64);
    }
}

static void talk(int fd, unsigned w, unsigned h)
{
    uint8_t p[512];

    for (unsigned n = rnd(60); n; n--) {
        size_t len = message(p, w, h);

        if (len && rnd(40) == 0)
            len = rnd(len) + 1;              /* half a message */
        if (len && !put(fd, p, len))
            return;
        drain(fd);
        if (rnd(6) == 0)
            loop_run_once(m->loop, 0, (void (*)(void *))machine_lock,
                          (void (*)(void *))machine_unlock, m);
        if (rnd(6) == 0) {
            machine_lock(m);
            console_refresh(m->consoles);
            machine_unlock(m);
        }
    }
}

/* A client as it should be gets a picture. False: it was turned away, as it may be while
 * all places are taken or when somebody before wants to be alone. */
static bool proper_session(bool locked)
{
    int fd = connected(locked ? locked_server : open_server);
    uint8_t p[64], head[4];
    unsigned w, h;

    if (!handshake(fd, locked, true) || !init(fd, true, &w, &h)) {
        close(fd);
        return false;
    }
    p[0] = 3;
    p[1] = 0;
    put16(p + 2, 0);
    put16(p + 4, 0);
    put16(p + 6, w);
    put16(p + 8, h);
    if (!put(fd, p, 10) || !get(fd, head, 4, WAIT_MS) || head[0] != 0) {
        close(fd);
        return false;
    }
    close(fd);
    return true;
}

static void still_serving(bool locked)
{
    for (unsigned try = 0; try < 200; try++) {
        if (proper_session(locked))
            return;
        usleep(50000);
    }
    die("a proper client is not served");
}

static void one(uint64_t seed)
{
    bool locked = seed & 1;
    unsigned w = 1, h = 1;
    int fd;

    if (!m)
        set_up();
    rng = seed * 0x9e3779b97f4a7c15ull + 1;
    if (seed % PROPER_EVERY == 0)
        still_serving(locked ^ (seed / PROPER_EVERY & 1));
    fd = connected(locked ? locked_server : open_server);
    if (misbehave(fd, 30) && handshake(fd, locked, false) && init(fd, false, &w, &h))
        talk(fd, w, h);
    if (rnd(4) == 0)
        shutdown(fd, rnd(2) ? SHUT_WR : SHUT_RD);
    close(fd);
}

int main(int argc, char **argv)
{
    int ret;

    run = (struct fuzz_run){ .name = "vnc", .one = one, .count = 600, .per_child = 5000,
                             .shown = fuzz_shared() };
    ret = fuzz_main(&run, argc, argv);
    printf("vnc: %llu inputs\n", (unsigned long long)run.shown[1]);
    return ret;
}
