/*
 * e1000-phy.c - 82540EM: the PHY behind MDIC, the EEPROM behind EECD and EERD
 *
 * The PHY is a Marvell 88E1011; autonegotiation ends at once. The EEPROM
 * is a 93C46.
 *
 * Source: the manual, 13.4.3 (EECD), 13.4.4 (EERD), 13.4.6 (MDIC), 5.6 (EEPROM
 * map); IEEE 802.3 clause 22 and 40 for the PHY's registers.
 */
#include "hw/net/e1000-int.h"

enum { MDIC_WRITE = 1, MDIC_READ = 2, PHY_ADDRESS = 1 };
#define MDIC_READY (1u << 28)
#define MDIC_IRQ   (1u << 29)
#define MDIC_ERROR (1u << 30)

static const uint16_t phy_reset_values[E1000_PHY_REGS] = {
    [MII_CTRL] = 0x1140, [MII_STATUS] = 0x7949, [MII_ID1] = 0x0141, [MII_ID2] = 0x0c20,
    [MII_ADV] = 0x0de1, [MII_LPA] = 0x45e1, [MII_EXP] = 0x0001, [MII_CTRL_1000] = 0x0e00,
    [MII_STATUS_1000] = 0x3c00, [MII_EXT_STATUS] = 0x3000, [M88_SPEC_CTRL] = 0x0360,
    [M88_SPEC_STATUS] = 0xa800, [M88_EXT_CTRL] = 0x0d60,
};

/** e1000_phy_link() - the cable changed, or autonegotiation ended */
void e1000_phy_link(struct e1000 *s)
{
    bool up = net_link_up(&s->nic.port);

    s->phy[MII_STATUS] &= ~(MII_STATUS_LINK | MII_STATUS_DONE);
    s->phy[M88_SPEC_STATUS] &= ~M88_STATUS_LINK;
    *e1000_reg(s, E_STATUS) &= ~STATUS_LU;
    if (!up)
        return;
    s->phy[MII_STATUS] |= MII_STATUS_LINK | MII_STATUS_DONE;
    s->phy[M88_SPEC_STATUS] |= M88_STATUS_LINK;
    *e1000_reg(s, E_STATUS) |= STATUS_LU;
}

void e1000_phy_reset(struct e1000 *s)
{
    memcpy(s->phy, phy_reset_values, sizeof s->phy);
    e1000_phy_link(s);
}

static void phy_write(struct e1000 *s, unsigned n, uint16_t val)
{
    switch (n) {
    case MII_CTRL:
        if (val & MII_CTRL_RESET) {
            e1000_phy_reset(s);
            break;
        }
        s->phy[n] = val & ~MII_CTRL_RESTART;
        if (val & MII_CTRL_RESTART) {
            e1000_phy_link(s);
            e1000_interrupt(s, ICR_LSC);
        }
        break;
    case MII_ADV: case MII_CTRL_1000: case M88_SPEC_CTRL: case M88_INT_ENABLE: case M88_EXT_CTRL:
    case 29: case 30:            /* page and vendor registers that drivers write */
        s->phy[n] = val;
        break;
    default:
        log_guest(LOG_NET, "e1000 phy=%u write=%#x read-only", n, val);
    }
}

void e1000_mdic(struct e1000 *s, uint32_t val)
{
    unsigned n = bits(val, 16, 5), phy = bits(val, 21, 5), op = bits(val, 26, 2);

    val &= ~MDIC_READY;
    if (phy != PHY_ADDRESS || (op != MDIC_READ && op != MDIC_WRITE))
        val |= MDIC_ERROR;
    else if (op == MDIC_READ)
        val = (val & ~0xffffu) | s->phy[n];
    else
        phy_write(s, n, val);
    *e1000_reg(s, E_MDIC) = val | MDIC_READY;
    if (val & MDIC_IRQ)
        e1000_interrupt(s, ICR_MDAC);
}

/* ---- EEPROM ------------------------------------------------------------------------- */

/** e1000_eeprom_init() - address, identification, and the sum 0xbaba (5.6) */
void e1000_eeprom_init(struct e1000 *s)
{
    uint16_t *w = s->eeprom.word, sum = 0;

    memset(w, 0, sizeof s->eeprom.word);
    for (int i = 0; i < 3; i++)
        w[i] = ldl16(s->nic.mac + 2 * i);
    w[0x0a] = 0x4408;            /* signature 01 */
    w[0x0b] = ldl16(s->pci.config + PCI_SUBSYS_ID);
    w[0x0c] = ldl16(s->pci.config + PCI_SUBSYS_VENDOR);
    w[0x0d] = ldl16(s->pci.config + PCI_DEVICE_ID);
    w[0x0e] = ldl16(s->pci.config + PCI_VENDOR_ID);
    w[0x0f] = 0x3000;
    for (int i = 0; i < EEPROM93_WORDS - 1; i++)
        sum += w[i];
    w[EEPROM93_WORDS - 1] = 0xbaba - sum;
}

void e1000_eecd(struct e1000 *s, uint32_t val)
{
    uint32_t *r = e1000_reg(s, E_EECD);

    *r = EECD_PRES | (val & (EECD_SK | EECD_CS | EECD_DI | EECD_REQ)) |
         (val & EECD_REQ ? EECD_GNT : 0);
    if (eeprom93_pins(&s->eeprom, val & EECD_CS, val & EECD_SK, val & EECD_DI))
        *r |= EECD_DO;
}

void e1000_eerd(struct e1000 *s, uint32_t val)
{
    unsigned word = bits(val, 8, 8);

    if (!(val & EERD_START))
        return;
    *e1000_reg(s, E_EERD) = word << 8 | EERD_DONE |
        (uint32_t)(word < EEPROM93_WORDS ? s->eeprom.word[word] : 0xffff) << 16;
}
