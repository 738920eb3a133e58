/*
 * thunks.c - the fixed pieces of code that blocks call: entering and leaving,
 * the slow path of memory operands, helper calls
 *
 * In a block RSP is the vCPU struct. A thunk that was called has the return
 * address below it, so env fields are at RSP + 8 + offset there.
 */
#define _GNU_SOURCE
#include "tcg/host-x86_64/gen-int.h"

static const int8_t caller_saved[] = { RAX, RCX, RDX, RSI, RDI, R8, R9, R10, R11 };
static const int8_t callee_saved[] = { RBX, RBP, R12, R13, R14, R15 };

static void rsp_add(struct code *c, int n)   /* flag neutral */
{
    ins(c, 8, 0x8d, RSP, o_env((size_t)(ssize_t)n));
}

static void call_c(struct code *c, const void *fn)
{
    mov_imm(c, RAX, (uintptr_t)fn);
    e8(c, 0xff);
    e8(c, 0xd0);
}

/* Guest registers between their host registers and memory. */
static void pins(struct code *c, const struct tcg *t, int adj, bool store)
{
    for (unsigned i = 0; i < t->target->n_globals; i++) {
        const struct tcg_global *gl = &t->target->globals[i];
        if (gl->pin >= 0)
            ins(c, 8, store ? 0x89 : 0x8b, pin_reg[gl->pin], o_env(gl->offset + (unsigned)adj));
    }
}

void gen_store_pins(struct code *c, const struct tcg *t, int adj) { pins(c, t, adj, true); }
void gen_load_pins(struct code *c, const struct tcg *t, int adj) { pins(c, t, adj, false); }

/* GS base follows the current view; loses RCX. @adj: env - RSP */
static void follow_view(struct code *c, unsigned adj)
{
    uint8_t *at;

    mov_load(c, RCX, o_env(adj + offsetof(struct tcg_cpu, map_base)));
    ins(c, 8, 0x3b, RCX, o_env(adj + offsetof(struct tcg_cpu, map_base_now)));
    e8(c, 0x74);
    at = c->p;
    e8(c, 0);
    ins(c, 8, XF3 | X0F | 0xae, 3, o_reg(RCX));          /* wrgsbase rcx */
    mov_store(c, o_env(adj + offsetof(struct tcg_cpu, map_base_now)), RCX);
    *at = (uint8_t)(c->p - at - 1);
}

/* void enter(struct tcg_cpu *cpu, const void *code) */
static void th_enter(struct code *c, const struct tcg *t)
{
    for (unsigned i = 0; i < ARRAY_SIZE(callee_saved); i++)
        push(c, callee_saved[i]);
    rsp_add(c, -8);
    ins(c, 8, 0x89, RSP, (struct opn){ .kind = ON_MEM, .base = RDI, .index = NOREG,
                                       .disp = offsetof(struct tcg_cpu, host_sp) });
    mov_rr(c, 8, RSP, RDI);
    mov_rr(c, 8, RAX, RSI);
    follow_view(c, 0);
    pins(c, t, 0, false);
    e8(c, 0xff);
    e8(c, 0xe0);                                         /* jmp rax */
}

/* Returns where to go with the pins in memory. */
static uint8_t *th_leave(struct code *c, const struct tcg *t)
{
    uint8_t *stored;

    pins(c, t, 0, true);
    stored = c->p;
    mov_rr(c, 8, RBX, RSP);
    mov_load(c, RSP, ENV(host_sp));
    ins(c, 2, 0x83, 7, (struct opn){ .kind = ON_MEM, .base = RBX, .index = NOREG,
                                     .disp = offsetof(struct tcg_cpu, vec_loaded) });
    e8(c, 0);
    e8(c, 0x74);                                         /* jz over */
    uint8_t *at = c->p;
    e8(c, 0);
    mov_rr(c, 8, RDI, RBX);
    call_c(c, (const void *)vec_save);
    *at = (uint8_t)(c->p - at - 1);
    rsp_add(c, 8);
    for (int i = ARRAY_SIZE(callee_saved) - 1; i >= 0; i--)
        pop(c, callee_saved[i]);
    e8(c, 0xc3);
    return stored;
}

/* With an exception: its handler's block is entered from here if it can be. */
static void th_leave_exc(struct code *c, const struct tcg *t, uint8_t *leave_stored)
{
    uint8_t *none;

    pins(c, t, 0, true);
    mov_rr(c, 8, RDI, RSP);
    call_c(c, (const void *)leave_exception);
    ins(c, 8, 0x85, RAX, o_reg(RAX));
    none = jcc32(c, 4);
    patch32(none, leave_stored);
    follow_view(c, 0);
    pins(c, t, 0, false);
    e8(c, 0xff);
    e8(c, 0xe0);                                         /* jmp rax */
}

static void th_leave_with(struct code *c, unsigned reason, const uint8_t *leave)
{
    mov_env_imm32(c, offsetof(struct tcg_cpu, exit_reason), reason);
    jmp_to(c, leave);
}

/* RAX = the block's place in the arena | slot: an exit that is not chained. */
static void th_leave_next(struct code *c, const struct tcg *t, const uint8_t *leave)
{
    ins(c, 4, 0x8b, RCX, o_reg(RAX));
    alu_imm(c, 4, ALU_AND, o_reg(RCX), 15);
    ins(c, 4, 0x89, RCX, ENV(exit_slot));
    alu_imm(c, 4, ALU_AND, o_reg(RAX), -16);
    mov_imm(c, RCX, (uintptr_t)t->arena);
    alu_rm(c, 8, ALU_ADD, RAX, o_reg(RCX));
    mov_store(c, ENV(exit_tb), RAX);
    th_leave_with(c, TCG_EXIT_NEXT, leave);
}

static void pop_caller_saved(struct code *c)
{
    rsp_add(c, 8);
    for (int i = ARRAY_SIZE(caller_saved) - 1; i >= 0; i--)
        pop(c, caller_saved[i]);
}

/* The access has faulted: env->fl = what the words before the stub's call say, if any. RDX: where it was to return to */
static void owe_flags(struct code *c, unsigned adj)
{
    struct opn owed = { .kind = ON_MEM, .base = RDX, .index = NOREG, .disp = -MISS_OWED };
    uint8_t *none, *plain;

    ins(c, 4, 0x8b, RAX, o_env(adj + SLOW_OFF(desc)));
    ins(c, 4, 0xf7, 0, o_reg(RAX));                      /* test */
    e32(c, SLOW_OWED);
    none = jcc32(c, 4);
    ins(c, 4, 0x8b, RCX, owed);
    ins(c, 4, 0xf7, 0, o_reg(RAX));
    e32(c, SLOW_LEAD | SLOW_MASKED);
    plain = jcc32(c, 4);
    owed.disp = -MISS_OWED_ELEMS;
    ins(c, 4, 0x8b, RCX, owed);
    patch32(plain, c->p);
    ins(c, 4, 0x89, RCX, o_env(adj + offsetof(struct tcg_cpu, fl)));
    patch32(none, c->p);
}

/*
 * What the miss thunks call. Comes back with ZF set when the access was bounced, with CF set when it faulted and F is to
 * be had from a recipe first.
 */
static void th_slow(struct code *c, const struct tcg *t, const uint8_t *leave_exc)
{
    unsigned regs = 8 * ARRAY_SIZE(caller_saved) + 8, adj = MISS_DEPTH + regs;

    cross_slow(c, t);        /* has pushed the first of them */
    for (unsigned i = MISS_PUSHED; i < ARRAY_SIZE(caller_saved); i++)
        push(c, caller_saved[i]);
    rsp_add(c, -8);                                      /* a multiple of 16 again */
    ins(c, 8, 0x8d, RDI, o_env(adj));
    ins(c, 8, 0x8d, RSI, o_env(adj + offsetof(struct tcg_cpu, slow_area)));
    mov_load(c, RDX, o_env(regs + 8));                   /* the stub */
    call_c(c, (const void *)tcg_slow_access);
    carry_clear(c, TCG_N_CARRY, adj);
    loop_forget(c, adj);
    ins(c, 4, 0x85, RAX, o_reg(RAX));
    uint8_t *fault = jcc32(c, 4);
    alu_imm(c, 4, ALU_XOR, o_reg(RAX), 2);   /* CF = 0 */
    pop_caller_saved(c);
    e8(c, 0xc3);
    patch32(fault, c->p);
    mov_load(c, RDX, o_env(regs + 8));
    owe_flags(c, adj);
    pop_caller_saved(c);
    ins(c, 4, 0xf7, 0, o_env(MISS_DEPTH + SLOW_OFF(desc)));      /* test: CF = 0 */
    e32(c, SLOW_RECIPE);
    uint8_t *none = jcc32(c, 4);
    e8(c, 0xf9);                                         /* stc */
    e8(c, 0xc3);
    patch32(none, c->p);
    rsp_add(c, MISS_DEPTH);
    jmp_to(c, leave_exc);
}

/* @r = where a push of 8 bytes goes */
static void push_address(struct code *c, const struct tcg *t, int r)
{
    int8_t sp = pin_reg[t->target->globals[t->target->stack - 1].pin];

    ins(c, 8, 0x8d, r, (struct opn){ .kind = ON_MEM, .base = sp, .index = NOREG, .disp = -PUSH_BYTES });
}

/* miss_thunk()s; comes back with the register loaded and flags as said. */
static void th_misses(struct code *c, struct tcg *t, const uint8_t *leave_exc)
{
    const uint8_t *base = t->cache.rw, *slow[MISS_KINDS];

    slow[MISS_ANY] = c->p;
    th_slow(c, t, leave_exc);
    for (unsigned k = MISS_STACK; k < MISS_KINDS; k++) {
        slow[k] = c->p;
        known_slow(c, k == MISS_TABLE, slow[MISS_ANY]);
    }
    for (unsigned k = 0; k < MISS_KINDS; k++)
        for (int d = 0; d < N_SCRATCH; d++)
            for (int a = 0; a < 16; a++) {
                if (a == d && (k != MISS_STACK || !t->target->stack))
                    continue;
                t->thunk[miss_thunk((enum miss_kind)k, a, d)] = (uint32_t)(c->p - base);
                if (a == d)
                    push_address(c, t, d);
                if (a != RSP)
                    mov_store(c, o_env(8 + SLOW_OFF(va)), a);
                call_to(c, slow[k]);
                mov_load(c, d, o_env(8 + SLOW_OFF(delta)));
                e8(c, 0xc3);
            }
}

/* Load state: void fn(cpu), every register kept. */
static void th_state(struct code *c, const void *fn)
{
    for (unsigned i = 0; i < ARRAY_SIZE(caller_saved); i++)
        push(c, caller_saved[i]);
    ins(c, 8, 0x8d, RDI, o_env(80));
    call_c(c, fn);
    for (int i = ARRAY_SIZE(caller_saved) - 1; i >= 0; i--)
        pop(c, caller_saved[i]);
    e8(c, 0xc3);
}

/* A block that may owe F is left in its middle: F to memory. Scratch registers and EFLAGS are lost. */
static void th_pay(struct code *c, const struct tcg *t)
{
    uint8_t *owed;

    ins(c, 1, 0xf6 | XBM, 0, o_env(8 + offsetof(struct tcg_cpu, fl) + 1));
    e8(c, FL_OWED >> 8);
    owed = jcc32(c, 5);
    e8(c, 0xc3);
    patch32(owed, c->p);
    pins(c, t, 8, true);
    ins(c, 8, 0x8d, RDI, o_env(8));
    rsp_add(c, -8);
    call_c(c, (const void *)flags_pay);
    rsp_add(c, 8);
    pins(c, t, 8, false);
    e8(c, 0xc3);
}

/* RAX = helper; arguments in slow.arg[]; result in RAX. */
static void th_call(struct code *c, const struct tcg *t, bool sync, bool novec)
{
    static const int8_t keep[] = { RSI, RDI, R8, R9, R10, R11 };
    int adj = 8;

    if (sync) {
        pins(c, t, adj, true);
        rsp_add(c, -8);
        adj += 8;
    } else {
        for (unsigned i = 0; i < ARRAY_SIZE(keep); i++)
            push(c, keep[i]);
        rsp_add(c, -8);
        adj += 56;
    }
    if (!novec) {
        ins(c, 2, 0x83, 7, o_env((unsigned)adj + offsetof(struct tcg_cpu, vec_loaded)));
        e8(c, 0);
        e8(c, 0x74);
        uint8_t *at = c->p;
        e8(c, 0);
        mov_store(c, o_env((unsigned)adj + SLOW_OFF(save)), RAX);
        ins(c, 8, 0x8d, RDI, o_env((unsigned)adj));
        call_c(c, (const void *)vec_save);
        mov_load(c, RAX, o_env((unsigned)adj + SLOW_OFF(save)));
        *at = (uint8_t)(c->p - at - 1);
    }
    ins(c, 8, 0x8d, RDI, o_env((unsigned)adj));
    mov_load(c, RSI, o_env((unsigned)adj + SLOW_OFF(arg)));
    mov_load(c, RDX, o_env((unsigned)adj + SLOW_OFF(arg) + 8));
    mov_load(c, RCX, o_env((unsigned)adj + SLOW_OFF(arg) + 16));
    if (t->profile) {
        mov_rr(c, 8, R8, RAX);
        mov_imm(c, RAX, (uintptr_t)(const void *)profile_call);
    }
    e8(c, 0xff);
    e8(c, 0xd0);
    if (sync) {              /* it may have changed the view or the address space */
        rsp_add(c, 8);
        follow_view(c, 8);
        pins(c, t, 8, false);
    } else {
        rsp_add(c, 8);
        for (int i = ARRAY_SIZE(keep) - 1; i >= 0; i--)
            pop(c, keep[i]);
    }
    e8(c, 0xc3);
}

static void raise_divide(struct tcg_cpu *cpu) { cpu->tcg->target->raise_divide(cpu); }
static void raise_fp_sse(struct tcg_cpu *cpu) { cpu->tcg->target->raise_fp(cpu, false); }

/* MMX conversions can have either kind: a pending x87 exception comes first. */
static void raise_fp_x87(struct tcg_cpu *cpu)
{
    const uint8_t *fx = (const uint8_t *)cpu + cpu->tcg->target->off_xsave;

    cpu->tcg->target->raise_fp(cpu, (ldl16(fx + 2) & ~ldl16(fx) & 0x3f) != 0);
}

static void x87_unmask(struct tcg_cpu *cpu) { cpu->tcg->target->x87_unmask(cpu); }
static void raise_align(struct tcg_cpu *cpu) { cpu->tcg->target->raise_align(cpu); }

/* Jumped to: state to memory, void fn(cpu), leave with an exception. */
static void th_raise(struct code *c, const struct tcg *t, const void *fn, const uint8_t *leave_exc)
{
    pins(c, t, 0, true);
    ins(c, 2, 0x83, 7, ENV(vec_loaded));
    e8(c, 0);
    e8(c, 0x74);
    uint8_t *at = c->p;
    e8(c, 0);
    mov_rr(c, 8, RDI, RSP);
    call_c(c, (const void *)vec_save);
    *at = (uint8_t)(c->p - at - 1);
    mov_rr(c, 8, RDI, RSP);
    call_c(c, fn);
    pins(c, t, 0, false);
    jmp_to(c, leave_exc);
}

int thunks_emit(struct tcg *t, struct err *e)
{
    struct code c = { .p = t->cache.rw };
    uint8_t *base = c.p, *leave, *leave_stored;

#define AT(n) (t->thunk[n] = (uint32_t)(c.p - base))
    AT(TH_ENTER);
    th_enter(&c, t);
    leave = c.p;
    leave_stored = th_leave(&c, t);
    AT(TH_LEAVE_NEXT);
    th_leave_next(&c, t, leave);
    AT(TH_LEAVE_LOOKUP);
    th_leave_with(&c, TCG_EXIT_LOOKUP, leave);
    AT(TH_LEAVE_INTR);
    th_leave_with(&c, TCG_EXIT_INTR, leave);
    AT(TH_LEAVE_PC);
    th_leave_with(&c, TCG_EXIT_PC, leave);
    AT(TH_LEAVE_EXC);
    th_leave_exc(&c, t, leave_stored);
    uint8_t *leave_exc = base + t->thunk[TH_LEAVE_EXC];
    th_misses(&c, t, leave_exc);
    AT(TH_COMMIT);
    cross_commit(&c);
    AT(TH_VEC_LOAD);
    th_state(&c, (const void *)vec_load);
    AT(TH_ZMM_LOAD);
    th_state(&c, (const void *)zmm_load);
    AT(TH_X87_LOAD);
    th_state(&c, (const void *)x87_load);
    AT(TH_RETURN);
    return_emit(&c, t, base + t->thunk[TH_LEAVE_LOOKUP]);
    t->no_return = t->cache.rx + t->thunk[TH_RETURN];
    AT(TH_PAY);
    th_pay(&c, t);
    AT(TH_CALL);
    th_call(&c, t, false, false);
    AT(TH_CALL_NOVEC);
    th_call(&c, t, false, true);
    AT(TH_CALL_SYNC);
    th_call(&c, t, true, false);
    AT(TH_CALL_SYNC_NOVEC);
    th_call(&c, t, true, true);
    AT(TH_DIVIDE);
    th_raise(&c, t, (const void *)raise_divide, leave_exc);
    AT(TH_FP_SSE);
    th_raise(&c, t, (const void *)raise_fp_sse, leave_exc);
    AT(TH_FP_X87);
    th_raise(&c, t, (const void *)raise_fp_x87, leave_exc);
    AT(TH_ALIGN);
    th_raise(&c, t, (const void *)raise_align, leave_exc);
    AT(TH_X87_UNMASK);
    th_raise(&c, t, (const void *)x87_unmask, leave_exc);
    for (unsigned n = 0; n < REP_KINDS && t->target->string.off_step; n++) {
        AT(TH_REP + n);
        rep_emit(&c, t, n + 1);
    }
#undef AT
    t->thunk_bytes = (uint32_t)(c.p - base);
    t->cache.used = align_up(t->thunk_bytes, 64);
    return 0;
}
