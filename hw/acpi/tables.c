/*
 * tables.c - RSDP, RSDT, XSDT, FADT, FACS, DSDT, SSDT, MADT, HPET, MCFG, DMAR
 */
#define _GNU_SOURCE 1
#include <stdlib.h>
#include <string.h>
#include "dsdt.aml.h"              /* made from dsdt.asl, dsdt-q35.asl */
#include "dsdt-q35.aml.h"
#include "hw/acpi/acpi.h"
#include "hw/pci/pci.h"

#define HEADER_LEN    36
#define CHECKSUM_AT   9
#define LAPIC_ADDR    0xfee00000u
#define IOAPIC_ADDR   0xfec00000u
#define HPET_ADDR     0xfed00000u
#define SCI_IRQ       9
#define LOADER_ENTRY  128
#define LOADER_NAME   56
#define MAX_TABLES    8

static const char tables_file[] = "etc/acpi/tables";
static const char rsdp_file[] = "etc/acpi/rsdp";

/* What differs between the boards. */
static const struct board_acpi {
    const uint8_t *dsdt;
    uint32_t dsdt_len;
    uint8_t gpe, gpe_len;          /* GPE0_BLK in the PM registers */
} boards[] = {
    [BOARD_PC] = { dsdt_aml, sizeof dsdt_aml, ACPI_PIIX4_GPE, ACPI_PIIX4_GPE_LEN },
    [BOARD_Q35] = { dsdt_q35_aml, sizeof dsdt_q35_aml, ACPI_ICH9_GPE, ACPI_ICH9_GPE_LEN },
};

/* ---- appending ---------------------------------------------------------------------- */

static uint8_t *blob_grow(struct acpi_tables *t, size_t n)
{
    if (t->len + n > t->room) {
        t->room = (t->len + n) * 2;
        t->tables = xrealloc(t->tables, t->room);
    }
    if (n)
        memset(t->tables + t->len, 0, n);
    t->len += n;
    return t->tables + t->len - n;
}

static void blob_put(struct acpi_tables *t, uint64_t v, unsigned size)
{
    memcpy(blob_grow(t, size), &v, size);
}

static struct acpi_patch *patch_add(struct acpi_tables *t)
{
    assert(t->n_patches < ACPI_MAX_PATCHES);
    return &t->patch[t->n_patches++];
}

static void patch_pointer(struct acpi_tables *t, bool in_rsdp, uint32_t offset, uint8_t size)
{
    *patch_add(t) = (struct acpi_patch){ .kind = PATCH_POINTER, .in_rsdp = in_rsdp,
                                         .offset = offset, .size = size };
}

static void patch_checksum(struct acpi_tables *t, bool in_rsdp, uint32_t offset,
                           uint32_t start, uint32_t len)
{
    *patch_add(t) = (struct acpi_patch){ .kind = PATCH_CHECKSUM, .in_rsdp = in_rsdp,
                                         .offset = offset, .start = start, .len = len };
}

/* A pointer of @size bytes at the end of the blob, to blob offset @target. */
static void blob_pointer(struct acpi_tables *t, uint32_t target, uint8_t size)
{
    patch_pointer(t, false, t->len, size);
    blob_put(t, target, size);
}

/* Returns the table's offset in the blob. */
static uint32_t table_begin(struct acpi_tables *t, const char *sig, uint8_t revision)
{
    uint8_t *h;

    blob_grow(t, align_up(t->len, 16) - t->len);
    h = blob_grow(t, HEADER_LEN);
    memcpy(h, sig, 4);
    h[8] = revision;
    memcpy(h + 10, "TRNSOM", 6);
    memcpy(h + 16, "TRNS", 4);
    memcpy(h + 20, sig, 4);
    stl32(h + 24, 1);
    memcpy(h + 28, "TRNS", 4);
    stl32(h + 32, 1);
    return t->len - HEADER_LEN;
}

static void table_end(struct acpi_tables *t, uint32_t at)
{
    stl32(t->tables + at + 4, t->len - at);
    patch_checksum(t, false, at + CHECKSUM_AT, at, t->len - at);
}

/* ---- the tables ------------------------------------------------------------------------ */

static uint32_t build_facs(struct acpi_tables *t)
{
    uint8_t *p;

    blob_grow(t, align_up(t->len, 64) - t->len);
    p = blob_grow(t, 64);
    memcpy(p, "FACS", 4);
    stl32(p + 4, 64);
    p[32] = 1;                         /* version */
    return t->len - 64;
}

/* Without \_S3 or \_S4 there is no such sleep; the object stays under a name that means nothing. */
static void hide_sleep(uint8_t *aml, size_t len, char state)
{
    const uint8_t name[] = { 0x08, '_', 'S', state, '_' };       /* NameOp, NameSeg */
    uint8_t *p = memmem(aml, len, name, sizeof name);

    assert(p);
    p[1] = 'X';
}

static uint32_t build_dsdt(struct acpi_tables *t, const struct board_acpi *b, const struct machine_config *cfg)
{
    uint32_t at;

    blob_grow(t, align_up(t->len, 16) - t->len);
    at = t->len;
    memcpy(blob_grow(t, b->dsdt_len), b->dsdt, b->dsdt_len);
    if (cfg->no_s3[cfg->board])
        hide_sleep(t->tables + at, b->dsdt_len, '3');
    if (cfg->no_s4[cfg->board])
        hide_sleep(t->tables + at, b->dsdt_len, '4');
    t->tables[at + CHECKSUM_AT] = 0;
    table_end(t, at);
    return at;
}

/* Generic Address Structure in system I/O space. */
static void put_gas_io(struct acpi_tables *t, uint8_t bits, uint8_t access, uint16_t port)
{
    blob_put(t, port ? 1 : 0, 1);
    blob_put(t, bits, 1);
    blob_put(t, 0, 1);
    blob_put(t, access, 1);
    blob_put(t, port, 8);
}

static void fadt_extended(struct acpi_tables *t, const struct board_acpi *b, uint32_t dsdt)
{
    put_gas_io(t, 8, 1, 0xcf9);                  /* RESET_REG */
    blob_put(t, 0x06, 1);                        /* RESET_VALUE */
    blob_put(t, 0, 3);
    blob_put(t, 0, 8);                           /* X_FIRMWARE_CTRL: the 32-bit one */
    blob_pointer(t, dsdt, 8);
    put_gas_io(t, 32, 2, ACPI_PM_BASE);
    put_gas_io(t, 0, 0, 0);
    put_gas_io(t, 16, 2, ACPI_PM_BASE + 4);
    put_gas_io(t, 0, 0, 0);
    put_gas_io(t, 0, 0, 0);
    put_gas_io(t, 32, 3, ACPI_PM_BASE + 8);
    put_gas_io(t, b->gpe_len * 8, 1, ACPI_PM_BASE + b->gpe);
    put_gas_io(t, 0, 0, 0);
}

static uint32_t build_fadt(struct acpi_tables *t, const struct board_acpi *b, uint32_t facs,
                           uint32_t dsdt)
{
    enum { WBINVD = 1 << 0, PROC_C1 = 1 << 2, NO_SLP_BUTTON = 1 << 5,
           NO_FIX_RTC = 1 << 6, RESET_REG_SUP = 1 << 10,
           USE_PLATFORM_CLOCK = 1 << 15 };
    uint32_t at = table_begin(t, "FACP", 3);

    blob_pointer(t, facs, 4);
    blob_pointer(t, dsdt, 4);
    blob_put(t, 0, 1);                           /* INT_MODEL of ACPI 1.0 */
    blob_put(t, 0, 1);                           /* no preferred profile */
    blob_put(t, SCI_IRQ, 2);
    blob_put(t, 0xb2, 4);                        /* SMI_CMD */
    blob_put(t, 0xf1, 1);                        /* ACPI_ENABLE */
    blob_put(t, 0xf0, 1);                        /* ACPI_DISABLE */
    blob_put(t, 0, 2);                           /* S4BIOS_REQ, PSTATE_CNT */
    blob_put(t, ACPI_PM_BASE, 4);                /* PM1a_EVT_BLK */
    blob_put(t, 0, 4);
    blob_put(t, ACPI_PM_BASE + 4, 4);            /* PM1a_CNT_BLK */
    blob_put(t, 0, 8);                           /* PM1b_CNT, PM2_CNT */
    blob_put(t, ACPI_PM_BASE + 8, 4);            /* PM_TMR_BLK */
    blob_put(t, ACPI_PM_BASE + b->gpe, 4);       /* GPE0_BLK */
    blob_put(t, 0, 4);
    blob_put(t, 4, 1);                           /* PM1_EVT_LEN */
    blob_put(t, 2, 1);                           /* PM1_CNT_LEN */
    blob_put(t, 0, 1);                           /* PM2_CNT_LEN */
    blob_put(t, 4, 1);                           /* PM_TMR_LEN */
    blob_put(t, b->gpe_len, 1);                  /* GPE0_BLK_LEN */
    blob_put(t, 0, 3);                           /* GPE1 length and base, CST_CNT */
    blob_put(t, 0xfff, 2);                       /* P_LVL2_LAT: none */
    blob_put(t, 0xfff, 2);
    blob_put(t, 0, 4);                           /* flush size and stride */
    blob_put(t, 0, 4);                           /* duty offset, width, DAY_, MON_ALRM */
    blob_put(t, 0x32, 1);                        /* CENTURY */
    blob_put(t, 3, 2);                           /* legacy devices, 8042 */
    blob_put(t, 0, 1);
    blob_put(t, WBINVD | PROC_C1 | NO_SLP_BUTTON | NO_FIX_RTC | RESET_REG_SUP |
             USE_PLATFORM_CLOCK, 4);
    fadt_extended(t, b, dsdt);
    table_end(t, at);
    return at;
}

static void madt_override(struct acpi_tables *t, uint8_t irq, uint32_t gsi, uint16_t flags)
{
    blob_put(t, 2 | 10 << 8, 2);                 /* type, length */
    blob_put(t, 0, 1);                           /* ISA */
    blob_put(t, irq, 1);
    blob_put(t, gsi, 4);
    blob_put(t, flags, 2);
}

static uint32_t build_madt(struct acpi_tables *t, struct machine *m)
{
    enum { ACTIVE_HIGH = 1, LEVEL = 3 << 2 };
    uint32_t at = table_begin(t, "APIC", 3);
    static const uint8_t level_irqs[] = { 5, 9, 10, 11 };

    blob_put(t, LAPIC_ADDR, 4);
    blob_put(t, 1, 4);                           /* PCAT_COMPAT: there are 8259s */
    for (unsigned i = 0; i < m->cfg.n_vcpus && i < 255; i++) {
        blob_put(t, 0 | 8 << 8, 2);
        blob_put(t, i, 1);                       /* ACPI processor UID */
        blob_put(t, machine_apic_id(m, i), 1);
        blob_put(t, 1, 4);                       /* enabled */
    }
    blob_put(t, 1 | 12 << 8, 2);
    blob_put(t, 0, 2);                           /* I/O APIC ID 0 */
    blob_put(t, IOAPIC_ADDR, 4);
    blob_put(t, 0, 4);                           /* first GSI */
    madt_override(t, 0, 2, 0);
    for (size_t i = 0; i < ARRAY_SIZE(level_irqs); i++)
        madt_override(t, level_irqs[i], level_irqs[i], ACTIVE_HIGH | LEVEL);
    blob_put(t, 4 | 6 << 8, 2);                  /* NMI on LINT1 of every CPU */
    blob_put(t, 0xff, 1);
    blob_put(t, 0, 2);
    blob_put(t, 1, 1);
    table_end(t, at);
    return at;
}

static uint32_t build_hpet(struct acpi_tables *t)
{
    uint32_t at = table_begin(t, "HPET", 1);

    blob_put(t, 0x8086a201, 4);                  /* as the capabilities register */
    blob_put(t, 0, 4);                           /* GAS: system memory */
    blob_put(t, HPET_ADDR, 8);
    blob_put(t, 0, 1);                           /* sequence number */
    blob_put(t, 100, 2);                         /* minimum tick, periodic mode */
    blob_put(t, 0, 1);
    table_end(t, at);
    return at;
}

/* PCI Firmware Specification 3.0, 4.1.2: one window for segment 0, all buses */
static uint32_t build_mcfg(struct acpi_tables *t, struct machine *m)
{
    uint32_t at = table_begin(t, "MCFG", 1);

    blob_put(t, 0, 8);
    blob_put(t, mch_ecam_base(m), 8);
    blob_put(t, 0, 2);                           /* segment */
    blob_put(t, 0, 1);                           /* first bus */
    blob_put(t, 255, 1);                         /* last bus */
    blob_put(t, 0, 4);
    table_end(t, at);
    return at;
}

/* Device scope of something that is no PCI function, by its requester ID. */
static void dmar_scope(struct acpi_tables *t, uint8_t type, uint8_t id, uint16_t rid)
{
    blob_put(t, type | 8 << 8, 2);               /* length 8: a path of one hop */
    blob_put(t, 0, 2);
    blob_put(t, id, 1);
    blob_put(t, rid >> 8, 1);
    blob_put(t, PCI_SLOT(rid & 0xff), 1);
    blob_put(t, PCI_FUNC(rid & 0xff), 1);
}

/* VT-d specification, 8.1-8.3: one unit that all devices are behind. */
static uint32_t build_dmar(struct acpi_tables *t, const struct machine *m)
{
    enum { INTR_REMAP = 1, X2APIC_OPT_OUT = 2, INCLUDE_PCI_ALL = 1, SCOPE_IOAPIC = 3,
           SCOPE_HPET = 4, DRHD_LEN = 16 + 2 * 8 };
    uint32_t at = table_begin(t, "DMAR", 1);

    blob_put(t, m->iommu->addr_bits - 1, 1);
    blob_put(t, (m->iommu->intremap ? INTR_REMAP : 0) | (m->iommu->eim ? 0 : X2APIC_OPT_OUT), 1);
    blob_put(t, 0, 8);
    blob_put(t, 0, 2);
    blob_put(t, 0 | DRHD_LEN << 16, 4);          /* type, length */
    blob_put(t, INCLUDE_PCI_ALL, 2);
    blob_put(t, 0, 2);                           /* segment */
    blob_put(t, m->iommu->regs, 8);
    dmar_scope(t, SCOPE_IOAPIC, 0, RID_IOAPIC);
    dmar_scope(t, SCOPE_HPET, 0, RID_HPET);
    table_end(t, at);
    return at;
}

uint64_t acpi_pci_window(const struct machine *m)
{
    if (m->cfg.board == BOARD_Q35)
        return MCH_ECAM_BASE + MCH_ECAM_LEN;
    return m->ram_low.len <= 2 * GiB ? 2 * GiB : 3 * GiB;
}

/* AML: Name (\NAME, DWord) */
static void aml_name(struct acpi_tables *t, const char *name, uint32_t v)
{
    blob_put(t, 0x08, 1);
    blob_put(t, '\\', 1);
    memcpy(blob_grow(t, 4), name, 4);
    blob_put(t, 0x0c, 1);
    blob_put(t, v, 4);
}

static uint32_t build_ssdt(struct acpi_tables *t, struct machine *m)
{
    uint32_t at = table_begin(t, "SSDT", 2), com = 0;

    for (unsigned i = 0; i < ARRAY_SIZE(m->cfg.serial); i++)
        com |= (m->cfg.serial[i] != NULL) << i;
    aml_name(t, "COMM", com);
    aml_name(t, "HPEM", !m->cfg.no_hpet);
    aml_name(t, "PCIB", acpi_pci_window(m));
    if (m->cfg.board == BOARD_Q35)
        aml_name(t, "MCFB", mch_ecam_base(m));
    table_end(t, at);
    return at;
}

static uint32_t build_root(struct acpi_tables *t, const char *sig, unsigned size,
                           const uint32_t *tables, unsigned n)
{
    uint32_t at = table_begin(t, sig, 1);

    for (unsigned i = 0; i < n; i++)
        blob_pointer(t, tables[i], size);
    table_end(t, at);
    return at;
}

static void build_rsdp(struct acpi_tables *t, uint32_t rsdt, uint32_t xsdt)
{
    uint8_t *p = t->rsdp;

    memcpy(p, "RSD PTR ", 8);
    memcpy(p + 9, "TRNSOM", 6);
    p[15] = 2;
    stl32(p + 16, rsdt);
    stl32(p + 20, ACPI_RSDP_LEN);
    stl64(p + 24, xsdt);
    patch_pointer(t, true, 16, 4);
    patch_pointer(t, true, 24, 8);
    patch_checksum(t, true, 8, 0, 20);
    patch_checksum(t, true, 32, 0, ACPI_RSDP_LEN);
}

struct acpi_tables *acpi_build(struct machine *m)
{
    const struct board_acpi *b = &boards[m->cfg.board];
    struct acpi_tables *t = xzalloc(sizeof *t);
    uint32_t list[MAX_TABLES], facs, dsdt, rsdt;
    unsigned n = 0;

    facs = build_facs(t);
    dsdt = build_dsdt(t, b, &m->cfg);
    list[n++] = build_fadt(t, b, facs, dsdt);
    list[n++] = build_madt(t, m);
    if (!m->cfg.no_hpet)
        list[n++] = build_hpet(t);
    if (m->cfg.board == BOARD_Q35)
        list[n++] = build_mcfg(t, m);
    if (m->iommu)
        list[n++] = build_dmar(t, m);
    list[n++] = build_ssdt(t, m);
    rsdt = build_root(t, "RSDT", 4, list, n);
    build_rsdp(t, rsdt, build_root(t, "XSDT", 8, list, n));
    return t;
}

void acpi_free(struct acpi_tables *t)
{
    if (t)
        free(t->tables);
    free(t);
}

/* ---- addresses ------------------------------------------------------------------------------ */

static uint8_t sum_bytes(const uint8_t *p, size_t n)
{
    uint8_t s = 0;

    while (n--)
        s += *p++;
    return s;
}

/* The list holds all pointers of a table before its checksum, except that the
 * roots come last; so pointers go first, then checksums in order. */
void acpi_place(struct acpi_tables *t, gpa_t tables_at)
{
    for (unsigned i = 0; i < t->n_patches; i++) {
        struct acpi_patch *p = &t->patch[i];
        uint8_t *at = (p->in_rsdp ? t->rsdp : t->tables) + p->offset;
        uint64_t v = 0;

        if (p->kind != PATCH_POINTER)
            continue;
        memcpy(&v, at, p->size);
        v += tables_at;
        memcpy(at, &v, p->size);
    }
    for (unsigned i = 0; i < t->n_patches; i++) {
        struct acpi_patch *p = &t->patch[i];
        uint8_t *blob = p->in_rsdp ? t->rsdp : t->tables;

        if (p->kind == PATCH_CHECKSUM)
            blob[p->offset] -= sum_bytes(blob + p->start, p->len);
    }
}

static void loader_allocate(uint8_t *cmd, const char *file, uint32_t align, uint8_t zone)
{
    stl32(cmd, 1);
    strncpy((char *)cmd + 4, file, LOADER_NAME - 1);
    stl32(cmd + 4 + LOADER_NAME, align);
    cmd[8 + LOADER_NAME] = zone;       /* 1: high memory, 2: 0xF0000 segment */
}

static void loader_patch(uint8_t *cmd, const struct acpi_patch *p)
{
    const char *file = p->in_rsdp ? rsdp_file : tables_file;

    strncpy((char *)cmd + 4, file, LOADER_NAME - 1);
    if (p->kind == PATCH_POINTER) {
        uint8_t *src = cmd + 4 + LOADER_NAME;

        stl32(cmd, 2);
        strncpy((char *)src, tables_file, LOADER_NAME - 1);
        stl32(src + LOADER_NAME, p->offset);
        src[LOADER_NAME + 4] = p->size;
    } else {
        stl32(cmd, 3);
        stl32(cmd + 4 + LOADER_NAME, p->offset);
        stl32(cmd + 8 + LOADER_NAME, p->start);
        stl32(cmd + 12 + LOADER_NAME, p->len);
    }
}

uint8_t *acpi_loader_script(const struct acpi_tables *t, size_t *len)
{
    uint8_t *script, *cmd;

    *len = (2 + t->n_patches) * LOADER_ENTRY;
    script = cmd = xzalloc(*len);
    loader_allocate(cmd, rsdp_file, 16, 2);
    loader_allocate(cmd += LOADER_ENTRY, tables_file, 64, 1);
    for (int kind = PATCH_POINTER; kind <= PATCH_CHECKSUM; kind++)
        for (unsigned i = 0; i < t->n_patches; i++)
            if ((int)t->patch[i].kind == kind)
                loader_patch(cmd += LOADER_ENTRY, &t->patch[i]);
    return script;
}
