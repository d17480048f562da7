/*
 * Building backend messages: each call appends one whole message to a buffer.
 *
 * Not here: frontend messages but Terminate; segue forwards what clients say, it does not speak
 * for them.
 */
#ifndef SEGUE_WIRE_BUILD_H
#define SEGUE_WIRE_BUILD_H

#include <stddef.h>
#include <stdint.h>

#include "segue/base/buf.h"
#include "segue/base/err.h"

/* ErrorResponse from an error value; severity "ERROR" or "FATAL". */
void wire_put_error(struct buf *out, const char *severity, const struct err *err);

/* NoticeResponse, severity NOTICE or WARNING. */
void wire_put_notice(struct buf *out, const char *severity, const char *sqlstate, const char *text);

void wire_put_ready(struct buf *out, char status); /* 'I', 'T' or 'E' */
void wire_put_auth_ok(struct buf *out);
void wire_put_parameter(struct buf *out, const char *name, const char *value);
void wire_put_key(struct buf *out, int32_t pid, const void *key, size_t key_len);

/* RowDescription of text columns. */
void wire_put_columns(struct buf *out, const char *const *names, size_t n);

/* DataRow of text values, NULL for null. */
void wire_put_row(struct buf *out, const char *const *values, size_t n);

void wire_put_complete(struct buf *out, const char *tag); /* CommandComplete */
void wire_put_empty(struct buf *out);                     /* EmptyQueryResponse */

/* NegotiateProtocolVersion: the newest minor version spoken, and no unknown options. */
void wire_put_negotiate(struct buf *out, uint32_t minor);

void wire_put_terminate(struct buf *out); /* frontend's goodbye */

#endif
