/*
 * Who uses which side of a migrating table: counts by user, application_name, address, table and
 * kind of use, with the first and the last time and the beginning of the last statement.
 *
 * A bounded set: past its limit the entry that was not used for longest goes. What it counted is
 * added to an entry without a name ("" for user, application and address) of the same table and
 * kind, so that nothing seen is forgotten, only who it was. Not locked: whoever shares it does.
 *
 * Each worker fills one (session/plane.h: sess_plane_usage_take), the engine keeps what it took.
 */
#ifndef SEGUE_SESSION_USAGE_H
#define SEGUE_SESSION_USAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SESS_USE_STATEMENT_BYTES 256

enum sess_use_kind {
    SESS_USE_OLD,        /* names an old column */
    SESS_USE_NEW,        /* names a new column */
    SESS_USE_STAR,       /* `*`, COPY without a list, a whole row */
    SESS_USE_POSITIONAL, /* INSERT without a column list */
    SESS_USE_DOUBT,      /* could not be analysed */
    SESS_USES
};

/* "old names", ...: as stored and shown. */
extern const char *const sess_use_names[SESS_USES];

struct sess_use_key {
    uint64_t table; /* the tag of the table's rule (sql/rules.h) */
    enum sess_use_kind kind;
    const char *user, *application, *address; /* address: without the port */
};

struct sess_use {
    struct sess_use_key key; /* the entry's own texts */
    uint64_t count;
    int64_t first_ms, last_ms; /* clock_ms() */
    char why[96];              /* of the last one, where there is something to say; else "" */
    char statement[SESS_USE_STATEMENT_BYTES + 1]; /* beginning of the last; never parameters */
};

struct sess_usage;

struct sess_usage *sess_usage_new(size_t entries_max); /* at least 1 */
void sess_usage_free(struct sess_usage *usage);

/* The entry of this key, made where there is none (count 0); valid until the next call. */
struct sess_use *sess_usage_of(struct sess_usage *usage, const struct sess_use_key *key);

/* Seen now, and used so many times (0: only announced). `text` need not be NUL-terminated. */
void sess_use_count(struct sess_use *use, unsigned times, int64_t now_ms, const char *text,
                    size_t len);

/* Adds what `from` says to the entry of its key: first is the least, last the greatest. */
void sess_usage_merge(struct sess_usage *usage, const struct sess_use *from);

/* The first entry for NULL, then the next, or NULL: the one not used for longest first, so that
 * merging them all elsewhere keeps their order; nameless ones last. */
const struct sess_use *sess_usage_next(const struct sess_usage *usage, const struct sess_use *at);

/* Forgets the entries that `keep` does not want. */
void sess_usage_retain(struct sess_usage *usage,
                       bool (*keep)(void *ctx, const struct sess_use *use), void *ctx);

size_t sess_usage_entries(const struct sess_usage *usage); /* nameless ones not counted */
uint64_t sess_usage_gone(const struct sess_usage *usage);  /* past the limit, so far */
size_t sess_usage_bytes_max(size_t entries_max);           /* memory of a full set */

#endif
