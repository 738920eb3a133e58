/*
 * nvme-admin.c - admin commands: queues, identify, features, logs
 *
 * Source: NVM Express 1.4, chapter 5.
 */
#include "hw/disk/nvme-int.h"

enum { A_DELETE_SQ = 0x00, A_CREATE_SQ = 0x01, A_GET_LOG = 0x02, A_DELETE_CQ = 0x04,
       A_CREATE_CQ = 0x05, A_IDENTIFY = 0x06, A_ABORT = 0x08, A_SET_FEATURES = 0x09,
       A_GET_FEATURES = 0x0a, A_AER = 0x0c };
enum { FEAT_VWC = 0x06, FEAT_QUEUES = 0x07, FEAT_VECTOR = 0x09 };
enum { Q_CONTIGUOUS = 1, CQ_INTERRUPTS = 2 };

/* ---- queues ------------------------------------------------------------------------------ */

static uint16_t check_queue(const struct nvme *s, const struct nvme_cmd *c, bool used)
{
    uint32_t id = c->dw[0] & 0xffff, size = (c->dw[0] >> 16) + 1;

    if (!id || id > s->io_queues || used)
        return NVME_QID_INVALID;
    if (size < 2 || size > NVME_MAX_ENTRIES)
        return NVME_SIZE_INVALID;
    if (!(c->dw[1] & Q_CONTIGUOUS) || (c->prp1 & (NVME_PAGE - 1)))
        return NVME_INVALID_FIELD;
    return NVME_OK;
}

static uint16_t create_cq(struct nvme *s, const struct nvme_cmd *c)
{
    uint32_t id = c->dw[0] & 0xffff, vector = c->dw[1] >> 16;
    uint16_t status = check_queue(s, c, id < NVME_QUEUES && s->cq[id].used);

    if (status == NVME_OK && vector >= s->msix.vectors)
        status = NVME_VECTOR_INVALID;
    if (status == NVME_OK)
        s->cq[id] = (struct nvme_cq){ .base = c->prp1, .size = (c->dw[0] >> 16) + 1,
                                      .vector = vector, .used = true, .phase = true,
                                      .interrupts = c->dw[1] & CQ_INTERRUPTS };
    return status;
}

static uint16_t create_sq(struct nvme *s, const struct nvme_cmd *c)
{
    uint32_t id = c->dw[0] & 0xffff, cq = c->dw[1] >> 16;
    uint16_t status = check_queue(s, c, id < NVME_QUEUES && s->sq[id].used);

    if (status == NVME_OK && (!cq || cq > s->io_queues || !s->cq[cq].used))
        status = NVME_CQ_INVALID;
    if (status == NVME_OK)
        s->sq[id] = (struct nvme_sq){ .base = c->prp1, .size = (c->dw[0] >> 16) + 1, .cq = cq,
                                      .used = true };
    return status;
}

static uint16_t delete_sq(struct nvme *s, const struct nvme_cmd *c)
{
    uint32_t id = c->dw[0] & 0xffff;

    if (!id || id > s->io_queues || !s->sq[id].used)
        return NVME_QID_INVALID;
    s->sq[id].head = s->sq[id].tail;     /* take no more */
    nvme_drain(s, false);
    s->sq[id].used = false;
    return NVME_OK;
}

static uint16_t delete_cq(struct nvme *s, const struct nvme_cmd *c)
{
    uint32_t id = c->dw[0] & 0xffff;

    if (!id || id > s->io_queues || !s->cq[id].used)
        return NVME_QID_INVALID;
    for (unsigned i = 1; i < NVME_QUEUES; i++)
        if (s->sq[i].used && s->sq[i].cq == id)
            return NVME_QUEUE_DELETION;
    s->cq[id].used = false;
    return NVME_OK;
}

/* ---- identify, logs ------------------------------------------------------------------------ */

static uint16_t reply(struct nvme *s, const struct nvme_cmd *c, const void *buf, uint32_t len)
{
    struct sg sg;
    uint16_t status;

    sg_init(&sg, &s->pci.dma, true);
    status = nvme_prp(s, &sg, c, len);
    if (status == NVME_OK)
        sg_put(&sg, 0, buf, len);
    sg_done(&sg, sg.bytes);
    return status;
}

static const char *serial(const struct nvme *s)
{
    return s->serial ? s->serial : s->drive->serial ? s->drive->serial : "TM00001";
}

static void put_text(uint8_t *p, unsigned len, const char *text)
{
    memset(p, ' ', len);
    memcpy(p, text, MIN(strlen(text), (size_t)len));
}

static void identify_controller(const struct nvme *s, uint8_t *b)
{
    stl16(b + 0, 0x1b36);
    stl16(b + 2, 0x1af4);
    put_text(b + 4, 20, serial(s));
    put_text(b + 24, 40, "Transom NVMe Ctrl");
    put_text(b + 64, 8, "1.0");
    b[72] = 6;                       /* arbitration burst */
    b[77] = NVME_MDTS;
    stl32(b + 80, 0x00010400);
    b[258] = 3;                      /* abort limit, from 0 */
    b[259] = NVME_AERL - 1;
    b[260] = 0x03;                   /* one firmware slot, read-only */
    b[261] = 0x04;                   /* get log page: offsets */
    stl16(b + 266, 343);             /* kelvin */
    stl16(b + 268, 373);
    b[512] = 0x66;                   /* entries: 64 and 16 bytes */
    b[513] = 0x44;
    stl32(b + 516, 1);               /* namespaces */
    stl16(b + 520, 0x000c);          /* DSM, write zeroes */
    b[525] = 1;                      /* volatile write cache */
    snprintf((char *)b + 768, 256, "nqn.2026-01.org.transom:%s", serial(s));
    stl16(b + 2048, 2500);           /* power state 0: 25 W */
}

static void identify_namespace(const struct nvme *s, uint8_t *b)
{
    uint64_t n = block_length(s->drive->blk) / NVME_LBA;

    stl64(b + 0, n);
    stl64(b + 8, n);
    stl64(b + 16, n);
    b[128 + 2] = __builtin_ctz(NVME_LBA);
}

/* A UUID from the serial number: the same at each start. */
static void namespace_ids(const struct nvme *s, uint8_t *b)
{
    uint64_t h = 0xcbf29ce484222325ull;

    for (const char *p = serial(s); *p; p++)
        h = (h ^ (uint8_t)*p) * 0x100000001b3ull;
    b[0] = 3;
    b[1] = 16;
    stl64(b + 4, h);
    stl64(b + 12, h * 0x9e3779b97f4a7c15ull);
    b[4 + 6] = (b[4 + 6] & 15) | 0x80;
    b[4 + 8] = (b[4 + 8] & 0x3f) | 0x80;
}

static uint16_t identify(struct nvme *s, const struct nvme_cmd *c)
{
    uint8_t buf[NVME_PAGE] = { 0 };

    switch (c->dw[0] & 0xff) {
    case 0x00:
        if (c->nsid != 1)
            return NVME_INVALID_NS;
        identify_namespace(s, buf);
        break;
    case 0x01:
        identify_controller(s, buf);
        break;
    case 0x02:                       /* active namespaces above nsid */
        if (c->nsid >= UINT32_MAX - 1)
            return NVME_INVALID_NS;
        if (c->nsid < 1)
            stl32(buf, 1);
        break;
    case 0x03:
        if (c->nsid != 1)
            return NVME_INVALID_NS;
        namespace_ids(s, buf);
        break;
    default:
        return NVME_INVALID_FIELD;
    }
    return reply(s, c, buf, sizeof buf);
}

enum { LOG_BYTES = 512, LOG_ERROR_BYTES = 64 };

static uint16_t get_log(struct nvme *s, const struct nvme_cmd *c)
{
    uint8_t buf[NVME_PAGE] = { 0 };
    uint64_t len = (((uint64_t)(c->dw[1] & 0xffff) << 16 | c->dw[0] >> 16) + 1) * 4;
    uint64_t from = (uint64_t)c->dw[3] << 32 | c->dw[2];
    unsigned bytes = LOG_BYTES;

    switch (c->dw[0] & 0xff) {
    case 0x01:                       /* errors: none */
        bytes = LOG_ERROR_BYTES;
        break;
    case 0x02:                       /* health */
        stl16(buf + 1, 323);
        buf[3] = 100;
        buf[4] = 10;
        break;
    case 0x03:
        buf[0] = 1;
        put_text(buf + 8, 8, "1.0");
        break;
    default:
        return NVME_LOG_INVALID;
    }
    if (from & 3 || from > bytes)
        return NVME_INVALID_FIELD;
    return reply(s, c, buf + from, MIN(len, sizeof buf - from));
}

/* ---- features ----------------------------------------------------------------------------------- */

static uint16_t features(struct nvme *s, const struct nvme_cmd *c, bool set, uint32_t *result)
{
    uint32_t id = c->dw[0] & 0xff;

    if (!id || id >= ARRAY_SIZE(s->features) || id == 0x03)
        return NVME_INVALID_FIELD;
    if (id == FEAT_QUEUES) {
        *result = (s->io_queues - 1) << 16 | (s->io_queues - 1);
        return NVME_OK;
    }
    if (id == FEAT_VWC) {
        if (set)
            block_set_write_cache(s->drive->blk, c->dw[1] & 1);
        *result = block_write_cache(s->drive->blk);
        return NVME_OK;
    }
    if (set)
        s->features[id] = c->dw[1];
    *result = id == FEAT_VECTOR ? c->dw[1] & 0xffff : s->features[id];
    return NVME_OK;
}

void nvme_admin(struct nvme *s, const struct nvme_cmd *c)
{
    uint16_t status = NVME_INVALID_OPCODE;
    uint32_t result = 0;

    switch (c->opcode) {
    case A_DELETE_SQ:
        status = delete_sq(s, c);
        break;
    case A_CREATE_SQ:
        status = create_sq(s, c);
        break;
    case A_DELETE_CQ:
        status = delete_cq(s, c);
        break;
    case A_CREATE_CQ:
        status = create_cq(s, c);
        break;
    case A_GET_LOG:
        status = get_log(s, c);
        break;
    case A_IDENTIFY:
        status = identify(s, c);
        break;
    case A_ABORT:
        result = 1;                  /* not aborted: it ends by itself */
        status = NVME_OK;
        break;
    case A_SET_FEATURES:
    case A_GET_FEATURES:
        status = features(s, c, c->opcode == A_SET_FEATURES, &result);
        break;
    case A_AER:
        if (s->n_aer < NVME_AERL) {
            s->aer[s->n_aer++] = c->cid;
            s->cq[0].in_flight--;    /* answered when something happens */
            return;
        }
        status = NVME_AER_LIMIT;
        break;
    }
    nvme_complete(s, 0, c->cid, status ? status | NVME_DNR : NVME_OK, result);
}
