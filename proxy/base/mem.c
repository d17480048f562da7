#include "segue/base/mem.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void *mem_checked(void *p)
{
    if (!p) {
        fputs("segue: out of memory\n", stderr);
        abort();
    }
    return p;
}

void *mem_alloc(size_t size)
{
    return mem_checked(malloc(size ? size : 1));
}

void *mem_calloc(size_t count, size_t size)
{
    return mem_checked(calloc(count ? count : 1, size ? size : 1));
}

void *mem_realloc(void *p, size_t size)
{
    return mem_checked(realloc(p, size ? size : 1));
}

char *mem_strdup(const char *s)
{
    return s ? mem_strndup(s, strlen(s)) : NULL;
}

char *mem_strndup(const char *s, size_t len)
{
    char *copy = mem_alloc(len + 1);

    memcpy(copy, s, len);
    copy[len] = '\0';
    return copy;
}

char *mem_printf(const char *fmt, ...)
{
    va_list ap;
    char *out = NULL;

    va_start(ap, fmt);
    if (vasprintf(&out, fmt, ap) < 0)
        out = NULL;
    va_end(ap);
    return mem_checked(out);
}

char **mem_strlist_copy(const char *const *list)
{
    size_t n = 0;
    char **copy;

    while (list && list[n])
        n++;
    copy = mem_calloc(n + 1, sizeof(*copy));
    for (size_t i = 0; i < n; i++)
        copy[i] = mem_strdup(list[i]);
    return copy;
}

void mem_strlist_free(char **list)
{
    for (size_t i = 0; list && list[i]; i++)
        free(list[i]);
    free(list);
}

void mem_grow(void **array, size_t *cap, size_t need, size_t item_size)
{
    size_t want = *cap ? *cap : 8;

    if (need <= *cap)
        return;
    while (want < need)
        want *= 2;
    *array = mem_realloc(*array, want * item_size);
    memset((char *)*array + *cap * item_size, 0, (want - *cap) * item_size);
    *cap = want;
}
