/*
 * xhci-int.h - inside the extensible host controller
 *
 *   xhci.c        PCI function, properties, life; the pass over everything that has work
 *   xhci-regs.c   capability, operational, runtime and doorbell registers
 *   xhci-port.c   root hub: port registers, attach, reset, suspend, change events
 *   xhci-event.c  event rings, interrupters, moderation
 *   xhci-ring.c   transfer and command rings: TRBs, links, transfer descriptors
 *   xhci-cmd.c    command ring, slots, contexts
 *   xhci-xfer.c   endpoints: transfer descriptors carried out
 *
 * Rings and contexts are the guest's memory, reached as struct pci_device.dma and believed
 * once: what a context says is copied when a command hands it over, a descriptor is copied
 * before it is carried out. Work is done in passes (xhci_work()): a doorbell, or a device's
 * news, starts one; it ends when nothing is left to do or XHCI_PASS_* are used up, and then
 * goes on a microframe later. So rings that never end cost what a busy bus costs, and a
 * device cannot be entered again from what it does.
 *
 * Nothing is taken from a ring while the event ring that would be told is full (4.9.4).
 *
 * Departures: no isochronous endpoints (no device has any: Configure Endpoint answers
 * Bandwidth Error), no streams, no saved state (Restore gives SRE), no debug capability; a
 * Link TRB's IOC is ignored; ports never lack power.
 *
 * Source: eXtensible Host Controller Interface for USB, revision 1.2; sections by number.
 */
#ifndef HW_USB_XHCI_INT_H
#define HW_USB_XHCI_INT_H

#include "hw/dma/sg.h"
#include "hw/pci/msi.h"
#include "hw/usb/usb.h"

#define XHCI_SOCKETS   15            /* sockets; each has a USB 2 and a USB 3 port */
#define XHCI_PORTS     (2 * XHCI_SOCKETS)
#define XHCI_SLOTS     64
#define XHCI_INTRS     16
#define XHCI_SEGMENTS  16            /* of an event ring; ERST Max is its logarithm */
#define XHCI_TD_TRBS   1024          /* more is a TRB Error */
#define XHCI_TD_BYTES  (16u << 20)   /* likewise */
#define XHCI_LINKS     32            /* Link TRBs in a row */
#define XHCI_FRAME_NS  125000        /* a microframe */

/* what a pass does at most */
#define XHCI_PASS_CMDS    64
#define XHCI_PASS_TDS     64
#define XHCI_PASS_PACKETS 32768

enum { /* USBCMD, 5.4.1 */
    CMD_RS = 1 << 0, CMD_HCRST = 1 << 1, CMD_INTE = 1 << 2, CMD_CSS = 1 << 8, CMD_CRS = 1 << 9, CMD_EWE = 1 << 10,
    CMD_KEPT = CMD_RS | CMD_INTE | 1 << 3 | CMD_EWE | 1 << 11,
};
enum { /* USBSTS, 5.4.2 */
    STS_HCH = 1 << 0, STS_HSE = 1 << 2, STS_EINT = 1 << 3, STS_PCD = 1 << 4, STS_SRE = 1 << 10, STS_HCE = 1 << 12,
};
enum { /* PORTSC, 5.4.8 */
    PORT_CCS = 1 << 0, PORT_PED = 1 << 1, PORT_PR = 1 << 4, PORT_PP = 1 << 9, PORT_LWS = 1 << 16,
    PORT_CSC = 1 << 17, PORT_PEC = 1 << 18, PORT_WRC = 1 << 19, PORT_OCC = 1 << 20, PORT_PRC = 1 << 21,
    PORT_PLC = 1 << 22, PORT_CEC = 1 << 23, PORT_CHANGES = 0x7f << 17,
    PORT_KEPT = 3 << 14 | 7 << 25,   /* indicators, wake on what */
};
#define PORT_WPR         (1u << 31)
#define PORT_PLS_AT      5
#define PORT_PLS(sc)     ((sc) >> PORT_PLS_AT & 15)
#define PORT_SPEED_AT    10
enum { PLS_U0 = 0, PLS_U3 = 3, PLS_DISABLED = 4, PLS_RXDETECT = 5, PLS_POLLING = 7, PLS_RESUME = 15 };

enum { IMAN_IP = 1 << 0, IMAN_IE = 1 << 1, ERDP_EHB = 1 << 3 };

enum { /* TRB types, 6.4.6 */
    TRB_NORMAL = 1, TRB_SETUP = 2, TRB_DATA = 3, TRB_STATUS = 4, TRB_LINK = 6, TRB_EVENT_DATA = 7, TRB_NOOP = 8,
    TRB_ENABLE_SLOT = 9, TRB_DISABLE_SLOT = 10, TRB_ADDRESS_DEVICE = 11, TRB_CONFIGURE_EP = 12,
    TRB_EVALUATE = 13, TRB_RESET_EP = 14, TRB_STOP_EP = 15, TRB_SET_DEQUEUE = 16, TRB_RESET_DEVICE = 17,
    TRB_NOOP_CMD = 23,
    TRB_EV_TRANSFER = 32, TRB_EV_COMMAND = 33, TRB_EV_PORT = 34, TRB_EV_HOST = 37, TRB_EV_WRAP = 39,
};
enum { /* control word of TRBs, 6.4 */
    TRB_CYCLE = 1 << 0, TRB_TC = 1 << 1 /* Link */, TRB_ED = 1 << 2 /* event */, TRB_ISP = 1 << 2,
    TRB_CH = 1 << 4, TRB_IOC = 1 << 5, TRB_IDT = 1 << 6, TRB_BEI = 1 << 9, TRB_BSR = 1 << 9 /* Address Device */,
    TRB_DC = 1 << 9 /* Configure Endpoint */, TRB_TYPE_AT = 10, TRB_DIR_IN = 1 << 16,
};
#define TRB_TYPE(control)   ((control) >> TRB_TYPE_AT & 63)
#define TRB_SLOT(control)   ((control) >> 24)
#define TRB_DCI(control)    ((control) >> 16 & 31)
#define TRB_LEN(status)     ((status) & 0x1ffff)
#define TRB_INTR(status)    ((status) >> 22)
#define TRB_BYTES           16

enum xhci_code { /* completion codes, 6.4.5 */
    CC_SUCCESS = 1, CC_TRANSACTION = 4, CC_TRB = 5, CC_STALL = 6, CC_BANDWIDTH = 8, CC_NO_SLOTS = 9,
    CC_SLOT_OFF = 11, CC_SHORT = 13, CC_PARAMETER = 17, CC_CONTEXT_STATE = 19, CC_RING_FULL = 21,
    CC_CMD_STOPPED = 24, CC_STOPPED = 26,
};
enum { SLOT_DISABLED, SLOT_DEFAULT, SLOT_ADDRESSED, SLOT_CONFIGURED, SLOT_ENABLED = 0x80 /* ours: no context yet */ };
enum { EP_DISABLED, EP_RUNNING, EP_HALTED, EP_STOPPED, EP_ERROR };
enum { EP_ISO_OUT = 1, EP_BULK_OUT, EP_INT_OUT, EP_CONTROL, EP_ISO_IN, EP_BULK_IN, EP_INT_IN };

struct xhci_trb {
    uint64_t param;
    uint32_t status, control;
};

/** struct xhci_ring - where a ring is read next */
struct xhci_ring {
    uint64_t dequeue;
    bool cycle;
};

/** struct xhci_td - a transfer descriptor, copied from its ring */
struct xhci_td {
    unsigned n;
    struct xhci_ring next;           /* behind it */
    uint64_t at[XHCI_TD_TRBS];       /* where the TRBs are */
    struct xhci_trb trb[XHCI_TD_TRBS];
};

struct xhci_ep {
    uint8_t state, type;
    bool waiting;                    /* its device has answered NAK */
    uint16_t packet;                 /* bytes */
    int64_t interval_ns;             /* of an interrupt endpoint: between descriptors at least; else 0 */
    int64_t next_ns;                 /* none before */
    struct xhci_ring ring;
    uint32_t done;                   /* bytes moved of the descriptor at the ring's head */
    uint32_t edtla;                  /* 4.11.5.2: bytes since the last Event Data TRB */
};

struct xhci_slot {
    uint8_t state;                   /* SLOT_* */
    uint8_t port;                    /* of the root hub, from 0 */
    uint32_t route;
    uint64_t ctx;                    /* device context, in guest memory */
    uint32_t ready;                  /* endpoints to be looked at, a bit each */
    struct xhci_ep ep[32];           /* by device context index; [0] is not used */
};

/** struct xhci_port - one port of the root hub */
struct xhci_port {
    struct usb_port *socket;
    bool usb3;
    bool event_due;                  /* a change that no event has told of */
    uint32_t sc, pmsc;
};

struct xhci_segment {
    uint64_t base;
    uint32_t n;                      /* TRBs */
};

struct xhci_intr {
    struct xhci *s;
    uint32_t iman, imod, erstsz;
    uint64_t erstba, erdp;
    bool started;                    /* the segment table has been read */
    bool broken;                     /* it is none */
    bool full;                       /* events get lost until ERDP moves */
    bool due;                        /* IPE: an interrupt is wanted */
    bool cycle;
    uint32_t n_seg, seg, at;         /* where the next event goes */
    struct xhci_segment table[XHCI_SEGMENTS];
    int64_t next_ns;                 /* no interrupt before */
    struct timer timer;
};

struct xhci {
    struct pci_device pci;
    struct msix msix;
    struct msi msi;
    struct mem_region mem;
    struct usb_bus bus;
    struct usb_port socket[XHCI_SOCKETS];
    struct xhci_port port[XHCI_PORTS];
    unsigned n_ports, first2, first3; /* index of the first USB 2 and USB 3 port */
    uint32_t cmd, sts, dnctrl, config;
    uint64_t dcbaap, crcr;
    bool crr;                        /* the command ring runs */
    bool cmd_ready, held;            /* its doorbell was rung; work waits for room on an event ring */
    struct xhci_ring cmd_ring;
    struct xhci_slot slot[XHCI_SLOTS + 1];
    struct xhci_intr intr[XHCI_INTRS];
    struct xhci_td td;               /* the one that is being carried out */
    bool busy, again;                /* in a pass; something came up during it */
    unsigned packets;                /* what is left of the pass */
    int64_t wake_ns;                 /* when an interrupt endpoint may go on; INT64_MAX: none waits for that */
    int64_t start_ns;                /* when MFINDEX was 0 */
    uint64_t mf_stopped;             /* what it is while halted */
    struct timer work, wrap;
    /* properties */
    int32_t addr;
    uint32_t p2, p3, n_intrs, n_slots;
    uint8_t use_msi, use_msix;       /* enum on_off_auto */
    bool streams;
};

static inline bool xhci_running(const struct xhci *s)
{
    return s->cmd & CMD_RS && !(s->sts & (STS_HCE | STS_HSE));
}

/** xhci_reaches_memory() - it runs, and bus mastering is on: else what it has to do waits */
static inline bool xhci_reaches_memory(const struct xhci *s)
{
    return xhci_running(s) && dma_enabled(&s->pci.dma);
}

/* ---- xhci.c -------------------------------------------------------------------------- */

/** xhci_work() - a pass: commands and endpoints that are ready; during one: another will follow */
void xhci_work(struct xhci *s);
/** xhci_reset() - Host Controller Reset, 4.2 */
void xhci_reset(struct xhci *s);
/** xhci_run() - R/S was written: @on or off */
void xhci_run(struct xhci *s, bool on);
/** xhci_die() - USBSTS @why (STS_HSE, STS_HCE) is set and the controller halts; @what: for the log */
void xhci_die(struct xhci *s, uint32_t why, const char *what, uint64_t at);
/** xhci_mfindex() - microframes since it ran, 5.5.1; 14 bits */
uint32_t xhci_mfindex(const struct xhci *s);

/* ---- xhci-regs.c ----------------------------------------------------------------------- */

extern const struct io_ops xhci_mem_ops;
#define XHCI_MEM_BYTES 0x4000u

/* ---- xhci-port.c ------------------------------------------------------------------------ */

/** xhci_ports_init() - sockets and ports as p2 and p3 say, USB 3 first */
void xhci_ports_init(struct xhci *s);
/** xhci_ports_reset() - as after Host Controller Reset: what is plugged in has just come */
void xhci_ports_reset(struct xhci *s);
/** xhci_ports_events() - tell of changes that no event has told of */
void xhci_ports_events(struct xhci *s);
/** xhci_portsc_write() - 5.4.8; @n < s->n_ports */
void xhci_portsc_write(struct xhci *s, unsigned n, uint32_t val);

/* ---- xhci-event.c ------------------------------------------------------------------------- */

/**
 * xhci_event() - put @ev, whose cycle bit is set here, on interrupter @n's ring
 * @quiet: no interrupt (BEI)
 * An interrupter that there is not gets nothing; a ring that is full loses it.
 */
void xhci_event(struct xhci *s, unsigned n, const struct xhci_trb *ev, bool quiet);
/** xhci_event_room() - whether what a command or a descriptor has to tell @n would not get lost */
bool xhci_event_room(struct xhci *s, unsigned n);
/** xhci_intr_reset() - as after Host Controller Reset */
void xhci_intr_reset(struct xhci_intr *it);
/** xhci_intr_update() - a register, INTE or the ring has changed: signal what is due */
void xhci_intr_update(struct xhci *s);
/** xhci_intr_read(), xhci_intr_write() - register @off (multiple of 4, < 0x20) of the set, 5.5.2 */
uint32_t xhci_intr_read(const struct xhci_intr *it, unsigned off);
void xhci_intr_write(struct xhci *s, unsigned n, unsigned off, uint32_t val);

/* ---- xhci-ring.c --------------------------------------------------------------------------- */

enum xhci_fetch { FETCH_DONE, FETCH_NONE, FETCH_BAD };
/**
 * xhci_fetch() - the next TRB of @r that is no link
 * FETCH_DONE: in *@trb, which was at *@at, and @r behind it. FETCH_NONE: software has not
 * put it there yet. FETCH_BAD: links that lead nowhere; the ring stays where it was. No
 * memory there: the controller has died of it, and FETCH_BAD.
 */
enum xhci_fetch xhci_fetch(struct xhci *s, struct xhci_ring *r, struct xhci_trb *trb, uint64_t *at);
/** xhci_fetch_td() - the whole descriptor at @r, which does not move, to s->td; FETCH_BAD also when it
 *  has more than XHCI_TD_TRBS */
enum xhci_fetch xhci_fetch_td(struct xhci *s, const struct xhci_ring *r);

/* ---- xhci-cmd.c ------------------------------------------------------------------------------ */

/** xhci_commands() - carry out at most XHCI_PASS_CMDS; true: more are left for the next pass */
bool xhci_commands(struct xhci *s);
/** xhci_command_stop() - CS or CA was written */
void xhci_command_stop(struct xhci *s);
/** xhci_ep_state() - set it, and write it and the dequeue pointer to the device context */
void xhci_ep_state(struct xhci *s, unsigned slot, unsigned dci, unsigned state);

/* ---- xhci-xfer.c -------------------------------------------------------------------------------- */

/** xhci_doorbell() - of slot @slot (1..n_slots), @dci its target */
void xhci_doorbell(struct xhci *s, unsigned slot, unsigned dci);
/** xhci_ep_run() - carry out what is on the ring; true: more is left for the next pass */
bool xhci_ep_run(struct xhci *s, unsigned slot, unsigned dci);
/** xhci_ep_stop() - tell of a descriptor that is under way, and stand where it is, 4.6.9 */
void xhci_ep_stop(struct xhci *s, unsigned slot, unsigned dci);
/** xhci_news() - something happened on the bus: endpoints whose device said NAK are ready again */
void xhci_news(struct xhci *s);
/** xhci_device() - what slot @slot stands for, or NULL: unplugged, suspended */
struct usb_device *xhci_device(const struct xhci *s, unsigned slot);

#endif
