/*
 * The loader: each kind of object is a table of its fields (name, how to read it, where it goes),
 * one reader for all. Checks that need two fields follow after.
 */
#include "file_read.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "segue/base/buf.h"
#include "segue/base/mem.h"
#include "segue/sql/expr.h"
#include "segue/sql/options.h"

static const struct field rename_fields[] = {
    {"table", TABLE, true, OP(table)}, {"from", NAME, true, OP(from)},
    {"to", NAME, true, OP(to)},        {"type", TYPE, false, OP(type)},
    {"up", EXPR, false, OP(up)},       {"down", EXPR, false, OP(down)},
};

static enum rc check_rename(struct load *load, const char *path, struct file_op *op);

#define FIELDS(list) list, ARRAY_LEN(list)

static const struct {
    const char *name;
    const struct field *fields;
    size_t nfields;
    enum rc (*check)(struct load *load, const char *path, struct file_op *op); /* of two fields */
} operations[] = {
    [FILE_RENAME_COLUMN] = {"rename_column", FIELDS(rename_fields), check_rename},
    [FILE_ADD_COLUMN] = {"add_column", FIELDS(file_add_column_fields), file_check_add},
    [FILE_CREATE_TABLE] = {"create_table", FIELDS(file_create_table_fields), file_check_table},
    [FILE_CREATE_INDEX] = {"create_index", FIELDS(file_create_index_fields), NULL},
    [FILE_DROP_COLUMN] = {"drop_column", FIELDS(file_drop_column_fields), NULL},
    [FILE_ALTER_COLUMN] = {"alter_column", FIELDS(file_alter_column_fields), file_check_alter},
    [FILE_CREATE_CONSTRAINT] = {"create_constraint", FIELDS(file_create_constraint_fields),
                                file_check_constraint},
    [FILE_DROP_CONSTRAINT] = {"drop_constraint", FIELDS(file_drop_constraint_fields), NULL},
    [FILE_DROP_MULTICOLUMN_CONSTRAINT] = {"drop_multicolumn_constraint",
                                          FIELDS(file_drop_many_fields), NULL},
    [FILE_DROP_TABLE] = {"drop_table", FIELDS(file_only_name_fields), NULL},
    [FILE_RENAME_TABLE] = {"rename_table", FIELDS(file_rename_table_fields), file_check_two_names},
    [FILE_DROP_INDEX] = {"drop_index", FIELDS(file_only_name_fields), NULL},
    [FILE_RENAME_CONSTRAINT] = {"rename_constraint", FIELDS(file_rename_constraint_fields),
                                file_check_two_names},
    [FILE_SET_REPLICA_IDENTITY] = {"set_replica_identity", FIELDS(file_replica_identity_fields),
                                   file_check_identity},
    [FILE_SQL] = {"sql", FIELDS(file_sql_fields), file_check_sql},
    [FILE_CREATE_ENUM] = {"create_enum", FIELDS(file_create_enum_fields), NULL},
    [FILE_ADD_ENUM_VALUE] = {"add_enum_value", FIELDS(file_add_enum_value_fields),
                             file_check_enum_value},
    [FILE_REMOVE_ENUM] = {"remove_enum", FIELDS(file_only_name_fields), NULL},
    [FILE_CHANGE_COLUMNS] = {"change_columns", FIELDS(file_change_columns_fields),
                             file_check_change},
};
_Static_assert(ARRAY_LEN(operations) == FILE_OP_COUNT, "an operation without a row");

const char *file_op_name(enum file_op_kind kind)
{
    return operations[kind].name;
}

/* ---- errors ---- */

enum rc file_bad(struct load *load, const char *path, const char *fmt, ...)
{
    struct buf text = {0};
    va_list ap;

    va_start(ap, fmt);
    buf_vprintf(&text, fmt, ap);
    va_end(ap);
    err_set(load->err, "22023", "%s:%d: %s%s%s", load->where,
            file_line(load->where, load->text, path), path, *path ? ": " : "", text.data);
    buf_fini(&text);
    return RC_ERR;
}

static char *allowed_names(const struct field *fields, size_t n)
{
    struct buf out = {0};

    for (size_t i = 0; i < n; i++)
        buf_printf(&out, "%s%s", i ? ", " : "", fields[i].name);
    return buf_take(&out);
}

/* ---- values ---- */

static enum rc read_name(struct load *load, const char *path, const char *text, char **out)
{
    if (!*text || strlen(text) > FILE_NAME_BYTES_MAX)
        return file_bad(load, path, "a name has 1 to %d bytes, this one has %zu",
                        FILE_NAME_BYTES_MAX, strlen(text));
    *out = mem_strdup(text);
    return RC_OK;
}

/* One part of a table's name: up to a dot outside of quotes. Returns what is behind it. */
static const char *name_part(const char *p, char **out)
{
    struct buf part = {0};

    if (*p != '"') {
        size_t len = strcspn(p, ".");

        *out = mem_strndup(p, len);
        return p + len;
    }
    for (p++; *p && (*p != '"' || p[1] == '"'); p++) {
        p += *p == '"';
        buf_append(&part, p, 1);
    }
    *out = buf_take(&part);
    return *p ? p + 1 : p;
}

static enum rc read_table(struct load *load, const char *path, const char *text,
                          struct file_name *out)
{
    char *first, *second = NULL;
    const char *end = name_part(text, &first);

    if (*end == '.')
        end = name_part(end + 1, &second);
    out->schema = second ? first : NULL;
    out->name = second ? second : first;
    if (*end || !*out->name || (out->schema && !*out->schema) ||
        strlen(out->name) > FILE_NAME_BYTES_MAX ||
        (out->schema && strlen(out->schema) > FILE_NAME_BYTES_MAX))
        return file_bad(load, path, "\"%s\" is not the name of a table", text);
    return RC_OK;
}

/* SQL that is put into other SQL: a comment at its end must not reach beyond it. */
static char *closed(const char *text)
{
    return strstr(text, "--") ? mem_printf("%s\n", text) : mem_strdup(text);
}

static enum rc read_expr(struct load *load, const char *path, const char *text, char **out)
{
    struct sql_expr_info info;
    struct err why = {0};
    const char *fault = NULL;

    if (sql_expr_parse(text, &info, &why) != RC_OK) {
        err_hint(load->err, "%s", why.hint[0] ? why.hint : "one scalar SQL expression is allowed");
        return file_bad(load, path, "%s", why.text);
    }
    if (info.has_subquery)
        fault = "a subquery";
    else if (info.has_aggregate_or_window)
        fault = "an aggregate or window function";
    else if (info.has_parameter)
        fault = "a parameter";
    sql_expr_info_fini(&info);
    if (fault) {
        err_hint(load->err, "put it into a function and call that");
        return file_bad(load, path, "%s is not allowed in an expression", fault);
    }
    *out = closed(text);
    return RC_OK;
}

static enum rc read_type(struct load *load, const char *path, const char *text, char **out)
{
    struct err why = {0};

    if (sql_type_parse(text, &why) != RC_OK)
        return file_bad(load, path, "%s", why.text);
    *out = closed(text);
    return RC_OK;
}

enum rc file_read_choice(struct load *load, const char *path, const char *text,
                         const char *const *choices, size_t n, char **out)
{
    struct buf all = {0};
    enum rc rc;

    for (size_t i = 0; i < n; i++) {
        if (!strcasecmp(choices[i], text)) {
            *out = mem_strdup(choices[i]);
            buf_fini(&all);
            return RC_OK;
        }
        buf_printf(&all, "%s%s", i ? ", " : "", choices[i]);
    }
    rc = file_bad(load, path, "\"%s\" is not one of %s", text, all.data);
    buf_fini(&all);
    return rc;
}

/* ---- lists ---- */

static enum rc read_heads(struct load *load, const char *path, json_t *value, void *out)
{
    size_t n = json_array_size(value);
    char **heads = mem_calloc(n + 1, sizeof(*heads));

    *(char ***)out = heads;
    ((struct file *)(void *)((char *)out - offsetof(struct file, alembic_from)))->nalembic_from = n;
    if (n == 0)
        return file_bad(load, path, "a list of at least one revision is wanted");
    for (size_t i = 0; i < n; i++) {
        const char *text = json_string_value(json_array_get(value, i));

        if (!text)
            return file_bad(load, path, "a revision is a string");
        heads[i] = mem_strdup(text);
    }
    return RC_OK;
}

/* ---- fields and objects ---- */

/* What is no expression, and checked by the grammar all the same. */
static enum rc read_list(struct load *load, const char *path, enum field_kind kind,
                         const char *text, char **out)
{
    struct err why = {0};
    size_t n;
    enum rc rc = kind == SEQUENCE    ? sql_sequence_parse(text, &why)
                 : kind == EXCLUSION ? sql_exclusion_parse(text, &why)
                                     : sql_parameters_parse(text, &n, &why);

    if (rc != RC_OK) {
        if (why.hint[0])
            err_hint(load->err, "%s", why.hint);
        return file_bad(load, path, "%s", why.text);
    }
    *out = closed(text);
    return RC_OK;
}

static enum rc read_match(struct load *load, const char *path, const char *text, char **out)
{
    static const char *const matches[] = {"SIMPLE", "FULL"};

    if (!strcasecmp(text, "PARTIAL")) {
        err_hint(load->err, "FULL, or SIMPLE with a check of which columns may be NULL together");
        return file_bad(load, path, "PostgreSQL has no MATCH PARTIAL");
    }
    return file_read_choice(load, path, text, matches, ARRAY_LEN(matches), out);
}

enum rc file_read_text(struct load *load, const char *path, enum field_kind kind, const char *text,
                       void *out)
{
    static const struct {
        const char *of[5];
        size_t n;
    } choices[] = {
        [ON_DELETE] = {{"NO ACTION", "RESTRICT", "CASCADE", "SET NULL", "SET DEFAULT"}, 5},
        [SORT] = {{"ASC", "DESC"}, 2},
        [NULLS] = {{"FIRST", "LAST"}, 2},
        [IDENTITY_TYPE] = {{"DEFAULT", "FULL", "NOTHING", "INDEX"}, 4},
        [IDENTITY_FOR] = {{"ALWAYS", "BY DEFAULT"}, 2},
    };

    switch (kind) {
    case NAME:
        return read_name(load, path, text, out);
    case TABLE:
        return read_table(load, path, text, out);
    case EXPR:
        return read_expr(load, path, text, out);
    case TYPE:
        return read_type(load, path, text, out);
    case STATEMENTS:
        *(char **)out = closed(text);
        return RC_OK;
    case PARAMETERS:
    case SEQUENCE:
    case EXCLUSION:
        return read_list(load, path, kind, text, out);
    case MATCH:
        return read_match(load, path, text, out);
    default:
        if (kind < ARRAY_LEN(choices) && choices[kind].n)
            return file_read_choice(load, path, text, choices[kind].of, choices[kind].n, out);
        *(char **)out = mem_strdup(text);
        return RC_OK;
    }
}

static enum rc read_field(struct load *load, const char *path, json_t *value,
                          const struct field *field, void *base)
{
    void *out = (char *)base + field->at;

    if (field->kind >= MAYBE)
        return file_read_alter(load, path, value, field, out);
    if (field->kind >= IDENTITY)
        return file_read_thing(load, path, value, field, base);
    if (field->kind >= COLUMN)
        return file_read_new(load, path, value, field, base);
    if (field->kind == HEADS)
        return read_heads(load, path, value, out);
    if (field->kind == FLAG) {
        if (!json_is_boolean(value))
            return file_bad(load, path, "true or false is wanted");
        *(bool *)out = json_is_true(value);
        return RC_OK;
    }
    if (json_is_number(value) || json_is_boolean(value))
        err_hint(load->err, "put it into quotes");
    if (!json_is_string(value))
        return file_bad(load, path, "a string is wanted");
    return file_read_text(load, path, field->kind, json_string_value(value), out);
}

enum rc file_read_object(struct load *load, const char *path, json_t *value,
                         const struct field *fields, size_t nfields, void *base)
{
    char *allowed = allowed_names(fields, nfields);
    const char *key;
    json_t *item;
    enum rc rc = RC_OK;

    if (!json_is_object(value))
        rc = file_bad(load, path, "an object with the fields %s is wanted", allowed);
    json_object_foreach(value, key, item)
    {
        char *at = mem_printf("%s%s%s", path, *path ? "." : "", key);
        size_t i = 0;

        while (i < nfields && strcmp(fields[i].name, key))
            i++;
        if (i == nfields)
            rc = file_bad(load, at, "unknown field; allowed here: %s", allowed);
        else
            rc = read_field(load, at, item, &fields[i], base);
        free(at);
        if (rc != RC_OK)
            break;
    }
    for (size_t i = 0; rc == RC_OK && i < nfields; i++)
        if (fields[i].required && !json_object_get(value, fields[i].name))
            rc = file_bad(load, path, "field \"%s\" is missing; allowed here: %s", fields[i].name,
                          allowed);
    free(allowed);
    return rc;
}

/* ---- operations ---- */

static enum rc check_rename(struct load *load, const char *path, struct file_op *op)
{
    if (!strcmp(op->from, op->to))
        return file_bad(load, path, "\"from\" and \"to\" are the same name");
    if (!op->type && (op->up || op->down)) {
        err_hint(load->err, "name the type of the new column, or leave out up and down");
        return file_bad(load, path, "\"up\" and \"down\" need \"type\"");
    }
    if ((op->up == NULL) != (op->down == NULL))
        return file_bad(load, path, "\"up\" and \"down\" go together: one of them is missing");
    return RC_OK;
}

static char *operation_names(void)
{
    struct buf out = {0};

    for (size_t i = 0; i < ARRAY_LEN(operations); i++)
        buf_printf(&out, "%s%s", i ? ", " : "", operations[i].name);
    return buf_take(&out);
}

static enum rc read_operation(struct load *load, size_t index, json_t *value, struct file_op *op)
{
    const char *key = json_object_iter_key(json_object_iter(value));
    char *path = mem_printf("operations[%zu]", index);
    char *inner = NULL, *known = operation_names();
    size_t kind = 0;
    enum rc rc = RC_ERR;

    op->index = index;
    while (kind < FILE_OP_COUNT && (!key || strcmp(operations[kind].name, key)))
        kind++;
    if (json_object_size(value) != 1) {
        file_bad(load, path, "an operation is an object with one of: %s", known);
        goto out;
    }
    if (kind == FILE_OP_COUNT) {
        file_bad(load, path, "there is no operation \"%s\"; known: %s", key, known);
        goto out;
    }
    op->kind = (enum file_op_kind)kind;
    inner = mem_printf("%s.%s", path, key);
    rc = file_read_object(load, inner, json_object_get(value, key), operations[kind].fields,
                          operations[kind].nfields, op);
    if (rc == RC_OK && operations[kind].check)
        rc = operations[kind].check(load, inner, op);
out:
    free(known);
    free(inner);
    free(path);
    return rc;
}

static enum rc read_file(struct load *load, json_t *root, struct file *file)
{
    static const char allowed[] = "name, after, operations, version_table";
    json_t *operations_list = json_object_get(root, "operations");
    json_t *version = json_object_get(root, "version_table");
    const char *key;
    json_t *item;
    enum rc rc;

    if (!json_is_object(root))
        return file_bad(load, "", "an object with the fields %s is wanted", allowed);
    json_object_foreach(root, key, item)
    {
        if (strcmp(key, "name") && strcmp(key, "after") && strcmp(key, "operations") &&
            strcmp(key, "version_table"))
            return file_bad(load, key, "unknown field; allowed here: %s", allowed);
    }
    if (!json_is_string(json_object_get(root, "name")))
        return file_bad(load, "name", "a string is wanted: what the migration is called");
    rc = read_name(load, "name", json_string_value(json_object_get(root, "name")), &file->name);
    if (rc != RC_OK)
        return rc;
    file->nops = json_array_size(operations_list);
    if (!json_is_array(operations_list) || file->nops > FILE_OPERATIONS_MAX)
        return file_bad(load, "operations", "a list of 1 to %d operations is wanted",
                        FILE_OPERATIONS_MAX);
    if (file_read_after(load, root, file) != RC_OK)
        return RC_ERR;
    file->ops = mem_calloc(file->nops + 1, sizeof(*file->ops));
    for (size_t i = 0; rc == RC_OK && i < file->nops; i++)
        rc = read_operation(load, i, json_array_get(operations_list, i), &file->ops[i]);
    if (rc == RC_OK && version)
        rc = file_read_version(load, version, file);
    return rc;
}

enum rc file_load(const char *where, const char *text, struct file **file, struct err *err)
{
    struct load load = {where, text, err};
    json_t *root;
    enum rc rc;

    *file = NULL;
    if (file_tree_read(where, text, &root, err) != RC_OK)
        return RC_ERR;
    *file = mem_calloc(1, sizeof(**file));
    rc = read_file(&load, root, *file);
    json_decref(root);
    if (rc != RC_OK) {
        file_free(*file);
        *file = NULL;
    }
    return rc;
}

/* ---- freeing ---- */

static void op_fini(struct file_op *op)
{
    char *const texts[] = {op->table.schema, op->table.name, op->from,   op->to,
                           op->type,         op->up,         op->down,   op->name,
                           op->method,       op->predicate,  op->column, op->parameters};

    for (size_t i = 0; i < ARRAY_LEN(texts); i++)
        free(texts[i]);
    file_new_fini(op);
    file_alter_fini(op);
    file_things_fini(op);
}

void file_free(struct file *file)
{
    if (!file)
        return;
    for (size_t i = 0; file->ops && i < file->nops; i++)
        op_fini(&file->ops[i]);
    free(file->ops);
    for (size_t i = 0; i < file->nalembic_from; i++)
        free(file->alembic_from[i]);
    free(file->alembic_from);
    free(file->alembic_to);
    file_version_fini(file);
    free(file->name);
    free(file);
}
