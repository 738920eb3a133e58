/* prot-pae.c - PAE paging: NX, reserved bits, the four PDPTEs */
#include "lib/desc.h"

#define MEM "memory", "cc"
#define PDPT ((volatile u64 *)0x110000)
#define PD0 ((volatile u64 *)0x111000)
#define PD1 ((volatile u64 *)0x112000)
#define PT ((volatile u64 *)0x113000) /* maps 0x40000000.. */
#define VA 0x40000000u
#define PA 0x200000u
#define NX (1ull << 63)

enum { P = 1, W = 2, U = 4, A = 0x20, D = 0x40, PS = 0x80 };

static void page(u32 n, u64 bits)
{
    PT[n] = (PA + n * 4096) | bits;
    asm volatile("invlpg (%0)" : : "r"(VA + n * 4096) : "memory");
}

#define READ(a) TRY("movl (%0), %%eax", : : "r"(a) : "eax", MEM)
#define WRITE(a) TRY("movl $0x55, (%0)", : : "r"(a) : MEM)
#define CALL(a) TRY("call *%0", : : "r"(a) : MEM)
CODE(pae_read, "mov 0x40001000, %eax\n\tint $0x80");
CODE(pae_exec, "mov $0x40001000, %eax\n\tcall *%eax\n\tint $0x80");

static void setup(void)
{
    for (u32 i = 0; i < 512; i++) {
        PD0[i] = (u64)i << 21 | P | W | U | PS;
        PD1[i] = 0;
        PT[i] = 0;
    }
    PD1[0] = (u32)PT | P | W | U;
    PDPT[0] = (u32)PD0 | P;
    PDPT[1] = (u32)PD1 | P;
    PDPT[2] = PDPT[3] = 0;
    write_cr4(read_cr4() | CR4_PAE);
    write_cr3((u32)PDPT);
    write_cr0(read_cr0() | CR0_PG | CR0_WP);
}

static void test_entries(void)
{
    page(1, P | W | U);
    READ(VA + 0x1000);
    check_trap("PAE read", -1, 0);
    check("PAE sets A", PT[1] & (A | D), A);
    WRITE(VA + 0x1000);
    check("PAE sets D", PT[1] & (A | D), A | D);
    READ(0x80000000);
    check_trap("PDPTE not present", PF, 0);
    PDPT[2] = (u32)PD0 | P; /* the CPU keeps PDPTEs from the load of CR3 */
    READ(0x80000000);
    check_trap("a PDPTE is not re-read", PF, 0);
    write_cr3((u32)PDPT);
    READ(0x80000000);
    check_trap("but with the next CR3 load", -1, 0);
    PDPT[3] = (u32)PD0 | P | W; /* bit 1 is reserved */
    TRY("mov %0, %%cr3", : : "r"(PDPT) : MEM);
    check_trap("reserved bit in a PDPTE", GP, 0);
    PDPT[3] = 0;
    page(1, P | W | U | 1ull << 52);
    READ(VA + 0x1000);
    check_trap("reserved bit 52 in a PTE", PF, PFE_P | PFE_RSVD);
    page(1, P | W | U | NX);
    READ(VA + 0x1000);
    check_trap("XD is reserved without EFER.NXE", PF, PFE_P | PFE_RSVD);
    PD1[1] = 0x1000 | P | W | PS | 0x2000; /* bit 13 of a 2 MiB entry */
    READ(VA + 0x200000);
    check_trap("reserved bit in a 2 MiB entry", PF, PFE_P | PFE_RSVD);
    PD1[1] = 0;
}

static void test_nx(void)
{
    if (!(cpuid(0x80000001, 0).d >> 20 & 1)) {
        skip("NX", "CPUID does not offer it");
        return;
    }
    wrmsr(0xc0000080, rdmsr(0xc0000080) | 0x800);
    page(1, P | W | U);
    *(volatile u8 *)(VA + 0x1000) = 0xc3;
    CALL(VA + 0x1000);
    check_trap("executable page", -1, 0);
    page(1, P | W | U | NX);
    READ(VA + 0x1000);
    check_trap("NX page reads", -1, 0);
    CALL(VA + 0x1000);
    check_trap("NX page does not run", PF, PFE_P | PFE_I);
    check("its CR2", trap.cr2, VA + 0x1000);
    in_ring3(pae_exec);
    check_trap("NX in ring 3", PF, PFE_P | PFE_I | PFE_U);
    page(1, 0);
    CALL(VA + 0x1000);
    check_trap("fetch from a missing page sets I", PF, PFE_I);
    page(1, P | W | U);
    PD1[0] |= NX;
    write_cr3((u32)PDPT);
    CALL(VA + 0x1000);
    check_trap("NX in the directory", PF, PFE_P | PFE_I);
    PD1[0] &= ~NX;
    /* an instruction that continues on a page that may not run */
    page(1, P | W | U);
    page(2, P | W | U | NX);
    write_cr3((u32)PDPT);
    bytes_copy((void *)(VA + 0x1ffe), "\xb8\x01\x00\x00\x00\xc3", 6); /* mov $1, %eax; ret */
    CALL(VA + 0x1ffe);
    check_trap("instruction crosses into an NX page", PF, PFE_P | PFE_I);
    check("CR2 is the second page", trap.cr2, VA + 0x2000);
    check("EIP is the instruction", trap.ip, VA + 0x1ffe);
    page(2, P | W | U);
    CALL(VA + 0x1ffe);
    check_trap("instruction across two pages", -1, 0);
    wrmsr(0xc0000080, rdmsr(0xc0000080) & ~0x800ull);
}

void test_prot_pae(void);
void test_prot_pae(void)
{
    setup();
    test_entries();
    test_nx();
    write_cr0(read_cr0() & ~(CR0_PG | CR0_WP));
    write_cr4(read_cr4() & ~CR4_PAE);
    write_cr3(0);
}
