/*
 * monitor-machine.c - the monitor's view of the machine: interrupt controllers, ports,
 * memory regions, names; input and output at ports
 */
#define _GNU_SOURCE 1
#include <ctype.h>
#include <stdlib.h>
#include "hw/intc/intc.h"
#include "ui/monitor-int.h"
#include "ui/options.h"
#include "ui/run-int.h"

static struct run *run_of(struct monitor *mon)
{
    return monitor_hooks(mon)->opaque;
}

/* ---- interrupt controllers ----------------------------------------------------------- */

static void show_pic(void *opaque, FILE *f)
{
    struct machine *m = opaque;

    pic_print(m->pic, f);
    ioapic_print(m->ioapic, f);
}

static void show_ioapic(void *opaque, FILE *f)
{
    ioapic_print(((struct machine *)opaque)->ioapic, f);
}

static void refresh(struct monitor *mon)
{
    if (run_of(mon)->accel)
        accel_refresh_chips(run_of(mon)->accel);
}

static void info_pic(struct monitor *mon, char *rest)
{
    refresh(mon);
    monitor_print_stream(mon, show_pic, monitor_machine(mon));
}

static void info_ioapic(struct monitor *mon, char *rest)
{
    refresh(mon);
    monitor_print_stream(mon, show_ioapic, monitor_machine(mon));
}

static void info_irq(struct monitor *mon, char *rest)
{
    const struct machine *m = monitor_machine(mon);

    monitor_printf(mon, "IRQ statistics for i8259:\n");
    for (unsigned n = 0; n < 16; n++)
        if (pic_irq_count(m->pic, n))
            monitor_printf(mon, "%2u: %llu\n", n, (unsigned long long)pic_irq_count(m->pic, n));
    monitor_printf(mon, "IRQ statistics for ioapic:\n");
    for (unsigned n = 0; n < IOAPIC_PINS; n++)
        if (ioapic_irq_count(m->ioapic, n))
            monitor_printf(mon, "%2u: %llu\n", n, (unsigned long long)ioapic_irq_count(m->ioapic, n));
}

/** struct lapic_view - a local APIC, or the registers of one that is the accelerator's */
struct lapic_view {
    struct lapic *a;
    bool has_page;
    uint8_t page[ACCEL_LAPIC_BYTES];
};

/* Register at xAPIC offset @off, whichever mode the APIC is in. */
static uint32_t lapic_reg(const struct lapic_view *l, unsigned off)
{
    uint64_t val = 0;

    if (l->has_page)
        return ldl32(l->page + off);
    if (!(lapic_get_base(l->a) & 1 << 10))
        return (uint32_t)lapic_mmio_read(l->a, off, 4);
    lapic_msr_read(l->a, 0x800 + off / 16, &val);
    return (uint32_t)val;
}

static void print_vectors(struct monitor *mon, const char *name, const struct lapic_view *l, unsigned off)
{
    bool none = true;

    monitor_printf(mon, "%s\t", name);
    for (unsigned v = 0; v < 256; v++)
        if (lapic_reg(l, off + v / 32 * 16) >> v % 32 & 1) {
            monitor_printf(mon, " %u", v);
            none = false;
        }
    monitor_printf(mon, none ? " (none)\n" : "\n");
}

static void print_lvt(struct monitor *mon, const char *name, uint32_t v)
{
    static const char *const modes[] = { "Fixed", "lowest", "SMI", "reserved", "NMI", "INIT", "reserved",
                                         "ExtINT" };

    monitor_printf(mon, "%s\t 0x%08x %s %s%s vec %u\n", name, v, v & 1 << 15 ? "level" : "edge",
                   v & 1 << 16 ? "masked " : "", modes[v >> 8 & 7], v & 0xff);
}

static void print_lapic(struct monitor *mon, const struct lapic_view *l)
{
    static const struct { const char *name; unsigned off; } lvts[] = {
        { "LVT0", 0x350 }, { "LVT1", 0x360 }, { "LVTPC", 0x340 }, { "LVTERR", 0x370 }, { "LVTTHMR", 0x330 },
        { "LVTT", 0x320 },
    };
    uint64_t base = lapic_get_base(l->a);

    if (!(base & 1 << 11)) {
        monitor_printf(mon, "APIC is disabled (base 0x%llx)\n", (unsigned long long)base);
        return;
    }
    for (size_t i = 0; i < ARRAY_SIZE(lvts); i++)
        print_lvt(mon, lvts[i].name, lapic_reg(l, lvts[i].off));
    monitor_printf(mon, "Timer\t DCR=0x%x initial_count=%u current_count=%u\n", lapic_reg(l, 0x3e0),
                   lapic_reg(l, 0x380), lapic_reg(l, 0x390));
    monitor_printf(mon, "SPIV\t 0x%08x APIC %s, spurious vector %u\n", lapic_reg(l, 0xf0),
                   lapic_reg(l, 0xf0) & 1 << 8 ? "enabled" : "disabled", lapic_reg(l, 0xf0) & 0xff);
    monitor_printf(mon, "ICR\t 0x%08x\nESR\t 0x%08x\n", lapic_reg(l, 0x300), lapic_reg(l, 0x280));
    print_vectors(mon, "ISR", l, 0x100);
    print_vectors(mon, "IRR", l, 0x200);
    monitor_printf(mon, "\nID 0x%08x TPR 0x%02x LDR 0x%08x%s%s\n", lapic_reg(l, 0x20), lapic_reg(l, 0x80),
                   lapic_reg(l, 0xd0), base & 1 << 10 ? " x2APIC" : "", lapic_is_bsp(l->a) ? " BSP" : "");
}

/* The vCPU stands still: its local APIC may be the kernel's. */
static void info_lapic(struct monitor *mon, char *rest)
{
    struct machine *m = monitor_machine(mon);
    unsigned n = *rest ? (unsigned)strtoul(rest, NULL, 0) : monitor_cpu(mon);
    struct lapic_view l = { .a = n < m->n_vcpus ? m->vcpus[n]->lapic : NULL };

    if (!l.a) {
        monitor_printf(mon, "there is no local APIC %u\n", n);
        return;
    }
    monitor_printf(mon, "dumping local APIC state for CPU %u\n\n", n);
    if (run_of(mon)->accel) {
        run_hold_cpu(run_of(mon), n);
        l.has_page = accel_lapic_page(run_of(mon)->accel, n, l.page);
    }
    print_lapic(mon, &l);
    if (run_of(mon)->accel)
        run_release_cpu(run_of(mon));
}

/* ---- what there is --------------------------------------------------------------------- */

static void info_roms(struct monitor *mon, char *rest)
{
    for (const struct mem_region *r = monitor_machine(mon)->mem.regions; r; r = r->next)
        if (r->kind == MEM_ROM)
            monitor_printf(mon, "addr=%016llx size=0x%06llx mem=rom name=\"%s\"%s\n",
                           (unsigned long long)r->base, (unsigned long long)r->len, r->name,
                           r->enabled ? "" : " (off)");
}

static void info_chardev(struct monitor *mon, char *rest)
{
    const struct run *r = run_of(mon);

    for (unsigned i = 0; i < r->n_chr; i++)
        if (r->chr[i].id)
            monitor_printf(mon, "%s: filename=%s\n", r->chr[i].id, chardev_desc(r->chr[i].chr));
}

static void info_name(struct monitor *mon, char *rest)
{
    if (run_of(mon)->opt->name)
        monitor_printf(mon, "%s\n", run_of(mon)->opt->name);
}

static void info_uuid(struct monitor *mon, char *rest)
{
    const char *uuid = monitor_machine(mon)->cfg.uuid;

    monitor_printf(mon, "%s\n", uuid ? uuid : "00000000-0000-0000-0000-000000000000");
}

static void info_memory_size(struct monitor *mon, char *rest)
{
    monitor_printf(mon, "base memory: %llu\n", (unsigned long long)monitor_machine(mon)->cfg.ram_bytes);
}

/* ---- ports -------------------------------------------------------------------------------- */

/* "/FMT ADDR": the size letter of FMT, and what follows. */
static bool port_format(const char **s, unsigned *bytes)
{
    *bytes = 1;
    if (**s == '/')
        for (++*s; **s && !isspace((unsigned char)**s); ++*s) {
            const char *at = strchr("bhw", **s);

            if (at)
                *bytes = 1u << (at - "bhw");
            else if (!strchr("x1", **s))
                return false;
        }
    *s += strspn(*s, " \t");
    return true;
}

static void cmd_in(struct monitor *mon, char *rest)
{
    static const char size_letters[] = "bhw";
    const char *s = rest;
    struct err e = { "" };
    uint64_t port;
    unsigned bytes;

    if (!port_format(&s, &bytes) || monitor_eval(mon, &s, &port, &e) || *s || port > 0xffff)
        monitor_printf(mon, "i: /FMT PORT is wanted, FMT being %s\n", size_letters);
    else
        monitor_printf(mon, "port%c[0x%04x] = 0x%0*x\n", bytes == 1 ? 'b' : bytes == 2 ? 'w' : 'l',
                       (unsigned)port, (int)bytes * 2, port_read(monitor_machine(mon), (uint16_t)port, bytes));
}

static void cmd_out(struct monitor *mon, char *rest)
{
    const char *s = rest;
    struct err e = { "" };
    uint64_t port, val;
    unsigned bytes;

    if (!port_format(&s, &bytes) || monitor_eval(mon, &s, &port, &e) || monitor_eval(mon, &s, &val, &e) ||
        *s || port > 0xffff)
        monitor_printf(mon, "o: /FMT PORT VALUE is wanted\n");
    else
        port_write(monitor_machine(mon), (uint16_t)port, (uint32_t)val, bytes);
}

const struct monitor_cmd machine_commands[] = {
    { "i", "/FMT PORT", "read a port (b, h, w: 1, 2, 4 bytes)", cmd_in },
    { "o", "/FMT PORT VALUE", "write a port", cmd_out },
    { NULL, NULL, NULL, NULL }
};

const struct monitor_cmd machine_infos[] = {
    { "pic", "", "8259s and I/O APIC", info_pic },
    { "ioapic", "", "I/O APIC", info_ioapic },
    { "irq", "", "how often each line was raised", info_irq },
    { "lapic", "[N]", "local APIC of a vCPU", info_lapic },
    { "roms", "", "firmware and option ROMs", info_roms },
    { "chardev", "", "character devices", info_chardev },
    { "name", "", "name of the guest", info_name },
    { "uuid", "", "the machine's UUID", info_uuid },
    { "memory_size_summary", "", "how much RAM", info_memory_size },
    { NULL, NULL, NULL, NULL }
};
