/*
 * sys-rows.c - instructions that an unprivileged program cannot run and no other group uses
 *
 * tests/guest/rows.sh proves that each row of the emulator's instruction table runs either in
 * tests/insn or in one of the bare-metal programs.
 */
#include "lib/desc.h"

#define MEM "memory", "cc"

#ifdef __x86_64__
#define SUFFIX "64"
#else
#define SUFFIX ""
#endif

static u8 area[4096] __attribute__((aligned(64))), area2[4096] __attribute__((aligned(64)));
static struct { u32 off; u16 sel; } __attribute__((packed)) far_pointer;

/* ---- ports: the DMA page registers hold bytes, PCI's address register a doubleword ---------- */

#define PAGE_PORT 0x82 /* and 0x83 */
#define PCI_ADDRESS 0xcf8

static void test_ports(void)
{
    u32 v = 0, buf[2] = { 0x80001234, 0 };
    u8 byte[2] = { 0x5a, 0 }, *b = byte;
    u32 *p = buf;

    asm volatile("outw %w0, %1" : : "a"(0xa55a), "i"(PAGE_PORT));
    asm volatile("inw %1, %w0" : "=a"(v) : "i"(PAGE_PORT));
    check("OUT imm8, AX and IN AX, imm8: two byte ports", v & 0xffff, 0xa55a);
    asm volatile("outl %0, %w1" : : "a"(0x80000040), "d"(PCI_ADDRESS));
    asm volatile("inl %w1, %0" : "=a"(v) : "d"(PCI_ADDRESS));
    check("OUT DX, EAX and IN EAX, DX", v, 0x80000040);
    asm volatile("outsb" : "+S"(b) : "d"(PAGE_PORT) : "memory");
    asm volatile("insb" : "+D"(b) : "d"(PAGE_PORT) : "memory");
    check("OUTSB and INSB", byte[1], 0x5a);
    check("their pointers", b - byte, 2);
    asm volatile("outsl" : "+S"(p) : "d"(PCI_ADDRESS) : "memory");
    asm volatile("insl" : "+D"(p) : "d"(PCI_ADDRESS) : "memory");
    check("OUTSD and INSD", buf[1], buf[0]);
    buf[0] = 0x80001000;
    buf[1] = 0x80002000;
    {
        const u32 *s = buf;
        ulong n = 2;
        asm volatile("rep outsl" : "+S"(s), "+c"(n) : "d"(PCI_ADDRESS) : "memory", "cc");
        check("REP OUTSD: count and pointer", (n << 4) | (ulong)(s - buf), 2);
    }
    asm volatile("inl %w1, %0" : "=a"(v) : "d"(PCI_ADDRESS));
    check("REP OUTSD: the last one stays", v, 0x80002000);
    {
        u32 in[3] = { 0, 0, 7 }, *d = in;
        ulong n = 2;
        asm volatile("rep insl" : "+D"(d), "+c"(n) : "d"(PCI_ADDRESS) : "memory", "cc");
        check("REP INSD", in[0] == 0x80002000 && in[1] == in[0] && in[2] == 7 && !n, 1);
    }
}

/* ---- far pointers --------------------------------------------------------------------------- */

CODE(far_ret, ".byte 0xcb");

static void test_far(void)
{
    ulong off;
    u32 sel;

    gdt_set(SEL_SCRATCH, 0, 0xfffff, D_DATA);
    far_pointer.off = 0x12345678;
    far_pointer.sel = SEL_SCRATCH;
    asm volatile("lfs %2, %k0\n\tmov %%fs, %1" : "=r"(off), "=r"(sel) : "m"(far_pointer));
    check("LFS: offset", (u32)off, 0x12345678);
    check("LFS: selector", sel & 0xffff, SEL_SCRATCH);
    asm volatile("lgs %2, %k0\n\tmov %%gs, %1" : "=r"(off), "=r"(sel) : "m"(far_pointer));
    check("LGS: offset and selector", (u64)sel << 32 | (u32)off, (u64)SEL_SCRATCH << 32 | 0x12345678);
    asm volatile("lss %2, %k0\n\tmov %%ss, %1\n\tmov %3, %%ss" : "=&r"(off), "=&r"(sel) : "m"(far_pointer), "r"(SEL_DATA));
    check("LSS: offset and selector", (u64)sel << 32 | (u32)off, (u64)SEL_SCRATCH << 32 | 0x12345678);
#ifndef __x86_64__
    asm volatile("les %2, %k0\n\tmov %%es, %1\n\tmov %3, %%es" : "=&r"(off), "=&r"(sel) : "m"(far_pointer), "r"(SEL_DATA));
    check("LES: offset and selector", (u64)sel << 32 | (u32)off, (u64)SEL_SCRATCH << 32 | 0x12345678);
    asm volatile("lds %2, %k0\n\tmov %%ds, %1\n\tmov %3, %%ds" : "=&r"(off), "=&r"(sel) : "m"(far_pointer), "r"(SEL_DATA));
    check("LDS: offset and selector", (u64)sel << 32 | (u32)off, (u64)SEL_SCRATCH << 32 | 0x12345678);
#endif
    far_pointer.sel = GDT_BYTES;
    TRY("mov $7, %0\n\tlfs %1, %k0", : "=&r"(off) : "m"(far_pointer) : MEM);
    check_trap("LFS beyond the GDT", GP, GDT_BYTES);
    far_pointer.off = (u32)(ulong)far_ret;
    far_pointer.sel = SEL_CODE;
    TRY("lcall *%0", : : "m"(far_pointer) : MEM);
    check_trap("CALL m16:32 and RETF", -1, 0);
    asm volatile("mov %0, %%fs\n\tmov %0, %%gs" : : "r"(SEL_DATA));
}

/* ---- machine state ---------------------------------------------------------------------------- */

static void test_lmsw(void)
{
    ulong v = read_cr0();

    asm volatile("lmsw %w0" : : "r"(v | CR0_TS) : "memory");
    check("LMSW sets TS", read_cr0() & CR0_TS, CR0_TS);
    asm volatile("lmsw %w0" : : "r"(v & ~(ulong)(CR0_TS | CR0_PE)) : "memory");
    check("LMSW clears TS, but not PE", read_cr0() & (CR0_TS | CR0_PE), CR0_PE);
    asm volatile("smsw %0" : "=r"(v));
    check("SMSW shows CR0", (u32)v & 0xffff, read_cr0() & 0xffff);
}

static void test_caches(void)
{
    u32 has = cpuid(1, 0).c;

    TRY("wbinvd", : : : MEM);
    check_trap("WBINVD", -1, 0);
    TRY("invd", : : : MEM);
    check_trap("INVD", -1, 0);
    TRY(".byte 0xf3, 0x0f, 0x09", : : : MEM);
    check_trap("WBNOINVD, or WBINVD where it is not known", -1, 0);
    if (cpuid(0x80000000, 0).a >= 0x80000008 && (cpuid(0x80000008, 0).b & 1)) {
        u32 line[32] __attribute__((aligned(64))) = { [0] = 1, [15] = 2, [16] = 3 };
        TRY(".byte 0x0f, 0x01, 0xfc", : : "a"(&line[3]) : MEM);
        check_trap("CLZERO", -1, 0);
        check("CLZERO clears its line", line[0] | line[15], 0);
        check("CLZERO leaves the next", line[16], 3);
    }
    area[0] = 1;
    TRY("rsm", : : : MEM);
    check_trap("RSM outside SMM", UD, 0);
    if (!(has >> 3 & 1)) {
        TRY("monitor", : : "a"(area), "c"(0), "d"(0) : MEM);
        check_trap("MONITOR, not announced", UD, 0);
        TRY("mwait", : : "a"(0), "c"(0) : MEM);
        check_trap("MWAIT, not announced", UD, 0);
        return;
    }
    NOT_UNDER_QEMU( /* the store makes the wait end, where it waits at all; TCG halts for good */
    TRY("monitor\n\tmovb $2, (%0)\n\txor %%eax, %%eax\n\tmwait", : : "a"(area), "c"(0), "d"(0) : MEM);
    check_trap("MONITOR, store, MWAIT", -1, 0);)
    TRY("monitor", : : "a"(area), "c"(0x80000000), "d"(0) : MEM);
    check_trap("MONITOR with an unknown extension", GP, 0);
    TRY("mwait", : : "a"(0), "c"(0x80000000) : MEM);
    check_trap("MWAIT with an unknown extension", GP, 0);
}

static void test_counters(void)
{
    struct cpuid x = cpuid(0x80000001, 0);
    u32 lo, hi, aux;

    if (x.d >> 27 & 1) {
        wrmsr(0xc0000103, 0x12345678);
        asm volatile("rdtscp" : "=a"(lo), "=d"(hi), "=c"(aux));
        check("RDTSCP: ECX is TSC_AUX", aux, 0x12345678);
        if (cpuid(7, 0).c >> 22 & 1) {
            ulong v;
            asm volatile("rdpid %0" : "=r"(v));
            check("RDPID", v, 0x12345678);
        } else {
            skip("RDPID", "CPUID does not offer it");
        }
    } else {
        skip("RDTSCP", "CPUID does not offer it");
    }
    TRY("rdpmc", : : "c"(0x3fffffff) : "eax", "edx", MEM);
    check_trap("RDPMC of no counter", GP, 0);
}

#define RANDOM(insn) \
    do { \
        ulong all = 0, v; \
        u32 carry = 0, zero_on_failure = 1; \
        TRY(insn " %0", : "=r"(v) : : MEM); \
        check_trap(insn ": is there as CPUID says", -1, 0); \
        if (trap.vec >= 0) \
            break; \
        for (u32 i = 0; i < 100; i++) { \
            u8 cf; \
            asm volatile(insn " %0\n\tsetc %1" : "=r"(v), "=q"(cf) : : "cc"); \
            carry += cf; \
            if (!cf && v) \
                zero_on_failure = 0; \
            all |= v; \
        } \
        check(insn ": CF says success", carry > 0, 1); \
        check(insn ": 0 when there is none", zero_on_failure, 1); \
        check(insn ": every bit", all, (ulong)-1); \
    } while (0)

static void test_random(void)
{
    if (cpuid(1, 0).c >> 30 & 1)
        RANDOM("rdrand");
    else
        skip("RDRAND", "CPUID does not offer it");
    if (has_leaf7(18))
        RANDOM("rdseed");
    else
        skip("RDSEED", "CPUID does not offer it");
}

static void test_bases(void)
{
#ifdef __x86_64__
    ulong v;

    if (!has_leaf7(0)) {
        skip("RDGSBASE", "CPUID does not offer it");
        return;
    }
    write_cr4(read_cr4() | CR4_FSGSBASE);
    asm volatile("wrgsbase %0" : : "r"(0x7fffdeadbeeful));
    asm volatile("rdgsbase %0" : "=r"(v));
    check("WRGSBASE, RDGSBASE", v, 0x7fffdeadbeeful);
    asm volatile("wrgsbase %k0" : : "r"(0x89abcdef));
    check("WRGSBASE of 32 bits", rdmsr(0xc0000101), 0x89abcdef);
    asm volatile("wrgsbase %0" : : "r"(0ul));
    write_cr4(read_cr4() & ~(ulong)CR4_FSGSBASE);
#endif
}

/* ---- state images ------------------------------------------------------------------------------ */

static void test_x87_images(void)
{
    static float three = 3;
    float f = 0;
    u16 sw;

    write_cr0((read_cr0() & ~(ulong)(CR0_EM | CR0_TS)) | CR0_MP | CR0_NE);
    write_cr4(read_cr4() | CR4_OSFXSR | CR4_OSXMMEXCPT);
    asm volatile("fninit\n\tfld1\n\tflds %1\n\tfnstenv %0" : "=m"(area) : "m"(three));
    check("FNSTENV: control word", *(u16 *)area, 0x37f);
    check("FNSTENV: top of stack", *(u16 *)(area + 4) >> 11 & 7, 6);
    check("FNSTENV: tags", *(u16 *)(area + 8), 0x0fff);
    *(u16 *)area = 0x37f & ~0xc00;
    asm volatile("fninit\n\tfldenv %1\n\tfnstcw %0" : "=m"(sw) : "m"(area));
    check("FLDENV: control word", sw, 0x37f & ~0xc00);
    asm volatile("fnstsw %0" : "=m"(sw));
    check("FLDENV: status word", sw >> 11 & 7, 6);
    asm volatile("fninit\n\tfld1\n\tflds %1\n\tfnsave %0" : "=m"(area) : "m"(three));
    check("FNSAVE: ST0 comes first", *(u64 *)(area + 28), 0xc000000000000000);
    check("FNSAVE: ST1 follows", *(u64 *)(area + 38), 0x8000000000000000);
    asm volatile("fnstsw %0" : "=m"(sw));
    check("FNSAVE initialises", sw, 0);
    asm volatile("frstor %1\n\tfstps %0\n\tfninit" : "=m"(f) : "m"(area));
    check("FRSTOR brings it back", *(u32 *)&f, 0x40400000);
}

#define XIMAGE(insn, to, mask) \
    TRY(insn SUFFIX " (%0)", : : "r"(to), "a"((u32)(mask)), "d"((u32)((u64)(mask) >> 32)) : MEM)

static void set_xmm(u32 v)
{
    asm volatile("movd %0, %%xmm3\n\tpshufd $0, %%xmm3, %%xmm3" : : "r"(v));
}
static u32 get_xmm(void)
{
    u32 v;
    asm volatile("movd %%xmm3, %0" : "=r"(v));
    return v;
}

static void test_xsave(void)
{
    u32 sub = cpuid(0xd, 1).a;
    u32 lo, hi;

    if (!(cpuid(1, 0).c >> 26 & 1)) {
        skip("XSAVE", "CPUID does not offer it");
        return;
    }
    write_cr4(read_cr4() & ~(ulong)CR4_OSXSAVE);
    TRY("xgetbv", : : "c"(0) : "eax", "edx", MEM);
    check_trap("XGETBV without OSXSAVE", UD, 0);
    XIMAGE("xsave", area, 3);
    check_trap("XSAVE without OSXSAVE", UD, 0);
    write_cr4(read_cr4() | CR4_OSXSAVE);
    TRY("xsetbv", : : "c"(0), "a"(3), "d"(0) : MEM);
    check_trap("XSETBV", -1, 0);
    TRY("xgetbv", : "=a"(lo), "=d"(hi) : "c"(0) : MEM);
    check_trap("XGETBV: is there as CPUID says", -1, 0);
    if (trap.vec >= 0)
        return;
    check("XGETBV: what was set", (u64)hi << 32 | lo, 3);
    TRY("xsetbv", : : "c"(0), "a"(2), "d"(0) : MEM);
    check_trap("XSETBV without x87", GP, 0);
    TRY("xsetbv", : : "c"(1), "a"(3), "d"(0) : MEM);
    check_trap("XSETBV of XCR1", GP, 0);
    if (cpuid(0xd, 0).a >> 2 & 1) {
        TRY("xsetbv", : : "c"(0), "a"(5), "d"(0) : MEM);
        check_trap("XSETBV: AVX without SSE", GP, 0);
    }
    bytes_set(area, 0, sizeof(area));
    set_xmm(0x1234);
    XIMAGE("xsave", area, 3);
    check("XSAVE: XSTATE_BV", *(u64 *)(area + 512) & 2, 2);
    check("XSAVE: XMM3", *(u32 *)(area + 160 + 3 * 16 + 12), 0x1234);
    set_xmm(0);
    XIMAGE("xrstor", area, 2);
    check("XRSTOR: XMM3", get_xmm(), 0x1234);
    *(u64 *)(area + 512) = 0;
    XIMAGE("xrstor", area, 2);
    check("XRSTOR: absent state is initialised", get_xmm(), 0);
    *(u64 *)(area + 512) = 1ull << 62;
    XIMAGE("xrstor", area, 3);
    check_trap("XRSTOR: unknown state", GP, 0);
    *(u64 *)(area + 512) = 2;
    area[528] = 1;
    XIMAGE("xrstor", area, 3);
    check_trap("XRSTOR: header not 0", GP, 0);
    XIMAGE("xsave", area + 8, 3);
    check_trap("XSAVE misaligned", GP, 0);
    if (sub & 1) {
        bytes_set(area2, 0, sizeof(area2));
        set_xmm(0x2345);
        XIMAGE("xsaveopt", area2, 2);
        check("XSAVEOPT: XMM3", *(u32 *)(area2 + 160 + 3 * 16), 0x2345);
    } else {
        skip("XSAVEOPT", "CPUID does not offer it");
    }
    if (sub & 2) {
        bytes_set(area2, 0, sizeof(area2));
        set_xmm(0x3456);
        XIMAGE("xsavec", area2, 2);
        check("XSAVEC: compacted", *(u64 *)(area2 + 520), 1ull << 63 | 2);
        set_xmm(0);
        XIMAGE("xrstor", area2, 2);
        check("XRSTOR of a compacted image", get_xmm(), 0x3456);
        *(u64 *)(area2 + 512) |= 1;
        XIMAGE("xrstor", area2, 3);
        check_trap("compacted: state that the format lacks", GP, 0);
    } else {
        skip("XSAVEC", "CPUID does not offer it");
    }
    if (sub & 8) {
        bytes_set(area2, 0, sizeof(area2));
        set_xmm(0x4567);
        XIMAGE("xsaves", area2, 2);
        check("XSAVES: compacted", *(u64 *)(area2 + 520), 1ull << 63 | 2);
        set_xmm(0);
        XIMAGE("xrstors", area2, 2);
        check("XRSTORS", get_xmm(), 0x4567);
        *(u64 *)(area2 + 520) = 0;
        XIMAGE("xrstors", area2, 2);
        check_trap("XRSTORS of a standard image", GP, 0);
    } else {
        skip("XSAVES", "CPUID does not offer it");
    }
    write_cr0(read_cr0() | CR0_TS);
    XIMAGE("xsave", area, 3);
    check_trap("XSAVE with TS", NM, 0);
    write_cr0(read_cr0() & ~(ulong)CR0_TS);
}

static void test_pkru(void)
{
    u32 v, hi;

    if (!(cpuid(7, 0).c >> 3 & 1)) {
        skip("PKRU", "CPUID does not offer it");
        return;
    }
    TRY("rdpkru", : : "c"(0) : "eax", "edx", MEM);
    check_trap("RDPKRU without CR4.PKE", UD, 0);
    write_cr4(read_cr4() | 1 << 22);
    TRY("wrpkru", : : "a"(0x12345678), "c"(0), "d"(0) : MEM);
    check_trap("WRPKRU", -1, 0);
    asm volatile("rdpkru" : "=a"(v), "=d"(hi) : "c"(0), "1"(7));
    check("RDPKRU", (u64)hi << 32 | v, 0x12345678);
    TRY("rdpkru", : : "c"(1) : "eax", "edx", MEM);
    check_trap("RDPKRU with ECX", GP, 0);
    TRY("wrpkru", : : "a"(0), "c"(0), "d"(1) : MEM);
    check_trap("WRPKRU with EDX", GP, 0);
    asm volatile("wrpkru" : : "a"(0), "c"(0), "d"(0));
    write_cr4(read_cr4() & ~(ulong)(1 << 22));
}

void test_sys_rows(void);
void test_sys_rows(void)
{
    test_ports();
    test_far();
    test_lmsw();
    test_caches();
    test_counters();
    test_random();
    test_bases();
    test_x87_images();
    test_xsave();
    test_pkru();
}
