/*
 * The watermarks: segue.progress has a row for each range of blocks, committed with every batch of
 * it. A relation has at least the row that begins at block 0; further ones come when an idle worker
 * takes half of what another has before it. What is read back after a kill is what was committed:
 * rows in memory may be behind it, never ahead, and a batch done twice changes nothing.
 */
#include <inttypes.h>
#include <stdlib.h>

#include "fill.h"
#include "relations.h"
#include "segue/base/fault.h"
#include "segue/base/log.h"
#include "segue/base/mem.h"
#include "segue/sql/expr.h"
#include "store.h"

static size_t relation_of(struct eng_fill *fill, const PGresult *res, int r, int table)
{
    uint32_t oid = (uint32_t)res_int(res, r, 0);
    struct fill_relation *rel;

    for (size_t i = 0; i < fill->nrelations; i++) {
        if (fill->relations[i].oid == oid)
            return i;
    }
    fill->relations =
        mem_realloc(fill->relations, (fill->nrelations + 1) * sizeof(*fill->relations));
    rel = &fill->relations[fill->nrelations];
    *rel = (struct fill_relation){.oid = oid,
                                  .name = mem_strdup(res_text(res, r, 1)),
                                  .relfilenode = (uint32_t)res_int(res, r, 2),
                                  .table = table,
                                  .skipped = res_int(res, r, 7),
                                  .out_of_line = res_double(res, r, 8)};
    return fill->nrelations++;
}

static size_t add_range(struct eng_fill *fill, const struct fill_range *range)
{
    fill->ranges = mem_realloc(fill->ranges, (fill->nranges + 1) * sizeof(*fill->ranges));
    fill->ranges[fill->nranges] = *range;
    return fill->nranges++;
}

/* A list for ARRAY[...]: the columns of which the fill makes others. */
static char *read_names(const struct eng_table *table)
{
    struct buf out = {0};

    buf_append_str(&out, "NULL");
    for (size_t i = 0; i < table->nduals; i++) {
        const struct eng_dual *dual = &table->duals[i];

        for (size_t k = 0; dual->new_name && k < dual->nup_columns; k++) {
            char *literal = sql_quote_literal(dual->up_columns[k]);

            buf_printf(&out, ", %s", literal);
            free(literal);
        }
    }
    return buf_take(&out);
}

static enum rc load(struct eng_engine *engine, struct eng_migration *m, struct eng_fill *fill,
                    int table, struct err *err)
{
    char *names = read_names(&m->plan->tables[table]);
    PGresult *res =
        conn_query(&engine->work, err,
                   "SELECT relation, relname, relfilenode, from_block, next_block, "
                   "end_block, rows, (SELECT count(*) FROM segue.skipped s WHERE "
                   "s.migration = p.migration AND s.relation = p.relation), "
                   "coalesce((SELECT pg_relation_size(c.reltoastrelid) FROM pg_class c "
                   "WHERE c.oid = p.relation AND c.reltoastrelid <> 0 AND EXISTS (SELECT "
                   "FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attname = ANY "
                   "(ARRAY[%s]::text[]) AND a.attstorage IN ('x', 'e'))), 0) FROM "
                   "segue.progress p WHERE migration = %" PRId64
                   " AND table_no = %d ORDER BY relation, from_block",
                   names, m->id, table);

    free(names);
    if (!res)
        return RC_ERR;
    for (int r = 0; r < PQntuples(res); r++) {
        struct fill_range range = {.relation = relation_of(fill, res, r, table),
                                   .from = res_int(res, r, 3),
                                   .next = res_int(res, r, 4),
                                   .end = res_int(res, r, 5),
                                   .rows = res_int(res, r, 6)};

        add_range(fill, &range);
        /* resumed: what was filled since the last VACUUM is not known */
        fill->relations[range.relation].since_vacuum += (double)range.rows;
    }
    PQclear(res);
    return RC_OK;
}

/* Of a table, or of one relation of it: one range again, with all the rows that were counted. */
static char *join_sql(const struct eng_migration *m, const char *which)
{
    return mem_printf("UPDATE segue.progress p SET rows = (SELECT sum(q.rows) FROM segue.progress "
                      "q WHERE q.migration = p.migration AND q.relation = p.relation) WHERE "
                      "migration = %" PRId64 " AND %s AND from_block = 0; DELETE FROM "
                      "segue.progress WHERE migration = %" PRId64 " AND %s AND from_block > 0",
                      m->id, which, m->id, which);
}

/* The guard was committed before: rows beyond today's end are its work. */
static enum rc begin(struct eng_engine *engine, struct eng_migration *m, int table, bool repair,
                     struct err *err)
{
    struct eng_relations found = {0};
    struct buf rows = {0};
    char *which = mem_printf("table_no = %d", table), *join = join_sql(m, which);
    enum rc rc;

    FAULT(fill_begin);
    rc = relations_read(&engine->work, m->plan, table, &found, err);

    for (size_t i = 0; rc == RC_OK && i < found.n; i++) {
        char *quoted = sql_quote_literal(found.items[i].name);

        buf_printf(&rows, "%s(%" PRId64 ", %d, %u, %s, %u, %" PRId64 ")", rows.len ? ", " : "",
                   m->id, table, found.items[i].oid, quoted, found.items[i].relfilenode,
                   found.items[i].end);
        free(quoted);
    }
    if (rc == RC_OK && rows.len)
        rc = conn_exec(
            &engine->work, err,
            "BEGIN; %s; INSERT INTO segue.progress (migration, table_no, relation, relname, "
            "relfilenode, end_block) VALUES %s ON CONFLICT (migration, relation, from_block) DO "
            "UPDATE SET relname = excluded.relname, relfilenode = excluded.relfilenode, "
            "next_block = 0, end_block = excluded.end_block; UPDATE segue.progress p SET guard = "
            "g.guard FROM (SELECT c.oid, " RELATIONS_GUARD " AS guard FROM pg_class c) g WHERE "
            "g.oid = p.relation AND p.migration = %" PRId64 " AND p.table_no = %d AND NOT %s; "
            "COMMIT",
            join, rows.data, m->id, table, repair ? "true" : "false");
    conn_rollback(&engine->work);
    relations_fini(&found);
    buf_fini(&rows);
    free(join);
    free(which);
    FAULT(fill_begun);
    return rc;
}

enum rc fill_mark_load(struct eng_engine *engine, struct eng_migration *m, struct eng_fill *fill,
                       int table, struct err *err)
{
    size_t before = fill->nranges;

    if (load(engine, m, fill, table, err) != RC_OK)
        return RC_ERR;
    if (fill->nranges > before)
        return RC_OK;
    if (begin(engine, m, table, false, err) != RC_OK)
        return RC_ERR;
    return load(engine, m, fill, table, err);
}

enum rc eng_fill_restart(struct eng_engine *engine, struct eng_migration *m, struct err *err)
{
    enum rc rc;

    /* It goes from range to range, as verify does that found what it is for: whether it has met
     * each row that was written past the guard, a verify is to say (verify_snapshot.h). */
    FAULT(repair_before);
    rc = conn_exec(&engine->work, err, "DELETE FROM segue.skipped WHERE migration = %" PRId64,
                   m->id);
    eng_fill_drop(m);
    for (size_t i = 0; rc == RC_OK && i < m->plan->nsteps; i++) {
        if (m->plan->steps[i].kind == ENG_STEP_FILL && m->plan->steps[i].table >= 0)
            rc = begin(engine, m, m->plan->steps[i].table, true, err);
    }
    return rc;
}

/* The relation is one range again, in memory as in the table. */
static void forget_ranges(struct eng_fill *fill, size_t relation, int64_t end)
{
    struct fill_range *first = NULL;

    for (size_t i = 0; i < fill->nranges; i++) {
        struct fill_range *range = &fill->ranges[i];

        if (range->relation != relation)
            continue;
        if (range->from == 0 && !first) {
            first = range;
        } else { /* indexes of others stay */
            if (first)
                first->rows += range->rows;
            range->from = range->next = range->end = range->rows = 0;
        }
    }
    if (!first)
        return;
    first->next = first->item = 0;
    first->end = end;
}

/* A partition that is none any more. Should it come back, it is a new one. */
static enum rc forget(struct eng_engine *engine, struct eng_migration *m, size_t relation,
                      struct err *err)
{
    struct fill_relation *rel = &m->fill->relations[relation];

    log_info("%s was detached or dropped: it is not filled any more", rel->name);
    if (conn_exec(&engine->work, err,
                  "DELETE FROM segue.skipped WHERE migration = %" PRId64 " AND relation = %u; "
                  "DELETE FROM segue.progress WHERE migration = %" PRId64 " AND relation = %u",
                  m->id, rel->oid, m->id, rel->oid) != RC_OK)
        return RC_ERR;
    forget_ranges(m->fill, relation, 0);
    rel->rewritten = false;
    rel->skipped = 0;
    rel->since_vacuum = 0;
    rel->done = true;
    return RC_OK;
}

static enum rc from_block_0(struct eng_engine *engine, struct eng_migration *m, size_t relation,
                            struct err *err)
{
    struct fill_relation *rel = &m->fill->relations[relation];
    char *which = mem_printf("relation = %u", rel->oid), *join = join_sql(m, which);
    PGresult *res;

    log_info("%s was rewritten: its pass begins again", rel->name);
    FAULT(fill_again);
    res = conn_query(&engine->work, err,
                     "DELETE FROM segue.skipped WHERE migration = %" PRId64 " AND relation = %u; "
                     "%s; UPDATE segue.progress SET next_block = 0, relfilenode = coalesce("
                     "pg_relation_filenode(relation), 0), end_block = coalesce("
                     "pg_relation_size(relation), 0) / current_setting('block_size')::int "
                     "WHERE migration = %" PRId64 " AND relation = %u RETURNING relfilenode, "
                     "end_block, (SELECT format('%%I.%%I', n.nspname, c.relname) FROM pg_class c "
                     "JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = relation)",
                     m->id, rel->oid, join, m->id, rel->oid);
    free(join);
    free(which);
    if (!res)
        return RC_ERR;
    rel->relfilenode = (uint32_t)res_int(res, 0, 0);
    forget_ranges(m->fill, relation, res_int(res, 0, 1));
    if (res_text(res, 0, 2)) { /* it may have got another name, too */
        free(rel->name);
        rel->name = mem_strdup(res_text(res, 0, 2));
    }
    PQclear(res);
    rel->rewritten = rel->done = false;
    rel->skipped = -1;
    rel->revisits = 0;
    return RC_OK;
}

enum rc fill_mark_again(struct eng_engine *engine, struct eng_migration *m, size_t relation,
                        struct err *err)
{
    const struct fill_relation *rel = &m->fill->relations[relation];
    bool in;

    if (relations_in(&engine->work, &m->plan->tables[rel->table], rel->oid, &in, err) != RC_OK)
        return RC_ERR;
    return in ? from_block_0(engine, m, relation, err) : forget(engine, m, relation, err);
}

enum rc fill_mark_split(struct eng_engine *engine, struct eng_migration *m, size_t range,
                        int64_t at, size_t *out, struct err *err)
{
    struct eng_fill *fill = m->fill;
    struct fill_range *old = &fill->ranges[range];
    struct fill_range made = {.relation = old->relation, .from = at, .next = at, .end = old->end};
    uint32_t oid = fill->relations[old->relation].oid;
    enum rc rc;

    FAULT(fill_split);
    /* one string, one transaction */
    rc = conn_exec(
        &engine->work, err,
        "INSERT INTO segue.progress (migration, table_no, relation, relname, relfilenode, "
        "from_block, next_block, end_block) SELECT migration, table_no, relation, relname, "
        "relfilenode, %" PRId64 ", %" PRId64 ", end_block FROM segue.progress WHERE migration = "
        "%" PRId64 " AND relation = %u AND from_block = %" PRId64 "; UPDATE segue.progress SET "
        "end_block = %" PRId64 " WHERE migration = %" PRId64
        " AND relation = %u AND from_block = %" PRId64,
        at, at, m->id, oid, old->from, at, m->id, oid, old->from);
    if (rc != RC_OK)
        return rc;
    FAULT(fill_parted);
    old->end = at;
    *out = add_range(fill, &made);
    return RC_OK;
}

enum rc fill_mark_skipped(struct eng_engine *engine, struct eng_migration *m,
                          struct fill_relation *rel, struct fill_batch *batch, struct err *err)
{
    PGresult *res =
        conn_query(&engine->work, err,
                   "SELECT from_block, to_block, (SELECT count(*) FROM segue.skipped s "
                   "WHERE s.migration = k.migration AND s.relation = k.relation) FROM "
                   "segue.skipped k WHERE migration = %" PRId64 " AND relation = %u "
                   "ORDER BY from_block LIMIT 1 OFFSET (SELECT floor(count(*) * %f)::bigint "
                   "FROM segue.skipped WHERE migration = %" PRId64 " AND relation = %u)",
                   m->id, rel->oid, (double)(random() % 1000) / 1001, m->id, rel->oid);

    if (!res)
        return RC_ERR;
    rel->skipped = 0;
    if (PQntuples(res)) {
        batch->from = res_int(res, 0, 0);
        batch->to = res_int(res, 0, 1);
        rel->skipped = res_int(res, 0, 2);
    }
    PQclear(res);
    if (rel->skipped < rel->skipped_last) { /* somebody lets go: on without a pause */
        rel->revisits = 0;
        rel->revisit_at_us = 0;
    }
    rel->skipped_last = rel->skipped;
    return RC_OK;
}

/* Leaves without a watermark. They came with the guard, so rows beyond today's end are its work. */
static enum rc mark_new(struct eng_engine *engine, struct eng_migration *m, int table, bool *any,
                        struct err *err)
{
    PGresult *res = conn_query(
        &engine->work, err,
        "WITH made AS (INSERT INTO segue.progress (migration, table_no, relation, relname, "
        "relfilenode, end_block, guard) SELECT %" PRId64 ", %d, c.oid, format('%%I.%%I', n.nspname,"
        " c.relname), pg_relation_filenode(c.oid), pg_relation_size(c.oid) / "
        "current_setting('block_size')::int, " RELATIONS_GUARD
        " FROM " RELATIONS_ROOT RELATIONS_TREE
        " AS t JOIN pg_class c ON c.oid = t.relid JOIN pg_namespace n ON n.oid = c.relnamespace "
        "WHERE c.relkind = 'r' AND NOT EXISTS (SELECT FROM segue.progress p WHERE p.migration = "
        "%" PRId64 " AND p.relation = c.oid) RETURNING relname) SELECT string_agg(relname, ', ') "
        "FROM made",
        m->id, table, m->plan->tables[table].oid, m->id);

    if (!res)
        return RC_ERR;
    if (!PQgetisnull(res, 0, 0)) {
        log_info("%s: attached meanwhile, it is filled, too", res_text(res, 0, 0));
        *any = true;
    }
    PQclear(res);
    return RC_OK;
}

enum rc fill_mark_new(struct eng_engine *engine, struct eng_migration *m, bool *any,
                      struct err *err)
{
    *any = false;
    for (size_t i = 0; i < m->plan->nsteps; i++) {
        const struct eng_step *step = &m->plan->steps[i];

        if (step->kind == ENG_STEP_FILL && step->table >= 0 &&
            mark_new(engine, m, step->table, any, err) != RC_OK)
            return RC_ERR;
    }
    return RC_OK;
}

enum rc fill_mark_left(struct eng_engine *engine, const struct eng_migration *m, bool *left,
                       struct err *err)
{
    PGresult *res = conn_query(&engine->work, err,
                               "SELECT EXISTS (SELECT FROM segue.progress WHERE migration = "
                               "%" PRId64 " AND next_block < end_block) OR EXISTS (SELECT FROM "
                               "segue.skipped WHERE migration = %" PRId64 ")",
                               m->id, m->id);

    if (!res)
        return RC_ERR;
    *left = res_bool(res, 0, 0);
    PQclear(res);
    return RC_OK;
}

enum rc fill_mark_steps(struct eng_engine *engine, struct eng_migration *m, struct err *err)
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
