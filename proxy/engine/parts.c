#include "parts.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "begun.h"
#include "segue/base/log.h"
#include "segue/base/mem.h"
#include "segue/sql/expr.h"
#include "steps.h"
#include "store.h"

#define AT_ONCE "16" /* pieces that one transaction attaches */
#define WAIT_MS 1000

/* it would cut the statements into words */
/* clang-format off */
/* Of the index $1.$2: `root`, and `whole`, its parts (rel: of which relation). */
#define WHOLE                                                                                      \
    "WITH RECURSIVE root AS (SELECT i.* FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid"   \
    " JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = $1 AND c.relname = $2),"     \
    " whole (rel, idx) AS (SELECT indrelid, indexrelid FROM root UNION ALL"                        \
    " SELECT i.indrelid, i.indexrelid FROM whole w JOIN pg_inherits h ON h.inhparent = w.idx"      \
    " JOIN pg_index i ON i.indexrelid = h.inhrelid)"
/* Of an index, what stands behind its table: the same text is the same index. */
#define DEFINED(index)                                                                             \
    "substr(pg_get_indexdef(" index "), strpos(pg_get_indexdef(" index "), ' USING '))"
#define NAMED(index)                                                                               \
    "(SELECT format('%I.%I', nn.nspname, nc.relname) FROM pg_class nc JOIN pg_namespace nn"        \
    " ON nn.oid = nc.relnamespace WHERE nc.oid = " index ")"
/* While segue builds it: of relation `rel`, by step `no` of migration $3. */
#define TEMP(rel, no) "format('~segue_%s_%s_%s', " rel ", $3::bigint, " no ")"
#define BUILDING(index)                                                                            \
    "EXISTS (SELECT FROM pg_stat_progress_create_index p WHERE p.index_relid = " index ")"

/* A partition that has no part of the index, and what is to be done about it; in this order. */
enum act { ACT_BRANCH, ACT_NAME, ACT_WAIT, ACT_DROP, ACT_FOUND, ACT_BUILD, ACT_ATTACH, ACT_COUNT };

enum { COL_ACT, COL_PARTITION, COL_SCHEMA, COL_RELNAME, COL_WHOLE, COL_INDEX, COL_BARE,
       COL_OID, COL_TEMP };

/* $3: migration, $4: step, $5: is an index of the user's taken? It must be no more than an index,
 * since it goes with the whole. */
static const char pieces_sql[] =
    WHOLE
    ", bare AS (SELECT k.oid AS rel, k.relkind, k.relname, n.nspname, w.idx AS whole"
    "  FROM root r CROSS JOIN LATERAL pg_partition_tree(r.indrelid::regclass) p"
    "  JOIN whole w ON w.rel = p.parentrelid JOIN pg_class k ON k.oid = p.relid"
    "  JOIN pg_namespace n ON n.oid = k.relnamespace WHERE k.relkind IN ('r', 'p')"
    "  AND NOT EXISTS (SELECT FROM whole x WHERE x.rel = k.oid))"
    " SELECT v.act, format('%I.%I', b.nspname, b.relname), b.nspname, b.relname, " NAMED("b.whole")
    ", " NAMED("v.idx") ", (SELECT relname FROM pg_class WHERE oid = v.idx), v.idx, "
    TEMP("b.rel", "$4::int")
    " FROM bare b"
    " LEFT JOIN LATERAL (SELECT i.indexrelid AS idx, i.indisvalid AS valid,"
    "  " BUILDING("i.indexrelid") " AS building FROM pg_index i JOIN pg_class c ON"
    "  c.oid = i.indexrelid WHERE i.indrelid = b.rel AND c.relname = " TEMP("b.rel", "$4::int")
    " ) mine ON true"
    " LEFT JOIN LATERAL (SELECT i.indexrelid AS idx FROM segue.pieces p JOIN pg_index i ON"
    "  i.indexrelid = p.index JOIN pg_class c ON c.oid = i.indexrelid WHERE p.migration ="
    "  $3::bigint AND p.no = $4::int AND i.indrelid = b.rel AND i.indisvalid AND NOT"
    "  c.relispartition ORDER BY 1 LIMIT 1) noted ON true"
    " LEFT JOIN LATERAL (SELECT i.indexrelid AS idx FROM root r, pg_index i JOIN pg_class c ON"
    "  c.oid = i.indexrelid WHERE i.indrelid = b.rel AND i.indisvalid AND i.indislive AND NOT"
    "  c.relispartition AND c.reltablespace = 0 AND c.relname NOT LIKE '~segue\\_%'"
    "  AND NOT (i.indisclustered OR i.indisreplident) AND i.indisunique = r.indisunique"
    "  AND " DEFINED("i.indexrelid") " = " DEFINED("r.indexrelid")
    "  AND NOT EXISTS (SELECT FROM pg_constraint k WHERE k.conindid = i.indexrelid)"
    "  AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.refclassid = 'pg_class'::regclass AND"
    "  d.refobjid = i.indexrelid) ORDER BY 1 LIMIT 1) found ON $5::bool"
    " CROSS JOIN LATERAL (SELECT CASE WHEN b.relkind = 'p' THEN 0 WHEN noted.idx IS NOT NULL"
    "  THEN 6 WHEN mine.valid THEN 1 WHEN mine.building THEN 2 WHEN mine.idx IS NOT NULL THEN 3"
    "  WHEN found.idx IS NOT NULL THEN 4 ELSE 5 END AS act,"
    "  coalesce(noted.idx, mine.idx, found.idx) AS idx) v"
    " ORDER BY v.act, b.rel LIMIT " AT_ONCE;

/* What step $4 of migration $3 has built and is part of nothing: its partition has gone. */
static const char leftover_sql[] =
    "SELECT " NAMED("c.oid") " FROM pg_class c JOIN pg_index i ON i.indexrelid = c.oid"
    " WHERE $1::text IS NOT NULL AND $2::text IS NOT NULL AND NOT c.relispartition"
    " AND (c.relname = " TEMP("i.indrelid", "$4::int") " OR EXISTS (SELECT FROM segue.pieces p"
    "  WHERE p.migration = $3::bigint AND p.no = $4::int AND p.index = c.oid AND p.made))"
    " AND NOT EXISTS (SELECT FROM pg_constraint k WHERE k.conindid = c.oid)"
    " ORDER BY c.oid LIMIT 1";

/* Indexes of the user's that go with the whole, and the spare of each that step $5 builds; those
 * that wait for one first. */
enum { SPARE_ACT, SPARE_PARTITION, SPARE_NAME, SPARE_COMMENT, SPARE_INDEX, SPARE_TEMP,
       SPARE_CLUSTERED, SPARE_IDENTITY };
static const char spares_sql[] =
    WHOLE " SELECT CASE WHEN s.valid THEN 6 WHEN s.building THEN 2 WHEN s.idx IS NOT NULL THEN 3"
          " ELSE 5 END, " NAMED("w.rel") ", c.relname, obj_description(c.oid, 'pg_class'),"
    " " NAMED("s.idx") ", " TEMP("w.rel", "$5::int") ", o.indisclustered, o.indisreplident"
    " FROM segue.pieces p JOIN whole w ON w.idx = p.index JOIN pg_class c ON c.oid = w.idx"
    " JOIN pg_index o ON o.indexrelid = w.idx"
    " LEFT JOIN LATERAL (SELECT i.indexrelid AS idx, i.indisvalid AS valid,"
    "  " BUILDING("i.indexrelid") " AS building FROM pg_index i JOIN pg_class x ON"
    "  x.oid = i.indexrelid WHERE i.indrelid = w.rel AND x.relname = " TEMP("w.rel", "$5::int")
    " ) s ON true WHERE p.migration = $3::bigint AND p.no = $4::int AND NOT p.made"
    " ORDER BY 1, w.rel";
/* clang-format on */
_Static_assert((int)SPARE_PARTITION == (int)COL_PARTITION, "of either the partition is asked for");

struct piece {
    struct eng_engine *engine;
    struct eng_migration *m;
    size_t i;
    const struct eng_step *step;
    const PGresult *rows; /* of pieces_sql; the first one is what is done. Or of spares_sql */
};

/* Of the step that builds: its index, the migration, its number, and `fifth`. */
static PGresult *ask(const struct piece *p, const struct eng_step *of, const char *sql,
                     const char *fifth, struct err *err)
{
    char id[24], no[16];
    const char *values[] = {of->index_schema, of->index_name, id, no, fifth};

    snprintf(id, sizeof(id), "%" PRId64, p->m->id);
    snprintf(no, sizeof(no), "%d", of->no);
    return conn_params(&p->engine->work, err, sql, fifth ? 5 : 4, values);
}

static enum rc goes_on(struct piece *p, enum rc rc)
{
    if (rc != RC_OK)
        return rc;
    p->m->retries = 0;
    p->m->not_before_us = 0;
    return RC_AGAIN;
}

/* ---- names ---- */

static bool is_constraint(const struct eng_step *step)
{
    return step->nsql > ENG_PARTS_OWN;
}

static const char *label(const struct eng_step *step)
{
    if (!is_constraint(step))
        return "idx";
    return strstr(step->sql[ENG_PARTS_OWN], "PRIMARY KEY") ? "pkey" : "key";
}

/* What the column is called when all is over. */
static const char *shown(const struct piece *p, const char *column)
{
    const struct eng_table *table = p->step->table < 0 ? NULL : &p->m->plan->tables[p->step->table];

    for (size_t d = 0; table && d < table->nduals; d++)
        if (table->duals[d].retypes && strcmp(table->duals[d].new_name, column) == 0)
            return table->duals[d].old_name;
    return column;
}

static enum rc is_taken(const struct piece *p, const char *schema, const char *name, bool *taken,
                        struct err *err)
{
    static const char sql[] =
        "SELECT 1 FROM pg_namespace n WHERE n.nspname = $1 AND (EXISTS (SELECT FROM pg_class c"
        " WHERE c.relnamespace = n.oid AND c.relname = $2) OR $3::bool AND EXISTS (SELECT FROM"
        " pg_constraint k WHERE k.connamespace = n.oid AND k.conname = $2))";
    const char *values[] = {schema, name, is_constraint(p->step) ? "t" : "f"};
    PGresult *res = conn_params(&p->engine->work, err, sql, (int)ARRAY_LEN(values), values);

    *taken = res && PQntuples(res) > 0;
    PQclear(res);
    return res ? RC_OK : RC_ERR;
}

/* As PostgreSQL calls the index of a partition; quoted, heap. */
static enum rc choose(const struct piece *p, char **name, struct err *err)
{
    static const char sql[] = WHOLE " SELECT a.attname FROM root r JOIN pg_attribute a ON"
                                    " a.attrelid = r.indexrelid ORDER BY a.attnum";
    const char *values[] = {p->step->index_schema, p->step->index_name};
    PGresult *res = conn_params(&p->engine->work, err, sql, (int)ARRAY_LEN(values), values);
    const char *columns[32]; /* INDEX_MAX_KEYS */
    bool keyless = strcmp(label(p->step), "pkey") == 0, taken = true;
    enum rc rc = res ? RC_OK : RC_ERR;
    size_t n = 0;

    for (int r = 0; res && !keyless && r < PQntuples(res) && n < ARRAY_LEN(columns); r++)
        columns[n++] = shown(p, PQgetvalue(res, r, 0));
    *name = NULL;
    for (unsigned pass = 0; rc == RC_OK && taken; pass++) {
        free(*name);
        *name = parts_name(PQgetvalue(p->rows, 0, COL_RELNAME), columns, n, label(p->step), pass);
        rc = is_taken(p, PQgetvalue(p->rows, 0, COL_SCHEMA), *name, &taken, err);
    }
    PQclear(res);
    if (rc == RC_OK) {
        char *bare = *name;

        *name = sql_quote_ident(bare);
        free(bare);
    } else {
        free(*name);
        *name = NULL;
    }
    return rc;
}

/* ---- what is done about a partition ---- */

static enum rc gated(const struct piece *p, const char *sql, struct err *err)
{
    return eng_step_gated(p->engine, p->m, p->i, "", sql, err);
}

/* Of the table's partitions that were looked at one has been dropped, or detached, since. */
static bool has_left(const struct piece *p)
{
    bool all = true;

    for (int r = 0; all && r < PQntuples(p->rows); r++) {
        const char *values[] = {PQgetvalue(p->rows, r, COL_PARTITION)};
        struct err ignored = {0};
        PGresult *res = conn_params(
            &p->engine->work, &ignored,
            "SELECT EXISTS (SELECT FROM pg_inherits WHERE inhrelid = to_regclass($1) AND NOT "
            "inhdetachpending)",
            (int)ARRAY_LEN(values), values);

        all = !res || res_bool(res, 0, 0);
        PQclear(res);
    }
    return !all;
}

/* Of what was done to the pieces: the gate may have waited for just who took one away. */
static enum rc unless_left(const struct piece *p, enum rc rc, struct err *err)
{
    if (rc != RC_ERR || conn_retryable(err) || !has_left(p))
        return rc;
    log_info("%s: %.*s: a partition has gone; on with the others", p->m->step, err_plain(err),
             err->text);
    err_clear(err);
    return RC_AGAIN;
}

/* The statements are of the file: names mean what they mean to its author. */
static char *by_names(const struct piece *p, const char *sql, const char *then)
{
    char *names = conn_names_sql(&p->engine->work, p->m->plan);
    char *out = mem_printf("%s%s;\n" CONN_OWN_NAMES "%s", names, sql, then);

    free(names);
    return out;
}

static char *note_sql(const struct piece *p, bool made)
{
    return mem_printf("INSERT INTO segue.pieces (migration, no, index, made) VALUES (%" PRId64
                      ", %d, %s, %s) ON CONFLICT DO NOTHING",
                      p->m->id, p->step->no, PQgetvalue(p->rows, 0, COL_OID),
                      made ? "true" : "false");
}

static enum rc act_branch(struct piece *p, struct err *err)
{
    const char *partition = PQgetvalue(p->rows, 0, COL_PARTITION);
    char *schema, *name, *index, *make, *attach, *sql;
    enum rc rc;

    if (choose(p, &name, err) != RC_OK)
        return RC_ERR;
    schema = sql_quote_ident(PQgetvalue(p->rows, 0, COL_SCHEMA));
    index = mem_printf("%s.%s", schema, name);
    make = parts_fill(p->step->sql[ENG_PARTS_BRANCH], NULL, name, partition);
    attach = parts_fill(p->step->sql[ENG_PARTS_ATTACH], PQgetvalue(p->rows, 0, COL_WHOLE), index,
                        partition);
    sql = by_names(p, make, attach);
    rc = unless_left(p, gated(p, sql, err), err);
    free(sql);
    free(attach);
    free(make);
    free(index);
    free(schema);
    free(name);
    return goes_on(p, rc);
}

static enum rc act_name(struct piece *p, struct err *err)
{
    char *name, *note, *sql;
    enum rc rc;

    if (choose(p, &name, err) != RC_OK)
        return RC_ERR;
    note = note_sql(p, true);
    sql = mem_printf("ALTER INDEX %s RENAME TO %s; %s", PQgetvalue(p->rows, 0, COL_INDEX), name,
                     note);
    rc = eng_step_write(p->engine, p->m, sql, err);
    if (rc != RC_OK && strcmp(err->sqlstate, "42P07") == 0) { /* taken since: the next one */
        err_clear(err);
        rc = RC_OK;
    }
    free(sql);
    free(note);
    free(name);
    return goes_on(p, unless_left(p, rc, err));
}

static enum rc act_wait(struct piece *p, struct err *err)
{
    (void)err;
    eng_sleep(p->m, WAIT_MS); /* a backend of an engine that died is still at it */
    return RC_AGAIN;
}

static enum rc act_drop(struct piece *p, struct err *err)
{
    return eng_step_drop(p->engine, p->m, p->i, PQgetvalue(p->rows, 0, COL_INDEX), err);
}

static enum rc act_found(struct piece *p, struct err *err)
{
    char *sql = note_sql(p, false);
    enum rc rc = eng_step_write(p->engine, p->m, sql, err);

    if (rc == RC_OK)
        log_info("%s: index %s is there already, and becomes a part of it", p->m->step,
                 PQgetvalue(p->rows, 0, COL_INDEX));
    free(sql);
    return goes_on(p, rc);
}

/* `of`: the step that says how; under the name that step `no` builds it by. */
static enum rc build(struct piece *p, const struct eng_step *of, const char *temp,
                     const char *partition, struct err *err)
{
    char *name = sql_quote_ident(temp);
    char *sql = parts_fill(of->sql[ENG_PARTS_LEAF], NULL, name, partition);
    enum rc rc;

    rc = eng_step_send_on(p->engine, p->m, p->i, partition, temp, sql, err);
    free(sql);
    free(name);
    return rc;
}

static enum rc act_build(struct piece *p, struct err *err)
{
    return build(p, p->step, PQgetvalue(p->rows, 0, COL_TEMP),
                 PQgetvalue(p->rows, 0, COL_PARTITION), err);
}

/* What is attached goes and comes with its partition from now on: only one of the user's stays
 * noted, since the way back gives it again. */
static void attach_put(const struct piece *p, int r, struct buf *sql)
{
    const char *partition = PQgetvalue(p->rows, r, COL_PARTITION);
    char *bare = sql_quote_ident(PQgetvalue(p->rows, r, COL_BARE));
    char *attach = parts_fill(p->step->sql[ENG_PARTS_ATTACH], PQgetvalue(p->rows, r, COL_WHOLE),
                              PQgetvalue(p->rows, r, COL_INDEX), partition);

    if (is_constraint(p->step)) {
        char *own = parts_fill(p->step->sql[ENG_PARTS_OWN], NULL, bare, partition);

        buf_printf(sql, "%s;\n", own);
        free(own);
    }
    buf_printf(sql,
               "%s;\nDELETE FROM segue.pieces WHERE migration = %" PRId64
               " AND no = %d AND index = %s AND made;\n",
               attach, p->m->id, p->step->no, PQgetvalue(p->rows, r, COL_OID));
    free(attach);
    free(bare);
}

static enum rc act_attach(struct piece *p, struct err *err)
{
    struct buf sql = {0};
    enum rc rc;

    for (int r = 0; r < PQntuples(p->rows); r++)
        attach_put(p, r, &sql);
    rc = unless_left(p, gated(p, sql.data, err), err);
    buf_fini(&sql);
    return goes_on(p, rc);
}

static enum rc (*const acts[])(struct piece *p, struct err *err) = {
    [ACT_BRANCH] = act_branch, [ACT_NAME] = act_name,   [ACT_WAIT] = act_wait,
    [ACT_DROP] = act_drop,     [ACT_FOUND] = act_found, [ACT_BUILD] = act_build,
    [ACT_ATTACH] = act_attach,
};
_Static_assert(ARRAY_LEN(acts) == ACT_COUNT, "an act without a function");

/* ---- building ---- */

static enum rc make_whole(struct piece *p, struct err *err)
{
    char *note = mem_printf("INSERT INTO segue.begun (migration, no) VALUES (%" PRId64
                            ", %d) ON CONFLICT DO NOTHING",
                            p->m->id, p->step->no);
    char *sql = by_names(p, p->step->sql[ENG_PARTS_WHOLE], note);
    enum rc rc = gated(p, sql, err);

    if (rc == RC_ERR && strcmp(err->sqlstate, "42P07") == 0) { /* since it was looked for */
        err_clear(err);
        begun_foreign(p->step, err);
    }
    free(sql);
    free(note);
    return goes_on(p, rc);
}

/* *dropped: one is being dropped, and the next turn looks again. */
static enum rc drop_leftover(struct piece *p, const struct eng_step *of, bool *dropped,
                             struct err *err)
{
    PGresult *res = ask(p, of, leftover_sql, NULL, err);
    enum rc rc = res ? RC_OK : RC_ERR;

    *dropped = res && PQntuples(res) > 0;
    if (*dropped)
        rc = eng_step_drop(p->engine, p->m, p->i, PQgetvalue(res, 0, 0), err);
    PQclear(res);
    return rc;
}

static enum rc finish(struct piece *p, struct err *err)
{
    bool dropped;
    enum rc rc = drop_leftover(p, p->step, &dropped, err);

    return dropped || rc != RC_OK ? rc : eng_step_mark(p->engine, p->m, p->i, err);
}

/* All of its partitions that can have one have it, and the server does not call it valid. */
static enum rc no_piece(const struct piece *p, struct err *err)
{
    err_set(err, "55000", "index %s.%s stays invalid: not every partition can have its part",
            p->step->index_schema, p->step->index_name);
    err_hint(err, "detach partitions that are foreign tables, then resume; or roll back");
    return RC_ERR;
}

static enum rc next_piece(struct piece *p, struct err *err)
{
    PGresult *res = ask(p, p->step, pieces_sql, is_constraint(p->step) ? "f" : "t", err);
    enum rc rc;

    if (!res)
        return RC_ERR;
    p->rows = res;
    rc = PQntuples(res) ? acts[res_int(res, 0, COL_ACT)](p, err) : no_piece(p, err);
    PQclear(res);
    return rc;
}

static enum rc build_turn(struct piece *p, struct err *err)
{
    enum begun_index state;

    if (begun_look(p->engine, p->m, p->i, &state, err) != RC_OK)
        return RC_ERR;
    if (state == INDEX_FOREIGN) {
        begun_foreign(p->step, err);
        return RC_ERR;
    }
    if (state == INDEX_ABSENT)
        return make_whole(p, err);
    return state == INDEX_VALID ? finish(p, err) : next_piece(p, err);
}

/* ---- the way back ---- */

/* The spares take the names of what goes with the whole. */
static char *take_back_sql(const struct piece *p, const struct eng_step *of, const PGresult *spares)
{
    char *mark = store_mark_sql(p->m, p->i);
    struct buf sql = {0};

    buf_printf(&sql, "%s;\n", p->step->sql[0]);
    for (int r = 0; r < PQntuples(spares); r++) {
        char *name = sql_quote_ident(PQgetvalue(spares, r, SPARE_NAME));

        if (!PQgetisnull(spares, r, SPARE_COMMENT)) {
            char *comment = sql_quote_literal(PQgetvalue(spares, r, SPARE_COMMENT));

            buf_printf(&sql, "COMMENT ON INDEX %s IS %s;\n", PQgetvalue(spares, r, SPARE_INDEX),
                       comment);
            free(comment);
        }
        buf_printf(&sql, "ALTER INDEX %s RENAME TO %s;\n", PQgetvalue(spares, r, SPARE_INDEX),
                   name);
        if (res_bool(spares, r, SPARE_CLUSTERED))
            buf_printf(&sql, "ALTER TABLE %s CLUSTER ON %s;\n",
                       PQgetvalue(spares, r, SPARE_PARTITION), name);
        if (res_bool(spares, r, SPARE_IDENTITY))
            buf_printf(&sql, "ALTER TABLE %s REPLICA IDENTITY USING INDEX %s;\n",
                       PQgetvalue(spares, r, SPARE_PARTITION), name);
        free(name);
    }
    buf_printf(&sql, "DELETE FROM segue.pieces WHERE migration = %" PRId64 " AND no = %d;\n%s",
               p->m->id, of->no, mark);
    free(mark);
    return buf_take(&sql);
}

static enum rc take_back(struct piece *p, const struct eng_step *of, const PGresult *spares,
                         struct err *err)
{
    char *sql = take_back_sql(p, of, spares);
    enum rc rc = unless_left(p, gated(p, sql, err), err);

    free(sql);
    if (rc == RC_OK) {
        eng_step_finished(p->engine, p->m, p->i);
        return RC_AGAIN;
    }
    return rc;
}

static enum rc spare_turn(struct piece *p, const struct eng_step *of, const PGresult *spares,
                          struct err *err)
{
    int64_t act = PQntuples(spares) ? res_int(spares, 0, SPARE_ACT) : ACT_ATTACH;

    if (act == ACT_WAIT)
        return act_wait(p, err);
    if (act == ACT_DROP)
        return eng_step_drop(p->engine, p->m, p->i, PQgetvalue(spares, 0, SPARE_INDEX), err);
    if (act == ACT_BUILD)
        return build(p, of, PQgetvalue(spares, 0, SPARE_TEMP),
                     PQgetvalue(spares, 0, SPARE_PARTITION), err);
    return take_back(p, of, spares, err);
}

static enum rc abort_turn(struct piece *p, struct err *err)
{
    const struct eng_step *of = &p->m->plan->steps[p->step->undoes - 1];
    char no[16];
    PGresult *res;
    bool dropped;
    enum rc rc = drop_leftover(p, of, &dropped, err);

    if (dropped || rc != RC_OK)
        return rc;
    snprintf(no, sizeof(no), "%d", p->step->no);
    res = ask(p, of, spares_sql, no, err);
    if (!res)
        return RC_ERR;
    p->rows = res;
    rc = spare_turn(p, of, res, err);
    PQclear(res);
    return rc;
}

enum rc parts_turn(struct eng_engine *engine, struct eng_migration *m, size_t i, struct err *err)
{
    struct piece p = {.engine = engine, .m = m, .i = i, .step = &m->plan->steps[i]};

    return p.step->undoes ? abort_turn(&p, err) : build_turn(&p, err);
}
