/*
 * format.h - the binary trace: what writer and readers share (docs/trace.md)
 *
 * A file is a header and chunks. A chunk belongs to one stream (a vCPU, or the devices), holds
 * everything that is needed to read it and carries its length and a check sum; so a file can be
 * read while it grows, from any chunk on, and a ring loses nothing but its oldest chunks.
 * All numbers are little-endian.
 */
#ifndef TRACE_FORMAT_H
#define TRACE_FORMAT_H

#include "util/util.h"

#define TRACE_MAGIC "TransomT"
#define TRACE_VERSION 1
#define TRACE_CHUNK_MAGIC 0x6b684354u    /* "TChk" */
#define TRACE_SLOT (512 * KiB)           /* of a ring: chunks begin at multiples of it */
#define TRACE_DEVICES 0xffff             /* stream of the devices */
#define TRACE_IDS 0x8000                 /* blocks that a chunk may define */
#define TRACE_FIELDS 20                  /* of an event, at most */
#define TRACE_INSNS 64                   /* instructions of a block, at most */

/** struct trace_header - at offset 0 */
struct trace_header {
    char magic[8];
    uint32_t version;
    uint32_t bytes;              /* of this header: chunks begin there, or at the first slot */
    uint32_t kinds;              /* TRACE_HAS(kind) of each kind that is recorded */
    uint32_t n_cpus;
    uint32_t slots;              /* of a ring; 0: chunks follow each other */
    uint32_t flags;              /* TRACE_COUNTED */
    uint64_t ns_shift;           /* TRACE_COUNTED: an instruction takes 2^ns_shift ns */
    uint64_t reserved[3];
};
#define TRACE_COUNTED 1          /* time is counted in instructions */
#define TRACE_HAS(kind) (1u << (kind))
#define TRACE_VALUES (1u << 31)  /* of kinds: MEM has what was read or written as well */

/** struct trace_chunk - before each chunk's payload */
struct trace_chunk {
    uint32_t magic;
    uint32_t bytes;              /* of the payload */
    uint32_t sum;                /* trace_sum() of what follows here, then of the payload */
    uint16_t stream;
    uint16_t version;
    uint64_t number;             /* chunks of the file, from 0 */
    uint64_t first;              /* instructions of the stream's vCPU before it (devices: of vCPU 0) */
    uint64_t insns;              /* in it */
    uint64_t ns;                 /* guest's clock at its begin */
    uint64_t bits;               /* of the payload */
};

/*
 * A vCPU's payload is a string of bits, low bit of each byte first. Blocks that were executed one
 * after the other:
 *   1            the block that followed this one last time (in this chunk)
 *   0 1          the one before that
 *   0 0 <code>   code in as many bits as the number of blocks known + 1 has: a known block's number,
 *                or known: a new block, or known + 1: an event
 * The first block has "0 0" before its code, too. "Blocks known" counts those of this chunk.
 */

/** enum trace_kind - events; the fields of each stand behind it */
#define TRACE_KINDS(X)                                                                   \
    X(EXEC,    "exec", 0)     /* not an event: blocks are recorded */                    \
    X(PARTIAL, "partial", 1)  /* the block was left: instructions not executed */        \
    X(INT,     "int", 5)      /* vector, error code, soft, pc, cr2 */                    \
    X(CR3,     "cr3", 1)      /* from now on */                                          \
    X(IO,      "io", 3)       /* port, size | write << 8, value */                       \
    X(MMIO,    "mmio", 3)     /* address, size | write << 8, value */                    \
    X(MEM,     "mem", 2)      /* linear address, size | write << 8; then the value, 64 bits each */ \
    X(REG,     "reg", 19)     /* rflags, then those that changed: mask, values */        \
    X(IRQ,     "irq", 2)      /* line, level */                                          \
    X(BLK,     "blk", 4)      /* drive, operation | done << 8, offset, length or errno */ \
    X(NET,     "net", 3)      /* sender's name, 8 bytes; 1: it is a card; length */
enum trace_kind {
#define X(N, name, fields) TRACE_##N,
    TRACE_KINDS(X)
#undef X
    TRACE_KIND_COUNT
};

/* a block's mode: code size and privilege */
enum { TRACE_MODE_BITS = 3 /* 0: 16, 1: 32, 2: 64 */, TRACE_MODE_CPL = 2 /* shift */ };

/* ---- bits ---------------------------------------------------------------------------- */

/** struct bit_out - writes bits; the caller sees that there is room */
struct bit_out {
    uint8_t *p;
    uint64_t acc;
    unsigned n;
};

static inline void put_bits(struct bit_out *o, uint64_t v, unsigned n)   /* n <= 32 */
{
    o->acc |= v << o->n;
    o->n += n;
    if (o->n >= 32) {
        stl32(o->p, (uint32_t)o->acc);
        o->p += 4;
        o->acc >>= 32;
        o->n -= 32;
    }
}

/** put_var() - seven bits at a time, low ones first; the eighth says that more follow */
static inline void put_var(struct bit_out *o, uint64_t v)
{
    while (v >= 0x80) {
        put_bits(o, (v & 0x7f) | 0x80, 8);
        v >>= 7;
    }
    put_bits(o, v, 8);
}

/** zigzag() - small numbers of either sign become small numbers */
static inline uint64_t zigzag(int64_t v) { return (uint64_t)v << 1 ^ (uint64_t)(v >> 63); }
static inline int64_t unzigzag(uint64_t v) { return (int64_t)(v >> 1) ^ -(int64_t)(v & 1); }

/** struct bit_in - reads bits; never past the end: @bad is set then, and zeros come */
struct bit_in {
    const uint8_t *p;
    uint64_t at, end;        /* in bits */
    bool bad;
};

static inline uint64_t get_bits(struct bit_in *i, unsigned n)   /* n <= 32 */
{
    uint64_t v = 0;

    if (unlikely(i->end - i->at < n)) {
        i->bad = true;
        i->at = i->end;
        return 0;
    }
    if (likely(i->end - (i->at & ~7ull) >= 64)) {
        v = ldl64(i->p + i->at / 8) >> i->at % 8;
    } else {
        for (unsigned k = 0; k < 5 && (i->at / 8 + k) * 8 < i->end; k++)
            v |= (uint64_t)i->p[i->at / 8 + k] << 8 * k;
        v >>= i->at % 8;
    }
    i->at += n;
    return v & ((1ull << n) - 1);
}

static inline uint64_t get_var(struct bit_in *i)
{
    uint64_t v = 0, b;
    unsigned shift = 0;

    do {
        b = get_bits(i, 8);
        v |= (b & 0x7f) << shift;
        shift += 7;
    } while ((b & 0x80) && shift < 64 && !i->bad);
    return v;
}

/** trace_code_bits() - width of a code when @known blocks are known */
static inline unsigned trace_code_bits(unsigned known)
{
    return 32 - (unsigned)__builtin_clz(known + 1);
}

/**
 * trace_sum() - check sum of @len bytes; @sum: 0, or that of what comes before
 * h = sum ^ len << 32; for each word w of eight bytes, then for each byte that is left:
 * h = (h ^ w) * 0x9fb21c651e98df25, h ^= h >> 32. The sum is its low half.
 */
uint32_t trace_sum(uint32_t sum, const void *p, size_t len);

#endif
