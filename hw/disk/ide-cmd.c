/*
 * ide-cmd.c - commands of an IDE unit: PIO, identification, flush, resets
 */
#include "hw/disk/ide-int.h"

enum { CMD_NOP = 0x00, CMD_PACKET = 0xa0, CMD_IDENTIFY_PACKET = 0xa1, CMD_IDENTIFY = 0xec };

/* ---- endings -------------------------------------------------------------------------- */

static void idle(struct ide_unit *u, uint8_t status)
{
    u->phase = IDE_IDLE;
    u->status = status;
    u->data_done = NULL;
    u->pos = u->end = 0;
}

void ide_done(struct ide_unit *u)
{
    idle(u, ATA_DRDY | ATA_DSC);
    ide_irq(u->ch, 1);
}

void ide_abort(struct ide_unit *u, uint8_t error)
{
    u->error = error;
    idle(u, ATA_DRDY | ATA_ERR);
    ide_irq(u->ch, 1);
}

static void busy(struct ide_unit *u)
{
    u->phase = IDE_BUSY;
    u->status = ATA_BSY;
}

/* ---- data phases ------------------------------------------------------------------------ */

void ide_to_host(struct ide_unit *u, uint32_t bytes, void (*then)(struct ide_unit *u))
{
    u->phase = IDE_DATA_IN;
    u->status = ATA_DRDY | ATA_DSC | ATA_DRQ;
    u->pos = 0;
    u->end = MIN(bytes, IDE_BUF_BYTES);
    u->data_done = then;
    ide_irq(u->ch, 1);
}

void ide_piece_to_host(struct ide_unit *u, uint32_t bytes, void (*then)(struct ide_unit *u))
{
    ide_to_host(u, bytes, then);
    u->pos = u->reply_at;
    u->end = u->reply_at += bytes;
}

void ide_from_host(struct ide_unit *u, uint32_t bytes, void (*then)(struct ide_unit *u), bool irq)
{
    u->phase = IDE_DATA_OUT;
    u->status = ATA_DRDY | ATA_DSC | ATA_DRQ;
    u->pos = 0;
    u->end = MIN(bytes, IDE_BUF_BYTES);
    u->data_done = then;
    if (irq)
        ide_irq(u->ch, 1);
}

static void quiet_end(struct ide_unit *u)
{
    idle(u, ATA_DRDY | ATA_DSC);
}

/* ---- disk requests --------------------------------------------------------------------------- */

static void submit(struct ide_unit *u, enum block_op op, uint64_t off, uint64_t len,
                   void (*cb)(struct drive_req *r, int ret), bool ahead)
{
    busy(u);
    u->cancelled = false;
    u->req.r.op = op;
    u->req.r.off = off;
    u->req.r.len = len;
    u->req.r.flags = u->fua && op == BLOCK_WRITE ? BLOCK_REQ_FUA : 0;
    u->req.ahead = ahead;
    u->req.opaque = u;
    u->req.cb = cb;
    drive_submit(u->ata.drive, &u->req);
}

void ide_submit(struct ide_unit *u, enum block_op op, uint64_t off, uint64_t len,
                void (*cb)(struct drive_req *r, int ret))
{
    submit(u, op, off, len, cb, false);
}

/* Wait for what is in flight; its callback only cleans up. */
void ide_cancel(struct ide_unit *u)
{
    if (!ide_present(u))
        return;
    u->cancelled = true;
    drive_drain(u->ata.drive);
    if (u->sg_used)
        sg_done(&u->sg, u->sg.bytes);
    u->sg_used = false;
}

static void submit_buf(struct ide_unit *u, uint32_t sectors, void (*cb)(struct drive_req *, int))
{
    u->now = sectors;
    u->iov = (struct iovec){ u->buf, sectors * ATA_SECTOR };
    u->req.r.iov = &u->iov;
    u->req.r.niov = 1;
    submit(u, u->write ? BLOCK_WRITE : BLOCK_READ, u->lba * ATA_SECTOR,
           sectors * ATA_SECTOR, cb, sectors > u->per_drq);
}

static void failed(struct ide_unit *u)
{
    ata_set_lba(&u->ata, &u->tf, u->ext, u->lba);
    ide_abort(u, u->write ? ATA_ABRT : ATA_UNC);
}

/* The registers show where the command has come to. */
static void advance(struct ide_unit *u)
{
    u->lba += u->now;
    u->left -= u->now;
    u->tf.count[0] = u->left;
    u->tf.count[1] = u->left >> 8;
    ata_set_lba(&u->ata, &u->tf, u->ext, u->lba - (u->left ? 0 : 1));
}

static void pio_read_next(struct ide_unit *u);

/* The registers follow what the host gets, not what has been read. */
static void pio_read_piece(struct ide_unit *u)
{
    u->now = MIN((u->have - u->reply_at) / ATA_SECTOR, u->per_drq);
    if (!u->now) {
        pio_read_next(u);
        return;
    }
    advance(u);
    ide_piece_to_host(u, u->now * ATA_SECTOR, u->left ? pio_read_piece : quiet_end);
}

static void pio_read_cb(struct drive_req *r, int ret)
{
    struct ide_unit *u = r->opaque;

    if (u->cancelled)
        return;
    if (ret < 0 && r->ahead) {
        u->piecewise = true;
        pio_read_next(u);
        return;
    }
    if (ret < 0) {
        failed(u);
        return;
    }
    u->have = u->now * ATA_SECTOR;
    u->reply_at = 0;
    pio_read_piece(u);
}

/* As a disk with a cache: several DRQ blocks from the medium at once. */
static void pio_read_next(struct ide_unit *u)
{
    uint32_t most = u->piecewise ? 0 : IDE_AHEAD / ATA_SECTOR;

    submit_buf(u, MIN(u->left, MAX(u->per_drq, most)), pio_read_cb);
}

static void pio_write_block(struct ide_unit *u);

static void pio_write_cb(struct drive_req *r, int ret)
{
    struct ide_unit *u = r->opaque;

    if (u->cancelled)
        return;
    if (ret < 0) {
        failed(u);
        return;
    }
    advance(u);
    if (u->left)
        ide_from_host(u, MIN(u->left, u->per_drq) * ATA_SECTOR, pio_write_block, true);
    else
        ide_done(u);
}

static void pio_write_block(struct ide_unit *u)
{
    submit_buf(u, MIN(u->left, u->per_drq), pio_write_cb);
}

static void plain_cb(struct drive_req *r, int ret)
{
    struct ide_unit *u = r->opaque;

    if (u->cancelled)
        return;
    if (ret < 0)
        ide_abort(u, ATA_ABRT);
    else
        ide_done(u);
}

/* ---- reading and writing ------------------------------------------------------------------------ */

static void rw_command(struct ide_unit *u, const struct ata_op *op)
{
    bool pio = op->move == ATA_PIO_IN || op->move == ATA_PIO_OUT;

    if (op->ncq || (op->multi && !u->ata.mult)) {
        ide_abort(u, ATA_ABRT);
        return;
    }
    if (!ata_range(&u->ata, &u->tf, op, &u->lba, &u->left)) {
        log_guest(LOG_PCI, "ide lba=%#llx n=%u past end", (unsigned long long)u->lba, u->left);
        ide_abort(u, ATA_IDNF);
        return;
    }
    u->ext = op->ext;
    u->fua = op->fua;
    u->write = op->move == ATA_PIO_OUT || op->move == ATA_DMA_OUT;
    u->dma = !pio;
    u->block = ATA_SECTOR;
    u->per_drq = op->multi ? u->ata.mult : 1;
    u->piecewise = false;
    if (op->move == ATA_NO_DATA)
        ide_done(u);             /* READ VERIFY: it is all there */
    else if (!pio)
        ide_dma_begin(u);
    else if (u->write)
        ide_from_host(u, MIN(u->left, u->per_drq) * ATA_SECTOR, pio_write_block, false);
    else
        pio_read_next(u);
}

static void trim(struct ide_unit *u)
{
    u->left = ata_trim_bytes(&u->ata, &u->tf) / ATA_SECTOR;
    u->ext = u->dma = u->write = u->trim = true;
    u->lba = 0;
    if (u->left)
        ide_dma_begin(u);
    else
        ide_abort(u, ATA_ABRT);
}

/* ---- others ---------------------------------------------------------------------------------------- */

static void identify(struct ide_unit *u, bool packet)
{
    if (packet != u->ata.cd) {
        if (u->ata.cd)           /* so that drivers see what it is */
            ata_signature(&u->ata, &u->tf);
        ide_abort(u, ATA_ABRT);
        return;
    }
    ata_identify(&u->ata, u->buf);
    ide_to_host(u, ATA_SECTOR, quiet_end);
}

static void packet(struct ide_unit *u)
{
    u->dma = u->tf.feature[0] & 1;
    u->limit = u->tf.lba_high[0] << 8 | u->tf.lba_mid[0];
    u->tf.count[0] = 1;          /* command, to the device */
    ide_from_host(u, 12, ide_packet, false);
    u->phase = IDE_PACKET;
}

void ide_unit_reset(struct ide_unit *u)
{
    ide_cancel(u);
    if (!ide_present(u)) {
        u->status = 0;
        return;
    }
    ata_signature(&u->ata, &u->tf);
    idle(u, u->ata.cd ? 0 : ATA_DRDY | ATA_DSC);
    u->error = 1;                /* diagnostics passed */
    u->ata.mult = ATA_MULT_MAX;
}

static void diagnostic(struct ide_channel *ch)
{
    for (unsigned i = 0; i < IDE_UNITS; i++)
        ide_unit_reset(&ch->u[i]);
    ch->selected = 0;
    ch->u[0].tf.device = ch->u[1].tf.device = 0;
    ide_irq(ch, 1);
}

/* Commands that ATAPI devices know too. */
static bool common_command(struct ide_unit *u)
{
    switch (u->tf.command) {
    case CMD_NOP:
        ide_abort(u, ATA_ABRT);
        return true;
    case IDE_DEVICE_RESET:
        if (!u->ata.cd)
            return false;
        ide_unit_reset(u);
        return true;
    case IDE_DIAGNOSTIC:
        diagnostic(u->ch);
        return true;
    case CMD_IDENTIFY:
    case CMD_IDENTIFY_PACKET:
        identify(u, u->tf.command == CMD_IDENTIFY_PACKET);
        return true;
    case CMD_PACKET:
        if (!u->ata.cd)
            return false;
        packet(u);
        return true;
    }
    return false;
}

void ide_command(struct ide_unit *u, uint8_t command)
{
    const struct ata_op *op = ata_op(command);
    uint8_t error;

    u->tf.command = command;
    u->error = 0;
    u->dma = u->trim = false;
    u->fua = false;
    log_ev(LOG_PCI, "ide cmd=%#x cd=%d lba=%02x%02x%02x n=%u", command, u->ata.cd,
           u->tf.lba_high[0], u->tf.lba_mid[0], u->tf.lba_low[0], u->tf.count[0]);
    if (common_command(u))
        return;
    if (!u->ata.cd && op) {
        rw_command(u, op);
    } else if (!u->ata.cd && ata_is_flush(command)) {
        ide_submit(u, BLOCK_FLUSH, 0, 0, plain_cb);
    } else if (!u->ata.cd && command == ATA_DSM) {
        trim(u);
    } else {
        if (u->ata.cd && (op || command == 0xe7))
            ata_signature(&u->ata, &u->tf);
        error = ata_simple(&u->ata, &u->tf);
        if (error)
            ide_abort(u, error);
        else
            ide_done(u);
    }
}
