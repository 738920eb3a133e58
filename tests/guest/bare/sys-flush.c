/*
 * sys-flush.c - which translations must be gone: every way of invalidating, against every kind of page
 *
 * A case maps a page on frame A, uses it under one PCID, puts frame B (or nothing) into its entry, invalidates
 * in one way and uses it again. must_go() says from the SDM, vol. 3, 4.10.4.1, whether A may still be
 * seen; where it may, A and B are both right. Large pages are used in two places and invalidated by a
 * third, so that no fragment of them stays.
 */
#include "lib/desc.h"

#define MEM "memory", "cc"
#define TABLE(n) ((volatile ulong *)(ulong)(0x100000 + (n) * 0x1000))
#define FRAME_A 0x800000ul               /* 4 MiB each, so that large pages fit */
#define FRAME_B 0xc00000ul
#define SPOT 0x5000ul                    /* the second place in a large page */
#define OTHER 5u                         /* the other PCID */

enum { P = 1, W = 2, U = 4, PS = 0x80, G = 0x100 };
enum access { READ, WRITE, CALL, ACCESSES };
enum op {
    INVLPG, INVLPG_INSIDE, INVLPG_ELSEWHERE, LOAD_CR3, TOGGLE_PGE,
#ifdef __x86_64__
    INVLPG_FROM_OTHER, LOAD_CR3_KEEP, LOAD_OTHER_AND_BACK, LOAD_OTHER_KEEP_BACK_FLUSH, TOGGLE_PCIDE, SMEP_ON,
    INVPCID_ADDRESS, INVPCID_ADDRESS_FROM_OTHER, INVPCID_ADDRESS_OF_OTHER, INVPCID_CONTEXT, INVPCID_CONTEXT_OF_OTHER,
    INVPCID_ALL, INVPCID_ALL_BUT_GLOBAL, NXE_AND_CR3,
#else
    TOGGLE_PSE, TOGGLE_PG, SWITCH_TASK, SMEP_ON,
#endif
    OPS,
};

struct fcase { u32 size, global, pcide, pcid, access, op, removed; };

static u32 cases, wrong;

#ifdef __x86_64__
#define SIZES 3                          /* 4 KiB, 2 MiB, 1 GiB */
#define VA ((1ul << 39) + FRAME_A)
#define PML4 ((volatile ulong *)0x70000ul)

static ulong cr3_of(u32 pcid) { return 0x70000 | pcid; }

static void map(const struct fcase *c, ulong frame, ulong bits)
{
    ulong pde = FRAME_A >> 21;

    PML4[1] = (ulong)TABLE(0) | P | W;
    TABLE(0)[0] = c->size == 2 && frame == FRAME_A ? PS | bits : (ulong)TABLE(1) | P | W;
    TABLE(1)[pde] = c->size ? frame | PS | bits : (ulong)TABLE(2) | P | W;
    TABLE(2)[0] = frame | bits;
}

static void load_cr3(ulong v) { asm volatile("mov %0, %%cr3" : : "r"(v) : "memory"); }
static void invpcid(ulong type, u32 pcid, ulong va)
{
    struct { u64 pcid, va; } d = { pcid, va };

    asm volatile("invpcid %0, %1" : : "m"(d), "r"(type) : "memory");
}
#else
#define SIZES 2                          /* 4 KiB, 4 MiB */
#define VA (0x40000000u + FRAME_A)

static void map(const struct fcase *c, ulong frame, ulong bits)
{
    TABLE(0)[VA >> 22] = TABLE(3)[VA >> 22] = c->size ? frame | PS | bits : (ulong)TABLE(1) | P | W;
    TABLE(1)[0] = frame | bits;
}
#endif

static void toggle_cr4(ulong bit)
{
    write_cr4(read_cr4() ^ bit);
    write_cr4(read_cr4() ^ bit);
}

static void invlpg(ulong va) { asm volatile("invlpg (%0)" : : "r"(va) : "memory"); }

/* ---- frames: at each spot MOV $id, %EAX; RET, and a word behind it --------------------------------- */

static void put_frame(ulong at, u32 id)
{
    *(volatile u8 *)at = 0xb8;
    *(volatile u32 *)(at + 1) = id;
    *(volatile u8 *)(at + 5) = 0xc3;
    *(volatile u32 *)(at + 64) = id;
    *(volatile u32 *)(at + 128) = 0;
}

/* 0xa or 0xb: the frame that was reached; 0: page fault */
static u32 use(ulong va, u32 access, ulong off)
{
    u32 v = 0;

    if (access == READ) {
        TRY("mov 64(%1), %0", : "=&a"(v) : "r"(va) : MEM);
    } else if (access == CALL) {
        TRY("call *%1", : "=&a"(v) : "r"(va) : MEM);
    } else {
        *(volatile u32 *)(FRAME_A + off + 128) = *(volatile u32 *)(FRAME_B + off + 128) = 0;
        TRY("movl $1, 128(%0)", : : "r"(va) : MEM);
        v = *(volatile u32 *)(FRAME_A + off + 128) ? 0xa : *(volatile u32 *)(FRAME_B + off + 128) ? 0xb : 0;
    }
    return trap.vec == PF ? 0 : v;
}

/* ---- the rules -------------------------------------------------------------------------------------- */

static u32 must_go(const struct fcase *c)
{
    switch (c->op) {
    case INVLPG: case INVLPG_INSIDE: case TOGGLE_PGE:
        return 1;
    case INVLPG_ELSEWHERE:
        return 0;
    case LOAD_CR3:
        return !c->global;
#ifdef __x86_64__
    case INVLPG_FROM_OTHER:
        return c->global;
    case LOAD_OTHER_AND_BACK:            /* without PCIDs this is two flushes */
        return !c->global && !c->pcide;
    case LOAD_OTHER_KEEP_BACK_FLUSH: case SMEP_ON: case INVPCID_ADDRESS: case INVPCID_ADDRESS_FROM_OTHER:
    case INVPCID_CONTEXT: case INVPCID_ALL_BUT_GLOBAL: case NXE_AND_CR3:
        return !c->global;
    case TOGGLE_PCIDE: case INVPCID_ALL:
        return 1;
    default:
        return 0;
#else
    case TOGGLE_PSE: case TOGGLE_PG:
        return 1;
    default:                             /* SWITCH_TASK, SMEP_ON */
        return !c->global;
#endif
    }
}

static u32 possible(const struct fcase *c)
{
    if (c->op == INVLPG_INSIDE)
        return c->size > 0;
#ifdef __x86_64__
    if (c->op >= INVPCID_ADDRESS && c->op <= INVPCID_ALL_BUT_GLOBAL && !has_leaf7(10))
        return 0;
    if (c->op == INVPCID_ADDRESS_FROM_OTHER || c->op == INVPCID_ADDRESS_OF_OTHER || c->op == INVPCID_CONTEXT_OF_OTHER)
        return c->pcide;                 /* only then are there others */
    if (c->op == INVLPG_FROM_OTHER || c->op == LOAD_CR3_KEEP || c->op == LOAD_OTHER_KEEP_BACK_FLUSH || c->op == TOGGLE_PCIDE)
        return c->pcide;
    if (c->op == SMEP_ON)
        return (u32)has_leaf7(7);
    return c->size < 2 || (cpuid(0x80000001, 0).d >> 26 & 1);
#else
    return c->op != SMEP_ON || has_leaf7(7);
#endif
}

#ifdef __x86_64__
static void invalidate(const struct fcase *c)
{
    const ulong keep = 1ul << 63;
    u32 other = c->pcid ^ OTHER;

    switch (c->op) {
    case INVLPG: invlpg(VA); invlpg(VA + SPOT); break;
    case INVLPG_INSIDE: invlpg(VA + 0x1f000); break;
    case INVLPG_ELSEWHERE: invlpg(VA + (1ul << 30)); break;
    case LOAD_CR3: load_cr3(cr3_of(c->pcid)); break;
    case TOGGLE_PGE: toggle_cr4(CR4_PGE); break;
    case INVLPG_FROM_OTHER: load_cr3(cr3_of(other) | keep); invlpg(VA); invlpg(VA + SPOT); load_cr3(cr3_of(c->pcid) | keep); break;
    case LOAD_CR3_KEEP: load_cr3(cr3_of(c->pcid) | keep); break;
    case LOAD_OTHER_AND_BACK: load_cr3(cr3_of(c->pcide ? other : 0)); load_cr3(cr3_of(c->pcid) | (c->pcide ? keep : 0)); break;
    case LOAD_OTHER_KEEP_BACK_FLUSH: load_cr3(cr3_of(other) | keep); load_cr3(cr3_of(c->pcid)); break;
    case TOGGLE_PCIDE: load_cr3(cr3_of(0) | keep); toggle_cr4(CR4_PCIDE); load_cr3(cr3_of(c->pcid) | keep); break;
    case SMEP_ON: write_cr4(read_cr4() | CR4_SMEP); break;
    case INVPCID_ADDRESS: invpcid(0, c->pcid, VA); invpcid(0, c->pcid, VA + SPOT); break;
    case INVPCID_ADDRESS_FROM_OTHER: load_cr3(cr3_of(other) | keep); invpcid(0, c->pcid, VA); invpcid(0, c->pcid, VA + SPOT);
        load_cr3(cr3_of(c->pcid) | keep); break;
    case INVPCID_ADDRESS_OF_OTHER: invpcid(0, other, VA); break;
    case INVPCID_CONTEXT: invpcid(1, c->pcid, 0); break;
    case INVPCID_CONTEXT_OF_OTHER: invpcid(1, other, 0); break;
    case INVPCID_ALL: invpcid(2, 0, 0); break;
    case INVPCID_ALL_BUT_GLOBAL: invpcid(3, 0, 0); break;
    case NXE_AND_CR3: wrmsr(0xc0000080, rdmsr(0xc0000080) ^ 0x800); wrmsr(0xc0000080, rdmsr(0xc0000080) ^ 0x800);
        load_cr3(cr3_of(c->pcid)); break;
    }
}
#else
CODE(flush_task, "int $0x22");
#define FLUSH_STACK 0x7000u

/* a task with another CR3 (an equal one would invalidate nothing): what is not global goes */
static void switch_task(void)
{
    bytes_set(&tss2, 0, 104);
    tss2.eip = (u32)flush_task;
    tss2.eflags = 2;
    tss2.esp = FLUSH_STACK;
    tss2.cs = SEL_CODE;
    tss2.es = tss2.ss = tss2.ds = tss2.fs = tss2.gs = SEL_DATA;
    tss2.cr3 = read_cr3() ^ (ulong)TABLE(0) ^ (ulong)TABLE(3);
    tss2.iomap = sizeof(tss2);
    gdt_set(SEL_TSS2, (ulong)&tss2, sizeof(tss2) - 1, D_TSS);
    TRY("mov %%ebp, tss2+0x3c\n\tljmp %0, $0", : : "i"(SEL_TSS2) : "eax", "ebx", "ecx", "edx", "esi", "edi", MEM);
    gdt_set(SEL_TSS, (ulong)&tss, sizeof(tss) - 1, D_TSS);
    asm volatile("ltr %w0\n\tlldt %w1\n\tclts" : : "r"(SEL_TSS), "r"(SEL_LDT));
}

static void invalidate(const struct fcase *c)
{
    switch (c->op) {
    case INVLPG: invlpg(VA); invlpg(VA + SPOT); break;
    case INVLPG_INSIDE: invlpg(VA + 0x1f000); break;
    case INVLPG_ELSEWHERE: invlpg(VA + 0x10000000); break;
    case LOAD_CR3: write_cr3(read_cr3()); break;
    case TOGGLE_PGE: toggle_cr4(CR4_PGE); break;
    case TOGGLE_PSE: toggle_cr4(CR4_PSE); break;
    case TOGGLE_PG: write_cr0(read_cr0() & ~CR0_PG); write_cr0(read_cr0() | CR0_PG); break;
    case SWITCH_TASK: switch_task(); break;
    case SMEP_ON: write_cr4(read_cr4() | CR4_SMEP); break;
    }
}
#endif

/* ---- one case --------------------------------------------------------------------------------------- */

static void complain(const struct fcase *c, const char *what, u32 got, u32 want)
{
    if (++wrong > 8)
        return;
    put_str("# size, global, PCIDE, PCID, access, operation, removed:");
    for (u32 i = 0; i < sizeof(*c) / 4; i++) {
        put_char(' ');
        put_hex(((const u32 *)c)[i]);
    }
    put_str(what);
    put_hex(got);
    put_str(" want ");
    put_hex(want);
    put_char('\n');
}

static void enter(const struct fcase *c)
{
#ifdef __x86_64__
    load_cr3(cr3_of(0));
    write_cr4(c->pcide ? read_cr4() | CR4_PCIDE : read_cr4() & ~(ulong)CR4_PCIDE);
    load_cr3(cr3_of(c->pcid));
#endif
    write_cr4(read_cr4() & ~(ulong)CR4_SMEP);
    toggle_cr4(CR4_PGE);
}

static void run_case(const struct fcase *c)
{
    ulong bits = P | W | (c->global ? G : 0), spots = c->size ? 2 : 1;
    u32 want = c->removed ? 0 : 0xb, got;

    if (!possible(c))
        return;
    cases++;
    map(c, FRAME_A, bits);
    enter(c);
    for (u32 i = 0; i < spots; i++) {
        got = use(VA + i * SPOT, c->access, i * SPOT);
        if (got != 0xa)
            complain(c, ": first use got ", got, 0xa);
    }
    map(c, FRAME_B, c->removed ? 0 : bits);
    invalidate(c);
    for (u32 i = 0; i < spots; i++) {
        got = use(VA + i * SPOT, c->access, i * SPOT);
        if (got != want && (must_go(c) || got != 0xa))
            complain(c, i ? ": second spot got " : ": got ", got, want);
    }
}

static void all_cases(void)
{
    struct fcase c;
    u32 pcids = 1;

#ifdef __x86_64__
    pcids = cpuid(1, 0).c >> 17 & 1 ? 3 : 1; /* PCIDE off; on with 0; on with OTHER */
#endif
    for (u32 mode = 0; mode < pcids; mode++)
        for (c.op = 0; c.op < OPS; c.op++)
            for (c.size = 0; c.size < SIZES; c.size++)
                for (c.global = 0; c.global < 2; c.global++)
                    for (c.access = 0; c.access < ACCESSES; c.access++)
                        for (c.removed = 0; c.removed < 2; c.removed++) {
                            c.pcide = mode > 0;
                            c.pcid = mode > 1 ? OTHER : 0;
                            run_case(&c);
                        }
}

static int paging_on(void)
{
    for (u32 i = 0; i < 4; i++)
        bytes_set((void *)TABLE(i), 0, 4096);
#ifdef __x86_64__
    PML4[0] &= ~(ulong)U;                /* SMEP */
    return 1;
#else
    TABLE(0)[0] = (ulong)TABLE(2) | P | W; /* this program without large pages: PSE is toggled */
    for (u32 i = 0; i < 1024; i++)
        TABLE(2)[i] = i << 12 | P | W;
    for (u32 i = 1; i < 4; i++)
        TABLE(0)[i] = i << 22 | PS | P | W;
    bytes_copy((void *)TABLE(3), (void *)TABLE(0), 4096);
    write_cr4(read_cr4() | CR4_PSE | CR4_PGE);
    write_cr3((ulong)TABLE(0));
    return paging_accepted();
#endif
}

static void paging_off(void)
{
    write_cr4(read_cr4() & ~(ulong)(CR4_SMEP));
#ifdef __x86_64__
    load_cr3(cr3_of(0));
    write_cr4(read_cr4() & ~(ulong)CR4_PCIDE);
    PML4[1] = 0;
    PML4[0] |= U;
    toggle_cr4(CR4_PGE);
#else
    write_cr0(read_cr0() & ~CR0_PG);
    write_cr4(read_cr4() & ~(ulong)(CR4_PSE | CR4_PGE));
    write_cr3(0);
#endif
}

void test_sys_flush(void);
void test_sys_flush(void)
{
    for (ulong off = 0; off <= SPOT; off += SPOT) {
        put_frame(FRAME_A + off, 0xa);
        put_frame(FRAME_B + off, 0xb);
    }
    if (!paging_on())
        return;
    all_cases();
    paging_off();
    put_str("# translations: cases ");
    put_hex(cases);
    put_char('\n');
    check("translations that must be gone are", cases ? wrong : 1, 0);
}
