/*
 * Building messages: each call appends one whole message to a buffer.
 *
 * Of a frontend's messages only those with which segue itself logs in, Terminate, and those that
 * carry or drop a statement: all else that clients say is forwarded.
 */
#ifndef SEGUE_WIRE_BUILD_H
#define SEGUE_WIRE_BUILD_H

#include <stddef.h>
#include <stdint.h>

#include "segue/base/buf.h"
#include "segue/base/err.h"

/* ErrorResponse from an error value; severity "ERROR" or "FATAL". */
void wire_put_error(struct buf *out, const char *severity, const struct err *err);

/* The same, as of a routine of the server's sources (NULL: of none). */
void wire_put_error_of(struct buf *out, const char *severity, const struct err *err,
                       const char *routine);

/* The same for a client of protocol 1 or 2: a text without fields and without a length. */
void wire_put_error_old(struct buf *out, const char *severity, const struct err *err);

/* NoticeResponse, severity NOTICE or WARNING. */
void wire_put_notice(struct buf *out, const char *severity, const char *sqlstate, const char *text);

void wire_put_ready(struct buf *out, char status); /* 'I', 'T' or 'E' */
void wire_put_auth_ok(struct buf *out);
void wire_put_auth(struct buf *out, uint32_t method, const void *data,
                   size_t len); /* WIRE_AUTH_* */
void wire_put_parameter(struct buf *out, const char *name, const char *value);
void wire_put_key(struct buf *out, int32_t pid, const void *key, size_t key_len);

/* RowDescription of text columns. */
void wire_put_columns(struct buf *out, const char *const *names, size_t n);

/* DataRow of text values, NULL for null. */
void wire_put_row(struct buf *out, const char *const *values, size_t n);

void wire_put_complete(struct buf *out, const char *tag); /* CommandComplete */
void wire_put_empty(struct buf *out);                     /* EmptyQueryResponse */

/* NegotiateProtocolVersion: what is spoken, as in a start-up packet, and `n` options that are not:
 * names, each with its NUL. */
void wire_put_negotiate(struct buf *out, uint32_t version, const struct buf *names, uint32_t n);

/* ---- frontend ---- */

void wire_put_terminate(struct buf *out);
void wire_put_ssl_request(struct buf *out);

/* PasswordMessage (len counts its NUL) and SASLResponse; and SASLInitialResponse. */
void wire_put_secret(struct buf *out, const void *data, size_t len);
void wire_put_sasl_first(struct buf *out, const char *mechanism, const void *data, size_t len);

void wire_put_query(struct buf *out, const char *text, size_t len);

/* `types`: ntypes times four bytes, as in another Parse. */
void wire_put_parse(struct buf *out, const char *name, const char *text, size_t len,
                    const char *types, uint16_t ntypes);
void wire_put_close_statement(struct buf *out, const char *name);

/* Runs a prepared statement without parameters through a portal of this name; what it gives is
 * text: Bind, Execute, Close. */
void wire_put_run(struct buf *out, const char *portal, const char *statement);
void wire_put_sync(struct buf *out);
void wire_put_flush(struct buf *out);

#endif
