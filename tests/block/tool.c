/*
 * tool.c - transom-img as a whole: img.sh, and malformed images through it
 */
#define _GNU_SOURCE 1
#include <criterion/criterion.h>
#include "tests/block/harness.h"

Test(block_tool, does_what_qemu_img_does)
{
    const char *t = getenv("TRANSOM_IMG");

    t = t ? t : "./transom-img";
    if (access(t, X_OK) || !have_tool("qemu-img") || !have_tool("qemu-io") || !have_tool("python3"))
        cr_skip_test("needs transom-img, qemu-img, qemu-io, python3");
    cr_assert_eq(sh("T=%s sh tests/block/img.sh >&2", t), 0);
}
