/* One statement over libpq, with the server's own words as the error. */
#include <stdlib.h>
#include <string.h>

#include "segue/base/mem.h"
#include "segue/catalog/catalog.h"

void cat_encoding_hint(PGconn *conn, struct err *err)
{
    const char *encoding = PQparameterStatus(conn, "server_encoding");

    if (err && strcmp(err->sqlstate, "22021") == 0 && encoding &&
        strcmp(encoding, "SQL_ASCII") == 0)
        err_hint(err, "the database's encoding is SQL_ASCII, in which a text may be any bytes, and "
                      "segue reads UTF-8: give what is named otherwise a name in UTF-8 (psql with "
                      "PGCLIENTENCODING=SQL_ASCII can)");
}

enum rc cat_query(PGconn *conn, const char *sql, int nparams, const char *const *params,
                  PGresult **res, struct err *err)
{
    PGresult *result = PQexecParams(conn, sql, nparams, NULL, params, NULL, NULL, 0);
    ExecStatusType status = PQresultStatus(result);
    const char *sqlstate, *message, *hint;

    *res = NULL;
    if (status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK) {
        *res = result;
        return RC_OK;
    }
    sqlstate = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    message = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
    hint = PQresultErrorField(result, PG_DIAG_MESSAGE_HINT);
    err_set(err, sqlstate ? sqlstate : "08006", "%s", message ? message : PQerrorMessage(conn));
    if (hint)
        err_hint(err, "%s", hint);
    cat_encoding_hint(conn, err);
    PQclear(result);
    return RC_ERR;
}

enum rc cat_value(PGconn *conn, const char *sql, int nparams, const char *const *params, char **out,
                  struct err *err)
{
    PGresult *res;

    *out = NULL;
    if (cat_query(conn, sql, nparams, params, &res, err) != RC_OK)
        return RC_ERR;
    if (PQntuples(res) > 0 && !PQgetisnull(res, 0, 0))
        *out = mem_strdup(PQgetvalue(res, 0, 0));
    PQclear(res);
    return RC_OK;
}
