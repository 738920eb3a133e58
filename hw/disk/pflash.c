/*
 * pflash.c - flash chips with the Intel command set, 8 bits wide, blocks of 4 KiB
 *
 * While a chip shows its array it is plain memory to the CPU, and only writes
 * come here. After any other command it becomes a device until READ ARRAY.
 * Programmed and erased bytes go to the drive behind the guest's back; the last
 * of them when the machine ends.
 *
 * Source: Intel 28F640J3 data sheet, "Command definitions" and "Status register";
 * JEDEC JESD68 (CFI). Departure: CLEAR STATUS clears SR.7, too, until the
 * next operation, because OVMF knows a flash chip by reading 0 then.
 */
#include <stdlib.h>
#include "hw/disk/pflash.h"
#include "hw/prop.h"

#define BLOCK       4096u
#define LOW_COPY_MAX (128 * KiB)
#define FLASH_PRIO  1

enum { CMD_PROGRAM_ALT = 0x10, CMD_ERASE = 0x20, CMD_PROGRAM = 0x40, CMD_CLEAR_STATUS = 0x50,
       CMD_LOCK = 0x60, CMD_READ_STATUS = 0x70, CMD_READ_ID = 0x90, CMD_QUERY = 0x98,
       CMD_CONFIRM = 0xd0, CMD_READ_ARRAY = 0xff };
enum { SR_READY = 0x80, SR_ERASE_FAILED = 0x20, SR_PROGRAM_FAILED = 0x10, SR_LOCKED = 0x02 };
enum flash_state { FLASH_ARRAY, FLASH_STATUS, FLASH_ID, FLASH_QUERY, FLASH_PROGRAM, FLASH_ERASE,
                   FLASH_LOCK };

struct pflash {
    struct device dev;
    struct drive *drive;
    gpa_t end;                /* first address behind it */
    bool low_copy;
    uint64_t bytes;
    uint8_t *array;
    uint8_t *locked;          /* one byte a block */
    struct mem_region high, low;
    uint8_t state, status;
    uint64_t seen_lo, seen_hi;    /* changed since the array was last shown */
    uint64_t dirty_lo, dirty_hi;  /* not on the drive yet; lo == hi: nothing */
    bool busy;                /* req is on its way */
    bool failed;              /* told once */
    struct drive_req req;
    struct iovec iov;
};

/* ---- writing back ------------------------------------------------------------------- */

static void write_back(struct pflash *p);

static void written(struct drive_req *r, int ret)
{
    struct pflash *p = r->opaque;

    p->busy = false;
    if (ret < 0 && !p->failed)
        fprintf(stderr, "transom: pflash %s: %s; changes of it are lost\n", p->drive->id, strerror(-ret));
    p->failed |= ret < 0;
    write_back(p);
}

/* The array may change under the request: what does is dirty again. */
static void write_back(struct pflash *p)
{
    uint64_t lo = p->dirty_lo, hi = p->dirty_hi;

    if (p->busy || lo == hi)
        return;
    p->dirty_lo = p->dirty_hi = 0;
    p->busy = true;
    p->iov = (struct iovec){ p->array + lo, hi - lo };
    p->req = (struct drive_req){
        .r = { .op = BLOCK_WRITE, .flags = BLOCK_REQ_FUA, .off = lo, .len = hi - lo,
               .iov = &p->iov, .niov = 1 },
        .cb = written, .opaque = p };
    drive_submit(p->drive, &p->req);
}

static void extend(uint64_t *lo, uint64_t *hi, uint64_t off, uint64_t len)
{
    *lo = *lo == *hi ? off : MIN(*lo, off);
    *hi = MAX(*hi, off + len);
}

static void changed(struct pflash *p, uint64_t off, uint64_t len)
{
    extend(&p->dirty_lo, &p->dirty_hi, off, len);
    extend(&p->seen_lo, &p->seen_hi, off, len);
}

/* ---- commands ------------------------------------------------------------------------- */

/* Device or memory: the CPU's view changes only between these two. */
static void set_state(struct pflash *p, enum flash_state state)
{
    struct mem_map *mm = &p->dev.machine->mem;
    bool was_array = p->state == FLASH_ARRAY;

    p->state = state;
    if (was_array == (state == FLASH_ARRAY))
        return;
    p->high.kind = was_array ? MEM_MMIO : MEM_ROM;
    mem_update(mm);
    if (was_array)
        return;
    if (p->seen_hi > p->seen_lo)
        mem_dirtied(mm, p->high.base + p->seen_lo, p->seen_hi - p->seen_lo);
    p->seen_lo = p->seen_hi = 0;
    write_back(p);
}

static bool is_locked(const struct pflash *p, uint64_t off)
{
    return block_readonly(p->drive->blk) || p->locked[off / BLOCK];
}

static void program(struct pflash *p, uint64_t off, uint8_t val)
{
    p->status = SR_READY;
    if (is_locked(p, off)) {
        p->status |= SR_PROGRAM_FAILED | SR_LOCKED;
    } else {
        p->array[off] &= val;      /* only erasing sets bits */
        changed(p, off, 1);
    }
    set_state(p, FLASH_STATUS);
}

static void erase(struct pflash *p, uint64_t off, uint8_t val)
{
    off = align_down(off, BLOCK);
    p->status = SR_READY;
    if (val != CMD_CONFIRM) {
        p->status |= SR_ERASE_FAILED | SR_PROGRAM_FAILED;
    } else if (is_locked(p, off)) {
        p->status |= SR_ERASE_FAILED | SR_LOCKED;
    } else {
        memset(p->array + off, 0xff, BLOCK);
        changed(p, off, BLOCK);
    }
    set_state(p, FLASH_STATUS);
}

static void lock(struct pflash *p, uint64_t off, uint8_t val)
{
    p->status = SR_READY;
    if (val == 0x01)
        p->locked[off / BLOCK] = 1;
    else if (val == CMD_CONFIRM)
        memset(p->locked, 0, p->bytes / BLOCK);    /* CLEAR LOCK BITS: of all blocks */
    else
        p->status |= SR_ERASE_FAILED | SR_PROGRAM_FAILED;
    set_state(p, FLASH_STATUS);
}

static void command(struct pflash *p, uint8_t cmd)
{
    switch (cmd) {
    case CMD_PROGRAM:
    case CMD_PROGRAM_ALT:
        set_state(p, FLASH_PROGRAM);
        break;
    case CMD_ERASE:
        set_state(p, FLASH_ERASE);
        break;
    case CMD_LOCK:
        set_state(p, FLASH_LOCK);
        break;
    case CMD_CLEAR_STATUS:
        p->status = 0;
        set_state(p, FLASH_ARRAY);
        break;
    case CMD_READ_STATUS:
        set_state(p, FLASH_STATUS);
        break;
    case CMD_READ_ID:
        set_state(p, FLASH_ID);
        break;
    case CMD_QUERY:
        set_state(p, FLASH_QUERY);
        break;
    default:
        if (cmd != CMD_READ_ARRAY)
            log_guest(LOG_UNIMP, "pflash: command=%#x", cmd);
        set_state(p, FLASH_ARRAY);
        break;
    }
}

/* ---- accesses ------------------------------------------------------------------------- */

static uint8_t query(const struct pflash *p, uint64_t off)
{
    uint32_t blocks = p->bytes / BLOCK - 1;
    uint8_t t[0x31] = {
        [0x10] = 'Q', 'R', 'Y', 0x01, 0x00, 0x31,    /* Intel commands; extension at 0x31 */
        [0x1b] = 0x45, 0x55, 0, 0, 8, 0, 10, 0,      /* volts, typical times (2^n us, ms) */
        [0x23] = 4, 0, 4, 0,                         /* longest times */
        [0x27] = 0, [0x28] = 0, 0,                   /* bytes, log2; 8 bits wide */
        [0x2c] = 1, blocks, blocks >> 8, BLOCK >> 8 & 0xff, BLOCK >> 16,
    };

    while ((1ull << t[0x27]) < p->bytes)
        t[0x27]++;
    return off < sizeof t ? t[off] : 0;
}

static uint8_t identify(const struct pflash *p, uint64_t off)
{
    switch (off % BLOCK) {
    case 0:
        return 0x89;              /* Intel */
    case 1:
        return 0x18;
    case 2:
        return p->locked[off / BLOCK];
    default:
        return 0;
    }
}

static uint64_t flash_read(void *opaque, uint64_t off, unsigned size)
{
    struct pflash *p = opaque;

    switch (p->state) {
    case FLASH_ARRAY:
        return p->array[off];
    case FLASH_ID:
        return identify(p, off);
    case FLASH_QUERY:
        return query(p, off);
    default:
        return p->status;
    }
}

static void flash_write(void *opaque, uint64_t off, uint64_t val, unsigned size)
{
    struct pflash *p = opaque;

    switch (p->state) {
    case FLASH_PROGRAM:
        program(p, off, val);
        break;
    case FLASH_ERASE:
        erase(p, off, val);
        break;
    case FLASH_LOCK:
        lock(p, off, val);
        break;
    default:
        command(p, val);
        break;
    }
}

static const struct io_ops flash_ops = { flash_read, flash_write, 1, 1 };

/* ---- life --------------------------------------------------------------------------------- */

static void map_chip(struct pflash *p)
{
    uint64_t low = MIN(p->bytes, LOW_COPY_MAX);
    struct mem_map *mm = &p->dev.machine->mem;

    p->high = (struct mem_region){ .name = "pflash", .base = p->end - p->bytes, .len = p->bytes,
                                   .kind = MEM_ROM, .prio = FLASH_PRIO, .enabled = true,
                                   .host = p->array, .ops = &flash_ops, .opaque = p };
    mem_add(mm, &p->high);
    if (!p->low_copy)
        return;
    p->low = (struct mem_region){ .name = "pflash-low", .base = MiB - low, .len = low,
                                  .kind = MEM_ROM, .prio = FLASH_PRIO, .enabled = true,
                                  .host = p->array + p->bytes - low };
    mem_add(mm, &p->low);
}

static int flash_init(struct device *d, struct err *e)
{
    struct pflash *p = (struct pflash *)d;
    int ret = drive_claim(p->drive, d, NULL, NULL, e);

    if (ret < 0)
        return ret;
    p->bytes = block_length(p->drive->blk);
    if (!p->bytes || p->bytes % BLOCK || p->bytes > PFLASH_MAX)
        return err_set(e, -EINVAL, "pflash %s: %llu bytes; 4 KiB to 16 MiB in whole 4 KiB are wanted",
                       p->drive->id, (unsigned long long)p->bytes);
    p->array = aligned_alloc(BLOCK, p->bytes);
    p->locked = xzalloc(p->bytes / BLOCK);
    if (!p->array)
        return err_set(e, -ENOMEM, "pflash %s: out of memory", p->drive->id);
    ret = block_pread(p->drive->blk, 0, p->array, p->bytes);
    if (ret < 0)
        return err_set(e, ret, "pflash %s: %s", p->drive->id, strerror(-ret));
    map_chip(p);
    return 0;
}

static void flash_reset(struct device *d)
{
    struct pflash *p = (struct pflash *)d;

    p->status = 0;
    set_state(p, FLASH_ARRAY);
}

static void flash_destroy(struct device *d)
{
    struct pflash *p = (struct pflash *)d;

    drive_release(p->drive);
    if (p->dirty_hi > p->dirty_lo &&
        block_pwrite(p->drive->blk, p->dirty_lo, p->array + p->dirty_lo, p->dirty_hi - p->dirty_lo) < 0)
        fprintf(stderr, "transom: pflash %s: the last changes are lost\n", p->drive->id);
    if (p->high.host)
        mem_remove(&d->machine->mem, &p->high);
    if (p->low.host)
        mem_remove(&d->machine->mem, &p->low);
    free(p->array);
    free(p->locked);
}

static const struct dev_field flash_fields[] = {
    FIELD(U8, struct pflash, state),
    FIELD(U8, struct pflash, status),
    FIELD_END
};

static const struct device_type pflash_type = {
    .name = "cfi.pflash01", .desc = "flash chip", .size = sizeof(struct pflash),
    .init = flash_init, .reset = flash_reset, .destroy = flash_destroy, .fields = flash_fields,
};

/* ---- the board's chips ------------------------------------------------------------------- */

struct place {
    struct drive *drive;
    gpa_t end;
    bool low_copy;
};

static void flash_setup(struct device *d, const void *arg)
{
    struct pflash *p = (struct pflash *)d;
    const struct place *at = arg;

    p->drive = at->drive;
    p->end = at->end;
    p->low_copy = at->low_copy;
}

/* -machine pflashN=ID, or the -drive with if=pflash and that unit */
static int find_drive(struct machine *m, int unit, struct drive **out, struct err *e)
{
    const char *id = m->cfg.pflash[unit];

    *out = id ? drive_find(m, id) : NULL;
    if (id && !*out)
        return err_set(e, -EINVAL, "-machine pflash%d=%s: there is no such drive", unit, id);
    for (struct drive *d = m->drives; d && !*out; d = d->next)
        if (d->interface == DRIVE_IF_PFLASH && d->unit == unit)
            *out = d;
    return 0;
}

int pflash_add_all(struct machine *m, struct err *e)
{
    struct place at = { .end = 4 * GiB };
    int n = 0;

    for (int unit = 0; unit < PFLASH_UNITS; unit++) {
        int ret = find_drive(m, unit, &at.drive, e);
        if (ret < 0)
            return ret;
        if (!at.drive)
            continue;
        if (unit != n)
            return err_set(e, -EINVAL, "pflash1 without pflash0: there is no firmware");
        at.low_copy = unit == 0;
        if (!machine_add_device(m, &pflash_type, 0, NULL, flash_setup, &at, e))
            return -EINVAL;
        at.end -= block_length(at.drive->blk);
        n++;
    }
    if (4 * GiB - at.end > PFLASH_MAX)
        return err_set(e, -EINVAL, "pflash: both chips together are larger than 16 MiB");
    return n;
}
