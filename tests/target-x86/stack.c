/* stack.c - the page that the stack was last found in: over page ends, into everything that is no plain
 * memory, and forgotten when maps change; chains of pushes that end in the middle */
#include "tests/target-x86/engines.h"
#include "tcg/mmu-int.h"

#ifdef __x86_64__

struct snippet {
    const char *what, *code;
    size_t n;
};
#define SNIPPET(what, code) { what, code, sizeof code - 1 }

static const struct snippet snippets[] = {
    /* push rax, rbx, r9; mov [rsp + 16], rcx; push r10; sub rsp, 40; mov [rsp + 8], rdx; lea rsi, [rsp + 48];
     * mov rdi, rsp; add rsp, 40; pop r10, rbp, rcx, r8 */
    SNIPPET("a function's frame",
            "\x50\x53\x41\x51\x48\x89\x4c\x24\x10\x41\x52\x48\x83\xec\x28\x48\x89\x54\x24\x08\x48\x8d\x74"
            "\x24\x30\x48\x89\xe7\x48\x83\xc4\x28\x41\x5a\x5d\x59\x41\x58"),
    /* 1: push rax; push rbx; pop rcx; add rax, rsp; sub rsp, 5; dec rdx; jnz 1b */
    SNIPPET("a loop that moves down", "\x50\x53\x59\x48\x01\xe0\x48\x83\xec\x05\x48\xff\xca\x75\xf1"),
    /* call 1f; jmp 2f; 1: dec edi; jz 3f; push rdi; mov rax, [rsp + 8]; add rbx, rax; call 1b; pop rdi; 3: ret; 2: */
    SNIPPET("recursion", "\xe8\x02\x00\x00\x00\xeb\x14\xff\xcf\x74\x0f\x57\x48\x8b\x44\x24\x08\x48\x01\xc3\xe8\xee\xff"
            "\xff\xff\x5f\xc3\x90"),
    /* push rbp; mov rbp, rsp; sub rsp, 64; mov [rbp - 8], rax; mov [rbp - 56], rbx; movups xmm0, [rsp + 8];
     * movups [rsp + 24], xmm0; mov rcx, [rbp - 16]; leave; push rsp; pop rdx; xchg [rsp], rax */
    SNIPPET("a frame pointer", "\x55\x48\x89\xe5\x48\x83\xec\x40\x48\x89\x45\xf8\x48\x89\x5d\xc8\x0f\x10\x44\x24\x08\x0f\x11"
            "\x44\x24\x18\x48\x8b\x4d\xf0\xc9\x54\x5a\x48\x87\x04\x24"),
    /* mov [rsp + 2048], rcx; push rax; push rbx; call 1f; 1: pop rdx; mov rcx, [rsp + 8]; mov rsi, [rsp] */
    SNIPPET("from the upper page", "\x48\x89\x8c\x24\x00\x08\x00\x00\x50\x53\xe8\x00\x00\x00\x00\x5a\x48\x8b\x4c\x24\x08\x48\x8b\x34\x24"),
    /* 1: lock xadd [rsp - 8], rax; push word [rsp]; pop cx; pushfq; pop r11; sub rsp, 127; dec edx; jnz 1b */
    SNIPPET("odd sizes", "\xf0\x48\x0f\xc1\x44\x24\xf8\x66\xff\x34\x24\x66\x59\x9c\x41\x5b\x48\x83\xec\x7f\xff\xca\x75\xe8"),
};

static void run(const struct snippet *s, uint64_t sp, unsigned unseen)
{
    struct engine_in in = { .code = s->code, .n = s->n, .mode = GUEST_LONG, .unseen = unseen };
    char what[100];

    for (unsigned i = 0; i < 16; i++)
        in.regs[i] = 0x0123456789abcdefull * (i + 3);
    in.regs[G_RSP] = sp;
    in.regs[G_RDX] = in.regs[G_RDI] = 60;
    snprintf(what, sizeof what, "%s, stack at %#llx, unseen %#x", s->what, (unsigned long long)sp, unseen);
    engines_agree(&in, what);
}

Test(stack, over_page_ends)
{
    for (unsigned i = 0; i < ARRAY_SIZE(snippets); i++)
        for (int off = -96; off <= 96; off += off > -20 && off < 20 ? 1 : 4)
            run(&snippets[i], GUEST_DATA + 0x3000 + off, 0);
}

/* one page of two is known, or none */
Test(stack, over_page_ends_for_the_first_time)
{
    for (unsigned i = 0; i < ARRAY_SIZE(snippets); i++)
        for (int off = -64; off <= 64; off += 4)
            for (unsigned unseen = 1; unseen <= 3; unseen++)
                run(&snippets[i], GUEST_DATA + 0x3000 + off, unseen << 2);
}

/* no memory, the code itself, and addresses that are none: stopped in the middle of a chain */
Test(stack, elsewhere)
{
    static const uint64_t at[] = {
        GUEST_CODE + 0x20, GUEST_CODE + 0x40, GUEST_CODE + 0x1010, 16 * 4096 + 0x10, 16 * 4096 + GUEST_BASE + 0x18, 0x20, 0,
        0x0000800000000000, 0x0000800000000010, 0x8000000000000000, 0x8000000000000018, 0x8000000000000fff,
        0xffff7ffffffffff8, 0xffff800000000010, 0xfffffffffffffff0, 0x7fffffffffffffff,
    };

    for (unsigned i = 0; i < ARRAY_SIZE(snippets); i++)
        for (unsigned j = 0; j < ARRAY_SIZE(at); j++)
            run(&snippets[i], at[j], 0);
}

/* ---- what is known of it is forgotten in time -------------------------------------- */

static struct guest *with_stack(void)
{
    struct guest *g = guest_new_on(TCG_BACKEND_HOST, true);
    struct tb_key k;

    g->joined = 1;
    guest_key(g, &k, GUEST_LONG, 0);
    cr_assert(tcg_store(&g->cpu->tcg, GUEST_DATA, 1, 0));      /* the map of writes has the page */
    g->cpu->tcg.stack_page = g->cpu->tcg.table_page = GUEST_DATA;
    return g;
}

#define FORGETS(name, what)                                                         \
    Test(stack, forgotten_##name)                                                   \
    {                                                                               \
        struct guest *g = with_stack();                                             \
        struct tcg_cpu *tc = &g->cpu->tcg;                                          \
        what;                                                                       \
        cr_assert_eq(tc->stack_page, STACK_NOWHERE);                                \
        cr_assert_eq(tc->table_page, STACK_NOWHERE);                                \
        guest_free(g);                                                              \
    }

FORGETS(when_a_page_is_flushed, tcg_mmu_flush_page(tc, GUEST_DATA))
FORGETS(when_another_address_space_is_flushed, tcg_mmu_flush_tag_page(tc, 0, GUEST_DATA))
FORGETS(when_all_are_flushed, tcg_mmu_flush(tc, true))
FORGETS(when_all_but_global_ones_are, tcg_mmu_flush(tc, false))
FORGETS(in_another_address_space, tcg_mmu_switch(tc, 7, false))
FORGETS(when_the_same_is_flushed, tcg_mmu_switch(tc, 0, true))
FORGETS(in_another_view, tcg_mmu_set_view(tc, tc->mmu->view == VIEW_USER ? VIEW_KERNEL : VIEW_USER))
FORGETS(when_a_page_becomes_code, mmu_protect_page(tc, 3))
FORGETS(when_all_do, mmu_protect_all(tc))
FORGETS(when_writes_are_noted, tcg_mmu_watch(tc, 0, 16, (const uint8_t[16]){ 0 }))

#endif
