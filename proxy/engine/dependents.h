/*
 * What hangs on the columns that go with `complete`: indexes, constraints, statistics, views,
 * triggers, policies, NOT NULL, privileges of the column. The plan carries to the new columns what
 * was there when it was made; what comes while it is in flight would be dropped without a word, or
 * bar the way where there is none back. So the plan says what it has seen, and the cut-over and
 * `complete` refuse what it has not.
 *
 * Not here: defaults, and rows.
 */
#ifndef SEGUE_ENGINE_DEPENDENTS_H
#define SEGUE_ENGINE_DEPENDENTS_H

#include "plan_build.h"
#include "runner.h"

/* Of all tables of the plan: table->dependents. */
enum rc dependents_read(struct build *b) MUST_CHECK;

/* 55000: something has come since, which, and what to do. */
enum rc dependents_check(struct eng_engine *engine, const struct eng_migration *m,
                         struct err *err) MUST_CHECK;

#endif
