/*
 * Statements of servers that are newer than the parser's grammar. Private to the sql layer.
 *
 * Where the parser stops at something that a newer server takes, that is left out of the text (or
 * an alias put into it), the rest is parsed, and the tree becomes what the newer grammar would have
 * made of it. Places in it are those of the client's text.
 *
 *   a sub-select in FROM without an alias (16)          RangeSubselect without "alias", and with
 *                                                       "mayBeCalled": what could stand there
 *   MERGE ... RETURNING (17)                            "returningList" of the MergeStmt
 *   WHEN NOT MATCHED BY TARGET (17)                     as without the last two words
 *   WHEN NOT MATCHED BY SOURCE (17)                     "matched", and "bySource" of the clause
 *   JSON_TABLE without PASSING (17)                     a function in FROM, with "jsonColumns":
 *                                                       targets that are called so
 *   RETURNING WITH (OLD AS o, NEW AS n) (18)            "returningOld", "returningNew": texts
 *
 * Not here: what nobody can say in the older grammar's words. Such a statement stays as it is.
 */
#ifndef SEGUE_SQL_NEWER_H
#define SEGUE_SQL_NEWER_H

#include "tree.h"

/* As sql_tree_parse, of which the first try is. NULL: not understood in this way either. */
struct sql_nodes *sql_newer_parse(const char *sql);

/* Is it one that may be put into the text as an alias? *at: behind which byte of it. */
bool sql_newer_alias(const char *name, uint32_t *at);

#endif
