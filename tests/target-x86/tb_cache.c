/* tb_cache.c - guests whose translations come from the cache file do what they did without */
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/target-x86/guest.h"
#include "tests/temp-file.h"
#include "tcg/tb-cache-int.h"

#ifdef __x86_64__

#define SECONDS 60

TEMP_DIR_SUITE(tb_cache);

/*
 *     mov ecx, 50
 * 1:  mov rax, [rsi]; add rax, rcx; mov [rdi], rax; mov [rdi + 8], ecx
 *     movups xmm0, [rsi]; paddb xmm0, xmm0; movups [rdi + 16], xmm0
 *     test cl, 1; jz 2; add r9, 3; bswap r9; pushf; pop rdx; add r8, rdx
 * 2:  call 3; dec ecx; jnz 1
 *     xor edx, edx; mov eax, 1000; mov ebx, 7; div ebx; std; rep movsb; cld; ud2
 * 3:  add r10, rcx; ret
 */
static const uint8_t program[] = {
    0xb9, 0x32, 0x00, 0x00, 0x00, 0x48, 0x8b, 0x06, 0x48, 0x01, 0xc8, 0x48, 0x89, 0x07, 0x89, 0x4f, 0x08, 0x0f, 0x10,
    0x06, 0x66, 0x0f, 0xfc, 0xc0, 0x0f, 0x11, 0x47, 0x10, 0xf6, 0xc1, 0x01, 0x74, 0x0c, 0x49, 0x83, 0xc1, 0x03, 0x49,
    0x0f, 0xc9, 0x9c, 0x5a, 0x49, 0x01, 0xd0, 0xe8, 0x18, 0x00, 0x00, 0x00, 0xff, 0xc9, 0x75, 0xcf, 0x31, 0xd2, 0xb8,
    0xe8, 0x03, 0x00, 0x00, 0xbb, 0x07, 0x00, 0x00, 0x00, 0xf7, 0xf3, 0xfd, 0xf3, 0xa4, 0xfc, 0x0f, 0x0b, 0x49, 0x01,
    0xca, 0xc3,
};
#define ROUNDS_AT 1          /* in it: how many */

struct in {
    struct tcg_config cfg;
    const uint8_t *code;
    size_t n;
    unsigned at;             /* offset from GUEST_CODE */
    bool other_cpu, flush;   /* flush: the code cache is emptied and it runs again */
};

struct out {
    uint64_t regs[16], ip, flags;
    uint8_t ram[4096];
    struct tcg_stats stats;
    bool noted;
};

static struct in plain(void)
{
    return (struct in){ .cfg = { .optimise = true, .cache_bytes = 4 << 20 }, .code = program, .n = sizeof program };
}

static struct in cached(void)
{
    struct in in = plain();

    in.cfg.tb_cache = path;
    return in;
}

static void start(struct guest *g, const struct in *in)
{
    struct tcg_cpu *tc = &g->cpu->tcg;
    struct tb_key k;

    guest_key(g, &k, GUEST_LONG, in->at);
    tcg_mode_changed(tc, GUEST_LONG);
    tc->va_mask = ~0ull;
    for (unsigned i = 0; i < 16; i++)
        tc->regs[i] = 0x1111111111111111ull * i;
    tc->regs[G_RSP] = GUEST_STACK;
    tc->regs[G_RSI] = GUEST_DATA;
    tc->regs[G_RDI] = GUEST_DATA + 0x100;
    memset(g->ram + (GUEST_DATA - GUEST_BASE), 0x35, 4096);
    tc->exception = 0;
    g->faulted = false;
    alarm(SECONDS);
    do
        tcg_run(tc);
    while (!g->faulted);
    alarm(0);
}

static struct out run(struct in in)
{
    uint8_t env = in.other_cpu;
    struct guest *g;
    struct out o;

    in.cfg.tb_cache_env = &env;
    in.cfg.tb_cache_env_bytes = sizeof env;
    g = guest_new_config(in.cfg);
    memcpy(g->ram + in.at, in.code, in.n);
    start(g, &in);
    if (in.flush) {
        tcg_flush_all(g->tcg, TCG_FLUSH_FULL);
        start(g, &in);
    }
    memcpy(o.regs, g->cpu->tcg.regs, sizeof o.regs);
    o.ip = g->cpu->tcg.pc - in.at;
    o.flags = x86_get_eflags(g->cpu);
    memcpy(o.ram, g->ram + (GUEST_DATA - GUEST_BASE), sizeof o.ram);
    o.stats = *tcg_get_stats(g->tcg);
    o.noted = tcg_cache_note(g->tcg);
    guest_free(g);
    return o;
}

static void same(const struct out *a, const struct out *b)
{
    cr_assert_arr_eq(a->regs, b->regs, sizeof a->regs);
    cr_assert_eq(a->ip, b->ip);
    cr_assert_eq(a->flags, b->flags);
    cr_assert_arr_eq(a->ram, b->ram, sizeof a->ram);
}

static void all_taken(const struct out *o)
{
    cr_assert_gt(o->stats.taken, 4);
    cr_assert_eq(o->stats.translations, 0, "%d blocks were made", (int)o->stats.translations);
    cr_assert(!o->noted);
}

static void none_taken(const struct out *o)
{
    cr_assert_eq(o->stats.taken, 0);
    cr_assert_gt(o->stats.translations, 4);
}

static bool there_is_a_file(void) { return access(path, F_OK) == 0; }

Test(tb_cache, the_second_time_nothing_is_translated)
{
    struct out without = run(plain()), first = run(cached()), second = run(cached());

    cr_assert_eq(first.regs[G_RAX], 1000 / 7);
    same(&without, &first);
    same(&without, &second);
    none_taken(&first);
    cr_assert_eq(first.stats.translations, without.stats.translations);
    all_taken(&second);
    cr_assert_eq(second.stats.taken, first.stats.translations);
}

Test(tb_cache, several_vcpus)
{
    struct in in = cached();
    struct out first, second;

    in.cfg.n_cpus = 2;
    first = run(in);
    second = run(in);
    same(&first, &second);
    none_taken(&first);
    all_taken(&second);
    in.cfg.n_cpus = 1;
    first = run(in);
    same(&first, &second);
    none_taken(&first);
    cr_assert(first.noted, "code for one vCPU is not code for two");
}

Test(tb_cache, code_that_was_changed_meanwhile)
{
    uint8_t other[sizeof program];
    struct in in = cached();
    struct out a, b, without;

    memcpy(other, program, sizeof other);
    other[ROUNDS_AT] = 51;
    a = run(in);
    in.code = other;
    b = run(in);
    in.cfg.tb_cache = NULL;
    without = run(in);
    same(&b, &without);
    cr_assert_neq(a.regs[G_R10], b.regs[G_R10]);
    cr_assert_gt(b.stats.translations, 0);
    cr_assert_gt(b.stats.taken, 0, "only one block is another");
}

Test(tb_cache, code_that_changes_itself)
{
    /* mov ecx, 20; 1: inc byte [rip + 3] (the imm8 below); add eax, imm8; dec ecx; jnz 1; ud2 */
    static const uint8_t code[] = { 0xb9, 20, 0, 0, 0, 0xfe, 0x05, 2, 0, 0, 0, 0x83, 0xc0, 1, 0xff, 0xc9, 0x75, 0xf3,
                                    0x0f, 0x0b };
    struct in in = cached();
    struct out first, second, without;

    in.code = code;
    in.n = sizeof code;
    first = run(in);
    second = run(in);
    in.cfg.tb_cache = NULL;
    without = run(in);
    cr_assert_eq(without.regs[G_RAX], 20 + 20 * 21 / 2);
    same(&without, &first);
    same(&without, &second);
}

Test(tb_cache, blocks_in_two_pages_go_with_the_second)
{
    struct in in = cached();
    struct out a, b;

    in.at = 0x1000 - 2;      /* the first instruction has five bytes */
    a = run(in);
    none_taken(&a);
    in.at = 0x3000 - 2;
    b = run(in);
    same(&a, &b);
    all_taken(&b);
}

Test(tb_cache, at_another_address)
{
    struct in in = cached();
    struct out a, b;

    in.at = 0x340;
    a = run(in);
    in.at = 0x2340;
    b = run(in);
    same(&a, &b);
    all_taken(&b);
    in.at = 0x2341;
    b = run(in);
    same(&a, &b);
    none_taken(&b);
}

Test(tb_cache, again_after_the_code_cache_was_emptied)
{
    struct in in = cached();
    struct out o, without = run(plain());

    in.flush = true;
    o = run(in);
    same(&without, &o);
    cr_assert_gt(o.stats.taken, 4);
    cr_assert_eq(o.stats.taken, o.stats.translations);
}

Test(tb_cache, another_cpu_starts_anew)
{
    struct in in = cached();
    struct out o;

    run(in);
    in.other_cpu = true;
    o = run(in);
    none_taken(&o);
    cr_assert(o.noted);
    o = run(in);
    all_taken(&o);
}

Test(tb_cache, other_options_start_anew)
{
    struct in in = cached();
    struct out o;

    run(in);
    in.cfg.optimise = false;
    o = run(in);
    none_taken(&o);
    cr_assert(o.noted);
}

Test(tb_cache, a_damaged_file_is_made_anew)
{
    struct out without = run(plain()), o;
    int fd;

    run(cached());
    fd = open(path, O_WRONLY);
    cr_assert_eq(pwrite(fd, "damage", 6, 700), 6);
    close(fd);
    o = run(cached());
    same(&without, &o);
    none_taken(&o);
    cr_assert(o.noted);
    o = run(cached());
    same(&without, &o);
    all_taken(&o);
}

/* What instruments code has code of its own. */
Test(tb_cache, not_with_a_profile)
{
    struct in in = cached();
    struct out o;

    in.cfg.profile = true;
    o = run(in);
    none_taken(&o);
    cr_assert(!there_is_a_file());
    run(cached());
    o = run(in);
    none_taken(&o);
}

Test(tb_cache, not_with_a_log)
{
    struct out o;

    log_mask = LOG_GUEST_ERRORS;
    o = run(cached());
    log_mask = 0;
    none_taken(&o);
    cr_assert(!there_is_a_file());
}

static int open_error(const char *at, enum tcg_backend backend, struct err *e)
{
    struct phys_ops phys = { .n_ram_pages = 1 };
    struct tcg_config cfg = { .backend = backend, .cache_bytes = 4 << 20, .tb_cache = at };

    return tcg_new(&x86_target, &cfg, &phys, e) ? 0 : -1;
}

Test(tb_cache, what_cannot_be_taken_is_an_error)
{
    struct err e = { "" };

    cr_assert(open_error("/nonexistent/f", TCG_BACKEND_HOST, &e));
    cr_assert(strstr(e.msg, "tb-cache: /nonexistent/f"), "%s", e.msg);
    cr_assert(open_error(dir, TCG_BACKEND_HOST, &e));
    cr_assert(strstr(e.msg, "not a regular file"), "%s", e.msg);
    cr_assert(open_error(path, TCG_BACKEND_INTERP, &e));
    cr_assert(strstr(e.msg, "backend=host"), "%s", e.msg);
}

#endif
