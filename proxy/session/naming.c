#include "naming.h"

#include <stdlib.h>
#include <string.h>

#include "segue/base/mem.h"

struct sess_namings {
    size_t n, bytes;
    bool full; /* there was one more, which is not here */
    struct sess_naming v[SESS_NAMINGS_MAX];
};

static size_t bytes_of(const struct sess_naming *naming)
{
    return naming->statement ? sess_statement_bytes(naming->statement) : 0;
}

bool sess_namings_put_take(struct sess_namings **set, const struct sess_naming *naming,
                           size_t bytes_max)
{
    struct sess_namings *s = *set ? *set : (*set = mem_calloc(1, sizeof(*s)));
    size_t bytes = bytes_of(naming);

    if (s->n == SESS_NAMINGS_MAX || s->bytes + bytes > bytes_max) {
        s->full = true;
        sess_statement_unref(naming->statement);
        return false;
    }
    s->v[s->n++] = *naming;
    s->bytes += bytes;
    return true;
}

/* The first `n` are over. */
static void drop(struct sess_namings **set, size_t n)
{
    struct sess_namings *s = *set;

    for (size_t i = 0; i < n; i++) {
        s->bytes -= bytes_of(&s->v[i]);
        sess_statement_unref(s->v[i].statement);
    }
    s->n -= n;
    memmove(s->v, s->v + n, s->n * sizeof(*s->v));
}

static bool is_later(uint32_t ask, uint32_t than)
{
    return ask != than && ask - than < UINT32_MAX / 2;
}

bool sess_namings_done(struct sess_namings **set, enum sql_named_kind kind, uint32_t ask,
                       struct sess_naming *out)
{
    struct sess_namings *s = *set;

    for (size_t i = 0; s && i < s->n && !is_later(s->v[i].ask, ask); i++) {
        if (s->v[i].kind != kind || s->v[i].ask != ask)
            continue;
        *out = s->v[i];
        sess_statement_ref(out->statement);
        drop(set, i + 1);
        return true;
    }
    return false;
}

void sess_namings_answered(struct sess_namings **set, uint32_t ask)
{
    size_t n = 0;

    if (!*set)
        return;
    while (n < (*set)->n && !is_later((*set)->v[n].ask, ask))
        n++;
    drop(set, n);
    if (!(*set)->n)
        sess_namings_free(set);
}

void sess_namings_free(struct sess_namings **set)
{
    if (*set)
        drop(set, (*set)->n);
    free(*set);
    *set = NULL;
}

bool sess_namings_concern(const struct sess_namings *set, const char *name)
{
    for (size_t i = 0; set && i < set->n; i++)
        if (set->v[i].kind == SQL_NAMED_DROP_ALL || strcmp(set->v[i].name, name) == 0)
            return true;
    return set && set->full;
}

void sess_namings_unsent(struct sess_namings *set)
{
    for (size_t i = 0; set && i < set->n; i++) {
        set->bytes -= bytes_of(&set->v[i]);
        if (set->v[i].statement)
            sess_statements_sent_take(NULL, set->v[i].statement, NULL);
        set->bytes += bytes_of(&set->v[i]);
    }
}

size_t sess_namings_bytes(const struct sess_namings *set)
{
    return set ? sizeof(*set) + set->bytes : 0;
}
