/*
 * returns.c - a return goes where a call has left its address (tcg/returns.c), unless that has changed meanwhile
 *
 * The code that calls is mapped at CALLER, on frame A or B, which say in EAX who they are and HLT. The
 * function at FUNCTION does something in between, or leaves that to the test by HLT.
 */
#ifdef __x86_64__
#include <pthread.h>
#include <unistd.h>

#include "tests/target-x86/engines.h"
#include "tests/target-x86/sys-rig.h"

enum { CALLER = 0x40000, FRAME_A = 0x50000, FRAME_B = 0x51000, FUNCTION = 0x52000, ENTRY_CALL = 0x20, ENTRY_INDIRECT = 0x40 };
#define EXTERN_CODE(name) extern const uint8_t name[], name##_end[]
#define CODE(name, text) \
    EXTERN_CODE(name); \
    asm(".pushsection .rodata\n" #name ":\n" text "\n" #name "_end:\n.popsection")

/* entered at ENTRY_CALL with the function in RDX, or at ENTRY_INDIRECT */
CODE(caller, ".org " "caller + 0x20\n call . + 0x12000 - 0x20\n mov $0xa, %eax\n hlt\n"
             ".org caller + 0x40\n call *%rdx\n mov $0xa, %eax\n hlt");
CODE(plain, "ret");
CODE(stops, "hlt\n ret");
CODE(remaps, "mov %rdi, (%rsi)\n invlpg (%rbx)\n ret");
CODE(remaps_all, "mov %rdi, (%rsi)\n mov %cr3, %rax\n mov %rax, %cr3\n ret");
CODE(changes_space, "mov %rdi, %cr3\n ret");
CODE(patches, "movb %dil, (%rsi)\n ret");
CODE(skips, "addq $5, (%rsp)\n ret");

static void put(struct sys_rig *r, uint32_t at, const uint8_t *code, const uint8_t *end)
{
    memcpy(r->ram + at, code, (size_t)(end - code));
    tcg_invalidate_phys(r->tcg, at >> 12, at & 4095, (unsigned)(end - code));
}

static void put_frames(struct sys_rig *r)
{
    for (unsigned i = 0; i < 2; i++) {
        uint32_t at = i ? FRAME_B : FRAME_A;

        put(r, at, caller, caller_end);
        r->ram[at + ENTRY_CALL + 6] = r->ram[at + ENTRY_INDIRECT + 3] = (uint8_t)(0xa + i);
    }
}

static struct sys_rig *rig(const uint8_t *function, const uint8_t *end)
{
    struct sys_rig *r = sr_long_on(TCG_BACKEND_HOST);

    put_frames(r);
    sr_map(r, CALLER, FRAME_A, 7);
    put(r, FUNCTION, function, end);
    for (unsigned v = 0; v < 32; v++)
        r->ram[SR_HANDLER + v] = 0xf4;           /* hlt */
    return r;
}

/* until the next HLT */
static void go(struct sys_rig *r)
{
    r->intr = 0;
    alarm(60);
    tcg_run(r->tc);
    alarm(0);
    cr_assert_eq(r->triple, 0);
}

/* from the call on; what is in EAX at the next HLT */
static uint32_t call_from(struct sys_rig *r, uint64_t pc)
{
    GPR(r->cpu, R_AX) = 0;
    GPR(r->cpu, R_DX) = FUNCTION;
    GPR(r->cpu, R_SP) = SR_STACK0;
    x86_set_pc(r->cpu, pc);
    go(r);
    return (uint32_t)GPR(r->cpu, R_AX);
}

/* the address that a RET at SR_STACK0 - 8 is expected to find, 0: none */
static uint64_t kept(const struct sys_rig *r)
{
    const struct return_tables *t = r->tc->return_tables;
    unsigned slot = (SR_STACK0 - 8) >> 3 & (RETURN_SLOTS - 1);

    return t->table[t->now].code[slot] == r->tcg->no_return ? 0 : t->table[t->now].pc[slot];
}

static const uint32_t entries[] = { CALLER + ENTRY_CALL, CALLER + ENTRY_INDIRECT };
static uint64_t behind(unsigned entry) { return entries[entry] + (entry ? 2 : 5); }

Test(returns, are_kept_and_chained)
{
    for (unsigned i = 0; i < 2; i++) {
        struct sys_rig *r = rig(plain, plain_end);
        uint64_t lookups;

        for (unsigned n = 0; n < 3; n++)
            cr_assert_eq(call_from(r, entries[i]), 0xa);
        cr_assert_eq(kept(r), behind(i));
        lookups = tcg_get_stats(r->tcg)->lookups;
        cr_assert_eq(call_from(r, entries[i]), 0xa);
        cr_assert_leq(tcg_get_stats(r->tcg)->lookups, lookups + 1, "one is the beginning");
        sr_free(r);
    }
}

static void not_into_another(const uint8_t *code, const uint8_t *end)
{
    for (unsigned i = 0; i < 2; i++) {
        struct sys_rig *r = rig(plain, plain_end);
        uint64_t pt = SR_TABLES + 0x3000;        /* sr_map(): of the first 2 MiB */

        for (unsigned n = 0; n < 3; n++)
            cr_assert_eq(call_from(r, entries[i]), 0xa);
        put(r, FUNCTION, code, end);
        cr_assert_eq(ldl64(r->ram + pt + CALLER / 4096 * 8) & ~0xfffull, FRAME_A);
        GPR(r->cpu, R_SI) = pt + CALLER / 4096 * 8;
        GPR(r->cpu, R_BX) = CALLER;
        for (unsigned n = 0; n < 4; n++) {
            uint32_t frame = n & 1 ? FRAME_A : FRAME_B;

            GPR(r->cpu, R_DI) = frame | 7;
            cr_assert_eq(call_from(r, entries[i]), n & 1 ? 0xa : 0xb, "entry %u, %u", i, n);
        }
        sr_free(r);
    }
}

Test(returns, not_into_a_page_that_is_another) { not_into_another(remaps, remaps_end); }
Test(returns, not_after_all_pages_were_forgotten) { not_into_another(remaps_all, remaps_all_end); }

/* Two address spaces, with PCIDs 1 and 2, and back: each has its own. */
Test(returns, each_address_space_has_its_own)
{
    struct sys_rig *r = rig(plain, plain_end);
    enum { OTHER = 0x70000 };                    /* tables that differ in the caller's page */
    uint64_t pt = SR_TABLES + 0x3000;

    for (unsigned level = 0; level < 3; level++)
        stl64(r->ram + OTHER + level * 0x1000, (OTHER + (level + 1) * 0x1000) | 7);
    memcpy(r->ram + OTHER + 0x3000, r->ram + pt, 0x1000);
    stl64(r->ram + OTHER + 0x3000 + CALLER / 4096 * 8, FRAME_B | 7);
    r->cpu->cr4 |= CR4_PCIDE;
    for (unsigned n = 0; n < 3; n++)
        cr_assert_eq(call_from(r, entries[0]), 0xa);
    put(r, FUNCTION, changes_space, changes_space_end);
    for (unsigned n = 0; n < 8; n++) {
        bool flush = n >= 4;

        GPR(r->cpu, R_DI) = (n & 1 ? SR_TABLES | 1 : OTHER | 2) | (flush ? 0 : 1ull << 63);
        cr_assert_eq(call_from(r, entries[0]), n & 1 ? 0xa : 0xb, "%u", n);
    }
    sr_free(r);
}

/* What the kernel has left a program cannot use: its page is the kernel's, and its block was made for CPL 0. */
Test(returns, not_in_another_mode)
{
    struct sys_rig *r = rig(plain, plain_end);
    enum { USER_RET = 0x60000 };

    sr_map(r, CALLER, FRAME_A, 3);
    tcg_mmu_flush(r->tc, true);
    for (unsigned n = 0; n < 3; n++)
        cr_assert_eq(call_from(r, entries[0]), 0xa);
    cr_assert_eq(kept(r), behind(0));
    put(r, USER_RET, plain, plain_end);
    sr_cpl(r, 3);
    GPR(r->cpu, R_AX) = 0;
    GPR(r->cpu, R_SP) = SR_STACK0 - 8;
    stl64(r->ram + SR_STACK0 - 8, behind(0));
    stl64(r->ram + SR_TSS + 4, SR_STACK3);
    x86_set_pc(r->cpu, USER_RET);
    go(r);
    cr_assert_eq(GPR(r->cpu, R_AX), 0, "CPL %u ran it", r->cpu->cpl);
    cr_assert_eq(r->tc->pc, SR_HANDLER + 14 + 1, "%#llx", (unsigned long long)r->tc->pc);
    cr_assert_eq(r->cpu->cr2, behind(0));
    sr_free(r);
}

Test(returns, to_code_that_has_changed)
{
    for (unsigned i = 0; i < 2; i++) {
        struct sys_rig *r = rig(plain, plain_end);

        for (unsigned n = 0; n < 3; n++)
            cr_assert_eq(call_from(r, entries[i]), 0xa);
        put(r, FUNCTION, patches, patches_end);
        for (unsigned n = 0; n < 6; n++) {
            GPR(r->cpu, R_SI) = behind(i) + 1;
            GPR(r->cpu, R_DI) = 0x30 + n;
            cr_assert_eq(call_from(r, entries[i]), 0x30 + n, "entry %u", i);
        }
        sr_free(r);
    }
}

/* The call is overwritten while its function runs: the landing's block is gone. */
Test(returns, to_a_call_that_has_changed)
{
    struct sys_rig *r = rig(patches, patches_end);
    uint8_t opcode = r->ram[FRAME_A + ENTRY_INDIRECT];

    for (unsigned n = 0; n < 6; n++) {
        GPR(r->cpu, R_SI) = CALLER + ENTRY_INDIRECT;
        GPR(r->cpu, R_DI) = 0x90;
        cr_assert_eq(call_from(r, entries[1]), 0xa);
        cr_assert_eq(r->ram[FRAME_A + ENTRY_INDIRECT], 0x90);
        GPR(r->cpu, R_DI) = opcode;
        GPR(r->cpu, R_SI) = CALLER + ENTRY_INDIRECT;
        cr_assert_eq(call_from(r, entries[0]), 0xa);
        cr_assert_eq(r->ram[FRAME_A + ENTRY_INDIRECT], opcode);
    }
    sr_free(r);
}

Test(returns, to_an_address_that_was_rewritten)
{
    struct sys_rig *r = rig(plain, plain_end);

    for (unsigned n = 0; n < 3; n++)
        cr_assert_eq(call_from(r, entries[0]), 0xa);
    put(r, FUNCTION, skips, skips_end);
    for (unsigned n = 0; n < 3; n++) {
        cr_assert_eq(call_from(r, entries[0]), 0);
        cr_assert_eq(r->tc->pc, behind(0) + 6);
    }
    sr_free(r);
}

/* All code goes while a function runs, and other code takes its place. */
Test(returns, after_the_cache_was_emptied)
{
    struct sys_rig *r = rig(stops, stops_end);

    for (unsigned n = 0; n < 6; n++) {
        call_from(r, entries[n & 1]);
        cr_assert_eq(r->tc->pc, FUNCTION + 1);
        cr_assert_eq(kept(r), behind(n & 1));
        if (n > 2) {
            tcg_flush_all(r->tcg, TCG_FLUSH_RESET);
            cr_assert_eq(kept(r), 0);
        }
        go(r);
        cr_assert_eq(GPR(r->cpu, R_AX), 0xa);
    }
    sr_free(r);
}

/* A call to no address at all is undone: #GP at the call, with the stack pointer from before it. */
Test(returns, never_from_a_call_that_faults)
{
    for (unsigned backend = 0; backend < 2; backend++) {
        struct sys_rig *r = sr_long_on(backend ? TCG_BACKEND_HOST : TCG_BACKEND_INTERP);

        put(r, FRAME_A, caller, caller_end);
        memset(r->ram + SR_HANDLER, 0xf4, 32);
        GPR(r->cpu, R_DX) = 0x800000000000;
        GPR(r->cpu, R_SP) = SR_STACK0;
        x86_set_pc(r->cpu, FRAME_A + ENTRY_INDIRECT);
        go(r);
        cr_assert_eq(r->tc->pc, SR_HANDLER + EXC_GP + 1);
        cr_assert_eq(sr_stack64(r, 0), 0);
        cr_assert_eq(sr_stack64(r, 1), FRAME_A + ENTRY_INDIRECT);
        cr_assert_eq(sr_stack64(r, 4), SR_STACK0);
        sr_free(r);
    }
}

static void *stop_soon(void *arg)
{
    struct sys_rig *r = arg;

    usleep(10000);
    __atomic_store_n(&r->intr, X86_INTR_EXIT, __ATOMIC_SEQ_CST);
    tcg_kick(r->tc);
    return NULL;
}

/* Returns alone make a loop: whoever calls once finds its own address there for ever. */
CODE(for_ever, "mov (%rsp), %rbx\n ret\n .org for_ever + 0x20\n push %rbx\n ret");

Test(returns, poll)
{
    struct sys_rig *r = rig(for_ever, for_ever_end);
    static const uint8_t again[] = { 0x53, 0xc3 };       /* push rbx; ret */
    pthread_t thread;

    memcpy(r->ram + FRAME_A + ENTRY_CALL + 5, again, 2);
    cr_assert_eq(pthread_create(&thread, NULL, stop_soon, r), 0);
    call_from(r, entries[0]);
    pthread_join(thread, NULL);
    cr_assert_eq(kept(r), behind(0));
    sr_free(r);
}

/* ---- the back end as the interpreter ------------------------------------------------------------- */

static uint64_t agree(const char *what, const uint8_t *code, const uint8_t *end, uint32_t mode, uint64_t cx)
{
    struct engine_in in = { .code = (const char *)code, .n = (size_t)(end - code), .mode = mode };

    in.regs[G_RSP] = GUEST_DATA + 0x5ff0;
    in.regs[G_RCX] = cx;
    in.regs[G_RSI] = 3;
    return engines_agree(&in, what)->regs[G_RAX];
}

/* RCX calls deep, RSI times */
CODE(recursion, "0: mov %rcx, %rdx\n call 1f\n sub $1, %rsi\n jnz 0b\n jmp 3f\n"
                "1: add $1, %rax\n sub $1, %rdx\n jz 2f\n call 1b\n add $0x100, %rax\n2: ret\n3: nop");

Test(returns, from_deep)
{
    static const unsigned depths[] = { 1, 2, 100, RETURN_SLOTS - 1, RETURN_SLOTS, RETURN_SLOTS + 1, 3 * RETURN_SLOTS };

    for (unsigned i = 0; i < ARRAY_SIZE(depths); i++)
        cr_assert_eq(agree("recursion", recursion, recursion_end, GUEST_LONG, depths[i]),
                     3 * (depths[i] + (depths[i] - 1) * 0x100));
}

/* Half of the calls never return, and the stack is put back below them. */
CODE(unbalanced, "mov %rsp, %r8\n"
                 "0: call 1f\n add $1, %rax\n jmp 3f\n"
                 "1: call 2f\n add $0x100, %rax\n ret\n"
                 "2: add $0x10000, %rax\n test $1, %cl\n jz 4f\n ret\n"
                 "4: mov %r8, %rsp\n"
                 "3: sub $1, %rcx\n jnz 0b\n nop");

Test(returns, that_never_happen)
{
    cr_assert_eq(agree("unbalanced", unbalanced, unbalanced_end, GUEST_LONG, 1000), 1000 * 0x10000 + 500 * 0x101);
}

/* 32-bit code: RET n, a return of 16 bits is another story */
CODE(narrow, ".code32\n 0: push %ecx\n push %ecx\n call 1f\n add $1, %eax\n sub $1, %ecx\n jnz 0b\n jmp 2f\n"
             "1: add 4(%esp), %eax\n ret $8\n2: nop\n.code64");

Test(returns, that_pop_arguments)
{
    cr_assert_eq(agree("narrow", narrow, narrow_end, GUEST_PROT, 100), 100 + 5050);
}

/*
 * A stack that is not aligned. The inner call's slot would begin in the last byte of the outer one's, whose return
 * address has a 0 there like the inner one in its first.
 */
CODE(odd, "0: call 1f\n sub $1, %rcx\n jnz 0b\n jmp 3f\n"
          "1: sub $4096 - 15, %rsp\n jmp 4f\n .org odd + 0xfb\n 4: call 2f\n add $4096 - 15, %rsp\n ret\n"
          "2: add $1, %rax\n ret\n3: nop");

Test(returns, from_odd_places)
{
    cr_assert_eq(agree("odd", odd, odd_end, GUEST_LONG, 200), 200);
}

#endif
