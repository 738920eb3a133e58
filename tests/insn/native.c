/*
 * native.c - a case on the host CPU
 *
 * The entry routine loads the case's registers from fixed low addresses and
 * jumps to its code, which ends with a jump back; a fault's handler records it
 * and continues at the same place, so that the state is saved by one routine. FS and
 * GS have the case's bases meanwhile: the handlers touch no thread-local storage then.
 */
#define _GNU_SOURCE
#include "tests/insn/insn.h"

#if defined(__x86_64__)
#include <asm/ldt.h>
#include <signal.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <ucontext.h>
#include <unistd.h>

#define SLOTS_VA 0x2f5a0000
struct slots {
    uint64_t r[16], flags, host_sp, code, exit;
    uint64_t wide;                /* 0: 32-bit code */
    uint32_t far_code;
    uint16_t far_cs, rsvd0;
    uint16_t data_sel, stack_sel;
    uint8_t rsvd1[4];
    uint64_t host_fs, fs_base, gs_base, host_gs;     /* the translator's, which expects it back */
    uint8_t rsvd[1024 - 216];
    struct x86_fxarea fx;         /* XSAVE image at + 0x400 */
    uint64_t xstate_bv, header[7];
    uint8_t ymmh[16][16];
    uint8_t rsvd2[256];
    struct x86_avx512 z;          /* components 5, 6, 7 at their places */
};
/* far pointer m16:32 and, at BACK_VA, the way back into 64-bit code */
#define FAR_AT 0xa8
#define BACK_VA 0x2f5a2000
#define SLOTS ((struct slots *)(uintptr_t)SLOTS_VA)

asm(".pushsection .text\n"
    ".set SL, 0x2f5a0000\n"
    "insn_native_enter:\n"
    "push %rbx\n push %rbp\n push %r12\n push %r13\n push %r14\n push %r15\n"
    "movq %rsp, SL+0x88\n"
    "movl $0xe7, %eax\n xorl %edx, %edx\n xrstor64 SL+0x400\n"
    "movw SL+0xb0, %ds\n movw SL+0xb0, %es\n movw SL+0xb2, %ss\n"
    "rdfsbase %rax\n movq %rax, SL+0xb8\n rdgsbase %rax\n movq %rax, SL+0xd0\n"
    "movw SL+0xb0, %fs\n movw SL+0xb0, %gs\n"
    "movq SL+0xc0, %rax\n wrfsbase %rax\n movq SL+0xc8, %rax\n wrgsbase %rax\n"
    "pushq SL+0x80\n popfq\n"
    "movq SL+0x00, %rax\n movq SL+0x08, %rcx\n movq SL+0x10, %rdx\n movq SL+0x18, %rbx\n"
    "movq SL+0x20, %rsp\n movq SL+0x28, %rbp\n movq SL+0x30, %rsi\n movq SL+0x38, %rdi\n"
    "movq SL+0x40, %r8\n movq SL+0x48, %r9\n movq SL+0x50, %r10\n movq SL+0x58, %r11\n"
    "movq SL+0x60, %r12\n movq SL+0x68, %r13\n movq SL+0x70, %r14\n movq SL+0x78, %r15\n"
    "jmp *SL+0x90\n"
    "insn_native_far:\n"
    "ljmpl *SL+0xa8\n"
    "insn_native_exit:\n"
    "movq %rax, SL+0x00\n movq %rcx, SL+0x08\n movq %rdx, SL+0x10\n movq %rbx, SL+0x18\n"
    "movq %rsp, SL+0x20\n movq %rbp, SL+0x28\n movq %rsi, SL+0x30\n movq %rdi, SL+0x38\n"
    "movq %r8, SL+0x40\n movq %r9, SL+0x48\n movq %r10, SL+0x50\n movq %r11, SL+0x58\n"
    "movq %r12, SL+0x60\n movq %r13, SL+0x68\n movq %r14, SL+0x70\n movq %r15, SL+0x78\n"
    "movq SL+0x88, %rsp\n"
    "pushfq\n popq SL+0x80\n pushq $0x202\n popfq\n"
    "movl $0x2b, %eax\n movl %eax, %ds\n movl %eax, %es\n movl %eax, %ss\n"
    "xorl %eax, %eax\n movl %eax, %fs\n movl %eax, %gs\n movq SL+0xb8, %rax\n wrfsbase %rax\n movq SL+0xd0, %rax\n wrgsbase %rax\n"
    "movl $0xe7, %eax\n xorl %edx, %edx\n xsave64 SL+0x400\n"
    "fninit\n pushq $0x1f80\n ldmxcsr (%rsp)\n popq %rax\n vzeroupper\n"
    "pop %r15\n pop %r14\n pop %r13\n pop %r12\n pop %rbp\n pop %rbx\n ret\n"
    ".popsection\n");
void insn_native_enter(void);
extern const char insn_native_exit[], insn_native_far[];

/* what the handlers must know */
static struct native {
    volatile sig_atomic_t running;
    volatile sig_atomic_t ticks;
    struct state *out;
    struct sigaction next[NSIG];  /* the translator's own handlers */
    struct sigaction action;
} nat;

/* The translator's own handler first: it gives up by restoring the default. */
static void translator_fault(int sig, siginfo_t *si, void *ctx)
{
    struct sigaction now;

    if (nat.next[sig].sa_flags & SA_SIGINFO)
        nat.next[sig].sa_sigaction(sig, si, ctx);
    else
        signal(sig, SIG_DFL);
    sigaction(sig, NULL, &now);
    if (now.sa_handler != SIG_DFL)
        return;
    sigaction(sig, &nat.action, NULL);
    guest_crashed();
}

static void on_fault(int sig, siginfo_t *si, void *ctx)
{
    greg_t *g = ((ucontext_t *)ctx)->uc_mcontext.gregs;

    if (!nat.running) {
        translator_fault(sig, si, ctx);
        return;
    }
    nat.running = 0;
    nat.out->vector = (int)g[REG_TRAPNO];
    nat.out->error = (uint32_t)g[REG_ERR];
    nat.out->cr2 = (uint64_t)g[REG_CR2];
    nat.out->pc = (uint64_t)g[REG_RIP];
    if (nat.out->cr2 >> 63)         /* Linux hides what is mapped in its half */
        nat.out->error &= ~(uint32_t)PF_P;
    g[REG_RIP] = (greg_t)(uintptr_t)insn_native_exit;
    g[REG_CSGSFS] = (greg_t)(((uint64_t)g[REG_CSGSFS] & 0x0000ffffffff0000) | 0x002b000000000033);
    g[REG_EFL] &= ~(greg_t)(EF_TF | EF_AC | EF_RF);
}

static void on_tick(int sig, siginfo_t *si, void *ctx)
{
    if (++nat.ticks < 3)
        return;
    if (nat.running) {
        on_fault(sig, si, ctx);
        nat.out->vector = VEC_HANG;
    } else {
        guest_kick();
    }
}

/* the read-only page: there from the first stored case on */
static void set_ro(const uint8_t *bytes)
{
    void *p = mmap((void *)(uintptr_t)RO_VA, RO_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED,
                   -1, 0);

    memcpy(p, bytes, RO_BYTES);
    mprotect(p, RO_BYTES, PROT_READ);
}

static void run(struct engine *e, const struct tcase *c, struct state *out)
{
    /* jmp *[exit], or far to that jump */
    static const uint8_t end64[8] = { 0xff, 0x24, 0x25, 0x98, 0x00, 0x5a, 0x2f };
    static const uint8_t end32[8] = { 0xea, 0x00, 0x20, 0x5a, 0x2f, 0x33, 0x00 };
    static const uint8_t end16[8] = { 0x66, 0xea, 0x00, 0x20, 0x5a, 0x2f, 0x33, 0x00 };
    const uint8_t *end = c->bits == 64 ? end64 : c->bits == 32 ? end32 : end16;
    uint8_t *code = (uint8_t *)(uintptr_t)CODE_VA + c->off;

    memcpy((void *)(uintptr_t)DATA_VA, c->init.data, DATA_BYTES);
    memcpy((void *)(uintptr_t)STACK_VA, c->init.stack, STACK_BYTES);
    if (c->stored)
        set_ro(c->ro);
    memcpy(code, c->code, c->len);
    memcpy(code + c->len, end, END_BYTES);
    memcpy(SLOTS->r, c->init.r, sizeof(SLOTS->r));
    SLOTS->flags = c->init.flags | EF_IF | EF_1;
    SLOTS->code = c->bits == 64 ? (uintptr_t)code : (uintptr_t)insn_native_far;
    SLOTS->far_code = (uint32_t)(uintptr_t)code;
    SLOTS->far_cs = 0x23;
    SLOTS->data_sel = SLOTS->stack_sel = 0x2b;
    SLOTS->fs_base = c->bits == 16 ? DATA_VA : FS_BASE;
    SLOTS->gs_base = c->bits == 16 ? DATA_VA : GS_BASE;
    if (c->bits == 16) {
        SLOTS->far_code = c->off;
        SLOTS->far_cs = SEL_CODE16;
        SLOTS->data_sel = SEL_DATA16;
        SLOTS->stack_sel = SEL_STACK16;
    }
    memcpy((void *)(uintptr_t)BACK_VA, end64, sizeof(end64));
    SLOTS->exit = (uintptr_t)insn_native_exit;
    SLOTS->fx = c->init.f.fx;
    memcpy(SLOTS->ymmh, c->init.f.ymmh, sizeof(SLOTS->ymmh));
    SLOTS->z = c->init.f.z;
    SLOTS->xstate_bv = 7 | (has_avx512() ? XCR0_AVX512 : 0);
    memset(SLOTS->header, 0, sizeof(SLOTS->header));
    out->vector = VEC_END;
    out->error = 0;
    out->cr2 = 0;
    out->pc = CODE_VA + c->off + c->len;
    nat.out = out;
    nat.ticks = 0;
    asm volatile("" ::: "memory");
    nat.running = 1;
    insn_native_enter();
    nat.running = 0;
    if (c->bits == 16 && out->vector != VEC_END)
        out->pc += CODE_VA;
    memcpy(out->r, SLOTS->r, sizeof(out->r));
    out->flags = SLOTS->flags;
    out->f.fx = SLOTS->fx;
    memcpy(out->f.ymmh, SLOTS->ymmh, sizeof(out->f.ymmh));
    out->f.z = SLOTS->z;
    memcpy(out->data, (void *)(uintptr_t)DATA_VA, DATA_BYTES);
    memcpy(out->stack, (void *)(uintptr_t)STACK_VA, STACK_BYTES);
    memset(code, 0x90, c->len + END_BYTES);
}

static bool map_at(uintptr_t va, size_t bytes, int prot)
{
    return mmap((void *)va, bytes, prot, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0)
           == (void *)va;
}

/* 16-bit code, data and stack segments in the local descriptor table */
bool native_has_16(void)
{
    struct user_desc d[3] = {
        { .entry_number = 0, .base_addr = CODE_VA, .limit = 0xffff, .contents = MODIFY_LDT_CONTENTS_CODE },
        { .entry_number = 1, .base_addr = DATA_VA, .limit = DATA_BYTES - 1 },
        { .entry_number = 2, .base_addr = STACK_VA, .limit = STACK_BYTES - 1 },
    };

    for (unsigned i = 0; i < 3; i++)
        if (syscall(SYS_modify_ldt, 1, &d[i], sizeof(d[i])))
            return false;
    return true;
}

bool native_engine(struct engine *e)
{
    int rw = PROT_READ | PROT_WRITE;

    _Static_assert(offsetof(struct slots, z) == 0x400 + 1088 && sizeof(SLOTS->z) == 1600, "XSAVE");
    _Static_assert(offsetof(struct slots, fx) == 0x400 && offsetof(struct slots, exit) == 0x98 &&
                   offsetof(struct slots, far_code) == FAR_AT && offsetof(struct slots, host_fs) == 0xb8, "asm");
    *e = (struct engine){ .name = "host CPU", .run = run };
    return __builtin_cpu_supports("avx2") && getauxval(AT_HWCAP2) & 2 /* FSGSBASE */ && map_at(CODE_VA, CODE_BYTES, rw | PROT_EXEC) &&
           map_at(DATA_VA, DATA_BYTES, rw) && map_at(STACK_VA, STACK_BYTES, rw) &&
           map_at(SLOTS_VA, 8192, rw) && map_at(BACK_VA, 4096, rw | PROT_EXEC);
}

void watchdog_start(void)
{
    static const int sigs[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT };
    struct sigaction sa = { .sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_ONSTACK };
    struct itimerval every = { { 0, 700000 }, { 0, 700000 } };
    stack_t ss = { .ss_size = 256 * 1024 };

    nat.action = sa;
    ss.ss_sp = mmap(NULL, ss.ss_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    sigaltstack(&ss, NULL);
    for (unsigned i = 0; i < ARRAY_SIZE(sigs); i++)
        sigaction(sigs[i], &sa, &nat.next[sigs[i]]);
    sa.sa_sigaction = on_tick;
    sa.sa_flags |= SA_RESTART;
    sigaction(SIGVTALRM, &sa, NULL);
    setitimer(ITIMER_VIRTUAL, &every, NULL);     /* its own time: the machine may be busy */
}

void watchdog_reset(void) { nat.ticks = 0; }
#else
bool native_engine(struct engine *e) { return false; }
bool native_has_16(void) { return true; }
void watchdog_start(void) { }
void watchdog_reset(void) { }
#endif
