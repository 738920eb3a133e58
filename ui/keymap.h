/*
 * keymap.h - names and codes of keys, to the key codes of hw/input/i8042.h
 *
 * Keys are meant by their place on a US keyboard.
 */
#ifndef UI_KEYMAP_H
#define UI_KEYMAP_H

#include "hw/input/i8042.h"

#define KEY_NONE 0u

/** key_by_name() - "ret", "ctrl", "0x1c" (set 1 code); KEY_NONE: unknown */
unsigned key_by_name(const char *name, size_t len);
/** key_name() - key @n of the list of names, for help; NULL at its end */
const char *key_name(size_t n);
/** key_by_keysym() - of an X11 keysym, as VNC sends them */
unsigned key_by_keysym(uint32_t keysym);
/** key_by_usage() - of a USB HID keyboard usage, as SDL has them */
unsigned key_by_usage(unsigned usage);

#endif
