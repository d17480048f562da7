/*
 * VALUES of many rows of constants as a sub-select: a column that is taken twice costs the server
 * less than a literal in each row that it reads twice, less even than VALUES by itself.
 *
 * What an INSERT of VALUES does with a literal depends on the column's type; in a sub-select the
 * literals of a column would agree on one among themselves: text. So the first row says the type,
 * as COALESCE((NULL::"s"."t")."column", literal): that of the server's catalog when it runs, and of
 * no earlier moment, but for the fields of an interval (by_fields: there it is not done). A number
 * has its own type, which is converted in either case; that it cannot be is said of the name by
 * which it is selected, and meant of the first literal.
 */
#include <stdlib.h>

#include "rows.h"
#include "segue/base/buf.h"
#include "segue/base/mem.h"
#include "segue/sql/expr.h"

/* With fewer rows the plan costs more than the literals. */
#define ROWS_MIN 8

enum kind { KIND_OTHER, KIND_NULL, KIND_TEXT, KIND_INTEGER, KIND_BOOLEAN };

static enum kind kind_of(const struct sql_node *expr)
{
    static const struct {
        const char *member;
        enum kind kind;
    } kinds[] = {{"isnull", KIND_NULL},
                 {"sval", KIND_TEXT},
                 {"ival", KIND_INTEGER}, /* of four bytes; greater ones are read as fractions are */
                 {"boolval", KIND_BOOLEAN}};
    const struct sql_node *literal = sql_tree_get(expr, "A_Const");

    for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
        if (sql_tree_get(literal, kinds[i].member))
            return kinds[i].kind;
    return KIND_OTHER;
}

/* Of a column; OTHER: not all are constants of one kind. */
static enum kind kind_of_column(const struct sql_rows *rows, size_t column)
{
    enum kind found = KIND_NULL;

    for (size_t i = 0; i < rows->n; i++) {
        enum kind kind = kind_of(rows->values[i * rows->ncolumns + column]);

        if (kind == KIND_OTHER || (kind != found && kind != KIND_NULL && found != KIND_NULL))
            return KIND_OTHER;
        if (kind != KIND_NULL)
            found = kind;
    }
    return found;
}

/* The text must agree with the tree where it is edited: in the first row. */
static bool is_placed(const struct sql_rows *rows, size_t column)
{
    int location = sql_expr_location(rows->values[column]);

    return location >= 0 && (uint32_t)location >= rows->spans[column].from &&
           (uint32_t)location < rows->spans[column].to;
}

bool sql_values_may_wrap(const struct sql_work *w, const struct sql_rows *rows,
                         const struct sql_node *select, const struct sql_written *written,
                         size_t begin, size_t end, struct sql_wrap *wrap)
{
    if (!sql_tree_get(select, "valuesLists") || !rows->defaults || rows->n < ROWS_MIN ||
        begin == 0 || begin >= end || end > w->tokens.n)
        return false;
    for (size_t i = 0; i < rows->ncolumns; i++)
        if (!written[i].name || !written[i].whole || !is_placed(rows, i) ||
            kind_of_column(rows, i) == KIND_OTHER)
            return false;
    *wrap = (struct sql_wrap){w->tokens.items[begin - 1].end, w->tokens.items[end - 1].end,
                              rows->ncolumns, NULL};
    return !sql_edits_touch(&w->edits, wrap->from, wrap->to);
}

/* What is wrong with a column's constants is wrong with the first that is one. */
static uint32_t place_of_first(const struct sql_rows *rows, size_t column)
{
    size_t row = 0;
    int location;

    while (row + 1 < rows->n && kind_of(rows->values[row * rows->ncolumns + column]) == KIND_NULL)
        row++;
    location = sql_expr_location(rows->values[row * rows->ncolumns + column]);
    return location < 0 ? SQL_NOWHERE : (uint32_t)location;
}

static void put_type(struct sql_work *w, const struct rule *table, const char *column,
                     struct sql_span span)
{
    char *relation = sql_quote_qualified(table->schema, table->name);
    char *name = sql_quote_ident(column);

    sql_edits_add_take(&w->edits, span.from, 0,
                       mem_printf("COALESCE((NULL::%s).%s, ", relation, name));
    sql_edits_add_take(&w->edits, span.to, 0, mem_strdup(")"));
    free(name);
    free(relation);
}

void sql_values_wrap(struct sql_work *w, const struct rule *table, const struct sql_rows *rows,
                     const struct sql_written *written, const struct sql_wrap *wrap,
                     const struct sql_twin *twins, size_t n)
{
    struct buf back = {0};

    for (size_t i = 0; i < wrap->width + n; i++) {
        size_t of = i < wrap->width ? i : twins[i - wrap->width].of;

        sql_edits_add_take(&w->edits, wrap->from, 0, mem_strdup(i ? ", " : " SELECT "));
        sql_edits_add_about(&w->edits, wrap->from, 0, mem_printf("c%zu", of + 1),
                            place_of_first(rows, of));
    }
    sql_edits_add_take(&w->edits, wrap->from, 0, mem_strdup(" FROM ("));
    buf_append_str(&back, ") AS \"~segue\"(");
    for (size_t i = 0; i < wrap->width; i++)
        buf_printf(&back, "%sc%zu", i ? ", " : "", i + 1);
    buf_append_str(&back, ")");
    for (size_t i = 0; i < rows->ncolumns; i++) {
        enum kind kind = kind_of_column(rows, i);

        if (kind == KIND_TEXT || kind == KIND_NULL)
            put_type(w, table, written[i].name, rows->spans[i]);
    }
    sql_edits_add_take(&w->edits, wrap->to, 0, buf_take(&back));
}
