/*
 * What constraints, indexes and columns are called in the end. While both halves of a column are
 * there, one of the two waits under a name of segue's own ("~segue_..."), and the server may find a
 * row against it first: clients are to be told the name that they know.
 *
 * It is read from the statements of the plan that rename them, so that plans which an older segue
 * has stored say it, too. Not here: who tells the clients (session/shown.c).
 */
#ifndef SEGUE_ENGINE_SHOWN_H
#define SEGUE_ENGINE_SHOWN_H

#include <stddef.h>

#include "segue/engine/plan.h"

struct eng_shown {
    char *now, *shown;
};

/* *n of them; caller frees with eng_shown_free. */
struct eng_shown *eng_shown_read(const struct eng_plan *plan, size_t *n);
void eng_shown_free(struct eng_shown *list, size_t n);

#endif
