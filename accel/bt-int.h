/*
 * bt-int.h - the translator as an accelerator: what its files share
 *
 * Locks, outer first: machine lock, accel_cpu.lock, the translator's own. A vCPU waits
 * for others (an exclusive section, tcg/smp.c) only outside blocks and without any.
 */
#ifndef ACCEL_BT_INT_H
#define ACCEL_BT_INT_H

#include "accel/accel-int.h"

/* ---- physical memory (bt-phys.c, bt-map.c) ------------------------------------ */

#define BT_PIECES 256           /* more than a PC's map ever has */
#define BT_BLOCKS 32            /* of host memory besides RAM: ROMs, video memory */
#define BT_EXTRA_PAGES 16384    /* page numbers for those: 64 MiB */

/** struct bt_piece - a stretch of whole pages of RAM or ROM */
struct bt_piece {
    gpa_t base, end;
    uint8_t *host;              /* of @base */
    uint32_t page;              /* number of the first page */
    uint32_t kind;              /* enum phys_kind */
};

/** struct bt_block - host memory of a region, with page numbers of its own */
struct bt_block {
    uint8_t *host;              /* NULL: its region has gone */
    uint64_t len;
    uint32_t page;
    uint32_t n_pages;           /* numbers, for another region when it has gone */
    bool stale;                 /* and there may be translations of it */
    uint8_t *written;           /* mem_dirty's, or NULL; atomic */
};

/** struct bt_map - the pieces, sorted; read without a lock */
struct bt_map {
    uint32_t n_pieces;
    uint32_t last;              /* piece that answered last: only a hint; atomic */
    struct bt_piece piece[BT_PIECES];
    struct bt_map *next;        /* retired */
    uint64_t retired_in;        /* epoch, or 0 */
};

/**
 * struct bt_phys - the memory map as the soft MMU asks for it
 * A change makes a new bt_map, with the machine lock held; the old one is freed when
 * every vCPU has been outside blocks. A page keeps its number as long as its region is there, so
 * translations outlive changes of the map. What a card that was taken out has left is used again.
 */
struct bt_phys {
    struct bt_map *map;         /* atomic */
    struct bt_map *retired;
    struct bt_block block[BT_BLOCKS];
    uint32_t changes;           /* phys_ops.map_changes */
    uint32_t n_blocks;          /* atomic: grows while vCPUs look */
    uint32_t n_pages;           /* numbers given out */
    uint32_t max_pages;
};

void bt_phys_init(struct bt_phys *p, const struct machine *m);
/** bt_phys_rebuild() - take over the machine's map; lock held */
void bt_phys_rebuild(struct bt_phys *p, const struct machine *m);
/** bt_phys_take_stale() - the numbers of pages whose region has gone: their translations are to be dropped
 *  before anybody else gets them. False: there are none. */
bool bt_phys_take_stale(struct bt_phys *p, uint32_t *page, uint32_t *n);
/** bt_phys_reclaim() - free maps that nobody reads any more; lock held */
void bt_phys_reclaim(struct bt_phys *p, struct tcg *t);
/** bt_phys_free() - free all maps; nobody looks up any more */
void bt_phys_free(struct bt_phys *p);
/** bt_phys_find() - phys_ops.lookup on @p; callable with guest vector state in
 *  host registers */
enum phys_kind bt_phys_find(struct bt_phys *p, gpa_t gpa, uint8_t **host, uint32_t *page);

/** bt_note_write() - phys_ops.note_write; opaque is the bt; callable like lookup */
void bt_note_write(void *opaque, uint32_t page);

/* ---- vCPUs ------------------------------------------------------------------------- */

enum { WORK_REMAP = 1, WORK_INVALIDATE = 2, WORK_INVALIDATE_ALL = 4, WORK_FERR = 8,
       WORK_WATCH = 16 };
#define BT_WRITES 64

/** struct bt_write - RAM changed by a device while the vCPU ran */
struct bt_write {
    gpa_t gpa;
    uint64_t len;
};

struct bt_cpu {
    struct accel_cpu ac;        /* first */
    struct bt *bt;
    struct x86_bus bus;
    bool single;                /* in accel_bt_step(): no interrupts, no end */
    uint32_t work;              /* WORK_*; atomic */
    struct bt_write writes[BT_WRITES]; /* ac.lock */
    unsigned n_writes;
    uint64_t watching;          /* watch ticket carried out; atomic */
    int sched_fd;               /* what the host says of its thread, opened when asked; -1: not open, -2: never */
};

/** struct bt - the translator of one machine */
struct bt {
    struct accel *a;
    struct machine *m;
    struct tcg_target target;   /* x86_target with our service() */
    struct tcg *tcg;
    struct bt_phys phys;
    uint64_t watch;             /* last ticket of mem_listener.watch; atomic */
    struct bt_cpu *cpus;
    unsigned n_cpus;
    FILE *profile;              /* where the report goes at the end, or NULL */
    struct bt_trace *trace;     /* bt-trace.c, or NULL */
    struct bt_verify *verify;   /* bt-verify.c, or NULL */
    struct kvm_verify *kvm_verify; /* kvm-verify.c, or NULL */
    struct bt_icount *icount;   /* time counted in instructions (bt-icount.h), or NULL */
    uint8_t *hash_written;      /* with state hashes: a byte a page of RAM, 1: written since the last; atomic */
    uint32_t n_hashed;          /* pages; else 0 */
};

/** bt_of() - the translator's part of @c */
static inline struct bt_cpu *bt_of(struct accel_cpu *c)
{
    return container_of(c, struct bt_cpu, ac);
}

/** bt_profile_open() - the report's file, if one is wanted; 0 or -errno with @e set */
int bt_profile_open(struct bt *bt, struct err *e) MUST_CHECK;
/** bt_bus_init() - connect @c's CPU to the machine */
void bt_bus_init(struct bt_cpu *c);
/** bt_pv_init()/bt_pv_free() - members of struct x86_bus for paravirtual interfaces (bt-pv.c) */
void bt_pv_init(struct bt_cpu *c);
void bt_pv_free(struct bt_cpu *c);
/** bt_raise_ferr() - FERR# reaches IRQ 13; bt_ferr_port() - port 0xF0 lowers it */
void bt_raise_ferr(struct bt_cpu *c);
/** bt_lookup()/bt_mmio_read()/bt_mmio_write() - struct phys_ops, opaque is the bt */
enum phys_kind bt_lookup(void *opaque, gpa_t gpa, uint8_t **host, uint32_t *page);
void bt_window(void *opaque, gpa_t gpa, struct phys_window *w);
/** bt_a20_mask()/bt_intr()/bt_set_ferr()/bt_tsc()/bt_prompt() - members of struct x86_bus, callable
 *  with guest vector state in host registers; opaque is the bt_cpu */
uint64_t bt_a20_mask(void *opaque);
uint32_t bt_intr(void *opaque);
void bt_set_ferr(void *opaque, int level);
uint64_t bt_tsc(void *opaque);
void bt_prompt(void *opaque);
/** bt_run_prompt() - what bt_prompt() does, with vector state put away */
void bt_run_prompt(struct bt_cpu *c);
/** bt_deliver() - tcg_target.deliver */
bool bt_deliver(struct tcg_cpu *tc);
uint64_t bt_mmio_read(void *opaque, struct tcg_cpu *cpu, gpa_t gpa, unsigned size);
void bt_mmio_write(void *opaque, struct tcg_cpu *cpu, gpa_t gpa, uint64_t v, unsigned size);

/** bt_map_changed() and so on - struct accel_ops', changes of the memory map and of RAM */
void bt_map_changed(struct accel *a);
void bt_ram_written(struct accel *a, gpa_t gpa, uint64_t len);
uint64_t bt_watch(struct accel *a);
bool bt_watching(struct accel *a, uint64_t ticket);
/** bt_do_work() - what others have left to do, on the vCPU's thread between
 *  blocks or while it is parked */
void bt_do_work(struct bt_cpu *c);

/** bt_debug_service() - bt_service() of a vCPU that is debugged (bt-debug.c) */
bool bt_debug_service(struct bt_cpu *c);
/** bt_debug_set()/bt_debug_step() - struct accel_ops' */
void bt_debug_set(struct accel *a, const struct tcg_break *b, unsigned n_breaks,
                  const struct tcg_watch *w, unsigned n_watches);
void bt_debug_step(struct accel_cpu *c, bool step);

/** bt_halt() - wait until a request line is up that is not in @masked */
void bt_halt(struct bt_cpu *c, uint32_t masked);

#endif
