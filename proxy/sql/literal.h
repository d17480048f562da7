/*
 * Literals as bytes: where one ends, and of what kind it is. Only what every session reads alike;
 * whatever else there is (E'', U&'', a backslash) the parser looks at.
 *
 * Private to the sql layer.
 */
#ifndef SEGUE_SQL_LITERAL_H
#define SEGUE_SQL_LITERAL_H

#include <stdbool.h>
#include <stddef.h>

/* What a byte begins. PLAIN stands for itself, whatever follows. */
enum sql_byte {
    SQL_BYTE_PLAIN,
    SQL_BYTE_NAME, /* these three may stand in a name */
    SQL_BYTE_DIGIT,
    SQL_BYTE_DOLLAR,
    SQL_BYTE_QUOTE,
    SQL_BYTE_NAME_QUOTE,
    SQL_BYTE_SEMICOLON,
    SQL_BYTE_OTHER
};

extern const unsigned char sql_bytes[256];

static inline bool sql_byte_is_digit(int c)
{
    return sql_bytes[c] == SQL_BYTE_DIGIT;
}

static inline bool sql_byte_is_name(int c)
{
    return (unsigned)sql_bytes[c] - SQL_BYTE_NAME <= SQL_BYTE_DOLLAR - SQL_BYTE_NAME;
}

static inline bool sql_byte_is_space(int c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

/* An integer of four bytes, another number, a string, one that is too long to be written twice. */
enum sql_literal_kind {
    SQL_LITERAL_INTEGER,
    SQL_LITERAL_NUMBER,
    SQL_LITERAL_STRING,
    SQL_LITERAL_LONG_STRING
};

/* Of the literal that begins at text[from], a digit or a quote. Returns where it ends; 0: the
 * parser must look. *wide becomes true when it is not ASCII. */
size_t sql_literal_number(const char *text, size_t len, size_t from, enum sql_literal_kind *kind);
size_t sql_literal_string(const char *text, size_t len, size_t from, enum sql_literal_kind *kind,
                          bool *wide);

#endif
