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
};

struct eng_relations {
    struct eng_relation *items;
    size_t n;
};

/* Is the table that was planned still there, under its name? `turned`: the name that it has from
 * the cut-over on. */
enum relations_table { TABLE_THERE, TABLE_GONE, TABLE_RENAMED };
enum rc relations_look(struct eng_conn *conn, const struct eng_table *table, bool turned,
                       enum relations_table *state, struct err *err) MUST_CHECK;

void relations_renamed(const struct eng_table *table, struct err *err); /* says so */

/* Appends the leaf partitions of the table, or the table itself, with their current size. */
enum rc relations_read(struct eng_conn *conn, const struct eng_plan *plan, int table,
                       struct eng_relations *out, struct err *err) MUST_CHECK;
void relations_add(struct eng_relations *relations, const struct eng_relation *relation);
void relations_fini(struct eng_relations *relations);
double relations_share(const struct eng_relations *relations); /* 0..1 of the blocks */

#endif
