/*
 * x86.h - the guest CPU: state, instruction table, translation, system side
 *
 * Manuals: Intel 64 and IA-32 Architectures SDM (vol. 1-3), AMD64 APM vol. 2-3.
 */
#ifndef TARGET_X86_X86_H
#define TARGET_X86_X86_H

#include "tcg/tcg.h"

/* ---- registers ----------------------------------------------------------- */

enum { R_AX, R_CX, R_DX, R_BX, R_SP, R_BP, R_SI, R_DI };     /* + 8..15 */
enum { S_ES, S_CS, S_SS, S_DS, S_FS, S_GS, S_COUNT };

/* EFLAGS; C P A Z S O live in tcg.fl, the others in cpu->eflags */
enum {
    EF_CF = 1u << 0, EF_1 = 1u << 1, EF_PF = 1u << 2, EF_AF = 1u << 4, EF_ZF = 1u << 6,
    EF_SF = 1u << 7, EF_TF = 1u << 8, EF_IF = 1u << 9, EF_DF = 1u << 10, EF_OF = 1u << 11,
    EF_IOPL = 3u << 12, EF_NT = 1u << 14, EF_RF = 1u << 16, EF_VM = 1u << 17,
    EF_AC = 1u << 18, EF_VIF = 1u << 19, EF_VIP = 1u << 20, EF_ID = 1u << 21,
    EF_ARITH = EF_CF | EF_PF | EF_AF | EF_ZF | EF_SF | EF_OF,
};
#define EF_IOPL_SHIFT 12

enum {
    CR0_PE = 1u << 0, CR0_MP = 1u << 1, CR0_EM = 1u << 2, CR0_TS = 1u << 3, CR0_ET = 1u << 4,
    CR0_NE = 1u << 5, CR0_WP = 1u << 16, CR0_AM = 1u << 18, CR0_NW = 1u << 29,
    CR0_CD = 1u << 30, CR0_PG = 1u << 31,
};
enum {
    CR4_VME = 1u << 0, CR4_PVI = 1u << 1, CR4_TSD = 1u << 2, CR4_DE = 1u << 3, CR4_PSE = 1u << 4,
    CR4_PAE = 1u << 5, CR4_MCE = 1u << 6, CR4_PGE = 1u << 7, CR4_PCE = 1u << 8,
    CR4_OSFXSR = 1u << 9, CR4_OSXMMEXCPT = 1u << 10, CR4_UMIP = 1u << 11, CR4_LA57 = 1u << 12,
    CR4_FSGSBASE = 1u << 16, CR4_PCIDE = 1u << 17, CR4_OSXSAVE = 1u << 18,
    CR4_SMEP = 1u << 20, CR4_SMAP = 1u << 21, CR4_PKE = 1u << 22, CR4_PKS = 1u << 24,
};
enum { EFER_SCE = 1 << 0, EFER_LME = 1 << 8, EFER_LMA = 1 << 10, EFER_NXE = 1 << 11, EFER_FFXSR = 1 << 14 };

enum {
    EXC_DE = 0, EXC_DB = 1, EXC_NMI = 2, EXC_BP = 3, EXC_OF = 4, EXC_BR = 5, EXC_UD = 6,
    EXC_NM = 7, EXC_DF = 8, EXC_TS = 10, EXC_NP = 11, EXC_SS = 12, EXC_GP = 13, EXC_PF = 14,
    EXC_MF = 16, EXC_AC = 17, EXC_MC = 18, EXC_XM = 19,
};
enum { PF_P = 1, PF_W = 2, PF_U = 4, PF_RSVD = 8, PF_I = 16, PF_PK = 32 }; /* #PF error code */

/**
 * struct x86_seg - a segment register with its hidden part
 * @attr: descriptor bits 55..40 as in its second dword >> 8: type 0-3, S 4, DPL
 *   5-6, P 7, AVL 12, L 13, D/B 14, G 15 (bits 8-11 are 0)
 * @limit: byte granular
 * @lo, @hi_r, @hi_w: an access to offsets [o, o+n-1] is inside when
 *   lo <= o and o+n-1 <= hi_r (read), lo_w <= o and o+n-1 <= hi_w (write). Derived by
 *   x86_seg_derive(); a null or unusable segment has lo = 1, hi = 0.
 */
struct x86_seg {
    uint16_t sel;
    uint16_t attr;
    uint32_t limit;
    uint64_t base;
    uint32_t lo, lo_w, hi_r, hi_w;
};
enum { SEG_TYPE = 0xf, SEG_S = 1 << 4, SEG_DPL_SHIFT = 5, SEG_P = 1 << 7,
       SEG_L = 1 << 13, SEG_DB = 1 << 14, SEG_G = 1 << 15 };

struct x86_dtr { uint64_t base; uint16_t limit; };
/** struct x86_seg_memo - what descriptor @raw makes of a segment register; 0: none */
struct x86_seg_memo { uint64_t raw; struct x86_seg seg; };

/* XSAVE-layout register image: legacy area, FXSAVE64 format */
struct x86_fxarea {
    uint16_t fcw, fsw;
    uint8_t ftw, rsvd0;      /* abridged tag: bit n set: physical register n valid */
    uint16_t fop;
    uint64_t fip, fdp;
    uint32_t mxcsr, mxcsr_mask;
    uint8_t st[8][16];       /* by stack position: st[0] = ST(0) */
    uint8_t xmm[16][16];
    uint8_t rsvd1[96];
} __attribute__((aligned(64)));

/**
 * struct x86_x87_last - the last x87 instruction that could raise an exception, noted while one is unmasked
 * @dp, @ds: offset and segment of its memory operand; @op: as FOP | X87_LAST_VALID | X87_LAST_MEM
 */
struct x86_x87_last {
    uint64_t dp;
    uint32_t op;
    uint16_t ds;
};
enum { X87_LAST_VALID = 1 << 16, X87_LAST_MEM = 1 << 17 };

/* translation mode: everything that code generation depends on (tb_key.mode) */
enum {
    MODE_CODE16 = 0, MODE_CODE32 = 1, MODE_CODE64 = 2, MODE_CODE_MASK = 3,
    MODE_SS32 = 1 << 2,       /* stack size 32 (B bit); ignored in 64-bit code */
    MODE_CPL3 = 1 << 3,       /* CPL == 3 */
    MODE_PE = 1 << 4,         /* protected mode (and not VM86: see next) */
    MODE_VM86 = 1 << 5,
    MODE_FLAT_DATA = 1 << 6,  /* DS, ES, SS: base 0, limit 4 GiB, readable and writable */
    MODE_FLAT_FSGS = 1 << 7,  /* FS, GS: limit 4 GiB, readable and writable (any base) */
    MODE_TF = 1 << 8,         /* single step: one instruction a block, #DB after */
    MODE_IOPL_OK = 1 << 9,    /* CPL <= IOPL: CLI, STI, POPF.IF allowed */
    MODE_NO_FPU = 1 << 10,    /* CR0.TS or EM: x87 raises #NM */
    MODE_NO_SSE = 1 << 11,    /* CR0.EM or !CR4.OSFXSR: #UD; with TS: #NM (see MODE_TS) */
    MODE_TS = 1 << 12,
    MODE_AVX = 1 << 13,       /* CR4.OSXSAVE and XCR0 enables AVX */
    MODE_LONG = 1 << 14,      /* EFER.LMA (compatibility mode when code is not 64) */
    MODE_CPL12 = 1 << 15,     /* CPL is 1 or 2 */
    MODE_FLAT_CS = 1 << 16,   /* CS base 0, limit 4 GiB (always in 64-bit code) */
    MODE_SHADOW = 1 << 17,    /* interrupt shadow of STI / MOV SS: one instruction, no interrupt after poll */
    MODE_DR = 1 << 18,        /* a data or instruction breakpoint is enabled in DR7 */
    MODE_EM = 1 << 19,
    MODE_AC = 1 << 20,        /* CPL 3, CR0.AM, EFLAGS.AC: data must be aligned */
    MODE_AVX512 = 1 << 21,    /* CR4.OSXSAVE and XCR0 enables AVX, opmask and both ZMM parts */
    MODE_LOWER = 1 << 22,     /* a segment register's offsets have a lower bound: expand-down */
    MODE_X87 = 1 << 23,       /* an x87 exception is unmasked: instructions are noted (x87_last) */
};

/* ---- features ------------------------------------------------------------- */

enum x86_feat_word { FEAT_1_EDX, FEAT_1_ECX, FEAT_7_EBX, FEAT_7_ECX, FEAT_7_EDX,
                     FEAT_80000001_EDX, FEAT_80000001_ECX, FEAT_XSAVE, FEAT_7_1_EAX,
                     FEAT_80000008_EBX, FEAT_WORDS };

/** struct x86_model - what -cpu chose; shared by the vCPUs, read-only after start */
struct x86_model {
    const char *name;
    char vendor[13];
    char brand[49];
    uint32_t family, model, stepping;   /* display values */
    uint32_t feat[FEAT_WORDS];
    uint32_t level, xlevel;             /* highest basic and extended leaf */
    uint8_t phys_bits;
    uint64_t tsc_hz;
    unsigned n_vcpus;
    unsigned dies, cores, threads;      /* a socket, a die, a core; 0: one, all, one */
    uint64_t arch_caps;                 /* IA32_ARCH_CAPABILITIES */
    uint32_t pv;                        /* PV_*: leaf 0x40000001; 0: no word of KVM */
    uint32_t pv_asked;                  /* those of it that were asked for by name */
    uint32_t kvm_on, kvm_off;           /* bits there that only KVM has, as the user asked */
};

/* ---- the vCPU ---------------------------------------------------------------- */

/**
 * struct x86_bus - what the CPU needs of the world; installed by accel/
 * All may be called from inside translated code (through helpers).
 */
struct x86_bus {
    uint32_t (*port_in)(void *opaque, uint16_t port, unsigned size);
    /** port_in_string() - up to @n of them at once, to @buf; returns how many; may be NULL */
    unsigned (*port_in_string)(void *opaque, uint16_t port, unsigned size, void *buf, unsigned n);
    void (*port_out)(void *opaque, uint16_t port, uint32_t v, unsigned size);
    int (*ack_irq)(void *opaque);                 /* vector or -1 */
    uint32_t (*intr)(void *opaque);               /* VCPU_INTR_* bits pending */
    void (*intr_clear)(void *opaque, uint32_t bits);
    uint8_t (*sipi_vector)(void *opaque);
    bool (*apic_msr)(void *opaque, uint32_t msr, uint64_t *v, bool write); /* false: #GP */
    uint8_t (*get_tpr)(void *opaque);
    void (*set_tpr)(void *opaque, uint8_t tpr);
    /** halt() - wait until intr() has bits that are not in @masked */
    void (*halt)(void *opaque, uint32_t masked);
    void (*triple_fault)(void *opaque);
    void (*set_ferr)(void *opaque, int level);    /* FERR# -> IRQ13 when CR0.NE = 0 */
    uint64_t (*tsc)(void *opaque);                /* guest TSC before IA32_TSC_ADJUST/offset */
    uint64_t (*a20_mask)(void *opaque);
    /** prompt() - have interrupts of timers that are due requested now; may be NULL */
    void (*prompt)(void *opaque);
    int64_t (*wall_ns)(void *opaque);             /* time of day since 1970; NULL like ram: no kvmclock */
    /** pv_kick() - the vCPU with @apic_id leaves HLT, or its next HLT ends at once; false: no such */
    bool (*pv_kick)(void *opaque, uint32_t apic_id);
    /** pv_send_ipi() - as the ICR's lower half @icr says, to APIC ID @first + n for each bit n of @map;
     *  returns how many took it */
    int (*pv_send_ipi)(void *opaque, const uint64_t map[2], uint32_t first, uint32_t icr);
    /** steal_ns() - how long the vCPU's thread was ready to run without a host CPU, ever; its own thread */
    uint64_t (*steal_ns)(void *opaque);
    /** ram() - guest RAM for a few bytes to be written, NULL: it is none; ram_done() after it */
    void *(*ram)(void *opaque, gpa_t gpa, uint64_t len);
    void (*ram_done)(void *opaque, gpa_t gpa, uint64_t len);
    /** random() - for RDRAND and RDSEED, or NULL: the host's; false: none at the moment */
    bool (*random)(void *opaque, uint64_t *v);
    /** magic() - XCHG BX, BX is executed: stop behind it; NULL: it is an instruction like others */
    void (*magic)(void *opaque);
    void *opaque;
};

/** struct x86_avx512 - what AVX-512 adds: XSAVE components 5, 6 and 7, in their layout.
 *  tcg.zmmh_live and hi16_live say whether @zmmh and @hi16 may hold anything but zeros. */
struct x86_avx512 {
    uint64_t k[8];
    uint8_t zmmh[16][32];     /* ZMM0..15, bits 511:256 */
    uint8_t hi16[16][64];     /* ZMM16..31 */
} __attribute__((aligned(64)));

/** struct x86_table_memo - the page table of 2 MiB of the address space, 4-level paging
 *  @at: linear address >> 21; @until: the value of tcg.mmu_flushes that ends it, 0: there is none; @perm: see struct walk */
struct x86_table_memo {
    uint64_t at, until, perm;
    gpa_t table;
};

struct x86_cpu {
    struct tcg_cpu tcg;       /* first; tcg.regs[] are RAX..R15, tcg.pc is RIP/EIP */

    uint32_t eflags;          /* without the arithmetic flags; bit 1 set */
    uint32_t cpl;
    int64_t df;               /* +1 or -1 after EFLAGS.DF, for string instructions */
    struct x86_seg seg[S_COUNT];
    struct x86_seg ldt, tr;
    struct x86_dtr gdt, idt;
    struct x86_seg_memo seg_memo[8];  /* by the low bits of the selector's index */
    uint64_t cr0, cr2, cr3, cr4, efer, xcr0, xss;
    uint64_t dr[8];
    uint32_t mode;            /* MODE_*: x86_update_mode() keeps it */
    /* tcg.va_mask: ~0 in 64-bit code, else 0xffffffff (x86_update_mode() keeps it) */

    /* pending exception: tcg.exception = vector + 1 */
    uint32_t exc_error;
    bool exc_has_error, exc_soft;  /* soft: INT n, INT3, INTO */
    bool exc_canon;           /* the #GP is for the non-canonical address exc_cr2: #SS when
                               * the instruction meant the stack segment */
    uint8_t exc_soft_len;     /* bytes to skip for soft and trap-like events */
    uint64_t exc_cr2;
    uint64_t exc_dr6;         /* DR6 bits for #DB */
    uint8_t delivering;       /* vector being delivered + 1, for double faults */
    bool halted, shadow, nmi_blocked, in_smm, wait_sipi;
    bool irq_held;            /* x86_service() has left requests untaken, or has not looked yet: whatever
                               * could let them through makes it look again */
    bool shadow_ss;           /* the shadow is MOV SS's: also delays #DB */
    bool tf_trap;             /* a debug trap (single step, data breakpoint) is due before the
                               * next instruction; h_step_end sets it, x86_service delivers */
    bool no_step;             /* the instruction has cleared TF before its end: no trap */
    uint32_t trap_dr6;        /* what it reports (DR6 BS, BT, B0..B3) */
    bool exc_ext;             /* errors raised now carry EXT (an event is being delivered) */
    bool exc_vme;             /* pending INT n goes to the VM86 program's own handler (VME) */
    bool implicit;            /* running access is to a system table: SMAP ignores AC */
    bool shutdown;            /* after a triple fault: only reset, INIT, NMI get out */
    uint32_t int_count;       /* events delivered, for -d int */

    /* MSRs */
    uint64_t star, lstar, cstar, sfmask, kernel_gs_base;
    uint64_t sysenter_cs, sysenter_esp, sysenter_eip;
    uint64_t pat, misc_enable, tsc_adjust, tsc_offset, tsc_aux, spec_ctrl, debugctl, misc_features;
    uint64_t mtrr_def, mtrr_fix[11], mtrr_var[16];
    uint64_t mcg_status, mcg_ctl, smbase, bios_sign;
    uint64_t mc_bank[40];
    uint64_t kvm_wall_clock, kvm_system_time, kvm_steal_time, kvm_pv_eoi;
    uint64_t prompt_tsc;      /* when RDTSC looks at the timers again */
    uint64_t steal_seen_ns, steal_next_tsc;   /* bus->steal_ns() when last told; when to tell again */
    uint64_t pkrs;            /* rights of the 16 protection keys: supervisor pages; */
    uint32_t pkru;            /* user pages. x86_set_pkru() changes it */

    /* paging: PDPTEs in PAE mode, loaded by MOV CR3; tables that walks have found */
    uint64_t pdpte[4];
    struct x86_table_memo table_memo[8];

    /* vector and x87 */
    struct x86_fxarea fx;
    uint8_t ymmh[16][16];
    struct x86_avx512 z;
    uint16_t fpu_cs, fpu_ds;  /* as last loaded or latched; what is stored of them: fpu-state.c */
    struct x86_x87_last x87_last;
    bool x87_unmasked;        /* MODE_X87: x86_x87_mode() keeps it */
    bool ferr_pending;

    const struct x86_model *model;
    const struct x86_bus *bus;
    unsigned index;
    uint32_t apic_id;
    void *decode_scratch;     /* translator's work area, owned */
};

#define X86(tc) ((struct x86_cpu *)(tc))
#define GPR(cpu, r) ((cpu)->tcg.regs[r])

/* ---- globals of the IR (order fixed: 0..15 are the general registers) ---------- */
enum { G_RAX, G_RCX, G_RDX, G_RBX, G_RSP, G_RBP, G_RSI, G_RDI,
       G_R8, G_R9, G_R10, G_R11, G_R12, G_R13, G_R14, G_R15, G_COUNT };
/* pcbase, segment bases, df and so on are read with LDE/STE at their offsets */

extern const struct tcg_target x86_target;

/* ---- state as words (words.c) --------------------------------------------------------- */

#define X86_CORE_WORDS 19        /* general registers, RIP, RFLAGS, CPL */
#define X86_WORDS (X86_CORE_WORDS + 34 + 12 + 2 + 16 + 32 + 32 + 8 + 64 + 128)
struct x86_words {
    uint64_t w[X86_WORDS];
};
/** x86_get_words() - what a program could see of @cpu, but the TSC; between blocks */
void x86_get_words(const struct x86_cpu *cpu, struct x86_words *s);
/** x86_get_core() - its first X86_CORE_WORDS alone */
void x86_get_core(const struct x86_cpu *cpu, uint64_t *w);
/** x86_word_name() - what word @i is */
void x86_word_name(unsigned i, char *buf, size_t size);

/* ---- flags -------------------------------------------------------------------- */
static inline uint32_t x86_fl_to_eflags(uint32_t fl)
{
    return ((fl >> 8) & (EF_CF | EF_PF | EF_AF | EF_ZF | EF_SF)) | ((fl & 1) ? EF_OF : 0);
}
static inline uint32_t x86_eflags_to_fl(uint32_t ef)
{
    return ((ef & (EF_CF | EF_PF | EF_AF | EF_ZF | EF_SF)) << 8) | ((ef & EF_OF) ? 1 : 0);
}
/** x86_get_eflags()/x86_set_eflags() - the whole register; set also updates df and mode */
uint32_t x86_get_eflags(const struct x86_cpu *cpu);
void x86_set_eflags(struct x86_cpu *cpu, uint32_t ef);
/** x86_put_eflags() - the mode and interrupts that IF lets in are the caller's to look after */
void x86_put_eflags(struct x86_cpu *cpu, uint32_t ef);

/* ---- exceptions and control transfer (excp.c, seg.c, task.c) --------------------- */

/** x86_raise() - make @vector pending for the current instruction; the caller
 *  returns at once (helpers return 0/false). Error code variants below. A
 *  second raise while one is pending is ignored. Never changes other state. */
void x86_raise(struct x86_cpu *cpu, unsigned vector);
void x86_raise_err(struct x86_cpu *cpu, unsigned vector, uint32_t error);
void x86_raise_pf(struct x86_cpu *cpu, uint64_t va, uint32_t error);
void x86_raise_db(struct x86_cpu *cpu, uint64_t dr6_bits);
/** x86_raise_soft() - INT n / INT3 / INTO / INT1: @len is the instruction's length */
void x86_raise_soft(struct x86_cpu *cpu, unsigned vector, unsigned len);
/** x86_deliver_irq() - the vCPU, which stands still, takes external interrupt @vector now */
void x86_deliver_irq(struct x86_cpu *cpu, unsigned vector);
/** x86_service() - tcg_target.service: deliver what is pending, take interrupts, halt */
bool x86_service(struct tcg_cpu *tc);
/** x86_deliver_quick() - tcg_target.deliver */
bool x86_deliver_quick(struct tcg_cpu *tc);
/** x86_reset() - power-up/INIT state (@init: INIT keeps caches, MSRs, FPU) */
void x86_reset(struct x86_cpu *cpu, bool init);
/** x86_firmware_msrs() - memory types as firmware leaves them, for a kernel entered directly */
void x86_firmware_msrs(struct x86_cpu *cpu);
/** x86_update_mode() - recompute mode, addr_mask, view, salt after CR, EFER, CS, SS,
 *  segment, CPL, EFLAGS system bits changed; cheap */
void x86_update_mode(struct x86_cpu *cpu);
void x86_seg_derive(struct x86_seg *s, bool protected_mode);
/** x86_load_real_seg() - real or VM86 segment load */
void x86_load_real_seg(struct x86_cpu *cpu, unsigned seg, uint16_t sel);

/*
 * Helpers called from IR: uint64_t h(struct tcg_cpu *, a, b, c). All of them use
 * IRCALL_SYNC | IRCALL_FAULT unless noted; the block ends with EXIT_PC after
 * those marked (pc): they set cpu->tcg.pc to where execution goes on, and EXIT or a jump
 * to the next instruction after those marked (exit). Those marked NOVEC may have that, too.
 * @next_off: pcoff of the next instruction (for return addresses, INT etc.)
 */
#define HELPER(n) uint64_t n(struct tcg_cpu *tc, uint64_t a, uint64_t b, uint64_t c)
HELPER(h_mov_seg);        /* a = seg index, b = selector: MOV/POP Sreg (not CS) (exit) */
HELPER(h_lseg);           /* a = seg, b = selector; c = unused: LDS/LES/LFS/LGS/LSS load (exit) */
HELPER(h_jmp_far);        /* a = selector, b = offset, c = next_off | opsize << 32 (2, 4, 8) (pc) */
HELPER(h_call_far);       /* likewise; pushes the return address (pc) */
HELPER(h_ret_far);        /* a = opsize, b = bytes to pop extra (pc) */
HELPER(h_iret);           /* a = opsize, c = next_off (pc) */
HELPER(h_int);            /* a = vector, b = instruction length, c = kind: 0 INT n, 1 INT3, 2 INTO, 3 INT1: raises */
HELPER(h_syscall);        /* c = next_off (pc) */
HELPER(h_sysret);         /* a = opsize 4 or 8 (pc) */
HELPER(h_sysenter);       /* (pc) */
HELPER(h_sysexit);        /* a = opsize 4 or 8 (pc) */
HELPER(h_hlt);            /* c = next_off: sets halted (exit) */
HELPER(h_pushf);          /* returns the flags image to push; a = opsize; raises #GP in VM86 without IOPL (VME aware) */
HELPER(h_popf);           /* a = opsize, b = value (exit) */
HELPER(h_popf_stay);      /* likewise; returns whether the block has to be left */
HELPER(h_cli);            /* (exit not needed) IOPL, VME, PVI rules */
HELPER(h_sti);            /* sets the shadow (exit) */
HELPER(h_view);           /* EFLAGS.AC has changed. NOVEC, not FAULT */
HELPER(h_mov_from_cr);    /* a = cr: returns value */
HELPER(h_mov_to_cr);      /* a = cr, b = value (exit) */
HELPER(h_mov_from_dr);    /* a = dr */
HELPER(h_mov_to_dr);      /* a = dr, b = value (exit) */
HELPER(h_clts);           /* (exit) */
HELPER(h_lmsw);           /* b = value (exit) */
HELPER(h_smsw);           /* returns CR0 (UMIP checked) */
HELPER(h_lgdt);           /* a = linear operand address in segment-checked form, b = opsize (2, 4, 8); c = 0 GDT, 1 IDT */
HELPER(h_sgdt);           /* likewise: stores */
HELPER(h_lldt);           /* a = selector */
HELPER(h_ltr);            /* a = selector */
HELPER(h_sldt);           /* returns selector; UMIP checked */
HELPER(h_str);
HELPER(h_lar);            /* a = selector: returns value, Z in F (0: leave d) */
HELPER(h_lsl);
HELPER(h_verr);           /* a = selector, b = 1 for VERW; sets Z */
HELPER(h_arpl);           /* a = dest, b = src: returns new dest, sets Z */
HELPER(h_invlpg);         /* a = linear address */
HELPER(h_invpcid);        /* a = type, b = linear address of the descriptor */
HELPER(h_wrmsr);          /* ECX, EDX:EAX from regs (exit) */
HELPER(h_rdmsr);
HELPER(h_rdtsc);          /* returns TSC (TSD checked) */
HELPER(h_rdtscp);         /* sets EAX, EDX, ECX */
HELPER(h_rdpmc);
HELPER(h_vmcall);         /* KVM's hypercalls: RAX, RBX, RCX, RDX, RSI from regs, result in RAX (exit) */
HELPER(h_cpuid);
HELPER(h_xgetbv);
HELPER(h_xsetbv);         /* (exit) */
HELPER(h_in);             /* a = port, b = size: value; checks IOPL and the I/O bitmap */
HELPER(h_out);            /* a = port, b = size, c = value */
HELPER(h_rdpkru);
HELPER(h_wrpkru);         /* (exit) */
HELPER(h_wbinvd);         /* CPL check */
HELPER(h_monitor);
HELPER(h_mwait);
HELPER(h_rdpid);
HELPER(h_fsgsbase);       /* a = 0 rdfs 1 rdgs 2 wrfs 3 wrgs, b = value, c = opsize */
HELPER(h_bound);          /* a = index, b = lower, c = upper (sign-extended): #BR */
HELPER(h_enter);          /* a = size, b = level, c = opsize */
HELPER(h_pusha);          /* a = opsize */
HELPER(h_popa);
HELPER(h_cmpxchg8b);      /* a = linear address; F.Z, EAX, EDX */
HELPER(h_cmpxchg16b);
HELPER(h_bcd);            /* a = 0 daa 1 das 2 aaa 3 aas 4 aam 5 aad, b = imm */
HELPER(h_into);           /* raises #OF when O; b = length */
HELPER(h_seg_check);      /* a = offset, b = seg | size << 8 (12 bits) | SEG_CHECK_WRITE: linear address; raises #GP/#SS;
                           * b = SEG_CHECK_CANONICAL: a is a branch target that is not: #GP */
enum { SEG_CHECK_WRITE = 1 << 3, SEG_CHECK_CANONICAL = 1 << 30 };
#define SEG_CHECK_MASK(v)                                                         \
    ((uint32_t)(v)->aaa << 4 | (uint32_t)(v)->compact << 7 |                      \
     (uint32_t)__builtin_ctz((v)->mem_elem) << 20 | (uint32_t)__builtin_ctz((v)->mask_bits) << 23)
HELPER(h_rsm);            /* (pc) */
/* Last thing in a block translated with MODE_TF, MODE_SHADOW or MODE_DR (one instruction each), before
 * its EXIT or EXIT_PC: a = the block's mode. Ends the interrupt shadow, notes the single-step trap, has
 * x86_service() called. Not SYNC, not FAULT. */
HELPER(h_step_end);
HELPER(h_magic);         /* the magic breakpoint is executed */
HELPER(h_align_check);    /* a = linear address, b = bytes | write << 8: #AC(0) when not a multiple */
HELPER(h_dr_check);       /* a = linear address, b = size | write << 8: data breakpoint trap noted;
                           * b = 1 << 9: instruction breakpoint (before the instruction): may raise #DB */
/* REP string instructions: a = kind | opsize << 8 | addrsize << 16 | seg << 24, b = 1 REP/REPE, 2 REPNE.
 * Return 0: finished; 1: interrupted, registers show progress: execute again (EXIT at own pcoff). */
enum { STR_MOVS, STR_STOS, STR_LODS, STR_CMPS, STR_SCAS, STR_INS, STR_OUTS };
HELPER(h_rep_string);
HELPER(h_string1);        /* the same for one iteration, for INS/OUTS without prefix */
/* x87/vector helpers on the state in memory (fpu-state.c) */
HELPER(h_fxsave);         /* a = linear address, b = opsize 4/8 */
HELPER(h_fxrstor);
HELPER(h_xsave);          /* a = address, b = opsize | kind << 8 (0 xsave 1 xsaveopt 2 xsavec 3 xsaves) */
HELPER(h_xrstor);         /* b = opsize | kind << 8 (0 xrstor 3 xrstors) */
HELPER(h_fstenv);         /* a = address, b = opsize 2/4, c = real-mode format */
HELPER(h_fldenv);
HELPER(h_fsave);
HELPER(h_frstor);
HELPER(h_fninit);
HELPER(h_fwait);          /* pending unmasked x87 exception -> #MF */
HELPER(h_ldmxcsr);        /* a = value: #GP on reserved bits */
HELPER(h_maskmov);        /* MASKMOVDQU/MASKMOVQ: a = linear address, b = data reg | mask reg << 8 | mmx << 16 */
HELPER(h_vgather);        /* a = base, b = vec index in row form, c = packed operands */
/** x86_x87_mode() - MODE_X87 follows the control word in memory; true: it has been set */
bool x86_x87_mode(struct x86_cpu *cpu);
/** x86_x87_unmask() - tcg_target.x87_unmask: FLDCW again, with MODE_X87 */
void x86_x87_unmask(struct tcg_cpu *tc);
/** x87_latch() - with an exception pending: FDP, FDS and FOP are those of the instruction noted last */
void x87_latch(struct x86_cpu *cpu);
HELPER(h_x87_mode);       /* x86_x87_mode(); returns 1 when it has set MODE_X87 */
HELPER(h_x87_latch);
HELPER(h_vmaskmov);       /* VMASKMOVPS/PD, VPMASKMOVD/Q: a = linear address, b = packed operands */

/** x86_set_vec_regs()/state: C code sees fx, ymmh, z only when tcg.vec_loaded and
 *  x87_loaded are 0; helpers without IRCALL_NOVEC always do */

/** x86_get_zmm() - vector register @r (0..31), 64 bytes */
static inline void x86_get_zmm(const struct x86_cpu *cpu, unsigned r, uint8_t *out)
{
    if (r >= 16) {
        memcpy(out, cpu->z.hi16[r & 15], 64);
        return;
    }
    memcpy(out, cpu->fx.xmm[r], 16);
    memcpy(out + 16, cpu->ymmh[r], 16);
    memcpy(out + 32, cpu->z.zmmh[r], 32);
}

/** x86_clear_zmmh() - bits 511:256 of register @r (0..15) become 0, as after VEX */
static inline void x86_clear_zmmh(struct x86_cpu *cpu, unsigned r)
{
    if (cpu->tcg.zmmh_live)
        memset(cpu->z.zmmh[r & 15], 0, 32);
}

/** x86_set_zmm() - all of vector register @r (0..31) */
static inline void x86_set_zmm(struct x86_cpu *cpu, unsigned r, const uint8_t *in)
{
    if (r >= 16) {
        memcpy(cpu->z.hi16[r & 15], in, 64);
        cpu->tcg.hi16_live = 1;
        return;
    }
    memcpy(cpu->fx.xmm[r], in, 16);
    memcpy(cpu->ymmh[r], in + 16, 16);
    memcpy(cpu->z.zmmh[r], in + 32, 32);
    cpu->tcg.zmmh_live = 1;
}

/* ---- paging (mmu.c) ------------------------------------------------------------ */
enum tcg_fill_result x86_walk(struct tcg_cpu *tc, uint64_t va, enum tcg_access acc,
                              bool user, bool probe, struct tcg_fill *out);
/** x86_debug_walk() - monitor and gdb: no side effects; false: not mapped */
bool x86_debug_walk(struct x86_cpu *cpu, uint64_t va, gpa_t *gpa);
bool x86_load_pdptes(struct x86_cpu *cpu, uint64_t cr3);
/** x86_set_pkru() - PKRU = @v; translations go when rights change */
void x86_set_pkru(struct x86_cpu *cpu, uint32_t v);

/* ---- vector and x87 state as one image (xsave.c) ----------------------------------- */
enum { X86_XSAVE_BYTES = 2696 };
/** x86_xsave_get()/x86_xsave_put() - XSAVE area in its standard format, X86_XSAVE_BYTES; all
 *  components, legacy area in the 64-bit format; put initialises what XSTATE_BV leaves out */
void x86_xsave_get(const struct x86_cpu *cpu, uint8_t *img);
void x86_xsave_put(struct x86_cpu *cpu, const uint8_t *img);

/* ---- paravirtual interfaces (pv.c) ---------------------------------------------- */
/* by bit of leaf 0x40000001, EAX */
enum { PV_CLOCK_OLD_BIT = 0, PV_CLOCK_BIT = 3, PV_STEAL_TIME_BIT = 5, PV_EOI_BIT = 6 };
enum { PV_CLOCK_OLD = 1 << PV_CLOCK_OLD_BIT, PV_NOP_IO_DELAY = 1 << 1, PV_CLOCK = 1 << PV_CLOCK_BIT,
       PV_STEAL_TIME = 1 << PV_STEAL_TIME_BIT, PV_EOI = 1 << PV_EOI_BIT, PV_UNHALT = 1 << 7, PV_TLB_FLUSH = 1 << 9,
       PV_SEND_IPI = 1 << 11, PV_SCHED_YIELD = 1 << 13, PV_CLOCK_STABLE = 1 << 24,
       PV_ALL = PV_CLOCK_OLD | PV_NOP_IO_DELAY | PV_CLOCK | PV_STEAL_TIME | PV_EOI | PV_UNHALT | PV_TLB_FLUSH
              | PV_SEND_IPI | PV_SCHED_YIELD | PV_CLOCK_STABLE,
       PV_DEFAULT = PV_ALL,
       PV_SLOWER = PV_TLB_FLUSH | PV_SEND_IPI | PV_SCHED_YIELD,      /* on the translator: only when asked for */
       PV_MOVABLE = PV_CLOCK_OLD | PV_NOP_IO_DELAY | PV_CLOCK | PV_STEAL_TIME | PV_CLOCK_STABLE };  /* to KVM and back */
#define PV_STEAL_UNSEEN UINT64_MAX       /* x86_cpu.steal_seen_ns: counts from now on */
/** x86_kvm_feature_name() - as -cpu has it, of the lowest of @bits that only KVM has; NULL: none */
const char *x86_kvm_feature_name(uint32_t bits);
/** x86_pv_clock_update() - the guest's clock page follows its TSC, when there is one */
void x86_pv_clock_update(struct x86_cpu *cpu);
/** x86_pv_ns() - what the clock shows at @ticks of the machine's TSC */
uint64_t x86_pv_ns(const struct x86_model *m, uint64_t ticks);
/** MSR writes; true */
bool x86_pv_set_system_time(struct x86_cpu *cpu, uint64_t v);
bool x86_pv_set_wall_clock(struct x86_cpu *cpu, uint64_t v);

/** x86_pv_set_steal_time() - MSR write (pv-smp.c); false: reserved bits */
bool x86_pv_set_steal_time(struct x86_cpu *cpu, uint64_t v);
/** x86_pv_steal_update() - what the guest knows of time that others had its host CPU follows, not
 *  too often; the vCPU's own thread, between blocks */
void x86_pv_steal_update(struct x86_cpu *cpu);
/** x86_pv_wait_begin()/x86_pv_wait_end() - the vCPU waits: others need not interrupt it to have
 *  translations dropped, it does so before it goes on; its own thread, or while it is parked */
void x86_pv_wait_begin(struct x86_cpu *cpu);
void x86_pv_wait_end(struct x86_cpu *cpu);

/* ---- CPUID and models (cpuid.c) --------------------------------------------------- */
void x86_cpuid(const struct x86_cpu *cpu, uint32_t leaf, uint32_t sub, uint32_t out[4]);
/** x86_model_parse() - "-cpu" argument: "max,-avx2,+sse4.1,feature=on|off"
 *  Returns 0 or -EINVAL with @e (unknown model or feature: suggests the nearest). */
int x86_model_parse(const char *arg, struct x86_model *m, struct err *e) MUST_CHECK;
void x86_model_help(FILE *f);
/** x86_feature_name() - of bit @bit in feature word @word; NULL: it has none */
const char *x86_feature_name(unsigned word, unsigned bit);
/** x86_model_name() - of model @n of the list, or NULL at its end */
const char *x86_model_name(unsigned n);
/** x86_model_missing() - features of the real CPU that model @n goes without here:
 *  "name, name"; the caller's to free */
char *x86_model_missing(unsigned n);
static inline bool x86_has(const struct x86_cpu *cpu, enum x86_feat_word w, unsigned bit)
{
    return (cpu->model->feat[w] >> bit) & 1;
}

/* ---- a debugger outside the guest (debug.c): the vCPU stands still ------------------ */

/** x86_debug_set_pc() - go on at linear address @lin; ends HLT. False: not in the code
 *  segment */
bool x86_debug_set_pc(struct x86_cpu *cpu, uint64_t lin) MUST_CHECK;
/** x86_debug_set_seg() - load segment register @seg as the guest would; false: it may not */
bool x86_debug_set_seg(struct x86_cpu *cpu, unsigned seg, uint16_t sel) MUST_CHECK;
/** x86_debug_set_cr() - control register @n: 0, 2, 3, 4 or 8; false: MOV CR would fault */
bool x86_debug_set_cr(struct x86_cpu *cpu, unsigned n, uint64_t v) MUST_CHECK;
/** x86_debug_msr() - read or write an MSR as RDMSR and WRMSR do; false: they would fault */
bool x86_debug_msr(struct x86_cpu *cpu, uint32_t msr, uint64_t *v, bool write) MUST_CHECK;
/** x86_linear_pc() - CS base + instruction pointer */
static inline uint64_t x86_linear_pc(const struct x86_cpu *cpu)
{
    bool code64 = (cpu->mode & MODE_CODE_MASK) == MODE_CODE64;

    return code64 ? cpu->tcg.pc : (cpu->tcg.pc + cpu->seg[S_CS].base) & 0xffffffffu;
}

/* ---- decoder (decode.c, insn.def) --------------------------------------------------- */
struct x86_insn;          /* decode-int.h */
unsigned x86_translate(struct tcg_cpu *tc, struct ir_block *b, const struct tb_key *k,
                       unsigned max_insns, unsigned *n_insns);
void x86_get_key(struct tcg_cpu *tc, struct tb_key *k);
/** struct x86_translate_env - what x86_translate() depends on besides bytes and mode; no padding */
struct x86_translate_env {
    uint32_t feat[FEAT_WORDS];
    uint32_t family, model, stepping, n_vcpus, pv, magic;
    char vendor[16];
};
/** x86_translate_env() - for vCPUs of @m; @magic: is struct x86_bus.magic set? */
void x86_translate_env(const struct x86_model *m, bool magic, struct x86_translate_env *env);

/* ---- portable vector and x87 (vec-*.c, x87*.c) -------------------------------------- */
bool x86_vec_exec(struct tcg_cpu *tc, const struct ir_vec *v, void *mem, uint64_t *gpr);

/** x86_log_cpu() - registers as -d cpu shows them */
void x86_log_cpu(struct tcg_cpu *tc, FILE *f);
/** x86_mode_name() - MODE_* in short: code size, privilege, what single steps */
void x86_mode_name(uint32_t mode, char *buf, size_t size);
/** x86_exception_name() - cpu->exception (a vector + 1): "#PF", "int 0x80" */
void x86_exception_name(uint32_t exception, char *buf, size_t size);

#endif
