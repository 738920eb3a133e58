/*
 * acpi.h - ACPI and SMBIOS tables of a machine
 *
 * Tables are built as blobs whose inner pointers are offsets, with a list of
 * what has to be patched once addresses are known. Firmware gets blobs and
 * list through fw_cfg; direct boot patches and places them itself.
 * Source: ACPI Specification 6.3, chapter 5.2; DMTF DSP0134 (SMBIOS) 2.8.
 */
#ifndef HW_ACPI_ACPI_H
#define HW_ACPI_ACPI_H

#include "hw/hw.h"

#define ACPI_PM_BASE   0x600    /* where firmware puts the PM registers */
#define ACPI_PIIX4_GPE 0x0c     /* GPE0_BLK in them */
#define ACPI_PIIX4_GPE_LEN 4
#define ACPI_ICH9_GPE  0x20
#define ACPI_ICH9_GPE_LEN 16
#define ACPI_SMB_BASE  0x700
#define ACPI_RSDP_LEN  36
#define SMBIOS_ANCHOR_LEN 31

/** struct acpi_patch - what the address of the blobs decides */
struct acpi_patch {
    enum { PATCH_POINTER, PATCH_CHECKSUM } kind;
    bool in_rsdp;              /* else in the tables blob; pointers always
                                * point into the tables blob */
    uint32_t offset;           /* of the pointer or checksum byte */
    uint32_t start, len;       /* checksum: range summed */
    uint8_t size;              /* pointer: 4 or 8 bytes */
};

#define ACPI_MAX_PATCHES 64
struct acpi_tables {
    uint8_t *tables;           /* wants 64-byte alignment (FACS) */
    size_t len, room;
    uint8_t rsdp[ACPI_RSDP_LEN]; /* wants 16-byte alignment */
    struct acpi_patch patch[ACPI_MAX_PATCHES];
    unsigned n_patches;
};

/** acpi_pci_window() - first address of the memory window of PCI devices; it
 *  ends at 0xfec00000 */
uint64_t acpi_pci_window(const struct machine *m);

/** acpi_build() - tables for the machine as configured; free with acpi_free() */
struct acpi_tables *acpi_build(struct machine *m);
void acpi_free(struct acpi_tables *t);
/** acpi_place() - resolve pointers and checksums for the given addresses; once */
void acpi_place(struct acpi_tables *t, gpa_t tables_at);
/** acpi_loader_script() - linker/loader commands for "etc/table-loader"
 *  Returns malloc'd bytes, *@len a multiple of 128. */
uint8_t *acpi_loader_script(const struct acpi_tables *t, size_t *len);

/** struct smbios - tables and a 2.1 entry point without address */
struct smbios {
    uint8_t *tables;
    size_t len, room;
    unsigned count;
    size_t max_len;            /* longest structure */
    uint8_t anchor[SMBIOS_ANCHOR_LEN];
};

struct smbios *smbios_build(struct machine *m);
void smbios_free(struct smbios *s);
/** smbios_place() - write the tables' address and checksums into the anchor */
void smbios_place(struct smbios *s, uint32_t tables_at);

/** acpi_publish() - give ACPI and SMBIOS to the firmware through m->fw_cfg;
 *  0 or -errno with @e set */
int acpi_publish(struct machine *m, struct err *e) MUST_CHECK;

#endif
