/*
 * What the file calls the tables that it renames. It is read from top to bottom, as pgroll reads
 * it: in front of a rename_table its table has the old name, behind it the new one. All other rooms
 * go by the catalog, so names of the file become those of the catalog before anything is planned;
 * and whoever plans what comes after the cut-over asks here for the name that the table has then.
 */
#include <stdlib.h>
#include <string.h>

#include "plan_build.h"
#include "segue/base/mem.h"
#include "segue/sql/expr.h"

/* ---- what is renamed ---- */

const struct renamed *called_of(const struct build *b, const char *oid)
{
    for (size_t i = 0; i < b->nrenames; i++)
        if (!strcmp(b->renames[i].oid, oid))
            return &b->renames[i];
    return NULL;
}

const struct renamed *called_before(const struct build *b, const char *relation)
{
    for (size_t i = 0; i < b->nrenames; i++)
        if (!strcmp(b->renames[i].here, relation) || !strcmp(b->renames[i].there, relation))
            return &b->renames[i];
    return NULL;
}

const char *called_after(const struct build *b, const char *relation)
{
    const struct renamed *renamed = called_before(b, relation);

    return renamed ? renamed->after : relation;
}

const struct renamed *called_by_then(const struct build *b, const char *schema, const char *name)
{
    for (size_t i = 0; i < b->nrenames; i++)
        if (!strcmp(b->renames[i].to, name) && (!schema || !strcmp(b->renames[i].schema, schema)))
            return &b->renames[i];
    return NULL;
}

void called_fini(struct build *b)
{
    for (size_t i = 0; i < b->nrenames; i++) {
        struct renamed *renamed = &b->renames[i];
        char *const texts[] = {renamed->oid,  renamed->schema, renamed->name, renamed->to,
                               renamed->here, renamed->there,  renamed->after};

        for (size_t k = 0; k < ARRAY_LEN(texts); k++)
            free(texts[k]);
    }
    free(b->renames);
}

/* ---- what a name means ---- */

static bool renames(const struct file *file)
{
    for (size_t i = 0; i < file->nops; i++)
        if (file->ops[i].kind == FILE_RENAME_TABLE)
            return true;
    return false;
}

/* The relation that has the name now; *oid is NULL when there is none. Heap. */
static enum rc means_now(struct build *b, const struct file_name *table, char **oid)
{
    char *name = table->schema ? sql_quote_qualified(table->schema, table->name)
                               : sql_quote_ident(table->name);
    const char *params[] = {name};
    enum rc rc =
        named_value(b, "SELECT pg_catalog.to_regclass($1)::pg_catalog.oid", 1, params, oid, b->err);

    free(name);
    return rc;
}

/* Is it the table by the name that the file has given to it? */
static enum rc means_renamed(struct build *b, const struct renamed *renamed,
                             const struct file_name *table, bool *means)
{
    *means = !strcmp(renamed->to, table->name);
    if (!*means)
        return RC_OK;
    if (table->schema) {
        *means = !strcmp(renamed->schema, table->schema);
        return RC_OK;
    }
    return path_would_find(b, renamed->schema, renamed->to, false, means);
}

/* *out: of those in front, the one that the name means by then, or NULL. */
static enum rc find_renamed(struct build *b, const struct file_name *table,
                            const struct renamed **out)
{
    enum rc rc = RC_OK;
    bool means = false;

    *out = NULL;
    for (size_t i = 0; rc == RC_OK && !means && i < b->nrenames; i++) {
        rc = means_renamed(b, &b->renames[i], table, &means);
        if (means)
            *out = &b->renames[i];
    }
    return rc;
}

/* ---- names of the file ---- */

/* Where an operation says the table that it is about; NULL: it is about none that is there. */
static const char *const fields[FILE_OP_COUNT] = {
    [FILE_RENAME_COLUMN] = "table",     [FILE_ADD_COLUMN] = "table",
    [FILE_CREATE_INDEX] = "table",      [FILE_DROP_COLUMN] = "table",
    [FILE_ALTER_COLUMN] = "table",      [FILE_CREATE_CONSTRAINT] = "table",
    [FILE_DROP_CONSTRAINT] = "table",   [FILE_DROP_MULTICOLUMN_CONSTRAINT] = "table",
    [FILE_DROP_TABLE] = "name",         [FILE_RENAME_TABLE] = "from",
    [FILE_RENAME_CONSTRAINT] = "table", [FILE_SET_REPLICA_IDENTITY] = "table",
    [FILE_CHANGE_COLUMNS] = "table",
};

static enum rc fail_late(struct build *b, const struct file_op *op, const char *field,
                         const struct renamed *renamed)
{
    err_hint(b->err, "say \"%s\", or put this operation in front of that one", renamed->to);
    return plan_fail(b, op, field, NULL,
                     "table %s is called \"%s\" by then: operations[%zu].rename_table stands in"
                     " front of this",
                     renamed->here, renamed->to, renamed->at);
}

/* There is no such relation: because the file makes the name further down? */
static enum rc check_early(struct build *b, const struct file_op *op, const char *field,
                           const struct file_name *table)
{
    for (size_t i = op->index + 1; i < b->file->nops; i++) {
        const struct file_op *later = &b->file->ops[i];

        if (later->kind != FILE_RENAME_TABLE || strcmp(later->to, table->name) != 0 ||
            (table->schema && later->table.schema &&
             strcmp(table->schema, later->table.schema) != 0))
            continue;
        err_hint(b->err, "say \"%s\", or put this operation behind that one", later->table.name);
        return plan_fail(b, op, field, NULL,
                         "no table is called \"%s\" yet: operations[%zu].rename_table gives that"
                         " name further down",
                         table->name, i);
    }
    return RC_OK;
}

/* What says it of the whole table is judged there (plan_rename.c). */
static bool is_of_whole(const struct file_op *op)
{
    return op->kind == FILE_RENAME_TABLE || op->kind == FILE_DROP_TABLE;
}

static enum rc settle_name(struct build *b, const struct file_op *op, const char *field,
                           struct file_name *table)
{
    const struct renamed *renamed;
    char *oid = NULL;
    enum rc rc = find_renamed(b, table, &renamed);

    if (rc == RC_OK && renamed) {
        free(table->schema);
        free(table->name);
        table->schema = mem_strdup(renamed->schema);
        table->name = mem_strdup(renamed->name);
        return RC_OK;
    }
    if (rc == RC_OK)
        rc = means_now(b, table, &oid);
    renamed = oid ? called_of(b, oid) : NULL;
    if (rc == RC_OK && renamed && !is_of_whole(op))
        rc = fail_late(b, op, field, renamed);
    else if (rc == RC_OK && !oid)
        rc = check_early(b, op, field, table);
    free(oid);
    return rc;
}

/* What a foreign key refers to; `i`: of which column or constraint in `list`, NULL for none. */
static enum rc settle_link(struct build *b, const struct file_op *op, struct file_constraint *c,
                           const char *list, size_t i)
{
    char *field;
    enum rc rc;

    if (!c || !c->table.name)
        return RC_OK;
    field = list ? mem_printf("%s[%zu].references", list, i)
                 : mem_printf("%sreferences", op->kind == FILE_ADD_COLUMN ? "column." : "");
    rc = settle_name(b, op, field, &c->table);
    free(field);
    return rc;
}

static enum rc settle_op(struct build *b, struct file_op *op)
{
    enum rc rc = fields[op->kind] ? settle_name(b, op, fields[op->kind], &op->table) : RC_OK;

    if (rc == RC_OK)
        rc = settle_link(b, op, op->foreign_one, NULL, 0);
    if (rc == RC_OK)
        rc = settle_link(b, op, &op->constraint, NULL, 0);
    for (size_t i = 0; rc == RC_OK && i < op->ncolumns; i++)
        rc = settle_link(b, op, op->columns[i].ones[FILE_FOREIGN_KEY], "columns", i);
    for (size_t i = 0; rc == RC_OK && i < op->nconstraints; i++)
        rc = settle_link(b, op, &op->constraints[i], "constraints", i);
    return rc;
}

static const char table_sql[] =
    "SELECT n.nspname, c.relname, format('%I.%I', n.nspname, c.relname) FROM pg_class c"
    " JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = $1::oid";

/* One that is not there is told by plan_rename.c. */
static enum rc add_renamed(struct build *b, const struct file_op *op)
{
    const char *params[1];
    PGresult *res = NULL;
    struct renamed *renamed;
    char *oid;
    enum rc rc = means_now(b, &op->table, &oid);

    params[0] = oid;
    if (rc == RC_OK && oid)
        rc = own_query(b, table_sql, 1, params, &res, b->err);
    if (rc != RC_OK || !res || PQntuples(res) == 0) {
        PQclear(res);
        free(oid);
        return rc;
    }
    mem_grow((void **)&b->renames, &b->renames_cap, b->nrenames + 1, sizeof(*b->renames));
    renamed = &b->renames[b->nrenames++];
    *renamed = (struct renamed){.at = op->index,
                                .oid = oid,
                                .schema = mem_strdup(PQgetvalue(res, 0, 0)),
                                .name = mem_strdup(PQgetvalue(res, 0, 1)),
                                .to = mem_strdup(op->to),
                                .there = mem_strdup(PQgetvalue(res, 0, 2))};
    renamed->here = sql_quote_qualified(renamed->schema, renamed->name);
    renamed->after = sql_quote_qualified(renamed->schema, renamed->to);
    PQclear(res);
    return RC_OK;
}

enum rc called_settle(struct build *b, struct file *file)
{
    enum rc rc = RC_OK;

    if (!renames(file))
        return RC_OK;
    for (size_t i = 0; rc == RC_OK && i < file->nops; i++) {
        rc = settle_op(b, &file->ops[i]);
        if (rc == RC_OK && file->ops[i].kind == FILE_RENAME_TABLE)
            rc = add_renamed(b, &file->ops[i]);
    }
    return rc;
}
