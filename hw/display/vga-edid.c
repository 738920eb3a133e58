/*
 * vga-edid.c - what the monitor says of itself
 *
 * Source: VESA Enhanced Extended Display Identification Data Standard 1.4.
 */
#include "hw/display/vga-int.h"

enum { EDID_MAKER = 8, EDID_PRODUCT = 10, EDID_YEAR = 17, EDID_VERSION = 18, EDID_INPUT = 20,
       EDID_SIZE = 21, EDID_GAMMA = 23, EDID_FEATURES = 24, EDID_COLOURS = 25,
       EDID_ESTABLISHED = 35, EDID_STANDARD = 38, EDID_DETAILED = 54, EDID_CHECKSUM = 127 };
#define H_BLANK 160u       /* reduced blanking */
#define V_BLANK 35u
#define H_FRONT 48u
#define H_SYNC 32u
#define V_FRONT 3u
#define V_SYNC 6u
#define REFRESH_HZ 60u

/* Centimetres at 100 dots an inch. */
static uint8_t centimetres(unsigned pixels)
{
    return MIN(pixels * 254 / 10000, 255u);
}

static void detailed_timing(uint8_t *d, unsigned x, unsigned y)
{
    unsigned clock = MIN((x + H_BLANK) * (uint64_t)(y + V_BLANK) * REFRESH_HZ / 10000, 0xffffu);
    unsigned mm_x = MIN(x * 254 / 1000, 4095u), mm_y = MIN(y * 254 / 1000, 4095u);

    stl16(d, clock);
    d[2] = x;
    d[3] = H_BLANK;
    d[4] = (x >> 8) << 4 | H_BLANK >> 8;
    d[5] = y;
    d[6] = V_BLANK;
    d[7] = (y >> 8) << 4 | V_BLANK >> 8;
    d[8] = H_FRONT;
    d[9] = H_SYNC;
    d[10] = V_FRONT << 4 | V_SYNC;
    d[12] = mm_x;
    d[13] = mm_y;
    d[14] = (mm_x >> 8) << 4 | mm_y >> 8;
    d[17] = 0x1a;          /* separate sync, horizontal positive */
}

/* A descriptor that is no timing: tag and text, ended by a line feed. */
static void text_descriptor(uint8_t *d, uint8_t tag, const char *text)
{
    size_t n = strlen(text);

    d[3] = tag;
    memset(d + 5, ' ', 13);
    memcpy(d + 5, text, n);
    d[5 + n] = '\n';
}

static void range_descriptor(uint8_t *d)
{
    /* 50..125 Hz, 30..160 kHz, up to 660 MHz, no secondary formula */
    static const uint8_t limits[] = { 50, 125, 30, 160, 66, 1, '\n', ' ', ' ', ' ', ' ', ' ', ' ' };

    d[3] = 0xfd;
    memcpy(d + 5, limits, sizeof limits);
}

void vga_edid(uint8_t edid[128], unsigned xres, unsigned yres)
{
    static const uint8_t header[] = { 0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x00 };
    static const uint8_t srgb[] = { 0xee, 0x91, 0xa3, 0x54, 0x4c, 0x99, 0x26, 0x0f, 0x50, 0x54 };
    /* 640x480, 800x600; 1024x768; all at 60 Hz */
    static const uint8_t established[] = { 0x21, 0x08, 0x00 };
    /* width / 8 - 31, shape and rate - 60: 1280x800, 1280x1024, 1600x1200, 1920x1080 */
    static const uint8_t standard[] = { 0x81, 0x00, 0x81, 0x80, 0xa9, 0x40, 0xd1, 0xc0,
                                        1, 1, 1, 1, 1, 1, 1, 1 };
    uint8_t sum = 0;

    memset(edid, 0, 128);
    memcpy(edid, header, sizeof header);
    edid[EDID_MAKER] = ('T' - '@') << 2 | ('R' - '@') >> 3;    /* TRN, big-endian */
    edid[EDID_MAKER + 1] = (('R' - '@') << 5 & 0xff) | ('N' - '@');
    stl16(&edid[EDID_PRODUCT], 0x1111);
    edid[EDID_YEAR] = 2026 - 1990;
    edid[EDID_VERSION] = 1;
    edid[EDID_VERSION + 1] = 4;
    edid[EDID_INPUT] = 0xa5;                                   /* digital, 8 bits a colour */
    edid[EDID_SIZE] = centimetres(xres);
    edid[EDID_SIZE + 1] = centimetres(yres);
    edid[EDID_GAMMA] = 220 - 100;
    edid[EDID_FEATURES] = 0x06;                                /* sRGB, native mode first */
    memcpy(&edid[EDID_COLOURS], srgb, sizeof srgb);
    memcpy(&edid[EDID_ESTABLISHED], established, sizeof established);
    memcpy(&edid[EDID_STANDARD], standard, sizeof standard);
    detailed_timing(&edid[EDID_DETAILED], xres, yres);
    range_descriptor(&edid[EDID_DETAILED + 18]);
    text_descriptor(&edid[EDID_DETAILED + 36], 0xfc, "Transom");
    edid[EDID_DETAILED + 54 + 3] = 0x10;                       /* unused */
    for (unsigned i = 0; i < EDID_CHECKSUM; i++)
        sum += edid[i];
    edid[EDID_CHECKSUM] = -sum;
}
