#include "verify_snapshot.h"

#include <inttypes.h>
#include <stdlib.h>

#include "segue/base/mem.h"
#include "segue/sql/expr.h"

/* Another guard now than `rel` has is another one than this verify would call seen. */
static enum rc is_seen(struct eng_engine *engine, const struct eng_migration *m,
                       const struct eng_relation *rel, bool *seen, struct err *err)
{
    char *guard = sql_quote_literal(rel->guard ? rel->guard : "");
    PGresult *res =
        conn_query(&engine->work, err,
                   "SELECT EXISTS (SELECT FROM segue.progress WHERE migration = %" PRId64
                   " AND relation = %u AND guard = %s)",
                   m->id, rel->oid, guard);

    free(guard);
    if (!res)
        return RC_ERR;
    *seen = res_bool(res, 0, 0);
    PQclear(res);
    return RC_OK;
}

static enum rc export(struct eng_engine *engine, struct verify_snapshot *snapshot,
                      struct err *err) {
    PGresult *res;

    snapshot->conn.stop = &engine->stop;
    if (!conn_up(&snapshot->conn) &&
        eng_beside_open(engine, &snapshot->conn, ENG_BESIDE_LONG, err) != RC_OK) return RC_ERR;
    res = conn_query(&snapshot->conn, err,
                     "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT pg_export_snapshot()");
    if (!res) return RC_ERR;
    snapshot->id = mem_strdup(res_text(res, 0, 0));
    PQclear(res);
    return RC_OK;
}

static enum rc read_size(struct eng_engine *engine, struct eng_relation *rel, struct err *err)
{
    PGresult *res = conn_query(&engine->work, err,
                               "SELECT coalesce(pg_relation_size(%u), 0) / "
                               "current_setting('block_size')::int",
                               rel->oid);

    if (!res)
        return RC_ERR;
    rel->end = res_int(res, 0, 0);
    PQclear(res);
    return RC_OK;
}

enum rc verify_snapshot_take(struct eng_engine *engine, const struct eng_migration *m,
                             struct verify_snapshot *snapshot, struct eng_relation *rel,
                             struct err *err)
{
    bool seen = false;

    verify_snapshot_drop(snapshot);
    if (is_seen(engine, m, rel, &seen, err) != RC_OK)
        return RC_ERR;
    if (seen)
        return RC_OK;
    if (export(engine, snapshot, err) == RC_OK && read_size(engine, rel, err) == RC_OK)
        return RC_OK;
    verify_snapshot_drop(snapshot);
    return RC_ERR;
}

char *verify_snapshot_sql(const struct verify_snapshot *snapshot)
{
    return snapshot->id ? mem_printf("BEGIN ISOLATION LEVEL REPEATABLE READ; "
                                     "SET TRANSACTION SNAPSHOT '%s';\n",
                                     snapshot->id)
                        : mem_strdup("");
}

void verify_snapshot_left(struct eng_engine *engine, const struct verify_snapshot *snapshot)
{
    if (snapshot->id)
        conn_rollback(&engine->work);
}

bool verify_snapshot_gone(struct verify_snapshot *snapshot)
{
    struct err ignored = {0};
    bool gone = snapshot->id && conn_exec(&snapshot->conn, &ignored, "SELECT") != RC_OK;

    if (gone)
        verify_snapshot_drop(snapshot);
    return gone;
}

void verify_snapshot_drop(struct verify_snapshot *snapshot)
{
    conn_close(&snapshot->conn);
    free(snapshot->id);
    snapshot->id = NULL;
}
