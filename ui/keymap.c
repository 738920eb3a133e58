/*
 * keymap.c - names and codes of keys
 *
 * Names are those of QEMU's sendkey. Source of the others: X11's keysymdef.h for
 * keysyms; USB HID Usage Tables, "Keyboard/Keypad Page"; Microsoft "Keyboard Scan
 * Code Specification", appendix C.
 */
#include <stdlib.h>
#include "ui/keymap.h"

static const struct key_row {
    const char *name;
    uint16_t code;
    uint8_t usage;
    uint16_t keysym[3];      /* without, with Shift, or whatever else means the key */
} keys[] = {
    { "esc", 0x01, 0x29, { 0xff1b } },
    { "1", 0x02, 0x1e, { '1', '!' } },
    { "2", 0x03, 0x1f, { '2', '@' } },
    { "3", 0x04, 0x20, { '3', '#' } },
    { "4", 0x05, 0x21, { '4', '$' } },
    { "5", 0x06, 0x22, { '5', '%' } },
    { "6", 0x07, 0x23, { '6', '^' } },
    { "7", 0x08, 0x24, { '7', '&' } },
    { "8", 0x09, 0x25, { '8', '*' } },
    { "9", 0x0a, 0x26, { '9', '(' } },
    { "0", 0x0b, 0x27, { '0', ')' } },
    { "minus", 0x0c, 0x2d, { '-', '_' } },
    { "equal", 0x0d, 0x2e, { '=', '+' } },
    { "backspace", 0x0e, 0x2a, { 0xff08 } },
    { "tab", 0x0f, 0x2b, { 0xff09, 0xfe20 } },
    { "q", 0x10, 0x14, { 'q', 'Q' } },
    { "w", 0x11, 0x1a, { 'w', 'W' } },
    { "e", 0x12, 0x08, { 'e', 'E' } },
    { "r", 0x13, 0x15, { 'r', 'R' } },
    { "t", 0x14, 0x17, { 't', 'T' } },
    { "y", 0x15, 0x1c, { 'y', 'Y' } },
    { "u", 0x16, 0x18, { 'u', 'U' } },
    { "i", 0x17, 0x0c, { 'i', 'I' } },
    { "o", 0x18, 0x12, { 'o', 'O' } },
    { "p", 0x19, 0x13, { 'p', 'P' } },
    { "bracket_left", 0x1a, 0x2f, { '[', '{' } },
    { "bracket_right", 0x1b, 0x30, { ']', '}' } },
    { "ret", 0x1c, 0x28, { 0xff0d } },
    { "ctrl", 0x1d, 0xe0, { 0xffe3 } },
    { "a", 0x1e, 0x04, { 'a', 'A' } },
    { "s", 0x1f, 0x16, { 's', 'S' } },
    { "d", 0x20, 0x07, { 'd', 'D' } },
    { "f", 0x21, 0x09, { 'f', 'F' } },
    { "g", 0x22, 0x0a, { 'g', 'G' } },
    { "h", 0x23, 0x0b, { 'h', 'H' } },
    { "j", 0x24, 0x0d, { 'j', 'J' } },
    { "k", 0x25, 0x0e, { 'k', 'K' } },
    { "l", 0x26, 0x0f, { 'l', 'L' } },
    { "semicolon", 0x27, 0x33, { ';', ':' } },
    { "apostrophe", 0x28, 0x34, { '\'', '"' } },
    { "grave_accent", 0x29, 0x35, { '`', '~' } },
    { "shift", 0x2a, 0xe1, { 0xffe1 } },
    { "backslash", 0x2b, 0x31, { '\\', '|' } },
    { "z", 0x2c, 0x1d, { 'z', 'Z' } },
    { "x", 0x2d, 0x1b, { 'x', 'X' } },
    { "c", 0x2e, 0x06, { 'c', 'C' } },
    { "v", 0x2f, 0x19, { 'v', 'V' } },
    { "b", 0x30, 0x05, { 'b', 'B' } },
    { "n", 0x31, 0x11, { 'n', 'N' } },
    { "m", 0x32, 0x10, { 'm', 'M' } },
    { "comma", 0x33, 0x36, { ',', '<' } },
    { "dot", 0x34, 0x37, { '.', '>' } },
    { "slash", 0x35, 0x38, { '/', '?' } },
    { "shift_r", 0x36, 0xe5, { 0xffe2 } },
    { "asterisk", 0x37, 0x55, { 0xffaa } },
    { "kp_multiply", 0x37, 0x00, { 0 } },
    { "alt", 0x38, 0xe2, { 0xffe9, 0xffe7 } },
    { "spc", 0x39, 0x2c, { 0x20 } },
    { "caps_lock", 0x3a, 0x39, { 0xffe5 } },
    { "f1", 0x3b, 0x3a, { 0xffbe } },
    { "f2", 0x3c, 0x3b, { 0xffbf } },
    { "f3", 0x3d, 0x3c, { 0xffc0 } },
    { "f4", 0x3e, 0x3d, { 0xffc1 } },
    { "f5", 0x3f, 0x3e, { 0xffc2 } },
    { "f6", 0x40, 0x3f, { 0xffc3 } },
    { "f7", 0x41, 0x40, { 0xffc4 } },
    { "f8", 0x42, 0x41, { 0xffc5 } },
    { "f9", 0x43, 0x42, { 0xffc6 } },
    { "f10", 0x44, 0x43, { 0xffc7 } },
    { "num_lock", 0x45, 0x53, { 0xff7f } },
    { "scroll_lock", 0x46, 0x47, { 0xff14 } },
    { "kp_7", 0x47, 0x5f, { 0xffb7, 0xff95 } },
    { "kp_8", 0x48, 0x60, { 0xffb8, 0xff97 } },
    { "kp_9", 0x49, 0x61, { 0xffb9, 0xff9a } },
    { "kp_subtract", 0x4a, 0x56, { 0xffad } },
    { "kp_4", 0x4b, 0x5c, { 0xffb4, 0xff96 } },
    { "kp_5", 0x4c, 0x5d, { 0xffb5, 0xff9d } },
    { "kp_6", 0x4d, 0x5e, { 0xffb6, 0xff98 } },
    { "kp_add", 0x4e, 0x57, { 0xffab } },
    { "kp_1", 0x4f, 0x59, { 0xffb1, 0xff9c } },
    { "kp_2", 0x50, 0x5a, { 0xffb2, 0xff99 } },
    { "kp_3", 0x51, 0x5b, { 0xffb3, 0xff9b } },
    { "kp_0", 0x52, 0x62, { 0xffb0, 0xff9e } },
    { "kp_decimal", 0x53, 0x63, { 0xffae, 0xff9f } },
    { "sysrq", 0x54, 0x9a, { 0xff15 } },
    { "less", 0x56, 0x64, { 0 } },
    { "f11", 0x57, 0x44, { 0xffc8 } },
    { "f12", 0x58, 0x45, { 0xffc9 } },
    { "kp_enter", KEY_E0 | 0x1c, 0x58, { 0xff8d } },
    { "ctrl_r", KEY_E0 | 0x1d, 0xe4, { 0xffe4 } },
    { "kp_divide", KEY_E0 | 0x35, 0x54, { 0xffaf } },
    { "print", KEY_PRINT, 0x46, { 0xff61 } },
    { "alt_r", KEY_E0 | 0x38, 0xe6, { 0xffea, 0xffe8, 0xfe03 } },
    { "home", KEY_E0 | 0x47, 0x4a, { 0xff50 } },
    { "up", KEY_E0 | 0x48, 0x52, { 0xff52 } },
    { "pgup", KEY_E0 | 0x49, 0x4b, { 0xff55 } },
    { "left", KEY_E0 | 0x4b, 0x50, { 0xff51 } },
    { "right", KEY_E0 | 0x4d, 0x4f, { 0xff53 } },
    { "end", KEY_E0 | 0x4f, 0x4d, { 0xff57 } },
    { "down", KEY_E0 | 0x50, 0x51, { 0xff54 } },
    { "pgdn", KEY_E0 | 0x51, 0x4e, { 0xff56 } },
    { "insert", KEY_E0 | 0x52, 0x49, { 0xff63 } },
    { "delete", KEY_E0 | 0x53, 0x4c, { 0xffff } },
    { "meta_l", KEY_E0 | 0x5b, 0xe3, { 0xffeb } },
    { "meta_r", KEY_E0 | 0x5c, 0xe7, { 0xffec } },
    { "menu", KEY_E0 | 0x5d, 0x65, { 0xff67 } },
    { "pause", KEY_PAUSE, 0x48, { 0xff13, 0xff6b } },
};

unsigned key_by_name(const char *name, size_t len)
{
    if (len > 2 && name[0] == '0' && name[1] == 'x') {
        char *end;
        unsigned long code = strtoul(name, &end, 16);

        /* bit 7 stands for the prefix, as in QEMU */
        if (end != name + len || !(code & 0x7f) || code > 0xff)
            return KEY_NONE;
        return (code & 0x7f) | (code & 0x80 ? KEY_E0 : 0);
    }
    for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
        if (strlen(keys[i].name) == len && !strncmp(keys[i].name, name, len))
            return keys[i].code;
    return KEY_NONE;
}

const char *key_name(size_t n)
{
    return n < ARRAY_SIZE(keys) ? keys[n].name : NULL;
}

unsigned key_by_keysym(uint32_t keysym)
{
    for (size_t i = 0; keysym && i < ARRAY_SIZE(keys); i++)
        for (unsigned j = 0; j < ARRAY_SIZE(keys[i].keysym); j++)
            if (keys[i].keysym[j] == keysym)
                return keys[i].code;
    return KEY_NONE;
}

unsigned key_by_usage(unsigned usage)
{
    for (size_t i = 0; usage && i < ARRAY_SIZE(keys); i++)
        if (keys[i].usage == usage)
            return keys[i].code;
    return KEY_NONE;
}
