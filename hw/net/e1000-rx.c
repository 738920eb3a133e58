/*
 * e1000-rx.c - 82540EM: receiving
 *
 * Every frame comes in through e1000_receive(), those of the loopback as well,
 * so that each is padded, measured and filtered the same way. The FCS that
 * drivers without RCTL.SECRC expect behind a frame is zeros: none looks at it.
 *
 * Source: the manual, 3.2 (receive descriptors), 13.4.22 (RCTL).
 */
#include "hw/net/e1000-int.h"

#define DESC_BYTES   16
#define FCS_BYTES    4
#define FRAME_MAX    1518        /* with VLAN tag, without FCS; RCTL.LPE lifts it */
#define LONG_MAX     16380
#define TAG_BYTES    4

enum { RX_DD = 1, RX_EOP = 2, RX_IXSM = 4, RX_VP = 8, RX_TCPCS = 0x20, RX_IPCS = 0x40 };

static uint32_t ring_len(struct e1000 *s)
{
    return *e1000_reg(s, E_RDLEN) / DESC_BYTES;
}

static uint32_t buffer_bytes(uint32_t rctl)
{
    unsigned n = bits(rctl, 16, 2);

    return rctl & RCTL_BSEX && n ? 32768u >> n : 2048u >> n;
}

/* ---- filters --------------------------------------------------------------------------- */

static bool multicast_wanted(struct e1000 *s, const uint8_t *dst, uint32_t rctl)
{
    static const uint8_t shift[4] = { 4, 3, 2, 0 };
    unsigned hash = (dst[5] << 8 | dst[4]) >> shift[bits(rctl, 12, 2)] & 0xfff;

    return *e1000_reg(s, E_MTA + (hash >> 5) * 4) >> (hash & 31) & 1;
}

static bool address_wanted(struct e1000 *s, const uint8_t *dst)
{
    uint32_t rctl = *e1000_reg(s, E_RCTL);

    if (nic_is_broadcast(dst) && rctl & RCTL_BAM)
        return true;
    if (rctl & (dst[0] & 1 ? RCTL_MPE : RCTL_UPE))
        return true;
    for (int i = 0; i < 16; i++) {
        uint32_t low = *e1000_reg(s, E_RA + i * 8), high = *e1000_reg(s, E_RA + i * 8 + 4);

        if (high >> 31 && low == ldl32(dst) && (high & 0xffff) == ldl16(dst + 4))
            return true;
    }
    return dst[0] & 1 && multicast_wanted(s, dst, rctl);
}

static bool tagged(struct e1000 *s, const uint8_t *d, size_t len)
{
    return len >= 18 && (d[12] << 8 | d[13]) == (int)(*e1000_reg(s, E_VET) & 0xffff);
}

static bool wanted(struct e1000 *s, const uint8_t *d, size_t len)
{
    uint32_t rctl = *e1000_reg(s, E_RCTL);
    unsigned id = len >= 18 ? (d[14] << 8 | d[15]) & 0xfff : 0;

    if (rctl & RCTL_VFE && tagged(s, d, len) &&
        !(*e1000_reg(s, E_VFTA + (id >> 5) * 4) >> (id & 31) & 1))
        return false;
    if (len > LONG_MAX || (len > FRAME_MAX && !(rctl & RCTL_LPE))) {
        e1000_count(s, E_ROC, 1);
        return false;
    }
    return address_wanted(s, d);
}

/* ---- descriptors ------------------------------------------------------------------------ */

/* Free descriptors; software owns those from RDT on. */
static uint32_t available(struct e1000 *s)
{
    uint32_t n = ring_len(s), head = *e1000_reg(s, E_RDH), tail = *e1000_reg(s, E_RDT);

    if (!n || head >= n || tail >= n)
        return 0;
    return head <= tail ? tail - head : n - head + tail;
}

/** struct rx_frame - a frame on its way into the ring, perhaps without its tag */
struct rx_frame {
    const uint8_t *d;
    size_t len;              /* of d */
    size_t cut;              /* bytes of tag left out behind the addresses */
    size_t total;            /* bytes for the guest, FCS included */
    uint16_t tag;
    uint8_t status;
};

/* Bytes [@at, @at + @n) of what the guest is to see, to @gpa; FCS bytes are 0. */
static void put_bytes(struct e1000 *s, const struct rx_frame *f, gpa_t gpa, size_t at, size_t n)
{
    static const uint8_t fcs[FCS_BYTES];
    const struct dma *dma = &s->pci.dma;

    while (n) {
        size_t src = f->cut && at >= 12 ? at + f->cut : at, piece;

        if (src >= f->len) {
            dma_put(dma, gpa, fcs, MIN(n, sizeof fcs));
            return;
        }
        piece = MIN(n, f->cut && at < 12 ? 12 - at : f->len - src);
        dma_put(dma, gpa, f->d + src, piece);
        gpa += piece;
        at += piece;
        n -= piece;
    }
}

static void write_frame(struct e1000 *s, const struct rx_frame *f)
{
    const struct dma *dma = &s->pci.dma;
    uint64_t base = (uint64_t)*e1000_reg(s, E_RDBAH) << 32 | (*e1000_reg(s, E_RDBAL) & ~15u);
    uint32_t size = buffer_bytes(*e1000_reg(s, E_RCTL)), n_ring = ring_len(s);
    uint32_t *head = e1000_reg(s, E_RDH);

    for (size_t at = 0; at < f->total; ) {
        size_t n = MIN(f->total - at, (size_t)size);
        uint8_t desc[DESC_BYTES];
        gpa_t slot = base + (uint64_t)*head * DESC_BYTES;

        dma_get(dma, slot, desc, sizeof desc);
        if (ldl64(desc))             /* a null address: the chip skips the buffer */
            put_bytes(s, f, ldl64(desc), at, n);
        at += n;
        stl16(desc + 8, n);
        stl16(desc + 10, 0);
        desc[12] = f->status | RX_DD | (at == f->total ? RX_EOP : 0);
        desc[13] = 0;
        stl16(desc + 14, f->tag);
        dma_put(dma, slot, desc, sizeof desc);
        if (++*head >= n_ring)
            *head = 0;
    }
}

static void received(struct e1000 *s, const uint8_t *d, size_t len)
{
    uint32_t threshold = ring_len(s) >> (bits(*e1000_reg(s, E_RCTL), 8, 2) + 1);

    e1000_count(s, E_GPRC, 1);
    e1000_count(s, E_TPR, 1);
    e1000_count64(s, E_GORCL, len + FCS_BYTES);
    e1000_count64(s, E_TORL, len + FCS_BYTES);
    if (d[0] & 1)
        e1000_count(s, d[0] == 0xff ? E_BPRC : E_MPRC, 1);
    e1000_interrupt(s, ICR_RXT0 | (available(s) <= threshold ? ICR_RXDMT0 : 0));
}

bool e1000_receive(void *opaque, const struct net_frame *in)
{
    struct e1000 *s = opaque;
    struct rx_frame f = { .d = in->data, .len = in->len, .status = RX_IXSM };
    uint32_t rctl = *e1000_reg(s, E_RCTL);

    if (!(rctl & RCTL_EN) || !dma_enabled(&s->pci.dma))
        return true;                     /* a deaf card: frames are lost */
    f.d = nic_padded(f.d, &f.len, s->rx_pad);
    if (!wanted(s, f.d, f.len))
        return true;
    if (in->off.valid)
        f.status = RX_TCPCS | RX_IPCS;
    if (*e1000_reg(s, E_CTRL) & CTRL_VME && tagged(s, f.d, f.len)) {
        f.tag = f.d[14] << 8 | f.d[15];
        f.cut = TAG_BYTES;
        f.status |= RX_VP;
    }
    f.total = f.len - f.cut + (rctl & RCTL_SECRC ? 0 : FCS_BYTES);
    if ((uint64_t)available(s) * buffer_bytes(rctl) < f.total)
        return false;                    /* a write of RDT has us asked again */
    write_frame(s, &f);
    received(s, f.d, f.len);
    return true;
}
