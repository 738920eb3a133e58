/* uart16550.c - the serial port through its registers */
#include "hw/char/uart16550.h"
#include "tests/hw/stepped.h"

enum { COM = 0x3f8, THR = COM, IER = COM + 1, IIR = COM + 2, FCR = COM + 2,
       LCR = COM + 3, MCR = COM + 4, LSR = COM + 5, MSR = COM + 6, SCR = COM + 7 };

static struct machine *m;
static struct memchar mc;
static int line[2];
static struct irq_line irq = { watch_line, line, 1 };

static void setup(void)
{
    struct err e = { "" };

    m = stepped_machine();
    memchar_init(&mc);
    cr_assert_not_null(machine_add_device(m, &uart16550_type, COM, &irq,
                                          uart16550_setup, &mc.c, &e));
}

static void teardown(void)
{
    machine_free(m);
}

static void feed(const char *s)
{
    mc.in = s;
    memchar_poll(&mc.c);
}

TestSuite(uart, .init = setup, .fini = teardown);

Test(uart, reset_state)
{
    cr_assert_eq(inb(m, IER), 0);
    cr_assert_eq(inb(m, IIR), 0x01);
    cr_assert_eq(inb(m, LCR), 0);
    cr_assert_eq(inb(m, MCR), 0);
    cr_assert_eq(inb(m, LSR), 0x60);
    cr_assert_eq(inb(m, MSR), 0xb0);
}

Test(uart, registers_keep_what_exists)
{
    outb(m, SCR, 0xa5);
    cr_assert_eq(inb(m, SCR), 0xa5);
    outb(m, IER, 0xff);
    cr_assert_eq(inb(m, IER), 0x0f);
    outb(m, MCR, 0xef);
    cr_assert_eq(inb(m, MCR), 0x0f);
    outb(m, LCR, 0x7f);
    cr_assert_eq(inb(m, LCR), 0x7f);
    outb(m, LSR, 0);
    cr_assert_eq(inb(m, LSR), 0x60, "read-only");
}

Test(uart, divisor_latch)
{
    outb(m, IER, 0x05);
    outb(m, LCR, 0x83);
    outb(m, COM, 0x34);
    outb(m, IER, 0x12);
    cr_assert_eq(inb(m, COM), 0x34);
    cr_assert_eq(inb(m, IER), 0x12);
    outb(m, LCR, 0x03);
    cr_assert_eq(inb(m, IER), 0x05);
    cr_assert_eq(mc.n_out, 0, "no byte was sent");
}

Test(uart, transmits)
{
    outb(m, THR, 'h');
    outb(m, THR, 'i');
    cr_assert_str_eq(mc.out, "hi");
    cr_assert_eq(inb(m, LSR) & 0x60, 0x60);
}

Test(uart, full_back_end_holds_thre_low)
{
    mc.room = 0;
    outb(m, FCR, 0x01);
    for (int i = 0; i < 20; i++)
        outb(m, THR, 'a' + i);
    cr_assert_eq(inb(m, LSR) & 0x60, 0);
    mc.room = 10;
    mc.c.can_write(mc.c.front);
    cr_assert_eq(inb(m, LSR) & 0x60, 0);
    mc.room = 100;
    mc.c.can_write(mc.c.front);
    cr_assert_eq(inb(m, LSR) & 0x60, 0x60);
    cr_assert_str_eq(mc.out, "abcdefghijklmnop", "16 fit, the rest is lost");
}

Test(uart, thre_interrupt)
{
    outb(m, MCR, 0x08);
    outb(m, IER, 0x02);
    cr_assert_eq(line[1], 1, "enabling with an empty THR raises it");
    cr_assert_eq(inb(m, IIR), 0x02);
    cr_assert_eq(line[1], 0, "reading IIR acknowledges");
    cr_assert_eq(inb(m, IIR), 0x01);
    outb(m, THR, 'x');
    cr_assert_eq(line[1], 1);
    outb(m, IER, 0);
    cr_assert_eq(line[1], 0);
}

Test(uart, out2_gates_the_line)
{
    outb(m, IER, 0x02);
    cr_assert_eq(line[1], 0);
    cr_assert_eq(inb(m, LSR), 0x60);
    outb(m, MCR, 0x08);
    cr_assert_eq(line[1], 1);
    outb(m, MCR, 0x18);
    cr_assert_eq(line[1], 0, "loopback disconnects OUT2");
}

Test(uart, receives_without_fifo)
{
    outb(m, MCR, 0x08);
    outb(m, IER, 0x01);
    feed("ab");
    cr_assert_eq(line[1], 1);
    cr_assert_eq(inb(m, IIR), 0x04);
    cr_assert_eq(inb(m, LSR), 0x61);
    cr_assert_eq(inb(m, COM), 'a');
    cr_assert_eq(inb(m, COM), 'b', "the next one is fetched at once");
    cr_assert_eq(inb(m, LSR), 0x60);
    cr_assert_eq(line[1], 0);
    cr_assert_eq(inb(m, COM), 'b', "an empty RBR repeats");
}

Test(uart, trigger_level_and_timeout)
{
    outb(m, LCR, 0x83);
    outb(m, COM, 1); /* 115200: a character is 86.8 us */
    outb(m, IER, 0);
    outb(m, LCR, 0x03);
    outb(m, MCR, 0x08);
    outb(m, FCR, 0x81); /* trigger 8 */
    outb(m, IER, 0x01);
    cr_assert_eq(inb(m, IIR), 0xc1);
    feed("1234567");
    cr_assert_eq(inb(m, IIR), 0xc1);
    clock_step(&m->clock, &m->timers, 300000);
    cr_assert_eq(line[1], 0);
    clock_step(&m->clock, &m->timers, 50000);
    cr_assert_eq(line[1], 1);
    cr_assert_eq(inb(m, IIR), 0xcc);
    cr_assert_eq(inb(m, COM), '1');
    cr_assert_eq(line[1], 0, "reading restarts the timeout");
    feed("89");
    cr_assert_eq(inb(m, IIR), 0xc4, "8 are there again");
    for (int i = 0; i < 8; i++)
        cr_assert_eq(inb(m, COM), '2' + i);
    clock_step(&m->clock, &m->timers, 10000000);
    cr_assert_eq(inb(m, IIR), 0xc1, "no timeout with an empty FIFO");
}

Test(uart, fifo_takes_sixteen)
{
    outb(m, FCR, 0x01);
    feed("0123456789abcdefghij");
    cr_assert_str_eq(mc.in, "ghij", "the rest waits outside");
    cr_assert_eq(inb(m, COM), '0');
    cr_assert_str_eq(mc.in, "hij");
    outb(m, FCR, 0x03);
    cr_assert_eq(inb(m, COM), 'h', "RX reset drops what was in the FIFO");
}

Test(uart, break_is_a_line_status_interrupt)
{
    outb(m, MCR, 0x08);
    outb(m, FCR, 0x01);
    outb(m, IER, 0x05);
    feed("a");
    mc.c.event(mc.c.front, CHR_EVENT_BREAK);
    cr_assert_eq(inb(m, IIR), 0xc4);
    cr_assert_eq(inb(m, LSR), 0xe1, "an error is in the FIFO, not yet at its top");
    cr_assert_eq(inb(m, COM), 'a');
    cr_assert_eq(inb(m, IIR), 0xc6, "line status has the highest priority");
    cr_assert_eq(inb(m, LSR), 0xf1);
    cr_assert_eq(inb(m, LSR), 0x61, "reading clears the error");
    cr_assert_eq(inb(m, COM), 0);
    cr_assert_eq(inb(m, LSR), 0x60);
}

Test(uart, loopback_data_and_overrun)
{
    outb(m, MCR, 0x10);
    outb(m, THR, 'x');
    cr_assert_eq(mc.n_out, 0);
    cr_assert_eq(inb(m, LSR), 0x61);
    cr_assert_eq(inb(m, COM), 'x');
    outb(m, THR, 'y');
    outb(m, THR, 'z');
    cr_assert_eq(inb(m, LSR), 0x63);
    cr_assert_eq(inb(m, LSR), 0x61);
    cr_assert_eq(inb(m, COM), 'z', "without FIFO the newer byte stays");
}

Test(uart, loopback_fifo_overrun_keeps_the_fifo)
{
    outb(m, FCR, 0x01);
    outb(m, MCR, 0x10);
    for (int i = 0; i < 17; i++)
        outb(m, THR, i);
    cr_assert_eq(inb(m, LSR) & 0x02, 0x02);
    for (int i = 0; i < 16; i++)
        cr_assert_eq(inb(m, COM), i);
    cr_assert_eq(inb(m, LSR) & 1, 0);
}

Test(uart, loopback_modem_lines)
{
    outb(m, MCR, 0x1a);
    cr_assert_eq(inb(m, MSR) & 0xf0, 0x90);
    outb(m, MCR, 0x14); /* OUT1: RI */
    cr_assert_eq(inb(m, MSR), 0x49, "CTS and DCD fell, RI rises without TERI");
    outb(m, MCR, 0x10);
    cr_assert_eq(inb(m, MSR), 0x04, "TERI on the trailing edge");
    cr_assert_eq(inb(m, MSR), 0x00);
    outb(m, IER, 0x08);
    outb(m, MCR, 0x11);
    cr_assert_eq(inb(m, IIR), 0x00, "modem status");
    outb(m, MCR, 0x08);
    cr_assert_eq(line[1], 1);
    inb(m, MSR);
    cr_assert_eq(line[1], 0);
}

Test(uart, no_fifo_bits_of_other_chips)
{
    outb(m, FCR, 0xe1);
    cr_assert_eq(inb(m, IIR), 0xc1, "no 64-byte FIFO");
    outb(m, FCR, 0x00);
    cr_assert_eq(inb(m, IIR), 0x01);
}

Test(uart, ports_of_a_pc)
{
    struct machine *pc = stepped_machine();
    struct memchar c;
    struct err e = { "" };

    memchar_init(&c);
    cr_assert_eq(uart16550_add(pc, 1, &c.c, &e), 0);
    cr_assert_eq(uart16550_add(pc, 2, NULL, &e), 0);
    cr_assert_eq(uart16550_add(pc, 4, &c.c, &e), -EINVAL);
    outb(pc, 0x2f8, '!');
    cr_assert_str_eq(c.out, "!");
    cr_assert_eq(inb(pc, 0x3ef), 0xff, "no back end, no port");
    machine_free(pc);
}
