/* prot-fpu.c - x87 and SSE state: #NM, #MF, #XM, FXSAVE. Shared by the 32 and 64 bit program. */
#include "lib/desc.h"

#define MEM "memory", "cc"

static u8 area[512] __attribute__((aligned(64))), area2[512] __attribute__((aligned(64)));
static float one = 1, zero, three = 3;
static u32 word;

static void test_nm(void)
{
    write_cr4(read_cr4() | CR4_OSFXSR | CR4_OSXMMEXCPT);
    write_cr0((read_cr0() & ~(ulong)CR0_EM) | CR0_MP | CR0_NE | CR0_TS);
    TRY("fld1", : : : MEM);
    check_trap("x87 with TS", NM, 0);
    TRY("xorps %%xmm0, %%xmm0", : : : MEM);
    check_trap("SSE with TS", NM, 0);
    TRY("fwait", : : : MEM);
    check_trap("FWAIT with TS and MP", NM, 0);
    write_cr0(read_cr0() & ~(ulong)CR0_MP);
    TRY("fwait", : : : MEM);
    check_trap("FWAIT with TS alone", -1, 0);
    asm volatile("clts");
    TRY("fninit\n\tfld1\n\tfstp %%st(0)", : : : MEM);
    check_trap("x87 after CLTS", -1, 0);
    write_cr0(read_cr0() | CR0_EM);
    TRY("fld1", : : : MEM);
    check_trap("x87 with EM", NM, 0);
    TRY("xorps %%xmm0, %%xmm0", : : : MEM);
    check_trap("SSE with EM", UD, 0);
    write_cr0((read_cr0() & ~(ulong)CR0_EM) | CR0_MP);
    write_cr4(read_cr4() & ~(ulong)CR4_OSFXSR);
    TRY("xorps %%xmm0, %%xmm0", : : : MEM);
    check_trap("SSE without OSFXSR", UD, 0);
    write_cr4(read_cr4() | CR4_OSFXSR | CR4_OSXMMEXCPT);
    TRY("xorps %%xmm0, %%xmm0", : : : MEM);
    check_trap("SSE with OSFXSR", -1, 0);
}

static void test_mf(void)
{
    static u16 cw = 0x037b; /* zero divide unmasked */
    ulong want;
    u16 sw;

    asm volatile("fninit\n\tfldcw %0" : : "m"(cw));
    TRY("mov $1f, %0\n\tfld1\n\tfdivs %1\n\tnop\n1:\tfwait", : "=&r"(want) : "m"(zero) : MEM);
    check_trap("#MF at the next waiting instruction", MF, 0);
    check("#MF: IP", trap.ip, want);
    asm volatile("fnstsw %0" : "=m"(sw));
    check("status: ZE, ES, B", sw & 0x8084, 0x8084);
    TRY("fnclex\n\tfwait", : : : MEM);
    check_trap("FNCLEX clears it", -1, 0);
    asm volatile("fninit");
    TRY("fld1\n\tfdivs %0\n\tfwait\n\tfstp %%st(0)", : : "m"(zero) : MEM);
    check_trap("masked zero divide", -1, 0);
    asm volatile("fninit\n\tfldz\n\tfld1\n\tfaddp\n\tfld1\n\tfaddp\n\tfistpl %0" : "=m"(word));
    check("x87 adds", word, 2);
}

/* FIP, FDP, FOP of what left an exception: an image of FNSTENV, 32-bit, protected mode */
static void test_pointers(void)
{
    static u16 unmasked = 0x037b, masked = 0x037f;
    static u32 env[7];
    ulong want;

    asm volatile("fninit\n\tfldcw %0" : : "m"(unmasked));
    TRY("mov $1f, %0\n\tfld1\n1:\tfdivs %1\n\tnop\n\tfwait", : "=&r"(want) : "m"(zero) : MEM);
    check_trap("#MF with pointers", MF, 0);
    asm volatile("fnstenv %0" : "=m"(env));
    check("FIP: the instruction that left the exception", env[3], (u32)want);
    check("FDP: its operand", env[5], (u32)(ulong)&zero);
    check("FOP: D8 /6, whatever the operand is", (env[4] >> 16) & 0x738, 0x030);
    asm volatile("fldcw %0\n\tfnclex\n\tfldz\n\tfld1" : : "m"(unmasked));
    TRY("mov $1f, %0\n1:\tfdivp\n\tfldz", : "=&r"(want) : : MEM);
    check_trap("#MF at an instruction that is none itself", MF, 0);
    asm volatile("fxsave %0" : "=m"(area));
    check("FIP: not the one that reports it", *(u32 *)(area + 8), (u32)want);
    check("FDP: still the last operand", *(u32 *)(area + 16), (u32)(ulong)&zero);
    check("FOP: DE F9 or DE F1", *(u16 *)(area + 6) & 0x7f7, 0x6f1);
    asm volatile("fnclex\n\tfldcw %2\n\tfldz\n\tfstps %0\n\tfxsave %1" : "=m"(word), "=m"(area) : "m"(unmasked));
    check("FDP: no exception, not updated", *(u32 *)(area + 16), (u32)(ulong)&zero);
    for (u32 at = 0; at < 2; at++) {      /* FLDCW of an odd address, and over a cache line's end */
        u8 *cw = area2 + 63 * at + 1 - at;
        *(u16 *)cw = unmasked;
        asm volatile("fninit\n\tfldcw (%0)" : : "r"(cw) : MEM);
        TRY("mov $1f, %0\n\tfld1\n1:\tfdivs %1\n\tfwait", : "=&r"(want) : "m"(zero) : MEM);
        check_trap("#MF, unmasked by a misaligned word", MF, 0);
        asm volatile("fxsave %0" : "=m"(area));
        check("FIP, unmasked by a misaligned word", *(u32 *)(area + 8), (u32)want);
    }
    asm volatile("fninit\n\tfldcw %1\n\tfxsave %0" : "=m"(area) : "m"(masked));
    check("FNINIT clears them", *(u32 *)(area + 8) | *(u32 *)(area + 16) | *(u16 *)(area + 6), 0);
}

static void test_xm(void)
{
    static u32 masked = 0x1f80, zero_divide = 0x1f80 & ~0x200, flags;
    ulong want;

    asm volatile("ldmxcsr %0" : : "m"(masked));
    TRY("movss %0, %%xmm1\n\tdivss %1, %%xmm1", : : "m"(one), "m"(zero) : MEM);
    check_trap("masked SSE zero divide", -1, 0);
    asm volatile("stmxcsr %0\n\tmovd %%xmm1, %1" : "=m"(flags), "=r"(word));
    check("its flag", flags, 0x1f84);
    check("its result", word, 0x7f800000);
    asm volatile("ldmxcsr %0\n\tmovss %1, %%xmm1" : : "m"(zero_divide), "m"(three));
    TRY("mov $1f, %0\n1:\tdivss %1, %%xmm1", : "=&r"(want) : "m"(zero) : MEM);
    check_trap("unmasked SSE zero divide", XM, 0);
    check("#XM: IP is the instruction", trap.ip, want);
    asm volatile("stmxcsr %0\n\tmovd %%xmm1, %1" : "=m"(flags), "=r"(word));
    check("#XM: flag set", flags & 0x3f, 4);
    check("#XM: destination unchanged", word, 0x40400000);
    write_cr4(read_cr4() & ~(ulong)CR4_OSXMMEXCPT);
    asm volatile("ldmxcsr %0" : : "m"(zero_divide));
    TRY("divss %0, %%xmm1", : : "m"(zero) : MEM);
    check_trap("without OSXMMEXCPT: #UD", UD, 0);
    write_cr4(read_cr4() | CR4_OSXMMEXCPT);
    flags = 0x10000;
    TRY("ldmxcsr %0", : : "m"(flags) : MEM);
    check_trap("LDMXCSR with a reserved bit", GP, 0);
    asm volatile("ldmxcsr %0" : : "m"(masked));
}

static void test_fxsave(void)
{
    u32 differ = 0;

    asm volatile("fninit\n\tfldpi\n\tfld1\n\tmovss %1, %%xmm5\n\tshufps $0, %%xmm5, %%xmm5\n\tfxsave %0"
                 : "=m"(area) : "m"(three));
    check("FXSAVE: control word", *(u16 *)area, 0x37f);
    check("FXSAVE: top of stack", *(u16 *)(area + 2) >> 11 & 7, 6);
    check("FXSAVE: tags", area[4], 0xc0);
    check("FXSAVE: MXCSR", *(u32 *)(area + 24), 0x1f80);
    check("FXSAVE: ST0 is 1", *(u64 *)(area + 32) == 1ull << 63 && *(u16 *)(area + 40) == 0x3fff, 1);
    check("FXSAVE: XMM5", *(u32 *)(area + 160 + 5 * 16 + 12), 0x40400000);
    for (u32 i = 0; i < 416; i++)         /* reserved bytes need not be written */
        area2[i] = area[i];
    asm volatile("fninit\n\txorps %%xmm5, %%xmm5\n\tfxrstor %1\n\tfxsave %0" : "=m"(area2) : "m"(area));
    for (u32 i = 0; i < 416; i++)
        differ += area[i] != area2[i];
    check("FXRSTOR, FXSAVE round trip", differ, 0);
    TRY("fxsave (%0)", : : "r"(area + 8) : MEM);
    check_trap("FXSAVE misaligned", GP, 0);
    TRY("movaps (%0), %%xmm0", : : "r"(area + 4) : MEM);
    check_trap("MOVAPS misaligned", GP, 0);
    TRY("movups (%0), %%xmm0", : : "r"(area + 4) : MEM);
    check_trap("MOVUPS misaligned", -1, 0);
    *(u32 *)(area2 + 24) = 0x10000;
    TRY("fxrstor %0", : : "m"(area2) : MEM);
    check_trap("FXRSTOR with a reserved MXCSR bit", GP, 0);
    asm volatile("fninit");
}

void test_prot_fpu(void);
void test_prot_fpu(void)
{
    test_nm();
    test_mf();
    test_pointers();
    test_xm();
    test_fxsave();
}
