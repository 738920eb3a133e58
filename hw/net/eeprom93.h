/*
 * eeprom93.h - a 93C46 serial EEPROM (Microwire), 64 words of 16 bits
 *
 * A command is a start bit, two bits of opcode, six of address; a word read
 * follows a 0 bit, most significant bit first. Only reading is wired.
 *
 * Source: 93C46 data sheet (Microchip DS21749), table 2-1.
 */
#ifndef HW_NET_EEPROM93_H
#define HW_NET_EEPROM93_H

#include "util/util.h"

#define EEPROM93_WORDS 64

struct eeprom93 {
    uint16_t word[EEPROM93_WORDS];
    uint16_t in, out;            /* bits of the command; the word going out */
    uint8_t in_bits, out_bits;
    bool sk;
};

/** eeprom93_reset() - no chip select */
void eeprom93_reset(struct eeprom93 *e);
/** eeprom93_pins() - drive chip select, clock, data in; returns data out */
bool eeprom93_pins(struct eeprom93 *e, bool cs, bool sk, bool di);

#endif
