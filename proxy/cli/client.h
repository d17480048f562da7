/*
 * The command line's side of the console: connecting, asking, answers as JSON rows.
 * Not here: showing them (output.h).
 */
#ifndef SEGUE_CLI_CLIENT_H
#define SEGUE_CLI_CLIENT_H

#include <stdbool.h>

#include <jansson.h>
#include <libpq-fe.h>

#include "segue/base/buf.h"
#include "segue/base/err.h"

struct cli_client {
    PGconn *conn;
    const char *server; /* borrowed */
    char warned[512];   /* the warning that was printed last: each is printed once in a row */
};

#define CLI_NO_URL "22023" /* SQLSTATE of what cannot lead anywhere */

/* RC_ERR: not reachable, or not let in, or no console there; CLI_NO_URL. The password in the URL
 * stays out of err. */
enum rc cli_client_connect(struct cli_client *client, unsigned timeout_s,
                           struct err *err) MUST_CHECK;
void cli_client_close(struct cli_client *client);

/* One statement. *columns: names in order (may be NULL); *rows: an array of objects, values typed
 * by the columns' types. RC_AGAIN: no answer: the connection is gone, a SHOW was not answered for
 * 30 s, or a signal (stop.h) has ended the waiting. RC_ERR: refused, err is the console's. */
enum rc cli_client_ask(struct cli_client *client, const char *statement, json_t **columns,
                       json_t **rows, struct err *err) MUST_CHECK;

/* Appends 'text' as the console reads it: quotes doubled, backslashes as they are. */
void cli_append_literal(struct buf *out, const char *text);

#endif
