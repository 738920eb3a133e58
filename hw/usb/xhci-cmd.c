/*
 * xhci-cmd.c - command ring: slots and their contexts
 *
 * A command is checked whole before it changes anything. Contexts have 32 bytes (CSZ 0).
 *
 * Source: xHCI 1.2, 4.5.3 (slot states), 4.6 (commands), 4.8.3 (endpoint states), 6.2
 * (contexts), 6.4.3 (command TRBs).
 */
#include "hw/usb/xhci-int.h"

#define CTX_BYTES    32u
#define CTX_WORDS    5               /* of a context that have a meaning */
#define DCI_EP0      1u
#define POINTER(v)   ((v) & ~15ull)

enum { /* slot context */
    SLOT_ROUTE = 0xfffff, SLOT_STATE_AT = 27, SLOT_ENTRIES_AT = 27,
};
enum { EPC_STATE = 7, EPC_TYPE_AT = 3, EPC_STREAMS_AT = 10, EPC_INTERVAL_AT = 16 };
#define INTERVAL_MAX 15              /* a power of two of microframes: 4 s */

/** struct ctx - a slot, endpoint or input control context */
struct ctx {
    uint32_t w[CTX_WORDS];
};

/** struct input - what a command's input context says */
struct input {
    uint32_t drop, add;
    struct ctx slot, ep[32];         /* by device context index; what add names is filled */
};

/* ---- contexts in memory ------------------------------------------------------------------- */

static bool read_ctx(struct xhci *s, uint64_t at, struct ctx *c)
{
    uint8_t raw[CTX_WORDS * 4];
    bool ok = dma_get(&s->pci.dma, at, raw, sizeof raw);

    for (unsigned i = 0; i < CTX_WORDS; i++)
        c->w[i] = ldl32(raw + i * 4);
    return ok;
}

static void write_ctx(struct xhci *s, uint64_t at, const struct ctx *c)
{
    uint8_t raw[CTX_WORDS * 4];

    for (unsigned i = 0; i < CTX_WORDS; i++)
        stl32(raw + i * 4, c->w[i]);
    dma_put(&s->pci.dma, at, raw, sizeof raw);
}

static uint64_t ep_ctx(const struct xhci_slot *slot, unsigned dci)
{
    return slot->ctx + dci * CTX_BYTES;
}

/* Input control context, slot context, endpoint contexts, 6.2.5 */
static bool read_input(struct xhci *s, uint64_t at, struct input *in)
{
    struct ctx control;
    bool ok;

    at = POINTER(at);
    ok = read_ctx(s, at, &control) && read_ctx(s, at + CTX_BYTES, &in->slot);
    in->drop = control.w[0];
    in->add = control.w[1];
    for (unsigned dci = 1; dci < 32 && ok; dci++)
        if (in->add >> dci & 1)
            ok = read_ctx(s, at + (dci + 1) * CTX_BYTES, &in->ep[dci]);
    return ok;
}

void xhci_ep_state(struct xhci *s, unsigned n, unsigned dci, unsigned state)
{
    struct xhci_slot *slot = &s->slot[n];
    struct xhci_ep *ep = &slot->ep[dci];
    struct ctx c;

    ep->state = state;
    if (!read_ctx(s, ep_ctx(slot, dci), &c))
        return;
    c.w[0] = (c.w[0] & ~(uint32_t)EPC_STATE) | state;
    c.w[2] = (uint32_t)ep->ring.dequeue | ep->ring.cycle;
    c.w[3] = ep->ring.dequeue >> 32;
    write_ctx(s, ep_ctx(slot, dci), &c);
}

/* The slot's state, and the device's address, which is the slot's number. */
static void set_slot_state(struct xhci *s, unsigned n, unsigned state)
{
    struct xhci_slot *slot = &s->slot[n];
    struct ctx c;

    slot->state = state;
    if (!read_ctx(s, slot->ctx, &c))
        return;
    c.w[3] = state << SLOT_STATE_AT | (state >= SLOT_ADDRESSED ? n : 0);
    write_ctx(s, slot->ctx, &c);
}

/* ---- endpoints ------------------------------------------------------------------------------ */

static unsigned ep_type(const struct ctx *c)
{
    return c->w[1] >> EPC_TYPE_AT & 7;
}

static unsigned ep_packet(const struct ctx *c)
{
    return c->w[1] >> 16;
}

static enum xhci_code ep_check(unsigned dci, const struct ctx *c)
{
    unsigned type = ep_type(c);
    bool in = dci & 1;

    if (type == EP_ISO_IN || type == EP_ISO_OUT)
        return CC_BANDWIDTH;
    if (in ? type != EP_BULK_IN && type != EP_INT_IN : type != EP_BULK_OUT && type != EP_INT_OUT)
        return CC_PARAMETER;
    if (!ep_packet(c) || ep_packet(c) > 1024 || c->w[0] >> EPC_STREAMS_AT & 31)
        return CC_PARAMETER;
    return CC_SUCCESS;
}

static void ep_enable(struct xhci *s, unsigned n, unsigned dci, const struct ctx *c)
{
    struct xhci_slot *slot = &s->slot[n];

    slot->ep[dci] = (struct xhci_ep){ .type = ep_type(c), .packet = ep_packet(c) };
    if (ep_type(c) == EP_INT_IN || ep_type(c) == EP_INT_OUT)
        slot->ep[dci].interval_ns = (int64_t)XHCI_FRAME_NS << MIN(c->w[0] >> EPC_INTERVAL_AT & 0xff, (uint32_t)INTERVAL_MAX);
    slot->ep[dci].ring.dequeue = POINTER(c->w[2] | (uint64_t)c->w[3] << 32);
    slot->ep[dci].ring.cycle = c->w[2] & 1;
    slot->ready &= ~(1u << dci);
    write_ctx(s, ep_ctx(slot, dci), c);
    xhci_ep_state(s, n, dci, EP_RUNNING);
}

static void ep_disable(struct xhci *s, unsigned n, unsigned dci)
{
    struct xhci_slot *slot = &s->slot[n];

    if (slot->ep[dci].state == EP_DISABLED)
        return;
    slot->ready &= ~(1u << dci);
    xhci_ep_state(s, n, dci, EP_DISABLED);
}

/* ---- slots -------------------------------------------------------------------------------------- */

/* 4.6.3; the slot's number is in the event. */
static unsigned enable_slot(struct xhci *s)
{
    unsigned n = 1, last = MIN(s->n_slots, s->config);

    while (n <= last && s->slot[n].state != SLOT_DISABLED)
        n++;
    if (n > last)
        return 0;
    s->slot[n] = (struct xhci_slot){ .state = SLOT_ENABLED };
    return n;
}

static enum xhci_code disable_slot(struct xhci *s, unsigned n, const struct xhci_trb *t)
{
    if (s->slot[n].state != SLOT_ENABLED)
        set_slot_state(s, n, SLOT_DISABLED);
    s->slot[n] = (struct xhci_slot){ .state = SLOT_DISABLED };
    return CC_SUCCESS;
}

/* The request that the controller makes by itself, 4.6.5 */
static bool set_address(struct usb_device *d, unsigned addr)
{
    uint8_t setup[8] = { 0, USB_SET_ADDRESS, addr }, nothing[1];

    return usb_transact(d, USB_SETUP, 0, setup, sizeof setup) == sizeof setup &&
           usb_transact(d, USB_IN, 0, nothing, 0) == 0;
}

static enum xhci_code check_address(struct xhci *s, unsigned n, const struct input *in)
{
    unsigned port = (in->slot.w[1] >> 16 & 0xff) - 1u;

    if (in->drop || (in->add & 3) != 3 || port >= s->n_ports)
        return CC_PARAMETER;
    if (ep_type(&in->ep[DCI_EP0]) != EP_CONTROL || !ep_packet(&in->ep[DCI_EP0]) || ep_packet(&in->ep[DCI_EP0]) > 512)
        return CC_PARAMETER;
    return CC_SUCCESS;
}

static enum xhci_code address_device(struct xhci *s, unsigned n, const struct xhci_trb *t)
{
    struct xhci_slot *slot = &s->slot[n];
    bool block = t->control & TRB_BSR;
    enum xhci_code code;
    struct input in;
    uint8_t raw[8];

    if (slot->state != SLOT_ENABLED && (block || slot->state != SLOT_DEFAULT))
        return CC_CONTEXT_STATE;
    if (!read_input(s, t->param, &in) || !dma_get(&s->pci.dma, s->dcbaap + n * 8, raw, sizeof raw))
        return CC_PARAMETER;
    code = check_address(s, n, &in);
    if (code != CC_SUCCESS)
        return code;
    slot->ctx = ldl64(raw) & ~63ull;
    slot->port = (in.slot.w[1] >> 16 & 0xff) - 1u;
    slot->route = in.slot.w[0] & SLOT_ROUTE;
    if (!block && (!xhci_device(s, n) || !set_address(xhci_device(s, n), n)))
        return CC_TRANSACTION;
    write_ctx(s, slot->ctx, &in.slot);
    ep_enable(s, n, DCI_EP0, &in.ep[DCI_EP0]);
    set_slot_state(s, n, block ? SLOT_DEFAULT : SLOT_ADDRESSED);
    return CC_SUCCESS;
}

/* ---- configuration ----------------------------------------------------------------------------------- */

static void deconfigure(struct xhci *s, unsigned n)
{
    for (unsigned dci = DCI_EP0 + 1; dci < 32; dci++)
        ep_disable(s, n, dci);
}

static enum xhci_code check_configure(const struct input *in)
{
    enum xhci_code code = CC_SUCCESS;

    if (in->drop & 3 || (in->add & 3) != 1)
        return CC_PARAMETER;
    for (unsigned dci = DCI_EP0 + 1; dci < 32 && code == CC_SUCCESS; dci++)
        if (in->add >> dci & 1)
            code = ep_check(dci, &in->ep[dci]);
    return code;
}

static void configure(struct xhci *s, unsigned n, const struct input *in)
{
    struct xhci_slot *slot = &s->slot[n];
    bool any = false;

    for (unsigned dci = DCI_EP0 + 1; dci < 32; dci++) {
        if ((in->drop | in->add) >> dci & 1)
            ep_disable(s, n, dci);
        if (in->add >> dci & 1)
            ep_enable(s, n, dci, &in->ep[dci]);
        any |= slot->ep[dci].state != EP_DISABLED;
    }
    write_ctx(s, slot->ctx, &in->slot);
    set_slot_state(s, n, any ? SLOT_CONFIGURED : SLOT_ADDRESSED);
}

static enum xhci_code configure_endpoint(struct xhci *s, unsigned n, const struct xhci_trb *t)
{
    struct xhci_slot *slot = &s->slot[n];
    enum xhci_code code;
    struct input in;

    if (slot->state != SLOT_ADDRESSED && slot->state != SLOT_CONFIGURED)
        return CC_CONTEXT_STATE;
    if (t->control & TRB_DC) {
        deconfigure(s, n);
        set_slot_state(s, n, SLOT_ADDRESSED);
        return CC_SUCCESS;
    }
    if (!read_input(s, t->param, &in))
        return CC_PARAMETER;
    code = check_configure(&in);
    if (code == CC_SUCCESS)
        configure(s, n, &in);
    return code;
}

/* 4.6.7: of the slot latency and interrupter, of the default pipe the packet */
static enum xhci_code evaluate_context(struct xhci *s, unsigned n, const struct xhci_trb *t)
{
    struct xhci_slot *slot = &s->slot[n];
    struct ctx c;
    struct input in;

    if (slot->state == SLOT_ENABLED)
        return CC_CONTEXT_STATE;
    if (!read_input(s, t->param, &in) || in.drop || in.add & ~3u)
        return CC_PARAMETER;
    if (in.add & 2 && (!ep_packet(&in.ep[DCI_EP0]) || ep_packet(&in.ep[DCI_EP0]) > 512))
        return CC_PARAMETER;
    if (in.add & 1 && read_ctx(s, slot->ctx, &c)) {
        c.w[1] = (c.w[1] & 0xffff0000) | (in.slot.w[1] & 0xffff);
        c.w[2] = (c.w[2] & 0x3fffff) | (in.slot.w[2] & ~0x3fffffu);
        write_ctx(s, slot->ctx, &c);
    }
    if (in.add & 2 && read_ctx(s, ep_ctx(slot, DCI_EP0), &c)) {
        slot->ep[DCI_EP0].packet = ep_packet(&in.ep[DCI_EP0]);
        c.w[1] = (c.w[1] & 0xffff) | (uint32_t)slot->ep[DCI_EP0].packet << 16;
        write_ctx(s, ep_ctx(slot, DCI_EP0), &c);
    }
    return CC_SUCCESS;
}

static enum xhci_code reset_device(struct xhci *s, unsigned n, const struct xhci_trb *t)
{
    if (s->slot[n].state == SLOT_ENABLED || s->slot[n].state == SLOT_DEFAULT)
        return CC_CONTEXT_STATE;
    deconfigure(s, n);
    set_slot_state(s, n, SLOT_DEFAULT);
    return CC_SUCCESS;
}

/* ---- commands to an endpoint ----------------------------------------------------------------------------- */

static enum xhci_code stop_endpoint(struct xhci *s, unsigned n, const struct xhci_trb *t)
{
    unsigned dci = TRB_DCI(t->control);

    if (s->slot[n].ep[dci].state != EP_RUNNING)
        return CC_CONTEXT_STATE;
    xhci_ep_stop(s, n, dci);
    return CC_SUCCESS;
}

static enum xhci_code reset_endpoint(struct xhci *s, unsigned n, const struct xhci_trb *t)
{
    unsigned dci = TRB_DCI(t->control);

    if (s->slot[n].ep[dci].state != EP_HALTED)
        return CC_CONTEXT_STATE;
    xhci_ep_state(s, n, dci, EP_STOPPED);
    return CC_SUCCESS;
}

static enum xhci_code set_dequeue(struct xhci *s, unsigned n, const struct xhci_trb *t)
{
    unsigned dci = TRB_DCI(t->control);
    struct xhci_ep *ep = &s->slot[n].ep[dci];

    if (ep->state != EP_STOPPED && ep->state != EP_ERROR)
        return CC_CONTEXT_STATE;
    ep->ring = (struct xhci_ring){ POINTER(t->param), t->param & 1 };
    ep->done = ep->edtla = 0;
    xhci_ep_state(s, n, dci, EP_STOPPED);
    return CC_SUCCESS;
}

/* ---- the ring ------------------------------------------------------------------------------------------------ */

/* Those that are about a slot. */
static enum xhci_code (*const commands[])(struct xhci *s, unsigned n, const struct xhci_trb *t) = {
    [TRB_DISABLE_SLOT] = disable_slot, [TRB_ADDRESS_DEVICE] = address_device,
    [TRB_CONFIGURE_EP] = configure_endpoint, [TRB_EVALUATE] = evaluate_context,
    [TRB_RESET_EP] = reset_endpoint, [TRB_STOP_EP] = stop_endpoint, [TRB_SET_DEQUEUE] = set_dequeue,
    [TRB_RESET_DEVICE] = reset_device,
};

static void complete(struct xhci *s, enum xhci_code code, unsigned slot, uint64_t at)
{
    struct xhci_trb ev = { at, (uint32_t)code << 24, TRB_EV_COMMAND << TRB_TYPE_AT | slot << 24 };

    if (code != CC_SUCCESS)
        log_guest(LOG_USB, "xhci command at=%#llx slot=%u code=%u", (unsigned long long)at, slot, code);
    xhci_event(s, 0, &ev, false);
}

static enum xhci_code slot_command(struct xhci *s, unsigned slot, const struct xhci_trb *t)
{
    unsigned type = TRB_TYPE(t->control);

    if (type >= ARRAY_SIZE(commands) || !commands[type])
        return CC_TRB;
    if (!slot || slot > s->n_slots || s->slot[slot].state == SLOT_DISABLED)
        return CC_SLOT_OFF;
    return commands[type](s, slot, t);
}

static void carry_out(struct xhci *s, const struct xhci_trb *t, uint64_t at)
{
    unsigned slot = TRB_SLOT(t->control);

    switch (TRB_TYPE(t->control)) {
    case TRB_NOOP_CMD:
        complete(s, CC_SUCCESS, 0, at);
        break;
    case TRB_ENABLE_SLOT:
        slot = enable_slot(s);
        complete(s, slot ? CC_SUCCESS : CC_NO_SLOTS, slot, at);
        break;
    default:
        complete(s, slot_command(s, slot, t), slot, at);
    }
}

bool xhci_commands(struct xhci *s)
{
    for (unsigned n = 0; n < XHCI_PASS_CMDS && xhci_running(s); n++) {
        struct xhci_trb t;
        uint64_t at;

        if (!xhci_event_room(s, 0)) {
            s->held = true;
            return false;
        }
        if (xhci_fetch(s, &s->cmd_ring, &t, &at) != FETCH_DONE) {
            s->cmd_ready = false;
            return false;
        }
        carry_out(s, &t, at);
    }
    return true;
}

void xhci_command_stop(struct xhci *s)
{
    s->crr = s->cmd_ready = false;
    complete(s, CC_CMD_STOPPED, 0, s->cmd_ring.dequeue);
}
