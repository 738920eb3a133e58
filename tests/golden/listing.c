/*
 * listing.c - a block's host code as text that is the same wherever cache, helpers and the
 * fields of the vCPU struct are
 */
#include <stdlib.h>
#include "tests/golden/golden.h"
#ifdef CONFIG_CAPSTONE
#define x86_insn capstone_x86_insn     /* a tag of ours, too */
#include <capstone/capstone.h>
#undef x86_insn
#include "tcg/host-x86_64/gen-int.h"

#define NAME_CHARS 80
#define MAX_INSN 15
#define MAX_LABELS 400

/** struct field - a part of the vCPU struct; where it is does not matter, which it is does */
struct field {
    const char *name;
    size_t at, bytes;
    unsigned elem;           /* an array: bytes of an element; 0: a single one */
};

#define TCG(f) { #f, offsetof(struct tcg_cpu, f), sizeof(((struct tcg_cpu *)0)->f), 0 }
#define TCG_ARRAY(f) { #f, offsetof(struct tcg_cpu, f), sizeof(((struct tcg_cpu *)0)->f), 8 }
#define SLOW_AT(f) { "slow." #f, SLOW_OFF(f), sizeof(((struct tcg_slow *)0)->f), 0 }
#define CPU(f) { #f, offsetof(struct x86_cpu, f), sizeof(((struct x86_cpu *)0)->f), 0 }
static const struct field fields[] = {
    TCG(pcbase), TCG(pcoff), TCG(run), TCG(fl), TCG(exception), TCG(map_mask), TCG(stack_page), TCG(stack_delta), TCG(table_page), TCG(table_delta), TCG(vec_loaded),
    TCG(x87_loaded), TCG(zmm_loaded), TCG(zmmh_live), TCG(hi16_live), TCG(in_code), TCG(restart1),
    TCG(exit_reason), TCG(exit_tb), TCG(exit_slot), TCG(mode_salt), TCG(pc), TCG(returns), TCG(map_base),
    TCG(map_base_now), TCG(va_mask), TCG(zero), TCG(pauses), TCG_ARRAY(regs), TCG_ARRAY(spill), TCG_ARRAY(carry), TCG(loop_limit),
    SLOW_AT(va), SLOW_AT(delta), SLOW_AT(desc), SLOW_AT(elems), SLOW_AT(arg), SLOW_AT(save),
    CPU(eflags), CPU(cpl), CPU(df), CPU(seg), CPU(cr0), CPU(cr2), CPU(cr3), CPU(cr4), CPU(mode), CPU(irq_held), CPU(kernel_gs_base), CPU(fx),
    CPU(ymmh), CPU(z), CPU(pkru),
};

#define THUNK(n) [TH_##n] = #n
static const char *const thunks[TH_COUNT] = {
    THUNK(ENTER), THUNK(LEAVE_NEXT), THUNK(LEAVE_LOOKUP), THUNK(LEAVE_INTR), THUNK(LEAVE_PC), THUNK(LEAVE_EXC),
    THUNK(COMMIT), THUNK(VEC_LOAD), THUNK(ZMM_LOAD), THUNK(X87_LOAD), THUNK(CALL),
    THUNK(CALL_NOVEC), THUNK(CALL_SYNC), THUNK(CALL_SYNC_NOVEC), THUNK(DIVIDE), THUNK(FP_SSE), THUNK(FP_X87),
    THUNK(ALIGN),
};

static const char *const miss[MISS_KINDS] = { "MISS", "MISS_STACK", "MISS_TABLE" };

struct listing {
    const struct tcg *t;
    csh cs;
    cs_insn *in;
    struct symbols *syms;
    const struct tb *tb;
    uint64_t label[MAX_LABELS]; /* targets of jumps within the block, in order of the jumps */
    unsigned n_labels;
    bool hidden[MAX_INSN];   /* bytes of the instruction that depend on places */
    char name[NAME_CHARS];   /* what they stand for, or "" */
};

struct listing *listing_new(const struct tcg *t)
{
    struct listing *l = xzalloc(sizeof(*l));

    l->t = t;
    if (cs_open(CS_ARCH_X86, CS_MODE_64, &l->cs) != CS_ERR_OK) {
        free(l);
        return NULL;
    }
    cs_option(l->cs, CS_OPT_DETAIL, CS_OPT_ON);
    l->in = cs_malloc(l->cs);
    l->syms = symbols_open();
    return l;
}

void listing_free(struct listing *l)
{
    symbols_free(l->syms);
    cs_free(l->in, 1);
    cs_close(&l->cs);
    free(l);
}

static void hide(struct listing *l, unsigned from, unsigned n)
{
    for (unsigned i = from; i < from + n && i < MAX_INSN; i++)
        l->hidden[i] = true;
}

/* ---- names ---------------------------------------------------------------------------- */

static unsigned label_of(struct listing *l, uint64_t at)
{
    for (unsigned i = 0; i < l->n_labels; i++)
        if (l->label[i] == at)
            return i + 1;
    assert(l->n_labels < MAX_LABELS);
    l->label[l->n_labels++] = at;
    return l->n_labels;
}

/* A place in the code cache. */
static void name_place(struct listing *l, uint64_t at)
{
    const struct tb *tb = l->tb;

    if (at - (uintptr_t)tb->code < tb->code_len || at - (uintptr_t)tb->cold <= tb->cold_len)
        snprintf(l->name, NAME_CHARS, "L%u", label_of(l, at));
    for (unsigned i = 0; i < TH_COUNT; i++)
        if (at - (uintptr_t)l->t->cache.rx == l->t->thunk[i])
            snprintf(l->name, NAME_CHARS, "thunk %s", i >= TH_MISS ? miss[(i - TH_MISS) / (N_SCRATCH * 16)]
                     : i >= TH_REP ? "REP" : thunks[i] ? thunks[i] : "?");
}

/* A field of the vCPU struct, or of the jump cache and counters behind it. */
static void name_field(struct listing *l, int64_t at)
{
    const struct tcg_target *t = l->t->target;
    uint64_t jc = (uint64_t)at - jc_offset(l->t);

    snprintf(l->name, NAME_CHARS, "%s", at < (int64_t)sizeof(struct tcg_cpu) ? "env ?" : "cpu ?");
    if (jc < sizeof(struct jump_cache_entry))
        snprintf(l->name, NAME_CHARS, "jc+%u", (unsigned)jc);
    for (unsigned i = 0; i < ARRAY_SIZE(fields); i++) {
        const struct field *f = &fields[i];
        uint64_t in = (uint64_t)at - f->at;

        if (in >= f->bytes)
            continue;
        if (f->elem)
            snprintf(l->name, NAME_CHARS, "%s[%u]%s", f->name, (unsigned)(in / f->elem), in % f->elem ? "+" : "");
        else if (in)
            snprintf(l->name, NAME_CHARS, "%s+%u", f->name, (unsigned)in);
        else
            snprintf(l->name, NAME_CHARS, "%s", f->name);
    }
    for (unsigned i = 0; i < t->n_globals; i++)
        if (t->globals[i].offset == (uint32_t)at)
            snprintf(l->name, NAME_CHARS, "%s", t->globals[i].name);
}

/* Where the struct tb is, which a link's stub tells the run loop. */
static bool is_tb(const struct listing *l, uint64_t imm, unsigned *slot)
{
    uint64_t at = (uint64_t)((const char *)l->tb - l->t->arena);

    *slot = (unsigned)(imm - at);
    return imm >= at && imm - at < 16;
}

static void name_operand(struct listing *l, const cs_x86_op *op, bool cold)
{
    const cs_x86 *x = &l->in->detail->x86;
    const char *fn;
    unsigned slot;

    if (op->type == X86_OP_MEM && op->mem.base == X86_REG_RSP && op->mem.segment == X86_REG_INVALID) {
        name_field(l, op->mem.disp);
        hide(l, x->encoding.disp_offset, x->encoding.disp_offset ? x->encoding.disp_size : 0);
    }
    if (op->type != X86_OP_IMM)
        return;
    if (cs_insn_group(l->cs, l->in, X86_GRP_JUMP) || cs_insn_group(l->cs, l->in, X86_GRP_CALL)) {
        name_place(l, (uint64_t)op->imm);
        hide(l, x->encoding.imm_offset, x->encoding.imm_size);
    } else if ((fn = symbols_name(l->syms, (const void *)(uintptr_t)op->imm))) {
        snprintf(l->name, NAME_CHARS, "%s", fn);
        hide(l, x->encoding.imm_offset, x->encoding.imm_size);
    } else if (cold && x->opcode[0] == 0xb8 && x->encoding.imm_size == 4 && is_tb(l, (uint64_t)op->imm, &slot)) {
        snprintf(l->name, NAME_CHARS, "block, slot %u", slot);
        hide(l, x->encoding.imm_offset, 4);
    }
}

/* ---- printing --------------------------------------------------------------------------- */

static void print_bytes(const struct listing *l, const uint8_t *code, unsigned len, FILE *f)
{
    char text[2 * MAX_INSN + NAME_CHARS + 4] = "";
    size_t n = 0;

    for (unsigned i = 0; i < len; i++)
        n += (size_t)snprintf(text + n, sizeof(text) - n, l->hidden[i] ? ".." : "%02x", code[i]);
    if (l->name[0])
        snprintf(text + n, sizeof(text) - n, " {%s}", l->name);
    fprintf(f, "    %-36s\t", text);
}

/* The operands; a place or a field in them is shown by its name alone. */
static void print_operands(const struct listing *l, FILE *f)
{
    const char *text = l->in->op_str, *from = strstr(text, "[rsp"), *to = from ? strchr(from, ']') : NULL;

    if (l->name[0] && to)
        fprintf(f, "%.*s[%s]%s", (int)(from - text), text, l->name, to + 1);
    else if (l->name[0] && strrchr(text, ','))
        fprintf(f, "%.*s, %s", (int)(strrchr(text, ',') - text), text, l->name);
    else
        fputs(l->name[0] ? l->name : text, f);
}

/* Of opmask and some EVEX instructions this disassembler knows nothing, our decoder enough. */
static unsigned print_unknown(struct listing *l, const uint8_t *code, size_t len, FILE *f)
{
    unsigned modrm = code[0] == 0x62 ? 5 : 4, mod = code[modrm] & 0xc7;
    struct x86_insn in;
    int n = x86_decode(code, (unsigned)MIN(len, (size_t)MAX_INSN), 64, &in);

    assert(n > 0);
    if ((mod == 0x44 || mod == 0x84) && code[modrm + 1] == 0x24) {
        name_field(l, mod == 0x44 ? (int8_t)code[modrm + 2] : (int32_t)ldl32(code + modrm + 2));
        hide(l, modrm + 2, mod == 0x44 ? 1 : 4);
    }
    print_bytes(l, code, (unsigned)n, f);
    fprintf(f, "not known to the disassembler\n");
    return (unsigned)n;
}

static void print_label(struct listing *l, uint64_t at, FILE *f)
{
    for (unsigned i = 0; i < l->n_labels; i++)
        if (l->label[i] == at)
            fprintf(f, "  L%u:\n", i + 1);
}

static unsigned print_part(struct listing *l, const uint8_t *code, size_t len, bool cold, FILE *f)
{
    uint64_t at = (uintptr_t)code;
    unsigned n = 0;

    for (; len; n++) {
        const uint8_t *start = code;

        memset(l->hidden, 0, sizeof(l->hidden));
        l->name[0] = 0;
        print_label(l, at, f);
        if (!cs_disasm_iter(l->cs, &code, &len, &at, l->in)) {
            unsigned skip = print_unknown(l, start, len, f);

            code += skip;
            at += skip;
            len -= skip;
            continue;
        }
        for (unsigned i = 0; i < l->in->detail->x86.op_count; i++)
            name_operand(l, &l->in->detail->x86.operands[i], cold);
        print_bytes(l, start, (unsigned)(code - start), f);
        fprintf(f, "%s ", l->in->mnemonic);
        print_operands(l, f);
        fputc('\n', f);
    }
    return n;
}

void listing_block(struct listing *l, const struct tb *tb, bool cold, FILE *f, struct code_size *size)
{
    char *text = NULL;
    size_t len;
    FILE *scrap = open_memstream(&text, &len);

    l->tb = tb;
    l->n_labels = 0;
    size->bytes += tb->code_len;
    size->cold_bytes += tb->cold_len;
    size->insns += print_part(l, tb->code, tb->code_len, false, scrap);   /* finds the labels */
    size->cold_insns += print_part(l, tb->cold, tb->cold_len, true, scrap);
    fclose(scrap);
    free(text);
    print_part(l, tb->code, tb->code_len, false, f);
    if (cold && tb->cold_len) {
        fprintf(f, "  out of line\n");
        print_part(l, tb->cold, tb->cold_len, true, f);
    }
}

#else

struct listing *listing_new(const struct tcg *t) { return NULL; }
void listing_free(struct listing *l) { }
void listing_block(struct listing *l, const struct tb *tb, bool cold, FILE *f, struct code_size *size) { }

#endif
