/*
 * kvm.c - KVM driving a machine, on the real /dev/kvm: exits, doorbells, messages, dirty pages
 *
 * Nothing depends on how long anything takes; a guest that never gets there is ended by the
 * test runner.
 */
#include "accel/kvm-int.h"
#include "hw/doorbell.h"
#include "hw/intc/intc.h"
#include "tests/accel/rig.h"
#include "tests/kvm-here.h"

#define PORT 0x600
#define WINDOW 0xd0000          /* where tests put memory of their own */
#define WINDOW_BYTES 0x4000

/* What a test's device sees; PORT + 0 .. 15 and, when it is in the map, the window. */
struct seen {
    struct machine *m;
    unsigned writes, reads, rung[2];
    uint32_t port[1024];
    uint8_t mem[WINDOW_BYTES];   /* shows in the window, and takes writes */
};

static struct rig rig;
static struct seen seen;
static struct mem_region window;
static struct port_range *ports;

static struct kvm *vm(void)
{
    return rig.a->kvm;
}

static uint64_t port_get(void *opaque, uint64_t off, unsigned size)
{
    return seen.reads++ * 3 + 1;
}

static void port_put(void *opaque, uint64_t off, uint64_t val, unsigned size)
{
    seen.port[seen.writes++ % ARRAY_SIZE(seen.port)] = (uint32_t)(off << 16 | val);
    loop_wake(seen.m->loop);
}

static uint64_t window_get(void *opaque, uint64_t off, unsigned size)
{
    uint64_t v = 0;

    memcpy(&v, seen.mem + off, size);
    return v;
}

static void window_put(void *opaque, uint64_t off, uint64_t val, unsigned size)
{
    memcpy(seen.mem + off, &val, size);
    seen.writes++;
}

static const struct io_ops port_ops = { port_get, port_put, 1, 4 };
static const struct io_ops window_ops = { window_get, window_put, 1, 8 };

static void ring(void *opaque, unsigned n)
{
    seen.rung[n]++;
}

/* A machine on KVM with the ports; skips where there is none. */
static void build(const char *accel, const char *cpu, const uint8_t *code, const uint8_t *end)
{
    if (!kvm_here())
        cr_skip_test("no KVM, or no permission");
    setenv("TRANSOM_KVM_PROBE", "fast", 1);
    memset(&seen, 0, sizeof seen);
    rig_build(&rig, accel, cpu, code, (size_t)(end - code));
    seen.m = rig.m;
    ports = port_map(rig.m, "test", PORT, 16, &port_ops, NULL);
    window = (struct mem_region){ .name = "window", .base = WINDOW, .len = WINDOW_BYTES, .kind = MEM_MMIO,
                                  .prio = 9, .enabled = true, .ops = &window_ops };
}

static void go(void)
{
    rig.m->accel->resume_all(rig.m);
}

/* Until the guest exits; returns what it said. */
static unsigned run(void)
{
    go();
    cr_assert_eq(wait_for(&rig, &rig.m->request_shutdown), CAUSE_DEBUG_EXIT);
    rig.m->accel->pause_all(rig.m);
    return (unsigned)rig.m->exit_code >> 1;
}

/* Real-mode code at F000:0000; "leave" ends it with AL. */
#define GUEST(name, code) \
    asm(".pushsection .rodata\n\t.code16\n" #name ":\n\t" code "\n" #name "_end:\n\t.code64\n\t.popsection"); \
    extern const uint8_t name[], name##_end[]
#define LEAVE "mov $0x501, %dx\n\toutb %al, %dx\n\thlt\n\t"

/* ---- exits ------------------------------------------------------------------------------ */

GUEST(g_strings,
      "xor %ax, %ax\n\tmov %ax, %es\n\tmov %ax, %ds\n\tcld\n\t"
      "mov $0x605, %dx\n\tmov $300, %cx\n\tmov $0x2000, %di\n\trep insb\n\t"
      "mov $0x604, %dx\n\tmov $300, %cx\n\tmov $0x2000, %si\n\trep outsb\n\t"
      "mov $0x600, %dx\n\tmov $3, %cx\n\tmov $0x2000, %si\n\trep outsl\n\t"
      "mov $9, %al\n\t" LEAVE);

Test(kvm, string_ports, .timeout = 300)
{
    build("kvm,kernel-irqchip=off", "qemu64", g_strings, g_strings_end);
    cr_assert_eq(run(), 9);
    cr_assert_eq(seen.reads, 300);
    cr_assert_eq(seen.writes, 303);
    for (unsigned i = 0; i < 300; i++)
        cr_assert_eq(seen.port[i], 4u << 16 | (uint8_t)(i * 3 + 1), "byte %u", i);
    cr_assert_eq(seen.port[300], 0x0a070401u);
    cr_assert_eq(seen.port[302], 0x221f1c19u);
    rig_end(&rig);
}

/* A division error that cannot be delivered: no IDT. */
GUEST(g_triple,
      "cs lidtl 1f - g_triple\n\tmov %cr0, %eax\n\tor $1, %al\n\tmov %eax, %cr0\n\t"
      "xor %cx, %cx\n\tdiv %cx\n\thlt\n1:\t.long 0, 0");

Test(kvm, triple_fault, .timeout = 300)
{
    build("kvm,kernel-irqchip=off", "qemu64", g_triple, g_triple_end);
    go();
    cr_assert_eq(wait_for(&rig, &rig.m->request_reset), CAUSE_TRIPLE_FAULT);
    rig.m->accel->pause_all(rig.m);
    cr_assert_eq(vm()->cpus[0].mp, MP_SHUTDOWN);
    rig_end(&rig);
}

/* KVM cannot execute what lies in device memory; the translator does, one by one. */
GUEST(g_far_jump, "ljmp $0xd000, $0");
GUEST(g_in_device, "mov $0x30, %al\n\tadd $0x25, %al\n\t" LEAVE);

Test(kvm, what_it_cannot_emulate, .timeout = 300)
{
    build("kvm,kernel-irqchip=off", "qemu64", g_far_jump, g_far_jump_end);
    memcpy(seen.mem, g_in_device, (size_t)(g_in_device_end - g_in_device));
    mem_add(&rig.m->mem, &window);
    cr_assert_eq(run(), 0x55);
    cr_assert_geq(vm()->stepped, 4);
    mem_remove(&rig.m->mem, &window);
    rig_end(&rig);
}

/* KVM has no such gate: it is made of slots. */
GUEST(g_a20,
      "xor %ax, %ax\n\tmov %ax, %ds\n\tdec %ax\n\tmov %ax, %es\n\t"
      "movb $0x11, 0x500\n\tmovb $0x22, %es:0x510\n\t"
      "mov 0x500, %bl\n\t"                            /* open: 11 */
      "in $0x92, %al\n\tand $0xfc, %al\n\tout %al, $0x92\n\t"
      "add %es:0x510, %bl\n\t"                        /* closed: 11 */
      "movb $0x04, %es:0x510\n\tadd 0x500, %bl\n\t"   /* closed: 4 */
      "or $2, %al\n\tout %al, $0x92\n\t"
      "add %es:0x510, %bl\n\tmov %bl, %al\n\t" LEAVE);    /* open: 22 */

Test(kvm, a20_gate, .timeout = 300)
{
    build("kvm,kernel-irqchip=off", "qemu64", g_a20, g_a20_end);
    cr_assert_eq(run(), 0x11 + 0x11 + 4 + 0x22);
    rig_end(&rig);
    rig_start(&rig, "tcg", g_a20, (size_t)(g_a20_end - g_a20));
    cr_assert_eq(run(), 0x11 + 0x11 + 4 + 0x22);
    rig_end(&rig);
}

/* What KVM_RUN came back with when it gives up; @text: all of stderr. */
static void give_up(void (*set)(struct kvm_run *r), char *text, size_t len)
{
    FILE *f = tmpfile();
    int old = dup(2);
    size_t n;

    fflush(stderr);
    dup2(fileno(f), 2);
    set(vm()->cpus[0].run);
    kvm_handle_exit(&vm()->cpus[0]);
    fflush(stderr);
    dup2(old, 2);
    close(old);
    rewind(f);
    n = fread(text, 1, len - 1, f);
    text[n] = 0;
    fclose(f);
}

static void undeliverable(struct kvm_run *r)
{
    r->exit_reason = KVM_EXIT_INTERNAL_ERROR;
    r->internal.suberror = KVM_INTERNAL_ERROR_DELIVERY_EV;
}

static void bad_state(struct kvm_run *r)
{
    r->exit_reason = KVM_EXIT_FAIL_ENTRY;
    r->fail_entry.hardware_entry_failure_reason = 0x80000021;
}

GUEST(g_idle, "mov $1, %al\n\t" LEAVE);

Test(kvm, giving_up_shows_the_registers, .timeout = 300)
{
    static char text[8192];

    build("kvm,kernel-irqchip=off", "qemu64", g_idle, g_idle_end);
    give_up(undeliverable, text, sizeof text);
    cr_assert(strstr(text, "vCPU 0 cannot go on: an event that it cannot deliver (0x3)"), "%s", text);
    cr_assert(strstr(text, "IP=0000fff0"), "%s", text);
    cr_assert(rig.m->request_stop, "the guest is to be paused");
    give_up(bad_state, text, sizeof text);
    cr_assert(strstr(text, "the host CPU refuses its state (0x80000021)"), "%s", text);
    rig_end(&rig);
}

/* ---- pages that were written ---------------------------------------------------------------- */

GUEST(g_dirty,
      "mov $0xd000, %ax\n\tmov %ax, %ds\n\tmov 0, %al\n\tmovb $1, 0x1fff\n\tmovb $1, 0x3000\n\tmov $1, %al\n\t" LEAVE);

Test(kvm, dirty_pages, .timeout = 300)
{
    uint8_t *ram = aligned_alloc(4096, WINDOW_BYTES), out[4];
    struct mem_region r = { .name = "ram", .base = WINDOW, .len = WINDOW_BYTES, .kind = MEM_RAM, .prio = 9,
                            .enabled = true, .host = ram };

    memset(ram, 0, WINDOW_BYTES);
    build("kvm,kernel-irqchip=off", "qemu64", g_dirty, g_dirty_end);
    mem_track(&r);
    mem_add(&rig.m->mem, &r);
    machine_lock(rig.m);
    while (mem_dirty_take(&rig.m->mem, &r, 0, 4, out))     /* all count as written at first; often twice */
        ;
    machine_unlock(rig.m);
    cr_assert_eq(run(), 1);
    machine_lock(rig.m);
    cr_assert(mem_dirty_take(&rig.m->mem, &r, 0, 4, out));
    cr_assert(!out[0] && out[1] && !out[2] && out[3], "%d %d %d %d", out[0], out[1], out[2], out[3]);
    while (mem_dirty_take(&rig.m->mem, &r, 0, 4, out))
        cr_assert(!out[0] && !out[2]);
    mem_remove(&rig.m->mem, &r);
    machine_unlock(rig.m);
    mem_untrack(&r);
    rig_end(&rig);
    free(ram);
}

/* ---- doorbells ------------------------------------------------------------------------------- */

GUEST(g_bells,
      "mov $0x600, %dx\n\tmov $7, %ax\n\tout %ax, %dx\n\tmov $8, %ax\n\tout %ax, %dx\n\t"
      "mov $7, %al\n\tout %al, %dx\n\t"
      "mov $0xd000, %ax\n\tmov %ax, %ds\n\tmovw $3, 0x10\n\tmovw $4, 0x12\n\tmov $1, %al\n\t" LEAVE);

static struct doorbell bells[2] = {
    { .ports = &ports, .port_off = 0, .value = 7, .ring = ring, .n = 0 },
    { .mem = &window, .mem_off = 0x10, .ring = ring, .n = 1 },
};

static void build_bells(void)
{
    build("kvm,kernel-irqchip=off", "qemu64", g_bells, g_bells_end);
    mem_add(&rig.m->mem, &window);
    machine_lock(rig.m);
    for (unsigned i = 0; i < ARRAY_SIZE(bells); i++)
        doorbell_add(rig.m, &bells[i]);
    machine_unlock(rig.m);
}

static void end_bells(void)
{
    machine_lock(rig.m);
    for (unsigned i = 0; i < ARRAY_SIZE(bells); i++)
        doorbell_remove(rig.m, &bells[i]);
    cr_assert_eq(kvm_bells_placed(vm()), 0);
    mem_remove(&rig.m->mem, &window);
    machine_unlock(rig.m);
    rig_end(&rig);
}

/* Only exactly what they are for does not come out. */
Test(kvm, doorbells, .timeout = 300)
{
    build_bells();
    cr_assert_eq(kvm_bells_placed(vm()), 2);
    cr_assert_eq(run(), 1);
    while (!seen.rung[0] || !seen.rung[1])
        rig_serve(&rig);
    cr_assert_eq(seen.writes, 3);
    cr_assert_eq(seen.port[0], 8);
    cr_assert_eq(seen.port[1], 7, "a byte is no doorbell");
    cr_assert_eq(seen.mem[0x10], 0);
    cr_assert_eq(seen.mem[0x12], 4);
    end_bells();
}

Test(kvm, doorbells_without_the_capability, .timeout = 300)
{
    setenv("TRANSOM_KVM_LACKS", "36", 1);            /* KVM_CAP_IOEVENTFD */
    build_bells();
    cr_assert_eq(kvm_bells_placed(vm()), 0);
    cr_assert_eq(run(), 1);
    cr_assert_eq(seen.writes, 5);
    cr_assert_eq(seen.mem[0x10], 3);
    cr_assert_eq(seen.rung[0] + seen.rung[1], 0);
    end_bells();
}

Test(kvm, doorbells_follow_the_maps, .timeout = 300)
{
    struct mem_region over = window;
    struct port_range *other;

    build_bells();
    over = window;
    over.prio++;
    machine_lock(rig.m);
    window.base += WINDOW_BYTES;
    mem_update(&rig.m->mem);
    cr_assert_eq(kvm_bells_placed(vm()), 2, "moved");
    window.base = WINDOW;
    mem_add(&rig.m->mem, &over);
    cr_assert_eq(kvm_bells_placed(vm()), 1, "something else lies there");
    mem_remove(&rig.m->mem, &over);
    cr_assert_eq(kvm_bells_placed(vm()), 2);
    other = port_map(rig.m, "other", PORT, 2, &port_ops, NULL);
    doorbells_changed(rig.m);
    cr_assert_eq(kvm_bells_placed(vm()), 1, "another device has the port");
    port_unmap(rig.m, other);
    doorbells_changed(rig.m);
    cr_assert_eq(kvm_bells_placed(vm()), 2);
    window.enabled = false;
    mem_update(&rig.m->mem);
    cr_assert_eq(kvm_bells_placed(vm()), 1);
    doorbell_remove(rig.m, &bells[0]);
    cr_assert_eq(kvm_bells_placed(vm()), 0);
    machine_unlock(rig.m);
    end_bells();
}

/* ---- messages ----------------------------------------------------------------------------------- */

/* The local APIC by its MSRs; vector 0x50 is acknowledged and told. */
GUEST(g_messages,
      "xor %ax, %ax\n\tmov %ax, %ds\n\tmov %ax, %ss\n\tmov $0x7000, %sp\n\t"
      "movw $1f - g_messages, 0x50 * 4\n\tmovw $0xf000, 0x50 * 4 + 2\n\t"
      "mov $0x1b, %ecx\n\trdmsr\n\tor $0xc00, %eax\n\twrmsr\n\t"
      "mov $0x80f, %ecx\n\tmov $0x1ff, %eax\n\txor %edx, %edx\n\twrmsr\n\t"
      "mov $0x600, %dx\n\tmov $0xaa, %al\n\tout %al, %dx\n"
      "0:\tsti\n\thlt\n\tjmp 0b\n"
      "1:\tmov $0x80b, %ecx\n\txor %eax, %eax\n\txor %edx, %edx\n\twrmsr\n\t"
      "mov $0x601, %dx\n\tout %al, %dx\n\tiret");

/* So many messages, each when the one before has arrived. Returns how many have a route then. */
static unsigned send_messages(const char *accel, unsigned n)
{
    unsigned routed;

    build(accel, "max", g_messages, g_messages_end);
    go();
    while (__atomic_load_n(&seen.writes, __ATOMIC_ACQUIRE) < 1)
        rig_serve(&rig);
    for (unsigned i = 0; i < n; i++) {
        machine_lock(rig.m);
        cr_assert(rig.m->chips->message(rig.m, 0xfee00000, 0x50), "message %u", i);
        machine_unlock(rig.m);
        while (__atomic_load_n(&seen.writes, __ATOMIC_ACQUIRE) < i + 2)
            rig_serve(&rig);
    }
    rig.m->accel->pause_all(rig.m);
    cr_assert_eq(seen.writes, n + 1, "none comes twice");
    routed = kvm_messages_routed(vm());
    rig_end(&rig);
    return routed;
}

Test(kvm, messages_split, .timeout = 300) { cr_assert_eq(send_messages("kvm,kernel-irqchip=split", 40), 1); }
Test(kvm, messages_on, .timeout = 300) { cr_assert_eq(send_messages("kvm,kernel-irqchip=on", 40), 1); }
Test(kvm, rare_messages_get_no_route, .timeout = 300) { cr_assert_eq(send_messages("kvm,kernel-irqchip=split", 5), 0); }

Test(kvm, messages_without_the_capability, .timeout = 300)
{
    setenv("TRANSOM_KVM_LACKS", "32", 1);            /* KVM_CAP_IRQFD */
    cr_assert_eq(send_messages("kvm,kernel-irqchip=on", 40), 0);
}

/* One that nobody sends any more loses its place to one that wants it. */
Test(kvm, messages_change, .timeout = 300)
{
    build("kvm,kernel-irqchip=split", "max", g_idle, g_idle_end);
    machine_lock(rig.m);
    for (unsigned i = 0; i < 20; i++)
        kvm_message(rig.m, 0xfee00000, 0x51);
    cr_assert_eq(kvm_messages_routed(vm()), 1);
    for (unsigned i = 0; i < 200; i++)
        kvm_message(rig.m, 0xfee00000, 0x51 + KVM_MSI_ROUTES);
    cr_assert_eq(kvm_messages_routed(vm()), 1);
    for (unsigned i = 0; i < 20; i++)
        kvm_message(rig.m, 0xfee00000, 0x52);
    cr_assert_eq(kvm_messages_routed(vm()), 2);
    for (unsigned i = 0; i < 20; i++)
        kvm_message(rig.m, 0xfee00000, 0x8053);
    cr_assert_eq(kvm_messages_routed(vm()), 2, "a level has no route");
    kvm_messages_forget(vm());
    cr_assert_eq(kvm_messages_routed(vm()), 0);
    machine_unlock(rig.m);
    rig_end(&rig);
}

/* ---- paravirtual interfaces -------------------------------------------------------------------- */

/* Leaf 0x40000001, in two halves. */
GUEST(g_leaf,
      "mov $0x40000001, %eax\n\tcpuid\n\tmov $0x600, %dx\n\tout %ax, %dx\n\tshr $16, %eax\n\tout %ax, %dx\n\t"
      "mov $0x40000000, %eax\n\tcpuid\n\tmov %bl, %al\n\t" LEAVE);

static uint32_t leaf(const char *accel, const char *cpu)
{
    build(accel, cpu, g_leaf, g_leaf_end);
    cr_assert_eq(run(), 'K', "the signature");
    rig_end(&rig);
    return (seen.port[0] & 0xffff) | seen.port[1] << 16;
}

Test(kvm, paravirtual_leaf, .timeout = 300)
{
    enum { CLOCK = 1 << 3, ASYNCPF = 1 << 4, STEAL = 1 << 5, EOI = 1 << 6, UNHALT = 1 << 7, POLL = 1 << 12 };
    uint32_t all = leaf("kvm,kernel-irqchip=split", "max"), off;

    cr_assert(all & CLOCK);
    cr_assert_eq(leaf("kvm,kernel-irqchip=split", "max,-kvm-pv-eoi,kvm_steal_time=off"), all & ~(uint32_t)(EOI | STEAL));
    cr_assert_eq(leaf("kvm,kernel-irqchip=split", "max,-kvmclock"), all & ~(uint32_t)(CLOCK | 1));
    cr_assert_eq(leaf("kvm,kernel-irqchip=split", "max,kvm_asyncpf=off,-kvm-poll-control"), all & ~(uint32_t)(ASYNCPF | POLL));
    off = leaf("kvm,kernel-irqchip=off", "max");
    cr_assert_eq(off & (ASYNCPF | EOI | UNHALT), 0, "its local APIC is needed for these");
    cr_assert_eq(off & CLOCK, CLOCK);
    cr_assert_eq(leaf("kvm,switch=on", "max") & ~(uint32_t)PV_MOVABLE, 0);
}

static void refused(const char *accel, const char *cpu, const char *why)
{
    struct machine_config cfg = { .ram_bytes = 16 * MiB, .n_vcpus = 1 };
    struct machine *m = machine_new(&cfg, NULL);
    struct accel_options o;
    struct x86_model model;
    struct err e = { "" };

    setenv("TRANSOM_KVM_PROBE", "fast", 1);
    if (!kvm_here())
        cr_skip_test("no KVM, or no permission");
    cr_assert_eq(x86_model_parse(cpu, &model, &e), 0, "%s", e.msg);
    model.tsc_hz = 0;
    cr_assert_eq(accel_parse(accel, &o, &e), 0, "%s", e.msg);
    cr_assert_null(accel_new(m, &model, &o, &e));
    cr_assert(strstr(e.msg, why), "%s", e.msg);
    cr_assert_null(strchr(e.msg, '\n'));
    machine_free(m);
}

Test(kvm, interfaces_that_cannot_be_had, .timeout = 300)
{
    refused("kvm,kernel-irqchip=off", "max,+kvm-asyncpf", "this KVM has no 'kvm-asyncpf' with kernel-irqchip=off");
}

/* ---- capabilities that are missing ---------------------------------------------------------------- */

static void without(int cap, const char *accel, const char *why)
{
    char number[16];

    snprintf(number, sizeof number, "%d", cap);
    setenv("TRANSOM_KVM_LACKS", number, 1);
    refused(accel, "qemu64", why);
}

Test(kvm, missing_capabilities, .timeout = 300)
{
    without(KVM_CAP_USER_MEMORY, "kvm", "the kernel's KVM lacks user memory");
    without(KVM_CAP_IMMEDIATE_EXIT, "kvm", "the kernel's KVM lacks immediate exit");
    without(KVM_CAP_READONLY_MEM, "kvm", "the kernel's KVM lacks read-only memory");
    without(KVM_CAP_SPLIT_IRQCHIP, "kvm,kernel-irqchip=split", "kernel-irqchip=split: this KVM has no such");
    without(KVM_CAP_IRQCHIP, "kvm,kernel-irqchip=on", "kernel-irqchip=on: this KVM has no such");
}

/* Not asked for, split gives way. */
Test(kvm, default_chips_give_way, .timeout = 300)
{
    setenv("TRANSOM_KVM_LACKS", "121", 1);           /* KVM_CAP_SPLIT_IRQCHIP */
    build("kvm", "qemu64", g_idle, g_idle_end);
    cr_assert_eq(vm()->irqchip, IRQCHIP_OFF);
    cr_assert_eq(run(), 1);
    rig_end(&rig);
}

/* ---- the kernel's chips ------------------------------------------------------------------------ */

/* A mask of the 8259s, an edge/level register, a local APIC's spurious vector. */
GUEST(g_chips,
      "mov $0xa5, %al\n\tout %al, $0x21\n\tmov $0x4d1, %dx\n\tmov $0x0c, %al\n\tout %al, %dx\n\t"
      "mov $0x1b, %ecx\n\trdmsr\n\tor $0xc00, %eax\n\twrmsr\n\t"
      "mov $0x80f, %ecx\n\tmov $0x1ee, %eax\n\txor %edx, %edx\n\twrmsr\n\tmov $1, %al\n\t" LEAVE);

static void chips_are_shown(const char *accel, bool kernel_lapic)
{
    static uint8_t page[ACCEL_LAPIC_BYTES];

    build(accel, "max", g_chips, g_chips_end);
    cr_assert_eq(run(), 1);
    machine_lock(rig.m);
    accel_refresh_chips(rig.a);
    cr_assert_eq(pic_chips(rig.m->pic)[0].imr, 0xa5, "%s", accel);
    cr_assert_eq(pic_chips(rig.m->pic)[1].elcr, 0x0c, "%s", accel);
    machine_unlock(rig.m);
    cr_assert_eq(accel_lapic_page(rig.a, 0, page), kernel_lapic);
    if (kernel_lapic)
        cr_assert_eq(ldl32(page + 0xf0), 0x1ee);
    rig_end(&rig);
}

Test(kvm, chips_are_shown_as_they_are, .timeout = 300)
{
    chips_are_shown("kvm,kernel-irqchip=off", false);
    chips_are_shown("kvm,kernel-irqchip=split", true);
    chips_are_shown("kvm,kernel-irqchip=on", true);
}
