/*
 * A connection URL or string as a list of words and values, by libpq's grammar but without its list
 * of words: what another version of libpq knows must not be an error here. Private to this layer.
 *
 *   postgresql://[user[:password]@][host[:port][,host[:port]...]][/database][?word=value&...]
 *   word = value word='va\'lue' ...
 *
 * Source: PostgreSQL documentation, "Connection Strings". Not here: what a word means (upstream.c).
 */
#ifndef SEGUE_CLI_CONNINFO_H
#define SEGUE_CLI_CONNINFO_H

#include <stdbool.h>
#include <stddef.h>

#include "segue/base/buf.h"
#include "segue/base/err.h"

#define CONNINFO_WORDS_MAX 64

struct conninfo_pair {
    char *word, *value; /* value: "" when it is empty, never NULL */
};

struct conninfo {
    struct conninfo_pair pairs[CONNINFO_WORDS_MAX]; /* each word once, the last value won */
    size_t count;
    bool doubtful; /* a word may be a piece of a password that was not escaped: show none */
};

#define CONNINFO_MUST_BE "a connection URL or string"

/* Zero-initialised is empty. RC_ERR: err (22023) says what is allowed, in words that follow
 * "option ... must be" and never quote the text: it may hold a password. */
enum rc conninfo_parse(const char *text, struct conninfo *out, struct err *err) MUST_CHECK;
void conninfo_fini(struct conninfo *info); /* wipes nothing: the text lives elsewhere, too */

const char *conninfo_get(const struct conninfo *info, const char *word); /* NULL: not given */
void conninfo_set(struct conninfo *info, const char *word, const char *value);

/* Appends word='value' with what must be escaped, and a space in front unless it is the first. */
void conninfo_put(struct buf *out, const char *word, const char *value);

#endif
