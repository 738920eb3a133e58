/*
 * eeprom93.c - a 93C46 serial EEPROM
 */
#include "hw/net/eeprom93.h"

enum { OP_READ = 6, COMMAND_BITS = 9 };   /* start bit 1, opcode 10 */

void eeprom93_reset(struct eeprom93 *e)
{
    e->in = e->in_bits = e->out_bits = 0;
    e->sk = false;
}

/* The clock rose: a bit comes in, or one has gone out. */
static void clock_bit(struct eeprom93 *e, bool bit)
{
    if (e->out_bits) {
        e->out_bits--;
        return;
    }
    if (!e->in_bits && !bit)
        return;                          /* before the start bit */
    e->in = e->in << 1 | bit;
    if (++e->in_bits < COMMAND_BITS)
        return;
    if (e->in >> 6 == OP_READ) {
        e->out = e->word[e->in & (EEPROM93_WORDS - 1)];
        e->out_bits = 17;                /* the 0 first */
    }
    e->in = e->in_bits = 0;
}

bool eeprom93_pins(struct eeprom93 *e, bool cs, bool sk, bool di)
{
    bool rose = sk && !e->sk;

    if (!cs) {
        eeprom93_reset(e);
        return true;
    }
    e->sk = sk;
    if (rose)
        clock_bit(e, di);
    if (e->out_bits > 16)
        return false;
    return !e->out_bits || (e->out >> (e->out_bits - 1) & 1);
}
