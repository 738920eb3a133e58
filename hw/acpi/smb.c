/*
 * smb.c - SMBus host controller with nothing on the bus
 */
#include "hw/acpi/smb.h"

enum { HST_STS = 0, HST_CNT = 2 };
enum { STS_DEV_ERR = 0x04, STS_EVENTS = 0x1e, CNT_INTREN = 0x01, CNT_START = 0x40 };

uint8_t smb_read(const struct smb_host *s, unsigned off)
{
    return off < SMB_REGS ? s->reg[off] : 0xff;
}

void smb_write(struct smb_host *s, unsigned off, uint8_t val)
{
    if (off >= SMB_REGS)
        return;
    if (off == HST_STS) {                /* write 1 to clear */
        s->reg[HST_STS] &= ~val;
        return;
    }
    s->reg[off] = val;
    if (off == HST_CNT && (val & CNT_START)) {
        s->reg[HST_CNT] &= ~CNT_START;
        s->reg[HST_STS] |= STS_DEV_ERR;
    }
}

bool smb_irq(const struct smb_host *s)
{
    return (s->reg[HST_CNT] & CNT_INTREN) && (s->reg[HST_STS] & STS_EVENTS);
}
