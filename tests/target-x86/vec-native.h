/*
 * vec-native.h - run one vector or x87 instruction on the host, as the oracle
 *
 * Only for x86-64 hosts. The instruction is emitted between a load and a save
 * of the whole vector and x87 state. An instruction the host does not have
 * reports NATIVE_ILL; an unmasked SIMD exception NATIVE_FPE (status from the
 * signal frame).
 */
#ifndef TESTS_VEC_NATIVE_H
#define TESTS_VEC_NATIVE_H

#ifdef __x86_64__
#include "target-x86/x86.h"
#include <setjmp.h>
#include <signal.h>
#include <sys/mman.h>
#include <ucontext.h>

struct native {
    struct x86_fxarea fx;
    uint8_t ymm[16][32];
    uint64_t ax, cx, dx, flags;
};
enum native_result { NATIVE_OK, NATIVE_ILL, NATIVE_FPE };

static sigjmp_buf native_env;
static uint32_t native_mxcsr;
static uint8_t *native_page;

static void native_signal(int sig, siginfo_t *si, void *uc)
{
    native_mxcsr = ((ucontext_t *)uc)->uc_mcontext.fpregs->mxcsr;
    siglongjmp(native_env, sig == SIGFPE ? NATIVE_FPE : NATIVE_ILL);
}

/* What our code copies where the manuals leave a choice: bits after an unmasked
 * exception, partial FPREM steps, the pi that FSIN reduces with. Other vendors'
 * hosts compare less. */
static inline bool host_is_intel(void)
{
    return __builtin_cpu_is("intel");
}

static inline uint8_t *put_bytes(uint8_t *p, const void *b, unsigned n)
{
    memcpy(p, b, n);
    return p + n;
}

/* vmovups ymm<r>, [rbx + off] (0x10) or the store (0x11) */
static inline uint8_t *put_ymm(uint8_t *p, unsigned r, uint8_t op)
{
    uint32_t off = (uint32_t)(offsetof(struct native, ymm) + 32 * r);
    uint8_t b[4] = { 0xc5, r >= 8 ? 0x7c : 0xfc, op, (uint8_t)(0x83 | (r & 7) << 3) };
    p = put_bytes(p, b, 4);
    return put_bytes(p, &off, 4);
}

/* mov <reg>, [rbx + off] (0x8b) or the store (0x89) */
static inline uint8_t *put_gpr(uint8_t *p, unsigned r, size_t off, uint8_t op)
{
    uint32_t o = (uint32_t)off;
    uint8_t b[3] = { 0x48, op, (uint8_t)(0x83 | r << 3) };
    p = put_bytes(p, b, 3);
    return put_bytes(p, &o, 4);
}

static inline uint8_t *native_code(void)
{
    if (!native_page)
        native_page = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC,
                           MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return native_page;
}

/* native_emit() - code for @insn; rsi points at its memory operand, rbx at the state */
static inline void native_emit(const uint8_t *insn, unsigned len)
{
    bool avx = __builtin_cpu_supports("avx");

    uint8_t *p = native_code();
    p = put_bytes(p, "\x53\x48\x89\xfb\x48\x0f\xae\x0b", 8);  /* push rbx; mov rbx,rdi; fxrstor64 [rbx] */
    for (unsigned i = 0; avx && i < 16; i++)
        p = put_ymm(p, i, 0x10);
    p = put_gpr(p, 0, offsetof(struct native, ax), 0x8b);
    p = put_gpr(p, 1, offsetof(struct native, cx), 0x8b);
    p = put_gpr(p, 2, offsetof(struct native, dx), 0x8b);
    p = put_bytes(p, "\x6a\x02\x9d", 3);                      /* push 2; popfq */
    p = put_bytes(p, insn, len);
    p = put_bytes(p, "\x9c\x8f\x83", 3);                      /* pushfq; pop [rbx + off] */
    uint32_t off = offsetof(struct native, flags);
    p = put_bytes(p, &off, 4);
    p = put_gpr(p, 0, offsetof(struct native, ax), 0x89);
    p = put_gpr(p, 1, offsetof(struct native, cx), 0x89);
    for (unsigned i = 0; avx && i < 16; i++)
        p = put_ymm(p, i, 0x11);
    p = put_bytes(p, "\x48\x0f\xae\x03\xdb\xe3\x5b\xc3", 8);  /* fxsave64 [rbx]; fninit; pop rbx; ret */
}

/* native_run() - execute what native_emit() made on @s with memory operand @mem */
static inline enum native_result native_run(struct native *s, void *mem)
{
    static const uint32_t mxcsr0 = 0x1f80;
    struct sigaction sa = { .sa_sigaction = native_signal, .sa_flags = SA_SIGINFO | SA_NODEFER };

    sigaction(SIGFPE, &sa, NULL);
    sigaction(SIGILL, &sa, NULL);
    int r = sigsetjmp(native_env, 1);
    if (!r)
        ((void (*)(struct native *, void *))(void *)native_page)(s, mem);
    __asm__ volatile("fninit; ldmxcsr %0" : : "m"(mxcsr0));
    if (r == NATIVE_FPE)
        s->fx.mxcsr = native_mxcsr;
    return (enum native_result)r;
}
#endif
#endif
