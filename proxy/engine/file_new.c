/*
 * What is new: add_column, create_table, create_index. Their fields, readers of the kinds that only
 * they have, and checks that need two fields.
 */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "file_read.h"
#include "segue/base/buf.h"
#include "segue/base/mem.h"

#define COL(member) offsetof(struct file_column, member)
#define KEY(member) offsetof(struct file_index_column, member)
#define FIELDS(list) list, ARRAY_LEN(list)

const struct field file_add_column_fields[3] = {
    {"table", TABLE, true, OP(table)},
    {"column", COLUMN, true, OP(columns)},
    {"up", EXPR, false, OP(up)},
};
const struct field file_create_table_fields[4] = {
    {"name", TABLE, true, OP(table)},
    {"columns", COLUMNS, true, OP(columns)},
    {"constraints", CONSTRAINTS, false, OP(constraints)},
    {"comment", TEXT, false, OP(comment.to)},
};
const struct field file_create_index_fields[7] = {
    {"name", NAME, true, OP(name)},
    {"table", TABLE, true, OP(table)},
    {"columns", KEYS, true, OP(keys)},
    {"unique", FLAG, false, OP(unique)},
    {"method", NAME, false, OP(method)},
    {"predicate", EXPR, false, OP(predicate)},
    {"storage_parameters", PARAMETERS, false, OP(parameters)},
};

static const struct field split_column_fields[] = {
    {"name", NAME, true, COL(name)},          {"type", TYPE, true, COL(type)},
    {"nullable", FLAG, false, COL(nullable)}, {"default", EXPR, false, COL(def)},
    {"comment", TEXT, false, COL(comment)},
};
static const struct field added_column_fields[] = {
    {"name", NAME, true, COL(name)},
    {"type", TYPE, true, COL(type)},
    {"nullable", FLAG, false, COL(nullable)},
    {"default", EXPR, false, COL(def)},
    {"comment", TEXT, false, COL(comment)},
    {"unique", UNIQUE_ADDED, false, COL(ones[FILE_UNIQUE])},
    {"check", CHECK_ONE, false, COL(ones[FILE_CHECK])},
    {"references", FOREIGN_ONE, false, COL(ones[FILE_FOREIGN_KEY])},
    {"pk", FLAG, false, COL(pk)},
    {"generated", GENERATED, false, 0},
};
static const struct field table_column_fields[] = {
    {"name", NAME, true, COL(name)},
    {"type", TYPE, true, COL(type)},
    {"nullable", FLAG, false, COL(nullable)},
    {"default", EXPR, false, COL(def)},
    {"comment", TEXT, false, COL(comment)},
    {"pk", FLAG, false, COL(pk)},
    {"unique", FLAG, false, COL(unique)},
    {"check", CHECK_ONE, false, COL(ones[FILE_CHECK])},
    {"references", FOREIGN_MADE, false, COL(ones[FILE_FOREIGN_KEY])},
    {"generated", GENERATED, false, 0},
};
static const struct field generated_fields[] = {
    {"expression", EXPR, false, COL(generated)},
    {"virtual", FLAG, false, COL(computed)},
    {"identity", IDENTITY_OF, false, 0},
};
static const struct field identity_fields[] = {
    {"user_specified_values", IDENTITY_FOR, false, COL(identity_for)},
    {"sequence_options", SEQUENCE, false, COL(sequence)},
};
static const struct field key_fields[] = {
    {"column", NAME, true, KEY(column)}, {"collate", TABLE, false, KEY(collation)},
    {"opclass", OPCLASS, false, 0},      {"sort", SORT, false, KEY(sort)},
    {"nulls", NULLS, false, KEY(nulls)},
};
static const struct field opclass_fields[] = {
    {"name", TABLE, true, KEY(opclass)},
    {"params", PARAMS, false, KEY(params)},
};

const char *file_counts_in(const char *type)
{
    static const char *const serials[][2] = {{"smallserial", "smallint"}, {"serial2", "smallint"},
                                             {"serial", "integer"},       {"serial4", "integer"},
                                             {"bigserial", "bigint"},     {"serial8", "bigint"}};

    for (size_t i = 0; i < ARRAY_LEN(serials); i++)
        if (!strcasecmp(type, serials[i][0]))
            return serials[i][1];
    return NULL;
}

/* ---- columns ---- */

static enum rc check_generated(struct load *load, const char *path,
                               const struct file_column *column)
{
    if (!column->generated == !column->identity)
        return file_bad(load, path, "one of \"expression\" and \"identity\" is wanted");
    if (column->computed && column->identity)
        return file_bad(load, path, "\"virtual\" goes with \"expression\" only");
    return RC_OK;
}

static enum rc read_generated(struct load *load, const char *path, json_t *value,
                              struct file_column *column)
{
    enum rc rc = file_read_object(load, path, value, FIELDS(generated_fields), column);

    return rc == RC_OK ? check_generated(load, path, column) : rc;
}

/* What the server says of each column that CREATE TABLE makes, and of each that is added. */
static enum rc check_column(struct load *load, const char *path, const struct file_column *column)
{
    if (!column->generated && !column->identity)
        return RC_OK;
    if (column->def)
        return file_bad(load, path, "\"default\" and \"generated\" do not go together");
    if (file_counts_in(column->type)) {
        err_hint(load->err, "let it be of type %s", file_counts_in(column->type));
        return file_bad(load, path,
                        "a column of type %s counts already: \"generated\" does not go "
                        "with it",
                        column->type);
    }
    return RC_OK;
}

static enum rc read_columns(struct load *load, const char *path, json_t *value,
                            enum field_kind kind, struct file_op *op)
{
    static const struct {
        const struct field *fields;
        size_t n;
    } of[] = {[COLUMN] = {FIELDS(added_column_fields)},
              [COLUMNS] = {FIELDS(table_column_fields)},
              [NEW_COLUMNS] = {FIELDS(split_column_fields)}};
    bool one = kind == COLUMN;
    size_t n = one ? 1 : json_array_size(value);
    struct file_column *columns = mem_calloc(n + 1, sizeof(*columns));
    enum rc rc = RC_OK;

    op->columns = columns;
    op->ncolumns = n;
    if (!one && n == 0)
        return file_bad(load, path, "a list of at least one column is wanted");
    for (size_t i = 0; rc == RC_OK && i < n; i++) {
        char *at = one ? mem_strdup(path) : mem_printf("%s[%zu]", path, i);

        rc = file_read_object(load, at, one ? value : json_array_get(value, i), of[kind].fields,
                              of[kind].n, &columns[i]);
        if (rc == RC_OK)
            rc = check_column(load, at, &columns[i]);
        for (size_t k = 0; rc == RC_OK && k < i; k++)
            if (!strcmp(columns[k].name, columns[i].name))
                rc = file_bad(load, at, "column \"%s\" stands twice in the list", columns[i].name);
        free(at);
    }
    return rc;
}

/* ---- columns of an index ---- */

static enum rc read_params(struct load *load, const char *path, json_t *value, char **out)
{
    struct buf all = {0};
    enum rc rc = RC_OK;

    if (json_array_size(value) == 0)
        return file_bad(load, path, "a list of texts is wanted: \"name=value\"");
    for (size_t i = 0; rc == RC_OK && i < json_array_size(value); i++) {
        const char *text = json_string_value(json_array_get(value, i));
        char *at = mem_printf("%s[%zu]", path, i), *one = NULL;

        rc = text ? file_read_text(load, at, PARAMETERS, text, &one)
                  : file_bad(load, at, "a string is wanted");
        if (rc == RC_OK)
            buf_printf(&all, "%s%s", i ? ", " : "", one);
        free(one);
        free(at);
    }
    *out = buf_take(&all);
    return rc;
}

/* pgroll's older files have an object by column: its settings, which may be none. */
static enum rc read_key(struct load *load, const char *path, const char *column, json_t *value,
                        struct file_index_column *key)
{
    size_t own = column != NULL; /* the first field is the column's name */
    enum rc rc = RC_OK;

    if (column)
        rc = file_read_text(load, path, NAME, column, &key->column);
    if (rc != RC_OK || (column && json_is_null(value)))
        return rc;
    if (json_is_string(value) && !column)
        return file_read_text(load, path, NAME, json_string_value(value), &key->column);
    return file_read_object(load, path, value, key_fields + own, ARRAY_LEN(key_fields) - own, key);
}

static enum rc read_keys(struct load *load, const char *path, json_t *value, struct file_op *op)
{
    bool by_name = json_is_object(value);
    size_t n = by_name ? json_object_size(value) : json_array_size(value);
    void *next = by_name ? json_object_iter(value) : NULL;
    enum rc rc = RC_OK;

    op->keys = mem_calloc(n + 1, sizeof(*op->keys));
    op->nkeys = n;
    op->keys_by_name = by_name;
    if (n == 0 || n > FILE_KEYS_MAX)
        return file_bad(load, path, "a list of 1 to %d columns is wanted, or an object by column",
                        FILE_KEYS_MAX);
    for (size_t i = 0; rc == RC_OK && i < n; i++) {
        const char *column = by_name ? json_object_iter_key(next) : NULL;
        json_t *item = by_name ? json_object_iter_value(next) : json_array_get(value, i);
        char *at = by_name ? mem_printf("%s.%s", path, column) : mem_printf("%s[%zu]", path, i);

        rc = read_key(load, at, column, item, &op->keys[i]);
        next = by_name ? json_object_iter_next(value, next) : NULL;
        free(at);
    }
    return rc;
}

/* ---- constraints of a new table ---- */

static enum rc read_constraints(struct load *load, const char *path, json_t *value,
                                struct file_op *op)
{
    size_t n = json_array_size(value);
    enum rc rc = RC_OK;

    if (!json_is_array(value) || n > FILE_CONSTRAINTS_MAX)
        return file_bad(load, path, "a list of at most %d constraints is wanted",
                        FILE_CONSTRAINTS_MAX);
    op->constraints = mem_calloc(n + 1, sizeof(*op->constraints));
    op->nconstraints = n;
    for (size_t i = 0; rc == RC_OK && i < n; i++) {
        char *at = mem_printf("%s[%zu]", path, i);

        rc = file_read_constraint(load, at, json_array_get(value, i), &op->constraints[i]);
        free(at);
    }
    return rc;
}

enum rc file_read_new(struct load *load, const char *path, json_t *value, const struct field *field,
                      void *base)
{
    switch (field->kind) {
    case KEYS:
        return read_keys(load, path, value, base);
    case OPCLASS:
        return file_read_object(load, path, value, FIELDS(opclass_fields), base);
    case PARAMS:
        return read_params(load, path, value, (char **)(void *)((char *)base + field->at));
    case GENERATED:
        return read_generated(load, path, value, base);
    case IDENTITY_OF:
        ((struct file_column *)base)->identity = true;
        return file_read_object(load, path, value, FIELDS(identity_fields), base);
    case CONSTRAINTS:
        return read_constraints(load, path, value, base);
    default:
        return read_columns(load, path, value, field->kind, base);
    }
}

/* ---- checks of two fields: add_column ---- */

/* `path`: of the operation. Sets the error at one of the column's fields. */
static enum rc bad_field(struct load *load, const char *path, const char *field, const char *hint,
                         const char *why)
{
    char *at = mem_printf("%s.%s", path, field);

    err_hint(load->err, "%s", hint);
    file_bad(load, at, "%s", why);
    free(at);
    return RC_ERR;
}

#define TO_COMPUTE                                                                                 \
    "from PostgreSQL 18 on say \"virtual\": true, which stores nothing; or leave \"generated\" "   \
    "out, let \"up\" be the expression, and let the application, or a trigger of yours, write it"

static enum rc check_generated_add(struct load *load, const char *path, const struct file_op *op)
{
    const struct file_column *column = &op->columns[0];

    if (column->identity)
        return bad_field(
            load, path, "column.generated.identity",
            "let the type be smallserial, serial or bigserial, which are filled while "
            "the table is in use",
            "PostgreSQL would number the rows that are there by a rewrite of the whole "
            "table, while nobody can use it");
    if (!column->computed)
        return bad_field(load, path, "column.generated.expression", TO_COMPUTE,
                         "PostgreSQL would compute a stored column by a rewrite of the whole "
                         "table, while nobody can use it");
    if (!column->nullable)
        return bad_field(load, path, "column.generated",
                         "say \"nullable\": true, and what must hold as a \"check\"",
                         "NOT NULL of a virtual column would be looked at in every row, while "
                         "nobody can use the table");
    if (op->up)
        return bad_field(load, path, "up", "leave it out",
                         "a virtual column has no values to be filled: it is its expression");
    if (column->pk || column->ones[FILE_UNIQUE] || column->ones[FILE_FOREIGN_KEY])
        return bad_field(load, path,
                         column->pk                  ? "column.pk"
                         : column->ones[FILE_UNIQUE] ? "column.unique"
                                                     : "column.references",
                         "use a column that is stored",
                         "PostgreSQL has no keys and no foreign keys of virtual columns");
    return RC_OK;
}

static enum rc check_serial_add(struct load *load, const char *path, const struct file_op *op)
{
    const struct file_column *column = &op->columns[0];

    if (column->def)
        return bad_field(load, path, "column.default", "leave the default out",
                         "a column that counts by itself has a default of its own");
    if (op->up)
        return bad_field(load, path, "up",
                         "leave it out; or take an integer type, and a default that counts with a "
                         "sequence of yours",
                         "a column that counts by itself numbers the rows that are there");
    if (column->nullable)
        return bad_field(load, path, "column.nullable", "leave it out",
                         "a column that counts by itself is NOT NULL");
    return RC_OK;
}

enum rc file_check_add(struct load *load, const char *path, struct file_op *op)
{
    const struct file_column *column = &op->columns[0];

    if (column->generated || column->identity) {
        if (check_generated_add(load, path, op) != RC_OK)
            return RC_ERR;
    } else if (file_counts_in(column->type)) {
        if (check_serial_add(load, path, op) != RC_OK)
            return RC_ERR;
    } else if ((!column->nullable || column->pk) && !column->def && !op->up) {
        err_hint(load->err, "add %sa \"default\", or \"up\"",
                 column->pk ? "" : "\"nullable\": true, or ");
        return file_bad(load, path, "column \"%s\" is NOT NULL and has neither default nor up",
                        column->name);
    }
    return file_take_ones(load, path, op);
}

/* ---- ... create_table ---- */

static bool has_column(const struct file_op *op, const char *name)
{
    for (size_t i = 0; i < op->ncolumns; i++)
        if (!strcmp(op->columns[i].name, name))
            return true;
    return false;
}

static enum rc check_constraint_columns(struct load *load, const char *path,
                                        const struct file_op *op, const struct file_constraint *c)
{
    const struct {
        const char *field;
        const struct file_names *names;
    } lists[] = {{"columns", &c->columns}, {"index_parameters.include_columns", &c->include}};

    for (size_t l = 0; l < ARRAY_LEN(lists); l++)
        for (size_t i = 0; i < lists[l].names->n; i++) {
            char *at;

            if (has_column(op, lists[l].names->v[i]))
                continue;
            at = mem_printf("%s.%s[%zu]", path, lists[l].field, i);
            err_hint(load->err, "name one of \"columns\" of the table");
            file_bad(load, at, "the table has no column \"%s\"", lists[l].names->v[i]);
            free(at);
            return RC_ERR;
        }
    return RC_OK;
}

/* Does another constraint of the table have the name? `but`: how many of the list are looked at. */
static bool is_named(const struct file_op *op, const char *name, size_t but)
{
    for (size_t i = 0; i < but; i++)
        if (!strcmp(op->constraints[i].name, name))
            return true;
    for (size_t i = 0; i < op->ncolumns; i++)
        for (size_t k = 0; k < FILE_ONES; k++) {
            const struct file_constraint *one = op->columns[i].ones[k];

            if (one && one->name && !strcmp(one->name, name))
                return true;
        }
    return false;
}

/* Those of columns are unnamed, or have a name that none in front of them has. */
static enum rc check_column_names(struct load *load, const char *path, const struct file_op *op)
{
    static const char *const fields[] = {
        [FILE_CHECK] = "check", [FILE_FOREIGN_KEY] = "references", [FILE_UNIQUE] = "unique"};
    const char *seen[FILE_CONSTRAINTS_MAX];
    size_t n = 0;

    for (size_t i = 0; i < op->ncolumns; i++)
        for (size_t k = 0; k < ARRAY_LEN(fields); k++) {
            const struct file_constraint *one = op->columns[i].ones[k];
            char *at;

            if (!one || !one->name)
                continue;
            at = mem_printf("%s.columns[%zu].%s.name", path, i, fields[k]);
            for (size_t s = 0; s < n; s++)
                if (!strcmp(seen[s], one->name))
                    file_bad(load, at, "two constraints are called \"%s\"", one->name);
            if (n == FILE_CONSTRAINTS_MAX)
                file_bad(load, at, "a table has at most %d constraints with a name",
                         FILE_CONSTRAINTS_MAX);
            free(at);
            if (err_is_set(load->err))
                return RC_ERR;
            seen[n++] = one->name;
        }
    return RC_OK;
}

static enum rc check_keys_of(struct load *load, const char *path, const struct file_op *op)
{
    size_t columns = 0, lists = 0;

    for (size_t i = 0; i < op->ncolumns; i++)
        columns += op->columns[i].pk;
    for (size_t i = 0; i < op->nconstraints; i++)
        lists += op->constraints[i].kind == FILE_PRIMARY_KEY;
    if (lists + (columns > 0) <= 1)
        return RC_OK;
    err_hint(load->err, "say it once: \"pk\" of columns, or one constraint");
    return file_bad(load, path, "a table has one primary key");
}

enum rc file_check_table(struct load *load, const char *path, struct file_op *op)
{
    enum rc rc;

    for (size_t i = 0; i < op->ncolumns; i++)
        for (size_t k = 0; k < FILE_ONES; k++)
            file_own_column(op->columns[i].ones[k], op->columns[i].name);
    rc = check_column_names(load, path, op);
    for (size_t i = 0; rc == RC_OK && i < op->nconstraints; i++) {
        const struct file_constraint *c = &op->constraints[i];
        char *at = mem_printf("%s.constraints[%zu]", path, i);

        rc = check_constraint_columns(load, at, op, c);
        if (rc == RC_OK && is_named(op, c->name, i))
            rc = bad_field(load, at, "name", "choose another name",
                           "another constraint of the table has this name");
        free(at);
    }
    return rc == RC_OK ? check_keys_of(load, path, op) : rc;
}

/* ---- freeing ---- */

static void column_fini(struct file_column *column)
{
    char *const texts[] = {column->name,    column->type,      column->def,
                           column->comment, column->generated, column->identity_for,
                           column->sequence};

    for (size_t i = 0; i < ARRAY_LEN(texts); i++)
        free(texts[i]);
    file_ones_fini(column->ones);
}

static void key_fini(struct file_index_column *key)
{
    char *const texts[] = {key->column,       key->sort,           key->nulls,
                           key->params,       key->collation.name, key->collation.schema,
                           key->opclass.name, key->opclass.schema};

    for (size_t i = 0; i < ARRAY_LEN(texts); i++)
        free(texts[i]);
}

void file_new_fini(struct file_op *op)
{
    for (size_t i = 0; i < op->ncolumns; i++)
        column_fini(&op->columns[i]);
    free(op->columns);
    for (size_t i = 0; i < op->nkeys; i++)
        key_fini(&op->keys[i]);
    free(op->keys);
    for (size_t i = 0; i < op->nconstraints; i++)
        file_constraint_fini(&op->constraints[i]);
    free(op->constraints);
}
