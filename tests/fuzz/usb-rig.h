/* usb-rig.h - what fuzzers of USB controllers share: what a user does, devices plugged in and out */
#ifndef TESTS_FUZZ_USB_RIG_H
#define TESTS_FUZZ_USB_RIG_H

#include "hw/input/input.h"
#include "hw/usb/usb.h"
#include "hw/user-devices.h"
#include "tests/fuzz/rig.h"

static inline unsigned usb_pick(uint64_t *rng, unsigned n) { return (unsigned)(fuzz_next(rng) >> 16) % n; }

/* Keys, motion, positions and buttons */
static inline void usb_use(struct machine *m, uint64_t *rng)
{
    if (usb_pick(rng, 2))
        input_key(m, usb_pick(rng, 0x201), usb_pick(rng, 2));
    else if (usb_pick(rng, 2))
        input_motion(m, (int)fuzz_next(rng), (int)fuzz_next(rng), (int)fuzz_next(rng), usb_pick(rng, 32));
    else
        input_position(m, usb_pick(rng, 2000), usb_pick(rng, 2000), 1 + usb_pick(rng, 2000), usb_pick(rng, 2000),
                       (int)fuzz_next(rng), usb_pick(rng, 32));
}

/* Some port's device goes, or, where there is none, a @type with @n properties comes anywhere. @fuzzer: for messages */
static inline void usb_plug_or_unplug(struct machine *m, uint64_t *rng, const char *fuzzer, const char *type,
                                      struct user_prop *props, unsigned n)
{
    struct usb_port *p = m->usb->ports;
    struct err e = { "" };

    for (unsigned skip = usb_pick(rng, 12); skip && p->next; skip--)
        p = p->next;
    if (p->dev && user_device_unplug(&p->dev->dev, &e) < 0)
        fuzz_die(fuzzer, e.msg);
    else if (!user_device_plug(m, user_device_find(type), NULL, props, n, &e) && !*e.msg)
        fuzz_die(fuzzer, "refused without a word");
}

#endif
