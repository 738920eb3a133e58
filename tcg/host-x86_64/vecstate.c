/*
 * vecstate.c - vector and x87 state between the vCPU struct and the host's
 * registers. Built with -mgeneral-regs-only: nothing here may touch a vector
 * register except where it says so.
 */
#include "tcg/host-x86_64/gen-int.h"

#define FX_BYTES 512
#define FX_MXCSR 24
#define FX_ST 32
#define FX_XMM 160
/* parts of the AVX-512 state */
#define Z_ZMMH 64
#define Z_HI16 576
#define Z_END 1600

static uint8_t *fx_of(struct tcg_cpu *cpu) { return (uint8_t *)cpu + cpu->tcg->target->off_xsave; }
static uint8_t *ymmh_of(struct tcg_cpu *cpu) { return (uint8_t *)cpu + cpu->tcg->target->off_ymmh; }
static uint8_t *avx512_of(struct tcg_cpu *cpu) { return (uint8_t *)cpu + cpu->tcg->target->off_avx512; }

static void copy_words(void *d, const void *s, unsigned bytes)
{
    volatile uint64_t *dw = d;
    const volatile uint64_t *sw = s;

    for (unsigned i = 0; i < bytes / 8; i++)
        dw[i] = sw[i];
}

static bool any_upper(const uint64_t *y)
{
    uint64_t any = 0;

    for (unsigned i = 0; i < 32; i++)
        any |= y[i];
    return any != 0;
}

static void get_mxcsr(uint32_t *v) { asm volatile("stmxcsr %0" : "=m"(*v)); }
static void set_mxcsr(const uint32_t *v) { asm volatile("ldmxcsr %0" : : "m"(*v)); }

#define EACH8(M) M(0) M(1) M(2) M(3) M(4) M(5) M(6) M(7)
#define EACH(M) EACH8(M) M(8) M(9) M(10) M(11) M(12) M(13) M(14) M(15)
#define EACH_HI(M) M(16) M(17) M(18) M(19) M(20) M(21) M(22) M(23) M(24) M(25) M(26) M(27) M(28) M(29) M(30) M(31)

void vec_load(struct tcg_cpu *cpu)
{
    uint8_t *x = fx_of(cpu), *y = ymmh_of(cpu);
    uint32_t host, guest;

    if (cpu->vec_loaded)
        return;
    get_mxcsr(&host);
    cpu->host_mxcsr = host;
    guest = *(volatile uint32_t *)(x + FX_MXCSR) & 0xffff;
    set_mxcsr(&guest);
    /* clean upper halves keep legacy SSE fast */
    asm volatile("vzeroupper" ::: "memory");
#define LD(n) "movaps " #n "*16(%0), %%xmm" #n "\n"
    asm volatile(EACH(LD) : : "r"(x + FX_XMM) : "memory");
#define LDH(n) "vinsertf128 $1, " #n "*16(%0), %%ymm" #n ", %%ymm" #n "\n"
    if (any_upper((const uint64_t *)y))
        asm volatile(EACH(LDH) : : "r"(y) : "memory");
    cpu->vec_loaded = 1;
    if (cpu->zmmh_live)      /* VEX instructions clear these bits, too */
        zmm_load(cpu);
}

static void zero_words(void *d, unsigned bytes)
{
    for (unsigned i = 0; i < bytes / 8; i++)
        ((volatile uint64_t *)d)[i] = 0;
}

/* Opmasks, bits 511:256, registers 16..31, on top of what vec_load() does. */
void zmm_load(struct tcg_cpu *cpu)
{
    uint8_t *z = avx512_of(cpu);

    if (!cpu->vec_loaded) {
        vec_load(cpu);
        if (cpu->zmm_loaded)
            return;
    }
#define LDK(n) "kmovq " #n "*8(%0), %%k" #n "\n"
    asm volatile(EACH8(LDK) : : "r"(z) : "memory");
#define LDZ(n) "vinserti64x4 $1, " #n "*32(%0), %%zmm" #n ", %%zmm" #n "\n"
    if (cpu->zmmh_live)
        asm volatile(EACH(LDZ) : : "r"(z + Z_ZMMH) : "memory");
#define LDHI(n) "vmovdqa64 (" #n "-16)*64(%0), %%zmm" #n "\n"
#define CLHI(n) "vpxord %%xmm" #n ", %%xmm" #n ", %%xmm" #n "\n"
    if (cpu->hi16_live)
        asm volatile(EACH_HI(LDHI) : : "r"(z + Z_HI16) : "memory");
    else
        asm volatile(EACH_HI(CLHI) : : "r"(z) : "memory");
    cpu->zmm_loaded = 1;
}

/* XGETBV with ECX = 1: state components that are not in their initial configuration */
static uint32_t in_use(void)
{
    uint32_t a, d;

    asm volatile("xgetbv" : "=a"(a), "=d"(d) : "c"(1));
    return a;
}

static void zmm_store(struct tcg_cpu *cpu)
{
    uint8_t *z = avx512_of(cpu);
    uint32_t used = in_use();

#define STK(n) "kmovq %%k" #n ", " #n "*8(%0)\n"
    asm volatile(EACH8(STK) : : "r"(z) : "memory");
#define STZ(n) "vextracti64x4 $1, %%zmm" #n ", " #n "*32(%0)\n"
    if (used & 1 << 6)
        asm volatile(EACH(STZ) : : "r"(z + Z_ZMMH) : "memory");
    else if (cpu->zmmh_live)
        zero_words(z + Z_ZMMH, Z_HI16 - Z_ZMMH);
    cpu->zmmh_live = used >> 6 & 1;
#define STHI(n) "vmovdqa64 %%zmm" #n ", (" #n "-16)*64(%0)\n"
    if (used & 1 << 7)
        asm volatile(EACH_HI(STHI) : : "r"(z + Z_HI16) : "memory");
    else if (cpu->hi16_live)
        zero_words(z + Z_HI16, Z_END - Z_HI16);
    cpu->hi16_live = used >> 7 & 1;
    cpu->zmm_loaded = 0;
}

static void vec_store(struct tcg_cpu *cpu)
{
    uint8_t *x = fx_of(cpu), *y = ymmh_of(cpu);
    uint32_t guest, host = (uint32_t)cpu->host_mxcsr;

#define ST(n) "vmovaps %%xmm" #n ", " #n "*16(%0)\n"
    asm volatile(EACH(ST) : : "r"(x + FX_XMM) : "memory");
#define STH(n) "vextractf128 $1, %%ymm" #n ", " #n "*16(%0)\n"
    asm volatile(EACH(STH) "vzeroupper\n" : : "r"(y) : "memory");
    get_mxcsr(&guest);
    *(volatile uint32_t *)(x + FX_MXCSR) = guest;
    set_mxcsr(&host);
    cpu->vec_loaded = 0;
}

void x87_load(struct tcg_cpu *cpu)
{
    uint8_t buf[FX_BYTES] __attribute__((aligned(16)));
    uint8_t *x = fx_of(cpu);

    if (cpu->x87_loaded)
        return;
    asm volatile("fxsave64 %0" : "=m"(buf));     /* keeps XMM and MXCSR as they are */
    copy_words(buf, x, 8);
    copy_words(buf + FX_ST, x + FX_ST, 128);
    ((volatile uint64_t *)buf)[1] = 0;
    ((volatile uint64_t *)buf)[2] = 0;
    asm volatile("fxrstor64 %0" : : "m"(buf));
    cpu->x87_loaded = 1;
}

static void x87_store(struct tcg_cpu *cpu)
{
    uint8_t buf[FX_BYTES] __attribute__((aligned(16)));
    uint8_t *x = fx_of(cpu);

    asm volatile("fxsave64 %0\n\tfninit" : "=m"(buf));
    *(volatile uint32_t *)(buf + 4) = (*(volatile uint32_t *)(buf + 4) & 0xffff) |
                                      (*(volatile uint32_t *)(x + 4) & 0xffff0000);
    copy_words(x, buf, 8);                       /* the pointers and the opcode are the host's */
    copy_words(x + FX_ST, buf + FX_ST, 128);
    cpu->x87_loaded = 0;
}

void vec_save(struct tcg_cpu *cpu)
{
    if (cpu->zmm_loaded)
        zmm_store(cpu);
    if (cpu->vec_loaded)
        vec_store(cpu);
    if (cpu->x87_loaded)
        x87_store(cpu);
}

void vec_restore(struct tcg_cpu *cpu, unsigned what)
{
    if (what & 1)
        vec_load(cpu);
    if (what & 4)
        zmm_load(cpu);
    if (what & 2)
        x87_load(cpu);
}
