#include "segue/net/address.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "segue/base/mem.h"
#include "segue/net/unix.h"

#define BACKLOG 1024

static const struct sockaddr_in *v4(const struct net_address *a)
{
    return (const struct sockaddr_in *)&a->sa;
}

static const struct sockaddr_in6 *v6(const struct net_address *a)
{
    return (const struct sockaddr_in6 *)&a->sa;
}

/* As /proc/net/unix writes it: @ begins an abstract one. */
static const char *unix_path(const struct net_address *address)
{
    const struct sockaddr_un *un = (const struct sockaddr_un *)&address->sa;

    if (address->len <= offsetof(struct sockaddr_un, sun_path))
        return "unix";
    return un->sun_path[0] ? un->sun_path : "unix (abstract)";
}

/* As it is written behind a link-local address: which of the machine's links is meant. */
static void zone_text(const struct sockaddr_in6 *of, char out[IF_NAMESIZE + 1])
{
    out[0] = of->sin6_scope_id ? '%' : '\0';
    if (of->sin6_scope_id && !if_indextoname(of->sin6_scope_id, out + 1))
        snprintf(out + 1, IF_NAMESIZE, "%u", (unsigned)of->sin6_scope_id);
}

void net_address_text(const struct net_address *address, char *out)
{
    char host[INET6_ADDRSTRLEN] = "", zone[IF_NAMESIZE + 1];

    switch (address->sa.ss_family) {
    case AF_INET:
        inet_ntop(AF_INET, &v4(address)->sin_addr, host, sizeof(host));
        snprintf(out, NET_ADDRESS_TEXT, "%s:%u", host, ntohs(v4(address)->sin_port));
        break;
    case AF_INET6:
        inet_ntop(AF_INET6, &v6(address)->sin6_addr, host, sizeof(host));
        zone_text(v6(address), zone);
        snprintf(out, NET_ADDRESS_TEXT, "[%s%s]:%u", host, zone, ntohs(v6(address)->sin6_port));
        break;
    default:
        snprintf(out, NET_ADDRESS_TEXT, "%s", unix_path(address));
        break;
    }
}

void net_address_host(const struct net_address *address, char *out)
{
    switch (address->sa.ss_family) {
    case AF_INET:
        inet_ntop(AF_INET, &v4(address)->sin_addr, out, NET_ADDRESS_HOST);
        break;
    case AF_INET6:
        inet_ntop(AF_INET6, &v6(address)->sin6_addr, out, NET_ADDRESS_HOST);
        break;
    default:
        snprintf(out, NET_ADDRESS_HOST, "local");
        break;
    }
}

void net_address_unmap(struct net_address *address)
{
    struct sockaddr_in6 was = *v6(address);
    struct sockaddr_in *is = (struct sockaddr_in *)&address->sa;

    if (was.sin6_family != AF_INET6 || !IN6_IS_ADDR_V4MAPPED(&was.sin6_addr))
        return;
    memset(&address->sa, 0, sizeof(address->sa));
    is->sin_family = AF_INET;
    is->sin_port = was.sin6_port;
    memcpy(&is->sin_addr, &was.sin6_addr.s6_addr[12], sizeof(is->sin_addr));
    address->len = sizeof(*is);
}

bool net_address_is_loopback(const struct net_address *address)
{
    const struct in6_addr *six = &v6(address)->sin6_addr;

    switch (address->sa.ss_family) {
    case AF_INET:
        return ntohl(v4(address)->sin_addr.s_addr) >> 24 == 127;
    case AF_INET6:
        return IN6_IS_ADDR_LOOPBACK(six) || (IN6_IS_ADDR_V4MAPPED(six) && six->s6_addr[12] == 127);
    default:
        return address->sa.ss_family == AF_UNIX;
    }
}

/* Splits "host:port" or "[host]:port" in place; false when there is no port. */
static bool split(char *text, char **host, char **port)
{
    char *colon = strrchr(text, ':');
    char *close = strchr(text, ']');

    if (!colon || (text[0] == '[' && (!close || colon != close + 1)))
        return false;
    *colon = '\0';
    *port = colon + 1;
    *host = text;
    if (text[0] == '[') {
        *close = '\0';
        *host = text + 1;
    }
    return (*port)[0] != '\0';
}

/* One socket for IPv4 and IPv6, where the machine has the latter. */
static bool any_dual(const char *port, struct net_address *out)
{
    struct sockaddr_in6 *any = (struct sockaddr_in6 *)&out->sa;
    int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
    char *end;
    unsigned long number = strtoul(port, &end, 10);

    if (fd < 0)
        return false;
    close(fd);
    memset(out, 0, sizeof(*out));
    any->sin6_family = AF_INET6;
    any->sin6_port = htons((uint16_t)number);
    out->len = sizeof(*any);
    out->dual = true;
    return !*end && number <= UINT16_MAX;
}

/* Of ::1 and 127.0.0.1, which both are "localhost", a machine without IPv6 has one. */
static bool is_here(const struct net_address *address)
{
    struct net_address any_port = *address;
    int fd = socket(address->sa.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool here;

    if (fd < 0)
        return false;
    if (address->sa.ss_family == AF_INET)
        ((struct sockaddr_in *)&any_port.sa)->sin_port = 0;
    else
        ((struct sockaddr_in6 *)&any_port.sa)->sin6_port = 0;
    here = bind(fd, (struct sockaddr *)&any_port.sa, any_port.len) == 0 || errno != EADDRNOTAVAIL;
    close(fd);
    return here;
}

static bool is_among(const struct net_address *address, const struct net_address *list, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (net_address_same(address, &list[i]))
            return true;
    }
    return false;
}

/* At least one is taken: what is wrong with it shows when it is opened. */
static size_t take_found(const struct addrinfo *found, struct net_address *out)
{
    size_t n = 0;

    for (const struct addrinfo *at = found; at && n < NET_ADDRESSES_MAX; at = at->ai_next) {
        struct net_address one = {.len = at->ai_addrlen};

        memcpy(&one.sa, at->ai_addr, at->ai_addrlen);
        if (!is_among(&one, out, n) && (!found->ai_next || is_here(&one)))
            out[n++] = one;
    }
    if (!n) {
        out[0] = (struct net_address){.len = found->ai_addrlen};
        memcpy(&out[0].sa, found->ai_addr, found->ai_addrlen);
    }
    return n ? n : 1;
}

size_t net_listen_parse_all(const char *text, struct net_address *out, struct err *err)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
    struct addrinfo *found = NULL;
    char *copy = mem_strdup(text);
    char *host, *port;
    size_t n = 0;
    int why;

    if (text[0] == '/') {
        free(copy);
        return net_unix_parse(text, out, err) == RC_OK;
    }
    if (!split(copy, &host, &port)) {
        err_set(err, "22023", "cannot listen on \"%s\"", text);
        err_hint(err, "write host:port, for example 127.0.0.1:6432");
        goto out;
    }
    if (!host[0] || strcmp(host, "*") == 0)
        host = NULL;
    if (!host && any_dual(port, out)) {
        n = 1;
        goto out;
    }
    why = getaddrinfo(host, port, &hints, &found);
    if (why != 0) {
        err_set(err, "22023", "cannot listen on \"%s\": %s", text, gai_strerror(why));
        goto out;
    }
    n = take_found(found, out);
out:
    if (found)
        freeaddrinfo(found);
    free(copy);
    return n;
}

enum rc net_listen_parse(const char *text, struct net_address *out, struct err *err)
{
    struct net_address all[NET_ADDRESSES_MAX];

    if (!net_listen_parse_all(text, all, err))
        return RC_ERR;
    *out = all[0];
    return RC_OK;
}

/* The lock comes first; what is bound is connected to by those that the mode lets. */
static int listen_unix(const struct net_address *address, unsigned unix_mode, struct err *err)
{
    const struct sockaddr_un *un = (const struct sockaddr_un *)&address->sa;
    int fd;

    if (net_unix_claim(address, err) != RC_OK)
        return -1;
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd >= 0 && bind(fd, (const struct sockaddr *)un, address->len) == 0 &&
        chmod(un->sun_path, unix_mode) == 0)
        return fd;
    err_set(err, "58000", "cannot listen on %s: %s", un->sun_path, strerror(errno));
    if (fd >= 0)
        close(fd);
    net_unix_release(address);
    return -1;
}

/* -1: errno. */
static int bind_tcp(const struct net_address *address, bool shared)
{
    int one = 1, v6only = !address->dual;
    int fd = socket(address->sa.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int why;

    if (fd < 0)
        return -1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    if (address->sa.ss_family == AF_INET6)
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &v6only, sizeof(v6only));
    if ((!shared || setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof(one)) == 0) &&
        bind(fd, (const struct sockaddr *)&address->sa, address->len) == 0)
        return fd;
    why = errno;
    close(fd);
    errno = why;
    return -1;
}

static void set_refused(const struct net_address *address, struct err *err)
{
    int why = errno;
    char text[NET_ADDRESS_TEXT];

    net_address_text(address, text);
    err_set(err, why == EADDRINUSE ? "55006" : "58000", "cannot listen on %s: %s", text,
            strerror(why));
}

int net_listen_open(struct net_address *address, unsigned unix_mode, struct err *err)
{
    int fd;

    if (address->sa.ss_family == AF_UNIX)
        return listen_unix(address, unix_mode, err);
    fd = bind_tcp(address, true);
    address->len = fd < 0 ? address->len : sizeof(address->sa);
    if (fd >= 0 && getsockname(fd, (struct sockaddr *)&address->sa, &address->len) == 0)
        return fd;
    set_refused(address, err);
    if (fd >= 0)
        close(fd);
    return -1;
}

/* One that is bound and does not listen yet is nobody's: SO_REUSEADDR. */
enum rc net_listen_check(const struct net_address *address, struct err *err)
{
    int fd;

    if (address->sa.ss_family == AF_UNIX) /* its lock file says who does */
        return RC_OK;
    fd = bind_tcp(address, false);
    if (fd < 0) {
        set_refused(address, err);
        return RC_ERR;
    }
    close(fd);
    return RC_OK;
}

enum rc net_listen_start(int fd, const struct net_address *address, struct err *err)
{
    if (listen(fd, BACKLOG) == 0)
        return RC_OK;
    set_refused(address, err);
    return RC_ERR;
}

/* The address of either is [::]. */
static bool is_dual(int fd, const struct net_address *address)
{
    int v6only = 1;
    socklen_t len = sizeof(v6only);

    return address->sa.ss_family == AF_INET6 &&
           getsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &v6only, &len) == 0 && !v6only;
}

enum rc net_listen_adopt(int fd, struct net_address *out, struct err *err)
{
    int listening = 0, type = 0;
    socklen_t len = sizeof(int);

    *out = (struct net_address){.len = sizeof(out->sa)};
    if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &len) < 0 || !listening ||
        getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) < 0 || type != SOCK_STREAM ||
        getsockname(fd, (struct sockaddr *)&out->sa, &out->len) < 0 ||
        fcntl(fd, F_SETFL, O_NONBLOCK) < 0) {
        err_set(err, "08P01", "a descriptor that was handed over is no listening socket");
        return RC_ERR;
    }
    out->dual = is_dual(fd, out);
    return RC_OK;
}

/* 0: none. In network order. */
static in_port_t port_of(const struct net_address *address)
{
    switch (address->sa.ss_family) {
    case AF_INET:
        return v4(address)->sin_port;
    case AF_INET6:
        return v6(address)->sin6_port;
    default:
        return 0;
    }
}

bool net_address_same_port(const struct net_address *a, const struct net_address *b)
{
    return port_of(a) && port_of(a) == port_of(b);
}

bool net_address_same(const struct net_address *a, const struct net_address *b)
{
    char one[NET_ADDRESS_TEXT], other[NET_ADDRESS_TEXT];

    if (a->sa.ss_family != b->sa.ss_family || a->dual != b->dual)
        return false;
    net_address_text(a, one);
    net_address_text(b, other);
    return strcmp(one, other) == 0;
}

enum rc net_connect(const struct net_address *address, int *fd)
{
    int why;

    *fd = socket(address->sa.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (*fd < 0)
        return RC_ERR;
    if (connect(*fd, (const struct sockaddr *)&address->sa, address->len) == 0)
        return RC_OK;
    if (errno == EINPROGRESS)
        return RC_AGAIN;
    why = errno;
    close(*fd);
    *fd = -1;
    errno = why;
    return RC_ERR;
}

int net_connect_check(int fd)
{
    int why = 0;
    socklen_t len = sizeof(why);

    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &why, &len) < 0)
        return errno;
    return why;
}
