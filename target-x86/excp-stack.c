/*
 * excp-stack.c - #SS or #GP for a non-canonical address
 *
 * Generated code does not carry along through which segment it accesses memory:
 * in 64-bit code that matters only for the vector of this fault. So the
 * instruction is decoded again when it has faulted.
 * Source: Intel SDM vol. 3, 6.15, "Stack Fault Exception (#SS)".
 */
#include "target-x86/decode-int.h"
#include "target-x86/system-int.h"

#define NEAR_RSP 0x10000u   /* what a push, a pop or ENTER may be away from RSP */

static unsigned fetch(struct x86_cpu *cpu, uint8_t bytes[15])
{
    uint64_t pc = cpu->seg[S_CS].base + cpu->tcg.pc;
    unsigned n = 0;
    gpa_t gpa;

    while (n < 15 && x86_debug_walk(cpu, pc + n, &gpa))
        bytes[n++] = tcg_phys_load(&cpu->tcg, gpa, 1);
    return n;
}

/* Instructions that access the stack besides what ModRM says. */
static bool uses_stack(const struct x86_insn *in)
{
    unsigned op = in->opcode, reg = in->modrm >> 3 & 7;

    if (in->map == 1)                   /* PUSH, POP FS and GS */
        return op == 0xa0 || op == 0xa1 || op == 0xa8 || op == 0xa9;
    if (in->map != 0)
        return false;
    switch (op) {
    case 0x50 ... 0x5f: case 0x68: case 0x6a: case 0x8f: case 0x9c: case 0x9d:
    case 0xc2: case 0xc3: case 0xc8: case 0xc9: case 0xca: case 0xcb: case 0xcf: case 0xe8:
        return true;
    case 0xff:                          /* CALL, CALL far, PUSH */
        return reg == 2 || reg == 3 || reg == 6;
    default:
        return false;
    }
}

bool x86_stack_access(struct x86_cpu *cpu, uint64_t va)
{
    struct x86_insn in;
    uint8_t bytes[15];

    if (!x86_code64(cpu) || !x86_decode(bytes, fetch(cpu, bytes), 64, &in))
        return false;
    if (in.mem && in.base != REGNO_NONE && in.seg < S_FS &&
        (in.base == R_SP || in.base == R_BP))
        return true;
    if (!uses_stack(&in))
        return false;
    return !in.mem || va - GPR(cpu, R_SP) + NEAR_RSP < 2 * NEAR_RSP;
}
