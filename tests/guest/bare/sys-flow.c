/*
 * sys-flow.c - what interrupts, faults and stores do to the instructions around them: REP stopped
 * and gone on, code that changes under itself, breakpoints, faults while faults are delivered
 */
#include "lib/desc.h"

#define MEM "memory", "cc"
#define SRC ((volatile u8 *)0x1000000ul)
#define DST ((volatile u8 *)0x2000000ul)
#define MAX_COPY 0x800000ul
#define CODE_AT ((volatile u8 *)0x380000ul)

/* ---- REP ------------------------------------------------------------------------------------- */

static volatile u32 *const lapic = (u32 *)0xfee00000ul;
static u32 hits, odd;
static ulong copied;                     /* what the running REP copies, in bytes */

static u8 rtc_second(void)
{
    outb(0x70, 0);
    return inb(0x71);
}

/* Each interrupt finds count and pointers that belong together, and the instruction to go on with */
static int hook_rep(struct frame *f)
{
    if (f->vec != 0x60)
        return 0;
    if (f->cx) {
        ulong done = copied - f->cx;
        hits++;
        odd += f->di != (ulong)DST + done || f->si != (ulong)SRC + done || *(u8 *)(ulong)f->ip != 0xf3;
        odd += done && DST[done - 1] != SRC[done - 1];
    }
    lapic[0xb0 / 4] = 0;
    return 1;
}

static void test_rep_interrupted(void)
{
    ulong left = 1;
    u32 seconds = 0;
    u8 last = rtc_second();

    for (u32 i = 0; i < MAX_COPY; i += 4)
        *(volatile u32 *)(SRC + i) = i * 2654435761u;
    trap.hook = hook_rep;
    lapic[0xf0 / 4] = 0x1ff;
    lapic[0x3e0 / 4] = 0xb;
    hits = odd = 0;
    /* longer and longer copies: some machines copy faster than their timers are served */
    copied = 0x20000;
    for (u32 round = 0; hits < 5 && seconds < 3; round++) {
        volatile u8 *from = SRC, *to = DST;

        if (round % 16 == 15 && copied < MAX_COPY)
            copied *= 2;
        lapic[0x320 / 4] = 0x20060;
        lapic[0x380 / 4] = 3000 + round * 17;
        left = copied;
        asm volatile("sti\n\trep movsb\n\tcli" : "+c"(left), "+S"(from), "+D"(to) : : MEM);
        lapic[0x380 / 4] = 0;
        asm volatile("sti\n\tnop\n\tcli");
        if (rtc_second() != last) {
            last = rtc_second();
            seconds++;
        }
    }
    trap.hook = 0;
    lapic[0x320 / 4] = 0x10060;
    if (!hits && under_qemu_tcg())
        skip("REP MOVSB under a timer: interrupted", "no interrupt fell into it in three seconds");
    else
        check("REP MOVSB under a timer: interrupted", hits > 0, 1);
    check("registers at each interrupt agree with memory", odd, 0);
    check("it runs to its end", left, 0);
    for (u32 i = 0; i < copied; i++)
        odd += DST[i] != SRC[i];
    check("every byte arrives", odd, 0);
}

/* ---- code that changes ------------------------------------------------------------------------ */

static u32 run(volatile u8 *at)
{
    u32 v;
    asm volatile("call *%1" : "=a"(v) : "r"(at) : "ecx", "edx", MEM);
    return v;
}
static void put_mov(volatile u8 *p, u8 v) /* mov $v, %eax; ret */
{
    bytes_copy((void *)p, "\xb8\0\0\0\0\xc3", 6);
    p[1] = v;
}

static void test_changed_code(void)
{
    u32 sum = 0, v;

    put_mov(CODE_AT, 1);
    sum = run(CODE_AT);
    {
        static u8 image[6] = { 0xb8, 7, 0, 0, 0, 0xc3 };
        u8 *s = image;
        volatile u8 *d = CODE_AT;
        ulong n = 6;
        asm volatile("rep movsb" : "+S"(s), "+D"(d), "+c"(n) : : MEM);
    }
    check("REP MOVSB over code", sum * 16 + run(CODE_AT), 0x17);
    /* rep stosd; nop x4; ret: the store makes the first two nops INC EAX */
    bytes_copy((void *)CODE_AT, "\xf3\xab\x90\x90\x90\x90\xc3", 7);
    {
        volatile u8 *d = CODE_AT + 2;
        ulong n = 1;
        asm volatile("call *%3" : "=a"(v), "+c"(n), "+D"(d) : "r"(CODE_AT), "0"(0x9090c0ff) : "edx", MEM);
    }
    check("REP STOSD over the next instruction", v, 0x9090c100);
    /* mov imm, (next + 1); mov $5, %eax; ret: in the same page, in one block */
    sum = 0;
    for (u32 k = 0; k < 50; k++) {
        volatile u8 *d = CODE_AT + 4;
        bytes_copy((void *)CODE_AT, "\x89\x0f\x90\xb8\5\0\0\0\xc3", 9); /* mov %ecx, (%edi) */
        asm volatile("call *%2" : "=a"(v), "+c"(k) : "r"(CODE_AT), "D"(d) : "edx", MEM);
        sum += v != k;
    }
    check("the instruction behind a store", sum, 0);
}

static u32 be(u32 v) { return __builtin_bswap32(v); }

/* The firmware configuration device reads its signature into the immediate of a MOV */
static void test_dma(void)
{
    static volatile u32 request[4] __attribute__((aligned(16)));
    u32 features = 0;

    outb(0x510, 1);
    outb(0x511, 0);
    asm volatile("outw %w0, %w1" : : "a"(1), "d"(0x510));
    for (u32 i = 0; i < 4; i++)
        features |= (u32)inb(0x511) << 8 * i;
    if (features & ~3u || !(features & 2)) {
        skip("code changed by DMA", "no fw_cfg device with DMA");
        return;
    }
    put_mov(CODE_AT, 1);
    for (u32 i = 0; i < 50; i++)
        run(CODE_AT);
    request[0] = be(8 | 2); /* select item 0, read */
    request[1] = be(4);
    request[2] = 0;
    request[3] = be((u32)(ulong)CODE_AT + 1);
    asm volatile("outl %0, %w1" : : "a"(0), "d"(0x514) : "memory");
    asm volatile("outl %0, %w1" : : "a"(be((u32)(ulong)request)), "d"(0x518) : "memory");
    for (u32 i = 0; i < 1000000 && request[0]; i++)
        ;
    check("code changed by DMA", run(CODE_AT), 0x554d4551);
}

/* ---- breakpoints ------------------------------------------------------------------------------- */

static u32 n_db;
static ulong db_ip[4], db_dr6[4];

static int hook_db(struct frame *f)
{
    if (f->vec != DB)
        return 0;
    if (n_db < 4) {
        db_ip[n_db] = f->ip;
        db_dr6[n_db] = read_dr6();
    }
    n_db++;
    write_dr6(0);
    f->flags |= FL_RF;
    return 1;
}

#define DB_CASE(dr7, text, ...) \
    do { \
        n_db = 0; \
        write_dr6(0); \
        write_dr7((dr7) | 0x400); \
        TRY(text, __VA_ARGS__); \
        write_dr7(0x400); \
    } while (0)

static u64 cell[4] __attribute__((aligned(32), used));

static void test_breakpoints(void)
{
    ulong want, addr;

    trap.hook = hook_db;
    asm volatile("mov $1f, %0\n\tjmp 2f\n1:\tnop\n\tret\n2:" : "=r"(addr));
    write_dr0(addr);
    DB_CASE(2, "call *%0", : : "r"(addr) : MEM);
    check("execution: once, before the instruction", n_db == 1 && db_ip[0] == addr, 1);
    check("execution: DR6.B0", db_dr6[0] & 0xf, 1);
    write_dr0((ulong)&cell[1]);
    write_dr1((ulong)&cell[1] + 4);
    DB_CASE(0x00dd000a, "movl $1, 4(%1)\n\tmov $1f, %0\n1:\tmov 8(%1), %%eax", : "=&r"(want) : "r"(cell) : "eax", MEM);
    check("write: not elsewhere, not by reads", n_db, 0);
    DB_CASE(0x00dd000a, "mov $1f, %0\n\tmovl $1, 10(%1)\n1:\tnop", : "=&r"(want) : "r"(cell) : MEM);
    check("write across both: one trap behind it", n_db == 1 && db_ip[0] == want, 1);
    check("write across both: DR6.B0 and B1", db_dr6[0] & 0xf, 3);
    DB_CASE(0x00ff000a, "mov $1f, %0\n\tmovb 12(%1), %%al\n1:\tnop", : "=&r"(want) : "r"(cell) : "eax", MEM);
    check("read: the second only", n_db == 1 && db_ip[0] == want && (db_dr6[0] & 2), 1);
    DB_CASE(0x00dd000a, "mov %1, %%" DI_REG "\n\tmov $8, %%ecx\n\trep stosl", : "=&r"(want) : "r"(cell) : "ecx", "edi", MEM);
    check("REP STOS: a trap after each element that hits", n_db, 2);
    write_cr4(read_cr4() | CR4_DE);
    write_dr0(0x80);
    DB_CASE(0x00020002, "mov $1f, %0\n\tout %%al, $0x80\n1:\tin $0x81, %%al", : "=&r"(want) : : "eax", MEM);
    check("I/O: one trap behind OUT", n_db == 1 && db_ip[0] == want, 1);
    DB_CASE(0x00060002, "inw $0x80, %%ax", : : : "eax", MEM);
    check("I/O: a word from its port", n_db, 1);
    write_cr4(read_cr4() & ~(ulong)CR4_DE);
    trap.hook = 0;
}

/* ---- faults while a fault is delivered: SDM vol. 3, table 6-5 --------------------------------- */

enum { BENIGN, CONTRIBUTORY, PAGE };

static void raise(u32 vec)
{
    switch (vec) {
    case UD: TRY("ud2", : : : MEM); break;
    case DE: TRY("xor %%ecx, %%ecx\n\tdiv %%ecx", : : : "eax", "ecx", "edx", MEM); break;
    case GP: TRY("mov %0, %%fs", : : "r"(GDT_BYTES) : MEM); break;
#ifdef __x86_64__
    case PF: TRY("mov (%0), %%eax", : : "r"(1ul << 46) : "eax", MEM); break;
#endif
    }
}

static void test_double_faults(void)
{
    static const u8 first[] = { UD, DE, GP, PF }, kind[] = { BENIGN, CONTRIBUTORY, CONTRIBUTORY, PAGE };
    static const u8 second[] = { NP, GP, PF };
    u32 wrong = 0;
#ifdef __x86_64__
    u32 n = 4, m = 3;

    tss.ist[1] = 1ul << 46;
#else
    u32 n = 3, m = 2;
#endif
    for (u32 i = 0; i < n; i++)
        for (u32 k = 0; k < m; k++) {
            u32 vec = first[i], both = kind[i] == CONTRIBUTORY ? second[k] != PF : kind[i] == PAGE;
            int want = both ? DF : second[k];
            u32 err = both ? 0 : second[k] == NP ? vec * 8 + 3 : second[k] == GP ? 1 : PFE_W;

            idt_set(vec, second[k] == GP ? 0 : SEL_CODE, stub_of(vec), second[k] == NP ? G_INT & ~0x80 : G_INT,
                    second[k] == PF ? 2 : 0);
            raise(vec);
            idt_default(vec);
            if (trap.vec == want && trap.err == err)
                continue;
            wrong++;
            put_str("# first ");
            put_hex(vec);
            put_str(" second ");
            put_hex(second[k]);
            put_str(": vector ");
            put_hex((u64)(long)trap.vec);
            put_str(" error ");
            put_hex(trap.err);
            put_char('\n');
        }
    check("a fault while a fault is delivered", wrong, 0);
}

void test_sys_flow(void);
void test_sys_flow(void)
{
    test_rep_interrupted();
    test_changed_code();
    test_dma();
    test_breakpoints();
    test_double_faults();
}
