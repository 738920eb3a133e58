/* q35.c - the Q35 board from a guest's side: configuration window, PIRQs, VT-d. Wants
 * -machine q35 -device intel-iommu -device edu */
#include "lib/desc.h"

#define EDU_ID    0x11e81234u
#define EDU_BAR   0xfe000000u
#define ECAM      0xb0000000u
#define LPC       (31u << 3)
#define DMA_VEC   0x51

static volatile u32 *const lapic = (u32 *)0xfee00000ul;
static volatile u32 *const ioapic = (u32 *)0xfec00000ul;
static volatile u32 *const vtd = (u32 *)0xfed90000ul;
static volatile u32 *const edu = (u32 *)(ulong)EDU_BAR;

enum { VER = 0x00, GCMD = 0x18, GSTS = 0x1c, RTADDR = 0x20, FSTS = 0x34, IQH = 0x80, IQT = 0x88,
       IQA = 0x90, IRTA = 0xb8, FRCD = 0x220 };
enum { TE = 1u << 31, SRTP = 1u << 30, QIE = 1u << 26, IRE = 1u << 25, SIRTP = 1u << 24 };

/* tables of the remapping unit: pages of RAM that nothing else uses */
static u32 *const root = (u32 *)0x400000, *const context = (u32 *)0x401000;
static u32 *const level3 = (u32 *)0x402000, *const level2 = (u32 *)0x403000;
static u32 *const level1 = (u32 *)0x404000, *const queue = (u32 *)0x405000;
static u32 *const irte = (u32 *)0x406000;
static volatile u32 *const page_a = (u32 *)0x410000, *const page_b = (u32 *)0x411000;
static volatile u32 *const status = (u32 *)0x412000;

static u32 cfg_rd(u32 devfn, u32 reg)
{
    outl(0xcf8, 0x80000000u | devfn << 8 | reg);
    return inl(0xcfc);
}

static void cfg_wr(u32 devfn, u32 reg, u32 v)
{
    outl(0xcf8, 0x80000000u | devfn << 8 | reg);
    outl(0xcfc, v);
}

static volatile u32 *ecam(u32 devfn, u32 reg)
{
    return (u32 *)(ulong)(ECAM + (devfn << 12) + reg);
}

static u32 find(u32 id)
{
    u32 devfn = 0;

    while (devfn < 256 && cfg_rd(devfn, 0) != id)
        devfn++;
    return devfn;
}

static void test_ecam(u32 dev)
{
    check("Q35 host bridge", cfg_rd(0, 0), 0x29c08086);
    check("ICH9 LPC bridge", cfg_rd(LPC, 0), 0x29188086);
    check("window is closed after reset", *ecam(LPC, 0), 0xffffffff);
    cfg_wr(0, 0x64, 0);
    cfg_wr(0, 0x60, ECAM | 1);
    check("window shows the LPC bridge", *ecam(LPC, 0), 0x29188086);
    check("window shows edu", *ecam(dev, 0), EDU_ID);
    *ecam(dev, 0x10) = EDU_BAR;
    *ecam(dev, 0x04) = 6;
    check("BAR written through it", cfg_rd(dev, 0x10), EDU_BAR);
    check("edu identifies itself", edu[0], 0x010000ed);
}

static u32 pending(u32 vec) { return lapic[0x200 / 4 + vec / 32 * 4] >> vec % 32 & 1; }
static u32 taken;

static int hook(struct frame *f)
{
    if (f->vec < 0x40)
        return 0;
    taken = (u32)f->vec;
    edu[0x64 / 4] = edu[0x24 / 4];
    lapic[0xb0 / 4] = 0;
    return 1;
}

/* The interrupt that edu raises now; 0: none within a while. */
static u32 raised(void)
{
    taken = 0;
    edu[0x60 / 4] = 1;
    asm volatile("sti\n\tnop\n\tnop\n\tcli" : : : "memory");
    edu[0x64 / 4] = edu[0x24 / 4];
    return taken;
}

static void redirect(u32 pin, u32 high, u32 low)
{
    ioapic[0] = 0x11 + 2 * pin;
    ioapic[4] = high;
    ioapic[0] = 0x10 + 2 * pin;
    ioapic[4] = low;
}

/* INTA of slot n is on PIRQ E + (n & 3), and that on I/O APIC pin 20 + (n & 3). */
static void test_pirq(u32 dev)
{
    u32 pin = 20 + (dev >> 3 & 3);

    lapic[0xf0 / 4] = 0x1ff;
    trap.hook = hook;
    redirect(pin, 0, 0x8000 | DMA_VEC);
    check("INTx at its I/O APIC pin", raised(), DMA_VEC);
    redirect(pin, 0, 1 << 16);
    check("masked there", raised(), 0);
    check("nothing is left", pending(DMA_VEC), 0);
}

static void dma(u32 src, u32 dst, u32 cmd)
{
    edu[0x80 / 4] = src, edu[0x84 / 4] = 0;
    edu[0x88 / 4] = dst, edu[0x8c / 4] = 0;
    edu[0x90 / 4] = 4, edu[0x94 / 4] = 0;
    edu[0x98 / 4] = cmd;
    while (edu[0x98 / 4] & 1)
        ;
}

static void command(u32 bit)
{
    vtd[GCMD / 4] = (vtd[GSTS / 4] & ~(SRTP | SIRTP)) | bit;
    while (!(vtd[GSTS / 4] & bit))
        ;
}

static void put64(u32 *at, u64 v)
{
    at[0] = (u32)v;
    at[1] = (u32)(v >> 32);
}

/* Address 0x1000 leads to page A for reading and writing, 0x2000 to page B for reading. */
static void remap_on(u32 dev)
{
    put64(root, (ulong)context | 1);
    put64(context + dev * 4, (ulong)level3 | 1);
    put64(context + dev * 4 + 2, 1 << 8 | 1);
    put64(level3, (ulong)level2 | 3);
    put64(level2, (ulong)level1 | 3);
    put64(level1 + 2, (ulong)page_a | 3);
    put64(level1 + 4, (ulong)page_b | 1);
    vtd[RTADDR / 4] = (u32)(ulong)root;
    vtd[RTADDR / 4 + 1] = 0;
    command(SRTP);
    command(TE);
}

static void test_dma(u32 dev)
{
    check("VT-d version", vtd[VER / 4], 0x10);
    page_a[4] = 0x12345678;
    dma((u32)(ulong)&page_a[4], 0x40000, 1);
    dma(0x40000, (u32)(ulong)status, 3);
    check("DMA before: physical", *status, 0x12345678);
    remap_on(dev);
    page_a[5] = 0x9abcdef0;
    dma(0x1014, 0x40000, 1);
    dma(0x40000, 0x1018, 3);
    check("DMA to and from a mapped page", page_a[6], 0x9abcdef0);
    check("no fault", vtd[FSTS / 4], 0);
    page_b[0] = 1;
    dma(0x40000, 0x2000, 3);
    check("write to a read-only page is dropped", page_b[0], 1);
    check("fault is pending", vtd[FSTS / 4] & 3, 2);
    check("record: address", vtd[FRCD / 4], 0x2000);
    check("record: requester", vtd[FRCD / 4 + 2] & 0xffff, dev);
    check("record: write permission", vtd[FRCD / 4 + 3], 1u << 31 | 5);
    vtd[FRCD / 4 + 3] = 1u << 31;
    check("record cleared", vtd[FSTS / 4] & 3, 0);
}

static void submit(u64 lo, u64 hi)
{
    u32 tail = vtd[IQT / 4];

    put64(queue + tail / 4, lo);
    put64(queue + tail / 4 + 2, hi);
    vtd[IQT / 4] = tail + 16;
}

static void test_queue(void)
{
    vtd[IQA / 4] = (u32)(ulong)queue;
    vtd[IQA / 4 + 1] = 0;
    command(QIE);
    page_b[4] = 0x55;
    put64(level1 + 2, (ulong)page_b | 3);
    submit(2 | 3 << 4 | 1 << 16, 0x1000);
    *status = 0;
    submit(5 | 1 << 5 | 7ull << 32, (ulong)status);
    check("wait descriptor writes its status", *status, 7);
    dma(0x1010, 0x40000, 1);
    dma(0x40000, 0x1020, 3);
    check("invalidated page is walked again", page_b[8], 0x55);
}

static void test_interrupts(u32 dev)
{
    u32 pin = 20 + (dev >> 3 & 3);

    put64(irte + 3 * 4, 1 | 1 << 4 | (u64)DMA_VEC << 16);
    put64(irte + 3 * 4 + 2, 0);
    vtd[IRTA / 4] = (u32)(ulong)irte | 7;
    vtd[IRTA / 4 + 1] = 0;
    command(SIRTP);
    command(IRE);
    redirect(pin, 3u << 17 | 1u << 16, 0x8000 | DMA_VEC);
    check("I/O APIC entry in remappable format", raised(), DMA_VEC);
    redirect(pin, 0, 0x8000 | DMA_VEC);
    check("compatibility format is blocked", raised(), 0);
    check("and recorded", vtd[FRCD / 4 + 4 + 3], 1u << 31 | 1u << 30 | 0x25);
}

int main(void)
{
    u32 dev;

    trap_init();
    dev = find(EDU_ID);
    check("edu is on the bus", dev < 256, 1);
    test_ecam(dev);
    test_pirq(dev);
    test_dma(dev);
    test_queue();
    test_interrupts(dev);
    finish();
}
