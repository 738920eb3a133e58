/*
 * bare.h - what the bare-metal test programs share, in 16, 32 and 64 bit mode
 *
 * A program's main() sets up its handlers (trap_init), runs tests and ends with
 * finish(). Each test prints one line: "ok NAME" or "FAIL NAME got .. want ..".
 * Expected values come from the Intel SDM, not from any emulator.
 *
 * An expected exception: TRY(assembly, : outputs : inputs : clobbers) runs until
 * its end or its first exception, which is then described by `trap`; vec is -1
 * when there was none. Registers are those at the exception.
 */
#ifndef BARE_H
#define BARE_H

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;
typedef unsigned long ulong; /* 32 bits in 16 and 32 bit mode */

enum {
    DE = 0, DB = 1, BP = 3, OF = 4, BR = 5, UD = 6, NM = 7, DF = 8, TS = 10, NP = 11, SS = 12,
    GP = 13, PF = 14, MF = 16, AC = 17, XM = 19,
};
enum {
    FL_CF = 1, FL_PF = 4, FL_AF = 0x10, FL_ZF = 0x40, FL_SF = 0x80, FL_TF = 0x100, FL_IF = 0x200,
    FL_DF = 0x400, FL_OF = 0x800, FL_IOPL = 0x3000, FL_NT = 0x4000, FL_RF = 0x10000,
    FL_VM = 0x20000, FL_AC = 0x40000, FL_VIF = 0x80000, FL_VIP = 0x100000,
};
enum { PFE_P = 1, PFE_W = 2, PFE_U = 4, PFE_RSVD = 8, PFE_I = 16 };
enum {
    CR0_PE = 1, CR0_MP = 2, CR0_EM = 4, CR0_TS = 8, CR0_NE = 0x20, CR0_WP = 0x10000,
    CR0_AM = 0x40000, CR4_VME = 1, CR4_PVI = 2, CR4_TSD = 4, CR4_DE = 8, CR4_PSE = 0x10,
    CR4_PAE = 0x20, CR4_PGE = 0x80, CR4_PCE = 0x100, CR4_OSFXSR = 0x200, CR4_OSXMMEXCPT = 0x400,
    CR4_UMIP = 0x800, CR4_FSGSBASE = 0x10000, CR4_PCIDE = 0x20000, CR4_OSXSAVE = 0x40000,
    CR4_SMEP = 0x100000, CR4_SMAP = 0x200000,
};
#define CR0_PG 0x80000000u

/* What the stubs in trap*.S leave on the stack, lowest address first. */
#if defined(__x86_64__)
struct frame {
    u64 r15, r14, r13, r12, r11, r10, r9, r8, di, si, bp, bx, dx, cx, ax;
    u64 vec, err, ip, cs, flags, sp, ss;
};
#elif defined(REAL_MODE)
struct frame {
    u16 gs, fs, es, ds;
    u32 di, si, bp, sp0, bx, dx, cx, ax;
    u32 vec;
    u16 ip, cs, flags;
} __attribute__((packed));
#else
struct frame {
    u32 gs, fs, es, ds, di, si, bp, sp0, bx, dx, cx, ax, vec, err, ip, cs, flags;
    u32 sp, ss;                         /* only when the privilege changed */
    u32 vm_es, vm_ds, vm_fs, vm_gs;     /* only from VM86 */
};
#endif

/* The assembly knows the offsets of the first two. */
struct trap {
    ulong resume_ip, resume_sp;
    int (*hook)(struct frame *); /* 1: handled, return to where it happened */
    int vec, count;
    ulong err, ip, cs, flags, sp, ss, cr2, dr6;
    ulong handler_sp, handler_flags, handler_cs, handler_ss;
    struct frame frame;
};
extern struct trap trap;

/**
 * trap_init() - handlers for all vectors; descriptor tables in 32 and 64 bit mode
 */
void trap_init(void);

/**
 * trap_arm() - forget the last exception; called by TRY
 */
void trap_arm(void);

#if defined(__x86_64__)
#define SP_REG "rsp"
#define AX_REG "rax"
#define SI_REG "rsi"
#define DI_REG "rdi"
#define ARM_TEXT "movq $771f, trap\n\tmovq %%rsp, trap+8\n\t"
#define DISARM_TEXT "\n771:\tmovq $0, trap\n\t"
#else
#define SP_REG "esp"
#define AX_REG "eax"
#define SI_REG "esi"
#define DI_REG "edi"
#define ARM_TEXT "movl $771f, trap\n\tmovl %%esp, trap+4\n\t"
#define DISARM_TEXT "\n771:\tmovl $0, trap\n\t"
#endif
#define TRY(text, ...) \
    do { \
        trap_arm(); \
        asm volatile(ARM_TEXT text DISARM_TEXT __VA_ARGS__); \
    } while (0)

/* A routine in assembly, seen from C as a function */
#define CODE(name, text) \
    asm(".pushsection .text\n\t.globl " #name "\n" #name ":\n\t" text "\n\t.popsection"); \
    extern u8 name[]

/**
 * under_qemu_tcg() - whether CPUID names QEMU's translator
 *
 * Cases wrapped in NOT_UNDER_QEMU() are left out there, because it lets happen what the SDM
 * forbids and cannot go on afterwards.
 */
int under_qemu_tcg(void);
#define NOT_UNDER_QEMU(...) { if (!under_qemu_tcg()) { __VA_ARGS__ } }

void put_char(char c);
void put_str(const char *s);
void put_hex(u64 v);

/**
 * check() - one test: ok when @got equals @want
 */
void check(const char *name, u64 got, u64 want);

/**
 * check_trap() - the last TRY ended with exception @vec and error code @err
 * @vec: -1: no exception at all
 */
void check_trap(const char *name, int vec, u64 err);
void skip(const char *name, const char *why);

/**
 * finish() - print the summary and leave through isa-debug-exit: 0x10, 0x11 after a failure
 */
void finish(void) __attribute__((noreturn));

static inline void outl(u16 port, u32 v) { asm volatile("outl %0, %1" : : "a"(v), "Nd"(port)); }
static inline u32 inl(u16 port)
{
    u32 v;
    asm volatile("inl %1, %0" : "=a"(v) : "Nd"(port));
    return v;
}
static inline void outb(u16 port, u8 v) { asm volatile("outb %0, %1" : : "a"(v), "Nd"(port)); }
static inline u8 inb(u16 port)
{
    u8 v;
    asm volatile("inb %1, %0" : "=a"(v) : "Nd"(port));
    return v;
}

#define REG_ACCESS(name, insn) \
    static inline ulong read_##name(void) \
    { \
        ulong v; \
        asm volatile("mov %%" insn ", %0" : "=r"(v)); \
        return v; \
    } \
    static inline void write_##name(ulong v) { asm volatile("mov %0, %%" insn : : "r"(v) : "memory"); }
REG_ACCESS(cr0, "cr0") REG_ACCESS(cr2, "cr2") REG_ACCESS(cr3, "cr3") REG_ACCESS(cr4, "cr4")
REG_ACCESS(dr0, "dr0") REG_ACCESS(dr1, "dr1") REG_ACCESS(dr6, "dr6") REG_ACCESS(dr7, "dr7")

static inline u64 rdmsr(u32 n)
{
    u32 lo, hi;
    asm volatile("rdmsr" : "=a"(lo), "=d"(hi) : "c"(n));
    return lo | (u64)hi << 32;
}
static inline void wrmsr(u32 n, u64 v)
{
    asm volatile("wrmsr" : : "c"(n), "a"((u32)v), "d"((u32)(v >> 32)) : "memory");
}
static inline u64 rdtsc(void)
{
    u32 lo, hi;
    asm volatile("rdtsc" : "=a"(lo), "=d"(hi));
    return lo | (u64)hi << 32;
}
struct cpuid { u32 a, b, c, d; };
static inline struct cpuid cpuid(u32 leaf, u32 sub)
{
    struct cpuid r;
    asm volatile("cpuid" : "=a"(r.a), "=b"(r.b), "=c"(r.c), "=d"(r.d) : "0"(leaf), "2"(sub));
    return r;
}
/** under_kvm() - the hypervisor says that it is KVM: its hypercalls are there */
static inline int under_kvm(void)
{
    struct cpuid s = cpuid(0x40000000, 0);

    return (cpuid(1, 0).c >> 31 & 1) && s.b == 0x4b4d564b && s.c == 0x564b4d56 && s.d == 0x4d;
}
static inline int has_leaf7(int bit) { return cpuid(0, 0).a >= 7 && (cpuid(7, 0).b >> bit & 1); }

static inline ulong read_flags(void)
{
    ulong v;
    asm volatile("pushf\n\tpop %0" : "=r"(v));
    return v;
}
static inline void bytes_set(void *p, u8 v, u32 n)
{
    for (volatile u8 *b = p; n--; )
        *b++ = v;
}
static inline void bytes_copy(void *to, const void *from, u32 n)
{
    volatile u8 *d = to;
    for (const volatile u8 *s = from; n--; )
        *d++ = *s++;
}

#endif
