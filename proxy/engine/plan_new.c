/* New tables, and indexes that the file asks for. */
#include <stdlib.h>
#include <string.h>

#include "plan_build.h"
#include "segue/base/buf.h"
#include "segue/base/mem.h"
#include "segue/catalog/catalog.h"
#include "segue/sql/expr.h"

#define INSTANT "an instant; lock_timeout, retried"

/* ---- create_table ---- */

static void column_definition(struct buf *sql, const struct file_column *column, size_t npk)
{
    const struct file_references *ref = column->references;
    char *name = sql_quote_ident(column->name);

    buf_printf(sql, "%s %s", name, column->type);
    free(name);
    if (column->def)
        buf_printf(sql, " DEFAULT %s", column->def);
    if (!column->nullable || column->pk)
        buf_append_str(sql, " NOT NULL");
    if (column->pk && npk == 1)
        buf_append_str(sql, " PRIMARY KEY");
    if (column->unique)
        buf_append_str(sql, " UNIQUE");
    if (ref) {
        char *table = ref->table.schema ? sql_quote_qualified(ref->table.schema, ref->table.name)
                                        : sql_quote_ident(ref->table.name);
        char *target = sql_quote_ident(ref->column);

        buf_printf(sql, " REFERENCES %s (%s)", table, target);
        if (ref->on_delete)
            buf_printf(sql, " ON DELETE %s", ref->on_delete);
        free(target);
        free(table);
    }
}

static char *table_definition(const struct file_op *op, const char *relation)
{
    struct buf sql = {0}, key = {0};
    size_t npk = 0;

    for (size_t i = 0; i < op->ncolumns; i++)
        npk += op->columns[i].pk;
    buf_printf(&sql, "CREATE TABLE %s (", relation);
    for (size_t i = 0; i < op->ncolumns; i++) {
        buf_append_str(&sql, i ? ", " : "");
        column_definition(&sql, &op->columns[i], npk);
        if (op->columns[i].pk && npk > 1) {
            char *name = sql_quote_ident(op->columns[i].name);

            buf_printf(&key, "%s%s", key.len ? ", " : "", name);
            free(name);
        }
    }
    if (npk > 1)
        buf_printf(&sql, ", PRIMARY KEY (%s)", key.data);
    buf_append_str(&sql, ")");
    buf_fini(&key);
    return buf_take(&sql);
}

/* Live tables that the new one refers to: the foreign key locks them. */
static char *referenced(const struct build *b, const struct file_op *op)
{
    struct buf out = {0};

    for (size_t i = 0; i < op->ncolumns; i++) {
        const struct file_references *ref = op->columns[i].references;
        char *name;

        if (!ref || texts_has(&b->created_names, ref->table.name))
            continue;
        name = ref->table.schema ? sql_quote_qualified(ref->table.schema, ref->table.name)
                                 : sql_quote_ident(ref->table.name);
        if (!out.len || !strstr(out.data, name))
            buf_printf(&out, "%s%s", out.len ? ", " : "", name);
        free(name);
    }
    return buf_take(&out);
}

/* Where an unqualified new table goes, and that nothing is there yet. */
static enum rc place_table(struct build *b, const struct file_op *op, const char *path,
                           char **relation)
{
    static const char sql[] =
        "SELECT coalesce('relation \"' || to_regclass(format('%I.%I', $1::text, $2::text))::text ||"
        " '\"', (SELECT format('type \"%s\"', y.oid::regtype) FROM pg_type y WHERE y.typname = $2"
        " AND y.typnamespace = to_regnamespace(quote_ident($1)) AND y.typisdefined AND NOT EXISTS"
        " (SELECT FROM pg_type WHERE typarray = y.oid)))";
    char *schema = mem_strdup(op->table.schema), *there = NULL;
    const char *params[2];
    enum rc rc;

    if (!schema && schema_to_create_in(b, &schema) != RC_OK)
        return RC_ERR;
    if (!schema)
        return build_fail_hint(b, path, "name one, or make one that the search_path names",
                               "no schema has been selected to create in");
    params[0] = schema;
    params[1] = op->table.name;
    rc = own_value(b, sql, 2, params, &there, b->err);
    if (rc == RC_OK && there)
        rc = build_fail_hint(b, path, HINT_TAKEN, "%s already exists", there);
    if (rc == RC_OK)
        rc = refuse_schema(b, schema, "a table is");
    if (rc == RC_OK)
        *relation = sql_quote_qualified(schema, op->table.name);
    free(there);
    free(schema);
    return rc;
}

static void created_add(struct build *b, char *relation)
{
    struct eng_plan *plan = b->plan;

    mem_grow((void **)&plan->created, &b->created_cap, plan->ncreated + 1, sizeof(*plan->created));
    plan->created[plan->ncreated++] = relation;
}

static enum rc new_table(struct build *b, const struct file_op *op)
{
    char *path = mem_printf("operations[%zu].create_table.name", op->index);
    char *relation = NULL, *definition, *locks;
    struct eng_step *step;
    size_t made;
    enum rc rc = check_new_table(b, op);

    if (rc == RC_OK)
        rc = place_table(b, op, path, &relation);
    free(path);
    if (rc != RC_OK)
        return rc;
    definition = table_definition(op, relation);
    locks = referenced(b, op);
    step = build_step(b, ENG_STAGE_EXPAND, ENG_STEP_DDL, -1, "create table %s", relation);
    made = b->plan->nsteps;
    step_rank(step, op->index);
    step_sql(step, "%s", definition);
    for (size_t i = 0; i < op->ncolumns; i++) {
        char *column, *literal;

        if (!op->columns[i].comment)
            continue;
        column = sql_quote_ident(op->columns[i].name);
        literal = sql_quote_literal(op->columns[i].comment);
        step_sql(step, "COMMENT ON COLUMN %s.%s IS %s", relation, column, literal);
        free(literal);
        free(column);
    }
    if (*locks)
        step_lock(step, "SHARE ROW EXCLUSIVE", locks, INSTANT);
    step = build_step(b, ENG_STAGE_ABORT, ENG_STEP_DDL, -1, "drop table %s", relation);
    step_rank(step, op->index);
    step->undoes = (int)made; /* a table of this name that somebody else has made stays */
    step_sql(step, "DROP TABLE IF EXISTS %s", relation);
    if (*locks)
        step_lock(step, "ACCESS EXCLUSIVE", locks, INSTANT);
    created_add(b, relation);
    free(locks);
    free(definition);
    return RC_OK;
}

enum rc new_tables(struct build *b)
{
    enum rc rc = RC_OK;

    for (size_t i = 0; i < b->file->nops; i++)
        if (b->file->ops[i].kind == FILE_CREATE_TABLE)
            texts_add(&b->created_names, "%s", b->file->ops[i].table.name);
    for (size_t i = 0; rc == RC_OK && i < b->file->nops; i++)
        if (b->file->ops[i].kind == FILE_CREATE_TABLE)
            rc = new_table(b, &b->file->ops[i]);
    return rc;
}

/* ---- create_index ---- */

/* The create_table of the operation's table; *n: its place among them. */
static const struct file_op *created_by(const struct build *b, const struct file_op *op, size_t *n)
{
    *n = 0;
    for (size_t i = 0; i < b->file->nops; i++) {
        if (b->file->ops[i].kind != FILE_CREATE_TABLE)
            continue;
        if (!strcmp(b->file->ops[i].table.name, op->table.name))
            return &b->file->ops[i];
        ++*n;
    }
    return NULL;
}

static enum rc created_index(struct build *b, const struct file_op *op, const char *definition,
                             const char *name)
{
    size_t n;
    char *path = mem_printf("operations[%zu].create_index", op->index);
    const struct probe_index probe = {.path = path,
                                      .name = op->name,
                                      .made = created_by(b, op, &n),
                                      .unique = op->unique,
                                      .definition = definition};
    enum rc rc = probe_index(b, &probe);
    struct eng_step *step;

    free(path);
    if (rc != RC_OK)
        return rc;
    step = build_step(b, ENG_STAGE_EXPAND, ENG_STEP_DDL, -1, "create index %s", op->name);
    step_rank(step, FILE_OPERATIONS_MAX); /* its table may stand behind it in the file */
    step_sql(step, "CREATE %sINDEX %s ON %s %s", op->unique ? "UNIQUE " : "", name,
             b->plan->created[n], definition);
    return RC_OK;
}

/* By their names of now; t: NULL for a table of this file. */
static char *keys_text(const struct target *t, const struct file_op *op)
{
    struct buf out = {0};

    for (size_t i = 0; i < op->nkeys; i++) {
        const char *column = op->keys[i].column;
        char *name = sql_quote_ident(t ? retype_half(t, column) : column);

        buf_printf(&out, "%s%s%s%s", i ? ", " : "", name, op->keys[i].sort ? " " : "",
                   op->keys[i].sort ? op->keys[i].sort : "");
        free(name);
    }
    return buf_take(&out);
}

static enum rc check_keys(struct build *b, const struct target *t, const struct file_op *op)
{
    enum rc rc = RC_OK;
    char *path;

    for (size_t i = 0; rc == RC_OK && i < op->nkeys; i++) {
        path = mem_printf("operations[%zu].create_index.columns[%zu]", op->index, i);
        rc = check_stays(b, t, path, op->keys[i].column);
        free(path);
    }
    if (rc == RC_OK && op->predicate) {
        path = mem_printf("operations[%zu].create_index.predicate", op->index);
        rc = check_expr_stays(b, t, path, op->predicate);
        free(path);
    }
    return rc;
}

static enum rc check_index_name(struct build *b, const char *schema, const struct file_op *op)
{
    static const char sql[] = "SELECT to_regclass(format('%I.%I', $1::text, $2::text))::text";
    const char *params[] = {schema, op->name};
    char *there, *path;

    if (own_value(b, sql, 2, params, &there, b->err) != RC_OK)
        return RC_ERR;
    if (!there)
        return RC_OK;
    path = mem_printf("operations[%zu].create_index.name", op->index);
    build_fail_hint(b, path, HINT_TAKEN, "relation \"%s\" already exists", there);
    free(path);
    free(there);
    return RC_ERR;
}

static enum rc check_method(struct build *b, const struct file_op *op)
{
    const char *params[] = {op->method};
    char *there = NULL, *path;
    enum rc rc;

    if (!op->method)
        return RC_OK;
    path = mem_printf("operations[%zu].create_index.method", op->index);
    rc = own_value(b, "SELECT 1 FROM pg_am WHERE amname = $1 AND amtype = 'i'", 1, params, &there,
                   b->err);
    if (rc == RC_OK && !there)
        rc = build_fail_hint(b, path, "leave it out, for btree, or CREATE EXTENSION that brings it",
                             "there is no index method \"%s\"", op->method);
    free(path);
    free(there);
    return rc;
}

static enum rc live_index(struct build *b, struct target *t, const struct file_op *op,
                          const char *definition, const char *name)
{
    const char *schema = cat_text(t->doc, "schema");
    char *qualified = sql_quote_qualified(schema, op->name);
    char *path = mem_printf("operations[%zu].create_index", op->index);
    struct eng_step *step;
    enum rc rc = RC_ERR;
    size_t made;

    if (check_keys(b, t, op) != RC_OK || check_index_name(b, schema, op) != RC_OK)
        goto out;
    if (!strcmp(cat_text(t->doc, "relkind"), "p"))
        build_refuse(b, t->relation, "create it on each partition, then on the table",
                     "PostgreSQL cannot build an index concurrently on a partitioned table");
    else if (probe_index(b, &(struct probe_index){.path = path,
                                                  .name = op->name,
                                                  .table = t,
                                                  .unique = op->unique,
                                                  .definition = definition}) != RC_OK)
        goto out;
    step =
        build_step(b, ENG_STAGE_BUILD, ENG_STEP_CONCURRENTLY, t->table, "build index %s", op->name);
    step_sql(step, "CREATE %sINDEX CONCURRENTLY %s ON %s %s", op->unique ? "UNIQUE " : "", name,
             t->relation, definition);
    step_lock(step, "SHARE UPDATE EXCLUSIVE", t->relation, "while it is built; blocks no query");
    step->index_schema = mem_strdup(schema);
    step->index_name = mem_strdup(op->name);
    made = b->plan->nsteps;
    step =
        build_step(b, ENG_STAGE_ABORT, ENG_STEP_CONCURRENTLY, t->table, "drop index %s", op->name);
    step_sql(step, "DROP INDEX CONCURRENTLY IF EXISTS %s", qualified);
    step->undoes = (int)made; /* one of this name that somebody else has made stays */
    step_lock(step, "SHARE UPDATE EXCLUSIVE", t->relation, "waits for queries, blocks none");
    rc = RC_OK;
out:
    free(path);
    free(qualified);
    return rc;
}

static enum rc new_index(struct build *b, const struct file_op *op, size_t i)
{
    struct target *t = b->op_target[i] >= 0 ? &b->targets[b->op_target[i]] : NULL;
    char *keys = keys_text(t, op), *name = sql_quote_ident(op->name);
    char *method = sql_quote_ident(op->method ? op->method : "btree");
    char *predicate =
        t && op->predicate ? retype_expr(t, op->predicate, b->err) : mem_strdup(op->predicate);
    char *definition = mem_printf("USING %s (%s)%s%s", method, keys, predicate ? " WHERE " : "",
                                  predicate ? predicate : "");
    enum rc rc = op->predicate && !predicate ? RC_ERR : check_method(b, op);

    if (rc != RC_OK) {
        /* said already */
    } else if (t) {
        rc = live_index(b, t, op, definition, name);
    } else {
        rc = created_index(b, op, definition, name);
    }
    free(definition);
    free(predicate);
    free(method);
    free(name);
    free(keys);
    return rc;
}

enum rc new_indexes(struct build *b)
{
    enum rc rc = RC_OK;

    for (size_t i = 0; rc == RC_OK && i < b->file->nops; i++)
        if (b->file->ops[i].kind == FILE_CREATE_INDEX)
            rc = new_index(b, &b->file->ops[i], i);
    return rc;
}
