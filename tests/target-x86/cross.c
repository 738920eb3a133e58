/* cross.c - operands that lie in two pages: of every size, in pages that follow each other in the host's memory and others */
#include "tests/target-x86/engines.h"

#ifdef __x86_64__

struct piece {
    const char *what, *code;
    size_t n;
    unsigned bytes;          /* of the operands at RSI and RDI */
};
#define PIECE(what, bytes, code) { what, code, sizeof code - 1, bytes }

static const struct piece pieces[] = {
    PIECE("2 bytes", 2, "\x66\x8b\x06\x66\x89\x07"),
    PIECE("4 bytes", 4, "\x8b\x06\x89\x07"),
    PIECE("8 bytes", 8, "\x48\x8b\x06\x48\x89\x07"),
    PIECE("sign-extended", 2, "\x48\x0f\xbf\x06\x66\x89\x07"),
    PIECE("MOVBE", 8, "\x48\x0f\x38\xf0\x06\x48\x0f\x38\xf1\x07"),
    PIECE("a constant", 8, "\x48\xc7\x07\x78\x56\x34\x12\xc7\x06\x78\x56\x34\x12"),
    PIECE("flags before a store", 8, "\x48\x03\x1e\x48\x89\x1f"),                /* add rbx, [rsi]; mov [rdi], rbx */
    PIECE("ADD, ADC to memory", 8, "\x48\x01\x1e\x48\x11\x1f"),
    PIECE("CMP, SBB, INC", 4, "\x3b\x1e\x19\x1f\xff\x07"),
    PIECE("LOCK ADD", 4, "\xf0\x01\x1f"),
    PIECE("XCHG, XADD", 8, "\x48\x87\x1e\x48\x0f\xc1\x1f"),
    PIECE("CMPXCHG", 8, "\x48\x8b\x06\x48\x0f\xb1\x1e\x48\x0f\xb1\x1f"),
    PIECE("BTS, BTR", 4, "\x0f\xab\x1e\x0f\xba\x37\x05"),
    PIECE("NOT, SHL, ROR", 8, "\x48\xf7\x17\x48\xd1\x27\x48\xd1\x0e"),
    PIECE("PUSH and POP of memory", 8, "\xff\x36\x8f\x07"),
    PIECE("a stack", 8, "\x48\x89\xfc\x48\x83\xc4\x08\x53\x5b"),                 /* mov rsp, rdi; add rsp, 8; push rbx; pop rbx */
    PIECE("x87: 10 bytes", 10, "\xdb\x2e\xdb\x3f"),
    PIECE("x87: 8 bytes", 8, "\xdf\x2e\xdf\x3f"),
    PIECE("16 bytes", 16, "\x0f\x10\x06\x0f\x11\x07"),
    PIECE("16 bytes, scalars", 8, "\xf3\x0f\x7e\x06\x66\x0f\xd6\x07"),
    PIECE("32 bytes", 32, "\xc5\xfe\x6f\x06\xc5\xfe\x7f\x07"),
    PIECE("32 bytes, arithmetic", 32, "\xc5\xfe\x6f\x07\xc5\xfd\xd4\x06\xc5\xfe\x7f\x07"),
    PIECE("64 bytes", 64, "\x62\xf1\xfe\x48\x6f\x06\x62\xf1\xfe\x48\x7f\x07"),
    PIECE("64 bytes, masked", 64,          /* kmovq k1, rbx; vmovdqu8 zmm0{k1}{z}, [rsi]; vmovdqu8 [rdi]{k1}, zmm0 */
          "\xc4\xe1\xfb\x92\xcb\x62\xf1\x7f\xc9\x6f\x06\x62\xf1\x7f\x49\x7f\x07"),
    PIECE("a group", 16, "\x48\x8b\x06\x48\x8b\x56\x08\x48\x89\x17\x48\x89\x47\x08"),
    PIECE("a group from its middle", 24,   /* mov rax, [rsi + 8]; add rax, [rsi]; mov [rdi + 16], rax; mov [rdi], eax */
          "\x48\x8b\x46\x08\x48\x03\x06\x48\x89\x47\x10\x89\x07"),
    PIECE("a load leads a store", 12, "\x48\x8b\x07\x48\x01\xd8\x89\x47\x08\x8b\x16\x89\x56\x04"),
    PIECE("a group of vectors", 32, "\x0f\x10\x06\x0f\x10\x4e\x10\x0f\x11\x07\x0f\x11\x4f\x10"),
};

static const struct engine_out *run(const struct piece *p, uint32_t from, uint32_t to, unsigned joined)
{
    struct engine_in in = { .code = p->code, .n = p->n, .mode = ENGINE_VECTORS, .joined = joined };
    char what[120];

    in.regs[G_RSI] = GUEST_DATA + from;
    in.regs[G_RDI] = GUEST_DATA + to;
    in.regs[G_RBX] = 0x8edcba9876543210;
    in.regs[G_RSP] = GUEST_DATA + 0x800;
    snprintf(what, sizeof what, "%s: from %#x to %#x, %u joined", p->what, from, to, joined);
    return engines_agree(&in, what);
}

static void whole(const struct piece *p, uint32_t from, uint32_t to, unsigned joined)
{
    cr_assert_eq(run(p, from, to, joined)->ip, GUEST_CODE + p->n, "%s", p->what);
}

/* Every way to divide the operands, or those around the middle and the ends. */
static void over_ends(uint32_t from, uint32_t to, unsigned joined)
{
    for (unsigned i = 0; i < ARRAY_SIZE(pieces); i++)
        for (unsigned k = 0; k <= pieces[i].bytes; k += k >= 9 && k + 9 < pieces[i].bytes ? 7 : 1) {
            whole(&pieces[i], from - k, to - (k * 5 + 1) % (pieces[i].bytes + 1), joined);
            if (k % 4 == 1)
                whole(&pieces[i], from - k, to + 0x100, joined);
        }
}

Test(cross, pages_apart) { over_ends(0x1000, 0x3000, 1); }
Test(cross, pages_joined) { over_ends(0x1000, 0x3000, 2); }
Test(cross, one_of_both_joined) { over_ends(0x2000, 0x4000, 4); }

/* The first page is the code's, which the map of writes does not have; one is none at all. */
Test(cross, into_code_and_nothing)
{
    for (unsigned i = 0; i < ARRAY_SIZE(pieces); i++)
        for (unsigned k = 1; k < pieces[i].bytes; k += k < 4 ? 1 : 9) {
            run(&pieces[i], 0x1000 - k, GUEST_CODE - GUEST_DATA + 0x1000 - k, 2);
            run(&pieces[i], 16 * 4096 - 0x4000 - k, 0x2000 - k, 1);
            run(&pieces[i], 0x2000 - k, 16 * 4096 - 0x4000 - k, 2);
        }
}

/* The operand wraps at 4 GiB: not the same as going on behind it. */
Test(cross, top_of_32_bits)
{
    static const char code[] = "\x8b\x06\x8b\x56\x04\x89\x17\x8b\x5e\xf8";
    struct engine_in in = { .code = code, .n = sizeof code - 1, .mode = GUEST_PROT };

    for (uint32_t k = 0; k < 12; k++) {
        in.regs[G_RSI] = (uint32_t)(0 - k);
        in.regs[G_RDI] = GUEST_DATA;
        in.regs[G_RBX] = k;
        engines_agree(&in, "around 4 GiB");
        in.regs[G_RSI] = k;
        engines_agree(&in, "around 0");
    }
}

/* These fault instead, also where the pages are as one: movaps xmm0, [rsi]; paddd xmm0, [rsi + 16]; movaps [rdi], xmm0 */
Test(cross, vectors_that_must_be_aligned)
{
    static const struct piece p = PIECE("aligned vectors", 32, "\x0f\x28\x06\x66\x0f\xfe\x46\x10\x0f\x29\x07");

    for (unsigned joined = 0; joined <= 4; joined += 2)
        for (uint32_t at = 0xfd8; at <= 0x1008; at++) {
            run(&p, at, 0x3000, joined);
            run(&p, 0x2000, at, joined);
        }
}

#endif
