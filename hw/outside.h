/*
 * outside.h - what a guest sees that does not follow from what it did
 *
 * A run of a machine is a function of its configuration and of what comes in here. Every source has
 * one place where it calls this interface (docs/trace.md names them):
 *
 *  - outside_value(): the guest asks, the host answers - the time, a random number;
 *  - outside_post(): something happens by itself - a key, a frame, bytes for a serial port;
 *  - outside_tell(): what follows from both is worth knowing - an interrupt that a vCPU takes, a disk
 *    request that ends.
 *
 * Whoever observes a machine is told all of it, with the number of instructions executed before. When
 * instructions are counted (-icount) the accelerator says when events happen: those of
 * other threads wait for the vCPU's, which takes them between two instructions. Disk requests
 * end at a time of the guest's then (hw/disk/drive.c), so a machine to which nobody types and nothing
 * is sent runs the same way each time.
 *
 * All calls: machine lock held, unless said otherwise.
 */
#ifndef HW_OUTSIDE_H
#define HW_OUTSIDE_H

#include "hw/hw.h"

/** enum outside_kind - sources; args are outside_event.arg */
#define OUTSIDE_KINDS(X)                                                                      \
    X(TIME,      "time")      /* value; arg: enum outside_time, ns or ticks */                \
    X(ENTROPY,   "entropy")   /* value; arg: 0, 64 random bits */                             \
    X(INTERRUPT, "interrupt") /* told; arg: vCPU, vector */                                   \
    X(DISK,      "disk")      /* told; source: drive; arg: enum block_op, offset, bytes, 0 or -errno */ \
    X(NET,       "net")       /* event; source: back end; data: the frame; arg: what it leaves open */ \
    X(INPUT,     "input")     /* event; arg: enum outside_input, its numbers */               \
    X(CHAR,      "char")      /* event, value; source: chardev; arg: enum outside_char; data */ \
    X(CONTROL,   "control")   /* event, told; arg: enum outside_control, vCPU */
enum outside_kind {
#define X(N, name) OUTSIDE_##N,
    OUTSIDE_KINDS(X)
#undef X
    OUTSIDE_KIND_COUNT
};

enum outside_time {
    OUTSIDE_CLOCK,           /* the host's clock behind the guest's, ns */
    OUTSIDE_TSC,             /* the counter behind the guest's, ticks */
    OUTSIDE_DATE,            /* the time of day at the start, ns since 1970 */
    OUTSIDE_RATE,            /* -icount shift=auto: an instruction takes 2^N ns from now on */
    OUTSIDE_WAITED,          /* -icount sleep=on: how long a halted CPU waited for an event, ns */
};
enum outside_input { OUTSIDE_KEY /* code, down */, OUTSIDE_MOTION /* dx, dy, dz, buttons */,
                     OUTSIDE_POSITION /* x << 32 | y, width << 32 | height, dz, buttons */ };
enum outside_char { OUTSIDE_BYTES, OUTSIDE_EVENT /* CHR_EVENT_* */, OUTSIDE_ROOM,
                    OUTSIDE_TAKEN /* value: bytes that the back end took */ };
enum outside_control { OUTSIDE_RESET, OUTSIDE_POWER_BUTTON, OUTSIDE_NMI, OUTSIDE_WAKEUP };

#define OUTSIDE_ARGS 5

/** struct outside_event - @data and @source are valid during the call */
struct outside_event {
    enum outside_kind kind;
    const char *source;          /* its id, or NULL */
    uint64_t insns;              /* executed before it; 0 when nobody counts; outside.c sets it */
    int64_t arg[OUTSIDE_ARGS];
    const void *data;
    size_t len;
};

/** struct outside_turns - when events happen, if time is counted: the accelerator's */
struct outside_turns {
    /** ours() - the calling thread is the one that events may happen on, and it is there */
    bool (*ours)(void *opaque);
    /** wake() - something waits for outside_run(); any thread */
    void (*wake)(void *opaque);
    /** count() - instructions executed; on that thread, or while it stands still */
    uint64_t (*count)(void *opaque);
    /** random() - 64 bits, the same numbers in every run; on that thread */
    uint64_t (*random)(void *opaque);
};

struct outside_waiting;

/** struct outside - one machine's */
struct outside {
    void (*observe)(void *opaque, struct outside_event *ev);
    void *observe_opaque;
    const struct outside_turns *turns;   /* NULL: events happen as they come */
    void *turns_opaque;
    struct outside_waiting *head, **tail;
    size_t waiting_bytes;
};

/** outside_init()/outside_free() - machine_new()'s and machine_free()'s */
void outside_init(struct machine *m);
void outside_free(struct machine *m);

/**
 * outside_observe() - tell @observe everything from now on; NULL: nobody. No vCPU runs.
 * It is called with the lock held, on whichever thread it happens, before the event takes effect, and
 * must not change the machine. What it stores in arg[1] of a value is what the guest gets.
 */
void outside_observe(struct machine *m, void (*observe)(void *opaque, struct outside_event *ev), void *opaque);
/** outside_counted() - events have turns: time is counted */
bool outside_counted(const struct machine *m);

uint64_t outside_value_observed(struct machine *m, enum outside_kind kind, int64_t which, uint64_t v);
/** outside_value() - the host says @v, the guest gets what is returned; any thread, lock or not */
static inline uint64_t outside_value(struct machine *m, enum outside_kind kind, int64_t which, uint64_t v)
{
    return likely(!m->outside->observe) ? v : outside_value_observed(m, kind, which, v);
}

/** outside_entropy() - random bits for the guest: the host's, @v, or if time is counted some that are the
 *  same in every run */
uint64_t outside_entropy(struct machine *m, uint64_t v);

/** outside_tell() - @ev happens now, by itself */
void outside_tell(struct machine *m, const struct outside_event *ev);
/**
 * outside_post() - have @happen(@target, @ev) called: at once, or when it is its turn
 * @ev is copied with its data; @source must live as long as @target. Returns false when too much waits:
 * nothing happens.
 */
bool outside_post(struct machine *m, const struct outside_event *ev,
                  void (*happen)(void *target, const struct outside_event *ev), void *target);
/** outside_run() - what waits happens; outside_turns.ours() holds */
void outside_run(struct machine *m);
/** outside_waiting() - bytes of data that wait for @target */
size_t outside_waiting(const struct machine *m, const void *target);
/** outside_forget() - @target goes: what waits for it does not happen */
void outside_forget(struct machine *m, const void *target);

#endif
