/*
 * tr-flags.c - EFLAGS outside the arithmetic flags: PUSHF, POPF, CLI, STI, CLD, CLAC
 *
 * Kernels use these often enough that leaving the block each time would show.
 */
#include "target-x86/system-int.h"
#include "target-x86/tr-int.h"

static void eflags_op(struct xlat *x, enum ir_opc opc, int64_t mask)
{
    ir_val t = ir_temp(x->b);

    ir_lde(x->b, 4, t, CPU_OFF(eflags));
    ir_emit_imm(x->b, opc, 4, t, t, mask);
    ir_ste(x->b, 4, CPU_OFF(eflags), t);
}

void tr_df(struct xlat *x)
{
    if (x->row->arg)
        eflags_op(x, IR_OR, EF_DF);
    else
        eflags_op(x, IR_AND, ~(int64_t)EF_DF);
    ir_stei(x->b, 8, CPU_OFF(df), x->row->arg ? -1 : 1);
}

/* the view changes, which the next access of the block finds in its place; the mode doesn't */
void tr_ac(struct xlat *x)
{
    if (x->mode & (MODE_CPL3 | MODE_CPL12 | MODE_VM86)) {
        xt_raise_ud(x);
        return;
    }
    if (x->row->arg)
        eflags_op(x, IR_OR, EF_AC);
    else
        eflags_op(x, IR_AND, ~(int64_t)EF_AC);
    ir_call(x->b, h_view, IRCALL_SYNC | IRCALL_NOVEC, IR_NONE, IR_NONE, IR_NONE, IR_NONE);
}

/* ---- PUSHF, POPF ------------------------------------------------------------------ */

/* the image: cpu->eflags without RF and VM, and the arithmetic flags */
static ir_val flags_image(struct xlat *x)
{
    ir_val t = ir_temp(x->b), f = ir_temp(x->b);

    ir_lde(x->b, 4, t, CPU_OFF(eflags));
    ir_emit_imm(x->b, IR_AND, 4, t, t, ~(int64_t)(EF_RF | EF_VM));
    ir_emit(x->b, IR_GETF, 4, f, IR_NONE, IR_NONE);
    ir_emit(x->b, IR_OR, 4, t, t, f);
    return t;
}

void tr_pushf(struct xlat *x)
{
    ir_val t;

    if (x->mode & MODE_VM86) {
        t = ir_temp(x->b);
        xt_call_i(x, h_pushf, t, x->in->opsize, 0, 0);
    } else {
        t = flags_image(x);
    }
    xt_push(x, x->in->opsize, t);
}

/* the helper checks and sets; SP can't fault any more after it */
void tr_popf(struct xlat *x)
{
    ir_val v = xt_pop_load(x, x->in->opsize, 0), leave = ir_temp(x->b);
    uint16_t stay;

    xt_lean(xt_call(x, h_popf_stay, leave, xt_imm(x, x->in->opsize), v, IR_NONE));
    xt_add_sp(x, x->in->opsize);
    if (x->solo)
        return;
    stay = ir_label(x->b);
    ir_brcmpi(x->b, IRC_EQ, 8, leave, 0, stay);
    xt_exit(x, x->next_off);
    x->ended = false;
    ir_set_label(x->b, stay);
}

/* ---- CLI, STI --------------------------------------------------------------------------- */

/* IF may be changed without asking: no VME or PVI rules */
static bool plain_if(const struct xlat *x)
{
    return (x->mode & MODE_IOPL_OK) && !(x->mode & MODE_VM86);
}

void tr_cli(struct xlat *x)
{
    if (plain_if(x))
        eflags_op(x, IR_AND, ~(int64_t)EF_IF);
    else
        xt_call_i(x, h_cli, IR_NONE, 0, 0, 0);
}

/* the block ends right after STI: its shadow must be remembered */
static uint64_t h_shadow_on(struct tcg_cpu *tc, uint64_t a, uint64_t b, uint64_t c)
{
    X86(tc)->shadow = true;
    x86_update_mode(X86(tc));
    return 0;
}

/* IF = 1; when a request has been waiting for that the next poll finds it */
static void if_on(struct xlat *x)
{
    ir_val held = ir_temp(x->b);
    uint16_t none = ir_label(x->b);

    eflags_op(x, IR_OR, EF_IF);
    ir_lde(x->b, 1, held, CPU_OFF(irq_held));
    ir_brcmpi(x->b, IRC_EQ, 1, held, 0, none);
    ir_stei(x->b, 4, CPU_OFF(tcg.run), 0);
    ir_set_label(x->b, none);
}

/*
 * Nothing polls for interrupts between STI and the next instruction of the same
 * block, which is all that the shadow asks; the block loop polls after that one
 * (xt_poll), or calls xt_sti_last() when there is none.
 */
void tr_sti(struct xlat *x)
{
    if (plain_if(x) && !x->solo) {
        if_on(x);
        x->sti = true;
    } else {
        xt_call_i(x, h_sti, IR_NONE, 0, 0, 0);
        x->want_exit = true;
    }
}

void xt_sti_last(struct xlat *x)
{
    ir_call(x->b, h_shadow_on, 0, IR_NONE, IR_NONE, IR_NONE, IR_NONE);
    xt_exit(x, x->next_off);
}

void xt_poll(struct xlat *x)
{
    ir_val run = ir_temp(x->b);
    uint16_t on = ir_label(x->b);

    ir_lde(x->b, 4, run, CPU_OFF(tcg.run));
    ir_brcmpi(x->b, IRC_NE, 4, run, 0, on);
    xt_exit(x, x->next_off);
    x->ended = false;
    ir_set_label(x->b, on);
}
