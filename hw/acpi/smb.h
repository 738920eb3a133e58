/*
 * smb.h - SMBus host controller of PIIX4 and ICH: an empty bus
 *
 * Every transaction ends with "no device answered".
 * Source: Intel 82371AB datasheet, 290562, 7.3; ICH9 datasheet, 316972, 19.2.
 */
#ifndef HW_ACPI_SMB_H
#define HW_ACPI_SMB_H

#include "hw/hw.h"

#define SMB_REGS 32

struct smb_host {
    uint8_t reg[SMB_REGS];
};

/** smb_read()/smb_write() - one byte register at @off below SMB_REGS */
uint8_t smb_read(const struct smb_host *s, unsigned off);
void smb_write(struct smb_host *s, unsigned off, uint8_t val);
/** smb_irq() - level that the controller asks for */
bool smb_irq(const struct smb_host *s);

#endif
