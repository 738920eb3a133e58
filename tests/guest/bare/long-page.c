/* long-page.c - 4 level paging: rights at each level, 1 GiB pages, NX, PCID, INVPCID, reserved bits */
#include "lib/desc.h"

#define MEM "memory", "cc"
#define PML4 ((volatile u64 *)0x70000ul)
#define PDPT ((volatile u64 *)0x100000ul) /* of PML4[1] */
#define PD ((volatile u64 *)0x101000ul)
#define PT ((volatile u64 *)0x102000ul)
#define PML4B ((volatile u64 *)0x103000ul)
#define PTB ((volatile u64 *)0x104000ul)
#define PDB ((volatile u64 *)0x105000ul)
#define PDPTB ((volatile u64 *)0x106000ul)
#define VA (1ul << 39)
#define PA 0x200000ul
#define NX (1ull << 63)

enum { P = 1, W = 2, U = 4, A = 0x20, D = 0x40, PS = 0x80, G = 0x100 };

static void page(u32 n, u64 bits)
{
    PT[n] = (PA + n * 4096) | bits;
    asm volatile("invlpg (%0)" : : "r"(VA + n * 4096) : "memory");
}
static void flush(void) { write_cr3(read_cr3()); }

#define READ(a) TRY("movl (%0), %%eax", : : "r"(a) : "eax", MEM)
#define WRITE(a) TRY("movl $0x55, (%0)", : : "r"(a) : MEM)
#define CALL(a) TRY("call *%0", : : "r"(a) : MEM)
CODE(lp_read, "movabs $0x8000001000, %rax\n\tmov (%rax), %eax\n\tint $0x80");
CODE(lp_write, "movabs $0x8000001000, %rax\n\tmovl $1, (%rax)\n\tint $0x80");

static void setup(void)
{
    for (u32 i = 0; i < 512; i++)
        PDPT[i] = PD[i] = PT[i] = PML4B[i] = PTB[i] = PDB[i] = PDPTB[i] = 0;
    PML4[1] = (ulong)PDPT | P | W | U;
    PDPT[0] = (ulong)PD | P | W | U;
    PD[0] = (ulong)PT | P | W | U;
    write_cr0(read_cr0() | CR0_WP);
    flush();
}

static void test_levels(void)
{
    static volatile u64 *const entry[] = { &PML4[1], &PDPT[0], &PD[0], &PT[1] };
    static const char *const names[4][4] = {
        { "PML4E not present", "PML4E read-only", "PML4E supervisor", "PML4E NX" },
        { "PDPTE not present", "PDPTE read-only", "PDPTE supervisor", "PDPTE NX" },
        { "PDE not present", "PDE read-only", "PDE supervisor", "PDE NX" },
        { "PTE not present", "PTE read-only", "PTE supervisor", "PTE NX" },
    };

    page(1, P | W | U);
    *(volatile u8 *)(VA + 0x1000) = 0xc3;
    for (u32 i = 0; i < 4; i++) {
        u64 old = *entry[i];

        *entry[i] = old & ~(u64)P;
        flush();
        READ(VA + 0x1000);
        check_trap(names[i][0], PF, 0);
        *entry[i] = old & ~(u64)W;
        flush();
        WRITE(VA + 0x1000);
        check_trap(names[i][1], PF, PFE_P | PFE_W);
        *entry[i] = old & ~(u64)U;
        flush();
        in_ring3(lp_read);
        check_trap(names[i][2], PF, PFE_P | PFE_U);
        *entry[i] = old | NX;
        flush();
        CALL(VA + 0x1000);
        check_trap(names[i][3], PF, PFE_P | PFE_I);
        *entry[i] = old & ~(u64)A;
        flush();
        *(volatile u8 *)(VA + 0x1000) = 0xc3;
        check(i == 0 ? "PML4E.A" : i == 1 ? "PDPTE.A" : i == 2 ? "PDE.A" : "PTE.A, D",
              *entry[i] & (i == 3 ? A | D : A), i == 3 ? A | D : A);
        *entry[i] = old;
        flush();
    }
    in_ring3(lp_read);
    check_trap("user read", LEAVE_VEC, 0);
    in_ring3(lp_write);
    check_trap("user write", LEAVE_VEC, 0);
    PT[1] |= 1ull << 51;
    flush();
    if ((cpuid(0x80000008, 0).a & 0xff) < 52) {
        READ(VA + 0x1000);
        check_trap("address beyond MAXPHYADDR", PF, PFE_P | PFE_RSVD);
    }
    page(1, P | W | U);
    PML4[1] |= PS;
    flush();
    READ(VA + 0x1000);
    check_trap("PS in a PML4E", PF, PFE_P | PFE_RSVD);
    PML4[1] &= ~(u64)PS;
    flush();
}

static void test_large(void)
{
    *(volatile u64 *)0x3fff008ul = 0xfeedface;
    if (cpuid(0x80000001, 0).d >> 26 & 1) {
        PDPT[1] = 0 | P | W | PS;
        check("1 GiB page", *(volatile u64 *)(VA + (1ul << 30) + 0x3fff008), 0xfeedface);
        check("its A", PDPT[1] & A, A);
        PDPT[1] = 1 << 13 | P | W | PS;
        flush();
        READ(VA + (1ul << 30));
        check_trap("1 GiB page, reserved bit", PF, PFE_P | PFE_RSVD);
        PDPT[1] = 0;
    } else {
        skip("1 GiB pages", "CPUID does not offer them");
    }
    PD[5] = 0x3e00000 | P | W | PS;
    check("2 MiB page", *(volatile u64 *)(VA + 0xa00000 + 0x1ff008), 0xfeedface);
    PD[5] = 0;
    flush();
    page(1, P | W);
    page(2, 0);
    *(volatile u64 *)(VA + 0x1ff8) = 0x1111222233334444;
    TRY("movq $-1, (%0)", : : "r"(VA + 0x1ffc) : MEM);
    check_trap("store crosses into a missing page", PF, PFE_W);
    check("CR2", trap.cr2, VA + 0x2000);
    check("nothing written", *(volatile u64 *)(VA + 0x1ff8), 0x1111222233334444);
    TRY("movups %%xmm0, (%0)", : : "r"(VA + 0x1ff8) : MEM);
    check_trap("16 byte store crosses", PF, PFE_W);
    check("nothing written by it", *(volatile u64 *)(VA + 0x1ff8), 0x1111222233334444);
    TRY("fxsave (%0)", : : "r"(VA + 0x1f00) : MEM);
    check("FXSAVE into a missing page: CR2", trap.cr2, VA + 0x2000);
}

/* A second address space: identity as the first, but another page at VA */
static void test_pcid(void)
{
    volatile u32 *p = (volatile u32 *)(VA + 0x1000);
    struct { u64 pcid, addr; } d = { 0, VA + 0x1000 };
    u32 has = cpuid(1, 0).c >> 17 & 1;

    if (!has || !has_leaf7(10)) {
        skip("PCID and INVPCID", "CPUID does not offer them");
        return;
    }
    PML4B[0] = PML4[0];
    PML4B[1] = (ulong)PDPTB | P | W | U;
    PDPTB[0] = (ulong)PDB | P | W | U;
    PDB[0] = (ulong)PTB | P | W | U;
    PTB[1] = (PA + 0x2000) | P | W | U;
    page(1, P | W | U);
    *(volatile u32 *)(PA + 0x1000) = 0xa;
    *(volatile u32 *)(PA + 0x2000) = 0xb;
    *(volatile u32 *)(PA + 0x3000) = 0xc;
    TRY("mov %0, %%cr4", : : "r"(read_cr4() | CR4_PCIDE) : MEM);
    check_trap("CR4.PCIDE", -1, 0);
    write_cr3((ulong)PML4 | 1);
    check("PCID 1", *p, 0xa);
    write_cr3((ulong)PML4B | 2);
    check("PCID 2", *p, 0xb);
    write_cr3((ulong)PML4 | 1 | 1ull << 63);
    check("back to PCID 1 without a flush", *p, 0xa);
    check("CR3 bit 63 reads 0", read_cr3(), (ulong)PML4 | 1);
    PT[1] = (PA + 0x3000) | P | W | U;
    write_cr3((ulong)PML4 | 1);
    check("CR3 load flushes its PCID", *p, 0xc);
    write_cr3((ulong)PML4B | 2 | 1ull << 63);
    *p;
    PT[1] = (PA + 0x1000) | P | W | U;
    d.pcid = 1;
    asm volatile("invpcid %0, %1" : : "m"(d), "r"(0ul) : "memory"); /* one address of PCID 1 */
    write_cr3((ulong)PML4 | 1 | 1ull << 63);
    check("INVPCID 0 from another PCID", *p, 0xa);
    PT[1] = (PA + 0x2000) | P | W | U;
    asm volatile("invpcid %0, %1" : : "m"(d), "r"(1ul) : "memory");
    check("INVPCID 1", *p, 0xb);
    PT[1] = (PA + 0x3000) | P | W | U | G;
    asm volatile("invpcid %0, %1" : : "m"(d), "r"(3ul) : "memory");
    check("INVPCID 3", *p, 0xc);
    PT[1] = (PA + 0x1000) | P | W | U;
    asm volatile("invpcid %0, %1" : : "m"(d), "r"(2ul) : "memory");
    check("INVPCID 2 drops global pages", *p, 0xa);
    TRY("invpcid %0, %1", : : "m"(d), "r"(4ul) : MEM);
    check_trap("INVPCID 4", GP, 0);
    d.pcid = 0x1000;
    TRY("invpcid %0, %1", : : "m"(d), "r"(1ul) : MEM);
    check_trap("INVPCID with a reserved bit", GP, 0);
    write_cr3((ulong)PML4);
    write_cr4(read_cr4() & ~(ulong)CR4_PCIDE);
    write_cr3((ulong)PML4);
    write_cr3((ulong)PML4 | 1);
    TRY("mov %0, %%cr4", : : "r"(read_cr4() | CR4_PCIDE) : MEM);
    check_trap("CR4.PCIDE while CR3 holds a PCID", GP, 0);
    write_cr3((ulong)PML4);
    page(1, P | W);
}

/* The last page of the lower half is mapped: only the bytes behind it are at fault. */
static void test_canonical_end(void)
{
    PML4[255] = (ulong)PDPTB | P | W;
    PDPTB[511] = (ulong)PDB | P | W;
    PDB[511] = (ulong)PTB | P | W;
    PTB[511] = PA | P | W;
    flush();
    TRY("mov (%0), %%rax", : : "r"(0x00007ffffffffff8ull) : "rax", MEM);
    check_trap("last quadword of the lower half", -1, 0);
    TRY("mov (%0), %%rax", : : "r"(0x00007ffffffffff9ull) : "rax", MEM);
    check_trap("access crosses into the non-canonical hole", GP, 0);
    TRY("movups (%0), %%xmm0", : : "r"(0x00007ffffffffff8ull) : MEM);
    check_trap("16 byte access crosses into it", GP, 0);
    PML4[255] = 0;
    flush();
}

static void test_global(void)
{
    volatile u32 *p = (volatile u32 *)(VA + 0x1000);

    page(1, P | W | G);
    *p = 0x10;
    *(volatile u32 *)(PA + 0x2000) = 0x20;
    PT[1] = (PA + 0x2000) | P | W | G;
    asm volatile("invlpg (%0)" : : "r"(p) : "memory");
    check("INVLPG of a global page", *p, 0x20);
    PT[1] = (PA + 0x1000) | P | W | G;
    write_cr4(read_cr4() & ~(ulong)CR4_PGE);
    write_cr4(read_cr4() | CR4_PGE);
    check("toggling PGE", *p, 0x10);
}

/* What handlers do not use is as it was: XMM, x87 and, behind them, flags, by way of faults and INT n; and
 * what instructions do not touch that are carried out by calls */
static void test_registers_stay(void)
{
    static u64 pair[2] __attribute__((aligned(16)));
    static const u64 want[2] = { 0x0123456789abcdef, 0xfedcba9876543210 };
    u64 got[2] = { 0 }, flags;
    u32 one = 0;

    page(1, 0);
    for (u32 i = 0; i < 20; i++) {      /* translated, chained, delivered in each way that there is */
        TRY("fninit\n\tfld1\n\tmovups (%1), %%xmm9\n\tmov %0, %%rax\n\tstc\n\tmov (%%rax), %%rax", : : "r"(VA + 0x1000), "r"(want) : "rax", MEM);
        flags = trap.flags;
        TRY("int $0x21", : : : MEM);
        TRY("ud2", : : : MEM);
        asm volatile("rdtsc\n\tlock cmpxchg16b %2\n\tmov %%cr0, %%rax\n\tmov %%rax, %%cr0\n\tmovups %%xmm9, %0\n\tfstps %1"
                     : "=m"(got), "=m"(one), "+m"(pair) : "b"(0ul), "c"(0ul) : "eax", "edx", MEM);
    }
    check("XMM9 behind #PF, INT and #UD", got[0] == want[0] && got[1] == want[1], 1);
    check("ST(0) too", one, 0x3f800000);
    check("CF in the fault's frame", flags & 1, 1);
}

void test_long_page(void);
void test_long_page(void)
{
    setup();
    test_levels();
    test_large();
    test_pcid();
    test_canonical_end();
    test_global();
    test_registers_stay();
    write_cr0(read_cr0() & ~(ulong)CR0_WP);
}
