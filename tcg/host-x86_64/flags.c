/*
 * flags.c - where the guest's arithmetic flags are
 *
 * They are in EFLAGS right after the operation that made them, and in env->fl
 * (LAHF + SETO: flag neutral, about two cycles) once something that destroys
 * EFLAGS or needs them in memory comes. Never PUSHF/POPF on the main line.
 */
#include "tcg/host-x86_64/gen-int.h"

void flags_save(struct gen *g)
{
    if (g->fl_mem)
        return;
    if (!g->fl_host) {         /* dead: a partial write (SETF) over flags nobody reads */
        g->fl_mem = true;
        return;
    }
    scratch_take(g, RAX);
    e8(&g->c, 0x9f);                                     /* lahf */
    ins(&g->c, 1, X0F | 0x90, 0, o_reg(RAX));            /* seto al */
    ins(&g->c, 4, 0x89, RAX, ENV(fl));
    g->locked &= ~(1 << RAX);
    g->fl_mem = true;
}

void flags_load(struct gen *g)
{
    if (g->fl_host)
        return;
    scratch_take(g, RAX);
    ins(&g->c, 4, 0x8b, RAX, ENV(fl));
    e8(&g->c, 0x04);                                     /* add al, 127: O from bit 0 */
    e8(&g->c, 0x7f);
    e8(&g->c, 0x9e);                                     /* sahf */
    g->locked &= ~(1 << RAX);
    g->fl_host = true;
}

void flags_clobber(struct gen *g, uint8_t live)
{
    if (live)
        flags_save(g);
    g->fl_host = false;
}

void flags_set(struct gen *g)
{
    g->fl_host = true;
    g->fl_mem = false;
}
