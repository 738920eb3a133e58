/* xhci.c - the xHCI host controller: registers, root hub, rings, commands, transfers */
#include "hw/input/i8042.h"
#include "hw/input/input.h"
#include "tests/hw/xhci.h"

#define PORT2 4                      /* the first USB 2 port, behind four of USB 3 */
#define US    1000

static struct hc *hc_new(void)
{
    struct hc *h = xzalloc(sizeof *h);

    hc_init(h, NULL);
    return h;
}

static void hc_end(struct hc *h)
{
    hc_free(h);
    free(h);
}

/* A tablet, configured, with its interrupt endpoint. */
static struct hc *tablet(void)
{
    struct hc *h = hc_new();

    hc_plug(h, "usb-tablet", "1", NULL, NULL);
    hc_address(h, PORT2, 64);
    hc_input(h, PORT2, 0);
    hc_input_ep(h, 3, EP_INT_IN, 8, 6);
    cr_assert_eq(hc_cmd(h, INPUT, TRB_CONFIGURE_EP, 1, 0), CC_SUCCESS);
    cr_assert_eq(hc_control(h, 0, USB_SET_CONFIGURATION, 1, 0, 0), 0);
    return h;
}

static unsigned ep_state(struct hc *h, unsigned dci)
{
    return ldl32(h->m->ram + DEV_CTX + dci * 32) & 7;
}

Test(xhci, capabilities)
{
    struct hc *h = hc_new();

    cr_assert_eq(cfg_rd(h->m, XHCI_DEV, 0, 4), 0x000d1b36);
    cr_assert_eq(cfg_rd(h->m, XHCI_DEV, 8, 4) >> 8, 0x0c0330);
    cr_assert_eq(cfg_rd(h->m, XHCI_DEV, 0x60, 1), 0x30);
    cr_assert_eq(mmio_read(&h->m->mem, XHCI_BAR, 1), 0x40);
    cr_assert_eq(mmio_read(&h->m->mem, XHCI_BAR + 2, 2), 0x100);
    cr_assert_eq(hc_rd(h, 4), 8u << 24 | 16 << 8 | 64);
    cr_assert_eq(hc_rd(h, 0x10), 0x00080001);
    cr_assert_eq(hc_rd(h, 0x20), 0x02000402, "USB 2.0, next in four words");
    cr_assert_eq(hc_rd(h, 0x24), 0x20425355);
    cr_assert_eq(hc_rd(h, 0x28), 4 << 8 | 5, "four ports from 5");
    cr_assert_eq(hc_rd(h, 0x30), 0x03000002);
    cr_assert_eq(hc_rd(h, 0x38), 4 << 8 | 1);
    cr_assert_eq(hc_rd(h, 0x48), 1, "pages of 4 KiB");
    hc_end(h);
}

Test(xhci, one_kind_of_ports)
{
    static const char *const props[] = { "p2", "2", "p3", "0", "intrs", "2", "slots", "3", NULL };
    struct hc *h = xzalloc(sizeof *h);

    hc_init(h, props);
    cr_assert_eq(hc_rd(h, 4), 2u << 24 | 2 << 8 | 3);
    cr_assert_eq(hc_rd(h, 0x20), 0x02000002, "the last");
    cr_assert_eq(hc_rd(h, 0x28), 2 << 8 | 1);
    cr_assert_eq(hc_rd(h, 0x30), 0);
    hc_end(h);
}

Test(xhci, nonsense_is_refused)
{
    struct user_prop p[] = { { "p2", "0" }, { "p3", "0" } };
    struct rig r;
    struct err e = { "" };

    rig_init(&r);
    cr_assert_null(user_device_add(r.m, user_device_find("qemu-xhci"), NULL, p, 2, &e));
    cr_assert_str_eq(e.msg, "qemu-xhci: p2=0 and p3=0 leave no port");
    p[0] = (struct user_prop){ "streams", "on" };
    cr_assert_null(user_device_add(r.m, user_device_find("nec-usb-xhci"), NULL, p, 1, &e));
    cr_assert_str_eq(e.msg, "nec-usb-xhci: streams=on: no device here has streams");
    p[0] = (struct user_prop){ "p2", "16" };
    cr_assert_null(user_device_add(r.m, user_device_find("qemu-xhci"), NULL, p, 1, &e));
    rig_free(&r);
}

Test(xhci, bus_has_the_name_of_the_controller)
{
    struct user_prop p[] = { { "p2", "15" }, { "p3", "2" } }, q[] = { { "bus", "usb7.0" }, { "port", "9" } };
    const struct user_device *tablet_row = user_device_find("usb-tablet");
    struct rig r;
    struct err e = { "" };

    rig_init(&r);
    cr_assert_not_null(user_device_add(r.m, user_device_find("qemu-xhci"), "usb7", p, 2, &e), "%s", e.msg);
    cr_assert_not_null(user_device_add(r.m, tablet_row, NULL, q, 2, &e), "%s", e.msg);
    cr_assert_null(user_device_add(r.m, tablet_row, NULL, q, 2, &e));
    cr_assert_str_eq(e.msg, "usb-tablet: port 9 is taken by usb-tablet");
    q[1].val = "16";
    cr_assert_null(user_device_add(r.m, tablet_row, NULL, q, 2, &e));
    cr_assert_str_eq(e.msg, "usb-tablet: usb7.0 has no port 16");
    rig_free(&r);
}

Test(xhci, a_port_without_the_speed_of_the_device)
{
    struct user_prop p[] = { { "p2", "1" }, { "p3", "3" } }, q[] = { { "port", "3" } };
    struct rig r;
    struct err e = { "" };

    rig_init(&r);
    cr_assert_not_null(user_device_add(r.m, user_device_find("qemu-xhci"), NULL, p, 2, &e), "%s", e.msg);
    cr_assert_null(user_device_add(r.m, user_device_find("usb-tablet"), NULL, q, 1, &e));
    cr_assert_str_eq(e.msg, "usb-tablet: port 3 of usb-bus.0 has no speed that it knows");
    rig_free(&r);
}

Test(xhci, speed_that_both_know)
{
    struct hc *h = hc_new();

    hc_plug(h, "usb-tablet", "1", NULL, NULL);
    hc_plug(h, "usb-mouse", "2", "usb_version", "1");
    hc_plug(h, "usb-hub", "3", NULL, NULL);
    hc_plug(h, "usb-kbd", "3.1", NULL, NULL);
    cr_assert_eq(hc_port(h, PORT2) >> 10 & 15, 3, "high");
    cr_assert_eq(hc_port(h, PORT2 + 1) >> 10 & 15, 1, "full");
    cr_assert_str_eq(usb_speed_mbit(h->s->socket[0].dev), "480");
    cr_assert_str_eq(usb_speed_mbit(h->s->socket[1].dev), "12");
    cr_assert_eq(usb_at(&h->s->socket[2], 1), NULL, "not enabled");
    hc_end(h);
}

Test(xhci, runs_and_halts)
{
    struct hc *h = hc_new();

    cr_assert_eq(hc_rd(h, OP_STS) & STS_HCH, 0);
    hc_step(h, 1000 * US);
    cr_assert_eq(hc_rd(h, RT_MFINDEX), 8);
    hc_wr(h, OP_CMD, 0);
    cr_assert_eq(hc_rd(h, OP_STS) & STS_HCH, STS_HCH);
    hc_step(h, 1000 * US);
    cr_assert_eq(hc_rd(h, RT_MFINDEX), 8);
    hc_wr(h, DOORBELLS, 0);
    cr_assert_eq(hc_rd(h, OP_CRCR), 0, "no doorbell while halted");
    hc_wr(h, OP_CMD, CMD_HCRST);
    cr_assert_eq(hc_rd(h, OP_CMD), 0, "over at once");
    cr_assert_eq(hc_rd(h, RT_INTR + 4), 4000);
    cr_assert_null(h->m->timers.head);
    hc_end(h);
}

Test(xhci, waits_for_bus_mastering)
{
    struct hc *h = hc_new();

    cfg_wr(h->m, XHCI_DEV, PCI_COMMAND, 2, 2);
    hc_plug(h, "usb-tablet", "1", NULL, NULL);
    hc_post(h, 0, 0, TRB_NOOP_CMD << 10);
    hc_wr(h, DOORBELLS, 0);
    cr_assert_eq(EV_TYPE(hc_event(h)), 0);
    cfg_wr(h->m, XHCI_DEV, PCI_COMMAND, 6, 2);
    cr_assert_eq(EV_TYPE(hc_event(h)), TRB_EV_PORT);
    cr_assert_eq(EV_TYPE(hc_event(h)), TRB_EV_COMMAND);
    cr_assert_eq(hc_rd(h, OP_STS) & (STS_HCH | STS_HSE | STS_HCE), 0);
    hc_end(h);
}

Test(xhci, wrap_event)
{
    struct hc *h = hc_new();

    hc_wr(h, OP_CMD, CMD_RS | CMD_EWE);
    hc_wr(h, OP_CMD, 0);
    hc_wr(h, OP_CMD, CMD_RS | CMD_EWE);
    hc_step(h, 0x3fffll * XHCI_FRAME_NS);
    cr_assert_eq(EV_TYPE(hc_event(h)), 0);
    hc_step(h, XHCI_FRAME_NS);
    cr_assert_eq(EV_TYPE(hc_event(h)), TRB_EV_WRAP);
    hc_end(h);
}

/* ---- root hub ------------------------------------------------------------------------------ */

Test(xhci, coming_and_going)
{
    struct hc *h = hc_new();
    struct device *d;
    struct xhci_trb ev;

    cr_assert_eq(hc_port(h, PORT2), PORT_PP | PLS_RXDETECT << 5);
    d = hc_plug(h, "usb-tablet", "1", NULL, NULL);
    cr_assert_eq(hc_port(h, PORT2), PORT_PP | PLS_POLLING << 5 | PORT_CCS | PORT_CSC | 3 << 10);
    cr_assert_eq(hc_port(h, 0), PORT_PP | PLS_RXDETECT << 5, "nothing at the USB 3 port");
    ev = hc_event(h);
    cr_assert_eq(EV_TYPE(ev), TRB_EV_PORT);
    cr_assert_eq(ev.param, (PORT2 + 1) << 24);
    cr_assert_eq(hc_rd(h, OP_STS) & STS_PCD, STS_PCD);
    hc_wr(h, OP_PORTSC + 16 * PORT2, PORT_PP | PORT_PR);
    cr_assert_eq(hc_port(h, PORT2) & (PORT_PED | PORT_PR | PORT_PRC | PORT_CSC), PORT_PED | PORT_PRC | PORT_CSC);
    cr_assert_eq(EV_TYPE(hc_event(h)), 0, "a change was told of already");
    hc_wr(h, OP_PORTSC + 16 * PORT2, PORT_PP | PORT_CHANGES);
    machine_remove_device(h->m, d);
    cr_assert_eq(hc_port(h, PORT2), PORT_PP | PLS_RXDETECT << 5 | PORT_CSC);
    cr_assert_eq(EV_TYPE(hc_event(h)), TRB_EV_PORT);
    hc_end(h);
}

Test(xhci, what_came_while_halted_is_told_later)
{
    struct hc *h = hc_new();

    hc_wr(h, OP_CMD, 0);
    hc_plug(h, "usb-mouse", "2", NULL, NULL);
    cr_assert_eq(EV_TYPE(hc_event(h)), 0);
    hc_wr(h, OP_CMD, CMD_RS);
    cr_assert_eq(hc_event(h).param, (PORT2 + 2) << 24);
    hc_end(h);
}

Test(xhci, suspend_and_wakeup)
{
    struct hc *h = tablet();
    unsigned reg = OP_PORTSC + 16 * PORT2;

    hc_wr(h, reg, PORT_PP | PORT_CHANGES);
    cr_assert_eq(hc_control(h, 0, USB_SET_FEATURE, 1, 0, 0), 0, "remote wakeup");
    hc_wr(h, reg, PORT_PP | PORT_LWS | PLS_U3 << 5);
    cr_assert_eq(PORT_PLS(hc_port(h, PORT2)), PLS_U3);
    cr_assert_eq(hc_control(h, 0x80, USB_GET_CONFIGURATION, 0, 0, 1), -CC_TRANSACTION, "asleep");
    input_position(h->m, 1, 1, 10, 10, 0, 0);
    cr_assert_eq(PORT_PLS(hc_port(h, PORT2)), PLS_RESUME);
    cr_assert_eq(hc_port(h, PORT2) & PORT_PLC, PORT_PLC);
    cr_assert_eq(EV_TYPE(hc_event_of(h, TRB_EV_PORT)), TRB_EV_PORT);
    hc_wr(h, reg, PORT_PP | PORT_PLC);
    hc_wr(h, reg, PORT_PP | PORT_LWS | PLS_U0 << 5);
    cr_assert_eq(PORT_PLS(hc_port(h, PORT2)), PLS_U0);
    cr_assert_eq(hc_port(h, PORT2) & PORT_PLC, PORT_PLC);
    cr_assert_not_null(usb_at(&h->s->socket[0], 0));
    hc_wr(h, reg, PORT_PP | PORT_PED);
    cr_assert_eq(hc_port(h, PORT2) & PORT_PED, 0, "disabled");
    cr_assert_null(usb_at(&h->s->socket[0], 0));
    hc_end(h);
}

/* ---- commands --------------------------------------------------------------------------------- */

Test(xhci, commands_all_around_both_rings)
{
    struct hc *h = hc_new();

    for (unsigned i = 0; i < 3 * CMD_TRBS; i++)
        cr_assert_eq(hc_cmd(h, 0, TRB_NOOP_CMD, 0, 0), CC_SUCCESS, "number %u", i);
    cr_assert_eq(hc_rd(h, OP_CRCR), 8, "it runs");
    cr_assert_eq(hc_cmd(h, 0, 47, 0, 0), CC_TRB);
    cr_assert_eq(hc_cmd(h, 0, TRB_STOP_EP, 5, 1 << 16), CC_SLOT_OFF);
    cr_assert_eq(hc_cmd(h, 0, TRB_STOP_EP, 255, 1 << 16), CC_SLOT_OFF);
    hc_wr(h, OP_CRCR, 4);
    cr_assert_eq(EV_CODE(hc_event(h)), CC_CMD_STOPPED);
    cr_assert_eq(hc_rd(h, OP_CRCR), 0);
    hc_end(h);
}

Test(xhci, slots)
{
    struct hc *h = hc_new();

    hc_wr(h, OP_CONFIG, 2);
    cr_assert_eq(hc_cmd(h, 0, TRB_ENABLE_SLOT, 0, 0), CC_SUCCESS);
    cr_assert_eq(hc_cmd(h, 0, TRB_ENABLE_SLOT, 0, 0), CC_SUCCESS);
    cr_assert_eq(h->slot, 2);
    cr_assert_eq(hc_cmd(h, 0, TRB_ENABLE_SLOT, 0, 0), CC_NO_SLOTS);
    cr_assert_eq(hc_cmd(h, 0, TRB_DISABLE_SLOT, 1, 0), CC_SUCCESS);
    cr_assert_eq(hc_cmd(h, 0, TRB_DISABLE_SLOT, 1, 0), CC_SLOT_OFF);
    cr_assert_eq(hc_cmd(h, 0, TRB_ENABLE_SLOT, 0, 0), CC_SUCCESS);
    cr_assert_eq(h->slot, 1);
    hc_end(h);
}

Test(xhci, address_device)
{
    struct hc *h = hc_new();

    hc_plug(h, "usb-tablet", "1", NULL, NULL);
    cr_assert_eq(hc_cmd(h, 0, TRB_ENABLE_SLOT, 0, 0), CC_SUCCESS);
    stl64(h->m->ram + DCBAA + 8, DEV_CTX);
    hc_input(h, PORT2, 64);
    cr_assert_eq(hc_cmd(h, INPUT, TRB_ADDRESS_DEVICE, 1, 0), CC_TRANSACTION, "not enabled");
    hc_wr(h, OP_PORTSC + 16 * PORT2, PORT_PP | PORT_PR);
    cr_assert_eq(hc_cmd(h, INPUT, TRB_ADDRESS_DEVICE, 1, TRB_BSR), CC_SUCCESS);
    cr_assert_eq(ldl32(h->m->ram + DEV_CTX + 12), 1u << 27, "default");
    cr_assert_eq(hc_control(h, 0x80, USB_GET_DESCRIPTOR, USB_DESC_DEVICE << 8, 0, 8), 8, "at address 0");
    cr_assert_eq(hc_cmd(h, INPUT, TRB_ADDRESS_DEVICE, 1, TRB_BSR), CC_CONTEXT_STATE);
    hc_input(h, PORT2, 64);
    cr_assert_eq(hc_cmd(h, INPUT, TRB_ADDRESS_DEVICE, 1, 0), CC_SUCCESS);
    cr_assert_eq(h->s->socket[0].dev->addr, 1);
    cr_assert_eq(hc_cmd(h, INPUT, TRB_ADDRESS_DEVICE, 1, 0), CC_CONTEXT_STATE);
    cr_assert_eq(hc_cmd(h, 0, TRB_RESET_DEVICE, 1, 0), CC_SUCCESS);
    cr_assert_eq(ldl32(h->m->ram + DEV_CTX + 12), 1u << 27);
    hc_input(h, 77, 64);
    cr_assert_eq(hc_cmd(h, INPUT, TRB_ADDRESS_DEVICE, 1, 0), CC_PARAMETER, "no such port");
    hc_end(h);
}

Test(xhci, endpoints_that_there_cannot_be)
{
    struct hc *h = hc_new();

    hc_plug(h, "usb-tablet", "1", NULL, NULL);
    hc_address(h, PORT2, 64);
    hc_input(h, PORT2, 0);
    hc_input_ep(h, 3, EP_ISO_IN, 8, 3);
    cr_assert_eq(hc_cmd(h, INPUT, TRB_CONFIGURE_EP, 1, 0), CC_BANDWIDTH, "isochronous");
    hc_input(h, PORT2, 0);
    hc_input_ep(h, 3, EP_INT_OUT, 8, 3);
    cr_assert_eq(hc_cmd(h, INPUT, TRB_CONFIGURE_EP, 1, 0), CC_PARAMETER, "the other direction");
    hc_input_ep(h, 3, EP_INT_IN, 1025, 3);
    cr_assert_eq(hc_cmd(h, INPUT, TRB_CONFIGURE_EP, 1, 0), CC_PARAMETER, "packet");
    hc_input_ep(h, 3, EP_BULK_IN, 512, 0);
    stl32(input_ctx(h, 4), 1 << 10);
    cr_assert_eq(hc_cmd(h, INPUT, TRB_CONFIGURE_EP, 1, 0), CC_PARAMETER, "streams");
    cr_assert_eq(ep_state(h, 3), EP_DISABLED);
    cr_assert_eq(hc_cmd(h, 0x7fffff00000, TRB_CONFIGURE_EP, 1, 0), CC_PARAMETER, "no memory there");
    hc_end(h);
}

Test(xhci, deconfigure)
{
    struct hc *h = tablet();

    cr_assert_eq(ep_state(h, 3), EP_RUNNING);
    cr_assert_eq(ldl32(h->m->ram + DEV_CTX + 12) >> 27, SLOT_CONFIGURED);
    cr_assert_eq(hc_cmd(h, 0, TRB_CONFIGURE_EP, 1, TRB_DC), CC_SUCCESS);
    cr_assert_eq(ep_state(h, 3), EP_DISABLED);
    cr_assert_eq(ldl32(h->m->ram + DEV_CTX + 12) >> 27, SLOT_ADDRESSED);
    hc_end(h);
}

/* ---- transfers ------------------------------------------------------------------------------------ */

Test(xhci, control_transfers)
{
    struct hc *h = tablet();
    const uint8_t *d = h->m->ram + DATA;

    cr_assert_eq(hc_control(h, 0x80, USB_GET_DESCRIPTOR, USB_DESC_DEVICE << 8, 0, 64), 18);
    cr_assert_eq(ldl16(d + 2), 0x200);
    cr_assert_eq(d[7], 64);
    cr_assert_eq(hc_control(h, 0x80, USB_GET_DESCRIPTOR, USB_DESC_CONFIG << 8, 0, 255), 34);
    cr_assert_eq(d[33], 7, "8 ms in microframes");
    cr_assert_eq(hc_control(h, 0x80, USB_GET_DESCRIPTOR, USB_DESC_QUALIFIER << 8, 0, 10), 10);
    cr_assert_eq(d[7], 8, "at full speed");
    cr_assert_eq(hc_control(h, 0x80, USB_GET_DESCRIPTOR, USB_DESC_BOS << 8, 0, 22), -CC_STALL, "no USB 3");
    cr_assert_eq(ep_state(h, 1), EP_HALTED);
    cr_assert_eq(hc_cmd(h, 0, TRB_RESET_EP, 1, 1 << 16), CC_SUCCESS);
    h->tr[1] = 0;
    memset(h->m->ram + ring_of(1), 0, 0x1000);
    cr_assert_eq(hc_cmd(h, ring_of(1) | 1, TRB_SET_DEQUEUE, 1, 1 << 16), CC_SUCCESS);
    cr_assert_eq(hc_control(h, 0x80, USB_GET_CONFIGURATION, 0, 0, 1), 1, "it recovers");
    cr_assert_eq(d[0], 1);
    hc_end(h);
}

Test(xhci, tablet_reports_in_its_interval)
{
    struct hc *h = tablet();
    const uint8_t *r = h->m->ram + DATA;
    uint64_t at = hc_put(h, 3, DATA, 8, TRB_NORMAL << 10 | TRB_IOC | TRB_ISP);
    struct xhci_trb ev;

    hc_put(h, 3, DATA + 8, 8, TRB_NORMAL << 10 | TRB_IOC | TRB_ISP);
    hc_ring(h, 3);
    hc_step(h, 100000 * US);
    cr_assert_eq(EV_TYPE(hc_event(h)), 0, "NAK");
    input_position(h->m, 1023, 0, 1024, 768, 0, MOUSE_LEFT);
    ev = hc_event(h);
    cr_assert_eq(EV_TYPE(ev), TRB_EV_TRANSFER, "at once");
    cr_assert_eq(EV_CODE(ev), CC_SHORT);
    cr_assert_eq(EV_LEN(ev), 2, "6 of 8");
    cr_assert_eq(ev.param, at);
    cr_assert_eq(TRB_DCI(ev.control), 3);
    cr_assert_eq(ldl16(r + 1), 32767);
    input_position(h->m, 0, 0, 1024, 768, 0, 0);
    cr_assert_eq(EV_TYPE(hc_event(h)), 0);
    hc_step(h, 8000 * US - 1);
    cr_assert_eq(EV_TYPE(hc_event(h)), 0, "64 microframes");
    hc_step(h, 1);
    cr_assert_eq(EV_CODE(hc_event(h)), CC_SHORT);
    hc_end(h);
}

/* A report in two pieces, and a note behind it. */
Test(xhci, event_data)
{
    struct hc *h = tablet();
    struct xhci_trb ev;

    hc_put(h, 3, DATA, 2, TRB_NORMAL << 10 | TRB_CH);
    hc_put(h, 3, DATA + 0x100, 6, TRB_NORMAL << 10 | TRB_CH);
    hc_put(h, 3, 0x1234567890, 0, TRB_EVENT_DATA << 10 | TRB_IOC);
    hc_ring(h, 3);
    input_position(h->m, 1023, 0, 1024, 768, 0, MOUSE_LEFT);
    ev = hc_event(h);
    cr_assert_eq(ev.param, 0x1234567890);
    cr_assert_eq(EV_LEN(ev), 6, "bytes moved");
    cr_assert_eq(EV_CODE(ev), CC_SHORT);
    cr_assert(ev.control & TRB_ED);
    cr_assert_eq(h->m->ram[DATA], 1);
    cr_assert_eq(h->m->ram[DATA + 0x100], 0x7f);
    cr_assert_eq(EV_TYPE(hc_event(h)), 0);
    hc_end(h);
}

Test(xhci, stop_endpoint)
{
    struct hc *h = tablet();
    uint64_t at = hc_put(h, 3, DATA, 8, TRB_NORMAL << 10 | TRB_IOC);
    struct xhci_trb ev;

    hc_ring(h, 3);
    hc_post(h, 0, 0, TRB_STOP_EP << 10 | 3 << 16 | 1 << 24);
    hc_wr(h, DOORBELLS, 0);
    ev = hc_event(h);
    cr_assert_eq(EV_TYPE(ev), TRB_EV_TRANSFER);
    cr_assert_eq(EV_CODE(ev), CC_STOPPED);
    cr_assert_eq(ev.param, at);
    cr_assert_eq(EV_LEN(ev), 8);
    cr_assert_eq(EV_CODE(hc_event(h)), CC_SUCCESS);
    cr_assert_eq(ep_state(h, 3), EP_STOPPED);
    cr_assert_eq(ldl64(h->m->ram + DEV_CTX + 3 * 32 + 8), at | 1);
    input_position(h->m, 1, 1, 10, 10, 0, 0);
    cr_assert_eq(EV_TYPE(hc_event(h)), 0, "it stands");
    hc_ring(h, 3);
    cr_assert_eq(EV_CODE(hc_event(h)), CC_SHORT, "and goes on");
    hc_end(h);
}

Test(xhci, unplugged_devices_do_not_answer)
{
    struct hc *h = tablet();
    struct device *d = &h->s->socket[0].dev->dev;
    struct xhci_trb ev;

    hc_put(h, 3, DATA, 8, TRB_NORMAL << 10 | TRB_IOC);
    hc_ring(h, 3);
    machine_remove_device(h->m, d);
    ev = hc_event_of(h, TRB_EV_TRANSFER);
    cr_assert_eq(EV_CODE(ev), CC_TRANSACTION);
    cr_assert_eq(ep_state(h, 3), EP_HALTED);
    hc_end(h);
}

/* ---- interrupts --------------------------------------------------------------------------------------- */

static void one_vector(struct hc *h)
{
    mmio_write(&h->m->mem, XHCI_TABLE, 0xfee00000, 4);
    mmio_write(&h->m->mem, XHCI_TABLE + 8, 0x45, 4);
    mmio_write(&h->m->mem, XHCI_TABLE + 12, 0, 4);
    cfg_wr(h->m, XHCI_DEV, h->s->msix.cap + 2, 0x8000, 2);
}

Test(xhci, message)
{
    struct hc *h = hc_new();

    one_vector(h);
    hc_cmd(h, 0, TRB_NOOP_CMD, 0, 0);
    cr_assert_eq(rig_vector(&h->r), 0x45);
    cr_assert_eq(rig_vector(&h->r), -1);
    cr_assert_eq(hc_rd(h, RT_INTR) & IMAN_IP, 0, "the message has cleared it");
    cr_assert_eq(hc_rd(h, OP_STS) & STS_EINT, STS_EINT);
    hc_wr(h, OP_STS, STS_EINT);
    cr_assert_eq(hc_rd(h, OP_STS) & STS_EINT, 0);
    hc_end(h);
}

/* While the handler is busy, and for the interval, nothing; then one for all that came. */
Test(xhci, moderation)
{
    struct hc *h = hc_new();

    one_vector(h);
    hc_wr(h, RT_INTR + 4, 400);                  /* 100 us */
    for (unsigned i = 0; i < 3; i++) {
        hc_post(h, 0, 0, TRB_NOOP_CMD << 10);
        hc_wr(h, DOORBELLS, 0);
    }
    cr_assert_eq(rig_vector(&h->r), 0x45);
    hc_step(h, 200 * US);
    cr_assert_eq(rig_vector(&h->r), -1, "EHB");
    hc_event(h);
    cr_assert_eq(rig_vector(&h->r), 0x45, "there were more, and the interval is over");
    hc_post(h, 0, 0, TRB_NOOP_CMD << 10);
    hc_wr(h, DOORBELLS, 0);
    hc_event(h);
    hc_step(h, 99 * US);
    cr_assert_eq(rig_vector(&h->r), -1);
    cr_assert_neq(hc_rd(h, RT_INTR + 4) >> 16, 0, "IMODC counts down");
    hc_step(h, US);
    cr_assert_eq(rig_vector(&h->r), 0x45);
    while (EV_TYPE(hc_event(h)))
        ;
    hc_step(h, 200 * US);
    cr_assert_eq(rig_vector(&h->r), -1, "all is seen");
    hc_end(h);
}

Test(xhci, pin)
{
    static const char *const props[] = { "msix", "off", NULL };
    struct hc *h = xzalloc(sizeof *h);
    unsigned pirq;

    hc_init(h, props);
    pirq = pci_pirq_of(h->m->pci, XHCI_DEV, 1);
    cr_assert_eq(h->r.line[pirq], 0);
    hc_cmd(h, 0, TRB_NOOP_CMD, 0, 0);
    cr_assert_eq(h->r.line[pirq], 1);
    hc_wr(h, RT_INTR, 3);
    cr_assert_eq(h->r.line[pirq], 0);
    hc_end(h);
}

/* ---- what a driver should not do -------------------------------------------------------------------------- */

/* The event ring is full: commands wait, and none of their answers is lost. */
Test(xhci, full_event_ring)
{
    struct hc *h = hc_new();
    unsigned n = 0;

    for (unsigned i = 0; i < 60; i++)
        hc_post(h, 0, 0, TRB_NOOP_CMD << 10);
    hc_wr(h, DOORBELLS, 0);
    for (struct xhci_trb ev; EV_TYPE(ev = hc_event(h)); n++) {
        cr_assert_eq(EV_TYPE(ev), TRB_EV_COMMAND, "event %u", n);
        cr_assert_eq(ev.param, CMD_RING + n * 16);
    }
    cr_assert_eq(n, 60);
    hc_end(h);
}

Test(xhci, rings_of_links)
{
    struct hc *h = tablet();

    hc_trb(h, ring_of(3), ring_of(3), 0, TRB_LINK << 10 | 1);
    hc_ring(h, 3);
    cr_assert_eq(ep_state(h, 3), EP_ERROR);
    hc_trb(h, CMD_RING + h->cmd * 16, CMD_RING + h->cmd * 16, 0, TRB_LINK << 10 | 1);
    hc_wr(h, DOORBELLS, 0);
    cr_assert_eq(hc_rd(h, OP_STS) & (STS_HCH | STS_HCE | STS_HSE), 0);
    hc_end(h);
}

/* Descriptors without end are carried out in portions; a chain without end is none. */
Test(xhci, rings_without_end)
{
    struct hc *h = tablet();

    for (unsigned i = 0; i < 255; i++)
        hc_trb(h, ring_of(1) + i * 16, 0, 0, TRB_NOOP << 10 | 1);
    hc_trb(h, ring_of(1) + 255 * 16, ring_of(1), 0, TRB_LINK << 10 | 1);
    hc_ring(h, 1);
    hc_step(h, 1000 * US);
    cr_assert_eq(ep_state(h, 1), EP_RUNNING);
    cr_assert(h->s->work.queued, "it goes on");
    cr_assert_eq(hc_cmd(h, 0, TRB_STOP_EP, 1, 1 << 16), CC_SUCCESS);
    for (unsigned i = 0; i < 255; i++)
        hc_trb(h, ring_of(1) + i * 16, DATA, 1, TRB_NORMAL << 10 | TRB_CH | 1);
    hc_ring(h, 1);
    cr_assert_eq(EV_CODE(hc_event_of(h, TRB_EV_TRANSFER)), CC_TRB);
    cr_assert_eq(ep_state(h, 1), EP_ERROR);
    hc_end(h);
}

Test(xhci, no_memory_for_a_ring)
{
    struct hc *h = hc_new();

    hc_wr(h, OP_CRCR, 4);
    hc_wr64(h, OP_CRCR, 0x7ffffff00000 | 1);
    hc_wr(h, DOORBELLS, 0);
    cr_assert_eq(hc_rd(h, OP_STS) & (STS_HCH | STS_HSE), STS_HCH | STS_HSE);
    hc_wr(h, OP_CMD, CMD_RS);
    cr_assert_eq(hc_rd(h, OP_STS) & STS_HCH, STS_HCH, "it wants a reset");
    hc_wr(h, OP_CMD, CMD_HCRST);
    hc_start(h);
    cr_assert_eq(hc_cmd(h, 0, TRB_NOOP_CMD, 0, 0), CC_SUCCESS);
    hc_end(h);
}

Test(xhci, no_segment_table)
{
    struct hc *h = hc_new();

    hc_wr(h, OP_CMD, CMD_HCRST);
    hc_start(h);
    stl32(h->m->ram + ERST + 8, 3);
    hc_wr64(h, RT_INTR + 0x10, ERST);
    hc_post(h, 0, 0, TRB_NOOP_CMD << 10);
    hc_wr(h, DOORBELLS, 0);
    cr_assert_eq(hc_rd(h, OP_STS) & (STS_HCH | STS_HCE), STS_HCH | STS_HCE, "segments have 16 TRBs at least");
    hc_end(h);
}

Test(xhci, data_that_goes_nowhere)
{
    struct hc *h = tablet();

    hc_put(h, 3, 0x7ffffff00000, 8, TRB_NORMAL << 10 | TRB_IOC);
    hc_ring(h, 3);
    input_position(h->m, 1, 1, 10, 10, 0, 0);
    cr_assert_eq(EV_CODE(hc_event(h)), CC_SHORT);
    hc_put(h, 3, XHCI_BAR + OP_CMD, 8, TRB_NORMAL << 10 | TRB_IOC);
    hc_step(h, 8000 * US);
    hc_ring(h, 3);
    input_position(h->m, 2, 2, 10, 10, 0, 0);
    cr_assert_eq(EV_CODE(hc_event(h)), CC_SHORT);
    cr_assert_eq(hc_rd(h, OP_CMD), CMD_RS | CMD_INTE, "its own registers are no memory");
    hc_end(h);
}
