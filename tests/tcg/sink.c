/* sink.c - a register's changes by constants are done once, late, and in time */
#include "tests/tcg/rig.h"
#include "tcg/ir-int.h"

static void passes(struct ir_block *b)
{
    cr_assert_null(ir_verify(b), "%s", ir_verify(b));
    ir_group(b);
    ir_sink(b);
    ir_liveness(b, true);
    cr_assert_null(ir_verify(b), "%s", ir_verify(b));
}

static unsigned writes(const struct ir_block *b, ir_val g)
{
    unsigned n = 0;

    for (unsigned i = 0; i < b->n_ops; i++)
        n += b->ops[i].opc != IR_INSN && (b->ops[i].d == g || b->ops[i].e == g);
    return n;
}

/* a push as a front end makes it: address, store, register */
static void push(struct ir_block *b, ir_val v)
{
    ir_val t = ir_temp(b);

    ir_insn(b, b->n_ops, 1);
    ir_lea(b, 8, t, G0, IR_NONE, 0, -8);
    ir_st(b, 8, t, v);
    ir_mov(b, 8, G0, t);
}

static void pop(struct ir_block *b, ir_val v)
{
    ir_val t = ir_temp(b);

    ir_insn(b, b->n_ops, 1);
    ir_ld(b, 8, t, G0);
    ir_lea(b, 8, G0, G0, IR_NONE, 0, 8);
    ir_mov(b, 8, v, t);
}

/* the block with and without the passes leaves the same registers and memory */
static void same_result(void (*make)(struct ir_block *), unsigned want_writes)
{
    struct rig *r[2];
    bool done = false;

    for (unsigned k = 0; k < 2; k++) {
        r[k] = rig_new();
        for (unsigned i = 0; i < RIG_GLOBALS; i++)
            r[k]->cpu->tcg.regs[i] = 0x1010101 * (i + 1);
        r[k]->cpu->tcg.regs[0] = 0x2800;
        make(r[k]->b);
        if (k) {
            ir_emit_imm(r[k]->b, IR_GOTO_TB, 0, IR_NONE, IR_NONE, 0x100);
            passes(r[k]->b);
            cr_expect_eq(writes(r[k]->b, G0), want_writes, "%u", writes(r[k]->b, G0));
            r[k]->cpu->tcg.exception = 0;
            ir_interp(&r[k]->cpu->tcg, r[k]->b);
            done = true;
        } else {
            rig_run(r[k]);
        }
    }
    cr_assert(done);
    cr_expect_arr_eq(r[0]->cpu->tcg.regs, r[1]->cpu->tcg.regs, sizeof(r[0]->cpu->tcg.regs));
    cr_expect_arr_eq(r[0]->ram, r[1]->ram, RIG_BYTES);
    rig_free(r[0]);
    rig_free(r[1]);
}

static void pushes(struct ir_block *b)
{
    for (ir_val v = G1; v <= G5; v++)
        push(b, v);
}
Test(sink, pushes_move_the_register_once) { same_result(pushes, 1); }

static void pops(struct ir_block *b)
{
    push(b, G1);
    for (ir_val v = G1; v <= G4; v++)
        pop(b, v);
}
Test(sink, pops_too) { same_result(pops, 1); }

static void balanced(struct ir_block *b)
{
    push(b, G1);
    push(b, G2);
    pop(b, G3);
    pop(b, G4);
}
Test(sink, what_comes_to_nothing_is_not_done) { same_result(balanced, 0); }

static void pushes_itself(struct ir_block *b)
{
    push(b, G1);
    push(b, G0);
    push(b, G0);
    pop(b, G2);
}
Test(sink, a_store_of_the_register_shows_it) { same_result(pushes_itself, 2); }

static void copies(struct ir_block *b)
{
    push(b, G1);
    push(b, G2);
    ir_insn(b, b->n_ops, 1);
    ir_mov(b, 8, G5, G0);
    ir_insn(b, b->n_ops, 1);
    ir_lea(b, 8, G4, G0, IR_NONE, 0, 24);
    push(b, G5);
}
Test(sink, copies_and_sums_add_it_themselves) { same_result(copies, 1); }

static void scaled(struct ir_block *b)
{
    push(b, G1);
    push(b, G2);
    ir_insn(b, b->n_ops, 1);
    ir_lea(b, 8, G4, G3, G0, 1, 0);
    ir_insn(b, b->n_ops, 1);
    ir_mov(b, 4, G5, G0);
}
Test(sink, other_readers_wait_for_it) { same_result(scaled, 1); }

static void replaced(struct ir_block *b)
{
    push(b, G1);
    push(b, G2);
    ir_insn(b, b->n_ops, 1);
    ir_mov(b, 8, G0, G3);
}
Test(sink, what_is_replaced_is_not_done) { same_result(replaced, 1); }

static void partly(struct ir_block *b)
{
    push(b, G1);
    push(b, G2);
    ir_insn(b, b->n_ops, 1);
    ir_mov(b, 2, G0, G3);
}
Test(sink, a_part_is_no_replacement) { same_result(partly, 2); }

static void stale(struct ir_block *b)
{
    ir_val t = ir_temp(b);

    push(b, G1);
    ir_lea(b, 8, t, G0, IR_NONE, 0, -64);
    ir_insn(b, b->n_ops, 1);
    ir_mov(b, 8, G0, G3);          /* t is no longer relative to it */
    ir_insn(b, b->n_ops, 1);
    ir_mov(b, 8, G0, t);
}
Test(sink, a_sum_of_an_older_value) { same_result(stale, 1); }

static void two_registers(struct ir_block *b)
{
    for (unsigned i = 0; i < 3; i++) {
        push(b, G1);
        ir_insn(b, b->n_ops, 1);
        ir_lea(b, 8, G1, G1, IR_NONE, 0, 5);
        ir_insn(b, b->n_ops, 1);
        ir_lea(b, 8, G2, G2, IR_NONE, 0, -3);
    }
    ir_insn(b, b->n_ops, 1);
    ir_lea(b, 8, G3, G1, G2, 0, 1);
}
Test(sink, several_at_once) { same_result(two_registers, 1); }

/* An access that may fault, and every way out, finds the register as it is to be. */
static void order_is(struct ir_block *b, enum ir_opc behind)
{
    unsigned i = 0;

    ir_emit_imm(b, IR_EXIT, 0, IR_NONE, IR_NONE, 0);
    passes(b);
    while (i < b->n_ops && (b->ops[i].opc == IR_INSN || b->ops[i].d != G0))
        i++;
    while (i < b->n_ops && b->ops[i].opc != behind)
        i++;
    cr_assert_lt(i, b->n_ops, "%u is not behind the register's change", behind);
    cr_assert_eq(writes(b, G0), 1);
    ir_block_free(b);
}

static struct ir_block *two_pushes(void)
{
    struct ir_block *b = ir_block_new();

    ir_begin(b, &rig_target);
    push(b, G1);
    push(b, G2);
    return b;
}

Test(sink, in_place_before_what_may_fault)
{
    struct ir_block *b = two_pushes();

    ir_insn(b, b->n_ops, 1);
    ir_emit(b, IR_LD, 4, G4, G5, IR_NONE);
    order_is(b, IR_LD);
}

Test(sink, in_place_before_a_way_out)
{
    struct ir_block *b = two_pushes();

    ir_insn(b, b->n_ops, 1);
    ir_leavecc(b, IRC_Z, 0x40, TB_SIDE_LINK);
    order_is(b, IR_LEAVECC);
}

Test(sink, not_between_a_comparison_and_its_jump)
{
    struct ir_block *b = two_pushes();

    ir_insn(b, b->n_ops, 1);
    ir_emit(b, IR_CMP, 8, IR_NONE, G3, G4)->wf = IRF_ALL;
    ir_insn(b, b->n_ops, 1);
    ir_leavecc(b, IRC_Z, 0x40, TB_SIDE_LINK);
    order_is(b, IR_CMP);
}

Test(sink, in_place_at_the_end)
{
    order_is(two_pushes(), IR_EXIT);
}

static uint64_t helper(struct tcg_cpu *cpu, uint64_t a, uint64_t b, uint64_t c) { return 0; }

Test(sink, in_place_for_a_helper_that_looks)
{
    struct ir_block *b = two_pushes();

    ir_call(b, helper, IRCALL_SYNC, IR_NONE, IR_NONE, IR_NONE, IR_NONE);
    order_is(b, IR_CALL);
}
