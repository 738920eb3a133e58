/*
 * profile-blocks.c - which guest code was translated, and how often it ran
 */
#define _GNU_SOURCE
#include "tcg/tcg-int.h"
#include <stdlib.h>
#include <sys/mman.h>

#define HASH_BITS 17
#define FIRST_ROOM 4096u

int profile_init(struct tcg *t, struct err *e)
{
    struct tcg_profile *p;

    if (!t->cfg.profile)
        return 0;
    p = t->profile = xzalloc(sizeof(*p));
    pthread_mutex_init(&p->lock, NULL);
    p->hash = xzalloc(sizeof(*p->hash) << HASH_BITS);
    p->of_tb = mmap(NULL, t->max_tbs * sizeof(*p->of_tb), PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p->of_tb == MAP_FAILED)
        return err_set(e, -ENOMEM, "no memory for the profile");
    p->start_ticks = profile_ticks(t);
    p->start_ns = host_monotonic_ns();
    return 0;
}

void profile_free(struct tcg *t)
{
    struct tcg_profile *p = t->profile;

    if (!p)
        return;
    for (uint32_t i = 0; i < p->n_blocks; i++)
        free(p->block[i].bytes);
    if (p->of_tb != MAP_FAILED)
        munmap(p->of_tb, t->max_tbs * sizeof(*p->of_tb));
    pthread_mutex_destroy(&p->lock);
    free(p->block);
    free(p->before);
    free(p->hash);
    free(p);
    t->profile = NULL;
}

/* ---- runs -------------------------------------------------------------------------- */

size_t profile_runs_offset(const struct tcg *t)
{
    return jc_offset(t) + (sizeof(struct jump_cache_entry) << JC_BITS);
}

size_t profile_runs_bytes(const struct tcg *t)
{
    return t->cfg.profile ? t->max_tbs * sizeof(uint64_t) : 0;
}

static uint64_t *runs_of(const struct tcg_cpu *cpu, uint32_t i)
{
    return (uint64_t *)((char *)cpu + profile_runs_offset(cpu->tcg)) + i;
}

uint64_t profile_runs(const struct tcg *t, uint32_t i)
{
    uint64_t n = 0;

    for (const struct tcg_cpu *cpu = t->cpus; cpu; cpu = cpu->next)
        n += __atomic_load_n(runs_of(cpu, i), __ATOMIC_RELAXED);
    return n;
}

void profile_emptied(struct tcg *t)
{
    struct tcg_profile *p = t->profile;

    pthread_mutex_lock(&p->lock);
    for (uint32_t i = 0; i < p->n_tbs; i++) {
        struct profile_block *b = &p->block[p->of_tb[i]];

        b->runs += profile_runs(t, i);
        b->tb = NULL;
    }
    for (struct tcg_cpu *cpu = t->cpus; cpu; cpu = cpu->next)
        memset(runs_of(cpu, 0), 0, p->n_tbs * sizeof(uint64_t));
    p->n_tbs = 0;
    pthread_mutex_unlock(&p->lock);
}

/* ---- records ----------------------------------------------------------------------- */

static uint32_t hash_of(const struct tb *tb)
{
    uint64_t h = ((uint64_t)tb->page << 12 | tb->off) * 0x9e3779b97f4a7c15ull;

    return (uint32_t)((h >> 40 ^ tb->mode * 0x9e3779b1u ^ tb->len) & ((1u << HASH_BITS) - 1));
}

static bool is_of(const struct profile_block *b, const struct tb *tb)
{
    return b->page == tb->page && b->off == tb->off && b->len == tb->len && b->mode == tb->mode
           && b->n_insns == tb->n_insns;
}

static uint32_t record_new(struct tcg_profile *p, const struct tb *tb, uint32_t h, uint64_t lin)
{
    if (p->n_blocks == p->room) {
        p->room = MAX(p->room * 2, FIRST_ROOM);
        p->block = xrealloc(p->block, p->room * sizeof(*p->block));
    }
    p->block[p->n_blocks] = (struct profile_block){
        .lin = lin, .page = tb->page, .mode = tb->mode, .off = tb->off, .len = tb->len,
        .n_insns = tb->n_insns, .next = p->hash[h],
    };
    p->hash[h] = p->n_blocks + 1;
    return p->n_blocks++;
}

/* The record of @tb's code; one that is full up stands for all that has none. */
static uint32_t record_of(struct tcg_profile *p, const struct tb *tb, uint64_t lin)
{
    uint32_t h = hash_of(tb);

    for (uint32_t i = p->hash[h]; i; i = p->block[i - 1].next)
        if (is_of(&p->block[i - 1], tb))
            return i - 1;
    return p->n_blocks < PROFILE_BLOCKS_MAX ? record_new(p, tb, h, lin) : PROFILE_BLOCKS_MAX - 1;
}

void profile_translated(struct tcg_cpu *cpu, const struct tb *tb, uint64_t lin)
{
    struct tcg *t = cpu->tcg;
    struct tcg_profile *p = t->profile;
    uint8_t bytes[1024];
    unsigned n = tcg_fetch(cpu, lin, bytes, MIN(tb->len, sizeof(bytes)), false);

    pthread_mutex_lock(&p->lock);
    uint32_t at = record_of(p, tb, lin);
    struct profile_block *b = &p->block[at];
    if (b->translations++) {
        p->again++;
        p->again_bytes += tb->len;
    }
    b->host_bytes = tb->code_len;
    b->cold_bytes = tb->cold_len;
    b->tb = tb;
    b->bytes = xrealloc(b->bytes, tb->len + 1);
    memset(b->bytes, 0, tb->len);
    memcpy(b->bytes, bytes, MIN(n, tb->len));
    p->of_tb[t->n_tbs] = at;
    p->n_tbs = t->n_tbs + 1;
    pthread_mutex_unlock(&p->lock);
}
