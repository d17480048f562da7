/*
 * Columns split or merged: old ones and new ones that follow each other as a group. What hangs on
 * the old ones has no heir that anybody but the file's author could name: it stays for both
 * revisions until complete, and goes with the old columns; plan says of each.
 */
#include <stdlib.h>
#include <string.h>

#include "plan_build.h"
#include "plan_probe.h"
#include "segue/base/buf.h"
#include "segue/base/mem.h"
#include "segue/catalog/catalog.h"
#include "segue/sql/expr.h"

static bool flag(const json_t *object, const char *key)
{
    return json_is_true(json_object_get(object, key));
}

static const char *expr_of(const struct file_pairs *pairs, const char *column)
{
    for (size_t i = 0; i < pairs->n; i++)
        if (!strcmp(pairs->columns[i], column))
            return pairs->exprs[i];
    return NULL; /* cannot be: the file's reader has looked */
}

static bool names(const struct file_names *list, const char *name)
{
    for (size_t i = 0; name && i < list->n; i++)
        if (!strcmp(list->v[i], name))
            return true;
    return false;
}

static int next_group(struct build *b, struct target *t)
{
    const struct eng_table *table = target_table(b, t);
    int last = 0;

    for (size_t i = 0; i < table->nduals; i++)
        if (table->duals[i].group > last)
            last = table->duals[i].group;
    return last + 1;
}

/* ---- the old columns ---- */

/* Nothing else of the file may be about a column that goes. */
static enum rc check_alone(struct build *b, struct target *t, const char *path,
                           const struct file_op *op, const char *name)
{
    for (size_t i = 0; i < b->file->nops; i++) {
        const struct file_op *other = &b->file->ops[i];
        bool about = (other->column && !strcmp(other->column, name)) ||
                     (other->kind == FILE_RENAME_COLUMN && !strcmp(other->from, name)) ||
                     names(&other->from_columns, name) || names(&other->constraint.columns, name);

        for (size_t k = 0; k < other->nkeys; k++)
            about |= !strcmp(other->keys[k].column, name);
        if (other != op && about && b->op_target[i] == t - b->targets)
            return build_fail_hint(b, path, "say it in one operation, or in two migrations",
                                   "operations[%zu] is about column \"%s\", too", i, name);
    }
    return RC_OK;
}

static enum rc check_old(struct build *b, struct target *t, const char *path,
                         const struct file_op *op, size_t i)
{
    const char *name = op->from_columns.v[i];
    const json_t *column = cat_column(t->doc, name);
    char *at = mem_printf("%s.from[%zu]", path, i);
    enum rc rc = RC_OK;

    if (!column)
        rc = build_no_column(b, at, t, name);
    else
        rc = check_alone(b, t, at, op, name);
    if (rc == RC_OK && texts_has(&t->from, name)) /* by what does not name it: a constraint's up */
        rc = build_fail_hint(b, at, "say it in one operation, or in two migrations",
                             "column \"%s\" is changed by another operation of this file", name);
    free(at);
    if (rc != RC_OK)
        return rc;
    if (flag(column, "partition_key"))
        build_refuse(b, t->relation, "make a table without it, and move the rows",
                     "column \"%s\" is part of the partition key", name);
    if (*cat_text(column, "identity") || *cat_text(column, "generated"))
        build_refuse(b, t->relation, "leave it out of \"from\"",
                     "column \"%s\" gets its values from the server", name);
    else if (cat_text(column, "sequence"))
        build_refuse(b, t->relation, "ALTER SEQUENCE ... OWNED BY NONE first, if it is to stay",
                     "sequence %s belongs to column \"%s\" and would go with it",
                     cat_text(column, "sequence"), name);
    return RC_OK;
}

/* From the cut-over on "not null" must mean that somebody has written it. */
static enum rc move_default(struct build *b, struct target *t, const char *quoted, const char *def,
                            struct eng_dual *dual)
{
    struct type_default type;
    enum rc rc = type_default_read(b, t, dual->old_type, &type);

    if (rc != RC_OK)
        return rc;
    default_leads_before(t, quoted, &type, def);
    dual->old_default = mem_strdup(def ? def : "");
    dual->def = def || type.expr ? mem_strdup(def ? def : type.expr) : NULL;
    if (dual->def)
        build_warn(
            b, t->relation, "give the new columns a \"default\" that is the same",
            "the default of column %s ends with the cut-over: an INSERT that names no column "
            "of the group gets the defaults of the new ones",
            quoted);
    type_default_fini(&type);
    return RC_OK;
}

static enum rc plan_old(struct build *b, struct target *t, const struct file_op *op,
                        const char *name, int group)
{
    const json_t *column = cat_column(t->doc, name);
    struct eng_dual *dual = target_dual(b, t);
    char *quoted = sql_quote_ident(name);
    enum rc rc = RC_OK;

    dual->group = group;
    dual->old_name = mem_strdup(name);
    dual->old_type = mem_strdup(cat_text(column, "type"));
    dual->not_null = flag(column, "not_null");
    dual->down = mem_strdup(expr_of(&op->downs, name));
    dual_read_columns(dual, dual->down);
    if (!*cat_text(column, "generated") && !*cat_text(column, "identity"))
        rc = move_default(b, t, quoted, cat_text(column, "default"), dual);
    if (dual->not_null)
        build_warn(b, t->relation, "let down give a value for whatever the new columns may hold",
                   "column %s is NOT NULL until complete: a row of the new application for which "
                   "down gives NULL is refused",
                   quoted);
    texts_add(&t->dropped, "%s", name);
    texts_add(&t->old_columns, "%s", quoted);
    refuse_dependents(b, t, name);
    refuse_parts_default(b, t, name);
    refuse_labels(b, t, column);
    free(quoted);
    return rc;
}

/* ---- the new columns ---- */

static enum rc add_new(struct build *b, struct target *t, const struct file_column *column,
                       const char *path, struct eng_dual *dual)
{
    struct type_facts facts = {0};
    char *at = mem_printf("%s.type", path);
    enum rc rc = check_type(b, at, column->type, &facts);

    dual->new_type = facts.name;
    free(at);
    if (rc != RC_OK)
        return rc;
    check_domain(b, t, column->name, &facts);
    if (!column->def)
        return RC_OK;
    at = mem_printf("%s.default", path);
    rc = check_given(b, at, column->def, dual->new_type);
    free(at);
    return rc;
}

static enum rc plan_new(struct build *b, struct target *t, const char *path,
                        const struct file_op *op, size_t i, int group)
{
    const struct file_column *column = &op->columns[i];
    struct type_default type = {0};
    struct eng_dual *dual;
    char *field = mem_printf("to[%zu].name", i), *at = mem_printf("%s.to[%zu]", path, i);
    char *name = sql_quote_ident(column->name);
    enum rc rc = check_new_name(b, t, path, field, column->name);

    if (rc != RC_OK)
        goto out;
    dual = target_dual(b, t);
    dual->group = group;
    dual->new_name = mem_strdup(column->name);
    dual->not_null = !column->nullable;
    dual->up = mem_strdup(expr_of(&op->ups, column->name));
    dual_read_columns(dual, dual->up);
    rc = add_new(b, t, column, at, dual);
    if (rc == RC_OK)
        rc = type_default_read(b, t, dual->new_type, &type);
    if (rc != RC_OK)
        goto out;
    dual->def = mem_strdup(column->def ? column->def : type.expr);
    dual->new_default = mem_strdup(column->def ? column->def : "");
    texts_add(&t->new_columns, "%s", name);
    texts_add(&t->shown, "%s", name);
    texts_add(&t->expand, "ALTER TABLE %s ADD COLUMN %s %s%s", t->relation, name, dual->new_type,
              default_behind(&type));
    default_follows(t, name, &type);
    if (column->comment) {
        char *literal = sql_quote_literal(column->comment);

        texts_add(&t->expand, "COMMENT ON COLUMN %s.%s IS %s", t->relation, name, literal);
        free(literal);
    }
    if (!column->nullable)
        constraint_not_null(b, t, column->name, column->name, false);
    default_leads_after(t, name, &type, column->def);
out:
    type_default_fini(&type);
    free(name);
    free(at);
    free(field);
    return rc;
}

/* ---- privileges on columns ---- */

static bool is_granted(const json_t *column, const json_t *grant)
{
    const json_t *grants = json_object_get(column, "grants");

    for (size_t i = 0; i < json_array_size(grants); i++)
        if (json_equal(json_array_get(grants, i), grant))
            return true;
    return false;
}

static void grant_new(struct target *t, const struct file_op *op, const json_t *grant)
{
    for (size_t i = 0; i < op->ncolumns; i++) {
        char *name = sql_quote_ident(op->columns[i].name);

        texts_add(&t->expand, "GRANT %s (%s) ON %s TO %s%s",
                  json_string_value(json_array_get(grant, 0)), name, t->relation,
                  json_string_value(json_array_get(grant, 1)),
                  json_is_true(json_array_get(grant, 2)) ? " WITH GRANT OPTION" : "");
        free(name);
    }
}

/* Who may do something to all old columns may do it to the new ones: of a part nobody knows what it
 * would be worth. */
static void grant_group(struct build *b, struct target *t, const struct file_op *op)
{
    const struct file_names *olds = &op->from_columns;

    for (size_t i = 0; i < olds->n; i++) {
        const json_t *grants = json_object_get(cat_column(t->doc, olds->v[i]), "grants");

        for (size_t g = 0; g < json_array_size(grants); g++) {
            const json_t *grant = json_array_get(grants, g);
            size_t on = 0;

            for (size_t k = 0; k < olds->n; k++)
                on += is_granted(cat_column(t->doc, olds->v[k]), grant);
            if (on == olds->n && i == 0)
                grant_new(t, op, grant);
            else if (on < olds->n)
                build_warn(b, t->relation, "GRANT it on the new columns in soak, if it is wanted",
                           "%s holds %s on column %s, but not on all that change: it is not "
                           "granted on the new ones",
                           json_string_value(json_array_get(grant, 1)),
                           json_string_value(json_array_get(grant, 0)), olds->v[i]);
        }
    }
}

/* Those on a partition's columns alone. */
static void warn_of_part_grants(struct build *b, const struct target *t, const struct file_op *op)
{
    const json_t *grants = json_object_get(t->doc, "partition_grants");

    for (size_t i = 0; i < json_array_size(grants); i++) {
        const json_t *grant = json_array_get(grants, i);

        if (names(&op->from_columns, cat_text(grant, "name")))
            build_warn(b, cat_text(grant, "relation"),
                       "GRANT it on the new columns in soak, if it is wanted",
                       "%s holds %s on column %s of this partition: it is not granted on the new"
                       " ones",
                       cat_text(grant, "grantee"), cat_text(grant, "privilege"),
                       cat_text(grant, "name"));
    }
}

/* ---- what the old columns take with them ---- */

static bool all_constant(const struct file_pairs *pairs)
{
    for (size_t i = 0; i < pairs->n; i++)
        if (!sql_expr_is_constant(pairs->exprs[i]))
            return false;
    return true;
}

static void judge_index(struct build *b, const json_t *index, const struct file_op *op)
{
    static const struct {
        const char *flag, *why, *hint;
    } refused[] = {
        {"primary", "columns of a primary key cannot be split or merged",
         "leave them out, or make the table anew"},
        {"exclusion", "an exclusion constraint cannot be carried", "drop it first"},
        {"replica_identity", "it is the table's replica identity",
         "ALTER TABLE ... REPLICA IDENTITY FULL or DEFAULT first"},
    };
    char *object = mem_printf("index %s", cat_text(index, "name"));
    bool unique = flag(index, "unique"), done = false;

    for (size_t i = 0; !done && i < ARRAY_LEN(refused); i++) {
        done = flag(index, refused[i].flag);
        if (done)
            build_refuse(b, object, refused[i].hint, "%s", refused[i].why);
    }
    if (!done && unique && all_constant(&op->downs))
        build_refuse(b, object, "drop it first, or let down give each row a value of its own",
                     "until complete it would refuse all but one row of the new application");
    else if (!done)
        build_warn(b, object, "create_index or create_constraint for the new columns, in this file",
                   "complete drops it with the old columns%s",
                   unique ? "; until then it is unique over what down gives, too" : "");
    free(object);
}

static void judge_constraint(struct build *b, struct target *t, const json_t *constraint)
{
    char *object = mem_printf("constraint %s", cat_text(constraint, "name"));
    const char *foreign = cat_text(constraint, "foreign_table");

    if (foreign && !texts_has(&t->foreign, foreign))
        texts_add(&t->foreign, "%s", foreign);
    build_warn(b, object, "create_constraint for the new columns, in this file",
               "until complete it also binds what down gives; then it goes with the old columns");
    free(object);
}

static void judge_company(struct build *b, struct target *t, const struct file_op *op)
{
    const json_t *indexes = json_object_get(t->doc, "indexes");
    const json_t *constraints = json_object_get(t->doc, "constraints");
    struct texts olds = {0};

    for (size_t i = 0; i < op->from_columns.n; i++)
        texts_add(&olds, "%s", op->from_columns.v[i]);
    for (size_t i = 0; i < json_array_size(indexes); i++)
        if (index_touches(json_array_get(indexes, i), &olds))
            judge_index(b, json_array_get(indexes, i), op);
    for (size_t i = 0; i < json_array_size(constraints); i++)
        if (constraint_touches(json_array_get(constraints, i), &olds))
            judge_constraint(b, t, json_array_get(constraints, i));
    texts_fini(&olds);
}

/* ---- the expressions ---- */

static bool waits_for_enum(const struct build *b, const struct file_op *op)
{
    for (size_t i = 0; i < op->ncolumns; i++)
        if (enum_of_file(b, op->columns[i].type))
            return true;
    return false;
}

static enum rc check_exprs(struct build *b, struct target *t, const char *path,
                           const struct file_op *op, int group)
{
    const struct eng_table *table = &b->plan->tables[t->table];
    char *olds = mem_printf(" FROM %s", t->relation), *news = target_rows(b, t);
    enum rc rc = RC_OK;

    for (size_t i = 0; rc == RC_OK && i < table->nduals; i++) {
        const struct eng_dual *dual = &table->duals[i];
        const char *expr = dual->old_name ? dual->down : dual->up;
        char *at;

        if (dual->group != group)
            continue;
        at = mem_printf("%s.%s.%s", path, dual->old_name ? "down" : "up",
                        dual->old_name ? dual->old_name : dual->new_name);
        if (!dual->old_name)
            rc = build_check_expr(b, at, expr, dual->new_type, olds);
        else if (!waits_for_enum(b, op)) /* of which there are no rows to speak of yet */
            rc = build_check_expr(b, at, expr, dual->old_type, news);
        if (rc == RC_OK)
            rc = check_steady(b, at, expr);
        free(at);
    }
    free(news);
    free(olds);
    return rc;
}

static bool is_read(const struct eng_table *table, const struct eng_dual *member)
{
    const char *name = member->old_name ? member->old_name : member->new_name;

    for (size_t i = 0; i < table->nduals; i++)
        for (size_t k = 0;
             table->duals[i].group == member->group && k < table->duals[i].nup_columns; k++)
            if (!strcmp(table->duals[i].up_columns[k], name))
                return true;
    return false;
}

/* What no expression reads does not come across. */
static void warn_unread(struct build *b, const struct target *t, int group)
{
    const struct eng_table *table = &b->plan->tables[t->table];

    for (size_t i = 0; i < table->nduals; i++) {
        const struct eng_dual *dual = &table->duals[i];

        if (dual->group != group || is_read(table, dual))
            continue;
        if (dual->new_name)
            build_warn(b, t->relation, "let down keep what it holds",
                       "no down reads column %s: up sets it anew whenever the old application "
                       "changes a column of the group",
                       dual->new_name);
        else
            build_warn(b, t->relation, "let up keep what it holds",
                       "no up reads column %s: what it holds is lost with complete, and once the "
                       "new application changes a column of the group",
                       dual->old_name);
    }
}

/* ---- the operation ---- */

enum rc plan_change_columns(struct build *b, struct target *t, const char *path,
                            const struct file_op *op)
{
    int group = next_group(b, t);
    enum rc rc = RC_OK;

    for (size_t i = 0; rc == RC_OK && i < op->from_columns.n; i++)
        rc = check_old(b, t, path, op, i);
    if (rc != RC_OK)
        return rc;
    for (size_t i = 0; rc == RC_OK && i < op->from_columns.n; i++)
        rc = plan_old(b, t, op, op->from_columns.v[i], group);
    for (size_t i = 0; rc == RC_OK && i < op->ncolumns; i++)
        rc = plan_new(b, t, path, op, i, group);
    if (rc == RC_OK)
        rc = check_exprs(b, t, path, op, group);
    if (rc != RC_OK)
        return rc;
    t->fills = true;
    grant_group(b, t, op);
    warn_of_part_grants(b, t, op);
    judge_company(b, t, op);
    warn_unread(b, t, group);
    return waits_for_enum(b, op) ? RC_OK : probe_group(b, t, path, group);
}
