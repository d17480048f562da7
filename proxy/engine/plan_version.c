/*
 * The table in which an application's own tool counts versions: moved on in the cut-over
 * transaction, and back in that of the way back. What stands there is checked when the plan is
 * made, and once more when it is changed: whoever came between makes the transaction end, and
 * nothing is changed.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "plan_build.h"
#include "segue/base/buf.h"
#include "segue/base/mem.h"
#include "segue/catalog/catalog.h"
#include "segue/sql/expr.h"

/* EXPLAIN runs nothing, and knows whether it could be run: would this role be let, and would the
 * values fit? `hint` may be NULL. */
static enum rc try_own(struct build *b, const char *path, const char *hint, char *statement_take)
{
    char *sql = mem_printf("EXPLAIN %s", statement_take);
    struct err why = {0};
    PGresult *res = NULL;
    enum rc rc = own_query(b, sql, 0, NULL, &res, &why);

    if (rc != RC_OK && hint && !strcmp(why.sqlstate, "42501"))
        err_hint(b->err, "%s", hint);
    if (rc != RC_OK)
        rc = build_fail(b, path, "the cut-over could not write it: %s", why.text);
    PQclear(res);
    free(sql);
    free(statement_take);
    return rc;
}

/* The grant that it takes to move a tool's own table on, and back. */
static char *grant_of(const struct build *b)
{
    char *role = sql_quote_ident(PQuser(b->conn));
    char *grant =
        mem_printf("GRANT SELECT, INSERT, DELETE ON %s TO %s", b->plan->version_relation, role);

    free(role);
    return grant;
}

/* ---- alembic ---- */

#define ALEMBIC_PATH "version_table.alembic"

/* The heads that stand in the table now, sorted; refused when they are not those of the file. */
static enum rc check_heads(struct build *b, const char *relation)
{
    char *sql = mem_printf("SELECT version_num FROM %s ORDER BY 1", relation);
    const struct file *file = b->file;
    struct buf now = {0};
    PGresult *res;
    bool same;
    enum rc rc = own_query(b, sql, 0, NULL, &res, b->err);

    free(sql);
    if (rc != RC_OK)
        return rc;
    same = (size_t)PQntuples(res) == file->nalembic_from;
    for (int i = 0; i < PQntuples(res); i++) {
        bool known = false;

        for (size_t k = 0; k < file->nalembic_from; k++)
            known |= !strcmp(file->alembic_from[k], PQgetvalue(res, i, 0));
        same &= known;
        buf_printf(&now, "%s%s", i ? ", " : "", PQgetvalue(res, i, 0));
    }
    if (!same)
        build_refuse(b, relation, "bring the database to the revision that the file starts from",
                     "it holds %s, the migration expects %s%s", now.len ? now.data : "no revision",
                     file->alembic_from[0], file->nalembic_from > 1 ? " and others" : "");
    buf_fini(&now);
    PQclear(res);
    return RC_OK;
}

/* Replaces the heads `from` by `to`, and raises when they are not what stands there: the
 * transaction then ends, nothing is changed. */
static void swap_heads(struct eng_step *step, const char *relation, char *const *from, size_t nfrom,
                       char *const *to, size_t nto)
{
    struct buf list = {0}, names = {0}, body = {0};
    char *literal;

    for (size_t i = 0; i < nfrom; i++) {
        literal = sql_quote_literal(from[i]);
        buf_printf(&list, "%s%s", i ? ", " : "", literal);
        buf_printf(&names, "%s%s", i ? ", " : "", from[i]);
        free(literal);
    }
    literal = sql_quote_literal(names.data);
    buf_printf(
        &body,
        "DECLARE n int8; heads text; BEGIN"
        " SELECT pg_catalog.string_agg(version_num::pg_catalog.text, ', ' ORDER BY version_num)"
        " INTO heads FROM %s;"
        " DELETE FROM %s WHERE version_num::pg_catalog.text OPERATOR(pg_catalog.=) ANY"
        " (ARRAY[%s]::pg_catalog.text[]);"
        " GET DIAGNOSTICS n = ROW_COUNT; IF n <> %zu THEN RAISE object_not_in_prerequisite_state"
        " USING MESSAGE = pg_catalog.format('alembic_version holds %%s, the migration expects %%s',"
        " coalesce(heads, 'no revision'), %s), HINT = 'bring the database to the revision"
        " that is expected, then ask for it again'; END IF;",
        relation, relation, list.data, nfrom, literal);
    free(literal);
    for (size_t i = 0; i < nto; i++) {
        literal = sql_quote_literal(to[i]);
        buf_printf(&body, " INSERT INTO %s (version_num) VALUES (%s);", relation, literal);
        free(literal);
    }
    buf_append_str(&body, " END");
    literal = sql_quote_literal(body.data);
    step_sql(step, "DO %s", literal);
    free(literal);
    buf_fini(&body);
    buf_fini(&names);
    buf_fini(&list);
}

static enum rc try_alembic(struct build *b)
{
    const char *relation = b->plan->version_relation;
    char *to = sql_quote_literal(b->file->alembic_to), *grant = grant_of(b);
    enum rc rc = try_own(b, ALEMBIC_PATH ".to", grant,
                         mem_printf("INSERT INTO %s (version_num) VALUES (%s)", relation, to));

    if (rc == RC_OK)
        rc = try_own(b, ALEMBIC_PATH, grant,
                     mem_printf("DELETE FROM %s WHERE version_num IS NULL", relation));
    free(grant);
    free(to);
    return rc;
}

static enum rc plan_alembic(struct build *b)
{
    struct eng_plan *plan = b->plan;
    const struct file *file = b->file;
    char *const to[] = {file->alembic_to};
    struct eng_step *step;

    if (relation_named(b, "alembic_version", &plan->version_relation, b->err) != RC_OK)
        return RC_ERR;
    if (!plan->version_relation) {
        err_hint(b->err, "leave version_table out where Alembic keeps no version of this database; "
                         "where its table is in another schema, put that into the search_path of "
                         "segue's role; another table is named by version_table.sql");
        return build_fail(b, ALEMBIC_PATH, "there is no table alembic_version in the search_path");
    }
    if (check_heads(b, plan->version_relation) != RC_OK || try_alembic(b) != RC_OK)
        return RC_ERR;
    plan->version_kind = mem_strdup("alembic");
    plan->version_to = mem_strdup(file->alembic_to);
    plan->version_from = mem_calloc(file->nalembic_from, sizeof(char *));
    for (size_t i = 0; i < file->nalembic_from; i++)
        plan->version_from[plan->nversion_from++] = mem_strdup(file->alembic_from[i]);
    step = build_step(b, ENG_STAGE_CUTOVER, ENG_STEP_DDL, -1, "alembic: to %s", plan->version_to);
    swap_heads(step, plan->version_relation, file->alembic_from, file->nalembic_from, to, 1);
    step = build_step(b, ENG_STAGE_REVERT, ENG_STEP_DDL, -1, "alembic: back from %s",
                      plan->version_to);
    swap_heads(step, plan->version_relation, to, 1, file->alembic_from, file->nalembic_from);
    return RC_OK;
}

/* ---- drizzle and sql: a table that the file names ---- */

/* plan->version_relation becomes the table's quoted name. */
static enum rc find_table(struct build *b, const char *path)
{
    static const char sql[] =
        "SELECT $1::text FROM pg_class c WHERE c.oid = to_regclass($1) AND c.relkind IN ('r', 'p')";
    const struct file_name *table = &b->file->version_table;
    char *name = table->schema ? sql_quote_qualified(table->schema, table->name)
                               : sql_quote_ident(table->name);
    char *there = NULL;
    const char *params[1];
    enum rc rc = relation_named(b, name, &there, b->err);

    params[0] = there;
    if (rc == RC_OK)
        rc = own_value(b, sql, 1, params, &b->plan->version_relation, b->err);

    if (rc == RC_OK && !b->plan->version_relation) {
        err_hint(b->err, "leave version_table out where no tool keeps a version of this database; "
                         "\"table\" names it, with its schema, where it is elsewhere");
        rc = build_fail(b, path, "there is no table %s", name);
    }
    free(there);
    free(name);
    return rc;
}

/* DO with a body that is made of SQL text only. */
static void step_do(struct eng_step *step, const struct buf *body)
{
    char *literal = sql_quote_literal(body->data);

    step_sql(step, "DO %s", literal);
    free(literal);
}

/* ---- drizzle ---- */

/* drizzle runs what is later than the latest entry: that one is the head. */
static enum rc check_last(struct build *b)
{
    struct eng_plan *plan = b->plan;
    char *sql =
        mem_printf("SELECT coalesce(max(created_at), 0)::text FROM %s", plan->version_relation);
    char *last;
    enum rc rc = own_value(b, sql, 0, NULL, &last, b->err);

    free(sql);
    if (rc == RC_OK && strtoll(last ? last : "0", NULL, 10) != b->file->drizzle_from)
        build_refuse(
            b, plan->version_relation, "bring the database to the entry that the file starts from",
            "its last entry is of %s, the migration expects %" PRId64, last, b->file->drizzle_from);
    free(last);
    return rc;
}

static void put_last_check(struct buf *body, const char *relation, int64_t expected)
{
    buf_printf(
        body,
        "DECLARE last int8; BEGIN LOCK TABLE %s IN SHARE ROW EXCLUSIVE MODE;"
        " SELECT coalesce(pg_catalog.max(created_at), 0) INTO last FROM %s; IF last <> %" PRId64
        " THEN RAISE object_not_in_prerequisite_state USING MESSAGE = pg_catalog.format('the last "
        "entry"
        " of drizzle''s journal in the database is of %%s, the migration expects %%s', last,"
        " %" PRId64 "), HINT = 'bring the database to the entry that is expected, then ask"
        " for it again'; END IF;",
        relation, relation, expected, expected);
}

/* EXPLAIN takes no number for the new row, so it does not ask whether this role may. An identity
 * asks nobody. */
static enum rc try_numbers(struct build *b, const char *path)
{
    static const char sql[] =
        "SELECT format('%I.%I', n.nspname, s.relname), format('GRANT USAGE ON SEQUENCE %I.%I TO"
        " %I', n.nspname, s.relname, current_user) FROM pg_attrdef d JOIN pg_attribute a ON"
        " a.attrelid = d.adrelid AND a.attnum = d.adnum JOIN pg_depend r ON r.classid ="
        " 'pg_attrdef'::regclass AND r.objid = d.oid AND r.refclassid = 'pg_class'::regclass JOIN"
        " pg_class s ON s.oid = r.refobjid JOIN pg_namespace n ON n.oid ="
        " s.relnamespace WHERE d.adrelid = to_regclass($1) AND a.attname NOT IN ('hash',"
        " 'created_at') AND CASE WHEN s.relkind = 'S' THEN NOT has_sequence_privilege(s.oid, "
        "'USAGE, UPDATE') END LIMIT 1";
    const char *params[] = {b->plan->version_relation};
    PGresult *res = NULL;
    enum rc rc = own_query(b, sql, 1, params, &res, b->err);

    if (rc == RC_OK && PQntuples(res))
        rc = build_fail_hint(b, path, PQgetvalue(res, 0, 1),
                             "the cut-over could not write it: permission denied for sequence %s",
                             PQgetvalue(res, 0, 0));
    PQclear(res);
    return rc;
}

static enum rc try_drizzle(struct build *b)
{
    const char *relation = b->plan->version_relation;
    char *grant = grant_of(b);
    enum rc rc = try_own(b, "version_table.drizzle", grant,
                         mem_printf("INSERT INTO %s (hash, created_at) VALUES ('%s', %" PRId64 ")",
                                    relation, b->file->drizzle_hash, b->file->drizzle_when));

    if (rc == RC_OK)
        rc = try_own(b, "version_table.drizzle", grant,
                     mem_printf("DELETE FROM %s WHERE created_at IS NULL", relation));
    if (rc == RC_OK)
        rc = try_numbers(b, "version_table.drizzle");
    free(grant);
    return rc;
}

static enum rc plan_drizzle(struct build *b)
{
    const struct file *file = b->file;
    struct eng_plan *plan = b->plan;
    struct buf body = {0};
    struct eng_step *step;

    if (find_table(b, "version_table.drizzle.table") != RC_OK || check_last(b) != RC_OK ||
        try_drizzle(b) != RC_OK)
        return RC_ERR;
    plan->version_kind = mem_strdup("drizzle");
    plan->version_to = mem_printf("%" PRId64, file->drizzle_when);
    step = build_step(b, ENG_STAGE_CUTOVER, ENG_STEP_DDL, -1, "drizzle: entry %" PRId64,
                      file->drizzle_when);
    put_last_check(&body, plan->version_relation, file->drizzle_from);
    buf_printf(&body, " INSERT INTO %s (hash, created_at) VALUES ('%s', %" PRId64 "); END",
               plan->version_relation, file->drizzle_hash, file->drizzle_when);
    step_do(step, &body);
    buf_reset(&body);
    step = build_step(b, ENG_STAGE_REVERT, ENG_STEP_DDL, -1, "drizzle: entry %" PRId64 " goes",
                      file->drizzle_when);
    put_last_check(&body, plan->version_relation, file->drizzle_when);
    buf_printf(&body, " DELETE FROM %s WHERE created_at OPERATOR(pg_catalog.=) %" PRId64 "; END",
               plan->version_relation, file->drizzle_when);
    step_do(step, &body);
    buf_fini(&body);
    return RC_OK;
}

/* ---- sql ---- */

/* EXPLAIN runs nothing, and knows whether it could be run. */
static enum rc try_statement(struct build *b, const char *field, const char *statement)
{
    char *sql = mem_printf("EXPLAIN %s", statement), *path;
    struct err why = {0};
    PGresult *res;
    enum rc rc = named_query(b, sql, 0, NULL, &res, &why);

    free(sql);
    if (rc == RC_OK) {
        PQclear(res);
        return RC_OK;
    }
    path = mem_printf("version_table.sql.%s", field);
    rc = build_fail(b, path, "%s", why.text);
    free(path);
    return rc;
}

/* A statement that changes no row has not found what it expects. */
static void put_statement(struct eng_step *step, const char *relation, const char *statement)
{
    char *literal = sql_quote_literal(statement), *name = sql_quote_literal(relation);
    struct buf body = {0};

    buf_printf(&body,
               "DECLARE n int8; BEGIN EXECUTE %s; GET DIAGNOSTICS n = ROW_COUNT; IF n = 0 THEN"
               " RAISE object_not_in_prerequisite_state USING MESSAGE = pg_catalog.concat('the "
               "statement for the"
               " version table ', %s, ' has changed no row'), HINT = 'bring the table to the"
               " version that the statement expects, then ask for it again'; END IF; END",
               literal, name);
    step_do(step, &body);
    buf_fini(&body);
    free(name);
    free(literal);
}

static enum rc plan_sql(struct build *b)
{
    const struct file *file = b->file;
    struct eng_plan *plan = b->plan;
    struct eng_step *step;

    if (find_table(b, "version_table.sql.table") != RC_OK ||
        try_statement(b, "up", file->version_up) != RC_OK ||
        try_statement(b, "down", file->version_down) != RC_OK)
        return RC_ERR;
    plan->version_kind = mem_strdup("sql");
    step = build_step(b, ENG_STAGE_CUTOVER, ENG_STEP_DDL, -1, "%s: the new version",
                      plan->version_relation);
    put_statement(step, plan->version_relation, file->version_up);
    step = build_step(b, ENG_STAGE_REVERT, ENG_STEP_DDL, -1, "%s: the old version",
                      plan->version_relation);
    put_statement(step, plan->version_relation, file->version_down);
    return RC_OK;
}

enum rc new_version(struct build *b)
{
    if (b->file->alembic_to)
        return plan_alembic(b);
    if (b->file->drizzle_hash)
        return plan_drizzle(b);
    return b->file->version_up ? plan_sql(b) : RC_OK;
}
