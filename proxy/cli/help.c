/* --help, made from the tables. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"
#include "command.h"
#include "output.h"
#include "segue/admin/console.h"
#include "segue/base/mem.h"
#include "segue/cli/config.h"

static const struct {
    enum cli_option option;
    const char *name, *help; /* name: with its value */
} options[] = {
    {CLI_DETACH, "--detach", "return at once; the migration goes on"},
    {CLI_WATCH, "--watch", "keep showing until it has ended"},
    {CLI_AT, "--at TIME", "begin then: ISO 8601 with its zone, such as 2026-01-31T23:30:00Z"},
    {CLI_WITHDRAW, "--withdraw", "not yet, after all: forgets --at, calls off what is under way"},
    {CLI_WAIT_REPLICAS, "--wait-replicas", "only when every standby has replayed all of it"},
    {CLI_SKIP, "--skip", "without the statements of onComplete that it has stopped at"},
    {CLI_BRANCH, "--branch", "a second head is meant; a file without operations merges them"},
    {CLI_NOTE, "--note TEXT", "why, for the history"},
    {CLI_ALEMBIC, "--alembic DIR", "Alembic's folder of versions is checked, too"},
    {CLI_DRIZZLE, "--drizzle DIR", "drizzle's folder of migrations is checked, too"},
    {CLI_FORCE, "--force", "in spite of what the refusal names: old names in use, rows, sessions"},
    {CLI_NO_WAIT, "--no-wait", "refuse while constraints are being proven, instead of waiting"},
    {CLI_FOR, "--for PHASE", "ready (unless told), soaking, done or aborted"},
    {CLI_TIMEOUT, "--timeout S", "give up after so many seconds: exit code 1"},
    {CLI_UPSTREAM, "--upstream URL", "ask the database itself: no segue needs to run"},
};

/* "start FILE [--detach]"; free() it. */
static char *usage(const struct cli_command *command)
{
    struct buf out = {0};

    buf_printf(&out, "%s%s%s", command->name, *command->words ? " " : "", command->words);
    for (size_t i = 0; i < ARRAY_LEN(options); i++) {
        if (command->options & options[i].option)
            buf_printf(&out, " [%s]", options[i].name);
    }
    return buf_take(&out);
}

void cli_help(void)
{
    puts("segue " SEGUE_VERSION ": schema changes of a live PostgreSQL, without a pause\n\n"
         "usage: segue COMMAND ...\n");
    for (size_t i = 0; i < cli_ncommands; i++) {
        char *text = usage(&cli_commands[i]);

        printf("  %-34s %s\n", text, cli_commands[i].help);
        free(text);
    }
    puts("\nsegue COMMAND --help tells more; segue help console lists the console's commands.\n"
         "All but serve and bench talk to a running segue: --server URL or SEGUE_SERVER say where\n"
         "(postgresql://127.0.0.1:6432/segue unless told). --json prints JSON.\n\n"
         "exit codes: 0 done, 1 refused or failed, 2 wrong usage, 3 segue not reachable,\n"
         "4 the migration stopped with a failure while we waited, 130 detached by Ctrl-C\n"
         "(128 + N by signal N)");
}

static void help_serve(void)
{
    puts("usage: segue serve [-c FILE] [--takeover] [--OPTION VALUE]...\n\n"
         "--takeover replaces the segue that listens here already: no client notices; it serves\n"
         "its sessions to their end (takeover_timeout_s). None there: starts as usual.\n"
         "Options come from their defaults, the JSON file (-c), the environment\n"
         "(SEGUE_<OPTION>; DATABASE_URL is the upstream when nothing else says it), flags.\n"
         "SIGHUP reads all again (marked *: takes effect then), SIGTERM drains and ends.\n");
    for (int i = 0; i < CFG_COUNT; i++) {
        const struct opt_row *row = &cfg_rows[i];
        char name[64], allowed[256];

        snprintf(name, sizeof(name), "--%s", row->name);
        for (char *p = name; *p; p++)
            *p = *p == '_' ? '-' : *p;
        opt_allowed(row, allowed, sizeof(allowed));
        printf("  %-30s %s %s\n  %-32s %s; default \"%s\"\n", name, row->reload ? "*" : " ",
               row->help, "", allowed, row->fallback);
    }
}

void cli_help_on(const struct cli_command *command)
{
    char *text;

    if (strcmp(command->name, "bench") == 0) {
        bench_help();
        return;
    }
    if (!command->run) {
        help_serve();
        return;
    }
    text = usage(command);
    printf("usage: segue %s\n\n%s\n\n", text, command->help);
    for (size_t i = 0; i < ARRAY_LEN(options); i++) {
        if (command->options & options[i].option)
            printf("  %-16s %s\n", options[i].name, options[i].help);
    }
    printf("  %-16s %s\n  %-16s %s\n", "--server URL", "console of the running segue", "--json",
           "print JSON");
    free(text);
}

void cli_help_console(void)
{
    json_t *help = adm_help(), *row;
    size_t i;

    json_array_foreach(json_object_get(help, "rows"), i, row)
    {
        printf("%-62s %s\n", json_string_value(json_array_get(row, 0)),
               json_string_value(json_array_get(row, 1)));
    }
    json_decref(help);
}
