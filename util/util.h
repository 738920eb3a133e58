/*
 * util.h - what every folder may use: errors, logging, bits, timers, event loop
 *
 * Nothing here knows about x86 or devices. The log configuration is the one
 * process-wide object (it is set from the command line and the monitor, and
 * read everywhere); everything else is owned by its caller.
 */
#ifndef UTIL_UTIL_H
#define UTIL_UTIL_H

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/types.h>

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define container_of(p, type, member) \
    ((type *)((char *)(p) - offsetof(type, member)))
#define MIN(a, b) ((a) < (b) ? (a) : (b))
#define MAX(a, b) ((a) > (b) ? (a) : (b))
#define likely(x) __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)
#define MUST_CHECK __attribute__((warn_unused_result))
#define PRINTF(f, a) __attribute__((format(printf, f, a)))
#define BIT(n) (1ull << (n))
#define KiB (1024ull)
#define MiB (1024ull * 1024)
#define GiB (1024ull * 1024 * 1024)

typedef uint64_t gva_t; /* guest linear (virtual) address */
typedef uint64_t gpa_t; /* guest physical address */

static inline uint64_t align_up(uint64_t v, uint64_t a)
{
    return (v + a - 1) & ~(a - 1);
}

static inline uint64_t align_down(uint64_t v, uint64_t a)
{
    return v & ~(a - 1);
}

/** bits() - the @len bits of @v that start at bit @pos; @len 1..63 */
static inline uint64_t bits(uint64_t v, unsigned pos, unsigned len)
{
    return (v >> pos) & ((1ull << len) - 1);
}

/** size_mask() - all ones in the low @bytes (1, 2, 4, 8) bytes */
static inline uint64_t size_mask(unsigned bytes)
{
    return bytes >= 8 ? ~0ull : (1ull << (bytes * 8)) - 1;
}

/** sext() - sign-extend the low @bytes (1, 2, 4, 8) bytes of @v */
static inline uint64_t sext(uint64_t v, unsigned bytes)
{
    unsigned sh = 64 - bytes * 8;
    return (uint64_t)((int64_t)(v << sh) >> sh);
}

/* Unaligned little-endian access to bytes in host memory. */
static inline uint16_t ldl16(const void *p) { uint16_t v; memcpy(&v, p, 2); return v; }
static inline uint32_t ldl32(const void *p) { uint32_t v; memcpy(&v, p, 4); return v; }
static inline uint64_t ldl64(const void *p) { uint64_t v; memcpy(&v, p, 8); return v; }
static inline void stl16(void *p, uint16_t v) { memcpy(p, &v, 2); }
static inline void stl32(void *p, uint32_t v) { memcpy(p, &v, 4); }
static inline void stl64(void *p, uint64_t v) { memcpy(p, &v, 8); }

/* ---- errors --------------------------------------------------------- */

/** struct err - a one-line message for the user; empty when msg[0] is 0 */
struct err {
    char msg[400];
};

/**
 * err_set() - record why a host-side operation failed
 * @e: may be NULL (the message is then dropped)
 * @code: negative errno to return
 *
 * Returns @code, so that "return err_set(e, -EINVAL, ...)" reads well.
 */
int err_set(struct err *e, int code, const char *fmt, ...) PRINTF(3, 4);

/** xmalloc/xzalloc/xrealloc/xstrdup - as libc; end the process with a
 *  one-line message when the host has no memory. Only for sizes that the
 *  guest cannot choose. */
void *xmalloc(size_t n);
void *xzalloc(size_t n);
void *xrealloc(void *p, size_t n);
char *xstrdup(const char *s);
/** xasprintf() - formatted string, to be freed by the caller */
char *xasprintf(const char *fmt, ...) PRINTF(1, 2);

/* ---- names of this program's functions -------------------------------- */

struct symbols;
/** symbols_open() - of the running program; never NULL, but empty when it was stripped */
struct symbols *symbols_open(void);
/** symbols_name() - the function that begins at @addr, or NULL; valid until symbols_free() */
const char *symbols_name(const struct symbols *s, const void *addr);
void symbols_free(struct symbols *s);

/* ---- names of the guest's code (-symbols, transom-trace) ------------------------ */

struct guest_symbols;
/** guest_symbols_new() - without names */
struct guest_symbols *guest_symbols_new(void);
/** guest_symbols_add() - read ELF, System.map or kallsyms from @path into *@s, which is made
 *  when it is NULL. Returns 0 or -errno with @e naming the file; *@s is to be freed either way. */
int guest_symbols_add(struct guest_symbols **s, const char *path, struct err *e) MUST_CHECK;
/** guest_symbols_find() - the function that holds @addr, which begins at *@start, or NULL;
 *  @s may be NULL */
const char *guest_symbols_find(const struct guest_symbols *s, uint64_t addr, uint64_t *start);
/** guest_symbols_lookup() - where function @name is; false: not there */
bool guest_symbols_lookup(const struct guest_symbols *s, const char *name, uint64_t *addr, uint64_t *len);
size_t guest_symbols_count(const struct guest_symbols *s);
void guest_symbols_free(struct guest_symbols *s);

/* ---- logging (-d ITEMS, -D FILE, -dfilter) --------------------------- */

/* One list of categories; X(enum suffix, name on the command line, help). */
#define LOG_CATEGORIES(X)                                                   \
    X(IN_ASM,       "in_asm",       "guest code of each block translated")  \
    X(OP,           "op",           "IR of each block before optimisation") \
    X(OP_OPT,       "op_opt",       "IR after optimisation")                \
    X(OUT_ASM,      "out_asm",      "host code of each block")              \
    X(EXEC,         "exec",         "a line before each executed block")    \
    X(NOCHAIN,      "nochain",      "do not chain blocks, so that exec and cpu are complete") \
    X(CPU,          "cpu",          "registers before each block")          \
    X(FPU,          "fpu",          "include x87 and vector registers with cpu") \
    X(INT,          "int",          "interrupts and exceptions")            \
    X(MMU,          "mmu",          "page walks and flushes")               \
    X(PCALL,        "pcall",        "far calls, returns, task switches")    \
    X(CPU_RESET,    "cpu_reset",    "registers at CPU reset")               \
    X(UNIMP,        "unimp",        "things not implemented")               \
    X(GUEST_ERRORS, "guest_errors", "guest misuse of a device or the CPU")  \
    X(PAGE,         "page",         "memory map at start")                  \
    X(PIC,          "pic",          "8259 interrupt controllers")           \
    X(PIT,          "pit",          "8254 timer")                           \
    X(RTC,          "rtc",          "CMOS clock")                           \
    X(APIC,         "apic",         "local APIC and I/O APIC")              \
    X(HPET,         "hpet",         "high precision event timer")           \
    X(UART,         "uart",         "16550 serial ports")                   \
    X(KBD,          "kbd",          "8042 keyboard controller")             \
    X(PCI,          "pci",          "PCI configuration")                    \
    X(PM,           "pm",           "ACPI power management")                \
    X(FWCFG,        "fw_cfg",       "firmware configuration device")        \
    X(VGA,          "vga",          "display adapter")                      \
    X(DISPLAY,      "display",      "windows and VNC clients")              \
    X(DMA,          "dma",          "8237 DMA controller")                  \
    X(NET,          "net",          "network cards and back ends")          \
    X(USB,          "usb",          "USB controllers and devices")          \
    X(INSN_ROWS,    "insn_rows",    "row of the instruction table of each instruction translated")

enum log_bit {
#define X(e, n, h) LOG_BIT_##e,
    LOG_CATEGORIES(X)
#undef X
    LOG_BIT_COUNT
};

enum log_cat {
#define X(e, n, h) LOG_##e = 1 << LOG_BIT_##e,
    LOG_CATEGORIES(X)
#undef X
};

extern uint32_t log_mask; /* enabled categories; read through log_on() */

static inline bool log_on(uint32_t cats)
{
    return unlikely(log_mask & cats);
}

/**
 * log_set_items() - parse a -d argument: "in_asm,int" or "all"/"none"
 * Returns 0, or -EINVAL with @e naming the unknown item and its nearest.
 */
int log_set_items(const char *items, struct err *e) MUST_CHECK;
/** log_items_mask() - categories that a -d argument names; a wrong one: 0 */
uint32_t log_items_mask(const char *items);
/** log_set_file() - send the log to @path ("%d" is the process id, with -d tid the thread's);
 *  NULL: stderr */
int log_set_file(const char *path, struct err *e) MUST_CHECK;
/** log_set_filter() - -dfilter: "start+len,start-len,start..end,..." */
int log_set_filter(const char *ranges, struct err *e) MUST_CHECK;
/** log_in_filter() - whether @addr passes -dfilter (true when none is set) */
bool log_in_filter(uint64_t addr);
/** log_help() - print the list of items (-d help) */
void log_help(FILE *f);
/** log_write() - append to the log unconditionally; thread-safe per call; ends
 *  the line when the text does not (pieces of a line: the stream of log_lock()) */
void log_write(const char *fmt, ...) PRINTF(1, 2);
/** log_lock()/log_unlock() - keep several log_write() calls together;
 *  log_lock() returns the stream */
FILE *log_lock(void);
void log_unlock(void);

/** log_ev() - log one line when any of @cats is on: "key=value ..." */
#define log_ev(cats, ...)                    \
    do {                                     \
        if (log_on(cats))                    \
            log_write(__VA_ARGS__);          \
    } while (0)

/** log_guest() - guest misuse of part @cat: shown with guest_errors too */
#define log_guest(cat, ...) log_ev((cat) | LOG_GUEST_ERRORS, __VA_ARGS__)

/* ---- words for the user --------------------------------------------- */

/** nearest_word() - the entry of @words (@n of them) closest to @w by edit
 *  distance, or NULL when none is close (distance <= 1 + len/3) */
const char *nearest_word(const char *w, const char *const *words, size_t n);
/** id_is_good() - whether @id is a letter, then letters, digits, '-', '.' and '_': what needs no
 *  quoting anywhere */
bool id_is_good(const char *id);
/**
 * parse_size() - "128", "512M", "1.5G", "4096k": bytes
 * @unit: multiplier when no suffix is given (e.g. MiB for -m)
 * Returns 0 or -EINVAL/-ERANGE.
 */
int parse_size(const char *s, uint64_t unit, uint64_t *bytes) MUST_CHECK;

/* ---- time and timers ------------------------------------------------- */

/**
 * struct clock - guest virtual time in ns
 * A running clock follows CLOCK_MONOTONIC plus an offset; a paused one stands
 * still; a stepped one (tests) moves only by clock_step().
 */
struct clock {
    int64_t offset_ns;      /* virtual = monotonic + offset when running */
    int64_t stopped_at_ns;  /* value while paused or stepped */
    bool running;
    bool by_count;          /* never runs: the accelerator sets stopped_at_ns (-icount) */
    /* host() - what a running clock takes for the host's when that says @ns; NULL: that */
    int64_t (*host)(void *opaque, int64_t ns);
    void *host_opaque;
};

int64_t host_monotonic_ns(void);
void clock_init_running(struct clock *c);  /* starts at 0 */
void clock_init_stepped(struct clock *c);  /* stands at 0 */
int64_t clock_now_ns(const struct clock *c);
void clock_pause(struct clock *c);
void clock_resume(struct clock *c);

/**
 * struct timer - one-shot callback at a virtual time
 * Embedded in its owner; all calls under the owner's (machine) lock.
 */
struct timer_list;
struct timer {
    int64_t deadline_ns;    /* valid while queued */
    struct timer *next;
    struct timer_list *list;
    void (*cb)(void *opaque);
    void *opaque;
    bool queued;
    bool prompt;            /* its callback only moves interrupt lines: any thread may run it */
};

struct timer_list {
    struct clock *clock;
    struct timer *head;     /* sorted by deadline */
    void (*notify)(void *opaque); /* earliest deadline moved forward; may be NULL */
    void *notify_opaque;
};

void timer_list_init(struct timer_list *l, struct clock *c);
void timer_init(struct timer *t, struct timer_list *l, void (*cb)(void *), void *opaque);
/** timer_mod() - (re)arm @t for virtual time @deadline_ns */
void timer_mod(struct timer *t, int64_t deadline_ns);
void timer_del(struct timer *t);
/** timer_list_run() - run callbacks that are due; returns ns until the next
 *  one (0 when already due again), or -1 when none is queued */
int64_t timer_list_run(struct timer_list *l);
/** timer_list_run_prompt() - run those that are due and prompt, on any thread; list's lock held */
void timer_list_run_prompt(struct timer_list *l);
/** clock_step() - tests: advance a stepped clock by @ns, running due timers
 *  in order, each with the clock standing at its deadline */
void clock_step(struct clock *c, struct timer_list *l, int64_t ns);

/* ---- files ------------------------------------------------------------- */

struct addrinfo;
/**
 * host_lookup() - addresses of @host and @port, for freeaddrinfo()
 * @host: NULL or "": this host, or with AI_PASSIVE in @flags (AI_*) any of its addresses
 * @port: a number from 0 to 65535, or a service's name
 * @type: SOCK_STREAM, SOCK_DGRAM; @family: AF_UNSPEC for either
 * Returns 0, or -EINVAL with @e saying why, without the names.
 */
int host_lookup(const char *host, const char *port, int type, int family, int flags, struct addrinfo **list,
                struct err *e) MUST_CHECK;
/** std_fds_open() - descriptors 0, 1 and 2 are taken from here on, first thing in main(): no file of ours gets
 *  the number that messages are written to. Reading or writing those that were closed goes on to fail. */
void std_fds_open(void);
/** stdout_flush() - whether all that was printed has reached standard output; 0 or -EIO with @e set */
int stdout_flush(struct err *e) MUST_CHECK;
/** unlink_regular() - remove a file that we have written; what is no regular file (a device, a pipe, a
 *  link that the user named in place of one) stays */
void unlink_regular(const char *path);

/**
 * struct own_file - a file whose content is trusted because nobody but our effective user, or root, can have written it
 * Its directory is held open: what is read and replaced is in the directory that was looked at.
 */
struct own_file {
    int dir;                 /* -1: not open */
    char *name;              /* in it */
    char *path;              /* as the user said it, for messages */
};
/**
 * own_file_open() - note where @path is; the file itself need not exist
 * -EPERM with @e: somebody else could put a file of that name there. Other errors: the directory is not there or
 * cannot be written. own_file_close() afterwards, also after an error.
 */
int own_file_open(struct own_file *f, const char *path, struct err *e) MUST_CHECK;
void own_file_close(struct own_file *f);
/**
 * own_file_read() - its whole content, at most @room bytes, to @buf
 * Returns how many, 0 when there is none; -EPERM with @e: no regular file, a link, another user's, or others may write
 * to it; -EFBIG with @e: it is longer.
 */
ssize_t own_file_read(const struct own_file *f, void *buf, size_t room, struct err *e) MUST_CHECK;
/** own_file_replace() - @len bytes at @buf in the place of what was there, all of them or none, for us alone to read */
int own_file_replace(const struct own_file *f, const void *buf, size_t len, struct err *e) MUST_CHECK;

/* ---- this program ------------------------------------------------------ */

/** build_id() - what the linker calls this build by (ELF note NT_GNU_BUILD_ID): at most @room bytes to @id;
 *  returns how many, 0: it has none */
size_t build_id(uint8_t *id, size_t room);

/* ---- event loop (main thread) ---------------------------------------- */

struct loop;
struct loop *loop_new(void);
void loop_free(struct loop *l);
/**
 * loop_add_fd() - call @cb with the ready events when @fd becomes ready
 * @events: POLLIN | POLLOUT as in poll(2)
 * Adding the same fd again replaces its events and callback.
 */
void loop_add_fd(struct loop *l, int fd, short events,
                 void (*cb)(void *opaque, int fd, short revents), void *opaque);
void loop_del_fd(struct loop *l, int fd);
/** loop_wake() - make a waiting loop_run_once() return; any thread or signal */
void loop_wake(struct loop *l);
/** loop_run_once() - wait at most @timeout_ns (-1: for ever), run fd callbacks
 *  @lock/@unlock (may be NULL) bracket the callbacks, not the wait */
void loop_run_once(struct loop *l, int64_t timeout_ns,
                   void (*lock)(void *), void (*unlock)(void *), void *opaque);

#endif
