/* hotplug.c - PCI cards that come and go: ports at 0xae00, GPE 1, who may and who may not */
#include "hw/acpi/acpi.h"
#include "hw/acpi/pm.h"
#include "hw/user-devices.h"
#include "tests/hw/board.h"

enum { UP = 0xae00, DOWN = 0xae04, EJECT = 0xae08, REMOVABLE = 0xae0c };

struct deleted {
    unsigned n;
    char id[16];
};

static void note(void *opaque, const struct device *d)
{
    struct deleted *del = opaque;

    del->n++;
    snprintf(del->id, sizeof del->id, "%s", d->id ? d->id : "");
}

static struct device *plug(struct machine *m, const char *name, const char *id, const char *addr,
                           struct err *e)
{
    struct user_prop p = { "addr", addr };

    return user_device_plug(m, user_device_find(name), id, &p, addr ? 1 : 0, e);
}

static bool event(struct machine *m)
{
    return m->pm->gpsts[0] & 2;
}

static void refused(struct machine *m, const char *name, const char *id, const char *addr, const char *why)
{
    struct err e = { "" };

    cr_assert_null(plug(m, name, id, addr, &e));
    cr_assert_not_null(strstr(e.msg, why), "%s", e.msg);
}

Test(hotplug, a_card_comes_and_goes)
{
    struct machine *m = board_machine();
    struct deleted del = { 0, "" };
    struct err e = { "" };
    struct device *d;

    m->device_deleted = note;
    m->device_deleted_opaque = &del;
    cr_assert_not(event(m));
    d = plug(m, "edu", "x", "5", &e);
    cr_assert_not_null(d, "%s", e.msg);
    cr_assert(event(m));
    cr_assert_eq(cfg_rd(m, PCI_DEVFN(5, 0), 0, 4), 0x11e81234);
    cr_assert_eq(port_read(m, REMOVABLE, 4), 1 << 5);
    cr_assert_eq(port_read(m, UP, 4), 1 << 5);
    cr_assert_eq(port_read(m, UP, 4), 0, "told once");
    m->pm->gpsts[0] = 0;

    cr_assert_eq(user_device_unplug(d, &e), 0);
    cr_assert(event(m));
    cr_assert_eq(port_read(m, DOWN, 4), 1 << 5);
    cr_assert_eq(cfg_rd(m, PCI_DEVFN(5, 0), 0, 4), 0x11e81234, "until the guest lets it go");
    port_write(m, EJECT, 1 << 5, 4);
    cr_assert_eq(cfg_rd(m, PCI_DEVFN(5, 0), 0, 4), 0xffffffff);
    cr_assert_eq(port_read(m, DOWN, 4), 0);
    cr_assert_not_null(machine_device_by_id(m, "x"), "the main loop removes it");
    cr_assert_eq(del.n, 0);
    cr_assert_eq(m->request_remove, 1);
    machine_remove_gone(m);
    cr_assert_eq(del.n, 1);
    cr_assert_str_eq(del.id, "x");
    cr_assert_null(machine_device_by_id(m, "x"));
    cr_assert_not_null(plug(m, "edu", "x", "5", &e), "the place is free again: %s", e.msg);
    machine_free(m);
}

/* The guest may let go of what nobody asked for; of the chipset it cannot. */
Test(hotplug, ejecting_unasked)
{
    struct machine *m = board_machine();
    struct err e = { "" };

    cr_assert_not_null(plug(m, "edu", NULL, NULL, &e), "%s", e.msg);
    port_write(m, EJECT, ~0u, 4);
    machine_remove_gone(m);
    cr_assert_eq(cfg_rd(m, PCI_DEVFN(3, 0), 0, 4), 0xffffffff);
    cr_assert_eq(cfg_rd(m, PCI_DEVFN(0, 0), 0, 4), 0x12378086);
    cr_assert_eq(cfg_rd(m, PCI_DEVFN(1, 3), 0, 4), 0x71138086);
    port_write(m, EJECT, ~0u, 4);
    port_write(m, EJECT, 0xff, 1);
    port_write(m, UP, ~0u, 4);
    cr_assert_eq(port_read(m, UP, 4), 0);
    machine_free(m);
}

Test(hotplug, a_reset_completes_it)
{
    struct machine *m = board_machine();
    struct err e = { "" };
    struct device *d = plug(m, "edu", "x", "6", &e);

    cr_assert_eq(user_device_unplug(d, &e), 0);
    machine_reset(m);
    machine_remove_gone(m);
    cr_assert_eq(cfg_rd(m, PCI_DEVFN(6, 0), 0, 4), 0xffffffff);
    cr_assert_eq(port_read(m, DOWN, 4), 0);
    machine_free(m);
}

Test(hotplug, an_interrupt_goes_with_the_card)
{
    struct machine *m = board_machine();
    struct err e = { "" };
    struct pci_device *p = (struct pci_device *)plug(m, "edu", NULL, "3", &e);
    unsigned pirq = pci_pirq_of(m->pci, p->devfn, 1);

    pci_irq_set(p, 1);
    cr_assert_eq(m->pci->intx_count[pirq], 1);
    port_write(m, EJECT, 1 << 3, 4);
    cr_assert_eq(m->pci->intx_count[pirq], 0);
    machine_remove_gone(m);
    cr_assert_eq(m->pci->intx_count[pirq], 0);
    machine_free(m);
}

Test(hotplug, refusals)
{
    struct machine *m = board_machine();
    struct err e = { "" };
    struct device *d = plug(m, "edu", "x", "4", &e);

    refused(m, "edu", "x", NULL, "id 'x' is taken");
    refused(m, "edu", NULL, "4", "PCI slot 4 is taken by edu");
    refused(m, "edu", NULL, "1", "can be changed while it runs");
    refused(m, "edu", NULL, "5.1", "function 0");
    refused(m, "edu", NULL, "zz", "SLOT or SLOT.FUNCTION");
    refused(m, "VGA", NULL, NULL, "VGA cannot be plugged into a machine that runs");
    refused(m, "ide-cd", NULL, NULL, "ide-cd cannot");
    refused(m, "usb-tablet", NULL, NULL, "no USB controller");
    m->cfg.no_acpi = true;
    refused(m, "edu", NULL, NULL, "no ACPI");
    cr_assert_lt(user_device_unplug(d, &e), 0);
    m->cfg.no_acpi = false;
    for (unsigned n = 0; n <= 28; n++)
        if (!plug(m, "edu", NULL, NULL, &e))
            cr_assert_eq(n, 28, "%s", e.msg);
    cr_assert_not_null(strstr(e.msg, "all PCI slots are taken"), "%s", e.msg);
    machine_free(m);
}
