/*
 * gdb-query.c - q and Q packets: what the stub can do, threads, descriptions, the
 * monitor, and QEMU's own settings under QEMU's names
 */
#define _GNU_SOURCE 1
#include <stdlib.h>
#include "ui/gdb-int.h"

/* ---- what both sides can -------------------------------------------------------------- */

static bool has_word(const char *list, const char *word)
{
    size_t n = strlen(word);

    for (const char *p = list; (p = strstr(p, word)); p += n)
        if ((p == list || p[-1] == ';' || p[-1] == ':') && (!p[n] || p[n] == ';'))
            return true;
    return false;
}

static void supported(struct gdb *g, const char *s)
{
    g->multiprocess = has_word(s, "multiprocess+");
    g->swbreak = has_word(s, "swbreak+");
    g->hwbreak = has_word(s, "hwbreak+");
    g->exec_events = has_word(s, "exec-events+");
    out_fmt(&g->out, "PacketSize=%x;qXfer:features:read+;qXfer:memory-map:read+;vContSupported+;"
            "QStartNoAckMode+", GDB_PACKET);
    out_str(&g->out, g->multiprocess ? ";multiprocess+" : "");
    out_str(&g->out, g->swbreak ? ";swbreak+" : "");
    out_str(&g->out, g->hwbreak ? ";hwbreak+" : "");
    out_str(&g->out, g->exec_events ? ";exec-events+" : "");
}

static void no_ack(struct gdb *g, const char *s)
{
    gdb_reply(g, "OK");
    g->no_ack = true;
}

/* ---- threads -------------------------------------------------------------------------------- */

static void thread_list(struct gdb *g, const char *s)
{
    for (unsigned i = 0; i < g->n_cpus; i++) {
        out_str(&g->out, i ? "," : "m");
        out_thread(g, i);
    }
}

static void thread_list_end(struct gdb *g, const char *s)
{
    gdb_reply(g, "l");
}

static void thread_info(struct gdb *g, const char *s)
{
    const struct x86_cpu *cpu;
    char text[64];
    int i;

    if (!take_thread(g, &s, &i) || i < 0 || *s) {
        gdb_error(g, GDB_EINVAL);
        return;
    }
    cpu = accel_cpu(g->accel, (unsigned)i);
    snprintf(text, sizeof(text), "CPU#%d [%s]", i,
             cpu->wait_sipi ? "waits for SIPI" : cpu->halted ? "halted " : "running");
    out_hex(&g->out, text, strlen(text));
}

static void current_thread(struct gdb *g, const char *s)
{
    out_str(&g->out, "QC");
    out_thread(g, g->cpu);
}

static void attached(struct gdb *g, const char *s)
{
    gdb_reply(g, "1");
}

/* ---- objects -------------------------------------------------------------------------------------- */

/* All of the linear address space may hold RAM; what of physical memory is RAM or ROM
 * is known. Two halves: a length of 2^64 does not fit. */
static char *memory_map(struct gdb *g)
{
    char *text = NULL;
    size_t len;
    FILE *f = open_memstream(&text, &len);

    if (!f)
        return xstrdup("");
    fprintf(f, "<?xml version=\"1.0\"?>\n<!DOCTYPE memory-map PUBLIC \"+//IDN gnu.org//DTD GDB "
            "Memory Map V1.0//EN\" \"http://sourceware.org/gdb/gdb-memory-map.dtd\">\n<memory-map>\n");
    for (unsigned i = 0; !g->phys_mem && i < 2; i++)
        fprintf(f, "<memory type=\"ram\" start=\"%#llx\" length=\"0x8000000000000000\"/>\n",
                i * 0x8000000000000000ull);
    for (size_t i = 0; g->phys_mem && i < g->m->mem.n_flat; i++) {
        const struct mem_flat *p = &g->m->mem.flat[i];

        if (p->region->kind != MEM_MMIO)
            fprintf(f, "<memory type=\"%s\" start=\"%#llx\" length=\"%#llx\"/>\n",
                    p->region->kind == MEM_ROM ? "rom" : "ram", (unsigned long long)p->base,
                    (unsigned long long)p->len);
    }
    fprintf(f, "</memory-map>\n");
    fclose(f);
    return text;
}

/* "OFFSET,LENGTH" of @text, as binary */
static void transfer(struct gdb *g, const char *s, const char *text)
{
    uint64_t off, len;
    size_t size = strlen(text);

    if (!take_hex(&s, &off) || !take_char(&s, ',') || !take_hex(&s, &len) || *s || off > size) {
        gdb_error(g, GDB_EINVAL);
        return;
    }
    out_str(&g->out, "m");
    off += out_binary(&g->out, text + off, MIN(len, size - off));
    if (off == size)
        g->out.buf[0] = 'l';
}

static void read_features(struct gdb *g, const char *s)
{
    if (!strncmp(s, "target.xml:", 11)) {
        s += 11;
        if (*s == '0' && s[1] == ',')
            gdb_use_arch(g, gdb_arch_now(gdb_cpu(g)));
        transfer(g, s, g->regs.xml);
    } else {
        gdb_error(g, 0);
    }
}

static void read_memory_map(struct gdb *g, const char *s)
{
    if (!take_char(&s, ':')) {
        gdb_error(g, 0);
        return;
    }
    if (!g->xfer || (*s == '0' && s[1] == ',')) {
        free(g->xfer);
        g->xfer = memory_map(g);
    }
    transfer(g, s, g->xfer);
}

/* ---- the monitor ------------------------------------------------------------------------------------ */

#define CONSOLE_BYTES 2048

/* Its output goes in pieces, as the console's. */
static void put_console(struct gdb *g, const char *text)
{
    for (size_t n; *text; text += n) {
        n = strnlen(text, CONSOLE_BYTES);
        gdb_reply(g, "O");
        out_hex(&g->out, text, n);
        gdb_put(g);
    }
}

static void monitor(struct gdb *g, const char *s)
{
    char line[1024], *text;
    size_t n = strlen(s) / 2;

    if (n >= sizeof(line) || !take_bytes(&s, line, n) || *s) {
        gdb_error(g, GDB_EINVAL);
        return;
    }
    line[n] = 0;
    text = g->hooks.command(g->hooks.opaque, line);
    if (text)
        put_console(g, text);
    free(text);
    gdb_reply(g, "OK");
}

/* ---- QEMU's ------------------------------------------------------------------------------------------- */

static void sstep_bits(struct gdb *g, const char *s)
{
    out_fmt(&g->out, "ENABLE=%x,NOIRQ=%x,NOTIMER=%x", SSTEP_ENABLE, SSTEP_NOIRQ, SSTEP_NOTIMER);
}

static void sstep_get(struct gdb *g, const char *s)
{
    out_fmt(&g->out, "0x%x", g->sstep);
}

static void sstep_set(struct gdb *g, const char *s)
{
    uint64_t v;

    if (!take_hex(&s, &v) || *s || v > SSTEP_ALL) {
        gdb_error(g, GDB_EINVAL);
        return;
    }
    g->sstep = (unsigned)v;
    gdb_reply(g, "OK");
}

static bool take_switch(const char *s, bool *on)
{
    if ((*s != '0' && *s != '1') || s[1])
        return false;
    *on = *s == '1';
    return true;
}

static void phys_get(struct gdb *g, const char *s)
{
    gdb_reply(g, g->phys_mem ? "1" : "0");
}

static void phys_set(struct gdb *g, const char *s)
{
    if (take_switch(s, &g->phys_mem))
        gdb_reply(g, "OK");
    else
        gdb_error(g, GDB_EINVAL);
}

static void qemu_supported(struct gdb *g, const char *s)
{
    gdb_reply(g, "sstepbits;sstep;PhyMemMode");
}

/* ---- our own ---------------------------------------------------------------------------------------------- */

static void follow_set(struct gdb *g, const char *s)
{
    if (take_switch(s, &g->follow))
        gdb_reply(g, "OK");
    else
        gdb_error(g, GDB_EINVAL);
}

/* ---- dispatch ----------------------------------------------------------------------------------------------- */

/* @name ends where the arguments begin: with ':', ',' or '=' of its own, or else exactly */
static const struct query {
    const char *name;
    void (*run)(struct gdb *g, const char *rest);
} queries[] = {
    { "qSupported:", supported }, { "qSupported", supported },
    { "QStartNoAckMode", no_ack },
    { "qfThreadInfo", thread_list }, { "qsThreadInfo", thread_list_end },
    { "qThreadExtraInfo,", thread_info },
    { "qC", current_thread },
    { "qAttached:", attached }, { "qAttached", attached },
    { "qXfer:features:read:", read_features }, { "qXfer:memory-map:read:", read_memory_map },
    { "qRcmd,", monitor },
    { "qqemu.sstepbits", sstep_bits }, { "qqemu.sstep", sstep_get }, { "Qqemu.sstep=", sstep_set },
    { "Qqemu.sstep:", sstep_set },
    { "qqemu.PhyMemMode", phys_get }, { "Qqemu.PhyMemMode:", phys_set },
    { "qqemu.Supported", qemu_supported },
    { "Qtransom.follow:", follow_set },
};

bool gdb_query(struct gdb *g, const char *p)
{
    for (size_t i = 0; i < ARRAY_SIZE(queries); i++) {
        size_t n = strlen(queries[i].name);
        bool open = strchr(":,=", queries[i].name[n - 1]);

        if (strncmp(p, queries[i].name, n) || (!open && p[n]))
            continue;
        queries[i].run(g, p + n);
        return true;
    }
    return false;
}
