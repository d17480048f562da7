#include "conninfo.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "segue/base/mem.h"

#define BAD_ESCAPE "every % begins an escape of two hexadecimal digits, not 00"
#define TOO_MANY "there are fewer words"

static enum rc bad(struct err *err, const char *what)
{
    err_set(err, "22023", CONNINFO_MUST_BE " in which %s", what);
    return RC_ERR;
}

static struct conninfo_pair *find(const struct conninfo *info, const char *word)
{
    for (size_t i = 0; i < info->count; i++) {
        if (strcmp(info->pairs[i].word, word) == 0)
            return (struct conninfo_pair *)&info->pairs[i];
    }
    return NULL;
}

const char *conninfo_get(const struct conninfo *info, const char *word)
{
    const struct conninfo_pair *pair = find(info, word);

    return pair ? pair->value : NULL;
}

/* Takes both; false when there is no room. */
static bool take(struct conninfo *info, char *word, char *value)
{
    struct conninfo_pair *pair = find(info, word);

    if (pair) {
        free(pair->value);
        pair->value = value;
        free(word);
        return true;
    }
    if (info->count == CONNINFO_WORDS_MAX) {
        free(word);
        free(value);
        return false;
    }
    info->pairs[info->count++] = (struct conninfo_pair){word, value};
    return true;
}

void conninfo_set(struct conninfo *info, const char *word, const char *value)
{
    take(info, mem_strdup(word), mem_strdup(value));
}

void conninfo_fini(struct conninfo *info)
{
    for (size_t i = 0; i < info->count; i++) {
        free(info->pairs[i].word);
        free(info->pairs[i].value);
    }
    info->count = 0;
}

void conninfo_put(struct buf *out, const char *word, const char *value)
{
    buf_printf(out, "%s%s='", out->len ? " " : "", word);
    for (; *value; value++) {
        if (*value == '\'' || *value == '\\')
            buf_append_str(out, "\\");
        buf_append(out, value, 1);
    }
    buf_append_str(out, "'");
}

/* ---- URL ---- */

static int hex(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)tolower((unsigned char)c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* NULL: a percent sign without two digits, or %00. */
static char *decode(const char *from, size_t len)
{
    char *out = mem_alloc(len + 1), *to = out;

    for (size_t i = 0; i < len; i++) {
        if (from[i] == '%') {
            int high = i + 1 < len ? hex(from[i + 1]) : -1;
            int low = i + 2 < len ? hex(from[i + 2]) : -1;

            if (high < 0 || low < 0 || !(high | low)) {
                free(out);
                return NULL;
            }
            *to++ = (char)(high << 4 | low);
            i += 2;
        } else {
            *to++ = from[i];
        }
    }
    *to = '\0';
    return out;
}

static enum rc take_decoded(struct conninfo *out, const char *word, const char *from, size_t len,
                            struct err *err)
{
    char *value = decode(from, len);

    if (!value)
        return bad(err, BAD_ESCAPE);
    if (!take(out, mem_strdup(word), value))
        return bad(err, TOO_MANY);
    return RC_OK;
}

static bool append_decoded(struct buf *list, const char *from, const char *to, struct err *err)
{
    char *text = decode(from, (size_t)(to - from));

    if (!text) {
        bad(err, BAD_ESCAPE);
        return false;
    }
    buf_append_str(list, text);
    free(text);
    return true;
}

/* "host", "host:port", "[v6]:port", ":port" and "" at p, up to a comma or `end`; appends to the
 * lists. Returns where it stopped, NULL with err. */
static const char *one_host(const char *p, const char *end, struct buf *hosts, struct buf *ports,
                            struct err *err)
{
    const char *stop = p, *host_end;

    if (p < end && *p == '[') {
        p++;
        host_end = memchr(p, ']', (size_t)(end - p));
        if (!host_end || host_end == p) {
            bad(err, "an IPv6 address stands in [ and ]");
            return NULL;
        }
        stop = host_end + 1;
        if (stop < end && *stop != ':' && *stop != ',') {
            bad(err, "[IPv6] is followed by :PORT, a comma or a slash");
            return NULL;
        }
    } else {
        while (stop < end && *stop != ':' && *stop != ',')
            stop++;
        host_end = stop;
    }
    if (!append_decoded(hosts, p, host_end, err))
        return NULL;
    if (stop < end && *stop == ':') {
        const char *port = stop + 1;

        stop = memchr(port, ',', (size_t)(end - port));
        stop = stop ? stop : end;
        if (!append_decoded(ports, port, stop, err))
            return NULL;
    }
    return stop;
}

static enum rc url_hosts(const char *p, const char *end, struct conninfo *out, struct err *err)
{
    struct buf hosts = {0}, ports = {0};
    enum rc rc = RC_ERR;

    for (;; p++) {
        p = one_host(p, end, &hosts, &ports, err);
        if (!p)
            goto out;
        if (p == end)
            break;
        buf_append_str(&hosts, ",");
        buf_append_str(&ports, ",");
    }
    if (hosts.len)
        conninfo_set(out, "host", hosts.data);
    if (ports.len)
        conninfo_set(out, "port", ports.data);
    rc = RC_OK;
out:
    buf_fini(&hosts);
    buf_fini(&ports);
    return rc;
}

static enum rc url_words(const char *p, struct conninfo *out, struct err *err)
{
    while (*p) {
        size_t len = strcspn(p, "&"), word_len = strcspn(p, "=&");
        char *word;
        enum rc rc;

        if (word_len >= len || !word_len)
            return bad(err, "what follows the question mark is WORD=VALUE, separated by &");
        if (memchr(p + word_len + 1, '=', len - word_len - 1))
            return bad(err, "each WORD=VALUE has one = (write %3D for others)");
        word = decode(p, word_len);
        if (!word)
            return bad(err, BAD_ESCAPE);
        /* JDBC's spelling, which libpq takes too */
        if (strcmp(word, "ssl") == 0 && len == word_len + 5 &&
            strncmp(p + word_len + 1, "true", 4) == 0)
            conninfo_set(out, "sslmode", "require"), rc = RC_OK;
        else
            rc = take_decoded(out, word, p + word_len + 1, len - word_len - 1, err);
        free(word);
        if (rc != RC_OK)
            return rc;
        p += len;
        if (*p)
            p++;
    }
    return RC_OK;
}

static enum rc parse_url(const char *p, struct conninfo *out, struct err *err)
{
    const char *end = p + strcspn(p, "/?"), *at = memchr(p, '@', (size_t)(end - p));

    if (at) {
        const char *colon = memchr(p, ':', (size_t)(at - p));
        const char *user_end = colon ? colon : at;

        if (user_end > p && take_decoded(out, "user", p, (size_t)(user_end - p), err) != RC_OK)
            return RC_ERR;
        if (colon && colon + 1 < at &&
            take_decoded(out, "password", colon + 1, (size_t)(at - colon - 1), err) != RC_OK)
            return RC_ERR;
        p = at + 1;
    }
    out->doubtful = !at && strchr(end, '@');
    if (url_hosts(p, end, out, err) != RC_OK)
        return RC_ERR;
    if (*end == '/') {
        const char *name = end + 1;

        end = name + strcspn(name, "?");
        if (end > name && take_decoded(out, "dbname", name, (size_t)(end - name), err) != RC_OK)
            return RC_ERR;
    }
    return *end == '?' ? url_words(end + 1, out, err) : RC_OK;
}

/* ---- word = value ---- */

static const char *skip_space(const char *p)
{
    while (isspace((unsigned char)*p))
        p++;
    return p;
}

/* The value at p; NULL: a quote that does not end. */
static const char *string_value(const char *p, struct buf *out)
{
    bool quoted = *p == '\'';

    for (p += quoted;; p++) {
        if (!*p || (!quoted && isspace((unsigned char)*p)))
            return quoted ? NULL : p;
        if (quoted && *p == '\'')
            return p + 1;
        if (*p == '\\' && !*++p)
            return quoted ? NULL : p;
        buf_append(out, p, 1);
    }
}

static enum rc parse_string(const char *p, struct conninfo *out, struct err *err)
{
    for (p = skip_space(p); *p; p = skip_space(p)) {
        const char *word = p;
        struct buf value = {0};
        size_t len;

        while (*p && *p != '=' && !isspace((unsigned char)*p))
            p++;
        len = (size_t)(p - word);
        p = skip_space(p);
        if (*p != '=' || !len)
            return bad(err, "every part is WORD=VALUE, unless it begins with postgresql://");
        p = string_value(skip_space(p + 1), &value);
        if (!p) {
            buf_fini(&value);
            return bad(err, "every quote ends");
        }
        if (!take(out, mem_strndup(word, len), buf_take(&value)))
            return bad(err, TOO_MANY);
    }
    out->doubtful = conninfo_get(out, "password") != NULL;
    return RC_OK;
}

enum rc conninfo_parse(const char *text, struct conninfo *out, struct err *err)
{
    static const char *const schemes[] = {"postgresql://", "postgres://"};

    for (size_t i = 0; i < ARRAY_LEN(schemes); i++) {
        if (strncmp(text, schemes[i], strlen(schemes[i])) == 0)
            return parse_url(text + strlen(schemes[i]), out, err);
    }
    return parse_string(text, out, err);
}
