#include "lexeme.h"

#include <string.h>

static bool is_name(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || (c & 0x80);
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* How a backslash in a string is read. */
enum backslash { AS_IT_IS, ESCAPES, UNKNOWN };

static size_t quoted_end(const char *text, size_t at, enum backslash backslash)
{
    char quote = text[at++];

    for (; text[at]; at++) {
        if (text[at] == '\\' && quote == '\'' && backslash != AS_IT_IS) {
            if (backslash == UNKNOWN || !text[++at])
                return 0;
            continue;
        }
        if (text[at] != quote)
            continue;
        if (text[at + 1] != quote)
            return at + 1;
        at++;
    }
    return 0;
}

/* Of E'' the string is a part, which no prefix of another kind reads otherwise. */
static size_t name_end(const char *text, size_t at, bool standard)
{
    size_t from = at;

    while (is_name(text[at]) || is_digit(text[at]) || text[at] == '$')
        at++;
    if (standard && at == from + 1 && (text[from] | 0x20) == 'e' && text[at] == '\'')
        return quoted_end(text, at, ESCAPES);
    return at;
}

static size_t number_end(const char *text, size_t at)
{
    while (is_name(text[at]) || is_digit(text[at]) || text[at] == '.')
        at++;
    return text[at] == '$' || text[at] == '\'' ? 0 : at;
}

/* $1, $$text$$, $tag$text$tag$, or a dollar by itself. */
static size_t dollar_end(const char *text, size_t at)
{
    size_t to = at + 1;
    const char *end;

    if (is_digit(text[to]))
        return number_end(text, to);
    while (is_name(text[to]) || is_digit(text[to]))
        to++;
    if (text[to] != '$')
        return at + 1;
    to++;
    end = memmem(text + to, strlen(text + to), text + at, to - at);
    return end ? (size_t)(end - text) + (to - at) : 0;
}

static size_t block_end(const char *text, size_t at)
{
    size_t depth = 0;

    do {
        bool opens = text[at] == '/' && text[at + 1] == '*';
        bool closes = text[at] == '*' && text[at + 1] == '/';

        if (!text[at])
            return 0;
        depth += opens;
        depth -= closes;
        at += opens || closes ? 2 : 1;
    } while (depth > 0);
    return at;
}

size_t sql_lexeme_end(const char *text, size_t at, bool standard)
{
    if (text[at] == '/' && text[at + 1] == '*')
        return block_end(text, at);
    if (text[at] == '-' && text[at + 1] == '-')
        return at + strcspn(text + at, "\n\r");
    if (text[at] == '\'' || text[at] == '"')
        return quoted_end(text, at, standard ? AS_IT_IS : UNKNOWN);
    if (text[at] == '$')
        return dollar_end(text, at);
    if (is_digit(text[at]))
        return number_end(text, at);
    return is_name(text[at]) ? name_end(text, at, standard) : at + 1;
}
