/*
 * hid-int.h - hid.c and its tables
 */
#ifndef HW_USB_HID_INT_H
#define HW_USB_HID_INT_H

#include "hw/usb/usb.h"

struct hid;
struct hid_event;

/** struct hid_kind - tablet, mouse or keyboard */
struct hid_kind {
    struct usb_model model;
    const uint8_t *report_desc;
    uint8_t report_desc_len, report_bytes;
    /** report() - make the next report of @e; true: it tells all of it */
    bool (*report)(struct hid *s, struct hid_event *e);
    /* the sink's side; what it does not take is NULL */
    void (*key)(void *opaque, unsigned keycode, bool down);
    void (*motion)(void *opaque, int dx, int dy, int dz, unsigned buttons);
    void (*position)(void *opaque, unsigned x, unsigned y, int dz, unsigned buttons);
};

/** hid_usage() - keyboard page usage of a key code (hw/input/i8042.h), 0: none */
uint8_t hid_usage(unsigned keycode);

#endif
