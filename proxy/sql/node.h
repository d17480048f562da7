/*
 * Nodes of a parse tree, and a reader of the JSON in which libpg_query tells it. Private to the sql
 * layer.
 *
 * The reader works in place: texts stay in the JSON, where escapes are resolved and an end is
 * written; the members of an object, or the items of a list, stand one behind the other. So a tree
 * is a handful of allocations, bounded by the text: a node takes two bytes of JSON at least.
 */
#ifndef SEGUE_SQL_NODE_H
#define SEGUE_SQL_NODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "segue/base/rc.h"

#define SQL_NODE_DEPTH_MAX 2048 /* values in each other; the walks go as deep */

enum sql_node_kind {
    SQL_NODE_NULL,
    SQL_NODE_FALSE,
    SQL_NODE_TRUE,
    SQL_NODE_NUMBER,
    SQL_NODE_TEXT,
    SQL_NODE_LIST,
    SQL_NODE_OBJECT,
};

struct sql_node {
    union {
        const struct sql_node *first; /* LIST, OBJECT */
        const char *text;             /* TEXT: NUL-terminated, UTF-8 */
        int64_t number;
    };
    const char *key; /* of a member, NUL-terminated; NULL: none */
    uint32_t n;      /* LIST, OBJECT: how many; TEXT: bytes */
    uint16_t key_len;
    uint8_t kind; /* enum sql_node_kind */
};

struct sql_nodes; /* a whole tree */

/* Reads an object without blanks between its tokens, and with whole numbers only: that is what
 * libpg_query writes. Takes `json` (heap, NUL-terminated), whatever comes out. NULL, with *why (a
 * constant): it is no such JSON, or nested deeper than SQL_NODE_DEPTH_MAX. */
struct sql_nodes *sql_nodes_read_take(char *json, const char **why);
void sql_nodes_free(struct sql_nodes *nodes);

const struct sql_node *sql_nodes_root(const struct sql_nodes *nodes); /* NULL stays NULL */

/* ---- What the grammar cannot say, as if it had (newer.h). Nodes are those of this tree. ---- */

struct sql_node *sql_nodes_own(struct sql_nodes *nodes, const struct sql_node *node);

/* Gives an object one more member: what `value` is, in whatever tree. `key` is a constant. */
void sql_nodes_put(struct sql_nodes *nodes, const struct sql_node *object, const char *key,
                   const struct sql_node *value);
void sql_nodes_drop(struct sql_nodes *nodes, const struct sql_node *object, const char *key);

/* What the other one has (NULL: nothing) lives as long as this one. */
void sql_nodes_keep_take(struct sql_nodes *nodes, struct sql_nodes *other);

/* Calls `each` for all nodes, an outer one first. */
void sql_nodes_each(struct sql_nodes *nodes, void (*each)(void *ctx, struct sql_node *node),
                    void *ctx);

/* ---- All of these are NULL-tolerant, and take a node of another kind for an empty one. ---- */

/* The member of that name, of `len` bytes, or NULL. tree.h has a shorter way. */
const struct sql_node *sql_node_member(const struct sql_node *node, const char *key, size_t len);

/* Items of a list, 0 for what is none. */
static inline size_t sql_node_size(const struct sql_node *list)
{
    return list && list->kind == SQL_NODE_LIST ? list->n : 0;
}

/* Item of a list, or NULL. */
static inline const struct sql_node *sql_node_at(const struct sql_node *list, size_t i)
{
    return i < sql_node_size(list) ? &list->first[i] : NULL;
}

/* The only member of {"SelectStmt": {...}}; of several the first. */
static inline const struct sql_node *sql_node_first(const struct sql_node *node)
{
    return node && node->kind == SQL_NODE_OBJECT && node->n > 0 ? node->first : NULL;
}

/* Is the member called so? `len`: bytes of the name. */
static inline bool sql_node_is(const struct sql_node *member, const char *key, size_t len)
{
    return member->key_len == len && member->key[0] == key[0] && memcmp(member->key, key, len) == 0;
}

static inline const char *sql_node_text(const struct sql_node *node)
{
    return node && node->kind == SQL_NODE_TEXT ? node->text : NULL;
}

static inline int64_t sql_node_number(const struct sql_node *node)
{
    return node && node->kind == SQL_NODE_NUMBER ? node->number : 0;
}

static inline bool sql_node_is_true(const struct sql_node *node)
{
    return node && node->kind == SQL_NODE_TRUE;
}

static inline const struct sql_node *sql_node_begin(const struct sql_node *node,
                                                    enum sql_node_kind kind)
{
    return node && node->kind == kind ? node->first : NULL;
}

static inline const struct sql_node *sql_node_end(const struct sql_node *node,
                                                  enum sql_node_kind kind)
{
    return node && node->kind == kind ? node->first + node->n : NULL;
}

#define SQL_NODE_EACH_OF(item, of, kind)                                                           \
    for (const struct sql_node *item = sql_node_begin(of, kind),                                   \
                               *item##_end = sql_node_end(of, kind);                               \
         item < item##_end; item++)

/* Loops over a list, or an object. */
#define SQL_NODE_EACH_ITEM(item, list) SQL_NODE_EACH_OF(item, list, SQL_NODE_LIST)
#define SQL_NODE_EACH_MEMBER(item, object) SQL_NODE_EACH_OF(item, object, SQL_NODE_OBJECT)

#endif
