/*
 * tr-string.c - string instructions: one element inline, REP through a helper
 */
#include "target-x86/tr-int.h"

/* rSI or rDI as an offset of the address size */
static ir_val index_off(struct xlat *x, unsigned reg)
{
    unsigned w = x->in->addrsize;
    ir_val t;

    if (w == 8 || (w == 4 && !(x->mode & MODE_LONG)))
        return reg;
    t = ir_temp(x->b);
    ir_emit(x->b, IR_ZEXT, w, t, reg, IR_NONE);
    return t;
}

static unsigned src_seg(const struct xlat *x)
{
    return x->in->seg_ovr == REGNO_NONE ? S_DS : x->in->seg_ovr;
}

static ir_val src_addr(struct xlat *x, unsigned size)
{
    return xt_lin(x, index_off(x, R_SI), src_seg(x), size, false);
}

static ir_val dst_addr(struct xlat *x, unsigned size, bool write)
{
    return xt_lin(x, index_off(x, R_DI), S_ES, size, write);
}

/* reg += df * size */
static void advance(struct xlat *x, unsigned reg, unsigned size, ir_val df)
{
    unsigned sc = size == 8 ? 3 : size == 4 ? 2 : size == 2 ? 1 : 0;
    ir_val t;

    if (x->in->addrsize >= 4) {
        ir_lea(x->b, x->in->addrsize, reg, reg, df, sc, 0);
        return;
    }
    t = ir_temp(x->b);
    ir_lea(x->b, 4, t, reg, df, sc, 0);
    ir_mov(x->b, 2, reg, t);
}

static void load_acc(struct xlat *x, unsigned size, ir_val addr)
{
    ir_emit(x->b, size < 4 ? IR_LDM : IR_LD, size, G_RAX, addr, IR_NONE);
}

static void compare(struct xlat *x, unsigned size, ir_val a, ir_val b)
{
    ir_emit(x->b, IR_CMP, size, IR_NONE, a, b)->wf = IRF_ALL;
}

static ir_val load(struct xlat *x, unsigned size, ir_val addr)
{
    ir_val t = ir_temp(x->b);

    ir_ld(x->b, size, t, addr);
    return t;
}

static void one_element(struct xlat *x, unsigned size)
{
    unsigned kind = x->row->arg;
    bool si = kind == STR_MOVS || kind == STR_LODS || kind == STR_CMPS;
    bool di = kind != STR_LODS;
    ir_val df = ir_temp(x->b), second = IR_NONE, from, to;

    if (kind == STR_CMPS)       /* when both fault, silicon reports ES:[rDI] */
        second = load(x, size, dst_addr(x, size, false));
    from = si ? src_addr(x, size) : IR_NONE;
    to = di && kind != STR_CMPS ? dst_addr(x, size, kind == STR_MOVS || kind == STR_STOS) : IR_NONE;

    if (kind == STR_MOVS)
        ir_st(x->b, size, to, load(x, size, from));
    else if (kind == STR_STOS)
        ir_st(x->b, size, to, G_RAX);
    else if (kind == STR_SCAS)
        compare(x, size, G_RAX, load(x, size, to));
    else if (kind == STR_CMPS)
        compare(x, size, load(x, size, from), second);
    else
        load_acc(x, size, from);
    ir_lde(x->b, 8, df, CPU_OFF(df));
    if (si)
        advance(x, R_SI, size, df);
    if (di)
        advance(x, R_DI, size, df);
}

static uint64_t string_arg(const struct xlat *x, unsigned size)
{
    return x->row->arg | size << 8 | x->in->addrsize << 16 | src_seg(x) << 24;
}

/* How the back end can do without the helper when memory is simple; 0: not at all. */
static unsigned rep_simple(const struct xlat *x, unsigned size)
{
    bool ne = x->in->prefixes & PFX_REPNE;
    unsigned op, w = x->in->addrsize;

    if (x->solo || x->want_exit || x->mode & (MODE_DR | MODE_TF | MODE_AC) || tcg_counts(x->cpu->tcg.tcg))
        return 0;
    switch (x->row->arg) {
    case STR_MOVS: op = REP_MOVS; break;
    case STR_STOS: op = REP_STOS; break;
    case STR_SCAS: op = ne ? REP_SCAS_NE : REP_SCAS_E; break;
    case STR_CMPS: op = ne ? REP_CMPS_NE : REP_CMPS_E; break;
    default: return 0;
    }
    if (!(w == 8 || (w == 4 && !(x->mode & MODE_LONG))) || !xt_seg_is_flat(x, S_ES)
        || !xt_seg_is_flat(x, src_seg(x)))
        return 0;
    return REP(op, (unsigned)__builtin_ctz(size), w == 8);
}

/* not finished: the run loop looks around, then executes the instruction again */
static void rep_string(struct xlat *x, unsigned size)
{
    bool compares = x->row->arg == STR_CMPS || x->row->arg == STR_SCAS;
    unsigned rep = compares && (x->in->prefixes & PFX_REPNE) ? 2 : 1;
    uint16_t again = ir_label(x->b);
    ir_val r = ir_temp(x->b);
    struct ir_op *op;

    op = xt_call_i(x, h_rep_string, r, string_arg(x, size), rep, 0);
    if (x->row->arg != STR_INS && x->row->arg != STR_OUTS && !(x->mode & MODE_DR))
        op->callf |= IRCALL_NOVEC;
    op->aux = (uint8_t)rep_simple(x, size);
    ir_brcmpi(x->b, IRC_NE, 8, r, 0, again);
    xt_goto(x, x->next_off, 0);
    ir_set_label(x->b, again);
    if (tcg_counts(x->cpu->tcg.tcg))
        ir_call(x->b, tcg_count_again, IRCALL_NOVEC, IR_NONE, IR_NONE, IR_NONE, IR_NONE);
    xt_exit(x, x->pcoff);
}

/* bytes of one element: the memory operand's */
static unsigned element_bytes(const struct xlat *x)
{
    const struct x86_row *r = x->row;
    unsigned ops[3] = { r->dst, r->a, r->b };

    for (unsigned i = 0; i < 3; i++)
        if (opnd_kind(ops[i]) == K_X || opnd_kind(ops[i]) == K_Y)
            return opnd_bytes(x->in, ops[i]);
    return 1;
}

void tr_string(struct xlat *x)
{
    if (x->in->prefixes & (PFX_REP | PFX_REPNE))
        rep_string(x, element_bytes(x));
    else
        one_element(x, element_bytes(x));
}

void tr_insouts(struct xlat *x)
{
    unsigned size = element_bytes(x);

    if (x->in->prefixes & (PFX_REP | PFX_REPNE))
        rep_string(x, size);
    else
        xt_call_i(x, h_string1, IR_NONE, string_arg(x, size), 0, 0);
}
