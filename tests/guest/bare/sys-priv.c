/*
 * sys-priv.c - who may execute what: every privileged and I/O-sensitive instruction at CPL 0 to 3,
 * with every IOPL, with CR4.TSD, PCE and UMIP, by the I/O bitmap, and in VM86
 *
 * Source: Intel SDM vol. 3, "Privileged Instructions" 5.9; vol. 1, "I/O Privilege Level" 19.5;
 * vol. 2, the exceptions of each instruction; vol. 3, "Sensitive Instructions" 21.2.
 */
#include "lib/desc.h"

#define MEM "memory", "cc"

static u64 area[64] __attribute__((aligned(64), used));
static u32 bad;

#define REGS0 "xor %eax, %eax\n\txor %ecx, %ecx\n\txor %edx, %edx\n\t"
#define PRIV(name, text) CODE(pv_##name, REGS0 text "\n\t.globl pv_" #name "_end\npv_" #name "_end:\n\tint $0x80")
#define SP "(%" SP_REG ")"

/* what leaves the machine as it was, so that it can run in ring 0 as well */
PRIV(lgdt, "sgdt " SP "\n\tlgdt " SP);
PRIV(lidt, "sidt " SP "\n\tlidt " SP);
PRIV(lldt, "mov $0x60, %eax\n\tlldt %ax");
PRIV(ltr, "mov $0x50, %eax\n\tltr %ax");
PRIV(lmsw, "smsw %" AX_REG "\n\tlmsw %ax");
PRIV(clts, "clts");
PRIV(invd, "invd");
PRIV(wbinvd, "wbinvd");
PRIV(invlpg, "invlpg " SP);
PRIV(mov_from_cr0, "mov %cr0, %" AX_REG);
PRIV(mov_from_cr2, "mov %cr2, %" AX_REG);
PRIV(mov_from_cr3, "mov %cr3, %" AX_REG);
PRIV(mov_from_cr4, "mov %cr4, %" AX_REG);
PRIV(mov_to_cr2, "mov %" AX_REG ", %cr2");
PRIV(mov_from_dr0, "mov %dr0, %" AX_REG);
PRIV(mov_from_dr7, "mov %dr7, %" AX_REG);
PRIV(mov_to_dr0, "mov %" AX_REG ", %dr0");
PRIV(mov_to_dr6, "mov %" AX_REG ", %dr6");
PRIV(rdmsr, "mov $0x1b, %ecx\n\trdmsr");
PRIV(wrmsr, "mov $0x174, %ecx\n\twrmsr");
PRIV(rdmsr_unknown, "mov $0x12345678, %ecx\n\trdmsr");
PRIV(swapgs, ".byte 0x0f, 0x01, 0xf8\n\t.byte 0x0f, 0x01, 0xf8");
PRIV(hlt, "hlt");
PRIV(sysret, "sysretl");
PRIV(xsetbv, "inc %eax\n\txsetbv");
PRIV(mov_cr1, ".byte 0x0f, 0x20, 0xc8");
PRIV(mov_cr5, ".byte 0x0f, 0x20, 0xe8");
PRIV(rsm, "rsm");
PRIV(ud2, "ud2");
PRIV(vmcall, ".byte 0x0f, 0x01, 0xc1");
PRIV(vmmcall, ".byte 0x0f, 0x01, 0xd9");
PRIV(sgdt, "sgdt " SP);
PRIV(sidt, "sidt " SP);
PRIV(sldt, "sldt %ax");
PRIV(str, "str %ax");
PRIV(smsw, "smsw %ax");
PRIV(rdtsc, "rdtsc");
PRIV(rdpmc, "rdpmc");
PRIV(cpuid, "cpuid");
PRIV(lar, "mov $0x10, %eax\n\tlar %ax, %eax");
PRIV(pushf, "pushf\n\tpop %" AX_REG);
PRIV(clac, ".byte 0x0f, 0x01, 0xca");

/* error code of LTR in ring 0: the TSS is busy */
struct rule { const char *name; const u8 *code, *end; int vec0, vec; u32 err0; };
#define RULE(name, vec0, err0, vec) { #name, pv_##name, pv_##name##_end, vec0, vec, err0 }
#define EXTERN_END(name) extern u8 pv_##name##_end[];
EXTERN_END(lgdt) EXTERN_END(lidt) EXTERN_END(lldt) EXTERN_END(ltr) EXTERN_END(lmsw) EXTERN_END(clts)
EXTERN_END(invd) EXTERN_END(wbinvd) EXTERN_END(invlpg) EXTERN_END(mov_from_cr0) EXTERN_END(mov_from_cr2)
EXTERN_END(mov_from_cr3) EXTERN_END(mov_from_cr4) EXTERN_END(mov_to_cr2) EXTERN_END(mov_from_dr0)
EXTERN_END(mov_from_dr7) EXTERN_END(mov_to_dr0) EXTERN_END(mov_to_dr6) EXTERN_END(rdmsr) EXTERN_END(wrmsr)
EXTERN_END(rdmsr_unknown) EXTERN_END(swapgs) EXTERN_END(hlt) EXTERN_END(sysret) EXTERN_END(xsetbv)
EXTERN_END(mov_cr1) EXTERN_END(mov_cr5) EXTERN_END(rsm) EXTERN_END(ud2) EXTERN_END(vmcall) EXTERN_END(vmmcall) EXTERN_END(sgdt)
EXTERN_END(sidt) EXTERN_END(sldt) EXTERN_END(str) EXTERN_END(smsw) EXTERN_END(rdtsc) EXTERN_END(rdpmc)
EXTERN_END(cpuid) EXTERN_END(lar) EXTERN_END(pushf) EXTERN_END(clac)
enum { NOT_IN_0 = -2, CALLS = -4, FINE = LEAVE_VEC };  /* CALLS: by hypervisor */

static const struct rule rules[] = {
    RULE(lgdt, FINE, 0, GP), RULE(lidt, FINE, 0, GP), RULE(lldt, FINE, 0, GP), RULE(ltr, GP, SEL_TSS, GP),
    RULE(lmsw, FINE, 0, GP), RULE(clts, FINE, 0, GP),
    RULE(invlpg, FINE, 0, GP), RULE(mov_from_cr0, FINE, 0, GP), RULE(mov_from_cr2, FINE, 0, GP),
    RULE(mov_from_cr3, FINE, 0, GP), RULE(mov_from_cr4, FINE, 0, GP), RULE(mov_to_cr2, FINE, 0, GP),
    RULE(mov_from_dr0, FINE, 0, GP), RULE(mov_from_dr7, FINE, 0, GP), RULE(mov_to_dr0, FINE, 0, GP),
    RULE(mov_to_dr6, FINE, 0, GP), RULE(rdmsr, FINE, 0, GP), RULE(wrmsr, FINE, 0, GP),
    RULE(rdmsr_unknown, NOT_IN_0, 0, GP), RULE(hlt, NOT_IN_0, 0, GP), RULE(xsetbv, FINE, 0, GP),
    RULE(rsm, UD, 0, UD), RULE(ud2, UD, 0, UD), RULE(vmcall, CALLS, 0, CALLS), RULE(vmmcall, CALLS, 0, CALLS),
    RULE(sgdt, FINE, 0, FINE),
    RULE(sidt, FINE, 0, FINE), RULE(sldt, FINE, 0, FINE), RULE(str, FINE, 0, FINE), RULE(smsw, FINE, 0, FINE),
    RULE(rdtsc, FINE, 0, FINE), RULE(cpuid, FINE, 0, FINE), RULE(lar, FINE, 0, FINE), RULE(pushf, FINE, 0, FINE),
    RULE(mov_cr1, UD, 0, -3), RULE(mov_cr5, UD, 0, -3), /* above ring 0: #UD or #GP, both seen */
#ifdef __x86_64__
    RULE(swapgs, FINE, 0, GP), RULE(sysret, NOT_IN_0, 0, GP),
#else
    RULE(swapgs, UD, 0, UD),
#endif
};

static void run_at(const u8 *code, u32 cpl, ulong flags)
{
    static const u16 cs[] = { SEL_CODE, SEL_CODE1, SEL_CODE2,
#ifdef __x86_64__
                              SEL_UCODE64 };
#else
                              SEL_UCODE32 };
#endif
    static const u16 ss[] = { SEL_DATA, SEL_DATA1, SEL_DATA2, SEL_UDATA };
    ulong sp = (ulong)(area + 32);

    if (cpl) {
        trap_arm();
        user_run((ulong)code, sp, flags | 2, cs[cpl], ss[cpl]);
        asm volatile("mov %0, %%ds\n\tmov %0, %%es" : : "r"(SEL_DATA));
        return;
    }
    TRY("push %1\n\tpopf\n\tmov %2, %%" SP_REG "\n\tjmp *%0", : : "r"(code), "r"(flags | 2), "r"(sp)
        : "eax", "ebx", "ecx", "edx", MEM);
}

static void complain(const char *name, u32 cpl, u32 iopl, int vec)
{
    if (++bad > 8)
        return;
    put_str("# ");
    put_str(name);
    put_str(" CPL ");
    put_hex(cpl);
    put_str(" IOPL ");
    put_hex(iopl);
    put_str(": vector ");
    put_hex((u64)(long)vec);
    put_str(" error ");
    put_hex(trap.err);
    put_char('\n');
}

static void judge(const struct rule *r, u32 cpl, u32 iopl)
{
    int want = cpl ? r->vec : r->vec0;
    u32 err = cpl ? 0 : r->err0;

    if (want == CALLS)
        want = under_kvm() ? FINE : UD;
    if (want == -3 ? trap.vec != UD && trap.vec != GP : trap.vec != want || trap.err != err)
        complain(r->name, cpl, iopl, trap.vec);
    else if (want != FINE && (trap.ip < (ulong)r->code || trap.ip >= (ulong)r->end))
        complain("address of the fault", cpl, iopl, trap.vec);
}

/* IOPL does not matter to these; all are tried nevertheless */
static void test_rules(void)
{
    bad = 0;
    write_cr4(read_cr4() | CR4_OSXSAVE);
    for (u32 i = 0; i < sizeof(rules) / sizeof(rules[0]); i++)
        for (u32 cpl = 0; cpl < 4; cpl++)
            for (u32 iopl = 0; iopl < 4; iopl++) {
                if (!cpl && rules[i].vec0 == NOT_IN_0)
                    continue;
                run_at(rules[i].code, cpl, iopl << 12);
                judge(&rules[i], cpl, iopl);
            }
    check("privileged instructions at CPL 0-3", bad, 0);
}

static void with_cr4(const char *name, u32 bit, const struct rule *r, u32 n)
{
    bad = 0;
    write_cr4(read_cr4() | bit);
    for (u32 i = 0; i < n; i++)
        for (u32 cpl = 0; cpl < 4; cpl++) {
            run_at(r[i].code, cpl, 0);
            judge(&r[i], cpl, 0);
        }
    write_cr4(read_cr4() & ~(ulong)bit);
    check(name, bad, 0);
}

static void test_cr4(void)
{
    static const struct rule invd[] = { RULE(invd, FINE, 0, GP), RULE(wbinvd, FINE, 0, GP) };
    static const struct rule tsd[] = { RULE(rdtsc, FINE, 0, GP) };
    static const struct rule umip[] = { RULE(sgdt, FINE, 0, GP), RULE(sidt, FINE, 0, GP), RULE(sldt, FINE, 0, GP),
                                        RULE(str, FINE, 0, GP), RULE(smsw, FINE, 0, GP) };
    static const struct rule smap[] = { RULE(clac, FINE, 0, UD) };

    with_cr4("INVD and WBINVD above ring 0", 0, invd, 2);
    with_cr4("CR4.TSD", CR4_TSD, tsd, 1);
    if (cpuid(7, 0).c >> 2 & 1)
        with_cr4("CR4.UMIP", CR4_UMIP, umip, 5);
    else
        skip("CR4.UMIP", "CPUID does not offer it");
    if (has_leaf7(20))
        with_cr4("CLAC above ring 0", 0, smap, 1);
    else
        skip("CLAC above ring 0", "CPUID does not offer it");
}

/* ---- IOPL ------------------------------------------------------------------------------------ */

PRIV(cli, "cli");
PRIV(sti, "sti\n\tcli");
PRIV(in, "in $0x80, %al");
PRIV(out, "out %al, $0x80");
PRIV(in_dx, "mov $0x80, %dl\n\tin %dx, %al");
PRIV(insb, "mov $0x80, %dl\n\tmov %" SP_REG ", %" DI_REG "\n\tinsb");
PRIV(outsb, "mov $0x80, %dl\n\tmov %" SP_REG ", %" SI_REG "\n\toutsb");
PRIV(popf, "push $0x3202\n\tpopf\n\tpushf\n\tpop %" AX_REG);
EXTERN_END(cli) EXTERN_END(sti) EXTERN_END(in) EXTERN_END(out) EXTERN_END(in_dx) EXTERN_END(insb) EXTERN_END(outsb)

static void test_iopl(void)
{
    static const struct rule io[] = { RULE(cli, FINE, 0, GP), RULE(sti, FINE, 0, GP), RULE(in, FINE, 0, GP),
                                      RULE(out, FINE, 0, GP), RULE(in_dx, FINE, 0, GP), RULE(insb, FINE, 0, GP),
                                      RULE(outsb, FINE, 0, GP) };

    bad = 0;
    for (u32 i = 0; i < sizeof(io) / sizeof(io[0]); i++)
        for (u32 cpl = 0; cpl < 4; cpl++)
            for (u32 iopl = 0; iopl < 4; iopl++) {
                struct rule r = io[i];

                r.vec = cpl <= iopl ? FINE : GP;
                run_at(r.code, cpl, iopl << 12);
                judge(&r, cpl, iopl);
            }
    check("CLI, STI, IN, OUT, INS, OUTS: CPL against IOPL", bad, 0);
    bad = 0;
    outb(0x21, 0xff); /* POPF sets IF for a moment */
    outb(0xa1, 0xff);
    for (u32 cpl = 0; cpl < 4; cpl++)
        for (u32 iopl = 0; iopl < 4; iopl++) {
            u32 want = (cpl <= iopl ? FL_IF : 0) | (cpl ? iopl << 12 : FL_IOPL);

            run_at(pv_popf, cpl, iopl << 12);
            if (trap.vec != FINE || (trap.frame.ax & (FL_IF | FL_IOPL)) != want)
                complain("POPF", cpl, iopl, trap.vec);
        }
    check("POPF: IF by IOPL, IOPL by CPL 0", bad, 0);
}

/* The I/O bitmap: every bit of the access must be clear; two bytes are read, within the limit */
CODE(io_b, "mov %esp, %edx\n\tin %dx, %al\n\tint $0x80");
CODE(io_w, "mov %esp, %edx\n\tin %dx, %ax\n\tint $0x80");
CODE(io_l, "mov %esp, %edx\n\tin %dx, %eax\n\tint $0x80");

static void test_bitmap(void)
{
    static const u8 *const code[] = { io_b, io_w, io_l };
    u16 old = tss.iomap;

    bad = 0;
    tss.iomap = (u16)((u8 *)tss.io - (u8 *)&tss);
    for (u32 forbidden = 0x78; forbidden < 0x90; forbidden++) {
        bytes_set(tss.io, 0, sizeof(tss.io));
        tss.io[forbidden / 8] = (u8)(1 << (forbidden & 7));
        for (u32 size = 0; size < 3; size++)
            for (u32 port = 0x80; port < 0x89; port++) {
                int hit = forbidden >= port && forbidden < port + (1u << size);

                trap_arm();
#ifdef __x86_64__
                user_run((ulong)code[size], port, 2, SEL_UCODE64, SEL_UDATA64);
#else
                user_run((ulong)code[size], port, 2, SEL_UCODE32, SEL_UDATA);
#endif
                if (trap.vec != (hit ? GP : LEAVE_VEC))
                    complain("bitmap, port", port, forbidden, trap.vec);
            }
    }
    check("I/O bitmap: bytes, words, doublewords", bad, 0);
    bytes_set(tss.io, 0, sizeof(tss.io));
    tss.iomap = (u16)(sizeof(tss) - 2 - 0x80 / 8); /* port 0x80 is bit 0 of the last two bytes */
    trap_arm();
    in_ring3(pv_in);
    check_trap("I/O bitmap: both bytes inside the limit", LEAVE_VEC, 0);
    tss.iomap++;
    in_ring3(pv_in);
    check_trap("I/O bitmap: the second byte beyond the limit", GP, 0);
    tss.iomap = old;
}

#ifndef __x86_64__
/* ---- VM86 --------------------------------------------------------------------------------- */

#define VM_SEG 0x3000u
void vm86_run(const u32 frame[9]);

static const struct { const char *name; u8 code[8]; u8 len; int vec; } vm_rules[] = {
    { "HLT", { 0xf4 }, 1, GP }, { "MOV CR0", { 0x0f, 0x20, 0xc0 }, 3, GP }, { "MOV to CR3", { 0x0f, 0x22, 0xd8 }, 3, GP },
    { "MOV DR7", { 0x0f, 0x21, 0xf8 }, 3, GP }, { "LGDT", { 0x0f, 0x01, 0x16, 0, 0 }, 5, GP },
    { "LIDT", { 0x0f, 0x01, 0x1e, 0, 0 }, 5, GP }, { "LMSW", { 0x0f, 0x01, 0xf0 }, 3, GP }, { "CLTS", { 0x0f, 0x06 }, 2, GP },
    { "INVD", { 0x0f, 0x08 }, 2, GP }, { "WBINVD", { 0x0f, 0x09 }, 2, GP }, { "INVLPG", { 0x0f, 0x01, 0x3e, 0, 0 }, 5, GP },
    { "RDMSR", { 0x0f, 0x32 }, 2, GP }, { "WRMSR", { 0x0f, 0x30 }, 2, GP }, { "SYSEXIT", { 0x0f, 0x35 }, 2, GP },
    { "LLDT", { 0x0f, 0x00, 0xd0 }, 3, UD }, { "LTR", { 0x0f, 0x00, 0xd8 }, 3, UD }, { "SLDT", { 0x0f, 0x00, 0xc0 }, 3, UD },
    { "STR", { 0x0f, 0x00, 0xc8 }, 3, UD }, { "VERR", { 0x0f, 0x00, 0xe0 }, 3, UD }, { "VERW", { 0x0f, 0x00, 0xe8 }, 3, UD },
    { "LAR", { 0x0f, 0x02, 0xc0 }, 3, UD }, { "LSL", { 0x0f, 0x03, 0xc0 }, 3, UD }, { "ARPL", { 0x63, 0xc0 }, 2, UD },
    { "SMSW", { 0x0f, 0x01, 0xe0 }, 3, 0x22 }, { "SGDT", { 0x0f, 0x01, 0x06, 0, 1 }, 5, 0x22 },
    { "SIDT", { 0x0f, 0x01, 0x0e, 0, 1 }, 5, 0x22 }, { "RDTSC", { 0x0f, 0x31 }, 2, 0x22 }, { "CPUID", { 0x0f, 0xa2 }, 2, 0x22 },
    { "RSM", { 0x0f, 0xaa }, 2, UD },
};
/* by IOPL: #GP(0) below 3 */
static const struct { const char *name; u8 code[4]; u8 len; } vm_iopl[] = {
    { "CLI", { 0xfa }, 1 }, { "STI", { 0xfb, 0xfa }, 2 }, { "PUSHF", { 0x9c }, 1 }, { "POPF", { 0x6a, 2, 0x9d }, 3 },
    { "PUSHFD", { 0x66, 0x9c }, 2 }, { "POPFD", { 0x66, 0x9d }, 2 },
};

/* Ends with INT3, which goes by the IDT whatever IOPL is */
static int vm(const u8 *code, u32 len, u32 iopl)
{
    u32 frame[9] = { 0, VM_SEG, iopl << 12 | FL_VM | 2, 0x1000, VM_SEG, VM_SEG, VM_SEG, VM_SEG, VM_SEG };
    u8 *at = (u8 *)(VM_SEG << 4);

    bytes_set(at + 0x0ff0, 0, 32); /* popped flags: 0 */
    bytes_copy(at, code, len);
    at[len] = 0xcc;
    trap_arm();
    vm86_run(frame);
    return trap.vec;
}

static void test_vm86(void)
{
    bad = 0;
    for (u32 i = 0; i < sizeof(vm_rules) / sizeof(vm_rules[0]); i++)
        for (u32 iopl = 0; iopl < 4; iopl++) {
            int want = vm_rules[i].vec == 0x22 ? BP : vm_rules[i].vec;

            if (vm(vm_rules[i].code, vm_rules[i].len, iopl) != want || trap.err)
                complain(vm_rules[i].name, 3, iopl, trap.vec);
        }
    check("VM86: privileged instructions", bad, 0);
    bad = 0;
    for (u32 i = 0; i < sizeof(vm_iopl) / sizeof(vm_iopl[0]); i++)
        for (u32 iopl = 0; iopl < 4; iopl++)
            if (vm(vm_iopl[i].code, vm_iopl[i].len, iopl) != (iopl == 3 ? BP : GP))
                complain(vm_iopl[i].name, 3, iopl, trap.vec);
    check("VM86: sensitive instructions by IOPL", bad, 0);
}
#else
static void test_vm86(void) { }
#endif

void test_sys_priv(void);
void test_sys_priv(void)
{
    test_rules();
    test_cr4();
    test_iopl();
    test_bitmap();
    test_vm86();
}
