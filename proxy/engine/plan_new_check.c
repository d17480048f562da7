/*
 * What create_table says, checked by the server before anything is made: names, types, defaults,
 * keys, and what foreign keys refer to. What the file's own statements make before the table is
 * not there yet: then what the server does not understand is a warning.
 */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "plan_build.h"
#include "segue/base/mem.h"
#include "segue/catalog/catalog.h"
#include "segue/sql/expr.h"

#define TABLE_COLUMNS_MAX 1600 /* PostgreSQL's MaxHeapAttributeNumber */

/* "operations[0].create_table.columns[1].type"; heap. */
static char *column_path(const struct file_op *op, size_t i, const char *field)
{
    return mem_printf("operations[%zu].create_table.columns[%zu].%s", op->index, i, field);
}

/* What CREATE TABLE makes of these words, which are no types; NULL: of none of them. */
static const char *counts_in(const char *type)
{
    static const char *const serials[][2] = {{"smallserial", "smallint"}, {"serial2", "smallint"},
                                             {"serial", "integer"},       {"serial4", "integer"},
                                             {"bigserial", "bigint"},     {"serial8", "bigint"}};

    for (size_t i = 0; i < ARRAY_LEN(serials); i++)
        if (!strcasecmp(type, serials[i][0]))
            return serials[i][1];
    return NULL;
}

/* May something that is not there now be there when the table is made? */
static bool may_be_made(const struct build *b, const struct file_op *op)
{
    for (size_t i = 0; i < op->index && i < b->file->nops; i++)
        if (b->file->ops[i].kind == FILE_SQL && !b->file->ops[i].on_complete)
            return true;
    return false;
}

/* The server has not understood it (b->err says what): final, or a warning. */
static enum rc unless_made(struct build *b, const struct file_op *op)
{
    if (!may_be_made(b, op))
        return RC_ERR;
    build_warn(b, b->err->text, NULL,
               "not checked any further: the statements of this file may make what is missing");
    err_clear(b->err);
    return RC_OK;
}

static enum rc check_name(struct build *b, const struct file_op *op, size_t i)
{
    const char *name = op->columns[i].name;
    char *path;

    if (!is_system_column(name))
        return RC_OK;
    path = column_path(op, i, "name");
    build_fail_hint(b, path, HINT_TAKEN, "\"%s\" is the name of a system column", name);
    free(path);
    return RC_ERR;
}

/* Can it be a key? In the server's words. */
static enum rc check_key(struct build *b, const char *path, const char *type)
{
    char *sql =
        mem_printf("SELECT FROM (SELECT NULL::%s AS k LIMIT 0) s GROUP BY k ORDER BY k", type);
    struct err why = {0};
    PGresult *res = NULL;
    enum rc rc = own_query(b, sql, 0, NULL, &res, &why);

    if (rc != RC_OK)
        rc = build_fail(b, path, "%s", why.text);
    PQclear(res);
    free(sql);
    return rc;
}

/* *type: the column's, as the server says it; heap, or NULL when it is not there yet. */
static enum rc check_column(struct build *b, const struct file_op *op, size_t i, char **type)
{
    const struct file_column *column = &op->columns[i];
    const char *counts = counts_in(column->type);
    struct type_facts facts = {0};
    char *path = column_path(op, i, "type");
    enum rc rc = check_type(b, path, counts ? counts : column->type, &facts);

    free(path);
    *type = facts.name;
    if (rc != RC_OK)
        return rc;
    if (column->def) {
        path = column_path(op, i, "default");
        if (counts)
            rc = build_fail_hint(b, path, "leave the default out", "%s has a default of its own",
                                 column->type);
        else
            rc = check_given(b, path, column->def, facts.name);
        free(path);
    }
    if (rc == RC_OK && (column->pk || column->unique) && !enum_of_file(b, facts.name)) {
        path = column_path(op, i, column->pk ? "pk" : "unique");
        rc = check_key(b, path, facts.name);
        free(path);
    }
    return rc;
}

/* ---- what foreign keys refer to ---- */

/* The create_table of this file that a foreign key refers to, or NULL. */
static const struct file_op *made_here(const struct build *b, const struct file_references *ref)
{
    for (size_t i = 0; i < b->file->nops; i++) {
        const struct file_op *op = &b->file->ops[i];

        if (op->kind == FILE_CREATE_TABLE && !strcmp(op->table.name, ref->table.name) &&
            (!ref->table.schema || !op->table.schema ||
             !strcmp(op->table.schema, ref->table.schema)))
            return op;
    }
    return NULL;
}

static size_t keys_of(const struct file_op *op)
{
    size_t n = 0;

    for (size_t i = 0; i < op->ncolumns; i++)
        n += op->columns[i].pk;
    return n;
}

/* To a table of this file: has it such a column by then, and is that unique? */
static enum rc check_made(struct build *b, const struct file_op *op, const char *path,
                          const struct file_references *ref, const struct file_op *made,
                          char **type)
{
    const struct file_column *column = NULL;
    struct type_facts facts = {0};
    const char *counts;
    enum rc rc;

    if (made->index > op->index) {
        err_hint(b->err, "put it in front of this one");
        return build_fail(b, path, "table \"%s\" is made further down", made->table.name);
    }
    for (size_t i = 0; i < made->ncolumns; i++)
        if (!strcmp(made->columns[i].name, ref->column))
            column = &made->columns[i];
    if (!column)
        return build_fail(b, path, "table \"%s\" of this file has no column \"%s\"",
                          made->table.name, ref->column);
    if (!column->unique && !(column->pk && keys_of(made) == 1))
        return build_fail(b, path,
                          "column \"%s\" of table \"%s\": there is no unique constraint "
                          "of this column",
                          ref->column, made->table.name);
    counts = counts_in(column->type);
    rc = check_type(b, path, counts ? counts : column->type, &facts);
    *type = facts.name;
    return rc == RC_OK ? rc : unless_made(b, op);
}

/* To a table that is there; plan_refers.c judges what becomes of it. */
static enum rc check_there(struct build *b, const char *path, const struct file_references *ref,
                           const struct linked *ours)
{
    static const char sql[] =
        "SELECT CASE WHEN NOT EXISTS (SELECT FROM pg_index i WHERE i.indrelid = c.oid AND"
        " i.indisunique AND i.indisvalid AND i.indimmediate AND i.indpred IS NULL AND"
        " i.indnkeyatts = 1 AND i.indkey[0] = a.attnum) THEN 'there is no unique constraint of this"
        " column' WHEN c.relpersistence <> 'p' THEN 'it is unlogged: make it logged first' WHEN NOT"
        " has_table_privilege(c.oid, 'REFERENCES') THEN 'this role may not refer to it: GRANT"
        " REFERENCES' ELSE '' END, c.oid FROM pg_class c JOIN"
        " pg_attribute a ON a.attrelid = c.oid WHERE"
        " c.oid = to_regclass($1) AND attname = $2 AND attnum > 0 AND NOT attisdropped";
    char *name = ref->table.schema ? sql_quote_qualified(ref->table.schema, ref->table.name)
                                   : sql_quote_ident(ref->table.name);
    char *there = NULL;
    const char *params[] = {NULL, ref->column};
    PGresult *res;
    enum rc rc = relation_named(b, name, &there, b->err);

    params[0] = there;
    if (rc == RC_OK)
        rc = own_query(b, sql, 2, params, &res, b->err);
    free(there);
    free(name);
    if (rc != RC_OK)
        return rc;
    if (PQntuples(res) == 0)
        rc = build_fail(b, path, "there is no table \"%s\" with a column \"%s\"", ref->table.name,
                        ref->column);
    else if (*PQgetvalue(res, 0, 0))
        rc = build_fail(b, path, "column \"%s\" of table \"%s\": %s", ref->column, ref->table.name,
                        PQgetvalue(res, 0, 0));
    else
        refers_note(b, path, PQgetvalue(res, 0, 1), ours, &ref->column, 1);
    PQclear(res);
    return rc;
}

/* Is what the foreign key refers to there, or made by this file? And may it? */
static enum rc check_reference(struct build *b, const struct file_op *op, size_t i,
                               const char *type)
{
    const struct file_references *ref = op->columns[i].references;
    const struct file_op *made = made_here(b, ref);
    char *path = column_path(op, i, "references"), *found = NULL;
    const struct linked ours = {op->columns[i].name, type};
    enum rc rc =
        made ? check_made(b, op, path, ref, made, &found) : check_there(b, path, ref, &ours);

    if (rc == RC_OK && type && found)
        rc = check_linked(b, path, &ours, &(struct linked){ref->column, found});
    free(found);
    free(path);
    return rc;
}

enum rc check_new_table(struct build *b, const struct file_op *op)
{
    enum rc rc = RC_OK;

    if (op->ncolumns > TABLE_COLUMNS_MAX) {
        char *path = mem_printf("operations[%zu].create_table.columns", op->index);

        rc =
            build_fail_hint(b, path, "make two tables of it", "%zu columns: a table has at most %d",
                            op->ncolumns, TABLE_COLUMNS_MAX);
        free(path);
    }
    for (size_t i = 0; rc == RC_OK && i < op->ncolumns; i++) {
        char *type = NULL;

        rc = check_name(b, op, i);
        if (rc == RC_OK && check_column(b, op, i, &type) != RC_OK)
            rc = unless_made(b, op);
        if (rc == RC_OK && op->columns[i].references)
            rc = check_reference(b, op, i, type);
        free(type);
    }
    return rc;
}
