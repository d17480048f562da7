/*
 * alter_column: any mix of changes to one column. Default and comment move in the cut-over
 * transaction, and back; constraints are plan_constraint.c's, a NOT NULL that goes
 * plan_release.c's.
 *
 * Where the column has no second half, what either side has of the two is kept in segue.kept while
 * the other one leads: it need not be what the plan knows, others may have set it since.
 */
#include <stdlib.h>
#include <string.h>

#include "plan_block.h"
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

/* ---- what either side has of a column that is one ---- */

enum kept_kind { KEPT_DEFAULT, KEPT_COMMENT };

static const struct {
    const char *kind;
    const char *now;   /* of pg_attribute a */
    const char *again; /* the statement that gives it back, of k */
} kept_kinds[] = {
    [KEPT_DEFAULT] = {"default",
                      "(SELECT pg_get_expr(d.adbin, d.adrelid) FROM pg_attrdef d WHERE d.adrelid ="
                      " a.attrelid AND d.adnum = a.attnum)",
                      "format('ALTER TABLE %s ALTER COLUMN %I ', k.relation::regclass, a.attname)"
                      " || COALESCE('SET DEFAULT ' || k.value, 'DROP DEFAULT')"},
    [KEPT_COMMENT] = {"comment", "col_description(a.attrelid, a.attnum)",
                      "format('COMMENT ON COLUMN %s.%I IS %L', k.relation::regclass, a.attname,"
                      " k.value)"},
};

#define KEPT_COLUMN                                                                                \
    "segue.migrations m, pg_attribute a WHERE m.name = %s AND a.attrelid = %lld::oid AND "         \
    "a.attname "                                                                                   \
    "= %s"

static void add_block(struct texts *list, char *body_take)
{
    char *block = build_do_take(body_take);

    texts_add(list, "%s", block);
    free(block);
}

/* The side that leads is left. What is kept is said by segue's own path, so that it means the same
 * by any. */
static void keep(struct build *b, const struct target *t, struct texts *list, const char *column,
                 enum kept_kind kind, const char *side)
{
    char *migration = sql_quote_literal(b->plan->name), *name = sql_quote_literal(column);

    add_block(
        list,
        mem_printf(BUILD_OWN_NAMES
                   "INSERT INTO segue.kept (migration, relation, attnum, kind, side, value) SELECT"
                   " m.id, a.attrelid, a.attnum, '%s', '%s', %s FROM " KEPT_COLUMN " ON CONFLICT"
                   " (migration, relation, attnum, kind, side) DO UPDATE SET value ="
                   " excluded.value;" BUILD_NAMES_AGAIN,
                   kept_kinds[kind].kind, side, kept_kinds[kind].now, migration,
                   (long long)json_integer_value(json_object_get(t->doc, "oid")), name));
    free(name);
    free(migration);
}

/* The side has led before. */
static void give_back(struct build *b, const struct target *t, struct texts *list,
                      const char *column, enum kept_kind kind, const char *side)
{
    char *migration = sql_quote_literal(b->plan->name), *name = sql_quote_literal(column);

    add_block(list,
              mem_printf(BUILD_OWN_NAMES
                         "SELECT %s INTO segue_text FROM segue.kept k, " KEPT_COLUMN
                         " AND k.migration = m.id AND k.relation = a.attrelid AND k.attnum ="
                         " a.attnum AND k.kind = '%s' AND k.side = '%s'; IF segue_text IS NOT NULL"
                         " THEN EXECUTE segue_text; END IF;" BUILD_NAMES_AGAIN,
                         kept_kinds[kind].again, migration,
                         (long long)json_integer_value(json_object_get(t->doc, "oid")), name,
                         kept_kinds[kind].kind, side));
    free(name);
    free(migration);
}

/* `sql_take`: what the file says, for the first time that the new side leads. */
static void turn_kept(struct build *b, struct target *t, const char *column, enum kept_kind kind,
                      char *sql_take)
{
    keep(b, t, &t->cutover, column, kind, "old");
    texts_add(&t->cutover, "%s", sql_take);
    give_back(b, t, &t->cutover, column, kind, "new");
    give_back(b, t, &t->revert, column, kind, "old"); /* revert runs its list backwards */
    keep(b, t, &t->revert, column, kind, "new");
    free(sql_take);
}

static enum rc change_default(struct build *b, struct target *t, const char *path,
                              const char *column, const struct file_change *change)
{
    const json_t *facts = cat_column(t->doc, column);
    char *at = mem_printf("%s.default", path), *name = sql_quote_ident(column);
    enum rc rc = RC_OK;

    if (*cat_text(facts, "identity") || *cat_text(facts, "generated"))
        rc = build_fail_hint(b, at, "leave \"default\" out",
                             "the server gives column %s its values", name);
    else if (change->to)
        rc = check_given(b, at, change->to, cat_text(facts, "type"));
    if (rc == RC_OK) {
        refuse_parts_default(b, t, column);
        turn_kept(b, t, column, KEPT_DEFAULT,
                  mem_printf("ALTER TABLE %s ALTER COLUMN %s %s%s", t->relation, name,
                             change->to ? "SET DEFAULT " : "DROP DEFAULT",
                             change->to ? change->to : ""));
    }
    free(name);
    free(at);
    return rc;
}

static char *comment_sql(const struct target *t, const char *column, const char *comment)
{
    char *literal = comment ? sql_quote_literal(comment) : mem_strdup("NULL");
    char *name = sql_quote_ident(column);
    char *sql = mem_printf("COMMENT ON COLUMN %s.%s IS %s", t->relation, name, literal);

    free(name);
    free(literal);
    return sql;
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

/* What the old side has is kept once: by a second one it would be what the first one has made. */
static enum rc check_once(struct build *b, const struct target *t, const char *path,
                          const struct file_op *op)
{
    for (size_t i = 0; i < op->index; i++) {
        const struct file_op *other = &b->file->ops[i];
        const struct {
            const char *field;
            bool both;
        } rows[] = {{"default", op->def.set && other->def.set},
                    {"comment", op->comment.set && other->comment.set},
                    {"nullable", op->nullable != FILE_AS_IS && other->nullable != FILE_AS_IS}};

        if (other->kind != FILE_ALTER_COLUMN || b->op_target[i] != t - b->targets ||
            strcmp(other->column, op->column) != 0)
            continue;
        for (size_t k = 0; k < ARRAY_LEN(rows); k++)
            if (rows[k].both)
                return build_fail_hint(b, path, "leave out one of the two",
                                       "operations[%zu] says \"%s\" of column \"%s\", too", i,
                                       rows[k].field, op->column);
    }
    return RC_OK;
}

/* In place: the column stays what it is, rows must already meet what is new. */
static enum rc alter_in_place(struct build *b, struct target *t, const char *path,
                              const struct file_op *op)
{
    const json_t *column = cat_column(t->doc, op->column);
    enum rc rc = check_once(b, t, path, op);

    if (rc != RC_OK)
        return rc;
    (void)target_table(b, t); /* the cut-over locks it */
    if (op->def.set || op->comment.set || op->nullable != FILE_AS_IS)
        texts_add(&t->altered, "%s", op->column);
    if (op->def.set)
        rc = change_default(b, t, path, op->column, &op->def);
    if (rc == RC_OK && op->comment.set)
        turn_kept(b, t, op->column, KEPT_COMMENT, comment_sql(t, op->column, op->comment.to));
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
    char *sql, *at;
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
    sql = comment_sql(t, retype_half(t, op->to ? op->to : op->column), op->comment.to);
    if (op->comment.set)
        texts_add(&t->expand, "%s", sql);
    free(sql);
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
