#include "segue/wire/handover.h"

#include <arpa/inet.h>
#include <string.h>

#include "segue/base/utf8.h"

#define MAGIC UINT32_C(0x53654775) /* so that a HELLO is not said by accident */
#define HEADER_BYTES 5
#define FIELDS_MAX 4

#define FIELD(name) (1 + offsetof(struct wire_handover, name)) /* 0: none */

static const struct row {
    enum wire_handover_type type;
    const char *name;
    bool magic;
    enum tail { NO_TAIL, TEXT, KEY } tail;
    size_t fields[FIELDS_MAX];
    size_t newer; /* one more, left out where it is 0: version 1 does not know it */
} rows[] = {
    {WIRE_HANDOVER_HELLO, "HELLO", true, NO_TAIL, {FIELD(version), FIELD(pid)}, 0},
    {WIRE_HANDOVER_WELCOME,
     "WELCOME",
     false,
     NO_TAIL,
     {FIELD(version), FIELD(pid), FIELD(count)},
     0},
    {WIRE_HANDOVER_SOCKET, "SOCKET", false, NO_TAIL, {FIELD(kind)}, 0},
    {WIRE_HANDOVER_READY, "READY", false, NO_TAIL, {0}, 0},
    {WIRE_HANDOVER_GO, "GO", false, NO_TAIL, {0}, 0},
    {WIRE_HANDOVER_ACCEPTING, "ACCEPTING", false, NO_TAIL, {0}, 0},
    {WIRE_HANDOVER_REPORT,
     "REPORT",
     false,
     NO_TAIL,
     {FIELD(sessions), FIELD(left_s), FIELD(working)},
     FIELD(pid)},
    {WIRE_HANDOVER_REFUSED, "REFUSED", false, TEXT, {0}, 0},
    {WIRE_HANDOVER_CANCEL,
     "CANCEL",
     false,
     KEY,
     {FIELD(hops), FIELD(asker_high), FIELD(asker_low), FIELD(backend)},
     0},
    {WIRE_HANDOVER_CANCEL_IS,
     "CANCEL_IS",
     false,
     NO_TAIL,
     {FIELD(hops), FIELD(asker_high), FIELD(asker_low), FIELD(how)},
     0},
};

static const struct row *row_of(uint8_t type)
{
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        if ((uint8_t)rows[i].type == type)
            return &rows[i];
    }
    return NULL;
}

const char *wire_handover_name(enum wire_handover_type type)
{
    const struct row *row = row_of((uint8_t)type);

    return row ? row->name : "nothing known";
}

static size_t put_u32(uint8_t *out, uint32_t v)
{
    v = htonl(v);
    memcpy(out, &v, sizeof(v));
    return sizeof(v);
}

static uint32_t get_u32(const uint8_t *from)
{
    uint32_t v;

    memcpy(&v, from, sizeof(v));
    return ntohl(v);
}

static uint32_t value_of(const struct wire_handover *msg, size_t field)
{
    uint32_t v;

    memcpy(&v, (const char *)msg + field - 1, sizeof(v));
    return v;
}

size_t wire_handover_put(const struct wire_handover *msg, uint8_t out[WIRE_HANDOVER_MAX])
{
    const struct row *row = row_of((uint8_t)msg->type);
    size_t at = HEADER_BYTES;

    out[4] = (uint8_t)msg->type;
    if (row->magic)
        at += put_u32(out + at, MAGIC);
    for (size_t i = 0; i < FIELDS_MAX && row->fields[i]; i++)
        at += put_u32(out + at, value_of(msg, row->fields[i]));
    if (row->newer && value_of(msg, row->newer))
        at += put_u32(out + at, value_of(msg, row->newer));
    if (row->tail == KEY) {
        memcpy(out + at, msg->key, msg->key_len);
        at += msg->key_len;
    } else if (row->tail == TEXT) {
        size_t len = strnlen(msg->text, WIRE_HANDOVER_TEXT_MAX);

        memcpy(out + at, msg->text, len);
        at += len;
    }
    put_u32(out, (uint32_t)at);
    return at;
}

/* It is logged: nothing that a terminal would obey. */
static void take_text(const uint8_t *from, size_t len, char *out)
{
    for (size_t i = 0; i < len; i++)
        out[i] = from[i] < ' ' || from[i] == 0x7f ? '?' : (char)from[i];
    out[len] = '\0';
    utf8_mend(out);
    memset(out + strlen(out), 0, len - strlen(out)); /* two that say the same are the same */
}

/* False: it is cut. */
static bool take_field(const uint8_t *bytes, size_t len, size_t *at, size_t field,
                       struct wire_handover *out)
{
    uint32_t v;

    if (len < *at + sizeof(v))
        return false;
    v = get_u32(bytes + *at);
    memcpy((char *)out + field - 1, &v, sizeof(v));
    *at += sizeof(v);
    return true;
}

static bool take_tail(const struct row *row, const uint8_t *from, size_t len,
                      struct wire_handover *out)
{
    switch (row->tail) {
    case TEXT:
        if (len > WIRE_HANDOVER_TEXT_MAX)
            return false;
        take_text(from, len, out->text);
        return true;
    case KEY:
        if (len < WIRE_HANDOVER_KEY_MIN || len > WIRE_HANDOVER_KEY_MAX)
            return false;
        memcpy(out->key, from, len);
        out->key_len = (uint32_t)len;
        return true;
    case NO_TAIL:
        break;
    }
    return len == 0;
}

static bool take_fields(const struct row *row, const uint8_t *bytes, size_t len,
                        struct wire_handover *out)
{
    size_t at = HEADER_BYTES;

    if (row->magic) {
        if (len < at + 4 || get_u32(bytes + at) != MAGIC)
            return false;
        at += 4;
    }
    for (size_t i = 0; i < FIELDS_MAX && row->fields[i]; i++) {
        if (!take_field(bytes, len, &at, row->fields[i], out))
            return false;
    }
    if (row->newer && len > at && !take_field(bytes, len, &at, row->newer, out))
        return false;
    return take_tail(row, bytes + at, len - at, out);
}

enum rc wire_handover_read(const void *packet, size_t len, struct wire_handover *out,
                           struct err *err)
{
    const uint8_t *bytes = packet;
    const struct row *row = len < HEADER_BYTES ? NULL : row_of(bytes[4]);

    memset(out, 0, sizeof(*out));
    if (!row || get_u32(bytes) != len || !take_fields(row, bytes, len, out) ||
        out->kind >= WIRE_HANDOVER_KINDS || out->how >= WIRE_HANDOVER_HOWS) {
        memset(out, 0, sizeof(*out));
        err_set(err, "08P01", "%zu bytes that are no message of a takeover", len);
        return RC_ERR;
    }
    out->type = row->type;
    return RC_OK;
}
