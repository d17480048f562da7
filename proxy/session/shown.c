#include "shown.h"

#include <string.h>

#include "segue/base/mem.h"
#include "segue/wire/frame.h"

static const char own[] = "~segue_";

/* "~segue_16384_2": up to where the numbers end. */
static size_t name_len(const char *at, const char *end)
{
    const char *p = at + sizeof(own) - 1;

    while (p < end && ((*p >= '0' && *p <= '9') || *p == '_'))
        p++;
    return (size_t)(p - at);
}

static bool is_ascii(const char *text)
{
    for (; *text; text++)
        if (*text & 0x80)
            return false;
    return true;
}

/* What is replaced, and by what. */
struct shown {
    const struct sql_rules *rules;
    bool ascii, any;
    const char *about[2]; /* fields that are the name of a constraint, of a column */
    size_t about_len[2];
    struct buf body;
};

static const char *shown_of(const struct shown *s, const char *name, size_t len)
{
    const char *shown = sql_rules_shown(s->rules, name, len);

    return shown && (!s->ascii || is_ascii(shown)) ? shown : NULL;
}

/* A name that the error is about; other texts are the client's data. */
static bool is_about(const struct shown *s, const char *name, size_t len)
{
    for (size_t i = 0; i < ARRAY_LEN(s->about); i++)
        if (s->about[i] && s->about_len[i] == len && memcmp(s->about[i], name, len) == 0)
            return true;
    return false;
}

static void put_text(struct shown *s, const char *p, const char *end, bool any_name)
{
    const char *at;

    while ((at = memmem(p, (size_t)(end - p), own, sizeof(own) - 1)) != NULL) {
        size_t len = name_len(at, end);
        const char *shown = any_name || is_about(s, at, len) ? shown_of(s, at, len) : NULL;

        buf_append(&s->body, p, (size_t)(at - p));
        if (shown)
            buf_append_str(&s->body, shown);
        else
            buf_append(&s->body, at, len);
        s->any |= shown != NULL;
        p = at + len;
    }
    buf_append(&s->body, p, (size_t)(end - p));
}

/* Up to where "Key (a, b)=(1, 2)" has the values; nothing of a text that has none. */
static const char *columns_end(const char *text, const char *end)
{
    static const char values[] = ")=(";
    const char *at = memmem(text, (size_t)(end - text), values, sizeof(values) - 1);

    return at ? at : text;
}

static void put_field(struct shown *s, char type, const char *text, const char *end)
{
    const char *from = text;

    buf_append_u8(&s->body, (uint8_t)type);
    if (type == 'D')
        put_text(s, text, from = columns_end(text, end), true);
    if (type == 'M' || type == 'n' || type == 'c')
        put_text(s, text, from = end, false);
    buf_append(&s->body, from, (size_t)(end - from) + 1);
}

/* false: the fields do not end as they should. */
static bool each_field(struct shown *s, const char *p, const char *end, bool puts)
{
    while (p < end && *p) {
        const char *text = p + 1, *stop = memchr(text, '\0', (size_t)(end - text));

        if (!stop)
            return false;
        if (puts) {
            put_field(s, *p, text, stop);
        } else if (*p == 'n' || *p == 'c') {
            s->about[*p == 'c'] = text;
            s->about_len[*p == 'c'] = (size_t)(stop - text);
        }
        p = stop + 1;
    }
    if (puts)
        buf_append(&s->body, p, (size_t)(end - p));
    return p < end;
}

bool sess_shown_error(const struct sql_rules *rules, bool ascii, const char *msg, size_t total,
                      struct buf *out)
{
    const char *fields = msg + WIRE_HEADER_BYTES, *end = msg + total;
    struct shown s = {.rules = rules, .ascii = ascii};

    if (each_field(&s, fields, end, false))
        each_field(&s, fields, end, true);
    if (s.any) {
        buf_append_u8(out, (uint8_t)msg[0]);
        buf_append_u32(out, (uint32_t)(s.body.len + WIRE_HEADER_BYTES - 1));
        buf_append(out, s.body.data, s.body.len);
    }
    buf_fini(&s.body);
    return s.any;
}
