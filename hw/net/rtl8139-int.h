/*
 * rtl8139-int.h - RTL8139C+: registers and state
 *
 * Source: Realtek RTL8139C(L)+ data sheet, rev. 1.6.
 */
#ifndef HW_NET_RTL8139_INT_H
#define HW_NET_RTL8139_INT_H

#include "hw/dma/sg.h"
#include "hw/net/eeprom93.h"
#include "hw/net/nic.h"

#define RTL_REG_BYTES 256
#define RTL_FRAME_MAX 1792       /* of a frame of TSD; C+ descriptors gather more */

enum {
    R_IDR = 0x00, R_MAR = 0x08, R_TSD0 = 0x10, R_TSAD0 = 0x20, R_RBSTART = 0x30, R_CR = 0x37,
    R_CAPR = 0x38, R_CBR = 0x3a, R_IMR = 0x3c, R_ISR = 0x3e, R_TCR = 0x40, R_RCR = 0x44,
    R_TCTR = 0x48, R_MPC = 0x4c, R_9346CR = 0x50, R_CONFIG0 = 0x51, R_CONFIG1 = 0x52,
    R_TIMERINT = 0x54, R_MSR = 0x58, R_CONFIG3 = 0x59, R_CONFIG4 = 0x5a, R_RERID = 0x5e,
    R_TSAD = 0x60, R_BMCR = 0x62, R_BMSR = 0x64, R_ANAR = 0x66, R_ANLPAR = 0x68, R_ANER = 0x6a,
    R_CSCR = 0x74, R_CONFIG5 = 0xd8, R_TPPOLL = 0xd9, R_CPCR = 0xe0, R_RDSAR = 0xe4,
    R_ETTHR = 0xec, R_FER = 0xf0, R_DTCCR = R_TSD0, R_TNPDS = R_TSAD0, R_THPDS = 0x28,
};
enum { CR_BUFE = 1, CR_TE = 4, CR_RE = 8, CR_RST = 0x10 };
enum { ISR_ROK = 1, ISR_TOK = 4, ISR_TER = 8, ISR_RXOVW = 0x10, ISR_LINK = 0x20, ISR_TDU = 0x80,
       ISR_SWINT = 0x100, ISR_TIMEOUT = 0x4000 };
enum { RCR_AAP = 1, RCR_APM = 2, RCR_AM = 4, RCR_AB = 8, RCR_WRAP = 0x80 };
enum { TSD_OWN = 1 << 13, TSD_TUN = 1 << 14, TSD_TOK = 1 << 15 };
enum { CPCR_TXEN = 1, CPCR_RXEN = 2, CPCR_RXCSUM = 0x20, CPCR_RXVLAN = 0x40 };

struct rtl8139 {
    struct pci_device pci;
    struct nic nic;
    struct mem_region mmio;
    uint8_t reg[RTL_REG_BYTES];
    struct eeprom93 eeprom;
    int64_t timer_base_ns;       /* when TCTR was 0 */
    struct timer timer;          /* TimerInt */
    struct timer tx_timer;       /* C+: goes on where the budget ended */
    bool busy;
    bool tx_bad;                 /* C+: the frame does not fit: dropped at its end */
    uint16_t tx_desc, rx_desc;   /* C+: next descriptors */
    uint32_t tx_len;             /* C+: bytes gathered */
    uint8_t tx_buf[NET_FRAME_MAX];
    uint8_t rx_pad[NET_ETH_MIN];
};

static inline uint16_t rtl16(const struct rtl8139 *s, unsigned off) { return ldl16(s->reg + off); }
static inline uint32_t rtl32(const struct rtl8139 *s, unsigned off) { return ldl32(s->reg + off); }

/* rtl8139.c */
void rtl_interrupt(struct rtl8139 *s, uint16_t causes);
/* rtl8139-rx.c */
bool rtl_receive(void *opaque, const struct net_frame *f);
bool rtl_rx_empty(const struct rtl8139 *s);
/* rtl8139-tx.c */
void rtl_transmit(struct rtl8139 *s, unsigned n);
void rtl_transmit_cplus(struct rtl8139 *s);

#endif
