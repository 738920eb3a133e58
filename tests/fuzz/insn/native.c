/*
 * native.c - sequences on the host CPU
 *
 * A child process of its own, locked down with seccomp: it may wait, return from
 * signals and exit. Its memory holds the sequences' pages at their fixed addresses;
 * code and read-only data are pages that the parent writes. For each sequence a few
 * instructions load all state from fixed low addresses and jump to the code, which ends
 * with a jump back. Only faults cost a signal.
 *
 * While a sequence runs, FS and GS have the sequence's bases: the handler must not
 * touch thread-local storage.
 */
#define _GNU_SOURCE
#include "tests/fuzz/insn/ifuzz.h"
#include <asm/ldt.h>
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/futex.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#define SLOTS_VA 0x2f5a0000
struct slots {
    uint64_t r[16], flags, host_sp, code, exit;
    uint64_t rsvd0;
    uint32_t far_code;
    uint16_t far_cs, rsvd1;
    uint16_t data_sel, stack_sel, fsgs_sel, rsvd2;
    uint8_t fpu, segs, rsvd3[6];  /* load vector state; load segment registers */
    uint64_t host_fs, fs_base, gs_base;
    uint32_t xmask, rsvd4;        /* XSAVE components */
    uint8_t rsvd[1024 - 0xe0];
    struct xstate f;              /* XSAVE image: see the asserts */
};
#define FAR_AT 0xa8
#define BACK_VA 0x2f5a2000
#define SLOTS ((struct slots *)(uintptr_t)SLOTS_VA)

asm(".pushsection .text\n"
    ".set SL, 0x2f5a0000\n"
    "fuzz_native_enter:\n"
    "push %rbx\n push %rbp\n push %r12\n push %r13\n push %r14\n push %r15\n"
    "movq %rsp, SL+0x88\n"
    "rdfsbase %rax\n movq %rax, SL+0xc0\n"
    "cmpb $0, SL+0xb8\n je 1f\n"
    "movl SL+0xd8, %eax\n xorl %edx, %edx\n xrstor64 SL+0x400\n"
    "1: cmpb $0, SL+0xb9\n je 1f\n"
    "movw SL+0xb0, %ds\n movw SL+0xb0, %es\n movw SL+0xb2, %ss\n"
    "movw SL+0xb4, %fs\n movw SL+0xb4, %gs\n"
    "1: movq SL+0xc8, %rax\n wrfsbase %rax\n movq SL+0xd0, %rax\n wrgsbase %rax\n"
    "pushq SL+0x80\n popfq\n"
    "movq SL+0x00, %rax\n movq SL+0x08, %rcx\n movq SL+0x10, %rdx\n movq SL+0x18, %rbx\n"
    "movq SL+0x20, %rsp\n movq SL+0x28, %rbp\n movq SL+0x30, %rsi\n movq SL+0x38, %rdi\n"
    "movq SL+0x40, %r8\n movq SL+0x48, %r9\n movq SL+0x50, %r10\n movq SL+0x58, %r11\n"
    "movq SL+0x60, %r12\n movq SL+0x68, %r13\n movq SL+0x70, %r14\n movq SL+0x78, %r15\n"
    "jmp *SL+0x90\n"
    "fuzz_native_far:\n"
    "ljmpl *SL+0xa8\n"
    "fuzz_native_exit:\n"
    "movq %rax, SL+0x00\n movq %rcx, SL+0x08\n movq %rdx, SL+0x10\n movq %rbx, SL+0x18\n"
    "movq %rsp, SL+0x20\n movq %rbp, SL+0x28\n movq %rsi, SL+0x30\n movq %rdi, SL+0x38\n"
    "movq %r8, SL+0x40\n movq %r9, SL+0x48\n movq %r10, SL+0x50\n movq %r11, SL+0x58\n"
    "movq %r12, SL+0x60\n movq %r13, SL+0x68\n movq %r14, SL+0x70\n movq %r15, SL+0x78\n"
    "movq SL+0x88, %rsp\n"
    "pushfq\n popq SL+0x80\n pushq $0x202\n popfq\n"
    "cmpb $0, SL+0xb9\n je 1f\n"
    "movl $0x2b, %eax\n movl %eax, %ds\n movl %eax, %es\n movl %eax, %ss\n"
    "xorl %eax, %eax\n movl %eax, %fs\n movl %eax, %gs\n"
    "1: movq SL+0xc0, %rax\n wrfsbase %rax\n"
    "cmpb $0, SL+0xb8\n je 1f\n"
    "movl SL+0xd8, %eax\n xorl %edx, %edx\n xsave64 SL+0x400\n"
    "fninit\n pushq $0x1f80\n ldmxcsr (%rsp)\n popq %rax\n vzeroupper\n"
    "1: pop %r15\n pop %r14\n pop %r13\n pop %r12\n pop %rbp\n pop %rbx\n ret\n"
    ".popsection\n");
void fuzz_native_enter(void);
extern const char fuzz_native_exit[], fuzz_native_far[];

/* what parent and child share */
struct shared {
    uint32_t todo, done;          /* batch numbers; the child works when they differ */
    uint32_t count, bits;
    uint32_t at;                  /* sequence being run */
    uint32_t want_full;
    struct image im;
    struct seq seq[BATCH];
    struct outcome out[BATCH];
    struct state full;
};

struct native {
    struct shared *sh;
    uint8_t *ring;                /* parent's view of the code */
    int code_fd, ro_fd;
    uint8_t *ro;
    pid_t child;
    unsigned bits;
};

/* ---- the child: faults ------------------------------------------------------------- */

/* what the handlers must know */
static struct {
    volatile int running, ticks;
    struct outcome *out;
} nat;

static void on_fault(int sig, siginfo_t *si, void *ctx)
{
    greg_t *g = ((ucontext_t *)ctx)->uc_mcontext.gregs;

    if (!nat.running)
        _exit(3);
    nat.running = 0;
    nat.out->vector = (int)g[REG_TRAPNO];
    nat.out->error = (uint32_t)g[REG_ERR];
    nat.out->cr2 = nat.out->vector == EXC_PF ? (uint64_t)g[REG_CR2] : 0;
    nat.out->pc = (uint64_t)g[REG_RIP];
    if (nat.out->cr2 >> 32)         /* what the host has there is its own affair */
        nat.out->error &= ~(uint32_t)PF_P;
    g[REG_RIP] = (greg_t)(uintptr_t)fuzz_native_exit;
    g[REG_CSGSFS] = (greg_t)(((uint64_t)g[REG_CSGSFS] & 0x0000ffffffff0000) | 0x002b000000000033);
    g[REG_EFL] &= ~(greg_t)(EF_TF | EF_RF);
}

static void on_tick(int sig, siginfo_t *si, void *ctx)
{
    if (++nat.ticks < 3 || !nat.running)
        return;
    on_fault(sig, si, ctx);
    nat.out->vector = VEC_HANG;
}

static void child_signals(void)
{
    static const int sigs[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP };
    struct sigaction sa = { .sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_ONSTACK };
    struct itimerval every = { { 0, 300000 }, { 0, 300000 } };
    stack_t ss = { .ss_size = 256 * 1024 };

    ss.ss_sp = mmap(NULL, ss.ss_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    sigaltstack(&ss, NULL);
    for (unsigned i = 0; i < ARRAY_SIZE(sigs); i++)
        sigaction(sigs[i], &sa, NULL);
    sa.sa_sigaction = on_tick;
    sa.sa_flags |= SA_RESTART;
    sigaction(SIGVTALRM, &sa, NULL);
    setitimer(ITIMER_VIRTUAL, &every, NULL);     /* its own time: the machine may be busy */
}

/* Waiting, returning from a signal, exiting; anything else ends the child. */
static bool child_lock(void)
{
#define ALLOW(n) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_##n, 0, 1), BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)
    struct sock_filter f[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 1, 0),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        ALLOW(futex), ALLOW(rt_sigreturn), ALLOW(restart_syscall), ALLOW(exit_group), ALLOW(exit),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
    };
    struct sock_fprog p = { .len = ARRAY_SIZE(f), .filter = f };

    return !prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) && !prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &p);
}

/* ---- the child: running -------------------------------------------------------------- */

static bool map_at(uintptr_t va, size_t bytes, int prot, int flags, int fd)
{
    return mmap((void *)va, bytes, prot, flags | MAP_FIXED_NOREPLACE, fd, 0) == (void *)va;
}

static bool child_memory(const struct native *n)
{
    int rw = PROT_READ | PROT_WRITE, anon = MAP_PRIVATE | MAP_ANONYMOUS;

    return map_at(CODE_VA, RING_BYTES, PROT_READ | PROT_EXEC, MAP_SHARED, n->code_fd) &&
           map_at(DATA_VA, DATA_BYTES, rw, anon, -1) && map_at(STACK_VA, STACK_BYTES, rw, anon, -1) &&
           map_at(RO_VA, RO_BYTES, PROT_READ, MAP_SHARED, n->ro_fd) && map_at(SLOTS_VA, 8192, rw, anon, -1) &&
           map_at(BACK_VA, 4096, rw | PROT_EXEC, anon, -1);
}

/* 16-bit code, data and stack segments in the local descriptor table */
static bool child_ldt(void)
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

/* jmp *[exit] */
static const uint8_t end64[END_BYTES] = { 0xff, 0x24, 0x25, 0x98, 0x00, 0x5a, 0x2f };

static void child_slots(const struct native *n)
{
    unsigned bits = n->bits;
    struct slots *s = SLOTS;

    memcpy((void *)(uintptr_t)BACK_VA, end64, sizeof(end64));
    s->exit = (uintptr_t)fuzz_native_exit;
    s->segs = bits != 64;
    s->far_cs = bits == 16 ? SEL_CODE16 : 0x23;
    s->data_sel = bits == 16 ? SEL_DATA16 : 0x2b;
    s->stack_sel = bits == 16 ? SEL_STACK16 : 0x2b;
    s->fsgs_sel = s->data_sel;
    s->xmask = XCR0_AVX | (has_avx512() ? XCR0_AVX512 : 0);
    s->fs_base = bits == 16 ? DATA_VA : FS_BASE;
    s->gs_base = bits == 16 ? DATA_VA : GS_BASE;
}

static void child_one(struct shared *sh, const struct seq *q, struct outcome *o)
{
    struct slots *s = SLOTS;
    uint64_t code = CODE_VA + q->off;

    memcpy(s->r, q->r, sizeof(s->r));
    s->flags = q->flags | EF_IF | EF_1;
    s->code = q->bits == 64 ? code : (uintptr_t)fuzz_native_far;
    s->far_code = q->bits == 16 ? q->off : (uint32_t)code;
    s->fpu = q->fpu || sh->want_full;
    if (q->fpu)
        s->f = q->f;
    else if (s->fpu)
        memset(&s->f, 0, sizeof(s->f)), s->f.fx.mxcsr = 0x1f80, s->f.fx.fcw = 0x37f;
    s->f.header[0] = q->zmm ? s->xmask : XCR0_AVX;
    *o = (struct outcome){ .vector = VEC_END, .pc = code + q->len };
    nat.out = o;
    nat.ticks = 0;
    asm volatile("" ::: "memory");
    nat.running = 1;
    fuzz_native_enter();
    nat.running = 0;
    if (q->bits == 16 && o->vector != VEC_END)
        o->pc += CODE_VA;
    memcpy(o->r, s->r, sizeof(o->r));
    o->flags = (uint32_t)s->flags;
    if (q->fpu) {
        o->mxcsr = s->f.fx.mxcsr;
        o->fcw = s->f.fx.fcw;
        o->fsw = s->f.fx.fsw;
        o->ftw = s->f.fx.ftw;
        o->vec = vec_hash(&s->f.fx, s->f.ymmh, &s->f.z);
        o->x87 = x87_hash(&s->f.fx);
    }
}

static void child_full(struct shared *sh, const struct outcome *o)
{
    struct state *st = &sh->full;

    memcpy(st->r, o->r, sizeof(st->r));
    st->flags = o->flags;
    st->pc = o->pc;
    st->cr2 = o->cr2;
    st->vector = o->vector;
    st->error = o->error;
    st->f.fx = SLOTS->f.fx;
    memcpy(st->f.ymmh, SLOTS->f.ymmh, sizeof(st->f.ymmh));
    st->f.z = SLOTS->f.z;
    memcpy(st->data, (void *)(uintptr_t)DATA_VA, DATA_BYTES);
    memcpy(st->stack, (void *)(uintptr_t)STACK_VA, STACK_BYTES);
}

static void futex_wait(uint32_t *w, uint32_t seen, const struct timespec *ts)
{
    syscall(SYS_futex, w, FUTEX_WAIT, seen, ts, NULL, 0);
}

static void futex_wake(uint32_t *w) { syscall(SYS_futex, w, FUTEX_WAKE, 1, NULL, NULL, 0); }

/* A page that the kernel has not mapped yet would show in an error code. */
static void touch_pages(void)
{
    for (unsigned i = 0; i < RING_BYTES; i += 4096)
        *(const volatile uint8_t *)(uintptr_t)(CODE_VA + i);
    *(const volatile uint8_t *)(uintptr_t)RO_VA;
}

static void __attribute__((noreturn)) child_loop(struct native *n)
{
    struct shared *sh = n->sh;

    for (;;) {
        uint32_t now = __atomic_load_n(&sh->todo, __ATOMIC_ACQUIRE);
        if (now == sh->done) {
            futex_wait(&sh->todo, now, NULL);
            continue;
        }
        touch_pages();
        memcpy((void *)(uintptr_t)DATA_VA, sh->im.data, DATA_BYTES);
        memcpy((void *)(uintptr_t)STACK_VA, sh->im.stack, STACK_BYTES);
        for (uint32_t i = sh->at; i < sh->count; i++) {
            sh->at = i;
            child_one(sh, &sh->seq[i], &sh->out[i]);
            if (sh->want_full)
                child_full(sh, &sh->out[i]);
            sh->out[i].mem = mem_settle((void *)(uintptr_t)DATA_VA, sh->im.data, DATA_BYTES, 0) +
                             mem_settle((void *)(uintptr_t)STACK_VA, sh->im.stack, STACK_BYTES, DATA_BYTES);
        }
        __atomic_store_n(&sh->done, now, __ATOMIC_RELEASE);
        futex_wake(&sh->done);
    }
}

static int child_start(struct native *n)
{
    pid_t parent = getpid();

    n->child = fork();
    if (n->child)
        return n->child < 0 ? -errno : 0;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent || !child_memory(n) || (n->bits == 16 && !child_ldt()))
        _exit(4);
    child_slots(n);
    child_signals();
    if (!child_lock())
        _exit(5);
    child_loop(n);
}

/* ---- the parent ---------------------------------------------------------------------------- */

static void *shared_file(size_t bytes, int *fd)
{
    *fd = memfd_create("ifuzz", MFD_CLOEXEC);
    if (*fd < 0 || ftruncate(*fd, (off_t)bytes))
        return MAP_FAILED;
    return mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, *fd, 0);
}

const char *native_lacks(unsigned bits)
{
    char ldt[8];

    if (!__builtin_cpu_supports("avx2"))
        return "its CPU lacks AVX2";
    if (!(getauxval(AT_HWCAP2) & 2))
        return "its kernel does not allow FSGSBASE";
    if (bits == 16 && syscall(SYS_modify_ldt, 0, ldt, sizeof(ldt)) < 0)
        return "its kernel has no local descriptor tables";
    return NULL;
}

struct native *native_new(unsigned bits, bool run)
{
    struct native *n = xzalloc(sizeof(*n));
    int fd;

    _Static_assert(offsetof(struct slots, f) == 0x400 && offsetof(struct slots, exit) == 0x98 &&
                   offsetof(struct slots, far_code) == FAR_AT && offsetof(struct slots, data_sel) == 0xb0 &&
                   offsetof(struct slots, fpu) == 0xb8 && offsetof(struct slots, host_fs) == 0xc0 &&
                   offsetof(struct xstate, header) == 512 && offsetof(struct xstate, ymmh) == 576 &&
                   offsetof(struct xstate, z) == 1088 && offsetof(struct slots, xmask) == 0xd8, "asm");
    n->bits = bits;
    n->sh = shared_file(sizeof(*n->sh), &fd);
    n->ring = shared_file(RING_BYTES, &n->code_fd);
    n->ro = shared_file(RO_BYTES, &n->ro_fd);
    if (n->sh == MAP_FAILED || n->ring == MAP_FAILED || n->ro == MAP_FAILED || (run && child_start(n) < 0)) {
        fprintf(stderr, "ifuzz: cannot start the child: %s\n", strerror(errno));
        return NULL;
    }
    memset(n->ring, 0xcc, RING_BYTES);
    memset(n->ring + RING_BYTES - RING_TAIL, 0x90, RING_TAIL);
    return n;
}

void native_free(struct native *n)
{
    if (n->child) {
        kill(n->child, SIGKILL);
        waitpid(n->child, NULL, 0);
    }
    munmap(n->sh, sizeof(*n->sh));
    munmap(n->ring, RING_BYTES);
    munmap(n->ro, RO_BYTES);
    close(n->code_fd);
    close(n->ro_fd);
    free(n);
}

struct image *native_image(struct native *n) { return &n->sh->im; }
uint8_t *native_ring(struct native *n) { return n->ring; }
struct seq *native_seqs(struct native *n) { return n->sh->seq; }
struct outcome *native_outcomes(struct native *n) { return n->sh->out; }

static void put_code(struct native *n, const struct seq *q)
{
    static const uint8_t end32[END_BYTES] = { 0xea, 0x00, 0x20, 0x5a, 0x2f, 0x33, 0x00 };
    static const uint8_t end16[END_BYTES] = { 0x66, 0xea, 0x00, 0x20, 0x5a, 0x2f, 0x33, 0x00 };

    memcpy(n->ring + q->off, q->code, q->len);
    memcpy(n->ring + q->off + q->len, q->bits == 64 ? end64 : q->bits == 32 ? end32 : end16, END_BYTES);
}

/* The child died in the middle: that sequence has no answer, the rest goes to a new one. */
static bool child_again(struct native *n)
{
    struct shared *sh = n->sh;
    int status;

    if (waitpid(n->child, &status, WNOHANG) != n->child)
        return true;
    if (WIFEXITED(status) && WEXITSTATUS(status) >= 4) {
        fprintf(stderr, "ifuzz: the child cannot run here (%d)\n", WEXITSTATUS(status));
        exit(2);
    }
    sh->out[sh->at] = (struct outcome){ .vector = VEC_CRASH };
    sh->at++;
    return child_start(n) == 0;
}

static void run_batch(struct native *n, unsigned count, bool full)
{
    struct shared *sh = n->sh;
    struct timespec ts = { 1, 0 };

    memcpy(n->ro, sh->im.ro, RO_BYTES);
    sh->count = count;
    sh->at = 0;
    sh->want_full = full;
    uint32_t todo = sh->todo + 1;
    __atomic_store_n(&sh->todo, todo, __ATOMIC_RELEASE);
    futex_wake(&sh->todo);
    for (;;) {
        uint32_t done = __atomic_load_n(&sh->done, __ATOMIC_ACQUIRE);
        if (done == todo)
            return;
        futex_wait(&sh->done, done, &ts);
        if (!child_again(n))
            exit(2);
    }
}

void native_run(struct native *n, unsigned count, struct state *full)
{
    for (unsigned i = 0; i < count; i++)
        put_code(n, &n->sh->seq[i]);
    if (n->child)
        run_batch(n, count, full != NULL);
    if (full)
        *full = n->sh->full;
}
