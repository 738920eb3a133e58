/*
 * gdb-int.h - the gdb stub's own files among themselves
 *
 * gdb-packet.c: bytes to packets and back. gdb-regs.c, gdb-xml.c: registers and how they
 * are described. gdb-mem.c: memory, breakpoints. gdb-query.c: q and Q packets.
 * gdb-cmd.c: the others. gdb-run.c: stopping and going on. gdb.c: the connection.
 *
 * Source: gdb manual, appendix E, "GDB Remote Serial Protocol", and appendix G,
 * "Target Descriptions".
 */
#ifndef UI_GDB_INT_H
#define UI_GDB_INT_H

#include "accel/accel.h"
#include "ui/gdb.h"

/* ---- packets (gdb-packet.c) --------------------------------------------------- */

#define GDB_PACKET 16384         /* longest packet, both ways, without $ and #sum */

/** struct gdb_rx - a packet being received */
struct gdb_rx {
    enum { RX_IDLE, RX_DATA, RX_ESCAPED, RX_SUM1, RX_SUM2 } state;
    uint8_t sum;                 /* of what came */
    uint8_t want;                /* what the packet says it is */
    bool too_long;
    unsigned len;
    char buf[GDB_PACKET + 1];    /* unescaped; a 0 behind it */
};

enum gdb_rx_event { RX_MORE, RX_PACKET, RX_BAD_SUM, RX_TOO_LONG, RX_NAK, RX_INTERRUPT };

/** gdb_rx_byte() - take one byte; RX_PACKET: @rx->buf holds a packet until the next */
enum gdb_rx_event gdb_rx_byte(struct gdb_rx *rx, uint8_t b);

/** struct gdb_out - a reply being written; what does not fit makes it an error */
struct gdb_out {
    unsigned len;
    bool full;
    char buf[GDB_PACKET];
};

void out_str(struct gdb_out *o, const char *s);
void out_fmt(struct gdb_out *o, const char *fmt, ...) PRINTF(2, 3);
/** out_hex() - two digits a byte */
void out_hex(struct gdb_out *o, const void *data, size_t len);
/** out_binary() - with escapes; returns how many bytes of @len fitted */
size_t out_binary(struct gdb_out *o, const void *data, size_t len);

/** hex_digit() - value of @c, -1 when it is none */
int hex_digit(char c);
/** take_hex() - a number of 1 to 16 digits at *@s, which moves past it; false: none */
bool take_hex(const char **s, uint64_t *v) MUST_CHECK;
/** take_char() - the character @c at *@s, which moves past it */
bool take_char(const char **s, char c) MUST_CHECK;
/** take_bytes() - exactly @n bytes in hex at *@s, which moves past them */
bool take_bytes(const char **s, void *buf, size_t n) MUST_CHECK;

/* ---- registers (gdb-regs.c, gdb-xml.c) --------------------------------------------- */

enum gdb_arch { GDB_X86_64, GDB_I386, GDB_I8086, GDB_ARCHS };

#define GDB_REGS 256
#define GDB_REG_BYTES 64

/** struct gdb_reg - one register as gdb sees it; its number is its place */
struct gdb_reg {
    char name[16];
    const char *type, *group;
    uint16_t bits;
    uint8_t feature;             /* enum gdb_feature */
    uint8_t kind, n;             /* gdb-regs.c's */
    uint32_t msr;
};
enum gdb_feature { FEATURE_CORE, FEATURE_SSE, FEATURE_SEGMENTS, FEATURE_AVX, FEATURE_AVX512,
                   FEATURE_PKEYS, FEATURE_SYSTEM, FEATURES };

/** struct gdb_regs - a description: registers in the order of its XML */
struct gdb_regs {
    enum gdb_arch arch;
    unsigned n;
    struct gdb_reg reg[GDB_REGS];
    char *xml;
};

/** gdb_arch_now() - the description that suits what @cpu executes */
enum gdb_arch gdb_arch_now(const struct x86_cpu *cpu);
const char *gdb_arch_name(enum gdb_arch arch);
/** gdb_regs_init() - all registers of @cpu's model; free with gdb_regs_free() */
void gdb_regs_init(struct gdb_regs *r, enum gdb_arch arch, const struct x86_cpu *cpu);
void gdb_regs_free(struct gdb_regs *r);
/** gdb_xml() - the description as text; malloc'ed */
char *gdb_xml(const struct gdb_regs *r);
static inline unsigned gdb_reg_bytes(const struct gdb_reg *r)
{
    return r->bits / 8u;
}
/** gdb_reg_read() - value, little endian; gdb_reg_write(): false: it cannot be that */
void gdb_reg_read(struct x86_cpu *cpu, const struct gdb_reg *r, uint8_t *buf);
bool gdb_reg_write(struct x86_cpu *cpu, const struct gdb_reg *r, const uint8_t *buf) MUST_CHECK;

/* ---- the stub ------------------------------------------------------------------------ */

#define GDB_CPUS 64
#define GDB_INPUT 4096

/** struct gdb_point - a breakpoint or watchpoint as gdb set it */
struct gdb_point {
    uint8_t kind;                /* of its Z packet */
    uint64_t addr, len;
};
#define GDB_POINTS (TCG_BREAKS_MAX + TCG_WATCHES_MAX)

enum { SSTEP_ENABLE = 1, SSTEP_NOIRQ = 2, SSTEP_NOTIMER = 4, SSTEP_ALL = 7 };

struct gdb {
    struct machine *m;
    struct accel *accel;
    struct chardev *chr;
    struct gdb_hooks hooks;
    unsigned n_cpus;

    /* connection */
    bool connected, no_ack;
    bool multiprocess, swbreak, hwbreak, exec_events;  /* what gdb understands */
    uint8_t in[GDB_INPUT];
    unsigned n_in;
    struct gdb_rx rx;
    struct gdb_out out;
    char *tx;                    /* framed bytes that the back end did not take yet */
    size_t tx_len, tx_size;
    char *last;                  /* last packet, framed, for a NAK */
    size_t last_len;

    /* what gdb looks at */
    struct gdb_regs regs;        /* the description that gdb has */
    unsigned cpu;                /* Hg */
    int cont_cpu;                /* Hc; -1: all */
    bool phys_mem;
    unsigned sstep;              /* SSTEP_* */
    bool follow;                 /* tell gdb when the description changes */
    char *xfer;                  /* an object being read in parts */

    /* run control */
    struct gdb_point points[GDB_POINTS];
    unsigned n_points;
    bool points_changed;
    bool waiting;                /* gdb waits for a stop reply */
    bool going;                  /* resume was asked for and is not done yet */
    bool told_exec;              /* the real stop follows a change of description */
    enum accel_go go[GDB_CPUS];
    struct accel_stop stop[GDB_CPUS]; /* not told yet */
    struct gdb_stop { unsigned cpu, signal; struct accel_stop why; } last_stop;
};

/** gdb_put() - send @g->out as a packet (gdb.c) */
void gdb_put(struct gdb *g);
/** gdb_packet() - carry out the packet in @g->rx (gdb-cmd.c) */
void gdb_packet(struct gdb *g);
/** gdb_reply()/gdb_error() - a reply of one word; "E" and a number */
void gdb_reply(struct gdb *g, const char *s);
void gdb_error(struct gdb *g, unsigned err);
enum { GDB_EINVAL = 0x16, GDB_EFAULT = 0x0e, GDB_E2BIG = 0x07 };

/** gdb_query() - q and Q packets; false: unknown (gdb-query.c) */
bool gdb_query(struct gdb *g, const char *p);
/** gdb_cpu() - the vCPU that Hg has selected */
struct x86_cpu *gdb_cpu(struct gdb *g);
/** take_thread() - "pP.T", "T", -1 for all, 0 for any; false: nonsense.
 *  *@cpu is -1 for all, else a vCPU that exists. */
bool take_thread(const struct gdb *g, const char **s, int *cpu) MUST_CHECK;
void out_thread(struct gdb *g, unsigned cpu);
/** gdb_use_arch() - from now on registers are described for @arch */
void gdb_use_arch(struct gdb *g, enum gdb_arch arch);

/** gdb_mem() - read or write memory as the selected vCPU sees it (linear), or
 *  physical memory; false: none there; what comes before may be written (gdb-mem.c) */
bool gdb_mem(struct gdb *g, uint64_t addr, void *buf, size_t len, bool write) MUST_CHECK;
/** gdb_point_set() - the arguments of Z and z packets; 0, or an error to reply;
 *  -1: this kind is unknown */
int gdb_point_set(struct gdb *g, bool insert, const char *p);
void gdb_points_clear(struct gdb *g);
/** gdb_points_apply() - hand them to the accelerator, once they differ */
void gdb_points_apply(struct gdb *g);

/* gdb-run.c */
/** gdb_go() - resume, as @g->go says */
void gdb_go(struct gdb *g);
void gdb_go_all(struct gdb *g, enum accel_go how);
/** gdb_vcont() - what follows "vCont;"; false: nonsense */
bool gdb_vcont(struct gdb *g, const char *p) MUST_CHECK;
/** gdb_stop_reply() - what stopped last, into @g->out */
void gdb_stop_reply(struct gdb *g);
/** gdb_note_stop() - the machine stands still: choose what to tell, and tell it when
 *  gdb waits */
void gdb_note_stop(struct gdb *g);

#endif
