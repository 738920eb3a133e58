/* owed.c - flags that one block makes and a fault in the next one shows: the back end as the interpreter */
#include <unistd.h>

#include "tests/target-x86/guest.h"
#include "tcg/tcg-int.h"

#ifdef __x86_64__

/*
 * From 0: the operation under test; jmp to 0x10. There: the spoiler; div si; what is behind the fault; add di, 1;
 * dec si; jmp to 0. SI counts down: after 40 rounds, all chained, the division faults, and
 * that ends it, because there is no IDT.
 */
enum { ROUNDS = 40 };

struct code_case {
    const char *op, *spoiler, *behind;
};

static uint8_t *put(uint8_t *p, const char *code)
{
    memcpy(p, code, strlen(code));
    return p + strlen(code);
}

static void put_code(struct guest *g, const struct code_case *c)
{
    uint8_t *p;

    memset(g->ram, 0x90, 0x1000);
    p = put(g->ram, c->op);
    *p = 0xeb;
    p[1] = (uint8_t)(g->ram + 0x10 - (p + 2));
    p = put(g->ram + 0x10, c->spoiler);
    p = put(p, "\xf7\xf6");
    p = put(p, c->behind);
    p = put(p, "\x83\xc7\x01\x4e\xeb");
    *p = (uint8_t)(g->ram - (p + 1));
}

struct result {
    uint64_t regs[8];
    uint64_t ip, flags;
};

static struct result run(enum tcg_backend backend, const struct code_case *c, uint16_t bx, uint16_t cx)
{
    struct guest *g = guest_new_on(backend, true);
    struct tcg_cpu *tc = &g->cpu->tcg;
    struct result r;
    struct tb_key k;

    put_code(g, c);
    guest_key(g, &k, GUEST_REAL, 0);
    tcg_mode_changed(tc, GUEST_REAL);
    tc->va_mask = 0xffffffff;
    tc->regs[G_RBX] = bx;
    tc->regs[G_RCX] = cx;
    tc->regs[G_RSI] = ROUNDS;
    tc->run = 1;
    alarm(60);
    tcg_run(tc);
    alarm(0);
    cr_assert(g->faulted);
    memcpy(r.regs, tc->regs, sizeof(r.regs));
    r.ip = tc->pc;
    r.flags = x86_get_eflags(g->cpu);
    guest_free(g);
    return r;
}

static void same(const struct code_case *c, uint16_t bx, uint16_t cx)
{
    struct result a = run(TCG_BACKEND_INTERP, c, bx, cx), b = run(TCG_BACKEND_HOST, c, bx, cx);

    cr_assert_eq(a.regs[G_RSI], 0, "the division did not fault when it should");
    cr_assert_eq(a.ip, 0x10 + strlen(c->spoiler));
    cr_assert_eq(a.ip, b.ip);
    cr_assert_eq(a.flags, b.flags, "%02x..: %#x %#x: flags %#x, not %#x", (uint8_t)c->op[0], bx, cx,
                 (unsigned)b.flags, (unsigned)a.flags);
    cr_assert_arr_eq(a.regs, b.regs, sizeof(a.regs));
}

static const uint16_t values[][2] = {
    { 0, 0 }, { 0, 1 }, { 1, 0 }, { 0x8000, 1 }, { 0x7fff, 0xffff }, { 0x80, 0x7f }, { 0x10, 1 }, { 0xffff, 1 },
};

static void all_values_behind(const char *op, const char *spoiler, const char *behind)
{
    struct code_case c = { op, spoiler, behind };

    for (unsigned i = 0; i < ARRAY_SIZE(values); i++)
        same(&c, values[i][0], values[i][1]);
}

static void all_values(const char *op, const char *spoiler) { all_values_behind(op, spoiler, ""); }

Test(owed, compare) { all_values("\x39\xcb", ""); }                      /* cmp bx, cx */
Test(owed, compare_bytes) { all_values("\x38\xcb", ""); }                /* cmp bl, cl */
Test(owed, compare_with_small) { all_values("\x83\xfb\x05", ""); }       /* cmp bx, 5 */
Test(owed, compare_with_large) { all_values("\x66\x81\xfb\x78\x56\x34\x12", ""); }
Test(owed, test) { all_values("\x85\xcb", ""); }
Test(owed, logic) { all_values("\x83\xe3\x7f", ""); }                    /* and bx, 7fh */
Test(owed, sum) { all_values("\x01\xcb", ""); }
Test(owed, difference) { all_values("\x29\xcb", ""); }
Test(owed, negation) { all_values("\xf7\xdb", ""); }
Test(owed, increment_keeps_carry) { all_values("\x39\xcb\x43", ""); }    /* cmp bx, cx; inc bx */
Test(owed, what_it_is_made_from_changes) { all_values("\x39\xcb", "\x89\xf3"); }   /* mov bx, si */
Test(owed, what_it_is_made_from_changes_behind) { all_values_behind("\x39\xcb", "", "\x89\xf3"); }
Test(owed, what_it_is_made_from_changes_between) { all_values_behind("\x39\xcb", "\x8b\x2c\x89\xf3", ""); }  /* mov bp, [si] */

/* One operand from memory: seen by a fault in the next block, and in the same one */
static void kept(const char *op)
{
    all_values(op, "");
    all_values("", op);
    all_values_behind(op, "\x3b\x1e\x0a\x08", op);             /* between them: cmp bx, [80ah] */
}

Test(owed, compare_with_memory) { kept("\x3b\x1e\x08\x08"); }          /* cmp bx, [808h] */
Test(owed, compare_memory) { kept("\x39\x1e\x08\x08"); }
Test(owed, compare_memory_with_constant) { kept("\x83\x3e\x08\x08\x05"); }
Test(owed, compare_memory_byte) { kept("\x80\x3e\x09\x08\x90"); }
Test(owed, test_memory) { kept("\x85\x0e\x08\x08"); }
Test(owed, sum_with_memory) { kept("\x03\x1e\x08\x08"); }             /* add bx, [808h] */
Test(owed, difference_with_memory) { kept("\x2b\x1e\x08\x08"); }
Test(owed, logic_with_memory) { kept("\x23\x1e\x08\x08"); }
Test(owed, sum_in_memory) { kept("\x01\x1e\x08\x08"); }               /* add [808h], bx */
Test(owed, difference_in_memory) { kept("\x83\x2e\x08\x08\x03"); }
Test(owed, byte_in_memory) { kept("\x00\x1e\x08\x08"); }
Test(owed, logic_in_memory) { kept("\x31\x0e\x08\x08"); }
/* test word [808h], -1; and then dec bp, which keeps C */
Test(owed, what_is_kept_asked_for_next) { all_values_behind("\xf7\x06\x08\x08\xff\xff", "\x4d", ""); }

/* F is asked for behind what has overwritten @op's operands, by a fault in the same block and in the next one */
static void overwritten(const char *op)
{
    static const char *const over[] = {
        "\x89\xf3", "\x89\xf1", "\x89\xf3\x89\xf1",          /* mov bx, si; mov cx, si; both */
        "\x8b\x1c", "\x8b\x1c\x8b\x0c",                      /* mov bx, [si]; and mov cx, [si] */
        "\x8d\x5f\x07",                                      /* lea bx, [bx+7] */
        "\x89\xf3\x8b\x2c\x89\xf1",                         /* with mov bp, [si] between */
    };
    char code[24];

    for (unsigned i = 0; i < ARRAY_SIZE(over); i++) {
        snprintf(code, sizeof(code), "%s%s", op, over[i]);
        all_values("", code);
        all_values_behind("", code, op);
        if (strlen(code) <= 0x10 - 2)
            all_values(code, "");
    }
}

Test(owed, compared_overwritten) { overwritten("\x39\xcb"); }
Test(owed, compared_bytes_overwritten) { overwritten("\x38\xcf"); }         /* cmp bh, cl */
Test(owed, compared_with_constant_overwritten) { overwritten("\x83\xfb\x05"); }
Test(owed, compared_with_memory_overwritten) { overwritten("\x3b\x1e\x08\x08"); }
Test(owed, tested_overwritten) { overwritten("\x85\xcb"); }
Test(owed, tested_with_itself_overwritten) { overwritten("\x85\xdb"); }
Test(owed, logic_overwritten) { overwritten("\x31\xcb"); }
Test(owed, sum_overwritten) { overwritten("\x01\xcb"); }
Test(owed, difference_overwritten) { overwritten("\x29\xcb"); }
Test(owed, sum_with_constant_overwritten) { overwritten("\x83\xc3\x07"); }
Test(owed, negation_overwritten) { overwritten("\xf7\xdb"); }
Test(owed, increment_overwritten) { overwritten("\x39\xcb\x43"); }
Test(owed, decrement_behind_memory_overwritten) { overwritten("\x3b\x1e\x08\x08\x8b\x2c\x4b"); }   /* cmp bx, [808h]; mov bp, [si]; dec bx */
Test(owed, decrement_last) { all_values("\x39\xcb\x8b\x2c\x4b", ""); }  /* C is in memory by then */

/* By 1 O is defined, too. */
Test(owed, shifts)
{
    overwritten("\xd1\xe3");                    /* shl bx, 1 */
    overwritten("\xd1\xeb");
    overwritten("\xd1\xfb");
    overwritten("\xd0\xe7");                    /* shl bh, 1 */
    overwritten("\xd0\xeb");
    overwritten("\x66\xd1\xeb");
}

/* adcx ebx, ecx; adox ebx, ecx: with what one of them makes dead, and the other's alive */
Test(owed, two_carries)
{
    overwritten("\x66\x0f\x38\xf6\xd9\xf3\x0f\x38\xf6\xd9");
    overwritten("\x66\x0f\x38\xf6\xd9\xf3\x0f\x38\xf6\xd9\x45");      /* inc bp: O is dead */
    overwritten("\xf3\x0f\x38\xf6\xd9\x66\x0f\x38\xf6\xd9\xf8");      /* clc: C is */
}

Test(owed, asked_for_next) { all_values("\x39\xcb", "\x9f\x31\xc0"); } /* lahf; xor ax, ax: the quotient stays small */
Test(owed, a_part_asked_for_next) { all_values("\x39\xcb", "\x11\xed"); }  /* adc bp, bp */

/*
 * The leader of a group finds no page, since the group lies in two, while the block before owes F: the block
 * without groups is chained to all the same.
 */
Test(owed, left_by_a_leader)
{
    /* L: add rbx, 1; jmp M; M: mov rax, [rdi]; mov rcx, [rdi+8]; sub rsi, 1; jnz L; ud2 */
    static const char code[] = "\x48\x83\xc3\x01\xeb\x00\x48\x8b\x07\x48\x8b\x4f\x08\x48\x83\xee\x01\x75\xed\x0f\x0b";
    enum { TIMES = 3000 };
    struct guest *g = guest_new_on(TCG_BACKEND_HOST, true);
    struct tcg_cpu *tc = &g->cpu->tcg;
    struct tb_key k;

    g->joined = 1;
    memcpy(guest_page(g, 0), code, sizeof(code));
    guest_key(g, &k, GUEST_LONG, 0);
    tcg_mode_changed(tc, GUEST_LONG);
    tc->regs[G_RDI] = GUEST_DATA + 0xff8;
    tc->regs[G_RSI] = TIMES;
    tc->run = 1;
    alarm(60);
    tcg_run(tc);
    alarm(0);
    cr_assert(g->faulted);
    cr_assert_eq(tc->regs[G_RBX], TIMES);
    cr_assert_lt(tcg_get_stats(g->tcg)->lookups, TIMES / 4);
    guest_free(g);
}

#endif
