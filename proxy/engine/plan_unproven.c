/*
 * Constraints that are NOT VALID: the server has never looked whether the rows that are there meet
 * them, but asks so of every row that is written. The fill writes rows as they are, so one that
 * does not meet such a constraint stops it; no row can come to be so. A NOT NULL (PostgreSQL 18)
 * is refused whatever the rows hold when the file changes its column, since it would come out
 * proven.
 */
#include <stdlib.h>
#include <string.h>

#include "nulls.h"
#include "plan_build.h"
#include "segue/base/mem.h"
#include "segue/catalog/catalog.h"
#include "segue/sql/expr.h"

#define LOOK_SECONDS_MAX "3"

enum { U_TABLE, U_NAME, U_BAD, U_COLUMN };

/* Of the table and its partitions. Foreign keys are asked for only where their columns change. */
static const char unproven_sql[] =
    "SELECT format('%I.%I', n.nspname, c.relname), k.conname, CASE k.contype"
    " WHEN 'c' THEN format('(%s) IS FALSE', pg_get_expr(k.conbin, k.conrelid))"
    " ELSE format('%I " IS_NULL "', a.attname) END, CASE k.contype WHEN 'n' THEN a.attname END"
    " FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid"
    " JOIN pg_namespace n ON n.oid = c.relnamespace"
    " LEFT JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = k.conkey[1]"
    " WHERE k.contype IN ('c', 'n') AND NOT k.convalidated"
    " AND COALESCE((to_jsonb(k) ->> 'conenforced')::bool, true) AND k.coninhcount = 0"
    " AND k.conrelid IN (SELECT $1::oid UNION SELECT relid FROM"
    "  pg_partition_tree($1::oid::regclass)) ORDER BY k.oid";

/* The first value of the query, read only and bounded in time; heap, NULL when there is none. */
static enum rc look(struct build *b, const char *sql, char **value, struct err *why)
{
    bool outer = PQtransactionStatus(b->conn) == PQTRANS_INTRANS;
    PGresult *res = NULL;
    enum rc rc =
        own_query(b, outer ? "SAVEPOINT segue_look" : "BEGIN READ ONLY", 0, NULL, &res, why);

    *value = NULL;
    PQclear(res);
    if (rc != RC_OK)
        return rc;
    rc = own_query(b, "SET LOCAL statement_timeout = '" LOOK_SECONDS_MAX "s'", 0, NULL, &res, why);
    PQclear(res);
    if (rc == RC_OK)
        rc = own_value(b, sql, 0, NULL, value, why);
    if (own_query(b, outer ? "ROLLBACK TO SAVEPOINT segue_look" : "ROLLBACK", 0, NULL, &res,
                  NULL) != RC_OK)
        rc = RC_ERR;
    PQclear(res);
    return rc;
}

/* `bad`: the condition that is true of rows that do not meet it, over bare columns. */
static enum rc judge(struct build *b, const char *table, const char *name, const char *bad)
{
    char *object = mem_printf("constraint %s of %s", name, table), *quoted = sql_quote_ident(name);
    char *hint = mem_printf("mend its rows and ALTER TABLE %s VALIDATE CONSTRAINT %s, or drop it",
                            table, quoted);
    char *sql = mem_printf("SELECT concat('ctid ', ctid) FROM %s WHERE %s LIMIT 1", table, bad);
    char *place = NULL;
    struct err why = {0};
    enum rc rc = look(b, sql, &place, &why);

    if (rc != RC_OK)
        build_refuse(b, object, hint,
                     "it is NOT VALID: the fill stops at a row that does not meet it, and whether "
                     "there is one could not be looked at (%s)",
                     why.text);
    else if (place)
        build_refuse(b, object, hint,
                     "it is NOT VALID, and a row does not meet it (%s): the fill would stop there",
                     place);
    free(place);
    free(sql);
    free(hint);
    free(quoted);
    free(object);
    return PQstatus(b->conn) == CONNECTION_OK ? RC_OK : RC_ERR;
}

bool refuse_unproven_null(struct build *b, const struct target *t, const char *column)
{
    const char *name = cat_text(cat_column(t->doc, column), "unproven");
    char *object, *quoted, *hint;

    if (!name)
        return false;
    object = mem_printf("constraint %s of %s", name, t->relation);
    quoted = sql_quote_ident(name);
    hint = mem_printf("ALTER TABLE %s VALIDATE CONSTRAINT %s, or drop it", t->relation, quoted);
    build_refuse(b, object, hint, "it is NOT VALID: column %s may hold NULL", column);
    free(hint);
    free(quoted);
    free(object);
    return true;
}

/* Columns that are renamed, change their type, are split, merged or dropped. */
static void refuse_changed(struct build *b, const struct target *t)
{
    const struct eng_table *table = t->table >= 0 ? &b->plan->tables[t->table] : NULL;

    for (size_t i = 0; table && i < table->nduals; i++)
        if (table->duals[i].old_name)
            (void)refuse_unproven_null(b, t, table->duals[i].old_name);
}

/* Is it of a column that has been refused for it? */
static bool is_told(const struct build *b, const struct target *t, const char *column)
{
    const struct eng_table *table = &b->plan->tables[t->table];

    for (size_t i = 0; i < table->nduals; i++)
        if (table->duals[i].old_name && !strcmp(table->duals[i].old_name, column))
            return cat_text(cat_column(t->doc, column), "unproven") != NULL;
    return false;
}

enum rc refuse_unproven(struct build *b, const struct target *t)
{
    char *oid = mem_printf("%lld", (long long)json_integer_value(json_object_get(t->doc, "oid")));
    const char *params[] = {oid};
    PGresult *res = NULL;
    enum rc rc = t->fills ? own_query(b, unproven_sql, 1, params, &res, b->err) : RC_OK;

    refuse_changed(b, t);
    for (int row = 0; rc == RC_OK && row < (res ? PQntuples(res) : 0); row++)
        if (!is_told(b, t, PQgetvalue(res, row, U_COLUMN)))
            rc = judge(b, PQgetvalue(res, row, U_TABLE), PQgetvalue(res, row, U_NAME),
                       PQgetvalue(res, row, U_BAD));
    PQclear(res);
    free(oid);
    return rc;
}
