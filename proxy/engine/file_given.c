/*
 * Names of relations and types that a file gives away, as it says them.
 */
#include "file_given.h"

#include <string.h>

static bool is_index(const struct file_constraint *c)
{
    return c->kind == FILE_UNIQUE || c->kind == FILE_PRIMARY_KEY || c->kind == FILE_EXCLUDE;
}

/* What an operation makes, or renames something to; name NULL: nothing. */
static struct file_given given_by(const struct file_op *op)
{
    const struct file_constraint *c = &op->constraint;

    switch (op->kind) {
    case FILE_CREATE_TABLE:
        return (struct file_given){op->table.name, "name", FILE_GIVES_BOTH};
    case FILE_CREATE_ENUM:
        return (struct file_given){op->table.name, "name", FILE_GIVES_TYPE};
    case FILE_RENAME_TABLE:
        return (struct file_given){op->to, "to", FILE_GIVES_BOTH};
    case FILE_RENAME_CONSTRAINT: /* it may be that of an index */
        return (struct file_given){op->to, "to", FILE_GIVES_RELATION};
    case FILE_CREATE_INDEX:
        return (struct file_given){op->name, "name", FILE_GIVES_RELATION};
    case FILE_CREATE_CONSTRAINT:
        if (is_index(c))
            return (struct file_given){c->name, "name", FILE_GIVES_RELATION};
        break;
    case FILE_ADD_COLUMN:
    case FILE_ALTER_COLUMN:
        if (op->unique_one)
            return (struct file_given){
                op->unique_one->name, op->kind == FILE_ADD_COLUMN ? "column.unique" : "unique.name",
                FILE_GIVES_RELATION};
        break;
    default:
        break;
    }
    return (struct file_given){0};
}

struct file_given file_given_at(const struct file_op *op, size_t k)
{
    const struct file_constraint *c;

    if (k == 0)
        return given_by(op);
    if (k == 1 && op->key_one)
        return (struct file_given){op->key_one->name, "column.pk", FILE_GIVES_RELATION};
    if (k > op->nconstraints)
        return (struct file_given){0};
    c = &op->constraints[k - 1];
    return (struct file_given){is_index(c) ? c->name : NULL, "constraints", FILE_GIVES_RELATION};
}

size_t file_ngiven(const struct file_op *op)
{
    return 2 + op->nconstraints;
}

/* ---- of a whole file ---- */

/* As PostgreSQL calls the sequence of a serial column. */
static bool is_sequence_of(const char *table, const struct file_column *column, const char *name)
{
    size_t n = strlen(table), len = strlen(column->name);

    return file_counts_in(column->type) && !strncmp(name, table, n) && name[n] == '_' &&
           !strncmp(name + n + 1, column->name, len) && !strcmp(name + n + 1 + len, "_seq");
}

static bool is_sequence(const struct file_op *op, const char *name)
{
    bool makes = op->kind == FILE_ADD_COLUMN || op->kind == FILE_CREATE_TABLE, found = false;

    for (size_t i = 0; makes && op->table.name && i < op->ncolumns; i++)
        found |= is_sequence_of(op->table.name, &op->columns[i], name);
    return found;
}

static bool gives(const struct file_op *op, const char *schema, const char *name)
{
    bool found = is_sequence(op, name);

    if (op->table.schema && strcmp(op->table.schema, schema) != 0)
        return false;
    for (size_t k = 0; k < file_ngiven(op); k++) {
        struct file_given given = file_given_at(op, k);

        found |= given.is != FILE_GIVES_BOTH && given.name && !strcmp(given.name, name);
    }
    return found;
}

bool file_gives_name(const char *text, const char *schema, const char *name)
{
    struct err ignored = {0};
    struct file *file;
    bool found = false;

    if (file_load("", text, &file, &ignored) != RC_OK)
        return false; /* of a segue that reads files otherwise */
    for (size_t i = 0; i < file->nops; i++)
        found |= gives(&file->ops[i], schema, name);
    file_free(file);
    return found;
}
