/*
 * Allocation that does not return NULL: when memory is gone the process ends with one line, and
 * the durable state in the database lets the next start go on (DESIGN 2).
 *
 * Not here: buffers (base/buf.h). What these return is freed with free().
 */
#ifndef SEGUE_BASE_MEM_H
#define SEGUE_BASE_MEM_H

#include <stddef.h>

#include "segue/base/rc.h"

void *mem_alloc(size_t size);
void *mem_calloc(size_t count, size_t size);
void *mem_realloc(void *p, size_t size);
void *mem_checked(void *p);      /* p; the same end for a library's NULL */
char *mem_strdup(const char *s); /* NULL gives NULL */
char *mem_strndup(const char *s, size_t len);
char *mem_printf(const char *fmt, ...) PRINTF_LIKE(1, 2);

/* NULL-terminated lists of strings. The copy is deep and never NULL; NULL counts as empty. */
char **mem_strlist_copy(const char *const *list);
void mem_strlist_free(char **list);

/* Grows *array so that index `need - 1` exists; doubles; new room is zeroed. */
void mem_grow(void **array, size_t *cap, size_t need, size_t item_size);

#endif
