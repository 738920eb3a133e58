/* lookup.c - ports and hosts, without a name server */
#include <criterion/criterion.h>
#include <netdb.h>
#include <sys/socket.h>
#include "util/util.h"

static int port_of(const char *port, struct err *e)
{
    struct addrinfo *list;
    char text[16];
    int ret = host_lookup("127.0.0.1", port, SOCK_STREAM, AF_INET, AI_NUMERICHOST, &list, e);

    if (ret < 0)
        return ret;
    cr_assert_eq(getnameinfo(list->ai_addr, list->ai_addrlen, NULL, 0, text, sizeof text, NI_NUMERICSERV), 0);
    freeaddrinfo(list);
    return atoi(text);
}

Test(lookup, ports)
{
    static const char *const wrong[] = { "65536", "99999999", "18446744073709551617", "", "-1" };
    struct err e;

    cr_assert_eq(port_of("0", &e), 0);
    cr_assert_eq(port_of("80", &e), 80);
    cr_assert_eq(port_of("65535", &e), 65535);
    for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
        e.msg[0] = 0;
        cr_assert_eq(port_of(wrong[i], &e), -EINVAL, "%s", wrong[i]);
        cr_assert_neq(e.msg[0], 0);
    }
}

Test(lookup, hosts)
{
    struct addrinfo *list;
    struct err e = { "" };

    cr_assert_eq(host_lookup("no address", "1", SOCK_STREAM, AF_UNSPEC, AI_NUMERICHOST, &list, &e), -EINVAL);
    cr_assert_neq(e.msg[0], 0);
    cr_assert_eq(host_lookup(NULL, "1", SOCK_DGRAM, AF_INET, AI_PASSIVE, &list, &e), 0);
    freeaddrinfo(list);
}
