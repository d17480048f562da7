/*
 * What constrains no longer: dropped constraints, columns that may be NULL. From the cut-over on
 * the new application is free of a CHECK, a foreign key, NOT NULL; the way back puts them on again
 * NOT VALID, and abort proves them. A unique constraint stays until complete: its index could not
 * be built again in the moment of a rollback.
 *
 * `down` mends what the old schema may not have: the rows are found by an index over just these,
 * which is empty until somebody writes one.
 */
#include <stdlib.h>
#include <string.h>

#include "nulls.h"
#include "plan_block.h"
#include "plan_parts.h"
#include "plan_probe.h"
#include "segue/base/buf.h"
#include "segue/base/mem.h"
#include "segue/catalog/catalog.h"
#include "segue/sql/expr.h"

static bool flag(const json_t *object, const char *key)
{
    return json_is_true(json_object_get(object, key));
}

/* ---- the way back ---- */

/* The index that finds them, empty until somebody writes one. */
static enum rc mend_index(struct build *b, struct target *t, const char *what, const char *temp,
                          const char *bad)
{
    const char *schema = cat_text(t->doc, "schema");
    char *name = sql_quote_ident(temp), *qualified = sql_quote_qualified(schema, temp);
    char *title = mem_printf("build the index that finds rows without %s", what);
    char *definition = mem_printf("USING btree ((0)) WHERE %s", bad);
    const struct parts_index parts = {.title = title, .name = temp, .definition = definition};
    struct eng_step *step;
    enum rc rc = RC_OK;
    int built;

    texts_add(&t->contract, "DROP INDEX IF EXISTS %s", qualified);
    if (is_partitioned(t)) {
        rc = parts_build(b, t, &parts, &built);
        parts_abort(b, t, &parts, built);
        goto out;
    }
    step = build_step(b, ENG_STAGE_BUILD, ENG_STEP_CONCURRENTLY, t->table, "%s", title);
    step_sql(step, "CREATE INDEX CONCURRENTLY %s ON %s %s", name, t->relation, definition);
    step_lock(step, "SHARE UPDATE EXCLUSIVE", t->relation, "while it is built; blocks no query");
    step->index_schema = mem_strdup(schema);
    step->index_name = mem_strdup(temp);
    step = build_step(b, ENG_STAGE_ABORT, ENG_STEP_CONCURRENTLY, t->table, "drop the index for %s",
                      what);
    step_sql(step, "DROP INDEX CONCURRENTLY IF EXISTS %s", qualified);
    step_lock(step, "SHARE UPDATE EXCLUSIVE", t->relation, "waits for queries, blocks none");
out:
    free(definition);
    free(title);
    free(qualified);
    free(name);
    return rc;
}

/* `bad`: what the old schema may not have; `set`: what it becomes. */
static enum rc mend(struct build *b, struct target *t, const char *what, const char *set,
                    const char *bad)
{
    char *temp = target_temp(t);
    enum rc rc = mend_index(b, t, what, temp, bad);

    texts_add(&t->mend, "UPDATE %s SET %s WHERE %s", t->relation, set, bad);
    free(temp);
    return rc;
}

/* `relation`: an expression, the table's oid. */
static char *prove_sql(const char *relation, const char *table, const char *name)
{
    char *wanted = sql_quote_literal(name), *quoted = sql_quote_ident(name);
    char *body = mem_printf("BEGIN IF EXISTS (SELECT FROM pg_catalog.pg_constraint WHERE conrelid"
                            " OPERATOR(pg_catalog.=) %s AND conname OPERATOR(pg_catalog.=) %s AND"
                            " NOT convalidated) THEN ALTER TABLE %s VALIDATE CONSTRAINT %s; END "
                            "IF; END",
                            relation, wanted, table, quoted);
    char *literal = sql_quote_literal(body), *sql = mem_printf("DO %s", literal);

    free(literal);
    free(body);
    free(quoted);
    free(wanted);
    return sql;
}

char *release_prove_sql(const char *table, const char *name)
{
    char *literal = sql_quote_literal(table);
    char *relation = mem_printf("pg_catalog.to_regclass(%s)", literal);
    char *sql = prove_sql(relation, table, name);

    free(relation);
    free(literal);
    return sql;
}

char *release_prove_of_sql(json_int_t oid, const char *table, const char *name)
{
    char *relation = mem_printf("%lld::pg_catalog.oid", (long long)oid);
    char *sql = prove_sql(relation, table, name);

    free(relation);
    return sql;
}

static void prove_again(struct target *t, const char *name)
{
    char *sql = release_prove_sql(t->relation, name);

    texts_add(&t->restore, "%s", sql);
    free(sql);
}

static void warn_no_mend(struct build *b, const struct target *t, const char *what)
{
    build_warn(
        b, t->relation, "let \"down\" say what such rows become",
        "rows that do not meet %s stay as they are in a rollback: updates of them fail then, "
        "and abort stops until they are mended",
        what);
}

/* ---- NOT NULL ---- */

/* Has the server given it, for a key that is there, or an identity? */
static bool owns_not_null(const struct target *t, const json_t *column)
{
    const json_t *key = json_object_get(t->doc, "key");

    for (size_t i = 0; i < json_array_size(key); i++)
        if (!strcmp(json_string_value(json_array_get(key, i)), cat_text(column, "name")))
            return true;
    return *cat_text(column, "identity") != '\0';
}

/* As it was, where a rollback has left the column without. */
static char *not_null_again_sql(const struct target *t, const char *column,
                                const struct not_null *facts)
{
    char *name = sql_quote_ident(column), *constraint = sql_quote_ident(facts->name);
    char *relation = sql_quote_literal(t->relation), *wanted = sql_quote_literal(column);
    char *comment = facts->comment ? sql_quote_literal(facts->comment) : mem_strdup("NULL");
    char *body = mem_printf(
        "BEGIN IF EXISTS (SELECT FROM pg_catalog.pg_attribute WHERE attrelid"
        " OPERATOR(pg_catalog.=) pg_catalog.to_regclass(%s) AND attname OPERATOR(pg_catalog.=)"
        " %s AND NOT attnotnull) THEN ALTER TABLE %s ADD CONSTRAINT %s NOT NULL %s%s;"
        " COMMENT ON CONSTRAINT %s ON %s IS %s; END IF; END",
        relation, wanted, t->relation, constraint, name, facts->suffix, constraint, t->relation,
        comment);
    char *literal = sql_quote_literal(body), *sql = mem_printf("DO %s", literal);

    free(literal);
    free(body);
    free(comment);
    free(wanted);
    free(relation);
    free(constraint);
    free(name);
    return sql;
}

static enum rc restore_not_null(struct build *b, struct target *t, const char *column)
{
    char *name = sql_quote_ident(column), *sql;
    struct not_null facts;
    enum rc rc = not_null_read(b, t, column, &facts);

    if (facts.name)
        sql = not_null_again_sql(t, column, &facts);
    else
        sql = mem_printf("ALTER TABLE %s ALTER COLUMN %s SET NOT NULL", t->relation, name);
    texts_add(&t->restored, "%s", sql);
    not_null_fini(&facts);
    free(sql);
    free(name);
    return rc;
}

enum rc release_not_null(struct build *b, struct target *t, const char *path, const char *column,
                         const char *down)
{
    const json_t *facts = cat_column(t->doc, column);
    char *number, *temp, *proof, *name = sql_quote_ident(column), *what, *bad, *set = NULL;
    enum rc rc = RC_OK;

    if (owns_not_null(t, facts) || key_has(b, t, column)) {
        rc = build_fail(b, path,
                        "column \"%s\" is of the primary key, or an identity column: it "
                        "cannot be NULL",
                        column);
        free(name);
        return rc;
    }
    number = target_temp(t);
    temp = mem_printf("%s_back", number);
    proof = sql_quote_ident(temp);
    what = mem_printf("NOT NULL of %s", name);
    bad = mem_printf("%s " IS_NULL, name);
    texts_add(&t->cutover, "ALTER TABLE %s DROP CONSTRAINT IF EXISTS %s", t->relation, proof);
    texts_add(&t->cutover, "ALTER TABLE %s ALTER COLUMN %s DROP NOT NULL", t->relation, name);
    texts_add(&t->rebind, "ALTER TABLE %s ADD CONSTRAINT %s CHECK (%s " IS_NOT_NULL ") NOT VALID",
              t->relation, proof, name);
    prove_again(t, temp);
    rc = restore_not_null(b, t, column);
    texts_add(&t->restored, "ALTER TABLE %s DROP CONSTRAINT IF EXISTS %s", t->relation, proof);
    if (rc == RC_OK && down) {
        char *rows = target_rows(b, t), *at = mem_printf("%s.down", path);

        rc = build_check_expr(b, at, down, cat_text(facts, "type"), rows);
        set = mem_printf("%s = (%s)::%s", name, down, cat_text(facts, "type"));
        if (rc == RC_OK)
            rc = mend(b, t, what, set, bad);
        free(at);
        free(rows);
    } else {
        warn_no_mend(b, t, what);
    }
    build_warn(b, t->relation,
               "let the old application take a NULL for a value before the cut-over",
               "from the cut-over on column %s may be NULL, for the old application too", name);
    free(set);
    free(bad);
    free(what);
    free(name);
    free(proof);
    free(temp);
    free(number);
    return rc;
}

/* ---- drop_constraint ---- */

static const json_t *by_name(const json_t *list, const char *key, const char *name)
{
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *item = json_array_get(list, i);
        const char *is = cat_text(item, key);

        if (is && !strcmp(is, name))
            return item;
    }
    return NULL;
}

/* "a = (down)::type, ..." of what computes something; NULL: nothing does. */
static enum rc mending(struct build *b, struct target *t, const char *path,
                       const struct file_op *op, const json_t *constraint, char **set)
{
    const json_t *columns = json_object_get(constraint, "columns");
    const char *only =
        json_array_size(columns) == 1 ? json_string_value(json_array_get(columns, 0)) : NULL;
    char *single[] = {(char *)only}, *expr[] = {op->down};
    const struct file_pairs one = {single, expr, 1};
    const struct file_pairs *downs = op->down ? &one : &op->downs;
    char *rows = target_rows(b, t);
    struct buf out = {0};
    enum rc rc = RC_OK;

    if (op->down && !only)
        rc = build_fail(b, path,
                        "the constraint has several columns: use "
                        "drop_multicolumn_constraint");
    for (size_t i = 0; rc == RC_OK && i < downs->n; i++) {
        const json_t *facts = cat_column(t->doc, downs->columns[i]);
        char *name;

        if (!downs->exprs[i] || sql_expr_is_column(downs->exprs[i], downs->columns[i]))
            continue;
        if (!facts) {
            rc = build_no_column(b, path, t, downs->columns[i]);
            break;
        }
        rc = build_check_expr(b, path, downs->exprs[i], cat_text(facts, "type"), rows);
        name = sql_quote_ident(downs->columns[i]);
        buf_printf(&out, "%s%s = (%s)::%s", out.len ? ", " : "", name, downs->exprs[i],
                   cat_text(facts, "type"));
        free(name);
    }
    free(rows);
    *set = out.len ? buf_take(&out) : NULL;
    return rc;
}

static enum rc definition_of(struct build *b, const struct target *t, const char *name, char **out)
{
    static const char sql[] =
        "SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = $1::oid AND conname"
        " = $2";
    char *oid = mem_printf("%lld", (long long)json_integer_value(json_object_get(t->doc, "oid")));
    const char *params[] = {oid, name};
    enum rc rc = own_value(b, sql, 2, params, out, b->err);

    free(oid);
    return rc;
}

/* Put on again NOT VALID: what is there needs no look at that moment. */
static void release_whole(struct target *t, const json_t *constraint, const char *bare,
                          const char *definition)
{
    const char *comment = cat_text(constraint, "comment");
    char *name = sql_quote_ident(bare), *literal = comment ? sql_quote_literal(comment) : NULL;
    bool proven = flag(constraint, "validated");

    texts_add(&t->cutover, "ALTER TABLE %s DROP CONSTRAINT %s", t->relation, name);
    texts_add(&t->rebind, "ALTER TABLE %s ADD CONSTRAINT %s %s%s", t->relation, name, definition,
              proven ? " NOT VALID" : "");
    if (literal)
        texts_add(&t->rebind, "COMMENT ON CONSTRAINT %s ON %s IS %s", name, t->relation, literal);
    if (proven)
        prove_again(t, bare);
    free(literal);
    free(name);
}

/* An index predicate is immutable, a CHECK need not be. */
static enum rc probe_mend(struct build *b, const struct target *t, const char *path,
                          const char *bad)
{
    char *at = mem_printf("%s.down", path);
    char *definition = mem_printf("USING btree ((0)) WHERE %s", bad);
    enum rc rc = probe_index(b, &(struct probe_index){.path = at,
                                                      .name = "that is to find rows for down",
                                                      .table = t,
                                                      .hint = "leave down out: a rollback leaves "
                                                              "such rows as they are then",
                                                      .definition = definition});

    free(definition);
    free(at);
    return rc;
}

/* CHECK and foreign keys: free from the cut-over on. */
static enum rc release(struct build *b, struct target *t, const char *path,
                       const struct file_op *op, const json_t *constraint)
{
    const char *other = cat_text(constraint, "foreign_table");
    char *what = mem_printf("constraint %s", op->name), *definition = NULL, *set = NULL, *bad;
    enum rc rc = mending(b, t, path, op, constraint, &set);

    if (rc == RC_OK)
        rc = definition_of(b, t, op->name, &definition);
    if (rc == RC_OK) {
        if (other && leaves_come_first(b, t))
            release_in_leaves(t, op->name, definition, cat_text(constraint, "comment"));
        else
            release_whole(t, constraint, op->name, definition);
        if (other && !texts_has(&t->also, other))
            texts_add(&t->also, "%s", other);
    }
    if (rc == RC_OK && other)
        rc = refuse_unreferable(b, json_integer_value(json_object_get(t->doc, "oid")), t->relation,
                                op->name);
    if (rc == RC_OK && set && other) {
        build_refuse(b, what, "leave down out",
                     "rows that refer to nothing cannot be found for "
                     "down without a scan");
    } else if (rc == RC_OK && set) {
        bad = mem_printf("(%s) IS FALSE", cat_text(constraint, "expression"));
        rc = probe_mend(b, t, path, bad);
        if (rc == RC_OK)
            rc = mend(b, t, what, set, bad);
        free(bad);
    } else if (rc == RC_OK) {
        warn_no_mend(b, t, what);
    }
    free(definition);
    free(set);
    free(what);
    return rc;
}

/* Somebody may have made what refers to it while it was in flight: asked before anything goes. */
static void look_for_needing(struct target *t, const char *bare)
{
    char *name = sql_quote_literal(bare);
    char *look = build_do_take(mem_printf(
        BUILD_OWN_NAMES
        "WITH part AS (SELECT k.conindid AS id FROM pg_constraint k WHERE k.conrelid = %lld AND"
        "  k.conname = %s), whole AS (SELECT id FROM part UNION SELECT t.relid FROM part,"
        "  pg_partition_tree(id::regclass) t) SELECT pg_describe_object(d.classid, d.objid,"
        " d.objsubid) INTO segue_text FROM whole LEFT JOIN pg_constraint k ON k.conindid = id AND"
        " k.contype IN ('p', 'u', 'x') JOIN pg_depend d ON (d.refclassid, d.refobjid) IN"
        " (('pg_class'::regclass, id), ('pg_constraint'::regclass, k.oid)) AND d.deptype = 'n'"
        " ORDER BY 1 LIMIT 1; IF segue_text IS NOT"
        " NULL THEN RAISE object_not_in_prerequisite_state USING MESSAGE = format('%%s came after"
        " the migration was planned: it needs constraint %%I, which complete is to drop',"
        " segue_text, %s), HINT = 'drop it, then complete (or resume)'; END IF;" BUILD_NAMES_AGAIN,
        (long long)json_integer_value(json_object_get(t->doc, "oid")), name, name));

    texts_add(&t->contract, ENG_LOOKS "%s", look);
    free(look);
    free(name);
}

/* Unique, primary key, exclusion: until complete, for everybody. */
static enum rc release_key(struct build *b, struct target *t, const struct file_op *op,
                           const json_t *index)
{
    char *name = sql_quote_ident(op->name), *what = mem_printf("constraint %s", op->name);
    bool refused = false;
    enum rc rc = replica_judge_index(b, t, index, what, &refused);

    look_for_needing(t, op->name);
    texts_add(&t->contract, "ALTER TABLE %s DROP CONSTRAINT IF EXISTS %s", t->after, name);
    build_warn(b, what, "let the new application meet it until then",
               "it binds all writers until complete: a rollback could not build its index again in "
               "a moment");
    if (!refused && (flag(index, "primary") || flag(index, "replica_identity")))
        build_warn(b, what, "ALTER TABLE ... REPLICA IDENTITY to another index, or FULL",
                   "logical replication of UPDATE and DELETE may need it");
    free(what);
    free(name);
    return rc == RC_OK ? needed_judge_key(b, index, op->name) : rc;
}

static bool has_up(const struct file_op *op)
{
    for (size_t i = 0; i < op->ups.n; i++)
        if (!sql_expr_is_column(op->ups.exprs[i], op->ups.columns[i]))
            return true;
    return false;
}

enum rc plan_drop_constraint(struct build *b, struct target *t, const char *path,
                             const struct file_op *op)
{
    const json_t *constraint = by_name(json_object_get(t->doc, "constraints"), "name", op->name);
    const json_t *index = by_name(json_object_get(t->doc, "indexes"), "constraint", op->name);
    char *at = mem_printf("%s.name", path);
    enum rc rc;

    (void)target_table(b, t); /* the cut-over locks it */
    texts_add(&t->released, "%s", op->name);
    if (!constraint && !index) {
        err_hint(b->err, "a NOT NULL goes by alter_column with \"nullable\": true");
        rc = build_fail(b, at, "table %s has no constraint \"%s\"", t->relation, op->name);
    } else if (constraint && flag(constraint, "inherited")) {
        rc = build_fail(b, at, "it is inherited: name the table that it is of");
    } else {
        if (has_up(op))
            build_refuse(b, t->relation, "leave up out",
                         "constraint %s: a constraint that goes "
                         "needs no up",
                         op->name);
        rc = constraint ? release(b, t, path, op, constraint) : release_key(b, t, op, index);
    }
    free(at);
    return rc;
}
