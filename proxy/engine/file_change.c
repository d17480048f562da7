/*
 * change_columns: several columns into several others. Each has an expression over the other side
 * alone: what else it read could change without anybody writing a column of either side, and then
 * the two would not be in step.
 */
#include <stdlib.h>
#include <string.h>

#include "file_read.h"
#include "segue/base/mem.h"
#include "segue/sql/expr.h"

const struct field file_change_columns_fields[5] = {
    {"table", TABLE, true, OP(table)},      {"from", NAMES, true, OP(from_columns)},
    {"to", NEW_COLUMNS, true, OP(columns)}, {"up", PAIRS, true, OP(ups)},
    {"down", PAIRS, true, OP(downs)},
};

static bool has(const char *const *names, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++)
        if (!strcmp(names[i], name))
            return true;
    return false;
}

/* Every expression is of a column of its side, and reads those of the other side only. */
static enum rc check_exprs(struct load *load, const char *path, const struct file_pairs *pairs,
                           const char *const *own, size_t nown, const char *side,
                           const char *const *others, size_t nothers)
{
    enum rc rc = RC_OK;

    for (size_t i = 0; rc == RC_OK && i < pairs->n; i++) {
        char *at = mem_printf("%s.%s", path, pairs->columns[i]);
        struct sql_expr_info info;

        if (!has(own, nown, pairs->columns[i])) {
            rc = file_bad(load, at, "\"%s\" does not name this column", side);
        } else if ((rc = sql_expr_parse(pairs->exprs[i], &info, load->err)) == RC_OK) {
            for (size_t k = 0; rc == RC_OK && k < info.ncolumns; k++) {
                if (has(others, nothers, info.columns[k]))
                    continue;
                err_hint(load->err, "%s",
                         !strcmp(side, "to") ? "name it in \"from\", too, and give it a new column"
                                             : "let down read the columns of \"to\" only");
                rc = file_bad(load, at,
                              "it reads column \"%s\" of neither side: when that changes, the "
                              "others would not follow",
                              info.columns[k]);
            }
            sql_expr_info_fini(&info);
        }
        free(at);
    }
    return rc;
}

static enum rc check_all_given(struct load *load, const char *path, const struct file_pairs *pairs,
                               const char *const *own, size_t nown)
{
    for (size_t i = 0; i < nown; i++)
        if (!has((const char *const *)pairs->columns, pairs->n, own[i]))
            return file_bad(load, path, "there is no expression for column \"%s\"", own[i]);
    return RC_OK;
}

static enum rc check_names(struct load *load, const char *path, const struct file_op *op)
{
    if (op->from_columns.n == 1 && op->ncolumns == 1) {
        err_hint(load->err, "alter_column and rename_column do that, and carry its indexes");
        return file_bad(load, path, "one column to one is no split and no merge");
    }
    for (size_t i = 0; i < op->ncolumns; i++)
        if (has((const char *const *)op->from_columns.v, op->from_columns.n, op->columns[i].name)) {
            err_hint(load->err, "give the new column another name, for both are there until "
                                "complete; rename it in a migration after this one");
            return file_bad(load, path, "column \"%s\" stands in \"from\" and in \"to\"",
                            op->columns[i].name);
        }
    return RC_OK;
}

enum rc file_check_change(struct load *load, const char *path, struct file_op *op)
{
    const char *const *olds = (const char *const *)op->from_columns.v;
    const char **news = mem_calloc(op->ncolumns + 1, sizeof(*news));
    char *up = mem_printf("%s.up", path), *down = mem_printf("%s.down", path);
    size_t nolds = op->from_columns.n, nnews = op->ncolumns;
    enum rc rc = check_names(load, path, op);

    for (size_t i = 0; i < nnews; i++)
        news[i] = op->columns[i].name;
    if (rc == RC_OK)
        rc = check_all_given(load, up, &op->ups, news, nnews);
    if (rc == RC_OK)
        rc = check_all_given(load, down, &op->downs, olds, nolds);
    if (rc == RC_OK)
        rc = check_exprs(load, up, &op->ups, news, nnews, "to", olds, nolds);
    if (rc == RC_OK)
        rc = check_exprs(load, down, &op->downs, olds, nolds, "from", news, nnews);
    free(down);
    free(up);
    free(news);
    return rc;
}
