/* A session's named prepared statements: name to text. Bounded in bytes; pure. */
#ifndef SEGUE_SESSION_STATEMENTS_H
#define SEGUE_SESSION_STATEMENTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sess_statement {
    struct sess_statement *chain;
    uint64_t hash;
    uint64_t touches, old_names, new_names; /* by `epoch` */
    uint64_t epoch;                         /* 0: not looked at yet */
    bool begins;
    size_t text_len;
    const char *text; /* NULL: not known (too long, or two texts under one name) */
    char name[];
};

struct sess_statements;

struct sess_statements *sess_statements_new(size_t bytes_max);
void sess_statements_free(struct sess_statements *set);

/* A Parse passes. text NULL: not known. Past the limit nothing is remembered, and then the name
 * is simply unknown. A name that is there with another text becomes "not known": which of the two
 * the server has depends on errors not seen. */
void sess_statements_put(struct sess_statements *set, const char *name, const char *text,
                         size_t text_len);
struct sess_statement *sess_statements_find(struct sess_statements *set, const char *name);
void sess_statements_remove(struct sess_statements *set, const char *name);
size_t sess_statements_bytes_least(void);                        /* of a set that is empty */
size_t sess_statements_bytes(const struct sess_statements *set); /* 0 for NULL */
size_t sess_statements_count(const struct sess_statements *set); /* 0 for NULL */

#endif
