/*
 * log-cpu.c - the register dump of -d cpu, -d int and the monitor, in the layout
 * that people's scripts read
 */
#include "target-x86/x86.h"

static void log_seg(FILE *f, const char *name, const struct x86_seg *s, bool lma)
{
    fprintf(f, lma ? "%-3s=%04x %016llx %08x %08x" : "%-3s=%04x %08llx %08x %08x", name, s->sel,
            (unsigned long long)s->base, s->limit, (unsigned)s->attr << 8);
    fputc('\n', f);
}

static void log_gprs(FILE *f, const struct x86_cpu *cpu, bool lma)
{
    static const char name[16][4] = { "AX", "CX", "DX", "BX", "SP", "BP", "SI", "DI",
                                      "R8 ", "R9 ", "R10", "R11", "R12", "R13", "R14", "R15" };
    static const uint8_t order[16] = { 0, 3, 1, 2, 6, 7, 5, 4, 8, 9, 10, 11, 12, 13, 14, 15 };

    for (unsigned i = 0; i < (lma ? 16u : 8u); i++) {
        unsigned r = order[i];
        const char *end = i % 4 == 3 ? "\n" : " ";
        if (lma)
            fprintf(f, r < 8 ? "R%s=%016llx%s" : "%s=%016llx%s", name[r],
                    (unsigned long long)GPR(cpu, r), end);
        else
            fprintf(f, "E%s=%08x%s", name[r], (uint32_t)GPR(cpu, r), end);
    }
}

static void log_system(FILE *f, const struct x86_cpu *cpu, bool lma)
{
    static const char name[S_COUNT][3] = { "ES", "CS", "SS", "DS", "FS", "GS" };
    unsigned long long cr[] = { cpu->cr2, cpu->cr3 };

    for (unsigned i = 0; i < S_COUNT; i++)
        log_seg(f, name[i], &cpu->seg[i], lma);
    log_seg(f, "LDT", &cpu->ldt, lma);
    log_seg(f, "TR", &cpu->tr, lma);
    if (lma) {
        fprintf(f, "GDT=     %016llx %08x\nIDT=     %016llx %08x\n",
                (unsigned long long)cpu->gdt.base, cpu->gdt.limit,
                (unsigned long long)cpu->idt.base, cpu->idt.limit);
        fprintf(f, "CR0=%08x CR2=%016llx CR3=%016llx CR4=%08x\n", (uint32_t)cpu->cr0, cr[0], cr[1],
                (uint32_t)cpu->cr4);
    } else {
        fprintf(f, "GDT=     %08llx %08x\nIDT=     %08llx %08x\n",
                (unsigned long long)cpu->gdt.base, cpu->gdt.limit,
                (unsigned long long)cpu->idt.base, cpu->idt.limit);
        fprintf(f, "CR0=%08x CR2=%08llx CR3=%08llx CR4=%08x\n", (uint32_t)cpu->cr0, cr[0], cr[1],
                (uint32_t)cpu->cr4);
    }
    for (unsigned i = 0; i < 4; i++)
        fprintf(f, "DR%u=%016llx ", i, (unsigned long long)cpu->dr[i]);
    fprintf(f, "\nDR6=%016llx DR7=%016llx\nEFER=%016llx\n", (unsigned long long)cpu->dr[6],
            (unsigned long long)cpu->dr[7], (unsigned long long)cpu->efer);
}

static void log_fpu(FILE *f, const struct x86_cpu *cpu)
{
    fprintf(f, "FCW=%04x FSW=%04x [ST=%u] FTW=%02x MXCSR=%08x\n", cpu->fx.fcw, cpu->fx.fsw,
            cpu->fx.fsw >> 11 & 7, cpu->fx.ftw, cpu->fx.mxcsr);
    for (unsigned i = 0; i < 8; i++)
        fprintf(f, "FPR%u=%016llx %04x%s", i, (unsigned long long)ldl64(cpu->fx.st[i]),
                ldl16(cpu->fx.st[i] + 8), i & 1 ? "\n" : " ");
    for (unsigned i = 0; i < 16; i++)
        fprintf(f, "XMM%02u=%016llx %016llx%s", i, (unsigned long long)ldl64(cpu->fx.xmm[i] + 8),
                (unsigned long long)ldl64(cpu->fx.xmm[i]), i & 1 ? "\n" : " ");
}

void x86_log_cpu(struct tcg_cpu *tc, FILE *f)
{
    const struct x86_cpu *cpu = X86(tc);
    bool lma = cpu->efer & EFER_LMA;
    uint32_t ef = x86_get_eflags(cpu);

    log_gprs(f, cpu, lma);
    fprintf(f, lma ? "RIP=%016llx " : "EIP=%08llx ", (unsigned long long)tc->pc);
    fprintf(f, lma ? "RFL=%08x" : "EFL=%08x", ef);
    fprintf(f, " [%c%c%c%c%c%c%c] CPL=%u II=%d A20=1 SMM=%d HLT=%d\n", ef & EF_DF ? 'D' : '-',
            ef & EF_OF ? 'O' : '-', ef & EF_SF ? 'S' : '-', ef & EF_ZF ? 'Z' : '-',
            ef & EF_AF ? 'A' : '-', ef & EF_PF ? 'P' : '-', ef & EF_CF ? 'C' : '-', cpu->cpl,
            cpu->shadow, cpu->in_smm, cpu->halted);
    log_system(f, cpu, lma);
    if (log_on(LOG_FPU))
        log_fpu(f, cpu);
}
