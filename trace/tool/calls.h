/*
 * calls.h - functions and call stacks, from the blocks of a trace (calls.c)
 */
#ifndef TRACE_TOOL_CALLS_H
#define TRACE_TOOL_CALLS_H

#include "trace/tool/tool.h"

#define CALL_DEPTH 256           /* deeper frames are counted for the frame there */

/** struct call_func - a function: a symbol, or code reached by a call where none is known */
struct call_func {
    uint64_t start;
    char *name;
    uint64_t self, total;        /* instructions; total also below it, recursion once */
    uint64_t calls;
};

/** struct call_node - a function called in a certain way */
struct call_node {
    uint32_t func, parent;       /* parent 0 at the root, which is node 0 */
    uint32_t child, sibling;     /* 0: none */
    uint64_t self, calls;
};

struct calls;
struct calls *calls_new(const struct tool *t);
void calls_free(struct calls *c);
/** calls_step() - account @s; returns how the stack changed: frames left, then one entered or none */
struct call_change {
    unsigned left;               /* frames that were left */
    bool entered;
} calls_step(struct calls *c, const struct trace_step *s);
/** calls_nodes()/calls_funcs() - what there is so far */
const struct call_node *calls_nodes(const struct calls *c, size_t *n);
struct call_func *calls_funcs(struct calls *c, size_t *n);
/** calls_top() - the function that is running */
const struct call_func *calls_top(const struct calls *c);
/** calls_totals() - fill total of all functions */
void calls_totals(struct calls *c);

#endif
