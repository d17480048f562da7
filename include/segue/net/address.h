/*
 * Addresses: where to connect to and where to listen.
 *
 * Names are resolved by a thread of their own: at the start, then every ten seconds, and at once
 * when whoever connects reports a failure. Address literals and Unix sockets need no thread.
 */
#ifndef SEGUE_NET_ADDRESS_H
#define SEGUE_NET_ADDRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

#include "segue/base/err.h"

#define NET_ADDRESSES_MAX 8
#define NET_ADDRESS_TEXT 128
#define NET_ADDRESS_HOST 48

struct net_address {
    struct sockaddr_storage sa;
    socklen_t len; /* 0: none */
    bool dual;     /* to be listened on for IPv4 as well as IPv6 */
};

/* "127.0.0.1:6432", "[::1]:6432", "/directory/.s.PGSQL.6432", or "unix" for one without a name,
 * into `out` (NET_ADDRESS_TEXT bytes). */
void net_address_text(const struct net_address *address, char *out);

/* "127.0.0.1", "::1", or "local" for a Unix socket, into `out` (NET_ADDRESS_HOST bytes). */
void net_address_host(const struct net_address *address, char *out);

/* Have both a port, and the same? */
bool net_address_same_port(const struct net_address *a, const struct net_address *b);

/* Does one text mean both, and the same families? */
bool net_address_same(const struct net_address *a, const struct net_address *b);

/* 127.0.0.0/8, ::1 (also mapped), or a Unix socket. */
bool net_address_is_loopback(const struct net_address *address);

/* ---- where to listen ---- */

/* An IPv4 address inside an IPv6 one becomes the former: what a dual socket accepts. */
void net_address_unmap(struct net_address *address);

/* Resolves one "host:port", "[v6]:port" or "/directory:port"; "*" and "" mean any address, of IPv4
 * and of IPv6. Blocks. */
enum rc net_listen_parse(const char *text, struct net_address *out, struct err *err) MUST_CHECK;

/* The same, with all that a name stands for, but those that this machine does not have; `out` takes
 * NET_ADDRESSES_MAX. Returns how many; 0: err. */
size_t net_listen_parse_all(const char *text, struct net_address *out, struct err *err);

/* A non-blocking socket, bound: with SO_REUSEPORT, or a Unix socket with these permissions, of
 * which there can be one (net/unix.h gives it back). With port 0 the chosen port is written back
 * into `address`. Returns -1 with err. */
int net_listen_open(struct net_address *address, unsigned unix_mode, struct err *err) MUST_CHECK;

/* RC_ERR: somebody listens there. SO_REUSEPORT would let us in beside another process of our user,
 * and the kernel would deal the clients out between both. */
enum rc net_listen_check(const struct net_address *address, struct err *err) MUST_CHECK;

/* From here on clients can connect: whoever does this must mean to accept. */
enum rc net_listen_start(int fd, const struct net_address *address, struct err *err) MUST_CHECK;

/* A listening socket that another process opened: checks that it is one, and tells its address. */
enum rc net_listen_adopt(int fd, struct net_address *out, struct err *err) MUST_CHECK;

/* ---- where to connect to ---- */

struct net_resolver;

/* `host`: name, literal, or a directory with a slash in front (Unix socket; @: abstract). Resolves
 * once, which blocks for 2 s at most; a name that does not resolve now is an error only when it is
 * malformed. Freeing does not wait for a lookup that is under way. */
struct net_resolver *net_resolver_new(const char *host, const char *port, struct err *err);
void net_resolver_free(struct net_resolver *resolver);

/* Copies what is known now, at most NET_ADDRESSES_MAX; never blocks on the network. */
size_t net_resolver_get(struct net_resolver *resolver, struct net_address *out);

/* Why nothing is known, in words. */
void net_resolver_why(struct net_resolver *resolver, char *out, size_t size);

/* A connection attempt failed: ask again soon. */
void net_resolver_failed(struct net_resolver *resolver);

/* Starts a non-blocking connect. RC_OK: connected already; RC_AGAIN: wait until *fd is writable,
 * then net_connect_check; RC_ERR: errno (no descriptor). */
enum rc net_connect(const struct net_address *address, int *fd) MUST_CHECK;
int net_connect_check(int fd); /* 0 or the errno of the attempt */

#endif
