/* To be removed with the commit that brings insert.c and set.c, which define these. */
#include "work.h"

void sql_insert_columns(struct sql_work *w, const struct rule *table, const json_t *insert)
{
    (void)w;
    (void)table;
    (void)insert;
}

void sql_set_twins(struct sql_work *w, const struct rule *table, const json_t *node)
{
    (void)w;
    (void)table;
    (void)node;
}

void sql_merge_insert_columns(struct sql_work *w, const struct rule *table, const json_t *node)
{
    (void)w;
    (void)table;
    (void)node;
}
