/*
 * x87-stack.c - the x87 register stack, its tags and the status word
 *
 * fx.st[] is by stack position, so a push or pop rotates it; the abridged tag
 * fx.ftw is by physical register. An unmasked exception only marks the status
 * word: the next waiting instruction raises #MF (x87_pending()).
 *
 * Source: Intel SDM vol. 1, 8.1.
 */
#include "target-x86/x87-int.h"

static unsigned top(const struct x86_cpu *cpu)
{
    return (cpu->fx.fsw >> FSW_TOP_SHIFT) & 7;
}

static uint8_t tag_bit(const struct x86_cpu *cpu, unsigned i)
{
    return (uint8_t)(1u << ((top(cpu) + i) & 7));
}

bool fpu_empty(const struct fpu *f, unsigned i)
{
    return !(f->cpu->fx.ftw & tag_bit(f->cpu, i));
}

void fpu_rotate(struct x86_cpu *cpu, unsigned n)
{
    uint8_t old[8][16];

    memcpy(old, cpu->fx.st, sizeof(old));
    for (unsigned i = 0; i < 8; i++)
        memcpy(cpu->fx.st[i], old[(i + n) & 7], 16);
    cpu->fx.fsw = (uint16_t)((cpu->fx.fsw & ~FSW_TOP) | ((top(cpu) + n) & 7) << FSW_TOP_SHIFT);
}

void fpu_clear_top(struct x86_cpu *cpu)
{
    if (top(cpu))
        fpu_rotate(cpu, 8 - top(cpu));
}

void x87_to_mmx(struct x86_cpu *cpu)
{
    fpu_clear_top(cpu);
    cpu->fx.ftw = 0xff;
}

bool x87_pending(struct x86_cpu *cpu)
{
    if (!(cpu->fx.fsw & FSW_ES))
        return true;
    x87_latch(cpu);
    if (cpu->cr0 & CR0_NE) {
        x86_raise(cpu, EXC_MF);
        return false;
    }
    cpu->ferr_pending = true;                  /* FERR#: IRQ 13 comes when it comes */
    if (cpu->bus && cpu->bus->set_ferr)
        cpu->bus->set_ferr(cpu->bus->opaque, 1);
    return true;
}

struct fx80 fpu_get_raw(const struct fpu *f, unsigned i)
{
    return (struct fx80){ ldl64(f->cpu->fx.st[i]), ldl16(f->cpu->fx.st[i] + 8) };
}

void fpu_set_raw(struct fpu *f, unsigned i, struct fx80 v)
{
    uint8_t *st = f->cpu->fx.st[i];

    stl64(st, v.m);
    stl16(st + 8, v.se);
    memset(st + 10, 0, 6);
    f->cpu->fx.ftw |= tag_bit(f->cpu, i);
}

void fpu_set(struct fpu *f, unsigned i, struct sf s)
{
    fpu_set_raw(f, i, sf_pack80(s));
}

void fpu_stack_fault(struct fpu *f, bool over)
{
    f->fault = true;
    f->over = over;
    f->e.flags |= FE_I;
    f->e.up = false;
}

struct sf fpu_fetch(struct fpu *f, unsigned i)
{
    if (fpu_empty(f, i)) {
        if (!f->fault)
            fpu_stack_fault(f, false);
        return sf_default_nan();
    }
    return sf_unpack80(fpu_get_raw(f, i));
}

void fpu_free(struct fpu *f, unsigned i)
{
    f->cpu->fx.ftw &= (uint8_t)~tag_bit(f->cpu, i);
}

void fpu_pop(struct fpu *f)
{
    fpu_free(f, 0);
    fpu_rotate(f->cpu, 1);
}

bool fpu_stopped(const struct fpu *f)
{
    return f->e.flags & ~f->e.masked & (FE_I | FE_D | FE_Z);
}

void fpu_want_room(struct fpu *f)
{
    if (!f->fault && !fpu_empty(f, 7))
        fpu_stack_fault(f, true);
}

void fpu_push(struct fpu *f, struct fx80 v)
{
    fpu_want_room(f);
    if (fpu_stopped(f))
        return;
    fpu_rotate(f->cpu, 7);
    fpu_set_raw(f, 0, f->fault ? sf_pack80(sf_default_nan()) : v);
}

void fpu_finish(struct fpu *f)
{
    uint16_t *fsw = &f->cpu->fx.fsw;

    if (f->quiet)
        return;
    *fsw &= (uint16_t)~((f->keep_c1 && !f->fault ? 0 : FSW_C1) | f->cc_mask);
    *fsw |= f->cc | f->e.flags;
    if (f->fault)
        *fsw |= FSW_SF | (f->over ? FSW_C1 : 0);
    else if (f->e.up)
        *fsw |= FSW_C1;
    if (*fsw & ~f->cpu->fx.fcw & FE_X86_ALL)
        *fsw |= FSW_ES | FSW_B;
    else
        *fsw &= (uint16_t)~(FSW_ES | FSW_B);
}
