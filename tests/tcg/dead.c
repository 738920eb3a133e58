/* dead.c - dead flags, dead code, lives */
#include "tests/tcg/rig.h"

static struct ir_block *fresh(void)
{
    struct ir_block *b = ir_block_new();

    ir_begin(b, &rig_target);
    return b;
}

static void end(struct ir_block *b)
{
    ir_emit_imm(b, IR_EXIT, 0, IR_NONE, IR_NONE, 0);
}

static struct ir_op *add(struct ir_block *b, ir_val d, ir_val s)
{
    struct ir_op *op = ir_emit(b, IR_ADD, 4, d, d, s);

    op->wf = IRF_ALL;
    return op;
}

Test(dead, flags_overwritten_are_dropped)
{
    struct ir_block *b = fresh();

    add(b, G0, G1);
    add(b, G0, G2);
    end(b);
    ir_dead_flags(b, true);
    cr_assert_eq(b->ops[0].wf, 0);
    cr_assert_eq(b->ops[1].wf, IRF_ALL);
    cr_assert_eq(b->ops[1].lf, IRF_ALL);
    ir_block_free(b);
}

Test(dead, without_prune_only_notes)
{
    struct ir_block *b = fresh();

    add(b, G0, G1);
    add(b, G0, G2);
    end(b);
    ir_dead_flags(b, false);
    cr_assert_eq(b->ops[0].wf, IRF_ALL);
    cr_assert_eq(b->ops[0].lf, 0);
    ir_block_free(b);
}

Test(dead, a_fault_shows_all_flags)
{
    struct ir_block *b = fresh();
    ir_val t = ir_temp(b);

    add(b, G0, G1);
    ir_ld(b, 4, t, G3);
    add(b, G0, t);
    end(b);
    ir_dead_flags(b, true);
    cr_assert_eq(b->ops[0].wf, IRF_ALL);
    ir_block_free(b);
}

Test(dead, inc_keeps_carry)
{
    struct ir_block *b = fresh();

    add(b, G0, G1);
    ir_emit(b, IR_INC, 4, G0, G0, IR_NONE)->wf = IRF_ALL & ~IRF_C;
    end(b);
    ir_dead_flags(b, true);
    cr_assert_eq(b->ops[0].wf, IRF_C);
    cr_assert_eq(b->ops[1].wf, IRF_ALL & ~IRF_C);
    ir_block_free(b);
}

Test(dead, variable_shift_may_keep_all)
{
    struct ir_block *b = fresh();

    add(b, G0, G1);
    ir_emit(b, IR_SHL, 4, G0, G0, G2)->wf = IRF_ALL;
    end(b);
    ir_dead_flags(b, true);
    cr_assert_eq(b->ops[0].wf, IRF_ALL);
    ir_block_free(b);
}

Test(dead, comparison_without_reader_goes)
{
    struct ir_block *b = fresh();

    ir_emit(b, IR_CMP, 4, IR_NONE, G0, G1)->wf = IRF_ALL;
    add(b, G0, G2);
    end(b);
    ir_dead_flags(b, true);
    cr_assert_eq(b->n_ops, 2);
    cr_assert_eq(b->ops[0].opc, IR_ADD);
    ir_block_free(b);
}

Test(dead, branch_joins_what_both_ways_need)
{
    struct ir_block *b = fresh();
    uint16_t l = ir_label(b);

    add(b, G0, G1);                    /* needed: Z by the branch, C behind the label */
    ir_brcc(b, IRC_Z, l);
    add(b, G0, G2);
    ir_set_label(b, l);
    ir_emit(b, IR_ADC, 4, G0, G0, G1)->wf = IRF_ALL;
    end(b);
    ir_dead_flags(b, true);
    cr_assert_eq(b->ops[0].wf, IRF_Z | IRF_C);
    cr_assert_eq(b->ops[2].wf, IRF_C);
    ir_block_free(b);
}

Test(dead, backward_branch_needs_all)
{
    struct ir_block *b = fresh();
    uint16_t l = ir_label(b);

    ir_set_label(b, l);
    add(b, G0, G1);
    ir_brcmpi(b, IRC_NE, 4, G2, 0, l);
    add(b, G0, G1);
    end(b);
    ir_dead_flags(b, true);
    cr_assert_eq(b->ops[1].wf, IRF_ALL);
    ir_block_free(b);
}

Test(dead, unused_temp_goes)
{
    struct ir_block *b = fresh();
    ir_val t = ir_temp(b), u = ir_temp(b);

    ir_movi(b, t, 5);
    ir_lea(b, 8, u, t, IR_NONE, 0, 3);
    end(b);
    ir_liveness(b, true);
    cr_assert_eq(b->n_ops, 1);
    ir_block_free(b);
}

Test(dead, global_overwritten_goes_unless_seen)
{
    struct ir_block *b = fresh();

    ir_mov(b, 8, G0, G1);
    ir_mov(b, 4, G0, G2);
    end(b);
    ir_liveness(b, true);
    cr_assert_eq(b->n_ops, 2);

    ir_begin(b, &rig_target);
    ir_mov(b, 8, G0, G1);
    ir_mov(b, 2, G0, G2);              /* merges: reads the old value */
    end(b);
    ir_liveness(b, true);
    cr_assert_eq(b->n_ops, 3);

    ir_begin(b, &rig_target);
    ir_mov(b, 8, G0, G1);
    ir_st(b, 4, G3, G4);               /* may fault: the guest sees G0 */
    ir_mov(b, 8, G0, G2);
    end(b);
    ir_liveness(b, true);
    cr_assert_eq(b->n_ops, 4);
    ir_block_free(b);
}

Test(dead, results_before_a_loop_stay_those_behind_it_go)
{
    struct ir_block *b = fresh();
    uint16_t l = ir_label(b);
    ir_val t = ir_temp(b), u = ir_temp(b);

    ir_set_label(b, l);
    ir_movi(b, t, 5);                          /* the next round might read it */
    ir_brcmpi(b, IRC_NE, 8, G0, 100, l);
    ir_movi(b, u, 5);
    end(b);
    ir_liveness(b, true);
    cr_assert_eq(b->n_ops, 4);
    cr_assert_eq(b->ops[1].d, t);
    ir_block_free(b);
}

Test(dead, last_uses)
{
    struct ir_block *b = fresh();
    ir_val t = ir_temp(b), u = ir_temp(b);

    ir_movi(b, t, 5);                          /* 0 */
    ir_emit(b, IR_ADD, 8, u, t, G0);           /* 1 */
    ir_emit(b, IR_ADD, 8, u, u, t);            /* 2: t dies, u lives on as the result */
    ir_emit(b, IR_MOV, 8, G1, IR_NONE, u);     /* 3: u dies */
    end(b);
    ir_liveness(b, false);
    cr_assert_eq(b->ops[0].last, 0);
    cr_assert_eq(b->ops[1].last, 0);
    cr_assert_eq(b->ops[2].last, 1 << 3);
    cr_assert_eq(b->ops[3].last, 1 << 3);
    ir_block_free(b);
}

Test(dead, temp_used_in_a_loop_lives_to_its_end)
{
    struct ir_block *b = fresh();
    uint16_t l = ir_label(b);
    ir_val t = ir_temp(b);

    ir_movi(b, t, 5);
    ir_set_label(b, l);
    ir_emit(b, IR_ADD, 8, G0, G0, t);
    ir_brcmpi(b, IRC_NE, 8, G0, 100, l);
    end(b);
    ir_liveness(b, false);
    cr_assert_eq(b->ops[2].last, 0);
    ir_find_labels(b);
    cr_assert_eq(b->ops[3].imm2, 1, "the branch knows its label's index");
    ir_block_free(b);
}

/* POP as a front end makes it: the load's result is only copied */
Test(liveness, a_load_goes_where_it_is_copied_to)
{
    struct ir_block *b = ir_block_new();
    ir_val t, u;

    ir_begin(b, &rig_target);
    t = ir_temp(b);
    u = ir_temp(b);
    ir_insn(b, 0, 1);
    ir_ld(b, 8, t, G0);
    ir_mov(b, 8, G1, t);
    ir_insn(b, 1, 1);
    ir_ld(b, 8, u, G0);
    ir_mov(b, 8, G2, u);
    ir_emit(b, IR_ADD, 8, G3, G3, u);      /* somebody else wants it */
    ir_emit_imm(b, IR_EXIT, 0, IR_NONE, IR_NONE, 0);
    ir_dead_flags(b, true);
    ir_liveness(b, true);
    cr_assert_null(ir_verify(b), "%s", ir_verify(b));
    cr_assert_eq(b->n_ops, 7);
    cr_assert_eq(b->ops[1].opc, IR_LD);
    cr_assert_eq(b->ops[1].d, G1);
    cr_assert_eq(b->ops[3].opc, IR_LD);
    cr_assert_eq(b->ops[3].d, u);
    ir_block_free(b);
}
