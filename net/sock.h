/*
 * sock.h - host socket addresses for back ends
 */
#ifndef NET_SOCK_H
#define NET_SOCK_H

#include <sys/socket.h>
#include "net/net-int.h"

struct sock_addr {
    struct sockaddr_storage sa;
    socklen_t len;
    char text[200];          /* for messages */
};

/** sock_inet() - resolve; @passive: to be bound, an empty host is any address */
int sock_inet(struct sock_addr *a, const char *host, const char *port, int type, bool passive,
              struct err *e) MUST_CHECK;
/** sock_host_port() - the same from "HOST:PORT" */
int sock_host_port(struct sock_addr *a, const char *text, int type, bool passive,
                   struct err *e) MUST_CHECK;
int sock_unix(struct sock_addr *a, const char *path, struct err *e) MUST_CHECK;
/** sock_bind() - a non-blocking socket bound to @a, listening when of a stream;
 *  -errno with @e naming the address (and so the port) */
int sock_bind(const struct sock_addr *a, int type, struct err *e) MUST_CHECK;

#endif
