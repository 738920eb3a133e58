/*
 * sys-perm.c - paging rights, every combination of them, in each paging mode and page size
 *
 * A case sets P, W, U, XD of the page and W, U, XD of one entry above it, CR0.WP, CR4.SMEP,
 * CR4.SMAP and EFLAGS.AC, then reads, writes or executes from ring 0 or 3. What must come of it is
 * computed by want_fault() from the SDM, vol. 3, "Determination of Access Rights" (4.6) and
 * "Page-Fault Exceptions" (4.7); accessed and dirty flags from 4.8.
 */
#include "lib/desc.h"

#define MEM "memory", "cc"
#define TARGET 0x180000u   /* physical: "int $0x80", and 64 bytes on a word for data */
#define TABLE(n) ((volatile u8 *)(ulong)(0x100000 + (n) * 0x1000))
#define CR4_PKE (1u << 22)

enum { P = 1, W = 2, U = 4, A = 0x20, D = 0x40, PS = 0x80 };
enum { B_P = 1, B_W = 2, B_U = 4, B_NX = 8 };
enum { READ, WRITE, FETCH };
enum { PFE_PK = 32 };

struct paging {
    const char *name, *rsvd_name;
    u32 uppers;              /* entries above the page's own that hold rights */
    u32 entry_bytes;
    int has_nx;
    ulong va;
    volatile u8 *entry[4];   /* the page's own is entry[uppers] */
    u64 value[4];            /* with every right */
    u64 rsvd[4];             /* reserved bits of each */
    ulong user;              /* linear address of physical 0 for ring 3 */
};

struct pcase { u32 leaf, upper, level, wp, smep, smap, ac, access, user, pkru; };

CODE(perm_read, "mov 64(%" SP_REG "), %eax\n\tint $0x80");
CODE(perm_write, "movl $1, 64(%" SP_REG ")\n\tint $0x80");
CODE(perm_fetch, "jmp *%" SP_REG);

static u64 get(const struct paging *m, u32 level)
{
    return m->entry_bytes == 8 ? *(volatile u64 *)m->entry[level] : *(volatile u32 *)m->entry[level];
}
static void put(const struct paging *m, u32 level, u64 v)
{
    if (m->entry_bytes == 8)
        *(volatile u64 *)m->entry[level] = v;
    else
        *(volatile u32 *)m->entry[level] = (u32)v;
}
static u64 with_bits(u64 v, u32 bits)
{
    v &= ~(u64)(P | W | U);
    return v | (bits & 7) | (bits & B_NX ? 1ull << 63 : 0);
}

/* -1: no fault; else the error code */
static int want_fault(const struct paging *m, const struct pcase *c)
{
    u32 both = c->leaf & (c->upper | B_P | B_NX) & (B_W | B_U);
    u32 nx = (c->leaf | c->upper) & B_NX, writable = both & B_W, user_page = both & B_U, bad;
    u32 err = (c->user ? PFE_U : 0) | (c->access == WRITE ? PFE_W : 0) |
              (c->access == FETCH && (m->has_nx || c->smep) ? PFE_I : 0);
    u32 ad = c->pkru & 1, wd = c->pkru >> 1 & 1;
    u32 pk = user_page && c->access != FETCH && (ad || (wd && c->access == WRITE && (c->user || c->wp)));

    if (!(c->leaf & B_P))
        return (int)err;
    if (c->access == FETCH)
        bad = nx || (c->user ? !user_page : user_page && c->smep);
    else if (c->user)
        bad = !user_page || (c->access == WRITE && !writable);
    else
        bad = (user_page && c->smap && !c->ac) || (c->access == WRITE && !writable && c->wp);
    if (bad || pk)
        return (int)(err | PFE_P | (pk ? PFE_PK : 0));
    return -1;
}

static void do_access(const struct paging *m, const struct pcase *c)
{
    static const u8 *const user_code[] = { perm_read, perm_write, perm_fetch };
    ulong fl = c->ac ? FL_AC | 2 : 2;

    if (c->user) {
        trap_arm();
#ifdef __x86_64__
        user_run((ulong)user_code[c->access] + m->user, m->va, 2, SEL_UCODE64, SEL_UDATA64);
#else
        user_run((ulong)user_code[c->access] + m->user, m->va, 2, SEL_UCODE32, SEL_UDATA);
#endif
    } else if (c->access == READ) {
        TRY("push %1\n\tpopf\n\tmov 64(%0), %%eax\n\tpush $2\n\tpopf", : : "r"(m->va), "r"(fl) : "eax", MEM);
    } else if (c->access == WRITE) {
        TRY("push %1\n\tpopf\n\tmovl $1, 64(%0)\n\tpush $2\n\tpopf", : : "r"(m->va), "r"(fl) : MEM);
    } else {
        TRY("push %1\n\tpopf\n\tjmp *%0", : : "r"(m->va), "r"(fl) : MEM);
    }
}

static u32 cases, bad_cases;

static void complain(const struct paging *m, const struct pcase *c, const char *what, u64 got, u64 want)
{
    static const char *const access[] = { "read", "write", "fetch" };

    if (++bad_cases > 4)
        return;
    put_str("# ");
    put_str(m->name);
    put_str(c->user ? " user " : " supervisor ");
    put_str(access[c->access]);
    put_str(" page PWUX ");
    put_hex(c->leaf);
    put_str(" above ");
    put_hex(c->upper);
    put_str(" level ");
    put_hex(c->level);
    put_str(" WP, SMEP, SMAP, AC, PKRU ");
    put_hex(c->wp << 16 | c->smep << 12 | c->smap << 8 | c->ac << 4 | c->pkru);
    put_str(what);
    put_hex(got);
    put_str(" want ");
    put_hex(want);
    put_char('\n');
}

static void check_flags(const struct paging *m, const struct pcase *c, int fault)
{
    u64 leaf = get(m, m->uppers);

    if (fault >= 0 && (leaf & D))
        complain(m, c, ": D after a fault", leaf & D, 0);
    if (fault >= 0)
        return;
    if ((leaf & (A | D)) != (c->access == WRITE ? A | D : A))
        complain(m, c, ": A, D", leaf & (A | D), c->access == WRITE ? A | D : A);
    for (u32 i = 0; i < m->uppers; i++)
        if (!(get(m, i) & A))
            complain(m, c, ": A above, level", i, A);
}

static void one(const struct paging *m, const struct pcase *c)
{
    int want = want_fault(m, c), got;

    for (u32 i = 0; i < m->uppers; i++)
        put(m, i, i == c->level ? with_bits(m->value[i], c->upper | B_P) : m->value[i]);
    put(m, m->uppers, with_bits(m->value[m->uppers], c->leaf));
    asm volatile("invlpg (%0)" : : "r"(m->va) : "memory");
    do_access(m, c);
    got = trap.vec == PF ? (int)trap.err : trap.vec == LEAVE_VEC || trap.vec == -1 ? -1 : -1000 - trap.vec;
    cases++;
    if (got != want)
        complain(m, c, ": got ", (u64)(long)got, (u64)(long)want);
    else if (got >= 0 && trap.cr2 != m->va + (c->access == FETCH ? 0 : 64))
        complain(m, c, ": CR2 ", trap.cr2, m->va);
    else
        check_flags(m, c, want);
}

static void all_rights(const struct paging *m, struct pcase *c)
{
    u32 mask = m->has_nx ? 15 : 7;

    for (c->level = 0; c->level < (m->uppers ? m->uppers : 1); c->level++)
        for (c->leaf = 0; c->leaf <= mask; c->leaf++)
            for (c->upper = 0; c->upper <= (m->uppers ? mask : 0); c->upper += 2)
                for (c->access = READ; c->access <= FETCH; c->access++)
                    for (c->user = 0; c->user < 2; c->user++) {
                        struct pcase k = *c;
                        if (!m->uppers)
                            k.upper = B_W | B_U;
                        one(m, &k);
                    }
}

static void set_bit_of_cr4(u32 bit, u32 on)
{
    write_cr4(on ? read_cr4() | bit : read_cr4() & ~(ulong)bit);
}

static void test_mode(const struct paging *m)
{
    struct pcase c = { 0 };
    u32 has_smep = (u32)has_leaf7(7), has_smap = (u32)has_leaf7(20);

    cases = bad_cases = 0;
    for (c.wp = 0; c.wp < 2; c.wp++)
        for (c.smep = 0; c.smep <= has_smep; c.smep++)
            for (u32 s = 0; s <= has_smap * 2; s++) { /* off; on; on with AC */
                c.smap = s > 0;
                c.ac = s == 2;
                write_cr0(c.wp ? read_cr0() | CR0_WP : read_cr0() & ~(ulong)CR0_WP);
                set_bit_of_cr4(CR4_SMEP, c.smep);
                set_bit_of_cr4(CR4_SMAP, c.smap);
                all_rights(m, &c);
            }
    set_bit_of_cr4(CR4_SMEP, 0);
    set_bit_of_cr4(CR4_SMAP, 0);
    put_str("# ");
    put_str(m->name);
    put_str(": cases ");
    put_hex(cases);
    put_char('\n');
    check(m->name, cases ? bad_cases : 1, 0);
}

/* each reserved bit of each entry: P and RSVD, whatever the rights */
static void test_reserved(const struct paging *m)
{
    u32 wrong = 0;

    for (u32 level = 0; level <= m->uppers; level++)
        for (u32 bit = 0; bit < 64; bit++) {
            if (!(m->rsvd[level] >> bit & 1))
                continue;
            for (u32 i = 0; i <= m->uppers; i++)
                put(m, i, m->value[i] | (i == level ? 1ull << bit : 0));
            asm volatile("invlpg (%0)" : : "r"(m->va) : "memory");
            TRY("mov (%0), %%eax", : : "r"(m->va) : "eax", MEM);
            wrong += trap.vec != PF || trap.err != (PFE_P | PFE_RSVD);
        }
    check(m->rsvd_name, wrong, 0);
    for (u32 i = 0; i <= m->uppers; i++)
        put(m, i, m->value[i]);
}

static void target_init(void)
{
    bytes_copy((void *)(ulong)TARGET, "\xcd\x80", 2);
    for (u32 i = 0; i < 16; i++)
        bytes_set((void *)TABLE(i), 0, 4096);
}

#ifdef __x86_64__
#define TEST_VA (1ul << 39)
#define USER_VA (2ul << 39)

/* Protection keys: user pages only, data only; supervisor writes heed WD when WP is set */
static void test_keys(struct paging m)
{
    struct pcase c = { .upper = B_W | B_U };

    if (!(cpuid(7, 0).c >> 3 & 1)) {
        skip("protection keys", "CPUID does not offer them");
        return;
    }
    cases = bad_cases = 0;
    set_bit_of_cr4(CR4_PKE, 1);
    m.value[m.uppers] |= 5ull << 59;
    for (c.wp = 0; c.wp < 2; c.wp++)
        for (c.pkru = 0; c.pkru < 4; c.pkru++) {
            write_cr0(c.wp ? read_cr0() | CR0_WP : read_cr0() & ~(ulong)CR0_WP);
            asm volatile("wrpkru" : : "a"(c.pkru << 10), "c"(0), "d"(0));
            for (c.leaf = 0; c.leaf < 8; c.leaf++)
                for (c.access = READ; c.access <= FETCH; c.access++)
                    for (c.user = 0; c.user < 2; c.user++)
                        one(&m, &c);
        }
    asm volatile("wrpkru" : : "a"(0), "c"(0), "d"(0));
    set_bit_of_cr4(CR4_PKE, 0);
    check("protection keys", bad_cases, 0);
}

static void test_modes(void)
{
    u64 phys = ~0ull << (cpuid(0x80000008, 0).a & 0xff) & ((1ull << 52) - 1);
    volatile u64 *pml4 = (volatile u64 *)0x70000ul;
    struct paging m = {
        "4-level paging, 4 KiB pages", "4-level, 4 KiB: reserved bits", 3, 8, 1, TEST_VA,
        { (volatile u8 *)(pml4 + 1), TABLE(0), TABLE(1), TABLE(2) },
        { (ulong)TABLE(0) | 7, (ulong)TABLE(1) | 7, (ulong)TABLE(2) | 7, TARGET | 7 },
        { phys | PS, phys, phys, phys }, USER_VA };

    target_init();
    pml4[0] &= ~(u64)U;
    pml4[2] = (ulong)TABLE(3) | 7;
    *(volatile u64 *)TABLE(3) = (ulong)TABLE(4) | 7;
    *(volatile u64 *)TABLE(4) = PS | 7;
    write_cr3(read_cr3());
    test_mode(&m);
    test_keys(m);
    test_reserved(&m);
    m = (struct paging){
        "4-level paging, 2 MiB pages", "4-level, 2 MiB: reserved bits", 2, 8, 1, TEST_VA + 0x200000 + TARGET,
        { (volatile u8 *)(pml4 + 1), TABLE(0), TABLE(1) + 8 },
        { (ulong)TABLE(0) | 7, (ulong)TABLE(1) | 7, PS | 7 }, { phys, phys, phys | 0x1fe000 }, USER_VA };
    test_mode(&m);
    test_reserved(&m);
    if (cpuid(0x80000001, 0).d >> 26 & 1) {
        m = (struct paging){
            "4-level paging, 1 GiB pages", "4-level, 1 GiB: reserved bits", 1, 8, 1, TEST_VA + 0x40000000 + TARGET,
            { (volatile u8 *)(pml4 + 1), TABLE(0) + 8 },
            { (ulong)TABLE(0) | 7, PS | 7 }, { phys, phys | 0x3fffe000 }, USER_VA };
        test_mode(&m);
        test_reserved(&m);
    } else {
        skip("4-level paging, 1 GiB pages", "CPUID does not offer them");
    }
    pml4[0] |= U;
    pml4[1] = pml4[2] = 0;
    write_cr0(read_cr0() | CR0_WP);
    write_cr3(read_cr3());
}
#else
#define USER_VA 0x800000u

static void paging_off(void)
{
    write_cr0(read_cr0() & ~(CR0_PG | CR0_WP));
    write_cr4(read_cr4() & ~(ulong)(CR4_PAE | CR4_PSE));
    write_cr3(0);
}

static void test_2_level(void)
{
    volatile u32 *pd = (volatile u32 *)TABLE(0);
    u32 high = cpuid(0x80000008, 0).a & 0xff;
    struct paging m = {
        "32-bit paging, 4 KiB pages", 0, 1, 4, 0, 0x400000, { (volatile u8 *)(pd + 1), TABLE(1) },
        { (u32)TABLE(1) | 7, TARGET | 7 }, { 0, 0 }, USER_VA };

    target_init();
    write_cr4(read_cr4() | CR4_PSE);
    pd[0] = PS | P | W;
    pd[2] = PS | 7;
    write_cr3((u32)pd);
    write_cr0(read_cr0() | CR0_PG);
    test_mode(&m);
    m = (struct paging){
        "32-bit paging, 4 MiB pages", "32-bit, 4 MiB: reserved bits", 0, 4, 0, 0xc00000 + TARGET,
        { (volatile u8 *)(pd + 3) }, { PS | 7 },
        /* bits 13 to 20 are address bits 32 to 39, as far as MAXPHYADDR goes: SDM vol. 3, 4.3 */
        { 1u << 21 | (high < 40 ? 0x1fe000u & ~0u << (high - 32 + 13) : 0) }, USER_VA };
    test_mode(&m);
    test_reserved(&m);
    paging_off();
}

static void test_pae(void)
{
    volatile u64 *pdpt = (volatile u64 *)TABLE(0), *pd = (volatile u64 *)TABLE(1);
    u64 phys = ~0ull << (cpuid(0x80000008, 0).a & 0xff) & ~(1ull << 63);
    struct paging m = {
        "PAE paging, 4 KiB pages", "PAE, 4 KiB: reserved bits", 1, 8, 1, 0x400000,
        { (volatile u8 *)(pd + 2), TABLE(2) }, { (u32)TABLE(2) | 7, TARGET | 7 }, { phys, phys }, USER_VA };

    if (!(cpuid(0x80000001, 0).d >> 20 & 1)) {
        skip("PAE paging with XD", "CPUID does not offer it");
        return;
    }
    target_init();
    pdpt[0] = (u32)pd | P;
    pd[0] = PS | P | W;
    pd[4] = PS | 7;
    wrmsr(0xc0000080, rdmsr(0xc0000080) | 0x800);
    write_cr4(read_cr4() | CR4_PAE);
    write_cr3((u32)pdpt);
    write_cr0(read_cr0() | CR0_PG);
    test_mode(&m);
    test_reserved(&m);
    m = (struct paging){
        "PAE paging, 2 MiB pages", "PAE, 2 MiB: reserved bits", 0, 8, 1, 0xc00000 + TARGET,
        { (volatile u8 *)(pd + 6) }, { PS | 7 }, { phys | 0x1fe000 }, USER_VA };
    test_mode(&m);
    test_reserved(&m);
    paging_off();
    wrmsr(0xc0000080, rdmsr(0xc0000080) & ~0x800ull);
}

static void test_modes(void)
{
    test_2_level();
    test_pae();
}
#endif

void test_sys_perm(void);
void test_sys_perm(void)
{
    test_modes();
}
