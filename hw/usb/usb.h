/*
 * usb.h - USB devices, ports and buses; nothing here knows a controller
 *
 * A host controller makes a struct usb_bus with its root ports and carries out
 * transactions with usb_transact(). A device's instance struct begins with struct
 * usb_device; its model says what is special about it, the core (core.c) does the
 * default pipe, the standard requests and the descriptors. Hubs give their ports to
 * the bus of the port that they are plugged into.
 *
 * A device has a form for each speed that it knows: it takes the fastest one that its
 * port has, too, when it is plugged in. A transaction that an endpoint answers with
 * USB_NAK is repeated by the controller after usb_ready().
 *
 * Data toggles are the driver's alone: a transaction never gets lost here, so the
 * device's own toggle could only agree.
 *
 * Machine lock held. Source: USB 1.1 and 2.0 specifications, chapters 8 and 9; USB 3.2
 * specification, chapter 9.
 */
#ifndef HW_USB_USB_H
#define HW_USB_USB_H

#include "hw/prop.h"

enum usb_pid { USB_OUT = 0xe1, USB_IN = 0x69, USB_SETUP = 0x2d };
/* answers of a device that are no number of bytes */
enum { USB_NAK = -1, USB_STALL = -2, USB_SILENT = -3 };
enum usb_speed { USB_LOW, USB_FULL, USB_HIGH, USB_SUPER, USB_SPEEDS };
enum { USB_DIR_IN = 0x80, USB_CLASS = 0x20, USB_INTERFACE = 1, USB_ENDPOINT = 2, USB_OTHER = 3 };
enum { /* standard requests, 9.4 */
    USB_GET_STATUS = 0, USB_CLEAR_FEATURE = 1, USB_SET_FEATURE = 3, USB_SET_ADDRESS = 5,
    USB_GET_DESCRIPTOR = 6, USB_GET_CONFIGURATION = 8, USB_SET_CONFIGURATION = 9,
    USB_GET_INTERFACE = 10, USB_SET_INTERFACE = 11, USB_SET_SEL = 48, USB_SET_ISOCH_DELAY = 49,
};
enum { USB_DESC_DEVICE = 1, USB_DESC_CONFIG = 2, USB_DESC_STRING = 3, USB_DESC_QUALIFIER = 6,
       USB_DESC_BOS = 15 };

#define USB_CONTROL_MAX 512u         /* bytes of a control transfer's data stage */
#define USB_PACKET_MAX  1280u        /* bytes of a transaction, as a host controller may ask */

struct usb_device;

/** struct usb_request - the setup packet, 9.3 */
struct usb_request {
    uint8_t type, request;           /* bmRequestType, bRequest */
    uint16_t value, index, length;
};

/** struct usb_form - a device at one speed */
struct usb_form {
    uint16_t usb;                    /* bcdUSB */
    uint8_t ep0;                     /* bMaxPacketSize0, as in the descriptor: of USB 3 a power of two */
    const uint8_t *config;           /* configuration descriptor, all of it; NULL: not this speed */
    uint16_t config_len;
};

/** struct usb_model - what is the same for all devices of a kind */
struct usb_model {
    const char *product;             /* string descriptor 2 */
    struct usb_form form[USB_SPEEDS];
    uint16_t vendor, product_id;
    uint8_t class;                   /* of the device; 0: as its interfaces say */
    /**
     * request() - what the core does not answer itself
     * @data: USB_CONTROL_MAX bytes; to the device: r->length of them are filled
     * Returns bytes in @data (0 when they go to the device), or USB_STALL.
     */
    int (*request)(struct usb_device *d, const struct usb_request *r, uint8_t *data);
    /** in() - at most @len (<= USB_PACKET_MAX) bytes of endpoint @ep, or USB_NAK/USB_STALL;
     *  only while configured. NULL: there is none */
    int (*in)(struct usb_device *d, unsigned ep, uint8_t *buf, unsigned len);
    /** out() - @len bytes for endpoint @ep: how many were taken (all), or USB_NAK/USB_STALL;
     *  only while configured. NULL: there is none */
    int (*out)(struct usb_device *d, unsigned ep, const uint8_t *buf, unsigned len);
    /** reset() - after a bus reset, and when the machine is reset; may be NULL */
    void (*reset)(struct usb_device *d);
};

struct usb_port_ops {
    /** changed() - a device came or went */
    void (*changed)(void *opaque, unsigned index, bool attached);
    /** wakeup() - the device asks to be resumed */
    void (*wakeup)(void *opaque, unsigned index);
};

/** struct usb_port - a socket; embedded in controller or hub */
struct usb_port {
    struct usb_bus *bus;             /* NULL: not in use */
    struct usb_device *dev;          /* plugged in, or NULL */
    struct usb_device *hub;          /* whose port it is; NULL: a root port */
    const struct usb_port_ops *ops;
    void *opaque;
    unsigned index;                  /* from 0 */
    bool enabled;                    /* packets get through; the owner's */
    uint8_t speeds;                  /* a bit each; low and full unless the owner says more */
    char path[16];                   /* "1", "1.4" */
    struct usb_port *next;           /* of the bus */
};

/** struct usb_bus - all ports that one host controller reaches */
struct usb_bus {
    struct machine *m;
    char name[64];                   /* "usb-bus.0"; "ID.0" behind a controller with an id */
    struct usb_port *ports;
    const struct device *controller; /* a PCI function; set by it after usb_bus_init() */
    /** ready() - some device's endpoint has news for the controller */
    void (*ready)(void *opaque);
    void *opaque;
    struct usb_bus *next;            /* of the machine */
};

enum usb_stage { USB_IDLE, USB_DATA_IN, USB_DATA_OUT, USB_STATUS_IN, USB_STALLED };

struct usb_device {
    struct device dev;
    const struct usb_model *model;
    struct usb_port *port;           /* NULL: not plugged in */
    uint8_t speed;                   /* enum usb_speed, as plugged in */
    bool full_only;                  /* no faster; set before usb_plug() */
    const char *serial;              /* string descriptor 3; NULL: its port */
    uint8_t addr, configuration;
    bool remote_wakeup;
    uint32_t halted;                 /* endpoints that stall, a bit each: OUT from bit 0, IN from 16 */
    /* default pipe */
    uint8_t stage;
    uint8_t setup[8];
    uint16_t at, len;                /* of the data stage */
    uint8_t data[USB_CONTROL_MAX];
    /* properties */
    char *bus_name, *port_path;
};

/** rows that every device's property table starts with */
#define USB_PROPS(st, base) \
    PROP(STRING, "bus", st, base.bus_name, NULL, 0, 0, "which bus: usb-bus.N"), \
    PROP(STRING, "port", st, base.port_path, NULL, 0, 0, "which port: N, or N.M behind a hub")
/** the row of those that have no use for a serial number */
#define USB_PROP_NO_SERIAL { .name = "serial", .type = PROP_IGNORED, .help = "no effect" }
/** state of the core for a fields table */
#define USB_FIELDS(st, base) \
    FIELD(U8, st, base.speed), FIELD(U8, st, base.addr), FIELD(U8, st, base.configuration), \
    FIELD(BOOL, st, base.remote_wakeup), FIELD(U32, st, base.halted), \
    FIELD(U8, st, base.stage), FIELD(BYTES, st, base.setup), FIELD(U16, st, base.at), \
    FIELD(U16, st, base.len), FIELD(BYTES, st, base.data)

/* ---- buses and ports ------------------------------------------------------------ */

/** usb_bus_init() - join m->usb under the next free name; @ready: see the struct */
void usb_bus_init(struct usb_bus *b, struct machine *m, void (*ready)(void *opaque), void *opaque);
/** usb_bus_rename() - after the controller's id, which may be NULL */
void usb_bus_rename(struct usb_bus *b, const char *id);
/** usb_bus_free() - leave; what is still plugged in is unplugged */
void usb_bus_free(struct usb_bus *b);
/** usb_port_add() - @p becomes port @index of a controller, or of @hub; @p stays the caller's */
void usb_port_add(struct usb_bus *b, struct usb_port *p, const struct usb_port_ops *ops,
                  void *opaque, unsigned index, struct usb_device *hub);
/** usb_port_speeds() - @p has these instead, a bit each; before anything is plugged in */
void usb_port_speeds(struct usb_port *p, unsigned speeds);
/** usb_port_remove() - unplugs what is in it */
void usb_port_remove(struct usb_port *p);

/* ---- devices --------------------------------------------------------------------- */

/**
 * usb_plug() - plug a device in where bus= and port= say, else where there is room
 * (a hub is added when only one port is left)
 * Returns 0, or -errno with @e set. The device's init calls it last.
 */
int usb_plug(struct usb_device *d, const struct usb_model *model, struct err *e) MUST_CHECK;
/**
 * usb_path() - "/hub@2/storage@1" for a @name in port 1 of a hub in root port 2, as SeaBIOS and QEMU number them
 * Appended to @path, of @size bytes.
 */
void usb_path(const struct usb_device *d, const char *name, char *path, size_t size);
/** usb_unplug() - its destroy calls this first; also releases the properties */
void usb_unplug(struct usb_device *d);
/** usb_reset_device() - bus reset: address 0, not configured */
void usb_reset_device(struct usb_device *d);
/** usb_ready() - an endpoint of @d that answered USB_NAK has something now */
void usb_ready(struct usb_device *d);
/** usb_wakeup() - @d has news while its port sleeps; asks for resume when the guest allows it */
void usb_wakeup(struct usb_device *d);

/* ---- transactions ------------------------------------------------------------------ */

/** usb_find() - the device at @addr behind enabled ports, or NULL */
struct usb_device *usb_find(const struct usb_bus *b, uint8_t addr);
/**
 * usb_at() - the device in root port @root, or where @route leads from there
 * @route: port numbers of hubs, four bits each, the nearest hub's lowest; 0 ends it
 * Returns NULL where there is none, or a port on the way is not enabled.
 */
struct usb_device *usb_at(const struct usb_port *root, uint32_t route);
static inline const struct usb_form *usb_form(const struct usb_device *d)
{
    return &d->model->form[d->speed];
}
/** usb_ep0_bytes() - longest packet of the default pipe */
static inline unsigned usb_ep0_bytes(const struct usb_device *d)
{
    return d->speed == USB_SUPER ? 1u << usb_form(d)->ep0 : usb_form(d)->ep0;
}
/** usb_speed_mbit() - "1.5", "12", "480" or "5000" */
const char *usb_speed_mbit(const struct usb_device *d);
/**
 * usb_transact() - one transaction
 * @buf, @len: data of USB_SETUP and USB_OUT; room for USB_IN; @len <= USB_PACKET_MAX
 * Returns bytes moved, USB_NAK, USB_STALL, or USB_SILENT (no handshake).
 */
int usb_transact(struct usb_device *d, enum usb_pid pid, unsigned ep, uint8_t *buf, unsigned len);

extern const struct device_type piix3_uhci_type, qemu_xhci_type, nec_xhci_type, usb_tablet_type, usb_mouse_type,
    usb_kbd_type, usb_hub_type, usb_storage_type;

#endif
