/* print.c - the debug console, test lines, the end of the program */
#include "lib/bare.h"

static int passed, failed, skipped;

/* 0x402 is SeaBIOS's debug port; it answers 0xe9, as does Bochs's at 0xe9 */
void put_char(char c)
{
    static u16 port;

    if (!port)
        port = inb(0x402) == 0xe9 ? 0x402 : 0xe9;
    outb(port, (u8)c);
}

int under_qemu_tcg(void)
{
    struct cpuid c = cpuid(0x40000000, 0);

    return c.b == 0x54474354 && c.c == 0x43544743; /* "TCGTCGTCGTCG" */
}

void put_str(const char *s)
{
    while (*s)
        put_char(*s++);
}

void put_hex(u64 v)
{
    int n = 60;

    put_str("0x");
    while (n && !(v >> n & 15))
        n -= 4;
    for (; n >= 0; n -= 4)
        put_char("0123456789abcdef"[v >> n & 15]);
}

static int result(const char *name, int good)
{
    good ? passed++ : failed++;
    put_str(good ? "ok " : "FAIL ");
    put_str(name);
    if (good)
        put_char('\n');
    return good;
}

void check(const char *name, u64 got, u64 want)
{
    if (result(name, got == want))
        return;
    put_str(" got ");
    put_hex(got);
    put_str(" want ");
    put_hex(want);
    put_char('\n');
}

static void put_trap(int vec, u64 err)
{
    if (vec < 0) {
        put_str("none");
        return;
    }
    put_str("vector ");
    put_hex((u64)vec);
    put_str(" error ");
    put_hex(err);
}

void check_trap(const char *name, int vec, u64 err)
{
    if (result(name, trap.vec == vec && (vec < 0 || trap.err == err)))
        return;
    put_str(" got ");
    put_trap(trap.vec, trap.err);
    put_str(" want ");
    put_trap(vec, err);
    put_char('\n');
}

void skip(const char *name, const char *why)
{
    skipped++;
    put_str("skip ");
    put_str(name);
    put_str(": ");
    put_str(why);
    put_char('\n');
}

static void put_dec(int n)
{
    if (n >= 10)
        put_dec(n / 10);
    put_char((char)('0' + n % 10));
}

void finish(void)
{
    put_dec(passed);
    put_str(" passed, ");
    put_dec(failed);
    put_str(" failed, ");
    put_dec(skipped);
    put_str(" skipped\n");
    outb(0x501, failed ? 0x11 : 0x10);
    for (const char *s = "Shutdown"; *s; s++) /* ends Bochs */
        outb(0x8900, (u8)*s);
    for (;;)
        asm volatile("cli\n\thlt");
}
