/*
 * The backfill (DESIGN 7): ranges of blocks, each an UPDATE of the rows not in step, committed
 * together with the watermark. synchronous_commit is off for batches: a batch lost in a crash of
 * the server lost its watermark with it and is done again; the phase's next move is synchronous.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "relations.h"
#include "runner.h"
#include "segue/base/clock.h"
#include "segue/base/fault.h"
#include "segue/base/log.h"
#include "segue/base/mem.h"
#include "segue/engine/guard.h"
#include "sizing.h"
#include "steps.h"
#include "store.h"

#define REVISIT_BASE_MS 100
#define REVISIT_MAX_MS 5000
#define HOLD_MS 500
#define VACUUM_SHARE 0.02

struct fill_text { /* a table's expressions */
    char *set, *in_step, *unfilled;
};

struct eng_fill {
    struct eng_relations relations;
    size_t at;
    struct fill_text *texts; /* one a table of the plan; set NULL: nothing to fill there */
    struct sizing sizing;
    int quiet_triggers;  /* may set session_replication_role: 1 yes, 0 no, -1 not tried */
    double vacuum_every; /* rows of the relation at `at`; 0: never */
    double since_vacuum;
    bool vacuuming;
    unsigned revisits;
    int64_t wal; /* insert position at the end of the last batch */
    enum throttle_verdict verdict;
    size_t ntexts;
};

struct range {
    int64_t from, to;
    bool skip_locked; /* after a lock timeout */
    bool revisit;     /* of rows that were skipped */
};

void eng_fill_free(struct eng_fill *fill)
{
    if (!fill)
        return;
    for (size_t i = 0; i < fill->ntexts; i++) {
        free(fill->texts[i].set);
        free(fill->texts[i].in_step);
        free(fill->texts[i].unfilled);
    }
    relations_fini(&fill->relations);
    free(fill->texts);
    free(fill);
}

static void fill_drop(struct eng_migration *m)
{
    eng_fill_free(m->fill);
    m->fill = NULL;
}

double eng_fill_share(const struct eng_migration *m)
{
    return m->fill ? relations_share(&m->fill->relations) : 0;
}

/* ---- watermarks ---- */

static enum rc load_progress(struct eng_engine *engine, struct eng_migration *m,
                             struct eng_fill *fill, int table, struct err *err)
{
    PGresult *res = conn_query(&engine->work, err,
                               "SELECT relation, relname, relfilenode, next_block, end_block, rows "
                               "FROM segue.progress WHERE migration = %" PRId64
                               " AND table_no = %d ORDER BY relation",
                               m->id, table);

    if (!res)
        return RC_ERR;
    for (int r = 0; r < PQntuples(res); r++) {
        struct eng_relation relation = {.oid = (uint32_t)res_int(res, r, 0),
                                        .name = mem_strdup(res_text(res, r, 1)),
                                        .relfilenode = (uint32_t)res_int(res, r, 2),
                                        .next = res_int(res, r, 3),
                                        .end = res_int(res, r, 4),
                                        .rows = res_int(res, r, 5),
                                        .table = table};

        relations_add(&fill->relations, &relation);
    }
    PQclear(res);
    return RC_OK;
}

/* The guard was committed before: rows beyond today's end are its work. */
static enum rc begin_progress(struct eng_engine *engine, struct eng_migration *m, int table,
                              struct err *err)
{
    struct eng_relations found = {0};
    struct buf sql = {0};
    enum rc rc;

    FAULT(fill_begin);
    rc = relations_read(&engine->work, m->plan, table, &found, err);

    if (rc != RC_OK)
        return rc;
    for (size_t i = 0; i < found.n; i++) {
        char *name = mem_strdup(found.items[i].name);
        char *quoted = PQescapeLiteral(engine->work.pg, name, strlen(name));

        buf_printf(&sql, "%s(%" PRId64 ", %d, %u, %s, %u, %" PRId64 ")", sql.len ? ", " : "", m->id,
                   table, found.items[i].oid, quoted, found.items[i].relfilenode,
                   found.items[i].end);
        PQfreemem(quoted);
        free(name);
    }
    if (sql.len)
        rc = conn_exec(
            &engine->work, err,
            "INSERT INTO segue.progress (migration, table_no, relation, relname, "
            "relfilenode, end_block) VALUES %s ON CONFLICT (migration, relation) DO UPDATE "
            "SET relname = excluded.relname, relfilenode = excluded.relfilenode, "
            "next_block = 0, end_block = excluded.end_block",
            sql.data);
    relations_fini(&found);
    buf_fini(&sql);
    FAULT(fill_begun);
    return rc;
}

static enum rc prepare_table(struct eng_engine *engine, struct eng_migration *m,
                             struct eng_fill *fill, int table, struct err *err)
{
    size_t before = fill->relations.n;

    fill->texts[table].set = eng_table_fill(&m->plan->tables[table]);
    fill->texts[table].in_step = eng_table_in_step(&m->plan->tables[table], ENG_FORWARD, "");
    fill->texts[table].unfilled = eng_table_unfilled(&m->plan->tables[table]);
    if (load_progress(engine, m, fill, table, err) != RC_OK)
        return RC_ERR;
    if (fill->relations.n > before)
        return RC_OK;
    if (begin_progress(engine, m, table, err) != RC_OK)
        return RC_ERR;
    return load_progress(engine, m, fill, table, err);
}

static enum rc fill_prepare(struct eng_engine *engine, struct eng_migration *m, struct err *err)
{
    struct eng_fill *fill = mem_calloc(1, sizeof(*fill));

    fill->ntexts = m->plan->ntables;
    fill->texts = mem_calloc(fill->ntexts, sizeof(*fill->texts));
    fill->quiet_triggers = -1;
    sizing_init(&fill->sizing, engine->options.batch_target_ms,
                engine->options.batch_wal_bytes_max);
    m->fill = fill;
    for (size_t i = 0; i < m->plan->nsteps; i++) {
        const struct eng_step *step = &m->plan->steps[i];

        if (step->kind != ENG_STEP_FILL || step->table < 0 || fill->texts[step->table].set)
            continue;
        if (prepare_table(engine, m, fill, step->table, err) != RC_OK) {
            fill_drop(m);
            return RC_ERR;
        }
    }
    m->stats.rows_done = 0;
    for (size_t i = 0; i < fill->relations.n; i++)
        m->stats.rows_done += fill->relations.items[i].rows;
    if (m->stats.rows_done > 0) /* resumed: what was filled since the last VACUUM is not known */
        fill->since_vacuum = (double)m->stats.rows_done;
    m->stats.rate_rows = m->stats.rows_done;
    m->stats.rate_at_us = clock_us();
    return RC_OK;
}

enum rc eng_fill_restart(struct eng_engine *engine, struct eng_migration *m, struct err *err)
{
    enum rc rc;

    FAULT(repair_before);
    rc = conn_exec(&engine->work, err, "DELETE FROM segue.skipped WHERE migration = %" PRId64,
                   m->id);

    fill_drop(m);
    for (size_t i = 0; rc == RC_OK && i < m->plan->nsteps; i++) {
        if (m->plan->steps[i].kind == ENG_STEP_FILL && m->plan->steps[i].table >= 0)
            rc = begin_progress(engine, m, m->plan->steps[i].table, err);
    }
    return rc;
}

/* ---- one batch ---- */

static enum rc try_quiet_triggers(struct eng_engine *engine, struct eng_migration *m,
                                  struct err *err)
{
    struct err refused = {0};

    if (m->fill->quiet_triggers >= 0)
        return RC_OK;
    m->fill->quiet_triggers = 1;
    if (conn_exec(&engine->work, &refused,
                  "BEGIN; SET LOCAL session_replication_role = replica; ROLLBACK") == RC_OK)
        return RC_OK;
    conn_rollback(&engine->work);
    if (conn_lost(&refused)) {
        *err = refused;
        return RC_ERR;
    }
    m->fill->quiet_triggers = 0;
    log_info("this role may not set session_replication_role: user triggers fire");
    return RC_OK;
}

static char *batch_sql(struct eng_engine *engine, struct eng_migration *m,
                       const struct eng_relation *rel, const struct range *range)
{
    const struct fill_text *text = &m->fill->texts[rel->table];
    struct buf sql = {0};
    char where[128];

    snprintf(where, sizeof(where),
             "ctid >= '(%" PRId64 ",0)'::tid AND ctid < '(%" PRId64 ",0)'::tid", range->from,
             range->to);
    buf_printf(&sql, "BEGIN; SET LOCAL lock_timeout = %u; SET LOCAL synchronous_commit = off; ",
               engine->options.batch_lock_timeout_ms);
    if (m->fill->quiet_triggers == 1)
        buf_append_str(&sql, "SET LOCAL session_replication_role = replica; ");
    if (range->skip_locked)
        buf_printf(&sql,
                   "UPDATE ONLY %s SET %s WHERE ctid = ANY (ARRAY(SELECT ctid FROM ONLY %s WHERE "
                   "%s AND NOT (%s) FOR NO KEY UPDATE SKIP LOCKED)) AND NOT (%s)",
                   rel->name, text->set, rel->name, where, text->in_step, text->in_step);
    else
        buf_printf(&sql, "UPDATE ONLY %s SET %s WHERE %s AND (%s)", rel->name, text->set, where,
                   text->unfilled);
    return buf_take(&sql);
}

/* What is left of a skip-locked range is written down in the same transaction. */
static enum rc note_skipped(struct eng_engine *engine, struct eng_migration *m,
                            const struct eng_relation *rel, const struct range *range,
                            struct err *err)
{
    char *in_step = m->fill->texts[rel->table].in_step;

    if (!range->skip_locked)
        return RC_OK;
    return conn_exec(
        &engine->work, err,
        "DELETE FROM segue.skipped WHERE migration = %" PRId64 " AND relation = %u AND "
        "from_block = %" PRId64 "; INSERT INTO segue.skipped SELECT %" PRId64 ", %u, %" PRId64
        ", %" PRId64 " WHERE EXISTS (SELECT 1 FROM ONLY %s WHERE ctid >= '(%" PRId64
        ",0)'::tid AND ctid < '(%" PRId64 ",0)'::tid AND NOT (%s))",
        m->id, rel->oid, range->from, m->id, rel->oid, range->from, range->to, rel->name,
        range->from, range->to, in_step);
}

/* The relation was rewritten (VACUUM FULL, pg_repack): its blocks are others now. */
static enum rc begin_again(struct eng_engine *engine, struct eng_migration *m,
                           struct eng_relation *rel, struct err *err)
{
    PGresult *res;

    conn_rollback(&engine->work);
    log_info("%s was rewritten or dropped: its pass begins again", rel->name);
    res = conn_query(&engine->work, err,
                     "DELETE FROM segue.skipped WHERE migration = %" PRId64 " AND relation = %u; "
                     "UPDATE segue.progress SET next_block = 0, relfilenode = coalesce("
                     "pg_relation_filenode(relation), 0), end_block = coalesce("
                     "pg_relation_size(relation), 0) / current_setting('block_size')::int "
                     "WHERE migration = %" PRId64 " AND relation = %u RETURNING relfilenode, "
                     "end_block, (SELECT format('%%I.%%I', n.nspname, c.relname) FROM pg_class c "
                     "JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = relation)",
                     m->id, rel->oid, m->id, rel->oid);
    if (!res)
        return RC_ERR;
    rel->next = 0;
    rel->relfilenode = (uint32_t)res_int(res, 0, 0);
    rel->end = res_int(res, 0, 1);
    if (res_text(res, 0, 2)) { /* it may have got another name, too */
        free(rel->name);
        rel->name = mem_strdup(res_text(res, 0, 2));
    }
    PQclear(res);
    return RC_OK;
}

/* Watermark and COMMIT; *same false: the relation is another file now, nothing was committed. */
static enum rc commit_batch(struct eng_engine *engine, struct eng_migration *m,
                            struct eng_relation *rel, const struct range *range, int64_t rows,
                            bool *same, int64_t *wal, struct err *err)
{
    PGresult *res;

    if (note_skipped(engine, m, rel, range, err) != RC_OK)
        return RC_ERR;
    res = conn_query(&engine->work, err,
                     "UPDATE segue.progress SET next_block = greatest(next_block, %" PRId64
                     "), rows = rows + %" PRId64 " WHERE migration = %" PRId64
                     " AND relation = %u AND relfilenode = pg_relation_filenode(relation) "
                     "RETURNING pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::bigint",
                     range->to, rows, m->id, rel->oid);
    if (!res)
        return RC_ERR;
    *same = PQntuples(res) == 1;
    *wal = *same ? res_int(res, 0, 0) : 0;
    PQclear(res);
    if (!*same)
        return RC_OK;
    FAULT(batch_commit);
    return conn_exec(&engine->work, err, "COMMIT");
}

static enum rc run_range(struct eng_engine *engine, struct eng_migration *m,
                         struct eng_relation *rel, const struct range *range, int64_t *rows,
                         bool *same, struct err *err)
{
    char *sql = batch_sql(engine, m, rel, range);
    PGresult *res;
    int64_t wal = 0;
    enum rc rc = RC_ERR;

    FAULT(batch_before);
    res = conn_run(&engine->work, sql, NULL, err);
    *same = true;
    if (res) {
        FAULT(batch_written);
        *rows = strtoll(PQcmdTuples(res), NULL, 10);
        rc = commit_batch(engine, m, rel, range, *rows, same, &wal, err);
    }
    PQclear(res);
    free(sql);
    conn_rollback(&engine->work);
    if (rc == RC_OK && wal) {
        FAULT(batch_committed);
        m->fill->wal = wal;
        if (range->to > rel->next)
            rel->next = range->to;
        rel->rows += *rows;
        m->stats.rows_done += *rows;
        m->fill->since_vacuum += (double)*rows;
    }
    return rc;
}

static bool undefined_table(const struct err *err)
{
    return strcmp(err->sqlstate, "42P01") == 0;
}

/* The range, and once more around the locked rows when someone holds them. */
static enum rc fill_range(struct eng_engine *engine, struct eng_migration *m,
                          struct eng_relation *rel, struct range *range, struct err *err)
{
    int64_t began = clock_us(), wal = m->fill->wal, rows = 0;
    bool same;
    enum rc rc = run_range(engine, m, rel, range, &rows, &same, err);
    double ms, wal_bytes;

    if (rc == RC_ERR && !range->skip_locked &&
        (strcmp(err->sqlstate, "55P03") == 0 || strcmp(err->sqlstate, "40P01") == 0)) {
        err_clear(err);
        FAULT(batch_skips);
        range->skip_locked = true;
        began = clock_us();
        rc = run_range(engine, m, rel, range, &rows, &same, err);
    }
    if (rc == RC_ERR && undefined_table(err)) { /* a partition that was dropped */
        err_clear(err);
        same = false;
        rc = RC_OK;
    }
    if (rc != RC_OK)
        return rc;
    if (!same)
        return begin_again(engine, m, rel, err);
    ms = (double)(clock_us() - began) / 1000;
    wal_bytes = wal ? (double)(m->fill->wal - wal) : 0;
    if (!range->revisit)
        sizing_note(&m->fill->sizing, (uint32_t)(range->to - range->from), ms, wal_bytes,
                    (double)rows);
    m->retries = 0;
    eng_sleep(m, throttle_delay_ms(&engine->throttle, m->fill->verdict, (double)rows, ms));
    return RC_OK;
}

/* ---- between batches ---- */

static enum rc start_vacuum(struct eng_engine *engine, struct eng_migration *m,
                            const struct eng_relation *rel, struct err *err)
{
    char *sql = mem_printf("VACUUM (SKIP_LOCKED, TRUNCATE off, INDEX_CLEANUP auto) %s", rel->name);
    enum rc rc;

    FAULT(vacuum_before);
    rc = eng_long_open(engine, m, err);
    if (rc == RC_OK)
        rc = conn_send(&m->lng, sql, err);
    free(sql);
    if (rc != RC_OK)
        return rc;
    m->fill->since_vacuum = 0;
    FAULT(vacuum_sent);
    m->fill->vacuuming = true;
    eng_sleep(m, 2);
    return RC_AGAIN;
}

static enum rc poll_vacuum(struct eng_migration *m, struct err *err)
{
    enum rc rc = conn_poll(&m->lng, err);

    if (rc == RC_AGAIN) {
        eng_sleep(m, 2);
        return RC_AGAIN;
    }
    FAULT(vacuum_done);
    m->fill->vacuuming = false;
    if (rc == RC_ERR) { /* a courtesy: the backfill does not depend on it */
        log_warning("vacuum: %s", err->text);
        err_clear(err);
        conn_close(&m->lng);
    }
    return RC_AGAIN;
}

static enum rc begin_relation(struct eng_engine *engine, struct eng_migration *m,
                              const struct eng_relation *rel, struct err *err)
{
    PGresult *res;

    if (m->fill->vacuum_every > 0 || engine->options.vacuum_rows == 0)
        return RC_OK;
    res = conn_query(&engine->work, err,
                     "SELECT greatest(reltuples, 0) FROM pg_class WHERE oid = %u", rel->oid);
    if (!res)
        return RC_ERR;
    m->fill->vacuum_every = PQntuples(res) ? res_double(res, 0, 0) * VACUUM_SHARE : 0;
    if (m->fill->vacuum_every < engine->options.vacuum_rows)
        m->fill->vacuum_every = engine->options.vacuum_rows;
    PQclear(res);
    return RC_OK;
}

/* A range where rows were locked before. RC_OK: none is left. */
static enum rc revisit(struct eng_engine *engine, struct eng_migration *m, struct eng_relation *rel,
                       struct err *err)
{
    struct range range = {.skip_locked = true, .revisit = true};
    PGresult *res =
        conn_query(&engine->work, err,
                   "SELECT from_block, to_block, (SELECT count(*) FROM segue.skipped s "
                   "WHERE s.migration = k.migration AND s.relation = k.relation) FROM "
                   "segue.skipped k WHERE migration = %" PRId64 " AND relation = %u "
                   "ORDER BY from_block LIMIT 1 OFFSET (SELECT floor(count(*) * %f)::bigint "
                   "FROM segue.skipped WHERE migration = %" PRId64 " AND relation = %u)",
                   m->id, rel->oid, (double)(random() % 1000) / 1001, m->id, rel->oid);
    int64_t left;

    if (!res)
        return RC_ERR;
    left = PQntuples(res);
    if (left) {
        range.from = res_int(res, 0, 0);
        range.to = res_int(res, 0, 1);
        left = res_int(res, 0, 2);
    }
    PQclear(res);
    if (!left)
        return RC_OK;
    if (fill_range(engine, m, rel, &range, err) != RC_OK)
        return RC_ERR;
    snprintf(m->step, sizeof(m->step), "backfill %s: %" PRId64 " ranges with locked rows",
             rel->name, left);
    eng_sleep(m, conn_backoff_ms(m->fill->revisits++ / 4, REVISIT_BASE_MS, REVISIT_MAX_MS));
    return RC_AGAIN;
}

/* The end of a relation: a last VACUUM gives back what the fill left behind. */
static enum rc end_relation(struct eng_engine *engine, struct eng_migration *m,
                            struct eng_relation *rel, struct err *err)
{
    enum rc rc = revisit(engine, m, rel, err);

    if (rc != RC_OK)
        return rc;
    if (m->fill->since_vacuum > 0 && engine->options.vacuum_rows > 0)
        return start_vacuum(engine, m, rel, err);
    m->fill->at++;
    m->fill->revisits = 0;
    m->fill->vacuum_every = 0;
    m->not_before_us = 0;
    return RC_AGAIN;
}

static enum rc mark_fills(struct eng_engine *engine, struct eng_migration *m, struct err *err)
{
    for (size_t i = 0; i < m->plan->nsteps; i++) {
        char *mark;
        enum rc rc;

        if (m->plan->steps[i].kind != ENG_STEP_FILL || m->step_done[i])
            continue;
        mark = store_mark_sql(m, i);
        rc = conn_exec(&engine->work, err, "%s", mark);
        free(mark);
        if (rc != RC_OK)
            return rc;
        m->step_done[i] = true;
    }
    return RC_OK;
}

static bool all_marked(const struct eng_migration *m)
{
    for (size_t i = 0; i < m->plan->nsteps; i++) {
        if (m->plan->steps[i].kind == ENG_STEP_FILL && !m->step_done[i])
            return false;
    }
    return true;
}

enum rc eng_fill_turn(struct eng_engine *engine, struct eng_migration *m, struct err *err)
{
    struct eng_fill *fill;
    struct eng_relation *rel;
    struct range range = {0};

    if (!m->fill && all_marked(m) && !m->repairing)
        return RC_OK;
    if (!m->fill && fill_prepare(engine, m, err) != RC_OK)
        return RC_ERR;
    fill = m->fill;
    if (fill->vacuuming)
        return poll_vacuum(m, err);
    if (fill->at == fill->relations.n) {
        FAULT(fill_mark);
        if (mark_fills(engine, m, err) != RC_OK)
            return RC_ERR;
        FAULT(fill_marked);
        m->stats.rows_total = m->stats.rows_done;
        fill_drop(m);
        m->not_before_us = 0;
        return RC_OK;
    }
    rel = &fill->relations.items[fill->at];
    snprintf(m->step, sizeof(m->step), "%s %s", m->repairing ? "repair" : "backfill", rel->name);
    fill->verdict = throttle_check(engine, m);
    if (fill->verdict == THROTTLE_HOLD) {
        eng_status_put(engine, m);
        eng_sleep(m, HOLD_MS);
        return RC_AGAIN;
    }
    if (try_quiet_triggers(engine, m, err) != RC_OK || begin_relation(engine, m, rel, err) != RC_OK)
        return RC_ERR;
    if (fill->vacuum_every > 0 && fill->since_vacuum >= fill->vacuum_every)
        return start_vacuum(engine, m, rel, err);
    if (rel->next >= rel->end)
        return end_relation(engine, m, rel, err);
    range.from = rel->next;
    range.to = rel->next + sizing_next(&fill->sizing, throttle_rows_max(&engine->throttle));
    if (range.to > rel->end)
        range.to = rel->end;
    if (fill_range(engine, m, rel, &range, err) != RC_OK)
        return RC_ERR;
    eng_status_put(engine, m);
    return RC_AGAIN;
}
