#include "runs.h"

#include <stdint.h>
#include <string.h>

#include "tokens.h"

#define LEN_MIN 8192        /* what is shorter is not long about it */
#define STEPS_MAX 50000000u /* bytes that are looked at again: some tenths of a second */

/* ---- what it costs ---- */

static bool is_operator(char c)
{
    return c && strchr("~!@#^&|`?+-*/%<>=", c) != NULL;
}

/* Of a run, at most: comments begin in it, and + and - are tokens of their own. */
static uint64_t steps_of(const char *run, size_t len)
{
    uint64_t tokens = 0;

    for (size_t i = 0; i < len; i++)
        tokens += run[i] == '/' || run[i] == '+' || (run[i] == '-' && i > 0 && run[i - 1] != '-');
    return tokens * len;
}

static bool is_long(const char *text, size_t len)
{
    uint64_t steps = 0;

    for (size_t i = 0, to; i < len && steps <= STEPS_MAX; i = to + 1) {
        for (to = i; to < len && is_operator(text[to]);)
            to++;
        steps += steps_of(text + i, to - i);
    }
    return steps > STEPS_MAX;
}

/* ---- comments, as PostgreSQL's scan.l finds them. All of these return what is behind; 0: the text
 * is not understood for certain. ---- */

static bool is_name(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || (c & 0x80);
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* How a backslash is read depends on what stands in front of the string. */
static size_t behind_quoted(const char *text, size_t at)
{
    char quote = text[at++];

    for (; text[at]; at++) {
        if (text[at] == '\\' && quote == '\'')
            return 0;
        if (text[at] != quote)
            continue;
        if (text[at + 1] != quote)
            return at + 1;
        at++;
    }
    return 0;
}

static size_t behind_name(const char *text, size_t at)
{
    while (is_name(text[at]) || is_digit(text[at]) || text[at] == '$')
        at++;
    return at;
}

static size_t behind_number(const char *text, size_t at)
{
    while (is_name(text[at]) || is_digit(text[at]) || text[at] == '.')
        at++;
    return text[at] == '$' || text[at] == '\'' ? 0 : at;
}

/* $1, $$text$$, $tag$text$tag$, or a dollar by itself. */
static size_t behind_dollar(const char *text, size_t at)
{
    size_t to = at + 1;
    const char *end;

    if (is_digit(text[to]))
        return behind_number(text, to);
    while (is_name(text[to]) || is_digit(text[to]))
        to++;
    if (text[to] != '$')
        return at + 1;
    to++;
    end = memmem(text + to, strlen(text + to), text + at, to - at);
    return end ? (size_t)(end - text) + (to - at) : 0;
}

static size_t behind_block(const char *text, size_t at)
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

static size_t behind_line(const char *text, size_t at)
{
    return at + strcspn(text + at, "\n\r");
}

static size_t behind_one(const char *text, size_t at)
{
    if (text[at] == '\'' || text[at] == '"')
        return behind_quoted(text, at);
    if (text[at] == '$')
        return behind_dollar(text, at);
    if (is_digit(text[at]))
        return behind_number(text, at);
    return is_name(text[at]) ? behind_name(text, at) : at + 1;
}

/* Nothing but tokens and blanks is left. */
static bool blank_comments(char *text, uint64_t *steps)
{
    size_t run = 0; /* operators up to here */

    for (size_t at = 0, to; text[at]; at = to) {
        bool block = text[at] == '/' && text[at + 1] == '*';
        bool line = text[at] == '-' && text[at + 1] == '-';

        run = is_operator(text[at]) && !block && !line ? run + 1 : 0;
        *steps += run;
        to = block ? behind_block(text, at) : line ? behind_line(text, at) : behind_one(text, at);
        if (to == 0)
            return false;
        if (block || line)
            memset(text + at, ' ', to - at);
    }
    return true;
}

bool sql_runs_tame(char *text, size_t len)
{
    uint64_t steps = 0;

    if (len < LEN_MIN || !is_long(text, len))
        return true;
    return !strstr(text, SQL_TOKENS_OFF) && blank_comments(text, &steps) && steps <= STEPS_MAX;
}
