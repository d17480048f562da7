/*
 * Names of relations and types that a file gives away: none twice. The server would say so only
 * when the second one is given, which may be in the cut-over, or at complete.
 */
#include <stdlib.h>
#include <string.h>

#include "file_given.h"
#include "plan_build.h"
#include "segue/catalog/catalog.h"

/* NULL: not known without the search_path. */
static const char *schema_of(const struct build *b, size_t i)
{
    const struct file_op *op = &b->file->ops[i];
    ptrdiff_t target = b->op_target[i];

    if (target >= 0)
        return cat_text(b->targets[target].doc, "schema");
    for (size_t k = 0; k < b->nrenames; k++)
        if (b->renames[k].at == i)
            return b->renames[k].schema;
    if (!op->table.schema && (op->kind == FILE_CREATE_TABLE || op->kind == FILE_CREATE_ENUM))
        return b->creates_in;
    return op->table.schema;
}

static bool clash(const struct build *b, size_t i, const struct file_given *one, size_t k,
                  const struct file_given *other)
{
    const char *here = schema_of(b, i), *there = schema_of(b, k);

    return one->name && other->name && !strcmp(one->name, other->name) && (one->is & other->is) &&
           (!here || !there || !strcmp(here, there));
}

/* Does one in front of it, `ith` of operation i, give the name? */
static enum rc check_given_name(struct build *b, size_t i, size_t ith)
{
    const struct file_op *op = &b->file->ops[i];
    struct file_given given = file_given_at(op, ith);

    for (size_t k = 0; given.name && k <= i; k++)
        for (size_t kth = 0; kth < (k < i ? file_ngiven(&b->file->ops[k]) : ith); kth++) {
            struct file_given other = file_given_at(&b->file->ops[k], kth);

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
        for (size_t ith = 0; rc == RC_OK && ith < file_ngiven(&b->file->ops[i]); ith++)
            rc = check_given_name(b, i, ith);
    return rc;
}
