/*
 * What a new column inherits. It is built beside the old one under a temporary name; cut-over
 * swaps the names, revert swaps them back, contract drops the old with the old column.
 */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "nulls.h"
#include "plan_build.h"
#include "plan_parts.h"
#include "plan_probe.h"
#include "segue/base/buf.h"
#include "segue/base/mem.h"
#include "segue/catalog/catalog.h"
#include "segue/sql/expr.h"

#define INSTANT "an instant; lock_timeout, retried"
#define LATER "rename it without a type, or drop it and make a new one with create_index"

static bool flag(const json_t *object, const char *key)
{
    return json_is_true(json_object_get(object, key));
}

const char *carry_name(const struct target *t, const char *column)
{
    for (size_t i = 0; column && i < t->from.n; i++)
        if (!strcmp(t->from.v[i], column))
            return t->to.v[i];
    return column;
}

char *carry_expr(const struct target *t, const char *expr, struct err *err)
{
    return sql_expr_rename(expr, "", (const char *const *)t->from.v, (const char *const *)t->to.v,
                           t->from.n, false, err);
}

static bool is_of_name(char c)
{
    return isalnum((unsigned char)c) || c == '_' || c == '$' || c == '"' || (unsigned char)c > 127;
}

/* In the server's text of an expression names are quoted where they have to be. */
static bool says(const char *expr, const char *column)
{
    char *name = sql_quote_ident(column);
    size_t len = strlen(name);
    bool found = false;

    for (const char *at = expr; !found && (at = strstr(at, name)); at++)
        found = (at == expr || !is_of_name(at[-1])) && !is_of_name(at[len]);
    free(name);
    return found;
}

bool expr_reads(const char *expr, const struct texts *columns)
{
    struct sql_expr_info info;
    bool found = false;

    if (!expr || columns->n == 0)
        return false;
    if (sql_expr_parse(expr, &info, NULL) != RC_OK) { /* of a newer server's grammar */
        for (size_t i = 0; i < columns->n; i++)
            found |= says(expr, columns->v[i]);
        return found;
    }
    for (size_t i = 0; i < info.ncolumns; i++)
        found |= texts_has(columns, info.columns[i]);
    sql_expr_info_fini(&info);
    return found;
}

bool expr_is_beyond(struct build *b, const struct target *t, const char *expr, const char *object)
{
    struct err why = {0};
    struct sql_expr_info info;

    if (!expr_reads(expr, &t->from))
        return false;
    if (sql_expr_parse(expr, &info, &why) == RC_OK) {
        sql_expr_info_fini(&info);
        return false;
    }
    build_refuse(b, object, "drop it before the migration, and make it again afterwards",
                 "its expression is of a grammar that segue does not read: %s", why.text);
    return true;
}

bool carry_follows(struct build *b, const struct target *t, const char *expr)
{
    char *over = carry_expr(t, expr, NULL);
    bool ok = over && retype_follows(b, t, expr, over);

    free(over);
    return ok;
}

void carry_swap(struct target *t, const char *alter, const char *rename, const char *old,
                const char *parked, const char *new)
{
    char *o = sql_quote_ident(old), *p = sql_quote_ident(parked), *n = sql_quote_ident(new);

    /* revert runs its list backwards */
    texts_add(&t->cutover, rename, alter, o, p);
    texts_add(&t->revert, rename, alter, p, o);
    texts_add(&t->cutover, rename, alter, n, o);
    texts_add(&t->revert, rename, alter, o, n);
    free(o);
    free(p);
    free(n);
}

/* The file drops it: the new column goes without. */
static bool is_released(const struct target *t, const char *constraint)
{
    return constraint && texts_has(&t->released, constraint);
}

/* ---- indexes ---- */

bool index_touches(const json_t *index, const struct texts *columns)
{
    const json_t *keys = json_object_get(index, "keys");

    for (size_t i = 0; i < json_array_size(keys); i++) {
        const json_t *key = json_array_get(keys, i);
        const char *column = cat_text(key, "column");

        if (column ? texts_has(columns, column) : expr_reads(cat_text(key, "expression"), columns))
            return true;
    }
    return expr_reads(cat_text(index, "predicate"), columns);
}

/* Is every key that changes its type a bare column with a default operator class? */
static bool index_keys_portable(struct build *b, const struct target *t, const json_t *index)
{
    const json_t *keys = json_object_get(index, "keys");
    const struct texts *gone = &t->gone;
    const char *predicate = cat_text(index, "predicate");

    for (size_t i = 0; i < json_array_size(keys); i++) {
        const json_t *key = json_array_get(keys, i);
        const char *column = cat_text(key, "column");
        const char *suffix = cat_text(key, "suffix");

        if (!column && expr_reads(cat_text(key, "expression"), gone) &&
            !carry_follows(b, t, cat_text(key, "expression")))
            return false;
        if (column && texts_has(gone, column) && flag(key, "key") &&
            (!flag(key, "opclass_default") || strstr(suffix, "COLLATE")))
            return false;
    }
    return !expr_reads(predicate, gone) || carry_follows(b, t, predicate);
}

enum rc type_has_opclass(struct build *b, const char *method, const char *type, bool *has)
{
    static const char sql[] =
        "SELECT 1 FROM pg_opclass o JOIN pg_am m ON m.oid = o.opcmethod LEFT JOIN (SELECT"
        " CASE t.typtype WHEN 'd' THEN t.typbasetype ELSE t.oid END AS oid, t.typtype, t.typelem,"
        " t.typlen FROM pg_type t WHERE t.oid = to_regtype($2)) t ON true WHERE m.amname = $1 AND"
        " o.opcdefault AND (o.opcintype = $3::regtype OR o.opcintype = t.oid OR EXISTS (SELECT FROM"
        " pg_cast c WHERE"
        " c.castsource = t.oid AND c.casttarget = o.opcintype AND c.castmethod = 'b' AND"
        " c.castcontext = 'i') OR o.opcintype = CASE WHEN t.typtype = 'e' THEN 'anyenum'::regtype"
        " WHEN t.typtype = 'r' THEN 'anyrange'::regtype WHEN t.typtype = 'c' THEN"
        " 'record'::regtype WHEN t.typelem <> 0 AND t.typlen = -1 THEN 'anyarray'::regtype END)";
    const char *params[] = {method, type, NULL};
    char *found;

    if (enum_of_file(b, type)) /* not there yet */
        params[2] = strchr(type, '[') ? "anyarray" : "anyenum";
    if (own_value(b, sql, 3, params, &found, b->err) != RC_OK)
        return RC_ERR;
    *has = found != NULL;
    free(found);
    return RC_OK;
}

static enum rc refuse_opclass(struct build *b, struct target *t, const json_t *index,
                              const char *object, bool *refused)
{
    const json_t *keys = json_object_get(index, "keys");
    const struct eng_table *table = &b->plan->tables[t->table];

    for (size_t i = 0; i < json_array_size(keys); i++) {
        const json_t *key = json_array_get(keys, i);
        const char *column = cat_text(key, "column");

        for (size_t d = 0; column && flag(key, "key") && d < table->nduals; d++) {
            const struct eng_dual *dual = &table->duals[d];
            bool has = true;

            if (!dual->old_name || dual->plain || strcmp(dual->old_name, column))
                continue;
            if (type_has_opclass(b, cat_text(index, "method"), dual->new_type, &has) != RC_OK)
                return RC_ERR;
            if (has)
                continue;
            build_refuse(b, object, LATER, "type %s has no default operator class for %s",
                         dual->new_type, cat_text(index, "method"));
            *refused = true;
        }
    }
    return RC_OK;
}

static bool is_beyond(struct build *b, const struct target *t, const json_t *index,
                      const char *object)
{
    const json_t *keys = json_object_get(index, "keys");

    for (size_t i = 0; i < json_array_size(keys); i++)
        if (expr_is_beyond(b, t, cat_text(json_array_get(keys, i), "expression"), object))
            return true;
    return expr_is_beyond(b, t, cat_text(index, "predicate"), object);
}

static enum rc refuse_index(struct build *b, struct target *t, const json_t *index,
                            const char *object, bool *refused)
{
    static const struct {
        const char *flag, *why, *hint;
    } rows[] = {
        {"exclusion",
         "PostgreSQL builds the index of an exclusion constraint, or of a key WITHOUT"
         " OVERLAPS, only under a lock that keeps writers out until it is built, and makes"
         " no such constraint of an index that is there",
         "rename the other columns; or drop it before the migration, and make it again afterwards,"
         " in a window without writers"},
        {"primary", "it is not valid: not every partition has its part of the primary key",
         "give each its own, and ALTER INDEX ... ATTACH PARTITION; or rename the other columns"},
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        if (flag(index, rows[i].flag)) {
            build_refuse(b, object, rows[i].hint, "%s", rows[i].why);
            *refused = true;
            return RC_OK;
        }
    }
    *refused = true;
    if (is_beyond(b, t, index, object))
        return RC_OK;
    if (!flag(index, "valid"))
        build_refuse(b, object, "REINDEX INDEX CONCURRENTLY or drop it", "it is not valid");
    else if (!index_keys_portable(b, t, index))
        build_refuse(b, object, LATER, "it cannot follow the change of type");
    else
        *refused = false;
    if (!*refused && is_partitioned(t) && parts_refuse(b, index, object, refused) != RC_OK)
        return RC_ERR;
    return *refused ? RC_OK : refuse_opclass(b, t, index, object, refused);
}

/* "(a, b) INCLUDE (c)", over the new columns. */
static enum rc put_keys(struct build *b, struct target *t, const json_t *index, struct buf *out)
{
    const json_t *keys = json_object_get(index, "keys");
    bool including = false;

    buf_append_str(out, "(");
    for (size_t i = 0; i < json_array_size(keys); i++) {
        const json_t *key = json_array_get(keys, i);
        const char *column = carry_name(t, cat_text(key, "column"));
        char *text =
            column ? sql_quote_ident(column) : carry_expr(t, cat_text(key, "expression"), b->err);
        bool opens = !flag(key, "key") && !including;

        if (!text)
            return RC_ERR;
        including |= opens;
        buf_printf(out, column ? "%s%s%s" : "%s(%s)%s",
                   opens ? ") INCLUDE ("
                   : i   ? ", "
                         : "",
                   text, cat_text(key, "suffix"));
        free(text);
    }
    buf_append_str(out, ")");
    return RC_OK;
}

void index_storage(const json_t *index, const char *tablespace, struct buf *out)
{
    if (cat_text(index, "options"))
        buf_printf(out, " WITH (%s)", cat_text(index, "options"));
    if (cat_text(index, "tablespace")) {
        buf_append_str(out, tablespace);
        sql_quote_ident_put(out, cat_text(index, "tablespace"));
    }
}

const char *index_defers(const json_t *index)
{
    if (!flag(index, "deferrable"))
        return "";
    return flag(index, "deferred") ? " DEFERRABLE INITIALLY DEFERRED" : " DEFERRABLE";
}

/* As SQL says it behind the table. */
static enum rc index_definition(struct build *b, struct target *t, const json_t *index, char **out)
{
    const char *where = cat_text(index, "predicate");
    char *predicate = where ? carry_expr(t, where, b->err) : NULL;
    struct buf sql = {0};

    buf_printf(&sql, "USING %s ", cat_text(index, "method"));
    if ((where && !predicate) || put_keys(b, t, index, &sql) != RC_OK) {
        free(predicate);
        buf_fini(&sql);
        return RC_ERR;
    }
    if (flag(index, "nulls_not_distinct"))
        buf_append_str(&sql, " NULLS NOT DISTINCT");
    index_storage(index, " TABLESPACE ", &sql);
    if (predicate)
        buf_printf(&sql, " WHERE %s", predicate);
    free(predicate);
    *out = buf_take(&sql);
    return RC_OK;
}

/* The same of a unique constraint, behind UNIQUE. */
static enum rc unique_definition(struct build *b, struct target *t, const json_t *index, char **out)
{
    struct buf sql = {0};

    if (flag(index, "nulls_not_distinct"))
        buf_append_str(&sql, "NULLS NOT DISTINCT ");
    if (put_keys(b, t, index, &sql) != RC_OK) {
        buf_fini(&sql);
        return RC_ERR;
    }
    index_storage(index, " USING INDEX TABLESPACE ", &sql);
    *out = buf_take(&sql);
    return RC_OK;
}

static void comment_constraint(struct eng_step *step, const struct target *t, const char *name,
                               const char *comment)
{
    char *literal = sql_quote_literal(comment);

    step_sql(step, "COMMENT ON CONSTRAINT %s ON %s IS %s", name, t->relation, literal);
    free(literal);
}

/* The index becomes a constraint right away, under its temporary name: then cut-over and revert
 * only rename, as often as wanted. */
static void promote_index(struct build *b, struct target *t, const json_t *index, const char *temp)
{
    struct eng_step *step =
        build_step(b, ENG_STAGE_BUILD, ENG_STEP_DDL, t->table,
                   "make the index the constraint that becomes %s", cat_text(index, "constraint"));

    step_sql(step, "ALTER TABLE %s ADD CONSTRAINT %s UNIQUE USING INDEX %s%s", t->relation, temp,
             temp, index_defers(index));
    if (cat_text(index, "constraint_comment"))
        comment_constraint(step, t, temp, cat_text(index, "constraint_comment"));
    step_lock(step, "ACCESS EXCLUSIVE", t->relation, INSTANT);
}

/* Only one of the two indexes decides about ON CONFLICT (columns); when two sessions insert the
 * same new key at the same moment, the other one ends the loser's statement. */
static void warn_of_twin(struct build *b, const json_t *index)
{
    char *object = mem_printf("index %s", cat_text(index, "name"));

    if (flag(index, "unique"))
        build_warn(b, object, "run these statements again on 23505, or ON CONFLICT DO NOTHING",
                   "until complete it has a unique twin: INSERT ... ON CONFLICT (columns) of one "
                   "new key by two sessions at once can end with 23505");
    if (*index_defers(index))
        build_warn(b, object, "let such statements wait for ready, or run them again on 23505",
                   "it is DEFERRABLE, and its twin only when it is built whole: until then who"
                   " counts on that can get 23505");
    if (flag(index, "deferrable") && !flag(index, "deferred"))
        build_warn(b, object, "say SET CONSTRAINTS ALL there, until complete",
                   "SET CONSTRAINTS by its name does not mean its twin, which is there until"
                   " complete: what it is to put off gets 23505 at once");
    free(object);
}

/* What no CREATE INDEX says; under the name that waits. */
static void carry_belongings(struct target *t, const json_t *index, const char *temp)
{
    const json_t *keys = json_object_get(index, "keys");
    const json_t *extensions = json_object_get(index, "extensions");
    char *name = sql_quote_qualified(cat_text(index, "schema"), temp);

    if (cat_text(index, "comment")) {
        char *literal = sql_quote_literal(cat_text(index, "comment"));

        texts_add(&t->cutover, "COMMENT ON INDEX %s IS %s", name, literal);
        free(literal);
    }
    for (size_t i = 0; i < json_array_size(keys); i++) {
        const json_t *statistics = json_object_get(json_array_get(keys, i), "statistics");

        if (json_is_integer(statistics))
            texts_add(&t->cutover, "ALTER INDEX %s ALTER COLUMN %zu SET STATISTICS %lld", name,
                      i + 1, (long long)json_integer_value(statistics));
    }
    for (size_t i = 0; i < json_array_size(extensions); i++) {
        char *extension = sql_quote_ident(json_string_value(json_array_get(extensions, i)));

        texts_add(&t->cutover, "ALTER INDEX %s DEPENDS ON EXTENSION %s", name, extension);
        free(extension);
    }
    free(name);
}

static void carry_plain(struct build *b, struct target *t, const json_t *index, const char *temp,
                        const char *definition)
{
    char *quoted = sql_quote_ident(temp);
    struct eng_step *step = build_step(b, ENG_STAGE_BUILD, ENG_STEP_CONCURRENTLY, t->table,
                                       "build the index that becomes %s", cat_text(index, "name"));

    step_sql(step, "CREATE %sINDEX CONCURRENTLY %s ON %s %s",
             flag(index, "unique") ? "UNIQUE " : "", quoted, t->relation, definition);
    step_lock(step, "SHARE UPDATE EXCLUSIVE", t->relation, "while it is built; blocks no query");
    step->index_schema = mem_strdup(cat_text(index, "schema"));
    step->index_name = mem_strdup(temp);
    free(quoted);
}

/* It goes with its column, in whichever direction. */
static enum rc carry_parts(struct build *b, struct target *t, const json_t *index, const char *temp,
                           const char *definition)
{
    bool constraint = cat_text(index, "constraint") != NULL;
    char *title =
        mem_printf("build the index of partitions that becomes %s", cat_text(index, "name"));
    char *said = NULL;
    enum rc rc = constraint ? unique_definition(b, t, index, &said) : RC_OK;
    const struct parts_index parts = {.title = title,
                                      .name = temp,
                                      .unique = flag(index, "unique"),
                                      .definition = definition,
                                      .constraint = constraint ? "UNIQUE" : NULL,
                                      .said = said,
                                      .defers = index_defers(index)};
    int built;

    if (rc == RC_OK)
        rc = parts_build(b, t, &parts, &built);
    free(said);
    free(title);
    return rc;
}

/* Attached as a constraint already where the table is partitioned. */
static void carry_constraint_name(struct build *b, struct target *t, const json_t *index,
                                  const char *temp, const char *parked)
{
    char *quoted = sql_quote_ident(temp);
    const char *comment = cat_text(index, "constraint_comment");

    if (!is_partitioned(t)) {
        promote_index(b, t, index, quoted);
    } else if (comment) {
        char *literal = sql_quote_literal(comment);

        texts_add(&t->cutover, "COMMENT ON CONSTRAINT %s ON %s IS %s", quoted, t->relation,
                  literal);
        free(literal);
    }
    carry_swap(t, t->relation, "ALTER TABLE %s RENAME CONSTRAINT %s TO %s", cat_text(index, "name"),
               parked, temp);
    free(quoted);
}

/* A function of the same name may be steady over one type, and not over another. */
static enum rc try_exprs(struct build *b, const struct target *t, const json_t *index,
                         const char *definition, bool *refused)
{
    const json_t *keys = json_object_get(index, "keys");
    bool reads = expr_reads(cat_text(index, "predicate"), &t->gone);
    char *object;
    enum rc rc;

    for (size_t i = 0; i < json_array_size(keys); i++)
        reads |= expr_reads(cat_text(json_array_get(keys, i), "expression"), &t->gone);
    if (!reads)
        return RC_OK;
    object = mem_printf("index %s", cat_text(index, "name"));
    rc = probe_carried(b, t, object, definition, refused);
    free(object);
    return rc;
}

static enum rc carry_index(struct build *b, struct target *t, const json_t *index)
{
    const char *schema = cat_text(index, "schema"), *name = cat_text(index, "name");
    char *temp = target_temp(t), *parked = target_temp(t), *definition = NULL;
    bool refused = false;
    enum rc rc = index_definition(b, t, index, &definition);

    if (rc == RC_OK)
        rc = try_exprs(b, t, index, definition, &refused);
    if (refused)
        goto out;
    if (rc == RC_OK && is_partitioned(t))
        rc = carry_parts(b, t, index, temp, definition);
    else if (rc == RC_OK)
        carry_plain(b, t, index, temp, definition);
    if (rc != RC_OK)
        goto out;
    warn_of_twin(b, index);
    carry_belongings(t, index, temp);
    carry_marks(t, index);
    if (cat_text(index, "constraint")) {
        carry_constraint_name(b, t, index, temp, parked);
    } else {
        char *s = sql_quote_ident(schema);

        carry_swap(t, s, "ALTER INDEX %s.%s RENAME TO %s", name, parked, temp);
        free(s);
    }
out:
    free(definition);
    free(parked);
    free(temp);
    return rc;
}

enum rc carry_indexes(struct build *b, struct target *t)
{
    const json_t *indexes = json_object_get(t->doc, "indexes");
    enum rc rc = RC_OK;

    for (size_t i = 0; rc == RC_OK && i < json_array_size(indexes); i++) {
        const json_t *index = json_array_get(indexes, i);
        char *object;
        bool refused = false, key;

        if (!index_touches(index, &t->from) || is_released(t, cat_text(index, "constraint")))
            continue;
        object = mem_printf("index %s", cat_text(index, "name"));
        key = key_is_carried(index);
        rc = (key ? refuse_opclass : refuse_index)(b, t, index, object, &refused);
        if (rc == RC_OK && !refused && is_partitioned(t))
            rc = parts_warn_own(b, index, object);
        free(object);
        if (rc == RC_OK && !refused)
            rc = (key ? carry_key : carry_index)(b, t, index);
    }
    return rc;
}

/* ---- constraints ---- */

/* Names with commas, as they are or as they become. */
static void put_columns(struct buf *out, const struct target *t, const json_t *names)
{
    for (size_t i = 0; i < json_array_size(names); i++) {
        buf_append_str(out, i ? ", " : "");
        sql_quote_ident_put(out, carry_name(t, json_string_value(json_array_get(names, i))));
    }
}

bool constraint_touches(const json_t *constraint, const struct texts *columns)
{
    const json_t *names = json_object_get(constraint, "columns");

    for (size_t i = 0; i < json_array_size(names); i++)
        if (texts_has(columns, json_string_value(json_array_get(names, i))))
            return true;
    return false;
}

static char *constraint_definition(struct build *b, struct target *t, const json_t *constraint)
{
    const json_t *names = json_object_get(constraint, "columns");
    struct buf out = {0};

    if (!strcmp(cat_text(constraint, "type"), "c")) {
        char *expr = carry_expr(t, cat_text(constraint, "expression"), b->err);

        if (!expr)
            return NULL;
        buf_printf(&out, "CHECK (%s)%s%s", expr,
                   flag(constraint, "no_inherit") ? " NO INHERIT" : "",
                   flag(constraint, "enforced") ? " NOT VALID" : " NOT ENFORCED");
        free(expr);
        return buf_take(&out);
    }
    buf_append_str(&out, "FOREIGN KEY (");
    put_columns(&out, t, names);
    /* PostgreSQL's own text of what follows; a constraint that was never validated says so */
    buf_printf(&out, ")%s", cat_text(constraint, "tail"));
    if (json_array_size(json_object_get(constraint, "set_columns"))) {
        buf_append_str(&out, " (");
        put_columns(&out, t, json_object_get(constraint, "set_columns"));
        buf_append_str(&out, ")");
    }
    buf_printf(&out, "%s%s", cat_text(constraint, "tail_end"),
               flag(constraint, "validated") ? " NOT VALID" : "");
    return buf_take(&out);
}

static void carry_constraint(struct build *b, struct target *t, const json_t *constraint,
                             const char *definition)
{
    bool foreign = !strcmp(cat_text(constraint, "type"), "f");
    const char *name = cat_text(constraint, "name");
    char *temp = target_temp(t), *parked = target_temp(t);
    char *quoted = sql_quote_ident(temp);
    char *on = foreign ? mem_printf("%s, %s", t->relation, cat_text(constraint, "foreign_table"))
                       : mem_strdup(t->relation);
    struct eng_step *step = build_step(b, ENG_STAGE_BUILD, ENG_STEP_DDL, t->table,
                                       "add the constraint that becomes %s", name);

    step_sql(step, "ALTER TABLE %s ADD CONSTRAINT %s %s", t->relation, quoted, definition);
    if (foreign && !texts_has(&t->foreign, cat_text(constraint, "foreign_table")))
        texts_add(&t->foreign, "%s", cat_text(constraint, "foreign_table"));
    step_lock(step, foreign ? "SHARE ROW EXCLUSIVE" : "ACCESS EXCLUSIVE", on, INSTANT);
    if (cat_text(constraint, "comment"))
        comment_constraint(step, t, quoted, cat_text(constraint, "comment"));
    if (flag(constraint, "validated")) {
        step = build_step(b, ENG_STAGE_BUILD, ENG_STEP_VALIDATE, t->table, "validate %s", name);
        step_sql(step, "ALTER TABLE %s VALIDATE CONSTRAINT %s", t->relation, quoted);
        step_lock(step, "SHARE UPDATE EXCLUSIVE", t->relation, "one scan; blocks no query");
    }
    carry_swap(t, t->relation, "ALTER TABLE %s RENAME CONSTRAINT %s TO %s", name, parked, temp);
    free(on);
    free(quoted);
    free(parked);
    free(temp);
}

static const char *constraint_fault(struct build *b, const struct target *t,
                                    const json_t *constraint)
{
    bool foreign = !strcmp(cat_text(constraint, "type"), "f");

    if (!foreign && constraint_touches(constraint, &t->gone) &&
        !carry_follows(b, t, cat_text(constraint, "expression")))
        return "it cannot follow the change of type";
    if (foreign && !strcmp(cat_text(t->doc, "relkind"), "p"))
        return "foreign keys of partitioned tables cannot be carried yet";
    if (flag(constraint, "period"))
        return "a foreign key with PERIOD cannot be carried";
    return NULL;
}

enum rc carry_constraints(struct build *b, struct target *t)
{
    const json_t *constraints = json_object_get(t->doc, "constraints");

    for (size_t i = 0; i < json_array_size(constraints); i++) {
        const json_t *constraint = json_array_get(constraints, i);
        const char *fault;
        char *definition, *object;
        bool beyond;

        if (!constraint_touches(constraint, &t->from) || link_is(b, t, constraint) ||
            is_released(t, cat_text(constraint, "name")))
            continue;
        object = mem_printf("constraint %s", cat_text(constraint, "name"));
        beyond = !strcmp(cat_text(constraint, "type"), "c") &&
                 expr_is_beyond(b, t, cat_text(constraint, "expression"), object);
        fault = beyond ? NULL : constraint_fault(b, t, constraint);
        if (fault)
            build_refuse(b, object, "drop it first", "%s", fault);
        free(object);
        if (beyond || fault)
            continue;
        if (refuse_unreferable(b, json_integer_value(json_object_get(t->doc, "oid")), t->relation,
                               cat_text(constraint, "name")) != RC_OK)
            return RC_ERR;
        definition = constraint_definition(b, t, constraint);
        if (!definition)
            return RC_ERR;
        carry_constraint(b, t, constraint, definition);
        free(definition);
    }
    return RC_OK;
}
