/*
 * COPY FROM, where one half of a pair has the default and the other has none. The server asks the
 * WHERE of a row as it came, with the defaults, and in front of the guard: there only one half has
 * a value, the one that the list names, or else the one that has the default. Private to the sql
 * layer.
 */
#ifndef SEGUE_SQL_COPY_H
#define SEGUE_SQL_COPY_H

#include "scope.h"

/* In a COPY FROM with a word that stands for the default of its column (PostgreSQL 16): the half
 * that has it, in the place of a column of the list; else NULL. The guard does the rest. */
const char *sql_copy_half(const struct sql_place *place, const struct sql_node *copy,
                          const char *column);

/* Puts these into the list that there is, whose ( is behind the token `last`. */
void sql_copy_list(struct sql_work *w, const struct sql_place *place, const struct sql_node *copy,
                   size_t last);

/* Where it reads the other half of two that hold the same, it is made to read that one: rows would
 * be left out, and nobody told. Of a half with another type there is nothing to read. */
void sql_copy_where(struct sql_work *w, const struct sql_place *place, const struct sql_node *copy);

#endif
