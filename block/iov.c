/*
 * iov.c - scatter lists: slices, copies, zeroes
 */
#include "block/block-int.h"

/** iov_bytes() - sum of the lengths; ~0 when it does not fit in 63 bits */
uint64_t iov_bytes(const struct iovec *iov, unsigned n)
{
    uint64_t sum = 0;

    for (unsigned i = 0; i < n; i++) {
        if (iov[i].iov_len > (UINT64_MAX >> 1) - sum)
            return UINT64_MAX;
        sum += iov[i].iov_len;
    }
    return sum;
}

unsigned iov_slice(struct iovec *out, const struct iovec *iov, unsigned n,
                   uint64_t skip, uint64_t len)
{
    unsigned k = 0;

    for (unsigned i = 0; i < n && len; i++) {
        if (skip >= iov[i].iov_len) {
            skip -= iov[i].iov_len;
            continue;
        }
        out[k].iov_base = (char *)iov[i].iov_base + skip;
        out[k].iov_len = MIN(iov[i].iov_len - skip, len);
        len -= out[k].iov_len;
        skip = 0;
        k++;
    }
    return k;
}

enum iov_how { IOV_ZERO, IOV_FROM, IOV_TO };

static void iov_each(const struct iovec *iov, unsigned n, uint64_t skip,
                     char *buf, uint64_t len, enum iov_how how)
{
    for (unsigned i = 0; i < n && len; i++) {
        if (skip >= iov[i].iov_len) {
            skip -= iov[i].iov_len;
            continue;
        }
        char *p = (char *)iov[i].iov_base + skip;
        uint64_t k = MIN(iov[i].iov_len - skip, len);
        if (how == IOV_ZERO) {
            memset(p, 0, k);
        } else if (how == IOV_FROM) {
            memcpy(p, buf, k);
            buf += k;
        } else {
            memcpy(buf, p, k);
            buf += k;
        }
        len -= k;
        skip = 0;
    }
}

/** iov_zero() - clear @len bytes from byte @skip of the list */
void iov_zero(const struct iovec *iov, unsigned n, uint64_t skip, uint64_t len)
{
    iov_each(iov, n, skip, NULL, len, IOV_ZERO);
}

/** iov_from_buf() - copy @buf into the list at byte @skip */
void iov_from_buf(const struct iovec *iov, unsigned n, uint64_t skip, const void *buf, uint64_t len)
{
    iov_each(iov, n, skip, (char *)buf, len, IOV_FROM);
}

/** iov_to_buf() - copy bytes of the list, from byte @skip, to @buf */
void iov_to_buf(const struct iovec *iov, unsigned n, uint64_t skip, void *buf, uint64_t len)
{
    iov_each(iov, n, skip, buf, len, IOV_TO);
}

/** mem_is_zero() - whether @n bytes at @p are all 0 */
bool mem_is_zero(const void *p, size_t n)
{
    const unsigned char *c = p;

    if (n < 16) {
        for (size_t i = 0; i < n; i++)
            if (c[i])
                return false;
        return true;
    }
    /* the first 16 by hand, then each byte against the one 16 before */
    return !ldl64(c) && !ldl64(c + 8) && !memcmp(c, c + 16, n - 16);
}

/** iov_is_zero() - whether all bytes of the list are 0 */
bool iov_is_zero(const struct iovec *iov, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        if (!mem_is_zero(iov[i].iov_base, iov[i].iov_len))
            return false;
    return true;
}
