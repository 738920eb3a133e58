/* build-id.c - by what the linker knows this build of the program (ELF: System V ABI, "Note Section"; NT_GNU_BUILD_ID) */
#define _GNU_SOURCE
#include <elf.h>
#include <link.h>
#include "util/util.h"

struct id {
    uint8_t *to;
    size_t room, len;
};

/* @p: a PT_NOTE segment of this program, @n bytes */
static void look(struct id *id, const uint8_t *p, size_t n)
{
    const ElfW(Nhdr) *h;

    while (n >= sizeof(*h)) {
        size_t name, desc;

        h = (const ElfW(Nhdr) *)(const void *)p;
        name = align_up(h->n_namesz, 4);
        desc = align_up(h->n_descsz, 4);
        if (name > n - sizeof(*h) || desc > n - sizeof(*h) - name)
            return;
        if (h->n_type == NT_GNU_BUILD_ID && h->n_namesz == 4 && !memcmp(h + 1, "GNU", 4)) {
            id->len = MIN(id->room, h->n_descsz);
            memcpy(id->to, (const uint8_t *)(h + 1) + name, id->len);
            return;
        }
        p += sizeof(*h) + name + desc;
        n -= sizeof(*h) + name + desc;
    }
}

/* The program itself is told of first. */
static int of_program(struct dl_phdr_info *info, size_t size, void *opaque)
{
    for (unsigned i = 0; i < info->dlpi_phnum; i++)
        if (info->dlpi_phdr[i].p_type == PT_NOTE)
            look(opaque, (const uint8_t *)(info->dlpi_addr + info->dlpi_phdr[i].p_vaddr), info->dlpi_phdr[i].p_memsz);
    return 1;
}

size_t build_id(uint8_t *id, size_t room)
{
    struct id it = { .to = id, .room = room };

    dl_iterate_phdr(of_program, &it);
    return it.len;
}
