/* insn-table.h - between insn-table.c and decode.c */
#ifndef TARGET_X86_INSN_TABLE_H
#define TARGET_X86_INSN_TABLE_H

#include "target-x86/decode-int.h"

/* last row of an opcode (map << 8 | byte) in each file; 0: none */
extern const uint16_t x86_last_int_row[MAP_COUNT * 256];
extern const uint16_t x86_last_simd_row[MAP_COUNT * 256];
extern const uint16_t x86_last_evex_row[MAP_COUNT * 256];

struct x86_ft_bit { uint8_t word, bit; };
extern const struct x86_ft_bit x86_ft_bits[FT_COUNT];

#endif
