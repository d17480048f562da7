/*
 * The command line: a table of commands; all but `serve` talk to a running segue's console.
 * Not here: serve itself (main.c), options of serve (cli/config.h).
 */
#ifndef SEGUE_CLI_CLI_H
#define SEGUE_CLI_CLI_H

enum cli_exit {
    CLI_DONE = 0,
    CLI_REFUSED = 1,     /* refused or failed */
    CLI_USAGE = 2,       /* wrong words, options or configuration */
    CLI_UNREACHABLE = 3, /* no segue there */
    CLI_STOPPED = 4,     /* the migration stopped with a failure while we waited */
}; /* 128 + N: signal N came while we waited; stderr says what goes on (130: Ctrl-C) */

/* Runs the command of argv and returns the exit code. `serve` gets the words behind "serve". */
int cli_main(int argc, char **argv, int (*serve)(int argc, char **argv));

#endif
