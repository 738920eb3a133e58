/* A vCPU's state through the common form: all of it comes back */
#include "accel/state.h"
#include "tests/target-x86/sys-rig.h"

static uint64_t seed;

static uint64_t some(void)
{
    seed = seed * 6364136223846793005ull + 1442695040888963407ull;
    return seed ^ seed >> 31;
}

static void some_bytes(void *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        ((uint8_t *)p)[i] = (uint8_t)(some() >> 24);
}

/* Whatever a guest may have there, beside the mode that the rig has set up. */
static void scramble(struct x86_cpu *cpu)
{
    some_bytes(cpu->tcg.regs, sizeof(cpu->tcg.regs));
    x86_set_eflags(cpu, (uint32_t)some() & (EF_ARITH | EF_DF | EF_IF | EF_ID | EF_NT));
    cpu->cr2 = some();
    some_bytes(cpu->fx.xmm, sizeof(cpu->fx.xmm));
    for (unsigned i = 0; i < 8; i++)
        some_bytes(cpu->fx.st[i], 10);
    some_bytes(cpu->ymmh, sizeof(cpu->ymmh));
    some_bytes(&cpu->z, sizeof(cpu->z));
    cpu->tcg.zmmh_live = cpu->tcg.hi16_live = 1;
    cpu->fx.fsw = (uint16_t)(some() & 0x3800);
    cpu->fx.ftw = (uint8_t)some();
    cpu->fx.mxcsr = 0x1f80 | (some() & 0x3f);
    some_bytes(cpu->dr, 4 * sizeof(cpu->dr[0]));
    cpu->star = some();
    cpu->kernel_gs_base = cpu->lstar = (uint32_t)some();
    cpu->tsc_adjust = some();
    cpu->tsc_offset = some();
    some_bytes(cpu->mtrr_fix, sizeof(cpu->mtrr_fix));
    cpu->pkru = (uint32_t)some();
    cpu->nmi_blocked = some() & 1;
    cpu->shadow = cpu->shadow_ss = some() & 1;
    cpu->halted = some() & 1;
    cpu->tf_trap = some() & 1;
    cpu->trap_dr6 = cpu->tf_trap ? 1 << 14 : 0;
}

static void there_and_back(struct sys_rig *r)
{
    static struct x86_state a, b;
    uint32_t mode;

    for (seed = 1; seed < 50; seed++) {
        uint64_t keep = seed;

        scramble(r->cpu);
        x86_update_mode(r->cpu);
        mode = r->cpu->mode;
        x86_state_get(r->cpu, &a);
        x86_reset(r->cpu, false);
        some_bytes(r->cpu->fx.xmm, sizeof(r->cpu->fx.xmm));
        x86_state_put(r->cpu, &a);
        cr_assert_eq(r->cpu->mode, mode, "%#x, not %#x", r->cpu->mode, mode);
        x86_state_get(r->cpu, &b);
        for (size_t i = 0; i < sizeof(a); i++)
            cr_assert_eq(((uint8_t *)&a)[i], ((uint8_t *)&b)[i], "byte %zu of the state differs", i);
        seed = keep;
    }
    sr_free(r);
}

Test(state, real_mode) { there_and_back(sr_real()); }
Test(state, protected_mode) { there_and_back(sr_protected()); }
Test(state, long_mode) { there_and_back(sr_long()); }

Test(state, the_privilege_comes_back)
{
    static struct x86_state s;
    struct sys_rig *r = sr_long();

    sr_cpl(r, 3);
    x86_state_get(r->cpu, &s);
    x86_reset(r->cpu, false);
    x86_state_put(r->cpu, &s);
    cr_assert_eq(r->cpu->cpl, 3);
    cr_assert(r->cpu->mode & MODE_CPL3);
    sr_free(r);
}
