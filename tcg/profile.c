/*
 * profile.c - counting where the time goes
 *
 * Built without vector registers, without calls into libc: the host's vector registers
 * may hold the guest's. So the memory is one mapping, made before anything runs.
 */
#define _GNU_SOURCE
#include "tcg/tcg-int.h"
#include <sys/mman.h>

uint64_t profile_ticks(const struct tcg *t)
{
    return t->host ? t->host->ticks() : (uint64_t)host_monotonic_ns();
}

static void add(uint64_t *n, uint64_t v)
{
    __atomic_store_n(n, __atomic_load_n(n, __ATOMIC_RELAXED) + v, __ATOMIC_RELAXED);
}

enum profile_time profile_switch(struct tcg_cpu *cpu, enum profile_time what)
{
    struct cpu_profile *p = cpu->prof;
    enum profile_time was = p->now;
    uint64_t now = profile_ticks(cpu->tcg);

    add(&p->ticks[was], now - p->since);
    __atomic_store_n(&p->since, now, __ATOMIC_RELAXED);
    __atomic_store_n(&p->now, what, __ATOMIC_RELAXED);
    return was;
}

/* Why the jump cache did not know cpu->pc. */
static enum profile_exit jc_reason(const struct tcg_cpu *cpu, const struct profile_from *from)
{
    uint64_t lin = from->flat ? cpu->pc : (uint32_t)(cpu->pc + from->cs_base);
    const struct jump_cache_entry *j = &cpu->jc[jc_index(lin)];
    uint64_t check = mmu_exec_hit(cpu, lin) | cpu->mode_salt | (from->flat ? 0 : JC_SEGMENT);

    if (from->once)
        return PX_JC_BYPASSED;
    if (j->lin == ~0ull)
        return PX_JC_EMPTY;
    if (j->lin != lin)
        return PX_JC_OTHER;
    if (j->check != check || (!from->flat && j->tb->cs_base != from->cs_base))
        return PX_JC_CHANGED;
    return PX_JC_BYPASSED;
}

static enum profile_exit exception_reason(struct tcg_cpu *cpu)
{
    switch (cpu->exception) {
    case TCG_EXC_RESTART: return PX_RESTART;
    case TCG_EXC_EXCLUSIVE: return PX_EXCLUSIVE;
    case TCG_EXC_DEBUG: return PX_DEBUG;
    }
    profile_bump(&cpu->prof->exceptions[MIN(cpu->exception, PROFILE_EXCEPTIONS - 1u)]);
    return PX_EXCEPTION;
}

static enum profile_exit direct_reason(const struct tcg_cpu *cpu)
{
    const struct tb *tb = cpu->exit_tb;
    bool linkable = tb && !tb->once && (!cpu->tcg->host || tb->link[cpu->exit_slot].jmp_off);

    return linkable ? PX_UNCHAINED : PX_UNCHAINABLE;
}

void profile_left(struct tcg_cpu *cpu, const struct profile_from *from)
{
    bool asked = !__atomic_load_n(&cpu->run, __ATOMIC_RELAXED);
    enum profile_exit why;

    switch (cpu->exit_reason) {
    case TCG_EXIT_NEXT: why = direct_reason(cpu); break;
    case TCG_EXIT_LOOKUP: why = asked ? PX_POLL : jc_reason(cpu, from); break;
    case TCG_EXIT_PC: why = asked ? PX_POLL : PX_TARGET; break;
    case TCG_EXIT_EXCEPTION: why = exception_reason(cpu); break;
    default: why = asked ? PX_POLL : PX_SERVICE;
    }
    profile_bump(&cpu->prof->exits[why]);
}

void profile_ran(struct tcg_cpu *cpu, const struct tb *tb)
{
    profile_bump((uint64_t *)((char *)cpu + profile_runs_offset(cpu->tcg)) + tb->place);
}

void profile_missed(struct tcg_cpu *cpu, enum tcg_access acc, enum profile_miss why)
{
    profile_bump(&cpu->prof->misses[why][acc == ACC_WRITE]);
}

void profile_walked(struct tcg_cpu *cpu, enum tcg_access acc)
{
    profile_bump(&cpu->prof->walks[acc]);
}

/* The entry of @fn; the last one when there is no room. */
static struct profile_helper *helper_entry(struct cpu_profile *p, const void *fn)
{
    unsigned i = (uint32_t)((uintptr_t)fn >> 4) * 0x9e3779b1u >> 22;

    _Static_assert(PROFILE_HELPERS == 1 << (32 - 22), "the hash has as many values");
    for (unsigned n = 0; n < PROFILE_HELPERS; n++, i = (i + 1) & (PROFILE_HELPERS - 1)) {
        if (!p->helper[i].fn)
            __atomic_store_n(&p->helper[i].fn, fn, __ATOMIC_RELAXED);
        if (p->helper[i].fn == fn)
            return &p->helper[i];
    }
    return &p->helper[PROFILE_HELPERS];
}

uint64_t profile_call(struct tcg_cpu *cpu, uint64_t a, uint64_t b, uint64_t c, ir_helper fn)
{
    struct profile_helper *h = helper_entry(cpu->prof, (const void *)(uintptr_t)fn);
    enum profile_time was = profile_switch(cpu, PT_HELPER);
    uint64_t start = cpu->prof->since, r = fn(cpu, a, b, c);

    profile_switch(cpu, was);
    profile_bump(&h->calls);
    add(&h->ticks, cpu->prof->since - start);
    return r;
}

/* ---- life ----------------------------------------------------------------------------- */

void profile_cpu_init(struct tcg_cpu *cpu)
{
    void *p;

    if (!cpu->tcg->profile)
        return;
    p = mmap(NULL, sizeof(*cpu->prof), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED)
        return;              /* this vCPU is not counted */
    cpu->prof = p;
    cpu->prof->now = PT_WAIT;
    cpu->prof->since = profile_ticks(cpu->tcg);
}

void profile_cpu_free(struct tcg_cpu *cpu)
{
    if (cpu->prof)
        munmap(cpu->prof, sizeof(*cpu->prof));
}
