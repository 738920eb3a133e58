/*
 * perf.c - names of translated code for perf(1)
 *
 * Two ways, either or both. The map file (tools/perf/Documentation/jit-interface.txt of
 * Linux) has a line for each block: it can only show one moment, so it is begun anew when
 * the code cache is emptied, and samples taken before get wrong names. The dump
 * (jitdump-specification.txt) has each block's code and the time from which on it was
 * there: perf inject makes files of them that perf report takes for libraries.
 *
 * Symbols are "guest:ADDRESS.MODE", with ".cold" for what stands out of line. Blocks that
 * are dropped keep their place and so their name until the cache is emptied.
 */
#define _GNU_SOURCE
#include "tcg/tcg-int.h"
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define JIT_MAGIC 0x4a695444u
#define JIT_VERSION 1
#define NAME_CHARS 96
enum { JIT_CODE_LOAD = 0, JIT_CODE_CLOSE = 3 };
#if defined(__aarch64__)
#define JIT_MACHINE EM_AARCH64
#else
#define JIT_MACHINE EM_X86_64
#endif

struct jit_header {
    uint32_t magic, version, total_size, elf_mach, pad1, pid;
    uint64_t timestamp, flags;
};

struct jit_record {
    uint32_t id, total_size;
    uint64_t timestamp;      /* CLOCK_MONOTONIC, ns: perf record -k 1 */
};

/* followed by the name, zero-terminated, and the code */
struct jit_load {
    struct jit_record head;
    uint32_t pid, tid;
    uint64_t vma, code_addr, code_size, code_index;
};

struct tcg_perf {
    FILE *map, *jit;
    void *marker;            /* a mapping of the dump: what perf record sees of it */
    uint64_t n_loads;
};

/* ---- opening ------------------------------------------------------------------------- */

/* A file of that name may be left of an earlier process with our number; a link that
 * somebody else has put there is not followed. */
static FILE *create(const char *name, const char *mode, const char *option, struct err *e)
{
    FILE *f;
    int fd;

    unlink(name);
    fd = open(name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    f = fd < 0 ? NULL : fdopen(fd, mode);
    if (!f)
        err_set(e, -errno, "%s: %s: %s", option, name, strerror(errno));
    return f;
}

static int map_open(struct tcg_perf *p, struct err *e)
{
    char *name = xasprintf("/tmp/perf-%d.map", (int)getpid());   /* perf fixes it */

    p->map = create(name, "w", "perf-map", e);
    if (p->map)
        setvbuf(p->map, NULL, _IOLBF, 0);
    free(name);
    return p->map ? 0 : -EIO;
}

static int jit_open(struct tcg_perf *p, struct err *e)
{
    struct jit_header h = { .magic = JIT_MAGIC, .version = JIT_VERSION, .total_size = sizeof(h),
                            .elf_mach = JIT_MACHINE, .pid = (uint32_t)getpid(),
                            .timestamp = (uint64_t)host_monotonic_ns() };
    char *name = xasprintf("jit-%d.dump", (int)getpid());        /* perf inject knows it by that */
    int ret = -EIO;

    p->jit = create(name, "w+", "jitdump", e);
    if (p->jit && fwrite(&h, sizeof(h), 1, p->jit) == 1 && fflush(p->jit) == 0) {
        p->marker = mmap(NULL, PAGE_SIZE, PROT_READ | PROT_EXEC, MAP_PRIVATE, fileno(p->jit), 0);
        ret = p->marker == MAP_FAILED ? err_set(e, -errno, "jitdump: cannot map %s executable: %s", name,
                                                strerror(errno)) : 0;
    } else if (p->jit) {
        ret = err_set(e, -errno, "jitdump: %s: %s", name, strerror(errno));
    }
    free(name);
    return ret;
}

int perf_open(struct tcg *t, struct err *e)
{
    int ret = 0;

    if (!t->host || (!t->cfg.perf_map && !t->cfg.jitdump))
        return 0;
    t->perf = xzalloc(sizeof(*t->perf));
    if (t->cfg.perf_map)
        ret = map_open(t->perf, e);
    if (ret == 0 && t->cfg.jitdump)
        ret = jit_open(t->perf, e);
    return ret;
}

void perf_close(struct tcg *t)
{
    struct tcg_perf *p = t->perf;
    struct jit_record end = { .id = JIT_CODE_CLOSE, .total_size = sizeof(end),
                              .timestamp = (uint64_t)host_monotonic_ns() };

    if (!p)
        return;
    if (p->map)
        fclose(p->map);
    if (p->jit && (fwrite(&end, sizeof(end), 1, p->jit) != 1 || fclose(p->jit)))
        fprintf(stderr, "transom: jitdump: cannot write all of it\n");
    if (p->marker && p->marker != MAP_FAILED)
        munmap(p->marker, PAGE_SIZE);
    free(p);
    t->perf = NULL;
}

/* ---- code ----------------------------------------------------------------------------- */

static void jit_load(struct tcg_perf *p, const char *name, const uint8_t *code, uint32_t len)
{
    size_t chars = strlen(name) + 1;
    struct jit_load l = {
        .head = { .id = JIT_CODE_LOAD, .total_size = (uint32_t)(sizeof(l) + chars + len),
                  .timestamp = (uint64_t)host_monotonic_ns() },
        .pid = (uint32_t)getpid(), .tid = (uint32_t)syscall(SYS_gettid), .vma = (uintptr_t)code,
        .code_addr = (uintptr_t)code, .code_size = len, .code_index = p->n_loads++,
    };

    fwrite(&l, sizeof(l), 1, p->jit);    /* errors show when it is closed */
    fwrite(name, chars, 1, p->jit);
    fwrite(code, len, 1, p->jit);
}

static void tell(struct tcg_perf *p, const char *name, const uint8_t *code, uint32_t len)
{
    if (!len)
        return;
    if (p->map)
        fprintf(p->map, "%llx %x %s\n", (unsigned long long)(uintptr_t)code, len, name);
    if (p->jit)
        jit_load(p, name, code, len);
}

void perf_block(struct tcg *t, const struct tb *tb, uint64_t lin)
{
    char mode[32] = "", name[NAME_CHARS];
    int n;

    if (t->target->mode_name)
        t->target->mode_name(tb->mode, mode, sizeof(mode));
    else
        snprintf(mode, sizeof(mode), "%x", tb->mode);
    for (char *s = mode; *s; s++)
        if (*s == ' ')
            *s = '-';
    n = snprintf(name, sizeof(name), "guest:%llx.%s", (unsigned long long)lin, mode);
    tell(t->perf, name, tb->code, tb->code_len);
    snprintf(name + n, sizeof(name) - (size_t)n, ".cold");
    tell(t->perf, name, tb->cold, tb->cold_len);
}

void perf_thunks(struct tcg *t)
{
    tell(t->perf, "transom:thunks", t->cache.rx, (uint32_t)t->cache.used);
}

void perf_emptied(struct tcg *t)
{
    FILE *f = t->perf->map;

    if (f && (fflush(f) || ftruncate(fileno(f), 0) || fseek(f, 0, SEEK_SET)))
        fprintf(stderr, "transom: perf-map: %s\n", strerror(errno));
}
