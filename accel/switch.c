/*
 * switch.c - a running machine from one accelerator to another
 *
 * The vCPUs stand still. Each one's state is read before anything is changed, and the
 * old implementation keeps it until the new one has taken all, so that a refusal
 * leaves the machine as it was.
 */
#include <stdlib.h>
#include "accel/accel-int.h"

static const struct accel_ops *find(const char *name)
{
    static const struct accel_ops *const all[] = { &accel_bt, &accel_kvm };

    for (size_t i = 0; i < ARRAY_SIZE(all); i++)
        if (!strcmp(name, all[i]->name) || (all[i]->alias && !strcmp(name, all[i]->alias)))
            return all[i];
    return NULL;
}

static int open_late(struct accel *a, const struct accel_ops *ops, struct err *e)
{
    int ret;

    if (ops == &accel_bt || a->kvm)
        return 0;
    ret = ops->probe(&a->opt, e);
    if (ret == 0)
        ret = accel_open(a, ops, e);
    if (ret < 0)
        accel_close(a, ops);
    else
        ops->map_changed(a);
    return ret;
}

static int read_all(struct accel *a, struct x86_state *s, struct err *e)
{
    int ret = 0;

    for (unsigned i = 0; ret == 0 && i < a->n_cpus; i++) {
        struct accel_cpu *c = a->cpus[i];

        if (a->ops != &accel_bt && c->view == VIEW_NEWER)
            x86_state_get(c->cpu, &s[i]);      /* the debugger's changes, or a reset */
        else
            ret = a->ops->get_state(c, &s[i], e);
    }
    return ret;
}

static int put_all(struct accel *a, const struct accel_ops *ops, const struct x86_state *s, struct err *e)
{
    int ret = 0;

    for (unsigned i = 0; ret == 0 && i < a->n_cpus; i++)
        ret = ops->put_state(a->cpus[i], &s[i], e);
    return ret;
}

static int hand_over(struct accel *a, const struct accel_ops *ops, const struct x86_state *s,
                     struct err *e)
{
    const struct accel_ops *old = a->ops;
    int ret;

    if (old->choose_irqchip)
        old->choose_irqchip(a, false);
    if (ops->choose_irqchip)
        ops->choose_irqchip(a, true);
    ret = put_all(a, ops, s, e);
    if (ret == 0)
        return 0;
    if (ops->choose_irqchip)
        ops->choose_irqchip(a, false);
    if (old->choose_irqchip)
        old->choose_irqchip(a, true);
    return ret;
}

int accel_switch(struct accel *a, const char *name, struct err *e)
{
    const struct accel_ops *ops = find(name), *old = a->ops;
    struct x86_state *s;
    int ret;

    if (!ops)
        return err_set(e, -EINVAL, "%s: unknown accelerator (tcg or kvm)", name);
    if (ops != old && a->opt.icount.on)
        return err_set(e, -ENOTSUP, "%s: instructions are counted (-icount)", name);
    if (ops != old && accel_traces(a))
        return err_set(e, -ENOTSUP, "%s: a trace is being recorded", name);
    if (ops != old && (a->opt.verify.shared || a->opt.verify.kvm))
        return err_set(e, -ENOTSUP, "%s: what runs is being compared (-verify)", name);
    if (ops != old && !a->opt.switchable && (old == &accel_kvm ? a->model.pv : a->model.pv & ~(uint32_t)PV_MOVABLE))
        return err_set(e, -ENOTSUP, "%s: the guest may use paravirtual interfaces that cannot be moved (-accel %s,switch=on "
                       "or -cpu ...,kvm=off leave them out)", name, old->name);
    ret = open_late(a, ops, e);
    if (ret < 0)
        return ret;
    s = xmalloc(a->n_cpus * sizeof *s);
    machine_lock(a->m);
    if (a->ops->dirty_sync)
        accel_sync_dirty(a);
    ret = read_all(a, s, e);
    if (ret == 0 && ops == old)
        ret = put_all(a, ops, s, e);
    else if (ret == 0)
        ret = hand_over(a, ops, s, e);
    if (ret == 0) {
        if (ops != &accel_bt)
            ops->map_changed(a);
        __atomic_store_n(&a->ops, ops, __ATOMIC_RELEASE);
        a->switches += ops != old;
        for (unsigned i = 0; i < a->n_cpus; i++) {
            a->cpus[i]->view = VIEW_SAME;
            ops->debug_step(a->cpus[i], false);
        }
    }
    machine_unlock(a->m);
    free(s);
    return ret;
}
