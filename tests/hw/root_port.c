/* root_port.c - bridges route by bus number and window; the slot of a PCI Express root port */
#include "hw/misc/edu.h"
#include "hw/pci/root-port.h"
#include "hw/user-devices.h"
#include "tests/hw/board.h"

#define PORT PCI_DEVFN(3, 0)
#define CAP  0x40
enum { SLOT_CTL = CAP + 0x18, SLOT_STA = CAP + 0x1a, LINK_STA = CAP + 0x12 };

static struct machine *m;
static int line[8];

static struct device *add(const char *type, const char *id, const char *prop, const char *val)
{
    const struct user_prop props[] = { { prop, val } };
    struct err e = { "" };
    struct device *d = user_device_add(m, user_device_find(type), id, props, 1, &e);

    cr_assert_not_null(d, "%s", e.msg);
    return d;
}

static void setup(void)
{
    m = stepped_machine();
    m->cfg.board = BOARD_Q35;
    pci_bus_new(m);
    board_add(m, &mch_type, PCI_DEVFN(0, 0));
    board_add(m, &ich9_lpc_type, PCI_DEVFN(31, 0));
    add("pcie-root-port", "p1", "addr", "3");
    machine_reset(m);
    m->pci->pirq_set = watch_line;
    m->pci->pirq_opaque = line;
}

static void teardown(void)
{
    m->pci->pirq_set = NULL;
    machine_free(m);
}

TestSuite(root_port, .init = setup, .fini = teardown);

static void route(void)
{
    cfg_wr(m, PORT, 0x18, 0x030200, 4);         /* buses 2 and 3 */
    cfg_wr(m, PORT, 0x20, 0xe010e000, 4);       /* 0xe0000000 to 0xe01fffff */
    cfg_wr(m, PORT, PCI_COMMAND, 6, 2);
}

static uint32_t below(uint8_t bus, uint8_t reg)
{
    port_write(m, 0xcf8, 0x80000000u | bus << 16 | reg, 4);
    return port_read(m, 0xcfc, 4);
}

static struct device *plug(void)
{
    const struct user_prop props[] = { { "bus", "p1" } };
    struct err e = { "" };
    struct device *d = user_device_plug(m, user_device_find("edu"), "e1", props, 1, &e);

    cr_assert_not_null(d, "%s", e.msg);
    return d;
}

Test(root_port, leads_to_its_buses_and_through_its_window)
{
    struct pci_device *p = (struct pci_device *)add("edu", "e1", "bus", "p1");

    cr_assert_eq(below(2, 0), 0xffffffff, "no bus number yet");
    route();
    cr_assert_eq(below(2, 0) & 0xffff, 0x1234);
    cr_assert_eq(below(3, 0), 0xffffffff, "nothing there");
    cr_assert_eq(p->dma.rid, 0x200);
    pci_config_write(p, PCI_BAR0, 0xe0100000, 4);
    pci_config_write(p, PCI_COMMAND, 2, 2);
    cr_assert_eq(p->bar[0].mapped_at, 0xe0100000);
    cfg_wr(m, PORT, 0x22, 0xe000, 2);           /* the window ends before it */
    cr_assert_eq(p->bar[0].mapped_at, PCI_UNMAPPED);
    cfg_wr(m, PORT, 0x22, 0xe010, 2);
    cr_assert_eq(p->bar[0].mapped_at, 0xe0100000);
    cfg_wr(m, PORT, PCI_COMMAND, 4, 2);
    cr_assert_eq(p->bar[0].mapped_at, PCI_UNMAPPED);
    cfg_wr(m, PORT, 0x3e, 0x40, 1);             /* bus reset */
    cr_assert_eq(pci_config_read(p, PCI_COMMAND, 2), 0);
    machine_reset(m);
    cr_assert_eq(below(2, 0), 0xffffffff);
}

Test(root_port, turns_pins_by_slot)
{
    struct pci_device *p = (struct pci_device *)add("edu", "e1", "bus", "p1");
    unsigned pirq = pci_pirq_of(m->pci, PORT, 1);

    pci_irq_set(p, 1);
    cr_assert_eq(line[pirq], 1);
    pci_irq_set(p, 0);
    cr_assert_eq(line[pirq], 0);
}

Test(root_port, tells_of_a_card_and_waits_for_the_guest_to_let_it_go)
{
    unsigned pirq = pci_pirq_of(m->pci, PORT, 1);
    struct err e = { "" };
    struct device *d;

    route();
    cr_assert_eq(cfg_rd(m, PORT, SLOT_CTL, 2), 0x700, "empty: power and indicator off");
    cfg_wr(m, PORT, SLOT_CTL, 0x1721, 2);       /* button, link change, interrupt */
    d = plug();
    cr_assert_eq(cfg_rd(m, PORT, SLOT_STA, 2), 0x149);
    cr_assert(cfg_rd(m, PORT, LINK_STA, 2) & 0x2000);
    cr_assert_eq(line[pirq], 1);
    cfg_wr(m, PORT, SLOT_STA, 0x109, 2);
    cr_assert_eq(cfg_rd(m, PORT, SLOT_STA, 2), 0x40);
    cr_assert_eq(line[pirq], 0);
    cfg_wr(m, PORT, SLOT_CTL, 0x1121, 2);       /* power on */
    cr_assert_eq(user_device_unplug(d, &e), 0);
    cr_assert_eq(cfg_rd(m, PORT, SLOT_STA, 2), 0x41);
    cr_assert_eq(user_device_unplug(d, &e), -EBUSY, "a second press would take it back");
    cr_assert_not(d->gone);
    cfg_wr(m, PORT, SLOT_STA, 1, 2);
    cfg_wr(m, PORT, SLOT_CTL, 0x1721, 2);       /* power off */
    cr_assert(d->gone);
    cr_assert_eq(cfg_rd(m, PORT, SLOT_STA, 2), 0x108);
    cr_assert_eq(below(2, 0), 0xffffffff);
    machine_remove_gone(m);
    plug();
}

Test(root_port, a_guest_that_does_not_listen_finds_the_card_switched_on)
{
    struct err e = { "" };
    struct device *d = plug();

    cr_assert_eq(cfg_rd(m, PORT, SLOT_CTL, 2), 0x100);
    cr_assert_eq(user_device_unplug(d, &e), 0);
    cr_assert_not(d->gone);
    machine_reset(m);
    cr_assert(d->gone, "who starts anew starts without it");
    machine_remove_gone(m);
}

Test(root_port, a_guest_that_powers_off_by_itself_keeps_the_card)
{
    struct device *d = plug();

    cfg_wr(m, PORT, SLOT_CTL, 0x700, 2);
    cr_assert_not(d->gone);
    cr_assert_eq(cfg_rd(m, PORT, SLOT_STA, 2) & 0x40, 0x40);
}
