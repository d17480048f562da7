/*
 * PostgreSQL's raw parse tree as JSON (libpg_query), and small readers of it. Thread-safe.
 * Private to the sql layer.
 */
#ifndef SEGUE_SQL_TREE_H
#define SEGUE_SQL_TREE_H

#include <jansson.h>

#include "segue/base/err.h"

/* {"stmts": [{"stmt": {...}}, ...]}; caller decrefs. NULL with 42601 (or 22021 for text that is
 * not UTF-8) when the parser does not understand it. *position: byte offset of the trouble, -1
 * when unknown; may be NULL. */
json_t *sql_tree_parse(const char *sql, int *position, struct err *err);

/* Member of an object, NULL-tolerant. */
const json_t *sql_tree_get(const json_t *node, const char *key);

/* The text of a {"String": {"sval": ...}} node, or NULL. */
const char *sql_tree_string(const json_t *node);

/* The only statement's node of that kind ("SelectStmt"), or NULL. */
const json_t *sql_tree_single(const json_t *tree, const char *kind);

/* "location" of a node; the parser leaves zero out. */
int sql_tree_location(const json_t *node);

#endif
