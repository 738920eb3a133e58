/*
 * kvm-state.c - a vCPU's state from and to KVM; the guest's TSC under KVM
 */
#include <stdlib.h>
#include "accel/kvm-int.h"
#include "hw/intc/intc.h"

enum { MSR_TSC = 0x10, MSR_MTRR_VAR = 0x200, MTRR_VARS = 16, X86_SHADOW_STI = 1, X86_SHADOW_SS = 2 };

/* ---- MSRs ------------------------------------------------------------------------------- */

bool kvm_get_msr(const struct kvm_cpu *k, uint32_t msr, uint64_t *v)
{
    struct { struct kvm_msrs h; struct kvm_msr_entry e[1]; } m = { .h.nmsrs = 1, .e[0].index = msr };
    bool ok = kvm_ioctl(k->fd, KVM_GET_MSRS, &m) == 1;

    *v = m.e[0].data;
    return ok;
}

bool kvm_set_msr(const struct kvm_cpu *k, uint32_t msr, uint64_t v)
{
    struct { struct kvm_msrs h; struct kvm_msr_entry e[1]; } m = { .h.nmsrs = 1,
                                                                   .e[0] = { .index = msr, .data = v } };

    return kvm_ioctl(k->fd, KVM_SET_MSRS, &m) == 1;
}

static uint32_t mtrr_fix_number(unsigned i)
{
    return i == 0 ? 0x250 : i < 3 ? 0x258 + i - 1 : 0x268 + i - 3;
}

/* What KVM does not keep, the translator's struct does: the guest's accesses to
 * such MSRs come out (kvm-exit.c). */
void kvm_state_init(struct kvm *k)
{
    const struct kvm_cpu *k0 = &k->cpus[0];
    struct kvm_device_attr attr = { .group = KVM_VCPU_TSC_CTRL, .attr = KVM_VCPU_TSC_OFFSET };
    uint64_t v;

    for (unsigned i = 0; i < ST_MSRS; i++)
        k->msr_known[i] = kvm_get_msr(k0, x86_state_msr_number(i), &v)
                          && kvm_set_msr(k0, x86_state_msr_number(i), v);
    k->mtrrs_known = kvm_get_msr(k0, MSR_MTRR_VAR, &v) && kvm_set_msr(k0, MSR_MTRR_VAR, v);
    k->tsc_offset = kvm_ioctl(k0->fd, KVM_HAS_DEVICE_ATTR, &attr) == 0;
}

static void get_msrs(const struct kvm_cpu *k, struct x86_state *s)
{
    const struct kvm *vm = k->c->a->kvm;

    for (unsigned i = 0; i < ST_MSRS; i++)
        if (vm->msr_known[i])
            kvm_get_msr(k, x86_state_msr_number(i), &s->msr[i]);
    if (!vm->mtrrs_known)
        return;
    for (unsigned i = 0; i < ARRAY_SIZE(s->mtrr_fix); i++)
        kvm_get_msr(k, mtrr_fix_number(i), &s->mtrr_fix[i]);
    for (unsigned i = 0; i < MTRR_VARS; i++)
        kvm_get_msr(k, MSR_MTRR_VAR + i, &s->mtrr_var[i]);
}

static void put_msrs(const struct kvm_cpu *k, const struct x86_state *s)
{
    const struct kvm *vm = k->c->a->kvm;

    for (unsigned i = 0; i < ST_MSRS; i++)
        if (vm->msr_known[i] && !kvm_set_msr(k, x86_state_msr_number(i), s->msr[i]))
            log_ev(LOG_UNIMP, "kvm: cpu=%u msr=%#x val=%#llx refused", k->c->vcpu.index,
                   x86_state_msr_number(i), (unsigned long long)s->msr[i]);
    if (!vm->mtrrs_known)
        return;
    for (unsigned i = 0; i < ARRAY_SIZE(s->mtrr_fix); i++)
        kvm_set_msr(k, mtrr_fix_number(i), s->mtrr_fix[i]);
    for (unsigned i = 0; i < MTRR_VARS; i++)
        kvm_set_msr(k, MSR_MTRR_VAR + i, s->mtrr_var[i]);
}

/* ---- the guest's TSC ------------------------------------------------------------------------ */

static bool tsc_attr(const struct kvm_cpu *k, unsigned long request, uint64_t *offset)
{
    struct kvm_device_attr attr = { .group = KVM_VCPU_TSC_CTRL, .attr = KVM_VCPU_TSC_OFFSET,
                                    .addr = (uintptr_t)offset };

    return kvm_ioctl(k->fd, request, &attr) == 0;
}

/* What this vCPU's TSC has more than the machine's, the guest's adjustment included. */
static uint64_t tsc_extra(const struct kvm_cpu *k)
{
    const struct kvm *vm = k->c->a->kvm;
    uint64_t v = 0;

    if (vm->tsc_offset && tsc_attr(k, KVM_GET_DEVICE_ATTR, &v))
        return v + vm->tsc_base;
    kvm_get_msr(k, MSR_TSC, &v);
    return v - (accel_host_tsc() - vm->tsc_base);
}

static void set_tsc_extra(const struct kvm_cpu *k, uint64_t extra)
{
    const struct kvm *vm = k->c->a->kvm;
    uint64_t offset = extra - vm->tsc_base;

    if (!vm->tsc_offset || !tsc_attr(k, KVM_SET_DEVICE_ATTR, &offset))
        kvm_set_msr(k, MSR_TSC, accel_host_tsc() + offset);
}

void kvm_before_run(struct accel *a)
{
    struct kvm *k = a->kvm;
    struct kvm_clock_data clock = { .flags = 0 };
    uint64_t *extra;

    if (!a->tsc_running || a->tsc_base == k->tsc_base)
        return;
    extra = xmalloc(a->n_cpus * sizeof *extra);
    for (unsigned i = 0; i < a->n_cpus; i++)
        extra[i] = tsc_extra(&k->cpus[i]);
    k->tsc_base = a->tsc_base;
    clock.clock = x86_pv_ns(&a->model, accel_tsc(a));
    kvm_ioctl(k->vm_fd, KVM_SET_CLOCK, &clock);
    for (unsigned i = 0; i < a->n_cpus; i++)
        set_tsc_extra(&k->cpus[i], extra[i]);
    free(extra);
}

/* ---- segments, control registers --------------------------------------------------------------- */

static void seg_from_kvm(struct x86_seg *s, const struct kvm_segment *k)
{
    *s = (struct x86_seg){ .sel = k->selector, .base = k->base, .limit = k->limit };
    s->attr = (uint16_t)(k->dpl << SEG_DPL_SHIFT);
    if (!k->unusable)
        s->attr |= (uint16_t)(k->type | (k->s ? SEG_S : 0) | (k->present ? SEG_P : 0) | k->avl << 12
                              | (k->l ? SEG_L : 0) | (k->db ? SEG_DB : 0) | (k->g ? SEG_G : 0));
}

static void seg_to_kvm(struct kvm_segment *k, const struct x86_seg *s)
{
    *k = (struct kvm_segment){
        .selector = s->sel, .base = s->base, .limit = s->limit, .type = s->attr & SEG_TYPE,
        .s = !!(s->attr & SEG_S), .dpl = s->attr >> SEG_DPL_SHIFT & 3, .present = !!(s->attr & SEG_P),
        .avl = s->attr >> 12 & 1, .l = !!(s->attr & SEG_L), .db = !!(s->attr & SEG_DB),
        .g = !!(s->attr & SEG_G), .unusable = !(s->attr & SEG_P),
    };
}

#define SEGS(DO) DO(S_ES, es) DO(S_CS, cs) DO(S_SS, ss) DO(S_DS, ds) DO(S_FS, fs) DO(S_GS, gs)

static int get_sregs(const struct kvm_cpu *k, struct x86_state *s)
{
    bool v2 = k->c->a->kvm->sregs2;
    struct kvm_sregs2 r = { .flags = 0 };
    struct kvm_sregs old;
    int ret = v2 ? kvm_ioctl(k->fd, KVM_GET_SREGS2, &r) : kvm_ioctl(k->fd, KVM_GET_SREGS, &old);

    if (ret < 0)
        return ret;
    if (!v2)
        memcpy(&r, &old, offsetof(struct kvm_sregs2, flags));   /* the same up to there */
#define DO(i, name) seg_from_kvm(&s->seg[i], &r.name);
    SEGS(DO)
#undef DO
    seg_from_kvm(&s->ldt, &r.ldt);
    seg_from_kvm(&s->tr, &r.tr);
    s->gdt = (struct x86_dtr){ r.gdt.base, r.gdt.limit };
    s->idt = (struct x86_dtr){ r.idt.base, r.idt.limit };
    s->cr0 = r.cr0, s->cr2 = r.cr2, s->cr3 = r.cr3, s->cr4 = r.cr4, s->cr8 = r.cr8;
    s->efer = r.efer;
    s->apic_base = r.apic_base;
    if (r.flags & KVM_SREGS2_FLAGS_PDPTRS_VALID)
        memcpy(s->pdpte, r.pdptrs, sizeof s->pdpte);
    return 0;
}

static bool pae_paging(const struct x86_state *s)
{
    return (s->cr0 & CR0_PG) && (s->cr4 & CR4_PAE) && !(s->efer & EFER_LMA);
}

static int put_sregs(const struct kvm_cpu *k, const struct x86_state *s)
{
    struct kvm_sregs2 r = { .flags = pae_paging(s) ? KVM_SREGS2_FLAGS_PDPTRS_VALID : 0 };
    struct kvm_sregs old = { .cr0 = 0 };

#define DO(i, name) seg_to_kvm(&r.name, &s->seg[i]);
    SEGS(DO)
#undef DO
    seg_to_kvm(&r.ldt, &s->ldt);
    seg_to_kvm(&r.tr, &s->tr);
    r.gdt = (struct kvm_dtable){ .base = s->gdt.base, .limit = s->gdt.limit };
    r.idt = (struct kvm_dtable){ .base = s->idt.base, .limit = s->idt.limit };
    r.cr0 = s->cr0, r.cr2 = s->cr2, r.cr3 = s->cr3, r.cr4 = s->cr4, r.cr8 = s->cr8;
    r.efer = s->efer;
    r.apic_base = s->apic_base;
    memcpy(r.pdptrs, s->pdpte, sizeof r.pdptrs);
    if (k->c->a->kvm->sregs2)
        return kvm_ioctl(k->fd, KVM_SET_SREGS2, &r);
    memcpy(&old, &r, offsetof(struct kvm_sregs2, flags));
    return kvm_ioctl(k->fd, KVM_SET_SREGS, &old);
}

/* KVM's order of the general registers. */
static uint64_t *gpr_of(struct kvm_regs *r, unsigned i)
{
    __u64 *const at[16] = { &r->rax, &r->rcx, &r->rdx, &r->rbx, &r->rsp, &r->rbp, &r->rsi, &r->rdi,
                            &r->r8, &r->r9, &r->r10, &r->r11, &r->r12, &r->r13, &r->r14, &r->r15 };

    return (uint64_t *)at[i];
}

static int get_regs(const struct kvm_cpu *k, struct x86_state *s)
{
    struct kvm_regs r;
    int ret = kvm_ioctl(k->fd, KVM_GET_REGS, &r);

    for (unsigned i = 0; ret == 0 && i < 16; i++)
        s->gpr[i] = *gpr_of(&r, i);
    s->rip = r.rip;
    s->rflags = r.rflags;
    return ret;
}

static int put_regs(const struct kvm_cpu *k, const struct x86_state *s)
{
    struct kvm_regs r = { .rip = s->rip, .rflags = s->rflags };

    for (unsigned i = 0; i < 16; i++)
        *gpr_of(&r, i) = s->gpr[i];
    return kvm_ioctl(k->fd, KVM_SET_REGS, &r);
}

/* ---- vector state, debug registers ---------------------------------------------------------------- */

static int get_fpu(const struct kvm_cpu *k, struct x86_state *s)
{
    const struct kvm *vm = k->c->a->kvm;
    uint8_t *img = xzalloc(vm->xsave_bytes);
    struct kvm_xcrs x = { .nr_xcrs = 0 };
    int ret = kvm_ioctl(k->fd, vm->xsave2 ? KVM_GET_XSAVE2 : KVM_GET_XSAVE, img);

    memcpy(s->xsave, img, MIN(vm->xsave_bytes, sizeof s->xsave));
    free(img);
    s->xcr0 = 1;
    if (kvm_ioctl(k->fd, KVM_GET_XCRS, &x) == 0 && x.nr_xcrs)
        s->xcr0 = x.xcrs[0].value;
    return ret;
}

static int put_fpu(const struct kvm_cpu *k, const struct x86_state *s)
{
    const struct kvm *vm = k->c->a->kvm;
    uint8_t *img = xzalloc(vm->xsave_bytes);
    struct kvm_xcrs x = { .nr_xcrs = 1, .xcrs[0].value = s->xcr0 };
    uint64_t legacy = 3;
    int ret;

    memcpy(img, s->xsave, MIN(vm->xsave_bytes, sizeof s->xsave));
    if (!(k->c->a->model.feat[FEAT_1_ECX] >> 26 & 1))
        memcpy(img + 512, &legacy, sizeof legacy);   /* no more than x87 and SSE without XSAVE */
    else
        kvm_ioctl(k->fd, KVM_SET_XCRS, &x);
    ret = kvm_ioctl(k->fd, KVM_SET_XSAVE, img);
    free(img);
    return ret;
}

static int get_debugregs(const struct kvm_cpu *k, struct x86_state *s)
{
    struct kvm_debugregs d;
    int ret = kvm_ioctl(k->fd, KVM_GET_DEBUGREGS, &d);

    for (unsigned i = 0; i < 4; i++)
        s->dr[i] = d.db[i];
    s->dr[6] = d.dr6;
    s->dr[7] = d.dr7;
    return ret;
}

static int put_debugregs(const struct kvm_cpu *k, const struct x86_state *s)
{
    struct kvm_debugregs d = { .dr6 = s->dr[6], .dr7 = s->dr[7] };

    for (unsigned i = 0; i < 4; i++)
        d.db[i] = s->dr[i];
    return kvm_ioctl(k->fd, KVM_SET_DEBUGREGS, &d);
}

/* ---- events ------------------------------------------------------------------------------------------ */

static const uint32_t mp_kvm[] = { [MP_RUNNING] = KVM_MP_STATE_RUNNABLE, [MP_HALTED] = KVM_MP_STATE_HALTED,
                                   [MP_WAIT_SIPI] = KVM_MP_STATE_INIT_RECEIVED,
                                   [MP_SHUTDOWN] = KVM_MP_STATE_RUNNABLE };

static void get_mp(struct kvm_cpu *k, struct x86_state *s)
{
    struct kvm_mp_state m;

    s->mp = k->mp;
    if (k->c->a->kvm->irqchip == IRQCHIP_OFF || kvm_ioctl(k->fd, KVM_GET_MP_STATE, &m) < 0)
        return;
    if (m.mp_state == KVM_MP_STATE_HALTED)
        s->mp = MP_HALTED;
    else if (m.mp_state == KVM_MP_STATE_UNINITIALIZED || m.mp_state == KVM_MP_STATE_INIT_RECEIVED)
        s->mp = MP_WAIT_SIPI;
    else if (m.mp_state == KVM_MP_STATE_RUNNABLE && s->mp != MP_SHUTDOWN)
        s->mp = MP_RUNNING;
}

static void put_mp(struct kvm_cpu *k, const struct x86_state *s)
{
    struct kvm_mp_state m = { .mp_state = mp_kvm[s->mp] };

    k->mp = s->mp;
    if (k->c->a->kvm->irqchip != IRQCHIP_OFF)
        kvm_ioctl(k->fd, KVM_SET_MP_STATE, &m);
}

static int get_events(struct kvm_cpu *k, struct x86_state *s)
{
    struct kvm_vcpu_events v = { .flags = 0 };
    int ret = kvm_ioctl(k->fd, KVM_GET_VCPU_EVENTS, &v);

    if (ret < 0)
        return ret;
    s->shadow = v.interrupt.shadow;
    s->shadow_ss = v.interrupt.shadow & X86_SHADOW_SS;
    s->nmi_blocked = v.nmi.masked;
    s->nmi_pending = v.nmi.pending || v.nmi.injected;
    if (v.nmi.injected)
        s->nmi_blocked = false;      /* it is delivered again */
    s->irq_pending = v.interrupt.injected && !v.interrupt.soft;
    s->irq_vector = v.interrupt.nr;
    s->exc_pending = v.exception.injected || v.exception.pending;
    s->exc_vector = v.exception.nr;
    s->exc_has_error = v.exception.has_error_code;
    s->exc_error = v.exception.error_code;
    if (v.exception.nr == EXC_PF)    /* without a payload it is in CR2 already */
        s->exc_payload = s->cr2;
    if (v.exception_has_payload)
        s->exc_payload = v.exception_payload;
    return 0;
}

static int put_events(struct kvm_cpu *k, const struct x86_state *s)
{
    bool payload = k->c->a->kvm->payload;
    struct kvm_vcpu_events v = {
        .interrupt = { .injected = s->irq_pending, .nr = s->irq_vector,
                       .shadow = s->shadow_ss ? X86_SHADOW_SS : s->shadow ? X86_SHADOW_STI : 0 },
        .nmi = { .pending = s->nmi_pending, .masked = s->nmi_blocked },
        .exception = { .nr = s->exc_vector, .has_error_code = s->exc_has_error,
                       .error_code = s->exc_error, .pending = s->exc_pending && payload,
                       .injected = s->exc_pending && !payload },
        .exception_has_payload = s->exc_pending && payload
                                 && (s->exc_vector == EXC_PF || s->exc_vector == EXC_DB),
        .exception_payload = s->exc_payload,
        .flags = KVM_VCPUEVENT_VALID_NMI_PENDING | KVM_VCPUEVENT_VALID_SHADOW
                 | (payload ? KVM_VCPUEVENT_VALID_PAYLOAD : 0),
    };

    return kvm_ioctl(k->fd, KVM_SET_VCPU_EVENTS, &v);
}

/* ---- all of it --------------------------------------------------------------------------------------- */

int kvm_get_state(struct accel_cpu *c, struct x86_state *s, struct err *e)
{
    struct kvm_cpu *k = kvm_of(c);
    const char *what = "registers";
    int ret;

    x86_state_get(c->cpu, s);        /* what KVM does not keep */
    s->irq_pending = s->nmi_pending = s->exc_pending = false;
    ret = get_regs(k, s);
    if (ret >= 0 && (what = "system registers"))
        ret = get_sregs(k, s);
    if (ret >= 0 && (what = "vector state"))
        ret = get_fpu(k, s);
    if (ret >= 0 && (what = "debug registers"))
        ret = get_debugregs(k, s);
    if (ret >= 0 && (what = "events"))
        ret = get_events(k, s);
    if (ret < 0)
        return err_set(e, ret, "kvm: vCPU %u: reading its %s: %s", c->vcpu.index, what, strerror(-ret));
    get_msrs(k, s);
    s->tsc_offset = tsc_extra(k) - s->msr[ST_TSC_ADJUST];
    get_mp(k, s);
    if (c->a->kvm->irqchip != IRQCHIP_OFF && c->vcpu.lapic)
        lapic_follow(c->vcpu.lapic, s->apic_base, (uint8_t)(s->cr8 << 4));
    return 0;
}

int kvm_put_state(struct accel_cpu *c, const struct x86_state *s, struct err *e)
{
    struct kvm_cpu *k = kvm_of(c);
    const char *what = "system registers";
    int ret = put_sregs(k, s);

    put_msrs(k, s);                  /* before registers: XSS */
    if (ret >= 0 && (what = "registers"))
        ret = put_regs(k, s);
    if (ret >= 0 && (what = "vector state"))
        ret = put_fpu(k, s);
    if (ret >= 0 && (what = "debug registers"))
        ret = put_debugregs(k, s);
    if (ret >= 0 && (what = "events"))
        ret = put_events(k, s);
    if (ret < 0)
        return err_set(e, ret, "kvm: vCPU %u: setting its %s: %s", c->vcpu.index, what, strerror(-ret));
    set_tsc_extra(k, s->tsc_offset + s->msr[ST_TSC_ADJUST]);
    put_mp(k, s);
    k->apic_base = s->apic_base;
    k->run->ready_for_interrupt_injection = 0;
    k->run->if_flag = !!(s->rflags & EF_IF);
    if (k->lapic_due)
        kvm_lapic_out(k);
    return 0;
}
