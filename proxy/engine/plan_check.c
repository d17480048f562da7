/* What the file says of types, expressions and names of columns, checked by the server. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "nulls.h"
#include "plan_build.h"
#include "segue/base/buf.h"
#include "segue/base/mem.h"
#include "segue/base/option.h"
#include "segue/catalog/catalog.h"
#include "segue/sql/expr.h"

#define TEXT_OID 25

enum rc check_type(struct build *b, const char *path, const char *type, struct type_facts *out)
{
    static const char facts[] =
        "SELECT format_type(oid, CASE typtype WHEN 'd' THEN -1 ELSE $2::int4 END),"
        " typcollation <> 0, " CAT_CONSTRAINED ", CASE WHEN typtype = 'p'"
        " THEN 'a pseudo-type: no column has it' WHEN NOT has_type_privilege(oid, 'USAGE') THEN"
        " format('a type that this role may not use: GRANT USAGE ON TYPE %s TO %I', oid::regtype,"
        " current_user) ELSE '' END FROM pg_type t"
        " WHERE oid = to_regtype($1)";
    char *sql, *placed;
    struct err why = {0};
    PGresult *res;
    char mod[16];
    const char *params[] = {type, mod};
    enum rc rc;

    if (enum_of_file(b, type)) { /* not there yet */
        out->name = mem_strdup(type);
        return RC_OK;
    }
    sql = mem_printf("SELECT NULL::%s LIMIT 0", type); /* a domain may forbid the NULL */
    rc = named_query(b, sql, 0, NULL, &res, &why);
    free(sql);
    if (rc != RC_OK) {
        if (enum_unreached(b, type))
            err_hint(b->err,
                     "say %s, which this file makes: its schema is not the first of the"
                     " search_path that has such a name",
                     enum_unreached(b, type));
        return build_fail(b, path, "%s", why.text);
    }
    snprintf(mod, sizeof(mod), "%d", PQfmod(res, 0));
    PQclear(res);
    if (type_named(b, type, &placed, b->err) != RC_OK)
        return RC_ERR;
    params[0] = placed;
    rc = own_query(b, facts, 2, params, &res, b->err);
    free(placed);
    if (rc != RC_OK)
        return rc;
    out->name = mem_strdup(PQgetvalue(res, 0, 0));
    out->collatable = PQgetvalue(res, 0, 1)[0] == 't';
    out->constrained = PQgetvalue(res, 0, 2)[0] == 't';
    if (*PQgetvalue(res, 0, 3))
        rc = build_fail_hint(b, path, "name a type that a column can have", "%s is %s", out->name,
                             PQgetvalue(res, 0, 3));
    PQclear(res);
    return rc;
}

/* The functions of segue's own that are for files; store_ddl.c makes them. */
static const char *const own_functions[] = {"segue.json_or_wrap", "segue.json_unwrap"};

static bool is_own_function(const char *name)
{
    for (size_t i = 0; i < ARRAY_LEN(own_functions); i++)
        if (!strcmp(own_functions[i], name))
            return true;
    return false;
}

/* A name in segue's schema that is none of those will not be there by then either. */
static enum rc fail_not_own(struct build *b, const char *path, const char *name)
{
    const char *near = opt_nearest(name, own_functions, ARRAY_LEN(own_functions));
    char *hint =
        near ? mem_printf("did you mean %s?", near)
             : mem_printf("those that there are: %s, %s", own_functions[0], own_functions[1]);
    enum rc rc = build_fail_hint(b, path, hint, "segue has no function %s", name);

    free(hint);
    return rc;
}

/* segue's own functions may not be there yet: they come with the first migration. */
static enum rc names_missing_functions(struct build *b, const char *path, const char *expr,
                                       bool *missing)
{
    struct sql_expr_info info;
    enum rc rc = RC_OK;

    *missing = false;
    if (sql_expr_parse(expr, &info, NULL) != RC_OK)
        return RC_OK;
    for (size_t i = 0; rc == RC_OK && i < info.nfunctions; i++) {
        const char *params[] = {info.functions[i]};
        char *found = NULL;

        if (strncmp(info.functions[i], "segue.", 6))
            continue;
        if (own_value(b,
                      "SELECT 1 FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace"
                      " WHERE n.nspname || '.' || p.proname = $1",
                      1, params, &found, NULL) != RC_OK ||
            !found) {
            *missing = true;
            if (!is_own_function(info.functions[i]))
                rc = fail_not_own(b, path, info.functions[i]);
        }
        free(found);
    }
    sql_expr_info_fini(&info);
    return rc;
}

static enum rc not_understood(struct build *b, const char *path, const char *what,
                              const struct err *why)
{
    const char *hint =
        what ? "its columns are as this file leaves them: let it fit their types" : why->hint;

    if (hint[0])
        err_hint(b->err, "%s", hint);
    return build_fail(b, path, "%s%s%s", what ? what : "", what ? ": " : "", why->text);
}

/* `where` in WHERE: no aggregate, window function or set may stand there. */
static enum rc understood(struct build *b, const char *path, const char *what, const char *where,
                          const char *from)
{
    struct err why = {0};
    PGresult *res = NULL;
    char *sql = mem_printf("SELECT 1%s WHERE %s LIMIT 0", from, where);
    enum rc rc = named_query(b, sql, 0, NULL, &res, &why);

    free(sql);
    PQclear(res);
    return rc == RC_OK ? RC_OK : not_understood(b, path, what, &why);
}

/* Of an expression that cannot be asked for whole: are the columns there that it reads? */
static enum rc check_reads(struct build *b, const char *path, const char *what, const char *expr,
                           const char *from)
{
    struct sql_expr_info info;
    struct buf where = {0};
    enum rc rc = sql_expr_parse(expr, &info, b->err);

    if (rc != RC_OK)
        return rc;
    buf_append_str(&where, "ROW(");
    for (size_t i = 0; i < info.ncolumns; i++) {
        buf_append_str(&where, i ? ", " : "");
        sql_quote_ident_put(&where, info.columns[i]);
    }
    buf_append_str(&where, ") " IS_NULL);
    rc = understood(b, path, what, where.data, from);
    buf_fini(&where);
    sql_expr_info_fini(&info);
    return rc;
}

enum rc build_check_condition(struct build *b, const char *path, const char *what,
                              const char *condition, const char *from)
{
    char *where;
    bool missing;
    enum rc rc = names_missing_functions(b, path, condition, &missing);

    if (rc != RC_OK)
        return rc;
    if (missing)
        return check_reads(b, path, what, condition, from);
    where = mem_printf("(%s\n)", condition);
    rc = understood(b, path, what, where, from);
    free(where);
    return rc;
}

enum rc build_check_expr(struct build *b, const char *path, const char *expr, const char *type,
                         const char *from)
{
    char *where;
    bool missing;
    enum rc rc = names_missing_functions(b, path, expr, &missing);

    if (rc != RC_OK)
        return rc;
    if (missing)
        return check_reads(b, path, NULL, expr, from);
    if (enum_of_file(b, type)) /* the server does not know it yet */
        return *from ? RC_OK : enum_check_default(b, path, enum_of_file(b, type), type, expr);
    where = mem_printf("CAST((%s\n) AS %s) " IS_NULL, expr, type);
    rc = understood(b, path, NULL, where, from);
    free(where);
    return rc;
}

/* What the server would assign without being told to cast; of arrays their elements. */
static const char assigns_sql[] =
    "WITH RECURSIVE base(id) AS (SELECT $2::oid UNION ALL SELECT typbasetype FROM base"
    "  JOIN pg_type t ON t.oid = id AND typtype = 'd'), whole AS (SELECT o, n, o.typcategory = 'A'"
    "  AND n.typcategory = 'A' AS list FROM pg_type o, base JOIN pg_type n ON n.oid = id AND"
    "  n.typtype <> 'd' WHERE o.oid = $1::oid), pair AS (SELECT CASE WHEN list THEN (o).typelem "
    "ELSE"
    "  (o).oid END AS o, CASE WHEN list THEN (n).typelem ELSE (n).oid END AS n FROM whole)"
    " SELECT CASE WHEN o.oid = n.oid OR n.typcategory = 'S' OR o.typtype IN ('c', 'p') OR"
    "  EXISTS (SELECT FROM pg_cast c WHERE c.castsource = o.oid AND c.casttarget = n.oid AND"
    "  c.castcontext <> 'e') THEN '' ELSE format_type($1::oid, NULL) END"
    " FROM pair p JOIN pg_type o ON o.oid = p.o JOIN pg_type n ON n.oid = p.n";

/* A text without a cast is of no type yet, and NULL neither. */
static bool is_literal(const struct sql_expr_info *info, Oid type)
{
    return info->constant && info->ncasts == 0 && type == TEXT_OID;
}

/* An assignment cuts nothing off and minds what a domain wants, but only when a row takes the
 * default: of a constant one that is known now. */
static enum rc check_fits(struct build *b, const char *path, const char *expr, const char *type)
{
    char *body = mem_printf("DECLARE segue_value %s := (%s\n); BEGIN END", type, expr);
    char *literal = sql_quote_literal(body), *sql = mem_printf("DO %s", literal);
    struct err why = {0};
    PGresult *res = NULL;
    enum rc rc = named_query(b, sql, 0, NULL, &res, &why);

    if (rc != RC_OK && strncmp(why.sqlstate, "22", 2) != 0 && strcmp(why.sqlstate, "23514") != 0)
        rc = RC_OK; /* not about the value */
    if (rc != RC_OK)
        rc = build_fail_hint(b, path, "give a default that the column can hold", "%s", why.text);
    PQclear(res);
    free(sql);
    free(literal);
    free(body);
    return rc;
}

enum rc check_given(struct build *b, const char *path, const char *expr, const char *type)
{
    struct sql_expr_info info;
    char *sql = NULL, *other = NULL, oid[16], to[16];
    const char *params[] = {oid, to};
    PGresult *res = NULL;
    enum rc rc = build_check_expr(b, path, expr, type, "");

    if (enum_of_file(b, type) || sql_expr_parse(expr, &info, NULL) != RC_OK)
        return rc;
    if (rc != RC_OK && info.ncolumns) /* no default reads a column: a word that was to be a text */
        err_hint(b->err, "it is an SQL expression: a text stands in SQL's quotes, \"'...'\"");
    if (rc != RC_OK) {
        sql_expr_info_fini(&info);
        return rc;
    }
    if (info.has_subquery)
        rc = build_fail_hint(b, path, "write a value, or call a function",
                             "a default has no subquery");
    sql = mem_printf("SELECT (%s\n), NULL::%s LIMIT 0", expr, type);
    if (rc == RC_OK && named_query(b, sql, 0, NULL, &res, NULL) == RC_OK &&
        !is_literal(&info, PQftype(res, 0))) {
        snprintf(oid, sizeof(oid), "%u", PQftype(res, 0));
        snprintf(to, sizeof(to), "%u", PQftype(res, 1));
        rc = own_value(b, assigns_sql, 2, params, &other, b->err);
    }
    if (other && *other) {
        err_hint(b->err, "write the cast: CAST(... AS %s)", type);
        rc = build_fail(b, path, "it is of type %s, the column of type %s", other, type);
    }
    if (rc == RC_OK && info.constant)
        rc = check_fits(b, path, expr, type);
    free(other);
    PQclear(res);
    free(sql);
    sql_expr_info_fini(&info);
    return rc;
}

enum rc check_steady(struct build *b, const char *path, const char *expr)
{
    static const char sql[] =
        "SELECT CASE WHEN bool_and(p.provolatile = 'v') THEN 'v' WHEN bool_or(p.provolatile = 's'"
        " AND p.pronamespace <> 'pg_catalog'::regnamespace) THEN 's' END FROM pg_proc p WHERE p.oid"
        " = ANY ($1::oid[])";
    struct sql_expr_info info;
    enum rc rc = sql_expr_parse(expr, &info, b->err);

    if (rc != RC_OK)
        return rc;
    for (size_t i = 0; rc == RC_OK && i < info.nfunctions; i++) {
        char *oids, *value = NULL;

        rc = functions_named(b, &info.functions[i], 1, &oids);
        if (rc == RC_OK)
            rc = own_value(b, sql, 1, (const char *const[]){oids}, &value, b->err);
        free(oids);
        if (rc == RC_OK && value && *value == 's')
            build_warn(
                b, info.functions[i],
                "let it read what is in the row, or `segue verify` right before the cut-over",
                "%s calls it and it is STABLE: when something changes that it looks up"
                " elsewhere, the guard does not see that, nor does a verification from before",
                path);
        else if (rc == RC_OK && value && *value == 'v')
            rc = build_fail_hint(b, path, "use what gives the same value each time",
                                 "function %s is volatile: it gives another value each time",
                                 info.functions[i]);
        free(value);
    }
    sql_expr_info_fini(&info);
    return rc;
}

enum rc check_guarded(struct build *b, const struct target *t, const char *path, const char *expr,
                      const char *own)
{
    struct sql_expr_info info;
    enum rc rc = sql_expr_parse(expr, &info, b->err);

    if (rc != RC_OK)
        return rc;
    for (size_t i = 0; rc == RC_OK && i < info.ncolumns; i++) {
        const json_t *column = cat_column(t->doc, info.columns[i]);

        if (!column || !*cat_text(column, "generated") || (own && !strcmp(own, info.columns[i])))
            continue;
        err_hint(b->err, "write its expression in place of it: %s", cat_text(column, "default"));
        rc = build_fail(b, path,
                        "column \"%s\" is generated: the guard, a BEFORE trigger, would not see its"
                        " value",
                        info.columns[i]);
    }
    sql_expr_info_fini(&info);
    return rc;
}

void check_domain(struct build *b, const struct target *t, const char *name,
                  const struct type_facts *facts)
{
    if (facts->constrained)
        build_refuse(b, t->relation,
                     "let type be the domain's base type, or drop the domain's constraints first",
                     "column %s of type %s, a domain with constraints, cannot be added without "
                     "rewriting the table",
                     name, facts->name);
}

bool is_system_column(const char *name)
{
    static const char *const system[] = {"tableoid", "cmax", "xmax", "cmin", "xmin", "ctid"};

    for (size_t i = 0; i < ARRAY_LEN(system); i++)
        if (!strcmp(system[i], name))
            return true;
    return false;
}

/* As this file leaves the table. */
static enum rc check_not_gone(struct build *b, const struct target *t, const char *path,
                              const char *column)
{
    char *quoted = sql_quote_ident(column);
    bool goes = texts_has(&t->old_columns, quoted) ||
                (texts_has(&t->from, column) && !retype_has(t, column));

    free(quoted);
    return goes ? build_fail_hint(b, path,
                                  "name what stays, or leave one of the two to another migration",
                                  "column \"%s\" is not there any more after this file", column)
                : RC_OK;
}

enum rc check_stays(struct build *b, const struct target *t, const char *path, const char *column)
{
    char *quoted = sql_quote_ident(column);
    bool there = cat_column(t->doc, column) || texts_has(&t->new_columns, quoted);

    free(quoted);
    if (!there)
        return build_no_column(b, path, t, column);
    return check_not_gone(b, t, path, column);
}

enum rc check_expr_stays(struct build *b, const struct target *t, const char *path,
                         const char *expr)
{
    struct sql_expr_info info;
    enum rc rc = sql_expr_parse(expr, &info, b->err);

    if (rc != RC_OK)
        return rc;
    for (size_t i = 0; rc == RC_OK && i < info.ncolumns; i++)
        rc = check_not_gone(b, t, path, info.columns[i]);
    sql_expr_info_fini(&info);
    return rc;
}

enum rc check_new_name(struct build *b, struct target *t, const char *path, const char *field,
                       const char *name)
{
    char *at = mem_printf("%s.%s", path, field), *quoted = sql_quote_ident(name);
    enum rc rc = RC_OK;

    if (is_system_column(name))
        rc = build_fail_hint(b, at, HINT_TAKEN, "\"%s\" is the name of a system column", name);
    else if (cat_column(t->doc, name))
        rc = build_fail_hint(b, at, HINT_TAKEN, "table %s already has a column \"%s\"", t->relation,
                             name);
    else if (texts_has(&t->new_columns, quoted))
        rc = build_fail_hint(b, at, HINT_TAKEN, "table %s would get column \"%s\" twice",
                             t->relation, name);
    free(quoted);
    free(at);
    return rc;
}

char *build_seen(struct build *b, const struct target *t, const char *sql)
{
    static const char may[] = "SELECT 1 WHERE has_table_privilege(to_regclass('segue.usage'), "
                              "'SELECT')";
    const char *params[] = {t->relation};
    char *readable = NULL, *who = NULL;

    if (own_value(b, may, 0, NULL, &readable, NULL) == RC_OK && readable &&
        own_value(b, sql, 1, params, &who, NULL) != RC_OK)
        who = NULL;
    free(readable);
    return who;
}

enum rc check_version(struct build *b, const char *path, int version, const char *what)
{
    int here = PQserverVersion(b->conn) / 10000;

    if (here >= version)
        return RC_OK;
    return build_fail_hint(b, path, "leave it out, or upgrade the server first",
                           "%s with PostgreSQL %d, this server is %d", what, version, here);
}
