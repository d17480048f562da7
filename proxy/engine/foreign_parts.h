/*
 * A partition that is a foreign table gets the columns that a migration adds, and in the other
 * server they are not there: from the turn on, statements that name them fail in it. plan refuses
 * such a table; here are partitions that came since.
 */
#ifndef SEGUE_ENGINE_FOREIGN_PARTS_H
#define SEGUE_ENGINE_FOREIGN_PARTS_H

#include "runner.h"

/* A statement that fails where there is one (55000): in the transaction that turns, under its
 * lock. Heap; "" where no table of the migration has partitions. */
char *foreign_parts_sql(const struct eng_migration *m);
/* The same beforehand. */
enum rc foreign_parts_check(struct eng_engine *engine, const struct eng_migration *m,
                            struct err *err) MUST_CHECK;

#endif
