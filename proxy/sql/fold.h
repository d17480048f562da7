/*
 * Rows of VALUES that differ in their constants only. What is written into them, and whether it is,
 * depends on how many there are up to a few, and beyond on nothing that another such row changes.
 *
 * Private to the sql layer. Not here: what a rewrite makes of the rows (shape.c looks at that).
 */
#ifndef SEGUE_SQL_FOLD_H
#define SEGUE_SQL_FOLD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Rows in front of those that are folded; behind them there is one more at least. As many as
 * decide by their number what becomes of them: ROWS_MIN of values.c. */
#define SQL_FOLD_ROWS 8

struct sql_fold {
    uint32_t like;     /* where the last row in front begins: the folded ones are like it */
    uint32_t from, to; /* the rows that are folded, with the commas behind them */
    bool wide;         /* not all of it is ASCII */
};

/* Of a list whose first row begins behind the word VALUES at text[at]. False: too few rows, or not
 * alike. */
bool sql_fold_find(const char *text, size_t len, size_t at, struct sql_fold *fold);

#endif
