/*
 * A placeholder is a literal of the same kind: an integer of four bytes, another number or a
 * string, made of 2000000000 and the literal's number, so that the parser sees what it would have
 * seen. It is found again in the rewritten shape only inside of what was inserted; elsewhere the
 * splices say where the text's own bytes are.
 */
#include "shape.h"

#include <stdlib.h>
#include <string.h>

#include "segue/base/mem.h"
#include "segue/base/utf8.h"
#include "twin.h"

#define DIGITS 10 /* of a placeholder: an int4, as the grammar wants some numbers to be */
#define FIRST 2000000000u
#define LITERALS_MAX 1000000
#define TEXT_BYTES_MAX (64u << 20)

/* The text as it is read. */
struct reader {
    struct sql_shape *shape;
    const char *text;
    size_t len, at;
    size_t copied; /* up to here the shape has it */
    bool wide;     /* a literal is not ASCII */
};

/* ---- bytes ---- */

/* What a byte begins. PLAIN stands for itself, whatever follows. */
enum byte { PLAIN, NAME, DIGIT, QUOTE, NAME_QUOTE, DOLLAR, SEMICOLON, OTHER };

static const unsigned char bytes[256] = {
    ['\0'] = OTHER,         ['-'] = OTHER,         ['/'] = OTHER,        ['.'] = OTHER,
    ['\''] = QUOTE,         ['"'] = NAME_QUOTE,    ['$'] = DOLLAR,       [';'] = SEMICOLON,
    ['_'] = NAME,           ['0' ... '9'] = DIGIT, ['a' ... 'z'] = NAME, ['A' ... 'Z'] = NAME,
    [0x80 ... 0xff] = NAME,
};

static bool is_digit(int c)
{
    return bytes[c] == DIGIT;
}

static bool is_name(int c)
{
    return bytes[c] == NAME || bytes[c] == DIGIT || bytes[c] == DOLLAR;
}

static bool is_space(int c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

/* 0 behind the end; a NUL in the text is refused where it stands. */
static int peek(const struct reader *r, size_t ahead)
{
    return r->at + ahead < r->len ? (unsigned char)r->text[r->at + ahead] : 0;
}

/* ---- literals ---- */

enum kind { KIND_INTEGER, KIND_NUMBER, KIND_STRING, KIND_LONG_STRING };

/* What the placeholder of any kind has room in. */
enum { PLACEHOLDER_BYTES = DIGITS + 2 + SQL_COPY_BYTES_MAX };

/* Returns its end. */
static char *put_placeholder(char *to, unsigned number, enum kind kind)
{
    static const char zeros[] = "2000000000";

    if (kind >= KIND_STRING)
        *to++ = '\'';
    memcpy(to, zeros, DIGITS);
    to += DIGITS;
    for (char *p = to; number > 0; number /= 10)
        *--p = (char)('0' + number % 10);
    if (kind == KIND_LONG_STRING) {
        memset(to, 'x', SQL_COPY_BYTES_MAX);
        to += SQL_COPY_BYTES_MAX;
    }
    if (kind >= KIND_STRING) {
        *to++ = '\'';
    } else if (kind == KIND_NUMBER) {
        *to++ = '.';
        *to++ = '5';
    }
    return to;
}

/* From `from` to here the text has a literal. What is too long to be written twice is so in the
 * shape, too. */
static bool put_literal(struct reader *r, size_t from, enum kind kind)
{
    struct sql_shape *shape = r->shape;
    size_t before = from - r->copied, n;
    char *to = buf_space(&shape->text, before + PLACEHOLDER_BYTES), *at = to + before;

    if (shape->n == LITERALS_MAX)
        return false;
    memcpy(to, r->text + r->copied, before);
    n = (size_t)(put_placeholder(at, (unsigned)shape->n, kind) - at);
    if (shape->n == shape->cap)
        mem_grow((void **)&shape->literals, &shape->cap, shape->n + 1, sizeof(*shape->literals));
    shape->literals[shape->n++] =
        (struct sql_literal){(uint32_t)from, (uint32_t)r->at, (uint32_t)(shape->text.len + before),
                             (uint32_t)(shape->text.len + before + n)};
    buf_grow(&shape->text, before + n);
    r->copied = r->at;
    return true;
}

/* What ends a string, or the shape. A colon may be that of segue:off, which counts wherever it
 * stands; how a backslash is read depends on the session. */
static const bool stops[256] = {['\''] = true, ['\\'] = true, ['\0'] = true, [':'] = true};

static bool is_odd(const struct reader *r)
{
    return r->text[r->at] == '\\' || r->text[r->at] == '\0' ||
           (r->text[r->at] == ':' && r->at >= 5 && !memcmp(r->text + r->at - 5, "segue", 5));
}

static bool read_string(struct reader *r)
{
    const unsigned char *p = (const unsigned char *)r->text;
    size_t from = r->at++;
    unsigned char seen = 0;

    for (; r->at < r->len; r->at++) {
        while (r->at < r->len && !stops[p[r->at]])
            seen |= p[r->at++];
        if (r->at == r->len || is_odd(r))
            return false;
        if (p[r->at] != '\'')
            continue;
        r->at++;
        if (peek(r, 0) != '\'') {
            r->wide = r->wide || seen >= 0x80;
            return put_literal(r, from,
                               r->at - from > SQL_COPY_BYTES_MAX ? KIND_LONG_STRING : KIND_STRING);
        }
    }
    return false;
}

static void skip_digits(struct reader *r)
{
    while (is_digit(peek(r, 0)))
        r->at++;
}

static bool fits_int4(const char *p, size_t len)
{
    for (; len > 1 && *p == '0'; len--)
        p++;
    return len < DIGITS || (len == DIGITS && memcmp(p, "2147483647", DIGITS) <= 0);
}

/* 12, 1.5, 1e-3; not 1., 0x1F, 1_000, 1..2. */
static bool read_number(struct reader *r)
{
    size_t from = r->at, digits;

    skip_digits(r);
    digits = r->at - from;
    if (peek(r, 0) == '.') {
        r->at++;
        if (!is_digit(peek(r, 0)))
            return false;
        skip_digits(r);
    }
    if (peek(r, 0) == 'e' || peek(r, 0) == 'E') {
        r->at += 1 + (peek(r, 1) == '+' || peek(r, 1) == '-');
        if (!is_digit(peek(r, 0)))
            return false;
        skip_digits(r);
    }
    if (is_name(peek(r, 0)) || peek(r, 0) == '.')
        return false;
    return put_literal(r, from,
                       r->at - from == digits && fits_int4(r->text + from, digits) ? KIND_INTEGER
                                                                                   : KIND_NUMBER);
}

/* ---- what stays ---- */

static char fold(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
}

static bool is_word(const char *p, size_t len, const char *word)
{
    size_t i = 0;

    while (i < len && fold(p[i]) == word[i])
        i++;
    return i == len && !word[i];
}

/* Not E'', B'', X'', N'', U&'', U&"". What set_config sets is said by literals. */
static bool read_name(struct reader *r)
{
    size_t from = r->at;

    while (is_name(peek(r, 0)))
        r->at++;
    if (peek(r, 0) == '\'' || (peek(r, 0) == '&' && (peek(r, 1) == '\'' || peek(r, 1) == '"')))
        return false;
    return !is_word(r->text + from, r->at - from, "set_config");
}

static bool read_quoted_name(struct reader *r)
{
    size_t from = r->at + 1;

    for (r->at++; r->at < r->len; r->at++) {
        if (r->text[r->at] != '"')
            continue;
        r->at++;
        if (peek(r, 0) != '"')
            return !is_word(r->text + from, r->at - 1 - from, "set_config");
    }
    return false;
}

static bool read_parameter(struct reader *r)
{
    r->at++;
    if (!is_digit(peek(r, 0)))
        return false; /* $$ or $tag$ */
    skip_digits(r);
    return !is_name(peek(r, 0));
}

static bool read_semicolon(struct reader *r)
{
    do
        r->at++;
    while (is_space(peek(r, 0)));
    return r->at == r->len;
}

static bool read_other(struct reader *r)
{
    int c = peek(r, 0), next = peek(r, 1);

    r->at++;
    return c != '\0' && !(c == '-' && next == '-') && !(c == '/' && next == '*') &&
           !(c == '.' && is_digit(next));
}

static bool read_one(struct reader *r)
{
    switch (bytes[peek(r, 0)]) {
    case NAME:
        return read_name(r);
    case DIGIT:
        return read_number(r);
    case QUOTE:
        return read_string(r);
    case NAME_QUOTE:
        return read_quoted_name(r);
    case DOLLAR:
        return read_parameter(r);
    case SEMICOLON:
        return read_semicolon(r);
    default:
        return read_other(r);
    }
}

/* Others are rare, or say with literals what they mean. */
static bool begins_well(const struct reader *begin)
{
    static const char *const words[] = {"insert", "update", "select", "delete", "with", "merge"};
    struct reader r = *begin;
    size_t from;

    while (is_space(peek(&r, 0)))
        r.at++;
    for (from = r.at; is_name(peek(&r, 0));)
        r.at++;
    for (size_t i = 0; i < ARRAY_LEN(words); i++)
        if (is_word(r.text + from, r.at - from, words[i]))
            return true;
    return false;
}

bool sql_shape_init(struct sql_shape *shape, const char *text, size_t len)
{
    struct reader r = {.shape = shape, .text = text, .len = len};

    *shape = (struct sql_shape){0};
    if (len > TEXT_BYTES_MAX || !begins_well(&r))
        return false;
    buf_reserve(&shape->text, len);
    while (r.at < len) {
        if (bytes[(unsigned char)text[r.at]] == PLAIN)
            r.at++;
        else if (!read_one(&r))
            return false;
    }
    buf_append(&shape->text, text + r.copied, len - r.copied);
    if (r.wide) {
        char *copy = mem_strndup(text, len);
        bool valid = utf8_is_valid(copy);

        free(copy);
        if (!valid)
            return false;
    }
    return shape->n > 0;
}

void sql_shape_fini(struct sql_shape *shape)
{
    buf_fini(&shape->text);
    free(shape->literals);
    *shape = (struct sql_shape){0};
}

/* ---- filling ---- */

/* An offset in the shape as one in the text. Offsets are asked for in order; *next is the first
 * literal that may be behind. */
static size_t place_of(const struct sql_shape *shape, size_t *next, size_t at)
{
    while (*next < shape->n && shape->literals[*next].shape_to <= at)
        ++*next;
    if (*next == 0)
        return at;
    return at - shape->literals[*next - 1].shape_to + shape->literals[*next - 1].to;
}

/* The literal whose placeholder's digits stand at p. */
static const struct sql_literal *literal_at(const struct sql_shape *shape, const char *p,
                                            const char *end)
{
    unsigned number = 0;

    if (end - p < DIGITS)
        return NULL;
    for (int i = 0; i < DIGITS; i++, p++) {
        if (!is_digit((unsigned char)*p) || (i == 0 && *p != '2'))
            return NULL;
        number = number * 10 + (unsigned)(*p - '0');
    }
    return number - FIRST < shape->n ? &shape->literals[number - FIRST] : NULL;
}

/* Behind a quoted name, a word or one other byte at p: there is no placeholder in it. */
static const char *skip_one(const char *p, const char *end)
{
    const char *quote;

    if (*p == '"') {
        quote = memchr(p + 1, '"', (size_t)(end - p - 1));
        return quote ? quote + 1 : end;
    }
    if (!is_name((unsigned char)*p))
        return p + 1;
    while (p < end && is_name((unsigned char)*p))
        p++;
    return p;
}

/* What was inserted into the shape, with the literals of the text. */
static void fill_inserted(const struct sql_shape *shape, const char *text, const char *p,
                          const char *end, struct buf *to)
{
    while (p < end) {
        const struct sql_literal *literal = literal_at(shape, p + (*p == '\''), end);
        const char *from = p;

        if (literal) {
            buf_append(to, text + literal->from, literal->to - literal->from);
            p += literal->shape_to - literal->shape_from;
            continue;
        }
        p = skip_one(p, end);
        buf_append(to, from, (size_t)(p - from));
    }
}

/* As in struct sql_splice. */
static uint32_t moved_from(const struct sql_shape *shape, const struct sql_splice *splice)
{
    size_t next = 0;

    if (splice->moved == SQL_NOWHERE)
        return SQL_NOWHERE;
    return splice->moved ? (uint32_t)place_of(shape, &next, splice->moved - 1) + 1 : 0;
}

static void fill_text(const struct sql_shape *shape, const struct sql_rewrite *of_shape,
                      const char *text, size_t len, struct sql_rewrite *out)
{
    const char *p = of_shape->text;
    size_t next = 0, from = 0, shape_from = 0;
    struct buf to = {0};

    out->splices = mem_calloc(of_shape->nsplices + 1, sizeof(*out->splices));
    buf_reserve(&to, len + len / 2);
    for (size_t i = 0; i < of_shape->nsplices; i++) {
        const struct sql_splice *splice = &of_shape->splices[i];
        size_t at = place_of(shape, &next, splice->at), before;

        buf_append(&to, text + from, at - from);
        p += splice->at - shape_from;
        before = to.len;
        fill_inserted(shape, text, p, p + splice->inserted, &to);
        p += splice->inserted;
        shape_from = splice->at + splice->removed;
        from = place_of(shape, &next, shape_from);
        out->splices[out->nsplices++] =
            (struct sql_splice){(uint32_t)at, (uint32_t)(from - at), (uint32_t)(to.len - before),
                                moved_from(shape, splice)};
    }
    buf_append(&to, text + from, len - from);
    out->len = to.len;
    out->text = buf_take(&to);
}

void sql_shape_fill(const struct sql_shape *shape, const struct sql_rewrite *of_shape,
                    const char *text, size_t len, struct sql_rewrite *out)
{
    *out = *of_shape;
    out->text = NULL;
    out->len = 0;
    out->splices = NULL;
    out->nsplices = 0;
    if (of_shape->text)
        fill_text(shape, of_shape, text, len, out);
}
