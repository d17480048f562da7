/* The schema as it is against the schema as it was recorded. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "file.h"
#include "history.h"
#include "runner.h"
#include "segue/base/log.h"
#include "segue/base/mem.h"
#include "segue/catalog/schema.h"
#include "segue/sql/expr.h"

#define DRIFT_SHOWN_MAX 5
#define LAST_SCHEMA                                                                                \
    "(SELECT schema FROM segue.applied WHERE schema IS NOT NULL ORDER BY no DESC LIMIT 1)"

struct flight { /* lists for ARRAY[...] */
    struct buf schemas, names, created;
};

/* text NULL: NULL */
static void literal_add(struct buf *list, const char *text)
{
    char *literal = text ? sql_quote_literal(text) : mem_strdup("NULL");

    buf_printf(list, "%s%s", list->len ? ", " : "", literal);
    free(literal);
}

static void flight_add(struct flight *flight, const char *schema, const char *name)
{
    literal_add(&flight->schemas, schema);
    literal_add(&flight->names, name);
}

/* The file it was started with; it has been loaded before. Caller frees, NULL-tolerant. */
static struct file *file_of(const struct eng_migration *m)
{
    struct err ignored = {0};
    struct file *file = NULL;

    if (file_load(m->name, m->plan->file, &file, &ignored) != RC_OK)
        log_err(LOG_DEBUG, m->name, &ignored);
    return file;
}

/* What is no table that it locks: types, and what a table is called in the end. */
static void flight_add_file(struct flight *flight, const struct eng_migration *m)
{
    struct file *file = file_of(m);

    for (size_t i = 0; file && i < file->nops; i++) {
        const struct file_op *op = &file->ops[i];

        if (op->kind == FILE_CREATE_ENUM || op->kind == FILE_ADD_ENUM_VALUE ||
            op->kind == FILE_REMOVE_ENUM)
            flight_add(flight, op->table.schema, op->table.name);
        else if (op->kind == FILE_RENAME_TABLE)
            flight_add(flight, op->table.schema, op->to);
        else if (op->kind == FILE_CREATE_INDEX)
            flight_add(flight, op->table.schema, op->table.name);
    }
    file_free(file);
}

/* "SELECT ... AS t": quoted names of what they work on; false: nobody does. A name without a schema
 * is that of any. */
static bool flight_sql(struct eng_engine *engine, const struct eng_migration *but, struct buf *out)
{
    struct flight f = {0};
    bool any;

    for (size_t i = 0; i < engine->nmigrations; i++) {
        const struct eng_migration *m = engine->migrations[i];

        if (m == but)
            continue;
        for (size_t k = 0; k < m->nlocked; k++)
            flight_add(&f, m->locked[k].schema, m->locked[k].name);
        for (size_t k = 0; k < m->plan->ncreated; k++)
            literal_add(&f.created, m->plan->created[k]);
        flight_add_file(&f, m);
    }
    any = f.names.len || f.created.len;
    if (any)
        buf_printf(out,
                   "SELECT format('%%I.%%I', p.nspname, u.n) AS t FROM unnest(ARRAY[%s]::text[],"
                   " ARRAY[%s]::text[]) AS u(s, n) JOIN pg_namespace p ON p.nspname = u.s OR u.s IS"
                   " NULL UNION SELECT format('%%I.%%I', (parse_ident(c))[1], (parse_ident(c))[2])"
                   " FROM unnest(ARRAY[%s]::text[]) c",
                   f.schemas.len ? f.schemas.data : "", f.names.len ? f.names.data : "",
                   f.created.len ? f.created.data : "");
    buf_fini(&f.schemas);
    buf_fini(&f.names);
    buf_fini(&f.created);
    return any;
}

const struct eng_migration *history_blind(struct eng_engine *engine)
{
    for (size_t i = 0; i < engine->nmigrations; i++) {
        struct file *file = file_of(engine->migrations[i]);
        bool sql = false;

        for (size_t k = 0; file && k < file->nops; k++)
            sql |= file->ops[k].kind == FILE_SQL;
        file_free(file);
        if (sql)
            return engine->migrations[i];
    }
    return NULL;
}

char *history_schema_sql(struct eng_engine *engine, const struct eng_migration *but)
{
    static const char theirs[] =
        "EXISTS (SELECT FROM flight f WHERE e.key IN ('table ' ||"
        " f.t, 'type ' || f.t) OR starts_with(e.value ->> 'owned by', f.t || '.')"
        " OR starts_with(e.key, 'statistics ') AND right(e.value ->> 'definition',"
        " length(f.t) + 6) = ' FROM ' || f.t)";
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
    if (conn_exec(&engine->work, err, "BEGIN; " HISTORY_READS) != RC_OK)
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
