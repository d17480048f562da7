/*
 * What the catalog says about names while migrations are in flight: the columns of the migrating
 * tables, and which other relations share a name with a table or with an old or new column. It is
 * read anew when rules are published and every few seconds; what was read last stays when a
 * reading fails. Not here: what the rules make of it (snapshot.h).
 */
#ifndef SEGUE_ENGINE_SIGHT_H
#define SEGUE_ENGINE_SIGHT_H

#include <stdint.h>

#include <libpq-fe.h>

#include "segue/base/err.h"

#define SIGHT_NAMESAKES_MAX 10000 /* rows: a relation's name, or one of its columns */

struct eng_engine;

struct eng_sight {
    /* enum sight_column; in the order of tables, each followed by its partitions, and of columns */
    PGresult *columns;
    PGresult *namesakes; /* schema, name, column (NULL: only its name matters); NULL: not known */
};

/* Fields of `columns`. */
enum sight_column {
    SIGHT_SCHEMA,
    SIGHT_TABLE,
    SIGHT_NAME,
    SIGHT_GENERATED,
    SIGHT_GRANTS,   /* who may INSERT and UPDATE this very column; comparable text, or NULL */
    SIGHT_TRIGGERS, /* the table has row triggers of its owner's that may change what is written */
    SIGHT_PARTITION_SCHEMA, /* of the partition whose column it is; NULL: the table's own */
    SIGHT_PARTITION
};

/* Of all relations of migrations that workers know. On RC_ERR the last reading is kept. */
enum rc sight_read(struct eng_engine *engine, struct err *err) MUST_CHECK;
void sight_forget(struct eng_sight *sight);

#endif
