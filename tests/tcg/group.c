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

/* GRP_* of the memory operations, in order: '.', 'L' or 'W', 'U' */
static void groups_are_of(struct ir_block *b, const char *want)
{
    char got[40] = "";
    unsigned n = 0;

    ir_emit_imm(b, IR_EXIT, 0, IR_NONE, IR_NONE, 0);
    ir_group(b);
    cr_assert_null(ir_verify(b), "%s", ir_verify(b));
    for (unsigned i = 0; i < b->n_ops && n + 1 < sizeof(got); i++)
        if (ir_op_attr(&b->ops[i]) & IRA_MEM)
            got[n++] = ".ULW"[b->ops[i].grp];
    cr_assert_str_eq(got, want);
}

static void groups_are(struct ir_block *b, const char *want)
{
    groups_are_of(b, want);
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
    cr_assert_eq(op->a, G0);
    cr_assert_eq(op->disp, 16);
    cr_assert_eq(op->span_lo, -8);
    cr_assert_eq(op->span_hi, 24);
    op = &b->ops[5];
    cr_assert_eq(op->a, G0);
    cr_assert_eq(op->disp, -8);
    cr_assert_eq(op->c, b->ops[2].e);
    ir_block_free(b);
}

/* Where all of it begins in a register, the leader looks that up, */
Test(group, leader_from_where_the_group_begins)
{
    struct ir_block *b = fresh();
    const struct ir_op *op;

    access(b, false, G0, 16, G1);
    access(b, false, G0, 0, G2);
    access(b, false, G0, 24, G3);
    ir_emit_imm(b, IR_EXIT, 0, IR_NONE, IR_NONE, 0);
    ir_group(b);
    op = &b->ops[2];
    cr_assert_eq(op->a, G0);
    cr_assert_eq(op->disp, 16);
    cr_assert_eq(op->span_lo, 0);
    cr_assert_eq(op->span_hi, 32);
    cr_assert_null(ir_verify(b), "%s", ir_verify(b));
    ir_block_free(b);
}

/* but not when its own access is farther away than the slow path can tell, */
Test(group, leader_too_far_from_where_the_group_begins)
{
    struct ir_block *b = fresh();

    access(b, false, G0, 32, G1);
    access(b, false, G0, 0, G2);
    ir_emit_imm(b, IR_EXIT, 0, IR_NONE, IR_NONE, 0);
    ir_group(b);
    cr_assert_neq(b->ops[2].a, G0);
    cr_assert_eq(b->ops[2].disp, 0);
    cr_assert_eq(b->ops[2].span_lo, -32);
    ir_block_free(b);
}

/* which it may turn out to be later. */
Test(group, leader_too_far_after_all)
{
    struct ir_block *b = fresh();

    access(b, false, G0, 100, G1);
    access(b, false, G0, 108, G2);
    access(b, false, G0, 60, G3);
    ir_emit_imm(b, IR_EXIT, 0, IR_NONE, IR_NONE, 0);
    ir_group(b);
    cr_assert_eq(b->ops[2].a, b->ops[1].d);
    cr_assert_eq(b->ops[2].disp, 0);
    cr_assert_eq(b->ops[2].span_lo, -40);
    cr_assert_eq(b->ops[2].span_hi, 16);
    ir_block_free(b);
}

/* g0 = g0->next: what is loaded beside it before comes second, what is loaded behind it is of another group. */
Test(group, loads_beside_the_next_pointer)
{
    struct ir_block *b = fresh();
    unsigned at[5];

    for (unsigned i = 0; i < ARRAY_SIZE(at); i++) {
        access(b, false, G0, i == 2 ? 0 : 8, i == 2 ? G0 : (ir_val)(G1 + i));
        at[i] = b->n_ops - 1;
    }
    groups_are_of(b, "LUULU");
    for (unsigned i = 0; i < ARRAY_SIZE(at); i++)
        cr_assert_eq(b->ops[at[i]].gives_way, i < 2, "%u", i);
    ir_block_free(b);
}

Test(group, too_far_apart)
{
    struct ir_block *b = fresh();

    access(b, false, G0, 0, G1);
    access(b, false, G0, 505, G2);
    groups_are(b, "..");
}

Test(group, a_load_leads_stores)
{
    struct ir_block *b = fresh();

    access(b, false, G0, 0, G1);
    access(b, true, G0, 8, G2);
    access(b, false, G0, 16, G3);
    groups_are(b, "WUU");
}

/* it may never be executed, and the page never become writable */
Test(group, a_load_does_not_lead_a_store_behind_an_exit)
{
    struct ir_block *b = fresh();

    access(b, false, G0, 0, G1);
    ir_leavecc(b, IRC_Z, 0x40, TB_SIDE_LINK);
    access(b, true, G0, 8, G2);
    access(b, false, G0, 16, G3);
    groups_are(b, ".LU");
}

Test(group, other_addresses_do_not_end_it)
{
    struct ir_block *b = fresh();

    access(b, false, G0, 0, G1);
    access(b, false, G2, 0, G5);
    access(b, false, G3, 0, G5);
    access(b, false, G4, 0, G5);
    access(b, false, G0, 8, G5);
    groups_are(b, "L...U");
}

/* [a + b * 4 + disp] as its own instruction */
static void indexed(struct ir_block *b, ir_val base, ir_val index, unsigned sc, int64_t disp)
{
    ir_val t = ir_temp(b);

    ir_insn(b, b->n_ops, 1);
    ir_lea(b, 8, t, base, index, sc, disp);
    ir_ld(b, 8, G5, t);
}

Test(group, sums_of_the_same_values)
{
    struct ir_block *b = fresh();

    indexed(b, G0, G1, 2, 0);
    indexed(b, G0, G1, 2, 8);
    indexed(b, G0, G1, 3, 16);          /* another scale */
    ir_lea(b, 8, G1, G1, IR_NONE, 0, 4);
    indexed(b, G0, G1, 2, 8);           /* 16 more: still in the span */
    groups_are(b, "LU.U");
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
    const struct ir_op *op;

    access(b, false, G6, 0, G1);       /* not pinned: the follower goes by its own address */
    access(b, false, G6, 8, G2);
    ir_emit_imm(b, IR_EXIT, 0, IR_NONE, IR_NONE, 0);
    ir_group(b);
    op = &b->ops[5];
    cr_assert_eq(op->grp, GRP_USE);
    cr_assert_geq(op->a, RIG_GLOBALS);
    cr_assert_eq(op->disp, 0);
    ir_block_free(b);
}

/* A page that may be read but not written: the load is done, the store by the slow path. */
Test(group, a_load_that_leads_reads_a_page_that_is_not_in_the_map_of_writes)
{
    struct rig *r = rig_new();
    uint64_t *regs = r->cpu->tcg.regs, v;

    stl64(r->ram + 0x3000, 0x1234);
    regs[0] = 0x3000;
    regs[2] = 0x77;
    cr_assert(tcg_load(&r->cpu->tcg, 0x3000, 8, &v));   /* the map of reads alone knows it */
    access(r->b, false, G0, 0, G1);
    access(r->b, true, G0, 8, G2);
    ir_group(r->b);
    rig_run(r);
    cr_assert_eq(regs[1], 0x1234);
    cr_assert_eq(ldl64(r->ram + 0x3008), 0x77);
    rig_free(r);
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

/* @n accesses relative to the program counter's page, at these places: their marks, 'I' or '.', and groups */
static void marks_are(const int64_t *at, unsigned n, const char *want)
{
    struct ir_block *b = fresh();
    char got[40] = "";
    unsigned k = 0;

    for (unsigned i = 0; i < n; i++) {
        ir_val t = ir_temp(b);

        ir_insn(b, b->n_ops, 1);
        ir_lde(b, 8, t, offsetof(struct tcg_cpu, pcbase));
        ir_lea(b, 8, t, t, IR_NONE, 0, at[i]);
        ir_ld(b, 8, G0, t);
    }
    ir_emit_imm(b, IR_EXIT, 0, IR_NONE, IR_NONE, 0);
    ir_group(b);
    cr_assert_null(ir_verify(b), "%s", ir_verify(b));
    for (unsigned i = 0; i < b->n_ops; i++)
        if (b->ops[i].opc == IR_LD) {
            got[k++] = b->ops[i].carry == CARRY_INSIDE ? 'I' : '.';
            got[k++] = ".ULW"[b->ops[i].grp];
        }
    cr_assert_str_eq(got, want);
    ir_block_free(b);
}

Test(group, relative_to_the_program_counter)
{
    marks_are((int64_t[]){ 0x10 }, 1, "I.");
    marks_are((int64_t[]){ 0xff8, 0x1000 }, 2, "I.I.");         /* side by side, but two pages */
    marks_are((int64_t[]){ 0xff9 }, 1, "..");
    marks_are((int64_t[]){ 0x2f00, 0x2f10, 0x2ff8, 0x2ff9 }, 4, "IL.U.U..");
    marks_are((int64_t[]){ -8, -16, -4097, -4096 }, 4, "IL.U..I.");
}
