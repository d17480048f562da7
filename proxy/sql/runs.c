#include "runs.h"

#include <limits.h>
#include <stdint.h>
#include <string.h>

#include "lexeme.h"
#include "tokens.h"

#define LEN_MIN 8192        /* what is shorter is not long about it */
#define STEPS_MAX 50000000u /* bytes that are looked at again: some tenths of a second */

/* ---- what it costs ---- */

static bool is_operator(char c)
{
    static const bool are[UCHAR_MAX + 1] = {
        ['~'] = true, ['!'] = true, ['@'] = true, ['#'] = true, ['^'] = true, ['&'] = true,
        ['|'] = true, ['`'] = true, ['?'] = true, ['+'] = true, ['-'] = true, ['*'] = true,
        ['/'] = true, ['%'] = true, ['<'] = true, ['>'] = true, ['='] = true};

    return are[(unsigned char)c];
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

/* ---- comments ---- */

/* Nothing but tokens and blanks is left. */
static bool blank_comments(char *text, uint64_t *steps)
{
    size_t run = 0; /* operators up to here */

    for (size_t at = 0, to; text[at]; at = to) {
        bool block = text[at] == '/' && text[at + 1] == '*';
        bool line = text[at] == '-' && text[at + 1] == '-';

        run = is_operator(text[at]) && !block && !line ? run + 1 : 0;
        *steps += run;
        to = sql_lexeme_end(text, at, false);
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
