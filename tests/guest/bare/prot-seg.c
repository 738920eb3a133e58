/* prot-seg.c - segment loads, limits, access rights, LAR/LSL/VERR/VERW/ARPL */
#include "lib/desc.h"

#define MEM "memory", "cc"

static u32 target[16];

static void load_fs(u32 sel) { TRY("mov %0, %%fs", : : "r"(sel) : MEM); }
static void load_ss(u32 sel) { TRY("mov %0, %%ss\n\tmov %1, %%ss", : : "r"(sel), "r"(SEL_DATA) : MEM); }

static void test_loads(void)
{
    load_fs(0);
    check_trap("load FS null", -1, 0);
    TRY("mov %%fs:0, %%eax", : : : "eax", MEM);
    check_trap("access through null FS", GP, 0);
    load_ss(0);
    check_trap("load SS null", GP, 0);
    load_fs(GDT_BYTES | 0);
    check_trap("load FS beyond the GDT", GP, GDT_BYTES);
    load_fs(GDT_BYTES | 3);
    check_trap("error code has no RPL", GP, GDT_BYTES);
    load_fs(0x40 | 4);
    check_trap("load FS beyond the LDT", GP, 0x44);
    desc_set(&ldt[1], 0, 0xfffff, D_DATA);
    load_fs(0x8 | 4);
    check_trap("load FS from the LDT", -1, 0);
    load_fs(SEL_TSS);
    check_trap("load FS with a TSS", GP, SEL_TSS);
    gdt_set(SEL_SCRATCH, 0, 0xfffff, D_DATA & ~D_P);
    load_fs(SEL_SCRATCH);
    check_trap("load FS not present", NP, SEL_SCRATCH);
    load_ss(SEL_SCRATCH);
    check_trap("load SS not present", SS, SEL_SCRATCH);
    gdt_set(SEL_SCRATCH, 0, 0xfffff, 0xc091); /* read only data */
    load_fs(SEL_SCRATCH);
    check_trap("load FS read-only", -1, 0);
    load_ss(SEL_SCRATCH);
    check_trap("load SS read-only", GP, SEL_SCRATCH);
    load_ss(SEL_UDATA);
    check_trap("load SS of DPL 3", GP, SEL_UDATA & ~3);
    load_ss(SEL_DATA | 1);
    check_trap("load SS with RPL 1", GP, SEL_DATA);
    load_ss(SEL_CODE);
    check_trap("load SS with code", GP, SEL_CODE);
    load_fs(SEL_DATA | 3);
    check_trap("load FS: RPL 3 over DPL 0", GP, SEL_DATA);
    load_fs(SEL_CODE);
    check_trap("load FS with readable code", -1, 0);
    TRY("movl $1, %%fs:%0", : "=m"(target[0]) : : MEM);
    check_trap("write through a code segment", GP, 0);
    gdt_set(SEL_SCRATCH, 0, 0xfffff, 0xc099); /* execute only */
    load_fs(SEL_SCRATCH);
    check_trap("load FS execute-only", GP, SEL_SCRATCH);
    gdt_set(SEL_SCRATCH, 0, 0xfffff, 0xc091);
    load_fs(SEL_SCRATCH);
    TRY("movl $1, %%fs:%0", : "=m"(target[0]) : : MEM);
    check_trap("write through read-only data", GP, 0);
    gdt_set(SEL_SCRATCH, 0, 0xfffff, 0xc092);
    load_fs(SEL_SCRATCH);
    check("loading sets the accessed bit", gdt[SEL_SCRATCH / 8] >> 40 & 1, 1);
}

static void test_limits(void)
{
    u32 a = (u32)target;

    gdt_set(SEL_SCRATCH, a, 15, D_DATA & ~D_G);
    load_fs(SEL_SCRATCH);
    TRY("movl %%fs:12, %%eax", : : : "eax", MEM);
    check_trap("dword at limit - 3", -1, 0);
    TRY("movl %%fs:13, %%eax", : : : "eax", MEM);
    check_trap("dword at limit - 2", GP, 0);
    TRY("movb %%fs:16, %%al", : : : "eax", MEM);
    check_trap("byte past the limit", GP, 0);
    target[4] = 0;
    TRY("movl $-1, %%fs:13", : : : MEM);
    check("store across the limit writes nothing", target[4] | target[3], 0);
    TRY("movl %%fs:0xfffffffe, %%eax", : : : "eax", MEM);
    check_trap("dword wrapping at 4 GiB", GP, 0);
    TRY("fs lodsl", : : "S"(13) : "eax", MEM);
    check_trap("LODSD across the limit", GP, 0);
    gdt_set(SEL_SCRATCH, 0, 0, D_DATA);
    load_fs(SEL_SCRATCH);
    TRY("movl %%fs:0xffc, %%eax", : : : "eax", MEM);
    check_trap("granularity: limit 0 is 0xfff", -1, 0);
    TRY("movl %%fs:0xffd, %%eax", : : : "eax", MEM);
    check_trap("granularity: 0x1000 is beyond", GP, 0);
    gdt_set(SEL_SCRATCH, 0, 0x8fff, 0x4097); /* expand-down, B=1 */
    load_fs(SEL_SCRATCH);
    TRY("movl %%fs:0x8fff, %%eax", : : : "eax", MEM);
    check_trap("expand-down: at the limit", GP, 0);
    TRY("movl %%fs:0x9000, %%eax", : : : "eax", MEM);
    check_trap("expand-down: above the limit", -1, 0);
    TRY("movl %%fs:0x30000, %%eax", : : : "eax", MEM);
    check_trap("expand-down, B: to 4 GiB", -1, 0);
    gdt_set(SEL_SCRATCH, 0, 0x8fff, 0x0097);
    load_fs(SEL_SCRATCH);
    TRY("movb %%fs:0xffff, %%al", : : : "eax", MEM);
    check_trap("expand-down, no B: 0xffff", -1, 0);
    TRY("movw %%fs:0xffff, %%ax", : : : "eax", MEM);
    check_trap("expand-down, no B: up to 64 KiB", GP, 0);
    gdt_set(SEL_SCRATCH, 0x1000, 0xfffff, D_DATA);
    load_fs(SEL_SCRATCH);
    target[0] = 0x1234;
    TRY("movl %%fs:(%0), %%eax", : : "r"(a - 0x1000) : "eax", MEM);
    check_trap("base is added", -1, 0);
    gdt_set(SEL_SCRATCH, 0, 7, D_CODE & ~D_G);
    TRY("ljmp %0, $0x10", : : "i"(SEL_SCRATCH) : MEM);
    check_trap("JMP FAR beyond the limit", GP, 0);
    check("JMP FAR fault leaves CS", trap.cs, SEL_CODE);
}

/* A stack segment of 16 bits: only SP moves; a frame beyond its limit is #SS */
CODE(ring3_ss, "mov $0xa3, %eax\n\tmov %eax, %ss\n\tmov $0x104, %esp\n\tpush %eax\n\tpush %eax\n\tint $0x80");
CODE(ring3_ds, "mov $0x10, %eax\n\tmov %eax, %ds\n\tint $0x80");
CODE(ring3_limit, "mov $0xa3, %eax\n\tmov %eax, %ss\n\tmov $0x110, %ebp\n\tmov (%ebp), %eax\n\tint $0x80");

static void test_stack(void)
{
    u32 v;

    gdt_set(SEL_SCRATCH2, 0, 0x9fff, 0x4097 | D_DPL3);
    gdt_set(SEL_SCRATCH2, (u32)stack3, 0x101, 0x40f7); /* expand-down: from 0x102 */
    in_ring3(ring3_ss);
    check_trap("PUSH below an expand-down limit", SS, 0);
    check("ESP unchanged by the faulting PUSH", trap.sp, 0x104);
    gdt_set(SEL_SCRATCH2, (u32)stack3, 0x10f, 0x40f3);
    in_ring3(ring3_limit);
    check_trap("EBP access beyond the SS limit", SS, 0);
    in_ring3(ring3_ds);
    check_trap("ring 3 loads DPL 0 data", GP, SEL_DATA);
    gdt_set(SEL_SCRATCH, 0, 0xfffff, 0x8093); /* B=0 */
    TRY("mov %%esp, %%ebx\n\tmov %1, %%ss\n\tmov $0x12340000 + 0x7000, %%esp\n\tpush %%eax\n\tmov %%esp, %0\n\tmov %2, %%ss\n\tmov %%ebx, %%esp",
        : "=&r"(v) : "r"(SEL_SCRATCH), "r"(SEL_DATA) : "ebx", MEM);
    check("16 bit stack: PUSH moves SP only", v, 0x12346ffc);
}

static u32 lar(u32 sel, u32 *zf)
{
    u32 v = 0xdead, z;
    asm volatile("lar %2, %0\n\tsetz %b1\n\tmovzbl %b1, %1" : "+r"(v), "=&q"(z) : "r"(sel) : "cc");
    *zf = z;
    return v;
}
static u32 lsl(u32 sel, u32 *zf)
{
    u32 v = 0xdead, z;
    asm volatile("lsl %2, %0\n\tsetz %b1\n\tmovzbl %b1, %1" : "+r"(v), "=&q"(z) : "r"(sel) : "cc");
    *zf = z;
    return v;
}
#define ZF_OF(insn, sel) \
    ({ u32 z; asm volatile(insn " %w1\n\tsetz %b0\n\tmovzbl %b0, %0" : "=&q"(z) : "r"(sel) : "cc"); z; })

static void test_verify(void)
{
    u32 z, v;

    check("LAR code", lar(SEL_CODE, &z) & 0xf0ff00, 0xc09b00);
    check("LAR ZF", z, 1);
    check("LAR data", lar(SEL_DATA, &z) & 0xf0ff00, 0xc09300);
    check("LAR null leaves the register", lar(0, &z), 0xdead);
    check("LAR null clears ZF", z, 0);
    check("LAR TSS", lar(SEL_TSS, &z) & 0xff00, 0x8b00);
    gate_set(&gdt[SEL_GATE / 8], SEL_CODE, 0, G_CALL, 0);
    lar(SEL_GATE, &z);
    check("LAR call gate is valid", z, 1);
    lsl(SEL_GATE, &z);
    check("LSL call gate is not", z, 0);
    gate_set(&gdt[SEL_GATE / 8], SEL_CODE, 0, G_INT, 0);
    lar(SEL_GATE, &z);
    check("LAR interrupt gate is not", z, 0);
    check("LSL pages", lsl(SEL_DATA, &z), 0xffffffff);
    check("LSL bytes", lsl(SEL_LDT, &z), sizeof(ldt) - 1);
    lar(SEL_DATA | 3, &z);
    check("LAR: RPL 3 over DPL 0", z, 0);
    check("VERR data", ZF_OF("verr", SEL_DATA), 1);
    check("VERW data", ZF_OF("verw", SEL_DATA), 1);
    check("VERW code", ZF_OF("verw", SEL_CODE), 0);
    check("VERR TSS", ZF_OF("verr", SEL_TSS), 0);
    check("VERR beyond the table", ZF_OF("verr", 0xfff8), 0);
    gdt_set(SEL_SCRATCH, 0, 0xfffff, 0xc09e); /* conforming */
    check("VERR conforming ignores RPL", ZF_OF("verr", SEL_SCRATCH | 3), 1);
    asm("mov $0x10, %%eax\n\tmov $3, %%ecx\n\tarpl %%cx, %%ax\n\tsetz %%cl\n\tmovzbl %%cl, %%ecx\n\tshl $16, %%ecx\n\tor %%ecx, %%eax" : "=&a"(v) : : "ecx", "cc");
    check("ARPL raises", v, 0x10013);
    asm("mov $0x13, %%eax\n\tmov $1, %%ecx\n\tarpl %%cx, %%ax\n\tsetz %%cl\n\tmovzbl %%cl, %%ecx\n\tshl $16, %%ecx\n\tor %%ecx, %%eax" : "=&a"(v) : : "ecx", "cc");
    check("ARPL leaves", v, 0x13);
}

static void test_far(void)
{
    u32 esp0, esp1;

    TRY("ljmp $0, $0", : : : MEM);
    check_trap("JMP FAR null", GP, 0);
    TRY("ljmp %0, $0", : : "i"(SEL_DATA) : MEM);
    check_trap("JMP FAR to data", GP, SEL_DATA);
    TRY("ljmp %0, $0", : : "i"(SEL_UCODE32) : MEM);
    check_trap("JMP FAR to DPL 3 code", GP, SEL_UCODE32 & ~3);
    gdt_set(SEL_SCRATCH, 0, 0xfffff, D_CODE & ~D_P);
    TRY("ljmp %0, $0", : : "i"(SEL_SCRATCH) : MEM);
    check_trap("JMP FAR not present", NP, SEL_SCRATCH);
    gdt_set(SEL_SCRATCH, 0, 0xfffff, 0xc09e | D_DPL3);
    TRY("ljmp %0, $0", : : "i"(SEL_SCRATCH) : MEM);
    check_trap("JMP FAR to conforming DPL 3", GP, SEL_SCRATCH);
    gdt_set(SEL_SCRATCH, 0, 0xfffff, 0xc09e);
    TRY("mov %%esp, %0\n\tlcall %2, $1f\n\tjmp 2f\n1:\tlret\n2:\tmov %%esp, %1", : "=&r"(esp0), "=&r"(esp1) : "i"(SEL_SCRATCH) : MEM);
    check_trap("CALL FAR to conforming DPL 0", -1, 0);
    check("RETF restores ESP", esp0, esp1);
    TRY("push $0x10\n\tpush $0\n\tlret", : : : MEM);
    check_trap("RETF to data", GP, SEL_DATA);
    TRY("pushl %0\n\tpush $1f\n\tlret\n1:\tint $0x21", : : "i"(SEL_CODE32) : MEM);
    check("RETF to other code", trap.cs, SEL_CODE32);
    TRY("pushl $0x23\n\tpushl $0\n\tpushl $0x1b\n\tpushl $ring3_ds\n\tlret", : : : MEM);
    check_trap("RETF to ring 3 runs there", GP, SEL_DATA);
    TRY("pushl $0x10\n\tpushl $0\n\tpushl $0x1b\n\tpushl $ring3_ds\n\tlret", : : : MEM);
    check_trap("RETF to ring 3: SS of DPL 0", GP, SEL_DATA);
    TRY("pushl $0\n\tpushl $0\n\tpushl $0x1b\n\tpushl $ring3_ds\n\tlret", : : : MEM);
    check_trap("RETF to ring 3: SS null", GP, 0);
}

CODE(ring3_conf, "lcall $0x90, $1f\n1:\tint $0x80");
CODE(ring3_flags, "pushf\n\tpop %eax\n\txor $0x3200, %eax\n\tpush %eax\n\tpopf\n\tpushf\n\tpop %ebx\n\tint $0x80");
CODE(ring3_cli, "cli\n\tint $0x80");
CODE(ring3_hlt, "hlt");
CODE(ring3_cr0, "mov %cr0, %eax");
CODE(ring3_clts, "clts");
CODE(ring3_rdmsr, "rdmsr");
CODE(ring3_lgdt, "lgdt 0x500");
CODE(ring3_in, "in $0x61, %al\n\tint $0x80");
CODE(ring3_in_w, "mov $0x8f, %edx\n\tin %dx, %ax\n\tint $0x80");
CODE(ring3_smsw, "smsw %eax\n\tint $0x80");
CODE(ring3_int21, "int $0x21");
CODE(ring3_ltr, "ltr %ax");
CODE(ring3_invlpg, "invlpg 0");
CODE(ring3_dr, "mov %dr7, %eax");
CODE(ring3_rdtsc, "rdtsc\n\tint $0x80");
CODE(ring3_sgdt, "sgdt -16(%esp)\n\tint $0x80");
CODE(ring3_str, "str %eax\n\tint $0x80");

static void test_ring3(void)
{
    static const struct { const u8 *code; const char *name; } privileged[] = {
        { ring3_hlt, "ring 3 HLT" }, { ring3_cr0, "ring 3 MOV from CR0" }, { ring3_clts, "ring 3 CLTS" },
        { ring3_rdmsr, "ring 3 RDMSR" }, { ring3_lgdt, "ring 3 LGDT" }, { ring3_ltr, "ring 3 LTR" },
        { ring3_invlpg, "ring 3 INVLPG" }, { ring3_dr, "ring 3 MOV from DR7" },
        { ring3_cli, "ring 3 CLI, IOPL 0" }, { ring3_in, "ring 3 IN, no bitmap" },
    };

    for (u32 i = 0; i < sizeof(privileged) / sizeof(*privileged); i++) {
        in_ring3(privileged[i].code);
        check_trap(privileged[i].name, GP, 0);
    }
    in_ring3(ring3_int21);
    check_trap("ring 3 INT through a DPL 0 gate", GP, 0x21 * 8 + 2);
    check("its IP is the instruction", trap.ip, (u32)ring3_int21);
    gdt_set(SEL_SCRATCH, 0, 0xfffff, 0xc09e);
    in_ring3(ring3_conf);
    check_trap("ring 3 calls conforming DPL 0 code", LEAVE_VEC, 0);
    check("CPL stays 3 in conforming code", trap.cs, SEL_SCRATCH | 3);
    in_ring3(ring3_flags);
    check("ring 3 POPF changes neither IOPL nor IF", trap.frame.bx & 0x3200, 0);
    trap_arm();
    user_run((u32)ring3_flags, (u32)stack3_top, 0x3002, SEL_UCODE32, SEL_UDATA);
    check("ring 3 POPF, IOPL 3: IF but not IOPL", trap.frame.bx & 0x3200, 0x3200);
    trap_arm();
    user_run((u32)ring3_cli, (u32)stack3_top, 0x3202, SEL_UCODE32, SEL_UDATA);
    check_trap("ring 3 CLI, IOPL 3", LEAVE_VEC, 0);
    check("its IF", trap.flags & FL_IF, 0);
    tss.iomap = 104 + 32;
    bytes_set(tss.io, 0xff, sizeof(tss.io));
    tss.io[0x61 / 8] &= ~(1 << (0x61 & 7));
    in_ring3(ring3_in);
    check_trap("I/O bitmap allows", LEAVE_VEC, 0);
    tss.io[0x8f / 8] &= ~(1 << (0x8f & 7));
    in_ring3(ring3_in_w);
    check_trap("I/O bitmap: a word needs both bits", GP, 0);
    tss.io[0x90 / 8] &= ~1;
    in_ring3(ring3_in_w);
    check_trap("I/O bitmap: word across bitmap bytes", LEAVE_VEC, 0);
    tss.iomap = sizeof(tss);
    in_ring3(ring3_in);
    check_trap("I/O bitmap beyond the TSS limit", GP, 0);
    in_ring3(ring3_smsw);
    check_trap("ring 3 SMSW without UMIP", LEAVE_VEC, 0);
    in_ring3(ring3_rdtsc);
    check_trap("ring 3 RDTSC", LEAVE_VEC, 0);
    write_cr4(read_cr4() | CR4_TSD);
    in_ring3(ring3_rdtsc);
    check_trap("ring 3 RDTSC with TSD", GP, 0);
    write_cr4(read_cr4() & ~CR4_TSD);
    if (cpuid(0, 0).a < 7 || !(cpuid(7, 0).c & 4)) {
        skip("UMIP", "CPUID does not offer it");
        return;
    }
    write_cr4(read_cr4() | CR4_UMIP);
    in_ring3(ring3_smsw);
    check_trap("UMIP: SMSW", GP, 0);
    in_ring3(ring3_sgdt);
    check_trap("UMIP: SGDT", GP, 0);
    in_ring3(ring3_str);
    check_trap("UMIP: STR", GP, 0);
    TRY("smsw %%eax", : : : "eax", MEM);
    check_trap("UMIP: ring 0 may", -1, 0);
    write_cr4(read_cr4() & ~CR4_UMIP);
}

CODE(ring3_keep, "mov %ds, %eax\n\tmov %es, %ebx\n\tint $0x80");

static void test_iret_segments(void)
{
    /* SDM vol. 2 IRET: to an outer ring, data segments of lower DPL become null */
    trap_arm();
    TRY("pushl $0x23\n\tpushl %0\n\tpushl $2\n\tpushl $0x1b\n\tpushl $ring3_keep\n\tmov %1, %%eax\n\tmov %%eax, %%es\n\tmov %2, %%eax\n\tmov %%eax, %%ds\n\tiret",
        : : "r"(stack3_top), "i"(SEL_DATA), "i"(SEL_UDATA) : "eax", MEM);
    check("IRET to ring 3 keeps DPL 3 DS", trap.frame.ax & 0xffff, SEL_UDATA);
    check("IRET to ring 3 nulls DPL 0 ES", trap.frame.bx & 0xffff, 0);
    TRY("pushl $0x23\n\tpushl $0\n\tpushl $2\n\tpushl $0x18\n\tpushl $0\n\tiret", : : : MEM);
    check_trap("IRET: CS with RPL 0 and DPL 3", GP, 0x18);
    TRY("pushl $0x23\n\tpushl $0\n\tpushl $2\n\tpushl $0x53\n\tpushl $0\n\tiret", : : : MEM);
    check_trap("IRET: CS is a TSS", GP, 0x50);
}

void test_prot_seg(void);
void test_prot_seg(void)
{
    test_loads();
    test_limits();
    test_stack();
    test_verify();
    test_far();
    test_ring3();
    test_iret_segments();
    load_fs(SEL_DATA);
}
