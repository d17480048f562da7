/*
 * Unique constraints and primary keys of a live table: rows are looked at, the index is built
 * CONCURRENTLY and made the constraint before ready, since a unique index binds whoever writes from
 * its building on. Plan says so. The cut-over and the way back change nothing; abort drops it.
 */
#include <stdlib.h>
#include <string.h>

#include "nulls.h"
#include "plan_build.h"
#include "plan_parts.h"
#include "plan_probe.h"
#include "segue/base/buf.h"
#include "segue/base/mem.h"
#include "segue/catalog/catalog.h"
#include "segue/sql/expr.h"

#define INSTANT "an instant; lock_timeout, retried"

static bool flag(const json_t *object, const char *key)
{
    return json_is_true(json_object_get(object, key));
}

/* Rows that have the same key as another one. */
static void look_for_twins(struct build *b, struct target *t, const struct file_constraint *c,
                           const char *what)
{
    struct buf keys = {0}, some = {0};
    char *counted;

    for (size_t i = 0; i < c->columns.n; i++) {
        char *name = sql_quote_ident(retype_half(t, c->columns.v[i]));

        buf_printf(&keys, "%ss.%s", i ? ", " : "", name);
        buf_printf(&some, "%ss.%s " IS_NOT_NULL, i ? " AND " : "", name);
        free(name);
    }
    counted = mem_printf(
        "SELECT pg_catalog.sum(v.n)::pg_catalog.int8 AS n, pg_catalog.string_agg(v.place, ', ')"
        " FILTER (WHERE v.no OPERATOR(pg_catalog.<=) %d) AS at FROM (SELECT pg_catalog.count(*)"
        " AS n, pg_catalog.concat('ctid ', pg_catalog.min(s.ctid), ' and others') AS place,"
        " pg_catalog.row_number() OVER () AS no FROM %s s WHERE %s GROUP BY %s"
        " HAVING pg_catalog.count(*) OPERATOR(pg_catalog.>) 1) v",
        CONSTRAINT_PLACES, t->relation, c->nulls_not_distinct ? "true" : some.data, keys.data);
    constraint_look(b, t, what, counted);
    free(counted);
    buf_fini(&keys);
    buf_fini(&some);
}

/* PostgreSQL takes every unique index over the columns that ON CONFLICT names, and then refuses
 * one that can be put off. */
static void warn_of_arbiters(struct build *b, struct target *t, const struct file_constraint *c,
                             const char *what)
{
    const json_t *indexes = json_object_get(t->doc, "indexes");
    const struct eng_table *table;
    struct file_names now;

    if (!c->deferrable && !c->initially_deferred)
        return;
    table = target_table(b, t);
    now = (struct file_names){mem_calloc(c->columns.n, sizeof(*now.v)), c->columns.n};
    for (size_t i = 0; i < now.n; i++) {
        now.v[i] = c->columns.v[i];
        for (size_t k = 0; k < table->nduals; k++)
            if (table->duals[k].new_name && table->duals[k].old_name &&
                !strcmp(table->duals[k].new_name, now.v[i]))
                now.v[i] = table->duals[k].old_name;
    }
    for (size_t i = 0; i < json_array_size(indexes); i++)
        if (index_is_key(json_array_get(indexes, i), &now))
            build_warn(b, what,
                       "leave deferrable out, or see that nobody says ON CONFLICT of these columns",
                       "it is DEFERRABLE and over the columns of %s: from its building on INSERT "
                       "... ON CONFLICT of these columns gets 55000 from PostgreSQL",
                       cat_text(json_array_get(indexes, i), "name"));
    free(now.v);
}

static enum rc check_index_name(struct build *b, const struct target *t, const char *path,
                                const char *name)
{
    static const char sql[] = "SELECT to_regclass(format('%I.%I', $1::text, $2::text))::text";
    const char *params[] = {cat_text(t->doc, "schema"), name};
    char *there = NULL;
    enum rc rc = own_value(b, sql, 2, params, &there, b->err);

    if (rc == RC_OK && there)
        rc = build_fail_hint(b, path, HINT_TAKEN ": that of an index is a relation's, too",
                             "relation \"%s\" already exists", there);
    free(there);
    return rc;
}

/* Can the columns be grouped, and so be keys? Errors in the server's words. */
static enum rc check_keys(struct build *b, const struct target *t, const char *path,
                          const struct file_constraint *c)
{
    char *rows = target_rows(b, t), *keys = constraint_columns(t, &c->columns);
    char *sql = mem_printf("SELECT 1%s GROUP BY %s ORDER BY %s LIMIT 0", rows, keys, keys);
    struct err why = {0};
    PGresult *res = NULL;
    enum rc rc = named_query(b, sql, 0, NULL, &res, &why);

    if (rc != RC_OK)
        rc = build_fail(b, path, "%s", why.text);
    PQclear(res);
    free(sql);
    free(keys);
    free(rows);
    return rc;
}

/* As SQL says it behind the table; heap. */
static char *index_definition(const struct target *t, const struct file_constraint *c)
{
    char *keys = constraint_columns(t, &c->columns);
    struct buf out = {0};

    buf_printf(&out, "(%s)", keys);
    constraint_include(&out, t, c);
    buf_append_str(&out, c->nulls_not_distinct ? " NULLS NOT DISTINCT" : "");
    constraint_storage(&out, c, "TABLESPACE");
    free(keys);
    return buf_take(&out);
}

static enum rc probe_key(struct build *b, const struct target *t, const char *path,
                         const struct file_constraint *c)
{
    char *definition = index_definition(t, c);
    enum rc rc = probe_index(
        b,
        &(struct probe_index){
            .path = path, .name = c->name, .table = t, .unique = true, .definition = definition});

    free(definition);
    return rc;
}

/* Its number, as `undoes` wants it; the same of attach_step. */
static int index_step(struct build *b, struct target *t, const struct file_constraint *c,
                      const char *name)
{
    char *definition = index_definition(t, c);
    struct eng_step *step = build_step(b, ENG_STAGE_BUILD, ENG_STEP_CONCURRENTLY, t->table,
                                       "build the index of %s", name);

    step_sql(step, "CREATE UNIQUE INDEX CONCURRENTLY %s ON %s %s", name, t->relation, definition);
    step_lock(step, "SHARE UPDATE EXCLUSIVE", t->relation, "while it is built; blocks no query");
    step->index_schema = mem_strdup(cat_text(t->doc, "schema"));
    step->index_name = mem_strdup(c->name);
    free(definition);
    return (int)b->plan->nsteps;
}

/* What NOT NULL of a key's column needs: a proof before, or everybody waits for a scan. */
struct null_proof {
    char *name, *proof; /* quoted */
    char *as;           /* the same: what NOT NULL is called until complete; NULL: as it comes */
    bool new;           /* the column is this file's own: abort drops it */
};

static void prove_step(struct build *b, struct target *t, const struct null_proof *p)
{
    char *what = mem_printf("NOT NULL of %s", p->name), *bad = mem_printf("s.%s " IS_NULL, p->name);
    struct eng_step *step;

    constraint_look_rows(b, t, what, bad);
    step = build_step(b, ENG_STAGE_BUILD, ENG_STEP_DDL, t->table, "check that %s is not null",
                      p->name);
    step_sql(step, "ALTER TABLE %s ADD CONSTRAINT %s CHECK (%s " IS_NOT_NULL ") NOT VALID",
             t->relation, p->proof, p->name);
    step_lock(step, "ACCESS EXCLUSIVE", t->relation, INSTANT);
    step = build_step(b, ENG_STAGE_BUILD, ENG_STEP_VALIDATE, t->table,
                      "validate that %s is not null", p->name);
    step_sql(step, "ALTER TABLE %s VALIDATE CONSTRAINT %s", t->relation, p->proof);
    step_lock(step, "SHARE UPDATE EXCLUSIVE", t->relation, "one scan; blocks no query");
    free(bad);
    free(what);
}

bool key_has(const struct build *b, const struct target *t, const char *column)
{
    for (size_t i = 0; i < b->file->nops; i++) {
        const struct file_op *op = &b->file->ops[i];
        const struct file_constraint *c = op->key_one ? op->key_one : &op->constraint;

        if (b->op_target[i] != t - b->targets || c->kind != FILE_PRIMARY_KEY)
            continue;
        for (size_t k = 0; k < c->columns.n; k++)
            if (!strcmp(c->columns.v[k], column))
                return true;
    }
    return false;
}

/* From PostgreSQL 18 on NOT NULL is a constraint with a name, which would be made of the name that
 * the half has until the cut-over. The old half has its name until complete. */
static enum rc name_not_null(struct build *b, struct target *t, const char *column,
                             struct null_proof *p)
{
    struct not_null facts = {0};
    char *temp, *to;
    enum rc rc;

    if (PQserverVersion(b->conn) < 180000 || !retype_has(t, column))
        return RC_OK;
    rc = not_null_read(b, t, column, &facts);
    if (rc == RC_OK && facts.name) {
        temp = target_temp(t);
        to = sql_quote_ident(facts.name);
        p->as = sql_quote_ident(temp);
        texts_add(&t->contract, "ALTER TABLE %s RENAME CONSTRAINT %s TO %s", t->after, p->as, to);
        free(to);
        free(temp);
    }
    not_null_fini(&facts);
    return rc;
}

static enum rc prove(struct build *b, struct target *t, const struct file_constraint *c,
                     struct null_proof *proofs, size_t *n)
{
    enum rc rc = RC_OK;

    for (size_t i = 0; rc == RC_OK && c->kind == FILE_PRIMARY_KEY && i < c->columns.n; i++) {
        const char *half = retype_half(t, c->columns.v[i]);
        const json_t *column = cat_column(t->doc, half);
        struct null_proof *p = &proofs[*n];
        char *temp;

        if (refuse_unproven_null(b, t, half) || flag(column, "not_null"))
            continue;
        temp = target_temp(t);
        *p = (struct null_proof){
            .name = sql_quote_ident(half), .proof = sql_quote_ident(temp), .new = column == NULL};
        ++*n;
        rc = name_not_null(b, t, c->columns.v[i], p);
        if (rc == RC_OK)
            prove_step(b, t, p);
        free(temp);
    }
    return rc;
}

static void set_not_null(const struct target *t, struct eng_step *step,
                         const struct null_proof *proofs, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (proofs[i].as)
            step_sql(step, "ALTER TABLE %s ADD CONSTRAINT %s NOT NULL %s", t->relation,
                     proofs[i].as, proofs[i].name);
        else
            step_sql(step, "ALTER TABLE %s ALTER COLUMN %s SET NOT NULL", t->relation,
                     proofs[i].name);
}

static int attach_step(struct build *b, struct target *t, const struct file_constraint *c,
                       const char *name, const struct null_proof *proofs, size_t n)
{
    struct eng_step *step = build_step(b, ENG_STAGE_BUILD, ENG_STEP_DDL, t->table,
                                       "make the index constraint %s", name);

    set_not_null(t, step, proofs, n);
    step_sql(step, "ALTER TABLE %s ADD CONSTRAINT %s %s USING INDEX %s%s%s", t->relation, name,
             c->kind == FILE_PRIMARY_KEY ? "PRIMARY KEY" : "UNIQUE", name,
             c->deferrable ? " DEFERRABLE" : "",
             c->initially_deferred ? " INITIALLY DEFERRED" : "");
    for (size_t i = 0; i < n; i++)
        step_sql(step, "ALTER TABLE %s DROP CONSTRAINT %s", t->relation, proofs[i].proof);
    step_lock(step, "ACCESS EXCLUSIVE", t->relation, INSTANT);
    return (int)b->plan->nsteps;
}

static void drop_not_null(struct target *t, struct eng_step *step, const struct null_proof *proofs,
                          size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (!proofs[i].new)
            step_sql(step, "ALTER TABLE IF EXISTS %s ALTER COLUMN %s DROP NOT NULL", t->relation,
                     proofs[i].name);
    step_lock(step, "ACCESS EXCLUSIVE", t->relation, INSTANT);
}

static void abort_proofs(struct build *b, struct target *t, const char *name,
                         const struct null_proof *proofs, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct eng_step *step = build_step(b, ENG_STAGE_ABORT, ENG_STEP_DDL, t->table,
                                           "drop the proof for %s of %s", name, proofs[i].name);

        step_sql(step, "ALTER TABLE IF EXISTS %s DROP CONSTRAINT IF EXISTS %s", t->relation,
                 proofs[i].proof);
        step_lock(step, "ACCESS EXCLUSIVE", t->relation, INSTANT);
    }
}

/* What somebody else has made under these names stays. */
static void abort_steps(struct build *b, struct target *t, const struct file_constraint *c,
                        const char *name, const struct null_proof *proofs, size_t n, int built,
                        int attached)
{
    char *qualified = sql_quote_qualified(cat_text(t->doc, "schema"), c->name);
    struct eng_step *step =
        build_step(b, ENG_STAGE_ABORT, ENG_STEP_DDL, t->table, "drop constraint %s", name);

    step->undoes = attached;
    step_sql(step, "ALTER TABLE IF EXISTS %s DROP CONSTRAINT IF EXISTS %s", t->relation, name);
    drop_not_null(t, step, proofs, n);
    abort_proofs(b, t, name, proofs, n);
    step = build_step(b, ENG_STAGE_ABORT, ENG_STEP_CONCURRENTLY, t->table, "drop index %s", name);
    step->undoes = built;
    step_sql(step, "DROP INDEX CONCURRENTLY IF EXISTS %s", qualified);
    step_lock(step, "SHARE UPDATE EXCLUSIVE", t->relation, "waits for queries, blocks none");
    free(qualified);
}

static void whole_steps(struct build *b, struct target *t, const struct file_constraint *c,
                        const char *name, const struct null_proof *proofs, size_t n)
{
    int built = index_step(b, t, c, name), attached = attach_step(b, t, c, name, proofs, n);

    abort_steps(b, t, c, name, proofs, n, built, attached);
}

/* ---- of a partitioned table ---- */

/* In front of the key, which would look at all rows for it. */
static int not_null_step(struct build *b, struct target *t, const char *name,
                         const struct null_proof *proofs, size_t n)
{
    struct eng_step *step =
        build_step(b, ENG_STAGE_BUILD, ENG_STEP_DDL, t->table, "NOT NULL of the key %s", name);

    set_not_null(t, step, proofs, n);
    for (size_t i = 0; i < n; i++)
        step_sql(step, "ALTER TABLE %s DROP CONSTRAINT %s", t->relation, proofs[i].proof);
    step_lock(step, "ACCESS EXCLUSIVE", t->relation, INSTANT);
    return (int)b->plan->nsteps;
}

/* A partition may have a key of its own, and cannot have two. */
static enum rc refuse_own_key(struct build *b, const struct target *t, const char *what)
{
    static const char sql[] =
        "SELECT format('%I.%I', n.nspname, c.relname) FROM pg_partition_tree($1::regclass) p"
        " JOIN pg_index i ON i.indrelid = p.relid JOIN pg_class c ON c.oid = p.relid"
        " JOIN pg_namespace n ON n.oid = c.relnamespace WHERE i.indisprimary ORDER BY 1 LIMIT 1";
    const char *params[] = {t->relation};
    char *partition = NULL;
    enum rc rc = own_value(b, sql, 1, params, &partition, b->err);

    if (partition)
        build_refuse(b, what, "drop that key, or make it unique instead",
                     "partition %s has a primary key of its own", partition);
    free(partition);
    return rc;
}

/* From PostgreSQL 18 on a partition's key makes NOT NULL its own, which stays when the table's
 * goes; one that it had before is left. */
static enum rc drop_null_of_parts(struct build *b, struct target *t, struct eng_step *step,
                                  const struct null_proof *proof)
{
    static const char sql[] =
        "SELECT coalesce(string_agg(a.attrelid::text, ','), '0') FROM pg_partition_tree("
        "$1::regclass) p JOIN pg_attribute a ON a.attrelid = p.relid AND a.attnotnull"
        " AND quote_ident(a.attname) = $2 WHERE p.level > 0";
    const char *params[] = {t->relation, proof->name};
    char *own = NULL, *relation, *body, *literal, *column;

    if (own_value(b, sql, 2, params, &own, b->err) != RC_OK)
        return RC_ERR;
    relation = sql_quote_literal(t->relation);
    column = sql_quote_literal(proof->name);
    body = mem_printf(
        "DECLARE segue_part pg_catalog.regclass; BEGIN FOR segue_part IN SELECT p.relid FROM"
        " pg_catalog.pg_partition_tree(pg_catalog.to_regclass(%s)) p WHERE p.level"
        " OPERATOR(pg_catalog.>) 0 AND p.relid::pg_catalog.oid OPERATOR(pg_catalog.<>) ALL"
        " ('{%s}'::pg_catalog.oid[]) ORDER BY p.level LOOP EXECUTE pg_catalog.format("
        "'ALTER TABLE %%s ALTER COLUMN %%s DROP NOT NULL', segue_part, %s); END LOOP; END",
        relation, own, column);
    literal = sql_quote_literal(body);
    step_sql(step, "DO %s", literal);
    free(literal);
    free(body);
    free(column);
    free(relation);
    free(own);
    return RC_OK;
}

static bool takes_back(const struct null_proof *proofs, size_t n)
{
    bool any = false;

    for (size_t i = 0; i < n; i++)
        any |= !proofs[i].new;
    return any;
}

/* As ADD CONSTRAINT says it behind UNIQUE; heap. */
static char *parts_said(const struct target *t, const struct file_constraint *c, const char *keys)
{
    struct buf out = {0};

    buf_printf(&out, "%s(%s)", c->nulls_not_distinct ? "NULLS NOT DISTINCT " : "", keys);
    constraint_include(&out, t, c);
    constraint_storage(&out, c, "USING INDEX TABLESPACE");
    return buf_take(&out);
}

static enum rc parts_steps(struct build *b, struct target *t, const char *path,
                           const struct file_constraint *c, const char *name,
                           const struct null_proof *proofs, size_t n)
{
    char *title = mem_printf("build constraint %s of the partitions of %s", name, t->relation);
    char *definition = index_definition(t, c), *keys = constraint_columns(t, &c->columns);
    char *said = parts_said(t, c, keys);
    char *defers = mem_printf("%s%s", c->deferrable ? " DEFERRABLE" : "",
                              c->initially_deferred ? " INITIALLY DEFERRED" : "");
    const struct parts_index parts = {.title = title,
                                      .name = c->name,
                                      .unique = true,
                                      .definition = definition,
                                      .constraint =
                                          c->kind == FILE_PRIMARY_KEY ? "PRIMARY KEY" : "UNIQUE",
                                      .said = said,
                                      .defers = defers};
    int not_null = n ? not_null_step(b, t, name, proofs, n) : 0, built;
    enum rc rc = parts_build(b, t, &parts, &built);

    if (rc == RC_OK)
        rc = parts_warn_twins(b, t, path, &parts);
    parts_abort(b, t, &parts, built);
    if (not_null && takes_back(proofs, n)) {
        struct eng_step *step = build_step(b, ENG_STAGE_ABORT, ENG_STEP_DDL, t->table,
                                           "NULL again in the columns of %s", name);

        step->undoes = not_null;
        drop_not_null(t, step, proofs, n);
        for (size_t i = 0; rc == RC_OK && i < n; i++)
            if (!proofs[i].new)
                rc = drop_null_of_parts(b, t, step, &proofs[i]);
    }
    abort_proofs(b, t, name, proofs, n);
    free(defers);
    free(said);
    free(keys);
    free(definition);
    free(title);
    return rc;
}

enum rc key_add(struct build *b, struct target *t, const char *path,
                const struct file_constraint *c)
{
    char *name, *what;
    struct null_proof proofs[FILE_KEYS_MAX] = {0};
    enum rc rc = RC_OK;
    size_t n = 0;

    if (check_index_name(b, t, path, c->name) != RC_OK || check_keys(b, t, path, c) != RC_OK ||
        probe_key(b, t, path, c) != RC_OK)
        return RC_ERR;
    name = sql_quote_ident(c->name);
    what = mem_printf("constraint %s", c->name);
    if (is_partitioned(t) && c->kind == FILE_PRIMARY_KEY)
        rc = refuse_own_key(b, t, what);
    look_for_twins(b, t, c, what);
    if (rc == RC_OK)
        rc = prove(b, t, c, proofs, &n);
    if (!is_partitioned(t))
        whole_steps(b, t, c, name, proofs, n);
    else if (rc == RC_OK)
        rc = parts_steps(b, t, path, c, name, proofs, n);
    build_warn(
        b, what, "what the old application writes must meet it already",
        "a unique index cannot wait for the cut-over: it binds all writers from its building "
        "on");
    warn_of_arbiters(b, t, c, what);
    for (size_t i = 0; i < n; i++) {
        free(proofs[i].name);
        free(proofs[i].proof);
        free(proofs[i].as);
    }
    free(what);
    free(name);
    return rc;
}
