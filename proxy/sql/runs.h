/*
 * Runs of operators and comments without a blank. PostgreSQL's scanner takes each token of a run
 * for as long as the run is, so that one of a few hundred kilobytes takes it minutes. Private to
 * the sql layer.
 */
#ifndef SEGUE_SQL_RUNS_H
#define SEGUE_SQL_RUNS_H

#include <stdbool.h>
#include <stddef.h>

/* Where the scanner would be long about the text, its comments become blanks of their length, which
 * mean the same. False: even so it would be, or the text is not understood, or says segue:off: it
 * is not to be scanned. */
bool sql_runs_tame(char *text, size_t len);

#endif
