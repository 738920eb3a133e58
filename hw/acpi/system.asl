/* system.asl - what both boards have beside the PCI bus; included into \_SB */
Device (HPET)
{
    Name (_HID, EisaId ("PNP0103"))
    Name (_UID, Zero)
    Method (_STA, 0) { Return (PRES (\HPEM & 1)) }
    Name (_CRS, ResourceTemplate ()
    {
        Memory32Fixed (ReadOnly, 0xFED00000, 0x00000400)
    })
}

/* PIRQ router: state and resources of a link, from its routing register */
Method (IQST, 1)
{
    If (Arg0 & 0x80) { Return (0x09) }
    Return (0x0B)
}
Method (IQCR, 1, Serialized)
{
    Name (PRR0, ResourceTemplate ()
    {
        Interrupt (ResourceConsumer, Level, ActiveHigh, Shared, ,, RIRQ) { 0 }
    })
    CreateDWordField (PRR0, RIRQ._INT, PRRI)
    PRRI = Zero
    If (!(Arg0 & 0x80)) { PRRI = Arg0 & 0x0F }
    Return (PRR0)
}
