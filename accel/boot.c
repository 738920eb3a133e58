/*
 * boot.c - the state in which a vCPU starts
 *
 * After reset the boot CPU begins at the reset vector, or, with a kernel given
 * on the command line, as its boot protocol wants it: flat segments 0x10 and
 * 0x18, interrupts off; Linux has RSI at boot_params, Multiboot a magic number
 * in EAX and EBX at its information.
 */
#include "accel/accel-int.h"

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

/*
 * Memory types as firmware sets them: everything write-back, except devices:
 * the VGA window, ROMs, and the hole below 4 GiB.
 * Source: Intel SDM vol. 3A, "Memory Type Range Registers (MTRRs)".
 */
static void set_mtrrs(struct x86_cpu *cpu, const struct machine *m)
{
    enum { UC = 0, WP = 5, WB = 6, MTRR_ON = 0xc00, MTRR_VALID = 0x800 };
    uint64_t hole = m->ram_low.len <= 2 * GiB ? 2 * GiB : 3 * GiB;
    uint64_t addr = BIT(cpu->model->phys_bits) - 1;

    if (!x86_has(cpu, FEAT_1_EDX, 12))
        return;
    cpu->mtrr_def = MTRR_ON | WB;
    for (unsigned i = 0; i < 11; i++)      /* 64 KiB, 16 KiB x 2, 4 KiB x 8 */
        cpu->mtrr_fix[i] = (i < 2 ? WB : i == 2 ? UC : WP) * 0x0101010101010101ull;
    cpu->mtrr_var[0] = hole | UC;
    cpu->mtrr_var[1] = (addr & ~(4 * GiB - hole - 1)) | MTRR_VALID;
}

static void enter_real_mode(struct x86_cpu *cpu, uint64_t at)
{
    x86_load_real_seg(cpu, S_CS, at >> 4);
    cpu->tcg.pc = cpu->tcg.pcbase = at & 15;
    cpu->tcg.pcoff = 0;
    x86_update_mode(cpu);
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
    GPR(cpu, R_AX) = b->eax;
    GPR(cpu, R_BX) = b->ebx;
    GPR(cpu, R_DX) = 0;
    GPR(cpu, R_SI) = b->rsi;
    GPR(cpu, R_SP) = b->rsp;
    cpu->tcg.pc = cpu->tcg.pcbase = b->rip;
    cpu->tcg.pcoff = 0;
    tcg_mmu_flush(&cpu->tcg, true);
    x86_update_mode(cpu);
}

void accel_cpu_start_state(struct accel_cpu *c)
{
    const struct boot_state *b = machine_boot_state(c->a->m);

    x86_reset(c->cpu, false);
    if (!b || !b->valid || c->vcpu.index != 0)
        return;
    if (b->real_mode)
        enter_real_mode(c->cpu, b->rip);
    else
        enter_kernel(c->cpu, b);
    set_mtrrs(c->cpu, c->a->m);
}
