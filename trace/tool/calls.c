/*
 * calls.c - who called whom
 *
 * A stack of frames follows calls and returns: a return goes to the frame whose return address
 * it reaches, however far up; when there is none, somebody has switched stacks, and the stack begins
 * anew. An interrupt is a call that returns to where it came.
 */
#include <inttypes.h>
#include <stdlib.h>
#include "trace/tool/calls.h"

#define HASH_BITS 16
#define NODES_MAX (1u << 22)     /* beyond, callers are no longer told apart */

enum flow { FLOW_NONE, FLOW_CALL, FLOW_RET };

struct frame {
    uint32_t node;
    uint64_t back;               /* return address */
};

struct calls {
    const struct tool *tool;
    struct call_func *func;
    uint32_t *func_next;         /* hash chains; index + 1 */
    uint32_t hash[1 << HASH_BITS];
    size_t n_func, room_func;
    struct call_node *node;
    size_t n_node, room_node;
    struct frame stack[CALL_DEPTH];
    unsigned depth;              /* frames; stack[depth - 1] runs */
    enum flow last;              /* how the last block ended */
    uint64_t back;               /* FLOW_CALL: where it returns to */
    bool interrupted;
    uint64_t interrupted_at;
};

/* ---- functions ------------------------------------------------------------------------ */

static unsigned hash_of(uint64_t start)
{
    return (unsigned)(start * 0x9e3779b97f4a7c15ull >> (64 - HASH_BITS));
}

static uint32_t function_at(struct calls *c, uint64_t start, const char *name)
{
    uint32_t *head = &c->hash[hash_of(start)];
    char text[24];

    for (uint32_t i = *head; i; i = c->func_next[i - 1])
        if (c->func[i - 1].start == start)
            return i - 1;
    if (c->n_func == c->room_func) {
        c->room_func = c->room_func ? c->room_func * 2 : 1024;
        c->func = xrealloc(c->func, c->room_func * sizeof *c->func);
        c->func_next = xrealloc(c->func_next, c->room_func * sizeof *c->func_next);
    }
    snprintf(text, sizeof text, "%#" PRIx64, start);
    c->func[c->n_func] = (struct call_func){ .start = start, .name = xstrdup(name ? name : text) };
    c->func_next[c->n_func] = *head;
    *head = (uint32_t)++c->n_func;
    return *head - 1;
}

/* ---- the tree --------------------------------------------------------------------------- */

static uint32_t child_of(struct calls *c, uint32_t parent, uint32_t func)
{
    uint32_t i;

    for (i = c->node[parent].child; i; i = c->node[i].sibling)
        if (c->node[i].func == func)
            return i;
    if (c->n_node == NODES_MAX)
        return parent;
    if (c->n_node == c->room_node) {
        c->room_node *= 2;
        c->node = xrealloc(c->node, c->room_node * sizeof *c->node);
    }
    i = (uint32_t)c->n_node++;
    c->node[i] = (struct call_node){ .func = func, .parent = parent, .sibling = c->node[parent].child };
    c->node[parent].child = i;
    return i;
}

static void push(struct calls *c, uint32_t func, uint64_t back)
{
    uint32_t parent = c->depth ? c->stack[c->depth - 1].node : 0, node = child_of(c, parent, func);

    c->node[node].calls++;
    c->func[func].calls++;
    if (c->depth < CALL_DEPTH)
        c->depth++;
    c->stack[c->depth - 1] = (struct frame){ node, back };
}

/* ---- blocks ------------------------------------------------------------------------------- */

static bool is_prefix(uint8_t b, bool wide)
{
    return b == 0x66 || b == 0x67 || b == 0xf2 || b == 0xf3 || b == 0x2e || b == 0x36 || b == 0x3e
           || b == 0x26 || b == 0x64 || b == 0x65 || b == 0xf0 || (wide && (b & 0xf0) == 0x40);
}

/* How instruction @p of @len bytes goes on (Intel SDM vol. 2, CALL, RET, IRET, SYSCALL). */
static enum flow flow_of(const uint8_t *p, unsigned len, bool wide)
{
    while (len > 1 && is_prefix(*p, wide))
        p++, len--;
    if (!len)
        return FLOW_NONE;
    if (*p == 0xe8 || *p == 0x9a || (*p == 0xff && len > 1 && ((p[1] >> 3 & 7) == 2 || (p[1] >> 3 & 7) == 3)))
        return FLOW_CALL;
    if (*p == 0xc2 || *p == 0xc3 || *p == 0xca || *p == 0xcb || *p == 0xcf)
        return FLOW_RET;
    if (*p == 0x0f && len > 1 && (p[1] == 0x05 || p[1] == 0x34))
        return FLOW_CALL;
    return *p == 0x0f && len > 1 && (p[1] == 0x07 || p[1] == 0x35) ? FLOW_RET : FLOW_NONE;
}

static void note_end(struct calls *c, const struct trace_step *s)
{
    const struct trace_block *b = s->block;
    unsigned last = b->n_insns - 1u, len = b->insn_len[last];

    c->last = FLOW_NONE;
    c->back = b->pc + b->len;
    if (s->executed == b->n_insns && len <= b->len)
        c->last = flow_of(b->code + b->len - len, len, (b->mode & TRACE_MODE_BITS) == 2);
    c->interrupted = false;
    for (unsigned i = 0; i < s->n_events; i++)
        if (s->event[i].kind == TRACE_INT) {
            c->interrupted = true;
            c->interrupted_at = s->event[i].field[3];
        }
}

/* The frame that goes on at @pc becomes the top. Returns how many were left. */
static unsigned unwind(struct calls *c, uint64_t pc)
{
    for (unsigned i = c->depth; i > 1; i--)
        if (c->stack[i - 1].back == pc) {
            unsigned left = c->depth - (i - 1);

            c->depth = i - 1;
            return left;
        }
    return 0;
}

struct call_change calls_step(struct calls *c, const struct trace_step *s)
{
    const struct trace_block *b = s->block;
    struct call_change ch = { 0, false };
    uint64_t start = 0;
    const char *name;
    uint32_t func;

    if (!b)
        return ch;
    name = guest_symbols_find(c->tool->symbols, b->pc, &start);
    if (c->last == FLOW_RET && !c->interrupted)
        ch.left = unwind(c, b->pc);
    if (!name) {                 /* without a symbol code belongs to whoever was called */
        bool new = !c->depth || c->last == FLOW_CALL || c->interrupted || (c->last == FLOW_RET && !ch.left);
        start = new ? b->pc : c->func[c->node[c->stack[c->depth - 1].node].func].start;
    }
    func = function_at(c, start, name);
    if (s->gap || (c->last == FLOW_RET && !c->interrupted && !ch.left)) {
        ch.left = c->depth;
        c->depth = 0;
    }
    if (!c->depth || c->interrupted || c->last == FLOW_CALL) {
        push(c, func, c->interrupted ? c->interrupted_at : c->back);
        ch.entered = true;
    } else if (c->node[c->stack[c->depth - 1].node].func != func) {   /* a jump to another one */
        uint64_t back = c->stack[--c->depth].back;

        ch.left++;
        ch.entered = true;
        push(c, func, back);
    }
    c->node[c->stack[c->depth - 1].node].self += s->executed;
    c->func[func].self += s->executed;
    note_end(c, s);
    return ch;
}

/* ---- results --------------------------------------------------------------------------------- */

struct calls *calls_new(const struct tool *t)
{
    struct calls *c = xzalloc(sizeof *c);

    c->tool = t;
    c->room_node = 1024;
    c->node = xzalloc(c->room_node * sizeof *c->node);
    c->n_node = 1;
    return c;
}

void calls_free(struct calls *c)
{
    for (size_t i = 0; i < c->n_func; i++)
        free(c->func[i].name);
    free(c->func);
    free(c->func_next);
    free(c->node);
    free(c);
}

const struct call_node *calls_nodes(const struct calls *c, size_t *n)
{
    *n = c->n_node;
    return c->node;
}

struct call_func *calls_funcs(struct calls *c, size_t *n)
{
    *n = c->n_func;
    return c->func;
}

const struct call_func *calls_top(const struct calls *c)
{
    return c->depth ? &c->func[c->node[c->stack[c->depth - 1].node].func] : NULL;
}

/* Is function @func already above @node? */
static bool above(const struct calls *c, uint32_t node, uint32_t func)
{
    for (uint32_t p = c->node[node].parent; p; p = c->node[p].parent)
        if (c->node[p].func == func)
            return true;
    return false;
}

void calls_totals(struct calls *c)
{
    uint64_t *sum = xzalloc(c->n_node * sizeof *sum);

    for (size_t i = c->n_node; i-- > 1;) {           /* children come behind their parents */
        sum[i] += c->node[i].self;
        sum[c->node[i].parent] += sum[i];
        if (!above(c, (uint32_t)i, c->node[i].func))
            c->func[c->node[i].func].total += sum[i];
    }
    free(sum);
}
