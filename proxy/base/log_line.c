#include "log_line.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "segue/base/utf8.h"

/* Bytes of a field in a line, after escaping. */
enum { NAME_MAX_BYTES = 256, TEXT_MAX_BYTES = 1536, HINT_MAX_BYTES = 512, KEYS_BYTES = 256 };
static_assert(6 * NAME_MAX_BYTES + TEXT_MAX_BYTES + HINT_MAX_BYTES + KEYS_BYTES < LOG_LINE_MAX,
              "a line that is full must still be closed");

struct line {
    char *start;
    size_t len;
};

static void put(struct line *l, const char *bytes, size_t n)
{
    if (n > LOG_LINE_MAX - 1 - l->len)
        n = LOG_LINE_MAX - 1 - l->len;
    memcpy(l->start + l->len, bytes, n);
    l->len += n;
}

static void put_text(struct line *l, const char *text)
{
    put(l, text, strlen(text));
}

/* U+2028 to U+202E: line separators, embeddings and overrides; U+200E, U+200F, U+2066 to U+2069:
 * marks and isolates. `p`: behind the first of three bytes. */
static bool turns_writing(const unsigned char *p)
{
    return (p[0] == 0x80 && p[1] >= 0xa8 && p[1] <= 0xae) ||
           (p[0] == 0x80 && (p[1] == 0x8e || p[1] == 0x8f)) ||
           (p[0] == 0x81 && p[1] >= 0xa6 && p[1] <= 0xa9);
}

/* Bytes of the character at p that a terminal or a reader of lines would obey, as a code point:
 * C0, DEL, C1, line separators and the marks that turn the direction of writing. 0: harmless. */
static unsigned obeyed(const unsigned char *p, size_t *bytes)
{
    *bytes = 1;
    if (p[0] < 0x20 || p[0] == 0x7f)
        return p[0];
    if (p[0] == 0xc2 && p[1] >= 0x80 && p[1] <= 0x9f) {
        *bytes = 2;
        return p[1];
    }
    if (p[0] == 0xd8 && p[1] == 0x9c) {
        *bytes = 2;
        return 0x061c;
    }
    if (p[0] == 0xe2 && turns_writing(p + 1)) {
        *bytes = 3;
        return 0x2000u | (p[1] & 0x3fu) << 6 | (p[2] & 0x3fu);
    }
    return 0;
}

static size_t character_bytes(unsigned char lead)
{
    return lead < 0xc0 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
}

/* At most `max` bytes of output; never a part of a character or of an escape. */
static void put_escaped(struct line *l, const char *text, size_t max, bool quoted)
{
    char copy[TEXT_MAX_BYTES + 1], escape[8];
    const unsigned char *p = (unsigned char *)copy;
    size_t used = 0;

    snprintf(copy, sizeof(copy), "%s", text);
    utf8_mend(copy);
    while (*p) {
        size_t bytes, n;
        unsigned code = obeyed(p, &bytes);
        const char *out = escape;

        if (code) {
            n = (size_t)snprintf(escape, sizeof(escape), "\\u%04x", code);
        } else if (quoted && (*p == '"' || *p == '\\')) {
            escape[0] = '\\';
            escape[1] = (char)*p;
            n = 2;
        } else {
            n = bytes = character_bytes(*p);
            out = (const char *)p;
        }
        if (used + n > max)
            return;
        put(l, out, n);
        used += n;
        p += bytes;
    }
}

static bool there(const char *text)
{
    return text && text[0];
}

/* ---- for people ---- */

static void put_name(struct line *l, const char *key, const char *value)
{
    if (!there(value))
        return;
    put_text(l, key);
    put_escaped(l, value, NAME_MAX_BYTES, true);
    put_text(l, "\"");
}

static void put_session(struct line *l, const struct log_about *about)
{
    char number[48];

    if (!about->session)
        return;
    snprintf(number, sizeof(number), "session %" PRIu64, about->session);
    put_text(l, number);
    if (there(about->peer)) {
        put_text(l, " from ");
        put_escaped(l, about->peer, NAME_MAX_BYTES, false);
    }
    put_name(l, ", user \"", about->user);
    put_name(l, ", database \"", about->database);
    put_text(l, ": ");
}

size_t log_line_text(char *out, const struct log_event *e)
{
    struct line l = {.start = out};
    const char *const prefixes[] = {e->thread, e->migration};

    put_text(&l, e->when);
    put_text(&l, " ");
    put_text(&l, log_level_name(e->level));
    put_text(&l, " ");
    for (size_t i = 0; i < ARRAY_LEN(prefixes); i++) {
        if (!there(prefixes[i]))
            continue;
        put_escaped(&l, prefixes[i], NAME_MAX_BYTES, false);
        put_text(&l, ": ");
    }
    put_session(&l, &e->about);
    put_escaped(&l, e->text, TEXT_MAX_BYTES, false);
    if (there(e->sqlstate)) {
        put_text(&l, " (");
        put_escaped(&l, e->sqlstate, NAME_MAX_BYTES, false);
        put_text(&l, ")");
    }
    if (there(e->hint)) {
        put_text(&l, " HINT: ");
        put_escaped(&l, e->hint, HINT_MAX_BYTES, false);
    }
    out[l.len++] = '\n';
    return l.len;
}

/* ---- for programs ---- */

static void put_member(struct line *l, const char *key, const char *value, size_t max)
{
    if (!there(value))
        return;
    put_text(l, ",\"");
    put_text(l, key);
    put_text(l, "\":\"");
    put_escaped(l, value, max, true);
    put_text(l, "\"");
}

static void put_number(struct line *l, const char *key, uint64_t value)
{
    char text[64];

    snprintf(text, sizeof(text), ",\"%s\":%" PRIu64, key, value);
    put_text(l, text);
}

/* "worker 3" is {"worker": 3}; a name without a number is {"thread": name}. */
static void put_thread(struct line *l, const char *name)
{
    const char *space = strchr(name, ' ');
    char word[32];

    if (!space || space[1] < '0' || space[1] > '9') {
        put_member(l, "thread", name, NAME_MAX_BYTES);
        return;
    }
    snprintf(word, sizeof(word), "%.*s", (int)(space - name), name);
    put_number(l, word, strtoull(space + 1, NULL, 10));
}

/* "2026-01-31 23:59:59.123" as RFC 3339 has it. */
static void put_when(struct line *l, const char *when)
{
    const char *space = strchr(when, ' ');

    put_text(l, "{\"ts\":\"");
    put(l, when, space ? (size_t)(space - when) : strlen(when));
    if (space) {
        put_text(l, "T");
        put_text(l, space + 1);
    }
    put_text(l, "Z\"");
}

size_t log_line_json(char *out, const struct log_event *e)
{
    struct line l = {.start = out};

    put_when(&l, e->when);
    put_member(&l, "level", log_level_name(e->level), NAME_MAX_BYTES);
    if (there(e->thread))
        put_thread(&l, e->thread);
    put_member(&l, "migration", e->migration, NAME_MAX_BYTES);
    if (e->about.session)
        put_number(&l, "session", e->about.session);
    put_member(&l, "user", e->about.user, NAME_MAX_BYTES);
    put_member(&l, "database", e->about.database, NAME_MAX_BYTES);
    put_member(&l, "peer", e->about.peer, NAME_MAX_BYTES);
    put_text(&l, ",\"msg\":\"");
    put_escaped(&l, e->text, TEXT_MAX_BYTES, true);
    put_text(&l, "\"");
    put_member(&l, "sqlstate", e->sqlstate, NAME_MAX_BYTES);
    put_member(&l, "hint", e->hint, HINT_MAX_BYTES);
    put_text(&l, "}");
    out[l.len++] = '\n';
    return l.len;
}
