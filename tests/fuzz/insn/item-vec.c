/*
 * item-vec.c - vector and x87 instructions that need others around them: gathers and scatters
 * an index, FSTP's alias full registers, state images what cannot be compared cleared
 */
#include "tests/fuzz/insn/seq-int.h"

enum { INDEX8 = 16 };             /* VA_INDEX8 of EVEX rows */

/* ---- gathers and scatters -------------------------------------------------------- */

/* MOVDQU of @at to vector register @reg, 64 bytes or 32 */
static void load_index(struct build *b, unsigned reg, uint32_t at, bool evex)
{
    uint8_t buf[16], n = 0;

    if (evex) {
        buf[n++] = 0x62;
        buf[n++] = (uint8_t)((~reg >> 3 & 1) << 7 | 0x60 | (~reg >> 4 & 1) << 4 | 1);
        buf[n++] = 0x7e;
        buf[n++] = 0x48;
    } else {
        buf[n++] = 0xc4;
        buf[n++] = (uint8_t)((~reg >> 3 & 1) << 7 | 0x61);
        buf[n++] = 0x7e;
    }
    buf[n++] = 0x6f;
    buf[n++] = (uint8_t)((reg & 7) << 3 | (b->rg.bits == 64 ? 4 : 5));
    if (b->rg.bits == 64)
        buf[n++] = 0x25;
    stl32(buf + n, at);
    build_add(b, buf, n + 4u);
    build_settle(b, 0, 0, 0);
}

/* which elements were done when one faults differs between CPUs: none does here */
void build_gather(struct build *b)
{
    const struct source *s = b->src;
    struct x86_insn in;
    struct enc e;
    unsigned row;
    bool evex, wide;

    if (!s->n_vsib || b->edge || build_room(b) < 2)
        return;
    row = s->vsib[below(s->n_vsib)];
    if (!encode(&e, &x86_rows[row], &b->rg, s->m, &in) || in.addrsize * 8u != b->rg.bits)
        return;
    evex = ROW_HAS(in.row, EVEX);
    wide = evex ? in.row->arg & INDEX8 : in.opcode & 1;
    load_index(b, in.index, RO_VA + (wide ? INDEX64_AT : INDEX32_AT), evex);
    build_append(b, &e, &in, row);
}

void image_indices(struct image *im)
{
    for (unsigned i = 0; i < 64; i += 4)
        stl32(im->ro + INDEX32_AT + i, below(64) - 16);
    for (unsigned i = 0; i < 64; i += 8)
        stl64(im->ro + INDEX64_AT + i, (uint64_t)below(64) - 16);
}

/* ---- x87 ------------------------------------------------------------------------------- */

/* FLDPI; FLD1; FSTP's alias: with an empty register it differs, so no branch comes between */
void build_fstp(struct build *b)
{
    build_add(b, (uint8_t[]){ 0xd9, 0xeb, 0xd9, 0xe8, 0xd9, 0xd9 }, 6);
    build_settle(b, 0, 0, 0);
}

/* @op, a digit, [base + @disp], an immediate of @imm_n zeros */
static void add_mem(struct build *b, const uint8_t *op, unsigned op_n, unsigned digit, int32_t disp, unsigned imm_n)
{
    unsigned r = b->rg.base[0], n = 0;
    uint8_t buf[16] = { 0 };

    if (op[0] == 0x66)
        buf[n++] = *op++, op_n--;
    if (r >> 3)
        buf[n++] = 0x41;
    memcpy(buf + n, op, op_n);
    n += op_n;
    buf[n++] = (uint8_t)(0x80 | digit << 3 | (r & 7));
    if ((r & 7) == 4)
        buf[n++] = 0x24;
    stl32(buf + n, (uint32_t)disp);
    build_add(b, buf, n + 4 + imm_n);
    build_settle(b, 0, 0, 0);
}

/* where an image holds the last instruction's place: sizes and offsets, ended by 0 */
struct image_form {
    uint8_t op[2], op_n, save, restore;
    uint8_t words[6], dwords[6];
};

/* a state image, pointers in it cleared, and perhaps loaded again */
void build_image(struct build *b)
{
    static const struct image_form forms[] = {
        { { 0x0f, 0xae }, 2, 0, 1, { 6 }, { 8, 12, 16, 20 } },             /* FXSAVE, FXRSTOR */
        { { 0xd9 }, 1, 6, 4, { 0 }, { 12, 16, 20, 24 } },                  /* FNSTENV, FLDENV */
        { { 0xdd }, 1, 6, 4, { 0 }, { 12, 16, 20, 24 } },                  /* FNSAVE, FRSTOR */
    };
    const struct image_form *f = &forms[below(ARRAY_SIZE(forms))];
    int32_t at = (int32_t)(16 * below(16)) - 128 + (int32_t)(-b->rg.at[0] & 15) + (one_in(8) ? 4 : 0);
    unsigned first = b->q->n;

    if (b->edge || b->moved || b->rg.bits == 16 || build_room(b) < 7)
        return;
    add_mem(b, f->op, f->op_n, f->save, at, 0);
    for (unsigned i = 0; f->words[i]; i++)
        add_mem(b, (const uint8_t[]){ 0x66, 0xc7 }, 2, 0, at + f->words[i], 2);
    for (unsigned i = 0; f->dwords[i]; i++)
        add_mem(b, (const uint8_t[]){ 0xc7 }, 1, 0, at + f->dwords[i], 4);
    if (one_in(2))
        add_mem(b, f->op, f->op_n, f->restore, at, 0);
    build_glue(b, b->q->n - first);
}
