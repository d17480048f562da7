/*
 * segue.usage: what survives this process. Written in one short transaction, which waits for
 * nobody: a failure is said once, what was to be written stays in memory and is tried again.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "segue/base/clock.h"
#include "segue/base/fault.h"
#include "segue/base/log.h"
#include "segue/base/mem.h"
#include "segue/base/utf8.h"
#include "usage.h"

#define LOCK_TIMEOUT_MS 200
#define STATEMENT_TIMEOUT_MS 5000

/* ---- reading ---- */

enum column {
    C_MIGRATION,
    C_TABLE,
    C_USER,
    C_APPLICATION,
    C_ADDRESS,
    C_WHAT,
    C_COUNT,
    C_FIRST_AGO,
    C_LAST_AGO,
    C_STATEMENT,
    C_WHY
};

static bool kind_parse(const char *name, enum sess_use_kind *kind)
{
    for (*kind = 0; *kind < SESS_USES; (*kind)++)
        if (strcmp(sess_use_names[*kind], name) == 0)
            return true;
    return false;
}

/* 0, the first one, for a name that is not known: what was seen before there were tables' names. */
static size_t locked_of(const struct eng_migration *m, const char *table)
{
    for (size_t i = 0; i < m->nlocked; i++) {
        char *name = usage_table_name(m, i);
        bool found = strcmp(name, table) == 0;

        free(name);
        if (found)
            return i;
    }
    return 0;
}

static void load_row(struct eng_engine *engine, const PGresult *res, int r)
{
    struct sess_use use = {.key = {.user = res_text(res, r, C_USER),
                                   .application = res_text(res, r, C_APPLICATION),
                                   .address = res_text(res, r, C_ADDRESS)},
                           .count = (uint64_t)res_int(res, r, C_COUNT),
                           .first_ms = clock_ms() - res_int(res, r, C_FIRST_AGO),
                           .last_ms = clock_ms() - res_int(res, r, C_LAST_AGO)};

    if (!kind_parse(res_text(res, r, C_WHAT), &use.key.kind))
        return;
    for (size_t i = 0; i < engine->nmigrations; i++) {
        const struct eng_migration *m = engine->migrations[i];

        if (m->id != res_int(res, r, C_MIGRATION))
            continue;
        use.key.table = eng_usage_tag(m, locked_of(m, res_text(res, r, C_TABLE)));
        snprintf(use.statement, sizeof(use.statement), "%s", res_text(res, r, C_STATEMENT));
        snprintf(use.why, sizeof(use.why), "%s", res_text(res, r, C_WHY));
        utf8_mend(use.statement);
        utf8_mend(use.why);
        sess_usage_merge(engine->usage->known, &use);
    }
}

enum rc eng_usage_load(struct eng_engine *engine, struct err *err)
{
    struct eng_usage *usage = engine->usage;
    PGresult *res = conn_query(
        &engine->work, err,
        "SELECT u.migration, u.table_name, u.user_name, u.application_name, u.address, u.what, "
        "u.count, (extract(epoch FROM clock_timestamp() - u.first_at) * 1000)::bigint, "
        "(extract(epoch FROM clock_timestamp() - u.last_at) * 1000)::bigint, u.statement, u.why "
        "FROM segue.usage u JOIN segue.migrations m ON m.id = u.migration "
        "WHERE m.finished_at IS NULL ORDER BY u.last_at");

    if (!res)
        return RC_ERR;
    sess_usage_free(usage->known);
    usage->known = sess_usage_new(usage->entries_max);
    for (int r = 0; r < PQntuples(res); r++) /* the oldest first: they go first */
        load_row(engine, res, r);
    PQclear(res);
    for (const struct sess_use *use = NULL; (use = sess_usage_next(usage->unsaved, use));)
        sess_usage_merge(usage->known, use);
    usage->trimmed = 0;
    eng_usage_forget_ended(engine);
    return RC_OK;
}

/* ---- writing ---- */

/* Clients whose names differ in bytes may be one after mending or masking: GROUP BY. */
static const char save_sql[] =
    "INSERT INTO segue.usage AS u (migration, table_name, user_name, application_name, address, "
    "what, count, first_at, last_at, statement, why) SELECT migration, table_name, user_name, "
    "application_name, address, what, sum(count), "
    "statement_timestamp() - max(first_ago) * interval '1 ms', "
    "statement_timestamp() - min(last_ago) * interval '1 ms', "
    "(array_agg(statement ORDER BY last_ago))[1], (array_agg(why ORDER BY last_ago))[1] "
    "FROM json_to_recordset($1::json) AS r(migration bigint, table_name text, user_name text, "
    "application_name text, address text, what text, count bigint, first_ago bigint, "
    "last_ago bigint, statement text, why text) GROUP BY 1, 2, 3, 4, 5, 6 "
    "ON CONFLICT (migration, table_name, what, user_name, application_name, address) DO UPDATE "
    "SET count = u.count + excluded.count, first_at = least(u.first_at, excluded.first_at), "
    "last_at = greatest(u.last_at, excluded.last_at), "
    "statement = CASE WHEN excluded.last_at >= u.last_at THEN excluded.statement "
    "ELSE u.statement END, "
    "why = CASE WHEN excluded.last_at >= u.last_at THEN excluded.why ELSE u.why END";

/* What goes past the limit is added to the row without a name, as in memory. */
static const char trim_sql[] =
    "WITH old AS (SELECT ctid FROM segue.usage WHERE user_name <> '' AND migration = ANY "
    "(SELECT id FROM segue.migrations WHERE finished_at IS NULL) ORDER BY last_at DESC "
    "OFFSET $1::bigint), "
    "gone AS (DELETE FROM segue.usage WHERE ctid = ANY (ARRAY(SELECT ctid FROM old)) RETURNING *) "
    "INSERT INTO segue.usage AS u (migration, table_name, user_name, application_name, address, "
    "what, count, first_at, last_at, statement, why) SELECT migration, table_name, '', '', '', "
    "what, sum(count), min(first_at), max(last_at), "
    "(array_agg(statement ORDER BY last_at DESC))[1], (array_agg(why ORDER BY last_at DESC))[1] "
    "FROM gone GROUP BY migration, table_name, what "
    "ON CONFLICT (migration, table_name, what, user_name, application_name, address) DO UPDATE "
    "SET count = u.count + excluded.count, first_at = least(u.first_at, excluded.first_at), "
    "last_at = greatest(u.last_at, excluded.last_at)";

static json_t *row_of(struct eng_engine *engine, const struct sess_use *use, int64_t now)
{
    size_t locked;
    struct eng_migration *m = usage_table_of(engine, use->key.table, &locked);
    char *table;
    json_t *row;

    if (!m)
        return NULL;
    table = usage_table_name(m, locked);
    row = json_pack("{s:I, s:s, s:s, s:s, s:s, s:s, s:I, s:I, s:I, s:s, s:s}", "migration",
                    (json_int_t)m->id, "table_name", table, "user_name", use->key.user,
                    "application_name", use->key.application, "address", use->key.address, "what",
                    sess_use_names[use->key.kind], "count", (json_int_t)use->count, "first_ago",
                    (json_int_t)(now - use->first_ms), "last_ago", (json_int_t)(now - use->last_ms),
                    "statement", use->statement, "why", use->why);
    free(table);
    return row;
}

/* NULL: nothing to write. */
static char *rows_of(struct eng_engine *engine)
{
    json_t *rows = json_array();
    int64_t now = clock_ms();
    char *text = NULL;

    for (const struct sess_use *use = NULL; (use = sess_usage_next(engine->usage->unsaved, use));) {
        json_t *row = row_of(engine, use, now);

        if (row)
            json_array_append_new(rows, row);
    }
    if (json_array_size(rows))
        text = json_dumps(rows, JSON_COMPACT);
    json_decref(rows);
    return text;
}

static enum rc run(struct eng_engine *engine, const char *sql, const char *value, struct err *err)
{
    PGresult *res = conn_params(&engine->work, err, sql, 1, &value);

    PQclear(res);
    return res ? RC_OK : RC_ERR;
}

/* Nothing here is worth waiting for: not for a lock, not for a standby's acknowledgement. */
static enum rc write_rows(struct eng_engine *engine, const char *rows, struct err *err)
{
    struct eng_usage *usage = engine->usage;
    uint64_t gone = sess_usage_gone(usage->known);
    char max[32];
    enum rc rc;

    FAULT(usage_before);
    rc = conn_exec(&engine->work, err,
                   "BEGIN; SET LOCAL lock_timeout = %d; SET LOCAL statement_timeout = %d; "
                   "SET LOCAL synchronous_commit = off",
                   LOCK_TIMEOUT_MS, STATEMENT_TIMEOUT_MS);

    snprintf(max, sizeof(max), "%zu", usage->entries_max);
    if (rc == RC_OK)
        rc = run(engine, save_sql, rows, err);
    if (rc == RC_OK && gone != usage->trimmed)
        rc = run(engine, trim_sql, max, err);
    FAULT(usage_commit);
    if (rc == RC_OK)
        rc = conn_exec(&engine->work, err, "COMMIT");
    FAULT(usage_committed);
    conn_rollback(&engine->work);
    if (rc == RC_OK)
        usage->trimmed = gone;
    return rc;
}

/* A database in another encoding need not have every character that a client sends. */
static void mask(char *text)
{
    for (; *text; text++)
        if ((unsigned char)*text >= 0x80)
            *text = '?';
}

void eng_usage_save(struct eng_engine *engine)
{
    struct eng_usage *usage = engine->usage;
    struct err err = {0};
    char *rows;
    enum rc rc;

    if (!engine->store || !conn_up(&engine->work))
        return;
    usage->saved_ms = clock_ms();
    usage->urgent = false;
    rows = rows_of(engine);
    if (!rows)
        return;
    rc = write_rows(engine, rows, &err);
    if (rc != RC_OK && strncmp(err.sqlstate, "22", 2) == 0) {
        err_clear(&err);
        mask(rows);
        rc = write_rows(engine, rows, &err);
    }
    free(rows);
    if (rc == RC_OK) {
        sess_usage_free(usage->unsaved);
        usage->unsaved = sess_usage_new(usage->entries_max);
    } else if (!usage->failed) {
        log_err(LOG_WARNING, "segue.usage cannot be written, which is tried again", &err);
    }
    usage->failed = rc != RC_OK;
}
