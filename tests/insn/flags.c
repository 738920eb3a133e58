/*
 * flags.c - flags that instructions leave undefined
 *
 * Source: Intel SDM vol. 2, "Flags Affected" of each instruction.
 */
#include "tests/insn/insn.h"

static const struct { const char *name; uint32_t mask; } undefined[] = {
    { "AND", EF_AF }, { "OR", EF_AF }, { "XOR", EF_AF }, { "TEST", EF_AF },
    { "ANDN", EF_AF | EF_PF },
    { "MUL", EF_ARITH & ~(EF_CF | EF_OF) }, { "IMUL", EF_ARITH & ~(EF_CF | EF_OF) },
    { "DIV", EF_ARITH }, { "IDIV", EF_ARITH },
    { "BSF", EF_ARITH & ~EF_ZF }, { "BSR", EF_ARITH & ~EF_ZF },
    { "BT", EF_ARITH & ~(EF_CF | EF_ZF) }, { "BTS", EF_ARITH & ~(EF_CF | EF_ZF) },
    { "BTR", EF_ARITH & ~(EF_CF | EF_ZF) }, { "BTC", EF_ARITH & ~(EF_CF | EF_ZF) },
    { "TZCNT", EF_ARITH & ~(EF_CF | EF_ZF) }, { "LZCNT", EF_ARITH & ~(EF_CF | EF_ZF) },
    { "BLSR", EF_AF | EF_PF }, { "BLSMSK", EF_AF | EF_PF }, { "BLSI", EF_AF | EF_PF },
    { "BZHI", EF_AF | EF_PF }, { "BEXTR", EF_AF | EF_PF | EF_SF },
    { "DAA", EF_OF }, { "DAS", EF_OF },
    { "AAA", EF_ARITH & ~(EF_AF | EF_CF) }, { "AAS", EF_ARITH & ~(EF_AF | EF_CF) },
    { "AAM", EF_OF | EF_AF | EF_CF }, { "AAD", EF_OF | EF_AF | EF_CF },
};
enum { SHIFT_ROL = 3, SHIFT_ROR, SHIFT_RCL, SHIFT_RCR };
static const char *const shifts[] = { "SHL", "SHR", "SAR", "ROL", "ROR", "RCL", "RCR", "SHLD", "SHRD" };

/* A row's line in both tables, or -1; found once a row, names are slow to compare. */
struct lines {
    bool known;
    int8_t undefined, shift;
};

static struct lines find_lines(const char *name)
{
    struct lines l = { true, -1, -1 };

    for (unsigned i = 0; i < ARRAY_SIZE(undefined); i++)
        if (!strcmp(name, undefined[i].name))
            l.undefined = (int8_t)i;
    for (unsigned i = 0; i < ARRAY_SIZE(shifts); i++)
        if (!strcmp(name, shifts[i]))
            l.shift = (int8_t)i;
    return l;
}

static struct lines lines(const struct x86_row *r)
{
    static struct lines known[4096];
    size_t i = (size_t)(r - x86_rows);

    if (i >= ARRAY_SIZE(known))
        return find_lines(r->name);
    if (!known[i].known)
        known[i] = find_lines(r->name);
    return known[i];
}

static bool by_cl(const struct x86_insn *in)
{
    return opnd_kind(in->row->b) == K_C || (in->map == 1 && (in->opcode == 0xa5 || in->opcode == 0xad));
}

static uint32_t shift_undefined(const struct x86_insn *in, int kind, int count)
{
    unsigned bits = 8 * opnd_bytes(in, in->row->dst);

    count &= bits == 64 ? 63 : 31;
    if (!count)
        return 0;
    if (kind >= 3 && kind < 7)             /* rotates */
        return count == 1 ? 0 : EF_OF;
    if (kind >= 7 && (unsigned)count > bits)
        return EF_ARITH;
    return EF_AF | (count == 1 ? 0 : EF_OF) | ((unsigned)count >= bits ? EF_CF : 0);
}

uint32_t flags_undefined(const struct x86_insn *in, int cl)
{
    struct lines l = lines(in->row);
    int kind = l.shift;
    uint32_t all = 0;

    if (l.undefined >= 0)
        return undefined[l.undefined].mask;
    if (kind < 0)
        return 0;
    if (opnd_kind(in->row->b) == K_One)
        return shift_undefined(in, kind, 1);
    if (!by_cl(in))
        return shift_undefined(in, kind, (int)in->imm);
    if (cl >= 0)
        return shift_undefined(in, kind, cl);
    for (int n = 0; n < 64; n++)
        all |= shift_undefined(in, kind, n);
    return all;
}

/* Register and memory forms of the same rotate leave different ones. */
uint32_t flags_unsettled(const struct x86_insn *in)
{
    int kind = lines(in->row).shift;
    unsigned mask = opnd_bytes(in, in->row->dst) == 8 ? 63 : 31;

    if (kind != SHIFT_ROL && kind != SHIFT_ROR)
        return 0;
    if (opnd_kind(in->row->b) == K_One || (!by_cl(in) && (in->imm & mask) <= 1))
        return 0;
    return EF_OF;
}

static uint32_t to_eflags(unsigned f)
{
    return (f & IRF_C ? EF_CF : 0) | (f & IRF_P ? EF_PF : 0) | (f & IRF_A ? EF_AF : 0) |
           (f & IRF_Z ? EF_ZF : 0) | (f & IRF_S ? EF_SF : 0) | (f & IRF_O ? EF_OF : 0);
}

uint32_t flags_read(const struct x86_insn *in)
{
    if (ROW_HAS(in->row, PLUSC))
        return to_eflags(ir_cc_flags(in->opcode & 15));
    return to_eflags(in->row->rf);
}

/* RCL and RCR of bytes and words: so many bits leave everything as it was */
static int whole_turn(const struct x86_insn *in)
{
    int kind = lines(in->row).shift;
    unsigned bytes = opnd_bytes(in, in->row->dst);

    return (kind == SHIFT_RCL || kind == SHIFT_RCR) && bytes <= 2 ? (int)bytes * 8 + 1 : 64;
}

uint32_t flags_written(const struct x86_insn *in)
{
    if (lines(in->row).shift >= 0) {
        unsigned mask = opnd_bytes(in, in->row->dst) == 8 ? 63 : 31;
        if (by_cl(in) || (opnd_kind(in->row->b) != K_One && !((in->imm & mask) % whole_turn(in))))
            return 0;
    }
    if (in->prefixes & (PFX_REP | PFX_REPNE) && ROW_HAS(in->row, REPOK))
        return 0;
    return to_eflags(in->row->wf);
}
