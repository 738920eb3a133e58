/*
 * net-int.h - shared by the back ends
 */
#ifndef NET_NET_INT_H
#define NET_NET_INT_H

#include "net/net.h"

#define NET_MAX_PROPS 64

/** struct net_props - "a=1,b=2,b=3" taken apart; keys may repeat */
struct net_props {
    char *text;              /* owned; keys and values point into it */
    unsigned n;
    struct { const char *key, *val; bool used; } p[NET_MAX_PROPS];
};

/** props_parse() - ",," is a comma in a value; 0 or -E2BIG with @e set */
int props_parse(struct net_props *ps, const char *spec, struct err *e) MUST_CHECK;
void props_free(struct net_props *ps);
/** props_get() - last value of @key, marked as used, or @def */
const char *props_get(struct net_props *ps, const char *key, const char *def);
/** props_next() - the values of a repeated key in turn; *@i starts at 0 */
const char *props_next(struct net_props *ps, const char *key, unsigned *i);
/** props_bool() - on/off; -EINVAL with @e set */
int props_bool(struct net_props *ps, const char *key, bool def, bool *v, struct err *e) MUST_CHECK;
int props_number(struct net_props *ps, const char *key, unsigned long max, long def, long *v,
                 struct err *e) MUST_CHECK;

/** props_check() - 0, or -EINVAL with @e naming a key that is not used yet and not in @list (words) */
int props_check(const char *kind, const char *list, struct net_props *ps, struct err *e) MUST_CHECK;

/* constructors: NULL with @e set, or a port */
typedef struct netport *net_make(struct net *n, const char *id, struct net_props *ps,
                                 struct err *e);
net_make net_user_new, net_tap_new, net_bridge_new, net_socket_new, net_stream_new,
    net_dgram_new, net_hubport_new, net_null_new;
/** net_dgram_fd() - over a connected datagram socket, which becomes its own */
struct netport *net_dgram_fd(struct net *n, const char *id, int fd);

#endif
