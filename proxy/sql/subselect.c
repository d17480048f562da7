#include "subselect.h"

#include "group.h"
#include "needs.h"
#include "record.h"
#include "segue/base/buf.h"
#include "segue/sql/expr.h"

bool sql_subselect_tokens(const struct sql_work *w, const struct sql_node *range, size_t *first,
                          size_t *last)
{
    const struct sql_tokens *tokens = &w->tokens;
    bool bracket;

    *first = *last = sql_tokens_at(tokens, sql_tree_location(range));
    while (sql_tokens_is(tokens, *last + 1, SQL_TOKEN_DOT))
        *last += 2;
    if (*last >= tokens->n || sql_tokens_is(tokens, *last + 1, PG_QUERY__TOKEN__UESCAPE))
        return false;
    if (sql_tokens_is(tokens, *last + 1, PG_QUERY__TOKEN__ASCII_42))
        ++*last;
    if (sql_node_is_true(sql_tree_get(range, "inh")))
        return true;
    bracket = *first > 1 && sql_tokens_is(tokens, *first - 1, SQL_TOKEN_OPEN);
    if (bracket && !sql_tokens_is(tokens, ++*last, SQL_TOKEN_CLOSE))
        return false;
    *first -= bracket ? 2 : 1;
    return sql_tokens_is(tokens, *first, PG_QUERY__TOKEN__ONLY);
}

/* An alias that counts columns keeps the place of one that is not needed: NULL of whatever type. */
static void put_columns(struct sql_work *w, struct buf *out, struct sql_scope *scope,
                        const struct sql_place *place)
{
    size_t seen = 0, counted = sql_node_size(place->aliases), put = 0;
    struct sql_needs needs = {.all = true};

    if (place->rule->partly)
        sql_needs_init(&needs, w, scope, place);
    for (size_t i = 0; i < place->rule->ncolumns; i++) {
        const struct rule_column *column = &place->rule->columns[i];
        bool needed;

        if (sql_work_hides(w, place->rule, column))
            continue;
        needed =
            sql_needs_has(&needs, w, scope, place, sql_place_called(place, seen, column->name));
        if (needed || seen < counted)
            buf_append_str(out, put++ ? ", " : " ");
        if (needed)
            sql_quote_ident_put(out, column->name);
        else if (seen < counted)
            buf_append_str(out, "NULL");
        seen++;
    }
    if (!seen)
        sql_work_doubt(w, SQL_DOUBT_STAR);
    sql_needs_fini(&needs);
}

static void wrap(struct sql_work *w, struct sql_scope *scope, const struct sql_place *place)
{
    struct buf text = {0};
    size_t first, last;

    if (w->edits.over)
        return;
    if (!sql_subselect_tokens(w, place->range, &first, &last)) {
        sql_work_doubt(w, SQL_DOUBT_CLAUSE);
        return;
    }
    w->out->by_columns = true;
    buf_append_str(&text, "(SELECT");
    put_columns(w, &text, scope, place);
    buf_append_str(&text, " FROM ");
    sql_edits_add_take(&w->edits, w->tokens.items[first].start, 0, buf_take(&text));
    buf_append_str(&text, ")");
    if (!sql_tree_get(place->range, "alias")) {
        buf_append_str(&text, " AS ");
        sql_quote_ident_put(&text, place->name);
    }
    sql_edits_add_take(&w->edits, w->tokens.items[last].end, 0, buf_take(&text));
}

/* ---- where it stays a table ---- */

/* Each of its columns has the place that the catalog says, and keeps it for as long as the rules
 * are true: none is on its way out, or perhaps not there yet, here or on a standby. */
static bool has_places(const struct rule *rule)
{
    for (size_t i = 0; i < rule->ncolumns; i++)
        if (rule->columns[i].sight == SQL_SEEN_BY_NOBODY)
            return false;
    return !rule->retypes && !rule->coming && !rule->early;
}

/* Nothing of it is shown, or said, but by names that are not hidden. */
static bool may_rename(const struct sql_work *w, struct sql_scope *scope,
                       const struct sql_place *place)
{
    const struct rule *rule = place->rule;
    struct sql_needs needs;
    bool may;

    if (place->written || place->other || w->names_only || !has_places(rule) ||
        (place->schemed && !sql_tree_get(place->range, "alias")) ||
        (place->fixed && sql_tree_get(scope->level, "groupClause")))
        return false;
    sql_needs_init(&needs, w, scope, place);
    may = !needs.all;
    for (size_t i = 0; i < rule->ncolumns; i++)
        may = may && (!sql_work_hides(w, rule, &rule->columns[i]) ||
                      !sql_needs_names(&needs, rule->columns[i].name));
    sql_needs_fini(&needs);
    return may;
}

/* All aliases that the place has, and those that hide. `at`: what makes them this place's own. */
static void put_list(const struct sql_work *w, struct buf *out, const struct sql_place *place,
                     uint32_t at)
{
    const struct rule *rule = place->rule;
    size_t seen = 0, end = rule->ncolumns;

    while (end > 0 && !sql_work_hides(w, rule, &rule->columns[end - 1]))
        end--;
    for (size_t i = 0; i < end || seen < sql_node_size(place->aliases); i++) {
        buf_append_str(out, i ? ", " : "(");
        if (i < rule->ncolumns && sql_work_hides(w, rule, &rule->columns[i]))
            buf_printf(out, "\"~segue_%u_%zu\"", (unsigned)at, i + 1);
        else
            sql_quote_ident_put(
                out,
                sql_place_called(place, seen++, i < rule->ncolumns ? rule->columns[i].name : ""));
    }
    buf_append_str(out, ")");
}

/* Rows that are locked, or told by their system columns, are a table's: there a list of aliases
 * gives its hidden columns names that nobody says. False: nothing has been done. */
static bool rename_hidden(struct sql_work *w, struct sql_scope *scope,
                          const struct sql_place *place)
{
    const struct sql_tokens *tokens = &w->tokens;
    struct buf text = {0};
    size_t first, last, end;
    uint32_t at;

    if (w->edits.over || !may_rename(w, scope, place) ||
        !sql_subselect_tokens(w, place->range, &first, &last))
        return false;
    at = tokens->items[first].start;
    if (!sql_tree_get(place->range, "alias")) {
        buf_append_str(&text, " AS ");
        sql_quote_ident_put(&text, place->name);
    } else {
        last += 1 + sql_tokens_is(tokens, last + 1, PG_QUERY__TOKEN__AS);
        if (last >= tokens->n || !tokens->items[last].word ||
            sql_tokens_is(tokens, last + 1, PG_QUERY__TOKEN__UESCAPE))
            return false;
    }
    end = place->aliases ? sql_tokens_close(tokens, last + 1) : last;
    if (end >= tokens->n || (place->aliases && !sql_tokens_is(tokens, last + 1, SQL_TOKEN_OPEN)))
        return false;
    w->out->by_columns = true;
    put_list(w, &text, place, at);
    sql_edits_add_take(&w->edits, tokens->items[last].end,
                       tokens->items[end].end - tokens->items[last].end, buf_take(&text));
    return true;
}

/* A table's row calls its fields as the table does; a sub-select's goes by the list of aliases. */
void sql_subselect_put(struct sql_work *w, struct sql_scope *scope, const struct sql_node *select)
{
    struct sql_record_level level = {.scope = scope, .grouping.select = select};

    for (size_t i = 0; i < scope->n; i++) {
        const struct sql_place *place = &scope->places[i];
        enum sql_record_wait rows = sql_record_waits(w, place);
        bool may = !scope->locking && !place->fixed && !place->written &&
                   (!(place->wrap || rows) || !sql_groups_by_key(w, place, select));

        if (place->wrap && !may) {
            if (!rename_hidden(w, scope, place))
                sql_work_doubt(w, SQL_DOUBT_JOIN);
        } else if (place->wrap || (rows == SQL_RECORD_EITHER && may && !place->aliases))
            wrap(w, scope, place);
        if (rows)
            sql_record_put(w, &level, place, !may || place->aliases);
    }
    sql_grouping_fini(&level.grouping);
}
