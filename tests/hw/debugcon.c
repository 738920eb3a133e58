/* debugcon.c - debug console and exit port */
#include "hw/char/debugcon.h"
#include "hw/misc/isa_debug_exit.h"
#include "tests/hw/stepped.h"

Test(debugcon, prints_and_answers)
{
    struct machine *m = stepped_machine();
    struct memchar mc;
    struct err e = { "" };

    memchar_init(&mc);
    cr_assert_eq(debugcon_add(m, 0x402, &mc.c, &e), 0);
    cr_assert_eq(inb(m, 0x402), 0xe9);
    outb(m, 0x402, 'o');
    outb(m, 0x402, 'k');
    cr_assert_str_eq(mc.out, "ok");
    mc.room = 0;
    outb(m, 0x402, '!'); /* dropped */
    mc.room = 1;
    outb(m, 0x402, '.');
    cr_assert_str_eq(mc.out, "ok.");
    machine_free(m);
}

Test(debugcon, absent)
{
    struct machine *m = stepped_machine();
    struct err e = { "" };

    cr_assert_eq(debugcon_add(m, 0x402, NULL, &e), 0);
    cr_assert_eq(inb(m, 0x402), 0xff);
    machine_free(m);
}

Test(debug_exit, asks_for_the_exit)
{
    struct machine *m = stepped_machine();
    struct err e = { "" };

    cr_assert_eq(isa_debug_exit_add(m, 0x501, &e), 0);
    cr_assert_eq(m->request_shutdown, CAUSE_NONE);
    inb(m, 0x501);
    cr_assert_eq(m->request_shutdown, CAUSE_NONE);
    outb(m, 0x501, 0x10);
    cr_assert_eq(m->request_shutdown, CAUSE_DEBUG_EXIT);
    cr_assert_eq(m->exit_code, 0x21);
    machine_free(m);
}
