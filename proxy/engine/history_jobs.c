/* What the console asks of the history: baseline, snapshot, diff, versions. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "history.h"
#include "runner.h"
#include "segue/base/log.h"
#include "segue/base/mem.h"
#include "segue/catalog/schema.h"
#include "segue/engine/lineage.h"
#include "store.h"
#include "typed.h"

/* ---- baseline ---- */

struct base {
    json_t *now, *last, *drift;
    char *heads; /* ", " between them */
    size_t nheads;
    bool kept; /* somebody follows somebody, or a baseline is there */
};

static enum rc base_look(struct eng_engine *engine, struct base *base, struct err *err)
{
    struct lineage *l = lineage_new("migration");
    json_t *ignored = json_array();
    enum rc rc = history_lineage(engine, l, ignored, err);

    if (rc == RC_OK)
        rc = history_schemas(engine, &base->now, &base->last, err);
    base->heads = lineage_heads(l, &base->nheads);
    base->kept = lineage_ordered(l);
    base->drift = base->last && rc == RC_OK ? cat_schema_diff(base->last, base->now) : json_array();
    json_decref(ignored);
    lineage_free(l);
    return rc;
}

static enum rc base_judge(const struct base *base, const struct eng_job *job, struct err *err)
{
    char *drift;

    if (!json_array_size(base->drift) || (job->force && job->arg))
        return RC_OK;
    drift = history_drift_text(base->drift);
    err_set(err, "55000", "the schema is not what %s has left: %s", base->heads, drift);
    err_hint(err, job->force ? "say why it is accepted: --note '...'"
                             : "put it into a migration, or accept it: segue baseline --force "
                               "--note '...'; segue diff shows all");
    free(drift);
    return RC_ERR;
}

/* The name asked for, or the first of baseline, baseline_2, ... that is free. */
static const char base_insert_sql[] =
    "WITH names AS (SELECT CASE i WHEN 1 THEN 'baseline' ELSE 'baseline_' || i END AS name, i FROM"
    " generate_series(1, 10000) i), free AS (SELECT coalesce($1, (SELECT n.name FROM names n WHERE"
    " NOT EXISTS (SELECT FROM segue.applied a WHERE a.name = n.name) AND NOT EXISTS (SELECT FROM"
    " segue.migrations m WHERE m.name = n.name) ORDER BY i LIMIT 1)) AS name)"
    " INSERT INTO segue.applied (name, kind, sha256, parents, started_at, note, schema)"
    " SELECT name, 'baseline', encode(sha256(convert_to($2::jsonb::text, 'UTF8')), 'hex'),"
    " coalesce((SELECT array_agg(a.name ORDER BY a.no) FROM segue.applied a WHERE NOT EXISTS"
    " (SELECT FROM segue.applied b WHERE a.name = ANY (b.parents))), '{}'), clock_timestamp(), $3,"
    " $2::jsonb FROM free RETURNING name";

static enum rc base_insert(struct eng_engine *engine, const struct base *base, struct eng_job *job)
{
    static const char taken[] = "SELECT 1 FROM segue.applied WHERE name = $1 UNION ALL SELECT 1"
                                " FROM segue.migrations WHERE name = $1";
    char *schema = json_dumps(base->now, JSON_COMPACT);
    const char *values[] = {job->name, schema, job->arg};
    PGresult *res = NULL;

    if (job->name)
        res = conn_params(&engine->work, &job->err, taken, 1, values);
    if (res && PQntuples(res)) {
        err_set(&job->err, "42710", "\"%s\" is the name of another one", job->name);
        err_hint(&job->err, "give it another name");
    }
    PQclear(res);
    res = err_is_set(&job->err) ? NULL
                                : conn_params(&engine->work, &job->err, base_insert_sql,
                                              (int)ARRAY_LEN(values), values);
    if (res) {
        log_info("baseline %s: %zu objects", res_text(res, 0, 0), json_object_size(base->now));
        job->result = json_pack("{s:[s,s,s,s], s:[[s,s,i,s]]}", "columns", "baseline", "after",
                                "objects", "recorded", "rows", res_text(res, 0, 0), base->heads,
                                (int)json_object_size(base->now), "yes");
    }
    PQclear(res);
    free(schema);
    return res ? RC_OK : RC_ERR;
}

enum rc history_run_baseline(struct eng_engine *engine, struct eng_migration *m,
                             struct eng_job *job)
{
    struct base base = {0};
    enum rc rc;

    (void)m;
    if (engine->nmigrations) {
        const struct eng_migration *m0 = engine->migrations[0];
        char *end = typed_end(m0->name, m0->phase);

        err_set(&job->err, "55006", "migration \"%s\" is %s", m0->name, eng_phase(m0->phase)->name);
        err_hint(&job->err, "its schema is not settled: %s", end);
        free(end);
        return RC_ERR;
    }
    if (store_create(&engine->work, &job->err) != RC_OK)
        return RC_ERR;
    engine->store = true;
    rc = base_look(engine, &base, &job->err);
    if (rc == RC_OK)
        rc = base_judge(&base, job, &job->err);
    if (rc == RC_OK && base.kept && base.last && base.nheads == 1 && !json_array_size(base.drift))
        job->result =
            json_pack("{s:[s,s,s,s], s:[[s,s,i,s]]}", "columns", "baseline", "after", "objects",
                      "recorded", "rows", base.heads, "", (int)json_object_size(base.now),
                      "no: the schema is as this one has left it, and files may follow it");
    else if (rc == RC_OK)
        rc = base_insert(engine, &base, job);
    history_show(engine);
    json_decref(base.now);
    json_decref(base.last);
    json_decref(base.drift);
    free(base.heads);
    return rc;
}

/* ---- snapshot, diff, versions ---- */

static enum rc recorded_schema(struct eng_engine *engine, struct eng_job *job, PGresult **res)
{
    *res = NULL;
    if (engine->store)
        *res = conn_params(&engine->work, &job->err,
                           "SELECT jsonb_pretty(schema) FROM segue.applied WHERE name = $1", 1,
                           (const char *const[]){job->name});
    if (*res && PQntuples(*res) && res_text(*res, 0, 0))
        return RC_OK;
    if (err_is_set(&job->err))
        return RC_ERR;
    err_set(&job->err, "42704", "there is no schema recorded under \"%s\"", job->name);
    err_hint(&job->err, "SHOW HISTORY (segue history) lists what was applied");
    return RC_ERR;
}

enum rc history_run_snapshot(struct eng_engine *engine, struct eng_migration *m,
                             struct eng_job *job)
{
    PGresult *res = NULL;
    enum rc rc = RC_ERR;

    (void)m;
    if (job->name) {
        rc = recorded_schema(engine, job, &res);
    } else if (conn_exec(&engine->work, &job->err, "BEGIN; " HISTORY_READS) == RC_OK) {
        res = conn_query(&engine->work, &job->err, "SELECT jsonb_pretty((%s))", cat_schema_sql);
        rc = res ? RC_OK : RC_ERR;
    }
    conn_rollback(&engine->work);
    if (rc == RC_OK)
        job->result =
            json_pack("{s:[s], s:[[s]]}", "columns", "schema", "rows", res_text(res, 0, 0));
    PQclear(res);
    return rc;
}

enum rc history_run_diff(struct eng_engine *engine, struct eng_migration *m, struct eng_job *job)
{
    static const char *const columns[] = {"change", "object", "part", "before", "after"};
    json_t *now = NULL, *last = NULL, *rows, *row, *out;
    size_t i;
    const struct eng_migration *blind = history_blind(engine);

    (void)m;
    if (blind) {
        err_set(&job->err, "55006", "migration \"%s\" is in flight and has SQL of its own",
                blind->name);
        err_hint(&job->err, "what that changes cannot be told from drift: ask when it has ended");
        return RC_ERR;
    }
    if (engine->store && history_schemas(engine, &now, &last, &job->err) != RC_OK)
        return RC_ERR;
    if (!last) {
        json_decref(now);
        err_set(&job->err, "55000", "no schema has been recorded yet");
        err_hint(&job->err, "segue baseline records the present one");
        return RC_ERR;
    }
    rows = cat_schema_diff(last, now);
    out = json_array();
    json_array_foreach(rows, i, row)
    {
        json_t *line = json_array();

        for (size_t c = 0; c < ARRAY_LEN(columns); c++)
            json_array_append(line, json_object_get(row, columns[c]));
        json_array_append_new(out, line);
    }
    job->result = json_pack("{s:[s,s,s,s,s], s:o}", "columns", columns[0], columns[1], columns[2],
                            columns[3], columns[4], "rows", out);
    json_decref(rows);
    json_decref(now);
    json_decref(last);
    return RC_OK;
}

/* What the tools that count versions in tables of their own have counted. */
static const struct {
    const char *tool, *table, *columns;
} tools[] = {
    {"alembic", "alembic_version", "version_num, NULL"},
    {"drizzle", "drizzle.__drizzle_migrations", "created_at, hash"},
};

static enum rc read_versions(struct eng_engine *engine, size_t tool, json_t *rows, struct err *err)
{
    char *names = conn_names_sql(&engine->work, NULL); /* they look for it without a schema */
    PGresult *found =
        conn_query(&engine->work, err, "%sSELECT pg_catalog.to_regclass('%s')::pg_catalog.text",
                   names, tools[tool].table);
    const char *table = found ? res_text(found, 0, 0) : NULL;
    PGresult *res = NULL;

    if (table)
        res = conn_query(&engine->work, err, "%sSELECT %s FROM %s ORDER BY 1", names,
                         tools[tool].columns, table);
    free(names);
    for (int r = 0; res && r < PQntuples(res); r++)
        json_array_append_new(rows, json_pack("[s, s, o, o]", tools[tool].tool, table,
                                              history_json(res, r, 0), history_json(res, r, 1)));
    PQclear(res);
    PQclear(found);
    return err_is_set(err) ? RC_ERR : RC_OK;
}

enum rc history_run_versions(struct eng_engine *engine, struct eng_migration *m,
                             struct eng_job *job)
{
    json_t *rows = json_array();

    (void)m;
    for (size_t i = 0; i < ARRAY_LEN(tools); i++) {
        if (read_versions(engine, i, rows, &job->err) != RC_OK) {
            json_decref(rows);
            return RC_ERR;
        }
    }
    job->result = json_pack("{s:[s,s,s,s], s:o}", "columns", "tool", "table", "version", "hash",
                            "rows", rows);
    return RC_OK;
}
