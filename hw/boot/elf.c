/*
 * elf.c - kernels that are ELF files, or otherwise made of segments
 *
 * Every number in the file is a claim: it is checked against the file's length
 * and sane limits before anybody computes with it.
 * Source: System V ABI, "Object Files"; Xen's PVH boot protocol for the note.
 */
#include <stdlib.h>
#include <unistd.h>
#include "hw/boot/direct.h"
#include "hw/boot/linux.h"

enum { ELF_CLASS = 4, ELF_DATA = 5, CLASS32 = 1, CLASS64 = 2, DATA_LSB = 1 };
enum { ELF_TYPE = 16, ELF_MACHINE = 18, ET_EXEC = 2, ET_DYN = 3, EM_386 = 3, EM_X86_64 = 62 };
enum { PT_LOAD = 1, PT_NOTE = 4, NOTE_PHYS32_ENTRY = 18 };
#define NOTE_MAX (64 * KiB)

/** struct phdr - a program header, whichever the class */
struct phdr {
    uint32_t type;
    uint64_t off, vaddr, paddr, file_len, mem_len;
};

struct elf_head {
    uint8_t raw[64];
    bool wide;                  /* 64-bit class */
    uint64_t entry, phoff;
    unsigned phentsize, phnum;
};

int boot_image_open(struct boot_image *img, const char *path, struct err *e)
{
    memset(img, 0, sizeof *img);
    img->path = path;
    img->fd = boot_open("-kernel", path, &img->file_len, e);
    return img->fd < 0 ? img->fd : 0;
}

void boot_image_close(struct boot_image *img)
{
    if (img->fd >= 0)
        close(img->fd);
    img->fd = -1;
}

bool boot_image_is_elf(const struct boot_image *img)
{
    uint8_t magic[4];

    return img->file_len >= 52 && boot_read(img->fd, magic, 4, 0) == 0 &&
           !memcmp(magic, "\177ELF", 4);
}

static bool within(uint64_t off, uint64_t len, uint64_t total)
{
    return off <= total && len <= total - off;
}

int boot_image_add(struct boot_image *img, const struct boot_segment *s, struct err *e)
{
    if (img->n_segs == BOOT_MAX_SEGMENTS)
        return err_set(e, -ENOEXEC, "-kernel %s: more than %d segments", img->path,
                       BOOT_MAX_SEGMENTS);
    if (!within(s->file_off, s->file_len, img->file_len))
        return err_set(e, -ENOEXEC, "-kernel %s: truncated (%llu bytes)", img->path,
                       (unsigned long long)img->file_len);
    if (s->file_len > s->mem_len || !within(s->addr, s->mem_len, 4 * GiB))
        return err_set(e, -ENOEXEC, "-kernel %s: nonsense in a segment's addresses",
                       img->path);
    img->seg[img->n_segs++] = *s;
    img->end = MAX(img->end, s->addr + s->mem_len);
    return 0;
}

int boot_image_fits(const struct boot_image *img, uint64_t ram_end, struct err *e)
{
    for (unsigned i = 0; i < img->n_segs; i++) {
        const struct boot_segment *s = &img->seg[i];
        uint64_t end = s->addr + s->mem_len;

        if (end > 0xa0000 && s->addr < 0x100000)
            return err_set(e, -ENOMEM, "-kernel %s: wants to be loaded at %#llx, where there "
                           "is no RAM", img->path, (unsigned long long)s->addr);
        if (end > ram_end)
            return err_set(e, -ENOMEM, "-kernel %s: needs RAM up to %llu MiB (-m)", img->path,
                           (unsigned long long)(end / MiB + 1));
    }
    return 0;
}

static void put_zeros(struct machine *m, gpa_t at, uint64_t len)
{
    static const uint8_t zeros[4096];

    for (; len; at += MIN(len, sizeof zeros), len -= MIN(len, sizeof zeros))
        boot_put(m, at, zeros, MIN(len, sizeof zeros));
}

int boot_image_put(const struct boot_image *img, struct machine *m)
{
    int ret = 0;

    for (unsigned i = 0; i < img->n_segs && ret == 0; i++) {
        const struct boot_segment *s = &img->seg[i];

        ret = boot_put_file(m, s->addr, img->fd, s->file_off, s->file_len);
        put_zeros(m, s->addr + s->file_len, s->mem_len - s->file_len);
    }
    if (ret < 0)
        boot_unreadable(m, "-kernel", img->path);
    return ret;
}

/* ---- ELF ----------------------------------------------------------------------------------- */

static int bad_elf(const struct boot_image *img, const char *why, struct err *e)
{
    return err_set(e, -ENOEXEC, "-kernel %s: %s", img->path, why);
}

static int read_head(const struct boot_image *img, struct elf_head *h, struct err *e)
{
    const uint8_t *p = h->raw;
    unsigned type, machine;

    memset(h, 0, sizeof *h);
    if (boot_read(img->fd, h->raw, MIN(img->file_len, sizeof h->raw), 0) < 0)
        return bad_elf(img, "cannot be read", e);
    type = ldl16(p + ELF_TYPE);
    machine = ldl16(p + ELF_MACHINE);
    h->wide = p[ELF_CLASS] == CLASS64;
    if (p[ELF_DATA] != DATA_LSB || (p[ELF_CLASS] != CLASS32 && !h->wide) ||
        (machine != EM_386 && machine != EM_X86_64))
        return bad_elf(img, "an ELF file, but not for x86", e);
    if (type != ET_EXEC && type != ET_DYN)
        return bad_elf(img, "an ELF file that cannot be executed", e);
    h->entry = h->wide ? ldl64(p + 24) : ldl32(p + 24);
    h->phoff = h->wide ? ldl64(p + 32) : ldl32(p + 28);
    h->phentsize = ldl16(p + (h->wide ? 54 : 42));
    h->phnum = ldl16(p + (h->wide ? 56 : 44));
    if (h->phentsize < (h->wide ? 56 : 32) || !h->phnum || h->phnum > BOOT_MAX_SEGMENTS ||
        !within(h->phoff, (uint64_t)h->phentsize * h->phnum, img->file_len))
        return bad_elf(img, "nonsense in the ELF header, or truncated", e);
    return 0;
}

static int read_phdr(const struct boot_image *img, const struct elf_head *h, unsigned n,
                     struct phdr *ph, struct err *e)
{
    uint8_t p[56] = { 0 };

    if (boot_read(img->fd, p, h->wide ? 56 : 32, h->phoff + (uint64_t)n * h->phentsize) < 0)
        return bad_elf(img, "cannot be read", e);
    if (h->wide)
        *ph = (struct phdr){ ldl32(p), ldl64(p + 8), ldl64(p + 16), ldl64(p + 24),
                             ldl64(p + 32), ldl64(p + 40) };
    else
        *ph = (struct phdr){ ldl32(p), ldl32(p + 4), ldl32(p + 8), ldl32(p + 12),
                             ldl32(p + 16), ldl32(p + 20) };
    return 0;
}

static int load_segment(struct boot_image *img, const struct elf_head *h, const struct phdr *ph,
                        struct err *e)
{
    if (!ph->mem_len)
        return 0;
    if (h->entry - ph->vaddr < ph->mem_len)      /* linked elsewhere than loaded */
        img->entry = h->entry - ph->vaddr + ph->paddr;
    return boot_image_add(img, &(struct boot_segment){ ph->off, ph->file_len, ph->paddr,
                                                       ph->mem_len }, e);
}

/* Notes: name length, contents length, type, name, contents; each on 4 bytes. */
static void scan_notes(struct boot_image *img, const uint8_t *p, size_t len)
{
    while (len >= 12) {
        uint64_t name = ldl32(p), desc = ldl32(p + 4), type = ldl32(p + 8);
        uint64_t desc_at = 12 + align_up(name, 4);
        uint64_t next = desc_at + align_up(desc, 4);

        if (next > len)
            return;
        if (type == NOTE_PHYS32_ENTRY && name == 4 && !memcmp(p + 12, "Xen", 4) && desc >= 4) {
            img->pvh = true;
            img->pvh_entry = ldl32(p + desc_at);
        }
        p += next;
        len -= next;
    }
}

static void read_notes(struct boot_image *img, const struct phdr *ph)
{
    uint64_t len = MIN(ph->file_len, NOTE_MAX);
    uint8_t *buf;

    if (!within(ph->off, len, img->file_len))
        return;
    buf = xmalloc(len + 1);
    if (boot_read(img->fd, buf, len, ph->off) == 0)
        scan_notes(img, buf, len);
    free(buf);
}

int boot_image_read_elf(struct boot_image *img, struct err *e)
{
    struct elf_head h;
    struct phdr ph = { 0 };
    int ret = read_head(img, &h, e);

    img->entry = h.entry;
    for (unsigned i = 0; ret == 0 && i < h.phnum; i++) {
        ret = read_phdr(img, &h, i, &ph, e);
        if (ret == 0 && ph.type == PT_LOAD)
            ret = load_segment(img, &h, &ph, e);
        else if (ret == 0 && ph.type == PT_NOTE)
            read_notes(img, &ph);
    }
    if (ret == 0 && !img->n_segs)
        ret = bad_elf(img, "nothing to load in it", e);
    if (ret == 0 && img->entry > UINT32_MAX)
        ret = bad_elf(img, "its entry point is above 4 GiB", e);
    return ret;
}
