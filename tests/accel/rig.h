/*
 * rig.h - a machine with small real-mode firmware on a vCPU thread, for tests of accelerators
 */
#ifndef TESTS_ACCEL_RIG_H
#define TESTS_ACCEL_RIG_H

#include <criterion/criterion.h>
#include <stdlib.h>
#include <unistd.h>
#include "accel/accel.h"
#include "tests/temp-file.h"

#define ROM_BYTES 65536
#define EXIT_PORT 0x501

struct rig {
    struct machine *m;
    struct accel *a;
    char path[64];
};

/* A ROM whose code starts at F000:0000; the rest is HLT. */
static inline void write_rom(struct rig *r, const uint8_t *code, size_t len)
{
    static const uint8_t reset[] = { 0xea, 0x00, 0x00, 0x00, 0xf0 };  /* jmp f000:0000 */
    uint8_t *rom = malloc(ROM_BYTES);

    memset(rom, 0xf4, ROM_BYTES);
    memcpy(rom, code, len);
    memcpy(rom + 0xfff0, reset, sizeof reset);
    temp_file(r->path, rom, ROM_BYTES);
    free(rom);
}

/* Built and reset, not started: a test may add what it needs. */
static inline void rig_build(struct rig *r, const char *accel, const char *cpu, const uint8_t *code, size_t len)
{
    struct machine_config cfg = { .ram_bytes = 16 * MiB, .n_vcpus = 1, .isa_debug_exit = true,
                                  .isa_debug_exit_port = EXIT_PORT };
    struct accel_options o;
    struct x86_model model;
    struct err e = { "" };

    write_rom(r, code, len);
    cfg.bios = r->path;
    cr_assert_eq(x86_model_parse(cpu, &model, &e), 0, "%s", e.msg);
    model.tsc_hz = 0;
    cr_assert_eq(accel_parse(accel, &o, &e), 0, "%s", e.msg);
    r->m = machine_new(&cfg, &e);
    cr_assert_not_null(r->m, "%s", e.msg);
    clock_pause(&r->m->clock);
    r->a = accel_new(r->m, &model, &o, &e);
    cr_assert_not_null(r->a, "%s", e.msg);
    cr_assert_eq(pc_build(r->m, &e), 0, "%s", e.msg);
    machine_reset(r->m);
    r->m->accel->reset_all(r->m);
    cr_assert_eq(accel_start(r->a, &e), 0, "%s", e.msg);
}

static inline void rig_start(struct rig *r, const char *accel, const uint8_t *code, size_t len)
{
    rig_build(r, accel, "qemu64", code, len);
    r->m->accel->resume_all(r->m);
}

static inline void rig_end(struct rig *r)
{
    accel_stop(r->a);
    machine_free(r->m);
    accel_free(r->a);
    unlink(r->path);
}

/* Serve the machine once: timers, then descriptors, for which it waits. */
static inline void rig_serve(struct rig *r)
{
    int64_t left;

    machine_lock(r->m);
    left = timer_list_run(&r->m->timers);
    machine_unlock(r->m);
    loop_run_once(r->m->loop, left, NULL, NULL, NULL);
}

/* Serve the machine until a device asks for something; returns what. */
static inline int32_t wait_for(struct rig *r, int32_t *request)
{
    int32_t why;

    while (!(why = __atomic_load_n(request, __ATOMIC_ACQUIRE)))
        rig_serve(r);
    return why;
}

#endif
