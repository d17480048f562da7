#include "detaching.h"

#include <stdlib.h>

enum { COL_PARTITION, COL_TABLE };

void detaching_tell(const PGresult *res, json_t *out)
{
    for (int r = 0; r < PQntuples(res); r++)
        json_array_append_new(out, json_pack("{s:s, s:s}", "partition",
                                             PQgetvalue(res, r, COL_PARTITION), "detached_from",
                                             PQgetvalue(res, r, COL_TABLE)));
}

void detaching_refuse(const PGresult *res, const char *sqlstate, struct err *err)
{
    const char *partition = PQgetvalue(res, 0, COL_PARTITION);
    const char *table = PQgetvalue(res, 0, COL_TABLE);

    err_set(err, sqlstate, DETACHING_TEXT, partition, table);
    err_hint(err, DETACHING_HINT, table, partition);
}

enum rc detaching_check(struct eng_engine *engine, const struct eng_migration *m, struct err *err)
{
    char *names = eng_lock_names(m, NULL);
    PGresult *res = conn_query(&engine->work, err, DETACHING_SQL, names);

    free(names);
    if (res && PQntuples(res))
        detaching_refuse(res, "55000", err);
    PQclear(res);
    return err_is_set(err) ? RC_ERR : RC_OK;
}
