/*
 * What hangs on the columns that go with `complete`, the table's and its partitions': indexes,
 * constraints, statistics, views, triggers, policies, NOT NULL, privileges, security labels,
 * replica identity. The plan carries to the new columns
 * what was there when it was made; what comes while it is in flight would be dropped without a
 * word, or bar the way where there is none back. So the plan says what it has seen, and the
 * cut-over and `complete` refuse what it has not. What goes meanwhile lives on in its place on the
 * new column: the cut-over refuses that, and either refuses a privilege that was revoked on the old
 * one alone.
 *
 * Not here: defaults, and rows.
 */
#ifndef SEGUE_ENGINE_DEPENDENTS_H
#define SEGUE_ENGINE_DEPENDENTS_H

#include "plan_build.h"
#include "relations.h"
#include "runner.h"

/* What is not part of the tables and would keep them from being dropped: `oids` is an SQL array;
 * NULL in it is of one that is gone. */
#define DEPENDENTS_OF_TABLES(oids)                                                                 \
    "WITH RECURSIVE own (classid, objid) AS (SELECT 'pg_class'::regclass::oid, t.relid"            \
    " FROM unnest(" oids ") AS root (oid), " RELATIONS_TREE " AS t WHERE root.oid IS NOT NULL"     \
    " UNION SELECT d.classid, d.objid FROM pg_depend d JOIN own o ON d.refclassid = o.classid"     \
    "  AND d.refobjid = o.objid WHERE d.deptype IN ('a', 'i', 'P', 'S'))"                          \
    "SELECT DISTINCT CASE WHEN d.classid = 'pg_rewrite'::regclass THEN"                            \
    "  (SELECT pg_describe_object('pg_class'::regclass, r.ev_class, 0) FROM pg_rewrite r"          \
    "   WHERE r.oid = d.objid) ELSE pg_describe_object(d.classid, d.objid, d.objsubid) END"        \
    " FROM pg_depend d JOIN own o ON d.refclassid = o.classid AND d.refobjid = o.objid"            \
    " WHERE d.deptype = 'n' AND (d.classid, d.objid) NOT IN (SELECT classid, objid FROM own)"      \
    " ORDER BY 1"

/* Of all tables of the plan: table->dependents. */
enum rc dependents_read(struct build *b) MUST_CHECK;

/* 55000: something has come or gone since, which, and what to do. */
enum rc dependents_check(struct eng_engine *engine, const struct eng_migration *m,
                         struct err *err) MUST_CHECK;

#endif
