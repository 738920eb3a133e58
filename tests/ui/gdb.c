/* gdb.c - the gdb stub: packets, registers, breakpoints, watchpoints, steps, on real vCPUs */
#include <criterion/criterion.h>
#include "tests/kvm-here.h"
#include "tests/ui/gdbrig.h"
#include "ui/gdb-int.h"

static struct gdbrig *rig;

#define REAL_CPU "qemu64"
static const char *const backends[] = {
    "tcg,backend=interp",
#if defined(__x86_64__)
    "tcg", "tcg,optimise=off",
#endif
};

/* ---- packets ------------------------------------------------------------------------- */

static enum gdb_rx_event feed(struct gdb_rx *rx, const char *s)
{
    enum gdb_rx_event ev = RX_MORE;

    for (; *s; s++)
        ev = gdb_rx_byte(rx, (uint8_t)*s);
    return ev;
}

Test(gdb_packet, framing)
{
    struct gdb_rx *rx = xzalloc(sizeof(*rx));

    cr_assert_eq(feed(rx, "+$qC#b4"), RX_PACKET);
    cr_assert_str_eq(rx->buf, "qC");
    cr_assert_eq(feed(rx, "$qC#B4"), RX_PACKET);
    cr_assert_eq(feed(rx, "$qC#b5"), RX_BAD_SUM);
    cr_assert_eq(feed(rx, "$qC#x"), RX_BAD_SUM);
    cr_assert_eq(feed(rx, "$g$qC#b4"), RX_PACKET, "a new start drops what came before");
    cr_assert_str_eq(rx->buf, "qC");
    cr_assert_eq(feed(rx, "$#00"), RX_PACKET);
    cr_assert_eq(rx->len, 0);
    cr_assert_eq(feed(rx, "-"), RX_NAK);
    cr_assert_eq(feed(rx, "\x03"), RX_INTERRUPT);
    cr_assert_eq(feed(rx, "$a}\x03z#5b"), RX_PACKET, "an escaped byte");
    cr_assert_str_eq(rx->buf, "a#z");
    free(rx);
}

Test(gdb_packet, length_is_bounded)
{
    struct gdb_rx *rx = xzalloc(sizeof(*rx));
    uint8_t sum = 0;
    char tail[8];

    feed(rx, "$");
    for (unsigned i = 0; i < 3 * GDB_PACKET; i++, sum += 'A')
        cr_assert_eq(feed(rx, "A"), RX_MORE);
    snprintf(tail, sizeof(tail), "#%02x", sum);
    cr_assert_eq(feed(rx, tail), RX_TOO_LONG);
    cr_assert_eq(feed(rx, "$qC#b4"), RX_PACKET);
    free(rx);
}

Test(gdb_packet, numbers)
{
    const char *s = "0010,123456789abcdef01,g";
    uint8_t two[2];
    uint64_t v;

    cr_assert(take_hex(&s, &v) && v == 0x10 && take_char(&s, ','));
    cr_assert_not(take_hex(&s, &v), "17 digits");
    s = "g";
    cr_assert_not(take_hex(&s, &v));
    s = "12f";
    cr_assert_not(take_bytes(&s, two, 2), "half a byte is missing");
    s = "12Fe";
    cr_assert(take_bytes(&s, two, 2) && two[0] == 0x12 && two[1] == 0xfe && !*s);
}

Test(gdb_packet, a_reply_that_does_not_fit_is_an_error)
{
    struct gdb_out *o = xzalloc(sizeof(*o));
    uint8_t data[GDB_PACKET] = { 0 };

    out_hex(o, data, GDB_PACKET / 2);
    cr_assert_not(o->full);
    out_str(o, "x");
    cr_assert(o->full);
    o->len = 0;
    memset(data, '#', sizeof(data));
    cr_assert_eq(out_binary(o, data, sizeof(data)), GDB_PACKET / 2, "each needs two bytes");
    free(o);
}

/* ---- a session --------------------------------------------------------------------------- */

/* What the stub answers to @text, when the machine stands still again. */
static const char *ask(const char *text)
{
    static char reply[GDB_PACKET + 1];
    char *s, *start, *end;
    size_t n;

    rig->n_out = 0;
    rig->out[0] = 0;
    s = rig_frame(text, strlen(text), &n);
    rig_feed(rig, s, n);
    free(s);
    rig_wait(rig);
    start = strrchr(rig->out, '$');
    cr_assert_not_null(start, "%s: no answer", text);
    end = strchr(start, '#');
    cr_assert_not_null(end);
    snprintf(reply, sizeof(reply), "%.*s", (int)(end - start - 1), start + 1);
    return reply;
}

/* A packet after which the machine runs, or whose answer does not matter. */
static void say(const char *text)
{
    size_t n;
    char *s = rig_frame(text, strlen(text), &n);

    rig_feed(rig, s, n);
    free(s);
}

static void expect(const char *text, const char *want)
{
    const char *got = ask(text);

    cr_assert_str_eq(got, want, "%s: '%s', not '%s'", text, got, want);
}

/* Number of register @name in the description that the stub gives now. */
static unsigned reg_no(const char *name)
{
    char key[40];
    const char *at, *no;

    snprintf(key, sizeof(key), "<reg name=\"%s\"", name);
    at = strstr(ask("qXfer:features:read:target.xml:0,4000"), key);
    cr_assert_not_null(at, "no register %s", name);
    no = strstr(at, "regnum=\"");
    return (unsigned)strtoul(no + 8, NULL, 10);
}

static uint64_t reg(const char *name)
{
    char text[32];
    const char *s;
    uint8_t buf[8] = { 0 };
    uint64_t v = 0;

    snprintf(text, sizeof(text), "p%x", reg_no(name));
    s = ask(text);
    cr_assert(take_bytes(&s, buf, MIN(strlen(s) / 2, 8u)));
    for (int i = 7; i >= 0; i--)
        v = v << 8 | buf[i];
    return v;
}

static void start_with(const char *accel, unsigned cpus, const uint8_t *code, size_t len)
{
    rig = rig_new(accel, REAL_CPU, cpus, code, len);
}

/*
 * 00: mov ax, 0           03: mov ds, ax         05: mov cx, 5
 * 08: inc word [0x500]    0c: mov ax, [0x500]    0f: mov [0x600], ax
 * 12: nop                 13: loop 08            15: jmp 05
 */
static const uint8_t loop_code[] = {
    0xb8, 0x00, 0x00, 0x8e, 0xd8, 0xb9, 0x05, 0x00, 0xff, 0x06, 0x00, 0x05, 0xa1, 0x00, 0x05, 0xa3, 0x00, 0x06,
    0x90, 0xe2, 0xf3, 0xeb, 0xee,
};

static void start(void) { start_with(backends[ARRAY_SIZE(backends) > 1], 1, loop_code, sizeof(loop_code)); }
static void end(void) { rig_free(rig); }

TestSuite(gdb, .init = start, .fini = end, .timeout = 300);

Test(gdb, unknown_packets_get_an_empty_reply)
{
    expect("vMustReplyEmpty", "");
    expect("qSymbol::", "");
    expect("!", "");
    expect("Z9,0,1", "");
    expect("", "");
}

Test(gdb, tells_what_it_can)
{
    const char *s = ask("qSupported:multiprocess+;swbreak+;hwbreak+;xmlRegisters=i386");

    cr_assert_not_null(strstr(s, "PacketSize=4000;"));
    cr_assert_not_null(strstr(s, "multiprocess+;swbreak+;hwbreak+"));
    cr_assert_null(strstr(s, "exec-events"), "gdb has not offered it");
    expect("?", "T05thread:p01.01;");
    expect("qC", "QCp01.01");
    expect("qfThreadInfo", "mp01.01");
    expect("qsThreadInfo", "l");
    expect("qAttached", "1");
    expect("vCont?", "vCont;c;C;s;S;t");
}

Test(gdb, real_mode_has_its_own_description)
{
    const char *xml = ask("qXfer:features:read:target.xml:0,4000");

    cr_assert_not_null(strstr(xml, "<architecture>i8086</architecture>"));
    cr_assert_not_null(strstr(xml, "org.gnu.gdb.i386.core"));
    cr_assert_eq(reg("eip"), 0xfffffff0, "linear: CS base + IP");
    cr_assert_eq(reg("ip"), 0xfff0);
    cr_assert_eq(reg("cs"), 0xf000);
    cr_assert_eq(reg("cs_base"), 0xffff0000);
}

Test(gdb, a_register_of_the_wrong_size_is_refused)
{
    static char text[12000];
    unsigned eax = reg_no("eax");

    snprintf(text, sizeof(text), "P%x=%010000d", eax, 0);
    expect(text, "E16");
    snprintf(text, sizeof(text), "P%x=1234567", eax);
    expect(text, "E16");
    expect("Pffffffff=00", "E16");
    expect("Pff=", "E16");
    snprintf(text, sizeof(text), "G%010001d", 0);
    expect(text, "E16");
    snprintf(text, sizeof(text), "P%x=78563412", eax);
    expect(text, "OK");
    cr_assert_eq(reg("eax"), 0x12345678);
}

Test(gdb, what_g_gives_G_takes)
{
    static char text[GDB_PACKET + 1];

    snprintf(text, sizeof(text), "G%s", ask("g"));
    expect(text, "OK");
    cr_assert_str_eq(ask("g"), text + 1);
}

Test(gdb, memory)
{
    expect("m500,4", "00000000");
    expect("M500,4:01020304", "OK");
    expect("m4ff,6", "000102030400");
    expect("X502,2:}\x03!", "OK");
    expect("m500,4", "01022321");
    expect("M500,4:010203", "E16");
    expect("m500,10000", "E16");
    expect("m", "E16");
    expect("m500,", "E16");
    expect("mfec00000,1", "E0e");           /* the I/O APIC: reading may have effects */
    expect("Qqemu.PhyMemMode:1", "OK");
    expect("qqemu.PhyMemMode", "1");
    expect("mfec00000,1", "00");
}

Test(gdb, steps_show_each_instruction)
{
    int64_t then = clock_now_ns(&rig->m->clock);

    expect("vCont;s:1", "T05thread:01;");
    cr_assert_eq(reg("eip"), 0xf0000);
    expect("s", "T05thread:01;");
    cr_assert_eq(reg("eip"), 0xf0003);
    expect("vCont;s", "T05thread:01;");
    expect("vCont;S05", "T05thread:01;");
    cr_assert_eq(reg("eip"), 0xf0008);
    cr_assert_eq(reg("ecx"), 5);
    cr_assert_eq(clock_now_ns(&rig->m->clock), then, "no time has passed");
}

Test(gdb, sstep_is_qemu_s)
{
    int64_t then = clock_now_ns(&rig->m->clock);

    expect("qqemu.sstepbits", "ENABLE=1,NOIRQ=2,NOTIMER=4");
    expect("qqemu.sstep", "0x7");
    expect("Qqemu.sstep=5", "OK");
    expect("qqemu.sstep", "0x5");
    expect("Qqemu.sstep=8", "E16");
    expect("Qqemu.sstep=1", "OK");
    expect("s", "T05thread:01;");
    cr_assert_gt(clock_now_ns(&rig->m->clock), then, "NOTIMER is not set");
}

Test(gdb, the_monitor_is_reached)
{
    ask("qRcmd,696e666f");
    cr_assert_not_null(strstr(rig->out, "$O68656172642027696e666f270a#"), "%s", rig->out);
    expect("qRcmd,6", "E16");
    expect("qRcmd,6g", "E16");
}

Test(gdb, who_sends_while_it_runs_stops_it)
{
    say("c");
    cr_assert_eq(rig->m->run_state, RUN_RUNNING);
    rig->n_out = 0;
    rig_feed(rig, "\x03", 1);
    cr_assert_eq(rig->m->run_state, RUN_PAUSED);
    cr_assert_not_null(strstr(rig->out, "$T02thread:01;#"), "%s", rig->out);
    say("c");
    expect("m500,0", "");
}

Test(gdb, who_has_gone_leaves_no_breakpoints)
{
    struct chardev *c = &rig->chr.c;

    expect("Z0,f0012,1", "OK");
    expect("vCont;c", "T05thread:01;");
    say("D");
    cr_assert_eq(rig->m->run_state, RUN_RUNNING);
    c->event(c->front, CHR_EVENT_CLOSED);
    c->event(c->front, CHR_EVENT_OPENED);
    rig_pump(rig);
    cr_assert_eq(rig->m->run_state, RUN_PAUSED);
    expect("Z2,700,2", "OK");
    say("c");
    c->event(c->front, CHR_EVENT_CLOSED);   /* while it runs */
    rig_pump(rig);
    cr_assert_eq(rig->m->run_state, RUN_RUNNING);
}

/* Packet @text, whose acknowledgement (1) or answer (2) finds nobody. */
static void leave(const char *text, unsigned at)
{
    struct chardev *c = &rig->chr.c;

    rig->gone_in = at;
    say(text);
    cr_assert_eq(rig->gone_in, 0, "%s", text);
    cr_assert_neq(rig->m->run_state, RUN_RUNNING, "%s", text);
    c->event(c->front, CHR_EVENT_OPENED);
    expect("m500,1", "00");
}

Test(gdb, who_leaves_while_it_is_answered)
{
    leave("m500,10", 1);
    leave("m500,10", 2);
    leave("g", 2);
    leave("c", 1);                          /* does not run for nobody */
}

/* ---- on every back end ---------------------------------------------------------------------- */

static void each(void (*test)(void), unsigned cpus, const uint8_t *code, size_t len)
{
    for (size_t i = 0; i < ARRAY_SIZE(backends); i++) {
        start_with(backends[i], cpus, code, len);
        test();
        rig_free(rig);
    }
}

/* On KVM. Watchpoints are left out: a KVM without hardware behind it has none. */
static void on_kvm(void (*test)(void), const char *accel, const uint8_t *code, size_t len)
{
    setenv("TRANSOM_KVM_PROBE", "fast", 1);
#ifndef __x86_64__
    cr_skip_test("this host is of another kind than the guest");
#endif
    if (!kvm_here())
        cr_skip_test("no KVM, or no permission");
    start_with(accel, 1, code, len);
    test();
    rig_free(rig);
}

static void breakpoints(void)
{
    expect("qSupported:swbreak+;hwbreak+", "PacketSize=4000;qXfer:features:read+;qXfer:memory-map:read+;"
           "vContSupported+;QStartNoAckMode+;swbreak+;hwbreak+");
    expect("Z0,f0012,1", "OK");
    expect("Z1,f0013,1", "OK");
    expect("Z0,f0012,1", "OK");
    expect("vCont;c", "T05thread:01;swbreak:;");
    cr_assert_eq(reg("eip"), 0xf0012);
    cr_assert_eq(reg("ecx"), 5);
    expect("mf0012,1", "90");               /* the guest's code is as it was */
    expect("vCont;c", "T05thread:01;swbreak:;");
    cr_assert_eq(reg("ecx"), 5, "it has not moved");
    expect("vCont;s", "T05thread:01;");
    expect("vCont;s", "T05thread:01;");
    cr_assert_eq(reg("eip"), 0xf0008);
    expect("z0,f0012,1", "OK");
    expect("vCont;c", "T05thread:01;hwbreak:;");
    cr_assert_eq(reg("eip"), 0xf0013);
    cr_assert_eq(reg("ecx"), 4);
    expect("z1,f0013,1", "OK");
    expect("Z1,f0005,1", "OK");
    expect("vCont;c", "T05thread:01;hwbreak:;");   /* the loop has run, chained, and is left */
    cr_assert_eq(reg("ecx"), 0);
}

Test(gdb_cpu, breakpoints, .timeout = 300) { each(breakpoints, 1, loop_code, sizeof(loop_code)); }

static void watchpoints(void)
{
    expect("Z2,500,2", "OK");
    expect("vCont;c", "T05thread:01;watch:500;");
    cr_assert_eq(reg("eip"), 0xf000c, "right behind INC");
    expect("m500,2", "0100");
    expect("z2,500,2", "OK");
    expect("Z3,500,1", "OK");
    expect("vCont;c", "T05thread:01;rwatch:500;");
    cr_assert_eq(reg("eip"), 0xf000f, "right behind the load");
    expect("vCont;c", "T05thread:01;rwatch:500;");
    cr_assert_eq(reg("eip"), 0xf000c, "INC reads, too");
    expect("z3,500,1", "OK");
    expect("Z4,601,1", "OK");
    expect("vCont;c", "T05thread:01;awatch:601;");
    cr_assert_eq(reg("eip"), 0xf0012);
    expect("z4,601,1", "OK");
    expect("Z2,602,2", "OK");
    expect("Z2,4fe,2", "OK");                /* neighbours, on the same page: never */
    expect("Z1,f0005,1", "OK");
    expect("vCont;c", "T05thread:01;");
    cr_assert_eq(reg("eip"), 0xf0005);
}

static void kvm_points(void)
{
    static char text[32];

    breakpoints();
    expect("z1,f0005,1", "OK");
    snprintf(text, sizeof(text), "P%x=78563412", reg_no("eax"));
    expect(text, "OK");                      /* a register changed from outside */
    expect("vCont;s", "T05thread:01;");
    cr_assert_eq(reg("eip"), 0xf0008);
    cr_assert_eq(reg("eax"), 0x12345678);
    cr_assert_eq(reg("ecx"), 5);
}

static void kvm_many_breakpoints(void)
{
    for (unsigned i = 0; i < 5; i++) {
        static const unsigned at[5] = { 0x08, 0x0c, 0x0f, 0x12, 0x13 };
        char text[32];

        snprintf(text, sizeof(text), "Z0,f00%02x,1", at[i]);
        expect(text, "OK");
    }
    ask("vCont;c");
    cr_assert_eq(reg("eip"), 0xf0008);
    ask("vCont;s");
    cr_assert_eq(reg("eip"), 0xf000c);
}

Test(gdb_kvm, points, .timeout = 300) { on_kvm(kvm_points, "kvm", loop_code, sizeof(loop_code)); }
Test(gdb_kvm, more_than_the_cpu_has, .timeout = 300) { on_kvm(kvm_many_breakpoints, "kvm", loop_code, sizeof(loop_code)); }

Test(gdb_cpu, watchpoints, .timeout = 300) { each(watchpoints, 1, loop_code, sizeof(loop_code)); }

/* An NMI that waits is not taken by a step, unless the debugger wants that. */
static void held_off(void)
{
    expect("vCont;s", "T05thread:01;");
    vcpu_intr_raise(rig->m->vcpus[0], VCPU_INTR_NMI);
    expect("vCont;s", "T05thread:01;");
    cr_assert_eq(reg("eip"), 0xf0003);
    expect("Qqemu.sstep=1", "OK");
    expect("vCont;s", "T05thread:01;");
    cr_assert_eq(reg("eip"), 2, "the first instruction of the handler, at 0:0");
}

Test(gdb_cpu, steps_hold_interrupts_off, .timeout = 300) { each(held_off, 1, loop_code, sizeof(loop_code)); }

/* cld; xor ax,ax; mov ds,ax; mov es,ax; mov si,0x700; mov di,0x900; mov cx,0x100; rep movsb; hlt */
static const uint8_t movs_code[] = {
    0xfc, 0x31, 0xc0, 0x8e, 0xd8, 0x8e, 0xc0, 0xbe, 0x00, 0x07, 0xbf, 0x00, 0x09, 0xb9, 0x00, 0x01, 0xf3, 0xa4,
    0xf4,
};

static void string_watch(void)
{
    expect("Z2,910,1", "OK");
    expect("vCont;c", "T05thread:01;watch:910;");
    cr_assert_eq(reg("edi"), 0x911, "in the middle of REP MOVSB");
    cr_assert_eq(reg("ecx"), 0xef);
    cr_assert_eq(reg("eip"), 0xf0010);
    expect("vCont;s", "T05thread:01;");
    cr_assert_eq(reg("edi"), 0x912, "a step is one iteration");
    expect("Z0,f0012,1", "OK");
    expect("vCont;c", "T05thread:01;");
    cr_assert_eq(reg("ecx"), 0);
    expect("vCont;s", "T05thread:01;");
    cr_assert_eq(reg("eip"), 0xf0013, "behind HLT");
    say("vCont;c");
    rig_feed(rig, "\x03", 1);
    say("vCont;c");
    rig_feed(rig, "\x03", 1);
    cr_assert_eq(reg("eip"), 0xf0013, "neither stopping nor going on ends HLT");
}

Test(gdb_cpu, watchpoint_in_a_string, .timeout = 300) { each(string_watch, 1, movs_code, sizeof(movs_code)); }

/* 00: lgdt cs:[0x20]; mov eax, cr0; or al, 1; mov cr0, eax; 0e: jmp 8:0xf0040; 40: nop; jmp 40 */
static const uint8_t mode_code[] = {
    0x2e, 0x0f, 0x01, 0x16, 0x20, 0x00, 0x0f, 0x20, 0xc0, 0x0c, 0x01, 0x0f, 0x22, 0xc0,
    0x66, 0xea, 0x40, 0x00, 0x0f, 0x00, 0x08, 0x00,
    [0x20] = 0x0f, 0x00, 0x28, 0x00, 0x0f, 0x00,
    [0x28] = 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0, 0, 0, 0x9b, 0xcf, 0,
    [0x40] = 0x90, 0xeb, 0xfd,
};

/* gdb is told of an exec, reads the new description, resumes, and hears of the stop. */
static void modes(void)
{
    ask("qSupported:exec-events+;swbreak+");
    cr_assert_not_null(strstr(ask("qXfer:features:read:target.xml:0,4000"), ">i8086<"));
    expect("Z0,f000e,1", "OK");
    expect("vCont;c", "T05thread:01;swbreak:;");
    expect("z0,f000e,1", "OK");
    expect("vCont;s", "T05exec:69333836;thread:01;");
    cr_assert_not_null(strstr(ask("qXfer:features:read:target.xml:0,4000"), ">i386<"));
    expect("vCont;c", "T05thread:01;");
    cr_assert_eq(reg("eip"), 0xf0040, "nothing has run since");
    cr_assert_eq(reg("cs"), 8);
    expect("vCont;s", "T05thread:01;");
    cr_assert_eq(reg("eip"), 0xf0041);
    expect("Qtransom.follow:0", "OK");
}

Test(gdb_cpu, modes_are_followed, .timeout = 300) { each(modes, 1, mode_code, sizeof(mode_code)); }

static void threads(void)
{
    expect("qSupported:multiprocess+", "PacketSize=4000;qXfer:features:read+;qXfer:memory-map:read+;"
           "vContSupported+;QStartNoAckMode+;multiprocess+");
    expect("qfThreadInfo", "mp01.01,p01.02");
    expect("Tp1.2", "OK");
    expect("Tp1.3", "E16");
    expect("Hgp1.2", "OK");
    expect("qC", "QCp01.02");
    expect("vCont;s:p1.1", "T05thread:p01.01;");
    expect("vCont;s:p1.1;c", "T05thread:p01.01;");
    expect("Hg0", "OK");
    cr_assert_eq(reg("eip"), 0xf0003);
    expect("vCont;x", "E16");
    expect("vCont;s:p1.3", "E16");
}

Test(gdb_cpu, threads_are_vcpus, .timeout = 300) { each(threads, 2, loop_code, sizeof(loop_code)); }

Test(gdb_cpu, descriptions_have_what_the_cpu_has)
{
    struct gdb_regs r = { .n = 0 };
    const struct x86_cpu *cpu;

    rig = rig_new("tcg,backend=interp", "max", 1, loop_code, sizeof(loop_code));
    cpu = accel_cpu(rig->a, 0);
    gdb_regs_init(&r, GDB_X86_64, cpu);
    cr_assert_not_null(strstr(r.xml, "<architecture>i386:x86-64</architecture>"));
    cr_assert_not_null(strstr(r.xml, "\"rip\" bitsize=\"64\" type=\"code_ptr\" regnum=\"16\""));
    cr_assert_not_null(strstr(r.xml, "\"fs_base\""));
    cr_assert_not_null(strstr(r.xml, "\"k_gs_base\""));
    cr_assert_eq(!!strstr(r.xml, "\"ymm0h\""), x86_has(cpu, FEAT_1_ECX, 28));
    cr_assert_eq(!!strstr(r.xml, "\"zmm31h\""), x86_has(cpu, FEAT_7_EBX, 16));
    gdb_regs_free(&r);
    rig_free(rig);
}
