/*
 * chr-addr.h - where a socket back end listens or connects to
 */
#ifndef UI_CHR_ADDR_H
#define UI_CHR_ADDR_H

#include "ui/chardev-int.h"

/** struct sock_addr - one of: path, host and port, fd */
struct sock_addr {
    char *path, *host, *port;    /* owned; NULL: not that */
    int fd;                      /* inherited, until it is used; -1: none */
    char shown[112];             /* Unix path of that, or "" */
    unsigned to;                 /* a server takes the first free port up to this */
    bool ipv4, ipv6;             /* false: not that family */
    bool unlink;                 /* a Unix server's path goes with it */
};

/** sock_addr_parse() - from path=, host=, port=, fd=, to=, ipv4=, ipv6=
 *  @server: port= alone means all addresses. -EINVAL with @e set; @a is then empty. */
int sock_addr_parse(struct sock_addr *a, const struct chr_spec *s, bool server,
                    struct err *e) MUST_CHECK;
/** sock_addr_open() - listen, or connect and wait for it; a descriptor or -errno with @e set */
int sock_addr_open(struct sock_addr *a, bool server, const char *what, struct err *e);
/** sock_addr_connect() - a client's descriptor, *@pending when it is not connected yet; -errno */
int sock_addr_connect(const struct sock_addr *a, bool no_wait, bool *pending);
/** sock_addr_describe() - "unix:PATH,server=on"; owned by the caller */
char *sock_addr_describe(const struct sock_addr *a, bool server, bool telnet);
/** sock_addr_free() - also removes the path of a server */
void sock_addr_free(struct sock_addr *a);

#endif
