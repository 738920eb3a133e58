/*
 * ide-dma.c - bus master IDE: physical region tables, DMA commands
 *
 * Source: "Programming Interface for Bus Master IDE Controller", revision 1.0;
 * Intel 82371SB datasheet, 2.7.
 */
#include "hw/disk/ide-int.h"

#define PRD_BYTES   8u
#define PRD_MAX     8192u            /* a table fits in 64 KiB */
#define PRD_EOT     0x80000000u

/* ---- the table -------------------------------------------------------------------- */

static bool next_prd(struct ide_channel *ch)
{
    struct ide_bm *bm = &ch->bm;
    uint8_t raw[PRD_BYTES];

    if (bm->last || bm->entries++ >= PRD_MAX || !dma_get(&ch->ide->pci.dma, bm->at, raw, 8))
        return false;
    bm->at += PRD_BYTES;
    bm->addr = ldl32(raw) & ~1u;
    bm->bytes = ldl32(raw + 4) & 0xfffe;
    if (!bm->bytes)
        bm->bytes = 0x10000;
    bm->last = ldl32(raw + 4) & PRD_EOT;
    return true;
}

bool ide_bm_take(struct ide_unit *u, uint32_t bytes, bool to_memory)
{
    struct ide_bm *bm = &u->ch->bm;

    sg_init(&u->sg, &u->ch->ide->pci.dma, to_memory);
    u->sg_used = true;
    while (bytes) {
        uint32_t n;

        if (!bm->bytes && !next_prd(u->ch))
            return false;
        n = MIN(bytes, bm->bytes);
        if (sg_add(&u->sg, bm->addr, n) < 0)
            return false;
        bm->addr += n;
        bm->bytes -= n;
        bytes -= n;
    }
    return true;
}

/* ---- commands ----------------------------------------------------------------------- */

static void drop_sg(struct ide_unit *u, uint64_t written)
{
    if (u->sg_used)
        sg_done(&u->sg, written);
    u->sg_used = false;
}

/* ACTIVE stays set when the table has more room than the command used. */
void ide_bm_done(struct ide_unit *u, bool error)
{
    struct ide_bm *bm = &u->ch->bm;

    if (error)
        bm->status |= BM_ERROR;
    if (error || (bm->last && !bm->bytes))
        bm->status &= ~BM_ACTIVE;
}

static void dma_fail(struct ide_unit *u, uint8_t error)
{
    drop_sg(u, u->sg_used ? u->sg.bytes : 0);
    ide_bm_done(u, true);
    ata_set_lba(&u->ata, &u->tf, u->ext, u->lba);
    ide_abort(u, error);
}

static void dma_done(struct ide_unit *u)
{
    u->tf.count[0] = u->tf.count[1] = 0;
    ide_bm_done(u, false);
    ide_done(u);
}

static void dma_next(struct ide_unit *u);

static void dma_cb(struct drive_req *r, int ret)
{
    struct ide_unit *u = r->opaque;

    if (u->cancelled)
        return;
    if (ret < 0) {
        dma_fail(u, u->write ? ATA_ABRT : ATA_UNC);
        return;
    }
    drop_sg(u, u->sg.bytes);
    u->lba += u->now;
    u->left -= u->now;
    if (u->left) {
        dma_next(u);
        return;
    }
    dma_done(u);
}

static void dma_next(struct ide_unit *u)
{
    u->now = MIN(u->left, IDE_DMA_CHUNK / ATA_SECTOR);
    if (!ide_bm_take(u, u->now * ATA_SECTOR, !u->write)) {
        log_guest(LOG_PCI, "ide bus master table is too short");
        dma_fail(u, ATA_ABRT);
        return;
    }
    u->req.r.iov = sg_iov(&u->sg, 0, u->sg.bytes, &u->req.r.niov);
    ide_submit(u, u->write ? BLOCK_WRITE : BLOCK_READ, u->lba * ATA_SECTOR,
               u->now * ATA_SECTOR, dma_cb);
}

/* ---- ranges to give up ------------------------------------------------------------------- */

static void trim_next(struct ide_unit *u);

static void trim_cb(struct drive_req *r, int ret)
{
    struct ide_unit *u = r->opaque;

    if (u->cancelled)
        return;
    if (ret < 0)
        dma_fail(u, ATA_ABRT);
    else
        trim_next(u);
}

static void trim_next(struct ide_unit *u)
{
    uint32_t n;
    int ret = ata_trim_next(&u->ata, &u->sg, &u->trim_at, u->left * ATA_SECTOR, &u->lba, &n);

    if (ret < 0) {
        dma_fail(u, ATA_ABRT);
    } else if (ret == 0) {
        drop_sg(u, 0);
        dma_done(u);
    } else {
        u->req.r.niov = 0;
        ide_submit(u, BLOCK_DISCARD, u->lba * ATA_SECTOR, (uint64_t)n * ATA_SECTOR, trim_cb);
    }
}

static void trim_go(struct ide_unit *u)
{
    u->trim_at = 0;
    if (ide_bm_take(u, u->left * ATA_SECTOR, false))
        trim_next(u);
    else
        dma_fail(u, ATA_ABRT);
}

/* ---- start and end ------------------------------------------------------------------------ */

static void dma_go(struct ide_unit *u)
{
    bool to_memory = u->ch->bm.cmd & BM_TO_MEMORY;

    if (!dma_enabled(&u->ch->ide->pci.dma))
        return;                      /* until ide_bm_master_on() */
    if (u->ata.cd)
        ide_atapi_dma(u);
    else if (to_memory == u->write)
        dma_fail(u, ATA_ABRT);       /* the two do not agree about the direction */
    else if (u->trim)
        trim_go(u);
    else
        dma_next(u);
}

void ide_dma_begin(struct ide_unit *u)
{
    u->phase = IDE_DMA_WAIT;
    u->status = ATA_DRDY | ATA_DSC | ATA_DRQ;
    if (u->ch->bm.status & BM_ACTIVE)
        dma_go(u);
}

/* What the unit waits with since it asked for the bus. */
static void dma_resume(struct ide_unit *u)
{
    if (u->phase != IDE_DMA_WAIT || !(u->ch->bm.status & BM_ACTIVE))
        return;
    block_plug(u->ata.drive->blk);
    dma_go(u);
    block_unplug(u->ata.drive->blk);
}

void ide_bm_master_on(struct pci_device *pci)
{
    struct ide *s = container_of(pci, struct ide, pci);

    for (unsigned n = 0; n < IDE_CHANNELS; n++)
        dma_resume(&s->ch[n].u[s->ch[n].selected]);
}

void ide_bm_start(struct ide_channel *ch)
{
    ch->bm.at = ch->bm.table;
    ch->bm.bytes = ch->bm.entries = 0;
    ch->bm.last = false;
    ch->bm.status |= BM_ACTIVE;
    dma_resume(&ch->u[ch->selected]);
}

/* Stopping in the middle: the command never ends by itself; drivers reset then. */
void ide_bm_stop(struct ide_channel *ch)
{
    for (unsigned i = 0; i < IDE_UNITS; i++) {
        struct ide_unit *u = &ch->u[i];

        if (!u->dma || u->phase != IDE_BUSY)
            continue;
        ide_cancel(u);
        u->phase = IDE_IDLE;
        u->status = ATA_DRDY | ATA_ERR;
        u->error = ATA_ABRT;
    }
    ch->bm.status &= ~BM_ACTIVE;
}
