/*
 * nic.h - what all network cards share: cable, address, option ROM, slot
 */
#ifndef HW_NET_NIC_H
#define HW_NET_NIC_H

#include "hw/pci/pci.h"
#include "hw/prop.h"
#include "net/net.h"

/** struct nic - embedded in a card after its struct pci_device */
struct nic {
    struct netport port;
    uint8_t mac[6];          /* as on the label; what the guest sets is the card's */
    /* properties */
    char *netdev, *mac_text, *romfile;
    int32_t addr;            /* devfn, or -1 */
    int32_t bootindex;
};

/** rows that every card's property table starts with */
#define NIC_PROPS(st, base) \
    PROP(STRING, "netdev", st, base.netdev, NULL, 0, 0, "back end, the id of a -netdev"), \
    PROP(STRING, "mac", st, base.mac_text, NULL, 0, 0, "address (52:54:00:12:34:56 and up)"), \
    PROP(STRING, "romfile", st, base.romfile, NULL, 0, 0, "option ROM; empty: none"), \
    PROP(I32, "bootindex", st, base.bootindex, "-1", 0, 0, "place in the boot order"), \
    { .name = "rombar", .type = PROP_IGNORED, .help = "no effect" }
#define NIC_PCI_PROPS(st, base) \
    NIC_PROPS(st, base), \
    PROP(DEVFN, "addr", st, base.addr, NULL, 0, 0, "PCI slot[.function]")

/**
 * nic_init() - address, port, and the cable to its back end
 * @ops: of the port; @opaque: theirs
 * Returns 0 or -errno with @e set. nic_free() in any case.
 */
int nic_init(struct nic *n, struct device *d, const struct net_ops *ops, void *opaque,
             struct err *e) MUST_CHECK;
/** nic_free() - pull the cable */
void nic_free(struct nic *n);
/** nic_slot() - fill in @p->devfn from addr=, or the next free slot */
int nic_slot(struct nic *n, struct pci_device *p, struct err *e) MUST_CHECK;
/**
 * nic_pci_init() - the three steps that most cards begin with: nic_init(), nic_slot(),
 * pci_device_init(); @ops get the device
 */
int nic_pci_init(struct nic *n, struct pci_device *p, const struct pci_info *info,
                 const struct net_ops *ops, struct err *e) MUST_CHECK;
/** nic_rom() - option ROM @name, made to name this card, or what romfile= says as it is;
 *  none when it is not there
 *  (a missing romfile= is an error) */
int nic_rom(struct nic *n, struct pci_device *p, const char *name, struct err *e) MUST_CHECK;
/** nic_find_type() - card by the name that -device or -nic gives it, or NULL */
const struct device_type *nic_find_type(const char *name);
/** nic_models() - names for help, NULL-terminated */
const char *const *nic_models(void);
/**
 * nic_add() - construct a card
 * @netdev, @mac: may be NULL
 */
struct device *nic_add(struct machine *m, const struct device_type *t, const char *netdev,
                       const char *mac, struct err *e) MUST_CHECK;

/** nic_is_broadcast() - whether @mac is everybody's */
bool nic_is_broadcast(const uint8_t mac[6]);
/** nic_padded() - @d of *@len bytes, as long as a frame must be: a short one is copied to @pad and
 *  filled up with zeros */
const uint8_t *nic_padded(const uint8_t *d, size_t *len, uint8_t pad[NET_ETH_MIN]);
/** nic_multicast_hash() - CRC-32 of an address as Ethernet chips hash it, all 32 bits */
uint32_t nic_multicast_hash(const uint8_t mac[6]);

/**
 * nic_ip4_offload() - what a chip that finds the headers itself leaves to do
 * @d: a frame of @len bytes; lengths and sums in its headers are filled in
 * @ip_csum, @l4_csum: sums that are wanted; @mss: segment size, or 0
 *
 * Describes the rest in @off. Returns false when the frame is not what the
 * driver says (not IPv4, headers cut off): it is then sent as it is, or not.
 */
bool nic_ip4_offload(uint8_t *d, size_t len, bool ip_csum, bool l4_csum, uint16_t mss,
                     struct net_offload *off);

extern const struct device_type e1000_type;
extern const struct device_type rtl8139_type;
extern const struct device_type ne2k_pci_type;
extern const struct device_type virtio_net_pci_type;
extern const struct device_type virtio_net_pci_transitional_type, virtio_net_pci_non_transitional_type;

#endif
