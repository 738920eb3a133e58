/*
 * tb-cache-int.h - translations kept in a file from run to run (-accel tcg,tb-cache=FILE)
 *
 * An image is a block that can be put anywhere in the code cache of any process of this very program. It is known
 * by what was translated: the guest's bytes, all of them, their offset in the page, mode bits and, where the code
 * segment is not flat, its base, its limit and the address. What else translation depends on is the same for all
 * images of a store: the build of the program, the host's and the guest's CPU features, options (struct tb_env).
 *
 *   tb-store.c              images in memory, finding one, the file
 *   tb-cache.c              when one is looked for and when they are made
 *   host-x86_64/reloc.c     host code to image and back
 *
 * Nobody but our own user can have written the file (util/own-file.c), and its checksum tells damage. It is read
 * into private memory, so what was checked is what is used.
 */
#ifndef TCG_TB_CACHE_INT_H
#define TCG_TB_CACHE_INT_H

#include "tcg/tcg-int.h"

/*
 * What in host code depends on where things are, a list of positions each. A position is an offset in main line and
 * cold part as if the one followed the other; so these displacements stand in an image, too:
 */
enum tb_reloc {
    TR_DOWN,                 /* rel32 of the main line into the cold part */
    TR_UP,                   /* rel32 of the cold part into the main line */
    TR_THUNK,                /* rel32 to a thunk; image: the target's offset in the code cache */
    TR_PROGRAM,              /* 64-bit address in this program; image: from its start */
    TR_PLACE,                /* 32 bits: the block's place in the arena | slot; image: slot */
    TR_PAGE2,                /* 32 bits: RAM page of the second page + 1; image: 0 */
    TR_KINDS,
};

/** struct tb_relocs - of a block that was made with tcg->relocs */
struct tb_relocs {
    uint16_t n[TR_KINDS];
    uint16_t at[];           /* by kind */
};

#define TB_IMAGE_CODE 0xffffu    /* bytes of code that an image may have */
#define TB_IMAGE_ALIGN 16

/** struct tb_image_link - struct tb_link, offsets as positions */
struct tb_image_link {
    uint32_t f_from, owed;
    uint16_t jmp, guard, stub;
    uint16_t alone;
};

/** struct tb_image - followed by guest bytes, links, sites (offsets as positions), relocations by kind, code; each
 *  aligned to 8 bytes */
struct tb_image {
    uint32_t bytes;          /* of all, a multiple of TB_IMAGE_ALIGN */
    uint32_t mode;
    uint16_t off, len;       /* in the page; guest bytes */
    uint16_t n_insns;
    uint8_t flat, n_links;
    uint64_t pcbase, cs_base, cs_limit; /* 0 when flat */
    uint32_t f_spoils;
    uint16_t loop_off, n_sites;
    uint16_t code_len, cold_len;
    uint16_t n_relocs[TR_KINDS];
    uint8_t cold_mod;        /* low bits of the cold part's address, which alignment within it depends on */
    uint8_t age;             /* runs of the program since it was last of use */
    uint8_t state;           /* the store's */
    uint8_t reserved;
};
#define TB_COLD_ALIGN 4      /* what align_link() aligns to */

/** struct tb_image_parts - where they are */
struct tb_image_parts {
    uint8_t *guest;
    struct tb_image_link *links;
    struct tb_site *sites;
    uint16_t *relocs;
    uint8_t *code;
};
/** tb_image_parts() - of an image whose counts are as they are to be; returns its bytes */
size_t tb_image_parts(const struct tb_image *im, struct tb_image_parts *p);

/* ---- a store of images (tb-store.c) ------------------------------------------------- */

#define TB_ENV_WORDS 2
/** struct tb_env - digest of what all images of a store depend on */
struct tb_env {
    uint64_t w[TB_ENV_WORDS];
};
/** tb_env_add() - @n bytes at @p, too */
void tb_env_add(struct tb_env *env, const void *p, size_t n);

struct tb_store;
/**
 * tb_store_new() - an empty store of at most @limit bytes
 * NULL with @e: no memory.
 */
struct tb_store *tb_store_new(size_t limit, struct err *e) MUST_CHECK;
void tb_store_free(struct tb_store *s);
/**
 * tb_store_read() - what @f holds, if it was made in @env
 * 0, also when there is no file; 1: it is of no use, @e says why; negative with @e: it is not to be touched.
 */
int tb_store_read(struct tb_store *s, const struct own_file *f, const struct tb_env *env, struct err *e) MUST_CHECK;
/** tb_store_write() - keep it in @f. Images that were of no use for TB_STORE_RUNS runs are left out. */
int tb_store_write(struct tb_store *s, const struct own_file *f, const struct tb_env *env, struct err *e) MUST_CHECK;
#define TB_STORE_RUNS 8      /* what never was of use goes earlier */
/**
 * tb_store_find() - an image for @k, whose code begins with the @have bytes at @code, or NULL
 * It stays where it is until the next tb_store_add().
 */
struct tb_image *tb_store_find(struct tb_store *s, const struct tb_key *k, const uint8_t *code, unsigned have);
/** tb_store_add() - a copy of @im, unless there is one for the same or no room; what was of no use in this run may
 *  have to go for it */
void tb_store_add(struct tb_store *s, const struct tb_image *im);
/** tb_store_count(), tb_store_bytes() - images; bytes as in the file */
size_t tb_store_count(const struct tb_store *s);
size_t tb_store_bytes(const struct tb_store *s);
/** tb_store_worth() - is what was added worth writing the file anew? */
bool tb_store_worth(const struct tb_store *s);

/* ---- the translator's (tb-cache.c) --------------------------------------------------- */

/** tb_cache_open() - tcg_config.tb_cache, when the back end is there; @t->tb_cache */
int tb_cache_open(struct tcg *t, struct err *e) MUST_CHECK;
/** tb_cache_close() - write the file, when nothing is translated any more */
void tb_cache_close(struct tcg *t);
/** tb_cache_find() - under the lock, with cpu->source: an image of the block at @k, in RAM page @page, or NULL. Says in
 *  @t->relocs whether a block that is made instead could become one. */
const struct tb_image *tb_cache_find(struct tcg_cpu *cpu, const struct tb_key *k, uint32_t page);
/** tb_cache_collect() - images of all blocks: the code cache is about to be emptied */
void tb_cache_collect(struct tcg *t);

#endif
