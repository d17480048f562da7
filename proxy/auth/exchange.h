/*
 * What both sides of a SCRAM exchange compute: the AuthMessage grows as messages are exchanged,
 * signatures cover it at its end.
 */
#ifndef SEGUE_PROXY_AUTH_EXCHANGE_H
#define SEGUE_PROXY_AUTH_EXCHANGE_H

#include "keys.h"
#include "message.h"
#include "segue/auth/scram.h"

#define EXCHANGE_BINDING_TYPE "tls-server-end-point"

/* 18 random bytes in base64, as PostgreSQL's nonces. RC_ERR XX000: no randomness. */
enum rc exchange_nonce(struct buf *out, struct err *err) MUST_CHECK;

/* What client-final-message says in c=: the header, and with flag 'p' the hash, in base64. */
void exchange_binding(char flag, const struct auth_binding *binding, struct buf *out);

void exchange_sign(const uint8_t key[AUTH_KEY_BYTES], const struct buf *auth_message,
                   uint8_t out[AUTH_KEY_BYTES]);

#endif
