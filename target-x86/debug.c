/*
 * debug.c - changes that a debugger outside the guest makes to a vCPU
 *
 * They go the guest's own ways, so that what hangs on a register (mode, page maps)
 * follows; what would fault changes nothing.
 */
#include "target-x86/system-int.h"

/* The outcome of an attempt: a fault is taken back. */
static bool settled(struct x86_cpu *cpu, bool ok)
{
    if (!cpu->tcg.exception)
        return ok;
    cpu->tcg.exception = 0;
    cpu->exc_has_error = cpu->exc_soft = cpu->exc_canon = false;
    return false;
}

bool x86_debug_set_pc(struct x86_cpu *cpu, uint64_t lin)
{
    bool code64 = x86_code64(cpu);
    uint64_t pc = code64 ? lin : (uint32_t)(lin - cpu->seg[S_CS].base);

    if (code64 ? !x86_canonical(lin) : lin >> 32 || pc > cpu->seg[S_CS].limit)
        return false;
    if (pc == cpu->tcg.pc)
        return true;
    x86_set_pc(cpu, pc);
    cpu->halted = false;
    return true;
}

bool x86_debug_set_seg(struct x86_cpu *cpu, unsigned seg, uint16_t sel)
{
    bool ok;

    if (cpu->tcg.exception)
        return false;
    if (!x86_pe(cpu))
        x86_load_real_seg(cpu, seg, sel);
    else if (seg == S_CS || seg == S_SS)
        return false;        /* they carry the CPL */
    else if (!(ok = x86_load_data_seg(cpu, seg, sel, EXC_GP)))
        return settled(cpu, ok);
    x86_update_mode(cpu);
    return true;
}

bool x86_debug_set_cr(struct x86_cpu *cpu, unsigned n, uint64_t v)
{
    bool ok = false;

    if (cpu->tcg.exception)
        return false;
    switch (n) {
    case 0: ok = x86_set_cr0(cpu, v); break;
    case 2: cpu->cr2 = v; ok = true; break;
    case 3: ok = x86_set_cr3(cpu, v); break;
    case 4: ok = x86_set_cr4(cpu, v); break;
    case 8:
        ok = v < 16;
        if (ok)
            cpu->bus->set_tpr(cpu->bus->opaque, (uint8_t)(v << 4));
    }
    ok = settled(cpu, ok);
    if (ok)
        x86_update_mode(cpu);
    return ok;
}

bool x86_debug_msr(struct x86_cpu *cpu, uint32_t msr, uint64_t *v, bool write)
{
    bool ok;

    if (cpu->tcg.exception)
        return false;
    ok = settled(cpu, write ? x86_msr_write(cpu, msr, *v) : x86_msr_read(cpu, msr, v));
    if (ok && write)
        x86_update_mode(cpu);
    return ok;
}
