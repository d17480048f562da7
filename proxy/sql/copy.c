#include "copy.h"

#include <string.h>

#include "key.h"
#include "segue/sql/expr.h"

/* Without a list all columns of the session's side are in it. */
static bool is_listed(const struct sql_work *w, const struct sql_place *place,
                      const struct sql_node *list, const char *column)
{
    if (!list)
        return sql_place_has(w, place, column) == SQL_HAS;
    SQL_NODE_EACH_ITEM(item, list) {
        const char *name = sql_tree_string(item);

        if (name && !strcmp(name, column))
            return true;
    }
    return false;
}

/* The half that has the value where the column has none; NULL: it has its own. */
static const char *half_given(const struct sql_work *w, const struct sql_place *place,
                              const struct sql_node *list, const char *column)
{
    const char *leading = sql_key_leading(place->rule, column);
    const struct sql_twin_rule *pair = leading ? sql_key_pair(place->rule, column) : NULL;
    const char *other;

    if (!pair || is_listed(w, place, list, column))
        return NULL;
    other = strcmp(pair->old_name, column) ? pair->old_name : pair->new_name;
    return is_listed(w, place, list, other) || strcmp(leading, column) != 0 ? other : NULL;
}

static void put_half(struct sql_work *w, const struct sql_place *place, const struct sql_node *list,
                     const struct sql_node *ref)
{
    const struct sql_tokens *tokens = &w->tokens;
    const struct sql_node *fields = sql_tree_get(ref, "fields");
    size_t n = sql_node_size(fields);
    const char *column = n ? sql_tree_string(sql_node_at(fields, n - 1)) : NULL;
    const char *half = column ? half_given(w, place, list, column) : NULL;
    size_t last = sql_tokens_at(tokens, sql_tree_location(ref)) + 2 * (n - 1);

    if (!half)
        return;
    if (last >= tokens->n || !tokens->items[last].word ||
        (n > 1 && !sql_tokens_is(tokens, last - 1, SQL_TOKEN_DOT)) ||
        sql_tokens_is(tokens, last + 1, PG_QUERY__TOKEN__UESCAPE)) {
        sql_work_doubt(w, SQL_DOUBT_CLAUSE); /* a name of more tokens */
        return;
    }
    sql_edits_add_take(&w->edits, tokens->items[last].start,
                       tokens->items[last].end - tokens->items[last].start, sql_quote_ident(half));
}

static void read_node(struct sql_work *w, const struct sql_place *place,
                      const struct sql_node *list, const struct sql_node *node)
{
    SQL_NODE_EACH_ITEM(item, node)
        read_node(w, place, list, item);
    SQL_NODE_EACH_MEMBER(member, node) {
        if (!strcmp(member->key, "ColumnRef"))
            put_half(w, place, list, member);
        else
            read_node(w, place, list, member);
    }
}

void sql_copy_where(struct sql_work *w, const struct sql_place *place, const struct sql_node *copy)
{
    const struct sql_node *where = sql_tree_get(copy, "whereClause");

    if (where && place->kind == SQL_PLACE_MIGRATING)
        read_node(w, place, sql_tree_get(copy, "attlist"), where);
}
