/*
 * The WHERE of a COPY FROM. The server asks it of a row as it came, with the defaults, and in front
 * of the guard: there only one half of a pair has a value, the one that the list names, or else the
 * one that has the default. Private to the sql layer.
 */
#ifndef SEGUE_SQL_COPY_H
#define SEGUE_SQL_COPY_H

#include "scope.h"

/* Where it reads the other half of two that hold the same, it is made to read that one: rows would
 * be left out, and nobody told. Of a half with another type there is nothing to read. */
void sql_copy_where(struct sql_work *w, const struct sql_place *place, const struct sql_node *copy);

#endif
