/*
 * A placeholder is a literal of the same kind: an integer of four bytes, another number or a
 * string, made of 2000000000 and the literal's number, so that the parser sees what it would have
 * seen. It is found again in the rewritten shape only inside of what was inserted; elsewhere the
 * splices say where the text's own bytes are.
 */
#include "shape.h"

#include <stdlib.h>
#include <string.h>

#include "fold.h"
#include "literal.h"
#include "segue/base/mem.h"
#include "segue/base/utf8.h"
#include "twin.h"

#define DIGITS 10 /* of a placeholder: an int4, as the grammar wants some numbers to be */
#define FIRST 2000000000u
#define LITERALS_MAX 1000000
#define TEXT_BYTES_MAX (64u << 20)
#define FOLDED_BYTES 4096           /* a shape of folded rows is hardly longer */
#define FOLDED_MIN 256              /* a text with rows that are folded is hardly shorter */
#define KEPT_BYTES_MAX (256u << 10) /* of memory that serves again */

/* The text as it is read. */
struct reader {
    struct sql_shape *shape;
    const char *text;
    size_t len, at;
    size_t copied; /* up to here the shape has it */
    bool wide;     /* a literal is not ASCII */
    bool folds;    /* rows that are to be folded were not found yet */
};

/* 0 behind the end; a NUL in the text is refused where it stands. */
static int peek(const struct reader *r, size_t ahead)
{
    return r->at + ahead < r->len ? (unsigned char)r->text[r->at + ahead] : 0;
}

/* ---- literals ---- */

/* What the placeholder of any kind has room in. */
enum { PLACEHOLDER_BYTES = DIGITS + 2 + SQL_COPY_BYTES_MAX };

/* Returns its end. */
static char *put_placeholder(char *to, unsigned number, enum sql_literal_kind kind)
{
    static const char zeros[] = "2000000000";

    if (kind >= SQL_LITERAL_STRING)
        *to++ = '\'';
    memcpy(to, zeros, DIGITS);
    to += DIGITS;
    for (char *p = to; number > 0; number /= 10)
        *--p = (char)('0' + number % 10);
    if (kind == SQL_LITERAL_LONG_STRING) {
        memset(to, 'x', SQL_COPY_BYTES_MAX);
        to += SQL_COPY_BYTES_MAX;
    }
    if (kind >= SQL_LITERAL_STRING) {
        *to++ = '\'';
    } else if (kind == SQL_LITERAL_NUMBER) {
        *to++ = '.';
        *to++ = '5';
    }
    return to;
}

static void put(struct sql_shape *shape, struct sql_literal literal)
{
    if (shape->n == shape->cap)
        mem_grow((void **)&shape->literals, &shape->cap, shape->n + 1, sizeof(*shape->literals));
    shape->literals[shape->n++] = literal;
}

/* From `from` to here the text has a literal. What is too long to be written twice is so in the
 * shape, too. */
static bool put_literal(struct reader *r, size_t from, enum sql_literal_kind kind)
{
    struct sql_shape *shape = r->shape;
    size_t before = from - r->copied, n;
    char *to = buf_space(&shape->text, before + PLACEHOLDER_BYTES), *at = to + before;

    if (shape->n == LITERALS_MAX)
        return false;
    memcpy(to, r->text + r->copied, before);
    n = (size_t)(put_placeholder(at, (unsigned)shape->n, kind) - at);
    put(shape,
        (struct sql_literal){(uint32_t)from, (uint32_t)r->at, (uint32_t)(shape->text.len + before),
                             (uint32_t)(shape->text.len + before + n)});
    buf_grow(&shape->text, before + n);
    r->copied = r->at;
    return true;
}

static bool read_string(struct reader *r)
{
    size_t from = r->at;
    enum sql_literal_kind kind;

    r->at = sql_literal_string(r->text, r->len, from, &kind, &r->wide);
    return r->at && put_literal(r, from, kind);
}

static bool read_number(struct reader *r)
{
    size_t from = r->at;
    enum sql_literal_kind kind;

    r->at = sql_literal_number(r->text, r->len, from, &kind);
    return r->at && put_literal(r, from, kind);
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

/* Of the name that begins at `from`. */
static size_t name_end(const char *text, size_t len, size_t from)
{
    while (from < len && sql_byte_is_name((unsigned char)text[from]))
        from++;
    return from;
}

static bool read_to(struct reader *r, size_t end);

/* An offset in the text, behind which there may be literals, as one in the shape. */
static uint32_t shape_place(const struct sql_shape *shape, uint32_t at, uint32_t text_end)
{
    const struct sql_literal *literal = shape->literals + shape->n;

    while (literal > shape->literals && literal[-1].from >= at)
        literal--;
    if (literal == shape->literals + shape->n)
        return (uint32_t)shape->text.len - (text_end - at);
    return literal->shape_from - (literal->from - at);
}

/* Behind VALUES. What is folded is a literal of which the shape has nothing. */
static bool read_rows(struct reader *r)
{
    struct sql_shape *shape = r->shape;
    struct sql_fold rows;
    uint32_t at;

    r->folds = false;
    if (!sql_fold_find(r->text, r->len, r->at, &rows))
        return false;
    if (!read_to(r, rows.from))
        return false;
    buf_append(&shape->text, r->text + r->copied, rows.from - r->copied);
    at = (uint32_t)shape->text.len;
    shape->folded = true;
    shape->fold_from = shape_place(shape, rows.like, rows.from);
    shape->fold_to = at;
    put(shape, (struct sql_literal){rows.from, rows.to, at, at});
    r->copied = r->at = rows.to;
    r->wide = r->wide || rows.wide;
    return true;
}

/* Not E'', B'', X'', N'', U&'', U&"". What set_config sets is said by literals. */
static bool read_name(struct reader *r)
{
    size_t from = r->at;
    int next;

    r->at = name_end(r->text, r->len, from);
    next = peek(r, 0);
    if (next == '\'' || (next == '&' && (peek(r, 1) == '\'' || peek(r, 1) == '"')))
        return false;
    if (r->folds && is_word(r->text + from, r->at - from, "values"))
        return read_rows(r);
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
    if (!sql_byte_is_digit(peek(r, 0)))
        return false; /* $$ or $tag$ */
    while (sql_byte_is_digit(peek(r, 0)))
        r->at++;
    return !sql_byte_is_name(peek(r, 0));
}

static bool read_semicolon(struct reader *r)
{
    do
        r->at++;
    while (sql_byte_is_space(peek(r, 0)));
    return r->at == r->len;
}

static bool read_other(struct reader *r)
{
    int c = peek(r, 0), next = peek(r, 1);

    r->at++;
    return c != '\0' && !(c == '-' && next == '-') && !(c == '/' && next == '*') &&
           !(c == '.' && sql_byte_is_digit(next));
}

static bool read_one(struct reader *r)
{
    switch (sql_bytes[peek(r, 0)]) {
    case SQL_BYTE_NAME:
        return read_name(r);
    case SQL_BYTE_DIGIT:
        return read_number(r);
    case SQL_BYTE_QUOTE:
        return read_string(r);
    case SQL_BYTE_NAME_QUOTE:
        return read_quoted_name(r);
    case SQL_BYTE_DOLLAR:
        return read_parameter(r);
    case SQL_BYTE_SEMICOLON:
        return read_semicolon(r);
    default:
        return read_other(r);
    }
}

static bool read_to(struct reader *r, size_t end)
{
    while (r->at < end) {
        if (sql_bytes[(unsigned char)r->text[r->at]] == SQL_BYTE_PLAIN)
            r->at++;
        else if (!read_one(r))
            return false;
    }
    return true;
}

static bool begins_with(const char *text, size_t len, const char *const *words, size_t n)
{
    size_t from = 0, to;

    while (from < len && sql_byte_is_space((unsigned char)text[from]))
        from++;
    to = name_end(text, len, from);
    for (size_t i = 0; i < n; i++)
        if (is_word(text + from, to - from, words[i]))
            return true;
    return false;
}

bool sql_shape_may_fold(const char *text, size_t len)
{
    static const char *const words[] = {"insert"};

    return len >= FOLDED_MIN && begins_with(text, len, words, ARRAY_LEN(words));
}

/* Others are rare, or say with literals what they mean. */
static bool begins_well(const char *text, size_t len)
{
    static const char *const words[] = {"insert", "update", "select", "delete", "with", "merge"};

    return begins_with(text, len, words, ARRAY_LEN(words));
}

bool sql_shape_of(struct sql_shape *shape, const char *text, size_t len, bool folds)
{
    struct reader r = {.shape = shape, .text = text, .len = len, .folds = folds};

    buf_reset(&shape->text);
    shape->n = 0;
    shape->folded = false;
    if (len > TEXT_BYTES_MAX || !begins_well(text, len))
        return false;
    buf_reserve(&shape->text, folds && len > FOLDED_BYTES ? FOLDED_BYTES : len);
    if (!read_to(&r, len) || shape->folded != folds)
        return false;
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

bool sql_shape_fits(const struct sql_shape *shape, const struct sql_rewrite *of_shape)
{
    for (size_t i = 0; shape->folded && i < of_shape->nsplices; i++) {
        const struct sql_splice *splice = &of_shape->splices[i];

        if (splice->at <= shape->fold_to && splice->at + splice->removed >= shape->fold_from)
            return false;
    }
    return true;
}

void sql_shape_trim(struct sql_shape *shape)
{
    if (shape->text.cap + shape->cap * sizeof(*shape->literals) > KEPT_BYTES_MAX)
        sql_shape_fini(shape);
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
        if (!sql_byte_is_digit((unsigned char)*p) || (i == 0 && *p != '2'))
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
    if (!sql_byte_is_name((unsigned char)*p))
        return p + 1;
    while (p < end && sql_byte_is_name((unsigned char)*p))
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
    size_t next = 0, from = 0, shape_from = 0, room = len + 64;
    struct buf to = {0};

    out->splices = mem_calloc(of_shape->nsplices + 1, sizeof(*out->splices));
    for (size_t i = 0; i < of_shape->nsplices; i++)
        room += of_shape->splices[i].inserted;
    to.data = mem_alloc(room); /* of that length: a buffer would double it */
    to.cap = room;
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
    room = to.cap;
    out->len = to.len;
    out->text = buf_take(&to);
    if (room > out->len + out->len / 8)
        out->text = mem_realloc(out->text, out->len + 1);
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
