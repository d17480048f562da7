#include "twins.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "segue/base/log.h"
#include "segue/base/mem.h"
#include "segue/sql/expr.h"
#include "turned.h"

/* What a statement of the way back renames, as the plan says it. */
enum kind { KIND_INDEX, KIND_STATISTICS, KIND_CONSTRAINT, KIND_COUNT };

static const struct {
    const char *alters, *to; /* in front of its name, or its table's; behind it */
    const char *what, *class, *defined;
} kinds[KIND_COUNT] = {
    [KIND_INDEX] = {"ALTER INDEX ", " RENAME TO ", "index", "pg_class", "pg_get_indexdef"},
    [KIND_STATISTICS] = {"ALTER STATISTICS ", " RENAME TO ", "statistics object",
                         "pg_statistic_ext", "pg_get_statisticsobjdef"},
    [KIND_CONSTRAINT] = {"ALTER TABLE ", " TO ", "constraint", "pg_constraint",
                         "pg_get_constraintdef"},
};

/* "ALTER INDEX s.a RENAME TO b", "ALTER TABLE s.t RENAME CONSTRAINT a TO b". */
struct rename {
    enum kind kind;
    char *table;    /* of a constraint: s.t, as the statement has it; else NULL */
    char *from;     /* s.a; of a constraint a */
    const char *to; /* b */
};

static void rename_fini(struct rename *rename)
{
    free(rename->table);
    free(rename->from);
}

/* Behind a name. */
static const char *skip_name(const char *at)
{
    bool quoted = false;

    for (; *at && (quoted || *at != ' '); at++)
        quoted ^= *at == '"';
    return at;
}

/* Is `word` there? Moves *at behind it. */
static bool take(const char **at, const char *word)
{
    if (strncmp(*at, word, strlen(word)) != 0)
        return false;
    *at += strlen(word);
    return true;
}

static char *take_name(const char **at)
{
    const char *begin = *at;

    *at = skip_name(begin);
    return mem_strndup(begin, (size_t)(*at - begin));
}

static bool parse_as(enum kind kind, const char *sql, struct rename *rename)
{
    *rename = (struct rename){.kind = kind};
    if (!take(&sql, kinds[kind].alters))
        return false;
    if (kind == KIND_CONSTRAINT)
        rename->table = take_name(&sql);
    if (kind != KIND_CONSTRAINT || take(&sql, " RENAME CONSTRAINT ")) {
        rename->from = take_name(&sql);
        rename->to = take(&sql, kinds[kind].to) ? sql : NULL;
    }
    if (!rename->to)
        rename_fini(rename);
    return rename->to != NULL;
}

static bool parse(const char *sql, struct rename *rename)
{
    for (enum kind kind = 0; kind < KIND_COUNT; kind++)
        if (parse_as(kind, sql, rename))
            return true;
    return false;
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

/* An expression: its oid, or NULL; heap. */
static char *oid_sql(const struct eng_table *table, enum kind kind, const char *name)
{
    char *literal = sql_quote_literal(name), *sql = NULL;

    switch (kind) {
    case KIND_STATISTICS:
        sql = mem_printf("(SELECT x.oid FROM pg_statistic_ext x JOIN pg_namespace n ON n.oid = "
                         "x.stxnamespace WHERE ARRAY[n.nspname, x.stxname]::text[] = "
                         "parse_ident(%s))",
                         literal);
        break;
    case KIND_CONSTRAINT:
        sql = mem_printf("(SELECT k.oid FROM pg_constraint k WHERE k.conrelid = %u AND "
                         "k.conname = (parse_ident(%s))[1])",
                         table->oid, literal);
        break;
    case KIND_INDEX:
    case KIND_COUNT:
        sql = mem_printf("to_regclass(%s)::oid", literal);
    }
    free(literal);
    return sql;
}

/* The twin is there: how it is defined, and what is to be said in it instead. */
static enum rc refuse(struct eng_engine *engine, const struct eng_table *table,
                      const struct rename *missing, const char *twin, struct err *err)
{
    char *pairs = pairs_of(table);
    PGresult *res = conn_query(
        &engine->work, err,
        "SELECT %s(o.oid), (SELECT string_agg(DISTINCT format('%%I in place of %%I', p.other, "
        "a.attname), ', ') FROM pg_depend d JOIN pg_attribute a ON a.attrelid = d.refobjid AND "
        "a.attnum = d.refobjsubid JOIN (VALUES %s) AS p (one, other) ON p.one = a.attname WHERE "
        "d.classid = '%s'::regclass AND d.objid = o.oid AND d.refclassid = 'pg_class'::regclass "
        "AND d.refobjid = %u) FROM (SELECT %s AS oid) o",
        kinds[missing->kind].defined, pairs, kinds[missing->kind].class, table->oid, twin);

    free(pairs);
    if (!res)
        return RC_ERR;
    err_set(err, "42704", "%s %s is not there, and the way back needs it (table %s.%s)",
            kinds[missing->kind].what, missing->from, table->schema, table->name);
    if (res_text(res, 0, 0) && res_text(res, 0, 1))
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

static bool in_name(char c)
{
    return isalnum((unsigned char)c) || c == '_' || c == '"' || c == '~';
}

static bool mentions(const char *sql, const char *name)
{
    size_t len = strlen(name);

    for (const char *at = sql; (at = strstr(at, name)); at++)
        if ((at == sql || !in_name(at[-1])) && !in_name(at[len]))
            return true;
    return false;
}

/* The way back itself may make it, or call something so, before it gets there. */
static bool comes_meanwhile(const struct eng_plan *plan, const char *sql, const char *name)
{
    for (size_t i = 0; i < plan->nsteps; i++) {
        const struct eng_step *step = &plan->steps[i];

        for (size_t j = 0; step->stage == ENG_STAGE_REVERT && j < step->nsql; j++) {
            if (step->sql[j] == sql)
                return false;
            if (mentions(step->sql[j], name))
                return true;
        }
    }
    return false;
}

/* Of two, one gets the name that the other had; heap. */
static char *twin_of(const struct eng_step *step, const struct rename *rename)
{
    const char *name = bare(rename->from);

    for (size_t j = 0; j < step->nsql; j++) {
        struct rename other;

        if (!parse(step->sql[j], &other))
            continue;
        if (other.kind == rename->kind && strcmp(other.to, name) == 0) {
            free(other.table);
            return other.from;
        }
        rename_fini(&other);
    }
    return mem_printf("%.*s%s", (int)(name - rename->from), rename->from, rename->to);
}

/* *gone: it is not there, and its twin is not either: the way back goes without both. */
static enum rc look(struct eng_engine *engine, const struct eng_migration *m,
                    const struct eng_step *step, const char *sql, bool *gone, struct err *err)
{
    const struct eng_table *table = step->table < 0 ? NULL : &m->plan->tables[step->table];
    struct rename rename;
    char *name, *of, *twin;
    PGresult *res;
    enum rc rc;

    *gone = false;
    if (!table || !parse(sql, &rename))
        return RC_OK;
    of = twin_of(step, &rename);
    name = oid_sql(table, rename.kind, rename.from);
    twin = oid_sql(table, rename.kind, of);
    res = conn_query(&engine->work, err, "SELECT %s IS NOT NULL, %s IS NOT NULL", name, twin);
    rc = res ? RC_OK : RC_ERR;
    if (res && !res_bool(res, 0, 0) && !comes_meanwhile(m->plan, sql, bare(rename.from))) {
        *gone = !res_bool(res, 0, 1);
        if (*gone)
            log_warning("%s %s is not there any more, nor its twin: the way back goes without",
                        kinds[rename.kind].what, rename.from);
        else
            rc = refuse(engine, table, &rename, twin, err);
    }
    PQclear(res);
    free(twin);
    free(name);
    free(of);
    rename_fini(&rename);
    return rc;
}

enum rc twins_steps(struct eng_engine *engine, const struct eng_migration *m, char **steps,
                    struct err *err)
{
    struct buf sql = {0};

    *steps = NULL;
    for (size_t i = 0; i < m->plan->nsteps; i++) {
        const struct eng_step *step = &m->plan->steps[i];

        for (size_t j = 0; step->stage == ENG_STAGE_REVERT && j < step->nsql; j++) {
            bool gone;

            if (look(engine, m, step, step->sql[j], &gone, err) != RC_OK) {
                buf_fini(&sql);
                return RC_ERR;
            }
            if (!gone)
                buf_printf(&sql, "%s%s", sql.len ? ";\n" : "", step->sql[j]);
        }
    }
    *steps = buf_take(&sql);
    return RC_OK;
}

bool twins_left_out(struct eng_engine *engine, const char *sql)
{
    struct err ignored = {0};
    struct rename rename;
    char *table, *name;
    PGresult *res;
    bool gone;

    if (!parse_as(KIND_CONSTRAINT, sql, &rename))
        return false;
    table = sql_quote_literal(rename.table);
    name = sql_quote_literal(rename.from);
    res = conn_query(&engine->work, &ignored,
                     "SELECT EXISTS (SELECT FROM pg_constraint WHERE conrelid = to_regclass(%s) "
                     "AND conname = (parse_ident(%s))[1])",
                     table, name);
    gone = res && !res_bool(res, 0, 0);
    if (gone)
        log_warning("constraint %s of %s is not there any more: it gets no other name", rename.from,
                    rename.table);
    PQclear(res);
    free(name);
    free(table);
    rename_fini(&rename);
    return gone;
}
