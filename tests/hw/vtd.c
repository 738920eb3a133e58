/* vtd.c - VT-d: translation of edu's DMA, faults, invalidation, interrupt remapping */
#include "hw/acpi/acpi.h"
#include "hw/intc/intc.h"
#include "hw/iommu/vtd-int.h"
#include "hw/misc/edu.h"
#include "hw/user-devices.h"
#include "tests/hw/board.h"
#include "tests/hw/chips.h"

#define REGS    0xfed90000ull
#define EDU_BAR 0xfe000000u
#define EDU     PCI_DEVFN(3, 0)
enum { ROOT = 0x10000, CONTEXT = 0x11000, L3 = 0x12000, L2 = 0x13000, L1 = 0x14000, QUEUE = 0x15000,
       IRTES = 0x16000, PAGE_A = 0x20000, PAGE_B = 0x21000, STATUS = 0x22000 };
#define RW 3

static struct bench b;
static uint64_t queue_tail;

static struct device *user_device(const char *name, const char *prop, const char *val)
{
    struct user_prop p = { prop, val };
    struct err e = { "" };
    struct device *d = user_device_add(b.m, user_device_find(name), NULL, &p, prop ? 1 : 0, &e);

    cr_assert_not_null(d, "%s", e.msg);
    return d;
}

static void wr(unsigned reg, uint32_t v) { mmio_write(&b.m->mem, REGS + reg, v, 4); }
static void wr64(unsigned reg, uint64_t v) { mmio_write(&b.m->mem, REGS + reg, v, 8); }
static uint32_t rd(unsigned reg) { return mmio_read(&b.m->mem, REGS + reg, 4); }
static uint64_t rd64(unsigned reg) { return mmio_read(&b.m->mem, REGS + reg, 8); }
static void put64(gpa_t at, uint64_t v) { stl64(b.m->ram + at, v); }
static void edu_wr(unsigned reg, uint64_t v, unsigned size) { mmio_write(&b.m->mem, EDU_BAR + reg, v, size); }
static uint64_t edu_rd(unsigned reg, unsigned size) { return mmio_read(&b.m->mem, EDU_BAR + reg, size); }

/* A Q35 without firmware: MCH, LPC, I/O APIC, one CPU, VT-d, edu. */
static void rig(const char *prop, const char *val)
{
    struct err e = { "" };

    bench_init(&b, 1);
    b.m->cfg.board = BOARD_Q35;
    bench_add(&b, &ioapic_type, 0, NULL);
    cr_assert_eq(lapic_new_all(b.m, &e), 0);
    pci_bus_new(b.m);
    board_add(b.m, &mch_type, PCI_DEVFN(0, 0));
    board_add(b.m, &ich9_lpc_type, PCI_DEVFN(31, 0));
    user_device("intel-iommu", prop, val);
    user_device("edu", "addr", "3");
    machine_reset(b.m);
    lapic_mmio_write(b.v[0].lapic, 0xf0, 0x1ff, 4);
    cfg_wr(b.m, EDU, PCI_BAR0, EDU_BAR, 4);
    cfg_wr(b.m, EDU, PCI_COMMAND, PCI_COMMAND_MEM | PCI_COMMAND_MASTER, 2);
    queue_tail = 0;
}

/* IOVA 0x1000 is PAGE_A, 0x2000 PAGE_B read-only; 2 MiB and up a large page at 0. */
static void tables(void)
{
    put64(ROOT, CONTEXT | 1);
    put64(CONTEXT + EDU * 16, L3 | 1);
    put64(CONTEXT + EDU * 16 + 8, 7 << 8 | 1);         /* domain 7, 39 bits */
    put64(L3, L2 | RW);
    put64(L2, L1 | RW);
    put64(L2 + 8, 0 | 0x80 | RW);
    put64(L1 + 8, PAGE_A | RW);
    put64(L1 + 16, PAGE_B | 1);
    wr64(R_RTADDR, ROOT);
    wr(R_GCMD, GCMD_SRTP);
    wr(R_GCMD, GCMD_TE);
    cr_assert_eq(rd(R_GSTS) & (GCMD_TE | GCMD_SRTP), GCMD_TE | GCMD_SRTP);
}

static void dma(uint64_t src, uint64_t dst, unsigned n, unsigned cmd)
{
    edu_wr(0x80, src, 8);
    edu_wr(0x88, dst, 8);
    edu_wr(0x90, n, 8);
    edu_wr(0x98, cmd, 4);
    cr_assert_eq(edu_rd(0x98, 4) & 1, 1, "under way");
    bench_step(&b, 1000000);
    cr_assert_eq(edu_rd(0x98, 4) & 1, 0);
}

static int vector(void)
{
    int v = lapic_ack(b.v[0].lapic);

    if (v >= 0)
        lapic_eoi(b.v[0].lapic);
    return v;
}

static uint64_t fault_lo(unsigned n) { return rd64(R_FRCD + n * 16); }
static uint64_t fault_hi(unsigned n) { return rd64(R_FRCD + n * 16 + 8); }

Test(edu, registers_and_interrupts)
{
    rig(NULL, NULL);
    cr_assert_eq(edu_rd(0, 4), 0x010000edu);
    edu_wr(4, 0x12345678, 4);
    cr_assert_eq(edu_rd(4, 4), 0xedcba987);
    cr_assert_eq(edu_rd(0, 8), ~0ull, "8 bytes only from 0x80 on");
    edu_wr(0x20, 0x80, 4);
    edu_wr(8, 10, 4);
    cr_assert_eq(edu_rd(0x20, 4), 0x81);
    bench_step(&b, 1000000);
    cr_assert_eq(edu_rd(0x20, 4), 0x80);
    cr_assert_eq(edu_rd(8, 4), 3628800);
    cr_assert_eq(edu_rd(0x24, 4), 1);
    cr_assert_eq(cfg_rd(b.m, EDU, PCI_STATUS, 2) & PCI_STATUS_INTX, PCI_STATUS_INTX);
    edu_wr(0x60, 0x40, 4);
    cr_assert_eq(edu_rd(0x24, 4), 0x41);
    edu_wr(0x64, 0x01, 4);
    cr_assert_eq(cfg_rd(b.m, EDU, PCI_STATUS, 2) & PCI_STATUS_INTX, PCI_STATUS_INTX);
    edu_wr(0x64, 0x40, 4);
    cr_assert_eq(cfg_rd(b.m, EDU, PCI_STATUS, 2) & PCI_STATUS_INTX, 0);
    edu_wr(8, 0xffffffff, 4);
    bench_step(&b, 1000000);
    cr_assert_eq(edu_rd(8, 4), 0, "modulo 2^32");
    machine_free(b.m);
}

Test(edu, transfers_stay_in_the_buffer_and_below_the_mask)
{
    rig(NULL, NULL);
    put64(PAGE_A, 0x1122334455667788);
    dma(PAGE_A, 0x40008, 8, 1);
    dma(0x40008, 0x10000000 | PAGE_B, 8, 1 | 2 | 4);
    cr_assert_eq(ldl64(b.m->ram + PAGE_B), 0x1122334455667788, "28 bits of the address count");
    cr_assert_eq(edu_rd(0x24, 4), 0x100);
    dma(PAGE_A, 0x40ff9, 8, 1);
    dma(PAGE_A, 0x3ffff, 8, 1);
    dma(0x40ff9, PAGE_B, 8, 1 | 2);
    dma(0x40000, PAGE_B, -1u, 1 | 2);
    cr_assert_eq(ldl64(b.m->ram + PAGE_B), 0x1122334455667788, "past the buffer: nothing");
    cfg_wr(b.m, EDU, PCI_COMMAND, PCI_COMMAND_MEM, 2);
    dma(0x40000, PAGE_B, 8, 1 | 2);
    cr_assert_eq(ldl64(b.m->ram + PAGE_B), 0x1122334455667788, "no bus master");
    machine_free(b.m);
}

Test(vtd, dma_goes_where_the_tables_say)
{
    rig(NULL, NULL);
    put64(PAGE_A + 0x18, 0xa5a5);
    dma(PAGE_A + 0x18, 0x40000, 8, 1);
    dma(0x40000, STATUS, 8, 3);
    cr_assert_eq(ldl64(b.m->ram + STATUS), 0xa5a5, "physical until it is switched on");
    tables();
    put64(PAGE_A + 0x18, 0x5a5a);
    dma(0x1018, 0x40000, 8, 1);
    dma(0x40000, 0x200000 + STATUS, 8, 3);               /* large page */
    cr_assert_eq(ldl64(b.m->ram + STATUS), 0x5a5a);
    cr_assert_eq(rd(R_FSTS), 0);
    put64(CONTEXT + EDU * 16, 2 << 2 | 1);               /* pass-through */
    wr(R_CCMD + 4, 0xa0000000);                          /* global */
    cr_assert_eq(rd(R_CCMD + 4), 0x28000000, "done, CAIG is global");
    dma(0x40000, PAGE_B, 8, 3);
    cr_assert_eq(ldl64(b.m->ram + PAGE_B), 0x5a5a);
    machine_free(b.m);
}

Test(vtd, a_transfer_over_pages_is_put_together)
{
    rig(NULL, NULL);
    tables();
    put64(PAGE_A + 0xff8, 0x1111111111111111);
    put64(PAGE_B, 0x2222222222222222);
    dma(0x1ff8, 0x40000, 16, 1);
    dma(0x40000, 0x200000 + STATUS, 16, 3);
    cr_assert_eq(ldl64(b.m->ram + STATUS), 0x1111111111111111);
    cr_assert_eq(ldl64(b.m->ram + STATUS + 8), 0x2222222222222222);
    machine_free(b.m);
}

static void expect_fault(uint64_t addr, bool write, unsigned why)
{
    if (write)
        dma(0x40000, addr, 4, 3);
    else
        dma(addr, 0x40000, 4, 1);
    cr_assert_eq(rd(R_FSTS) & FSTS_PPF, FSTS_PPF, "fault %#x", why);
    for (unsigned n = 0; n < VTD_RECORDS; n++) {
        if (!(fault_hi(n) >> 63))
            continue;
        cr_assert_eq(rd(R_FSTS) >> 8, n, "FRI");
        cr_assert_eq(fault_hi(n) >> 32 & 0xff, why, "%#lx is not %#x", fault_hi(n) >> 32 & 0xff, why);
        cr_assert_eq(fault_hi(n) & 0xffff, EDU);
        cr_assert_eq(fault_hi(n) >> 62 & 1, !write);
        cr_assert_eq(fault_lo(n), addr & ~0xfffull);
        wr(R_FRCD + n * 16 + 12, 1u << 31);
    }
    cr_assert_eq(rd(R_FSTS) & FSTS_PPF, 0, "the last F clears it");
}

Test(vtd, faults_are_recorded_with_their_reason)
{
    rig(NULL, NULL);
    tables();
    expect_fault(0x3000, false, FR_READ);
    expect_fault(0x3000, true, FR_WRITE);
    expect_fault(0x2000, true, FR_WRITE);
    put64(L1 + 0x20, 1ull << 50 | RW);
    expect_fault(0x4000, false, FR_PAGE_RESERVED);
    put64(L2 + 0x18, PAGE_A | 0x80 | RW);
    expect_fault(0x600000, false, FR_PAGE_RESERVED);
    put64(L2 + 0x18, 0x40000000 | RW);
    expect_fault(0x600000, false, FR_TABLE_ACCESS);
    put64(CONTEXT + EDU * 16 + 8, 3);
    expect_fault(0x5000, false, FR_CONTEXT_BAD);
    put64(CONTEXT + EDU * 16 + 8, 1 | 1ull << 40);
    expect_fault(0x5000, false, FR_CONTEXT_RESERVED);
    put64(CONTEXT + EDU * 16, 0);
    expect_fault(0x5000, false, FR_CONTEXT_ABSENT);
    put64(ROOT + 8, 1);
    expect_fault(0x5000, false, FR_ROOT_RESERVED);
    put64(ROOT, 0);
    expect_fault(0x5000, false, FR_ROOT_ABSENT);
    machine_free(b.m);
}

Test(vtd, addresses_beyond_the_tables_and_silent_contexts)
{
    uint64_t addr = 1ull << 40;
    struct dma d;
    uint8_t buf[4];

    rig(NULL, NULL);
    tables();
    d = pci_find(b.m->pci, 0, EDU)->dma;
    cr_assert(!dma_get(&d, addr, buf, 4));
    cr_assert_eq(fault_hi(0) >> 32 & 0xff, FR_ADDRESS);
    cr_assert_eq(fault_lo(0), addr);
    wr(R_FRCD + 12, 1u << 31);
    put64(CONTEXT + EDU * 16, L3 | 3);                   /* FPD */
    cr_assert(!dma_get(&d, 0x3000, buf, 4));
    cr_assert_eq(rd(R_FSTS) & FSTS_PPF, 0, "not recorded");
    machine_free(b.m);
}

Test(vtd, a_full_set_of_records_overflows)
{
    rig(NULL, NULL);
    tables();
    for (unsigned n = 0; n <= VTD_RECORDS; n++)
        dma(0x3000, 0x40000, 4, 1);
    cr_assert_eq(rd(R_FSTS) & 3, FSTS_PFO | FSTS_PPF);
    for (unsigned n = 0; n < VTD_RECORDS; n++)
        wr(R_FRCD + n * 16 + 12, 1u << 31);
    cr_assert_eq(rd(R_FSTS) & 3, FSTS_PFO);
    wr(R_FSTS, FSTS_PFO);
    cr_assert_eq(rd(R_FSTS) & 3, 0);
    machine_free(b.m);
}

Test(vtd, fault_events_wait_while_masked_and_come_once)
{
    rig(NULL, NULL);
    tables();
    wr(R_FEADDR, 0xfee00000);
    wr(R_FEDATA, 0x61);
    dma(0x3000, 0x40000, 4, 1);
    cr_assert_eq(rd(R_FECTL), 0xc0000000, "masked: pending");
    cr_assert_eq(vector(), -1);
    wr(R_FECTL, 0);
    cr_assert_eq(vector(), 0x61);
    cr_assert_eq(rd(R_FECTL), 0);
    dma(0x3000, 0x40000, 4, 1);
    cr_assert_eq(vector(), -1, "the first is not served yet");
    machine_free(b.m);
}

/* ---- invalidation ------------------------------------------------------------------ */

static void queue_on(void)
{
    wr64(R_IQA, QUEUE);
    wr(R_GCMD, rd(R_GSTS) | GCMD_QIE);
    cr_assert_eq(rd(R_GSTS) & GCMD_QIE, GCMD_QIE);
}

static void submit(uint64_t lo, uint64_t hi)
{
    put64(QUEUE + queue_tail, lo);
    put64(QUEUE + queue_tail + 8, hi);
    queue_tail = (queue_tail + 16) % 4096;
    wr(R_IQT, queue_tail);
}

/* Which page 0x1000 leads to. */
static uint64_t seen(void)
{
    struct dma d = pci_find(b.m->pci, 0, EDU)->dma;
    uint64_t v = 0;

    dma_get(&d, 0x1000, &v, 8);
    return v;
}

Test(vtd, stale_translations_last_until_they_are_invalidated)
{
    static const struct { uint64_t lo, hi; bool hit; const char *what; } rows[] = {
        { 2 | 3 << 4 | 7 << 16, 0x1000, true, "the page" },
        { 2 | 3 << 4 | 7 << 16, 0x2000, false, "another page" },
        { 2 | 3 << 4 | 7 << 16, 0x0000 | 2, true, "four pages" },
        { 2 | 3 << 4 | 8 << 16, 0x1000, false, "another domain's page" },
        { 2 | 2 << 4 | 7 << 16, 0, true, "the domain" },
        { 2 | 2 << 4 | 8 << 16, 0, false, "another domain" },
        { 2 | 1 << 4, 0, true, "everything" },
        { 1 | 1 << 4, 0, true, "all contexts" },
        { 1 | 2 << 4 | 7 << 16, 0, true, "contexts of the domain" },
        { 1 | 3 << 4 | (uint64_t)EDU << 32, 0, true, "the device's context" },
        { 1 | 3 << 4 | (uint64_t)(EDU + 1) << 32, 0, false, "another function's" },
        { 1 | 3 << 4 | (uint64_t)(EDU + 1) << 32 | 3ull << 48, 0, true, "any function's" },
    };

    rig(NULL, NULL);
    tables();
    queue_on();
    put64(PAGE_A, 0xa);
    put64(PAGE_B, 0xb);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        put64(L1 + 8, PAGE_A | RW);
        submit(2 | 1 << 4, 0);
        cr_assert_eq(seen(), 0xa);
        put64(L1 + 8, PAGE_B | RW);
        cr_assert_eq(seen(), 0xa, "still cached");
        submit(rows[i].lo, rows[i].hi);
        cr_assert_eq(seen(), rows[i].hit ? 0xb : 0xa, "%s", rows[i].what);
    }
    put64(L1 + 8, PAGE_A | RW);
    wr64(R_IVA, 0x1000);
    wr64(R_IOTLB, 1ull << 63 | 3ull << 60 | 7ull << 32);
    cr_assert_eq(seen(), 0xa, "by register");
    cr_assert_eq(rd(R_IOTLB + 4) >> 25, 3 << 3 | 3, "IVT is clear, IAIG says page");
    machine_free(b.m);
}

Test(vtd, wait_descriptors_tell_memory_and_interrupt)
{
    rig(NULL, NULL);
    queue_on();
    wr(R_IEADDR, 0xfee00000);
    wr(R_IEDATA, 0x62);
    wr(R_IECTL, 0);
    submit(5 | 1 << 5 | 0xabcdull << 32, STATUS);
    cr_assert_eq(ldl32(b.m->ram + STATUS), 0xabcd);
    cr_assert_eq(vector(), -1);
    submit(5 | 1 << 4, 0);
    cr_assert_eq(vector(), 0x62);
    cr_assert_eq(rd(R_ICS), 1);
    wr(R_ICS, 1);
    cr_assert_eq(rd(R_ICS), 0);
    for (unsigned n = 0; n < 300; n++)                   /* round the queue */
        submit(4, 0);
    cr_assert_eq(rd(R_IQH), queue_tail);
    machine_free(b.m);
}

Test(vtd, a_bad_descriptor_stops_the_queue_until_the_error_is_cleared)
{
    uint64_t bad;

    rig(NULL, NULL);
    queue_on();
    bad = queue_tail;
    submit(9, 0);
    cr_assert_eq(rd(R_FSTS) & FSTS_IQE, FSTS_IQE);
    cr_assert_eq(rd(R_IQH), bad);
    submit(5 | 1 << 5 | 1ull << 32, STATUS);
    cr_assert_eq(ldl32(b.m->ram + STATUS), 0, "stands still");
    put64(QUEUE + bad, 4);
    wr(R_FSTS, FSTS_IQE);
    cr_assert_eq(ldl32(b.m->ram + STATUS), 1);
    cr_assert_eq(rd(R_IQH), queue_tail);
    wr(R_IQT, 0x7fff0);
    cr_assert_eq(rd(R_FSTS) & FSTS_IQE, FSTS_IQE, "a tail past the queue");
    machine_free(b.m);
}

/* ---- interrupts ------------------------------------------------------------------------ */

static void remapping_on(uint32_t more)
{
    wr64(R_IRTA, IRTES | 7 | (more & 0x800));            /* 256 entries */
    wr(R_GCMD, rd(R_GSTS) | GCMD_SIRTP);
    wr(R_GCMD, (rd(R_GSTS) & ~(GCMD_SRTP | GCMD_SIRTP)) | GCMD_IRE | (more & GCMD_CFI));
}

static void irte(unsigned n, uint64_t lo, uint64_t hi)
{
    put64(IRTES + n * 16, lo);
    put64(IRTES + n * 16 + 8, hi);
}

static bool message(unsigned index, uint32_t data)
{
    return bus_message(b.m, EDU, 0xfee00010 | index << 5, data);
}

static void blocked_with(unsigned why, unsigned index)
{
    cr_assert_eq(vector(), -1);
    cr_assert_eq(fault_hi(0) >> 32 & 0xff, why, "%#lx", fault_hi(0) >> 32 & 0xff);
    cr_assert_eq(fault_lo(0) >> 48, index);
    wr(R_FRCD + 12, 1u << 31);
    ((struct vtd *)machine_find_device(b.m, "intel-iommu"))->next_record = 0;
}

Test(vtd, messages_are_remapped_and_checked)
{
    rig(NULL, NULL);
    cr_assert(bus_message(b.m, EDU, 0xfee00000, 0x41));
    cr_assert_eq(vector(), 0x41, "as it is until switched on");
    remapping_on(0);
    irte(5, 1 | 0x71 << 16, 1 << 18 | EDU);
    cr_assert(message(5, 0));
    cr_assert_eq(vector(), 0x71);
    irte(6, 1 | 0x72 << 16, 0);
    cr_assert(bus_message(b.m, EDU, 0xfee00018 | 4 << 5, 2));
    cr_assert_eq(vector(), 0x72, "SHV: handle and subhandle");
    irte(7, 1 | 0x73 << 16, 1 << 18 | (EDU ^ 8));
    cr_assert(!message(7, 0));
    blocked_with(FR_INT_SOURCE, 7);
    irte(7, 1 | 0x73 << 16, 1 << 18 | 3 << 16 | (EDU ^ 7));
    cr_assert(message(7, 0));
    cr_assert_eq(vector(), 0x73, "SQ: any function");
    irte(7, 1 | 0x73 << 16, 2 << 18 | 0x0102);
    cr_assert(!message(7, 0));
    blocked_with(FR_INT_SOURCE, 7);
    cr_assert(!message(8, 0));
    blocked_with(FR_IRTE_ABSENT, 8);
    cr_assert(!message(256, 0));
    blocked_with(FR_INT_INDEX, 256);
    irte(9, 1 | 1 << 15 | 0x74 << 16, 0);
    cr_assert(!message(9, 0));
    blocked_with(FR_IRTE_RESERVED, 9);
    cr_assert(!bus_message(b.m, EDU, 0xfee00018, 0x10000));
    blocked_with(FR_INT_RESERVED, 0);
    cr_assert(!bus_message(b.m, EDU, 0xfee00000, 0x41));
    blocked_with(FR_INT_COMPAT, 0);
    remapping_on(GCMD_CFI);
    cr_assert(bus_message(b.m, EDU, 0xfee00000, 0x42));
    cr_assert_eq(vector(), 0x42);
    irte(8, 2, 0);
    cr_assert(!message(8, 0));
    cr_assert_eq(rd(R_FSTS) & FSTS_PPF, 0, "FPD");
    machine_free(b.m);
}

Test(vtd, the_io_apic_sends_an_index)
{
    rig(NULL, NULL);
    remapping_on(0);
    irte(3, 1 | 0x81 << 16 | 1 << 4, 0);
    wr32(&b, IOAPIC_BASE, 0x10 + 2 * 20 + 1);
    wr32(&b, IOAPIC_BASE + 0x10, 3 << 17 | 1 << 16);
    cr_assert_eq(rd32(&b, IOAPIC_BASE + 0x10), 3 << 17 | 1 << 16);
    wr32(&b, IOAPIC_BASE, 0x10 + 2 * 20);
    wr32(&b, IOAPIC_BASE + 0x10, 0x8081);
    ioapic_set_irq(b.m->ioapic, 20, 1);
    cr_assert_eq(lapic_ack(b.v[0].lapic), 0x81);
    ioapic_set_irq(b.m->ioapic, 20, 0);
    lapic_eoi(b.v[0].lapic);
    wr32(&b, IOAPIC_BASE, 0x10 + 2 * 20);
    cr_assert_eq(rd32(&b, IOAPIC_BASE + 0x10) & 0x4000, 0, "EOI ends it");
    machine_free(b.m);
}

Test(vtd, eim_takes_the_whole_destination)
{
    rig(NULL, NULL);
    cr_assert_eq(rd64(R_ECAP) >> 3 & 3, 3, "IR and EIM");
    remapping_on(0x800);
    irte(1, 1 | 0x91 << 16 | 0ull << 32, 0);
    irte(2, 1 | 0x92 << 16 | 0x100ull << 32, 0);
    cr_assert(message(1, 0));
    cr_assert_eq(vector(), 0x91);
    cr_assert(!message(2, 0), "ID 0x100 is nobody");
    cr_assert_eq(vector(), -1);
    machine_free(b.m);
}

Test(vtd, properties_decide_the_capabilities)
{
    struct err e = { "" };

    rig("intremap", "off");
    cr_assert_eq(rd64(R_ECAP) >> 3 & 3, 0);
    wr(R_GCMD, GCMD_IRE);
    cr_assert_eq(rd(R_GSTS) & GCMD_IRE, 0);
    cr_assert_null(user_device_add(b.m, user_device_find("intel-iommu"), NULL, NULL, 0, &e));
    cr_assert_not_null(strstr(e.msg, "one already"));
    machine_free(b.m);
    rig("aw-bits", "39");
    cr_assert_eq(rd64(R_CAP) >> 8 & 31, 2);
    machine_free(b.m);
    rig("caching-mode", "on");
    cr_assert_eq(rd64(R_CAP) >> 7 & 1, 1);
    machine_free(b.m);
}

Test(vtd, dmar_names_the_unit_and_who_is_no_function)
{
    struct acpi_tables *t;
    const uint8_t *p;

    rig("eim", "off");
    b.m->cfg.n_vcpus = 1;
    t = acpi_build(b.m);
    for (p = t->tables; p + 80 <= t->tables + t->len && memcmp(p, "DMAR", 4); p += 16)
        ;
    cr_assert_arr_eq(p, "DMAR", 4);
    cr_assert_eq(ldl32(p + 4), 80);
    cr_assert_eq(p[36], 47, "48 bits");
    cr_assert_eq(p[37], 3, "remaps interrupts, no x2APIC");
    cr_assert_eq(ldl32(p + 48), 32u << 16, "DRHD");
    cr_assert_eq(p[52], 1, "all PCI devices");
    cr_assert_eq(ldl64(p + 56), REGS);
    cr_assert_eq(p[64], 3, "scope: I/O APIC");
    cr_assert_eq(p[69] << 8 | p[70] << 3 | p[71], RID_IOAPIC);
    cr_assert_eq(p[72], 4, "scope: HPET");
    cr_assert_eq(p[77] << 8 | p[78] << 3 | p[79], RID_HPET);
    acpi_free(t);
    machine_free(b.m);
}

Test(vtd, only_on_the_q35_board)
{
    struct err e = { "" };
    struct machine *m = board_machine();

    cr_assert_null(user_device_add(m, user_device_find("intel-iommu"), NULL, NULL, 0, &e));
    cr_assert_not_null(strstr(e.msg, "q35"));
    cr_assert_null(m->iommu);
    machine_free(m);
}

Test(vtd, a_list_has_zeroes_where_a_page_is_blocked)
{
    struct dma d;
    struct sg s;
    uint8_t buf[0x1000];

    rig(NULL, NULL);
    tables();
    d = pci_find(b.m->pci, 0, EDU)->dma;
    memset(b.m->ram + PAGE_B, 0x77, 0x1000);
    sg_init(&s, &d, false);
    cr_assert_eq(sg_add(&s, 0x2800, 0x1000), 0);         /* half of page B, half of nothing */
    cr_assert_eq(sg_get(&s, 0, buf, sizeof buf), sizeof buf);
    cr_assert_eq(buf[0x7ff], 0x77);
    cr_assert_eq(buf[0x800], 0);
    sg_free(&s);
    sg_init(&s, &d, true);
    cr_assert_eq(sg_add(&s, 0x1000, 0x1800), 0);         /* page B may not be written */
    memset(buf, 0x99, sizeof buf);
    sg_put(&s, 0, buf, 0x1000);
    sg_put(&s, 0x1000, buf, 0x800);
    sg_done(&s, 0x1800);
    cr_assert_eq(b.m->ram[PAGE_A + 0xfff], 0x99);
    cr_assert_eq(b.m->ram[PAGE_B], 0x77);
    sg_init(&s, &d, false);
    cr_assert_eq(sg_add(&s, 0x10000, 16 * MiB), -EFAULT, "blocked without end");
    sg_free(&s);
    machine_free(b.m);
}
