/*
 * A growable byte buffer. Bytes are appended at the end and consumed at the front.
 *
 * Zero-initialised is empty and owns nothing. `data` is always NUL-terminated once anything was
 * appended, so a text buffer can be used as a C string.
 * Not here: limits; whoever fills a buffer from a peer bounds it.
 */
#ifndef SEGUE_BASE_BUF_H
#define SEGUE_BASE_BUF_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "segue/base/rc.h"

struct buf {
    char *data; /* first unconsumed byte; NULL when nothing was ever appended */
    size_t len; /* unconsumed bytes */
    size_t off; /* consumed bytes before data (internal) */
    size_t cap; /* allocated bytes (internal) */
};

void buf_fini(struct buf *buf);  /* frees and empties; may be used again */
void buf_reset(struct buf *buf); /* empties, keeps the memory */
void buf_reserve(struct buf *buf, size_t more);
void buf_append(struct buf *buf, const void *bytes, size_t len);
void buf_append_str(struct buf *buf, const char *s);
void buf_append_u8(struct buf *buf, uint8_t v);
void buf_append_u16(struct buf *buf, uint16_t v); /* network order */
void buf_append_u32(struct buf *buf, uint32_t v); /* network order */
void buf_printf(struct buf *buf, const char *fmt, ...) PRINTF_LIKE(2, 3);
void buf_vprintf(struct buf *buf, const char *fmt, va_list ap);
void buf_consume(struct buf *buf, size_t len); /* len <= buf->len */

/* Room for direct reads: at least `more` free bytes behind len; then buf_grow(n) what was read. */
char *buf_space(struct buf *buf, size_t more);
void buf_grow(struct buf *buf, size_t n);

/* Gives the text to the caller (free()) and empties the buffer; "" when empty, never NULL. */
char *buf_take(struct buf *buf);

#endif
