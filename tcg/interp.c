/*
 * interp.c - the reference interpreter of the IR
 *
 * The oracle for host back ends, and the way to run on a host without one. The
 * globals stay in the CPU struct all the time, F in cpu->fl; so faults need no
 * unwinding: an operation changes nothing before it can no longer fault.
 */
#include "tcg/interp-int.h"
#include "tcg/profile-int.h"

static const struct ir_op *leave(struct ir_run *r, enum tcg_exit why)
{
    r->cpu->exit_reason = why;
    r->cpu->exit_tb = NULL;
    return NULL;
}

/* a memory access or a helper did not complete */
static const struct ir_op *leave_fault(struct ir_run *r)
{
    return leave(r, TCG_EXIT_EXCEPTION);
}

/* ---- moves --------------------------------------------------------------------- */

DO(MOV)
{
    ir_out(r, op->d, op->size, ir_in(r, op, op->b));
    return op + 1;
}

DO(ZEXT)
{
    ir_out(r, op->d, 8, ir_in_sz(r, op, op->a));
    return op + 1;
}

DO(SEXT)
{
    ir_out(r, op->d, op->size, sext(ir_in(r, op, op->a), op->sz2));
    return op + 1;
}

DO(EXTH)
{
    ir_out(r, op->d, 8, (ir_in(r, op, op->a) >> 8) & 0xff);
    return op + 1;
}

DO(DEPH)
{
    uint64_t *d = ir_slot(r, op->d);

    *d = (*d & ~0xff00ull) | (ir_in(r, op, op->a) & 0xff) << 8;
    return op + 1;
}

DO(LEA)
{
    uint64_t v = ir_in(r, op, op->a) + (ir_in(r, op, op->b) << op->sc) + (uint64_t)op->imm;

    ir_out(r, op->d, op->size, v);
    return op + 1;
}

DO(BSWAP)
{
    uint64_t a = ir_in(r, op, op->a);

    ir_out(r, op->d, op->size, op->size == 8 ? __builtin_bswap64(a) : __builtin_bswap32((uint32_t)a));
    return op + 1;
}

/* ---- flags ------------------------------------------------------------------------ */

DO(SETCC)
{
    ir_out(r, op->d, 8, fl_test(r->cpu->fl, op->cc));
    return op + 1;
}

DO(CMOV)
{
    ir_out(r, op->d, op->size, ir_in(r, op, fl_test(r->cpu->fl, op->cc) ? op->b : op->a));
    return op + 1;
}

DO(GETF)
{
    uint32_t fl = r->cpu->fl;

    ir_out(r, op->d, 8, ((fl >> 8) & 0xd5) | (fl & TCG_FL_O) << 11);
    return op + 1;
}

DO(SETF)
{
    uint64_t a = ir_in(r, op, op->a);

    fl_set(r->cpu, op->wf, (uint32_t)((a & 0xd5) << 8 | ((a >> 11) & 1)));
    return op + 1;
}

DO(CLC)
{
    fl_set(r->cpu, op->wf & IRF_C, 0);
    return op + 1;
}

DO(STC)
{
    fl_set(r->cpu, op->wf & IRF_C, TCG_FL_C);
    return op + 1;
}

DO(CMC)
{
    fl_set(r->cpu, op->wf & IRF_C, ~r->cpu->fl);
    return op + 1;
}

/* ---- guest memory ------------------------------------------------------------------- */

DO(LD)
{
    uint64_t v;

    if (!tcg_load(r->cpu, ir_addr(r, op), op->size, &v))
        return leave_fault(r);
    ir_out(r, op->d, 8, v);
    return op + 1;
}

DO(LDS)
{
    uint64_t v;

    if (!tcg_load(r->cpu, ir_addr(r, op), op->size, &v))
        return leave_fault(r);
    ir_out(r, op->d, 8, sext(v, op->size) & size_mask(op->sz2));
    return op + 1;
}

DO(LDM)
{
    uint64_t v;

    if (!tcg_load(r->cpu, ir_addr(r, op), op->size, &v))
        return leave_fault(r);
    ir_out(r, op->d, op->size, v);
    return op + 1;
}

DO(LDW)
{
    if (!tcg_probe(r->cpu, ir_addr(r, op), op->size, ACC_WRITE))
        return leave_fault(r);
    return ir_do_LD(r, op);
}

DO(ST)
{
    if (!tcg_store(r->cpu, ir_addr(r, op), op->size, ir_in(r, op, op->b)))
        return leave_fault(r);
    return op + 1;
}

/* a read-modify-write under way: inputs, then what came of it */
struct modify {
    uint64_t b, c;
    unsigned carry;
    uint64_t old;
    uint32_t fl;
    bool equal;
};
typedef uint64_t modify_fn(const struct ir_op *op, struct modify *m);

static uint64_t host_load(const uint8_t *p, unsigned size)
{
    switch (size) {
    case 1: return __atomic_load_n(p, __ATOMIC_RELAXED);
    case 2: return __atomic_load_n((const uint16_t *)p, __ATOMIC_RELAXED);
    case 4: return __atomic_load_n((const uint32_t *)p, __ATOMIC_RELAXED);
    default: return __atomic_load_n((const uint64_t *)p, __ATOMIC_RELAXED);
    }
}

#define HOST_CAS(type)                                                                     \
    ({                                                                                     \
        type old_ = (type)old;                                                             \
        __atomic_compare_exchange_n((type *)p, &old_, (type)v, false, __ATOMIC_SEQ_CST,    \
                                    __ATOMIC_SEQ_CST);                                     \
    })

static bool host_cas(uint8_t *p, unsigned size, uint64_t old, uint64_t v)
{
    switch (size) {
    case 1: return HOST_CAS(uint8_t);
    case 2: return HOST_CAS(uint16_t);
    case 4: return HOST_CAS(uint32_t);
    default: return HOST_CAS(uint64_t);
    }
}

static void host_store(uint8_t *p, unsigned size, uint64_t v)
{
    switch (size) {
    case 1: __atomic_store_n(p, v, __ATOMIC_RELAXED); break;
    case 2: __atomic_store_n((uint16_t *)p, v, __ATOMIC_RELAXED); break;
    case 4: __atomic_store_n((uint32_t *)p, v, __ATOMIC_RELAXED); break;
    default: __atomic_store_n((uint64_t *)p, v, __ATOMIC_RELAXED); break;
    }
}

/*
 * [a] = fn([a]). In place when the operand is ordinary aligned RAM. Otherwise
 * (devices, operands across pages) a load and a store, with the right to write
 * checked first, as the fault of an x86 RMW is that of a write; an atomic one
 * while no other vCPU runs.
 */
static bool modify(struct ir_run *r, const struct ir_op *op, bool atomic, modify_fn *fn,
                   struct modify *m)
{
    uint64_t va = ir_addr(r, op), v;
    uint8_t *p = tcg_host_rmw(r->cpu, va, op->size);

    if ((uintptr_t)p & (op->size - 1u))
        p = NULL;      /* hosts need not have misaligned atomics */
    if (p && !atomic) {
        m->old = host_load(p, op->size);
        host_store(p, op->size, fn(op, m));
        return true;
    }
    if (p) {
        do {
            m->old = host_load(p, op->size);
            v = fn(op, m);
        } while (!host_cas(p, op->size, m->old, v & size_mask(op->size)));
        return true;
    }
    if (r->cpu->exception || (atomic && tcg_need_exclusive(r->cpu)))
        return false;
    if (!tcg_probe(r->cpu, va, op->size, ACC_WRITE) || !tcg_load(r->cpu, va, op->size, &m->old))
        return false;
    v = fn(op, m);
    return tcg_store(r->cpu, va, op->size, v & size_mask(op->size));
}

static uint64_t rmw_arith(const struct ir_op *op, struct modify *m)
{
    uint64_t a = m->old, b = m->b;
    unsigned size = op->size;

    switch (op->rmw) {
    case IRM_ADD: m->fl = fl_add(size, a, b, 0); return a + b;
    case IRM_ADC: m->fl = fl_add(size, a, b, m->carry); return a + b + m->carry;
    case IRM_SUB: m->fl = fl_sub(size, a, b, 0); return a - b;
    case IRM_SBB: m->fl = fl_sub(size, a, b, m->carry); return a - b - m->carry;
    case IRM_INC: m->fl = fl_add(size, a, 1, 0); return a + 1;
    case IRM_DEC: m->fl = fl_sub(size, a, 1, 0); return a - 1;
    default: m->fl = fl_sub(size, 0, a, 0); return -a;       /* NEG */
    }
}

static uint64_t rmw_logic(const struct ir_op *op, struct modify *m)
{
    uint64_t a = m->old, b = m->b, bit = 1ull << (b & (op->size * 8 - 1));
    uint64_t v;

    switch (op->rmw) {
    case IRM_NOT: return ~a;
    case IRM_BTS: m->fl = fl_co(a & bit, false); return a | bit;
    case IRM_BTR: m->fl = fl_co(a & bit, false); return a & ~bit;
    case IRM_BTC: m->fl = fl_co(a & bit, false); return a ^ bit;
    case IRM_AND: v = a & b; break;
    case IRM_OR: v = a | b; break;
    default: v = a ^ b; break;
    }
    m->fl = fl_szp(op->size, v & size_mask(op->size));
    return v;
}

/* F bits that a read-modify-write changes, of those asked for */
static unsigned rmw_flags(const struct ir_op *op)
{
    switch (op->rmw) {
    case IRM_INC: case IRM_DEC: return op->wf & ~IRF_C;
    case IRM_BTS: case IRM_BTR: case IRM_BTC: return op->wf & IRF_C;
    case IRM_NOT: return 0;
    default: return op->wf;
    }
}

DO(RMW)
{
    bool logic = (op->rmw >= IRM_AND && op->rmw <= IRM_XOR) || op->rmw >= IRM_NOT;
    struct modify m = { .b = ir_in_sz(r, op, op->b), .carry = fl_carry(r->cpu) };

    if (!modify(r, op, op->lock, logic ? rmw_logic : rmw_arith, &m))
        return leave_fault(r);
    fl_set(r->cpu, rmw_flags(op), m.fl);
    return op + 1;
}

static uint64_t rmw_xchg(const struct ir_op *op, struct modify *m)
{
    return m->b;
}

DO(XCHGM)
{
    struct modify m = { .b = ir_in_sz(r, op, op->b) };

    if (!modify(r, op, true, rmw_xchg, &m))
        return leave_fault(r);
    ir_out(r, op->d, op->size, m.old);
    return op + 1;
}

static uint64_t rmw_xadd(const struct ir_op *op, struct modify *m)
{
    return m->old + m->b;
}

DO(XADDM)
{
    struct modify m = { .b = ir_in_sz(r, op, op->b) };

    if (!modify(r, op, op->lock, rmw_xadd, &m))
        return leave_fault(r);
    fl_set(r->cpu, op->wf, fl_add(op->size, m.old, m.b, 0));
    ir_out(r, op->d, op->size, m.old);
    return op + 1;
}

static uint64_t rmw_cmpxchg(const struct ir_op *op, struct modify *m)
{
    m->equal = m->old == m->c;
    return m->equal ? m->b : m->old;
}

DO(CMPXCHG)
{
    uint64_t c = ir_in(r, op, op->c);
    struct modify m = { .b = ir_in_sz(r, op, op->b), .c = c & size_mask(op->size) };

    if (!modify(r, op, op->lock, rmw_cmpxchg, &m))
        return leave_fault(r);
    fl_set(r->cpu, op->wf, fl_sub(op->size, m.c, m.old, 0));
    if (m.equal)
        ir_out(r, op->d, 8, c);
    else
        ir_out(r, op->d, op->size, m.old);
    return op + 1;
}

DO(FENCE)
{
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    return op + 1;
}

/* ---- vectors, helpers, state ----------------------------------------------------------- */

/* elements of a masked operand that take part; the opmask registers are in memory */
static struct tcg_mask vec_mask(const struct ir_run *r, const struct ir_vec *v)
{
    const uint64_t *k = (const void *)((const char *)r->cpu + r->target->off_avx512);

    return tcg_vec_mask(v, k[v->aaa & 7]);
}

static bool vec_load_masked(struct ir_run *r, const struct ir_vec *v, uint64_t va, void *mem)
{
    struct tcg_mask m = vec_mask(r, v);

    if (!v->mem_write)
        return tcg_load_masked(r->cpu, va, mem, v->mem_bytes, m);
    return tcg_probe_masked(r->cpu, va, v->mem_bytes, m, ACC_WRITE);
}

static bool vec_store(struct ir_run *r, const struct ir_vec *v, uint64_t va, const void *mem)
{
    if (v->mem_masked)
        return tcg_store_masked(r->cpu, va, mem, v->mem_bytes, vec_mask(r, v));
    return tcg_store_bytes(r->cpu, va, mem, v->mem_bytes);
}

static bool vec_load(struct ir_run *r, const struct ir_vec *v, uint64_t va, void *mem)
{
    if (v->mem_align && (va & (v->mem_align - 1u)) && !(v->mem_masked && !vec_mask(r, v).bits)) {
        r->target->raise_align(r->cpu);
        return false;
    }
    if (v->mem_masked)
        return vec_load_masked(r, v, va, mem);
    if (v->mem_write && !tcg_probe(r->cpu, va, v->mem_bytes, ACC_WRITE))
        return false;
    /* a store that an unmasked exception suppresses writes back what was there */
    return !(v->mem_read || v->is_x87) || tcg_load_bytes(r->cpu, va, mem, v->mem_bytes);
}

DO(VEC)
{
    const struct ir_vec *v = &r->vec[op->imm];
    uint64_t va = ir_addr(r, op), gpr = ir_in(r, op, op->b);
    uint8_t mem[64] __attribute__((aligned(64)));
    unsigned bytes = MIN(v->mem_bytes, sizeof(mem));

    if (bytes && !vec_load(r, v, va, mem))
        return leave_fault(r);
    if (!r->target->vec_exec(r->cpu, v, bytes ? mem : NULL, &gpr))
        return leave_fault(r);
    if (bytes && v->mem_write && !vec_store(r, v, va, mem))
        return leave_fault(r);
    if (v->gpr_out)
        ir_out(r, op->d, 8, gpr);
    return op + 1;
}

DO(CALL)
{
    uint64_t a = ir_in(r, op, op->a), b = ir_in(r, op, op->b), c = ir_in(r, op, op->c);
    ir_helper fn = (ir_helper)op->fn;
    uint64_t v = likely(!r->cpu->prof) ? fn(r->cpu, a, b, c) : profile_call(r->cpu, a, b, c, fn);

    if ((op->callf & IRCALL_FAULT) && unlikely(r->cpu->exception))
        return leave_fault(r);
    ir_out(r, op->d, 8, v);
    return op + 1;
}

DO(LDE)
{
    uint64_t v = 0;

    memcpy(&v, (const char *)r->cpu + op->imm, op->size);
    ir_out(r, op->d, 8, v);
    return op + 1;
}

DO(STE)
{
    uint64_t v = ir_in(r, op, op->b);

    memcpy((char *)r->cpu + op->imm, &v, op->size);
    return op + 1;
}

DO(NOTE)
{
    *r->cpu->note++ = (uint64_t)op->imm;
    *r->cpu->note++ = r->cpu->pcbase;
    return op + 1;
}

/* ---- control ------------------------------------------------------------------------------ */

DO(INSN)
{
    r->cpu->pcoff = (int32_t)op->imm;
    return op + 1;
}

DO(LABEL)
{
    return op + 1;
}

/* imm2 is the label's index when ir_find_labels() has run; else look for it */
static const struct ir_op *jump(struct ir_run *r, const struct ir_op *op)
{
    unsigned at = (unsigned)op->imm2;

    if (likely(at < r->n_ops && r->ops[at].opc == IR_LABEL && r->ops[at].imm == op->label))
        return &r->ops[at];
    for (at = 0; at < r->n_ops; at++)
        if (r->ops[at].opc == IR_LABEL && r->ops[at].imm == op->label)
            break;
    assert(at < r->n_ops);
    return &r->ops[at];
}

DO(BR)
{
    return jump(r, op);
}

DO(BRCC)
{
    return fl_test(r->cpu->fl, op->cc) ? jump(r, op) : op + 1;
}

DO(BRCMP)
{
    bool taken = ir_compare(op->cc, op->size, ir_in(r, op, op->a), ir_in(r, op, op->b));

    return taken ? jump(r, op) : op + 1;
}

DO(GOTO_TB)
{
    struct tcg_cpu *cpu = r->cpu;

    cpu->pcoff = (int32_t)op->imm;
    if (op->poll && !__atomic_load_n(&cpu->run, __ATOMIC_RELAXED))
        return leave(r, TCG_EXIT_INTR);
    leave(r, TCG_EXIT_NEXT);
    cpu->exit_tb = cpu->cur_tb;
    cpu->exit_slot = op->aux;
    return NULL;
}

DO(LEAVECC)
{
    return fl_test(r->cpu->fl, op->cc) ? ir_do_GOTO_TB(r, op) : op + 1;
}

DO(RETURNS)
{
    return op + 1;
}

DO(GOTO_PC)
{
    r->cpu->pc = ir_in(r, op, op->a);
    if (op->imm2)
        r->cpu->branch = (uint32_t)r->cpu->pcoff << 16 | (uint16_t)op->imm2;
    return leave(r, TCG_EXIT_LOOKUP);
}

DO(EXIT)
{
    r->cpu->pcoff = (int32_t)op->imm;
    return leave(r, TCG_EXIT_NEXT);
}

DO(EXIT_PC)
{
    return leave(r, TCG_EXIT_LOOKUP);
}

static ir_do_fn *const table[IR_OPC_COUNT] = {
#define IROP(N, n, o, i, at) [IR_##N] = ir_do_##N,
#include "tcg/ops.def"
#undef IROP
};

static void run(struct ir_run *r)
{
    const struct ir_op *op = r->ops;

    do
        op = table[op->opc](r, op);
    while (op);
}

void ir_interp(struct tcg_cpu *cpu, const struct ir_block *b)
{
    struct ir_run r;    /* temps stay uninitialised: blocks are many and short */

    r.cpu = cpu;
    r.target = b->target;
    r.ops = b->ops;
    r.vec = b->vec;
    r.n_ops = b->n_ops;
    r.n_globals = b->target->n_globals;
    run(&r);
}
