/*
 * What the planner asks the server, by one of two search paths. What it says itself goes by
 * pg_catalog, as all of segue's sessions do: whatever functions, operators and tables the schemas
 * of the role's path have, none comes in between. The file's names mean what they mean to its
 * author, who sees them by the role's path: what holds such names goes by that.
 */
#include <stdlib.h>
#include <string.h>

#include "history.h"
#include "plan_build.h"
#include "segue/base/mem.h"
#include "segue/catalog/catalog.h"
#include "segue/sql/expr.h"
#include "writers.h"

#define OWN_PATH "pg_catalog, pg_temp"

static enum rc go_by(struct build *b, enum build_path path, struct err *err)
{
    const char *params[] = {path == BUILD_BY_NAMES ? b->names : OWN_PATH};
    PGresult *res;

    if (b->path == path)
        return RC_OK;
    if (cat_query(b->conn, "SELECT pg_catalog.set_config('search_path', $1, false)", 1, params,
                  &res, err) != RC_OK)
        return RC_ERR;
    PQclear(res);
    b->path = path;
    return RC_OK;
}

enum rc own_query(struct build *b, const char *sql, int nparams, const char *const *params,
                  PGresult **res, struct err *err)
{
    *res = NULL;
    if (go_by(b, BUILD_BY_OWN, err) != RC_OK)
        return RC_ERR;
    return cat_query(b->conn, sql, nparams, params, res, err);
}

enum rc own_value(struct build *b, const char *sql, int nparams, const char *const *params,
                  char **out, struct err *err)
{
    *out = NULL;
    if (go_by(b, BUILD_BY_OWN, err) != RC_OK)
        return RC_ERR;
    return cat_value(b->conn, sql, nparams, params, out, err);
}

enum rc named_query(struct build *b, const char *sql, int nparams, const char *const *params,
                    PGresult **res, struct err *err)
{
    *res = NULL;
    if (go_by(b, BUILD_BY_NAMES, err) != RC_OK)
        return RC_ERR;
    return cat_query(b->conn, sql, nparams, params, res, err);
}

enum rc named_value(struct build *b, const char *sql, int nparams, const char *const *params,
                    char **out, struct err *err)
{
    *out = NULL;
    if (go_by(b, BUILD_BY_NAMES, err) != RC_OK)
        return RC_ERR;
    return cat_value(b->conn, sql, nparams, params, out, err);
}

/* ---- what the path makes of names ---- */

enum rc paths_read(struct build *b)
{
    static const char schemas[] = "SELECT pg_catalog.current_schemas(false)::pg_catalog.text";

    if (cat_value(b->conn,
                  "SELECT reset_val FROM pg_catalog.pg_settings WHERE name OPERATOR(pg_catalog.=)"
                  " 'search_path'",
                  0, NULL, &b->names, b->err) != RC_OK)
        return RC_ERR;
    if (!b->names)
        b->names = mem_strdup("");
    if (named_value(b, schemas, 0, NULL, &b->schemas, b->err) != RC_OK)
        return RC_ERR;
    return named_value(b, "SELECT pg_catalog.current_schema()", 0, NULL, &b->creates_in, b->err);
}

void paths_fini(struct build *b)
{
    free(b->names);
    free(b->schemas);
    free(b->creates_in);
}

/* What `tell` says of what the role's path finds under a name. */
static enum rc placed(struct build *b, const char *find, const char *tell, const char *name,
                      char **out, struct err *err)
{
    const char *params[] = {name};
    char *oid;
    enum rc rc = named_value(b, find, 1, params, &oid, err);

    *out = NULL;
    params[0] = oid;
    if (rc == RC_OK && oid)
        rc = own_value(b, tell, 1, params, out, err);
    free(oid);
    return rc;
}

static const char find_relation[] = "SELECT pg_catalog.to_regclass($1)::pg_catalog.oid";
static const char find_type[] = "SELECT pg_catalog.to_regtype($1)::pg_catalog.oid";

enum rc relation_named(struct build *b, const char *name, char **out, struct err *err)
{
    return placed(b, find_relation,
                  "SELECT format('%I.%I', n.nspname, c.relname) FROM pg_class c JOIN pg_namespace n"
                  " ON n.oid = c.relnamespace WHERE c.oid = $1::oid",
                  name, out, err);
}

enum rc type_named(struct build *b, const char *name, char **out, struct err *err)
{
    return placed(b, find_type,
                  "SELECT format('%I.%I', n.nspname, t.typname) FROM pg_type t JOIN pg_namespace n"
                  " ON n.oid = t.typnamespace WHERE t.oid = $1::oid",
                  name, out, err);
}

enum rc path_would_find(struct build *b, const char *schema, const char *name, bool type,
                        bool *finds)
{
    static const char sql[] =
        "WITH p AS (SELECT * FROM unnest(CASE WHEN 'pg_catalog' = ANY ($1::text[]) THEN $1::text[]"
        "  ELSE 'pg_catalog'::text || $1::text[] END) WITH ORDINALITY AS p(s, at)), taken AS "
        "(SELECT"
        "  relnamespace AS id FROM pg_class WHERE relname = $3 AND $4 = 'f' UNION ALL SELECT"
        "  typnamespace FROM pg_type WHERE typname = $3 AND $4 = 't')"
        " SELECT p.s FROM p WHERE p.s = $2 AND NOT EXISTS (SELECT FROM p q JOIN pg_namespace n ON"
        "  n.nspname = q.s JOIN taken ON taken.id = n.oid WHERE q.at < p.at) LIMIT 1";
    const char *params[] = {b->schemas, schema, name, type ? "t" : "f"};
    char *first;
    enum rc rc = own_value(b, sql, (int)ARRAY_LEN(params), params, &first, b->err);

    *finds = first != NULL;
    free(first);
    return rc;
}

enum rc functions_named(struct build *b, char *const *names, size_t n, char **oids)
{
    static const char sql[] = WRITERS_CALLED("$1");
    char *list = history_array(names, n);
    const char *params[] = {list};
    enum rc rc = named_value(b, sql, 1, params, oids, b->err);

    free(list);
    return rc;
}

enum rc types_named(struct build *b, char *const *names, size_t n, char **oids)
{
    static const char sql[] =
        "SELECT COALESCE(pg_catalog.array_agg(COALESCE(pg_catalog.to_regtype(n)::pg_catalog.oid,"
        " '0'::pg_catalog.oid)), '{}')"
        " FROM pg_catalog.unnest($1::pg_catalog.text[]) n";
    char *list = history_array(names, n);
    const char *params[] = {list};
    enum rc rc = named_value(b, sql, 1, params, oids, b->err);

    free(list);
    return rc;
}

/* By which the guard's function of a table goes: the path's schemas, and the table's own. */
static enum rc guard_path(struct build *b, json_t *doc, struct err *err)
{
    static const char sql[] =
        "SELECT string_agg(quote_ident(s), ', ' ORDER BY o) FROM (SELECT s, min(o) AS o FROM"
        " unnest($1::text[] || $2::text) WITH ORDINALITY AS u(s, o) GROUP BY s) x";
    const char *params[] = {b->schemas, cat_text(doc, "schema")};
    char *path;
    enum rc rc = own_value(b, sql, 2, params, &path, err);

    if (rc == RC_OK)
        json_object_set_new(doc, "search_path", json_string(path));
    free(path);
    return rc;
}

enum rc table_named(struct build *b, const struct file_name *name, json_t **doc, struct err *err)
{
    static const char tell_schema[] = "SELECT n.nspname FROM pg_class c JOIN pg_namespace n ON"
                                      " n.oid = c.relnamespace WHERE c.oid = $1::oid";
    char *quoted = sql_quote_ident(name->name), *schema = mem_strdup(name->schema);
    enum rc rc = RC_OK;

    *doc = NULL;
    if (!schema)
        rc = placed(b, find_relation, tell_schema, quoted, &schema, err);
    if (rc == RC_OK)
        rc = go_by(b, BUILD_BY_OWN, err);
    if (rc == RC_OK)
        rc = cat_table(b->conn, schema, name->name, doc, err);
    if (rc == RC_OK)
        rc = guard_path(b, *doc, err);
    if (rc != RC_OK) {
        json_decref(*doc);
        *doc = NULL;
    }
    free(schema);
    free(quoted);
    return rc;
}
