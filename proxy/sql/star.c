#include "star.h"

#include <stdlib.h>
#include <string.h>

#include "called.h"
#include "copy.h"
#include "name.h"
#include "needs.h"
#include "segue/base/buf.h"
#include "segue/base/mem.h"
#include "segue/sql/expr.h"

bool sql_star_is(const struct sql_node *ref)
{
    const struct sql_node *fields = sql_tree_get(ref, "fields");

    return sql_tree_get(sql_node_at(fields, sql_node_size(fields) - 1), "A_Star") != NULL;
}

bool sql_star_is_of(const struct sql_node *indirection)
{
    const struct sql_node *steps = sql_tree_get(indirection, "indirection");

    return sql_node_size(steps) == 1 && sql_tree_get(sql_node_at(steps, 0), "A_Star");
}

/* ---- the columns that a session sees, as text ---- */

/* Does the list of aliases call two columns the same? Only a star shows them then. */
static bool aliases_repeat(const struct sql_work *w, const struct sql_place *place)
{
    const struct rule *rule = place->rule;
    const char **names;
    bool repeat = false;
    size_t n = 0;

    if (!place->aliases || !sql_work_spend(w, rule->ncolumns * rule->ncolumns / 2))
        return false;
    names = mem_calloc(rule->ncolumns + 1, sizeof(*names));
    for (size_t i = 0; i < rule->ncolumns; i++) {
        if (sql_work_hides(w, rule, &rule->columns[i]))
            continue;
        names[n] = sql_place_called(place, n, rule->columns[i].name);
        for (size_t j = 0; j < n; j++)
            repeat = repeat || !strcmp(names[j], names[n]);
        n++;
    }
    free(names);
    return repeat;
}

/* `fields`: as (c).x, which is not always c.x: of RETURNING's old and new PostgreSQL 18 makes the
 * same row. */
static void put_columns(struct sql_work *w, struct buf *out, const struct sql_place *place,
                        const char *qualifier, bool fields)
{
    size_t seen = 0;

    for (size_t i = 0; i < place->rule->ncolumns; i++) {
        const struct rule_column *column = &place->rule->columns[i];

        if (sql_work_hides(w, place->rule, column))
            continue;
        if (seen)
            buf_append_str(out, ", ");
        buf_append_str(out, fields ? "(" : "");
        sql_quote_ident_put(out, qualifier);
        buf_append_str(out, fields ? ")." : ".");
        sql_quote_ident_put(out, sql_place_called(place, seen, column->name));
        seen++;
    }
    if (!seen)
        sql_work_doubt(w, SQL_DOUBT_STAR);
}

void sql_star_put_row(struct sql_work *w, struct buf *out, const struct sql_place *place,
                      const char *qualifier)
{
    size_t seen = 0;

    for (size_t i = 0; i < place->rule->ncolumns; i++) {
        const struct rule_column *column = &place->rule->columns[i];
        const char *name = sql_place_called(place, seen, column->name);

        if (sql_work_hides(w, place->rule, column))
            continue;
        buf_append_str(out, seen++ ? ", " : "");
        sql_quote_ident_put(out, qualifier);
        buf_append_str(out, ".");
        sql_quote_ident_put(out, name);
        if (strcmp(name, column->name) != 0) {
            buf_append_str(out, " AS ");
            sql_quote_ident_put(out, column->name);
        }
    }
    if (!seen)
        sql_work_doubt(w, SQL_DOUBT_STAR);
    if (aliases_repeat(w, place))
        sql_work_doubt(w, SQL_DOUBT_ROW);
}

static bool reads_early(const struct sql_work *w, const struct sql_place *place)
{
    const struct rule *rule = place->rule;

    if (!rule->early || !sql_work_is_new(w, rule))
        return false;
    for (size_t i = 0; i < rule->ncolumns; i++)
        if (rule->columns[i].sight == SQL_SEEN_BY_NEW)
            return true;
    return false;
}

void sql_star_note(struct sql_work *w, const struct sql_place *place)
{
    if (sql_place_hides(w, place))
        w->out->stars |= sql_work_bit(place->rule);
    if (reads_early(w, place))
        sql_place_is_early(w, place);
}

/* ---- stars ---- */

/* The star's own token: the last of `*`, `c.*`, `s.c.*` that begins at the location. */
static const struct sql_token *star_token(struct sql_work *w, const struct sql_node *star)
{
    size_t i = sql_tokens_at(&w->tokens, sql_tree_location(star));
    size_t names = sql_node_size(sql_tree_get(star, "fields")) - 1;

    for (; names > 0; names--) {
        if (!sql_tokens_is(&w->tokens, i + 1, SQL_TOKEN_DOT))
            return NULL;
        i += 2;
    }
    return sql_tokens_is(&w->tokens, i, PG_QUERY__TOKEN__ASCII_42) ? &w->tokens.items[i] : NULL;
}

static void replace_star(struct sql_work *w, const struct sql_node *star, struct buf *text)
{
    const struct sql_token *token = star_token(w, star);
    uint32_t from = (uint32_t)sql_tree_location(star);

    if (!token) {
        sql_work_doubt(w, SQL_DOUBT_STAR);
        buf_fini(text);
        return;
    }
    sql_edits_add_take(&w->edits, from, token->end - from, buf_take(text));
}

/* Must this place be spelled out? Sub-selects show the right columns by themselves. */
static bool is_starred(const struct sql_work *w, const struct sql_place *place)
{
    return place->kind == SQL_PLACE_MIGRATING && !place->wrap && sql_place_hides(w, place);
}

/* One relation twice under one name: the server refuses that before it looks at any star. */
static bool is_refused(const struct sql_work *w, const struct sql_scope *scope)
{
    if (!sql_work_spend(w, scope->n * scope->n / 2))
        return true;
    for (size_t i = 0; i < scope->n; i++) {
        const struct sql_place *a = &scope->places[i], *b = a + 1;

        for (; a->rule && !a->covered && b < scope->places + scope->n; b++)
            if (b->rule == a->rule && !b->covered && !b->qualified_only &&
                !strcmp(a->name, b->name))
                return true;
    }
    return false;
}

static void bare_star(struct sql_work *w, struct sql_scope *scope, const struct sql_node *star)
{
    struct buf text = {0};
    bool starred = false;

    if (w->edits.over || !sql_work_spend(w, scope->n))
        return;
    for (size_t i = 0; i < scope->n; i++) {
        struct sql_place *place = &scope->places[i];

        if (place->qualified_only)
            continue;
        if (place->kind == SQL_PLACE_MIGRATING)
            sql_star_note(w, place);
        starred = starred || is_starred(w, place);
    }
    if (!starred || is_refused(w, scope))
        return;
    if (scope->merged) /* beside what is written: nothing else calls the columns of USING */
        sql_work_doubt(w, SQL_DOUBT_STAR);
    for (size_t i = 0; i < scope->n; i++) {
        struct sql_place *place = &scope->places[i];

        if (place->qualified_only)
            continue;
        if (!sql_scope_call(w, place) || place->covered || !sql_place_is_unique(w, scope, place)) {
            sql_work_doubt(w, SQL_DOUBT_STAR);
            break;
        }
        if (text.len)
            buf_append_str(&text, ", ");
        if (is_starred(w, place)) {
            put_columns(w, &text, place, place->name, false);
        } else {
            sql_quote_ident_put(&text, place->name);
            buf_append_str(&text, ".*");
        }
    }
    replace_star(w, star, &text);
}

/* What the level writes to: the first of its places, but for the RETURNING of a MERGE. */
static struct sql_place *written_by(const struct sql_work *w, struct sql_scope *scope)
{
    if (!sql_work_spend(w, scope->n))
        return NULL;
    for (size_t i = 0; i < scope->n; i++)
        if (scope->places[i].written && !scope->places[i].qualified_only)
            return &scope->places[i];
    return NULL;
}

static bool is_called(const char *called, const char *name)
{
    return called && !strcmp(called, name);
}

struct sql_place *sql_star_returned(const struct sql_work *w, struct sql_scope *scope,
                                    const char *name)
{
    struct sql_place *place = NULL;

    for (; scope && !place; scope = scope->outer)
        place = written_by(w, scope);
    return place && (is_called(place->old, name) || is_called(place->new, name)) ? place : NULL;
}

bool sql_star_fits(const struct sql_work *w, const struct sql_place *place,
                   const struct sql_node *fields)
{
    size_t n = sql_node_size(fields);
    const char *schema = n > 2 ? sql_tree_string(sql_node_at(fields, n - 3)) : NULL;
    const char *database = n > 3 ? sql_tree_string(sql_node_at(fields, 0)) : NULL;

    if (n < 3 || !place->rule)
        return true;
    return n < 5 && schema && !strcmp(schema, place->rule->schema) &&
           sql_rules_is_here(w->rules, database) && !sql_tree_get(place->range, "alias");
}

/* Is it a relation by its own name, which may be said with that schema? */
static bool may_fit(const struct sql_work *w, const struct sql_place *place, const char *name,
                    const struct sql_node *fields)
{
    const char *schema = sql_tree_string(sql_node_at(fields, sql_node_size(fields) - 3));

    if ((place->kind != SQL_PLACE_MIGRATING && place->kind != SQL_PLACE_RELATION) ||
        place->covered || place->qualified_only || !place->name || strcmp(place->name, name) != 0 ||
        sql_tree_get(place->range, "alias"))
        return false;
    return place->rule ? sql_star_fits(w, place, fields)
                       : !place->schema || (schema && !strcmp(place->schema, schema));
}

struct sql_place *sql_star_qualifier(const struct sql_work *w, struct sql_scope *scope,
                                     const struct sql_node *fields)
{
    size_t n = sql_node_size(fields);
    const char *name = n > 1 ? sql_tree_string(sql_node_at(fields, n - 2)) : NULL;

    for (struct sql_scope *at = scope; n > 2 && name && at; at = at->outer)
        for (size_t i = 0; i < at->n && sql_work_spend(w, 1); i++)
            if (may_fit(w, &at->places[i], name, fields))
                return &at->places[i];
    return name ? sql_scope_place(w, scope, name) : NULL;
}

struct sql_place *sql_star_place(const struct sql_work *w, struct sql_scope *scope,
                                 const struct sql_node *star, const char **qualifier)
{
    const struct sql_node *fields = sql_tree_get(star, "fields");
    size_t n = sql_node_size(fields);
    const char *name = n >= 2 ? sql_tree_string(sql_node_at(fields, n - 2)) : NULL;
    struct sql_place *place = sql_star_qualifier(w, scope, fields);

    *qualifier = name;
    if (place && !sql_star_fits(w, place, fields))
        return NULL;
    if (!place && n == 2)
        place = sql_star_returned(w, scope, name);
    return place;
}

static void blank(struct sql_work *w, const struct sql_token *token)
{
    sql_edits_add_take(&w->edits, token->start, token->end - token->start, mem_strdup(" "));
}

/* `AS x` behind the last token of a star: the server takes no notice, but of a list's last column
 * it would be the name. */
static bool leave_out_name(struct sql_work *w, size_t last)
{
    const struct sql_tokens *tokens = &w->tokens;
    size_t name = last + 1 + sql_tokens_is(tokens, last + 1, PG_QUERY__TOKEN__AS);

    if (name >= tokens->n || sql_tokens_is(tokens, name + 1, PG_QUERY__TOKEN__UESCAPE))
        return false;
    sql_edits_add_take(&w->edits, tokens->items[last].end,
                       tokens->items[name].end - tokens->items[last].end, mem_strdup(""));
    return true;
}

/* Around the tokens of a star that is to be listed; a list in brackets would be a row. `target`:
 * the item that it is; NULL: it is in a row. */
static bool lay_bare(struct sql_work *w, const struct sql_node *target, size_t first, size_t last)
{
    const struct sql_tokens *tokens = &w->tokens;
    size_t at = target ? sql_tokens_at(tokens, sql_tree_location(target)) : first;

    if (!target)
        return !sql_tokens_is(tokens, first - 1, SQL_TOKEN_OPEN) ||
               !sql_tokens_is(tokens, last + 1, SQL_TOKEN_CLOSE) ||
               sql_tokens_is(tokens, first - 2, PG_QUERY__TOKEN__ROW) ||
               sql_tokens_is(tokens, first - 2, PG_QUERY__TOKEN__VALUES);
    for (; at < first; at++) {
        if (!sql_tokens_is(tokens, at, SQL_TOKEN_OPEN) ||
            !sql_tokens_is(tokens, ++last, SQL_TOKEN_CLOSE))
            return false;
        blank(w, &tokens->items[at]);
        blank(w, &tokens->items[last]);
    }
    return at == first && (!sql_tree_get(target, "name") || leave_out_name(w, last));
}

/* `target` as above. */
static void named_star(struct sql_work *w, struct sql_scope *scope, const struct sql_node *target,
                       const struct sql_node *star)
{
    const struct sql_token *token = star_token(w, star);
    const char *qualifier;
    struct sql_place *place = sql_star_place(w, scope, star, &qualifier);
    struct buf text = {0};

    if (!place || place->kind != SQL_PLACE_MIGRATING)
        return;
    sql_star_note(w, place);
    if (!sql_place_hides(w, place) || w->names_only) {
        sql_called_qualified(w, place, star);
        return;
    }
    if (sql_node_size(sql_tree_get(star, "fields")) > 2) {
        place->fixed = place->schemed = true;
        if (!sql_place_is_unique(w, scope, place))
            sql_work_doubt(w, SQL_DOUBT_STAR);
    }
    if (place->wrap || w->edits.over)
        return;
    if (!token || !lay_bare(w, target, sql_tokens_at(&w->tokens, sql_tree_location(star)),
                            (size_t)(token - w->tokens.items)))
        sql_work_doubt(w, SQL_DOUBT_STAR);
    put_columns(w, &text, place, qualifier, false);
    replace_star(w, star, &text);
}

/* `TABLE checks` is a star that is not written: errors about it have no position. */
static bool table_command(struct sql_work *w, struct sql_scope *scope)
{
    const struct sql_place *place = scope->n == 1 ? &scope->places[0] : NULL;
    size_t i = place && place->range ? sql_tokens_at(&w->tokens, sql_tree_location(place->range))
                                     : w->tokens.n;
    struct buf text = {0};

    if (i == 0 || !sql_tokens_is(&w->tokens, i - 1, PG_QUERY__TOKEN__TABLE))
        return false;
    if (place->kind == SQL_PLACE_MIGRATING)
        sql_star_note(w, place);
    if (!is_starred(w, place))
        return true;
    buf_append_str(&text, "SELECT ");
    put_columns(w, &text, place, place->name, false);
    buf_append_str(&text, " FROM");
    sql_edits_add_about(&w->edits, w->tokens.items[i - 1].start, 5, buf_take(&text), SQL_NOWHERE);
    return true;
}

void sql_star_target(struct sql_work *w, struct sql_scope *scope, const struct sql_node *target,
                     const struct sql_node *star)
{
    if (sql_node_size(sql_tree_get(star, "fields")) == 1) {
        if (!star_token(w, star) && table_command(w, scope))
            return;
        bare_star(w, scope, star);
    } else {
        named_star(w, scope, target, star);
    }
}

bool sql_star_fields(struct sql_work *w, struct sql_scope *scope, const struct sql_node *target,
                     const struct sql_node *steps)
{
    const struct sql_tokens *tokens = &w->tokens;
    const struct sql_node *name = sql_tree_get(sql_tree_get(steps, "arg"), "ColumnRef");
    const struct sql_node *fields = sql_tree_get(name, "fields");
    const char *row = sql_tree_string(sql_node_at(fields, 0));
    struct sql_place *place =
        row && sql_node_size(fields) == 1 ? sql_name_row(w, scope, row) : NULL;
    size_t i = sql_tokens_at(tokens, sql_tree_location(name)) - 1; /* the bracket */
    struct buf text = {0};

    if (!place || !sql_star_is_of(steps) || !sql_tokens_is(tokens, i, SQL_TOKEN_OPEN) ||
        !sql_tokens_is(tokens, i + 2, SQL_TOKEN_CLOSE) ||
        !sql_tokens_is(tokens, i + 4, PG_QUERY__TOKEN__ASCII_42))
        return false;
    sql_star_note(w, place);
    if (place->wrap) { /* in brackets it may be a hidden column of that name */
        sql_quote_ident_put(&text, row);
        buf_append_str(&text, ".*");
    } else {
        if (!lay_bare(w, target, i, i + 4))
            sql_work_doubt(w, SQL_DOUBT_STAR);
        put_columns(w, &text, place, row, strcmp(row, place->name) != 0);
    }
    blank(w, &tokens->items[i]); /* errors are told of the name, not of the bracket */
    sql_edits_add_take(&w->edits, tokens->items[i + 1].start,
                       tokens->items[i + 4].end - tokens->items[i + 1].start, buf_take(&text));
    return true;
}

void sql_star_in_row(struct sql_work *w, struct sql_scope *scope, const struct sql_node *star)
{
    named_star(w, scope, NULL, star);
}

/* ---- sub-selects ---- */

/* Column aliases count from the first column: are all that they count over the session's? */
static bool aliases_shift(const struct sql_work *w, const struct sql_place *place)
{
    size_t n = sql_node_size(place->aliases);

    if (n > 0 && place->rule->retypes)
        return true;
    for (size_t i = 0; i < place->rule->ncolumns && i < n; i++)
        if (sql_work_hides(w, place->rule, &place->rule->columns[i]))
            return true;
    return false;
}

/* Is a column of the list called as a hidden one? The server would see both. */
static bool aliases_meet(const struct sql_work *w, const struct sql_place *place)
{
    if (!sql_work_spend(w, sql_node_size(place->aliases)))
        return false;
    SQL_NODE_EACH_ITEM(item, place->aliases)
        for (size_t i = 0; i < place->rule->ncolumns; i++)
            if (sql_work_hides(w, place->rule, &place->rule->columns[i]) &&
                !strcmp(place->rule->columns[i].name, sql_tree_string(item)))
                return true;
    return false;
}

static bool has_bare_star(const struct sql_node *targets)
{
    SQL_NODE_EACH_ITEM(item, targets) {
        const struct sql_node *fields = sql_tree_get(
            sql_tree_get(sql_tree_get(sql_tree_get(item, "ResTarget"), "val"), "ColumnRef"),
            "fields");

        if (sql_node_size(fields) == 1 && sql_tree_get(sql_node_at(fields, 0), "A_Star"))
            return true;
    }
    return false;
}

void sql_star_joins(struct sql_work *w, struct sql_scope *scope, const struct sql_node *targets)
{
    bool nameless = scope->covered;

    for (size_t i = 0; i < scope->n; i++)
        nameless = nameless || !scope->places[i].name;
    for (size_t i = 0; i < scope->n; i++) {
        struct sql_place *place = &scope->places[i];

        if (place->kind != SQL_PLACE_MIGRATING)
            continue;
        if (scope->natural && reads_early(w, place)) /* perhaps by a column that is not filled */
            sql_place_is_early(w, place);
        if (!sql_place_hides(w, place))
            continue;
        if ((scope->natural && sql_needs_own_names(w, scope, place)) || place->covered ||
            aliases_shift(w, place) || aliases_repeat(w, place) || aliases_meet(w, place) ||
            ((scope->merged || nameless) && has_bare_star(targets)))
            place->wrap = true;
    }
}

/* ---- COPY ---- */

/* COPY ... TO: of all columns, or those of the list. */
static void read_list(struct sql_work *w, struct sql_place *place, const struct sql_node *list)
{
    if (!list && reads_early(w, place))
        sql_place_is_early(w, place);
    SQL_NODE_EACH_ITEM(item, list)
        sql_name_used(w, place, sql_tree_string(item), 0);
}

void sql_star_copy(struct sql_work *w, const struct sql_node *copy)
{
    struct sql_scope scope = {0};
    const struct sql_node *range = sql_tree_get(copy, "relation");
    bool from = sql_node_is_true(sql_tree_get(copy, "is_from"));
    struct sql_place *place = sql_scope_add_range(w, &scope, range, true);
    size_t last = sql_tokens_at(&w->tokens, sql_tree_location(range)), seen = 0;
    struct buf text = {0};

    sql_called_put(w, place, false);
    sql_called_where(w, place, sql_tree_get(copy, "whereClause"));
    sql_copy_where(w, place, copy);
    if (place->kind != SQL_PLACE_MIGRATING)
        goto out;
    if (!from)
        read_list(w, place, sql_tree_get(copy, "attlist"));
    while (sql_tokens_is(&w->tokens, last + 1, SQL_TOKEN_DOT))
        last += 2;
    if (sql_tree_get(copy, "attlist"))
        sql_copy_list(w, place, copy, last);
    if (!sql_place_hides(w, place) || sql_tree_get(copy, "attlist"))
        goto out;
    w->out->stars |= sql_work_bit(place->rule);
    if (last >= w->tokens.n || sql_tokens_is(&w->tokens, last + 1, PG_QUERY__TOKEN__UESCAPE)) {
        sql_work_doubt(w, SQL_DOUBT_CLAUSE);
        goto out;
    }
    for (size_t i = 0; i < place->rule->ncolumns; i++) {
        const struct rule_column *column = &place->rule->columns[i];
        const char *half;

        if (column->generated || sql_work_hides(w, place->rule, column))
            continue;
        half = sql_copy_half(place, copy, column->name);
        buf_append_str(&text, seen++ ? ", " : " (");
        sql_quote_ident_put(&text, half ? half : column->name);
    }
    buf_append_str(&text, ")");
    sql_edits_add_take(&w->edits, w->tokens.items[last].end, 0, buf_take(&text));
out:
    buf_fini(&text);
    sql_scope_fini(&scope);
}
