/*
 * The packets that open a connection: StartupMessage, CancelRequest, SSLRequest, GSSENCRequest.
 *
 * They carry no type byte: a length, a code, a body. At most 10,000 bytes and the length, as in
 * PostgreSQL.
 * Not here: what to answer; who relays forwards the packet as it came.
 */
#ifndef SEGUE_WIRE_STARTUP_H
#define SEGUE_WIRE_STARTUP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "segue/base/buf.h"
#include "segue/base/err.h"

#define WIRE_STARTUP_LENGTH 4 /* of the length itself, which PostgreSQL does not count */
#define WIRE_STARTUP_BYTES_MAX (WIRE_STARTUP_LENGTH + 10000)

#define WIRE_PROTOCOL(major, minor) ((uint32_t)(major) << 16 | (uint32_t)(minor))
#define WIRE_CODE_CANCEL WIRE_PROTOCOL(1234, 5678)
#define WIRE_CODE_SSL WIRE_PROTOCOL(1234, 5679)
#define WIRE_CODE_GSSENC WIRE_PROTOCOL(1234, 5680)

/* A parameter's name and value, both inside the packet and NUL-terminated there. */
struct wire_param {
    const char *name;
    const char *value;
};

struct wire_startup {
    size_t total;  /* bytes of the packet; 0: no packet is so long, or so short */
    uint32_t code; /* protocol version, or one of WIRE_CODE_* */
    const char *user, *database, *application_name, *replication; /* NULL: not given */
    const uint8_t *cancel_key; /* CancelRequest only: 4 to 256 bytes */
    size_t cancel_key_len;
    uint32_t cancel_pid;
};

/* Reads the packet at data; strings point into it. RC_AGAIN: more bytes are needed. RC_ERR: not
 * a start-up packet; err has 08P01 (or 0A000 for a protocol that is not 3.x), in the server's own
 * words; total and code say what could be read of it. */
enum rc wire_startup_read(const void *data, size_t len, struct wire_startup *out,
                          struct err *err) MUST_CHECK;

/* Calls back for each parameter of a packet that wire_startup_read has accepted. */
void wire_startup_params(const void *packet, size_t total,
                         void (*each)(void *arg, const struct wire_param *param), void *arg);

/* The value of a setting (lower case) that the packet asks for, by a parameter of that name or
 * inside `options`, cut to `size`; as PostgreSQL does, the first of the two ways wins, and the last
 * of several words. False: it does not ask. */
bool wire_startup_setting(const void *packet, size_t total, const char *name, char *value,
                          size_t size);

/* Appends a copy of the packet in which `database` has another value and `replication` is gone. */
void wire_startup_redirect(struct buf *out, const void *packet, size_t total, const char *database);

#endif
