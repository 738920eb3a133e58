/*
 * harness.h - what the tests of the block layer share
 *
 * BLOCK_N in the environment multiplies the counts of the long tests, BLOCK_SEED
 * chooses other random numbers, BLOCK_TALLY names a file in which what was tried is
 * counted (stress.sh uses all three); images lie below TMPDIR.
 */
#ifndef TESTS_BLOCK_HARNESS_H
#define TESTS_BLOCK_HARNESS_H

#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include "block/block-int.h"
#include "block/qcow2.h"

struct rng { uint64_t s; };
uint64_t rnd(struct rng *r);
static inline uint64_t rnd_n(struct rng *r, uint64_t n) { return n ? rnd(r) % n : 0; }
/** seed_of() - BLOCK_SEED plus @n */
struct rng seed_of(uint64_t n);
/** count_of() - @small times BLOCK_N */
uint64_t count_of(uint64_t small);

/** tally() - @n operations (kills, states ...) of kind @what were tried without a
 *  failure; a line "SEED WHAT N" in the file BLOCK_TALLY names */
void tally(const char *what, uint64_t n);

/** scratch() - path of @name in this process's scratch folder; freed by the caller.
 *  The folder goes away when the process exits. */
char *scratch(const char *name);
/** sh() - run a shell command; its exit status */
int sh(const char *fmt, ...) PRINTF(1, 2);
bool have_tool(const char *name);

/** make_qcow2() - a new image; options of @c besides file and size */
void make_qcow2(const char *path, uint64_t bytes, struct block_create c);
struct block *open_rw(struct block_ctx *c, const char *path, const char *fmt);
/** open_layered() - a qcow2 image whose file operations go through @hook */
struct block *open_layered(const char *path,
                           int (*hook)(void *, enum bfile_event, uint64_t, const struct iovec *, unsigned, uint64_t),
                           void *opaque, struct err *e);
/** check_image() - our check: 0 sound, 3 leaks, 2 corrupt, 1 cannot be opened */
int check_image(const char *path, bool repair);

/* Disks of numbered 4 KiB pages: page content says which write it is. */
#define PAGE 4096u
#define PAGES 2048u
struct pages {              /* others look after the writers stopped */
    volatile uint32_t issued[PAGES];  /* highest number whose write was begun */
    volatile uint32_t durable[PAGES]; /* lowest that may be found */
    uint32_t written[PAGES];          /* completed, not yet flushed */
    _Atomic uint32_t next;
};
struct lane { uint32_t no, of; }; /* one of several writers at a time */
void page_fill(uint8_t *buf, uint32_t page, uint32_t number);
/** page_step() - one random step (write, now and then flush, discard) on @b;
 *  returns the operation's error */
int page_step(struct pages *p, struct block *b, struct rng *r);
/** page_step_in() - the same for one of several threads: only pages of lane @l */
int page_step_in(struct pages *p, struct block *b, struct rng *r, struct lane l);
/** pages_verify() - every page of the image is a write that may be there; NULL or
 *  what is wrong (static buffer) */
const char *pages_verify(const struct pages *p, const char *path);

#endif
