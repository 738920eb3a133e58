/*
 * user-int.h - user networking: the port, its configuration and forwards
 */
#ifndef NET_USER_INT_H
#define NET_USER_INT_H

#include <slirp/libslirp.h>
#include "net/net-int.h"

#define USER_KNOWN 0x4000    /* in known[].events: in the epoll set, even for nothing */

struct user_fwd;

struct user {
    struct netport port;
    Slirp *slirp;
    int epoll_fd, kick_fd;
    bool dirty;                      /* kick_fd has been written */
    struct timer timer;
    struct pollfd *fds;              /* of the last slirp_pollfds_fill() */
    unsigned n_fds, cap_fds;
    struct { short events; uint32_t round; } *known; /* by descriptor: the epoll set */
    unsigned n_known;
    uint32_t round;
    const char **dnssearch;          /* NULL-terminated; owned, strings are not */
    struct user_fwd *fwds;
    char *smb_dir;                   /* configuration of smbd, or NULL */
};

/** user_is() - whether @p is a user back end */
bool user_is(const struct netport *p);
/** user_config() - properties to @cfg, whose strings are those of @ps */
int user_config(struct user *u, struct net_props *ps, SlirpConfig *cfg, struct err *e) MUST_CHECK;
/** user_forwards() - hostfwd= and guestfwd= */
int user_forwards(struct user *u, struct net_props *ps, struct err *e) MUST_CHECK;
/** user_fwd_resume() - go on reading for guestfwd= where the guest has room again */
void user_fwd_resume(struct user *u);
void user_fwd_free(struct user *u);
/** user_smb() - smb= and smbserver= (user-smb.c); user_smb_free() also after an error */
int user_smb(struct user *u, struct net_props *ps, const SlirpConfig *cfg, struct err *e) MUST_CHECK;
void user_smb_free(struct user *u);

#endif
