/*
 * guest-symbols.c - names of the guest's functions: ELF, System.map, /proc/kallsyms (-symbols)
 *
 * Source: System V ABI, "Object Files"; proc(5).
 */
#include <elf.h>
#include <stdlib.h>
#include "util/util.h"

#define FILE_MAX (1 * GiB)
#define NAME_MAX_LEN 200
#define UNSIZED_MAX (64 * KiB)   /* how far a name without a size reaches at most */

struct gsym {
    uint64_t addr, size;         /* size 0: not known */
    uint32_t name;               /* offset in names */
};

struct guest_symbols {
    struct gsym *sym;            /* by address */
    size_t n, room;
    char *names;
    size_t names_used, names_room;
};

static void add(struct guest_symbols *s, uint64_t addr, uint64_t size, const char *name, size_t len)
{
    len = MIN(len, NAME_MAX_LEN);
    if (!len || s->names_used + len + 1 > UINT32_MAX)
        return;
    if (s->n == s->room) {
        s->room = s->room ? s->room * 2 : 1024;
        s->sym = xrealloc(s->sym, s->room * sizeof *s->sym);
    }
    if (s->names_used + len + 1 > s->names_room) {
        s->names_room = s->names_room * 2 + len + 64 * KiB;
        s->names = xrealloc(s->names, s->names_room);
    }
    s->sym[s->n++] = (struct gsym){ addr, size, (uint32_t)s->names_used };
    memcpy(s->names + s->names_used, name, len);
    s->names[s->names_used + len] = 0;
    s->names_used += len + 1;
}

/* ---- ELF ---------------------------------------------------------------------------- */

/** struct part - @len bytes at @off of the file; checked */
struct part {
    const uint8_t *p;
    uint64_t len;
};

static bool part_of(const uint8_t *f, size_t size, uint64_t off, uint64_t len, struct part *out)
{
    *out = (struct part){ f + off, len };
    return off <= size && len <= size - off;
}

static void add_elf(struct guest_symbols *s, const struct part *names, uint32_t at, uint8_t info,
                    uint16_t shndx, uint64_t addr, uint64_t size)
{
    unsigned type = info & 15;

    if (shndx == SHN_UNDEF || (type != STT_FUNC && type != STT_NOTYPE) || at >= names->len)
        return;
    add(s, addr, size, (const char *)names->p + at, strnlen((const char *)names->p + at, names->len - at));
}

static void table64(struct guest_symbols *s, const struct part *t, const struct part *names)
{
    for (uint64_t i = 0; i + sizeof(Elf64_Sym) <= t->len; i += sizeof(Elf64_Sym)) {
        Elf64_Sym y;

        memcpy(&y, t->p + i, sizeof y);
        add_elf(s, names, y.st_name, y.st_info, y.st_shndx, y.st_value, y.st_size);
    }
}

static void table32(struct guest_symbols *s, const struct part *t, const struct part *names)
{
    for (uint64_t i = 0; i + sizeof(Elf32_Sym) <= t->len; i += sizeof(Elf32_Sym)) {
        Elf32_Sym y;

        memcpy(&y, t->p + i, sizeof y);
        add_elf(s, names, y.st_name, y.st_info, y.st_shndx, y.st_value, y.st_size);
    }
}

/* One section header as 64-bit, wherever it comes from. */
static bool section(const uint8_t *f, size_t size, bool wide, uint64_t off, unsigned each, unsigned i,
                    Elf64_Shdr *out)
{
    struct part p;
    Elf32_Shdr h;

    if (each < (wide ? sizeof(Elf64_Shdr) : sizeof(Elf32_Shdr))
        || !part_of(f, size, off + (uint64_t)i * each, each, &p))
        return false;
    if (wide) {
        memcpy(out, p.p, sizeof *out);
        return true;
    }
    memcpy(&h, p.p, sizeof h);
    *out = (Elf64_Shdr){ .sh_type = h.sh_type, .sh_offset = h.sh_offset, .sh_size = h.sh_size, .sh_link = h.sh_link };
    return true;
}

static int read_elf(struct guest_symbols *s, const uint8_t *f, size_t size, struct err *e)
{
    bool wide = f[EI_CLASS] == ELFCLASS64;
    Elf64_Ehdr h64;
    Elf32_Ehdr h32;
    uint64_t off;
    unsigned n, each;

    if (size < sizeof h64 || f[EI_DATA] != ELFDATA2LSB)
        return err_set(e, -EINVAL, "not a little-endian ELF file");
    memcpy(&h64, f, sizeof h64);
    memcpy(&h32, f, sizeof h32);
    off = wide ? h64.e_shoff : h32.e_shoff;
    n = wide ? h64.e_shnum : h32.e_shnum;
    each = wide ? h64.e_shentsize : h32.e_shentsize;
    for (unsigned i = 0; i < n; i++) {
        Elf64_Shdr sh, str;
        struct part t, names;

        if (!section(f, size, wide, off, each, i, &sh) || (sh.sh_type != SHT_SYMTAB && sh.sh_type != SHT_DYNSYM))
            continue;
        if (sh.sh_link < n && section(f, size, wide, off, each, sh.sh_link, &str)
            && part_of(f, size, sh.sh_offset, sh.sh_size, &t)
            && part_of(f, size, str.sh_offset, str.sh_size, &names))
            (wide ? table64 : table32)(s, &t, &names);
    }
    return 0;
}

/* ---- System.map, kallsyms: "address type name [module]" -------------------------------- */

static bool is_code(char type)
{
    return type == 't' || type == 'T' || type == 'w' || type == 'W';
}

static void read_map(struct guest_symbols *s, const char *p, size_t size)
{
    const char *end = p + size;

    while (p < end) {
        const char *line = p, *nl = memchr(p, '\n', (size_t)(end - p));
        size_t len = (size_t)((nl ? nl : end) - line);
        char addr[20], *stop;
        const char *sp = memchr(line, ' ', MIN(len, sizeof addr));
        uint64_t v;

        p = nl ? nl + 1 : end;
        if (!sp || len < (size_t)(sp - line) + 4 || sp[2] != ' ' || !is_code(sp[1]))
            continue;
        memcpy(addr, line, (size_t)(sp - line));
        addr[sp - line] = 0;
        v = strtoull(addr, &stop, 16);
        if (*stop || !v)
            continue;
        add(s, v, 0, sp + 3, MIN(strcspn(sp + 3, "\t\r\n "), len - (size_t)(sp + 3 - line)));
    }
}

/* ---- together ---------------------------------------------------------------------------- */

static int by_address(const void *a, const void *b)
{
    const struct gsym *x = a, *y = b;

    return x->addr < y->addr ? -1 : x->addr > y->addr ? 1 : x->name < y->name ? -1 : x->name > y->name;
}

static uint8_t *slurp(const char *path, size_t *size, struct err *e)
{
    FILE *f = fopen(path, "re");
    uint8_t *p = NULL;
    size_t room = 0, n;

    if (!f) {
        err_set(e, -errno, "%s: %s", path, strerror(errno));
        return NULL;
    }
    for (*size = 0; room <= FILE_MAX; *size += n) {
        if (room - *size < 2) {
            room = room * 2 + 1 * MiB;
            p = xrealloc(p, room);
        }
        n = fread(p + *size, 1, room - *size - 1, f);
        if (!n)
            break;
    }
    if (ferror(f))
        err_set(e, -errno, "%s: %s", path, strerror(errno));
    fclose(f);
    p[*size] = 0;
    return p;
}

struct guest_symbols *guest_symbols_new(void)
{
    return xzalloc(sizeof(struct guest_symbols));
}

int guest_symbols_add(struct guest_symbols **out, const char *path, struct err *e)
{
    struct guest_symbols *s = *out ? *out : guest_symbols_new();
    struct err why = { "" };
    size_t size, had = s->n;
    uint8_t *f;
    int ret = 0;

    *out = s;
    f = slurp(path, &size, e);
    if (!f)
        return -EIO;
    if (size >= EI_NIDENT && !memcmp(f, ELFMAG, SELFMAG))
        ret = read_elf(s, f, size, &why);
    else
        read_map(s, (const char *)f, size);
    free(f);
    if (ret == 0 && s->n == had)
        ret = err_set(&why, -EINVAL, "no names of functions in it (ELF, System.map and kallsyms have some)");
    if (s->n)
        qsort(s->sym, s->n, sizeof *s->sym, by_address);
    return ret < 0 ? err_set(e, ret, "%s: %s", path, why.msg) : 0;
}

const char *guest_symbols_find(const struct guest_symbols *s, uint64_t addr, uint64_t *start)
{
    size_t lo = 0, hi = s ? s->n : 0;
    const struct gsym *y;
    uint64_t reach;

    while (lo < hi) {
        size_t mid = (lo + hi) / 2;

        if (s->sym[mid].addr <= addr)
            lo = mid + 1;
        else
            hi = mid;
    }
    if (!lo)
        return NULL;
    y = &s->sym[lo - 1];
    reach = y->size ? y->size : UNSIZED_MAX;
    if (addr - y->addr >= reach)
        return NULL;
    while (y > s->sym && y[-1].addr == y->addr)      /* of several the first */
        y--;
    *start = y->addr;
    return s->names + y->name;
}

bool guest_symbols_lookup(const struct guest_symbols *s, const char *name, uint64_t *addr, uint64_t *len)
{
    for (size_t i = 0; s && i < s->n; i++) {
        size_t k = i + 1;

        if (strcmp(s->names + s->sym[i].name, name))
            continue;
        while (k < s->n && s->sym[k].addr == s->sym[i].addr)
            k++;
        *addr = s->sym[i].addr;
        *len = s->sym[i].size ? s->sym[i].size : k < s->n ? MIN(s->sym[k].addr - *addr, UNSIZED_MAX) : UNSIZED_MAX;
        return true;
    }
    return false;
}

size_t guest_symbols_count(const struct guest_symbols *s)
{
    return s ? s->n : 0;
}

void guest_symbols_free(struct guest_symbols *s)
{
    if (!s)
        return;
    free(s->sym);
    free(s->names);
    free(s);
}
