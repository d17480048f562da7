/*
 * What kind of statement a text is, for the texts of migration files. Pure.
 */
#ifndef SEGUE_SQL_WRITE_H
#define SEGUE_SQL_WRITE_H

#include "segue/base/err.h"

/* `text` must be exactly one INSERT, UPDATE or DELETE; *schema (NULL: none) and
 * *table: what it writes, catalog spelling, heap. 42601 when it is something else; both NULL. */
enum rc sql_write_parse(const char *text, char **schema, char **table, struct err *err) MUST_CHECK;

#endif
