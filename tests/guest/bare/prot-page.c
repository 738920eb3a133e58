/* prot-page.c - 32 bit paging: rights, A/D bits, PSE, WP, SMEP, SMAP, stale entries, crossings */
#include "lib/desc.h"

#define MEM "memory", "cc"
#define PD ((volatile u32 *)0x100000)
#define PT0 ((volatile u32 *)0x101000) /* 0..4 MiB: identity, supervisor */
#define PT1 ((volatile u32 *)0x102000) /* 4..8 MiB: the pages under test, at 2 MiB */
#define PT2 ((volatile u32 *)0x103000) /* 8..12 MiB: 0..4 MiB again, user */
#define USER 0x800000u
#define VA 0x400000u
#define PA 0x200000u

enum { P = 1, W = 2, U = 4, A = 0x20, D = 0x40, PS = 0x80, G = 0x100 };

static void invlpg(u32 a) { asm volatile("invlpg (%0)" : : "r"(a) : "memory"); }
static void pte(u32 n, u32 v)
{
    PT1[n] = v;
    invlpg(VA + n * 4096);
}
static void page(u32 n, u32 rights) { pte(n, (PA + n * 4096) | rights); }

static void setup(void)
{
    for (u32 i = 0; i < 1024; i++) {
        PD[i] = 0;
        PT0[i] = i << 12 | P | W;
        PT1[i] = 0;
        PT2[i] = i << 12 | P | W | U;
    }
    PD[0] = (u32)PT0 | P | W;
    PD[1] = (u32)PT1 | P | W | U;
    PD[2] = (u32)PT2 | P | W | U;
    tss.esp0 = (u32)stack0_top;
    write_cr3((u32)PD);
    write_cr0(read_cr0() | CR0_PG | CR0_WP);
}

static int user(const u8 *code)
{
    trap_arm();
    user_run((u32)code + USER, (u32)stack3_top + USER, 2, SEL_UCODE32, SEL_UDATA);
    return trap.vec;
}

CODE(u_read, "mov 0x401000, %eax\n\tint $0x80");
CODE(u_write, "movl $1, 0x401000\n\tint $0x80");
CODE(u_rmw, "orl $0, 0x401000\n\tint $0x80");
CODE(u_exec, "mov $0x401000, %eax\n\tcall *%eax\n\tint $0x80");
CODE(u_cross, "movl $-1, 0x401ffe\n\tint $0x80");

#define READ(a) TRY("movl (%0), %%eax", : : "r"(a) : "eax", MEM)
#define WRITE(a) TRY("movl $0x55, (%0)", : : "r"(a) : MEM)

static void test_rights(void)
{
    page(1, 0);
    READ(VA + 0x1234);
    check_trap("read, not present", PF, 0);
    check("CR2", trap.cr2, VA + 0x1234);
    WRITE(VA + 0x1234);
    check_trap("write, not present", PF, PFE_W);
    user(u_read);
    check_trap("user read, not present", PF, PFE_U);
    user(u_write);
    check_trap("user write, not present", PF, PFE_U | PFE_W);
    page(1, P | W);
    user(u_read);
    check_trap("user read, supervisor page", PF, PFE_U | PFE_P);
    user(u_write);
    check_trap("user write, supervisor page", PF, PFE_U | PFE_P | PFE_W);
    page(1, P | U);
    user(u_read);
    check_trap("user read, read-only", LEAVE_VEC, 0);
    user(u_write);
    check_trap("user write, read-only", PF, PFE_U | PFE_P | PFE_W);
    user(u_rmw);
    check_trap("user read-modify-write, read-only", PF, PFE_U | PFE_P | PFE_W);
    WRITE(VA + 0x1000);
    check_trap("supervisor write, read-only, WP", PF, PFE_P | PFE_W);
    write_cr0(read_cr0() & ~CR0_WP);
    WRITE(VA + 0x1000);
    check_trap("supervisor write, read-only, no WP", -1, 0);
    write_cr0(read_cr0() | CR0_WP);
    WRITE(VA + 0x1000);
    check_trap("WP again", PF, PFE_P | PFE_W);
    page(1, P | W | U);
    PD[1] &= ~W;
    write_cr3((u32)PD);
    user(u_write);
    check_trap("read-only by the directory", PF, PFE_U | PFE_P | PFE_W);
    PD[1] = (u32)PT1 | P | W;
    write_cr3((u32)PD);
    user(u_read);
    check_trap("supervisor by the directory", PF, PFE_U | PFE_P);
    PD[1] = 0;
    write_cr3((u32)PD);
    READ(VA + 0x1000);
    check_trap("directory entry not present", PF, 0);
    PD[1] = (u32)PT1 | P | W | U;
    write_cr3((u32)PD);
    page(1, P | W | U);
    *(volatile u8 *)(VA + 0x1000) = 0xc3;
    user(u_exec);
    check_trap("user executes", LEAVE_VEC, 0);
    page(1, P | W);
    user(u_exec);
    check_trap("user executes a supervisor page (no NX: no I bit)", PF, PFE_U | PFE_P);
}

static void test_accessed(void)
{
    page(1, P | W | U);
    PD[1] &= ~A;
    write_cr3((u32)PD);
    READ(VA + 0x1000);
    check("read sets A, not D", PT1[1] & (A | D), A);
    check("read sets A in the directory", PD[1] & A, A);
    WRITE(VA + 0x1000);
    check("write sets D", PT1[1] & (A | D), A | D);
    page(1, P | U);
    WRITE(VA + 0x1000);
    check("a write that faults does not set D", PT1[1] & D, 0);
    page(1, P | W | U);
    user(u_write);
    check("user write sets A and D", PT1[1] & (A | D), A | D);
    page(1, P | W | U);
    READ(VA + 0x1000);
    PT1[1] &= ~(A | D);
    invlpg(VA + 0x1000);
    READ(VA + 0x1000);
    check("A is set again after INVLPG", PT1[1] & A, A);
}

static void test_cross(void)
{
    volatile u32 *last = (volatile u32 *)(VA + 0x1ffc);

    page(1, P | W | U);
    page(2, 0);
    *last = 0x11223344;
    WRITE(VA + 0x1ffe);
    check_trap("store crosses into a missing page", PF, PFE_W);
    check("CR2 is in the second page", trap.cr2, VA + 0x2000);
    check("the first page is unchanged", *last, 0x11223344);
    TRY("orl $-1, (%0)", : : "r"(VA + 0x1ffe) : MEM);
    check("read-modify-write: unchanged as well", *last, 0x11223344);
    user(u_cross);
    check("user store: unchanged", *last, 0x11223344);
    page(2, P | U);
    TRY("lock orl $-1, (%0)", : : "r"(VA + 0x1ffe) : MEM);
    check_trap("locked, second page read-only", PF, PFE_P | PFE_W);
    check("unchanged", *last, 0x11223344);
    page(1, 0);
    page(2, P | W | U);
    WRITE(VA + 0x1ffe);
    check("first page missing: CR2", trap.cr2, VA + 0x1ffe);
    page(1, P | W | U);
    WRITE(VA + 0x1ffe);
    check_trap("both there", -1, 0);
    check("low half", *last >> 16, 0x55);
    page(2, 0);
    TRY("rep movsb", : : "S"(0x1000), "D"(VA + 0x1ff0), "c"(0x20) : MEM);
    check("REP MOVSB stops at the page", trap.frame.cx, 0x10);
    check("its EDI", trap.frame.di, VA + 0x2000);
    TRY("rep stosl", : : "a"(0), "D"(VA + 0x1ff2), "c"(8) : MEM);
    check("REP STOSD stops before the crossing", trap.frame.cx, 5);
    TRY("rep lodsl", : : "S"(VA + 0x1ff0), "c"(8) : "eax", MEM);
    check("REP LODSD stops at the page", trap.frame.cx, 4);
    check("CR2 of REP LODSD", trap.cr2, VA + 0x2000);
}

static void test_stale(void)
{
    volatile u32 *a = (volatile u32 *)(VA + 0x1000), *b = (volatile u32 *)(VA + 0x2000);

    page(1, P | W | U);
    page(2, P | W | U);
    *a = 0xaaaa;
    *b = 0xbbbb;
    pte(1, (PA + 0x2000) | P | W | U);
    check("INVLPG: remapped", *a, 0xbbbb);
    page(1, P | W | U);
    check("and back", *a, 0xaaaa);
    PT1[1] = (PA + 0x2000) | P | W | U;
    write_cr3((u32)PD);
    check("CR3 load: remapped", *a, 0xbbbb);
    PT1[1] = (PA + 0x1000) | P | W | U;
    write_cr0(read_cr0() & ~CR0_PG);
    write_cr0(read_cr0() | CR0_PG);
    check("PG off and on: remapped", *a, 0xaaaa);
    write_cr4(read_cr4() | CR4_PGE);
    PT1[1] = (PA + 0x1000) | P | W | U | G;
    invlpg((u32)a);
    check("global page", *a, 0xaaaa);
    PT1[1] = (PA + 0x2000) | P | W | U | G;
    invlpg((u32)a);
    check("INVLPG drops a global page", *a, 0xbbbb);
    PT1[1] = (PA + 0x1000) | P | W | U | G;
    write_cr4(read_cr4() & ~CR4_PGE);
    check("toggling PGE drops global pages", *a, 0xaaaa);
    page(1, 0);
    READ((u32)a);
    PT1[1] = (PA + 0x1000) | P | W | U; /* no INVLPG: misses are not cached */
    READ((u32)a);
    check_trap("a fault leaves no stale entry", -1, 0);
    PT1[1] = (PA + 0x1000) | P | U;
    invlpg((u32)a);
    READ((u32)a);
    PT1[1] |= W; /* the fault drops the entry */
    WRITE((u32)a);
    WRITE((u32)a);
    check_trap("more rights need no INVLPG after a fault", -1, 0);
}

static void test_pse(void)
{
    write_cr4(read_cr4() | CR4_PSE);
    *(volatile u32 *)0x3ff000 = 0xcafe;
    PD[3] = 0 | P | W | U | PS;
    write_cr3((u32)PD);
    check("4 MiB page", *(volatile u32 *)0xfff000, 0xcafe);
    check("A in its entry", PD[3] & (A | D), A);
    *(volatile u32 *)0xfff000 = 0xcaff;
    check("D in its entry", PD[3] & D, D);
    PD[3] = 0x800000 | P | W | U | PS | 1 << 21; /* bit 21 is reserved */
    write_cr3((u32)PD);
    READ(0xc00000);
    check_trap("reserved bit in a 4 MiB page", PF, PFE_P | PFE_RSVD);
    PD[3] = 0;
    write_cr4(read_cr4() & ~CR4_PSE);
    write_cr3((u32)PD);
}

static void test_smep_smap(void)
{
    page(1, P | W | U);
    *(volatile u8 *)(VA + 0x1000) = 0xc3;
    TRY("call *%0", : : "r"(VA + 0x1000) : MEM);
    check_trap("supervisor runs a user page", -1, 0);
    if (has_leaf7(7)) {
        write_cr4(read_cr4() | CR4_SMEP);
        TRY("call *%0", : : "r"(VA + 0x1000) : MEM);
        check_trap("SMEP", PF, PFE_P | PFE_I);
        user(u_exec);
        check_trap("SMEP: the user may", LEAVE_VEC, 0);
        write_cr4(read_cr4() & ~CR4_SMEP);
        TRY("call *%0", : : "r"(VA + 0x1000) : MEM);
        check_trap("SMEP off", -1, 0);
    } else {
        skip("SMEP", "CPUID does not offer it");
    }
    if (!has_leaf7(20)) {
        skip("SMAP", "CPUID does not offer it");
        return;
    }
    TRY("clac", : : : MEM);
    check_trap("CLAC without CR4.SMAP", -1, 0); /* only CPUID decides */
    write_cr4(read_cr4() | CR4_SMAP);
    READ(VA + 0x1000);
    check_trap("SMAP: read", PF, PFE_P);
    WRITE(VA + 0x1000);
    check_trap("SMAP: write", PF, PFE_P | PFE_W);
    TRY("stac\n\tmovl (%0), %%eax\n\tclac", : : "r"(VA + 0x1000) : "eax", MEM);
    check_trap("SMAP: STAC allows", -1, 0);
    READ(VA + 0x1000);
    check_trap("SMAP: CLAC forbids", PF, PFE_P);
    TRY("stac\n\tmovl (%0), %%eax\n\tclac\n\tmovl (%0), %%eax", : : "r"(VA + 0x1000) : "eax", MEM);
    check_trap("SMAP: CLAC forbids the next access", PF, PFE_P);
    user(u_read);
    check_trap("SMAP: the user may", LEAVE_VEC, 0);
    TRY("stac\n\tint $0x21", : : : MEM);
    check("STAC sets AC", trap.flags & FL_AC, FL_AC);
    TRY("call *%0", : : "r"(VA + 0x1000) : MEM);
    check_trap("SMAP does not forbid execution", -1, 0);
    write_cr4(read_cr4() & ~CR4_SMAP);
}

/* A fault while the CPU itself reads a table or pushes is a supervisor access. */
static void test_implicit(void)
{
    struct table_reg old, moved;
    u64 *idt2 = (u64 *)(VA + 0x3000);

    asm volatile("sidt %0" : "=m"(old));
    page(3, P | W);
    bytes_copy(idt2, (void *)old.base, old.limit + 1);
    moved.base = (u32)idt2;
    moved.limit = old.limit;
    asm volatile("lidt %0" : : "m"(moved));
    trap_arm();
    user(u_read);
    check("IDT on a supervisor page serves ring 3", trap.vec, LEAVE_VEC);
    asm volatile("lidt %0" : : "m"(old));
}

void test_prot_page(void);
void test_prot_page(void)
{
    setup();
    test_rights();
    test_accessed();
    test_cross();
    test_stale();
    test_pse();
    test_smep_smap();
    test_implicit();
    write_cr0(read_cr0() & ~(CR0_PG | CR0_WP));
    write_cr3(0);
}
