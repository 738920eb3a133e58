/*
 * direct.h - what every way to enter a kernel without firmware shares
 *
 * Tables that firmware would have left in memory, the memory map, copying of
 * files, and images made of segments (ELF files, Multiboot images).
 */
#ifndef HW_BOOT_DIRECT_H
#define HW_BOOT_DIRECT_H

#include "hw/hw.h"

struct acpi_tables;
struct smbios;

#define BOOT_RSDP_AT      0xf5000u
#define BOOT_BASE_RAM_END 0x9fc00u   /* EBDA follows */

/** struct boot_tables - ACPI and SMBIOS tables and where they go */
struct boot_tables {
    struct acpi_tables *acpi;   /* NULL: no ACPI */
    struct smbios *smbios;
    uint32_t acpi_at;           /* end of usable low RAM; the ACPI tables follow */
};

/** struct direct_boot - first member of every device that enters a kernel itself */
struct direct_boot {
    struct device dev;
    struct boot_tables tables;
    struct boot_state state;    /* valid after reset */
};

/** boot_tables_layout() - build and place the tables; 0 or -errno with @e set.
 *  The caller ends with boot_tables_free() either way. */
int boot_tables_layout(struct boot_tables *t, struct machine *m, struct err *e) MUST_CHECK;
/** boot_tables_put() - write tables, BIOS data area and EBDA; shadow RAM is writable */
void boot_tables_put(const struct boot_tables *t, struct machine *m);
void boot_tables_free(struct boot_tables *t);

enum { E820_RAM = 1, E820_RESERVED = 2, E820_ACPI = 3 };
#define BOOT_MAX_RANGES 8
struct boot_range {
    uint64_t base, end;         /* end is outside */
    uint32_t type;              /* E820_*; the same numbers in Multiboot and PVH */
};
/** boot_memory_map() - fills @r, sorted by kind; returns how many */
unsigned boot_memory_map(const struct boot_tables *t, struct machine *m,
                         struct boot_range r[BOOT_MAX_RANGES]);

/**
 * boot_wakes() - this reset ends a sleep: RAM stays, @b->state leads to the waking
 * vector that the guest has left in the FACS. False: boot.
 * Source: ACPI 6.3, 5.2.10 and 16.3.2.
 */
bool boot_wakes(struct direct_boot *b);

/** boot_put() - bytes into guest memory */
void boot_put(struct machine *m, gpa_t at, const void *p, size_t n);
/** boot_put_file() - @len bytes of @fd from @off; 0 or -errno */
int boot_put_file(struct machine *m, gpa_t at, int fd, uint64_t off, uint64_t len) MUST_CHECK;
/** boot_unreadable() - a file that was there at the start is gone: say so, end */
void boot_unreadable(struct machine *m, const char *opt, const char *path);

/** struct boot_segment - a piece of an image; @file_len <= @mem_len, rest is zero */
struct boot_segment {
    uint64_t file_off, file_len;
    uint64_t addr, mem_len;
};

/** struct boot_image - a checked image; every segment lies within the file */
#define BOOT_MAX_SEGMENTS 64
struct boot_image {
    int fd;
    const char *path;           /* the caller's */
    uint64_t file_len;
    struct boot_segment seg[BOOT_MAX_SEGMENTS];
    unsigned n_segs;
    uint64_t entry;             /* physical */
    uint64_t end;               /* first byte after the highest segment */
    bool pvh;                   /* has a PVH entry point */
    uint32_t pvh_entry;
};

/** boot_image_open() - open @path; nothing is read yet. 0 or -errno with @e set.
 *  The caller ends with boot_image_close(). */
int boot_image_open(struct boot_image *img, const char *path, struct err *e) MUST_CHECK;
void boot_image_close(struct boot_image *img);
/** boot_image_is_elf() - the file starts as an ELF file */
bool boot_image_is_elf(const struct boot_image *img);
/** boot_image_read_elf() - segments, entry and PVH note of a static x86 ELF file,
 *  32- or 64-bit; 0 or -errno with @e saying what is wrong */
int boot_image_read_elf(struct boot_image *img, struct err *e) MUST_CHECK;
/** boot_image_add() - append a checked segment; 0 or -errno with @e set */
int boot_image_add(struct boot_image *img, const struct boot_segment *s, struct err *e) MUST_CHECK;
/** boot_image_fits() - all of it is in RAM that ends at @ram_end; 0 or -errno, @e set */
int boot_image_fits(const struct boot_image *img, uint64_t ram_end, struct err *e) MUST_CHECK;
/** boot_image_put() - copy the segments into guest memory; 0 or -errno */
int boot_image_put(const struct boot_image *img, struct machine *m) MUST_CHECK;

/** struct boot_module - a file loaded beside the kernel */
#define BOOT_MAX_MODULES 32
struct boot_module {
    int fd;
    char *text;                 /* "FILE ARGUMENTS" as given; owned */
    uint64_t len, at;
};
struct boot_modules {
    struct boot_module mod[BOOT_MAX_MODULES];
    unsigned n;
};
/** boot_modules_open() - files of "-initrd FILE ARGS,FILE ARGS"; a doubled comma
 *  stands for one. 0 or -errno with @e set; ends with boot_modules_close() either way. */
int boot_modules_open(struct boot_modules *mods, const char *list, struct err *e) MUST_CHECK;
void boot_modules_close(struct boot_modules *mods);
/** boot_modules_place() - a page for each from @at on; 0 or -errno when @end is too low */
int boot_modules_place(struct boot_modules *mods, uint64_t at, uint64_t end,
                       struct err *e) MUST_CHECK;
int boot_modules_put(const struct boot_modules *mods, struct machine *m) MUST_CHECK;

/** multiboot_boot_add()/pvh_boot_add() - direct boot of m->cfg.kernel
 *  Return 0, -errno with @e set, or 1: the file is not of that kind. */
int multiboot_boot_add(struct machine *m, struct err *e) MUST_CHECK;
int pvh_boot_add(struct machine *m, struct err *e) MUST_CHECK;

extern const struct device_type multiboot_type, pvh_type;

#endif
