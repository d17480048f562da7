#include "segue/sql/functions.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "segue/base/mem.h"

struct sql_functions {
    _Atomic unsigned refs;
    size_t n;
    char *names;                 /* all of them, one after the other */
    struct sql_function items[]; /* sorted */
};

static int by_name(const void *a, const void *b)
{
    const struct sql_function *x = a, *y = b;
    int names = strcmp(x->name, y->name);

    return names ? names : (x->kind > y->kind) - (x->kind < y->kind);
}

struct sql_functions *sql_functions_new(const struct sql_function *list, size_t n)
{
    struct sql_functions *functions = mem_calloc(1, sizeof(*functions) + n * sizeof(*list));
    size_t bytes = 0;
    char *at;

    for (size_t i = 0; i < n; i++)
        bytes += strlen(list[i].name) + 1;
    atomic_init(&functions->refs, 1);
    functions->n = n;
    functions->names = at = mem_alloc(bytes + 1);
    for (size_t i = 0; i < n; i++) {
        size_t len = strlen(list[i].name) + 1;

        memcpy(at, list[i].name, len);
        functions->items[i] = (struct sql_function){list[i].kind, at};
        at += len;
    }
    if (n > 0)
        qsort(functions->items, n, sizeof(*functions->items), by_name);
    return functions;
}

struct sql_functions *sql_functions_ref(struct sql_functions *functions)
{
    if (functions)
        atomic_fetch_add_explicit(&functions->refs, 1, memory_order_relaxed);
    return functions;
}

void sql_functions_unref(struct sql_functions *functions)
{
    unsigned before;

    if (!functions)
        return;
    before = atomic_fetch_sub_explicit(&functions->refs, 1, memory_order_acq_rel);
    assert(before > 0);
    if (before > 1)
        return;
    free(functions->names);
    free(functions);
}

bool sql_functions_same(const struct sql_functions *a, const struct sql_functions *b)
{
    if (!a || !b || a->n != b->n)
        return false;
    for (size_t i = 0; i < a->n; i++)
        if (by_name(&a->items[i], &b->items[i]) != 0)
            return false;
    return true;
}

bool sql_functions_has(const struct sql_functions *functions, enum sql_function_kind kind,
                       const char *name)
{
    const struct sql_function sought = {(char)kind, name};

    return functions && functions->n > 0 &&
           bsearch(&sought, functions->items, functions->n, sizeof(sought), by_name);
}
