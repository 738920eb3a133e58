/*
 * sys-shadow.c - what comes between two instructions, and what must not: STI and MOV SS, single steps of REP,
 * NMIs behind an IRET; code changed through another address and by the disk controller
 */
#include "lib/desc.h"

#define MEM "memory", "cc"
#define CODE_AT 0x380000ul
#define BUFFER 0x390000ul

static volatile u32 *const lapic = (u32 *)0xfee00000ul;
enum { ID = 0x20 / 4, EOI = 0xb0 / 4, ICR = 0x300 / 4, ICR_HIGH = 0x310 / 4, SVR = 0xf0 / 4 };

static u32 n_hits;
static ulong hit_ip[8], hit_cx[8];

static int note(struct frame *f)
{
    if (n_hits < 8) {
        hit_ip[n_hits] = f->ip;
        hit_cx[n_hits] = f->cx;
    }
    n_hits++;
    return 1;
}

/* ---- STI, HLT ------------------------------------------------------------------------------ */

static int hook_irq(struct frame *f)
{
    if (f->vec != 0x61)
        return 0;
    lapic[EOI] = 0;
    return note(f);
}

static void test_sti(void)
{
    ulong want;

    trap.hook = hook_irq;
    lapic[SVR] = 0x1ff;
    n_hits = 0;
    lapic[ICR] = 0x40061;
    TRY("mov $1f, %0\n\tsti\n\thlt\n1:\tcli", : "=&r"(want) : : MEM);
    check("STI, HLT: the pending interrupt ends the halt", n_hits == 1 && hit_ip[0] == want, 1);
    n_hits = 0;
    lapic[ICR] = 0x40061;
    TRY("mov $1f, %0\n\tsti\n\tsti\n1:\tnop\n\tcli", : "=&r"(want) : : MEM);
    check("STI, STI: the second has no shadow", n_hits == 1 && hit_ip[0] == want, 1);
    n_hits = 0;
    lapic[ICR] = 0x40061;                /* the loop looks for interrupts while they are masked */
    TRY("mov $1f, %0\n\tmov $99, %%ecx\n2:\tdec %%ecx\n\tjnz 2b\n\tsti\n\tnop\n1:\tnop\n\tcli", : "=&r"(want) : : "ecx", MEM);
    check("STI lets in what has been waiting", n_hits == 1 && hit_ip[0] == want, 1);
    n_hits = 0;
    lapic[ICR] = 0x40061;
    TRY("mov $1f, %0\n\tmov $99, %%ecx\n2:\tdec %%ecx\n\tjnz 2b\n\tsti\n\tjmp 1f\n\tud2\n1:\tcli", : "=&r"(want) : : "ecx", MEM);
    check("STI, JMP: behind the jump", n_hits == 1 && hit_ip[0] == want, 1);
    n_hits = 0;
    TRY("sti\n\tnop\n\tnop\n\tcli", : : : MEM);
    check("and none is left", n_hits, 0);
    trap.hook = 0;
}

/* ---- debug traps ---------------------------------------------------------------------------- */

static int hook_db(struct frame *f)
{
    if (f->vec != DB)
        return 0;
    write_dr6(0);
    if (!(f->flags & FL_TF))
        write_dr7(0x400);
    return note(f);
}

static u16 ss_image __attribute__((used, aligned(4))) = SEL_DATA;
static u8 from[8] __attribute__((used)), to[8] __attribute__((used));

static void test_debug(void)
{
    ulong want, behind;

    trap.hook = hook_db;
    n_hits = 0;
    write_dr0((ulong)&ss_image);
    write_dr7(0x00070402);               /* reads and writes of two bytes */
    TRY("mov $1f, %0\n\tmov ss_image, %%ss\n\tnop\n1:\tnop", : "=&r"(want) : : MEM);
    check("MOV SS that hits a breakpoint: the trap waits an instruction", n_hits == 1 && hit_ip[0] == want, 1);
    write_dr7(0x400);
    n_hits = 0;
    TRY("mov $1f, %0\n\tmov %1, %%ecx\n\tpushf\n\tpush $0x102\n\tpopf\n\tmov %%ecx, %%ss\n\tnop\n1:\tpopf", : "=&r"(want) : "i"(SEL_DATA) : "ecx", MEM);
    check("MOV SS under TF: no step behind it", n_hits >= 1 && hit_ip[0] == want, 1);
    n_hits = 0;
    TRY("mov $1f, %0\n\tmov $2f, %1\n\tlea from, %%" SI_REG "\n\tlea to, %%" DI_REG "\n\tmov $3, %%ecx\n\tpushf\n\tpush $0x102\n\t"
        "popf\n1:\trep movsb\n2:\tpopf", : "=&r"(want), "=&r"(behind) : : "ecx", "esi", "edi", MEM);
    check("REP under TF: a step an iteration", n_hits >= 3 && hit_ip[0] == want && hit_ip[1] == want && hit_ip[2] == behind, 1);
    check("REP under TF: counts", hit_cx[0] << 8 | hit_cx[1] << 4 | hit_cx[2], 0x210);
    trap.hook = 0;
}

/* ---- NMI -------------------------------------------------------------------------------------- */

static u32 nmis, depth, deepest;

static void send_nmi(void)
{
    lapic[ICR_HIGH] = lapic[ID];
    lapic[ICR] = 0x4400;
    for (u32 i = 0; i < 1000; i++)
        asm volatile("pause" : : : "memory");
}

/* The first handler has an NMI pending when a fault's handler returns: that IRET lets it in. */
static int hook_nmi(struct frame *f)
{
    if (f->vec == UD) {
        f->ip += 2;
        return 1;
    }
    if (f->vec != 2)
        return 0;
    deepest = ++depth > deepest ? depth : deepest;
    if (++nmis == 1) {
        send_nmi();
        check("an NMI waits in the NMI handler", nmis, 1);
        asm volatile("ud2" : : : "memory");
        check("IRET of a fault in the handler lets it in", nmis, 2);
    }
    depth--;
    return 1;
}

static void test_nmi(void)
{
    trap.hook = hook_nmi;
    send_nmi();
    check("nested, and both end", deepest << 4 | depth, 0x20);
    trap.hook = 0;
}

/* ---- code that changes elsewhere ---------------------------------------------------------------- */

static u32 run(ulong at)
{
    u32 v;
    asm volatile("call *%1" : "=a"(v) : "r"(at) : "ecx", "edx", MEM);
    return v;
}

/* from an odd address on, so that what MOV loads is where a bus master may write */
static void put_code(u32 v)
{
    bytes_copy((void *)(CODE_AT + 1), "\xb8\0\0\0\0\xc3", 6);
    *(volatile u32 *)(CODE_AT + 2) = v;
}

static void test_alias(void)
{
#ifdef __x86_64__
    volatile u64 *pml4 = (volatile u64 *)0x70000ul;
    ulong alias = 3ul << 39;
    u32 wrong = 0;

    pml4[3] = pml4[0];                   /* all of it once more */
    put_code(1);
    for (u32 i = 0; i < 50; i++) {
        *(volatile u32 *)(alias + CODE_AT + 2) = i;
        wrong += run(CODE_AT + 1) != i;
        *(volatile u32 *)(CODE_AT + 2) = ~i;
        wrong += run(alias + CODE_AT + 1) != ~i;
    }
    check("code changed through another address", wrong, 0);
    pml4[3] = 0;
    write_cr3(read_cr3());
#endif
}

static u32 pci_read(u32 reg)
{
    outl(0xcf8, 0x80000900 | reg);       /* 00:01.1, the IDE controller */
    return inl(0xcfc);
}

/* READ DMA of the first sector: its first four bytes go over the immediate of a MOV */
static void test_disk_dma(void)
{
    static volatile u32 prd[4] __attribute__((aligned(64)));
    u16 bm;
    u32 status = 0;

    outb(0x1f6, 0xe0);
    if (pci_read(8) >> 16 != 0x0101 || !(inb(0x1f7) & 0x40) || inb(0x1f7) == 0xff) {
        skip("code changed by the disk controller", "no IDE disk");
        return;
    }
    outl(0xcf8, 0x80000920);
    if (!(inl(0xcfc) & 0xfff0))
        outl(0xcfc, 0xc000);
    bm = inl(0xcfc) & 0xfff0;
    outl(0xcf8, 0x80000904);
    outl(0xcfc, 5);
    put_code(1);
    for (u32 i = 0; i < 50; i++)
        run(CODE_AT + 1);
    prd[0] = CODE_AT + 2;
    prd[1] = 4;
    prd[2] = BUFFER;
    prd[3] = 508 | 0x80000000;
    outl((u16)(bm + 4), (u32)(ulong)prd);
    outb(bm + 2, 6);
    outb(bm, 8);
    outb(0x3f6, 2);                      /* no interrupt */
    outb(0x1f2, 1);
    outb(0x1f3, 0);
    outb(0x1f4, 0);
    outb(0x1f5, 0);
    outb(0x1f7, 0xc8);
    outb(bm, 9);
    for (u32 i = 0; i < 1000000000 && ((inb(0x3f6) & 0x88) || (inb(bm + 2) & 1)); i++)
        status = run(CODE_AT + 1);
    outb(bm, 0);
    check("the disk controller has read", (inb(0x1f7) & 0x89) | (inb(bm + 2) & 2), 0);
    check("code changed by the disk controller", run(CODE_AT + 1), *(volatile u32 *)0xfffe0000ul);
    check("by the whole sector", *(volatile u32 *)BUFFER, *(volatile u32 *)0xfffe0004ul);
    (void)status;
}

void test_sys_shadow(void);
void test_sys_shadow(void)
{
    asm volatile("cli");
    test_sti();
    test_debug();
    test_nmi();
    test_alias();
    test_disk_dma();
}
