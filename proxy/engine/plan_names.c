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
        if (c->kind == FILE_UNIQUE || c->kind == FILE_PRIMARY_KEY)
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

/* NULL: not known without the search_path. */
static const char *schema_of(const struct build *b, size_t i)
{
    ptrdiff_t target = b->op_target[i];

    return target >= 0 ? cat_text(b->targets[target].doc, "schema") : b->file->ops[i].table.schema;
}

static bool clash(const struct build *b, size_t i, size_t k)
{
    struct given one = given_by(&b->file->ops[i]), other = given_by(&b->file->ops[k]);
    const char *here = schema_of(b, i), *there = schema_of(b, k);

    return one.name && other.name && !strcmp(one.name, other.name) && (one.is & other.is) &&
           (!here || !there || !strcmp(here, there));
}

enum rc check_names_given(struct build *b)
{
    for (size_t i = 0; i < b->file->nops; i++)
        for (size_t k = 0; k < i; k++) {
            struct given given = given_by(&b->file->ops[i]);

            if (clash(b, i, k))
                return plan_fail(b, &b->file->ops[i], given.field, HINT_TAKEN,
                                 "operations[%zu].%s gives the name \"%s\", too", k,
                                 file_op_name(b->file->ops[k].kind), given.name);
        }
    return RC_OK;
}
