/*
 * icount.h - -icount: what was asked for
 */
#ifndef ACCEL_ICOUNT_H
#define ACCEL_ICOUNT_H

#include "util/util.h"

#define ICOUNT_SHIFT_MAX 10      /* 1024 ns an instruction */

/** struct icount_options - one -icount argument, parsed */
struct icount_options {
    bool on;
    uint8_t shift;               /* an instruction takes 2^shift ns */
    bool automatic;              /* shift follows the host's speed */
    bool align;                  /* the guest's clock does not run ahead of the host's */
    bool sleep;                  /* a halted vCPU waits in the host's time, else not at all */
    char *hash_file;             /* state hashes go there; owned; NULL: none */
    uint64_t hash_every;         /* instructions between two */
    uint64_t stop_at;            /* the machine ends there; 0: it does not */
};

/**
 * icount_parse() - [shift=]N|auto[,align=on|off][,sleep=on|off][,hash=FILE][,every=N][,stop=N]
 * Returns 0, or -EINVAL with @e set, without the option's name.
 */
int icount_parse(const char *arg, struct icount_options *o, struct err *e) MUST_CHECK;

#endif
