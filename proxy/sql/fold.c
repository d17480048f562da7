/*
 * The last row in front of those that are folded is the model: a row is like it when it has the
 * same bytes between its constants, and constants of the same kinds, with a sign or not, or NULL.
 * A constant is a literal; other words are among the bytes between.
 */
#include "fold.h"

#include <string.h>

#include "literal.h"
#include "segue/base/rc.h"

#define CELLS_MAX 256

struct cell {
    uint32_t before, len; /* the bytes in front of it */
    enum sql_literal_kind kind;
};

struct model {
    struct cell cells[CELLS_MAX];
    size_t n;
    uint32_t behind, behind_len; /* the bytes up to the next row */
};

struct text {
    const char *text;
    size_t len;
    bool wide;
};

static int peek(const struct text *t, size_t at)
{
    return at < t->len ? (unsigned char)t->text[at] : 0;
}

static size_t skip_spaces(const struct text *t, size_t at)
{
    while (sql_byte_is_space(peek(t, at)))
        at++;
    return at;
}

/* ---- one constant ---- */

/* TRUE and the like at text[at]. Returns its end, or 0. */
static size_t word_end(const struct text *t, size_t at)
{
    static const char *const words[] = {"null", "true", "false", "default"};

    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        size_t n = 0;

        while (words[i][n] && (peek(t, at + n) | 0x20) == words[i][n])
            n++;
        if (!words[i][n])
            return sql_byte_is_name(peek(t, at + n)) ? 0 : at + n;
    }
    return 0;
}

/* A literal with its sign. Returns its end; 0: it is none. */
static size_t literal_end(struct text *t, size_t at, enum sql_literal_kind *kind)
{
    if (peek(t, at) == '\'')
        return sql_literal_string(t->text, t->len, at, kind, &t->wide);
    at += peek(t, at) == '-';
    return sql_byte_is_digit(peek(t, at)) ? sql_literal_number(t->text, t->len, at, kind) : 0;
}

/* ---- the model ---- */

/* A row whose ( is at text[at], and the comma behind it. Returns where the next one begins; 0: it
 * is not of constants, or the last. */
static size_t read_model(struct text *t, size_t at, struct model *m)
{
    size_t before = at;

    m->n = 0;
    if (peek(t, at) != '(')
        return 0;
    do {
        size_t begin = skip_spaces(t, at + 1), end = word_end(t, begin);
        enum sql_literal_kind kind;

        if (!end) {
            end = literal_end(t, begin, &kind);
            if (!end || m->n == CELLS_MAX)
                return 0;
            m->cells[m->n++] = (struct cell){(uint32_t)before, (uint32_t)(begin - before), kind};
            before = end;
        }
        at = skip_spaces(t, end);
    } while (peek(t, at) == ',');
    if (peek(t, at) != ')')
        return 0;
    at = skip_spaces(t, at + 1);
    if (peek(t, at) != ',')
        return 0;
    at = skip_spaces(t, at + 1);
    m->behind = (uint32_t)before;
    m->behind_len = (uint32_t)(at - before);
    return peek(t, at) == '(' ? at : 0;
}

/* ---- rows like it ---- */

/* A few bytes: no call for them. */
static bool is_same(const struct text *t, size_t at, uint32_t from, uint32_t len)
{
    const char *a = t->text + at, *b = t->text + from;

    if (t->len - at < len)
        return false;
    for (uint32_t i = 0; i < len; i++)
        if (a[i] != b[i])
            return false;
    return true;
}

static size_t null_end(const struct text *t, size_t at)
{
    return (peek(t, at) | 0x20) == 'n' ? word_end(t, at) : 0;
}

/* Returns where the next row begins; 0: not like the model. What is too long to be written twice is
 * another matter than NULL. */
static size_t read_like(struct text *t, size_t at, const struct model *m)
{
    for (size_t i = 0; i < m->n; i++) {
        const struct cell *cell = &m->cells[i];
        enum sql_literal_kind kind = cell->kind;
        size_t end;

        if (!is_same(t, at, cell->before, cell->len))
            return 0;
        at += cell->len;
        end = literal_end(t, at, &kind);
        if (!end && kind != SQL_LITERAL_LONG_STRING)
            end = null_end(t, at);
        if (!end || kind != cell->kind)
            return 0;
        at = end;
    }
    if (!is_same(t, at, m->behind, m->behind_len))
        return 0;
    at += m->behind_len;
    return peek(t, at) == '(' ? at : 0;
}

bool sql_fold_find(const char *text, size_t len, size_t at, struct sql_fold *fold)
{
    struct text t = {text, len, false};
    struct model model;
    size_t next;

    at = skip_spaces(&t, at);
    for (size_t row = 0; row < SQL_FOLD_ROWS; row++) {
        fold->like = (uint32_t)at;
        at = read_model(&t, at, &model);
        if (!at)
            return false;
    }
    fold->from = (uint32_t)at;
    while ((next = read_like(&t, at, &model)))
        at = next;
    fold->to = (uint32_t)at;
    fold->wide = t.wide;
    return fold->to > fold->from;
}
