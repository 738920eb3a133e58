/*
 * gen-int.h - state of one compilation, shared by the files of the back end
 *
 * Host registers
 *   RSP          the vCPU struct (env); helper stack below it
 *   RAX RCX RDX  scratch: temps, address translation, implicit operands
 *   the rest     guest registers, the same in every block ("pinned")
 *   GS base      the current view's page maps; nothing else in the thread may change it
 * Vector and x87 registers are the guest's own while env->vec_loaded/x87_loaded.
 */
#ifndef TCG_HOST_X86_64_GEN_INT_H
#define TCG_HOST_X86_64_GEN_INT_H

#include "tcg/tcg-int.h"
#include "tcg/host-x86_64/emit.h"

#define ENV(f) o_env(offsetof(struct tcg_cpu, f))
#define SLOW_OFF(f) (offsetof(struct tcg_cpu, slow_area) + offsetof(struct tcg_slow, f))
#define SLOW(f) o_env(SLOW_OFF(f))

#define N_SCRATCH 3          /* RAX, RCX, RDX: their numbers are 0..2 */
enum miss_kind { MISS_ANY, MISS_STACK, MISS_TABLE, MISS_KINDS };     /* the latter two: wants the stack's page, the table's */
enum thunk { TH_ENTER, TH_LEAVE_NEXT, TH_LEAVE_LOOKUP, TH_LEAVE_INTR, TH_LEAVE_PC,
             TH_LEAVE_EXC, TH_COMMIT, TH_VEC_LOAD, TH_ZMM_LOAD, TH_X87_LOAD, TH_CALL,
             TH_CALL_NOVEC, TH_CALL_SYNC, TH_CALL_SYNC_NOVEC, TH_DIVIDE, TH_FP_SSE, TH_FP_X87,
             TH_ALIGN, TH_X87_UNMASK, TH_PAY, TH_RETURN, TH_REP /* one for each REP(), from 1 on */,
             TH_MISS = TH_REP + REP_KINDS /* miss_thunk() */,
             TH_COUNT = TH_MISS + MISS_KINDS * N_SCRATCH * 16 };

/*
 * What a memory operand's stub calls when its address is in register @t, for host - guest in @d. @t = RSP: it is in slow.va already;
 * MISS_STACK with @t = @d: it is PUSH_BYTES below the stack pointer.
 */
static inline enum thunk miss_thunk(enum miss_kind k, int t, int d) { return (enum thunk)(TH_MISS + (k * N_SCRATCH + d) * 16 + t); }

#define N_PIN 12
extern const int8_t pin_reg[N_PIN];

#define FL_OWED (1u << 11)   /* env->fl: no F but how to make it; see flags.c */
#define LAZY_K_BITS 20       /* around the mark: the recipe, see recipe_leave() */
#define LAZY_LOW (FL_OWED - 1)
static inline uint32_t around_mark(uint32_t v) { return (v & ~LAZY_LOW) << 1 | FL_OWED | (v & LAZY_LOW); }
static inline uint32_t without_mark(uint32_t v) { return (v >> 1 & ~LAZY_LOW) | (v & LAZY_LOW); }
/* The low @n bits of @v as a signed number */
static inline int64_t sext_bits(int64_t v, unsigned n) { return (int64_t)((uint64_t)v << (64 - n)) >> (64 - n); }

#define MAX_STUBS 700
#define GEN_MARGIN 512       /* bytes that one IR operation's code never exceeds */

enum stub_kind { STUB_MEM, STUB_LINK, STUB_FAULT, STUB_VEC, STUB_JUMP, STUB_SIDE, STUB_LANDING };

/**
 * struct recipe - how to make F again from values that are still there: guest
 * registers, constants and one value that is kept for this. For INC and DEC C comes from env->fl.
 */
enum recipe_kind { REC_NONE, REC_CMP, REC_TEST, REC_RESULT, REC_ADD, REC_SUB, REC_NEG, REC_INC, REC_DEC,
                   REC_SHL, REC_SHR, REC_SAR /* of d by k, once more */ };
#define REC_KEPT IR_IMM2     /* in a recipe: the value in env->f_operand */
#define LAZY_KEPT 31         /* the same in env->fl */
struct recipe {
    uint8_t kind, size;
    bool is_k;               /* b is the constant k */
    ir_val d, b;             /* globals or REC_KEPT; d: first operand, or the result */
    int64_t k;
};

/** struct stub - code out of the main line, emitted after the block */
struct stub {
    uint8_t kind;
    int8_t t, c;             /* MEM: address and delta registers */
    uint8_t size;
    bool write, read;
    uint8_t thunk;           /* FAULT, VEC, JUMP: where to */
    uint8_t slot;            /* LINK, SIDE, LANDING */
    uint32_t branch;         /* JUMP: env->branch */
    uint8_t align;           /* MEM: required alignment, 0 none; the host checks it, but for a mask's */
    int32_t pcoff;
    bool linear;             /* JUMP: t has the linear address instead */
    uint8_t *from[5];        /* rel32s to patch to the stub's start; MEM: [0] crosses the page, [1] miss, [2] align */
    uint8_t *op, *after;     /* MEM; op: FAULT too */
    bool fpe;                /* FAULT: a host fault at op comes here */
    struct recipe rec;       /* MEM, FAULT: F is only to be had this way */
    bool after_call;         /* FAULT: the helper has left pcbase and pcoff as they are to be */
    bool lock;               /* MEM: atomic */
    bool save_host;          /* SIDE: F is in EFLAGS, else in rec */
    bool no_commit;          /* MEM: written only by a later operation (LDW) */
    bool va_saved;           /* MEM: slow.va is already set when the operation faults */
    uint8_t mask;            /* MEM: only elements that this opmask register selects; 0: all */
    uint32_t elems;          /* MEM: with it, ELEMS_* */
    uint8_t *copy;           /* MEM: the operation again, in the stub; or NULL */
    uint16_t mem;            /* FAULT: number + 1 of the operation's MEM stub; 0: none */
    bool lead;               /* MEM: of a group; leaves by exit slot when there is no page for it */
    bool lead_w;             /* MEM: whose page must be writable */
    uint8_t carry;           /* MEM: like op->carry */
    int16_t lo, hi;          /* MEM: the bytes, of the group, from the address in t on */
    int8_t disp;             /* MEM: the operand, likewise, if it is of a group */
    uint8_t at;              /* MEM: of a group: where the instruction is that may fault, from op on */
    bool alone;              /* LINK: to a block without groups */
    bool late;               /* MEM: the block may have been entered in that state and still be */
};

struct tval {
    int8_t reg;              /* scratch register or -1 */
    int8_t home;             /* spill slot or -1; kept until the temp dies, so that paths agree */
    bool in_mem;             /* the slot holds the value */
    bool is_const, defined;
    bool stays;              /* its slot is filled before each round of a loop: it never dies */
    int64_t cval;
};

struct gen {
    struct code c;           /* writable addresses */
    struct tcg *t;
    struct tb *tb;
    const struct ir_block *b;
    const struct ir_op *op;  /* being compiled */
    uint8_t *start, *end;    /* of the main line, and of its part of the cache */
    uint8_t *cold, *cold_end; /* likewise for the stubs */
    ir_val n_globals;
    int8_t pin[IR_ALL_VALS]; /* a global's own register; -1: there is none */
    struct tval v[IR_MAX_VALS];
    ir_val owner[N_SCRATCH]; /* value in a scratch register or IR_NONE */
    uint8_t locked;          /* scratch registers in use by the current operation */
    uint8_t rr;              /* next victim */
    uint64_t spill_used;
    bool fl_host, fl_mem;    /* where F is: EFLAGS, env->fl; neither: in rec, or dead */
    uint8_t fl_part;         /* bits of F that EFLAGS has though it does not have all */
    struct recipe rec;       /* how F can be made again */
    uint32_t rec_globals;    /* those that it wants to stay as they are */
    bool rec_new;            /* by the current operation */
    uint8_t *set_at, *set_end; /* the instruction that made F, if it may stand elsewhere */
    uint8_t *owed_at;        /* the store of the last recipe_leave() */
    bool f_late;             /* F has not been replaced since the block was entered */
    bool vec_ok, zmm_ok, x87_ok; /* known loaded */
    bool fail;
    int32_t pcoff;
    uint8_t *label[IR_MAX_LABELS];
    struct { uint8_t *at; uint16_t label; } fix[256];
    unsigned n_fix, n_stubs;
    unsigned skip;           /* operations that the current one has dealt with */
    struct stub stubs[MAX_STUBS + 1];
    struct stub *mem;        /* the current operation's MEM stub; a follower's is never emitted */
    struct tb_site sites[3 * MAX_STUBS];
    unsigned n_sites;
    uint8_t *refill;         /* where a loop looks for its pages again */
    uint8_t *alone[3 * IR_N_PAGES]; /* jumps of what finds that a round's accesses do not lie in a page each */
    unsigned n_alone;
    int64_t link_target[2];
    struct rels rels;        /* when the block is to have an image */
};

static inline bool is_global(const struct gen *g, ir_val v) { return v < g->n_globals; }
static inline int pin_of(const struct gen *g, ir_val v) { return g->pin[v]; }
static inline uint8_t *thunk_rw(const struct gen *g, enum thunk n) { return g->t->cache.rw + g->t->thunk[n]; }

/* regs.c: where values live */
int spill_slot(struct gen *g);
size_t spill_off(int slot);
int scratch_get(struct gen *g);
int scratch_idle(struct gen *g);                     /* one that is free now, or NOREG */
int scratch_take(struct gen *g, int reg);    /* this very one, moving its owner away */
void scratch_own(struct gen *g, int r);
void scratch_spill_all(struct gen *g);
void global_drop(struct gen *g, ir_val v);
void globals_drop(struct gen *g);
void vals_at_label(struct gen *g);           /* at a label that nothing falls into */
void vals_settle(struct gen *g);             /* every live temp to its slot */
int val_scratch(struct gen *g, ir_val v);    /* in a scratch register; locked */
struct opn val_rm(struct gen *g, ir_val v);  /* register or env memory */
bool val_const(const struct gen *g, ir_val v, const struct ir_op *op, int64_t *out);
void val_to(struct gen *g, int reg, ir_val v); /* copy 64 bits into a scratch already taken */
int def_reg(struct gen *g, ir_val v);        /* register to compute @v in */
void def_move(struct gen *g, ir_val v, int reg, unsigned size);
void def_const(struct gen *g, ir_val v, int64_t k); /* temp @v is this constant */
void vals_forget(struct gen *g, const struct ir_op *op);

/* @v in a register; locked */
static inline int val_reg(struct gen *g, ir_val v) { return pin_of(g, v) >= 0 ? pin_of(g, v) : val_scratch(g, v); }

/* @v is now in @reg */
static inline void def_done(struct gen *g, ir_val v, int reg, unsigned size)
{
    if (pin_of(g, v) != reg)
        def_move(g, v, reg, size);
}

/* The operation is complete. */
static inline void vals_die(struct gen *g, const struct ir_op *op)
{
    if (op->last)
        vals_forget(g, op);
    g->locked = 0;
}

/* flags.c */
void flags_save(struct gen *g);              /* env->fl valid too */
void flags_store(struct gen *g);             /* EFLAGS to env->fl; RAX is lost */
void flags_load(struct gen *g);              /* EFLAGS valid too */
void flags_clobber(struct gen *g, uint8_t live); /* EFLAGS are about to be lost */
void flags_set(struct gen *g);               /* EFLAGS have just become F */
void flags_lost(struct gen *g);              /* EFLAGS no longer hold F */
void flags_for_fault(struct gen *g);         /* a fault may show F: in memory, or a recipe */
void flags_guard(struct gen *g, const struct ir_op *op); /* before @op changes one of the recipe's values */
/* F for a chained exit: in env->fl, or there is how to make it (true: from *r); EFLAGS kept */
bool flags_leave(struct gen *g, struct recipe *r);
bool recipe_leave(struct gen *g, const struct recipe *r); /* likewise when @r is all there is */
void owed_stretch(struct gen *g, unsigned before); /* after that: as align_link(), by a longer store */
uint32_t recipe_globals(const struct recipe *r);
/* tb->f_spoils of @b */
uint32_t flags_spoils(const struct ir_block *b);
/* after translated code: F from what env->fl says, if it is not F */
void flags_pay(struct tcg_cpu *cpu);
void recipe_set(struct gen *g, enum recipe_kind k, const struct ir_op *op);
bool recipe_pays(const struct gen *g, const struct ir_op *op); /* is it worth instructions to have one? */
/* EFLAGS last until F is replaced; something destroys them before; F reaches the jumps at the block's end; it is saved before */
enum fate { FATE_REPLACED, FATE_LOST, FATE_AT_END, FATE_SAVED };
enum fate flags_fate(const struct gen *g, const struct ir_op *op);
void recipe_of_result(struct gen *g, enum recipe_kind k, const struct ir_op *op, int r); /* whose first value is in @r, not in op->d */
bool keeps_for_shift(struct gen *g, const struct ir_op *op, int r);
void recipe_of_shift(struct gen *g, const struct ir_op *op, int64_t k);
void recipe_run(struct gen *g, const struct recipe *r, int t); /* EFLAGS = F; scratch @t is lost */
void recipe_save(struct gen *g, const struct recipe *r); /* env->fl = F; every register kept */
struct recipe recipe_of(uint32_t code);      /* the recipe that recipe_code() made it of */
bool recipe_code(const struct recipe *r, uint32_t *code); /* what env->fl can hold in place of F, to be paid */

/* mem.c */
/* @d = the page map's word for the address in @t, or 0; flags are lost; @d is not @t */
void map_entry(struct code *c, const struct tcg *tcg, int t, int d, enum tcg_access k);
void map_lookup(struct gen *g, int t, int d, enum tcg_access k);
/* operand of memory operation @op; what follows until mem_end() may be run from the stub instead.
 * The operand of a follower (GRP_USE) leaves flags alone. */
struct opn mem_begin(struct gen *g, const struct ir_op *op, unsigned bytes, bool read, bool write);
/* of a vector instruction, which may want it aligned */
struct opn mem_begin_vec(struct gen *g, const struct ir_op *op, const struct ir_vec *v);
void mem_end(struct gen *g);
void mem_refill(struct gen *g, struct stub *s);
/* the loop that begins knows no pages; returns the code's length so far */
size_t gen_carry_none(struct gen *g, unsigned n);
/* env->carry[].limit = 0; @adj: env - RSP */
void carry_clear(struct code *c, unsigned n, unsigned adj);
struct stub *stub_new(struct gen *g, enum stub_kind k);
struct stub *link_here(struct gen *g, unsigned slot, int64_t pcoff, uint8_t *rel32);
void link_owes(struct gen *g, struct stub *s, const struct recipe *r);  /* it leaves with flags_leave() true */
void align_link(struct code *c, unsigned before);
uint8_t *stubs_emit(struct gen *g);           /* returns the end of the block's cold part */
void site_add(struct gen *g, uint8_t *op, uint8_t *stub, uint32_t kind);

/* rep.c: code for REP() @n, called with F in memory: CF when the helper has to do it; RAX = 0 else */
void rep_emit(struct code *c, const struct tcg *t, unsigned n);
/* Before a call of miss_thunk() stand, counted back from where the call returns to */
enum { MISS_DESC = 9,        /* 4 bytes: slow.desc */
       MISS_ELEMS = 13,      /* 4 bytes: slow.elems, if it means anything */
       MISS_OWED = 13,       /* with SLOW_OWED 4 bytes for env->fl after a fault; behind slow.elems: */
       MISS_OWED_ELEMS = 19 };
#define MISS_DEPTH 16        /* bytes on the stack above env in what all of these thunks call */
#define MISS_PUSHED 5        /* registers that have been pushed when C has to do it: RAX RCX RDX RSI RDI */
/* cross.c: what they call begins so, falling through when C has to do it; for MISS_STACK and MISS_TABLE what comes before
 * @slow; thunk COMMIT */
void cross_slow(struct code *c, const struct tcg *t);
void known_slow(struct code *c, bool table, const uint8_t *slow);
void cross_commit(struct code *c);
/* gen-move.c: choosing registers and preparing F */
uint8_t kept_flags(const struct ir_op *op);
void flags_prepare(struct gen *g, const struct ir_op *op);
void flags_done(struct gen *g, const struct ir_op *op);
bool dies(const struct ir_op *op, unsigned which);
int dying_reg(struct gen *g, const struct ir_op *op, ir_val v, unsigned which);
bool merges(const struct gen *g, const struct ir_op *op);
int start_dest(struct gen *g, const struct ir_op *op, int busy);
void rorx(struct code *c, unsigned size, int d, struct opn m, unsigned n);
void lea(struct gen *g, unsigned size, int r, int base, int index, unsigned sc, int32_t disp);
/* gen-alu.c, gen-ctl.c */
bool imm_ok(int64_t k, unsigned size);
int64_t imm_sx(int64_t k, unsigned size);
void carry_in(struct gen *g, const struct ir_op *op);
void settle(struct gen *g);                   /* temps and F to memory: control meets */
void branch_to(struct gen *g, uint8_t *at, uint16_t label);
unsigned need_cc(struct gen *g, unsigned cc);

/* one function an operation (or group), in gen-*.c */
void gen_mov(struct gen *g, const struct ir_op *op);
void gen_zext(struct gen *g, const struct ir_op *op);
void gen_sext(struct gen *g, const struct ir_op *op);
void gen_exth(struct gen *g, const struct ir_op *op);
void gen_deph(struct gen *g, const struct ir_op *op);
void gen_lea(struct gen *g, const struct ir_op *op);
void gen_alu(struct gen *g, const struct ir_op *op);
void gen_cmp(struct gen *g, const struct ir_op *op);
void gen_unary(struct gen *g, const struct ir_op *op);
void gen_rrm(struct gen *g, const struct ir_op *op, uint32_t code, bool reads_d);
void gen_addx(struct gen *g, const struct ir_op *op);
void gen_bsf(struct gen *g, const struct ir_op *op);
void gen_imul(struct gen *g, const struct ir_op *op);
void gen_mul(struct gen *g, const struct ir_op *op);
void gen_mulx(struct gen *g, const struct ir_op *op);
void gen_div(struct gen *g, const struct ir_op *op);
void gen_shift(struct gen *g, const struct ir_op *op);
void gen_shiftd(struct gen *g, const struct ir_op *op);
void gen_bt(struct gen *g, const struct ir_op *op);
void gen_bmi(struct gen *g, const struct ir_op *op);
void gen_crc32(struct gen *g, const struct ir_op *op);
void gen_bswap(struct gen *g, const struct ir_op *op);
void gen_setcc(struct gen *g, const struct ir_op *op);
void gen_cmov(struct gen *g, const struct ir_op *op);
void gen_getf(struct gen *g, const struct ir_op *op);
void gen_setf(struct gen *g, const struct ir_op *op);
void gen_carry(struct gen *g, const struct ir_op *op);
void gen_ld(struct gen *g, const struct ir_op *op);
void gen_st(struct gen *g, const struct ir_op *op);
void gen_rmw(struct gen *g, const struct ir_op *op);
void gen_xchg(struct gen *g, const struct ir_op *op);
void gen_cmpxchg(struct gen *g, const struct ir_op *op);
void gen_call(struct gen *g, const struct ir_op *op);
void gen_lde(struct gen *g, const struct ir_op *op);
void gen_ste(struct gen *g, const struct ir_op *op);
void gen_note(struct gen *g, const struct ir_op *op);
void gen_brcc(struct gen *g, const struct ir_op *op);
void gen_brcmp(struct gen *g, const struct ir_op *op);
void gen_label(struct gen *g, const struct ir_op *op);
void gen_leavecc(struct gen *g, const struct ir_op *op);
void gen_goto_tb(struct gen *g, const struct ir_op *op);
void gen_returns(struct gen *g, const struct ir_op *op);
void sides_emit(struct gen *g);
void landing_emit(struct gen *g, struct stub *s);
/* thunk RETURN */
void return_emit(struct code *c, const struct tcg *t, const uint8_t *leave_lookup);
void gen_goto_pc(struct gen *g, const struct ir_op *op);
void gen_exit(struct gen *g, const struct ir_op *op);

/* vec.c, gen.c */
void vec_ready(struct gen *g);                /* the state that the block's vector instructions want is loaded */
void gen_vec(struct gen *g, const struct ir_op *op);
void gen_op(struct gen *g, const struct ir_op *op); /* any but INSN */

/* loop.c: struct ir_loop */
void loop_enter(struct gen *g);              /* the block's beginning */
void loop_top(struct gen *g);                /* of each round */
void loop_again(struct gen *g);              /* before the jump to the block's start */
void loop_alone(struct gen *g);              /* out of line: the way out */
void loop_forget(struct code *c, unsigned adj);  /* env->loop_limit = INT64_MIN; @adj: env - RSP */

/* profile.c */
void gen_count_run(struct gen *g);            /* the block's own counter goes up; keeps EFLAGS, loses RAX */
uint64_t host_ticks(void);

/* reloc.c */
bool rels_keep(struct gen *g);                /* tb->relocs of the finished block; false: no room */
size_t x86_pack(struct tcg *t, const struct tb *tb, struct tb_image *im, size_t room);
bool x86_unpack(struct tcg *t, struct tb *tb, const struct tb_image *im);
void x86_describe(const struct tcg *t, struct tb_env *env);

/* thunks.c */
int thunks_emit(struct tcg *t, struct err *e);
void gen_store_pins(struct code *c, const struct tcg *t, int adj);
void gen_load_pins(struct code *c, const struct tcg *t, int adj);

/* leave.c (general registers only): a block is left with an exception; as exec_deliver() */
const uint8_t *leave_exception(struct tcg_cpu *cpu);

/* vecstate.c (general registers only) */
void vec_save(struct tcg_cpu *cpu);
void vec_restore(struct tcg_cpu *cpu, unsigned what);
void vec_load(struct tcg_cpu *cpu);
void zmm_load(struct tcg_cpu *cpu);
void x87_load(struct tcg_cpu *cpu);

#endif
