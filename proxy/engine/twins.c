#include "twins.h"

#include <stdlib.h>
#include <string.h>

#include "segue/base/log.h"
#include "segue/base/mem.h"
#include "segue/sql/expr.h"
#include "turned.h"

/* What a statement of a turn renames, as the plan says it. */
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

/* "ALTER INDEX s.a RENAME TO b", "ALTER TABLE s.t RENAME CONSTRAINT a TO b"; an index that becomes
 * a key is called as that: "ALTER TABLE s.t ADD CONSTRAINT b PRIMARY KEY USING INDEX a". */
struct rename {
    enum kind kind;
    char *table; /* of a constraint: s.t, as the statement has it; else NULL */
    char *from;  /* s.a; of a constraint a */
    char *to;    /* b */
};

static void rename_fini(struct rename *rename)
{
    free(rename->table);
    free(rename->from);
    free(rename->to);
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

static bool parse_as(enum kind kind, const char *sql, struct rename *rename)
{
    *rename = (struct rename){.kind = kind};
    if (!take(&sql, kinds[kind].alters))
        return false;
    if (kind == KIND_CONSTRAINT)
        rename->table = take_name(&sql);
    if (kind != KIND_CONSTRAINT || take(&sql, " RENAME CONSTRAINT ")) {
        rename->from = take_name(&sql);
        rename->to = take(&sql, kinds[kind].to) ? mem_strdup(sql) : NULL;
    }
    if (!rename->to)
        rename_fini(rename);
    return rename->to != NULL;
}

/* The index is in the schema of its table. */
static bool parse_key(const char *sql, struct rename *rename)
{
    char *table, *key = NULL;
    bool is;

    if (!take(&sql, kinds[KIND_CONSTRAINT].alters))
        return false;
    table = take_name(&sql);
    if (take(&sql, " ADD CONSTRAINT "))
        key = take_name(&sql);
    is = key && take(&sql, " PRIMARY KEY USING INDEX ");
    if (is)
        *rename =
            (struct rename){.kind = KIND_INDEX,
                            .from = mem_printf("%.*s%s", (int)(bare(table) - table), table, sql),
                            .to = key};
    else
        free(key);
    free(table);
    return is;
}

static bool parse(const char *sql, struct rename *rename)
{
    for (enum kind kind = 0; kind < KIND_COUNT; kind++)
        if (parse_as(kind, sql, rename))
            return true;
    return parse_key(sql, rename);
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

static const char *turn_of(const struct eng_step *step)
{
    return step->stage == ENG_STAGE_REVERT ? "the way back" : "the cut-over";
}

/* How its twin is defined, where that is there, and what is to be said in it instead. A
 * constraint's index depends on that, and not on columns. */
static enum rc refuse(struct eng_engine *engine, const struct eng_table *table,
                      const struct eng_step *step, const struct rename *missing, const char *twin,
                      struct err *err)
{
    char *pairs = pairs_of(table);
    PGresult *res = conn_query(
        &engine->work, err,
        "SELECT %s(o.oid), (SELECT string_agg(DISTINCT format('%%I in place of %%I', p.other, "
        "a.attname), ', ') FROM pg_depend d JOIN pg_attribute a ON a.attrelid = d.refobjid AND "
        "a.attnum = d.refobjsubid JOIN (VALUES %s) AS p (one, other) ON p.one = a.attname WHERE "
        "(d.classid = '%s'::regclass AND d.objid = o.oid OR d.classid = 'pg_constraint'::regclass "
        "AND d.objid IN (SELECT k.oid FROM pg_constraint k WHERE k.conindid = o.oid AND k.contype "
        "IN ('p', 'u'))) AND d.refclassid = 'pg_class'::regclass AND d.refobjid = %u) FROM (SELECT "
        "%s AS oid) o",
        kinds[missing->kind].defined, pairs, kinds[missing->kind].class, table->oid, twin);

    free(pairs);
    if (!res)
        return RC_ERR;
    err_set(err, "42704", "%s %s is not there, and %s needs it (table %s.%s)",
            kinds[missing->kind].what, missing->from, turn_of(step), table->schema, table->name);
    if (res_text(res, 0, 0) && res_text(res, 0, 1))
        err_hint(err, "make it again as its twin is, %s, with %s; then ask for it again",
                 res_text(res, 0, 0), res_text(res, 0, 1));
    else
        err_hint(err, "make it again under that name; then ask for it again");
    PQclear(res);
    return RC_ERR;
}

/* Does the statement call something as the other one wants to find it? */
static bool gives(const char *sql, const struct rename *wanted)
{
    const char *name = bare(wanted->from);
    size_t schema = (size_t)(name - wanted->from);
    struct rename other;
    bool is = false;

    if (!parse(sql, &other))
        return false;
    if (other.kind == wanted->kind && !strcmp(other.to, name))
        is = wanted->table ? !strcmp(other.table, wanted->table)
                           : !strncmp(other.from, wanted->from, schema);
    rename_fini(&other);
    return is;
}

static bool adds(const char *sql, const struct rename *wanted)
{
    char *begins =
        wanted->table ? mem_printf("ALTER TABLE %s ADD CONSTRAINT %s ", wanted->table, wanted->from)
                      : NULL;
    bool is = begins && !strncmp(sql, begins, strlen(begins));

    free(begins);
    return is;
}

/* The turn itself may make it, or call something so, before it gets there. */
static bool comes_meanwhile(const struct eng_plan *plan, enum eng_stage stage, const char *sql,
                            const struct rename *wanted)
{
    for (size_t i = 0; i < plan->nsteps; i++) {
        const struct eng_step *step = &plan->steps[i];

        for (size_t j = 0; step->stage == stage && j < step->nsql; j++) {
            if (step->sql[j] == sql)
                return false;
            if (gives(step->sql[j], wanted) || adds(step->sql[j], wanted))
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
        char *twin = NULL;

        if (!parse(step->sql[j], &other))
            continue;
        if (other.kind == rename->kind && strcmp(other.to, name) == 0)
            twin = mem_strdup(other.from);
        rename_fini(&other);
        if (twin)
            return twin;
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
    if (res && !res_bool(res, 0, 0) && !comes_meanwhile(m->plan, step->stage, sql, &rename)) {
        *gone = step->stage == ENG_STAGE_REVERT && !res_bool(res, 0, 1);
        if (*gone)
            log_warning("%s %s is not there any more, nor its twin: the way back goes without",
                        kinds[rename.kind].what, rename.from);
        else
            rc = refuse(engine, table, step, &rename, twin, err);
    }
    PQclear(res);
    free(twin);
    free(name);
    free(of);
    rename_fini(&rename);
    return rc;
}

/* ---- what else is said of it ---- */

#define CLUSTERS " CLUSTER ON "
#define IDENTIFIES " REPLICA IDENTITY USING INDEX "

static bool ends_with(const char *text, const char *what, const char *name)
{
    size_t len = strlen(text), most = strlen(what), least = strlen(name);

    return len >= most + least && !strncmp(text + len - least - most, what, most) &&
           !strcmp(text + len - least, name);
}

static bool says(const struct eng_step *step, const char *what, const char *name)
{
    for (size_t j = 0; j < step->nsql; j++)
        if (ends_with(step->sql[j], what, name))
            return true;
    return false;
}

static bool comments_on(const char *sql, const char *name)
{
    char *on;
    bool is;

    if (!take(&sql, "COMMENT ON INDEX ") && !take(&sql, "COMMENT ON CONSTRAINT "))
        return false;
    on = take_name(&sql);
    is = !strcmp(bare(on), name);
    free(on);
    return is;
}

/* A replica identity would not be given back that is let go of meanwhile. */
static bool lets_go(const char *sql)
{
    return ends_with(sql, " REPLICA IDENTITY ", "FULL") ||
           ends_with(sql, " REPLICA IDENTITY ", "NOTHING"); /* a plan of an older segue */
}

static bool is_of(const struct eng_step *step, const char *sql, const char *name)
{
    return ends_with(sql, CLUSTERS, name) || ends_with(sql, IDENTIFIES, name) ||
           comments_on(sql, name) || (lets_go(sql) && says(step, IDENTIFIES, name));
}

/* Is it about a name that nothing gets any more? */
static bool hangs_on(const struct eng_step *step, const bool *gone, const char *sql)
{
    bool is = false;

    for (size_t j = 0; !is && j < step->nsql; j++) {
        struct rename rename;

        if (!gone[j] || !parse(step->sql[j], &rename))
            continue;
        is = is_of(step, sql, rename.to);
        rename_fini(&rename);
    }
    return is;
}

static enum rc take_step(struct eng_engine *engine, const struct eng_migration *m,
                         const struct eng_step *step, struct buf *out, struct err *err)
{
    bool *gone = mem_calloc(step->nsql + 1, sizeof(*gone));
    enum rc rc = RC_OK;

    for (size_t j = 0; rc == RC_OK && j < step->nsql; j++)
        rc = look(engine, m, step, step->sql[j], &gone[j], err);
    for (size_t j = 0; rc == RC_OK && j < step->nsql; j++)
        if (!gone[j] && !hangs_on(step, gone, step->sql[j]))
            buf_printf(out, "%s%s", out->len ? ";\n" : "", step->sql[j]);
    free(gone);
    return rc;
}

enum rc twins_steps(struct eng_engine *engine, const struct eng_migration *m, enum eng_stage stage,
                    char **steps, struct err *err)
{
    struct buf sql = {0};
    enum rc rc = RC_OK;

    for (size_t i = 0; rc == RC_OK && i < m->plan->nsteps; i++)
        if (m->plan->steps[i].stage == stage)
            rc = take_step(engine, m, &m->plan->steps[i], &sql, err);
    *steps = rc == RC_OK ? buf_take(&sql) : NULL;
    buf_fini(&sql);
    return rc;
}

bool twins_left_out(struct eng_engine *engine, const char *sql)
{
    struct err ignored = {0};
    struct rename rename;
    char *table, *name;
    PGresult *res;
    bool gone;
    const char *child;

    if (!parse_as(KIND_CONSTRAINT, sql, &rename))
        return false;
    table = sql_quote_literal(rename.table);
    name = sql_quote_literal(rename.from);
    /* the server finds NOT NULL of an attached partition by its column, and renames it by its name
     */
    res = conn_query(&engine->work, &ignored,
                     "SELECT k.oid IS NOT NULL, (SELECT min(p.relid::regclass::text) FROM "
                     "pg_partition_tree(k.conrelid) p WHERE k.contype = 'n' AND NOT EXISTS (SELECT "
                     "FROM pg_constraint c WHERE c.conrelid = p.relid AND c.conname = k.conname)) "
                     "FROM (SELECT) AS one LEFT JOIN pg_constraint k ON k.conrelid = to_regclass("
                     "%s) AND k.conname = (parse_ident(%s))[1]",
                     table, name);
    gone = res && !res_bool(res, 0, 0);
    child = res ? res_text(res, 0, 1) : NULL;
    if (gone)
        log_warning("constraint %s of %s is not there any more: it gets no other name", rename.from,
                    rename.table);
    else if (child)
        log_warning("constraint %s of %s keeps this name: partition %s has it under another one",
                    rename.from, rename.table, child);
    gone = gone || child;
    PQclear(res);
    free(name);
    free(table);
    rename_fini(&rename);
    return gone;
}
