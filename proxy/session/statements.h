/*
 * A session's named prepared statements: what was prepared under a name, what the server has of it,
 * and what the rules say of it. Bounded in bytes; pure.
 */
#ifndef SEGUE_SESSION_STATEMENTS_H
#define SEGUE_SESSION_STATEMENTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sent.h"

/* What is known of its uses: does the client describe each portal, or trust what it knows? */
enum sess_habit {
    SESS_HABIT_UNKNOWN,
    SESS_HABIT_DESCRIBED, /* the first one: it may trust that from then on, as JDBC does */
    SESS_HABIT_DESCRIBES,
    SESS_HABIT_TRUSTS
};

/* What the names in a text are to segue. */
enum sess_meaning {
    SESS_MEANS_TABLES,  /* migrating tables, or nothing that matters */
    SESS_MEANS_PERHAPS, /* in doubt: the text is the client's, with both sides' columns */
    SESS_MEANS_OTHERS,  /* other relations, by the search path */
};

struct sess_statement {
    struct sess_statement *chain;
    uint64_t hash;
    unsigned refs; /* the set's, and of what is in flight */
    bool linked;   /* it is in a set */
    bool sql;      /* by PREPARE, which is its text; else by Parse */
    bool names;    /* its text may name statements itself: EXECUTE and the like */
    bool lost;     /* the server may have nothing under this name, or an older text */
    bool stale; /* the same, or it has another text than the rules want: it is prepared again before
                   its next use */
    uint16_t ntypes;
    bool changed; /* stale, and its result cannot stay what it was: the client must prepare it again
                   */
    uint8_t habit;      /* enum sess_habit */
    uint8_t meaning;    /* enum sess_meaning: when the server got what it has */
    uint64_t path_hash; /* sess_path_hash, likewise */
    uint64_t signature; /* sql_rewrite's, of what its client was told; 0: not known */
    bool told; /* its result was described apart from a portal, or that was not looked at */
    /* The side on which the client has prepared it, for as long as there are two: what it was told
     * of the result stays true. */
    enum sql_side side;
    struct sql_tags tags; /* of the tables whose migrations `side` speaks of; 0: of any to come */
    /* Side FOLLOW, its tables are on different ones: number of what was cut over. */
    uint64_t turned;
    bool gone;           /* that side has ended, before these migrations began */
    bool types_gone;     /* a type that it was told has changed, likewise */
    bool retyped;        /* one of its tables changes a type, and its stars when that is complete */
    uint64_t sent_epoch; /* the worker's clock when the server got what it has */
    /* of what was `seen`; epoch SESS_NOT_LOOKED: nothing yet; path: its class */
    uint64_t epoch, path;
    struct sql_taken shadowed;
    uint64_t unseen;
    bool fickle;
    bool unlisted;
    struct sql_rewrite seen; /* without its text and splices */
    struct sess_sent *sent;  /* what the server has in place of the text; NULL: the text. Owned. */
    const char *types;       /* parameter types as in its Parse: four bytes each */
    size_t text_len;
    const char *text; /* NULL: not known (too long, or two texts under one name) */
    char name[];
};

#define SESS_NOT_LOOKED UINT64_MAX

struct sess_parse { /* what a Parse says; borrowed */
    const char *name;
    const char *text; /* NULL: not known */
    size_t text_len;
    const char *types; /* ntypes times four bytes */
    uint16_t ntypes;
    bool alone; /* unnamed, and the Bind of it comes later: under other rules perhaps */
};

/* One reference, the caller's; in no set. */
struct sess_statement *sess_statement_new(const struct sess_parse *parse);
struct sess_statement *sess_statement_ref(struct sess_statement *statement); /* NULL stays NULL */
void sess_statement_unref(struct sess_statement *statement);
size_t sess_statement_bytes(const struct sess_statement *statement);

struct sess_statements;

struct sess_statements *sess_statements_new(size_t bytes_max);
void sess_statements_free(struct sess_statements *set);

/* A Parse passes whose end nobody will see, at `epoch` (as sent_epoch). Past the limit nothing is
 * remembered, and then the name is simply unknown. A name that is there with another text becomes
 * "not known": which of the two the server has depends on errors not seen. */
void sess_statements_put(struct sess_statements *set, const struct sess_parse *parse,
                         uint64_t epoch);

/* From here on its name means `statement` (another reference is taken), whatever it meant before.
 * False: there is no room, and the name means nothing. */
bool sess_statements_set(struct sess_statements *set, struct sess_statement *statement);

/* The server has `sent` of a statement, in a set or not (taken; NULL: its own text). `set` may be
 * NULL if it is in none. */
void sess_statements_sent_take(struct sess_statements *set, struct sess_statement *statement,
                               struct sess_sent *sent);

/* Is there room for so many bytes more? */
bool sess_statements_room(const struct sess_statements *set, size_t bytes);

struct sess_statement *sess_statements_find(struct sess_statements *set, const char *name);
void sess_statements_remove(struct sess_statements *set, const char *name);
void sess_statements_remove_sql(struct sess_statements *set);        /* NULL is fine */
size_t sess_statements_bytes_least(void);                            /* of a set that is empty */
size_t sess_statements_bytes(const struct sess_statements *set);     /* 0 for NULL */
size_t sess_statements_count(const struct sess_statements *set);     /* 0 for NULL */
size_t sess_statements_rewritten(const struct sess_statements *set); /* that have `sent` */

#endif
