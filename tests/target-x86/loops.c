/* loops.c - loops whose accesses keep their page from one round to the next, over all kinds of page ends */
#include "tests/target-x86/engines.h"

#ifdef __x86_64__

struct loop {
    const char *what, *code;
    size_t n;
    unsigned step;           /* bytes an access moves in a round */
    bool wide;               /* wants AVX-512 */
};
#define LOOP(what, step, code) { what, code, sizeof code - 1, step, false }
#define WIDE(what, step, code) { what, code, sizeof code - 1, step, true }

/* RSI: from, RDI: to, RCX: rounds, RBX: an object */
static const struct loop loops[] = {
    LOOP("bytes", 1, "\x8a\x06\x88\x07\x48\xff\xc6\x48\xff\xc7\x48\xff\xc9\x75\xf1"),
    LOOP("words of 8", 8, "\x48\x8b\x06\x48\x89\x07\x48\x83\xc6\x08\x48\x83\xc7\x08\x48\xff\xc9\x75\xed"),
    LOOP("two words, one leads", 16,
         "\x48\x8b\x06\x48\x8b\x56\x08\x48\x89\x17\x48\x89\x47\x08\x48\x83\xc6\x10\x48\x83\xc7\x10"
         "\x48\xff\xc9\x75\xe5"),
    LOOP("a load leads a store", 8,       /* mov rax, [rdi]; add rax, rcx; mov [rdi + 4], eax */
         "\x48\x8b\x07\x48\x01\xc8\x89\x47\x04\x48\x83\xc7\x08\x48\xff\xc9\x75\xee"),
    LOOP("behind the pointer", 8,         /* mov rax, [rsi - 24]; mov rdx, [rsi - 16]; mov [rdi], rax */
         "\x48\x8b\x46\xe8\x48\x8b\x56\xf0\x48\x89\x07\x48\x83\xc6\x08\x48\x83\xc7\x08\x48\xff\xc9\x75\xe8"),
    LOOP("indexed", 4, "\x8b\x04\xae\x01\x04\xaf\x48\xff\xc5\x48\xff\xc9\x75\xf2"),   /* [rsi + rbp * 4] */
    LOOP("sixteen bytes", 16,             /* movups xmm0, [rsi]; movups [rdi], xmm0 */
         "\x0f\x10\x06\x0f\x11\x07\x48\x83\xc6\x10\x48\x83\xc7\x10\x48\xff\xc9\x75\xed"),
    LOOP("a page a round", 4096,
         "\x8b\x06\x89\x07\x48\x81\xc6\x00\x10\x00\x00\x48\x81\xc7\x00\x10\x00\x00\x48\xff\xc9\x75\xe9"),
    LOOP("more than a page a round", 4100,
         "\x8b\x06\x89\x07\x48\x81\xc6\x04\x10\x00\x00\x48\x81\xc7\x04\x10\x00\x00\x48\xff\xc9\x75\xe9"),
    LOOP("downwards", 8, "\x48\x8b\x06\x48\x89\x07\x48\x83\xee\x08\x48\x83\xef\x08\x48\xff\xc9\x75\xed"),
    LOOP("an object beside", 4,           /* add [rbx], eax; mov edx, [rbx + 8]; mov eax, [rsi]; mov [rdi], edx */
         "\x01\x03\x8b\x53\x08\x8b\x06\x89\x17\x48\x83\xc6\x04\x48\x83\xc7\x04\x48\xff\xc9\x75\xea"),
    LOOP("left in the middle", 1,         /* cmp al, cl: je out */
         "\x8a\x06\x38\xc8\x74\x0b\x88\x07\x48\xff\xc6\x48\xff\xc7\xe2\xf0\x90"),
    LOOP("an index that counts up to 0", 8,
         "\x48\xf7\xd9\x48\x8b\x04\xce\x48\x89\x04\xcf\x48\xff\xc1\x75\xf3"),
    LOOP("steps of 1, 4 and 8", 8,        /* movzx eax, byte [rsi]; mov [rdi], eax; add [rbx], rax */
         "\x0f\xb6\x06\x89\x07\x48\x01\x03\x48\xff\xc6\x48\x83\xc7\x04\x48\x83\xc3\x08\x48\xff\xc9\x75\xe8"),
    LOOP("aligned vectors", 16,           /* movdqa xmm0, [rsi]; paddb xmm0, [rdi]; movaps [rdi], xmm0; movdqa xmm1, [rsi + 16] */
         "\x66\x0f\x6f\x06\x66\x0f\xfc\x07\x0f\x29\x07\x66\x0f\x6f\x4e\x10\x48\x83\xc6\x10\x48\x83\xc7\x10\x48\xff\xc9"
         "\x75\xe3"),
    LOOP("more pages than registers", 8,  /* r9: from, r10: to, r11: object; mov eax, [r9]; add eax, [r10 + 4]; xor eax, [rbx + 16];
                                           * mov [r11], eax; add [r10], eax */
         "\x49\x89\xf1\x49\x89\xfa\x49\x89\xdb\x41\x8b\x01\x41\x03\x42\x04\x33\x43\x10\x41\x89\x03\x41\x01\x02"
         "\x49\x83\xc1\x04\x49\x83\xc2\x04\x49\x83\xc3\x08\x48\xff\xc9\x75\xdf"),
    LOOP("one that is elsewhere", 4,      /* movzx eax, byte [rsi]; shl eax, 6; mov edx, [rbx + rax]; mov [rdi], edx */
         "\x0f\xb6\x06\xc1\xe0\x06\x8b\x14\x03\x89\x17\x48\xff\xc6\x48\x83\xc7\x04\x48\xff\xc9\x75\xe9"),
    LOOP("what wants many registers", 16, /* mov rdx, [rsi]; mov rax, [rdi]; xchg rcx, r15; mul rdx; shl rdx, cl; shrd rax, rdx, cl;
                                           * xchg rcx, r15; cmp rdx, rax; mov [rdi + 8], rax; add [rbx], rdx */
         "\x48\x8b\x16\x48\x8b\x07\x4c\x87\xf9\x48\xf7\xe2\x48\xd3\xe2\x48\x0f\xad\xd0\x4c\x87\xf9\x48\x39\xc2\x48\x89\x47\x08"
         "\x48\x01\x13\x48\x83\xc6\x08\x48\x83\xc7\x10\x48\xff\xc9\x75\xd3"),
    WIDE("groups of 32 bytes", 0x60,      /* vmovdqu64 ymm17, [rsi]; vpxorq ymm17, ymm17, [rdi]; vmovdqu64 ymm18, [rsi + 32];
                                           * vpternlogd ymm18, ymm17, [rdi + 32], 0deh; vmovdqu64 [rdi + 64], ymm18 */
         "\x62\xe1\xfe\x28\x6f\x0e\x62\xe1\xf5\x20\xef\x0f\x62\xe1\xfe\x28\x6f\x56\x01"
         "\x62\xe3\x75\x20\x25\x57\x01\xde\x62\xe1\xfe\x28\x7f\x57\x02"
         "\x48\x83\xc6\x60\x48\x83\xc7\x60\x48\xff\xc9\x75\xd1"),
    WIDE("masks, left by their test", 4,  /* vpcmpneqb k1, ymm16, [rsi + 64]; vptestnmb k0, ymm16, [rsi + 68]; kmovd eax, k1;
                                           * mov [rdi + 4], eax; ... dec rcx; je out; kortestd k0, k1; jnz */
         "\x62\xf3\x7d\x20\x3f\x4e\x02\x04\x62\xf2\x7e\x20\x26\x86\x44\0\0\0\x48\x83\xc6\x04\xc5\xfb\x93\xc1"
         "\x89\x47\x04\x48\x83\xc7\x04\x48\xff\xc9\x74\x07\xc4\xe1\xf9\x98\xc1\x75\xd3\x90"),
    WIDE("one for all, and selected", 64, /* vpaddd zmm16, zmm17, [rsi + 64]; vmovdqu32 zmm17{k1}, [rsi];
                                           * vpaddd zmm18, zmm16, [rsi + 28]{1to16}; vmovdqu32 [rdi - 64], zmm18 */
         "\x62\xe1\x75\x40\xfe\x46\x01\x62\xe1\x7e\x49\x6f\x0e\x62\xe1\x7d\x50\xfe\x56\x07\x62\xe1\x7e\x48\x7f\x57\xff"
         "\x48\x83\xc6\x40\x48\x83\xc7\x40\x48\xff\xc9\x75\xd8"),
};

static bool runs_here(const struct loop *l)
{
    return !l->wide || (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl")
                        && __builtin_cpu_supports("avx512bw"));
}

/* Returns where it ended. */
static uint64_t run_at(const struct loop *l, uint64_t from, uint64_t to, uint64_t object, uint64_t rounds, unsigned joined,
                       bool poked)
{
    struct engine_in in = { .code = l->code, .n = l->n, .mode = l->wide ? ENGINE_VECTORS : GUEST_LONG, .joined = joined };
    char what[120];

    if (!runs_here(l))
        return 0;
    in.regs[G_RSI] = from;
    in.regs[G_RDI] = to;
    in.regs[G_RBX] = object;
    in.regs[G_RCX] = rounds;
    in.regs[15] = 13;
    in.poked = poked;
    snprintf(what, sizeof what, "%s: %u rounds from %#llx to %#llx, object %#llx", l->what, (unsigned)rounds,
             (unsigned long long)from, (unsigned long long)to, (unsigned long long)object);
    return engines_agree(&in, what)->ip;
}

static void run_joined(const struct loop *l, uint32_t from, uint32_t to, uint32_t object, uint64_t rounds, unsigned joined)
{
    run_at(l, GUEST_DATA + from, GUEST_DATA + to, GUEST_DATA + object, rounds, joined, false);
}

static void run(const struct loop *l, uint32_t from, uint32_t to, uint32_t object, uint64_t rounds)
{
    run_joined(l, from, to, object, rounds, 1);
}

static void over_page_ends(unsigned joined)
{
    static const uint32_t at[][2] = {
        { 0x1000, 0x3000 }, { 0x1ff0, 0x3f80 }, { 0x1ffc, 0x3ffd }, { 0x1fff, 0x3fff }, { 0x1801, 0x3803 },
    };

    for (unsigned i = 0; i < ARRAY_SIZE(loops); i++)
        for (unsigned j = 0; j < ARRAY_SIZE(at); j++)
            run_joined(&loops[i], at[j][0], at[j][1], 0x800 + 0x1ff * j, loops[i].step >= 4096 ? 2 : 0x1400 / loops[i].step, joined);
}

Test(loops, which_run_here)
{
    for (unsigned i = 0; i < ARRAY_SIZE(loops); i++)
        if (!runs_here(&loops[i]))
            cr_skip_test("the host has no AVX-512 F, VL and BW");
}

Test(loops, over_page_ends) { over_page_ends(1); }
Test(loops, over_ends_of_pairs) { over_page_ends(2); }
Test(loops, over_ends_of_fours) { over_page_ends(4); }

/* to where there is no memory, and back from there: reads are all ones, writes are lost */
Test(loops, out_of_memory)
{
    for (unsigned i = 0; i < ARRAY_SIZE(loops); i++)
        if (loops[i].step < 4096) {
            run(&loops[i], 0x1000, 16 * 4096 - 0x4000 - 0x100, 0x1200, 0x200 / loops[i].step);
            run(&loops[i], 16 * 4096 - 0x4000 - 0x100, 0x2000, 0x1200, 0x200 / loops[i].step);
        }
}

/* out of the lower half of the addresses: the fault shows the flags that the round before has left */
Test(loops, to_where_no_addresses_are)
{
    unsigned run = 0, faults = 0;

    for (unsigned i = 0; i < ARRAY_SIZE(loops); i++)
        for (unsigned before = 0; before < 0x400 && runs_here(&loops[i]); before += 0x100 - 3, run += 2) {
            uint64_t end = GUEST_CODE + loops[i].n, rounds = 0x1000 / loops[i].step + 2, at = 0x00007ffffffff600 + before;

            faults += run_at(&loops[i], at, GUEST_DATA, GUEST_DATA + 0x3000, rounds, 1, false) < end;
            faults += run_at(&loops[i], GUEST_DATA, at, GUEST_DATA + 0x3000, rounds, 1, false) < end;
        }
    cr_assert_geq(faults, run * 2 / 3);      /* some go downwards, one is left early */
}

/* another thread wants the vCPU's attention again and again */
Test(loops, asked_to_come_out)
{
    for (unsigned i = 0; i < ARRAY_SIZE(loops); i++)
        if (loops[i].step < 4096)
            run_at(&loops[i], GUEST_DATA + 0x1ff0, GUEST_DATA + 0x3f80, GUEST_DATA + 0x800, 0x1400 / loops[i].step, 1, true);
}

/* the destination overtakes the source, and the object lies in both's way */
Test(loops, over_itself)
{
    for (unsigned i = 0; i < ARRAY_SIZE(loops); i++)
        if (loops[i].step < 4096)
            run(&loops[i], 0x1f00, 0x1f08, 0x2010, 0x400 / loops[i].step);
}

/* RSI: bytes, RBX, RBP: tables, RDI: to, RCX: rounds */
static const struct loop tables[] = {
    LOOP("a checksum", 1,                 /* movzx eax, [rsi]; inc rsi; shr edx, 8; xor eax, edx; movzx eax, al; xor edx, [rbx + rax * 4] */
         "\x0f\xb6\x06\x48\xff\xc6\xc1\xea\x08\x31\xd0\x0f\xb6\xc0\x33\x14\x83\x48\xff\xc9\x75\xea"),
    LOOP("a translation", 1,              /* movzx eax, [rsi]; mov al, [rbx + rax]; mov [rdi], al; inc rsi; inc rdi */
         "\x0f\xb6\x06\x8a\x04\x03\x88\x07\x48\xff\xc6\x48\xff\xc7\x48\xff\xc9\x75\xed"),
    LOOP("two tables", 1,                 /* movzx eax, [rsi]; mov edx, [rbx + rax * 8]; xor edx, [rbp + rax * 4]; add r8d, edx; inc rsi */
         "\x0f\xb6\x06\x8b\x14\xc3\x33\x54\x85\x00\x41\x01\xd0\x48\xff\xc6\x48\xff\xc9\x75\xeb"),
    LOOP("pairs", 1,                      /* movzx eax, [rsi]; mov rdx, [rbx + rax * 8]; add r8, [rbx + rax * 8 + 8]; sub r8, rdx; inc rsi */
         "\x0f\xb6\x06\x48\x8b\x14\xc3\x4c\x03\x44\xc3\x08\x49\x29\xd0\x48\xff\xc6\x48\xff\xc9\x75\xe9"),
    LOOP("a table that is written", 1,    /* movzx eax, [rsi]; movsx edx, word [rbx + rax * 2]; and eax, 127; add [rbx + rax * 2], dx; inc rsi */
         "\x0f\xb6\x06\x0f\xbf\x14\x43\x83\xe0\x7f\x66\x01\x14\x43\x48\xff\xc6\x48\xff\xc9\x75\xea"),
};

static void run_table(const struct loop *l, uint64_t table, uint64_t other, uint32_t to)
{
    struct engine_in in = { .code = l->code, .n = l->n, .mode = GUEST_LONG };
    char what[120];

    in.regs[G_RSI] = GUEST_DATA + 0x100;
    in.regs[G_RDI] = GUEST_DATA + to;
    in.regs[G_RBX] = table;
    in.regs[G_RBP] = other;
    in.regs[G_RCX] = 700;
    in.regs[G_RDX] = 0x1234567;
    snprintf(what, sizeof what, "%s at %#llx, other at %#llx, to %#x", l->what, (unsigned long long)table,
             (unsigned long long)other, to);
    engines_agree(&in, what);
}

/* in one page, in two, in the code, where nothing is, and where no addresses are */
Test(loops, tables)
{
    static const uint64_t at[] = {
        GUEST_DATA + 0x1000, GUEST_DATA + 0x1c00, GUEST_DATA + 0x1e00, GUEST_DATA + 0x1e03, GUEST_DATA + 0x1f7f,
        GUEST_DATA + 0x1ffd, GUEST_CODE, GUEST_BASE + GUEST_PAGES * 4096 - 0x180, GUEST_BASE - 0x101, 0, 0x00007ffffffffe00,
        0x8000000000000000, 0x8000000000000ff0, 0xffff7fffffffff00, 0xfffffffffffffe03, 0xffffffffffffff81,
    };

    for (unsigned i = 0; i < ARRAY_SIZE(tables); i++)
        for (unsigned j = 0; j < ARRAY_SIZE(at); j++) {
            run_table(&tables[i], at[j], GUEST_DATA + 0x2f00, 0x4000);
            run_table(&tables[i], at[j], at[(j + 1) % ARRAY_SIZE(at)], 0x1d80);
        }
}

/* into the code: what is stored there is what was there, but the block does not know */
Test(loops, into_the_own_page)
{
    struct engine_in in = { .code = loops[0].code, .n = loops[0].n, .mode = GUEST_LONG };

    in.regs[G_RSI] = in.regs[G_RDI] = GUEST_CODE;
    in.regs[G_RCX] = 64;
    engines_agree(&in, "its own code");
}

#endif
