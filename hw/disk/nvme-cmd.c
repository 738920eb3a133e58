/*
 * nvme-cmd.c - PRP lists, NVM command set
 */
#include <stdlib.h>
#include "hw/disk/nvme-int.h"

enum { OP_FLUSH = 0x00, OP_WRITE = 0x01, OP_READ = 0x02, OP_WRITE_ZEROES = 0x08, OP_DSM = 0x09 };
enum { CDW12_FUA = 1 << 30, CDW12_DEALLOCATE = 1 << 25, DSM_DEALLOCATE = 1 << 2 };

/* ---- PRPs ------------------------------------------------------------------------------ */

/* Entries of a list; the last one of a page points to the next list page when
 * there is more to come. The length bounds the walk. */
static uint16_t prp_list(struct nvme *s, struct sg *sg, gpa_t list, uint32_t len)
{
    while (len) {
        uint32_t n = MIN(len, NVME_PAGE);
        uint8_t raw[8];

        if ((list & 7) || !dma_get(&s->pci.dma, list, raw, 8))
            return NVME_INVALID_PRP;
        if ((list & (NVME_PAGE - 1)) == NVME_PAGE - 8 && len > NVME_PAGE) {
            list = ldl64(raw);
            if (list & (NVME_PAGE - 1))
                return NVME_INVALID_PRP;
            /* a page that only points on would never end: it must hold data */
            if (!dma_get(&s->pci.dma, list, raw, 8))
                return NVME_INVALID_PRP;
        }
        if (ldl64(raw) & (NVME_PAGE - 1))
            return NVME_INVALID_PRP;
        if (sg_add(sg, ldl64(raw), n) < 0)
            return NVME_TRANSFER_ERROR;
        list += 8;
        len -= n;
    }
    return NVME_OK;
}

uint16_t nvme_prp(struct nvme *s, struct sg *sg, const struct nvme_cmd *c, uint32_t len)
{
    uint32_t first = MIN(len, NVME_PAGE - (uint32_t)(c->prp1 & (NVME_PAGE - 1)));

    if (c->flags >> 6 || len > NVME_MAX_BYTES)   /* SGLs are not supported */
        return NVME_INVALID_FIELD;
    if (c->prp1 & 3)
        return NVME_INVALID_PRP;
    if (sg_add(sg, c->prp1, first) < 0)
        return NVME_TRANSFER_ERROR;
    len -= first;
    if (len > NVME_PAGE)
        return prp_list(s, sg, c->prp2, len);
    if (len && (c->prp2 & (NVME_PAGE - 1)))
        return NVME_INVALID_PRP;
    return len && sg_add(sg, c->prp2, len) < 0 ? NVME_TRANSFER_ERROR : NVME_OK;
}

/* ---- requests ---------------------------------------------------------------------------- */

static struct nvme_req *req_get(struct nvme *s, unsigned sq, uint16_t cid, bool to_memory)
{
    struct nvme_req *r = s->free;

    if (r)
        s->free = r->next;
    else
        r = xzalloc(sizeof *r);      /* as many as completion queues have room */
    r->s = s;
    r->sq = sq;
    r->cid = cid;
    r->to_memory = to_memory;
    sg_init(&r->sg, &s->pci.dma, to_memory);
    return r;
}

static void req_end(struct nvme_req *r, uint16_t status)
{
    struct nvme *s = r->s;
    unsigned sq = r->sq;

    sg_done(&r->sg, r->to_memory ? r->sg.bytes : 0);
    r->next = s->free;
    s->free = r;
    if (s->stopping)
        return;
    nvme_complete(s, sq, r->cid, status, 0);
}

static uint16_t status_of(const struct nvme_req *r, int ret)
{
    if (ret == 0)
        return NVME_OK;
    return r->to_memory ? NVME_READ_ERROR : NVME_WRITE_FAULT;
}

static void on_done(struct drive_req *dr, int ret)
{
    struct nvme_req *r = container_of(dr, struct nvme_req, req);
    struct nvme *s = r->s;
    unsigned sq = r->sq;

    req_end(r, status_of(r, ret));
    if (!s->stopping)
        for (unsigned i = 0; i < NVME_QUEUES; i++)   /* those that waited for room */
            if (s->sq[i].used && s->sq[i].cq == s->sq[sq].cq)
                nvme_run(s, i);
}

static void submit(struct nvme_req *r, enum block_op op, unsigned flags, uint64_t off, uint64_t len)
{
    r->req.r.op = op;
    r->req.r.flags = flags;
    r->req.r.off = off;
    r->req.r.len = len;
    r->req.cb = on_done;
    drive_submit(r->s->drive, &r->req);
}

static bool in_range(const struct nvme *s, uint64_t lba, uint64_t n)
{
    uint64_t all = block_length(s->drive->blk) / NVME_LBA;

    return n <= all && lba <= all - n;
}

static void transfer(struct nvme_req *r, const struct nvme_cmd *c, uint64_t lba, uint32_t n)
{
    bool write = c->opcode == OP_WRITE;
    uint16_t status = NVME_INVALID_FIELD;

    if (n <= NVME_MAX_BYTES / NVME_LBA)
        status = nvme_prp(r->s, &r->sg, c, n * NVME_LBA);
    if (status != NVME_OK) {
        req_end(r, status | NVME_DNR);
        return;
    }
    r->req.r.iov = sg_iov(&r->sg, 0, r->sg.bytes, &r->req.r.niov);
    submit(r, write ? BLOCK_WRITE : BLOCK_READ, write && c->dw[2] & CDW12_FUA ? BLOCK_REQ_FUA : 0,
           lba * NVME_LBA, n * NVME_LBA);
}

/* ---- dataset management ---------------------------------------------------------------------- */

static void next_range(struct nvme_req *r);

static void on_range_done(struct drive_req *dr, int ret)
{
    struct nvme_req *r = container_of(dr, struct nvme_req, req);

    if (ret < 0 || r->range == r->n_ranges)
        on_done(dr, ret);
    else
        next_range(r);
}

static void next_range(struct nvme_req *r)
{
    const uint8_t *p = r->ranges + r->range++ * 16;

    submit(r, BLOCK_DISCARD, 0, ldl64(p + 8) * NVME_LBA, (uint64_t)ldl32(p + 4) * NVME_LBA);
    r->req.cb = on_range_done;       /* callbacks never run inside submit */
}

static void dsm(struct nvme_req *r, const struct nvme_cmd *c)
{
    uint16_t status;

    r->n_ranges = (c->dw[0] & 0xff) + 1;
    r->range = 0;
    status = nvme_prp(r->s, &r->sg, c, r->n_ranges * 16);
    sg_get(&r->sg, 0, r->ranges, r->n_ranges * 16);
    for (unsigned i = 0; i < r->n_ranges && status == NVME_OK; i++)
        if (!in_range(r->s, ldl64(r->ranges + i * 16 + 8), ldl32(r->ranges + i * 16 + 4)))
            status = NVME_LBA_RANGE;
    if (status != NVME_OK)
        req_end(r, status | NVME_DNR);
    else if (c->dw[1] & DSM_DEALLOCATE)
        next_range(r);
    else
        req_end(r, NVME_OK);
}

/* ---- dispatch ------------------------------------------------------------------------------------ */

void nvme_io(struct nvme *s, unsigned sq, const struct nvme_cmd *c)
{
    struct nvme_req *r = req_get(s, sq, c->cid, c->opcode == OP_READ);
    uint64_t lba = c->dw[0] | (uint64_t)c->dw[1] << 32;
    uint32_t n = (c->dw[2] & 0xffff) + 1;
    bool ranged = c->opcode == OP_READ || c->opcode == OP_WRITE || c->opcode == OP_WRITE_ZEROES;

    if (c->nsid != 1 && !(c->nsid == UINT32_MAX && c->opcode == OP_FLUSH)) {
        req_end(r, NVME_INVALID_NS | NVME_DNR);
    } else if (ranged && !in_range(s, lba, n)) {
        req_end(r, NVME_LBA_RANGE | NVME_DNR);
    } else if (c->opcode == OP_FLUSH) {
        submit(r, BLOCK_FLUSH, 0, 0, 0);
    } else if (c->opcode == OP_WRITE_ZEROES) {
        submit(r, BLOCK_WRITE_ZEROES, c->dw[2] & CDW12_DEALLOCATE ? BLOCK_REQ_UNMAP : 0,
               lba * NVME_LBA, (uint64_t)n * NVME_LBA);
    } else if (c->opcode == OP_DSM) {
        dsm(r, c);
    } else if (ranged) {
        transfer(r, c, lba, n);
    } else {
        req_end(r, NVME_INVALID_OPCODE | NVME_DNR);
    }
}
