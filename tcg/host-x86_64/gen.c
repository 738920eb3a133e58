/*
 * gen.c - IR to x86-64 code, one operation at a time
 *
 * Flags protocol of an operation: first whatever must happen to F (flags_clobber,
 * flags_load), then operands (which may only move, never compute), then the host
 * instruction, then flags_set() when EFLAGS became F.
 */
#define _GNU_SOURCE
#include "tcg/host-x86_64/gen-int.h"
#include "tcg/ir-int.h"

static bool recipe_loses(const struct gen *g, uint32_t written) { return written & g->rec_globals && g->rec.kind != REC_NONE; }

void gen_op(struct gen *g, const struct ir_op *op)
{
    uint32_t written = ir_global_bit(op->d) | ir_global_bit(op->e);

    g->op = op;
    g->rec_new = false;
    if (recipe_loses(g, written))
        flags_guard(g, op);
    switch (op->opc) {
    case IR_MOV: gen_mov(g, op); break;
    case IR_ZEXT: gen_zext(g, op); break;
    case IR_SEXT: gen_sext(g, op); break;
    case IR_EXTH: gen_exth(g, op); break;
    case IR_DEPH: gen_deph(g, op); break;
    case IR_LEA: gen_lea(g, op); break;
    case IR_BSWAP: gen_bswap(g, op); break;
    case IR_ADD: case IR_SUB: case IR_AND: case IR_OR: case IR_XOR: case IR_ADC: case IR_SBB:
        gen_alu(g, op); break;
    case IR_CMP: case IR_TEST: gen_cmp(g, op); break;
    case IR_INC: case IR_DEC: case IR_NEG: case IR_NOT: gen_unary(g, op); break;
    case IR_IMUL: gen_imul(g, op); break;
    case IR_MULU: case IR_MULS: gen_mul(g, op); break;
    case IR_MULX: gen_mulx(g, op); break;
    case IR_DIVU: case IR_DIVS: gen_div(g, op); break;
    case IR_SHL: case IR_SHR: case IR_SAR: case IR_ROL: case IR_ROR: case IR_RCL: case IR_RCR:
        gen_shift(g, op); break;
    case IR_SHLD: case IR_SHRD: gen_shiftd(g, op); break;
    case IR_BT: case IR_BTS: case IR_BTR: case IR_BTC: gen_bt(g, op); break;
    case IR_BSF: case IR_BSR: gen_bsf(g, op); break;
    case IR_TZCNT: gen_rrm(g, op, XF3 | X0F | 0xbc, false); break;
    case IR_LZCNT: gen_rrm(g, op, XF3 | X0F | 0xbd, false); break;
    case IR_POPCNT: gen_rrm(g, op, XF3 | X0F | 0xb8, false); break;
    case IR_ANDN: case IR_BLSR: case IR_BLSMSK: case IR_BLSI: case IR_BEXTR: case IR_BZHI:
    case IR_PDEP: case IR_PEXT: gen_bmi(g, op); break;
    case IR_CRC32C: gen_crc32(g, op); break;
    case IR_ADCX: case IR_ADOX: gen_addx(g, op); break;
    case IR_SETCC: gen_setcc(g, op); break;
    case IR_CMOV: gen_cmov(g, op); break;
    case IR_GETF: gen_getf(g, op); break;
    case IR_SETF: gen_setf(g, op); break;
    case IR_CLC: case IR_STC: case IR_CMC: gen_carry(g, op); break;
    case IR_LD: case IR_LDS: case IR_LDM: case IR_LDW: gen_ld(g, op); break;
    case IR_ST: gen_st(g, op); break;
    case IR_RMW: gen_rmw(g, op); break;
    case IR_XCHGM: case IR_XADDM: gen_xchg(g, op); break;
    case IR_CMPXCHG: gen_cmpxchg(g, op); break;
    case IR_FENCE:
        e8(&g->c, 0x0f); e8(&g->c, 0xae); e8(&g->c, 0xf0);
        break;
    case IR_VEC: gen_vec(g, op); break;
    case IR_CALL: gen_call(g, op); break;
    case IR_LDE: gen_lde(g, op); break;
    case IR_STE: gen_ste(g, op); break;
    case IR_NOTE: gen_note(g, op); break;
    case IR_LABEL:
        if (op > g->b->ops && !(ir_op_attr(op - 1) & IRA_END) && op[-1].opc != IR_BR)
            settle(g);
        else
            vals_at_label(g);
        gen_label(g, op);
        break;
    case IR_BR:
        settle(g);
        branch_to(g, jmp32(&g->c), op->label);
        break;
    case IR_BRCC: gen_brcc(g, op); break;
    case IR_BRCMP: gen_brcmp(g, op); break;
    case IR_LEAVECC: gen_leavecc(g, op); break;
    case IR_GOTO_TB: gen_goto_tb(g, op); break;
    case IR_RETURNS: gen_returns(g, op); break;
    case IR_GOTO_PC: gen_goto_pc(g, op); break;
    case IR_EXIT: case IR_EXIT_PC: gen_exit(g, op); break;
    default: assert(!"unknown IR operation");
    }
    if (!g->rec_new && recipe_loses(g, written))
        g->rec.kind = REC_NONE;
    vals_die(g, op);
}
