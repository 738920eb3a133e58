/*
 * commands-int.h - the tables behind run_commands, and what they share
 */
#ifndef UI_COMMANDS_INT_H
#define UI_COMMANDS_INT_H

#include "ui/command.h"
#include "ui/qmp.h"
#include "ui/run-int.h"

extern const struct command query_commands[], cpu_commands[], memory_commands[], qom_commands[], char_commands[],
    block_commands[], node_commands[], job_commands[], snapshot_commands[], input_commands[], net_commands[],
    bus_commands[], device_commands[], object_commands[], schema_commands[], vnc_commands[], accel_commands[],
    balloon_commands[];

/**
 * run_job() - carry out @work as a job, now: its failure is the job's, not the command's
 * @id: by which it is asked for until it is dismissed; @type: constant, as query-jobs has it
 * Tells JOB_STATUS_CHANGE. 0, or -EBUSY with @e set when @id is taken.
 */
int run_job(struct call *c, const char *id, const char *type, int (*work)(struct call *c, void *what, struct err *e),
            void *what, struct err *e) MUST_CHECK;

/** vnc_set_password() - of the VNC server; 0, or -errno with @e set: there is none, or it asks for none */
int vnc_set_password(struct call *c, const char *password, struct err *e) MUST_CHECK;
/** balloon_props - names of the properties that a balloon has beside its table, NULL-terminated;
 *  balloon_prop_get(), balloon_prop_set(): 0, or -ENOENT when @name is none of @d's, or -EINVAL with
 *  @e set */
extern const char *const balloon_props[];
int balloon_prop_get(struct jw *w, const char *key, const struct device *d, const char *name);
int balloon_prop_set(struct device *d, const char *name, const struct jv *value, struct err *e) MUST_CHECK;
/** prop_write() - the value that property @p of @d has now */
void prop_write(struct jw *w, const char *key, const struct device *d, const struct dev_prop *p);
/** each_feature() - call @put for every CPUID feature that has a name, in order of its bit */
void each_feature(const struct x86_model *m, void (*put)(void *opaque, const char *name, bool on), void *opaque);
/** flat_kv() - append members of JSON object @args as the command line would have them, nested ones as
 *  "outer.inner", elements of arrays as "outer.0" */
void flat_kv(struct kv_list *l, const struct jv *args);

#endif
