/*
 * The engine's own connections: libpq, opened with the settings DDL and backfill need, errors
 * as struct err. One connection runs short statements (conn_query waits); another, one a
 * migration, runs what may take hours without being waited for (conn_send, conn_poll).
 *
 * Not here: when to try again (conn_retryable only tells what may be).
 */
#ifndef SEGUE_ENGINE_CONN_H
#define SEGUE_ENGINE_CONN_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <libpq-fe.h>

#include "segue/base/err.h"
#include "segue/catalog/reach.h"

struct eng_plan;

/* What has come of one or several statements until now. */
struct eng_answers {
    PGresult *last; /* the last good one */
    size_t n;       /* good ones */
    bool bad;       /* err says why */
    struct err err;
};

struct eng_conn {
    PGconn *pg;              /* NULL: closed */
    const atomic_bool *stop; /* the program ends: a statement that takes long is cancelled */
    struct cat_reach *opens; /* while it is being opened, and takes long */
    bool busy;               /* conn_send without its answer yet */
    int64_t busy_since_us;
    struct eng_answers sent; /* while it is busy */
    int64_t
        until_us; /* what conn_run waits for is cancelled, once, when it takes longer; 0: never */
    /* called some times a second while an answer is waited for; may be NULL */
    void (*waits)(void *ctx);
    void *waits_ctx;
    struct err last_words; /* of the server, unasked: why it ends the connection */
    unsigned deadlock_ms;  /* the server's deadlock_timeout; 0: not known */
    char *names; /* the search_path that role, database and connection string give; see below */
};

/* What segue says itself goes by this path: no function, operator or table of a user's schema can
 * come in between. Every connection is opened with it. */
#define CONN_OWN_NAMES "SELECT pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);\n"

/* Is a backend, `a` of pg_stat_activity, one of segue's own (the engine's, a doctor's, one that
 * asks a host what it is)? By its role and its application_name: anybody may take a name. */
#define CONN_OWN_BACKEND                                                                           \
    "(a.application_name IN ('segue', 'segue doctor', 'segue probe') AND a.usename = "             \
    "session_user)"
/* In front of what looks at these, or ends them, in one text and outside a transaction: they are of
 * the role that logs in, which another (ALTER ROLE ... SET role) need be no member of. */
#define CONN_AS_LOGIN "SET LOCAL role = none; "

/* Where the client of a backend, `a` of pg_stat_activity, is. NULL: the server hides it from this
 * role, and of those backends it does not tell the type either. */
#define CONN_CLIENT_ADDRESS                                                                        \
    "CASE WHEN a.backend_type IS NOT NULL THEN coalesce(host(a.client_addr), 'local') END"

/* Connects and sets what every statement of the engine relies on. RC_AGAIN with err: not yet, after
 * 6 s (of a server 5, the rest is a resolver's); it goes on, and who asks again takes up what has
 * come of it, without another wait. conn_close gives it up. */
enum rc conn_open(struct eng_conn *conn, const char *upstream, struct err *err) MUST_CHECK;

/* 25006 on a standby: nothing can be written there. */
enum rc conn_check_primary(struct eng_conn *conn, struct err *err) MUST_CHECK;

/* A statement with a semicolon: until the end of the transaction, names of the migration's file
 * mean what they mean to its author, who sees them by the path of segue's role. That is the one
 * under which the plan was made: another one since would make something else of half of the rows.
 * Without a plan, and of one from before plans had it: as the role has it now. Heap. */
char *conn_names_sql(const struct eng_conn *conn, const struct eng_plan *plan);
/* The same for the session. */
enum rc conn_go_by_names(struct eng_conn *conn, const struct eng_plan *plan,
                         struct err *err) MUST_CHECK;
/* Back to segue's own. */
enum rc conn_go_by_own(struct eng_conn *conn, struct err *err) MUST_CHECK;

enum conn_ping {
    CONN_AWAY,     /* no answer */
    CONN_STARTING, /* it does not take connections yet (starting up, recovering) */
    CONN_SERVES,   /* it takes some, whether it would take ours or not */
};
/* 3 s at most, and until *stop (may be NULL). */
enum conn_ping conn_ping(const char *upstream, const atomic_bool *stop);

/* What waits for a lock for so long fails with 55P03: on the connection of which answers are waited
 * for, somebody who has locked a table must not keep the whole engine. */
enum rc conn_bound_locks(struct eng_conn *conn, struct err *err) MUST_CHECK;
/* How long a lock may be waited for, if `ms` is wanted: no longer than deadlock_timeout. Who comes
 * to wait last finds a circle, and is ended: after that a client would. */
unsigned conn_lock_ms(const struct eng_conn *conn, unsigned ms);
/* After statements of others (a migration file's) ran on it: role and settings as conn_open left
 * them. What was locked for the session stays locked. */
enum rc conn_settle(struct eng_conn *conn, struct err *err) MUST_CHECK;

void conn_close(struct eng_conn *conn); /* harmless when closed */
bool conn_up(const struct eng_conn *conn);
/* For one on which nothing runs, when its socket is readable. RC_ERR: it has ended. */
enum rc conn_heed(struct eng_conn *conn, struct err *err) MUST_CHECK;

/* Runs one or several statements and waits. The last result, the caller's to PQclear; NULL with
 * err on the first error. *ndone: how many statements succeeded (may be NULL). */
PGresult *conn_run(struct eng_conn *conn, const char *sql, size_t *ndone,
                   struct err *err) MUST_CHECK;
PGresult *conn_query(struct eng_conn *conn, struct err *err, const char *fmt, ...)
    PRINTF_LIKE(3, 4) MUST_CHECK;
enum rc conn_exec(struct eng_conn *conn, struct err *err, const char *fmt, ...)
    PRINTF_LIKE(3, 4) MUST_CHECK;
/* $1.. parameters as text; NULL is NULL. */
PGresult *conn_params(struct eng_conn *conn, struct err *err, const char *sql, int n,
                      const char *const *values) MUST_CHECK;
void conn_rollback(struct eng_conn *conn); /* ends whatever transaction is open */

/* Long statements: send, poll until it is not RC_AGAIN, or cancel (then still poll). */
enum rc conn_send(struct eng_conn *conn, const char *sql, struct err *err) MUST_CHECK;
enum rc conn_poll(struct eng_conn *conn, struct err *err) MUST_CHECK;
/* The same; RC_OK: *res is the last result, the caller's to PQclear (NULL when nothing ran). */
enum rc conn_poll_result(struct eng_conn *conn, PGresult **res, struct err *err) MUST_CHECK;
void conn_cancel(struct eng_conn *conn);

/* Lock timeouts, deadlocks, cancels, lost connections: the same again may succeed. */
bool conn_retryable(const struct err *err);
/* 42P01: what it names is not there, or not any more. */
bool conn_no_relation(const struct err *err);
bool conn_lost(const struct err *err); /* the connection is gone (08xxx, 57P0x, 25P03, 25P04) */

/* Growing pauses: base * 2^n, at most max, each between half and the whole of it (jitter). */
int64_t conn_backoff_ms(unsigned n, int64_t base_ms, int64_t max_ms);

/* Field readers; NULL fields give 0 / NULL. */
int64_t res_int(const PGresult *res, int row, int col);
double res_double(const PGresult *res, int row, int col);
const char *res_text(const PGresult *res, int row, int col);
bool res_bool(const PGresult *res, int row, int col);

#endif
