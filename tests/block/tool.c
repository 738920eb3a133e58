/*
 * tool.c - transom-img as a whole: img.sh, and malformed images through it
 */
#define _GNU_SOURCE 1
#include <criterion/criterion.h>
#include "tests/block/harness.h"

static const char *tool(void)
{
    const char *t = getenv("TRANSOM_IMG");

    t = t ? t : "./transom-img";
    if (access(t, X_OK) || !have_tool("qemu-img") || !have_tool("qemu-io") || !have_tool("python3"))
        return NULL;
    return t;
}

Test(block_tool, answers_as_qemu_img_does)
{
    char *dir = scratch("");

    if (!tool())
        cr_skip_test("needs transom-img, qemu-img, qemu-io, python3");
    cr_assert_eq(sh("T=%s TMPDIR=%s python3 tests/block/img-table.py >&2", tool(), dir), 0);
    free(dir);
}

Test(block_tool, does_what_qemu_img_does)
{
    if (!tool())
        cr_skip_test("needs transom-img, qemu-img, qemu-io, python3");
    cr_assert_eq(sh("T=%s sh tests/block/img.sh >&2", tool()), 0);
}
