/*
 * ahci-cmd.c - command slots of an AHCI port
 *
 * Source: Serial ATA AHCI 1.3.1, chapters 4 (memory structures) and 5 (data
 * transfer); Serial ATA 3.0, 10.3 (FIS types).
 */
#include "hw/disk/ahci-int.h"

enum { FIS_H2D = 0x27, FIS_D2H = 0x34, FIS_SDB = 0xa1, FIS_PIO = 0x5f };
enum { RX_PIO = 0x20, RX_D2H = 0x40, RX_SDB = 0x58 };     /* in the received FIS area */
enum { FIS_INTERRUPT = 0x40, FIS_DIRECTION = 0x20, FIS_COMMAND = 0x80 };
enum { HDR_ATAPI = 1 << 5, HDR_WRITE = 1 << 6, HDR_CLEAR = 1 << 10 };
#define HEADER_BYTES 32u
#define TABLE_ACMD   0x40u
#define TABLE_PRDT   0x80u
#define PRD_BYTES    16u
#define READ_LOG_EXT 0x2f
#define LOG_NCQ      0x10

/* ---- FISes to the host --------------------------------------------------------------- */

static void post(struct ahci_port *p, unsigned at, const uint8_t *fis, unsigned len)
{
    if (p->cmd & CMD_FRE)
        dma_put(&p->ahci->pci.dma, p->fb + at, fis, len);
}

static void fill_fis(const struct ahci_port *p, uint8_t *f, uint8_t type, uint8_t flags)
{
    const struct ata_tf *t = &p->tf;

    f[0] = type;
    f[1] = flags;
    f[2] = p->tfd;
    f[3] = p->tfd >> 8;
    f[4] = t->lba_low[0], f[5] = t->lba_mid[0], f[6] = t->lba_high[0];
    f[7] = t->device;
    f[8] = t->lba_low[1], f[9] = t->lba_mid[1], f[10] = t->lba_high[1];
    f[12] = t->count[0], f[13] = t->count[1];
}

static void set_tfd(struct ahci_port *p, uint8_t status, uint8_t error)
{
    p->tfd = error << 8 | status;
}

static void post_d2h(struct ahci_port *p)
{
    uint8_t fis[20] = { 0 };

    fill_fis(p, fis, FIS_D2H, FIS_INTERRUPT);
    post(p, RX_D2H, fis, sizeof fis);
    ahci_raise(p, IS_DHRS | (p->tfd & ATA_ERR ? IS_TFES : 0));
}

static void post_pio(struct ahci_port *p, bool to_host, uint16_t bytes)
{
    uint8_t fis[20] = { 0 };

    fill_fis(p, fis, FIS_PIO, FIS_INTERRUPT | (to_host ? FIS_DIRECTION : 0));
    fis[15] = p->tfd;
    stl16(fis + 16, bytes);
    post(p, RX_PIO, fis, sizeof fis);
    ahci_raise(p, IS_PSS | (p->tfd & ATA_ERR ? IS_TFES : 0));
}

static void post_sdb(struct ahci_port *p, uint32_t done)
{
    uint8_t fis[8] = { FIS_SDB, FIS_INTERRUPT, (uint8_t)(p->tfd & 0x77), (uint8_t)(p->tfd >> 8) };

    stl32(fis + 4, done);
    post(p, RX_SDB, fis, sizeof fis);
    ahci_raise(p, IS_SDBS | (p->tfd & ATA_ERR ? IS_TFES : 0));
}

/* ---- endings ---------------------------------------------------------------------------- */

static void put_count(struct ahci_slot *s, uint32_t bytes)
{
    uint8_t raw[4];

    stl32(raw, bytes);
    dma_put(&s->port->ahci->pci.dma, s->header + 4, raw, sizeof raw);
}

/* The slot is done; with an error the port stops taking commands. */
static void slot_end(struct ahci_slot *s, uint8_t error, uint32_t moved)
{
    struct ahci_port *p = s->port;
    uint32_t bit = 1u << s->tag;

    sg_done(&s->sg, s->to_memory ? s->sg.bytes : 0);
    if (moved && !s->ncq)
        put_count(s, moved);
    s->active = false;
    p->running &= ~bit;
    set_tfd(p, ATA_DRDY | ATA_DSC | (error ? ATA_ERR : 0), error);
    if (error) {
        p->halted = true;
        p->bad_tag = s->tag;
        p->bad_lba = s->lba;
    }
    if (s->ncq) {
        p->sact &= ~(error ? 0 : bit);
        post_sdb(p, error ? 0 : bit);
    } else {
        p->single = false;
        if (!error)
            p->ci &= ~bit;
        if (s->pio && !error)
            post_pio(p, s->to_memory, moved);
        else
            post_d2h(p);
    }
}

static void on_done(struct drive_req *r, int ret)
{
    struct ahci_slot *s = r->opaque;
    struct ahci_port *p = s->port;

    if (p->cancelled) {
        sg_done(&s->sg, s->to_memory ? s->sg.bytes : 0);
        s->active = false;
        return;
    }
    if (ret < 0 && p->ata.cd) {
        atapi_read_failed(&p->ata, ret);
        p->tf.count[0] = 3;
        slot_end(s, p->ata.atapi.key << 4 | ATA_ABRT, 0);
    } else {
        slot_end(s, ret == 0 ? 0 : s->to_memory ? ATA_UNC : ATA_ABRT, s->bytes);
    }
    ahci_run(p);
}

static void submit(struct ahci_slot *s, enum block_op op, unsigned flags, uint64_t off, uint32_t len)
{
    struct ahci_port *p = s->port;

    s->bytes = len;
    s->active = true;
    p->running |= 1u << s->tag;
    p->single = !s->ncq;
    if (!s->ncq)
        set_tfd(p, ATA_BSY | ATA_DRDY, 0);
    s->req.r.op = op;
    s->req.r.flags = flags;
    s->req.r.off = off;
    s->req.r.len = len;
    s->req.r.iov = sg_iov(&s->sg, 0, op == BLOCK_DISCARD ? 0 : len, &s->req.r.niov);
    s->req.opaque = s;
    s->req.cb = on_done;
    drive_submit(p->ata.drive, &s->req);
}

/* ---- commands ------------------------------------------------------------------------------ */

/* The guest's table, as far as @want bytes reach. */
static void take_prdt(struct ahci_slot *s, gpa_t table, unsigned entries, uint64_t want)
{
    const struct dma *dma = &s->port->ahci->pci.dma;
    uint8_t raw[PRD_BYTES];

    for (unsigned i = 0; i < entries && s->sg.bytes < want; i++) {
        uint64_t len;

        if (!dma_get(dma, table + TABLE_PRDT + (gpa_t)i * PRD_BYTES, raw, sizeof raw))
            return;
        len = (ldl32(raw + 12) & 0x3fffff) + 1;
        if (sg_add(&s->sg, ldl64(raw), MIN(len, want - s->sg.bytes)) < 0)
            return;
    }
}

struct command {
    gpa_t table;
    unsigned entries;
    bool atapi;
    uint8_t fis[20];
};

static void reply(struct ahci_slot *s, const struct command *c, const uint8_t *buf, uint32_t len)
{
    take_prdt(s, c->table, c->entries, len);
    len = sg_put(&s->sg, 0, buf, len);
    slot_end(s, 0, len);
}

static void read_log(struct ahci_slot *s, const struct command *c)
{
    struct ahci_port *p = s->port;
    uint8_t buf[ATA_SECTOR] = { 0 }, sum = 0;

    if (s->tf.lba_low[0] != LOG_NCQ || !p->ata.ncq_depth) {
        slot_end(s, ATA_ABRT, 0);
        return;
    }
    buf[0] = p->bad_tag;
    buf[2] = ATA_DRDY | ATA_ERR;
    buf[3] = ATA_UNC;
    buf[4] = p->bad_lba, buf[5] = p->bad_lba >> 8, buf[6] = p->bad_lba >> 16;
    buf[8] = p->bad_lba >> 24, buf[9] = p->bad_lba >> 32, buf[10] = p->bad_lba >> 40;
    for (unsigned i = 0; i < 511; i++)
        sum += buf[i];
    buf[511] = -sum;
    reply(s, c, buf, sizeof buf);
}

static void rw(struct ahci_slot *s, const struct command *c, const struct ata_op *op)
{
    struct ahci_port *p = s->port;
    bool write = op->move == ATA_PIO_OUT || op->move == ATA_DMA_OUT;
    bool fua = op->fua || (op->ncq && (s->tf.device & 0x80));
    uint32_t n;

    if (!ata_range(&p->ata, &s->tf, op, &s->lba, &n)) {
        slot_end(s, ATA_IDNF, 0);
        return;
    }
    if (op->move == ATA_NO_DATA) {
        slot_end(s, 0, 0);
        return;
    }
    s->pio = op->move == ATA_PIO_IN || op->move == ATA_PIO_OUT;
    s->to_memory = s->sg.to_memory = !write;
    take_prdt(s, c->table, c->entries, n * (uint64_t)ATA_SECTOR);
    if (s->sg.bytes != n * (uint64_t)ATA_SECTOR) {
        log_guest(LOG_PCI, "ahci port=%u table has %llu of %llu bytes", p->n,
                  (unsigned long long)s->sg.bytes, (unsigned long long)n * ATA_SECTOR);
        slot_end(s, ATA_ABRT, 0);
        return;
    }
    submit(s, write ? BLOCK_WRITE : BLOCK_READ, write && fua ? BLOCK_REQ_FUA : 0,
           s->lba * ATA_SECTOR, n * ATA_SECTOR);
}

/* ---- ranges to give up ----------------------------------------------------------------------- */

static int trim_next(struct ahci_slot *s);

static void on_trim_done(struct drive_req *r, int ret)
{
    struct ahci_slot *s = r->opaque;
    int more = ret < 0 || s->port->cancelled ? 0 : trim_next(s);

    if (more > 0)
        return;
    s->bytes = s->trim_end;
    on_done(r, more < 0 ? more : ret);
}

/* As ata_trim_next(); 1: it is under way. */
static int trim_next(struct ahci_slot *s)
{
    uint32_t n;
    int ret = ata_trim_next(&s->port->ata, &s->sg, &s->trim_at, s->trim_end, &s->lba, &n);

    if (ret <= 0)
        return ret;
    submit(s, BLOCK_DISCARD, 0, s->lba * ATA_SECTOR, n * ATA_SECTOR);
    s->req.cb = on_trim_done;        /* callbacks never run inside submit */
    return 1;
}

static void trim(struct ahci_slot *s, const struct command *c)
{
    int ret = -EINVAL;

    s->trim_at = 0;
    s->trim_end = ata_trim_bytes(&s->port->ata, &s->tf);
    s->to_memory = s->sg.to_memory = false;
    take_prdt(s, c->table, c->entries, s->trim_end);
    if (s->trim_end && s->sg.bytes == s->trim_end)
        ret = trim_next(s);
    if (ret <= 0)
        slot_end(s, ret < 0 ? ATA_ABRT : 0, ret < 0 ? 0 : s->trim_end);
}

/* ---- others ------------------------------------------------------------------------------------ */

static void packet(struct ahci_slot *s, const struct command *c)
{
    struct ahci_port *p = s->port;
    uint8_t cdb[16];
    uint64_t lba = 0;
    uint32_t n = 0;

    dma_get(&p->ahci->pci.dma, c->table + TABLE_ACMD, cdb, sizeof cdb);
    p->tf.count[0] = 3;
    switch (atapi_command(&p->ata, cdb, &lba, &n)) {
    case ATAPI_DONE:
    case ATAPI_TAKE:
        slot_end(s, 0, 0);
        break;
    case ATAPI_FAILED:
        slot_end(s, p->ata.atapi.key << 4 | ATA_ABRT, 0);
        break;
    case ATAPI_REPLY:
        reply(s, c, p->ata.atapi.buf, p->ata.atapi.len);
        break;
    case ATAPI_READ:
        take_prdt(s, c->table, c->entries, (uint64_t)n * CD_BLOCK);
        submit(s, BLOCK_READ, 0, lba * CD_BLOCK, s->sg.bytes);
        break;
    }
}

static void identify(struct ahci_slot *s, const struct command *c, bool of_packet)
{
    uint8_t buf[ATA_SECTOR];

    if (of_packet != s->port->ata.cd) {
        slot_end(s, ATA_ABRT, 0);
        return;
    }
    ata_identify(&s->port->ata, buf);
    s->pio = true;
    reply(s, c, buf, sizeof buf);
}

static void execute(struct ahci_slot *s, const struct command *c)
{
    struct ahci_port *p = s->port;
    const struct ata_op *op = ata_op(s->tf.command);

    p->tf = s->tf;
    if (s->tf.command == 0xec || s->tf.command == 0xa1)
        identify(s, c, s->tf.command == 0xa1);
    else if (s->tf.command == 0xa0 && p->ata.cd && c->atapi)
        packet(s, c);
    else if (s->tf.command == ATA_DSM && !p->ata.cd)
        trim(s, c);
    else if (p->ata.cd || (!op && s->tf.command != READ_LOG_EXT && !ata_is_flush(s->tf.command)))
        slot_end(s, ata_simple(&p->ata, &p->tf), 0);
    else if (op)
        rw(s, c, op);
    else if (ata_is_flush(s->tf.command))
        submit(s, BLOCK_FLUSH, 0, 0, 0);
    else
        read_log(s, c);
}

static void read_fis(struct ata_tf *t, const uint8_t *f)
{
    t->command = f[2];
    t->feature[0] = f[3], t->feature[1] = f[11];
    t->lba_low[0] = f[4], t->lba_low[1] = f[8];
    t->lba_mid[0] = f[5], t->lba_mid[1] = f[9];
    t->lba_high[0] = f[6], t->lba_high[1] = f[10];
    t->device = f[7];
    t->count[0] = f[12], t->count[1] = f[13];
}

/* A control FIS: soft reset while SRST is set, done when it is cleared. */
static void control(struct ahci_port *p, struct ahci_slot *s, const uint8_t *fis)
{
    bool srst = fis[15] & 4;

    p->ci &= ~(1u << s->tag);
    if (p->in_reset && !srst)
        ahci_device_reset(p);
    p->in_reset = srst;
}

/* Takes the command of slot @n. Returns false when it must wait. */
static bool start(struct ahci_port *p, unsigned n)
{
    const struct dma *dma = &p->ahci->pci.dma;
    struct ahci_slot *s = &p->slot[n];
    uint8_t header[HEADER_BYTES];
    struct command c;
    const struct ata_op *op;

    s->header = p->clb + n * HEADER_BYTES;
    dma_get(dma, s->header, header, sizeof header);
    c.table = ldl64(header + 8) & ~127ull;
    c.entries = ldl16(header + 2);
    c.atapi = header[0] & HDR_ATAPI;
    dma_get(dma, c.table, c.fis, sizeof c.fis);
    op = ata_op(c.fis[2]);
    s->ncq = op && op->ncq && (c.fis[1] & FIS_COMMAND);
    if (s->ncq ? p->single : p->running != 0)
        return false;
    s->port = p;
    s->tag = n;
    s->pio = false;
    s->to_memory = true;
    s->lba = 0;
    sg_init(&s->sg, dma, true);
    put_count(s, 0);
    if (c.fis[0] != FIS_H2D || !(c.fis[1] & FIS_COMMAND)) {
        control(p, s, c.fis);
        return true;
    }
    read_fis(&s->tf, c.fis);
    if (s->ncq && (!p->ata.ncq_depth || p->ata.cd)) {
        s->ncq = false;
        slot_end(s, ATA_ABRT, 0);
        return true;
    }
    if (s->ncq)                  /* accepted: the slot's bit in CI goes at once */
        p->ci &= ~(1u << n);
    execute(s, &c);
    return true;
}

static void start_all(struct ahci_port *p)
{
    for (unsigned n = 0; n < AHCI_SLOTS; n++) {
        if (p->halted || !(p->cmd & CMD_ST) || !dma_enabled(&p->ahci->pci.dma))
            return;
        if ((p->ci >> n & 1) && !p->slot[n].active && !start(p, n))
            return;
    }
}

void ahci_run(struct ahci_port *p)
{
    struct block *b = p->ata.drive ? p->ata.drive->blk : NULL;

    if (!b)
        return;
    block_plug(b);               /* all commands of a write to CI are started at once */
    start_all(p);
    block_unplug(b);
}

void ahci_stop(struct ahci_port *p)
{
    if (p->ata.drive && p->running) {
        p->cancelled = true;
        drive_drain(p->ata.drive);
        p->cancelled = false;
    }
    p->running = p->ci = p->sact = 0;
    p->single = p->halted = false;
}

void ahci_device_reset(struct ahci_port *p)
{
    ahci_stop(p);
    p->in_reset = false;
    if (!p->ata.drive) {
        p->tfd = 0x7f;
        return;
    }
    ata_signature(&p->ata, &p->tf);
    set_tfd(p, p->ata.cd ? 0 : ATA_DRDY | ATA_DSC, 1);
    post_d2h(p);
}
