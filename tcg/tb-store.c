/*
 * tb-store.c - images of translations: finding one by what was translated, and the file that keeps them
 *
 * Images lie one after another behind the file's head, in memory as in the file. The index is a hash table by mode,
 * offset in the page and the first eight bytes of guest code, or the first alone for a block that has fewer; what
 * it finds is compared in full.
 */
#define _GNU_SOURCE
#include <stdlib.h>
#include <sys/mman.h>
#include "tcg/tb-cache-int.h"

#define MAGIC "TransomT"
#define FORMAT 1
#define AGE_MAX 255
#define LONG_KEY 8           /* guest bytes in a key; blocks with fewer have one */
#define GUEST_BYTES_MAX (PAGE_SIZE + 16)
#define WORTH 32             /* what is new is worth writing when it is one part in so many */
#define TRIAL 3              /* runs that an image stays without having been of use */

struct head {
    char magic[8];
    uint32_t format, n;
    struct tb_env env;
    uint64_t bytes;          /* of the file */
    uint64_t sum;            /* of all of it, with 0 here */
};
_Static_assert(sizeof(struct head) % TB_IMAGE_ALIGN == 0, "images are aligned");
_Static_assert(sizeof(struct tb_image) % 8 == 0, "its parts are aligned");

/* struct tb_image.state */
enum { OLD, FRESH /* new in the file */, NEW /* not in the file yet */ };

struct slot {
    uint32_t tag;            /* of the hash */
    uint32_t place;          /* in mem / TB_IMAGE_ALIGN; 0: free */
};

struct tb_store {
    uint8_t *mem;            /* head and images */
    size_t used, limit;
    size_t n, added;         /* images; bytes that the file does not have */
    size_t fresh, fresh_used; /* bytes that the file got when it was written last; that were of use since */
    bool cleared;            /* what was of no use in this run has gone already */
    struct slot *slots;
    unsigned slot_bits;      /* log2 of their number: at most half are in use */
};

/* ---- digests ---------------------------------------------------------------------------- */

#define K1 0x9e3779b97f4a7c15ull
#define K2 0xd6e8feb86659fd93ull

static inline uint64_t turn(uint64_t v, unsigned n) { return v << n | v >> (64 - n); }

static inline uint64_t mix(uint64_t h, uint64_t v, uint64_t k)
{
    return turn((h ^ v) * k, 29);
}

/* Against accidents, not against people: four lanes, because a multiplication takes its time. */
static uint64_t digest(uint64_t seed, const uint8_t *p, size_t n, uint64_t k)
{
    uint64_t h[4] = { seed, seed ^ K1, seed ^ K2, n }, last[4] = { 0 }, all = seed;

    for (; n >= 32; n -= 32, p += 32)
        for (unsigned i = 0; i < 4; i++)
            h[i] = mix(h[i], ldl64(p + 8 * i), k);
    if (n)
        memcpy(last, p, n);
    for (unsigned i = 0; i < 4; i++)
        all = mix(mix(all, h[i], k), last[i], k);
    all ^= all >> 32;
    all *= K2;
    return all ^ all >> 29;
}

void tb_env_add(struct tb_env *env, const void *p, size_t n)
{
    env->w[0] = digest(env->w[0], p, n, K1);
    env->w[1] = digest(env->w[1], p, n, K2);
}

static uint64_t sum_of(const struct tb_store *s)
{
    struct head *h = (struct head *)(void *)s->mem;
    uint64_t was = h->sum, sum;

    h->sum = 0;
    sum = digest(FORMAT, s->mem, s->used, K1);
    h->sum = was;
    return sum;
}

/* ---- images -------------------------------------------------------------------------------- */

static unsigned count_relocs(const struct tb_image *im)
{
    unsigned n = 0;

    for (unsigned i = 0; i < TR_KINDS; i++)
        n += im->n_relocs[i];
    return n;
}

size_t tb_image_parts(const struct tb_image *im, struct tb_image_parts *p)
{
    uint8_t *base = (uint8_t *)(uintptr_t)im;
    size_t at = sizeof(*im);

    p->guest = base + at;
    at += align_up(im->len, 8);
    p->links = (struct tb_image_link *)(void *)(base + at);
    at += align_up(im->n_links * sizeof(*p->links), 8);
    p->sites = (struct tb_site *)(void *)(base + at);
    at += align_up(im->n_sites * sizeof(*p->sites), 8);
    p->relocs = (uint16_t *)(void *)(base + at);
    at += align_up(count_relocs(im) * sizeof(*p->relocs), 8);
    p->code = base + at;
    at += (size_t)im->code_len + im->cold_len;
    return align_up(at, TB_IMAGE_ALIGN);
}

/* Of the numbers that tell where its parts are. */
static bool counts_ok(const struct tb_image *im, size_t room)
{
    struct tb_image_parts p;

    return room >= sizeof(*im) && im->bytes <= room && im->bytes >= sizeof(*im) && im->len && im->len <= GUEST_BYTES_MAX
           && im->off < PAGE_SIZE && im->n_links <= TB_LINKS && im->n_insns && tb_image_parts(im, &p) == im->bytes
           && im->code_len && (size_t)im->code_len + im->cold_len <= TB_IMAGE_CODE && im->loop_off < im->code_len
           && im->cold_mod < TB_COLD_ALIGN;
}

/* Everything that is going to be patched or jumped to lies in its code. */
static bool positions_ok(const struct tb_image *im)
{
    uint32_t bytes = (uint32_t)im->code_len + im->cold_len;
    const uint16_t *at;
    struct tb_image_parts p;

    tb_image_parts(im, &p);
    at = p.relocs;
    for (unsigned kind = 0; kind < TR_KINDS; kind++)
        for (unsigned i = 0; i < im->n_relocs[kind]; i++)
            if (*at++ + (kind == TR_PROGRAM ? 8u : 4u) > bytes)
                return false;
    for (unsigned i = 0; i < im->n_links; i++) {
        const struct tb_image_link *l = &p.links[i];

        if (l->jmp + 4u > bytes || l->guard + 4u > bytes || l->stub >= bytes)
            return false;
    }
    for (unsigned i = 0; i < im->n_sites; i++)
        if ((p.sites[i].op & ~SITE_FPE) >= bytes || p.sites[i].stub >= bytes)
            return false;
    return true;
}

static inline struct tb_image *image_at(const struct tb_store *s, size_t at)
{
    return (struct tb_image *)(void *)(s->mem + at);
}

/* ---- finding ---------------------------------------------------------------------------------- */

static inline uint64_t key_hash(uint32_t mode, unsigned off, const uint8_t *code, bool is_long)
{
    uint64_t h = mix(mode, off | (uint64_t)is_long << 16, K1);

    h = mix(h, is_long ? ldl64(code) : *code, K2);
    return (h ^ h >> 32) * K1;
}

static uint64_t image_hash(const struct tb_image *im)
{
    struct tb_image_parts p;

    tb_image_parts(im, &p);
    return key_hash(im->mode, im->off, p.guest, im->len >= LONG_KEY);
}

static inline size_t first_slot(const struct tb_store *s, uint64_t hash) { return hash >> (64 - s->slot_bits); }

static void index_add(struct tb_store *s, size_t at)
{
    uint64_t hash = image_hash(image_at(s, at));
    size_t mask = ((size_t)1 << s->slot_bits) - 1, i = first_slot(s, hash);

    while (s->slots[i].place)
        i = (i + 1) & mask;
    s->slots[i] = (struct slot){ (uint32_t)hash, (uint32_t)(at / TB_IMAGE_ALIGN) };
}

static void index_all(struct tb_store *s)
{
    while ((s->n + 1) * 2 > (size_t)1 << s->slot_bits)
        s->slot_bits++;
    free(s->slots);
    s->slots = xzalloc(sizeof(*s->slots) << s->slot_bits);
    for (size_t at = sizeof(struct head); at < s->used; at += image_at(s, at)->bytes)
        index_add(s, at);
}

static bool is_for(const struct tb_image *im, const struct tb_key *k, const uint8_t *code, unsigned have)
{
    if (im->mode != k->mode || im->off != (k->lin & PAGE_MASK) || im->flat != k->flat || im->len > have
        || memcmp(im + 1, code, im->len))
        return false;
    return k->flat || (im->pcbase == k->pc - (k->lin & PAGE_MASK) && im->cs_base == k->cs_base
                       && im->cs_limit == k->cs_limit);
}

static struct tb_image *find(const struct tb_store *s, const struct tb_key *k, const uint8_t *code, unsigned have,
                             bool is_long)
{
    uint64_t hash = key_hash(k->mode, k->lin & PAGE_MASK, code, is_long);
    size_t mask = ((size_t)1 << s->slot_bits) - 1;

    for (size_t i = first_slot(s, hash); s->slots[i].place; i = (i + 1) & mask) {
        struct tb_image *im = image_at(s, (size_t)s->slots[i].place * TB_IMAGE_ALIGN);

        if (s->slots[i].tag == (uint32_t)hash && (im->len >= LONG_KEY) == is_long && is_for(im, k, code, have))
            return im;
    }
    return NULL;
}

struct tb_image *tb_store_find(struct tb_store *s, const struct tb_key *k, const uint8_t *code, unsigned have)
{
    struct tb_image *im = have >= LONG_KEY ? find(s, k, code, have, true) : NULL;

    if (!im && have)
        im = find(s, k, code, have, false);
    if (!im)
        return NULL;
    im->age = 0;
    if (im->state == FRESH) {
        im->state = OLD;
        s->fresh_used += im->bytes;
    }
    return im;
}

/* ---- adding ------------------------------------------------------------------------------------ */

/* Images older than @age go. */
static void drop_old(struct tb_store *s, unsigned age)
{
    size_t to = sizeof(struct head);

    s->n = 0;
    for (size_t at = to, next; at < s->used; at = next) {
        const struct tb_image *im = image_at(s, at);
        uint32_t bytes = im->bytes;

        next = at + bytes;
        if (im->age > age)
            continue;
        memmove(s->mem + to, im, bytes);
        to += bytes;
        s->n++;
    }
    s->used = to;
    index_all(s);
}

static bool has(const struct tb_store *s, const struct tb_image *im)
{
    struct tb_image_parts p;
    struct tb_key k = { .pc = im->pcbase + im->off, .lin = im->off, .cs_base = im->cs_base, .cs_limit = im->cs_limit,
                        .mode = im->mode, .flat = im->flat };
    struct tb_image *old;

    tb_image_parts(im, &p);
    old = find(s, &k, p.guest, im->len, im->len >= LONG_KEY);
    if (old)
        old->age = 0;
    return old;
}

void tb_store_add(struct tb_store *s, const struct tb_image *im)
{
    if (has(s, im))
        return;
    if (im->bytes > s->limit - s->used && !s->cleared) {
        drop_old(s, 0);
        s->cleared = true;
    }
    if (im->bytes > s->limit - s->used)
        return;
    memcpy(s->mem + s->used, im, im->bytes);
    image_at(s, s->used)->state = NEW;
    s->used += im->bytes;
    s->added += im->bytes;
    s->n++;
    if ((s->n + 1) * 2 > (size_t)1 << s->slot_bits)
        index_all(s);
    else
        index_add(s, s->used - im->bytes);
}

size_t tb_store_count(const struct tb_store *s) { return s->n; }
size_t tb_store_bytes(const struct tb_store *s) { return s->used; }

/* Where what was new last time was of no use what is new now will hardly be: a kernel that is at other addresses in every boot. */
bool tb_store_worth(const struct tb_store *s)
{
    return s->added >= s->used / 2 || (s->added && s->added >= s->used / WORTH && s->fresh_used >= s->fresh / 2);
}

/* ---- the file -------------------------------------------------------------------------------------- */

static void make_empty(struct tb_store *s)
{
    s->used = sizeof(struct head);
    s->n = s->added = s->fresh = s->fresh_used = 0;
    index_all(s);
}

/* What is wrong with the file that has been read? NULL: nothing. */
static const char *look(struct tb_store *s, const struct tb_env *env)
{
    const struct head *h = (const struct head *)(void *)s->mem;

    if (s->used < sizeof(*h) || memcmp(h->magic, MAGIC, sizeof(h->magic)))
        return "holds no translations";
    if (h->format != FORMAT || memcmp(&h->env, env, sizeof(*env)))
        return "was made by another build or with other CPU features or options";
    if (h->bytes != s->used || h->sum != sum_of(s))
        return "is damaged";
    for (size_t at = sizeof(*h); at < s->used; at += image_at(s, at)->bytes) {
        struct tb_image *im = image_at(s, at);

        if (!counts_ok(im, s->used - at) || !positions_ok(im))
            return "is damaged";
        im->age += im->age < AGE_MAX;
        s->fresh += im->state == FRESH ? im->bytes : 0;
        s->n++;
    }
    return s->n == h->n ? NULL : "is damaged";
}

int tb_store_read(struct tb_store *s, const struct own_file *f, const struct tb_env *env, struct err *e)
{
    ssize_t n = own_file_read(f, s->mem, s->limit, e);
    const char *why;

    if (n < 0 && n != -EFBIG)
        return (int)n;
    if (n == -EFBIG) {
        make_empty(s);
        return 1;
    }
    s->used = (size_t)n;
    s->n = 0;
    why = n ? look(s, env) : NULL;
    if (why || !n) {
        make_empty(s);
        if (why)
            err_set(e, -EINVAL, "%s: %s", f->path, why);
        return why != NULL;
    }
    index_all(s);
    return 0;
}

/* What has not been of use yet is on trial. */
static void settle(struct tb_image *im)
{
    if (im->state == NEW)
        im->age = TB_STORE_RUNS - TRIAL;
    im->state = im->state == NEW ? FRESH : OLD;
}

int tb_store_write(struct tb_store *s, const struct own_file *f, const struct tb_env *env, struct err *e)
{
    struct head *h = (struct head *)(void *)s->mem;

    drop_old(s, TB_STORE_RUNS);
    for (size_t at = sizeof(*h); at < s->used; at += image_at(s, at)->bytes)
        settle(image_at(s, at));
    *h = (struct head){ .magic = MAGIC, .format = FORMAT, .n = (uint32_t)s->n, .env = *env, .bytes = s->used };
    h->sum = sum_of(s);
    s->added = s->fresh = s->fresh_used = 0;
    return own_file_replace(f, s->mem, s->used, e);
}

struct tb_store *tb_store_new(size_t limit, struct err *e)
{
    struct tb_store *s = xzalloc(sizeof(*s));

    s->limit = align_down(MAX(limit, sizeof(struct head)), TB_IMAGE_ALIGN);
    s->mem = mmap(NULL, s->limit, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (s->mem == MAP_FAILED) {
        err_set(e, -ENOMEM, "no memory for %zu MiB of kept translations", s->limit >> 20);
        free(s);
        return NULL;
    }
    (void)madvise(s->mem, s->limit, MADV_HUGEPAGE);      /* a hit touches a few lines anywhere in it */
    make_empty(s);
    return s;
}

void tb_store_free(struct tb_store *s)
{
    if (!s)
        return;
    munmap(s->mem, s->limit);
    free(s->slots);
    free(s);
}
