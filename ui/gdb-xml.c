/*
 * gdb-xml.c - target descriptions: the registers of gdb-regs.c as XML
 *
 * gdb wants its standard features by name; what it does not know (control registers,
 * MSRs, segment bases) is a feature of our own. The 32-bit and 16-bit descriptions say that
 * they are compatible with x86-64, so that gdb takes them with a 64-bit kernel loaded.
 */
#define _GNU_SOURCE 1
#include <stdlib.h>
#include "ui/gdb-int.h"

static const char *const arch_names[GDB_ARCHS] = {
    [GDB_X86_64] = "i386:x86-64", [GDB_I386] = "i386", [GDB_I8086] = "i8086",
};

static const char *const feature_names[FEATURES] = {
    [FEATURE_CORE] = "org.gnu.gdb.i386.core", [FEATURE_SSE] = "org.gnu.gdb.i386.sse",
    [FEATURE_SEGMENTS] = "org.gnu.gdb.i386.segments", [FEATURE_AVX] = "org.gnu.gdb.i386.avx",
    [FEATURE_AVX512] = "org.gnu.gdb.i386.avx512", [FEATURE_PKEYS] = "org.gnu.gdb.i386.pkeys",
    [FEATURE_SYSTEM] = "org.transom.x86.system",
};

const char *gdb_arch_name(enum gdb_arch arch)
{
    return arch_names[arch];
}

/* ---- types --------------------------------------------------------------------------- */

struct flag { const char *name; uint8_t bit; };

/* SDM vol. 1, 3.4.3 */
static const struct flag eflags[] = {
    { "CF", 0 }, { "", 1 }, { "PF", 2 }, { "AF", 4 }, { "ZF", 6 }, { "SF", 7 }, { "TF", 8 },
    { "IF", 9 }, { "DF", 10 }, { "OF", 11 }, { "NT", 14 }, { "RF", 16 }, { "VM", 17 },
    { "AC", 18 }, { "VIF", 19 }, { "VIP", 20 }, { "ID", 21 },
};
/* SDM vol. 1, 10.2.3 */
static const struct flag mxcsr[] = {
    { "IE", 0 }, { "DE", 1 }, { "ZE", 2 }, { "OE", 3 }, { "UE", 4 }, { "PE", 5 }, { "DAZ", 6 },
    { "IM", 7 }, { "DM", 8 }, { "ZM", 9 }, { "OM", 10 }, { "UM", 11 }, { "PM", 12 }, { "FZ", 15 },
};
/* SDM vol. 3, 2.5 */
static const struct flag cr0[] = {
    { "PE", 0 }, { "MP", 1 }, { "EM", 2 }, { "TS", 3 }, { "ET", 4 }, { "NE", 5 }, { "WP", 16 },
    { "AM", 18 }, { "NW", 29 }, { "CD", 30 }, { "PG", 31 },
};
static const struct flag cr4[] = {
    { "VME", 0 }, { "PVI", 1 }, { "TSD", 2 }, { "DE", 3 }, { "PSE", 4 }, { "PAE", 5 }, { "MCE", 6 },
    { "PGE", 7 }, { "PCE", 8 }, { "OSFXSR", 9 }, { "OSXMMEXCPT", 10 }, { "UMIP", 11 }, { "LA57", 12 },
    { "VMXE", 13 }, { "SMXE", 14 }, { "FSGSBASE", 16 }, { "PCIDE", 17 }, { "OSXSAVE", 18 },
    { "SMEP", 20 }, { "SMAP", 21 }, { "PKE", 22 }, { "CET", 23 }, { "PKS", 24 },
};
/* AMD64 APM vol. 2, 3.1.7 */
static const struct flag efer[] = {
    { "SCE", 0 }, { "LME", 8 }, { "LMA", 10 }, { "NXE", 11 }, { "SVME", 12 }, { "LMSLE", 13 },
    { "FFXSR", 14 }, { "TCE", 15 },
};

static void flags(FILE *f, const char *id, unsigned bytes, const struct flag *list, size_t n)
{
    fprintf(f, "<flags id=\"%s\" size=\"%u\">", id, bytes);
    for (size_t i = 0; i < n; i++)
        fprintf(f, "<field name=\"%s\" start=\"%u\" end=\"%u\"/>", list[i].name, list[i].bit, list[i].bit);
    fprintf(f, "</flags>");
}
#define FLAGS(f, id, bytes, list) flags(f, id, bytes, list, ARRAY_SIZE(list))

static void vec128(FILE *f)
{
    static const struct { const char *id, *of, *field; unsigned n; } views[] = {
        { "v4f", "ieee_single", "v4_float", 4 }, { "v2d", "ieee_double", "v2_double", 2 },
        { "v16i8", "int8", "v16_int8", 16 }, { "v8i16", "int16", "v8_int16", 8 },
        { "v4i32", "int32", "v4_int32", 4 }, { "v2i64", "int64", "v2_int64", 2 },
    };

    for (size_t i = 0; i < ARRAY_SIZE(views); i++)
        fprintf(f, "<vector id=\"%s\" type=\"%s\" count=\"%u\"/>", views[i].id, views[i].of, views[i].n);
    fprintf(f, "<union id=\"vec128\">");
    for (size_t i = 0; i < ARRAY_SIZE(views); i++)
        fprintf(f, "<field name=\"%s\" type=\"%s\"/>", views[i].field, views[i].id);
    fprintf(f, "<field name=\"uint128\" type=\"uint128\"/></union>");
}

static void types(FILE *f, enum gdb_feature feature)
{
    switch (feature) {
    case FEATURE_CORE:
        FLAGS(f, "i386_eflags", 4, eflags);
        break;
    case FEATURE_SSE:
        vec128(f);
        FLAGS(f, "i386_mxcsr", 4, mxcsr);
        break;
    case FEATURE_AVX512:
        vec128(f);
        fprintf(f, "<vector id=\"v2ui128\" type=\"uint128\" count=\"2\"/>");
        break;
    case FEATURE_SYSTEM:
        FLAGS(f, "x86_cr0", 8, cr0);
        FLAGS(f, "x86_cr4", 8, cr4);
        FLAGS(f, "x86_efer", 8, efer);
        break;
    default:
        break;
    }
}

/* ---- registers -------------------------------------------------------------------------- */

static void registers(FILE *f, const struct gdb_regs *r, enum gdb_feature feature)
{
    for (unsigned i = 0; i < r->n; i++) {
        const struct gdb_reg *reg = &r->reg[i];

        if (reg->feature != feature)
            continue;
        fprintf(f, "<reg name=\"%s\" bitsize=\"%u\" type=\"%s\" regnum=\"%u\"", reg->name, reg->bits,
                reg->type, i);
        if (reg->group)
            fprintf(f, " group=\"%s\"", reg->group);
        fprintf(f, "/>\n");
    }
}

static bool has_feature(const struct gdb_regs *r, enum gdb_feature feature)
{
    for (unsigned i = 0; i < r->n; i++)
        if (r->reg[i].feature == feature)
            return true;
    return false;
}

char *gdb_xml(const struct gdb_regs *r)
{
    char *text = NULL;
    size_t len;
    FILE *f = open_memstream(&text, &len);

    if (!f)
        return xstrdup("");
    fprintf(f, "<?xml version=\"1.0\"?><!DOCTYPE target SYSTEM \"gdb-target.dtd\">\n<target>");
    fprintf(f, "<architecture>%s</architecture>\n", arch_names[r->arch]);
    if (r->arch == GDB_I8086)
        fprintf(f, "<osabi>none</osabi>\n");
    if (r->arch != GDB_X86_64)
        fprintf(f, "<compatible>%s</compatible>\n", arch_names[GDB_X86_64]);
    for (unsigned i = 0; i < FEATURES; i++) {
        if (!has_feature(r, i))
            continue;
        fprintf(f, "<feature name=\"%s\">\n", feature_names[i]);
        types(f, i);
        registers(f, r, i);
        fprintf(f, "</feature>\n");
    }
    fprintf(f, "</target>\n");
    fclose(f);
    return text;
}
