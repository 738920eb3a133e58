/*
 * translate.c - the block loop: fetch, decode, check, emit, end
 *
 * A block ends at a control transfer, after an instruction that changes what
 * translation depends on, before an instruction that starts in another page,
 * and when its buffers are nearly full. Only a block's first instruction may
 * cross the end of a page.
 */
#include "target-x86/tr-int.h"

#define FETCH_CHUNK 128u
#define MAX_INSN 15u
#define OP_PUSHF 0x9c
/* room one instruction and the block's end may take */
#define RESERVE_OPS 100
#define RESERVE_VALS 60
#define RESERVE_LABELS 12
#define SLOW_OPS 6        /* label, insn, call, perhaps the end of a step, exit */

/* ---- program counter ------------------------------------------------------------- */

static uint64_t pc_mask(const struct xlat *x)
{
    return xt_64(x) ? ~0ull : 0xffffffffu;
}

/* pc of @pcoff in a block that is not position independent */
static uint64_t const_pc(const struct xlat *x, int64_t pcoff)
{
    return (x->k->pc + (uint64_t)(pcoff - (int64_t)(x->k->lin & 0xfff))) & pc_mask(x);
}

ir_val xt_pc(struct xlat *x, int64_t pcoff)
{
    ir_val t;

    if (!x->k->flat)
        return xt_imm(x, const_pc(x, pcoff));
    t = ir_temp(x->b);
    ir_lde(x->b, 8, t, CPU_OFF(tcg.pcbase));
    ir_lea(x->b, xt_64(x) ? 8 : 4, t, t, IR_NONE, 0, pcoff);
    return t;
}

/* ---- ends -------------------------------------------------------------------------- */

static void step_end(struct xlat *x)
{
    ir_call(x->b, h_step_end, 0, IR_NONE, xt_imm(x, x->mode), IR_NONE, IR_NONE);
}

void xt_exit(struct xlat *x, int64_t pcoff)
{
    if (x->solo)
        step_end(x);
    ir_emit_imm(x->b, IR_EXIT, 0, IR_NONE, IR_NONE, pcoff);
    x->ended = true;
}

void xt_exit_pc(struct xlat *x)
{
    if (x->solo)
        step_end(x);
    ir_emit(x->b, IR_EXIT_PC, 0, IR_NONE, IR_NONE, IR_NONE);
    x->ended = true;
}

/* to the next instruction in a mode that may be another: the jump cache's check includes it */
static void exit_next(struct xlat *x)
{
    if (x->solo) {
        xt_exit(x, x->next_off);
        return;
    }
    ir_emit(x->b, IR_GOTO_PC, 0, IR_NONE, xt_pc(x, x->next_off), IR_NONE)->aux = IRJ_JUMP;
    x->ended = true;
}

void xt_dead_end(struct xlat *x)
{
    ir_emit_imm(x->b, IR_EXIT, 0, IR_NONE, IR_NONE, x->pcoff);
    x->ended = true;
}

void xt_goto(struct xlat *x, int64_t pcoff, unsigned slot)
{
    struct ir_op *op;

    x->ended = true;
    if (x->solo || x->want_exit) {
        xt_exit(x, pcoff);
        return;
    }
    op = ir_emit_imm(x->b, IR_GOTO_TB, 0, IR_NONE, IR_NONE, pcoff);
    op->aux = slot;
    op->poll = x->poll || pcoff <= x->pcoff;
}

void xt_goto_pc(struct xlat *x, ir_val pc, unsigned hint)
{
    if (x->solo || x->want_exit) {
        ir_ste(x->b, 8, CPU_OFF(tcg.pc), pc);
        xt_exit_pc(x);
        return;
    }
    ir_emit(x->b, IR_GOTO_PC, 0, IR_NONE, pc, IR_NONE)->aux = hint;
    x->ended = true;
}

bool xt_may_check_late(const struct xlat *x)
{
    return xt_64(x) && !x->solo && !x->want_exit;
}

void xt_goto_pc_unchecked(struct xlat *x, ir_val pc, unsigned hint, int popped)
{
    xt_goto_pc(x, pc, hint);
    x->b->ops[x->b->n_ops - 1].imm2 = BRANCH_UNCHECKED(popped);
}

/* calls and returns of the code's own width, where addresses are linear */
static bool returns_plainly(const struct xlat *x)
{
    return x->k->flat && !x->solo && !x->want_exit && x->in->opsize == x->bits / 8;
}

void xt_returns(struct xlat *x, ir_val pc)
{
    struct ir_op *op;

    if (x->bits == 16 || !returns_plainly(x) || x->next_off >= 4096)
        return;
    op = ir_emit_imm(x->b, IR_RETURNS, 0, IR_NONE, pc, x->next_off);
    op->b = IR_NONE;
    op->c = G_RSP;
    op->aux = 1;
}

void xt_returned(struct xlat *x, unsigned popped)
{
    struct ir_op *op = &x->b->ops[x->b->n_ops - 1];

    if (x->bits == 16 || !returns_plainly(x))
        return;
    op->c = G_RSP;
    op->imm = popped;
}

void xt_check_pc(struct xlat *x, ir_val pc)
{
    uint16_t ok;

    if (xt_64(x))
        xt_check_canonical(x, pc);
    if (x->k->flat || x->k->cs_limit >= size_mask(x->in->opsize))
        return;
    ok = ir_label(x->b);
    ir_brcmpi(x->b, IRC_LEU, 8, pc, (int64_t)x->k->cs_limit, ok);
    xt_raise_gp(x);
    x->ended = false;
    ir_set_label(x->b, ok);
}

bool xt_goes_straight(const struct xlat *x, int64_t rel)
{
    uint64_t to = const_pc(x, x->next_off) + (uint64_t)rel;

    if (x->k->flat)
        return xt_64(x) || x->in->opsize == 4;
    return to <= x->k->cs_limit && to <= size_mask(x->in->opsize);
}

/* a constant target in a segment with a base or a limit */
static void goto_const(struct xlat *x, uint64_t pc, unsigned slot)
{
    int64_t base = (int64_t)x->k->pc - (int64_t)(x->k->lin & 0xfff);

    if (pc > x->k->cs_limit)
        xt_raise_gp(x);
    else
        xt_goto(x, (int32_t)(uint32_t)(pc - (uint64_t)base), slot);
}

void xt_goto_rel(struct xlat *x, int64_t rel, unsigned slot)
{
    int64_t to = x->next_off + rel;
    ir_val pc;

    if (!x->k->flat) {
        uint64_t mask = x->in->opsize == 2 ? 0xffff : 0xffffffffu;
        goto_const(x, (const_pc(x, x->next_off) + (uint64_t)rel) & mask, slot);
    } else if (!xt_64(x) && x->in->opsize == 2) {
        pc = xt_pc(x, to);
        ir_emit(x->b, IR_ZEXT, 2, pc, pc, IR_NONE);
        xt_goto_pc(x, pc, IRJ_JUMP);
    } else if (to != (int32_t)to) {
        pc = xt_pc(x, x->next_off);
        ir_lea(x->b, 8, pc, pc, IR_NONE, 0, rel);
        xt_goto_pc(x, pc, IRJ_JUMP);
    } else {
        xt_goto(x, to, slot);
    }
}

/* ---- calls ---------------------------------------------------------------------------- */

struct ir_op *xt_call(struct xlat *x, ir_helper fn, ir_val d, ir_val a, ir_val b, ir_val c)
{
    return ir_call(x->b, fn, CALL_STD, d, a, b, c);
}

struct ir_op *xt_call_i(struct xlat *x, ir_helper fn, ir_val d, uint64_t a, uint64_t b, uint64_t c)
{
    ir_val va = xt_imm(x, a), vc = xt_imm(x, c);
    struct ir_op *op = ir_call(x->b, fn, CALL_STD, d, va, IR_IMM, vc);

    op->imm = (int64_t)b;
    return op;
}

/* ---- checks every instruction goes through ------------------------------------------------ */

static bool lock_ok(const struct x86_insn *in)
{
    enum opnd_kind k = opnd_kind(in->row->dst);

    return !(in->prefixes & PFX_LOCK) ||
           (ROW_HAS(in->row, LOCKABLE) && in->mem && (k == K_E || k == K_M));
}

static bool runs_past_limit(const struct xlat *x)
{
    return !x->k->flat && const_pc(x, x->pcoff) + x->in->len - 1 > x->k->cs_limit;
}

/* XCHG BX, BX: with -magic-break what follows is looked at by somebody */
static bool is_magic(const struct xlat *x)
{
    const struct x86_insn *in = x->in;

    return x->magic && !in->map && in->opcode == 0x87 && in->modrm == 0xdb
           && in->opsize == 2 && !in->rex && in->enc == ENC_LEGACY && !in->err;
}

/* Is the instruction one that all those checks say yes to without being asked? */
static inline bool needs_no_check(const struct xlat *x)
{
    return !(x->in->err | (x->in->prefixes & PFX_LOCK)) && !(x->in->row->attr & (A_(PMODE) | A_(CPL0))) && x->k->flat
           && !x->magic && !(x->mode & MODE_DR);
}

static void check_and_translate(struct xlat *x)
{
    const struct x86_row *r = x->in->row;

    if (x->mode & MODE_DR) {
        ir_val pc = x->k->flat ? xt_pc(x, x->pcoff) : xt_imm(x, x->k->lin);
        xt_call(x, h_dr_check, IR_NONE, pc, IR_IMM, IR_NONE)->imm = 1 << 9;
    }
    if (x->in->err == DEC_LONG || runs_past_limit(x))
        xt_raise_gp(x);
    else if (x->in->err || !lock_ok(x->in) || (ROW_HAS(r, PMODE) && !xt_protected(x)))
        xt_raise_ud(x);
    else if (ROW_HAS(r, CPL0) && (x->mode & (MODE_CPL3 | MODE_CPL12 | MODE_VM86)))
        xt_raise_gp(x);
    else if (unlikely(is_magic(x))) {
        ir_call(x->b, h_magic, IRCALL_SYNC, IR_NONE, IR_NONE, IR_NONE, IR_NONE);
        xt_exit(x, x->next_off);
    } else
        r->tr(x);
}

static inline void translate_insn(struct xlat *x)
{
    ir_insn(x->b, x->pcoff, x->in->len);
    if (likely(needs_no_check(x)))
        x->row->tr(x);
    else
        check_and_translate(x);
    if (!x->ended && (ROW_HAS(x->row, ENDS_BLOCK) || x->want_exit))
        exit_next(x);
}

/* for segment-limit failures the helper raises */
static void emit_slow_paths(struct xlat *x)
{
    for (unsigned i = 0; i < x->n_slow; i++) {
        const struct x86_slow *s = &x->slow[i];
        ir_set_label(x->b, s->label);
        ir_insn(x->b, s->pcoff, s->len);
        if (s->what == SLOW_X87_MODE) {
            xt_call(x, h_x87_mode, IR_NONE, IR_NONE, IR_NONE, IR_NONE);
            xt_exit(x, s->pcoff + s->len);
            continue;
        }
        xt_call(x, h_seg_check, IR_NONE, s->off, IR_IMM, IR_NONE)->imm = s->what;
        ir_emit_imm(x->b, IR_EXIT, 0, IR_NONE, IR_NONE, s->pcoff);
    }
}

/* ---- the loop ------------------------------------------------------------------------------ */

/** struct fetcher - code bytes from the block's start on */
struct fetcher {
    struct tcg_cpu *tc;
    uint64_t lin;          /* of buf[0] */
    unsigned have;         /* valid bytes */
    unsigned page_left;    /* bytes to the end of the first page */
    bool stuck;            /* no more can be had within the page */
    uint8_t buf[4096 + MAX_INSN];
};

/* make @need bytes available, if the first page has them */
static __attribute__((noinline)) void fetch_more(struct fetcher *f, unsigned need)
{
    unsigned want = MIN(MAX(need - f->have, FETCH_CHUNK), f->page_left - f->have), got;

    if (f->stuck || need <= f->have || !want)
        return;
    got = tcg_fetch(f->tc, f->lin + f->have, f->buf + f->have, want, false);
    f->stuck = got < want;
    f->have += got;
}

/* the first instruction crosses the page's end: fetch the rest, or raise */
static bool fetch_across(struct fetcher *f, const struct tb_key *k)
{
    uint64_t va = f->lin + f->have;
    unsigned got;

    if ((k->mode & MODE_CODE_MASK) != MODE_CODE64)
        va &= 0xffffffffu;
    got = tcg_fetch(f->tc, va, f->buf + f->have, MAX_INSN, true);
    f->have += got;
    return got > 0;
}

static unsigned code_bits(uint32_t mode)
{
    return 16u << (mode & MODE_CODE_MASK);
}

/* decode at @pos; false: the bytes end in mid-instruction */
static inline bool decode_at(struct fetcher *f, const struct xlat *x, unsigned pos, struct x86_insn *in)
{
    if (unlikely(pos + X86_DECODE_ROOM > f->have))
        fetch_more(f, pos + X86_DECODE_ROOM);
    x86_decode_with(f->buf + pos, f->have - pos, x->bits, x->cpu->model, in);
    return in->err != DEC_SHORT;
}

static bool room_left(const struct xlat *x)
{
    const struct ir_block *b = x->b;

    return b->n_ops + SLOW_OPS * x->n_slow + RESERVE_OPS < IR_MAX_OPS &&
           b->n_vals + RESERVE_VALS < IR_MAX_VALS &&
           b->n_labels + RESERVE_LABELS < IR_MAX_LABELS &&
           b->n_vec + 4 < IR_MAX_VEC && x->n_slow + 8 < X_MAX_SLOW;
}

static void xlat_init(struct xlat *x, struct tcg_cpu *tc, struct ir_block *b, const struct tb_key *k)
{
    x->b = b;
    x->cpu = X86(tc);
    x->k = k;
    x->mode = k->mode;
    x->bits = code_bits(k->mode);
    x->ended = x->want_exit = x->sti = x->poll = false;
    x->solo = k->mode & (MODE_TF | MODE_DR | MODE_SHADOW);
    x->magic = x->cpu->bus && x->cpu->bus->magic;
    x->breaks = tcg_may_break(tc->tcg);
    x->n_slow = x->n_side = 0;
    x->masked = NULL;
    x->unchecked = false;
    x->one_way = log_on(LOG_EXEC | LOG_CPU | LOG_NOCHAIN) || tcg_counts(tc->tcg);
    x->pcoff = x->next_off = k->lin & 0xfff;
}

/* The instruction at @pos does not end in the bytes at hand: the block's first goes on in the next page. */
static __attribute__((noinline)) bool decode_across(struct fetcher *f, struct xlat *x, unsigned pos, struct x86_insn *in)
{
    if (pos || !fetch_across(f, x->k))
        return false;
    if (decode_at(f, x, pos, in))
        return true;
    if (!fetch_across(f, x->k))            /* a fault in the second page */
        return false;
    decode_at(f, x, pos, in);
    return true;
}

/* one instruction at @pos; returns its length, 0 when it does not fit the block */
static unsigned one_insn(struct xlat *x, struct fetcher *f, unsigned pos, struct x86_insn *in)
{
    if (unlikely(!decode_at(f, x, pos, in)) && !decode_across(f, x, pos, in))
        return 0;
    x->in = in;
    x->row = in->row;
    if (log_on(LOG_INSN_ROWS))
        log_write("row=%u name=%s bits=%u\n", (unsigned)(in->row - x86_rows), in->row->name, x->bits);
    x->pcoff = x->next_off;
    x->next_off += in->len;
    x->poll = x->sti;
    x->sti = false;
    translate_insn(x);
    if (x->poll && !x->ended && tcg_counts(x->cpu->tcg.tcg))
        xt_goto(x, x->next_off, 0);      /* what a block counts it executes: polls are between blocks */
    else if (x->poll && !x->ended)
        xt_poll(x);
    return in->len;
}

/* Must the block end before what is at @pos, which somebody wants to be a block's first instruction? */
static bool breaks_at(const struct xlat *x, const struct fetcher *f, unsigned pos)
{
    const struct tcg *t = x->cpu->tcg.tcg;

    return tcg_break_offset(t, (x->k->lin & 0xfff) + pos) || tcg_end_at(t, (x->k->lin & 0xfff) + pos)
           || (tcg_ends_before_pushf(t) && f->have > pos && f->buf[pos] == OP_PUSHF);
}

unsigned x86_translate(struct tcg_cpu *tc, struct ir_block *b, const struct tb_key *k,
                       unsigned max_insns, unsigned *n_insns)
{
    struct fetcher f;      /* not cleared: its buffer is large */
    struct xlat x;
    struct x86_insn in;
    unsigned pos = 0, n = 0, len;

    *n_insns = 0;
    xlat_init(&x, tc, b, k);
    f.tc = tc;
    f.lin = k->lin;
    f.page_left = 4096 - (k->lin & 0xfff);
    f.stuck = false;
    ir_begin(b, &x86_target);
    f.have = tcg_fetch(tc, k->lin, f.buf, MIN(f.page_left, FETCH_CHUNK), true);
    if (!f.have)
        return 0;
    if (x.solo)
        max_insns = 1;
    do {
        len = one_insn(&x, &f, pos, &in);
        if (!len)
            break;
        pos += len;
        n++;
    } while (!x.ended && n < max_insns && pos < f.page_left && room_left(&x)
             && !(x.breaks && breaks_at(&x, &f, pos)));
    if (!n)
        return 0;
    if (x.sti)
        xt_sti_last(&x);
    else if (!x.ended)
        xt_goto(&x, x.next_off, 0);
    emit_slow_paths(&x);
    *n_insns = n;
    return pos;
}

void x86_translate_env(const struct x86_model *m, bool magic, struct x86_translate_env *env)
{
    *env = (struct x86_translate_env){ .family = m->family, .model = m->model, .stepping = m->stepping,
                                       .n_vcpus = m->n_vcpus, .pv = m->pv, .magic = magic };
    memcpy(env->feat, m->feat, sizeof(env->feat));
    memcpy(env->vendor, m->vendor, sizeof(m->vendor));
}

/* ---- key -------------------------------------------------------------------------------------- */

/* An IP beyond the segment's limit raises #GP here: its page is not even looked for. */
void x86_get_key(struct tcg_cpu *tc, struct tb_key *k)
{
    struct x86_cpu *cpu = X86(tc);
    bool code64 = (cpu->mode & MODE_CODE_MASK) == MODE_CODE64;

    k->pc = tc->pc;
    k->mode = cpu->mode;
    k->flat = cpu->mode & MODE_FLAT_CS;
    k->cs_base = cpu->seg[S_CS].base;
    k->cs_limit = cpu->seg[S_CS].limit;
    k->lin = code64 ? tc->pc : (k->cs_base + tc->pc) & 0xffffffffu;
    k->pc_bytes = code64 ? 8 : 4;
    if (!k->flat && k->pc > k->cs_limit)
        x86_raise_err(cpu, EXC_GP, 0);
}
