/*
 * vnc-int.h - the VNC server and its clients
 *
 * Locks, outer first: the machine's, vnc.lock, vnc_client.lock. A client's thread holds
 * none of them while it talks to its peer.
 */
#ifndef UI_VNC_INT_H
#define UI_VNC_INT_H

#include <pthread.h>
#include <sys/socket.h>
#include "hw/display/console.h"
#include "ui/display.h"

#define VNC_LISTENERS 8
#define VNC_CLIENTS_MAX 32
#define VNC_RECTS 32

enum vnc_share { SHARE_ALLOW_EXCLUSIVE, SHARE_FORCE, SHARE_IGNORE };

/** struct vnc_end - one end of a connection, as programs are told of it */
struct vnc_end {
    char host[64], service[108];  /* numbers; of a unix socket: nothing and its path */
    const char *family;           /* "ipv4", "ipv6", "unix", "unknown" */
    bool websocket;
};

struct vnc_listener {
    int fd;
    struct vnc_end end;
};

struct vnc_client {
    struct vnc *vnc;
    pthread_t thread;
    struct vnc_end server, peer;
    bool skip_auth;              /* let in without a password */
    int rfb_fd;                  /* LibVNCServer's, which closes it */
    int fd;                      /* ours of the same socket */
    int wake_fd;
    bool stop;                   /* atomic */
    bool finished;               /* the thread has nothing more to do; atomic */
    pthread_mutex_t lock;        /* what follows */
    struct rect damage[VNC_RECTS];
    unsigned n_damage;
    bool resized;
    /* the thread's own */
    bool gone, watching;
    bool full;                   /* the peer takes nothing at the moment */
    uint32_t *pixels;            /* what the peer is shown */
    unsigned width, height;
    unsigned buttons;            /* as VNC numbers them */
    struct vnc_client *next;
};

struct vnc {
    struct machine *m;
    char *name;
    char id[32];                 /* id=, else "default" */
    struct vnc_listener listener[VNC_LISTENERS];
    unsigned n_listeners;        /* 0: clients come by vnc_serve() only */
    char *unix_path;             /* removed at the end */
    bool need_password;
    enum vnc_share share;
    unsigned max_clients;
    pthread_mutex_t encoder;     /* around LibVNCServer's encoders */
    pthread_mutex_t lock;        /* what follows */
    char password[9];
    bool password_set;
    int64_t expires;             /* seconds of host time from which on it is none */
    struct vnc_client *clients;
    unsigned n_clients;
    /* with the machine lock */
    struct console_viewer viewer;
    unsigned watchers;
};

/** vnc_open() - parse @spec (display.h) and listen; 0 or -errno with @e set, vnc_free() either way */
int vnc_open(struct vnc *v, const char *spec, struct err *e) MUST_CHECK;
/** vnc_take() - serve @fd, owned from now on, that came to @server */
void vnc_take(struct vnc *v, int fd, const struct vnc_end *server, bool skip_auth);

/** vnc_end_fill() - from a socket's address of @len bytes */
void vnc_end_fill(struct vnc_end *end, const struct sockaddr_storage *a, socklen_t len);
/** vnc_tell() - send event @name about @c; takes the machine lock */
void vnc_tell(const struct vnc_client *c, const char *name);

/** vnc_client_start() - serve @fd (owned from now on) in a thread; -errno: closed.
 *  vnc->lock held */
int vnc_client_start(struct vnc *v, int fd, const struct vnc_end *server, bool skip_auth) MUST_CHECK;
/** vnc_client_stop() - ask it to end; any thread */
void vnc_client_stop(struct vnc_client *c);
/** vnc_client_free() - wait for its thread; no lock held */
void vnc_client_free(struct vnc_client *c);
/** vnc_client_damage() - @r changed; NULL: another surface */
void vnc_client_damage(struct vnc_client *c, const struct rect *r);

#endif
