/*
 * symbols.c - names of this program's own functions, from its ELF symbol table
 *
 * Source: System V ABI, "Object Files". A stripped program has no names.
 */
#include <elf.h>
#include <stdlib.h>
#include "util/util.h"

#if UINTPTR_MAX > 0xffffffffu
typedef Elf64_Ehdr ehdr_t;
typedef Elf64_Shdr shdr_t;
typedef Elf64_Sym sym_t;
#define SYM_TYPE ELF64_ST_TYPE
#else
typedef Elf32_Ehdr ehdr_t;
typedef Elf32_Shdr shdr_t;
typedef Elf32_Sym sym_t;
#define SYM_TYPE ELF32_ST_TYPE
#endif

struct symbol {
    uintptr_t addr;
    const char *name;
};

struct symbols {
    struct symbol *sym;      /* functions by address, then by name */
    size_t n;
    char *names;
};

static void *read_part(FILE *f, uint64_t off, uint64_t len)
{
    char *p = len && len < 64 * MiB ? xmalloc(len + 1) : NULL;

    if (!p)
        return NULL;
    if (fseek(f, (long)off, SEEK_SET) || fread(p, 1, len, f) != len) {
        free(p);
        return NULL;
    }
    p[len] = 0;
    return p;
}

static int by_address(const void *a, const void *b)
{
    const struct symbol *x = a, *y = b;

    return x->addr != y->addr ? (x->addr < y->addr ? -1 : 1) : strcmp(x->name, y->name);
}

/* The table's addresses begin at 0 where the program is position independent: this very
 * function tells how far it was moved. */
static void move(struct symbols *s)
{
    for (size_t i = 0; i < s->n; i++)
        if (!strcmp(s->sym[i].name, "symbols_open")) {
            uintptr_t by = (uintptr_t)(const void *)symbols_open - s->sym[i].addr;

            for (size_t k = 0; k < s->n; k++)
                s->sym[k].addr += by;
            return;
        }
    s->n = 0;
}

static void load(struct symbols *s, FILE *f, const shdr_t *table, const shdr_t *strings)
{
    sym_t *sym = read_part(f, table->sh_offset, table->sh_size);
    size_t n = table->sh_size / sizeof(*sym);

    s->names = read_part(f, strings->sh_offset, strings->sh_size);
    s->sym = xmalloc((n + 1) * sizeof(*s->sym));
    for (size_t i = 0; sym && s->names && i < n; i++)
        if (SYM_TYPE(sym[i].st_info) == STT_FUNC && sym[i].st_value && sym[i].st_name < strings->sh_size)
            s->sym[s->n++] = (struct symbol){ (uintptr_t)sym[i].st_value, s->names + sym[i].st_name };
    free(sym);
    move(s);
    qsort(s->sym, s->n, sizeof(*s->sym), by_address);
}

struct symbols *symbols_open(void)
{
    struct symbols *s = xzalloc(sizeof(*s));
    FILE *f = fopen("/proc/self/exe", "rbe");
    ehdr_t *h = f ? read_part(f, 0, sizeof(*h)) : NULL;
    shdr_t *sec = NULL;

    if (h && h->e_shentsize == sizeof(*sec))
        sec = read_part(f, h->e_shoff, (uint64_t)h->e_shnum * sizeof(*sec));
    for (unsigned i = 0; sec && i < h->e_shnum; i++)
        if (sec[i].sh_type == SHT_SYMTAB && sec[i].sh_link < h->e_shnum) {
            load(s, f, &sec[i], &sec[sec[i].sh_link]);
            break;
        }
    free(sec);
    free(h);
    if (f)
        fclose(f);
    return s;
}

const char *symbols_name(const struct symbols *s, const void *addr)
{
    size_t lo = 0, hi = s->n;

    while (lo < hi) {
        size_t mid = (lo + hi) / 2;
        if (s->sym[mid].addr < (uintptr_t)addr)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo < s->n && s->sym[lo].addr == (uintptr_t)addr ? s->sym[lo].name : NULL;
}

void symbols_free(struct symbols *s)
{
    free(s->sym);
    free(s->names);
    free(s);
}
