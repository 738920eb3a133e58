/* tb_store.c - images of translations: which one is found, and what becomes of a file that is not as it was written */
#define _GNU_SOURCE
#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include "tcg/tb-cache-int.h"

#define LIMIT (64 * KiB)
#define MODE 0x1234u
#define OFF 0x560u

static char dir[] = "/tmp/transom-store-XXXXXX", path[64];
static const struct tb_env env = { { 1, 2 } };
static struct own_file file;
static struct err e;

static void setup(void)
{
    cr_assert(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/f", dir);
    cr_assert_eq(own_file_open(&file, path, &e), 0, "%s", e.msg);
}

static void teardown(void)
{
    own_file_close(&file);
    unlink(path);
    rmdir(dir);
}

TestSuite(tb_store, .init = setup, .fini = teardown);

static struct tb_store *store_new(void)
{
    struct tb_store *s = tb_store_new(LIMIT, &e);

    cr_assert(s, "%s", e.msg);
    return s;
}

static struct tb_key key(void)
{
    return (struct tb_key){ .pc = 0x400000 + OFF, .lin = 0x400000 + OFF, .mode = MODE, .flat = true, .pc_bytes = 8 };
}

/* An image for key() from @n bytes of @code, with a bit of everything. */
static struct tb_image *image(const void *code, uint16_t n)
{
    struct tb_image *im = xzalloc(1024 + n);
    struct tb_image_parts p;

    *im = (struct tb_image){ .mode = MODE, .off = OFF, .len = n, .n_insns = 1, .flat = 1, .n_links = 2, .n_sites = 1,
                             .code_len = 40, .cold_len = 30, .n_relocs = { [TR_DOWN] = 2, [TR_PROGRAM] = 1 } };
    im->bytes = (uint32_t)tb_image_parts(im, &p);
    memcpy(p.guest, code, n);
    p.links[0] = (struct tb_image_link){ .jmp = 36, .stub = 40 };
    p.links[1] = (struct tb_image_link){ .jmp = 30, .guard = 20, .stub = 50 };
    p.sites[0] = (struct tb_site){ 8 | SITE_FPE, 60 };
    p.relocs[0] = 4;
    p.relocs[1] = 66;
    p.relocs[2] = 62;
    memset(p.code, 0x90, 70);
    return im;
}

static void add(struct tb_store *s, const void *code, uint16_t n)
{
    struct tb_image *im = image(code, n);

    tb_store_add(s, im);
    free(im);
}

static bool has(struct tb_store *s, const void *code, unsigned n)
{
    struct tb_key k = key();

    return tb_store_find(s, &k, code, n);
}

static void write_and_free(struct tb_store *s)
{
    cr_assert_eq(tb_store_write(s, &file, &env, &e), 0, "%s", e.msg);
    tb_store_free(s);
}

/* tb_store_read() into a new store; *@s may be NULL */
static int read_back(struct tb_store **s)
{
    struct tb_store *to = store_new();
    int ret = tb_store_read(to, &file, &env, &e);

    if (s)
        *s = to;
    else
        tb_store_free(to);
    return ret;
}

/* ---- finding ------------------------------------------------------------------------- */

Test(tb_store, all_bytes_count)
{
    struct tb_store *s = store_new();

    add(s, "0123456789abcdef", 16);
    cr_assert(has(s, "0123456789abcdef", 16));
    cr_assert(has(s, "0123456789abcdef more", 21), "what follows does not matter");
    cr_assert(!has(s, "0123456789abcdeF", 16), "the last byte differs");
    cr_assert(!has(s, "0123456789abcdef", 15), "fewer bytes are there");
    cr_assert(!has(s, "X123456789abcdef", 16));
    cr_assert(!has(s, "", 0));
    tb_store_free(s);
}

Test(tb_store, short_blocks)
{
    struct tb_store *s = store_new();

    add(s, "\xc3", 1);
    add(s, "\xe9""1234", 5);
    add(s, "\xe9""1235", 5);
    cr_assert(has(s, "\xc3 and more", 10));
    cr_assert(has(s, "\xe9""1235", 5));
    cr_assert(!has(s, "\xe9""1236", 5));
    cr_assert_eq(tb_store_count(s), 3);
    tb_store_free(s);
}

Test(tb_store, mode_and_offset_count)
{
    struct tb_store *s = store_new();
    struct tb_key k = key();

    add(s, "0123456789", 10);
    k.mode ^= KEY_ALONE;
    cr_assert_null(tb_store_find(s, &k, (const uint8_t *)"0123456789", 10));
    k = key();
    k.lin++;
    cr_assert_null(tb_store_find(s, &k, (const uint8_t *)"0123456789", 10));
    k = key();
    k.lin += 0x5000;
    cr_assert(tb_store_find(s, &k, (const uint8_t *)"0123456789", 10), "flat code does not know its address");
    k.flat = false;
    cr_assert_null(tb_store_find(s, &k, (const uint8_t *)"0123456789", 10));
    tb_store_free(s);
}

Test(tb_store, segments_count_where_code_is_not_flat)
{
    struct tb_store *s = store_new();
    struct tb_image *im = image("0123456789", 10);
    struct tb_key k = key();
    const uint8_t *code = (const uint8_t *)"0123456789";

    im->flat = 0;
    im->pcbase = 0x3000;
    im->cs_base = 0x10000;
    im->cs_limit = 0xffff;
    tb_store_add(s, im);
    free(im);
    k = (struct tb_key){ .pc = 0x3000 + OFF, .lin = 0x13000 + OFF, .cs_base = 0x10000, .cs_limit = 0xffff, .mode = MODE };
    cr_assert(tb_store_find(s, &k, code, 10));
    k.cs_limit--;
    cr_assert_null(tb_store_find(s, &k, code, 10));
    k.cs_limit++;
    k.cs_base += 16;
    cr_assert_null(tb_store_find(s, &k, code, 10));
    k.cs_base -= 16;
    k.pc += 0x1000;
    cr_assert_null(tb_store_find(s, &k, code, 10));
    tb_store_free(s);
}

Test(tb_store, one_for_each)
{
    struct tb_store *s = store_new();

    add(s, "0123456789", 10);
    add(s, "0123456789", 10);
    cr_assert_eq(tb_store_count(s), 1);
    tb_store_free(s);
}

Test(tb_store, many_and_full)
{
    struct tb_store *s = store_new();
    char code[20];
    unsigned n;

    for (n = 0; n < 2000; n++) {
        snprintf(code, sizeof code, "code number %06u", n);
        add(s, code, 18);
    }
    cr_assert_leq(tb_store_bytes(s), LIMIT);
    n = (unsigned)tb_store_count(s);
    cr_assert(n > 100 && n < 2000);
    for (unsigned i = 0; i < 2000; i++) {
        snprintf(code, sizeof code, "code number %06u", i);
        cr_assert_eq(has(s, code, 18), i < n, "%u of %u", i, n);
    }
    tb_store_free(s);
}

/* ---- the file ------------------------------------------------------------------------------ */

static void make_file(void)
{
    struct tb_store *s = store_new();

    add(s, "0123456789", 10);
    add(s, "another one of them", 19);
    write_and_free(s);
}

Test(tb_store, comes_back)
{
    struct tb_store *s;

    cr_assert_eq(read_back(NULL), 0, "no file is no error");
    make_file();
    cr_assert_eq(read_back(&s), 0, "%s", e.msg);
    cr_assert_eq(tb_store_count(s), 2);
    cr_assert(has(s, "0123456789", 10));
    cr_assert(has(s, "another one of them", 19));
    cr_assert(!tb_store_worth(s), "nothing is new");
    tb_store_free(s);
}

Test(tb_store, made_in_another_environment)
{
    struct tb_env other = { { 1, 3 } };
    struct tb_store *s = store_new();

    make_file();
    cr_assert_eq(tb_store_read(s, &file, &other, &e), 1);
    cr_assert(strstr(e.msg, "another build"), "%s", e.msg);
    cr_assert_eq(tb_store_count(s), 0);
    cr_assert(!has(s, "0123456789", 10));
    tb_store_free(s);
}

Test(tb_store, every_byte_of_an_environment_counts)
{
    uint8_t bytes[100] = { 0 };
    struct tb_env plain = { { 0 } }, one;

    tb_env_add(&plain, bytes, sizeof bytes);
    for (unsigned i = 0; i < sizeof bytes * 8; i++) {
        bytes[i / 8] ^= (uint8_t)(1 << i % 8);
        one = (struct tb_env){ { 0 } };
        tb_env_add(&one, bytes, sizeof bytes);
        cr_assert(one.w[0] != plain.w[0] && one.w[1] != plain.w[1], "bit %u", i);
        bytes[i / 8] ^= (uint8_t)(1 << i % 8);
    }
}

Test(tb_store, every_damaged_byte_is_noticed)
{
    uint8_t was[4096];
    int fd;
    ssize_t n;

    make_file();
    fd = open(path, O_RDWR);
    n = pread(fd, was, sizeof was, 0);
    cr_assert(n > 300 && n < 4096);
    for (ssize_t i = 0; i < n; i++)
        for (unsigned bit = 0; bit < 8; bit++) {
            uint8_t b = was[i] ^ (uint8_t)(1 << bit);
            struct tb_store *s;

            cr_assert_eq(pwrite(fd, &b, 1, i), 1);
            cr_assert_eq(read_back(&s), 1, "byte %zd", i);
            cr_assert_eq(tb_store_count(s), 0);
            tb_store_free(s);
            cr_assert_eq(pwrite(fd, &was[i], 1, i), 1);
        }
    cr_assert_eq(read_back(NULL), 0);
    close(fd);
}

Test(tb_store, every_missing_byte_is_noticed)
{
    struct tb_store *s = store_new();
    off_t n = 0;
    int fd;

    make_file();
    fd = open(path, O_RDWR);
    for (n = lseek(fd, 0, SEEK_END) - 1; n > 0; n--) {
        cr_assert_eq(ftruncate(fd, n), 0);
        cr_assert_eq(read_back(NULL), 1, "%d bytes", (int)n);
    }
    cr_assert_eq(ftruncate(fd, 0), 0);
    cr_assert_eq(read_back(NULL), 0, "an empty file is as none");
    make_file();
    cr_assert_eq(lseek(fd, 0, SEEK_END), 0, "the file was replaced, not written over");
    close(fd);
    tb_store_free(s);
}

Test(tb_store, too_long_for_the_limit)
{
    struct tb_store *s = tb_store_new(256, &e);

    make_file();
    cr_assert_eq(tb_store_read(s, &file, &env, &e), 1);
    cr_assert_eq(tb_store_count(s), 0);
    tb_store_free(s);
}

Test(tb_store, not_to_be_touched)
{
    make_file();
    cr_assert_eq(chmod(path, 0666), 0);
    cr_assert_eq(read_back(NULL), -EPERM);
}

/* Whose numbers are wrong though its sum is right: only we could have made it, but it must not lead out of the image. */
static void wrong_image(void (*spoil)(struct tb_image *im, struct tb_image_parts *p))
{
    struct tb_image *im = image("0123456789", 10);
    struct tb_store *s = store_new();
    struct tb_image_parts p;

    tb_image_parts(im, &p);
    spoil(im, &p);
    tb_store_add(s, im);
    free(im);
    write_and_free(s);
    cr_assert_eq(read_back(NULL), 1);
    cr_assert(strstr(e.msg, "damaged"), "%s", e.msg);
}

static void reloc_outside(struct tb_image *im, struct tb_image_parts *p) { p->relocs[1] = 67; }
static void address_outside(struct tb_image *im, struct tb_image_parts *p) { p->relocs[2] = 63; }
static void link_outside(struct tb_image *im, struct tb_image_parts *p) { p->links[1].jmp = 67; }
static void guard_outside(struct tb_image *im, struct tb_image_parts *p) { p->links[1].guard = 67; }
static void stub_outside(struct tb_image *im, struct tb_image_parts *p) { p->links[0].stub = 70; }
static void site_outside(struct tb_image *im, struct tb_image_parts *p) { p->sites[0].stub = 70; }
static void loop_outside(struct tb_image *im, struct tb_image_parts *p) { im->loop_off = 40; }
static void off_outside(struct tb_image *im, struct tb_image_parts *p) { im->off = 4096; }
static void no_insns(struct tb_image *im, struct tb_image_parts *p) { im->n_insns = 0; }
static void more_code(struct tb_image *im, struct tb_image_parts *p) { im->code_len += 16; }

Test(tb_store, relocation_outside) { wrong_image(reloc_outside); }
Test(tb_store, address_outside) { wrong_image(address_outside); }
Test(tb_store, link_outside) { wrong_image(link_outside); }
Test(tb_store, guard_outside) { wrong_image(guard_outside); }
Test(tb_store, stub_outside) { wrong_image(stub_outside); }
Test(tb_store, site_outside) { wrong_image(site_outside); }
Test(tb_store, loop_outside) { wrong_image(loop_outside); }
Test(tb_store, offset_outside) { wrong_image(off_outside); }
Test(tb_store, no_instructions) { wrong_image(no_insns); }
Test(tb_store, more_code_than_there_is) { wrong_image(more_code); }

/* ---- what stays ----------------------------------------------------------------------------------- */

/* A run that uses @used, if any, and adds something of its own. Returns whether @code was there. */
static bool one_run(unsigned n, const char *used, const char *code)
{
    struct tb_store *s;
    char own[20];
    bool was;

    cr_assert_eq(read_back(&s), 0, "%s", e.msg);
    was = has(s, code, 10);
    if (used)
        has(s, used, 10);
    snprintf(own, sizeof own, "of run %u  ", n);
    add(s, own, 10);
    write_and_free(s);
    return was;
}

Test(tb_store, what_was_of_use_stays_some_runs_longer)
{
    struct tb_store *s = store_new();
    unsigned n;

    add(s, "often used", 10);
    add(s, "used once.", 10);
    add(s, "never used", 10);
    write_and_free(s);
    one_run(0, "used once.", "often used");
    for (n = 1; n < TB_STORE_RUNS + 1; n++)
        cr_assert(one_run(n, NULL, "often used"));
    cr_assert_eq(read_back(&s), 0);
    cr_assert(has(s, "often used", 10));
    cr_assert(!has(s, "never used", 10));
    cr_assert(has(s, "used once.", 10), "eight runs without it are not enough to forget");
    tb_store_free(s);
}

Test(tb_store, what_is_new_is_worth_writing_when_the_like_was_of_use)
{
    struct tb_store *s = store_new();
    char code[20];

    cr_assert(!tb_store_worth(s));
    for (unsigned i = 0; i < 10; i++) {
        snprintf(code, sizeof code, "block %u....", i);
        add(s, code, 10);
    }
    cr_assert(tb_store_worth(s), "the first file");
    write_and_free(s);

    cr_assert_eq(read_back(&s), 0);
    add(s, "of no use then", 10);
    cr_assert(!tb_store_worth(s), "nothing of what is there has been of use");
    for (unsigned i = 0; i < 10; i++) {
        snprintf(code, sizeof code, "block %u....", i);
        cr_assert(has(s, code, 10));
    }
    cr_assert(tb_store_worth(s));
    write_and_free(s);

    cr_assert_eq(read_back(&s), 0);
    add(s, "other code", 10);
    cr_assert(!tb_store_worth(s), "what was new then is of no use now");
    tb_store_free(s);
}
