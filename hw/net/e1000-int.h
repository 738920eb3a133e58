/*
 * e1000-int.h - Intel 82540EM: registers and state
 *
 * Source: Intel PCI/PCI-X Family of Gigabit Ethernet Controllers Software
 * Developer's Manual (317453), chapters 3 (descriptors), 5 (EEPROM), 13
 * (registers).
 */
#ifndef HW_NET_E1000_INT_H
#define HW_NET_E1000_INT_H

#include "hw/dma/sg.h"
#include "hw/net/eeprom93.h"
#include "hw/net/nic.h"

#define E1000_REG_BYTES    0x6000u      /* what is stored; above it nothing is kept */
#define E1000_PHY_REGS     32

enum {
    E_CTRL = 0x0000, E_STATUS = 0x0008, E_EECD = 0x0010, E_EERD = 0x0014, E_CTRL_EXT = 0x0018,
    E_MDIC = 0x0020, E_VET = 0x0038, E_ICR = 0x00c0, E_ITR = 0x00c4, E_ICS = 0x00c8,
    E_IMS = 0x00d0, E_IMC = 0x00d8, E_RCTL = 0x0100, E_TXCW = 0x0178, E_TCTL = 0x0400,
    E_PBA = 0x1000, E_RDBAL = 0x2800, E_RDBAH = 0x2804, E_RDLEN = 0x2808, E_RDH = 0x2810,
    E_RDT = 0x2818, E_TDBAL = 0x3800, E_TDBAH = 0x3804, E_TDLEN = 0x3808, E_TDH = 0x3810,
    E_TDT = 0x3818, E_STATS = 0x4000, E_MPC = 0x4010, E_GPRC = 0x4074, E_BPRC = 0x4078,
    E_MPRC = 0x407c, E_GPTC = 0x4080, E_GORCL = 0x4088, E_GORCH = 0x408c, E_GOTCL = 0x4090,
    E_GOTCH = 0x4094, E_RUC = 0x40a4, E_ROC = 0x40ac, E_TORL = 0x40c0, E_TORH = 0x40c4,
    E_TOTL = 0x40c8, E_TOTH = 0x40cc, E_TPR = 0x40d0, E_TPT = 0x40d4, E_TSCTC = 0x40f8,
    E_STATS_END = 0x4100, E_RXCSUM = 0x5000, E_MTA = 0x5200, E_RA = 0x5400, E_VFTA = 0x5600,
    E_MANC = 0x5820,
};
enum { CTRL_FD = 1, CTRL_SLU = 1 << 6, CTRL_RST = 1 << 26, CTRL_VME = 1 << 30 };
enum { STATUS_FD = 1, STATUS_LU = 2, STATUS_SPEED_1000 = 0x80 };
enum { EECD_SK = 1, EECD_CS = 2, EECD_DI = 4, EECD_DO = 8, EECD_REQ = 0x40, EECD_GNT = 0x80,
       EECD_PRES = 0x100 };
enum { EERD_START = 1, EERD_DONE = 0x10 };
enum { ICR_TXDW = 1, ICR_TXQE = 2, ICR_LSC = 4, ICR_RXDMT0 = 0x10, ICR_RXO = 0x40,
       ICR_RXT0 = 0x80, ICR_MDAC = 0x200 };
#define ICR_INT_ASSERTED (1u << 31)
enum { RCTL_EN = 2, RCTL_UPE = 8, RCTL_MPE = 0x10, RCTL_LPE = 0x20, RCTL_LBM = 0xc0,
       RCTL_BAM = 0x8000, RCTL_VFE = 1 << 18, RCTL_BSEX = 1 << 25, RCTL_SECRC = 1 << 26 };
enum { TCTL_EN = 2, TCTL_PSP = 8 };
enum { MII_CTRL, MII_STATUS, MII_ID1, MII_ID2, MII_ADV, MII_LPA, MII_EXP,
       MII_CTRL_1000 = 9, MII_STATUS_1000, MII_EXT_STATUS = 15, M88_SPEC_CTRL, M88_SPEC_STATUS,
       M88_INT_ENABLE, M88_INT_STATUS, M88_EXT_CTRL };
enum { MII_CTRL_RESTART = 1 << 9, MII_CTRL_LOOPBACK = 1 << 14, MII_CTRL_RESET = 1 << 15,
       MII_STATUS_LINK = 4, MII_STATUS_DONE = 0x20, M88_STATUS_LINK = 0x400 };

/** struct e1000_context - what a context descriptor set (3.3.6) */
struct e1000_context {
    uint8_t ipcss, ipcso, tucss, tucso, hdr_len;
    uint16_t ipcse, tucse, mss;
    uint32_t pay_len;
    bool tcp, ip4;
};

struct e1000 {
    struct pci_device pci;
    struct nic nic;
    struct mem_region mmio;
    uint32_t reg[E1000_REG_BYTES / 4];
    uint32_t io_addr;
    struct eeprom93 eeprom;
    uint16_t phy[E1000_PHY_REGS];
    /* interrupts */
    bool irq;
    struct timer itr_timer;
    /* transmission */
    struct timer tx_timer;       /* goes on where the budget ended */
    struct e1000_context ctx;
    bool busy;
    bool tx_bad;                 /* the frame does not fit: dropped at its end */
    bool tx_tse, tx_ixsm, tx_txsm, tx_legacy_csum, tx_vlan;
    uint8_t tx_css, tx_cso;
    uint16_t tx_tag;
    uint32_t tx_len;
    uint8_t tx_buf[NET_FRAME_MAX];
    uint8_t rx_pad[NET_ETH_MIN];
};

static inline uint32_t *e1000_reg(struct e1000 *s, unsigned off)
{
    return &s->reg[off / 4];
}

/* e1000.c */
void e1000_interrupt(struct e1000 *s, uint32_t causes);
void e1000_count(struct e1000 *s, unsigned reg, uint32_t n);
void e1000_count64(struct e1000 *s, unsigned low, uint32_t n);
/* e1000-phy.c */
void e1000_phy_reset(struct e1000 *s);
void e1000_phy_link(struct e1000 *s);
void e1000_mdic(struct e1000 *s, uint32_t val);
void e1000_eeprom_init(struct e1000 *s);
void e1000_eecd(struct e1000 *s, uint32_t val);
void e1000_eerd(struct e1000 *s, uint32_t val);
/* e1000-tx.c */
void e1000_transmit(struct e1000 *s);
void e1000_tx_reset(struct e1000 *s);
/* e1000-rx.c */
bool e1000_receive(void *opaque, const struct net_frame *f);

#endif
