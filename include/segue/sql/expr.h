/*
 * Scalar SQL expressions of migration files and catalogs (up, down, default, check, predicate):
 * parsed with PostgreSQL's grammar, edited by byte splices. Pure.
 */
#ifndef SEGUE_SQL_EXPR_H
#define SEGUE_SQL_EXPR_H

#include <stdbool.h>
#include <stddef.h>

#include "segue/base/buf.h"
#include "segue/base/err.h"

struct sql_expr_info {
    char **columns; /* distinct column names referenced, catalog spelling; owned */
    size_t ncolumns;
    char **functions; /* distinct function names as written, "schema.name" or "name"; owned */
    size_t nfunctions;
    char **casts; /* distinct types that something is cast to, quoted, with the schema as written
                   * unless it is PostgreSQL's own; owned */
    size_t ncasts;
    char **strings; /* distinct string constants, what they stand for; owned */
    size_t nstrings;
    bool constant; /* literals and casts of literals only: safe as an instant column default */
    bool has_subquery;
    bool has_aggregate_or_window; /* FILTER, OVER, or WITHIN GROUP syntax */
    bool has_parameter;
};

/* Parses exactly one scalar expression. 42601 with the parser's text and position when not. */
enum rc sql_expr_parse(const char *expr, struct sql_expr_info *info, struct err *err) MUST_CHECK;
void sql_expr_info_fini(struct sql_expr_info *info);

/* The same value for every row. False also for what does not parse. */
bool sql_expr_is_constant(const char *expr);

/* Replaces each unqualified reference to a column by `prefix` + the quoted new name: pairs
 * from[i] -> to[i]; columns not listed get `prefix` + their own name when `all` is set.
 * E.g. prefix "NEW." for trigger code. Returns heap text, NULL on error. */
char *sql_expr_rename(const char *expr, const char *prefix, const char *const *from,
                      const char *const *to, size_t n, bool all, struct err *err) MUST_CHECK;

/* What the expression gives 25 hours later: each now(), CURRENT_DATE and so on moved by that, and
 * another day in place of 'now', 'today' and so on where they are cast to a date. Heap text; NULL
 * when it asks for no time (or a comment stands inside the call). */
char *sql_expr_later(const char *expr) MUST_CHECK;

/* True when two expressions are the same column reference, i.e. `expr` is just the column. */
bool sql_expr_is_column(const char *expr, const char *column);

/* Checks that `type` is one type name ("text", "numeric(10,2)", "\"My\".t[]"); 42601 when not. */
enum rc sql_type_parse(const char *type, struct err *err) MUST_CHECK;

/* Quoting as PostgreSQL's quote_ident / quote_literal; heap text. quote_ident leaves plain
 * lower-case names bare that no version has for a keyword. */
char *sql_quote_ident(const char *name);
void sql_quote_ident_put(struct buf *out, const char *name); /* behind what is there */
char *sql_quote_literal(const char *text);
char *sql_quote_qualified(const char *schema, const char *name); /* "s"."t" as needed */

#endif
