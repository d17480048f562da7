/* jansson's opinion on what sql/node.h has read. */
#ifndef SEGUE_TESTS_FUZZ_SAME_TREE_H
#define SEGUE_TESTS_FUZZ_SAME_TREE_H

#include <jansson.h>
#include <string.h>

#include "../../proxy/sql/node.h"

static inline bool same_tree(const struct sql_node *node, const json_t *json);

static inline bool same_members(const struct sql_node *node, const json_t *json)
{
    void *at = json_object_iter((json_t *)json);

    SQL_NODE_EACH_MEMBER(member, node) {
        const char *key = at ? json_object_iter_key(at) : NULL;

        if (!key || strcmp(key, member->key) != 0 || strlen(key) != member->key_len ||
            !same_tree(member, json_object_iter_value(at)))
            return false;
        at = json_object_iter_next((json_t *)json, at);
    }
    return node->n == json_object_size(json);
}

static inline bool same_items(const struct sql_node *node, const json_t *json)
{
    for (size_t i = 0; i < node->n; i++)
        if (!same_tree(sql_node_at(node, i), json_array_get(json, i)))
            return false;
    return node->n == json_array_size(json);
}

/* The same kinds, names, texts and numbers, in the same order? */
static inline bool same_tree(const struct sql_node *node, const json_t *json)
{
    switch (json_typeof(json)) {
    case JSON_OBJECT:
        return node->kind == SQL_NODE_OBJECT && same_members(node, json);
    case JSON_ARRAY:
        return node->kind == SQL_NODE_LIST && same_items(node, json);
    case JSON_STRING:
        return node->kind == SQL_NODE_TEXT && node->n == json_string_length(json) &&
               memcmp(node->text, json_string_value(json), node->n + 1) == 0;
    case JSON_INTEGER:
        return node->kind == SQL_NODE_NUMBER && node->number == json_integer_value(json);
    case JSON_TRUE:
        return node->kind == SQL_NODE_TRUE;
    case JSON_FALSE:
        return node->kind == SQL_NODE_FALSE;
    case JSON_NULL:
        return node->kind == SQL_NODE_NULL;
    case JSON_REAL:
        break;
    }
    return false;
}

#endif
