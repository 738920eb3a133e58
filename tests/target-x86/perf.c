/* perf.c - names of blocks for perf(1): the dump and the map file are read as perf reads them */
#include <stdio.h>
#include <unistd.h>

#include "tests/target-x86/guest.h"
#include "tcg/tcg-int.h"

#ifdef __x86_64__

/* jitdump-specification.txt: header of 40 bytes, then records of at least 16 */
enum { HEADER_BYTES = 40, LOAD = 0, CLOSE = 3, LOAD_BYTES = 56, MAX_LOADS = 64 };

struct load {
    uint64_t time, vma, addr, size, index;
    char name[96];
    const uint8_t *code;
};

struct dump {
    uint8_t *file;
    size_t len;
    struct load load[MAX_LOADS];
    unsigned n;
};

static char folder[] = "/tmp/transom-test-XXXXXX";

static uint8_t *read_all(const char *name, size_t *len)
{
    FILE *f = fopen(name, "r");
    uint8_t *p = malloc(1 << 20);

    cr_assert_not_null(f, "%s", name);
    *len = fread(p, 1, (1 << 20) - 1, f);
    p[*len] = 0;
    fclose(f);
    return p;
}

static void parse_load(struct dump *d, const uint8_t *p, uint32_t bytes, uint64_t time)
{
    struct load *l = &d->load[d->n];

    cr_assert_lt(d->n, (unsigned)MAX_LOADS);
    cr_assert_eq(ldl32(p + 16), (uint32_t)getpid());
    *l = (struct load){ .time = time, .vma = ldl64(p + 24), .addr = ldl64(p + 32), .size = ldl64(p + 40),
                        .index = ldl64(p + 48) };
    snprintf(l->name, sizeof(l->name), "%s", (const char *)p + LOAD_BYTES);
    l->code = p + LOAD_BYTES + strlen(l->name) + 1;
    cr_assert_eq(bytes, LOAD_BYTES + strlen(l->name) + 1 + l->size, "%s", l->name);
    cr_assert_eq(l->vma, l->addr);
    cr_assert_eq(l->index, d->n, "each its own");
    d->n++;
}

/* Everything in the file; it must end with the record that says so. */
static void parse(struct dump *d)
{
    uint64_t before = 0;
    uint32_t id = LOAD, bytes;
    size_t at = HEADER_BYTES;

    cr_assert_geq(d->len, (size_t)HEADER_BYTES);
    cr_assert_eq(ldl32(d->file), 0x4a695444u);
    cr_assert_eq(ldl32(d->file + 4), 1u);
    cr_assert_eq(ldl32(d->file + 8), (uint32_t)HEADER_BYTES);
    cr_assert_eq(ldl32(d->file + 12), 62u, "EM_X86_64");
    cr_assert_eq(ldl32(d->file + 20), (uint32_t)getpid());
    cr_assert_eq(ldl64(d->file + 32), 0u);
    for (; at < d->len; at += bytes) {
        uint64_t time = ldl64(d->file + at + 8);

        cr_assert_neq(id, (uint32_t)CLOSE, "nothing comes after it");
        id = ldl32(d->file + at);
        bytes = ldl32(d->file + at + 4);
        cr_assert(bytes >= 16 && at + bytes <= d->len);
        cr_assert_geq(time, before);
        before = time;
        if (id == LOAD)
            parse_load(d, d->file + at, bytes, time);
    }
    cr_assert_eq(id, (uint32_t)CLOSE);
}

static struct guest *named(bool map, bool dump)
{
    return guest_new_config((struct tcg_config){ .backend = TCG_BACKEND_HOST, .optimise = true,
                                                 .cache_bytes = 4 << 20, .perf_map = map, .jitdump = dump });
}

/* mov cx, 3; 103: dec cx; jnz 103; hlt */
static void run_loop(struct guest *g)
{
    static const uint8_t code[] = { 0xb9, 3, 0, 0x49, 0x75, 0xfd, 0xf4 };
    struct tcg_cpu *tc = &g->cpu->tcg;
    struct tb_key k;

    memcpy(g->ram + 0x100, code, sizeof(code));
    guest_key(g, &k, GUEST_REAL, 0x100);
    tcg_mode_changed(tc, GUEST_REAL);
    tc->va_mask = 0xffffffff;
    tc->run = 1;
    alarm(60);               /* instead of never */
    tcg_run(tc);
    alarm(0);
    cr_assert(!g->faulted);
}

static struct load *find(struct dump *d, const char *name, unsigned nth)
{
    for (unsigned i = 0; i < d->n; i++)
        if (!strcmp(d->load[i].name, name) && !nth--)
            return &d->load[i];
    return NULL;
}

Test(perf, dump_of_two_fills_of_the_cache)
{
    struct dump d = { .n = 0 };
    char name[80], cwd[256];
    struct guest *g;

    cr_assert_not_null(getcwd(cwd, sizeof(cwd)));
    cr_assert_not_null(mkdtemp(folder));
    cr_assert_eq(chdir(folder), 0);
    g = named(false, true);
    run_loop(g);
    tcg_flush_all(g->tcg, TCG_FLUSH_RESET);
    run_loop(g);
    uint8_t *now = malloc(g->tcg->cache.used);
    const uint8_t *rx = g->tcg->cache.rx;
    memcpy(now, rx, g->tcg->cache.used);
    guest_free(g);

    snprintf(name, sizeof(name), "jit-%d.dump", (int)getpid());
    d.file = read_all(name, &d.len);
    unlink(name);
    cr_assert_eq(chdir(cwd), 0);
    rmdir(folder);
    parse(&d);
    cr_assert(find(&d, "transom:thunks", 0));
    struct load *a = find(&d, "guest:10000103.16-real", 0), *b = find(&d, "guest:10000103.16-real", 1);
    cr_assert(a && b, "once before and once after the flush");
    cr_assert_eq(a->addr, b->addr, "the cache is used again from its start");
    cr_assert(find(&d, "guest:10000103.16-real.cold", 1));
    struct load *t = find(&d, "transom:thunks", 0);
    cr_assert_eq(t->addr, (uintptr_t)rx);
    cr_assert_arr_eq(t->code, now, t->size);
    free(now);
    free(d.file);
}

Test(perf, map_is_of_the_cache_as_it_is)
{
    struct guest *g = named(true, false);
    unsigned long long at;
    unsigned bytes;
    char name[80], path[80], *line, *rest;
    uint8_t *file;
    size_t len;
    bool found = false;

    snprintf(path, sizeof(path), "/tmp/perf-%d.map", (int)getpid());
    run_loop(g);
    tcg_flush_all(g->tcg, TCG_FLUSH_RESET);
    file = read_all(path, &len);
    cr_assert(!strstr((char *)file, "guest:"), "names of what is gone are gone: %s", (char *)file);
    free(file);
    run_loop(g);
    file = read_all(path, &len);
    rest = (char *)file;
    while ((line = strsep(&rest, "\n")) && *line) {
        cr_assert_eq(sscanf(line, "%llx %x %79[^\n]", &at, &bytes, name), 3, "%s", line);
        struct tb *tb = tb_find_by_code(g->tcg, (const uint8_t *)(uintptr_t)at);
        if (!strcmp(name, "guest:10000103.16-real")) {
            found = true;
            cr_assert(tb && tb->code == (const uint8_t *)(uintptr_t)at && tb->code_len == bytes);
        }
    }
    cr_assert(found);
    free(file);
    guest_free(g);
    unlink(path);
}

Test(perf, nothing_without_the_options)
{
    struct guest *g = named(false, false);

    cr_assert_null(g->tcg->perf);
    guest_free(g);
}

#endif
