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

/* A byte of names: those that begin alike share it. Of a table's thousands of partitions each word
 * of a text would be compared with all of them. */
struct sql_letter {
    uint64_t mask;         /* of the name that ends with it; 0: none does */
    uint32_t behind, next; /* index + 1 of one that may follow, and of one in its place; 0: none */
    unsigned char byte;
};

#define SQL_SEARCH_CROWD 16 /* so many needles with one first byte are gone through by letters */

struct sql_search {
    struct sql_needle *needles;
    size_t n, cap;
    struct sql_letter *letters; /* of all needles */
    size_t nletters, cap_letters;
    uint32_t letter[256]; /* first byte: index + 1 of its letter where there is a crowd, 0: none */
    uint32_t first[256];  /* folded first byte: index + 1 of a needle, 0: none */
    uint8_t marks[256];   /* what a byte of the text may be */
};

void sql_search_init(struct sql_search *search);
void sql_search_add(struct sql_search *search, const char *name, uint64_t mask);
void sql_search_fini(struct sql_search *search);

/* The masks of all names found, or those of the first one found when `any` is enough. Text with a
 * Unicode-escaped identifier finds everything. */
uint64_t sql_search_run(const struct sql_search *search, const char *text, size_t len, int any);

#endif
