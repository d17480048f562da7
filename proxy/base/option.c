/* Option values: parsing one, the set of them, how they are shown. The file is option_file.c. */
#include "segue/base/option.h"

#include <assert.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "segue/base/buf.h"
#include "segue/base/mem.h"

static const char *const source_names[OPT_SOURCE_COUNT] = {
    [OPT_DEFAULT] = "default",
    [OPT_FILE] = "file",
    [OPT_ENVIRONMENT] = "environment",
    [OPT_FLAG] = "flag",
};

const char *opt_source_name(enum opt_source source)
{
    return source_names[source];
}

static void value_clear(struct opt_value *value)
{
    for (size_t i = 0; value->list && value->list[i]; i++)
        free(value->list[i]);
    free(value->list);
    free(value->text);
    memset(value, 0, sizeof(*value));
}

struct opt_set *opt_set_new(const struct opt_row *rows, size_t nrows)
{
    struct opt_set *set = mem_calloc(1, sizeof(*set));

    set->rows = rows;
    set->nrows = nrows;
    set->values = mem_calloc(nrows, sizeof(*set->values));
    for (size_t i = 0; i < nrows; i++) {
        enum rc rc = opt_set_text(set, (int)i, rows[i].fallback, OPT_DEFAULT, NULL);

        assert(rc == RC_OK);
        (void)rc;
    }
    return set;
}

void opt_set_free(struct opt_set *set)
{
    if (!set)
        return;
    for (size_t i = 0; i < set->nrows; i++)
        value_clear(&set->values[i]);
    free(set->values);
    free(set);
}

int opt_find(const struct opt_set *set, const char *name)
{
    for (size_t i = 0; i < set->nrows; i++) {
        const char *a = set->rows[i].name, *b = name;

        while (*a && (*a == *b || (*a == '_' && *b == '-')))
            a++, b++;
        if (!*a && !*b)
            return (int)i;
    }
    return -1;
}

void opt_allowed(const struct opt_row *row, char *out, size_t size)
{
    struct buf buf = {0};

    switch (row->type) {
    case OPT_NUMBER:
        snprintf(out, size, "an integer from %u to %u", row->min, row->max);
        break;
    case OPT_CHOICE:
        for (size_t i = 0; row->choices[i]; i++)
            buf_printf(&buf, "%s\"%s\"", i ? ", " : "", row->choices[i]);
        snprintf(out, size, "one of %s", buf.data);
        break;
    case OPT_LIST:
        snprintf(out, size, "a list of names");
        break;
    case OPT_OBJECTS:
        snprintf(out, size, "a list of objects");
        break;
    case OPT_TEXT:
    case OPT_TYPE_COUNT:
        snprintf(out, size, "a text");
        break;
    }
    buf_fini(&buf);
}

static enum rc parse_number(const struct opt_row *row, const char *text, unsigned *number)
{
    char *end;
    unsigned long n;

    if (!isdigit((unsigned char)text[0]) || strlen(text) > 10)
        return RC_ERR;
    n = strtoul(text, &end, 10);
    if (*end || n < row->min || n > row->max)
        return RC_ERR;
    *number = (unsigned)n;
    return RC_OK;
}

static bool is_choice(const struct opt_row *row, const char *text)
{
    for (size_t i = 0; row->choices[i]; i++) {
        if (strcmp(row->choices[i], text) == 0)
            return true;
    }
    return false;
}

/* Splits at commas, without spaces around and empty items. */
static char **split(const char *text)
{
    char **list = NULL;
    size_t cap = 0, n = 0;

    for (const char *p = text; *p;) {
        const char *end = p + strcspn(p, ","), *last = end;

        while (p < last && isspace((unsigned char)*p))
            p++;
        while (last > p && isspace((unsigned char)last[-1]))
            last--;
        mem_grow((void **)&list, &cap, n + 2, sizeof(*list));
        if (last > p)
            list[n++] = mem_strndup(p, (size_t)(last - p));
        p = *end ? end + 1 : end;
    }
    mem_grow((void **)&list, &cap, n + 1, sizeof(*list));
    return list;
}

enum rc opt_set_text(struct opt_set *set, int row, const char *text, enum opt_source source,
                     struct err *err)
{
    const struct opt_row *r = &set->rows[row];
    struct opt_value value = {.source = source};
    char allowed[256];
    const char *refused = NULL;
    bool ok = true;

    if (r->type == OPT_OBJECTS && r->check(text, err) != RC_OK) {
        err_prefix(err, "option \"%s\"", r->name);
        return RC_ERR;
    }
    opt_allowed(r, allowed, sizeof(allowed));
    if (r->type == OPT_NUMBER)
        ok = parse_number(r, text, &value.number) == RC_OK;
    else if (r->type == OPT_CHOICE)
        ok = is_choice(r, text);
    else if (r->refuse && (refused = r->refuse(text)) != NULL)
        ok = false;
    if (!ok) {
        if (r->secret)
            err_set(err, "22023", "option \"%s\" must be %s", r->name, refused ? refused : allowed);
        else
            err_set(err, "22023", "option \"%s\" must be %s, not \"%.80s\"", r->name,
                    refused ? refused : allowed, text);
        return RC_ERR;
    }
    if (r->type == OPT_LIST)
        value.list = split(text);
    value.text = mem_strdup(text);
    value_clear(&set->values[row]);
    set->values[row] = value;
    return RC_OK;
}

enum rc opt_load_environment(struct opt_set *set, const char *prefix, struct err *err)
{
    for (size_t i = 0; i < set->nrows; i++) {
        char *name = mem_printf("%s%s", prefix, set->rows[i].name);
        const char *text;
        enum rc rc = RC_OK;

        for (char *p = name; *p; p++)
            *p = (char)toupper((unsigned char)*p);
        text = getenv(name);
        if (text && *text)
            rc = opt_set_text(set, (int)i, text, OPT_ENVIRONMENT, err);
        if (rc != RC_OK)
            err_prefix(err, "environment variable %s", name);
        free(name);
        if (rc != RC_OK)
            return RC_ERR;
    }
    return RC_OK;
}

/* The password in "scheme://user:password@host": from after the ':' up to the last '@' before
 * the path. */
static bool userinfo_password(const char *url, const char **from, const char **to)
{
    const char *start = strstr(url, "://"), *stop, *at = NULL, *colon;

    if (!start)
        return false;
    start += 3;
    stop = start + strcspn(start, "/?");
    for (const char *p = start; p < stop; p++) {
        if (*p == '@')
            at = p;
    }
    /* an unescaped '/' or '?' inside a password: hide up to the last '@' of all */
    if (!at && (at = strrchr(start, '@')) == NULL)
        return false;
    colon = memchr(start, ':', (size_t)(at - start));
    if (!colon)
        return false;
    *from = colon + 1;
    *to = at;
    return true;
}

/* Where the value that starts at `p` ends: a quoted one of a connection string, else up to a
 * separator, which is & in a URL alone. */
static const char *value_end(const char *p, bool url)
{
    if (*p != '\'') {
        for (; *p && !isspace((unsigned char)*p) && !(url && *p == '&'); p++)
            if (!url && *p == '\\' && p[1])
                p++;
        return p;
    }
    for (p++; *p && *p != '\''; p++) {
        if (*p == '\\' && p[1])
            p++;
    }
    return *p ? p + 1 : p;
}

char *opt_mask_url(const char *url)
{
    struct buf out = {0};
    const char *from, *to, *p = url;
    bool is_url = strncmp(url, "postgres", 8) == 0 && strstr(url, "://");

    if (userinfo_password(url, &from, &to)) {
        buf_append(&out, url, (size_t)(from - url));
        buf_append_str(&out, "***");
        p = to;
    }
    while (*p) { /* password=..., sslpassword=..., also "password = ..." */
        size_t key = strncasecmp(p, "password", 8) == 0 ? 8 : 0;

        while (key && isspace((unsigned char)p[key]))
            key++;
        if (key && p[key] == '=') {
            for (key++; isspace((unsigned char)p[key]); key++)
                ;
            buf_append(&out, p, key);
            buf_append_str(&out, "***");
            p = value_end(p + key, is_url);
        } else {
            buf_append(&out, p++, 1);
        }
    }
    return buf_take(&out);
}

char *opt_shown(const struct opt_set *set, int row)
{
    const char *text = set->values[row].text;

    return set->rows[row].secret ? opt_mask_url(text) : mem_strdup(text);
}

/* Edit distance without case; words longer than 31 count as far. */
static size_t distance(const char *a, const char *b)
{
    size_t row[32], la = strlen(a), lb = strlen(b);

    if (la > 31 || lb > 31)
        return 99;
    for (size_t j = 0; j <= lb; j++)
        row[j] = j;
    for (size_t i = 1; i <= la; i++) {
        size_t diagonal = row[0];

        row[0] = i;
        for (size_t j = 1; j <= lb; j++) {
            bool same = tolower((unsigned char)a[i - 1]) == tolower((unsigned char)b[j - 1]);
            size_t best = diagonal + (same ? 0 : 1);

            if (row[j] + 1 < best)
                best = row[j] + 1;
            if (row[j - 1] + 1 < best)
                best = row[j - 1] + 1;
            diagonal = row[j];
            row[j] = best;
        }
    }
    return row[lb];
}

const char *opt_nearest(const char *word, const char *const *candidates, size_t count)
{
    const char *best = NULL;
    size_t least = strlen(word) > 5 ? 4 : 3;

    for (size_t i = 0; i < count; i++) {
        size_t d = distance(word, candidates[i]);

        if (d < least && d < strlen(candidates[i])) {
            least = d;
            best = candidates[i];
        }
    }
    return best;
}

int opt_choice(const struct opt_row *row, const char *text)
{
    int i = 0;

    while (row->choices[i] && strcmp(row->choices[i], text) != 0)
        i++;
    assert(row->choices[i]);
    return i;
}
