#include "key.h"

#include <stdlib.h>
#include <string.h>

#include "group.h"
#include "name.h"
#include "segue/base/mem.h"
#include "segue/sql/expr.h"
#include "twin.h"

static const struct sql_twin_rule *find(const struct sql_twin_rule *pairs, size_t n,
                                        const char *column)
{
    for (size_t i = 0; i < n; i++)
        if (!strcmp(pairs[i].old_name, column) || !strcmp(pairs[i].new_name, column))
            return &pairs[i];
    return NULL;
}

const struct sql_twin_rule *sql_key_pair(const struct rule *rule, const char *column)
{
    const struct sql_twin_rule *twins = find(rule->twins, rule->ntwins, column);

    return twins ? twins : find(rule->pairs, rule->npairs, column);
}

const char *sql_key_leading(const struct rule *rule, const char *column)
{
    const struct sql_twin_rule *pair = find(rule->twins, rule->ntwins, column);

    if (!pair)
        return NULL;
    return rule->reversed ? pair->new_name : pair->old_name;
}

static bool is_in_key(const struct rule *rule, const char *column)
{
    for (char **key = rule->key; key && *key; key++)
        if (!strcmp(*key, column))
            return true;
    return false;
}

/* The half of a column of the key that the key is over; the column itself where it has but one.
 * NULL: none of the key's. What the catalog has said may be of before the last turn. */
static const char *half_now(const struct rule *rule, const char *column)
{
    const struct sql_twin_rule *pair = sql_key_pair(rule, column);

    if (!pair)
        return is_in_key(rule, column) ? column : NULL;
    if (!is_in_key(rule, pair->old_name) && !is_in_key(rule, pair->new_name))
        return NULL;
    return rule->reversed ? pair->new_name : pair->old_name;
}

/* ---- GROUP BY ---- */

static void add_half(struct sql_work *w, struct sql_scope *scope, const struct sql_node *select,
                     const struct sql_node *ref)
{
    const struct sql_tokens *tokens = &w->tokens;
    size_t n = sql_node_size(sql_tree_get(ref, "fields"));
    size_t last = sql_tokens_at(tokens, sql_tree_location(ref)) + 2 * (n - 1);
    const char *column, *half;
    struct sql_place *place =
        sql_name_grouped(w, scope, ref, sql_tree_get(select, "targetList"), &column);
    char *of, *name;

    if (!place || place->kind != SQL_PLACE_MIGRATING || place->aliases || !place->name ||
        sql_scope_place(w, scope, place->name) != place)
        return;
    half = half_now(place->rule, column);
    if (!half || !strcmp(half, column) || !sql_groups_by_key(w, place, select) ||
        last >= tokens->n || !tokens->items[last].word ||
        sql_tokens_is(tokens, last + 1, PG_QUERY__TOKEN__UESCAPE))
        return;
    place->fixed = true; /* a sub-select would have no key */
    of = sql_quote_ident(place->name);
    name = sql_quote_ident(half);
    sql_edits_add_take(&w->edits, tokens->items[last].end, 0, mem_printf(", %s.%s", of, name));
    free(name);
    free(of);
}

void sql_key_group(struct sql_work *w, struct sql_scope *scope, const struct sql_node *select)
{
    SQL_NODE_EACH_ITEM(item, sql_tree_get(select, "groupClause")) {
        const struct sql_node *ref = sql_tree_get(item, "ColumnRef");

        if (ref)
            add_half(w, scope, select, ref);
    }
}

/* ---- ON CONFLICT ---- */

/* Are these all columns of the key, by whichever names? */
static bool is_key(const struct rule *table, const struct sql_node *elements)
{
    size_t n = 0;

    SQL_NODE_EACH_ITEM(item, elements) {
        const char *name = sql_node_text(sql_tree_get(sql_tree_get(item, "IndexElem"), "name"));

        if (!name || !half_now(table, name))
            return false;
    }
    for (char **key = table->key; key && *key; key++)
        n++;
    return n > 0 && n == sql_node_size(elements);
}

bool sql_key_conflict(struct sql_work *w, const struct rule *table, const struct sql_node *infer)
{
    const struct sql_node *elements = sql_tree_get(infer, "indexElems");
    size_t n = sql_node_size(elements);
    size_t open = infer ? sql_tokens_at(&w->tokens, sql_tree_location(infer)) : w->tokens.n;
    struct sql_span *spans;
    uint32_t end;
    bool placed, all;

    if (!is_key(table, elements) || !sql_tokens_is(&w->tokens, open, SQL_TOKEN_OPEN))
        return false;
    spans = mem_calloc(n, sizeof(*spans));
    placed = all = sql_span_list(&w->tokens, open, n, spans, &end);
    for (size_t i = 0; placed && i < n; i++) {
        const char *name = sql_node_text(
            sql_tree_get(sql_tree_get(sql_node_at(elements, i), "IndexElem"), "name"));
        const char *half = half_now(table, name);
        size_t token = sql_tokens_at(&w->tokens, (int)spans[i].from);

        /* a name alone: no operator class, no collation */
        if (strcmp(half, name) == 0)
            continue;
        if (token < w->tokens.n && w->tokens.items[token].word &&
            w->tokens.items[token].end == spans[i].to)
            sql_edits_add_take(&w->edits, spans[i].from, spans[i].to - spans[i].from,
                               sql_quote_ident(half));
        else
            all = false;
    }
    free(spans);
    return all;
}
