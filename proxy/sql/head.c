/*
 * Where the first row ends is found here; what is in front of that the parser reads, and says so
 * where it is something else.
 */
#include "segue/sql/head.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "lexeme.h"
#include "literal.h"
#include "segue/base/buf.h"
#include "segue/base/mem.h"
#include "tokens.h"

/* ---- where it ends ---- */

static size_t skip_spaces(const char *text, size_t at)
{
    while (sql_byte_is_space((unsigned char)text[at]))
        at++;
    return at;
}

static bool is_comment(const char *at)
{
    return (at[0] == '-' && at[1] == '-') || (at[0] == '/' && at[1] == '*');
}

/* Spaces and comments; SIZE_MAX: they do not end here. */
static size_t skip_blank(const char *text, size_t at)
{
    for (at = skip_spaces(text, at); is_comment(text + at); at = skip_spaces(text, at)) {
        at = sql_lexeme_end(text, at, true);
        if (!at || !text[at])
            return SIZE_MAX;
    }
    return text[at] ? at : SIZE_MAX;
}

static bool is_word(const char *text, size_t from, size_t to, const char *word)
{
    return to - from == strlen(word) && !strncasecmp(text + from, word, to - from);
}

/* May it stand between INSERT and VALUES, where there is no list? */
static bool is_of_target(char c)
{
    return c == '.' || c == '"' || sql_byte_is_name((unsigned char)c);
}

/* Whose ( is at text[at]; 0: it does not end here. */
static size_t row_end(const char *text, size_t at)
{
    size_t depth = 0;

    for (; at && at != SIZE_MAX; at = skip_blank(text, at)) {
        if (text[at] == '(')
            depth++;
        else if (text[at] == ')' && --depth == 0)
            return at + 1;
        at = sql_lexeme_end(text, at, true);
        if (!at)
            return 0;
    }
    return 0;
}

/* Of what no head has there; but the first half of a comment's beginning may stand last. */
static enum rc other(const char *text, size_t at)
{
    return text[at + 1] ? RC_ERR : RC_AGAIN;
}

/* NUL-terminated: what ends with it may go on. */
static enum rc find(const char *text, struct sql_head *head)
{
    const char *wanted = "insert";

    for (size_t at = skip_blank(text, 0), end; at != SIZE_MAX; at = skip_blank(text, end)) {
        if (!is_of_target(text[at]))
            return other(text, at);
        end = sql_lexeme_end(text, at, true);
        if (!end || !text[end])
            return RC_AGAIN;
        if (wanted && !is_word(text, at, end, wanted))
            return RC_ERR;
        wanted = NULL;
        if (!is_word(text, at, end, "values"))
            continue;
        head->values = at;
        at = skip_blank(text, end);
        if (at == SIZE_MAX)
            return RC_AGAIN;
        if (text[at] != '(')
            return other(text, at);
        head->row = row_end(text, at);
        return head->row ? RC_OK : RC_AGAIN;
    }
    return RC_AGAIN;
}

enum rc sql_head_find(const char *text, size_t len, struct sql_head *head)
{
    char *copy = mem_strndup(text, len);
    enum rc rc;

    *head = (struct sql_head){0};
    rc = find(copy, head);
    free(copy);
    return rc;
}

/* ---- what it becomes ---- */

bool sql_head_rewrite(const struct sql_rules *rules, const struct sql_sight_of_session *session,
                      const char *text, const struct sql_head *head, struct sql_rewrite *out)
{
    struct sql_sight_of_session sight = *session;

    sight.fickle = true;
    sql_rewrite(rules, &sight, text, head->row, out);
    out->head = true;
    if (out->text && !out->early)
        return true;
    sql_rewrite_fini(out);
    return false;
}

/* Does the session, or the text in front of its rows, want what the table itself has? */
static bool is_off(const struct sql_sight_of_session *session, const char *text,
                   const struct sql_head *head)
{
    return !session->rewrites || memmem(text, head->values, SQL_TOKENS_OFF, strlen(SQL_TOKENS_OFF));
}

/* As if the rows were somebody else's, of whom nobody knows how many columns they have. */
bool sql_head_lacks_list(const struct sql_rules *rules, const struct sql_sight_of_session *session,
                         const char *text, const struct sql_head *head)
{
    struct buf guess = {0};
    struct sql_rewrite out;
    bool lacks;

    if (is_off(session, text, head))
        return false;
    buf_append(&guess, text, head->values);
    buf_append_str(&guess, "TABLE \"segue~rows\"");
    sql_rewrite(rules, session, guess.data, guess.len, &out);
    lacks = out.positional && out.doubt == SQL_DOUBT_STAR;
    sql_rewrite_fini(&out);
    buf_fini(&guess);
    return lacks;
}
