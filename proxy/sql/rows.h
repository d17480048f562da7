/*
 * What an INSERT writes: rows of values, where each begins and ends in the text, and how more
 * values are added to them. Private to the sql layer.
 *
 * More is always added at the end, of the values as of the column list: ORDER BY 2 and GROUP BY 2
 * go on to mean what they did, and so does each item in front of a star.
 */
#ifndef SEGUE_SQL_ROWS_H
#define SEGUE_SQL_ROWS_H

#include "twin.h"
#include "width.h"

struct sql_rows {
    size_t n, ncolumns;             /* of a SELECT: the columns in front of a star */
    size_t width;                   /* of a SELECT: all of them, or SQL_WIDTH_UNKNOWN */
    const struct sql_node **values; /* n * ncolumns, of the tree */
    struct sql_span *spans;         /* n * ncolumns; without labels */
    uint32_t *ends;                 /* n: where more goes */
    const char *label;              /* what stands behind each value that is added */
    bool defaults;                  /* may DEFAULT stand for a value? */
    bool moves;  /* may a value be taken from a WITH? Each row is written exactly once */
    bool *moved; /* n * ncolumns: it is */
    size_t nmoved;
    uint32_t with_at; /* where the WITH goes */
    bool with;        /* and there is one: behind that word */
    size_t cap, cap_s, cap_e, cap_m;
};

void sql_rows_fini(struct sql_rows *rows);

/* The ( behind the VALUES to whose first row the expression belongs; n: not certain. */
size_t sql_rows_open(const struct sql_tokens *tokens, const struct sql_node *expr);

/* Adds a row of VALUES (a list of expressions) whose ( is at the token *open; *open is the one
 * behind it then. False: the text does not agree with the tree. */
bool sql_rows_add(const struct sql_work *w, struct sql_rows *rows, const struct sql_node *values,
                  size_t *open);

/* The rows of a source: all of VALUES, or the one that stands for a plain SELECT. `rows` is empty
 * but for the width. False: it is of another kind, or the text does not agree. */
bool sql_rows_read(const struct sql_work *w, struct sql_rows *rows, const struct sql_node *select);

/* May the rows have the twin's value at their end, too? Where DEFAULT may stand some of them are
 * enough: there the others, whose spans are made empty, have DEFAULT. Values that may not be
 * written twice are moved into a WITH, where they may: each is evaluated where it was, when its
 * column is due, once. */
bool sql_rows_may_add(struct sql_work *w, struct sql_rows *rows, const struct sql_twin *twin);

/* Adds the values of the twins, in their order, to each row. */
void sql_rows_put(struct sql_work *w, const struct sql_rows *rows, const struct sql_twin *twins,
                  size_t n);

/* A SELECT that becomes a sub-select. */
struct sql_wrap {
    uint32_t from, to; /* bytes of the text */
    size_t width;
    const struct sql_node *targets; /* of what is selected first, where it is a SELECT */
};

/* May it, between the tokens `begin` and `end`? `rows` are its own, if they could be read. */
bool sql_rows_may_wrap(const struct sql_work *w, const struct sql_rows *rows,
                       const struct sql_node *select, size_t begin, size_t end,
                       struct sql_wrap *wrap);

/* It is evaluated once, and the twins' columns are taken twice. After all that is added at the same
 * place in front of it. */
void sql_rows_wrap(struct sql_work *w, const struct sql_rows *rows, const struct sql_wrap *wrap,
                   const struct sql_twin *twins, size_t n);

/* ---- values.c: VALUES of many rows of constants. The same, for less than adding to each row. ----
 */

/* `written` are the columns that the values are for. */
bool sql_values_may_wrap(const struct sql_work *w, const struct sql_rows *rows,
                         const struct sql_node *select, const struct sql_written *written,
                         size_t begin, size_t end, struct sql_wrap *wrap);
void sql_values_wrap(struct sql_work *w, const struct rule *table, const struct sql_rows *rows,
                     const struct sql_written *written, const struct sql_wrap *wrap,
                     const struct sql_twin *twins, size_t n);

#endif
