/*
 * The column lists of INSERT and of MERGE ... THEN INSERT. An INSERT without a list counts columns:
 * where columns of the other side stand among those that it means, it gets a list. And a twin is
 * added to the list, with the value of its other half in each row.
 */
#include <stdlib.h>
#include <string.h>

#include "key.h"
#include "rows.h"
#include "segue/base/buf.h"
#include "segue/base/mem.h"
#include "segue/sql/expr.h"

struct insert {
    struct sql_work *w;
    const struct rule *table;
    const struct sql_node *list; /* the client's, of ResTargets; NULL: none */
    size_t width;                /* of what is inserted, or SQL_WIDTH_UNKNOWN */
    struct sql_written *written; /* what is written, in order */
    size_t nwritten;
    struct sql_twin *twins; /* those that are missing */
    size_t ntwins;
    bool led;    /* some of them are the other half of what they are called to the session */
    bool values; /* what is inserted are VALUES: so many, whatever else becomes of the statement */
    bool placed; /* is `at` known? */
    uint32_t at; /* where names, or a list, are added */
    struct sql_rows rows;
};

/* ---- columns ---- */

/* Without a list: do the values meet a column that the session does not see? How many are there
 * is not known for a star: then whenever one stands in front of one that it sees. Where a column
 * changes its type a list says the same on both sides of the cut-over, which moves it. */
static bool shifts(const struct insert *in)
{
    bool hidden = false, behind = false;

    if (in->table->retypes && in->width != SQL_WIDTH_UNKNOWN)
        return in->width > 0;
    for (size_t i = 0; i < in->table->ncolumns && i < in->width; i++) {
        if (sql_work_hides(in->w, in->table, &in->table->columns[i]))
            hidden = true;
        else
            behind = behind || hidden;
    }
    return in->width == SQL_WIDTH_UNKNOWN ? behind : hidden;
}

static void count_columns(struct insert *in)
{
    const struct rule *table = in->table;

    if (in->width == SQL_WIDTH_UNKNOWN)
        return;
    for (size_t i = 0; i < table->ncolumns && in->nwritten < in->width; i++)
        if (!sql_work_hides(in->w, table, &table->columns[i]))
            in->written[in->nwritten++] = (struct sql_written){table->columns[i].name, true};
}

static void begin(struct insert *in, bool twins)
{
    size_t n = in->list ? sql_node_size(in->list) : in->table->ncolumns;

    in->written = mem_calloc(n + 1, sizeof(*in->written));
    in->twins = mem_calloc(in->table->ntwins + 1, sizeof(*in->twins));
    if (in->list) {
        sql_written_of(in->list, in->written);
        in->nwritten = n;
    } else {
        in->w->out->positional |= sql_work_bit(in->table);
        count_columns(in);
    }
    /* With another number of values the server has something to say. */
    if (twins && !in->w->names_only && !in->w->kept && !sql_work_fickle(in->w) &&
        (in->width == in->nwritten || (in->list && in->width == SQL_WIDTH_UNKNOWN)))
        in->ntwins = sql_twins_missing(in->table->twins, in->table->ntwins, in->written,
                                       in->nwritten, in->twins);
}

static void finish(struct insert *in)
{
    sql_rows_fini(&in->rows);
    free(in->written);
    free(in->twins);
}

/* ---- names ---- */

static void put_name(struct buf *text, const char *before, const char *name)
{
    buf_append_str(text, before);
    sql_quote_ident_put(text, name);
}

static void put_names(struct insert *in)
{
    struct buf text = {0};

    for (size_t i = 0; !in->list && i < in->nwritten; i++)
        put_name(&text, i ? ", " : " (", in->written[i].name);
    for (size_t i = 0; i < in->ntwins; i++)
        put_name(&text, ", ", in->twins[i].name);
    if (!in->list)
        buf_append_str(&text, ")");
    sql_edits_add_take(&in->w->edits, in->at, 0, buf_take(&text));
    if (in->values && !in->list && in->ntwins == 0)
        sql_edits_mark_name(&in->w->edits);
}

/* The names of what the values have got, and a list where one is needed. */
static void put_list(struct insert *in)
{
    bool shifted = !in->list && shifts(in);

    in->w->shifted = shifted;
    in->w->listed = in->w->listed || (in->values && (shifted || (in->led && !in->list)));
    if (in->placed && in->nwritten > 0 && (shifted || in->led || in->ntwins > 0))
        put_names(in);
    else if (shifted || in->led)
        sql_work_doubt(in->w, SQL_DOUBT_STAR);
}

static size_t twins_in_rows(struct insert *in)
{
    size_t n = 0;

    for (size_t i = 0; i < in->ntwins; i++)
        n += sql_rows_may_add(in->w, &in->rows, &in->twins[i]);
    return n;
}

/* Twins that not all rows can have are left to the guard. */
static void put_rows(struct insert *in)
{
    size_t kept = 0;

    for (size_t i = 0; in->placed && i < in->ntwins; i++)
        if (sql_rows_may_add(in->w, &in->rows, &in->twins[i]))
            in->twins[kept++] = in->twins[i];
    in->ntwins = kept;
    sql_rows_put(in->w, &in->rows, in->twins, kept);
}

/* ---- places ---- */

/* The names of a list, whose ( is at `open`, must be where the tree says. */
static bool place_in_list(struct insert *in, size_t open)
{
    size_t n = sql_node_size(in->list);
    struct sql_span *spans = mem_calloc(n, sizeof(*spans));
    bool placed = sql_span_list(&in->w->tokens, open, n, spans, &in->at);

    for (size_t i = 0; placed && i < n; i++)
        placed = spans[i].from ==
                 (uint32_t)sql_tree_location(sql_tree_get(sql_node_at(in->list, i), "ResTarget"));
    free(spans);
    return placed;
}

/* Finds `at`, behind the relation or in the list. Returns the source's first token, n: not
 * certain. */
static size_t place(struct insert *in, const struct sql_node *insert)
{
    const struct sql_tokens *tokens = &in->w->tokens;
    const struct sql_node *relation = sql_tree_get(insert, "relation");
    size_t i = sql_tokens_at(tokens, sql_tree_location(relation));

    while (sql_tokens_is(tokens, i + 1, SQL_TOKEN_DOT))
        i += 2;
    if (sql_tree_get(relation, "alias") && sql_tokens_is(tokens, i + 1, PG_QUERY__TOKEN__AS))
        i += 2;
    if (i + 1 >= tokens->n || !tokens->items[i].word)
        return tokens->n;
    in->at = tokens->items[i++].end;
    in->placed = !in->list || place_in_list(in, i);
    if (in->list)
        i = sql_tokens_close(tokens, i) + 1;
    if (sql_tokens_is(tokens, i, PG_QUERY__TOKEN__OVERRIDING))
        i += 3;
    if (sql_tokens_is(tokens, i, SQL_TOKEN_OPEN) ||
        sql_tokens_is(tokens, i, PG_QUERY__TOKEN__WITH) ||
        sql_tokens_is(tokens, i, PG_QUERY__TOKEN__SELECT) ||
        sql_tokens_is(tokens, i, PG_QUERY__TOKEN__VALUES) ||
        sql_tokens_is(tokens, i, PG_QUERY__TOKEN__TABLE))
        return i;
    in->placed = false; /* an alias or a name of more tokens than that */
    return tokens->n;
}

/* In front of INSERT, or in the WITH that there is. */
static void place_with(struct insert *in, const struct sql_node *insert)
{
    const struct sql_tokens *tokens = &in->w->tokens;
    const struct sql_node *with = sql_tree_get(insert, "withClause");
    size_t i = with
                   ? sql_tokens_at(tokens, sql_tree_location(with))
                   : sql_tokens_at(tokens, sql_tree_location(sql_tree_get(insert, "relation"))) - 2;

    if (i >= tokens->n)
        return;
    in->rows.with = with;
    in->rows.moves =
        in->placed &&
        sql_tokens_is(tokens, i, with ? PG_QUERY__TOKEN__WITH : PG_QUERY__TOKEN__INSERT);
    if (with && sql_tokens_is(tokens, i + 1, PG_QUERY__TOKEN__RECURSIVE))
        i++;
    in->rows.with_at = with ? tokens->items[i].end : tokens->items[i].start;
}

/* Behind the last token of the source. */
static size_t source_end(const struct sql_work *w, const struct sql_node *insert, size_t begin)
{
    static const PgQuery__Token returning[] = {PG_QUERY__TOKEN__RETURNING, 0};
    const struct sql_node *conflict = sql_tree_get(insert, "onConflictClause");
    size_t end = begin;

    if (conflict) {
        end = sql_tokens_at(&w->tokens, sql_tree_location(conflict));
        return sql_tokens_is(&w->tokens, end, PG_QUERY__TOKEN__ON) ? end : begin;
    }
    do { /* commas between what is selected */
        end = sql_expr_end(&w->tokens, end + (end > begin), returning);
    } while (sql_tokens_is(&w->tokens, end, SQL_TOKEN_COMMA));
    if (sql_tree_get(insert, "returningList") &&
        !sql_tokens_is(&w->tokens, end, PG_QUERY__TOKEN__RETURNING))
        return begin;
    return end;
}

/* The list of THEN INSERT is in front of the VALUES whose ( is at `open`. */
static void place_merge(struct insert *in, size_t open)
{
    const struct sql_tokens *tokens = &in->w->tokens;
    size_t last = open - 2, names;

    if (open < 2 || open == tokens->n)
        return;
    if (last >= 3 && sql_tokens_is(tokens, last - 2, PG_QUERY__TOKEN__OVERRIDING))
        last -= 3;
    if (!in->list) {
        in->at = tokens->items[last].end;
        in->placed = sql_tokens_is(tokens, last, PG_QUERY__TOKEN__INSERT);
        return;
    }
    names = sql_tokens_at(tokens,
                          sql_tree_location(sql_tree_get(sql_node_at(in->list, 0), "ResTarget")));
    in->placed = names > 0 && names < last && sql_tokens_close(tokens, names - 1) == last &&
                 place_in_list(in, names - 1);
}

/* ---- the statements ---- */

/* An identity column does not get what is written to it; its twin must not get it either. */
static bool ignores_values(const struct sql_node *node)
{
    const char *override = sql_node_text(sql_tree_get(node, "override"));

    return override && !strcmp(override, "OVERRIDING_USER_VALUE");
}

/* Of a SELECT from somewhere there may be many rows: a sub-select costs each of them less than an
 * operator that is evaluated twice. */
static bool takes_work(const struct insert *in, const struct sql_node *source)
{
    const struct sql_rows *rows = &in->rows;

    if (!sql_tree_get(source, "fromClause") || rows->n != 1)
        return false;
    for (size_t i = 0; i < in->ntwins; i++)
        if (in->twins[i].of < rows->ncolumns && !sql_expr_is_value(rows->values[in->twins[i].of]))
            return true;
    return false;
}

/* Where the values cannot, or should not, be written twice they may be selected twice. */
static bool may_wrap(struct insert *in, const struct sql_node *insert,
                     const struct sql_node *source, size_t first, struct sql_wrap *wrap)
{
    return in->placed && first < in->w->tokens.n &&
           (twins_in_rows(in) < in->ntwins || takes_work(in, source)) &&
           sql_rows_may_wrap(in->w, &in->rows, source, first, source_end(in->w, insert, first),
                             wrap);
}

static bool may_wrap_values(struct insert *in, const struct sql_node *insert,
                            const struct sql_node *source, size_t first, struct sql_wrap *wrap)
{
    return in->placed && in->ntwins > 0 && in->width == in->nwritten && first < in->w->tokens.n &&
           !in->table->by_fields &&
           sql_values_may_wrap(in->w, &in->rows, source, in->written, first,
                               source_end(in->w, insert, first), wrap);
}

/* The same of one without a list. Of values of which nobody knows how many there are no list can be
 * made. */
static void lead_places(struct insert *in)
{
    const struct rule *table = in->table;

    for (size_t i = 0; i < in->nwritten; i++) {
        const char *leads = sql_key_leading(table, in->written[i].name);

        in->led = in->led || (leads && strcmp(leads, in->written[i].name) != 0);
        in->written[i].name = leads ? leads : in->written[i].name;
    }
    for (size_t i = 0; in->width == SQL_WIDTH_UNKNOWN && i < table->ncolumns; i++) {
        const char *name = table->columns[i].name, *leads = sql_key_leading(table, name);

        in->led = in->led || (leads && strcmp(leads, name) != 0 &&
                              !sql_work_hides(in->w, table, &table->columns[i]));
    }
}

/* Written is then the half that has the identity, or nothing would be ignored: the guard does the
 * rest. */
static void put_leading(struct insert *in)
{
    if (!in->list)
        lead_places(in);
    for (size_t i = 0; i < sql_node_size(in->list); i++) {
        const struct sql_node *target = sql_tree_get(sql_node_at(in->list, i), "ResTarget");
        const char *name = sql_node_text(sql_tree_get(target, "name"));
        const char *leads = name ? sql_key_leading(in->table, name) : NULL;
        size_t token = sql_tokens_at(&in->w->tokens, sql_tree_location(target));

        if (!leads || !strcmp(leads, name))
            continue;
        if (token >= in->w->tokens.n || !in->w->tokens.items[token].word ||
            sql_tokens_is(&in->w->tokens, token + 1, PG_QUERY__TOKEN__UESCAPE)) {
            sql_work_doubt(in->w, SQL_DOUBT_CLAUSE); /* a name of more tokens */
            return;
        }
        sql_edits_add_take(&in->w->edits, in->w->tokens.items[token].start,
                           in->w->tokens.items[token].end - in->w->tokens.items[token].start,
                           sql_quote_ident(leads));
    }
}

void sql_insert_columns(struct sql_work *w, const struct rule *table, const struct sql_node *insert,
                        size_t width)
{
    const struct sql_node *source = sql_tree_get(sql_tree_get(insert, "selectStmt"), "SelectStmt");
    struct insert in = {.w = w, .table = table, .list = sql_tree_get(insert, "cols")};
    struct sql_wrap wrap;
    size_t first;

    if (!source || table->ncolumns == 0)
        return; /* DEFAULT VALUES, or nothing is known */
    in.width = in.rows.width = width;
    in.values = sql_node_size(sql_tree_get(source, "valuesLists")) > 0;
    begin(&in, !ignores_values(insert));
    if (ignores_values(insert))
        put_leading(&in);
    first = place(&in, insert);
    if (in.ntwins > 0 && !sql_rows_read(w, &in.rows, source))
        in.rows.n = 0;
    place_with(&in, insert);
    if (may_wrap_values(&in, insert, source, first, &wrap)) {
        put_list(&in);
        sql_values_wrap(w, table, &in.rows, in.written, &wrap, in.twins, in.ntwins);
    } else if (may_wrap(&in, insert, source, first, &wrap)) {
        put_list(&in);
        sql_rows_wrap(w, &in.rows, &wrap, in.twins, in.ntwins);
    } else {
        put_rows(&in);
        put_list(&in);
    }
    finish(&in);
}

void sql_merge_insert_columns(struct sql_work *w, const struct rule *table,
                              const struct sql_node *node)
{
    const struct sql_node *values = sql_tree_get(node, "values");
    struct insert in = {.w = w, .table = table, .list = sql_tree_get(node, "targetList")};
    size_t open;

    if (!values || table->ncolumns == 0)
        return;
    in.width = sql_width_of_row(values);
    begin(&in, !ignores_values(node));
    if (ignores_values(node))
        put_leading(&in);
    open = sql_rows_open(&w->tokens, sql_node_at(values, 0));
    place_merge(&in, open);
    if (in.placed && in.ntwins > 0 && !sql_rows_add(w, &in.rows, values, &open))
        in.rows.n = 0;
    put_rows(&in);
    put_list(&in);
    finish(&in);
}
