/*
 * Guards run as whoever writes, under whatever that session has set. Where the value of an
 * expression may depend on a setting, the guard fixes it to what it is here, so that writers, the
 * backfill and verify agree; and whoever may write must be allowed to call what the guard calls.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "history.h"
#include "plan_build.h"
#include "plan_probe.h"
#include "segue/base/buf.h"
#include "segue/base/mem.h"
#include "segue/catalog/catalog.h"
#include "segue/sql/expr.h"
#include "writers.h"

#define PROBE_ROWS_MAX 200

/* ---- settings ---- */

/* $1: the table; what the expression reads, makes, casts to and calls. Texts of these types are the
 * same under every setting. A type that is not known is one of the file's enums, or of a schema
 * that is not in the search path: only of the former, $3, nothing is to be feared. */
static const char varies_sql[] =
    "SELECT 1 WHERE EXISTS (SELECT FROM (SELECT a.atttypid::oid AS oid FROM pg_attribute a"
    "  WHERE a.attrelid = $1::oid AND a.attname = ANY ($2::text[])"
    "  UNION SELECT to_regtype(n)::oid FROM unnest($3::text[]) n WHERE to_regtype(n) IS NOT NULL"
    "  UNION SELECT unnest($4::oid[])) x"
    " LEFT JOIN pg_type t ON t.oid = x.oid WHERE t.oid IS NULL OR t.typtype <> 'e' AND"
    "  COALESCE(NULLIF(t.typbasetype, 0), t.oid) <> ALL ('{pg_catalog.bool, pg_catalog.int2,"
    "   pg_catalog.int4, pg_catalog.int8, pg_catalog.oid, pg_catalog.numeric, pg_catalog.text,"
    "   pg_catalog.varchar, pg_catalog.bpchar, pg_catalog.name, pg_catalog.uuid, pg_catalog.json,"
    "   pg_catalog.jsonb, pg_catalog.inet, pg_catalog.cidr, pg_catalog.macaddr, pg_catalog.bit,"
    "   pg_catalog.varbit}'::regtype[]))"
    " OR EXISTS (SELECT FROM pg_proc p WHERE p.provolatile <> 'i' AND p.oid = ANY ($5::oid[]))";

/* Parameters as of varies_sql, $6: the old column. Does the expression name what is not the
 * server's own, and so may get another name? An enum that is only read counts, too: its labels are
 * said. And may a parameter of a function stand in the place of each column? It has no collation
 * but its type's. */
static const char trees_sql[] =
    "SELECT CASE WHEN EXISTS (SELECT FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid WHERE"
    "   a.attrelid = $1::oid AND (a.attname = ANY ($2::text[]) OR a.attname = $6::text) AND"
    "   (a.attcollation <> t.typcollation OR NOT has_type_privilege(t.oid, 'USAGE')))"
    "  OR cardinality($2::text[]) > 90 THEN 'unfit'"
    " WHEN EXISTS (SELECT FROM (SELECT to_regtype(n)::oid AS oid FROM unnest($3::text[]) n UNION"
    "   SELECT unnest($4::oid[]) UNION SELECT a.atttypid FROM pg_attribute a WHERE a.attrelid ="
    "   $1::oid AND a.attname = ANY ($2::text[])) x LEFT JOIN pg_type t ON t.oid = x.oid WHERE"
    "   t.oid IS NULL OR t.typnamespace <> 'pg_catalog'::regnamespace)"
    "  OR EXISTS (SELECT FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace WHERE p.oid ="
    "   ANY ($5::oid[]) AND n.nspname NOT IN ('pg_catalog', 'segue')) THEN 'renamable' END";

/* Parameters as of varies_sql: labels of the enums among those types, and of what these are made
 * of, as type_names.h wants them. */
static const char labels_sql[] =
    "WITH RECURSIVE x (oid) AS (SELECT unnest($4::oid[]) UNION SELECT to_regtype(n)::oid FROM"
    "  unnest($3::text[]) n UNION SELECT a.atttypid FROM pg_attribute a WHERE a.attrelid = $1::oid"
    "  AND a.attname = ANY ($2::text[]) UNION SELECT m.oid FROM x JOIN pg_type t ON t.oid = x.oid"
    "  CROSS JOIN LATERAL (VALUES (t.typelem), (t.typbasetype)) AS m (oid) WHERE m.oid <> 0)"
    " SELECT json_agg(concat(e.oid, ' ', e.enumlabel) ORDER BY e.oid) FROM x JOIN pg_enum e ON"
    " e.enumtypid = x.oid WHERE $5::oid[] IS NOT NULL";

/* As this connection has them: so fill and verify see them. */
static const char settings_sql[] =
    "SELECT string_agg(format(' SET %I = %L', name, setting), '' ORDER BY name) FROM pg_settings"
    " WHERE name IN ('DateStyle', 'IntervalStyle', 'TimeZone', 'bytea_output',"
    " 'default_text_search_config', 'extra_float_digits', 'lc_monetary', 'lc_numeric', 'lc_time')";

static enum rc ask(struct build *b, const char *sql, const struct target *t,
                   const struct eng_dual *dual, const struct sql_expr_info *info, char **answer)
{
    char oid[32], *types[2];
    char *lists[4] = {NULL};
    size_t ntypes = 0;
    enum rc rc;

    if (dual->old_type)
        types[ntypes++] = dual->old_type;
    if (dual->new_type)
        types[ntypes++] = dual->new_type;
    snprintf(oid, sizeof(oid), "%lld",
             (long long)json_integer_value(json_object_get(t->doc, "oid")));
    lists[0] = history_array(info->columns, info->ncolumns);
    lists[1] = history_array(types, ntypes);
    rc = types_named(b, info->casts, info->ncasts, &lists[2]);
    if (rc == RC_OK)
        rc = functions_named(b, info->functions, info->nfunctions, &lists[3]);
    if (rc == RC_OK)
        rc = own_value(
            b, sql, strstr(sql, "$6") ? 6 : 5,
            (const char *const[]){oid, lists[0], lists[1], lists[2], lists[3], dual->old_name},
            answer, b->err);
    for (size_t i = 0; i < ARRAY_LEN(lists); i++)
        free(lists[i]);
    return rc;
}

/* Rows as they are now, and under other settings: where they differ, people are told. */
static char *settings_body(const struct target *t, const struct eng_dual *dual)
{
    char *value = mem_printf("SELECT CAST((%s\n) AS %s) AS v INTO", dual->up, dual->new_type);
    char *row = mem_printf("FROM %s t WHERE t.ctid OPERATOR(pg_catalog.=) r.c AND t.tableoid"
                           " OPERATOR(pg_catalog.=) r.o;",
                           t->relation);
    char *from = mem_printf("%s s", t->relation);
    char *each =
        mem_printf("%s a %s"
                   " PERFORM pg_catalog.set_config('TimeZone', 'Pacific/Kiritimati', true),"
                   "  pg_catalog.set_config('DateStyle', CASE WHEN pg_catalog.right(mine[2], 3)"
                   "  OPERATOR(pg_catalog.=) 'DMY' THEN 'SQL, MDY' ELSE 'SQL, DMY' END, true),"
                   "  pg_catalog.set_config('IntervalStyle', 'iso_8601', true),"
                   "  pg_catalog.set_config('bytea_output', 'escape', true),"
                   "  pg_catalog.set_config('extra_float_digits', '-9', true);"
                   " %s x %s"
                   " PERFORM pg_catalog.set_config('TimeZone', mine[1], true),"
                   "  pg_catalog.set_config('DateStyle', mine[2], true),"
                   "  pg_catalog.set_config('IntervalStyle', mine[3], true),"
                   "  pg_catalog.set_config('extra_float_digits', mine[4], true),"
                   "  pg_catalog.set_config('bytea_output', mine[5], true);"
                   " differ := differ OPERATOR(pg_catalog.+)"
                   "  (a OPERATOR(pg_catalog.*<>) x)::pg_catalog.int4;",
                   value, row, value, row);
    char *out = probe_body(&(struct probe_loop){
        .from = from,
        .declare =
            "a pg_catalog.record; differ pg_catalog.int8 := 0; mine pg_catalog.text[] := ARRAY["
            "pg_catalog.current_setting('TimeZone'),"
            " pg_catalog.current_setting('DateStyle'),"
            " pg_catalog.current_setting('IntervalStyle'),"
            " pg_catalog.current_setting('extra_float_digits'),"
            " pg_catalog.current_setting('bytea_output')];",
        .each = each,
        .failing = "WHEN OTHERS THEN differ := differ OPERATOR(pg_catalog.+) 1;",
        .counts = "differ, mine[1], mine[2]",
        .rows_max = PROBE_ROWS_MAX,
        .seconds_max = 1});

    free(each);
    free(from);
    free(row);
    free(value);
    return out;
}

static void warn_of_settings(struct build *b, const struct target *t, const struct eng_dual *dual)
{
    char *body;
    json_t *counts;
    struct err ignored = {0};

    if (enum_of_file(b, dual->new_type)) /* not there yet */
        return;
    body = settings_body(t, dual);
    if (probe_run(b, body, &counts, &ignored) == RC_OK &&
        json_integer_value(json_array_get(counts, 1)) > 0) {
        char *object = mem_printf("column %s of %s",
                                  dual->old_name ? dual->old_name : dual->new_name, t->relation);

        build_warn(b, object, "name what is meant, as in AT TIME ZONE 'UTC' or to_char()",
                   "under other settings up gives something else for %lld of %lld rows looked at;"
                   " whoever writes, it is done under TimeZone %s and DateStyle %s",
                   (long long)json_integer_value(json_array_get(counts, 1)),
                   (long long)json_integer_value(json_array_get(counts, 0)),
                   json_string_value(json_array_get(counts, 2)),
                   json_string_value(json_array_get(counts, 3)));
        free(object);
    }
    json_decref(counts);
    free(body);
}

/* ---- who writes ---- */

/* Parameters as of varies_sql. */
static const char writers_sql[] = WRITERS_LACK(
    "$1", "$3", "$5") " WHERE $2::text[] IS NOT NULL AND $4::oid[] IS NOT NULL ORDER BY 1 LIMIT 1";

static enum rc judge_writers(struct build *b, const struct target *t, const struct eng_dual *dual,
                             const struct sql_expr_info *info, const char *word)
{
    char *grant = NULL, *object;
    enum rc rc = ask(b, writers_sql, t, dual, info, &grant);

    if (rc == RC_OK && grant) {
        object = mem_printf("column %s of %s", dual->old_name ? dual->old_name : dual->new_name,
                            t->relation);
        build_refuse(b, object, grant,
                     "a role that may write to the table may not use what %s does, and its "
                     "statements would fail in the guard",
                     word);
        free(object);
    }
    free(grant);
    return rc;
}

/* ---- labels of enums ---- */

static void add_label(struct eng_table *table, const char *label)
{
    for (size_t i = 0; i < table->nlabels; i++)
        if (!strcmp(table->labels[i], label))
            return;
    table->labels = mem_realloc(table->labels, (table->nlabels + 1) * sizeof(*table->labels));
    table->labels[table->nlabels++] = mem_strdup(label);
}

static enum rc note_labels(struct build *b, const struct target *t, struct eng_table *table,
                           const struct eng_dual *dual, const struct sql_expr_info *info)
{
    char *text = NULL;
    enum rc rc = ask(b, labels_sql, t, dual, info, &text);
    json_t *labels = text ? json_loads(text, 0, NULL) : NULL, *label;
    size_t i;

    if (strcasestr(b->text, "RENAME VALUE")) /* the file's own, by `sql` */
        json_array_clear(labels);
    json_array_foreach(labels, i, label) add_label(table, json_string_value(label));
    json_decref(labels);
    free(text);
    return rc;
}

/* ---- one expression ---- */

static enum rc judge_expr(struct build *b, const struct target *t, struct eng_table *table,
                          struct eng_dual *dual, const char *word, const char *expr)
{
    struct sql_expr_info info;
    char *varies = NULL;
    enum rc rc;

    if (!expr || sql_expr_parse(expr, &info, NULL) != RC_OK)
        return RC_OK;
    rc = ask(b, varies_sql, t, dual, &info, &varies);
    dual->varies |= varies != NULL;
    if (rc == RC_OK)
        rc = judge_writers(b, t, dual, &info, word);
    if (rc == RC_OK)
        rc = note_labels(b, t, table, dual, &info);
    free(varies);
    sql_expr_info_fini(&info);
    return rc;
}

/* What such a word means is settled when a tree is made: for the function, once and for all. */
static bool says_now(const struct sql_expr_info *info)
{
    static const char *const words[] = {"now", "today", "tomorrow", "yesterday"};

    for (size_t i = 0; i < info->nstrings; i++)
        for (size_t k = 0; k < ARRAY_LEN(words); k++)
            if (strcasestr(info->strings[i], words[k]))
                return true;
    return false;
}

static enum rc judge_trees(struct build *b, const struct target *t, struct eng_dual *dual)
{
    const char *const exprs[] = {dual->up, dual->down};
    bool renamable = false, fit = true;

    for (size_t i = 0; i < ARRAY_LEN(exprs); i++) {
        struct sql_expr_info info;
        char *answer = NULL;
        enum rc rc;

        if (!exprs[i] || sql_expr_parse(exprs[i], &info, NULL) != RC_OK)
            continue;
        rc = ask(b, trees_sql, t, dual, &info, &answer);
        fit &= !dual->varies || !says_now(&info);
        sql_expr_info_fini(&info);
        if (rc != RC_OK)
            return RC_ERR;
        renamable |= answer && !strcmp(answer, "renamable");
        fit &= !answer || !strcmp(answer, "renamable");
        free(answer);
    }
    dual->by_trees = renamable && fit;
    return RC_OK;
}

/* ---- all of it ---- */

/* Members of a group are in step together. What varies is asked of the body alone, which settles
 * how a literal is read, and so is that of a function when it is made: WHEN does not. */
static void spread(struct eng_table *table)
{
    for (size_t i = 0; i < table->nduals; i++)
        for (size_t k = 0; k < table->nduals && table->duals[i].varies; k++)
            table->duals[k].varies |=
                table->duals[i].group && table->duals[k].group == table->duals[i].group;
}

enum rc steady_judge(struct build *b, struct target *t)
{
    struct eng_table *table = t->table >= 0 ? &b->plan->tables[t->table] : NULL;
    enum rc rc = RC_OK;

    for (size_t i = 0; table && rc == RC_OK && i < table->nduals; i++) {
        struct eng_dual *dual = &table->duals[i];

        if (dual->plain || dual->counts)
            continue;
        if (judge_expr(b, t, table, dual, "up", dual->up) != RC_OK ||
            judge_expr(b, t, table, dual, "down", dual->down) != RC_OK ||
            judge_trees(b, t, dual) != RC_OK)
            return RC_ERR;
        if (dual->varies && !table->settings)
            rc = own_value(b, settings_sql, 0, NULL, &table->settings, b->err);
        if (rc == RC_OK && dual->varies && (dual->old_name || dual->group) && dual->up)
            warn_of_settings(b, t, dual);
    }
    if (table)
        spread(table);
    return rc;
}
