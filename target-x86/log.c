/*
 * log.c - registers as text, in the layout that people's scripts know from QEMU
 */
#include "target-x86/system-int.h"

typedef unsigned long long ull;

static void log_gprs64(const struct x86_cpu *cpu, FILE *f)
{
    static const char *const names[] = { "RAX", "RBX", "RCX", "RDX", "RSI", "RDI", "RBP", "RSP",
                                         "R8 ", "R9 ", "R10", "R11", "R12", "R13", "R14", "R15" };
    static const uint8_t order[] = { 0, 3, 1, 2, 6, 7, 5, 4, 8, 9, 10, 11, 12, 13, 14, 15 };

    for (unsigned i = 0; i < 16; i++)
        fprintf(f, "%s=%016llx%c", names[i], (ull)GPR(cpu, order[i]), (i & 3) == 3 ? '\n' : ' ');
}

static void log_gprs32(const struct x86_cpu *cpu, FILE *f)
{
    static const char *const names[] = { "EAX", "EBX", "ECX", "EDX", "ESI", "EDI", "EBP", "ESP" };
    static const uint8_t order[] = { 0, 3, 1, 2, 6, 7, 5, 4 };

    for (unsigned i = 0; i < 8; i++)
        fprintf(f, "%s=%08x%c", names[i], (uint32_t)GPR(cpu, order[i]), (i & 3) == 3 ? '\n' : ' ');
}

static void log_flags(const struct x86_cpu *cpu, FILE *f, bool wide)
{
    uint32_t ef = x86_get_eflags(cpu);

    fprintf(f, wide ? "RIP=%016llx RFL=" : "EIP=%08llx EFL=", (ull)cpu->tcg.pc);
    fprintf(f, "%08x [%c%c%c%c%c%c%c] CPL=%u II=%d A20=%d SMM=%d HLT=%d\n", ef,
            ef & EF_DF ? 'D' : '-', ef & EF_OF ? 'O' : '-', ef & EF_SF ? 'S' : '-',
            ef & EF_ZF ? 'Z' : '-', ef & EF_AF ? 'A' : '-', ef & EF_PF ? 'P' : '-',
            ef & EF_CF ? 'C' : '-', cpu->cpl, cpu->shadow,
            (int)(cpu->bus->a20_mask(cpu->bus->opaque) >> 20 & 1), cpu->in_smm, cpu->halted);
}

/** seg_kind() - "CS32 [-RA]", "DS   [-WA]", "TSS64-busy" */
static void log_seg_kind(const struct x86_cpu *cpu, const struct x86_seg *s, FILE *f)
{
    static const char *const sys[16] = {
        "Reserved", "TSS16-avl", "LDT", "TSS16-busy", "CallGate16", "TaskGate", "IntGate16",
        "TrapGate16", "Reserved", "TSS32-avl", "Reserved", "TSS32-busy", "CallGate32", "Reserved",
        "IntGate32", "TrapGate32" };
    unsigned a = s->attr;

    fprintf(f, " DPL=%u ", a >> SEG_DPL_SHIFT & 3);
    if (!(a & SEG_S))
        fprintf(f, "%s", sys[a & SEG_TYPE]);
    else if (a & 8)
        fprintf(f, "%s [%c%c%c]", a & SEG_L ? "CS64" : a & SEG_DB ? "CS32" : "CS16",
                a & 4 ? 'C' : '-', a & 2 ? 'R' : '-', a & 1 ? 'A' : '-');
    else
        fprintf(f, "%s [%c%c%c]", a & SEG_DB || x86_lma(cpu) ? "DS  " : "DS16",
                a & 4 ? 'E' : '-', a & 2 ? 'W' : '-', a & 1 ? 'A' : '-');
}

static void log_seg(const struct x86_cpu *cpu, const char *name, const struct x86_seg *s, FILE *f,
                    bool wide)
{
    fprintf(f, wide ? "%-3s=%04x %016llx %08x %08x" : "%-3s=%04x %08llx %08x %08x", name, s->sel,
            (ull)s->base, s->limit, (uint32_t)s->attr << 8);
    if ((cpu->cr0 & CR0_PE) && (s->attr & SEG_P))
        log_seg_kind(cpu, s, f);
    fputc('\n', f);
}

static void log_system(const struct x86_cpu *cpu, FILE *f, bool wide)
{
    const char *dt = wide ? "%s=     %016llx %08x\n" : "%s=     %08llx %08x\n";
    int w = wide ? 16 : 8;

    fprintf(f, dt, "GDT", (ull)cpu->gdt.base, cpu->gdt.limit);
    fprintf(f, dt, "IDT", (ull)cpu->idt.base, cpu->idt.limit);
    fprintf(f, "CR0=%08x CR2=%0*llx CR3=%0*llx CR4=%08x\n", (uint32_t)cpu->cr0, w, (ull)cpu->cr2,
            w, (ull)cpu->cr3, (uint32_t)cpu->cr4);
    for (unsigned i = 0; i < 4; i++)
        fprintf(f, "DR%u=%016llx %s", i, (ull)cpu->dr[i], i == 3 ? "\n" : "");
    fprintf(f, "DR6=%016llx DR7=%016llx\n", (ull)cpu->dr[6], (ull)cpu->dr[7]);
    fprintf(f, "EFER=%016llx\n", (ull)cpu->efer);
}

static void log_fpu(const struct x86_cpu *cpu, FILE *f)
{
    fprintf(f, "FCW=%04x FSW=%04x FTW=%02x MXCSR=%08x\n", cpu->fx.fcw, cpu->fx.fsw, cpu->fx.ftw,
            cpu->fx.mxcsr);
    for (unsigned i = 0; i < 8; i++)
        fprintf(f, "FPR%u=%016llx %04x%c", i, (ull)ldl64(cpu->fx.st[i]), ldl16(cpu->fx.st[i] + 8),
                i & 1 ? '\n' : ' ');
    for (unsigned i = 0; i < (x86_lma(cpu) ? 16 : 8); i++)
        fprintf(f, "XMM%02u=%016llx%016llx%c", i, (ull)ldl64(cpu->fx.xmm[i] + 8),
                (ull)ldl64(cpu->fx.xmm[i]), i & 1 ? '\n' : ' ');
}

/**
 * x86_log_cpu() - the registers, between blocks (tcg_target.log_cpu)
 * Vector and x87 state (-d fpu) is what memory holds: stale while the host's
 * registers hold the guest's.
 */
void x86_log_cpu(struct tcg_cpu *tc, FILE *f)
{
    static const char *const names[S_COUNT] = { "ES", "CS", "SS", "DS", "FS", "GS" };
    const struct x86_cpu *cpu = X86(tc);
    bool wide = x86_lma(cpu);

    if (x86_code64(cpu))
        log_gprs64(cpu, f);
    else
        log_gprs32(cpu, f);
    log_flags(cpu, f, x86_code64(cpu));
    for (unsigned i = 0; i < S_COUNT; i++)
        log_seg(cpu, names[i], &cpu->seg[i], f, wide);
    log_seg(cpu, "LDT", &cpu->ldt, f, wide);
    log_seg(cpu, "TR", &cpu->tr, f, wide);
    log_system(cpu, f, wide);
    if (log_on(LOG_FPU))
        log_fpu(cpu, f);
}

void x86_mode_name(uint32_t mode, char *buf, size_t size)
{
    const char *level = mode & MODE_VM86 ? "vm86" : !(mode & MODE_PE) ? "real" : mode & MODE_CPL3 ? "user"
                        : mode & MODE_CPL12 ? "ring1,2" : "kernel";

    snprintf(buf, size, "%u %s%s%s%s", 16u << (mode & MODE_CODE_MASK), level, mode & MODE_TF ? " TF" : "",
             mode & MODE_SHADOW ? " shadow" : "", mode & MODE_DR ? " DR" : "");
}

void x86_exception_name(uint32_t exception, char *buf, size_t size)
{
    static const char *const names[] = { "DE", "DB", "NMI", "BP", "OF", "BR", "UD", "NM", "DF", "9", "TS", "NP",
                                         "SS", "GP", "PF", "15", "MF", "AC", "MC", "XM" };
    unsigned vector = exception - 1;

    if (vector < ARRAY_SIZE(names))
        snprintf(buf, size, "#%s", names[vector]);
    else
        snprintf(buf, size, "int %#x", vector);
}
