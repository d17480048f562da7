/*
 * What foreign keys of new tables refer to: is it there, or made by this file in front of them, and
 * unique? What the file does to it is judged in plan_refers.c.
 */
#include <stdlib.h>
#include <string.h>

#include "history.h"
#include "plan_build.h"
#include "segue/base/buf.h"
#include "segue/base/mem.h"
#include "segue/sql/expr.h"

/* ---- what the file says ---- */

static const struct file_column *column_of(const struct file_op *op, const char *name)
{
    for (size_t i = 0; i < op->ncolumns; i++)
        if (!strcmp(op->columns[i].name, name))
            return &op->columns[i];
    return NULL;
}

/* "column \"a\"", "columns \"a\", \"b\""; heap. */
static char *told(const struct file_names *names)
{
    struct buf out = {0};

    buf_append_str(&out, names->n == 1 ? "column " : "columns ");
    for (size_t i = 0; i < names->n; i++)
        buf_printf(&out, "%s\"%s\"", i ? ", " : "", names->v[i]);
    return buf_take(&out);
}

static enum rc not_unique(struct build *b, const char *path, const struct file_constraint *c)
{
    char *columns = told(&c->foreign);

    err_hint(b->err, "refer to a primary key, or make what it refers to unique first");
    build_fail(b, path, "%s of table \"%s\": there is no unique constraint of %s", columns,
               c->table.name, c->foreign.n == 1 ? "this column" : "these columns");
    free(columns);
    return RC_ERR;
}

static bool same_names(const struct file_names *one, const struct file_names *other)
{
    size_t found = 0;

    for (size_t i = 0; i < one->n; i++)
        for (size_t k = 0; k < other->n; k++)
            found += !strcmp(one->v[i], other->v[k]);
    return one->n == other->n && found == one->n; /* none stands twice in either */
}

static bool is_pk(const struct file_op *made, const struct file_names *names)
{
    size_t all = 0, named = 0;

    for (size_t i = 0; i < made->ncolumns; i++)
        all += made->columns[i].pk;
    for (size_t i = 0; i < names->n; i++)
        named += column_of(made, names->v[i])->pk;
    return all > 0 && all == names->n && named == names->n;
}

static bool is_unique(const struct file_op *made, const struct file_names *names)
{
    if ((names->n == 1 && column_of(made, names->v[0])->unique) || is_pk(made, names))
        return true;
    for (size_t i = 0; i < made->nconstraints; i++) {
        const struct file_constraint *c = &made->constraints[i];

        if ((c->kind == FILE_UNIQUE || c->kind == FILE_PRIMARY_KEY) && !c->deferrable &&
            !c->initially_deferred && same_names(&c->columns, names))
            return true;
    }
    return false;
}

/* By a create_index of the file. */
static enum rc has_index(struct build *b, const struct file_op *made,
                         const struct file_names *names, bool *has)
{
    enum rc rc = RC_OK;

    *has = false;
    for (size_t i = 0; rc == RC_OK && !*has && i < b->file->nops; i++) {
        const struct file_op *op = &b->file->ops[i], *of;
        size_t found = 0;

        if (op->kind != FILE_CREATE_INDEX || !op->unique || op->predicate || op->nkeys != names->n)
            continue;
        rc = created_named(b, &op->table, &of);
        for (size_t k = 0; k < op->nkeys; k++)
            for (size_t n = 0; n < names->n; n++)
                found += !strcmp(op->keys[k].column, names->v[n]);
        *has = rc == RC_OK && of == made && found == names->n;
    }
    return rc;
}

/* ---- types ---- */

/* *type: as the server says it; heap, or NULL when it is not there yet. */
static enum rc type_of(struct build *b, const struct file_op *op, const char *path,
                       const struct file_column *column, char **type)
{
    const char *counts = file_counts_in(column->type);
    struct type_facts facts = {0};
    enum rc rc = check_type(b, path, counts ? counts : column->type, &facts);

    *type = facts.name;
    return rc == RC_OK ? rc : unless_made(b, op);
}

static void linked_fini(struct linked *columns, size_t n)
{
    for (size_t i = 0; i < n; i++)
        free((char *)columns[i].type);
}

/* Of `made`, the columns of these names; to be released, whatever comes out. */
static enum rc linked_read(struct build *b, const struct file_op *op, const char *path,
                           const struct file_op *made, const struct file_names *names,
                           struct linked *out)
{
    enum rc rc = RC_OK;

    for (size_t i = 0; rc == RC_OK && i < names->n; i++) {
        char *type = NULL;

        rc = type_of(b, op, path, column_of(made, names->v[i]), &type);
        out[i] = (struct linked){names->v[i], type};
    }
    return rc;
}

enum rc type_of_made(struct build *b, const struct file_op *made, const char *path,
                     const char *column, char **type)
{
    return type_of(b, made, path, column_of(made, column), type);
}

/* ---- what it refers to ---- */

enum rc check_link_to(struct build *b, const char *path, const struct file_constraint *c,
                      const struct file_op *made, bool indexes)
{
    bool unique;
    enum rc rc = RC_OK;

    for (size_t i = 0; i < c->foreign.n; i++)
        if (!column_of(made, c->foreign.v[i]))
            return build_fail_hint(b, path, "name one of its columns",
                                   "table \"%s\" of this file has no column \"%s\"",
                                   made->table.name, c->foreign.v[i]);
    unique = is_unique(made, &c->foreign);
    if (!unique && indexes)
        rc = has_index(b, made, &c->foreign, &unique);
    return rc != RC_OK || unique ? rc : not_unique(b, path, c);
}

/* To a table of this file: has it such columns by then, and are they unique? */
static enum rc check_made(struct build *b, const struct file_op *op, const char *path,
                          const struct file_constraint *c, const struct file_op *made,
                          const struct linked *ours)
{
    struct linked theirs[FILE_KEYS_MAX] = {{0}};
    enum rc rc;

    if (made->index > op->index)
        return build_fail_hint(b, path, "put it in front of this one",
                               "table \"%s\" is made further down", made->table.name);
    if (check_link_to(b, path, c, made, false) != RC_OK)
        return RC_ERR;
    rc = linked_read(b, op, path, made, &c->foreign, theirs);
    for (size_t i = 0; rc == RC_OK && i < c->foreign.n; i++)
        if (ours[i].type && theirs[i].type)
            rc = check_linked(b, path, &ours[i], &theirs[i]);
    linked_fini(theirs, c->foreign.n);
    return rc;
}

enum { T_OID, T_UNIQUE, T_FAULT };

/* $1: the table, $2: columns. */
static const char there_sql[] =
    "SELECT c.oid, EXISTS (SELECT FROM pg_index i WHERE i.indrelid = c.oid AND i.indisunique AND"
    "  i.indisvalid AND i.indimmediate AND NOT i.indisexclusion AND i.indpred IS NULL AND"
    "  i.indexprs IS NULL AND i.indnkeyatts = u.n AND u.nums = (SELECT array_agg(k ORDER BY k)"
    "   FROM unnest((i.indkey::int2[])[0:i.indnkeyatts - 1]) k)),"
    " CASE WHEN c.relpersistence <> 'p' THEN 'it is unlogged: make it logged first' ELSE '' END"
    " FROM pg_class c, LATERAL (SELECT count(*) AS n, array_agg(a.attnum"
    "  ORDER BY a.attnum) AS nums FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attname ="
    "  ANY ($2::text[]) AND a.attnum > 0 AND NOT a.attisdropped) u"
    " WHERE c.oid = to_regclass($1) AND u.n = cardinality($2::text[])";

/* To a table that is there. */
static enum rc check_there(struct build *b, const char *path, const struct file_constraint *c,
                           const struct linked *ours)
{
    char *name = c->table.schema ? sql_quote_qualified(c->table.schema, c->table.name)
                                 : sql_quote_ident(c->table.name);
    char *there = NULL, *names = history_array(c->foreign.v, c->foreign.n);
    char *columns = told(&c->foreign);
    PGresult *res = NULL;
    enum rc rc = check_may_use(b, path, c->table.schema);

    if (rc == RC_OK)
        rc = relation_named(b, name, &there, b->err);
    if (rc == RC_OK)
        rc = own_query(b, there_sql, 2, (const char *const[]){there, names}, &res, b->err);
    if (rc != RC_OK)
        goto out;
    if (PQntuples(res) == 0)
        rc = build_fail(b, path, "there is no table \"%s\" with %s%s", c->table.name,
                        c->foreign.n == 1 ? "a " : "", columns);
    else if (*PQgetvalue(res, 0, T_UNIQUE) == 'f')
        rc = not_unique(b, path, c);
    else if (*PQgetvalue(res, 0, T_FAULT))
        rc = build_fail(b, path, "%s of table \"%s\": %s", columns, c->table.name,
                        PQgetvalue(res, 0, T_FAULT));
    else
        rc = check_may_refer(b, path, PQgetvalue(res, 0, T_OID), &c->foreign, false);
    if (rc == RC_OK)
        refers_note(b, path, PQgetvalue(res, 0, T_OID), ours, c->foreign.v, c->foreign.n);
out:
    PQclear(res);
    free(columns);
    free(names);
    free(there);
    free(name);
    return rc;
}

/* "s", "v" or "": as of pg_attribute, is a column of it generated? */
static const char *generated_of(const struct file_op *op, const struct file_constraint *c)
{
    for (size_t i = 0; i < c->columns.n; i++) {
        const struct file_column *column = column_of(op, c->columns.v[i]);

        if (column->generated)
            return column->computed ? "v" : "s";
    }
    return "";
}

static enum rc check_link(struct build *b, const struct file_op *op, const char *path,
                          const struct file_constraint *c)
{
    const struct file_op *made;
    struct linked ours[FILE_KEYS_MAX] = {{0}};
    enum rc rc = check_foreign_rules(b, path, c, generated_of(op, c));

    if (rc == RC_OK)
        rc = created_named(b, &c->table, &made);
    if (rc == RC_OK)
        rc = linked_read(b, op, path, op, &c->columns, ours);
    if (rc == RC_OK)
        rc = made ? check_made(b, op, path, c, made, ours) : check_there(b, path, c, ours);
    linked_fini(ours, c->columns.n);
    return rc;
}

enum rc check_new_links(struct build *b, const struct file_op *op)
{
    enum rc rc = RC_OK;

    for (size_t i = 0; rc == RC_OK && i < op->ncolumns + op->nconstraints; i++) {
        const struct file_constraint *c = new_foreign(op, i);
        bool one = i < op->ncolumns;
        char *path = mem_printf("operations[%zu].create_table.%s[%zu].references", op->index,
                                one ? "columns" : "constraints", one ? i : i - op->ncolumns);

        if (c)
            rc = check_link(b, op, path, c);
        free(path);
    }
    return rc;
}
