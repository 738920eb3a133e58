/*
 * vnc-client.c - one VNC client: a thread and a LibVNCServer screen of its own
 *
 * The library waits for peers that send half a message or take nothing, so each
 * client gets a screen and a thread: nobody else notices. The thread copies
 * what changed from the console's surface under the machine lock, then encodes and sends
 * without it. The library's Tight encoder has state of the whole process: one client
 * at a time, who is given much room to send to, and 5 seconds when that is full.
 *
 * Source: RFC 6143.
 */
#define _GNU_SOURCE 1
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include <rfb/rfb.h>
#include "hw/input/input.h"
#include "ui/keymap.h"
#include "ui/vnc-int.h"

#define SEND_BYTES (4 * MiB)
#define HANDSHAKE_MS 15000       /* until the peer is let in */
#define PEER_WAIT_MS 5000        /* for the rest of a message, or room for ours */

static struct vnc_client *client_of(rfbClientPtr cl)
{
    return cl->screen->screenData;
}

/* ---- what other threads do --------------------------------------------------------- */

static void wake(struct vnc_client *c)
{
    uint64_t one = 1;

    if (write(c->wake_fd, &one, sizeof one) < 0) {
        /* full: awake anyway */
    }
}

void vnc_client_stop(struct vnc_client *c)
{
    __atomic_store_n(&c->stop, true, __ATOMIC_SEQ_CST);
    shutdown(c->fd, SHUT_RDWR);
    wake(c);
}

static struct rect bounds(const struct rect *a, const struct rect *b)
{
    unsigned x = MIN(a->x, b->x), y = MIN(a->y, b->y);

    return (struct rect){ x, y, MAX(a->x + a->w, b->x + b->w) - x,
                          MAX(a->y + a->h, b->y + b->h) - y };
}

void vnc_client_damage(struct vnc_client *c, const struct rect *r)
{
    pthread_mutex_lock(&c->lock);
    if (!r) {
        c->resized = true;
        c->n_damage = 0;
    } else if (c->n_damage < VNC_RECTS) {
        c->damage[c->n_damage++] = *r;
    } else {                     /* one that covers all */
        c->damage[0] = bounds(&c->damage[0], r);
        for (unsigned i = 1; i < c->n_damage; i++)
            c->damage[0] = bounds(&c->damage[0], &c->damage[i]);
        c->n_damage = 1;
    }
    pthread_mutex_unlock(&c->lock);
    wake(c);
}

/* ---- input ------------------------------------------------------------------------- */

static void on_key(rfbBool down, rfbKeySym sym, rfbClientPtr cl)
{
    struct machine *m = client_of(cl)->vnc->m;
    unsigned key = key_by_keysym(sym);

    if (key == KEY_NONE)
        return;
    machine_lock(m);
    input_key(m, key, down);
    machine_unlock(m);
}

static void on_pointer(int mask, int x, int y, rfbClientPtr cl)
{
    enum { LEFT = 1, MIDDLE = 2, RIGHT = 4, WHEEL_UP = 8, WHEEL_DOWN = 16 };
    struct vnc_client *c = client_of(cl);
    struct machine *m = c->vnc->m;
    unsigned pressed = mask & ~c->buttons;
    unsigned buttons = (mask & LEFT ? MOUSE_LEFT : 0) | (mask & MIDDLE ? MOUSE_MIDDLE : 0) |
                       (mask & RIGHT ? MOUSE_RIGHT : 0);
    int dz = (pressed & WHEEL_DOWN ? 1 : 0) - (pressed & WHEEL_UP ? 1 : 0);

    c->buttons = mask;
    machine_lock(m);
    input_position(m, MAX(x, 0), MAX(y, 0), c->width, c->height, dz, buttons);
    machine_unlock(m);
}

/* ---- letting in ------------------------------------------------------------------------- */

static rfbBool on_password(rfbClientPtr cl, const char *response, int len)
{
    struct vnc *v = client_of(cl)->vnc;
    unsigned char want[CHALLENGESIZE];
    bool ok;

    pthread_mutex_lock(&v->lock);
    memcpy(want, cl->authChallenge, sizeof want);
    rfbEncryptBytes(want, v->password);
    ok = v->password_set && time(NULL) < v->expires && len == sizeof want &&
         !memcmp(want, response, sizeof want);
    pthread_mutex_unlock(&v->lock);
    return ok;
}

/* Somebody who does not share: depending on policy he or all others have to go. */
static bool admit(struct vnc_client *c, bool shared)
{
    struct vnc *v = c->vnc;

    if (shared || v->share == SHARE_IGNORE)
        return true;
    if (v->share == SHARE_FORCE)
        return false;
    pthread_mutex_lock(&v->lock);
    for (struct vnc_client *o = v->clients; o; o = o->next)
        if (o != c)
            vnc_client_stop(o);
    pthread_mutex_unlock(&v->lock);
    return true;
}

/* ClientInit is one byte, about to be read by the library. (Inside a WebSocket it cannot
 * be seen: those share.) */
static bool look_at_init(struct vnc_client *c, rfbClientPtr cl)
{
    uint8_t shared;

    if (cl->state != RFB_INITIALISATION || cl->wsctx ||
        recv(c->fd, &shared, 1, MSG_PEEK | MSG_DONTWAIT) != 1)
        return true;
    return admit(c, shared);
}

/* ---- the picture ---------------------------------------------------------------------------- */

static void watch(struct vnc_client *c)
{
    struct vnc *v = c->vnc;
    struct console *con;

    machine_lock(v->m);
    con = console_at(v->m, 0);
    c->watching = true;
    vnc_client_damage(c, NULL);
    if (con && v->watchers++ == 0)
        console_view(con, &v->viewer);
    machine_unlock(v->m);
}

static void unwatch(struct vnc_client *c)
{
    struct vnc *v = c->vnc;

    machine_lock(v->m);
    if (c->watching && v->viewer.console && --v->watchers == 0)
        console_unview(&v->viewer);
    c->watching = false;
    input_release_keys(v->m);
    machine_unlock(v->m);
}

static void copy_rect(struct vnc_client *c, const struct console *con, const struct rect *r)
{
    for (unsigned y = r->y; y < r->y + r->h; y++)
        memcpy(&c->pixels[(size_t)y * c->width + r->x],
               &con->pixels[(size_t)y * con->width + r->x], r->w * sizeof *c->pixels);
}

/* Take over the console's size; the library then tells the peer, or cuts. Machine lock
 * held: it only makes the new buffer here. Returns the old one, in use until told. */
static uint32_t *adopt_size(struct vnc_client *c, const struct console *con)
{
    uint32_t *old = c->pixels;

    c->width = con && con->pixels ? con->width : 640;
    c->height = con && con->pixels ? con->height : 480;
    c->pixels = xzalloc((size_t)c->width * c->height * sizeof *c->pixels);
    return old;
}

/* Bring what changed over. Damage outside the surface belongs to an older one. */
static void take_damage(struct vnc_client *c, rfbScreenInfoPtr screen)
{
    struct rect r[VNC_RECTS];
    uint32_t *old = NULL;
    struct console *con;
    unsigned n;

    machine_lock(c->vnc->m);
    con = console_at(c->vnc->m, 0);
    pthread_mutex_lock(&c->lock);
    if (c->resized && con) {
        old = adopt_size(c, con);
        c->damage[0] = (struct rect){ 0, 0, c->width, c->height };
        c->n_damage = 1;
    }
    c->resized = false;
    n = c->n_damage;
    memcpy(r, c->damage, n * sizeof *r);
    c->n_damage = 0;
    pthread_mutex_unlock(&c->lock);
    for (unsigned i = 0; i < n; i++) {
        if (!con || !con->pixels || con->width != c->width || con->height != c->height)
            n = 0;
        else
            copy_rect(c, con, &r[i]);
    }
    machine_unlock(c->vnc->m);
    if (old) {
        rfbNewFramebuffer(screen, (char *)c->pixels, c->width, c->height, 8, 3, 4);
        screen->serverFormat.redShift = 16;
        screen->serverFormat.greenShift = 8;
        screen->serverFormat.blueShift = 0;
        free(old);
    }
    for (unsigned i = 0; i < n; i++)
        rfbMarkRectAsModified(screen, r[i].x, r[i].y, r[i].x + r[i].w, r[i].y + r[i].h);
}

/* ---- the thread ------------------------------------------------------------------------------------ */

static void on_gone(rfbClientPtr cl)
{
    client_of(cl)->gone = true;
}

static enum rfbNewClientAction on_new(rfbClientPtr cl)
{
    cl->clientGoneHook = on_gone;
    return RFB_CLIENT_ACCEPT;
}

static rfbScreenInfoPtr make_screen(struct vnc_client *c)
{
    struct vnc *v = c->vnc;
    rfbScreenInfoPtr s;

    machine_lock(v->m);
    if (console_at(v->m, 0))
        console_refresh(console_at(v->m, 0));
    adopt_size(c, console_at(v->m, 0));
    machine_unlock(v->m);
    s = rfbGetScreen(NULL, NULL, c->width, c->height, 8, 3, 4);
    if (!s)
        return NULL;
    s->screenData = c;
    s->frameBuffer = (char *)c->pixels;
    s->desktopName = v->name;
    s->serverFormat.redShift = 16;
    s->serverFormat.greenShift = 8;
    s->serverFormat.blueShift = 0;
    s->cursor = NULL;
    s->alwaysShared = TRUE;      /* admit() decides */
    s->deferUpdateTime = 0;
    s->maxClientWait = PEER_WAIT_MS;
    s->kbdAddEvent = on_key;
    s->ptrAddEvent = on_pointer;
    s->newClientHook = on_new;
    if (v->need_password && !c->skip_auth) {
        s->authPasswdData = v;
        s->passwordCheck = on_password;
    }
    return s;
}

static int64_t now_ms(void)
{
    return host_monotonic_ns() / 1000000;
}

/* Wait for the peer or for damage; false: it is over. */
static bool wait_for_work(struct vnc_client *c, rfbClientPtr cl, int64_t deadline_ms)
{
    struct pollfd p[2] = { { .fd = c->fd, .events = c->full ? POLLIN | POLLOUT : POLLIN },
                           { .fd = c->wake_fd, .events = POLLIN } };
    int64_t left = deadline_ms - now_ms();
    uint64_t n;

    if (cl->state == RFB_NORMAL)
        left = -1;
    else if (left <= 0)
        return false;
    if (poll(p, 2, left) < 0)
        return errno == EINTR;
    if (p[1].revents && read(c->wake_fd, &n, sizeof n) < 0) {
        /* somebody else cannot have taken it */
    }
    return !__atomic_load_n(&c->stop, __ATOMIC_SEQ_CST);
}

static bool peer_takes(const struct vnc_client *c)
{
    struct pollfd p = { .fd = c->fd, .events = POLLOUT };

    return poll(&p, 1, 0) == 1;
}

/* Messages, then the picture. False: the peer has gone. */
static bool process(struct vnc_client *c, rfbScreenInfoPtr screen, rfbClientPtr cl)
{
    rfbCheckFds(screen, 0);
    c->full = !peer_takes(c);
    if (cl->sock != RFB_INVALID_SOCKET && !c->full) {
        pthread_mutex_lock(&c->vnc->encoder);
        rfbUpdateClient(cl);
        pthread_mutex_unlock(&c->vnc->encoder);
    }
    if (cl->sock == RFB_INVALID_SOCKET)
        rfbClientConnectionGone(cl);
    return !c->gone;
}

static void serve(struct vnc_client *c, rfbScreenInfoPtr screen, rfbClientPtr cl)
{
    int64_t deadline_ms = now_ms() + HANDSHAKE_MS;

    while (!c->gone && wait_for_work(c, cl, deadline_ms)) {
        if (!look_at_init(c, cl))
            break;
        if (c->watching)
            take_damage(c, screen);
        if (!process(c, screen, cl))
            break;
        /* sizes of our choice only: the library's scaled copies do not follow ours */
        if (cl->scaledScreen != screen)
            break;
        if (cl->state == RFB_NORMAL && !c->watching) {
            watch(c);
            vnc_tell(c, "VNC_INITIALIZED");
        }
    }
}

/* Which of both it is, is known once the library has seen the first bytes. */
static void note_websocket(struct vnc_client *c, rfbClientPtr cl)
{
    pthread_mutex_lock(&c->vnc->lock);
    c->peer.websocket = c->server.websocket = cl && cl->wsctx;
    pthread_mutex_unlock(&c->vnc->lock);
}

static void *client_thread(void *opaque)
{
    struct vnc_client *c = opaque;
    rfbScreenInfoPtr screen;
    rfbClientPtr cl = NULL;
    sigset_t all;

    sigfillset(&all);            /* SIGPIPE; others are the main thread's */
    pthread_sigmask(SIG_BLOCK, &all, NULL);
    screen = make_screen(c);
    if (screen)
        cl = rfbNewClient(screen, c->rfb_fd);
    else
        close(c->rfb_fd);
    note_websocket(c, cl);
    vnc_tell(c, "VNC_CONNECTED");
    if (cl && !c->gone)
        serve(c, screen, cl);
    unwatch(c);
    if (screen) {
        if (cl && !c->gone)
            rfbCloseClient(cl);
        if (cl && !c->gone)
            rfbClientConnectionGone(cl);
        pthread_mutex_lock(&c->vnc->encoder);
        rfbScreenCleanup(screen);
        pthread_mutex_unlock(&c->vnc->encoder);
    }
    free(c->pixels);
    c->pixels = NULL;
    vnc_tell(c, "VNC_DISCONNECTED");
    shutdown(c->fd, SHUT_RDWR);
    __atomic_store_n(&c->finished, true, __ATOMIC_SEQ_CST);
    if (!__atomic_load_n(&c->stop, __ATOMIC_SEQ_CST))
        loop_wake(c->vnc->m->loop);
    return NULL;
}

int vnc_client_start(struct vnc *v, int fd, const struct vnc_end *server, bool skip_auth)
{
    struct vnc_client *c = xzalloc(sizeof *c);
    struct sockaddr_storage there = { 0 };
    socklen_t len = sizeof there;
    int room = SEND_BYTES;

    setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &room, sizeof room);
    *c = (struct vnc_client){ .vnc = v, .rfb_fd = fd, .server = *server, .skip_auth = skip_auth };
    if (getpeername(fd, (struct sockaddr *)&there, &len) < 0)
        len = 0;
    vnc_end_fill(&c->peer, &there, len);
    c->fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    c->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    pthread_mutex_init(&c->lock, NULL);
    if (c->fd >= 0 && c->wake_fd >= 0 && fd < FD_SETSIZE &&
        !pthread_create(&c->thread, NULL, client_thread, c)) {
        c->next = v->clients;
        v->clients = c;
        v->n_clients++;
        return 0;
    }
    if (c->fd >= 0)
        close(c->fd);
    if (c->wake_fd >= 0)
        close(c->wake_fd);
    close(fd);
    pthread_mutex_destroy(&c->lock);
    free(c);
    return -ENOMEM;
}

void vnc_client_free(struct vnc_client *c)
{
    pthread_join(c->thread, NULL);
    close(c->fd);
    close(c->wake_fd);
    pthread_mutex_destroy(&c->lock);
    free(c);
}
