#include "sight.h"

#include <stdlib.h>

#include "runner.h"
#include "segue/base/log.h"
#include "segue/sql/expr.h"

/* What workers have rules for: the tables named, w, with their partitions, r. */
#define RELATIONS                                                                                  \
    "unnest(ARRAY[%s]::name[], ARRAY[%s]::name[]) AS w (schema, name) "                            \
    "JOIN pg_namespace wn ON wn.nspname = w.schema "                                               \
    "JOIN pg_class wc ON wc.relnamespace = wn.oid AND wc.relname = w.name "                        \
    "CROSS JOIN LATERAL (SELECT wc.oid AS relid UNION SELECT relid::oid FROM "                     \
    "pg_partition_tree(wc.oid)) AS r"

static const char columns_sql[] =
    "SELECT w.schema, w.name, a.attname, a.attgenerated <> '', "
    "(SELECT string_agg(e.grantee || ' ' || e.privilege_type, ',' ORDER BY e.grantee, "
    "e.privilege_type) FROM aclexplode(a.attacl) AS e WHERE e.privilege_type IN ('INSERT', "
    "'UPDATE')), "
    /* of a row, before it, on INSERT or UPDATE */
    "EXISTS (SELECT 1 FROM pg_trigger g WHERE g.tgrelid = r.relid AND NOT g.tgisinternal AND "
    "g.tgname <> '~segue_guard' AND g.tgenabled <> 'D' AND g.tgtype & 3 = 3 AND g.tgtype & 20 <> "
    "0), CASE WHEN c.oid <> wc.oid THEN n.nspname END, CASE WHEN c.oid <> wc.oid THEN c.relname "
    "END FROM " RELATIONS " JOIN pg_class c ON c.oid = r.relid "
    "JOIN pg_namespace n ON n.oid = c.relnamespace "
    "JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped "
    "ORDER BY w.schema, w.name, c.oid <> wc.oid, c.oid, a.attnum";

/* System catalogs too: their columns can make a name ambiguous like all others'. */
static const char namesakes_sql[] =
    "SELECT n.nspname, c.relname, a.attname FROM pg_class c "
    "JOIN pg_namespace n ON n.oid = c.relnamespace LEFT JOIN pg_attribute a ON a.attrelid = c.oid "
    "AND a.attnum > 0 AND NOT a.attisdropped AND a.attname = ANY(ARRAY[%s]::name[]) "
    "AND c.relkind IN ('r', 'p', 'v', 'm', 'f') WHERE left(n.nspname, 8) <> 'pg_toast' AND "
    "(a.attname IS NOT NULL OR c.relname IN (SELECT relname FROM pg_class WHERE oid IN "
    "(SELECT r.relid FROM " RELATIONS "))) AND c.oid NOT IN (SELECT r.relid FROM " RELATIONS ") "
    "ORDER BY n.nspname, c.relname, a.attname LIMIT %d";

struct names {
    struct buf schemas, tables; /* in pairs */
    struct buf columns;
};

static void put(struct buf *out, const char *name)
{
    char *literal = sql_quote_literal(name);

    buf_printf(out, "%s%s", out->len ? ", " : "", literal);
    free(literal);
}

static void collect(const struct eng_migration *m, struct names *names)
{
    for (size_t i = 0; i < m->nlocked; i++) {
        put(&names->schemas, m->locked[i].schema);
        put(&names->tables, m->locked[i].name);
    }
    for (size_t t = 0; t < m->plan->ntables; t++) {
        for (size_t i = 0; i < m->plan->tables[t].nduals; i++) {
            const struct eng_dual *dual = &m->plan->tables[t].duals[i];

            if (dual->old_name)
                put(&names->columns, dual->old_name);
            if (dual->new_name)
                put(&names->columns, dual->new_name);
        }
    }
}

static enum rc read_names(struct eng_engine *engine, const struct names *names, struct err *err)
{
    const char *schemas = names->schemas.data, *tables = names->tables.data;
    struct eng_sight *sight = &engine->sight;
    PGresult *columns, *namesakes;

    columns = conn_query(&engine->work, err, columns_sql, schemas, tables);
    if (!columns)
        return RC_ERR;
    namesakes =
        conn_query(&engine->work, err, namesakes_sql, names->columns.len ? names->columns.data : "",
                   schemas, tables, schemas, tables, SIGHT_NAMESAKES_MAX + 1);
    if (!namesakes) {
        PQclear(columns);
        return RC_ERR;
    }
    if (PQntuples(namesakes) > SIGHT_NAMESAKES_MAX &&
        (!sight->namesakes || PQntuples(sight->namesakes) <= SIGHT_NAMESAKES_MAX))
        log_warning("more than %d relations and columns are called as migrating ones are: "
                    "statements go out as they come",
                    SIGHT_NAMESAKES_MAX);
    sight_forget(sight);
    *sight = (struct eng_sight){columns, namesakes};
    return RC_OK;
}

enum rc sight_read(struct eng_engine *engine, struct err *err)
{
    struct names names = {0};
    enum rc rc = RC_OK;

    for (size_t i = 0; i < engine->nmigrations; i++) {
        if (eng_phase(engine->migrations[i]->phase)->active)
            collect(engine->migrations[i], &names);
    }
    if (names.tables.len)
        rc = read_names(engine, &names, err);
    else
        sight_forget(&engine->sight);
    buf_fini(&names.schemas);
    buf_fini(&names.tables);
    buf_fini(&names.columns);
    return rc;
}

void sight_forget(struct eng_sight *sight)
{
    PQclear(sight->columns);
    PQclear(sight->namesakes);
    *sight = (struct eng_sight){0};
}
