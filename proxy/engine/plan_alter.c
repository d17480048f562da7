/*
 * alter_column: any mix of changes to one column. Default and comment move in the cut-over
 * transaction, and back; constraints are plan_constraint.c's, a NOT NULL that goes
 * plan_release.c's.
 */
#include <stdlib.h>
#include <string.h>

#include "plan_build.h"
#include "segue/base/mem.h"
#include "segue/catalog/catalog.h"
#include "segue/sql/expr.h"

static bool flag(const json_t *object, const char *key)
{
    return json_is_true(json_object_get(object, key));
}

static enum rc check_column(struct build *b, struct target *t, const char *path, const char *name)
{
    char *at = mem_printf("%s.column", path), *quoted = sql_quote_ident(name);
    enum rc rc = RC_OK;

    if (texts_has(&t->dropped, name) || texts_has(&t->from, name))
        rc = build_fail_hint(b, at, "leave out one of the two",
                             "column \"%s\" goes with another operation of this file", name);
    else if (texts_has(&t->new_columns, quoted))
        rc = build_fail(b, at, "column \"%s\" is new: say it where it is made", name);
    else if (!cat_column(t->doc, name))
        rc = build_no_column(b, at, t, name);
    free(quoted);
    free(at);
    return rc;
}

static enum rc change_default(struct build *b, struct target *t, const char *path, const char *name,
                              const json_t *column, const struct file_change *change)
{
    const char *before = cat_text(column, "default");
    char *at = mem_printf("%s.default", path);
    enum rc rc = RC_OK;

    if (*cat_text(column, "identity") || *cat_text(column, "generated"))
        rc = build_fail_hint(b, at, "leave \"default\" out",
                             "the server gives column %s its values", name);
    else if (change->to)
        rc = check_given(b, at, change->to, cat_text(column, "type"));
    if (rc == RC_OK && change->to)
        texts_add(&t->cutover, "ALTER TABLE %s ALTER COLUMN %s SET DEFAULT %s", t->relation, name,
                  change->to);
    else if (rc == RC_OK)
        texts_add(&t->cutover, "ALTER TABLE %s ALTER COLUMN %s DROP DEFAULT", t->relation, name);
    if (rc == RC_OK && before)
        texts_add(&t->revert, "ALTER TABLE %s ALTER COLUMN %s SET DEFAULT %s", t->relation, name,
                  before);
    else if (rc == RC_OK)
        texts_add(&t->revert, "ALTER TABLE %s ALTER COLUMN %s DROP DEFAULT", t->relation, name);
    free(at);
    return rc;
}

static void comment_on(struct texts *list, const struct target *t, const char *name,
                       const char *comment)
{
    char *literal = comment ? sql_quote_literal(comment) : mem_strdup("NULL");

    texts_add(list, "COMMENT ON COLUMN %s.%s IS %s", t->relation, name, literal);
    free(literal);
}

enum rc plan_column_constraints(struct build *b, struct target *t, const char *path,
                                const struct file_op *op)
{
    const struct {
        const char *field;
        const struct file_constraint *constraint;
    } rows[] = {{"unique", op->unique_one},
                {"check", op->check_one},
                {"references", op->foreign_one},
                {"pk", op->key_one}};
    enum rc rc = RC_OK;

    for (size_t i = 0; rc == RC_OK && i < ARRAY_LEN(rows); i++) {
        char *at = mem_printf("%s.%s%s", path, op->kind == FILE_ADD_COLUMN ? "column." : "",
                              rows[i].field);

        if (rows[i].constraint)
            rc = constraint_add(b, t, at, rows[i].constraint);
        free(at);
    }
    return rc;
}

/* In place: the column stays what it is, rows must already meet what is new. */
static enum rc alter_in_place(struct build *b, struct target *t, const char *path,
                              const struct file_op *op)
{
    const json_t *column = cat_column(t->doc, op->column);
    char *name = sql_quote_ident(op->column);
    enum rc rc = RC_OK;

    (void)target_table(b, t); /* the cut-over locks it */
    if (op->def.set)
        rc = change_default(b, t, path, name, column, &op->def);
    if (rc == RC_OK && op->comment.set) {
        comment_on(&t->cutover, t, name, op->comment.to);
        comment_on(&t->revert, t, name, cat_text(column, "comment"));
    }
    free(name);
    if (rc != RC_OK || op->nullable == FILE_AS_IS || refuse_unproven_null(b, t, op->column))
        return rc;
    if (op->nullable == FILE_NO && !flag(column, "not_null"))
        constraint_not_null(b, t, op->column, op->column, true);
    if (op->nullable == FILE_YES && flag(column, "not_null"))
        rc = release_not_null(b, t, path, op->column, op->down);
    return rc;
}

/* With a second column: another name, another type, or values that `up` changes. */
static enum rc alter_pair(struct build *b, struct target *t, const char *path,
                          const struct file_op *op)
{
    const json_t *column = cat_column(t->doc, op->column);
    struct pair pair = {path,     "column", op->column,   op->to,   op->type,       op->up,
                        op->down, false,    op->nullable, &op->def, op->comment.set};
    char *name, *at;
    enum rc rc = RC_OK;

    if (op->nullable == FILE_YES && flag(column, "not_null") && !op->down)
        build_refuse(b, t->relation, "let \"down\" give one for a NULL",
                     "column %s is NOT NULL until complete: rows of the new application need a "
                     "value for it",
                     op->column);
    if (op->def.set && *cat_text(column, "identity")) {
        at = mem_printf("%s.default", path);
        rc = build_fail_hint(b, at, "leave \"default\" out",
                             "the server gives column %s its values", op->column);
        free(at);
    } else if (op->def.to) {
        at = mem_printf("%s.default", path);
        rc = check_given(b, at, op->def.to, op->type ? op->type : cat_text(column, "type"));
        free(at);
    }
    if (rc == RC_OK)
        rc = op->to ? target_plan_pair(b, t, &pair) : target_plan_retype(b, t, &pair);
    if (rc != RC_OK)
        return rc;
    name = sql_quote_ident(retype_half(t, op->to ? op->to : op->column));
    if (op->comment.set)
        comment_on(&t->expand, t, name, op->comment.to);
    free(name);
    return RC_OK;
}

enum rc plan_alter_column(struct build *b, struct target *t, const char *path,
                          const struct file_op *op)
{
    if (check_column(b, t, path, op->column) != RC_OK)
        return RC_ERR;
    if (op->nullable == FILE_YES && flag(cat_column(t->doc, op->column), "not_null") &&
        replica_judge_null(b, t, op->column) != RC_OK)
        return RC_ERR;
    /* a NULL that is mended on the way back needs no second column */
    if (op->to || op->type || op->up || (op->down && op->nullable != FILE_YES))
        return alter_pair(b, t, path, op);
    return alter_in_place(b, t, path, op);
}
