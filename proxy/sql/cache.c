/* Rewrites by text: a hash table with chains, threaded on a list by last use. Shapes of texts
 * (shape.h) are entries beside them: what differs from a text seen before in literals only is not
 * parsed, and not remembered: most of such never come again, and would push out what does. */
#include "segue/sql/cache.h"

#include <stdlib.h>
#include <string.h>

#include "segue/base/mem.h"
#include "shape.h"

struct entry {
    struct entry *chain;         /* same bucket */
    struct entry *newer, *older; /* by last use */
    uint64_t hash;
    uint64_t uses;
    struct sql_sight_of_session session;
    struct sql_rewrite rewrite; /* owned */
    bool is_shape;
    /* of a shape: the text that stands for all of it; of that text: its shape. Else NULL */
    struct entry *other;
    size_t len;
    char text[];
};

/* What is asked for. */
struct key {
    uint64_t hash;
    const struct sql_sight_of_session *session;
    bool is_shape;
    const char *text;
    size_t len;
};

struct sql_cache {
    uint64_t epoch;
    size_t entries_max, bytes_max;
    size_t nbuckets; /* a power of two */
    struct entry **buckets;
    struct entry *newest, *oldest;
    struct sql_rewrite last; /* the one that is not remembered */
    struct sql_shape shape;  /* of the text at hand; its memory serves again */
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
    const uint64_t odd = UINT64_C(0x9e3779b97f4a7c15);
    uint64_t flags = (session->shadowed.old + session->shadowed.new *odd) * 32 +
                     session->unlisted * UINT64_C(16) + (uint64_t)session->side * 4 +
                     session->follows * UINT64_C(2) + session->rewrites;

    flags = flags * 2 + session->fickle;
    for (unsigned i = 0; i < session->steps.n; i++)
        flags = flags * odd + session->steps.v[i].path + session->steps.v[i].at;
    return ((session->path + session->unseen * 8) * odd + flags) * odd;
}

static struct key key_of(const struct sql_sight_of_session *session, bool is_shape,
                         const char *text, size_t len)
{
    return (struct key){hash_text(text, len) ^ (hash_sight(session) + is_shape), session, is_shape,
                        text, len};
}

static bool same_steps(const struct sql_path_steps *a, const struct sql_path_steps *b)
{
    for (unsigned i = 0; i < a->n && i < b->n; i++)
        if (a->v[i].at != b->v[i].at || a->v[i].perhaps != b->v[i].perhaps ||
            a->v[i].path != b->v[i].path)
            return false;
    return a->n == b->n;
}

static bool same_sight(const struct sql_sight_of_session *a, const struct sql_sight_of_session *b)
{
    return a->side == b->side && a->follows == b->follows && a->rewrites == b->rewrites &&
           sql_taken_same(a->shadowed, b->shadowed) && a->unseen == b->unseen &&
           a->unlisted == b->unlisted && a->fickle == b->fickle && a->path == b->path &&
           same_steps(&a->steps, &b->steps);
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
    if (entry->other)
        entry->other->other = NULL;
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
    sql_shape_fini(&cache->shape);
    free(cache->buckets);
    free(cache);
}

static void renew(struct sql_cache *cache, struct entry *entry)
{
    list_remove(cache, entry);
    list_push(cache, entry);
}

/* A shape outlives the text that stands for it: else that would go on by itself, and another text
 * would be remembered, and parsed, beside it. */
static void use(struct sql_cache *cache, struct entry *entry)
{
    entry->uses++;
    renew(cache, entry);
    if (entry->other && !entry->is_shape)
        renew(cache, entry->other);
}

static struct entry *find(struct sql_cache *cache, const struct key *key)
{
    struct entry *entry = *bucket_of(cache, key->hash);

    while (entry &&
           (entry->hash != key->hash || entry->len != key->len ||
            entry->is_shape != key->is_shape || !same_sight(&entry->session, key->session) ||
            memcmp(entry->text, key->text, key->len) != 0))
        entry = entry->chain;
    if (entry)
        use(cache, entry);
    return entry;
}

/* Takes what `rewrite` owns. NULL: it is too long. `shape`: the entry for which it is to stand, or
 * NULL. */
static struct entry *remember_take(struct sql_cache *cache, const struct key *key,
                                   const struct sql_rewrite *rewrite, struct entry *shape)
{
    struct entry **bucket = bucket_of(cache, key->hash);
    size_t bytes = entry_bytes(key->len, rewrite);
    struct entry *entry;

    if (cache->entries_max == 0 || bytes > cache->bytes_max)
        return NULL;
    entry = mem_alloc(sizeof(*entry) + key->len);
    entry->other = shape;
    if (shape)
        shape->other = entry; /* now: it may be among those that go */
    while (cache->stats.entries >= cache->entries_max ||
           cache->stats.bytes + bytes > cache->bytes_max) {
        evict(cache, cache->oldest);
        cache->stats.evictions++;
    }
    entry->hash = key->hash;
    entry->uses = 1;
    entry->session = *key->session;
    entry->rewrite = *rewrite;
    entry->is_shape = key->is_shape;
    entry->len = key->len;
    memcpy(entry->text, key->text, key->len);
    entry->chain = *bucket;
    *bucket = entry;
    list_push(cache, entry);
    if (entry->other)
        renew(cache, entry->other);
    cache->stats.entries++;
    cache->stats.bytes += bytes;
    return entry;
}

/* The shape, remembered with its rewrite; NULL: it is too long for that, or mentions no table of
 * the rules: the text did in a literal, or not at all. *known: it was there before. */
static struct entry *of_shape(struct sql_cache *cache, const struct sql_rules *rules,
                              const struct sql_sight_of_session *session, bool *known)
{
    const struct buf *text = &cache->shape.text;
    struct key key = key_of(session, true, text->data, text->len);
    struct entry *entry = find(cache, &key);
    struct sql_rewrite rewrite;

    *known = entry != NULL;
    if (entry || !sql_mentions(rules, text->data, text->len))
        return entry;
    sql_rewrite(rules, session, key.text, key.len, &rewrite);
    entry = remember_take(cache, &key, &rewrite, NULL);
    if (!entry)
        sql_rewrite_fini(&rewrite);
    return entry;
}

/* What a text becomes by its shape, which is returned; NULL: that says nothing of it. Where the
 * shape leaves a doubt the text itself may have none: literals are part of the grammar of a few
 * types. `folded`: rows of it are. */
static struct entry *by_shape(struct sql_cache *cache, const struct sql_rules *rules,
                              const struct sql_sight_of_session *session, const char *text,
                              size_t len, bool folded, struct sql_rewrite *out)
{
    struct entry *entry = NULL;
    bool known = false, done;

    if (!session->rewrites)
        return NULL;
    if (sql_shape_of(&cache->shape, text, len, folded))
        entry = of_shape(cache, rules, session, &known);
    done = entry && entry->rewrite.doubt == SQL_DOUBT_NONE && !entry->rewrite.early &&
           sql_shape_fits(&cache->shape, &entry->rewrite);
    if (done)
        sql_shape_fill(&cache->shape, &entry->rewrite, text, len, out);
    sql_shape_trim(&cache->shape);
    cache->stats.shaped += known && done;
    return done ? entry : NULL;
}

static const struct sql_rewrite *last_take(struct sql_cache *cache,
                                           const struct sql_rewrite *rewrite)
{
    sql_rewrite_fini(&cache->last);
    cache->last = *rewrite;
    return &cache->last;
}

/* A text whose rows are folded is looked for by its shape first: it is long, and hardly sent
 * twice. */
const struct sql_rewrite *sql_cache_rewrite(struct sql_cache *cache, const struct sql_rules *rules,
                                            const struct sql_sight_of_session *session,
                                            const char *text, size_t len)
{
    struct entry *entry = NULL, *shape = NULL;
    struct sql_rewrite rewrite;
    struct key key;

    if (cache->epoch != sql_rules_epoch(rules)) {
        empty(cache);
        cache->epoch = sql_rules_epoch(rules);
    }
    if (sql_shape_may_fold(text, len))
        shape = by_shape(cache, rules, session, text, len, true, &rewrite);
    if (!shape || !shape->other) {
        key = key_of(session, false, text, len);
        entry = find(cache, &key);
    }
    if (entry) {
        cache->stats.hits++;
        if (shape)
            sql_rewrite_fini(&rewrite);
        return &entry->rewrite;
    }
    cache->stats.misses++;
    if (!shape)
        shape = by_shape(cache, rules, session, text, len, false, &rewrite);
    if (shape && shape->other) {
        use(cache, shape->other);
        return last_take(cache, &rewrite);
    }
    if (!shape)
        sql_rewrite(rules, session, text, len, &rewrite);
    entry = remember_take(cache, &key, &rewrite, shape);
    return entry ? &entry->rewrite : last_take(cache, &rewrite);
}

bool sql_cache_take(struct sql_cache *cache, const struct sql_rewrite *rewrite,
                    struct sql_rewrite *out)
{
    if (rewrite != &cache->last)
        return false;
    *out = cache->last;
    cache->last.text = NULL;
    cache->last.splices = NULL;
    sql_rewrite_fini(&cache->last);
    return true;
}

void sql_cache_stats(const struct sql_cache *cache, struct sql_cache_stats *out)
{
    *out = cache->stats;
}

void sql_cache_each(const struct sql_cache *cache,
                    bool (*each)(void *ctx, const struct sql_cached *cached), void *ctx)
{
    for (const struct entry *entry = cache->newest; entry; entry = entry->older) {
        if (entry->is_shape)
            continue;
        const struct sql_cached cached = {entry->text, entry->len, entry->uses, &entry->session,
                                          &entry->rewrite};

        if (!each(ctx, &cached))
            return;
    }
}
