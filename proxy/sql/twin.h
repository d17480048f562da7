/*
 * Twins in the lists of a statement: which half is missing, and what of the text may be written a
 * second time. Private to the sql layer.
 *
 * The parse tree says where an expression is, but not where it ends: that is found by tokens, and
 * only what both agree on is copied. A copy ends with a token, so a comment in it has ended, too.
 */
#ifndef SEGUE_SQL_TWIN_H
#define SEGUE_SQL_TWIN_H

#include "work.h"

/* A longer literal costs more to send and to parse a second time than the guard does. */
#define SQL_COPY_BYTES_MAX 1024

/* Bytes of the text. */
struct sql_span {
    uint32_t from, to;
};

/* A column that a statement writes. */
struct sql_written {
    const char *name;
    bool whole; /* without a subscript or a field */
};

/* A column to be written as well, with the value of written[of]. */
struct sql_twin {
    const char *name;
    size_t of;
    bool is_old; /* the name is the old half's */
};

/* `list` holds ResTargets. */
void sql_written_of(const struct sql_node *list, struct sql_written *written);

/* Those of the rules of which exactly one half is written, once and whole. There is room for all.
 */
size_t sql_twins_missing(const struct sql_twin_rule *rules, size_t nrules,
                         const struct sql_written *written, size_t n, struct sql_twin *twins);

/* May the expression, which has these bytes, be written a second time? Not where it was edited. */
bool sql_span_may_copy(const struct sql_work *w, struct sql_span span, const struct sql_node *expr);

/* Is this text still what the client has written, and stays it that? */
bool sql_span_is_own(const struct sql_work *w, struct sql_span span);

/* The first column that it reads, outside of sub-selects: a ColumnRef; NULL: none. */
const struct sql_node *sql_column_read(const struct sql_node *node);

/* May it stand in a sub-select, which is evaluated once, in its place? */
bool sql_span_may_move(const struct sql_work *w, struct sql_span span, const struct sql_node *expr);

/* A byte of the text that is inside of the expression; -1: the tree does not say. */
int sql_expr_location(const struct sql_node *expr);

/* The items between the brackets that open at the token `open`, if they are exactly `n`. *end is
 * behind the last of them. */
bool sql_span_list(const struct sql_tokens *tokens, size_t open, size_t n, struct sql_span *items,
                   uint32_t *end);

/* Behind the last token of the expression (with its label, in a target list) that begins at
 * `from`: at a comma, a semicolon, a closing bracket, one of `ends` (0-terminated), the end. */
size_t sql_expr_end(const struct sql_tokens *tokens, size_t from, const PgQuery__Token *ends);

#endif
