/*
 * The full check (DESIGN 8): every row of every relation, in ranges of blocks, by expressions made
 * here from the migration's own up / down, not by the ones that backfill and guard use.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "nulls.h"
#include "relations.h"
#include "runner.h"
#include "segue/base/clock.h"
#include "segue/base/fault.h"
#include "segue/base/log.h"
#include "segue/base/mem.h"
#include "segue/engine/guard.h"
#include "segue/sql/expr.h"
#include "sizing.h"
#include "turned.h"
#include "type_names.h"
#include "verify.h"
#include "verify_snapshot.h"

#define SAMPLE_ROWS 20

struct tally {
    int64_t rows, bad, nulls, wrapped;
};

struct eng_verify {
    struct eng_relations relations;
    size_t at;
    struct eng_table *tables; /* as they are called now */
    char **bad;     /* one a table: "row is not in step", NULL when nothing is compared there */
    char **nulls;   /* one a table: "NOT NULL to be, but NULL", or NULL */
    char **wrapped; /* one a table: "holds text that is no JSON, wrapped", or NULL */
    size_t ntables;
    struct sizing sizing;
    struct tally done, here; /* of the relations before; of the one at `at` */
    json_t *sample;
    size_t sampled; /* of the relations before */
    int64_t began_us;
    enum verify_way way;
    struct verify_snapshot snapshot; /* of the relation at `at` */
    bool begun;                      /* that one: it has what it wants of it */
};

void eng_verify_drop(struct eng_migration *m)
{
    struct eng_verify *verify = m->verify;

    m->verify_wanted = false;
    if (!verify)
        return;
    for (size_t i = 0; i < verify->ntables; i++) {
        free(verify->bad[i]);
        free(verify->nulls[i]);
        free(verify->wrapped[i]);
        eng_turned_fini(&verify->tables[i]);
    }
    free(verify->tables);
    free(verify->bad);
    free(verify->nulls);
    free(verify->wrapped);
    relations_fini(&verify->relations);
    verify_snapshot_drop(&verify->snapshot);
    json_decref(verify->sample);
    free(verify);
    m->verify = NULL;
}

double eng_verify_share(const struct eng_migration *m)
{
    return m->verify ? relations_share(&m->verify->relations) : 0;
}

/* ---- the predicates ---- */

/* "a is, byte for byte, the value of expr as a's type"; NULL: it is of that already */
static char *same(const char *column, const char *expr, const char *type)
{
    if (!type)
        return mem_printf("(ROW(%s)::record OPERATOR(pg_catalog.*=) ROW(%s)::record)", column,
                          expr);
    return mem_printf("(ROW(%s)::record OPERATOR(pg_catalog.*=) ROW((%s)::%s)::record)", column,
                      expr, type);
}

/* follows: must be what `make` gives, or be given back by `back` from `follower`; forward a NULL
 * gives nothing back, it is a row that was not filled */
static char *pair_bad(const char *truth, const char *follower, const char *make,
                      const char *follower_type, const char *back, const char *truth_type,
                      bool nulls)
{
    char *made = same(follower, make, follower_type);
    char *given = back ? same(truth, back, truth_type) : mem_strdup("false");
    char *out = nulls
                    ? mem_printf("NOT (%s OR %s)", made, given)
                    : mem_printf("NOT (%s OR (%s " IS_NOT_NULL " AND %s))", made, follower, given);

    free(made);
    free(given);
    return out;
}

char *verify_dual_bad(const struct eng_dual *dual, enum verify_way way)
{
    char *o = dual->old_name ? sql_quote_ident(dual->old_name) : NULL;
    char *n = dual->new_name ? sql_quote_ident(dual->new_name) : NULL;
    /* what a plain rename is of may be called otherwise by now */
    const char *old_type = dual->plain ? NULL : dual->old_type;
    const char *new_type = dual->plain ? NULL : dual->new_type;
    char *out = NULL;

    if (dual->group)
        out = NULL; /* not by itself: verify_group_bad */
    else if (o && n && dual->up && dual->down)
        out = way == VERIFY_REVERSE
                  ? pair_bad(n, o, dual->down, old_type, dual->up, new_type, true)
                  : pair_bad(o, n, dual->up, new_type, dual->down, old_type, way == VERIFY_BACK);
    else if (!o && n && dual->up && way == VERIFY_FORWARD)
        out = mem_printf("(%s " IS_NULL " AND (%s)::%s " IS_NOT_NULL ")", n, dual->up,
                         dual->new_type);
    free(o);
    free(n);
    return out;
}

static void add_member(const struct eng_dual *dual, struct buf *side, struct buf *given,
                       struct buf *written)
{
    const char *name = dual->old_name ? dual->old_name : dual->new_name;
    char *column = sql_quote_ident(name);

    buf_printf(side, "%s%s", side->len ? ", " : "", column);
    buf_printf(written, "%s%s IS DISTINCT FROM NULL", written->len ? " OR " : "", column);
    buf_printf(given, "%s(%s\n)::%s", given->len ? ", " : "",
               dual->old_name ? dual->down : dual->up,
               dual->old_name ? dual->old_type : dual->new_type);
    free(column);
}

/* Columns that were split or merged: what follows must be, all of it, what the truth makes, or give
 * the truth back, all of it. NULLs that nobody has written give nothing back, as those of a pair.
 */
char *verify_group_bad(const struct eng_table *table, int group, enum verify_way way)
{
    struct buf side[2] = {0}, given[2] = {0}, written[2] = {0};
    int follows = way == VERIFY_REVERSE ? 0 : 1;
    char *out;

    for (size_t i = 0; i < table->nduals; i++) {
        const struct eng_dual *dual = &table->duals[i];
        int s = dual->old_name ? 0 : 1;

        if (dual->group == group)
            add_member(dual, &side[s], &given[s], &written[s]);
    }
    out = mem_printf("NOT (ROW(%s)::record OPERATOR(pg_catalog.*=) ROW(%s)::record OR ((%s) AND "
                     "ROW(%s)::record OPERATOR(pg_catalog.*=) ROW(%s)::record))",
                     side[follows].data, given[follows].data,
                     way == VERIFY_FORWARD ? written[follows].data : "true", side[!follows].data,
                     given[!follows].data);
    for (int s = 0; s < 2; s++) {
        buf_fini(&side[s]);
        buf_fini(&given[s]);
        buf_fini(&written[s]);
    }
    return out;
}

static bool is_first_of_group(const struct eng_table *table, size_t i)
{
    size_t k = 0;

    while (table->duals[k].group != table->duals[i].group)
        k++;
    return table->duals[i].group && k == i;
}

static char *any_of(const struct eng_table *table, enum verify_way way, bool nulls)
{
    struct buf out = {0};

    for (size_t i = 0; i < table->nduals; i++) {
        const struct eng_dual *dual = &table->duals[i];
        char *one = NULL;

        if (!nulls) {
            one = is_first_of_group(table, i) ? verify_group_bad(table, dual->group, way)
                                              : verify_dual_bad(dual, way);
        } else if (dual->new_name && dual->not_null) {
            char *n = sql_quote_ident(dual->new_name);

            one = mem_printf("%s " IS_NULL, n);
            free(n);
        }
        if (one)
            buf_printf(&out, "%s%s", out.len ? " OR " : "", one);
        free(one);
    }
    return out.len ? buf_take(&out) : NULL;
}

/* In step, nothing lost, and yet worth a look: text that segue.json_or_wrap could not read. */
static char *any_wrapped(const struct eng_table *table)
{
    struct buf out = {0};

    for (size_t i = 0; i < table->nduals; i++) {
        const struct eng_dual *dual = &table->duals[i];
        char *n;

        if (!dual->new_name || !dual->up || !strstr(dual->up, "segue.json_or_wrap"))
            continue;
        n = sql_quote_ident(dual->new_name);
        buf_printf(&out,
                   "%s(pg_catalog.jsonb_typeof(%s::pg_catalog.jsonb) "
                   "OPERATOR(pg_catalog.=) 'object' AND "
                   "%s::pg_catalog.jsonb OPERATOR(pg_catalog.?) 'segue_invalid_json')",
                   out.len ? " OR " : "", n, n);
        free(n);
    }
    return out.len ? buf_take(&out) : NULL;
}

/* ---- the pass ---- */

static enum rc way_of(struct eng_engine *engine, const struct eng_migration *m,
                      enum verify_way *way, struct err *err)
{
    PGresult *res;

    *way = m->phase == PH_SOAKING ? VERIFY_REVERSE : VERIFY_FORWARD;
    if (m->phase != PH_READY)
        return RC_OK;
    res = conn_query(&engine->work, err,
                     "SELECT EXISTS (SELECT FROM segue.phases WHERE migration = %" PRId64
                     " AND phase = 'reverting')",
                     m->id);
    if (!res)
        return RC_ERR;
    if (res_bool(res, 0, 0))
        *way = VERIFY_BACK;
    PQclear(res);
    return RC_OK;
}

static enum rc prepare(struct eng_engine *engine, struct eng_migration *m, struct err *err)
{
    struct eng_verify *verify = mem_calloc(1, sizeof(*verify));

    FAULT_OF(verify_begin, eng_phase(m->phase)->name);
    verify->ntables = m->plan->ntables;
    verify->tables = mem_calloc(verify->ntables, sizeof(*verify->tables));
    verify->bad = mem_calloc(verify->ntables, sizeof(*verify->bad));
    verify->nulls = mem_calloc(verify->ntables, sizeof(*verify->nulls));
    verify->wrapped = mem_calloc(verify->ntables, sizeof(*verify->wrapped));
    verify->sample = json_array();
    verify->began_us = clock_us();
    sizing_init(&verify->sizing, engine->options.batch_target_ms, 0);
    m->verify = verify;
    for (size_t i = 0; i < verify->ntables; i++)
        eng_turned_init(&verify->tables[i], &m->plan->tables[i], m->phase == PH_SOAKING);
    if (eng_tables_check(engine, m, TABLE_BIT(TABLE_GONE) | TABLE_BIT(TABLE_RESTORED), err) !=
            RC_OK ||
        type_names_check(engine, m, err) != RC_OK || way_of(engine, m, &verify->way, err) != RC_OK)
        return RC_ERR;
    for (size_t i = 0; i < verify->ntables; i++) {
        const struct eng_table *table = &verify->tables[i];

        verify->bad[i] = any_of(table, verify->way, false);
        verify->nulls[i] = any_of(table, verify->way, true);
        verify->wrapped[i] = any_wrapped(table);
        if (!verify->bad[i] && !verify->nulls[i])
            continue; /* nothing to compare: no row needs to be read */
        if (relations_read(&engine->work, m->plan, (int)i, &verify->relations, err) != RC_OK)
            return RC_ERR;
    }
    return RC_OK;
}

static void append_columns(const struct eng_table *table, struct buf *sql)
{
    for (size_t i = 0; i < table->nkey + 2 * table->nduals; i++) {
        size_t d = i >= table->nkey ? (i - table->nkey) / 2 : 0;
        const char *name = i < table->nkey              ? table->key[i]
                           : (i - table->nkey) % 2 == 0 ? table->duals[d].old_name
                                                        : table->duals[d].new_name;
        char *column, *label;

        if (!name)
            continue;
        column = sql_quote_ident(name);
        label = sql_quote_literal(name);
        buf_printf(sql, ", %s, pg_catalog.left(%s::pg_catalog.text, 200)", label, column);
        free(column);
        free(label);
    }
}

/* What stands in front of a SELECT of its rows. */
static char *before_sql(const struct eng_engine *engine, const struct eng_migration *m,
                        const struct eng_relation *rel)
{
    char *snapshot = verify_snapshot_sql(&m->verify->snapshot);
    char *settings = eng_table_settings_sql(&m->verify->tables[rel->table]);
    char *names = conn_names_sql(&engine->work, m->plan);
    char *sql = mem_printf("%s%s%s", snapshot, settings, names);

    free(names);
    free(settings);
    free(snapshot);
    return sql;
}

static enum rc take_sample(struct eng_engine *engine, struct eng_migration *m,
                           const struct eng_relation *rel, const char *where, struct err *err)
{
    struct eng_verify *verify = m->verify;
    size_t want = SAMPLE_ROWS - json_array_size(verify->sample);
    struct buf sql = {0};
    char *before;
    PGresult *res;

    if (want == 0)
        return RC_OK;
    before = before_sql(engine, m, rel);
    buf_printf(&sql, "%sSELECT pg_catalog.jsonb_build_object('ctid', ctid::pg_catalog.text",
               before);
    free(before);
    append_columns(&verify->tables[rel->table], &sql);
    buf_printf(&sql, ") FROM ONLY %s WHERE %s AND (%s OR %s) ORDER BY ctid LIMIT %zu", rel->name,
               where, verify->bad[rel->table] ? verify->bad[rel->table] : "false",
               verify->nulls[rel->table] ? verify->nulls[rel->table] : "false", want);
    res = conn_run(&engine->work, sql.data, NULL, err);
    verify_snapshot_left(engine, &verify->snapshot);
    buf_fini(&sql);
    if (!res)
        return RC_ERR;
    for (int r = 0; r < PQntuples(res); r++) {
        json_t *row = json_loads(res_text(res, r, 0), 0, NULL);

        if (row) {
            json_object_set_new(row, "relation", json_string(rel->name));
            json_array_append_new(verify->sample, row);
        }
    }
    PQclear(res);
    return RC_OK;
}

/* The name may have become another table's, and the blocks may have got other rows, while nothing
 * was locked: *same, in the words of the statement that reads them. */
static enum rc read_range(struct eng_engine *engine, const struct eng_migration *m,
                          const struct eng_relation *rel, const char *where, struct tally *found,
                          bool *same, struct err *err)
{
    const struct eng_verify *verify = m->verify;
    const char *bad = verify->bad[rel->table], *nulls = verify->nulls[rel->table];
    const char *wrapped = verify->wrapped[rel->table];
    char *before = before_sql(engine, m, rel), *name = sql_quote_literal(rel->name);
    PGresult *res = conn_query(
        &engine->work, err,
        "%sSELECT pg_catalog.count(*), pg_catalog.count(*) FILTER (WHERE %s), "
        "pg_catalog.count(*) FILTER (WHERE %s), pg_catalog.count(*) FILTER (WHERE %s), "
        "pg_catalog.to_regclass(%s::pg_catalog.text)::pg_catalog.oid OPERATOR(pg_catalog.=) "
        "%u::pg_catalog.oid AND pg_catalog.pg_relation_filenode(%u::pg_catalog.oid::"
        "pg_catalog.regclass) OPERATOR(pg_catalog.=) %u::pg_catalog.oid FROM ONLY %s WHERE %s",
        before, bad ? bad : "false", nulls ? nulls : "false", wrapped ? wrapped : "false", name,
        rel->oid, rel->oid, rel->relfilenode, rel->name, where);

    verify_snapshot_left(engine, &verify->snapshot);
    free(name);
    free(before);
    if (!res)
        return RC_ERR;
    *found = (struct tally){.rows = res_int(res, 0, 0),
                            .bad = res_int(res, 0, 1),
                            .nulls = res_int(res, 0, 2),
                            .wrapped = res_int(res, 0, 3)};
    *same = res_bool(res, 0, 4);
    PQclear(res);
    return RC_OK;
}

static void add(struct tally *to, const struct tally *more)
{
    to->rows += more->rows;
    to->bad += more->bad;
    to->nulls += more->nulls;
    to->wrapped += more->wrapped;
}

/* Nothing of it has been read. */
static void begin_again(struct eng_verify *verify, struct eng_relation *rel)
{
    verify->here = (struct tally){0};
    verify->begun = false;
    rel->next = 0;
    while (json_array_size(verify->sample) > verify->sampled)
        json_array_remove(verify->sample, verify->sampled);
}

/* It is not what was to be read; err: 42P01, of it or of what an expression calls. */
static enum rc look_again(struct eng_engine *engine, struct eng_verify *verify,
                          struct eng_relation *rel, struct err *err)
{
    struct err why = *err;
    enum relations_change change;

    err_clear(err);
    if (relations_again(&engine->work, rel, &change, err) != RC_OK)
        return RC_ERR;
    if (change == RELATION_SAME && err_is_set(&why)) {
        *err = why;
        err_hint(err, RELATIONS_NOT_FOUND);
        return RC_ERR;
    }
    if (change == RELATION_REWRITTEN) {
        log_info("%s was rewritten: it is read from its first block again", rel->name);
        begin_again(verify, rel);
    } else if (change == RELATION_GONE) { /* a partition that was dropped */
        rel->next = rel->end;
    }
    return RC_AGAIN;
}

/* Of the range that was read; err: what failed. */
static enum rc unread(struct eng_engine *engine, struct eng_verify *verify,
                      struct eng_relation *rel, struct err *err)
{
    if (!err_is_set(err) || conn_no_relation(err))
        return look_again(engine, verify, rel, err);
    if (!conn_up(&engine->work) || !verify_snapshot_gone(&verify->snapshot))
        return RC_ERR;
    log_err(LOG_WARNING, "the connection of a verify's snapshot: its relation is read again", err);
    err_clear(err);
    begin_again(verify, rel);
    return RC_AGAIN;
}

static enum rc begin_relation(struct eng_engine *engine, struct eng_migration *m,
                              struct eng_relation *rel, struct err *err)
{
    struct eng_verify *verify = m->verify;

    if (!verify->begun && verify_snapshot_take(engine, m, &verify->snapshot, rel, err) != RC_OK)
        return RC_ERR;
    verify->begun = true;
    return RC_OK;
}

static enum rc check_range(struct eng_engine *engine, struct eng_migration *m,
                           struct eng_relation *rel, struct err *err)
{
    struct eng_verify *verify = m->verify;
    int64_t to, began = clock_us();
    struct tally found = {0};
    bool same = false;
    char where[160];
    enum rc rc;

    if (begin_relation(engine, m, rel, err) != RC_OK)
        return RC_ERR;
    to = rel->next + sizing_next(&verify->sizing, 0);
    if (to > rel->end)
        to = rel->end;
    relations_range(where, sizeof(where), rel->next, to);
    FAULT_OF(verify_range, eng_phase(m->phase)->name);
    rc = read_range(engine, m, rel, where, &found, &same, err);
    if (rc == RC_OK)
        FAULT_OF(verify_read, eng_phase(m->phase)->name);
    if (rc == RC_OK && same && (found.bad || found.nulls))
        rc = take_sample(engine, m, rel, where, err);
    if (rc != RC_OK || !same)
        return unread(engine, verify, rel, err);
    add(&verify->here, &found);
    sizing_note(&verify->sizing, (uint32_t)(to - rel->next), (double)(clock_us() - began) / 1000, 0,
                0);
    rel->next = to;
    m->not_before_us = 0;
    return RC_AGAIN;
}

/* False: nothing is left to be read. */
static bool next_relation(struct eng_verify *verify)
{
    const struct eng_relations *all = &verify->relations;

    while (verify->at < all->n && all->items[verify->at].next >= all->items[verify->at].end) {
        add(&verify->done, &verify->here);
        verify->here = (struct tally){0};
        verify->sampled = json_array_size(verify->sample);
        verify->begun = false;
        verify_snapshot_drop(&verify->snapshot);
        verify->at++;
    }
    return verify->at < all->n;
}

static enum rc finish(struct eng_engine *engine, struct eng_migration *m, struct err *err)
{
    struct eng_verify *verify = m->verify;
    char *sample = json_dumps(verify->sample, JSON_COMPACT);
    char id[32], took[32], rows[32], bad[32], nulls[32], wrapped[32];
    const char *values[] = {id,     verify->way == VERIFY_REVERSE ? "reverse" : "forward",
                            took,   rows,
                            bad,    nulls,
                            sample, wrapped};
    PGresult *res = NULL;

    snprintf(id, sizeof(id), "%" PRId64, m->id);
    snprintf(took, sizeof(took), "%" PRId64, clock_us() - verify->began_us);
    snprintf(rows, sizeof(rows), "%" PRId64, verify->done.rows);
    snprintf(bad, sizeof(bad), "%" PRId64, verify->done.bad);
    snprintf(nulls, sizeof(nulls), "%" PRId64, verify->done.nulls);
    snprintf(wrapped, sizeof(wrapped), "%" PRId64, verify->done.wrapped);
    FAULT_OF(verify_store, eng_phase(m->phase)->name);
    if (verify->done.bad + verify->done.nulls > 0 ||
        eng_guards_seen(engine, m, &verify->relations, err) == RC_OK)
        res = conn_params(
            &engine->work, err,
            "INSERT INTO segue.verifications (migration, direction, began_at, rows, bad, "
            "nulls, sample, wrapped) VALUES ($1::bigint, $2, clock_timestamp() - $3::bigint * "
            "interval '1 microsecond', $4::bigint, $5::bigint, $6::bigint, $7::jsonb, "
            "$8::bigint)",
            (int)ARRAY_LEN(values), values);
    free(sample);
    if (!res)
        return RC_ERR;
    PQclear(res);
    FAULT_OF(verify_stored, eng_phase(m->phase)->name);
    m->stats.rows_verified = verify->done.rows;
    m->stats.rows_bad = verify->done.bad + verify->done.nulls;
    m->stats.rows_wrapped = verify->done.wrapped;
    log_info("verified %" PRId64 " rows (%s): %" PRId64 " not in step, %" PRId64
             " NULL where NOT NULL is to be, %" PRId64 " with text that is no JSON, wrapped",
             verify->done.rows, verify->way == VERIFY_REVERSE ? "reverse" : "forward",
             verify->done.bad, verify->done.nulls, verify->done.wrapped);
    if (verify->done.nulls > 0 && verify->done.bad == 0)
        m->repairs++; /* NULLs that `up` gives: a repair pass would give them again */
    eng_verify_drop(m);
    eng_verify_answer(engine, m, NULL);
    eng_status_put(engine, m);
    return RC_OK;
}

enum rc eng_verify_turn(struct eng_engine *engine, struct eng_migration *m, struct err *err)
{
    struct eng_verify *verify;
    bool wanted = m->verify_wanted;
    enum rc rc = RC_OK;

    if (!m->verify && (rc = prepare(engine, m, err)) != RC_OK) {
        eng_verify_drop(m); /* half of the relations would pass for all of them */
        m->verify_wanted = wanted;
    }
    verify = m->verify;
    if (rc == RC_OK && !next_relation(verify))
        rc = finish(engine, m, err);
    else if (rc == RC_OK) {
        snprintf(m->step, sizeof(m->step), "verify %s", verify->relations.items[verify->at].name);
        rc = check_range(engine, m, &verify->relations.items[verify->at], err);
        eng_status_put(engine, m);
    }
    if (rc == RC_ERR && !conn_retryable(err)) {
        eng_verify_drop(m);
        eng_verify_answer(engine, m, err);
    }
    return rc;
}

enum rc eng_verify_wanted_turn(struct eng_engine *engine, struct eng_migration *m, struct err *err)
{
    enum rc rc = eng_verify_turn(engine, m, err);

    if (rc == RC_ERR && conn_retryable(err))
        return rc;
    if (rc != RC_AGAIN) {
        m->verify_wanted = false;
        m->step[0] = '\0';
    }
    if (rc == RC_ERR) { /* whoever asked has got the error; the phase goes on */
        log_err(LOG_WARNING, "verify", err);
        err_clear(err);
    }
    return RC_AGAIN;
}

void eng_verify_answer(struct eng_engine *engine, struct eng_migration *m, const struct err *err)
{
    eng_status_put(engine, m); /* whoever has the answer asks for the status next */
    for (size_t i = 0; i < m->nverify_jobs; i++) {
        struct eng_job *job = m->verify_jobs[i];

        if (err)
            job->err = *err;
        else
            job->result = json_pack(
                "{s:[s,s,s,s], s:[[s,I,I,I]]}", "columns", "migration", "rows_verified", "rows_bad",
                "rows_wrapped", "rows", m->name, (json_int_t)m->stats.rows_verified,
                (json_int_t)m->stats.rows_bad, (json_int_t)m->stats.rows_wrapped);
        eng_job_answer(job);
    }
    m->nverify_jobs = 0;
}
