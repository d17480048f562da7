/*
 * Message framing of protocol 3: one type byte, then a big-endian length that counts itself.
 *
 * The reader never copies: it answers "how long is the message that starts here". Who relays
 * keeps the few bytes of a header that was cut by the end of a read and asks again.
 * Source: PostgreSQL documentation, "Message Formats". Not here: what a body means (wire/read.h),
 * the start-up packets, which have no type byte (wire/startup.h).
 */
#ifndef SEGUE_WIRE_FRAME_H
#define SEGUE_WIRE_FRAME_H

#include <stddef.h>
#include <stdint.h>

#include "segue/base/rc.h"

#define WIRE_HEADER_BYTES 5

struct wire_frame {
    uint8_t type;
    size_t total; /* bytes of the whole message, header included; at least 5 */
};

static inline uint32_t wire_u32(const void *at)
{
    const uint8_t *p = at;

    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static inline uint16_t wire_u16(const void *at)
{
    const uint8_t *p = at;

    return (uint16_t)(p[0] << 8 | p[1]);
}

/* Reads the header at data. RC_AGAIN: fewer than 5 bytes; RC_ERR: a length below 4 or above
 * 2^31 - 1. Never looks beyond data + len. */
static inline enum rc wire_frame_read(const void *data, size_t len, struct wire_frame *frame)
{
    const uint8_t *p = data;
    uint32_t length;

    if (len < WIRE_HEADER_BYTES)
        return RC_AGAIN;
    length = wire_u32(p + 1);
    if (length < 4 || length > INT32_MAX)
        return RC_ERR;
    frame->type = p[0];
    frame->total = (size_t)length + 1;
    return RC_OK;
}

#endif
