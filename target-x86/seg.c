/*
 * seg.c - segment registers, descriptor-table registers, LAR and friends,
 * I/O permission, checks of a segmented access
 *
 * Source: Intel SDM vol. 3, chapters 3.4, 3.5, 5.4-5.6, 5.10; vol. 1, 19.5.
 */
#include "target-x86/system-int.h"

/* ---- MOV, POP, LDS... ----------------------------------------------------------- */

/** null_ss_ok() - 64-bit code below CPL 3 may load a null SS with RPL = CPL */
static bool null_ss_ok(const struct x86_cpu *cpu, uint16_t sel)
{
    return x86_code64(cpu) && cpu->cpl < 3 && (sel & 3u) == cpu->cpl;
}

static bool load_ss(struct x86_cpu *cpu, uint16_t sel)
{
    struct x86_desc d;

    if (sel_null(sel)) {
        if (!null_ss_ok(cpu, sel))
            return x86_gp0(cpu);
        x86_seg_null(&cpu->seg[S_SS], sel);
        return true;
    }
    if (!x86_check_stack(cpu, sel, &d, cpu->cpl, EXC_GP) || !x86_desc_accessed(cpu, &d))
        return false;
    x86_seg_fill(&cpu->seg[S_SS], sel, &d);
    return true;
}

static bool load_seg(struct x86_cpu *cpu, unsigned seg, uint16_t sel)
{
    if (!x86_pe(cpu))
        x86_load_real_seg(cpu, seg, sel);
    else if (!(seg == S_SS ? load_ss(cpu, sel) : x86_load_data_seg(cpu, seg, sel, EXC_GP)))
        return false;
    x86_update_mode(cpu);
    return true;
}

/** h_mov_seg() - MOV/POP to segment register @a; SS opens an interrupt shadow */
uint64_t h_mov_seg(struct tcg_cpu *tc, uint64_t a, uint64_t b, uint64_t c)
{
    struct x86_cpu *cpu = X86(tc);
    bool in_shadow = cpu->shadow;

    if (a >= S_COUNT || a == S_CS) {
        x86_raise(cpu, EXC_UD);
        return 0;
    }
    if (!load_seg(cpu, a, b))
        return 0;
    if (a == S_SS && !in_shadow) {
        cpu->shadow = cpu->shadow_ss = true;
        x86_update_mode(cpu);
    }
    return 1;
}

uint64_t h_lseg(struct tcg_cpu *tc, uint64_t a, uint64_t b, uint64_t c)
{
    struct x86_cpu *cpu = X86(tc);

    if (a >= S_COUNT || a == S_CS) {
        x86_raise(cpu, EXC_UD);
        return 0;
    }
    return load_seg(cpu, a, b);
}

/* ---- table registers ---------------------------------------------------------------- */

/** umip_ok() - #GP(0) when UMIP hides system registers from user code */
static bool umip_ok(struct x86_cpu *cpu)
{
    return !(cpu->cr4 & CR4_UMIP) || cpu->cpl == 0 || x86_gp0(cpu);
}

/** h_lgdt() - LGDT, LIDT: @a linear address, @b opsize 2, 4, 8, @c 0 GDT, 1 IDT */
uint64_t h_lgdt(struct tcg_cpu *tc, uint64_t a, uint64_t b, uint64_t c)
{
    struct x86_cpu *cpu = X86(tc);
    struct x86_dtr *r = c ? &cpu->idt : &cpu->gdt;
    uint64_t limit, base;

    if (!x86_need_cpl0(cpu))
        return 0;
    if (!tcg_load(tc, a, 2, &limit) || !tcg_load(tc, a + 2, b == 8 ? 8 : 4, &base))
        return 0;
    if (b == 2)
        base &= 0xffffff;
    if (b == 8 && !x86_canonical(base))
        return x86_gp0(cpu);
    r->limit = limit;
    r->base = base;
    return 1;
}

/** h_sgdt() - SGDT, SIDT; 16-bit operands store all 32 base bits as newer CPUs do */
uint64_t h_sgdt(struct tcg_cpu *tc, uint64_t a, uint64_t b, uint64_t c)
{
    struct x86_cpu *cpu = X86(tc);
    const struct x86_dtr *r = c ? &cpu->idt : &cpu->gdt;
    uint8_t img[10];

    if (!umip_ok(cpu))
        return 0;
    stl16(img, r->limit);
    stl64(img + 2, r->base);
    return tcg_store_bytes(tc, a, img, b == 8 ? 10 : 6);
}

/** system_base() - long mode: upper half of the base of LDT or TSS */
static bool system_base(struct x86_cpu *cpu, uint16_t sel, struct x86_desc *d)
{
    uint64_t upper;

    if (!x86_lma(cpu))
        return true;
    if (!x86_desc_upper(cpu, sel, d, &upper))
        return false;
    d->base |= upper << 32;
    return x86_canonical(d->base) || x86_fault(cpu, EXC_GP, sel_err(sel));
}

/** h_lldt_check() - rules that LLDT and LTR share */
static bool system_desc(struct x86_cpu *cpu, uint16_t sel, struct x86_desc *d, uint32_t types)
{
    if (sel & 4)
        return x86_fault(cpu, EXC_GP, sel_err(sel));
    if (!x86_desc_read(cpu, sel, d, EXC_GP))
        return false;
    if (!desc_system(d) || !(types >> desc_type(d) & 1))
        return x86_fault(cpu, EXC_GP, sel_err(sel));
    if (!desc_present(d))
        return x86_fault(cpu, EXC_NP, sel_err(sel));
    return system_base(cpu, sel, d);
}

/** system_insn_ok() - LLDT, LTR: protected mode (#UD) and CPL 0 */
static bool system_insn_ok(struct x86_cpu *cpu)
{
    if (!x86_pe(cpu)) {
        x86_raise(cpu, EXC_UD);
        return false;
    }
    return x86_need_cpl0(cpu);
}

uint64_t h_lldt(struct tcg_cpu *tc, uint64_t a, uint64_t b, uint64_t c)
{
    struct x86_cpu *cpu = X86(tc);
    struct x86_desc d;

    if (!system_insn_ok(cpu))
        return 0;
    if (sel_null(a)) {
        x86_seg_null(&cpu->ldt, a);
        return 1;
    }
    if (!system_desc(cpu, a, &d, BIT(DT_LDT)))
        return 0;
    x86_seg_fill(&cpu->ldt, a, &d);
    return 1;
}

uint64_t h_ltr(struct tcg_cpu *tc, uint64_t a, uint64_t b, uint64_t c)
{
    struct x86_cpu *cpu = X86(tc);
    uint32_t types = BIT(DT_TSS32) | (x86_lma(cpu) ? 0 : BIT(DT_TSS16));
    struct x86_desc d;

    if (!system_insn_ok(cpu))
        return 0;
    if (sel_null(a))
        return x86_gp0(cpu);
    if (!system_desc(cpu, a, &d, types) ||
        !x86_desc_set_type(cpu, &d, desc_type(&d) | 2))
        return 0;
    x86_seg_fill(&cpu->tr, a, &d);
    return 1;
}

/** store_sel() - SLDT, STR: not recognised outside protected mode */
static uint64_t store_sel(struct x86_cpu *cpu, uint16_t sel)
{
    if (!x86_pe(cpu)) {
        x86_raise(cpu, EXC_UD);
        return 0;
    }
    return umip_ok(cpu) ? sel : 0;
}

uint64_t h_sldt(struct tcg_cpu *tc, uint64_t a, uint64_t b, uint64_t c)
{
    return store_sel(X86(tc), X86(tc)->ldt.sel);
}

uint64_t h_str(struct tcg_cpu *tc, uint64_t a, uint64_t b, uint64_t c)
{
    return store_sel(X86(tc), X86(tc)->tr.sel);
}

/* ---- LAR, LSL, VERR, VERW, ARPL ------------------------------------------------------ */

/** visible() - may the program ask about @sel? Types in @types count when a system
 *  descriptor; privilege as for data, conforming code always */
static bool visible(struct x86_cpu *cpu, uint16_t sel, struct x86_desc *d, uint32_t types)
{
    bool found;

    if (sel_null(sel) || !x86_desc_peek(cpu, sel, d, &found) || !found)
        return false;
    if (desc_system(d) && !(types >> desc_type(d) & 1))
        return false;
    if (desc_code(d) && desc_conforming(d))
        return true;
    return desc_dpl(d) >= cpu->cpl && desc_dpl(d) >= (sel & 3u);
}

/** asks_ok() - these instructions are #UD in real mode and VM86 */
static bool asks_ok(struct x86_cpu *cpu)
{
    if (x86_pe(cpu))
        return true;
    x86_raise(cpu, EXC_UD);
    return false;
}

#define LSL_TYPES (BIT(DT_TSS32) | BIT(DT_TSS32_BUSY) | BIT(DT_LDT))
#define LSL_TYPES16 (BIT(DT_TSS16) | BIT(DT_TSS16_BUSY))
#define LAR_TYPES (LSL_TYPES | BIT(DT_CALL32))
#define LAR_TYPES16 (LSL_TYPES16 | BIT(DT_CALL16) | BIT(DT_TASK))

uint64_t h_lar(struct tcg_cpu *tc, uint64_t a, uint64_t b, uint64_t c)
{
    struct x86_cpu *cpu = X86(tc);
    struct x86_desc d;
    bool ok;

    if (!asks_ok(cpu))
        return 0;
    ok = visible(cpu, a, &d, LAR_TYPES | (x86_lma(cpu) ? 0 : LAR_TYPES16));
    if (tc->exception)
        return 0;
    x86_set_zf(cpu, ok);
    return ok ? d.raw >> 32 & 0x00ffff00 : 0;
}

uint64_t h_lsl(struct tcg_cpu *tc, uint64_t a, uint64_t b, uint64_t c)
{
    struct x86_cpu *cpu = X86(tc);
    struct x86_desc d;
    bool ok;

    if (!asks_ok(cpu))
        return 0;
    ok = visible(cpu, a, &d, LSL_TYPES | (x86_lma(cpu) ? 0 : LSL_TYPES16));
    if (tc->exception)
        return 0;
    x86_set_zf(cpu, ok);
    return ok ? d.limit : 0;
}

/** h_verr() - VERR, @b = 1: VERW */
uint64_t h_verr(struct tcg_cpu *tc, uint64_t a, uint64_t b, uint64_t c)
{
    struct x86_cpu *cpu = X86(tc);
    struct x86_desc d;
    bool ok;

    if (!asks_ok(cpu))
        return 0;
    ok = visible(cpu, a, &d, 0);
    if (tc->exception)
        return 0;
    if (ok)
        ok = b ? desc_writable_data(&d) : !desc_code(&d) || (d.attr & 2);
    x86_set_zf(cpu, ok);
    return 0;
}

uint64_t h_arpl(struct tcg_cpu *tc, uint64_t a, uint64_t b, uint64_t c)
{
    struct x86_cpu *cpu = X86(tc);
    bool raise_rpl = (a & 3) < (b & 3);

    if (!asks_ok(cpu))
        return a;
    x86_set_zf(cpu, raise_rpl);
    return raise_rpl ? (a & ~3ull) | (b & 3) : a;
}

/* ---- ports ------------------------------------------------------------------------------ */

bool x86_io_allowed(struct x86_cpu *cpu, uint16_t port, unsigned size)
{
    uint64_t map, bits_;
    uint32_t at;

    if (!(cpu->cr0 & CR0_PE) || (!x86_vm86(cpu) && cpu->cpl <= x86_iopl(cpu)))
        return true;
    if (!(cpu->tr.attr & SEG_P) || !(cpu->tr.attr & 8) || cpu->tr.limit < 103)
        return x86_gp0(cpu);
    if (!x86_sys_load(cpu, cpu->tr.base + 0x66, 2, &map))
        return false;
    at = (uint32_t)map + port / 8;
    if (at + 1 > cpu->tr.limit)           /* two bytes are always read */
        return x86_gp0(cpu);
    if (!x86_sys_load(cpu, cpu->tr.base + at, 2, &bits_))
        return false;
    if (bits_ >> (port & 7) & ((1u << size) - 1))
        return x86_gp0(cpu);
    return true;
}

uint64_t h_in(struct tcg_cpu *tc, uint64_t a, uint64_t b, uint64_t c)
{
    struct x86_cpu *cpu = X86(tc);

    if (!x86_io_allowed(cpu, a, b))
        return 0;
    x86_dr_io(cpu, (uint16_t)a, (unsigned)b);
    return cpu->bus->port_in(cpu->bus->opaque, a, b);
}

uint64_t h_out(struct tcg_cpu *tc, uint64_t a, uint64_t b, uint64_t c)
{
    struct x86_cpu *cpu = X86(tc);

    if (x86_io_allowed(cpu, a, b)) {
        x86_dr_io(cpu, (uint16_t)a, (unsigned)b);
        cpu->bus->port_out(cpu->bus->opaque, a, c & size_mask(b), b);
    }
    return 0;
}

/* ---- segmented access ---------------------------------------------------------------------- */

/** type_allows() - protected mode: read or write permission of the segment's type */
static bool type_allows(const struct x86_seg *s, bool write)
{
    bool code = s->attr & 8, rw = s->attr & 2;

    return write ? !code && rw : !code || rw;
}

/**
 * h_align_check() - alignment check of a data access at CPL 3
 * @a: linear address, @b: alignment (2, 4 or 8) | write << 8
 * A page fault of the access comes first. Source: SDM vol. 3, table 6-7.
 */
uint64_t h_align_check(struct tcg_cpu *tc, uint64_t a, uint64_t b, uint64_t c)
{
    unsigned size = b & 0xff;

    if ((a & (size - 1)) && tcg_probe(tc, a, size, b >> 8 & 1 ? ACC_WRITE : ACC_READ))
        x86_raise_err(X86(tc), EXC_AC, 0);
    return 0;
}

/* which parts of the operand count: all of it as one, or the elements its mask selects */
static struct tcg_mask check_mask(const struct x86_cpu *cpu, uint64_t b)
{
    struct ir_vec v = {
        .mem_bytes = b >> 8 & 0xff, .mem_elem = (uint8_t)(1u << (b >> 20 & 7)), .compact = b >> 7 & 1,
        .mask_bits = (uint8_t)(1u << MIN(b >> 23 & 7, 6)),
    };

    if (!(b >> 4 & 7) || b == SEG_CHECK_CANONICAL)
        return (struct tcg_mask){ 1, b >> 8 & 0xfff };
    return tcg_vec_mask(&v, cpu->z.k[b >> 4 & 7]);
}

/* are the elements of @m, from offset @off on, inside @s and may they be accessed? */
static bool masked_ok(const struct x86_cpu *cpu, const struct x86_seg *s, uint64_t off, struct tcg_mask m, bool write)
{
    bool ok = true;

    for (; ok && m.bits; off += m.elem, m.bits >>= 1)
        if (m.bits & 1)
            ok = off >= s->lo && off + m.elem - 1 <= (write ? s->hi_w : s->hi_r) &&
                 (!x86_pe(cpu) || type_allows(s, write));
    return ok;
}

static const struct x86_seg *seg_at(const struct x86_cpu *cpu, unsigned seg)
{
    return &cpu->seg[seg < S_COUNT ? seg : S_DS];
}

bool x86_seg_masked(struct x86_cpu *cpu, unsigned seg, uint64_t lin, struct tcg_mask m, bool write)
{
    const struct x86_seg *s = seg_at(cpu, seg);
    bool ok = masked_ok(cpu, s, (uint32_t)(lin - s->base), m, write);

    if (!ok)
        x86_raise_err(cpu, seg == S_SS ? EXC_SS : EXC_GP, 0);
    return ok;
}

/**
 * h_seg_check() - check an access against its segment
 * @a: offset, @b: segment | size << 8 | SEG_CHECK_WRITE; with an opmask: | SEG_CHECK_MASK()
 *
 * Returns the linear address (32 bits); raises #SS(0) for SS, #GP(0) otherwise.
 * In 64-bit code only branch targets come here, to be refused.
 */
uint64_t h_seg_check(struct tcg_cpu *tc, uint64_t a, uint64_t b, uint64_t c)
{
    struct x86_cpu *cpu = X86(tc);
    const struct x86_seg *s = seg_at(cpu, b & 7);
    uint64_t off = (uint32_t)a;

    if (b == SEG_CHECK_CANONICAL || !masked_ok(cpu, s, off, check_mask(cpu, b), b & SEG_CHECK_WRITE)) {
        x86_raise_err(cpu, (b & 7) == S_SS && b != SEG_CHECK_CANONICAL ? EXC_SS : EXC_GP, 0);
        return 0;
    }
    return (uint32_t)(s->base + off);
}
