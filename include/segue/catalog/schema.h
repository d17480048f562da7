/*
 * The schema of a database as one document that can be compared: names instead of numbers, the
 * server's own words for definitions, nothing that differs between two databases with one schema.
 *
 * A flat object, an entry an object of the database:
 *   "table public.checks": {"columns": {"id": {"type", "not null", "default", ...}}, "constraints",
 *     "indexes", "triggers", "policies", "rules": {name: definition}, and what the table itself
 * has} "view ...", "materialized view ...", "sequence ...", "type ...", "function ...", "procedure
 * ...", "statistics ...", "schema ...", "extension ..." Left out: system schemas, segue's own, what
 * extensions own, temporary tables, partitions (their parent is there), names that segue uses while
 * it works (~segue_), the order of columns, owners and privileges.
 */
#ifndef SEGUE_CATALOG_SCHEMA_H
#define SEGUE_CATALOG_SCHEMA_H

#include <jansson.h>

#include "segue/base/err.h"

/* A query of one row and one column, jsonb. To be run under search_path = pg_catalog: names in
 * definitions are qualified then. */
extern const char cat_schema_sql[];

/* Is it such a document? 22032: what is wrong, and in *entry (borrowed) in which object; NULL: in
 * none, it is not even one. */
enum rc cat_schema_check(const json_t *schema, const char **entry, struct err *err) MUST_CHECK;

/* What leads from one document to the other: an array of objects {"change": "added" | "dropped" |
 * "changed", "object", "part", "before", "after"}, in the order of objects. "part" is "" for the
 * object itself, else "column note" or "column note: type"; before and after are text for people,
 * "" where there is nothing. Caller decrefs. */
json_t *cat_schema_diff(const json_t *before, const json_t *after);

#endif
