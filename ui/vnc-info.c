/*
 * vnc-info.c - who is connected to the VNC server, for people and programs; its events
 */
#define _GNU_SOURCE 1
#include <netdb.h>
#include <sys/un.h>
#include "ui/json.h"
#include "ui/vnc-int.h"

void vnc_end_fill(struct vnc_end *end, const struct sockaddr_storage *a, socklen_t len)
{
    const struct sockaddr_un *un = (const struct sockaddr_un *)a;
    size_t path = offsetof(struct sockaddr_un, sun_path);

    memset(end, 0, sizeof *end);
    end->family = "unknown";
    if (len < sizeof a->ss_family)
        return;
    if (a->ss_family == AF_UNIX) {
        end->family = "unix";    /* one without a name has no path */
        if (len > path)
            snprintf(end->service, sizeof end->service, "%.*s", (int)(len - path), un->sun_path);
    } else if (a->ss_family == AF_INET || a->ss_family == AF_INET6) {
        end->family = a->ss_family == AF_INET6 ? "ipv6" : "ipv4";
        getnameinfo((const struct sockaddr *)a, len, end->host, sizeof end->host, end->service,
                    sizeof end->service, NI_NUMERICHOST | NI_NUMERICSERV);
    }
}

/* ---- JSON ---------------------------------------------------------------------------- */

static const char *auth(const struct vnc *v)
{
    return v->need_password ? "vnc" : "none";
}

/* members of an object that is open */
static void write_end(struct jw *w, const struct vnc_end *end)
{
    jw_str(w, "host", end->host);
    jw_str(w, "service", end->service);
    jw_str(w, "family", end->family);
    jw_bool(w, "websocket", end->websocket);
}

/* vnc->lock held */
static void write_clients(struct jw *w, const struct vnc *v)
{
    jw_open_array(w, "clients");
    for (const struct vnc_client *c = v->clients; c; c = c->next) {
        if (__atomic_load_n(&c->finished, __ATOMIC_SEQ_CST))
            continue;
        jw_open(w, NULL);
        write_end(w, &c->peer);
        jw_close(w);
    }
    jw_close(w);
}

void vnc_describe(struct vnc *v, struct jw *w)
{
    const struct vnc_end *end = &v->listener[0].end;

    jw_open(w, NULL);
    jw_bool(w, "enabled", v->n_listeners != 0);
    if (v->n_listeners) {
        jw_str(w, "host", end->host);
        jw_str(w, "service", end->service);
        jw_str(w, "family", end->family);
        jw_str(w, "auth", auth(v));
    }
    pthread_mutex_lock(&v->lock);
    write_clients(w, v);
    pthread_mutex_unlock(&v->lock);
    jw_close(w);
}

void vnc_describe_server(struct vnc *v, struct jw *w)
{
    jw_open(w, NULL);
    jw_str(w, "id", v->id);
    jw_open_array(w, "server");
    for (unsigned i = 0; i < v->n_listeners; i++) {
        jw_open(w, NULL);
        write_end(w, &v->listener[i].end);
        jw_str(w, "auth", auth(v));
        jw_close(w);
    }
    jw_close(w);
    pthread_mutex_lock(&v->lock);
    write_clients(w, v);
    pthread_mutex_unlock(&v->lock);
    jw_str(w, "auth", auth(v));
    jw_close(w);
}

void vnc_tell(const struct vnc_client *c, const char *name)
{
    struct jw w = { .text = NULL };

    jw_open(&w, NULL);
    jw_open(&w, "server");
    write_end(&w, &c->server);
    jw_str(&w, "auth", auth(c->vnc));
    jw_close(&w);
    jw_open(&w, "client");
    write_end(&w, &c->peer);
    jw_close(&w);
    jw_close(&w);
    machine_event(c->vnc->m, name, "%s", w.text);
    jw_free(&w);
}

/* ---- text ---------------------------------------------------------------------------------- */

static void print_end(FILE *f, const char *what, const struct vnc_end *end)
{
    bool v6 = !strcmp(end->family, "ipv6");

    fprintf(f, "  %s: %s%s%s:%s (%s%s)\n", what, v6 ? "[" : "", end->host, v6 ? "]" : "", end->service,
            end->family, end->websocket ? ", websocket" : "");
}

void vnc_info(struct vnc *v, FILE *f)
{
    fprintf(f, "%s:\n", v->id);
    for (unsigned i = 0; i < v->n_listeners; i++)
        print_end(f, "Server", &v->listener[i].end);
    fprintf(f, "  Auth: %s\n", auth(v));
    pthread_mutex_lock(&v->lock);
    for (const struct vnc_client *c = v->clients; c; c = c->next)
        if (!__atomic_load_n(&c->finished, __ATOMIC_SEQ_CST))
            print_end(f, "Client", &c->peer);
    pthread_mutex_unlock(&v->lock);
}
