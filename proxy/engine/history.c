#include "history.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "file.h"
#include "runner.h"
#include "segue/base/log.h"
#include "segue/base/mem.h"
#include "segue/catalog/schema.h"
#include "segue/engine/lineage.h"
#include "store.h"
#include "typed.h"

#define MERGE_HINT "merge them: a file with \"after\" naming all of them and \"operations\": []"
#define DRIFT_HINT                                                                                 \
    "put it into a migration, or accept it: segue baseline --force --note '...'; segue diff shows"

char *history_array(char *const *names, size_t n)
{
    struct buf out = {0};

    buf_append_u8(&out, '{');
    for (size_t i = 0; i < n; i++) {
        buf_append_str(&out, i ? ",\"" : "\"");
        for (const char *p = names[i]; *p; p++) {
            if (*p == '"' || *p == '\\')
                buf_append_u8(&out, '\\');
            buf_append(&out, p, 1);
        }
        buf_append_u8(&out, '"');
    }
    buf_append_u8(&out, '}');
    return buf_take(&out);
}

/* ---- the file itself ---- */

static void judge_known(const char *where, const char *name, const char *sha256,
                        const PGresult *res, struct err *err)
{
    const char *phase = res_text(res, 0, 1), *at = res_text(res, 0, 2);

    if (strcmp(phase, "baseline") == 0) {
        err_set(err, "42710", "\"%s\" is the name of a baseline", name);
        err_hint(err, "give the new one another name");
    } else if (strcmp(res_text(res, 0, 0), sha256) != 0) {
        err_set(err, "55000", "%s: migration \"%s\" is %s with SHA-256 %.12s, this file has %.12s",
                where, name, strcmp(phase, "done") ? phase : "applied", res_text(res, 0, 0),
                sha256);
        err_hint(err, "a file that was started is never changed: restore it, and write a new one "
                      "under another name");
    } else if (strcmp(phase, "done") == 0) {
        err_set(err, "42710", "migration \"%s\" ran to its end at %s", name, at ? at : "");
        err_hint(err, "give the new one another name");
    } else {
        typed_already(name, phase, err);
    }
}

enum rc history_check_file(struct eng_engine *engine, const char *where, const char *text,
                           struct err *err)
{
    static const char sql[] =
        "SELECT sha256, CASE kind WHEN 'baseline' THEN kind ELSE 'done' END, applied_at::text FROM"
        " segue.applied WHERE name = $1 UNION ALL SELECT sha256, phase, NULL FROM segue.migrations"
        " WHERE name = $1 AND phase NOT IN ('done', 'aborted')";
    char *name = engine->store ? file_name_peek(where, text) : NULL, *sha256;
    PGresult *res;

    if (!name)
        return RC_OK; /* nothing is known of it, or its loading says what is wrong */
    sha256 = eng_sha256_hex(text, strlen(text));
    res = conn_params(&engine->work, err, sql, 1, (const char *const[]){name});
    if (res && PQntuples(res))
        judge_known(where, name, sha256, res, err);
    PQclear(res);
    free(sha256);
    free(name);
    return err_is_set(err) ? RC_ERR : RC_OK;
}

/* ---- its place ---- */

static enum lineage_state state_of(const char *phase)
{
    if (strcmp(phase, "baseline") == 0)
        return LIN_BASELINE;
    return strcmp(phase, "done") == 0 ? LIN_APPLIED : LIN_FLIGHT;
}

enum rc history_lineage(struct eng_engine *engine, struct lineage *l, json_t *findings,
                        struct err *err)
{
    static const char sql[] =
        "SELECT name, sha256, CASE kind WHEN 'baseline' THEN kind ELSE 'done' END,"
        " to_json(parents)::text FROM segue.applied UNION ALL SELECT name, sha256, phase,"
        " to_json(parents)::text FROM segue.migrations WHERE phase NOT IN ('done', 'aborted')";
    PGresult *res = conn_run(&engine->work, sql, NULL, err);

    for (int r = 0; res && r < PQntuples(res); r++) {
        json_t *list = json_loads(res_text(res, r, 3), 0, NULL);
        const char **parents = mem_calloc(json_array_size(list) + 1, sizeof(*parents));

        for (size_t i = 0; i < json_array_size(list); i++)
            parents[i] = json_string_value(json_array_get(list, i));
        lineage_add(l,
                    &(struct lineage_node){.name = res_text(res, r, 0),
                                           .state = state_of(res_text(res, r, 2)),
                                           .sha256 = res_text(res, r, 1),
                                           .parents = parents,
                                           .nparents = json_array_size(list)},
                    findings);
        free(parents);
        json_decref(list);
    }
    PQclear(res);
    return res ? RC_OK : RC_ERR;
}

static void judge_lineage(struct lineage *l, struct eng_plan *plan, bool branch)
{
    const struct lineage_how how = {.branch = branch, .merge = MERGE_HINT};
    json_t *findings = json_array(), *finding;
    size_t i, n;
    char *heads = lineage_heads(l, &n), *hint;
    bool lost = plan->nparents == 0 && lineage_ordered(l) && n == 1;

    lineage_add(l,
                &(struct lineage_node){.name = plan->name,
                                       .where = plan->name,
                                       .parents = (const char *const *)plan->parents,
                                       .nparents = plan->nparents},
                findings);
    lineage_check(l, &how, findings);
    hint =
        lost ? mem_printf("write \"after\": \"%s\" into it", heads)
        : n > 1
            ? mem_printf("the heads here are %s: %s", heads, MERGE_HINT)
            : mem_printf("the head here is %s; a second one is made by --branch, and merged by a "
                         "file with \"after\" naming both and no operations",
                         n ? heads : "nobody");
    json_array_foreach(findings, i, finding)
    {
        eng_plan_note(plan, true, plan->name, json_string_value(json_object_get(finding, "text")),
                      hint);
    }
    free(hint);
    free(heads);
    json_decref(findings);
}

/* Who follows a migration relies on what it has done. One without steps ends at once, and what has
 * ended is behind its parents: they could not go back any more. */
static enum rc judge_parents(struct eng_engine *engine, struct eng_plan *plan)
{
    for (size_t i = 0; i < plan->nparents; i++) {
        const struct eng_migration *parent = eng_migration_find(engine, plan->parents[i]);
        bool turned = parent && (parent->phase == PH_SOAKING || parent->phase == PH_CONTRACTING);
        char *text;

        if (!parent || (turned && plan->nsteps))
            continue;
        text = mem_printf("it is after \"%s\", which is %s", parent->name,
                          eng_phase(parent->phase)->name);
        eng_plan_note(plan, true, plan->name, text,
                      plan->nsteps ? "cut that one over first" : "complete that one first");
        free(text);
    }
    return RC_OK;
}

static enum rc judge_drift(struct eng_engine *engine, struct eng_plan *plan, bool kept,
                           struct err *err)
{
    const struct eng_migration *blind = history_blind(engine);
    json_t *now, *last, *rows;
    char *text, *drift;

    if (blind) {
        text = mem_printf("while \"%s\" is in flight, which has SQL of its own, nobody can tell"
                          " whether it has drifted",
                          blind->name);
        eng_plan_note(plan, false, "schema", text, "");
        free(text);
        return RC_OK;
    }
    if (history_schemas(engine, &now, &last, err) != RC_OK)
        return RC_ERR;
    rows = last ? cat_schema_diff(last, now) : json_array();
    if (json_array_size(rows)) {
        drift = history_drift_text(rows);
        text = mem_printf("it is not what was recorded last: %s", drift);
        eng_plan_note(plan, kept, "schema", text, DRIFT_HINT);
        free(text);
        free(drift);
    }
    json_decref(rows);
    json_decref(now);
    json_decref(last);
    return RC_OK;
}

enum rc history_judge(struct eng_engine *engine, struct eng_plan *plan, bool branch,
                      struct err *err)
{
    struct lineage *l;
    json_t *ignored;
    bool kept;
    enum rc rc;

    if (!engine->store && !plan->nparents)
        return RC_OK;
    l = lineage_new("migration");
    ignored = json_array();
    rc = engine->store ? history_lineage(engine, l, ignored, err) : RC_OK;
    kept = plan->nparents || lineage_ordered(l);
    if (rc == RC_OK)
        judge_lineage(l, plan, branch);
    if (rc == RC_OK)
        rc = judge_parents(engine, plan);
    if (rc == RC_OK && engine->store)
        rc = judge_drift(engine, plan, kept, err);
    json_decref(ignored);
    lineage_free(l);
    return rc;
}

/* ---- back, and to the end ---- */

enum rc history_check_back(struct eng_engine *engine, const struct eng_migration *m,
                           struct err *err)
{
    static const char sql[] = "SELECT name, phase FROM segue.migrations WHERE $1 = ANY (parents)"
                              " AND phase <> 'aborted' ORDER BY id LIMIT 1";
    PGresult *res = conn_params(&engine->work, err, sql, 1, (const char *const[]){m->name});

    if (res && PQntuples(res)) {
        err_set(err, "55000", "migration \"%s\" comes after \"%s\", and is %s", res_text(res, 0, 0),
                m->name, res_text(res, 0, 1));
        err_hint(err, "roll back and abort that one first");
    }
    PQclear(res);
    return err_is_set(err) ? RC_ERR : RC_OK;
}

enum rc history_check_complete(struct eng_engine *engine, const struct eng_migration *m,
                               struct err *err)
{
    PGresult *res = conn_query(&engine->work, err,
                               "SELECT p FROM segue.migrations m, unnest(m.parents) p WHERE m.id = "
                               "%" PRId64 " AND NOT EXISTS (SELECT FROM segue.applied a WHERE "
                               "a.name = p) LIMIT 1",
                               m->id);

    if (res && PQntuples(res)) {
        err_set(err, "55000", "migration \"%s\" comes after \"%s\", which is not done", m->name,
                res_text(res, 0, 0));
        err_hint(err, "complete that one first");
    }
    PQclear(res);
    return err_is_set(err) ? RC_ERR : RC_OK;
}

char *history_end_sql_take(struct eng_engine *engine, const struct eng_migration *m, char *move)
{
    char *schema = history_schema_sql(engine, m);
    char *sql = mem_printf(
        HISTORY_READS
        "; %s; INSERT INTO segue.applied (name, kind, migration,"
        " sha256, parents, started_at, applied_at, schema) SELECT m.name, 'migration', m.id,"
        " m.sha256, m.parents, m.started_at, m.finished_at, (%s) FROM segue.migrations m WHERE"
        " m.id = %" PRId64,
        move, schema, m->id);

    free(schema);
    free(move);
    return sql;
}

/* ---- SHOW HISTORY ---- */

json_t *history_json(const PGresult *res, int r, int c)
{
    const char *text = res_text(res, r, c);

    return text ? json_string(text) : json_null();
}

void history_show(struct eng_engine *engine)
{
    static const char sql[] =
        "SELECT name, kind, sha256, to_json(parents)::text, phase, began::text, ended::text,"
        " extract(epoch FROM ended - began), note FROM (SELECT no, name, kind, sha256, parents,"
        " 'done' AS phase, started_at AS began, applied_at AS ended, note FROM segue.applied"
        " UNION ALL SELECT NULL, name, 'migration', sha256, parents, phase, started_at,"
        " finished_at, NULL FROM segue.migrations WHERE phase <> 'done'"
        /* tries that were given up, and whose name has been started again */
        " UNION ALL (SELECT NULL, name, 'migration', sha256, parents, phase, started_at,"
        " finished_at, NULL FROM segue.history ORDER BY id DESC LIMIT 1000)) AS h"
        " ORDER BY no NULLS LAST, began";
    struct err err = {0};
    json_t *rows;
    PGresult *res;

    if (!engine->store)
        return;
    res = conn_run(&engine->work, sql, NULL, &err);
    if (!res) {
        log_err(LOG_WARNING, "reading the history", &err);
        return;
    }
    rows = json_array();
    for (int r = 0; r < PQntuples(res); r++) {
        json_t *row = json_array();

        for (int c = 0; c < 7; c++)
            json_array_append_new(row, history_json(res, r, c));
        json_array_append_new(row, PQgetisnull(res, r, 7) ? json_null()
                                                          : json_real(res_double(res, r, 7)));
        json_array_append_new(row, history_json(res, r, 8));
        json_array_append_new(rows, row);
    }
    PQclear(res);
    board_put_all(engine->board, BOARD_HISTORY, rows);
}
