/*
 * bt-verify.c - the translator against the interpreter, block by block (--verify interp)
 *
 * There are two processes: the parent executes host code, the child the same guest with the
 * interpreter. Both count instructions, so both see the same devices at the same time and need not
 * share anything (bt-icount.c). Before each block the parent leaves registers, and after vector
 * instructions and helpers all of the state, in a ring; the child compares. RAM is compared every so
 * many instructions. The child stops at the first difference and prints the block, the parent adds
 * its host code; both end with status 1.
 */
#define _GNU_SOURCE 1
#include <sched.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>
#include "accel/bt-icount.h"
#include "accel/verify.h"
#include "tcg/tcg-int.h"

#define RECORDS 2048
#define WAIT_NS 20000
#define CORE X86_CORE_WORDS

enum { WORD_RIP = 16, WORD_RFLAGS = 17 };

/** struct record - the state before a block; written by the parent */
struct record {
    uint64_t count, ram;         /* ram: sum over RAM when it was last due */
    uint64_t place, pcbase;      /* which block ran before: parent's tcg->tbs */
    uint32_t full;               /* words[] is complete, not only its first CORE */
    struct x86_words s;
};

/** struct verify_shared - between the two processes */
struct verify_shared {
    uint64_t head __attribute__((aligned(64))); /* records written; atomic */
    uint64_t tail __attribute__((aligned(64))); /* records compared; atomic */
    uint32_t found;              /* difference at record tail; atomic */
    uint32_t ended;              /* the parent writes no more; atomic */
    uint32_t why_memory;
    uint64_t blocks, insns;      /* compared */
    uint64_t skipped;            /* records without a counterpart */
    struct x86_words theirs;     /* the child's state at the difference */
    struct record ring[RECORDS];
};

struct bt_verify {
    struct verify_shared *sh;
    bool child;
    struct bt *bt;
    pid_t pid;
    uint64_t n;                  /* records written, or looked at */
    uint64_t matched, missed;    /* child: counts of the last that was found, and was not */
    uint32_t undefined_fl;       /* child: left by blocks since the last comparison */
    struct tb prev;              /* block before this one; n_insns 0: none */
    uint64_t prev_place, prev_pcbase, prev_count, prev_pc;
};

/* ---- two processes: before anything is made ------------------------------------------- */

struct verify_shared *verify_fork(bool *child, int *pid, struct err *e)
{
    struct verify_shared *sh = mmap(NULL, sizeof *sh, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    pid_t parent = getpid();

    if (sh == MAP_FAILED) {
        err_set(e, -ENOMEM, "-verify: no memory");
        return NULL;
    }
    *pid = fork();
    if (*pid < 0) {
        err_set(e, -errno, "-verify: %s", strerror(errno));
        munmap(sh, sizeof *sh);
        return NULL;
    }
    *child = *pid == 0;
    if (*child) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != parent)
            _exit(1);
    }
    return sh;
}

/* ---- waiting ------------------------------------------------------------------------------ */

static void nap(void)
{
    struct timespec ts = { .tv_nsec = WAIT_NS };

    nanosleep(&ts, NULL);
}

static bool child_lives(const struct bt_verify *v)
{
    return waitpid(v->pid, NULL, WNOHANG) == 0;
}

/* ---- telling --------------------------------------------------------------------------------- */

static void tell_states(const struct bt_verify *v, const struct record *r)
{
    const struct x86_words *a = &r->s, *b = &v->sh->theirs;
    char name[32];

    fprintf(stderr, "%-14s %18s %18s\n", "", "host code", "interpreter");
    for (unsigned i = 0; i < (r->full ? X86_WORDS : CORE); i++) {
        if (i >= CORE && a->w[i] == b->w[i])
            continue;
        x86_word_name(i, name, sizeof name);
        fprintf(stderr, "%-14s %#18llx %#18llx%s\n", name, (unsigned long long)a->w[i],
                (unsigned long long)b->w[i], a->w[i] == b->w[i] ? "" : "  <--");
    }
}

/* The parent's half: states, host code. Ends the process. */
static void tell(struct bt_verify *v)
{
    const struct record *r = &v->sh->ring[v->sh->tail % RECORDS];
    const struct tcg *t = v->bt->tcg;

    fprintf(stderr, "transom: -verify: %s behind the block at %#llx, after %llu instructions and %llu blocks\n",
            v->sh->why_memory ? "RAM differs" : "difference",
            (unsigned long long)(r->pcbase + (r->place < t->n_tbs ? t->tbs[r->place]->off : 0)),
            (unsigned long long)r->count, (unsigned long long)v->sh->tail);
    tell_states(v, r);
    if (!v->sh->why_memory && r->place < t->n_tbs)
        tcg_list_host_code(t->tbs[r->place], stderr);
    fflush(stderr);
    _exit(1);
}

/* The child's half: guest code and IR. */
static void report(struct bt_verify *v, struct tcg_cpu *cpu, bool memory)
{
    x86_get_words(X86(cpu), &v->sh->theirs);
    v->sh->why_memory = memory;
    if (v->prev.n_insns && !memory)
        tcg_list_block(cpu, &v->prev, v->prev_pcbase);
    __atomic_store_n(&v->sh->found, 1, __ATOMIC_SEQ_CST);
    for (;;)
        pause();                 /* the parent's end is ours */
}

/* ---- parent --------------------------------------------------------------------------------------- */

static void write_record(struct bt_verify *v, struct tcg_cpu *cpu, uint64_t ram)
{
    struct verify_shared *sh = v->sh;
    struct record *r = &sh->ring[v->n % RECORDS];

    while (v->n - __atomic_load_n(&sh->tail, __ATOMIC_ACQUIRE) == RECORDS) {
        if (__atomic_load_n(&sh->found, __ATOMIC_SEQ_CST))
            tell(v);
        if (!child_lives(v)) {
            fprintf(stderr, "transom: -verify: the interpreter's process has ended\n");
            _exit(1);
        }
        nap();
    }
    r->count = tcg_count(cpu);
    r->ram = ram;
    r->place = v->prev_place;
    r->pcbase = v->prev_pcbase;
    r->full = !v->prev.n_insns || v->prev.has_vectors;
    if (r->full)
        x86_get_words(X86(cpu), &r->s);
    else
        x86_get_core(X86(cpu), r->s.w);
    v->n++;
    __atomic_store_n(&sh->head, v->n, __ATOMIC_RELEASE);
    if (unlikely(__atomic_load_n(&sh->found, __ATOMIC_RELAXED)))
        tell(v);
}

/* ---- child ----------------------------------------------------------------------------------------- */

/* What is undefined is as the parent has it from now on. */
static bool take_flags(struct bt_verify *v, struct tcg_cpu *cpu, struct x86_words *own, const struct record *r)
{
    uint64_t diff = own->w[WORD_RFLAGS] ^ r->s.w[WORD_RFLAGS];

    if (diff & ~(uint64_t)x86_fl_to_eflags(v->undefined_fl))
        return false;
    cpu->fl = x86_eflags_to_fl((uint32_t)r->s.w[WORD_RFLAGS]);
    own->w[WORD_RFLAGS] = r->s.w[WORD_RFLAGS];
    return true;
}

/* Record @n; waits for it. The parent's end is ours when all is compared. */
static const struct record *get_record(struct bt_verify *v, uint64_t n)
{
    struct verify_shared *sh = v->sh;

    while (__atomic_load_n(&sh->head, __ATOMIC_ACQUIRE) <= n) {
        if (__atomic_load_n(&sh->ended, __ATOMIC_SEQ_CST) && __atomic_load_n(&sh->head, __ATOMIC_SEQ_CST) <= n) {
            __atomic_store_n(&sh->tail, __atomic_load_n(&sh->head, __ATOMIC_SEQ_CST), __ATOMIC_SEQ_CST);
            _exit(0);
        }
        nap();
    }
    return &sh->ring[n % RECORDS];
}

/* One of the two had a block end where the other had none, at a store into translated code. */
static void skip_record(struct bt_verify *v, struct tcg_cpu *cpu, const struct record *r)
{
    if (r->count == v->missed && r->count != v->matched)
        report(v, cpu, false);   /* both were there, and never at the same place */
    v->sh->skipped++;
    __atomic_store_n(&v->sh->tail, ++v->n, __ATOMIC_RELEASE);
}

/* The record of where the CPU stands, or NULL: the parent had no end of a block here. */
static const struct record *find_record(struct bt_verify *v, struct tcg_cpu *cpu, uint64_t count)
{
    for (;;) {
        const struct record *r = get_record(v, v->n);

        if (r->count < count) {
            skip_record(v, cpu, r);
            continue;
        }
        if (r->count > count)
            return NULL;
        if (r->s.w[WORD_RIP] == cpu->pc)
            return r;
        if (get_record(v, v->n + 1)->count > count) {
            v->missed = count;
            return NULL;
        }
        v->sh->skipped++;
        __atomic_store_n(&v->sh->tail, ++v->n, __ATOMIC_RELEASE);
    }
}

static void compare(struct bt_verify *v, struct tcg_cpu *cpu, uint64_t ram)
{
    struct verify_shared *sh = v->sh;
    const struct record *r = find_record(v, cpu, tcg_count(cpu));
    struct x86_words own;

    if (!r)
        return;
    if (r->full)
        x86_get_words(X86(cpu), &own);
    else
        x86_get_core(X86(cpu), own.w);
    if (own.w[WORD_RFLAGS] != r->s.w[WORD_RFLAGS] && !take_flags(v, cpu, &own, r))
        report(v, cpu, false);
    if (memcmp(own.w, r->s.w, (r->full ? X86_WORDS : CORE) * sizeof own.w[0]))
        report(v, cpu, false);
    if (r->ram != ram)
        report(v, cpu, true);
    sh->blocks++;
    sh->insns = v->matched = r->count;
    v->undefined_fl = 0;
    __atomic_store_n(&sh->tail, ++v->n, __ATOMIC_RELEASE);
}

/* ---- both ------------------------------------------------------------------------------------------- */

/* Compare where the CPU stands, unless that was done already. */
static void look(struct bt_verify *v, struct tcg_cpu *cpu)
{
    uint64_t count = tcg_count(cpu), ram = v->bt->icount->ram_sum;

    /* how often an instruction is begun that does not complete is each engine's own affair */
    if (v->prev.n_insns && cpu->pc == v->prev_pc && count == v->prev_count)
        return;
    if (v->child)
        compare(v, cpu, ram);
    else
        write_record(v, cpu, ram);
    v->prev_pc = cpu->pc;
    v->prev_count = count;
}

static void before_block(void *opaque, struct tcg_cpu *cpu, const struct tb *tb)
{
    struct bt_verify *v = opaque;

    look(v, cpu);
    v->prev = *tb;
    v->undefined_fl |= tb->undefined_fl;
    v->prev_place = tb->place;
    v->prev_pcbase = cpu->pcbase;
}

/* An interrupt's frame must not hold what is undefined. */
void bt_verify_before(struct bt_cpu *c)
{
    if (c->bt->kvm_verify)
        kvm_verify_look(c->bt->kvm_verify, &c->ac.cpu->tcg);
    else
        look(c->bt->verify, &c->ac.cpu->tcg);
}

static int config_kvm(struct bt *bt, struct tcg_config *cfg, struct err *e)
{
    bt->kvm_verify = kvm_verify_new(bt, e);
    cfg->before_block = kvm_verify_before_block;
    cfg->before_block_opaque = bt->kvm_verify;
    return bt->kvm_verify ? 0 : -ENOMEM;
}

int bt_verify_config(struct bt *bt, struct tcg_config *cfg, struct err *e)
{
    struct accel_options *o = &bt->a->opt;
    struct bt_verify *v;

    if (o->verify.kvm)
        return config_kvm(bt, cfg, e);
    if (!o->verify.shared)
        return 0;
    v = bt->verify = xzalloc(sizeof *v);
    v->sh = o->verify.shared;
    v->child = o->verify.child;
    v->pid = o->verify.pid;
    v->bt = bt;
    cfg->before_block = before_block;
    cfg->before_block_opaque = v;
    return 0;
}

/* The parent waits until all is compared. */
static void finish(struct bt_verify *v)
{
    struct verify_shared *sh = v->sh;

    __atomic_store_n(&sh->ended, 1, __ATOMIC_SEQ_CST);
    while (__atomic_load_n(&sh->tail, __ATOMIC_SEQ_CST) != v->n && child_lives(v)) {
        if (__atomic_load_n(&sh->found, __ATOMIC_SEQ_CST))
            tell(v);
        nap();
    }
    if (__atomic_load_n(&sh->found, __ATOMIC_SEQ_CST))
        tell(v);
    kill(v->pid, SIGKILL);
    waitpid(v->pid, NULL, 0);
    fprintf(stderr, "transom: -verify: no difference in %llu blocks, %llu instructions (%llu ends of blocks without "
            "a counterpart)\n", (unsigned long long)sh->blocks, (unsigned long long)sh->insns,
            (unsigned long long)sh->skipped);
    if (sh->tail != v->n)
        fprintf(stderr, "transom: -verify: the interpreter's process ended %llu blocks early\n",
                (unsigned long long)(v->n - sh->tail));
}

void bt_verify_close(struct bt *bt)
{
    struct bt_verify *v = bt->verify;

    kvm_verify_free(bt->kvm_verify);
    if (!v)
        return;
    if (v->child)
        _exit(0);
    finish(v);
    free(v);
    bt->verify = NULL;
}
