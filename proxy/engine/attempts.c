#include "attempts.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "runner.h"
#include "segue/base/fault.h"

#define SHOWN_MAX 200 /* on the board; `evidence` has all of one migration */

static const char show_sql[] =
    "SELECT m.name, a.no, a.kind, coalesce(a.title, ''), coalesce(a.began_at, a.at)::text, "
    "a.outcome, a.drain_ms, a.lock_ms, a.stall_us::float8 / 1000, a.error, "
    "coalesce(a.blockers, '[]')::text, coalesce(a.acted, '[]')::text "
    "FROM (SELECT * FROM segue.attempts ORDER BY at DESC LIMIT %d) AS a "
    "JOIN segue.migrations m ON m.id = a.migration ORDER BY a.at";

enum { S_NAME, S_NO, S_KIND, S_TITLE, S_BEGAN, S_OUTCOME, S_DRAIN, S_LOCK, S_STALL, S_ERROR };
enum { S_BLOCKERS = S_ERROR + 1, S_ACTED };

static json_t *text(const PGresult *res, int r, int c)
{
    json_t *value = res_text(res, r, c) ? json_string(res_text(res, r, c)) : NULL;

    return value ? value : json_null();
}

static json_t *tree(const PGresult *res, int r, int c)
{
    json_t *value = json_loads(res_text(res, r, c), JSON_DECODE_ANY, NULL);

    return value ? value : json_null();
}

static json_t *row_of(const PGresult *res, int r)
{
    return json_pack("[o, I, o, o, o, o, f, f, f, o, o, o]", text(res, r, S_NAME),
                     (json_int_t)res_int(res, r, S_NO), text(res, r, S_KIND), text(res, r, S_TITLE),
                     text(res, r, S_BEGAN), text(res, r, S_OUTCOME), res_double(res, r, S_DRAIN),
                     res_double(res, r, S_LOCK), res_double(res, r, S_STALL), text(res, r, S_ERROR),
                     tree(res, r, S_BLOCKERS), tree(res, r, S_ACTED));
}

enum rc attempts_show(struct eng_engine *engine, struct err *err)
{
    PGresult *res = conn_query(&engine->work, err, show_sql, SHOWN_MAX);
    json_t *rows;

    if (!res)
        return RC_ERR;
    rows = json_array();
    for (int r = 0; r < PQntuples(res); r++)
        json_array_append_new(rows, row_of(res, r));
    board_put_all(engine->board, BOARD_ATTEMPTS, rows);
    PQclear(res);
    return RC_OK;
}

/* NULL when there is nothing in it; heap. */
static char *array_text(const json_t *array)
{
    return json_array_size(array) ? json_dumps(array, JSON_COMPACT | JSON_REAL_PRECISION(15))
                                  : NULL;
}

enum rc attempt_store(struct eng_engine *engine, struct eng_migration *m,
                      const struct attempt *attempt, struct err *err)
{
    char id[32], took[32], drain[32], lock[32], stall[32];
    char *blockers = array_text(attempt->blockers), *acted = array_text(attempt->acted);
    const char *values[] = {id,   attempt->kind, attempt->title, attempt->outcome, drain,
                            lock, stall,         blockers,       attempt->error,   took,
                            acted};
    PGresult *res;

    snprintf(id, sizeof(id), "%" PRId64, m->id);
    snprintf(took, sizeof(took), "%.3f", attempt->took_ms);
    snprintf(drain, sizeof(drain), "%.3f", attempt->drain_ms);
    snprintf(lock, sizeof(lock), "%.3f", attempt->lock_ms);
    snprintf(stall, sizeof(stall), "%" PRId64, attempt->stall_us);
    FAULT(attempt_before);
    res = conn_params(
        &engine->work, err,
        "INSERT INTO segue.attempts (migration, no, kind, title, outcome, drain_ms, "
        "lock_ms, stall_us, blockers, error, began_at, acted) SELECT $1::bigint, "
        "count(*) + 1, $2, $3, $4, $5::float8, $6::float8, $7::bigint, $8::jsonb, "
        "$9, clock_timestamp() - $10::float8 * interval '1 ms', $11::jsonb FROM segue.attempts "
        "WHERE migration = $1::bigint AND kind = $2",
        (int)ARRAY_LEN(values), values);
    free(blockers);
    free(acted);
    if (!res)
        return RC_ERR;
    PQclear(res);
    return attempts_show(engine, err);
}
