/* verify.c - one broken block for each rule */
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

/* what the verifier says of @b must contain @part; @b is freed */
static void expect(struct ir_block *b, const char *part)
{
    const char *why = ir_verify(b);

    if (!part)
        cr_assert_null(why, "%s", why);
    else
        cr_assert(why && strstr(why, part), "wanted '%s', got '%s'", part, why ? why : "nothing");
    ir_block_free(b);
}

Test(verify, good_block)
{
    struct ir_block *b = fresh();
    uint16_t l = ir_label(b);

    ir_insn(b, 0, 2);
    ir_brcc(b, IRC_Z, l);
    ir_emit_imm(b, IR_GOTO_TB, 0, IR_NONE, IR_NONE, 2)->aux = 0;
    ir_set_label(b, l);
    ir_emit_imm(b, IR_GOTO_TB, 0, IR_NONE, IR_NONE, 9)->aux = 1;
    expect(b, NULL);
}

Test(verify, sizes)
{
    struct ir_block *b = fresh();
    ir_emit(b, IR_ADD, 3, G0, G0, G1);
    end(b);
    expect(b, "illegal size");

    b = fresh();
    ir_lea(b, 2, G0, G1, IR_NONE, 0, 1);
    end(b);
    expect(b, "illegal size");

    b = fresh();
    ir_emit(b, IR_SEXT, 4, G0, G1, IR_NONE);
    end(b);
    expect(b, "source size");
}

Test(verify, operands)
{
    struct ir_block *b = fresh();
    ir_emit(b, IR_ADD, 4, G0, G0, IR_NONE);
    end(b);
    expect(b, "input missing");

    b = fresh();
    ir_emit(b, IR_NOT, 4, G0, G0, G1);
    end(b);
    expect(b, "does not have");

    b = fresh();
    ir_emit(b, IR_ADD, 4, G0, IR_IMM, G1);
    end(b);
    expect(b, "immediate");

    b = fresh();
    ir_mov(b, 8, 300, G0);
    end(b);
    expect(b, "out of range");

    b = fresh();
    ir_emit(b, IR_CMP, 4, G0, G0, G1);
    end(b);
    expect(b, "does not have");
}

Test(verify, temps_are_written_first)
{
    struct ir_block *b = fresh();
    ir_val t = ir_temp(b);

    ir_mov(b, 8, G0, t);
    end(b);
    expect(b, "before it is written");
}

Test(verify, labels)
{
    struct ir_block *b = fresh();
    uint16_t l = ir_label(b);
    ir_br(b, l);
    expect(b, "not placed");

    b = fresh();
    l = ir_label(b);
    ir_set_label(b, l);
    ir_set_label(b, l);
    end(b);
    expect(b, "placed twice");

    b = fresh();
    ir_brcc(b, IRC_Z, 5);
    end(b);
    expect(b, "label out of range");
}

Test(verify, ends)
{
    struct ir_block *b = fresh();
    ir_mov(b, 8, G0, G1);
    expect(b, "does not end");

    b = fresh();
    end(b);
    ir_mov(b, 8, G0, G1);
    end(b);
    expect(b, "after the block's end");

    expect(fresh(), "counts");
}

Test(verify, slots_and_fields)
{
    struct ir_block *b = fresh();
    uint16_t l = ir_label(b);
    ir_brcc(b, IRC_Z, l);
    ir_emit_imm(b, IR_GOTO_TB, 0, IR_NONE, IR_NONE, 2);
    ir_set_label(b, l);
    ir_emit_imm(b, IR_GOTO_TB, 0, IR_NONE, IR_NONE, 9);
    expect(b, "slot used twice");

    b = fresh();
    ir_lde(b, 8, G0, sizeof(struct rig_cpu) - 4);
    end(b);
    expect(b, "outside the CPU struct");

    b = fresh();
    ir_emit_imm(b, IR_VEC, 8, IR_NONE, IR_NONE, 0);
    end(b);
    expect(b, "vector description");

    b = fresh();
    l = ir_label(b);
    ir_brcmp(b, IRC_S, 4, G0, G1, l);
    ir_set_label(b, l);
    end(b);
    expect(b, "does not compare");
}
