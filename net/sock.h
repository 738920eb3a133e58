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

/** sock_host_port() - resolve "HOST:PORT"; @passive: to be bound, an empty host is any address */
int sock_host_port(struct sock_addr *a, const char *text, int type, bool passive,
                   struct err *e) MUST_CHECK;
/**
 * sock_props() - an address in properties: @prefix.type=inet with .host .port .ipv4 .ipv6 .numeric,
 * or unix with .path .abstract .tight
 * Returns 0, or -errno with @e set, also when there is none.
 */
int sock_props(struct sock_addr *a, struct net_props *ps, const char *prefix, int type, bool passive,
               struct err *e) MUST_CHECK;
/** sock_fd() - a socket that was handed over: its number, and SO_TYPE in @type; from now on
 *  non-blocking. -EINVAL with @e set */
int sock_fd(const char *text, int *type, struct err *e) MUST_CHECK;
/** sock_bind() - a non-blocking socket bound to @a, listening when of a stream; @shared: others
 *  may have the same port (multicast)
 *  -errno with @e naming the address (and so the port) */
int sock_bind(const struct sock_addr *a, int type, bool shared, struct err *e) MUST_CHECK;
/** sock_unlink() - the file of a unix socket that was bound goes */
void sock_unlink(const struct sock_addr *a);

#endif
