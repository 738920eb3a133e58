/*
 * ide-atapi.c - packets by PIO and bus master
 *
 * Source: ATA/ATAPI-7, "PACKET command" protocols; the interrupt reason is in
 * the count register: bit 0 command, bit 1 to the host.
 */
#include "hw/disk/ide-int.h"

enum { REASON_COMMAND = 1, REASON_TO_HOST = 2 };

static void packet_end(struct ide_unit *u)
{
    u->tf.count[0] = REASON_COMMAND | REASON_TO_HOST;
    u->error = 0;
    ide_done(u);
}

static void packet_fail(struct ide_unit *u)
{
    u->tf.count[0] = REASON_COMMAND | REASON_TO_HOST;
    ide_abort(u, u->ata.atapi.key << 4 | ATA_ABRT);
}

/* ---- PIO ----------------------------------------------------------------------------- */

/* Bytes of the next DRQ block: an even number, when more blocks follow. */
static uint32_t drq_bytes(const struct ide_unit *u, uint32_t left)
{
    uint32_t limit = u->limit ? u->limit : 0xfffe;

    if (limit == 0xffff)
        limit = 0xfffe;
    if (left <= limit)
        return left;
    return limit > 1 ? limit & ~1u : 2;
}

static void announce(struct ide_unit *u, uint32_t bytes)
{
    u->tf.lba_mid[0] = bytes;
    u->tf.lba_high[0] = bytes >> 8;
    u->tf.count[0] = REASON_TO_HOST;
}

static void reply_next(struct ide_unit *u)
{
    uint32_t n = drq_bytes(u, u->ata.atapi.len - u->reply_at);

    if (!n) {
        packet_end(u);
        return;
    }
    memcpy(u->buf, u->ata.atapi.buf + u->reply_at, n);
    u->reply_at += n;
    announce(u, n);
    ide_to_host(u, n, reply_next);
}

static void read_next(struct ide_unit *u);

/* The host may want the blocks in smaller pieces than were read at once. */
static void read_piece(struct ide_unit *u)
{
    uint32_t n = drq_bytes(u, u->have - u->reply_at);

    if (n) {
        announce(u, n);
        ide_piece_to_host(u, n, read_piece);
    } else if (u->left) {
        read_next(u);
    } else {
        packet_end(u);
    }
}

static void read_cb(struct drive_req *r, int ret)
{
    struct ide_unit *u = r->opaque;

    if (u->cancelled)
        return;
    if (ret < 0) {
        atapi_read_failed(&u->ata, ret);
        packet_fail(u);
        return;
    }
    u->lba += u->now;
    u->left -= u->now;
    u->have = u->now * CD_BLOCK;
    u->reply_at = 0;
    read_piece(u);
}

static void read_next(struct ide_unit *u)
{
    u->now = MIN(u->left, IDE_BUF_BYTES / CD_BLOCK);
    u->iov = (struct iovec){ u->buf, u->now * CD_BLOCK };
    u->req.r.iov = &u->iov;
    u->req.r.niov = 1;
    ide_submit(u, BLOCK_READ, u->lba * CD_BLOCK, u->now * CD_BLOCK, read_cb);
}

/* ---- bus master ------------------------------------------------------------------------- */

static void dma_end(struct ide_unit *u, bool ok)
{
    if (u->sg_used)
        sg_done(&u->sg, u->sg.bytes);
    u->sg_used = false;
    ide_bm_done(u, false);
    if (ok)
        packet_end(u);
    else
        packet_fail(u);
}

static void dma_cb(struct drive_req *r, int ret)
{
    struct ide_unit *u = r->opaque;

    if (u->cancelled)
        return;
    if (ret < 0) {
        atapi_read_failed(&u->ata, ret);
        dma_end(u, false);
        return;
    }
    sg_done(&u->sg, u->sg.bytes);
    u->sg_used = false;
    u->lba += u->now;
    u->left -= u->now;
    if (u->left)
        ide_atapi_dma(u);
    else
        dma_end(u, true);
}

static void dma_reply(struct ide_unit *u)
{
    bool ok = ide_bm_take(u, u->ata.atapi.len, true);

    sg_put(&u->sg, 0, u->ata.atapi.buf, u->ata.atapi.len);
    if (!ok)
        atapi_sense(&u->ata, 4, 0, 0);
    dma_end(u, ok);
}

void ide_atapi_dma(struct ide_unit *u)
{
    if (u->reply_dma) {
        dma_reply(u);
        return;
    }
    u->now = MIN(u->left, IDE_DMA_CHUNK / CD_BLOCK);
    if (!ide_bm_take(u, u->now * CD_BLOCK, true)) {
        atapi_sense(&u->ata, 4, 0, 0);           /* hardware error */
        dma_end(u, false);
        return;
    }
    u->req.r.iov = sg_iov(&u->sg, 0, u->sg.bytes, &u->req.r.niov);
    ide_submit(u, BLOCK_READ, u->lba * CD_BLOCK, u->now * CD_BLOCK, dma_cb);
}

/* ---- the packet ---------------------------------------------------------------------------- */

void ide_packet(struct ide_unit *u)
{
    enum atapi_what what = atapi_command(&u->ata, u->buf, &u->lba, &u->left);

    log_ev(LOG_PCI, "atapi op=%#x what=%d key=%u asc=%#x", u->buf[0], what, u->ata.atapi.key,
           u->ata.atapi.asc);
    u->block = CD_BLOCK;
    u->write = false;
    u->reply_at = 0;
    u->reply_dma = what == ATAPI_REPLY;
    switch (what) {
    case ATAPI_DONE:
        packet_end(u);
        break;
    case ATAPI_FAILED:
        packet_fail(u);
        break;
    case ATAPI_TAKE:
        u->tf.count[0] = 0;
        u->tf.lba_mid[0] = u->ata.atapi.len;
        u->tf.lba_high[0] = u->ata.atapi.len >> 8;
        ide_from_host(u, u->ata.atapi.len, packet_end, true);
        break;
    case ATAPI_REPLY:
    case ATAPI_READ:
        if (u->dma)
            ide_dma_begin(u);
        else if (what == ATAPI_REPLY)
            reply_next(u);
        else
            read_next(u);
        break;
    }
}
