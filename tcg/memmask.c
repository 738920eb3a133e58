/*
 * memmask.c - guest memory accesses whose elements an opmask register selects
 *
 * Built without vector registers, like memaccess.c.
 */
#include "tcg/access-int.h"

struct tcg_mask fold_mask(uint64_t k, unsigned bits, unsigned len, unsigned elem, bool compact)
{
    unsigned n = len / elem;

    k &= bits >= 64 ? ~0ull : (1ull << bits) - 1;
    if (compact) {
        unsigned count = 0;
        for (; k; k &= k - 1)
            count++;
        k = count >= 64 ? ~0ull : (1ull << count) - 1;
    }
    for (unsigned i = n; i < bits; i *= 2)      /* a part that is repeated: each use counts */
        k |= k >> i;
    return (struct tcg_mask){ n >= 64 ? k : k & ((1ull << n) - 1), elem };
}

struct tcg_mask tcg_vec_mask(const struct ir_vec *v, uint64_t k)
{
    return fold_mask(k, v->mask_bits, v->mem_bytes, v->mem_elem, v->compact);
}

static bool selected(struct tcg_mask m, unsigned byte)
{
    return m.bits >> (byte / m.elem) & 1;
}

/* Watchpoints on the selected ones of bytes @from..@to-1. */
static bool watch_masked(struct tcg_cpu *cpu, uint64_t va, unsigned from, unsigned to,
                         struct tcg_mask m, enum tcg_access acc)
{
    for (unsigned i = from; i < to; i++)
        if (selected(m, i) && !debug_access(cpu, (va + i) & cpu->va_mask, 1, acc))
            return false;
    return true;
}

/* The first, or else the last, of bytes @from..@to-1 that @m selects; @to: none is. */
static unsigned find_selected(struct tcg_mask m, unsigned from, unsigned to, bool first)
{
    for (unsigned i = 0; i < to - from; i++) {
        unsigned at = first ? from + i : to - 1 - i;
        if (selected(m, at))
            return at;
    }
    return to;
}

bool resolve_masked(struct tcg_cpu *cpu, uint64_t va, unsigned len, struct tcg_mask m,
                    enum tcg_access acc, struct span *s)
{
    unsigned room = MIN(len, PAGE_SIZE - (unsigned)(va & PAGE_MASK));
    unsigned from[3] = { 0, room, len };

    s->n[0] = s->n[1] = 0;
    for (unsigned i = 0; i < 2; i++) {
        unsigned first = find_selected(m, from[i], from[i + 1], true), at = first;

        if (first == from[i + 1])
            continue;
        if (acc == ACC_WRITE && s->n[0] && len > m.elem)
            at = find_selected(m, first, from[i + 1], false);
        if (!resolve(cpu, cpu->mmu->view, (va + at) & cpu->va_mask, acc, &s->p[i]))
            return false;
        if (acc == ACC_WRITE && s->p[i].has_code &&
            !store_code_page(cpu, &s->p[i], (va + first) & cpu->va_mask, from[i + 1] - first))
            return false;
        if (unlikely(cpu->tcg->debug) && !watch_masked(cpu, va, first, from[i + 1], m, acc))
            return false;
        s->n[i] = from[i + 1] - from[i];
        s->p[i].gpa -= at - from[i];
        if (s->p[i].host)
            s->p[i].host -= at - from[i];
    }
    return true;
}

/* Bytes @from..@to-1 of the operand, which lie in one page, run by run of selected ones. */
static void move_masked(struct tcg_cpu *cpu, const struct place *at, uint8_t *buf,
                        unsigned from, unsigned to, struct tcg_mask m, bool write)
{
    for (unsigned a = from, b; a < to; a = b + 1) {
        struct place p = *at;

        for (b = a; b < to && selected(m, b); b++)
            ;
        if (a == b)
            continue;
        p.gpa += a - from;
        if (p.host)
            p.host += a - from;
        if (write)
            place_write(cpu, &p, buf + a, b - a);
        else
            place_read(cpu, &p, buf + a, b - a);
    }
}

void move_span(struct tcg_cpu *cpu, const struct span *s, uint64_t va, uint8_t *buf,
               unsigned len, struct tcg_mask m, bool write)
{
    unsigned room = MIN(len, PAGE_SIZE - (unsigned)(va & PAGE_MASK));

    if (s->n[0])
        move_masked(cpu, &s->p[0], buf, 0, room, m, write);
    if (s->n[1])
        move_masked(cpu, &s->p[1], buf, room, len, m, write);
}

void zero_bytes(uint8_t *p, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        ((volatile uint8_t *)p)[i] = 0;
}

bool tcg_load_masked(struct tcg_cpu *cpu, uint64_t va, void *buf, unsigned len, struct tcg_mask m)
{
    struct span s;

    zero_bytes(buf, len);
    if (!resolve_masked(cpu, va, len, m, ACC_READ, &s))
        return false;
    note_access(cpu, va, len, ACC_READ, &s);
    move_span(cpu, &s, va, buf, len, m, false);
    return true;
}

bool tcg_store_masked(struct tcg_cpu *cpu, uint64_t va, const void *buf, unsigned len, struct tcg_mask m)
{
    struct span s;

    if (!resolve_masked(cpu, va, len, m, ACC_WRITE, &s))
        return false;
    note_access(cpu, va, len, ACC_WRITE, &s);
    move_span(cpu, &s, va, (uint8_t *)(uintptr_t)buf, len, m, true);
    return true;
}

bool tcg_probe_masked(struct tcg_cpu *cpu, uint64_t va, unsigned len, struct tcg_mask m,
                      enum tcg_access acc)
{
    struct span s;

    return resolve_masked(cpu, va, len, m, acc, &s);
}
