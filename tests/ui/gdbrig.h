/*
 * gdbrig.h - a machine with real-mode firmware, its vCPU threads, and the gdb stub on a
 * back end of memory; the test is the main thread. Also for the fuzzer: no Criterion.
 */
#ifndef TESTS_UI_GDBRIG_H
#define TESTS_UI_GDBRIG_H

#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>
#include "ui/chardev-int.h"
#include "ui/gdb.h"

#define RIG_ROM_BYTES 65536
#define RIG_OUT_BYTES (512 * 1024)

struct gdbrig {
    struct chr chr;
    struct machine *m;
    struct accel *a;
    struct gdb *g;
    char path[64];
    bool want_stop, want_go, quit;
    char out[RIG_OUT_BYTES];     /* what the stub sent */
    size_t n_out, room;
    unsigned gone_in;            /* the peer is gone at this write (1: the next); 0: it stays */
};

static inline void rig_die(const char *what, const struct err *e)
{
    fprintf(stderr, "gdbrig: %s: %s\n", what, e->msg);
    exit(2);
}

static inline int rig_write(struct chardev *c, const uint8_t *buf, int len)
{
    struct gdbrig *r = (struct gdbrig *)c;

    if (r->gone_in && !--r->gone_in) {
        c->event(c->front, CHR_EVENT_CLOSED);   /* as stream_flush() does */
        return len;
    }
    len = (int)MIN((size_t)len, MIN(r->room, sizeof(r->out) - 1 - r->n_out));
    memcpy(r->out + r->n_out, buf, (size_t)len);
    r->n_out += (size_t)len;
    r->out[r->n_out] = 0;
    r->room -= (size_t)len;
    return len;
}

static inline void rig_poll_input(struct chardev *c) { }
static inline void rig_hook_stop(void *opaque) { ((struct gdbrig *)opaque)->want_stop = true; }
static inline void rig_hook_go(void *opaque) { ((struct gdbrig *)opaque)->want_go = true; }
static inline void rig_hook_quit(void *opaque) { ((struct gdbrig *)opaque)->quit = true; }

/* The monitor's stand-in says what it heard. */
static inline char *rig_hook_command(void *opaque, char *line)
{
    return xasprintf("heard '%s'\n", line);
}

/* The code starts at F000:0000; the rest is HLT. */
static inline void rig_rom(struct gdbrig *r, const uint8_t *code, size_t len)
{
    static const uint8_t reset[] = { 0xea, 0x00, 0x00, 0x00, 0xf0 };
    uint8_t *rom = xmalloc(RIG_ROM_BYTES);
    int fd;

    memset(rom, 0xf4, RIG_ROM_BYTES);
    memcpy(rom, code, len);
    memcpy(rom + 0xfff0, reset, sizeof(reset));
    strcpy(r->path, "/tmp/transom-gdb-XXXXXX");
    fd = mkstemp(r->path);
    if (fd < 0 || write(fd, rom, RIG_ROM_BYTES) != RIG_ROM_BYTES)
        perror("gdbrig"), exit(2);
    close(fd);
    free(rom);
}

/* Returns a machine that stands at the reset vector, with the debugger connected. */
static inline struct gdbrig *rig_new(const char *accel, const char *cpu, unsigned n_vcpus,
                                     const uint8_t *code, size_t len)
{
    static const struct gdb_hooks hooks = { .stop = rig_hook_stop, .go = rig_hook_go,
                                            .quit = rig_hook_quit, .command = rig_hook_command };
    struct machine_config cfg = { .ram_bytes = 16 * MiB, .n_vcpus = n_vcpus };
    struct gdbrig *r = xzalloc(sizeof(*r));
    struct gdb_hooks h = hooks;
    struct accel_options o;
    struct x86_model model;
    struct err e = { "" };

    rig_rom(r, code, len);
    cfg.bios = r->path;
    if (x86_model_parse(cpu, &model, &e) || accel_parse(accel, &o, &e))
        rig_die("options", &e);
    model.tsc_hz = 0;
    r->m = machine_new(&cfg, &e);
    clock_pause(&r->m->clock);
    r->a = accel_new(r->m, &model, &o, &e);
    if (!r->a || pc_build(r->m, &e))
        rig_die("machine", &e);
    machine_reset(r->m);
    r->m->accel->reset_all(r->m);
    if (accel_start(r->a, &e))
        rig_die("threads", &e);
    unlink(r->path);
    r->room = ~0ul;
    r->chr.c = (struct chardev){ .write = rig_write, .poll_input = rig_poll_input };
    h.opaque = r;
    r->g = gdb_new(r->m, r->a, &r->chr.c, &h, &e);
    if (!r->g)
        rig_die("stub", &e);
    r->chr.c.event(r->chr.c.front, CHR_EVENT_OPENED);
    r->want_stop = false;        /* it stands still already */
    return r;
}

static inline void rig_free(struct gdbrig *r)
{
    gdb_free(r->g);
    accel_stop(r->a);
    machine_free(r->m);
    accel_free(r->a);
    free(r);
}

static inline void rig_stop(struct gdbrig *r)
{
    r->want_stop = false;
    r->m->accel->pause_all(r->m);
    r->m->run_state = RUN_PAUSED;
    __atomic_store_n(&r->m->request_stop, 0, __ATOMIC_RELEASE);
    machine_lock(r->m);
    gdb_stopped(r->g);
    machine_unlock(r->m);
}

/* What the main loop does between waits. */
static inline void rig_pump(struct gdbrig *r)
{
    do {
        if (r->want_go && r->m->run_state != RUN_RUNNING) {
            r->m->run_state = RUN_RUNNING;
            gdb_resume(r->g);
        }
        r->want_go = false;
        if (__atomic_load_n(&r->m->request_stop, __ATOMIC_ACQUIRE))
            r->want_stop = true;
        if (r->want_stop && r->m->run_state == RUN_RUNNING)
            rig_stop(r);
        r->want_stop = false;
    } while (r->want_go);
}

/* Until the machine stands still; a guest that does not is ended by the test runner. */
static inline void rig_wait(struct gdbrig *r)
{
    const struct timespec nap = { 0, 100000 };

    for (rig_pump(r); r->m->run_state == RUN_RUNNING; rig_pump(r))
        nanosleep(&nap, NULL);
}

/* Bytes from the debugger, as many at once as the stub takes. */
static inline void rig_feed(struct gdbrig *r, const char *s, size_t len)
{
    struct chardev *c = &r->chr.c;

    while (len) {
        int n;

        machine_lock(r->m);
        n = c->can_receive(c->front);
        n = MIN(n, (int)MIN(len, 4096u));
        if (n > 0)
            c->receive(c->front, (const uint8_t *)s, n);
        machine_unlock(r->m);
        if (n <= 0 && !r->want_stop && !r->want_go)
            break;               /* it reads no more until we have read */
        s += MAX(n, 0);
        len -= (size_t)MAX(n, 0);
        rig_pump(r);
    }
}

/* "$text#sum" */
static inline char *rig_frame(const char *text, size_t len, size_t *n)
{
    char *s = xmalloc(len + 5);
    uint8_t sum = 0;

    for (size_t i = 0; i < len; i++)
        sum += (uint8_t)text[i];
    s[0] = '$';
    memcpy(s + 1, text, len);
    snprintf(s + 1 + len, 4, "#%02x", sum);
    *n = len + 4;
    return s;
}

#endif
