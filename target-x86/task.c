/*
 * task.c - hardware task switches through 16- and 32-bit TSSs
 *
 * Source: Intel SDM vol. 3, chapter 7. Everything that can fault in the old
 * task's context comes first (both TSSs are touched); after commit() an
 * exception belongs to the new task.
 */
#include "target-x86/system-int.h"

enum { TSS32_LIMIT = 0x67, TSS16_LIMIT = 0x2b };

/** struct tss_layout - where a TSS keeps things; segments ES CS SS DS FS GS */
struct tss_layout {
    uint8_t size, cr3, ip, flags, regs, segs, seg_step, n_segs, ldt;
};
static const struct tss_layout layout32 = { 4, 0x1c, 0x20, 0x24, 0x28, 0x48, 4, 6, 0x60 };
static const struct tss_layout layout16 = { 2, 0, 0x0e, 0x10, 0x12, 0x22, 2, 4, 0x2a };

/** struct task_image - a task's dynamic state as its TSS holds it */
struct task_image {
    uint64_t ip, flags, regs[8], sel[S_COUNT], ldt, cr3, trap;
};

static const struct tss_layout *layout_of(unsigned type)
{
    return type & 8 ? &layout32 : &layout16;
}

bool x86_task_tss(struct x86_cpu *cpu, uint16_t sel, struct x86_desc *d)
{
    if (sel_null(sel) || (sel & 4))
        return x86_fault(cpu, EXC_GP, sel_err(sel));
    if (!x86_desc_read(cpu, sel, d, EXC_GP))
        return false;
    if (!desc_system(d) || (desc_type(d) != DT_TSS16 && desc_type(d) != DT_TSS32))
        return x86_fault(cpu, EXC_GP, sel_err(sel));  /* busy, or no TSS at all */
    return desc_present(d) || x86_fault(cpu, EXC_NP, sel_err(sel));
}

static uint64_t tss_at(uint64_t base, unsigned off)
{
    return (uint32_t)(base + off);
}

static bool load_image(struct x86_cpu *cpu, uint64_t base, const struct tss_layout *l,
                       struct task_image *im)
{
    bool ok = x86_sys_load(cpu, tss_at(base, l->ip), l->size, &im->ip) &&
              x86_sys_load(cpu, tss_at(base, l->flags), l->size, &im->flags) &&
              x86_sys_load(cpu, tss_at(base, l->ldt), 2, &im->ldt);

    for (unsigned i = 0; ok && i < 8; i++)
        ok = x86_sys_load(cpu, tss_at(base, l->regs + i * l->size), l->size, &im->regs[i]);
    for (unsigned i = 0; ok && i < l->n_segs; i++)
        ok = x86_sys_load(cpu, tss_at(base, l->segs + i * l->seg_step), 2, &im->sel[i]);
    if (ok && l->cr3)
        ok = x86_sys_load(cpu, tss_at(base, l->cr3), 4, &im->cr3) &&
             x86_sys_load(cpu, tss_at(base, 0x64), 2, &im->trap);
    return ok;
}

/** save_old() - registers of the outgoing task into its TSS */
static bool save_old(struct x86_cpu *cpu, uint32_t ef, uint64_t next_pc)
{
    const struct tss_layout *l = layout_of(cpu->tr.attr & SEG_TYPE);
    uint64_t base = cpu->tr.base;
    bool ok = x86_sys_store(cpu, tss_at(base, l->ip), l->size, next_pc) &&
              x86_sys_store(cpu, tss_at(base, l->flags), l->size, ef);

    for (unsigned i = 0; ok && i < 8; i++)
        ok = x86_sys_store(cpu, tss_at(base, l->regs + i * l->size), l->size, GPR(cpu, i));
    for (unsigned i = 0; ok && i < l->n_segs; i++)
        ok = x86_sys_store(cpu, tss_at(base, l->segs + i * l->seg_step), 2, cpu->seg[i].sel);
    return ok;
}

/** set_busy() - busy bit of the TSS descriptor that @sel names */
static bool set_busy(struct x86_cpu *cpu, uint16_t sel, bool busy)
{
    struct x86_desc d;

    if (!x86_desc_read(cpu, sel, &d, EXC_TS))
        return false;
    return x86_desc_set_type(cpu, &d, (desc_type(&d) & ~2u) | (busy ? 2 : 0));
}

/** update_links() - busy bits and back link as @why demands (SDM vol. 3 table 7-2) */
static bool update_links(struct x86_cpu *cpu, struct x86_desc *d, enum x86_task_reason why)
{
    if ((why == TASK_CALL || why == TASK_INT) &&
        !x86_sys_store(cpu, tss_at(d->base, 0), 2, cpu->tr.sel))
        return false;
    if ((why == TASK_JMP || why == TASK_IRET) && !set_busy(cpu, cpu->tr.sel, false))
        return false;
    return why == TASK_IRET || x86_desc_set_type(cpu, d, desc_type(d) | 2);
}

/** commit() - registers of the new task; segment registers hold selectors only so far */
static void commit(struct x86_cpu *cpu, uint16_t sel, const struct x86_desc *d,
                   const struct tss_layout *l, const struct task_image *im, uint32_t ef)
{
    x86_seg_fill(&cpu->tr, sel, d);
    cpu->tr.attr |= 2;
    cpu->cr0 |= CR0_TS;
    for (unsigned i = 0; i < 8; i++)
        GPR(cpu, i) = l->size == 4 ? im->regs[i] : (im->regs[i] & 0xffff) | 0xffff0000;
    for (unsigned i = 0; i < S_COUNT; i++)
        x86_seg_null(&cpu->seg[i], i < l->n_segs ? im->sel[i] : 0);
    x86_seg_null(&cpu->ldt, im->ldt);
    cpu->cpl = ef & EF_VM ? 3 : im->sel[S_CS] & 3;
    x86_set_pc(cpu, im->ip);
    x86_set_eflags(cpu, ef);
}

static bool load_ldt(struct x86_cpu *cpu, uint16_t sel)
{
    struct x86_desc d;

    if (sel_null(sel))
        return true;
    if (sel & 4)
        return x86_fault(cpu, EXC_TS, sel_err(sel));
    if (!x86_desc_read(cpu, sel, &d, EXC_TS))
        return false;
    if (!desc_system(&d) || desc_type(&d) != DT_LDT || !desc_present(&d))
        return x86_fault(cpu, EXC_TS, sel_err(sel));
    x86_seg_fill(&cpu->ldt, sel, &d);
    return true;
}

static bool load_cs(struct x86_cpu *cpu, uint16_t sel)
{
    struct x86_desc d;
    unsigned rpl = sel & 3;
    bool ok;

    if (sel_null(sel))
        return x86_fault(cpu, EXC_TS, sel_err(sel));
    if (!x86_desc_read(cpu, sel, &d, EXC_TS))
        return false;
    ok = desc_code(&d) && (desc_conforming(&d) ? desc_dpl(&d) <= rpl : desc_dpl(&d) == rpl);
    if (!ok)
        return x86_fault(cpu, EXC_TS, sel_err(sel));
    if (!desc_present(&d))
        return x86_fault(cpu, EXC_NP, sel_err(sel));
    if (!x86_desc_accessed(cpu, &d))
        return false;
    x86_seg_fill(&cpu->seg[S_CS], sel, &d);
    return true;
}

/** load_ss() - unlike elsewhere presence comes before privilege (SDM vol. 3 table 7-1) */
static bool load_ss(struct x86_cpu *cpu, uint16_t sel)
{
    struct x86_desc d;

    if (sel_null(sel))
        return x86_fault(cpu, EXC_TS, 0);
    if (!x86_desc_read(cpu, sel, &d, EXC_TS))
        return false;
    if (desc_writable_data(&d) && !desc_present(&d))
        return x86_fault(cpu, EXC_SS, sel_err(sel));
    if (!x86_check_stack(cpu, sel, &d, cpu->cpl, EXC_TS) || !x86_desc_accessed(cpu, &d))
        return false;
    x86_seg_fill(&cpu->seg[S_SS], sel, &d);
    return true;
}

/** load_segments() - the new task's segments, checked in its own context (#TS, #NP, #SS) */
static bool load_segments(struct x86_cpu *cpu, const struct tss_layout *l, const struct task_image *im)
{
    static const uint8_t data[] = { S_ES, S_DS, S_FS, S_GS };

    if (x86_vm86(cpu)) {
        for (unsigned i = 0; i < S_COUNT; i++)
            x86_load_real_seg(cpu, i, im->sel[i]);
        return true;
    }
    if (!load_cs(cpu, im->sel[S_CS]) || !load_ss(cpu, im->sel[S_SS]))
        return false;
    for (unsigned i = 0; i < ARRAY_SIZE(data); i++)
        if (data[i] < l->n_segs && !x86_load_data_seg(cpu, data[i], im->sel[data[i]], EXC_TS))
            return false;
    return true;
}

/** new_cr3() - PAE page-directory pointers are checked in the new task */
static bool new_cr3(struct x86_cpu *cpu, const struct tss_layout *l, uint64_t cr3)
{
    if (!l->cr3 || !(cpu->cr0 & CR0_PG))
        return true;
    return x86_set_cr3(cpu, cr3);
}

bool x86_task_switch(struct x86_cpu *cpu, uint16_t sel, struct x86_desc *d,
                     enum x86_task_reason why, uint64_t next_pc)
{
    const struct tss_layout *l = layout_of(desc_type(d));
    struct task_image im = { 0 };
    uint32_t ef = x86_get_eflags(cpu);

    log_ev(LOG_PCALL, "task why=%d old=%#x new=%#x", why, cpu->tr.sel, sel);
    if (d->limit < (l->size == 4 ? TSS32_LIMIT : TSS16_LIMIT))
        return x86_fault(cpu, EXC_TS, sel_err(sel));
    if (!load_image(cpu, d->base, l, &im))
        return false;
    if (why == TASK_IRET)
        ef &= ~(uint32_t)EF_NT;
    if (!save_old(cpu, ef, next_pc) || !update_links(cpu, d, why))
        return false;
    ef = im.flags | (why == TASK_CALL || why == TASK_INT ? EF_NT : 0);
    commit(cpu, sel, d, l, &im, ef);
    if (!new_cr3(cpu, l, im.cr3) || !load_ldt(cpu, im.ldt) || !load_segments(cpu, l, &im)) {
        x86_update_mode(cpu);
        return false;
    }
    x86_update_mode(cpu);
    if (!x86_code_limit(cpu, &cpu->seg[S_CS], im.ip))
        return false;
    if (im.trap & 1) {                   /* T: #DB before the task's first instruction */
        cpu->tf_trap = true;
        cpu->trap_dr6 |= DR6_BT;
        tcg_kick(&cpu->tcg);
    }
    return true;
}
