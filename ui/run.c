/*
 * run.c - the main thread: timers, descriptors, requests to the machine
 *
 * The vCPUs are stopped and started here and only here, without the machine
 * lock, which a vCPU may need to reach the point where it can stop.
 */
#define _GNU_SOURCE 1
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "hw/disk/drive.h"
#include "hw/acpi/pm.h"
#include "ui/run-int.h"

#define TIMER_SLACK_NS 1000   /* Linux's default of 50 us is long for a guest's timer */

/* ---- events -------------------------------------------------------------------------- */

static void event(struct run *r, const char *name)
{
    run_event(r, name, NULL);
}

static void event_reason(struct run *r, const char *name, bool guest, const char *reason)
{
    char data[96];

    snprintf(data, sizeof data, "{\"guest\": %s, \"reason\": \"%s\"}", guest ? "true" : "false", reason);
    run_event(r, name, data);
}

static bool by_guest(enum shutdown_cause why)
{
    return why == CAUSE_GUEST_SHUTDOWN || why == CAUSE_GUEST_RESET || why == CAUSE_TRIPLE_FAULT ||
           why == CAUSE_DEBUG_EXIT;
}

static const char *reason(enum shutdown_cause why, bool reset)
{
    switch (why) {
    case CAUSE_GUEST_SHUTDOWN: case CAUSE_DEBUG_EXIT:
        return "guest-shutdown";
    case CAUSE_GUEST_RESET: case CAUSE_TRIPLE_FAULT:
        return "guest-reset";
    case CAUSE_HOST_SIGNAL:
        return "host-signal";
    default:
        return reset ? "host-qmp-system-reset" : "host-qmp-quit";
    }
}

/* ---- signals ------------------------------------------------------------------------- */

static void on_signal(void *opaque, int fd, short revents)
{
    struct run *r = opaque;
    struct signalfd_siginfo si;

    if (read(fd, &si, sizeof si) == sizeof si)
        machine_request_shutdown(r->m, CAUSE_HOST_SIGNAL, 0);
}

static int catch_signals(struct run *r, struct err *e)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGHUP);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    r->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (r->signal_fd < 0)
        return err_set(e, -errno, "signalfd: %s", strerror(errno));
    loop_add_fd(r->m->loop, r->signal_fd, POLLIN, on_signal, r);
    return 0;
}

/* The earliest timer changed; the loop need not hear of it when it looks anyway. */
static void timer_moved(void *opaque)
{
    struct run *r = opaque;
    const struct timer *t = r->m->timers.head;

    if (!t || t->deadline_ns >= r->wake_at_ns || !r->m->loop)   /* no loop: it is all ending */
        return;
    r->wake_at_ns = t->deadline_ns;
    loop_wake(r->m->loop);
}

int run_prepare(struct run *r, struct err *e)
{
    prctl(PR_SET_TIMERSLACK, TIMER_SLACK_NS);
    r->wake_at_ns = INT64_MIN;
    r->m->timers.notify = timer_moved;
    r->m->timers.notify_opaque = r;
    return catch_signals(r, e);
}

/* Run what is due; returns how long to wait, -1 for ever. */
static int64_t run_timers(struct run *r)
{
    struct machine *m = r->m;
    int64_t left = -1;

    machine_lock(m);
    r->wake_at_ns = INT64_MIN;    /* we are awake */
    if (m->clock.running)
        left = timer_list_run(&m->timers);
    r->wake_at_ns = left >= 0 ? m->timers.head->deadline_ns : INT64_MAX;
    machine_unlock(m);
    return left;
}

/* ---- run states ------------------------------------------------------------------------ */

/* All vCPUs stand still then: what one of them has asked for meanwhile is done. */
static void stop(struct run *r, enum run_state why)
{
    r->m->accel->pause_all(r->m);
    r->m->run_state = why;
    __atomic_store_n(&r->m->request_stop, 0, __ATOMIC_RELEASE);
    event(r, "STOP");
    if (!r->gdb)
        return;
    machine_lock(r->m);
    gdb_stopped(r->gdb);
    machine_unlock(r->m);
}

/* Everything but the vCPUs goes on; false: it does already, or only a reset helps. */
static bool go_on(struct run *r)
{
    if (r->m->run_state == RUN_RUNNING || r->m->run_state == RUN_SHUTDOWN)
        return false;
    r->m->run_state = RUN_RUNNING;
    machine_lock(r->m);
    drives_resume(r->m);
    machine_unlock(r->m);
    r->io_error = false;
    event(r, "RESUME");
    return true;
}

static void cont(struct run *r)
{
    if (go_on(r))
        r->m->accel->resume_all(r->m);
}

/* As the debugger wants it: all, or some of them one instruction. */
static void debug_go(struct run *r)
{
    if (go_on(r))
        gdb_resume(r->gdb);
}

/* @why: CAUSE_NONE for the one at the start */
static void reset(struct run *r, enum shutdown_cause why)
{
    struct machine *m = r->m;

    m->accel->pause_all(m);
    machine_lock(m);
    machine_reset(m);
    m->accel->reset_all(m);
    machine_unlock(m);
    if (why == CAUSE_WAKEUP)
        event(r, "WAKEUP");
    else if (why)
        event_reason(r, "RESET", by_guest(why), reason(why, true));
    if (m->run_state == RUN_RUNNING)
        m->accel->resume_all(m);
    else if (m->run_state == RUN_SHUTDOWN)
        m->run_state = RUN_PAUSED;
}

/* Cards that the guest gave back. */
static void remove_gone(struct run *r)
{
    r->m->accel->pause_all(r->m);
    machine_lock(r->m);
    machine_remove_gone(r->m);
    machine_unlock(r->m);
    if (r->m->run_state == RUN_RUNNING)
        r->m->accel->resume_all(r->m);
}

static void powerdown(struct run *r)
{
    machine_lock(r->m);
    pm_power_button(r->m);
    machine_unlock(r->m);
    event(r, "POWERDOWN");
}

/* What the guest itself brought about, -no-shutdown keeps to look at. */
static void shutdown_request(struct run *r, enum shutdown_cause why)
{
    bool guest = why == CAUSE_GUEST_SHUTDOWN || why == CAUSE_GUEST_RESET ||
                 why == CAUSE_TRIPLE_FAULT;

    event_reason(r, "SHUTDOWN", by_guest(why), reason(why, false));
    if (guest && r->m->cfg.no_shutdown) {
        stop(r, RUN_SHUTDOWN);
        return;
    }
    r->quit = true;
    r->exit_code = __atomic_load_n(&r->m->exit_code, __ATOMIC_ACQUIRE) & 0xff;
}

static int32_t take(int32_t *request)
{
    if (!__atomic_load_n(request, __ATOMIC_RELAXED))
        return 0;
    return __atomic_exchange_n(request, 0, __ATOMIC_ACQ_REL);
}

/* The loop is woken for each, so one round a wake is enough. */
void run_requests(struct run *r)
{
    uint32_t want = __atomic_exchange_n(&r->want, 0, __ATOMIC_SEQ_CST);
    int32_t why;

    if ((why = take(&r->m->request_shutdown)))
        shutdown_request(r, why);
    if (r->quit)
        return;
    if ((why = take(&r->m->request_reset)))
        reset(r, why);
    if (take(&r->m->request_remove))
        remove_gone(r);
    if (take(&r->m->request_powerdown))
        powerdown(r);
    if (want & WANT_DEBUG)                 /* before a stop: that may be his, too */
        debug_go(r);
    if (take(&r->m->request_stop)) {
        r->io_error = drives_stopped(r->m);
        want |= WANT_STOP;
    }
    if ((want & WANT_STOP) && r->m->run_state == RUN_RUNNING)
        stop(r, RUN_PAUSED);
    if (want & WANT_CONT)
        cont(r);
}

/* ---- the loop ------------------------------------------------------------------------------ */

static void lock(void *opaque)
{
    machine_lock(opaque);
}

static void unlock(void *opaque)
{
    machine_unlock(opaque);
}

/* Commands whose requests are carried out are answered, and may be followed by more. */
static bool resume_monitors(struct run *r)
{
    bool again;

    machine_lock(r->m);
    again = run_monitors_resume(r);
    machine_unlock(r->m);
    return again;
}

/* -machine none: monitors only. */
static int run_without_machine(struct run *r)
{
    while (!r->quit) {
        int32_t why;

        loop_run_once(r->m->loop, -1, lock, unlock, r->m);
        if ((why = take(&r->m->request_shutdown)))
            shutdown_request(r, why);
        __atomic_store_n(&r->want, 0, __ATOMIC_SEQ_CST);
        take(&r->m->request_reset);
        take(&r->m->request_powerdown);
        while (!r->quit && resume_monitors(r))
            ;
    }
    return r->exit_code;
}

/*
 * Guests measure their timers against the TSC, which goes on while this thread waits for a
 * CPU: on a busy host Linux found that its timer does not work. From Linux 6.12 on a thread
 * that asks for short slices is let in sooner; elsewhere this changes nothing.
 */
static void ask_for_short_slices(void)
{
    struct {                 /* sched_setattr(2), first version */
        uint32_t size, policy;
        uint64_t flags;
        int32_t nice;
        uint32_t priority;
        uint64_t runtime_ns, deadline_ns, period_ns;
    } attr = { .size = sizeof(attr), .policy = SCHED_OTHER, .nice = getpriority(PRIO_PROCESS, 0),
               .runtime_ns = 100000 };

    (void)!syscall(SYS_sched_setattr, 0, &attr, 0);
}

int run_loop(struct run *r)
{
    if (r->opt->no_machine)
        return run_without_machine(r);
    ask_for_short_slices();
    reset(r, CAUSE_NONE);
    if (!r->opt->paused)
        cont(r);
    while (!r->quit) {
        int64_t left = run_timers(r);

        loop_run_once(r->m->loop, left, lock, unlock, r->m);
        do {
            run_requests(r);
        } while (!r->quit && resume_monitors(r));
    }
    return r->exit_code;
}
