/*
 * dsdt-q35.asl - what ACPI says about the Q35 board
 *
 * What differs from machine to machine is in an SSDT that hw/acpi/tables.c
 * writes: COMM (bit n: COMn+1 is there), HPEM (bit 0: HPET), PCIB (first
 * address of the PCI memory window), MCFB (base of the configuration window).
 */
DefinitionBlock ("", "DSDT", 2, "TRNSOM", "TRNSDSDT", 1)
{
    External (\COMM, IntObj)
    External (\HPEM, IntObj)
    External (\PCIB, IntObj)
    External (\MCFB, IntObj)

    /* suspend to RAM, suspend to disk, soft-off: SLP_TYP as the ICH9 decodes it */
    Name (\_S3, Package () { 0x05, 0x05, Zero, Zero })
    Name (\_S4, Package () { 0x06, 0x06, Zero, Zero })
    Name (\_S5, Package () { 0x07, 0x07, Zero, Zero })

    /* interrupt model: 0 the 8259s, 1 the I/O APIC */
    Name (PICM, Zero)
    Method (\_PIC, 1) { PICM = Arg0 }

    /* _STA of a device that is there when Arg0 is not 0 */
    Method (PRES, 1)
    {
        If (Arg0) { Return (0x0F) }
        Return (Zero)
    }

    Scope (\_SB)
    {
        Device (PCI0)
        {
            Name (_HID, EisaId ("PNP0A08"))
            Name (_CID, EisaId ("PNP0A03"))
            Name (_UID, Zero)
            Name (_BBN, Zero)

            /* the operating system may have hot plug and the capability structure itself */
            Method (_OSC, 4, Serialized)
            {
                CreateDWordField (Arg3, Zero, CDW1)
                If (Arg0 == ToUUID ("33DB4D5B-1FF7-401C-9657-7441C03DD766"))
                {
                    CreateDWordField (Arg3, 8, CDW3)
                    Local0 = CDW3 & 0x11
                    If (Arg1 != One) { CDW1 |= 0x08 }
                    If (CDW3 != Local0) { CDW1 |= 0x10 }
                    CDW3 = Local0
                }
                Else { CDW1 |= 0x04 }
                Return (Arg3)
            }

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

            /*
             * Slots 0 to 24 start at PIRQE and go round with the slot number; the
             * ICH's own start at PIRQA. The I/O APIC has PIRQn at pin 16 + n.
             */
            Method (_PRT, 0, Serialized)
            {
                Local0 = Package (128) {}
                Local1 = Zero
                While (Local1 < 128)
                {
                    Local2 = Local1 >> 2
                    Local3 = Local1 & 3
                    If (Local2 < 25) { Local3 = ((Local2 + Local3) & 3) + 4 }
                    If (PICM) { Local4 = Package (4) { Zero, Zero, Zero, Zero } }
                    ElseIf (Local3 == 0) { Local4 = Package (4) { Zero, Zero, LNKA, Zero } }
                    ElseIf (Local3 == 1) { Local4 = Package (4) { Zero, Zero, LNKB, Zero } }
                    ElseIf (Local3 == 2) { Local4 = Package (4) { Zero, Zero, LNKC, Zero } }
                    ElseIf (Local3 == 3) { Local4 = Package (4) { Zero, Zero, LNKD, Zero } }
                    ElseIf (Local3 == 4) { Local4 = Package (4) { Zero, Zero, LNKE, Zero } }
                    ElseIf (Local3 == 5) { Local4 = Package (4) { Zero, Zero, LNKF, Zero } }
                    ElseIf (Local3 == 6) { Local4 = Package (4) { Zero, Zero, LNKG, Zero } }
                    Else { Local4 = Package (4) { Zero, Zero, LNKH, Zero } }
                    Local4 [0] = (Local2 << 16) | 0xFFFF
                    Local4 [1] = Local1 & 3
                    If (PICM) { Local4 [3] = Local3 + 16 }
                    Local0 [Local1] = Local4
                    Local1++
                }
                Return (Local0)
            }

            Device (ISA)
            {
                Name (_ADR, 0x001F0000)
                OperationRegion (PIRQ, PCI_Config, 0x60, 0x0C)
                Field (PIRQ, ByteAcc, NoLock, Preserve)
                {
                    PRQA, 8, PRQB, 8, PRQC, 8, PRQD, 8,
                    Offset (0x08),
                    PRQE, 8, PRQF, 8, PRQG, 8, PRQH, 8
                }

#include "isa.asl"
            }

            /* what the chipset decodes outside PCI's windows */
            Device (BRDR)
            {
                Name (_HID, EisaId ("PNP0C02"))
                Name (_UID, 0x01)
                Name (BRES, ResourceTemplate ()
                {
                    IO (Decode16, 0x0600, 0x0600, 0x01, 0x80)
                    IO (Decode16, 0x00B2, 0x00B2, 0x01, 0x02)
                    IO (Decode16, 0x0510, 0x0510, 0x01, 0x0C)
                    Memory32Fixed (ReadWrite, 0xFED1C000, 0x00004000)
                    Memory32Fixed (ReadWrite, 0xB0000000, 0x10000000, ECAM)
                })
                Method (_CRS, 0, Serialized)
                {
                    CreateDWordField (BRES, \_SB.PCI0.BRDR.ECAM._BAS, EBAS)
                    EBAS = \MCFB
                    Return (BRES)
                }
            }
        }

#include "system.asl"
#define LINK LNKA
#define LUID 0
#define LREG \_SB.PCI0.ISA.PRQA
#include "link.asl"
#undef LINK
#undef LUID
#undef LREG
#define LINK LNKB
#define LUID 1
#define LREG \_SB.PCI0.ISA.PRQB
#include "link.asl"
#undef LINK
#undef LUID
#undef LREG
#define LINK LNKC
#define LUID 2
#define LREG \_SB.PCI0.ISA.PRQC
#include "link.asl"
#undef LINK
#undef LUID
#undef LREG
#define LINK LNKD
#define LUID 3
#define LREG \_SB.PCI0.ISA.PRQD
#include "link.asl"
#undef LINK
#undef LUID
#undef LREG
#define LINK LNKE
#define LUID 4
#define LREG \_SB.PCI0.ISA.PRQE
#include "link.asl"
#undef LINK
#undef LUID
#undef LREG
#define LINK LNKF
#define LUID 5
#define LREG \_SB.PCI0.ISA.PRQF
#include "link.asl"
#undef LINK
#undef LUID
#undef LREG
#define LINK LNKG
#define LUID 6
#define LREG \_SB.PCI0.ISA.PRQG
#include "link.asl"
#undef LINK
#undef LUID
#undef LREG
#define LINK LNKH
#define LUID 7
#define LREG \_SB.PCI0.ISA.PRQH
#include "link.asl"
#undef LINK
#undef LUID
#undef LREG
    }
}
