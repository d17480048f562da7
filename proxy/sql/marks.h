/*
 * Bytes of a text that are marked: a bit each. To ask for a part of the text costs what that part
 * is long, however many marks there are. Private to the sql layer.
 */
#ifndef SEGUE_SQL_MARKS_H
#define SEGUE_SQL_MARKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sql_marks {
    uint64_t *words; /* NULL: there is no mark */
    size_t n;
};

void sql_marks_fini(struct sql_marks *marks);

/* Those of [from, to]: the last one, too. */
void sql_marks_put(struct sql_marks *marks, uint32_t from, uint32_t to);
void sql_marks_drop(struct sql_marks *marks, uint32_t from, uint32_t to);

/* Is there one in [from, to)? */
bool sql_marks_any(const struct sql_marks *marks, uint32_t from, uint32_t to);

#endif
