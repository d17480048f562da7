#include "literal.h"

#include <endian.h>
#include <stdint.h>
#include <string.h>

#include "twin.h"

const unsigned char sql_bytes[256] = {
    ['\0'] = SQL_BYTE_OTHER,         ['-'] = SQL_BYTE_OTHER,        ['/'] = SQL_BYTE_OTHER,
    ['.'] = SQL_BYTE_OTHER,          ['\''] = SQL_BYTE_QUOTE,       ['"'] = SQL_BYTE_NAME_QUOTE,
    ['$'] = SQL_BYTE_DOLLAR,         [';'] = SQL_BYTE_SEMICOLON,    ['_'] = SQL_BYTE_NAME,
    ['0' ... '9'] = SQL_BYTE_DIGIT,  ['a' ... 'z'] = SQL_BYTE_NAME, ['A' ... 'Z'] = SQL_BYTE_NAME,
    [0x80 ... 0xff] = SQL_BYTE_NAME,
};

/* ---- numbers ---- */

static int byte_at(const char *text, size_t len, size_t at)
{
    return at < len ? (unsigned char)text[at] : 0;
}

static size_t digits_end(const char *text, size_t len, size_t at)
{
    while (sql_byte_is_digit(byte_at(text, len, at)))
        at++;
    return at;
}

static bool fits_int4(const char *p, size_t len)
{
    static const char most[] = "2147483647";
    const size_t digits = sizeof(most) - 1;

    for (; len > 1 && *p == '0'; len--)
        p++;
    return len < digits || (len == digits && memcmp(p, most, digits) <= 0);
}

/* 12, 1.5, 1e-3; not 1., 0x1F, 1_000, 1..2. */
size_t sql_literal_number(const char *text, size_t len, size_t from, enum sql_literal_kind *kind)
{
    size_t digits = digits_end(text, len, from), at = digits, begin;
    int c = byte_at(text, len, at);

    if (c == '.') {
        begin = at + 1;
        at = digits_end(text, len, begin);
        if (at == begin)
            return 0;
        c = byte_at(text, len, at);
    }
    if (c == 'e' || c == 'E') {
        c = byte_at(text, len, at + 1);
        begin = at + 1 + (c == '+' || c == '-');
        at = digits_end(text, len, begin);
        if (at == begin)
            return 0;
        c = byte_at(text, len, at);
    }
    if (sql_byte_is_name(c) || c == '.')
        return 0;
    *kind = at == digits && fits_int4(text + from, digits - from) ? SQL_LITERAL_INTEGER
                                                                  : SQL_LITERAL_NUMBER;
    return at;
}

/* ---- strings ---- */

#define EACH(byte) (UINT64_C(0x0101010101010101) * (byte))

/* The highest bit of each byte of `word` that is this one. */
static uint64_t bytes_that_are(uint64_t word, unsigned char byte)
{
    uint64_t x = word ^ EACH(byte);

    return ~(((x & EACH(0x7f)) + EACH(0x7f)) | x | EACH(0x7f));
}

/* Of those that stop, a colon as in 12:30: not behind an e. Most are. */
static bool is_mere_colon(const char *text, size_t at)
{
    return text[at] == ':' && at > 0 && text[at - 1] != 'e';
}

/* The first byte from `at` on that ends a string, or perhaps the shape of its text. */
static size_t stop(const char *text, size_t len, size_t at, unsigned char *seen)
{
    static const bool stops[256] = {['\''] = true, ['\\'] = true, ['\0'] = true, [':'] = true};
    uint64_t word, found;

    for (; at + sizeof(word) <= len; at += sizeof(word)) {
        memcpy(&word, text + at, sizeof(word));
        word = le64toh(word);
        found = bytes_that_are(word, '\'') | bytes_that_are(word, '\\') |
                bytes_that_are(word, '\0') | bytes_that_are(word, ':');
        if (word & EACH(0x80))
            *seen |= 0x80;
        for (; found; found &= found - 1)
            if (!is_mere_colon(text, at + (size_t)__builtin_ctzll(found) / 8))
                return at + (size_t)__builtin_ctzll(found) / 8;
    }
    for (; at < len && !stops[(unsigned char)text[at]]; at++)
        *seen |= (unsigned char)text[at];
    return at;
}

/* A colon may be that of segue:off, which counts wherever it stands; how a backslash is read
 * depends on the session. */
static bool is_odd(const char *text, size_t at)
{
    return text[at] == '\\' || text[at] == '\0' ||
           (text[at] == ':' && at >= 5 && !memcmp(text + at - 5, "segue", 5));
}

size_t sql_literal_string(const char *text, size_t len, size_t from, enum sql_literal_kind *kind,
                          bool *wide)
{
    unsigned char seen = 0;
    size_t at = from + 1;

    for (;; at++) {
        at = stop(text, len, at, &seen);
        if (at == len || is_odd(text, at))
            return 0;
        if (text[at] != '\'')
            continue;
        at++;
        if (at == len || text[at] != '\'')
            break;
    }
    *wide |= seen >= 0x80;
    *kind = at - from > SQL_COPY_BYTES_MAX ? SQL_LITERAL_LONG_STRING : SQL_LITERAL_STRING;
    return at;
}
