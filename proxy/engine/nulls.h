/*
 * "Is there a value?" in SQL. IS NULL and IS NOT NULL ask a composite value for its fields: one
 * with a NULL in it is neither. These ask for the value itself, as NOT NULL, indexes and the row
 * do; for all other types they are the same node of PostgreSQL's tree. Private to the engine.
 */
#ifndef SEGUE_ENGINE_NULLS_H
#define SEGUE_ENGINE_NULLS_H

#define IS_NULL "IS NOT DISTINCT FROM NULL"
#define IS_NOT_NULL "IS DISTINCT FROM NULL"

#endif
