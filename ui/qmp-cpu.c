/*
 * qmp-cpu.c - vCPUs and CPU models for programs
 */
#define _GNU_SOURCE 1
#include <stdlib.h>
#include "hw/outside.h"
#include "ui/commands-int.h"
#include "ui/monitor-int.h"

/* ---- vCPUs ------------------------------------------------------------------------ */

static const char *model_name(const struct run *r)
{
    return r->opt->model.name ? r->opt->model.name : "qemu64";
}

/* Socket, die, core and thread of vCPU @n, innermost first. */
static void write_place(struct jw *w, const struct machine_config *cfg, unsigned n)
{
    unsigned threads = MAX(cfg->threads, 1u), cores = MAX(cfg->cores, 1u), dies = MAX(cfg->dies, 1u);

    jw_open(w, "props");
    jw_int(w, "core-id", n / threads % cores);
    jw_int(w, "thread-id", n % threads);
    if (dies > 1)
        jw_int(w, "die-id", n / (threads * cores) % dies);
    jw_int(w, "socket-id", n / (threads * cores * dies));
    jw_close(w);
}

static int query_cpus_fast(struct call *c, struct err *e)
{
    jw_open_array(c->out, NULL);
    for (unsigned n = 0; n < c->m->n_vcpus; n++) {
        jw_open(c->out, NULL);
        jw_int(c->out, "thread-id", c->m->vcpus[n]->thread_id);
        jw_strf(c->out, "qom-type", "%s-x86_64-cpu", model_name(c->run));
        write_place(c->out, &c->m->cfg, n);
        jw_strf(c->out, "qom-path", "/machine/unattached/device[%u]", n);
        jw_int(c->out, "cpu-index", n);
        jw_str(c->out, "target", "x86_64");
        jw_close(c->out);
    }
    jw_close(c->out);
    return 0;
}

/* ---- models -------------------------------------------------------------------------- */

void each_feature(const struct x86_model *m, void (*put)(void *opaque, const char *name, bool on), void *opaque)
{
    for (unsigned word = 0; word < FEAT_WORDS; word++)
        for (unsigned bit = 0; bit < 32; bit++) {
            const char *name = x86_feature_name(word, bit);

            if (name)
                put(opaque, name, m->feat[word] >> bit & 1);
        }
}

static void write_feature(void *opaque, const char *name, bool on)
{
    jw_bool(opaque, name, on);
}

static void write_missing(struct jw *w, const char *words)
{
    while (words && *words) {
        size_t n = strcspn(words, ",");

        jw_strf(w, NULL, "%.*s", (int)n, words);
        words += n + (words[n] ? 2 : 0);
    }
}

static int query_cpu_definitions(struct call *c, struct err *e)
{
    const char *name;

    jw_open_array(c->out, NULL);
    for (unsigned i = 0; (name = x86_model_name(i)); i++) {
        char *missing = x86_model_missing(i);

        jw_open(c->out, NULL);
        jw_str(c->out, "name", name);
        jw_strf(c->out, "typename", "%s-x86_64-cpu", name);
        jw_open_array(c->out, "unavailable-features");
        write_missing(c->out, missing);
        jw_close(c->out);
        jw_bool(c->out, "static", false);
        jw_bool(c->out, "migration-safe", strcmp(name, "max") && strcmp(name, "host"));
        jw_bool(c->out, "deprecated", false);
        jw_close(c->out);
        free(missing);
    }
    jw_close(c->out);
    return 0;
}

/* "NAME,check=off,feature=on,..." as -cpu takes it; NULL with @e set. */
static char *model_text(const struct jv *model, struct err *e)
{
    const char *name = jv_text(model, "name");
    const struct jv *props = jv_get(model, "props");
    char *text, *longer;

    if (!name || strchr(name, ',')) {
        err_set(e, -EINVAL, "Parameter 'model.name' is missing");
        return NULL;
    }
    text = xasprintf("%s,check=off", strcmp(name, "base") ? name : "max");
    for (const struct jv *p = props && props->type == JV_OBJECT ? props->child : NULL; p; p = p->next) {
        if (p->type != JV_BOOL || strchr(p->key, ','))
            continue;                  /* numbers and names say nothing about features */
        longer = xasprintf("%s,%s=%s", text, p->key, p->b ? "on" : "off");
        free(text);
        text = longer;
    }
    return text;
}

static int query_cpu_model_expansion(struct call *c, struct err *e)
{
    const struct jv *model = jv_get(c->args, "model");
    const char *type = jv_text(c->args, "type");
    struct x86_model m;
    char *text;
    int ret;

    if (strcmp(type, "static") && strcmp(type, "full"))
        return err_set(e, -EINVAL, "Parameter 'type' does not accept value '%.32s'", type);
    text = model_text(model, e);
    if (!text)
        return -EINVAL;
    ret = x86_model_parse(text, &m, e);
    free(text);
    if (ret < 0)
        return ret;
    jw_open(c->out, NULL);
    jw_open(c->out, "model");
    jw_str(c->out, "name", strcmp(type, "static") ? jv_text(model, "name") : "base");
    jw_open(c->out, "props");
    each_feature(&m, write_feature, c->out);
    jw_close(c->out);
    jw_close(c->out);
    jw_close(c->out);
    return 0;
}

/* ---- NMI ---------------------------------------------------------------------------------- */

static void nmi(void *target, const struct outside_event *ev)
{
    vcpu_intr_raise(target, VCPU_INTR_NMI);
}

static int cmd_nmi(struct call *c, struct err *e)
{
    for (unsigned n = 0; n < c->m->n_vcpus; n++) {
        struct outside_event ev = { .kind = OUTSIDE_CONTROL, .arg = { OUTSIDE_NMI, n } };

        (void)outside_post(c->m, &ev, nmi, c->m->vcpus[n]);
    }
    return 0;
}

const struct command cpu_commands[] = {
    { .qmp = "query-cpus-fast", .returns = "any", .run = query_cpus_fast },
    { .qmp = "query-cpu-definitions", .returns = "any", .run = query_cpu_definitions },
    { .qmp = "query-cpu-model-expansion", .args = "type:s,model:j", .returns = "any",
      .run = query_cpu_model_expansion },
    { .hmp = "nmi", .qmp = "inject-nmi", .help = "send an NMI to all vCPUs", .run = cmd_nmi },
    { .hmp = NULL }
};
