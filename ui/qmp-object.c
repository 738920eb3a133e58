/*
 * qmp-object.c - objects made and removed while the machine runs
 */
#include <stdlib.h>
#include "net/net.h"
#include "ui/commands-int.h"
#include "ui/options.h"

static int cmd_object_add(struct call *c, struct err *e)
{
    struct kv_list kv = { NULL, 0 };
    int ret;

    flat_kv(&kv, c->args);
    if (object_find(c->run->opt->objects, jv_text(c->args, "id")))
        ret = err_set(e, -EEXIST, "attempt to add duplicate property '%.64s'", jv_text(c->args, "id"));
    else
        ret = object_add(&c->run->objects, &kv, jv_text(c->args, "qom-type"), e);
    kv_free(&kv);
    return ret;
}

static int cmd_object_add_line(struct call *c, struct err *e)
{
    const char *text = jv_text(c->args, "object");
    struct kv_list kv = { NULL, 0 };
    int ret = kv_parse(&kv, text, e);

    if (ret == 0)
        ret = object_add(&c->run->objects, &kv, text, e);
    kv_free(&kv);
    return ret;
}

/* Those of the command line stay: the machine may have been built with them. */
static int cmd_object_del(struct call *c, struct err *e)
{
    const char *id = jv_text(c->args, "id");
    struct opt_object **p = &c->run->objects, *o;

    while (*p && strcmp((*p)->id, id))
        p = &(*p)->next;
    o = *p;
    if (!o && object_find(c->run->opt->objects, id))
        return err_set(e, -EBUSY, "object '%.64s' is in use, can not be deleted", id);
    if (!o)
        return err_set(e, -ENOENT, "object '%.64s' not found", id);
    *p = o->next;
    o->next = NULL;
    objects_free(o);
    return 0;
}

const struct command object_commands[] = {
    { .qmp = "object-add", .args = "qom-type:s,id:s,*", .run = cmd_object_add },
    { .hmp = "object_add", .args = "object:S", .help = "make an object, as after -object",
      .run = cmd_object_add_line },
    { .hmp = "object_del", .qmp = "object-del", .args = "id:s", .help = "remove one", .run = cmd_object_del },
    { .hmp = NULL }
};
