/* opt_drive.c - disks and devices on the command line */
#include <criterion/criterion.h>
#include "ui/options.h"

/* reads a line of options, split at blanks; the words live until the next call */
static int parse(struct options *o, const char *line, struct err *e)
{
    static char text[512];
    char *argv[32] = { "transom" }, *save = NULL;
    int argc = 1;

    cr_assert_lt(strlen(line), sizeof text);
    strcpy(text, line);
    for (char *w = strtok_r(text, " ", &save); w; w = strtok_r(NULL, " ", &save))
        argv[argc++] = w;
    e->msg[0] = 0;
    return options_parse(o, argc, argv, e);
}

static const struct opt_drive *nth(const struct options *o, unsigned n)
{
    const struct opt_drive *d = o->disks.drives;

    while (n--)
        d = d->next;
    return d;
}

/* @line is understood; what @o was before goes */
static void good(struct options *o, const char *line)
{
    struct err e;

    options_free(o);
    cr_assert_eq(parse(o, line, &e), 0, "%s: %s", line, e.msg);
}

static void fails(const char *line, const char *why)
{
    struct options o;
    struct err e;

    cr_assert_lt(parse(&o, line, &e), 0, "%s", line);
    options_free(&o);
    cr_assert_not_null(strstr(e.msg, why), "%s: %s", line, e.msg);
}

Test(opt_drive, short_options_have_their_places)
{
    struct options o = { .n_accels = 0 };

    good(&o, "-hdb b -cdrom c.iso -fda f a");
    cr_assert_str_eq(nth(&o, 0)->id, "ide0-hd1");
    cr_assert_str_eq(nth(&o, 1)->id, "ide1-cd0");
    cr_assert(nth(&o, 1)->opts.readonly);
    cr_assert_str_eq(nth(&o, 2)->id, "floppy0");
    cr_assert_str_eq(nth(&o, 3)->id, "ide0-hd0");
    cr_assert_str_eq(nth(&o, 3)->opts.file, "a");
    options_free(&o);
}

/* names after the drives given in @line, with a blank after each */
static void expect_drives(const char *line, const char *names)
{
    struct options o = { .n_accels = 0 };
    char got[256] = "";

    good(&o, line);
    for (const struct opt_drive *d = o.disks.drives; d; d = d->next) {
        strncat(got, d->id, 64);
        strcat(got, " ");
    }
    cr_assert_str_eq(got, names, "%s: %s", line, got);
    options_free(&o);
}

/* as "info block" of QEMU 11.1 shows them */
Test(opt_drive, default_drives_are_empty)
{
    struct options o = { .n_accels = 0 };

    good(&o, "-machine pc");
    cr_assert_null(nth(&o, 0)->opts.file);
    cr_assert(nth(&o, 0)->cdrom);
    options_free(&o);
    expect_drives("-machine pc", "ide1-cd0 floppy0 ");
    expect_drives("-machine q35", "ide2-cd0 ");
    expect_drives("-nodefaults", "");
    expect_drives("-cdrom x", "ide1-cd0 floppy0 ");
    expect_drives("-fda x", "floppy0 ide1-cd0 ");
    expect_drives("-hdc x", "ide1-hd0 floppy0 ");
    expect_drives("-drive if=virtio,file=x", "virtio0 ide1-cd0 floppy0 ");
    expect_drives("-device ide-cd", "floppy0 ");
    expect_drives("-drive if=none,id=x,file=x -device ide-hd,drive=x", "x floppy0 ");
    expect_drives("-drive if=none,id=x,file=x -device floppy,drive=x", "x ide1-cd0 ");
}

Test(opt_drive, free_places_are_found_around_given_ones)
{
    struct options o = { .n_accels = 0 };

    good(&o, "-drive file=x -drive file=y -drive file=z,index=1 -drive file=v,if=virtio "
             "-drive file=w,if=virtio,id=root");
    cr_assert_eq(nth(&o, 0)->index, 0);
    cr_assert_eq(nth(&o, 1)->index, 2);
    cr_assert_eq(nth(&o, 1)->bus, 1);
    cr_assert_str_eq(nth(&o, 3)->id, "virtio0");
    cr_assert_str_eq(nth(&o, 4)->id, "root");
    fails("-hda x -drive file=y,index=0", "index=0 already");
    fails("-hda x -hda y", "-hda y: there is");
    fails("-drive file=x,bus=2,unit=0", "4 places");
    fails("-drive file=x,id=a -drive file=y,id=a", "taken");
    options_free(&o);
}

Test(opt_drive, values_go_to_the_block_layer)
{
    struct options o = { .n_accels = 0 };

    good(&o, "-drive file=a,,b,format=raw,cache=none,discard=unmap,werror=stop,if=none,id=d");
    cr_assert_str_eq(nth(&o, 0)->opts.file, "a,b");
    cr_assert_eq(nth(&o, 0)->opts.cache, BLOCK_CACHE_NONE);
    cr_assert(nth(&o, 0)->opts.discard);
    cr_assert_eq(nth(&o, 0)->opts.werror, BLOCK_ERR_STOP);
    good(&o, "-hda x -cdrom y -snapshot");
    cr_assert(nth(&o, 0)->opts.snapshot);
    cr_assert_not(nth(&o, 1)->opts.snapshot);
    options_free(&o);
}

Test(opt_drive, mistakes_are_named)
{
    fails("-drive fiel=x", "did you mean file?");
    fails("-drive file=x,cache=noone", "cache");
    fails("-drive file=x,if=vritio", "did you mean virtio?");
    fails("-drive file=x,media=tape", "disk or cdrom");
    fails("-drive file=x,if=pflash -pflash y -pflash z", "there are 2 flash chips");
    fails("-drive file=x,index=-1", "number");
    fails("-device virtio-blk-pci,dirve=x", "did you mean drive?");
    fails("-device virtio-blk-pic", "did you mean virtio-blk-pci?");
}

Test(opt_drive, blockdev_plain_and_json)
{
    struct options o = { .n_accels = 0 };

    good(&o, "-blockdev driver=file,filename=f.img,node-name=f,discard=unmap "
             "-blockdev driver=raw,file=f,node-name=d -device nvme,drive=d");
    cr_assert(nth(&o, 0)->used);
    cr_assert_str_eq(nth(&o, 1)->opts.file, "f.img");
    cr_assert(nth(&o, 1)->opts.discard);
    good(&o, "-blockdev {\"driver\":\"qcow2\",\"node-name\":\"q\",\"read-only\":true,"
             "\"file\":{\"driver\":\"file\",\"filename\":\"a\\\\b\"}}");
    cr_assert_str_eq(nth(&o, 0)->opts.file, "a\\b");
    cr_assert_str_eq(nth(&o, 0)->opts.format, "qcow2");
    cr_assert(nth(&o, 0)->opts.readonly);
    good(&o, "-blockdev driver=file,filename=b.img,node-name=bf -blockdev driver=raw,file=bf,node-name=b "
             "-blockdev driver=qcow2,node-name=t,file.filename=t.img,backing=b");
    cr_assert(nth(&o, 1)->used, "a backing node is no drive");
    cr_assert_str_eq(nth(&o, 2)->opts.backing, "b.img");
    cr_assert_str_eq(nth(&o, 2)->opts.backing_format, "raw", "never guessed from what a guest wrote");
    good(&o, "-blockdev {\"driver\":\"qcow2\",\"node-name\":\"q\",\"backing\":{\"driver\":\"raw\",\"file\":"
             "{\"driver\":\"file\",\"filename\":\"b\"}},\"file\":{\"driver\":\"raw\",\"file\":"
             "{\"driver\":\"file\",\"filename\":\"a\"}}}");
    cr_assert_str_eq(nth(&o, 0)->opts.file, "a");
    cr_assert_str_eq(nth(&o, 0)->opts.backing, "b");
    cr_assert_str_eq(nth(&o, 0)->opts.format, "qcow2");
    fails("-blockdev driver=qcow2,node-name=t,file.filename=t.img,backing=nowhere", "no such node");
    fails("-blockdev {\"driver\":\"raw\"", "JSON");
    fails("-blockdev driver=raw,node-name=n,file=nowhere", "no such node");
    fails("-blockdev driver=raw,file.filename=x", "node-name");
    options_free(&o);
}

Test(opt_drive, devices_keep_their_properties_in_order)
{
    struct options o = { .n_accels = 0 };

    good(&o, "-drive file=x,if=none,id=d -device ahci,id=sata "
             "-device ide-hd,drive=d,bus=sata.1,bootindex=1 -device {\"driver\":\"ide-cd\",\"bus\":\"sata.2\"}");
    cr_assert_str_eq(o.disks.devs->id, "sata");
    cr_assert_str_eq(kv_get(&o.disks.devs->next->props, "bus"), "sata.1");
    cr_assert_str_eq(o.disks.devs->next->next->type->type->name, "ide-cd");
    good(&o, "-device nvme,help");
    cr_assert_eq(o.action, ACT_DEVICE_HELP);
    cr_assert_str_eq(o.disks.help->type->name, "nvme");
    options_free(&o);
}

Test(opt_drive, help_of_every_device_prints_a_line_a_property)
{
    size_t n, len;
    const struct user_device *t = user_devices(&n);

    for (size_t i = 0; i < n; i++) {
        char *text = NULL;
        FILE *f = open_memstream(&text, &len);

        disks_device_help(&t[i], f);
        fclose(f);
        for (const struct dev_prop *p = t[i].type->props; p && p->name; p++)
            cr_assert_not_null(strstr(text, p->name), "%s %s", t[i].type->name, p->name);
        free(text);
    }
}

Test(opt_drive, an_empty_file_name_is_an_empty_drive)
{
    static const char *const lines[] = { "-cdrom", "-fda", "-fdb", "-drive", "-hda" };

    for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
        struct options o = { .n_accels = 0 };
        char *argv[] = { "transom", (char *)lines[i], i == 3 ? "file=,media=cdrom" : "", NULL };
        struct err e = { "" };

        cr_assert_eq(options_parse(&o, 3, argv, &e), 0, "%s: %s", lines[i], e.msg);
        cr_assert_null(o.disks.drives->opts.file, "%s", lines[i]);
        options_free(&o);
    }
}
