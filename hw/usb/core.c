/*
 * core.c - default pipe, standard requests, descriptors
 *
 * Source: USB 1.1 specification, 8.5.2 (control transfers), 9.4 (requests),
 * 9.6 (descriptors); USB 2.0, 9.6.2 (device qualifier); USB 3.2, 9.4.12 (Set SEL), 9.6.2 (BOS).
 */
#include "hw/usb/usb.h"

enum { FEATURE_HALT = 0, FEATURE_FUNCTION_SUSPEND = 0, FEATURE_REMOTE_WAKEUP = 1, FEATURE_U1 = 48,
       FEATURE_LTM = 50 };
enum { ATTR_SELF_POWERED = 0x40 };
#define CONFIG_VALUE(config) ((config)[5])
#define CONFIG_ATTR(config)  ((config)[7])
#define CONFIG_IFACES(config) ((config)[4])

void usb_reset_device(struct usb_device *d)
{
    d->addr = d->configuration = 0;
    d->remote_wakeup = false;
    d->halted = 0;
    d->stage = USB_IDLE;
    if (d->model->reset)
        d->model->reset(d);
}

/* ---- descriptors ------------------------------------------------------------------- */

static int device_descriptor(const struct usb_device *d, uint8_t *out)
{
    const struct usb_model *m = d->model;
    const struct usb_form *f = usb_form(d);
    const uint8_t desc[18] = {
        18, USB_DESC_DEVICE, f->usb & 0xff, f->usb >> 8,
        m->class, 0, 0, f->ep0, m->vendor & 0xff, m->vendor >> 8,
        m->product_id & 0xff, m->product_id >> 8, 0x00, 0x01,
        1, 2, 3, 1,                                  /* strings; one configuration */
    };

    memcpy(out, desc, sizeof desc);
    return sizeof desc;
}

/* What it would be at its other speed of USB 2.0. */
static int device_qualifier(const struct usb_device *d, uint8_t *out)
{
    const struct usb_form *f = &d->model->form[d->speed == USB_HIGH ? USB_FULL : USB_HIGH];
    const uint8_t desc[10] = { 10, USB_DESC_QUALIFIER, 0x00, 0x02, d->model->class, 0, 0, f->ep0, 1, 0 };

    if ((d->speed != USB_HIGH && d->speed != USB_FULL) || usb_form(d)->usb < 0x200 || !f->config)
        return USB_STALL;
    memcpy(out, desc, sizeof desc);
    return sizeof desc;
}

/* Binary device object store: link power management as USB 3 wants it, speeds. */
static int object_store(const struct usb_device *d, uint8_t *out)
{
    uint8_t desc[22] = { 5, USB_DESC_BOS, sizeof desc, 0, 2, 7, 16, 2, 2, 0, 0, 0,
                         10, 16, 3, 0, 0, 0, 1, 0, 0, 0 };

    if (d->speed != USB_SUPER)
        return USB_STALL;
    for (unsigned n = 0; n < USB_SPEEDS; n++)
        desc[16] |= (d->model->form[n].config != NULL) << n;
    memcpy(out, desc, sizeof desc);
    return sizeof desc;
}

static int string_descriptor(const struct usb_device *d, unsigned n, uint8_t *out)
{
    const char *const text[] = { NULL, "Transom", d->model->product, d->serial ? d->serial : d->port->path };
    unsigned len = 2;

    if (n >= ARRAY_SIZE(text))
        return USB_STALL;
    if (n == 0) {                                    /* languages: English */
        out[len++] = 0x09;
        out[len++] = 0x04;
    }
    for (const char *s = text[n]; s && *s && len < 254; s++) {
        out[len++] = *s;
        out[len++] = 0;
    }
    out[0] = len;
    out[1] = USB_DESC_STRING;
    return len;
}

static int get_descriptor(struct usb_device *d, const struct usb_request *r, uint8_t *data)
{
    switch (r->value >> 8) {
    case USB_DESC_DEVICE:
        return device_descriptor(d, data);
    case USB_DESC_CONFIG:
        if (r->value & 0xff)
            return USB_STALL;
        memcpy(data, usb_form(d)->config, usb_form(d)->config_len);
        return usb_form(d)->config_len;
    case USB_DESC_STRING:
        return string_descriptor(d, r->value & 0xff, data);
    case USB_DESC_QUALIFIER:
        return device_qualifier(d, data);
    case USB_DESC_BOS:
        return object_store(d, data);
    default:
        return USB_STALL;
    }
}

/* ---- standard requests ---------------------------------------------------------------- */

static int device_feature(struct usb_device *d, const struct usb_request *r)
{
    if (d->speed == USB_SUPER && r->value >= FEATURE_U1 && r->value <= FEATURE_LTM)
        return 0;                                    /* links that never sleep are allowed */
    if (r->value != FEATURE_REMOTE_WAKEUP)
        return USB_STALL;
    d->remote_wakeup = r->request == USB_SET_FEATURE;
    return 0;
}

static int device_request(struct usb_device *d, const struct usb_request *r, uint8_t *data)
{
    const uint8_t *config = usb_form(d)->config;

    switch (r->request) {
    case USB_GET_STATUS:
        data[0] = (CONFIG_ATTR(config) & ATTR_SELF_POWERED ? 1 : 0) | d->remote_wakeup << 1;
        data[1] = 0;
        return 2;
    case USB_CLEAR_FEATURE:
    case USB_SET_FEATURE:
        return device_feature(d, r);
    case USB_SET_ADDRESS:
        if (r->value > 127)
            return USB_STALL;
        d->addr = r->value;
        return 0;
    case USB_GET_DESCRIPTOR:
        return get_descriptor(d, r, data);
    case USB_GET_CONFIGURATION:
        data[0] = d->configuration;
        return 1;
    case USB_SET_CONFIGURATION:
        if (r->value && r->value != CONFIG_VALUE(config))
            return USB_STALL;
        d->configuration = r->value;
        d->halted = 0;
        return 0;
    case USB_SET_SEL:
    case USB_SET_ISOCH_DELAY:
        return d->speed == USB_SUPER ? 0 : USB_STALL;
    default:
        return USB_STALL;
    }
}

static int interface_request(struct usb_device *d, const struct usb_request *r, uint8_t *data)
{
    if (!d->configuration || (r->index & 0xff) >= CONFIG_IFACES(usb_form(d)->config))
        return USB_STALL;
    switch (r->request) {
    case USB_GET_STATUS:
        data[0] = data[1] = 0;
        return 2;
    case USB_GET_INTERFACE:
        data[0] = 0;
        return 1;
    case USB_SET_INTERFACE:
        return r->value ? USB_STALL : 0;
    case USB_SET_FEATURE:
        return d->speed == USB_SUPER && r->value == FEATURE_FUNCTION_SUSPEND ? 0 : USB_STALL;
    default:
        return USB_STALL;
    }
}

static uint32_t halt_bit(unsigned ep, bool in)
{
    return 1u << ((ep & 15) + (in ? 16 : 0));
}

static int endpoint_request(struct usb_device *d, const struct usb_request *r, uint8_t *data)
{
    uint32_t bit = halt_bit(r->index, r->index & USB_DIR_IN);

    switch (r->request) {
    case USB_GET_STATUS:
        data[0] = (d->halted & bit) != 0;
        data[1] = 0;
        return 2;
    case USB_CLEAR_FEATURE:
    case USB_SET_FEATURE:
        if (r->value != FEATURE_HALT)
            return USB_STALL;
        if (r->request == USB_CLEAR_FEATURE)
            d->halted &= ~bit;
        else if (r->index & 15)                      /* the default pipe recovers by itself */
            d->halted |= bit;
        return 0;
    default:
        return USB_STALL;
    }
}

static int carry_out(struct usb_device *d, const struct usb_request *r)
{
    int ret = USB_STALL;

    switch (r->type & ~USB_DIR_IN) {
    case 0:
        ret = device_request(d, r, d->data);
        break;
    case USB_INTERFACE:
        ret = interface_request(d, r, d->data);
        break;
    case USB_ENDPOINT:
        ret = endpoint_request(d, r, d->data);
        break;
    }
    if (ret == USB_STALL && d->model->request)
        ret = d->model->request(d, r, d->data);
    return ret;
}

/* ---- default pipe ------------------------------------------------------------------------ */

static struct usb_request request_of(const struct usb_device *d)
{
    const uint8_t *s = d->setup;

    return (struct usb_request){ s[0], s[1], ldl16(s + 2), ldl16(s + 4), ldl16(s + 6) };
}

static int setup_stage(struct usb_device *d, const uint8_t *buf, unsigned len)
{
    struct usb_request r;
    int ret;

    if (len != sizeof d->setup)
        return USB_SILENT;
    memcpy(d->setup, buf, len);
    r = request_of(d);
    d->at = 0;
    d->len = MIN(r.length, USB_CONTROL_MAX);
    if (!(r.type & USB_DIR_IN)) {
        d->stage = r.length > USB_CONTROL_MAX ? USB_STALLED : r.length ? USB_DATA_OUT : USB_STATUS_IN;
        return len;
    }
    ret = carry_out(d, &r);
    d->stage = ret < 0 ? USB_STALLED : USB_DATA_IN;
    if (ret >= 0)
        d->len = MIN(ret, d->len);
    return len;
}

static int control_in(struct usb_device *d, uint8_t *buf, unsigned len)
{
    unsigned n = MIN(MIN(len, usb_ep0_bytes(d)), (unsigned)(d->len - d->at));
    struct usb_request r = request_of(d);

    if (d->stage == USB_DATA_IN) {
        memcpy(buf, d->data + d->at, n);
        d->at += n;
        return n;
    }
    if (d->stage != USB_STATUS_IN)
        return USB_STALL;
    if (carry_out(d, &r) < 0) {
        d->stage = USB_STALLED;
        return USB_STALL;
    }
    d->stage = USB_IDLE;
    return 0;
}

static int control_out(struct usb_device *d, const uint8_t *buf, unsigned len)
{
    if (d->stage == USB_DATA_IN) {                   /* status stage, early or not */
        d->stage = USB_IDLE;
        return len;
    }
    if (d->stage != USB_DATA_OUT || len > (unsigned)(d->len - d->at)) {
        d->stage = USB_STALLED;
        return USB_STALL;
    }
    memcpy(d->data + d->at, buf, len);
    d->at += len;
    if (d->at == d->len)
        d->stage = USB_STATUS_IN;
    return len;
}

/* ---- speed ---------------------------------------------------------------------------------- */

const char *usb_speed_mbit(const struct usb_device *d)
{
    static const char *const mbit[] = { "1.5", "12", "480", "5000" };

    return mbit[d->speed];
}

/* ---- transactions -------------------------------------------------------------------------- */

int usb_transact(struct usb_device *d, enum usb_pid pid, unsigned ep, uint8_t *buf, unsigned len)
{
    if (ep == 0) {
        if (pid == USB_SETUP)
            return setup_stage(d, buf, len);
        return pid == USB_IN ? control_in(d, buf, len) : control_out(d, buf, len);
    }
    if (!d->configuration || pid == USB_SETUP || (pid == USB_IN ? !d->model->in : !d->model->out))
        return USB_SILENT;
    if (d->halted & halt_bit(ep, pid == USB_IN))
        return USB_STALL;
    return pid == USB_IN ? d->model->in(d, ep, buf, len) : d->model->out(d, ep, buf, len);
}
