/*
 * verify.h - -verify: one engine against another
 */
#ifndef ACCEL_VERIFY_H
#define ACCEL_VERIFY_H

#include "util/util.h"

struct verify_shared;

/** struct verify_options - -verify, and what became of it */
struct verify_options {
    struct verify_shared *shared;    /* between the processes; NULL: none */
    bool kvm;                        /* KVM, in this process, instead */
    bool child;                      /* this one interprets */
    int pid;                         /* the child's, in the parent */
};

/** verify_fork() - go on as two processes; *@child says which this is. NULL with @e set */
struct verify_shared *verify_fork(bool *child, int *pid, struct err *e) MUST_CHECK;

#endif
