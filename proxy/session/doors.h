/*
 * How many connections that have not finished their start-up each address has, and how many cancel
 * requests of them (another table). Of the plane, shared by the workers: a client may come back to
 * any of them. An IPv6 network of 64 bits counts as one address, an IPv4 address mapped into IPv6
 * as itself; Unix sockets have none and are not counted.
 *
 * An address is kept while it has such connections, so startup_open_max bounds the table.
 */
#ifndef SEGUE_SESSION_DOORS_H
#define SEGUE_SESSION_DOORS_H

#include <stdbool.h>
#include <stddef.h>

#include "segue/net/address.h"

struct sess_doors;

struct sess_doors *sess_doors_new(void);
void sess_doors_free(struct sess_doors *doors);

/* One more; false when the address has `max` already, and then it is not counted. Any thread. */
bool sess_doors_enter(struct sess_doors *doors, const struct net_address *address, unsigned max);

/* One less; once for each that has entered. */
void sess_doors_leave(struct sess_doors *doors, const struct net_address *address);

size_t sess_doors_count(struct sess_doors *doors); /* addresses in the table */

#endif
