/*
 * kvm-mem.c - the memory map as KVM slots, and which pages were written
 *
 * RAM and ROM are slots, ROM read-only: writes to it come out as accesses to device
 * memory, like everything that is no slot. Only what differs is changed. KVM cannot
 * move or shrink a slot, so there is a moment without it, in which an access of
 * another vCPU comes out too and is served from the machine's own map.
 */
#include <stdlib.h>
#include "accel/kvm-int.h"

#define PAGE 4096ull
#define BATCH 64

static bool same(const struct kvm_slot *a, const struct kvm_slot *b)
{
    return a->base == b->base && a->len == b->len && a->host == b->host
           && a->readonly == b->readonly && a->tracked == b->tracked;
}

static void set_slot(struct kvm *k, unsigned i, uint64_t len)
{
    const struct kvm_slot *s = &k->slot[i];
    struct kvm_userspace_memory_region r = {
        .slot = i, .guest_phys_addr = s->base, .memory_size = len,
        .userspace_addr = (uintptr_t)s->host,
        .flags = (s->readonly ? KVM_MEM_READONLY : 0) | (s->tracked ? KVM_MEM_LOG_DIRTY_PAGES : 0),
    };
    int ret = kvm_ioctl(k->vm_fd, KVM_SET_USER_MEMORY_REGION, &r);

    if (ret < 0)
        log_write("kvm: slot=%u gpa=%#llx len=%#llx: %s", i, (unsigned long long)s->base,
                  (unsigned long long)len, strerror(-ret));
}

/* The whole pages of a piece of memory between @from and @to; others stay accesses that come out. */
static bool slot_of(const struct mem_flat *f, gpa_t from, gpa_t to, struct kvm_slot *s)
{
    gpa_t base = MAX(align_up(f->base, PAGE), from), end = MIN(align_down(f->base + f->len, PAGE), to);
    struct mem_region *r = f->region;

    if (r->kind == MEM_MMIO || end <= base)
        return false;
    *s = (struct kvm_slot){ base, end - base, r->host + f->offset + (base - f->base),
                            r->kind == MEM_ROM, r->dirty ? r : NULL };
    return (uintptr_t)s->host % PAGE == 0;
}

/*
 * KVM has no A20 gate. While it is closed, what lies in the first MiB answers in the second, too,
 * which is all that programs in real mode reach of its effect. The second MiB always has slots of its own,
 * so that the gate does not touch what lies above.
 */
static unsigned slots_of(const struct mem_map *mm, const struct mem_flat *f, struct kvm_slot out[4])
{
    bool closed = mm->a20_mask != ~0ull;
    unsigned n = 0;

    n += slot_of(f, 0, MiB, &out[n]);
    if (n && closed) {
        out[n] = out[n - 1];
        out[n++].base += MiB;
    }
    if (!closed)
        n += slot_of(f, MiB, 2 * MiB, &out[n]);
    n += slot_of(f, 2 * MiB, UINT64_MAX, &out[n]);
    return n;
}

static int find_slot(const struct kvm *k, const struct kvm_slot *s)
{
    for (unsigned i = 0; i < k->max_slots; i++)
        if (k->slot[i].len && same(&k->slot[i], s))
            return (int)i;
    return -1;
}

static void add_slot(struct kvm *k, const struct kvm_slot *s)
{
    for (unsigned i = 0; i < k->max_slots; i++)
        if (!k->slot[i].len) {
            k->slot[i] = *s;
            set_slot(k, i, s->len);
            return;
        }
    log_write("kvm: no slot left for gpa=%#llx", (unsigned long long)s->base);
}

/* What was written until now is not lost with the slot. */
static void drop_slot(struct kvm *k, unsigned i)
{
    if (k->slot[i].tracked)
        kvm_dirty_sync(k->a, k->slot[i].tracked);
    set_slot(k, i, 0);
    k->slot[i].len = 0;
}

void kvm_map_changed(struct accel *a)
{
    const struct mem_map *mm = &a->m->mem;
    struct kvm *k = a->kvm;
    bool *keep = xzalloc(k->max_slots * sizeof *keep);
    struct kvm_slot s[4];

    for (size_t i = 0; i < mm->n_flat; i++)
        for (unsigned n = slots_of(mm, &mm->flat[i], s); n--;) {
            int at = find_slot(k, &s[n]);

            if (at >= 0)
                keep[at] = true;
        }
    for (unsigned i = 0; i < k->max_slots; i++)
        if (k->slot[i].len && !keep[i])
            drop_slot(k, i);
    for (size_t i = 0; i < mm->n_flat; i++)
        for (unsigned n = slots_of(mm, &mm->flat[i], s); n--;)
            if (find_slot(k, &s[n]) < 0)
                add_slot(k, &s[n]);
    free(keep);
    kvm_bells_follow(a);
}

/* ---- pages that were written ---------------------------------------------------------------- */

static void take_log(struct kvm *k, unsigned i)
{
    const struct kvm_slot *s = &k->slot[i];
    size_t pages = s->len / PAGE, words = (pages + 63) / 64;
    uint64_t *map = xzalloc(words * sizeof *map);
    struct kvm_dirty_log log = { .slot = i, .dirty_bitmap = map };

    if (kvm_ioctl(k->vm_fd, KVM_GET_DIRTY_LOG, &log) == 0)
        for (size_t p = 0; p < pages; p++)
            if (map[p / 64] >> p % 64 & 1)
                mem_dirty_set(s->tracked, (uint64_t)(s->host - s->tracked->host) + p * PAGE, PAGE);
    free(map);
}

void kvm_dirty_sync(struct accel *a, struct mem_region *r)
{
    struct kvm *k = a->kvm;

    for (unsigned i = 0; i < k->max_slots; i++)
        if (k->slot[i].len && k->slot[i].tracked == r)
            take_log(k, i);
}
