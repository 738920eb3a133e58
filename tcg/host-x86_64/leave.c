/*
 * leave.c - between a block that is left and what comes next: F that is owed, exceptions
 * that are delivered at once. Built with -mgeneral-regs-only, as vecstate.c.
 */
#include "tcg/host-x86_64/gen-int.h"
#include "tcg/interp-int.h"

static uint64_t operand_now(const struct tcg_cpu *cpu, unsigned g)
{
    if (g == LAZY_KEPT)
        return cpu->f_operand;
    return ldl64((const uint8_t *)cpu + cpu->tcg->target->globals[g].offset);
}

void flags_pay(struct tcg_cpu *cpu)
{
    uint32_t code = without_mark(cpu->fl);
    unsigned size = 1u << (code >> 26 & 3);
    uint64_t d, b, mask = size_mask(size);

    if (likely(!(cpu->fl & FL_OWED)))
        return;
    d = operand_now(cpu, code >> 21 & 31) & mask;
    b = code >> LAZY_K_BITS & 1 ? (uint64_t)sext_bits(code, LAZY_K_BITS) : operand_now(cpu, code & 31);
    b &= mask;
    switch (code >> 28 & 7) {
    case REC_CMP: cpu->fl = fl_sub(size, d, b, 0); break;
    case REC_TEST: cpu->fl = fl_szp(size, d & b); break;
    case REC_RESULT: cpu->fl = fl_szp(size, d); break;
    case REC_ADD: cpu->fl = fl_add(size, (d - b) & mask, b, 0); break;
    case REC_SUB: cpu->fl = fl_sub(size, (d + b) & mask, b, 0); break;
    default: cpu->fl = fl_sub(size, 0, -d & mask, 0); break;     /* NEG */
    }
}

const uint8_t *leave_exception(struct tcg_cpu *cpu)
{
    flags_pay(cpu);
    return exec_deliver(cpu);
}
