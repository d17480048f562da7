/*
 * The messages of SCRAM, taken apart (RFC 5802, section 7). What is found points into the message.
 * All bytes of a message are a peer's: everything wrong is an error, 08P01 unless said otherwise,
 * worded as PostgreSQL words it.
 */
#ifndef SEGUE_PROXY_AUTH_MESSAGE_H
#define SEGUE_PROXY_AUTH_MESSAGE_H

#include "segue/auth/scram.h"

struct message_text {
    const char *p;
    size_t len;
};

struct message_client_first {
    char flag;                   /* 'n', 'y', 'p' */
    struct message_text binding; /* type, for 'p' */
    struct message_text bare;    /* what signatures cover */
    struct message_text nonce;
};

struct message_client_final {
    struct message_text binding;       /* base64 of the header and the data */
    struct message_text nonce;         /* of both sides */
    struct message_text without_proof; /* what signatures cover */
    uint8_t proof[AUTH_KEY_BYTES];
};

struct message_server_first {
    struct message_text nonce;
    uint8_t salt[AUTH_SALT_BYTES_MAX];
    size_t salt_len;
    uint32_t iterations;
};

/* 0A000: authorization identity, mandatory extension. */
enum rc message_client_first(const char *msg, size_t len, struct message_client_first *out,
                             struct err *err) MUST_CHECK;
enum rc message_client_final(const char *msg, size_t len, struct message_client_final *out,
                             struct err *err) MUST_CHECK;
enum rc message_server_first(const char *msg, size_t len, struct message_server_first *out,
                             struct err *err) MUST_CHECK;
enum rc message_server_final(const char *msg, size_t len, uint8_t signature[AUTH_KEY_BYTES],
                             struct err *err) MUST_CHECK;

bool message_text_is(const struct message_text *text, const char *is);

#endif
