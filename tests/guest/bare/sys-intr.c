/*
 * sys-intr.c - delivery and priority of interrupts: local APIC, I/O APIC, PIT, RTC, HPET, NMI
 *
 * Source: Intel SDM vol. 3, "Handling Interrupts" 11.8 and "APIC Timer" 11.5.4, "Handling Multiple
 * NMIs" 6.7.1; 82093AA I/O APIC and IA-PC HPET specifications.
 */
#include "lib/desc.h"

#define MEM "memory", "cc"

static volatile u32 *const lapic = (u32 *)0xfee00000ul, *const ioapic = (u32 *)0xfec00000ul,
                           *const hpet = (u32 *)0xfed00000ul;
enum { ID = 0x20 / 4, TPR = 0x80 / 4, PPR = 0xa0 / 4, EOI = 0xb0 / 4, SVR = 0xf0 / 4, ISR = 0x100 / 4, IRR = 0x200 / 4,
       ESR = 0x280 / 4, ICR = 0x300 / 4, ICR_HIGH = 0x310 / 4, LVT_TIMER = 0x320 / 4, LVT_LINT0 = 0x350 / 4,
       INITIAL = 0x380 / 4, CURRENT = 0x390 / 4, DIVIDE = 0x3e0 / 4 };

static u8 order[16];
static u32 n_order, keep_in_service, only; /* only: the one vector that counts */

static int hook_record(struct frame *f)
{
    if (f->vec == 5) /* illegal for an interrupt; QEMU delivers it */
        return 1;
    if (f->vec < 0x40 || f->vec == LEAVE_VEC)
        return 0;
    if (only && f->vec != only) {
        lapic[EOI] = 0;
        return 1;
    }
    if (n_order < sizeof(order))
        order[n_order] = (u8)f->vec;
    n_order++;
    if (!keep_in_service)
        lapic[EOI] = 0;
    return 1;
}

static void self(u8 vec) { lapic[ICR] = 0x40000 | vec; }
static void window(void) { asm volatile("sti\n\tnop\n\tnop\n\tnop\n\tcli" : : : "memory"); }
static u32 bit_of(u32 reg, u8 vec) { return lapic[reg + vec / 32 * 4] >> (vec & 31) & 1; }
static u32 packed(void) { return (u32)order[0] << 24 | order[1] << 16 | order[2] << 8 | order[3]; }

static void begin(void)
{
    n_order = 0;
    bytes_set(order, 0, sizeof(order));
}

static u8 cmos(u8 reg)
{
    outb(0x70, reg);
    return inb(0x71);
}
static void cmos_set(u8 reg, u8 v)
{
    outb(0x70, reg);
    outb(0x71, v);
}

/* until @count interrupts have come, or the clock has gone on by several seconds */
static u32 wait_for(u32 count)
{
    u32 seconds = 0;
    u8 last = cmos(0);

    asm volatile("sti");
    while (n_order < count && seconds < 120) {
        for (u32 i = 0; i < 200 && n_order < count; i++)
            asm volatile("pause" : : : "memory");
        seconds += cmos(0) != last;
        last = cmos(0);
    }
    asm volatile("cli");
    return n_order;
}

static void test_priority(void)
{
    begin();
    self(0x51);
    self(0x91);
    self(0x71);
    self(0x61);
    check("IRR holds what is pending", bit_of(IRR, 0x51) + bit_of(IRR, 0x91) + bit_of(IRR, 0x71) + bit_of(IRR, 0x61), 4);
    window();
    window();
    window();
    window();
    check("delivered by priority", packed(), 0x91716151);
    begin();
    keep_in_service = 1;
    self(0x61);
    window();
    check("ISR until EOI", bit_of(ISR, 0x61), 1);
    check("PPR is the class in service", lapic[PPR], 0x60);
    self(0x65);
    window();
    check("the same class waits", n_order, 1);
    self(0x71);
    window();
    check("a higher class does not", packed(), 0x61710000);
    check("PPR follows", lapic[PPR], 0x70);
    lapic[EOI] = 0;
    check("EOI ends the highest", bit_of(ISR, 0x71) << 1 | bit_of(ISR, 0x61), 1);
    keep_in_service = 0;
    lapic[EOI] = 0;
    window();
    check("then the waiting one comes", packed(), 0x61716500);
    lapic[TPR] = 0x6f;
    begin();
    self(0x6e);
    self(0x70);
    window();
    window();
    check("TPR holds its class back", packed(), 0x70000000);
    check("PPR shows TPR", lapic[PPR], 0x6f);
#ifdef __x86_64__
    ulong cr8;
    asm volatile("mov %%cr8, %0" : "=r"(cr8));
    check("CR8 is the TPR's class", cr8, 6);
    asm volatile("mov %0, %%cr8" : : "r"(5ul));
    check("MOV to CR8 sets the TPR", lapic[TPR], 0x50);
#endif
    lapic[TPR] = 0;
    window();
    check("released", packed(), 0x706e0000);
    begin();
    self(0x55);
    self(0x55);
    window();
    window();
    check("a vector is pending once", n_order, 1);
    lapic[ESR] = 0;
    lapic[ICR] = 0x40000 | 5;
    lapic[ESR] = 0;
    check("ESR: illegal vector sent", lapic[ESR] & 0x20, 0x20);
    lapic[ESR] = 0;
}

static void test_timer(void)
{
    u32 a, b;

    begin();
    lapic[DIVIDE] = 0xb;
    lapic[LVT_TIMER] = 0x10052;
    lapic[INITIAL] = 1000;
    for (u32 i = 0; i < 1000000 && lapic[CURRENT]; i++)
        ;
    check("masked timer counts down", lapic[CURRENT], 0);
    check("but does not interrupt", n_order | bit_of(IRR, 0x52), 0);
    lapic[LVT_TIMER] = 0x20052;
    lapic[INITIAL] = 5000;
    check("periodic timer", wait_for(3) >= 3, 1);
    lapic[INITIAL] = 0;
    window();
    a = n_order;
    for (u32 i = 0; i < 10000; i++)
        asm volatile("pause");
    window();
    check("initial count 0 stops it", n_order, a);
    begin();
    lapic[LVT_TIMER] = 0x52;
    lapic[INITIAL] = 5000;
    wait_for(1);
    a = lapic[CURRENT];
    window();
    check("one-shot timer fires once", n_order << 8 | a, 1 << 8);
    lapic[INITIAL] = 0xffffffff;
    a = lapic[CURRENT];
    for (u32 i = 0; i < 1000; i++)
        asm volatile("pause");
    b = lapic[CURRENT];
    check("its counter goes down", b < a, 1);
    lapic[INITIAL] = 0;
    lapic[LVT_TIMER] = 0x10052;
}

/* ---- NMI ------------------------------------------------------------------------------------- */

static u32 nmis, depth, deepest;

static void send_nmi(void)
{
    lapic[ICR_HIGH] = lapic[ID];
    lapic[ICR] = 0x4400;
    for (u32 i = 0; i < 1000; i++)
        asm volatile("pause" : : : "memory");
}

static int hook_nmi(struct frame *f)
{
    if (f->vec != 2)
        return 0;
    depth++;
    nmis++;
    deepest = depth > deepest ? depth : deepest;
    if (nmis == 1) {
        send_nmi();
        send_nmi(); /* one is remembered */
    }
    depth--;
    return 1;
}

static void test_nmi(void)
{
    trap.hook = hook_nmi;
    nmis = deepest = 0;
    asm volatile("cli");
    send_nmi();
    check("NMI comes with IF clear, another after IRET", nmis, 2);
    check("NMI waits until IRET", deepest, 1);
    trap.hook = hook_record;
}

/* ---- I/O APIC and what drives it --------------------------------------------------------------- */

static void redirect(u32 pin, u32 low)
{
    ioapic[0] = 0x11 + pin * 2;
    ioapic[4] = lapic[ID];
    ioapic[0] = 0x10 + pin * 2;
    ioapic[4] = low;
}

static void test_ioapic(void)
{
    u32 n;

    redirect(2, 0x56); /* PIT: edge */
    begin();
    outb(0x43, 0x34);
    outb(0x40, 0x00);
    outb(0x40, 0x08);
    check("PIT through the I/O APIC", wait_for(3) >= 3 && order[0] == 0x56, 1);
    redirect(2, 0x10056);
    window();
    n = n_order;
    for (u32 i = 0; i < 20000; i++)
        inb(0x61);
    window();
    check("masked at the I/O APIC", n_order, n);
    outb(0x43, 0x30); /* mode 0 with no count: quiet */
    only = 0x58;
    redirect(8, 0x58);
    begin();
    cmos(0xc);
    cmos_set(0xa, 0x26); /* 1024 Hz */
    cmos_set(0xb, 0x42);
    check("RTC periodic interrupt", wait_for(1) == 1 && order[0] == 0x58, 1);
    window();
    check("no other until register C is read", n_order, 1);
    check("register C: IRQF and PF", cmos(0xc) & 0xc0, 0xc0);
    check("then the next", wait_for(2) >= 2, 1);
    cmos_set(0xb, 0x02);
    cmos(0xc);
    redirect(8, 0x10058);
    only = 0;
}

static void test_hpet(void)
{
    u32 a, b, pin = 0;

    if ((hpet[0] & 0xff) == 0 || hpet[0] == 0xffffffff || !(hpet[0x104 / 4] & 0xffffff)) {
        skip("HPET", "there is none");
        return;
    }
    check("HPET period is at most 100 ns", hpet[1] && hpet[1] <= 100000000, 1);
    while (!(hpet[0x104 / 4] >> pin & 1))
        pin++;
    hpet[0x10 / 4] = 0;
    hpet[0xf0 / 4] = 0;
    hpet[0xf4 / 4] = 0;
    redirect(pin, 0x8059); /* level */
    hpet[0x100 / 4] = pin << 9 | 4 | 2;
    hpet[0x108 / 4] = 20000;
    hpet[0x10c / 4] = 0;
    hpet[0x10 / 4] = 1;
    a = hpet[0xf0 / 4];
    for (u32 i = 0; i < 1000; i++)
        asm volatile("pause");
    b = hpet[0xf0 / 4];
    check("HPET counts", b > a, 1);
    only = 0x59;
    keep_in_service = 1;
    begin();
    check("HPET timer, level triggered", wait_for(1) == 1 && order[0] == 0x59, 1);
    check("its status bit", hpet[0x20 / 4] & 1, 1);
    ioapic[0] = 0x10 + pin * 2;
    check("remote IRR until EOI", ioapic[4] >> 14 & 1, 1);
    check("TMR: level", bit_of(0x180 / 4, 0x59), 1);
    lapic[EOI] = 0;
    check("the line is still up: again", wait_for(2), 2);
    hpet[0x20 / 4] = 1;
    lapic[EOI] = 0;
    ioapic[0] = 0x10 + pin * 2;
    check("remote IRR is clear", ioapic[4] >> 14 & 1, 0);
    window();
    check("and no other comes", n_order, 2);
    keep_in_service = 0;
    hpet[0x100 / 4] = 0;
    hpet[0x10 / 4] = 0;
    redirect(pin, 0x10059);
    only = 0;
}

/* ---- PIC ------------------------------------------------------------------------------------ */

static int hook_pic(struct frame *f)
{
    if (f->vec < 0x30 || f->vec > 0x3f)
        return 0;
    if (n_order < sizeof(order))
        order[n_order] = (u8)f->vec;
    n_order++;
    if (f->vec >= 0x38) {
        cmos(0xc);
        cmos_set(0xb, 0x02);
        outb(0xa0, 0x20);
    } else {
        outb(0x43, 0x30);
    }
    outb(0x20, 0x20);
    return 1;
}

/* the timer and the clock wait together: IRQ 0 comes first, then IRQ 8 behind the cascade */
static void test_pic(void)
{
    static const u8 words[][2] = { { 0x20, 0x11 }, { 0x21, 0x30 }, { 0x21, 4 }, { 0x21, 1 }, { 0xa0, 0x11 }, { 0xa1, 0x38 },
                                   { 0xa1, 2 }, { 0xa1, 1 }, { 0xa1, 0xff }, { 0x21, 0xff } };
    u32 irr = 0;

    for (u32 i = 0; i < sizeof(words) / 2; i++)
        outb(words[i][0], words[i][1]);
    lapic[LVT_LINT0] = 0x700;
    trap.hook = hook_pic;
    begin();
    cmos(0xc);
    cmos_set(0xb, 0x42);
    outb(0x43, 0x30);
    outb(0x40, 0);
    outb(0x40, 1);
    outb(0x21, 0xfa);
    outb(0xa1, 0xfe);
    for (u32 i = 0; i < 1000000000 && (irr & 5) != 5; i++) {
        outb(0x20, 0x0a);
        irr = inb(0x20);
    }
    check("PIC: IRQ 0 and the cascade are requested", irr & 5, 5);
    window();
    window();
    check("PIC: IRQ 0 before IRQ 8", packed(), 0x30380000);
    outb(0x21, 0xff);
    outb(0xa1, 0xff);
    lapic[LVT_LINT0] = 0x10700;
}

/* A KVM without hardware executes many instructions before it looks. */
static int let_in(void)
{
    int came;

    begin();
    self(0x61);
    window();
    came = packed() == 0x61000000;
    check("an interrupt comes between STI and CLI", came, 1);
    if (!came)
        asm volatile("sti\n\thlt\n\tcli" : : : "memory");
    return came;
}

void test_sys_intr(void);
void test_sys_intr(void)
{
    asm volatile("cli");
    outb(0x21, 0xff);
    outb(0xa1, 0xff);
    lapic[SVR] = 0x1ff;
    lapic[LVT_LINT0] = 0x10700;
    trap.hook = hook_record;
    if (let_in()) {
        test_priority();
        test_timer();
        test_nmi();
        test_ioapic();
        test_hpet();
        test_pic();
    } else {
        skip("interrupt chips", "they cannot be asked one by one");
    }
    trap.hook = 0;
}
