/*
 * monitor.c - malformed lines and JSON for the monitors of a machine that runs: they may
 * not crash, and go on serving
 *
 * A case is a seed: a machine (every eighth: none, as for probing), a monitor for people and one for
 * programs on back ends of memory, LINES lines to either, made from the tables of commands and
 * then damaged, and an honest question after every few. Files that commands name are in a
 * directory of their own; there is no slash in a line, except in paths of objects and behind
 * x, xp, print. Made for SAN=1.
 *
 *   monitor [--seed N] [--count N] [--seconds N]
 */
#define _GNU_SOURCE 1
#include <sys/resource.h>
#include <sys/stat.h>
#include <fcntl.h>
#include "tests/fuzz/run.h"
#include "ui/chardev-int.h"
#include "ui/commands-int.h"
#include "ui/monitor-int.h"
#include "ui/options.h"
#include "ui/qmp.h"

enum { LINES = 1000, TEXT_MAX = 6000, CASE_SECONDS = 300, PER_CHILD = 4, ASK_EVERY = 16,
       FILE_BYTES_MAX = 8 << 20 };

static uint64_t rng;

static uint64_t r64(void)
{
    uint64_t z = (rng += 0x9e3779b97f4a7c15ull);

    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ z >> 27) * 0x94d049bb133111ebull;
    return z ^ z >> 31;
}

static unsigned pick(unsigned n) { return (unsigned)(r64() >> 16) % n; }

/* ---- back ends of memory ---------------------------------------------------------------- */

#define OUT_BYTES (8u << 20)

struct mem_chr {
    struct chr chr;
    char *out;
    size_t n;
};

static int out_write(struct chardev *c, const uint8_t *buf, int len)
{
    struct mem_chr *m = (struct mem_chr *)c;

    if (pick(200) == 0)
        len = (int)pick((unsigned)len + 1);    /* a slow reader */
    if (m->n + (size_t)len >= OUT_BYTES)
        m->n = 0;
    memcpy(m->out + m->n, buf, (size_t)len);
    m->n += (size_t)len;
    m->out[m->n] = 0;
    return len;
}

static void mem_poll_input(struct chardev *c) { }

static void mem_open(struct mem_chr *m)
{
    m->chr.c = (struct chardev){ .label = "fuzz", .write = out_write, .poll_input = mem_poll_input };
    m->out = xzalloc(OUT_BYTES);
}

/* ---- the machine under them ---------------------------------------------------------------- */

struct rig {
    struct options opt;
    struct run run;
    struct mem_chr hmp, qmp;
};

static void die(const char *what, const char *why)
{
    fprintf(stderr, "%s: %s\n", what, why);
    abort();
}

static void lock(void *m) { machine_lock(m); }
static void unlock(void *m) { machine_unlock(m); }

/* What the main loop does between waits; the end of the machine is not ours. */
static void pump(struct rig *g)
{
    bool again;

    do {
        if (!g->opt.no_machine)
            run_requests(&g->run);
        g->run.quit = false;
        machine_lock(g->run.m);
        again = run_monitors_resume(&g->run);
        machine_unlock(g->run.m);
    } while (again);
    loop_run_once(g->run.m->loop, 0, lock, unlock, g->run.m);
    if (g->hmp.n && g->run.mon[0].mon->out_len)
        g->hmp.chr.c.can_write(g->hmp.chr.c.front);
    g->qmp.chr.c.can_write(g->qmp.chr.c.front);
}

static void feed(struct rig *g, struct mem_chr *to, const char *s, size_t len)
{
    struct chardev *c = &to->chr.c;

    while (len) {
        size_t part = 1 + pick(pick(4) ? 2000 : 3);
        int room;

        machine_lock(g->run.m);
        room = c->can_receive(c->front);
        part = MIN(part, MIN(len, (size_t)MAX(room, 0)));
        if (part)
            c->receive(c->front, (const uint8_t *)s, (int)part);
        machine_unlock(g->run.m);
        s += part;
        len -= part;
        pump(g);
    }
}

static void rig_open(struct rig *g, uint64_t seed)
{
    char *none[] = { "transom", "-machine", "none", "-display", "none", "-nodefaults", NULL };
    char *some[] = { "transom", "-display", "none", "-nodefaults", "-m", "32", "-smp", "2", "-usb", "-device",
                     "VGA,id=v0", "-device", "usb-tablet,id=t0", "-drive", "file=disk.raw,format=raw,if=none,id=d0",
                     "-device", "virtio-blk-pci,drive=d0,id=blk0", "-cdrom", "cd.raw", "-chardev",
                     "ringbuf,id=ring0", "-chardev", "null,id=null0", "-serial", "chardev:null0", "-netdev",
                     "hubport,id=hub0,hubid=0", "-device", "e1000,netdev=hub0,id=nic0", NULL };
    bool empty = seed % 8 == 0;
    struct err e = { "" };
    char **argv = empty ? none : some;
    int argc = 0;

    while (argv[argc])
        argc++;
    mem_open(&g->hmp);
    mem_open(&g->qmp);
    if (options_parse(&g->opt, argc, argv, &e) < 0)
        die("options", e.msg);
    g->run = (struct run){ .opt = &g->opt, .nodes = &g->opt, .signal_fd = -1 };
    if (run_build(&g->run, &e) < 0)
        die("machine", e.msg);
    g->run.mon[0].chr = &g->hmp.chr.c;
    g->run.mon[1].chr = &g->qmp.chr.c;
    g->run.mon[1].control = true;
    g->run.n_mon = 2;
    machine_lock(g->run.m);
    if (run_monitors(&g->run, &e) < 0)
        die("monitors", e.msg);
    machine_unlock(g->run.m);
    if (!empty) {
        machine_request_reset(g->run.m, CAUSE_MONITOR);
        pump(g);
    }
}

static void rig_close(struct rig *g)
{
    run_tear_down(&g->run);
    options_free(&g->opt);
    free(g->hmp.out);
    free(g->qmp.out);
}

/* ---- text ------------------------------------------------------------------------------------ */

static const char *const words[] = {
    "0", "1", "-1", "7", "0x1000", "0xffffffffffffffff", "99999999999999999999", "on", "off", "true", "d0", "blk0",
    "v0", "t0", "nic0", "hub0", "ring0", "null0", "ide1-cd0", "disk.raw", "cd.raw", "raw", "qcow2", "ppm", "png",
    "read-only", "-f", "-a", "$rip", "$rsp+8", "(1+2)*3", "1/0", "ret", "ctrl-alt-f1", "0x1c", "vnc", "password",
    "vga,id=v1", "e1000,id=n1", "usb-mouse,id=m1", "virtio-net-pci,id=n2,netdev=hub1", "n1", "n2", "m1",
    "hubport,id=hub1,hubid=1", "hub1", "socket,id=h2,listen=:0", "null,id=c1", "ringbuf,id=r1,size=64", "c1", "r1",
    "file,id=f1,path=out.txt", "pipe,id=p1,path=nothing", "socket,id=s1,path=sock,server=on,wait=off,reconnect=1",
    "secret,id=k1,data=x", "memory-backend-ram,id=m2,size=4096", "k1", "tcp::0-:22", "help", "info", "none",
    "a\\\"b", "%s%n", "\xff\xfe", "\xc3\x28", "\"", "\"a b\"", "help", "node1", "node2", "s1", "tlb", "mem",
};

static const char *const json_values[] = {
    "0", "1", "-1", "4096", "1e400", "1.5", "9223372036854775807", "99999999999999999999", "true", "false", "null",
    "[]", "{}", "[[[[]]]]", "[{}]", "\"\"", "\"d0\"", "\"blk0\"", "\"v0\"", "\"nic0\"", "\"hub0\"", "\"ring0\"",
    "\"null0\"", "\"disk.raw\"", "\"node1\"", "\"node2\"", "\"raw\"", "\"qcow2\"", "\"e1000\"", "\"usb-mouse\"", "\"VGA\"",
    "\"hubport\"", "\"user\"", "\"png\"", "\"/machine\"", "\"/machine/peripheral\"", "\"/machine/peripheral/v0\"",
    "\"/machine/unattached/device[1]\"", "\"/machine/unattached/device[99999999999]\"", "\"static\"", "\"full\"",
    "\"host\"", "\"vgamem_mb\"", "\"type\"", "\"info tlb\"", "\"info qtree\"", "\"help\"", "\"stop\"", "\"cont\"",
    "{\"name\":\"max\",\"props\":{\"avx\":false}}", "{\"type\":\"ringbuf\",\"data\":{\"size\":256}}",
    "{\"type\":\"socket\",\"data\":{\"addr\":{\"type\":\"unix\",\"data\":{\"path\":\"qs\"}},\"server\":true}}",
    "{\"type\":\"null\"}", "{\"type\":\"file\",\"data\":{\"out\":\"o.txt\"}}", "[\"/machine\",\"/\"]",
    "[{\"type\":\"qcode\",\"data\":\"ret\"},{\"type\":\"number\",\"data\":28}]", "[{\"capability\":\"events\",\"state\":true}]",
    "[{\"type\":\"btn\",\"data\":{\"button\":\"left\",\"down\":true}},{\"type\":\"abs\",\"data\":{\"axis\":\"x\",\"value\":9}}]",
    "\"file:core\"", "\"j1\"", "\"a.qcow2\"", "[\"d0\",\"node1\"]", "{\"driver\":\"file\",\"filename\":\"a.qcow2\",\"size\":65536}",
    "{\"driver\":\"qcow2\",\"file\":\"node1\",\"size\":65536}",
    "[{\"type\":\"blockdev-snapshot-sync\",\"data\":{\"device\":\"d0\",\"snapshot-file\":\"a.qcow2\"}}]",
    "[{\"type\":\"blockdev-snapshot\",\"data\":{\"node\":\"d0\",\"overlay\":\"node1\"}},{\"type\":\"none\"}]",
    "\"\\u0000\"", "\"\\ud800\"", "\"\xff\"", "\"a\\\"b\"", "[\"oob\"]",
};

static size_t put(char *s, size_t at, const char *text)
{
    size_t n = strlen(text);

    if (at + n + 1 >= TEXT_MAX)
        return at;
    memcpy(s + at, text, n + 1);
    return at + n;
}

static const char *any_name(struct rig *g, bool info)
{
    struct monitor *mon = g->run.mon[0].mon;
    const struct monitor_cmd *const *tables = info ? mon->infos : mon->commands;
    unsigned t = 0;

    if (!info && pick(2)) {
        const struct command *c;

        while (mon->typed[t])
            t++;
        c = mon->typed[pick(t)];
        for (t = 0; c[t].hmp || c[t].qmp; t++)
            ;
        t = t ? pick(t) : 0;
        return c[t].hmp ? c[t].hmp : "help";
    }
    while (tables[t])
        t++;
    tables += pick(t);
    for (t = 0; (*tables)[t].name; t++)
        ;
    return t ? (*tables)[pick(t)].name : "help";
}

static size_t hmp_line(struct rig *g, char *s)
{
    static const char *const formats[] = { "/4xw ", "/2cb ", "/9999999999x ", "/xg ", "/3i ", "/" };
    char name[64];
    size_t n = 0;

    snprintf(name, sizeof(name), "%s", any_name(g, false));
    name[strcspn(name, "|")] = 0;
    n = put(s, n, name);
    if ((!strcmp(name, "x") || !strcmp(name, "xp") || !strcmp(name, "print")) && pick(2))
        n = put(s, n, formats[pick(ARRAY_SIZE(formats))]);
    n = put(s, n, " ");
    if (!strcmp(name, "info") && pick(8))
        n = put(s, n, any_name(g, true));
    for (unsigned i = pick(4); i; i--) {
        n = put(s, n, words[pick(ARRAY_SIZE(words))]);
        n = put(s, n, pick(8) ? " " : pick(2) ? "," : "\t");
    }
    return n;
}

static const struct command *any_command(void)
{
    unsigned t = 0, n = 0;

    while (run_commands[t])
        t++;
    t = pick(t);
    while (run_commands[t][n].hmp || run_commands[t][n].qmp)
        n++;
    return &run_commands[t][n ? pick(n) : 0];
}

/* Mostly of the type that is wanted. */
static const char *json_value(char type)
{
    const char *want = type == 'i' ? "0123456789-" : type == 'b' || type == 'f' ? "tf" : type == 'j' ? "[{" : "\"";
    bool fit = pick(4);
    const char *v;

    do
        v = json_values[pick(ARRAY_SIZE(json_values))];
    while (fit && !strchr(want, *v));
    return v;
}

static size_t qmp_line(char *s)
{
    const struct command *c = any_command();
    const char *args = c->args, *sep = "";
    struct cmd_arg a;
    size_t n = put(s, 0, pick(20) ? "{\"execute\":\"" : "{\"exec-oob\":\"");

    n = put(s, n, c->qmp ? c->qmp : "nonsense");
    n = put(s, n, "\",\"arguments\":{");
    while (cmd_next_arg(&args, &a)) {
        if (pick(8) == 0 || (a.optional && pick(2)))
            continue;
        n = put(s, n, sep);
        n = put(s, n, "\"");
        n = put(s, n, a.name);
        n = put(s, n, "\":");
        n = put(s, n, json_value(a.type));
        sep = ",";
    }
    if (args && *args == '*')
        n = put(s, n, ",\"file\":\"node1\",\"filename\":\"cd.raw\",\"hubid\":3,\"netdev\":\"hub0\"");
    n = put(s, n, "}");
    if (pick(3) == 0) {
        n = put(s, n, ",\"id\":");
        n = put(s, n, json_values[pick(ARRAY_SIZE(json_values))]);
    }
    return put(s, n, "}");
}

/* Any byte but a slash, which could lead out of the directory. */
static void damage(char *s, size_t *n)
{
    for (unsigned i = 1 + pick(6); i && *n; i--) {
        size_t at = pick((unsigned)*n);
        char c = (char)pick(256);

        switch (pick(4)) {
        case 0:
            s[at] = c == '/' ? '_' : c;
            break;
        case 1:
            memmove(s + at, s + at + 1, *n - at - 1);
            --*n;
            break;
        case 2:
            *n = at;
            break;
        default:
            if (*n + 1 < TEXT_MAX) {
                memmove(s + at + 1, s + at, *n - at);
                s[at] = "{}[]\",:\\\n\t \x1b\x01\x0b"[pick(14)];
                ++*n;
            }
            break;
        }
    }
}

/* ---- a case -------------------------------------------------------------------------------------- */

static void expect(struct rig *g, struct mem_chr *from, const char *ask, const char *answer)
{
    for (int i = 0; i < 200; i++) {
        from->n = 0;
        from->out[0] = 0;
        feed(g, from, ask, strlen(ask));
        for (int k = 0; k < 50 && !strstr(from->out, answer); k++)
            pump(g);
        if (strstr(from->out, answer))
            return;
    }
    die(ask, from->out);
}

/* A damaged line may leave an open string or object behind: a 0xff byte begins anew. */
static void ask(struct rig *g)
{
    expect(g, &g->hmp, "\x03\x15p 21+21\r", "0x2a");
    expect(g, &g->qmp, "\xff\n{\"execute\":\"query-version\",\"id\":\"here\"}\n", "\"id\": \"here\"");
}

static void connect_qmp(struct rig *g)
{
    g->qmp.chr.c.event(g->qmp.chr.c.front, CHR_EVENT_CLOSED);
    g->qmp.chr.c.event(g->qmp.chr.c.front, CHR_EVENT_OPENED);
    feed(g, &g->qmp, "{\"execute\":\"qmp_capabilities\"}\n", 31);
}

static void one_line(struct rig *g)
{
    char text[TEXT_MAX + 1];
    bool hmp = pick(2);
    size_t n = hmp ? hmp_line(g, text) : qmp_line(text);

    if (pick(3) == 0)
        damage(text, &n);
    text[n++] = hmp ? '\r' : '\n';
    feed(g, hmp ? &g->hmp : &g->qmp, text, n);
    /* a log of everything would fill disks */
    if (pick(32) == 0)
        (void)!log_set_items("none", NULL), (void)!log_set_file("log.txt", NULL);
}

static void limit_files(rlim_t bytes)
{
    struct rlimit l;

    getrlimit(RLIMIT_FSIZE, &l);
    l.rlim_cur = MIN(bytes, l.rlim_max);
    setrlimit(RLIMIT_FSIZE, &l);
}

static void run_case(uint64_t seed)
{
    struct rig *g = xzalloc(sizeof(*g));

    alarm(CASE_SECONDS);
    rng = seed;
    limit_files(RLIM_INFINITY);        /* the machine's memory is one, too */
    rig_open(g, seed);
    limit_files(FILE_BYTES_MAX);
    connect_qmp(g);
    for (unsigned i = 1; i <= LINES; i++) {
        one_line(g);
        if (i % ASK_EVERY == 0)
            ask(g);
        if (!pick(300))
            connect_qmp(g);
    }
    rig_close(g);
    free(g);
}

/* ---- a place for files ------------------------------------------------------------------------------ */

static void make_file(const char *name, off_t bytes)
{
    int fd = open(name, O_CREAT | O_RDWR, 0600);

    if (fd < 0 || ftruncate(fd, bytes) < 0)
        die(name, strerror(errno));
    close(fd);
}

int main(int argc, char **argv)
{
    struct fuzz_run r = { .name = "fuzz-monitor", .one = run_case, .count = 4, .per_child = PER_CHILD,
                          .shown = fuzz_shared() };
    char dir[] = "/tmp/transom-fuzz-XXXXXX", *clean;
    int ret, null = open("/dev/null", O_RDWR), out = dup(1);

    if (!mkdtemp(dir) || chdir(dir) < 0)
        die(dir, strerror(errno));
    make_file("disk.raw", 1 << 20);
    make_file("cd.raw", 1 << 20);
    signal(SIGXFSZ, SIG_IGN);
    signal(SIGPIPE, SIG_IGN);
    dup2(null, 0);
    (void)!log_set_file("log.txt", NULL);
    ret = fuzz_main(&r, argc, argv);
    dup2(out, 1);
    clean = xasprintf("rm -rf %s", dir);
    if (system(clean))
        ret = 2;
    free(clean);
    return ret;
}
