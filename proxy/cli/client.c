#include "client.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "segue/base/mem.h"
#include "segue/base/option.h"

#define OID_BOOL 16
#define OID_INT8 20
#define OID_JSON 114
#define OID_FLOAT8 701

/* libpq's message without its last line end. */
static void set_conn_err(struct err *err, const char *sqlstate, const char *message)
{
    size_t len = strlen(message);

    while (len && message[len - 1] == '\n')
        len--;
    err_set(err, sqlstate, "%.*s", (int)len, message);
}

enum rc cli_client_connect(struct cli_client *client, unsigned timeout_s, struct err *err)
{
    PQconninfoOption *given = PQconninfoParse(client->server, NULL);
    const char *keys[64], *values[64];
    char timeout[16];
    size_t n = 0;

    if (!given) {
        char *shown = opt_mask_url(client->server);

        err_set(err, "08001", "not a connection URL: %s", shown);
        free(shown);
        return RC_ERR;
    }
    snprintf(timeout, sizeof(timeout), "%u", timeout_s);
    /* ours first: of a repeated keyword libpq takes the last */
    keys[n] = "dbname", values[n++] = "segue";
    keys[n] = "connect_timeout", values[n++] = timeout;
    keys[n] = "application_name", values[n++] = "segue-cli";
    keys[n] = "gssencmode", values[n++] = "disable";
    for (PQconninfoOption *o = given; o->keyword && n < ARRAY_LEN(keys) - 1; o++) {
        if (o->val && *o->val)
            keys[n] = o->keyword, values[n++] = o->val;
    }
    keys[n] = NULL, values[n] = NULL;
    client->conn = PQconnectdbParams(keys, values, 0);
    PQconninfoFree(given);
    if (PQstatus(client->conn) == CONNECTION_OK)
        return RC_OK;
    set_conn_err(err, "08001", PQerrorMessage(client->conn));
    if (strstr(PQerrorMessage(client->conn), "FATAL:") || PQconnectionNeedsPassword(client->conn))
        err_hint(err, "it runs there and does not let you in: --server or SEGUE_SERVER say as whom "
                      "and how, as in postgresql://user:password@host:port/segue?sslmode=require");
    else
        err_hint(err, "is `segue serve` running there? --server or SEGUE_SERVER say where");
    cli_client_close(client);
    return RC_ERR;
}

void cli_client_close(struct cli_client *client)
{
    PQfinish(client->conn);
    client->conn = NULL;
}

static json_t *value_json(const PGresult *result, int row, int column)
{
    const char *text = PQgetvalue(result, row, column);
    json_t *string;

    if (PQgetisnull(result, row, column))
        return json_null();
    switch (PQftype(result, column)) {
    case OID_BOOL:
        return json_boolean(text[0] == 't');
    case OID_INT8:
        return json_integer(strtoll(text, NULL, 10));
    case OID_FLOAT8:
        return json_real(strtod(text, NULL));
    case OID_JSON:
        string = json_loads(text, JSON_DECODE_ANY, NULL);
        return string ? string : json_string("(not valid JSON)");
    default:
        string = json_string(text);
        return string ? string : json_string("(not valid UTF-8)");
    }
}

static void rows_json(const PGresult *result, json_t **columns, json_t **rows)
{
    int ncolumns = PQnfields(result), nrows = PQntuples(result);

    for (int c = 0; columns && c < ncolumns; c++)
        json_array_append_new(*columns, json_string(PQfname(result, c)));
    for (int r = 0; r < nrows; r++) {
        json_t *object = json_object();

        for (int c = 0; c < ncolumns; c++)
            json_object_set_new(object, PQfname(result, c), value_json(result, r, c));
        json_array_append_new(*rows, object);
    }
}

enum rc cli_client_ask(struct cli_client *client, const char *statement, json_t **columns,
                       json_t **rows, struct err *err)
{
    PGresult *result = PQexec(client->conn, statement);
    ExecStatusType status = PQresultStatus(result);
    const char *sqlstate, *message, *hint;
    enum rc rc = RC_OK;

    *rows = json_array();
    if (columns)
        *columns = json_array();
    if (status == PGRES_TUPLES_OK) {
        rows_json(result, columns, rows);
    } else if (status != PGRES_COMMAND_OK) {
        sqlstate = PQresultErrorField(result, PG_DIAG_SQLSTATE);
        message = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
        hint = PQresultErrorField(result, PG_DIAG_MESSAGE_HINT);
        if (sqlstate && message) {
            err_set(err, sqlstate, "%s", message);
            if (hint)
                err_hint(err, "%s", hint);
        } else {
            set_conn_err(err, "08006", PQerrorMessage(client->conn));
        }
        rc = PQstatus(client->conn) == CONNECTION_OK ? RC_ERR : RC_AGAIN;
    }
    PQclear(result);
    if (rc != RC_OK) {
        json_decref(*rows);
        *rows = NULL;
        if (columns) {
            json_decref(*columns);
            *columns = NULL;
        }
    }
    return rc;
}

void cli_append_literal(struct buf *out, const char *text)
{
    buf_append_u8(out, '\'');
    for (const char *p = text; *p; p++) {
        if (*p == '\'')
            buf_append_u8(out, '\'');
        buf_append(out, p, 1);
    }
    buf_append_u8(out, '\'');
}
