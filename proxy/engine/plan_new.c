/* Indexes that the file asks for: of live tables CONCURRENTLY, of the file's own with them. */
#include <stdlib.h>
#include <string.h>

#include "plan_build.h"
#include "plan_parts.h"
#include "plan_probe.h"
#include "segue/base/buf.h"
#include "segue/base/mem.h"
#include "segue/catalog/catalog.h"
#include "segue/sql/expr.h"

static enum rc created_index(struct build *b, const struct file_op *op, const char *definition,
                             const char *name)
{
    char *path = mem_printf("operations[%zu].create_index", op->index);
    const struct file_op *made;
    enum rc rc = created_named(b, &op->table, &made);
    struct eng_step *step;

    if (rc == RC_OK)
        rc = probe_index(b, &(struct probe_index){.path = path,
                                                  .name = op->name,
                                                  .made = made,
                                                  .unique = op->unique,
                                                  .definition = definition});
    free(path);
    if (rc != RC_OK)
        return rc;
    step = build_step(b, ENG_STAGE_EXPAND, ENG_STEP_DDL, -1, "create index %s", op->name);
    step_rank(step, FILE_OPERATIONS_MAX); /* its table may stand behind it in the file */
    step_sql(step, "CREATE %sINDEX %s ON %s %s", op->unique ? "UNIQUE " : "", name,
             created_relation(b, made), definition);
    return RC_OK;
}

static void put_name(struct buf *out, const char *before, const struct file_name *name)
{
    char *quoted;

    if (!name->name)
        return;
    quoted =
        name->schema ? sql_quote_qualified(name->schema, name->name) : sql_quote_ident(name->name);
    buf_printf(out, "%s%s", before, quoted);
    free(quoted);
}

/* By their names of now; t: NULL for a table of this file. */
static char *keys_text(const struct target *t, const struct file_op *op)
{
    struct buf out = {0};

    for (size_t i = 0; i < op->nkeys; i++) {
        const struct file_index_column *key = &op->keys[i];

        buf_append_str(&out, i ? ", " : "");
        sql_quote_ident_put(&out, t ? retype_half(t, key->column) : key->column);
        put_name(&out, " COLLATE ", &key->collation);
        put_name(&out, " ", &key->opclass);
        if (key->params)
            buf_printf(&out, " (%s)", key->params);
        if (key->sort)
            buf_printf(&out, " %s", key->sort);
        if (key->nulls)
            buf_printf(&out, " NULLS %s", key->nulls);
    }
    return buf_take(&out);
}

/* As SQL says it behind the table; NULL with err. */
static char *definition_text(struct build *b, const struct target *t, const struct file_op *op)
{
    char *predicate =
        t && op->predicate ? retype_expr(t, op->predicate, b->err) : mem_strdup(op->predicate);
    char *keys, *method;
    struct buf out = {0};

    if (op->predicate && !predicate)
        return NULL;
    keys = keys_text(t, op);
    method = sql_quote_ident(op->method ? op->method : "btree");
    buf_printf(&out, "USING %s (%s)", method, keys);
    if (op->parameters)
        buf_printf(&out, " WITH (%s)", op->parameters);
    if (predicate)
        buf_printf(&out, " WHERE %s", predicate);
    free(method);
    free(keys);
    free(predicate);
    return buf_take(&out);
}

static enum rc check_keys(struct build *b, const struct target *t, const struct file_op *op)
{
    enum rc rc = RC_OK;
    char *path;

    for (size_t i = 0; rc == RC_OK && i < op->nkeys; i++) {
        path = op->keys_by_name
                   ? mem_printf("operations[%zu].create_index.columns.%s", op->index,
                                op->keys[i].column)
                   : mem_printf("operations[%zu].create_index.columns[%zu]", op->index, i);
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

enum rc check_relation_name(struct build *b, const char *schema, const char *path, const char *name)
{
    static const char sql[] = "SELECT to_regclass(format('%I.%I', $1::text, $2::text))::text";
    const char *params[] = {schema, name};
    char *there = NULL;
    enum rc rc = own_value(b, sql, 2, params, &there, b->err);

    if (rc == RC_OK && there)
        rc = build_fail_hint(b, path, HINT_TAKEN, "relation \"%s\" already exists", there);
    free(there);
    return rc;
}

static enum rc check_index_name(struct build *b, const char *schema, const struct file_op *op)
{
    char *path = mem_printf("operations[%zu].create_index.name", op->index);
    enum rc rc = check_relation_name(b, schema, path, op->name);

    free(path);
    return rc;
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

static void live_steps(struct build *b, struct target *t, const struct file_op *op,
                       const char *definition, const char *name)
{
    const char *schema = cat_text(t->doc, "schema");
    char *qualified = sql_quote_qualified(schema, op->name);
    struct eng_step *step =
        build_step(b, ENG_STAGE_BUILD, ENG_STEP_CONCURRENTLY, t->table, "build index %s", op->name);
    size_t made = b->plan->nsteps;

    step_sql(step, "CREATE %sINDEX CONCURRENTLY %s ON %s %s", op->unique ? "UNIQUE " : "", name,
             t->relation, definition);
    step_lock(step, "SHARE UPDATE EXCLUSIVE", t->relation, "while it is built; blocks no query");
    step->index_schema = mem_strdup(schema);
    step->index_name = mem_strdup(op->name);
    step =
        build_step(b, ENG_STAGE_ABORT, ENG_STEP_CONCURRENTLY, t->table, "drop index %s", op->name);
    step_sql(step, "DROP INDEX CONCURRENTLY IF EXISTS %s", qualified);
    step->undoes = (int)made; /* one of this name that somebody else has made stays */
    step_lock(step, "SHARE UPDATE EXCLUSIVE", t->relation, "waits for queries, blocks none");
    free(qualified);
}

static enum rc live_parts(struct build *b, struct target *t, const char *path,
                          const struct file_op *op, const char *definition)
{
    char *title = mem_printf("build index %s of the partitions of %s", op->name, t->relation);
    const struct parts_index parts = {
        .title = title, .name = op->name, .unique = op->unique, .definition = definition};
    int built;
    enum rc rc = parts_build(b, t, &parts, &built);

    parts_abort(b, t, &parts, built);
    if (rc == RC_OK)
        rc = parts_warn_twins(b, t, path, &parts);
    free(title);
    return rc;
}

static void warn_at_once(struct build *b, const struct file_op *op)
{
    char *object = mem_printf("index %s", op->name);

    build_warn(b, object, "what the old application writes must meet it already",
               "a unique index cannot wait for the cut-over: it binds all writers from its building"
               " on");
    free(object);
}

static enum rc live_index(struct build *b, struct target *t, const struct file_op *op,
                          const char *definition, const char *name)
{
    char *path = mem_printf("operations[%zu].create_index", op->index);
    enum rc rc = RC_ERR;

    if (check_keys(b, t, op) == RC_OK &&
        check_index_name(b, cat_text(t->doc, "schema"), op) == RC_OK)
        rc = probe_index(b, &(struct probe_index){.path = path,
                                                  .name = op->name,
                                                  .table = t,
                                                  .unique = op->unique,
                                                  .definition = definition});
    if (rc == RC_OK && is_partitioned(t))
        rc = live_parts(b, t, path, op, definition);
    else if (rc == RC_OK)
        live_steps(b, t, op, definition, name);
    if (op->unique)
        warn_at_once(b, op);
    free(path);
    return rc;
}

static enum rc new_index(struct build *b, const struct file_op *op, size_t i)
{
    struct target *t = b->op_target[i] >= 0 ? &b->targets[b->op_target[i]] : NULL;
    char *name = sql_quote_ident(op->name), *definition = definition_text(b, t, op);
    enum rc rc = definition ? check_method(b, op) : RC_ERR;

    if (rc != RC_OK) {
        /* said already */
    } else if (t) {
        rc = live_index(b, t, op, definition, name);
    } else {
        rc = created_index(b, op, definition, name);
    }
    free(definition);
    free(name);
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
