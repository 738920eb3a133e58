/* loops.c - loops whose accesses keep their page from one round to the next, over all kinds of page ends */
#include "tests/target-x86/engines.h"

#ifdef __x86_64__

struct loop {
    const char *what, *code;
    size_t n;
    unsigned step;           /* bytes an access moves in a round */
};
#define LOOP(what, step, code) { what, code, sizeof code - 1, step }

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
};

static void run_joined(const struct loop *l, uint32_t from, uint32_t to, uint32_t object, uint64_t rounds, unsigned joined)
{
    struct engine_in in = { .code = l->code, .n = l->n, .mode = GUEST_LONG, .joined = joined };
    char what[120];

    in.regs[G_RSI] = GUEST_DATA + from;
    in.regs[G_RDI] = GUEST_DATA + to;
    in.regs[G_RBX] = GUEST_DATA + object;
    in.regs[G_RCX] = rounds;
    snprintf(what, sizeof what, "%s: %u rounds from %#x to %#x, object %#x", l->what, (unsigned)rounds, from, to, object);
    engines_agree(&in, what);
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

/* the destination overtakes the source, and the object lies in both's way */
Test(loops, over_itself)
{
    for (unsigned i = 0; i < ARRAY_SIZE(loops); i++)
        if (loops[i].step < 4096)
            run(&loops[i], 0x1f00, 0x1f08, 0x2010, 0x400 / loops[i].step);
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
