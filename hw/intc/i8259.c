/*
 * i8259.c - two 8259A interrupt controllers as in the PIIX3
 *
 *   0x20 0x21  master     0xa0 0xa1  slave (on the master's IR2)
 *   0x4d0      master ELCR 0x4d1     slave ELCR (1: level)
 *
 * Source: Intel 8259A data sheet; 82371SB (PIIX3) data sheet for ELCR.
 *
 * Departures: an edge stays latched when the line falls before INTA (the chip
 * would answer IR7), so that devices may pulse; the cascade follows the slave
 * at once, so that IR7 is the only spurious answer; ICW1.LTIM is not used, as in
 * the PIIX3, where ELCR decides; MCS-80 mode is not there.
 */
#include "hw/intc/intc.h"

enum {
    CASCADE_IR = 2,
    ICW1_IC4 = 0x01, ICW1_SNGL = 0x02, ICW1_LTIM = 0x08, ICW1_INIT = 0x10,
    ICW4_UPM = 0x01, ICW4_AEOI = 0x02, ICW4_SFNM = 0x10,
    OCW2_LEVEL = 0x07, OCW2_EOI = 0x20, OCW2_SL = 0x40, OCW2_R = 0x80,
    OCW3_SELECT = 0x08, OCW3_RIS = 0x01, OCW3_RR = 0x02, OCW3_POLL = 0x04,
    OCW3_SMM = 0x20, OCW3_ESMM = 0x40,
    POLL_INT = 0x80,
    ELCR_MASTER = 0xf8, ELCR_SLAVE = 0xde, /* IRQ 0-2, 8, 13 are edge */
};

/* what the next write to the odd port is */
enum icw_step { STEP_OCW1, STEP_ICW2, STEP_ICW3, STEP_ICW4 };

struct pic {
    struct device dev;
    struct pic_chip chip[2]; /* 0: master */
    uint8_t intr;            /* level of the master's output */
    uint64_t raised[16];     /* for the monitor */
};

static bool is_master(const struct pic *p, const struct pic_chip *c)
{
    return c == &p->chip[0];
}

/* Highest-priority IR of a non-empty set, by rotation. */
static unsigned highest(const struct pic_chip *c, uint8_t set)
{
    unsigned top = (c->lowest + 1) & 7;
    uint8_t rot = (uint8_t)(set >> top | set << (8 - top));

    return (top + __builtin_ctz(rot)) & 7;
}

static unsigned rank(const struct pic_chip *c, unsigned ir)
{
    return (ir - c->lowest - 1) & 7; /* 0 is the most urgent */
}

/* The IR the chip asks the CPU for now, or -1. */
static int chip_pending(const struct pic *p, const struct pic_chip *c)
{
    uint8_t req = c->irr & ~c->imr;
    uint8_t busy = c->smm ? c->isr & ~c->imr : c->isr;
    unsigned ir;

    if (!req)
        return -1;
    ir = highest(c, req);
    if (!busy || rank(c, ir) < rank(c, highest(c, busy)))
        return ir;
    /* special fully nested: the slave in service may ask again */
    if ((c->icw4 & ICW4_SFNM) && is_master(p, c) && ir == CASCADE_IR &&
        highest(c, busy) == CASCADE_IR)
        return ir;
    return -1;
}

/* The cascade is one wire inside the PIIX: the request follows the slave. */
static void update(struct pic *p)
{
    struct machine *m = p->dev.machine;
    struct vcpu *boot = m->n_vcpus && m->vcpus ? m->vcpus[0] : NULL;
    bool slave = chip_pending(p, &p->chip[1]) >= 0;
    uint8_t intr;

    if (slave)
        p->chip[0].irr |= 1 << CASCADE_IR;
    else
        p->chip[0].irr &= ~(1 << CASCADE_IR);
    intr = chip_pending(p, &p->chip[0]) >= 0;
    if (intr == p->intr)
        return;
    p->intr = intr;
    log_ev(LOG_PIC, "intr level=%u irr=%02x/%02x isr=%02x/%02x imr=%02x/%02x",
           intr, p->chip[0].irr, p->chip[1].irr, p->chip[0].isr,
           p->chip[1].isr, p->chip[0].imr, p->chip[1].imr);
    ioapic_set_irq(m->ioapic, 0, intr);
    if (boot && boot->lapic)
        lapic_set_lint(boot->lapic, 0, intr);
    else if (boot && intr)
        vcpu_intr_raise(boot, VCPU_INTR_PIC);
    else if (boot)
        vcpu_intr_lower(boot, VCPU_INTR_PIC);
}

/* Lines drive IRR: level inputs copy, edge inputs latch the rise. */
static void chip_line(struct pic_chip *c, unsigned ir, int level)
{
    uint8_t bit = 1 << ir;

    if (level) {
        if ((c->elcr & bit) || !(c->lines & bit))
            c->irr |= bit;
        c->lines |= bit;
    } else {
        if (c->elcr & bit)
            c->irr &= ~bit;
        c->lines &= ~bit;
    }
}

void pic_set_irq(struct pic *p, int irq, int level)
{
    if (!p || irq < 0 || irq > 15 || irq == CASCADE_IR)
        return;
    if (level && !(p->chip[irq >> 3].lines >> (irq & 7) & 1))
        p->raised[irq]++;
    chip_line(&p->chip[irq >> 3], irq & 7, level);
    if (p->dev.machine->chips && p->dev.machine->chips->set_pic)
        p->dev.machine->chips->set_pic(p->dev.machine, irq, level);
    else
        update(p);
}

struct pic_chip *pic_chips(struct pic *p)
{
    return p->chip;
}

void pic_changed(struct pic *p)
{
    update(p);
}

void pic_silence(struct pic *p)
{
    p->chip[0].irr = p->chip[1].irr = 0;
    update(p);
}

uint64_t pic_irq_count(const struct pic *p, unsigned irq)
{
    return p && irq < 16 ? p->raised[irq] : 0;
}

void pic_print(const struct pic *p, FILE *f)
{
    for (unsigned i = 0; p && i < 2; i++) {
        const struct pic_chip *c = &p->chip[i];

        fprintf(f, "pic%u: irr=%02x imr=%02x isr=%02x hprio=%u irq_base=%02x rr_sel=%u elcr=%02x fnm=%u\n", i,
                c->irr, c->imr, c->isr, (c->lowest + 1) & 7, c->vector_base, c->read_isr, c->elcr,
                !!(c->icw4 & ICW4_SFNM));
    }
}

static void chip_take(struct pic_chip *c, unsigned ir)
{
    uint8_t bit = 1 << ir;

    if (!(c->elcr & bit))
        c->irr &= ~bit;
    if (!(c->icw4 & ICW4_AEOI))
        c->isr |= bit;
    else if (c->rotate_aeoi)
        c->lowest = ir;
}

/* One INTA on one chip; returns the IR, 7 when the request has gone. */
static unsigned chip_inta(struct pic *p, struct pic_chip *c)
{
    int ir = chip_pending(p, c);

    if (ir < 0) {
        log_ev(LOG_PIC, "spurious chip=%u", !is_master(p, c));
        return 7;
    }
    chip_take(c, ir);
    return ir;
}

int pic_ack(struct pic *p)
{
    struct pic_chip *c = &p->chip[0];
    unsigned ir = chip_inta(p, c);
    int vec;

    /* the request is gone (level dropped): IR7 comes without ISR, so it can
     * not be mistaken for the cascade */
    if (ir == CASCADE_IR && !(c->icw1 & ICW1_SNGL)) {
        c = &p->chip[1];
        ir = chip_inta(p, c);
    }
    vec = c->vector_base | ir;
    update(p);
    log_ev(LOG_PIC, "ack vector=%#x", vec);
    return vec;
}

/* ---- commands ------------------------------------------------------------ */

/* Edge detectors forget, so that a line already high must fall first. */
static void icw1(struct pic_chip *c, uint8_t v)
{
    c->icw1 = v;
    c->irr &= c->elcr;
    c->isr = c->imr = 0;
    c->lowest = 7;
    c->smm = c->read_isr = c->poll = c->rotate_aeoi = 0;
    if (!(v & ICW1_IC4))
        c->icw4 = 0;
    c->step = STEP_ICW2;
}

static void ocw2(struct pic_chip *c, uint8_t v)
{
    uint8_t isr = c->smm ? c->isr & ~c->imr : c->isr;
    int ir = -1;

    if (v & OCW2_SL)
        ir = v & OCW2_LEVEL;
    else if (isr)
        ir = highest(c, isr);
    switch (v & (OCW2_R | OCW2_SL | OCW2_EOI)) {
    case 0:
    case OCW2_R:
        c->rotate_aeoi = v >> 7;
        break;
    case OCW2_EOI:
    case OCW2_EOI | OCW2_SL:
    case OCW2_EOI | OCW2_R:
    case OCW2_EOI | OCW2_R | OCW2_SL:
        if (ir < 0)
            break;
        c->isr &= ~(1 << ir);
        if (v & OCW2_R)
            c->lowest = ir;
        break;
    case OCW2_R | OCW2_SL:
        c->lowest = ir;
        break;
    }
}

static void ocw3(struct pic_chip *c, uint8_t v)
{
    if (v & OCW3_ESMM)
        c->smm = !!(v & OCW3_SMM);
    if (v & OCW3_POLL)
        c->poll = 1;
    if (v & OCW3_RR)
        c->read_isr = v & OCW3_RIS;
}

/* Odd port: OCW1, or the initialisation word that is due. */
static void write_odd(struct pic_chip *c, uint8_t v)
{
    switch (c->step) {
    case STEP_OCW1:
        c->imr = v;
        return;
    case STEP_ICW2:
        c->vector_base = v & 0xf8;
        c->step = !(c->icw1 & ICW1_SNGL) ? STEP_ICW3 :
                  c->icw1 & ICW1_IC4 ? STEP_ICW4 : STEP_OCW1;
        return;
    case STEP_ICW3:
        c->icw3 = v; /* the cascade is hard-wired */
        c->step = c->icw1 & ICW1_IC4 ? STEP_ICW4 : STEP_OCW1;
        return;
    case STEP_ICW4:
        if (!(v & ICW4_UPM))
            log_guest(LOG_PIC, "icw4=%#x MCS-80 mode", v);
        c->icw4 = v;
        c->step = STEP_OCW1;
        return;
    }
}

/* off: 0/1 within a chip's pair of ports */
static void chip_write(struct pic *p, struct pic_chip *c, uint64_t off, uint8_t v)
{
    log_ev(LOG_PIC, "write chip=%u a0=%u val=%#x", !is_master(p, c), (unsigned)off, v);
    if (off)
        write_odd(c, v);
    else if (v & ICW1_INIT)
        icw1(c, v);
    else if (v & OCW3_SELECT)
        ocw3(c, v);
    else
        ocw2(c, v);
    update(p);
}

/* A poll is an INTA whose answer is the IR number. */
static uint8_t chip_poll(struct pic *p, struct pic_chip *c)
{
    int ir = chip_pending(p, c);

    c->poll = 0;
    if (ir < 0)
        return 7;
    chip_take(c, ir);
    update(p);
    return POLL_INT | ir;
}

static uint8_t chip_read(struct pic *p, struct pic_chip *c, uint64_t off)
{
    if (c->poll)
        return chip_poll(p, c);
    if (off)
        return c->imr;
    return c->read_isr ? c->isr : c->irr;
}

static uint64_t master_read(void *op, uint64_t off, unsigned size)
{
    struct pic *p = op;
    return chip_read(p, &p->chip[0], off);
}

static void master_write(void *op, uint64_t off, uint64_t val, unsigned size)
{
    struct pic *p = op;
    chip_write(p, &p->chip[0], off, val);
}

static uint64_t slave_read(void *op, uint64_t off, unsigned size)
{
    struct pic *p = op;
    return chip_read(p, &p->chip[1], off);
}

static void slave_write(void *op, uint64_t off, uint64_t val, unsigned size)
{
    struct pic *p = op;
    chip_write(p, &p->chip[1], off, val);
}

static uint64_t elcr_read(void *op, uint64_t off, unsigned size)
{
    struct pic *p = op;
    return p->chip[off & 1].elcr;
}

static void elcr_write(void *op, uint64_t off, uint64_t val, unsigned size)
{
    struct pic *p = op;
    struct pic_chip *c = &p->chip[off & 1];
    uint8_t old = c->elcr;

    c->elcr = val & (off & 1 ? ELCR_SLAVE : ELCR_MASTER);
    /* lines that become level follow their input from now on */
    c->irr = (c->irr & ~(c->elcr & ~old)) | (c->lines & c->elcr & ~old);
    update(p);
}

static const struct io_ops master_ops = { master_read, master_write, 1, 1 };
static const struct io_ops slave_ops = { slave_read, slave_write, 1, 1 };
static const struct io_ops elcr_ops = { elcr_read, elcr_write, 1, 1 };

static void pic_reset(struct device *d)
{
    struct pic *p = container_of(d, struct pic, dev);

    for (unsigned i = 0; i < 2; i++) {
        struct pic_chip *c = &p->chip[i];
        uint8_t lines = c->lines; /* driven from outside */

        *c = (struct pic_chip){ .lines = lines, .lowest = 7, .imr = 0xff };
    }
    update(p);
}

static int pic_init(struct device *d, struct err *e)
{
    struct pic *p = container_of(d, struct pic, dev);

    port_map(d->machine, "i8259-master", 0x20, 2, &master_ops, p);
    port_map(d->machine, "i8259-slave", 0xa0, 2, &slave_ops, p);
    port_map(d->machine, "elcr", 0x4d0, 2, &elcr_ops, p);
    d->machine->pic = p;
    pic_reset(d);
    return 0;
}

static void pic_destroy(struct device *d)
{
    if (d->machine->pic == container_of(d, struct pic, dev))
        d->machine->pic = NULL;
}

static const struct dev_field pic_fields[] = {
    FIELD(BYTES, struct pic, chip),
    FIELD(U8, struct pic, intr),
    FIELD_END,
};

const struct device_type i8259_type = {
    .name = "i8259", .desc = "8259A interrupt controllers, master and slave",
    .size = sizeof(struct pic), .init = pic_init, .reset = pic_reset,
    .destroy = pic_destroy, .fields = pic_fields,
};
