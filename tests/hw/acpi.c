/* acpi.c - ACPI and SMBIOS tables: placed, scripted, disassembled */
#define _GNU_SOURCE 1
#include <stdlib.h>
#include <unistd.h>
#include "hw/acpi/acpi.h"
#include "tests/hw/stepped.h"

#define AT 0x1f000000u

static struct machine *plain_machine(void)
{
    struct machine *m = stepped_machine();

    m->cfg.n_vcpus = 3;
    m->cfg.uuid = "00112233-4455-6677-8899-aabbccddeeff";
    return m;
}

static uint8_t sum(const uint8_t *p, size_t n)
{
    uint8_t s = 0;

    while (n--)
        s += *p++;
    return s;
}

/* Table @sig as a guest finds it through the XSDT. */
static const uint8_t *find(const struct acpi_tables *t, const char *sig)
{
    const uint8_t *xsdt = t->tables + (ldl64(t->rsdp + 24) - AT);

    for (uint32_t i = 36; i + 8 <= ldl32(xsdt + 4); i += 8) {
        const uint8_t *p = t->tables + (ldl64(xsdt + i) - AT);

        if (memcmp(p, sig, 4) == 0)
            return p;
    }
    return NULL;
}

Test(acpi, everything_sums_to_zero_once_placed)
{
    struct machine *m = plain_machine();
    struct acpi_tables *t = acpi_build(m);
    static const char *sigs[] = { "FACP", "APIC", "HPET", "SSDT" };
    const uint8_t *fadt, *rsdt;

    acpi_place(t, AT);
    cr_assert_eq(sum(t->rsdp, 20), 0);
    cr_assert_eq(sum(t->rsdp, 36), 0);
    for (size_t i = 0; i < ARRAY_SIZE(sigs); i++) {
        const uint8_t *p = find(t, sigs[i]);

        cr_assert_not_null(p, "%s", sigs[i]);
        cr_assert_eq(sum(p, ldl32(p + 4)), 0, "%s", sigs[i]);
    }
    rsdt = t->tables + (ldl32(t->rsdp + 16) - AT);
    cr_assert_arr_eq(rsdt, "RSDT", 4);
    cr_assert_eq(sum(rsdt, ldl32(rsdt + 4)), 0);
    fadt = find(t, "FACP");
    cr_assert_eq(ldl32(fadt + 4), 244);
    cr_assert_eq(ldl64(fadt + 140), ldl32(fadt + 40), "X_DSDT is DSDT");
    cr_assert_arr_eq(t->tables + ldl32(fadt + 40) - AT, "DSDT", 4);
    cr_assert_arr_eq(t->tables + ldl32(fadt + 36) - AT, "FACS", 4);
    cr_assert_eq(ldl32(fadt + 36) % 64, 0, "FACS is aligned");
    cr_assert_eq(ldl32(fadt + 56), ACPI_PM_BASE);
    cr_assert_eq(fadt[88], 4);
    acpi_free(t);
    machine_free(m);
}

Test(acpi, madt_lists_processors_and_overrides)
{
    struct machine *m = plain_machine();
    struct acpi_tables *t = acpi_build(m);
    const uint8_t *p, *end;
    unsigned n[5] = { 0 };

    acpi_place(t, AT);
    p = find(t, "APIC");
    end = p + ldl32(p + 4);
    for (p += 44; p < end; p += p[1]) {
        cr_assert(p[0] < 5 && p[1] >= 6 && p + p[1] <= end);
        n[p[0]]++;
        if (p[0] == 2 && p[3] == 9)
            cr_assert_eq(ldl16(p + 8), 0xd, "SCI: level, active high");
        if (p[0] == 2 && p[3] == 0)
            cr_assert_eq(ldl32(p + 4), 2, "timer on pin 2");
    }
    cr_assert_eq(n[0], 3);
    cr_assert_eq(n[1], 1);
    cr_assert_eq(n[2], 5);
    cr_assert_eq(n[4], 1);
    acpi_free(t);
    machine_free(m);
}

Test(acpi, no_hpet_means_no_table)
{
    struct machine *m = plain_machine();
    struct acpi_tables *t;

    m->cfg.no_hpet = true;
    t = acpi_build(m);
    acpi_place(t, AT);
    cr_assert_null(find(t, "HPET"));
    acpi_free(t);
    machine_free(m);
}

Test(acpi, a_sleep_state_that_is_off_is_no_object)
{
    for (unsigned off = 0; off < 8; off++) {
        struct machine *m = plain_machine();
        struct acpi_tables *t;
        uint8_t sum = 0;
        const uint8_t *dsdt;
        uint32_t len;

        m->cfg.board = off & 4 ? BOARD_Q35 : BOARD_PC;
        m->cfg.no_s3[m->cfg.board] = off & 1;
        m->cfg.no_s4[m->cfg.board] = off & 2;
        m->cfg.no_s3[!m->cfg.board] = m->cfg.no_s4[!m->cfg.board] = !(off & 3);
        t = acpi_build(m);
        acpi_place(t, AT);
        dsdt = t->tables + ldl32(find(t, "FACP") + 40) - AT;
        len = ldl32(dsdt + 4);
        cr_assert_eq(!memmem(dsdt, len, "_S3_", 4), off & 1);
        cr_assert_eq(!memmem(dsdt, len, "_S4_", 4), off >> 1 & 1);
        cr_assert_not_null(memmem(dsdt, len, "_S5_", 4));
        for (uint32_t i = 0; i < len; i++)
            sum += dsdt[i];
        cr_assert_eq(sum, 0);
        acpi_free(t);
        machine_free(m);
    }
}

/* Carries out the firmware's script on copies, as firmware does. */
static void run_script(const uint8_t *s, size_t len, uint8_t *tables, size_t tlen,
                       uint8_t *rsdp)
{
    for (const uint8_t *c = s; c < s + len; c += 128) {
        bool in_rsdp = strcmp((const char *)c + 4, "etc/acpi/rsdp") == 0;
        uint8_t *blob = in_rsdp ? rsdp : tables;
        uint32_t a = ldl32(c + 60), b = ldl32(c + 64), n = ldl32(c + 68);
        uint64_t v = 0;

        switch (ldl32(c)) {
        case 1:
            cr_assert(a && !(a & (a - 1)));
            break;
        case 2:
            cr_assert_str_eq((const char *)c + 60, "etc/acpi/tables");
            a = ldl32(c + 116);
            cr_assert(a + c[120] <= (in_rsdp ? 36 : tlen));
            memcpy(&v, blob + a, c[120]);
            cr_assert_lt(v, tlen);
            v += AT;
            memcpy(blob + a, &v, c[120]);
            break;
        case 3:
            cr_assert(b + n <= (in_rsdp ? 36 : tlen) && a < b + n);
            blob[a] -= sum(blob + b, n);
            break;
        default:
            cr_assert_fail("command %u", ldl32(c));
        }
    }
}

Test(acpi, the_script_does_what_placing_does)
{
    struct machine *m = plain_machine();
    struct acpi_tables *t = acpi_build(m);
    size_t len;
    uint8_t *script = acpi_loader_script(t, &len), *copy = malloc(t->len), rsdp[36];

    cr_assert_eq(len % 128, 0);
    memcpy(copy, t->tables, t->len);
    memcpy(rsdp, t->rsdp, 36);
    run_script(script, len, copy, t->len, rsdp);
    acpi_place(t, AT);
    cr_assert_arr_eq(copy, t->tables, t->len);
    cr_assert_arr_eq(rsdp, t->rsdp, 36);
    free(copy);
    free(script);
    acpi_free(t);
    machine_free(m);
}

static void disassemble(const char *dir, const char *sig, const uint8_t *p)
{
    char *cmd = xasprintf("cd %s && iasl -d %s.aml >%s.log 2>&1", dir, sig, sig);
    char *path = xasprintf("%s/%s.aml", dir, sig);
    FILE *f = fopen(path, "wb");

    cr_assert_not_null(f);
    fwrite(p, 1, ldl32(p + 4), f);
    fclose(f);
    cr_assert_eq(system(cmd), 0, "iasl -d %s", sig);
    free(cmd);
    free(path);
}

Test(acpi, iasl_reads_every_table)
{
    struct machine *m = plain_machine();
    struct acpi_tables *t = acpi_build(m);
    char dir[] = "/tmp/acpi-XXXXXX";
    char *rm;

    if (system("command -v iasl >/dev/null") != 0)
        cr_skip_test("iasl is not installed");
    acpi_place(t, AT);
    cr_assert_not_null(mkdtemp(dir));
    disassemble(dir, "facp", find(t, "FACP"));
    disassemble(dir, "apic", find(t, "APIC"));
    disassemble(dir, "hpet", find(t, "HPET"));
    disassemble(dir, "ssdt", find(t, "SSDT"));
    disassemble(dir, "dsdt", t->tables + ldl32(find(t, "FACP") + 40) - AT);
    rm = xasprintf("rm -r %s", dir);
    cr_assert_eq(system(rm), 0);
    free(rm);
    acpi_free(t);
    machine_free(m);
}

/* ---- SMBIOS ------------------------------------------------------------------------- */

Test(smbios, structures_chain_to_the_end)
{
    struct machine *m = plain_machine();
    struct smbios *s = smbios_build(m);
    const uint8_t *p = s->tables, *end = s->tables + s->len, *type1 = NULL;
    static const uint8_t wanted[] = { 0, 1, 3, 4, 16, 17, 19, 32, 127 };
    unsigned seen[128] = { 0 }, count = 0;

    while (p < end) {
        const uint8_t *next = p + p[1];

        cr_assert(p[0] < 128 && p[1] >= 4 && next + 2 <= end);
        seen[p[0]]++;
        count++;
        if (p[0] == 1)
            type1 = p;
        while (next + 2 <= end && (next[0] || next[1]))
            next++;
        p = next + 2;
    }
    cr_assert_eq(p, end);
    cr_assert_eq(count, s->count);
    cr_assert_eq(seen[4], 1, "one socket");
    for (size_t i = 0; i < sizeof wanted; i++)
        cr_assert(seen[wanted[i]], "type %u", wanted[i]);
    cr_assert_arr_eq(type1 + 8, "\x33\x22\x11\x00\x55\x44\x77\x66\x88\x99\xaa\xbb"
                     "\xcc\xdd\xee\xff", 16);
    smbios_free(s);
    machine_free(m);
}

/* The @n'th structure of @type, from 0. */
static const uint8_t *structure(const struct smbios *s, uint8_t type, unsigned n)
{
    for (const uint8_t *p = s->tables; p < s->tables + s->len; ) {
        if (p[0] == type && !n--)
            return p;
        for (p += p[1]; p[0] || p[1]; p++)
            ;
        p += 2;
    }
    return NULL;
}

Test(smbios, processors_are_the_sockets_of_the_topology)
{
    struct machine *m = plain_machine();
    struct smbios *s;

    m->cfg.n_vcpus = 6;
    m->cfg.cores = m->cfg.threads = 2;
    s = smbios_build(m);
    cr_assert_arr_eq(structure(s, 4, 0) + 0x23, "\2\2\4", 3, "cores, enabled, threads");
    cr_assert_arr_eq(structure(s, 4, 1) + 0x23, "\1\1\2", 3);
    cr_assert_null(structure(s, 4, 2));
    smbios_free(s);
    machine_free(m);
}

Test(smbios, the_board_has_its_name)
{
    struct machine *m = plain_machine();
    struct smbios *s;
    const uint8_t *p;

    m->cfg.board = BOARD_Q35;
    s = smbios_build(m);
    p = structure(s, 1, 0);
    cr_assert_str_eq((const char *)p + p[1] + strlen("Transom") + 1, "Standard PC (Q35 + ICH9)");
    smbios_free(s);
    machine_free(m);
}

Test(smbios, the_anchor_sums_to_zero_wherever_it_points)
{
    struct machine *m = plain_machine();
    struct smbios *s = smbios_build(m);

    for (uint32_t at = 0; at < 0x100000; at += 0x12340) {
        smbios_place(s, at);
        cr_assert_eq(ldl32(s->anchor + 24), at);
        cr_assert_eq(sum(s->anchor, 31), 0);
        cr_assert_eq(sum(s->anchor + 16, 15), 0);
    }
    cr_assert_eq(ldl16(s->anchor + 22), s->len);
    smbios_free(s);
    machine_free(m);
}
