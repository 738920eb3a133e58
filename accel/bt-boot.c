/*
 * bt-boot.c - the state in which a vCPU starts
 *
 * After reset the boot CPU begins at the reset vector, or, with a kernel given
 * on the command line, as the Linux boot protocol wants it: flat segments
 * 0x10 and 0x18, interrupts off, RSI at boot_params.
 */
#include "accel/bt-int.h"

enum { BOOT_CS = 0x10, BOOT_DS = 0x18 };
enum { TYPE_CODE = 0xb, TYPE_DATA = 3 };  /* accessed; readable code, writable data */

static void flat_segment(struct x86_seg *s, uint16_t sel, unsigned type, unsigned size_bit)
{
    *s = (struct x86_seg){ .sel = sel, .limit = 0xffffffff,
                           .attr = type | SEG_S | SEG_P | size_bit | SEG_G };
    x86_seg_derive(s, true);
}

static void flat_segments(struct x86_cpu *cpu, const struct boot_state *b)
{
    for (unsigned i = 0; i < S_COUNT; i++)
        flat_segment(&cpu->seg[i], BOOT_DS, TYPE_DATA, SEG_DB);
    flat_segment(&cpu->seg[S_CS], BOOT_CS, TYPE_CODE, b->long_mode ? SEG_L : SEG_DB);
    cpu->gdt = (struct x86_dtr){ b->gdt, b->gdt_limit };
}

static void enter_kernel(struct x86_cpu *cpu, const struct boot_state *b)
{
    cpu->cr0 = CR0_PE | CR0_ET;
    if (b->long_mode) {
        cpu->cr0 |= CR0_PG;
        cpu->cr4 = CR4_PAE;
        cpu->cr3 = b->cr3;
        cpu->efer = EFER_LME | EFER_LMA;
    }
    flat_segments(cpu, b);
    GPR(cpu, R_DX) = 0;
    GPR(cpu, R_SI) = b->rsi;
    GPR(cpu, R_SP) = b->rsp;
    cpu->tcg.pc = cpu->tcg.pcbase = b->rip;
    cpu->tcg.pcoff = 0;
    tcg_mmu_flush(&cpu->tcg, true);
    x86_update_mode(cpu);
}

void bt_cpu_start_state(struct bt_cpu *c)
{
    const struct boot_state *b = machine_boot_state(c->bt->m);

    x86_reset(c->cpu, false);
    if (b && b->valid && c->vcpu.index == 0)
        enter_kernel(c->cpu, b);
}
