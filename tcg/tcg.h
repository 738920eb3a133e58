/*
 * tcg.h - the translator's guest-neutral half
 *
 * guest code --(target->translate)--> IR --fold, dead flags, dead code--> IR
 *   --(register allocation, host back end)--> host code in the code cache
 * or, with backend=interp, the IR itself is kept and interpreted.
 *
 * tcg/ knows no guest architecture: it sees globals (guest registers at offsets
 * in the vCPU state), flags F, memory accesses and helper calls.
 */
#ifndef TCG_TCG_H
#define TCG_TCG_H

#include "util/util.h"

struct tcg_cpu;
struct tcg;
struct tb;

/* ======================================================================== */
/* IR                                                                         */

enum ir_opc {
#define IROP(N, n, o, i, at) IR_##N,
#include "tcg/ops.def"
#undef IROP
    IR_OPC_COUNT
};

/* F bits, in op->wf, op->rf, op->lf masks */
enum { IRF_C = 1, IRF_P = 2, IRF_A = 4, IRF_Z = 8, IRF_S = 16, IRF_O = 32, IRF_ALL = 63 };

/* conditions: encoded as x86 does, which is as good as any: bit 0 inverts */
enum ir_cc {
    IRC_O, IRC_NO, IRC_C, IRC_NC, IRC_Z, IRC_NZ, IRC_CZ, IRC_NCZ,  /* CZ: C or Z: below or equal */
    IRC_S, IRC_NS, IRC_P, IRC_NP, IRC_LT, IRC_GE, IRC_LE, IRC_GT,
    /* as unsigned comparisons (BRCMP): */
    IRC_LTU = IRC_C, IRC_GEU = IRC_NC, IRC_LEU = IRC_CZ, IRC_GTU = IRC_NCZ,
    IRC_EQ = IRC_Z, IRC_NE = IRC_NZ,
};

enum ir_rmw { IRM_ADD, IRM_SUB, IRM_AND, IRM_OR, IRM_XOR, IRM_ADC, IRM_SBB,
              IRM_INC, IRM_DEC, IRM_NEG, IRM_NOT, IRM_BTS, IRM_BTR, IRM_BTC };

/* operands: globals 0..n_globals-1, then temps; temps live within the block */
typedef uint16_t ir_val;
#define IR_MAX_GLOBALS 24
#define IR_MAX_VALS 400
/* what no value is: above all of them, and small, so that a pass may note something for any operand without
 * asking first which it is */
#define IR_IMM2 IR_MAX_VALS          /* operand is op->imm2 */
#define IR_IMM  (IR_MAX_VALS + 1)    /* operand is op->imm */
#define IR_NONE (IR_MAX_VALS + 2)
#define IR_ALL_VALS (IR_MAX_VALS + 3)
#define IR_MAX_OPS 1400
#define IR_MAX_LABELS 96
#define IR_MAX_VEC 96

enum {  /* op->callf */
    IRCALL_FAULT = 1,  /* may set cpu->exception; checked after the call, leaves the block */
    IRCALL_SYNC  = 2,  /* reads or writes globals/F: they are in memory during the call */
    IRCALL_NOVEC = 4,  /* touches no host vector or x87 register (built general-regs-only) */
    IRCALL_PURE  = 8,  /* no effect but its result: removable */
};

enum { IRJ_JUMP, IRJ_CALL, IRJ_RET };

/* CALL, aux: a repeated string operation on flat segments with the registers of target->string. In
 * place of the call, with its results, when it goes upwards and as far as the page maps have the operands:
 * 0 when it is done, 1 when something wants to interrupt it. _E, _NE: while elements are equal, or not.
 * @lg: log2 of an element's bytes; @wide: addresses have 64 bits, not 32. */
enum { REP_MOVS, REP_STOS, REP_SCAS_E, REP_SCAS_NE, REP_CMPS_E, REP_CMPS_NE, REP_OPS };
#define REP(op, lg, wide) (1u + (op) + REP_OPS * (lg) + REP_OPS * 4 * (wide))
#define REP_KINDS (REP_OPS * 8)
/* GOTO_PC, imm2: nobody has looked whether a is canonical; if not, target->branch_fault() undoes the
 * instruction, which has taken this many bytes off the stack, or put them there (negative). */
#define BRANCH_UNCHECKED(popped) (1 + (popped))

struct ir_op {
    uint8_t opc;
    uint8_t size;        /* 1, 2, 4, 8 */
    uint8_t sz2;         /* second width where the row says so */
    uint8_t cc;          /* enum ir_cc; RMW: enum ir_rmw (op->rmw) */
    uint8_t wf;          /* F bits to compute; the dead-flag pass clears bits */
    uint8_t rf;          /* F bits read (filled by ir_finish) */
    uint8_t lf;          /* F bits live after this op (filled by the dead-flag pass) */
    uint8_t aux;         /* slot, hint, length */
    uint8_t sc;          /* LEA: shift of b, 0..3 */
    union {
        uint8_t callf;   /* CALL: IRCALL_* */
        uint8_t grp;     /* memory operations: GRP_* */
    };
    bool lock;           /* atomic */
    union {
        bool poll;       /* GOTO_TB: poll for interrupts */
        bool gives_way;  /* LD in a group: a load from near goes to the address register, let that begin first */
    };
    uint8_t carry;       /* memory operations: CARRY_* below */
    uint8_t last;        /* filled by the liveness pass: bit 0..4: d,e,a,b,c is a temp not used later */
    uint16_t label;
    ir_val d, e, a, b, c;
    int32_t imm2;
    int64_t imm;
    union {
        void *fn;        /* CALL: uint64_t (*)(struct tcg_cpu *, uint64_t a, uint64_t b, uint64_t c) */
        struct {         /* grouped memory operations */
            int16_t span_lo, span_hi; /* leaders: the group's bytes, from a */
            int32_t disp;             /* the address is a + disp */
        };
    };
};
_Static_assert(sizeof(struct ir_op) == 48, "passes move operations about: keep them small");
#define rmw cc           /* op->rmw */
/* group.c: GRP_LEAD makes temp e, which GRP_USE finds in c: host - guest for the group's page,
 * GRP_LEAD_W (itself a load) that of a page that may be written.
 * A leader that has no such page leaves the block, before its instruction, by the exit aux.
 * Carried operations, carry = 1 + 0..TCG_N_CARRY-1: in a block that jumps to its own start the address is
 * CARRY_MAX_STEP or less above that of the last round, or the same; so what leads to the page may be
 * kept for the next round; CARRY_STACK: it is relative to a global that is a stack pointer; CARRY_TABLE: a load
 * in such a block, from a table that stays where it is, by an index of a byte.
 * CARRY_INSIDE: it is known that the access, or the group, does not cross a page's end.
 * GRP_USE may also find its temp in a page of the block's loop, see struct ir_page.
 * An implementation may ignore all of this but GRP_USE and a leader's displacement. */
enum { GRP_NONE, GRP_USE, GRP_LEAD, GRP_LEAD_W };
#define PUSH_BYTES 8         /* a store with CARRY_STACK and no group may have disp = -PUSH_BYTES, others have 0 */
/* A leader that is one of CARRY_STACK has such a disp, others are that far from the start of their span, or have none. */
static inline bool lead_fits(int64_t disp) { return disp >= -32 && disp < 32; }
#define TCG_N_CARRY 8
#define CARRY_MAX_STEP 1024
#define CARRY_STACK 0xff
#define CARRY_TABLE 0xfe
#define CARRY_INSIDE 0xfd
typedef uint64_t (*ir_helper)(struct tcg_cpu *, uint64_t, uint64_t, uint64_t);

/**
 * struct ir_vec - a vector or x87 instruction kept as such
 *
 * Enough to re-encode it for a host of the same family, and for the target's
 * portable implementation (target->vec_exec) to execute it elsewhere.
 */
enum ir_vec_enc { VENC_LEGACY, VENC_VEX, VENC_EVEX, VENC_X87 };
enum ir_vec_rm { VRM_VEC, VRM_GPR, VRM_MEM, VRM_MMX, VRM_NONE, VRM_K /* opmask */ };
struct ir_vec {
    uint8_t enc;         /* enum ir_vec_enc */
    uint8_t map;         /* 0: one-byte (x87), 1: 0F, 2: 0F38, 3: 0F3A */
    uint8_t pp;          /* 0 none, 1 66, 2 F3, 3 F2 */
    uint8_t opcode;
    uint8_t w, l;        /* REX.W / VEX.W; vector length 0: 128, 1: 256, 2: 512 (0: scalar) */
    uint8_t reg;         /* modrm.reg with extension bits: 0..31 (or opcode digit) */
    bool reg_gpr;        /* reg names a general register: operand d (result) or b (input) */
    bool reg_mmx;
    bool reg_k, vvvv_k;  /* reg, vvvv name opmask registers 0..7 */
    bool scalar;         /* EVEX: one element */
    uint8_t vvvv;        /* 0..31 */
    bool vvvv_gpr;       /* vvvv is a general register (BMI-like; unused so far) */
    uint8_t rm_kind;     /* enum ir_vec_rm */
    uint8_t rm;          /* register number when not memory */
    bool has_imm;
    uint8_t imm;
    uint8_t is4;         /* register in imm8[7:4] (VBLENDV..): the imm holds it */
    uint8_t aaa, z;      /* EVEX: mask register (0: none), zeroing instead of merging */
    uint8_t bcast;       /* EVEX: the memory operand is one element, for all */
    uint8_t rc;          /* EVEX, registers only: 1..4: exceptions suppressed and, where the
                          * instruction rounds, to nearest, down, up, to zero; 0: as MXCSR says */
    uint8_t mask_bits;   /* EVEX: how many bits of the mask count: the number of elements */
    uint8_t mem_elem;    /* EVEX: bytes of an element in memory */
    uint8_t mem_masked;  /* elements in memory when only those are accessed that some mask bit
                          * n, n + mem_masked, ... below mask_bits selects; 0: all of it is */
    bool compact;        /* in memory the elements that the mask selects lie side by side */
    uint8_t mem_bytes;   /* 0: no memory operand; 1..64; x87: 2, 4, 8, 10; broadcast: an element */
    uint8_t mem_align;   /* required alignment in bytes (fault #GP when violated), 0: none */
    bool mem_read, mem_write;
    bool gpr_in, gpr_out;  /* a general register is read (b) / written (d) */
    uint8_t gpr_size;    /* its width: 4 or 8 */
    bool out_cx;         /* the result's register is fixed: x86's ECX (PCMPISTRI) */
    bool is_x87, is_mmx; /* needs the x87/MMX state; otherwise vector state */
    bool can_fp_fault;   /* may raise an unmasked numeric exception */
    bool x87_guard;      /* FLDCW in a block that is for masked exceptions: when its operand unmasks
                          * one, x87_unmask() is called in its place */
    uint8_t rf;          /* F bits it reads (x87's conditional moves); 0 none */
    uint8_t wf;          /* F bits it writes (comis, ptest); 0 none */
    uint16_t row;        /* target's instruction-table row */
};

#define IR_N_PAGES 4
#define IR_PAGE_PC (IR_NONE - 3)      /* page a: pcbase */
#define IR_PAGE_STAYS 0x7f            /* page ratio: the address is the same in each round */

/**
 * struct ir_page - what one access, or group, of a loop needs in every round
 *
 * In a round that begins with globals a and b it is the bytes from a + (b << sc) + disp + lo on. Temp `delta` holds
 * host - guest of the page in which they all lie: an implementation makes sure of that before a round begins, or leaves
 * the block for one that is translated without groups.
 */
struct ir_page {
    ir_val a, b;             /* globals; a: or IR_PAGE_PC; b: or IR_NONE */
    ir_val delta;
    uint8_t sc;
    uint8_t align;           /* of the address without lo */
    bool write;
    int8_t ratio;            /* the address moves on 2^ratio times as much as the counter, or IR_PAGE_STAYS */
    int32_t disp;
    int16_t lo;
    uint16_t bytes;
};

/** struct ir_loop - of a block that jumps to its own start: accesses that are checked all at once
 *  @n: pages, 0: none; @counter: a global, @step: by how much it is higher in the next round, 1 or more
 *  @slot: the exit for when a round's accesses do not lie in a page each */
struct ir_loop {
    unsigned n, slot;
    ir_val counter;
    int32_t step;
    struct ir_page page[IR_N_PAGES];
};

struct ir_block {
    const struct tcg_target *target;
    struct ir_loop loop;
    unsigned n_ops, n_vals, n_labels, n_vec, n_carry;
    bool pc32;           /* the program counter wraps at 4 GiB (set by the run loop) */
    bool overflow;       /* ran out of room: the translator must end the block earlier */
    bool steps;          /* filled by ir_group(): some global is changed by a constant */
    unsigned n_exits;    /* exits in use, but for two at the end, are numbered below */
    struct ir_op *ops;   /* room for IR_MAX_OPS when made by ir_block_new() */
    struct ir_vec *vec;  /* room for IR_MAX_VEC */
};

/** ir_block_new()/ir_block_free() - a work block with its arrays at full size;
 *  a block kept for the interpreter points to arrays of just its length */
struct ir_block *ir_block_new(void);
void ir_block_free(struct ir_block *b);

/* exits of a block that can be chained: two at its end, some on conditions before it, some
 * of the leaders of groups, numbered in this order */
#define TB_LINKS 16
#define TB_SIDE_LINK 2       /* first on a condition */
#define TB_SIDE_LINKS 3

/* builder: all return the new op; the caller may set further fields */
void ir_begin(struct ir_block *b, const struct tcg_target *t);
ir_val ir_temp(struct ir_block *b);
uint16_t ir_label(struct ir_block *b);
struct ir_op *ir_emit(struct ir_block *b, enum ir_opc opc, unsigned size,
                      ir_val d, ir_val a, ir_val bb);
struct ir_op *ir_emit_imm(struct ir_block *b, enum ir_opc opc, unsigned size,
                          ir_val d, ir_val a, int64_t imm);
struct ir_op *ir_mov(struct ir_block *b, unsigned size, ir_val d, ir_val s);
struct ir_op *ir_movi(struct ir_block *b, ir_val d, uint64_t imm); /* size 8 */
struct ir_op *ir_lea(struct ir_block *b, unsigned size, ir_val d, ir_val base,
                     ir_val index, unsigned sc, int64_t disp);
struct ir_op *ir_ld(struct ir_block *b, unsigned size, ir_val d, ir_val addr);
struct ir_op *ir_st(struct ir_block *b, unsigned size, ir_val addr, ir_val v);
struct ir_op *ir_lde(struct ir_block *b, unsigned size, ir_val d, size_t off);
struct ir_op *ir_ste(struct ir_block *b, unsigned size, size_t off, ir_val v);
struct ir_op *ir_stei(struct ir_block *b, unsigned size, size_t off, int32_t v);
struct ir_op *ir_call(struct ir_block *b, void *fn, unsigned callf, ir_val d,
                      ir_val a, ir_val bb, ir_val c);
void ir_set_label(struct ir_block *b, uint16_t label);
void ir_br(struct ir_block *b, uint16_t label);
void ir_brcc(struct ir_block *b, enum ir_cc cc, uint16_t label);
void ir_leavecc(struct ir_block *b, enum ir_cc cc, int64_t pcoff, unsigned slot);
void ir_brcmp(struct ir_block *b, enum ir_cc cc, unsigned size, ir_val a, ir_val bb, uint16_t label);
void ir_brcmpi(struct ir_block *b, enum ir_cc cc, unsigned size, ir_val a, int64_t imm, uint16_t label);
void ir_insn(struct ir_block *b, int64_t pcoff, unsigned len);

/** ir_op_info() - what ops.def says of an opcode */
struct ir_info {
    const char *name;
    uint8_t outs, ins;   /* IRO_* masks */
};
enum { IRO_D = 1, IRO_E = 2, IRO_A = 4, IRO_B = 8, IRO_C = 16 };
enum { IRA_W = 1, IRA_CC = 2, IRA_MEM = 4, IRA_SIDE = 8, IRA_END = 16, IRA_RF = 32, IRA_RFC = 64,
       /* what follows from the row, or that one looks for by name: ir.c */
       IRA_FLAGS = 128,      /* may read F */
       IRA_KEEPS = 256,      /* d is an input too */
       IRA_PART = 512,       /* likewise when only 1 or 2 bytes are written */
       IRA_STOP = 1024,      /* control comes or goes */
       IRA_TRAP = 2048,      /* may fault though it does not access memory */
       IRA_IDLE = 4096 };    /* without wf it does nothing */
extern const struct ir_info ir_infos[IR_OPC_COUNT];
static inline const struct ir_info *ir_op_info(enum ir_opc opc) { return &ir_infos[opc]; }
/** ir_op_attr() - IRA_*: what passes ask of every operation, in a table of its own: a few lines of the host's cache */
extern const uint16_t ir_attrs[IR_OPC_COUNT];
static inline unsigned ir_op_attr(const struct ir_op *op) { return ir_attrs[op->opc]; }
/** ir_cc_flags() - F bits that condition @cc reads */
uint8_t ir_cc_flags(enum ir_cc cc);
/** ir_op_reads_flags() - F bits @op reads for its result (not for faults) */
uint8_t ir_op_reads_flags(const struct ir_block *b, const struct ir_op *op);
/** ir_op_writes_flags() - F bits @op replaces entirely when wf is as given
 *  (0 for a variable shift: it may keep them) */
uint8_t ir_op_kills_flags(const struct ir_block *b, const struct ir_op *op);
/** ir_op_can_fault() - may leave the block with a guest exception */
static inline bool ir_op_can_fault(const struct ir_op *op)
{
    unsigned attr = ir_op_attr(op);

    /* what follows a leader finds its page; a vector instruction's numbers may still be a fault */
    if (attr & IRA_MEM)
        return op->grp != GRP_USE || op->opc == IR_VEC;
    if (attr & IRA_TRAP)
        return op->opc != IR_CALL || (op->callf & (IRCALL_FAULT | IRCALL_SYNC));
    return false;
}

/** ir_verify() - check the block's invariants; returns NULL or what is wrong
 *  (a static or per-block buffer); run on every block in debug builds */
const char *ir_verify(const struct ir_block *b);
/** ir_dump() - print the block, one op a line */
void ir_dump(const struct ir_block *b, FILE *f);
/* passes, in order; ir_optimise() runs them all when @opt, else only the
 * annotations (rf, lf, last) that the back ends need; ir_group() and ir_sink() only when @group, too:
 * for a back end that leaves the block where a leader finds no page */
void ir_dead_flags(struct ir_block *b, bool prune);
void ir_fold(struct ir_block *b);
void ir_group(struct ir_block *b);
void ir_sink(struct ir_block *b);
void ir_liveness(struct ir_block *b, bool prune);
void ir_optimise(struct ir_block *b, bool opt, bool group);
/** ir_find_labels() - fill branches' imm2 with their label's index, for ir_interp() */
void ir_find_labels(struct ir_block *b);

/* ======================================================================== */
/* The vCPU as the translator sees it                                          */

/*
 * Program counter. Blocks are position independent: what they need of the
 * program counter they take from cpu->pcbase, and
 *     pc = pcbase + pcoff   (mod 2^32 when the mode is not 64 bit)
 * where pcoff is a constant of the guest instruction: its offset from the start
 * of the *linear* page that the block begins in (so 0..4095, more when it lies in
 * the next page). Inside a block the current instruction's pcoff is in
 * cpu->pcoff whenever a helper or a slow path runs. Outside blocks cpu->pc is
 * the truth; tcg_sync_pc() computes it.
 */

/* F in memory (cpu->fl): bit 0: O; bits 15..8: S Z 0 A 0 P 1 C (bit 15 S, 14 Z, 12 A, 10 P, 8 C).
 * What LAHF and SETO leave in AX; other bits are don't-care. */
#define TCG_FL_O 0x0001u
#define TCG_FL_C 0x0100u
#define TCG_FL_P 0x0400u
#define TCG_FL_A 0x1000u
#define TCG_FL_Z 0x4000u
#define TCG_FL_S 0x8000u

enum tcg_access { ACC_READ, ACC_WRITE, ACC_EXEC };
/* why a block was left */
enum tcg_exit { TCG_EXIT_NONE, TCG_EXIT_NEXT, TCG_EXIT_LOOKUP, TCG_EXIT_INTR,
                TCG_EXIT_EXCEPTION,
                TCG_EXIT_PC /* EXIT_PC: cpu->pc is set, the target is asked first */ };
/* cpu->exception: not the guest's, but "do this instruction again as a block of its
 * own": it is about to store into translated code */
#define TCG_EXC_RESTART 0x7fffffffu
/* likewise "... while no other vCPU runs": a locked access that no host atomic can do */
#define TCG_EXC_EXCLUSIVE 0x7ffffffeu
/* a breakpoint of the debugger is reached: service() takes it back */
#define TCG_EXC_DEBUG 0x7ffffffdu

#define TCG_N_SPILL 64
#define STACK_NOWHERE 0x8000000000000000ull

/** struct tcg_stored - TRACE_MEM of a store: its value goes to @at when it has happened; NULL: none waits */
struct tcg_stored {
    uint64_t *at;
    uint8_t *host[2];
    unsigned n[2];               /* bytes there */
};

/**
 * struct tcg_cpu - first member of the target's CPU struct
 *
 * Translated code reaches all of it as offsets from one host register, so the
 * fields it uses most come first.
 */
struct tcg_cpu {
    /* -- hot: offsets below 128 ------------------------------------------- */
    uint64_t pcbase;
    int32_t pcoff;
    uint32_t run;             /* 0: leave translated code at the next poll (any thread clears it) */
    uint32_t fl;              /* F */
    uint32_t exception;       /* not 0: a guest exception is pending (target's number + 1) */
    uint64_t map_mask;        /* constant of the inline page-map path */
    /* page that the stack was last found in, and host - guest for it; may be written. Forgotten at every
     * change of maps. STACK_NOWHERE: none; no address in 48 bits lies in that page */
    uint64_t stack_page, stack_delta;
    uint64_t regs[16];        /* the target's general registers: their home when not in host registers */
    uint64_t *returns;        /* return addresses: pc[] of the table in use (tcg-int.h), or NULL */
    /* -- less hot ------------------------------------------------------------ */
    uint8_t vec_loaded;       /* host vector registers hold the guest's */
    uint8_t x87_loaded;       /* host x87 registers hold the guest's */
    uint8_t in_code;          /* between tcg_enter and tcg_leave: a host fault there is the guest's */
    uint8_t restart1;         /* next block: one instruction, not kept */
    uint32_t exit_reason;     /* enum tcg_exit */
    struct tb *exit_tb;       /* block left through slot exit_slot, to be chained; or NULL */
    uint32_t exit_slot;
    uint8_t zmm_loaded;       /* with vec_loaded: what AVX-512 adds is loaded, too */
    uint8_t zmmh_live;        /* the state in memory may have bits 511:256 set in ZMM0..15; */
    uint8_t hi16_live;        /* anything set in ZMM16..31 */
    uint32_t branch;          /* at exit LOOKUP: GOTO_PC's pcoff << 16 | low half of imm2 if that is not 0 */
    uint64_t mode_salt;       /* mode in the high half: part of indirect-jump cache checks */
    uint64_t pc;              /* truth outside blocks */
    uint64_t f_operand;       /* what F is made from and no register has, see tcg/host-x86_64/flags.c */
    uint64_t host_sp, host_mxcsr; /* saved by tcg_enter */
    uint64_t map_base;        /* the current view's page map */
    uint64_t map_base_now;    /* what GS base is in the thread that runs it */
    struct tcg_mmu *mmu;
    uint64_t mmu_flushes;     /* goes up with each flush of any kind: what a target keeps of its walks is old then */
    struct tcg *tcg;
    struct jump_cache_entry *jc;   /* indirect-jump cache, behind the struct: jc_offset() */
    struct return_tables *return_tables; /* owned; NULL: translated code has none */
    struct tcg_slow *slow;         /* == &slow_area */
    uint64_t slow_area[14];        /* struct tcg_slow (tcg-int.h) */
    uint64_t spill[TCG_N_SPILL];   /* translated code's temporaries */
    /* of the loop that runs: addresses below limit lie in the page that delta leads to (host - guest), if
     * they are not below that of the round before; limit 0: it leads nowhere. Slow paths clear limits. */
    struct { uint64_t limit, delta; } carry[TCG_N_CARRY];
    int64_t loop_limit;       /* likewise, of the counter of the loop that runs, in which struct ir_page are found; INT64_MIN: none */
    uint64_t table_page, table_delta; /* as those of the stack, for a table that is read */
    /* of an access that crosses a page: bytes in each, where those lie; the operand in the middle of buf. n[0] is 0 unless
     * they wait to be written. */
    struct { uint8_t *host[2]; uint32_t n[2], fl; uint8_t buf[3 * 64] __attribute__((aligned(64))); } cross;
    struct tb *cur_tb;        /* interpreter: the running block */
    /* -- other vCPUs: tcg/smp.c --------------------------------------------------- */
    struct tcg_cpu *next;     /* vCPU made before this one */
    uint64_t seen;            /* newest epoch this vCPU has passed, or TCG_OFFLINE; atomic */
    uint64_t protected_seen;  /* entries of tcg->protected that its write maps have lost */
    uint64_t lookups;         /* for the statistics; atomic */
    uint64_t zero;            /* constant, for translated code */
    uint32_t pauses;          /* since the host CPU was given away */
    uint8_t exclusive;        /* no other vCPU runs */
    uint8_t stored_self;      /* the instruction that is to be done again would store into its own block */
    struct tcg_source *source; /* code bytes a block is being made from; NULL: fetch */
    struct tcg_source *own_source; /* room for them; owned */
    uint64_t va_mask;         /* linear addresses wrap with it: ~0, or 4 GiB - 1; the target keeps it */
    /* -- a debugger: tcg/debug.c ---------------------------------------------------- */
    uint8_t step;             /* execute one instruction at a time */
    uint8_t stepped;          /* one has been executed */
    uint8_t watch_kinds;      /* TCG_WATCH_* of the watchpoint that was met; 0: none */
    uint64_t watch_lin;       /* where */
    struct cpu_profile *prof; /* counts (profile-int.h); NULL: none */
    /* -- counting, traces: tcg/count.c ------------------------------------------------ */
    int64_t count_left;       /* instructions that may be begun */
    uint64_t count_end;       /* how many have been executed when that is 0 */
    uint32_t count_tb;        /* place in tcg->tbs of the block that counted last */
    uint64_t *note;           /* where IR_NOTE writes next; room for count_left of them */
    uint64_t *note_end;
    uint64_t *note_soon;      /* behind this the vCPU is to come out of translated code */
    struct trace_cpu *trace;  /* or NULL */
    uint32_t trace_kinds;     /* TRACE_HAS(kind) of what is recorded; 0: nothing */
    struct tcg_stored stored;
    uint64_t reg_noted[17];   /* TRACE_REG: as the last event left them; F last */
};

/* ======================================================================== */
/* What a target provides                                                       */

struct tcg_global {
    const char *name;
    uint32_t offset;     /* in the CPU struct; 8 bytes */
    int8_t pin;          /* 0..11: preferred order for a host register of its own; -1: stays in memory */
};

/* the key of a block besides its physical address */
struct tb_key {
    uint64_t pc;         /* program counter (EIP/RIP) */
    uint64_t lin;        /* linear address */
    uint64_t cs_base, cs_limit; /* significant only when !flat */
    uint32_t mode;       /* target's mode bits: everything translation depends on */
    bool flat;           /* position independent: pcbase need not match */
    uint8_t pc_bytes;    /* width of the program counter: 2, 4, 8 */
};

enum tcg_fill_result { FILL_OK, FILL_FAULT, FILL_MMIO };
struct tcg_fill {
    gpa_t gpa;           /* of the access */
    uint8_t page_shift;  /* size of the mapping: 12, 21, 22, 30 */
    bool writable;       /* a write would need no further work (dirty already) */
    bool readable, executable;
    bool global;
};

struct tcg_target {
    const char *name;
    unsigned n_globals;
    const struct tcg_global *globals;
    unsigned stack;      /* number + 1 of the global that is the stack pointer: addresses relative to it are
                          * nearly always in the page of the one before; 0: none is */
    size_t cpu_size;
    /** translate() - fill @b with IR for the block at @k; bounded by @max_insns.
     *  Fetches through tcg_fetch(); when the very first fetch faults it raises the
     *  exception and returns 0. Returns guest bytes translated (for invalidation). */
    unsigned (*translate)(struct tcg_cpu *cpu, struct ir_block *b,
                          const struct tb_key *k, unsigned max_insns, unsigned *n_insns);
    /** get_key() - key for cpu->pc in the current mode; may raise an exception when nothing
     *  can be fetched from there at all */
    void (*get_key)(struct tcg_cpu *cpu, struct tb_key *k);
    /** walk() - translate linear @va for an access; FILL_FAULT: the exception is
     *  raised (cpu->exception set) unless @probe */
    enum tcg_fill_result (*walk)(struct tcg_cpu *cpu, uint64_t va, enum tcg_access acc,
                                 bool user, bool probe, struct tcg_fill *out);
    /** branch_fault() - cpu->pc is what a GOTO_PC jumped to without a check, and not canonical in 48
     *  bits. When it is none at all: raise the fault, @popped bytes are on the stack again (negative: no longer), true */
    bool (*branch_fault)(struct tcg_cpu *cpu, int popped);
    /** canonical_fault() - raise the fault for an address outside the canonical range */
    void (*canonical_fault)(struct tcg_cpu *cpu, uint64_t va, enum tcg_access acc);
    void (*raise_divide)(struct tcg_cpu *cpu);
    /** raise_fp() - an unmasked numeric exception of the host instruction: @x87 or SIMD */
    void (*raise_fp)(struct tcg_cpu *cpu, bool x87);
    /** x87_unmask() - an instruction with x87_guard is about to unmask an exception; sets
     *  cpu->exception, TCG_EXC_RESTART to have it done in another mode */
    void (*x87_unmask)(struct tcg_cpu *cpu);
    /** raise_align() - a vector operand was not aligned as its instruction demands */
    void (*raise_align)(struct tcg_cpu *cpu);
    /** vec_exec() - execute @v on the state in memory. @mem: mem_bytes of operand
     *  (read before, written back after, by the caller). @gpr: in value, out value.
     *  Flags it writes go to cpu->fl. Returns false when it raised an exception. */
    bool (*vec_exec)(struct tcg_cpu *cpu, const struct ir_vec *v, void *mem, uint64_t *gpr);
    /** disas_mode() - Capstone mode bits for -d in_asm: 16, 32 or 64 */
    unsigned (*disas_bits)(const struct tb_key *k);
    /** mode_name() - mode bits in a few characters, for people; may be NULL */
    void (*mode_name)(uint32_t mode, char *buf, size_t size);
    /** exception_name() - cpu->exception, likewise */
    void (*exception_name)(uint32_t exception, char *buf, size_t size);
    /** trace_mode() - code size and privilege of @mode as TRACE_MODE_* */
    unsigned (*trace_mode)(uint32_t mode);
    /** log_cpu() - print registers (-d cpu) */
    void (*log_cpu)(struct tcg_cpu *cpu, FILE *f);
    /** service() - deliver cpu->exception or an interrupt, or wait while halted.
     *  Called by the run loop with cpu->pc true. Returns false: leave tcg_run(). */
    bool (*service)(struct tcg_cpu *cpu);
    /** deliver() - a block is left with cpu->exception, at cpu->pc, which is true: go on in its handler at
     *  once. False: nothing has changed, service() is to do it. Called with guest vector state in host
     *  registers. May be NULL */
    bool (*deliver)(struct tcg_cpu *cpu);
    /* operands of repeated string operations: globals; +1 or -1, 8 bytes in the CPU struct */
    struct { ir_val count, from, to, value; uint32_t off_step; } string;
    /* where the host back end finds vector and x87 state in the CPU struct */
    uint32_t off_xsave;  /* 64-byte aligned FXSAVE/XSAVE-layout area (legacy 512 bytes: x87 + xmm 0..15 + mxcsr) */
    uint32_t off_ymmh;   /* 16 x 16 bytes: upper halves of ymm0..15 */
    uint32_t off_avx512; /* k0..7; 16 x 32 bytes: upper halves of zmm0..15; zmm16..31 */
};

/* ======================================================================== */
/* Physical memory, as the accelerator glue gives it                             */

enum phys_kind { PHYS_RAM, PHYS_ROM, PHYS_MMIO, PHYS_NONE };
/** struct phys_window - @len bytes of RAM from @base on, at @host, the first of RAM page @page, as long as
 *  phys_ops.map_changes is @changes */
struct phys_window {
    gpa_t base;
    uint64_t len;
    uint8_t *host;
    uint32_t page, changes;
};
struct phys_ops {
    /** lookup() - the page at @gpa (page aligned): host address for RAM/ROM.
     *  RAM pages also get a small number @ram_page (< n_ram_pages), ROM as well. */
    enum phys_kind (*lookup)(void *opaque, gpa_t gpa, uint8_t **host, uint32_t *ram_page);
    /** window() - what lookup() says of all RAM around @gpa; @w stays as it is when that is none. May be
     *  NULL, like map_changes, which is atomic; callable like lookup() */
    void (*window)(void *opaque, gpa_t gpa, struct phys_window *w);
    const uint32_t *map_changes;
    uint64_t (*mmio_read)(void *opaque, struct tcg_cpu *cpu, gpa_t gpa, unsigned size);
    void (*mmio_write)(void *opaque, struct tcg_cpu *cpu, gpa_t gpa, uint64_t v, unsigned size);
    /** note_write() - RAM page @ram_page is about to be written; called for pages from
     *  @first_noted on, before they get into a write map. May be NULL. */
    void (*note_write)(void *opaque, uint32_t ram_page);
    uint32_t first_noted;
    uint32_t n_ram_pages;  /* RAM and ROM pages together */
    void *opaque;
};

/* ======================================================================== */
/* Soft MMU (tcg/softmmu.c)                                                        */

/* Views: what an access is checked against besides the address space. */
enum tcg_view { VIEW_KERNEL, VIEW_USER, VIEW_KERNEL_AC, VIEW_COUNT };

int tcg_mmu_init(struct tcg_cpu *cpu, const struct phys_ops *phys, struct err *e) MUST_CHECK;
void tcg_mmu_free(struct tcg_cpu *cpu);
/** tcg_mmu_watch() - drop pages from @cpu's write maps, so that note_write() hears of the
 *  next write: those of @n from @ram_page on whose byte in @noted is 0. The vCPU's
 *  thread between blocks, or while it stands still. */
void tcg_mmu_watch(struct tcg_cpu *cpu, uint32_t ram_page, uint32_t n, const uint8_t *noted);
/** tcg_mmu_set_view() - CPL, SMAP/AC or paging mode changed: choose the view */
void tcg_mmu_set_view(struct tcg_cpu *cpu, enum tcg_view v);
/** tcg_mmu_switch() - address space changed. @tag: PCID or 0; @flush: forget its
 *  non-global entries (CR3 load without bit 63) */
void tcg_mmu_switch(struct tcg_cpu *cpu, uint32_t tag, bool flush);
/** tcg_mmu_flush() - forget everything; @global: also global entries (false keeps
 *  them where it is cheap; dropping more is always allowed) */
void tcg_mmu_flush(struct tcg_cpu *cpu, bool global);
/** tcg_mmu_flush_page() - INVLPG of @va in the current address space + globals */
void tcg_mmu_flush_page(struct tcg_cpu *cpu, uint64_t va);
/** tcg_mmu_flush_tag() - INVPCID single context */
void tcg_mmu_flush_tag(struct tcg_cpu *cpu, uint32_t tag);
/** tcg_mmu_flush_tag_page() - INVPCID individual address */
void tcg_mmu_flush_tag_page(struct tcg_cpu *cpu, uint32_t tag, uint64_t va);

/*
 * Guest memory access from C: linear address, current view unless said. On a
 * guest fault the exception is raised (cpu->exception) and they return false,
 * with nothing changed. Crossing a page is handled. size 1, 2, 4, 8.
 */
bool tcg_load(struct tcg_cpu *cpu, uint64_t va, unsigned size, uint64_t *v) MUST_CHECK;
bool tcg_store(struct tcg_cpu *cpu, uint64_t va, unsigned size, uint64_t v) MUST_CHECK;
/** with an explicit view: VIEW_KERNEL for descriptor tables, TSS, stacks of an
 *  inner level; VIEW_USER for what must be checked as CPL 3 */
bool tcg_load_view(struct tcg_cpu *cpu, enum tcg_view view, uint64_t va, unsigned size, uint64_t *v) MUST_CHECK;
bool tcg_store_view(struct tcg_cpu *cpu, enum tcg_view view, uint64_t va, unsigned size, uint64_t v) MUST_CHECK;
/** tcg_load_bytes()/tcg_store_bytes() - up to 4096 bytes; all pages are checked
 *  before the first byte moves */
bool tcg_load_bytes(struct tcg_cpu *cpu, uint64_t va, void *buf, unsigned len) MUST_CHECK;
bool tcg_store_bytes(struct tcg_cpu *cpu, uint64_t va, const void *buf, unsigned len) MUST_CHECK;
/**
 * struct tcg_mask - which elements of a memory operand of up to 64 bytes are accessed
 * @bits: one an element; @elem: bytes of an element: 1, 2, 4, 8, 16
 */
struct tcg_mask {
    uint64_t bits;
    unsigned elem;
};
/** tcg_load_masked()/tcg_store_masked() - the selected elements only; others neither
 *  fault nor change, here or in memory (those of @buf not loaded become 0). All are
 *  checked before the first byte moves. */
bool tcg_load_masked(struct tcg_cpu *cpu, uint64_t va, void *buf, unsigned len, struct tcg_mask m) MUST_CHECK;
bool tcg_store_masked(struct tcg_cpu *cpu, uint64_t va, const void *buf, unsigned len,
                      struct tcg_mask m) MUST_CHECK;
/** tcg_probe_masked() - the checks of such an access alone */
bool tcg_probe_masked(struct tcg_cpu *cpu, uint64_t va, unsigned len, struct tcg_mask m,
                      enum tcg_access acc) MUST_CHECK;
/** tcg_vec_mask() - elements of @v's memory operand that the write mask @k selects
 *  (@v->mem_masked is not 0) */
struct tcg_mask tcg_vec_mask(const struct ir_vec *v, uint64_t k);
/** tcg_probe() - check that @len bytes (<= 4096) can be read or written; raises */
bool tcg_probe(struct tcg_cpu *cpu, uint64_t va, unsigned len, enum tcg_access acc) MUST_CHECK;
/**
 * tcg_host_page() - host address of @va when the bytes up to the end of its page
 * can be accessed directly; NULL: not RAM, or a fault (cpu->exception tells), or
 * (write) a page that holds code: then use tcg_store().
 */
uint8_t *tcg_host_page(struct tcg_cpu *cpu, uint64_t va, enum tcg_access acc);
/** tcg_hit() - host address of @len bytes at @va that lie in one page which the page map of @view has for
 *  @acc (ACC_READ, ACC_WRITE); else NULL, with nothing raised */
uint8_t *tcg_hit(struct tcg_cpu *cpu, enum tcg_view view, uint64_t va, unsigned len, enum tcg_access acc);
/** tcg_vec_away() - a helper called with IRCALL_NOVEC, whose block ends behind it, goes on with what
 *  may use vector registers */
void tcg_vec_away(struct tcg_cpu *cpu);
/** tcg_vec_put()/tcg_vec_back() - around what may use vector registers, inside such a helper; back() gets
 *  what put() returned */
unsigned tcg_vec_put(struct tcg_cpu *cpu) MUST_CHECK;
void tcg_vec_back(struct tcg_cpu *cpu, unsigned what);
/** tcg_fetch() - copy up to @len code bytes from linear @va as instruction fetch;
 *  returns how many (stops at a fault; @raise: raise it when the first byte faults) */
unsigned tcg_fetch(struct tcg_cpu *cpu, uint64_t va, uint8_t *buf, unsigned len, bool raise);
/** tcg_atomic16() - 16-byte host pointer for CMPXCHG16B/8B-style helpers (aligned,
 *  writable RAM) or NULL; on a fault cpu->exception is set */
uint8_t *tcg_host_rmw(struct tcg_cpu *cpu, uint64_t va, unsigned len);
/** physical access by the CPU itself (page walks): 8- or 4-byte aligned entries */
uint64_t tcg_phys_load(struct tcg_cpu *cpu, gpa_t gpa, unsigned size);
/** tcg_phys_cmpxchg() - set accessed/dirty bits atomically; false: it changed meanwhile */
bool tcg_phys_cmpxchg(struct tcg_cpu *cpu, gpa_t gpa, unsigned size, uint64_t old, uint64_t new_);

/* ======================================================================== */
/* Blocks, cache, run loop (tcg/blocks.c, make.c, cache.c, exec.c)                 */

enum tcg_backend { TCG_BACKEND_HOST, TCG_BACKEND_INTERP };
/** enum tcg_bug - mistakes that tests seed: SBB forgets the borrow, SAR by 5 shifts by 4 */
enum tcg_bug { TCG_BUG_NONE, TCG_BUG_SBB, TCG_BUG_SAR };
struct tcg_config {
    enum tcg_backend backend;
    bool optimise;           /* false: passes that change code are off */
    bool one_insn;           /* one guest instruction a block (debugging, tests) */
    uint64_t cache_bytes;    /* code cache, default 128 MiB */
    const char *tb_cache;    /* file that keeps translations, see tb-cache-int.h; or NULL */
    const void *tb_cache_env; /* what the target's translate() depends on besides bytes and mode; until tcg_new() returns */
    size_t tb_cache_env_bytes;
    bool perf_map;           /* name blocks for perf(1) in /tmp/perf-PID.map */
    bool jitdump;            /* likewise with their code, in jit-PID.dump here */
    unsigned n_cpus;         /* how many vCPUs there will be; 0 and 1: one */
    bool profile;            /* count where the time goes: tcg_profile_report() */
    bool count;              /* count instructions: tcg_count() */
    bool note_regs;          /* with note: registers, too */
    bool note_mem;           /* with note: every access comes by the slow path, and is noted */
    /** before_block() - @tb is next; blocks are not chained then. May be NULL */
    void (*before_block)(void *opaque, struct tcg_cpu *cpu, const struct tb *tb);
    void *before_block_opaque;
    enum tcg_bug bug;        /* host code is to be wrong */
    const struct guest_symbols *symbols; /* for listings, or NULL */
    bool note;               /* with it: each block that is executed writes its place in tcg->tbs to cpu->note */
};

/* why a block was dropped */
#define TCG_DROPS(X) \
    X(STORE,    "stores of the guest") \
    X(OUTSIDE,  "devices and other programs") \
    X(CHANGED,  "bytes found changed") \
    X(DEBUGGER, "breakpoints")
/* why the code cache was emptied */
#define TCG_FLUSHES(X) \
    X(FULL,     "full") \
    X(RESET,    "machine reset") \
    X(HANDOVER, "taken over from another accelerator") \
    X(OVERRUN,  "more writes by devices than could be noted") \
    X(BREAKS,   "breakpoints")
#define X(N, text) TCG_DROP_##N,
enum tcg_drop { TCG_DROPS(X) TCG_DROP_COUNT };
#undef X
#define X(N, text) TCG_FLUSH_##N,
enum tcg_flush { TCG_FLUSHES(X) TCG_FLUSH_COUNT };
#undef X

struct tcg_stats {
    uint64_t translations, flushes, invalidations, lookups, guest_bytes, host_bytes;
    uint64_t cold_bytes;     /* of host_bytes: out of line */
    uint64_t taken, taken_bytes; /* blocks that came from the cache file, guest bytes of them */
    uint64_t dropped[TCG_DROP_COUNT], flushed[TCG_FLUSH_COUNT]; /* parts of invalidations, flushes */
};

/** tcg_new() - translator shared by all vCPUs of a machine */
struct tcg *tcg_new(const struct tcg_target *t, const struct tcg_config *c,
                    const struct phys_ops *phys, struct err *e) MUST_CHECK;
void tcg_free(struct tcg *t);
/**
 * tcg_cpu_alloc() - zeroed target CPU struct, placed so that translated code can run
 * with it (its stack lies below); free with tcg_cpu_free()
 */
struct tcg_cpu *tcg_cpu_alloc(struct tcg *t, struct err *e) MUST_CHECK;
void tcg_cpu_free(struct tcg_cpu *cpu);
/** tcg_run() - run until target->service() says stop */
void tcg_run(struct tcg_cpu *cpu);
/** tcg_kick() - any thread, any signal: leave translated code soon */
static inline void tcg_kick(struct tcg_cpu *cpu)
{
    __atomic_store_n(&cpu->run, 0, __ATOMIC_SEQ_CST);
}
/** tcg_mode_changed() - the target's mode bits may have changed: recompute the salt */
void tcg_mode_changed(struct tcg_cpu *cpu, uint32_t mode);
/**
 * tcg_may_hold_code() - any thread, after it wrote to RAM: may a block be older?
 * False: no block is made from these bytes; one made from now on sees them. For a
 * single vCPU: with several, blocks are compared with their bytes anyway.
 */
bool tcg_may_hold_code(struct tcg *t, uint32_t ram_page, unsigned offset, unsigned len);
/** tcg_invalidate_phys() - RAM changed from outside (DMA, another program) */
void tcg_invalidate_phys(struct tcg *t, uint32_t ram_page, unsigned offset, unsigned len);
/** struct tcg_notes - what translated code does for a trace; see struct tcg_config */
struct tcg_notes {
    bool count, note, note_regs, note_mem;
};
/** tcg_set_notes() - from now on; forgets translations and page maps. All vCPUs are parked. */
void tcg_set_notes(struct tcg *t, const struct tcg_notes *n);
/** tcg_flush_all() - forget all translations; no vCPU runs, or the only one calls */
void tcg_flush_all(struct tcg *t, enum tcg_flush why);

/* ---- a debugger outside the guest (tcg/debug.c) ------------------------------------- */

#define TCG_BREAKS_MAX 1024
#define TCG_WATCHES_MAX 128
enum { TCG_WATCH_READ = 1, TCG_WATCH_WRITE = 2 };

/** struct tcg_break - stop before the instruction at @lin; only bits in @mask count */
struct tcg_break {
    uint64_t lin, mask;
};
/** struct tcg_watch - stop after an access of @kinds (TCG_WATCH_*) to @len bytes at @lin */
struct tcg_watch {
    uint64_t lin, len;
    uint64_t kinds;
};

/**
 * tcg_debug_set() - these breakpoints and watchpoints instead of those before
 * All vCPUs stand still. A vCPU that reaches a breakpoint gets TCG_EXC_DEBUG; one that
 * has met a watchpoint has watch_kinds and watch_lin set and leaves translated code
 * after the instruction. @n_breaks, @n_watches: at most TCG_BREAKS_MAX, TCG_WATCHES_MAX.
 */
void tcg_debug_set(struct tcg *t, const struct tcg_break *b, unsigned n_breaks,
                   const struct tcg_watch *w, unsigned n_watches);
/** tcg_break_offset() - for translate(): a block must end before an instruction at
 *  offset @off in its page */
bool tcg_break_offset(const struct tcg *t, unsigned off);
/** tcg_end_at() - likewise, offset @off in the page that is being translated */
bool tcg_end_at(const struct tcg *t, unsigned off);
/** tcg_may_break() - does one of them, or tcg_ends_before_pushf(), hold anywhere? */
bool tcg_may_break(const struct tcg *t);
/** tcg_debug_step() - from now on @cpu executes one instruction between two calls of
 *  service(), with cpu->stepped set; or no longer. It stands still, or calls. */
static inline void tcg_debug_step(struct tcg_cpu *cpu, bool on)
{
    cpu->step = cpu->restart1 = on;
    cpu->stepped = 0;
}

/* ---- counting instructions (tcg/count.c), when tcg_config.count is set ---------------- */

/** tcg_count() - instructions that @cpu has completed; its own thread, also inside a helper,
 *  or while it stands still */
uint64_t tcg_count(const struct tcg_cpu *cpu);
/** tcg_counts() - whether instructions are counted: conditional branches end blocks then */
bool tcg_counts(const struct tcg *t);
/** tcg_ends_before_pushf() - blocks are compared with another engine's: flags that are undefined
 *  must not be stored before that */
bool tcg_ends_before_pushf(const struct tcg *t);
/** trace_event() - the trace (tcg/trace.h) gets an event of @kind with @n fields when it is to
 *  have such; the vCPU's thread, callable with guest vector state in host registers */
void trace_event(struct tcg_cpu *cpu, unsigned kind, const uint64_t *field, unsigned n);
static inline bool trace_on(const struct tcg_cpu *cpu, unsigned kind)
{
    return unlikely(cpu->trace_kinds >> kind & 1);
}
/** tcg_count_again() - IR helper (IRCALL_NOVEC): the block's last instruction is not complete and
 *  is going to be executed again; where it is interrupted is an engine's own affair */
uint64_t tcg_count_again(struct tcg_cpu *cpu, uint64_t a, uint64_t b, uint64_t c);
/** tcg_count_until() - service() is called when @end have been executed, exactly; inside a
 *  helper: when the block ends, if that is later. Such threads as tcg_count() */
void tcg_count_until(struct tcg_cpu *cpu, uint64_t end);

/** tcg_disas_one() - list the instruction at @code without its address, symbols or newline;
 *  @bits: 16, 32, 64. Returns its bytes, 0: none of at most @len */
unsigned tcg_disas_one(FILE *f, const uint8_t *code, size_t len, uint64_t pc, unsigned bits);

/* ---- many vCPUs (tcg/smp.c) -------------------------------------------------------- */

#define TCG_OFFLINE (~0ull)
/** tcg_offline()/tcg_online() - around waiting, on the vCPU's own thread and outside
 *  blocks: others need not wait for it meanwhile. tcg_run() is online. */
void tcg_offline(struct tcg_cpu *cpu);
void tcg_online(struct tcg_cpu *cpu);
/** tcg_epoch() - begin a new epoch; what was published before is seen by every vCPU
 *  of which tcg_passed() becomes true. Any thread. */
uint64_t tcg_epoch(struct tcg *t);
/** tcg_passed() - every vCPU but @but (may be NULL) has been outside blocks since @epoch began */
bool tcg_passed(struct tcg *t, uint64_t epoch, const struct tcg_cpu *but);
/** tcg_pause() - IR helper (IRCALL_NOVEC): the guest spins; gives the host CPU away at times */
uint64_t tcg_pause(struct tcg_cpu *cpu, uint64_t a, uint64_t b, uint64_t c);
/** tcg_need_exclusive() - for a locked operation that no host atomic can do: true, with
 *  the instruction to be executed again, unless no other vCPU runs already */
bool tcg_need_exclusive(struct tcg_cpu *cpu);
/** tcg_sync_pc() - cpu->pc from pcbase and pcoff, for helpers inside a block */
static inline uint64_t tcg_cur_pc(const struct tcg_cpu *cpu)
{
    return cpu->pcbase + (int64_t)cpu->pcoff;
}
/** tcg_cache_note() - why what was in the cache file is not used, or NULL; the translator's */
const char *tcg_cache_note(const struct tcg *t);
/** tcg_cache_kept() - translations that the cache file would have if it were written now, and its bytes */
size_t tcg_cache_kept(const struct tcg *t, size_t *bytes);
/** tcg_get_stats() - counts since the start; valid until the next call */
const struct tcg_stats *tcg_get_stats(struct tcg *t);
/**
 * tcg_profile_report() - print where the time went since tcg_new() or the last restart
 * @top: how many of the hottest blocks; @disas: how many of them with their code
 * Any thread, also while vCPUs run. False: tcg_config.profile was not set.
 */
bool tcg_profile_report(struct tcg *t, FILE *f, unsigned top, unsigned disas);
/** tcg_profile_restart() - later reports leave out all that has been so far; likewise */
bool tcg_profile_restart(struct tcg *t);

/** ir_interp() - run @b from its first op; returns when it ends or faults,
 *  leaving what a back end leaves: exit_reason, pcbase/pcoff or pc, exit_tb/slot.
 *  @vals: scratch for temps. */
void ir_interp(struct tcg_cpu *cpu, const struct ir_block *b);

#endif
