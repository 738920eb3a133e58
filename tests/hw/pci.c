/* pci.c - configuration space, BARs, INTx, shadow windows of the host bridge */
#include "tests/hw/board.h"

struct card {
    struct pci_device pci;
    struct mem_region regs, big;
};

static uint64_t card_read(void *opaque, uint64_t off, unsigned size)
{
    return 0xc0ffee00 + off;
}

static void card_write(void *opaque, uint64_t off, uint64_t val, unsigned size)
{
}

static const struct io_ops card_ops = { card_read, card_write, 1, 4 };

static int card_init(struct device *d, struct err *e)
{
    struct card *c = (struct card *)d;
    static const struct pci_info info = { .vendor = 0x1234, .device = 0x5678,
                                          .class_code = 0x020000, .int_pin = 1 };
    int ret = pci_device_init(&c->pci, &info, e);

    if (ret < 0)
        return ret;
    c->regs = (struct mem_region){ .name = "regs", .len = 0x1000, .kind = MEM_MMIO,
                                   .ops = &card_ops };
    c->big = c->regs;
    c->big.len = 8 * GiB;
    pci_bar_mem(&c->pci, 0, 0, &c->regs);
    pci_bar_io(&c->pci, 1, 32, "card", &card_ops, c);
    pci_bar_mem(&c->pci, 2, PCI_BAR_64 | PCI_BAR_PREFETCH, &c->big);
    pci_rom(&c->pci, (const uint8_t *)"\x55\xaa", 2);
    return 0;
}

static void card_reset(struct device *d)
{
    pci_device_reset((struct pci_device *)d);
}

static void card_destroy(struct device *d)
{
    pci_device_unplug((struct pci_device *)d);
}

static const struct device_type card_type = {
    .name = "card", .size = sizeof(struct card), .init = card_init,
    .reset = card_reset, .destroy = card_destroy,
};

#define CARD PCI_DEVFN(3, 0)

static struct machine *card_machine(void)
{
    struct machine *m = board_machine();

    board_add(m, &card_type, CARD);
    machine_reset(m);
    return m;
}

Test(pci, identification_and_absent_slots)
{
    struct machine *m = card_machine();

    cr_assert_eq(cfg_rd(m, 0, 0, 4), 0x12378086);
    cr_assert_eq(cfg_rd(m, PCI_DEVFN(1, 0), 0, 4), 0x70008086);
    cr_assert_eq(cfg_rd(m, PCI_DEVFN(1, 0), PCI_HEADER_TYPE, 1), 0x80);
    cr_assert_eq(cfg_rd(m, PCI_DEVFN(1, 3), 0, 4), 0x71138086);
    cr_assert_eq(cfg_rd(m, CARD, PCI_CLASS, 1), 0);
    cr_assert_eq(cfg_rd(m, CARD, PCI_CLASS + 1, 2), 0x0200);
    cr_assert_eq(cfg_rd(m, PCI_DEVFN(9, 0), 0, 4), 0xffffffff);
    port_write(m, 0xcf8, 0x80010000, 4);
    cr_assert_eq(port_read(m, 0xcfc, 4), 0xffffffff, "bus 1");
    port_write(m, 0xcf8, 0, 4);
    cr_assert_eq(port_read(m, 0xcfc, 4), 0xffffffff, "enable bit clear");
    cfg_wr(m, CARD, 0, 0xdeadbeef, 4);
    cr_assert_eq(cfg_rd(m, CARD, 0, 4), 0x56781234, "read-only");
    machine_free(m);
}

Test(pci, bars_size_as_the_specification_says)
{
    struct machine *m = card_machine();

    for (unsigned reg = 0x10; reg < 0x28; reg += 4)
        cfg_wr(m, CARD, reg, 0xffffffff, 4);
    cfg_wr(m, CARD, PCI_ROM_BAR, 0xfffff800, 4);
    cr_assert_eq(cfg_rd(m, CARD, 0x10, 4), 0xfffff000);
    cr_assert_eq(cfg_rd(m, CARD, 0x14, 4), 0xffffffe1);
    cr_assert_eq(cfg_rd(m, CARD, 0x18, 4), 0x0000000c);
    cr_assert_eq(cfg_rd(m, CARD, 0x1c, 4), 0xfffffffe);
    cr_assert_eq(cfg_rd(m, CARD, 0x20, 4), 0, "not implemented");
    cr_assert_eq(cfg_rd(m, CARD, PCI_ROM_BAR, 4), 0xfffff000);
    machine_free(m);
}

Test(pci, bars_decode_only_when_enabled)
{
    struct machine *m = card_machine();

    cfg_wr(m, CARD, 0x10, 0x90000000, 4);
    cfg_wr(m, CARD, 0x14, 0xc000, 4);
    cr_assert_eq(mmio_read(&m->mem, 0x90000010, 4), 0xffffffff);
    cfg_wr(m, CARD, PCI_COMMAND, PCI_COMMAND_MEM, 2);
    cr_assert_eq(mmio_read(&m->mem, 0x90000010, 4), 0xc0ffee10);
    cr_assert_eq(port_read(m, 0xc004, 4), 0xffffffff);
    cfg_wr(m, CARD, PCI_COMMAND, PCI_COMMAND_MEM | PCI_COMMAND_IO, 2);
    cr_assert_eq(port_read(m, 0xc004, 4), 0xc0ffee04);
    cfg_wr(m, CARD, 0x14, 0xd000, 4);
    cr_assert_eq(port_read(m, 0xc004, 4), 0xffffffff, "moved");
    cr_assert_eq(port_read(m, 0xd004, 4), 0xc0ffee04);
    cfg_wr(m, CARD, PCI_ROM_BAR, 0x91000001, 4);
    cr_assert_eq(mmio_read(&m->mem, 0x91000000, 2), 0xaa55);
    machine_reset(m);
    cr_assert_eq(mmio_read(&m->mem, 0x90000010, 4), 0xffffffff);
    machine_free(m);
}

Test(pci, a_bar_on_ram_does_not_hide_ram)
{
    struct machine *m = card_machine();

    m->ram[0x2000] = 0x5a;
    cfg_wr(m, CARD, PCI_COMMAND, PCI_COMMAND_MEM, 2);
    cfg_wr(m, CARD, 0x10, 0x2000, 4);
    cr_assert_eq(mmio_read(&m->mem, 0x2000, 1), 0x5a);
    machine_free(m);
}

Test(pci, a_64_bit_bar_above_4_gib)
{
    struct machine *m = card_machine();

    cfg_wr(m, CARD, 0x18, 0, 4);
    cfg_wr(m, CARD, 0x1c, 0x40, 4);
    cfg_wr(m, CARD, PCI_COMMAND, PCI_COMMAND_MEM, 2);
    cr_assert_eq(mmio_read(&m->mem, 0x4000000020, 4), 0xc0ffee20);
    machine_free(m);
}

Test(pci, slots_cannot_be_shared)
{
    struct machine *m = card_machine();
    uint8_t devfn = CARD;
    struct err e = { "" };

    cr_assert_null(machine_add_device(m, &card_type, 0, NULL, pci_setup_devfn, &devfn, &e));
    cr_assert_not_null(strstr(e.msg, "taken"));
    machine_free(m);
}

Test(pci, intx_honours_the_mask_and_shows_in_status)
{
    struct machine *m = card_machine();
    struct pci_device *p = pci_find(m->pci, 0, CARD);
    int level[4] = { 0 };

    m->pci->pirq_set = watch_line;
    m->pci->pirq_opaque = level;
    pci_irq_set(p, 1);
    cr_assert_eq(level[2], 1, "INTA of slot 3 is PIRQC");
    cr_assert(cfg_rd(m, CARD, PCI_STATUS, 2) & PCI_STATUS_INTX);
    cfg_wr(m, CARD, PCI_COMMAND, PCI_COMMAND_INTX_OFF, 2);
    cr_assert_eq(level[2], 0);
    cr_assert(cfg_rd(m, CARD, PCI_STATUS, 2) & PCI_STATUS_INTX);
    cfg_wr(m, CARD, PCI_COMMAND, 0, 2);
    cr_assert_eq(level[2], 1);
    machine_reset(m);
    cr_assert_eq(level[2], 0);
    m->pci->pirq_set = NULL;
    machine_free(m);
}

Test(pci, capabilities_chain)
{
    struct machine *m = card_machine();
    struct pci_device *p = pci_find(m->pci, 0, CARD);
    uint8_t a = pci_add_cap(p, 0x05, 10), b = pci_add_cap(p, 0x11, 12);

    cr_assert_eq(cfg_rd(m, CARD, PCI_CAP_PTR, 1), b);
    cr_assert_eq(cfg_rd(m, CARD, b, 2), (uint32_t)(0x11 | a << 8));
    cr_assert_eq(cfg_rd(m, CARD, a, 2), 0x05);
    cr_assert(cfg_rd(m, CARD, PCI_STATUS, 2) & PCI_STATUS_CAPS);
    cr_assert_eq(pci_add_cap(p, 1, 250), 0, "no room");
    machine_free(m);
}

/* ---- i440FX ------------------------------------------------------------------------ */

Test(i440fx, shadow_windows_switch)
{
    struct machine *m = board_machine();
    static uint8_t rom[0x10000] __attribute__((aligned(4096)));
    struct mem_region r = { .name = "rom", .base = 0xf0000, .len = 0x10000, .kind = MEM_ROM,
                            .prio = 1, .enabled = true, .host = rom };

    rom[0] = 0x11;
    mem_add(&m->mem, &r);
    cr_assert_eq(mmio_read(&m->mem, 0xf0000, 1), 0x11);
    cr_assert_eq(mmio_read(&m->mem, 0xc0000, 1), 0xff, "PCI, not RAM");
    cfg_wr(m, 0, 0x59, 0x20, 1);                  /* write RAM, read ROM */
    mmio_write(&m->mem, 0xf0000, 0x22, 1);
    cr_assert_eq(mmio_read(&m->mem, 0xf0000, 1), 0x11);
    cr_assert_eq(m->ram[0xf0000], 0x22);
    cfg_wr(m, 0, 0x59, 0x10, 1);                  /* read RAM only */
    cr_assert_eq(mmio_read(&m->mem, 0xf0000, 1), 0x22);
    mmio_write(&m->mem, 0xf0000, 0x33, 1);
    cr_assert_eq(mmio_read(&m->mem, 0xf0000, 1), 0x22);
    cfg_wr(m, 0, 0x59, 0x30, 1);
    mmio_write(&m->mem, 0xf0000, 0x33, 1);
    cr_assert_eq(mmio_read(&m->mem, 0xf0000, 1), 0x33);
    m->waking = true;
    machine_reset(m);
    cr_assert_eq(mmio_read(&m->mem, 0xf0000, 1), 0x33, "a wake-up leaves them");
    machine_reset(m);
    cr_assert_eq(mmio_read(&m->mem, 0xf0000, 1), 0x11);
    machine_free(m);
}

Test(i440fx, each_pam_nibble_has_its_window)
{
    struct machine *m = board_machine();

    for (unsigned n = 0; n < 12; n++) {
        gpa_t at = 0xc0000 + n * 0x4000;

        cfg_wr(m, 0, 0x5a + n / 2, 3 << (n & 1 ? 4 : 0), 1);
        mmio_write(&m->mem, at, 0x40 + n, 1);
        cr_assert_eq(mmio_read(&m->mem, at, 1), 0x40 + n, "window %u", n);
        cr_assert_eq(mmio_read(&m->mem, at + 0x4000, 1), 0xff, "window %u ends", n);
        cfg_wr(m, 0, 0x5a + n / 2, 0, 1);
    }
    machine_free(m);
}

Test(i440fx, a_reset_forgets_the_rows_of_memory)
{
    struct machine *m = board_machine();

    cfg_wr(m, 0, 0x50, 0xffff, 2);
    cfg_wr(m, 0, 0x57, 0xff, 1);
    cfg_wr(m, 0, 0x60, 0x08080808, 4);
    machine_reset(m);
    cr_assert_eq(cfg_rd(m, 0, 0x50, 2), 0);
    cr_assert_eq(cfg_rd(m, 0, 0x57, 1), 1);
    cr_assert_eq(cfg_rd(m, 0, 0x60, 4), 0x01010101);
    machine_free(m);
}

Test(i440fx, smram_opens_until_locked)
{
    struct machine *m = board_machine();

    m->ram[0xa0000] = 0x77;
    cr_assert_eq(mmio_read(&m->mem, 0xa0000, 1), 0xff);
    cfg_wr(m, 0, 0x72, 0x4a, 1);
    cr_assert_eq(mmio_read(&m->mem, 0xa0000, 1), 0x77);
    cfg_wr(m, 0, 0x72, 0x1a, 1);
    cr_assert_eq(mmio_read(&m->mem, 0xa0000, 1), 0xff);
    cfg_wr(m, 0, 0x72, 0x4a, 1);
    cr_assert_eq(mmio_read(&m->mem, 0xa0000, 1), 0xff, "locked");
    cr_assert_eq(cfg_rd(m, 0, 0x72, 1), 0x1a);
    machine_free(m);
}
