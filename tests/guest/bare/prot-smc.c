/* prot-smc.c - self-modifying code: next instruction, same page, data page, remapped page */
#include "lib/desc.h"

#define MEM "memory", "cc"
#define BUF ((volatile u8 *)0x300000)

static u32 run(u32 at)
{
    u32 v;
    asm volatile("call *%1" : "=a"(v) : "r"(at) : "ecx", "edx", "memory", "cc");
    return v;
}
static void put_mov(volatile u8 *p, u8 v) /* mov $v, %eax; ret */
{
    bytes_copy((void *)p, "\xb8\0\0\0\0\xc3", 6);
    p[1] = v;
}

static void test_stores(void)
{
    u32 v, sum = 0;

    put_mov(BUF, 1);
    check("code in a data page", run((u32)BUF), 1);
    put_mov(BUF, 2);
    check("patched", run((u32)BUF), 2);
    for (u32 i = 0; i < 200; i++) {
        BUF[1] = (u8)i;
        sum += run((u32)BUF);
    }
    check("patched 200 times", sum, 199 * 200 / 2);
    asm volatile("movl $1f + 1, %%ecx\n\tmovl $77, (%%ecx)\n1:\tmov $5, %0" : "=a"(v) : : "ecx", "memory");
    check("the next instruction", v, 77);
    asm volatile("movl $1f + 1, %%ecx\n\tmovb $78, (%%ecx)\n\tnop\n\tnop\n1:\tmov $5, %0" : "=a"(v) : : "ecx", "memory");
    check("further on in the same block", v, 78);
    /* a loop that changes its own immediate */
    asm volatile("xor %%eax, %%eax\n\tmov $10, %%ecx\n1:\tadd $1, %%eax\n\tincb 1b + 2\n\tdec %%ecx\n\tjnz 1b"
                 : "=a"(v) : : "ecx", "memory", "cc");
    check("a loop that patches itself", v, 55);
    /* REP MOVSB over the code that follows it */
    asm volatile("mov $2f, %%esi\n\tmov $1f, %%edi\n\tmov $5, %%ecx\n\trep movsb\n1:\tmov $1, %%eax\n\tjmp 3f\n2:\tmov $2, %%eax\n3:"
                 : "=a"(v) : : "ecx", "esi", "edi", "memory");
    check("REP MOVSB over what follows", v, 2);
    /* PUSH into code */
    put_mov(BUF, 3);
    run((u32)BUF);
    asm volatile("mov %%esp, %%ebx\n\tmov %0, %%esp\n\tpushl $0x66\n\tmov %%ebx, %%esp" : : "r"(BUF + 5) : "ebx", "memory");
    check("PUSH into code", run((u32)BUF), 0x66);
    put_mov(BUF, 3);
    run((u32)BUF);
    asm volatile("lock addb $4, %0" : "+m"(BUF[1]) : : "cc");
    check("LOCK ADD into code", run((u32)BUF), 7);
    /* data beside code: stores must not lose code, nor be lost */
    for (u32 i = 0; i < 100; i++) {
        *(volatile u32 *)(BUF + 64) = i;
        sum += run((u32)BUF) + *(volatile u32 *)(BUF + 64);
    }
    check("data and code in one page", sum, 199 * 200 / 2 + 700 + 4950);
    for (u32 i = 0; i < 200; i++) {          /* in one line, right before and behind the code */
        BUF[6] = (u8)(i + 1);
        *(volatile u32 *)(BUF + 8) = i * 3;
        BUF[1] = (u8)i;
        sum -= run((u32)BUF) + BUF[6] - (u8)(i + 1) + *(volatile u32 *)(BUF + 8) - i * 3;
    }
    check("data and code in one line", sum, 700 + 4950);
    put_mov(BUF + 0xffd, 0x31);
    check("instruction across pages", run((u32)BUF + 0xffd), 0x31);
    BUF[0xffe] = 0x32;
    check("its first page patched", run((u32)BUF + 0xffd), 0x32);
    BUF[0x1000] = 1;
    check("its second page patched", run((u32)BUF + 0xffd), 0x10032);
    /* a chain of blocks over two pages, the second changed */
    bytes_copy((void *)(BUF + 0x2000), "\xe9\xfb\x0f\x00\x00", 5); /* jmp 0x3000 */
    put_mov(BUF + 0x3000, 9);
    for (u32 i = 0; i < 50; i++)
        run((u32)BUF + 0x2000);
    BUF[0x3001] = 10;
    check("chained target patched", run((u32)BUF + 0x2000), 10);
}

#define PD ((volatile u32 *)0x100000)
#define PT0 ((volatile u32 *)0x101000)

#define BESIDE ((volatile u32 *)0x310100)

/* Stores beside code follow the page tables; 0x310000 is mapped by @slot. */
static void test_beside_remap(volatile u32 *slot)
{
    run(0x310000);
    for (u32 i = 0; i < 3; i++)
        *BESIDE = 0x100 + i;
    check("beside code", *(volatile u32 *)0x311100, 0x102);
    *slot = 0x312003;
    asm volatile("invlpg 0x310000" : : : "memory");
    run(0x310000);
    *BESIDE = 0x200;
    check("beside code, after INVLPG", *(volatile u32 *)0x312100, 0x200);
    check("the page before is as it was", *(volatile u32 *)0x311100, 0x102);
    *slot = 0x311003;
    write_cr3((u32)PD);
    *BESIDE = 0x103;
    check("beside code, after a CR3 load", *(volatile u32 *)0x311100, 0x103);
    check("the page before that is as it was", *(volatile u32 *)0x312100, 0x200);
    /* all code of the page goes, then there is some again */
    for (u32 i = 0; i < 20; i++) {
        put_mov((volatile u8 *)0x310000, (u8)i);
        *BESIDE = i;
        check("beside code that comes and goes", run(0x310000) << 8 | *BESIDE, i << 8 | i);
    }
    put_mov((volatile u8 *)0x310000, 1);
    *BESIDE = 5;                  /* the write map has the page now */
    write_cr0(read_cr0() | CR0_WP);
    *slot = 0x311001;
    asm volatile("invlpg 0x310000" : : : "memory");
    TRY("movl $6, 0x310100", : : : MEM);
    check_trap("beside code, read-only now", PF, 3);
    check("and not changed", *BESIDE, 5);
    *slot = 0x311003;
    asm volatile("invlpg 0x310000" : : : "memory");
    write_cr0(read_cr0() & ~CR0_WP);
}

static void test_remap(void)
{
    volatile u32 *slot = &PT0[0x310];

    for (u32 i = 0; i < 1024; i++) {
        PD[i] = 0;
        PT0[i] = i << 12 | 3;
    }
    PD[0] = (u32)PT0 | 3;
    put_mov((u8 *)0x311000, 0x11);
    put_mov((u8 *)0x312000, 0x12);
    bytes_copy((void *)(BUF + 0x2000), "\xe9\xfb\xdf\x00\x00", 5); /* 0x302000: jmp 0x310000 */
    write_cr3((u32)PD);
    if (!paging_accepted())
        return;
    *slot = 0x311003;
    asm volatile("invlpg 0x310000" : : : "memory");
    check("mapped code", run(0x310000), 0x11);
    for (u32 i = 0; i < 20; i++)
        run(0x302000);
    *slot = 0x312003;
    asm volatile("invlpg 0x310000" : : : "memory");
    check("remapped code", run(0x310000), 0x12);
    check("remapped code, by a chained jump", run(0x302000), 0x12);
    *(volatile u8 *)0x312001 = 0x13; /* by another address of the page */
    check("patched through an alias", run(0x302000), 0x13);
    *slot = 0;
    asm volatile("invlpg 0x310000" : : : "memory");
    TRY("call *%0", : : "r"(0x302000) : "eax", MEM);
    check_trap("unmapped code, by a chained jump", PF, 0);
    *slot = 0x311003;
    write_cr3((u32)PD);
    check("and mapped again", run(0x302000), 0x11);
    test_beside_remap(slot);
    write_cr0(read_cr0() & ~CR0_PG);
}

void test_prot_smc(void);
void test_prot_smc(void)
{
    test_stores();
    test_remap();
}
