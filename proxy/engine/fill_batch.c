/*
 * One batch as one string of statements: rows, what was skipped, watermark, COMMIT. Between the
 * rows and the watermark stands what the rows' own count is needed for, so it is a DO block; the
 * statements with the user's expressions are EXECUTEd, where no variable can take a column's name.
 *
 * What batches before have met says nothing of the blocks ahead. So where rows_per_s is set, the
 * batch itself looks where it has enough, and ends there ($1): at least a block, whatever it holds.
 * Rows that were skipped come back as the range in which they were: that one was cut to size.
 *
 * A row of a few bytes may stand for megabytes that are stored out of line, and are to be written
 * once more: a hundred of these fit into one block. So where the table has such values the batch
 * weighs them, and ends within a block. The watermark stays at that block until it is done: after a
 * kill it is gone through from its beginning, where nothing is unfilled any more.
 *
 * synchronous_commit is off: a batch lost in a crash of the server lost its watermark with it and
 * is done again; the phase's next move is synchronous.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "fill.h"
#include "relations.h"
#include "segue/base/mem.h"
#include "segue/engine/guard.h"
#include "segue/sql/expr.h"

/* $2: what hold() has got hold of. */
static char *update_sql(const struct fill_text *text, const struct fill_relation *rel,
                        const struct fill_batch *batch, const char *where)
{
    if (batch->skip_locked)
        return mem_printf("UPDATE ONLY %s SET %s WHERE ctid OPERATOR(pg_catalog.=) ANY ($2) AND "
                          "NOT (%s)",
                          rel->name, text->set, text->in_step);
    return mem_printf("UPDATE ONLY %s SET %s WHERE %s AND (%s)", rel->name, text->set, where,
                      text->unfilled);
}

static void execute(struct buf *body, const char *sql, const char *more)
{
    char *literal = sql_quote_literal(sql);

    buf_printf(body, "EXECUTE %s%s; ", literal, more);
    free(literal);
}

char *fill_weight(const struct eng_table *table)
{
    struct buf out = {0};

    for (size_t i = 0; i < table->nduals; i++) {
        const struct eng_dual *dual = &table->duals[i];

        for (size_t k = 0; dual->new_name && k < dual->nup_columns; k++) {
            buf_printf(&out, "%scoalesce(pg_catalog.pg_column_size(",
                       out.len ? " OPERATOR(pg_catalog.+) " : "");
            sql_quote_ident_put(&out, dual->up_columns[k]);
            buf_append_str(&out, "), 0)");
        }
    }
    return out.len ? buf_take(&out) : NULL;
}

/* TID range scans go from block to block; were one not to, the batch would be smaller. */
static void cut_to_size(struct buf *body, const struct fill_text *text,
                        const struct fill_relation *rel, const struct fill_batch *batch)
{
    char where[160], *sql;

    if (batch->rows_max <= 0 || batch->revisit || batch->to - batch->from < 2)
        return;
    relations_range(where, sizeof(where), batch->from, batch->to);
    sql = mem_printf("SELECT ctid FROM ONLY %s WHERE %s AND (%s) OFFSET %.0f LIMIT 1", rel->name,
                     where, text->unfilled, batch->rows_max);
    execute(body, sql, " INTO fill_tid");
    free(sql);
    buf_printf(body,
               "IF fill_tid IS NOT NULL THEN fill_to := greatest(%" PRId64
               ", (fill_tid::pg_catalog.text::pg_catalog.point)[0]::"
               "pg_catalog.int8); END IF; ",
               batch->from + 1);
}

/* The same by weight: behind the first row that is too much, and never in front of all. */
static void cut_to_weight(struct buf *body, const struct fill_text *text,
                          const struct fill_relation *rel, const struct fill_batch *batch,
                          const char *where)
{
    char *sql;

    if (batch->bytes_max <= 0 || batch->revisit)
        return;
    sql =
        mem_printf("SELECT fill_ctid FROM (SELECT ctid AS fill_ctid, pg_catalog.sum(%s) OVER (ROWS"
                   " BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS fill_weight FROM ONLY %s"
                   " WHERE %s AND (%s)) AS fill_rows WHERE fill_weight OPERATOR(pg_catalog.>)"
                   " %.0f LIMIT 1",
                   text->weight, rel->name, where, text->unfilled, batch->bytes_max);
    execute(body, sql, " INTO fill_tid USING fill_end");
    free(sql);
    buf_append_str(body, "IF fill_tid IS NOT NULL THEN fill_end := fill_tid;"
                         " fill_to := (fill_tid::pg_catalog.text::pg_catalog.point)[0]::"
                         "pg_catalog.int8; fill_item := (fill_tid::pg_catalog.text::"
                         "pg_catalog.point)[1]::pg_catalog.int4; END IF; ");
}

/* Around the rows that somebody else holds. */
static void hold(struct buf *body, const struct fill_text *text, const struct fill_relation *rel,
                 const char *where)
{
    char *sql = mem_printf("SELECT ARRAY(SELECT ctid FROM ONLY %s WHERE %s AND NOT (%s) FOR NO KEY "
                           "UPDATE SKIP LOCKED)",
                           rel->name, where, text->in_step);

    execute(body, sql, " INTO fill_held USING fill_end");
    free(sql);
}

/* What is left of a skip-locked range is written down in the same transaction, in whole blocks.
 * Not what was held and is as it was: a trigger of somebody wants it so, and would for ever; verify
 * finds it. */
static void note_skipped(struct buf *body, const struct eng_migration *m,
                         const struct fill_text *text, const struct fill_relation *rel,
                         const struct fill_batch *batch, const char *where)
{
    char *sql = mem_printf("INSERT INTO segue.skipped SELECT %" PRId64 ", %u, %" PRId64 ", $2"
                           " WHERE EXISTS (SELECT 1 FROM ONLY %s WHERE %s AND NOT (%s) AND ctid "
                           "OPERATOR(pg_catalog.<>) ALL ($3)) ON CONFLICT (migration, relation, "
                           "from_block) DO UPDATE SET to_block = excluded.to_block",
                           m->id, rel->oid, batch->from, rel->name, where, text->in_step);

    execute(body, sql,
            " USING fill_end, fill_to OPERATOR(pg_catalog.+) (fill_item OPERATOR(pg_catalog.>) 0)::"
            "pg_catalog.int4, fill_held");
    free(sql);
}

/* The expressions go by the names of the file, and so do deferred triggers at COMMIT. */
static char *body_sql(const struct eng_engine *engine, const struct eng_migration *m,
                      const struct fill_batch *batch)
{
    const struct fill_relation *rel = &m->fill->relations[batch->relation];
    const struct fill_range *range = &m->fill->ranges[batch->range];
    const struct fill_text *text = &m->fill->texts[rel->table];
    char *names = conn_names_sql(&engine->work, m->plan);
    char *settings = eng_table_settings_sql(&m->plan->tables[rel->table]);
    char *name = sql_quote_literal(rel->name); /* somebody may have given it to another table */
    struct buf body = {0};
    char where[160], *update;

    relations_range_to(where, sizeof(where), batch->from, batch->item, "$1");
    update = update_sql(text, rel, batch, where);
    buf_printf(&body,
               "DECLARE fill_rows bigint; fill_total bigint; fill_to bigint := %" PRId64 "; "
               "fill_item int := 0; fill_tid tid; fill_end tid; fill_held tid[]; fill_lsn pg_lsn "
               ":= "
               "pg_current_wal_insert_lsn(); "
               "fill_began timestamptz := clock_timestamp(); BEGIN ",
               batch->to);
    if (batch->revisit)
        buf_printf(&body,
                   "DELETE FROM segue.skipped WHERE migration = %" PRId64
                   " AND relation = %u AND from_block = %" PRId64 "; ",
                   m->id, rel->oid, batch->from);
    execute(&body, names, "");
    if (*settings)
        execute(&body, settings, "");
    cut_to_size(&body, text, rel, batch);
    buf_append_str(&body, "fill_end := pg_catalog.format('(%s,0)', fill_to)::pg_catalog.tid; ");
    cut_to_weight(&body, text, rel, batch, where);
    if (batch->skip_locked)
        hold(&body, text, rel, where);
    execute(&body, update, " USING fill_end, fill_held");
    free(update);
    buf_append_str(&body, "GET DIAGNOSTICS fill_rows = ROW_COUNT; ");
    if (batch->skip_locked)
        note_skipped(&body, m, text, rel, batch, where);
    execute(&body, CONN_OWN_NAMES, "");
    buf_printf(&body,
               "UPDATE segue.progress SET next_block = greatest(next_block, "
               "least(fill_to, end_block)), rows = rows + fill_rows WHERE migration = %" PRId64
               " AND relation = %u AND from_block = %" PRId64
               " AND relfilenode = pg_relation_filenode(relation) AND relation = to_regclass(%s)::"
               "oid RETURNING rows INTO fill_total; IF NOT FOUND THEN RAISE EXCEPTION 'rewritten' "
               "USING ERRCODE = '" FILL_OTHER_FILE
               "'; END IF; PERFORM set_config('segue.batch', format('%%s %%s %%s %%s %%s %%s', "
               "fill_rows, fill_total, fill_to, fill_item, pg_current_wal_insert_lsn() - fill_lsn, "
               "extract(epoch FROM "
               "clock_timestamp() - fill_began) * 1000), false); ",
               m->id, rel->oid, range->from, name);
    execute(&body, names, "");
    buf_append_str(&body, "END");
    free(name);
    free(settings);
    free(names);
    return buf_take(&body);
}

char *fill_batch_sql(struct eng_engine *engine, const struct eng_migration *m,
                     const struct fill_batch *batch)
{
    char *body = body_sql(engine, m, batch), *literal = sql_quote_literal(body), *sql;

    sql = mem_printf(
        "BEGIN; SET LOCAL lock_timeout = %u; SET LOCAL synchronous_commit = off; "
        "%sDO %s; COMMIT; SELECT current_setting('segue.batch')",
        conn_lock_ms(&engine->work, engine->options.batch_lock_timeout_ms),
        engine->pool->quiet_triggers == 1 ? "SET LOCAL session_replication_role = replica; " : "",
        literal);
    free(literal);
    free(body);
    return sql;
}

bool fill_batch_answer(const PGresult *res, struct fill_answer *out)
{
    const char *text = PQntuples(res) == 1 ? res_text(res, 0, 0) : NULL;

    return text && sscanf(text, "%" SCNd64 " %" SCNd64 " %" SCNd64 " %d %lf %lf", &out->rows,
                          &out->range_rows, &out->to, &out->item, &out->wal_bytes, &out->ms) == 6;
}
