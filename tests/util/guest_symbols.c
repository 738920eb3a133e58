/*
 * guest_symbols.c - names of guest code: System.map, kallsyms, ELF, and what is neither
 */
#include <criterion/criterion.h>
#include <elf.h>
#include <stdlib.h>
#include <unistd.h>
#include "util/util.h"

static char *file_of(const void *p, size_t len)
{
    char *name = xstrdup("/tmp/transom-symbols-XXXXXX");
    int fd = mkstemp(name);

    cr_assert_geq(fd, 0);
    cr_assert_eq(write(fd, p, len), (ssize_t)len);
    close(fd);
    return name;
}

static int add(struct guest_symbols **s, const void *p, size_t len, struct err *e)
{
    char *name = file_of(p, len);
    int ret = guest_symbols_add(s, name, e);

    unlink(name);
    free(name);
    return ret;
}

Test(guest_symbols, system_map_and_kallsyms)
{
    static const char text[] = "ffffffff81000000 T _text\nffffffff81000040 t secondary\n"
                               "ffffffff81000080 D a_variable\nffffffffc0000000 t mod_init\t[mod]\n"
                               "nonsense\n0000000000000000 T hidden\nffffffff81000100 W weak_one";
    struct guest_symbols *s = NULL;
    struct err e = { "" };
    uint64_t start, len;

    cr_assert_eq(add(&s, text, strlen(text), &e), 0, "%s", e.msg);
    cr_assert_eq(guest_symbols_count(s), 4);
    cr_assert_str_eq(guest_symbols_find(s, 0xffffffff8100003f, &start), "_text");
    cr_assert_eq(start, 0xffffffff81000000);
    cr_assert_str_eq(guest_symbols_find(s, 0xffffffff81000040, &start), "secondary");
    cr_assert_str_eq(guest_symbols_find(s, 0xffffffffc0000001, &start), "mod_init");
    cr_assert_null(guest_symbols_find(s, 0xffffffff80ffffff, &start));
    cr_assert_null(guest_symbols_find(s, 0xffffffff81100000, &start), "too far behind the last name");
    cr_assert(guest_symbols_lookup(s, "secondary", &start, &len));
    cr_assert_eq(len, 0xc0);
    cr_assert_not(guest_symbols_lookup(s, "a_variable", &start, &len));
    guest_symbols_free(s);
}

Test(guest_symbols, elf)
{
    struct {
        Elf64_Ehdr h;
        Elf64_Shdr sh[2];
        Elf64_Sym sym[2];
        char names[16];
    } f = { .names = "\0start\0end" };
    struct guest_symbols *s = NULL;
    struct err e = { "" };
    uint64_t start;

    memcpy(f.h.e_ident, ELFMAG, SELFMAG);
    f.h.e_ident[EI_CLASS] = ELFCLASS64;
    f.h.e_ident[EI_DATA] = ELFDATA2LSB;
    f.h.e_shoff = offsetof(typeof(f), sh);
    f.h.e_shentsize = sizeof f.sh[0];
    f.h.e_shnum = 2;
    f.sh[0] = (Elf64_Shdr){ .sh_type = SHT_SYMTAB, .sh_link = 1, .sh_offset = offsetof(typeof(f), sym),
                            .sh_size = sizeof f.sym };
    f.sh[1] = (Elf64_Shdr){ .sh_type = SHT_STRTAB, .sh_offset = offsetof(typeof(f), names), .sh_size = sizeof f.names };
    f.sym[0] = (Elf64_Sym){ .st_name = 1, .st_info = STT_FUNC, .st_shndx = 1, .st_value = 0x1000, .st_size = 0x10 };
    f.sym[1] = (Elf64_Sym){ .st_name = 7, .st_info = STT_FUNC, .st_shndx = 1, .st_value = 0x2000 };
    cr_assert_eq(add(&s, &f, sizeof f, &e), 0, "%s", e.msg);
    cr_assert_str_eq(guest_symbols_find(s, 0x100f, &start), "start");
    cr_assert_null(guest_symbols_find(s, 0x1010, &start), "behind its size");
    cr_assert_str_eq(guest_symbols_find(s, 0x2000, &start), "end");
    guest_symbols_free(s);
    s = NULL;
    f.sh[0].sh_size = ~0ull;                     /* lies about its tables */
    f.sym[0].st_name = 0xffffffff;
    cr_assert_lt(add(&s, &f, sizeof f, &e), 0);
    guest_symbols_free(s);
}

Test(guest_symbols, what_is_neither)
{
    struct guest_symbols *s = NULL;
    struct err e = { "" };

    cr_assert_lt(add(&s, "hello\n", 6, &e), 0);
    cr_assert_not_null(strstr(e.msg, "no names"));
    cr_assert_lt(guest_symbols_add(&s, "/nonexistent", &e), 0);
    cr_assert_not_null(strstr(e.msg, "/nonexistent: "));
    guest_symbols_free(s);
}
