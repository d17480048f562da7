/*
 * Case-folded search for many names at once. A name counts only between identifier boundaries;
 * in doubt it counts (the parser decides). Private to the sql layer.
 */
#ifndef SEGUE_SQL_SEARCH_H
#define SEGUE_SQL_SEARCH_H

#include <stddef.h>
#include <stdint.h>

struct sql_needle {
    char *text; /* folded to lower case, `"` doubled; owned */
    size_t len;
    uint64_t mask;
    uint32_t next; /* index + 1 of the next needle with the same first byte */
};

struct sql_search {
    struct sql_needle *needles;
    size_t n, cap;
    uint32_t first[256]; /* folded first byte: index + 1 of a needle, 0: none */
    uint8_t marks[256];  /* what a byte of the text may be */
};

void sql_search_init(struct sql_search *search);
void sql_search_add(struct sql_search *search, const char *name, uint64_t mask);
void sql_search_fini(struct sql_search *search);

/* The masks of all names found, or those of the first one found when `any` is enough. Text with a
 * Unicode-escaped identifier finds everything. */
uint64_t sql_search_run(const struct sql_search *search, const char *text, size_t len, int any);

#endif
