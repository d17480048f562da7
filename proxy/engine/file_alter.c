/*
 * Operations on what is there: drop_column, alter_column, and those on constraints. Their fields,
 * readers of the kinds that only they have, and checks that need two fields.
 */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "file_read.h"
#include "segue/base/mem.h"
#include "segue/sql/expr.h"

#define CON(member) offsetof(struct file_constraint, member)
#define NEW(member) offsetof(struct file_op, constraint.member)

const struct field file_drop_column_fields[3] = {
    {"table", TABLE, true, OP(table)},
    {"column", NAME, true, OP(column)},
    {"down", EXPR, false, OP(down)},
};

const struct field file_alter_column_fields[12] = {
    {"table", TABLE, true, OP(table)},
    {"column", NAME, true, OP(column)},
    {"name", NAME, false, OP(to)},
    {"type", TYPE, false, OP(type)},
    {"nullable", MAYBE, false, OP(nullable)},
    {"default", EXPR_CHANGE, false, OP(def)},
    {"unique", UNIQUE_ONE, false, OP(unique_one)},
    {"check", CHECK_ONE, false, OP(check_one)},
    {"references", FOREIGN_ONE, false, OP(foreign_one)},
    {"comment", TEXT_CHANGE, false, OP(comment)},
    {"up", EXPR, false, OP(up)},
    {"down", EXPR, false, OP(down)},
};

const struct field file_create_constraint_fields[14] = {
    {"name", NAME, true, NEW(name)},
    {"table", TABLE, true, OP(table)},
    {"type", KIND, true, NEW(kind)},
    {"columns", NAMES, false, NEW(columns)},
    {"check", EXPR, false, NEW(check)},
    {"no_inherit", FLAG, false, NEW(no_inherit)},
    {"deferrable", FLAG, false, NEW(deferrable)},
    {"initially_deferred", FLAG, false, NEW(initially_deferred)},
    {"nulls_not_distinct", FLAG, false, NEW(nulls_not_distinct)},
    {"references", FOREIGN_MANY, false, OP(constraint)},
    {"index_parameters", INDEX_PARAMETERS, false, OP(constraint)},
    {"exclude", EXCLUDE, false, OP(constraint)},
    {"up", PAIRS, false, OP(ups)},
    {"down", PAIRS, false, OP(downs)},
};

const struct field file_drop_constraint_fields[4] = {
    {"table", TABLE, true, OP(table)},
    {"name", NAME, true, OP(name)},
    {"up", EXPR, false, OP(up)},
    {"down", EXPR, false, OP(down)},
};

const struct field file_drop_many_fields[4] = {
    {"table", TABLE, true, OP(table)},
    {"name", NAME, true, OP(name)},
    {"up", PAIRS, false, OP(ups)},
    {"down", PAIRS, false, OP(downs)},
};

/* ---- constraints inside of others ---- */

static const struct field unique_fields[] = {
    {"name", NAME, true, CON(name)},
    {"nulls_not_distinct", FLAG, false, CON(nulls_not_distinct)},
    {"deferrable", FLAG, false, CON(deferrable)},
    {"initially_deferred", FLAG, false, CON(initially_deferred)},
};
static const struct field check_fields[] = {
    {"name", NAME, true, CON(name)},
    {"constraint", EXPR, true, CON(check)},
    {"no_inherit", FLAG, false, CON(no_inherit)},
};
/* `column` and `columns` both become a list: pgroll has one of a column, many of a table */
static const struct field foreign_one_fields[] = {
    {"name", NAME, true, CON(name)},
    {"table", TABLE, true, CON(table)},
    {"column", NAMES, false, CON(foreign)},
    {"on_delete", ON_DELETE, false, CON(on_delete)},
    {"on_update", ON_DELETE, false, CON(on_update)},
    {"match_type", MATCH, false, CON(match)},
    {"deferrable", FLAG, false, CON(deferrable)},
    {"initially_deferred", FLAG, false, CON(initially_deferred)},
};
/* Of create_table: it may get the name that PostgreSQL gives. */
static const struct field foreign_made_fields[] = {
    {"name", NAME, false, CON(name)},
    {"table", TABLE, true, CON(table)},
    {"column", NAMES, true, CON(foreign)},
    {"on_delete", ON_DELETE, false, CON(on_delete)},
    {"on_update", ON_DELETE, false, CON(on_update)},
    {"match_type", MATCH, false, CON(match)},
    {"deferrable", FLAG, false, CON(deferrable)},
    {"initially_deferred", FLAG, false, CON(initially_deferred)},
};
static const struct field foreign_many_fields[] = {
    {"name", NAME, false, CON(alias)}, /* as pgroll's older files have it: that of the constraint */
    {"table", TABLE, true, CON(table)},
    {"columns", NAMES, false, CON(foreign)},
    {"on_delete", ON_DELETE, false, CON(on_delete)},
    {"on_delete_set_columns", NAMES, false, CON(set_columns)},
    {"on_update", ON_DELETE, false, CON(on_update)},
    {"match_type", MATCH, false, CON(match)},
};
static const struct field index_parameters_fields[] = {
    {"tablespace", NAME, false, CON(tablespace)},
    {"storage_parameters", PARAMETERS, false, CON(parameters)},
    {"include_columns", NAMES, false, CON(include)},
};
static const struct field exclude_fields[] = {
    {"index_method", NAME, false, CON(method)},
    {"elements", EXCLUSION, true, CON(elements)},
    {"predicate", EXPR, false, CON(predicate)},
};
static const struct field many_fields[] = {
    {"name", NAME, true, CON(name)},
    {"type", KIND, true, CON(kind)},
    {"columns", NAMES, false, CON(columns)},
    {"check", EXPR, false, CON(check)},
    {"no_inherit", FLAG, false, CON(no_inherit)},
    {"deferrable", FLAG, false, CON(deferrable)},
    {"initially_deferred", FLAG, false, CON(initially_deferred)},
    {"nulls_not_distinct", FLAG, false, CON(nulls_not_distinct)},
    {"references", FOREIGN_MANY, false, 0},
    {"index_parameters", INDEX_PARAMETERS, false, 0},
    {"exclude", EXCLUDE, false, 0},
};

static enum rc read_one(struct load *load, const char *path, json_t *value,
                        enum file_constraint_kind kind, const struct field *fields, size_t n,
                        struct file_constraint **out)
{
    *out = mem_calloc(1, sizeof(**out));
    (*out)->kind = kind;
    return file_read_object(load, path, value, fields, n, *out);
}

/* ---- values ---- */

static enum rc read_change(struct load *load, const char *path, json_t *value, enum field_kind kind,
                           struct file_change *out)
{
    out->set = true;
    if (json_is_null(value))
        return RC_OK;
    if (!json_is_string(value))
        return file_bad(load, path, "a string is wanted, or null for none");
    return file_read_text(load, path, kind, json_string_value(value), &out->to);
}

/* A name, or a list of names. */
static enum rc read_names(struct load *load, const char *path, json_t *value,
                          struct file_names *out)
{
    size_t n = json_is_string(value) ? 1 : json_array_size(value);
    enum rc rc = RC_OK;

    if (n == 0 || n > FILE_KEYS_MAX)
        return file_bad(load, path, "a list of 1 to %d columns is wanted", FILE_KEYS_MAX);
    out->v = mem_calloc(n + 1, sizeof(*out->v));
    for (size_t i = 0; rc == RC_OK && i < n; i++) {
        const json_t *item = json_is_string(value) ? value : json_array_get(value, i);
        const char *name = json_string_value(item);
        char *at = json_is_string(value) ? mem_strdup(path) : mem_printf("%s[%zu]", path, i);

        rc = name ? file_read_text(load, at, NAME, name, &out->v[out->n++])
                  : file_bad(load, at, "a string is wanted");
        for (size_t k = 0; rc == RC_OK && k < i; k++)
            if (!strcmp(out->v[k], name))
                rc = file_bad(load, at, "column \"%s\" stands twice in the list", name);
        free(at);
    }
    return rc;
}

static enum rc read_pairs(struct load *load, const char *path, json_t *value,
                          struct file_pairs *out)
{
    size_t n = json_object_size(value);
    const char *key;
    json_t *item;

    if (n == 0 || n > FILE_KEYS_MAX)
        return file_bad(load, path, "an object of 1 to %d expressions by column is wanted",
                        FILE_KEYS_MAX);
    out->columns = mem_calloc(n, sizeof(*out->columns));
    out->exprs = mem_calloc(n, sizeof(*out->exprs));
    json_object_foreach(value, key, item)
    {
        char *at = mem_printf("%s.%s", path, key);
        enum rc rc = RC_ERR;

        out->columns[out->n] = mem_strdup(key);
        if (json_is_string(item))
            rc = file_read_text(load, at, EXPR, json_string_value(item), &out->exprs[out->n]);
        else
            file_bad(load, at, "a string is wanted");
        out->n++;
        free(at);
        if (rc != RC_OK)
            return rc;
    }
    return RC_OK;
}

static enum rc read_kind(struct load *load, const char *path, json_t *value,
                         enum file_constraint_kind *out)
{
    static const char *const names[] = {[FILE_UNIQUE] = "unique",
                                        [FILE_CHECK] = "check",
                                        [FILE_FOREIGN_KEY] = "foreign_key",
                                        [FILE_PRIMARY_KEY] = "primary_key",
                                        [FILE_EXCLUDE] = "exclude"};
    char *name = NULL;
    enum rc rc;

    if (!json_is_string(value))
        return file_bad(load, path, "a string is wanted");
    rc = file_read_choice(load, path, json_string_value(value), names, ARRAY_LEN(names), &name);
    for (size_t i = 0; rc == RC_OK && i < ARRAY_LEN(names); i++)
        if (!strcmp(names[i], name))
            *out = (enum file_constraint_kind)i;
    free(name);
    return rc;
}

static enum rc read_made(struct load *load, const char *path, json_t *value,
                         struct file_constraint **out)
{
    enum rc rc = read_one(load, path, value, FILE_FOREIGN_KEY, foreign_made_fields,
                          ARRAY_LEN(foreign_made_fields), out);

    if (rc != RC_OK || (*out)->foreign.n == 1)
        return rc;
    err_hint(load->err, "a foreign key of several columns is one of \"constraints\"");
    return file_bad(load, path, "one column refers to one");
}

enum rc file_read_alter(struct load *load, const char *path, json_t *value,
                        const struct field *field, void *out)
{
    switch (field->kind) {
    case MAYBE:
        if (!json_is_boolean(value))
            return file_bad(load, path, "true or false is wanted");
        *(enum file_maybe *)out = json_is_true(value) ? FILE_YES : FILE_NO;
        return RC_OK;
    case EXPR_CHANGE:
        return read_change(load, path, value, EXPR, out);
    case TEXT_CHANGE:
        return read_change(load, path, value, TEXT, out);
    case NAMES:
        return read_names(load, path, value, out);
    case PAIRS:
        return read_pairs(load, path, value, out);
    case KIND:
        return read_kind(load, path, value, out);
    case UNIQUE_ONE:
        return read_one(load, path, value, FILE_UNIQUE, unique_fields, ARRAY_LEN(unique_fields),
                        out);
    case UNIQUE_ADDED:
        if (json_is_false(value))
            return RC_OK;
        if (!json_is_true(value))
            return read_one(load, path, value, FILE_UNIQUE, unique_fields, ARRAY_LEN(unique_fields),
                            out);
        *(struct file_constraint **)out = mem_calloc(1, sizeof(struct file_constraint));
        (*(struct file_constraint **)out)->kind = FILE_UNIQUE;
        return RC_OK;
    case CHECK_ONE:
        return read_one(load, path, value, FILE_CHECK, check_fields, ARRAY_LEN(check_fields), out);
    case FOREIGN_ONE:
        return read_one(load, path, value, FILE_FOREIGN_KEY, foreign_one_fields,
                        ARRAY_LEN(foreign_one_fields), out);
    case FOREIGN_MADE:
        return read_made(load, path, value, out);
    case INDEX_PARAMETERS:
        return file_read_object(load, path, value, index_parameters_fields,
                                ARRAY_LEN(index_parameters_fields), out);
    case EXCLUDE:
        return file_read_object(load, path, value, exclude_fields, ARRAY_LEN(exclude_fields), out);
    default: /* FOREIGN_MANY */
        return file_read_object(load, path, value, foreign_many_fields,
                                ARRAY_LEN(foreign_many_fields), out);
    }
}

/* ---- checks of two fields ---- */

/* pgroll's files often say `up` and `down` where nothing is to be computed: only the column. */
static void forget_identity(char **expr, const char *column)
{
    if (*expr && sql_expr_is_column(*expr, column)) {
        free(*expr);
        *expr = NULL;
    }
}

void file_own_column(struct file_constraint *constraint, const char *column)
{
    if (!constraint)
        return;
    constraint->columns.v = mem_calloc(2, sizeof(char *));
    constraint->columns.v[constraint->columns.n++] = mem_strdup(column);
}

/* The name that PostgreSQL would give, where it has none. */
static enum rc name_key(struct load *load, const char *path, const char *hint,
                        struct file_constraint *c, char *name_take)
{
    enum rc rc = RC_OK;

    if (!c || c->name) {
        free(name_take);
        return RC_OK;
    }
    c->name = name_take;
    if (strlen(c->name) > FILE_NAME_BYTES_MAX) {
        err_hint(load->err, "%s", hint);
        rc = file_bad(load, path, "the constraint's name would be too long: %s", c->name);
    }
    return rc;
}

enum rc file_take_ones(struct load *load, const char *path, struct file_op *op)
{
    struct file_column *column = &op->columns[0];
    const char *table = op->table.name;

    op->unique_one = column->ones[FILE_UNIQUE];
    op->check_one = column->ones[FILE_CHECK];
    op->foreign_one = column->ones[FILE_FOREIGN_KEY];
    memset(column->ones, 0, sizeof(column->ones));
    if (column->pk) {
        op->key_one = mem_calloc(1, sizeof(*op->key_one));
        op->key_one->kind = FILE_PRIMARY_KEY;
    }
    file_own_column(op->unique_one, column->name);
    file_own_column(op->check_one, column->name);
    file_own_column(op->foreign_one, column->name);
    file_own_column(op->key_one, column->name);
    if (name_key(load, path, "give it one: \"unique\": {\"name\": ...}", op->unique_one,
                 mem_printf("%s_%s_key", table, column->name)) != RC_OK)
        return RC_ERR;
    return name_key(load, path, "leave \"pk\" out, and say it by create_constraint", op->key_one,
                    mem_printf("%s_pkey", table));
}

enum rc file_check_alter(struct load *load, const char *path, struct file_op *op)
{
    bool renamed = op->to && strcmp(op->to, op->column);
    const char *column = renamed ? op->to : op->column;

    if (op->to && !renamed) {
        free(op->to);
        op->to = NULL;
    }
    file_own_column(op->unique_one, column);
    file_own_column(op->check_one, column);
    file_own_column(op->foreign_one, column);
    if (!renamed && !op->type && op->nullable == FILE_AS_IS && !op->def.set && !op->unique_one &&
        !op->check_one && !op->foreign_one && !op->comment.set) {
        err_hint(load->err, "say what is to change: name, type, nullable, default, unique, check, "
                            "references or comment");
        return file_bad(load, path, "nothing is to change");
    }
    if (op->def.to && op->nullable == FILE_NO && !strcasecmp(op->def.to, "null"))
        return file_bad(load, path, "a default of NULL does not go with \"nullable\": false");
    if (!op->type) {
        forget_identity(&op->up, op->column);
        forget_identity(&op->down, column);
    }
    return RC_OK;
}

#define UNIQUE_BIT (1u << FILE_UNIQUE)
#define CHECK_BIT (1u << FILE_CHECK)
#define FOREIGN_BIT (1u << FILE_FOREIGN_KEY)
#define PRIMARY_BIT (1u << FILE_PRIMARY_KEY)
#define EXCLUDE_BIT (1u << FILE_EXCLUDE)
#define KEY_BITS (UNIQUE_BIT | FOREIGN_BIT | PRIMARY_BIT)
#define INDEX_BITS (UNIQUE_BIT | PRIMARY_BIT | EXCLUDE_BIT)

static enum rc check_field(struct load *load, const char *path, const char *name, bool given,
                           unsigned kind, unsigned needed, unsigned allowed)
{
    if (!given && (needed & kind))
        return file_bad(load, path, "field \"%s\" is missing, which this type needs", name);
    if (given && !(allowed & kind))
        return file_bad(load, path, "field \"%s\" does not go with this type", name);
    return RC_OK;
}

static enum rc check_set_columns(struct load *load, const char *path,
                                 const struct file_constraint *c)
{
    const char *action = c->on_delete ? c->on_delete : "";

    if (c->set_columns.n && strcmp(action, "SET NULL") != 0 && strcmp(action, "SET DEFAULT") != 0)
        return file_bad(
            load, path,
            "\"on_delete_set_columns\" goes with \"on_delete\": SET NULL or SET DEFAULT");
    for (size_t i = 0; i < c->set_columns.n; i++) {
        bool own = false;

        for (size_t k = 0; k < c->columns.n; k++)
            own |= !strcmp(c->columns.v[k], c->set_columns.v[i]);
        if (!own)
            return file_bad(load, path,
                            "\"on_delete_set_columns\" names column \"%s\", which is none of "
                            "\"columns\"",
                            c->set_columns.v[i]);
    }
    return RC_OK;
}

static enum rc check_many(struct load *load, const char *path, const struct file_constraint *c)
{
    const struct {
        const char *name;
        bool given;
        unsigned needed, allowed;
    } rows[] = {
        {"columns", c->columns.n > 0, KEY_BITS, KEY_BITS | CHECK_BIT},
        {"check", c->check, CHECK_BIT, CHECK_BIT},
        {"references", c->table.name, FOREIGN_BIT, FOREIGN_BIT},
        {"exclude", c->elements, EXCLUDE_BIT, EXCLUDE_BIT},
        {"no_inherit", c->no_inherit, 0, CHECK_BIT},
        {"deferrable", c->deferrable || c->initially_deferred, 0, KEY_BITS | EXCLUDE_BIT},
        {"nulls_not_distinct", c->nulls_not_distinct, 0, UNIQUE_BIT},
        {"index_parameters", c->include.n || c->parameters || c->tablespace, 0, INDEX_BITS},
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        if (check_field(load, path, rows[i].name, rows[i].given, 1u << c->kind, rows[i].needed,
                        rows[i].allowed) != RC_OK)
            return RC_ERR;
    if (c->foreign.n && c->foreign.n != c->columns.n)
        return file_bad(load, path, "%zu columns refer to %zu", c->columns.n, c->foreign.n);
    if (c->alias && strcmp(c->alias, c->name) != 0) {
        err_hint(load->err, "leave it out inside of \"references\"");
        return file_bad(load, path, "it has two names: \"%s\" and \"%s\"", c->name, c->alias);
    }
    return check_set_columns(load, path, c);
}

enum rc file_read_constraint(struct load *load, const char *path, json_t *value,
                             struct file_constraint *out)
{
    enum rc rc = file_read_object(load, path, value, many_fields, ARRAY_LEN(many_fields), out);

    if (rc == RC_OK)
        rc = check_many(load, path, out);
    if (rc == RC_OK && out->kind == FILE_FOREIGN_KEY && !out->foreign.n)
        rc = file_bad(load, path, "field \"references.columns\" is missing");
    return rc;
}

enum rc file_check_constraint(struct load *load, const char *path, struct file_op *op)
{
    if (op->constraint.kind == FILE_EXCLUDE) {
        err_hint(load->err, "make a new table by create_table, whose \"constraints\" may have it, "
                            "and move the rows");
        return file_bad(load, path,
                        "an exclusion constraint of a table that is in use: PostgreSQL builds its "
                        "index while nobody can write, and has no other way");
    }
    if (check_many(load, path, &op->constraint) != RC_OK)
        return RC_ERR;
    for (size_t i = 0; i < op->ups.n; i++)
        forget_identity(&op->ups.exprs[i], op->ups.columns[i]);
    for (size_t i = 0; i < op->downs.n; i++)
        forget_identity(&op->downs.exprs[i], op->downs.columns[i]);
    return RC_OK;
}

/* ---- freeing ---- */

static void names_fini(struct file_names *names)
{
    for (size_t i = 0; i < names->n; i++)
        free(names->v[i]);
    free(names->v);
}

static void pairs_fini(struct file_pairs *pairs)
{
    for (size_t i = 0; i < pairs->n; i++) {
        free(pairs->columns[i]);
        free(pairs->exprs[i]);
    }
    free(pairs->columns);
    free(pairs->exprs);
}

void file_constraint_fini(struct file_constraint *c)
{
    char *const texts[] = {c->name,      c->check,    c->table.schema, c->table.name, c->on_delete,
                           c->on_update, c->match,    c->alias,        c->parameters, c->tablespace,
                           c->method,    c->elements, c->predicate};

    for (size_t i = 0; i < ARRAY_LEN(texts); i++)
        free(texts[i]);
    names_fini(&c->columns);
    names_fini(&c->foreign);
    names_fini(&c->set_columns);
    names_fini(&c->include);
}

void file_ones_fini(struct file_constraint *const *ones)
{
    for (size_t i = 0; i < FILE_ONES; i++) {
        if (ones[i])
            file_constraint_fini(ones[i]);
        free(ones[i]);
    }
}

void file_alter_fini(struct file_op *op)
{
    struct file_constraint *const ones[FILE_ONES] = {op->unique_one, op->check_one, op->foreign_one,
                                                     op->key_one};

    file_ones_fini(ones);
    file_constraint_fini(&op->constraint);
    names_fini(&op->from_columns);
    pairs_fini(&op->ups);
    pairs_fini(&op->downs);
    free(op->def.to);
    free(op->comment.to);
}
