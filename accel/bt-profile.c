/*
 * bt-profile.c - the profile of the translator: opened with the machine, written at its end
 */
#include <errno.h>
#include "accel/bt-int.h"

int bt_profile_open(struct bt *bt, struct err *e)
{
    const struct accel_options *o = &bt->a->opt;

    if (!o->profile)
        return 0;
    bt->profile = strcmp(o->profile_file, "stderr") ? fopen(o->profile_file, "we") : stderr;
    return bt->profile ? 0 : err_set(e, -errno, "profile-file: %s: %s", o->profile_file, strerror(errno));
}

void bt_profile_close(struct accel *a)
{
    const struct accel_options *o = &a->opt;
    struct bt *bt = a->bt;
    bool ok;

    if (!bt || !bt->profile)
        return;
    if (bt->tcg)
        tcg_profile_report(bt->tcg, bt->profile, o->profile_top, o->profile_disas);
    ok = !ferror(bt->profile);
    if (bt->profile != stderr)
        ok &= fclose(bt->profile) == 0;
    if (!ok)
        fprintf(stderr, "transom: profile-file: %s: cannot write\n", o->profile_file);
    bt->profile = NULL;
}

bool accel_profile_restart(struct accel *a)
{
    return tcg_profile_restart(a->bt->tcg);
}

bool accel_profile(struct accel *a, FILE *f, unsigned top, unsigned disas)
{
    return tcg_profile_report(a->bt->tcg, f, top, disas);
}
