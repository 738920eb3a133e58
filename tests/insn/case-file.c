/*
 * case-file.c - cases as text: what the fuzzer found once and must not come back
 *
 *   # comment
 *   bits 64
 *   off 0x123                  first byte's offset in the code pages
 *   code 48 01 d8              one instruction a line; "code 0f 84 0000002a > 3" is
 *                              spelled with a 4-byte distance to instruction 3 in place
 *                              of its last bytes, "@1" behind it: an address at byte 1
 *   r3 0x20000800              registers that are not 0; flags, mxcsr, fcw, fsw, ftw
 *   ignore 0x10                EFLAGS bits not compared
 *   fpu 1, approximate 1       vector state matters; differs in the last bits
 *   xmm3, ymmh3, st3 0011..    bytes, lowest first
 *   zmmh3, zmm17, k3           bits 511:256 of zmm0..15; zmm16..31; masks (a number)
 *   mem 0x20000840 0011..      bytes of the data, stack or read-only page
 */
#include "tests/insn/insn.h"
#include <ctype.h>
#include <stdlib.h>

/* ---- writing -------------------------------------------------------------------- */

static void put_bytes(FILE *f, const uint8_t *p, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        fprintf(f, "%02x", p[i]);
    fputc('\n', f);
}

static bool any(const uint8_t *p, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        if (p[i])
            return true;
    return false;
}

static void put_area(FILE *f, uint64_t va, const uint8_t *p, unsigned n)
{
    for (unsigned i = 0; i < n; i += 16)
        if (any(p + i, 16)) {
            fprintf(f, "mem %#llx ", (unsigned long long)(va + i));
            put_bytes(f, p + i, 16);
        }
}

static void put_code(FILE *f, const struct tcase *c)
{
    for (unsigned i = 0; i < c->n; i++) {
        const struct ins *in = &c->in[i];
        fprintf(f, "code");
        for (unsigned k = 0; k < in->n; k++)
            fprintf(f, " %02x", c->code[c->start[i] + k]);
        if (in->rel)
            fprintf(f, " > %u %u %u", (unsigned)MIN((unsigned)in->target, c->n), in->rel, in->abs);
        if (in->rip_at)
            fprintf(f, " rip %u %#llx", in->rip_at, (unsigned long long)in->ea);
        fputc('\n', f);
    }
}

static void put_avx512(FILE *f, const struct x86_avx512 *z)
{
    for (unsigned i = 0; i < 16; i++)
        if (any(z->zmmh[i], 32))
            fprintf(f, "zmmh%u ", i), put_bytes(f, z->zmmh[i], 32);
    for (unsigned i = 0; i < 16; i++)
        if (any(z->hi16[i], 64))
            fprintf(f, "zmm%u ", 16 + i), put_bytes(f, z->hi16[i], 64);
    for (unsigned i = 0; i < 8; i++)
        if (z->k[i])
            fprintf(f, "k%u %#llx\n", i, (unsigned long long)z->k[i]);
}

static void put_vectors(FILE *f, const struct fpu *v)
{
    fprintf(f, "mxcsr %#x\nfcw %#x\nfsw %#x\nftw %#x\n", v->fx.mxcsr, v->fx.fcw, v->fx.fsw, v->fx.ftw);
    for (unsigned i = 0; i < 16; i++) {
        if (any(v->fx.xmm[i], 16))
            fprintf(f, "xmm%u ", i), put_bytes(f, v->fx.xmm[i], 16);
        if (any(v->ymmh[i], 16))
            fprintf(f, "ymmh%u ", i), put_bytes(f, v->ymmh[i], 16);
    }
    for (unsigned i = 0; i < 8; i++)
        if (any(v->fx.st[i], 10))
            fprintf(f, "st%u ", i), put_bytes(f, v->fx.st[i], 10);
    put_avx512(f, &v->z);
}

bool case_write(FILE *f, const struct tcase *c, const char *why)
{
    fprintf(f, "# %s\nbits %u\noff %#x\n", why, c->bits, c->off);
    put_code(f, c);
    for (unsigned i = 0; i < 16; i++)
        if (c->init.r[i])
            fprintf(f, "r%u %#llx\n", i, (unsigned long long)c->init.r[i]);
    fprintf(f, "flags %#x\n", (unsigned)c->init.flags);
    if (c->ignore)
        fprintf(f, "ignore %#x\n", c->ignore);
    if (c->approximate)
        fprintf(f, "approximate 1\n");
    if (c->fpu) {
        fprintf(f, "fpu 1\n");
        put_vectors(f, &c->init.f);
    }
    put_area(f, DATA_VA, c->init.data, DATA_BYTES);
    put_area(f, STACK_VA, c->init.stack, STACK_BYTES);
    put_area(f, RO_VA, c->ro, RO_BYTES);
    return !ferror(f);
}

/* ---- reading ----------------------------------------------------------------------- */

/* Hexadecimal bytes, with or without blanks between; returns how many, at most @max. */
static unsigned get_bytes(const char **s, uint8_t *p, unsigned max)
{
    unsigned n = 0, v;

    while (n < max) {
        while (isspace((unsigned char)**s))
            (*s)++;
        if (!isxdigit((unsigned char)(*s)[0]) || !isxdigit((unsigned char)(*s)[1]) || sscanf(*s, "%2x", &v) != 1)
            break;
        p[n++] = (uint8_t)v;
        *s += 2;
    }
    return n;
}

static bool get_code(struct tcase *c, const char *s)
{
    struct ins *in = &c->in[c->n];
    unsigned target, rel, abs, rip;
    unsigned long long ea;

    if (c->n == MAX_INS)
        return false;
    *in = (struct ins){ .target = -1 };
    in->n = (uint8_t)get_bytes(&s, in->b, sizeof(in->b));
    if (sscanf(s, " > %u %u %u", &target, &rel, &abs) == 3) {
        if (target > MAX_INS || (rel != 1 && rel != 2 && rel != 4) || rel + abs > in->n)
            return false;
        in->target = (int8_t)target;
        in->rel = (uint8_t)rel;
        in->abs = (uint8_t)abs;
    }
    if (sscanf(s, " rip %u %llx", &rip, &ea) == 2 && rip + 4 <= in->n) {
        in->rip_at = (uint8_t)rip;
        in->ea = ea;
    }
    c->n++;
    return in->n > 0;
}

static bool get_mem(struct tcase *c, const char *s)
{
    unsigned long long va;
    uint8_t b[16];
    int used;

    if (sscanf(s, "%llx %n", &va, &used) != 1)
        return false;
    s += used;
    unsigned n = get_bytes(&s, b, sizeof(b));
    if (va - DATA_VA <= DATA_BYTES - n)
        memcpy(c->init.data + (va - DATA_VA), b, n);
    else if (va - STACK_VA <= STACK_BYTES - n)
        memcpy(c->init.stack + (va - STACK_VA), b, n);
    else if (va - RO_VA <= RO_BYTES - n)
        memcpy(c->ro + (va - RO_VA), b, n);
    else
        return false;
    return n > 0;
}

static bool get_numbered(struct tcase *c, const char *key, const char *s)
{
    struct fpu *f = &c->init.f;
    unsigned i;

    if (sscanf(key, "r%u", &i) == 1 && i < 16)
        c->init.r[i] = strtoull(s, NULL, 0);
    else if (sscanf(key, "xmm%u", &i) == 1 && i < 16)
        return get_bytes(&s, f->fx.xmm[i], 16) == 16;
    else if (sscanf(key, "ymmh%u", &i) == 1 && i < 16)
        return get_bytes(&s, f->ymmh[i], 16) == 16;
    else if (sscanf(key, "zmmh%u", &i) == 1 && i < 16)
        return get_bytes(&s, f->z.zmmh[i], 32) == 32;
    else if (sscanf(key, "zmm%u", &i) == 1 && i >= 16 && i < 32)
        return get_bytes(&s, f->z.hi16[i - 16], 64) == 64;
    else if (sscanf(key, "k%u", &i) == 1 && i < 8)
        f->z.k[i] = strtoull(s, NULL, 0);
    else if (sscanf(key, "st%u", &i) == 1 && i < 8)
        return get_bytes(&s, f->fx.st[i], 10) == 10;
    else
        return false;
    return true;
}

static bool get_line(struct tcase *c, const char *key, const char *s)
{
    unsigned v = (unsigned)strtoul(s, NULL, 0);

    if (!strcmp(key, "code"))
        return get_code(c, s);
    if (!strcmp(key, "mem"))
        return get_mem(c, s);
    if (!strcmp(key, "bits"))
        c->bits = v;
    else if (!strcmp(key, "off"))
        c->off = v;
    else if (!strcmp(key, "flags"))
        c->init.flags = v;
    else if (!strcmp(key, "ignore"))
        c->ignore = v;
    else if (!strcmp(key, "fpu"))
        c->fpu = v;
    else if (!strcmp(key, "approximate"))
        c->approximate = v;
    else if (!strcmp(key, "mxcsr"))
        c->init.f.fx.mxcsr = v;
    else if (!strcmp(key, "fcw"))
        c->init.f.fx.fcw = (uint16_t)v;
    else if (!strcmp(key, "fsw"))
        c->init.f.fx.fsw = (uint16_t)v;
    else if (!strcmp(key, "ftw"))
        c->init.f.fx.ftw = (uint8_t)v;
    else
        return get_numbered(c, key, s);
    return true;
}

bool case_read(FILE *f, struct tcase *c, unsigned *line)
{
    char buf[512], key[16];
    int used;

    memset(c, 0, sizeof(*c));
    c->init.f.fx.mxcsr = 0x1f80;
    c->init.f.fx.mxcsr_mask = 0xffff;
    c->init.f.fx.fcw = 0x37f;
    for (*line = 1; fgets(buf, sizeof(buf), f); (*line)++)
        if (buf[0] != '#' && sscanf(buf, "%15s %n", key, &used) == 1 && !get_line(c, key, buf + used))
            return false;
    if ((c->bits != 16 && c->bits != 32 && c->bits != 64) || !c->n || c->off >= 4096)
        return false;
    case_assemble(c);
    return true;
}
