#include "tokens.h"

#include <pg_query.h>
#include <stdlib.h>
#include <string.h>

#include "segue/base/mem.h"

static bool opens(PgQuery__Token kind)
{
    return kind == PG_QUERY__TOKEN__ASCII_40 || kind == PG_QUERY__TOKEN__ASCII_91;
}

static bool closes(PgQuery__Token kind)
{
    return kind == PG_QUERY__TOKEN__ASCII_41 || kind == PG_QUERY__TOKEN__ASCII_93;
}

static bool is_comment(PgQuery__Token kind)
{
    return kind == PG_QUERY__TOKEN__SQL_COMMENT || kind == PG_QUERY__TOKEN__C_COMMENT;
}

/* Of U&"" and U&'' the scanner tells a wrong end. Up to the next token there are only spaces. */
static uint32_t end_of(const PgQuery__ScanResult *list, size_t i, const char *text)
{
    const PgQuery__ScanToken *token = list->tokens[i];
    size_t end;

    if (token->token != PG_QUERY__TOKEN__UIDENT && token->token != PG_QUERY__TOKEN__USCONST)
        return (uint32_t)token->end;
    end = i + 1 < list->n_tokens ? (size_t)list->tokens[i + 1]->start : strlen(text);
    while (end > (size_t)token->start && strchr(" \t\n\r\f\v", text[end - 1]))
        end--;
    return (uint32_t)end;
}

static void add(struct sql_tokens *tokens, const PgQuery__ScanResult *list, size_t i,
                const char *text, uint32_t *depth)
{
    const PgQuery__ScanToken *from = list->tokens[i];
    struct sql_token *to = &tokens->items[tokens->n++];

    if (closes(from->token) && *depth > 0)
        --*depth;
    *to = (struct sql_token){.start = (uint32_t)from->start,
                             .end = end_of(list, i, text),
                             .depth = *depth,
                             .kind = from->token,
                             .word = from->token == PG_QUERY__TOKEN__IDENT ||
                                     from->token == PG_QUERY__TOKEN__UIDENT ||
                                     from->keyword_kind != PG_QUERY__KEYWORD_KIND__NO_KEYWORD};
    if (opens(from->token))
        ++*depth;
}

enum rc sql_tokens_init(struct sql_tokens *tokens, const char *text)
{
    PgQueryScanResult scan = pg_query_scan(text);
    PgQuery__ScanResult *list = NULL;
    uint32_t depth = 0;

    *tokens = (struct sql_tokens){0};
    if (!scan.error)
        list = pg_query__scan_result__unpack(NULL, scan.pbuf.len, (const uint8_t *)scan.pbuf.data);
    if (list) {
        tokens->items = mem_calloc(list->n_tokens + 1, sizeof(*tokens->items));
        for (size_t i = 0; i < list->n_tokens; i++)
            if (!is_comment(list->tokens[i]->token))
                add(tokens, list, i, text, &depth);
        pg_query__scan_result__free_unpacked(list, NULL);
    }
    pg_query_free_scan_result(scan);
    return list ? RC_OK : RC_ERR;
}

void sql_tokens_fini(struct sql_tokens *tokens)
{
    free(tokens->items);
    *tokens = (struct sql_tokens){0};
}

size_t sql_tokens_at(const struct sql_tokens *tokens, int location)
{
    size_t low = 0, high = tokens->n;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (tokens->items[middle].start < (uint32_t)location)
            low = middle + 1;
        else
            high = middle;
    }
    if (low < tokens->n && location >= 0 && tokens->items[low].start == (uint32_t)location)
        return low;
    return tokens->n;
}

size_t sql_tokens_close(const struct sql_tokens *tokens, size_t open)
{
    for (size_t i = open + 1; i < tokens->n; i++)
        if (tokens->items[i].depth == tokens->items[open].depth && closes(tokens->items[i].kind))
            return i;
    return tokens->n;
}

size_t sql_tokens_find(const struct sql_tokens *tokens, size_t from, PgQuery__Token kind)
{
    uint32_t depth;

    if (from >= tokens->n)
        return tokens->n;
    depth = tokens->items[from].depth;
    for (size_t i = from; i < tokens->n && tokens->items[i].depth >= depth; i++)
        if (tokens->items[i].depth == depth && tokens->items[i].kind == kind)
            return i;
    return tokens->n;
}

bool sql_tokens_is(const struct sql_tokens *tokens, size_t i, PgQuery__Token kind)
{
    return i < tokens->n && tokens->items[i].kind == kind;
}

static bool is_end(PgQuery__Token kind, const PgQuery__Token *ends)
{
    if (kind == SQL_TOKEN_COMMA || kind == SQL_TOKEN_SEMICOLON)
        return true;
    for (; ends && *ends; ends++)
        if (kind == *ends)
            return true;
    return false;
}

size_t sql_tokens_item_end(const struct sql_tokens *tokens, size_t from, const PgQuery__Token *ends)
{
    uint32_t depth;
    size_t i;

    if (from >= tokens->n)
        return tokens->n;
    depth = tokens->items[from].depth;
    for (i = from; i < tokens->n; i++) {
        const struct sql_token *token = &tokens->items[i];

        if (token->depth < depth)
            break;
        if (token->depth == depth && i > from && (is_end(token->kind, ends)))
            break;
    }
    return i;
}
