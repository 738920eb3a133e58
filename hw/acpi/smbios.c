/*
 * smbios.c - SMBIOS 2.8 structures: types 0, 1, 3, 4, 16, 17, 19, 32, 127
 */
#include <stdlib.h>
#include "hw/acpi/acpi.h"

#define RAM_HANDLE     0x1000
#define DIMM_MAX_MIB   (16 * 1024)    /* one memory device a 16 GiB */
#define MAX_DIMMS      64

/* One structure under construction: formatted area, then its strings. */
struct record {
    uint8_t data[256];
    uint8_t len;                       /* of the formatted area */
    const char *strings[8];
    unsigned n_strings;
};

static void put(struct record *r, uint64_t v, unsigned size)
{
    memcpy(r->data + r->len, &v, size);
    r->len += size;
}

static void put_string(struct record *r, const char *s)
{
    r->strings[r->n_strings++] = s;
    put(r, r->n_strings, 1);
}

static struct record begin(uint8_t type, uint16_t handle)
{
    struct record r = { .len = 0 };

    put(&r, type, 1);
    put(&r, 0, 1);                     /* length, set by end() */
    put(&r, handle, 2);
    return r;
}

static void append(struct smbios *s, const void *p, size_t n)
{
    if (s->len + n > s->room) {
        s->room = (s->len + n) * 2;
        s->tables = xrealloc(s->tables, s->room);
    }
    memcpy(s->tables + s->len, p, n);
    s->len += n;
}

static void end(struct smbios *s, struct record *r)
{
    size_t start = s->len;

    r->data[1] = r->len;
    append(s, r->data, r->len);
    for (unsigned i = 0; i < r->n_strings; i++)
        append(s, r->strings[i], strlen(r->strings[i]) + 1);
    append(s, "\0", r->n_strings ? 1 : 2);   /* the set ends with two zeros */
    s->count++;
    s->max_len = MAX(s->max_len, s->len - start);
}

/* ---- the structures ------------------------------------------------------------------ */

static void type0_bios(struct smbios *s)
{
    struct record r = begin(0, 0x0000);

    put_string(&r, "Transom");
    put_string(&r, "1.0");
    put(&r, 0xe800, 2);                /* start segment */
    put_string(&r, "01/01/2024");
    put(&r, 0, 1);                     /* 64 KiB */
    put(&r, 0x08, 8);                  /* characteristics are not given */
    put(&r, 0, 1);
    put(&r, 0x14, 1);                  /* targeted content, virtual machine */
    put(&r, 0, 1);
    put(&r, 0, 1);
    put(&r, 0xffff, 2);                /* no embedded controller */
    end(s, &r);
}

/* RFC 4122 text to SMBIOS order: the first three groups are little-endian. */
static void uuid_bytes(const char *text, uint8_t out[16])
{
    static const uint8_t order[16] = { 3, 2, 1, 0, 5, 4, 7, 6,
                                       8, 9, 10, 11, 12, 13, 14, 15 };
    unsigned n = 0, v;

    memset(out, 0, 16);
    while (text && *text && n < 16) {
        if (*text == '-') {
            text++;
            continue;
        }
        if (sscanf(text, "%2x", &v) != 1 || !text[1])
            break;
        out[order[n++]] = v;
        text += 2;
    }
}

static bool q35(const struct machine *m)
{
    return m->cfg.board == BOARD_Q35;
}

static const char *board_name(const struct machine *m)
{
    return q35(m) ? "pc-q35" : "pc-i440fx";
}

static void type1_system(struct smbios *s, struct machine *m)
{
    struct record r = begin(1, 0x0100);
    uint8_t uuid[16];

    put_string(&r, "Transom");
    put_string(&r, q35(m) ? "Standard PC (Q35 + ICH9)" : "Standard PC (i440FX + PIIX)");
    put_string(&r, board_name(m));
    put(&r, 0, 1);                     /* no serial number */
    uuid_bytes(m->cfg.uuid, uuid);
    put(&r, ldl64(uuid), 8);
    put(&r, ldl64(uuid + 8), 8);
    put(&r, 6, 1);                     /* woken by the power switch */
    put(&r, 0, 2);                     /* SKU, family */
    end(s, &r);
}

static void type3_chassis(struct smbios *s, struct machine *m)
{
    struct record r = begin(3, 0x0300);

    put_string(&r, "Transom");
    put(&r, 1, 1);                     /* other */
    put_string(&r, board_name(m));
    put(&r, 0, 2);                     /* serial, asset tag */
    put(&r, 0x030303, 3);              /* boot, power, thermal state: safe */
    put(&r, 2, 1);                     /* security: unknown */
    put(&r, 0, 8);                     /* OEM, height, cords, no elements */
    put(&r, 0, 1);                     /* SKU */
    end(s, &r);
}

/* Socket @n. The topology's places that are none of the machine's vCPUs are not told of. */
static void type4_processor(struct smbios *s, struct machine *m, unsigned n, unsigned cores, unsigned threads)
{
    struct record r = begin(4, 0x0400 + n);
    uint32_t mhz = m->cfg.tsc_hz / 1000000;

    put_string(&r, "CPU");
    put(&r, 3, 1);                     /* central processor */
    put(&r, 1, 1);                     /* family: other */
    put_string(&r, "Transom");
    put(&r, m->cfg.cpu_signature, 4);
    put(&r, m->cfg.cpu_features_edx, 4);
    put_string(&r, board_name(m));
    put(&r, 0, 1);                     /* voltage */
    put(&r, 0, 2);                     /* external clock: unknown */
    put(&r, MIN(mhz, 0xffffu), 2);     /* maximum and current speed */
    put(&r, MIN(mhz, 0xffffu), 2);
    put(&r, 0x41, 1);                  /* populated, enabled */
    put(&r, 1, 1);                     /* upgrade: other */
    put(&r, 0xffffffffffffull, 6);     /* no cache structures */
    put(&r, 0, 3);                     /* serial, asset, part */
    put(&r, cores, 1);
    put(&r, cores, 1);                 /* enabled */
    put(&r, cores * threads, 1);
    put(&r, 0x02, 2);                  /* characteristics: unknown */
    put(&r, 1, 2);                     /* family 2: other */
    end(s, &r);
}

static void types_processor(struct smbios *s, struct machine *m)
{
    unsigned threads = MAX(m->cfg.threads, 1u), left = m->cfg.n_vcpus;
    unsigned cores = m->cfg.cores ? m->cfg.cores * MAX(m->cfg.dies, 1u) : (left + threads - 1) / threads;

    for (unsigned n = 0; left; n++) {
        unsigned here = MIN(left, cores * threads);

        type4_processor(s, m, n, (here + threads - 1) / threads, threads);
        left -= here;
    }
}

static void type16_array(struct smbios *s, uint64_t ram, unsigned dimms)
{
    struct record r = begin(16, RAM_HANDLE);

    put(&r, 1, 1);                     /* location: other */
    put(&r, 3, 1);                     /* system memory */
    put(&r, 6, 1);                     /* multi-bit ECC */
    put(&r, ram / KiB < 0x80000000u ? ram / KiB : 0x80000000u, 4);
    put(&r, 0xfffe, 2);                /* no error information */
    put(&r, dimms, 2);
    put(&r, ram / KiB < 0x80000000u ? 0 : ram, 8);
    end(s, &r);
}

static void type17_device(struct smbios *s, unsigned n, uint32_t mib)
{
    struct record r = begin(17, RAM_HANDLE + 0x100 + n);
    char locator[16];

    snprintf(locator, sizeof locator, "DIMM %u", n);
    put(&r, RAM_HANDLE, 2);
    put(&r, 0xfffe, 2);
    put(&r, 0xffff, 2);                /* widths: unknown */
    put(&r, 0xffff, 2);
    put(&r, mib < 0x7fff ? mib : 0x7fff, 2);
    put(&r, 9, 1);                     /* DIMM */
    put(&r, 0, 1);                     /* in no set */
    put_string(&r, locator);
    put(&r, 0, 1);
    put(&r, 7, 1);                     /* RAM */
    put(&r, 2, 2);                     /* detail: other */
    put(&r, 0, 2);                     /* speed: unknown */
    put_string(&r, "Transom");
    put(&r, 0, 3);                     /* serial, asset, part */
    put(&r, 0, 1);                     /* rank: unknown */
    put(&r, mib < 0x7fff ? 0 : mib, 4);
    put(&r, 0, 2);                     /* configured speed */
    put(&r, 0, 6);                     /* voltages */
    end(s, &r);
}

static void type19_mapped(struct smbios *s, unsigned n, gpa_t base, uint64_t len)
{
    struct record r = begin(19, 0x1300 + n);
    bool wide = (base + len) / KiB > UINT32_MAX;

    put(&r, wide ? UINT32_MAX : base / KiB, 4);
    put(&r, wide ? UINT32_MAX : (base + len) / KiB - 1, 4);
    put(&r, RAM_HANDLE, 2);
    put(&r, 1, 1);                     /* partition width */
    put(&r, wide ? base : 0, 8);
    put(&r, wide ? base + len - 1 : 0, 8);
    end(s, &r);
}

static void types_memory(struct smbios *s, struct machine *m)
{
    uint64_t left = m->cfg.ram_bytes / MiB;
    unsigned dimms = MIN((left + DIMM_MAX_MIB - 1) / DIMM_MAX_MIB, MAX_DIMMS);

    type16_array(s, m->cfg.ram_bytes, dimms);
    for (unsigned n = 0; n < dimms; n++) {
        uint64_t mib = n + 1 == dimms ? left : DIMM_MAX_MIB;

        type17_device(s, n, mib);
        left -= mib;
    }
    type19_mapped(s, 0, 0, m->ram_low.len);
    if (m->ram_high.len)
        type19_mapped(s, 1, m->ram_high.base, m->ram_high.len);
}

static void types_rest(struct smbios *s)
{
    struct record boot = begin(32, 0x2000), last = begin(127, 0x7f00);

    put(&boot, 0, 6);
    put(&boot, 0, 1);                  /* no errors detected */
    end(s, &boot);
    end(s, &last);
}

/* ---- entry point --------------------------------------------------------------------------- */

static uint8_t negative_sum(const uint8_t *p, size_t n)
{
    uint8_t v = 0;

    while (n--)
        v -= *p++;
    return v;
}

void smbios_place(struct smbios *s, uint32_t tables_at)
{
    uint8_t *a = s->anchor;

    stl32(a + 24, tables_at);
    a[4] = a[21] = 0;
    a[21] = negative_sum(a + 16, 15);
    a[4] = negative_sum(a, SMBIOS_ANCHOR_LEN);
}

static void build_anchor(struct smbios *s)
{
    uint8_t *a = s->anchor;

    memcpy(a, "_SM_", 4);
    a[5] = SMBIOS_ANCHOR_LEN;
    a[6] = 2, a[7] = 8;
    stl16(a + 8, s->max_len);
    memcpy(a + 16, "_DMI_", 5);
    stl16(a + 22, s->len);
    stl16(a + 28, s->count);
    a[30] = 0x28;
    smbios_place(s, 0);
}

struct smbios *smbios_build(struct machine *m)
{
    struct smbios *s = xzalloc(sizeof *s);

    type0_bios(s);
    type1_system(s, m);
    type3_chassis(s, m);
    types_processor(s, m);
    types_memory(s, m);
    types_rest(s);
    build_anchor(s);
    return s;
}

void smbios_free(struct smbios *s)
{
    if (s)
        free(s->tables);
    free(s);
}
