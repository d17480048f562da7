/*
 * The rule snapshot: what workers must know of the migrations in flight (DESIGN 2, meeting point
 * 1).
 *
 * Built by the engine, then immutable and shared by reference count; plain data, no lock.
 *   rules = sql_rules_new(epoch); sql_rules_add(rules, &table) ...; publish; sql_rules_unref().
 * Not here: how it reaches the workers (session/plane.h), what a statement means (sql/inspect.h).
 */
#ifndef SEGUE_SQL_RULES_H
#define SEGUE_SQL_RULES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "segue/base/err.h"
#include "segue/sql/functions.h"

#define SQL_RULES_TABLES_MAX 64  /* one bit each in a touch mask */
#define SQL_TOUCH_ALL UINT64_MAX /* "cannot tell: may touch any of them" */

/* A column of a migrating table, as the two schemas see it. Nobody: it is about to go. Never: the
 * half of a change of type that does not have the column's name now; both schemas see the other. */
enum sql_sight {
    SQL_SEEN_BY_BOTH,
    SQL_SEEN_BY_OLD,
    SQL_SEEN_BY_NEW,
    SQL_SEEN_BY_NOBODY,
    SQL_SEEN_NEVER
};

struct sql_column_rule {
    const char *name;
    enum sql_sight sight;
    bool generated; /* GENERATED ALWAYS AS (...): not in COPY's columns */
};

/* Two columns that hold the same value of the same type: what writes one may write the other. */
struct sql_twin_rule {
    const char *old_name, *new_name;
};

/* A migrating table. Names are as in the catalog (already folded); all strings are copied. */
struct sql_table_rule {
    uint64_t tag; /* the engine's own name for it: what was seen of the table comes back with it */
    const char *migration;
    const char *schema;
    const char *name;
    const char *const *old_columns; /* NULL-terminated: names that complete will drop */
    const char *const *new_columns; /* NULL-terminated: names that expand added */
    /* Relations whose use also locks this table, by bare name, NULL-terminated: its partitions,
     * tables with a foreign key to or from it. */
    const char *const *relatives;
    /* All columns in the order in which sessions see them: the catalog's, but that a column which
     * changes its type stays where it was. 0: not known, its statements are left as they are. */
    const struct sql_column_rule *columns;
    size_t ncolumns;
    /* What the columns are that each side sees (names, types, order), in one number; 0: not known.
     */
    uint64_t old_signature, new_signature;
    /* Columns of its primary key, on which GROUP BY may count, NULL-terminated; NULL: not known. */
    const char *const *key;
    const struct sql_twin_rule *twins;
    size_t ntwins;
    /* Pairs of an old and a new column that are no twins, but as twins have one default: the old
     * one has it until the cut-over, the new one after it. */
    const struct sql_twin_rule *pairs;
    size_t npairs;
    /* One of its columns reads a literal by fields that its own type names (interval hour): no
     * other place gives a literal that type. */
    bool by_fields;
    bool partly;   /* some role may perhaps read some of its columns only */
    bool early;    /* its new_columns may not be read (yet), whatever their sight */
    bool reversed; /* cut over: who follows the migration sees the new side */
    bool going;    /* complete will drop it: whoever names it uses an old name */
    bool coming;   /* its new columns may not be there yet. No part of an epoch's meaning */
    /* What the other side of the cut-over calls the table, in the same schema: it means the table,
     * too, and `name` is put in its place. NULL: both sides say `name`. */
    const char *other_name;
    /* For people: "backfilling", and how far it is, as a sentence. Not part of what an epoch means:
     * they may differ between two snapshots of one epoch. NULL: "". */
    const char *state, *progress;
};

/* A partition of a migrating table, which statements may name by itself; its columns may stand in
 * another order than its table's. Of its key nothing is known where its table has none. */
struct sql_partition {
    const char *schema, *name;
    const struct sql_column_rule *columns;
    size_t ncolumns;
    uint64_t old_signature, new_signature;
};

/* Another relation that matters for what a name means: it is called as a migrating table is, or
 * has a column that is called as an old or new one. `columns`: only those, NULL-terminated.
 * `places`: of each, which one of the relation's columns it is, from 1 on; NULL: not known. */
struct sql_namesake {
    const char *schema; /* "pg_temp_3" too */
    const char *name;
    const char *const *columns;
    uint64_t signature; /* of all its columns, likewise; 0: not known, or it has no table's name */
    const size_t *places;
};

struct sql_rules; /* opaque, immutable once published */

struct sql_rules *sql_rules_new(uint64_t epoch); /* one reference, the caller's */

/* Returns the table's bit (0 .. SQL_RULES_TABLES_MAX - 1), or -1 when the snapshot is full. */
int sql_rules_add(struct sql_rules *rules, const struct sql_table_rule *table);

/* `bit` is the table's; all else is the partition's as it is the table's. Also among `relatives`.
 */
void sql_rules_add_partition(struct sql_rules *rules, int bit,
                             const struct sql_partition *partition);

/* After all tables. A relation that was not added has no such name and no such column. */
void sql_rules_add_namesake(struct sql_rules *rules, const struct sql_namesake *namesake);

/* What the database is called that has the tables: names may begin with it. */
void sql_rules_set_database(struct sql_rules *rules, const char *database);

/* `old` and `new` in RETURNING are rows to the server: PostgreSQL 18. Else they can only be
 * columns.
 */
void sql_rules_set_returning(struct sql_rules *rules, bool both_rows);

/* Who may use which schema: without that right, a name passes the schema by. */
enum sql_usage {
    SQL_USAGE_UNKNOWN,
    SQL_USAGE_OWN, /* known of the schemas of migrating tables and partitions only */
    SQL_USAGE_ALL, /* of those of namesakes too */
};
struct sql_access {
    enum sql_usage usage;
    bool sets_path; /* a function of the database may change search_path */
    bool sets_role; /* ... or the current role */
};
void sql_rules_set_access(struct sql_rules *rules, const struct sql_access *access);

/* The role may not use the schema. */
void sql_rules_add_denied(struct sql_rules *rules, const char *role, const char *schema);

/* An error of the server that names `now` means what clients know as `shown`. */
void sql_rules_add_shown(struct sql_rules *rules, const char *now, const char *shown);
bool sql_rules_shows(const struct sql_rules *rules); /* is there any? false for NULL */
/* What the `len` bytes at `name` are to be called; NULL: they have no such name. */
const char *sql_rules_shown(const struct sql_rules *rules, const char *name, size_t len);

/* What is known of functions, of which the rules keep a reference; NULL: nothing. At most once. */
void sql_rules_functions(struct sql_rules *rules, struct sql_functions *functions);

struct sql_rules *sql_rules_ref(struct sql_rules *rules); /* returns rules; NULL stays NULL */
void sql_rules_unref(struct sql_rules *rules);            /* frees with the last reference */

uint64_t sql_rules_epoch(const struct sql_rules *rules); /* 0 for NULL */

/* Tables that keep their name: for those statements may pass as they are, in whatever doubt. 0 for
 * NULL. */
uint64_t sql_rules_lasting(const struct sql_rules *rules);
size_t sql_rules_tables(const struct sql_rules *rules); /* 0 for NULL */

uint64_t sql_rules_tag(const struct sql_rules *rules, int bit); /* bit: below sql_rules_tables */

/* For people: "schema.name" of these tables, with commas; heap. */
char *sql_rules_called(const struct sql_rules *rules, uint64_t tables);

/* The tags of these tables: in one number, which is another with other tags, and as marks, of which
 * two sets with a tag in common have one in common. 0 for no table. */
struct sql_tags {
    uint64_t number, marks;
};
struct sql_tags sql_rules_tags(const struct sql_rules *rules, uint64_t tables);

/* The same of those of them that are cut over, and do not only change their name. */
struct sql_tags sql_rules_turned(const struct sql_rules *rules, uint64_t tables);

/* Bit of schema.name, by either of its names, or -1. */
int sql_rules_find(const struct sql_rules *rules, const char *schema, const char *name);

/* May one of these tables not have its new columns yet? */
bool sql_rules_coming(const struct sql_rules *rules, uint64_t tables);

/* Does a column of these tables change its type under its name? */
bool sql_rules_retypes(const struct sql_rules *rules, uint64_t tables);

/* What a client is told that reads new columns of these tables too early: SQLSTATE 55000, which
 * migration; how far it is in the detail, when they may be read in the hint. At least one of the
 * bits is a table's. */
void sql_rules_early_error(const struct sql_rules *rules, uint64_t tables, struct err *err);

/* How have tables of `before` ended that are not in `after`, or under another tag? The two may be
 * NULL. Of tables that only change their name, nothing is said: their columns are the same. */
struct sql_rules_ends {
    bool old_stays; /* one has its old columns: aborted */
    bool new_stays; /* one has its new ones: completed */
};
struct sql_rules_ends sql_rules_ended(const struct sql_rules *before,
                                      const struct sql_rules *after);

/* Is what these rules say true on a server that is where `there` was made from? For one that is
 * behind, or has gone on. Both may be NULL. */
bool sql_rules_fit(const struct sql_rules *rules, const struct sql_rules *there);

/* Are they about the same migrations of the same tables, but for those of `after` of which nothing
 * has been done yet? Both may be NULL. */
bool sql_rules_go_on(const struct sql_rules *before, const struct sql_rules *after);

/* A bit for each table of `after` that is not in `before`. Both may be NULL. */
uint64_t sql_rules_added(const struct sql_rules *before, const struct sql_rules *after);

/* Do the bits mean the same: the same tables with the same relatives in the same order? (Columns
 * may differ.) False when either is NULL. What was touched by one is then touched by the other. */
bool sql_rules_same_tables(const struct sql_rules *a, const struct sql_rules *b);

#endif
