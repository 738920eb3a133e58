/*
 * fpu-state.c - saving, restoring and resetting x87, MMX, SSE and AVX state
 *
 * All functions work on the state in memory (cpu->fx, cpu->ymmh): translated code
 * has put it there before it calls them. Data registers are kept by stack
 * position, so whatever changes TOP without moving data rotates them.
 *
 * Source: Intel SDM vol. 1, 8.1.8-8.1.10 (environment), 10.5 (FXSAVE).
 */
#include "target-x86/simd-int.h"
#include "target-x86/xsave-int.h"

enum { ENV16_BYTES = 14, ENV32_BYTES = 28, ST_BYTES = 10 };
enum { ZERO_FCS_FDS = 1 << 13 };   /* CPUID.7.0:EBX: "deprecates FPU CS and FPU DS values" */
enum { TAG_VALID, TAG_ZERO, TAG_SPECIAL, TAG_EMPTY };

/* ---- x87 basics ---------------------------------------------------------- */

/** fpu_rotate() - change TOP; data stays in its physical registers */
static void fpu_rotate(struct x86_cpu *cpu, unsigned top)
{
    unsigned by = (top - fpu_top(cpu)) & 7, i;
    uint8_t old[8][16];

    if (by) {
        memcpy(old, cpu->fx.st, sizeof(old));
        for (i = 0; i < 8; i++)
            memcpy(cpu->fx.st[i], old[(i + by) & 7], 16);
    }
    cpu->fx.fsw = (uint16_t)((cpu->fx.fsw & ~(7u << FSW_TOP_SHIFT)) | top << FSW_TOP_SHIFT);
}

/** fpu_summarise() - ES and B follow from pending unmasked exceptions */
static void fpu_summarise(struct x86_cpu *cpu)
{
    cpu->fx.fsw &= (uint16_t)~(FSW_ES | FSW_B);
    if (cpu->fx.fsw & ~cpu->fx.fcw & FSW_EXC)
        cpu->fx.fsw |= FSW_ES | FSW_B;
}

/** fpu_tag_of() - two-bit tag of a register that is not empty */
static unsigned fpu_tag_of(const uint8_t *st)
{
    uint64_t mant = ldl64(st);
    unsigned expo = ldl16(st + 8) & 0x7fff;

    if (expo == 0)
        return mant == 0 ? TAG_ZERO : TAG_SPECIAL;
    return expo == 0x7fff || !(mant >> 63) ? TAG_SPECIAL : TAG_VALID;
}

/** fpu_full_tag() - the 16-bit tag word, by physical register */
static uint16_t fpu_full_tag(const struct x86_cpu *cpu)
{
    unsigned top = fpu_top(cpu), i, tag;
    uint16_t w = 0;

    for (i = 0; i < 8; i++) {
        tag = (cpu->fx.ftw >> i) & 1 ? fpu_tag_of(cpu->fx.st[(i - top) & 7]) : TAG_EMPTY;
        w |= (uint16_t)(tag << (i * 2));
    }
    return w;
}

static uint8_t fpu_abridge_tag(uint16_t w)
{
    uint8_t t = 0;
    unsigned i;

    for (i = 0; i < 8; i++)
        if (((w >> (i * 2)) & 3) != TAG_EMPTY)
            t |= (uint8_t)(1u << i);
    return t;
}

/* ---- pointers ------------------------------------------------------------- */

/*
 * FDP and FOP are those of the last instruction that left an unmasked exception, as on CPUs with
 * FDP_EXCPTN_ONLY. While all are masked, translated code does nothing for FIP either; a FLDCW
 * that unmasks one leaves its block and is done again in MODE_X87.
 */
bool x86_x87_mode(struct x86_cpu *cpu)
{
    bool unmasked = (cpu->fx.fcw & FSW_EXC) != FSW_EXC;

    if (unmasked == cpu->x87_unmasked)
        return false;
    cpu->x87_unmasked = unmasked;
    cpu->x87_last.op = 0;
    cpu->mode ^= MODE_X87;
    tcg_mode_changed(&cpu->tcg, cpu->mode);
    return unmasked;
}

void x86_x87_unmask(struct tcg_cpu *tc)
{
    struct x86_cpu *cpu = X86(tc);

    cpu->x87_unmasked = true;
    cpu->mode |= MODE_X87;
    tcg_mode_changed(tc, cpu->mode);
    tc->exception = TCG_EXC_RESTART;
}

void x87_latch(struct x86_cpu *cpu)
{
    const struct x86_x87_last *l = &cpu->x87_last;

    if (!(l->op & X87_LAST_VALID) || !(cpu->fx.fsw & FSW_ES))
        return;
    cpu->fx.fop = l->op & 0x7ff;
    if (l->op & X87_LAST_MEM) {
        cpu->fx.fdp = l->dp;
        cpu->fpu_ds = l->ds;
    }
    cpu->x87_last.op = 0;
}

uint64_t h_x87_mode(struct tcg_cpu *tc, uint64_t a, uint64_t b, uint64_t c)
{
    return x86_x87_mode(X86(tc));
}

uint64_t h_x87_latch(struct tcg_cpu *tc, uint64_t a, uint64_t b, uint64_t c)
{
    x87_latch(X86(tc));
    return 0;
}

/* FCS and FDS, where the CPU has not given them up */
static uint16_t stored_sel(const struct x86_cpu *cpu, uint16_t sel)
{
    return cpu->model && cpu->model->feat[FEAT_7_EBX] & ZERO_FCS_FDS ? 0 : sel;
}

void fpu_init_state(struct x86_cpu *cpu)
{
    fpu_rotate(cpu, 0);
    cpu->x87_last.op = 0;
    cpu->fx.fcw = FCW_INIT;
    cpu->fx.fsw = 0;
    cpu->fx.ftw = 0;
    cpu->fx.fop = 0;
    cpu->fx.fip = cpu->fx.fdp = 0;
    cpu->fpu_cs = cpu->fpu_ds = 0;
}

void x86_fpu_reset(struct x86_cpu *cpu)
{
    memset(&cpu->fx, 0, sizeof(cpu->fx));
    memset(cpu->ymmh, 0, sizeof(cpu->ymmh));
    memset(&cpu->z, 0, sizeof(cpu->z));
    cpu->tcg.zmmh_live = cpu->tcg.hi16_live = 0;
    cpu->fx.fcw = 0x40;
    cpu->fx.ftw = 0xff;           /* tag word 5555h: zeros, none empty */
    cpu->fx.mxcsr = MXCSR_RESET;
    cpu->fx.mxcsr_mask = MXCSR_VALID;
    cpu->fpu_cs = cpu->fpu_ds = 0;
    cpu->x87_last.op = 0;
    cpu->x87_unmasked = true;
    cpu->ferr_pending = false;
}

/** h_fninit() - FNINIT */
uint64_t h_fninit(struct tcg_cpu *tc, uint64_t a, uint64_t b, uint64_t c)
{
    fpu_init_state(X86(tc));
    x86_x87_mode(X86(tc));
    return 0;
}

/**
 * h_fwait() - FWAIT: report a pending unmasked x87 exception
 * #NM when CR0.MP and CR0.TS are set; #MF with CR0.NE, else FERR# (IRQ 13).
 */
uint64_t h_fwait(struct tcg_cpu *tc, uint64_t a, uint64_t b, uint64_t c)
{
    struct x86_cpu *cpu = X86(tc);

    if ((cpu->cr0 & CR0_MP) && (cpu->cr0 & CR0_TS)) {
        x86_raise(cpu, EXC_NM);
    } else if (cpu->fx.fsw & FSW_ES) {
        x87_latch(cpu);
        if (cpu->cr0 & CR0_NE) {
            x86_raise(cpu, EXC_MF);
        } else {
            cpu->ferr_pending = true;
            if (cpu->bus && cpu->bus->set_ferr)
                cpu->bus->set_ferr(cpu->bus->opaque, 1);
        }
    }
    return 0;
}

/** h_ldmxcsr() - @a = value; #GP(0) when it sets reserved bits */
uint64_t h_ldmxcsr(struct tcg_cpu *tc, uint64_t a, uint64_t b, uint64_t c)
{
    if ((uint32_t)a & ~MXCSR_VALID)
        x86_raise_err(X86(tc), EXC_GP, 0);
    else
        X86(tc)->fx.mxcsr = (uint32_t)a;
    return 0;
}

uint64_t h_stmxcsr(struct tcg_cpu *tc, uint64_t a, uint64_t b, uint64_t c)
{
    return X86(tc)->fx.mxcsr;
}

uint64_t h_mmx_enter(struct tcg_cpu *tc, uint64_t a, uint64_t b, uint64_t c)
{
    fpu_rotate(X86(tc), 0);
    X86(tc)->fx.ftw = 0xff;
    return 0;
}

/* ---- FSTENV, FLDENV, FSAVE, FRSTOR --------------------------------------- */

/** env_pack() - the environment in its 14- or 28-byte form
 *  @real: real-address/VM86 layout: 20-bit (32-bit) linear pointers and opcode
 *  Returns its length. */
static unsigned env_pack(const struct x86_cpu *cpu, uint8_t *p, unsigned opsize, bool real)
{
    const struct x86_fxarea *fx = &cpu->fx;
    uint32_t ip = (uint32_t)fx->fip, dp = (uint32_t)fx->fdp, fop = fx->fop & 0x7ff;
    uint16_t cs = stored_sel(cpu, cpu->fpu_cs), ds = stored_sel(cpu, cpu->fpu_ds);

    if (real) {
        ip += (uint32_t)cpu->fpu_cs << 4;
        dp += (uint32_t)cpu->fpu_ds << 4;
    }
    if (opsize == 2) {
        uint16_t w[7] = { fx->fcw, fx->fsw, fpu_full_tag(cpu), (uint16_t)ip, cs,
                          (uint16_t)dp, ds };
        if (real) {
            w[4] = (uint16_t)(((ip >> 16) & 0xf) << 12 | fop);
            w[6] = (uint16_t)(((dp >> 16) & 0xf) << 12);
        }
        memcpy(p, w, ENV16_BYTES);
        return ENV16_BYTES;
    }
    uint32_t d[7] = { 0xffff0000u | fx->fcw, 0xffff0000u | fx->fsw,
                      0xffff0000u | fpu_full_tag(cpu), ip, fop << 16 | cs,
                      dp, 0xffff0000u | ds };
    if (real) {
        d[3] = 0xffff0000u | (ip & 0xffff);
        d[4] = (ip >> 16) << 12 | fop;
        d[5] = 0xffff0000u | (dp & 0xffff);
        d[6] = (dp >> 16) << 12;
    }
    memcpy(p, d, ENV32_BYTES);
    return ENV32_BYTES;
}

/** env_unpack() - load the environment from its 14- or 28-byte form */
static void env_unpack(struct x86_cpu *cpu, const uint8_t *p, unsigned opsize, bool real)
{
    struct x86_fxarea *fx = &cpu->fx;
    unsigned step = opsize == 2 ? 2 : 4;
    uint16_t fsw = ldl16(p + step);

    fpu_rotate(cpu, (fsw >> FSW_TOP_SHIFT) & 7);
    cpu->x87_last.op = 0;
    fx->fcw = (uint16_t)((ldl16(p) & 0x1f3f) | 0x40);
    fx->fsw = fsw;
    fx->ftw = fpu_abridge_tag(ldl16(p + 2 * step));
    cpu->fpu_cs = cpu->fpu_ds = 0;
    if (real) {
        uint32_t w4 = step == 2 ? ldl16(p + 8) : ldl32(p + 16);
        uint32_t w6 = step == 2 ? ldl16(p + 12) : ldl32(p + 24);

        fx->fip = ldl16(p + 3 * step) | (w4 >> 12) << 16;
        fx->fdp = ldl16(p + 5 * step) | (w6 >> 12) << 16;
        fx->fop = w4 & 0x7ff;
    } else if (step == 2) {
        fx->fip = ldl16(p + 6);
        fx->fdp = ldl16(p + 10);
        cpu->fpu_cs = ldl16(p + 8);
        cpu->fpu_ds = ldl16(p + 12);
        fx->fop = 0;
    } else {
        fx->fip = ldl32(p + 12);
        fx->fdp = ldl32(p + 20);
        cpu->fpu_cs = ldl16(p + 16);
        cpu->fpu_ds = ldl16(p + 24);
        fx->fop = ldl16(p + 18) & 0x7ff;
    }
    fpu_summarise(cpu);
}

/**
 * h_fstenv() - FNSTENV: store the environment, then mask all exceptions
 * @a: linear address, @b: operand size 2 or 4, @c: real-mode format
 */
uint64_t h_fstenv(struct tcg_cpu *tc, uint64_t a, uint64_t b, uint64_t c)
{
    uint8_t buf[ENV32_BYTES];
    unsigned n;

    x87_latch(X86(tc));
    n = env_pack(X86(tc), buf, (unsigned)b, c);
    if (tcg_store_bytes(tc, a, buf, n)) {
        X86(tc)->fx.fcw |= FSW_EXC;
        fpu_summarise(X86(tc));
        x86_x87_mode(X86(tc));
    }
    return 0;
}

/** h_fldenv() - FLDENV; operands as h_fstenv(). As all that load the control word: returns 1 when
 *  MODE_X87 has been set */
uint64_t h_fldenv(struct tcg_cpu *tc, uint64_t a, uint64_t b, uint64_t c)
{
    uint8_t buf[ENV32_BYTES];

    if (tcg_load_bytes(tc, a, buf, b == 2 ? ENV16_BYTES : ENV32_BYTES))
        env_unpack(X86(tc), buf, (unsigned)b, c);
    return x86_x87_mode(X86(tc));
}

/** h_fsave() - FNSAVE: environment and registers, then FNINIT */
uint64_t h_fsave(struct tcg_cpu *tc, uint64_t a, uint64_t b, uint64_t c)
{
    uint8_t buf[ENV32_BYTES + 8 * ST_BYTES];
    unsigned n, i;

    x87_latch(X86(tc));
    n = env_pack(X86(tc), buf, (unsigned)b, c);
    for (i = 0; i < 8; i++)
        memcpy(buf + n + i * ST_BYTES, X86(tc)->fx.st[i], ST_BYTES);
    if (tcg_store_bytes(tc, a, buf, n + 8 * ST_BYTES)) {
        fpu_init_state(X86(tc));
        x86_x87_mode(X86(tc));
    }
    return 0;
}

/** h_frstor() - FRSTOR */
uint64_t h_frstor(struct tcg_cpu *tc, uint64_t a, uint64_t b, uint64_t c)
{
    uint8_t buf[ENV32_BYTES + 8 * ST_BYTES];
    unsigned n = b == 2 ? ENV16_BYTES : ENV32_BYTES, i;

    if (!tcg_load_bytes(tc, a, buf, n + 8 * ST_BYTES))
        return 0;
    env_unpack(X86(tc), buf, (unsigned)b, c);
    for (i = 0; i < 8; i++)
        memcpy(X86(tc)->fx.st[i], buf + n + i * ST_BYTES, ST_BYTES);
    return x86_x87_mode(X86(tc));
}

/* ---- pieces of the FXSAVE image ------------------------------------------- */

unsigned fx_n_xmm(const struct x86_cpu *cpu)
{
    return in_code64(cpu) ? 16 : 8;
}

void fx_pack_x87(const struct x86_cpu *cpu, uint8_t *img, bool wide)
{
    unsigned i;

    memcpy(img, &cpu->fx, FX_X87_BYTES);
    if (!wide) {
        stl32(img + 12, stored_sel(cpu, cpu->fpu_cs));
        stl32(img + 20, stored_sel(cpu, cpu->fpu_ds));
    }
    memset(img + FX_ST, 0, 128);
    for (i = 0; i < 8; i++)
        memcpy(img + FX_ST + i * 16, cpu->fx.st[i], ST_BYTES);
}

void fx_unpack_x87(struct x86_cpu *cpu, const uint8_t *img, bool wide)
{
    unsigned i;

    memcpy(&cpu->fx, img, FX_X87_BYTES);
    cpu->x87_last.op = 0;
    cpu->fx.fcw = (uint16_t)((cpu->fx.fcw & 0x1f3f) | 0x40);
    cpu->fx.fop &= 0x7ff;
    cpu->fx.rsvd0 = 0;
    cpu->fpu_cs = wide ? 0 : ldl16(img + 12);
    cpu->fpu_ds = wide ? 0 : ldl16(img + 20);
    if (!wide) {
        cpu->fx.fip = ldl32(img + 8);
        cpu->fx.fdp = ldl32(img + 16);
    }
    for (i = 0; i < 8; i++) {
        memset(cpu->fx.st[i], 0, 16);
        memcpy(cpu->fx.st[i], img + FX_ST + i * 16, ST_BYTES);
    }
    fpu_summarise(cpu);
}

void fx_pack_mxcsr(const struct x86_cpu *cpu, uint8_t *img)
{
    stl32(img + FX_MXCSR, cpu->fx.mxcsr);
    stl32(img + FX_MXCSR + 4, MXCSR_VALID);
}

bool fx_check_aligned(struct x86_cpu *cpu, uint64_t va, unsigned align)
{
    if (!(va & (align - 1)))
        return true;
    x86_raise_err(cpu, EXC_GP, 0);
    return false;
}

/** fx_skips_xmm() - fast FXSAVE: EFER.FFXSR in 64-bit ring 0 (AMD64 APM vol. 2) */
static bool fx_skips_xmm(const struct x86_cpu *cpu)
{
    return (cpu->efer & EFER_FFXSR) && in_code64(cpu) && cpu->cpl == 0;
}

/**
 * h_fxsave() - FXSAVE
 * @a: linear address, 16-byte aligned; @b: 8 with REX.W
 * Bytes 416..511 are left alone, as are registers the mode cannot name.
 */
uint64_t h_fxsave(struct tcg_cpu *tc, uint64_t a, uint64_t b, uint64_t c)
{
    struct x86_cpu *cpu = X86(tc);
    uint8_t img[FX_BYTES];
    unsigned n = FX_XMM;

    if (!fx_check_aligned(cpu, a, 16) || !tcg_probe(tc, a, FX_BYTES, ACC_WRITE))
        return 0;
    x87_latch(cpu);
    fx_pack_x87(cpu, img, b == 8);
    fx_pack_mxcsr(cpu, img);
    if (!fx_skips_xmm(cpu)) {
        n += fx_n_xmm(cpu) * 16;
        memcpy(img + FX_XMM, cpu->fx.xmm, n - FX_XMM);
    }
    if (!tcg_store_bytes(tc, a, img, n))
        return 0;
    return 0;
}

/** h_fxrstor() - FXRSTOR; operands as h_fxsave(); #GP(0) for a bad MXCSR */
uint64_t h_fxrstor(struct tcg_cpu *tc, uint64_t a, uint64_t b, uint64_t c)
{
    struct x86_cpu *cpu = X86(tc);
    uint8_t img[FX_BYTES];

    if (!fx_check_aligned(cpu, a, 16) || !tcg_load_bytes(tc, a, img, FX_BYTES))
        return 0;
    if (ldl32(img + FX_MXCSR) & ~MXCSR_VALID) {
        x86_raise_err(cpu, EXC_GP, 0);
        return 0;
    }
    fx_unpack_x87(cpu, img, b == 8);
    cpu->fx.mxcsr = ldl32(img + FX_MXCSR);
    if (!fx_skips_xmm(cpu))
        memcpy(cpu->fx.xmm, img + FX_XMM, fx_n_xmm(cpu) * 16);
    return x86_x87_mode(cpu);
}
