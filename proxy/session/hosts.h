/*
 * The upstream's hosts: their addresses, what each is (primary, standby, away), which of them a new
 * session may go to. Private to this layer.
 *
 * A session's start-up is passed on as it is, so that what a host is must be known before: one
 * thread a host asks it (sess_upstream_options.probe), every other second, and at once when a
 * connection to it fails; as long as sessions want to go somewhere, and for ten seconds behind
 * that. The first one that comes later waits for an answer (sess_hosts_asking). With target "any"
 * nobody is asked, and an only host when it has shown at a login that it does not fit (check.c),
 * and not otherwise. Workers read atomics and never wait.
 */
#ifndef SEGUE_SESSION_HOSTS_H
#define SEGUE_SESSION_HOSTS_H

#include <stdint.h>

#include <jansson.h>

#include "segue/base/buf.h"
#include "segue/net/address.h"
#include "segue/session/options.h"

#define SESS_HOST_WHY 256

struct sess_hosts;

/* Deep copy: strings are `to`'s until sess_upstream_options_fini. */
void sess_upstream_options_copy(struct sess_upstream_options *to,
                                const struct sess_upstream_options *from);
void sess_upstream_options_fini(struct sess_upstream_options *options);

/* Resolves (blocks) and starts the threads. `options` must outlive it. */
struct sess_hosts *sess_hosts_new(const struct sess_upstream_options *options, struct err *err);
void sess_hosts_free(struct sess_hosts *hosts); /* NULL is harmless */

/* The hosts that a new session may try, in this order; returns how many. Those that fit first, then
 * those that cannot be asked. Who calls it wants to know: hosts are asked from then on. */
size_t sess_hosts_order(struct sess_hosts *hosts, uint8_t out[SESS_HOSTS_MAX]);

/* Is an answer still to come? Then the order will perhaps have more. */
bool sess_hosts_asking(const struct sess_hosts *hosts);

/* At most NET_ADDRESSES_MAX; 0: why (SESS_HOST_WHY bytes) says why there is none. */
size_t sess_hosts_addresses(struct sess_hosts *hosts, size_t host, struct net_address *out,
                            char *why);

/* sess_plane_leads_to */
bool sess_hosts_lead_to(struct sess_hosts *hosts, const char *name, const char *port,
                        const char *address);

/* Is what a server says of itself at login held against the target? */
bool sess_hosts_judged(const struct sess_hosts *hosts);

/* What this host has said at a login; UNKNOWN: nothing. False: it does not fit, at least for this
 * session. Then all are asked soon. */
bool sess_hosts_told(struct sess_hosts *hosts, size_t host, enum sess_role role);

/* No connection to this host could be made: it is asked again soon, and SHOW UPSTREAMS says why. */
void sess_hosts_failed(struct sess_hosts *hosts, size_t host, const char *why);

/* Appends the hosts and what they are: "\"a\", port 5432 is standby; ..." */
void sess_hosts_say(struct sess_hosts *hosts, struct buf *out);

/* Sessions on it. */
void sess_hosts_count(struct sess_hosts *hosts, size_t host, int by);

/* {"columns": [...], "rows": [[...]]} (SHOW UPSTREAMS). Caller decrefs. */
json_t *sess_hosts_show(struct sess_hosts *hosts);

const char *sess_target_name(enum sess_target target);
const char *sess_role_name(enum sess_role role);

#endif
