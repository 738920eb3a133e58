/*
 * machine.c - a machine's life: RAM, lock, run requests, firmware files
 */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include "hw/hw-int.h"
#include "hw/input/input.h"
#include "hw/misc/rng.h"
#include "hw/outside.h"

/* Where configure found firmware, then where distributions keep it. */
#ifndef CONFIG_FIRMWARE_DIR
#define CONFIG_FIRMWARE_DIR "/usr/share/seabios"
#endif
#define ROM_DIRS CONFIG_FIRMWARE_DIR, "/usr/share/seabios", "/usr/share/qemu", \
                 "/usr/local/share/qemu", "/usr/share/vgabios"

#define RAM_MIN      MiB
#define ROM_FILE_MAX (16 * MiB)

/* ---- RAM --------------------------------------------------------------------- */

static void ram_region(struct machine *m, struct mem_region *r, const char *name,
                       gpa_t base, uint64_t offset, uint64_t len)
{
    *r = (struct mem_region){ .name = name, .base = base, .len = len,
                              .kind = MEM_RAM, .enabled = true,
                              .host = m->ram + offset };
    mem_add(&m->mem, r);
}

static int ram_init(struct machine *m, struct err *e)
{
    uint64_t bytes = align_up(m->cfg.ram_bytes, 4096);
    uint64_t low = MIN(bytes, pc_low_end(&m->cfg));

    if (bytes < RAM_MIN || bytes < m->cfg.ram_bytes)
        return err_set(e, -EINVAL, "-m: %llu bytes of RAM: a PC has at least 1 MiB",
                       (unsigned long long)m->cfg.ram_bytes);
    m->cfg.ram_bytes = bytes;
    m->ram = ram_map(m, bytes, e);
    if (!m->ram)
        return -ENOMEM;
    ram_region(m, &m->ram_low, "ram-low", 0, 0, low);
    if (bytes > low)
        ram_region(m, &m->ram_high, "ram-high", 4 * GiB, low, bytes - low);
    return 0;
}

/* ---- construction -------------------------------------------------------------- */

static void machine_timer_moved(void *opaque)
{
    struct machine *m = opaque;

    if (m->loop)
        loop_wake(m->loop);
}

static void lock_init(struct machine *m)
{
    pthread_mutexattr_t attr;

    pthread_mutexattr_init(&attr);
    pthread_mutexattr_settype(&attr, PTHREAD_MUTEX_RECURSIVE);
    pthread_mutex_init(&m->lock, &attr);
    pthread_mutexattr_destroy(&attr);
}

/**
 * machine_new() - RAM, ports, clock and event loop; no devices yet
 * @cfg: copied; the strings and back ends in it stay the caller's and must
 *   outlive the machine
 *
 * The clock runs from 0 and run_state is RUN_PRELAUNCH; the caller installs
 * vcpus and accel, then calls pc_build(). Returns NULL with @e set when the
 * RAM cannot be had.
 */
struct machine *machine_new(const struct machine_config *cfg, struct err *e)
{
    struct machine *m = xzalloc(sizeof *m);

    m->cfg = *cfg;
    m->ram_fd = -1;
    m->mem.a20_mask = ~0ull;
    m->run_state = RUN_PRELAUNCH;
    lock_init(m);
    if (ram_init(m, e) < 0) {
        pthread_mutex_destroy(&m->lock);
        mem_map_free(&m->mem);
        free(m);
        return NULL;
    }
    ports_init(m);
    clock_init_running(&m->clock);
    timer_list_init(&m->timers, &m->clock);
    m->loop = loop_new();
    m->timers.notify = machine_timer_moved;
    m->timers.notify_opaque = m;
    machine_irq_init(m);
    outside_init(m);
    return m;
}

/**
 * machine_free() - destroy devices (last first), RAM and the machine itself
 * No vCPU may run any more. NULL is allowed.
 */
void machine_free(struct machine *m)
{
    if (!m)
        return;
    devices_free(m);
    rngs_free(m);
    input_free(m);
    outside_free(m);
    ports_free(m);
    mem_map_free(&m->mem);
    ram_unmap(m);
    if (m->loop)
        loop_free(m->loop);
    pthread_mutex_destroy(&m->lock);
    free(m);
}

void machine_lock(struct machine *m)
{
    pthread_mutex_lock(&m->lock);
}

void machine_unlock(struct machine *m)
{
    pthread_mutex_unlock(&m->lock);
}

/* ---- topology ------------------------------------------------------------------------ */

/* Bits that number @count places. */
static unsigned id_width(unsigned count)
{
    unsigned w = 0;

    while (1u << w < count)
        w++;
    return w;
}

uint32_t machine_apic_id(const struct machine *m, unsigned n)
{
    unsigned all = MAX(MAX(m->cfg.n_vcpus, m->cfg.max_vcpus), 1u);
    unsigned count[] = { MAX(m->cfg.threads, 1u), m->cfg.cores ? m->cfg.cores : all, MAX(m->cfg.dies, 1u) };
    uint32_t id = 0;
    unsigned shift = 0;

    for (size_t i = 0; i < ARRAY_SIZE(count); i++) {
        id |= n % count[i] << shift;
        n /= count[i];
        shift += id_width(count[i]);
    }
    return id | n << shift;
}

uint32_t machine_apic_ids(const struct machine *m)
{
    return machine_apic_id(m, MAX(MAX(m->cfg.n_vcpus, m->cfg.max_vcpus), 1u) - 1) + 1;
}

/* ---- requests ---------------------------------------------------------------------- */

static void request(struct machine *m, int32_t *slot, int32_t why)
{
    __atomic_store_n(slot, why, __ATOMIC_RELEASE);
    if (m->loop)
        loop_wake(m->loop);
}

/**
 * machine_request_reset() - ask the main loop for a reset
 * With -no-reboot, a reset that the guest caused ends the machine instead.
 */
void machine_request_reset(struct machine *m, enum shutdown_cause why)
{
    if (m->cfg.no_reboot && (why == CAUSE_GUEST_RESET || why == CAUSE_TRIPLE_FAULT))
        machine_request_shutdown(m, why, 0);
    else
        request(m, &m->request_reset, why);
}

/** machine_request_shutdown() - ask the main loop to end the machine */
void machine_request_shutdown(struct machine *m, enum shutdown_cause why, int exit_code)
{
    __atomic_store_n(&m->exit_code, exit_code, __ATOMIC_RELEASE);
    request(m, &m->request_shutdown, why);
}

void machine_request_powerdown(struct machine *m)
{
    request(m, &m->request_powerdown, CAUSE_MONITOR);
}

void machine_request_remove(struct machine *m, struct device *d)
{
    d->gone = true;
    request(m, &m->request_remove, 1);
}

void machine_request_stop(struct machine *m)
{
    request(m, &m->request_stop, 1);
}

void machine_event(struct machine *m, const char *name, const char *fmt, ...)
{
    char data[2048];
    va_list ap;

    if (!m->event)
        return;
    if (fmt) {
        va_start(ap, fmt);
        vsnprintf(data, sizeof data, fmt, ap);
        va_end(ap);
    }
    machine_lock(m);
    m->event(m->event_opaque, name, fmt ? data : NULL);
    machine_unlock(m);
}

/* ---- firmware files ------------------------------------------------------------------ */

/* Whole contents of @path; NULL with errno set (EFBIG: not firmware). */
static uint8_t *file_read(const char *path, size_t *len)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC), code = 0;
    struct stat st;
    uint8_t *buf = NULL;

    if (fd < 0)
        return NULL;
    if (fstat(fd, &st) < 0)
        code = errno;
    else if (!S_ISREG(st.st_mode))
        code = S_ISDIR(st.st_mode) ? EISDIR : EINVAL;
    else if (st.st_size <= 0 || (uint64_t)st.st_size > ROM_FILE_MAX)
        code = st.st_size ? EFBIG : ENODATA;
    for (*len = 0; !code && *len < (size_t)st.st_size; ) {
        ssize_t n;

        if (!buf)
            buf = xmalloc(st.st_size);
        n = read(fd, buf + *len, st.st_size - *len);
        if (n <= 0 && !(n < 0 && errno == EINTR))
            code = n < 0 ? errno : EIO;
        *len += n > 0 ? n : 0;
    }
    close(fd);
    if (code) {
        free(buf);
        buf = NULL;
    }
    errno = code;
    return buf;
}

/* Tries @dir/@name; a missing file leaves @code alone so that the search goes on. */
static uint8_t *rom_try(const char *dir, const char *name, size_t *len, int *code)
{
    char *path = xasprintf("%s%s%s", dir, *dir ? "/" : "", name);
    uint8_t *buf = file_read(path, len);

    if (!buf && errno != ENOENT && errno != ENOTDIR)
        *code = errno;
    free(path);
    return buf;
}

/**
 * machine_read_rom() - find firmware @name and read it whole
 * @name: tried as a path first, as QEMU does, then in the -L directories, then
 *   in ROM_DIRS
 * @len: bytes read, at most 16 MiB
 *
 * Returns bytes (caller frees) or NULL with @e set.
 */
uint8_t *machine_read_rom(struct machine *m, const char *name, size_t *len, struct err *e)
{
    static const char *const fixed[] = { ROM_DIRS };
    int code = ENOENT;
    uint8_t *buf = rom_try("", name, len, &code);

    for (const char **d = m->cfg.rom_dirs; !buf && d && *d; d++)
        buf = rom_try(*d, name, len, &code);
    for (size_t i = 0; !buf && i < ARRAY_SIZE(fixed); i++)
        buf = rom_try(fixed[i], name, len, &code);
    if (!buf)
        err_set(e, -code, "firmware %s: %s", name, strerror(code));
    return buf;
}
