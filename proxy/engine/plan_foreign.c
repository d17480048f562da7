/*
 * New foreign keys of a live table: may the server make them, and which rows refer to nothing?
 * plan_constraint.c says when they bind.
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

struct other { /* the table that is referred to */
    char *relation;
    struct file_names columns; /* borrowed from the file, or from `doc` */
    json_t *doc;
    const struct file_op *made; /* of a table of this file; then there is no `doc` */
};

static void other_fini(struct other *other)
{
    if (other->doc && other->columns.v)
        free(other->columns.v);
    json_decref(other->doc);
    free(other->relation);
}

bool index_is_key(const json_t *index, const struct file_names *columns)
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

        key = index_is_key(index, &other->columns);
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

/* A table of this file: nobody has looked at what a key of a live one says of it. */
static enum rc find_made(struct build *b, const char *path, const struct file_constraint *c,
                         struct other *other)
{
    if (!c->foreign.n)
        return build_fail_hint(b, path, "say \"column\", or \"columns\"",
                               "name the columns of \"%s\"", c->table.name);
    other->relation = mem_strdup(created_relation(b, other->made));
    if (c->foreign.n != c->columns.n)
        return build_fail_hint(b, path, "name as many of one table as of the other",
                               "%zu columns refer to %zu", c->columns.n, c->foreign.n);
    return check_link_to(b, path, c, other->made, true);
}

static enum rc find_other(struct build *b, const struct target *t, const char *path,
                          const struct file_constraint *c, struct other *other)
{
    struct err why = {0};

    other->columns = c->foreign;
    if (created_named(b, &c->table, &other->made) != RC_OK)
        return RC_ERR;
    if (other->made)
        return find_made(b, path, c, other);
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

/* Of the other table; heap. NULL: not there yet. */
static enum rc its_type(struct build *b, const char *path, const struct other *other,
                        const char *column, const struct linked *ours, char **type)
{
    enum rc rc = RC_OK;

    *type = NULL;
    if (other->doc)
        *type = mem_strdup(cat_text(cat_column(other->doc, column), "type"));
    else
        rc = type_of_made(b, other->made, path, column, type);
    if (rc == RC_OK && *type && ours->type && other->made)
        rc = check_linked(b, path, ours, &(struct linked){column, *type});
    return rc;
}

/* Other than the type's own, or NULL; of the half that is there from the cut-over on. */
static const char *collation_of(const struct build *b, const struct target *t, const char *column)
{
    const char *half = retype_half(t, column);
    const struct eng_table *table = &b->plan->tables[t->table];

    for (size_t i = 0; i < table->nduals; i++)
        if (table->duals[i].new_name && !strcmp(table->duals[i].new_name, half))
            half = table->duals[i].old_name ? table->duals[i].old_name : half;
    return cat_text(cat_column(t->doc, half), "collation");
}

/* The server compares by that of the column that is referred to. NULL: both have the same. */
static const char *collation_between(const struct build *b, const struct target *t,
                                     const char *column, const struct other *other, const char *its)
{
    const char *theirs = cat_text(cat_column(other->doc, its), "collation");
    const char *ours = collation_of(b, t, column);

    if (!strcmp(ours ? ours : "", theirs ? theirs : ""))
        return NULL;
    return theirs ? theirs : "pg_catalog.\"default\"";
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
        rc = its_type(b, path, other, its, &ours, &type);
        if (rc == RC_OK)
            rc = linked_equal(b, &ours, &(struct linked){its, type},
                              collation_between(b, t, c->columns.v[i], other, its), &equal);
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

enum rc constraint_foreign(struct build *b, struct target *t, const char *path,
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
            constraint_late(b, t, c->name, what, definition);
        constraint_warn_late(b, t, what);
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
