/*
 * PostgreSQL's raw parse tree (libpg_query), and small readers of it. Thread-safe.
 * Private to the sql layer.
 */
#ifndef SEGUE_SQL_TREE_H
#define SEGUE_SQL_TREE_H

#include "node.h"
#include "segue/base/err.h"

/* {"stmts": [{"stmt": {...}}, ...]}; caller frees (sql_nodes_free). NULL with 42601 (or 22021 for
 * text that is not UTF-8) when the parser does not understand it. *position: byte offset of the
 * trouble, -1 when unknown; may be NULL. */
struct sql_nodes *sql_tree_parse(const char *sql, int *position, struct err *err);

/* Member of an object, NULL-tolerant. */
static inline const struct sql_node *sql_tree_get(const struct sql_node *node, const char *key)
{
    return sql_node_member(node, key, strlen(key)); /* a literal's length is known here */
}

/* A name in a table of them, whose length is known when it is compiled: most differ by that. */
struct sql_key {
    const char *text;
    size_t len;
};
#define SQL_KEY(literal)                                                                           \
    {                                                                                              \
        literal, sizeof(literal) - 1                                                               \
    }

static inline bool sql_tree_is(const struct sql_node *member, const struct sql_key *key)
{
    return sql_node_is(member, key->text, key->len);
}

/* The name of the only member of {"SelectStmt": {...}}, or NULL. */
static inline const char *sql_tree_kind(const struct sql_node *node)
{
    const struct sql_node *member = sql_node_first(node);

    return member ? member->key : NULL;
}

/* The text of a {"String": {"sval": ...}} node, or NULL. */
const char *sql_tree_string(const struct sql_node *node);

/* The only statement's node of that kind ("SelectStmt"), or NULL. */
const struct sql_node *sql_tree_single(const struct sql_node *tree, const char *kind);

/* "location" of a node; the parser leaves zero out. */
int sql_tree_location(const struct sql_node *node);

#endif
