/* trap.c - records exceptions and interrupts, and goes on where TRY ends */
#include "lib/bare.h"

struct trap trap;

void trap_resume(struct frame *f) __attribute__((noreturn));

void trap_arm(void)
{
    trap.vec = -1;
    trap.count = 0;
    trap.err = 0;
    trap.cr2 = 0;
}

static void unexpected(struct frame *f)
{
    put_str("unexpected vector ");
    put_hex(f->vec);
    put_str(" error ");
    put_hex(trap.err);
    put_str(" at ");
    put_hex(f->cs);
    put_char(':');
    put_hex(f->ip);
    put_str(" cr2 ");
    put_hex(trap.cr2);
    put_char('\n');
    check("no unexpected exception", 1, 0);
    finish();
}

/* Called by the stubs; returning means IRET. */
void trap_handle(struct frame *f, ulong flags)
{
    trap.vec = (int)f->vec;
    trap.count++;
    trap.ip = f->ip;
    trap.cs = f->cs & 0xffff;
    trap.flags = f->flags;
    trap.cr2 = read_cr2();
    trap.dr6 = read_dr6();
    trap.handler_flags = flags;
    asm("mov %%cs, %0" : "=r"(trap.handler_cs));
    asm("mov %%ss, %0" : "=r"(trap.handler_ss));
#ifdef REAL_MODE
    trap.handler_sp = (ulong)(&f->flags + 1);
#else
    trap.err = f->err;
#ifdef __x86_64__
    trap.handler_sp = (ulong)(f + 1); /* what was there before the CPU pushed, when aligned */
    trap.sp = f->sp;
    trap.ss = f->ss;
#else
    trap.handler_sp = (ulong)(&f->flags + 1);
    if ((f->cs & 3) != (trap.handler_cs & 3) || (f->flags & FL_VM)) {
        trap.handler_sp = (ulong)(&f->ss + 1 + (f->flags & FL_VM ? 4 : 0));
        trap.sp = f->sp;
        trap.ss = f->ss & 0xffff;
    }
#endif
#endif
    bytes_copy(&trap.frame, f, sizeof(*f));
    if (trap.hook && trap.hook(f))
        return;
    if (!trap.resume_ip)
        unexpected(f);
    trap_resume(f);
}
