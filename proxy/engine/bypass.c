/*
 * What was written past the guard since the last verify: nobody would miss it until the side that
 * follows has become the truth, or the truth is dropped.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "foreign_parts.h"
#include "relations.h"
#include "runner.h"
#include "segue/base/log.h"
#include "segue/base/mem.h"
#include "segue/engine/guard.h"
#include "segue/sql/expr.h"
#include "turned.h"

/* So many bytes are read at once. A verify reads in ranges, and others are answered meanwhile. */
#define READ_AT_ONCE (64 << 20)
#define EMPTY_LOCK_MS 10

static bool is_filled(const struct eng_migration *m, int table)
{
    for (size_t i = 0; i < m->plan->nsteps; i++)
        if (m->plan->steps[i].kind == ENG_STEP_FILL && m->plan->steps[i].table == table)
            return true;
    return false;
}

/* Of the tables %s: one that inherits from one that is no partitioned one has the columns, and rows
 * that a SELECT of the table gives, but no guard. */
#define HEIRS                                                                                      \
    "DO $segue$ DECLARE heir regclass; parent regclass; BEGIN SELECT i.inhrelid, i.inhparent "     \
    "INTO heir, parent FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhparent AND c.relkind = " \
    "'r' WHERE i.inhparent = ANY(ARRAY[%s]::oid[]) LIMIT 1; IF heir IS NOT NULL THEN RAISE "       \
    "EXCEPTION USING ERRCODE = '55000', MESSAGE = format('table %%s inherits from %%s since the "  \
    "migration was planned', heir, parent), HINT = format('ALTER TABLE %%s NO INHERIT %%s: no "    \
    "guard keeps its rows in step', heir, parent); END IF; END $segue$;\n"

/* DISABLE TRIGGER ALL followed by ENABLE TRIGGER ALL (pg_restore --disable-triggers does so) leaves
 * its trace: the guard is not ENABLE ALWAYS any more. */
static enum rc check_guards(struct eng_engine *engine, struct eng_migration *m, struct err *err)
{
    for (size_t i = 0; i < m->plan->ntables; i++) {
        PGresult *res;

        if (!is_filled(m, (int)i))
            continue;
        res = conn_query(&engine->work, err,
                         "SELECT c.oid::regclass, g.oid IS NULL FROM " RELATIONS_ROOT RELATIONS_TREE
                         " AS t JOIN pg_class c ON c.oid "
                         "= t.relid LEFT JOIN pg_trigger g ON g.tgrelid = c.oid AND g.tgname = "
                         "'~segue_guard' WHERE g.tgenabled IS DISTINCT FROM 'A' LIMIT 1",
                         m->plan->tables[i].oid);
        if (!res)
            return RC_ERR;
        if (PQntuples(res) && res_bool(res, 0, 1)) {
            err_set(err, "55000", "the guard of %s is not there any more", res_text(res, 0, 0));
            err_hint(err, "segue doctor gives the statements that make it again; then verify: rows "
                          "written meanwhile may not be in step");
        } else if (PQntuples(res)) {
            err_set(err, "55000", "the guard of %s is not, or was not always, on",
                    res_text(res, 0, 0));
            err_hint(err,
                     "ALTER TABLE %s ENABLE ALWAYS TRIGGER \"~segue_guard\", then verify: rows "
                     "written meanwhile may not be in step",
                     res_text(res, 0, 0));
        }
        PQclear(res);
        if (err_is_set(err))
            return RC_ERR;
    }
    return RC_OK;
}

/* With commas: of the tables that are filled, all (-1) or that one. */
static struct buf filled_oids(const struct eng_migration *m, int table)
{
    struct buf oids = {0};

    for (size_t i = 0; i < m->plan->ntables; i++)
        if (is_filled(m, (int)i) && (table < 0 || table == (int)i))
            buf_printf(&oids, "%s%u", oids.len ? ", " : "", m->plan->tables[i].oid);
    return oids;
}

/* Triggers of the tables %s, and of their partitions, that run behind the guard. */
#define LATE                                                                                       \
    "FROM unnest(ARRAY[%s]::oid[]) AS root (oid), " RELATIONS_TREE " AS t JOIN pg_trigger o ON "   \
    "o.tgrelid = t.relid WHERE NOT o.tgisinternal AND o.tgenabled <> 'D' AND o.tgtype & 3 = 3 AND" \
    " o.tgtype & 20 <> 0 AND o.tgname COLLATE \"C\" > '~segue_guard'"

/* Plan refuses a trigger that may undo the guard's work; one may come since. What was written then
 * is as if the guard had been away. */
static enum rc check_last(struct eng_engine *engine, const struct eng_migration *m, struct err *err)
{
    struct buf oids = filled_oids(m, -1);
    PGresult *res = NULL;

    if (oids.len)
        res = conn_query(&engine->work, err,
                         "SELECT t.relid::regclass, quote_ident(o.tgname) " LATE
                         " ORDER BY t.relid LIMIT 1",
                         oids.data);
    if (res && PQntuples(res) &&
        conn_exec(&engine->work, err,
                  "UPDATE segue.progress SET guard = NULL WHERE migration = %" PRId64
                  " AND relation IN (SELECT t.relid " LATE ")",
                  m->id, oids.data) == RC_OK) {
        err_set(err, "55000",
                "trigger %s of %s runs after the guard, and may bring rows out of step",
                res_text(res, 0, 1), res_text(res, 0, 0));
        err_hint(err,
                 "ALTER TRIGGER %s ON %s RENAME TO a name that comes before ~segue_guard in byte "
                 "order, then verify",
                 res_text(res, 0, 1), res_text(res, 0, 0));
    }
    PQclear(res);
    buf_fini(&oids);
    return err_is_set(err) ? RC_ERR : RC_OK;
}

/* Partitions that are not RELATIONS_SEEN: 55P03, since the next attempt looks at their rows. */
#define UNSEEN                                                                                     \
    "SELECT c.oid::regclass INTO r FROM unnest(ARRAY[%s]::oid[]) AS root (oid), " RELATIONS_TREE   \
    " AS t JOIN pg_class c ON c.oid = "                                                            \
    "t.relid WHERE c.relkind = 'r' AND NOT " RELATIONS_SEEN                                        \
    " LIMIT 1; IF r IS NOT NULL THEN RAISE lock_not_available USING MESSAGE = format('%%s was "    \
    "attached, "                                                                                   \
    "or got another guard, in this moment', r); END IF; "

char *eng_heirs_sql(const struct eng_migration *m, int table)
{
    struct buf oids = filled_oids(m, table);
    char *sql = oids.len ? mem_printf(HEIRS, oids.data) : mem_strdup("");

    buf_fini(&oids);
    return sql;
}

enum rc eng_heirs_check(struct eng_engine *engine, const struct eng_migration *m, struct err *err)
{
    char *sql = eng_heirs_sql(m, -1);
    enum rc rc = sql[0] ? conn_exec(&engine->work, err, "%s", sql) : RC_OK;

    free(sql);
    return rc;
}

char *eng_guards_sql(const struct eng_migration *m, int table)
{
    struct buf oids = filled_oids(m, table);
    char *sql, *heirs;

    if (!oids.len)
        return mem_strdup("");
    heirs = eng_heirs_sql(m, table);
    sql = mem_printf(
        "DO $segue$ DECLARE r regclass; BEGIN SELECT c.oid::regclass INTO r FROM "
        "unnest(ARRAY[%s]::oid[]) AS root (oid), " RELATIONS_TREE
        " AS t JOIN pg_class c ON c.oid = t.relid LEFT JOIN "
        "pg_trigger g ON g.tgrelid = c.oid AND g.tgname = '~segue_guard' WHERE g.tgenabled IS "
        "DISTINCT FROM 'A' LIMIT 1; IF r IS NOT NULL THEN RAISE EXCEPTION USING ERRCODE = '55000', "
        "MESSAGE = format('the guard of %%s is not, or was not always, on', r), HINT = format('"
        "ALTER TABLE %%s ENABLE ALWAYS TRIGGER \"~segue_guard\", then verify: rows written "
        "meanwhile may not be in step', r); END IF; " UNSEEN "END $segue$;\n%s",
        oids.data, oids.data, m->id, heirs);
    free(heirs);
    buf_fini(&oids);
    return sql;
}

enum rc eng_tables_check(struct eng_engine *engine, struct eng_migration *m, unsigned refused,
                         struct err *err)
{
    bool turned = m->phase == PH_SOAKING || m->phase == PH_REVERTING;

    for (size_t i = 0; i < m->plan->ntables; i++) {
        const struct eng_table *table = &m->plan->tables[i];
        enum relations_table state;

        if (relations_look(&engine->work, m->id, table, turned, &state, err) != RC_OK)
            return RC_ERR;
        if (!(TABLE_BIT(state) & refused))
            continue;
        relations_refuse(table, state, err);
        return RC_ERR;
    }
    return RC_OK;
}

/* ---- the verdict of verify ---- */

static bool calls_others(const char *expr)
{
    struct sql_expr_info info;
    bool found = false;

    if (!expr || sql_expr_parse(expr, &info, NULL) != RC_OK)
        return false;
    for (size_t i = 0; i < info.nfunctions; i++)
        found |= strncmp(info.functions[i], "segue.", 6) != 0;
    sql_expr_info_fini(&info);
    return found;
}

static void append_suspect(struct buf *out, const char *field, const char *column, const char *expr)
{
    if (!calls_others(expr))
        return;
    buf_printf(out, "%s%s of \"%s\": %s",
               out->len ? "; "
                        : " (or one of these, whatever it is declared, does not give the"
                          " same each time: ",
               field, column, expr);
}

/* A new column under a name of segue's own gets that of the old one. */
static const char *called(const struct eng_dual *dual)
{
    if (dual->old_name && dual->new_name && !strncmp(dual->new_name, "~segue_", 7))
        return dual->old_name;
    return dual->new_name ? dual->new_name : "";
}

void eng_verdict_hint(const struct eng_migration *m, const char *hint, struct err *err)
{
    struct buf suspects = {0};

    for (size_t t = 0; t < m->plan->ntables; t++)
        for (size_t i = 0; i < m->plan->tables[t].nduals; i++) {
            const struct eng_dual *dual = &m->plan->tables[t].duals[i];

            if (dual->plain || dual->counts)
                continue;
            append_suspect(&suspects, "up", called(dual), dual->up);
            append_suspect(&suspects, "down", dual->old_name ? dual->old_name : "", dual->down);
        }
    err_hint(err, "%s%s%s", hint, suspects.len ? suspects.data : "", suspects.len ? ")" : "");
    buf_fini(&suspects);
}

static enum rc check_verdict(const struct eng_migration *m, struct err *err)
{
    if (m->stats.rows_bad <= 0)
        return RC_OK;
    err_set(err, "55000", "the last verify found %lld rows not in step",
            (long long)m->stats.rows_bad);
    eng_verdict_hint(m, "see segue.verifications; correct them and run verify again", err);
    return RC_ERR;
}

/* Rows of values: (table, oid, guard). They are in step, and this guard was on them before that was
 * looked at. */
static enum rc note_seen(struct eng_engine *engine, const struct eng_migration *m,
                         const char *values, struct err *err)
{
    return conn_exec(&engine->work, err,
                     "INSERT INTO segue.progress (migration, table_no, relation, relname, "
                     "relfilenode, next_block, end_block, guard) SELECT %" PRId64
                     ", s.table_no, c.oid, c.oid::regclass::text, pg_relation_filenode(c.oid), 0, "
                     "0, s.guard FROM (VALUES %s) AS s (table_no, relation, guard) JOIN pg_class c "
                     "ON c.oid = s.relation ON CONFLICT (migration, relation, from_block) DO "
                     "UPDATE SET guard = excluded.guard",
                     m->id, values);
}

static void append_seen(struct buf *values, int table, uint32_t oid, const char *guard)
{
    buf_printf(values, "%s(%d, %u::oid, '%s')", values->len ? ", " : "", table, oid, guard);
}

enum rc eng_guards_seen(struct eng_engine *engine, const struct eng_migration *m,
                        const struct eng_relations *relations, struct err *err)
{
    struct buf values = {0};
    enum rc rc = RC_OK;

    for (size_t i = 0; i < relations->n; i++) {
        const struct eng_relation *relation = &relations->items[i];

        if (relation->guard && is_filled(m, relation->table))
            append_seen(&values, relation->table, relation->oid, relation->guard);
    }
    if (values.len)
        rc = note_seen(engine, m, values.data, err);
    buf_fini(&values);
    return rc;
}

char *eng_guards_turned_sql(const struct eng_migration *m)
{
    return mem_printf("UPDATE segue.progress AS p SET guard = " RELATIONS_GUARD
                      " FROM pg_class c WHERE c.oid = p.relation AND p.migration = %" PRId64
                      " AND p.guard IS NOT NULL",
                      m->id);
}

static enum rc check_relation(struct eng_engine *engine, const struct eng_migration *m,
                              const struct eng_table *table, enum eng_direction dir,
                              const char *name, bool back, struct err *err)
{
    char *in_step = eng_table_in_step(table, dir, "");
    char *names = conn_names_sql(&engine->work, m->plan);
    char *settings = eng_table_settings_sql(table);
    PGresult *res =
        conn_query(&engine->work, err, "%s%sSELECT EXISTS (SELECT 1 FROM ONLY %s WHERE NOT (%s))",
                   settings, names, name, in_step);

    free(settings);
    free(names);
    free(in_step);
    if (!res)
        return RC_ERR;
    if (res_bool(res, 0, 0)) {
        err_set(err, "55000",
                back ? "the guard was away from %s for a time, and rows there are not in step"
                     : "partition %s came after the backfill, with rows not in step",
                name);
        err_hint(err, dir == ENG_FORWARD
                          ? "the old columns are the truth: UPDATE the new columns to what is "
                            "made of them; where those are NULL, any column to itself"
                          : "since the cut-over the new columns are the truth: UPDATE them to what "
                            "they are to be; where only the old ones are missing, any column to "
                            "itself");
    }
    PQclear(res);
    return err_is_set(err) ? RC_ERR : RC_OK;
}

/* Its rows are a verify's to look at, where one may begin, if need be after this turn. */
static enum rc leave_to_verify(const struct eng_migration *m, const char *name, struct err *err)
{
    err_set(err, "55000",
            "the guard was away from %s for a time, or was made anew, and no verify has begun "
            "since",
            name);
    err_hint(err,
             "verify first (`segue verify %s`): rows written meanwhile may not be in step, and it "
             "is too large to be looked at here",
             m->name);
    return RC_ERR;
}

static enum rc check_relations(struct eng_engine *engine, struct eng_migration *m, int table,
                               enum eng_direction dir, struct err *err)
{
    struct eng_table turned;
    enum rc rc = RC_OK;
    PGresult *res = conn_query(
        &engine->work, err,
        "SELECT format('%%I.%%I', n.nspname, c.relname), c.oid, " RELATIONS_GUARD
        ", EXISTS (SELECT FROM segue.progress p WHERE p.migration = %" PRId64
        " AND p.relation = c.oid), pg_relation_size(c.oid) > %d FROM " RELATIONS_ROOT RELATIONS_TREE
        " AS t JOIN pg_class c ON c.oid = "
        "t.relid JOIN pg_namespace n ON n.oid = c.relnamespace "
        "WHERE c.relkind = 'r' AND " RELATIONS_GUARD " IS NOT NULL AND NOT " RELATIONS_SEEN,
        m->id, READ_AT_ONCE, m->plan->tables[table].oid, m->id);

    if (!res)
        return RC_ERR;
    eng_turned_init(&turned, &m->plan->tables[table], dir == ENG_REVERSE);
    for (int r = 0; rc == RC_OK && r < PQntuples(res); r++) {
        bool back = res_bool(res, r, 3), large = res_bool(res, r, 4);
        const char *name = res_text(res, r, 0);
        struct buf seen = {0};

        rc = back && large && m->phase != PH_CONTRACTING
                 ? leave_to_verify(m, name, err)
                 : check_relation(engine, m, &turned, dir, name, back, err);
        if (rc == RC_ERR && conn_no_relation(err)) { /* dropped since; if not, it stays unseen */
            err_clear(err);
            rc = RC_OK;
        } else if (rc == RC_OK) {
            append_seen(&seen, table, (uint32_t)res_int(res, r, 1), res_text(res, r, 2));
            rc = note_seen(engine, m, seen.data, err);
            buf_fini(&seen);
        }
    }
    eng_turned_fini(&turned);
    PQclear(res);
    return rc;
}

/* Partitions that the backfill has not seen: made since (then the guard was there from the first
 * row on) or attached. And relations from which the guard was away: detached and attached again, or
 * the trigger was off, or dropped, and put back, and no verify has begun since. One that is gone is
 * check_guards', or contract's. */
enum rc eng_attached_check(struct eng_engine *engine, struct eng_migration *m, struct err *err)
{
    bool reverse = m->phase == PH_SOAKING || m->phase == PH_REVERTING || m->phase == PH_CONTRACTING;
    enum rc rc = RC_OK;

    for (size_t i = 0; rc == RC_OK && i < m->plan->ntables; i++)
        if (is_filled(m, (int)i))
            rc = check_relations(engine, m, (int)i, reverse ? ENG_REVERSE : ENG_FORWARD, err);
    return rc;
}

/* One that is empty has no row that the guard has not seen, and none will come: then nobody need
 * read it before a turn. What is locked is looked at the next time. */
static void note_empty(struct eng_engine *engine, const struct eng_migration *m, int table)
{
    struct err ignored = {0};

    if (conn_exec(
            &engine->work, &ignored,
            "SET LOCAL lock_timeout = %d; INSERT INTO segue.progress (migration, table_no, "
            "relation, relname, relfilenode, end_block, guard) SELECT %" PRId64
            ", %d, oid, oid::regclass::text, file, 0, guard FROM (SELECT c.oid, "
            "pg_relation_filenode(c.oid) AS file, " RELATIONS_GUARD
            " AS guard FROM " RELATIONS_ROOT RELATIONS_TREE
            " AS t JOIN pg_class c ON c.oid = t.relid WHERE c.relkind = 'r' AND NOT EXISTS (SELECT "
            "FROM segue.progress p WHERE p.migration = %" PRId64
            " AND p.relation = c.oid) OFFSET 0) AS made WHERE guard IS NOT NULL AND "
            "pg_relation_size(oid) = 0",
            EMPTY_LOCK_MS, m->id, table, m->plan->tables[table].oid, m->id) != RC_OK)
        log_err(LOG_DEBUG, "partitions that have come", &ignored);
}

void eng_parts_watch(struct eng_engine *engine, const struct eng_migration *m)
{
    for (size_t i = 0; i < m->plan->ntables; i++)
        if (m->plan->tables[i].relkind == 'p' && is_filled(m, (int)i) &&
            (m->phase == PH_READY || m->phase == PH_SOAKING))
            note_empty(engine, m, (int)i);
}

enum rc eng_rows_check(struct eng_engine *engine, struct eng_migration *m, struct err *err)
{
    if (check_verdict(m, err) != RC_OK || check_guards(engine, m, err) != RC_OK ||
        check_last(engine, m, err) != RC_OK || eng_heirs_check(engine, m, err) != RC_OK)
        return RC_ERR;
    if (foreign_parts_check(engine, m, err) != RC_OK)
        return RC_ERR;
    return eng_attached_check(engine, m, err);
}
