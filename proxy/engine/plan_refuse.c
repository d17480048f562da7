/* What cannot be carried is refused by name; what will be noticed is warned of. */
#include <stdlib.h>
#include <string.h>

#include "detaching.h"
#include "plan_build.h"
#include "segue/base/mem.h"
#include "segue/catalog/catalog.h"
#include "segue/sql/expr.h"

#define COLUMNS_MAX 1600 /* MaxHeapAttributeNumber */

static bool flag(const json_t *object, const char *key)
{
    return json_is_true(json_object_get(object, key));
}

/* ---- the table itself ---- */

/* What else a name can be of. */
static const struct {
    const char *relkind, *what, *hint;
} others[] = {
    {"v", "a view", "change it in an sql operation: CREATE OR REPLACE VIEW, DROP VIEW"},
    {"m", "a materialized view", "drop it, and make it again, in an sql operation"},
    {"f", "a foreign table", "change it on the server that has its rows, then here by hand"},
    {"S", "a sequence", "change it in an sql operation: ALTER SEQUENCE"},
    {"c", "a composite type", "change it in an sql operation: ALTER TYPE"},
    {"i", "an index", "name the table that it is of"},
    {"I", "an index", "name the table that it is of"},
    {"t", "a TOAST table", "name the table that it is of"},
};

enum rc check_users_table(struct build *b, const char *path, const char *relation,
                          const char *relkind, const char *schema)
{
    for (size_t i = 0; i < ARRAY_LEN(others); i++)
        if (!strcmp(relkind, others[i].relkind))
            return build_fail_hint(b, path, others[i].hint, "%s: it is not a table but %s",
                                   relation, others[i].what);
    if (!strncmp(schema, "pg_temp", 7))
        return build_fail_hint(b, path, "change it in the session whose it is",
                               "%s: it is a temporary table", relation);
    if (!strncmp(schema, "pg_", 3) || !strcmp(schema, "segue") ||
        !strcmp(schema, "information_schema"))
        return build_fail_hint(
            b, path, "name a table of your own; is the schema, or the search_path, right?",
            "%s: it is not a user's table", relation);
    return RC_OK;
}

/* Nobody could fill their rows, verify them, or give the remote table the new column. */
static void refuse_foreign_partitions(struct build *b, const struct target *t)
{
    static const char sql[] = "SELECT p.relid::regclass FROM pg_partition_tree($1) AS p"
                              " JOIN pg_class c ON c.oid = p.relid WHERE c.relkind = 'f' LIMIT 1";
    const char *params[] = {t->relation};
    char *name = NULL;

    if (own_value(b, sql, 1, params, &name, NULL) == RC_OK && name)
        build_refuse(b, t->relation, "detach it first", "partition %s is a foreign table", name);
    free(name);
}

/* What is changed of the table would not be changed of it, or be lost with it. */
enum rc refuse_detaching(struct build *b, const struct target *t)
{
    char *name = sql_quote_literal(t->relation), *sql = mem_printf(DETACHING_SQL, name);
    PGresult *res = NULL;
    enum rc rc = own_query(b, sql, 0, NULL, &res, b->err);

    for (int r = 0; rc == RC_OK && r < PQntuples(res); r++) {
        const char *partition = PQgetvalue(res, r, 0), *table = PQgetvalue(res, r, 1);
        char *hint = mem_printf(DETACHING_HINT, table, partition);

        build_refuse(b, t->relation, hint, DETACHING_TEXT, partition, table);
        free(hint);
    }
    PQclear(res);
    free(sql);
    free(name);
    return rc;
}

/* Those that were dropped count, too. */
static void refuse_wide(struct build *b, const struct target *t)
{
    json_int_t n = json_integer_value(json_object_get(t->doc, "attributes"));

    if (n + (json_int_t)t->new_columns.n > COLUMNS_MAX)
        build_refuse(b, t->relation, "make the table anew, without the columns that were dropped",
                     "it has or had %lld columns and would get %zu more: at most %d can be",
                     (long long)n, t->new_columns.n, COLUMNS_MAX);
}

/* Its columns are the type's. */
static void refuse_typed(struct build *b, const struct target *t)
{
    const char *type = cat_text(t->doc, "of_type");
    char *hint = mem_printf("ALTER TABLE %s NOT OF first", t->relation);

    if (type && (t->new_columns.n || t->old_columns.n))
        build_refuse(b, t->relation, hint,
                     "it is of type %s: the server adds and drops no column of such a table", type);
    free(hint);
}

/* Of the table or of a part of it. */
static void refuse_not_owned(struct build *b, const struct target *t)
{
    const char *part = cat_text(t->doc, "others_partition"),
               *own = "connect as a role that owns it";

    if (!flag(t->doc, "owned"))
        build_refuse(b, t->relation, own, "it belongs to %s, and only an owner can change it",
                     cat_text(t->doc, "owner"));
    else if (part)
        build_refuse(b, t->relation, own, "partition %s belongs to another role", part);
}

static void refuse_relation(struct build *b, const struct target *t)
{
    const char *kind = cat_text(t->doc, "relkind");

    if (!strcmp(kind, "p"))
        refuse_foreign_partitions(b, t);
    refuse_wide(b, t);
    refuse_typed(b, t);
    if (flag(t->doc, "partition"))
        build_refuse(b, t->relation, "name the partitioned table in the file", "it is a partition");
    else if (flag(t->doc, "inherits") ||
             (!strcmp(kind, "r") && json_array_size(json_object_get(t->doc, "children"))))
        build_refuse(b, t->relation, "ALTER TABLE ... NO INHERIT first",
                     "tables that inherit cannot be carried");
    if (!strcmp(cat_text(t->doc, "persistence"), "u"))
        build_warn(b, t->relation, NULL,
                   "it is unlogged: a crash of the server empties it, in any phase, and replicas "
                   "have no rows of it");
    refuse_not_owned(b, t);
}

/* ---- where something is made ---- */

enum rc refuse_schema(struct build *b, const char *schema, const char *what)
{
    static const char sql[] = "SELECT format('GRANT CREATE ON SCHEMA %I TO %I', $1::text,"
                              " current_user) WHERE NOT has_schema_privilege($1, 'CREATE')";
    const char *params[] = {schema};
    char *grant = NULL;
    enum rc rc = own_value(b, sql, 1, params, &grant, b->err);

    if (rc == RC_OK && grant)
        build_refuse(b, schema, grant, "%s made in this schema, where this role may not create",
                     what);
    free(grant);
    return rc;
}

enum rc refuse_schemas(struct build *b)
{
    struct texts seen = {0};
    enum rc rc = RC_OK;

    for (size_t i = 0; rc == RC_OK && i < b->plan->nsteps; i++) {
        const struct eng_step *step = &b->plan->steps[i];

        if (step->stage != ENG_STAGE_BUILD || !step->index_schema ||
            texts_has(&seen, step->index_schema))
            continue;
        texts_add(&seen, "%s", step->index_schema);
        rc = refuse_schema(b, step->index_schema, "indexes are");
    }
    texts_fini(&seen);
    return rc;
}

/* ---- what depends on the old columns ---- */

static const struct {
    const char *kind, *why, *hint;
} dependents[] = {
    {"pg_rewrite", "it reads the column and would block its drop",
     "drop it, or make it again without the column, before the migration"},
    {"pg_policy", "row security policies cannot be carried",
     "drop it and make it again on the new column in soak"},
    {"pg_attrdef", "a generated column reads the column", "drop the generated column first"},
    {"pg_publication_rel", "the publication's column list or filter names the column",
     "publish the table without a column list first"},
    {"pg_proc", "a function with an SQL body reads the column",
     "write it with a quoted body, or drop it first"},
    {"pg_trigger", "it fires on the column, or its WHEN reads it",
     "make it again without naming the column first"},
    {"pg_statistic_ext", "extended statistics over it would go with it",
     "DROP STATISTICS first, and make them again without the column"},
    {"pg_constraint", "another table's foreign key refers to the column", "drop it first"},
};

static bool file_drops(const struct build *b, const struct target *t, const char *name)
{
    for (size_t i = 0; i < b->file->nops; i++) {
        const struct file_op *op = &b->file->ops[i];

        if (b->op_target[i] == t - b->targets && !strcmp(op->name ? op->name : "", name) &&
            (op->kind == FILE_DROP_CONSTRAINT || op->kind == FILE_DROP_MULTICOLUMN_CONSTRAINT))
            return true;
    }
    return false;
}

/* A foreign key of the table to itself goes with each column that refers: with this one, or in
 * front of it. */
static bool is_gone_by_then(const struct build *b, const struct target *t, const char *name)
{
    const json_t *constraints = json_object_get(t->doc, "constraints");

    if (file_drops(b, t, name))
        return true;
    for (size_t i = 0; i < json_array_size(constraints); i++)
        if (!strcmp(cat_text(json_array_get(constraints, i), "name"), name))
            return constraint_touches(json_array_get(constraints, i), &t->dropped);
    return false;
}

static void refuse_dependent(struct build *b, const struct target *t, const char *column,
                             const json_t *dependent)
{
    const char *kind = cat_text(dependent, "kind"), *object = cat_text(dependent, "object");
    const char *own = cat_text(dependent, "own");

    if (texts_has(&t->from, column) &&
        (!strcmp(kind, "pg_constraint") || !strcmp(kind, "pg_statistic_ext")))
        return; /* plan_links.c, plan_statistics.c */
    if (own) {
        if (!is_gone_by_then(b, t, own))
            build_refuse(b, object, "drop it first, make it again afterwards",
                         "column %s: the table's own foreign key refers to the column", column);
        return;
    }
    for (size_t i = 0; i < ARRAY_LEN(dependents); i++) {
        if (strcmp(dependents[i].kind, kind))
            continue;
        build_refuse(b, object, dependents[i].hint, "column %s: %s", column, dependents[i].why);
        return;
    }
    build_refuse(b, object, "drop it first", "column %s: it depends on the column (%s)", column,
                 kind);
}

/* Does another column have its values, by another name? */
static bool moves(const struct build *b, const struct target *t, const char *column)
{
    const struct eng_table *table = t->table >= 0 ? &b->plan->tables[t->table] : NULL;

    for (size_t i = 0; table && i < table->nduals; i++)
        if (table->duals[i].old_name && !strcmp(table->duals[i].old_name, column))
            return table->duals[i].new_name || table->duals[i].group;
    return false;
}

/* A column that keeps its name has it for functions, too. */
static void warn_of_mention(struct build *b, const struct target *t, const char *column,
                            const json_t *mention)
{
    const char *object = cat_text(mention, "object");
    const char *what = flag(mention, "argument") ? "its arguments name" : "its text names";

    if (retype_has(t, column))
        return;
    if (flag(mention, "before") && moves(b, t, column))
        build_warn(b, object,
                   "before start, let a function of your own take the other half where that has"
                   " changed (to_jsonb(NEW) has both); after complete name that alone",
                   "%s column %s, which complete drops; it runs before the guard: of what is"
                   " written by the other name it sees the value from before, NULL in a new row",
                   what, column);
    else
        build_warn(b, object, "change it in soak, before complete",
                   "%s column %s, which complete drops", what, column);
}

void refuse_dependents(struct build *b, const struct target *t, const char *column)
{
    const json_t *list = json_object_get(t->doc, "dependents");
    const json_t *mentions = json_object_get(t->doc, "mentions");
    const json_t *local = json_object_get(t->doc, "partition_dependents");
    json_int_t num = json_integer_value(json_object_get(cat_column(t->doc, column), "num"));

    for (size_t i = 0; i < json_array_size(list); i++)
        if (json_integer_value(json_object_get(json_array_get(list, i), "column")) == num)
            refuse_dependent(b, t, column, json_array_get(list, i));
    for (size_t i = 0; i < json_array_size(local); i++)
        if (!strcmp(cat_text(json_array_get(local, i), "name"), column))
            build_refuse(b, cat_text(json_array_get(local, i), "object"), "drop it first",
                         "a partition's own object on column %s cannot be carried", column);
    for (size_t i = 0; i < json_array_size(mentions); i++)
        if (json_integer_value(json_object_get(json_array_get(mentions, i), "column")) == num)
            warn_of_mention(b, t, column, json_array_get(mentions, i));
}

/* The column's new half would be as the table has it. `action`: of which alone; NULL: of any. */
static void refuse_own(struct build *b, const struct target *t, const char *column,
                       const char *action)
{
    const json_t *list = json_object_get(t->doc, "partition_own");

    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *one = json_array_get(list, i);
        char *hint = mem_printf("take it away first; after complete ALTER TABLE ... ALTER COLUMN"
                                " ... %s again",
                                cat_text(one, "action"));

        if (!strcmp(cat_text(one, "name"), column) &&
            (!action || !strcmp(cat_text(one, "action"), action)))
            build_refuse(b, cat_text(one, "object"), hint,
                         "a partition's own, other than its table's, cannot be carried");
        free(hint);
    }
}

void refuse_parts_default(struct build *b, const struct target *t, const char *column)
{
    refuse_own(b, t, column, "SET DEFAULT");
}

/* Often what masks it: without, the new column would show what the old one hides. */
void refuse_labels(struct build *b, const struct target *t, const json_t *column)
{
    const char *providers = cat_text(column, "labelled_for");
    char *object = mem_printf("column %s of %s", cat_text(column, "name"), t->relation);

    if (providers)
        build_refuse(b, object,
                     "SECURITY LABEL ... IS NULL first, and label it again after complete",
                     "its security label (for %s) cannot be carried", providers);
    free(object);
}

/* Only a role itself grants as that role. */
static void warn_of_grantors(struct build *b, const struct target *t, const json_t *column)
{
    const json_t *grants = json_object_get(column, "others_grants");
    char *object = mem_printf("column %s of %s", cat_text(column, "name"), t->relation);

    for (size_t i = 0; i < json_array_size(grants); i++) {
        const json_t *grant = json_array_get(grants, i);
        const char *what = json_string_value(json_array_get(grant, 0));
        const char *who = json_string_value(json_array_get(grant, 1));
        char *hint = mem_printf("where that matters: in soak REVOKE it as the owner, and GRANT it"
                                " as %s",
                                who);

        build_warn(b, object, hint,
                   "%s was granted by %s; on the new column it is granted by the table's owner, and"
                   " %s cannot revoke it",
                   what, who, who);
        free(hint);
    }
    free(object);
}

static void refuse_identity(struct build *b, const struct target *t, const char *column)
{
    build_refuse(
        b, t->relation, "leave its \"type\" and \"nullable\" out, or drop the identity first",
        "column %s is an identity column: it must be NOT NULL, and smallint, integer or bigint",
        column);
}

static void refuse_old_columns(struct build *b, const struct target *t)
{
    for (size_t c = 0; c < t->from.n; c++) {
        const json_t *column = cat_column(t->doc, t->from.v[c]);

        if (*cat_text(column, "identity") && !identity_is_carried(b, t, column))
            refuse_identity(b, t, t->from.v[c]);
        if (*cat_text(column, "generated"))
            build_refuse(b, t->relation, "drop it, and add it again under the new name",
                         "column %s is generated", t->from.v[c]);
        refuse_dependents(b, t, t->from.v[c]);
        refuse_own(b, t, t->from.v[c], NULL);
        refuse_labels(b, t, column);
        warn_of_grantors(b, t, column);
    }
}

/* ---- values that others keep of it ---- */

/* What is found through types that no column has does not matter: a refusal, or a fill, too many.
 */
enum rc row_type_column(struct build *b, const struct target *t, char **column)
{
    static const char sql[] =
        "WITH RECURSIVE used(id) AS (SELECT reltype FROM pg_class WHERE oid IN (SELECT $1::oid"
        "  UNION SELECT relid FROM pg_partition_tree($1::oid::regclass)) UNION SELECT x.id FROM"
        "  used u, LATERAL (SELECT d.objid AS id FROM pg_depend d WHERE d.classid ="
        "   'pg_type'::regclass AND d.refclassid = 'pg_type'::regclass AND d.refobjid = u.id"
        "   UNION ALL SELECT k.reltype FROM pg_depend d JOIN pg_class k ON k.oid = d.objid WHERE"
        "   d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_type'::regclass AND"
        "   d.refobjid = u.id AND k.reltype <> 0) x)"
        " SELECT format('column %I of %s', a.attname, k.oid::regclass) FROM used u JOIN pg_depend d"
        " ON d.refclassid = 'pg_type'::regclass AND d.refobjid = u.id AND d.classid ="
        " 'pg_class'::regclass JOIN pg_class k ON k.oid = d.objid JOIN pg_attribute a ON a.attrelid"
        " = k.oid AND a.attnum = d.objsubid WHERE k.relkind IN ('r', 'm', 'p', 'i', 'I') AND"
        " d.objsubid > 0 ORDER BY k.oid, a.attnum LIMIT 1";
    char *oid = mem_printf("%lld", (long long)json_integer_value(json_object_get(t->doc, "oid")));
    const char *params[] = {oid};
    enum rc rc;

    *column = NULL;
    rc = own_value(b, sql, 1, params, column, b->err);
    free(oid);
    return rc;
}

/* A value of the table's row type has the old half alone where it was stored before, and nothing
 * fills its new one. */
enum rc refuse_row_type(struct build *b, const struct target *t)
{
    const struct eng_table *table = t->table >= 0 ? &b->plan->tables[t->table] : NULL;
    const char *moved = NULL;
    char *column = NULL;
    enum rc rc = RC_OK;

    for (size_t i = 0; table && i < table->nduals; i++)
        if (table->duals[i].old_name && (table->duals[i].new_name || table->duals[i].group))
            moved = table->duals[i].old_name;
    if (moved)
        rc = row_type_column(b, t, &column);
    if (rc == RC_OK && column)
        build_refuse(b, column,
                     "give it another type first: one made by CREATE TYPE, or jsonb by to_jsonb()",
                     "it holds rows of %s: complete would take from them what they have in"
                     " \"%s\"",
                     t->relation, moved);
    free(column);
    return rc;
}

/* ---- user triggers ---- */

static bool may_silence_triggers(struct build *b)
{
    static const char sql[] = "SELECT rolsuper FROM pg_roles WHERE rolname = current_user";
    static const char sql15[] = "SELECT has_parameter_privilege('session_replication_role', 'SET')";
    char *value = NULL;
    bool may = false;

    if (own_value(b, PQserverVersion(b->conn) >= 150000 ? sql15 : sql, 0, NULL, &value, NULL) ==
        RC_OK)
        may = value && *value == 't';
    free(value);
    return may;
}

/* May it change, behind the guard, what that has made? One that fires for DELETE alone cannot: of
 * an UPDATE that moves a row to another partition, too, it has the row that goes. */
static bool undoes_guard(const json_t *trigger)
{
    return flag(trigger, "before") && flag(trigger, "row") &&
           (flag(trigger, "insert") || flag(trigger, "update")) &&
           strcmp(cat_text(trigger, "name"), "~segue_guard") > 0;
}

static void check_triggers(struct build *b, const struct target *t)
{
    const json_t *triggers = json_object_get(t->doc, "triggers");
    bool silent = may_silence_triggers(b);

    for (size_t i = 0; i < json_array_size(triggers); i++) {
        const json_t *trigger = json_array_get(triggers, i);
        const char *name = cat_text(trigger, "name"), *enabled = cat_text(trigger, "enabled");
        char *object;

        if (!strcmp(enabled, "D") || !strncmp(name, "~segue_guard", 13))
            continue;
        object = mem_printf("trigger %s on %s", name, t->relation);
        if (undoes_guard(trigger))
            build_refuse(b, object, "ALTER TRIGGER ... RENAME TO a name that sorts before it",
                         "it would run after the guard and could undo its work");
        else if (t->fills && flag(trigger, "update") && (!silent || strcmp(enabled, "O")))
            build_warn(b, object,
                       silent ? "it is ENABLE ALWAYS or REPLICA"
                              : "the role may not set session_replication_role",
                       "it fires for every row that the backfill updates");
        free(object);
    }
}

/* Rows have both halves of each pair from expand on, which no plain DDL would have given them. By
 * the functions' text, which may deceive: so nothing is refused. */
static void warn_of_whole_rows(struct build *b, const struct target *t)
{
    const json_t *list = json_object_get(t->doc, "whole_rows");

    for (size_t i = 0; t->new_columns.n && i < json_array_size(list); i++) {
        const json_t *one = json_array_get(list, i);

        build_warn(
            b, cat_text(one, "function"),
            "before start, write the columns out in it, or let it take to_jsonb() of the row",
            "%s: until complete rows of %s have more columns, and %s gets 42601 or 42804, or"
            " values in the wrong columns",
            flag(one, "fires") ? "its text puts NEW.* or OLD.* into another table"
                               : "its text puts * of the table into something else",
            t->relation, flag(one, "fires") ? "each write that fires it" : "who calls it");
    }
}

void refuse_table(struct build *b, const struct target *t)
{
    refuse_relation(b, t);
    refuse_old_columns(b, t);
    refuse_splits(b, t);
    warn_of_whole_rows(b, t);
    if (t->fills || t->guards)
        check_triggers(b, t);
}
