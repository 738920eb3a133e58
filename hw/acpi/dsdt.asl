/*
 * dsdt.asl - what ACPI says about the i440FX board
 *
 * What differs from machine to machine is in an SSDT that hw/acpi/tables.c
 * writes: COMM (bit n: COMn+1 is there), HPEM (bit 0: HPET), PCIB (first
 * address of the PCI memory window).
 */
DefinitionBlock ("", "DSDT", 2, "TRNSOM", "TRNSDSDT", 1)
{
    External (\COMM, IntObj)
    External (\HPEM, IntObj)
    External (\PCIB, IntObj)

    /* suspend to RAM, soft-off: SLP_TYP as the PIIX4 decodes SUS_TYP; suspend to disk: a value that
     * the chip has for something else and guests do not use */
    Name (\_S3, Package () { One, One, Zero, Zero })
    Name (\_S4, Package () { 0x02, 0x02, Zero, Zero })
    Name (\_S5, Package () { Zero, Zero, Zero, Zero })

    /* _STA of a device that is there when Arg0 is not 0 */
    Method (PRES, 1)
    {
        If (Arg0) { Return (0x0F) }
        Return (Zero)
    }

    Scope (\_GPE)
    {
        Method (_E01, 0) { \_SB.PCI0.PSCN () }
    }

    Scope (\_SB)
    {
        Device (PCI0)
        {
            Name (_HID, EisaId ("PNP0A03"))
            Name (_UID, Zero)
            Name (_BBN, Zero)

            Name (CRES, ResourceTemplate ()
            {
                WordBusNumber (ResourceProducer, MinFixed, MaxFixed, PosDecode,
                    0x0000, 0x0000, 0x00FF, 0x0000, 0x0100)
                IO (Decode16, 0x0CF8, 0x0CF8, 0x01, 0x08)
                WordIO (ResourceProducer, MinFixed, MaxFixed, PosDecode, EntireRange,
                    0x0000, 0x0000, 0x0CF7, 0x0000, 0x0CF8)
                WordIO (ResourceProducer, MinFixed, MaxFixed, PosDecode, EntireRange,
                    0x0000, 0x0D00, 0xFFFF, 0x0000, 0xF300)
                DWordMemory (ResourceProducer, PosDecode, MinFixed, MaxFixed, Cacheable,
                    ReadWrite, 0x00000000, 0x000A0000, 0x000BFFFF, 0x00000000, 0x00020000)
                DWordMemory (ResourceProducer, PosDecode, MinFixed, MaxFixed, NonCacheable,
                    ReadWrite, 0x00000000, 0xC0000000, 0xFEBFFFFF, 0x00000000, 0x3EC00000,
                    ,, WIN)
            })
            Method (_CRS, 0, Serialized)
            {
                CreateDWordField (CRES, \_SB.PCI0.WIN._MIN, WMIN)
                CreateDWordField (CRES, \_SB.PCI0.WIN._MAX, WMAX)
                CreateDWordField (CRES, \_SB.PCI0.WIN._LEN, WLEN)
                WMIN = \PCIB
                WLEN = WMAX - WMIN + One
                Return (CRES)
            }

            /* INTA of slot n is on PIRQ (n - 1) & 3, and so on round */
            Method (_PRT, 0, Serialized)
            {
                Local0 = Package (128) {}
                Local1 = Zero
                While (Local1 < 128)
                {
                    Local2 = Local1 >> 2
                    Local3 = (Local1 + Local2 + 3) & 3
                    If (Local3 == 0) { Local4 = Package (4) { Zero, Zero, LNKA, Zero } }
                    If (Local3 == 1) { Local4 = Package (4) { Zero, Zero, LNKB, Zero } }
                    If (Local3 == 2) { Local4 = Package (4) { Zero, Zero, LNKC, Zero } }
                    If (Local3 == 3) { Local4 = Package (4) { Zero, Zero, LNKD, Zero } }
                    /* the PM function's interrupt is the SCI, not a PIRQ */
                    If (Local1 == 4) { Local4 = Package (4) { Zero, Zero, LNKS, Zero } }
                    Local4 [0] = (Local2 << 16) | 0xFFFF
                    Local4 [1] = Local1 & 3
                    Local0 [Local1] = Local4
                    Local1++
                }
                Return (Local0)
            }

            Device (ISA)
            {
                Name (_ADR, 0x00010000)
                OperationRegion (P40C, PCI_Config, 0x60, 0x04)
                Field (P40C, ByteAcc, NoLock, Preserve)
                {
                    PRQ0, 8, PRQ1, 8, PRQ2, 8, PRQ3, 8
                }

#include "isa.asl"
            }

            /* cards that come and go: hw/acpi/pci-hotplug.c */
            OperationRegion (HPCI, SystemIO, 0xAE00, 0x0C)
            Field (HPCI, DWordAcc, NoLock, WriteAsZeros)
            {
                PUP0, 32, PDN0, 32, PEJ0, 32
            }
#include "slots.asl"
            Method (PSCN, 0, Serialized)
            {
                PNOT (PUP0, 1)         /* device check */
                PNOT (PDN0, 3)         /* eject request */
            }

            /* ports of the PM block and SMBus host, wherever a driver looks */
            Device (PMIO)
            {
                Name (_HID, EisaId ("PNP0C02"))
                Name (_UID, 0x01)
                Name (_CRS, ResourceTemplate ()
                {
                    IO (Decode16, 0x0600, 0x0600, 0x01, 0x40)
                    IO (Decode16, 0x0700, 0x0700, 0x01, 0x10)
                    IO (Decode16, 0x00B2, 0x00B2, 0x01, 0x02)
                    IO (Decode16, 0x0510, 0x0510, 0x01, 0x0C)
                    IO (Decode16, 0xAE00, 0xAE00, 0x01, 0x10)
                })
            }
        }

#include "system.asl"
#define LINK LNKA
#define LUID 0
#define LREG \_SB.PCI0.ISA.PRQ0
#include "link.asl"
#undef LINK
#undef LUID
#undef LREG
#define LINK LNKB
#define LUID 1
#define LREG \_SB.PCI0.ISA.PRQ1
#include "link.asl"
#undef LINK
#undef LUID
#undef LREG
#define LINK LNKC
#define LUID 2
#define LREG \_SB.PCI0.ISA.PRQ2
#include "link.asl"
#undef LINK
#undef LUID
#undef LREG
#define LINK LNKD
#define LUID 3
#define LREG \_SB.PCI0.ISA.PRQ3
#include "link.asl"
#undef LINK
#undef LUID
#undef LREG

        /* the SCI: fixed to IRQ 9 */
        Device (LNKS)
        {
            Name (_HID, EisaId ("PNP0C0F"))
            Name (_UID, 0x04)
            Name (_PRS, ResourceTemplate ()
            {
                Interrupt (ResourceConsumer, Level, ActiveHigh, Shared) { 9 }
            })
            Method (_STA) { Return (0x0B) }
            Method (_DIS) { }
            Method (_CRS) { Return (_PRS) }
            Method (_SRS, 1) { }
        }
    }
}
