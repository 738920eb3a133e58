/* fold.c - folding rules; then random blocks: the passes change no result */
#include "tests/tcg/rig.h"

static struct ir_block *fresh(void)
{
    struct ir_block *b = ir_block_new();

    ir_begin(b, &rig_target);
    return b;
}

static void end(struct ir_block *b)
{
    ir_emit_imm(b, IR_EXIT, 0, IR_NONE, IR_NONE, 0);
}

Test(fold, constant_into_operand)
{
    struct ir_block *b = fresh();
    ir_val t = ir_temp(b);

    ir_movi(b, t, 7);
    ir_emit(b, IR_SUB, 4, G0, G0, t);
    end(b);
    ir_fold(b);
    cr_assert_eq(b->ops[1].b, IR_IMM);
    cr_assert_eq(b->ops[1].imm, 7);
    ir_block_free(b);
}

Test(fold, wide_constant_stays_in_a_temp)
{
    struct ir_block *b = fresh();
    ir_val t = ir_temp(b);

    ir_movi(b, t, 0x123456789abcull);
    ir_emit(b, IR_SUB, 8, G0, G0, t);
    end(b);
    ir_fold(b);
    cr_assert_eq(b->ops[1].b, t);
    ir_block_free(b);
}

Test(fold, address_sums)
{
    struct ir_block *b = fresh();
    ir_val t = ir_temp(b), u = ir_temp(b), i = ir_temp(b);

    ir_lea(b, 8, t, G0, IR_NONE, 0, 0x10);
    ir_movi(b, i, 3);
    ir_lea(b, 8, u, t, i, 2, 4);
    ir_ld(b, 4, G1, u);
    end(b);
    ir_fold(b);
    cr_assert_eq(b->ops[2].a, G0);
    cr_assert_eq(b->ops[2].b, IR_NONE);
    cr_assert_eq(b->ops[2].imm, 0x20);
    ir_block_free(b);
}

Test(fold, a_written_source_ends_the_fact)
{
    struct ir_block *b = fresh();
    ir_val t = ir_temp(b);

    ir_mov(b, 8, t, G0);
    ir_emit_imm(b, IR_ADD, 8, G0, G0, 1);
    ir_mov(b, 8, G1, t);
    end(b);
    ir_fold(b);
    cr_assert_eq(b->ops[2].b, t);
    ir_block_free(b);
}

Test(fold, labels_end_facts)
{
    struct ir_block *b = fresh();
    uint16_t l = ir_label(b);
    ir_val t = ir_temp(b);

    ir_movi(b, t, 7);
    ir_set_label(b, l);
    ir_mov(b, 8, G0, t);
    end(b);
    ir_fold(b);
    cr_assert_eq(b->ops[2].b, t);
    ir_block_free(b);
}

Test(fold, partial_write_merges)
{
    struct ir_block *b = fresh();

    ir_movi(b, G0, 0x1111);
    ir_emit_imm(b, IR_MOV, 1, G0, IR_NONE, 0x22);
    ir_mov(b, 8, G1, G0);
    end(b);
    ir_fold(b);
    cr_assert_eq(b->ops[2].b, IR_IMM);
    cr_assert_eq(b->ops[2].imm, 0x1122);
    ir_block_free(b);
}

Test(fold, zext_of_short_value_is_a_copy)
{
    struct ir_block *b = fresh();
    ir_val t = ir_temp(b), u = ir_temp(b);

    ir_ld(b, 2, t, G0);
    ir_emit(b, IR_ZEXT, 2, u, t, IR_NONE);
    ir_mov(b, 8, G1, u);
    end(b);
    ir_fold(b);
    cr_assert_eq(b->ops[1].opc, IR_MOV);
    cr_assert_eq(b->ops[2].b, t);
    ir_block_free(b);
}

Test(fold, bit_scan_of_nothing_keeps_the_upper_half)
{
    struct ir_block *b = fresh();
    ir_val t = ir_temp(b), u = ir_temp(b);

    ir_emit(b, IR_BSF, 4, t, G0, G1);
    ir_emit(b, IR_ZEXT, 4, u, t, IR_NONE);
    ir_mov(b, 8, G2, u);
    end(b);
    ir_fold(b);
    cr_assert_eq(b->ops[1].opc, IR_ZEXT);
    ir_block_free(b);
}

Test(fold, sync_call_may_change_globals)
{
    struct ir_block *b = fresh();

    ir_movi(b, G0, 1);
    ir_call(b, (void *)(uintptr_t)rig_random, IRCALL_SYNC, IR_NONE, IR_NONE, IR_NONE, IR_NONE);
    ir_mov(b, 8, G1, G0);
    end(b);
    ir_fold(b);
    cr_assert_eq(b->ops[2].b, G0);
    ir_block_free(b);
}

/* ---- random blocks --------------------------------------------------------------- */

static uint64_t mix_helper(struct tcg_cpu *cpu, uint64_t a, uint64_t b, uint64_t c)
{
    uint64_t h = a * 31 + b * 17 + c + cpu->fl;

    for (unsigned i = 0; i < RIG_GLOBALS; i++)
        h = h * 33 + cpu->regs[i];
    cpu->regs[h & 7] ^= h;
    if ((h & 0xff00) == 0)
        cpu->exception = RIG_EXC_DIVIDE;
    return h;
}

static uint64_t pure_helper(struct tcg_cpu *cpu, uint64_t a, uint64_t b, uint64_t c)
{
    return a * 3 + b * 5 + c * 7;
}

struct gen {
    struct ir_block *b;
    uint64_t seed;
    ir_val temps[12];
    unsigned n_temps;
    uint16_t label;
    bool open;          /* label is still to be placed */
};

static unsigned pick(struct gen *g, unsigned n)
{
    return (unsigned)((rig_random(&g->seed) >> 33) % n);
}

static unsigned any_size(struct gen *g)
{
    return 1u << pick(g, 4);
}

static ir_val any_in(struct gen *g)
{
    return pick(g, 2) || !g->n_temps ? pick(g, RIG_GLOBALS) : g->temps[pick(g, g->n_temps)];
}

/* a result: a global, an old temp, or (written whole) a new one */
static ir_val any_out(struct gen *g, bool whole)
{
    if (whole && g->n_temps < 12 && !pick(g, 3)) {
        ir_val t = ir_temp(g->b);
        g->temps[g->n_temps++] = t;
        return t;
    }
    return any_in(g);
}

static int64_t any_imm(struct gen *g)
{
    static const int64_t some[] = { 0, 1, -1, 2, 8, 0x7f, 0x80, 0xff, 0x7fff, 0xffff, -128,
                                    0x7fffffff, -0x80000000ll, 31, 63, 0x1234 };

    return some[pick(g, ARRAY_SIZE(some))];
}

static void gen_arith(struct gen *g)
{
    static const uint8_t two[] = { IR_ADD, IR_SUB, IR_AND, IR_OR, IR_XOR, IR_ADC, IR_SBB, IR_SHL,
                                   IR_SHR, IR_SAR, IR_ROL, IR_ROR, IR_RCL, IR_RCR };
    static const uint8_t one[] = { IR_INC, IR_DEC, IR_NEG, IR_NOT };
    unsigned size = any_size(g);
    ir_val a = any_in(g), b = any_in(g);
    bool imm = pick(g, 2);
    struct ir_op *op;

    if (pick(g, 4)) {
        unsigned opc = two[pick(g, ARRAY_SIZE(two))];
        int64_t k = any_imm(g);
        ir_val d = any_out(g, size >= 4);
        op = imm ? ir_emit_imm(g->b, opc, size, d, a, k) : ir_emit(g->b, opc, size, d, a, b);
    } else {
        unsigned opc = one[pick(g, ARRAY_SIZE(one))];
        op = ir_emit(g->b, opc, size, any_out(g, size >= 4), a, IR_NONE);
    }
    op->wf = pick(g, 2) && op->opc != IR_NOT ? IRF_ALL : 0;
}

static void gen_move(struct gen *g)
{
    unsigned size = any_size(g);
    ir_val a = any_in(g), b = any_in(g);
    struct ir_op *op;

    switch (pick(g, 8)) {
    case 0:
        ir_mov(g->b, size, any_out(g, size >= 4), a);
        break;
    case 1:
        ir_emit_imm(g->b, IR_MOV, size, any_out(g, size >= 4), IR_NONE, any_imm(g));
        break;
    case 2:
        ir_emit(g->b, IR_ZEXT, size, any_out(g, true), a, IR_NONE);
        break;
    case 3:
        size = 4u << pick(g, 2);
        ir_emit(g->b, IR_SEXT, size, any_out(g, true), a, IR_NONE)->sz2 = 1u << pick(g, 3);
        break;
    case 4:
        ir_emit(g->b, pick(g, 2) ? IR_EXTH : IR_BSWAP, 8, any_out(g, true), a, IR_NONE);
        break;
    case 5:
        ir_emit(g->b, IR_DEPH, 0, pick(g, RIG_GLOBALS), a, IR_NONE);
        break;
    case 6:
        op = ir_emit(g->b, IR_CMOV, 8, any_out(g, true), a, b);
        op->cc = pick(g, 16);
        break;
    default:
        ir_lea(g->b, 4u << pick(g, 2), any_out(g, true), a, pick(g, 2) ? b : IR_NONE, pick(g, 4),
               any_imm(g) & 0xffff);
        break;
    }
}

/* an address that is mostly good: (in & 0xff8) + 0x1000, sometimes any */
static ir_val gen_address(struct gen *g)
{
    ir_val t = ir_temp(g->b), u = ir_temp(g->b);

    if (!pick(g, 40))
        return any_in(g);
    ir_emit_imm(g->b, IR_AND, 8, t, any_in(g), 0xff8);
    ir_lea(g->b, 8, u, t, IR_NONE, 0, 0x1000);
    return u;
}

static void gen_memory(struct gen *g)
{
    unsigned size = any_size(g);
    ir_val at = gen_address(g), v = any_in(g);
    struct ir_op *op;

    switch (pick(g, 5)) {
    case 0:
        ir_ld(g->b, size, any_out(g, true), at);
        break;
    case 1:
        ir_emit(g->b, IR_LDM, size, pick(g, RIG_GLOBALS), at, IR_NONE);
        break;
    case 2:
        op = ir_emit(g->b, IR_RMW, size, IR_NONE, at, v);
        op->rmw = pick(g, IRM_INC);
        op->wf = IRF_ALL;
        break;
    case 3:
        op = ir_emit(g->b, IR_CMPXCHG, size, G0, at, v);
        op->c = G0;
        op->wf = IRF_ALL;
        break;
    default:
        ir_st(g->b, size, at, v);
        break;
    }
}

static void gen_other(struct gen *g)
{
    struct ir_op *op;
    size_t off = offsetof(struct rig_cpu, extra) + pick(g, 8) * 8;

    switch (pick(g, 7)) {
    case 0:
        ir_emit(g->b, IR_SETCC, 0, any_out(g, true), IR_NONE, IR_NONE)->cc = pick(g, 16);
        break;
    case 1:
        ir_emit(g->b, IR_CMP, any_size(g), IR_NONE, any_in(g), any_in(g))->wf = IRF_ALL;
        break;
    case 2:
        ir_lde(g->b, any_size(g), any_out(g, true), off);
        break;
    case 3:
        ir_ste(g->b, any_size(g), off, any_in(g));
        break;
    case 4:
        op = ir_call(g->b, (void *)(uintptr_t)mix_helper, IRCALL_SYNC | IRCALL_FAULT, IR_NONE,
                     any_in(g), any_in(g), IR_NONE);
        op->d = any_out(g, true);     /* after the inputs: it may be a new temp */
        break;
    case 5:
        op = ir_call(g->b, (void *)(uintptr_t)pure_helper, IRCALL_PURE | IRCALL_NOVEC, IR_NONE,
                     any_in(g), any_in(g), any_in(g));
        op->d = any_out(g, true);
        break;
    default:
        ir_emit(g->b, pick(g, 2) ? IR_CMC : IR_STC, 0, IR_NONE, IR_NONE, IR_NONE);
        break;
    }
}

/* forward branches over a few operations; no temp is born in the shadow */
static void gen_branch(struct gen *g)
{
    if (g->open) {
        ir_set_label(g->b, g->label);
        g->open = false;
        return;
    }
    g->label = ir_label(g->b);
    g->open = true;
    if (!pick(g, 6))
        ir_br(g->b, g->label);
    else if (pick(g, 2))
        ir_brcc(g->b, pick(g, 16), g->label);
    else if (pick(g, 2))
        ir_brcmp(g->b, IRC_LT + pick(g, 4), any_size(g), any_in(g), any_in(g), g->label);
    else
        ir_brcmpi(g->b, IRC_C + pick(g, 6), any_size(g), any_in(g), any_imm(g), g->label);
}

static void gen_block(struct gen *g)
{
    unsigned n = 5 + pick(g, 40), full = 0;

    g->n_temps = 0;
    g->open = false;
    ir_begin(g->b, &rig_target);
    for (unsigned i = 0; i < n; i++) {
        if (!pick(g, 4))
            ir_insn(g->b, i, 1);
        /* within a branch's shadow no new temps, which might stay unwritten */
        if (g->open && g->n_temps < 12) {
            full = 12 - g->n_temps;
            while (g->n_temps < 12) {
                ir_val t = pick(g, RIG_GLOBALS);
                g->temps[g->n_temps++] = t;
            }
        }
        switch (pick(g, 8)) {
        case 0: case 1: case 2: gen_arith(g); break;
        case 3: case 4: gen_move(g); break;
        case 5: gen_memory(g); break;
        case 6: gen_branch(g); break;
        default: gen_other(g); break;
        }
        if (!g->open && full) {
            g->n_temps -= full;
            full = 0;
        }
    }
    if (g->open)
        ir_set_label(g->b, g->label);
    ir_emit_imm(g->b, IR_GOTO_TB, 0, IR_NONE, IR_NONE, 0x100);
}

struct outcome {
    uint64_t regs[RIG_GLOBALS], extra[8], pc;
    uint32_t fl, exit_reason, exception;
    int32_t pcoff;
    uint8_t ram[8192];
};

static void run_from(struct rig *r, uint64_t seed, const struct ir_block *b, struct outcome *o)
{
    struct tcg_cpu *cpu = &r->cpu->tcg;

    memset(o, 0, sizeof(*o));
    memset(r->ram, 0, RIG_BYTES);
    for (unsigned i = 0; i < 8192; i += 8)
        stl64(r->ram + i, rig_random(&seed));
    for (unsigned i = 0; i < RIG_GLOBALS; i++)
        cpu->regs[i] = rig_random(&seed) >> (rig_random(&seed) % 60);
    for (unsigned i = 0; i < 8; i++)
        r->cpu->extra[i] = rig_random(&seed);
    cpu->fl = (uint32_t)rig_random(&seed) & 0xd501;
    cpu->exception = 0;
    cpu->pcoff = 0;
    ir_interp(cpu, b);
    memcpy(o->regs, cpu->regs, sizeof(o->regs));
    memcpy(o->extra, r->cpu->extra, sizeof(o->extra));
    memcpy(o->ram, r->ram, sizeof(o->ram));
    o->fl = cpu->fl & 0xd501;
    o->exit_reason = cpu->exit_reason;
    o->exception = cpu->exception;
    o->pcoff = cpu->pcoff;
}

Test(fold, passes_change_no_result)
{
    struct rig *r = rig_new();
    struct gen g = { .b = r->b, .seed = 0x1234567 };
    struct ir_block *opt = ir_block_new();
    struct outcome want, got;
    unsigned before = 0, after = 0;

    for (unsigned i = 0; i < 3000; i++) {
        const char *why;

        gen_block(&g);
        why = ir_verify(r->b);
        cr_assert_null(why, "block %u: %s", i, why);
        ir_begin(opt, &rig_target);
        opt->n_ops = r->b->n_ops;
        opt->n_vals = r->b->n_vals;
        opt->n_labels = r->b->n_labels;
        memcpy(opt->ops, r->b->ops, r->b->n_ops * sizeof(*opt->ops));
        ir_optimise(opt, true, true);
        why = ir_verify(opt);
        cr_assert_null(why, "block %u optimised: %s", i, why);
        before += r->b->n_ops;
        after += opt->n_ops;
        for (unsigned k = 0; k < 4; k++) {
            uint64_t seed = i * 977 + k * 31 + 1;
            run_from(r, seed, r->b, &want);
            run_from(r, seed, opt, &got);
            if (memcmp(&want, &got, sizeof(want))) {
                fprintf(stderr, "--- plain\n");
                ir_dump(r->b, stderr);
                fprintf(stderr, "--- optimised\n");
                ir_dump(opt, stderr);
                fprintf(stderr, "pcoff %#x, %#x; exception %u, %u\n", (unsigned)want.pcoff,
                        (unsigned)got.pcoff, want.exception, got.exception);
            }
            cr_assert_arr_eq(want.regs, got.regs, sizeof(want.regs), "block %u: registers", i);
            cr_assert_eq(want.fl, got.fl, "block %u: flags %#x, %#x", i, want.fl, got.fl);
            cr_assert_eq(memcmp(&want, &got, sizeof(want)), 0, "block %u", i);
        }
    }
    cr_assert_lt(after, before, "the passes removed nothing");
    ir_block_free(opt);
    rig_free(r);
}
