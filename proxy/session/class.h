/*
 * What kind of work a request was, from the tag of its CommandComplete; and the class of an
 * SQLSTATE. Pure.
 */
#ifndef SEGUE_SESSION_CLASS_H
#define SEGUE_SESSION_CLASS_H

#include <stddef.h>
#include <stdint.h>

enum sess_class {
    SESS_CLASS_NONE, /* nothing completed yet */
    SESS_CLASS_SELECT,
    SESS_CLASS_INSERT,
    SESS_CLASS_UPDATE,
    SESS_CLASS_DELETE,
    SESS_CLASS_MERGE,
    SESS_CLASS_COPY,
    SESS_CLASS_TRANSACTION, /* BEGIN, COMMIT, SAVEPOINT, ... */
    SESS_CLASS_OTHER,       /* DDL, SET, ... */
    SESS_CLASS_ERROR,
    SESS_CLASSES
};

extern const char *const sess_class_names[SESS_CLASSES];

/* Of a tag such as "INSERT 0 1"; it need not end with a NUL. */
enum sess_class sess_class_of(const char *tag, size_t len);

/* Of a request that was `before` and in which another statement has completed: an error stays one,
 * and COMMIT behind an UPDATE leaves it an update. */
static inline enum sess_class sess_class_join(enum sess_class before, enum sess_class now)
{
    if (before == SESS_CLASS_ERROR || (before && now == SESS_CLASS_TRANSACTION))
        return before;
    return now;
}

/* A tag of what may change the catalog: DDL, GRANT, DO. What functions do is not seen. */
enum sess_ddl {
    SESS_DDL_NONE,
    SESS_DDL_SOME,
    SESS_DDL_TABLE, /* ALTER TABLE */
};
enum sess_ddl sess_ddl_of(const char *tag, size_t len);

/* SQLSTATE classes: two characters of 0-9, A-Z; anything else is the last one. */
#define SESS_SQLSTATES (36 * 36 + 1)

/* Of the code in an ErrorResponse, of which the first `len` bytes are at `msg`. */
unsigned sess_sqlstate_class(const char *msg, size_t len);

/* "23" into `out` (3 bytes); "??" for the last one. */
void sess_sqlstate_class_name(unsigned sqlstate_class, char *out);

#endif
