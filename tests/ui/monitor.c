/* monitor.c - the human monitor, typed at through a back end of memory */
#include <stdlib.h>
#include <unistd.h>
#include "tests/ui/memchr.h"
#include "ui/run-int.h"

static struct machine *m;
static struct memback *back;
static struct monitor *mon;
static int stops, conts;

static void on_stop(void *opaque) { stops++; }
static void on_cont(void *opaque) { conts++; }
static void on_registers(void *opaque, struct monitor *to, bool all)
{
    monitor_printf(to, "RAX=%016x%s\n", 42, all ? " all" : "");
}

/* one page at 0xffff0000 is mapped to 0x1000 */
static bool on_translate(void *opaque, unsigned cpu, gva_t va, gpa_t *pa)
{
    *pa = 0x1000 | (va & 0xfff);
    return (va & ~0xfffull) == 0xffff0000;
}

static bool on_reg(void *opaque, unsigned cpu, const char *name, uint64_t *val)
{
    *val = 0x1000;
    return !strcmp(name, "rsp");
}

static void setup_with(const struct monitor_hooks *hooks)
{
    struct machine_config cfg = { .ram_bytes = MiB };
    struct err e = { "" };

    m = machine_new(&cfg, &e);
    cr_assert_not_null(m, "%s", e.msg);
    back = memback_new();
    mon = monitor_new(m, &back->chr.c, hooks);
}

static void setup(void)
{
    static const struct monitor_hooks hooks = {
        .stop = on_stop, .cont = on_cont, .registers = on_registers,
        .translate = on_translate, .reg = on_reg,
    };

    setup_with(&hooks);
    memback_clear(back);
}

static void teardown(void)
{
    monitor_free(mon);
    chardev_free(&back->chr.c);
    machine_free(m);
}

/* The answer to @line, between its echo and the next prompt. */
static const char *answer(const char *line)
{
    static char text[65536];
    char *p = text, *end;

    memback_clear(back);
    memback_type(back, line);
    memback_type(back, "\r");
    strcpy(text, back->out);
    p = strstr(text, "\r\n");
    cr_assert_not_null(p);
    p += 2;
    end = strstr(p, "(qemu) ");
    cr_assert_not_null(end, "no prompt after %s", line);
    *end = 0;
    return p;
}

TestSuite(monitor, .init = setup, .fini = teardown);

Test(monitor_without_hooks, greets_and_prompts, .fini = teardown)
{
    setup_with(NULL);
    cr_assert_eq(strncmp(back->out, "Transom ", 8), 0);
    cr_assert(strstr(back->out, "\r\n(qemu) "));
}

Test(monitor, help_and_unknown)
{
    cr_assert(strstr(answer("help"), "system_reset -- "));
    cr_assert(strstr(answer("help xp"), "xp /FMT ADDR -- "));
    cr_assert(strstr(answer("info"), "info mtree -- "));
    cr_assert_str_eq(answer("system_rest"),
                     "unknown command: 'system_rest', did you mean 'system_reset'?\r\n");
    cr_assert_str_eq(answer("zzzzzz"), "unknown command: 'zzzzzz'\r\n");
    cr_assert(strstr(answer("info stat"), "'status'?"));
    cr_assert_str_eq(answer(""), "");
    cr_assert_str_eq(answer("   "), "");
}

Test(monitor, info)
{
    cr_assert_str_eq(answer("info status"), "VM status: paused (prelaunch)\r\n");
    m->run_state = RUN_RUNNING;
    cr_assert_str_eq(answer("info status"), "VM status: running\r\n");
    cr_assert(strstr(answer("info version"), "Transom"));
    cr_assert_str_eq(answer("info registers"), "RAX=000000000000002a\r\n");
    cr_assert_str_eq(answer("info registers -a"), "RAX=000000000000002a all\r\n");
    cr_assert_str_eq(answer("info registers -b"), "usage: info registers [-a]\r\n");
    cr_assert_str_eq(answer("gva2gpa 0xffff0123"), "gpa: 0x1123\r\n");
    cr_assert_str_eq(answer("gva2gpa 1"), "Unmapped\r\n");
    cr_assert_str_eq(answer("cpu 1"), "cpu: a vCPU from 0 to 0 is wanted\r\n");
    cr_assert_str_eq(answer("cpu 0"), "");
    cr_assert(strstr(answer("info mtree"),
                     "0000000000000000-00000000000fffff (prio 0, ram): ram-low"));
    cr_assert_str_eq(answer("info screen"), "no VGA\r\n");
}

Test(monitor, run_control)
{
    answer("stop");
    answer("c");
    answer("cont");
    cr_assert_eq(stops, 1);
    cr_assert_eq(conts, 2);
    answer("system_reset");
    cr_assert_eq(m->request_reset, CAUSE_MONITOR);
    cr_assert(strstr(answer("system_wakeup"), "not in suspended state"));
    answer("system_powerdown");
    cr_assert_neq(m->request_powerdown, CAUSE_NONE);
    cr_assert_eq(m->request_shutdown, CAUSE_NONE);
    answer("q");
    cr_assert_eq(m->request_shutdown, CAUSE_MONITOR);
    cr_assert_eq(m->exit_code, 0);
}

Test(monitor_without_hooks, absent_hooks, .fini = teardown)
{
    setup_with(NULL);
    cr_assert_str_eq(answer("stop"), "Error: stop: not available\r\n");
    cr_assert_str_eq(answer("info registers"), "info registers: not available\r\n");
    cr_assert(strstr(answer("x 0"), "not available"));
    cr_assert(strstr(answer("p $rax"), "unknown register"));
}

Test(monitor, physical_memory)
{
    static const uint8_t bytes[] = { 0x11, 0x22, 0x33, 0x44, 'A', 0xff, 0xff, 0xff };

    mem_write(&m->mem, 0x1000, bytes, sizeof(bytes));
    cr_assert_str_eq(answer("xp/2xw 0x1000"),
                     "0000000000001000: 0x44332211 0xffffff41\r\n");
    cr_assert_str_eq(answer("xp /1dw 0x1004"), "0000000000001004: -191\r\n");
    cr_assert_str_eq(answer("xp /1xg 0x1000"), "0000000000001000: 0xffffff4144332211\r\n");
    cr_assert_str_eq(answer("xp /2cb 0x1004"), "0000000000001004: 'A' '\\xff'\r\n");
    cr_assert_str_eq(answer("xp/5xw 0x1000+8*2"),
                     "0000000000001010: 0x00000000 0x00000000 0x00000000 0x00000000\r\n"
                     "0000000000001020: 0x00000000\r\n");
    cr_assert(strstr(answer("xp /2xq 0"), "unknown format letter 'q'"));
    cr_assert(strstr(answer("xp /99999999x 0"), "at most"));
    cr_assert(strstr(answer("xp"), "number expected"));
    cr_assert(strstr(answer("xp 0 0"), "unexpected '0'"));
}

Test(monitor, virtual_memory)
{
    uint32_t v = 0x12345678;

    mem_write(&m->mem, 0x1ffc, &v, 4);
    cr_assert_str_eq(answer("x /2xw 0xffff0ffc"),
                     "00000000ffff0ffc: 0x12345678 not mapped\r\n");
    cr_assert_str_eq(answer("x/xh $rsp+0xfffeff00-0x104+0x200"),
                     "00000000ffff0ffc: 0x5678\r\n");
}

Test(monitor, print)
{
    cr_assert_str_eq(answer("print 1+2*3"), "0x7\r\n");
    cr_assert_str_eq(answer("p/d (1 - 2) * 3"), "-3\r\n");
    cr_assert_str_eq(answer("p ~0 & 0xff | 0x100"), "0x1ff\r\n");
    cr_assert_str_eq(answer("p/u 10 % 4 ^ 1"), "3\r\n");
    cr_assert_str_eq(answer("p $rsp"), "0x1000\r\n");
    cr_assert(strstr(answer("p 1/0"), "division by zero"));
    cr_assert(strstr(answer("p (1"), "')' expected"));
    cr_assert(strstr(answer("p $nosuch"), "unknown register"));
    cr_assert(strstr(answer("p ((((((((((((((((((((((((((((((((((((((((((((((((("
                            "((((((((((((((((((((((((((((((((((((((((1"), "too deep"));
}

Test(monitor, log)
{
    char line[80], path[] = "/tmp/transom-monlog-XXXXXX";

    close(mkstemp(path));
    unlink(path);
    cr_assert_str_eq(answer("log int,mmu"), "");
    cr_assert_eq(log_mask, LOG_INT | LOG_MMU);
    cr_assert(strstr(answer("log itn"), "did you mean 'int'"));
    cr_assert_str_eq(answer("log none"), "");
    cr_assert_eq(log_mask, 0);
    snprintf(line, sizeof(line), "logfile %s", path);
    cr_assert_str_eq(answer(line), "");
    cr_assert_eq(access(path, F_OK), 0);
    cr_assert_eq(log_set_file(NULL, NULL), 0);
    unlink(path);
    cr_assert(strstr(answer("logfile /x/y"), "No such file"));
}

Test(monitor, line_editing)
{
    cr_assert_str_eq(answer("prinx\bt 9\x7f" "5"), "0x5\r\n");
    cr_assert_str_eq(answer("garbage\x15p 6"), "0x6\r\n");
    cr_assert_str_eq(answer("1+3\x01p \x05+4"), "0x8\r\n", "Ctrl-A, Ctrl-E");
    cr_assert_str_eq(answer("p 12345\x02\x02\x02\x0b"), "0xc\r\n", "Ctrl-B, Ctrl-K");
    cr_assert_str_eq(answer("p 15\x1b[D3\x1b[C\x1b[D\x1b[D\x04"), "0xf\r\n", "arrows, Ctrl-D");
    cr_assert_str_eq(answer("xp 7\x1b[H\x1b[3~\x1b[F+1"), "0x8\r\n", "Home, Delete, End");
    cr_assert_str_eq(answer("p 1 + oops\x1b" "b\x1b" "d2"), "0x3\r\n", "words");
    cr_assert_str_eq(answer("p 4\x1b[A\x1b[B" "0"), "0x28\r\n", "the new line is kept");
    cr_assert_str_eq(answer("p 1 + oops\x17" "1"), "0x2\r\n");
    cr_assert_str_eq(answer("\x1b[A\x7f" "8"), "0x9\r\n", "history: p 1 + 8");
    cr_assert_str_eq(answer("\x1b[A\x1b[A\x1b[B"), "0x9\r\n");
    memback_type(back, "p 5\x03");
    cr_assert_str_eq(answer("p 6"), "0x6\r\n", "Ctrl-C");
    cr_assert_str_eq(answer("\x1b[3~p 3"), "0x3\r\n", "other sequences vanish");
}

Test(monitor, completion)
{
    memback_type(back, "system_r\t");
    cr_assert(strstr(back->out, "system_reset "));
    memback_type(back, "\x15sys\t");
    cr_assert(strstr(back->out, "system_"));
    memback_clear(back);
    memback_type(back, "\t");
    cr_assert(strstr(back->out, "system_reset system_powerdown"));
    memback_clear(back);
    memback_type(back, "\x15info hist\t");
    cr_assert(strstr(back->out, "info history "));
    memback_type(back, "\x15help sto\t");
    cr_assert(strstr(back->out, "help stop "));
    memback_type(back, "\x15log guest_e\t");
    cr_assert(strstr(back->out, "log guest_errors "));
    memback_type(back, "\x15logfile /etc/passw\t");
    cr_assert(strstr(back->out, "/etc/passwd"));
    memback_type(back, "\x15nothing_like_this\t");
}

Test(monitor, long_line_is_cut)
{
    char line[5001];

    memset(line, 'a', 5000);
    line[5000] = 0;
    cr_assert(strstr(answer(line), "unknown command"));
    cr_assert_str_eq(answer("p 1"), "0x1\r\n");
}

Test(monitor, cr_lf_is_one_end_of_line)
{
    const char *first;

    memback_type(back, "p 1\r\np 2\n");
    first = strstr(back->out, "0x1\r\n(qemu) p 2\r\n0x2\r\n(qemu) ");
    cr_assert_not_null(first, "%s", back->out);
}

/* Where the main loop resumes the monitor, what is typed meanwhile waits. */
Test(monitor_held, lines_wait_for_what_was_asked, .fini = teardown)
{
    static const struct monitor_hooks hooks = { .stop = on_stop, .cont = on_cont, .resumes = true };

    stops = 0;
    setup_with(&hooks);
    memback_clear(back);
    memback_type(back, "stop\rstop\rp 1\r");
    cr_assert_eq(stops, 1);
    cr_assert_null(strstr(back->out, "(qemu) "));
    cr_assert(monitor_resume(mon));
    cr_assert_eq(stops, 2);
    cr_assert_null(strstr(back->out, "0x1"));
    cr_assert_not(monitor_resume(mon));
    cr_assert(strstr(back->out, "0x1\r\n(qemu) "));
    cr_assert_not(monitor_resume(mon));
}

static int reader_leaves(struct chardev *c, const uint8_t *buf, int len)
{
    c->event(c->front, CHR_EVENT_CLOSED);
    return len;
}

Test(monitor, reader_leaves_while_it_is_written_to)
{
    back->chr.c.write = reader_leaves;
    memback_type(back, "help\r");
    back->chr.c.write = memback_write;
    back->chr.c.event(back->chr.c.front, CHR_EVENT_OPENED);
    cr_assert_str_eq(answer("p 2"), "0x2\r\n");
}

Test(monitor, slow_back_end_gets_everything)
{
    int all;

    answer("help");
    all = back->n_out;
    memback_clear(back);
    back->room = 10;
    memback_type(back, "help\r");
    while (back->n_out < all) {
        cr_assert_eq(back->room, 0);
        back->room = 7;
        back->chr.c.can_write(back->chr.c.front);
    }
    cr_assert(strstr(back->out, "(qemu) "));
}

static void cmd_extra(struct monitor *to, char *rest)
{
    monitor_printf(to, "extra '%s'\n", rest);
}

Test(monitor, tables_can_be_added)
{
    static const struct monitor_cmd more[] = {
        { "extra|e", "ARG", "from elsewhere", cmd_extra },
        { NULL, NULL, NULL, NULL }
    };

    monitor_add_commands(mon, more);
    monitor_add_info(mon, more);
    cr_assert_str_eq(answer("e  one two "), "extra 'one two'\r\n");
    cr_assert_str_eq(answer("info extra"), "extra ''\r\n");
    cr_assert(strstr(answer("help"), "extra|e ARG -- from elsewhere"));
}

struct gadget {
    struct device dev;
    uint8_t mode;
    uint16_t ring[16];
    bool on;
    struct { uint32_t a, b; } pair;
};

static const struct dev_field gadget_fields[] = {
    FIELD(U8, struct gadget, mode), FIELD(BYTES, struct gadget, ring), FIELD(BOOL, struct gadget, on),
    FIELD(BYTES, struct gadget, pair), FIELD_END
};

static const struct device_type gadget_type = {
    .name = "gadget", .size = sizeof(struct gadget), .fields = gadget_fields,
};

Test(monitor, info_state_shows_fields)
{
    struct err e = { "" };
    struct gadget *g = (struct gadget *)machine_add_device(m, &gadget_type, 0, NULL, NULL, NULL, &e);

    cr_assert_not_null(g, "%s", e.msg);
    monitor_add_info(mon, state_infos);
    g->mode = 0x2a;
    g->ring[9] = 0xbeef;
    g->on = true;
    cr_assert_str_eq(answer("info state"), "gadget\r\n");
    cr_assert_str_eq(answer("info state gadget"),
                     "gadget\r\n  mode: 0x2a\r\n  ring: 16 x 2 bytes\r\n"
                     "    0008: 0000 beef 0000 0000 0000 0000 0000 0000\r\n"
                     "  on: 0x1\r\n  pair: a structure of 8 bytes\r\n");
    g->dev.id = xstrdup("g0");
    cr_assert_str_eq(answer("info state"), "gadget, id g0\r\n");
    cr_assert(strstr(answer("info state g0"), "mode: 0x2a"));
    cr_assert_str_eq(answer("info state g1"), "no device 'g1' that tells its state (info state lists them)\r\n");
}
