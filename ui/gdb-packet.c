/*
 * gdb-packet.c - framing, escapes and hexadecimal of gdb's remote protocol
 *
 * A packet is "$" data "#" and the sum of the data's bytes in two hex digits. In the
 * data "}" stands before a byte XORed with 0x20. Everything comes from a peer that is
 * not trusted: lengths are bounded here, and only here.
 */
#define _GNU_SOURCE 1
#include "ui/gdb-int.h"

#define ESCAPE 0x7d
#define ESCAPE_XOR 0x20
#define INTERRUPT 0x03

/* ---- receiving ---------------------------------------------------------------------- */

static void rx_start(struct gdb_rx *rx)
{
    rx->state = RX_DATA;
    rx->sum = 0;
    rx->len = 0;
    rx->too_long = false;
}

static void rx_put(struct gdb_rx *rx, uint8_t b)
{
    if (rx->len == GDB_PACKET)
        rx->too_long = true;
    else
        rx->buf[rx->len++] = (char)b;
}

static enum gdb_rx_event rx_idle(struct gdb_rx *rx, uint8_t b)
{
    switch (b) {
    case '$':
        rx_start(rx);
        return RX_MORE;
    case '-':
        return RX_NAK;
    case INTERRUPT:
        return RX_INTERRUPT;
    default:                 /* "+", and noise */
        return RX_MORE;
    }
}

static enum gdb_rx_event rx_data(struct gdb_rx *rx, uint8_t b)
{
    if (b == '$') {          /* never in data: what came before is lost */
        rx_start(rx);
        return RX_MORE;
    }
    if (b == '#') {
        rx->state = RX_SUM1;
        return RX_MORE;
    }
    rx->sum += b;
    if (rx->state == RX_ESCAPED) {
        rx_put(rx, b ^ ESCAPE_XOR);
        rx->state = RX_DATA;
    } else if (b == ESCAPE) {
        rx->state = RX_ESCAPED;
    } else {
        rx_put(rx, b);
    }
    return RX_MORE;
}

static enum gdb_rx_event rx_end(struct gdb_rx *rx, int low)
{
    rx->state = RX_IDLE;
    rx->buf[rx->len] = 0;
    if (low < 0 || rx->sum != (rx->want | low))
        return RX_BAD_SUM;
    return rx->too_long ? RX_TOO_LONG : RX_PACKET;
}

enum gdb_rx_event gdb_rx_byte(struct gdb_rx *rx, uint8_t b)
{
    int digit = hex_digit((char)b);

    switch (rx->state) {
    case RX_IDLE:
        return rx_idle(rx, b);
    case RX_DATA:
    case RX_ESCAPED:
        return rx_data(rx, b);
    case RX_SUM1:
        if (digit < 0)
            return rx_end(rx, -1);
        rx->want = (uint8_t)(digit << 4);
        rx->state = RX_SUM2;
        return RX_MORE;
    default:
        return rx_end(rx, digit);
    }
}

/* ---- replies ---------------------------------------------------------------------------- */

static void out_bytes(struct gdb_out *o, const char *s, size_t n)
{
    if (n > sizeof(o->buf) - o->len) {
        o->full = true;
        return;
    }
    memcpy(o->buf + o->len, s, n);
    o->len += (unsigned)n;
}

void out_str(struct gdb_out *o, const char *s)
{
    out_bytes(o, s, strlen(s));
}

void out_fmt(struct gdb_out *o, const char *fmt, ...)
{
    char text[256];
    va_list ap;
    int n;

    va_start(ap, fmt);
    n = vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    assert(n >= 0 && n < (int)sizeof(text));
    out_bytes(o, text, (size_t)n);
}

void out_hex(struct gdb_out *o, const void *data, size_t len)
{
    static const char digits[] = "0123456789abcdef";
    const uint8_t *p = data;

    for (size_t i = 0; i < len; i++) {
        char two[2] = { digits[p[i] >> 4], digits[p[i] & 15] };

        out_bytes(o, two, 2);
    }
}

size_t out_binary(struct gdb_out *o, const void *data, size_t len)
{
    const char *p = data;
    size_t i;

    for (i = 0; i < len && sizeof(o->buf) - o->len >= 2; i++) {
        bool special = strchr("$#}*", p[i]) && p[i];
        char two[2] = { ESCAPE, (char)(p[i] ^ ESCAPE_XOR) };

        out_bytes(o, special ? two : p + i, special ? 2 : 1);
    }
    return i;
}

/* ---- arguments ------------------------------------------------------------------------------ */

int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

bool take_hex(const char **s, uint64_t *v)
{
    unsigned n = 0;
    int d;

    *v = 0;
    while ((d = hex_digit(**s)) >= 0) {
        if (n++ == 16)
            return false;
        *v = *v << 4 | (unsigned)d;
        ++*s;
    }
    return n > 0;
}

bool take_char(const char **s, char c)
{
    if (**s != c)
        return false;
    ++*s;
    return true;
}

bool take_bytes(const char **s, void *buf, size_t n)
{
    uint8_t *p = buf;

    for (size_t i = 0; i < n; i++) {
        int high = hex_digit((*s)[0]), low = high < 0 ? -1 : hex_digit((*s)[1]);

        if (low < 0)
            return false;
        p[i] = (uint8_t)(high << 4 | low);
        *s += 2;
    }
    return true;
}
