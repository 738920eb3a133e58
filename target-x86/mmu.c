/*
 * mmu.c - the guest's page tables: 32-bit, PAE and 4-level walks
 *
 * Source: Intel SDM vol. 3, chapter 4. Built with -mgeneral-regs-only and free
 * of libc calls: a walk runs while the host's vector registers hold the guest's.
 */
#include "target-x86/system-int.h"

enum {
    PTE_P = 1 << 0, PTE_W = 1 << 1, PTE_U = 1 << 2, PTE_A = 1 << 5, PTE_D = 1 << 6,
    PTE_PS = 1 << 7, PTE_G = 1 << 8,
};
#define PTE_NX BIT(63)
#define MAX_LEVELS 4
enum { KEY_AD = 1, KEY_WD = 2 };   /* no access, no write */

/**
 * struct walk - one walk under way
 * @gpa, @entry: address and value of each level's entry, outermost first
 * @size: bytes of an entry
 * @perm: W and U as all levels allow; NX when any level says so
 */
struct walk {
    gpa_t gpa[MAX_LEVELS];
    uint64_t entry[MAX_LEVELS];
    unsigned n, size, shift;
    uint64_t perm;
    gpa_t base;          /* of the mapped page */
    unsigned key_bits;   /* rights of the page's protection key: KEY_* */
    uint32_t error;      /* PF_* of a failed walk, without W, U, I */
    uint64_t a20;
};

/** phys_rsvd() - entry bits above the physical address width, up to bit @top */
static uint64_t phys_rsvd(const struct x86_cpu *cpu, unsigned top)
{
    return bits(~0ull, 0, top + 1) & ~(BIT(cpu->model->phys_bits) - 1);
}

/** step() - read entry @index of the table at @table; false: not present or reserved bits */
static bool step(struct x86_cpu *cpu, struct walk *w, gpa_t table, unsigned index, uint64_t rsvd)
{
    gpa_t at = (table + index * w->size) & w->a20;
    uint64_t e = tcg_phys_load(&cpu->tcg, at, w->size);

    w->gpa[w->n] = at;
    w->entry[w->n++] = e;
    if (!(e & PTE_P))
        return false;
    if (e & rsvd) {
        w->error = PF_P | PF_RSVD;
        return false;
    }
    w->perm &= e | PTE_NX;
    w->perm |= e & PTE_NX;
    return true;
}

/** leaf() - the last entry maps a page of 1 << @shift bytes whose address bits are @addr */
static bool leaf(struct walk *w, unsigned shift, uint64_t addr)
{
    w->shift = shift;
    w->base = addr & ~(BIT(shift) - 1);
    return true;
}

#define ADDR64 0x000ffffffffff000ull

/** walk_pde() - the two last levels, common to PAE and 4-level paging */
static bool walk_pde(struct x86_cpu *cpu, struct walk *w, uint64_t va, gpa_t dir, uint64_t rsvd)
{
    uint64_t e;

    if (!step(cpu, w, dir & ADDR64, va >> 21 & 511, rsvd))
        return false;
    e = w->entry[w->n - 1];
    if (e & PTE_PS) {
        if (e & 0x1fe000) {              /* bit 12 is PAT */
            w->error = PF_P | PF_RSVD;
            return false;
        }
        return leaf(w, 21, e & ADDR64);
    }
    if (!step(cpu, w, e & ADDR64, va >> 12 & 511, rsvd))
        return false;
    return leaf(w, 12, w->entry[w->n - 1] & ADDR64);
}

/** rsvd64() - reserved bits of all entries of 4-level paging */
static uint64_t rsvd64(const struct x86_cpu *cpu)
{
    return phys_rsvd(cpu, 51) | (cpu->efer & EFER_NXE ? 0 : PTE_NX);
}

static bool walk_4level(struct x86_cpu *cpu, struct walk *w, uint64_t va)
{
    uint64_t rsvd = rsvd64(cpu);
    bool gib = x86_has(cpu, FEAT_80000001_EDX, F81D_PDPE1GB);
    uint64_t e;

    w->size = 8;
    if (!step(cpu, w, cpu->cr3 & ADDR64, va >> 39 & 511, rsvd | PTE_PS))
        return false;
    if (!step(cpu, w, w->entry[0] & ADDR64, va >> 30 & 511, rsvd | (gib ? 0 : PTE_PS)))
        return false;
    e = w->entry[1];
    if (!(e & PTE_PS))
        return walk_pde(cpu, w, va, e, rsvd);
    if (e & 0x3fffe000) {
        w->error = PF_P | PF_RSVD;
        return false;
    }
    return leaf(w, 30, e & ADDR64);
}

static bool walk_pae(struct x86_cpu *cpu, struct walk *w, uint64_t va)
{
    /* bits 62:52 are reserved too here, unlike in 4-level entries */
    uint64_t rsvd = phys_rsvd(cpu, 62) | (cpu->efer & EFER_NXE ? 0 : PTE_NX);
    uint64_t e = cpu->pdpte[va >> 30 & 3];

    w->size = 8;
    return (e & PTE_P) && walk_pde(cpu, w, va, e, rsvd);
}

static bool walk_32(struct x86_cpu *cpu, struct walk *w, uint64_t va)
{
    bool pse = cpu->cr4 & CR4_PSE;
    uint64_t e;

    w->size = 4;
    if (!step(cpu, w, cpu->cr3 & 0xfffff000, va >> 22 & 1023, 0))
        return false;
    e = w->entry[0];
    if (pse && (e & PTE_PS)) {
        /* PSE-36: bits 20..13 are address bits 39..32 */
        uint64_t addr = (e & 0xffc00000) | bits(e, 13, 8) << 32;
        if ((e & BIT(21)) || (addr >> cpu->model->phys_bits)) {
            w->error = PF_P | PF_RSVD;
            return false;
        }
        return leaf(w, 22, addr);
    }
    if (!step(cpu, w, e & 0xfffff000, va >> 12 & 1023, 0))
        return false;
    return leaf(w, 12, w->entry[1] & 0xfffff000);
}

static void walk_begin(struct x86_cpu *cpu, struct walk *w)
{
    w->n = 0;
    w->error = 0;
    w->perm = PTE_W | PTE_U;
    w->a20 = cpu->bus->a20_mask(cpu->bus->opaque);
}

static bool walk_tables(struct x86_cpu *cpu, struct walk *w, uint64_t va)
{
    walk_begin(cpu, w);
    if (x86_lma(cpu))
        return walk_4level(cpu, w, va);
    return cpu->cr4 & CR4_PAE ? walk_pae(cpu, w, va) : walk_32(cpu, w, va);
}

/* ---- what walks have found: the SDM's paging-structure caches, vol. 3, 4.10.3 ------------------ */

static struct x86_table_memo *memo_of(struct x86_cpu *cpu, uint64_t va)
{
    return &cpu->table_memo[va >> 21 & (ARRAY_SIZE(cpu->table_memo) - 1)];
}

/** walk_known() - walk_tables() from the page table on when a walk since the last flush has been there */
static bool walk_known(struct x86_cpu *cpu, struct walk *w, uint64_t va)
{
    const struct x86_table_memo *m = memo_of(cpu, va);

    if (m->until != cpu->tcg.mmu_flushes + 1 || m->at != va >> 21)
        return walk_tables(cpu, w, va);
    walk_begin(cpu, w);
    w->perm = m->perm;
    w->size = 8;
    return step(cpu, w, m->table, va >> 12 & 511, rsvd64(cpu)) &&
           leaf(w, 12, w->entry[0] & ADDR64);
}

/** remember() - the page table that the complete walk @w, whose accessed bits are set, has come to */
static void remember(struct x86_cpu *cpu, const struct walk *w, uint64_t va)
{
    struct x86_table_memo *m = memo_of(cpu, va);
    const uint64_t *e = w->entry;

    if (w->n < MAX_LEVELS)               /* it is large, or known, or paging is of another kind */
        return;
    m->at = va >> 21;
    m->table = e[2] & ADDR64;
    m->perm = (e[0] & e[1] & e[2] & (PTE_W | PTE_U)) | ((e[0] | e[1] | e[2]) & PTE_NX);
    m->until = cpu->tcg.mmu_flushes + 1;
}

/** set_accessed() - A in every entry, D in the last when @dirty; false: changed meanwhile */
static bool set_accessed(struct x86_cpu *cpu, struct walk *w, bool dirty)
{
    for (unsigned i = 0; i < w->n; i++) {
        uint64_t want = PTE_A | (dirty && i == w->n - 1 ? PTE_D : 0);
        uint64_t e = w->entry[i];

        if ((e & want) == want)
            continue;
        if (!tcg_phys_cmpxchg(&cpu->tcg, w->gpa[i], w->size, e, e | want))
            return false;
        w->entry[i] = e | want;
    }
    return true;
}

/** may_write()/may_read()/may_exec() - SDM vol. 3, 4.6.1 "Determination of access rights" */
static bool smap_blocks(const struct x86_cpu *cpu, uint64_t perm, bool user)
{
    bool ac = (cpu->eflags & EF_AC) && cpu->cpl != 3 && !cpu->implicit;

    return !user && (perm & PTE_U) && (cpu->cr4 & CR4_SMAP) && !ac;
}

/**
 * key_bits() - what PKRU (user pages) or PKRS (supervisor pages) says about the
 * key in bits 62..59 of the last entry. Source: SDM vol. 3, 4.6.2.
 */
static unsigned key_bits(const struct x86_cpu *cpu, const struct walk *w)
{
    bool user_page = w->perm & PTE_U;
    uint64_t rights = user_page ? cpu->pkru : cpu->pkrs;

    if (likely(!(cpu->cr4 & (user_page ? CR4_PKE : CR4_PKS))) || !x86_lma(cpu))
        return 0;
    return rights >> bits(w->entry[w->n - 1], 59, 4) * 2 & 3;
}

static bool key_blocks(const struct x86_cpu *cpu, unsigned key, enum tcg_access acc, bool user)
{
    if (acc == ACC_EXEC)
        return false;
    return (key & KEY_AD) ||
           ((key & KEY_WD) && acc == ACC_WRITE && (user || (cpu->cr0 & CR0_WP)));
}

static bool may_read(const struct x86_cpu *cpu, uint64_t perm, bool user)
{
    return user ? perm & PTE_U : !smap_blocks(cpu, perm, user);
}

static bool may_write(const struct x86_cpu *cpu, uint64_t perm, bool user)
{
    if (!may_read(cpu, perm, user))
        return false;
    return (perm & PTE_W) || (!user && !(cpu->cr0 & CR0_WP));
}

static bool may_exec(const struct x86_cpu *cpu, uint64_t perm, bool user)
{
    if (perm & PTE_NX)
        return false;
    return user ? perm & PTE_U : !((perm & PTE_U) && (cpu->cr4 & CR4_SMEP));
}

static bool may(const struct x86_cpu *cpu, const struct walk *w, enum tcg_access acc, bool user)
{
    if (key_blocks(cpu, w->key_bits, acc, user))
        return false;
    return acc == ACC_READ ? may_read(cpu, w->perm, user)
         : acc == ACC_WRITE ? may_write(cpu, w->perm, user) : may_exec(cpu, w->perm, user);
}

static enum tcg_fill_result walk_fault(struct x86_cpu *cpu, uint64_t va, enum tcg_access acc,
                                       bool user, bool probe, uint32_t error)
{
    bool nx_on = (cpu->cr4 & CR4_PAE) && (cpu->efer & EFER_NXE);

    if (probe)
        return FILL_FAULT;
    error |= user ? PF_U : 0;
    error |= acc == ACC_WRITE ? PF_W : 0;
    if (acc == ACC_EXEC && (nx_on || (cpu->cr4 & CR4_SMEP)))
        error |= PF_I;
    x86_raise_pf(cpu, va, error);
    return FILL_FAULT;
}

static enum tcg_fill_result no_paging(struct x86_cpu *cpu, uint64_t va, struct tcg_fill *out)
{
    uint64_t a20 = cpu->bus->a20_mask(cpu->bus->opaque);

    out->gpa = va & 0xffffffff & a20;
    out->page_shift = a20 == ~0ull ? 21 : 12;
    out->readable = out->writable = out->executable = true;
    out->global = false;
    return FILL_OK;
}

/**
 * x86_walk() - translate a linear address for an access (tcg_target.walk)
 * @va: canonical in long mode; its low 32 bits count otherwise
 * @user: check as CPL 3
 * @probe: do not raise on failure
 *
 * Sets accessed and dirty bits when the access is allowed. out->writable is
 * true only when the dirty bit is set and a write is allowed as @user says.
 */
enum tcg_fill_result x86_walk(struct tcg_cpu *tc, uint64_t va, enum tcg_access acc,
                              bool user, bool probe, struct tcg_fill *out)
{
    struct x86_cpu *cpu = X86(tc);
    struct walk w;
    uint64_t last;

    if (!(cpu->cr0 & CR0_PG))
        return no_paging(cpu, va, out);
    if (!x86_lma(cpu))
        va = (uint32_t)va;
    do {
        if (!walk_known(cpu, &w, va))
            return walk_fault(cpu, va, acc, user, probe, w.error);
        w.key_bits = key_bits(cpu, &w);
        if (!may(cpu, &w, acc, user))
            return walk_fault(cpu, va, acc, user, probe, PF_P |
                              (key_blocks(cpu, w.key_bits, acc, user) ? PF_PK : 0));
    } while (!set_accessed(cpu, &w, acc == ACC_WRITE));

    remember(cpu, &w, va);
    last = w.entry[w.n - 1];
    out->gpa = (w.base | (va & (BIT(w.shift) - 1))) & w.a20;
    out->page_shift = w.a20 == ~0ull ? w.shift : 12;
    out->readable = may(cpu, &w, ACC_READ, user);
    out->writable = (last & PTE_D) && may(cpu, &w, ACC_WRITE, user);
    out->executable = may(cpu, &w, ACC_EXEC, user);
    out->global = (last & PTE_G) && (cpu->cr4 & CR4_PGE);
    return FILL_OK;
}

bool x86_debug_walk(struct x86_cpu *cpu, uint64_t va, gpa_t *gpa)
{
    struct walk w;
    struct tcg_fill f;

    if (!(cpu->cr0 & CR0_PG)) {
        no_paging(cpu, va, &f);
        *gpa = f.gpa;
        return true;
    }
    if (!x86_lma(cpu))
        va = (uint32_t)va;
    if ((x86_lma(cpu) && !x86_canonical(va)) || !walk_tables(cpu, &w, va))
        return false;
    *gpa = (w.base | (va & (BIT(w.shift) - 1))) & w.a20;
    return true;
}

/**
 * x86_load_pdptes() - PAE: fetch the four page-directory pointers at @cr3
 *
 * Returns false, with the registers unchanged, when a present one has reserved
 * bits set (the caller raises #GP(0)). Source: SDM vol. 3, 4.4.1.
 */
bool x86_load_pdptes(struct x86_cpu *cpu, uint64_t cr3)
{
    uint64_t rsvd = ~(BIT(cpu->model->phys_bits) - 1) | 0x1e6;
    uint64_t a20 = cpu->bus->a20_mask(cpu->bus->opaque);
    uint64_t e[4];

    for (unsigned i = 0; i < 4; i++) {
        e[i] = tcg_phys_load(&cpu->tcg, ((cr3 & 0xffffffe0) + i * 8) & a20, 8);
        if ((e[i] & PTE_P) && (e[i] & rsvd))
            return false;
    }
    for (unsigned i = 0; i < 4; i++)
        cpu->pdpte[i] = e[i];
    return true;
}
