#include "segue/wire/startup.h"

#include <assert.h>
#include <string.h>

#include "segue/wire/frame.h"

#define CANCEL_KEY_MIN 4
#define CANCEL_KEY_MAX 256
#define PREFIX 8 /* length and code */

static enum rc bad(struct err *err, const char *what)
{
    err_set(err, "08P01", "%s", what);
    return RC_ERR;
}

static enum rc bad_layout(struct err *err)
{
    return bad(err, "invalid startup packet layout: expected terminator as last byte");
}

/* A string that ends inside the packet; NULL when it does not. */
static const char *next_string(const char **at, const char *end)
{
    const char *s = *at;
    const char *nul = s < end ? memchr(s, '\0', (size_t)(end - s)) : NULL;

    if (!nul)
        return NULL;
    *at = nul + 1;
    return s;
}

static void note(void *arg, const struct wire_param *param)
{
    struct wire_startup *out = arg;
    const struct {
        const char *name;
        const char **slot;
    } known[] = {
        {"user", &out->user},
        {"database", &out->database},
        {"application_name", &out->application_name},
        {"replication", &out->replication},
    };

    for (size_t i = 0; i < ARRAY_LEN(known); i++)
        if (strcmp(param->name, known[i].name) == 0)
            *known[i].slot = param->value;
}

static enum rc read_params(const char *packet, size_t total, struct wire_startup *out,
                           struct err *err)
{
    const char *at = packet + PREFIX;
    const char *end = packet + total;

    for (;;) {
        struct wire_param param;

        param.name = next_string(&at, end);
        if (!param.name && end - at == 1) {
            at = end; /* the server looks at where the last byte is, and not at what it is */
            break;
        }
        if (!param.name)
            return bad_layout(err);
        if (!param.name[0])
            break;
        param.value = next_string(&at, end);
        if (!param.value)
            return bad_layout(err);
        note(out, &param);
    }
    if (at != end)
        return bad_layout(err);
    if (!out->user || !out->user[0]) {
        err_set(err, "28000", "no PostgreSQL user name specified in startup packet");
        return RC_ERR;
    }
    return RC_OK;
}

static enum rc read_cancel(const char *packet, size_t total, struct wire_startup *out,
                           struct err *err)
{
    size_t key = total < PREFIX + 4 ? 0 : total - PREFIX - 4;

    if (key < CANCEL_KEY_MIN || key > CANCEL_KEY_MAX)
        return bad(err, "invalid length of cancel request packet");
    out->cancel_pid = wire_u32(packet + PREFIX);
    out->cancel_key = (const uint8_t *)packet + PREFIX + 4;
    out->cancel_key_len = key;
    return RC_OK;
}

enum rc wire_startup_read(const void *data, size_t len, struct wire_startup *out, struct err *err)
{
    const char *packet = data;
    uint32_t total;

    memset(out, 0, sizeof(*out));
    if (len < WIRE_STARTUP_LENGTH)
        return RC_AGAIN;
    total = wire_u32(packet);
    if (total < PREFIX || total > WIRE_STARTUP_BYTES_MAX)
        return bad(err, "invalid length of startup packet");
    if (len < total)
        return RC_AGAIN;
    out->total = total;
    out->code = wire_u32(packet + 4);
    switch (out->code) {
    case WIRE_CODE_SSL:
    case WIRE_CODE_GSSENC:
        return RC_OK; /* whatever is in it: the server does not look */
    case WIRE_CODE_CANCEL:
        return read_cancel(packet, total, out, err);
    default:
        break;
    }
    if (out->code >> 16 != 3) {
        err_set(err, "0A000",
                "unsupported frontend protocol %u.%u: server supports 3.0 and later 3.x",
                out->code >> 16, out->code & 0xffff);
        return RC_ERR;
    }
    return read_params(packet, total, out, err);
}

void wire_startup_params(const void *packet, size_t total,
                         void (*each)(void *arg, const struct wire_param *param), void *arg)
{
    const char *at = (const char *)packet + PREFIX;
    const char *end = (const char *)packet + total;

    for (;;) {
        struct wire_param param;

        param.name = next_string(&at, end);
        if (!param.name || !param.name[0])
            return;
        param.value = next_string(&at, end);
        if (!param.value)
            return;
        each(arg, &param);
    }
}

static void copy_param(void *arg, const struct wire_param *param)
{
    struct buf *out = arg;

    if (strcmp(param->name, "database") == 0 || strcmp(param->name, "replication") == 0)
        return;
    buf_append(out, param->name, strlen(param->name) + 1);
    buf_append(out, param->value, strlen(param->value) + 1);
}

void wire_startup_redirect(struct buf *out, const void *packet, size_t total, const char *database)
{
    size_t at = out->len;
    uint32_t length;
    uint8_t *head;

    assert(total >= PREFIX);
    buf_append_u32(out, 0);
    buf_append(out, (const char *)packet + 4, 4);
    wire_startup_params(packet, total, copy_param, out);
    buf_append(out, "database", sizeof("database"));
    buf_append(out, database, strlen(database) + 1);
    buf_append_u8(out, 0);
    length = (uint32_t)(out->len - at);
    head = (uint8_t *)out->data + at;
    head[0] = (uint8_t)(length >> 24);
    head[1] = (uint8_t)(length >> 16);
    head[2] = (uint8_t)(length >> 8);
    head[3] = (uint8_t)length;
}
