/*
 * kvm.c - KVM as an accelerator: the virtual machine, its vCPUs, running them
 */
#define _GNU_SOURCE 1
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>
#include "accel/kvm-int.h"

#define KICK_SIGNAL SIGUSR1

int kvm_ioctl(int fd, unsigned long request, void *arg)
{
    int ret = ioctl(fd, request, arg);

    return ret < 0 ? -errno : ret;
}

#define FORCED_LACK "TRANSOM_KVM_LACKS"

/* For tests: the capabilities in TRANSOM_KVM_LACKS, numbers with commas, count as missing. */
static bool forced_away(int cap)
{
    const char *s = getenv(FORCED_LACK);

    for (char *end; s && *s; s = *end == ',' ? end + 1 : "")
        if (strtol(s, &end, 10) == cap)
            return true;
    return false;
}

static int check_cap(int fd, int cap)
{
    return forced_away(cap) ? 0 : MAX(kvm_ioctl(fd, KVM_CHECK_EXTENSION, (void *)(uintptr_t)cap), 0);
}

int kvm_cap(const struct kvm *k, int cap)
{
    return check_cap(k->vm_fd, cap);
}

/* ---- running ---------------------------------------------------------------------------- */

/* The lines are set before immediate_exit, which run() clears before it looks at them. */
static void kick(struct accel_cpu *c)
{
    struct kvm_cpu *k = kvm_of(c);

    if (accel_self(c))
        return;
    __atomic_store_n(&k->run->immediate_exit, 1, __ATOMIC_SEQ_CST);
    if (__atomic_load_n(&k->in_run, __ATOMIC_SEQ_CST))
        pthread_kill(c->thread, KICK_SIGNAL);
}

static void on_kick(int sig)
{
}

static void catch_kicks(struct kvm_cpu *k)
{
    sigset_t set;

    if (k->unmasked)
        return;
    sigemptyset(&set);
    sigaddset(&set, KICK_SIGNAL);
    pthread_sigmask(SIG_UNBLOCK, &set, NULL);
    k->unmasked = true;
}

static void run(struct accel_cpu *c)
{
    struct kvm_cpu *k = kvm_of(c);

    catch_kicks(k);
    for (;;) {
        int ret;

        __atomic_store_n(&k->in_run, 1, __ATOMIC_SEQ_CST);
        __atomic_store_n(&k->run->immediate_exit, 0, __ATOMIC_SEQ_CST);
        if (!kvm_before_entry(k))
            break;
        ret = kvm_ioctl(k->fd, KVM_RUN, NULL);
        __atomic_store_n(&k->in_run, 0, __ATOMIC_SEQ_CST);
        k->io_pending = false;
        kvm_after_exit(k);
        if (ret == -EINTR || ret == -EAGAIN)
            continue;
        if (ret < 0) {
            fprintf(stderr, "transom: kvm: vCPU %u cannot run: %s\n", c->vcpu.index, strerror(-ret));
            machine_request_stop(c->a->m);
            accel_stop_self(c);
            continue;
        }
        kvm_handle_exit(k);
    }
    __atomic_store_n(&k->in_run, 0, __ATOMIC_SEQ_CST);
}

/* ---- opening ------------------------------------------------------------------------------ */

static int open_device(struct err *e)
{
    int fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);

    if (fd >= 0)
        return fd;
    if (errno == EACCES || errno == EPERM)
        return err_set(e, -errno, "kvm: no permission on /dev/kvm (is the user in its group?)");
    return err_set(e, -errno, "kvm: /dev/kvm: %s", strerror(errno));
}

/* What there is no way around. */
static const struct { int cap; const char *name; } needed[] = {
    { KVM_CAP_USER_MEMORY, "user memory" }, { KVM_CAP_EXT_CPUID, "CPUID" },
    { KVM_CAP_SET_TSS_ADDR, "TSS address" }, { KVM_CAP_IMMEDIATE_EXIT, "immediate exit" },
    { KVM_CAP_VCPU_EVENTS, "vCPU events" }, { KVM_CAP_DEBUGREGS, "debug registers" },
    { KVM_CAP_XSAVE, "XSAVE" }, { KVM_CAP_READONLY_MEM, "read-only memory" },
};

static int check_device(int fd, struct err *e)
{
    int api = kvm_ioctl(fd, KVM_GET_API_VERSION, NULL);

    if (api != KVM_API_VERSION)
        return err_set(e, -ENOTSUP, "kvm: the kernel's interface has version %d, not %d", api,
                       KVM_API_VERSION);
    for (size_t i = 0; i < ARRAY_SIZE(needed); i++)
        if (!check_cap(fd, needed[i].cap))
            return err_set(e, -ENOTSUP, "kvm: the kernel's KVM lacks %s", needed[i].name);
    return 0;
}

static int check_vcpus(const struct kvm *k, struct err *e)
{
    int soft = kvm_cap(k, KVM_CAP_NR_VCPUS), max = kvm_cap(k, KVM_CAP_MAX_VCPUS);
    unsigned limit = max > 0 ? max : soft > 0 ? soft : 4;

    if (k->a->n_cpus > limit)
        return err_set(e, -E2BIG, "-smp %u: this KVM has at most %u vCPUs", k->a->n_cpus, limit);
    return 0;
}

static void enable(struct kvm *k, int cap, uint64_t arg, bool *on)
{
    struct kvm_enable_cap c = { .cap = cap, .args = { arg } };

    *on = kvm_cap(k, cap) && kvm_ioctl(k->vm_fd, KVM_ENABLE_CAP, &c) == 0;
}

static void find_capabilities(struct kvm *k)
{
    k->readonly_mem = kvm_cap(k, KVM_CAP_READONLY_MEM);
    k->sregs2 = kvm_cap(k, KVM_CAP_SREGS2);
    k->max_slots = MIN(kvm_cap(k, KVM_CAP_NR_MEMSLOTS), KVM_SLOTS);
    k->xsave_bytes = MAX(kvm_cap(k, KVM_CAP_XSAVE2), 4096);
    k->xsave2 = kvm_cap(k, KVM_CAP_XSAVE2) > 0;
    k->ioeventfd = kvm_cap(k, KVM_CAP_IOEVENTFD);
    k->bell_any_len = kvm_cap(k, KVM_CAP_IOEVENTFD_ANY_LENGTH);
    enable(k, KVM_CAP_EXCEPTION_PAYLOAD, 1, &k->payload);
    enable(k, KVM_CAP_X86_USER_SPACE_MSR, KVM_MSR_EXIT_REASON_INVAL | KVM_MSR_EXIT_REASON_UNKNOWN,
           &k->msr_exits);
    enable(k, KVM_CAP_EXIT_ON_EMULATION_FAILURE, 1, &k->tells_failure);
}

/* Three pages for the real mode of old CPUs, below the firmware and above the APICs. */
static int reserve_pages(struct kvm *k, struct err *e)
{
    uint64_t identity = 0xfeffc000ull;
    int ret = kvm_ioctl(k->vm_fd, KVM_SET_IDENTITY_MAP_ADDR, &identity);

    if (ret == 0 || ret == -ENOTTY)
        ret = kvm_ioctl(k->vm_fd, KVM_SET_TSS_ADDR, (void *)(uintptr_t)0xfeffd000ul);
    return ret < 0 ? err_set(e, ret, "kvm: reserved pages: %s", strerror(-ret)) : 0;
}

/* At the start features go; from a guest that has seen them they cannot be taken. */
static int fit_model(struct kvm *k, struct err *e)
{
    struct x86_model m = k->a->model;
    char gone[200];
    int ret = kvm_filter_model(k->sys_fd, &m, gone, sizeof gone, e);

    if (ret < 0)
        return ret;
    if ((k->a->tsc_mul || !k->a->tsc_fixed) && !k->a->opt.verify.kvm)
        return err_set(e, -ENOTSUP, "kvm: the guest's TSC cannot have another rate than the host's");
    if (gone[0] && k->a->m->vcpus)
        return err_set(e, -ENOTSUP, "kvm: this KVM lacks CPU features that the guest has: %.60s... "
                       "(-accel tcg,switch=on leaves them out)", gone);
    if (gone[0])
        log_ev(LOG_UNIMP, "kvm: CPU features that this KVM lacks: %s", gone);
    k->a->model = m;
    return 0;
}

static int limit_model(struct x86_model *m, struct err *e)
{
    int fd = open_device(e), ret;

    if (fd < 0)
        return fd;
    ret = kvm_filter_model(fd, m, NULL, 0, e);
    kvm_limit_pv(fd, m);
    close(fd);
    return ret;
}

static void close_vm(struct accel *a)
{
    struct kvm *k = a->kvm;

    if (!k)
        return;
    kvm_messages_forget(k);
    if (k->vm_fd >= 0)
        close(k->vm_fd);
    if (k->sys_fd >= 0)
        close(k->sys_fd);
    assert(!k->bells);               /* their devices went before */
    free(k->cpus);
    free(k);
    a->kvm = NULL;
}

static int open_vm(struct accel *a, struct err *e)
{
    struct sigaction sa = { .sa_handler = on_kick };
    struct kvm *k = a->kvm = xzalloc(sizeof *k);
    int ret;

    k->a = a;
    k->vm_fd = -1;
    k->irqchip = a->opt.irqchip;
    for (unsigned i = 0; i < KVM_MSI_ROUTES; i++)
        k->msi[i].fd = -1;
    k->cpus = xzalloc(a->n_cpus * sizeof *k->cpus);
    for (unsigned i = 0; i < a->n_cpus; i++)
        k->cpus[i].fd = -1;
    sigaction(KICK_SIGNAL, &sa, NULL);
    k->sys_fd = open_device(e);
    if (k->sys_fd < 0)
        return k->sys_fd;
    ret = check_device(k->sys_fd, e);
    if (ret < 0)
        return ret;
    k->vm_fd = kvm_ioctl(k->sys_fd, KVM_CREATE_VM, NULL);
    if (k->vm_fd < 0)
        return err_set(e, k->vm_fd, "kvm: no virtual machine: %s", strerror(-k->vm_fd));
    k->run_bytes = MAX(kvm_ioctl(k->sys_fd, KVM_GET_VCPU_MMAP_SIZE, NULL), 0);
    if (check_vcpus(k, e) < 0)
        return -E2BIG;
    find_capabilities(k);
    ret = reserve_pages(k, e);
    if (ret == 0)
        ret = fit_model(k, e);
    if (ret == 0)
        ret = kvm_irqchip_create(k, e);
    return ret < 0 ? ret : kvm_check_pv(k, e);
}

static int create_vcpu(struct accel_cpu *c, struct err *e)
{
    struct kvm *k = c->a->kvm;
    struct kvm_cpu *kc = &k->cpus[c->vcpu.index];
    int ret;

    kc->c = c;
    kc->fd = kvm_ioctl(k->vm_fd, KVM_CREATE_VCPU, (void *)(uintptr_t)c->vcpu.apic_id);
    if (kc->fd < 0)
        return err_set(e, kc->fd, "kvm: vCPU %u: %s", c->vcpu.index, strerror(-kc->fd));
    kc->run = mmap(NULL, k->run_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, kc->fd, 0);
    if (kc->run == MAP_FAILED) {
        kc->run = NULL;
        return err_set(e, -errno, "kvm: vCPU %u: %s", c->vcpu.index, strerror(errno));
    }
    ret = kvm_set_cpuid(kc, e);
    if (ret == 0 && c->vcpu.index == 0)
        kvm_state_init(k);
    return ret;
}

static void free_vcpu(struct accel_cpu *c)
{
    struct kvm_cpu *k = c->a->kvm ? kvm_of(c) : NULL;

    if (k && k->run)
        munmap(k->run, c->a->kvm->run_bytes);
    if (k && k->fd >= 0)
        close(k->fd);
}

/* ---- memory: writes need no translation to be dropped --------------------------------------- */

static void ram_written(struct accel *a, gpa_t gpa, uint64_t len)
{
}

static uint64_t watch(struct accel *a)
{
    return 0;
}

static bool watching(struct accel *a, uint64_t ticket)
{
    return true;
}

/* ---- the rest ---------------------------------------------------------------------------------- */

static void info(struct accel *a, FILE *f)
{
    static const char *const chips[] = { "off", "split", "on" };

    fprintf(f, "kernel-irqchip=%s, %llu instructions that KVM could not emulate\n", chips[a->kvm->irqchip],
            (unsigned long long)a->kvm->stepped);
    fprintf(f, "%u doorbells by ioeventfd, %u messages by irqfd\n", kvm_bells_placed(a->kvm),
            kvm_messages_routed(a->kvm));
}

static int probe(const struct accel_options *o, struct err *e)
{
    int fd = open_device(e), ret;

    if (fd < 0)
        return fd;
    ret = check_device(fd, e);
    close(fd);
    return ret;
}

const struct accel_ops accel_kvm = {
    .name = "kvm", .help = "the Linux kernel's virtual machines",
    .probe = probe, .measure = kvm_probe_guest, .limit_model = limit_model, .open = open_vm, .close = close_vm, .create_vcpu = create_vcpu,
    .free_vcpu = free_vcpu, .run = run, .kick = kick, .get_state = kvm_get_state,
    .put_state = kvm_put_state, .reset = kvm_reset, .before_run = kvm_before_run, .map_changed = kvm_map_changed,
    .doorbells_changed = kvm_bells_follow,
    .ram_written = ram_written, .watch = watch, .watching = watching,
    .dirty_sync = kvm_dirty_sync, .choose_irqchip = kvm_choose_irqchip,
    .refresh_chips = kvm_refresh_chips, .lapic_page = kvm_lapic_page,
    .debug_set = kvm_debug_set, .debug_step = kvm_debug_step, .info = info,
};
