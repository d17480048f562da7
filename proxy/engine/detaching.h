/*
 * Partitions whose DETACH ... CONCURRENTLY has not ended. Statements about the table pass them by,
 * but what is dropped of it is dropped of them, too, and not made again; and a column that the
 * table gets or loses meanwhile keeps their own writers out ("could not convert row type").
 */
#ifndef SEGUE_ENGINE_DETACHING_H
#define SEGUE_ENGINE_DETACHING_H

#include "relations.h"
#include "runner.h"

/* What of the tables named (as eng_lock_names, in place of the %s) is being detached, and from
 * what; of partitions that have partitions, too. */
#define DETACHING_SQL                                                                              \
    "SELECT DISTINCT format('%%I.%%I', n.nspname, c.relname), format('%%I.%%I', pn.nspname, "      \
    "p.relname) FROM " RELATIONS_ROOTS RELATIONS_TREE                                              \
    " t JOIN pg_inherits i ON i.inhparent = t.relid JOIN pg_class c ON c.oid = i.inhrelid"         \
    " JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_class p ON p.oid = i.inhparent"        \
    " JOIN pg_namespace pn ON pn.oid = p.relnamespace WHERE i.inhdetachpending ORDER BY 1"

/* In which words, for who is held up and for who is refused. */
#define DETACHING_TEXT "partition %s is being detached from %s"
#define DETACHING_HINT                                                                             \
    "wait for who detaches it; when nobody does any more: ALTER TABLE %s DETACH PARTITION %s "     \
    "FINALIZE"

/* Rows of DETACHING_SQL, as objects among those that are in the way (gated.h). */
void detaching_tell(const PGresult *res, json_t *out);
/* err: 55P03 or 55000, of the first row. */
void detaching_refuse(const PGresult *res, const char *sqlstate, struct err *err);
/* 55000 when one of the migration's tables has such a partition. */
enum rc detaching_check(struct eng_engine *engine, const struct eng_migration *m,
                        struct err *err) MUST_CHECK;

#endif
