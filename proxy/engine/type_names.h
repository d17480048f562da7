/*
 * What a migration does is said in texts, made when it was planned, and types have names there. A
 * type may get another name, or another schema, while the migration is in flight; so may its
 * schema. Writers do not notice (guard_calls.h); a step whose text the server does not understand
 * any more fails. So may a column, or a label of an enum, which is a value, too: those writers do
 * notice.
 */
#ifndef SEGUE_ENGINE_TYPE_NAMES_H
#define SEGUE_ENGINE_TYPE_NAMES_H

#include "runner.h"

/* Is that why it failed? Then err says so, and what to do, in place of the server's words. Outside
 * of a transaction. */
void type_names_explain(struct eng_engine *engine, const struct eng_migration *m, struct err *err);

/* 55000: a column that the migration writes or reads, or a label of an enum that it reads or makes,
 * is called otherwise by now. In the body of the guard both are said by name: who writes may get
 * 42703, or 22P02 where a row was filled with the label of before. */
enum rc type_names_check(struct eng_engine *engine, const struct eng_migration *m,
                         struct err *err) MUST_CHECK;
/* Of columns alone: to whoever drops what is old the labels are all the same. */
enum rc type_names_columns(struct eng_engine *engine, const struct eng_migration *m,
                           struct err *err) MUST_CHECK;
/* Of both, in the phases in which nobody else would notice soon. */
enum rc type_names_watch(struct eng_engine *engine, const struct eng_migration *m,
                         struct err *err) MUST_CHECK;
/* Is it what type_names_watch has said? Then `resume` is what goes on. */
bool type_names_told(const struct err *failure);

#endif
