/*
 * May whoever writes to a table use what its guard calls? The guard runs with the writer's
 * privileges: a statement of a role without them fails in it. The plan refuses such a role
 * (plan_steady.c); one that is given INSERT or UPDATE in flight is found here.
 */
#ifndef SEGUE_ENGINE_WRITERS_H
#define SEGUE_ENGINE_WRITERS_H

#include "conn.h"
#include "segue/engine/plan.h"

/* What a call by one of the names $1 may mean, by the path of the file: of one signature, only the
 * first. */
#define WRITERS_CALLED(names)                                                                      \
    "SELECT COALESCE(pg_catalog.array_agg(p.oid), '{}') FROM pg_catalog.pg_proc p JOIN"            \
    " pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) p.pronamespace WHERE"              \
    " pg_catalog.concat(n.nspname, '.', p.proname) OPERATOR(pg_catalog.=) ANY "                    \
    "(" names "::pg_catalog.text[]) OR (p.proname OPERATOR(pg_catalog.=) ANY (" names              \
    "::pg_catalog.text[]) AND pg_catalog.pg_function_is_visible(p.oid))"

/* Of a table, names of types and oids of functions: the first grant that somebody lacks who may
 * write to it. */
#define WRITERS_LACK(table, types, functions)                                                      \
    "WITH w AS (SELECT r.oid, quote_ident(r.rolname) AS name FROM pg_roles r WHERE NOT r.rolsuper" \
    "  AND r.rolname !~ '^pg_' AND has_any_column_privilege(r.oid, " table                         \
    "::oid, 'INSERT, UPDATE')),"                                                                   \
    " f AS (SELECT p.oid, p.pronamespace, n.nspname FROM pg_proc p JOIN pg_namespace n"            \
    "  ON n.oid = p.pronamespace WHERE p.oid = ANY (" functions "::oid[])),"                       \
    " t AS (SELECT n.oid, n.nspname FROM unnest(" types "::text[]) u JOIN pg_type y ON y.oid ="    \
    "  to_regtype(u) JOIN pg_namespace n ON n.oid = y.typnamespace)"                               \
    " SELECT grant_it FROM (SELECT format('GRANT EXECUTE ON FUNCTION %s TO %s', f.oid::"           \
    "  regprocedure, w.name) AS grant_it FROM w, f WHERE NOT has_function_privilege(w.oid, f.oid," \
    "  'EXECUTE') UNION SELECT format('GRANT USAGE ON SCHEMA %I TO %s', s.nspname, w.name) FROM"   \
    "  w, (SELECT pronamespace, nspname FROM f UNION SELECT oid, nspname FROM t) s"                \
    "  WHERE NOT has_schema_privilege(w.oid, s.pronamespace, 'USAGE')) g"

/* *grant: the statement that somebody lacks, heap; NULL: nobody lacks one. */
enum rc writers_look(struct eng_conn *conn, const struct eng_plan *plan,
                     const struct eng_table *table, char **grant, struct err *err) MUST_CHECK;

/* 42501 with the first of any table of the plan. */
enum rc writers_check(struct eng_conn *conn, const struct eng_plan *plan,
                      struct err *err) MUST_CHECK;

#endif
