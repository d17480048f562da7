/*
 * Rewrites by text: what sql_rewrite said of the statements used last. One per worker, bounded in
 * entries and bytes. A hit allocates nothing. A text that differs from one seen before in literals
 * only is made from that one's rewrite, without a parser, and not remembered by itself: such shapes
 * are entries, too, and the first text of one counts the uses of all.
 *
 * Not here: threads. Who reads it from another thread than the one that fills it locks around both.
 */
#ifndef SEGUE_SQL_CACHE_H
#define SEGUE_SQL_CACHE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "segue/sql/rewrite.h"

struct sql_cache;

/* bytes_max counts texts, what they become and the splices between them. */
struct sql_cache *sql_cache_new(size_t entries_max, size_t bytes_max);
void sql_cache_free(struct sql_cache *cache);

/* As sql_rewrite, remembered for this text and a session of this sight. A snapshot with another
 * epoch empties the cache. The result is the cache's, valid until the next call. */
const struct sql_rewrite *sql_cache_rewrite(struct sql_cache *cache, const struct sql_rules *rules,
                                            const struct sql_sight_of_session *session,
                                            const char *text, size_t len);

/* Gives away the text and the splices of what sql_cache_rewrite has just returned, if they are not
 * remembered; what else is said there stays. False: they are. */
bool sql_cache_take(struct sql_cache *cache, const struct sql_rewrite *rewrite,
                    struct sql_rewrite *out);

struct sql_cache_stats {
    uint64_t hits, misses, evictions; /* of texts; shapes are evicted, too */
    uint64_t shaped;                  /* misses that needed no parser */
    size_t entries, bytes;
};
void sql_cache_stats(const struct sql_cache *cache, struct sql_cache_stats *out);

struct sql_cached {
    const char *text; /* not NUL-terminated */
    size_t len;
    uint64_t uses;
    const struct sql_sight_of_session *session;
    const struct sql_rewrite *rewrite;
};

/* All that is remembered, last used first, until `each` returns false. */
void sql_cache_each(const struct sql_cache *cache,
                    bool (*each)(void *ctx, const struct sql_cached *cached), void *ctx);

#endif
