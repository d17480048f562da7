/*
 * What a statement of the engine's own calls a constraint, an index or a column from now on:
 * RENAME, or ADD CONSTRAINT ... USING INDEX. Pure. Not here: statements of clients or of migration
 * files.
 */
#ifndef SEGUE_SQL_RENAMES_H
#define SEGUE_SQL_RENAMES_H

#include <stdbool.h>

/* Names in catalog spelling, heap. False: it is another statement. */
bool sql_renames(const char *text, char **from, char **to);

#endif
