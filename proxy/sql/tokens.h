/*
 * The tokens of a statement, by PostgreSQL's own scanner (libpg_query): where in the text things
 * begin and end, which the parse tree does not say. Comments are no tokens. Private to the sql
 * layer.
 */
#ifndef SEGUE_SQL_TOKENS_H
#define SEGUE_SQL_TOKENS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <pg_query/pg_query.pb-c.h>

#include "marks.h"
#include "segue/base/rc.h"

struct sql_token {
    uint32_t start, end; /* bytes; end is behind the last */
    uint32_t depth;      /* open ( and [ in front of it; an opening one has the depth outside */
    PgQuery__Token kind;
    bool word; /* an identifier or a keyword */
};

struct sql_tokens {
    struct sql_token *items;
    size_t n;
    bool off; /* a comment says segue:off */
    bool counted;
    struct sql_marks shared; /* once they are counted: parameters that stand there twice */
};

#define SQL_TOKEN_OPEN PG_QUERY__TOKEN__ASCII_40
#define SQL_TOKEN_CLOSE PG_QUERY__TOKEN__ASCII_41
#define SQL_TOKEN_COMMA PG_QUERY__TOKEN__ASCII_44
#define SQL_TOKEN_DOT PG_QUERY__TOKEN__ASCII_46
#define SQL_TOKEN_SEMICOLON PG_QUERY__TOKEN__ASCII_59
#define SQL_TOKEN_EQUALS PG_QUERY__TOKEN__ASCII_61

#define SQL_TOKENS_OFF "segue:off"

/* `text` is NUL-terminated and has been parsed. RC_ERR: the scanner has another opinion. */
enum rc sql_tokens_init(struct sql_tokens *tokens, const char *text) MUST_CHECK;
void sql_tokens_fini(struct sql_tokens *tokens);

/* All of these return an index; n when there is none. */

/* The token that begins at a location of the parse tree. */
size_t sql_tokens_at(const struct sql_tokens *tokens, int location);

/* The ) or ] that closes the ( or [ at `open`. */
size_t sql_tokens_close(const struct sql_tokens *tokens, size_t open);

/* The first token of that kind from `from` on at the same depth, before that depth is left. */
size_t sql_tokens_find(const struct sql_tokens *tokens, size_t from, PgQuery__Token kind);

/* Does a parameter in [from, to) of the text stand elsewhere, too? */
bool sql_tokens_share(struct sql_tokens *tokens, const char *text, uint32_t from, uint32_t to);

/* Is there such a token, and is it of that kind? */
bool sql_tokens_is(const struct sql_tokens *tokens, size_t i, PgQuery__Token kind);

/* Behind the last token of the item that begins at `from`, one of a list with commas: at the next
 * comma, closing bracket, semicolon or one of `ends` (0-terminated) at its depth, or the text's
 * end (n). */
size_t sql_tokens_item_end(const struct sql_tokens *tokens, size_t from,
                           const PgQuery__Token *ends);

#endif
