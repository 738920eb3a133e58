/*
 * misc.c - helpers for instructions too rare or too odd to be worth IR of their own
 *
 * BCD, INTO, BOUND, ENTER, PUSHA/POPA, CMPXCHG8B/16B, RDRAND, masked moves and
 * gathers. A helper that raises an exception has changed nothing, except a
 * gather, which keeps the elements it has loaded (its mask says which).
 *
 * Source: Intel SDM vol. 2, the instructions' "Operation" sections.
 */
#include <sys/random.h>

#include "target-x86/simd-int.h"
#include "target-x86/system-int.h"
#include "target-x86/vecx-int.h"

#ifdef __x86_64__
#define HAS_CX16 __attribute__((target("cx16")))
#else
#define HAS_CX16
#endif

/* ---- decimal arithmetic ------------------------------------------------------- */

/** szp_flags() - S, Z and P of byte @v */
static uint32_t szp_flags(uint8_t v)
{
    return (v & 0x80 ? TCG_FL_S : 0) | (v ? 0 : TCG_FL_Z) |
           (__builtin_parity(v) ? 0 : TCG_FL_P);
}

/** bcd_adjust() - DAA (@sub false) and DAS (@sub true) */
static void bcd_adjust(struct x86_cpu *cpu, bool sub)
{
    uint8_t al = (uint8_t)GPR(cpu, R_AX), r = al;
    bool cf = cpu->tcg.fl & TCG_FL_C, af = cpu->tcg.fl & TCG_FL_A, out_c = false;

    if ((al & 0xf) > 9 || af) {
        out_c = cf || (sub ? al < 6 : al > 0xf9);
        r = sub ? r - 6 : r + 6;
        af = true;
    }
    if (al > 0x99 || cf) {
        r = sub ? r - 0x60 : r + 0x60;
        out_c = true;
    } else if (!sub) {
        out_c = false;
    }
    reg_merge(cpu, R_AX, 1, r);
    cpu->tcg.fl = szp_flags(r) | (out_c ? TCG_FL_C : 0) | (af ? TCG_FL_A : 0);
}

/** ascii_adjust() - AAA and AAS; S, Z, P follow AL as processors do (undefined) */
static void ascii_adjust(struct x86_cpu *cpu, bool sub)
{
    uint16_t ax = (uint16_t)GPR(cpu, R_AX);
    bool adjust = (ax & 0xf) > 9 || (cpu->tcg.fl & TCG_FL_A);

    if (adjust)
        ax = sub ? (uint16_t)(ax - 0x106) : (uint16_t)(ax + 0x106);
    ax &= 0xff0f;
    reg_merge(cpu, R_AX, 2, ax);
    cpu->tcg.fl = szp_flags((uint8_t)ax) | (adjust ? TCG_FL_C | TCG_FL_A : 0);
}

/** add8_flags() - C, A and O of a byte addition */
static uint32_t add8_flags(uint8_t a, uint8_t b)
{
    uint8_t r = (uint8_t)(a + b);

    return (r < a ? TCG_FL_C : 0) | ((a ^ b ^ r) & 0x10 ? TCG_FL_A : 0) |
           ((a ^ r) & (b ^ r) & 0x80 ? TCG_FL_O : 0);
}

/**
 * h_bcd() - @a = 0 DAA, 1 DAS, 2 AAA, 3 AAS, 4 AAM, 5 AAD; @b = base of AAM, AAD
 * AAM with base 0 raises #DE.
 */
uint64_t h_bcd(struct tcg_cpu *tc, uint64_t a, uint64_t b, uint64_t c)
{
    struct x86_cpu *cpu = X86(tc);
    uint8_t al = (uint8_t)GPR(cpu, R_AX), ah = (uint8_t)(GPR(cpu, R_AX) >> 8);
    uint8_t base = (uint8_t)b;
    uint32_t sum = 0;

    switch (a) {
    case 0: case 1:
        bcd_adjust(cpu, a == 1);
        return 0;
    case 2: case 3:
        ascii_adjust(cpu, a == 3);
        return 0;
    case 4:
        if (!base) {
            x86_raise(cpu, EXC_DE);
            return 0;
        }
        ah = al / base;
        al = al % base;
        break;
    default:
        sum = add8_flags(al, (uint8_t)(ah * base));    /* undefined; processors do this */
        al = (uint8_t)(al + ah * base);
        ah = 0;
        break;
    }
    reg_merge(cpu, R_AX, 2, (uint16_t)(ah << 8 | al));
    tc->fl = szp_flags(al) | sum;
    return 0;
}

/* ---- checks that trap ------------------------------------------------------------ */

/** h_into() - #OF when O is set; @b = instruction length */
uint64_t h_into(struct tcg_cpu *tc, uint64_t a, uint64_t b, uint64_t c)
{
    if (tc->fl & TCG_FL_O)
        x86_raise_soft(X86(tc), EXC_OF, (unsigned)b);
    return 0;
}

/** h_bound() - #BR when @a < @b, signed */
uint64_t h_bound(struct tcg_cpu *tc, uint64_t a, uint64_t b, uint64_t c)
{
    if ((int64_t)a < (int64_t)b)
        x86_raise(X86(tc), EXC_BR);
    return 0;
}

/* ---- stack frames ------------------------------------------------------------------ */

/** stack_bytes() - width of the stack pointer: 2, 4 or 8 */
static unsigned stack_bytes(const struct x86_cpu *cpu)
{
    return in_code64(cpu) ? 8 : cpu->mode & MODE_SS32 ? 4 : 2;
}

/** stack_check() - SS:@sp can be written (@write) or read for @n bytes */
static bool stack_check(struct x86_cpu *cpu, uint64_t sp, unsigned n, enum tcg_access acc)
{
    uint64_t lin;

    return seg_to_linear(cpu, S_SS, sp & size_mask(stack_bytes(cpu)), n, acc == ACC_WRITE, &lin) &&
           tcg_probe(&cpu->tcg, lin, n, acc);
}

static bool stack_store(struct x86_cpu *cpu, uint64_t sp, unsigned n, uint64_t v)
{
    uint64_t lin;

    return seg_to_linear(cpu, S_SS, sp & size_mask(stack_bytes(cpu)), n, true, &lin) &&
           tcg_store(&cpu->tcg, lin, n, v);
}

static bool stack_load(struct x86_cpu *cpu, uint64_t sp, unsigned n, uint64_t *v)
{
    uint64_t lin;

    return seg_to_linear(cpu, S_SS, sp & size_mask(stack_bytes(cpu)), n, false, &lin) &&
           tcg_load(&cpu->tcg, lin, n, v);
}

/**
 * h_enter() - ENTER
 * @a: bytes of locals, @b: nesting level (low 5 bits count), @c: operand size
 * Registers change after the last store; memory below SP is scratch.
 */
uint64_t h_enter(struct tcg_cpu *tc, uint64_t a, uint64_t b, uint64_t c)
{
    struct x86_cpu *cpu = X86(tc);
    unsigned level = b & 31, opsize = (unsigned)c, ss = stack_bytes(cpu), i;
    uint64_t sp = GPR(cpu, R_SP), bp = GPR(cpu, R_BP), frame, v;

    sp -= opsize;
    if (!stack_store(cpu, sp, opsize, bp))
        return 0;
    frame = sp;
    for (i = 1; i < level; i++) {
        bp -= opsize;
        sp -= opsize;
        if (!stack_load(cpu, bp, opsize, &v) || !stack_store(cpu, sp, opsize, v))
            return 0;
    }
    if (level) {
        sp -= opsize;
        if (!stack_store(cpu, sp, opsize, frame))
            return 0;
    }
    sp -= a & 0xffff;
    if (!stack_check(cpu, sp, opsize, ACC_WRITE))
        return 0;
    reg_merge(cpu, R_SP, ss, sp);
    reg_merge(cpu, R_BP, opsize, frame);
    return 0;
}

/** h_pusha() - PUSHA, PUSHAD; @a = operand size. All eight slots are checked first. */
uint64_t h_pusha(struct tcg_cpu *tc, uint64_t a, uint64_t b, uint64_t c)
{
    struct x86_cpu *cpu = X86(tc);
    unsigned n = (unsigned)a, r;
    uint64_t sp = GPR(cpu, R_SP);

    for (r = 0; r < 8; r++)
        if (!stack_check(cpu, sp - (r + 1) * n, n, ACC_WRITE))
            return 0;
    for (r = 0; r < 8; r++)
        if (!stack_store(cpu, sp - (r + 1) * n, n, GPR(cpu, r)))
            return 0;
    reg_merge(cpu, R_SP, stack_bytes(cpu), sp - 8 * n);
    return 0;
}

/** h_popa() - POPA, POPAD; @a = operand size. SP's own slot is skipped. */
uint64_t h_popa(struct tcg_cpu *tc, uint64_t a, uint64_t b, uint64_t c)
{
    struct x86_cpu *cpu = X86(tc);
    unsigned n = (unsigned)a, r;
    uint64_t sp = GPR(cpu, R_SP), v[8];

    for (r = 0; r < 8; r++)
        if (!stack_load(cpu, sp + (7 - r) * n, n, &v[r]))
            return 0;
    for (r = 0; r < 8; r++)
        if (r != R_SP)
            reg_merge(cpu, r, n, v[r]);
    reg_merge(cpu, R_SP, stack_bytes(cpu), sp + 8 * n);
    return 0;
}

/* ---- CMPXCHG8B, CMPXCHG16B ------------------------------------------------------------ */

/** set_zf() - Z = @z, the other flags stay */
static void set_zf(struct tcg_cpu *tc, bool z)
{
    tc->fl = (tc->fl & ~TCG_FL_Z) | (z ? TCG_FL_Z : 0);
}

/**
 * h_cmpxchg8b() - @a = linear address
 * EDX:EAX against memory; equal: Z, ECX:EBX stored; else loaded. Atomic on
 * aligned RAM, elsewhere because no other vCPU runs.
 */
uint64_t h_cmpxchg8b(struct tcg_cpu *tc, uint64_t a, uint64_t b, uint64_t c)
{
    struct x86_cpu *cpu = X86(tc);
    uint64_t want = GPR(cpu, R_DX) << 32 | (uint32_t)GPR(cpu, R_AX), old = want;
    uint64_t repl = GPR(cpu, R_CX) << 32 | (uint32_t)GPR(cpu, R_BX);
    uint64_t *p = (uint64_t *)(void *)tcg_host_rmw(tc, a, 8);

    if (p && !((uintptr_t)p & 7)) {
        __atomic_compare_exchange_n(p, &old, repl, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
    } else {
        if (tc->exception || tcg_need_exclusive(tc) || !tcg_probe(tc, a, 8, ACC_WRITE) || !tcg_load(tc, a, 8, &old) ||
            !tcg_store(tc, a, 8, old == want ? repl : old))
            return 0;
    }
    set_zf(tc, old == want);
    if (old != want) {
        GPR(cpu, R_AX) = (uint32_t)old;
        GPR(cpu, R_DX) = old >> 32;
    }
    return 0;
}

/** cas16() - atomic compare and exchange of 16 aligned bytes; @old: in expected,
 *  out found */
HAS_CX16 static void cas16(void *p, uint64_t old[2], const uint64_t repl[2])
{
    unsigned __int128 o, n;

    memcpy(&o, old, 16);
    memcpy(&n, repl, 16);
    o = __sync_val_compare_and_swap((unsigned __int128 *)p, o, n);
    memcpy(old, &o, 16);
}

/** h_cmpxchg16b() - RDX:RAX, RCX:RBX; @a = linear address, #GP(0) unless aligned */
uint64_t h_cmpxchg16b(struct tcg_cpu *tc, uint64_t a, uint64_t b, uint64_t c)
{
    struct x86_cpu *cpu = X86(tc);
    uint64_t want[2] = { GPR(cpu, R_AX), GPR(cpu, R_DX) }, old[2] = { want[0], want[1] };
    uint64_t repl[2] = { GPR(cpu, R_BX), GPR(cpu, R_CX) };
    uint8_t *p;
    bool same;

    if (a & 15) {
        x86_raise_err(cpu, EXC_GP, 0);
        return 0;
    }
    p = tcg_host_rmw(tc, a, 16);
    if (p) {
        cas16(p, old, repl);
        same = old[0] == want[0] && old[1] == want[1];
    } else {
        if (tc->exception || tcg_need_exclusive(tc) || !tcg_probe(tc, a, 16, ACC_WRITE) || !tcg_load_bytes(tc, a, old, 16))
            return 0;
        same = old[0] == want[0] && old[1] == want[1];
        if (!tcg_store_bytes(tc, a, same ? repl : old, 16))
            return 0;
    }
    set_zf(tc, same);
    GPR(cpu, R_AX) = old[0];
    GPR(cpu, R_DX) = old[1];
    return 0;
}

uint64_t h_magic(struct tcg_cpu *tc, uint64_t a, uint64_t b, uint64_t c)
{
    const struct x86_bus *bus = X86(tc)->bus;

    bus->magic(bus->opaque);
    return 0;
}

/* ---- RDRAND, RDSEED --------------------------------------------------------------------- */

/** h_rdrand() - @a = size; C = 1 and a random value, or C = 0 and 0 when the
 *  host has none at the moment; other flags 0 */
uint64_t h_rdrand(struct tcg_cpu *tc, uint64_t a, uint64_t b, uint64_t c)
{
    const struct x86_bus *bus = X86(tc)->bus;
    uint64_t v = 0;
    bool ok;

    if (bus && bus->random)
        ok = bus->random(bus->opaque, &v);
    else
        ok = getrandom(&v, sizeof(v), GRND_NONBLOCK) == (ssize_t)sizeof(v);
    tc->fl = ok ? TCG_FL_C : 0;
    return ok ? v & size_mask((unsigned)a) : 0;
}

/* ---- masked moves ------------------------------------------------------------------------- */

/** vreg_get()/vreg_set() - all 32 bytes of YMM register @r */
static void vreg_get(const struct x86_cpu *cpu, unsigned r, uint8_t v[32])
{
    memcpy(v, cpu->fx.xmm[r & 15], 16);
    memcpy(v + 16, cpu->ymmh[r & 15], 16);
}

static void vreg_set(struct x86_cpu *cpu, unsigned r, const uint8_t v[32])
{
    memcpy(cpu->fx.xmm[r & 15], v, 16);
    memcpy(cpu->ymmh[r & 15], v + 16, 16);
    x86_clear_zmmh(cpu, r);
}

/* The source is read before the destination is looked at, as silicon does. */
uint64_t h_movdir64b(struct tcg_cpu *tc, uint64_t a, uint64_t b, uint64_t c)
{
    uint8_t line[64];

    if (!tcg_load_bytes(tc, b, line, sizeof(line)))
        return 0;
    if (a & 63)
        x86_raise_err(X86(tc), EXC_GP, 0);
    else if (!tcg_store_bytes(tc, a, line, sizeof(line)))
        return 0;
    return 0;
}

uint64_t h_clzero(struct tcg_cpu *tc, uint64_t a, uint64_t b, uint64_t c)
{
    static const uint8_t zeros[64];

    if (!tcg_store_bytes(tc, a & ~63ull, zeros, sizeof(zeros)))
        return 0;
    return 0;
}

/**
 * h_maskmov() - MASKMOVDQU, MASKMOVQ: store the bytes whose mask bit 7 is set
 * @a: linear address; @b: data register | mask register << 8 | MMX << 16
 * Every selected byte is checked before the first is stored.
 */
uint64_t h_maskmov(struct tcg_cpu *tc, uint64_t a, uint64_t b, uint64_t c)
{
    struct x86_cpu *cpu = X86(tc);
    bool mmx = (b >> 16) & 1;
    unsigned dr = b & 0xff, mr = (b >> 8) & 0xff, n = mmx ? 8 : 16, i;
    const uint8_t *data, *mask;

    if (mmx && !x87_pending(cpu))
        return 0;
    if (mmx)
        h_mmx_enter(tc, 0, 0, 0);
    data = mmx ? cpu->fx.st[dr & 7] : cpu->fx.xmm[dr & 15];
    mask = mmx ? cpu->fx.st[mr & 7] : cpu->fx.xmm[mr & 15];
    for (i = 0; i < n; i++)
        if ((mask[i] & 0x80) && !tcg_probe(tc, (a + i) & tc->va_mask, 1, ACC_WRITE))
            return 0;
    for (i = 0; i < n; i++)
        if ((mask[i] & 0x80) && !tcg_store(tc, (a + i) & tc->va_mask, 1, data[i]))
            return 0;
    return 0;
}

/** elem_selected() - sign bit of element @i of @mask */
static bool elem_selected(const uint8_t *mask, unsigned i, unsigned esize)
{
    return mask[i * esize + esize - 1] & 0x80;
}

/** vector_mask() - the sign bits of @n elements of @mask, @esize bytes each */
static struct tcg_mask vector_mask(const uint8_t *mask, unsigned n, unsigned esize)
{
    struct tcg_mask m = { .elem = esize };

    for (unsigned i = 0; i < n; i++)
        m.bits |= (uint64_t)elem_selected(mask, i, esize) << i;
    return m;
}

/**
 * h_vmaskmov() - VMASKMOVPS/PD, VPMASKMOVD/Q
 * @a: linear address; @b: VMASKMOV_PACK(): elements not selected are not touched
 * in memory, and are zero in the register
 */
uint64_t h_vmaskmov(struct tcg_cpu *tc, uint64_t a, uint64_t b, uint64_t c)
{
    struct x86_cpu *cpu = X86(tc);
    unsigned reg = b & 0xff, esize = (b >> 16) & 8 ? 8 : 4, len = (b >> 24) & 1 ? 32 : 16;
    uint8_t data[32] = { 0 }, mask[32];
    bool store = (b >> 25) & 1;

    vreg_get(cpu, (b >> 8) & 0xff, mask);
    struct tcg_mask m = vector_mask(mask, len / esize, esize);
    if ((b >> 26) & 1 && !x86_seg_masked(cpu, (b >> 28) & 7, a, m, store))
        return 0;
    if (store) {
        vreg_get(cpu, reg, data);
        if (!tcg_store_masked(tc, a, data, len, m))
            return 0;
    } else if (tcg_load_masked(tc, a, data, len, m)) {
        vreg_set(cpu, reg, data);
    }
    return 0;
}

/**
 * h_pcmpstr() - PCMPESTRI, PCMPESTRM, PCMPISTRI on the state in memory
 * @a: linear address when the second operand is in memory; @b: PCMPSTR_PACK()
 */
uint64_t h_pcmpstr(struct tcg_cpu *tc, uint64_t a, uint64_t b, uint64_t c)
{
    bool mem = (b >> 24) & 1, index = b & 1;   /* ..STRI */
    struct ir_vec v = {
        .enc = (b >> 26) & 1 ? VENC_VEX : VENC_LEGACY, .map = 3, .pp = 1, .opcode = b & 0xff,
        .w = (b >> 25) & 1, .reg = (b >> 16) & 15, .rm = (b >> 20) & 15, .has_imm = true,
        .rm_kind = mem ? VRM_MEM : VRM_VEC, .imm = (b >> 8) & 0xff, .mem_read = mem,
        .mem_bytes = mem ? 16 : 0, .gpr_out = index, .gpr_size = 4, .wf = IRF_ALL,
    };
    uint64_t gpr = 0;
    uint8_t buf[16];

    if (mem && !tcg_load_bytes(tc, a, buf, sizeof(buf)))
        return 0;
    if (x86_vec_exec(tc, &v, mem ? buf : NULL, &gpr) && index)
        GPR(X86(tc), R_CX) = (uint32_t)gpr;
    return 0;
}

/* ---- gathers ---------------------------------------------------------------------------------- */

/** struct gather - unpacked VGATHER_PACK() */
struct gather {
    unsigned dst, idx, mask, scale, esize, isize, l, asize, seg, n;
};

static struct gather gather_unpack(uint64_t b)
{
    struct gather g = {
        .dst = b & 15, .idx = (b >> 4) & 15, .mask = (b >> 8) & 15, .scale = (b >> 12) & 3,
        .esize = (b >> 16) & 15, .isize = (b >> 20) & 15, .l = (b >> 24) & 1,
        .asize = (b >> 28) & 15, .seg = (b >> 32) & 7,
    };

    g.n = (g.l ? 32 : 16) / MAX(g.esize, g.isize);
    return g;
}

/** gather_load() - element at offset @base + index @i */
static bool gather_load(struct x86_cpu *cpu, const struct gather *g, const uint8_t *idx,
                        uint64_t base, unsigned i, uint64_t *v)
{
    uint64_t ix = g->isize == 4 ? sext(ldl32(idx + i * 4), 4) : ldl64(idx + i * 8);
    uint64_t off = (base + (ix << g->scale)) & size_mask(g->asize), lin;

    return seg_to_linear(cpu, g->seg, off, g->esize, false, &lin) &&
           tcg_load(&cpu->tcg, lin, g->esize, v);
}

/**
 * h_vgather() - VGATHERxPS/PD, VPGATHERxD/Q
 * @a: base register + displacement (an offset), @b: VGATHER_PACK()
 *
 * Elements load in ascending order; on a fault those before it are in the
 * destination with their mask elements cleared, and the instruction restarts. Silicon has made
 * the mask's other elements all ones or zeros by then, those without an index, too, and leaves
 * a destination without a loaded element alone.
 */
uint64_t h_vgather(struct tcg_cpu *tc, uint64_t a, uint64_t b, uint64_t c)
{
    struct x86_cpu *cpu = X86(tc);
    struct gather g = gather_unpack(b);
    uint8_t dst[32], idx[32], mask[32];
    unsigned i, keep, e = g.esize;
    bool any = false;
    uint64_t v;

    vreg_get(cpu, g.dst, dst);
    vreg_get(cpu, g.idx, idx);
    vreg_get(cpu, g.mask, mask);
    for (i = 0; i < g.n; i++) {
        if (elem_selected(mask, i, e)) {
            if (!gather_load(cpu, &g, idx, a, i, &v))
                break;
            memcpy(dst + i * e, &v, e);
            any = true;
        }
        memset(mask + i * e, 0, e);
    }
    for (unsigned k = i; k < (16u << g.l) / e; k++)
        memset(mask + k * e, i < g.n && elem_selected(mask, k, e) ? 0xff : 0, e);
    memset(mask + (16u << g.l), 0, 32 - (16u << g.l));
    vreg_set(cpu, g.mask, mask);
    if (i < g.n && !any)
        return 0;
    keep = i < g.n ? 16u << g.l : g.n * e;
    memset(dst + keep, 0, 32 - keep);
    vreg_set(cpu, g.dst, dst);
    return 0;
}
