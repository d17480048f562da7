#include "ask.h"

#include <string.h>

#include "client.h"
#include "output.h"
#include "segue/cli/cli.h"

#define CONNECT_TIMEOUT_S 10

int cli_ask_once(const struct cli_args *args, const char *statement, json_t **columns,
                 json_t **rows)
{
    struct cli_client client = {.server = args->server};
    struct err err = {0};
    int code = CLI_DONE;
    enum rc rc;

    *rows = NULL;
    if (cli_client_connect(&client, CONNECT_TIMEOUT_S, &err) != RC_OK) {
        code = strcmp(err.sqlstate, CLI_NO_URL) == 0 ? CLI_USAGE : CLI_UNREACHABLE;
    } else {
        rc = cli_client_ask(&client, statement, columns, rows, &err);
        if (rc != RC_OK)
            code = rc == RC_AGAIN ? CLI_UNREACHABLE : CLI_REFUSED;
        cli_client_close(&client);
    }
    if (code != CLI_DONE)
        cli_print_err(&err);
    return code;
}
