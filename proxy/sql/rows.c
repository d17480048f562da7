#include "rows.h"

#include <stdlib.h>
#include <string.h>

#include "segue/base/buf.h"
#include "segue/base/mem.h"

#define MOVED_MAX 16 /* values of one statement; past them the guard costs less than the plan */

void sql_rows_fini(struct sql_rows *rows)
{
    free(rows->values);
    free(rows->spans);
    free(rows->ends);
    free(rows->moved);
    *rows = (struct sql_rows){0};
}

static const struct sql_node *target_of(const struct sql_node *targets, size_t i)
{
    return sql_tree_get(sql_node_at(targets, i), "ResTarget");
}

static size_t stars_at(const struct sql_node *targets)
{
    size_t i = 0;

    while (i < sql_node_size(targets) && !sql_is_star(sql_tree_get(target_of(targets, i), "val")))
        i++;
    return i;
}

static const struct sql_node *row_of(const struct sql_node *lists, size_t i)
{
    return sql_tree_get(sql_tree_get(sql_node_at(lists, i), "List"), "items");
}

/* ---- VALUES ---- */

/* Outwards from the expression: brackets around it, until one that VALUES stands in front of. */
size_t sql_rows_open(const struct sql_tokens *tokens, const struct sql_node *expr)
{
    size_t i = sql_tokens_at(tokens, sql_expr_location(expr));
    uint32_t depth = i < tokens->n ? tokens->items[i].depth : 0;

    if (i == tokens->n)
        return i;
    while (i-- > 1) {
        if (tokens->items[i].depth >= depth)
            continue;
        depth = tokens->items[i].depth;
        if (tokens->items[i].kind == SQL_TOKEN_OPEN &&
            tokens->items[i - 1].kind == PG_QUERY__TOKEN__VALUES)
            return i;
    }
    return tokens->n;
}

static void make_room(struct sql_rows *rows)
{
    size_t need = (rows->n + 1) * rows->ncolumns;

    mem_grow((void **)&rows->values, &rows->cap, need, sizeof(*rows->values));
    mem_grow((void **)&rows->spans, &rows->cap_s, need, sizeof(*rows->spans));
    mem_grow((void **)&rows->moved, &rows->cap_m, need, sizeof(*rows->moved));
    mem_grow((void **)&rows->ends, &rows->cap_e, rows->n + 1, sizeof(*rows->ends));
}

bool sql_rows_add(const struct sql_work *w, struct sql_rows *rows, const struct sql_node *values,
                  size_t *open)
{
    size_t n = sql_node_size(values), at = rows->n * n;

    if (n == 0 || (rows->n > 0 && n != rows->ncolumns))
        return false;
    rows->ncolumns = n;
    rows->label = "";
    make_room(rows);
    if (!sql_span_list(&w->tokens, *open, n, &rows->spans[at], &rows->ends[rows->n]))
        return false;
    for (size_t i = 0; i < n; i++) {
        rows->values[at + i] = sql_node_at(values, i);
        rows->moved[at + i] = false;
    }
    rows->n++;
    *open = sql_tokens_close(&w->tokens, *open) + 1;
    return true;
}

static bool read_values(const struct sql_work *w, struct sql_rows *rows,
                        const struct sql_node *lists)
{
    size_t open = sql_rows_open(&w->tokens, sql_node_at(row_of(lists, 0), 0));

    for (size_t i = 0; i < sql_node_size(lists); i++) {
        if (i > 0 && !sql_tokens_is(&w->tokens, open++, SQL_TOKEN_COMMA))
            return false;
        if (!sql_rows_add(w, rows, row_of(lists, i), &open))
            return false;
    }
    return true;
}

/* ---- SELECT ---- */

/* Behind the last target. The tree must agree about FROM, which IS DISTINCT FROM has as well. */
static size_t targets_end(const struct sql_work *w, const struct sql_node *select, size_t last)
{
    static const PgQuery__Token ends[] = {
        PG_QUERY__TOKEN__FROM,
        PG_QUERY__TOKEN__WHERE,
        PG_QUERY__TOKEN__GROUP_P,
        PG_QUERY__TOKEN__HAVING,
        PG_QUERY__TOKEN__WINDOW,
        PG_QUERY__TOKEN__ORDER,
        PG_QUERY__TOKEN__LIMIT,
        PG_QUERY__TOKEN__OFFSET,
        PG_QUERY__TOKEN__FETCH,
        PG_QUERY__TOKEN__FOR,
        PG_QUERY__TOKEN__ON,
        PG_QUERY__TOKEN__RETURNING,
        PG_QUERY__TOKEN__UNION,
        PG_QUERY__TOKEN__EXCEPT,
        PG_QUERY__TOKEN__INTERSECT,
        PG_QUERY__TOKEN__INTO,
        0,
    };
    size_t end = sql_expr_end(&w->tokens, last, ends);
    bool from = sql_tokens_is(&w->tokens, end, PG_QUERY__TOKEN__FROM);

    return from == (sql_tree_get(select, "fromClause") != NULL) ? end : w->tokens.n + 1;
}

/* The expression alone, of a target between two tokens: without AS and its label. An empty span
 * when the label is more than one token (U&"" with UESCAPE). */
static struct sql_span target_span(const struct sql_tokens *tokens, const struct sql_node *target,
                                   size_t from, size_t to)
{
    if (sql_tree_get(target, "name")) {
        to--;
        if (!tokens->items[to].word)
            return (struct sql_span){0};
        if (tokens->items[to - 1].kind == PG_QUERY__TOKEN__AS)
            to--;
    }
    if (to <= from)
        return (struct sql_span){0};
    return (struct sql_span){tokens->items[from].start, tokens->items[to - 1].end};
}

/* A set operation has no targets; behind DISTINCT there are none that could be repeated. */
static bool read_select(const struct sql_work *w, struct sql_rows *rows,
                        const struct sql_node *select)
{
    const struct sql_tokens *tokens = &w->tokens;
    const struct sql_node *targets = sql_tree_get(select, "targetList");
    size_t n = sql_node_size(targets);
    size_t from = sql_tokens_at(tokens, sql_tree_location(target_of(targets, 0)));

    rows->ncolumns = stars_at(targets);
    rows->label = " AS \"~segue\""; /* a bare name could become what ORDER BY means */
    if (rows->ncolumns == 0 || from == 0 || from == tokens->n ||
        (tokens->items[from - 1].kind != PG_QUERY__TOKEN__SELECT &&
         tokens->items[from - 1].kind != PG_QUERY__TOKEN__ALL))
        return false;
    make_room(rows);
    for (size_t i = 0; i < n; i++) {
        size_t next = i + 1 < n
                          ? sql_tokens_at(tokens, sql_tree_location(target_of(targets, i + 1)))
                          : targets_end(w, select, from) + 1;

        if (next > tokens->n + 1 || next < from + 2 ||
            (i + 1 < n && (!sql_tokens_is(tokens, next - 1, SQL_TOKEN_COMMA) ||
                           tokens->items[next - 1].depth != tokens->items[from].depth)))
            return false;
        if (i < rows->ncolumns) {
            rows->values[i] = sql_tree_get(target_of(targets, i), "val");
            rows->moved[i] = false;
            rows->spans[i] = target_span(tokens, target_of(targets, i), from, next - 1);
        }
        rows->ends[0] = tokens->items[next - 2].end;
        from = next;
    }
    rows->n = 1;
    return true;
}

/* ROLLUP and the like make NULL of a constant that is grouped by its place, but not of its copy. */
static bool has_grouping_sets(const struct sql_node *select)
{
    const struct sql_node *groups = sql_tree_get(select, "groupClause");

    for (size_t i = 0; i < sql_node_size(groups); i++)
        if (sql_tree_get(sql_node_at(groups, i), "GroupingSet"))
            return true;
    return false;
}

/* With any of these VALUES is a query, in which there is no DEFAULT. */
static bool takes_defaults(const struct sql_node *select)
{
    static const char *const clauses[] = {"sortClause", "limitCount", "limitOffset",
                                          "lockingClause", "withClause"};

    for (size_t i = 0; i < ARRAY_LEN(clauses); i++)
        if (sql_tree_get(select, clauses[i]))
            return false;
    return true;
}

bool sql_rows_read(const struct sql_work *w, struct sql_rows *rows, const struct sql_node *select)
{
    const struct sql_node *lists = sql_tree_get(select, "valuesLists");

    if (lists) {
        rows->defaults = takes_defaults(select);
        return sql_width_of_row(row_of(lists, 0)) != SQL_WIDTH_UNKNOWN &&
               read_values(w, rows, lists);
    }
    return !has_grouping_sets(select) && read_select(w, rows, select);
}

/* ---- moving ---- */

/* The value is evaluated where the first of both columns is due. An old twin stands in front of
 * columns whose values, or defaults, were evaluated before it. A type that a parameter is given by
 * its first use must not come from another one. */
static bool may_move(struct sql_work *w, struct sql_rows *rows, size_t row,
                     const struct sql_twin *twin)
{
    size_t at = row * rows->ncolumns + twin->of;

    if (rows->moved[at])
        return true;
    if (!rows->moves || !rows->defaults || twin->is_old || rows->nmoved == MOVED_MAX ||
        sql_column_read(rows->values[at]) ||
        !sql_span_may_move(w, rows->spans[at], rows->values[at]) ||
        sql_tokens_share(&w->tokens, w->text, rows->spans[at].from, rows->spans[at].to))
        return false;
    rows->nmoved++;
    return rows->moved[at] = true;
}

/* The value into a WITH of its own. Returns what stands for it. */
static char *move(struct sql_work *w, const struct sql_rows *rows, size_t cell, size_t number)
{
    struct sql_span span = rows->spans[cell];
    bool last = number == rows->nmoved;
    const char *front = number > 1 ? ", " : rows->with ? " " : "WITH ";

    sql_edits_add_take(&w->edits, rows->with_at, 0,
                       mem_printf("%s\"~segue%zu\" AS MATERIALIZED (SELECT ", front, number));
    sql_edits_add_moved(&w->edits, rows->with_at, w->text, span.from, span.to);
    sql_edits_add_take(&w->edits, rows->with_at, 0,
                       mem_printf(" AS c)%s", !last        ? ""
                                              : rows->with ? ","
                                                           : " "));
    sql_edits_add_take(&w->edits, span.from, span.to - span.from,
                       mem_printf("(SELECT c FROM \"~segue%zu\")", number));
    return mem_printf("(SELECT c FROM \"~segue%zu\")", number);
}

/* ---- adding ---- */

bool sql_rows_may_add(struct sql_work *w, struct sql_rows *rows, const struct sql_twin *twin)
{
    size_t able = 0;

    if (twin->of >= rows->ncolumns)
        return false;
    for (size_t i = 0; i < rows->n; i++) {
        size_t at = i * rows->ncolumns + twin->of;

        if (sql_span_may_copy(w, rows->spans[at], rows->values[at]) || may_move(w, rows, i, twin))
            able++;
        else
            rows->spans[at] = (struct sql_span){0};
    }
    return able > 0 && (able == rows->n || rows->defaults);
}

void sql_rows_put(struct sql_work *w, const struct sql_rows *rows, const struct sql_twin *twins,
                  size_t n)
{
    size_t number = 0;

    for (size_t i = 0; i < rows->n && n > 0; i++) {
        struct buf text = {0};

        for (size_t t = 0; t < n; t++) {
            size_t cell = i * rows->ncolumns + twins[t].of;
            struct sql_span span = rows->spans[cell];
            char *instead = rows->moved[cell] ? move(w, rows, cell, ++number) : NULL;

            buf_append_str(&text, ", ");
            if (instead)
                buf_append_str(&text, instead);
            else if (span.to > 0)
                buf_append(&text, w->text + span.from, span.to - span.from);
            else
                buf_append_str(&text, "DEFAULT"); /* as if it were not in the list */
            buf_append_str(&text, rows->label);
            free(instead);
        }
        sql_edits_add_take(&w->edits, rows->ends[i], 0, buf_take(&text));
    }
}

/* ---- a sub-select ---- */

/* A literal without a type takes that of the column it is written to. Inside of a sub-select it
 * would be text. */
static bool is_untyped(const struct sql_node *expr)
{
    const struct sql_node *literal = sql_tree_get(expr, "A_Const");

    return sql_tree_get(expr, "ParamRef") || sql_tree_get(literal, "sval") ||
           sql_tree_get(literal, "isnull");
}

/* Such a literal stands outside then, in place of its column. Where it is sorted or grouped by it
 * is text already. Parameters stay inside: there they would be text. */
static bool may_stand_outside(const struct sql_work *w, const struct sql_rows *rows,
                              const struct sql_node *select, size_t i)
{
    return rows->n == 1 && i < rows->ncolumns && !sql_tree_get(rows->values[i], "ParamRef") &&
           !sql_tree_get(select, "sortClause") && !sql_tree_get(select, "groupClause") &&
           sql_span_may_copy(w, rows->spans[i], rows->values[i]);
}

/* Does what is selected keep its type there? Set operations have given it one anyway. */
static bool keeps_types(const struct sql_work *w, const struct sql_rows *rows,
                        const struct sql_node *select)
{
    const struct sql_node *targets = sql_tree_get(select, "targetList");

    for (size_t i = 0; i < sql_node_size(targets); i++)
        if (is_untyped(sql_tree_get(target_of(targets, i), "val")) &&
            !may_stand_outside(w, rows, select, i))
            return false;
    return true;
}

/* A set operation's columns are those of what is selected first. */
static const struct sql_node *first_of(const struct sql_node *select)
{
    while (sql_tree_get(select, "larg"))
        select = sql_tree_get(select, "larg");
    return select;
}

/* The item that gives a column. NULL: not certain, two stars may have any number of columns each.
 */
static const struct sql_node *item_of(const struct sql_wrap *wrap, size_t column)
{
    size_t n = sql_node_size(wrap->targets), first = stars_at(wrap->targets);
    size_t from_end = wrap->width - column;

    if (column < first || first == n) /* where VALUES come first there is none */
        return target_of(wrap->targets, column);
    for (size_t i = first + 1; i < n; i++)
        if (sql_is_star(sql_tree_get(target_of(wrap->targets, i), "val")))
            return NULL;
    return target_of(wrap->targets, from_end < n - first ? n - from_end : first);
}

/* What its first word may belong to; NULL: to nothing else. */
static const struct sql_node *operand_of(const struct sql_node *node, const char *kind)
{
    static const struct {
        const char *kind, *operand;
    } rows[] = {
        {"A_Expr", "lexpr"},      {"BoolExpr", "args"}, {"FuncCall", "args"},
        {"SubLink", "testexpr"},  {"RowExpr", "args"},  {"TypeCast", "arg"},
        {"A_Indirection", "arg"}, {"NullTest", "arg"},  {"BooleanTest", "arg"},
        {"CollateClause", "arg"},
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const struct sql_node *operand;

        if (strcmp(kind, rows[i].kind) != 0)
            continue;
        operand = sql_tree_get(node, rows[i].operand);
        return strcmp(rows[i].operand, "args") ? operand : sql_node_at(operand, 0);
    }
    return NULL;
}

/* Where the server says that it is, when it is of the wrong type: at the first of the words that it
 * and its operands are known by. A literal that is given its type is a constant where it stands, a
 * row that is compared is its columns. TABLE is a star that is not written, and has no place. */
static uint32_t place_of(const struct sql_node *item)
{
    const struct sql_node *expr = sql_tree_get(item, "val");
    uint32_t place = SQL_NOWHERE;
    bool compared = false;

    while (expr && sql_tree_location(item) >= 0) {
        const char *kind = sql_tree_kind(expr);
        const struct sql_node *node = kind ? sql_tree_get(expr, kind) : NULL;
        const struct sql_node *operand = kind ? operand_of(node, kind) : NULL;
        const struct sql_node *literal = sql_tree_get(operand, "A_Const");
        bool row = kind && !strcmp(kind, "RowExpr");
        bool given = kind && !strcmp(kind, "TypeCast") &&
                     (sql_tree_get(literal, "sval") || sql_tree_get(literal, "isnull"));
        int location = given || (row && compared) ? -1 : sql_tree_location(node);

        if (location > 0 && (uint32_t)location < place)
            place = (uint32_t)location;
        if (row && !compared)
            break;
        compared = kind && (!strcmp(kind, "A_Expr") || !strcmp(kind, "SubLink"));
        expr = operand;
    }
    return place;
}

static void put_column(struct sql_work *w, const struct sql_rows *rows, const struct sql_wrap *wrap,
                       size_t i)
{
    const struct sql_node *item = item_of(wrap, i);

    if (rows->n == 1 && i < rows->ncolumns && is_untyped(rows->values[i])) {
        sql_edits_add_moved(&w->edits, wrap->from, w->text, rows->spans[i].from, rows->spans[i].to);
        return;
    }
    sql_edits_add_about(&w->edits, wrap->from, 0, mem_printf("c%zu", i + 1), place_of(item));
}

bool sql_rows_may_wrap(const struct sql_work *w, const struct sql_rows *rows,
                       const struct sql_node *select, size_t begin, size_t end,
                       struct sql_wrap *wrap)
{
    wrap->width = rows->width;
    wrap->targets = sql_tree_get(first_of(select), "targetList");
    if (wrap->width == SQL_WIDTH_UNKNOWN || sql_tree_get(select, "valuesLists") ||
        !keeps_types(w, rows, select) || end > w->tokens.n || begin == 0 || begin >= end)
        return false;
    /* not where the source begins: there it may have been edited (TABLE t) */
    wrap->from = w->tokens.items[begin - 1].end;
    wrap->to = w->tokens.items[end - 1].end;
    return !sql_edits_touch(&w->edits, wrap->from, wrap->from + 1);
}

void sql_rows_wrap(struct sql_work *w, const struct sql_rows *rows, const struct sql_wrap *wrap,
                   const struct sql_twin *twins, size_t n)
{
    struct buf back = {0};

    for (size_t i = 0; i < wrap->width + n; i++) {
        sql_edits_add_take(&w->edits, wrap->from, 0, mem_strdup(i ? ", " : " SELECT "));
        put_column(w, rows, wrap, i < wrap->width ? i : twins[i - wrap->width].of);
    }
    /* OFFSET 0 keeps the planner from evaluating a function at each place where it is used */
    sql_edits_add_take(&w->edits, wrap->from, 0, mem_strdup(" FROM (SELECT * FROM ("));
    buf_append_str(&back, ") AS \"~segue\" OFFSET 0) AS \"~segue\"(");
    for (size_t i = 0; i < wrap->width; i++)
        buf_printf(&back, "%sc%zu", i ? ", " : "", i + 1);
    buf_append_str(&back, ")");
    sql_edits_add_take(&w->edits, wrap->to, 0, buf_take(&back));
}
