/*
 * mem.c - guest memory operands: inline page-map look-up, out-of-line misses
 *
 *   rorx  c, t, 7 ; and c, [mask]              page number of a 48-bit address, times 32
 *   cmp   t.w, gs:[c + limit] ; jae miss       2 to 8 bytes: is it in the map, and before the last places of its page?
 *   mov   c, gs:[c + kind*8]                   host - guest
 * op:
 *   the operation on [t + c]
 * after:
 *
 * More bytes are checked apart from the map, unless the operation itself wants alignment; a single one need not be:
 *   [lea   c, t + size-1 ; xor c, t ; test ch, 16 ; jnz miss]
 *   rorx  c, t, 7 ; and c, [mask]
 *   mov   c, gs:[c + kind*8] ; test c, c ; jz miss     0: not in the map
 * The last few bytes of a page are beyond the limit for accesses of less than 8: the slow path's thunk looks again.
 *
 * A carried access (group.c) compares its address with where the page of the round before ends:
 *   cmp t, [limit] ; jae refill ; mov c, [delta]
 * and what is at refill, behind the block, does the checks and the look-up. One relative to the stack pointer
 * asks whether it lies in the page that the stack was last found in, a loop's table likewise:
 *   lea c, [t + lo] ; sub c, [stack_page] ; cmp c, page size - bytes ; ja refill ; mov c, [stack_delta]
 *
 * An address outside the canonical range finds some entry but makes a host
 * address outside the host's canonical range: the host fault is directed to the
 * miss stub, which raises the guest's. A miss that cannot be made a hit (devices, page
 * crossings) runs the operation on a bounce buffer: the stub has a copy of it.
 */
#include "tcg/host-x86_64/gen-int.h"
#include "tcg/tb-cache-int.h"
#include <stdlib.h>

struct stub *stub_new(struct gen *g, enum stub_kind k)
{
    struct stub *s;

    if (g->n_stubs >= MAX_STUBS) {
        g->fail = true;
        s = &g->stubs[MAX_STUBS];    /* never emitted: keeps the generator going until it stops */
    } else {
        s = &g->stubs[g->n_stubs++];
    }
    memset(s, 0, sizeof(*s));
    s->kind = k;
    s->pcoff = g->pcoff;
    return s;
}

void site_add(struct gen *g, uint8_t *op, uint8_t *stub, uint32_t kind)
{
    g->sites[g->n_sites++] = (struct tb_site){ (uint32_t)(op - g->start) | kind,
                                               (uint32_t)(stub - g->start) };
}

/* Is the narrow map's entry at @d that of the address in @t? ZF; @t comes back. */
static void tag_compare(struct code *c, int t, int d)
{
    ins(c, 8, 0xc1, 1, o_reg(t));                 /* ror t, 28: rotations leave ZF alone */
    e8(c, NARROW_TAG_SHIFT);
    ins(c, 4, XGS | 0x3b, t,
        (struct opn){ .kind = ON_MEM, .base = (int8_t)d, .index = NOREG, .disp = MAP_TAG * 8 });
    ins(c, 8, 0xc1, 0, o_reg(t));
    e8(c, NARROW_TAG_SHIFT);
}

/* @d = where the entry of the address in @t is in the map; @d is not @t */
static void map_index(struct code *c, int t, int d)
{
    rorx(c, 8, d, o_reg(t), MAP_SHIFT);
    ins(c, 8, 0x23, d, ENV(map_mask));            /* and d, mask */
}

void map_entry(struct code *c, const struct tcg *tcg, int t, int d, enum tcg_access k)
{
    unsigned size = k == ACC_EXEC ? 4 : 8;

    map_index(c, t, d);
    if (tcg->narrow)
        tag_compare(c, t, d);
    ins(c, size, XGS | 0x8b, d,
        (struct opn){ .kind = ON_MEM, .base = (int8_t)d, .index = NOREG, .disp = k * 8 });
    if (tcg->narrow)
        ins(c, size, X0F | 0x45, d, ENV(zero));   /* cmovne */
}

void map_lookup(struct gen *g, int t, int d, enum tcg_access k) { map_entry(&g->c, g->t, t, d, k); }

/* The stub of an access through @d of the address in @t. */
static struct stub *mem_stub(struct gen *g, int t, int d)
{
    struct stub *s = stub_new(g, STUB_MEM);

    s->t = (int8_t)t;
    s->c = (int8_t)d;
    if (!g->fl_mem)
        s->rec = g->rec;
    return s;
}

/* A follower: its leader has left the way to the page in a temp. */
static struct opn use_group(struct gen *g, const struct ir_op *op)
{
    int t = val_reg(g, op->a), d = val_reg(g, op->c);

    g->mem = &g->stubs[MAX_STUBS];
    g->mem->lead = false;    /* a block with too many stubs may have left it */
    return (struct opn){ .kind = ON_MEM, .base = (int8_t)t, .index = (int8_t)d, .disp = op->disp };
}

/* Do the @n bytes from @lo bytes behind the address in @t on lie in one page? @d is lost. */
static uint8_t *check_span(struct gen *g, int t, int d, int lo, int n)
{
    struct code *c = &g->c;

    if (lo == 0) {
        lea(g, 4, d, t, NOREG, 0, n - 1);
        ins(c, 4, 0x33, d, o_reg(t));
        ins(c, 1, 0xf6, 0, o_reg(d + 4));        /* test AH, CH or DH */
        e8(c, PAGE_SIZE >> 8);
        return jcc32(c, 5);
    }
    lea(g, 4, d, t, NOREG, 0, lo);
    alu_imm(c, 4, ALU_AND, o_reg(d), PAGE_MASK);
    alu_imm(c, 4, ALU_CMP, o_reg(d), (int64_t)PAGE_SIZE - n);
    return jcc32(c, 7);
}

/* The operand must be aligned, or lie in one page. */
static void check_alone(struct gen *g, struct stub *s)
{
    struct code *c = &g->c;

    if (s->align <= 1) {
        if (s->size > 1)
            s->from[0] = check_span(g, s->t, s->c, 0, s->size);
    } else if (s->mask) {    /* else the host's own instruction wants it, too */
        ins(c, 1, 0xf6 | XBM, 0, o_reg(s->t));
        e8(c, s->align - 1u);
        s->from[2] = jcc32(c, 5);
    }
}

/* Is it enough to compare the address with the map's limit? */
static bool by_limit(const struct gen *g, const struct stub *s)
{
    return !g->t->narrow && s->align <= 1 && s->lo == 0 && s->hi > 1 && s->hi <= LIMIT_BYTES;
}

/* Look-up in the map, from which the stub is reached on a miss; @limit: by_limit() */
static void find_page(struct gen *g, struct stub *s, bool limit)
{
    struct code *c = &g->c;
    enum tcg_access k = s->write || s->lead_w ? ACC_WRITE : ACC_READ;

    if (limit) {
        struct opn entry = { .kind = ON_MEM, .base = s->c, .index = NOREG };

        map_index(c, s->t, s->c);
        entry.disp = MAP_LIMIT(k);
        ins(c, 2, XGS | 0x3b, s->t, entry);
        s->from[1] = jcc32(c, 3);
        entry.disp = k * 8;
        ins(c, 8, XGS | 0x8b, s->c, entry);
    } else {
        map_lookup(g, s->t, s->c, k);
        ins(c, 8, 0x85, s->c, o_reg(s->c));
        s->from[1] = jcc32(c, 4);
    }
    s->op = c->p;
}

#define CARRY(n, f) o_env(offsetof(struct tcg_cpu, carry[0].f) + (size_t)((n) - 1) * 16)
_Static_assert(sizeof(((struct tcg_cpu *)NULL)->carry[0]) == 16, "CARRY()");

void carry_clear(struct code *c, unsigned n, unsigned adj)
{
    for (unsigned i = 1; i <= n; i++) {
        struct opn m = CARRY(i, limit);

        m.disp += (int32_t)adj;
        ins(c, 8, 0xc7, 0, m);
        e32(c, 0);
    }
}

size_t gen_carry_none(struct gen *g, unsigned n)
{
    carry_clear(&g->c, n, 0);
    return (size_t)(g->c.p - g->start);
}

/* Where the vCPU has the page that the stack, or the table, was found in. */
static struct opn known_page(const struct stub *s) { return s->carry == CARRY_TABLE ? ENV(table_page) : ENV(stack_page); }
static struct opn known_delta(const struct stub *s) { return s->carry == CARRY_TABLE ? ENV(table_delta) : ENV(stack_delta); }

static void in_known_page(struct gen *g, struct stub *s)
{
    struct code *c = &g->c;

    if (s->lo)
        lea(g, 8, s->c, s->t, NOREG, 0, s->lo);
    else
        mov_rr(c, 8, s->c, s->t);
    ins(c, 8, 0x2b, s->c, known_page(s));
    alu_imm(c, 8, ALU_CMP, o_reg(s->c), (int64_t)PAGE_SIZE - (s->hi - s->lo));
    s->from[0] = jcc32(c, 7);
    mov_load(c, s->c, known_delta(s));
    s->op = c->p;
}

static void carried(struct gen *g, struct stub *s)
{
    struct code *c = &g->c;

    ins(c, 8, 0x3b, s->t, CARRY(s->carry, limit));
    s->from[0] = jcc32(c, 3);
    mov_load(c, s->c, CARRY(s->carry, delta));
    s->op = c->p;
}

/* The address in @s->t and @disp bytes further on is what is looked up. */
static void look_at(struct gen *g, struct stub *s, int disp)
{
    int t = scratch_get(g);

    lea(g, 8, t, s->t, NOREG, 0, disp);
    s->t = (int8_t)t;
    s->lo = (int16_t)(s->lo - disp);
    s->hi = (int16_t)(s->hi - disp);
}

/*
 * What is looked up for a leader that addresses from a register. Where the group begins takes the fewest instructions; that register itself,
 * if it points into the group, saves a sum, and the stack's page may be asked for any address. s->disp must stay lead_fits().
 */
static void look_for_leader(struct gen *g, const struct ir_op *op, struct stub *s)
{
    bool inside = s->lo <= 0 && s->hi > 0, small = s->hi - s->lo <= LIMIT_BYTES;
    int at = op->disp;

    if (s->align > 1 || pin_of(g, op->a) < 0 || s->carry == CARRY_STACK
        || (inside && lead_fits(op->disp) && (!s->lo || !small))) {
        s->disp = (int8_t)op->disp;
        return;
    }
    if (lead_fits(op->disp - s->lo))
        at = s->lo;
    s->disp = (int8_t)(op->disp - at);
    look_at(g, s, at);
}

/* What of op->carry is made use of */
static uint8_t carry_here(const struct gen *g, const struct ir_op *op, const struct stub *s)
{
    if (op->carry == CARRY_STACK || (op->carry == CARRY_TABLE && !s->write && !s->lead_w))
        return g->t->narrow ? 0 : op->carry;
    return op->carry <= TCG_N_CARRY ? op->carry : 0;
}

/* Checks and look-up for the access that @s describes, by @op. */
static struct opn translate(struct gen *g, const struct ir_op *op, struct stub *s)
{
    struct opn m = { .kind = ON_MEM, .base = s->t, .index = s->c, .disp = op->disp };

    g->mem = s;
    s->lead = op->grp >= GRP_LEAD;
    s->lead_w = op->grp == GRP_LEAD_W;
    s->late = g->f_late;
    s->slot = op->aux;
    s->carry = carry_here(g, op, s);
    s->lo = s->lead ? op->span_lo : (int16_t)op->disp;
    s->hi = s->lead ? op->span_hi : (int16_t)(op->disp + s->size);
    if (s->lead)
        look_for_leader(g, op, s);
    else if (op->disp && s->carry != CARRY_STACK)
        look_at(g, s, op->disp);
    if (s->carry >= CARRY_TABLE) {
        in_known_page(g, s);
    } else if (s->carry) {
        carried(g, s);
    } else if (op->carry == CARRY_INSIDE || by_limit(g, s)) {
        find_page(g, s, op->carry != CARRY_INSIDE);
    } else {
        if (s->lead)
            s->from[0] = check_span(g, s->t, s->c, s->lo, s->hi - s->lo);
        else
            check_alone(g, s);
        find_page(g, s, false);
    }
    return m;
}

static struct stub *begin(struct gen *g, const struct ir_op *op, unsigned bytes, bool read, bool write)
{
    struct stub *s;
    int t;

    flags_for_fault(g);      /* an exception frame shows them */
    flags_lost(g);
    t = val_reg(g, op->a);
    s = mem_stub(g, t, scratch_get(g));
    s->size = (uint8_t)bytes;
    s->read = read;
    s->write = write;
    return s;
}

struct opn mem_begin(struct gen *g, const struct ir_op *op, unsigned bytes, bool read, bool write)
{
    if (op->grp == GRP_USE)
        return use_group(g, op);
    return translate(g, op, begin(g, op, bytes, read, write));
}

struct opn mem_begin_vec(struct gen *g, const struct ir_op *op, const struct ir_vec *v)
{
    struct stub *s;

    if (op->grp == GRP_USE)
        return use_group(g, op);
    s = begin(g, op, v->mem_bytes, v->mem_read || v->is_x87, v->mem_write);
    s->align = v->mem_align;
    if (v->mem_masked) {
        s->mask = v->aaa;
        s->elems = v->mask_bits | (uint32_t)__builtin_ctz(v->mem_elem) << ELEMS_LOG2 |
                   (v->compact ? ELEMS_COMPACT : 0);
    }
    return translate(g, op, s);
}

void mem_end(struct gen *g)
{
    struct stub *s = g->mem;

    s->after = g->c.p;
    if (s->lead)
        def_done(g, g->op->e, s->c, 8);
}

static void copy_op(struct code *c, struct stub *s)
{
    size_t n = (size_t)(s->after - s->op);

    s->copy = c->p;
    memcpy(c->p, s->op, n);
    rel_copied(c, s->op, n, c->p);
    c->p += n;
}

static void store_mask(struct code *c, const struct stub *s)
{
    vex(c, 1, 0, 1, 0, 0x91, s->mask, 0, SLOW(arg));       /* kmovq [slow.arg], k */
}

/* An operand that must be aligned is not. Returns a jump for when that does not matter
 * because none of it is accessed, or NULL. */
static uint8_t *emit_misaligned(struct gen *g, const struct stub *s)
{
    struct code *c = &g->c;
    uint8_t *none = NULL;

    patch32(s->from[2], c->p);
    if (s->mask) {
        store_mask(c, s);
        ins(c, 4, 0xf7, 0, SLOW(arg));
        e32(c, (uint32_t)((1ull << MIN(s->elems & ELEMS_BITS, 32u)) - 1));
        none = jcc32(c, 4);
    }
    recipe_save(g, &s->rec);
    mov_env_imm32(c, offsetof(struct tcg_cpu, pcoff), (uint32_t)s->pcoff);
    jmp_to(c, thunk_rw(g, TH_ALIGN));
    return none;
}

static uint32_t align_code(const struct stub *s)
{
    assert(s->align <= 1 || (s->align >= 16 && s->align <= 64));
    return s->align > 1 ? (uint32_t)__builtin_ctz(s->align) - 3 : 0;
}

/* slow.desc, and what it says to come with it, as an instruction that is never executed: dumps stay legible */
static void slow_words(struct gen *g, const struct stub *s, bool lazy, uint32_t owed)
{
    struct code *c = &g->c;
    bool more = s->lead || s->mask;
    uint32_t elems = s->mask ? s->elems : (uint32_t)(s->hi - s->lo) | ((uint32_t)s->disp << LEAD_DISP & 0xffffu) | (uint32_t)s->lo << LEAD_LO;
    uint32_t desc = s->size | (s->read ? SLOW_READ : 0) | (s->write ? SLOW_WRITE : 0) | (s->lock ? SLOW_LOCK : 0)
                    | (lazy ? SLOW_OWED : s->rec.kind != REC_NONE ? SLOW_RECIPE : 0)
                    | (s->lead ? SLOW_LEAD : 0) | (s->lead_w ? SLOW_LEAD_W : 0)
                    | (s->mask ? SLOW_MASKED : align_code(s) << SLOW_ALIGN) | (uint32_t)s->pcoff << SLOW_PCOFF;

    assert((int32_t)((uint32_t)s->pcoff << SLOW_PCOFF) >> SLOW_PCOFF == s->pcoff);
    if (lazy && more) {
        e8(c, 0xa9);         /* test eax, MISS_OWED_ELEMS */
        e32(c, owed);
    }
    e8(c, lazy || more ? 0x48 : 0xa9);
    if (lazy || more) {      /* mov rax, MISS_ELEMS or MISS_OWED | MISS_DESC << 32; else test eax, MISS_DESC */
        e8(c, 0xb8);
        e32(c, more ? elems : owed);
    }
    e32(c, desc);
}

/*
 * Call the slow path by way of the thunk for @t, or for slow.va if that is RSP. Returns where that begins; *@recipe: it comes
 * back with CF set to have F made from the recipe.
 */
static uint8_t *call_slow(struct gen *g, struct stub *s, int t, bool *recipe)
{
    struct code *c = &g->c;
    uint32_t owed = 0;
    bool lazy = recipe_code(&s->rec, &owed);
    uint8_t *start = c->p, *over = NULL;

    if (s->mask) {
        store_mask(c, s);
        over = jmp32(c);
    }
    slow_words(g, s, lazy, owed);
    if (over)
        patch32(over, c->p);
    else
        start = c->p;
    call_to(c, thunk_rw(g, miss_thunk(s->carry == CARRY_STACK ? MISS_STACK : s->carry == CARRY_TABLE ? MISS_TABLE : MISS_ANY,
                                      s->lo && !s->lead ? s->c : t, s->c)));
    *recipe = s->rec.kind != REC_NONE && !lazy;
    return start;
}

/* The access has faulted, and the thunk has left F to be made from the recipe. */
static void leave_with_recipe(struct gen *g, struct stub *s, uint8_t *fault)
{
    patch32(fault, g->c.p);
    recipe_save(g, &s->rec);
    jmp_to(&g->c, thunk_rw(g, TH_LEAVE_EXC));
}

static void patch_to(uint8_t *from, const uint8_t *to)
{
    if (from)
        patch32(from, to);
}

/*
 * The leader of a group: when its page can be had in the map, it is done as if it had been
 * there, also when the group lies in two pages that are as one (cross.c); else the block is left before the
 * instruction.
 */
static void emit_lead_stub(struct gen *g, struct stub *s)
{
    struct code *c = &g->c;
    uint8_t *fault = NULL, *cross = g->t->narrow ? s->from[0] : NULL, *start;
    bool recipe;

    start = call_slow(g, s, s->t, &recipe);
    patch_to(s->from[1], start);
    patch_to(cross ? NULL : s->from[0], start);
    site_add(g, s->op + s->at, start, 0);
    if (recipe)
        fault = jcc32(c, 2);
    patch32(jcc32(c, 5), s->op);
    if (cross)
        patch32(cross, c->p);
    recipe_save(g, &s->rec);
    if (s->late)             /* F may be owed by the block before */
        call_to(c, thunk_rw(g, TH_PAY));
    align_link(c, 1);
    link_here(g, s->slot, s->pcoff, jmp32(c));
    g->tb->link[s->slot].alone = true;
    if (fault)
        leave_with_recipe(g, s, fault);
}

/* The miss is resolved: ZF says whether by the bounce buffer. */
static void access_after_slow(struct gen *g, struct stub *s)
{
    struct code *c = &g->c;

    if (!s->write || s->no_commit) {
        jmp_to(c, s->op);
        return;
    }
    patch32(jcc32(c, 5), s->op);
    copy_op(c, s);
    call_to(c, thunk_rw(g, TH_COMMIT));
    jmp_to(c, s->after);
}

/*
 * A carried access is in a new page: find it, and how far it goes. From here on s->from is as without
 * carrying. In the main part, because every loop comes here in its first round. The last page of the address space is not kept: an address that has wrapped is below its end.
 */
void mem_refill(struct gen *g, struct stub *s)
{
    struct code *c = &g->c;
    uint8_t *last;

    patch32(s->from[0], c->p);
    s->from[0] = s->hi - s->lo > 1 ? check_span(g, s->t, s->c, s->lo, s->hi - s->lo) : NULL;
    map_lookup(g, s->t, s->c, s->write || s->lead_w ? ACC_WRITE : ACC_READ);
    ins(c, 8, 0x85, s->c, o_reg(s->c));
    s->from[1] = jcc32(c, 4);
    mov_store(c, CARRY(s->carry, delta), s->c);
    alu_imm(c, 8, ALU_CMP, o_reg(s->t), -(int64_t)PAGE_SIZE);
    last = jcc32(c, 3);
    mov_store(c, CARRY(s->carry, limit), s->t);      /* in memory: the access need not wait for it */
    alu_imm(c, 8, ALU_OR, CARRY(s->carry, limit), PAGE_MASK);
    alu_imm(c, 8, ALU_ADD, CARRY(s->carry, limit), 2 - s->hi);
    jmp_to(c, s->op);
    patch32(last, c->p);
    ins(c, 8, 0xc7, 0, CARRY(s->carry, limit));
    e32(c, 0);
    jmp_to(c, s->op);
}

/* An operand whose address register may be another's when it faults: then slow.va has the address already. */
static void saved_site(struct gen *g, struct stub *s)
{
    bool recipe;

    site_add(g, s->op, call_slow(g, s, RSP, &recipe), 0);
    assert(!recipe);         /* gen_cmpxchg() has saved F */
    jmp_to(&g->c, s->op);
}

static void emit_mem_stub(struct gen *g, struct stub *s)
{
    uint8_t *none = s->from[2] ? emit_misaligned(g, s) : NULL, *start, *fault = NULL;
    bool recipe;

    if (s->va_saved)
        saved_site(g, s);
    start = call_slow(g, s, s->t, &recipe);
    patch_to(s->from[0], start);
    patch_to(s->from[1], start);
    patch_to(none, start);
    if (!s->va_saved)
        site_add(g, s->op, start, 0);
    if (recipe)
        fault = jcc32(&g->c, 2);
    access_after_slow(g, s);
    if (fault)
        leave_with_recipe(g, s, fault);
}

static void emit_link_stub(struct gen *g, struct stub *s)
{
    struct code *c = &g->c;

    for (int i = 0; i < 3; i++)
        if (s->from[i])
            patch32(s->from[i], c->p);
    g->tb->link[s->slot].stub_off = (uint32_t)(c->p - g->start);
    mov_env_imm32(c, offsetof(struct tcg_cpu, pcoff), (uint32_t)s->pcoff);
    mov_imm(c, RAX, (uint64_t)((char *)g->tb - g->t->arena) | s->slot);
    rel_note(c, c->p - 4, TR_PLACE);     /* below 4 GiB: the arena is */
    jmp_to(c, thunk_rw(g, TH_LEAVE_NEXT));
}

static void emit_fault_stub(struct gen *g, struct stub *s)
{
    struct code *c = &g->c;

    for (int i = 0; i < 3; i++)
        if (s->from[i])
            patch32(s->from[i], c->p);
    if (s->fpe)
        site_add(g, s->op, c->p, SITE_FPE);
    const struct stub *m = s->mem ? &g->stubs[s->mem - 1] : NULL;
    if (m && m->copy && s->fpe)
        site_add(g, m->copy + (s->op - m->op), c->p, SITE_FPE);
    else if (m && m->copy)           /* a branch that was copied along */
        patch32(m->copy + (s->from[0] - m->op), c->p);
    recipe_save(g, &s->rec);
    if (!s->after_call)
        mov_env_imm32(c, offsetof(struct tcg_cpu, pcoff), (uint32_t)s->pcoff);
    jmp_to(c, thunk_rw(g, s->thunk));
}

/* Load vector or x87 state, then go on where we were. */
static void emit_vec_stub(struct gen *g, struct stub *s)
{
    struct code *c = &g->c;

    patch32(s->from[0], c->p);
    call_to(c, thunk_rw(g, s->thunk));
    jmp_to(c, s->after);
}

static void emit_jump_stub(struct gen *g, struct stub *s)
{
    struct code *c = &g->c;

    for (unsigned i = 0; i < ARRAY_SIZE(s->from); i++)
        if (s->from[i])
            patch32(s->from[i], c->p);
    if (s->linear)
        alu_imm(c, 4, ALU_SUB, o_reg(s->t), (int32_t)g->tb->cs_base);
    if (s->thunk != TH_RETURN)
        mov_store(c, ENV(pc), s->t);
    if (s->branch)
        mov_env_imm32(c, offsetof(struct tcg_cpu, branch), s->branch);
    jmp_to(c, thunk_rw(g, s->thunk));
}

static int by_op(const void *a, const void *b)
{
    uint32_t x = ((const struct tb_site *)a)->op & ~SITE_FPE;
    uint32_t y = ((const struct tb_site *)b)->op & ~SITE_FPE;

    return x < y ? -1 : x > y;
}

/* Mostly they are in order, as stubs are. */
static void sites_sort(struct gen *g)
{
    for (unsigned i = 1; i < g->n_sites; i++)
        if (by_op(&g->sites[i - 1], &g->sites[i]) > 0) {
            qsort(g->sites, g->n_sites, sizeof(g->sites[0]), by_op);
            return;
        }
}

uint8_t *stubs_emit(struct gen *g)
{
    uint8_t *main_end = g->c.p, *cold_end;

    g->c.p = g->cold;
    if (g->n_alone && g->c.p + GEN_MARGIN <= g->cold_end)
        loop_alone(g);
    for (unsigned i = 0; i < g->n_stubs && !g->fail; i++) {
        struct stub *s = &g->stubs[i];
        if (g->c.p + GEN_MARGIN > g->cold_end) {
            g->fail = true;
            break;
        }
        switch (s->kind) {
        case STUB_MEM:
            s->lead ? emit_lead_stub(g, s) : emit_mem_stub(g, s);
            break;
        case STUB_LINK: emit_link_stub(g, s); break;
        case STUB_FAULT: emit_fault_stub(g, s); break;
        case STUB_VEC: emit_vec_stub(g, s); break;
        case STUB_JUMP: emit_jump_stub(g, s); break;
        case STUB_SIDE: case STUB_LANDING: break;    /* in the main part: sides_emit() */
        }
    }
    sites_sort(g);
    cold_end = g->c.p;
    g->c.p = main_end;
    return cold_end;
}
