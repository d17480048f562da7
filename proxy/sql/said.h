/*
 * Which revision of the application wrote a statement? Private to the sql layer.
 *
 * Where a hidden column stands in front of another meaning of its name (a column further out, a
 * whole row, an output column), both schemas understand the statement, each in its own way. Names
 * that one schema alone has tell which is meant:
 * - It names a hidden column as a column: hidden ones are columns in it. That may be known at its
 *   end only, so it is walked once more.
 * - Else it means what it means to the session's side. But where the session has not said which
 *   that is, and the side has the new names, the revision of before may be speaking: unless the
 *   statement says a new name, the old one is the column that it was, and it goes as it is.
 */
#ifndef SEGUE_SQL_SAID_H
#define SEGUE_SQL_SAID_H

#include "scope.h"

/* A column is named, as nothing but a column. */
void sql_said_name(struct sql_work *w, const struct rule *table, const char *column);
void sql_said_column(struct sql_work *w, const struct sql_place *place, const char *column);

/* The same of a list: of columns that are written, or that ON CONFLICT infers an index by. */
void sql_said_list(struct sql_work *w, const struct rule *table, const struct sql_node *list);

/* The name is taken for something else than this place's hidden column (NULL: there is none).
 * `sure`: the column could not stand there. */
void sql_said_twofold(struct sql_work *w, const struct sql_place *hidden, const char *column,
                      bool sure);

/* Are the place's hidden columns meant? */
bool sql_said_means(const struct sql_work *w, const struct sql_place *place);

/* At the end of a walk. True: one more is needed, before which all that it has found is dropped. */
bool sql_said_again(struct sql_work *w);

#endif
