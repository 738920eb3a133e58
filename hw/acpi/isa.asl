/* isa.asl - what is on the ISA bus; included into the bridge of each board */
Device (KBD)
{
    Name (_HID, EisaId ("PNP0303"))
    Name (_STA, 0x0F)
    Name (_CRS, ResourceTemplate ()
    {
        IO (Decode16, 0x0060, 0x0060, 0x01, 0x01)
        IO (Decode16, 0x0064, 0x0064, 0x01, 0x01)
        IRQNoFlags () { 1 }
    })
}
Device (MOU)
{
    Name (_HID, EisaId ("PNP0F13"))
    Name (_STA, 0x0F)
    Name (_CRS, ResourceTemplate () { IRQNoFlags () { 12 } })
}
Device (RTC)
{
    Name (_HID, EisaId ("PNP0B00"))
    Name (_CRS, ResourceTemplate ()
    {
        IO (Decode16, 0x0070, 0x0070, 0x01, 0x02)
        IRQNoFlags () { 8 }
    })
}
Device (COM1)
{
    Name (_HID, EisaId ("PNP0501"))
    Name (_UID, One)
    Method (_STA, 0) { Return (PRES (\COMM & 1)) }
    Name (_CRS, ResourceTemplate ()
    {
        IO (Decode16, 0x03F8, 0x03F8, 0x00, 0x08)
        IRQNoFlags () { 4 }
    })
}
Device (COM2)
{
    Name (_HID, EisaId ("PNP0501"))
    Name (_UID, 0x02)
    Method (_STA, 0) { Return (PRES (\COMM & 2)) }
    Name (_CRS, ResourceTemplate ()
    {
        IO (Decode16, 0x02F8, 0x02F8, 0x00, 0x08)
        IRQNoFlags () { 3 }
    })
}
Device (COM3)
{
    Name (_HID, EisaId ("PNP0501"))
    Name (_UID, 0x03)
    Method (_STA, 0) { Return (PRES (\COMM & 4)) }
    Name (_CRS, ResourceTemplate ()
    {
        IO (Decode16, 0x03E8, 0x03E8, 0x00, 0x08)
        IRQNoFlags () { 4 }
    })
}
Device (COM4)
{
    Name (_HID, EisaId ("PNP0501"))
    Name (_UID, 0x04)
    Method (_STA, 0) { Return (PRES (\COMM & 8)) }
    Name (_CRS, ResourceTemplate ()
    {
        IO (Decode16, 0x02E8, 0x02E8, 0x00, 0x08)
        IRQNoFlags () { 3 }
    })
}
