#include "client.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "segue/base/clock.h"
#include "segue/base/mem.h"
#include "segue/base/option.h"
#include "stop.h"

#define SHOW_ANSWER_MS 30000 /* it is answered at once, whatever the engine does */
#define VERB_NOTE_MS 10000   /* verbs take as long as they take, but not in silence */
#define LOOK_MS 100          /* a signal that comes just before poll() is seen so late */

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

/* libpq adds what it thinks of a server's end, and once more for each use of the socket since. */
static void set_gone(struct err *err, const char *message)
{
    err_set(err, "08006", "%.*s", (int)strcspn(message, "\n"), message);
    err_hint(err, "segue has ended, or started again: what was begun stands in the database, and "
                  "`segue status` tells how far it is");
}

/* Asked again and again, the console warns again and again. */
static void on_notice(void *arg, const PGresult *result)
{
    struct cli_client *client = arg;
    const char *text = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);

    if (!text || strncmp(client->warned, text, sizeof(client->warned) - 1) == 0)
        return;
    snprintf(client->warned, sizeof(client->warned), "%s", text);
    fprintf(stderr, "segue: warning: %s\n", text);
}

/* The URL of an application leads to the database itself. */
static bool is_console(const PGconn *conn)
{
    const char *version = PQparameterStatus(conn, "server_version");

    return version && strstr(version, "segue");
}

enum rc cli_client_connect(struct cli_client *client, unsigned timeout_s, struct err *err)
{
    PQconninfoOption *given = PQconninfoParse(client->server, NULL);
    const char *keys[64], *values[64];
    char timeout[16];
    size_t n = 0;

    if (!given) {
        char *shown = opt_mask_url(client->server);

        err_set(err, CLI_NO_URL, "not a connection URL: %s", shown);
        err_hint(err, "like postgresql://127.0.0.1:6432/segue, in --server or SEGUE_SERVER");
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
    PQsetNoticeReceiver(client->conn, on_notice, client);
    if (PQstatus(client->conn) == CONNECTION_OK && is_console(client->conn))
        return RC_OK;
    if (PQstatus(client->conn) == CONNECTION_OK) {
        err_set(err, "08001", "that is the database \"%s\", and not segue's console",
                PQdb(client->conn));
        err_hint(err, "the console is the database \"segue\" where segue listens: "
                      "postgresql://HOST:6432/segue");
        cli_client_close(client);
        return RC_ERR;
    }
    set_conn_err(err, "08001", PQerrorMessage(client->conn));
    if (strstr(PQerrorMessage(client->conn), "FATAL:") || PQconnectionNeedsPassword(client->conn))
        err_hint(err, "it runs there and does not let you in: --server or SEGUE_SERVER say as whom "
                      "and how, as in postgresql://user:password@host:port/segue?sslmode=require");
    else if (strstr(PQerrorMessage(client->conn), "certificate")) /* libpq's words, or OpenSSL's */
        err_hint(err,
                 "name the host in --server or SEGUE_SERVER as its certificate does, and who has "
                 "signed that as sslrootcert: "
                 "postgresql://user@host:port/segue?sslmode=verify-full&sslrootcert=FILE");
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

/* False: to be waited for no longer; err says why. */
static bool goes_on(const char *statement, int64_t waited_ms, bool *noted, struct err *err)
{
    bool show = strncmp(statement, "SHOW ", 5) == 0;

    if (cli_stop_signal()) {
        err_set(err, "57014", "stopped before segue has answered");
    } else if (show && waited_ms > SHOW_ANSWER_MS) {
        err_set(err, "57014", "the proxy is there, but has not answered for %d s",
                SHOW_ANSWER_MS / 1000);
        err_hint(err, "its log may say why; segue doctor --upstream URL looks at the database "
                      "without it");
    } else if (!show && waited_ms > VERB_NOTE_MS && !*noted) {
        fprintf(stderr, "segue: no answer for %d s; still waiting\n", VERB_NOTE_MS / 1000);
        *noted = true;
    }
    return !err_is_set(err);
}

/* Sends, and waits until an answer is there to be read, or the connection is gone. */
static bool exchange(PGconn *conn, const char *statement, struct err *err)
{
    int64_t begun_ms = clock_ms();
    bool noted = false;
    int unsent;

    if (!goes_on(statement, 0, &noted, err))
        return false;
    if (PQsetnonblocking(conn, 1) != 0 || !PQsendQuery(conn, statement))
        return true;
    while ((unsent = PQflush(conn)) > 0 || PQisBusy(conn)) {
        struct pollfd fd = {.fd = PQsocket(conn),
                            .events = (short)(POLLIN | (unsent > 0 ? POLLOUT : 0))};

        if (!goes_on(statement, clock_ms() - begun_ms, &noted, err))
            return false;
        if (poll(&fd, 1, LOOK_MS) > 0 && fd.revents != POLLOUT && !PQconsumeInput(conn))
            break;
    }
    return true;
}

/* The last result, or the first that says what is wrong (behind it comes that the connection is
 * gone); NULL: there is none, PQerrorMessage says why. */
static PGresult *last_result(PGconn *conn)
{
    PGresult *last = NULL, *next;

    while ((next = PQgetResult(conn)) != NULL) {
        if (PQresultErrorField(last, PG_DIAG_SQLSTATE)) {
            PQclear(next);
            continue;
        }
        PQclear(last);
        last = next;
    }
    return last;
}

enum rc cli_client_ask(struct cli_client *client, const char *statement, json_t **columns,
                       json_t **rows, struct err *err)
{
    const char *sqlstate, *message, *hint;
    ExecStatusType status;
    PGresult *result;
    enum rc rc = RC_OK;

    *rows = NULL;
    if (columns)
        *columns = NULL;
    if (!exchange(client->conn, statement, err)) {
        cli_client_close(client); /* what it would answer yet is nobody's */
        return RC_AGAIN;
    }
    result = last_result(client->conn);
    status = PQresultStatus(result);
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
            set_gone(err, PQerrorMessage(client->conn));
        }
        /* what was too long is so the next time, too */
        rc = PQstatus(client->conn) == CONNECTION_OK || strcmp(err->sqlstate, "54000") == 0
                 ? RC_ERR
                 : RC_AGAIN;
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
