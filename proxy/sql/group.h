/* GROUP BY, and the primary key that it may count on. Private to the sql layer. */
#ifndef SEGUE_SQL_GROUP_H
#define SEGUE_SQL_GROUP_H

#include "scope.h"

/* Does the SelectStmt (NULL: no) group by the whole primary key of the place's table, or perhaps?
 * Then all columns of that table may be asked for, and the place must stay a table: the server
 * knows no key of a sub-select. */
bool sql_groups_by_key(const struct sql_work *w, const struct sql_place *place,
                       const struct sql_node *select);

/* What is to be known of a SelectStmt for the rows that are made in it: found once, for all. */
struct sql_grouping {
    const struct sql_node *select; /* NULL: it is another statement */
    bool known;                    /* what follows */
    bool sets;                     /* it has grouping sets */
    bool counts;                   /* count(*) is among its targets */
    const struct sql_node **bare;  /* ColumnRefs of its targets, outside of calls and of other
                                      queries, by address */
    size_t nbare, cap;
    const struct sql_node *range; /* of the place that was asked for last */
    bool by_row;                  /* groups may be made by that one's row, or by its key */
};
void sql_grouping_fini(struct sql_grouping *grouping);

/* May what the ColumnRef says, the place's row in the SELECT, not be made of its columns in place?
 * In grouping sets a column is NULL where the row has its value; and what the server refuses for
 * certain (the row beside count(*) without GROUP BY, or grouped by other columns than the key) it
 * would refuse in other words. */
bool sql_group_forbids(const struct sql_work *w, const struct sql_place *place,
                       struct sql_grouping *grouping, const struct sql_node *ref);

#endif
