/*
 * returns.c - tables of return addresses
 *
 * A call in translated code writes its return address, and where its own block goes on from there, into a slot
 * that its place on the guest's stack chooses. The return at that place compares the address only. So a slot says
 * of what follows a call what the jump cache's check says of a block: that it is mapped there, and for this mode.
 *
 * Each mode and address-space set has a table of its own, of which one is in use. Tables are emptied when a page
 * goes out of a map that code ran from; whoever filled a slot had the page in the map. Blocks that are dropped
 * do not matter: the landing that a slot leads to is an exit of the call's block, chained and unchained like any; that
 * of a dropped block goes to the run loop. When all code goes, so does every slot.
 *
 * Nothing depends on calls and returns being in order: a slot that is wrong does not match, one that is right
 * may be used again.
 */
#include "tcg/tcg-int.h"
#include <sys/mman.h>

int returns_new(struct tcg_cpu *cpu)
{
    void *p;

    if (!cpu->tcg->no_return)
        return 0;
    p = mmap(NULL, sizeof(*cpu->return_tables), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED)
        return -ENOMEM;
    cpu->return_tables = p;
    returns_select(cpu);
    return 0;
}

void returns_free(struct tcg_cpu *cpu)
{
    if (cpu->return_tables)
        munmap(cpu->return_tables, sizeof(*cpu->return_tables));
}

/* What is left of addresses is of no use without code; no call has left one that is not canonical. */
static void empty(const struct tcg *t, struct return_table *table)
{
    for (unsigned i = 0; i < RETURN_SLOTS; i++)
        table->code[i] = t->no_return;
}

/* The table of @key, or one that becomes that; @hint: likely it. */
static unsigned table_of(struct return_tables *r, uint64_t key, unsigned hint, bool *found)
{
    unsigned i = hint, unused = RETURN_TABLES;

    *found = true;
    do {
        if (r->key[i] == key)
            return i;
        if (!r->key[i] && unused == RETURN_TABLES)
            unused = i;
        i = (i + 1) % RETURN_TABLES;
    } while (i != hint);
    *found = false;
    return unused < RETURN_TABLES ? unused : r->next++ % RETURN_TABLES;
}

void returns_select(struct tcg_cpu *cpu)
{
    struct return_tables *r = cpu->return_tables;
    uint64_t key;
    bool found;

    if (!r)
        return;
    key = cpu->mode_salt | (cpu->mmu->cur + 1);
    if (r->key[r->now] == key)
        return;
    r->now = table_of(r, key, (unsigned)(key * 0x9e3779b97f4a7c15ull >> 60), &found);
    r->key[r->now] = key;
    if (!found)
        empty(cpu->tcg, &r->table[r->now]);
    cpu->returns = r->table[r->now].pc;
}

void returns_forget(struct tcg_cpu *cpu, unsigned set)
{
    struct return_tables *r = cpu->return_tables;

    for (unsigned i = 0; r && i < RETURN_TABLES; i++) {
        if ((uint32_t)r->key[i] != set + 1)
            continue;
        if (i == r->now)
            empty(cpu->tcg, &r->table[i]);
        else
            r->key[i] = 0;
    }
}

void returns_forget_all(struct tcg_cpu *cpu)
{
    struct return_tables *r = cpu->return_tables;

    if (!r)
        return;
    for (unsigned i = 0; i < RETURN_TABLES; i++)
        if (i != r->now)
            r->key[i] = 0;
    empty(cpu->tcg, &r->table[r->now]);
}
