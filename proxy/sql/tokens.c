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

/* ---- what the scanner says: the protobuf message ScanResult, version = 1, tokens = 2 ---- */

struct bytes {
    const uint8_t *at, *end;
};

/* Member numbers of ScanToken. */
enum { SCANNED_START = 1, SCANNED_END = 2, SCANNED_TOKEN = 4, SCANNED_KEYWORD = 5, SCANNED_N = 6 };

static bool read_number(struct bytes *b, uint64_t *number)
{
    if (b->at < b->end && !(*b->at & 0x80)) { /* nearly all of them */
        *number = *b->at++;
        return true;
    }
    *number = 0;
    for (unsigned shift = 0; b->at < b->end && shift < 64; shift += 7) {
        uint8_t byte = *b->at++;

        *number |= (uint64_t)(byte & 0x7f) << shift;
        if (!(byte & 0x80))
            return true;
    }
    return false;
}

/* The next member of a message. Both kinds that there are begin with a number: of what is longer it
 * is the length. */
static bool read_member(struct bytes *b, uint64_t *member, bool *is_long, uint64_t *value)
{
    uint64_t tag;

    if (!read_number(b, &tag) || (tag & 5) || !read_number(b, value))
        return false;
    *member = tag >> 3;
    *is_long = (tag & 7) == 2;
    return !*is_long || *value <= (uint64_t)(b->end - b->at);
}

/* What is zero is left out. */
static bool read_token(struct bytes b, uint64_t scanned[SCANNED_N])
{
    uint64_t member, value;
    bool is_long;

    memset(scanned, 0, SCANNED_N * sizeof(*scanned));
    while (b.at < b.end) {
        if (!read_member(&b, &member, &is_long, &value) || is_long)
            return false;
        if (member < SCANNED_N)
            scanned[member] = value;
    }
    return true;
}

/* ---- tokens ---- */

struct reader {
    struct sql_tokens *tokens;
    const char *text;
    uint32_t depth;
    bool wide; /* the last token's end is not known yet */
};

static bool says_off(const char *text, const uint64_t scanned[SCANNED_N])
{
    uint64_t len = scanned[SCANNED_END] - scanned[SCANNED_START];

    return memmem(text + scanned[SCANNED_START], len, SQL_TOKENS_OFF, strlen(SQL_TOKENS_OFF));
}

/* Of U&"" and U&'' the scanner tells a wrong end. Up to the next token there are only spaces. */
static void end_last(struct reader *r, size_t end)
{
    struct sql_token *token = &r->tokens->items[r->tokens->n - 1];

    while (end > token->start && strchr(" \t\n\r\f\v", r->text[end - 1]))
        end--;
    token->end = (uint32_t)end;
    r->wide = false;
}

static void add(struct reader *r, const uint64_t scanned[SCANNED_N])
{
    PgQuery__Token kind = (PgQuery__Token)scanned[SCANNED_TOKEN];

    if (r->wide)
        end_last(r, scanned[SCANNED_START]);
    if (is_comment(kind)) {
        r->tokens->off |= says_off(r->text, scanned);
        return;
    }
    if (closes(kind) && r->depth > 0)
        r->depth--;
    r->tokens->items[r->tokens->n++] = (struct sql_token){
        .start = (uint32_t)scanned[SCANNED_START],
        .end = (uint32_t)scanned[SCANNED_END],
        .depth = r->depth,
        .kind = kind,
        .word = kind == PG_QUERY__TOKEN__IDENT || kind == PG_QUERY__TOKEN__UIDENT ||
                scanned[SCANNED_KEYWORD] != PG_QUERY__KEYWORD_KIND__NO_KEYWORD,
    };
    r->wide = kind == PG_QUERY__TOKEN__UIDENT || kind == PG_QUERY__TOKEN__USCONST;
    if (opens(kind))
        r->depth++;
}

/* A token takes four bytes of the message at least. */
static bool read_all(struct reader *r, struct bytes b)
{
    uint64_t member, value, scanned[SCANNED_N];
    bool is_long;

    r->tokens->items = mem_alloc(((size_t)(b.end - b.at) / 4 + 1) * sizeof(*r->tokens->items));
    while (b.at < b.end) {
        if (!read_member(&b, &member, &is_long, &value))
            return false;
        if (!is_long)
            continue;
        if (member != 2 || value < 2 || !read_token((struct bytes){b.at, b.at + value}, scanned))
            return false;
        b.at += value;
        add(r, scanned);
    }
    if (r->wide)
        end_last(r, strlen(r->text));
    return true;
}

enum rc sql_tokens_init(struct sql_tokens *tokens, const char *text)
{
    PgQueryScanResult scan = pg_query_scan(text);
    const uint8_t *at = (const uint8_t *)scan.pbuf.data;
    struct reader r = {.tokens = tokens, .text = text};
    bool read;

    *tokens = (struct sql_tokens){0};
    read = !scan.error && read_all(&r, (struct bytes){at, at + scan.pbuf.len});
    pg_query_free_scan_result(scan);
    if (!read)
        sql_tokens_fini(tokens);
    return read ? RC_OK : RC_ERR;
}

void sql_tokens_fini(struct sql_tokens *tokens)
{
    free(tokens->items);
    sql_marks_fini(&tokens->shared);
    *tokens = (struct sql_tokens){0};
}

/* ---- parameters ---- */

struct parameter {
    const char *text;
    uint32_t at, len;
};

static int by_text(const void *a, const void *b)
{
    const struct parameter *x = a, *y = b;

    if (x->len != y->len)
        return x->len < y->len ? -1 : 1;
    return memcmp(x->text, y->text, x->len);
}

static void count_parameters(struct sql_tokens *tokens, const char *text)
{
    struct parameter *all = NULL;
    size_t n = 0, cap = 0;

    for (size_t i = 0; i < tokens->n; i++) {
        const struct sql_token *token = &tokens->items[i];

        if (token->kind != PG_QUERY__TOKEN__PARAM)
            continue;
        mem_grow((void **)&all, &cap, n + 1, sizeof(*all));
        all[n++] = (struct parameter){text + token->start, token->start, token->end - token->start};
    }
    if (n > 0)
        qsort(all, n, sizeof(*all), by_text);
    for (size_t i = 1; i < n; i++) {
        if (by_text(&all[i - 1], &all[i]) != 0)
            continue;
        sql_marks_put(&tokens->shared, all[i - 1].at, all[i - 1].at);
        sql_marks_put(&tokens->shared, all[i].at, all[i].at);
    }
    free(all);
    tokens->counted = true;
}

bool sql_tokens_share(struct sql_tokens *tokens, const char *text, uint32_t from, uint32_t to)
{
    if (!tokens->counted)
        count_parameters(tokens, text);
    return sql_marks_any(&tokens->shared, from, to);
}

/* ---- places ---- */

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
