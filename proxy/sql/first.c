/* The first keyword of a statement, by the lexical rules of PostgreSQL's scan.l. */
#include <string.h>
#include <strings.h>

#include "lexeme.h"
#include "segue/base/rc.h"
#include "segue/sql/inspect.h"

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f' || c == '\v';
}

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

/* Index behind the comment that begins at i (nested ones count); len when it does not end. */
static size_t block_comment_end(const char *text, size_t len, size_t i)
{
    size_t depth = 0;

    while (i + 1 < len) {
        if (text[i] == '/' && text[i + 1] == '*') {
            depth++;
            i += 2;
        } else if (text[i] == '*' && text[i + 1] == '/') {
            i += 2;
            if (--depth == 0)
                return i;
        } else {
            i++;
        }
    }
    return len;
}

/* Empty statements (";") are skipped too: ";BEGIN" begins. */
size_t sql_first_at(const char *text, size_t len)
{
    size_t i = 0;

    while (i < len) {
        if (is_space(text[i]) || text[i] == ';') {
            i++;
        } else if (i + 1 < len && text[i] == '-' && text[i + 1] == '-') {
            while (i < len && text[i] != '\n' && text[i] != '\r')
                i++;
        } else if (i + 1 < len && text[i] == '/' && text[i + 1] == '*') {
            i = block_comment_end(text, len, i);
        } else {
            break;
        }
    }
    return i;
}

#define LETTER(c) ((c)&31) /* of either case */
#define WORDS_OF_LETTER 3

enum sql_first sql_first_word(const char *text, size_t len)
{
    /* by their first letter: each text is asked, and hardly one begins so */
    static const struct {
        const char *word;
        size_t len;
        enum sql_first first;
    } words[32][WORDS_OF_LETTER] = {
        [LETTER('a')] = {{"alter", 5, SQL_FIRST_ALTER}},
        [LETTER('b')] = {{"begin", 5, SQL_FIRST_BEGIN}},
        [LETTER('c')] = {{"create", 6, SQL_FIRST_WRAPS}, {"call", 4, SQL_FIRST_CALL}},
        [LETTER('d')] = {{"deallocate", 10, SQL_FIRST_FORGETS},
                         {"discard", 7, SQL_FIRST_FORGETS},
                         {"do", 2, SQL_FIRST_DO}},
        [LETTER('e')] = {{"explain", 7, SQL_FIRST_WRAPS}, {"execute", 7, SQL_FIRST_EXECUTE}},
        [LETTER('i')] = {{"import", 6, SQL_FIRST_IMPORT}},
        [LETTER('p')] = {{"prepare", 7, SQL_FIRST_PREPARE}},
        [LETTER('s')] = {{"select", 6, SQL_FIRST_READS}, {"start", 5, SQL_FIRST_BEGIN}},
        [LETTER('w')] = {{"with", 4, SQL_FIRST_READS}},
    };
    size_t from = sql_first_at(text, len), left = len - from;
    unsigned letter;

    if (from == len || !is_letter(text[from]))
        return from < len && text[from] == '(' ? SQL_FIRST_READS : SQL_FIRST_OTHER;
    letter = LETTER((unsigned char)text[from]);
    for (size_t i = 0; i < WORDS_OF_LETTER && words[letter][i].word; i++) {
        size_t n = words[letter][i].len;

        if (left >= n && (text[from + 1] | 0x20) == words[letter][i].word[1] &&
            (left == n || !is_letter(text[from + n])) &&
            !strncasecmp(text + from, words[letter][i].word, n))
            return words[letter][i].first;
    }
    return SQL_FIRST_OTHER;
}

bool sql_first_replicates(const char *text, size_t len)
{
    static const char *const words[] = {
        "IDENTIFY_SYSTEM",        "TIMELINE_HISTORY",      "CREATE_REPLICATION_SLOT",
        "ALTER_REPLICATION_SLOT", "READ_REPLICATION_SLOT", "DROP_REPLICATION_SLOT",
        "START_REPLICATION",      "BASE_BACKUP",           "UPLOAD_MANIFEST",
    };
    size_t from = sql_first_at(text, len), to = from;

    while (to < len && is_letter(text[to]))
        to++;
    for (size_t i = 0; i < ARRAY_LEN(words); i++)
        if (strlen(words[i]) == to - from && !strncasecmp(text + from, words[i], to - from))
            return true;
    return false;
}

size_t sql_first_behind(const char *text, size_t len)
{
    size_t at = sql_first_at(text, len);
    const char *semicolon = memchr(text + at, ';', len - at);

    return semicolon ? (size_t)(semicolon - text) + 1 : len;
}

bool sql_first_is_several(const char *text, size_t len)
{
    size_t at;

    if (!len || !memchr(text, ';', len - 1))
        return false;
    for (at = sql_first_at(text, len); at < len && text[at] != ';';) {
        at = sql_lexeme_end(text, at, false);
        if (!at)
            return true;
    }
    return at + sql_first_at(text + at, len - at) < len;
}

struct word {
    const char *word;
    size_t len;
};

static bool is_among(const struct word *words, size_t n, const char *text, size_t len)
{
    for (size_t i = 0; i < n; i++)
        if (words[i].len == len && !strncasecmp(text, words[i].word, len))
            return true;
    return false;
}

/* Whole words, anywhere: in a body, whatever its quotes. */
static enum sql_opaque of_words(const char *text, size_t len)
{
    static const struct word makers[] = {{"create", 6}, {"alter", 5}, {"execute", 7}};
    static const struct word between[] = {
        {"or", 2},    {"replace", 7},  {"temp", 4},          {"temporary", 9}, {"global", 6},
        {"local", 5}, {"unlogged", 8}, {"materialized", 12}, {"foreign", 7},   {"recursive", 9}};
    static const struct word relations[] = {{"table", 5}, {"view", 4}};
    static const struct word rename[] = {{"rename", 6}};
    enum sql_opaque opaque = SQL_OPAQUE_NO;
    bool created = false;

    for (size_t i = 0, to; i < len; i = to + 1) {
        for (to = i; to < len && is_letter(text[to]);)
            to++;
        if (to == i)
            continue;
        if ((created && is_among(relations, ARRAY_LEN(relations), text + i, to - i)) ||
            (opaque && is_among(rename, 1, text + i, to - i)))
            return SQL_OPAQUE_RELATES;
        created = created && is_among(between, ARRAY_LEN(between), text + i, to - i);
        if (!is_among(makers, ARRAY_LEN(makers), text + i, to - i))
            continue;
        opaque = SQL_OPAQUE_MAKES;
        created = is_among(makers, 1, text + i, to - i);
    }
    return opaque;
}

/* Semicolons in strings do no harm: in doubt there is one statement more. What is said behind the
 * first DO is said behind each. */
enum sql_opaque sql_opaque(const char *text, size_t len)
{
    enum sql_opaque opaque = SQL_OPAQUE_NO, one;
    bool done = false;

    for (size_t at = 0; at < len; at += sql_first_behind(text + at, len - at)) {
        enum sql_first first = sql_first_word(text + at, len - at);

        one = first == SQL_FIRST_CALL     ? SQL_OPAQUE_CALLS
              : first == SQL_FIRST_IMPORT ? SQL_OPAQUE_MAKES
                                          : SQL_OPAQUE_NO;
        if (first == SQL_FIRST_DO && !done) {
            one = of_words(text + at, len - at);
            done = true;
        }
        opaque = one > opaque ? one : opaque;
    }
    return opaque;
}
