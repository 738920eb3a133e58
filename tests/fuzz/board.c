/*
 * board.c - random register accesses on a whole board: no device may crash
 *
 * The boards as pc_build() makes them (odd seeds: Q35), with one of each device the
 * user can add.
 * A case is a seed: BARs are placed, RAM is filled with what might be rings and
 * descriptors, then ports, configuration space and device windows are read and
 * written at random while the clock goes on. Most accesses go to one device,
 * so that it gets past its first states. Made for SAN=1.
 *
 *   board [--seed N] [--count N] [--seconds N] [--device NAME]
 *
 * With --device most accesses go to that one all the time.
 */
#include "block/block.h"
#include "hw/disk/ahci.h"
#include "hw/disk/drive.h"
#include "hw/disk/fdc.h"
#include "hw/disk/ide.h"
#include "hw/disk/nvme.h"
#include "hw/intc/intc.h"
#include "hw/pci/root-port.h"
#include "hw/user-devices.h"
#include "hw/virtio/virtio-serial.h"
#include "tests/fuzz/rig.h"

enum { RAM_BYTES = 8 << 20, OPS = 6000, MAX_WINDOWS = 96, CASE_SECONDS = 300, PER_CHILD = 50 };

struct window {
    uint64_t base, len;
    bool io, lapic, chosen;      /* chosen: of --device */
};

static const char *only;         /* --device */

struct fuzz {
    struct machine *m;
    struct vcpu vcpu, *vcpus[1];
    struct block_ctx *ctx;
    struct window win[MAX_WINDOWS];
    unsigned n_win;
    uint64_t rng;
    uint64_t mmio_at;
    unsigned n_drives;
    struct chardev chr;          /* behind each port of virtio-serial, with moods */
};

/* a register value: bits, a small number, or an address */
static uint64_t value(struct fuzz *f)
{
    switch (pick(f, 8)) {
    case 0: return r64(f);
    case 1: return 1ull << pick(f, 33);
    case 2: return pick(f, 16);
    case 3: return ~0ull;
    case 4: return (uint64_t)pick(f, RAM_BYTES >> 12) << 12;
    case 5: return pick(f, RAM_BYTES) & ~15u;
    case 6: return RAM_BYTES - pick(f, 64);
    default: return pick(f, 256);
    }
}

/* ---- the board ------------------------------------------------------------------ */

static void no_kick(struct vcpu *v) { }

static void die(const struct err *e) { fuzz_die("fuzz-board", e->msg); }

static int chr_write(struct chardev *c, const uint8_t *buf, int len)
{
    struct fuzz *f = container_of(c, struct fuzz, chr);

    return pick(f, 4) ? len : (int)pick(f, (unsigned)len + 1);
}

static void chr_poll(struct chardev *c)
{
    struct fuzz *f = container_of(c, struct fuzz, chr);
    int room = c->can_receive ? c->can_receive(c->front) : 0;
    uint8_t buf[256];

    memset(buf, (int)pick(f, 256), sizeof buf);
    if (room > 0)
        c->receive(c->front, buf, MIN(room, 1 + (int)pick(f, sizeof buf)));
}

static struct chardev *chr_claim(void *opaque, const char *id, struct err *e) { return opaque; }
static void chr_release(void *opaque, struct chardev *c) { }
static bool chr_is_open(const struct chardev *c) { return true; }

static const struct machine_chars chars = { chr_claim, chr_release, chr_is_open };

/* Something happens at the other side. */
static void chr_news(struct fuzz *f)
{
    struct chardev *c = &f->chr;

    if (!c->front)
        return;
    switch (pick(f, 3)) {
    case 0: c->event(c->front, pick(f, 2) ? CHR_EVENT_OPENED : CHR_EVENT_CLOSED); break;
    case 1: c->can_write(c->front); break;
    default: chr_poll(c); break;
    }
}

static int temp_file(char *path, unsigned bytes)
{
    int fd;

    strcpy(path, "/tmp/fuzz-board-XXXXXX");
    fd = mkstemp(path);
    if (fd < 0 || ftruncate(fd, bytes))
        perror("fuzz-board"), exit(2);
    return fd;
}

static void add_drive(struct fuzz *f, const char *id, unsigned bytes)
{
    struct err e = { "" };
    struct block_opts o;
    struct block *blk;
    char path[40];

    close(temp_file(path, bytes));
    block_opts_init(&o);
    o.file = xstrdup(path);
    o.format = xstrdup("raw");
    o.discard = true;
    blk = block_open(f->ctx, &o, &e);
    unlink(path);
    block_opts_free(&o);
    if (!blk)
        die(&e);
    drive_new(f->m, id, blk);
}

static bool is_q35(const struct fuzz *f)
{
    return f->m->cfg.board == BOARD_Q35;
}

/* What of the table is plugged into USB, or all else. */
static void add_table(struct fuzz *f, bool usb)
{
    size_t n;
    const struct user_device *u = user_devices(&n);
    struct err e = { "" };

    for (size_t i = 0; i < n; i++) {
        bool disk = !strcmp(u[i].category, "Storage") && u[i].type != &ahci_type;
        unsigned n_props = !disk ? 0 : u[i].type == &nvme_type ? 2 : 1;
        struct user_prop p[2] = { { "drive", "" }, { "serial", "1" } };
        bool port = u[i].type == &virtserialport_type;
        char id[8];

        if ((u[i].bus == USER_USB) != usb)
            continue;
        if ((u[i].bus == USER_SYSTEM || u[i].type == &pcie_root_port_type) && !is_q35(f))
            continue;
        if (strstr(u[i].type->name, "transitional"))     /* the same again by another name; one balloon is all there may be */
            continue;
        snprintf(id, sizeof(id), "d%u", (unsigned)i);
        p[0].val = id;
        if (port)
            p[n_props++].name = "chardev";
        if (disk)
            add_drive(f, id, u[i].bus == USER_ISA ? 1440 * 1024 : 1 << 20);
        if (!user_device_add(f->m, &u[i], NULL, p, n_props, &e))
            die(&e);
    }
}

static void add_devices(struct fuzz *f)
{
    uint8_t ide = PCI_DEVFN(1, 1);
    struct err e = { "" };

    if ((!is_q35(f) && !machine_add_device(f->m, &piix3_ide_type, 0, NULL, pci_setup_devfn, &ide, &e))
        || !machine_add_device(f->m, &fdc_type, 0, NULL, NULL, NULL, &e))
        die(&e);
    add_table(f, false);
    add_table(f, true);
}

static void make_board(struct fuzz *f)
{
    struct err e = { "" };
    char rom[40];
    struct machine_config cfg = { .board = f->rng & 1 ? BOARD_Q35 : BOARD_PC, .ram_bytes = RAM_BYTES, .bios = rom, .n_vcpus = 1,
                                  .no_vga = true };     /* it comes with the other devices */

    close(temp_file(rom, 256 * 1024));
    if (!(f->m = machine_new(&cfg, &e)))
        die(&e);
    clock_init_stepped(&f->m->clock);
    f->vcpu = (struct vcpu){ .machine = f->m, .kick = no_kick };
    f->vcpus[0] = &f->vcpu;
    f->m->vcpus = f->vcpus;
    f->m->n_vcpus = 1;
    f->chr = (struct chardev){ .label = "c", .write = chr_write, .poll_input = chr_poll };
    f->m->chars = &chars;
    f->m->chars_opaque = &f->chr;
    if (pc_build(f->m, &e))
        die(&e);
    unlink(rom);
    if (!(f->ctx = block_ctx_new(2, &e)))
        die(&e);
    add_devices(f);
    machine_reset(f->m);
}

static void free_board(struct fuzz *f)
{
    struct drive *drives = f->m->drives;

    machine_free(f->m);
    drives_free(drives, NULL);
    block_ctx_free(f->ctx);
}

/* ---- windows ---------------------------------------------------------------------- */

static void add_window(struct fuzz *f, uint64_t base, uint64_t len, bool io)
{
    if (f->n_win < MAX_WINDOWS)
        f->win[f->n_win++] = (struct window){ .base = base, .len = len, .io = io };
}

static bool is_chosen(const struct fuzz *f, unsigned devfn)
{
    for (const struct device *d = f->m->devices; only && d; d = d->next)
        if (!strcmp(d->type->name, only) && ((const struct pci_device *)d)->devfn == devfn)
            return true;
    return false;
}

static void place_bars(struct fuzz *f, unsigned devfn, uint16_t *io_at)
{
    unsigned first = f->n_win;

    for (unsigned reg = 0x10; reg < 0x28; reg += 4) {
        uint32_t bar, len;
        fuzz_cfg_wr(f->m, devfn, reg, 0xffffffff, 4);
        bar = fuzz_cfg_rd(f->m, devfn, reg);
        len = bar & 1 ? (uint16_t)-(bar & 0xfffc) : -(bar & ~15u);
        if (!len)
            continue;
        if (bar & 1) {
            *io_at = (uint16_t)align_up(*io_at, len);
            fuzz_cfg_wr(f->m, devfn, reg, *io_at, 4);
            add_window(f, *io_at, len, true);
            *io_at = (uint16_t)(*io_at + len);
        } else {
            f->mmio_at = align_up(f->mmio_at, len);
            fuzz_cfg_wr(f->m, devfn, reg, (uint32_t)f->mmio_at, 4);
            add_window(f, f->mmio_at, MIN(len, 0x8000u), false);
            f->mmio_at += len;
        }
        if ((bar & 7) == 4) {
            fuzz_cfg_wr(f->m, devfn, reg + 4, 0, 4);
            reg += 4;
        }
    }
    fuzz_cfg_wr(f->m, devfn, 4, 7, 2);
    while (first < f->n_win)
        f->win[first++].chosen = is_chosen(f, devfn);
}

static void find_windows(struct fuzz *f)
{
    static const struct { uint16_t base, len; } ports[] = {
        { 0, 0x20 }, { 0x20, 2 }, { 0xa0, 2 }, { 0x40, 4 }, { 0x60, 8 }, { 0x70, 2 }, { 0x80, 16 },
        { 0xc0, 0x20 }, { 0x1f0, 8 }, { 0x170, 8 }, { 0x3f0, 8 }, { 0x3b0, 0x30 }, { 0x1ce, 4 },
        { 0x510, 12 }, { 0x600, 0x40 }, { 0xb2, 2 }, { 0xcf8, 8 }, { 0x92, 1 }, { 0x4d0, 2 }, { 0xae00, 0x10 },
        { 0xaf00, 0x20 },
    };
    uint16_t io_at = 0xc000;

    for (unsigned i = 0; i < ARRAY_SIZE(ports); i++)
        add_window(f, ports[i].base, ports[i].len, true);
    add_window(f, 0xa0000, 0x20000, false);
    add_window(f, 0xfec00000, 0x100, false);
    add_window(f, 0xfed00000, 0x400, false);
    add_window(f, 0xfffc0000, 0x40000, false);
    f->win[f->n_win] = (struct window){ .len = 0x400, .lapic = true };
    f->n_win++;
    if (is_q35(f)) {
        fuzz_cfg_wr(f->m, 0, 0x60, MCH_ECAM_BASE | 1, 4);
        fuzz_cfg_wr(f->m, PCI_DEVFN(31, 0), 0xf0, ICH9_RCBA | 1, 4);
        fuzz_cfg_wr(f->m, PCI_DEVFN(31, 0), 0x40, 0x601, 4);
        fuzz_cfg_wr(f->m, PCI_DEVFN(31, 0), 0x44, 0x80, 1);
        add_window(f, MCH_ECAM_BASE, 0x100000, false);
        add_window(f, ICH9_RCBA + 0x3100, 0x100, false);
        for (unsigned i = 0; i < 4; i++)     /* VT-d: much to reach */
            add_window(f, 0xfed90000, 0x300, false);
    }
    f->mmio_at = 0xe0000000u;
    for (unsigned devfn = 0; devfn < 256; devfn++)
        if (fuzz_cfg_rd(f->m, devfn, 0) != 0xffffffff)
            place_bars(f, devfn, &io_at);
}

static void fill_ram(struct fuzz *f)
{
    for (unsigned i = 0; i < RAM_BYTES / 8; i += 1 + pick(f, 4))
        stl64(f->m->ram + i * 8, value(f) | (pick(f, 4) ? 0 : value(f) << 32));
}

/* ---- accesses ------------------------------------------------------------------------ */

static void access_window(struct fuzz *f, const struct window *w)
{
    /* registers at the start of a window do most */
    uint64_t off = pick(f, 4) ? pick(f, (unsigned)MIN(w->len, 0x100)) : r64(f) % w->len;
    unsigned size = 1u << pick(f, w->io ? 3 : 4);
    bool write = pick(f, 3);

    if (pick(f, 4))
        off &= ~(uint64_t)(size - 1);
    if (w->lapic) {
        if (write)
            lapic_mmio_write(f->vcpu.lapic, (uint32_t)off & ~15u, (uint32_t)value(f), 4);
        else
            lapic_mmio_read(f->vcpu.lapic, (uint32_t)off & ~15u, 4);
    } else if (w->io) {
        if (write)
            port_write(f->m, (uint16_t)(w->base + off), (uint32_t)value(f), size);
        else
            port_read(f->m, (uint16_t)(w->base + off), size);
    } else {
        machine_lock(f->m);
        if (write)
            mmio_write(&f->m->mem, w->base + off, value(f), size);
        else
            mmio_read(&f->m->mem, w->base + off, size);
        machine_unlock(f->m);
    }
}

static void one_op(struct fuzz *f, const struct window *favourite)
{
    switch (pick(f, 64)) {
    case 0:
        clock_step(&f->m->clock, &f->m->timers, pick(f, 2) ? pick(f, 1000) : pick(f, 20000000));
        break;
    case 1:
        block_ctx_wait(f->ctx, 0);
        machine_remove_gone(f->m);          /* cards that were ejected */
        break;
    case 2:
        fuzz_cfg_wr(f->m, pick(f, 128), pick(f, 256), (uint32_t)value(f), 1u << pick(f, 3));
        break;
    case 3:
        lapic_ack(f->vcpu.lapic);
        break;
    case 4:
        port_write(f->m, (uint16_t)r64(f), (uint32_t)value(f), 1u << pick(f, 3));
        break;
    case 5:
        port_read(f->m, (uint16_t)r64(f), 1u << pick(f, 3));
        break;
    case 6:
        if (!pick(f, 20))
            machine_reset(f->m);
        break;
    case 7:
        chr_news(f);
        break;
    case 8: case 9: case 10: case 11: case 12:
        access_window(f, &f->win[pick(f, f->n_win)]);
        break;
    default:
        access_window(f, favourite);
    }
}

/* The window that most accesses go to for a while. */
static const struct window *pick_favourite(struct fuzz *f)
{
    unsigned i = pick(f, f->n_win), tries = f->n_win;

    while (only && tries-- && !f->win[i].chosen)
        i = (i + 1) % f->n_win;
    if (only && !f->win[i].chosen)
        fuzz_die("fuzz-board: no such device with registers", only);
    return &f->win[i];
}

static void run_case(uint64_t seed)
{
    struct fuzz f = { .rng = seed };
    const struct window *favourite;

    alarm(CASE_SECONDS);
    make_board(&f);
    find_windows(&f);
    fill_ram(&f);
    favourite = pick_favourite(&f);
    for (unsigned i = 0; i < OPS; i++) {
        if (!pick(&f, 800))
            favourite = pick_favourite(&f);
        one_op(&f, favourite);
    }
    free_board(&f);
}

int main(int argc, char **argv)
{
    struct fuzz_run r = { .name = "fuzz-board", .one = run_case, .count = 20, .per_child = PER_CHILD,
                          .shown = fuzz_shared() };

    for (int i = 1; i + 1 < argc; i += 2)
        if (!strcmp(argv[i], "--device"))
            only = argv[i + 1];
    return fuzz_main(&r, argc, argv);
}
