/* The relations with rows of a migrating table, in blocks: what backfill and verify walk over. */
#ifndef SEGUE_ENGINE_RELATIONS_H
#define SEGUE_ENGINE_RELATIONS_H

#include <stdint.h>

#include "conn.h"
#include "segue/engine/plan.h"

struct eng_relation {
    uint32_t oid;
    char *name; /* qualified and quoted */
    uint32_t relfilenode;
    int64_t next, end; /* blocks */
    int table;         /* index into plan->tables */
    char *guard;       /* RELATIONS_GUARD, before any of its rows is read; NULL: none */
};

struct eng_relations {
    struct eng_relation *items;
    size_t n;
};

/* Is the table that was planned still there, under its name? `turned`: the name that it has from
 * the cut-over on. Restored: another one has its name, and the state is of a database that was
 * dumped in the middle of the migration, and restored here: the table has a guard, or the row of
 * the migration was made in another table than the one that it is in (segue.migrations.born_in). */
enum relations_table { TABLE_THERE, TABLE_GONE, TABLE_RENAMED, TABLE_RESTORED };
#define RELATIONS_BORN_SINCE 12 /* version of schema segue; the doctor may meet an older one */
/* For the doctor's commands: what was restored is cleaned up, or is to be. */
#define RELATIONS_SETTLED "UPDATE segue.migrations SET born_in = NULL WHERE id = %" PRId64
#define TABLE_BIT(state) (1u << (state))
/* Of `root (oid)`, which stands before it: the relation and its partitions of all levels (relid).
 * pg_partition_tree() locks each of them: who looks for somebody that has one locked, or looks
 * every other second, would wait for just that. */
#define RELATIONS_TREE                                                                             \
    "LATERAL (WITH RECURSIVE tree (relid) AS (SELECT root.oid::oid UNION SELECT i.inhrelid FROM "  \
    "tree JOIN pg_class k ON k.oid = tree.relid AND k.relkind = 'p' JOIN pg_inherits i ON "        \
    "i.inhparent = k.oid AND NOT i.inhdetachpending) SELECT relid FROM tree)"
#define RELATIONS_ROOT "(SELECT %u::oid AS oid) AS root, "
#define RELATIONS_ROOTS                                                                            \
    "(SELECT to_regclass(n) AS oid FROM unnest(ARRAY[%s]::text[]) AS n) AS root, "
/* Of pg_class c: its guard trigger, NULL when there is none. Another oid: it was made again, or
 * came with being attached, after a time without. Another xmin: somebody has written its row, as
 * ALTER TABLE .. DISABLE and ENABLE TRIGGER do; so does segue's own turn, which says so. */
#define RELATIONS_GUARD                                                                            \
    "(SELECT concat(g.oid, ' ', g.xmin) FROM pg_trigger g WHERE g.tgrelid = c.oid AND g.tgname = " \
    "'~segue_guard')"
#define RELATIONS_GUARD_SINCE 14 /* version of schema segue that knows of the xmin */
/* Of pg_class c: its rows were looked at, and since then the guard was on it all the time. Takes
 * the id of the migration. */
#define RELATIONS_SEEN                                                                             \
    "EXISTS (SELECT FROM segue.progress p WHERE p.migration = %" PRId64 " AND p.relation = c.oid " \
    "AND p.guard = " RELATIONS_GUARD ")"
enum rc relations_look(struct eng_conn *conn, int64_t migration, const struct eng_table *table,
                       bool turned, enum relations_table *state, struct err *err) MUST_CHECK;

/* Says so. */
void relations_refuse(const struct eng_table *table, enum relations_table state, struct err *err);

/* What a relation is now: its name, its file and its size are taken. Rewritten: from block 0. */
enum relations_change { RELATION_SAME, RELATION_RENAMED, RELATION_REWRITTEN, RELATION_GONE };
enum rc relations_again(struct eng_conn *conn, struct eng_relation *relation,
                        enum relations_change *change, struct err *err) MUST_CHECK;

/* Is `name`, qualified and quoted, the relation `oid` (0: any)? A 42P01 of what concerns it may be
 * of something else: a trigger that fires there, a function that is called. */
#define RELATIONS_NOT_FOUND                                                                        \
    "a trigger, or a function that `up` or `down` calls, names it and does not find it by the "    \
    "search_path of segue's role: ALTER FUNCTION .. SET search_path"
enum rc relations_is(struct eng_conn *conn, const char *name, uint32_t oid, bool *is,
                     struct err *err) MUST_CHECK;

/* Is the relation the table itself, or one of its partitions? */
enum rc relations_in(struct eng_conn *conn, const struct eng_table *table, uint32_t oid, bool *in,
                     struct err *err) MUST_CHECK;

/* Appends the leaf partitions of the table, or the table itself, with their current size. */
enum rc relations_read(struct eng_conn *conn, const struct eng_plan *plan, int table,
                       struct eng_relations *out, struct err *err) MUST_CHECK;
void relations_add(struct eng_relations *relations, const struct eng_relation *relation);
void relations_fini(struct eng_relations *relations);
/* "its rows are in the blocks from .. to - 1", whatever the search_path. */
void relations_range(char *out, size_t size, int64_t from, int64_t to);
/* The same from an item of the first block on, and up to a tid, an expression. */
void relations_range_to(char *out, size_t size, int64_t from, int item, const char *end);
double relations_share(const struct eng_relations *relations); /* 0..1 of the blocks */

#endif
