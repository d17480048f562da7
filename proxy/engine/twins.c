#include "twins.h"

#include <stdlib.h>
#include <string.h>

#include "segue/base/mem.h"
#include "segue/sql/expr.h"
#include "turned.h"

#define RENAMES "ALTER INDEX "
#define TO " RENAME TO "

/* "ALTER INDEX s.a RENAME TO b", as the plan says it. */
struct rename {
    char *from; /* s.a */
    const char *to;
};

static bool parse(const char *sql, struct rename *rename)
{
    const char *to = strstr(sql, TO);

    if (strncmp(sql, RENAMES, strlen(RENAMES)) != 0 || !to)
        return false;
    sql += strlen(RENAMES);
    rename->from = mem_strndup(sql, (size_t)(to - sql));
    rename->to = to + strlen(TO);
    return true;
}

/* Rows of both halves of each pair, either way round. */
static char *pairs_of(const struct eng_table *table)
{
    struct eng_table turned;
    struct buf rows = {0};

    eng_turned_init(&turned, table, true);
    buf_append_str(&rows, "(NULL, NULL)"); /* so that the list is one */
    for (size_t i = 0; i < turned.nduals; i++) {
        const struct eng_dual *dual = &turned.duals[i];
        char *one = dual->old_name ? sql_quote_literal(dual->old_name) : NULL;
        char *other = dual->new_name ? sql_quote_literal(dual->new_name) : NULL;

        if (one && other)
            buf_printf(&rows, ", (%s, %s), (%s, %s)", one, other, other, one);
        free(other);
        free(one);
    }
    eng_turned_fini(&turned);
    return buf_take(&rows);
}

/* r: what is not there is called `name` (quoted), and had `twin`, a literal each. */
static enum rc say_missing(struct eng_engine *engine, const struct eng_table *table,
                           const char *name, const char *twin, struct err *err)
{
    char *pairs = pairs_of(table);
    PGresult *res = conn_query(
        &engine->work, err,
        "SELECT pg_get_indexdef(i.indexrelid), (SELECT string_agg(DISTINCT format('%%I in place of "
        "%%I', p.other, a.attname), ', ') FROM pg_depend d JOIN pg_attribute a ON a.attrelid = "
        "d.refobjid AND a.attnum = d.refobjsubid JOIN (VALUES %s) AS p (one, other) ON p.one = "
        "a.attname WHERE d.classid = 'pg_class'::regclass AND d.objid = i.indexrelid AND "
        "d.refclassid = 'pg_class'::regclass AND d.refobjid = i.indrelid) FROM pg_index i WHERE "
        "i.indexrelid = to_regclass(%s)",
        pairs, twin);

    free(pairs);
    if (!res)
        return RC_ERR;
    err_set(err, "42704", "index %s is not there, and the way back needs it", name);
    if (PQntuples(res) && res_text(res, 0, 1))
        err_hint(err, "make it again as its twin is, %s, with %s; then ask for it again",
                 res_text(res, 0, 0), res_text(res, 0, 1));
    else
        err_hint(err, "make it again under that name; then ask for it again");
    PQclear(res);
    return RC_ERR;
}

/* Behind the schema. */
static const char *bare(const char *name)
{
    const char *dot = name;
    bool quoted = false;

    for (const char *at = name; *at; at++) {
        quoted ^= *at == '"';
        if (*at == '.' && !quoted)
            dot = at + 1;
    }
    return dot;
}

/* The way back itself may make it, or call something so, before it gets there. */
static bool comes_meanwhile(const struct eng_plan *plan, const char *sql, const char *name)
{
    for (size_t i = 0; i < plan->nsteps; i++) {
        const struct eng_step *step = &plan->steps[i];

        for (size_t j = 0; step->stage == ENG_STAGE_REVERT && j < step->nsql; j++) {
            if (step->sql[j] == sql)
                return false;
            if (strstr(step->sql[j], name))
                return true;
        }
    }
    return false;
}

/* Of two, one gets the name that the other had. */
static char *twin_of(const struct eng_step *step, const struct rename *rename)
{
    const char *name = bare(rename->from);

    for (size_t j = 0; j < step->nsql; j++) {
        struct rename other;

        if (!parse(step->sql[j], &other))
            continue;
        if (strcmp(other.to, name) == 0)
            return other.from;
        free(other.from);
    }
    return mem_printf("%.*s%s", (int)(name - rename->from), rename->from, rename->to);
}

static enum rc check_index(struct eng_engine *engine, const struct eng_migration *m,
                           const struct eng_step *step, const char *sql, struct err *err)
{
    struct rename rename;
    char *name, *twin, *of;
    PGresult *res;
    enum rc rc;

    if (!parse(sql, &rename))
        return RC_OK;
    name = sql_quote_literal(rename.from);
    res = conn_query(&engine->work, err, "SELECT to_regclass(%s) IS NOT NULL", name);
    rc = res ? RC_OK : RC_ERR;
    if (res && !res_bool(res, 0, 0) && !comes_meanwhile(m->plan, sql, bare(rename.from))) {
        of = twin_of(step, &rename);
        twin = sql_quote_literal(of);
        rc = say_missing(engine, &m->plan->tables[step->table], rename.from, twin, err);
        free(twin);
        free(of);
    }
    PQclear(res);
    free(name);
    free(rename.from);
    return rc;
}

enum rc twins_check(struct eng_engine *engine, const struct eng_migration *m, struct err *err)
{
    for (size_t i = 0; i < m->plan->nsteps; i++) {
        const struct eng_step *step = &m->plan->steps[i];

        if (step->stage != ENG_STAGE_REVERT || step->table < 0)
            continue;
        for (size_t j = 0; j < step->nsql; j++)
            if (check_index(engine, m, step, step->sql[j], err) != RC_OK)
                return RC_ERR;
    }
    return RC_OK;
}
