/*
 * The durable state: schema `segue` in the target database. Every write is in the transaction of
 * what it describes; these are the statements, and reading it all back after a start.
 */
#ifndef SEGUE_ENGINE_STORE_H
#define SEGUE_ENGINE_STORE_H

#include <stdint.h>

#include "conn.h"

struct eng_engine;
struct eng_migration;

/* Key of the advisory lock that one engine a database holds: "segue" in ASCII. Those behind it are
 * second.c's and second_gate.c's. */
#define STORE_LOCK_KEY INT64_C(0x7365677565)
#define STORE_LOCK_KEYS 6
/* Of pg_locks l: the row of who holds one. Followed by what its key is. */
#define STORE_LOCK                                                                                 \
    "l.locktype = 'advisory' AND l.granted AND l.objsubid = 1 AND l.database = (SELECT oid FROM "  \
    "pg_database WHERE datname = current_database()) AND "                                         \
    "(l.classid::bigint << 32 | l.objid::bigint)"
/* The same of one key, which it takes. */
#define STORE_LOCK_HELD STORE_LOCK " = %" PRId64
/* Of pg_stat_activity a: a segue's role, since it may write the store. The locks any role may take.
 */
#define STORE_ROLE                                                                                 \
    "pg_has_role(a.usesysid, coalesce((SELECT s.relowner FROM pg_class s WHERE s.oid = "           \
    "to_regclass('segue.store')), (SELECT r.oid FROM pg_roles r WHERE r.rolname = "                \
    "session_user)), 'MEMBER')"

bool store_exists(struct eng_conn *conn, struct err *err); /* false with err: could not tell */
enum rc store_create(struct eng_conn *conn, struct err *err) MUST_CHECK; /* or bring up to date */

/* Inserts the migration as planned (an aborted one of that name moves to segue.history); sets
 * m->id. 42710 when the name is in use or done. */
enum rc store_insert(struct eng_engine *engine, struct eng_migration *m,
                     struct err *err) MUST_CHECK;

/* Loads every migration: active ones into the engine, all of them onto the board. */
enum rc store_load(struct eng_engine *engine, struct err *err) MUST_CHECK;
/* The same, and nothing is written or settled: somebody else has the advisory lock. */
enum rc store_read(struct eng_engine *engine, struct err *err) MUST_CHECK;

/* "INSERT INTO segue.steps ..." for the step with index i; heap. */
char *store_mark_sql(const struct eng_migration *m, size_t i);

/* Columns that a job or a failure changes; only the connection's trouble makes it RC_ERR. */
enum rc store_flags(struct eng_engine *engine, struct eng_migration *m, struct err *err) MUST_CHECK;

#endif
