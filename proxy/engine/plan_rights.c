/*
 * What a foreign key to a table of another role takes. The server wants REFERENCES of who makes it;
 * the rows that it finds in the other table when it checks, it finds as that table's owner. Segue's
 * own look for rows that refer to nothing reads them as the role that it is.
 */
#include <stdlib.h>

#include "history.h"
#include "plan_build.h"
#include "segue/base/mem.h"

enum { R_LACKS, R_TABLE, R_GRANT };

/* $1: the table, $2: its columns, $3: is it read, too? As the server: whoever may not of the table
 * may of each column. */
static const char rights_sql[] =
    "SELECT string_agg(p.does, ' nor ' ORDER BY p.o), format('%I.%I', n.nspname, c.relname),"
    " format('GRANT %s ON %I.%I TO %I', string_agg(p.named, ', ' ORDER BY p.o), n.nspname,"
    "  c.relname, current_user) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace,"
    " (VALUES (1, 'SELECT', 'read'), (2, 'REFERENCES', 'refer to')) p(o, named, does)"
    " WHERE c.oid = $1::oid AND ($3::bool OR p.named <> 'SELECT') AND EXISTS (SELECT FROM"
    "  unnest($2::text[]) u WHERE NOT has_column_privilege(c.oid, u, p.named))"
    " GROUP BY n.nspname, c.relname";

/* No row: nothing is missing. */
static enum rc lacking(struct build *b, const char *oid, const char *columns, bool look,
                       PGresult **res)
{
    const char *params[] = {oid, columns, look ? "t" : "f"};

    return own_query(b, rights_sql, (int)ARRAY_LEN(params), params, res, b->err);
}

enum rc check_may_refer(struct build *b, const char *path, const char *oid,
                        const struct file_names *columns, bool look)
{
    char *list = history_array(columns->v, columns->n);
    PGresult *res = NULL;
    enum rc rc = lacking(b, oid, list, look, &res);

    if (rc == RC_OK && PQntuples(res))
        rc = build_fail_hint(b, path, PQgetvalue(res, 0, R_GRANT), "this role may not %s table %s",
                             PQgetvalue(res, 0, R_LACKS), PQgetvalue(res, 0, R_TABLE));
    PQclear(res);
    free(list);
    return rc;
}

enum rc refuse_unreferable(struct build *b, json_int_t oid, const char *table, const char *name)
{
    static const char sql[] =
        "SELECT k.confrelid, ARRAY(SELECT a.attname FROM pg_attribute a WHERE a.attrelid ="
        " k.confrelid AND a.attnum = ANY (k.confkey)) FROM pg_constraint k WHERE k.conrelid ="
        " $1::oid AND k.conname = $2 AND k.contype = 'f'";
    char *object = mem_printf("constraint %s of %s", name, table);
    char *id = mem_printf("%lld", (long long)oid);
    const char *params[] = {id, name};
    PGresult *to = NULL, *res = NULL;
    enum rc rc = own_query(b, sql, (int)ARRAY_LEN(params), params, &to, b->err);

    if (rc == RC_OK && PQntuples(to))
        rc = lacking(b, PQgetvalue(to, 0, 0), PQgetvalue(to, 0, 1), false, &res);
    if (rc == RC_OK && res && PQntuples(res))
        build_refuse(b, object, PQgetvalue(res, 0, R_GRANT),
                     "it has to be made again, and this role may not %s table %s",
                     PQgetvalue(res, 0, R_LACKS), PQgetvalue(res, 0, R_TABLE));
    PQclear(res);
    PQclear(to);
    free(id);
    free(object);
    return rc;
}

/* ---- where it is ---- */

static const char grant_usage[] = "GRANT USAGE ON SCHEMA %I TO %I";

/* The server finds by its oid what a foreign key refers to; segue, which locks it, by its name. */
enum rc refuse_unusable(struct build *b)
{
    static const char sql[] =
        "SELECT n.nspname, format($2, n.nspname, current_user) FROM pg_namespace n WHERE NOT"
        " has_schema_privilege(n.oid, 'USAGE') AND EXISTS (SELECT FROM unnest($1::text[]) l WHERE"
        " strpos(', ' || l, format(', %I.', n.nspname)) > 0) ORDER BY 1";
    char **on = mem_calloc(b->plan->nsteps + 1, sizeof(*on));
    char *list;
    PGresult *res = NULL;
    enum rc rc;

    for (size_t i = 0; i < b->plan->nsteps; i++)
        on[i] = b->plan->steps[i].lock_on;
    list = history_array(on, b->plan->nsteps);
    rc = own_query(b, sql, 2, (const char *const[]){list, grant_usage}, &res, b->err);
    for (int row = 0; rc == RC_OK && row < PQntuples(res); row++)
        build_refuse(b, PQgetvalue(res, row, 0), PQgetvalue(res, row, 1),
                     "a table of this schema is to be locked, and this role may not use it");
    PQclear(res);
    free(list);
    free(on);
    return rc;
}

enum rc check_may_use(struct build *b, const char *path, const char *schema)
{
    static const char sql[] = "SELECT format($2, n.nspname, current_user) FROM pg_namespace n WHERE"
                              " n.nspname = $1 AND NOT has_schema_privilege(n.oid, 'USAGE')";
    const char *params[] = {schema, grant_usage};
    char *grant = NULL;
    enum rc rc = schema ? own_value(b, sql, 2, params, &grant, b->err) : RC_OK;

    if (rc == RC_OK && grant)
        rc = build_fail_hint(b, path, grant, "this role may not use schema \"%s\"", schema);
    free(grant);
    return rc;
}
