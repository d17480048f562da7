/*
 * What the catalog says about names while migrations are in flight: the columns of the migrating
 * tables, which other relations share a name with a table or with an old or new column, what the
 * search path depends on where a table's name is another relation's, too, and which functions may
 * be called twice. It is
 * read anew when rules are published and every few seconds; what was read last stays when a
 * reading fails. Not here: what the rules make of it (snapshot.h).
 */
#ifndef SEGUE_ENGINE_SIGHT_H
#define SEGUE_ENGINE_SIGHT_H

#include <stdbool.h>
#include <stdint.h>

#include <libpq-fe.h>

#include "segue/base/err.h"
#include "segue/sql/functions.h"

#define SIGHT_ACCESS_MAX                                                                           \
    20000 /* pairs of a role and a schema; else those of namesakes are left                        \
           */
#define SIGHT_NAMESAKES_MAX 10000 /* rows: a relation's name, or one of its columns */
#define SIGHT_FUNCTIONS_MAX 50000 /* names; PostgreSQL has about 2,500 itself */

struct eng_engine;

struct eng_sight {
    /* enum sight_column; in the order of tables, each followed by its partitions, and of columns */
    PGresult *columns;
    /* schema, name, column (NULL: only its name matters), signature.h of who is called as a table
     * is; NULL: not known */
    PGresult *namesakes;
    /* role, schema that it may not use; rows without a role are facts: SIGHT_FACT_... */
    PGresult *access;
    char database[64];               /* what it is called */
    bool returns_both;               /* RETURNING knows old and new rows: from PostgreSQL 18 on */
    struct sql_functions *functions; /* NULL: not known; too many of them: none is */
    unsigned functions_changes;      /* how often they have changed */
    char functions_state[192];       /* of the catalog when they were read */
};

#define SIGHT_FACT_ALL "all"   /* the schemas of namesakes were asked for, too */
#define SIGHT_FACT_PATH "path" /* a function may change search_path */
#define SIGHT_FACT_ROLE "role" /* a function may change the role */

/* Fields of `columns`. */
enum sight_column {
    SIGHT_SCHEMA,
    SIGHT_TABLE,
    SIGHT_NAME,
    SIGHT_GENERATED,
    SIGHT_GRANTS,   /* who may INSERT and UPDATE this very column; comparable text, or NULL */
    SIGHT_TRIGGERS, /* the table has its owner's rules, or row triggers: they may change a write */
    SIGHT_PARTITION_SCHEMA, /* of the partition whose column it is; NULL: the table's own */
    SIGHT_PARTITION,
    SIGHT_KEY,    /* of its primary key, if that is checked at once */
    SIGHT_PARTLY, /* others than the owner may read this very column */
    SIGHT_FIELDS, /* an interval of fields (interval hour), or perhaps a domain of one */
    SIGHT_PART    /* of the table's signature (signature.h) */
};

/* Of all relations of migrations that workers know. On RC_ERR the last reading is kept. */
enum rc sight_read(struct eng_engine *engine, struct err *err) MUST_CHECK;
/* The part of it that is about functions (sight_functions.c). */
enum rc sight_read_functions(struct eng_engine *engine, struct err *err) MUST_CHECK;

/* Has nobody made or renamed a relation in a transaction that is still open? Such a relation is not
 * in the catalog yet, but in the list of locks. To be asked before sight_read: what is committed
 * meanwhile is in that. False: somebody has, or it is not known. */
bool sight_is_settled(struct eng_engine *engine);

void sight_forget(struct eng_sight *sight);

#endif
