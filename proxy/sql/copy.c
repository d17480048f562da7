#include "copy.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "key.h"
#include "segue/base/mem.h"
#include "segue/sql/expr.h"
#include "twin.h"

/* ---- a word for the default ---- */

/* NULL: it is not there. */
static const struct sql_node *option(const struct sql_node *copy, const char *name)
{
    SQL_NODE_EACH_ITEM(item, sql_tree_get(copy, "options")) {
        const struct sql_node *element = sql_tree_get(item, "DefElem");
        const char *own = sql_node_text(sql_tree_get(element, "defname"));

        if (own && !strcmp(own, name))
            return element;
    }
    return NULL;
}

/* Not beside what says columns of the list once more, or asks for their names in the data. */
static bool takes_defaults(const struct sql_node *copy)
{
    const char *header = sql_tree_string(sql_tree_get(option(copy, "header"), "arg"));

    return sql_node_is_true(sql_tree_get(copy, "is_from")) && option(copy, "default") &&
           !option(copy, "force_null") && !option(copy, "force_not_null") &&
           !(header && !strcasecmp(header, "match"));
}

static bool in_list(const struct sql_node *list, const char *column)
{
    SQL_NODE_EACH_ITEM(item, list) {
        const char *name = sql_tree_string(item);

        if (name && !strcmp(name, column))
            return true;
    }
    return false;
}

const char *sql_copy_half(const struct sql_place *place, const struct sql_node *copy,
                          const char *column)
{
    const char *leading = takes_defaults(copy) ? sql_key_leading(place->rule, column) : NULL;

    return leading && strcmp(leading, column) != 0 &&
                   !in_list(sql_tree_get(copy, "attlist"), leading)
               ? leading
               : NULL;
}

void sql_copy_list(struct sql_work *w, const struct sql_place *place, const struct sql_node *copy,
                   size_t last)
{
    const struct sql_node *list = sql_tree_get(copy, "attlist");
    size_t n = sql_node_size(list);
    struct sql_span *spans;
    uint32_t end;

    if (!takes_defaults(copy))
        return;
    spans = mem_calloc(n + 1, sizeof(*spans));
    if (!sql_span_list(&w->tokens, last + 1, n, spans, &end))
        n = 0;
    for (size_t i = 0; i < n; i++) {
        const char *name = sql_tree_string(sql_node_at(list, i));
        const char *half = name ? sql_copy_half(place, copy, name) : NULL;

        if (half)
            sql_edits_add_take(&w->edits, spans[i].from, spans[i].to - spans[i].from,
                               sql_quote_ident(half));
    }
    free(spans);
}

/* ---- the condition ---- */

/* Without a list all columns of the session's side are in it. */
static bool is_listed(const struct sql_work *w, const struct sql_place *place,
                      const struct sql_node *list, const char *column)
{
    return list ? in_list(list, column) : sql_place_has(w, place, column) == SQL_HAS;
}

/* The half that has the value where the column has none; NULL: it has its own. */
static const char *half_given(const struct sql_work *w, const struct sql_place *place,
                              const struct sql_node *copy, const char *column)
{
    const struct sql_node *list = sql_tree_get(copy, "attlist");
    const char *leading = sql_key_leading(place->rule, column);
    const struct sql_twin_rule *pair = leading ? sql_key_pair(place->rule, column) : NULL;
    const char *other;

    if (!pair)
        return NULL;
    if (is_listed(w, place, list, column))
        return sql_copy_half(place, copy, column);
    other = strcmp(pair->old_name, column) ? pair->old_name : pair->new_name;
    if (is_listed(w, place, list, other))
        return sql_copy_half(place, copy, other) ? NULL : other;
    return strcmp(leading, column) != 0 ? other : NULL;
}

static void put_half(struct sql_work *w, const struct sql_place *place, const struct sql_node *copy,
                     const struct sql_node *ref)
{
    const struct sql_tokens *tokens = &w->tokens;
    const struct sql_node *fields = sql_tree_get(ref, "fields");
    size_t n = sql_node_size(fields);
    const char *column = n ? sql_tree_string(sql_node_at(fields, n - 1)) : NULL;
    const char *half = column ? half_given(w, place, copy, column) : NULL;
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
                      const struct sql_node *copy, const struct sql_node *node)
{
    SQL_NODE_EACH_ITEM(item, node)
        read_node(w, place, copy, item);
    SQL_NODE_EACH_MEMBER(member, node) {
        if (!strcmp(member->key, "ColumnRef"))
            put_half(w, place, copy, member);
        else
            read_node(w, place, copy, member);
    }
}

void sql_copy_where(struct sql_work *w, const struct sql_place *place, const struct sql_node *copy)
{
    const struct sql_node *where = sql_tree_get(copy, "whereClause");

    if (where && place->kind == SQL_PLACE_MIGRATING)
        read_node(w, place, copy, where);
}
