/*
 * A plan to JSON and back: each struct is a table of fields, one reader and one writer for all.
 *
 * Who reads a plan that another segue has stored must understand all of it, or leave it alone: a
 * field or a kind of step that it does not know is something that it would not do. So nothing is
 * passed over, and what a plan does not need is not written: older ones can read it then. A field
 * that gets another meaning raises FORMAT.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "segue/base/mem.h"
#include "segue/engine/plan.h"

#define FORMAT 2 /* 1: before there was a number */

enum kind { TEXT, TEXTS, FLAG, INT, OID, CHAR, STAGE, STEP_KIND, STRUCTS };

struct shape;

struct field {
    const char *name;
    enum kind kind;
    size_t at;    /* offset of the value, or of the array's pointer */
    size_t count; /* offset of the array's length */
    const struct shape *shape;
};

struct shape {
    size_t size;
    size_t n;
    const struct field *fields;
};

#define AT(type, member) offsetof(struct type, member)
#define SHAPE(type, list)                                                                          \
    {                                                                                              \
        sizeof(struct type), ARRAY_LEN(list), list                                                 \
    }

/* In the place of a shape: plans that an older segue has stored do not have the field. */
static const struct shape later = {0, 0, NULL};

static const struct field dual_fields[] = {
    {"old_name", TEXT, AT(eng_dual, old_name), 0, NULL},
    {"new_name", TEXT, AT(eng_dual, new_name), 0, NULL},
    {"old_type", TEXT, AT(eng_dual, old_type), 0, NULL},
    {"new_type", TEXT, AT(eng_dual, new_type), 0, NULL},
    {"up", TEXT, AT(eng_dual, up), 0, NULL},
    {"down", TEXT, AT(eng_dual, down), 0, NULL},
    {"up_columns", TEXTS, AT(eng_dual, up_columns), AT(eng_dual, nup_columns), NULL},
    {"plain", FLAG, AT(eng_dual, plain), 0, NULL},
    {"equality", TEXT, AT(eng_dual, equality), 0, NULL},
    {"varies", FLAG, AT(eng_dual, varies), 0, NULL},
    {"not_null", FLAG, AT(eng_dual, not_null), 0, NULL},
    {"old_not_null", FLAG, AT(eng_dual, old_not_null), 0, NULL},
    {"retypes", FLAG, AT(eng_dual, retypes), 0, NULL},
    {"group", INT, AT(eng_dual, group), 0, &later},
    {"def", TEXT, AT(eng_dual, def), 0, &later},
    {"counts", FLAG, AT(eng_dual, counts), 0, &later},
    {"down_columns", TEXTS, AT(eng_dual, down_columns), AT(eng_dual, ndown_columns), &later},
    {"old_default", TEXT, AT(eng_dual, old_default), 0, &later},
    {"new_default", TEXT, AT(eng_dual, new_default), 0, &later},
    {"kept", TEXTS, AT(eng_dual, kept), AT(eng_dual, nkept), &later},
    {"by_trees", FLAG, AT(eng_dual, by_trees), 0, &later},
};
static const struct shape dual_shape = SHAPE(eng_dual, dual_fields);

static const struct field table_fields[] = {
    {"schema", TEXT, AT(eng_table, schema), 0, NULL},
    {"name", TEXT, AT(eng_table, name), 0, NULL},
    {"renamed", TEXT, AT(eng_table, renamed), 0, NULL},
    {"oid", OID, AT(eng_table, oid), 0, NULL},
    {"relkind", CHAR, AT(eng_table, relkind), 0, NULL},
    {"guard", TEXT, AT(eng_table, guard), 0, NULL},
    {"search_path", TEXT, AT(eng_table, search_path), 0, NULL},
    {"settings", TEXT, AT(eng_table, settings), 0, &later},
    {"duals", STRUCTS, AT(eng_table, duals), AT(eng_table, nduals), &dual_shape},
    {"key", TEXTS, AT(eng_table, key), AT(eng_table, nkey), NULL},
    {"relatives", TEXTS, AT(eng_table, relatives), AT(eng_table, nrelatives), NULL},
    {"dependents", TEXTS, AT(eng_table, dependents), AT(eng_table, ndependents), &later},
    {"labels", TEXTS, AT(eng_table, labels), AT(eng_table, nlabels), &later},
};
static const struct shape table_shape = SHAPE(eng_table, table_fields);

static const struct field step_fields[] = {
    {"stage", STAGE, AT(eng_step, stage), 0, NULL},
    {"kind", STEP_KIND, AT(eng_step, kind), 0, NULL},
    {"no", INT, AT(eng_step, no), 0, NULL},
    {"table", INT, AT(eng_step, table), 0, NULL},
    {"title", TEXT, AT(eng_step, title), 0, NULL},
    {"sql", TEXTS, AT(eng_step, sql), AT(eng_step, nsql), NULL},
    {"lock", TEXT, AT(eng_step, lock), 0, NULL},
    {"lock_on", TEXT, AT(eng_step, lock_on), 0, NULL},
    {"holds", TEXT, AT(eng_step, holds), 0, NULL},
    {"gate", FLAG, AT(eng_step, gate), 0, NULL},
    {"again", FLAG, AT(eng_step, again), 0, NULL},
    {"index_schema", TEXT, AT(eng_step, index_schema), 0, NULL},
    {"index_name", TEXT, AT(eng_step, index_name), 0, NULL},
    {"undoes", INT, AT(eng_step, undoes), 0, NULL},
};
static const struct shape step_shape = SHAPE(eng_step, step_fields);

static const struct field note_fields[] = {
    {"refusal", FLAG, AT(eng_note, refusal), 0, NULL},
    {"object", TEXT, AT(eng_note, object), 0, NULL},
    {"text", TEXT, AT(eng_note, text), 0, NULL},
    {"hint", TEXT, AT(eng_note, hint), 0, NULL},
    {"sql", TEXT, AT(eng_note, sql), 0, NULL},
};
static const struct shape note_shape = SHAPE(eng_note, note_fields);

static const struct field plan_fields[] = {
    {"name", TEXT, AT(eng_plan, name), 0, NULL},
    {"sha256", TEXT, AT(eng_plan, sha256), 0, NULL},
    {"file", TEXT, AT(eng_plan, file), 0, NULL},
    {"names", TEXT, AT(eng_plan, names), 0, &later},
    {"tables", STRUCTS, AT(eng_plan, tables), AT(eng_plan, ntables), &table_shape},
    {"created", TEXTS, AT(eng_plan, created), AT(eng_plan, ncreated), NULL},
    {"dropped", TEXTS, AT(eng_plan, dropped), AT(eng_plan, ndropped), NULL},
    {"steps", STRUCTS, AT(eng_plan, steps), AT(eng_plan, nsteps), &step_shape},
    {"notes", STRUCTS, AT(eng_plan, notes), AT(eng_plan, nnotes), &note_shape},
    {"version_kind", TEXT, AT(eng_plan, version_kind), 0, NULL},
    {"version_relation", TEXT, AT(eng_plan, version_relation), 0, NULL},
    {"version_from", TEXTS, AT(eng_plan, version_from), AT(eng_plan, nversion_from), NULL},
    {"version_to", TEXT, AT(eng_plan, version_to), 0, NULL},
};
static const struct shape plan_shape = SHAPE(eng_plan, plan_fields);

static const char *const stage_names[] = {
    [ENG_STAGE_EXPAND] = "expand",     [ENG_STAGE_BACKFILL] = "backfill",
    [ENG_STAGE_BUILD] = "build",       [ENG_STAGE_CUTOVER] = "cutover",
    [ENG_STAGE_REVERT] = "revert",     [ENG_STAGE_SOAK] = "soak",
    [ENG_STAGE_CONTRACT] = "contract", [ENG_STAGE_ABORT] = "abort",
    [ENG_STAGE_SETTLE] = "settle",
};
_Static_assert(ARRAY_LEN(stage_names) == ENG_STAGE_COUNT, "a stage without a name");

static const char *const kind_names[] = {
    [ENG_STEP_DDL] = "ddl",           [ENG_STEP_CONCURRENTLY] = "concurrently",
    [ENG_STEP_VALIDATE] = "validate", [ENG_STEP_FILL] = "fill",
    [ENG_STEP_SQL] = "sql",           [ENG_STEP_PARTITIONS] = "partitions",
    [ENG_STEP_LEAVES] = "leaves",     [ENG_STEP_ANALYZE] = "analyze",
};
_Static_assert(ARRAY_LEN(kind_names) == ENG_STEP_KIND_COUNT, "a kind of step without a name");

const char *eng_stage_name(enum eng_stage stage)
{
    return stage_names[stage];
}

/* ---- writing ---- */

static json_t *struct_to_json(const char *base, const struct shape *shape);

static json_t *field_to_json(const char *base, const struct field *field)
{
    const void *at = base + field->at;
    size_t n = field->count ? *(const size_t *)(const void *)(base + field->count) : 0;
    json_t *list;

    switch (field->kind) {
    case TEXT:
        return *(char *const *)at ? json_string(*(char *const *)at) : json_null();
    case FLAG:
        return json_boolean(*(const bool *)at);
    case INT:
        return json_integer(*(const int *)at);
    case OID:
        return json_integer(*(const uint32_t *)at);
    case CHAR:
        return json_stringn(at, 1);
    case STAGE:
        return json_string(stage_names[*(const enum eng_stage *)at]);
    case STEP_KIND:
        return json_string(kind_names[*(const enum eng_step_kind *)at]);
    case TEXTS:
        list = json_array();
        for (size_t i = 0; i < n; i++)
            json_array_append_new(list, json_string((*(char **const *)at)[i]));
        return list;
    case STRUCTS:
        list = json_array();
        for (size_t i = 0; i < n; i++)
            json_array_append_new(
                list, struct_to_json(*(char *const *)at + i * field->shape->size, field->shape));
        return list;
    }
    return NULL;
}

static bool says_nothing(const json_t *value)
{
    return json_is_null(value) || json_is_false(value) ||
           (json_is_integer(value) && json_integer_value(value) == 0);
}

static json_t *struct_to_json(const char *base, const struct shape *shape)
{
    json_t *object = json_object();

    for (size_t i = 0; i < shape->n; i++) {
        const struct field *field = &shape->fields[i];
        json_t *value = field_to_json(base, field);

        if (field->shape == &later && says_nothing(value))
            json_decref(value);
        else
            json_object_set_new(object, field->name, value);
    }
    return object;
}

json_t *eng_plan_to_json(const struct eng_plan *plan)
{
    json_t *json = struct_to_json((const char *)plan, &plan_shape);

    json_object_set_new(json, "format", json_integer(FORMAT));
    return json;
}

/* ---- reading ---- */

static void refuse(struct err *err, const char *what, const char *name)
{
    err_set(err, "0A000", "its plan has %s \"%s\", which this segue does not know", what, name);
    err_hint(err, "a newer segue has planned it: start that one again, and let it bring the "
                  "migration to its end before you go back");
}

static bool name_from_json(const json_t *value, const char *const *names, size_t n, int *out,
                           const char *what, struct err *err)
{
    const char *text = json_string_value(value);

    for (size_t i = 0; text && i < n; i++) {
        if (!strcmp(names[i], text)) {
            *out = (int)i;
            return true;
        }
    }
    if (text)
        refuse(err, what, text);
    return false;
}

static bool struct_from_json(const json_t *object, char *base, const struct shape *shape,
                             struct err *err);

static bool array_from_json(const json_t *value, char *base, const struct field *field,
                            struct err *err)
{
    size_t n = json_array_size(value);
    size_t size = field->kind == TEXTS ? sizeof(char *) : field->shape->size;
    char *items = mem_calloc(n + 1, size);

    *(void **)(void *)(base + field->at) = items;
    *(size_t *)(void *)(base + field->count) = n;
    for (size_t i = 0; i < n; i++) {
        const json_t *item = json_array_get(value, i);

        if (field->kind == TEXTS && !json_is_string(item))
            return false;
        if (field->kind == TEXTS)
            ((char **)(void *)items)[i] = mem_strdup(json_string_value(item));
        else if (!struct_from_json(item, items + i * size, field->shape, err))
            return false;
    }
    return json_is_array(value);
}

static bool field_from_json(const json_t *value, char *base, const struct field *field,
                            struct err *err)
{
    void *at = base + field->at;
    int code = 0;
    bool ok = true;

    if (!value && field->shape == &later)
        return true;
    switch (field->kind) {
    case TEXT:
        *(char **)at = mem_strdup(json_string_value(value));
        return !value || json_is_string(value) || json_is_null(value); /* as below */
    case FLAG:
        *(bool *)at = json_is_true(value);
        return !value || json_is_boolean(value); /* older plans do not have it */
    case INT:
        *(int *)at = (int)json_integer_value(value);
        return json_is_integer(value);
    case OID:
        *(uint32_t *)at = (uint32_t)json_integer_value(value);
        return json_is_integer(value);
    case CHAR:
        *(char *)at = json_string_length(value) == 1 ? json_string_value(value)[0] : '\0';
        return *(char *)at != '\0';
    case STAGE:
        ok = name_from_json(value, stage_names, ARRAY_LEN(stage_names), &code, "a stage", err);
        *(enum eng_stage *)at = (enum eng_stage)code;
        return ok;
    case STEP_KIND:
        ok = name_from_json(value, kind_names, ARRAY_LEN(kind_names), &code, "a kind of step", err);
        *(enum eng_step_kind *)at = (enum eng_step_kind)code;
        return ok;
    case TEXTS:
    case STRUCTS:
        return array_from_json(value, base, field, err);
    }
    return false;
}

static bool is_field(const struct shape *shape, const char *name)
{
    for (size_t i = 0; i < shape->n; i++)
        if (!strcmp(shape->fields[i].name, name))
            return true;
    return shape == &plan_shape && !strcmp(name, "format");
}

static bool struct_from_json(const json_t *object, char *base, const struct shape *shape,
                             struct err *err)
{
    const char *name;
    json_t *value;

    json_object_foreach((json_t *)object, name, value)
    {
        if (!is_field(shape, name)) {
            refuse(err, "a field", name);
            return false;
        }
    }
    for (size_t i = 0; i < shape->n; i++)
        if (!field_from_json(json_object_get(object, shape->fields[i].name), base,
                             &shape->fields[i], err))
            return false;
    return true;
}

static bool check_format(const json_t *json, struct err *err)
{
    json_int_t format = json_integer_value(json_object_get(json, "format"));
    char text[32];

    if (format <= FORMAT)
        return true;
    snprintf(text, sizeof(text), "%" JSON_INTEGER_FORMAT, format);
    refuse(err, "format", text);
    return false;
}

enum rc eng_plan_from_json(const json_t *json, struct eng_plan **plan, struct err *err)
{
    *plan = mem_calloc(1, sizeof(**plan));
    if (check_format(json, err) && struct_from_json(json, (char *)*plan, &plan_shape, err))
        return RC_OK;
    eng_plan_free(*plan);
    *plan = NULL;
    if (!err_is_set(err)) {
        err_set(err, "XX001", "the stored plan cannot be read");
        err_hint(err, "it was written by another version of segue; go back to that version");
    }
    return RC_ERR;
}

/* ---- freeing, by the same tables ---- */

static void struct_fini(char *base, const struct shape *shape)
{
    for (size_t i = 0; i < shape->n; i++) {
        const struct field *field = &shape->fields[i];
        void **at = (void **)(void *)(base + field->at);
        size_t n = field->count ? *(size_t *)(void *)(base + field->count) : 0;

        if (field->kind != TEXT && field->kind != TEXTS && field->kind != STRUCTS)
            continue;
        for (size_t k = 0; k < n; k++) {
            if (field->kind == TEXTS)
                free(((char **)*at)[k]);
            else
                struct_fini((char *)*at + k * field->shape->size, field->shape);
        }
        free(*at);
    }
}

void eng_plan_free(struct eng_plan *plan)
{
    if (!plan)
        return;
    struct_fini((char *)plan, &plan_shape);
    for (size_t i = 0; i < plan->nparents; i++)
        free(plan->parents[i]);
    free(plan->parents);
    free(plan);
}
