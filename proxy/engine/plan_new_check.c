/*
 * What create_table says, checked by the server before anything is made: names, types, defaults,
 * keys, constraints; what foreign keys refer to is plan_new_links.c's. What the file's own
 * statements make before the table is not there yet: then what the server does not understand is a
 * warning.
 */
#include <stdlib.h>
#include <string.h>

#include "plan_build.h"
#include "plan_probe.h"
#include "segue/base/buf.h"
#include "segue/base/mem.h"
#include "segue/sql/expr.h"

#define TABLE_COLUMNS_MAX 1600 /* PostgreSQL's MaxHeapAttributeNumber */

/* "operations[0].create_table.columns[1].type"; heap. */
static char *column_path(const struct file_op *op, size_t i, const char *field)
{
    return mem_printf("operations[%zu].create_table.columns[%zu].%s", op->index, i, field);
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
enum rc unless_made(struct build *b, const struct file_op *op)
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

static enum rc check_column(struct build *b, const struct file_op *op, size_t i)
{
    const struct file_column *column = &op->columns[i];
    const char *counts = file_counts_in(column->type);
    struct type_facts facts = {0};
    char *path = column_path(op, i, "type");
    enum rc rc = check_type(b, path, counts ? counts : column->type, &facts);

    free(path);
    if (rc == RC_OK && column->def) {
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
    free(facts.name);
    return rc;
}

/* ---- what the server alone knows: computed columns, checks, exclusions, parameters ---- */

/* What is tried, each with the field that says it. */
struct parts {
    struct probe_part *v;
    size_t n;
};

/* Behind ALTER TABLE. */
static void part_add(struct parts *parts, char *path_take, char *text_take)
{
    parts->v[parts->n++] = (struct probe_part){path_take, mem_printf("ADD %s", text_take)};
    free(text_take);
}

static void part_of_column(struct build *b, struct parts *parts, const struct file_op *op, size_t i)
{
    const struct file_column *column = &op->columns[i];
    struct buf text = {0};

    if (!column->generated && !column->identity)
        return;
    sql_quote_ident_put(&text, column->name);
    buf_printf(&text, " %s", type_by_now(b, column->type));
    column_generated(&text, column, column->generated);
    part_add(parts, column_path(op, i, "generated"), buf_take(&text));
}

static void part_of_constraint(struct parts *parts, const struct file_op *op, size_t i)
{
    const struct file_constraint *c = &op->constraints[i];

    if (c->kind != FILE_FOREIGN_KEY) /* that would lock what it refers to */
        part_add(parts, mem_printf("operations[%zu].create_table.constraints[%zu]", op->index, i),
                 new_constraint(c));
}

/* On an empty copy, so that what is wrong has its place; columns in front of what is about them. */
static enum rc try_parts(struct build *b, const struct file_op *op)
{
    struct parts parts = {
        .v = mem_calloc(2 * op->ncolumns + op->nconstraints + 1, sizeof(*parts.v))};
    enum rc rc;

    for (size_t i = 0; i < op->ncolumns; i++)
        part_of_column(b, &parts, op, i);
    for (size_t i = 0; i < op->ncolumns; i++)
        if (op->columns[i].ones[FILE_CHECK])
            part_add(&parts, column_path(op, i, "check"),
                     new_constraint(op->columns[i].ones[FILE_CHECK]));
    for (size_t i = 0; i < op->nconstraints; i++)
        part_of_constraint(&parts, op, i);
    rc = parts.n ? probe_table(b, op, parts.v, parts.n) : RC_OK;
    for (size_t i = 0; i < parts.n; i++) {
        free(parts.v[i].path);
        free(parts.v[i].sql);
    }
    free(parts.v);
    return rc;
}

static enum rc check_versions(struct build *b, const struct file_op *op)
{
    enum rc rc = RC_OK;

    for (size_t i = 0; rc == RC_OK && i < op->ncolumns; i++) {
        char *path = column_path(op, i, "generated.virtual");

        if (op->columns[i].computed)
            rc = check_version(b, path, 18, "virtual columns come");
        free(path);
    }
    for (size_t i = 0; rc == RC_OK && i < op->nconstraints; i++) {
        char *path = mem_printf("operations[%zu].create_table.constraints[%zu].nulls_not_distinct",
                                op->index, i);

        if (op->constraints[i].nulls_not_distinct)
            rc = check_version(b, path, 15, "it comes");
        free(path);
    }
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
        rc = check_name(b, op, i);
        if (rc == RC_OK && check_column(b, op, i) != RC_OK)
            rc = unless_made(b, op);
    }
    if (rc == RC_OK)
        rc = check_new_links(b, op);
    if (rc == RC_OK)
        rc = check_versions(b, op);
    return rc == RC_OK ? try_parts(b, op) : rc;
}
