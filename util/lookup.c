/*
 * lookup.c - addresses of hosts
 */
#define _GNU_SOURCE 1
#include <netdb.h>
#include <stdlib.h>
#include "util/util.h"

int host_lookup(const char *host, const char *port, int type, int family, int flags, struct addrinfo **list,
                struct err *e)
{
    struct addrinfo hints = { .ai_socktype = type, .ai_family = family, .ai_flags = flags };
    char *end;
    int rc;

    /* the library would take 65536 for 0 */
    if (!*port || (strtoul(port, &end, 10) > 65535 && !*end))
        return err_set(e, -EINVAL, "port '%s' is not from 0 to 65535", port);
    rc = getaddrinfo(host && *host ? host : NULL, port, &hints, list);
    return rc ? err_set(e, -EINVAL, "%s", gai_strerror(rc)) : 0;
}
