/*
 * icount.c - reading -icount
 */
#include <criterion/criterion.h>
#include <stdlib.h>
#include "accel/icount.h"

static void good(struct icount_options *o, const char *arg)
{
    struct err e = { "" };

    cr_assert_eq(icount_parse(arg, o, &e), 0, "'%s': %s", arg, e.msg);
    cr_assert(o->on);
}

static void fails_with(const char *arg, const char *text)
{
    struct icount_options o = { 0 };
    struct err e = { "" };

    cr_assert_lt(icount_parse(arg, &o, &e), 0, "'%s' is accepted", arg);
    cr_assert_not_null(strstr(e.msg, text), "'%s': \"%s\" lacks \"%s\"", arg, e.msg, text);
    free(o.hash_file);
}

Test(icount, forms_of_qemu)
{
    struct icount_options o = { 0 };

    good(&o, "7");
    cr_assert_eq(o.shift, 7);
    cr_assert_not(o.automatic);
    cr_assert(o.sleep);
    cr_assert_not(o.align);
    good(&o, "auto");
    cr_assert(o.automatic);
    good(&o, "shift=0,align=on,sleep=on");
    cr_assert_eq(o.shift, 0);
    cr_assert(o.align);
    good(&o, "shift=10,sleep=off");
    cr_assert_eq(o.shift, 10);
    cr_assert_not(o.sleep);
}

Test(icount, our_own)
{
    struct icount_options o = { 0 };

    good(&o, "shift=1,hash=x.txt,every=5000,stop=0x10");
    cr_assert_str_eq(o.hash_file, "x.txt");
    cr_assert_eq(o.hash_every, 5000);
    cr_assert_eq(o.stop_at, 16);
    good(&o, "shift=1,hash=y");
    cr_assert_eq(o.hash_every, 1000000);
    free(o.hash_file);
}

Test(icount, wrong)
{
    fails_with("", "number");
    fails_with("11", "number");
    fails_with("shift=-1", "number");
    fails_with("shift=3x", "number");
    fails_with("shift=3,align=maybe", "on or off");
    fails_with("shift=auto,align=on", "exclude");
    fails_with("shift=3,align=on,sleep=off", "exclude");
    fails_with("auto,sleep=off", "exclude");
    fails_with("auto,hash=f", "alike");
    fails_with("shift=3,hash=", "file name");
    fails_with("shift=3,every=0", "at least 1");
    fails_with("shift=3,rr=record,rrfile=f", "not supported yet");
    fails_with("shift=3,slep=off", "did you mean sleep");
}
