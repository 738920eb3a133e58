/*
 * chr-telnet.c - what a socket with telnet=on says besides the bytes
 *
 * The other side is asked to send each key at once and not to echo it; its answers
 * and whatever else it negotiates are taken out of the input.
 *
 * Source: RFC 854, RFC 857 (echo), RFC 858 (suppress go ahead).
 */
#include "ui/chardev-int.h"

enum { IAC = 255, DONT = 254, DO = 253, WONT = 252, WILL = 251, SB = 250, SE = 240 };
enum { BINARY = 0, ECHO_ = 1, SUPPRESS_GO_AHEAD = 3 };
enum state { DATA, COMMAND, OPTION, SUB, SUB_COMMAND };

const uint8_t telnet_hello[] = {
    IAC, WILL, ECHO_, IAC, WILL, SUPPRESS_GO_AHEAD, IAC, WILL, BINARY, IAC, DO, BINARY,
};
const int telnet_hello_len = sizeof(telnet_hello);

/* The byte after IAC; returns whether it stands for itself. */
static bool command(struct telnet *t, uint8_t byte)
{
    t->state = byte == SB ? SUB : byte >= WILL && byte <= DONT ? OPTION : DATA;
    return byte == IAC;
}

int telnet_decode(struct telnet *t, uint8_t *buf, int len)
{
    int n = 0;

    for (int i = 0; i < len; i++) {
        switch ((enum state)t->state) {
        case DATA:
            if (buf[i] == IAC)
                t->state = COMMAND;
            else
                buf[n++] = buf[i];
            break;
        case COMMAND:
            if (command(t, buf[i]))
                buf[n++] = IAC;
            break;
        case OPTION:
            t->state = DATA;
            break;
        case SUB:
            if (buf[i] == IAC)
                t->state = SUB_COMMAND;
            break;
        case SUB_COMMAND:
            t->state = buf[i] == SE ? DATA : SUB;
            break;
        }
    }
    return n;
}

int telnet_encode(const uint8_t *in, int len, uint8_t *out, int room, int *taken)
{
    int n = 0, i;

    for (i = 0; i < len && n + (in[i] == IAC) < room; i++) {
        if (in[i] == IAC)
            out[n++] = IAC;
        out[n++] = in[i];
    }
    *taken = i;
    return n;
}
