/*
 * ioport.c - the 64K I/O port space
 *
 * A table gives the range that answers at each port. Ranges may overlap; the
 * newest wins and an older one reappears when the newer goes away.
 */
#include <stdlib.h>
#include "hw/hw-int.h"

#define N_PORTS 0x10000u

struct port_range {
    const char *name;
    uint16_t port;
    uint32_t len;
    struct io_ops ops;
    void *opaque;
    unsigned (*read_string)(void *opaque, uint64_t off, unsigned size, void *buf, unsigned n);
    struct port_range *next;   /* newest first */
};

void ports_init(struct machine *m)
{
    /* calloc: untouched pages of the half MiB stay unbacked */
    m->ports = calloc(N_PORTS, sizeof *m->ports);
    if (!m->ports)
        m->ports = xzalloc(N_PORTS * sizeof *m->ports);
}

void ports_free(struct machine *m)
{
    struct port_range *r, *next;

    for (r = m->port_list; r; r = next) {
        next = r->next;
        free(r);
    }
    m->port_list = NULL;
    free(m->ports);
    m->ports = NULL;
}

struct port_range *port_map(struct machine *m, const char *name, uint16_t port,
                            unsigned len, const struct io_ops *ops, void *opaque)
{
    struct port_range *r = xzalloc(sizeof *r);

    r->name = name;
    r->port = port;
    r->len = MIN(len, N_PORTS - port);
    r->ops = *ops;
    r->opaque = opaque;
    r->next = m->port_list;
    m->port_list = r;
    for (uint32_t i = 0; i < r->len; i++)
        m->ports[port + i] = r;
    return r;
}

void port_set_strings(struct port_range *r,
                      unsigned (*read)(void *opaque, uint64_t off, unsigned size, void *buf, unsigned n))
{
    r->read_string = read;
}

static struct port_range *port_owner(struct machine *m, uint32_t port)
{
    struct port_range *r = m->port_list;

    while (r && (port < r->port || port - r->port >= r->len))
        r = r->next;
    return r;
}

void port_unmap(struct machine *m, struct port_range *r)
{
    struct port_range **p = &m->port_list;

    if (!r)
        return;
    while (*p && *p != r)
        p = &(*p)->next;
    if (!*p)
        return;
    *p = r->next;
    for (uint32_t i = 0; i < r->len; i++)
        if (m->ports[r->port + i] == r)
            m->ports[r->port + i] = port_owner(m, r->port + i);
    free(r);
}

int port_at(const struct machine *m, const struct port_range *r, unsigned off)
{
    return off < r->len && m->ports[r->port + off] == r ? r->port + (int)off : -1;
}

/* How many of @size bytes at @port belong to the range found there. */
static unsigned port_span(struct machine *m, uint32_t port, unsigned size)
{
    unsigned n = 1;

    while (n < size && port + n < N_PORTS && m->ports[port + n] == m->ports[port])
        n++;
    return n;
}

uint32_t port_read(struct machine *m, uint16_t port, unsigned size)
{
    uint32_t val = 0;

    machine_lock(m);
    for (unsigned done = 0, n; done < size; done += n) {
        uint32_t p = port + done;
        struct port_range *r = p < N_PORTS ? m->ports[p] : NULL;
        uint64_t v = ~0ull;

        n = p < N_PORTS ? port_span(m, p, size - done) : size - done;
        n = n == 3 ? 2 : n;
        if (r)
            v = io_read(&r->ops, r->opaque, r->len, p - r->port, n);
        val |= (uint32_t)(v & size_mask(n)) << (done * 8);
    }
    machine_unlock(m);
    return val;
}

unsigned port_read_string(struct machine *m, uint16_t port, unsigned size, void *buf, unsigned n)
{
    unsigned done = 0;
    struct port_range *r;

    machine_lock(m);
    r = m->ports[port];
    if (r && r->read_string && size <= r->ops.max_bytes && port_span(m, port, size) == size)
        done = r->read_string(r->opaque, port - r->port, size, buf, n);
    machine_unlock(m);
    return done;
}

void port_write(struct machine *m, uint16_t port, uint32_t val, unsigned size)
{
    machine_lock(m);
    for (unsigned done = 0, n; done < size; done += n) {
        uint32_t p = port + done;
        struct port_range *r = p < N_PORTS ? m->ports[p] : NULL;

        n = p < N_PORTS ? port_span(m, p, size - done) : size - done;
        n = n == 3 ? 2 : n;
        if (r)
            io_write(&r->ops, r->opaque, r->len, p - r->port,
                     val >> (done * 8) & size_mask(n), n);
    }
    machine_unlock(m);
}
