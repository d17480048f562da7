/*
 * Unix sockets that are listened on: /directory/.s.PGSQL.PORT, and beside it PostgreSQL's own kind
 * of lock file, whose first line is the process that listens. So that neither segue nor PostgreSQL
 * takes a socket away from the other while that lives, and both remove one that was left behind.
 *
 * Not here: opening the socket (net/address.h). All calls do nothing for other addresses.
 */
#ifndef SEGUE_NET_UNIX_H
#define SEGUE_NET_UNIX_H

#include <stdbool.h>
#include <sys/types.h>

#include "segue/base/err.h"
#include "segue/net/address.h"

/* "/directory:PORT" as an address. RC_ERR 22023: no such form, or too long. */
enum rc net_unix_parse(const char *text, struct net_address *out, struct err *err) MUST_CHECK;
/* The same from its parts; `directory` may begin with @ (abstract). */
enum rc net_unix_address(const char *directory, const char *port, struct net_address *out,
                         struct err *err) MUST_CHECK;

/* Makes the lock file; removes what a process that is dead has left. RC_ERR 55006: somebody lives
 * there, with a lock file or without; 58000 otherwise. */
enum rc net_unix_claim(const struct net_address *address, struct err *err) MUST_CHECK;

/* The socket came from another process, and is now this one's: the lock says so. */
void net_unix_own(const struct net_address *address);

/* Who may connect: these permissions, and the group that they are for ((gid_t)-1: as it is). Also
 * of one that came from another process. RC_ERR: 58000. */
enum rc net_unix_permit(const struct net_address *address, unsigned mode, gid_t group,
                        struct err *err) MUST_CHECK;

/* A group of this system by its name or number; "": (gid_t)-1. False: there is none. */
bool net_unix_group(const char *name, gid_t *out);

/* Both are as young as now: what is old, cleaners of temporary directories take. */
void net_unix_touch(const struct net_address *address);

/* Removes socket and lock file when the lock is still this process's. */
void net_unix_release(const struct net_address *address);

#endif
