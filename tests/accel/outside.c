/*
 * outside.c - everything that comes to a running guest from outside passes hw/outside.h: an observer
 * sees each kind, and when time is counted it all happens on the vCPU's thread
 */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <unistd.h>
#include "accel/accel.h"
#include "hw/disk/drive.h"
#include "hw/disk/ide.h"
#include "hw/input/i8042.h"
#include "hw/input/input.h"
#include "hw/net/nic.h"
#include "hw/outside.h"
#include "hw/pci/pci.h"
#include "hw/user-devices.h"
#include "tests/hw/stepped.h"
#include "tests/temp-file.h"

#define ROM_BYTES 65536
#define EXIT_PORT 0x501
#define KEY_A 0x1e           /* set 1 make code */
#define SECTOR_BYTE 0x21     /* what the disk is full of */

/* IRQ 0 and HLT, RDRAND, RDTSC; a byte of COM1, one of the keyboard, a sector of the disk; the exit code is
 * the sum of the first and the last */
static const uint8_t code[] = {
    0xfa, 0x31, 0xc0, 0x8e, 0xd8, 0x8e, 0xd0, 0xbc, 0x00, 0x70,          /* cli; ds = ss = 0; sp = 7000 */
    0xc7, 0x06, 0x20, 0x00, 0x7c, 0x00, 0x8c, 0x0e, 0x22, 0x00,          /* vector 8: cs:7c */
    0xb0, 0x11, 0xe6, 0x20, 0xb0, 0x08, 0xe6, 0x21, 0xb0, 0x04, 0xe6, 0x21, 0xb0, 0x01, 0xe6, 0x21,
    0xb0, 0xfe, 0xe6, 0x21,                                              /* 8259: IRQ 0 at vector 8 */
    0xb0, 0x34, 0xe6, 0x43, 0x30, 0xc0, 0xe6, 0x40, 0xb0, 0x10, 0xe6, 0x40, /* 8254: 4096 */
    0x0f, 0xc7, 0xf0, 0x0f, 0x31, 0xfb, 0xf4, 0xfa,                      /* rdrand ax; rdtsc; sti; hlt; cli */
    0xba, 0xfd, 0x03, 0xec, 0xa8, 0x01, 0x74, 0xfb,                      /* until COM1 has a byte */
    0xba, 0xf8, 0x03, 0xec, 0x88, 0xc3,                                  /* bl = it */
    0xe4, 0x64, 0xa8, 0x01, 0x74, 0xfa, 0xe4, 0x60,                      /* the keyboard's, too */
    0xba, 0xf2, 0x01, 0xb0, 0x01, 0xee, 0x42, 0x30, 0xc0, 0xee, 0x42, 0xee, 0x42, 0xee, 0x42,
    0xb0, 0xe0, 0xee, 0x42, 0xb0, 0x20, 0xee,                            /* IDE: read sector 0 */
    0xec, 0xa8, 0x80, 0x75, 0xfb, 0xa8, 0x08, 0x74, 0xf7,                /* until there is data */
    0xba, 0xf0, 0x01, 0xed, 0x00, 0xd8,                                  /* al = its first byte + bl */
    0xba, 0x01, 0x05, 0xee, 0xf4,                                        /* out 501, al; hlt */
    [0x7c] = 0x50, 0xb0, 0x20, 0xe6, 0x20, 0x58, 0xcf,                   /* the interrupt: EOI, iret */
};

struct rig {
    struct machine *m;
    struct accel *a;
    struct memchar com1;
    struct block_ctx *ctx;
    struct netport back;
    char rom[40], disk[40];
    pthread_t test;
    unsigned seen[OUTSIDE_KIND_COUNT], by_others[OUTSIDE_KIND_COUNT];
    uint64_t insns;              /* of the last event */
    bool backwards;
    uint64_t random;             /* the one that the guest got */
    struct outside_event last[OUTSIDE_KIND_COUNT];
    uint8_t byte, frame[64];
};

static void observe(void *opaque, struct outside_event *ev)
{
    struct rig *r = opaque;

    r->seen[ev->kind]++;
    r->by_others[ev->kind] += pthread_equal(pthread_self(), r->test) != 0;
    r->backwards |= ev->insns < r->insns;
    r->insns = ev->insns;
    r->last[ev->kind] = *ev;
    if (ev->kind == OUTSIDE_ENTROPY)
        r->random = (uint64_t)ev->arg[1];
    if (ev->kind == OUTSIDE_CHAR && ev->arg[0] == OUTSIDE_BYTES)
        r->byte = *(const uint8_t *)ev->data;
    if (ev->kind == OUTSIDE_NET)
        memcpy(r->frame, ev->data, MIN(ev->len, sizeof r->frame));
}

static void write_rom(struct rig *r)
{
    static const uint8_t reset[] = { 0xea, 0x00, 0x00, 0x00, 0xf0 };  /* jmp f000:0000 */
    uint8_t *rom = xzalloc(ROM_BYTES);

    memcpy(rom, code, sizeof code);
    memcpy(rom + 0xfff0, reset, sizeof reset);
    temp_file(r->rom, rom, ROM_BYTES);
    free(rom);
}

static void add_disk(struct rig *r)
{
    struct user_prop props[] = { { "drive", "d" }, { "bus", "ide.0" }, { "unit", "0" } };
    uint8_t sectors[8 * 512], devfn = PCI_DEVFN(1, 1);
    struct block_opts o;
    struct err e = { "" };

    memset(sectors, SECTOR_BYTE, sizeof sectors);
    temp_file(r->disk, sectors, sizeof sectors);
    block_opts_init(&o);
    o.file = xstrdup(r->disk);
    o.format = xstrdup("raw");
    r->ctx = block_ctx_new(2, &e);
    cr_assert_not_null(r->ctx, "%s", e.msg);
    block_ctx_attach(r->ctx, r->m->loop);
    drive_new(r->m, "d", block_open(r->ctx, &o, &e));
    block_opts_free(&o);
    cr_assert_not_null(machine_add_device(r->m, &piix3_ide_type, 0, NULL, pci_setup_devfn, &devfn, &e), "%s", e.msg);
    cr_assert_not_null(user_device_add(r->m, user_device_find("ide-hd"), NULL, props, 3, &e), "%s", e.msg);
}

static bool back_receive(void *opaque, const struct net_frame *f)
{
    return true;
}

static const struct net_ops back_ops = { .kind = "test", .receive = back_receive };

static void add_card(struct rig *r)
{
    struct err e = { "" };

    r->m->net = net_new(r->m->loop, &r->m->timers);
    netport_init(&r->back, r->m->net, &back_ops, r, "net0");
    cr_assert_not_null(nic_add(r->m, &ne2k_pci_type, "net0", NULL, &e), "%s", e.msg);
}

static void rig_start(struct rig *r, const char *accel, const char *icount)
{
    struct machine_config cfg = { .ram_bytes = 16 * MiB, .n_vcpus = 1, .isa_debug_exit = true,
                                  .isa_debug_exit_port = EXIT_PORT };
    struct accel_options o;
    struct x86_model model;
    struct err e = { "" };

    memset(r, 0, sizeof *r);
    r->test = pthread_self();
    memchar_init(&r->com1);
    r->com1.c.label = "com1";
    write_rom(r);
    cfg.bios = r->rom;
    cfg.serial[0] = &r->com1.c;
    cr_assert_eq(x86_model_parse("max", &model, &e), 0, "%s", e.msg);
    cr_assert_eq(accel_parse(accel, &o, &e), 0, "%s", e.msg);
    if (icount)
        cr_assert_eq(icount_parse(icount, &o.icount, &e), 0, "%s", e.msg);
    r->m = machine_new(&cfg, &e);
    cr_assert_not_null(r->m, "%s", e.msg);
    clock_pause(&r->m->clock);
    outside_observe(r->m, observe, r);
    r->a = accel_new(r->m, &model, &o, &e);
    cr_assert_not_null(r->a, "%s", e.msg);
    cr_assert_eq(pc_board(r->m, &e), 0, "%s", e.msg);
    add_disk(r);
    add_card(r);
    cr_assert_eq(pc_boot(r->m, &e), 0, "%s", e.msg);
    machine_reset(r->m);
    r->m->accel->reset_all(r->m);
    cr_assert_eq(accel_start(r->a, &e), 0, "%s", e.msg);
    r->m->accel->resume_all(r->m);
}

static void rig_end(struct rig *r)
{
    struct drive *drives = r->m->drives;

    accel_stop(r->a);
    block_ctx_attach(r->ctx, NULL);
    netport_free(&r->back);
    net_free(r->m->net);
    r->m->net = NULL;
    machine_free(r->m);
    drives_free(drives, NULL);
    block_ctx_free(r->ctx);
    accel_free(r->a);
    unlink(r->rom);
    unlink(r->disk);
}

/* What people and the network do, on this thread. */
static void from_outside(struct rig *r)
{
    static const uint8_t frame[60] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0, 1, 8, 6, 0x5a };

    machine_lock(r->m);
    net_send(&r->back, &(struct net_frame){ .data = frame, .len = sizeof frame });
    r->com1.in = "A";
    r->com1.c.poll_input(&r->com1.c);
    input_key(r->m, KEY_A, true);
    machine_unlock(r->m);
}

static void serve(struct rig *r)
{
    while (!__atomic_load_n(&r->m->request_shutdown, __ATOMIC_ACQUIRE)) {
        int64_t left = -1;

        machine_lock(r->m);
        if (r->m->clock.running)
            left = timer_list_run(&r->m->timers);
        machine_unlock(r->m);
        loop_run_once(r->m->loop, left, (void (*)(void *))machine_lock, (void (*)(void *))machine_unlock, r->m);
    }
}

static void run(struct rig *r, const char *accel, const char *icount)
{
    rig_start(r, accel, icount);
    from_outside(r);
    serve(r);
    cr_assert_eq(r->m->exit_code >> 1, 'A' + SECTOR_BYTE, "the guest read what was sent");
    for (unsigned k = 0; k < OUTSIDE_KIND_COUNT; k++)
        cr_assert_gt(r->seen[k], 0, "%s: kind %u has not been seen", accel, k);
    cr_assert_eq(r->last[OUTSIDE_INTERRUPT].arg[1], 8);
    cr_assert_eq(r->last[OUTSIDE_DISK].arg[0], BLOCK_READ);
    cr_assert_eq(r->last[OUTSIDE_DISK].arg[2], 512);
    cr_assert_eq(r->byte, 'A');
    cr_assert_eq(r->frame[14], 0x5a);
    cr_assert_eq(r->last[OUTSIDE_INPUT].arg[1], KEY_A);
    cr_assert_eq(r->last[OUTSIDE_CONTROL].arg[0], OUTSIDE_RESET);
}

static const char *const backends[] = {
    "tcg,backend=interp",
#if defined(__x86_64__) && !defined(CONFIG_TSAN)
    "tcg",
#endif
};

Test(outside, an_observer_sees_every_kind, .timeout = 300)
{
    struct rig r;

    for (size_t i = 0; i < ARRAY_SIZE(backends); i++) {
        run(&r, backends[i], NULL);
        rig_end(&r);
    }
}

Test(outside, counted_it_happens_on_the_guests_thread, .timeout = 300)
{
    static const enum outside_kind events[] = { OUTSIDE_ENTROPY, OUTSIDE_INTERRUPT, OUTSIDE_DISK, OUTSIDE_NET,
                                                OUTSIDE_INPUT, OUTSIDE_CHAR };
    uint64_t random = 0;
    struct rig r;

    for (size_t i = 0; i < ARRAY_SIZE(backends); i++) {
        run(&r, backends[i], "shift=1,sleep=off");
        for (size_t k = 0; k < ARRAY_SIZE(events); k++)
            cr_assert_eq(r.by_others[events[k]], 0, "kind %u happened on another thread", events[k]);
        cr_assert_not(r.backwards);
        cr_assert_gt(r.insns, 0);
        cr_assert(i == 0 || r.random == random, "the same random number on every engine");
        random = r.random;
        rig_end(&r);
    }
}
