/*
 * Which revision of the application wrote a statement? Private to the sql layer.
 *
 * Where a hidden column stands in front of another meaning of its name (a column further out, a
 * whole row, an output column), both schemas understand the statement, each in its own way. Names
 * that one schema alone has tell which is meant:
 * - It names a hidden column as a column: hidden ones are columns in it. If it names none that only
 *   the session's side has, and the session has not said that side, those are not. That is known at
 *   its end only, so it is walked once more.
 * - Else it means what it means to the session's side. But where the session has not said which
 *   that is, and the side has the new names, the revision of before may be speaking: unless the
 *   statement says a new name, the old one is the column that it was, and it goes as it is. And a
 *   name that only a new column makes ambiguous is what it was.
 */
#ifndef SEGUE_SQL_SAID_H
#define SEGUE_SQL_SAID_H

#include "scope.h"

/* A column is named, as nothing but a column. */
void sql_said_name(struct sql_work *w, const struct rule *table, const char *column);
void sql_said_column(struct sql_work *w, const struct sql_place *place, const char *column);

/* A table that has two names is called by one of them: the revision of before does not say the new
 * one, nor that of after the old one. Who has said a side may be halfway there. */
void sql_said_table(struct sql_work *w, const struct rule *table, const char *name);

/* The same of a list: of columns that are written, or that ON CONFLICT infers an index by. */
void sql_said_list(struct sql_work *w, const struct rule *table, const struct sql_node *list);

/* The name is taken for something else than this place's hidden column (NULL: there is none).
 * `sure`: the column could not stand there. */
void sql_said_twofold(struct sql_work *w, const struct sql_place *hidden, const char *column,
                      bool sure);

/* The same, for a row: who reads both halves means the columns. */
void sql_said_row(struct sql_work *w, const struct sql_place *hidden, const char *column,
                  bool sure);

/* Has only the session's side that column of the place? */
bool sql_said_is_own(const struct sql_work *w, const struct sql_place *place, const char *column);

/* Is it one that the revision of before cannot mean, in a session that has not said its side? */
bool sql_said_is_news(const struct sql_work *w, const struct sql_place *place, const char *column);

/* As sql_place_has, to the revision that speaks. */
enum sql_has sql_said_has(const struct sql_work *w, const struct sql_place *place,
                          const char *column);

/* At the end of a walk. True: one more is needed, before which all that it has found is dropped. */
bool sql_said_again(struct sql_work *w);

/* Behind that, of one statement, by what all of the text have said. */
void sql_said_doubts(struct sql_work *w);

#endif
