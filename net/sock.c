/*
 * sock.c - host socket addresses for back ends
 */
#include <netdb.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include "net/sock.h"

int sock_inet(struct sock_addr *a, const char *host, const char *port, int type, bool passive,
              struct err *e)
{
    struct addrinfo hints = { .ai_socktype = type, .ai_flags = passive ? AI_PASSIVE : 0,
                              .ai_family = passive && (!host || !*host) ? AF_INET : AF_UNSPEC };
    struct addrinfo *ai;
    int rc = getaddrinfo(host && *host ? host : NULL, port, &hints, &ai);

    if (rc)
        return err_set(e, -EINVAL, "%s:%s: %s", host ? host : "", port, gai_strerror(rc));
    memcpy(&a->sa, ai->ai_addr, ai->ai_addrlen);
    a->len = ai->ai_addrlen;
    freeaddrinfo(ai);
    snprintf(a->text, sizeof a->text, "%s:%s", host ? host : "", port);
    return 0;
}

int sock_host_port(struct sock_addr *a, const char *text, int type, bool passive, struct err *e)
{
    const char *colon = strrchr(text, ':');
    char host[128];

    if (!colon || colon - text >= (int)sizeof host || !colon[1])
        return err_set(e, -EINVAL, "%s: HOST:PORT is wanted", text);
    snprintf(host, sizeof host, "%.*s", (int)(colon - text), text);
    return sock_inet(a, host, colon + 1, type, passive, e);
}

int sock_unix(struct sock_addr *a, const char *path, struct err *e)
{
    struct sockaddr_un *un = (struct sockaddr_un *)&a->sa;

    memset(un, 0, sizeof *un);
    un->sun_family = AF_UNIX;
    if (strlen(path) >= sizeof un->sun_path)
        return err_set(e, -ENAMETOOLONG, "%s: the path of a socket has at most %zu characters",
                       path, sizeof un->sun_path - 1);
    strcpy(un->sun_path, path);
    a->len = sizeof *un;
    snprintf(a->text, sizeof a->text, "%s", path);
    return 0;
}

int sock_bind(const struct sock_addr *a, int type, struct err *e)
{
    int one = 1, code;
    int fd = socket(a->sa.ss_family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd < 0)
        return err_set(e, -errno, "%s: %s", a->text, strerror(errno));
    if (a->sa.ss_family == AF_UNIX)
        unlink(((const struct sockaddr_un *)&a->sa)->sun_path);
    else
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(fd, (const struct sockaddr *)&a->sa, a->len) == 0 &&
        (type != SOCK_STREAM || listen(fd, 1) == 0))
        return fd;
    code = errno;
    close(fd);
    return err_set(e, -code, "%s: %s", a->text, strerror(code));
}
