/*
 * What tr-simd.c and tr-fpu.c say about an instruction is enough to encode it
 * again: it is done here, and Capstone must read the same from both encodings.
 * Capstone also knows how large a memory operand is and how it is used.
 */
#include "target-x86/tr-simd-int.h"
#include "tests/target-x86/simd-encode.h"

#define ALL_MODE (MODE_CODE64 | MODE_PE | MODE_LONG | MODE_FLAT_DATA | MODE_FLAT_FSGS | \
                  MODE_FLAT_CS | MODE_AVX)

static const struct tcg_target target = { .name = "test", .n_globals = G_COUNT };
static struct ir_block *block;
static struct x86_cpu *cpu;

static void setup(void)
{
    block = ir_block_new();
    cpu = aligned_alloc(64, align_up(sizeof(*cpu), 64));
    memset(cpu, 0, sizeof(*cpu));
}

static void teardown(void)
{
    ir_block_free(block);
    free(cpu);
}

TestSuite(tr_simd, .init = setup, .fini = teardown);

/* translate one instruction; returns its last IR_VEC op or NULL */
static const struct ir_op *translate(struct x86_insn *in, const uint8_t *code, unsigned n,
                                     uint32_t mode)
{
    static const unsigned bits_of[4] = { 16, 32, 64, 64 };
    unsigned bits = bits_of[mode & MODE_CODE_MASK];
    struct tb_key key = { .mode = mode, .flat = true, .pc_bytes = 8 };
    struct xlat x = { .b = block, .cpu = cpu, .k = &key, .in = in, .mode = mode, .bits = bits };
    const struct ir_op *found = NULL;

    x86_decode(code, n, bits, in);
    cr_assert_eq(in->err, DEC_OK);
    x.row = in->row;
    x.next_off = in->len;
    ir_begin(block, &target);
    in->row->tr(&x);
    for (unsigned i = 0; i < block->n_ops; i++)
        if (block->ops[i].opc == IR_VEC)
            found = &block->ops[i];
    return found;
}

static void put_operands(struct code *c, const struct ir_vec *v, bool modrm)
{
    if (modrm)
        put(c, (v->rm_kind == VRM_MEM ? 6 : 0xc0 | (v->rm & 7)) | (v->reg & 7) << 3);
    if (v->has_imm)
        put(c, v->imm);
}

/* as a host back end would, with the memory operand at [rsi] */
static struct code reencode(const struct ir_vec *v)
{
    static const uint8_t legacy[4] = { 0, 0x66, 0xf3, 0xf2 };
    unsigned r = v->reg >> 3, b = v->rm_kind == VRM_MEM ? 0 : v->rm >> 3;
    struct code c = { .n = 0 };

    if (v->enc == VENC_X87) {
        put(&c, v->opcode);
        put_operands(&c, v, true);
        return c;
    }
    if (v->enc == VENC_VEX) {
        put(&c, 0xc4);
        put(&c, !r << 7 | 0x40 | !b << 5 | v->map);
        put(&c, v->w << 7 | (~v->vvvv & 15) << 3 | v->l << 2 | v->pp);
    } else {
        if (legacy[v->pp])
            put(&c, legacy[v->pp]);
        if (v->w || r || b)
            put(&c, 0x40 | v->w << 3 | r << 2 | b);
        put(&c, 0x0f);
        if (v->map > 1)
            put(&c, v->map == 2 ? 0x38 : 0x3a);
    }
    put(&c, v->opcode);
    put_operands(&c, v, v->opcode != 0x77 || v->map != 1);
    return c;
}

static void disasm(csh cs, const struct code *c, char *out, size_t n, cs_insn **ci)
{
    static const char disp[] = " + 0x12345678";
    char *at;

    cr_assert_eq(cs_disasm(cs, c->b, c->n, 0, 1, ci), 1);
    snprintf(out, n, "%s %s", (*ci)->mnemonic, (*ci)->op_str);
    at = strstr(out, disp);
    if (at)
        memmove(at, at + strlen(disp), strlen(at + strlen(disp)) + 1);
}

/* memory operands that the SDM and Capstone 4 give different sizes (ours: the SDM's) */
static bool size_disputed(const char *name)
{
    return !strcmp(name, "FNSTSW") || strstr(name, "COMISS") || strstr(name, "COMISD") ||
           !strncmp(name, "PUNPCKL", 7);
}

/* x87: by name; else the first of several operands is the destination */
static bool is_store(const char *name, unsigned index, unsigned operands)
{
    static const char *const x87[] = { "FST", "FIST", "FNST", "FBSTP" };

    for (unsigned i = 0; i < ARRAY_SIZE(x87); i++)
        if (!strncmp(name, x87[i], strlen(x87[i])))
            return true;
    return index == 0 && operands > 1;
}

static void check_mem(const char *name, const struct ir_vec *v, const cs_insn *ci)
{
    const cs_x86 *d = &ci->detail->x86;
    unsigned i;

    for (i = 0; i < d->op_count && d->operands[i].type != X86_OP_MEM; i++)
        ;
    cr_assert_lt(i, d->op_count, "%s", name);
    if (!size_disputed(name))
        cr_expect_eq(d->operands[i].size, v->mem_bytes, "%s: %u bytes, Capstone %u", name,
                     v->mem_bytes, d->operands[i].size);
    cr_expect_eq(v->mem_write, is_store(name, i, d->op_count), "%s", name);
    cr_expect_neq(v->mem_read, v->mem_write, "%s", name);
}

static bool check_row(csh cs, const struct x86_row *r, bool mem, bool ext)
{
    struct code c = encode(r, mem, ext), again;
    char want[200], got[200];
    cs_insn *ci, *ci2;
    struct x86_insn in;
    const struct ir_op *op = translate(&in, c.b, c.n, ALL_MODE);

    if (!op || in.row != r || capstone_lacks(r, mem) || ROW_HAS(r, VSIB))
        return false;
    const struct ir_vec *v = &block->vec[op->imm];
    again = reencode(v);
    disasm(cs, &c, want, sizeof(want), &ci);
    disasm(cs, &again, got, sizeof(got), &ci2);
    cr_expect_str_eq(got, want);
    cr_expect_eq(v->rm_kind == VRM_MEM, mem, "%s", r->name);
    cr_expect_eq(op->a != IR_NONE, mem, "%s", r->name);
    cr_expect_eq(op->b != IR_NONE, v->gpr_in, "%s", r->name);
    cr_expect_eq(op->d != IR_NONE, v->gpr_out, "%s", r->name);
    cr_expect_eq(op->wf, r->wf);
    if (mem)
        check_mem(r->name, v, ci);
    cs_free(ci, 1);
    cs_free(ci2, 1);
    return true;
}

Test(tr_simd, description_is_enough_to_encode_again)
{
    unsigned n = 0;
    csh cs;

    cr_assert_eq(cs_open(CS_ARCH_X86, CS_MODE_64, &cs), CS_ERR_OK);
    cs_option(cs, CS_OPT_DETAIL, CS_OPT_ON);
    for (unsigned i = first_simd_row(); i <= x86_last_avx_row(); i++) {
        const struct x86_row *r = &x86_rows[i];
        bool mmx = any_kind(r, K_P) || any_kind(r, K_Q) || any_kind(r, K_N);
        bool can_ext = !mmx && (r->op >> 8) != MAP_1B && r->modrm &&
                       (any_kind(r, K_V) || any_kind(r, K_H));
        for (unsigned ext = 0; ext <= can_ext; ext++) {
            if (!ROW_HAS(r, MEM))
                n += check_row(cs, r, false, ext);
            if (row_takes_mem(r) && !(ext && !ROW_HAS(r, VEX)))
                n += check_row(cs, r, true, false);
        }
    }
    cs_close(&cs);
    cr_assert_gt(n, 1500, "%u", n);
}

static const struct ir_vec *vec_of(const char *code, unsigned n, uint32_t mode)
{
    struct x86_insn in;
    const struct ir_op *op = translate(&in, (const uint8_t *)code, n, mode);

    return op ? &block->vec[op->imm] : NULL;
}

Test(tr_simd, alignment_rules)
{
    cr_expect_eq(vec_of("\x0f\x58\x06", 3, ALL_MODE)->mem_align, 16);          /* addps */
    cr_expect_eq(vec_of("\xf3\x0f\x58\x06", 4, ALL_MODE)->mem_align, 0);       /* addss */
    cr_expect_eq(vec_of("\x0f\x10\x06", 3, ALL_MODE)->mem_align, 0);           /* movups */
    cr_expect_eq(vec_of("\x0f\x28\x06", 3, ALL_MODE)->mem_align, 16);          /* movaps */
    cr_expect_eq(vec_of("\xf3\x0f\x7f\x06", 4, ALL_MODE)->mem_align, 0);       /* movdqu */
    cr_expect_eq(vec_of("\xf2\x0f\xf0\x06", 4, ALL_MODE)->mem_align, 0);       /* lddqu */
    cr_expect_eq(vec_of("\x66\x0f\x3a\x62\x06\x00", 6, ALL_MODE)->mem_align, 0); /* pcmpistrm */
    cr_expect_eq(vec_of("\x0f\xfc\x06", 3, ALL_MODE)->mem_align, 0);           /* paddb mmx */
    cr_expect_eq(vec_of("\xc5\xfc\x28\x06", 4, ALL_MODE)->mem_align, 32);      /* vmovaps ymm */
    cr_expect_eq(vec_of("\xc5\xfc\x58\x06", 4, ALL_MODE)->mem_align, 0);       /* vaddps ymm */
    cr_expect_eq(vec_of("\xc5\xfd\xe7\x06", 4, ALL_MODE)->mem_align, 32);      /* vmovntdq ymm */
}

Test(tr_simd, general_registers)
{
    const struct ir_vec *v = vec_of("\xf3\x4c\x0f\x2d\xc1", 5, ALL_MODE);      /* cvtss2si r8, xmm1 */

    cr_expect(v->gpr_out && v->reg_gpr && v->gpr_size == 8 && v->reg == 8);
    v = vec_of("\x66\x0f\x6e\xc3", 4, ALL_MODE);                               /* movd xmm0, ebx */
    cr_expect(v->gpr_in && v->rm_kind == VRM_GPR && v->gpr_size == 4 && v->rm == R_BX);
    v = vec_of("\xdf\xe0", 2, ALL_MODE);                                       /* fnstsw ax */
    cr_expect(v->gpr_out && v->is_x87 && v->rm_kind == VRM_NONE);
}

Test(tr_simd, mode_checks)
{
    static const struct { const char *code; unsigned n; uint32_t off, on; } no[] = {
        { "\x0f\x58\xc1", 3, 0, MODE_NO_SSE }, { "\x0f\x58\xc1", 3, 0, MODE_TS },
        { "\xc5\xf8\x58\xc1", 4, MODE_AVX, 0 }, { "\xc5\xf8\x58\xc1", 4, MODE_PE, 0 },
        { "\x0f\xfc\xc1", 3, 0, MODE_EM }, { "\x0f\xfc\xc1", 3, 0, MODE_TS },
        { "\xd8\xc1", 2, 0, MODE_NO_FPU }, { "\x0f\x77", 2, 0, MODE_NO_FPU },
    };
    for (unsigned i = 0; i < ARRAY_SIZE(no); i++) {
        cr_expect_not_null(vec_of(no[i].code, no[i].n, ALL_MODE), "case %u", i);
        cr_expect_null(vec_of(no[i].code, no[i].n, (ALL_MODE & ~no[i].off) | no[i].on), "case %u", i);
    }
    /* MMX needs no OSFXSR, and x87 nothing but its own bits */
    cr_expect_not_null(vec_of("\x0f\xfc\xc1", 3, ALL_MODE | MODE_NO_SSE));
    cr_expect_not_null(vec_of("\xd8\xc1", 2, ALL_MODE | MODE_NO_SSE));
}

Test(tr_simd, gather_refuses_equal_registers)
{
    struct x86_insn in;

    /* vgatherdps xmm1, [rdi + xmm2*4], xmm3: a helper, not a VEC */
    translate(&in, (const uint8_t *)"\xc4\xe2\x61\x92\x0c\x97", 6, ALL_MODE);
    cr_expect_eq(block->ops[block->n_ops - 1].opc, IR_CALL);
    /* index == destination: raises, which ends the block */
    translate(&in, (const uint8_t *)"\xc4\xe2\x61\x92\x0c\x8f", 6, ALL_MODE);
    cr_expect_eq(block->ops[block->n_ops - 1].opc, IR_EXIT);
}

Test(tr_simd, no_room_overflows_the_block)
{
    struct x86_insn in;
    struct tb_key key = { .mode = ALL_MODE, .flat = true };
    struct xlat x = { .b = block, .cpu = cpu, .k = &key, .in = &in, .mode = ALL_MODE, .bits = 64 };

    x86_decode((const uint8_t *)"\x0f\x58\xc1", 3, 64, &in);
    x.row = in.row;
    ir_begin(block, &target);
    for (unsigned i = 0; i < IR_MAX_VEC; i++)
        tr_vec(&x);
    cr_expect_not(block->overflow);
    tr_vec(&x);
    cr_expect(block->overflow);
    cr_expect_eq(block->n_vec, IR_MAX_VEC);
}
