/*
 * Where what stands in a text ends, as PostgreSQL's scan.l has it: for texts that its own scanner
 * is not to read, or not yet. Private to the sql layer.
 */
#ifndef SEGUE_SQL_LEXEME_H
#define SEGUE_SQL_LEXEME_H

#include <stdbool.h>
#include <stddef.h>

/* The comment, string, quoted name, name or number that begins at text[at] (NUL-terminated), or
 * that byte alone: where it ends. `standard`: standard_conforming_strings is on; else it is not
 * known. 0: it does not end, or is not understood for certain. */
size_t sql_lexeme_end(const char *text, size_t at, bool standard);

#endif
