/*
 * A column that goes: it stays for old writers and for the way back until complete. Whoever does
 * not know it any more gets a value for it from `down`, or from its default; NULL where it may be.
 */
#include <stdlib.h>
#include <string.h>

#include "plan_build.h"
#include "plan_probe.h"
#include "segue/base/mem.h"
#include "segue/catalog/catalog.h"
#include "segue/sql/expr.h"

static bool flag(const json_t *object, const char *key)
{
    return json_is_true(json_object_get(object, key));
}

static enum rc check_column(struct build *b, struct target *t, const char *path, const char *name)
{
    const json_t *column = cat_column(t->doc, name);
    char *at = mem_printf("%s.column", path);
    enum rc rc = RC_OK;

    if (!column)
        rc = build_no_column(b, at, t, name);
    else if (texts_has(&t->dropped, name))
        rc = build_fail_hint(b, at, "leave out one of the two", "column \"%s\" is dropped twice",
                             name);
    else if (texts_has(&t->from, name))
        rc = build_fail_hint(b, at, "leave out one of the two",
                             "column \"%s\" is renamed by this file", name);
    else if (texts_has(&t->altered, name))
        rc = build_fail_hint(b, at, "leave out one of the two",
                             "column \"%s\" is changed by another operation of this file", name);
    else if (flag(column, "partition_key"))
        build_refuse(b, t->relation, "make a table without it, and move the rows",
                     "column \"%s\" is part of the partition key", name);
    free(at);
    return rc;
}

static bool is_given(const json_t *column)
{
    return *cat_text(column, "identity") || *cat_text(column, "generated");
}

static enum rc check_down(struct build *b, struct target *t, const char *path, const json_t *column,
                          const struct eng_dual *dual)
{
    char *at = mem_printf("%s.down", path);
    char *rows = target_rows(b, t);
    bool foreign = false;
    enum rc rc = build_check_expr(b, at, dual->down, dual->old_type, rows);

    for (size_t i = 0; rc == RC_OK && i < dual->nup_columns; i++) {
        foreign |= !cat_column(t->doc, dual->up_columns[i]);
        if (!strcmp(dual->up_columns[i], dual->old_name))
            rc = build_fail_hint(b, at, "read other columns, or write a constant",
                                 "down reads the column that it is to fill");
    }
    if (rc == RC_OK && is_given(column))
        rc = build_fail_hint(b, at, "leave \"down\" out",
                             "column \"%s\" gets its values from the server", dual->old_name);
    if (rc == RC_OK)
        rc = check_guarded(b, t, at, dual->down, NULL);
    if (rc == RC_OK && !foreign) /* what this file adds has no rows to look at yet */
        rc = probe_down(b, t, at, dual);
    free(rows);
    free(at);
    return rc;
}

/* ---- what the column takes with it ---- */

/* `value`: what rows of the new application get, NULL when that is NULL. */
static void judge_index(struct build *b, const struct target *t, const json_t *index,
                        const char *value)
{
    char *object = mem_printf("index %s", cat_text(index, "name"));
    bool unique = flag(index, "unique");

    if (unique && value ? sql_expr_is_constant(value) : unique && flag(index, "nulls_not_distinct"))
        build_refuse(b, object, "drop it first, or let down give each row a value of its own",
                     "until complete it would refuse all but one row of the new application");
    else if (flag(index, "replica_identity"))
        build_refuse(b, object, "ALTER TABLE ... REPLICA IDENTITY FULL or DEFAULT first",
                     "it is the table's replica identity");
    else if (unique && value)
        build_warn(b, object, "let down give each row a value of its own",
                   "until complete it is also over what rows of the new application get: %s",
                   value);
    else if (json_array_size(json_object_get(index, "keys")) > 1)
        build_warn(b, object, "make another one without the column, if it is of use",
                   "complete drops it with the column");
    free(object);
    (void)t;
}

static void judge_constraint(struct build *b, struct target *t, const json_t *constraint,
                             const char *value)
{
    char *object = mem_printf("constraint %s", cat_text(constraint, "name"));
    const char *foreign = cat_text(constraint, "foreign_table");

    if (foreign && !texts_has(&t->foreign, foreign))
        texts_add(&t->foreign, "%s", foreign);
    if (value)
        build_warn(b, object, "let the value meet it, or drop it first",
                   "until complete it also binds what rows of the new application get: %s", value);
    free(object);
}

/* What a published table would be without; the rest of it is judge_index's. */
static enum rc judge_identity(struct build *b, const struct target *t, const char *name)
{
    bool judged = !is_given(cat_column(t->doc, name));
    const json_t *indexes = json_object_get(t->doc, "indexes");
    struct texts one = {0};
    enum rc rc = RC_OK;

    texts_add(&one, "%s", name);
    for (size_t i = 0; rc == RC_OK && i < json_array_size(indexes); i++) {
        const json_t *index = json_array_get(indexes, i);
        char *object = mem_printf("index %s", cat_text(index, "name"));
        bool refused;

        if (index_touches(index, &one) && !(judged && flag(index, "replica_identity")))
            rc = replica_judge_index(b, t, index, object, &refused);
        free(object);
    }
    texts_fini(&one);
    return rc;
}

static void judge_company(struct build *b, struct target *t, const char *name, const char *value)
{
    const json_t *indexes = json_object_get(t->doc, "indexes");
    const json_t *constraints = json_object_get(t->doc, "constraints");
    struct texts one = {0};

    texts_add(&one, "%s", name);
    for (size_t i = 0; i < json_array_size(indexes); i++)
        if (index_touches(json_array_get(indexes, i), &one))
            judge_index(b, t, json_array_get(indexes, i), value);
    for (size_t i = 0; i < json_array_size(constraints); i++)
        if (constraint_touches(json_array_get(constraints, i), &one))
            judge_constraint(b, t, json_array_get(constraints, i), value);
    texts_fini(&one);
    refuse_dependents(b, t, name);
}

/* ---- the operation ---- */

/* With `down` it follows from the cut-over on: "not null" must mean that somebody has written it.
 */
static enum rc plan_down(struct build *b, struct target *t, const char *path,
                         const struct file_op *op, struct eng_dual *dual,
                         const struct type_default *type)
{
    const json_t *column = cat_column(t->doc, op->column);
    const char *def = cat_text(column, "default");
    char *quoted = sql_quote_ident(op->column);

    t->guards = true;
    dual->down = mem_strdup(op->down);
    dual_read_columns(dual, dual->down);
    if (!is_given(column)) {
        refuse_parts_default(b, t, op->column);
        default_leads_before(t, quoted, type, def);
        dual->old_default = mem_strdup(def ? def : "");
    }
    free(quoted);
    return check_down(b, t, path, column, dual);
}

enum rc plan_drop_column(struct build *b, struct target *t, const char *path,
                         const struct file_op *op)
{
    struct type_default type;
    const json_t *column;
    const char *def;
    struct eng_dual *dual;
    char *quoted;
    enum rc rc = RC_OK;

    if (check_column(b, t, path, op->column) != RC_OK)
        return RC_ERR;
    column = cat_column(t->doc, op->column);
    if (type_default_read(b, op->down ? t : NULL, cat_text(column, "type"), &type) != RC_OK)
        return RC_ERR;
    def = is_given(column) ? NULL : cat_text(column, "default");
    if (!def && !is_given(column))
        def = type.expr;
    quoted = sql_quote_ident(op->column);
    dual = target_dual(b, t);
    dual->old_name = mem_strdup(op->column);
    dual->old_type = mem_strdup(cat_text(column, "type"));
    dual->not_null = flag(column, "not_null");
    texts_add(&t->dropped, "%s", op->column);
    texts_add(&t->old_columns, "%s", quoted);
    if (op->down)
        rc = plan_down(b, t, path, op, dual, &type);
    else if (dual->not_null && !def && !is_given(column))
        build_refuse(b, t->relation, "let \"down\" give one",
                     "column %s is NOT NULL and has no default: until complete, rows of the new"
                     " application need a value for it",
                     quoted);
    if (rc == RC_OK && !is_given(column))
        judge_company(b, t, op->column, op->down ? op->down : def);
    else if (rc == RC_OK)
        refuse_dependents(b, t, op->column);
    if (rc == RC_OK)
        rc = judge_identity(b, t, op->column);
    type_default_fini(&type);
    free(quoted);
    return rc;
}

/* A column that is only added, and one that only goes, are in step with nothing after the cut-over,
 * or before it: what one application writes to its own half of a split would never reach the
 * other's. */
void refuse_splits(struct build *b, const struct target *t)
{
    const struct eng_table *table = t->table >= 0 ? &b->plan->tables[t->table] : NULL;

    for (size_t i = 0; table && i < table->nduals; i++) {
        const struct eng_dual *dual = &table->duals[i];

        for (size_t k = 0; !dual->old_name && !dual->group && dual->up && k < dual->nup_columns;
             k++)
            if (texts_has(&t->dropped, dual->up_columns[k]))
                build_refuse(
                    b, t->relation,
                    "one column to one is alter_column with name, up and down; columns are "
                    "split or merged by change_columns",
                    "column %s is made of column %s, which goes: the two would not follow "
                    "each other",
                    dual->new_name, dual->up_columns[k]);
    }
}
