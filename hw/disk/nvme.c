/*
 * nvme.c - NVMe controller: registers, doorbells, completions
 */
#include <stdlib.h>
#include "hw/disk/nvme-int.h"

enum { R_CAP = 0x00, R_VS = 0x08, R_INTMS = 0x0c, R_INTMC = 0x10, R_CC = 0x14, R_CSTS = 0x1c,
       R_AQA = 0x24, R_ASQ = 0x28, R_ACQ = 0x30, R_DOORBELLS = 0x1000 };
enum { CC_EN = 1, CSTS_RDY = 1, CSTS_CFS = 2, CSTS_SHST = 0xc, CSTS_SHUTDOWN_DONE = 8 };
#define CAP_VALUE ((uint64_t)(NVME_MAX_ENTRIES - 1) | 1ull << 16 /* contiguous queues */ | \
                   20ull << 24 /* ready within 10 s */ | 1ull << 37 /* NVM command set */)
#define BAR_BYTES 0x4000u
#define SQE_BYTES 64u
#define CQE_BYTES 16u

/* ---- interrupts ------------------------------------------------------------------------- */

static void update_intx(struct nvme *s)
{
    bool level = false;

    for (unsigned i = 0; i < NVME_QUEUES; i++) {
        const struct nvme_cq *q = &s->cq[i];

        level |= q->used && q->interrupts && q->head != q->tail && !(s->intms >> (q->vector & 31) & 1);
    }
    pci_irq_set(&s->pci, level);
}

void nvme_complete(struct nvme *s, unsigned sq, uint16_t cid, uint16_t status, uint32_t result)
{
    struct nvme_cq *q = &s->cq[s->sq[sq].cq];
    uint8_t e[CQE_BYTES] = { 0 };

    if (!q->used)
        return;
    q->in_flight--;
    stl32(e, result);
    stl16(e + 8, s->sq[sq].head);
    stl16(e + 10, sq);
    stl16(e + 12, cid);
    stl16(e + 14, status << 1 | q->phase);
    /* the phase bit makes the entry valid: it goes last */
    dma_put(&s->pci.dma, q->base + (gpa_t)q->tail * CQE_BYTES, e, 12);
    __atomic_thread_fence(__ATOMIC_RELEASE);
    dma_put(&s->pci.dma, q->base + (gpa_t)q->tail * CQE_BYTES + 12, e + 12, 4);
    if (++q->tail == q->size) {
        q->tail = 0;
        q->phase = !q->phase;
    }
    if (q->interrupts)
        msix_notify(&s->msix, q->vector);
    update_intx(s);
}

/* ---- submission ----------------------------------------------------------------------------- */

static void read_cmd(struct nvme *s, gpa_t at, struct nvme_cmd *c)
{
    uint8_t raw[SQE_BYTES];

    dma_get(&s->pci.dma, at, raw, sizeof raw);
    c->opcode = raw[0];
    c->flags = raw[1];
    c->cid = ldl16(raw + 2);
    c->nsid = ldl32(raw + 4);
    c->prp1 = ldl64(raw + 24);
    c->prp2 = ldl64(raw + 32);
    for (unsigned i = 0; i < 6; i++)
        c->dw[i] = ldl32(raw + 40 + 4 * i);
}

static bool has_room(const struct nvme_cq *q)
{
    uint32_t waiting = (q->tail + q->size - q->head) % q->size;

    return waiting + q->in_flight + 1 < q->size;
}

void nvme_run(struct nvme *s, unsigned n)
{
    struct nvme_sq *q = &s->sq[n];

    block_plug(s->drive->blk);   /* all of a doorbell's commands are started at once */
    while ((s->csts & CSTS_RDY) && q->used && q->head != q->tail && has_room(&s->cq[q->cq]) &&
           dma_enabled(&s->pci.dma)) {
        struct nvme_cmd c;

        read_cmd(s, q->base + (gpa_t)q->head * SQE_BYTES, &c);
        q->head = q->head + 1 == q->size ? 0 : q->head + 1;
        s->cq[q->cq].in_flight++;
        if (n)
            nvme_io(s, n, &c);
        else
            nvme_admin(s, &c);
    }
    block_unplug(s->drive->blk);
}

static void ring(struct nvme *s, unsigned index, uint32_t val)
{
    unsigned n = index / 2;
    bool is_cq = index & 1;
    struct nvme_cq *cq;

    if (n >= NVME_QUEUES || !(is_cq ? s->cq[n].used : s->sq[n].used) ||
        val >= (is_cq ? s->cq[n].size : s->sq[n].size)) {
        log_guest(LOG_PCI, "nvme doorbell=%u val=%u refused", index, val);
        return;
    }
    if (!is_cq) {
        s->sq[n].tail = val;
        nvme_run(s, n);
        return;
    }
    cq = &s->cq[n];
    /* the head cannot pass the tail */
    if ((val + cq->size - cq->head) % cq->size > (cq->tail + cq->size - cq->head) % cq->size) {
        log_guest(LOG_PCI, "nvme cq=%u head=%u past tail", n, val);
        return;
    }
    cq->head = val;
    update_intx(s);
    for (unsigned i = 0; i < NVME_QUEUES; i++)
        if (s->sq[i].used && s->sq[i].cq == n)
            nvme_run(s, i);
}

/* ---- enabling, reset --------------------------------------------------------------------------- */

void nvme_drain(struct nvme *s, bool drop)
{
    s->stopping = drop;
    drive_drain(s->drive);
    s->stopping = false;
}

static void disable(struct nvme *s)
{
    s->csts = 0;
    nvme_drain(s, true);
    memset(s->sq, 0, sizeof s->sq);
    memset(s->cq, 0, sizeof s->cq);
    s->n_aer = 0;
    update_intx(s);
}

static void enable(struct nvme *s)
{
    bool ok = (s->cc >> 4 & 7) == 0 && (s->cc >> 7 & 15) == 0;   /* NVM set, 4 KiB pages */

    if (!ok || (s->asq & (NVME_PAGE - 1)) || (s->acq & (NVME_PAGE - 1))) {
        log_guest(LOG_PCI, "nvme cc=%#x refused", s->cc);
        s->csts = CSTS_CFS;
        return;
    }
    s->sq[0] = (struct nvme_sq){ .base = s->asq, .size = (s->aqa & 0xfff) + 1, .used = true };
    s->cq[0] = (struct nvme_cq){ .base = s->acq, .size = (s->aqa >> 16 & 0xfff) + 1, .used = true,
                                 .phase = true, .interrupts = true };
    s->csts = CSTS_RDY;
}

static void set_cc(struct nvme *s, uint32_t v)
{
    uint32_t was = s->cc;

    s->cc = v;
    if ((was & CC_EN) && !(v & CC_EN))
        disable(s);
    else if (!(was & CC_EN) && (v & CC_EN))
        enable(s);
    if (v >> 14 & 3) {               /* shutdown notification */
        nvme_drain(s, false);
        s->csts = (s->csts & ~CSTS_SHST) | CSTS_SHUTDOWN_DONE;
    }
}

/* ---- registers ---------------------------------------------------------------------------------- */

static uint32_t reg_read(struct nvme *s, uint64_t off)
{
    switch (off) {
    case R_CAP:
        return (uint32_t)CAP_VALUE;
    case R_CAP + 4:
        return CAP_VALUE >> 32;
    case R_VS:
        return 0x00010400;
    case R_INTMS:
    case R_INTMC:
        return s->intms;
    case R_CC:
        return s->cc;
    case R_CSTS:
        return s->csts;
    case R_AQA:
        return s->aqa;
    case R_ASQ:
    case R_ASQ + 4:
        return s->asq >> (off & 4 ? 32 : 0);
    case R_ACQ:
    case R_ACQ + 4:
        return s->acq >> (off & 4 ? 32 : 0);
    }
    return 0;
}

static void set_base(struct nvme *s, uint64_t *base, bool high, uint32_t v)
{
    if (s->cc & CC_EN)
        return;                      /* fixed while enabled */
    *base = high ? (*base & 0xffffffff) | (uint64_t)v << 32 : (*base & ~0xffffffffull) | v;
}

static void reg_write(struct nvme *s, uint64_t off, uint32_t v)
{
    switch (off) {
    case R_INTMS:
        s->intms |= v;
        update_intx(s);
        break;
    case R_INTMC:
        s->intms &= ~v;
        update_intx(s);
        break;
    case R_CC:
        set_cc(s, v);
        break;
    case R_AQA:
        if (!(s->cc & CC_EN))
            s->aqa = v & 0x0fff0fff;
        break;
    case R_ASQ:
    case R_ASQ + 4:
        set_base(s, &s->asq, off & 4, v);
        break;
    case R_ACQ:
    case R_ACQ + 4:
        set_base(s, &s->acq, off & 4, v);
        break;
    }
}

static uint64_t mem_get(void *opaque, uint64_t off, unsigned size)
{
    return off < R_DOORBELLS ? reg_read(opaque, off) : 0;
}

static void mem_set(void *opaque, uint64_t off, uint64_t val, unsigned size)
{
    if (size != 4 || (off & 3))
        log_guest(LOG_PCI, "nvme write off=%#llx size=%u", (unsigned long long)off, size);
    else if (off < R_DOORBELLS)
        reg_write(opaque, off, val);
    else
        ring(opaque, (off - R_DOORBELLS) / 4, val & 0xffff);
}

static const struct io_ops mem_ops = { mem_get, mem_set, 4, 4 };

/* ---- life ------------------------------------------------------------------------------------------- */

static void config_written(struct pci_device *pci, unsigned off, unsigned size)
{
    struct nvme *s = container_of(pci, struct nvme, pci);

    msix_written(&s->msix, off, size);
}

static void master_on(struct pci_device *pci)
{
    for (unsigned n = 0; n < NVME_QUEUES; n++)
        nvme_run(container_of(pci, struct nvme, pci), n);
}

static int check_drive(struct nvme *s, struct err *e)
{
    if (!s->drive)
        return err_set(e, -EINVAL, "nvme: drive property not set");
    if (!block_present(s->drive->blk))
        return err_set(e, -ENOMEDIUM, "nvme: drive '%s' is empty, and this is no removable disk",
                       s->drive->id);
    return drive_claim(s->drive, &s->pci.dev, NULL, NULL, e);
}

static int plug(struct nvme *s, struct err *e)
{
    static const struct pci_info info = { .vendor = 0x1b36, .device = 0x0010, .revision = 2,
                                          .class_code = 0x010802, .int_pin = 1 };
    int ret = pci_device_init(&s->pci, &info, e);

    if (ret < 0)
        return ret;
    s->mem = (struct mem_region){ .name = "nvme", .len = BAR_BYTES, .kind = MEM_MMIO,
                                  .ops = &mem_ops, .opaque = s };
    pci_bar_mem(&s->pci, 0, PCI_BAR_64, &s->mem);
    s->pci.config_written = config_written;
    s->pci.master_on = master_on;
    return msix_init(&s->msix, &s->pci, 4, s->io_queues + 1, e);
}

static int nvme_init(struct device *d, struct err *e)
{
    struct nvme *s = (struct nvme *)d;
    int ret = check_drive(s, e);

    if (ret < 0)
        return ret;
    ret = plug(s, e);
    if (ret < 0)
        drive_release(s->drive);
    return ret;
}

static void nvme_reset(struct device *d)
{
    struct nvme *s = (struct nvme *)d;

    disable(s);
    s->cc = s->aqa = s->intms = 0;
    s->asq = s->acq = 0;
    memset(s->features, 0, sizeof s->features);
    msix_reset(&s->msix);
    pci_device_reset(&s->pci);
}

static void nvme_destroy(struct device *d)
{
    struct nvme *s = (struct nvme *)d;
    struct nvme_req *next;

    nvme_drain(s, true);
    drive_release(s->drive);
    pci_device_unplug(&s->pci);
    for (struct nvme_req *r = s->free; r; r = next) {
        next = r->next;
        free(r);
    }
}

static const struct dev_prop nvme_props[] = {
    PROP(DRIVE, "drive", struct nvme, drive, NULL, 0, 0, "the disk: id of -drive or -blockdev"),
    PROP(STRING, "serial", struct nvme, serial, NULL, 0, 0, "serial number, 20 characters"),
    PROP(I32, "bootindex", struct nvme, bootindex, "-1", 0, 0, "place in the boot order"),
    PROP(U32, "max_ioqpairs", struct nvme, io_queues, "64", 1, NVME_QUEUES - 1, "pairs of I/O queues"),
    PROP(DEVFN, "addr", struct nvme, addr, NULL, 0, 0, "PCI slot[.function]"),
    PROP_END
};

static const struct dev_field nvme_fields[] = {
    FIELD(BYTES, struct nvme, pci.config), FIELD(BYTES, struct nvme, msix.table),
    FIELD(U32, struct nvme, cc), FIELD(U32, struct nvme, csts), FIELD(U32, struct nvme, aqa),
    FIELD(U32, struct nvme, intms), FIELD(U64, struct nvme, asq), FIELD(U64, struct nvme, acq),
    FIELD(BYTES, struct nvme, sq), FIELD(BYTES, struct nvme, cq), FIELD(BYTES, struct nvme, features),
    FIELD(BYTES, struct nvme, aer),
    FIELD_END
};

const struct device_type nvme_type = {
    .name = "nvme", .desc = "NVM Express controller with one namespace",
    .size = sizeof(struct nvme), .init = nvme_init, .reset = nvme_reset, .destroy = nvme_destroy,
    .fields = nvme_fields, .props = nvme_props,
};
