/*
 * tcg-int.h - what the parts of tcg/ share: the soft MMU's tables, blocks, the
 * code cache and the host back end's entry points
 */
#ifndef TCG_TCG_INT_H
#define TCG_TCG_INT_H

#include <pthread.h>
#include "tcg/tcg.h"
#include "trace/format.h"
#include "tcg/profile-int.h"

/* ---- page maps ----------------------------------------------------------- */

/*
 * A view's map is a sparse array indexed by virtual page number (bits 47..12 of
 * the address) of four words: for reads and writes host - guest for the page, for
 * execution the page's identity (RAM page number + 1); 0 is a miss. What is special
 * (devices, clean pages, pages with translated code in the write word) is simply
 * absent. The fourth word is for a page that could be written but for its code: where
 * it is and which, so that a store beside the code needs no walk. The inline path is
 *   rorx d, address, 7 ; and d, MAP_MASK ; mov d, base[d + kind * 8]
 * The third word's upper half has limits for reads and writes: an access of up to 8 bytes whose address is below
 * lies in the page, which is in the map (of both only the low 16 bits count; 0: it is not in the map).
 * An address-space set has VIEW_COUNT views.
 */
#define PAGE_BITS 12
#define PAGE_SIZE 4096u
#define PAGE_MASK 4095u
#define MAP_VPN_BITS 36
#define MAP_WORDS 4
#define MAP_SHIFT 7                                   /* PAGE_BITS - log2(bytes of a page's words) */
#define MAP_MASK (((1ull << MAP_VPN_BITS) - 1) << 5)
#define MAP_VIEW_BYTES (8ull * MAP_WORDS << MAP_VPN_BITS) /* 2 TiB of address space */
#define MAP_LIMIT(k) (8 * ACC_EXEC + 4 + 2 * (k))     /* bytes into the entry, for ACC_READ and ACC_WRITE */
#define LIMIT_BYTES 8                                 /* accesses of more have to be checked otherwise */
#define MAP_SETS 8
#define MAP_SETS_ALL 20   /* of all vCPUs: 120 TiB of the host's 128 */
/*
 * More vCPUs than that do not fit: their maps are narrow. They are indexed by the low
 * 16 bits of the page number, and the fourth word says instead whose entry it is (the
 * address's bits 59..28); the inline path compares it: map_lookup().
 */
#ifdef CONFIG_TSAN        /* its shadow leaves little address space */
#define NARROW_ALWAYS true
#else
#define NARROW_ALWAYS false
#endif
#define NARROW_BITS 16
#define NARROW_MASK (((1ull << NARROW_BITS) - 1) << 5)
#define NARROW_VIEW_BYTES (8ull * MAP_WORDS << NARROW_BITS)
#define NARROW_TAG_SHIFT (PAGE_BITS + NARROW_BITS)
#define MAP_TAG 3
#define MAP_BESIDE 3              /* in maps that are not narrow: (host - guest) / PAGE_SIZE | RAM page */
#define BESIDE_PAGE_BITS 26       /* 256 GiB; pages from there on are walked for */

#if defined(__x86_64__)
#define TCG_FLAT_MAPS 1
#else
#define TCG_FLAT_MAPS 0   /* hashed tables: see softmmu.c */
#endif

#define JC_BITS 14
#define JC_MULTIPLIER 0x9e3779b1u
#define JC_NONE 0xffff
#define JC_SEGMENT (1u << 31)    /* above all page numbers: its segment has to be compared, too */
/** struct jump_cache_entry - where an indirect jump to linear @lin goes */
struct jump_cache_entry {
    uint64_t lin;
    uint64_t check;        /* page identity | mode salt, | JC_SEGMENT when tb is not flat */
    const void *code;
    struct tb *tb;
};

/* ---- return addresses (returns.c) ---------------------------------------------------------------- */

#define RETURN_SLOTS 512
#define RETURN_TABLES 16
#define RETURN_GAP 168
/**
 * struct return_table - where calls return to, by bits 11..3 of the address that has the return address on the stack
 * @gap: hosts take a load for one of what was stored 4096 bytes apart; so a slot's halves and the
 *       guest's stack differ in those bits, mostly
 * @code: of the landing in the call's block, which @pc is the return address of; or tcg->no_return
 */
struct return_table {
    uint64_t gap0[RETURN_GAP];
    uint64_t pc[RETURN_SLOTS];
    uint64_t gap1[RETURN_GAP];
    const void *code[RETURN_SLOTS];
} __attribute__((aligned(PAGE_SIZE)));
struct return_tables {
    struct return_table table[RETURN_TABLES];
    uint64_t key[RETURN_TABLES]; /* mode salt | address-space set + 1; 0: of no use */
    unsigned now;            /* in use */
    unsigned next;           /* to be given to another key */
};
/** returns_new() - @cpu gets its tables, if the back end has a use for them; -ENOMEM */
int returns_new(struct tcg_cpu *cpu) MUST_CHECK;
void returns_free(struct tcg_cpu *cpu);
/** returns_select() - mode or address space are others: so is the table. Every one of these only in the
 *  vCPU's own thread, or while it stands still */
void returns_select(struct tcg_cpu *cpu);
/** returns_forget() - pages that may be executed from in address-space set @set are others now */
void returns_forget(struct tcg_cpu *cpu, unsigned set);
/** returns_forget_all() - in any set, or the code is gone */
void returns_forget_all(struct tcg_cpu *cpu);

/* ---- blocks ---------------------------------------------------------------- */

#define NO_PAGE 0xffffffffu
#define KEY_ALONE (1u << 31)      /* beside the mode bits of a key: translated without groups */
#define MAKING_ANY 0xffffffffu    /* a block that goes on in another page */

struct tb_link {
    struct tb *to;            /* NULL: not chained; atomic */
    uint64_t free_from;       /* epoch in which it was last unchained; 0: never chained */
    struct tb *next_in;       /* next in to->incoming; low bits: slot of that one */
    uint32_t jmp_off;         /* of the rel32 in the code; 0: no such exit */
    uint32_t guard_off;       /* of the page identity compared first; 0: same page */
    uint32_t stub_off;        /* where an unchained jump goes */
    uint32_t owed;            /* how to make F, which this exit leaves in its place (FL_OWED); 0: F is saved */
    uint32_t save_off;        /* where a jump goes that has to save F first; 0: no such code has been made yet */
    uint32_t save_jmp;        /* of the rel32 from there on */
    uint32_t f_from;          /* globals that F can be made from until then, a bit each */
    bool alone;               /* leads to a block of KEY_ALONE */
};

struct tb {
    /* what look-ups, chaining and entering read: one line of the host's cache */
    struct tb *hash_next;     /* of a bucket that is full */
    const uint8_t *code;      /* executable address (host back end) */
    uintptr_t incoming;       /* struct tb * | slot: blocks chained to this one */
    uint32_t mode;
    uint32_t page, page2;     /* RAM page numbers of first and last byte; page2 NO_PAGE */
    uint32_t f_spoils;        /* globals it changes before it may show F, which it then replaces; ~0: it may read F */
    uint16_t off, len;        /* in page; guest bytes */
    uint16_t n_insns;
    uint16_t jc_at;           /* its entry in the jump caches, or JC_NONE; atomic */
    bool jc_more;             /* it may have others: it was entered at several addresses; atomic */
    bool flat;
    bool dead;                /* dropped; atomic */
    bool brk;                 /* a breakpoint may be at its start: not chained to */
    bool once;                /* for one run: every exit goes to the run loop */
    bool settled;             /* every store to its bytes is noticed (smp.c); atomic */
    uint8_t waits;            /* entered before it was; a hint */
    uint8_t n_links;
    uint32_t place;           /* in tcg->tbs */
    uint32_t code_len;

    uint32_t cold_len, n_sites;
    const uint8_t *cold;      /* executable address */
    const struct tb_site *sites; /* host faults: sorted by op */
    struct tb *page_next[2];
    uint64_t pcbase, cs_base, cs_limit;   /* significant when !flat */
    uint64_t born;            /* epoch in which it was made, if there are several vCPUs */
    const uint8_t *insn_len;  /* of each instruction, when they are counted; for a trace the block's
                               * bytes behind them */
    const uint8_t *source;    /* the bytes it was made from, until settled, or as long as there is a cache file; or NULL */
    const struct tb_relocs *relocs; /* for an image of it (tb-cache-int.h); NULL: it will have none */
    uint16_t loop_off;        /* where its jumps to itself enter */
    struct ir_block *ir;      /* interpreter */
    uint32_t undefined_fl;    /* with before_block: bits of F that are undefined at its end, as in cpu->fl */
    bool has_vectors;         /* with it: more than registers and memory may have changed */
    struct tb_link link[];    /* by slot */
};

/** jc_index() - entry of the jump cache for linear @pc: the top bits of a product, which mix
 *  function starts, at multiples of 16, with return addresses */
static inline unsigned jc_index(uint64_t pc)
{
    return (uint32_t)pc * JC_MULTIPLIER >> (32 - JC_BITS);
}

/** struct tb_site - a host instruction that may fault for the guest's sake, and
 *  the out-of-line code that deals with it; offsets in the block's code. Bit 31 of
 *  op: a numeric fault (SIGFPE), else an address fault (SIGSEGV). */
struct tb_site {
    uint32_t op, stub;
};
#define SITE_FPE 0x80000000u

/** struct code_page - what is translated from one page, by units of 8 bytes: what a store is
 *  compared with */
struct code_page {
    struct tb *first;        /* blocks with bytes here; next through page_next[] */
    uint64_t units[PAGE_SIZE / 512];     /* a bit each 8 bytes that some block was made from; atomic */
};

/** struct ram_page - what is translated from one page of RAM or ROM */
struct ram_page {
    uint64_t code_bits;      /* a bit each 64 bytes that some block was made from; atomic */
    struct code_page *code;  /* in the arena; NULL: never any since the last flush; atomic */
};

/** struct code_cache - translated code. The main lines of all blocks stand together
 *  in its first part, what they rarely need (misses, faults, unchained exits) in
 *  the second: so the host's caches hold more of what runs. */
struct code_cache {
    uint8_t *rw, *rx;        /* the same memory, mapped twice */
    size_t bytes, used;
    size_t cold, cold_used;  /* where the second part starts, and its next free byte */
    size_t ready, cold_ready; /* ends of what the host has memory for in either part */
    int fd;
};

#define SOURCE_BYTES 1024
/** struct tcg_source - code bytes from @lin on, fetched before the lock is taken */
struct tcg_source {
    uint64_t lin;
    unsigned have;
    uint32_t page2;          /* RAM page of what lies in the next page, or NO_PAGE */
    bool missed;             /* the decoder wanted more */
    uint8_t buf[SOURCE_BYTES];
};

#define PROTECTED_RING 4096
#define TCG_ENDS 64
#define TB_ALIGN 64
#define TB_WAYS 7
/** struct tb_bucket - blocks with one hash: a line of the host's cache. What does not match is not
 *  touched. Entries are atomic. */
struct tb_bucket {
    uint64_t way[TB_WAYS];   /* tag << 32 | place in the arena / TB_ALIGN + 1; 0: free */
    struct tb *more;         /* what found no way free; next through hash_next */
};

/*
 * What vCPUs share. Written under lock, by vCPUs that are many; hash chains, code_bits,
 * links and tbs are also read without it (see smp.c).
 */
struct tcg {
    const struct tcg_target *target;
    bool smp;                /* there are several vCPUs */
    bool narrow;             /* page maps are narrow */
    struct tcg_config cfg;
    struct phys_ops phys;
    struct ram_page *pages;
    struct tb_bucket *hash;
    unsigned bucket_bits;    /* log2 of their number, at most 32 */
    struct code_cache cache;
    struct tb **tbs;         /* in order of code address */
    uint32_t n_tbs, max_tbs;
    bool has_ends;           /* ends[] holds something; under the lock, like that */
    uint64_t ends[TCG_ENDS]; /* places in RAM, + 1, where blocks end because what is before stored into its own block; 0: none */
    uint32_t found;          /* where tb_find_by_code() has found its last block, if it still is there; atomic */
    char *arena;             /* blocks, sites, kept IR; emptied with the cache */
    size_t arena_used, arena_bytes, arena_ready;
    struct ir_block *work;
    struct tcg_cpu *cpus;    /* all vCPUs, last made first; complete before one runs */
    struct tcg_stats stats;
    const struct host_code *host; /* NULL: interpreter */
    void *host_priv;         /* back end's work area */
    struct tcg_debug *debug; /* NULL: no breakpoints, no watchpoints; changed while no vCPU runs */
    struct tcg_perf *perf;   /* perf.c; NULL: names are not wanted */
    struct tcg_profile *profile; /* NULL: nothing is counted */
    const void *no_return;   /* back end's: where a return goes whose slot is empty; NULL: it makes no use of tables */
    uint32_t thunk[256];     /* back end's: offsets of its thunks in the cache */
    uint32_t thunk_bytes;    /* where they end */
    struct tb_cache *tb_cache; /* NULL: translations are not kept in a file */
    bool relocs;             /* what is made notes what of it depends on where it is; under the lock */
    uint32_t generation;     /* counts flushes */
    uint32_t lock;           /* what translations are made and dropped under */
    uint32_t making;         /* 1 + RAM page that a block is being made from, MAKING_ANY; 0: none; atomic */
    uint64_t epoch;          /* atomic */
    uint64_t n_protected;    /* pages ever entered in the ring; atomic */
    uint32_t protected[PROTECTED_RING]; /* pages that got their first block; atomic */
    pthread_mutex_t excl_lock; /* what follows */
    pthread_cond_t excl_cond;
    bool excl;               /* some vCPU wants to be, or is, the only one; atomic */
};

/** jc_offset() - where a vCPU's jump cache is, from its struct on: translated code
 *  reaches it without a pointer */
static inline size_t jc_offset(const struct tcg *t)
{
    return align_up(t->target->cpu_size, PAGE_SIZE);
}

/* ---- many vCPUs (smp.c) -------------------------------------------------------- */

/** tcg_lock()/tcg_unlock() - leaf lock: nothing is waited for while it is held, not
 *  even the machine's lock. Callable with guest vector state in host registers. */
void tcg_lock(struct tcg *t);
void tcg_unlock(struct tcg *t);
/** smp_catch_up() - at the top of the run loop, when the epoch is new: stand aside for
 *  an exclusive section, take pages out of the write maps */
void smp_catch_up(struct tcg_cpu *cpu);
/** smp_take_protected() - take pages out of @cpu's write maps only; its own thread */
void smp_take_protected(struct tcg_cpu *cpu);
/** smp_exclusive_begin()/smp_exclusive_end() - no other vCPU runs in between; outside
 *  blocks, without locks */
void smp_exclusive_begin(struct tcg_cpu *cpu);
void smp_exclusive_end(struct tcg_cpu *cpu);
/** smp_hurry() - vCPUs that have not passed @epoch leave translated code soon */
void smp_hurry(struct tcg *t, uint64_t epoch, const struct tcg_cpu *but);
/** smp_protect() - @page got its first block: every write map is going to lose it */
void smp_protect(struct tcg *t, uint32_t page);

/* ---- soft MMU -------------------------------------------------------------- */

#define MMU_NODES (1u << 18)
#define MMU_BLOOM 4096
#define MMU_TOUCH 2048       /* map pages a set may have touched before it is emptied */

/** struct mmu_node - one filled map entry, to find it again */
struct mmu_node {
    uint64_t slot;           /* address of the entry */
    uint32_t next_set;       /* journal of the set; index + 1 */
    uint32_t next_page;      /* write entries of one RAM page; index + 1 */
};

struct mmu_set {
    uint32_t tag;
    bool valid;
    uint64_t used;           /* for replacement */
    uint32_t journal[2];     /* node index + 1; [1]: global pages */
    uint8_t large_bloom[MMU_BLOOM / 8];  /* 2 MiB regions with entries of large pages */
    uint8_t global_bloom[MMU_BLOOM / 8];
    bool huge;               /* entries of 1 GiB pages exist */
    uint32_t n_touched;
    uint32_t touched[MMU_TOUCH * 2];     /* open addressing: map page number + 1 */
};

struct mmu_hash_entry { uint64_t tag, val; };
#define MMU_HASH 2048

/** struct place - where one access (inside a page) goes */
struct place {
    uint8_t *host;           /* RAM, ROM; else NULL */
    gpa_t gpa;
    uint32_t page;
    bool rom, has_code;
};

/** struct span - an access of up to 4096 bytes: one or two pages */
struct span {
    struct place p[2];
    unsigned n[2];
};

struct tcg_mmu {
    struct tcg *tcg;
    struct tcg_cpu *cpu;     /* whose it is */
    bool narrow;
    uint64_t view_bytes, index_mask; /* of a map; which bits of a page number index it */
    uint8_t *base[MAP_SETS]; /* each set's maps; NULL until the set is first used */
    unsigned n_sets;         /* how many the host's address space has room for */
    struct mmu_set set[MAP_SETS];
    unsigned cur;
    enum tcg_view view;
    uint64_t clock;
    struct mmu_node *nodes;
    uint32_t n_nodes;
    struct phys_window window; /* where RAM was found last; len 0: nowhere yet */
    uint32_t *page_head;     /* per RAM page: its write entries; index + 1 */
    uint32_t page_gen;
    struct mmu_hash_entry (*hash)[3][MMU_HASH];  /* [view][kind]; portable variant */
    uint64_t fills, flushes;
    const uint8_t *from;     /* during a slow access: code of the running block; else NULL */
    /* slow path of translated code: arguments, and the bounce buffer */
    uint8_t bounce[64] __attribute__((aligned(64)));
    struct span bounce_at;   /* where a write goes in the end */
    uint64_t bounce_va;
    uint32_t bounce_len;
    struct tcg_mask bounce_mask; /* elem 0: all of it */
};

/* arguments of the slow path, in the vCPU struct's reach: see host_scratch */
struct tcg_slow {
    uint64_t va;
    uint64_t delta;          /* out: host - guest */
    uint32_t desc;           /* SLOW_* */
    uint32_t elems;          /* a masked access: ELEMS_* */
    uint64_t arg[3];         /* CALL; a masked access: [0] the write mask */
    uint64_t save[8];
};
enum { SLOW_SIZE = 0x7f, SLOW_LEAD_W = 1 << 7 /* SLOW_LEAD, and the page must be writable */,
       SLOW_READ = 1 << 8, SLOW_WRITE = 1 << 9, SLOW_LOCK = 1 << 10,
       SLOW_RECIPE = 1 << 11, SLOW_MASKED = 1 << 12 /* only what the opmask selects */,
       SLOW_LEAD = 1 << 13, /* make the map's entry, access nothing */
       SLOW_ALIGN = 14,     /* 1, 2, 3: must be a multiple of 16, 32, 64 */
       SLOW_OWED = 1 << 16, /* the back end's */
       SLOW_PCOFF = 17 };   /* from this bit on: the instruction's pcoff, signed */
/* tcg_slow.elems: mask_bits of struct ir_vec, log2 of mem_elem, compact; of SLOW_LEAD: the group's bytes, from bit LEAD_DISP on
 * where the leader's own begin (lead_fits()), and in the high half where all begin, from the address on */
enum { ELEMS_BITS = 0xff, ELEMS_LOG2 = 8, ELEMS_COMPACT = 1 << 16, LEAD_BYTES = 0x3ff, LEAD_DISP = 10, LEAD_LO = 16 };
static inline int lead_disp(uint32_t elems) { return (int16_t)elems >> LEAD_DISP; }

/** tcg_slow_access() - resolve cpu->slow; 0: guest fault or restart, 1: direct,
 *  2: bounced (a write must be finished with tcg_slow_commit()). SLOW_LEAD: 1: in the
 *  map now, 2: it does not go there; with SLOW_LEAD_W, in the map of writes
 *  @from: an address in the code of the block that runs */
unsigned tcg_slow_access(struct tcg_cpu *cpu, struct tcg_slow *s, const uint8_t *from);
void tcg_slow_commit(struct tcg_cpu *cpu, struct tcg_slow *s);

/** mmu_exec_page() - RAM page number of linear @va as instruction fetch; NO_PAGE:
 *  fault (raised when @raise) or not RAM/ROM */
uint32_t mmu_exec_page(struct tcg_cpu *cpu, uint64_t va, uint8_t **host, bool raise);
/** mmu_exec_hit() - the exec map's entry: RAM page number + 1, or 0 */
uint32_t mmu_exec_hit(const struct tcg_cpu *cpu, uint64_t va);
/** mmu_protect_page() - the page now holds code: drop it from @cpu's write maps */
void mmu_protect_page(struct tcg_cpu *cpu, uint32_t ram_page);
/** mmu_protect_all() - drop all pages from them */
void mmu_protect_all(struct tcg_cpu *cpu);

/* ---- blocks (blocks.c, make.c) ------------------------------------------------- */

/**
 * tb_make() - translate the block at @k
 * @page: of its first byte; NO_PAGE: not RAM. @keep: it will be found again.
 * NULL: fetching its first instruction faulted (cpu->exception). May empty the code cache.
 */
struct tb *tb_make(struct tcg_cpu *cpu, const struct tb_key *k, uint32_t page, bool keep);

/** tb_store_hits_code() - is translated code in the 64-byte lines of these bytes? */
static inline bool tb_store_hits_code(const struct tcg *t, uint32_t page, unsigned off, unsigned len)
{
    unsigned a = off >> 6, b = (off + len - 1) >> 6;
    uint64_t m = (b >= 63 ? ~0ull : (2ull << b) - 1) & ~((1ull << a) - 1);
    return __atomic_load_n(&t->pages[page].code_bits, __ATOMIC_RELAXED) & m;
}
/** unit_bits() - in word @w of code_page.units: bytes @a to @b (included) of the page */
static inline uint64_t unit_bits(unsigned a, unsigned b, unsigned w)
{
    int lo = (int)(a >> 3) - (int)w * 64, hi = (int)(b >> 3) - (int)w * 64;

    if (hi < 0 || lo > 63)
        return 0;
    return ~0ull << MAX(lo, 0) & ~0ull >> (63 - MIN(hi, 63));
}

/** tb_store_meets() - is some block made from units of 8 bytes that these bytes are in? */
static inline bool tb_store_meets(const struct tcg *t, uint32_t page, unsigned off, unsigned len)
{
    const struct code_page *cp;

    if (!tb_store_hits_code(t, page, off, len))
        return false;
    cp = __atomic_load_n(&t->pages[page].code, __ATOMIC_ACQUIRE);
    for (unsigned w = off >> 9; cp && w <= (off + len - 1) >> 9; w++)
        if (__atomic_load_n(&cp->units[w], __ATOMIC_RELAXED) & unit_bits(off, off + len - 1, w))
            return true;
    return !cp;
}
void tb_invalidate_range(struct tcg *t, uint32_t page, unsigned off, unsigned len, enum tcg_drop why);
/** tb_covers() - was the block whose code holds @from made from any of these bytes' units?
 *  True also when that is not known. */
bool tb_covers(struct tcg *t, const uint8_t *from, uint32_t page, unsigned off, unsigned len);

/** exec_deliver() - a block is left with cpu->exception, the guest's registers and F are in memory: code of
 *  the handler's block, which may be entered at once, or NULL: leave, cpu->exit_reason says why. Keeps
 *  vector registers */
const uint8_t *exec_deliver(struct tcg_cpu *cpu);

/* ---- a debugger (debug.c) ----------------------------------------------------- */

/** debug_break_at() - is there a breakpoint at @lin? */
bool debug_break_at(const struct tcg *t, uint64_t lin);
/** debug_page_watched() - the page of @va must stay absent from the page maps */
bool debug_page_watched(const struct tcg *t, uint64_t va);
/** debug_access() - note an access that a watchpoint is for; false: it must be done
 *  again as a block of its own. Only when tcg->debug is set. */
bool debug_access(struct tcg_cpu *cpu, uint64_t va, unsigned len, enum tcg_access acc);
static inline bool watch_access(struct tcg_cpu *cpu, uint64_t va, unsigned len, enum tcg_access acc)
{
    return likely(!cpu->tcg->debug) || debug_access(cpu, va, len, acc);
}
/** note_stored() - what cpu->stored waits for has happened (memaccess.c) */
void note_stored(struct tcg_cpu *cpu);
/** tb_drop_offsets() - drop blocks with bytes at these offsets of any page */
void tb_drop_offsets(struct tcg *t, const uint16_t *offs, unsigned n);

/* ---- counting instructions (count.c), when tcg_config.count is set ------------- */

/** count_head() - give a translated block of @n_insns instructions its head; @pcoff is its
 *  first. It becomes t->tbs[t->n_tbs]. Sets overflow when there is no room. */
void count_head(struct tcg *t, struct ir_block *b, unsigned n_insns, int64_t pcoff);
/** count_keep() - note in @tb, made from @b at linear @lin, where its instructions are; false: no room */
bool count_keep(struct tcg_cpu *cpu, struct tb *tb, const struct ir_block *b, uint64_t lin);
/** count_fault() - the running block was left at cpu->pcoff, which is not executed */
void count_fault(struct tcg_cpu *cpu);

/* ---- lockstep (lockstep.c) ------------------------------------------------------------ */

/** ir_undefined_flags() - bits of cpu->fl that no manual defines at the end of @b */
uint32_t ir_undefined_flags(const struct ir_block *b);
/** ir_has_vectors() - may @b change more than general registers, F and memory? */
bool ir_has_vectors(const struct ir_block *b);
/** ir_seed_bug() - make @b wrong, for tests */
void ir_seed_bug(struct ir_block *b, enum tcg_bug bug);
/** tcg_list_block() - guest code, IR and optimised IR of @tb, which was entered with @pcbase, to
 *  the log; @cpu is as it was then but for registers */
void tcg_list_block(struct tcg_cpu *cpu, const struct tb *tb, uint64_t pcbase);
/** tcg_list_host_code() - its host code */
void tcg_list_host_code(const struct tb *tb, FILE *f);

/* ---- code cache (cache.c) ------------------------------------------------------ */
/** cache_init() - @nameless: memory that perf looks up in its map file */
int cache_init(struct code_cache *c, size_t bytes, bool nameless, struct err *e) MUST_CHECK;
void cache_free(struct code_cache *c);
/** cache_ready() - there is host memory for the next block; under the lock */
void cache_ready(struct code_cache *c);
/** arena_ready() - likewise for the @bytes at @arena, of which @used are in use; *@ready: the end of what
 *  there is memory for, 0 at first */
void arena_ready(uint8_t *arena, size_t *ready, size_t used, size_t bytes);
static inline uint8_t *cache_rw(const struct code_cache *c, const uint8_t *rx)
{
    return c->rw + (rx - c->rx);
}

/** tcg_disas() - list code with Capstone: "0xADDR:  bytes  mnemonic" lines
 *  @bits: 16, 32, 64 guest width; 0: this host's code */
void tcg_disas(FILE *f, const uint8_t *code, size_t len, uint64_t pc, unsigned bits);

/* ---- names for perf(1) (perf.c); the last three only with tcg->perf ----------------- */
int perf_open(struct tcg *t, struct err *e) MUST_CHECK;
void perf_close(struct tcg *t);
/** perf_block() - @tb was made from code at @lin; under the lock */
void perf_block(struct tcg *t, const struct tb *tb, uint64_t lin);
/** perf_thunks() - the cache holds the back end's thunks, nothing else yet */
void perf_thunks(struct tcg *t);
/** perf_emptied() - the cache has been */
void perf_emptied(struct tcg *t);

/* ---- host back end --------------------------------------------------------------- */

struct tb_image;
struct tb_env;
/** struct host_code - a host back end */
struct host_code {
    const char *name;
    /** init() - emit the entry, exit and slow-path thunks into the empty cache */
    int (*init)(struct tcg *t, struct err *e);
    /** enter() - run code until a block leaves */
    void (*enter)(struct tcg_cpu *cpu, const void *code);
    /** compile() - host code for @b; fills tb->code, links, sites; false: no room */
    bool (*compile)(struct tcg *t, struct tb *tb, const struct ir_block *b);
    /** set_link() - (un)chain: @to NULL restores the exit stub */
    void (*set_link)(struct tcg *t, struct tb *tb, unsigned slot, struct tb *to);
    /** vec_save() - vector/x87 state from host registers into the CPU struct, for C code */
    void (*vec_save)(struct tcg_cpu *cpu);
    /** vec_restore() - after vec_save() inside a slow path: what was loaded comes back */
    void (*vec_restore)(struct tcg_cpu *cpu, unsigned what);
    /** ticks() - a counter that goes up steadily; general registers only */
    uint64_t (*ticks)(void);
    /** pack() - an image of @tb, which has relocs and source, to @im; 0: it can have none in @room bytes, else its
     *  bytes. NULL: this back end has no images */
    size_t (*pack)(struct tcg *t, const struct tb *tb, struct tb_image *im, size_t room);
    /** unpack() - what compile() does, from an image; false: no room, or the image is wrong */
    bool (*unpack)(struct tcg *t, struct tb *tb, const struct tb_image *im);
    /** describe() - add to @env what its code depends on beside the block */
    void (*describe)(const struct tcg *t, struct tb_env *env);
};
/** host_code_here() - back end for this host, or NULL with the reason in @e */
const struct host_code *host_code_here(struct err *e);

/** tb_find_by_code() - the block whose code holds @pc (in either part), or NULL */
struct tb *tb_find_by_code(struct tcg *t, const uint8_t *pc);
/** cache_empty() - forget all translations; thunks follow */
void cache_empty(struct code_cache *c);
/** tcg_arena() - memory that lives until the next flush; NULL when full */
void *tcg_arena(struct tcg *t, size_t bytes);

#endif
