/*
 * gdb.c - malformed packets for the gdb stub: it may not crash, and goes on serving
 *
 * A case is a seed: a machine whose vCPUs run, PACKETS packets from templates, most of them
 * damaged or with odd arguments, in pieces of odd length, and an honest question after
 * every few. Made for SAN=1.
 *
 *   gdb [--seed N] [--count N] [--seconds N]
 */
#include "tests/fuzz/run.h"
#include "tests/ui/gdbrig.h"

enum { PACKETS = 1000, TEXT_MAX = 24000, CASE_SECONDS = 300, PER_CHILD = 20, ASK_EVERY = 16 };

/* inc word [0x500]; mov ax, [0x502]; mov [bx+0x600], ax; push ax; pop dx; loop; jmp */
static const uint8_t code[] = {
    0xff, 0x06, 0x00, 0x05, 0xa1, 0x02, 0x05, 0x89, 0x87, 0x00, 0x06, 0x50, 0x5a, 0xe2, 0xf1, 0xeb, 0xef,
};

static uint64_t rng;

static uint64_t r64(void)
{
    uint64_t z = (rng += 0x9e3779b97f4a7c15ull);

    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ z >> 27) * 0x94d049bb133111ebull;
    return z ^ z >> 31;
}

static unsigned pick(unsigned n) { return (unsigned)(r64() >> 16) % n; }

/* ---- packets ---------------------------------------------------------------------------- */

/* %a address, %n small number, %x any number, %h hex bytes, %b binary bytes, %t thread */
static const char *const templates[] = {
    "?", "g", "G%h", "p%n", "P%n=%h", "m%a,%n", "m%a,%x", "M%a,%n:%h", "X%a,%n:%b", "Z%n,%a,%n", "z%n,%a,%n",
    "Z0,%a,1", "Z1,f%n,1", "Z2,50%n,%n", "Z3,502,2", "Z4,60%n,4", "z2,50%n,%n", "z3,502,2", "Hg%t", "Hc%t",
    "T%t", "c", "s", "c%a", "s%a", "C05", "S05;%a", "vCont?", "vCont;c", "vCont;s", "vCont;s:%t;c",
    "vCont;c:%t;t:%t;s:%t", "vCont;S05:%t;C02", "qSupported:multiprocess+;swbreak+;hwbreak+;exec-events+",
    "qSupported", "qXfer:features:read:target.xml:%n,%x", "qXfer:features:read:target.xml:0,%x",
    "qXfer:memory-map:read::%n,%x", "qXfer:features:read:%b:0,fff", "qRcmd,%h", "qfThreadInfo", "qsThreadInfo",
    "qThreadExtraInfo,%t", "qC", "qAttached", "qAttached:%n", "qqemu.sstep", "qqemu.sstepbits", "Qqemu.sstep=%x",
    "Qqemu.sstep=7", "qqemu.PhyMemMode", "Qqemu.PhyMemMode:%n", "QStartNoAckMode", "D", "D;%n", "k", "vKill;1",
    "vAttach;%n", "!", "bs", "bc", "vMustReplyEmpty", "Qtransom.follow:%n", "%b", "q%b", "v%b", "",
};

static size_t put_hex(char *s)
{
    size_t n = pick(8) ? pick(160) : pick(TEXT_MAX / 4);

    for (size_t i = 0; i < n; i++)
        s[i] = "0123456789abcdefABCDEF"[pick(22)];
    return n;
}

static size_t put_binary(char *s)
{
    size_t n = pick(8) ? pick(40) : pick(TEXT_MAX / 4);

    for (size_t i = 0; i < n; i++)
        s[i] = (char)r64();
    return n;
}

static uint64_t address(void)
{
    switch (pick(6)) {
    case 0: return r64();
    case 1: return ~0ull - pick(32);
    case 2: return 0xf0000 + pick(20);
    case 3: return 0xfffffff0 + pick(32);
    default: return 0x500 + pick(0x200);
    }
}

static size_t put_thread(char *s)
{
    static const char *const threads[] = { "1", "2", "p1.1", "p1.2", "-1", "0", "p1.-1", "p-1.-1", "p0.0", "3",
                                           "p2.1", "p1.ffffffffffffffff", "p", ".", "p1." };

    return (size_t)sprintf(s, "%s", threads[pick(ARRAY_SIZE(threads))]);
}

static size_t fill(char *s, const char *t)
{
    char *start = s;

    for (; *t; t++) {
        if (*t != '%') {
            *s++ = *t;
            continue;
        }
        switch (*++t) {
        case 'a': s += sprintf(s, "%llx", (unsigned long long)address()); break;
        case 'n': s += sprintf(s, "%x", pick(4) ? pick(8) : pick(300)); break;
        case 'x': s += sprintf(s, "%llx", (unsigned long long)(r64() >> pick(64))); break;
        case 'h': s += put_hex(s); break;
        case 'b': s += put_binary(s); break;
        default: s += put_thread(s);
        }
    }
    return (size_t)(s - start);
}

static size_t damage(char *s, size_t n)
{
    size_t at = n ? pick((unsigned)n) : 0;

    switch (pick(6)) {
    case 0:
        if (n)
            s[at] = (char)r64();
        return n;
    case 1:
        return at;
    case 2:
        memmove(s + at + 1, s + at, n - at);
        s[at] = "0,;:=.p-+#$}*"[pick(13)];
        return n + 1;
    case 3:
        memmove(s + n, s, n);
        return 2 * n;
    default:
        return n;
    }
}

/* ---- a case --------------------------------------------------------------------------------- */

static void send_pieces(struct gdbrig *r, const char *s, size_t n)
{
    while (n) {
        size_t part = pick(4) ? n : 1 + pick(30);

        part = MIN(part, n);
        rig_feed(r, s, part);
        s += part;
        n -= part;
    }
}

static void send_packet(struct gdbrig *r)
{
    static char text[4 * TEXT_MAX];
    size_t len = fill(text, templates[pick(ARRAY_SIZE(templates))]), n;
    char *s;

    if (!pick(3))
        len = damage(text, len);
    s = rig_frame(text, len, &n);
    if (!pick(20))
        s[n - 1 - pick(2)] = (char)r64();     /* the sum */
    if (!pick(50))
        n = pick((unsigned)n + 1);
    r->room = pick(20) ? ~0ul : pick(3000);
    r->gone_in = pick(100) ? 0 : 1 + pick(2);
    send_pieces(r, s, n);
    r->gone_in = 0;
    free(s);
    if (!pick(10))
        rig_feed(r, &"\x03+-"[pick(3)], 1);
}

/* Whatever came before, it answers now. */
static void ask(struct gdbrig *r)
{
    struct chardev *c = &r->chr.c;

    r->room = ~0ul;
    machine_lock(r->m);
    c->can_write(c->front);
    machine_unlock(r->m);
    rig_feed(r, "###\x03", 4);                /* ends a packet that was cut off */
    rig_pump(r);
    r->n_out = 0;
    rig_feed(r, "$?#3f", 5);
    rig_wait(r);
    if (!strstr(r->out, "$T")) {
        fprintf(stderr, "fuzz-gdb: no answer but '%.80s'\n", r->out);
        abort();
    }
    r->n_out = 0;
}

static void reconnect(struct gdbrig *r)
{
    struct chardev *c = &r->chr.c;

    machine_lock(r->m);
    c->event(c->front, CHR_EVENT_CLOSED);
    machine_unlock(r->m);
    rig_pump(r);
    machine_lock(r->m);
    c->event(c->front, CHR_EVENT_OPENED);
    machine_unlock(r->m);
    rig_pump(r);
}

static void run_case(uint64_t seed)
{
    struct gdbrig *r;

    alarm(CASE_SECONDS);
    rng = seed;
    r = rig_new("tcg", seed & 1 ? "max" : "qemu64", 2, code, sizeof(code));
    for (unsigned i = 1; i <= PACKETS; i++) {
        send_packet(r);
        if (r->n_out > RIG_OUT_BYTES / 2)
            r->n_out = 0;
        if (i % ASK_EVERY == 0)
            ask(r);
        if (!pick(300))
            reconnect(r);
    }
    rig_free(r);
}

int main(int argc, char **argv)
{
    struct fuzz_run r = { .name = "fuzz-gdb", .one = run_case, .count = 10, .per_child = PER_CHILD,
                          .shown = fuzz_shared() };

    return fuzz_main(&r, argc, argv);
}
