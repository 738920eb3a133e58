/*
 * disk.h - a board with one vCPU's interrupt controller and a drive on a raw
 * temporary file, for the tests of disk controllers
 */
#ifndef TESTS_HW_DISK_H
#define TESTS_HW_DISK_H

#include <stdlib.h>
#include <unistd.h>
#include "hw/disk/drive.h"
#include "hw/intc/intc.h"
#include "hw/prop.h"
#include "tests/hw/board.h"
#include "tests/hw/chips.h"

struct rig {
    struct bench b;
    struct machine *m;
    struct block_ctx *ctx;
    char path[4][40];
    unsigned n_files;
    int line[4];                /* PIRQ levels */
};

static inline void rig_init(struct rig *r)
{
    struct err e = { "" };

    memset(r, 0, sizeof *r);
    bench_init(&r->b, 1);
    r->m = r->b.m;
    cr_assert_eq(lapic_new_all(r->m, &e), 0);
    pci_bus_new(r->m);
    board_add(r->m, &i440fx_type, PCI_DEVFN(0, 0));
    board_add(r->m, &piix3_type, PCI_DEVFN(1, 0));
    r->m->pci->pirq_set = watch_line;
    r->m->pci->pirq_opaque = r->line;
    r->ctx = block_ctx_new(2, &e);
    cr_assert_not_null(r->ctx, "%s", e.msg);
}

/* a drive whose sector n is filled with byte n + 1; @bytes: then zeroes up to there, 0: none */
static inline struct drive *rig_drive_with(struct rig *r, const char *id, unsigned sectors, uint64_t bytes, bool discard)
{
    struct block_opts o;
    struct err e = { "" };
    struct block *blk;
    char *path = r->path[r->n_files++];
    uint8_t sector[512];
    int fd;

    block_opts_init(&o);
    strcpy(path, "/tmp/transom-disk-XXXXXX");
    fd = mkstemp(path);
    for (unsigned i = 0; i < sectors; i++) {
        memset(sector, i + 1, sizeof sector);
        cr_assert_eq(write(fd, sector, sizeof sector), 512);
    }
    if (bytes)
        cr_assert_eq(ftruncate(fd, bytes), 0);
    close(fd);
    o.discard = discard;
    if (sectors) {
        o.file = xstrdup(path);
        o.format = xstrdup("raw");
    }
    blk = block_open(r->ctx, &o, &e);
    cr_assert_not_null(blk, "%s", e.msg);
    block_opts_free(&o);
    return drive_new(r->m, id, blk);
}

/* one that discards; 0 sectors: an empty one */
static inline struct drive *rig_drive(struct rig *r, const char *id, unsigned sectors)
{
    return rig_drive_with(r, id, sectors, 0, true);
}

struct rig_setup {
    uint8_t devfn;
    const char *const *props;   /* name, value, ..., NULL */
};

static inline void rig_setup_device(struct device *d, const void *arg)
{
    const struct rig_setup *s = arg;
    struct err e = { "" };

    prop_defaults(d);
    ((struct pci_device *)d)->devfn = s->devfn;
    for (const char *const *p = s->props; p && *p; p += 2)
        cr_assert_eq(prop_set(d, p[0], p[1], &e), 0, "%s", e.msg);
}

static inline struct device *rig_add(struct rig *r, const struct device_type *t, uint8_t devfn,
                                     const char *const *props)
{
    struct rig_setup s = { devfn, props };
    struct err e = { "" };
    struct device *d = machine_add_device(r->m, t, 0, NULL, rig_setup_device, &s, &e);

    cr_assert_not_null(d, "%s", e.msg);
    machine_reset(r->m);
    r->m->pci->pirq_set = watch_line;
    lapic_mmio_write(r->b.v[0].lapic, 0x0f0, 0x1ff, 4);
    return d;
}

/* run completions until @d has none left */
static inline void rig_wait(struct rig *r, struct drive *d)
{
    while (drive_busy(d) && !d->parked)
        block_ctx_wait(r->ctx, 100000000);
}

static inline void rig_free(struct rig *r)
{
    struct drive *drives = r->m->drives;

    r->m->pci->pirq_set = NULL;
    machine_free(r->m);
    drives_free(drives, NULL);
    block_ctx_free(r->ctx);
    for (unsigned i = 0; i < r->n_files; i++)
        unlink(r->path[i]);
}

/* byte @off of the file behind drive number @n */
static inline int rig_file_byte(struct rig *r, unsigned n, long off)
{
    FILE *f = fopen(r->path[n], "r");
    int c;

    fseek(f, off, SEEK_SET);
    c = fgetc(f);
    fclose(f);
    return c;
}

/* vector that arrived, or -1 */
static inline int rig_vector(struct rig *r)
{
    int v = lapic_ack(r->b.v[0].lapic);

    if (v >= 0)
        lapic_eoi(r->b.v[0].lapic);
    return v;
}

#endif
