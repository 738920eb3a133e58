/*
 * profile.c - what a profile needs of this host: a counter in each block, and time
 * (general registers only)
 */
#define _GNU_SOURCE
#include "tcg/host-x86_64/gen-int.h"

/* Nothing is live at a block's start but the pinned registers; EFLAGS may be. RSP is
 * the vCPU struct, its counters lie behind. */
void gen_count_run(struct gen *g)
{
    struct opn runs = o_env(profile_runs_offset(g->t) + g->tb->place * sizeof(uint64_t));

    mov_load(&g->c, RAX, runs);
    ins(&g->c, 8, 0x8d, RAX, (struct opn){ .kind = ON_MEM, .base = RAX, .index = NOREG, .disp = 1 });
    mov_store(&g->c, runs, RAX);
}

uint64_t host_ticks(void)
{
    return __builtin_ia32_rdtsc();
}
