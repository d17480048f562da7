/* New tables: what create_table becomes. What it may say is judged in plan_new_check.c. */
#include <stdlib.h>
#include <string.h>

#include "plan_build.h"
#include "segue/base/buf.h"
#include "segue/base/mem.h"
#include "segue/sql/expr.h"

#define INSTANT "an instant; lock_timeout, retried"

/* ---- which one a name means ---- */

static enum rc is_created(struct build *b, const struct file_op *op, const struct file_name *table,
                          bool *is)
{
    const char *schema = op->table.schema ? op->table.schema : b->creates_in;

    *is = op->kind == FILE_CREATE_TABLE && !strcmp(op->table.name, table->name);
    if (!*is || (!table->schema && !op->table.schema))
        return RC_OK;
    if (!table->schema)
        return path_would_find(b, schema, table->name, false, is);
    *is = schema && !strcmp(schema, table->schema);
    return RC_OK;
}

enum rc created_named(struct build *b, const struct file_name *table, const struct file_op **out)
{
    enum rc rc = RC_OK;
    bool is = false;

    *out = NULL;
    for (size_t i = 0; rc == RC_OK && !is && i < b->file->nops; i++) {
        rc = is_created(b, &b->file->ops[i], table, &is);
        if (rc == RC_OK && is)
            *out = &b->file->ops[i];
    }
    return rc;
}

const char *created_relation(const struct build *b, const struct file_op *made)
{
    size_t n = 0;

    for (const struct file_op *op = b->file->ops; op < made; op++)
        n += op->kind == FILE_CREATE_TABLE;
    return b->plan->created[n];
}

/* ---- what it says ---- */

void column_generated(struct buf *sql, const struct file_column *column, const char *expr)
{
    if (expr)
        buf_printf(sql, " GENERATED ALWAYS AS (%s) %s", expr,
                   column->computed ? "VIRTUAL" : "STORED");
    if (column->identity)
        buf_printf(sql, " GENERATED %s AS IDENTITY%s%s%s",
                   column->identity_for ? column->identity_for : "ALWAYS",
                   column->sequence ? " (" : "", column->sequence ? column->sequence : "",
                   column->sequence ? ")" : "");
}

static void put_column(struct buf *sql, const struct file_column *column, size_t npk)
{
    sql_quote_ident_put(sql, column->name);
    buf_printf(sql, " %s", column->type);
    if (column->def)
        buf_printf(sql, " DEFAULT %s", column->def);
    column_generated(sql, column, column->generated);
    if (!column->nullable || column->pk)
        buf_append_str(sql, " NOT NULL");
    if (column->pk && npk == 1)
        buf_append_str(sql, " PRIMARY KEY");
    if (column->unique)
        buf_append_str(sql, " UNIQUE");
}

static char *foreign_table(const struct file_constraint *c)
{
    return c->table.schema ? sql_quote_qualified(c->table.schema, c->table.name)
                           : sql_quote_ident(c->table.name);
}

static void put_foreign(struct buf *sql, const struct file_constraint *c, const char *columns)
{
    char *table = foreign_table(c), *its = constraint_columns(NULL, &c->foreign);

    buf_printf(sql, "FOREIGN KEY (%s) REFERENCES %s (%s)", columns, table, its);
    constraint_actions(sql, NULL, c);
    free(its);
    free(table);
}

static void put_exclusion(struct buf *sql, const struct file_constraint *c)
{
    buf_append_str(sql, "EXCLUDE ");
    if (c->method) {
        buf_append_str(sql, "USING ");
        sql_quote_ident_put(sql, c->method);
    }
    buf_printf(sql, " (%s)", c->elements);
}

char *new_constraint(const struct file_constraint *c)
{
    char *columns = constraint_columns(NULL, &c->columns);
    struct buf sql = {0};

    if (c->name) {
        buf_append_str(&sql, "CONSTRAINT ");
        sql_quote_ident_put(&sql, c->name);
        buf_append_str(&sql, " ");
    }
    switch (c->kind) {
    case FILE_CHECK:
        buf_printf(&sql, "CHECK (%s)%s", c->check, c->no_inherit ? " NO INHERIT" : "");
        break;
    case FILE_FOREIGN_KEY:
        put_foreign(&sql, c, columns);
        break;
    case FILE_EXCLUDE:
        put_exclusion(&sql, c);
        break;
    default:
        buf_printf(&sql, "%s%s (%s)", c->kind == FILE_UNIQUE ? "UNIQUE" : "PRIMARY KEY",
                   c->nulls_not_distinct ? " NULLS NOT DISTINCT" : "", columns);
    }
    constraint_include(&sql, NULL, c);
    constraint_storage(&sql, c, "USING INDEX TABLESPACE");
    if (c->predicate)
        buf_printf(&sql, " WHERE (%s)", c->predicate);
    if (c->kind != FILE_FOREIGN_KEY)
        constraint_deferrable(&sql, c);
    free(columns);
    return buf_take(&sql);
}

static char *key_columns(const struct file_op *op, size_t npk)
{
    struct buf out = {0};

    for (size_t i = 0; npk > 1 && i < op->ncolumns; i++) {
        if (!op->columns[i].pk)
            continue;
        buf_append_str(&out, out.len ? ", " : "");
        sql_quote_ident_put(&out, op->columns[i].name);
    }
    return buf_take(&out);
}

static void put_constraint(struct buf *sql, const struct file_constraint *c)
{
    char *text = c ? new_constraint(c) : NULL;

    if (text)
        buf_printf(sql, ", %s", text);
    free(text);
}

static char *table_definition(const struct file_op *op, const char *relation)
{
    struct buf sql = {0};
    size_t npk = 0;
    char *key;

    for (size_t i = 0; i < op->ncolumns; i++)
        npk += op->columns[i].pk;
    buf_printf(&sql, "CREATE TABLE %s (", relation);
    for (size_t i = 0; i < op->ncolumns; i++) {
        buf_append_str(&sql, i ? ", " : "");
        put_column(&sql, &op->columns[i], npk);
    }
    key = key_columns(op, npk);
    if (npk > 1)
        buf_printf(&sql, ", PRIMARY KEY (%s)", key);
    for (size_t i = 0; i < op->ncolumns; i++)
        for (size_t k = 0; k < FILE_ONES; k++)
            put_constraint(&sql, op->columns[i].ones[k]);
    for (size_t i = 0; i < op->nconstraints; i++)
        put_constraint(&sql, &op->constraints[i]);
    buf_append_str(&sql, ")");
    free(key);
    return buf_take(&sql);
}

const struct file_constraint *new_foreign(const struct file_op *op, size_t i)
{
    const struct file_constraint *c;

    if (i < op->ncolumns)
        return op->columns[i].ones[FILE_FOREIGN_KEY];
    c = &op->constraints[i - op->ncolumns];
    return c->kind == FILE_FOREIGN_KEY ? c : NULL;
}

/* Live tables that the new one refers to: the foreign key locks them. NULL with an error. */
static char *referenced(struct build *b, const struct file_op *op)
{
    struct texts names = {0};
    struct buf out = {0};
    enum rc rc = RC_OK;

    for (size_t i = 0; rc == RC_OK && i < op->ncolumns + op->nconstraints; i++) {
        const struct file_constraint *c = new_foreign(op, i);
        const struct file_op *made;
        char *name;

        if (!c)
            continue;
        rc = created_named(b, &c->table, &made);
        name = foreign_table(c);
        if (!made && !texts_has(&names, name))
            texts_add(&names, "%s", name);
        free(name);
    }
    for (size_t i = 0; i < names.n; i++)
        buf_printf(&out, "%s%s", i ? ", " : "", names.v[i]);
    texts_fini(&names);
    if (rc == RC_OK)
        return buf_take(&out);
    buf_fini(&out);
    return NULL;
}

/* ---- where it goes ---- */

/* Where an unqualified new table goes, and that nothing is there yet. */
static enum rc place_table(struct build *b, const struct file_op *op, const char *path,
                           char **schema)
{
    static const char sql[] =
        "SELECT coalesce('relation \"' || to_regclass(format('%I.%I', $1::text, $2::text))::text ||"
        " '\"', (SELECT format('type \"%s\"', y.oid::regtype) FROM pg_type y WHERE y.typname = $2"
        " AND y.typnamespace = to_regnamespace(quote_ident($1)) AND y.typisdefined AND NOT EXISTS"
        " (SELECT FROM pg_type WHERE typarray = y.oid)))";
    char *there = NULL;
    const char *params[2];
    enum rc rc;

    *schema = mem_strdup(op->table.schema ? op->table.schema : b->creates_in);
    if (!*schema)
        return build_fail_hint(b, path, "name one, or make one that the search_path names",
                               "no schema has been selected to create in");
    params[0] = *schema;
    params[1] = op->table.name;
    rc = own_value(b, sql, 2, params, &there, b->err);
    if (rc == RC_OK && there)
        rc = build_fail_hint(b, path, HINT_TAKEN, "%s already exists", there);
    if (rc == RC_OK)
        rc = refuse_schema(b, *schema, "a table is");
    free(there);
    return rc;
}

/* Unique constraints and the like are indexes, too, whose names are those of relations. */
static enum rc place_indexes(struct build *b, const struct file_op *op, const char *schema)
{
    enum rc rc = RC_OK;

    for (size_t i = 0; rc == RC_OK && i < op->nconstraints; i++) {
        const struct file_constraint *c = &op->constraints[i];
        char *path;

        if (c->kind == FILE_CHECK || c->kind == FILE_FOREIGN_KEY)
            continue;
        path = mem_printf("operations[%zu].create_table.constraints[%zu].name", op->index, i);
        rc = check_relation_name(b, schema, path, c->name);
        free(path);
    }
    return rc;
}

/* ---- the steps ---- */

static void created_add(struct build *b, char *relation)
{
    struct eng_plan *plan = b->plan;

    mem_grow((void **)&plan->created, &b->created_cap, plan->ncreated + 1, sizeof(*plan->created));
    plan->created[plan->ncreated++] = relation;
}

static void comments(struct eng_step *step, const struct file_op *op, const char *relation)
{
    char *literal = op->comment.to ? sql_quote_literal(op->comment.to) : NULL;

    if (literal)
        step_sql(step, "COMMENT ON TABLE %s IS %s", relation, literal);
    free(literal);
    for (size_t i = 0; i < op->ncolumns; i++) {
        char *column;

        if (!op->columns[i].comment)
            continue;
        column = sql_quote_ident(op->columns[i].name);
        literal = sql_quote_literal(op->columns[i].comment);
        step_sql(step, "COMMENT ON COLUMN %s.%s IS %s", relation, column, literal);
        free(literal);
        free(column);
    }
}

static void table_steps(struct build *b, const struct file_op *op, const char *locks,
                        char *relation_take)
{
    char *definition = table_definition(op, relation_take);
    struct eng_step *step =
        build_step(b, ENG_STAGE_EXPAND, ENG_STEP_DDL, -1, "create table %s", relation_take);
    size_t made = b->plan->nsteps;

    step_rank(step, op->index);
    step_sql(step, "%s", definition);
    comments(step, op, relation_take);
    if (*locks)
        step_lock(step, "SHARE ROW EXCLUSIVE", locks, INSTANT);
    step = build_step(b, ENG_STAGE_ABORT, ENG_STEP_DDL, -1, "drop table %s", relation_take);
    step_rank(step, op->index);
    step->undoes = (int)made; /* a table of this name that somebody else has made stays */
    step_sql(step, "DROP TABLE IF EXISTS %s", relation_take);
    if (*locks)
        step_lock(step, "ACCESS EXCLUSIVE", locks, INSTANT);
    created_add(b, relation_take);
    free(definition);
}

static enum rc new_table(struct build *b, const struct file_op *op)
{
    char *path = mem_printf("operations[%zu].create_table.name", op->index), *schema = NULL;
    char *locks = NULL;
    enum rc rc = check_new_table(b, op);

    if (rc == RC_OK)
        rc = place_table(b, op, path, &schema);
    if (rc == RC_OK)
        rc = place_indexes(b, op, schema);
    if (rc == RC_OK)
        rc = (locks = referenced(b, op)) ? RC_OK : RC_ERR;
    if (rc == RC_OK)
        table_steps(b, op, locks, sql_quote_qualified(schema, op->table.name));
    free(locks);
    free(schema);
    free(path);
    return rc;
}

enum rc new_tables(struct build *b)
{
    enum rc rc = RC_OK;

    for (size_t i = 0; rc == RC_OK && i < b->file->nops; i++)
        if (b->file->ops[i].kind == FILE_CREATE_TABLE)
            rc = new_table(b, &b->file->ops[i]);
    return rc;
}
