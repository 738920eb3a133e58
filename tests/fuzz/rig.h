/*
 * rig.h - what fuzzers of devices share: numbers, a board with a PCI bus
 *
 * A fuzzer's struct fuzz has a member rng, the state of its numbers: a case is a function of its seed.
 */
#ifndef TESTS_FUZZ_RIG_H
#define TESTS_FUZZ_RIG_H

#include "hw/pci/pci.h"
#include "tests/fuzz/run.h"

/* splitmix64 */
static inline uint64_t fuzz_next(uint64_t *rng)
{
    uint64_t z = (*rng += 0x9e3779b97f4a7c15ull);

    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ z >> 27) * 0x94d049bb133111ebull;
    return z ^ z >> 31;
}

/* a number; one below n */
#define r64(f)     fuzz_next(&(f)->rng)
#define pick(f, n) ((unsigned)(r64(f) >> 16) % (n))

/** fuzz_die() - the fuzzer, not what it tests, has failed; @name is the fuzzer's */
static inline void fuzz_die(const char *name, const char *why)
{
    fprintf(stderr, "%s: %s\n", name, why);
    exit(2);
}

/** fuzz_cfg_wr() - @size bytes to configuration space by mechanism 1 */
static inline void fuzz_cfg_wr(struct machine *m, unsigned devfn, unsigned reg, uint32_t v, unsigned size)
{
    port_write(m, 0xcf8, 0x80000000u | devfn << 8 | (reg & 0xfc), 4);
    port_write(m, (uint16_t)(0xcfc + (reg & 3)), v, size);
}

static inline uint32_t fuzz_cfg_rd(struct machine *m, unsigned devfn, unsigned reg)
{
    port_write(m, 0xcf8, 0x80000000u | devfn << 8 | (reg & 0xfc), 4);
    return port_read(m, 0xcfc, 4);
}

static inline void fuzz_add_chip(const char *name, struct machine *m, const struct device_type *t, uint8_t devfn)
{
    struct err e = { "" };

    if (!machine_add_device(m, t, 0, NULL, pci_setup_devfn, &devfn, &e))
        fuzz_die(name, e.msg);
}

/** fuzz_machine() - RAM, a stepped clock, a PCI bus with host and ISA bridge; to be reset */
static inline struct machine *fuzz_machine(const char *name, uint64_t ram_bytes)
{
    struct machine_config cfg = { .ram_bytes = ram_bytes };
    struct err e = { "" };
    struct machine *m = machine_new(&cfg, &e);

    if (!m)
        fuzz_die(name, e.msg);
    clock_init_stepped(&m->clock);
    pci_bus_new(m);
    fuzz_add_chip(name, m, &i440fx_type, PCI_DEVFN(0, 0));
    fuzz_add_chip(name, m, &piix3_type, PCI_DEVFN(1, 0));
    return m;
}

#endif
