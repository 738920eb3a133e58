/*
 * virtio-serial.h - virtio-serial: a controller, and ports that are devices on its bus
 *
 * The controller (virtio-serial.c) has the queues and talks with the driver about ports; a port
 * (virtio-serial-port.c) moves bytes between its two queues and a character back end. A virtconsole is a
 * terminal to the guest (hvc0), a virtserialport a named channel (/dev/virtio-ports/NAME).
 *
 * Flow control: nothing is taken from the back end that the guest has no buffer for, or while it has not opened the
 * port; a request of the guest's stays with its port until the back end has taken all of it. A channel whose back
 * end nobody is connected to takes the guest's bytes and drops them; the guest knows by PORT_OPEN.
 *
 * No back end knows the size of a terminal, so VIRTIO_CONSOLE_F_SIZE is not offered and there is no RESIZE.
 *
 * Everything the guest wants to be told and has no buffer for is a bit a port, never a list. What it sends is bounded by
 * the queues; a round moves VSER_ROUND_BYTES at most, the rest comes with a timer.
 *
 * Machine lock held for all of it. Source: VIRTIO 1.2, 5.3.
 */
#ifndef HW_VIRTIO_VIRTIO_SERIAL_H
#define HW_VIRTIO_VIRTIO_SERIAL_H

#include "hw/virtio/virtio.h"

#define VSER_PORTS_MAX   31u         /* two queues each, and two for control: 64 */
#define VSER_NAME_MAX    255u
#define VSER_ROUND_BYTES 1048576u

extern const struct device_type virtio_serial_pci_type;
extern const struct device_type virtio_serial_pci_transitional_type, virtio_serial_pci_non_transitional_type;
extern const struct device_type virtconsole_type, virtserialport_type;

/** enum vser_note - what the guest is yet to be told of a port, in this order */
enum vser_note { VSER_ADD, VSER_CONSOLE, VSER_NAME, VSER_CLOSE, VSER_OPEN, VSER_NOTES };

/** struct vser_port - a port; its device type's init plugs it in, its destroy takes it out */
struct vser_port {
    struct device dev;
    struct virtio_serial *bus;       /* NULL: it is in none */
    bool console;
    struct chardev *chr;             /* its back end, or NULL */
    bool host_open;                  /* somebody is at the back end's other side; a console's always is */
    bool ready;                      /* the guest said PORT_READY */
    bool guest_open;                 /* and, last, that it has opened it */
    uint8_t notes;                   /* bits enum vser_note */
    struct virtq_elem out;           /* the guest's request that the back end has taken a part of */
    bool out_held;
    uint64_t out_done;               /* so many bytes */
    struct timer more;               /* the next round */
    struct timer event;              /* a VSERPORT_CHANGE that came too soon */
    int64_t event_at_ns;             /* not before */
    /* properties */
    char *bus_name, *chardev_id, *name;
    int32_t nr;
};

/** struct virtio_serial - the controller */
struct virtio_serial {
    struct virtio_pci vpci;
    char name[80];                   /* the bus's: "ID.0", or "virtio-serial-bus.N" */
    struct vser_port *port[VSER_PORTS_MAX];
    bool driver_ready;               /* the guest said DEVICE_READY */
    uint32_t removed;                /* ports that the guest is to be told are gone: bit nr */
    /* properties */
    uint32_t max_ports;
    bool emergency_write;
};

/* ---- the controller, for ports ------------------------------------------------------- */

/**
 * vser_attach() - plug @p in where bus= and nr= say, else where there is room; the guest is told
 * Returns 0, or -errno with @e set.
 */
int vser_attach(struct vser_port *p, struct err *e) MUST_CHECK;
/** vser_detach() - out of its bus; the guest is told. It may be in none. */
void vser_detach(struct vser_port *p);
/** vser_note() - tell the guest, when it can be told */
void vser_note(struct vser_port *p, enum vser_note note);
/** vser_has_ports() - the driver knows of ports: else there is number 0 alone, always open */
bool vser_has_ports(const struct virtio_serial *s);
/** vser_rx()/vser_tx() - the queue of @p's with room for the guest's input; with its output */
struct virtq *vser_rx(const struct vser_port *p);
struct virtq *vser_tx(const struct vser_port *p);

/* ---- a port, for the controller -------------------------------------------------------- */

/** vser_port_send() - there may be output of the guest's, or room for it */
void vser_port_send(struct vser_port *p);
/** vser_port_poll() - the guest may have room for input */
void vser_port_poll(struct vser_port *p);
/** vser_port_guest_open() - the guest opens or closes it */
void vser_port_guest_open(struct vser_port *p, bool open);
/** vser_port_reset() - there is no driver any more */
void vser_port_reset(struct vser_port *p);

#endif
