/* command.c - typed arguments of commands: from a line, from JSON, for help */
#include "tests/ui/memchr.h"
#include "ui/monitor-int.h"

static const struct command eject = { .hmp = "eject|e", .args = "force:f,device:B,count:i?,on:b?,id:D?!,rest:S?" };
static const struct command plain = { .hmp = "plain" };
static struct machine *m;
static struct memback *back;
static struct monitor *mon;

static void setup(void)
{
    struct machine_config cfg = { .ram_bytes = MiB };
    struct err e = { "" };

    m = machine_new(&cfg, &e);
    cr_assert_not_null(m, "%s", e.msg);
    back = memback_new();
    mon = monitor_new(m, &back->chr.c, NULL);
}

static void teardown(void)
{
    monitor_free(mon);
    chardev_free(&back->chr.c);
    machine_free(m);
}

TestSuite(command, .init = setup, .fini = teardown);

/* The arguments of @line as JSON, or the complaint. */
static const char *parsed(const struct command *c, const char *line)
{
    static char text[400];
    char copy[200];
    struct err e = { "" };
    struct jw w = { .text = NULL };
    struct jv *v;

    strcpy(copy, line);
    v = cmd_parse_line(mon, c, copy, &e);
    if (v)
        jw_copy(&w, NULL, v);
    snprintf(text, sizeof(text), "%s", v ? w.text : e.msg);
    jv_free(v);
    jw_free(&w);
    return text;
}

Test(command, lines)
{
    cr_assert_str_eq(parsed(&eject, "cd0"), "{\"device\": \"cd0\"}");
    cr_assert_str_eq(parsed(&eject, "-f cd0 2*3 off"), "{\"force\": true, \"device\": \"cd0\", \"count\": 6, \"on\": false}");
    cr_assert_str_eq(parsed(&eject, "\"a b\\\"c\" 0x10"), "{\"device\": \"a b\\\"c\", \"count\": 16}");
    cr_assert_str_eq(parsed(&eject, "x 1 on  the rest of it"),
                     "{\"device\": \"x\", \"count\": 1, \"on\": true, \"rest\": \"the rest of it\"}");
    cr_assert_str_eq(parsed(&plain, "  "), "{}");
}

Test(command, wrong_lines)
{
    cr_assert_str_eq(parsed(&eject, ""), "usage: eject|e [-f] device [count] [on=on|off] [rest]");
    cr_assert_str_eq(parsed(&eject, "x one"), "count: a number is wanted");
    cr_assert_str_eq(parsed(&eject, "x 1 maybe"), "on: on or off is wanted");
    cr_assert_str_eq(parsed(&plain, "x"), "usage: plain");
}

#ifdef CONFIG_JANSSON

static const char *checked(const struct command *c, const char *json)
{
    static struct err e;
    struct jv *v = jv_parse(json, strlen(json), &e);

    cr_assert_not_null(v, "%s", e.msg);
    e.msg[0] = 0;
    if (cmd_check_args(c, v, &e) == 0)
        cr_assert(!*e.msg);
    jv_free(v);
    return e.msg;
}

Test(command, json)
{
    static const struct command any = { .qmp = "any", .args = "type:s,list:j?,only:s^,*" };

    cr_assert_str_eq(checked(&eject, "{\"device\": \"x\", \"id\": \"y\", \"force\": false}"), "");
    cr_assert_str_eq(checked(&eject, "{}"), "Parameter 'device' is missing");
    cr_assert_str_eq(checked(&eject, "{\"device\": 1}"), "Invalid parameter type for 'device', expected: string");
    cr_assert_str_eq(checked(&eject, "{\"device\": \"x\", \"count\": 1.5}"),
                     "Invalid parameter type for 'count', expected: integer");
    cr_assert_str_eq(checked(&eject, "{\"device\": \"x\", \"other\": 1}"), "Parameter 'other' is unexpected");
    cr_assert_str_eq(checked(&any, "{\"type\": \"x\", \"list\": [], \"other\": {\"a\": 1}}"), "");
    cr_assert_str_eq(checked(&any, "{\"other\": 1}"), "Parameter 'type' is missing");
    cr_assert_str_eq(checked(&plain, "{}"), "");
    cr_assert_str_eq(checked(&plain, "{\"x\": 1}"), "Parameter 'x' is unexpected");
}

#endif

static const char *run_line(const char *line)
{
    memback_clear(back);
    memback_type(back, line);
    memback_type(back, "\r");
    return back->out;
}

static int cmd_double(struct call *c, struct err *e)
{
    int64_t n = jv_number(c->args, "n", 0);

    if (n < 0)
        return err_set(e, -EINVAL, "too small");
    monitor_printf(c->mon, "%lld\n", (long long)n * 2);
    return 0;
}

static const struct command more[] = {
    { .hmp = "double|d", .qmp = "double", .args = "n:i,on:b?", .help = "twice as much", .run = cmd_double },
    { .qmp = "protocol-only", .run = cmd_double },
    { .hmp = NULL }
};

Test(command, at_the_prompt)
{
    monitor_add_typed(mon, more);
    cr_assert(strstr(run_line("d 21"), "\r\n42\r\n"));
    cr_assert(strstr(run_line("double 0-1"), "\r\nError: too small\r\n"));
    cr_assert(strstr(run_line("double"), "usage: double|d n [on=on|off]\r\n"));
    cr_assert(strstr(run_line("help double"), "double|d n [on=on|off] -- twice as much\r\n"));
    cr_assert(strstr(run_line("protocol-only"), "unknown command"));
    cr_assert(strstr(run_line("doubel 1"), "did you mean 'quit'") == NULL);
    cr_assert(strstr(run_line("doub\t3"), "double 3\r\n6\r\n"));
    cr_assert(strstr(run_line("double 3 of\t"), "double 3 off \r\n6\r\n"));
}
