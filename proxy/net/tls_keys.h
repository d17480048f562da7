/*
 * The keys of session tickets: one makes tickets, the one before it is still taken.
 *
 *   keys = tls_keys_new(period_ms, clock_ms());
 *   tls_keys_turn(keys, clock_ms());             one thread, every second or so
 *   tls_keys_make(keys, &key);                   any thread: what a new ticket is sealed with
 *   tls_keys_find(keys, name, &key)              any thread: what a ticket was sealed with
 *
 * A key makes tickets for one period and is taken for the next; then it is gone from memory, as
 * what was recorded of sessions that its tickets carry shall not be read when it gets lost. Readers
 * take no lock: they look again when the keys were turned while they looked. Nothing is stored:
 * another process has other keys, and its clients make a full handshake.
 * Not here: what OpenSSL wants of a key (tls_ticket.c).
 */
#ifndef SEGUE_NET_TLS_KEYS_H
#define SEGUE_NET_TLS_KEYS_H

#include <stdbool.h>
#include <stdint.h>

#include "segue/base/rc.h"

#define TLS_KEY_NAME_BYTES 16

struct tls_key {
    uint8_t name[TLS_KEY_NAME_BYTES]; /* stands in the ticket, in clear */
    uint8_t cipher[32], mac[32];      /* AES-256, HMAC-SHA-256 */
};

struct tls_keys;

enum tls_key_is {
    TLS_KEY_UNKNOWN, /* of another process, or too old */
    TLS_KEY_CURRENT,
    TLS_KEY_PREVIOUS, /* good for this time: what it has sealed wants to be sealed anew */
};

/* period_ms > 0. NULL: the system gives no random bytes. */
struct tls_keys *tls_keys_new(int64_t period_ms, int64_t now_ms) MUST_CHECK;
struct tls_keys *tls_keys_ref(struct tls_keys *keys);
void tls_keys_unref(struct tls_keys *keys); /* NULL is harmless; the last one wipes the keys */
int64_t tls_keys_period_ms(const struct tls_keys *keys);

/* Whose period has ended gives way. Without random bytes all stays as it is until the next call. */
void tls_keys_turn(struct tls_keys *keys, int64_t now_ms);

/* The caller wipes *out. */
void tls_keys_make(const struct tls_keys *keys, struct tls_key *out);
/* *out is set unless UNKNOWN. */
enum tls_key_is tls_keys_find(const struct tls_keys *keys, const uint8_t name[TLS_KEY_NAME_BYTES],
                              struct tls_key *out);

#endif
