/* ir.c - builder, rows, printer */
#include "tcg/ir-int.h"
#include "tests/tcg/rig.h"

static struct ir_block *fresh(void)
{
    struct ir_block *b = ir_block_new();

    ir_begin(b, &rig_target);
    return b;
}

Test(ir, rows_follow_ops_def)
{
    cr_assert_str_eq(ir_op_info(IR_ADD)->name, "add");
    cr_assert_eq(ir_op_info(IR_ADD)->ins, IRO_A | IRO_B);
    cr_assert_eq(ir_op_info(IR_MULU)->outs, IRO_D | IRO_E);
    cr_assert_eq(ir_attrs[IR_GOTO_TB], IRA_SIDE | IRA_END | IRA_STOP);
    cr_assert(ir_attrs[IR_LD] & IRA_MEM);
}

/* What passes ask about a row in one go is what they would find out one by one. */
Test(ir, what_follows_from_rows)
{
    for (unsigned i = 0; i < IR_OPC_COUNT; i++) {
        const struct ir_info *inf = ir_op_info(i);
        struct ir_op op = { .opc = (uint8_t)i, .size = 2 };
        bool branch = ir_is_branch(&op) || i == IR_LABEL || i == IR_LEAVECC;
        bool keeps = (inf->outs & IRO_D) && !(ir_attrs[i] & IRA_W);

        cr_assert_eq(!!(ir_attrs[i] & IRA_STOP), branch || (ir_attrs[i] & IRA_END), "%s", inf->name);
        cr_assert_eq(!!(ir_attrs[i] & IRA_IDLE), !inf->outs && !(ir_attrs[i] & IRA_SIDE), "%s", inf->name);
        cr_assert_eq(ir_keeps_d(&op), keeps || i == IR_DEPH || i == IR_CMPXCHG, "%s", inf->name);
    }
}

/* An operation that reads F says so on its row. */
Test(ir, readers_of_flags_are_marked)
{
    struct ir_block *b = fresh();

    for (unsigned i = 0; i < IR_OPC_COUNT; i++)
        for (unsigned rmw = 0; rmw < 16; rmw++) {
            struct ir_op op = { .opc = (uint8_t)i, .size = 4, .wf = IRF_ALL, .cc = (uint8_t)rmw, .callf = IRCALL_SYNC };

            b->vec[0].rf = IRF_ALL;
            cr_assert(!ir_op_reads_flags(b, &op) || (ir_attrs[i] & IRA_FLAGS), "%s", ir_op_info(i)->name);
        }
    ir_block_free(b);
}

Test(ir, temps_follow_globals)
{
    struct ir_block *b = fresh();

    cr_assert_eq(ir_temp(b), RIG_GLOBALS);
    cr_assert_eq(ir_temp(b), RIG_GLOBALS + 1);
    ir_block_free(b);
}

Test(ir, running_out_of_room_is_told)
{
    struct ir_block *b = fresh();

    for (unsigned i = 0; i < IR_MAX_VALS + 10; i++)
        cr_assert_lt(ir_temp(b), IR_MAX_VALS);
    cr_assert(b->overflow);
    ir_begin(b, &rig_target);
    for (unsigned i = 0; i < IR_MAX_LABELS + 3; i++)
        cr_assert_lt(ir_label(b), IR_MAX_LABELS);
    cr_assert(b->overflow);
    ir_begin(b, &rig_target);
    for (unsigned i = 0; i < IR_MAX_OPS; i++)
        ir_mov(b, 8, G0, G1);
    cr_assert_not(b->overflow);
    cr_assert_not_null(ir_mov(b, 8, G0, G1));
    cr_assert(b->overflow);
    cr_assert_eq(b->n_ops, IR_MAX_OPS);
    ir_block_free(b);
}

Test(ir, immediate_is_an_operand_only_where_the_row_has_one)
{
    struct ir_block *b = fresh();

    cr_assert_eq(ir_emit_imm(b, IR_ADD, 4, G0, G0, 5)->b, IR_IMM);
    cr_assert_eq(ir_emit_imm(b, IR_EXIT, 0, IR_NONE, IR_NONE, 5)->b, IR_NONE);
    cr_assert_eq(ir_emit_imm(b, IR_VEC, 8, IR_NONE, IR_NONE, 0)->b, IR_NONE);
    ir_block_free(b);
}

Test(ir, flags_of_conditions)
{
    cr_assert_eq(ir_cc_flags(IRC_NCZ), IRF_C | IRF_Z);
    cr_assert_eq(ir_cc_flags(IRC_GT), IRF_Z | IRF_S | IRF_O);
    cr_assert_eq(ir_cc_flags(IRC_NP), IRF_P);
}

Test(ir, shifts_kill_flags_only_when_the_count_is_known_and_not_zero)
{
    struct ir_block *b = fresh();
    struct ir_op *op = ir_emit_imm(b, IR_SHL, 4, G0, G0, 32);

    op->wf = IRF_ALL;
    cr_assert_eq(ir_op_kills_flags(b, op), 0);
    op->imm = 3;
    cr_assert_eq(ir_op_kills_flags(b, op), IRF_ALL);
    op->b = G1;
    cr_assert_eq(ir_op_kills_flags(b, op), 0);
    cr_assert_eq(ir_op_reads_flags(b, op), IRF_ALL);
    op = ir_emit_imm(b, IR_RCL, 1, G0, G0, 9);
    op->wf = IRF_C | IRF_O;
    cr_assert_eq(ir_op_kills_flags(b, op), 0);
    op = ir_emit(b, IR_INC, 4, G0, G0, IR_NONE);
    op->wf = IRF_ALL;
    cr_assert_eq(ir_op_kills_flags(b, op), IRF_ALL & ~IRF_C);
    ir_block_free(b);
}

Test(ir, dump_shows_names_sizes_flags)
{
    struct ir_block *b = fresh();
    char *text = NULL;
    size_t n = 0;
    FILE *f = open_memstream(&text, &n);
    uint16_t l = ir_label(b);
    ir_val t = ir_temp(b);

    ir_insn(b, 0x12, 3);
    ir_emit_imm(b, IR_ADD, 4, G1, G2, -5)->wf = IRF_C | IRF_Z;
    ir_lea(b, 8, t, G1, G2, 2, 16);
    ir_brcc(b, IRC_NZ, l);
    ir_set_label(b, l);
    ir_dump(b, f);
    fclose(f);
    cr_assert(strstr(text, "---- +0x12 len=3"), "%s", text);
    cr_assert(strstr(text, "add.4"), "%s", text);
    cr_assert(strstr(text, "g1, g2, $-0x5"), "%s", text);
    cr_assert(strstr(text, "wf=CZ"), "%s", text);
    cr_assert(strstr(text, "t0, g1, g2<<2 $0x10"), "%s", text);
    cr_assert(strstr(text, "brcc.nz"), "%s", text);
    cr_assert(strstr(text, "L0:"), "%s", text);
    free(text);
    ir_block_free(b);
}
