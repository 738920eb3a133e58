/*
 * qcow2-comp.c - compressed clusters: raw deflate with a 4 KiB window, or zstd
 */
#ifdef CONFIG_ZLIB
#include <zlib.h>
#endif
#ifdef CONFIG_ZSTD
#include <zstd.h>
#endif
#include "block/qcow2.h"

/** q2_comp_extent() - bytes of the file that hold a compressed cluster */
void q2_comp_extent(const struct q2 *q, uint64_t e, uint64_t *off, uint64_t *len)
{
    unsigned x = 62 - (q->cluster_bits - 8);
    uint64_t sectors = ((e & ~(Q2_COPIED | Q2_COMPRESSED)) >> x) + 1;

    *off = e & ((1ull << x) - 1);
    *len = sectors * 512 - (*off & 511);
}

int64_t q2_compress(const struct q2 *q, const void *in, uint32_t n, void *out, uint32_t cap)
{
    if (q->zstd) {
#ifdef CONFIG_ZSTD
        size_t k = ZSTD_compress(out, cap, in, n, 3);
        return ZSTD_isError(k) ? 0 : (int64_t)k;
#else
        return -ENOTSUP;
#endif
    }
#ifdef CONFIG_ZLIB
    z_stream z = { 0 };
    int r;
    if (deflateInit2(&z, Z_DEFAULT_COMPRESSION, Z_DEFLATED, -12, 9, Z_DEFAULT_STRATEGY) != Z_OK)
        return -ENOMEM;
    z.next_in = (Bytef *)in;
    z.avail_in = n;
    z.next_out = out;
    z.avail_out = cap;
    r = deflate(&z, Z_FINISH);
    deflateEnd(&z);
    return r == Z_STREAM_END ? (int64_t)(cap - z.avail_out) : 0;
#else
    return -ENOTSUP;
#endif
}

#ifdef CONFIG_ZSTD
/* the last sector may carry bytes of the next cluster: stop after one frame */
static int unzstd(const void *in, uint64_t n, void *out, uint32_t cs)
{
    ZSTD_inBuffer i = { in, n, 0 };
    ZSTD_outBuffer o = { out, cs, 0 };
    ZSTD_DStream *d = ZSTD_createDStream();
    size_t k = 1, before;

    if (!d)
        return -ENOMEM;
    while (o.pos < cs && k) {
        before = i.pos + o.pos;
        k = ZSTD_decompressStream(d, &o, &i);
        if (ZSTD_isError(k) || i.pos + o.pos == before)
            break;
    }
    ZSTD_freeDStream(d);
    return o.pos == cs ? 0 : -EIO;
}
#endif

/** q2_decompress() - exactly @cs bytes to @out, or -EIO */
int q2_decompress(const struct q2 *q, const void *in, uint64_t n, void *out, uint32_t cs)
{
    if (q->zstd) {
#ifdef CONFIG_ZSTD
        return unzstd(in, n, out, cs);
#else
        return -ENOTSUP;
#endif
    }
#ifdef CONFIG_ZLIB
    z_stream z = { 0 };
    int r;
    z.next_in = (Bytef *)in;
    z.avail_in = (uInt)n;
    z.next_out = out;
    z.avail_out = cs;
    if (inflateInit2(&z, -12) != Z_OK)
        return -ENOMEM;
    r = inflate(&z, Z_FINISH);
    inflateEnd(&z);
    /* Z_BUF_ERROR: the cluster is full, bytes of the next one follow */
    return (r == Z_STREAM_END || r == Z_BUF_ERROR) && !z.avail_out ? 0 : -EIO;
#else
    return -ENOTSUP;
#endif
}

/** q2_dc_forget() - compressed clusters may have moved */
void q2_dc_forget(struct q2 *q)
{
    pthread_mutex_lock(&q->dc_lock);
    for (unsigned i = 0; i < ARRAY_SIZE(q->dc); i++)
        q->dc[i].entry = 0;
    pthread_mutex_unlock(&q->dc_lock);
}

static int decompress_at(struct q2 *q, uint64_t entry, uint8_t *out)
{
    uint64_t off, len;
    uint8_t *in;
    int r;

    q2_comp_extent(q, entry, &off, &len);
    if (len > 2ull * q->cs) /* an honest one is shorter than the cluster */
        return -EIO;
    in = bfile_buf(len);
    r = in ? bfile_pread(q->f, off, in, len) : -ENOMEM;
    r = r ? r : q2_decompress(q, in, len, out, q->cs);
    free(in);
    return r;
}

/* guests read a cluster in many pieces: keep the last few whole */
int q2_read_comp(struct q2 *q, uint64_t entry, uint32_t skip, const struct iovec *iov,
                 unsigned n, uint64_t iov_skip, uint32_t len)
{
    unsigned oldest = 0;
    uint8_t *buf;
    int r;

    pthread_mutex_lock(&q->dc_lock);
    for (unsigned i = 0; i < ARRAY_SIZE(q->dc); i++) {
        if (q->dc[i].entry == entry) {
            iov_from_buf(iov, n, iov_skip, q->dc[i].data + skip, len);
            q->dc[i].used = ++q->dc_clock;
            pthread_mutex_unlock(&q->dc_lock);
            return 0;
        }
    }
    pthread_mutex_unlock(&q->dc_lock);
    buf = bfile_buf(q->cs);
    if (!buf)
        return -ENOMEM;
    r = decompress_at(q, entry, buf);
    if (r) {
        free(buf);
        return r;
    }
    iov_from_buf(iov, n, iov_skip, buf + skip, len);
    pthread_mutex_lock(&q->dc_lock);
    for (unsigned i = 1; i < ARRAY_SIZE(q->dc); i++)
        if (q->dc[i].used < q->dc[oldest].used)
            oldest = i;
    free(q->dc[oldest].data);
    q->dc[oldest].data = buf;
    q->dc[oldest].entry = entry;
    q->dc[oldest].used = ++q->dc_clock;
    pthread_mutex_unlock(&q->dc_lock);
    return 0;
}
