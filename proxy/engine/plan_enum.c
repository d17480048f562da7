/*
 * Enum types. A new one is there from expand on, before everything that may use it; a value is
 * added then too, and stays, since PostgreSQL cannot take one away; one that goes does so at
 * complete, after the columns and tables that go.
 */
#include <stdlib.h>
#include <string.h>

#include "plan_block.h"
#include "plan_build.h"
#include "segue/base/buf.h"
#include "segue/base/mem.h"
#include "segue/catalog/catalog.h"
#include "segue/sql/expr.h"

#define RANK_FIRST (-1)
#define RANK_LAST FILE_OPERATIONS_MAX

/* ---- create_enum ---- */

static const char *goes_in(const struct build *b, const struct file_op *op)
{
    return op->table.schema ? op->table.schema : b->creates_in;
}

/* Where it goes, quoted; heap. NULL with an error. */
static char *place(struct build *b, const struct file_op *op)
{
    static const char sql[] =
        "SELECT format('%I.%I', n.nspname, $2::text), EXISTS (SELECT FROM pg_type t WHERE"
        " t.typnamespace = n.oid AND t.typname = $2), CASE WHEN NOT"
        " has_schema_privilege(n.oid, 'CREATE') THEN format('GRANT CREATE ON SCHEMA %I TO %I',"
        " n.nspname, current_user) END FROM pg_namespace n WHERE n.nspname = $1";
    const char *params[] = {goes_in(b, op), op->table.name};
    char *out = NULL;
    PGresult *res;

    if (own_query(b, sql, 2, params, &res, b->err) != RC_OK)
        return NULL;
    if (PQntuples(res) == 0)
        plan_fail(b, op, "name", "make the schema first, or look at the search_path",
                  "there is no schema to create it in");
    else if (PQgetvalue(res, 0, 1)[0] == 't')
        plan_fail(b, op, "name", "choose another name; a table is a type, too",
                  "type %s already exists", PQgetvalue(res, 0, 0));
    else if (!PQgetisnull(res, 0, 2))
        plan_fail(b, op, "name", PQgetvalue(res, 0, 2),
                  "this role may not create anything in its schema");
    else
        out = mem_strdup(PQgetvalue(res, 0, 0));
    PQclear(res);
    return out;
}

enum rc plan_create_enum(struct build *b, const struct file_op *op)
{
    char *type = place(b, op);
    struct buf values = {0};
    struct eng_step *step;
    size_t made;

    if (!type)
        return RC_ERR;
    for (size_t i = 0; i < op->values.n; i++) {
        char *literal = sql_quote_literal(op->values.v[i]);

        buf_printf(&values, "%s%s", i ? ", " : "", literal);
        free(literal);
    }
    step = build_step(b, ENG_STAGE_EXPAND, ENG_STEP_DDL, -1, "create type %s", type);
    step_sql(step, "CREATE TYPE %s AS ENUM (%s)", type, values.data);
    step->no = RANK_FIRST;
    made = b->plan->nsteps;
    step = build_step(b, ENG_STAGE_ABORT, ENG_STEP_DDL, -1, "drop type %s", type);
    step_sql(step, "DROP TYPE IF EXISTS %s", type);
    step->no = RANK_LAST;
    step->undoes = (int)made;
    buf_fini(&values);
    free(type);
    return RC_OK;
}

/* ---- what a type of the file means ---- */

struct made_enum {
    const struct file_op *op;
    char *whole, *bare; /* quoted; bare NULL: the name alone does not mean it */
};

enum rc enums_read(struct build *b)
{
    enum rc rc = RC_OK;

    for (size_t i = 0; rc == RC_OK && i < b->file->nops; i++) {
        const struct file_op *op = &b->file->ops[i];
        const char *schema = goes_in(b, op);
        bool finds = false;

        if (op->kind != FILE_CREATE_ENUM || !schema) /* without one plan_create_enum says so */
            continue;
        rc = path_would_find(b, schema, op->table.name, true, &finds);
        b->enums = mem_realloc(b->enums, (b->nenums + 1) * sizeof(*b->enums));
        b->enums[b->nenums++] = (struct made_enum){op, sql_quote_qualified(schema, op->table.name),
                                                   finds ? sql_quote_ident(op->table.name) : NULL};
    }
    return rc;
}

void enums_fini(struct build *b)
{
    for (size_t i = 0; i < b->nenums; i++) {
        free(b->enums[i].whole);
        free(b->enums[i].bare);
    }
    free(b->enums);
}

static bool is_called(const char *name, const char *type, size_t len)
{
    return name && strlen(name) == len && !strncmp(name, type, len);
}

const char *enum_unreached(const struct build *b, const char *type)
{
    const char *whole = NULL;

    for (size_t i = 0; i < b->nenums; i++) {
        char *bare = sql_quote_ident(b->enums[i].op->table.name);

        if (!b->enums[i].bare && !strcmp(bare, type))
            whole = b->enums[i].whole;
        free(bare);
    }
    return whole;
}

const struct file_op *enum_of_file(const struct build *b, const char *type)
{
    size_t len = strlen(type);

    while (len > 2 && !strcmp(type + len - 2, "[]"))
        len -= 2;
    for (size_t i = 0; i < b->nenums; i++)
        if (is_called(b->enums[i].bare, type, len) || is_called(b->enums[i].whole, type, len))
            return b->enums[i].op;
    return NULL;
}

/* Of an array: as the server reads it. `values`: literals, with commas. */
static enum rc check_elements(struct build *b, const char *path, const char *values,
                              const char *def)
{
    char *sql = mem_printf("SELECT min(quote_literal(e)) FROM unnest(CAST(%s AS pg_catalog.text[]))"
                           " e WHERE e <> ALL (ARRAY[%s])",
                           def, values);
    char *other = NULL;
    struct err why = {0};
    enum rc rc = own_value(b, sql, 0, NULL, &other, &why);

    if (rc != RC_OK)
        build_fail(b, path, "%s", why.text);
    else if (other)
        rc = build_fail(b, path, "%s is not one of the type's values: %s", other, values);
    free(other);
    free(sql);
    return rc;
}

enum rc enum_check_default(struct build *b, const char *path, const struct file_op *op,
                           const char *type, const char *def)
{
    struct buf all = {0};
    size_t len = strlen(def);
    bool found = false,
         plain = def[0] == '\'' && !strchr(def + 1, ':') && len > 1 && def[len - 1] == '\'';
    enum rc rc = RC_OK;

    for (size_t i = 0; i < op->values.n; i++) {
        char *literal = sql_quote_literal(op->values.v[i]);

        found |= !strcmp(literal, def);
        buf_printf(&all, "%s%s", i ? ", " : "", literal);
        free(literal);
    }
    /* anything but a plain literal is for the server to say, once the type is there */
    if (plain && strchr(type, '['))
        rc = check_elements(b, path, all.data, def);
    else if (plain && !found)
        rc = build_fail(b, path, "%s is not one of the type's values: %s", def, all.data);
    buf_fini(&all);
    return rc;
}

/* ---- of a type that is there ---- */

static const char type_sql[] =
    "SELECT format('%I.%I', n.nspname, t.typname), t.typtype = 'e', pg_has_role(t.typowner,"
    " 'USAGE'), t.oid, (SELECT json_agg(e.enumlabel ORDER BY e.enumsortorder) FROM pg_enum e"
    " WHERE e.enumtypid = t.oid) FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace"
    " WHERE t.oid = to_regtype($1) AND $2::text IS NULL AND $3::text IS NULL";

static enum rc look_at_type(struct build *b, const struct file_op *op, PGresult **res)
{
    if (plan_look(b, op, "name", "type", type_sql, res) != RC_OK)
        return RC_ERR;
    if (PQgetvalue(*res, 0, 1)[0] != 't') {
        plan_fail(b, op, "name", "name an enum; others are changed in an sql operation",
                  "type %s is no enum", PQgetvalue(*res, 0, 0));
        PQclear(*res);
        return RC_ERR;
    }
    if (PQgetvalue(*res, 0, 2)[0] != 't')
        build_refuse(b, PQgetvalue(*res, 0, 0), "connect as a role that owns it",
                     "only an owner can change it");
    return RC_OK;
}

/* ---- add_enum_value ---- */

/* Where the value stands among the type's; -1: it is not one. */
static int position(const json_t *labels, const char *value)
{
    for (size_t i = 0; value && i < json_array_size(labels); i++)
        if (!strcmp(json_string_value(json_array_get(labels, i)), value))
            return (int)i;
    return -1;
}

static enum rc check_value(struct build *b, const struct file_op *op, const char *type,
                           const json_t *labels)
{
    const char *beside = op->before ? op->before : op->after;
    int at = position(labels, op->value), near = position(labels, beside);

    if (beside && near < 0) {
        for (size_t i = 0; i < b->file->nops; i++) /* added by this file, further up */
            if (i < op->index && b->file->ops[i].kind == FILE_ADD_ENUM_VALUE &&
                !strcmp(b->file->ops[i].value, beside))
                return RC_OK;
        return plan_fail(b, op, op->before ? "before" : "after",
                         "name a value that is there, or is added further up",
                         "type %s has no value \"%s\"", type, beside);
    }
    if (at < 0) {
        build_warn(b, type, "let no application write it until you are sure",
                   "value \"%s\" cannot be taken away again: an abort leaves it", op->value);
        return RC_OK;
    }
    if (beside && (op->before ? at > near : at < near))
        return plan_fail(b, op, "value", "leave it out: values cannot be moved",
                         "type %s has the value \"%s\" already, elsewhere", type, op->value);
    build_warn(b, type, "an abort leaves what it has added", "it has the value \"%s\" already",
               op->value);
    return RC_OK;
}

enum rc plan_add_enum_value(struct build *b, const struct file_op *op)
{
    char *value, *beside;
    struct eng_step *step;
    json_t *labels;
    PGresult *res;
    enum rc rc;

    if (look_at_type(b, op, &res) != RC_OK)
        return RC_ERR;
    labels = json_loads(PQgetvalue(res, 0, 4), 0, NULL);
    rc = check_value(b, op, PQgetvalue(res, 0, 0), labels);
    if (rc == RC_OK) {
        value = sql_quote_literal(op->value);
        beside = op->before || op->after ? sql_quote_literal(op->before ? op->before : op->after)
                                         : mem_strdup("");
        step = build_step(b, ENG_STAGE_EXPAND, ENG_STEP_DDL, -1, "add value %s to type %s", value,
                          PQgetvalue(res, 0, 0));
        step_sql(step, "ALTER TYPE %s ADD VALUE IF NOT EXISTS %s%s%s", PQgetvalue(res, 0, 0), value,
                 op->before  ? " BEFORE "
                 : op->after ? " AFTER "
                             : "",
                 beside);
        step->no = RANK_FIRST;
        free(beside);
        free(value);
    }
    json_decref(labels);
    PQclear(res);
    return rc;
}

/* ---- remove_enum ---- */

/* Who uses the type or an array of it; of columns (and their defaults) as a, which stands for the
 * columns of partitions, too. */
#define USERS(type)                                                                                \
    "pg_depend d LEFT JOIN pg_attrdef f ON d.classid = 'pg_attrdef'::regclass AND f.oid = d.objid" \
    " LEFT JOIN pg_attribute a ON (a.attrelid, a.attnum) = (CASE d.classid WHEN"                   \
    "  'pg_class'::regclass THEN d.objid ELSE f.adrelid END, CASE d.classid WHEN"                  \
    "  'pg_class'::regclass THEN d.objsubid ELSE f.adnum END) AND a.attnum > 0"                    \
    " WHERE d.refclassid = 'pg_type'::regclass AND d.refobjid IN (SELECT " type "::oid UNION"      \
    "  SELECT typarray FROM pg_type WHERE oid = " type "::oid)"                                    \
    " AND d.deptype = 'n' AND COALESCE(a.attinhcount, 0) = 0"

static const char users_sql[] =
    "SELECT DISTINCT pg_describe_object(d.classid, d.objid, d.objsubid),"
    " coalesce(a.attrelid, 0)::int8, a.attname, f.oid IS NOT NULL, a.attnum"
    " FROM " USERS("$1") " ORDER BY 1";

/* Is it the name, with a schema or without? */
static bool ends_in(const char *cast, const char *name)
{
    size_t len = strlen(cast), n = strlen(name);

    return len >= n && !strcmp(cast + len - n, name) && (len == n || cast[len - n - 1] == '.');
}

/* Does the expression cast to the type, or to one of its name? */
static bool casts_to(struct build *b, const char *expr, const char *type)
{
    static const char sql[] = "SELECT typname FROM pg_type WHERE oid = $1::oid";
    struct sql_expr_info info;
    char *name = NULL, *quoted;
    bool casts = false;

    if (sql_expr_parse(expr, &info, NULL) != RC_OK)
        return true;
    if (own_value(b, sql, 1, &type, &name, NULL) != RC_OK)
        name = NULL;
    quoted = sql_quote_ident(name ? name : "");
    for (size_t i = 0; i < info.ncasts; i++)
        casts |= !name || ends_in(info.casts[i], quoted);
    free(quoted);
    free(name);
    sql_expr_info_fini(&info);
    return casts;
}

/* Does the file say a default of the column's new half, which is not of the type? */
static bool has_other_default(struct build *b, const struct target *t, const char *column,
                              const char *type)
{
    for (size_t i = 0; i < b->file->nops; i++) {
        const struct file_op *op = &b->file->ops[i];

        if (op->kind == FILE_ALTER_COLUMN && b->op_target[i] == t - b->targets &&
            !strcmp(op->column, column) && op->def.set)
            return !op->def.to || !casts_to(b, op->def.to, type);
    }
    return false;
}

/* Does the same migration drop the table, or the column, or its half of this type? A default goes
 * on with the new column, where the file does not give it another one. */
static bool goes_too(struct build *b, const PGresult *users, int row, const char *type)
{
    const char *oid = PQgetvalue(users, row, 1), *column = PQgetvalue(users, row, 2);
    const struct target *t = plan_target(b, oid);
    bool is_default = PQgetvalue(users, row, 3)[0] == 't', goes;
    char *name;

    if (plan_drops(b, oid))
        return true;
    if (!t)
        return false;
    name = sql_quote_ident(column);
    goes =
        texts_has(&t->old_columns, name) || (retype_has(t, column) && texts_has(&t->gone, column));
    free(name);
    return goes &&
           (!is_default || !texts_has(&t->from, column) || has_other_default(b, t, column, type));
}

/* Somebody may have used it, or given its name to another one, while it was in flight: complete
 * would come to that when all else is dropped. `going`: "(oid, attnum), ..." of columns that go in
 * front of it; so do the tables that the file drops, and what is segue's own. */
static char *look_for_users(const struct build *b, const char *type, const char *oid,
                            const char *going)
{
    char *name = sql_quote_literal(type), *look;
    struct buf dropped = {0};

    buf_append_str(&dropped, "");
    for (size_t i = 0; i < b->dropped.n; i++)
        buf_printf(&dropped, "%s%s", i ? ", " : "", b->dropped.v[i]);
    look = mem_printf(
        BUILD_OWN_NAMES
        "IF to_regtype(%s)::oid <> %s THEN RAISE object_not_in_prerequisite_state USING MESSAGE ="
        " concat(%s, ' is another type than the one that was there at the start'), HINT ="
        " 'give it another name, then complete (or resume)'; END IF;"
        " SELECT pg_describe_object(d.classid, d.objid, d.objsubid) INTO segue_text FROM " USERS(
            "%s") " AND (COALESCE(a.attrelid, 0), COALESCE(a.attnum, 0)) NOT IN (VALUES %s)"
                  " AND COALESCE(a.attrelid, 0) <> ALL (ARRAY[%s]::oid[])"
                  " AND NOT EXISTS (SELECT FROM pg_proc p JOIN pg_namespace n ON n.oid ="
                  "  p.pronamespace WHERE d.classid = 'pg_proc'::regclass AND p.oid = d.objid AND"
                  "  n.nspname = 'segue')"
                  " AND NOT EXISTS (SELECT FROM pg_trigger g WHERE d.classid ="
                  "  'pg_trigger'::regclass AND g.oid = d.objid AND g.tgname = '~segue_guard')"
                  " AND NOT EXISTS (SELECT FROM pg_class i WHERE d.classid = 'pg_class'::regclass"
                  "  AND i.oid = d.objid AND starts_with(i.relname::text, '~segue'))"
                  " ORDER BY 1 LIMIT 1;"
                  " IF segue_text IS NOT NULL THEN RAISE object_not_in_prerequisite_state USING"
                  " MESSAGE = concat(segue_text, ' came after the migration was planned: it uses"
                  " type ', %s, ', which complete is to drop'), HINT = 'change or drop that, then"
                  " complete (or resume)'; END IF;" BUILD_NAMES_AGAIN,
        name, oid, name, oid, oid, going, dropped.data, name);
    buf_fini(&dropped);
    free(name);
    return build_do_take(look);
}

static void drop_step(struct build *b, const char *type, const char *oid, const char *going)
{
    struct eng_step *step =
        build_step(b, ENG_STAGE_CONTRACT, ENG_STEP_DDL, -1, "drop type %s", type);
    char *look = look_for_users(b, type, oid, going);

    step_sql(step, ENG_LOOKS "%s", look);
    step_sql(step, "DROP TYPE IF EXISTS %s", type);
    step_rank(step, RANK_LAST);
    free(look);
}

enum rc plan_remove_enum(struct build *b, const struct file_op *op)
{
    PGresult *res, *users = NULL;
    struct buf going = {0};
    enum rc rc;

    if (look_at_type(b, op, &res) != RC_OK)
        return RC_ERR;
    const char *type = PQgetvalue(res, 0, 0), *params[] = {PQgetvalue(res, 0, 3)};

    rc = own_query(b, users_sql, 1, params, &users, b->err);
    buf_append_str(&going, "(0, -1)"); /* none: a list has one */
    for (int i = 0; rc == RC_OK && i < PQntuples(users); i++)
        if (!goes_too(b, users, i, params[0]))
            build_refuse(b, PQgetvalue(users, i, 0), "change or drop that first, or in this file",
                         "it uses type %s", type);
        else
            buf_printf(&going, ", (%s, %s)", PQgetvalue(users, i, 1), PQgetvalue(users, i, 4));
    texts_add(&b->gone_types, "%s", params[0]);
    if (rc == RC_OK)
        drop_step(b, type, params[0], going.data);
    buf_fini(&going);
    PQclear(users);
    PQclear(res);
    return rc;
}
