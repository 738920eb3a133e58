/*
 * qmp.h - the machine protocol: JSON commands, replies and events over a character device
 */
#ifndef UI_QMP_H
#define UI_QMP_H

#include "ui/command.h"

/**
 * qmp_new() - serve programs at @chr with the commands of run_commands
 * @chr: stays the caller's; must outlive it
 * @pretty: indented text
 * Returns NULL with @e set when JSON cannot be read (built without Jansson).
 */
struct qmp *qmp_new(struct run *r, struct chardev *chr, bool pretty, struct err *e) MUST_CHECK;
void qmp_free(struct qmp *q);
/** qmp_resume() - requests of the last command are done: answer it and go on; returns
 *  whether another one waits now */
bool qmp_resume(struct qmp *q);
/** qmp_event() - send an event to a client that is past qmp_capabilities; @data: JSON or NULL */
void qmp_event(struct qmp *q, const char *name, const char *data);

/* descriptors by name: getfd, and fd=NAME of other commands */
/** qmp_keep_fd() - name the descriptor sent with this command; -EINVAL: there was none */
int qmp_keep_fd(struct qmp *q, const char *name, struct err *e) MUST_CHECK;
/** qmp_close_fd() - -ENOENT with @e set when there is none of that name */
int qmp_close_fd(struct qmp *q, const char *name, struct err *e) MUST_CHECK;
/** qmp_take_fd() - the descriptor, which is the caller's now; -1: none of that name */
int qmp_take_fd(struct qmp *q, const char *name);

/** qmp_capture() - what command @line prints at a prompt that looks at vCPU @cpu; owned */
char *qmp_capture(struct run *r, const char *line, unsigned cpu);

#endif
