/*
 * Extended statistics over a column that gets another half: made again over that one, under names
 * that wait, and filled by ANALYZE before the cut-over swaps the names. The old ones go with the
 * old column.
 */
#include <stdlib.h>
#include <string.h>

#include "plan_build.h"
#include "segue/base/buf.h"
#include "segue/base/mem.h"
#include "segue/catalog/catalog.h"
#include "segue/sql/expr.h"

#define AGAIN "DROP STATISTICS first, and make them again on the new column afterwards"

enum { S_SCHEMA, S_NAME, S_OWNER, S_MINE, S_FIT, S_KINDS, S_TARGET, S_COMMENT, S_COLUMNS, S_EXPRS };

/* Whose it is must be able to own another one: ALTER ... OWNER TO asks for all of this. */
static const char statistics_sql[] =
    "SELECT n.nspname, s.stxname, quote_ident(o.rolname), o.rolname = current_user,"
    " o.rolname = current_user OR (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) OR"
    "  (pg_has_role(o.oid, 'USAGE') AND has_schema_privilege(o.oid, n.oid, 'CREATE') AND CASE WHEN"
    "   current_setting('server_version_num')::int >= 160000 THEN pg_has_role(o.oid, 'SET')"
    "   ELSE pg_has_role(o.oid, 'MEMBER') END),"
    " concat_ws(', ', CASE WHEN 'd' = ANY (s.stxkind) THEN 'ndistinct' END, CASE WHEN 'f' ="
    "  ANY (s.stxkind) THEN 'dependencies' END, CASE WHEN 'm' = ANY (s.stxkind) THEN 'mcv' END),"
    " NULLIF((to_jsonb(s) ->> 'stxstattarget')::int, -1),"
    " obj_description(s.oid, 'pg_statistic_ext'), (SELECT json_agg(a.attname ORDER BY a.attnum)"
    "  FROM pg_attribute a WHERE a.attrelid = s.stxrelid AND a.attnum = ANY (s.stxkeys::int2[])),"
    " array_to_json(pg_get_statisticsobjdef_expressions(s.oid)) FROM pg_statistic_ext s"
    " JOIN pg_namespace n ON n.oid = s.stxnamespace JOIN pg_roles o ON o.oid = s.stxowner"
    " WHERE s.stxrelid = $1::oid ORDER BY s.oid";

struct statistics {
    const PGresult *res;
    int row;
    json_t *columns, *exprs; /* NULL: none */
    char *object;            /* for people */
};

static const char *text_of(const struct statistics *s, int field)
{
    return PQgetisnull(s->res, s->row, field) ? NULL : PQgetvalue(s->res, s->row, field);
}

static json_t *list_of(const struct statistics *s, int field)
{
    const char *text = text_of(s, field);

    return text ? json_loads(text, 0, NULL) : NULL;
}

static bool is_touched(const struct statistics *s, const struct texts *columns)
{
    for (size_t i = 0; i < json_array_size(s->columns); i++)
        if (texts_has(columns, json_string_value(json_array_get(s->columns, i))))
            return true;
    for (size_t i = 0; i < json_array_size(s->exprs); i++)
        if (expr_reads(json_string_value(json_array_get(s->exprs, i)), columns))
            return true;
    return false;
}

/* ---- what cannot follow ---- */

/* Statistics compare values: the type needs an order. */
static enum rc judge_type(struct build *b, const struct statistics *s, const char *type)
{
    bool has;

    if (type_has_opclass(b, "btree", type, &has) != RC_OK)
        return RC_ERR;
    if (!has)
        build_refuse(b, s->object, AGAIN, "values of type %s have no order", type);
    return RC_OK;
}

static enum rc judge_column(struct build *b, const struct target *t, const struct statistics *s,
                            const char *column)
{
    const struct eng_table *table = &b->plan->tables[t->table];

    for (size_t i = 0; i < table->nduals; i++) {
        const struct eng_dual *dual = &table->duals[i];

        if (dual->new_name && dual->old_name && !strcmp(dual->old_name, column))
            return judge_type(b, s, dual->new_type);
    }
    return RC_OK;
}

static enum rc judge_expr(struct build *b, const struct target *t, const struct statistics *s,
                          const char *expr)
{
    char *over, *rows, *sql, *oid, *type = NULL;
    const char *params[1];
    PGresult *res = NULL;
    enum rc rc;

    if (!carry_follows(b, t, expr)) {
        build_refuse(b, s->object, AGAIN, "%s cannot follow the change of type", expr);
        return RC_OK;
    }
    over = carry_expr(t, expr, NULL);
    rows = target_rows(b, t);
    sql = mem_printf("SELECT (%s)%s LIMIT 0", over, rows);
    rc = named_query(b, sql, 0, NULL, &res, b->err);
    params[0] = oid = mem_printf("%u", rc == RC_OK ? PQftype(res, 0) : 0);
    if (rc == RC_OK)
        rc = own_value(b, "SELECT format_type($1::oid, NULL)", 1, params, &type, b->err);
    if (rc == RC_OK)
        rc = judge_type(b, s, type);
    PQclear(res);
    free(type);
    free(oid);
    free(sql);
    free(rows);
    free(over);
    return rc;
}

static enum rc judge(struct build *b, const struct target *t, const struct statistics *s)
{
    enum rc rc = refuse_schema(b, text_of(s, S_SCHEMA), "statistics are");

    if (*text_of(s, S_FIT) != 't') {
        char *hint = mem_printf("connect as a member of %s, which may CREATE in schema %s",
                                text_of(s, S_OWNER), text_of(s, S_SCHEMA));

        build_refuse(b, s->object, hint,
                     "it belongs to %s, and has to be made again as that role's",
                     text_of(s, S_OWNER));
        free(hint);
    }
    for (size_t i = 0; rc == RC_OK && i < json_array_size(s->columns); i++) {
        const char *column = json_string_value(json_array_get(s->columns, i));

        if (texts_has(&t->gone, column))
            rc = judge_column(b, t, s, column);
    }
    for (size_t i = 0; rc == RC_OK && i < json_array_size(s->exprs); i++) {
        const char *expr = json_string_value(json_array_get(s->exprs, i));

        if (expr_reads(expr, &t->gone))
            rc = judge_expr(b, t, s, expr);
    }
    return rc;
}

/* ---- the new ones ---- */

/* What they are on; NULL with an error. */
static char *list_on(struct build *b, const struct target *t, const struct statistics *s)
{
    struct buf on = {0};

    for (size_t i = 0; i < json_array_size(s->columns); i++) {
        buf_append_str(&on, on.len ? ", " : "");
        sql_quote_ident_put(&on, carry_name(t, json_string_value(json_array_get(s->columns, i))));
    }
    for (size_t i = 0; i < json_array_size(s->exprs); i++) {
        char *expr = carry_expr(t, json_string_value(json_array_get(s->exprs, i)), b->err);

        if (!expr) {
            buf_fini(&on);
            return NULL;
        }
        buf_printf(&on, "%s(%s)", on.len ? ", " : "", expr);
        free(expr);
    }
    return buf_take(&on);
}

static void make(struct target *t, const struct statistics *s, struct eng_step *step,
                 const char *name, const char *on)
{
    const char *kinds = text_of(s, S_KINDS), *comment = text_of(s, S_COMMENT);
    bool one = json_array_size(s->columns) + json_array_size(s->exprs) == 1;

    /* of a single expression no kind may be named */
    step_sql(step, "CREATE STATISTICS %s%s%s%s ON %s FROM %s", name, one ? "" : " (",
             one ? "" : kinds, one ? "" : ")", on, t->relation);
    if (text_of(s, S_TARGET))
        step_sql(step, "ALTER STATISTICS %s SET STATISTICS %s", name, text_of(s, S_TARGET));
    if (comment) {
        char *literal = sql_quote_literal(comment);

        step_sql(step, "COMMENT ON STATISTICS %s IS %s", name, literal);
        free(literal);
    }
    if (*text_of(s, S_MINE) != 't')
        step_sql(step, "ALTER STATISTICS %s OWNER TO %s", name, text_of(s, S_OWNER));
}

static enum rc carry_one(struct build *b, struct target *t, const struct statistics *s,
                         struct eng_step *step)
{
    char *temp = target_temp(t), *parked = target_temp(t);
    char *name = sql_quote_qualified(text_of(s, S_SCHEMA), temp);
    char *schema = sql_quote_ident(text_of(s, S_SCHEMA));
    char *on = list_on(b, t, s);

    if (on) {
        make(t, s, step, name, on);
        carry_swap(t, schema, "ALTER STATISTICS %s.%s RENAME TO %s", text_of(s, S_NAME), parked,
                   temp);
    }
    free(on);
    free(schema);
    free(name);
    free(parked);
    free(temp);
    return on ? RC_OK : RC_ERR;
}

/* One transaction: who runs ANALYZE later fills them together, or not at all. */
static struct eng_step *begin(struct build *b, const struct target *t)
{
    struct eng_step *step = build_step(b, ENG_STAGE_BUILD, ENG_STEP_VALIDATE, -1,
                                       "make the extended statistics of %s again", t->relation);

    step_lock(step, "SHARE UPDATE EXCLUSIVE", t->relation, "one ANALYZE; blocks no query");
    return step;
}

enum rc carry_statistics(struct build *b, struct target *t)
{
    char *oid = mem_printf("%lld", (long long)json_integer_value(json_object_get(t->doc, "oid")));
    const char *params[] = {oid};
    struct statistics s = {0};
    struct eng_step *step = NULL;
    PGresult *res = NULL;
    enum rc rc = t->from.n ? own_query(b, statistics_sql, 1, params, &res, b->err) : RC_OK;

    s.res = res;
    for (; rc == RC_OK && res && s.row < PQntuples(res); s.row++) {
        s.columns = list_of(&s, S_COLUMNS);
        s.exprs = list_of(&s, S_EXPRS);
        s.object =
            mem_printf("statistics object %s.%s", text_of(&s, S_SCHEMA), text_of(&s, S_NAME));
        if (is_touched(&s, &t->from)) {
            rc = judge(b, t, &s);
            step = step ? step : begin(b, t);
            if (rc == RC_OK)
                rc = carry_one(b, t, &s, step);
        }
        json_decref(s.columns);
        json_decref(s.exprs);
        free(s.object);
    }
    if (rc == RC_OK && step)
        step_sql(step, "ANALYZE %s", t->relation);
    PQclear(res);
    free(oid);
    return rc;
}
