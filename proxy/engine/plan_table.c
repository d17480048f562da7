/*
 * A table's columns: what expand adds, what cut-over swaps, what contract drops, and the way
 * back of each. One ALTER a thing, all in one step a table.
 */
#include <stdlib.h>
#include <string.h>

#include "attributes.h"
#include "plan_build.h"
#include "plan_probe.h"
#include "segue/base/buf.h"
#include "segue/base/mem.h"
#include "segue/base/option.h"
#include "segue/catalog/catalog.h"
#include "segue/sql/expr.h"

static bool flag(const json_t *object, const char *key)
{
    return json_is_true(json_object_get(object, key));
}

/* ---- targets ---- */

static struct target *target_find(struct build *b, const json_t *doc)
{
    json_int_t oid = json_integer_value(json_object_get(doc, "oid"));

    for (size_t i = 0; i < b->ntargets; i++)
        if (json_integer_value(json_object_get(b->targets[i].doc, "oid")) == oid)
            return &b->targets[i];
    return NULL;
}

/* What may have been meant by a name that no table has; NULL: nothing is near. free() it. */
static char *tables_near(struct build *b, const char *name)
{
    static const char all[] = "SELECT c.relname, n.nspname FROM pg_class c JOIN pg_namespace n"
                              " ON n.oid = c.relnamespace WHERE c.relkind IN ('r', 'p')"
                              " AND n.nspname !~ '^pg_' AND n.nspname NOT IN"
                              " ('information_schema', 'segue') ORDER BY 1, 2 LIMIT 10000";
    struct err ignored = {0};
    const char **names, *near;
    char *hint = NULL, *qualified;
    PGresult *res;

    if (own_query(b, all, 0, NULL, &res, &ignored) != RC_OK)
        return NULL;
    names = mem_calloc((size_t)PQntuples(res) + 1, sizeof(*names));
    for (int i = 0; i < PQntuples(res); i++)
        names[i] = PQgetvalue(res, i, 0);
    near = opt_nearest(name, names, (size_t)PQntuples(res));
    for (int i = 0; near && !hint && i < PQntuples(res); i++) {
        if (names[i] != near)
            continue;
        qualified = sql_quote_qualified(PQgetvalue(res, i, 1), near);
        hint =
            mem_printf("did you mean %s? (else look at the connection's search_path)", qualified);
        free(qualified);
    }
    free(names);
    PQclear(res);
    return hint;
}

/* Its document; NULL with an error. */
static json_t *target_doc(struct build *b, const struct file_op *op, const char *path)
{
    const char *schema;
    struct err why = {0};
    json_t *doc;
    char *relation;
    enum rc rc;

    if (table_named(b, &op->table, &doc, &why) != RC_OK) {
        char *near = !strcmp(why.sqlstate, "42P01") ? tables_near(b, op->table.name) : NULL;

        build_fail_hint(b, path,
                        near          ? near
                        : why.hint[0] ? why.hint
                                      : "look at the connection's search_path",
                        "%s", why.text);
        free(near);
        return NULL;
    }
    schema = cat_text(doc, "schema");
    relation = sql_quote_qualified(schema, cat_text(doc, "name"));
    rc = check_users_table(b, path, relation, cat_text(doc, "relkind"), schema);
    free(relation);
    if (rc == RC_OK)
        return doc;
    json_decref(doc);
    return NULL;
}

enum rc target_get(struct build *b, const struct file_op *op, struct target **out)
{
    char *path = plan_path(op, op->kind == FILE_RENAME_TABLE ? "from" : "table");
    json_t *doc = target_doc(b, op, path);

    free(path);
    if (!doc)
        return RC_ERR;
    *out = target_find(b, doc);
    if (*out) {
        json_decref(doc);
        return RC_OK;
    }
    mem_grow((void **)&b->targets, &b->targets_cap, b->ntargets + 1, sizeof(*b->targets));
    *out = &b->targets[b->ntargets++];
    **out = (struct target){.doc = doc, .table = -1};
    (*out)->relation = sql_quote_qualified(cat_text(doc, "schema"), cat_text(doc, "name"));
    (*out)->after = mem_strdup(called_after(b, (*out)->relation));
    return RC_OK;
}

void target_fini(struct target *t)
{
    struct texts *lists[] = {
        &t->from,     &t->to,          &t->gone,        &t->expand,   &t->cutover,
        &t->revert,   &t->old_columns, &t->new_columns, &t->proofs,   &t->foreign,
        &t->dropped,  &t->contract,    &t->restore,     &t->restored, &t->also,
        &t->released, &t->shown,       &t->swaps,       &t->marks,    &t->altered,
        &t->named,    &t->late,        &t->unbind,      &t->mend,     &t->rebind};

    for (size_t i = 0; i < ARRAY_LEN(lists); i++)
        texts_fini(lists[i]);
    json_decref(t->doc);
    free(t->after);
    free(t->relation);
}

static char **copy_array(const json_t *array, size_t *n)
{
    char **out = mem_calloc(json_array_size(array) + 1, sizeof(*out));

    *n = json_array_size(array);
    for (size_t i = 0; i < *n; i++)
        out[i] = mem_strdup(json_string_value(json_array_get(array, i)));
    return out;
}

struct eng_table *target_table(struct build *b, struct target *t)
{
    struct eng_plan *plan = b->plan;
    const struct renamed *renamed = called_before(b, t->relation);
    struct eng_table *table;

    if (t->table < 0) {
        mem_grow((void **)&plan->tables, &b->tables_cap, plan->ntables + 1, sizeof(*plan->tables));
        t->table = (int)plan->ntables++;
        table = &plan->tables[t->table];
        memset(table, 0, sizeof(*table));
        table->schema = mem_strdup(cat_text(t->doc, "schema"));
        table->name = mem_strdup(cat_text(t->doc, "name"));
        table->renamed = renamed ? mem_strdup(renamed->to) : NULL;
        table->oid = (uint32_t)json_integer_value(json_object_get(t->doc, "oid"));
        table->relkind = cat_text(t->doc, "relkind")[0];
        table->guard = mem_printf("guard_%u", table->oid);
        table->search_path = mem_printf("%s, pg_temp", cat_text(t->doc, "search_path"));
        table->key = copy_array(json_object_get(t->doc, "key"), &table->nkey);
        table->relatives = copy_array(json_object_get(t->doc, "relatives"), &table->nrelatives);
    }
    return &plan->tables[t->table];
}

struct eng_dual *target_dual(struct build *b, struct target *t)
{
    struct eng_table *table = target_table(b, t);

    table->duals = mem_realloc(table->duals, (table->nduals + 1) * sizeof(*table->duals));
    memset(&table->duals[table->nduals], 0, sizeof(*table->duals));
    return &table->duals[table->nduals++];
}

/* ---- types and expressions ---- */

enum rc check_up_down(struct build *b, struct target *t, const char *path,
                      const struct eng_dual *dual)
{
    char *up_path = mem_printf("%s.up", path), *down_path = mem_printf("%s.down", path);
    char *name = sql_quote_ident(dual->new_name);
    char *rows = mem_printf(" FROM %s", t->relation);
    char *both =
        mem_printf(" FROM (SELECT *, NULL::%s AS %s FROM %s) s", dual->new_type, name, t->relation);
    enum rc rc = build_check_expr(b, up_path, dual->up, dual->new_type, rows);

    if (rc == RC_OK && dual->down && !enum_of_file(b, dual->new_type))
        rc = build_check_expr(b, down_path, dual->down, dual->old_type, both);
    if (rc == RC_OK && dual->old_name)
        rc = check_steady(b, up_path, dual->up);
    if (rc == RC_OK && dual->down)
        rc = check_steady(b, down_path, dual->down);
    if (rc == RC_OK)
        rc = check_guarded(b, t, up_path, dual->up, dual->old_name);
    if (rc == RC_OK && dual->down)
        rc = check_guarded(b, t, down_path, dual->down, dual->old_name);
    free(both);
    free(rows);
    free(name);
    free(down_path);
    free(up_path);
    return rc;
}

const char *type_by_now(const struct build *b, const char *type)
{
    if (!enum_of_file(b, type))
        return type;
    return strchr(type, '[') ? "pg_catalog.text[]" : "pg_catalog.text";
}

char *target_rows(struct build *b, const struct target *t)
{
    const struct eng_table *table = t->table >= 0 ? &b->plan->tables[t->table] : NULL;
    struct buf out = {0};

    buf_append_str(&out, " FROM (SELECT *");
    for (size_t i = 0; table && i < table->nduals; i++) {
        const struct eng_dual *dual = &table->duals[i];
        char *name = dual->new_name ? sql_quote_ident(dual->new_name) : NULL;

        if (name)
            buf_printf(&out, ", NULL::%s AS %s", type_by_now(b, dual->new_type), name);
        free(name);
    }
    buf_printf(&out, " FROM %s) s", t->relation);
    return buf_take(&out);
}

static void read_columns(const char *expr, char ***columns, size_t *n)
{
    struct sql_expr_info info;

    if (sql_expr_parse(expr, &info, NULL) != RC_OK)
        return;
    *columns = info.columns;
    *n = info.ncolumns;
    info.columns = NULL;
    info.ncolumns = 0;
    sql_expr_info_fini(&info);
}

void dual_read_columns(struct eng_dual *dual, const char *expr)
{
    read_columns(expr, &dual->up_columns, &dual->nup_columns);
}

/* ---- attributes that a renamed column keeps ---- */

static void keep_partition_grants(struct target *t, const char *column, const char *name)
{
    const json_t *grants = json_object_get(t->doc, "partition_grants");

    for (size_t i = 0; i < json_array_size(grants); i++) {
        const json_t *grant = json_array_get(grants, i);

        if (!strcmp(cat_text(grant, "name"), column))
            texts_add(&t->expand, "GRANT %s (%s) ON %s TO %s%s", cat_text(grant, "privilege"), name,
                      cat_text(grant, "relation"), cat_text(grant, "grantee"),
                      flag(grant, "grantable") ? " WITH GRANT OPTION" : "");
    }
}

static void keep_attributes(struct target *t, const json_t *column, const char *name, bool plain)
{
    const json_t *grants = json_object_get(column, "grants");
    const json_t *statistics = json_object_get(column, "statistics");
    const char *comment = cat_text(column, "comment");

    if (plain && cat_text(column, "storage"))
        texts_add(&t->expand, "ALTER TABLE %s ALTER COLUMN %s SET STORAGE %s", t->relation, name,
                  cat_text(column, "storage"));
    if (plain && cat_text(column, "compression"))
        texts_add(&t->expand, "ALTER TABLE %s ALTER COLUMN %s SET COMPRESSION %s", t->relation,
                  name, cat_text(column, "compression"));
    if (json_is_integer(statistics))
        texts_add(&t->expand, "ALTER TABLE %s ALTER COLUMN %s SET STATISTICS %lld", t->relation,
                  name, (long long)json_integer_value(statistics));
    if (cat_text(column, "options"))
        texts_add(&t->expand, "ALTER TABLE %s ALTER COLUMN %s SET (%s)", t->relation, name,
                  cat_text(column, "options"));
    if (comment) {
        char *literal = sql_quote_literal(comment);

        texts_add(&t->expand, "COMMENT ON COLUMN %s.%s IS %s", t->relation, name, literal);
        free(literal);
    }
    for (size_t i = 0; i < json_array_size(grants); i++) {
        const json_t *grant = json_array_get(grants, i);

        texts_add(&t->expand, "GRANT %s (%s) ON %s TO %s%s",
                  json_string_value(json_array_get(grant, 0)), name, t->relation,
                  json_string_value(json_array_get(grant, 1)),
                  json_is_true(json_array_get(grant, 2)) ? " WITH GRANT OPTION" : "");
    }
    keep_partition_grants(t, cat_text(column, "name"), name);
}

/* ---- an old and a new column ---- */

static enum rc check_names(struct build *b, struct target *t, const struct pair *pair)
{
    char *at = mem_printf("%s.%s", pair->path, pair->from_field);
    enum rc rc = RC_OK;

    if (!cat_column(t->doc, pair->from))
        rc = build_no_column(b, at, t, pair->from);
    else if (texts_has(&t->from, pair->from))
        rc = build_fail_hint(b, at, "say it in one operation", "column \"%s\" is %s twice",
                             pair->from, pair->retypes ? "changed" : "renamed");
    else if (texts_has(&t->dropped, pair->from))
        rc = build_fail_hint(b, at, "leave out one of the two",
                             "column \"%s\" is dropped by this file", pair->from);
    else if (texts_has(&t->altered, pair->from))
        rc = build_fail_hint(b, at, "say it in one alter_column, which may have \"name\", too",
                             "column \"%s\" is changed by another operation of this file, which"
                             " would be lost with its old half",
                             pair->from);
    free(at);
    if (rc != RC_OK)
        return rc;
    if (flag(cat_column(t->doc, pair->from), "partition_key"))
        build_refuse(b, t->relation,
                     "make a table that is partitioned by the new column, and move the rows",
                     "column \"%s\" is part of the partition key, which PostgreSQL cannot put on"
                     " another column",
                     pair->from);
    return RC_OK;
}

/* `suffix`: what stands behind the new column's type. */
static enum rc fill_dual(struct build *b, struct target *t, const struct pair *pair,
                         struct eng_dual *dual, struct type_default *type, struct buf *suffix)
{
    json_t *column = cat_column(t->doc, pair->from);
    char *old = sql_quote_ident(pair->from), *new = sql_quote_ident(pair->to);
    struct type_facts facts = {mem_strdup(cat_text(column, "type")), true,
                               flag(column, "constrained")};
    enum rc rc = RC_OK;

    dual->old_name = mem_strdup(pair->from);
    dual->new_name = mem_strdup(pair->to);
    dual->old_type = mem_strdup(cat_text(column, "type"));
    dual->plain = !pair->type && !pair->up && !pair->down;
    dual->retypes = pair->retypes;
    dual->old_not_null = flag(column, "not_null");
    dual->not_null =
        pair->nullable == FILE_AS_IS ? flag(column, "not_null") : pair->nullable == FILE_NO;
    if (pair->type) {
        char *type_path = mem_printf("%s.type", pair->path);

        free(facts.name);
        facts.name = NULL;
        rc = check_type(b, type_path, pair->type, &facts);
        free(type_path);
    }
    dual->new_type = facts.name;
    if (rc == RC_OK)
        check_domain(b, t, pair->retypes ? pair->from : new, &facts);
    if (rc == RC_OK && facts.collatable && cat_text(column, "collation"))
        buf_printf(suffix, " COLLATE %s", cat_text(column, "collation"));
    if (rc == RC_OK)
        rc = type_default_read(b, t, dual->new_type, type);
    if (rc == RC_OK)
        buf_append_str(suffix, default_behind(type));
    if (rc == RC_OK && dual->plain) {
        dual->up = mem_strdup(old);
        dual->down = mem_strdup(new);
        dual->equality = mem_strdup(cat_text(column, "equality"));
    } else if (rc == RC_OK) {
        dual->up = pair->up ? mem_strdup(pair->up) : mem_printf("%s::%s", old, dual->new_type);
        dual->down =
            pair->down ? mem_strdup(pair->down) : mem_printf("%s::%s", new, dual->old_type);
        rc = check_up_down(b, t, pair->path, dual);
    }
    if (rc == RC_OK)
        dual_read_columns(dual, dual->up);
    if (rc == RC_OK && !dual->plain)
        read_columns(dual->down, &dual->down_columns, &dual->ndown_columns);
    free(new);
    free(old);
    return rc;
}

static void note_pair(struct target *t, const struct pair *pair, const struct eng_dual *dual,
                      const struct type_default *type, const char *suffix)
{
    char *old = sql_quote_ident(pair->from), *new = sql_quote_ident(pair->to);

    texts_add(&t->from, "%s", pair->from);
    texts_add(&t->to, "%s", pair->to);
    if (pair->type)
        texts_add(&t->gone, "%s", pair->from);
    texts_add(&t->old_columns, "%s", pair->retypes ? new : old);
    texts_add(&t->new_columns, "%s", new);
    if (pair->retypes)
        texts_add(&t->shown, "%s as %s", old, dual->new_type);
    else
        texts_add(&t->shown, "%s", new);
    texts_add(&t->expand, "ALTER TABLE %s ADD COLUMN %s %s%s", t->relation, new, dual->new_type,
              suffix);
    default_follows(t, new, type);
    keep_attributes(t, cat_column(t->doc, pair->from), new, !pair->type);
    free(old);
    free(new);
}

static enum rc carry_pair(struct build *b, struct target *t, const struct pair *pair,
                          struct eng_dual *dual, const struct type_default *type)
{
    const json_t *column = cat_column(t->doc, pair->from);
    const char *shown = pair->retypes ? pair->from : pair->to;
    struct file_change same = {true, (char *)cat_text(column, "default")};
    const struct file_change *def = pair->def;
    enum rc rc = RC_OK;

    if (key_has(b, t, shown))
        rc = RC_OK;
    else if (dual->not_null && flag(column, "not_null"))
        rc = carry_not_null(b, t, pair->to, shown, pair->from);
    else if (dual->not_null)
        constraint_not_null(b, t, pair->to, shown, false);
    if (!pair->type && !(def && def->set) && same.to)
        def = &same; /* of one type: `up` is for rows, the default stays what it says */
    if (rc == RC_OK)
        rc = carry_default(b, t, column, dual, def, type);
    return rc == RC_OK && !dual->plain ? probe_dual(b, t, pair->path, dual, pair->up != NULL) : rc;
}

enum rc target_plan_pair(struct build *b, struct target *t, const struct pair *pair)
{
    struct type_default type = {0};
    struct buf suffix = {0};
    struct eng_dual *dual;
    enum rc rc;

    if (check_names(b, t, pair) != RC_OK ||
        (!pair->retypes &&
         check_new_name(b, t, pair->path, pair->def ? "name" : "to", pair->to) != RC_OK))
        return RC_ERR;
    dual = target_dual(b, t);
    buf_append_str(&suffix, "");
    rc = fill_dual(b, t, pair, dual, &type, &suffix);
    if (rc == RC_OK) {
        attributes_keep(dual, pair, cat_column(t->doc, pair->from));
        note_pair(t, pair, dual, &type, suffix.data);
        t->fills = true;
        rc = carry_pair(b, t, pair, dual, &type);
    }
    type_default_fini(&type);
    buf_fini(&suffix);
    return rc;
}

static enum rc plan_rename(struct build *b, struct target *t, const char *path,
                           const struct file_op *op)
{
    const struct pair pair = {path,     "from", op->from,   op->to, op->type, op->up,
                              op->down, false,  FILE_AS_IS, NULL,   false};

    return target_plan_pair(b, t, &pair);
}

/* Operations that work on a table's columns, in the order of the file; then what they make on
 * these, which are those that stay, whichever comes first there: columns that are worked out of
 * others, then constraints. */
#define PASSES 3
static enum rc (*const planners[PASSES][FILE_OP_COUNT])(struct build *b, struct target *t,
                                                        const char *path,
                                                        const struct file_op *op) = {
    {
        [FILE_RENAME_COLUMN] = plan_rename,
        [FILE_ADD_COLUMN] = plan_add,
        [FILE_DROP_COLUMN] = plan_drop_column,
        [FILE_ALTER_COLUMN] = plan_alter_column,
        [FILE_CHANGE_COLUMNS] = plan_change_columns,
        [FILE_CREATE_CONSTRAINT] = plan_second_halves,
        [FILE_DROP_CONSTRAINT] = plan_drop_constraint,
        [FILE_DROP_MULTICOLUMN_CONSTRAINT] = plan_drop_constraint,
    },
    {
        [FILE_ADD_COLUMN] = plan_add_computed,
    },
    {
        [FILE_ADD_COLUMN] = plan_column_constraints,
        [FILE_ALTER_COLUMN] = plan_column_constraints,
        [FILE_CREATE_CONSTRAINT] = plan_create_constraint,
    },
};

/* In front of whatever looks at rows: the server would say it of the first one that does. */
static enum rc check_sees_rows(struct build *b, const struct target *t, const char *path)
{
    const char *hides = cat_text(t->doc, "hides_rows");

    if (!hides)
        return RC_OK;
    err_hint(b->err, "connect as a role with BYPASSRLS");
    return build_fail(b, path, "row security of %s would hide rows from the backfill", hides);
}

/* Does the old half of it follow from the cut-over on, by more than its name? */
static bool is_made(const struct eng_dual *dual, const char *column)
{
    return dual->old_name && !dual->plain && dual->down && !strcmp(dual->old_name, column);
}

/* The guard works the columns of a row out one after the other: which of two that are made of each
 * other would be the first? */
static void refuse_chained(struct build *b, const struct target *t)
{
    const struct eng_table *table = t->table >= 0 ? &b->plan->tables[t->table] : NULL;

    for (size_t i = 0; table && i < table->nduals; i++) {
        const struct eng_dual *dual = &table->duals[i];

        for (size_t c = 0; c < dual->ndown_columns; c++)
            for (size_t k = 0; k < table->nduals; k++)
                if (k != i && is_made(&table->duals[k], dual->down_columns[c]))
                    build_refuse(b, t->relation,
                                 "let down read columns that this file leaves alone",
                                 "down of column %s reads column %s, which is itself made by down:"
                                 " the guard could not tell which of the two comes first",
                                 dual->old_name, dual->down_columns[c]);
    }
}

enum rc target_plan_columns(struct build *b, struct target *t)
{
    enum rc rc = RC_OK;

    for (size_t n = 0; rc == RC_OK && n < PASSES * b->file->nops; n++) {
        const struct file_op *op = &b->file->ops[n % b->file->nops];
        size_t pass = n / b->file->nops;
        char *path;

        if (!planners[pass][op->kind] || b->op_target[op->index] != t - b->targets)
            continue;
        path = mem_printf("operations[%zu].%s", op->index, file_op_name(op->kind));
        rc = check_sees_rows(b, t, path);
        if (rc == RC_OK)
            rc = planners[pass][op->kind](b, t, path, op);
        free(path);
    }
    if (rc == RC_OK)
        refuse_chained(b, t);
    return rc == RC_OK ? steady_judge(b, t) : rc;
}
