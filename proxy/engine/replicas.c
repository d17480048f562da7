#include "replicas.h"

#include <stdio.h>
#include <string.h>

#include "gated.h"
#include "segue/base/clock.h"
#include "segue/base/log.h"

#define LOOK_MS 100

void replicas_forget(struct eng_migration *m)
{
    m->caught_up.lsn[0] = '\0';
    json_decref(m->caught_up.names);
    m->caught_up.names = NULL;
}

static json_t *text(const PGresult *res, int r, int c)
{
    json_t *value = res_text(res, r, c) ? json_string(res_text(res, r, c)) : NULL;

    return value ? value : json_null();
}

/* A base backup replays nothing, nor does who reports what it has received and no more
 * (pg_receivewal); the first copy of a subscription's table has an end. What only pg_monitor may
 * see is NULL: not known, so not there. (The port of a Unix socket is -1.) */
static PGresult *look(struct eng_engine *engine, const struct eng_migration *m, struct err *err)
{
    return conn_query(
        &engine->work, err,
        "SELECT application_name, CASE WHEN client_port IS NOT NULL THEN "
        "coalesce(host(client_addr), 'local') END, state, "
        "pg_wal_lsn_diff('%s', replay_lsn)::bigint FROM pg_stat_replication "
        "WHERE state IS DISTINCT FROM 'backup' AND (write_lsn IS NULL OR replay_lsn IS NOT "
        "NULL) AND coalesce(application_name, '') !~ '^pg_[0-9]+_sync_[0-9]+_[0-9]+$' ORDER BY "
        "application_name, pid",
        m->caught_up.lsn);
}

static enum rc begin(struct eng_engine *engine, struct eng_migration *m, struct err *err)
{
    PGresult *res = conn_query(&engine->work, err, "SELECT pg_current_wal_lsn()");

    if (!res)
        return RC_ERR;
    snprintf(m->caught_up.lsn, sizeof(m->caught_up.lsn), "%s", res_text(res, 0, 0));
    PQclear(res);
    m->caught_up.until_us = clock_us() + (int64_t)engine->options.replicas_wait_ms * 1000;
    res = look(engine, m, err);
    if (!res)
        return RC_ERR;
    m->caught_up.names = json_array();
    for (int r = 0; r < PQntuples(res); r++)
        json_array_append_new(m->caught_up.names, text(res, r, 0));
    PQclear(res);
    return RC_OK;
}

/* Who was there at first and is not now: it may come back, and be behind. */
static void name_missing(struct eng_migration *m, const PGresult *res)
{
    size_t i;
    json_t *name;

    json_array_foreach(m->caught_up.names, i, name)
    {
        size_t there = 0, wanted = 0;

        for (int r = 0; r < PQntuples(res); r++) {
            json_t *now = text(res, r, 0);

            there += (size_t)json_equal(now, name);
            json_decref(now);
        }
        for (size_t k = 0; k <= i; k++) /* several may have one name */
            wanted += (size_t)json_equal(json_array_get(m->caught_up.names, k), name);
        if (there < wanted)
            json_array_append_new(m->blocking, json_pack("{s:O, s:s, s:n}", "standby", name,
                                                         "state", "gone", "behind_bytes"));
    }
}

enum rc replicas_turn(struct eng_engine *engine, struct eng_migration *m, bool *late,
                      struct err *err)
{
    PGresult *res;

    *late = false;
    if (!m->caught_up.lsn[0] && begin(engine, m, err) != RC_OK)
        return RC_ERR;
    res = look(engine, m, err);
    if (!res)
        return RC_ERR;
    json_array_clear(m->blocking);
    buf_reset(&m->blockers);
    for (int r = 0; r < PQntuples(res); r++) {
        if (res_text(res, r, 3) && res_int(res, r, 3) <= 0)
            continue;
        json_array_append_new(
            m->blocking,
            json_pack("{s:o, s:o, s:o, s:o}", "standby", text(res, r, 0), "client_addr",
                      text(res, r, 1), "state", text(res, r, 2), "behind_bytes",
                      res_text(res, r, 3) ? json_integer(res_int(res, r, 3)) : json_null()));
    }
    name_missing(m, res);
    PQclear(res);
    if (json_array_size(m->blocking) == 0)
        return RC_OK;
    blockers_text(m->blocking, &m->blockers);
    *late = clock_us() > m->caught_up.until_us;
    eng_sleep(m, LOOK_MS);
    eng_status_put(engine, m);
    return RC_AGAIN;
}
