/*
 * block.c - drives: options, requests, media, locks, caches
 */
#define _GNU_SOURCE 1
#include <criterion/criterion.h>
#include <fcntl.h>
#include <poll.h>
#include "tests/block/harness.h"

static char *make_raw(const char *name, uint64_t bytes)
{
    char *path = scratch(name);
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);

    cr_assert(fd >= 0 && !ftruncate(fd, (off_t)bytes));
    close(fd);
    return path;
}

/* @extra: "cache=none,discard=unmap" */
static struct block *open_with(struct block_ctx *c, const char *path, const char *extra, struct err *e)
{
    char *copy = xstrdup(extra), *save = NULL;
    struct block_opts o;
    struct block *b;
    int r = 0;

    block_opts_init(&o);
    r = block_opts_set(&o, "file", path, e);
    for (char *k = strtok_r(copy, ",", &save); k && !r; k = strtok_r(NULL, ",", &save)) {
        char *v = strchr(k, '=');
        *v++ = 0;
        r = block_opts_set(&o, k, v, e);
    }
    b = r ? NULL : block_open(c, &o, e);
    block_opts_free(&o);
    free(copy);
    return b;
}

Test(block_opts, values)
{
    struct block_opts o;
    struct err e = { "" };

    block_opts_init(&o);
    cr_assert_eq(block_opts_set(&o, "cache", "none", &e), 0);
    cr_assert_eq(o.cache, BLOCK_CACHE_NONE);
    cr_assert_eq(block_opts_set(&o, "file.filename", "x", &e), 0);
    cr_assert_str_eq(o.file, "x");
    cr_assert_eq(block_opts_set(&o, "werror", "stop", &e), 0);
    cr_assert_eq(o.werror, BLOCK_ERR_STOP);
    cr_assert_eq(block_opts_set(&o, "media", "cdrom", &e), -ENOENT);
    cr_assert_eq(block_opts_set(&o, "cache", "nonsense", &e), -EINVAL);
    cr_assert(strstr(e.msg, "writethrough"), "%s", e.msg);
    cr_assert_eq(block_opts_set(&o, "format", "qcow", &e), -EINVAL);
    cr_assert(strstr(e.msg, "qcow2"), "%s", e.msg);
    block_opts_free(&o);
}

struct order { unsigned n; int ret[64]; };

static void count_cb(struct block_req *r, int ret)
{
    struct order *o = r->opaque;

    o->ret[o->n++] = ret;
}

static void rw_through(const char *extra)
{
    char *path = make_raw("rw.raw", MiB);
    struct err e = { "" };
    struct block_ctx *c = block_ctx_new(2, &e);
    struct block *b = open_with(c, path, extra, &e);
    struct order done = { 0 };
    uint8_t out[5000], in[5000];
    struct iovec v[2] = { { out, 1000 }, { out + 1000, 4000 } };
    struct iovec w[2] = { { in, 4000 }, { in + 4000, 1000 } };
    struct block_req r = { .op = BLOCK_WRITE, .off = 777, .len = 5000, .iov = v, .niov = 2, .cb = count_cb, .opaque = &done };

    if (!b && strstr(e.msg, "O_DIRECT"))
        cr_skip_test("%s", e.msg);
    cr_assert_not_null(b, "%s", e.msg);
    for (unsigned i = 0; i < sizeof(out); i++)
        out[i] = (uint8_t)(i * 11 + 1);
    block_submit(b, &r);
    cr_assert_eq(done.n, 0, "a callback ran inside block_submit()");
    block_drain(b);
    cr_assert_eq(done.n, 1);
    cr_assert_eq(done.ret[0], 0);
    r = (struct block_req){ .op = BLOCK_READ, .off = 777, .len = 5000, .iov = w, .niov = 2, .cb = count_cb, .opaque = &done };
    block_submit(b, &r);
    block_drain(b);
    cr_assert_eq(done.ret[1], 0);
    cr_assert_arr_eq(in, out, sizeof(in));
    cr_assert_eq(block_pread(b, MiB - 10, in, 10), 0);
    cr_assert_eq(block_pread(b, MiB - 10, in, 11), -EIO);
    cr_assert_eq(block_close(b), 0);
    block_ctx_free(c);
    free(path);
}

Test(block_raw, writeback) { rw_through("format=raw"); }
Test(block_raw, threads) { rw_through("format=raw,aio=threads"); }
Test(block_raw, direct) { rw_through("format=raw,cache=none"); }
Test(block_raw, directsync) { rw_through("format=raw,cache=directsync"); }
Test(block_raw, writethrough) { rw_through("format=raw,cache=writethrough"); }

Test(block_raw, direct_writes_keep_the_files_length)
{
    char *path = make_raw("odd.raw", 1536 + 100);
    struct err e = { "" };
    struct block *b = open_with(NULL, path, "format=raw,cache=none", &e);
    uint8_t buf[100];

    if (!b)
        cr_skip_test("%s", e.msg);
    memset(buf, 7, sizeof(buf));
    cr_assert_eq(block_length(b), 2048); /* whole sectors */
    cr_assert_eq(block_pwrite(b, 1500, buf, 100), 0);
    cr_assert_eq(bfile_length(block_node(b)->file), 1636);
    cr_assert_eq(block_close(b), 0);
    free(path);
}

Test(block_req, errors)
{
    char *path = make_raw("err.raw", MiB);
    struct err e = { "" };
    struct block_ctx *c = block_ctx_new(2, &e);
    struct block *b = open_with(c, path, "format=raw,readonly=on", &e);
    struct order done = { 0 };
    uint8_t buf[512];
    struct iovec v = { buf, 512 };
    struct block_req r[4] = {
        { .op = BLOCK_WRITE, .len = 512, .iov = &v, .niov = 1, .cb = count_cb, .opaque = &done },
        { .op = BLOCK_READ, .off = UINT64_MAX - 100, .len = 512, .iov = &v, .niov = 1, .cb = count_cb, .opaque = &done },
        { .op = BLOCK_READ, .len = 1024, .iov = &v, .niov = 1, .cb = count_cb, .opaque = &done },
        { .op = BLOCK_READ, .len = 512, .iov = &v, .niov = 1, .cb = count_cb, .opaque = &done },
    };
    static const int want[] = { -EROFS, -EIO, -EINVAL, 0 };

    for (unsigned i = 0; i < 4; i++) {
        block_submit(b, &r[i]);
        block_drain(b);
        cr_assert_eq(done.ret[i], want[i], "request %u: %d", i, done.ret[i]);
    }
    cr_assert_eq(block_eject(b), 0);
    block_submit(b, &r[3]);
    block_drain(b);
    cr_assert_eq(done.ret[4], -ENOMEDIUM);
    cr_assert_not(block_present(b));
    block_close(b);
    block_ctx_free(c);
    free(path);
}

Test(block_req, cancel_and_drain)
{
    char *path = make_raw("cancel.raw", 4 * MiB);
    struct err e = { "" };
    struct block_ctx *c = block_ctx_new(1, &e);
    struct block *b = open_with(c, path, "format=raw,aio=threads", &e);
    struct order done = { 0 };
    uint8_t *buf = xzalloc(MiB);
    struct iovec v = { buf, MiB };
    struct block_req r[40];
    unsigned cancelled = 0, reported = 0;

    for (unsigned i = 0; i < ARRAY_SIZE(r); i++) {
        r[i] = (struct block_req){ .op = BLOCK_WRITE, .len = MiB, .iov = &v, .niov = 1, .cb = count_cb, .opaque = &done };
        block_submit(b, &r[i]);
    }
    for (unsigned i = 0; i < ARRAY_SIZE(r); i++)
        cancelled += block_cancel(&r[i]);
    block_drain(b);
    cr_assert_eq(done.n, ARRAY_SIZE(r), "every request completes once");
    for (unsigned i = 0; i < done.n; i++)
        reported += done.ret[i] == -ECANCELED;
    cr_assert_eq(reported, cancelled);
    cr_assert_eq(block_in_flight(b), 0);
    block_close(b);
    block_ctx_free(c);
    free(buf);
    free(path);
}

/* sector n of the medium below begins with n, of what was written above it with n ^ 0xff */
static void check_overlay(struct block *b, unsigned first, unsigned count, unsigned from, unsigned to)
{
    struct order done = { 0 };
    uint8_t *got = xzalloc(count * 512);
    struct iovec v = { got, count * 512 };
    struct block_req r = { .op = BLOCK_READ, .off = first * 512, .len = count * 512, .iov = &v, .niov = 1,
                           .cb = count_cb, .opaque = &done };

    block_plug(b);
    block_submit(b, &r);
    cr_assert_eq(done.n, 0);
    block_unplug(b);
    block_drain(b);
    cr_assert_eq(done.n, 1);
    cr_assert_eq(done.ret[0], 0);
    for (unsigned i = 0; i < count; i++) {
        unsigned n = first + i;
        cr_assert_eq(got[i * 512], n >= from && n < to ? n ^ 0xff : n, "sector %u", n);
    }
    free(got);
}

Test(block_req, overlay_reads_what_is_below)
{
    char *path = make_raw("below.raw", 200 * 512);   /* two clusters of the overlay, the second not whole */
    struct err e = { "" };
    struct block_ctx *c = block_ctx_new(2, &e);
    struct block *b = open_with(c, path, "format=raw", &e);
    uint8_t sector[512] = { 0 };

    for (unsigned i = 0; i < 200; i++) {
        sector[0] = (uint8_t)i;
        cr_assert_eq(block_pwrite(b, i * 512, sector, 512), 0);
    }
    cr_assert_eq(block_close(b), 0);
    b = open_with(c, path, "format=raw,snapshot=on", &e);
    cr_assert_not_null(b, "%s", e.msg);
    check_overlay(b, 0, 200, 0, 0);
    for (unsigned i = 140; i < 143; i++) {
        sector[0] = (uint8_t)(i ^ 0xff);
        cr_assert_eq(block_pwrite(b, i * 512, sector, 512), 0);
    }
    check_overlay(b, 1, 7, 140, 143);
    check_overlay(b, 136, 64, 140, 143);
    check_overlay(b, 0, 200, 140, 143);
    cr_assert_eq(block_close(b), 0);
    block_ctx_free(c);
    free(path);
}

static void changed(void *opaque)
{
    ++*(unsigned *)opaque;
}

Test(block_media, change_and_snapshot)
{
    char *a = make_raw("m1.raw", MiB), *q = scratch("m2.qcow2");
    struct err e = { "" };
    struct block_ctx *c = block_ctx_new(2, &e);
    struct block *b = open_with(c, a, "format=raw", &e);
    struct block_opts o;
    unsigned times = 0;
    uint8_t buf[512] = { 1 }, got[512];

    block_set_change(b, changed, &times);
    make_qcow2(q, 2 * MiB, (struct block_create){ 0 });
    block_opts_init(&o);
    o.file = xstrdup(q);
    o.snapshot = true;
    cr_assert_eq(block_change(b, &o, &e), 0, "%s", e.msg);
    block_opts_free(&o);
    cr_assert_eq(times, 1);
    cr_assert_eq(block_length(b), 2 * MiB);
    cr_assert_eq(block_pwrite(b, 4096, buf, 512), 0);
    cr_assert_eq(block_pread(b, 4096, got, 512), 0);
    cr_assert_arr_eq(buf, got, 512);
    cr_assert_eq(block_close(b), 0);
    b = open_with(c, q, "format=qcow2", &e);
    cr_assert_eq(block_pread(b, 4096, got, 512), 0);
    cr_assert(mem_is_zero(got, 512), "snapshot=on wrote to the image");
    block_close(b);
    block_ctx_free(c);
    free(a);
    free(q);
}

Test(block_media, detect_zeroes)
{
    char *q = scratch("dz.qcow2");
    uint8_t *zero = xzalloc(MiB);
    struct err e = { "" };
    struct block_extent x;
    struct block *b;

    make_qcow2(q, 4 * MiB, (struct block_create){ 0 });
    b = open_with(NULL, q, "format=qcow2,detect-zeroes=on", &e);
    cr_assert_eq(block_pwrite(b, 0, zero, MiB), 0);
    cr_assert_eq(block_map(b, 0, MiB, &x), 0);
    cr_assert_not(x.data);
    block_close(b);
    free(zero);
    free(q);
}

Test(block_lock, second_writer_is_refused)
{
    char *q = scratch("lock.qcow2");
    struct err e = { "" };
    struct block *b, *b2;
    bool qemu = have_tool("qemu-img");

    make_qcow2(q, MiB, (struct block_create){ 0 });
    b = open_with(NULL, q, "format=qcow2", &e);
    cr_assert_not_null(b);
    b2 = open_with(NULL, q, "format=qcow2", &e);
    cr_assert_null(b2, "two writers");
    cr_assert(strstr(e.msg, "lock"), "%s", e.msg);
    b2 = open_with(NULL, q, "format=qcow2,readonly=on,force-share=on", &e);
    cr_assert_not_null(b2, "force-share");
    block_close(b2);
    if (qemu) {
        cr_assert_neq(sh("qemu-img info %s > /dev/null 2>&1", q), 0, "qemu-img came in");
        cr_assert_eq(sh("qemu-img info -U %s > /dev/null 2>&1", q), 0);
    }
    block_close(b);
    b = open_with(NULL, q, "format=qcow2,readonly=on", &e);
    b2 = open_with(NULL, q, "format=qcow2,readonly=on", &e);
    cr_assert(b && b2, "two readers");
    if (qemu) {
        cr_assert_eq(sh("qemu-img info %s > /dev/null 2>&1", q), 0, "a reader of qemu's");
        cr_assert_neq(sh("qemu-img resize -q %s 2M > /dev/null 2>&1", q), 0, "qemu-img wrote");
    }
    block_close(b);
    block_close(b2);
    free(q);
}

Test(block_lock, a_writer_of_qemu_keeps_us_out)
{
    char *q = scratch("lock2.qcow2");
    struct err e = { "" };
    struct block *b;
    FILE *f;

    if (!have_tool("qemu-io"))
        cr_skip_test("no qemu-io");
    make_qcow2(q, MiB, (struct block_create){ 0 });
    char *cmd = xasprintf("qemu-io -f qcow2 %s > %s.out 2>&1", q, q);
    f = popen(cmd, "w"); /* waits for commands with the image open */
    fputs("read 0 512\n", f);
    fflush(f);
    for (unsigned i = 0; i < 20000 && sh("grep -q '512/512' %s.out", q); i++)
        usleep(10000); /* until it says that it has it */
    b = open_with(NULL, q, "format=qcow2", &e);
    cr_assert_null(b, "qemu-io's image was opened for writing");
    cr_assert(strstr(e.msg, "lock"), "%s", e.msg);
    cr_assert_null(open_with(NULL, q, "format=qcow2,readonly=on", &e));
    fputs("quit\n", f);
    pclose(f);
    b = open_with(NULL, q, "format=qcow2", &e);
    cr_assert_not_null(b, "%s", e.msg);
    block_close(b);
    free(cmd);
    free(q);
}

Test(block_qcow2, images_by_qemu_read_alike)
{
    static const char *const opts[] = {
#ifdef CONFIG_ZLIB
        "-c",
#endif
#ifdef CONFIG_ZSTD
        "-c -o compression_type=zstd",
#endif
        "-o cluster_size=512", "-o cluster_size=2M", "-o extended_l2=on", "-o compat=0.10", "-o refcount_bits=1",
        "-o preallocation=metadata", "-o data_file=ext.raw",
    };
    char *raw = scratch("src.raw"), *img = scratch("by-qemu.qcow2");
    uint8_t *want = xmalloc(3 * MiB), *got = xmalloc(3 * MiB);
    struct err e = { "" };

    if (!have_tool("qemu-img"))
        cr_skip_test("no qemu-img");
    cr_assert_eq(sh("head -c 1000000 /bin/sh > %s; head -c 100000 /dev/urandom >> %s; truncate -s 3M %s", raw, raw, raw), 0);
    FILE *f = fopen(raw, "rb");
    cr_assert(fread(want, 1, 3 * MiB, f) == 3 * MiB);
    fclose(f);
    for (unsigned i = 0; i < ARRAY_SIZE(opts); i++) {
        cr_assert_eq(sh("cd $(dirname %s) && qemu-img convert -f raw -O qcow2 %s %s %s", raw, opts[i], raw, img), 0);
        struct block *b = open_with(NULL, img, "format=qcow2,readonly=on", &e);
        cr_assert_not_null(b, "%s: %s", opts[i], e.msg);
        cr_assert_eq(block_pread(b, 0, got, 3 * MiB), 0, "%s", opts[i]);
        cr_assert(!memcmp(got, want, 3 * MiB), "%s", opts[i]);
        block_close(b);
        cr_assert_eq(check_image(img, false), 0, "%s", opts[i]);
    }
    free(want);
    free(got);
    free(raw);
    free(img);
}

Test(block_qcow2, extended_l2_is_refused_for_writing)
{
    char *img = scratch("ext.qcow2");
    struct err e = { "" };

    if (!have_tool("qemu-img"))
        cr_skip_test("no qemu-img");
    cr_assert_eq(sh("qemu-img create -q -f qcow2 -o extended_l2=on %s 1M", img), 0);
    cr_assert_null(open_with(NULL, img, "format=qcow2", &e));
    cr_assert(strstr(e.msg, "extended L2"), "%s", e.msg);
    free(img);
}

Test(block_qcow2, vmstate_comes_back_with_the_snapshot)
{
    char *q = scratch("vm.qcow2");
    struct block_snapshot s = { .name = "vm", .vm_state_bytes = 200000, .icount = UINT64_MAX };
    uint8_t *buf = xmalloc(200000), *got = xmalloc(200000);
    struct err e = { "" };
    struct block *b;

    make_qcow2(q, 4 * MiB, (struct block_create){ 0 });
    b = open_with(NULL, q, "format=qcow2", &e);
    memset(buf, 0x77, 200000);
    cr_assert_eq(block_vmstate_write(b, 0, buf, 200000), 0);
    cr_assert_eq(block_snapshot_create(b, &s, &e), 0, "%s", e.msg);
    memset(buf, 0x11, 200000);
    cr_assert_eq(block_vmstate_write(b, 0, buf, 200000), 0);
    cr_assert_eq(block_snapshot_apply(b, "vm", &e), 0, "%s", e.msg);
    cr_assert_eq(block_vmstate_read(b, 0, got, 200000), 0);
    cr_assert(got[0] == 0x77 && got[199999] == 0x77);
    cr_assert_eq(block_close(b), 0);
    cr_assert_eq(check_image(q, false), 0);
    free(buf);
    free(got);
    free(q);
}
