/*
 * Reading schemas over libpq, read only. What is read comes as JSON: the database builds the
 * document, the planner picks from it.
 *
 * A table's document:
 *   oid, schema, name, relkind, persistence, owned (by the role), owner, tuples, partition,
 *     attributes (columns, dropped ones too, of the widest of its partitions),
 *     hides_rows: relation of which row security hides rows from the role, it or a partition,
 *     others_partition: one that the role does not own, inherits,
 *   children: relations; replica_identity
 *   key: primary key columns; relatives: bare names of what is locked along with it
 *   columns: num, name, type, typid, typtype, constrained (a domain with rules), not_null,
 *     identity, generated, default, collation, storage, compression, statistics, options,
 *     comment, sequence, partition_key, grants: [privilege, grantee, grantable]
 *   indexes: oid, schema, name, unique, primary, exclusion, valid, replica_identity, method,
 *     nulls_not_distinct, predicate, options, tablespace, comment, constraint, deferrable,
 *     deferred, children (of a partitioned index),
 *     keys: key (false: INCLUDE), column | expression, suffix, opclass_default
 *   constraints: name, type (c, f), columns, expression, foreign_table, validated, no_inherit,
 *     comment; of a foreign key what follows the columns: tail, set_columns, tail_end
 *   dependents: column (num), kind (catalog), object (for people)
 *   partition_dependents: name (of the column), object: what a partition has of its own
 *   partition_own: name (of the column), object, action: a partition's default or NOT NULL that
 *     its table has not
 *   partition_grants: name (of the column), relation, privilege, grantee, grantable: a partition's
 * own triggers: name, before, row, insert, update, enabled, function mentions: column (num),
 * function: routines whose text names the column Not here: judging what is read (engine/plan.h).
 */
#ifndef SEGUE_CATALOG_CATALOG_H
#define SEGUE_CATALOG_CATALOG_H

#include <stdint.h>

#include <jansson.h>
#include <libpq-fe.h>

#include "segue/base/err.h"
#include "segue/session/options.h"

/* Runs one statement with text parameters. RC_ERR: the server's SQLSTATE, message and hint are in
 * err, *res is NULL. Else the caller clears *res. */
enum rc cat_query(PGconn *conn, const char *sql, int nparams, const char *const *params,
                  PGresult **res, struct err *err) MUST_CHECK;

/* What to do about an error, where it is of a text that is not UTF-8, which SQL_ASCII lets in. */
void cat_encoding_hint(PGconn *conn, struct err *err);

/* First column of the first row, heap text; NULL in *out when there is no row or it is null. */
enum rc cat_value(PGconn *conn, const char *sql, int nparams, const char *const *params, char **out,
                  struct err *err) MUST_CHECK;

/* Document of a relation; `schema` NULL: by search_path. 42P01 when there is none. Names in it are
 * qualified where the search_path wants that. Caller decrefs. */
enum rc cat_table(PGconn *conn, const char *schema, const char *name, json_t **table,
                  struct err *err) MUST_CHECK;

/* Member of a table's "columns" by name; borrowed, NULL when there is none. */
json_t *cat_column(const json_t *table, const char *name);

/* Text of a member, NULL when it is null or not there; borrowed. */
const char *cat_text(const json_t *object, const char *key);

/* SQL of a row of pg_type called t: is it a domain with constraints, its own or those of a domain
 * that it is made of? */
#define CAT_CONSTRAINED                                                                            \
    "(t.typtype = 'd' AND EXISTS (WITH RECURSIVE made AS (SELECT t.oid AS id, t.typnotnull AS "    \
    "never, t.typbasetype AS base UNION ALL SELECT y.oid, y.typnotnull, y.typbasetype FROM made "  \
    "JOIN pg_type y ON y.oid = made.base AND y.typtype = 'd') SELECT FROM made WHERE never OR "    \
    "EXISTS (SELECT FROM pg_constraint WHERE contypid = made.id)))"

/* SQL behind a row of pg_constraint called k: d.said, what PostgreSQL says of a foreign key (NULL
 * of other constraints), of which d.cut characters are in front of the columns of ON DELETE SET;
 * s.names: these as JSON, NULL: none, s.list: as they are said, with brackets. */
#define CAT_SET_COLUMNS                                                                            \
    " LATERAL (SELECT json_agg(a.attname ORDER BY u.o) AS names, COALESCE(' (' || string_agg("     \
    "  quote_ident(a.attname), ', ' ORDER BY u.o) || ')', '') AS list FROM"                        \
    "  jsonb_array_elements_text(CASE jsonb_typeof(to_jsonb(k) -> 'confdelsetcols') WHEN 'array'"  \
    "   THEN to_jsonb(k) -> 'confdelsetcols' END) WITH ORDINALITY u(num, o) JOIN pg_attribute a"   \
    "  ON a.attrelid = k.conrelid AND a.attnum = u.num::int2) s, LATERAL (SELECT f.said, CASE "    \
    "s.list"                                                                                       \
    "  WHEN '' THEN length(f.said) ELSE length(f.said) - strpos(reverse(f.said), ')') + 1 -"       \
    "  length(s.list) END AS cut FROM (SELECT CASE k.contype WHEN 'f' THEN"                        \
    "  pg_get_constraintdef(k.oid) END AS said) f) d"

/* What a host of the upstream is (sess_probe). `how`: a connection string. */
enum sess_role cat_probe(const char *how, unsigned timeout_ms, const atomic_bool *stop,
                         struct err *err);

#endif
