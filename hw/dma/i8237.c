/*
 * i8237.c - two 8237A DMA controllers with page registers
 *
 *   0x00-0x0f  controller 0, channels 0-3, bytes
 *   0xc0-0xdf  controller 1, channels 4-7, words, every second port
 *   0x80-0x8f  page registers; 0x80 is where firmware shows POST codes
 *
 * A transfer takes no time: a device with bytes to move calls
 * dma_channel_run(). So demand, single and block mode differ only in what they
 * read back as. The cascade channel 4 need not be unmasked, for a kernel that
 * was started without firmware.
 *
 * Source: Intel 8237A data sheet; PIIX3 data sheet for the page registers.
 * Not there: memory-to-memory transfers, which the PC cannot use.
 */
#include "hw/dma/dma.h"

enum { N_CHANNELS = 8, PER_CHIP = 4, CASCADE = 4, N_PAGES = 16 };
enum { /* register numbers above the address and count pairs */
    R_STATUS_COMMAND = 8, R_REQUEST, R_SINGLE_MASK, R_MODE, R_CLEAR_FLIPFLOP,
    R_TEMPORARY_CLEAR, R_CLEAR_MASK, R_ALL_MASK,
};
enum {
    COMMAND_MEM_TO_MEM = 0x01, COMMAND_DISABLE = 0x04,
    SELECT_CHANNEL = 0x03, SELECT_SET = 0x04,
    MODE_TYPE = 0x0c, MODE_VERIFY = 0x00, MODE_WRITE = 0x04, MODE_READ = 0x08,
    MODE_AUTOINIT = 0x10, MODE_DOWN = 0x20, MODE_SELECT = 0xc0, MODE_CASCADE = 0xc0,
};

struct dma_channel {
    uint16_t base_addr, addr;
    uint16_t base_count, count; /* transfers minus 1 */
    uint8_t mode;
};

struct dma_chip {
    struct dma_channel ch[PER_CHIP];
    uint8_t tc, request, mask;  /* a bit a channel */
    uint8_t command;
    uint8_t flipflop;           /* the next byte is the high one */
};

struct dma {
    struct device dev;
    struct dma_chip chip[2];
    uint8_t page[N_PAGES];
};

/* ports 0x80 + these hold address bits 23-16 of each channel; 4 has none */
static const uint8_t page_port[N_CHANNELS] = { 7, 3, 1, 2, 0, 0xb, 9, 0xa };

/* ---- transfers --------------------------------------------------------------- */

static bool channel_enabled(const struct dma_chip *c, unsigned n)
{
    return !(c->command & COMMAND_DISABLE) && !(c->mask & (1 << n)) &&
           (c->ch[n].mode & MODE_SELECT) != MODE_CASCADE;
}

bool dma_channel_ready(struct device *d, unsigned chan)
{
    struct dma *s = container_of(d, struct dma, dev);

    return chan < N_CHANNELS && chan != CASCADE &&
           channel_enabled(&s->chip[chan / PER_CHIP], chan % PER_CHIP);
}

bool dma_channel_tc(struct device *d, unsigned chan)
{
    struct dma *s = container_of(d, struct dma, dev);

    return chan < N_CHANNELS && (s->chip[chan / PER_CHIP].tc >> chan % PER_CHIP & 1);
}

/* The page register does not count: addresses wrap within 64 K transfers. */
static gpa_t channel_gpa(const struct dma *s, unsigned chan)
{
    uint8_t page = s->page[page_port[chan]];
    uint16_t addr = s->chip[chan / PER_CHIP].ch[chan % PER_CHIP].addr;

    if (chan < PER_CHIP)
        return (gpa_t)page << 16 | addr;
    return (gpa_t)(page & 0xfe) << 16 | (gpa_t)addr << 1;
}

static void move(struct dma *s, gpa_t gpa, void *buf, unsigned len, unsigned type)
{
    if (type == MODE_WRITE)
        dma_write(s->dev.machine, gpa, buf, len);
    else if (type == MODE_READ)
        dma_read(s->dev.machine, gpa, buf, len);
}

/* How many transfers fit in one piece: no wrap, no terminal count inside. */
static unsigned piece(const struct dma_channel *c, unsigned want)
{
    if (c->mode & MODE_DOWN)
        return 1;
    return MIN(want, MIN(c->count + 1u, 0x10000u - c->addr));
}

static void terminal_count(struct dma_chip *chip, unsigned n)
{
    struct dma_channel *c = &chip->ch[n];

    chip->tc |= 1 << n;
    chip->request &= ~(1 << n);
    if (c->mode & MODE_AUTOINIT) {
        c->addr = c->base_addr;
        c->count = c->base_count;
    } else {
        chip->mask |= 1 << n;
    }
}

unsigned dma_channel_run(struct device *d, unsigned chan, void *buf,
                         unsigned len, enum dma_dir dir)
{
    struct dma *s = container_of(d, struct dma, dev);
    struct dma_chip *chip = &s->chip[chan / PER_CHIP & 1];
    struct dma_channel *c = &chip->ch[chan % PER_CHIP];
    unsigned type = c->mode & MODE_TYPE, unit = chan < PER_CHIP ? 1 : 2, done = 0;

    if (!dma_channel_ready(d, chan))
        return 0;
    if (type != MODE_VERIFY && type != (dir == DMA_TO_MEMORY ? MODE_WRITE : MODE_READ)) {
        log_guest(LOG_DMA, "chan=%u mode=%#x other direction", chan, c->mode);
        return 0;
    }
    while (len - done >= unit) {
        unsigned n = piece(c, (len - done) / unit);
        bool last = n == c->count + 1u;

        move(s, channel_gpa(s, chan), (char *)buf + done, n * unit, type);
        done += n * unit;
        c->addr += c->mode & MODE_DOWN ? -n : n;
        c->count -= n; /* 0xffff after the last */
        if (last) {
            terminal_count(chip, chan % PER_CHIP);
            break;
        }
    }
    log_ev(LOG_DMA, "run chan=%u len=%u done=%u tc=%#x", chan, len, done, chip->tc);
    return done;
}

/* ---- registers ------------------------------------------------------------------- */

static void master_clear(struct dma_chip *c)
{
    c->tc = c->request = c->command = c->flipflop = 0;
    c->mask = 0xf;
}

static void write_half(struct dma_chip *c, uint16_t *base, uint16_t *cur, uint8_t v)
{
    if (c->flipflop)
        *base = (*base & 0x00ff) | v << 8;
    else
        *base = (*base & 0xff00) | v;
    *cur = *base;
    c->flipflop ^= 1;
}

static void set_bit(uint8_t *set, uint8_t v)
{
    uint8_t bit = 1 << (v & SELECT_CHANNEL);

    *set = v & SELECT_SET ? *set | bit : *set & ~bit;
}

static void chip_write(struct dma_chip *c, unsigned reg, uint8_t v)
{
    struct dma_channel *ch = &c->ch[reg / 2 & 3];

    if (reg < R_STATUS_COMMAND) {
        write_half(c, reg & 1 ? &ch->base_count : &ch->base_addr,
                   reg & 1 ? &ch->count : &ch->addr, v);
        return;
    }
    switch (reg) {
    case R_STATUS_COMMAND:
        c->command = v;
        if (v & COMMAND_MEM_TO_MEM)
            log_ev(LOG_DMA | LOG_UNIMP, "memory-to-memory transfer");
        break;
    case R_REQUEST:
        set_bit(&c->request, v);
        break;
    case R_SINGLE_MASK:
        set_bit(&c->mask, v);
        break;
    case R_MODE:
        c->ch[v & SELECT_CHANNEL].mode = v & ~SELECT_CHANNEL;
        break;
    case R_CLEAR_FLIPFLOP:
        c->flipflop = 0;
        break;
    case R_TEMPORARY_CLEAR:
        master_clear(c);
        break;
    case R_CLEAR_MASK:
        c->mask = 0;
        break;
    case R_ALL_MASK:
        c->mask = v & 0xf;
        break;
    }
}

static uint8_t chip_read(struct dma_chip *c, unsigned reg)
{
    struct dma_channel *ch = &c->ch[reg / 2 & 3];
    uint8_t v;

    if (reg < R_STATUS_COMMAND) {
        uint16_t cur = reg & 1 ? ch->count : ch->addr;
        c->flipflop ^= 1;
        return c->flipflop ? cur : cur >> 8;
    }
    switch (reg) {
    case R_STATUS_COMMAND:
        v = c->request << 4 | c->tc;
        c->tc = 0;
        return v;
    case R_ALL_MASK: /* as the chips in south bridges give it */
        return 0xf0 | c->mask;
    case R_TEMPORARY_CLEAR:
        return 0; /* only memory-to-memory fills it */
    }
    return 0xff;
}

static uint64_t dma0_read(void *op, uint64_t off, unsigned size)
{
    return chip_read(&((struct dma *)op)->chip[0], off & 15);
}

static void dma0_write(void *op, uint64_t off, uint64_t val, unsigned size)
{
    log_ev(LOG_DMA, "write chip=0 reg=%u val=%#x", (unsigned)off, (unsigned)val);
    chip_write(&((struct dma *)op)->chip[0], off & 15, val);
}

static uint64_t dma1_read(void *op, uint64_t off, unsigned size)
{
    return chip_read(&((struct dma *)op)->chip[1], off / 2 & 15);
}

static void dma1_write(void *op, uint64_t off, uint64_t val, unsigned size)
{
    log_ev(LOG_DMA, "write chip=1 reg=%u val=%#x", (unsigned)off / 2, (unsigned)val);
    chip_write(&((struct dma *)op)->chip[1], off / 2 & 15, val);
}

static uint64_t page_read(void *op, uint64_t off, unsigned size)
{
    return ((struct dma *)op)->page[off & (N_PAGES - 1)];
}

static void page_write(void *op, uint64_t off, uint64_t val, unsigned size)
{
    if (off == 0)
        log_ev(LOG_DMA, "post code=%#x", (unsigned)val);
    ((struct dma *)op)->page[off & (N_PAGES - 1)] = val;
}

/* ---- life ------------------------------------------------------------------------- */

static const struct io_ops dma0_ops = { dma0_read, dma0_write, 1, 1 };
static const struct io_ops dma1_ops = { dma1_read, dma1_write, 1, 1 };
static const struct io_ops page_ops = { page_read, page_write, 1, 1 };

static void dma_reset(struct device *d)
{
    struct dma *s = container_of(d, struct dma, dev);

    for (unsigned i = 0; i < 2; i++)
        master_clear(&s->chip[i]);
}

static int dma_init(struct device *d, struct err *e)
{
    struct dma *s = container_of(d, struct dma, dev);

    port_map(d->machine, "dma0", 0x00, 0x10, &dma0_ops, s);
    port_map(d->machine, "dma1", 0xc0, 0x20, &dma1_ops, s);
    port_map(d->machine, "dma-page", 0x80, N_PAGES, &page_ops, s);
    dma_reset(d);
    return 0;
}

static const struct dev_field dma_fields[] = {
    FIELD(BYTES, struct dma, chip),
    FIELD(BYTES, struct dma, page),
    FIELD_END,
};

const struct device_type i8237_type = {
    .name = "i8237", .desc = "8237A DMA controllers and page registers",
    .size = sizeof(struct dma), .init = dma_init, .reset = dma_reset,
    .fields = dma_fields,
};
