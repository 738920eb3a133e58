/*
 * rng.h - sources of random bytes for devices: what -object rng-random and rng-builtin make
 *
 * All bytes pass hw/outside.h, 8 at a time, as the CPU's RDRAND does: an observer sees them, and when
 * instructions are counted (-icount) they are the same in every run and no host is asked. Machine lock held.
 */
#ifndef HW_MISC_RNG_H
#define HW_MISC_RNG_H

#include "hw/hw.h"

/** struct rng - a source; the machine's (rng_new()), or a device's own: { .machine = m, .fd = -1 } */
struct rng {
    char *id;               /* owned */
    struct machine *machine;
    int fd;                 /* of the file; -1: the host kernel's generator */
    unsigned users;         /* devices that read from it */
    struct rng *next;       /* of the machine */
};

/**
 * rng_new() - add a source to @m
 * @filename: read without ever blocking: /dev/urandom, /dev/hwrng, a pipe; NULL: the host kernel's generator
 * Returns it, or NULL with @e set.
 */
struct rng *rng_new(struct machine *m, const char *id, const char *filename, struct err *e) MUST_CHECK;
/** rng_find() - by id, or NULL */
struct rng *rng_find(struct machine *m, const char *id);
/** rng_del() - take one out and close it; -EBUSY with @e set while a device uses it */
int rng_del(struct rng *r, struct err *e) MUST_CHECK;
/** rngs_free() - all of them; devices are gone. machine_free()'s */
void rngs_free(struct machine *m);
/** rng_read() - up to @len bytes to @buf; returns how many, 0: there are none at the moment */
size_t rng_read(struct rng *r, void *buf, size_t len);

#endif
