/*
 * Names of relations and types that a file gives away: none twice. The server would say so only
 * when the second one is given, which may be in the cut-over, or at complete.
 */
#include <stdlib.h>
#include <string.h>

#include "plan_build.h"
#include "segue/base/mem.h"
#include "segue/catalog/catalog.h"

enum { RELATION = 1, TYPE = 2 }; /* a table is both: its rows have a type of its name */

struct given {
    const char *name, *field;
    int is;
};

static bool is_index(const struct file_constraint *c)
{
    return c->kind == FILE_UNIQUE || c->kind == FILE_PRIMARY_KEY || c->kind == FILE_EXCLUDE;
}

/* What an operation makes, or renames something to; name NULL: nothing. */
static struct given given_by(const struct file_op *op)
{
    const struct file_constraint *c = &op->constraint;

    switch (op->kind) {
    case FILE_CREATE_TABLE:
        return (struct given){op->table.name, "name", RELATION | TYPE};
    case FILE_CREATE_ENUM:
        return (struct given){op->table.name, "name", TYPE};
    case FILE_RENAME_TABLE:
        return (struct given){op->to, "to", RELATION | TYPE};
    case FILE_RENAME_CONSTRAINT: /* it may be that of an index */
        return (struct given){op->to, "to", RELATION};
    case FILE_CREATE_INDEX:
        return (struct given){op->name, "name", RELATION};
    case FILE_CREATE_CONSTRAINT:
        if (is_index(c))
            return (struct given){c->name, "name", RELATION};
        break;
    case FILE_ADD_COLUMN:
    case FILE_ALTER_COLUMN:
        if (op->unique_one)
            return (struct given){op->unique_one->name,
                                  op->kind == FILE_ADD_COLUMN ? "column.unique" : "unique.name",
                                  RELATION};
        break;
    default:
        break;
    }
    return (struct given){0};
}

/* The k-th of them: a column may be unique and the key, a new table has constraints. */
static struct given given_at(const struct file_op *op, size_t k)
{
    const struct file_constraint *c;

    if (k == 0)
        return given_by(op);
    if (k == 1 && op->key_one)
        return (struct given){op->key_one->name, "column.pk", RELATION};
    if (k > op->nconstraints)
        return (struct given){0};
    c = &op->constraints[k - 1];
    return (struct given){is_index(c) ? c->name : NULL, "constraints", RELATION};
}

static size_t ngiven(const struct file_op *op)
{
    return 2 + op->nconstraints;
}

/* NULL: not known without the search_path. */
static const char *schema_of(const struct build *b, size_t i)
{
    ptrdiff_t target = b->op_target[i];

    return target >= 0 ? cat_text(b->targets[target].doc, "schema") : b->file->ops[i].table.schema;
}

static bool clash(const struct build *b, size_t i, const struct given *one, size_t k,
                  const struct given *other)
{
    const char *here = schema_of(b, i), *there = schema_of(b, k);

    return one->name && other->name && !strcmp(one->name, other->name) && (one->is & other->is) &&
           (!here || !there || !strcmp(here, there));
}

/* Does one in front of it, `ith` of operation i, give the name? */
static enum rc check_given_name(struct build *b, size_t i, size_t ith)
{
    const struct file_op *op = &b->file->ops[i];
    struct given given = given_at(op, ith);

    for (size_t k = 0; given.name && k <= i; k++)
        for (size_t kth = 0; kth < (k < i ? ngiven(&b->file->ops[k]) : ith); kth++) {
            struct given other = given_at(&b->file->ops[k], kth);

            if (clash(b, i, &given, k, &other))
                return plan_fail(b, op, given.field, HINT_TAKEN,
                                 "operations[%zu].%s gives the name \"%s\", too", k,
                                 file_op_name(b->file->ops[k].kind), given.name);
        }
    return RC_OK;
}

enum rc check_names_given(struct build *b)
{
    enum rc rc = RC_OK;

    for (size_t i = 0; rc == RC_OK && i < b->file->nops; i++)
        for (size_t ith = 0; rc == RC_OK && ith < ngiven(&b->file->ops[i]); ith++)
            rc = check_given_name(b, i, ith);
    return rc;
}
