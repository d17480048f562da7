#include "leaf_index.h"

#include <stdio.h>
#include <stdlib.h>

#include "parts.h"
#include "relations.h"
#include "segue/base/clock.h"
#include "segue/base/log.h"
#include "segue/base/mem.h"
#include "segue/sql/expr.h"
#include "steps.h"

#define WAIT_MS 1000
#define LOOK_MS 2000
#define FAILED_LOOK_MS 60000

enum { COL_PARTITION, COL_BARE, COL_INDEX, COL_STATE };

/* Of table $1, a leaf without a valid index of the name that begins with $2: there is none of it,
 * a backend of an engine that died is still at it, or it is of no use. What is in the way first. */
enum state { STATE_ABSENT, STATE_BUILDING, STATE_INVALID };
static const char next_sql[] =
    "SELECT format('%I.%I', n.nspname, c.relname), b.name, format('%I.%I', n.nspname, b.name),"
    " CASE WHEN x.oid IS NULL THEN 0 WHEN EXISTS (SELECT FROM pg_stat_progress_create_index p"
    "  WHERE p.index_relid = x.oid) THEN 1 ELSE 2 END"
    " FROM (SELECT $1::oid AS oid) AS root, " RELATIONS_TREE
    " AS t JOIN pg_class c ON c.oid = t.relid"
    " JOIN pg_namespace n ON n.oid = c.relnamespace"
    " CROSS JOIN LATERAL (SELECT format('%s_%s', $2::text, c.oid) AS name) b"
    " LEFT JOIN pg_class x ON x.relnamespace = n.oid AND x.relname = b.name"
    " LEFT JOIN pg_index i ON i.indexrelid = x.oid"
    " WHERE c.relkind = 'r' AND i.indisvalid IS NOT TRUE ORDER BY 4 DESC, c.oid";

static PGresult *leaves_without(struct eng_engine *engine, const struct eng_migration *m, size_t i,
                                struct err *err)
{
    const struct eng_step *step = &m->plan->steps[i];
    char oid[16];
    const char *values[] = {oid, step->index_name};

    snprintf(oid, sizeof(oid), "%u", m->plan->tables[step->table].oid);
    return conn_params(&engine->work, err, next_sql, (int)ARRAY_LEN(values), values);
}

static enum rc build(struct eng_engine *engine, struct eng_migration *m, size_t i, const char *text,
                     const PGresult *res, struct err *err)
{
    const char *partition = PQgetvalue(res, 0, COL_PARTITION);
    const char *bare = PQgetvalue(res, 0, COL_BARE);
    char *name = sql_quote_ident(bare);
    char *sql = parts_fill(text, NULL, name, partition);
    enum rc rc;

    rc = eng_step_send_on(engine, m, i, partition, bare, sql, err);
    free(sql);
    free(name);
    return rc;
}

/* RC_OK: all leaves have theirs. */
static enum rc next_leaf(struct eng_engine *engine, struct eng_migration *m, size_t i,
                         enum eng_leaves_sql which, struct err *err)
{
    PGresult *res = leaves_without(engine, m, i, err);
    enum rc rc = RC_AGAIN;

    if (!res)
        return RC_ERR;
    if (PQntuples(res) == 0)
        rc = RC_OK;
    else if (res_int(res, 0, COL_STATE) == STATE_BUILDING)
        eng_sleep(m, WAIT_MS);
    else if (res_int(res, 0, COL_STATE) == STATE_INVALID)
        rc = eng_step_drop(engine, m, i, PQgetvalue(res, 0, COL_INDEX), err);
    else
        rc = build(engine, m, i, m->plan->steps[i].sql[which], res, err);
    PQclear(res);
    return rc;
}

enum rc leaf_index_turn(struct eng_engine *engine, struct eng_migration *m, size_t i,
                        struct err *err)
{
    enum rc rc = next_leaf(engine, m, i, ENG_LEAVES_BUILD, err);

    return rc == RC_OK ? eng_step_mark(engine, m, i, err) : rc;
}

static void look_again(struct eng_migration *m, int64_t ms)
{
    m->leaves_us = clock_us() + ms * 1000;
}

/* Is the step's index wanted in this phase, and by which of its statements is it built? */
static bool is_wanted(const struct eng_migration *m, size_t i, enum eng_leaves_sql *which)
{
    bool soaks = m->phase == PH_SOAKING || m->phase == PH_REVERTING;

    *which = soaks ? ENG_LEAVES_SOAK : ENG_LEAVES_BUILD;
    return m->plan->steps[i].kind == ENG_STEP_LEAVES && m->plan->steps[i].nsql > *which;
}

enum rc leaf_index_late(struct eng_engine *engine, struct eng_migration *m, struct err *err)
{
    enum eng_leaves_sql which;

    if (clock_us() < m->leaves_us)
        return RC_OK;
    for (size_t i = 0; i < m->plan->nsteps; i++) {
        enum rc rc = is_wanted(m, i, &which) ? next_leaf(engine, m, i, which, err) : RC_OK;

        if (rc != RC_OK)
            return rc;
    }
    if (err_is_set(&m->unbuilt))
        buf_reset(&m->blockers);
    err_clear(&m->unbuilt);
    look_again(m, LOOK_MS);
    return RC_OK;
}

static void refuse_leaf(const struct eng_migration *m, const char *partition, struct err *err)
{
    if (err_is_set(&m->unbuilt)) {
        err_set(err, "55000",
                "partition %s has come with rows, and its index for the key is not there: %s",
                partition, m->unbuilt.text);
        err_hint(err,
                 "%s%scorrect the cause, then RESUME (segue resume) tries again at once, and "
                 "segue by itself within a minute",
                 m->unbuilt.hint, m->unbuilt.hint[0] ? "; " : "");
        return;
    }
    err_set(err, "55000",
            "partition %s has come with rows, and its index for the key is not there yet",
            partition);
    err_hint(err, "segue builds it by itself: ask again when SHOW STATUS names no step");
}

/* An empty one gets its key when all get theirs. */
static enum rc check_leaves(struct eng_engine *engine, const struct eng_migration *m,
                            const PGresult *leaves, struct err *err)
{
    struct buf sql = {0};
    PGresult *res;

    for (int r = 0; r < PQntuples(leaves); r++) {
        const char *partition = PQgetvalue(leaves, r, COL_PARTITION);
        char *literal = sql_quote_literal(partition);

        buf_printf(&sql, "%sSELECT %s WHERE EXISTS (SELECT FROM %s)", r ? " UNION ALL " : "",
                   literal, partition);
        free(literal);
    }
    res = conn_query(&engine->work, err, "%s LIMIT 1", sql.data);
    buf_fini(&sql);
    if (res && PQntuples(res))
        refuse_leaf(m, res_text(res, 0, 0), err);
    else if (!res && conn_no_relation(err)) /* dropped since: the turn looks again */
        err_clear(err);
    PQclear(res);
    return err_is_set(err) ? RC_ERR : RC_OK;
}

enum rc leaf_index_check(struct eng_engine *engine, const struct eng_migration *m, struct err *err)
{
    enum eng_leaves_sql which;
    enum rc rc = RC_OK;

    for (size_t i = 0; rc == RC_OK && i < m->plan->nsteps; i++) {
        PGresult *res;

        if (!is_wanted(m, i, &which))
            continue;
        res = leaves_without(engine, m, i, err);
        rc = !res ? RC_ERR : PQntuples(res) ? check_leaves(engine, m, res, err) : RC_OK;
        PQclear(res);
    }
    return rc;
}

enum rc leaf_index_failed(struct eng_migration *m, struct err *err)
{
    log_err(LOG_WARNING, m->step, err);
    m->unbuilt = *err;
    err_prefix(&m->unbuilt, "%s", m->step);
    buf_reset(&m->blockers);
    buf_printf(&m->blockers, "%s (resume tries again)", m->unbuilt.text);
    err_clear(err);
    look_again(m, FAILED_LOOK_MS);
    return RC_AGAIN;
}
