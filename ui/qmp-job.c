/*
 * qmp-job.c - jobs: what programs start, watch and dismiss by name; new images
 *
 * What is done in a job here is done at once, while its command runs. Its whole life is told all the
 * same, and it stays in the list, concluded, until it is dismissed: that is where a client looks
 * for what came of it. Block jobs (mirror, commit, backup) do not exist, so none is ever found.
 */
#define _GNU_SOURCE 1
#include <stdlib.h>
#include "ui/commands-int.h"
#include "ui/options.h"

#define JOBS_MAX 256

struct job {
    char *id;                    /* owned */
    const char *type;
    char *error;                 /* why it failed; owned, or NULL */
    struct job *next;
};

static void tell(struct run *r, const struct job *j, const char *status)
{
    struct jw w = { .text = NULL };

    jw_open(&w, NULL);
    jw_str(&w, "status", status);
    jw_str(&w, "id", j->id);
    jw_close(&w);
    run_event(r, "JOB_STATUS_CHANGE", w.text);
    jw_free(&w);
}

static struct job **place(struct run *r, const char *id)
{
    struct job **p = &r->jobs;

    while (*p && strcmp((*p)->id, id))
        p = &(*p)->next;
    return p;
}

static void job_free(struct job *j)
{
    free(j->id);
    free(j->error);
    free(j);
}

void run_jobs_free(struct run *r)
{
    struct job *next;

    for (struct job *j = r->jobs; j; j = next) {
        next = j->next;
        job_free(j);
    }
    r->jobs = NULL;
}

static struct job *job_new(struct run *r, const char *id, const char *type, struct err *e)
{
    unsigned n = 0;
    struct job *j;

    for (j = r->jobs; j; j = j->next)
        n++;
    if (n >= JOBS_MAX || *place(r, id)) {
        err_set(e, -EBUSY, n >= JOBS_MAX ? "too many jobs wait to be dismissed" : "Job ID '%.64s' already in use", id);
        return NULL;
    }
    j = xzalloc(sizeof *j);
    j->id = xstrdup(id);
    j->type = type;
    *place(r, id) = j;
    return j;
}

int run_job(struct call *c, const char *id, const char *type, int (*work)(struct call *c, void *what, struct err *e),
            void *what, struct err *e)
{
    static const char *const good[] = { "waiting", "pending" }, *const bad[] = { "aborting" };
    struct job *j = job_new(c->run, id, type, e);
    struct err why = { "" };
    bool failed;

    if (!j)
        return -EBUSY;
    tell(c->run, j, "created");
    tell(c->run, j, "running");
    failed = work(c, what, &why) < 0;
    if (failed)
        j->error = xstrdup(why.msg);
    for (size_t i = 0; i < (failed ? ARRAY_SIZE(bad) : ARRAY_SIZE(good)); i++)
        tell(c->run, j, failed ? bad[i] : good[i]);
    tell(c->run, j, "concluded");
    return 0;
}

/* ---- commands ------------------------------------------------------------------------- */

static int query_jobs(struct call *c, struct err *e)
{
    jw_open_array(c->out, NULL);
    for (const struct job *j = c->run->jobs; j; j = j->next) {
        jw_open(c->out, NULL);
        jw_str(c->out, "id", j->id);
        jw_str(c->out, "type", j->type);
        jw_str(c->out, "status", "concluded");
        jw_int(c->out, "current-progress", j->error ? 0 : 1);
        jw_int(c->out, "total-progress", 1);
        if (j->error)
            jw_str(c->out, "error", j->error);
        jw_close(c->out);
    }
    jw_close(c->out);
    return 0;
}

static int cmd_dismiss(struct call *c, struct err *e)
{
    struct job **p = place(c->run, jv_text(c->args, "id")), *j = *p;

    if (!j)
        return err_set(e, -ENOENT, "Job not found");
    *p = j->next;
    tell(c->run, j, "null");
    job_free(j);
    return 0;
}

/* Cancelling, completing, pausing ...: all of them have concluded. */
static int cmd_too_late(struct call *c, struct err *e)
{
    const struct job *j = *place(c->run, jv_text(c->args, "id"));

    return j ? err_set(e, -EINVAL, "Job '%.64s' in state 'concluded' cannot accept this command", j->id)
             : err_set(e, -ENOENT, "Job not found");
}

static int query_block_jobs(struct call *c, struct err *e)
{
    jw_open_array(c->out, NULL);
    jw_close(c->out);
    return 0;
}

static int no_block_job(struct call *c, struct err *e)
{
    const char *id = jv_text(c->args, "device");

    c->class = CLASS_DEVICE_NOT_ACTIVE;
    return err_set(e, -ENOENT, "Block job '%.64s' not found", id ? id : jv_text(c->args, "id"));
}

/* ---- blockdev-create ---------------------------------------------------------------------- */

struct new_image {
    const char *format;
    struct block_create c;
};

/* Options of both drivers, as cmd_check_args() reads them. */
static const struct command file_options = {
    .qmp = "file", .args = "driver:s,filename:s,size:i,preallocation:s?,nocow:b?" };
static const struct command qcow2_options = {
    .qmp = "qcow2", .args = "driver:s,file:s,size:i,version:s?,backing-file:s?,backing-fmt:s?,cluster-size:i?,"
                            "preallocation:s?,lazy-refcounts:b?,refcount-bits:i?,compression-type:s?" };

static int cluster_options(struct block_create *c, const struct jv *o, struct err *e)
{
    const char *version = jv_text(o, "version"), *compression = jv_text(o, "compression-type");
    int64_t cluster = jv_number(o, "cluster-size", 0), refcount = jv_number(o, "refcount-bits", 0);

    if (version && strcmp(version, "v2") && strcmp(version, "v3"))
        return err_set(e, -EINVAL, "Parameter 'version' does not accept value '%.32s'", version);
    if (compression && strcmp(compression, "zlib") && strcmp(compression, "zstd"))
        return err_set(e, -EINVAL, "Parameter 'compression-type' does not accept value '%.32s'", compression);
    if (cluster < 0 || cluster > (int64_t)(2 * MiB) || refcount < 0 || refcount > 64)
        return err_set(e, -EINVAL, "cluster-size or refcount-bits is out of range");
    c->compat = version && !strcmp(version, "v2") ? 2 : 3;
    c->zstd = compression && !strcmp(compression, "zstd");
    c->cluster_bytes = (uint32_t)cluster;
    c->refcount_bits = (uint32_t)refcount;
    return 0;
}

/* The file of node @name, which an image is to be made in. */
static const char *file_of(const struct call *c, const char *name, struct err *e)
{
    const struct opt_drive *node = blockdev_find(c->run->opt, name);

    if (node && node->protocol)
        return node->opts.file;
    err_set(e, -ENOENT, "Cannot find node '%.64s': driver=file is wanted there", name);
    return NULL;
}

static int image_options(const struct call *c, const struct jv *o, struct new_image *n, struct err *e)
{
    const char *driver = jv_text(o, "driver"), *prealloc = jv_text(o, "preallocation");
    const char *const modes[] = { "off", "metadata", "falloc", "full" };
    bool file = driver && !strcmp(driver, "file"), known = !prealloc;

    if (!driver || (!file && strcmp(driver, "qcow2")))
        return err_set(e, -ENOTSUP, "Driver '%.32s' does not support blockdev-create (file, qcow2)", driver ? driver : "");
    if (cmd_check_args(file ? &file_options : &qcow2_options, o, e) < 0)
        return -EINVAL;
    for (size_t i = 0; i < ARRAY_SIZE(modes); i++)
        known |= prealloc && !strcmp(prealloc, modes[i]);
    if (!known)
        return err_set(e, -EINVAL, "Parameter 'preallocation' does not accept value '%.32s'", prealloc);
    if (jv_number(o, "size", -1) < 0)
        return err_set(e, -EINVAL, "Parameter 'size' is out of range");
    n->format = file ? "raw" : "qcow2";
    n->c.size = (uint64_t)jv_number(o, "size", 0);
    n->c.size_set = true;
    n->c.prealloc = prealloc;
    n->c.backing = jv_text(o, "backing-file");
    n->c.backing_fmt = jv_text(o, "backing-fmt");
    n->c.lazy_refcounts = jv_flag(o, "lazy-refcounts", false);
    n->c.file = file ? jv_text(o, "filename") : file_of(c, jv_text(o, "file"), e);
    return n->c.file ? cluster_options(&n->c, o, e) : -ENOENT;
}

static int make_image(struct call *c, void *what, struct err *e)
{
    const struct new_image *n = what;

    return block_create(n->format, &n->c, e);
}

static int cmd_blockdev_create(struct call *c, struct err *e)
{
    const struct jv *o = jv_get(c->args, "options");
    struct new_image n = { NULL };
    int ret;

    if (o->type != JV_OBJECT)
        return err_set(e, -EINVAL, "Invalid parameter type for 'options', expected: object");
    ret = image_options(c, o, &n, e);
    if (ret == 0)
        ret = block_may_create(n.format, &n.c, e);
    return ret < 0 ? ret : run_job(c, jv_text(c->args, "job-id"), "create", make_image, &n, e);
}

const struct command job_commands[] = {
    { .qmp = "query-jobs", .returns = "any", .run = query_jobs },
    { .qmp = "job-dismiss", .args = "id:s", .run = cmd_dismiss },
    { .qmp = "job-cancel", .args = "id:s", .run = cmd_too_late },
    { .qmp = "job-complete", .args = "id:s", .run = cmd_too_late },
    { .qmp = "job-finalize", .args = "id:s", .run = cmd_too_late },
    { .qmp = "job-pause", .args = "id:s", .run = cmd_too_late },
    { .qmp = "job-resume", .args = "id:s", .run = cmd_too_late },
    { .qmp = "query-block-jobs", .returns = "any", .run = query_block_jobs },
    { .qmp = "block-job-cancel", .args = "device:s,force:b?", .run = no_block_job },
    { .qmp = "block-job-complete", .args = "device:s", .run = no_block_job },
    { .qmp = "block-job-pause", .args = "device:s", .run = no_block_job },
    { .qmp = "block-job-resume", .args = "device:s", .run = no_block_job },
    { .qmp = "block-job-set-speed", .args = "device:s,speed:i", .run = no_block_job },
    { .qmp = "block-job-dismiss", .args = "id:s", .run = no_block_job },
    { .qmp = "block-job-finalize", .args = "id:s", .run = no_block_job },
    { .qmp = "blockdev-create", .args = "job-id:s,options:j", .run = cmd_blockdev_create },
    { .hmp = NULL }
};
