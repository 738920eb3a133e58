/*
 * smp.c - several vCPUs on one set of translations
 *
 * Blocks are made and dropped under tcg_lock(); vCPUs find and run them without.
 *
 * Epochs. tcg->epoch counts events that every vCPU has to notice. A vCPU looks at
 * the top of the run loop, where it is in no block and has no access to guest memory
 * under way, and notes the epoch in cpu->seen; while it waits it is TCG_OFFLINE and
 * looks before it goes on. "Passed" means: what any vCPU had begun before is finished,
 * and what it begins later sees what was published before.
 *
 * Stores into code. Each vCPU alone changes its page maps. A page that gets its first
 * block is entered in a ring; each vCPU takes it out of its own write maps when it
 * looks. Until all have passed the epoch in which a block was made, stores to its
 * bytes may go unnoticed: one that had found its host address before, one through a
 * write map that still has the page, one that looked at code_bits too early. Such a
 * block keeps a copy of its bytes; the run loop compares them before every entry, and
 * neither chains it nor puts it into a jump cache. After all have passed, a last
 * comparison settles it: any later store finds the page protected and code_bits set.
 *
 * Dropped blocks stay where they are until the cache is emptied, which is done in an
 * exclusive section, so a vCPU may still be inside one or about to enter one that it
 * found before: as if it had fetched those instructions before the store.
 *
 * A chained jump to another page is guarded by a comparison before it. Once unchained it
 * is linked anew only after an epoch: somebody may be between the two.
 */
#define _GNU_SOURCE
#include "tcg/tcg-int.h"
#include <sched.h>
#include <unistd.h>
#if defined(__linux__)
#include <linux/futex.h>
#include <sys/syscall.h>
#endif

/* ---- the lock: 0 free, 1 held, 2 held and waited for ---------------------------- */

#define SPINS 100

static inline void relax(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#endif
}

static void lock_slow(uint32_t *l)
{
    for (unsigned i = 0; i < SPINS; i++) {
        uint32_t free_ = 0;

        if (__atomic_compare_exchange_n(l, &free_, 1, false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
            return;
        relax();
    }
    while (__atomic_exchange_n(l, 2, __ATOMIC_ACQUIRE))
        syscall(SYS_futex, l, FUTEX_WAIT_PRIVATE, 2, NULL, NULL, 0);
}

void tcg_lock(struct tcg *t)
{
    uint32_t free_ = 0;

    if (!t->smp)
        return;
    if (!__atomic_compare_exchange_n(&t->lock, &free_, 1, false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
        lock_slow(&t->lock);
}

void tcg_unlock(struct tcg *t)
{
    if (t->smp && __atomic_exchange_n(&t->lock, 0, __ATOMIC_RELEASE) == 2)
        syscall(SYS_futex, &t->lock, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

/* ---- epochs ------------------------------------------------------------------------ */

uint64_t tcg_epoch(struct tcg *t)
{
    return __atomic_add_fetch(&t->epoch, 1, __ATOMIC_SEQ_CST);
}

bool tcg_passed(struct tcg *t, uint64_t epoch, const struct tcg_cpu *but)
{
    for (const struct tcg_cpu *c = t->cpus; c; c = c->next)
        if (c != but && __atomic_load_n(&c->seen, __ATOMIC_SEQ_CST) < epoch)
            return false;
    return true;
}

void smp_hurry(struct tcg *t, uint64_t epoch, const struct tcg_cpu *but)
{
    for (struct tcg_cpu *c = t->cpus; c; c = c->next)
        if (c != but && __atomic_load_n(&c->seen, __ATOMIC_RELAXED) < epoch)
            tcg_kick(c);
}

/* Under the lock: one writer. The page is in the ring before the count says so, and
 * the count before the epoch that the block's maker begins. */
void smp_protect(struct tcg *t, uint32_t page)
{
    uint64_t n = t->n_protected;

    __atomic_store_n(&t->protected[n % PROTECTED_RING], page, __ATOMIC_RELAXED);
    __atomic_store_n(&t->n_protected, n + 1, __ATOMIC_RELEASE);
}

void smp_take_protected(struct tcg_cpu *cpu)
{
    struct tcg *t = cpu->tcg;
    uint64_t n = __atomic_load_n(&t->n_protected, __ATOMIC_ACQUIRE), i = cpu->protected_seen;

    for (; i < n && n - i < PROTECTED_RING; i++)
        mmu_protect_page(cpu, __atomic_load_n(&t->protected[i % PROTECTED_RING], __ATOMIC_ACQUIRE));
    /* entries may have been overwritten before they were read */
    if (__atomic_load_n(&t->n_protected, __ATOMIC_ACQUIRE) - cpu->protected_seen >= PROTECTED_RING)
        mmu_protect_all(cpu);
    cpu->protected_seen = n;
}

/* @now was read before anything else was looked at, so nothing newer is lost. */
static void pass(struct tcg_cpu *cpu, uint64_t now)
{
    if (cpu->protected_seen != __atomic_load_n(&cpu->tcg->n_protected, __ATOMIC_ACQUIRE))
        smp_take_protected(cpu);
    __atomic_store_n(&cpu->seen, now, __ATOMIC_SEQ_CST);
}

void tcg_offline(struct tcg_cpu *cpu)
{
    struct tcg *t = cpu->tcg;

    if (unlikely(cpu->prof) && cpu->prof->now != PT_WAIT)
        cpu->prof->before_wait = profile_switch(cpu, PT_WAIT);
    __atomic_store_n(&cpu->seen, TCG_OFFLINE, __ATOMIC_SEQ_CST);
    if (likely(!__atomic_load_n(&t->excl, __ATOMIC_SEQ_CST)))
        return;
    pthread_mutex_lock(&t->excl_lock);
    pthread_cond_broadcast(&t->excl_cond);
    pthread_mutex_unlock(&t->excl_lock);
}

/* Whoever wants all others outside sees us, or we see that he does. */
void tcg_online(struct tcg_cpu *cpu)
{
    struct tcg *t = cpu->tcg;
    uint64_t now;

    for (;;) {
        __atomic_store_n(&cpu->seen, __atomic_load_n(&t->epoch, __ATOMIC_SEQ_CST), __ATOMIC_SEQ_CST);
        now = __atomic_load_n(&t->epoch, __ATOMIC_SEQ_CST);
        if (likely(!__atomic_load_n(&t->excl, __ATOMIC_SEQ_CST)) || cpu->exclusive)
            break;
        tcg_offline(cpu);
        pthread_mutex_lock(&t->excl_lock);
        while (t->excl)
            pthread_cond_wait(&t->excl_cond, &t->excl_lock);
        pthread_mutex_unlock(&t->excl_lock);
    }
    pass(cpu, now);
    if (unlikely(cpu->prof))
        profile_switch(cpu, cpu->prof->before_wait);
}

void smp_catch_up(struct tcg_cpu *cpu)
{
    uint64_t now = __atomic_load_n(&cpu->tcg->epoch, __ATOMIC_SEQ_CST);

    if (unlikely(__atomic_load_n(&cpu->tcg->excl, __ATOMIC_SEQ_CST)) && !cpu->exclusive) {
        tcg_offline(cpu);
        tcg_online(cpu);
    } else {
        pass(cpu, now);
    }
}

/* ---- exclusive sections ---------------------------------------------------------------- */

void smp_exclusive_begin(struct tcg_cpu *cpu)
{
    struct tcg *t = cpu->tcg;
    uint64_t now;

    if (!t->smp)
        return;
    tcg_offline(cpu);
    pthread_mutex_lock(&t->excl_lock);
    while (t->excl)
        pthread_cond_wait(&t->excl_cond, &t->excl_lock);
    __atomic_store_n(&t->excl, true, __ATOMIC_SEQ_CST);
    now = tcg_epoch(t);
    smp_hurry(t, now, cpu);
    for (struct tcg_cpu *c = t->cpus; c; c = c->next)
        while (c != cpu && __atomic_load_n(&c->seen, __ATOMIC_SEQ_CST) != TCG_OFFLINE)
            pthread_cond_wait(&t->excl_cond, &t->excl_lock);
    pthread_mutex_unlock(&t->excl_lock);
    cpu->exclusive = 1;
    tcg_online(cpu);
}

void smp_exclusive_end(struct tcg_cpu *cpu)
{
    struct tcg *t = cpu->tcg;

    if (!t->smp)
        return;
    cpu->exclusive = 0;
    pthread_mutex_lock(&t->excl_lock);
    __atomic_store_n(&t->excl, false, __ATOMIC_SEQ_CST);
    pthread_cond_broadcast(&t->excl_cond);
    pthread_mutex_unlock(&t->excl_lock);
}

/* ---- spinning guests ------------------------------------------------------------------- */

#define PAUSES 32            /* about as long as a vCPU that runs needs to let go of a lock */

uint64_t tcg_pause(struct tcg_cpu *cpu, uint64_t a, uint64_t b, uint64_t c)
{
    if (++cpu->pauses >= PAUSES) {
        cpu->pauses = 0;
        sched_yield();
    }
    return 0;
}

bool tcg_need_exclusive(struct tcg_cpu *cpu)
{
    if (likely(!cpu->tcg->smp) || cpu->exclusive)
        return false;
    cpu->exception = TCG_EXC_EXCLUSIVE;
    return true;
}
