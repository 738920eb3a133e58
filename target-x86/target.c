/*
 * target.c - x86 as the translator sees it: its registers and its hooks
 *
 * Built with -mgeneral-regs-only: the raise hooks run while the host's vector
 * registers hold the guest's.
 */
#include "target-x86/system-int.h"
#include "trace/format.h"

#define REG(n) CPU_REG_OFF + 8 * (n)
#define CPU_REG_OFF offsetof(struct x86_cpu, tcg.regs)

/* by register number; pins: the registers that compilers use most come first */
static const struct tcg_global globals[G_COUNT] = {
    { "rax", REG(0), 0 },   { "rcx", REG(1), 1 },   { "rdx", REG(2), 2 },  { "rbx", REG(3), 6 },
    { "rsp", REG(4), 3 },   { "rbp", REG(5), 7 },   { "rsi", REG(6), 5 },  { "rdi", REG(7), 4 },
    { "r8", REG(8), 8 },    { "r9", REG(9), -1 },   { "r10", REG(10), -1 }, { "r11", REG(11), -1 },
    { "r12", REG(12), 9 },  { "r13", REG(13), 10 }, { "r14", REG(14), 11 }, { "r15", REG(15), -1 },
};

/* Whether it was the stack segment, and the vector #SS, is found out on delivery. */
static void canonical_fault(struct tcg_cpu *tc, uint64_t va, enum tcg_access acc)
{
    struct x86_cpu *cpu = X86(tc);

    if (tc->exception)
        return;
    x86_raise_err(cpu, EXC_GP, 0);
    cpu->exc_canon = acc != ACC_EXEC;
    cpu->exc_cr2 = va;
}

static bool branch_fault(struct tcg_cpu *tc, int popped)
{
    struct x86_cpu *cpu = X86(tc);

    if (x86_canonical(tc->pc))
        return false;
    GPR(cpu, R_SP) -= (uint64_t)(int64_t)popped;
    x86_raise_err(cpu, EXC_GP, 0);
    return true;
}

static void raise_divide(struct tcg_cpu *tc)
{
    x86_raise(X86(tc), EXC_DE);
}

/*
 * CR0.NE = 0: FERR# goes out and the instruction waits for IRQ 13, that is, it
 * is executed again after the run loop has looked at interrupts.
 */
static void raise_x87(struct x86_cpu *cpu)
{
    x87_latch(cpu);
    if (cpu->cr0 & CR0_NE) {
        x86_raise(cpu, EXC_MF);
        return;
    }
    cpu->ferr_pending = true;
    if (cpu->bus && cpu->bus->set_ferr)
        cpu->bus->set_ferr(cpu->bus->opaque, 1);
}

static void raise_fp(struct tcg_cpu *tc, bool x87)
{
    struct x86_cpu *cpu = X86(tc);

    if (x87)
        raise_x87(cpu);
    else
        x86_raise(cpu, cpu->cr4 & CR4_OSXMMEXCPT ? EXC_XM : EXC_UD);
}

static void raise_align(struct tcg_cpu *tc)
{
    x86_raise_err(X86(tc), EXC_GP, 0);
}

static unsigned disas_bits(const struct tb_key *k)
{
    return 16u << (k->mode & MODE_CODE_MASK);
}

static unsigned trace_mode(uint32_t mode)
{
    unsigned cpl = mode & (MODE_CPL3 | MODE_VM86) ? 3 : mode & MODE_CPL12 ? 1 : 0;

    return (mode & MODE_CODE_MASK) | cpl << TRACE_MODE_CPL;
}

const struct tcg_target x86_target = {
    .name = "x86",
    .n_globals = G_COUNT,
    .globals = globals, .stack = G_RSP + 1,
    .cpu_size = sizeof(struct x86_cpu),
    .translate = x86_translate,
    .get_key = x86_get_key,
    .walk = x86_walk,
    .string = { G_RCX, G_RSI, G_RDI, G_RAX, offsetof(struct x86_cpu, df) },
    .branch_fault = branch_fault, .canonical_fault = canonical_fault,
    .raise_divide = raise_divide,
    .raise_fp = raise_fp,
    .raise_align = raise_align,
    .x87_unmask = x86_x87_unmask,
    .vec_exec = x86_vec_exec,
    .disas_bits = disas_bits,
    .mode_name = x86_mode_name,
    .exception_name = x86_exception_name,
    .trace_mode = trace_mode,
    .log_cpu = x86_log_cpu,
    .service = x86_service,
    .off_xsave = offsetof(struct x86_cpu, fx),
    .off_ymmh = offsetof(struct x86_cpu, ymmh),
    .off_avx512 = offsetof(struct x86_cpu, z),
};
