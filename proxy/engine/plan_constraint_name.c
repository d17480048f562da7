/*
 * rename_constraint. Both names at once cannot be, so it is renamed for everybody, at complete:
 * what is not as it was by then must not bar that, where there is no way back.
 */
#include <stdlib.h>
#include <string.h>

#include "plan_build.h"
#include "segue/base/mem.h"
#include "segue/sql/expr.h"

#define INSTANT "an instant; lock_timeout, retried"
#define EXCLUSIVE "ACCESS EXCLUSIVE"

static bool yes(const PGresult *res, int column)
{
    return PQgetvalue(res, 0, column)[0] == 't';
}

static const char constraint_sql[] =
    "SELECT format('%I.%I', n.nspname, c.relname), pg_has_role(c.relowner, 'USAGE'),"
    " k.coninhcount > 0 OR k.conparentid <> 0, k.contype IN ('p', 'u', 'x'), n.nspname,"
    " c.oid, (SELECT json_agg(a.attname) FROM pg_attribute a WHERE a.attrelid = c.oid"
    "  AND a.attnum = ANY (k.conkey)), c.relkind FROM pg_constraint k JOIN pg_class c ON c.oid = "
    "k.conrelid"
    " JOIN pg_namespace n ON n.oid = c.relnamespace"
    " WHERE c.oid = to_regclass($1) AND k.conname = $2 AND $3::text IS NULL";

static const char taken_sql[] =
    "SELECT 1 WHERE EXISTS (SELECT FROM pg_constraint WHERE conrelid = to_regclass($1)"
    " AND conname = $2) OR ($3 = 't' AND to_regclass(format('%I.%I', $4::text, $2::text))"
    " IS NOT NULL)";

static enum rc check_taken(struct build *b, const struct file_op *op, const PGresult *res)
{
    const char *params[] = {PQgetvalue(res, 0, 0), op->to, PQgetvalue(res, 0, 3),
                            PQgetvalue(res, 0, 4)};
    const struct target *t = plan_target(b, PQgetvalue(res, 0, 5));
    char *taken = NULL;
    enum rc rc = own_value(b, taken_sql, 4, params, &taken, b->err);

    if (rc == RC_OK && (taken || (t && texts_has(&t->late, op->to))))
        rc = plan_fail(b, op, "to", HINT_TAKEN, "the name \"%s\" is taken", op->to);
    free(taken);
    return rc;
}

/* Not there any more when complete would rename it. */
static void refuse_going_constraint(struct build *b, const struct file_op *op, const char *object,
                                    const PGresult *res)
{
    const struct target *t = plan_target(b, PQgetvalue(res, 0, 5));
    json_t *list = json_loads(PQgetvalue(res, 0, 6), 0, NULL);

    if (plan_drops(b, PQgetvalue(res, 0, 5)))
        build_refuse(b, object, "leave it out", "the file drops its table");
    if (t && texts_has(&t->released, op->from))
        build_refuse(b, object, "leave out one of the two", "this file drops it, too");
    for (size_t i = 0; t && i < json_array_size(list); i++) {
        const char *column = json_string_value(json_array_get(list, i));

        if (texts_has(&t->dropped, column))
            build_refuse(b, object, "leave it out", "it goes with column %s", column);
    }
    json_decref(list);
}

/* What is there of a name, said of the table; `index`: is it a constraint by an index, whose name
 * is a relation's, too? */
static char *has_constraint(const char *relation, const char *name, const char *index)
{
    char *table = sql_quote_literal(relation), *called = sql_quote_literal(name);
    char *sql = mem_printf("(EXISTS (SELECT FROM pg_catalog.pg_constraint WHERE conrelid"
                           " OPERATOR(pg_catalog.=) pg_catalog.to_regclass(%s)::pg_catalog.oid AND"
                           " conname OPERATOR(pg_catalog.=) %s)%s%s%s)",
                           table, called, index ? " OR pg_catalog.to_regclass(" : "",
                           index ? index : "", index ? ") IS NOT NULL" : "");

    free(called);
    free(table);
    return sql;
}

/* Somebody may have dropped it, or given its new name away, while it was in flight: complete has no
 * way back, so it is asked in front of all that it does; and what is gone needs no name. */
static void rename_step(struct build *b, const struct file_op *op, const PGresult *res,
                        const char *object)
{
    const char *relation = called_after(b, PQgetvalue(res, 0, 0));
    char *from = sql_quote_ident(op->from), *to = sql_quote_ident(op->to);
    char *whole = sql_quote_qualified(PQgetvalue(res, 0, 4), op->to);
    char *index = yes(res, 3) ? sql_quote_literal(whole) : NULL;
    char *there = has_constraint(relation, op->from, NULL);
    char *taken = has_constraint(relation, op->to, index), *said = sql_quote_literal(to);
    char *look = mem_printf(
        "BEGIN IF %s AND %s THEN RAISE duplicate_object USING MESSAGE = pg_catalog.concat('the name"
        " ', %s, ', which a constraint is to get, is taken'), HINT = 'give what has it another"
        " name, then complete (or resume)'; END IF; END",
        there, taken, said);
    char *run =
        mem_printf("BEGIN IF %s THEN ALTER TABLE %s RENAME CONSTRAINT %s TO %s; END IF; END", there,
                   relation, from, to);
    char *look_text = sql_quote_literal(look), *run_text = sql_quote_literal(run);
    struct eng_step *step =
        build_step(b, ENG_STAGE_CONTRACT, ENG_STEP_DDL, -1, "rename %s to %s", object, to);

    step_sql(step, ENG_LOOKS "DO %s", look_text);
    step_sql(step, "DO %s", run_text);
    step_lock(step, EXCLUSIVE, PQgetvalue(res, 0, 0), INSTANT);
    step_rank(step, op->index);
    free(run_text);
    free(look_text);
    free(run);
    free(look);
    free(said);
    free(taken);
    free(there);
    free(index);
    free(whole);
    free(to);
    free(from);
}

enum rc plan_rename_constraint(struct build *b, const struct file_op *op)
{
    char *from, *object;
    PGresult *res;

    if (plan_look(b, op, "from", "constraint of that name on table", constraint_sql, &res) != RC_OK)
        return RC_ERR;
    if (plan_check_whose(b, op, "table", PQgetvalue(res, 0, 0), PQgetvalue(res, 0, 7),
                         PQgetvalue(res, 0, 4)) != RC_OK ||
        check_taken(b, op, res) != RC_OK) {
        PQclear(res);
        return RC_ERR;
    }
    from = sql_quote_ident(op->from);
    object = mem_printf("constraint %s of %s", from, PQgetvalue(res, 0, 0));
    plan_refuse_not_owned(b, object, yes(res, 1));
    refuse_going_constraint(b, op, object, res);
    if (yes(res, 2))
        build_refuse(b, object, "rename it there", "it is inherited from another table's");
    if (yes(res, 3))
        build_warn(b, object, "say ON CONFLICT with columns, or let the new revision wait",
                   "ON CONFLICT ON CONSTRAINT and the names in errors mean the old name until"
                   " complete, and the new one after");
    rename_step(b, op, res, object);
    free(object);
    free(from);
    PQclear(res);
    return RC_OK;
}
