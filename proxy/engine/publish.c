/*
 * When the rules go to the workers, and under which epoch.
 *
 * An epoch means one thing: a snapshot that means something else than the one before gets a new
 * epoch even when no phase has moved (a relation of the same name was created). The text about
 * progress is no part of the meaning: workers take it over under the same epoch, and keep what
 * they have cached.
 */
#include <inttypes.h>
#include <string.h>

#include "runner.h"
#include "segue/base/clock.h"
#include "segue/base/log.h"
#include "snapshot.h"

#define REFRESH_US 2000000
#define READING_SHARE 100 /* the catalog is read for at most one part in so many of the time */
#define SIGNS_SHARE 4     /* the same, while there are signs that it has changed */

static bool same(const struct buf *a, const struct buf *b)
{
    return a->len == b->len && memcmp(a->data ? a->data : "", b->data ? b->data : "", a->len) == 0;
}

/* That is flushed, unless the role has chosen otherwise; a place behind it that is not yet may stay
 * so for long on a server at rest. */
enum rc eng_position(struct eng_conn *conn, uint64_t *position, struct err *err)
{
    PGresult *res = conn_query(conn, err,
                               "SELECT (CASE current_setting('synchronous_commit') WHEN 'off' THEN "
                               "pg_current_wal_insert_lsn() ELSE pg_current_wal_flush_lsn() END - "
                               "'0/0'::pg_lsn)::bigint");

    *position = res ? (uint64_t)res_int(res, 0, 0) : 0;
    PQclear(res);
    return res ? RC_OK : RC_ERR;
}

/* 0: not known, and no session on a standby waits for it. */
static uint64_t position_now(struct eng_engine *engine)
{
    struct err err = {0};
    uint64_t position = engine->doubt_position;

    if (!position && conn_up(&engine->work) &&
        eng_position(&engine->work, &position, &err) != RC_OK)
        log_err(LOG_DEBUG, "asking for the position in the WAL", &err);
    return position;
}

static void give(struct eng_engine *engine, struct snapshot *snap)
{
    uint64_t position;

    if (engine->epoch == engine->published.epoch &&
        !same(&snap->meaning, &engine->published.meaning)) {
        snapshot_fini(snap);
        engine->epoch++;
        snapshot_build(engine, snap);
    }
    position = !engine->told || engine->epoch != engine->published.epoch ? position_now(engine) : 0;
    engine->told = true;
    if (!sess_plane_publish(engine->plane, snap->rules, engine->changes, engine->settled, position))
        log_warning("a worker has not taken over the rules of epoch %" PRId64 " within a second",
                    engine->epoch);
    if (engine->epoch != engine->published.epoch)
        log_debug("rules of epoch %" PRId64 ": %zu tables", engine->epoch,
                  sql_rules_tables(snap->rules));
    eng_published_fini(&engine->published);
    engine->published = (struct eng_published){engine->epoch, snap->meaning, snap->states};
}

/* While traffic is held nothing is read: what was read before stands, the plan says the rest. */
static void look(struct eng_engine *engine)
{
    uint64_t changes = sess_plane_changes(engine->plane);
    struct err err = {0};
    int64_t now = clock_us(), took = -now;
    bool settled =
        engine->settled == changes || engine->overtaking || !sess_gate_unjudged(engine->plane);
    bool read = conn_up(&engine->work) && !sess_gate_holds(engine->plane);

    if (read && settled && engine->settled != changes)
        settled = sight_is_settled(engine);
    if (read && sight_read(engine, &err) != RC_OK) {
        log_err(LOG_WARNING, "reading the catalog for the rules; the last reading stays", &err);
        read = false;
    }
    now = clock_us();
    took += now;
    engine->sight_due_us =
        now + (took * READING_SHARE > REFRESH_US ? took * READING_SHARE : REFRESH_US);
    engine->sight_soon_us = read ? now + took * SIGNS_SHARE : engine->sight_due_us;
    if (read)
        engine->changes = changes;
    if (read && settled)
        engine->settled = changes;
}

static void say_read(const struct eng_engine *engine)
{
    log_debug("rules after %" PRIu64 " changes by clients", engine->changes);
}

int64_t eng_publish_due_us(const struct eng_engine *engine)
{
    return engine->changes == sess_plane_changes(engine->plane) ? engine->sight_due_us
                                                                : engine->sight_soon_us;
}

void eng_publish(struct eng_engine *engine)
{
    struct snapshot snap;

    look(engine);
    snapshot_build(engine, &snap);
    give(engine, &snap);
    say_read(engine);
}

void eng_publish_refresh(struct eng_engine *engine)
{
    uint64_t changes = engine->changes, settled = engine->settled;
    struct snapshot snap;

    if (engine->nmigrations == 0 || clock_us() < eng_publish_due_us(engine))
        return;
    look(engine);
    snapshot_build(engine, &snap);
    if (changes == engine->changes && settled == engine->settled &&
        same(&snap.meaning, &engine->published.meaning) &&
        same(&snap.states, &engine->published.states))
        snapshot_fini(&snap);
    else
        give(engine, &snap);
    say_read(engine);
}

void eng_published_fini(struct eng_published *published)
{
    buf_fini(&published->meaning);
    buf_fini(&published->states);
}
