/* Translation: what is emitted for short snippets, block ends, and that random code of every
 * mode gives blocks that the verifier accepts. */
#include "tests/target-x86/guest.h"

static unsigned put(struct guest *g, unsigned off, const void *code, unsigned n)
{
    memcpy(g->ram + off, code, n);
    return n;
}
#define PUT(g, off, ...) put(g, off, (const uint8_t[]){ __VA_ARGS__ }, \
                             sizeof((const uint8_t[]){ __VA_ARGS__ }))

/* the ops of the block without INSN, by name */
static void ops_are(const struct guest *g, const char *want)
{
    char got[600] = "";

    for (unsigned i = 0; i < g->b->n_ops; i++) {
        const char *n = ir_op_info(g->b->ops[i].opc)->name;
        if (g->b->ops[i].opc == IR_INSN)
            continue;
        snprintf(got + strlen(got), sizeof(got) - strlen(got), "%s%s", got[0] ? " " : "", n);
    }
    cr_assert_str_eq(got, want, "got \"%s\", not \"%s\"", got, want);
}

static struct ir_op *nth(const struct guest *g, enum ir_opc opc)
{
    for (unsigned i = 0; i < g->b->n_ops; i++)
        if (g->b->ops[i].opc == opc)
            return &g->b->ops[i];
    cr_assert(false, "no %s", ir_op_info(opc)->name);
    return NULL;
}

struct snippet {
    uint32_t mode;
    uint8_t n, code[12];
    const char *ops;
};

static const struct snippet snippets[] = {
    { GUEST_LONG, 2, { 0x01, 0xd8 }, "add goto_tb" },
    { GUEST_LONG, 2, { 0x00, 0xd8 }, "add goto_tb" },
    { GUEST_LONG, 2, { 0x00, 0xdc }, "exth add deph goto_tb" },          /* add ah, bl */
    { GUEST_LONG, 3, { 0x48, 0x89, 0x03 }, "st goto_tb" },               /* mov [rbx], rax */
    { GUEST_LONG, 4, { 0x48, 0x89, 0x43, 8 }, "lea st goto_tb" },
    { GUEST_LONG, 3, { 0x48, 0x8b, 0x03 }, "ld goto_tb" },
    { GUEST_LONG, 2, { 0x8a, 0x03 }, "ldm goto_tb" },
    { GUEST_LONG, 3, { 0x0f, 0xb6, 0x03 }, "ld goto_tb" },
    { GUEST_LONG, 4, { 0x48, 0x0f, 0xbe, 0x03 }, "lds goto_tb" },
    { GUEST_LONG, 2, { 0x01, 0x03 }, "rmw goto_tb" },
    { GUEST_LONG, 1, { 0x50 }, "lea st mov goto_tb" },
    { GUEST_LONG, 1, { 0x58 }, "ld lea mov goto_tb" },
    { GUEST_LONG, 1, { 0xc3 }, "ld lea goto_pc" },                       /* canonical? asked late */
    { GUEST_LONG, 3, { 0xc2, 8, 0 }, "ld sar lea brcmp lea goto_pc label call exit" },
    { GUEST_LONG, 5, { 0xe8, 0, 0, 0, 0 }, "lde lea lea st mov returns goto_tb" },
    { GUEST_LONG, 2, { 0x74, 2 }, "leavecc goto_tb" },                 /* forward: the block goes on */
    { GUEST_LONG, 2, { 0x74, 0xf0 }, "brcc goto_tb label goto_tb" },
    { GUEST_LONG, 3, { 0x48, 0x8d, 0x03 }, "mov goto_tb" },              /* lea rax, [rbx] */
    { GUEST_LONG, 9, { 0x65, 0x48, 0x8b, 0x04, 0x25, 0x28, 0, 0, 0 }, "lde lea ld goto_tb" },
    { GUEST_LONG, 2, { 0xd3, 0xe0 }, "shl goto_tb" },
    { GUEST_LONG, 2, { 0xd3, 0x20 }, "ldw shl st goto_tb" },
    { GUEST_PROT, 2, { 0x01, 0x03 }, "rmw goto_tb" },
    { GUEST_PROT, 1, { 0x50 }, "lea st mov goto_tb" },
    { GUEST_REAL, 2, { 0x89, 0x07 },                                     /* mov [bx], ax */
      "zext lde lea brcmp lde lea st goto_tb label call exit" },
    { GUEST_LONG, 1, { 0x90 }, "goto_tb" },
    { GUEST_LONG, 3, { 0xf0, 0x01, 0xd8 }, "mov call exit" },            /* lock: #UD */
    { GUEST_LONG, 1, { 0x06 }, "mov call exit" },
};

Test(translate, snippets)
{
    struct guest *g = guest_new();

    for (unsigned i = 0; i < ARRAY_SIZE(snippets); i++) {
        const struct snippet *s = &snippets[i];
        put(g, 0x100, s->code, s->n);
        cr_assert_eq(guest_translate(g, s->mode, 0x100, 1), 1, "snippet %u", i);
        ops_are(g, s->ops);
    }
    guest_free(g);
}

Test(translate, locked_rmw_is_atomic)
{
    struct guest *g = guest_new();

    PUT(g, 0x100, 0xf0, 0x48, 0x01, 0x03);
    guest_translate(g, GUEST_LONG, 0x100, 1);
    cr_assert(nth(g, IR_RMW)->lock);
    PUT(g, 0x100, 0x48, 0x01, 0x03);
    guest_translate(g, GUEST_LONG, 0x100, 1);
    cr_assert(!nth(g, IR_RMW)->lock);
    guest_free(g);
}

Test(translate, backward_jump_polls)
{
    struct guest *g = guest_new();

    PUT(g, 0x100, 0x90, 0xeb, 0xfd);
    cr_assert_eq(guest_translate(g, GUEST_LONG, 0x100, 10), 2);
    cr_assert(nth(g, IR_GOTO_TB)->poll);
    cr_assert_eq(nth(g, IR_GOTO_TB)->imm, 0x100);
    PUT(g, 0x100, 0x90, 0xeb, 0x03);
    guest_translate(g, GUEST_LONG, 0x100, 10);
    cr_assert(!nth(g, IR_GOTO_TB)->poll);
    guest_free(g);
}

Test(translate, block_ends_at_the_page_end)
{
    struct guest *g = guest_new();

    memset(g->ram, 0x90, 0x2000);
    cr_assert_eq(guest_translate(g, GUEST_LONG, 0xffa, 100), 6);
    cr_assert_eq(nth(g, IR_GOTO_TB)->imm, 0x1000);
    PUT(g, 0xffe, 0x48, 0xc7, 0xc0, 1, 2, 3, 4);      /* crosses: not in this block */
    cr_assert_eq(guest_translate(g, GUEST_LONG, 0xffa, 100), 4);
    cr_assert_eq(nth(g, IR_GOTO_TB)->imm, 0xffe);
    cr_assert_eq(guest_translate(g, GUEST_LONG, 0xffe, 100), 1);
    cr_assert_eq(nth(g, IR_GOTO_TB)->imm, 0x1005);
    guest_free(g);
}

Test(translate, max_insns_is_kept)
{
    struct guest *g = guest_new();

    memset(g->ram, 0x90, 0x1000);
    for (unsigned n = 1; n < 50; n += 7)
        cr_assert_eq(guest_translate(g, GUEST_PROT, 0, n), n);
    guest_free(g);
}

Test(translate, ip_wraps_in_real_mode)
{
    struct guest *g = guest_new();

    PUT(g, 0x10, 0xeb, 0x80);          /* jmp to 0x12 - 0x80, modulo 64 KiB */
    guest_translate(g, GUEST_REAL, 0x10, 1);
    cr_assert_eq((uint32_t)nth(g, IR_GOTO_TB)->imm, 0xff92);
    guest_free(g);
}

Test(translate, privilege_is_checked)
{
    struct guest *g = guest_new();

    PUT(g, 0x100, 0xf4);
    guest_translate(g, GUEST_LONG, 0x100, 1);
    cr_assert(nth(g, IR_CALL)->fn == (void *)h_hlt);
    guest_translate(g, GUEST_LONG | MODE_CPL3, 0x100, 1);
    cr_assert(nth(g, IR_CALL)->fn != (void *)h_hlt);
    guest_free(g);
}

Test(translate, single_step_ends_the_block)
{
    struct guest *g = guest_new();

    memset(g->ram, 0x90, 64);
    cr_assert_eq(guest_translate(g, GUEST_LONG | MODE_TF, 0, 100), 1);
    cr_assert(nth(g, IR_CALL)->fn == (void *)h_step_end);
    cr_assert_eq(nth(g, IR_EXIT)->imm, 1);
    guest_free(g);
}

/* STI alone in a block leaves its shadow to the next; otherwise a poll follows the next
 * instruction, never STI itself */
Test(translate, sti_shadow_covers_one_instruction)
{
    struct guest *g = guest_new();

    PUT(g, 0x100, 0xfb, 0x90, 0x90);
    guest_translate(g, GUEST_LONG, 0x100, 1);
    ops_are(g, "lde or ste lde brcmp ste label call exit");
    guest_translate(g, GUEST_LONG, 0x100, 3);
    ops_are(g, "lde or ste lde brcmp ste label lde brcmp exit label goto_tb");
    cr_assert_eq(nth(g, IR_EXIT)->imm, 0x102);
    PUT(g, 0x100, 0xfb, 0xeb, 0x10);
    guest_translate(g, GUEST_LONG, 0x100, 3);
    ops_are(g, "lde or ste lde brcmp ste label goto_tb");
    cr_assert(nth(g, IR_GOTO_TB)->poll);
    guest_free(g);
}

/* ---- random code --------------------------------------------------------------------- */

static uint64_t rng = 0x9e3779b97f4a7c15ull;

static unsigned rnd(void)
{
    rng ^= rng << 13;
    rng ^= rng >> 7;
    rng ^= rng << 17;
    return (unsigned)(rng >> 24);
}

static const uint32_t random_modes[] = {
    GUEST_LONG, GUEST_LONG | MODE_CPL3 | MODE_AVX, GUEST_LONG | MODE_TF, GUEST_LONG | MODE_DR,
    GUEST_PROT, GUEST_PROT | MODE_LONG, GUEST_PROT_SEG, GUEST_PROT_SEG | MODE_LONG | MODE_CPL3,
    GUEST_PROT & ~(uint32_t)MODE_SS32, GUEST_REAL, GUEST_REAL | MODE_VM86 | MODE_PE | MODE_CPL3,
    MODE_CODE16 | MODE_PE | MODE_FLAT_DATA, GUEST_PROT | MODE_SHADOW,
};

Test(translate, random_code_gives_valid_blocks)
{
    struct guest *g = guest_new();
    unsigned insns = 0;

    for (unsigned round = 0; round < 3000; round++) {
        unsigned off = rnd() % 0xf80;
        for (unsigned i = 0; i < 200; i++)
            g->ram[off + i] = rnd() % 5 ? (uint8_t)rnd() : 0x0f;
        insns += guest_translate(g, random_modes[round % ARRAY_SIZE(random_modes)], off, 64);
    }
    cr_assert_gt(insns, 5000, "%u", insns);
    guest_free(g);
}

/* every instruction of a full block is as large as instructions get */
Test(translate, long_blocks_do_not_overflow)
{
    struct guest *g = guest_new();

    for (unsigned off = 0; off + 4 <= 0x1000; off += 4)
        PUT(g, off, 0xa5, 0x01, 0x07, 0xa7);        /* movsw; add [bx], ax; cmpsw */
    cr_assert_gt(guest_translate(g, GUEST_REAL, 0, 4000), 5);
    cr_assert_gt(guest_translate(g, GUEST_PROT_SEG | MODE_LONG, 0, 4000), 5);
    cr_assert_gt(guest_translate(g, GUEST_LONG, 0, 4000), 20);
    guest_free(g);
}

/* ---- small programs: control flow through the run loop ------------------------------------ */

static void run_program(struct guest *g, uint32_t mode, const uint8_t *code, unsigned n)
{
    struct tb_key k;
    struct tcg_cpu *tc = &g->cpu->tcg;

    memset(tc->regs, 0, sizeof(tc->regs));
    put(g, 0x100, code, n);
    tcg_invalidate_phys(g->tcg, 0, 0x100, n);
    guest_key(g, &k, mode, 0x100);
    tc->regs[G_RSP] = mode & MODE_FLAT_CS ? GUEST_STACK : 0x4800;
    tcg_mode_changed(tc, mode);
    tc->va_mask = (mode & MODE_CODE_MASK) == MODE_CODE64 ? ~0ull : 0xffffffff;
    tc->exception = 0;
    tc->run = 1;
    g->cpu->halted = g->cpu->shutdown = g->faulted = false;
    tcg_run(tc);
    cr_assert(!g->faulted);
}

/* sum 1..5 with LOOP, a call, and a jump over rubbish; the same bytes in every mode */
static const uint8_t sum_program[] = {
    0xb1, 5,                     /*     mov cl, 5      (rCX was 0) */
    0x30, 0xc0,                  /*     xor al, al                 */
    0xff, 0xd6,                  /* l:  call rsi                   */
    0xe2, 0xfc,                  /*     loop l                     */
    0xe3, 0x01,                  /*     jrcxz +1                   */
    0xf4,                        /*     hlt                        */
    0x04, 0x64,                  /*     add al, 100                */
    0x75, 0x01,                  /*     jnz +1                     */
    0x0b,
    0xf4,                        /*     hlt                        */
    0x00, 0xc8,                  /* f:  add al, cl                 */
    0xc3,                        /*     ret                        */
};

static void check_sum(uint32_t mode, enum tcg_backend backend)
{
    struct guest *g = guest_new_on(backend, true);
    bool flat = mode & MODE_FLAT_CS;
    uint64_t f = (flat ? GUEST_CODE : 0) + 0x100 + 4 + 17, sp = flat ? GUEST_STACK : 0x4800;
    uint8_t code[64];
    unsigned n = 0;

    /* mov rsi, f */
    if ((mode & MODE_CODE_MASK) == MODE_CODE16) {
        code[n++] = 0xbe;
        stl16(code + n, (uint16_t)(f - 1));
        n += 2;
    } else {
        code[n++] = 0xbe;
        stl32(code + n, (uint32_t)f + 1);
        n += 4;
    }
    memcpy(code + n, sum_program, sizeof(sum_program));
    run_program(g, mode, code, n + sizeof(sum_program));
    cr_assert_eq(g->cpu->tcg.regs[G_RAX], 115, "mode %#x: %llu", mode,
                 (unsigned long long)g->cpu->tcg.regs[G_RAX]);
    cr_assert_eq(g->cpu->tcg.regs[G_RCX], 0);
    cr_assert_eq(g->cpu->tcg.regs[G_RSP], sp);
    cr_assert(g->cpu->halted);
    guest_free(g);
}

Test(translate, programs_interpreted)
{
    check_sum(GUEST_LONG, TCG_BACKEND_INTERP);
    check_sum(GUEST_PROT, TCG_BACKEND_INTERP);
    check_sum(GUEST_PROT_SEG & ~(uint32_t)MODE_SS32, TCG_BACKEND_INTERP);
    check_sum(GUEST_REAL, TCG_BACKEND_INTERP);
}

#ifdef __x86_64__
Test(translate, programs_as_host_code)
{
    check_sum(GUEST_LONG, TCG_BACKEND_HOST);
    check_sum(GUEST_PROT, TCG_BACKEND_HOST);
    check_sum(GUEST_PROT | MODE_LONG, TCG_BACKEND_HOST);
    check_sum(GUEST_PROT_SEG, TCG_BACKEND_HOST);
    check_sum(GUEST_REAL, TCG_BACKEND_HOST);
}
#endif
