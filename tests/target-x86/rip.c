/* rip.c - accesses relative to the program counter, over and beside page ends */
#include "tests/target-x86/engines.h"

#ifdef __x86_64__

/* Accesses at GUEST_DATA + @at and 8, 24 and 40 bytes further on: mov rax, [a]; add [b], rax; mov rbx, [c];
 * mov [d], bx */
static void run(uint32_t at)
{
    uint8_t code[] = "\x48\x8b\x05____\x48\x01\x05____\x48\x8b\x1d____\x66\x89\x1d____";
    static const struct { uint8_t pos, next, off; } rel[] = { { 3, 7, 0 }, { 10, 14, 8 }, { 17, 21, 24 }, { 24, 28, 40 } };
    struct engine_in in = { .code = (const char *)code, .n = sizeof code - 1, .mode = GUEST_LONG };
    char what[40];

    for (unsigned i = 0; i < ARRAY_SIZE(rel); i++)
        stl32(code + rel[i].pos, GUEST_DATA + at + rel[i].off - (GUEST_CODE + rel[i].next));
    snprintf(what, sizeof what, "relative to RIP at %#x", at);
    engines_agree(&in, what);
}

Test(rip, over_page_ends)
{
    for (uint32_t at = 0xfc0; at <= 0x1010; at++)
        run(at);
}

Test(rip, where_there_is_no_memory)
{
    run(16 * 4096 - 0x4000 - 20);
    run(16 * 4096 - 0x4000 + 0x100);
}

#endif
