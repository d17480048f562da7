/*
 * Foreign keys of partitioned tables, before PostgreSQL 18. The table's own cannot be NOT VALID
 * there, and would read all rows under its lock. But the server takes for its parts what partitions
 * have, and reads nothing where that is validated: so each leaf gets its own in the cut-over, soak
 * validates those, and complete makes the one of the table. One that the file drops comes back in
 * the same way: each leaf's with the way back, the table's with abort.
 */
#include <stdlib.h>

#include "plan_build.h"
#include "segue/base/mem.h"
#include "segue/sql/expr.h"

bool leaves_come_first(const struct build *b, const struct target *t)
{
    return is_partitioned(t) && PQserverVersion(b->conn) < PARTS_NOT_VALID;
}

/* A DO of one PL/pgSQL statement about each leaf. `table`: as it is called by then. */
static char *each_leaf(const char *table, const char *statement)
{
    char *relation = sql_quote_literal(table);
    char *body =
        mem_printf("DECLARE segue_leaf pg_catalog.regclass; segue_rows pg_catalog.bool; BEGIN"
                   " FOR segue_leaf IN SELECT p.relid FROM pg_catalog.pg_partition_tree("
                   "%s::pg_catalog.regclass) p WHERE p.isleaf ORDER BY 1 LOOP %s END LOOP; END",
                   relation, statement);
    char *literal = sql_quote_literal(body), *sql = mem_printf("DO %s", literal);

    free(literal);
    free(body);
    free(relation);
    return sql;
}

/* The same of ALTER TABLE, with what stands behind the table; `when`: NULL for each. */
static char *alter_each_leaf(const char *table, const char *when, const char *action)
{
    char *literal = sql_quote_literal(action);
    char *statement =
        mem_printf("IF %s THEN EXECUTE pg_catalog.format('ALTER TABLE %%s %%s', segue_leaf, %s);"
                   " END IF;",
                   when ? when : "true", literal);
    char *sql = each_leaf(table, statement);

    free(statement);
    free(literal);
    return sql;
}

/* Has the leaf a foreign key of that name, of which `also` holds? */
static char *leaf_has(const char *name, const char *also)
{
    char *literal = sql_quote_literal(name);
    char *out = mem_printf(
        "EXISTS (SELECT FROM pg_catalog.pg_constraint k WHERE k.conrelid OPERATOR(pg_catalog.=)"
        " segue_leaf AND k.conname OPERATOR(pg_catalog.=) %s AND k.contype"
        " OPERATOR(pg_catalog.=) 'f' AND %s)",
        literal, also);

    free(literal);
    return out;
}

/* One that came after the cut-over has none: its rows would be read under the lock. */
static char *leaves_proven(const char *table, const char *has, const char *name,
                           const char *definition)
{
    char *action = mem_printf("ADD CONSTRAINT %s %s NOT VALID", name, definition);
    char *add = sql_quote_literal(action), *quoted = sql_quote_literal(name);
    char *statement = mem_printf(
        "IF NOT %s THEN EXECUTE pg_catalog.format('SELECT EXISTS (SELECT FROM %%s)', segue_leaf)"
        " INTO segue_rows; IF segue_rows THEN RAISE object_not_in_prerequisite_state USING MESSAGE"
        " = pg_catalog.format('partition %%s came after the cut-over, and its foreign key is not"
        " validated', segue_leaf), HINT = pg_catalog.format('ALTER TABLE %%s %%s; then VALIDATE"
        " CONSTRAINT %%s, and complete (or resume)', segue_leaf, %s, %s); END IF; END IF;",
        has, add, quoted);
    char *look = each_leaf(table, statement), *sql = mem_printf(ENG_LOOKS "%s", look);

    free(look);
    free(statement);
    free(quoted);
    free(add);
    free(action);
    return sql;
}

/* The server takes a partition's equal one for a part of the table's, which a way back drops; and
 * no partition has two of one name. `other` NULL: it is a CHECK. */
enum rc leaves_refuse_own(struct build *b, const struct target *t, const char *name,
                          const char *other)
{
    static const char sql[] =
        "SELECT format('constraint %I of %s', k.conname, k.conrelid::regclass), k.contype = 'f'"
        " FROM pg_partition_tree(to_regclass($1)) p JOIN pg_constraint k ON k.conrelid = p.relid"
        " WHERE p.relid <> to_regclass($1) AND k.conparentid = 0 AND (k.conname = $2 OR"
        " k.contype = 'f' AND k.confrelid = to_regclass($3)) ORDER BY 1";
    const char *params[] = {t->relation, name, other};
    PGresult *res = NULL;
    enum rc rc = own_query(b, sql, (int)ARRAY_LEN(params), params, &res, b->err);

    for (int r = 0; res && r < PQntuples(res); r++)
        build_refuse(b, PQgetvalue(res, r, 0),
                     *PQgetvalue(res, r, 1) == 't' ? "drop it first: the table's is for all"
                                                   : "rename it first",
                     "a partition's own stands in the way of the table's %s %s",
                     other ? "foreign key" : "constraint", name);
    PQclear(res);
    return rc;
}

/* What is done to a constraint in each leaf. */
struct each_leaf {
    char *name; /* quoted */
    char *adds, *drops, *validates;
};

/* `validated`: what the table is called when they are. */
static void each_leaf_init(struct each_leaf *each, const struct target *t, const char *validated,
                           const char *name, const char *definition)
{
    char *quoted = sql_quote_ident(name);
    char *waits = leaf_has(name, "NOT k.convalidated");
    char *any = leaf_has(name, "true"); /* no check that came with a partition meanwhile */
    char *add = mem_printf("ADD CONSTRAINT %s %s NOT VALID", quoted, definition);
    char *drop = mem_printf("DROP CONSTRAINT %s", quoted);
    char *validate = mem_printf("VALIDATE CONSTRAINT %s", quoted);

    each->name = quoted;
    each->adds = alter_each_leaf(t->relation, NULL, add);
    each->drops = alter_each_leaf(t->relation, any, drop);
    each->validates = alter_each_leaf(validated, waits, validate);
    free(validate);
    free(drop);
    free(add);
    free(any);
    free(waits);
}

static void each_leaf_fini(struct each_leaf *each)
{
    free(each->validates);
    free(each->drops);
    free(each->adds);
    free(each->name);
}

void constraint_in_leaves(struct build *b, struct target *t, const char *name, const char *shown,
                          const char *definition, const char *after)
{
    char *has = leaf_has(name, "k.convalidated");
    struct each_leaf each;
    struct eng_step *step;
    char *proven;

    each_leaf_init(&each, t, t->after, name, definition);
    proven = leaves_proven(t->after, has, each.name, after);
    texts_add(&t->cutover, "%s", each.adds);
    texts_add(&t->unbind, "%s", each.drops);
    step = build_step(b, ENG_STAGE_SOAK, ENG_STEP_VALIDATE, t->table, "validate %s", shown);
    step_sql(step, "%s", each.validates);
    step_lock(step, "SHARE UPDATE EXCLUSIVE", t->after, "one scan; blocks no query");
    texts_add(&t->contract, "%s", proven);
    texts_add(&t->contract, "ALTER TABLE %s ADD CONSTRAINT %s %s", t->after, each.name, after);
    each_leaf_fini(&each);
    free(proven);
    free(has);
}

/* The table's, where it has none: its leaves have theirs, which are proven. */
static char *whole_again(const struct target *t, const char *name, const char *definition,
                         const char *comment)
{
    char *quoted = sql_quote_ident(name), *wanted = sql_quote_literal(name);
    char *relation = sql_quote_literal(t->relation), *has = leaf_has(name, "k.convalidated");
    char *proven = leaves_proven(t->relation, has, quoted, definition),
         *proof = sql_quote_literal(proven);
    char *said = comment ? sql_quote_literal(comment) : mem_strdup("NULL");
    char *body = mem_printf(
        "BEGIN IF NOT EXISTS (SELECT FROM pg_catalog.pg_constraint WHERE conrelid"
        " OPERATOR(pg_catalog.=) pg_catalog.to_regclass(%s) AND conname OPERATOR(pg_catalog.=) %s)"
        " THEN EXECUTE %s; ALTER TABLE %s ADD CONSTRAINT %s %s; COMMENT ON CONSTRAINT %s ON %s IS"
        " %s; END IF; END",
        relation, wanted, proof, t->relation, quoted, definition, quoted, t->relation, said);
    char *literal = sql_quote_literal(body), *sql = mem_printf("DO %s", literal);

    free(literal);
    free(body);
    free(said);
    free(proof);
    free(proven);
    free(has);
    free(relation);
    free(wanted);
    free(quoted);
    return sql;
}

void release_in_leaves(struct target *t, const char *name, const char *definition,
                       const char *comment)
{
    char *whole = whole_again(t, name, definition, comment);
    struct each_leaf each;

    each_leaf_init(&each, t, t->relation, name, definition);
    texts_add(&t->cutover, "ALTER TABLE %s DROP CONSTRAINT IF EXISTS %s", t->relation, each.name);
    texts_add(&t->cutover, "%s", each.drops);
    texts_add(&t->rebind, "%s", each.adds);
    texts_add(&t->restore, "%s", each.validates);
    texts_add(&t->restored, "%s", whole);
    each_leaf_fini(&each);
    free(whole);
}
