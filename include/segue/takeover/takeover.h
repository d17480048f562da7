/*
 * Restart without loss: a new segue gets the listening sockets of the one that runs.
 *
 *   t = tko_new(&options);
 *   rc = tko_take(t, &err)               only with --takeover: asks the one that runs
 *   sess_plane_start(plane, &err)        with what it gave
 *   tko_begin(t, rc == RC_OK, &err)      says READY, waits for GO, accepts clients
 *   ... options.handed_over(ctx): another segue accepts now; sessions go on ...
 *   tko_free(t)
 *
 * Until the new one says ACCEPTING, with its clients' queues in its hands, the old one accepts as
 * ever: a new one that fails has changed nothing. Afterwards the old one closes its copies, reports
 * how many sessions are left, and is waited for by the new engine before it takes strong locks.
 * A segue that has handed over lives as long as its own predecessor does, without sessions in the
 * end, so that whoever comes last knows of all sessions.
 */
#ifndef SEGUE_TAKEOVER_TAKEOVER_H
#define SEGUE_TAKEOVER_TAKEOVER_H

#include <jansson.h>

#include "segue/base/err.h"
#include "segue/engine/engine.h"
#include "segue/session/plane.h"

struct tko;

struct tko_options {
    const char *control_socket; /* "": @segue. and the first listen address. Copied */
    const char *listen;         /* as sess_options.listen. Copied */
    struct sess_plane *plane;
    struct eng_engine *engine;
    void (*handed_over)(void *ctx); /* from the takeover's thread, once; not after tko_end */
    bool (*told_to_end)(void);      /* asked in tko_begin: then nothing is taken over */
    void *ctx;
};

struct tko *tko_new(const struct tko_options *options);

/* Asks the segue that runs for its sockets and gives them to the plane. RC_AGAIN: none runs here
 * (err says where it was looked for). RC_ERR: it refused, or somebody else is there. */
enum rc tko_take(struct tko *t, struct err *err) MUST_CHECK;

/* The plane has started: lets clients in, in agreement with the predecessor if there is one, and
 * from then on answers whoever wants to take over. RC_ERR: nobody was let in. */
enum rc tko_begin(struct tko *t, struct err *err) MUST_CHECK;

/* Our sessions are about to end, and we with them: whoever asks from now on is refused. A takeover
 * under way goes on, so that the successor's engine waits for our sessions. */
void tko_end(struct tko *t);
/* Joins the thread. A takeover that is under way fails, reports end: no session may be left. */
void tko_stop(struct tko *t);
void tko_free(struct tko *t); /* NULL is harmless */

/* ---- after handing over ---- */

pid_t tko_successor(struct tko *t);   /* 0: none */
pid_t tko_predecessor(struct tko *t); /* that still lives; 0: none */
/* There are both, and only we tell the one of the other's sessions. */
bool tko_relays(struct tko *t);
void tko_report(struct tko *t, unsigned left_s, bool working); /* what the successor is told */

/* SHOW TAKEOVER: {"columns", "rows"}: one row a process. Caller decrefs. */
json_t *tko_show(struct tko *t);

#endif
