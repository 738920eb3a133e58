/* group.c - which accesses share an address translation; a chain of pushes still does what it did */
#include "tests/tcg/rig.h"

static struct ir_block *fresh(void)
{
    struct ir_block *b = ir_block_new();

    ir_begin(b, &rig_target);
    return b;
}

/* an instruction: [base + disp], 8 bytes, to or from @v */
static struct ir_op *access(struct ir_block *b, bool write, ir_val base, int64_t disp, ir_val v)
{
    ir_val t = ir_temp(b);

    ir_insn(b, b->n_ops, 1);
    ir_lea(b, 8, t, base, IR_NONE, 0, disp);
    return write ? ir_st(b, 8, t, v) : ir_ld(b, 8, v, t);
}

/* GRP_* of the memory operations, in order: '.', 'L', 'U' */
static void groups_are(struct ir_block *b, const char *want)
{
    char got[40] = "";
    unsigned n = 0;

    ir_emit_imm(b, IR_EXIT, 0, IR_NONE, IR_NONE, 0);
    ir_group(b);
    cr_assert_null(ir_verify(b), "%s", ir_verify(b));
    for (unsigned i = 0; i < b->n_ops && n + 1 < sizeof(got); i++)
        if (ir_op_info(b->ops[i].opc)->attr & IRA_MEM)
            got[n++] = ".LU"[b->ops[i].grp];
    cr_assert_str_eq(got, want);
    ir_block_free(b);
}

Test(group, fields_of_one_register)
{
    struct ir_block *b = fresh();

    access(b, false, G0, 0, G1);
    access(b, false, G0, 8, G2);
    access(b, false, G0, 504, G3);
    groups_are(b, "LUU");
}

Test(group, span_and_displacements)
{
    struct ir_block *b = fresh();
    const struct ir_op *op;

    access(b, false, G0, 16, G1);
    access(b, false, G0, -8, G2);
    ir_emit_imm(b, IR_EXIT, 0, IR_NONE, IR_NONE, 0);
    ir_group(b);
    op = &b->ops[2];
    cr_assert_eq(op->span_lo, -24);
    cr_assert_eq(op->span_hi, 8);
    op = &b->ops[5];
    cr_assert_eq(op->a, G0);
    cr_assert_eq(op->disp, -8);
    cr_assert_eq(op->c, b->ops[2].e);
    ir_block_free(b);
}

Test(group, too_far_apart)
{
    struct ir_block *b = fresh();

    access(b, false, G0, 0, G1);
    access(b, false, G0, 505, G2);
    groups_are(b, "..");
}

Test(group, a_write_cannot_use_what_a_read_found)
{
    struct ir_block *b = fresh();

    access(b, false, G0, 0, G1);
    access(b, true, G0, 8, G2);
    access(b, false, G0, 16, G3);
    groups_are(b, ".LU");
}

Test(group, only_the_first_access_of_an_instruction_leads)
{
    struct ir_block *b = fresh();

    access(b, false, G0, 0, G1);
    ir_st(b, 8, G2, G1);               /* still the same instruction */
    access(b, true, G2, 8, G1);
    access(b, true, G2, 16, G1);
    groups_are(b, "..LU");
}

Test(group, no_more_leaders_than_exits)
{
    struct ir_block *b = fresh();
    char want[40] = "";

    for (unsigned i = 0; i < TB_LINKS - TB_SIDE_LINK + 2; i++) {
        access(b, true, G0, (int64_t)i * 1024, G1);
        access(b, true, G0, (int64_t)i * 1024 + 8, G1);
        strcat(want, i < TB_LINKS - TB_SIDE_LINK ? "LU" : "..");
    }
    groups_are(b, want);
}

Test(group, another_value_of_the_register)
{
    struct ir_block *b = fresh();

    access(b, false, G0, 0, G0);
    access(b, false, G0, 8, G1);
    groups_are(b, "..");
}

Test(group, a_moved_register_is_the_same_value)
{
    struct ir_block *b = fresh();

    access(b, true, G0, -8, G1);
    ir_lea(b, 8, G0, G0, IR_NONE, 0, -8);
    access(b, true, G0, -8, G2);
    groups_are(b, "LU");
}

Test(group, register_in_memory_is_no_base)
{
    struct ir_block *b = fresh();

    access(b, false, G6, 0, G1);       /* not pinned */
    access(b, false, G6, 8, G2);
    groups_are(b, "..");
}

static uint64_t helper(struct tcg_cpu *cpu, uint64_t a, uint64_t b, uint64_t c) { return 0; }

Test(group, ends_at_calls_and_labels)
{
    struct ir_block *b = fresh();
    uint16_t l = ir_label(b);

    access(b, false, G0, 0, G1);
    ir_call(b, helper, 0, IR_NONE, G0, IR_NONE, IR_NONE);
    access(b, false, G0, 8, G2);
    ir_brcc(b, IRC_Z, l);
    access(b, false, G0, 16, G3);
    ir_set_label(b, l);
    access(b, false, G0, 24, G4);
    groups_are(b, ".LU.");
}

Test(group, locked_ones_stand_alone)
{
    struct ir_block *b = fresh();
    struct ir_op *op;

    access(b, true, G0, 0, G1);
    op = ir_emit(b, IR_RMW, 8, IR_NONE, G0, G2);
    op->rmw = IRM_ADD;
    op->lock = true;
    groups_are(b, "..");
}

Test(group, not_where_addresses_wrap)
{
    struct ir_block *b = fresh();

    b->pc32 = true;
    access(b, false, G0, 0, G1);
    access(b, false, G0, 8, G2);
    groups_are(b, "..");
}

Test(group, pushes_over_a_page_end)
{
    struct rig *r = rig_new();
    uint64_t *regs = r->cpu->tcg.regs;

    regs[0] = 0x2010;
    for (unsigned i = 1; i < 5; i++) {
        regs[i] = 0x1111 * i;
        access(r->b, true, G0, -8, (ir_val)i);
        ir_lea(r->b, 8, G0, G0, IR_NONE, 0, -8);
    }
    ir_group(r->b);
    rig_run(r);
    cr_assert_eq(regs[0], 0x1ff0);
    for (unsigned i = 1; i < 5; i++)
        cr_assert_eq(ldl64(r->ram + 0x2010 - 8 * i), 0x1111 * i);
    rig_free(r);
}
