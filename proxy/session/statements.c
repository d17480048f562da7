#include "statements.h"

#include <stdlib.h>
#include <string.h>

#include "segue/base/mem.h"

#define BUCKETS_FIRST 8 /* a power of two */

struct sess_statements {
    size_t bytes, bytes_max;
    size_t count;
    size_t nbuckets; /* a power of two */
    struct sess_statement **buckets;
};

static uint64_t hash_name(const char *name)
{
    uint64_t hash = UINT64_C(14695981039346656037); /* FNV-1a */

    for (; *name; name++)
        hash = (hash ^ (unsigned char)*name) * UINT64_C(1099511628211);
    return hash ^ (hash >> 32);
}

/* With its share of the buckets, of which there are at most two a statement and the first ones. */
static size_t bytes_of(size_t name_len, size_t text_len)
{
    return sizeof(struct sess_statement) + name_len + text_len + 2 +
           2 * sizeof(struct sess_statement *);
}

struct sess_statements *sess_statements_new(size_t bytes_max)
{
    struct sess_statements *set = mem_calloc(1, sizeof(*set));

    set->bytes_max = bytes_max;
    set->nbuckets = BUCKETS_FIRST;
    set->buckets = mem_calloc(set->nbuckets, sizeof(*set->buckets));
    return set;
}

void sess_statements_free(struct sess_statements *set)
{
    if (!set)
        return;
    for (size_t i = 0; i < set->nbuckets; i++) {
        for (struct sess_statement *at = set->buckets[i], *next; at; at = next) {
            next = at->chain;
            free(at);
        }
    }
    free(set->buckets);
    free(set);
}

static struct sess_statement **slot(struct sess_statements *set, const char *name, uint64_t hash)
{
    struct sess_statement **at = &set->buckets[hash & (set->nbuckets - 1)];

    while (*at && ((*at)->hash != hash || strcmp((*at)->name, name) != 0))
        at = &(*at)->chain;
    return at;
}

static void grow(struct sess_statements *set)
{
    size_t n = set->nbuckets * 2;
    struct sess_statement **buckets = mem_calloc(n, sizeof(*buckets));

    for (size_t i = 0; i < set->nbuckets; i++) {
        for (struct sess_statement *at = set->buckets[i], *next; at; at = next) {
            next = at->chain;
            at->chain = buckets[at->hash & (n - 1)];
            buckets[at->hash & (n - 1)] = at;
        }
    }
    free(set->buckets);
    set->buckets = buckets;
    set->nbuckets = n;
}

void sess_statements_put(struct sess_statements *set, const char *name, const char *text,
                         size_t text_len)
{
    size_t name_len = strlen(name);
    uint64_t hash = hash_name(name);
    struct sess_statement **at = slot(set, name, hash);
    struct sess_statement *statement = *at;
    size_t bytes = bytes_of(name_len, text ? text_len : 0);
    char *copy;

    if (statement) {
        if (!text || !statement->text || statement->text_len != text_len ||
            memcmp(statement->text, text, text_len) != 0)
            statement->text = NULL;
        return;
    }
    if (set->bytes + bytes > set->bytes_max)
        return;
    statement = mem_alloc(bytes);
    memset(statement, 0, sizeof(*statement));
    statement->hash = hash;
    memcpy(statement->name, name, name_len + 1);
    statement->text_len = text ? text_len : 0;
    if (text) {
        copy = statement->name + name_len + 1;
        memcpy(copy, text, text_len);
        copy[text_len] = '\0';
        statement->text = copy;
    }
    *at = statement;
    set->bytes += bytes;
    if (++set->count > set->nbuckets)
        grow(set);
}

struct sess_statement *sess_statements_find(struct sess_statements *set, const char *name)
{
    return set ? *slot(set, name, hash_name(name)) : NULL;
}

void sess_statements_remove(struct sess_statements *set, const char *name)
{
    struct sess_statement **at;
    struct sess_statement *gone;

    if (!set)
        return;
    at = slot(set, name, hash_name(name));
    gone = *at;
    if (!gone)
        return;
    *at = gone->chain;
    set->count--;
    set->bytes -= bytes_of(strlen(gone->name), gone->text_len);
    free(gone);
}

size_t sess_statements_bytes_least(void)
{
    return sizeof(struct sess_statements) + BUCKETS_FIRST * sizeof(struct sess_statement *);
}

size_t sess_statements_bytes(const struct sess_statements *set)
{
    return set ? sess_statements_bytes_least() + set->bytes : 0;
}

size_t sess_statements_count(const struct sess_statements *set)
{
    return set ? set->count : 0;
}
