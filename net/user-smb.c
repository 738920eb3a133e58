/*
 * user-smb.c - smb=FOLDER: a folder of the host, served to the guest by Samba as \\10.0.2.4\qemu
 *
 * libslirp starts smbd for each connection to ports 139 and 445 of an address in the guest's
 * network, the connection being its standard input and output (as from inetd). Configuration and
 * state are in a folder of their own that goes with the back end. Files belong to who runs us.
 *
 * Source: smb.conf(5), smbd(8).
 */
#ifdef CONFIG_SLIRP
#define _GNU_SOURCE 1
#include <ftw.h>
#include <pwd.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include "net/user-int.h"

#define SMBD "/usr/sbin/smbd"
enum { PORT_NETBIOS = 139, PORT_SMB = 445 };

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *at)
{
    return remove(path);
}

void user_smb_free(struct user *u)
{
    if (!u->smb_dir)
        return;
    nftw(u->smb_dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    free(u->smb_dir);
    u->smb_dir = NULL;
}

static int check_folder(const char *folder, struct err *e)
{
    struct stat st;

    if (stat(folder, &st) < 0)
        return err_set(e, -errno, "smb=%s: %s", folder, strerror(errno));
    if (!S_ISDIR(st.st_mode))
        return err_set(e, -ENOTDIR, "smb=%s: not a folder", folder);
    if (strpbrk(folder, "\n%;#"))
        return err_set(e, -EINVAL, "smb=%s: a name with %%, ;, # or a line break cannot be served", folder);
    if (access(SMBD, X_OK) < 0)
        return err_set(e, -ENOENT, "smb=%s: " SMBD " is not there (Debian package samba)", folder);
    return 0;
}

static int write_config(const char *dir, const char *folder, struct err *e)
{
    static const char *const own[] = { "private dir", "pid directory", "lock directory", "state directory",
                                       "cache directory", "ncalrpc dir" };
    const struct passwd *pw = getpwuid(geteuid());
    char *path = xasprintf("%s/smb.conf", dir);
    FILE *f = fopen(path, "we");
    bool ok = f != NULL;

    free(path);
    if (!f)
        return err_set(e, -errno, "smb: %s: %s", dir, strerror(errno));
    fputs("[global]\n", f);
    for (size_t i = 0; i < ARRAY_SIZE(own); i++)
        fprintf(f, "%s = %s\n", own[i], dir);
    fprintf(f, "smb passwd file = %s/smbpasswd\nlog file = %s/log\n"
               "security = user\nmap to guest = Bad User\nload printers = no\nprinting = bsd\n"
               "disable spoolss = yes\nusershare max shares = 0\n"
               "[qemu]\npath = %s\nread only = no\nguest ok = yes\n", dir, dir, folder);
    if (pw)
        fprintf(f, "force user = %s\n", pw->pw_name);
    ok = !ferror(f);
    return fclose(f) == 0 && ok ? 0 : err_set(e, -EIO, "smb: %s: cannot be written", dir);
}

int user_smb(struct user *u, struct net_props *ps, const SlirpConfig *cfg, struct err *e)
{
    const char *folder = props_get(ps, "smb", NULL), *server = props_get(ps, "smbserver", NULL);
    struct in_addr addr = { cfg->vnetwork.s_addr | htonl(4) };
    char dir[] = "/tmp/transom-smb-XXXXXX", *command;
    int ret;

    if (server && (!inet_aton(server, &addr) ||
                   (addr.s_addr & cfg->vnetmask.s_addr) != cfg->vnetwork.s_addr))
        return err_set(e, -EINVAL, "smbserver=%s: an address in the network of net= is wanted", server);
    if (!folder)
        return server ? err_set(e, -EINVAL, "smbserver=%s: smb=FOLDER is missing", server) : 0;
    ret = check_folder(folder, e);
    if (ret < 0)
        return ret;
    if (!mkdtemp(dir))
        return err_set(e, -errno, "smb: %s: %s", dir, strerror(errno));
    u->smb_dir = xstrdup(dir);
    ret = write_config(dir, folder, e);
    if (ret < 0)
        return ret;
    command = xasprintf(SMBD " -l %s -s %s/smb.conf", dir, dir);
    if (slirp_add_exec(u->slirp, command, &addr, PORT_NETBIOS) < 0 ||
        slirp_add_exec(u->slirp, command, &addr, PORT_SMB) < 0)
        ret = err_set(e, -EADDRINUSE, "smb=%s: its address in the guest's network is taken (smbserver=)", folder);
    free(command);
    return ret;
}
#endif
