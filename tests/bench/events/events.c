/*
 * events.c - what single events cost, in a firmware image of its own: make bench-events
 *
 * Prints "NAME NANOSECONDS" lines, one decimal, on the debug console. Each figure is
 * the cheapest of some batches, timed with the TSC (its rate is measured against the
 * PIT), less what the same loop costs without the event.
 */
#include "lib/desc.h"

enum {
    PAGE = 4096, PAGES = 512, VEC_PLAIN = 0x81, VEC_IPI = 0x90,
    MSR_STAR = 0xc0000081, MSR_LSTAR, MSR_FMASK = 0xc0000084, MSR_FSBASE = 0xc0000100,
};
/* free RAM: page tables, 2 MiB of data behind PTEs, code to be translated */
#define TABLES ((u64 *)0x100000)
#define DATA_PHYS 0x400000ull
#define FRESH_CODE ((u8 *)0x1000000)
#define MAPPED ((volatile u8 *)0x8000000000ull) /* second entry of the PML4 */
#define LAPIC ((volatile u32 *)0xfee00000)

static u64 *const pml4 = (u64 *)0x70000, *const pml4_b = TABLES + 3 * 512, *const ptes = TABLES + 2 * 512;
static u64 tsc_khz, overhead;

/* ---- printing and timing ----------------------------------------------------- */

static void put_number(u64 v)
{
    if (v >= 10)
        put_number(v / 10);
    put_char((char)('0' + v % 10));
}

/* @ticks of the TSC for @events events */
static void report(const char *name, u64 ticks, u64 events)
{
    u64 tenths = events ? ticks * 10000 / tsc_khz * 1000 / events : 0;

    put_str(name);
    put_char(' ');
    put_number(tenths / 10);
    put_char('.');
    put_number(tenths % 10);
    put_char('\n');
}

/* TSC ticks a ms, from 20 ms of channel 2 of the PIT */
static u64 measure_khz(void)
{
    const u32 count = 23864;
    u64 start;

    outb(0x61, (u8)((inb(0x61) & ~3) | 1));
    outb(0x43, 0xb0);
    outb(0x42, (u8)count);
    outb(0x42, (u8)(count >> 8));
    start = rdtsc();
    while (!(inb(0x61) & 0x20))
        ;
    return (rdtsc() - start) / 20;
}

/* The median: on a busy host single ones may be far off, either way */
static void calibrate(void)
{
    u64 khz[9], k;

    for (u32 i = 0; i < 9; i++) {
        u32 at = i;

        k = measure_khz();
        for (; at && khz[at - 1] > k; at--)
            khz[at] = khz[at - 1];
        khz[at] = k;
    }
    tsc_khz = khz[4];
}

/* The cheapest of some batches of @n; the first ones warm up */
static u64 best(void (*run)(u64 n), u64 n)
{
    u64 least = ~0ull;

    for (int batch = 0; batch < 60; batch++) {
        u64 start = rdtsc(), t;

        run(n);
        t = rdtsc() - start;
        if (t < least)
            least = t;
    }
    return least;
}

static void event(const char *name, void (*run)(u64 n), u64 n)
{
    u64 t = best(run, n), loop = overhead * n / 4096;

    report(name, t > loop ? t - loop : 0, n);
}

static void loop_only(u64 n)
{
    while (n--)
        asm volatile("");
}

/* ---- instructions that leave straight code -------------------------------------- */

#define LOOP(name, ...) \
    static void name(u64 n) \
    { \
        while (n--) \
            asm volatile(__VA_ARGS__); \
    }
LOOP(do_rdtsc, "rdtsc" : : : "eax", "edx")
LOOP(do_cpuid, "cpuid" : : "a"(0), "c"(0) : "ebx", "edx")
LOOP(do_cli, "cli\n\tcli" : : : "memory")
LOOP(do_popf, "pushf\n\tpopf" : : : "memory", "cc")
LOOP(do_clts, "clts" : : : "memory")
LOOP(do_swapgs, "swapgs\n\tswapgs" : : : "memory")
LOOP(do_wrmsr, "wrmsr" : : "c"(MSR_FSBASE), "a"(0), "d"(0) : "memory")
LOOP(do_lock, "lock addl $1, -64(%%rsp)" : : : "memory", "cc")
LOOP(do_far, "pushq %0\n\tpush $0f\n\tlretq\n0:" : : "i"(SEL_CODE) : "memory")
LOOP(do_segment, "mov %0, %%es" : : "r"(SEL_DATA) : "memory")
LOOP(do_port_out, "outb %%al, $0x80" : : "a"(0))
LOOP(do_port_in, "inb $0x61, %%al" : : : "eax")
LOOP(do_int, "int %0" : : "i"(VEC_PLAIN) : "memory")

static void do_mmio_read(u64 n)
{
    while (n--)
        (void)LAPIC[0x20 / 4];
}

static void do_mmio_write(u64 n)
{
    while (n--)
        LAPIC[0x80 / 4] = 0; /* task priority */
}

/* what a kernel does when it changes threads that use vector registers, and their next use */
static u8 xsave_area[PAGE] __attribute__((aligned(64)));

static void do_xsave(u64 n)
{
    while (n--)
        asm volatile("xsave64 %0\n\txrstor64 %0\n\tvaddps %%ymm1, %%ymm2, %%ymm3"
                     : "+m"(xsave_area) : "a"(-1), "d"(-1) : "memory");
}

static void test_xsave(void)
{
    if (!(cpuid(1, 0).c >> 28 & 1)) {
        put_str("skip xsave_xrstor\n");
        return;
    }
    write_cr4(read_cr4() | CR4_OSFXSR | CR4_OSXSAVE);
    asm volatile("xsetbv" : : "c"(0), "a"(cpuid(0xd, 0).a), "d"(0));
    asm volatile("vpcmpeqd %%ymm1, %%ymm1, %%ymm1\n\tvmovaps %%ymm1, %%ymm2" : : : "memory");
    event("xsave_xrstor", do_xsave, 200);
}

/* ---- interrupts and system calls --------------------------------------------------- */

CODE(plain_iret, "iretq");
CODE(plain_sysret, "sysretq");
CODE(ipi_handler, "push %rax\n\tmov $0xfee000b0, %eax\n\tmovl $0, (%rax)\n\tpop %rax\n\tiretq");
CODE(user_syscalls, "0: syscall\n\tdec %rbx\n\tjnz 0b\n\t" LEAVE);
CODE(user_ints, "0: int $0x81\n\tdec %rbx\n\tjnz 0b\n\t" LEAVE);

/* ring 3 keeps the count in RBX, which user_run passes through */
static void ring3(const u8 *code, u64 n)
{
    trap_arm();
    register u64 ss asm("r8") = SEL_UDATA64; /* after the call, which would lose it */
    asm volatile("call user_run" : "+b"(n), "+r"(ss), "+D"(code)
                 : "S"(stack3_top), "d"(2), "c"(SEL_UCODE64)
                 : "memory", "cc", "rax", "r9", "r10", "r11");
    if (trap.vec != LEAVE_VEC)
        check("ring 3 loop ends by its interrupt", (u64)trap.vec, LEAVE_VEC);
}

static void do_syscall(u64 n) { ring3(user_syscalls, n); }
static void do_user_int(u64 n) { ring3(user_ints, n); }

static void do_ipi(u64 n)
{
    while (n--) {
        LAPIC[0x300 / 4] = 0x44000 | VEC_IPI; /* to itself, fixed */
        asm volatile("sti\n\tnop\n\tcli" : : : "memory");
    }
}

/* ---- paging --------------------------------------------------------------------------- */

static void map_pages(void)
{
    bytes_set(TABLES, 0, 4 * PAGE);
    for (u32 i = 0; i < PAGES; i++)
        ptes[i] = DATA_PHYS + i * PAGE + 0x67; /* present, writable, user, accessed, dirty */
    TABLES[512] = (u64)ptes | 7;
    TABLES[0] = (u64)(TABLES + 512) | 7;
    pml4[1] = (u64)TABLES | 7;
    bytes_copy(pml4_b, pml4, PAGE);
    write_cr3((u64)pml4);
}

static void touch(u32 pages)
{
    for (u32 i = 0; i < pages; i++)
        (void)MAPPED[i * PAGE];
}

static void do_touch_16(u64 n) { while (n--) touch(16); }
static void do_cr3(u64 n) { while (n--) write_cr3((u64)pml4); }
static void do_cr3_16(u64 n) { while (n--) { write_cr3((u64)pml4); touch(16); } }
static void do_cr3_256(u64 n) { while (n--) { write_cr3((u64)pml4); touch(256); } }
static void do_cr3_two_16(u64 n)
{
    while (n--) {
        write_cr3(n & 1 ? (u64)pml4_b : (u64)pml4);
        touch(16);
    }
}

/* 4 KiB steps within pages of 2 MiB */
static void do_cr3_256_large(u64 n)
{
    while (n--) {
        write_cr3((u64)pml4);
        for (u32 i = 0; i < 256; i++)
            (void)*(volatile u8 *)(DATA_PHYS + i * PAGE);
    }
}

static void do_invlpg(u64 n)
{
    while (n--)
        asm volatile("invlpg (%0)" : : "r"(MAPPED + 5 * PAGE) : "memory");
}

static void do_invlpg_touch(u64 n)
{
    while (n--) {
        asm volatile("invlpg (%0)" : : "r"(MAPPED + 5 * PAGE) : "memory");
        (void)MAPPED[5 * PAGE];
    }
}

/* the fault handler makes the page present again */
CODE(fault_fix, "mov %r13, (%r12)\n\tadd $8, %rsp\n\tiretq");

static void do_fault(u64 n)
{
    register u64 *pte asm("r12") = &ptes[5];
    register u64 value asm("r13") = ptes[5];
    volatile u8 *page = MAPPED + 5 * PAGE;

    while (n--) {
        *(volatile u64 *)pte = 0;
        asm volatile("invlpg (%2)\n\tmovb (%2), %%al" : : "r"(pte), "r"(value), "r"(page) : "memory", "eax");
    }
}

#define KEEP (1ull << 63) /* CR3: keep what is cached under this PCID */

static void tagged(u64 n, u32 pages)
{
    while (n--) {
        write_cr3((n & 1 ? (u64)pml4_b | 2 : (u64)pml4 | 1) | KEEP);
        touch(pages);
    }
}

static void do_tagged(u64 n) { tagged(n, 0); }
static void do_tagged_16(u64 n) { tagged(n, 16); }

static void test_pcid(void)
{
    if (!(cpuid(1, 0).c >> 17 & 1)) {
        put_str("skip cr3_tagged cr3_tagged_16\n");
        return;
    }
    write_cr3((u64)pml4);
    write_cr4(read_cr4() | CR4_PCIDE);
    event("cr3_tagged", do_tagged, 1000);
    event("cr3_tagged_16_pages", do_tagged_16, 1000);
    write_cr3((u64)pml4);
    write_cr4(read_cr4() & ~(ulong)CR4_PCIDE);
}

/* ---- written code ------------------------------------------------------------------------- */

typedef u64 (*code_fn)(u64);
static u8 *const smc_page = (u8 *)0x300000;

static void put_bytes(u8 **p, const char *bytes, u32 len)
{
    bytes_copy(*p, bytes, len);
    *p += len;
}

/* mov $IMM, %eax; ret */
static void put_smc(void)
{
    u8 *p = smc_page;

    put_bytes(&p, "\xb8\0\0\0\0\xc3", 6);
}

static void do_call(u64 n)
{
    while (n--)
        ((code_fn)smc_page)(n);
}

static void do_smc(u64 n)
{
    while (n--) {
        *(volatile u32 *)(smc_page + 1) = (u32)n;
        ((code_fn)smc_page)(n);
    }
}

static void do_data_near_code(u64 n)
{
    while (n--) {
        *(volatile u64 *)(smc_page + 2048) = n;
        ((code_fn)smc_page)(n);
    }
}

/* Code as compilers emit it: a block ends every 30 bytes or so; returns its bytes */
static u64 put_fresh(u8 *to, u32 blocks)
{
    u8 *p = to;

    for (u32 i = 0; i < blocks; i++) {
        put_bytes(&p, "\x48\x8d\x44\x37\x11", 5);      /* lea 17(%rdi,%rsi), %rax */
        put_bytes(&p, "\x48\x89\x44\x24\xf8", 5);      /* mov %rax, -8(%rsp) */
        put_bytes(&p, "\x8b\x4c\x24\xf8", 4);          /* mov -8(%rsp), %ecx */
        put_bytes(&p, "\x83\xe1\x7f", 3);              /* and $127, %ecx */
        put_bytes(&p, "\x48\x01\xc8", 3);              /* add %rcx, %rax */
        put_bytes(&p, "\x48\x39\xf8", 3);              /* cmp %rdi, %rax */
        put_bytes(&p, "\x74\x05", 2);                  /* je over the next */
        put_bytes(&p, "\x05", 1);                      /* add $IMM, %eax */
        *(u32 *)p = i;
        p += 4;
    }
    put_bytes(&p, "\xc3", 1);
    return (u64)(p - to);
}

/* the cheapest first run of an area less the cheapest second one */
static void test_translation(void)
{
    u64 least_first = ~0ull, least_second = ~0ull, bytes = 0;

    for (int k = 0; k < 24; k++) {
        u8 *code = FRESH_CODE + k * 0x20000;
        u64 start, first, second;

        bytes = put_fresh(code, 500);
        start = rdtsc();
        ((code_fn)code)(1);
        first = rdtsc() - start;
        start = rdtsc();
        ((code_fn)code)(1);
        second = rdtsc() - start;
        least_first = first < least_first ? first : least_first;
        least_second = second < least_second ? second : least_second;
    }
    report("translate_byte", least_first - least_second, bytes);
}

/* ---- all of it ------------------------------------------------------------------------------ */

static void set_up(void)
{
    trap_init();
    idt_set(VEC_PLAIN, SEL_CODE, (ulong)plain_iret, G_INT | D_DPL3, 0);
    idt_set(VEC_IPI, SEL_CODE, (ulong)ipi_handler, G_INT, 0);
    idt_set(PF, SEL_CODE, (ulong)fault_fix, G_INT, 0);
    wrmsr(MSR_STAR, (u64)SEL_CODE << 32 | (u64)SEL_UCODE32 << 48);
    wrmsr(MSR_LSTAR, (u64)plain_sysret);
    wrmsr(MSR_FMASK, 0);
    LAPIC[0xf0 / 4] = 0x1ff; /* enabled */
    map_pages();
    put_smc();
    calibrate();
    overhead = best(loop_only, 4096);
}

static void test_paging(void)
{
    u64 t16, t256;

    event("touch_16_pages", do_touch_16, 1000);
    event("cr3", do_cr3, 1000);
    event("cr3_16_pages", do_cr3_16, 200);
    event("cr3_two_16_pages", do_cr3_two_16, 200);
    t16 = best(do_cr3_16, 50);
    t256 = best(do_cr3_256, 50);
    report("tlb_refill", t256 - t16, 50 * 240);
    t16 = best(do_cr3, 50);
    t256 = best(do_cr3_256_large, 50);
    report("tlb_refill_2m", t256 - t16, 50 * 256);
    event("invlpg", do_invlpg, 1000);
    event("invlpg_touch", do_invlpg_touch, 1000);
    event("fault_fix_invlpg", do_fault, 500);
    test_pcid();
}

int main(void)
{
    set_up();
    put_str("begin\n");
    event("int_iret", do_int, 1000);
    event("int_iret_user", do_user_int, 1000);
    event("syscall_sysret", do_syscall, 1000);
    event("ipi_to_self", do_ipi, 500);
    event("port_out", do_port_out, 500);
    event("port_in", do_port_in, 500);
    event("mmio_read", do_mmio_read, 500);
    event("mmio_write", do_mmio_write, 500);
    event("rdtsc", do_rdtsc, 1000);
    event("cpuid", do_cpuid, 500);
    event("cli_cli", do_cli, 1000);
    event("pushf_popf", do_popf, 1000);
    event("clts", do_clts, 1000);
    event("swapgs_twice", do_swapgs, 1000);
    event("wrmsr_fsbase", do_wrmsr, 1000);
    event("lock_add", do_lock, 1000);
    event("far_return", do_far, 500);
    event("segment_load", do_segment, 1000);
    test_xsave();
    test_paging();
    event("call_return", do_call, 1000);
    event("store_to_code", do_smc, 300);
    event("store_near_code", do_data_near_code, 1000);
    test_translation();
    put_str("end\n");
    finish();
}
