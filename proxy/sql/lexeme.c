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

/* Of a string that goes on behind a new line, and blanks and comments; 0: it does not. */
static size_t next_part(const char *text, size_t at)
{
    size_t from = at;

    for (;;) {
        if (text[at] == '-' && text[at + 1] == '-')
            at += strcspn(text + at, "\n\r");
        else if (text[at] && strchr(" \t\f\v\n\r", text[at]))
            at++;
        else
            break;
    }
    if (text[at] != '\'')
        return 0;
    return memchr(text + from, '\n', at - from) || memchr(text + from, '\r', at - from) ? at : 0;
}

/* Of E'', all parts of which are read alike. */
static size_t escaped_end(const char *text, size_t at)
{
    for (size_t part = at; part; part = at ? next_part(text, at) : 0)
        at = quoted_end(text, part, ESCAPES);
    return at;
}

/* Of E'' the string is a part, which no prefix of another kind reads otherwise. */
static size_t name_end(const char *text, size_t at, bool standard)
{
    size_t from = at;

    while (is_name(text[at]) || is_digit(text[at]) || text[at] == '$')
        at++;
    if (standard && at == from + 1 && (text[from] | 0x20) == 'e' && text[at] == '\'')
        return escaped_end(text, at);
    return at;
}

static size_t number_end(const char *text, size_t at)
{
    while (is_name(text[at]) || is_digit(text[at]) || text[at] == '.')
        at++;
    return text[at] == '$' || text[at] == '\'' ? 0 : at;
}

/* $1, $$text$$, $tag$text$tag$, or a dollar by itself. Nothing behind its end is looked at: a text
 * may have many. */
static size_t dollar_end(const char *text, size_t at)
{
    size_t to = at + 1;

    if (is_digit(text[to]))
        return number_end(text, to);
    while (is_name(text[to]) || is_digit(text[to]))
        to++;
    if (text[to] != '$')
        return at + 1;
    to++;
    for (const char *end = strchr(text + to, '$'); end; end = strchr(end + 1, '$'))
        if (!strncmp(end, text + at, to - at))
            return (size_t)(end - text) + (to - at);
    return 0;
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
