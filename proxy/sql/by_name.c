#include "by_name.h"

#include <stdlib.h>
#include <string.h>

#include "segue/base/mem.h"

/* How many have a name in front of it; `or_same`: or the same. */
static size_t count_before(const struct sql_by_name *index, const char *name, int or_same)
{
    size_t low = 0, high = index->n;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (strcmp(index->items[middle].name, name) < or_same)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

void sql_by_name_add(struct sql_by_name *index, const char *name, size_t at)
{
    size_t place = index->n;

    if (place > 0 && strcmp(index->items[place - 1].name, name) > 0)
        place = count_before(index, name, 1);
    mem_grow((void **)&index->items, &index->cap, index->n + 1, sizeof(*index->items));
    memmove(index->items + place + 1, index->items + place,
            (index->n++ - place) * sizeof(*index->items));
    index->items[place] = (struct sql_by_name_item){name, at};
}

void sql_by_name_fini(struct sql_by_name *index)
{
    free(index->items);
    *index = (struct sql_by_name){0};
}

const struct sql_by_name_item *sql_by_name_first(const struct sql_by_name *index, const char *name)
{
    size_t place = count_before(index, name, 0);

    return place < index->n && !strcmp(index->items[place].name, name) ? &index->items[place]
                                                                       : NULL;
}

const struct sql_by_name_item *sql_by_name_next(const struct sql_by_name *index,
                                                const struct sql_by_name_item *item)
{
    const struct sql_by_name_item *next = item + 1;

    return next < index->items + index->n && !strcmp(next->name, item->name) ? next : NULL;
}
