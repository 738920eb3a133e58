/* disas.c - code listings for -d in_asm and out_asm */
#include "tcg/tcg-int.h"
#ifdef CONFIG_CAPSTONE
#include <capstone/capstone.h>

static csh open_for(unsigned bits)
{
    csh h = 0;
    cs_arch arch = CS_ARCH_X86;
    cs_mode mode = bits == 16 ? CS_MODE_16 : bits == 32 ? CS_MODE_32 : CS_MODE_64;

#if defined(__aarch64__)
    if (bits == 0) {
        arch = CS_ARCH_ARM64;
        mode = CS_MODE_ARM;
    }
#endif
    if (cs_open(arch, mode, &h) != CS_ERR_OK)
        return 0;
    cs_option(h, CS_OPT_SKIPDATA, CS_OPT_ON);
    return h;
}

static void print_insn(FILE *f, const cs_insn *in, unsigned bits)
{
    fprintf(f, bits == 64 || bits == 0 ? "0x%016llx:  " : "0x%08llx:  ",
            (unsigned long long)in->address);
    for (unsigned i = 0; i < in->size; i++)
        fprintf(f, "%02x ", in->bytes[i]);
    fprintf(f, "%*s%s %s\n", in->size < 10 ? (int)(10 - in->size) * 3 : 1, "",
            in->mnemonic, in->op_str);
}

void tcg_disas(FILE *f, const uint8_t *code, size_t len, uint64_t pc, unsigned bits)
{
    csh h = open_for(bits);
    cs_insn *in;

    if (!h)
        return;
    in = cs_malloc(h);
    while (len && cs_disasm_iter(h, &code, &len, &pc, in))
        print_insn(f, in, bits);
    cs_free(in, 1);
    cs_close(&h);
}

unsigned tcg_disas_one(FILE *f, const uint8_t *code, size_t len, uint64_t pc, unsigned bits)
{
    csh h = open_for(bits);
    cs_insn *in = h ? cs_malloc(h) : NULL;
    unsigned n = 0;

    if (in && cs_disasm_iter(h, &code, &len, &pc, in)) {
        fprintf(f, "%s %s", in->mnemonic, in->op_str);
        n = in->size;
    }
    if (in)
        cs_free(in, 1);
    if (h)
        cs_close(&h);
    return n;
}

#else

unsigned tcg_disas_one(FILE *f, const uint8_t *code, size_t len, uint64_t pc, unsigned bits)
{
    fprintf(f, "(built without Capstone)");
    return len ? 1 : 0;
}

void tcg_disas(FILE *f, const uint8_t *code, size_t len, uint64_t pc, unsigned bits)
{
    fprintf(f, "0x%08llx: ", (unsigned long long)pc);
    for (size_t i = 0; i < len; i++)
        fprintf(f, " %02x", code[i]);
    fprintf(f, "  (built without Capstone)\n");
}

#endif
