/*
 * The primary key of a table where one of its columns changes its name: it is over one half at a
 * time, the old one until the cut-over and the new one after it, and some things are the server's
 * for a primary key alone. Private to the sql layer.
 */
#ifndef SEGUE_SQL_KEY_H
#define SEGUE_SQL_KEY_H

#include "scope.h"

/* The two halves that the column is one of; NULL: it is none. */
const struct sql_twin_rule *sql_key_pair(const struct rule *rule, const char *column);

/* The half that the other one follows: the old one until the cut-over, then the new one. NULL: the
 * column is no half of two that hold the same. */
const char *sql_key_leading(const struct rule *rule, const char *column);

/* GROUP BY of the whole key, by whichever names: gets the half that the key is over, too, and
 * groups are what they were. Not in grouping sets. */
void sql_key_group(struct sql_work *w, struct sql_scope *scope, const struct sql_node *select);

/* ON CONFLICT (columns) of the whole key: means the index that the key has. The other half's is
 * there from ready on, and not for a while after a way back. infer: the InferClause. True: so it
 * is; else the server looks for an index over the columns that are named. */
bool sql_key_conflict(struct sql_work *w, const struct rule *table, const struct sql_node *infer);

#endif
