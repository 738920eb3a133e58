/*
 * gdb-regs.c - the registers that gdb sees: which, where they are, reading and writing
 *
 * The order within a feature is the one that gdb's own descriptions have. The program
 * counter is linear (CS base + IP) in every description, so that gdb's breakpoints and
 * its disassembler agree with the CPU whatever CS is; "ip" is the bare pointer.
 */
#include <stdlib.h>
#include "ui/gdb-int.h"

enum kind { K_GPR, K_PC, K_FLAGS, K_SEG, K_BASE, K_ST, K_FPU, K_XMM, K_MXCSR, K_YMMH, K_K, K_ZMMH,
            K_XMM_HI, K_YMMH_HI, K_ZMMH_HI, K_PKRU, K_IP, K_CR, K_MSR, K_DTR, K_LIMIT, K_TR, K_DR,
            K_XCR0 };

enum { MSR_SYSENTER_CS = 0x174, MSR_PAT = 0x277, MSR_EFER = 0xc0000080, MSR_KERNEL_GS = 0xc0000102,
       MSR_APIC_BASE = 0x1b, MSR_FS_BASE = 0xc0000100 };

#define EF_KNOWN (EF_ARITH | EF_TF | EF_IF | EF_DF | EF_IOPL | EF_NT | EF_RF | EF_VM | EF_AC | \
                  EF_VIF | EF_VIP | EF_ID)

/* ---- the table ---------------------------------------------------------------------- */

static struct gdb_reg *add(struct gdb_regs *r, enum gdb_feature f, enum kind k, unsigned n,
                           const char *name, unsigned bits, const char *type)
{
    struct gdb_reg *reg = &r->reg[r->n++];

    assert(r->n <= GDB_REGS && strlen(name) < sizeof(reg->name));
    *reg = (struct gdb_reg){ .type = type, .bits = (uint16_t)bits, .feature = f, .kind = k,
                             .n = (uint8_t)n };
    strcpy(reg->name, name);
    return reg;
}

/* @count registers, named by @fmt with numbers from @first on */
static void add_row(struct gdb_regs *r, enum gdb_feature f, enum kind k, const char *fmt,
                    unsigned first, unsigned count, unsigned bits, const char *type)
{
    for (unsigned i = 0; i < count; i++) {
        char name[16];

        snprintf(name, sizeof(name), fmt, first + i);
        add(r, f, k, i, name, bits, type);
    }
}

static void add_core(struct gdb_regs *r)
{
    static const char *const names[8] = { "ax", "bx", "cx", "dx", "si", "di", "bp", "sp" };
    static const uint8_t order64[8] = { R_AX, R_BX, R_CX, R_DX, R_SI, R_DI, R_BP, R_SP };
    static const char *const names32[8] = { "ax", "cx", "dx", "bx", "sp", "bp", "si", "di" };
    bool long_mode = r->arch == GDB_X86_64;
    unsigned bits = long_mode ? 64 : 32;
    const char *word = long_mode ? "int64" : "int32";
    char name[16];

    for (unsigned i = 0; i < 8; i++) {
        unsigned n = long_mode ? order64[i] : i;

        snprintf(name, sizeof(name), "%c%s", long_mode ? 'r' : 'e', long_mode ? names[i] : names32[i]);
        add(r, FEATURE_CORE, K_GPR, n, name, bits, n == R_BP || n == R_SP ? "data_ptr" : word);
    }
    for (unsigned i = 8; long_mode && i < 16; i++) {
        snprintf(name, sizeof(name), "r%u", i);
        add(r, FEATURE_CORE, K_GPR, i, name, 64, word);
    }
    add(r, FEATURE_CORE, K_PC, 0, long_mode ? "rip" : "eip", bits, "code_ptr");
    add(r, FEATURE_CORE, K_FLAGS, 0, "eflags", 32, "i386_eflags");
}

static const struct { const char *name; uint8_t seg; } segs[S_COUNT] = {
    { "cs", S_CS }, { "ss", S_SS }, { "ds", S_DS }, { "es", S_ES }, { "fs", S_FS }, { "gs", S_GS },
};

static void add_fpu(struct gdb_regs *r)
{
    static const char *const names[8] = { "fctrl", "fstat", "ftag", "fiseg", "fioff", "foseg",
                                          "fooff", "fop" };

    for (unsigned i = 0; i < S_COUNT; i++)
        add(r, FEATURE_CORE, K_SEG, segs[i].seg, segs[i].name, 32, "int32");
    add_row(r, FEATURE_CORE, K_ST, "st%u", 0, 8, 80, "i387_ext");
    for (unsigned i = 0; i < 8; i++)
        add(r, FEATURE_CORE, K_FPU, i, names[i], 32, "int")->group = "float";
}

static void add_vector(struct gdb_regs *r, const struct x86_cpu *cpu)
{
    bool long_mode = r->arch == GDB_X86_64;
    unsigned n = long_mode ? 16 : 8;

    add_row(r, FEATURE_SSE, K_XMM, "xmm%u", 0, n, 128, "vec128");
    add(r, FEATURE_SSE, K_MXCSR, 0, "mxcsr", 32, "i386_mxcsr")->group = "vector";
    if (long_mode) {
        add(r, FEATURE_SEGMENTS, K_BASE, S_FS, "fs_base", 64, "int");
        add(r, FEATURE_SEGMENTS, K_BASE, S_GS, "gs_base", 64, "int");
    }
    if (!x86_has(cpu, FEAT_1_ECX, 28))
        return;
    add_row(r, FEATURE_AVX, K_YMMH, "ymm%uh", 0, n, 128, "uint128");
    if (!x86_has(cpu, FEAT_7_EBX, 16))
        return;
    add_row(r, FEATURE_AVX512, K_K, "k%u", 0, 8, 64, "uint64");
    add_row(r, FEATURE_AVX512, K_ZMMH, "zmm%uh", 0, n, 256, "v2ui128");
    if (!long_mode)
        return;
    add_row(r, FEATURE_AVX512, K_XMM_HI, "xmm%u", 16, 16, 128, "vec128");
    add_row(r, FEATURE_AVX512, K_YMMH_HI, "ymm%uh", 16, 16, 128, "uint128");
    add_row(r, FEATURE_AVX512, K_ZMMH_HI, "zmm%uh", 16, 16, 256, "v2ui128");
}

static void add_msrs(struct gdb_regs *r)
{
    static const struct { const char *name; uint32_t msr; } msrs[] = {
        { "efer", MSR_EFER }, { "k_gs_base", MSR_KERNEL_GS }, { "star", 0xc0000081 },
        { "lstar", 0xc0000082 }, { "cstar", 0xc0000083 }, { "fmask", 0xc0000084 },
        { "sysenter_cs", MSR_SYSENTER_CS }, { "sysenter_sp", MSR_SYSENTER_CS + 1 },
        { "sysenter_ip", MSR_SYSENTER_CS + 2 }, { "pat", MSR_PAT }, { "apic_base", MSR_APIC_BASE },
    };

    for (size_t i = 0; i < ARRAY_SIZE(msrs); i++)
        add(r, FEATURE_SYSTEM, K_MSR, 0, msrs[i].name, 64, msrs[i].msr == MSR_EFER ? "x86_efer" : "uint64")
            ->msr = msrs[i].msr;
}

static void add_system(struct gdb_regs *r)
{
    static const struct { const char *name, *type; uint8_t n; } crs[] = {
        { "cr0", "x86_cr0", 0 }, { "cr2", "uint64", 2 }, { "cr3", "uint64", 3 },
        { "cr4", "x86_cr4", 4 }, { "cr8", "uint64", 8 },
    };
    static const char *const tables[] = { "gdt", "idt" }, *const systems[] = { "ldt", "tr" };
    char name[16];

    add(r, FEATURE_SYSTEM, K_IP, 0, "ip", 64, "uint64");
    for (unsigned i = 0; i < S_COUNT; i++) {
        snprintf(name, sizeof(name), "%s_base", segs[i].name);
        if (r->arch != GDB_X86_64 || i < 4)
            add(r, FEATURE_SYSTEM, K_BASE, segs[i].seg, name, 64, "uint64");
    }
    for (size_t i = 0; i < ARRAY_SIZE(crs); i++)
        add(r, FEATURE_SYSTEM, K_CR, crs[i].n, crs[i].name, 64, crs[i].type);
    add_msrs(r);
    for (unsigned i = 0; i < 2; i++) {
        snprintf(name, sizeof(name), "%s_base", tables[i]);
        add(r, FEATURE_SYSTEM, K_DTR, i, name, 64, "uint64");
        snprintf(name, sizeof(name), "%s_limit", tables[i]);
        add(r, FEATURE_SYSTEM, K_LIMIT, i, name, 16, "uint16");
        add(r, FEATURE_SYSTEM, K_TR, i, systems[i], 16, "uint16");
        snprintf(name, sizeof(name), "%s_base", systems[i]);
        add(r, FEATURE_SYSTEM, K_DTR, 2 + i, name, 64, "uint64");
    }
    for (unsigned i = 0; i < 8; i++) {
        snprintf(name, sizeof(name), "dr%u", i);
        if (i != 4 && i != 5)             /* other names of 6 and 7 */
            add(r, FEATURE_SYSTEM, K_DR, i, name, 64, "uint64");
    }
    add(r, FEATURE_SYSTEM, K_XCR0, 0, "xcr0", 64, "uint64");
    for (unsigned i = 0; i < r->n; i++)
        if (r->reg[i].feature == FEATURE_SYSTEM || r->reg[i].feature == FEATURE_AVX512)
            r->reg[i].group = r->reg[i].feature == FEATURE_SYSTEM ? "system" : "vector";
}

void gdb_regs_init(struct gdb_regs *r, enum gdb_arch arch, const struct x86_cpu *cpu)
{
    r->arch = arch;
    r->n = 0;
    add_core(r);
    add_fpu(r);
    add_vector(r, cpu);
    if (x86_has(cpu, FEAT_7_ECX, 3) && arch == GDB_X86_64)
        add(r, FEATURE_PKEYS, K_PKRU, 0, "pkru", 32, "uint32");
    add_system(r);
    r->xml = gdb_xml(r);
}

void gdb_regs_free(struct gdb_regs *r)
{
    free(r->xml);
    r->xml = NULL;
}

enum gdb_arch gdb_arch_now(const struct x86_cpu *cpu)
{
    if (cpu->mode & MODE_LONG)
        return GDB_X86_64;
    return (cpu->mode & MODE_CODE_MASK) == MODE_CODE16 ? GDB_I8086 : GDB_I386;
}

/* ---- x87: gdb has the tag word of FSAVE, the CPU state that of FXSAVE ------------------- */

enum { TAG_VALID, TAG_ZERO, TAG_SPECIAL, TAG_EMPTY };

static unsigned tag_of(const uint8_t *st)
{
    unsigned exp = (st[8] | st[9] << 8) & 0x7fff;
    uint64_t frac;

    memcpy(&frac, st, 8);
    if (exp == 0)
        return frac ? TAG_SPECIAL : TAG_ZERO;
    return exp == 0x7fff || !(frac >> 63) ? TAG_SPECIAL : TAG_VALID;
}

static uint32_t full_tag(const struct x86_fxarea *fx)
{
    unsigned top = fx->fsw >> 11 & 7;
    uint32_t tag = 0;

    for (unsigned i = 0; i < 8; i++)
        tag |= (fx->ftw >> i & 1 ? tag_of(fx->st[(i - top) & 7]) : TAG_EMPTY) << 2 * i;
    return tag;
}

static uint8_t short_tag(uint32_t tag)
{
    uint8_t v = 0;

    for (unsigned i = 0; i < 8; i++)
        v |= ((tag >> 2 * i & 3) != TAG_EMPTY) << i;
    return v;
}

static uint32_t fpu_read(const struct x86_cpu *cpu, unsigned n)
{
    const struct x86_fxarea *fx = &cpu->fx;

    switch (n) {
    case 0: return fx->fcw;
    case 1: return fx->fsw;
    case 2: return full_tag(fx);
    case 3: return cpu->fpu_cs;
    case 4: return (uint32_t)fx->fip;
    case 5: return cpu->fpu_ds;
    case 6: return (uint32_t)fx->fdp;
    default: return fx->fop;
    }
}

static void fpu_write(struct x86_cpu *cpu, unsigned n, uint32_t v)
{
    struct x86_fxarea *fx = &cpu->fx;

    switch (n) {
    case 0: fx->fcw = (v & 0x1f3f) | 0x40; break;
    case 1: fx->fsw = (uint16_t)v; break;
    case 2: fx->ftw = short_tag(v); break;
    case 3: cpu->fpu_cs = (uint16_t)v; break;
    case 4: fx->fip = v; break;
    case 5: cpu->fpu_ds = (uint16_t)v; break;
    case 6: fx->fdp = v; break;
    default: fx->fop = v & 0x7ff;
    }
    if (n == 0)
        x86_x87_mode(cpu);
}

/* ---- reading ------------------------------------------------------------------------------ */

/* Where a vector register's part is, or NULL. */
static uint8_t *vector_at(struct x86_cpu *cpu, const struct gdb_reg *r)
{
    switch (r->kind) {
    case K_ST: return cpu->fx.st[r->n];
    case K_XMM: return cpu->fx.xmm[r->n];
    case K_YMMH: return cpu->ymmh[r->n];
    case K_ZMMH: return cpu->z.zmmh[r->n];
    case K_XMM_HI: return cpu->z.hi16[r->n];
    case K_YMMH_HI: return cpu->z.hi16[r->n] + 16;
    case K_ZMMH_HI: return cpu->z.hi16[r->n] + 32;
    default: return NULL;
    }
}

static uint64_t cr_read(const struct x86_cpu *cpu, unsigned n)
{
    switch (n) {
    case 0: return cpu->cr0;
    case 2: return cpu->cr2;
    case 3: return cpu->cr3;
    case 4: return cpu->cr4;
    default: return cpu->bus->get_tpr(cpu->bus->opaque) >> 4;
    }
}

static uint64_t msr_read(struct x86_cpu *cpu, uint32_t msr)
{
    uint64_t v = 0;

    return x86_debug_msr(cpu, msr, &v, false) ? v : 0;
}

static uint64_t table_base(const struct x86_cpu *cpu, unsigned n)
{
    const uint64_t base[4] = { cpu->gdt.base, cpu->idt.base, cpu->ldt.base, cpu->tr.base };

    return base[n & 3];
}

static uint64_t word_read(struct x86_cpu *cpu, const struct gdb_reg *r)
{
    switch (r->kind) {
    case K_GPR: return GPR(cpu, r->n);
    case K_PC: return x86_linear_pc(cpu);
    case K_FLAGS: return x86_get_eflags(cpu);
    case K_SEG: return cpu->seg[r->n].sel;
    case K_BASE: return cpu->seg[r->n].base;
    case K_FPU: return fpu_read(cpu, r->n);
    case K_MXCSR: return cpu->fx.mxcsr;
    case K_K: return cpu->z.k[r->n];
    case K_PKRU: return cpu->pkru;
    case K_IP: return cpu->tcg.pc;
    case K_CR: return cr_read(cpu, r->n);
    case K_MSR: return msr_read(cpu, r->msr);
    case K_DTR: return table_base(cpu, r->n);
    case K_LIMIT: return r->n ? cpu->idt.limit : cpu->gdt.limit;
    case K_TR: return r->n ? cpu->tr.sel : cpu->ldt.sel;
    case K_DR: return cpu->dr[r->n];
    default: return cpu->xcr0;
    }
}

void gdb_reg_read(struct x86_cpu *cpu, const struct gdb_reg *r, uint8_t *buf)
{
    const uint8_t *at = vector_at(cpu, r);
    uint64_t v;

    if (at) {
        memcpy(buf, at, gdb_reg_bytes(r));
        return;
    }
    v = word_read(cpu, r);
    for (unsigned i = 0; i < gdb_reg_bytes(r); i++)
        buf[i] = (uint8_t)(v >> 8 * i);
}

/* ---- writing -------------------------------------------------------------------------------- */

static void vector_write(struct x86_cpu *cpu, const struct gdb_reg *r, const uint8_t *buf)
{
    memcpy(vector_at(cpu, r), buf, gdb_reg_bytes(r));
    if (r->kind == K_ZMMH)
        cpu->tcg.zmmh_live = 1;
    if (r->kind == K_XMM_HI || r->kind == K_YMMH_HI || r->kind == K_ZMMH_HI)
        cpu->tcg.hi16_live = 1;
}

static bool base_write(struct x86_cpu *cpu, unsigned seg, uint64_t v)
{
    if (!(cpu->mode & MODE_LONG) || (seg != S_FS && seg != S_GS))
        return false;
    return x86_debug_msr(cpu, MSR_FS_BASE + (seg == S_GS), &v, true);
}

static bool flags_write(struct x86_cpu *cpu, uint32_t v)
{
    if ((v ^ x86_get_eflags(cpu)) & EF_VM)
        return false;                      /* changes what segments mean */
    x86_set_eflags(cpu, (v & EF_KNOWN) | EF_1);
    return true;
}

static bool mxcsr_write(struct x86_cpu *cpu, uint32_t v)
{
    if (v & ~0xffffu)
        return false;
    cpu->fx.mxcsr = v;
    return true;
}

static void gpr_write(struct x86_cpu *cpu, const struct gdb_reg *r, uint64_t v)
{
    GPR(cpu, r->n) = r->bits == 64 ? v : (GPR(cpu, r->n) & ~0xffffffffull) | v;
}

static bool word_write(struct x86_cpu *cpu, const struct gdb_reg *r, uint64_t v)
{
    switch (r->kind) {
    case K_GPR: gpr_write(cpu, r, v); return true;
    case K_PC: return x86_debug_set_pc(cpu, v);
    case K_FLAGS: return flags_write(cpu, (uint32_t)v);
    case K_SEG: return v <= 0xffff && x86_debug_set_seg(cpu, r->n, (uint16_t)v);
    case K_BASE: return base_write(cpu, r->n, v);
    case K_FPU: fpu_write(cpu, r->n, (uint32_t)v); return true;
    case K_MXCSR: return mxcsr_write(cpu, (uint32_t)v);
    case K_K: cpu->z.k[r->n] = v; return true;
    case K_PKRU: x86_set_pkru(cpu, (uint32_t)v); return true;
    case K_CR: return x86_debug_set_cr(cpu, r->n, v);
    case K_MSR: return x86_debug_msr(cpu, r->msr, &v, true);
    default: return false;
    }
}

bool gdb_reg_write(struct x86_cpu *cpu, const struct gdb_reg *r, const uint8_t *buf)
{
    uint8_t old[GDB_REG_BYTES];
    uint64_t v = 0;

    gdb_reg_read(cpu, r, old);
    if (!memcmp(old, buf, gdb_reg_bytes(r)))
        return true;
    if (vector_at(cpu, r)) {
        vector_write(cpu, r, buf);
        return true;
    }
    for (unsigned i = 0; i < gdb_reg_bytes(r); i++)
        v |= (uint64_t)buf[i] << 8 * i;
    return word_write(cpu, r, v);
}
