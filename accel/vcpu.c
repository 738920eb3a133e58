/*
 * vcpu.c - a vCPU's thread: running, standing still, halted
 */
#define _GNU_SOURCE 1
#include <signal.h>
#include <time.h>
#include <unistd.h>
#include "accel/accel-int.h"
#include "hw/intc/intc.h"

bool accel_self(const struct accel_cpu *c)
{
    return c->started && pthread_equal(c->thread, pthread_self());
}

static const struct accel_ops *ops_of(const struct accel_cpu *c)
{
    return __atomic_load_n(&c->a->ops, __ATOMIC_RELAXED);
}

/* vcpu.kick: after a request line went up. Cheap when the CPU is at work. */
static void kick(struct vcpu *v)
{
    struct accel_cpu *c = container_of(v, struct accel_cpu, vcpu);

    ops_of(c)->kick(c);
    if (!__atomic_load_n(&c->sleeping, __ATOMIC_SEQ_CST))
        return;
    pthread_mutex_lock(&c->lock);     /* it waits, or has yet to look; signalled without the */
    pthread_mutex_unlock(&c->lock);   /* lock it need not wait for that */
    pthread_cond_signal(&c->wake);
}

/* "sleeping" is set before the lines are looked at, and they are set before it
 * is looked at: one of the two sees the other. */
void accel_halt(struct accel_cpu *c, uint32_t masked)
{
    pthread_mutex_lock(&c->lock);
    __atomic_store_n(&c->sleeping, 1, __ATOMIC_SEQ_CST);
    while (!(__atomic_load_n(&c->vcpu.intr, __ATOMIC_SEQ_CST) & ~masked))
        pthread_cond_wait(&c->wake, &c->lock);
    __atomic_store_n(&c->sleeping, 0, __ATOMIC_SEQ_CST);
    pthread_mutex_unlock(&c->lock);
}

/* Stand still while asked to; false: the thread ends. */
static bool park(struct accel_cpu *c)
{
    bool quit;

    pthread_mutex_lock(&c->lock);
    while ((c->stop || c->hold) && !c->quit) {
        c->parked = true;
        pthread_cond_broadcast(&c->parked_cond);
        pthread_cond_wait(&c->wake, &c->lock);
    }
    quit = c->quit;
    c->parked = quit;
    if (!quit)
        vcpu_intr_lower(&c->vcpu, VCPU_INTR_EXIT);
    ops_of(c)->kick(c);          /* it may have been halted: run() looks first */
    pthread_mutex_unlock(&c->lock);
    return !quit;
}

static void *thread(void *opaque)
{
    struct accel_cpu *c = opaque;

    __atomic_store_n(&c->vcpu.thread_id, gettid(), __ATOMIC_RELAXED);
    while (park(c))
        ops_of(c)->run(c);
    return NULL;
}

void accel_ask_to_stop(struct accel_cpu *c)
{
    pthread_mutex_lock(&c->lock);
    c->stop = true;
    vcpu_intr_lower(&c->vcpu, VCPU_INTR_EXIT);  /* so that raising it kicks */
    pthread_mutex_unlock(&c->lock);
    vcpu_intr_raise(&c->vcpu, VCPU_INTR_EXIT);
}

void accel_stop_self(struct accel_cpu *c)
{
    accel_ask_to_stop(c);
}

void accel_stop_when_requested(struct accel_cpu *c)
{
    struct machine *m = c->a->m;

    if (unlikely(__atomic_load_n(&m->request_shutdown, __ATOMIC_RELAXED)
                 | __atomic_load_n(&m->request_reset, __ATOMIC_RELAXED)))
        accel_stop_self(c);
}

void accel_stop_debugged(struct accel_cpu *c, struct accel_stop why)
{
    c->stopped = why;
    c->no_irq = false;
    accel_stop_self(c);
    machine_request_stop(c->a->m);
}

void accel_wait_parked(struct accel_cpu *c)
{
    pthread_mutex_lock(&c->lock);
    while (c->started && !c->parked)
        pthread_cond_wait(&c->parked_cond, &c->lock);
    pthread_mutex_unlock(&c->lock);
}

void accel_ask_to_hold(struct accel_cpu *c)
{
    pthread_mutex_lock(&c->lock);
    c->hold = true;
    vcpu_intr_lower(&c->vcpu, VCPU_INTR_EXIT);  /* so that raising it kicks */
    pthread_mutex_unlock(&c->lock);
    vcpu_intr_raise(&c->vcpu, VCPU_INTR_EXIT);
}

bool accel_wait_held(struct accel_cpu *c, const struct timespec *until)
{
    bool parked;

    pthread_mutex_lock(&c->lock);
    while (c->started && !c->parked)
        if (pthread_cond_timedwait(&c->parked_cond, &c->lock, until) == ETIMEDOUT)
            break;
    parked = c->parked;
    pthread_mutex_unlock(&c->lock);
    return parked;
}

void accel_let_go(struct accel_cpu *c, bool hold)
{
    pthread_mutex_lock(&c->lock);
    if (hold)
        c->hold = false;
    else
        c->stop = false;
    if (!c->stop && !c->hold)
        c->parked = false;
    pthread_cond_signal(&c->wake);
    pthread_mutex_unlock(&c->lock);
}

/* Signals belong to the main thread; a host fault in translated code comes to
 * the thread that runs it, blocked or not; KVM's kick is let through by KVM. */
int accel_cpu_spawn(struct accel_cpu *c)
{
    sigset_t all, old;
    int ret;

    sigfillset(&all);
    sigdelset(&all, SIGSEGV);
    sigdelset(&all, SIGBUS);
    sigdelset(&all, SIGFPE);
    sigdelset(&all, SIGILL);
    sigdelset(&all, SIGTRAP);
    sigdelset(&all, SIGABRT);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    pthread_mutex_lock(&c->lock);      /* thread and started are seen together */
    ret = pthread_create(&c->thread, NULL, thread, c);
    c->started = ret == 0;
    pthread_mutex_unlock(&c->lock);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    return ret;
}

void accel_cpu_join(struct accel_cpu *c)
{
    if (!c->started)
        return;
    accel_ask_to_stop(c);
    pthread_mutex_lock(&c->lock);
    c->quit = true;
    pthread_cond_signal(&c->wake);
    pthread_mutex_unlock(&c->lock);
    pthread_join(c->thread, NULL);
    c->started = false;
    c->parked = true;
}

int accel_cpu_init(struct accel_cpu *c, struct accel *a, unsigned index)
{
    c->a = a;
    c->view = VIEW_NEWER;
    c->stop = c->parked = true;
    pthread_mutex_init(&c->lock, NULL);
    pthread_cond_init(&c->wake, NULL);
    pthread_cond_init(&c->parked_cond, NULL);
    c->vcpu = (struct vcpu){ .machine = a->m, .index = index, .cpu = c->cpu, .kick = kick,
                             .apic_id = machine_apic_id(a->m, index) };
    return 0;
}

void accel_cpu_free(struct accel_cpu *c)
{
    pthread_cond_destroy(&c->wake);
    pthread_cond_destroy(&c->parked_cond);
    pthread_mutex_destroy(&c->lock);
}
