/*
 * backend.c - the x86-64 back end's entry points: compile a block, chain, enter;
 * host faults inside translated code
 */
#define _GNU_SOURCE
#include "tcg/host-x86_64/gen-int.h"
#include "tcg/tb-cache-int.h"
#include <signal.h>
#include <stdlib.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <ucontext.h>

#define ALTSTACK_BYTES (64 * 1024)

/* The vCPU whose code this thread is in, for the signal handler. */
static __thread struct tcg_cpu *running;
static __thread uintptr_t last_fault_pc;
static __thread unsigned same_faults;

/* ---- compiling ------------------------------------------------------------------ */

static void gen_start(struct gen *g, struct tcg *t, struct tb *tb, const struct ir_block *b)
{
    g->t = t;
    g->tb = tb;
    g->b = b;
    g->start = g->c.p = t->cache.rw + t->cache.used;
    g->c.rels = t->relocs && !tb->once ? &g->rels : NULL;
    g->rels.n = 0;
    g->end = t->cache.rw + t->cache.cold;
    g->cold = t->cache.rw + t->cache.cold_used;
    g->cold_end = t->cache.rw + t->cache.bytes;
    for (unsigned i = 0; i < b->n_vals; i++)
        g->v[i] = (struct tval){ .reg = -1, .home = -1 };
    for (unsigned i = 0; i < N_SCRATCH; i++)
        g->owner[i] = IR_NONE;
    g->locked = g->rr = 0;
    g->spill_used = 0;
    flags_lost(g);
    g->fl_mem = true;
    g->f_late = true;
    g->rec.kind = REC_NONE;
    g->set_end = NULL;       /* of a block that stood here before */
    g->vec_ok = g->zmm_ok = g->x87_ok = g->fail = false;
    g->n_fix = g->n_stubs = g->n_sites = g->skip = g->n_alone = 0;
    g->pcoff = tb->off;
}

/* A block that reaches into the next page starts by checking which page that is. */
static void gen_page2_guard(struct gen *g)
{
    struct code *c = &g->c;
    struct stub *s = stub_new(g, STUB_FAULT);

    if (g->tb->flat) {
        mov_load(c, RAX, ENV(pcbase));
        alu_imm(c, g->b->pc32 ? 4 : 8, ALU_ADD, o_reg(RAX), PAGE_SIZE);
    } else {
        mov_imm(c, RAX, (uint32_t)(g->tb->pcbase + g->tb->cs_base + PAGE_SIZE));
    }
    map_lookup(g, RAX, RCX, ACC_EXEC);
    alu_imm(c, 4, ALU_CMP, o_reg(RCX), 0x7fffffff); /* a 32-bit immediate, whatever its value */
    stl32(c->p - 4, g->tb->page2 + 1);
    rel_note(c, c->p - 4, TR_PAGE2);
    s->from[0] = jcc32(c, 5);
    s->thunk = TH_LEAVE_INTR;
}

static bool gen_finish(struct gen *g)
{
    struct tcg *t = g->t;
    struct tb *tb = g->tb;
    struct tb_site *sites;
    uint8_t *cold;

    for (unsigned i = 0; i < g->n_fix; i++)
        patch32(g->fix[i].at, g->label[g->fix[i].label]);
    sides_emit(g);
    cold = stubs_emit(g);
    if (g->fail)
        return false;
    sites = tcg_arena(t, g->n_sites * sizeof(*sites) + 1);
    if (!sites)
        return false;
    memcpy(sites, g->sites, g->n_sites * sizeof(*sites));
    tb->sites = sites;
    tb->n_sites = g->n_sites;
    tb->code = t->cache.rx + (g->start - t->cache.rw);
    tb->code_len = (uint32_t)(g->c.p - g->start);
    tb->cold = t->cache.rx + (g->cold - t->cache.rw);
    tb->cold_len = (uint32_t)(cold - g->cold);
    if (g->c.rels && !rels_keep(g))
        return false;
    t->cache.used = align_up((size_t)(g->c.p - t->cache.rw), 16);
    t->cache.cold_used = (size_t)(cold - t->cache.rw);
    return true;
}

static bool x86_compile(struct tcg *t, struct tb *tb, const struct ir_block *b)
{
    struct gen *g = t->host_priv;

    gen_start(g, t, tb, b);
    tb->f_spoils = flags_spoils(b);
    if (g->c.p + 2 * GEN_MARGIN > g->end)
        return false;
    if (b->n_carry || b->loop.n)     /* a loop without calls: nothing in it puts that state away */
        vec_ready(g);
    tb->loop_off = (uint16_t)gen_carry_none(g, b->n_carry);
    if (b->loop.n)
        loop_enter(g);
    if (t->profile)
        gen_count_run(g);
    if (b->loop.n)
        loop_top(g);
    if (tb->page2 != NO_PAGE)
        gen_page2_guard(g);
    for (const struct ir_op *op = b->ops, *end = op + b->n_ops; op < end; op += 1 + g->skip) {
        g->skip = 0;         /* a branch that deals with both its exits says so */
        if (op->opc == IR_INSN) {
            g->pcoff = (int32_t)op->imm;
            continue;
        }
        if (g->c.p + GEN_MARGIN > g->end || g->fail)
            return false;
        gen_op(g, op);
    }
    return gen_finish(g);
}

/* An aligned word of code that other vCPUs may be executing. */
static void patch_word(uint8_t *at, uint32_t v)
{
    __atomic_store_n((uint32_t *)(void *)at, v, __ATOMIC_RELEASE);
}

/*
 * Code that saves F and goes on to where @l leads, made when it is first wanted: most exits that owe F lead to blocks that
 * do not ask for it. Offset from the block's code; 0: no room.
 */
static uint32_t save_first(struct tcg *t, const struct tb *tb, struct tb_link *l)
{
    struct gen *g = t->host_priv;
    struct code_cache *cache = &t->cache;
    struct recipe r = recipe_of(l->owed);
    uint8_t *rw = cache_rw(cache, tb->code);

    if (l->save_off || cache->cold_used + GEN_MARGIN > cache->bytes)
        return l->save_off;
    g->t = t;
    g->c = (struct code){ .p = cache->rw + cache->cold_used };
    l->save_off = (uint32_t)(g->c.p - rw);
    recipe_save(g, &r);
    align_link(&g->c, 1);
    l->save_jmp = (uint32_t)(jmp32(&g->c) - rw);
    cache->cold_used = (size_t)(g->c.p - cache->rw);
    return l->save_off;
}

static void x86_set_link(struct tcg *t, struct tb *tb, unsigned slot, struct tb *to)
{
    struct tb_link *l = &tb->link[slot];
    uint8_t *rw = cache_rw(&t->cache, tb->code);

    if (!l->jmp_off)
        return;
    if (!to && l->guard_off)
        patch_word(rw + l->guard_off, 0xffffffff);
    const uint8_t *target = to ? to->code + (to == tb ? tb->loop_off : 0) : tb->code + l->stub_off;
    if (to && l->owed && to->f_spoils & l->f_from) {
        if (!save_first(t, tb, l))
            return;          /* not chained until the cache has been emptied */
        patch_word(rw + l->save_jmp, (uint32_t)(target - (tb->code + l->save_jmp + 4)));
        target = tb->code + l->save_off;
    }
    patch_word(rw + l->jmp_off, (uint32_t)(target - (tb->code + l->jmp_off + 4)));
    if (to && l->guard_off)
        patch_word(rw + l->guard_off, to->page + 1);
}

/* ---- host faults ------------------------------------------------------------------- */

static const struct tb_site *find_site(const struct tb *tb, uint32_t off, uint32_t kind)
{
    const struct tb_site *best = NULL;

    for (uint32_t i = 0; i < tb->n_sites; i++) {
        const struct tb_site *s = &tb->sites[i];
        if ((s->op & ~SITE_FPE) > off)
            break;
        if ((s->op & SITE_FPE) == kind)
            best = s;
    }
    return best;
}

static bool redirect(ucontext_t *uc, uint32_t kind)
{
    struct tcg *t = running->tcg;
    uintptr_t pc = (uintptr_t)uc->uc_mcontext.gregs[REG_RIP];
    const struct tb_site *s;
    struct tb *tb;

    if (pc - (uintptr_t)t->cache.rx >= t->cache.bytes)
        return false;
    same_faults = pc == last_fault_pc ? same_faults + 1 : 0;
    last_fault_pc = pc;
    tb = tb_find_by_code(t, (const uint8_t *)pc);
    s = tb ? find_site(tb, (uint32_t)(pc - (uintptr_t)tb->code), kind) : NULL;
    if (!s)
        return false;
    uc->uc_mcontext.gregs[REG_RIP] = (greg_t)(uintptr_t)(tb->code + s->stub);
    return true;
}

static void on_fault(int sig, siginfo_t *si, void *ctx)
{
    if (running && running->in_code && redirect(ctx, sig == SIGFPE ? SITE_FPE : 0))
        return;
    signal(sig, SIG_DFL);    /* ours: die of it where it happened */
}

static void thread_setup(void)
{
    struct sigaction sa = { .sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_ONSTACK };
    stack_t ss = { .ss_size = ALTSTACK_BYTES };

    ss.ss_sp = mmap(NULL, ALTSTACK_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (ss.ss_sp != MAP_FAILED)
        sigaltstack(&ss, NULL);
    sigemptyset(&sa.sa_mask);
    sigaction(SIGSEGV, &sa, NULL);
    sigaction(SIGBUS, &sa, NULL);
    sigaction(SIGFPE, &sa, NULL);
}

static void x86_enter(struct tcg_cpu *cpu, const void *code)
{
    struct tcg *t = cpu->tcg;

    if (unlikely(running != cpu)) {
        if (!running)
            thread_setup();
        running = cpu;
        cpu->map_base_now = ~0ull;       /* of this thread nobody knows it */
    }
    ((void (*)(struct tcg_cpu *, const void *))(uintptr_t)(t->cache.rx + t->thunk[TH_ENTER]))(cpu, code);
    flags_pay(cpu);
}

/* ---- choice ------------------------------------------------------------------------- */

static struct gen *gen_new(const struct tcg_target *target)
{
    struct gen *g = xzalloc(sizeof(*g));

    g->n_globals = (ir_val)target->n_globals;
    memset(g->pin, -1, sizeof(g->pin));
    for (unsigned i = 0; i < target->n_globals; i++)
        g->pin[i] = target->globals[i].pin < 0 ? -1 : pin_reg[target->globals[i].pin];
    return g;
}

static int x86_init(struct tcg *t, struct err *e)
{
    if (!t->host_priv)
        t->host_priv = gen_new(t->target);
    return thunks_emit(t, e);
}

static const struct host_code x86_code = {
    .name = "x86_64", .init = x86_init, .enter = x86_enter, .compile = x86_compile,
    .set_link = x86_set_link, .vec_save = vec_save, .vec_restore = vec_restore,
    .ticks = host_ticks, .pack = x86_pack, .unpack = x86_unpack, .describe = x86_describe,
};

const struct host_code *host_code_here(struct err *e)
{
    if (!__builtin_cpu_supports("bmi2") || !__builtin_cpu_supports("avx2")) {
        err_set(e, -ENOTSUP, "this host CPU lacks BMI2 or AVX2, which the x86-64 back end needs "
                "(-accel tcg,backend=interp works)");
        return NULL;
    }
    if (!(getauxval(AT_HWCAP2) & 2)) {
        err_set(e, -ENOTSUP, "the kernel does not let user programs set the GS base (FSGSBASE), "
                "which the x86-64 back end needs (-accel tcg,backend=interp works)");
        return NULL;
    }
    return &x86_code;
}
