/* Lists of UPDATE ... SET, ON CONFLICT DO UPDATE SET, MERGE ... THEN UPDATE SET: `o = e` becomes
 * `o = e, n = e`, or `(o, n) = (SELECT ...)` where e is to be evaluated once. */
#include <stdlib.h>
#include <string.h>

#include "said.h"
#include "segue/base/mem.h"
#include "segue/sql/expr.h"
#include "twin.h"

/* WHEN is MERGE's next clause. A CASE has a WHEN, too, but is not copied. */
static const PgQuery__Token ends[] = {PG_QUERY__TOKEN__FROM, PG_QUERY__TOKEN__WHERE,
                                      PG_QUERY__TOKEN__RETURNING, PG_QUERY__TOKEN__WHEN, 0};

/* What is assigned to one column. */
struct value {
    size_t name; /* the column's token */
    const struct sql_node *expr;
    struct sql_span span;
    uint32_t end; /* of the assignment that it is in */
};

/* The assigned expression begins behind the = at the token `equals`. */
static bool place(const struct sql_work *w, size_t equals, struct value *value)
{
    const struct sql_tokens *tokens = &w->tokens;
    size_t end;

    if (!sql_tokens_is(tokens, equals, SQL_TOKEN_EQUALS) || equals + 1 >= tokens->n)
        return false;
    end = sql_expr_end(tokens, equals + 1, ends);
    value->end = tokens->items[end - 1].end;
    value->span = (struct sql_span){tokens->items[equals + 1].start, value->end};
    return true;
}

/* The element `index` of a list of values, or of ROW(), inside of value->span. */
static bool element(const struct sql_work *w, const struct sql_node *row, size_t index,
                    struct value *value)
{
    const struct sql_node *args = sql_tree_get(row, "args");
    size_t n = sql_node_size(args);
    uint32_t at = (uint32_t)sql_tree_location(row), last;
    size_t open = sql_tokens_at(&w->tokens, (int)at);
    struct sql_span *spans = mem_calloc(n + 1, sizeof(*spans));
    bool found;

    if (sql_tokens_is(&w->tokens, open, PG_QUERY__TOKEN__ROW))
        open++;
    found = at >= value->span.from && at < value->span.to && index < n &&
            sql_span_list(&w->tokens, open, n, spans, &last);
    if (found) {
        value->expr = sql_node_at(args, index);
        value->span = spans[index];
    }
    free(spans);
    return found;
}

/* (a, o) = (1, 2), with o at the token `name`. Of a sub-select nothing is copied. */
static bool multiple(const struct sql_work *w, size_t name, const struct sql_node *assign,
                     struct value *value)
{
    const struct sql_tokens *tokens = &w->tokens;
    const struct sql_node *row = sql_tree_get(sql_tree_get(assign, "source"), "RowExpr");
    int64_t number = sql_node_number(sql_tree_get(assign, "colno"));
    int64_t columns = sql_node_number(sql_tree_get(assign, "ncolumns"));
    size_t close = name;

    while (close < tokens->n && tokens->items[close].depth >= tokens->items[name].depth)
        close++;
    if (!sql_tokens_is(tokens, name + 1, SQL_TOKEN_COMMA) && close != name + 1)
        return false; /* a name of more tokens */
    return row && number > 0 && sql_node_size(sql_tree_get(row, "args")) == (size_t)columns &&
           place(w, close + 1, value) && element(w, row, (size_t)number - 1, value);
}

static bool find_value(const struct sql_work *w, const struct sql_node *target, struct value *value)
{
    size_t name = sql_tokens_at(&w->tokens, sql_tree_location(target));
    const struct sql_node *val = sql_tree_get(target, "val");
    const struct sql_node *assign = sql_tree_get(val, "MultiAssignRef");

    if (name == w->tokens.n)
        return false;
    value->name = name;
    if (assign)
        return multiple(w, name, assign, value);
    value->expr = val;
    return place(w, name + 1, value);
}

static void put(struct sql_work *w, const struct value *value, const char *name)
{
    char *quoted = sql_quote_ident(name);

    sql_edits_add_take(&w->edits, value->end, 0,
                       mem_printf(", %s = %.*s", quoted, (int)(value->span.to - value->span.from),
                                  w->text + value->span.from));
    free(quoted);
}

/* ---- evaluated once ---- */

/* Its bytes, of names with dots between them. Empty: not certain, or edited. */
static struct sql_span column_span(const struct sql_work *w, const struct sql_node *column)
{
    const struct sql_tokens *tokens = &w->tokens;
    size_t n = sql_node_size(sql_tree_get(column, "fields"));
    size_t first = column ? sql_tokens_at(tokens, sql_tree_location(column)) : tokens->n;
    size_t last = first + 2 * (n - 1);
    struct sql_span span;

    if (n == 0 || last >= tokens->n)
        return (struct sql_span){0};
    for (size_t i = first; i <= last; i++)
        if ((i - first) % 2 ? !sql_tokens_is(tokens, i, SQL_TOKEN_DOT) : !tokens->items[i].word)
            return (struct sql_span){0};
    span = (struct sql_span){tokens->items[first].start, tokens->items[last].end};
    return sql_span_is_own(w, span) ? span : (struct sql_span){0};
}

/* Is it for certain one of the row that is written, or of `excluded`? A generated one may be a
 * constant. */
static bool is_of_written(const struct sql_work *w, struct sql_scope *scope,
                          const struct sql_node *column)
{
    const struct sql_node *fields = sql_tree_get(column, "fields");
    size_t n = sql_node_size(fields);
    const char *name = sql_tree_string(sql_node_at(fields, n - 1));
    const char *of = n > 1 ? sql_tree_string(sql_node_at(fields, n - 2)) : NULL;
    const struct sql_place *place = of ? sql_scope_place(w, scope, of) : &scope->places[0];

    if (!name || n > 2 || (n > 1) != (of != NULL) || !place || !place->written || !place->rule)
        return false;
    for (size_t i = 0; i < place->rule->ncolumns; i++)
        if (!strcmp(place->rule->columns[i].name, name))
            return !place->rule->columns[i].generated &&
                   (of || sql_said_has(w, place, name) == SQL_HAS);
    return false;
}

/* Such a column that is read there, outside of sub-selects. */
static struct sql_span read_of_row(const struct sql_work *w, struct sql_scope *scope,
                                   const struct sql_node *node)
{
    struct sql_span found = {0};

    SQL_NODE_EACH_ITEM(item, node) {
        if (found.to == 0)
            found = read_of_row(w, scope, item);
    }
    SQL_NODE_EACH_MEMBER(member, node) {
        if (found.to != 0 || !strcmp(member->key, "SubLink"))
            continue;
        if (strcmp(member->key, "ColumnRef") != 0)
            found = read_of_row(w, scope, member);
        else if (is_of_written(w, scope, member))
            found = column_span(w, member);
    }
    return found;
}

/* Is what else is assigned without an effect? The sub-select is evaluated in front of all of it. */
static bool others_are_calm(const struct sql_work *w, const struct sql_node *list, size_t but)
{
    for (size_t i = 0; i < sql_node_size(list); i++)
        if (i != but && !sql_expr_is_calm(w, sql_node_at(list, i)))
            return false;
    return true;
}

/* `o = f()` becomes (o, n) = (SELECT "~c", "~c" FROM (SELECT f() AS "~c")). That is evaluated for
 * each row only when something of the row is read in it, and that of the one that is written: of
 * VALUES (7) the planner makes a constant. What the statement reads it may read, and there it must
 * not be what "~c" says. */
static void put_once(struct sql_work *w, struct sql_scope *scope, const struct sql_node *node,
                     const struct sql_twin *twin, const struct value *value)
{
    const struct sql_token *name = &w->tokens.items[value->name];
    struct sql_span read = read_of_row(w, scope, value->expr);
    char *quoted;

    if (read.to == 0)
        read = read_of_row(w, scope, sql_tree_get(node, "whereClause"));
    if (read.to == 0 || !sql_span_may_move(w, value->span, value->expr) ||
        !others_are_calm(w, sql_tree_get(node, "targetList"), twin->of))
        return;
    quoted = sql_quote_ident(twin->name);
    sql_edits_add_take(&w->edits, name->start, 0, mem_strdup("("));
    sql_edits_add_take(&w->edits, name->end, 0, mem_printf(", %s)", quoted));
    sql_edits_add_take(&w->edits, value->span.from, 0,
                       mem_strdup("(SELECT \"~c\", \"~c\" FROM (SELECT "));
    /* OFFSET 0 keeps the planner from evaluating it at each place where it is used, and a function
     * from finding out that the row does not matter */
    sql_edits_add_take(
        &w->edits, value->span.to, 0,
        mem_strdup(" AS \"~c\" OFFSET 0) AS \"~segue\" WHERE pg_catalog.num_nulls("));
    sql_edits_add_moved(&w->edits, value->span.to, w->text, read.from, read.to);
    sql_edits_add_take(&w->edits, value->span.to, 0, mem_strdup(") OPERATOR(pg_catalog.>=) 0)"));
    free(quoted);
}

/* ---- DEFAULT ---- */

/* Only one half has a default: the old one until the cut-over, then the new one. To the other it
 * would be NULL, and the guard would believe that. Set is the half that has it; the guard does the
 * rest. What PREPARE keeps, too: when the default has moved it is prepared again. */
static bool put_default(struct sql_work *w, const struct rule *table, const struct sql_twin *twin,
                        const struct value *value)
{
    const struct sql_token *token = &w->tokens.items[value->name];

    if (!sql_tree_get(value->expr, "SetToDefault") || twin->is_old == table->reversed)
        return false;
    sql_edits_add_take(&w->edits, token->start, token->end - token->start,
                       sql_quote_ident(twin->name));
    return true;
}

/* Of pairs that are no twins nothing else is written. */
static void put_defaults(struct sql_work *w, const struct rule *table, const struct sql_node *list,
                         const struct sql_written *written, struct sql_twin *pairs)
{
    size_t n = sql_twins_missing(table->pairs, table->npairs, written, sql_node_size(list), pairs);

    for (size_t i = 0; i < n; i++) {
        struct value value = {0};

        if (find_value(w, sql_tree_get(sql_node_at(list, pairs[i].of), "ResTarget"), &value))
            put_default(w, table, &pairs[i], &value);
    }
}

/* ---- the list ---- */

void sql_set_twins(struct sql_work *w, struct sql_scope *scope, const struct rule *table,
                   const struct sql_node *node)
{
    const struct sql_node *list = sql_tree_get(node, "targetList");
    size_t n = sql_node_size(list);
    struct sql_written *written = mem_calloc(n + 1, sizeof(*written));
    struct sql_twin *twins = mem_calloc(table->ntwins + table->npairs + 1, sizeof(*twins));
    size_t ntwins;

    sql_written_of(list, written);
    put_defaults(w, table, list, written, twins);
    ntwins = sql_twins_missing(table->twins, table->ntwins, written, n, twins);
    for (size_t i = 0; i < ntwins; i++) {
        const struct sql_node *target = sql_tree_get(sql_node_at(list, twins[i].of), "ResTarget");
        struct value value = {0};

        if (!find_value(w, target, &value) || put_default(w, table, &twins[i], &value) || w->kept ||
            sql_work_fickle(w))
            continue;
        if (sql_span_may_copy(w, value.span, value.expr))
            put(w, &value, twins[i].name);
        else if (scope && !sql_tree_get(sql_tree_get(target, "val"), "MultiAssignRef"))
            put_once(w, scope, node, &twins[i], &value);
    }
    free(written);
    free(twins);
}
