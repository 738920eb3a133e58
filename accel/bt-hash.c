/*
 * bt-hash.c - hashes of registers and RAM at given instruction counts
 *
 * Two runs are the same run when their files are. Only pages written since the last hash
 * are read again: they are taken out of the write maps each time, so the first store to one is
 * noted; the sum over all pages then changes by what those contribute.
 */
#include <stdlib.h>
#include "accel/bt-icount.h"

#define PAGE 4096
#define MIX 0x9fb21c651e98df25ull

struct bt_hash {
    FILE *f;
    uint64_t *of_page;           /* what each contributes */
    uint64_t sum;
};

static uint64_t mix(uint64_t h, uint64_t v)
{
    h = (h ^ v) * MIX;
    return h ^ h >> 32;
}

/* four lanes, so that the multiplications overlap */
static uint64_t hash_page(const uint8_t *p, uint32_t number)
{
    uint64_t h[4] = { number, 1, 2, 3 };

    for (unsigned i = 0; i < PAGE; i += 32)
        for (unsigned k = 0; k < 4; k++)
            h[k] = mix(h[k], ldl64(p + i + 8 * k));
    return mix(mix(mix(h[0], h[1]), h[2]), h[3]);
}

static uint64_t hash_ram(struct bt_hash *h, struct bt *bt)
{
    for (uint32_t i = 0; i < bt->n_hashed; i++) {
        uint64_t now;

        if (!__atomic_load_n(&bt->hash_written[i], __ATOMIC_RELAXED))
            continue;
        __atomic_store_n(&bt->hash_written[i], 0, __ATOMIC_RELAXED);
        now = hash_page(bt->m->ram + (uint64_t)i * PAGE, i);
        h->sum += now - h->of_page[i];
        h->of_page[i] = now;
    }
    tcg_mmu_watch(&bt->cpus[0].ac.cpu->tcg, 0, bt->n_hashed, bt->hash_written);
    return h->sum;
}

static uint64_t hash_registers(struct bt *bt)
{
    struct x86_words s;
    uint64_t h = 0;

    x86_get_words(bt->cpus[0].ac.cpu, &s);
    for (unsigned i = 0; i < X86_WORDS; i++)
        h = mix(h, s.w[i]);
    return h;
}

void bt_hash_write(struct bt_hash *h, struct bt *bt, uint64_t count)
{
    uint64_t ram = bt->icount->ram_sum = hash_ram(h, bt);

    if (!h->f)
        return;
    fprintf(h->f, "%llu %016llx %016llx\n", (unsigned long long)count,
            (unsigned long long)hash_registers(bt), (unsigned long long)ram);
}

int bt_hash_new(struct bt_hash **out, struct bt *bt, const char *path, struct err *e)
{
    struct bt_hash *h = xzalloc(sizeof *h);

    *out = h;
    h->f = path ? fopen(path, "we") : NULL;
    if (path && !h->f)
        return err_set(e, -errno, "-icount hash=%s: %s", path, strerror(errno));
    bt->n_hashed = (uint32_t)(bt->m->cfg.ram_bytes / PAGE);
    bt->hash_written = xmalloc(bt->n_hashed);
    memset(bt->hash_written, 1, bt->n_hashed);
    h->of_page = xzalloc(bt->n_hashed * sizeof *h->of_page);
    return 0;
}

void bt_hash_free(struct bt_hash *h, struct bt *bt)
{
    bool lost = h && h->f && ferror(h->f);

    if (!h)
        return;
    if (h->f)
        lost |= fclose(h->f) != 0;
    if (lost)
        fprintf(stderr, "transom: -icount hash=: the file is not complete\n");
    free(bt->hash_written);
    bt->hash_written = NULL;
    bt->n_hashed = 0;
    free(h->of_page);
    free(h);
}
