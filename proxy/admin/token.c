#include "token.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "segue/base/buf.h"
#include "segue/base/mem.h"

static void add(struct adm_tokens *tokens, enum adm_token_kind kind, char *value)
{
    mem_grow((void **)&tokens->items, &tokens->cap, tokens->count + 1, sizeof(*tokens->items));
    tokens->items[tokens->count++] = (struct adm_token){.kind = kind, .value = value};
}

/* Behind blanks and comments; NULL: a comment without an end. */
static const char *skip_blanks(const char *p)
{
    for (;;) {
        if (isspace((unsigned char)*p)) {
            p++;
        } else if (p[0] == '-' && p[1] == '-') {
            p += strcspn(p, "\n");
        } else if (p[0] == '/' && p[1] == '*') {
            p = strstr(p + 2, "*/");
            if (!p)
                return NULL;
            p += 2;
        } else {
            return p;
        }
    }
}

static char unescape(char c)
{
    static const char from[] = "nrtbf", to[] = "\n\r\t\b\f";
    const char *at = c ? strchr(from, c) : NULL;

    return at ? to[at - from] : c;
}

/* p is behind the opening quote; returns behind the closing one, or NULL. */
static const char *quoted(const char *p, char quote, bool escapes, struct buf *out)
{
    for (; *p; p++) {
        if (escapes && *p == '\\' && p[1]) {
            buf_append_u8(out, (uint8_t)unescape(*++p));
        } else if (*p != quote) {
            buf_append(out, p, 1);
        } else if (p[1] == quote) {
            buf_append(out, p++, 1);
        } else {
            return p + 1;
        }
    }
    return NULL;
}

enum rc adm_tokenize(const char *text, struct adm_tokens *tokens, struct err *err)
{
    const char *p = skip_blanks(text);

    while (p && *p) {
        bool escapes = (*p == 'E' || *p == 'e') && p[1] == '\'';

        if (*p == ';') {
            add(tokens, ADM_SEMICOLON, mem_strdup(";"));
            p++;
        } else if (strchr(",()=", *p)) {
            add(tokens, ADM_SYMBOL, mem_strndup(p, 1));
            p++;
        } else if (*p == '\'' || *p == '"' || escapes) {
            struct buf value = {0};
            char quote = escapes ? '\'' : *p;

            p = quoted(p + (escapes ? 2 : 1), quote, escapes, &value);
            add(tokens, quote == '"' ? ADM_NAME : ADM_TEXT, buf_take(&value));
            if (!p) {
                err_set(err, "42601", "a quote (%c) without an end", quote);
                return RC_ERR;
            }
        } else {
            size_t len = strcspn(p, " \t\r\n\v\f'\";,()=");

            add(tokens, ADM_WORD, mem_strndup(p, len));
            p += len;
        }
        p = skip_blanks(p);
    }
    if (!p) {
        err_set(err, "42601", "a comment without an end");
        return RC_ERR;
    }
    return RC_OK;
}

void adm_tokens_free(struct adm_tokens *tokens)
{
    for (size_t i = 0; i < tokens->count; i++)
        free(tokens->items[i].value);
    free(tokens->items);
    memset(tokens, 0, sizeof(*tokens));
}

bool adm_token_is(const struct adm_token *token, const char *keyword)
{
    return token->kind == ADM_WORD && strcasecmp(token->value, keyword) == 0;
}
