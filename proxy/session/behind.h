/*
 * Sessions on standbys: each goes by the rules that are true of what its server has replayed. A
 * turn of a migration is published with a position in the WAL behind its COMMIT; who is on a
 * standby stays with the rules before it until that server says that it has replayed so far. Of
 * them, a statement that those rules may have wrong once it arrives is held. Private to this layer.
 *
 * A session of a primary has no sess_behind, nor has one whose standby has caught up.
 */
#ifndef SEGUE_SESSION_BEHIND_H
#define SEGUE_SESSION_BEHIND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sess;
struct sess_order;
struct sess_plane;
struct sess_worker;
struct sql_cache;
struct sql_rules;

/* The last epochs in which a table was that has ended so since; 0: none. */
struct sess_ends {
    uint64_t old_stayed, new_stayed;
};

/* Rules, and from where on they are true. */
struct sess_turn {
    uint64_t number;   /* of publishings that mean something else than the one before; from 1 */
    uint64_t position; /* in the WAL; never less than that of the turn before */
    int64_t published_us;
    struct sess_ends ends;
    struct sql_rules *rules; /* a reference; NULL: no migration */
};

/* The last of them, oldest first; under plane->lock. */
#define SESS_TURNS_MAX 16
struct sess_turns {
    struct sess_turn v[SESS_TURNS_MAX];
    size_t n;
};

struct sess_behind {
    struct sess_turn at; /* the session's */
    bool unreached;      /* and not even that has been replayed: nothing older is known */
    bool holds;          /* what these rules say may be wrong on a server that is further */
    bool counted;        /* their bits are those of the worker's order */
    bool asked;          /* the server, since something was sent to it last */
    bool told;           /* that it was not waited for any longer */
    int64_t until_us;    /* held; of the first turn that these rules may be wrong at */
    uint64_t replayed;   /* what the server has said last */
    uint64_t used;       /* tables of its rules that the open transaction may have locked */
    unsigned tries;
};

/* plane->lock is held: `order` is about to be published. */
void sess_turns_put(struct sess_plane *plane, const struct sess_order *order);
/* The same: `position` is where the WAL is. Lower than what was told before, it is that of another
 * cluster, or what was behind it is lost: nothing is waited for that is further. */
void sess_turns_lower(struct sess_plane *plane, struct sess_order *order, uint64_t position);
void sess_turns_fini(struct sess_plane *plane);

void sess_behind_begin(struct sess *s, bool standby); /* its server says whether it is one */
/* The worker has adopted another turn than `before` had. */
void sess_behind_adopt(struct sess_worker *w, const struct sess_order *before);
void sess_behind_free(struct sess *s); /* harmless when there is none */

/* A client's message is about to be looked at; there is a sess_behind. True: it is to wait, the
 * state has moved. */
bool sess_behind_waits(struct sess *s);
/* The same once it is known what it may touch. */
bool sess_behind_holds(struct sess *s, uint64_t touches, bool begins);
/* What is remembered of texts by the session's rules. */
struct sql_cache *sess_cache(const struct sess *s);
void sess_behind_ready(struct sess *s); /* ReadyForQuery to the client */
void sess_behind_left(struct sess *s);  /* the state is another one */
void sess_behind_late(struct sess *s);  /* the pause is over */

#endif
