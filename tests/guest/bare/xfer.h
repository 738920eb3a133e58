/*
 * xfer.h - generated tests of control transfers: how a case is drawn, set up, run and judged
 *
 * Each case is a struct of bytes, one a dimension, drawn by xorshift from a fixed seed, so that every
 * pair of values comes together many times. A model, written from the SDM alone, says what must
 * come of it; the instruction then runs at its CPL and both outcomes are compared field by field.
 */
#ifndef BARE_XFER_H
#define BARE_XFER_H

#include "lib/desc.h"

#define SRC 0x2000ul                     /* the instruction under test */
#define TARGET 0x2100ul                  /* where it leads: INT 80h, in code of any width */
#define FAR_POINTER 0x2200ul
#define STACK(ring) (0x50000ul + (ring) * 0x2000 + 0x1000) /* the rings' stacks; their own is SRC_SP */
#define SRC_SP 0x5e000ul
#define NEW_SP 0x5f800ul                 /* that a return pops */
#define CODE_SLOT 0x90u
#define SS_SLOT 0xa0u                    /* SS of the code under test, or the one that a return pops */
#define INNER_SLOT 0xa8u                 /* SS of the inner stack */
#ifdef __x86_64__
#define LONG 1
#define WORD 8u
#else
#define LONG 0
#define WORD 4u
#endif
#ifndef XFER_CASES
#define XFER_CASES 16000          /* make EXTRA=-DXFER_CASES=... for more */
#endif
#ifndef XFER_COMPLAINTS
#define XFER_COMPLAINTS 8
#endif

/* ---- drawing ---------------------------------------------------------------------- */

u32 draw(u32 n);                         /* 0..n-1 */
static inline u32 one_in(u32 n) { return draw(n) == 0; }
/** draw_mostly() - @usual in three of four cases, else any of 0..n-1 */
static inline u8 draw_mostly(u32 usual, u32 n) { return (u8)(one_in(4) ? draw(n) : usual); }

/** limits_count() - whether segment limits are checked: 32-bit mode, not under QEMU */
u32 limits_count(void);

enum where { IN_GDT, IN_LDT, PAST_GDT, PAST_LDT, NULL_SEL };

/** struct seg_case - a descriptor and the selector that names it */
struct seg_case {
    u8 where, rpl, type, s, dpl, p, l, d;
};
/** draw_code()/draw_stack() - mostly one that ring @dpl can use */
void draw_code(struct seg_case *t, u32 dpl);
void draw_stack(struct seg_case *t, u32 dpl);
u32 seg_sel(const struct seg_case *t, u32 slot);
/** seg_put() - the descriptor into its slot; @limit: in bytes, 0: 4 GiB */
void seg_put(const struct seg_case *t, u32 slot, u32 limit);

static inline int seg_is_null(const struct seg_case *t) { return t->where == NULL_SEL; }
static inline int seg_outside(const struct seg_case *t) { return t->where == PAST_GDT || t->where == PAST_LDT; }
static inline int seg_code(const struct seg_case *t) { return t->s && (t->type & 8); }
static inline int seg_conforming(const struct seg_case *t) { return t->type & 4; }
static inline int seg_writable(const struct seg_case *t) { return t->s && !(t->type & 8) && (t->type & 2); }

/** enum inner - what is wrong with the stack that the TSS gives for ring 1 or 2 */
enum inner { INNER_GOOD, INNER_SEG, INNER_ROOM, INNER_TSS_SHORT, INNER_SP_BAD, INNER_SP_EDGE, INNER_KINDS };
struct inner_case {
    u8 kind, room;
    struct seg_case ss;                  /* INNER_SEG */
};
void draw_inner(struct inner_case *i, u32 ring);
/** inner_put() - into the TSS; inner_fault() - its fault when @bytes are pushed: 0: none */
void inner_put(const struct inner_case *i, u32 ring);

/* ---- outcomes --------------------------------------------------------------------- */

struct outcome {
    int vec;                             /* LEAVE_VEC: arrived */
    u32 err;
    ulong ip, cs, ss, sp, flags, ds;
    ulong frame[40];
    u32 n_frame, frame_bytes;            /* pushed words from sp on, bytes of each */
    u64 selectors, images;               /* which of them are selectors, images of EFLAGS: bit sets */
};
/** fault() - @o becomes a fault; returns 0 */
int fault(struct outcome *o, int vec, u32 err);
/** inner_model() - the stack switch to @ring; 0: @o is its fault; @bytes: room wanted */
int inner_model(const struct inner_case *i, u32 ring, u32 bytes, u32 ext, struct outcome *o);
/** run_case() - at @cpl (@compat: by 32-bit code of long mode) from SRC on, SS:@sp */
void run_case(u32 cpl, u32 compat, ulong ss, ulong sp, ulong flags);
/** count_case() - one more, by those that do not judge() */
void count_case(void);
/** same() - one field of the outcome; 0 after a complaint, of which only some are printed */
int same(const char *name, const void *c, u32 bytes, const char *what, u64 got, u64 want);
/** judge() - compares with what happened; prints @name and the case's bytes */
int judge(const char *name, const void *c, u32 bytes, struct outcome *want);
u32 src_cs(u32 cpl, u32 compat);
u32 src_ss(u32 cpl);
/** group() - how many cases ran and differed since the last */
void group(const char *name);

#endif
