/*
 * sys-limit.c - segment limits and rights: every type, granularity, size of access near the limit
 *
 * FS takes each kind of segment with limits from 0 to 4 GiB; offsets lie around the limit, 64 KiB
 * and 4 GiB. want_fault() is SDM vol. 3, "Limit Checking" 5.3 and "Type Checking" 5.5.
 */
#include "lib/desc.h"

#define MEM "memory", "cc"
#define AT 0x300000u /* linear address of the access, whatever its offset */

enum { T_WRITABLE = 2, T_DOWN = 4, T_CODE = 8 };

static u32 cases, bad;
static u8 buffer[16] __attribute__((used));

static u32 access(u32 size, u32 write, u32 off)
{
    switch (size | write << 8) {
    case 1: TRY("movb %%fs:(%0), %%al", : : "r"(off) : "eax", MEM); break;
    case 2: TRY("movw %%fs:(%0), %%ax", : : "r"(off) : "eax", MEM); break;
    case 4: TRY("movl %%fs:(%0), %%eax", : : "r"(off) : "eax", MEM); break;
    case 8: TRY("fildll %%fs:(%0)\n\tfstp %%st(0)", : : "r"(off) : MEM); break;
    case 10: TRY("fldt %%fs:(%0)\n\tfstp %%st(0)", : : "r"(off) : MEM); break;
    case 16: TRY("movups %%fs:(%0), %%xmm0", : : "r"(off) : MEM); break;
    case 0x101: TRY("movb %%al, %%fs:(%0)", : : "r"(off) : MEM); break;
    case 0x102: TRY("movw %%ax, %%fs:(%0)", : : "r"(off) : MEM); break;
    case 0x104: TRY("lock incl %%fs:(%0)", : : "r"(off) : MEM); break;
    case 0x108: TRY("movlps %%xmm0, %%fs:(%0)", : : "r"(off) : MEM); break;
    case 0x10a: TRY("fldz\n\tfstpt %%fs:(%0)", : : "r"(off) : MEM); break;
    case 0x110: TRY("movups %%xmm0, %%fs:(%0)", : : "r"(off) : MEM); break;
    }
    return trap.vec == -1 ? 0 : trap.vec == GP && !trap.err ? 1 : 2;
}

static u32 want_fault(u32 attr, u32 limit, u32 off, u32 size, u32 write)
{
    u64 last = (u64)off + size - 1, low = 0, high;

    if (attr & D_G)
        limit = limit << 12 | 0xfff;
    high = limit;
    if (!(attr & T_CODE) && (attr & T_DOWN)) {
        low = (u64)limit + 1;
        high = attr & D_B ? 0xffffffff : 0xffff;
    }
    if (write && ((attr & T_CODE) || !(attr & T_WRITABLE)))
        return 1;
    if (!write && (attr & T_CODE) && !(attr & 2)) /* execute-only */
        return 1;
    return off < low || last > high;
}

static void one(u32 attr, u32 limit, u32 off, u32 size, u32 write)
{
    u32 want = want_fault(attr, limit, off, size, write), got;
    u64 last = (u64)off + size - 1;

    if (last > 0xffffffff && !want_fault(attr, limit, off, 1, write)) /* the SDM leaves open what happens at 4 GiB */
        return;
    gdt_set(SEL_SCRATCH, AT - off, limit, attr);
    asm volatile("mov %0, %%fs" : : "r"(SEL_SCRATCH));
    got = access(size, write, off);
    cases++;
    if (got == want || ++bad > 8)
        return;
    put_str("# attributes ");
    put_hex(attr);
    put_str(" limit ");
    put_hex(limit);
    put_str(" offset ");
    put_hex(off);
    put_str(write ? " write " : " read ");
    put_hex(size);
    put_str(": got ");
    put_hex(got);
    put_char('\n');
}

static void test_matrix(u32 attr)
{
    static const u32 limits[] = { 0, 1, 7, 0xfff, 0x1000, 0xfffe, 0xffff, 0xffffe, 0xfffff };
    static const u32 sizes[] = { 1, 2, 4, 8, 10, 16 };

    for (u32 l = 0; l < sizeof(limits) / sizeof(limits[0]); l++) {
        u32 edge = attr & D_G ? limits[l] << 12 | 0xfff : limits[l];
        u32 edges[] = { edge, 0xffff, 0xffffffff, 0 };

        for (u32 e = 0; e < 4; e++)
            for (u32 d = 0; d < 20; d += d < 3 ? 1 : 5)
                for (u32 s = 0; s < 6; s++)
                    for (u32 write = 0; write < 2; write++) {
                        one(attr, limits[l], edges[e] + 1 - d, sizes[s], write);
                        one(attr, limits[l], edges[e] + 2 + d, sizes[s], write);
                    }
    }
}

/* Loading: type, DPL and presence */
static void test_loads(void)
{
    static const struct { u32 attr; int vec; } load[] = {
        { D_DATA, -1 }, { D_DATA & ~2, -1 }, { D_CODE, -1 }, { D_CODE & ~2, GP }, { D_DATA & ~D_P, NP },
        { D_CODE & ~D_P, NP }, { D_TSS, GP }, { D_LDT, GP }, { D_DATA | 4, -1 }, { 0x8c, GP }, { 0, GP },
    };
    u32 wrong = 0;

    for (u32 i = 0; i < sizeof(load) / sizeof(load[0]); i++)
        for (u32 rpl = 0; rpl < 4; rpl++) {
            int vec = load[i].vec;

            if (rpl && (vec == -1 || vec == NP)) /* DPL 0 is below the RPL; conforming code only may */
                vec = GP;
            gdt_set(SEL_SCRATCH, 0, 0xfffff, load[i].attr);
            TRY("mov %0, %%fs", : : "r"(SEL_SCRATCH | rpl) : MEM);
            wrong += trap.vec != vec || (vec != -1 && trap.err != SEL_SCRATCH);
        }
    check("loading FS: type, RPL, presence", wrong, 0);
    wrong = 0;
    for (u32 i = 0; i < sizeof(load) / sizeof(load[0]); i++) {
        int vec = load[i].attr == (D_DATA & ~D_P) ? SS : (load[i].attr & 0x1a) == 0x12 && load[i].vec == -1 ? -1 : GP;

        gdt_set(SEL_SCRATCH, 0, 0xfffff, load[i].attr);
        TRY("mov %0, %%ss\n\tmov %1, %%ss", : : "r"(SEL_SCRATCH), "r"(SEL_DATA) : MEM);
        if (load[i].attr == (D_DATA | 4)) /* expand-down from 4 GiB: nothing may be pushed, so no interrupt either */
            vec = -1;
        wrong += trap.vec != vec || (vec != -1 && trap.err != SEL_SCRATCH);
    }
    check("loading SS: writable data, present", wrong, 0);
    gdt_set(SEL_SCRATCH, 0, 0xfffff, D_CODE | 4 | D_DPL3);
    TRY("mov %0, %%fs", : : "r"(SEL_SCRATCH | 3) : MEM);
    check_trap("loading FS: conforming code", -1, 0);
    TRY("mov %0, %%fs\n\tmov %%fs:0, %%eax", : : "r"(0) : "eax", MEM);
    check_trap("null FS: load is fine, access is not", GP, 0);
}

void test_sys_limit(void);
void test_sys_limit(void)
{
    static const u32 attrs[] = { D_DATA & ~D_G & ~D_B, D_DATA & ~D_G, D_DATA, D_DATA & ~2, D_DATA | 4, (D_DATA | 4) & ~D_B,
                                 (D_DATA | 4) & ~D_G, (D_DATA | 4) & ~(D_G | D_B), D_CODE, D_CODE & ~D_G, D_CODE | 4 };

    write_cr0((read_cr0() & ~(ulong)(CR0_EM | CR0_TS)) | CR0_MP | CR0_NE);
    write_cr4(read_cr4() | CR4_OSFXSR);
    asm volatile("fninit");
    cases = bad = 0;
    for (u32 i = 0; i < sizeof(attrs) / sizeof(attrs[0]); i++)
        test_matrix(attrs[i]);
    put_str("# segment limits: cases ");
    put_hex(cases);
    put_char('\n');
    check("segment limits and rights", bad, 0);
    test_loads();
    asm volatile("fninit\n\tmov %0, %%fs" : : "r"(SEL_DATA));
}
