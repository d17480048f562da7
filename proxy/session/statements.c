#include "statements.h"

#include <stdlib.h>
#include <string.h>

#include "segue/base/mem.h"

#define BUCKETS_FIRST 8 /* a power of two */

struct sess_statements {
    size_t bytes, bytes_max;
    size_t count, rewritten;
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
size_t sess_statement_bytes(const struct sess_statement *statement)
{
    return sizeof(*statement) + strlen(statement->name) + statement->text_len + 2 +
           (size_t)statement->ntypes * 4 + 2 * sizeof(struct sess_statement *) +
           (statement->sent ? statement->sent->bytes : 0);
}

struct sess_statement *sess_statement_new(const struct sess_parse *parse)
{
    size_t name_len = strlen(parse->name), types_len = (size_t)parse->ntypes * 4;
    size_t text_len = parse->text ? parse->text_len : 0;
    struct sess_statement *statement =
        mem_alloc(sizeof(*statement) + name_len + text_len + 2 + types_len);
    char *copy = statement->name + name_len + 1;

    memset(statement, 0, sizeof(*statement));
    statement->refs = 1;
    statement->hash = hash_name(parse->name);
    statement->epoch = SESS_NOT_LOOKED;
    statement->side = SQL_SIDE_OLD; /* of any migration to come */
    memcpy(statement->name, parse->name, name_len + 1);
    statement->text_len = text_len;
    if (parse->text) {
        memcpy(copy, parse->text, text_len);
        statement->text = copy;
    }
    copy[text_len] = '\0';
    statement->ntypes = parse->ntypes;
    statement->types = copy + text_len + 1;
    if (types_len)
        memcpy(copy + text_len + 1, parse->types, types_len);
    return statement;
}

struct sess_statement *sess_statement_ref(struct sess_statement *statement)
{
    if (statement)
        statement->refs++;
    return statement;
}

void sess_statement_unref(struct sess_statement *statement)
{
    if (!statement || --statement->refs)
        return;
    sess_sent_unref(statement->sent);
    free(statement);
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
            at->linked = false;
            sess_statement_unref(at);
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

static void unlink_at(struct sess_statements *set, struct sess_statement **at)
{
    struct sess_statement *gone = *at;

    *at = gone->chain;
    gone->chain = NULL;
    gone->linked = false;
    set->count--;
    set->rewritten -= gone->sent != NULL;
    set->bytes -= sess_statement_bytes(gone);
    sess_statement_unref(gone);
}

bool sess_statements_set(struct sess_statements *set, struct sess_statement *statement)
{
    struct sess_statement **at = slot(set, statement->name, statement->hash);

    if (*at == statement)
        return true;
    if (*at)
        unlink_at(set, at);
    if (set->bytes + sess_statement_bytes(statement) > set->bytes_max)
        return false;
    statement->chain = *at;
    *at = sess_statement_ref(statement);
    statement->linked = true;
    set->bytes += sess_statement_bytes(statement);
    set->rewritten += statement->sent != NULL;
    if (++set->count > set->nbuckets)
        grow(set);
    return true;
}

void sess_statements_put(struct sess_statements *set, const struct sess_parse *parse,
                         uint64_t epoch)
{
    struct sess_statement *statement = sess_statements_find(set, parse->name);

    if (statement) {
        if (!parse->text || !statement->text || statement->text_len != parse->text_len ||
            statement->ntypes != parse->ntypes ||
            memcmp(statement->text, parse->text, parse->text_len) != 0 ||
            (parse->ntypes &&
             memcmp(statement->types, parse->types, (size_t)parse->ntypes * 4) != 0))
            statement->text = NULL;
        return;
    }
    statement = sess_statement_new(parse);
    statement->sent_epoch = epoch;
    statement->told = true;
    sess_statements_set(set, statement);
    sess_statement_unref(statement);
}

void sess_statements_sent_take(struct sess_statements *set, struct sess_statement *statement,
                               struct sess_sent *sent)
{
    struct sess_sent *before = statement->sent;

    if (statement->linked)
        set->bytes -= sess_statement_bytes(statement);
    statement->sent = sent;
    if (statement->linked) {
        set->bytes += sess_statement_bytes(statement);
        set->rewritten += (size_t)(sent != NULL) - (size_t)(before != NULL);
    }
    sess_sent_unref(before);
}

bool sess_statements_room(const struct sess_statements *set, size_t bytes)
{
    return set->bytes + bytes <= set->bytes_max;
}

struct sess_statement *sess_statements_find(struct sess_statements *set, const char *name)
{
    return set ? *slot(set, name, hash_name(name)) : NULL;
}

void sess_statements_remove(struct sess_statements *set, const char *name)
{
    struct sess_statement **at = set ? slot(set, name, hash_name(name)) : NULL;

    if (at && *at)
        unlink_at(set, at);
}

void sess_statements_remove_sql(struct sess_statements *set)
{
    for (size_t i = 0; set && i < set->nbuckets; i++) {
        struct sess_statement **at = &set->buckets[i];

        while (*at) {
            if ((*at)->sql)
                unlink_at(set, at);
            else
                at = &(*at)->chain;
        }
    }
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

size_t sess_statements_rewritten(const struct sess_statements *set)
{
    return set ? set->rewritten : 0;
}
