/*
 * bt.c - the translator driving a machine: small real-mode firmware, run on a
 * vCPU thread, with its effects seen from outside
 *
 * Nothing here depends on how long anything takes; a guest that never gets
 * there is ended by the test runner.
 */
#include <sched.h>
#include "accel/bt-int.h"
#include "tests/accel/rig.h"

/* Code exits with AL through the port: exit code 2 * AL + 1. */
static unsigned exit_value(const char *accel, const uint8_t *code, size_t len)
{
    struct rig r;
    unsigned v;

    rig_start(&r, accel, code, len);
    cr_assert_eq(wait_for(&r, &r.m->request_shutdown), CAUSE_DEBUG_EXIT);
    v = (unsigned)r.m->exit_code >> 1;
    rig_end(&r);
    return v;
}

static const char *const backends[] = {
    "tcg,backend=interp",
    "tcg,backend=interp,one-insn-per-tb=on,optimise=off",
#if defined(__x86_64__) && !defined(CONFIG_TSAN)
    "tcg", "tcg,one-insn-per-tb=on", "tcg,optimise=off",
#endif
};

/* Runs @code on every back end; all must exit with @want. */
static void expect(unsigned want, const uint8_t *code, size_t len)
{
    for (size_t i = 0; i < ARRAY_SIZE(backends); i++)
        cr_assert_eq(exit_value(backends[i], code, len), want, "%s", backends[i]);
}

#define OUT_AL 0xba, 0x01, 0x05, 0xee, 0xf4   /* mov dx, 0x501; out dx, al; hlt */

Test(bt, firmware_runs_to_a_port, .timeout = 300)
{
    static const uint8_t code[] = { 0xb0, 0x2a, OUT_AL };

    expect(0x2a, code, sizeof code);
}

Test(bt, nothing_runs_before_resume, .timeout = 300)
{
    static const uint8_t code[] = { 0xb0, 0x07, OUT_AL };
    struct rig r;

    rig_start(&r, backends[0], code, sizeof code);
    wait_for(&r, &r.m->request_shutdown);
    /* it has stopped itself at the access, so this returns */
    r.m->accel->pause_all(r.m);
    cr_assert_not(r.m->clock.running);
    r.m->request_shutdown = 0;
    r.m->accel->reset_all(r.m);
    cr_assert_eq(accel_cpu(r.a, 0)->tcg.pc, 0xfff0);
    cr_assert_eq(r.m->request_shutdown, 0);
    r.m->accel->resume_all(r.m);
    cr_assert_eq(wait_for(&r, &r.m->request_shutdown), CAUSE_DEBUG_EXIT);
    rig_end(&r);
}

/* By what is recorded now, not by what the command line asked for. */
Test(bt, no_switch_while_a_trace_is_recorded, .timeout = 300)
{
    static const uint8_t code[] = { 0xb0, 0x07, OUT_AL };
    char path[TEMP_FILE_CHARS];
    struct trace_options o = { .kinds = TRACE_HAS(TRACE_EXEC), .file = path };
    struct err e = { "" };
    struct rig r;

    temp_file(path, "", 0);
    rig_build(&r, "tcg,backend=interp", "qemu64", code, sizeof code);
    cr_assert(accel_hold(r.a));
    cr_assert_eq(accel_trace(r.a, &o, &e), 0, "%s", e.msg);
    cr_assert(accel_switch(r.a, "kvm", &e) < 0);
    cr_assert_not_null(strstr(e.msg, "trace"), "%s", e.msg);
    cr_assert_eq(accel_trace(r.a, NULL, &e), 0, "%s", e.msg);
    accel_release(r.a);
    unlink(path);
    rig_end(&r);
}

Test(bt, endless_loop_can_be_stopped, .timeout = 300)
{
    static const uint8_t code[] = { 0xeb, 0xfe };     /* jmp $ */

    for (size_t i = 0; i < ARRAY_SIZE(backends); i++) {
        struct rig r;

        rig_start(&r, backends[i], code, sizeof code);
        for (int n = 0; n < 20; n++) {
            r.m->accel->pause_all(r.m);
            r.m->accel->resume_all(r.m);
        }
        rig_end(&r);
    }
}

/* A look at the registers neither starts a paused vCPU nor loses a stop. */
Test(bt, held_cpu_shows_its_registers, .timeout = 300)
{
    static const uint8_t code[] = { 0xb8, 0x34, 0x12, 0x40, 0x48, 0xeb, 0xfc }; /* ax 1234, 1235 */

    for (size_t i = 0; i < ARRAY_SIZE(backends); i++) {
        struct rig r;
        uint64_t ax;

        rig_start(&r, backends[i], code, sizeof code);
        do {
            while (!accel_hold(r.a))
                accel_release(r.a);
            ax = GPR(accel_cpu(r.a, 0), R_AX);
            cr_assert_eq(accel_cpu(r.a, 0)->tcg.pc < 8 || ax == 0, 1);
            accel_release(r.a);
        } while (ax != 0x1234 && ax != 0x1235);
        r.m->accel->pause_all(r.m);
        cr_assert(accel_hold(r.a));
        accel_release(r.a);
        cr_assert(r.a->cpus[0]->parked);
        rig_end(&r);
    }
}

/* Timer interrupt out of HLT: mode 2 of the 8254, unmasked at the 8259. */
Test(bt, timer_wakes_a_halted_cpu, .timeout = 300)
{
    static const uint8_t code[] = {
        0x31, 0xc0, 0x8e, 0xd8, 0x8e, 0xd0,           /* xor ax,ax; mov ds,ax; mov ss,ax */
        0xbc, 0x00, 0x70,                             /* mov sp, 0x7000 */
        0xc7, 0x06, 0x20, 0x00, 0x40, 0x00,           /* mov word [0x20], 0x40: vector 8 */
        0xc7, 0x06, 0x22, 0x00, 0x00, 0xf0,           /* mov word [0x22], 0xf000 */
        0xb0, 0x11, 0xe6, 0x20, 0xb0, 0x08, 0xe6, 0x21, 0xb0, 0x04, 0xe6, 0x21,
        0xb0, 0x01, 0xe6, 0x21, 0xb0, 0xfe, 0xe6, 0x21,  /* 8259: base 8, IRQ 0 open */
        0xb0, 0x34, 0xe6, 0x43, 0xb0, 0x00, 0xe6, 0x40, 0xe6, 0x40, /* 8254: mode 2 */
        0xfb, 0xf4, 0xeb, 0xfd,                       /* sti; hlt; jmp to hlt */
        [0x40] = 0xb0, 0x33, OUT_AL,
    };

    expect(0x33, code, sizeof code);
}

Test(bt, triple_fault_asks_for_a_reset_and_stops, .timeout = 300)
{
    static const uint8_t code[] = {
        0xfa, 0x2e, 0x0f, 0x01, 0x1e, 0x20, 0x00,     /* cli; lidt cs:[0x20] */
        0x0f, 0x20, 0xc0, 0x0c, 0x01, 0x0f, 0x22, 0xc0, /* CR0.PE = 1 */
        0xcc,                                         /* int3 */
        [0x20] = 0, 0, 0, 0, 0, 0,
    };

    for (size_t i = 0; i < ARRAY_SIZE(backends); i++) {
        struct rig r;

        rig_start(&r, backends[i], code, sizeof code);
        cr_assert_eq(wait_for(&r, &r.m->request_reset), CAUSE_TRIPLE_FAULT);
        r.m->accel->pause_all(r.m);
        cr_assert(accel_cpu(r.a, 0)->shutdown);
        r.m->accel->reset_all(r.m);
        cr_assert_not(accel_cpu(r.a, 0)->shutdown);
        rig_end(&r);
    }
}

/* What the host took to build the machine is no time of a guest whose time is counted. */
Test(bt, counted_time_begins_at_zero, .timeout = 300)
{
    struct machine_config cfg = { .ram_bytes = 16 * MiB, .n_vcpus = 1 };
    struct machine *m = machine_new(&cfg, NULL);
    struct accel_options o;
    struct x86_model model;
    struct err e = { "" };
    struct accel *a;

    while (clock_now_ns(&m->clock) == 0)
        ;
    clock_pause(&m->clock);
    cr_assert_eq(x86_model_parse("qemu64", &model, &e) | accel_parse(backends[0], &o, &e), 0, "%s", e.msg);
    cr_assert_eq(icount_parse("shift=1,sleep=off", &o.icount, &e), 0, "%s", e.msg);
    a = accel_new(m, &model, &o, &e);
    cr_assert_not_null(a, "%s", e.msg);
    cr_assert_eq(clock_now_ns(&m->clock), 0);
    accel_stop(a);
    machine_free(m);
    accel_free(a);
}

Test(bt, tsc_stands_still_while_paused, .timeout = 300)
{
    static const uint8_t code[] = { 0xeb, 0xfe };
    struct rig r;
    struct bt *bt;
    uint64_t t;

    rig_start(&r, backends[0], code, sizeof code);
    bt = r.a->bt;
    t = accel_tsc(bt->a);
    while (accel_tsc(bt->a) == t)
        ;
    cr_assert_gt(accel_tsc(bt->a), t);
    r.m->accel->pause_all(r.m);
    t = accel_tsc(bt->a);
    usleep(1000);
    cr_assert_eq(accel_tsc(bt->a), t);
    r.m->accel->resume_all(r.m);
    cr_assert_geq(accel_tsc(bt->a), t);
    r.m->accel->pause_all(r.m);
    r.m->accel->reset_all(r.m);
    cr_assert_eq(accel_tsc(bt->a), 0);
    rig_end(&r);
}

/* Copies a routine to RAM, runs it, has fw_cfg DMA overwrite it, runs it again:
 * what a device writes must be what executes. */
Test(bt, dma_over_code_that_has_run, .timeout = 300)
{
    static const uint8_t code[] = {
        0x31, 0xc0, 0x8e, 0xd8, 0x8e, 0xd0, 0xbc, 0x00, 0x70,
        0xc7, 0x06, 0x00, 0x05, 0xb0, 0x01,           /* [0x500]: mov al, 1 */
        0xc7, 0x06, 0x02, 0x05, 0xcb, 0x90,           /* [0x502]: retf */
        0x9a, 0x00, 0x05, 0x00, 0x00,                 /* call 0:0x500 */
        0x88, 0xc3,                                   /* mov bl, al: 1 */
        /* fw_cfg DMA descriptor at 0x600, big-endian: select 0 (signature "QEMU"),
         * read, 1 byte to 0x501: "mov al, 'Q'" */
        0x66, 0xc7, 0x06, 0x00, 0x06, 0x00, 0x00, 0x00, 0x0a, /* control 0x0000000a */
        0x66, 0xc7, 0x06, 0x04, 0x06, 0x00, 0x00, 0x00, 0x01, /* length 1 */
        0x66, 0xc7, 0x06, 0x08, 0x06, 0x00, 0x00, 0x00, 0x00,
        0x66, 0xc7, 0x06, 0x0c, 0x06, 0x00, 0x00, 0x05, 0x01, /* address 0x501 */
        0xba, 0x18, 0x05, 0x66, 0xb8, 0x00, 0x00, 0x06, 0x00, /* mov dx,0x518; mov eax,be(0x600) */
        0x66, 0xef,                                   /* out dx, eax: runs it */
        0x9a, 0x00, 0x05, 0x00, 0x00,                 /* call 0:0x500 */
        0x00, 0xd8,                                   /* add al, bl: 'Q' + 1 */
        OUT_AL,
    };

    /* out dx,eax goes to 0x518 as the low half of the big-endian address */
    expect('Q' + 1, code, sizeof code);
}

static void device_writes(struct rig *r, gpa_t at, const void *data, size_t len)
{
    machine_lock(r->m);
    mem_write(&r->m->mem, at, data, len);
    machine_unlock(r->m);
}

/* Runs "mov al, N" in RAM for ever and tells AL at 0x1700. */
static const uint8_t tells_al[] = {
    0x31, 0xc0, 0x8e, 0xd8, 0x8e, 0xd0, 0xbc, 0x00, 0x70,
    0xc7, 0x06, 0x00, 0x05, 0xb0, 0x00,               /* [0x500]: mov al, 0 */
    0xc7, 0x06, 0x02, 0x05, 0xcb, 0x90,               /* [0x502]: retf */
    0xfe, 0x06, 0x00, 0x18,                           /* ready */
    0x9a, 0x00, 0x05, 0x00, 0x00,                     /* call 0:0x500 */
    0xa2, 0x00, 0x17,                                 /* [0x1700] = al */
    0xeb, 0xf6,
};

static void wait_byte(struct rig *r, gpa_t at, uint8_t want)
{
    uint8_t is;

    do {
        machine_lock(r->m);
        mem_read(&r->m->mem, at, &is, 1);
        machine_unlock(r->m);
        if (is != want)
            sched_yield();                   /* the host may have one CPU */
    } while (is != want);
}

Test(bt, code_written_by_another_thread_runs, .timeout = 300)
{
    for (size_t i = 0; i < ARRAY_SIZE(backends); i++) {
        struct rig r;

        rig_start(&r, backends[i], tells_al, sizeof tells_al);
        wait_byte(&r, 0x1800, 1);
        for (unsigned n = 0; n < 1000; n++) {
            uint8_t v = n;

            device_writes(&r, 0x501, &v, 1);
            wait_byte(&r, 0x1700, v);
        }
        rig_end(&r);
    }
}

/* What disks and networks write all the time costs no translation. */
Test(bt, buffers_written_by_another_thread_drop_no_code, .timeout = 300)
{
    static uint8_t page[4096];
    const struct tcg_stats *stats;
    struct rig r;
    uint8_t last = 0x55;

    rig_start(&r, backends[ARRAY_SIZE(backends) - 1], tells_al, sizeof tells_al);
    stats = tcg_get_stats(r.a->bt->tcg);
    wait_byte(&r, 0x1800, 1);
    for (unsigned n = 0; n < 5000; n++)
        device_writes(&r, MiB + n * 2 % 2048 * 4096, page, sizeof page);
    device_writes(&r, 0x501, &last, 1);
    wait_byte(&r, 0x1700, last);             /* it has looked */
    r.m->accel->pause_all(r.m);
    cr_assert_eq(stats->flushes, 0);
    cr_assert_leq(stats->invalidations, 2);  /* the routine, and what was in progress */
    rig_end(&r);
}

/* Nor does it while code is being translated all the time, however much they write at once. */
Test(bt, buffers_written_while_code_is_translated_drop_none, .timeout = 300)
{
    static const uint8_t code[] = {
        0x31, 0xc0, 0x8e, 0xd8, 0x8e, 0xd0, 0xbc, 0x00, 0x70,
        0xc7, 0x06, 0x00, 0x05, 0xb0, 0x00,           /* [0x500]: mov al, 0 */
        0xc7, 0x06, 0x02, 0x05, 0xcb, 0x90,           /* [0x502]: retf */
        0xfe, 0x06, 0x01, 0x05,                       /* inc byte [0x501]: another routine */
        0x9a, 0x00, 0x05, 0x00, 0x00,                 /* call 0:0x500 */
        0x80, 0x3e, 0x00, 0x18, 0x00,                 /* until [0x1800] */
        0x74, 0xf0,
        0xb0, 0x44, OUT_AL,
    };
    static uint8_t data[4 * MiB];
    const struct tcg_stats *stats;
    uint8_t one = 1;
    struct rig r;

    rig_start(&r, backends[ARRAY_SIZE(backends) - 1], code, sizeof code);
    stats = tcg_get_stats(r.a->bt->tcg);
    for (unsigned n = 0; n < 50; n++) {
        wait_byte(&r, 0x500, 0xb0);
        device_writes(&r, MiB, data, sizeof data);
    }
    device_writes(&r, 0x1800, &one, 1);
    cr_assert_eq(wait_for(&r, &r.m->request_shutdown), CAUSE_DEBUG_EXIT);
    cr_assert_gt(stats->translations, 100);
    cr_assert_eq(stats->flushes, 0);
    rig_end(&r);
}

/* A window of shadow RAM opened and closed by a PAM register is seen at once. */
Test(bt, shadow_ram_comes_and_goes_under_running_code, .timeout = 300)
{
    static const uint8_t code[] = {
        0xb8, 0x00, 0xd0, 0x8e, 0xd8,                 /* ds = 0xd000 */
        0xa0, 0x00, 0x00,                             /* al = [d0000]: open bus, ff */
        0x88, 0xc3,                                   /* bl = al */
        0x66, 0xb8, 0x5c, 0x00, 0x00, 0x80, 0xba, 0xf8, 0x0c, 0x66, 0xef, /* 00:00.0 reg 5c */
        0xba, 0xfc, 0x0c, 0xb0, 0x33, 0xee,           /* PAM3 (d0000..d7fff) = read, write RAM */
        0xc6, 0x06, 0x00, 0x00, 0x12,                 /* [d0000] = 0x12 */
        0xa0, 0x00, 0x00,                             /* al = 0x12 */
        0x88, 0xc7,                                   /* bh = al */
        0xb0, 0x00, 0xee,                             /* PAM3 = closed */
        0xa0, 0x00, 0x00,                             /* al = ff */
        0x00, 0xf8,                                   /* al += bh: 11 */
        0x28, 0xd8,                                   /* al -= bl: 12 */
        OUT_AL,
    };

    expect(0x12, code, sizeof code);
}

Test(bt, pages_keep_their_numbers_when_the_map_changes)
{
    struct machine_config cfg = { .ram_bytes = 4 * MiB };
    struct err e = { "" };
    struct machine *m = machine_new(&cfg, &e);
    uint8_t *rom = aligned_alloc(4096, 8192), *host;
    struct mem_region r = { .name = "rom", .base = 0xf0000, .len = 8192, .kind = MEM_ROM,
                            .prio = 1, .enabled = true, .host = rom };
    struct mem_region alias = { .name = "alias", .base = 0x80000000, .len = 4096, .kind = MEM_ROM,
                                .prio = 1, .enabled = true, .host = m->ram + 0x3000 };
    struct bt_phys *p = xzalloc(sizeof *p);
    uint32_t page, again;

    bt_phys_init(p, m);
    mem_add(&m->mem, &r);
    mem_add(&m->mem, &alias);
    bt_phys_rebuild(p, m);
    cr_assert_eq(bt_phys_find(p, 0x3000, &host, &page), PHYS_RAM);
    cr_assert_eq(page, 3);
    cr_assert_eq(host, m->ram + 0x3000);
    cr_assert_eq(bt_phys_find(p, 0x80000000, &host, &again), PHYS_ROM);
    cr_assert_eq(again, 3, "the same RAM elsewhere is the same page");
    cr_assert_eq(bt_phys_find(p, 0xf1000, &host, &page), PHYS_ROM);
    cr_assert_eq(host, rom + 4096);
    cr_assert_geq(page, 1024);
    cr_assert_lt(page, p->max_pages);
    r.base = 0xe0000;
    mem_update(&m->mem);
    bt_phys_rebuild(p, m);
    cr_assert_eq(bt_phys_find(p, 0xe1000, &host, &again), PHYS_ROM);
    cr_assert_eq(again, page);
    cr_assert_eq(bt_phys_find(p, 0xf1000, &host, &again), PHYS_RAM);
    cr_assert_eq(again, 0xf1);
    cr_assert_eq(bt_phys_find(p, 0x90000000, &host, &again), PHYS_MMIO);
    mem_remove(&m->mem, &r);
    mem_remove(&m->mem, &alias);
    machine_free(m);
    free(rom);
    bt_phys_free(p);
    free(p);
}

/* More cards than there are records, one after the other, at the same place in host memory. */
Test(bt, what_an_unplugged_card_leaves_is_used_again)
{
    struct machine_config cfg = { .ram_bytes = 4 * MiB };
    struct err e = { "" };
    struct machine *m = machine_new(&cfg, &e);
    uint8_t *host, *vram = aligned_alloc(4096, 16384);
    struct bt_phys *p = xzalloc(sizeof *p);
    uint32_t page, first = 0, n;

    bt_phys_init(p, m);
    for (unsigned i = 0; i < 2 * BT_BLOCKS; i++) {
        struct mem_region r = { .name = "vram", .base = 0xe0000000, .len = i & 1 ? 8192 : 16384, .kind = MEM_RAM,
                                .enabled = true, .host = vram };
        struct bt bt = { .n_hashed = 0 };

        mem_track(&r);
        mem_add(&m->mem, &r);
        bt_phys_rebuild(p, m);
        cr_assert_eq(bt_phys_find(p, 0xe0001000, &host, &page), PHYS_RAM, "card %u", i);
        cr_assert_eq(host, vram + 4096);
        if (!i)
            first = page;
        cr_assert_eq(page, first, "card %u", i);
        memset(r.dirty->written, 0, r.dirty->n_pages);
        bt.phys = *p;
        bt_note_write(&bt, page);
        cr_assert_eq(r.dirty->written[1], 1, "this card's record, card %u", i);
        mem_remove(&m->mem, &r);
        bt_phys_rebuild(p, m);
        cr_assert_eq(bt_phys_find(p, 0xe0001000, &host, &page), PHYS_MMIO);
        cr_assert_null(p->block[0].written, "freed with the card");
        mem_untrack(&r);
        cr_assert(bt_phys_take_stale(p, &page, &n));
        cr_assert_eq(page, first - 1);
        cr_assert_eq(n, 4);
        cr_assert_not(bt_phys_take_stale(p, &page, &n));
    }
    cr_assert_eq(p->n_blocks, 1);
    machine_free(m);
    free(vram);
    bt_phys_free(p);
    free(p);
}

/* ---- pages that were written ------------------------------------------------------ */

#define TRACKED_BASE 0xd0000
#define TRACKED_PAGES 16

/* Bring @copy up to date with the pages that were written. */
static void copy_dirty(struct rig *r, struct mem_region *reg, uint8_t *copy)
{
    uint8_t dirty[TRACKED_PAGES];

    machine_lock(r->m);
    mem_dirty_take(&r->m->mem, reg, 0, TRACKED_PAGES, dirty);
    for (unsigned i = 0; i < TRACKED_PAGES; i++)
        if (dirty[i])
            memcpy(copy + i * 4096, reg->host + i * 4096, 4096);
    machine_unlock(r->m);
}

/* The guest writes to one page after the other all the time; whenever it is stopped, the copy
 * must be complete. */
static void dirty_pages_are_complete(const char *accel)
{
    static const uint8_t code[] = {
        0xb8, 0x00, 0xd0,              /* mov ax, 0xd000 */
        0x8e, 0xd8,                    /* mov ds, ax */
        0x31, 0xdb,                    /* xor bx, bx */
        0xff, 0x47, 0x04,              /* 1: inc word [bx + 4] */
        0xb9, 0x10, 0x00,              /* mov cx, 16 */
        0xe2, 0xfe,                    /* loop . */
        0x81, 0xc3, 0x00, 0x10,        /* add bx, 0x1000 */
        0xeb, 0xf2,                    /* jmp 1b */
    };
    static uint8_t copy[TRACKED_PAGES * 4096];
    struct mem_region reg = { .name = "tracked", .base = TRACKED_BASE, .len = sizeof copy,
                              .kind = MEM_RAM, .prio = 4, .enabled = true };
    unsigned clean = 0;
    struct rig r;

    reg.host = aligned_alloc(4096, sizeof copy);
    memset(reg.host, 0, sizeof copy);
    mem_track(&reg);
    rig_start(&r, accel, code, sizeof code);
    machine_lock(r.m);
    mem_add(&r.m->mem, &reg);
    machine_unlock(r.m);
    do {
        copy_dirty(&r, &reg, copy);
        usleep(50);
    } while (!ldl16(copy + 4));        /* it writes */
    for (unsigned round = 0; round < 60; round++) {
        for (unsigned i = 0; i < 20; i++) {
            copy_dirty(&r, &reg, copy);
            usleep(50);
        }
        r.m->accel->pause_all(r.m);
        copy_dirty(&r, &reg, copy);
        cr_assert_arr_eq(copy, reg.host, sizeof copy, "%s: round %u: a write was missed", accel, round);
        copy_dirty(&r, &reg, copy);
        clean += !mem_dirty_take(&r.m->mem, &reg, 0, TRACKED_PAGES, (uint8_t[TRACKED_PAGES]){ 0 });
        r.m->accel->resume_all(r.m);
    }
    cr_assert_eq(clean, 60, "%s: a guest that stands still writes nothing", accel);
    accel_stop(r.a);
    mem_remove(&r.m->mem, &reg);
    mem_untrack(&reg);
    free(reg.host);
    machine_free(r.m);
    accel_free(r.a);
    unlink(r.path);
}

Test(bt, written_pages_are_noticed, .timeout = 300)
{
    for (size_t i = 0; i < ARRAY_SIZE(backends); i++)
        dirty_pages_are_complete(backends[i]);
}
