/*
 * uhci-int.h - registers (uhci.c) and schedules (uhci-sched.c)
 */
#ifndef HW_USB_UHCI_INT_H
#define HW_USB_UHCI_INT_H

#include "hw/pci/pci.h"
#include "hw/usb/usb.h"

#define UHCI_PORTS    2
#define UHCI_FRAME_NS 1000000

enum { /* command */
    CMD_RS = 1 << 0, CMD_HCRESET = 1 << 1, CMD_GRESET = 1 << 2, CMD_EGSM = 1 << 3, CMD_FGR = 1 << 4,
    CMD_SWDBG = 1 << 5, CMD_CF = 1 << 6, CMD_MAXP = 1 << 7, CMD_BITS = 0xff,
};
enum { /* status */
    STS_USBINT = 1 << 0, STS_ERROR = 1 << 1, STS_RESUME = 1 << 2, STS_HSE = 1 << 3,
    STS_PROCESS = 1 << 4, STS_HALTED = 1 << 5,
};
enum { INTR_ERROR = 1 << 0, INTR_RESUME = 1 << 1, INTR_IOC = 1 << 2, INTR_SHORT = 1 << 3 };
enum { /* port status and control */
    PORT_CCS = 1 << 0, PORT_CSC = 1 << 1, PORT_PED = 1 << 2, PORT_PEDC = 1 << 3, PORT_LINE_DP = 1 << 4,
    PORT_LINE_DM = 1 << 5, PORT_RD = 1 << 6, PORT_ONE = 1 << 7, PORT_LSDA = 1 << 8,
    PORT_RESET = 1 << 9, PORT_SUSPEND = 1 << 12,
};

struct uhci {
    struct pci_device pci;
    struct usb_bus bus;
    struct usb_port port[UHCI_PORTS];
    uint16_t cmd, status, intr, frnum;
    uint16_t portsc[UHCI_PORTS];
    uint32_t flbase;
    uint8_t sofmod;
    uint8_t cause;               /* INTR_IOC, INTR_SHORT: which of them STS_USBINT is */
    uint8_t cause_next;          /* of the frame under way */
    bool busy;                   /* in a frame: a device's news in answer to it can wait */
    int64_t frame_ns;            /* when frame frnum begins, while running */
    uint32_t quiet;              /* frames in which nothing moved */
    struct timer timer;
    int32_t addr;                /* property */
};

/**
 * uhci_frame() - carry out the schedule of frame @s->frnum
 * Sets status bits and @s->cause_next. Returns whether anything moved: a transaction
 * other than one answered with NAK. Takes at most a frame's worth of steps, whatever
 * the guest has linked.
 */
bool uhci_frame(struct uhci *s);

#endif
