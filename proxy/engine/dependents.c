#include "dependents.h"

#include <stdlib.h>
#include <string.h>

#include "segue/base/mem.h"
#include "segue/sql/expr.h"
#include "turned.h"

/* First of what a plan has seen: a plan of before there was such a list has none. */
#define SEEN "seen"

/* Of the columns %s (a list for ARRAY) of the table %u: key, what, and whether it would bar their
 * drop. Of those of the second list, which have no other half, what does not goes along as it would
 * without segue. The key outlives a new name, the words outlive being made anew (REINDEX
 * CONCURRENTLY). What segue makes has its name. */
#define ON_COLUMNS                                                                                 \
    "WITH c AS (SELECT *, attname = ANY(ARRAY[%s]::name[]) AS lone FROM pg_attribute WHERE "       \
    "attrelid = %u AND attname = ANY(ARRAY[%s]::name[]) AND NOT attisdropped), found AS (SELECT "  \
    "d.classid || ':' || d.objid AS key, pg_describe_object(d.classid, d.objid, 0) AS what, "      \
    "bool_and(d.deptype = 'n') AS bars, bool_and(lone) AS lone FROM c JOIN pg_depend d ON "        \
    "d.refclassid = 'pg_class'::regclass AND d.refobjid = c.attrelid AND d.refobjsubid = c.attnum" \
    " WHERE NOT EXISTS (SELECT FROM pg_attrdef f WHERE d.classid = 'pg_attrdef'::regclass AND "    \
    "f.oid = d.objid AND f.adnum = c.attnum) AND NOT EXISTS (SELECT FROM pg_class s WHERE "        \
    "d.classid = 'pg_class'::regclass AND s.oid = d.objid AND s.relkind = 'S') AND NOT EXISTS "    \
    "(SELECT FROM pg_constraint n WHERE d.classid = 'pg_constraint'::regclass AND n.oid = d.objid" \
    " AND n.contype = 'n') GROUP BY d.classid, d.objid UNION SELECT '-', format('NOT NULL of "     \
    "column %%I', attname), false, lone FROM c WHERE attnotnull UNION SELECT '-', "                \
    "format('privilege %%s of column %%I', i, attname), false, lone FROM c, unnest(attacl) AS i) " \
    "SELECT key, what, bars FROM found WHERE what !~ '~segue' AND (bars OR NOT lone) ORDER BY "    \
    "what"

/* Such a column has another one in its place. */
static bool is_carried(const struct eng_table *table, const struct eng_dual *dual)
{
    bool others = dual->new_name != NULL;

    for (size_t i = 0; dual->group && i < table->nduals; i++)
        others |= table->duals[i].group == dual->group && table->duals[i].new_name;
    return dual->old_name && others;
}

/* Those that go: all, or only those without another half. */
static char *columns_of(const struct eng_table *table, bool only)
{
    struct buf list = {0};

    for (size_t i = 0; i < table->nduals; i++) {
        const struct eng_dual *dual = &table->duals[i];
        char *name;

        if (!dual->old_name || (only && is_carried(table, dual)))
            continue;
        name = sql_quote_literal(dual->old_name);
        buf_printf(&list, "%s%s", list.len ? ", " : "", name);
        free(name);
    }
    return list.len ? buf_take(&list) : NULL;
}

/* NULL: no column of it goes. The caller frees. */
static char *found_sql(const struct eng_table *table)
{
    char *all = columns_of(table, false), *only = columns_of(table, true);
    char *sql = all ? mem_printf(ON_COLUMNS, only ? only : "", table->oid, all) : NULL;

    free(only);
    free(all);
    return sql;
}

/* ---- for the plan ---- */

static void keep(struct eng_table *table, const PGresult *res)
{
    int n = PQntuples(res);

    table->dependents = mem_calloc((size_t)n + 1, sizeof(*table->dependents));
    table->dependents[table->ndependents++] = mem_strdup(SEEN);
    for (int r = 0; r < n; r++)
        table->dependents[table->ndependents++] =
            mem_printf("%s %s", PQgetvalue(res, r, 0), PQgetvalue(res, r, 1));
}

enum rc dependents_read(struct build *b)
{
    for (size_t i = 0; i < b->plan->ntables; i++) {
        struct eng_table *table = &b->plan->tables[i];
        char *sql = found_sql(table);
        PGresult *res = NULL;
        enum rc rc = sql ? own_query(b, sql, 0, NULL, &res, b->err) : RC_OK;

        free(sql);
        if (rc != RC_OK)
            return rc;
        if (res)
            keep(table, res);
        PQclear(res);
    }
    return RC_OK;
}

/* ---- in flight ---- */

static bool is_seen(const struct eng_table *table, const char *key, const char *what)
{
    size_t len = strlen(key);

    for (size_t i = 1; i < table->ndependents; i++) {
        const char *seen = table->dependents[i], *space = strchr(seen, ' ');
        bool same_key = key[0] != '-' && !strncmp(seen, key, len) && seen[len] == ' ';

        if (same_key || (space && !strcmp(space + 1, what)))
            return true;
    }
    return false;
}

static void refuse(const struct eng_table *table, const char *what, bool bars, struct err *err)
{
    if (bars) {
        err_set(err, "55000",
                "%s came after the migration was planned: `complete` could not drop the column that"
                " it needs (table %s.%s)",
                what, table->schema, table->name);
        err_hint(err, "drop it, and make it again without that column; or abort");
        return;
    }
    err_set(err, "55000",
            "%s came after the migration was planned: `complete` would drop it with the column it "
            "is on (table %s.%s)",
            what, table->schema, table->name);
    err_hint(err, "drop it, and make it on the column that takes the place of that one: now, or "
                  "where that has its name only then, after the cut-over; or abort");
}

static enum rc check_table(struct eng_engine *engine, const struct eng_table *table, bool turned,
                           struct err *err)
{
    struct eng_table now;
    char *sql;
    PGresult *res;

    if (!table->ndependents)
        return RC_OK;
    eng_turned_init(&now, table, turned);
    sql = found_sql(&now);
    eng_turned_fini(&now);
    res = sql ? conn_query(&engine->work, err, "%s", sql) : NULL;
    free(sql);
    for (int r = 0; r < PQntuples(res) && !err_is_set(err); r++)
        if (!is_seen(table, PQgetvalue(res, r, 0), PQgetvalue(res, r, 1)))
            refuse(table, PQgetvalue(res, r, 1), res_bool(res, r, 2), err);
    PQclear(res);
    return err_is_set(err) ? RC_ERR : RC_OK;
}

/* Of tables that go, whose parts go along. */
static enum rc check_dropped(struct eng_engine *engine, const struct eng_plan *plan,
                             struct err *err)
{
    struct buf names = {0};
    PGresult *res;

    if (!plan->ndropped)
        return RC_OK;
    for (size_t i = 0; i < plan->ndropped; i++) {
        char *name = sql_quote_literal(plan->dropped[i]);

        buf_printf(&names, "%s%s", i ? ", " : "", name);
        free(name);
    }
    res = conn_query(&engine->work, err,
                     DEPENDENTS_OF_TABLES("ARRAY(SELECT to_regclass(n)::oid FROM unnest("
                                          "ARRAY[%1$s]::text[]) AS n)"),
                     names.data);
    buf_fini(&names);
    if (res && PQntuples(res)) {
        err_set(err, "55000",
                "%s came after the migration was planned: `complete` could not drop what it needs",
                PQgetvalue(res, 0, 0));
        err_hint(err, "drop it; or abort");
    }
    PQclear(res);
    return err_is_set(err) ? RC_ERR : RC_OK;
}

enum rc dependents_check(struct eng_engine *engine, const struct eng_migration *m, struct err *err)
{
    for (size_t i = 0; i < m->plan->ntables; i++)
        if (check_table(engine, &m->plan->tables[i], m->phase == PH_SOAKING, err) != RC_OK)
            return RC_ERR;
    return check_dropped(engine, m->plan, err);
}
