/*
 * The shape of a statement: its text with a placeholder for each literal. Statements that differ in
 * literals only have one shape, and nothing of a rewrite but the literals themselves depends on
 * them: a shape is rewritten once, and what came out is filled with the literals of each text. Many
 * rows of an INSERT (fold.h) are folded: the shape has the first of them and the last.
 *
 * Private to the sql layer. Not here: remembering shapes (cache.c).
 */
#ifndef SEGUE_SQL_SHAPE_H
#define SEGUE_SQL_SHAPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "segue/base/buf.h"
#include "segue/sql/rewrite.h"

struct sql_literal {
    uint32_t from, to;             /* in the statement, with quotes */
    uint32_t shape_from, shape_to; /* its placeholder in the shape */
};

struct sql_shape {
    struct buf text;
    struct sql_literal *literals; /* in order */
    size_t n, cap;
    bool folded;
    uint32_t fold_from, fold_to; /* the row that those which are folded are like; they follow */
};

/* May it have rows that are folded? Few other texts may. */
bool sql_shape_may_fold(const char *text, size_t len);

/* `shape` is zeroed, or has been another text's, whose memory serves again. `folds`: with folded
 * rows, or not at all. False: no literals, or something in the text (comments, other quotes than
 * '', several statements) that only the parser should look at. The shape is to be freed in any
 * case. */
bool sql_shape_of(struct sql_shape *shape, const char *text, size_t len, bool folds);
void sql_shape_fini(struct sql_shape *shape);

/* Frees the memory if it is much; what the shape says is gone then. */
void sql_shape_trim(struct sql_shape *shape);

/* Does it say of folded rows that nothing is written into them? Else a shape without is needed. */
bool sql_shape_fits(const struct sql_shape *shape, const struct sql_rewrite *of_shape);

/* What sql_rewrite would say of `text`, of whose shape it has said `of_shape` (without doubt,
 * not too early, and it fits). `out` owns what it holds. */
void sql_shape_fill(const struct sql_shape *shape, const struct sql_rewrite *of_shape,
                    const char *text, size_t len, struct sql_rewrite *out);

#endif
