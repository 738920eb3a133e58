/*
 * bt-pv.c - what the translated CPU's paravirtual interfaces need of the machine and the host
 */
#define _GNU_SOURCE 1
#include <fcntl.h>
#include <unistd.h>
#include "accel/bt-int.h"
#include "hw/intc/intc.h"

/* ---- memory that both sides write ------------------------------------------------- */

/* Without a lock: this is done around every HLT. On the vCPU's thread, or while it is parked. */
static void *bus_ram(void *opaque, gpa_t gpa, uint64_t len)
{
    struct bt_cpu *c = opaque;
    uint32_t page;
    uint8_t *p;

    if (gpa % 4096 + len > 4096 || bt_phys_find(&c->bt->phys, gpa, &p, &page) != PHYS_RAM)
        return NULL;
    return p;
}

static void bus_ram_done(void *opaque, gpa_t gpa, uint64_t len)
{
    struct bt_cpu *c = opaque;
    uint32_t page;
    uint8_t *p;

    if (bt_phys_find(&c->bt->phys, gpa, &p, &page) != PHYS_RAM)
        return;
    bt_note_write(c->bt, page);
    tcg_invalidate_phys(c->bt->tcg, page, gpa % 4096, len);
}

/* ---- other vCPUs -------------------------------------------------------------------- */

static bool bus_pv_kick(void *opaque, uint32_t apic_id)
{
    struct bt_cpu *c = opaque;
    struct bt *bt = c->bt;

    for (unsigned i = 0; i < bt->n_cpus; i++)
        if (bt->cpus[i].ac.vcpu.apic_id == apic_id) {
            vcpu_intr_raise(&bt->cpus[i].ac.vcpu, VCPU_INTR_UNHALT);
            return true;
        }
    return false;
}

static int bus_pv_send_ipi(void *opaque, const uint64_t map[2], uint32_t first, uint32_t icr)
{
    struct bt_cpu *c = opaque;

    return apic_send_to_ids(c->bt->m, map, first, icr);
}

/* ---- the host's scheduler ------------------------------------------------------------ */

enum { SCHED_CLOSED = -1, SCHED_NEVER = -2 };

/* Linux: "ns run, ns ready but not running, slices"; 0 where there is no such file. */
static uint64_t bus_steal_ns(void *opaque)
{
    struct bt_cpu *c = opaque;
    unsigned long long ran, waited;
    char text[96];
    ssize_t n;

    if (c->sched_fd == SCHED_CLOSED && (c->sched_fd = open("/proc/thread-self/schedstat", O_RDONLY | O_CLOEXEC)) < 0)
        c->sched_fd = SCHED_NEVER;
    if (c->sched_fd < 0 || (n = pread(c->sched_fd, text, sizeof(text) - 1, 0)) <= 0)
        return 0;
    text[n] = 0;
    return sscanf(text, "%llu %llu", &ran, &waited) == 2 ? waited : 0;
}

void bt_pv_init(struct bt_cpu *c)
{
    c->sched_fd = SCHED_CLOSED;
    c->bus.ram = bus_ram;
    c->bus.ram_done = bus_ram_done;
    c->bus.pv_kick = bus_pv_kick;
    c->bus.pv_send_ipi = bus_pv_send_ipi;
    c->bus.steal_ns = bus_steal_ns;
}

void bt_pv_free(struct bt_cpu *c)
{
    if (c->sched_fd >= 0)
        close(c->sched_fd);
}
