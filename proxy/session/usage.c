#include "segue/session/usage.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "segue/base/mem.h"

/* user, application and address, as sessions have them */
#define TEXTS_BYTES_MAX (64 + 64 + 48)

const char *const sess_use_names[SESS_USES] = {
    [SESS_USE_OLD] = "old names",      [SESS_USE_NEW] = "new names",
    [SESS_USE_STAR] = "stars",         [SESS_USE_POSITIONAL] = "positional",
    [SESS_USE_DOUBT] = "not analysed",
};

struct entry {
    struct sess_use use; /* first: a use is its entry */
    struct entry *chain; /* in its bucket */
    struct entry *prev, *next;
    uint64_t hash;
    bool nameless;
    char texts[];
};

struct list { /* the latest used first */
    struct entry *first, *last;
};

struct sess_usage {
    uint64_t seed; /* clients choose their application's name: not which ones share a bucket */
    size_t max, count, mask;
    uint64_t gone;
    struct list named, nameless;
    struct entry **buckets;
};

struct sess_usage *sess_usage_new(size_t entries_max)
{
    struct sess_usage *usage = mem_calloc(1, sizeof(*usage));
    size_t buckets = 16;

    usage->max = entries_max ? entries_max : 1;
    while (buckets < usage->max)
        buckets *= 2;
    usage->mask = buckets - 1;
    usage->buckets = mem_calloc(buckets, sizeof(struct entry *));
    if (getentropy(&usage->seed, sizeof(usage->seed)) != 0)
        usage->seed = (uint64_t)(uintptr_t)usage;
    return usage;
}

static void free_all(struct list *list)
{
    for (struct entry *at = list->first, *next; at; at = next) {
        next = at->next;
        free(at);
    }
}

void sess_usage_free(struct sess_usage *usage)
{
    if (!usage)
        return;
    free_all(&usage->named);
    free_all(&usage->nameless);
    free(usage->buckets);
    free(usage);
}

/* ---- lists ---- */

static void link_first(struct list *list, struct entry *entry)
{
    entry->prev = NULL;
    entry->next = list->first;
    *(list->first ? &list->first->prev : &list->last) = entry;
    list->first = entry;
}

static void unlink_entry(struct list *list, struct entry *entry)
{
    *(entry->prev ? &entry->prev->next : &list->first) = entry->next;
    *(entry->next ? &entry->next->prev : &list->last) = entry->prev;
}

/* ---- finding ---- */

/* FNV-1a, which needs no length; the end of a text counts, too. */
static uint64_t add_text(uint64_t h, const char *text)
{
    for (const unsigned char *p = (const unsigned char *)text;; p++) {
        h = (h ^ *p) * UINT64_C(0x100000001b3);
        if (!*p)
            return h;
    }
}

static uint64_t hash_of(const struct sess_usage *usage, const struct sess_use_key *key)
{
    uint64_t h = (usage->seed ^ key->table * SESS_USES ^ key->kind) * UINT64_C(0x9e3779b97f4a7c15);

    h = add_text(add_text(add_text(h, key->user), key->application), key->address);
    return h ^ h >> 32;
}

static bool same(const struct sess_use_key *a, const struct sess_use_key *b)
{
    return a->table == b->table && a->kind == b->kind && strcmp(a->user, b->user) == 0 &&
           strcmp(a->application, b->application) == 0 && strcmp(a->address, b->address) == 0;
}

static bool is_nameless(const struct sess_use_key *key)
{
    return !*key->user && !*key->application && !*key->address;
}

static const char *put_text(char **at, const char *text)
{
    size_t size = strlen(text) + 1;
    char *to = memcpy(*at, text, size);

    *at += size;
    return to;
}

static struct entry *make(struct sess_usage *usage, const struct sess_use_key *key, uint64_t hash)
{
    size_t bytes = strlen(key->user) + strlen(key->application) + strlen(key->address) + 3;
    struct entry *entry = mem_calloc(1, sizeof(*entry) + bytes);
    char *texts = entry->texts;

    entry->use.key = *key;
    entry->use.key.user = put_text(&texts, key->user);
    entry->use.key.application = put_text(&texts, key->application);
    entry->use.key.address = put_text(&texts, key->address);
    entry->hash = hash;
    entry->nameless = is_nameless(key);
    entry->chain = usage->buckets[hash & usage->mask];
    usage->buckets[hash & usage->mask] = entry;
    link_first(entry->nameless ? &usage->nameless : &usage->named, entry);
    usage->count += !entry->nameless;
    return entry;
}

/* ---- adding ---- */

static bool is_fresh(const struct sess_use *use)
{
    return use->count == 0 && use->last_ms == 0;
}

static void add(struct sess_use *to, const struct sess_use *from)
{
    bool fresh = is_fresh(to);

    if (fresh || from->first_ms < to->first_ms)
        to->first_ms = from->first_ms;
    if (fresh || from->last_ms >= to->last_ms) {
        to->last_ms = from->last_ms;
        memcpy(to->why, from->why, sizeof(to->why));
        memcpy(to->statement, from->statement, sizeof(to->statement));
    }
    to->count += from->count;
}

static void take_out(struct sess_usage *usage, struct entry *entry)
{
    struct entry **at = &usage->buckets[entry->hash & usage->mask];

    while (*at != entry)
        at = &(*at)->chain;
    *at = entry->chain;
    unlink_entry(entry->nameless ? &usage->nameless : &usage->named, entry);
    usage->count -= !entry->nameless;
}

/* There are as many nameless entries as tables and kinds of use, at most: they do not go. */
static void drop_oldest(struct sess_usage *usage)
{
    struct entry *entry = usage->named.last;
    const struct sess_use_key nameless = {entry->use.key.table, entry->use.key.kind, "", "", ""};

    take_out(usage, entry);
    usage->gone++;
    add(sess_usage_of(usage, &nameless), &entry->use);
    free(entry);
}

struct sess_use *sess_usage_of(struct sess_usage *usage, const struct sess_use_key *key)
{
    uint64_t hash = hash_of(usage, key);
    struct entry *entry = usage->buckets[hash & usage->mask];

    while (entry && (entry->hash != hash || !same(&entry->use.key, key)))
        entry = entry->chain;
    if (!entry) {
        entry = make(usage, key, hash);
        if (usage->count > usage->max)
            drop_oldest(usage);
    } else if (!entry->nameless && entry->prev) {
        unlink_entry(&usage->named, entry);
        link_first(&usage->named, entry);
    }
    return &entry->use;
}

void sess_use_count(struct sess_use *use, unsigned times, int64_t now_ms, const char *text,
                    size_t len)
{
    size_t n = len < SESS_USE_STATEMENT_BYTES ? len : SESS_USE_STATEMENT_BYTES;

    if (is_fresh(use))
        use->first_ms = now_ms;
    use->count += times;
    use->last_ms = now_ms;
    memcpy(use->statement, text, n);
    use->statement[n] = '\0';
}

void sess_usage_merge(struct sess_usage *usage, const struct sess_use *from)
{
    add(sess_usage_of(usage, &from->key), from);
}

/* ---- reading ---- */

const struct sess_use *sess_usage_next(const struct sess_usage *usage, const struct sess_use *at)
{
    const struct entry *entry = (const struct entry *)at;
    const struct entry *next = entry ? entry->prev : usage->named.last;

    if (!next && (!entry || !entry->nameless))
        next = usage->nameless.last;
    return next ? &next->use : NULL;
}

void sess_usage_retain(struct sess_usage *usage,
                       bool (*keep)(void *ctx, const struct sess_use *use), void *ctx)
{
    const struct sess_use *at = sess_usage_next(usage, NULL), *next;

    for (; at; at = next) {
        struct entry *entry = (struct entry *)(uintptr_t)at;

        next = sess_usage_next(usage, at);
        if (keep(ctx, at))
            continue;
        take_out(usage, entry);
        free(entry);
    }
}

size_t sess_usage_entries(const struct sess_usage *usage)
{
    return usage->count;
}

uint64_t sess_usage_gone(const struct sess_usage *usage)
{
    return usage->gone;
}

size_t sess_usage_bytes_max(size_t entries_max)
{
    return entries_max * (sizeof(struct entry) + TEXTS_BYTES_MAX + 2 * sizeof(struct entry *));
}
