/*
 * Things of a rule snapshot by their name, of which there may be thousands (partitions, other
 * tenants' tables): a text may name as many. Private to the sql layer.
 */
#ifndef SEGUE_SQL_BY_NAME_H
#define SEGUE_SQL_BY_NAME_H

#include <stddef.h>

struct sql_by_name_item {
    const char *name;
    size_t at; /* which of its kind */
};

struct sql_by_name {                /* all zero: empty */
    struct sql_by_name_item *items; /* in order of names; of one name as they were added */
    size_t n, cap;
};

/* The name is borrowed for as long as the index is there. Cheap where names come in order. */
void sql_by_name_add(struct sql_by_name *index, const char *name, size_t at);
void sql_by_name_fini(struct sql_by_name *index);

/* The first thing of that name, and the next one of the same; NULL: there is none. */
const struct sql_by_name_item *sql_by_name_first(const struct sql_by_name *index, const char *name);
const struct sql_by_name_item *sql_by_name_next(const struct sql_by_name *index,
                                                const struct sql_by_name_item *item);

#define SQL_BY_NAME_EACH(item, index, name)                                                        \
    for (const struct sql_by_name_item *item = sql_by_name_first(index, name); item;               \
         item = sql_by_name_next(index, item))

#endif
