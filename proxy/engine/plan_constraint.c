/*
 * New constraints of a live table. Nothing binds the old application before the cut-over, but a
 * unique index, which nobody can build otherwise:
 *
 *   check, foreign key, NOT NULL   rows are looked at before ready; the cut-over adds it NOT VALID,
 *                                  soak proves it, the way back drops it (plan_foreign.c: which
 *                                  keys, and which rows)
 *   unique, primary key            plan_unique.c
 */
#include <stdlib.h>
#include <string.h>

#include "nulls.h"
#include "plan_build.h"
#include "segue/base/buf.h"
#include "segue/base/mem.h"
#include "segue/catalog/catalog.h"
#include "segue/sql/expr.h"

char *constraint_columns(const struct target *t, const struct file_names *names)
{
    struct buf out = {0};

    for (size_t i = 0; i < names->n; i++) {
        buf_append_str(&out, i ? ", " : "");
        sql_quote_ident_put(&out, t ? retype_half(t, names->v[i]) : names->v[i]);
    }
    return buf_take(&out);
}

void constraint_deferrable(struct buf *out, const struct file_constraint *c)
{
    buf_printf(out, "%s%s", c->deferrable ? " DEFERRABLE" : "",
               c->initially_deferred ? " INITIALLY DEFERRED" : "");
}

void constraint_actions(struct buf *out, const struct target *t, const struct file_constraint *c)
{
    char *columns = constraint_columns(t, &c->set_columns);

    if (c->match)
        buf_printf(out, " MATCH %s", c->match);
    if (c->on_update)
        buf_printf(out, " ON UPDATE %s", c->on_update);
    if (c->on_delete)
        buf_printf(out, " ON DELETE %s", c->on_delete);
    if (c->set_columns.n)
        buf_printf(out, " (%s)", columns);
    constraint_deferrable(out, c);
    free(columns);
}

void constraint_include(struct buf *out, const struct target *t, const struct file_constraint *c)
{
    char *columns = constraint_columns(t, &c->include);

    if (c->include.n)
        buf_printf(out, " INCLUDE (%s)", columns);
    free(columns);
}

void constraint_storage(struct buf *out, const struct file_constraint *c, const char *tablespace)
{
    if (c->parameters)
        buf_printf(out, " WITH (%s)", c->parameters);
    if (c->tablespace) {
        buf_printf(out, " %s ", tablespace);
        sql_quote_ident_put(out, c->tablespace);
    }
}

/* ---- rows that are there ---- */

void constraint_look(struct build *b, struct target *t, const char *what, const char *counted)
{
    char *told = sql_quote_literal(what), *literal;
    char *body = mem_printf(
        "#variable_conflict use_column\nDECLARE segue_n int8; segue_at text; BEGIN\n"
        "SELECT q.n, q.at INTO segue_n, segue_at FROM (%s) q;\n"
        "IF segue_n > 0 THEN RAISE check_violation USING MESSAGE = pg_catalog.format('%%s rows do "
        "not meet %%s"
        ": %%s', segue_n, %s, segue_at), HINT = 'mend the rows, then RESUME (segue resume), or "
        "ABORT (segue abort)';"
        " END IF; END",
        counted, told);
    struct eng_step *step = build_step(b, ENG_STAGE_BUILD, ENG_STEP_VALIDATE, t->table,
                                       "look for rows against %s", what);

    literal = sql_quote_literal(body);
    step_sql(step, "DO %s", literal);
    step_lock(step, "ACCESS SHARE", t->relation, "one scan; blocks no query");
    free(literal);
    free(body);
    free(told);
}

void constraint_look_rows(struct build *b, struct target *t, const char *what, const char *bad)
{
    char *counted = mem_printf(
        "SELECT pg_catalog.count(*) AS n, pg_catalog.string_agg(v.place, ', ') FILTER (WHERE v.no"
        " OPERATOR(pg_catalog.<=) %d) AS at FROM (SELECT pg_catalog.concat("
        "s.tableoid::pg_catalog.regclass, ' ctid ', s.ctid) AS place,"
        " pg_catalog.row_number() OVER () AS no"
        " FROM %s s WHERE %s) v",
        CONSTRAINT_PLACES, t->relation, bad);

    constraint_look(b, t, what, counted);
    free(counted);
}

/* ---- from the cut-over on ---- */

void constraint_late(struct build *b, struct target *t, const char *name, const char *shown,
                     const char *definition)
{
    char *quoted = sql_quote_ident(name), *prove;
    struct eng_step *step;

    prove =
        release_prove_of_sql(json_integer_value(json_object_get(t->doc, "oid")), t->after, name);
    texts_add(&t->cutover, "ALTER TABLE %s ADD CONSTRAINT %s %s NOT VALID", t->relation, quoted,
              definition);
    texts_add(&t->unbind, "ALTER TABLE %s DROP CONSTRAINT IF EXISTS %s", t->relation, quoted);
    step = build_step(b, ENG_STAGE_SOAK, ENG_STEP_VALIDATE, t->table, "validate %s", shown);
    step_sql(step, "%s", prove);
    step_lock(step, "SHARE UPDATE EXCLUSIVE", t->after, "one scan; blocks no query");
    free(prove);
    free(quoted);
}

void constraint_warn_late(struct build *b, const struct target *t, const char *what)
{
    build_warn(b, t->relation, "what the old application writes must meet it by then",
               "%s binds all writers from the cut-over on, those of the old schema too", what);
}

void constraint_not_null(struct build *b, struct target *t, const char *column, const char *shown,
                         bool looks)
{
    char *temp = target_temp(t), *proof = sql_quote_ident(temp);
    char *name = sql_quote_ident(column), *later = sql_quote_ident(shown);
    char *what = mem_printf("NOT NULL of %s", later);
    char *bad = mem_printf("s.%s " IS_NULL, name);
    char *check = mem_printf("CHECK (%s " IS_NOT_NULL ")", name);

    if (looks)
        constraint_look_rows(b, t, what, bad);
    constraint_warn_late(b, t, what);
    constraint_late(b, t, temp, what, check);
    texts_add(&t->contract, "ALTER TABLE %s ALTER COLUMN %s SET NOT NULL", t->after, later);
    texts_add(&t->contract, "ALTER TABLE %s DROP CONSTRAINT IF EXISTS %s", t->after, proof);
    free(check);
    free(bad);
    free(what);
    free(later);
    free(name);
    free(proof);
    free(temp);
}

static enum rc add_check(struct build *b, struct target *t, const char *path,
                         const struct file_constraint *c)
{
    char *check = retype_expr(t, c->check, b->err);
    char *rows = target_rows(b, t);
    char *what = mem_printf("constraint %s", c->name);
    char *bad = mem_printf("(%s\n) IS FALSE", check ? check : "");
    char *definition =
        mem_printf("CHECK (%s)%s", check ? check : "", c->no_inherit ? " NO INHERIT" : "");
    enum rc rc = check ? build_check_condition(b, path, what, check, rows) : RC_ERR;

    if (rc == RC_OK && c->no_inherit && is_partitioned(t))
        rc = build_fail_hint(b, path, "leave \"no_inherit\" out",
                             "%s: table %s is partitioned, and what binds it binds its partitions",
                             what, t->relation);
    if (rc == RC_OK)
        rc = check_expr_stays(b, t, path, c->check);
    if (rc == RC_OK && is_partitioned(t))
        rc = leaves_refuse_own(b, t, c->name, NULL);
    if (rc == RC_OK) {
        constraint_look_rows(b, t, what, bad);
        constraint_late(b, t, c->name, what, definition);
        constraint_warn_late(b, t, what);
    }
    free(definition);
    free(bad);
    free(what);
    free(rows);
    free(check);
    return rc;
}

/* ---- the operation ---- */

static bool is_late(const struct file_constraint *c)
{
    return c->kind == FILE_CHECK || c->kind == FILE_FOREIGN_KEY;
}

/* Two that have an index are told apart by its name (plan_names.c). */
static enum rc check_name(struct build *b, const struct target *t, const char *path,
                          const struct file_constraint *c)
{
    static const char sql[] = "SELECT 1 FROM pg_constraint WHERE conrelid = $1::oid AND conname ="
                              " $2";
    char *oid = mem_printf("%lld", (long long)json_integer_value(json_object_get(t->doc, "oid")));
    const char *params[] = {oid, c->name};
    char *there = NULL;
    enum rc rc = own_value(b, sql, 2, params, &there, b->err);

    if (rc == RC_OK && there)
        rc = build_fail_hint(b, path, HINT_TAKEN ", or drop the old one in an earlier migration",
                             "table %s already has a constraint \"%s\"", t->relation, c->name);
    else if (rc == RC_OK &&
             (texts_has(&t->late, c->name) || (is_late(c) && texts_has(&t->named, c->name))))
        rc = build_fail_hint(b, path, HINT_TAKEN, "table %s would get constraint \"%s\" twice",
                             t->relation, c->name);
    free(there);
    free(oid);
    return rc;
}

static enum rc check_columns(struct build *b, const struct target *t, const char *path,
                             const struct file_names *names)
{
    enum rc rc = RC_OK;

    for (size_t i = 0; rc == RC_OK && i < names->n; i++)
        rc = check_stays(b, t, path, names->v[i]);
    return rc;
}

enum rc constraint_add(struct build *b, struct target *t, const char *path,
                       const struct file_constraint *c)
{
    (void)target_table(b, t); /* the cut-over locks it */
    if (c->kind == FILE_PRIMARY_KEY && json_array_size(json_object_get(t->doc, "key")))
        return build_fail_hint(b, path, "make it unique instead, or drop the old one first",
                               "table %s has a primary key", t->relation);
    if (check_name(b, t, path, c) != RC_OK || check_columns(b, t, path, &c->columns) != RC_OK ||
        check_columns(b, t, path, &c->include) != RC_OK)
        return RC_ERR;
    texts_add(is_late(c) ? &t->late : &t->named, "%s", c->name);
    switch (c->kind) {
    case FILE_CHECK:
        return add_check(b, t, path, c);
    case FILE_FOREIGN_KEY:
        return constraint_foreign(b, t, path, c);
    default:
        return key_add(b, t, path, c);
    }
}

/* The expression for a column; NULL: none, or only the column itself. */
static const char *expr_of(const struct file_pairs *pairs, const char *column)
{
    for (size_t i = 0; i < pairs->n; i++)
        if (!strcmp(pairs->columns[i], column))
            return pairs->exprs[i];
    return NULL;
}

static enum rc check_pairs(struct build *b, const char *path, const struct file_op *op)
{
    const struct file_pairs *lists[] = {&op->ups, &op->downs};

    for (size_t l = 0; l < ARRAY_LEN(lists); l++)
        for (size_t i = 0; i < lists[l]->n; i++) {
            bool known = op->constraint.columns.n == 0;

            for (size_t k = 0; k < op->constraint.columns.n; k++)
                known |= !strcmp(op->constraint.columns.v[k], lists[l]->columns[i]);
            if (!known)
                return build_fail_hint(b, path, "add it to \"columns\", or leave it out",
                                       "%s has column \"%s\", which \"columns\" does not name",
                                       l ? "down" : "up", lists[l]->columns[i]);
        }
    return RC_OK;
}

/* Where rows are to be changed so that they meet it, the column gets a second half. */
static enum rc plan_half(struct build *b, struct target *t, const char *path,
                         const struct file_op *op, const char *column, const char *field)
{
    struct pair pair = {.path = path,
                        .from_field = field,
                        .from = column,
                        .up = expr_of(&op->ups, column),
                        .down = expr_of(&op->downs, column)};

    return pair.up || pair.down ? target_plan_retype(b, t, &pair) : RC_OK;
}

enum rc plan_second_halves(struct build *b, struct target *t, const char *path,
                           const struct file_op *op)
{
    enum rc rc = check_pairs(b, path, op);

    for (size_t i = 0; rc == RC_OK && i < op->ups.n; i++)
        rc = plan_half(b, t, path, op, op->ups.columns[i], "up");
    for (size_t i = 0; rc == RC_OK && i < op->downs.n; i++)
        if (!expr_of(&op->ups, op->downs.columns[i])) /* else it has it by now */
            rc = plan_half(b, t, path, op, op->downs.columns[i], "down");
    return rc;
}

enum rc plan_create_constraint(struct build *b, struct target *t, const char *path,
                               const struct file_op *op)
{
    return constraint_add(b, t, path, &op->constraint);
}
