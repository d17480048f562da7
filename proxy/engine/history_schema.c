/* The schema as it is against the schema as it was recorded. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "history.h"
#include "runner.h"
#include "segue/base/mem.h"
#include "segue/catalog/schema.h"
#include "segue/sql/expr.h"

#define DRIFT_SHOWN_MAX 5
#define LAST_SCHEMA                                                                                \
    "(SELECT schema FROM segue.applied WHERE schema IS NOT NULL ORDER BY no DESC LIMIT 1)"

static void literal_add(struct buf *list, const char *text)
{
    char *literal = sql_quote_literal(text);

    buf_printf(list, "%s%s", list->len ? ", " : "", literal);
    free(literal);
}

/* "SELECT ... AS t": quoted names of what they work on; false: nobody does. */
static bool flight_sql(struct eng_engine *engine, const struct eng_migration *but, struct buf *out)
{
    struct buf schemas = {0}, names = {0}, created = {0};
    bool any;

    for (size_t i = 0; i < engine->nmigrations; i++) {
        const struct eng_migration *m = engine->migrations[i];

        for (size_t k = 0; m != but && k < m->nlocked; k++) {
            literal_add(&schemas, m->locked[k].schema);
            literal_add(&names, m->locked[k].name);
        }
        for (size_t k = 0; m != but && k < m->plan->ncreated; k++)
            literal_add(&created, m->plan->created[k]);
    }
    any = names.len || created.len;
    if (any)
        buf_printf(out,
                   "SELECT format('%%I.%%I', s, n) AS t FROM unnest(ARRAY[%s]::text[],"
                   " ARRAY[%s]::text[]) AS u(s, n) UNION SELECT format('%%I.%%I',"
                   " (parse_ident(c))[1], (parse_ident(c))[2]) FROM unnest(ARRAY[%s]::text[]) c",
                   schemas.len ? schemas.data : "", names.len ? names.data : "",
                   created.len ? created.data : "");
    buf_fini(&schemas);
    buf_fini(&names);
    buf_fini(&created);
    return any;
}

char *history_schema_sql(struct eng_engine *engine, const struct eng_migration *but)
{
    static const char theirs[] = "EXISTS (SELECT FROM flight f WHERE e.key = 'table ' || f.t OR"
                                 " starts_with(e.value ->> 'owned by', f.t || '.'))";
    struct buf flight = {0};
    char *sql;

    if (flight_sql(engine, but, &flight))
        sql = mem_printf("WITH flight AS (%s) SELECT coalesce(jsonb_object_agg(key, value), '{}')"
                         " FROM (SELECT e.key, e.value FROM jsonb_each((%s)) e WHERE NOT %s"
                         " UNION ALL SELECT e.key, e.value FROM jsonb_each(" LAST_SCHEMA
                         ") e WHERE %s) AS merged",
                         flight.data, cat_schema_sql, theirs, theirs);
    else
        sql = mem_strdup(cat_schema_sql);
    buf_fini(&flight);
    return sql;
}

static json_t *document(const PGresult *res)
{
    const char *text = PQntuples(res) ? res_text(res, 0, 0) : NULL;

    return text ? json_loads(text, 0, NULL) : NULL;
}

enum rc history_schemas(struct eng_engine *engine, json_t **now, json_t **last, struct err *err)
{
    char *sql = history_schema_sql(engine, NULL);
    PGresult *is = NULL, *was = NULL;
    enum rc rc = RC_ERR;

    *now = *last = NULL;
    if (conn_exec(&engine->work, err, "BEGIN; SET LOCAL search_path = pg_catalog") != RC_OK)
        goto out;
    is = conn_query(&engine->work, err, "%s", sql);
    was = is ? conn_query(&engine->work, err, "SELECT " LAST_SCHEMA) : NULL;
    if (!was)
        goto out;
    *now = document(is);
    *last = document(was);
    rc = RC_OK;
out:
    conn_rollback(&engine->work);
    PQclear(is);
    PQclear(was);
    free(sql);
    return rc;
}

static const char *member(const json_t *row, const char *key)
{
    const char *text = json_string_value(json_object_get(row, key));

    return text ? text : "";
}

char *history_drift_text(const json_t *rows)
{
    size_t n = json_array_size(rows);
    struct buf out = {0};

    for (size_t i = 0; i < n && i < DRIFT_SHOWN_MAX; i++) {
        const json_t *row = json_array_get(rows, i);
        const char *part = member(row, "part"), *was = member(row, "before"),
                   *is = member(row, "after");

        buf_printf(&out, "%s%s%s%s %s", i ? "; " : "", member(row, "object"), *part ? ": " : "",
                   part, member(row, "change"));
        if (strcmp(member(row, "change"), "changed") == 0 && strlen(was) + strlen(is) < 100)
            buf_printf(&out, " from %s to %s", *was ? was : "none", *is ? is : "none");
    }
    if (n > DRIFT_SHOWN_MAX)
        buf_printf(&out, "; and %zu more (segue diff)", n - DRIFT_SHOWN_MAX);
    return buf_take(&out);
}
