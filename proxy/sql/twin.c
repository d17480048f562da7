#include "twin.h"

#include <string.h>

#include "record.h"

/* ---- which ---- */

void sql_written_of(const struct sql_node *list, struct sql_written *written)
{
    for (size_t i = 0; i < sql_node_size(list); i++) {
        const struct sql_node *target = sql_tree_get(sql_node_at(list, i), "ResTarget");

        written[i].name = sql_node_text(sql_tree_get(target, "name"));
        written[i].whole = !sql_tree_get(target, "indirection");
    }
}

/* The first from `from` on of that name; n: none. */
static size_t find(const struct sql_written *written, size_t from, size_t n, const char *name)
{
    for (; from < n; from++)
        if (written[from].name && !strcmp(written[from].name, name))
            break;
    return from;
}

size_t sql_twins_missing(const struct sql_twin_rule *rules, size_t nrules,
                         const struct sql_written *written, size_t n, struct sql_twin *twins)
{
    size_t count = 0;

    for (size_t i = 0; i < nrules; i++) {
        const struct sql_twin_rule *twin = &rules[i];
        size_t o = find(written, 0, n, twin->old_name), m = find(written, 0, n, twin->new_name);
        size_t of = o < n ? o : m;

        if ((o < n) == (m < n))
            continue;
        if (written[of].whole && find(written, of + 1, n, written[of].name) == n)
            twins[count++] = (struct sql_twin){o < n ? twin->new_name : twin->old_name, of, o == n};
    }
    return count;
}

/* ---- where ---- */

int sql_expr_location(const struct sql_node *expr)
{
    while (expr) {
        const char *kind = sql_tree_kind(expr);
        const struct sql_node *node = kind ? sql_tree_get(expr, kind) : NULL;

        if (sql_tree_location(node) > 0)
            return sql_tree_location(node);
        expr = sql_tree_get(node, "arg"); /* int '1', (a).b */
    }
    return -1;
}

bool sql_span_list(const struct sql_tokens *tokens, size_t open, size_t n, struct sql_span *items,
                   uint32_t *end)
{
    size_t close = sql_tokens_close(tokens, open), from = open + 1, count = 0;

    if (!sql_tokens_is(tokens, open, SQL_TOKEN_OPEN) || close == tokens->n)
        return false;
    for (size_t i = from; i <= close; i++) {
        bool comma = tokens->items[i].kind == SQL_TOKEN_COMMA &&
                     tokens->items[i].depth == tokens->items[open].depth + 1;

        if (i < close && !comma)
            continue;
        if (count == n || i == from)
            return false;
        items[count].from = tokens->items[from].start;
        items[count++].to = tokens->items[i - 1].end;
        from = i + 1;
    }
    *end = tokens->items[close - 1].end;
    return count == n;
}

/* FROM in IS [NOT] DISTINCT FROM, GROUP in WITHIN GROUP (...): inside of an expression. */
static bool is_operator(const struct sql_tokens *tokens, size_t i)
{
    if (sql_tokens_is(tokens, i, PG_QUERY__TOKEN__GROUP_P))
        return !sql_tokens_is(tokens, i + 1, PG_QUERY__TOKEN__BY);
    return i >= 2 && tokens->items[i].kind == PG_QUERY__TOKEN__FROM &&
           tokens->items[i - 1].kind == PG_QUERY__TOKEN__DISTINCT &&
           (tokens->items[i - 2].kind == PG_QUERY__TOKEN__IS ||
            tokens->items[i - 2].kind == PG_QUERY__TOKEN__NOT);
}

size_t sql_expr_end(const struct sql_tokens *tokens, size_t from, const PgQuery__Token *ends)
{
    size_t end = sql_tokens_item_end(tokens, from, ends);

    /* Behind AS and a dot any word is just a name. */
    while (end < tokens->n && tokens->items[end].word && end > from &&
           (tokens->items[end - 1].kind == PG_QUERY__TOKEN__AS ||
            tokens->items[end - 1].kind == SQL_TOKEN_DOT || is_operator(tokens, end)))
        end = sql_tokens_item_end(tokens, end, ends);
    return end;
}

/* ---- may it ---- */

bool sql_span_is_own(const struct sql_work *w, struct sql_span span)
{
    return !sql_edits_touch(&w->edits, span.from, span.to) &&
           !sql_record_touches(w, span.from, span.to);
}

/* Does the tree agree about the place, and is the text still the client's own? */
static bool is_there(const struct sql_work *w, struct sql_span span, const struct sql_node *expr)
{
    int location = sql_expr_location(expr);

    return location >= 0 && (uint32_t)location >= span.from && (uint32_t)location < span.to &&
           sql_span_is_own(w, span);
}

const struct sql_node *sql_column_read(const struct sql_node *node)
{
    const struct sql_node *found = NULL;

    SQL_NODE_EACH_ITEM(item, node) {
        if (!found)
            found = sql_column_read(item);
    }
    SQL_NODE_EACH_MEMBER(member, node) {
        if (!found && strcmp(member->key, "SubLink") != 0)
            found = strcmp(member->key, "ColumnRef") != 0 ? sql_column_read(member) : member;
    }
    return found;
}

bool sql_span_may_copy(const struct sql_work *w, struct sql_span span, const struct sql_node *expr)
{
    return span.to - span.from <= SQL_COPY_BYTES_MAX && is_there(w, span, expr) &&
           sql_expr_may_repeat(w, expr);
}

bool sql_span_may_move(const struct sql_work *w, struct sql_span span, const struct sql_node *expr)
{
    return is_there(w, span, expr) && sql_expr_may_move(w, expr);
}
