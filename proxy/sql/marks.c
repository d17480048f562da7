#include "marks.h"

#include <stdlib.h>

#include "segue/base/mem.h"

#define BITS 64

void sql_marks_fini(struct sql_marks *marks)
{
    free(marks->words);
    *marks = (struct sql_marks){0};
}

/* Of the word `i`, the bits of bytes in [from, to]. */
static uint64_t bits_of(size_t i, uint32_t from, uint32_t to)
{
    uint64_t bits = UINT64_MAX;

    if (i == from / BITS)
        bits &= UINT64_MAX << from % BITS;
    if (i == to / BITS)
        bits &= UINT64_MAX >> (BITS - 1 - to % BITS);
    return bits;
}

void sql_marks_put(struct sql_marks *marks, uint32_t from, uint32_t to)
{
    mem_grow((void **)&marks->words, &marks->n, to / BITS + 1, sizeof(*marks->words));
    for (size_t i = from / BITS; i <= to / BITS; i++)
        marks->words[i] |= bits_of(i, from, to);
}

void sql_marks_drop(struct sql_marks *marks, uint32_t from, uint32_t to)
{
    for (size_t i = from / BITS; i <= to / BITS && i < marks->n; i++)
        marks->words[i] &= ~bits_of(i, from, to);
}

bool sql_marks_any(const struct sql_marks *marks, uint32_t from, uint32_t to)
{
    for (size_t i = from / BITS; from < to && i <= (to - 1) / BITS && i < marks->n; i++)
        if (marks->words[i] & bits_of(i, from, to - 1))
            return true;
    return false;
}
