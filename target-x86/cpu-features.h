/*
 * cpu-features.h - names of CPUID feature bits, as QEMU's -cpu spells them
 *
 * X(word, bit, name, kind): kind says who provides it:
 *   S  the emulation itself, on every host
 *   P  the host's instruction; hosts that are not x86 run our portable code
 *   O  the emulation itself, but only when asked for by name: not what "max" should have
 *   N  nobody: known by name, never offered
 */
#ifndef TARGET_X86_CPU_FEATURES_H
#define TARGET_X86_CPU_FEATURES_H

#define X86_FEATURES(X)                                                                            \
    X(1_EDX, 0, "fpu", S) X(1_EDX, 1, "vme", S) X(1_EDX, 2, "de", S) X(1_EDX, 3, "pse", S)         \
    X(1_EDX, 4, "tsc", S) X(1_EDX, 5, "msr", S) X(1_EDX, 6, "pae", S) X(1_EDX, 7, "mce", S)        \
    X(1_EDX, 8, "cx8", S) X(1_EDX, 9, "apic", S) X(1_EDX, 11, "sep", S) X(1_EDX, 12, "mtrr", S)    \
    X(1_EDX, 13, "pge", S) X(1_EDX, 14, "mca", S) X(1_EDX, 15, "cmov", S) X(1_EDX, 16, "pat", S)   \
    X(1_EDX, 17, "pse36", S) X(1_EDX, 18, "pn", N) X(1_EDX, 19, "clflush", S) X(1_EDX, 21, "ds", N) \
    X(1_EDX, 22, "acpi", N) X(1_EDX, 23, "mmx", S) X(1_EDX, 24, "fxsr", S) X(1_EDX, 25, "sse", S)  \
    X(1_EDX, 26, "sse2", S) X(1_EDX, 27, "ss", S) X(1_EDX, 28, "ht", S) X(1_EDX, 29, "tm", N)      \
    X(1_EDX, 30, "ia64", N) X(1_EDX, 31, "pbe", N)                                                 \
    X(1_ECX, 0, "pni", P) X(1_ECX, 1, "pclmulqdq", P) X(1_ECX, 2, "dtes64", N)                     \
    X(1_ECX, 3, "monitor", O) X(1_ECX, 4, "ds-cpl", N) X(1_ECX, 5, "vmx", N) X(1_ECX, 6, "smx", N) \
    X(1_ECX, 7, "est", N) X(1_ECX, 8, "tm2", N) X(1_ECX, 9, "ssse3", P) X(1_ECX, 10, "cid", N)     \
    X(1_ECX, 12, "fma", P) X(1_ECX, 13, "cx16", S) X(1_ECX, 14, "xtpr", N) X(1_ECX, 15, "pdcm", N) \
    X(1_ECX, 17, "pcid", S) X(1_ECX, 18, "dca", N) X(1_ECX, 19, "sse4.1", P)                       \
    X(1_ECX, 20, "sse4.2", P) X(1_ECX, 21, "x2apic", S) X(1_ECX, 22, "movbe", S)                   \
    X(1_ECX, 23, "popcnt", S) X(1_ECX, 24, "tsc-deadline", S) X(1_ECX, 25, "aes", P)               \
    X(1_ECX, 26, "xsave", S) X(1_ECX, 27, "osxsave", N) X(1_ECX, 28, "avx", P)                     \
    X(1_ECX, 29, "f16c", P) X(1_ECX, 30, "rdrand", S) X(1_ECX, 31, "hypervisor", S)                \
    X(7_EBX, 0, "fsgsbase", S) X(7_EBX, 1, "tsc-adjust", S) X(7_EBX, 2, "sgx", N)                  \
    X(7_EBX, 3, "bmi1", S) X(7_EBX, 4, "hle", N) X(7_EBX, 5, "avx2", P)                            \
    X(7_EBX, 6, "fdp-excptn-only", S) X(7_EBX, 7, "smep", S) X(7_EBX, 8, "bmi2", S)                \
    X(7_EBX, 9, "erms", S) X(7_EBX, 10, "invpcid", S) X(7_EBX, 11, "rtm", N)                       \
    X(7_EBX, 13, "zero-fcs-fds", S) X(7_EBX, 14, "mpx", N) X(7_EBX, 16, "avx512f", P)              \
    X(7_EBX, 17, "avx512dq", P) X(7_EBX, 18, "rdseed", S) X(7_EBX, 19, "adx", S)                   \
    X(7_EBX, 20, "smap", S) X(7_EBX, 21, "avx512ifma", P) X(7_EBX, 22, "pcommit", N)               \
    X(7_EBX, 23, "clflushopt", S) X(7_EBX, 24, "clwb", S) X(7_EBX, 25, "intel-pt", N)              \
    X(7_EBX, 26, "avx512pf", N) X(7_EBX, 27, "avx512er", N) X(7_EBX, 28, "avx512cd", P)            \
    X(7_EBX, 29, "sha-ni", P) X(7_EBX, 30, "avx512bw", P) X(7_EBX, 31, "avx512vl", P)              \
    X(7_ECX, 1, "avx512vbmi", P) X(7_ECX, 2, "umip", S) X(7_ECX, 3, "pku", S)                      \
    X(7_ECX, 4, "ospke", N) X(7_ECX, 5, "waitpkg", N) X(7_ECX, 6, "avx512vbmi2", P)                \
    X(7_ECX, 8, "gfni", P) X(7_ECX, 9, "vaes", P) X(7_ECX, 10, "vpclmulqdq", P)                    \
    X(7_ECX, 11, "avx512vnni", P) X(7_ECX, 12, "avx512bitalg", P)                                  \
    X(7_ECX, 14, "avx512-vpopcntdq", P) X(7_ECX, 16, "la57", N) X(7_ECX, 22, "rdpid", S)           \
    X(7_ECX, 24, "bus-lock-detect", N) X(7_ECX, 25, "cldemote", S) X(7_ECX, 27, "movdiri", S)      \
    X(7_ECX, 28, "movdir64b", S) X(7_ECX, 30, "sgxlc", N) X(7_ECX, 31, "pks", S)                   \
    X(7_EDX, 2, "avx512-4vnniw", N) X(7_EDX, 3, "avx512-4fmaps", N) X(7_EDX, 4, "fsrm", S)         \
    X(7_EDX, 8, "avx512-vp2intersect", N) X(7_EDX, 10, "md-clear", S) X(7_EDX, 14, "serialize", S) \
    X(7_EDX, 16, "tsx-ldtrk", N) X(7_EDX, 19, "arch-lbr", N) X(7_EDX, 22, "amx-bf16", N)           \
    X(7_EDX, 23, "avx512-fp16", N) X(7_EDX, 24, "amx-tile", N) X(7_EDX, 25, "amx-int8", N)         \
    X(7_EDX, 26, "spec-ctrl", S) X(7_EDX, 27, "stibp", S) X(7_EDX, 28, "flush-l1d", S)             \
    X(7_EDX, 29, "arch-capabilities", S) X(7_EDX, 30, "core-capability", N) X(7_EDX, 31, "ssbd", S) \
    X(7_1_EAX, 4, "avx-vnni", P) X(7_1_EAX, 5, "avx512-bf16", P) X(7_1_EAX, 10, "fzrm", N)         \
    X(7_1_EAX, 11, "fsrs", S) X(7_1_EAX, 12, "fsrc", S)                                            \
    X(80000001_EDX, 11, "syscall", S) X(80000001_EDX, 19, "mp", N) X(80000001_EDX, 20, "nx", S)    \
    X(80000001_EDX, 22, "mmxext", O) X(80000001_EDX, 25, "fxsr-opt", O)                            \
    X(80000001_EDX, 26, "pdpe1gb", S) X(80000001_EDX, 27, "rdtscp", S) X(80000001_EDX, 29, "lm", S) \
    X(80000001_EDX, 30, "3dnowext", N) X(80000001_EDX, 31, "3dnow", N)                             \
    X(80000001_ECX, 0, "lahf-lm", S) X(80000001_ECX, 1, "cmp-legacy", N) X(80000001_ECX, 2, "svm", N) \
    X(80000001_ECX, 3, "extapic", N) X(80000001_ECX, 4, "cr8legacy", N) X(80000001_ECX, 5, "abm", S) \
    X(80000001_ECX, 6, "sse4a", N) X(80000001_ECX, 7, "misalignsse", N)                            \
    X(80000001_ECX, 8, "3dnowprefetch", S) X(80000001_ECX, 9, "osvw", N) X(80000001_ECX, 10, "ibs", N) \
    X(80000001_ECX, 11, "xop", N) X(80000001_ECX, 12, "skinit", N) X(80000001_ECX, 13, "wdt", N)   \
    X(80000001_ECX, 15, "lwp", N) X(80000001_ECX, 16, "fma4", N) X(80000001_ECX, 17, "tce", N)     \
    X(80000001_ECX, 19, "nodeid-msr", N) X(80000001_ECX, 21, "tbm", N) X(80000001_ECX, 22, "topoext", O) \
    X(80000001_ECX, 23, "perfctr-core", N) X(80000001_ECX, 24, "perfctr-nb", N)                    \
    X(XSAVE, 0, "xsaveopt", S) X(XSAVE, 1, "xsavec", S) X(XSAVE, 2, "xgetbv1", S)                  \
    X(XSAVE, 3, "xsaves", S)                                                                       \
    X(80000008_EBX, 0, "clzero", O) X(80000008_EBX, 2, "xsaveerptr", N)                            \
    X(80000008_EBX, 9, "wbnoinvd", S) X(80000008_EBX, 12, "ibpb", O) X(80000008_EBX, 14, "ibrs", O) \
    X(80000008_EBX, 15, "amd-stibp", O) X(80000008_EBX, 24, "amd-ssbd", O)                         \
    X(80000008_EBX, 25, "virt-ssbd", N) X(80000008_EBX, 26, "amd-no-ssb", N)

/* other spellings of the same bits */
#define X86_FEATURE_ALIASES(X)                                                        \
    X("sse3", "pni") X("sse4_1", "sse4.1") X("sse4_2", "sse4.2") X("sse4-1", "sse4.1") \
    X("sse4-2", "sse4.2") X("lzcnt", "abm") X("i64", "lm") X("xd", "nx") X("lahf_lm", "lahf-lm") \
    X("ffxsr", "fxsr-opt") X("pclmuldq", "pclmulqdq") X("sha_ni", "sha-ni")           \
    X("tsc_adjust", "tsc-adjust") X("arch_capabilities", "arch-capabilities")         \
    X("spec_ctrl", "spec-ctrl")

#endif
