#!/bin/sh
# slots.sh - ASL of the PCI slots that cards come to and go from: hw/acpi/pci-hotplug.c
# Each has a device with _EJ0; PNOT (slots, event) notifies those in the bit mask.
set -eu
first=3 last=31
n=$first
while [ "$n" -le "$last" ]; do
    printf 'Device (S%03X) { Name (_ADR, 0x%04X0000) Name (_SUN, %d) Method (_EJ0, 1) { PEJ0 = 0x%08X } }\n' \
        "$n" "$n" "$n" $((1 << n))
    n=$((n + 1))
done
echo 'Method (PNOT, 2) {'
n=$first
while [ "$n" -le "$last" ]; do
    printf '    If (Arg0 & 0x%08X) { Notify (S%03X, Arg1) }\n' $((1 << n)) "$n"
    n=$((n + 1))
done
echo '}'
