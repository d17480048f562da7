#include "segue/wire/read.h"

#include <stdbool.h>
#include <string.h>

#include "segue/wire/frame.h"

/* A cursor over a body: every take checks what is left; `bad` sticks. */
struct cursor {
    const char *at, *end;
    bool bad;
};

static struct cursor body(const void *msg, size_t total)
{
    const char *p = msg;

    return (struct cursor){p + WIRE_HEADER_BYTES, p + total, total < WIRE_HEADER_BYTES};
}

static const char *take(struct cursor *c, size_t n)
{
    const char *p = c->at;

    if (c->bad || (size_t)(c->end - c->at) < n) {
        c->bad = true;
        return NULL;
    }
    c->at += n;
    return p;
}

static const char *take_string(struct cursor *c)
{
    const char *s = c->at;
    const char *nul = c->bad || s == c->end ? NULL : memchr(s, '\0', (size_t)(c->end - s));

    if (!nul) {
        c->bad = true;
        return "";
    }
    c->at = nul + 1;
    return s;
}

static uint16_t take_u16(struct cursor *c)
{
    const char *p = take(c, 2);

    return p ? wire_u16(p) : 0;
}

static uint32_t take_u32(struct cursor *c)
{
    const char *p = take(c, 4);

    return p ? wire_u32(p) : 0;
}

static enum rc whole(const struct cursor *c)
{
    return c->bad || c->at != c->end ? RC_ERR : RC_OK;
}

enum rc wire_read_query(const void *msg, size_t total, struct wire_query *out)
{
    struct cursor c = body(msg, total);

    out->text = take_string(&c);
    out->len = c.bad ? 0 : (size_t)(c.at - out->text) - 1;
    return whole(&c);
}

enum rc wire_read_parse(const void *msg, size_t total, struct wire_parse *out)
{
    struct cursor c = body(msg, total);

    out->name = take_string(&c);
    out->text = take_string(&c);
    out->text_len = c.bad ? 0 : (size_t)(c.at - out->text) - 1;
    out->nparams = take_u16(&c);
    out->types = take(&c, (size_t)out->nparams * 4);
    if (out->nparams > INT16_MAX)
        return RC_ERR;
    return whole(&c);
}

enum rc wire_read_bind(const void *msg, size_t total, struct wire_bind *out)
{
    struct cursor c = body(msg, total);

    out->portal = take_string(&c);
    out->statement = take_string(&c);
    out->nformats = take_u16(&c);
    take(&c, (size_t)out->nformats * 2);
    out->nparams = take_u16(&c);
    for (uint32_t i = 0; i < out->nparams && !c.bad; i++) {
        uint32_t len = take_u32(&c);

        if (len == UINT32_MAX)
            continue; /* NULL */
        if (len > INT32_MAX)
            return RC_ERR;
        take(&c, len);
    }
    out->nresults = take_u16(&c);
    out->results = take(&c, (size_t)out->nresults * 2);
    if (out->nparams > INT16_MAX || out->nformats > INT16_MAX || out->nresults > INT16_MAX)
        return RC_ERR;
    return whole(&c);
}

enum rc wire_read_target(const void *msg, size_t total, struct wire_target *out)
{
    struct cursor c = body(msg, total);
    const char *kind = take(&c, 1);

    out->kind = kind ? *kind : '\0';
    out->name = take_string(&c);
    if (out->kind != 'S' && out->kind != 'P')
        return RC_ERR;
    return whole(&c);
}

enum rc wire_read_execute(const void *msg, size_t total, struct wire_execute *out)
{
    struct cursor c = body(msg, total);

    out->portal = take_string(&c);
    out->rows_max = take_u32(&c);
    return whole(&c);
}

enum rc wire_read_row(const void *msg, size_t total, struct wire_value *out, uint16_t n)
{
    struct cursor c = body(msg, total);

    c.bad |= take_u16(&c) != n;
    for (uint16_t i = 0; i < n; i++) {
        uint32_t len = take_u32(&c);

        out[i] = (struct wire_value){0};
        if (len != UINT32_MAX)
            out[i] = (struct wire_value){take(&c, len), len};
    }
    return whole(&c);
}

enum rc wire_read_error(const void *msg, size_t total, struct wire_error *out)
{
    struct cursor c = body(msg, total);
    const struct {
        char code;
        const char **slot;
    } fields[] = {
        {'S', &out->severity}, {'V', &out->severity}, {'C', &out->sqlstate}, {'M', &out->text},
        {'D', &out->detail},   {'H', &out->hint},     {'P', &out->position}, {'W', &out->context},
    };

    for (size_t i = 0; i < ARRAY_LEN(fields); i++)
        *fields[i].slot = "";
    for (;;) {
        const char *code = take(&c, 1);
        const char *value;

        if (!code)
            return RC_ERR;
        if (!*code)
            return whole(&c);
        value = take_string(&c);
        for (size_t i = 0; i < ARRAY_LEN(fields) && !c.bad; i++)
            if (fields[i].code == *code)
                *fields[i].slot = value;
    }
}

enum rc wire_read_key(const void *msg, size_t total, struct wire_key *out)
{
    struct cursor c = body(msg, total);

    out->pid = (int32_t)take_u32(&c);
    out->key = (const uint8_t *)c.at;
    out->key_len = c.bad ? 0 : (size_t)(c.end - c.at);
    return out->key_len >= 4 && out->key_len <= 256 ? RC_OK : RC_ERR;
}

enum rc wire_read_status(const void *msg, size_t total, struct wire_status *out)
{
    struct cursor c = body(msg, total);

    out->name = take_string(&c);
    out->value = take_string(&c);
    return whole(&c);
}

enum rc wire_read_auth(const void *msg, size_t total, struct wire_auth *out)
{
    struct cursor c = body(msg, total);

    out->method = take_u32(&c);
    out->data = c.at;
    out->len = c.bad ? 0 : (size_t)(c.end - c.at);
    return c.bad ? RC_ERR : RC_OK;
}

const char *wire_sasl_mechanism(const struct wire_auth *auth, size_t *at)
{
    struct cursor c = {auth->data + *at, auth->data + auth->len, *at > auth->len};
    const char *name = take_string(&c);

    if (c.bad || !name[0])
        return NULL;
    *at = (size_t)(c.at - auth->data);
    return name;
}

enum rc wire_read_sasl_first(const void *msg, size_t total, struct wire_sasl_first *out)
{
    struct cursor c = body(msg, total);
    uint32_t len;

    out->mechanism = take_string(&c);
    len = take_u32(&c);
    out->len = len == UINT32_MAX ? 0 : len;
    out->data = len == UINT32_MAX ? NULL : take(&c, len);
    return whole(&c);
}
