/*
 * tr-control.c - jumps, calls, returns, loops, interrupts
 */
#include "target-x86/tr-int.h"

/* taken through slot 1, the next instruction through slot 0 */
static void branch_ends(struct xlat *x, uint16_t taken)
{
    xt_goto(x, x->next_off, 0);
    ir_set_label(x->b, taken);
    xt_goto_rel(x, x->in->imm, 1);
}

/*
 * A branch forward within the page may leave the block in its middle: what follows is
 * then part of the same block, and flags, vector state and addresses are shared. A branch
 * backward is most often taken, so it ends the block.
 */
static bool goes_on_behind(const struct xlat *x)
{
    int64_t to = x->next_off + x->in->imm;

    return !x->solo && !x->one_way && !x->want_exit && !x->poll
           && x->n_side < TB_SIDE_LINKS && x->in->imm > 0 && to < 4096
           && x->next_off < 4096 && xt_goes_straight(x, x->in->imm);
}

void tr_jcc(struct xlat *x)
{
    uint16_t taken;

    if (goes_on_behind(x)) {
        ir_leavecc(x->b, x->in->opcode & 15, x->next_off + x->in->imm, TB_SIDE_LINK + x->n_side++);
        return;
    }
    taken = ir_label(x->b);
    ir_brcc(x->b, x->in->opcode & 15, taken);
    branch_ends(x, taken);
}

void tr_jmp(struct xlat *x)
{
    xt_goto_rel(x, x->in->imm, 0);
}

/* zero-extended rCX in the address size, as something to compare */
static unsigned count_bytes(const struct xlat *x)
{
    return x->in->addrsize;
}

/* rCX -= 1, flags untouched */
static void dec_count(struct xlat *x)
{
    unsigned w = count_bytes(x);
    ir_val t;

    if (w >= 4) {
        ir_lea(x->b, w, G_RCX, G_RCX, IR_NONE, 0, -1);
        return;
    }
    t = ir_temp(x->b);
    ir_lea(x->b, 4, t, G_RCX, IR_NONE, 0, -1);
    ir_mov(x->b, 2, G_RCX, t);
}

/* arg: 0 LOOPNE, 1 LOOPE, 2 LOOP */
void tr_loop(struct xlat *x)
{
    uint16_t taken = ir_label(x->b), out;

    dec_count(x);
    if (x->row->arg == 2) {
        ir_brcmpi(x->b, IRC_NE, count_bytes(x), G_RCX, 0, taken);
    } else {
        out = ir_label(x->b);
        ir_brcmpi(x->b, IRC_EQ, count_bytes(x), G_RCX, 0, out);
        ir_brcc(x->b, x->row->arg ? IRC_Z : IRC_NZ, taken);
        ir_set_label(x->b, out);
    }
    branch_ends(x, taken);
}

void tr_jcxz(struct xlat *x)
{
    uint16_t taken = ir_label(x->b);

    ir_brcmpi(x->b, IRC_EQ, count_bytes(x), G_RCX, 0, taken);
    branch_ends(x, taken);
}

void tr_call(struct xlat *x)
{
    ir_val pc = xt_pc(x, x->next_off);

    xt_push(x, x->in->opsize, pc);
    xt_returns(x, pc);
    xt_goto_rel(x, x->in->imm, 0);
}

/* the target of an indirect branch, in a value that a push does not change */
static ir_val branch_target(struct xlat *x)
{
    unsigned size = x->in->opsize;
    ir_val v = xt_rm(x, size), t;

    if (x->in->mem)
        return v;
    if (size == 8)
        return v == G_RSP ? xt_copy(x, v) : v;
    t = ir_temp(x->b);
    ir_emit(x->b, IR_ZEXT, size, t, v, IR_NONE);
    return t;
}

void tr_call_ind(struct xlat *x)
{
    ir_val to = branch_target(x);

    if (xt_may_check_late(x)) {
        xt_returns(x, xt_push_return(x, IR_NONE));
        xt_goto_pc_unchecked(x, to, IRJ_CALL, -8);
        return;
    }
    xt_returns(x, xt_push_return(x, to));
    xt_goto_pc(x, to, IRJ_CALL);
}

void tr_jmp_ind(struct xlat *x)
{
    ir_val to = branch_target(x);

    if (xt_may_check_late(x)) {
        xt_goto_pc_unchecked(x, to, IRJ_JUMP, 0);
        return;
    }
    xt_check_pc(x, to);
    xt_goto_pc(x, to, IRJ_JUMP);
}

void tr_ret(struct xlat *x)
{
    unsigned size = x->in->opsize, popped;
    ir_val to = xt_pop_load(x, size, 0);

    if (xt_may_check_late(x) && size == 8 && !x->row->a) {
        xt_add_sp(x, 8);
        xt_goto_pc_unchecked(x, to, IRJ_RET, 8);
        xt_returned(x, 8);
        return;
    }
    xt_check_pc(x, to);
    popped = size + (x->row->a ? x->in->imm & 0xffff : 0);
    xt_add_sp(x, popped);
    xt_goto_pc(x, to, IRJ_RET);
    xt_returned(x, popped);
}

/* ---- far -------------------------------------------------------------------------- */

/* arg of the row: 0 immediate pointer, 1 pointer in memory */
static void far_transfer(struct xlat *x, ir_helper fn)
{
    unsigned size = x->in->opsize;
    ir_val sel = ir_temp(x->b), off = ir_temp(x->b);

    if (x->row->arg) {
        ir_ld(x->b, size, off, xt_addr(x, size, false));
        ir_ld(x->b, 2, sel, xt_addr_plus(x, size, 2, false));
    } else {
        ir_movi(x->b, off, (uint64_t)x->in->imm);
        ir_movi(x->b, sel, x->in->imm2);
    }
    xt_call(x, fn, IR_NONE, sel, off, xt_imm(x, (uint32_t)x->next_off | (uint64_t)size << 32));
    xt_exit_pc(x);
}

void tr_jmp_far(struct xlat *x)
{
    far_transfer(x, h_jmp_far);
}

void tr_call_far(struct xlat *x)
{
    far_transfer(x, h_call_far);
}

void tr_ret_far(struct xlat *x)
{
    xt_call_i(x, h_ret_far, IR_NONE, x->in->opsize, x->row->a ? x->in->imm & 0xffff : 0, 0);
    xt_exit_pc(x);
}

void tr_iret(struct xlat *x)
{
    xt_lean(xt_call_i(x, h_iret, IR_NONE, x->in->opsize, 0, x->next_off));
    xt_exit_pc(x);
}

/* arg: h_int's kind */
void tr_int(struct xlat *x)
{
    static const uint8_t vector[] = { 0, EXC_BP, EXC_OF, EXC_DB };
    unsigned kind = x->row->arg;

    xt_lean(xt_call_i(x, h_int, IR_NONE, kind ? vector[kind] : x->in->imm & 0xff, x->in->len, kind));
    xt_dead_end(x);
}

void tr_into(struct xlat *x)
{
    xt_call_i(x, h_into, IR_NONE, 0, x->in->len, 0);
}

/* Bounds are signed, side by side in memory. Silicon does not ask for the upper one when the lower says #BR. */
void tr_bound(struct xlat *x)
{
    unsigned size = x->in->opsize;
    ir_val index = ir_temp(x->b), bound;

    ir_emit(x->b, IR_SEXT, 8, index, x->in->reg, IR_NONE)->sz2 = size;
    for (unsigned i = 0; i < 2; i++) {
        bound = ir_temp(x->b);
        ir_emit(x->b, IR_LDS, size, bound, xt_addr_plus(x, i * size, size, false), IR_NONE)->sz2 = 8;
        xt_call(x, h_bound, IR_NONE, i ? bound : index, i ? index : bound, IR_NONE);
    }
}

void tr_syscall(struct xlat *x)
{
    xt_lean(xt_call_i(x, h_syscall, IR_NONE, 0, 0, x->next_off));
    xt_exit_pc(x);
}

void tr_sysret(struct xlat *x)
{
    xt_lean(xt_call_i(x, h_sysret, IR_NONE, x->in->w ? 8 : 4, 0, 0));
    xt_exit_pc(x);
}

void tr_sysenter(struct xlat *x)
{
    xt_lean(xt_call_i(x, h_sysenter, IR_NONE, 0, 0, x->next_off));
    xt_exit_pc(x);
}

void tr_sysexit(struct xlat *x)
{
    xt_lean(xt_call_i(x, h_sysexit, IR_NONE, x->in->w ? 8 : 4, 0, 0));
    xt_exit_pc(x);
}

void tr_rsm(struct xlat *x)
{
    xt_call_i(x, h_rsm, IR_NONE, 0, 0, 0);
    xt_exit_pc(x);
}
