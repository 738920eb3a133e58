/*
 * nic.c - what all network cards share
 */
#include <stdlib.h>
#include <unistd.h>
#include "hw/net/nic.h"
#include "hw/outside.h"

#define IPXE_DIR   "/usr/lib/ipxe/qemu"
enum { ROM_SPARE = 6, ROM_PCIR_PTR = 0x18 };   /* offsets in an option ROM */

/* ---- frames from outside ------------------------------------------------------------------ */

enum { ARG_GSO, ARG_SIZES, ARG_CSUM };   /* struct net_offload as outside_event.arg */

static void frame_comes(void *target, const struct outside_event *ev)
{
    const int64_t *a = ev->arg;
    struct net_frame f = { .data = ev->data, .len = ev->len, .queue = a[ARG_GSO] >> 16 & 0xff, .off = {
        .gso = (uint8_t)a[ARG_GSO], .csum = a[ARG_GSO] >> 8 & 1, .valid = a[ARG_GSO] >> 9 & 1,
        .ecn = a[ARG_GSO] >> 10 & 1, .gso_size = (uint16_t)a[ARG_SIZES], .hdr_len = (uint16_t)(a[ARG_SIZES] >> 16),
        .csum_start = (uint16_t)a[ARG_CSUM], .csum_offset = (uint16_t)(a[ARG_CSUM] >> 16) } };

    net_carry(target, &f);
}

/* net.arrive */
static void frame_arrives(void *opaque, struct netport *from, const struct net_frame *f)
{
    const struct net_offload *o = &f->off;
    struct outside_event ev = { .kind = OUTSIDE_NET, .source = from->id, .data = f->data, .len = f->len, .arg = {
        [ARG_GSO] = o->gso | o->csum << 8 | o->valid << 9 | o->ecn << 10 | f->queue << 16,
        [ARG_SIZES] = o->gso_size | (int64_t)o->hdr_len << 16,
        [ARG_CSUM] = o->csum_start | (int64_t)o->csum_offset << 16 } };

    if (!outside_post(opaque, &ev, frame_comes, from))
        from->peer->dropped++;
}

/* net.forget */
static void port_goes(void *opaque, struct netport *from)
{
    outside_forget(opaque, from);
}

/* A machine without networking still can have cards: their cable is out. */
static struct net *machine_net(struct machine *m)
{
    if (!m->net)
        m->net = net_new(m->loop, &m->timers);
    m->net->arrive = frame_arrives;
    m->net->forget = port_goes;
    m->net->arrive_opaque = m;
    return m->net;
}

/* ---- cards ---------------------------------------------------------------------------------- */

int nic_init(struct nic *n, struct device *d, const struct net_ops *ops, void *opaque,
             struct err *e)
{
    struct net *net = machine_net(d->machine);
    struct err why = { "" };
    struct netport *back;

    netport_init(&n->port, net, ops, opaque, d->id);
    n->port.is_card = true;
    n->port.model = xstrdup(d->type->name);
    if (n->mac_text) {
        if (net_mac_parse(n->mac_text, n->mac, &why) < 0)
            return err_set(e, -EINVAL, "%s: %s", d->type->name, why.msg);
        net_mac_taken(net, n->mac);
    } else {
        net_mac_next(net, n->mac);
    }
    n->port.mac = n->mac;
    netport_info(&n->port, "model=%s,macaddr=%02x:%02x:%02x:%02x:%02x:%02x", d->type->name,
                 n->mac[0], n->mac[1], n->mac[2], n->mac[3], n->mac[4], n->mac[5]);
    if (!n->netdev)
        return 0;
    back = net_find(net, n->netdev);
    if (!back || back->is_card)
        return err_set(e, -ENOENT, "%s: there is no netdev '%s'", d->type->name, n->netdev);
    if (net_connect(&n->port, back, &why) < 0)
        return err_set(e, -EBUSY, "%s: %s", d->type->name, why.msg);
    return 0;
}

void nic_free(struct nic *n)
{
    netport_free(&n->port);
}

int nic_slot(struct nic *n, struct pci_device *p, struct err *e)
{
    int devfn = n->addr >= 0 ? n->addr : pci_free_slot(pci_target(p));

    if (devfn < 0)
        return err_set(e, -ENOSPC, "%s: no free PCI slot", p->dev.type->name);
    p->devfn = devfn;
    return 0;
}

int nic_pci_init(struct nic *n, struct pci_device *p, const struct pci_info *info,
                 const struct net_ops *ops, struct err *e)
{
    int ret = nic_init(n, &p->dev, ops, p, e);

    if (ret == 0)
        ret = nic_slot(n, p, e);
    return ret == 0 ? pci_device_init(p, info, e) : ret;
}

/* Firmware runs a ROM for the device that it names. One image serves several
 * (virtio 0x1000 and 0x1041; ne2000 clones), so it is made to name this card.
 * Source: PCI Firmware Specification 3.0, 5.1.1 and 5.1.2. */
static void rom_names_card(uint8_t *image, size_t len, const struct pci_device *p)
{
    size_t pcir = len >= 0x1a ? ldl16(image + ROM_PCIR_PTR) : len;

    if (pcir + 8 > len || memcmp(image, "\x55\xaa", 2) || memcmp(image + pcir, "PCIR", 4))
        return;
    for (int i = 0; i < 4; i++) {        /* vendor, device; all bytes add up to 0 */
        image[ROM_SPARE] += image[pcir + 4 + i] - p->config[PCI_VENDOR_ID + i];
        image[pcir + 4 + i] = p->config[PCI_VENDOR_ID + i];
    }
}

int nic_rom(struct nic *n, struct pci_device *p, const char *name, struct err *e)
{
    struct machine *m = p->dev.machine;
    struct err why = { "" };
    char path[128];
    uint8_t *image;
    size_t len;

    if (n->romfile && !*n->romfile)
        return 0;
    snprintf(path, sizeof path, IPXE_DIR "/%s", name);
    image = machine_read_rom(m, n->romfile ? n->romfile : name, &len, &why);
    if (!image && !n->romfile && access(path, R_OK) == 0)
        image = machine_read_rom(m, path, &len, &why);
    if (!image && n->romfile)
        return err_set(e, -ENOENT, "%s: romfile: %s", p->dev.type->name, why.msg);
    if (!image) {
        log_ev(LOG_NET, "%s: no option ROM: %s", p->dev.type->name, why.msg);
        return 0;
    }
    if (!n->romfile)
        rom_names_card(image, len, p);
    pci_rom(p, image, len);
    free(image);
    return 0;
}

/* ---- models ------------------------------------------------------------------------ */

static const struct {
    const char *name;
    const struct device_type *type;
} models[] = {
    { "e1000", &e1000_type },
    { "e1000-82540em", &e1000_type },
    { "rtl8139", &rtl8139_type },
    { "ne2k_pci", &ne2k_pci_type },
    { "virtio", &virtio_net_pci_type },
    { "virtio-net-pci", &virtio_net_pci_type },
    { "virtio-net-pci-transitional", &virtio_net_pci_transitional_type },
    { "virtio-net-pci-non-transitional", &virtio_net_pci_non_transitional_type },
    { "virtio-net", &virtio_net_pci_type },
};

const struct device_type *nic_find_type(const char *name)
{
    for (size_t i = 0; i < ARRAY_SIZE(models); i++)
        if (!strcmp(models[i].name, name))
            return models[i].type;
    return NULL;
}

const char *const *nic_models(void)
{
    static const char *const names[] = { "e1000", "rtl8139", "ne2k_pci", "virtio-net-pci", NULL };

    return names;
}

struct nic_setup {
    const char *netdev, *mac;
};

/* The text is checked in nic_init(). */
static void nic_setup(struct device *d, const void *arg)
{
    const struct nic_setup *s = arg;

    prop_defaults(d);
    if (s->netdev && prop_set(d, "netdev", s->netdev, NULL) < 0)
        log_ev(LOG_NET, "%s has no netdev", d->type->name);
    if (s->mac && prop_set(d, "mac", s->mac, NULL) < 0)
        log_ev(LOG_NET, "%s has no mac", d->type->name);
}

struct device *nic_add(struct machine *m, const struct device_type *t, const char *netdev,
                       const char *mac, struct err *e)
{
    struct nic_setup s = { netdev, mac };

    return machine_add_device(m, t, 0, NULL, nic_setup, &s, e);
}

bool nic_is_broadcast(const uint8_t mac[6])
{
    static const uint8_t all[6] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };

    return !memcmp(mac, all, 6);
}

const uint8_t *nic_padded(const uint8_t *d, size_t *len, uint8_t pad[NET_ETH_MIN])
{
    if (*len >= NET_ETH_MIN)
        return d;
    memcpy(pad, d, *len);
    memset(pad + *len, 0, NET_ETH_MIN - *len);
    *len = NET_ETH_MIN;
    return pad;
}

/* IEEE 802.3 CRC, most significant bit first, not complemented. */
uint32_t nic_multicast_hash(const uint8_t mac[6])
{
    uint32_t crc = ~0u;

    for (int i = 0; i < 6; i++)
        for (int bit = 0; bit < 8; bit++) {
            bool carry = (crc >> 31) ^ (mac[i] >> bit & 1);

            crc <<= 1;
            if (carry)
                crc ^= 0x04c11db7;
        }
    return crc;
}

/* ---- chips that read headers themselves -------------------------------------------- */

bool nic_ip4_offload(uint8_t *d, size_t len, bool ip_csum, bool l4_csum, uint16_t mss,
                     struct net_offload *off)
{
    static const size_t l3 = NET_ETH_HLEN;
    size_t l4, at;
    uint8_t proto;

    if (len < l3 + 20 || d[12] != 8 || d[13] || d[l3] >> 4 != 4)
        return false;
    l4 = l3 + (d[l3] & 15) * 4;
    proto = d[l3 + 9];
    if (l4 < l3 + 20 || l4 + 20 > len + (proto == 17 ? 12 : 0))
        return false;
    if (mss)
        net_put16(d + l3 + 2, len - l3);
    if (ip_csum || mss) {
        net_put16(d + l3 + 10, 0);
        net_put16(d + l3 + 10, net_fold(net_sum(d + l3, l4 - l3, 0)));
    }
    if ((!l4_csum && !mss) || (proto != 6 && proto != 17))
        return !mss;
    at = proto == 6 ? 16 : 6;
    net_put16(d + l4 + at, ~net_fold(net_sum(d + l3 + 12, 8, proto + (len - l4))));
    *off = (struct net_offload){ .csum = true, .csum_start = l4, .csum_offset = at };
    if (mss && proto == 6) {
        off->gso = NET_GSO_TCP4;
        off->gso_size = mss;
        off->hdr_len = l4 + (d[l4 + 12] >> 4) * 4;
    }
    return !mss || proto == 6;
}
