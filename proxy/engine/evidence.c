/*
 * The evidence of one migration: a JSON document of what has happened, read from schema segue,
 * so that it can be made of migrations that have ended, too.
 */
#include <stdlib.h>

#include "evidence.h"
#include "runner.h"

/* Lists are cut at their newest entries; *_count says of how many. */
#define ATTEMPTS_MAX "1000"
#define USAGE_MAX "1000"

#define PHASES                                                                                     \
    "'phases', (SELECT json_agg(json_build_object('phase', p.phase, 'began', p.at, 'seconds',"     \
    " round(extract(epoch FROM p.until - p.at)::numeric, 3), 'epoch', p.epoch) ORDER BY p.id)"     \
    " FROM (SELECT *, lead(at) OVER (ORDER BY id) AS until FROM segue.phases"                      \
    " WHERE migration = m.id) AS p)"
#define STEPS                                                                                      \
    "'steps', (SELECT json_agg(json_build_object('no', s.no, 'title', (SELECT t->>'title'"         \
    " FROM jsonb_array_elements(m.plan->'steps') AS t WHERE (t->>'no')::int = s.no), 'done',"      \
    " s.done_at) ORDER BY s.done_at, s.no) FROM segue.steps s WHERE s.migration = m.id)"
#define ROWS                                                                                       \
    "'rows', json_build_object('filled', (SELECT coalesce(sum(rows), 0) FROM segue.progress"       \
    " WHERE migration = m.id), 'relations', (SELECT json_agg(json_build_object('relation',"        \
    " r.relname, 'rows_filled', r.rows, 'blocks', r.end_block) ORDER BY r.relname)"                \
    " FROM segue.progress r WHERE r.migration = m.id))"
#define VERIFICATIONS                                                                              \
    "'verifications', (SELECT json_agg(json_build_object('direction', v.direction, 'began',"       \
    " v.began_at, 'ended', v.ended_at, 'rows', v.rows, 'not_in_step', v.bad, 'nulls', v.nulls,"    \
    " 'wrapped', v.wrapped, 'sample', v.sample) ORDER BY v.id) FROM segue.verifications v"         \
    " WHERE v.migration = m.id)"
#define ATTEMPTS                                                                                   \
    "'attempts_count', (SELECT count(*) FROM segue.attempts WHERE migration = m.id), 'attempts',"  \
    " (SELECT json_agg(json_build_object('kind', a.kind, 'no', a.no, 'title', a.title, 'began',"   \
    " a.began_at, 'ended', a.at, 'outcome', a.outcome, 'drain_ms', a.drain_ms, 'lock_ms',"         \
    " a.lock_ms, 'stall_ms', round(a.stall_us / 1000.0, 3), 'error', a.error, 'blockers',"         \
    " a.blockers, 'acted', a.acted) ORDER BY a.at) FROM (SELECT * FROM segue.attempts"             \
    " WHERE migration = m.id ORDER BY at DESC LIMIT " ATTEMPTS_MAX ") AS a)"
#define USAGE                                                                                      \
    "'usage_count', (SELECT count(*) FROM segue.usage WHERE migration = m.id), 'usage',"           \
    " (SELECT json_agg(json_build_object('table', u.table_name, 'what', u.what, 'user',"           \
    " u.user_name, 'application_name', u.application_name, 'address', u.address, 'count',"         \
    " u.count, 'first', u.first_at, 'last', u.last_at, 'why', nullif(u.why, ''))"                  \
    " ORDER BY u.last_at DESC) FROM (SELECT * FROM segue.usage WHERE migration = m.id"             \
    " ORDER BY last_at DESC LIMIT " USAGE_MAX ") AS u)"
#define OLD_NAMES                                                                                  \
    "'old_names_last', (SELECT max(last_at) FROM segue.usage WHERE migration = m.id"               \
    " AND what = 'old names')"

static const char evidence_sql[] =
    "SELECT json_build_object('migration', m.name, 'made', clock_timestamp(),"
    " 'database', current_database(), 'server_version', current_setting('server_version'),"
    " 'plan_sha256', m.sha256, 'phase', m.phase, 'paused', m.paused, 'error', m.error,"
    " 'started', m.started_at, 'cutover', m.cutover_at, 'finished', m.finished_at, 'seconds',"
    " round(extract(epoch FROM coalesce(m.finished_at, clock_timestamp()) - m.started_at)::numeric,"
    " 3), 'worst', json_build_object('stall_ms', round(m.stall_us_max / 1000.0, 3), 'lock_ms',"
    " round(m.lock_us_max / 1000.0, 3)), 'bytes_before', m.bytes_before, " PHASES ", " ROWS
    ", " VERIFICATIONS ", " ATTEMPTS ", " OLD_NAMES ", " USAGE ", " STEPS
    ", 'file', m.file)::text FROM segue.migrations m WHERE m.name = $1";

enum rc eng_evidence(struct eng_engine *engine, const char *name, json_t **out, struct err *err)
{
    const char *values[] = {name};
    PGresult *res;

    eng_usage_look(engine); /* what workers have seen until now */
    eng_usage_save(engine);
    res = engine->store
              ? conn_params(&engine->work, err, evidence_sql, (int)ARRAY_LEN(values), values)
              : NULL;
    if (engine->store && !res)
        return RC_ERR;
    if (!res || !PQntuples(res)) {
        if (board_check_migration(engine->board, name, err))
            err_set(err, "42704", "schema segue has no migration \"%s\" any more", name);
    } else {
        *out = json_pack("{s:[s], s:[[o]]}", "columns", "evidence", "rows",
                         json_loads(res_text(res, 0, 0), 0, NULL));
    }
    PQclear(res);
    if (!err_is_set(err) && !*out)
        err_set(err, "XX000", "the evidence of \"%s\" cannot be read as JSON", name);
    return err_is_set(err) ? RC_ERR : RC_OK;
}
