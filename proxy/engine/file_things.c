/* Operations on whole things: tables, indexes, names of constraints, enums, and SQL itself. */
#include <stdlib.h>
#include <string.h>

#include "file_read.h"
#include "segue/base/mem.h"

const struct field file_only_name_fields[1] = {
    {"name", TABLE, true, OP(table)},
};
const struct field file_rename_table_fields[2] = {
    {"from", TABLE, true, OP(table)},
    {"to", NAME, true, OP(to)},
};
const struct field file_rename_constraint_fields[3] = {
    {"table", TABLE, true, OP(table)},
    {"from", NAME, true, OP(from)},
    {"to", NAME, true, OP(to)},
};
const struct field file_replica_identity_fields[2] = {
    {"table", TABLE, true, OP(table)},
    {"identity", IDENTITY, true, 0},
};
const struct field file_sql_fields[3] = {
    {"up", STATEMENTS, true, OP(up)},
    {"down", STATEMENTS, false, OP(down)},
    {"onComplete", FLAG, false, OP(on_complete)},
};
const struct field file_create_enum_fields[2] = {
    {"name", TABLE, true, OP(table)},
    {"values", VALUES, true, OP(values)},
};
const struct field file_add_enum_value_fields[4] = {
    {"name", TABLE, true, OP(table)},
    {"value", NAME, true, OP(value)},
    {"before", NAME, false, OP(before)},
    {"after", NAME, false, OP(after)},
};
static const struct field identity_fields[] = {
    {"type", IDENTITY_TYPE, true, OP(identity)},
    {"index", NAME, false, OP(identity_index)},
};

/* ---- reading ---- */

static enum rc read_values(struct load *load, const char *path, json_t *value,
                           struct file_names *values)
{
    size_t n = json_array_size(value);
    enum rc rc = RC_OK;

    if (n == 0 || n > FILE_ENUM_VALUES_MAX)
        return file_bad(load, path, "a list of 1 to %d values is wanted", FILE_ENUM_VALUES_MAX);
    values->v = mem_calloc(n, sizeof(*values->v));
    values->n = n;
    for (size_t i = 0; rc == RC_OK && i < n; i++) {
        const char *text = json_string_value(json_array_get(value, i));
        char *at = mem_printf("%s[%zu]", path, i);

        rc = text ? file_read_text(load, at, NAME, text, &values->v[i])
                  : file_bad(load, at, "a string is wanted");
        for (size_t k = 0; rc == RC_OK && k < i; k++)
            if (!strcmp(values->v[k], text))
                rc = file_bad(load, at, "\"%s\" stands twice in the list", text);
        free(at);
    }
    return rc;
}

enum rc file_read_thing(struct load *load, const char *path, json_t *value,
                        const struct field *field, struct file_op *op)
{
    if (field->kind == VALUES)
        return read_values(load, path, value, &op->values);
    return file_read_object(load, path, value, identity_fields, ARRAY_LEN(identity_fields), op);
}

/* ---- checks of two fields ---- */

enum rc file_check_two_names(struct load *load, const char *path, struct file_op *op)
{
    const char *from = op->from ? op->from : op->table.name;

    if (!strcmp(from, op->to))
        return file_bad(load, path, "\"from\" and \"to\" are the same name");
    return RC_OK;
}

enum rc file_check_identity(struct load *load, const char *path, struct file_op *op)
{
    bool wants = !strcmp(op->identity, "INDEX");

    if (wants == (op->identity_index != NULL))
        return RC_OK;
    return file_bad(load, path,
                    wants ? "identity of type \"index\" needs \"index\": the name of one"
                          : "\"index\" goes with identity of type \"index\" only");
}

enum rc file_check_sql(struct load *load, const char *path, struct file_op *op)
{
    if (!op->on_complete || !op->down)
        return RC_OK;
    err_hint(load->err, "after complete there is no way back: leave out down, or onComplete");
    return file_bad(load, path, "\"down\" and \"onComplete\" do not go together");
}

enum rc file_check_enum_value(struct load *load, const char *path, struct file_op *op)
{
    const char *beside = op->before ? op->before : op->after;

    if (op->before && op->after)
        return file_bad(load, path, "\"before\" and \"after\" do not go together");
    if (beside && !strcmp(beside, op->value))
        return file_bad(load, path, "\"%s\" is to stand beside itself", op->value);
    return RC_OK;
}

void file_things_fini(struct file_op *op)
{
    char *const texts[] = {op->identity, op->identity_index, op->value, op->before, op->after};

    for (size_t i = 0; i < ARRAY_LEN(texts); i++)
        free(texts[i]);
    for (size_t i = 0; i < op->values.n; i++)
        free(op->values.v[i]);
    free(op->values.v);
}
