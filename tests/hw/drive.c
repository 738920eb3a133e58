/* drive.c - what happens to requests that fail: werror=, rerror= */
#include "hw/dma/dma.h"
#include "tests/hw/disk.h"

struct io {
    struct drive_req r;
    struct iovec iov;
    uint8_t buf[512];
    int ret, calls;
};

static void done(struct drive_req *r, int ret)
{
    struct io *io = r->opaque;

    io->ret = ret;
    io->calls++;
}

/* a read-only drive: every write fails with -EROFS */
static struct drive *readonly_drive(struct rig *r, enum block_onerr how)
{
    struct drive *d = rig_drive(r, "d", 8);
    struct block_opts o = *block_options(d->blk);
    struct err e = { "" };

    o.file = xstrdup(r->path[0]);
    o.format = xstrdup("raw");
    o.backing = NULL;
    o.readonly = true;
    o.werror = how;
    cr_assert_eq(block_change(d->blk, &o, &e), 0, "%s", e.msg);
    block_opts_free(&o);
    return d;
}

static void write_sector(struct rig *r, struct drive *d, struct io *io)
{
    memset(io, 0, sizeof *io);
    io->iov = (struct iovec){ io->buf, sizeof io->buf };
    io->r.r.op = BLOCK_WRITE;
    io->r.r.len = sizeof io->buf;
    io->r.r.iov = &io->iov;
    io->r.r.niov = 1;
    io->r.opaque = io;
    io->r.cb = done;
    drive_submit(d, &io->r);
    cr_assert_eq(io->calls, 0, "never from inside submit");
    rig_wait(r, d);
}

Test(drive, report_and_ignore)
{
    struct rig r;
    struct io io;
    struct drive *d;

    rig_init(&r);
    d = readonly_drive(&r, BLOCK_ERR_REPORT);
    write_sector(&r, d, &io);
    cr_assert_eq(io.ret, -EROFS);
    cr_assert_eq(io.calls, 1);
    rig_free(&r);
    rig_init(&r);
    d = readonly_drive(&r, BLOCK_ERR_IGNORE);
    write_sector(&r, d, &io);
    cr_assert_eq(io.ret, 0);
    rig_free(&r);
}

Test(drive, stop_parks_until_the_guest_goes_on)
{
    struct rig r;
    struct io io;
    struct drive *d;

    rig_init(&r);
    d = readonly_drive(&r, BLOCK_ERR_STOP);
    write_sector(&r, d, &io);
    cr_assert_eq(io.calls, 0);
    cr_assert_eq(r.m->request_stop, 1);
    cr_assert(drive_busy(d));
    r.m->request_stop = 0;
    drives_resume(r.m);                 /* tried again, fails again */
    cr_assert_null(d->parked);
    rig_wait(&r, d);
    cr_assert_eq(r.m->request_stop, 1);
    cr_assert_eq(io.calls, 0);
    drive_drain(d);                     /* a reset ends it */
    cr_assert_eq(io.calls, 1);
    cr_assert_eq(io.ret, -ECANCELED);
    cr_assert(!drive_busy(d));
    rig_free(&r);
}

Test(drive, enospc_stops_only_when_space_is_what_lacks)
{
    struct rig r;
    struct io io;
    struct drive *d;

    rig_init(&r);
    d = readonly_drive(&r, BLOCK_ERR_ENOSPC);
    write_sector(&r, d, &io);
    cr_assert_eq(io.ret, -EROFS);
    cr_assert_eq(r.m->request_stop, 0);
    rig_free(&r);
}

Test(drive, one_owner_at_a_time)
{
    struct rig r;
    struct device a = { .type = &i8259_type }, b = { .type = &i8237_type };
    struct drive *d;
    struct err e = { "" };

    rig_init(&r);
    d = rig_drive(&r, "d", 8);
    cr_assert_eq(drive_claim(d, &a, NULL, NULL, &e), 0);
    cr_assert_eq(drive_claim(d, &b, NULL, NULL, &e), -EBUSY);
    cr_assert_not_null(strstr(e.msg, "in use by i8259"));
    drive_release(d);
    cr_assert_eq(drive_claim(d, &b, NULL, NULL, &e), 0);
    rig_free(&r);
}
