/*
 * The data plane as the control plane sees it: the three meeting points of DESIGN 2, and start
 * and stop. Rules are published, the gate is closed and opened, observations are read. All calls
 * are safe from any thread that is not a worker; none blocks a worker.
 *
 *   plane = sess_plane_new(&options, &console, ctx, &err); sess_plane_start(plane); ...
 *   sess_plane_accept(plane, &err); sess_plane_publish(plane, rules_or_null, 0, 0, 0); ...
 *   sess_gate_close(plane, mask, 2000); rc = sess_gate_drain(plane, mask, 1000, NULL);
 *   ... the lock, the COMMIT ...; sess_plane_publish(plane, rules, changes, settled, position);
 * sess_gate_open(plane);
 *
 * How it works: rules and gate travel together as one immutable word of state that each worker
 * picks up from its mailbox; a worker acknowledges by storing the number it has seen. A worker
 * opens the gate by itself when the hard deadline has passed, whatever happens to the engine.
 */
#ifndef SEGUE_SESSION_PLANE_H
#define SEGUE_SESSION_PLANE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "segue/base/err.h"
#include "segue/base/hist.h"
#include "segue/net/address.h"
#include "segue/session/console.h"
#include "segue/session/options.h"
#include "segue/session/usage.h"
#include "segue/sql/rules.h"

struct sess_plane;
struct wire_key;

/* Copies what it needs and reads the files that the options name. `console` may be NULL (no virtual
 * database); its table must outlive. NULL with err: a file, or options that contradict. */
struct sess_plane *sess_plane_new(const struct sess_options *options,
                                  const struct sess_console_ops *console, void *console_ctx,
                                  struct err *err);

/* Resolves, binds, starts the worker threads; nobody is let in yet. */
enum rc sess_plane_start(struct sess_plane *plane, struct err *err) MUST_CHECK;

/* From here on clients are served. */
enum rc sess_plane_accept(struct sess_plane *plane, struct err *err) MUST_CHECK;

/* "127.0.0.1:6432" of the first listener after start (the real port when 0 was asked). */
const char *sess_plane_address(const struct sess_plane *plane);
/* The same of all that are configured: "127.0.0.1:6432, /run/segue/.s.PGSQL.6432". */
const char *sess_plane_addresses(const struct sess_plane *plane);

/* Stops accepting; sessions go on to their end, idle ones (safe point) are closed with 57P01
 * at once, the rest at their next safe point or at the deadline. Returns when all are gone. */
void sess_plane_drain(struct sess_plane *plane, unsigned deadline_ms);
/* Makes a running sess_plane_drain end now (second SIGTERM). Async-signal-safe. */
void sess_plane_drain_now(struct sess_plane *plane);
/* ---- from process to process (takeover/takeover.h) ---- */

/* Before the start: listening sockets of another process, all of which are taken (and closed with
 * the plane). Those whose address is not configured are served until their queue is empty. */
void sess_plane_adopt(struct sess_plane *plane, const int *fds, size_t n);

/* Copies of the descriptors that listen now; the caller closes each and frees the array. 0 with
 * err: none, or no descriptor is left for them. */
size_t sess_plane_listeners(struct sess_plane *plane, int **fds, struct err *err);

/* Sessions now, start-ups included. From any thread. */
unsigned sess_plane_left(struct sess_plane *plane);

/* Is anybody there, start-ups included, but those of the console? From any thread. */
bool sess_plane_has_clients(struct sess_plane *plane);

/* Is `address` (of digits, as libpq's PQhostaddr) one to which the upstream's host of this name and
 * port leads now? True, too, where nothing is known of it. From any thread, after the start. */
bool sess_plane_leads_to(struct sess_plane *plane, const char *name, const char *port,
                         const char *address);

/* Another process has copies of our listening sockets, and may serve them when we have ended: the
 * paths of Unix sockets stay. */
void sess_plane_give(struct sess_plane *plane);

/* That process has gone. `at_them`: it was let in beside us: lock files and permissions of Unix
 * sockets are ours again. */
void sess_plane_keep(struct sess_plane *plane, bool at_them);

/* Those that were given to us stay another process's: their paths are left alone. */
void sess_plane_disown(struct sess_plane *plane);

/* Another process has the listening sockets: closes ours. Sessions live on, idle ones too; those
 * of the console end with 57P01 when they are idle. False: a worker is stuck, some are open. */
bool sess_plane_release(struct sess_plane *plane);

/* Cancel requests for statements that another process holds: the server knows nothing of them. */
/* In an asker's id: it was told already that the server is to be told, and has done so. */
#define SESS_CANCEL_AGAIN (UINT64_C(1) << 63)
struct sess_cancel_asker { /* waits to be told what becomes of one; read by whoever has made it */
    uint64_t id;
    uint32_t hops;
};
enum sess_cancel_is {
    SESS_CANCEL_ELSEWHERE, /* not held here: the server is to be told */
    SESS_CANCEL_HELD,      /* it is; another answer follows, when that has an end */
    SESS_CANCEL_DONE,      /* it will not run; or, asked again: it runs no more */
};
struct sess_cancel_ops { /* on any thread; must not block */
    /* No session here has this key. False: there is nobody to ask. Else one sess_plane_cancel_is
     * follows, or none. */
    bool (*ask)(void *ctx, uint64_t asker, const struct wire_key *key);
    void (*answer)(void *ctx, struct sess_cancel_asker asker, enum sess_cancel_is how);
};
/* Before the start. Until sess_plane_free. */
void sess_plane_on_cancel(struct sess_plane *plane, const struct sess_cancel_ops *ops, void *ctx);
void sess_plane_cancel_is(struct sess_plane *plane, uint64_t asker, enum sess_cancel_is how);
/* Another process asks. False: no session has this key; else `answer` is called. */
bool sess_plane_cancel(struct sess_plane *plane, const struct wire_key *key,
                       struct sess_cancel_asker asker);

void sess_plane_free(struct sess_plane *plane); /* joins the workers */

/* SIGHUP: new limits, certificates and users for new sessions; listen, workers and the upstream
 * cannot change. RC_ERR: err, and nothing has changed. */
enum rc sess_plane_reload(struct sess_plane *plane, const struct sess_options *options,
                          struct err *err) MUST_CHECK;
/* Returns when every worker goes by them, or after one second (a warning: a worker is stuck). No
 * lock may be held that a worker takes. */
void sess_plane_reloaded(struct sess_plane *plane);

/* ---- 1. rules ---- */

/* Takes the caller's reference (NULL: no migration). `changes`: sess_plane_changes() before the
 * catalog was read for them; `settled`: the same, before it was seen last that no open transaction
 * had made a relation, while nothing was unjudged. `position`: in the WAL, behind what they tell
 * of; 0: not known. A session on a standby that has not replayed so far stays with the rules
 * before, unless these are as true there. Returns when every worker works by it, or after one
 * second (then false: a worker is stuck). */
bool sess_plane_publish(struct sess_plane *plane, struct sql_rules *rules, uint64_t changes,
                        uint64_t settled, uint64_t position);

/* From the start to the first publishing sessions may log in, but statements wait: for
 * options.rules_wait_ms at most from the first one on, then they pass as they are. This ends the
 * waiting at once: the rules cannot be known. Harmless after the first publishing. */
void sess_plane_unknown(struct sess_plane *plane);

/* Has either of both happened? */
bool sess_plane_informed(struct sess_plane *plane);

/* Before the start: `asked` is called on a worker's thread when a statement waits for the first
 * rules, and when sess_plane_changes has grown. It must not block. */
void sess_plane_on_asked(struct sess_plane *plane, void (*asked)(void *ctx), void *ctx);

/* How often clients have done what may have changed the catalog that the rules were made from, or
 * have met signs of such a change; counted while there are rules. */
uint64_t sess_plane_changes(const struct sess_plane *plane);

/* ---- 2. gate ---- */

/* Holds the start of every transaction that may touch a table in `mask`, for at most
 * hold_ms_max: then workers open by themselves. Returns when every worker obeys (false: stuck,
 * the gate is open again). One gate at a time; closing a closed gate is a programming error. */
bool sess_gate_close(struct sess_plane *plane, uint64_t mask, unsigned hold_ms_max);

/* Of a closed gate, `names` of its mask are about to change what statements name, which would be
 * found on one side alone: a statement that may name one is also held within a transaction, unless
 * that has touched one before (then the gate is not drained while it lasts). Drain it behind this.
 * false: a worker is stuck, the gate as it was for others. */
bool sess_gate_close_names(struct sess_plane *plane, uint64_t names);

/* Whether the names of such a gate have changed is not known, for the next `ms`: past the hard
 * deadline all else passes, but a statement that may name one of those tables stays held. Said
 * again, it lasts longer; with the opening of the gate it ends. */
void sess_gate_doubt(struct sess_plane *plane, unsigned ms);

/* RC_OK: no open transaction has touched the tables. RC_AGAIN: deadline, or *give_up became true,
 * or a worker has opened by itself. */
enum rc sess_gate_drain(struct sess_plane *plane, uint64_t mask, unsigned deadline_ms,
                        const atomic_bool *give_up) MUST_CHECK;

/* Still closed on every worker? (False once a hard deadline has passed.) */
bool sess_gate_holds(struct sess_plane *plane);

struct sess_gate_report {
    uint64_t held;        /* sessions held since close */
    int64_t stall_us_max; /* longest hold */
    int64_t closed_us;    /* close to open */
    bool expired;         /* a worker opened by itself */
};

/* Opens (harmless when open) and releases sessions in the order they were held. */
void sess_gate_open(struct sess_plane *plane, struct sess_gate_report *report);

/* Backend pids, on the primary, of sessions in an open transaction that touched `mask`; returns how
 * many were written to pids (at most max). For naming who is being waited for. */
size_t sess_gate_waiting_for(struct sess_plane *plane, uint64_t mask, int32_t *pids, size_t max);

/* Does a session wait for an answer to what segue may have written, with columns of these tables?
 * (Not one of which nothing more is known than that it may touch them.) */
bool sess_gate_answering(struct sess_plane *plane, uint64_t mask);

/* Does a session wait for an answer to what went out before it was known which tables migrate? */
bool sess_gate_unjudged(struct sess_plane *plane);

/* ---- 3. observations ---- */

/* Client latency, first byte of a request to its ReadyForQuery, all workers added up. */
void sess_plane_latency(struct sess_plane *plane, struct hist_copy *out);

/* Who has used which names since the last call: `each` is called for every entry of every worker,
 * which forgets them. */
void sess_plane_usage_take(struct sess_plane *plane,
                           void (*each)(void *ctx, const struct sess_use *use), void *ctx);

/* Backend pids of every session on the primary (so that connections that bypass segue can be told
 * apart). */
size_t sess_plane_backends(struct sess_plane *plane, int32_t *pids, size_t max);

/* What is known here of one backend's session, where the server hides it from segue's role, or is
 * another one than segue asks. */
struct sess_carried {
    int32_t pid;
    char user[64], application[64], upstream[NET_ADDRESS_TEXT]; /* where it is connected to */
    char address[NET_ADDRESS_HOST]; /* of the client, without its port */
    const char *state;              /* as SHOW SESSIONS has it; static */
    double transaction_s;           /* since its transaction began; below 0: it is in none */
};

/* False: no session has this backend on the primary. */
bool sess_plane_carried(struct sess_plane *plane, int32_t pid, struct sess_carried *out);

/* As sess_gate_waiting_for, of sessions on standbys, whose backends are not the primary's. */
size_t sess_gate_waiting_on_standbys(struct sess_plane *plane, uint64_t mask,
                                     struct sess_carried *out, size_t max);

#endif
