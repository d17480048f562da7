/*
 * Defaults that came while a migration was in flight. Its turns move what the plan knows
 * (plan_default.c): another one would be lost with the turn, and on the half that follows it takes
 * the place of what clients write. So a turn is refused that finds one, and says of which column.
 */
#ifndef SEGUE_ENGINE_DEFAULTS_H
#define SEGUE_ENGINE_DEFAULTS_H

#include "runner.h"

/* Before anybody is held up: is there one where the plan has none, or none where it has one? 55000,
 * and what to say to the server. In the direction of the next turn. */
enum rc defaults_check(struct eng_engine *engine, struct eng_migration *m, bool back,
                       struct err *err) MUST_CHECK;

/* In front of a turn's steps, under its locks, by segue's own path: is each as the plan has it?
 * What the file says and what the server has made of it differ in how they are written, so the
 * server writes both: the plan's is put in the other's place, where the steps do not need it any
 * more. Heap. */
char *defaults_sql(const struct eng_engine *engine, const struct eng_migration *m, bool back);

/* For the doctor: columns that follow, and have one all the same, which is at once taken for what
 * somebody has written. Rows of table, column, default. Heap; NULL: there is no such column. */
char *defaults_following_sql(const struct eng_migration *m, bool back);

#endif
