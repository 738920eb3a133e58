/*
 * bt-icount.h - time counted in instructions, and hashes of the guest's state (bt-icount.c,
 * bt-hash.c)
 */
#ifndef ACCEL_BT_ICOUNT_H
#define ACCEL_BT_ICOUNT_H

#include "accel/bt-int.h"

struct bt_hash;

/** struct bt_icount - only the vCPU's thread changes it, with the machine lock where others look */
struct bt_icount {
    struct icount_options opt;
    uint8_t shift;               /* now */
    int64_t bias_ns;             /* the clock at count @from */
    uint64_t from;
    uint64_t random;             /* state of the generator */
    bool woken;                  /* by another thread: a timer moved, an event waits; accel_cpu.lock */
    struct bt_hash *hash;
    uint64_t next_hash;          /* count at which a hash is due */
    uint64_t ram_sum;            /* of RAM, at the last */
    int64_t start_ns, start_host_ns;
    int64_t adapted_ns, adapted_host_ns;
};

/** bt_icount_new() - make @bt count; before the board is built. 0 or -errno with @e set */
int bt_icount_new(struct bt *bt, const struct icount_options *o, struct err *e) MUST_CHECK;
/** bt_icount_start() - the machine goes on: timers are the vCPU's from now on */
void bt_icount_start(struct bt *bt);
void bt_icount_free(struct bt *bt);

/* What follows: the vCPU's thread. */
/** bt_icount_ns() - the guest's time now; bt_icount_tsc() - as TSC ticks */
int64_t bt_icount_ns(struct bt *bt);
uint64_t bt_icount_tsc(struct bt *bt);
/** bt_icount_enter()/bt_icount_leave() - around an access to devices; they lock the machine */
void bt_icount_enter(struct bt_cpu *c);
void bt_icount_leave(struct bt_cpu *c);
/** bt_icount_before()/bt_icount_after() - around x86_service(): run timers that are due, set
 *  how far to go */
void bt_icount_before(struct bt_cpu *c);
void bt_icount_after(struct bt_cpu *c);
/** bt_icount_halt() - bt_halt() */
void bt_icount_halt(struct bt_cpu *c);

/* ---- lockstep (bt-verify.c) ------------------------------------------------------------- */

/** bt_verify_config() - have @cfg compare, when the options want it; bt_verify_close() - the
 *  parent waits for the child and says what came of it; a difference ends the process. 0 or -errno with @e set */
int bt_verify_config(struct bt *bt, struct tcg_config *cfg, struct err *e) MUST_CHECK;
void bt_verify_close(struct bt *bt);
/** bt_verify_before() - compare before x86_service() delivers anything */
void bt_verify_before(struct bt_cpu *c);

/* With KVM in the interpreter's place (kvm-verify.c): in one process, memory is m->ram_fd's. */
struct kvm_verify;
struct kvm_verify *kvm_verify_new(struct bt *bt, struct err *e) MUST_CHECK;
/** kvm_verify_before_block() - tcg_config.before_block; kvm_verify_look() - compare what was executed since */
void kvm_verify_before_block(void *opaque, struct tcg_cpu *cpu, const struct tb *tb);
void kvm_verify_look(struct kvm_verify *v, struct tcg_cpu *cpu);
/** kvm_verify_free() - and say what came of it; NULL is allowed */
void kvm_verify_free(struct kvm_verify *v);

/* ---- binary trace (bt-trace.c) ------------------------------------------------------- */

/** bt_trace_config() - what translated code is to do for it */
void bt_trace_config(const struct accel_options *o, struct tcg_config *cfg);
/** bt_trace_open() - create the file that @o wants, if any; 0 or -errno with @e
 *  bt_trace_start() - the vCPUs are made; bt_trace_end_cpu() - one goes; bt_trace_close() - all have */
int bt_trace_open(struct bt *bt, const struct trace_options *o, struct err *e) MUST_CHECK;
int bt_trace_start(struct bt *bt, struct err *e) MUST_CHECK;
void bt_trace_end_cpu(struct bt_cpu *c);
void bt_trace_close(struct bt *bt);
/** bt_trace_before()/bt_trace_after() - around x86_service(), the vCPU's thread: write what was
 *  noted; without -icount how far to go. bt_trace_room() - that, in blocks */
void bt_trace_before(struct bt_cpu *c);
void bt_trace_after(struct bt_cpu *c);
uint64_t bt_trace_room(struct bt *bt);
/** bt_trace_access() - TRACE_IO or TRACE_MMIO, when there is a trace */
void bt_trace_access(struct bt_cpu *c, unsigned kind, uint64_t at, unsigned size, bool write, uint64_t v);

/** bt_hash_new() - lines "COUNT REGISTERS RAM" go to @path, if any; icount->ram_sum is kept; the machine has its RAM, not yet more */
int bt_hash_new(struct bt_hash **h, struct bt *bt, const char *path, struct err *e) MUST_CHECK;
void bt_hash_free(struct bt_hash *h, struct bt *bt);
/** bt_hash_write() - a line for the state now */
void bt_hash_write(struct bt_hash *h, struct bt *bt, uint64_t count);

#endif
