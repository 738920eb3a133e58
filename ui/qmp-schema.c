/*
 * qmp-schema.c - query-qmp-schema: the protocol described in itself, from the tables
 *
 * Types have numbers for names, as clients must not rely on names. An answer whose parts
 * are not spelled out is "any".
 */
#include "net/net.h"
#include "ui/commands-int.h"

/* What is sent unasked, with the members of its data as in struct command. */
static const struct { const char *name, *args; } events[] = {
    { "SHUTDOWN", "guest:b,reason:s" }, { "RESET", "guest:b,reason:s" }, { "POWERDOWN", NULL },
    { "STOP", NULL }, { "RESUME", NULL }, { "SUSPEND", NULL },
    { "SUSPEND_DISK", NULL }, { "WAKEUP", NULL }, { "RTC_CHANGE", "offset:i,qom-path:s" },
    { "DEVICE_DELETED", "device:s?,path:s" }, { "DEVICE_TRAY_MOVED", "device:s,id:s,tray-open:b" },
    { "BLOCK_IO_ERROR", "device:s,node-name:s?,operation:s,action:s,nospace:b?,reason:s" },
    { "DUMP_COMPLETED", "result:j,error:s?" }, { "JOB_STATUS_CHANGE", "id:s,status:s" },
    { "NIC_RX_FILTER_CHANGED", "name:s?,path:s" },
    { "BALLOON_CHANGE", "actual:i" }, { "VSERPORT_CHANGE", "id:s,open:b" },
    { "VNC_CONNECTED", "server:j,client:j" }, { "VNC_INITIALIZED", "server:j,client:j" },
    { "VNC_DISCONNECTED", "server:j,client:j" },
};

static const char *arg_type_name(char type)
{
    return type == 'i' ? "int" : type == 'b' || type == 'f' ? "bool" : type == 'j' ? "any" : "str";
}

static void builtin(struct jw *w, const char *name, const char *json)
{
    jw_open(w, NULL);
    jw_str(w, "name", name);
    jw_str(w, "json-type", json);
    jw_str(w, "meta-type", "builtin");
    jw_close(w);
}

static void object_open(struct jw *w, unsigned id, const char *args)
{
    struct cmd_arg a;

    jw_open(w, NULL);
    jw_strf(w, "name", "%u", id);
    jw_str(w, "meta-type", "object");
    jw_open_array(w, "members");
    while (cmd_next_arg(&args, &a)) {
        if (a.no_qmp)
            continue;
        jw_open(w, NULL);
        jw_str(w, "name", a.name);
        if (a.optional)
            jw_str(w, "default", NULL);
        jw_str(w, "type", arg_type_name(a.type));
        jw_close(w);
    }
    jw_close(w);
}

static void object(struct jw *w, unsigned id, const char *args)
{
    object_open(w, id, args);
    jw_close(w);
}

/* netdev_add's other members depend on its type. */
static void netdev_object(struct jw *w, unsigned id)
{
    object_open(w, id, "type:s,id:s");
    jw_str(w, "tag", "type");
    jw_open_array(w, "variants");
    for (size_t i = 0; net_backend_kind(i); i++) {
        jw_open(w, NULL);
        jw_str(w, "case", net_backend_kind(i));
        jw_str(w, "type", "0");
        jw_close(w);
    }
    jw_close(w);
    jw_close(w);
}

static void entry(struct jw *w, const char *name, const char *meta, unsigned arg, const char *ret)
{
    jw_open(w, NULL);
    jw_str(w, "name", name);
    jw_str(w, "meta-type", meta);
    jw_strf(w, "arg-type", "%u", arg);
    if (ret)
        jw_str(w, "ret-type", ret);
    jw_close(w);
}

static int query_schema(struct call *c, struct err *e)
{
    unsigned id = 0;

    jw_open_array(c->out, NULL);
    object(c->out, id++, NULL);
    for (size_t t = 0; run_commands[t]; t++)
        for (const struct command *k = run_commands[t]; k->hmp || k->qmp; k++) {
            if (!k->qmp)
                continue;
            entry(c->out, k->qmp, "command", k->args ? id : 0, k->returns ? k->returns : "0");
            if (!strcmp(k->qmp, "netdev_add"))
                netdev_object(c->out, id++);
            else if (k->args)
                object(c->out, id++, k->args);
        }
    for (size_t i = 0; i < ARRAY_SIZE(events); i++) {
        entry(c->out, events[i].name, "event", events[i].args ? id : 0, NULL);
        if (events[i].args)
            object(c->out, id++, events[i].args);
    }
    builtin(c->out, "str", "string");
    builtin(c->out, "int", "int");
    builtin(c->out, "bool", "boolean");
    builtin(c->out, "any", "value");
    jw_close(c->out);
    return 0;
}

const struct command schema_commands[] = {
    { .qmp = "query-qmp-schema", .returns = "any", .run = query_schema },
    { .hmp = NULL }
};
