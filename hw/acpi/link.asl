/* link.asl - interrupt link LINK, number LUID, of routing register LREG */
Device (LINK)
{
    Name (_HID, EisaId ("PNP0C0F"))
    Name (_UID, LUID)
    Name (_PRS, ResourceTemplate ()
    {
        Interrupt (ResourceConsumer, Level, ActiveHigh, Shared) { 5, 10, 11 }
    })
    Method (_STA) { Return (IQST (LREG)) }
    Method (_DIS) { LREG |= 0x80 }
    Method (_CRS) { Return (IQCR (LREG)) }
    Method (_SRS, 1)
    {
        CreateDWordField (Arg0, 0x05, PRRI)
        LREG = PRRI
    }
}
