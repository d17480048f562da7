/*
 * Lists that a migration file gives as text where PostgreSQL wants no expression: parameters of an
 * index, options of a sequence, what an exclusion constraint compares. Checked by PostgreSQL's
 * grammar, so that no text says more than its place allows. Pure.
 * Not here: whether there are such parameters, operators or columns; the server knows.
 */
#ifndef SEGUE_SQL_OPTIONS_H
#define SEGUE_SQL_OPTIONS_H

#include <stddef.h>

#include "segue/base/err.h"

/* "fillfactor = 70, fastupdate = off"; *n: how many. 42601 when it is not that. */
enum rc sql_parameters_parse(const char *text, size_t *n, struct err *err) MUST_CHECK;

/* What CREATE SEQUENCE takes: "START WITH 10 INCREMENT BY 5". 42601; 0A000, with a hint, for what
 * goes with ALTER SEQUENCE alone. */
enum rc sql_sequence_parse(const char *text, struct err *err) MUST_CHECK;

/* "room WITH =, during WITH &&". 42601. */
enum rc sql_exclusion_parse(const char *text, struct err *err) MUST_CHECK;

#endif
