/*
 * sys-cross.c - accesses of every kind across a page boundary with one page missing
 *
 * Each kind runs with the first and with the second page absent, then read-only. It must raise
 * #PF with the address of the first byte that could not be accessed (CR2) and leave
 * the stack pointer and the page that is there as they were: faults are precise
 * (SDM vol. 3, "Program or Task Restart" 6.6).
 */
#include "lib/desc.h"

#define MEM "memory", "cc"
#define PHYS 0x180000u       /* two pages */
#define TABLE(n) ((volatile u8 *)(ulong)(0x100000 + (n) * 0x1000))

#ifdef __x86_64__
#define VA (1ul << 39)
#define ENTRY(n) (((volatile u64 *)TABLE(2))[n])
#define WORD_BYTES 8
#else
#define VA 0x400000ul
#define ENTRY(n) (((volatile u32 *)TABLE(1))[n])
#define WORD_BYTES 4
#endif
#define EDGE (VA + 0x1000)
enum { P = 1, W = 2, U = 4, PS = 0x80 };

enum { LOADS = 1, STORES = 2, RMW = 3, FAULTS_ONLY = 4 };

static u32 kinds, bad_kinds;

/* One kind: @text uses %0, the address; memory must not change when it faults */
#define KIND(kind_name, bytes, what, text) \
    do { \
        for (u32 missing = 0; missing < 2; missing++) \
            for (u32 before = 1; before < (bytes); before += (bytes) > 16 ? 37 : 1) { \
                ulong at = EDGE - before; \
                prepare(missing, 0); \
                TRY(text, : : "r"(at) : CLOBBERS); \
                verdict(kind_name, missing ? at : EDGE, (what) & STORES ? PFE_W : 0, (what) == RMW, missing); \
                if (!((what) & STORES)) \
                    continue; \
                prepare(missing, 1); \
                TRY(text, : : "r"(at) : CLOBBERS); \
                verdict(kind_name, missing ? at : EDGE, PFE_P | PFE_W, 0, missing); \
            } \
        kinds++; \
        if ((what) & FAULTS_ONLY) \
            break; \
        prepare(2, 0); \
        TRY(text, : : "r"(EDGE - 1) : CLOBBERS); \
        if (trap.vec != -1) \
            complain(kind_name, ": both there, vector ", (u64)trap.vec); \
    } while (0)
#define CLOBBERS "eax", "ecx", "edx", "esi", "edi", "memory", "cc"

static void complain(const char *name, const char *what, u64 got)
{
    if (++bad_kinds > 6)
        return;
    put_str("# ");
    put_str(name);
    put_str(what);
    put_hex(got);
    put_char('\n');
}

static void map(u32 page, u32 bits)
{
    ENTRY(page) = (PHYS + page * 4096) | bits;
    asm volatile("invlpg (%0)" : : "r"(VA + page * 4096) : "memory");
}

/* @which: 1 the first page is missing, 0 the second, 2 none; or is read-only */
static void prepare(u32 which, u32 read_only)
{
    for (u32 i = 0; i < 1024; i += 4)
        *(volatile u32 *)(ulong)(PHYS + 0x1000 - 512 + i) = 0x01010101u * (i / 4 & 15);
    map(0, P | W);
    map(1, P | W);
    if (which < 2)
        map(!which, read_only ? P : 0);
}

/* @either: a read-modify-write may report its read or its write: SDM vol. 3, 4.7, leaves it open */
static void verdict(const char *name, ulong cr2, u32 err, u32 either, u32 missing)
{
    u32 changed = 0;

    if (trap.vec != PF)
        complain(name, ": vector ", (u64)trap.vec);
    else if (trap.err != err && !(either && trap.err == (err & ~(u32)PFE_W)))
        complain(name, ": error code ", trap.err);
    else if (trap.cr2 != cr2)
        complain(name, missing ? ": first missing, CR2 " : ": second missing, CR2 ", trap.cr2);
    for (u32 i = 0; i < 1024; i += 4)
        changed += *(volatile u32 *)(ulong)(PHYS + 0x1000 - 512 + i) != 0x01010101u * (i / 4 & 15);
    if (changed)
        complain(name, ": words changed ", changed);
}

static void test_data(void)
{
    KIND("MOV load word", 2, LOADS, "movw (%0), %%ax");
    KIND("MOV load dword", 4, LOADS, "movl (%0), %%eax");
    KIND("MOV store word", 2, STORES, "movw %%ax, (%0)");
    KIND("MOV store dword", 4, STORES, "movl %%eax, (%0)");
    KIND("MOV store immediate", 4, STORES, "movl $1, (%0)");
    KIND("MOVZX", 2, LOADS, "movzwl (%0), %%eax");
    KIND("ADD to memory", 4, RMW, "addl $1, (%0)");
    KIND("ADD from memory", 4, LOADS, "addl (%0), %%eax");
    KIND("CMP", 4, LOADS, "cmpl $1, (%0)");
    KIND("NOT", 4, RMW, "notl (%0)");
    KIND("SHLD", 4, RMW, "shldl $3, %%eax, (%0)");
    KIND("ROL", 4, RMW, "roll $3, (%0)");
    KIND("XCHG", 4, RMW, "xchgl %%eax, (%0)");
    KIND("LOCK ADD", 4, RMW, "lock addl $1, (%0)");
    KIND("LOCK XADD", 4, RMW, "lock xaddl %%eax, (%0)");
    KIND("CMPXCHG", 4, RMW, "cmpxchgl %%ecx, (%0)");
    KIND("LOCK CMPXCHG", 4, RMW, "lock cmpxchgl %%ecx, (%0)");
    KIND("CMPXCHG8B", 8, RMW, "push %0\n\tpop %%" DI_REG "\n\tcmpxchg8b (%%" DI_REG ")");
    KIND("BT", 4, LOADS, "btl $1, (%0)");
    KIND("BTS", 4, RMW, "btsl $1, (%0)");
    KIND("DIV", 2, LOADS, "xor %%edx, %%edx\n\tmov $0, %%eax\n\tmulw (%0)");
    KIND("IMUL", 4, LOADS, "imull (%0), %%eax");
    KIND("INC", 4, RMW, "incl (%0)");
    KIND("BSF", 4, LOADS, "bsfl (%0), %%eax");
#ifdef __x86_64__
    KIND("MOV load qword", 8, LOADS, "movq (%0), %%rax");
    KIND("MOV store qword", 8, STORES, "movq %%rax, (%0)");
    KIND("LOCK ADD qword", 8, RMW, "lock addq $1, (%0)");
#endif
    check("crossing: MOV, arithmetic, LOCK", bad_kinds, 0);
}

static void test_fpu_kinds(void)
{
    bad_kinds = 0;
    write_cr0((read_cr0() & ~(ulong)(CR0_EM | CR0_TS)) | CR0_MP | CR0_NE);
    write_cr4(read_cr4() | CR4_OSFXSR | CR4_OSXMMEXCPT);
    asm volatile("fninit");
    KIND("FLD m32", 4, LOADS, "flds (%0)\n\tfstp %%st(0)");
    KIND("FLD m80", 10, LOADS, "fldt (%0)\n\tfstp %%st(0)");
    KIND("FST m64", 8, STORES, "fldz\n\tfstl (%0)\n\tfstp %%st(0)");
    asm volatile("fninit");
    KIND("FBSTP", 10, STORES, "fninit\n\tfldz\n\tfbstp (%0)");
    KIND("FSTP m80", 10, STORES, "fninit\n\tfldz\n\tfstpt (%0)");
    KIND("FILD m64", 8, LOADS, "fninit\n\tfildll (%0)");
    KIND("FNSTCW", 2, STORES, "fnstcw (%0)");
    KIND("FRSTOR", 108, LOADS, "frstor (%0)");
    asm volatile("fninit");
    KIND("MOVUPS load", 16, LOADS, "movups (%0), %%xmm0");
    KIND("MOVUPS store", 16, STORES, "movups %%xmm0, (%0)");
    KIND("MOVQ store", 8, STORES, "movq %%xmm0, (%0)");
    KIND("MOVLPS load", 8, LOADS, "movlps (%0), %%xmm0");
    KIND("ADDSD", 8, LOADS, "addsd (%0), %%xmm0");
    if (cpuid(1, 0).c >> 28 & 1) {
        write_cr4(read_cr4() | CR4_OSXSAVE);
        asm volatile("xsetbv" : : "c"(0), "a"(7), "d"(0));
        KIND("VMOVUPS load of 32 bytes", 32, LOADS, "vmovups (%0), %%ymm0");
        KIND("VMOVUPS store of 32 bytes", 32, STORES, "vmovups %%ymm0, (%0)");
        KIND("VADDPS with memory", 32, LOADS, "vaddps (%0), %%ymm1, %%ymm0");
        asm volatile("vzeroupper\n\txsetbv" : : "c"(0), "a"(3), "d"(0));
    } else {
        skip("crossing: AVX", "CPUID does not offer it");
    }
    check("crossing: x87, SSE, AVX", bad_kinds, 0);
}

/*
 * The stack: exceptions need one of their own, so ring 3 does these, with SP as it is given.
 * @at: where the bytes lie; SP is @at plus what the instruction pushes.
 */
CODE(cr_push, "push %" AX_REG "\n\tint $0x80");
CODE(cr_pop, "pop %" AX_REG "\n\tint $0x80");
CODE(cr_call, "call 1f\n1:\tint $0x80");
CODE(cr_pushf, "pushf\n\tint $0x80");
CODE(cr_enter, "enter $0, $0\n\tint $0x80");
CODE(cr_ret, "ret");
#ifndef __x86_64__
CODE(cr_pusha, "pusha\n\tint $0x80");
CODE(cr_popa, "popa\n\tint $0x80");
#endif

static void stack_kind(const char *name, const u8 *code, u32 bytes, u32 pushes)
{
    for (u32 missing = 0; missing < 2; missing++)
        for (u32 before = 1; before < bytes; before++) {
            ulong at = EDGE - before, sp = pushes ? at + bytes : at;
            ulong low = missing ? at : EDGE, high = missing ? EDGE - 1 : at + bytes - 1;

            prepare(missing, 0);
            ENTRY(missing) |= U;
            trap_arm();
#ifdef __x86_64__
            user_run((ulong)code + (2ul << 39), sp, 2, SEL_UCODE64, SEL_UDATA64);
#else
            user_run((ulong)code + 0x800000, sp, 2, SEL_UCODE32, SEL_UDATA);
#endif
            if (trap.vec != PF)
                complain(name, ": vector ", (u64)trap.vec);
            else if (trap.err != (PFE_U | (pushes ? PFE_W : 0)))
                complain(name, ": error code ", trap.err);
            else if (trap.cr2 < low || trap.cr2 > high) /* PUSHA and POPA are several accesses */
                complain(name, ": CR2 ", trap.cr2);
            else if (bytes <= WORD_BYTES && trap.cr2 != low)
                complain(name, ": CR2 ", trap.cr2);
            if (trap.sp != sp)
                complain(name, ": SP ", trap.sp);
        }
    kinds++;
}

static void test_stack(void)
{
    bad_kinds = 0;
    stack_kind("PUSH", cr_push, WORD_BYTES, 1);
    stack_kind("POP", cr_pop, WORD_BYTES, 0);
    stack_kind("CALL", cr_call, WORD_BYTES, 1);
    stack_kind("PUSHF", cr_pushf, WORD_BYTES, 1);
    stack_kind("ENTER", cr_enter, WORD_BYTES, 1);
    stack_kind("RET", cr_ret, WORD_BYTES, 0);
#ifndef __x86_64__
    stack_kind("PUSHA", cr_pusha, 32, 1);
    stack_kind("POPA", cr_popa, 32, 0);
#endif
    check("crossing: PUSH, POP, CALL, RET, ENTER, PUSHA", bad_kinds, 0);
}

static void test_system_kinds(void)
{
    bad_kinds = 0;
    KIND("far pointer", 6, LOADS | FAULTS_ONLY, "xor %%eax, %%eax\n\tlfs (%0), %%eax\n\tmov %%ds, %%eax\n\tmov %%eax, %%fs");
    check("crossing: far pointers", bad_kinds, 0);
    bad_kinds = 0;
    KIND("SGDT", 6, STORES, "sgdt (%0)");
    check("crossing: SGDT", bad_kinds, 0);
    bad_kinds = 0;
    KIND("MOVS source", 4, LOADS, "mov %0, %%" SI_REG "\n\tlea cross_buffer, %%" DI_REG "\n\tmovsl");
    KIND("MOVS destination", 4, STORES, "mov %0, %%" DI_REG "\n\tlea cross_buffer, %%" SI_REG "\n\tmovsl");
    KIND("STOS", 4, STORES, "mov %0, %%" DI_REG "\n\tstosl");
    KIND("LODS", 4, LOADS, "mov %0, %%" SI_REG "\n\tlodsl");
    KIND("SCAS", 4, LOADS, "mov %0, %%" DI_REG "\n\tscasl");
    KIND("CMPS", 4, LOADS, "mov %0, %%" SI_REG "\n\tlea cross_buffer, %%" DI_REG "\n\tcmpsl");
    KIND("REP STOS, one element", 4, STORES, "mov %0, %%" DI_REG "\n\tmov $1, %%ecx\n\trep stosl");
    KIND("REP MOVS, one element", 4, LOADS,
         "mov %0, %%" SI_REG "\n\tlea cross_buffer, %%" DI_REG "\n\tmov $1, %%ecx\n\trep movsl");
    check("crossing: string instructions", bad_kinds, 0);
}
asm(".bss\n.balign 16\n.globl cross_buffer\ncross_buffer: .skip 64\n.text");

/* An instruction that starts in one page and ends in the next, which is missing */
static void test_fetch(void)
{
    static const u8 insn[] = { 0x81, 0xc1, 0x78, 0x56, 0x34, 0x12 }; /* add $0x12345678, %ecx */

    bad_kinds = 0;
    for (u32 before = 0; before < sizeof(insn); before++) {
        ulong at = EDGE - before;

        prepare(2, 0);
        bytes_copy((void *)at, insn, sizeof(insn));
        bytes_copy((void *)(at + sizeof(insn)), "\xcd\x80", 2);
        TRY("xor %%ecx, %%ecx\n\tjmp *%0", : : "r"(at) : "ecx", MEM);
        if (trap.vec != LEAVE_VEC || trap.frame.cx != 0x12345678)
            complain("fetch", ": both there, vector ", (u64)trap.vec);
        map(1, 0);
        TRY("xor %%ecx, %%ecx\n\tjmp *%0", : : "r"(at) : "ecx", MEM);
        if (trap.vec != PF || trap.cr2 != EDGE || trap.ip != at || trap.frame.cx)
            complain("fetch", ": second missing, CR2 ", trap.cr2);
        map(1, P | W);
        TRY("xor %%ecx, %%ecx\n\tjmp *%0", : : "r"(at) : "ecx", MEM);
        if (trap.vec != LEAVE_VEC)
            complain("fetch", ": there again, vector ", (u64)trap.vec);
        if (!before)
            continue;
        map(0, 0);
        TRY("xor %%ecx, %%ecx\n\tjmp *%0", : : "r"(at) : "ecx", MEM);
        if (trap.vec != PF || trap.cr2 != at || trap.ip != at)
            complain("fetch", ": first missing, CR2 ", trap.cr2);
    }
    check("crossing: instruction fetch", bad_kinds, 0);
}

static void paging_on(void)
{
    for (u32 i = 0; i < 8; i++)
        bytes_set((void *)TABLE(i), 0, 4096);
#ifdef __x86_64__
    volatile u64 *pml4 = (volatile u64 *)0x70000ul;

    pml4[1] = (ulong)TABLE(0) | 7;
    *(volatile u64 *)TABLE(0) = (ulong)TABLE(1) | 7;
    *(volatile u64 *)TABLE(1) = (ulong)TABLE(2) | 7;
    pml4[2] = (ulong)TABLE(3) | 7;
    *(volatile u64 *)TABLE(3) = (ulong)TABLE(4) | 7;
    *(volatile u64 *)TABLE(4) = PS | 7;
    write_cr3(read_cr3());
#else
    volatile u32 *pd = (volatile u32 *)TABLE(0);

    pd[0] = PS | P | W;
    pd[1] = (u32)TABLE(1) | 7;
    pd[2] = PS | 7;
    write_cr4(read_cr4() | CR4_PSE);
    write_cr3((u32)pd);
    write_cr0(read_cr0() | CR0_PG);
#endif
    write_cr0(read_cr0() | CR0_WP);
}

static void paging_off(void)
{
#ifdef __x86_64__
    volatile u64 *pml4 = (volatile u64 *)0x70000ul;

    pml4[1] = pml4[2] = 0;
    write_cr3(read_cr3());
#else
    write_cr0(read_cr0() & ~(CR0_PG | CR0_WP));
    write_cr4(read_cr4() & ~(ulong)CR4_PSE);
#endif
}

void test_sys_cross(void);
void test_sys_cross(void)
{
    paging_on();
    test_data();
    test_fpu_kinds();
    test_stack();
    test_system_kinds();
    test_fetch();
    paging_off();
}
