/* nvme.c - NVMe by its registers, doorbells and queues */
#include "hw/disk/nvme.h"
#include "tests/hw/disk.h"

#define DEV   PCI_DEVFN(6, 0)
#define BAR   0x90000000u
#define MSIX  0x91000000u
#define ASQ   0x10000
#define ACQ   0x11000
#define SQ    0x12000
#define CQ    0x13000
#define LIST  0x14000
#define DMA   0x20000
#define N     8

struct guest {
    struct rig r;
    struct machine *m;
    struct drive *d;
    unsigned tail[2], head[2];
    bool phase[2];
    uint8_t cmd[64];
    uint32_t result;
};

static uint32_t rd(struct guest *g, unsigned off)
{
    return mmio_read(&g->m->mem, BAR + off, 4);
}

static void wr(struct guest *g, unsigned off, uint32_t v)
{
    mmio_write(&g->m->mem, BAR + off, v, 4);
}

static void enable(struct guest *g)
{
    memset(g->m->ram + ASQ, 0, 0x4000);
    wr(g, 0x24, (N - 1) << 16 | (N - 1));
    wr(g, 0x28, ASQ);
    wr(g, 0x30, ACQ);
    wr(g, 0x14, 4 << 20 | 6 << 16 | 1);
    memset(g->tail, 0, sizeof g->tail);
    memset(g->head, 0, sizeof g->head);
    g->phase[0] = g->phase[1] = true;
}

static void guest_init(struct guest *g)
{
    static const char *const props[] = { "drive", "d", "serial", "NV1", "max_ioqpairs", "2", NULL };

    memset(g, 0, sizeof *g);
    rig_init(&g->r);
    g->m = g->r.m;
    g->d = rig_drive(&g->r, "d", 200);
    rig_add(&g->r, &nvme_type, DEV, props);
    cfg_wr(g->m, DEV, PCI_BAR0, BAR, 4);
    cfg_wr(g->m, DEV, PCI_BAR0 + 16, MSIX, 4);
    cfg_wr(g->m, DEV, PCI_COMMAND, 6, 2);
    enable(g);
}

static void new_cmd(struct guest *g, uint8_t opcode, uint32_t nsid, uint64_t prp1)
{
    memset(g->cmd, 0, sizeof g->cmd);
    g->cmd[0] = opcode;
    g->cmd[2] = 0x42;
    stl32(g->cmd + 4, nsid);
    stl64(g->cmd + 24, prp1);
}

static void dw(struct guest *g, unsigned n, uint32_t v)
{
    stl32(g->cmd + 4 * n, v);
}

static void post(struct guest *g, unsigned q)
{
    memcpy(g->m->ram + (q ? SQ : ASQ) + 64 * g->tail[q], g->cmd, 64);
    g->tail[q] = (g->tail[q] + 1) % N;
    wr(g, 0x1000 + 8 * q, g->tail[q]);
}

/* status of the next answer; -1: there is none */
static int answer(struct guest *g, unsigned q)
{
    const uint8_t *e = g->m->ram + (q ? CQ : ACQ) + 16 * g->head[q];
    int status = ldl16(e + 14);

    if ((status & 1) != g->phase[q])
        return -1;
    cr_assert_eq(ldl16(e + 12), 0x42);
    g->result = ldl32(e);
    g->head[q] = (g->head[q] + 1) % N;
    g->phase[q] ^= g->head[q] == 0;
    wr(g, 0x1004 + 8 * q, g->head[q]);
    return status >> 1 & 0x3fff;
}

static int run(struct guest *g, unsigned q)
{
    post(g, q);
    rig_wait(&g->r, g->d);
    return answer(g, q);
}

static void make_queues(struct guest *g)
{
    new_cmd(g, 5, 0, CQ);
    dw(g, 10, (N - 1) << 16 | 1);
    dw(g, 11, 1 << 16 | 3);
    cr_assert_eq(run(g, 0), 0);
    new_cmd(g, 1, 0, SQ);
    dw(g, 10, (N - 1) << 16 | 1);
    dw(g, 11, 1 << 16 | 1);
    cr_assert_eq(run(g, 0), 0);
}

Test(nvme, identify)
{
    struct guest g;
    uint8_t *d;

    guest_init(&g);
    d = g.m->ram + DMA;
    cr_assert_eq(cfg_rd(g.m, DEV, PCI_CLASS, 1), 2);
    cr_assert_eq(rd(&g, 0x1c), 1, "ready");
    new_cmd(&g, 6, 0, DMA);
    dw(&g, 10, 1);
    cr_assert_eq(run(&g, 0), 0);
    cr_assert_eq(memcmp(d + 4, "NV1 ", 4), 0);
    cr_assert_eq(ldl32(d + 516), 1);
    new_cmd(&g, 6, 1, DMA);
    cr_assert_eq(run(&g, 0), 0);
    cr_assert_eq(ldl64(d), 200);
    cr_assert_eq(d[130], 9);
    new_cmd(&g, 6, 2, DMA);
    cr_assert_eq(run(&g, 0), 0x0b, "no second namespace");
    new_cmd(&g, 9, 0, 0);
    dw(&g, 10, 7);
    dw(&g, 11, 0xff00ff);
    cr_assert_eq(run(&g, 0), 0);
    cr_assert_eq(g.result, 0x10001, "two queue pairs");
    new_cmd(&g, 0x77, 0, 0);
    cr_assert_eq(run(&g, 0), 1);
    rig_free(&g.r);
}

Test(nvme, logs_are_read_from_an_offset)
{
    struct guest g;
    uint8_t *d;

    guest_init(&g);
    d = g.m->ram + DMA;
    new_cmd(&g, 2, 0xffffffff, DMA);
    dw(&g, 10, 3 << 16 | 2);
    cr_assert_eq(run(&g, 0), 0);
    cr_assert_eq(d[3], 100, "spare");
    new_cmd(&g, 2, 0xffffffff, DMA + 0x100);
    dw(&g, 10, 0 << 16 | 2);
    dw(&g, 12, 4);
    cr_assert_eq(run(&g, 0), 0);
    cr_assert_eq(d[0x100], d[4]);
    cr_assert_eq(d[0x103], 0, "spare is not at 7");
    dw(&g, 12, 6);
    cr_assert_eq(run(&g, 0), 2, "dwords");
    dw(&g, 12, 0);
    dw(&g, 13, 1);
    cr_assert_eq(run(&g, 0), 2, "past the end");
    new_cmd(&g, 6, 1, DMA);
    cr_assert_eq(run(&g, 0), 0);
    cr_assert_eq(d[24], 0, "an error of deallocated blocks cannot be had");
    rig_free(&g.r);
}

Test(nvme, read_write_flush)
{
    struct guest g;

    guest_init(&g);
    make_queues(&g);
    new_cmd(&g, 2, 1, DMA + 0xe00);      /* 512 bytes in the first page, the rest behind */
    stl64(g.cmd + 32, DMA + 0x3000);
    dw(&g, 10, 9);
    dw(&g, 12, 3);
    cr_assert_eq(run(&g, 1), 0);
    cr_assert_eq(g.m->ram[DMA + 0xe00], 10);
    cr_assert_eq(g.m->ram[DMA + 0x3000], 11);
    cr_assert_eq(g.m->ram[DMA + 0x3400], 13);
    cr_assert_eq(g.m->ram[DMA + 0x1000], 0);
    memset(g.m->ram + DMA, 0x99, 512);
    new_cmd(&g, 1, 1, DMA);
    dw(&g, 10, 100);
    cr_assert_eq(run(&g, 1), 0);
    new_cmd(&g, 0, 1, 0);
    cr_assert_eq(run(&g, 1), 0);
    cr_assert_eq(rig_file_byte(&g.r, 0, 100 * 512), 0x99);
    cr_assert_eq(rig_file_byte(&g.r, 0, 101 * 512), 102);
    rig_free(&g.r);
}

Test(nvme, prp_lists)
{
    struct guest g;

    guest_init(&g);
    make_queues(&g);
    for (unsigned i = 0; i < 4; i++)
        stl64(g.m->ram + LIST + 8 * i, DMA + 0x10000 - 0x2000 * i);
    new_cmd(&g, 2, 1, DMA + 0x20000);
    stl64(g.cmd + 32, LIST);
    dw(&g, 12, 39);                      /* 5 pages */
    cr_assert_eq(run(&g, 1), 0);
    cr_assert_eq(g.m->ram[DMA + 0x20000], 1);
    for (unsigned i = 0; i < 4; i++)
        cr_assert_eq(g.m->ram[DMA + 0x10000 - 0x2000 * i], 9 + 8 * i);
    stl64(g.m->ram + LIST + 8, DMA + 4);
    post(&g, 1);
    rig_wait(&g.r, g.d);
    cr_assert_eq(answer(&g, 1), 0x13, "offset inside a list");
    rig_free(&g.r);
}

Test(nvme, out_of_range_and_too_long)
{
    struct guest g;

    guest_init(&g);
    make_queues(&g);
    new_cmd(&g, 2, 1, DMA);
    dw(&g, 10, 199);
    dw(&g, 12, 1);
    cr_assert_eq(run(&g, 1), 0x80);
    dw(&g, 11, 0xffffffff);
    cr_assert_eq(run(&g, 1), 0x80);
    new_cmd(&g, 2, 7, DMA);
    cr_assert_eq(run(&g, 1), 0x0b);
    new_cmd(&g, 8, 1, 0);                /* write zeroes */
    dw(&g, 10, 5);
    cr_assert_eq(run(&g, 1), 0);
    cr_assert_eq(rig_file_byte(&g.r, 0, 5 * 512), 0);
    cr_assert_eq(rig_file_byte(&g.r, 0, 6 * 512), 7);
    rig_free(&g.r);
}

Test(nvme, a_full_completion_queue_holds_commands_back)
{
    struct guest g;
    unsigned answers = 0;

    guest_init(&g);
    make_queues(&g);
    new_cmd(&g, 2, 1, DMA);
    for (unsigned round = 0; round < 4; round++) {
        for (unsigned i = 0; i < N - 1; i++)
            post(&g, 1);
        rig_wait(&g.r, g.d);
        while (answer(&g, 1) == 0) {
            answers++;
            rig_wait(&g.r, g.d);
        }
    }
    cr_assert_eq(answers, 4 * (N - 1));
    rig_free(&g.r);
}

Test(nvme, doorbells_and_queues_are_checked)
{
    struct guest g;

    guest_init(&g);
    wr(&g, 0x1000, N);
    wr(&g, 0x1000 + 8 * 60, 1);
    wr(&g, 0x1004, 3);
    cr_assert_eq(answer(&g, 0), -1);
    new_cmd(&g, 1, 0, SQ);
    dw(&g, 10, (N - 1) << 16 | 1);
    dw(&g, 11, 1 << 16 | 1);
    cr_assert_eq(run(&g, 0), 0x100, "no such completion queue");
    new_cmd(&g, 5, 0, CQ);
    dw(&g, 10, 0xffff0001);
    dw(&g, 11, 1);
    cr_assert_eq(run(&g, 0), 0x102);
    dw(&g, 10, (N - 1) << 16 | 60);
    cr_assert_eq(run(&g, 0), 0x101);
    make_queues(&g);
    new_cmd(&g, 4, 0, 0);
    dw(&g, 10, 1);
    cr_assert_eq(run(&g, 0), 0x10c, "still in use");
    for (unsigned i = 0; i < 5; i++) {   /* more event requests than are kept */
        new_cmd(&g, 0x0c, 0, 0);
        post(&g, 0);
    }
    cr_assert_eq(answer(&g, 0), 0x105);
    rig_free(&g.r);
}

Test(nvme, msix_and_reset_in_flight)
{
    struct guest g;
    uint8_t cap;

    guest_init(&g);
    cap = cfg_rd(g.m, DEV, PCI_CAP_PTR, 1);
    cr_assert_eq(cfg_rd(g.m, DEV, cap, 1), 0x11);
    mmio_write(&g.m->mem, MSIX + 16, 0xfee00000, 4);
    mmio_write(&g.m->mem, MSIX + 24, 0x71, 4);
    mmio_write(&g.m->mem, MSIX + 28, 0, 4);
    cfg_wr(g.m, DEV, cap + 2, 0x8000, 2);
    make_queues(&g);
    new_cmd(&g, 2, 1, DMA);
    cr_assert_eq(run(&g, 1), 0);
    cr_assert_eq(rig_vector(&g.r), 0x71);
    block_plug(g.d->blk);
    post(&g, 1);
    cr_assert(drive_busy(g.d));
    wr(&g, 0x14, 0);
    cr_assert(!drive_busy(g.d));
    block_unplug(g.d->blk);
    cr_assert_eq(rd(&g, 0x1c), 0);
    cr_assert_eq(answer(&g, 1), -1, "not reported");
    enable(&g);
    cr_assert_eq(rd(&g, 0x1c), 1);
    rig_free(&g.r);
}

/* the window has room for more doorbells than there are queues (SAN=1 tells) */
Test(nvme, doorbells_of_queues_that_cannot_be)
{
    struct guest g;

    guest_init(&g);
    for (unsigned off = 0x1000; off < 0x4000; off += 4)
        wr(&g, off, 1);
    cr_assert_eq(rd(&g, 0x1c) & 2, 0);
    cr_assert_eq(rd(&g, 0x08), 0x00010400);
    rig_free(&g.r);
}

/* a drive is nobody's when the controller that wanted it has found no place */
Test(nvme, a_slot_that_is_taken)
{
    static const char *const props[] = { "drive", "e", "serial", "NV2", NULL };
    const struct rig_setup there = { DEV, props };
    struct err e = { "" };
    struct drive *d;
    struct guest g;

    guest_init(&g);
    d = rig_drive(&g.r, "e", 10);
    cr_assert_null(machine_add_device(g.m, &nvme_type, 0, NULL, rig_setup_device, &there, &e));
    cr_assert_neq(*e.msg, 0);
    cr_assert_null(d->owner);
    rig_free(&g.r);
}

Test(nvme, waits_for_bus_mastering)
{
    struct guest g;

    guest_init(&g);
    cfg_wr(g.m, DEV, PCI_COMMAND, 2, 2);
    memset(g.m->ram + DMA, 0xee, 4096);
    new_cmd(&g, 6, 1, DMA);
    post(&g, 0);
    rig_wait(&g.r, g.d);
    cr_assert_eq(answer(&g, 0), -1, "nothing fetched, nothing answered");
    cr_assert_eq(g.m->ram[DMA], 0xee);
    cfg_wr(g.m, DEV, PCI_COMMAND, 6, 2);
    rig_wait(&g.r, g.d);
    cr_assert_eq(answer(&g, 0), 0);
    cr_assert_eq(ldl64(g.m->ram + DMA), 200);
    rig_free(&g.r);
}
