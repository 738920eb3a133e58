/*
 * nvme-int.h - inside the NVMe controller
 *
 * A submission queue is only read while its completion queue has room for the
 * answers of everything in flight, so a completion always finds a place. What
 * the driver writes to doorbells is checked against the queue's size before it
 * is believed.
 *
 * Source: NVM Express Base Specification 1.4.
 */
#ifndef HW_DISK_NVME_INT_H
#define HW_DISK_NVME_INT_H

#include "hw/disk/drive.h"
#include "hw/disk/nvme.h"
#include "hw/dma/sg.h"
#include "hw/pci/msi.h"
#include "hw/prop.h"

#define NVME_QUEUES      65            /* the admin pair and 64 */
#define NVME_MAX_ENTRIES 1024u
#define NVME_PAGE        4096u
#define NVME_MDTS        7             /* 2^7 pages: 512 KiB a command */
#define NVME_MAX_BYTES   (NVME_PAGE << NVME_MDTS)
#define NVME_AERL        4             /* asynchronous event requests kept */
#define NVME_LBA         512u
#define NVME_DSM_RANGES  256u

enum { /* status: type << 8 | code */
    NVME_OK = 0, NVME_INVALID_OPCODE = 0x01, NVME_INVALID_FIELD = 0x02, NVME_TRANSFER_ERROR = 0x04,
    NVME_INTERNAL = 0x06, NVME_ABORTED_BY_SQ = 0x08, NVME_INVALID_NS = 0x0b,
    NVME_INVALID_PRP = 0x13, NVME_LBA_RANGE = 0x80, NVME_CQ_INVALID = 0x100,
    NVME_QID_INVALID = 0x101, NVME_SIZE_INVALID = 0x102, NVME_AER_LIMIT = 0x105,
    NVME_VECTOR_INVALID = 0x108, NVME_LOG_INVALID = 0x109, NVME_QUEUE_DELETION = 0x10c,
    NVME_WRITE_FAULT = 0x280, NVME_READ_ERROR = 0x281, NVME_DNR = 0x4000,
};

struct nvme_sq {
    uint64_t base;
    uint32_t size, head, tail;   /* entries */
    uint16_t cq;
    bool used;
};

struct nvme_cq {
    uint64_t base;
    uint32_t size, head, tail;
    uint32_t in_flight;          /* commands whose answer is still to come */
    uint16_t vector;
    bool used, phase, interrupts;
};

struct nvme_req {
    struct drive_req req;
    struct nvme *s;
    struct sg sg;
    bool to_memory;
    uint16_t sq, cid;
    uint8_t ranges[NVME_DSM_RANGES * 16];
    unsigned n_ranges, range;
    struct nvme_req *next;
};

struct nvme {
    struct pci_device pci;
    struct msix msix;
    struct mem_region mem;
    struct drive *drive;
    char *serial;
    int32_t addr, bootindex;
    uint32_t io_queues;
    uint32_t cc, csts, aqa, intms;
    uint64_t asq, acq;
    struct nvme_sq sq[NVME_QUEUES];
    struct nvme_cq cq[NVME_QUEUES];
    uint32_t features[16];
    uint16_t aer[NVME_AERL];
    unsigned n_aer;
    bool stopping;               /* being reset: answers are dropped */
    struct nvme_req *free;
};

/** struct nvme_cmd - a submission queue entry, read once */
struct nvme_cmd {
    uint8_t opcode, flags;
    uint16_t cid;
    uint32_t nsid;
    uint64_t prp1, prp2;
    uint32_t dw[6];              /* command dwords 10 to 15 */
};

/* nvme.c */
/** nvme_complete() - the answer to command @cid of submission queue @sq; @status with NVME_DNR or not */
void nvme_complete(struct nvme *s, unsigned sq, uint16_t cid, uint16_t status, uint32_t result);
/** nvme_run() - take what the guest has put into submission queue @sq */
void nvme_run(struct nvme *s, unsigned sq);
/** nvme_drain() - wait for the disk; @drop: without answering */
void nvme_drain(struct nvme *s, bool drop);
/* nvme-cmd.c */
void nvme_io(struct nvme *s, unsigned sq, const struct nvme_cmd *c);
/** nvme_prp() - @len bytes at PRP1, PRP2 as a list; 0 or a status */
uint16_t nvme_prp(struct nvme *s, struct sg *sg, const struct nvme_cmd *c, uint32_t len);
/* nvme-admin.c */
void nvme_admin(struct nvme *s, const struct nvme_cmd *c);

#endif
