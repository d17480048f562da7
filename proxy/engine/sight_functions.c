/*
 * Which functions may be called twice, and which give one value where they stand in FROM: read from
 * the catalog when one of a user's has changed. The server's own do not change.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runner.h"
#include "segue/base/log.h"
#include "segue/base/mem.h"
#include "sight.h"

#define OF_USERS(catalog)                                                                          \
    "(SELECT concat(count(*), ' ', sum(hashint8extended(oid::bigint, xmin::text::bigint))) "       \
    "FROM " catalog " WHERE oid >= 16384"

/* A trigger's no statement can call; the guard's are made anew at each turn. */
#define CALLABLE "prorettype <> 'pg_catalog.trigger'::regtype"

static const char state_sql[] = "SELECT concat_ws(', ', " OF_USERS(
    "pg_proc") " AND " CALLABLE "), " OF_USERS("pg_operator") "), " OF_USERS("pg_cast") "))";

/*
 * A row for each name. Of all functions that are called so: TWICE are those that are immutable (in
 * a language that does nothing else but say a value, and without arguments by default, which may be
 * anything), and of the server's own stable ones those that only see the transaction's start and
 * settings. ONCE are all others but aggregates, procedures, those that give sets, and those that
 * the planner may call itself though they do something else, too: it would in another order. An
 * operator is what its functions are. One cast of a user's that is not TWICE may hide anywhere:
 * then nothing is. SCALAR are those that give no row, nor a column that they name themselves;
 * and unnest, which of a tsvector gives rows.
 */
#define QUIET "l.lanname IN ('internal', 'c', 'sql')"
#define IMMUTABLE                                                                                  \
    "(p.provolatile = 'i' AND " QUIET " AND (p.pronargdefaults = 0 OR n.nspname = 'pg_catalog'))"
#define OWN_AND_STABLE "(n.nspname = 'pg_catalog' AND p.provolatile = 's')"
#define OF_FUNCTION                                                                                \
    "JOIN pg_language l ON l.oid = p.prolang JOIN pg_namespace n ON n.oid = p.pronamespace"

static const char functions_sql[] =
    "SELECT * FROM (SELECT CASE WHEN bool_and(" IMMUTABLE " OR (" OWN_AND_STABLE
    " AND p.proname IN ('now', 'transaction_timestamp', 'statement_timestamp', "
    "'concat', 'concat_ws', 'format', 'quote_literal', 'quote_nullable', 'length', 'to_char', "
    "'to_date', 'to_number', 'to_timestamp', 'date_part', 'date_trunc', 'extract', 'timezone', "
    "'date', 'time', 'timetz', 'timestamp', 'timestamptz', 'make_timestamptz', 'to_json', "
    "'to_jsonb', 'row_to_json', 'array_to_json', 'array_to_string', 'json_build_array', "
    "'json_build_object', 'jsonb_build_array', 'jsonb_build_object'))) THEN 'f' ELSE 'g' END AS "
    "kind, p.proname::text AS name FROM pg_proc p " OF_FUNCTION " WHERE " CALLABLE
    " GROUP BY p.proname "
    "HAVING bool_and(p.prokind = 'f' AND NOT p.proretset AND (p.provolatile <> 'i' OR " QUIET ")) "
    "UNION ALL SELECT 'o', o.oprname::text FROM pg_operator o JOIN pg_proc p ON p.oid = "
    "o.oprcode " OF_FUNCTION " GROUP BY o.oprname HAVING bool_and(NOT p.proretset AND (" IMMUTABLE
    " OR " OWN_AND_STABLE
    ")) UNION ALL SELECT 'c', '') AS names WHERE NOT EXISTS (SELECT 1 FROM pg_cast "
    "c JOIN pg_proc p ON p.oid = c.castfunc " OF_FUNCTION " WHERE NOT (" IMMUTABLE
    " OR " OWN_AND_STABLE ")) UNION ALL SELECT 's', p.proname::text FROM pg_proc p "
    "JOIN pg_type t ON t.oid = p.prorettype WHERE p." CALLABLE " AND p.oid <> "
    "'pg_catalog.unnest(pg_catalog.tsvector)'::regprocedure GROUP BY p.proname HAVING bool_and("
    "(t.typtype IN ('b', 'e', 'r', 'm') OR t.typtype = 'p' AND (t.typname LIKE 'any%%' OR "
    "t.typname = 'void')) AND NOT coalesce(p.proargmodes && '{o,b,t}'::\"char\"[], false)) "
    "LIMIT %d";

/* What is known stays the same object while it says the same. */
static void keep(struct eng_sight *sight, const PGresult *res)
{
    int n = PQntuples(res) <= SIGHT_FUNCTIONS_MAX ? PQntuples(res) : 0;
    struct sql_function *list = mem_calloc((size_t)n + 1, sizeof(*list));
    struct sql_functions *functions;

    if (PQntuples(res) > SIGHT_FUNCTIONS_MAX)
        log_warning("more than %d functions: no call is written twice", SIGHT_FUNCTIONS_MAX);
    for (int r = 0; r < n; r++)
        list[r] = (struct sql_function){res_text(res, r, 0)[0], res_text(res, r, 1)};
    functions = sql_functions_new(list, (size_t)n);
    free(list);
    if (sql_functions_same(functions, sight->functions)) {
        sql_functions_unref(functions);
        return;
    }
    sql_functions_unref(sight->functions);
    sight->functions = functions;
    sight->functions_changes++;
}

enum rc sight_read_functions(struct eng_engine *engine, struct err *err)
{
    struct eng_sight *sight = &engine->sight;
    PGresult *state = conn_query(&engine->work, err, "%s", state_sql);
    PGresult *res = NULL;
    enum rc rc = RC_ERR;

    if (!state)
        return RC_ERR;
    if (sight->functions && strcmp(res_text(state, 0, 0), sight->functions_state) == 0) {
        rc = RC_OK;
    } else if ((res = conn_query(&engine->work, err, functions_sql, SIGHT_FUNCTIONS_MAX + 1))) {
        keep(sight, res);
        snprintf(sight->functions_state, sizeof(sight->functions_state), "%s",
                 res_text(state, 0, 0));
        rc = RC_OK;
    }
    PQclear(state);
    PQclear(res);
    return rc;
}
