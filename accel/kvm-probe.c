/*
 * kvm-probe.c - does this KVM work, and does it have hardware behind it?
 *
 * A virtual machine of 64 KiB runs roms/probe/probe.S: real, protected and long mode, paging,
 * a page fault, ring 3, then a counted loop. Wrong numbers: it is not to be used. Some
 * KVMs execute everything in software: they are right, but slower than the translator.
 */
#define _GNU_SOURCE 1
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>
#include "accel/kvm-int.h"
#include "probe.rom.h"

#define MEM_BYTES 0x10000u
#define MAX_EXITS 200           /* before the guest counts as lost */
#define LIMIT_NS 3000000        /* of measuring */

enum { AT_PML4 = 0x4000, AT_PDPT = 0x5000, AT_PD = 0x7000, AT_PT = 0x9000, AT_DATA = 0x8000 };
enum { PORT_RESULT = 0x10, PORT_COUNT = 0x11, PORT_DONE = 0x12 };
enum { PTE_P = 1, PTE_W = 2, PTE_U = 4, PTE_PS = 0x80 };

struct probe {
    int sys, vm, cpu;
    uint8_t *mem;
    struct kvm_run *run;
    size_t run_bytes;
    unsigned step;              /* results seen */
    uint64_t count;             /* iterations of the last loop */
    int64_t began_ns, spent_ns, best_ns;
    uint64_t best_count;
    const char *wrong;
};

/* CPU time: what others run meanwhile does not count. */
static int64_t cpu_ns(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
    return ts.tv_sec * 1000000000ll + ts.tv_nsec;
}

/* ---- what the guest says ------------------------------------------------------------------- */

static const struct { uint32_t want; const char *what; } results[] = {
    { 0x1234 + 1 + 0x1234, "real mode" }, { 0x10101010u * 7u, "protected mode" },
    { 0, "long mode and paging" }, { 0x4010100, "a page fault" }, { 0xabcd0043, "ring 3" },
};

/* What step 3 works out: x - rotate(x), folded. */
static uint32_t long_mode_result(void)
{
    uint64_t x = 0x123456789abcdef0ull, v = x - (x << 12 | x >> 52);

    return (uint32_t)v ^ (uint32_t)(v >> 32);
}

static void take_result(struct probe *p, uint32_t v)
{
    if (p->step < ARRAY_SIZE(results)) {
        uint32_t want = p->step == 2 ? long_mode_result() : results[p->step].want;

        if (v != want && !p->wrong)
            p->wrong = results[p->step].what;
    }
    p->step++;
}

/* Longer and longer loops, until a fast machine has shown it. */
static uint32_t next_count(struct probe *p)
{
    if (p->step != ARRAY_SIZE(results) || p->spent_ns > LIMIT_NS)
        return 0;
    p->count = p->count ? MIN(p->count * 4, 4000000u) : 500;
    p->began_ns = cpu_ns();
    return (uint32_t)p->count;
}

/* Of the longest loops the fastest counts. */
static void take_time(struct probe *p)
{
    int64_t ns = MAX(cpu_ns() - p->began_ns, 1);

    p->spent_ns += ns;
    if (!p->best_ns || p->count > p->best_count || ns < p->best_ns)
        p->best_ns = ns;
    p->best_count = p->count;
}

static void port(struct probe *p)
{
    struct kvm_run *r = p->run;
    uint32_t *data = (uint32_t *)((uint8_t *)r + r->io.data_offset);

    switch (r->io.port) {
    case PORT_RESULT: take_result(p, *data); break;
    case PORT_COUNT: *data = next_count(p); break;
    case PORT_DONE: take_time(p); break;
    }
}

/* ---- the machine --------------------------------------------------------------------------- */

static void put64(struct probe *p, unsigned at, uint64_t v)
{
    memcpy(p->mem + at, &v, sizeof v);
}

static void make_tables(struct probe *p)
{
    put64(p, AT_PML4, AT_PDPT | PTE_P | PTE_W | PTE_U);
    put64(p, AT_PDPT, AT_PD | PTE_P | PTE_W | PTE_U);
    put64(p, AT_PD, PTE_P | PTE_W | PTE_U | PTE_PS);
    put64(p, AT_PD + 16, AT_PT | PTE_P | PTE_W | PTE_U);
    put64(p, AT_PT, AT_DATA | PTE_P | PTE_W | PTE_U);
}

static int set_registers(struct probe *p)
{
    struct kvm_regs regs = { .rflags = EF_1 };
    struct kvm_sregs s;
    int ret = kvm_ioctl(p->cpu, KVM_GET_SREGS, &s);

    s.cs.base = s.cs.selector = 0;
    if (ret == 0)
        ret = kvm_ioctl(p->cpu, KVM_SET_SREGS, &s);
    return ret < 0 ? ret : kvm_ioctl(p->cpu, KVM_SET_REGS, &regs);
}

static int give_cpuid(struct probe *p)
{
    struct kvm_cpuid2 *c = xzalloc(sizeof *c + 256 * sizeof c->entries[0]);
    int ret;

    c->nent = 256;
    ret = kvm_ioctl(p->sys, KVM_GET_SUPPORTED_CPUID, c);
    if (ret == 0)
        ret = kvm_ioctl(p->cpu, KVM_SET_CPUID2, c);
    free(c);
    return ret;
}

static int build(struct probe *p)
{
    struct kvm_userspace_memory_region r = { .memory_size = MEM_BYTES };
    int ret;

    p->vm = kvm_ioctl(p->sys, KVM_CREATE_VM, NULL);
    if (p->vm < 0)
        return p->vm;
    kvm_ioctl(p->vm, KVM_SET_TSS_ADDR, (void *)(uintptr_t)0xfeffd000ul);
    p->mem = mmap(NULL, MEM_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p->mem == MAP_FAILED)
        return -ENOMEM;
    memcpy(p->mem, probe_rom, sizeof probe_rom);
    make_tables(p);
    r.userspace_addr = (uintptr_t)p->mem;
    ret = kvm_ioctl(p->vm, KVM_SET_USER_MEMORY_REGION, &r);
    if (ret < 0)
        return ret;
    p->cpu = kvm_ioctl(p->vm, KVM_CREATE_VCPU, NULL);
    if (p->cpu < 0)
        return p->cpu;
    p->run_bytes = MAX(kvm_ioctl(p->sys, KVM_GET_VCPU_MMAP_SIZE, NULL), 4096);
    p->run = mmap(NULL, p->run_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, p->cpu, 0);
    if (p->run == MAP_FAILED)
        return -errno;
    ret = give_cpuid(p);
    return ret < 0 ? ret : set_registers(p);
}

static int run(struct probe *p)
{
    for (unsigned n = 0; n < MAX_EXITS; n++) {
        int ret = kvm_ioctl(p->cpu, KVM_RUN, NULL);

        if (ret == -EINTR)
            continue;
        if (ret < 0)
            return ret;
        if (p->run->exit_reason == KVM_EXIT_HLT)
            return 0;
        if (p->run->exit_reason != KVM_EXIT_IO)
            break;
        port(p);
    }
    p->wrong = p->step < ARRAY_SIZE(results) ? results[p->step].what : "the loop";
    return 0;
}

static void demolish(struct probe *p)
{
    if (p->run && p->run != MAP_FAILED)
        munmap(p->run, p->run_bytes);
    if (p->cpu >= 0)
        close(p->cpu);
    if (p->vm >= 0)
        close(p->vm);
    if (p->sys >= 0)
        close(p->sys);
    if (p->mem && p->mem != MAP_FAILED)
        munmap(p->mem, MEM_BYTES);
}

int64_t kvm_probe_guest(struct err *e)
{
    struct probe p = { .vm = -1, .cpu = -1 };
    int64_t ret;

    p.sys = open("/dev/kvm", O_RDWR | O_CLOEXEC);
    ret = p.sys < 0 ? -errno : build(&p);
    if (ret == 0)
        ret = run(&p);
    demolish(&p);
    if (ret < 0)
        return err_set(e, (int)ret, "kvm: the test guest cannot run: %s", strerror((int)-ret));
    if (p.wrong || p.step != ARRAY_SIZE(results) || !p.best_ns)
        return err_set(e, -EIO, "kvm: the test guest goes wrong in %s",
                       p.wrong ? p.wrong : "its last steps");
    return (int64_t)((double)p.best_count * 2e9 / (double)p.best_ns);
}
