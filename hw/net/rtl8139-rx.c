/*
 * rtl8139-rx.c - RTL8139C+: receiving, into the ring buffer or, in C+ mode, by
 * descriptors
 *
 * The four FCS bytes behind a frame are zeros: no driver looks at them.
 */
#include "hw/net/rtl8139-int.h"

enum { HDR_BYTES = 4, FCS_BYTES = 4, DESC_BYTES = 16, RING_DESCS = 64, LONGEST = 4096 };
enum { RX_OK = 1, RX_BAR = 1 << 13, RX_PAM = 1 << 14, RX_MAR = 1 << 15 };
#define D_OWN   (1u << 31)
#define D_EOR   (1u << 30)
#define D_FS_LS (3u << 28)
#define D_TAVA  (1u << 16)
enum { D_PID_SHIFT = 16, D_SIZE = 0x1fff };

static uint32_t ring_bytes(const struct rtl8139 *s)
{
    return 8192u << bits(rtl32(s, R_RCR), 11, 2);
}

static uint32_t read_pos(const struct rtl8139 *s)
{
    return (uint16_t)(rtl16(s, R_CAPR) + 16) % ring_bytes(s);
}

bool rtl_rx_empty(const struct rtl8139 *s)
{
    return rtl16(s, R_CBR) % ring_bytes(s) == read_pos(s);
}

/* Receive status bits, or 0 when the frame is for somebody else. */
static uint16_t address_wanted(const struct rtl8139 *s, const uint8_t *dst)
{
    uint32_t rcr = rtl32(s, R_RCR);
    unsigned hash = nic_multicast_hash(dst) >> 26;

    if (nic_is_broadcast(dst))
        return rcr & (RCR_AB | RCR_AAP) ? RX_OK | RX_BAR : 0;
    if (dst[0] & 1)
        return rcr & RCR_AAP || (rcr & RCR_AM && s->reg[R_MAR + (hash >> 3)] >> (hash & 7) & 1)
               ? RX_OK | RX_MAR : 0;
    if (!memcmp(dst, s->reg + R_IDR, 6) && rcr & RCR_APM)
        return RX_OK | RX_PAM;
    return rcr & RCR_AAP ? RX_OK : 0;
}

/* ---- ring buffer --------------------------------------------------------------------- */

/* Bytes into the ring at *@pos; with RCR.WRAP they may run past its end. */
static void ring_put(struct rtl8139 *s, uint32_t *pos, const void *buf, uint32_t n)
{
    gpa_t base = rtl32(s, R_RBSTART);
    uint32_t size = ring_bytes(s);
    bool past_end = rtl32(s, R_RCR) & RCR_WRAP && size < 65536;
    uint32_t first = past_end || *pos >= size ? n : MIN(n, size - *pos);

    dma_put(&s->pci.dma, base + *pos, buf, first);
    if (n > first)
        dma_put(&s->pci.dma, base, (const uint8_t *)buf + first, n - first);
    *pos += n;
    if (!past_end)
        *pos %= size;
}

static bool to_ring(struct rtl8139 *s, const uint8_t *d, uint32_t len, uint16_t status)
{
    static const uint8_t fcs[FCS_BYTES];
    uint32_t size = ring_bytes(s), pos = rtl16(s, R_CBR) % size, rd = read_pos(s);
    uint32_t need = align_up(HDR_BYTES + len + FCS_BYTES, 4);
    uint32_t room = pos == rd ? size : (rd + size - pos) % size;
    uint8_t hdr[HDR_BYTES];

    if (need >= room)
        return false;                    /* a write of CAPR has us asked again */
    stl16(hdr, status);
    stl16(hdr + 2, len + FCS_BYTES);
    ring_put(s, &pos, hdr, sizeof hdr);
    ring_put(s, &pos, d, len);
    ring_put(s, &pos, fcs, sizeof fcs);
    stl16(s->reg + R_CBR, align_up(pos, 4) % size);
    return true;
}

/* ---- C+ descriptors -------------------------------------------------------------------- */

/* What the chip found out about sums: PID of a good TCP or UDP packet. */
static uint32_t protocol_bits(const struct rtl8139 *s, const struct net_frame *f)
{
    uint8_t proto;

    if (!f->off.valid || !(rtl16(s, R_CPCR) & CPCR_RXCSUM) || f->len < 34 ||
        f->data[12] != 8 || f->data[13])
        return 0;
    proto = f->data[23];
    return proto == 6 ? 1u << D_PID_SHIFT : proto == 17 ? 2u << D_PID_SHIFT : 0;
}

static bool to_descriptor(struct rtl8139 *s, const uint8_t *d, uint32_t len, uint16_t status,
                          uint32_t flags)
{
    const struct dma *dma = &s->pci.dma;
    gpa_t at = ldl64(s->reg + R_RDSAR) + s->rx_desc * DESC_BYTES;
    uint8_t desc[DESC_BYTES];
    uint32_t own, tag = 0;
    static const uint8_t fcs[FCS_BYTES];

    dma_get(dma, at, desc, sizeof desc);
    own = ldl32(desc);
    if (!(own & D_OWN))
        return false;
    if (rtl16(s, R_CPCR) & CPCR_RXVLAN && len >= 18 && d[12] == 0x81 && !d[13]) {
        tag = D_TAVA | ldl16(d + 14);    /* as on the wire */
        dma_put(dma, ldl64(desc + 8), d, MIN(12u, own & D_SIZE));
    }
    if (len + FCS_BYTES > (own & D_SIZE)) {
        log_guest(LOG_NET, "rtl8139 rx: frame of %u bytes, buffer of %u", len, own & D_SIZE);
        return true;
    }
    if (tag) {
        dma_put(dma, ldl64(desc + 8) + 12, d + 16, len - 16);
        len -= 4;
    } else {
        dma_put(dma, ldl64(desc + 8), d, len);
    }
    dma_put(dma, ldl64(desc + 8) + len, fcs, sizeof fcs);
    stl32(desc + 4, tag);
    stl32(desc, (own & D_EOR) | D_FS_LS | (uint32_t)(status & 0xe000) << 11 | flags |
                (len + FCS_BYTES));
    dma_put(dma, at, desc, sizeof desc);
    s->rx_desc = own & D_EOR || s->rx_desc == RING_DESCS - 1 ? 0 : s->rx_desc + 1;
    return true;
}

bool rtl_receive(void *opaque, const struct net_frame *f)
{
    struct rtl8139 *s = opaque;
    const uint8_t *d = f->data;
    size_t len = f->len;
    bool cplus = rtl16(s, R_CPCR) & CPCR_RXEN;
    uint16_t status;

    if (!(s->reg[R_CR] & CR_RE) || !dma_enabled(&s->pci.dma))
        return true;
    d = nic_padded(d, &len, s->rx_pad);
    status = address_wanted(s, d);
    if (!status || len > LONGEST)
        return true;
    if (cplus ? !to_descriptor(s, d, len, status, protocol_bits(s, f)) : !to_ring(s, d, len, status))
        return false;
    rtl_interrupt(s, ISR_ROK);
    return true;
}
