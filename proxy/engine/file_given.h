/* Names of relations and types that a file gives away: what it makes, or renames something to. */
#ifndef SEGUE_ENGINE_FILE_GIVEN_H
#define SEGUE_ENGINE_FILE_GIVEN_H

#include "file.h"

enum {
    FILE_GIVES_RELATION = 1,
    FILE_GIVES_TYPE = 2,
    FILE_GIVES_BOTH = 3 /* a table: its rows have a type of its name */
};

struct file_given {
    const char *name, *field; /* name NULL: none */
    int is;
};

/* The k-th of an operation: a column may be unique and the key, a new table has constraints. */
struct file_given file_given_at(const struct file_op *op, size_t k);
size_t file_ngiven(const struct file_op *op);

/* Does the file give this name to something that is not a table? Where it says no schema, it may be
 * any. */
bool file_gives_name(const char *text, const char *schema, const char *name);

#endif
