/* Rewrites by text: a hash table with chains, threaded on a list by last use. */
#include "segue/sql/cache.h"

#include <stdlib.h>
#include <string.h>

#include "segue/base/mem.h"

struct entry {
    struct entry *chain;         /* same bucket */
    struct entry *newer, *older; /* by last use */
    uint64_t hash;
    uint64_t uses;
    struct sql_sight_of_session session;
    struct sql_rewrite rewrite; /* owned */
    size_t len;
    char text[];
};

struct sql_cache {
    uint64_t epoch;
    size_t entries_max, bytes_max;
    size_t nbuckets; /* a power of two */
    struct entry **buckets;
    struct entry *newest, *oldest;
    struct sql_rewrite last; /* the one that was too long to be remembered */
    struct sql_cache_stats stats;
};

static size_t entry_bytes(size_t len, const struct sql_rewrite *rewrite)
{
    return sizeof(struct entry) + len + (rewrite->text ? rewrite->len + 1 : 0) +
           rewrite->nsplices * sizeof(*rewrite->splices);
}

/* FNV-1a over words, then over the bytes left. */
static uint64_t hash_text(const char *text, size_t len)
{
    uint64_t hash = UINT64_C(14695981039346656037) ^ len;
    uint64_t word;

    for (; len >= sizeof(word); text += sizeof(word), len -= sizeof(word)) {
        memcpy(&word, text, sizeof(word));
        hash = (hash ^ word) * UINT64_C(1099511628211);
        hash ^= hash >> 32;
    }
    for (; len > 0; text++, len--)
        hash = (hash ^ (unsigned char)*text) * UINT64_C(1099511628211);
    return hash ^ (hash >> 29);
}

/* The same text is another statement to a session that sees other columns. */
static uint64_t hash_sight(const struct sql_sight_of_session *session)
{
    return (session->shadowed * 4 + (uint64_t)session->side * 2 + session->rewrites) *
           UINT64_C(0x9e3779b97f4a7c15);
}

static bool same_sight(const struct sql_sight_of_session *a, const struct sql_sight_of_session *b)
{
    return a->side == b->side && a->rewrites == b->rewrites && a->shadowed == b->shadowed;
}

struct sql_cache *sql_cache_new(size_t entries_max, size_t bytes_max)
{
    struct sql_cache *cache = mem_calloc(1, sizeof(*cache));

    cache->entries_max = entries_max;
    cache->bytes_max = bytes_max;
    cache->nbuckets = 64;
    while (cache->nbuckets < entries_max && cache->nbuckets < (size_t)1 << 20)
        cache->nbuckets *= 2;
    cache->buckets = mem_calloc(cache->nbuckets, sizeof(*cache->buckets));
    return cache;
}

static struct entry **bucket_of(struct sql_cache *cache, uint64_t hash)
{
    return &cache->buckets[hash & (cache->nbuckets - 1)];
}

static void list_remove(struct sql_cache *cache, struct entry *entry)
{
    *(entry->newer ? &entry->newer->older : &cache->newest) = entry->older;
    *(entry->older ? &entry->older->newer : &cache->oldest) = entry->newer;
}

static void list_push(struct sql_cache *cache, struct entry *entry)
{
    entry->newer = NULL;
    entry->older = cache->newest;
    *(cache->newest ? &cache->newest->newer : &cache->oldest) = entry;
    cache->newest = entry;
}

static void evict(struct sql_cache *cache, struct entry *entry)
{
    struct entry **at = bucket_of(cache, entry->hash);

    while (*at != entry)
        at = &(*at)->chain;
    *at = entry->chain;
    list_remove(cache, entry);
    cache->stats.entries--;
    cache->stats.bytes -= entry_bytes(entry->len, &entry->rewrite);
    sql_rewrite_fini(&entry->rewrite);
    free(entry);
}

static void empty(struct sql_cache *cache)
{
    while (cache->oldest)
        evict(cache, cache->oldest);
}

void sql_cache_free(struct sql_cache *cache)
{
    if (!cache)
        return;
    empty(cache);
    sql_rewrite_fini(&cache->last);
    free(cache->buckets);
    free(cache);
}

static struct entry *find(struct sql_cache *cache, uint64_t hash,
                          const struct sql_sight_of_session *session, const char *text, size_t len)
{
    struct entry *entry = *bucket_of(cache, hash);

    while (entry && (entry->hash != hash || entry->len != len ||
                     !same_sight(&entry->session, session) || memcmp(entry->text, text, len) != 0))
        entry = entry->chain;
    return entry;
}

/* Takes what `rewrite` owns. NULL: it is too long. */
static struct entry *remember_take(struct sql_cache *cache, uint64_t hash,
                                   const struct sql_sight_of_session *session, const char *text,
                                   size_t len, const struct sql_rewrite *rewrite)
{
    struct entry **bucket = bucket_of(cache, hash);
    size_t bytes = entry_bytes(len, rewrite);
    struct entry *entry;

    if (cache->entries_max == 0 || bytes > cache->bytes_max)
        return NULL;
    while (cache->stats.entries >= cache->entries_max ||
           cache->stats.bytes + bytes > cache->bytes_max) {
        evict(cache, cache->oldest);
        cache->stats.evictions++;
    }
    entry = mem_alloc(sizeof(*entry) + len);
    entry->hash = hash;
    entry->uses = 1;
    entry->session = *session;
    entry->rewrite = *rewrite;
    entry->len = len;
    memcpy(entry->text, text, len);
    entry->chain = *bucket;
    *bucket = entry;
    list_push(cache, entry);
    cache->stats.entries++;
    cache->stats.bytes += bytes;
    return entry;
}

const struct sql_rewrite *sql_cache_rewrite(struct sql_cache *cache, const struct sql_rules *rules,
                                            const struct sql_sight_of_session *session,
                                            const char *text, size_t len)
{
    uint64_t hash = hash_text(text, len) ^ hash_sight(session);
    struct sql_rewrite rewrite;
    struct entry *entry;

    if (cache->epoch != sql_rules_epoch(rules)) {
        empty(cache);
        cache->epoch = sql_rules_epoch(rules);
    }
    entry = find(cache, hash, session, text, len);
    if (entry) {
        cache->stats.hits++;
        entry->uses++;
        list_remove(cache, entry);
        list_push(cache, entry);
        return &entry->rewrite;
    }
    cache->stats.misses++;
    sql_rewrite(rules, session, text, len, &rewrite);
    entry = remember_take(cache, hash, session, text, len, &rewrite);
    if (entry)
        return &entry->rewrite;
    sql_rewrite_fini(&cache->last);
    cache->last = rewrite;
    return &cache->last;
}

void sql_cache_stats(const struct sql_cache *cache, struct sql_cache_stats *out)
{
    *out = cache->stats;
}

void sql_cache_each(const struct sql_cache *cache,
                    bool (*each)(void *ctx, const struct sql_cached *cached), void *ctx)
{
    for (const struct entry *entry = cache->newest; entry; entry = entry->older) {
        const struct sql_cached cached = {entry->text, entry->len, entry->uses, &entry->session,
                                          &entry->rewrite};

        if (!each(ctx, &cached))
            return;
    }
}
