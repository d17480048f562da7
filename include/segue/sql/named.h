/*
 * Which prepared statements a text names by SQL: PREPARE, EXECUTE, DEALLOCATE, DISCARD ALL. Pure.
 *
 * They share their names with those of Parse. EXECUTE is also found in EXPLAIN and CREATE TABLE AS.
 */
#ifndef SEGUE_SQL_NAMED_H
#define SEGUE_SQL_NAMED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum sql_named_kind {
    SQL_NAMED_PREPARE,
    SQL_NAMED_EXECUTE,
    SQL_NAMED_DEALLOCATE,
    SQL_NAMED_DROP_ALL, /* DEALLOCATE ALL, DISCARD ALL */
};

#define SQL_NAME_BYTES 64 /* NAMEDATALEN: with its NUL */
#define SQL_NAMED_MAX 16

/* What an EXECUTE is given: an error at some position may be about that. */
enum sql_named_arguments { SQL_ARGUMENTS_NONE, SQL_ARGUMENTS_CONSTANT, SQL_ARGUMENTS_OTHER };

struct sql_named {
    enum sql_named_kind kind;
    enum sql_named_arguments arguments;
    size_t from, to; /* bytes of its statement in the text */
    char name[SQL_NAME_BYTES];
};

struct sql_names {
    size_t statements; /* of all kinds in the text */
    size_t n;
    bool lost; /* there are more than SQL_NAMED_MAX, or the text was not understood */
    struct sql_named v[SQL_NAMED_MAX]; /* in the order of the text */
};

/* Could the text name one? By its first word; by all of it where there are several statements. */
bool sql_named_may(const char *text, size_t len);

/* The same without EXECUTE, and by the first word alone. */
bool sql_named_first(const char *text, size_t len);

/* With the parser. `text` need not be NUL-terminated. */
void sql_named_read(const char *text, size_t len, struct sql_names *out);

/* Number `i` of them as a text of its own, appended to `out`, NUL not counted: where the text has
 * other statements in front there are blanks, one a character, so that positions stay. */
struct buf;
void sql_named_text(const char *text, size_t len, const struct sql_names *names, size_t i,
                    struct buf *out);

#endif
