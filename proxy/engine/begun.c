#include "begun.h"

#include <inttypes.h>
#include <stdio.h>

enum rc begun_ask(struct eng_engine *engine, const struct eng_migration *m, int no, bool *begun,
                  struct err *err)
{
    PGresult *res = conn_query(
        &engine->work, err, "SELECT 1 FROM segue.begun WHERE migration = %" PRId64 " AND no = %d",
        m->id, no);

    *begun = res && PQntuples(res) == 1;
    PQclear(res);
    return res ? RC_OK : RC_ERR;
}

enum rc begun_look(struct eng_engine *engine, const struct eng_migration *m, size_t i,
                   enum begun_index *state, struct err *err)
{
    const struct eng_step *step = &m->plan->steps[i];
    const char *values[] = {step->index_schema, step->index_name};
    bool begun = false, sent = false;
    PGresult *res;

    /* before the catalog is read: it ends, and is seen there, in between */
    if (step->kind == ENG_STEP_CONCURRENTLY &&
        eng_beside_sent(engine, step->sql[0], &sent, err) != RC_OK)
        return RC_ERR;
    res = conn_params(
        &engine->work, err,
        "SELECT i.indisvalid, EXISTS (SELECT 1 FROM pg_stat_progress_create_index p "
        "WHERE p.index_relid = i.indexrelid) FROM pg_class c JOIN pg_namespace n ON n.oid = "
        "c.relnamespace LEFT JOIN pg_index i ON i.indexrelid = c.oid "
        "WHERE n.nspname = $1 AND c.relname = $2",
        2, values);
    if (!res)
        return RC_ERR;
    if (PQntuples(res) && begun_ask(engine, m, step->no, &begun, err) != RC_OK) {
        PQclear(res);
        return RC_ERR;
    }
    if (PQntuples(res) == 0)
        *state = sent ? INDEX_BUILDING : INDEX_ABSENT;
    else if (!begun || PQgetisnull(res, 0, 0))
        *state = INDEX_FOREIGN;
    else if (res_bool(res, 0, 0))
        *state = INDEX_VALID;
    else
        *state = sent || res_bool(res, 0, 1) ? INDEX_BUILDING : INDEX_INVALID;
    PQclear(res);
    return RC_OK;
}

void begun_foreign(const struct eng_step *step, struct err *err)
{
    err_set(err, "42P07", "%s.%s is there already, and this migration has not made it",
            step->index_schema, step->index_name);
    err_hint(err, "drop it or give it another name, then resume; or roll back, which leaves it");
}

enum rc begun_note(struct eng_engine *engine, const struct eng_migration *m, size_t i,
                   struct err *err)
{
    return conn_exec(&engine->work, err,
                     "INSERT INTO segue.begun (migration, no) VALUES (%" PRId64
                     ", %d) ON CONFLICT DO NOTHING",
                     m->id, m->plan->steps[i].no);
}

enum rc begun_forget(struct eng_engine *engine, const struct eng_migration *m, size_t i,
                     struct err *err)
{
    return conn_exec(&engine->work, err,
                     "DELETE FROM segue.begun WHERE migration = %" PRId64 " AND no = %d", m->id,
                     m->plan->steps[i].no);
}
