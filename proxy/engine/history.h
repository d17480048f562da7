/*
 * What was applied to this database, in which order, and what its schema was then (segue.applied);
 * and the policy: an applied file is never changed, one head, no DDL past segue, forward only.
 *
 * The policy refuses where the history is kept: from the first file that says `after`, or the first
 * baseline, on. Before, files are a set without an order: what only an order can forbid is not
 * judged, and drift is a warning.
 */
#ifndef SEGUE_ENGINE_HISTORY_H
#define SEGUE_ENGINE_HISTORY_H

#include <stdbool.h>
#include <stddef.h>

#include <jansson.h>
#include <libpq-fe.h>

#include "segue/base/err.h"

struct eng_engine;
struct eng_job;
struct eng_migration;
struct eng_plan;

/* In a transaction, before the schema is read: the server says constants by these. */
#define HISTORY_READS                                                                              \
    "SET LOCAL search_path = pg_catalog; SET LOCAL TimeZone = 'UTC'; SET LOCAL IntervalStyle = "   \
    "postgres; SET LOCAL bytea_output = hex"

/* Before a plan is made: is the file one that was applied, or is in flight? */
enum rc history_check_file(struct eng_engine *engine, const char *where, const char *text,
                           struct err *err) MUST_CHECK;
/* After it: its parents, heads and drift, as notes of the plan. branch: a second head is meant. */
enum rc history_judge(struct eng_engine *engine, struct eng_plan *plan, bool branch,
                      struct err *err) MUST_CHECK;

/* Going back and going to the end, in view of migrations that follow and are followed. */
enum rc history_check_back(struct eng_engine *engine, const struct eng_migration *m,
                           struct err *err) MUST_CHECK;
enum rc history_check_complete(struct eng_engine *engine, const struct eng_migration *m,
                               struct err *err) MUST_CHECK;

/* The statement that moves a migration to done (taken), with the record of it: one transaction. */
char *history_end_sql_take(struct eng_engine *engine, const struct eng_migration *m, char *move);

/* Onto the board, for SHOW HISTORY. Trouble is logged. */
void history_show(struct eng_engine *engine);

/* Text of a PostgreSQL array; heap. */
char *history_array(char *const *names, size_t n);

/* Adds all that is recorded, but for what was aborted. */
struct lineage;
enum rc history_lineage(struct eng_engine *engine, struct lineage *l, json_t *findings,
                        struct err *err) MUST_CHECK;
json_t *history_json(const PGresult *res, int row, int column); /* text, or null */

/* ---- history_jobs.c ---- */
enum rc history_run_baseline(struct eng_engine *, struct eng_migration *, struct eng_job *);
enum rc history_run_snapshot(struct eng_engine *, struct eng_migration *, struct eng_job *);
enum rc history_run_diff(struct eng_engine *, struct eng_migration *, struct eng_job *);
enum rc history_run_versions(struct eng_engine *, struct eng_migration *, struct eng_job *);

/* ---- history_schema.c ---- */

/* A query of one jsonb: the schema as it is. What other migrations in flight (all but `but`) work
 * on is taken as it was recorded last (left out when nothing was): nobody knows yet how it ends. To
 * be run under search_path = pg_catalog. Heap. */
char *history_schema_sql(struct eng_engine *engine, const struct eng_migration *but);
/* A migration in flight with SQL of its own: what that changes cannot be told from drift. Or NULL.
 */
const struct eng_migration *history_blind(struct eng_engine *engine);
/* The schema as of now, and as recorded last (NULL: never); the caller's. */
enum rc history_schemas(struct eng_engine *engine, json_t **now, json_t **last,
                        struct err *err) MUST_CHECK;
/* "table public.t: column x added, ...": the first few of cat_schema_diff; heap. */
char *history_drift_text(const json_t *rows);

#endif
