#include "segue/wire/build.h"

#include <string.h>

#include "segue/wire/startup.h"

/* Opens a message; the length is written by end(). */
static size_t begin(struct buf *out, char type)
{
    buf_append_u8(out, (uint8_t)type);
    buf_append_u32(out, 0);
    return out->len - 4;
}

static void end(struct buf *out, size_t at)
{
    uint32_t length = (uint32_t)(out->len - at);
    uint8_t *head = (uint8_t *)out->data + at;

    head[0] = (uint8_t)(length >> 24);
    head[1] = (uint8_t)(length >> 16);
    head[2] = (uint8_t)(length >> 8);
    head[3] = (uint8_t)length;
}

static void put_string(struct buf *out, const char *s)
{
    buf_append(out, s, strlen(s) + 1);
}

static void put_field(struct buf *out, char code, const char *value)
{
    buf_append_u8(out, (uint8_t)code);
    put_string(out, value);
}

void wire_put_error_of(struct buf *out, const char *severity, const struct err *err,
                       const char *routine)
{
    size_t at = begin(out, 'E');

    put_field(out, 'S', severity);
    put_field(out, 'V', severity);
    put_field(out, 'C', err->sqlstate[0] ? err->sqlstate : "XX000");
    put_field(out, 'M', err->text);
    if (err->detail[0])
        put_field(out, 'D', err->detail);
    if (err->hint[0])
        put_field(out, 'H', err->hint);
    if (routine)
        put_field(out, 'R', routine);
    buf_append_u8(out, 0);
    end(out, at);
}

void wire_put_error(struct buf *out, const char *severity, const struct err *err)
{
    wire_put_error_of(out, severity, err, NULL);
}

void wire_put_error_old(struct buf *out, const char *severity, const struct err *err)
{
    buf_printf(out, "E%s:  %s\n", severity, err->text);
    buf_append_u8(out, 0);
}

void wire_put_notice(struct buf *out, const char *severity, const char *sqlstate, const char *text)
{
    size_t at = begin(out, 'N');

    put_field(out, 'S', severity);
    put_field(out, 'V', severity);
    put_field(out, 'C', sqlstate);
    put_field(out, 'M', text);
    buf_append_u8(out, 0);
    end(out, at);
}

void wire_put_ready(struct buf *out, char status)
{
    size_t at = begin(out, 'Z');

    buf_append_u8(out, (uint8_t)status);
    end(out, at);
}

void wire_put_auth_ok(struct buf *out)
{
    size_t at = begin(out, 'R');

    buf_append_u32(out, 0);
    end(out, at);
}

void wire_put_auth(struct buf *out, uint32_t method, const void *data, size_t len)
{
    size_t at = begin(out, 'R');

    buf_append_u32(out, method);
    buf_append(out, data, len);
    end(out, at);
}

void wire_put_parameter(struct buf *out, const char *name, const char *value)
{
    size_t at = begin(out, 'S');

    put_string(out, name);
    put_string(out, value);
    end(out, at);
}

void wire_put_key(struct buf *out, int32_t pid, const void *key, size_t key_len)
{
    size_t at = begin(out, 'K');

    buf_append_u32(out, (uint32_t)pid);
    buf_append(out, key, key_len);
    end(out, at);
}

void wire_put_columns(struct buf *out, const char *const *names, size_t n)
{
    size_t at = begin(out, 'T');

    buf_append_u16(out, (uint16_t)n);
    for (size_t i = 0; i < n; i++) {
        put_string(out, names[i]);
        buf_append_u32(out, 0);                    /* table */
        buf_append_u16(out, 0);                    /* attribute */
        buf_append_u32(out, 25);                   /* text */
        buf_append_u16(out, (uint16_t)0xffff);     /* of any width */
        buf_append_u32(out, (uint32_t)0xffffffff); /* no typmod */
        buf_append_u16(out, 0);                    /* text format */
    }
    end(out, at);
}

void wire_put_row(struct buf *out, const char *const *values, size_t n)
{
    size_t at = begin(out, 'D');

    buf_append_u16(out, (uint16_t)n);
    for (size_t i = 0; i < n; i++) {
        size_t len = values[i] ? strlen(values[i]) : 0;

        buf_append_u32(out, values[i] ? (uint32_t)len : (uint32_t)0xffffffff);
        if (values[i])
            buf_append(out, values[i], len);
    }
    end(out, at);
}

void wire_put_complete(struct buf *out, const char *tag)
{
    size_t at = begin(out, 'C');

    put_string(out, tag);
    end(out, at);
}

void wire_put_empty(struct buf *out)
{
    end(out, begin(out, 'I'));
}

void wire_put_negotiate(struct buf *out, uint32_t version, const struct buf *names, uint32_t n)
{
    size_t at = begin(out, 'v');

    buf_append_u32(out, version);
    buf_append_u32(out, n);
    buf_append(out, names->data, names->len);
    end(out, at);
}

void wire_put_terminate(struct buf *out)
{
    end(out, begin(out, 'X'));
}

void wire_put_secret(struct buf *out, const void *data, size_t len)
{
    size_t at = begin(out, 'p');

    buf_append(out, data, len);
    end(out, at);
}

void wire_put_sasl_first(struct buf *out, const char *mechanism, const void *data, size_t len)
{
    size_t at = begin(out, 'p');

    put_string(out, mechanism);
    buf_append_u32(out, (uint32_t)len);
    buf_append(out, data, len);
    end(out, at);
}

void wire_put_ssl_request(struct buf *out)
{
    buf_append_u32(out, 8);
    buf_append_u32(out, WIRE_CODE_SSL);
}

void wire_put_query(struct buf *out, const char *text, size_t len)
{
    size_t at = begin(out, 'Q');

    buf_append(out, text, len);
    buf_append_u8(out, 0);
    end(out, at);
}

void wire_put_parse(struct buf *out, const char *name, const char *text, size_t len,
                    const char *types, uint16_t ntypes)
{
    size_t at = begin(out, 'P');

    put_string(out, name);
    buf_append(out, text, len);
    buf_append_u8(out, 0);
    buf_append_u16(out, ntypes);
    buf_append(out, types, (size_t)ntypes * 4);
    end(out, at);
}

void wire_put_run(struct buf *out, const char *portal, const char *statement)
{
    size_t at = begin(out, 'B');

    put_string(out, portal);
    put_string(out, statement);
    buf_append(out, "\0\0\0\0\0", 6); /* no formats, no parameters, no formats of results */
    end(out, at);
    at = begin(out, 'E');
    put_string(out, portal);
    buf_append_u32(out, 0);
    end(out, at);
    at = begin(out, 'C');
    buf_append_u8(out, 'P');
    put_string(out, portal);
    end(out, at);
}

void wire_put_sync(struct buf *out)
{
    end(out, begin(out, 'S'));
}

void wire_put_flush(struct buf *out)
{
    end(out, begin(out, 'H'));
}

void wire_put_close_statement(struct buf *out, const char *name)
{
    size_t at = begin(out, 'C');

    buf_append_u8(out, 'S');
    put_string(out, name);
    end(out, at);
}
