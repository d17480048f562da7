/*
 * New constraints of a live table. Nothing binds the old application before the cut-over, but a
 * unique index, which nobody can build otherwise:
 *
 *   check, foreign key, NOT NULL   rows are looked at before ready; the cut-over adds it NOT VALID,
 *                                  soak proves it, the way back drops it
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

static bool flag(const json_t *object, const char *key)
{
    return json_is_true(json_object_get(object, key));
}

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

/* What the server would say of it only when it is made: of a live table that is the cut-over. */
enum rc check_foreign_rules(struct build *b, const char *path, const struct file_constraint *c,
                            const char *generated)
{
    const char *update = c->on_update ? c->on_update : "",
               *delete = c->on_delete ? c->on_delete : "";

    if (c->set_columns.n && check_version(b, path, 15, "\"on_delete_set_columns\" comes") != RC_OK)
        return RC_ERR;
    if (*generated == 'v')
        return build_fail_hint(b, path, "use a column that is stored",
                               "PostgreSQL has no foreign keys of virtual columns");
    if (*generated &&
        (!strncmp(delete, "SET", 3) || !strncmp(update, "SET", 3) || !strcmp(update, "CASCADE")))
        return build_fail_hint(b, path, "use NO ACTION or RESTRICT; on_delete may be CASCADE",
                               "a column of it is generated, and nobody can set it");
    return RC_OK;
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
        ": %%s', segue_n, %s, segue_at), HINT = 'mend the rows, then RESUME, or ROLLBACK';"
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

static void late(struct build *b, struct target *t, const char *name, const char *shown,
                 const char *definition)
{
    char *quoted = sql_quote_ident(name), *prove;
    struct eng_step *step;

    prove =
        release_prove_of_sql(json_integer_value(json_object_get(t->doc, "oid")), t->after, name);
    texts_add(&t->cutover, "ALTER TABLE %s ADD CONSTRAINT %s %s NOT VALID", t->relation, quoted,
              definition);
    texts_add(&t->revert, "ALTER TABLE %s DROP CONSTRAINT IF EXISTS %s", t->relation, quoted);
    step = build_step(b, ENG_STAGE_SOAK, ENG_STEP_VALIDATE, t->table, "validate %s", shown);
    step_sql(step, "%s", prove);
    step_lock(step, "SHARE UPDATE EXCLUSIVE", t->after, "one scan; blocks no query");
    free(prove);
    free(quoted);
}

static void warn_late(struct build *b, const struct target *t, const char *what)
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
    warn_late(b, t, what);
    late(b, t, temp, what, check);
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

    if (rc == RC_OK)
        rc = check_expr_stays(b, t, path, c->check);
    if (rc == RC_OK) {
        constraint_look_rows(b, t, what, bad);
        late(b, t, c->name, what, definition);
        warn_late(b, t, what);
    }
    free(definition);
    free(bad);
    free(what);
    free(rows);
    free(check);
    return rc;
}

/* ---- foreign keys ---- */

struct other { /* the table that is referred to */
    char *relation;
    struct file_names columns; /* borrowed from the file, or from `doc` */
    json_t *doc;
};

static void other_fini(struct other *other)
{
    if (other->doc && other->columns.v)
        free(other->columns.v);
    json_decref(other->doc);
    free(other->relation);
}

static bool is_key(const json_t *index, const struct file_names *columns)
{
    const json_t *keys = json_object_get(index, "keys");
    size_t nkeys = 0, found = 0;

    if (!flag(index, "unique") || !flag(index, "valid") || flag(index, "deferrable") ||
        cat_text(index, "predicate"))
        return false;
    for (size_t i = 0; i < json_array_size(keys); i++) {
        const char *column = cat_text(json_array_get(keys, i), "column");

        if (!flag(json_array_get(keys, i), "key"))
            continue;
        nkeys++;
        for (size_t k = 0; column && k < columns->n; k++)
            found += !strcmp(columns->v[k], column);
    }
    return nkeys == columns->n && found == nkeys;
}

static enum rc check_other(struct build *b, const struct target *t, const char *path,
                           const struct file_constraint *c, struct other *other)
{
    const json_t *indexes = json_object_get(other->doc, "indexes");
    const char *hides = cat_text(other->doc, "hides_rows");
    char *oid;
    enum rc rc;
    bool key = false;

    for (size_t i = 0; i < other->columns.n; i++)
        if (!cat_column(other->doc, other->columns.v[i]))
            return build_fail(b, path, "table %s has no column \"%s\"", other->relation,
                              other->columns.v[i]);
    for (size_t i = 0; i < json_array_size(indexes) && !key; i++) {
        const json_t *index = json_array_get(indexes, i);

        key = is_key(index, &other->columns);
        if (key && flag(index, "period"))
            return build_fail(b, path,
                              "\"%s\" of table %s is WITHOUT OVERLAPS: only a foreign key with "
                              "PERIOD could refer to it",
                              cat_text(index, "constraint"), other->relation);
    }
    if (!key || other->columns.n == 0)
        return build_fail_hint(b, path, "create it there in an earlier migration",
                               "there is no unique constraint of these columns on table %s",
                               other->relation);
    if (other->columns.n != c->columns.n)
        return build_fail_hint(b, path, "name as many of one table as of the other",
                               "%zu columns refer to %zu", c->columns.n, other->columns.n);
    oid = mem_printf("%lld", (long long)json_integer_value(json_object_get(other->doc, "oid")));
    rc = check_may_refer(b, path, oid, &other->columns, true);
    free(oid);
    if (rc == RC_OK && hides)
        rc = build_fail_hint(b, path, "connect as a role with BYPASSRLS",
                             "row security of %s would hide rows that are referred to", hides);
    if (!strcmp(cat_text(t->doc, "persistence"), "p") &&
        strcmp(cat_text(other->doc, "persistence"), "p") != 0)
        build_refuse(b, other->relation, "ALTER TABLE ... SET LOGGED first",
                     "it is unlogged: table %s may not refer to it", t->relation);
    return rc;
}

static enum rc find_other(struct build *b, const struct target *t, const char *path,
                          const struct file_constraint *c, struct other *other)
{
    struct err why = {0};

    other->columns = c->foreign;
    if (!c->table.schema && texts_has(&b->created_names, c->table.name)) {
        if (!c->foreign.n)
            return build_fail(b, path, "name the columns of \"%s\"", c->table.name);
        other->relation = sql_quote_ident(c->table.name);
        return RC_OK;
    }
    if (check_may_use(b, path, c->table.schema) != RC_OK)
        return RC_ERR;
    if (table_named(b, &c->table, &other->doc, &why) != RC_OK)
        return build_fail(b, path, "%s", why.text);
    other->relation =
        sql_quote_qualified(cat_text(other->doc, "schema"), cat_text(other->doc, "name"));
    if (c->foreign.n) {
        other->columns.v = mem_calloc(c->foreign.n, sizeof(char *));
        memcpy(other->columns.v, c->foreign.v, c->foreign.n * sizeof(char *));
    } else {
        const json_t *key = json_object_get(other->doc, "key");

        other->columns.n = json_array_size(key);
        other->columns.v = mem_calloc(other->columns.n + 1, sizeof(char *));
        for (size_t i = 0; i < other->columns.n; i++)
            other->columns.v[i] = (char *)json_string_value(json_array_get(key, i));
    }
    return check_other(b, t, path, c, other);
}

/* The type that a column of the new schema will have. */
static const char *type_of(const struct build *b, const struct target *t, const char *column)
{
    const char *half = retype_half(t, column);
    const struct eng_table *table = &b->plan->tables[t->table];

    for (size_t i = 0; i < table->nduals; i++)
        if (table->duals[i].new_name && !strcmp(table->duals[i].new_name, half))
            return table->duals[i].new_type;
    return cat_text(cat_column(t->doc, half), "type");
}

/* Of a table that this file makes, before it is there; heap. NULL: not known yet, or at fault,
 * which is for who makes it to say. */
static char *type_of_made(struct build *b, const char *path, const char *table, const char *column)
{
    for (size_t i = 0; i < b->file->nops; i++) {
        const struct file_op *op = &b->file->ops[i];
        bool made = op->kind == FILE_CREATE_TABLE && !strcmp(op->table.name, table);

        for (size_t k = 0; made && k < op->ncolumns; k++) {
            const char *type = op->columns[k].type, *counts = file_counts_in(type);
            struct type_facts facts = {0};

            if (strcmp(op->columns[k].name, column) != 0)
                continue;
            if (check_type(b, path, counts ? counts : type, &facts) == RC_OK)
                return facts.name;
            free(facts.name);
            err_clear(b->err);
        }
    }
    return NULL;
}

/* MATCH SIMPLE: a NULL anywhere is enough. FULL: all or none. */
static enum rc orphan(struct build *b, const struct target *t, const char *path,
                      const struct file_constraint *c, const struct other *other, char **out)
{
    bool full = c->match && !strcmp(c->match, "FULL");
    struct buf any = {0}, equal = {0};
    enum rc rc = RC_OK;

    for (size_t i = 0; rc == RC_OK && i < c->columns.n; i++) {
        const char *its = other->columns.v[i];
        char *own = sql_quote_ident(retype_half(t, c->columns.v[i])), *type;
        const struct linked ours = {retype_half(t, c->columns.v[i]),
                                    type_of(b, t, c->columns.v[i])};

        buf_printf(&any, "%ss.%s " IS_NOT_NULL, i ? full ? " OR " : " AND " : "", own);
        buf_append_str(&equal, i ? " AND " : "");
        type = other->doc ? mem_strdup(cat_text(cat_column(other->doc, its), "type"))
                          : type_of_made(b, path, c->table.name, its);
        rc = linked_equal(b, &ours, &(struct linked){its, type}, &equal);
        free(type);
        free(own);
    }
    if (rc == RC_OK)
        *out = mem_printf("(%s) AND NOT EXISTS (SELECT FROM %s o WHERE %s)", any.data,
                          other->relation, equal.data);
    buf_fini(&any);
    buf_fini(&equal);
    return rc;
}

/* `relation`: what the other table is called by then. */
static char *foreign_definition(const struct target *t, const struct file_constraint *c,
                                const struct other *other, const char *relation)
{
    char *own = constraint_columns(t, &c->columns),
         *its = constraint_columns(NULL, &other->columns);
    struct buf out = {0};

    buf_printf(&out, "FOREIGN KEY (%s) REFERENCES %s (%s)", own, relation, its);
    constraint_actions(&out, t, c);
    free(its);
    free(own);
    return buf_take(&out);
}

/* For plan_refers.c, which judges it when all of the file is planned. */
static void note(struct build *b, const struct target *t, const char *path,
                 const struct file_constraint *c, const struct other *other)
{
    char *oid =
        mem_printf("%lld", (long long)json_integer_value(json_object_get(other->doc, "oid")));
    struct linked ours[FILE_KEYS_MAX];

    for (size_t i = 0; i < c->columns.n; i++)
        ours[i] = (struct linked){c->columns.v[i], type_of(b, t, c->columns.v[i])};
    refers_note(b, path, oid, ours, other->columns.v, c->columns.n);
    free(oid);
}

/* "s", "v", or "": is a column of it generated? */
static const char *generated_of(const struct build *b, const struct target *t,
                                const struct file_constraint *c)
{
    for (size_t i = 0; i < c->columns.n; i++) {
        const json_t *column = cat_column(t->doc, retype_half(t, c->columns.v[i]));

        if (column && *cat_text(column, "generated"))
            return cat_text(column, "generated");
        if (!column && added_generated(b, t, c->columns.v[i]))
            return "v";
    }
    return "";
}

static enum rc add_foreign(struct build *b, struct target *t, const char *path,
                           const struct file_constraint *c)
{
    bool in_leaves = leaves_come_first(b, t);
    struct other other = {0};
    char *bad = NULL, *definition = NULL, *after = NULL;
    char *what = mem_printf("constraint %s", c->name);
    enum rc rc = check_foreign_rules(b, path, c, generated_of(b, t, c));

    if (rc == RC_OK)
        rc = find_other(b, t, path, c, &other);
    if (rc == RC_OK)
        rc = orphan(b, t, path, c, &other, &bad);
    if (rc == RC_OK) {
        definition = foreign_definition(t, c, &other, other.relation);
        after = foreign_definition(t, c, &other, called_after(b, other.relation));
        if (other.doc) { /* are the types comparable? */
            char *rows = target_rows(b, t);

            rc = build_check_condition(b, path, what, bad, rows);
            note(b, t, path, c, &other);
            free(rows);
        }
    }
    if (rc == RC_OK && is_partitioned(t))
        rc = leaves_refuse_own(b, t, c->name, other.relation);
    if (rc == RC_OK) {
        constraint_look_rows(b, t, what, bad);
        if (in_leaves)
            constraint_in_leaves(b, t, c->name, what, definition, after);
        else
            late(b, t, c->name, what, definition);
        warn_late(b, t, what);
        if (other.doc && !texts_has(&t->also, other.relation))
            texts_add(&t->also, "%s", other.relation);
        if (other.doc && !texts_has(&t->foreign, other.relation))
            texts_add(&t->foreign, "%s", other.relation);
    }
    free(what);
    free(after);
    free(definition);
    free(bad);
    other_fini(&other);
    return rc;
}

/* ---- the operation ---- */

static enum rc check_name(struct build *b, const struct target *t, const char *path,
                          const char *name)
{
    static const char sql[] = "SELECT 1 FROM pg_constraint WHERE conrelid = $1::oid AND conname ="
                              " $2";
    char *oid = mem_printf("%lld", (long long)json_integer_value(json_object_get(t->doc, "oid")));
    const char *params[] = {oid, name};
    char *there = NULL;
    enum rc rc = own_value(b, sql, 2, params, &there, b->err);

    if (rc == RC_OK && there)
        rc = build_fail_hint(b, path, HINT_TAKEN ", or drop the old one in an earlier migration",
                             "table %s already has a constraint \"%s\"", t->relation, name);
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
    if (check_name(b, t, path, c->name) != RC_OK ||
        check_columns(b, t, path, &c->columns) != RC_OK ||
        check_columns(b, t, path, &c->include) != RC_OK)
        return RC_ERR;
    switch (c->kind) {
    case FILE_CHECK:
        return add_check(b, t, path, c);
    case FILE_FOREIGN_KEY:
        return add_foreign(b, t, path, c);
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
enum rc plan_second_halves(struct build *b, struct target *t, const char *path,
                           const struct file_op *op)
{
    const struct file_pairs *lists[] = {&op->ups, &op->downs};
    enum rc rc = check_pairs(b, path, op);

    for (size_t l = 0; l < ARRAY_LEN(lists); l++)
        for (size_t i = 0; rc == RC_OK && i < lists[l]->n; i++) {
            const char *column = lists[l]->columns[i];
            struct pair pair = {.path = path,
                                .from_field = l ? "down" : "up",
                                .from = column,
                                .up = expr_of(&op->ups, column),
                                .down = expr_of(&op->downs, column)};

            if ((pair.up || pair.down) && !retype_has(t, column))
                rc = target_plan_retype(b, t, &pair);
        }
    return rc;
}

enum rc plan_create_constraint(struct build *b, struct target *t, const char *path,
                               const struct file_op *op)
{
    return constraint_add(b, t, path, &op->constraint);
}
