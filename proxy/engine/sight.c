#include "sight.h"

#include <stdio.h>
#include <stdlib.h>

#include "relations.h"
#include "runner.h"
#include "segue/base/log.h"
#include "segue/base/mem.h"
#include "segue/sql/expr.h"
#include "signature.h"

/* What workers have rules for: the tables named, w, with their partitions, r. Of a table that
 * changes its name: the one by which it is known here, the one that it has now, the other one. */
#define RELATIONS                                                                                  \
    "unnest(%s) AS w (schema, name, now, other) "                                                  \
    "JOIN pg_namespace wn ON wn.nspname = w.schema "                                               \
    "JOIN pg_class wc ON wc.relnamespace = wn.oid AND wc.relname = w.now "                         \
    "CROSS JOIN LATERAL (SELECT wc.oid) AS root CROSS JOIN " RELATIONS_TREE " AS r"

static const char columns_sql[] =
    "SELECT w.schema, w.name, a.attname, a.attgenerated <> '', "
    "(SELECT string_agg(e.grantee || ' ' || e.privilege_type, ',' ORDER BY e.grantee, "
    "e.privilege_type) FROM aclexplode(a.attacl) AS e WHERE e.privilege_type IN ('INSERT', "
    "'UPDATE')), "
    /* of a row, before it, on INSERT or UPDATE; and rules, which know no twins */
    "c.relhasrules OR EXISTS (SELECT 1 FROM pg_trigger g WHERE g.tgrelid = r.relid AND NOT "
    "g.tgisinternal AND "
    "g.tgname <> '~segue_guard' AND g.tgenabled <> 'D' AND g.tgtype & 3 = 3 AND g.tgtype & 20 <> "
    "0), CASE WHEN c.oid <> wc.oid THEN n.nspname END, CASE WHEN c.oid <> wc.oid THEN c.relname "
    "END, coalesce(a.attnum = ANY(k.conkey), false), "
    "EXISTS (SELECT FROM aclexplode(a.attacl) AS e WHERE e.privilege_type = 'SELECT' AND "
    "e.grantee <> c.relowner), "
    /* an interval of certain fields, or a domain that may be of one */
    "a.atttypid = 'pg_catalog.interval'::regtype AND a.atttypmod <> -1 AND "
    "a.atttypmod >> 16 & 32767 <> 32767 OR EXISTS (SELECT FROM pg_type d JOIN pg_type b ON b.oid = "
    "d.typbasetype WHERE d.oid = a.atttypid AND d.typtype = 'd' AND (b.typtype = 'd' OR b.oid = "
    "'pg_catalog.interval'::regtype)), " SIGNATURE_PART_SQL " FROM " RELATIONS
    " JOIN pg_class c ON c.oid = r.relid JOIN pg_namespace n ON n.oid = c.relnamespace "
    "LEFT JOIN pg_constraint k ON k.conrelid = c.oid AND k.contype = 'p' AND NOT k.condeferrable "
    "JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped "
    "ORDER BY w.schema, w.name, c.oid <> wc.oid, c.oid, a.attnum";

/* System catalogs too: their columns can make a name ambiguous like all others'. */
static const char namesakes_sql[] =
    "SELECT n.nspname, c.relname, a.attname, CASE WHEN t.name IS NOT NULL THEN " SIGNATURE_SQL
    " END, a.attnum - (SELECT count(*) FROM pg_attribute g WHERE g.attrelid = c.oid AND g.attnum "
    "> 0 AND g.attnum < a.attnum AND g.attisdropped) FROM pg_class c JOIN pg_namespace n ON n.oid "
    "= c.relnamespace "
    "LEFT JOIN pg_attribute a ON a.attrelid = c.oid "
    "AND a.attnum > 0 AND NOT a.attisdropped AND a.attname = ANY(ARRAY[%s]::name[]) "
    "AND c.relkind IN ('r', 'p', 'v', 'm', 'f') LEFT JOIN (SELECT relname FROM pg_class WHERE oid "
    "IN (SELECT r.relid FROM " RELATIONS ") UNION SELECT w.other FROM " RELATIONS
    ") AS t (name) ON t.name = c.relname WHERE left(n.nspname, 8) <> 'pg_toast' AND "
    "(a.attname IS NOT NULL OR t.name IS NOT NULL) AND c.oid NOT IN (SELECT r.relid FROM " RELATIONS
    ") ORDER BY n.nspname, c.relname, a.attname LIMIT %d";

/* Where several relations have a table's name: who may not use one of their schemas. And do
 * functions change what the name means? Those in C are taken for harmless. */
static const char access_sql[] =
    "WITH t AS (SELECT c.oid, c.relname FROM " RELATIONS " JOIN pg_class c ON c.oid = r.relid "
    "UNION SELECT wc.oid, w.other FROM " RELATIONS " WHERE w.other IS NOT NULL), "
    "c AS (SELECT c.oid, c.relname, c.relnamespace, n.nspname FROM pg_class c JOIN pg_namespace n "
    "ON n.oid = c.relnamespace WHERE c.relname IN (SELECT relname FROM t) "
    "AND left(n.nspname, 8) NOT IN ('pg_toast', 'pg_temp_') "
    "UNION SELECT c.oid, t.relname, c.relnamespace, n.nspname FROM t JOIN pg_class c ON c.oid = "
    "t.oid JOIN pg_namespace n ON n.oid = c.relnamespace), "
    "s AS (SELECT relnamespace AS oid, nspname, bool_or(oid IN (SELECT oid FROM t)) AS own FROM c "
    "WHERE relname IN (SELECT relname FROM c GROUP BY 1 HAVING count(*) > 1) GROUP BY 1, 2), "
    "r AS (SELECT oid, rolname FROM pg_roles WHERE left(rolname, 3) <> 'pg_'), "
    "f AS (SELECT (SELECT count(*) FROM s) * (SELECT count(*) FROM r) <= %d AS small), "
    "p AS (SELECT coalesce(pg_get_function_sqlbody(p.oid), p.prosrc) AS body FROM pg_proc p "
    "JOIN pg_namespace n ON n.oid = p.pronamespace JOIN pg_language l ON l.oid = p.prolang "
    "WHERE n.nspname NOT IN ('pg_catalog', 'information_schema', 'segue') "
    "AND l.lanname NOT IN ('c', 'internal')) "
    "SELECT r.rolname, s.nspname FROM f, s, r WHERE (s.own OR f.small) "
    "AND NOT has_schema_privilege(r.oid, s.oid, 'USAGE') "
    "UNION ALL SELECT NULL, '" SIGHT_FACT_ALL "' FROM f WHERE small "
    "UNION ALL SELECT NULL, '" SIGHT_FACT_PATH "' WHERE EXISTS (SELECT 1 FROM s) AND EXISTS "
    "(SELECT 1 FROM p WHERE body ~* 'search_path|set_config\\s*\\(\\s*[^''[:space:]]') "
    "UNION ALL SELECT NULL, '" SIGHT_FACT_ROLE "' WHERE EXISTS (SELECT 1 FROM s) AND EXISTS "
    "(SELECT 1 FROM p WHERE body ~* 'set\\s+(local\\s+|session\\s+)?(role|authorization)|"
    "set_config\\s*\\(\\s*([^''[:space:]]|''(role|session_a))') "
    "ORDER BY 1, 2";

struct names {
    struct buf schemas, tables, now, others; /* each a list, as long as the others */
    struct buf columns;
};

/* NULL: NULL */
static void put(struct buf *out, const char *name)
{
    char *literal = name ? sql_quote_literal(name) : mem_strdup("NULL");

    buf_printf(out, "%s%s", out->len ? ", " : "", literal);
    free(literal);
}

static void collect(const struct eng_migration *m, struct names *names)
{
    for (size_t i = 0; i < m->nlocked; i++) {
        put(&names->schemas, m->locked[i].schema);
        put(&names->tables, m->locked[i].name);
        put(&names->now, eng_locked_called(m, &m->locked[i]).name);
        put(&names->others, eng_locked_called(m, &m->locked[i]).other);
    }
    for (size_t t = 0; t < m->plan->ntables; t++) {
        for (size_t i = 0; i < m->plan->tables[t].nduals; i++) {
            const struct eng_dual *dual = &m->plan->tables[t].duals[i];

            if (dual->retypes)
                continue; /* both sides see the name, so that it means what it meant */
            if (dual->old_name)
                put(&names->columns, dual->old_name);
            if (dual->new_name)
                put(&names->columns, dual->new_name);
        }
    }
}

static enum rc read_names(struct eng_engine *engine, const struct names *names, struct err *err)
{
    char *lists =
        mem_printf("ARRAY[%s]::name[], ARRAY[%s]::name[], ARRAY[%s]::name[], "
                   "ARRAY[%s]::name[]",
                   names->schemas.data, names->tables.data, names->now.data, names->others.data);
    struct eng_sight *sight = &engine->sight;
    PGresult *columns, *namesakes = NULL, *access = NULL;

    columns = conn_query(&engine->work, err, columns_sql, lists);
    if (columns)
        namesakes = conn_query(&engine->work, err, namesakes_sql,
                               names->columns.len ? names->columns.data : "", lists, lists, lists,
                               SIGHT_NAMESAKES_MAX + 1);
    if (namesakes)
        access = conn_query(&engine->work, err, access_sql, lists, lists, SIGHT_ACCESS_MAX);
    free(lists);
    if (!access) {
        PQclear(columns);
        PQclear(namesakes);
        return RC_ERR;
    }
    if (PQntuples(namesakes) > SIGHT_NAMESAKES_MAX &&
        (!sight->namesakes || PQntuples(sight->namesakes) <= SIGHT_NAMESAKES_MAX))
        log_warning("more than %d relations and columns are called as migrating ones are: "
                    "statements go out as they come",
                    SIGHT_NAMESAKES_MAX);
    PQclear(sight->columns);
    PQclear(sight->namesakes);
    PQclear(sight->access);
    sight->columns = columns;
    sight->namesakes = namesakes;
    sight->access = access;
    snprintf(sight->database, sizeof(sight->database), "%s", PQdb(engine->work.pg));
    sight->returns_both = PQserverVersion(engine->work.pg) >= 180000;
    return sight_read_functions(engine, err);
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
    buf_fini(&names.now);
    buf_fini(&names.others);
    buf_fini(&names.columns);
    return rc;
}

bool sight_is_settled(struct eng_engine *engine)
{
    static const char sql[] =
        "SELECT FROM pg_locks WHERE locktype = 'relation' AND mode = 'AccessExclusiveLock' "
        "AND granted AND pid <> pg_backend_pid() AND database = "
        "(SELECT oid FROM pg_database WHERE datname = current_database()) LIMIT 1";
    struct err err = {0};
    PGresult *res = conn_query(&engine->work, &err, "%s", sql);
    bool settled = res && PQntuples(res) == 0;

    PQclear(res);
    return settled;
}

void sight_forget(struct eng_sight *sight)
{
    PQclear(sight->columns);
    PQclear(sight->namesakes);
    PQclear(sight->access);
    sql_functions_unref(sight->functions);
    *sight = (struct eng_sight){0};
}
