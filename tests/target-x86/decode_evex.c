/*
 * decode_evex.c - EVEX: what is #UD, and lengths, by hand, against Capstone and against
 * the CPU that the tests run on
 */
#define _GNU_SOURCE
#include "target-x86/system-int.h"
#include "tests/target-x86/simd-encode.h"

static const char *name_of(const char *bytes, unsigned len, unsigned bits)
{
    struct x86_insn in;

    x86_decode((const uint8_t *)bytes, len, bits, &in);
    return in.err == DEC_OK ? in.row->name : "#UD";
}

#define IS(bytes, bits, name) cr_expect_str_eq(name_of(bytes, sizeof(bytes) - 1, bits), name)

/* SDM vol. 2, 2.7.11 "#UD Equations for EVEX" and the exception classes E1 to E12 */
Test(decode_evex, reserved_bits_and_prefixes)
{
    IS("\x62\xf1\x7c\x48\x58\xc1", 64, "VADDPS");
    IS("\x62\xf9\x7c\x48\x58\xc1", 64, "#UD");                 /* P0[3] */
    IS("\x62\xf0\x7c\x48\x58\xc1", 64, "#UD");                 /* map 0 */
    IS("\x62\xf4\x7c\x48\x58\xc1", 64, "#UD");                 /* map 4 */
    IS("\x62\xf1\x78\x48\x58\xc1", 64, "#UD");                 /* P1[2] is 0 */
    IS("\x66\x62\xf1\x7c\x48\x58\xc1", 64, "#UD");
    IS("\xf2\x62\xf1\x7c\x48\x58\xc1", 64, "#UD");
    IS("\xf3\x62\xf1\x7c\x48\x58\xc1", 64, "#UD");
    IS("\xf0\x62\xf1\x7c\x48\x58\xc1", 64, "#UD");
    IS("\x48\x62\xf1\x7c\x48\x58\xc1", 64, "#UD");             /* REX */
    IS("\x64\x62\xf1\x7c\x48\x58\x00", 64, "VADDPS");          /* a segment is allowed, */
    IS("\x67\x62\xf1\x7c\x48\x58\x00", 64, "VADDPS");          /* an address size, too */
}

Test(decode_evex, lengths_rounding_and_broadcast)
{
    IS("\x62\xf1\x7c\x28\x58\xc1", 64, "VADDPS");
    IS("\x62\xf1\x7c\x68\x58\xc1", 64, "#UD");                 /* L'L = 3 */
    IS("\x62\xf1\x7c\x78\x58\xc1", 64, "VADDPS");              /* L'L = 3 is rounding with b, */
    IS("\x62\xf1\x7c\x78\x58\x00", 64, "#UD");                 /* but not for memory */
    IS("\x62\xf1\x7c\x58\x58\x00", 64, "VADDPS");              /* broadcast */
    IS("\x62\xf1\x7c\x58\x28\xc1", 64, "#UD");                 /* VMOVAPS: neither rounds */
    IS("\x62\xf1\x7c\x58\x28\x00", 64, "#UD");                 /* nor broadcasts */
    IS("\x62\xf1\x7c\x58\x51\xc1", 64, "VSQRTPS");
    IS("\x62\xf1\x7c\x58\x10\x00", 64, "#UD");                 /* VMOVUPS */
    IS("\x62\xf2\x7d\x28\x13\xc1", 64, "VCVTPH2PS");
    IS("\x62\xf2\x7d\x58\x13\x00", 64, "#UD");                 /* no broadcast of halves */
    IS("\x62\xf3\x7d\x48\x19\xc1\x00", 64, "VEXTRACTF32X4");
    IS("\x62\xf3\x7d\x08\x19\xc1\x00", 64, "#UD");             /* 128 bits have nothing to extract */
}

Test(decode_evex, masks)
{
    IS("\x62\xf1\x7c\xc9\x28\xc1", 64, "VMOVAPS");             /* {k1}{z} */
    IS("\x62\xf1\x7c\xc8\x28\xc1", 64, "#UD");                 /* {z} without a mask */
    IS("\x62\xf1\x7c\xc9\x29\x00", 64, "#UD");                 /* {z} into memory */
    IS("\x62\xf1\x7c\x49\x29\x00", 64, "VMOVAPS");
    IS("\x62\xf1\x7c\xc9\xc2\xc1\x00", 64, "#UD");             /* VCMPPS: {z} of a mask */
    IS("\x62\xf1\x7c\x49\xc2\xc1\x00", 64, "VCMPPS");
    IS("\x62\xf1\x7d\x09\xe7\x00", 64, "#UD");                 /* VMOVNTDQ takes no mask */
    IS("\x62\xf1\x7d\x08\x7e\xc0", 64, "VMOVD");
    IS("\x62\xf1\x7d\x09\x7e\xc0", 64, "#UD");
    IS("\x62\xf2\x7d\x49\x92\x04\x08", 64, "VGATHERDPS");
    IS("\x62\xf2\x7d\x48\x92\x04\x08", 64, "#UD");             /* a gather needs one */
    IS("\x62\xf2\x7d\xc9\x92\x04\x08", 64, "#UD");             /* and does not zero */
    IS("\x62\xf2\x7d\x49\x92\x00", 64, "#UD");                 /* nor goes without SIB */
}

Test(decode_evex, registers_and_widths)
{
    IS("\x62\xf1\x6c\x48\x28\xc1", 64, "#UD");                 /* vvvv used by nobody */
    IS("\x62\xf1\x7c\x40\x28\xc1", 64, "#UD");                 /* nor V' */
    IS("\x62\xf1\x6c\x40\x58\xc1", 64, "VADDPS");
    IS("\x62\xf1\xfc\x48\x58\xc1", 64, "#UD");                 /* W of VADDPS */
    IS("\x62\xf1\xfd\x48\x58\xc1", 64, "VADDPD");
    IS("\x62\xf1\x7d\x48\x58\xc1", 64, "#UD");                 /* VADDPD without */
    IS("\x62\xf1\x7c\x48\x58\xc1", 32, "VADDPS");
    IS("\x62\xf1\x7c\x40\x58\xc1", 32, "#UD");                 /* V' outside 64-bit code */
    IS("\x62\x01\x7c", 32, "BOUND");                           /* not EVEX there unless P0[7:6] are 11 */
    IS("\x62\xf1\x75\x48\xc2\xc1\x00", 64, "#UD");             /* VCMPPD is W1 */
    IS("\x62\x71\xf5\x48\xc2\xc1\x00", 64, "#UD");             /* a mask register has no R */
}

/* ---- drawn ------------------------------------------------------------------------ */

static uint64_t rng = 0x9e3779b97f4a7c15ull;
static unsigned rnd(void)
{
    rng ^= rng << 13;
    rng ^= rng >> 7;
    rng ^= rng << 17;
    return (unsigned)(rng >> 20);
}

/* a random EVEX instruction, mostly with fields that some instruction has; 15 bytes */
static void random_evex(uint8_t *b)
{
    for (unsigned i = 0; i < 15; i++)
        b[i] = (uint8_t)rnd();
    b[0] = 0x62;
    b[1] = (uint8_t)((rnd() % 16 ? b[1] & 0xf0 : b[1]) & ~7u) | (1 + rnd() % 3);
    b[2] |= 4;
    if (rnd() % 2)
        b[2] |= 0x78;                      /* vvvv */
    if (rnd() % 2)
        b[3] = (b[3] & 0x60) | 8;
    if (rnd() % 2)
        b[5] |= 0xc0;
    else if (rnd() % 2)                    /* [rax], [rax + disp8] */
        b[5] = (b[5] & 0x78) | (rnd() % 2 ? 0x40 : 0);
}

/* Capstone 4 does not know all #UD rules, so where it sees an instruction and we do not is left to the host;
 * it takes a rounding mode for part of the length */
Test(decode_evex, lengths_match_capstone)
{
    unsigned both = 0;
    csh h;

    cr_assert_eq(cs_open(CS_ARCH_X86, CS_MODE_64, &h), CS_ERR_OK);
    for (unsigned n = 0; n < 800000; n++) {
        struct x86_insn in;
        cs_insn *ci;
        uint8_t b[15];

        random_evex(b);
        x86_decode(b, sizeof(b), 64, &in);
        if (in.err || in.rc || !cs_disasm(h, b, sizeof(b), 0x1000, 1, &ci))
            continue;
        both++;
        cr_assert_eq(ci->size, in.len, "%02x %02x %02x %02x %02x %02x: %s %s: %u, not %u", b[0], b[1], b[2], b[3],
                     b[4], b[5], ci->mnemonic, ci->op_str, in.len, ci->size);
        cs_free(ci, 1);
    }
    cs_close(&h);
    cr_assert_gt(both, 5000, "only %u instructions compared", both);
}

#ifdef __x86_64__
/* ---- against the host -------------------------------------------------------------- */

#include <cpuid.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/mman.h>
#include <ucontext.h>

/* AddressSanitizer reads the whole memory map at each way back out of a signal handler */
#ifdef __SANITIZE_ADDRESS__
#define HOST_CASES 600u
#else
#define HOST_CASES 60000u
#endif

static sigjmp_buf back;
static int host_sig;
static uint8_t *host_code;

static void on_signal(int sig, siginfo_t *si, void *uc)
{
    host_sig = sig;
    siglongjmp(back, (int)(((ucontext_t *)uc)->uc_mcontext.gregs[REG_RIP] - (greg_t)(uintptr_t)host_code) + 1);
}

/*
 * Execute the instruction at @b, single-stepped, with all general registers 0: memory operands fault. Returns
 * its length, 0 for #UD, -1 when it faulted otherwise.
 */
static int on_host(const uint8_t *b, unsigned len)
{
    static const uint8_t clear[] = { 0x31, 0xc0, 0x31, 0xc9, 0x31, 0xd2, 0x31, 0xdb, 0x31, 0xed, 0x31, 0xf6, 0x31, 0xff,
                                     0x45, 0x31, 0xc0, 0x45, 0x31, 0xc9, 0x45, 0x31, 0xd2, 0x45, 0x31, 0xdb,
                                     0x45, 0x31, 0xe4, 0x45, 0x31, 0xed, 0x45, 0x31, 0xf6, 0x45, 0x31, 0xff,
                                     /* pushfq; or dword [rsp], TF; popfq */
                                     0x9c, 0x81, 0x0c, 0x24, 0x00, 0x01, 0x00, 0x00, 0x9d };
    int at;

    memcpy(host_code, clear, sizeof(clear));
    memcpy(host_code + sizeof(clear), b, len);
    at = sigsetjmp(back, 0);
    if (!at)
        ((void (*)(void))(uintptr_t)host_code)();
    at -= 1 + (int)sizeof(clear);
    __asm__ volatile("vzeroupper\n\tldmxcsr %0" : : "m"((const uint32_t){ 0x1f80 }));
    return host_sig == SIGTRAP ? at : host_sig == SIGILL ? 0 : -1;
}

static void host_setup(void)
{
    static const int sigs[] = { SIGILL, SIGTRAP, SIGSEGV, SIGBUS, SIGFPE };
    static uint8_t stack[64 * 1024];
    struct sigaction sa = { .sa_sigaction = on_signal, .sa_flags = SA_SIGINFO | SA_NODEFER | SA_ONSTACK };
    stack_t ss = { .ss_sp = stack, .ss_size = sizeof(stack) };

    sigaltstack(&ss, NULL);
    for (unsigned i = 0; i < ARRAY_SIZE(sigs); i++)
        sigaction(sigs[i], &sa, NULL);
    host_code = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

/* Memory operands at addresses that are never mapped: near 0 */
static void keep_away(uint8_t *b)
{
    if (b[5] >> 6 == 2)
        b[5] -= 0x40;
    if ((b[5] & 0xc7) == 5)
        b[5] &= ~5u;
    if ((b[5] & 0xc7) == 4)
        b[6] &= ~1u;
}

/* what the host has and the table not: half-precision arithmetic, VP2INTERSECT */
static bool host_only(const uint8_t *b)
{
    unsigned map = b[1] & 7, pp = b[2] & 3;

    return (map == 3 && pp == 0) || (map == 3 && b[4] == 0xc2) || (map == 2 && pp == 3);
}

/* has AVX-512 as in the SDM that the rules are from: neither other vendors' leeway, nor AVX10, nor APX */
static bool host_like_max(const struct x86_model *m)
{
    static const uint32_t bits = 1u << 16 | 1u << 17 | 1u << 28 | 1u << 30 | 1u << 31, later = 1u << 19 | 1u << 21;
    unsigned r[4] = { 0 };

    __get_cpuid_count(7, 1, &r[0], &r[1], &r[2], &r[3]);
    return (m->feat[FEAT_7_EBX] & bits) == bits && __builtin_cpu_is("intel") && !(r[3] & later);
}

/* Execution ends in the translator, not the decoder, for operands of gathers */
static bool decided_later(const struct x86_insn *in)
{
    return ROW_HAS(in->row, VSIB);
}

Test(decode_evex, what_is_undefined_is_what_the_host_refuses)
{
    unsigned executed = 0, refused = 0;
    struct x86_model m;

    cr_assert_eq(x86_model_parse("max", &m, NULL), 0);
    if (!host_like_max(&m))
        cr_skip_test("the host is no Intel CPU with AVX-512, or has more");
    host_setup();
    for (unsigned n = 0; n < HOST_CASES; n++) {
        struct x86_insn in;
        uint8_t b[15];
        int host;

        random_evex(b);
        keep_away(b);
        x86_decode_with(b, sizeof(b), 64, &m, &in);
        if (in.err == DEC_OK && decided_later(&in))
            continue;
        host = on_host(b, sizeof(b));
        if (in.err && host && host_only(b))
            continue;
        executed += host != 0;
        refused += host == 0;
        cr_assert_eq(in.err == DEC_OK, host != 0, "%02x %02x %02x %02x %02x %02x %02x: %s, on the host %d", b[0], b[1],
                     b[2], b[3], b[4], b[5], b[6], in.err ? "#UD" : in.row->name, host);
        cr_assert(host <= 0 || host == in.len, "%02x %02x %02x %02x %02x %02x %02x: %s: %u bytes, on the host %d",
                  b[0], b[1], b[2], b[3], b[4], b[5], b[6], in.row->name, in.len, host);
    }
    cr_assert(executed > HOST_CASES / 60 && refused > HOST_CASES / 60, "%u executed, %u refused", executed, refused);
}
#endif
