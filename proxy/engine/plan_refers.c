/*
 * What the file's new things refer to: foreign keys of new tables, new ones of live tables, types
 * and defaults of new columns. Where the same file takes that away, the new thing would bar it, at
 * the cut-over or at complete, when nobody goes back any more. So it is noted while the file is
 * planned, and judged when all of it is.
 */
#include <stdlib.h>
#include <string.h>

#include "history.h"
#include "plan_build.h"
#include "segue/base/mem.h"
#include "segue/catalog/catalog.h"
#include "segue/sql/expr.h"

#define ONE_OF_THEM "leave out one of the two"

struct reference {
    char *path, *oid;                 /* what says so; the table that is referred to */
    struct texts ours, types, theirs; /* columns; a type is "" where it is not known yet */
};

void refers_note(struct build *b, const char *path, const char *oid, const struct linked *ours,
                 char *const *theirs, size_t n)
{
    struct reference *r;

    mem_grow((void **)&b->references, &b->references_cap, b->nreferences + 1,
             sizeof(*b->references));
    r = &b->references[b->nreferences++];
    *r = (struct reference){.path = mem_strdup(path), .oid = mem_strdup(oid)};
    for (size_t i = 0; i < n; i++) {
        texts_add(&r->ours, "%s", ours[i].column);
        texts_add(&r->types, "%s", ours[i].type ? ours[i].type : "");
        texts_add(&r->theirs, "%s", theirs[i]);
    }
}

void refers_fini(struct build *b)
{
    for (size_t i = 0; i < b->nreferences; i++) {
        struct reference *r = &b->references[i];

        free(r->path);
        free(r->oid);
        texts_fini(&r->ours);
        texts_fini(&r->types);
        texts_fini(&r->theirs);
    }
    free(b->references);
}

/* ---- foreign keys ---- */

enum { R_TABLE, R_TYPES, R_INDEX, R_CONSTRAINT, R_CALLED };

/* Of several unique indexes the server takes the one with the lowest oid. */
static const char referred_sql[] =
    "SELECT format('%I.%I', n.nspname, c.relname), (SELECT json_agg(format_type(a.atttypid,"
    " a.atttypmod) ORDER BY u.o) FROM json_array_elements_text($2::json) WITH ORDINALITY u(name, o)"
    " JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = u.name), k.indexrelid, k.conname,"
    " k.indexrelid::regclass FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
    " LEFT JOIN LATERAL (SELECT i.indexrelid, p.conname FROM pg_index i LEFT JOIN pg_constraint p"
    "  ON p.conindid = i.indexrelid AND p.contype IN ('p', 'u') WHERE i.indrelid = c.oid"
    "  AND i.indisunique AND i.indisvalid AND i.indimmediate AND i.indpred IS NULL"
    "  AND i.indexprs IS NULL AND i.indnkeyatts = json_array_length($2::json) AND NOT EXISTS"
    "  (SELECT FROM json_array_elements_text($2::json) u(name) WHERE NOT EXISTS (SELECT FROM"
    "   pg_attribute a WHERE a.attrelid = c.oid AND a.attname = u.name AND a.attnum ="
    "   ANY ((i.indkey::int2[])[0:i.indnkeyatts - 1]))) ORDER BY 1 LIMIT 1) k ON true"
    " WHERE c.oid = $1::oid";

static enum rc judge_columns(struct build *b, const struct reference *r, const struct target *t)
{
    for (size_t i = 0; t && i < r->theirs.n; i++) {
        const char *column = r->theirs.v[i];
        char *quoted = sql_quote_ident(column);
        bool goes = texts_has(&t->from, column) || texts_has(&t->old_columns, quoted);
        bool only = texts_has(&t->dropped, column);

        free(quoted);
        if (!goes)
            continue;
        err_hint(b->err, only ? ONE_OF_THEM : "refer to it in a migration after this one");
        return build_fail(b, r->path, "this file %s column \"%s\" of table %s, which it refers to",
                          only ? "drops" : "replaces", column, t->relation);
    }
    return RC_OK;
}

static enum rc judge_key(struct build *b, const struct reference *r, const struct target *t,
                         const PGresult *res)
{
    const char *constraint = PQgetvalue(res, 0, R_CONSTRAINT);
    bool released = t && *constraint && texts_has(&t->released, constraint);

    if (!released && !texts_has(&b->gone_indexes, PQgetvalue(res, 0, R_INDEX)))
        return RC_OK;
    err_hint(b->err, ONE_OF_THEM);
    return build_fail(b, r->path, "this file drops %s %s, which it needs of table %s",
                      released ? "constraint" : "index",
                      released ? constraint : PQgetvalue(res, 0, R_CALLED),
                      PQgetvalue(res, 0, R_TABLE));
}

static enum rc judge_types(struct build *b, const struct reference *r, const PGresult *res)
{
    json_t *types = json_loads(PQgetvalue(res, 0, R_TYPES), 0, NULL);
    enum rc rc = RC_OK;

    for (size_t i = 0; rc == RC_OK && i < r->theirs.n; i++) {
        const struct linked ours = {r->ours.v[i], r->types.v[i]};
        const struct linked theirs = {r->theirs.v[i], json_string_value(json_array_get(types, i))};

        if (*ours.type && theirs.type)
            rc = check_linked(b, r->path, &ours, &theirs);
    }
    json_decref(types);
    return rc;
}

static enum rc judge(struct build *b, const struct reference *r)
{
    const struct target *t = plan_target(b, r->oid);
    json_t *names = json_array();
    const char *params[] = {r->oid, NULL};
    PGresult *res = NULL;
    enum rc rc;
    char *list;

    for (size_t i = 0; i < r->theirs.n; i++)
        json_array_append_new(names, json_string(r->theirs.v[i]));
    params[1] = list = json_dumps(names, 0);
    rc = own_query(b, referred_sql, 2, params, &res, b->err);
    if (rc == RC_OK && PQntuples(res) == 0)
        rc = build_fail(b, r->path, "the table that it refers to has just been dropped");
    if (rc == RC_OK && plan_drops(b, r->oid)) {
        err_hint(b->err, ONE_OF_THEM);
        rc = build_fail(b, r->path, "this file drops table %s, which it refers to",
                        PQgetvalue(res, 0, R_TABLE));
    }
    if (rc == RC_OK)
        rc = judge_columns(b, r, t);
    if (rc == RC_OK)
        rc = judge_key(b, r, t, res);
    if (rc == RC_OK)
        rc = judge_types(b, r, res);
    PQclear(res);
    free(list);
    json_decref(names);
    return rc;
}

/* ---- types and defaults of new columns ---- */

/* An enum that goes, an array of it, or the rows of a table that goes. */
static enum rc judge_type(struct build *b, const char *path, const char *type)
{
    static const char sql[] =
        "SELECT e.oid, e.typrelid, CASE WHEN c.oid IS NULL THEN format_type(e.oid, NULL) ELSE"
        " format('%I.%I', n.nspname, c.relname) END FROM pg_type t JOIN pg_type e ON e.oid = CASE "
        "WHEN t.typcategory = 'A' AND"
        " t.typelem <> 0 THEN t.typelem ELSE t.oid END LEFT JOIN pg_class c ON c.oid = e.typrelid"
        " LEFT JOIN pg_namespace n ON n.oid = c.relnamespace WHERE t.oid = to_regtype($1)";
    const char *params[1];
    char *placed = NULL;
    PGresult *res = NULL;
    enum rc rc;

    if (!type || enum_of_file(b, type))
        return RC_OK;
    rc = type_named(b, type, &placed, b->err);
    params[0] = placed;
    if (rc == RC_OK && placed)
        rc = own_query(b, sql, 1, params, &res, b->err);
    if (rc == RC_OK && res && PQntuples(res)) {
        bool removed = texts_has(&b->gone_types, PQgetvalue(res, 0, 0));

        if (removed || plan_drops(b, PQgetvalue(res, 0, 1))) {
            err_hint(b->err, ONE_OF_THEM);
            rc = build_fail(b, path, "this file %s %s, which the column would be of",
                            removed ? "removes type" : "drops table", PQgetvalue(res, 0, 2));
        }
    }
    PQclear(res);
    free(placed);
    return rc;
}

/* $1: texts of the expression, as names of relations by the role's path. What is no name at all
 * would make parse_ident fail: $2. */
static const char sequences_sql[] =
    "SELECT DISTINCT d.refobjid, a.attname, pg_catalog.format('%I.%I', n.nspname, s.relname)"
    " FROM (SELECT CASE WHEN t OPERATOR(pg_catalog.~) $2 THEN pg_catalog.parse_ident(t) END AS p"
    "  FROM pg_catalog.unnest($1::pg_catalog.text[]) t) x JOIN pg_catalog.pg_class s ON"
    "  s.relkind OPERATOR(pg_catalog.=) 'S' AND s.relname OPERATOR(pg_catalog.=)"
    "  p[pg_catalog.cardinality(p)] JOIN pg_catalog.pg_namespace n ON n.oid"
    "  OPERATOR(pg_catalog.=) s.relnamespace AND CASE pg_catalog.cardinality(p) WHEN 1 THEN"
    "   pg_catalog.pg_table_is_visible(s.oid) WHEN 2 THEN n.nspname OPERATOR(pg_catalog.=) p[1]"
    "   ELSE n.nspname OPERATOR(pg_catalog.=) p[2] AND"
    "   pg_catalog.current_database() OPERATOR(pg_catalog.=) p[1] END"
    " JOIN pg_catalog.pg_depend d ON d.classid OPERATOR(pg_catalog.=)"
    "  'pg_catalog.pg_class'::pg_catalog.regclass AND d.objid OPERATOR(pg_catalog.=) s.oid AND"
    "  d.refclassid OPERATOR(pg_catalog.=) d.classid AND d.deptype OPERATOR(pg_catalog.=) ANY"
    "  ('{a,i}'::\"char\"[]) JOIN pg_catalog.pg_attribute a ON a.attrelid"
    "  OPERATOR(pg_catalog.=) d.refobjid AND a.attnum OPERATOR(pg_catalog.=) d.refobjsubid";

#define PART                                                                                       \
    "(\"([^\"]|\"\")+\"|[^\\x01-\\x40\\x5b-\\x5e\\x60\\x7b-\\x7f]"                                 \
    "[^\\x01-\\x23\\x25-\\x2f\\x3a-\\x40\\x5b-\\x5e\\x60\\x7b-\\x7f]*)"
#define NAME "^[ \t\n\r\f]*" PART "([ \t\n\r\f]*[.][ \t\n\r\f]*" PART "){0,2}[ \t\n\r\f]*$"

/* A sequence that goes with its table or column, which a text in the expression names: the server
 * tells what a text means only of a default that is there. */
static enum rc judge_default(struct build *b, const char *path, const char *def)
{
    struct sql_expr_info info;
    const char *params[2] = {NULL, NAME};
    PGresult *res = NULL;
    char *list;
    enum rc rc;

    if (!def || !(b->dropped.n || b->ntargets) || sql_expr_parse(def, &info, NULL) != RC_OK)
        return RC_OK;
    params[0] = list = history_array(info.strings, info.nstrings);
    rc = named_query(b, sequences_sql, 2, params, &res, b->err);
    for (int i = 0; rc == RC_OK && i < PQntuples(res); i++) {
        const struct target *t = plan_target(b, PQgetvalue(res, i, 0));
        const char *sequence = PQgetvalue(res, i, 2);

        if (!plan_drops(b, PQgetvalue(res, i, 0)) &&
            !(t && texts_has(&t->dropped, PQgetvalue(res, i, 1))))
            continue;
        err_hint(b->err, "ALTER SEQUENCE %s OWNED BY NONE first", sequence);
        rc = build_fail(b, path, "this file drops what sequence %s belongs to, which goes with it",
                        sequence);
    }
    PQclear(res);
    free(list);
    sql_expr_info_fini(&info);
    return rc;
}

static enum rc judge_one(struct build *b, const struct file_op *op, const char *at,
                         const char *type, const char *def)
{
    char *type_path = mem_printf("%stype", at), *def_path = mem_printf("%sdefault", at);
    char *whole = plan_path(op, type_path), *whole_def = plan_path(op, def_path);
    enum rc rc = judge_type(b, whole, type);

    if (rc == RC_OK)
        rc = judge_default(b, whole_def, def);
    free(whole_def);
    free(whole);
    free(def_path);
    free(type_path);
    return rc;
}

static enum rc judge_new_columns(struct build *b, const struct file_op *op)
{
    enum rc rc = judge_one(b, op, "", op->type, op->def.to);

    for (size_t i = 0; rc == RC_OK && i < op->ncolumns; i++) {
        const struct file_column *column = &op->columns[i];
        char *at =
            op->kind == FILE_ADD_COLUMN
                ? mem_strdup("column.")
                : mem_printf("%s[%zu].", op->kind == FILE_CREATE_TABLE ? "columns" : "to", i);

        rc = judge_one(b, op, at, column->type, column->def);
        free(at);
    }
    return rc;
}

enum rc refers_judge(struct build *b)
{
    enum rc rc = RC_OK;

    for (size_t i = 0; rc == RC_OK && i < b->nreferences; i++)
        rc = judge(b, &b->references[i]);
    for (size_t i = 0; rc == RC_OK && i < b->file->nops; i++)
        rc = judge_new_columns(b, &b->file->ops[i]);
    return rc;
}
