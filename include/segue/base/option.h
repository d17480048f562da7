/*
 * A table of typed options and a set of their values, filled from defaults, a JSON file, the
 * environment and flags; the later source wins.
 *
 *   struct opt_set *set = opt_set_new(rows, ARRAY_LEN(rows));
 *   opt_load_file(set, "segue.json", &err); opt_load_environment(set, "SEGUE_", &err); ...
 *   set->values[CFG_WORKERS].number
 *
 * Errors name the place (file and line, variable or flag), the option and what is allowed.
 * Not here: which options there are (cli/config.h), and what they mean together.
 */
#ifndef SEGUE_BASE_OPTION_H
#define SEGUE_BASE_OPTION_H

#include <stdbool.h>
#include <stddef.h>

#include "segue/base/err.h"

enum opt_type { OPT_TEXT, OPT_NUMBER, OPT_CHOICE, OPT_LIST, OPT_OBJECTS, OPT_TYPE_COUNT };

enum opt_source { OPT_DEFAULT, OPT_FILE, OPT_ENVIRONMENT, OPT_FLAG, OPT_SOURCE_COUNT };

struct opt_row {
    const char *name; /* as in the file; the unit is its last word */
    enum opt_type type;
    const char *fallback;       /* the default; for lists the empty text is the empty list */
    unsigned min, max;          /* OPT_NUMBER */
    const char *const *choices; /* OPT_CHOICE: NULL-terminated */
    /* OPT_TEXT, OPT_LIST: NULL, or says what is allowed when `text` is not. */
    const char *(*refuse)(const char *text);
    /* OPT_OBJECTS: says in err which object, which field, what is allowed. */
    enum rc (*check)(const char *json, struct err *err);
    bool reload; /* takes effect on SIGHUP */
    bool secret; /* holds a password: shown by opt_mask_url */
    const char *help;
};

struct opt_value {
    char *text; /* never NULL; lists with commas; objects as a JSON array, "" for an empty one */
    unsigned number;
    char **list; /* OPT_LIST: NULL-terminated */
    enum opt_source source;
};

struct opt_set {
    const struct opt_row *rows;
    size_t nrows;
    struct opt_value *values;
};

struct opt_set *opt_set_new(const struct opt_row *rows, size_t nrows); /* all defaults */
void opt_set_free(struct opt_set *set);

/* The row of this name ('-' counts as '_'), or -1. */
int opt_find(const struct opt_set *set, const char *name);

/* Sets one option from text. */
enum rc opt_set_text(struct opt_set *set, int row, const char *text, enum opt_source source,
                     struct err *err) MUST_CHECK;

/* A JSON object of options. opt_load_text: `where` names the text in errors. */
enum rc opt_load_file(struct opt_set *set, const char *path, struct err *err) MUST_CHECK;
enum rc opt_load_text(struct opt_set *set, const char *where, const char *text,
                      struct err *err) MUST_CHECK;

/* Variables PREFIX + the name in upper case; empty ones count as not set. */
enum rc opt_load_environment(struct opt_set *set, const char *prefix, struct err *err) MUST_CHECK;

/* "an integer from 0 to 256"; for errors and documents. */
void opt_allowed(const struct opt_row *row, char *out, size_t size);

/* Which of a choice's words `text` is, counted from 0; it must be one of them. */
int opt_choice(const struct opt_row *row, const char *text);

const char *opt_source_name(enum opt_source source);

/* The text as it may be shown: passwords of a connection URL or string are "***". free() it. */
char *opt_mask_url(const char *url);
/* The value as it may be shown (masked when secret). free() it. */
char *opt_shown(const struct opt_set *set, int row);

/* The candidate most like `word` (for "did you mean"), or NULL when none is near. */
const char *opt_nearest(const char *word, const char *const *candidates, size_t count);

#endif
