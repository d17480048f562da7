/*
 * Reading whole messages. `msg` points at the type byte, `total` is wire_frame.total; all of it
 * must be there. Results point into the message. RC_ERR: the body does not parse; what to do
 * about it is the caller's (a relay lets the server give the error).
 */
#ifndef SEGUE_WIRE_READ_H
#define SEGUE_WIRE_READ_H

#include <stddef.h>
#include <stdint.h>

#include "segue/base/rc.h"

struct wire_query {
    const char *text; /* NUL-terminated */
    size_t len;       /* without the NUL */
};
enum rc wire_read_query(const void *msg, size_t total, struct wire_query *out) MUST_CHECK;

struct wire_parse {
    const char *name; /* "" is the unnamed statement */
    const char *text;
    size_t text_len;
    uint16_t nparams;  /* parameter types given */
    const char *types; /* nparams times four bytes */
};
enum rc wire_read_parse(const void *msg, size_t total, struct wire_parse *out) MUST_CHECK;

struct wire_bind {
    const char *portal, *statement;
    uint16_t nformats, nparams, nresults;
    const char *results; /* nresults formats of 16 bits: 0 text, 1 binary */
};
enum rc wire_read_bind(const void *msg, size_t total, struct wire_bind *out) MUST_CHECK;

/* Describe and Close: a kind ('S' statement, 'P' portal) and a name. */
struct wire_target {
    char kind;
    const char *name;
};
enum rc wire_read_target(const void *msg, size_t total, struct wire_target *out) MUST_CHECK;

struct wire_execute {
    const char *portal;
    uint32_t rows_max;
};
enum rc wire_read_execute(const void *msg, size_t total, struct wire_execute *out) MUST_CHECK;

/* DataRow of n columns. */
struct wire_value {
    const char *data; /* not NUL-terminated; NULL: null */
    size_t len;
};
enum rc wire_read_row(const void *msg, size_t total, struct wire_value *out, uint16_t n) MUST_CHECK;

/* ErrorResponse and NoticeResponse; fields that are not there are "". */
struct wire_error {
    const char *severity, *sqlstate, *text, *detail, *hint, *position, *context;
};
enum rc wire_read_error(const void *msg, size_t total, struct wire_error *out) MUST_CHECK;

struct wire_key {
    int32_t pid;
    const uint8_t *key;
    size_t key_len; /* 4 to 256 */
};
enum rc wire_read_key(const void *msg, size_t total, struct wire_key *out) MUST_CHECK;

/* ParameterStatus. */
struct wire_status {
    const char *name, *value;
};
enum rc wire_read_status(const void *msg, size_t total, struct wire_status *out) MUST_CHECK;

/* Authentication...: the request's number and what follows it. */
enum wire_auth_method {
    WIRE_AUTH_OK = 0,
    WIRE_AUTH_CLEARTEXT = 3,
    WIRE_AUTH_MD5 = 5,
    WIRE_AUTH_GSS_CONTINUE = 8,
    WIRE_AUTH_SASL = 10,
    WIRE_AUTH_SASL_CONTINUE = 11,
    WIRE_AUTH_SASL_FINAL = 12,
};
struct wire_auth {
    uint32_t method; /* enum wire_auth_method, or another that is not named here */
    const char *data;
    size_t len;
};
enum rc wire_read_auth(const void *msg, size_t total, struct wire_auth *out) MUST_CHECK;

/* Mechanisms of an AuthenticationSASL's data, one after the other: *at starts at 0; NULL: no more
 * (also where the list is malformed). */
const char *wire_sasl_mechanism(const struct wire_auth *auth, size_t *at);

/* SASLInitialResponse; data NULL: the client says nothing yet. */
struct wire_sasl_first {
    const char *mechanism;
    const char *data;
    size_t len;
};
enum rc wire_read_sasl_first(const void *msg, size_t total, struct wire_sasl_first *out) MUST_CHECK;

#endif
