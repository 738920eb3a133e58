/*
 * model-table.c - CPU models by name
 *
 * A named model announces the real CPU's instruction sets and the parts of its
 * system architecture that software has to know of. Left out for all of them,
 * and not counted as absent: virtualisation, power and thermal management,
 * debug stores, tracing and performance counters.
 *
 * What a translated CPU is not affected by is said in both vendors' ways: Intel's
 * models have IA32_ARCH_CAPABILITIES, though real ones of their time did not,
 * so that kernels leave out mitigations that would cost time and protect nothing.
 *
 * Source: Intel SDM vol. 1, 5.1.1 and vol. 4, table 2-1 (instruction sets and
 * models by generation); Intel's specification updates (steppings); AMD's
 * Processor Programming References 54945, 55570, 55898, 55901; the x86-64 psABI,
 * "Micro-Architecture Levels".
 */
#include "target-x86/model-int.h"

/* ---- words ------------------------------------------------------------------------ */

#define K8_FEATURES \
    "fpu de pse tsc msr pae mce cx8 apic sep mtrr pge mca cmov pat pse36 clflush mmx fxsr sse " \
    "sse2 pni hypervisor syscall nx lm"
#define QEMU64_FEATURES K8_FEATURES " cx16 lahf-lm"
#define NO_SPECULATION " spec-ctrl stibp ssbd flush-l1d md-clear arch-capabilities"

/* of the emulated system rather than of an instruction set */
#define SYSTEM_FEATURES \
    QEMU64_FEATURES " vme pcid x2apic tsc-deadline fsgsbase tsc-adjust smep erms invpcid smap umip " \
    "fsrm pdpe1gb rdtscp rdpid ss" NO_SPECULATION
#define V2_FEATURES SYSTEM_FEATURES " popcnt ssse3 sse4.1 sse4.2"
#define V3_FEATURES \
    V2_FEATURES " xsave avx avx2 bmi1 bmi2 f16c fma abm movbe xsaveopt xsavec xgetbv1 xsaves"
#define V4_FEATURES V3_FEATURES " avx512f avx512bw avx512cd avx512dq avx512vl"

#define NEHALEM QEMU64_FEATURES NO_SPECULATION " vme ss ssse3 sse4.1 sse4.2 popcnt rdtscp"
#define WESTMERE NEHALEM " aes pclmulqdq pcid pdpe1gb"
#define SANDY_BRIDGE WESTMERE " xsave xsaveopt avx tsc-deadline x2apic"
#define IVY_BRIDGE SANDY_BRIDGE " f16c rdrand fsgsbase smep erms"
#define HASWELL IVY_BRIDGE " fma movbe abm bmi1 bmi2 avx2 invpcid tsc-adjust zero-fcs-fds"
#define BROADWELL HASWELL " adx rdseed smap 3dnowprefetch"
#define SKYLAKE BROADWELL " clflushopt xsavec xgetbv1 xsaves"
#define SKYLAKE_SERVER SKYLAKE " avx512f avx512dq avx512cd avx512bw avx512vl clwb pku fdp-excptn-only"
#define CASCADE_LAKE SKYLAKE_SERVER " avx512vnni"
#define ICE_LAKE \
    CASCADE_LAKE " avx512ifma avx512vbmi avx512vbmi2 avx512bitalg avx512-vpopcntdq gfni vaes " \
    "vpclmulqdq sha-ni rdpid umip fsrm wbnoinvd"
#define TSX "hle rtm"

#define ZEN \
    QEMU64_FEATURES " vme mmxext fxsr-opt pdpe1gb rdtscp pclmulqdq ssse3 fma sse4.1 sse4.2 movbe popcnt " \
    "aes xsave avx f16c rdrand abm 3dnowprefetch topoext fsgsbase bmi1 avx2 smep bmi2 rdseed adx " \
    "smap clflushopt sha-ni xsaveopt xsavec xgetbv1 xsaves clzero ibpb"
#define ZEN2 ZEN " clwb rdpid umip wbnoinvd x2apic amd-stibp amd-ssbd"
#define ZEN3 ZEN2 " erms fsrm vaes vpclmulqdq pcid invpcid pku ibrs"
#define ZEN4 \
    ZEN3 " avx512f avx512dq avx512ifma avx512cd avx512bw avx512vl avx512vbmi avx512vbmi2 gfni " \
    "avx512vnni avx512bitalg avx512-vpopcntdq avx512-bf16"
#define ZEN_ABSENT "cr8legacy sse4a misalignsse osvw xsaveerptr"

/* ---- rows ------------------------------------------------------------------------- */

/* SDM vol. 4 table 2-1 names 06_36H; see the head of model.c */
enum { PLAIN_FAMILY = 6, PLAIN_MODEL = 0x36, PLAIN_STEPPING = 1 };

/* Suffixes: QEMU's numbered and named variants. Its -IBRS and -IBPB ones differ in what
 * NO_SPECULATION has anyway. */
#define PLAIN(n, h, f)                                                                        \
    { .name = n, .vendor = "GenuineIntel", .brand = "Transom Virtual CPU (" n ")", .help = h, \
      .features = f, .family = PLAIN_FAMILY, .model = PLAIN_MODEL, .stepping = PLAIN_STEPPING, \
      .level = 0x16, .xlevel = 0x80000008 }
#define INTEL(n, id, h, mod, step, lev, ...)                                                  \
    { .name = n, .vendor = "GenuineIntel", .brand = "Intel " id, .help = h, .family = 6,      \
      .model = mod, .stepping = step, .level = lev, .xlevel = 0x80000008, __VA_ARGS__ }
#define AMD(n, id, h, fam, mod, step, lev, xlev, ...)                                         \
    { .name = n, .vendor = "AuthenticAMD", .brand = id, .help = h, .family = fam,             \
      .model = mod, .stepping = step, .level = lev, .xlevel = xlev, __VA_ARGS__ }

const struct model_row x86_models[] = {
    PLAIN("max", "all that this host allows", NULL),
    { .name = "host", .vendor = "GenuineIntel", .brand = "Transom Virtual CPU (host)",
      .help = "this host's CPU, as far as it is emulated", .like_host = true, .family = PLAIN_FAMILY,
      .model = PLAIN_MODEL, .stepping = PLAIN_STEPPING, .level = 0x16, .xlevel = 0x80000008 },
    AMD("qemu64", "QEMU Virtual CPU version 2.5+", "plain 64-bit CPU with SSE3", 15, 107, 1, 0xd, 0x8000000a,
        .features = QEMU64_FEATURES, .suffixes = "-v1"),
    PLAIN("x86-64-v2", "SSE4.2, POPCNT", V2_FEATURES),
    PLAIN("x86-64-v3", "AVX2, FMA, BMI", V3_FEATURES),
    PLAIN("x86-64-v4", "AVX-512 F, BW, CD, DQ, VL", V4_FEATURES),
    INTEL("Nehalem", "Core i7 9xx (Nehalem)", "2008: SSE4.2, POPCNT", 26, 5, 0xb,
          .features = NEHALEM, .suffixes = "-v1 -v2 -IBRS"),
    INTEL("Westmere", "Xeon 56xx (Westmere)", "2010: AES, PCLMULQDQ", 44, 2, 0xb,
          .features = WESTMERE, .suffixes = "-v1 -v2 -IBRS"),
    INTEL("SandyBridge", "Xeon E3-12xx (Sandy Bridge)", "2011: AVX", 42, 7, 0xd,
          .features = SANDY_BRIDGE, .suffixes = "-v1 -v2 -IBRS"),
    INTEL("IvyBridge", "Xeon E3-12xx v2 (Ivy Bridge)", "2012: F16C, RDRAND, SMEP", 58, 9, 0xd,
          .features = IVY_BRIDGE, .suffixes = "-v1 -v2 -IBRS"),
    INTEL("Haswell", "Core Processor (Haswell)", "2013: AVX2, FMA, BMI", 60, 3, 0xd,
          .features = HASWELL, .absent = TSX, .suffixes = "-v1 -v3 -IBRS", .no_tsx = "-v2 -v4 -noTSX -noTSX-IBRS"),
    INTEL("Broadwell", "Core Processor (Broadwell)", "2014: ADX, RDSEED, SMAP", 61, 4, 0x14,
          .features = BROADWELL, .absent = TSX, .suffixes = "-v1 -v3 -IBRS", .no_tsx = "-v2 -v4 -noTSX -noTSX-IBRS"),
    INTEL("Skylake-Client", "Core Processor (Skylake)", "2015: XSAVES, CLFLUSHOPT", 94, 3, 0x16,
          .features = SKYLAKE, .absent = TSX " mpx", .suffixes = "-v1 -v2 -IBRS", .no_tsx = "-v3 -v4 -noTSX-IBRS"),
    INTEL("Skylake-Server", "Xeon Processor (Skylake)", "2017: AVX-512 F, BW, CD, DQ, VL", 85, 4, 0x16,
          .features = SKYLAKE_SERVER, .absent = TSX " mpx", .suffixes = "-v1 -v2 -IBRS",
          .no_tsx = "-v3 -v4 -v5 -noTSX-IBRS"),
    INTEL("Cascadelake-Server", "Xeon Processor (Cascade Lake)", "2019: AVX-512 VNNI", 85, 7, 0x16,
          .features = CASCADE_LAKE, .absent = TSX " mpx", .suffixes = "-v1 -v2", .no_tsx = "-v3 -v4 -v5 -noTSX"),
    INTEL("Icelake-Server", "Xeon Processor (Ice Lake)", "2021: more AVX-512, VAES, GFNI, SHA", 106, 6, 0x1b,
          .features = ICE_LAKE, .absent = TSX " la57", .suffixes = "-v1",
          .no_tsx = "-v2 -v3 -v4 -v5 -v6 -v7 -noTSX"),
    AMD("Opteron_G1", "AMD Opteron 240 (Gen 1 Class Opteron)", "2003: SSE3", 15, 6, 1, 5, 0x80000008,
        .features = K8_FEATURES, .suffixes = "-v1"),
    AMD("EPYC", "AMD EPYC Processor", "2017: AVX2, SHA", 23, 1, 2, 0xd, 0x8000001f,
        .features = ZEN, .absent = ZEN_ABSENT, .suffixes = "-v1 -v2 -v3 -v4 -IBPB"),
    AMD("EPYC-Rome", "AMD EPYC-Rome Processor", "2019: CLWB, UMIP", 23, 49, 0, 0x10, 0x80000020,
        .features = ZEN2, .absent = ZEN_ABSENT, .suffixes = "-v1 -v2 -v3 -v4"),
    AMD("EPYC-Milan", "AMD EPYC-Milan Processor", "2021: VAES, protection keys", 25, 1, 1, 0x10, 0x80000023,
        .features = ZEN3, .absent = ZEN_ABSENT, .suffixes = "-v1 -v2"),
    AMD("EPYC-Genoa", "AMD EPYC-Genoa Processor", "2022: AVX-512", 25, 17, 1, 0x10, 0x80000028,
        .features = ZEN4, .absent = ZEN_ABSENT " la57", .suffixes = "-v1 -v2"),
    { .name = NULL }
};
