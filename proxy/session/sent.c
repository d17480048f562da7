#include "sent.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "segue/base/mem.h"
#include "segue/wire/frame.h"
#include "segue/wire/read.h"

#define CUT_BYTES_MAX 2048

static struct sess_sent *sent_new(const char *text, size_t len)
{
    struct sess_sent *sent = mem_alloc(sizeof(*sent) + len + 1);

    memset(sent, 0, sizeof(*sent));
    sent->refs = 1;
    sent->bytes = sizeof(*sent) + len + 1;
    sent->text_len = len;
    memcpy(sent->text, text, len);
    sent->text[len] = '\0';
    return sent;
}

struct sess_sent *sess_sent_take(struct sql_rewrite *rewrite, const char *text, size_t len)
{
    struct sess_sent *sent = sent_new(text, len);

    sent->bytes += rewrite->nsplices * sizeof(*rewrite->splices) + rewrite->len + 1;
    sent->rewrite.text = rewrite->text;
    sent->rewrite.len = rewrite->len;
    sent->rewrite.stars = rewrite->stars;
    sent->rewrite.positional = rewrite->positional;
    sent->rewrite.by_columns = rewrite->by_columns;
    sent->rewrite.verdict.columns = rewrite->verdict.columns;
    sent->rewrite.nsplices = rewrite->nsplices;
    sent->rewrite.splices = rewrite->splices;
    sent->rewrite.head = rewrite->head;
    rewrite->text = NULL;
    rewrite->splices = NULL;
    return sent;
}

struct sess_sent *sess_sent_new(const struct sql_rewrite *rewrite, const char *text, size_t len)
{
    struct sql_rewrite own = *rewrite;
    size_t bytes = rewrite->nsplices * sizeof(*rewrite->splices);

    own.text = mem_strndup(rewrite->text, rewrite->len);
    own.splices = mem_alloc(bytes + 1);
    if (bytes)
        memcpy(own.splices, rewrite->splices, bytes);
    return sess_sent_take(&own, text, len);
}

struct sess_sent *sess_sent_refusal_take(struct buf *answer)
{
    struct sess_sent *sent = sent_new("", 0);

    sent->bytes += answer->len;
    sent->answer = *answer;
    memset(answer, 0, sizeof(*answer));
    return sent;
}

bool sess_sent_is(const struct sess_sent *sent, const struct sql_rewrite *rewrite)
{
    const char *text = rewrite ? rewrite->text : NULL;

    if (rewrite && rewrite->early)
        return false;
    if (!sent || !text)
        return !sent && !text;
    return sent->rewrite.len == rewrite->len && !sent->answer.len &&
           memcmp(sent->rewrite.text, text, rewrite->len) == 0;
}

struct sess_sent *sess_sent_ref(struct sess_sent *sent)
{
    if (sent)
        sent->refs++;
    return sent;
}

void sess_sent_unref(struct sess_sent *sent)
{
    if (!sent || --sent->refs)
        return;
    buf_fini(&sent->answer);
    sql_rewrite_fini(&sent->rewrite);
    free(sent);
}

/* Another position in an ErrorResponse, or none (0); `field` is what stands behind its code 'P'. */
static void put_moved(struct buf *out, const char *msg, size_t total, const char *field,
                      uint32_t position)
{
    size_t front = (size_t)(field - msg), behind = front + strlen(field);
    char text[16];
    int len = snprintf(text, sizeof(text), "%u", position);

    if (position == 0) { /* with its code and its end */
        front--;
        behind++;
        len = 0;
    }

    buf_append_u8(out, (uint8_t)msg[0]);
    buf_append_u32(out, (uint32_t)(total - 1 - (behind - front) + (size_t)len));
    buf_append(out, msg + WIRE_HEADER_BYTES, front - WIRE_HEADER_BYTES);
    buf_append(out, text, (size_t)len);
    buf_append(out, msg + behind, total - behind);
}

bool sess_sent_error(const struct sess_sent *sent, const char *msg, size_t total, struct buf *out)
{
    struct wire_error error;
    unsigned long position, moved;

    if (wire_read_error(msg, total, &error) != RC_OK)
        return false;
    if (sent->answer.len) {
        /* anything else than what it provokes, such as a cancellation, is meant for the client */
        if (msg[0] != 'E' || strcmp(error.sqlstate, "42601") != 0)
            return false;
        buf_append(out, sent->answer.data, sent->answer.len);
        return true;
    }
    position = strtoul(error.position, NULL, 10);
    if (!position || position > UINT32_MAX)
        return false;
    moved = sql_rewrite_position(&sent->rewrite, sent->text, sent->text_len, (uint32_t)position);
    if (moved == position)
        return false;
    put_moved(out, msg, total, error.position, (uint32_t)moved);
    return true;
}

void sess_sent_cut(const char *msg, size_t avail, struct buf *out)
{
    size_t len = avail < CUT_BYTES_MAX ? avail : CUT_BYTES_MAX;
    bool whole_field = !msg[len - 1];

    while (!whole_field && len > WIRE_HEADER_BYTES && (msg[len - 1] & 0x80)) /* half a letter */
        len--;
    buf_append_u8(out, 'E');
    buf_append_u32(out, (uint32_t)(len - 1 + (whole_field ? 1 : 2)));
    buf_append(out, msg + WIRE_HEADER_BYTES, len - WIRE_HEADER_BYTES);
    buf_append(out, "\0", whole_field ? 1 : 2);
}

bool sess_sent_ends_all(const char *msg, size_t total)
{
    struct wire_error error;

    return wire_read_error(msg, total, &error) == RC_OK &&
           (!strncmp(error.sqlstate, "57P", 3) || !strcmp(error.severity, "FATAL"));
}
