/*
 * words.c - the architectural state as a list of 64-bit words, to be hashed, compared and printed
 *
 * Only what a program could see: no hidden parts of translation, no don't-care bits.
 */
#include "target-x86/system-int.h"

/* ---- filling ---------------------------------------------------------------------- */

static uint64_t *put_bytes(uint64_t *w, const void *p, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i += 8)
        *w++ = ldl64((const uint8_t *)p + i);
    return w;
}

static uint64_t *put_seg(uint64_t *w, const struct x86_seg *s)
{
    *w++ = s->sel | (uint64_t)s->attr << 16 | (uint64_t)s->limit << 32;
    *w++ = s->base;
    return w;
}

static uint64_t *put_system(uint64_t *w, const struct x86_cpu *cpu)
{
    for (unsigned i = 0; i < S_COUNT; i++)
        w = put_seg(w, &cpu->seg[i]);
    w = put_seg(put_seg(w, &cpu->ldt), &cpu->tr);
    *w++ = cpu->gdt.base;
    *w++ = cpu->idt.base;
    *w++ = cpu->gdt.limit | (uint64_t)cpu->idt.limit << 32;
    w = put_bytes(w, (uint64_t[]){ cpu->cr0, cpu->cr2, cpu->cr3, cpu->cr4, cpu->efer, cpu->xcr0 }, 48);
    w = put_bytes(w, cpu->dr, sizeof cpu->dr);
    *w++ = cpu->halted | cpu->shadow << 1 | cpu->nmi_blocked << 2 | cpu->in_smm << 3;
    return w;
}

static uint64_t *put_msrs(uint64_t *w, const struct x86_cpu *cpu)
{
    return put_bytes(w, (uint64_t[]){ cpu->star, cpu->lstar, cpu->cstar, cpu->sfmask, cpu->kernel_gs_base,
                                      cpu->sysenter_cs, cpu->sysenter_esp, cpu->sysenter_eip, cpu->pat,
                                      cpu->misc_enable, cpu->tsc_aux, cpu->pkru }, 96);
}

static uint64_t *put_fpu(uint64_t *w, const struct x86_cpu *cpu)
{
    *w++ = cpu->fx.fcw | (uint64_t)cpu->fx.fsw << 16 | (uint64_t)cpu->fx.ftw << 32;
    *w++ = cpu->fx.mxcsr;
    for (unsigned i = 0; i < 8; i++) {
        *w++ = ldl64(cpu->fx.st[i]);
        *w++ = ldl16(cpu->fx.st[i] + 8);
    }
    w = put_bytes(w, cpu->fx.xmm, sizeof cpu->fx.xmm);
    w = put_bytes(w, cpu->ymmh, sizeof cpu->ymmh);
    w = put_bytes(w, cpu->z.k, sizeof cpu->z.k);
    w = put_bytes(w, cpu->z.zmmh, sizeof cpu->z.zmmh);
    return put_bytes(w, cpu->z.hi16, sizeof cpu->z.hi16);
}

void x86_get_core(const struct x86_cpu *cpu, uint64_t *w)
{
    w = put_bytes(w, cpu->tcg.regs, sizeof cpu->tcg.regs);
    *w++ = cpu->tcg.pc;
    *w++ = x86_get_eflags(cpu);
    *w = cpu->cpl;
}

void x86_get_words(const struct x86_cpu *cpu, struct x86_words *s)
{
    uint64_t *w = s->w + X86_CORE_WORDS;

    x86_get_core(cpu, s->w);
    w = put_fpu(put_msrs(put_system(w, cpu), cpu), cpu);
    assert(w == s->w + X86_WORDS);
}

/* ---- names -------------------------------------------------------------------------- */

static const char *const names[] = {
    "rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13", "r14",
    "r15", "rip", "rflags", "cpl",
    "es", "es.base", "cs", "cs.base", "ss", "ss.base", "ds", "ds.base", "fs", "fs.base", "gs", "gs.base",
    "ldt", "ldt.base", "tr", "tr.base", "gdt", "idt", "limits", "cr0", "cr2", "cr3", "cr4", "efer", "xcr0",
    "dr0", "dr1", "dr2", "dr3", "dr4", "dr5", "dr6", "dr7", "halt", "star", "lstar", "cstar", "sfmask",
    "kernel_gs", "sysenter_cs", "sysenter_esp", "sysenter_eip", "pat", "misc_enable", "tsc_aux", "pkru",
    "fcw/fsw/ftw", "mxcsr",
};

void x86_word_name(unsigned i, char *buf, size_t size)
{
    static const struct { const char *name; unsigned each, count; } rows[] = {
        { "st", 2, 8 }, { "xmm", 2, 16 }, { "ymmh", 2, 16 }, { "k", 1, 8 }, { "zmmh", 4, 16 }, { "zmm16+", 8, 16 },
    };

    if (i < ARRAY_SIZE(names)) {
        snprintf(buf, size, "%s", names[i]);
        return;
    }
    i -= ARRAY_SIZE(names);
    for (size_t r = 0; r < ARRAY_SIZE(rows); i -= rows[r].each * rows[r].count, r++)
        if (i < rows[r].each * rows[r].count) {
            snprintf(buf, size, "%s%u[%u]", rows[r].name, i / rows[r].each, i % rows[r].each);
            return;
        }
    snprintf(buf, size, "?");
}
