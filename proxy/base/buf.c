#include "segue/base/buf.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "segue/base/mem.h"

static char *origin(const struct buf *buf)
{
    return buf->data ? buf->data - buf->off : NULL;
}

void buf_fini(struct buf *buf)
{
    free(origin(buf));
    memset(buf, 0, sizeof(*buf));
}

void buf_reset(struct buf *buf)
{
    buf->data = origin(buf);
    buf->off = 0;
    buf->len = 0;
    if (buf->data)
        buf->data[0] = '\0';
}

void buf_reserve(struct buf *buf, size_t more)
{
    char *base = origin(buf);
    size_t need = buf->len + more + 1; /* the NUL */
    size_t cap = buf->cap ? buf->cap : 256;

    if (buf->data && buf->off + need <= buf->cap)
        return;
    if (base && need <= buf->cap) { /* enough room once moved to the front */
        memmove(base, buf->data, buf->len);
    } else {
        while (cap < need)
            cap *= 2;
        if (base && buf->off)
            memmove(base, buf->data, buf->len);
        base = mem_realloc(base, cap);
        buf->cap = cap;
    }
    buf->data = base;
    buf->off = 0;
    buf->data[buf->len] = '\0';
}

char *buf_space(struct buf *buf, size_t more)
{
    buf_reserve(buf, more);
    return buf->data + buf->len;
}

void buf_grow(struct buf *buf, size_t n)
{
    assert(buf->off + buf->len + n < buf->cap);
    buf->len += n;
    buf->data[buf->len] = '\0';
}

void buf_append(struct buf *buf, const void *bytes, size_t len)
{
    char *to = buf_space(buf, len);

    if (len)
        memcpy(to, bytes, len);
    buf_grow(buf, len);
}

void buf_append_str(struct buf *buf, const char *s)
{
    buf_append(buf, s, strlen(s));
}

void buf_append_u8(struct buf *buf, uint8_t v)
{
    buf_append(buf, &v, 1);
}

void buf_append_u16(struct buf *buf, uint16_t v)
{
    uint8_t b[2] = {(uint8_t)(v >> 8), (uint8_t)v};

    buf_append(buf, b, sizeof(b));
}

void buf_append_u32(struct buf *buf, uint32_t v)
{
    uint8_t b[4] = {(uint8_t)(v >> 24), (uint8_t)(v >> 16), (uint8_t)(v >> 8), (uint8_t)v};

    buf_append(buf, b, sizeof(b));
}

void buf_vprintf(struct buf *buf, const char *fmt, va_list ap)
{
    va_list again;
    int n;

    va_copy(again, ap);
    n = vsnprintf(NULL, 0, fmt, again);
    va_end(again);
    assert(n >= 0);
    vsnprintf(buf_space(buf, (size_t)n + 1), (size_t)n + 1, fmt, ap);
    buf_grow(buf, (size_t)n);
}

void buf_printf(struct buf *buf, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    buf_vprintf(buf, fmt, ap);
    va_end(ap);
}

void buf_consume(struct buf *buf, size_t len)
{
    assert(len <= buf->len);
    buf->len -= len;
    if (buf->len == 0) {
        buf_reset(buf);
        return;
    }
    buf->data += len;
    buf->off += len;
}

char *buf_take(struct buf *buf)
{
    char *out;

    if (!buf->data)
        return mem_strdup("");
    if (buf->off) {
        memmove(origin(buf), buf->data, buf->len + 1);
        buf->data = origin(buf);
    }
    out = buf->data;
    memset(buf, 0, sizeof(*buf));
    return out;
}
