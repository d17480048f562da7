/*
 * What others set on the columns of a pair while a migration is in flight: statistics target,
 * n_distinct, comment, and where both are of one type storage and compression. The plan gives the
 * new column what the old one has (eng_dual.kept); a turn takes along what the half that has led
 * until then has got since. What the new half has got by itself stays, while the old one is as the
 * plan has it; the way back takes all along.
 */
#ifndef SEGUE_ENGINE_ATTRIBUTES_H
#define SEGUE_ENGINE_ATTRIBUTES_H

#include "plan_build.h"
#include "runner.h"

/* For the plan: what the old column of the pair has, one of the catalog's columns. */
void attributes_keep(struct eng_dual *dual, const struct pair *pair, const json_t *column);

/* In front of a turn's steps, under its locks, by segue's own path. Heap; "": nothing is kept. */
char *attributes_sql(const struct eng_engine *engine, const struct eng_migration *m, bool back);

#endif
