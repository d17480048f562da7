/*
 * What a session needs until its login is over: one piece of memory, wiped and freed then.
 * Private to handshake.c, login.c, prove.c and enter.c.
 */
#ifndef SEGUE_SESSION_LOGIN_H
#define SEGUE_SESSION_LOGIN_H

#include "worker.h"

/* Of a message of the client to prove who it is: PostgreSQL's PG_MAX_AUTH_TOKEN_LENGTH. */
#define SESS_SECRET_BYTES_MAX 65535

/* With which the session logs in upstream. */
enum sess_secret { SESS_SECRET_NONE, SESS_SECRET_PASSWORD, SESS_SECRET_MD5, SESS_SECRET_KEYS };

/* The answers that a second attempt at the same host owes to libpq's allow and prefer. */
enum sess_retry { SESS_RETRY_NONE, SESS_RETRY_TLS, SESS_RETRY_PLAIN };

struct sess_login {
    struct sess_limits *limits; /* a reference: those the login has begun with */
    uint8_t encryption_asked;   /* bits: SSLRequest, GSSENCRequest seen */
    bool direct;                /* TLS at once, without SSLRequest */
    bool wants_write;           /* the handshake under way */

    char user_name[AUTH_ROLE_BYTES_MAX + 1];

    /* server leg */
    enum sess_retry retry;
    uint8_t retry_host; /* of which the retry is */
    bool proof_asked;   /* the upstream has asked for one */
    bool answered;      /* the upstream has said something that the client heard or segue used */
    bool heard;         /* the client has */
    bool plus_offered;  /* its list of mechanisms had SCRAM-SHA-256-PLUS */
    bool sasl_awaited;  /* AuthenticationSASL was passed on, SASLInitialResponse comes */
    bool token_awaited; /* the client's next message may be for the upstream's login */
    bool proof_awaited; /* the upstream reads nothing else before it */
    bool refuses;       /* and has been sent something else */

    /* who the client is, as segue was shown */
    struct auth_scram_server *prover;
    const struct auth_user *user; /* of limits->users; NULL: not in it */
    char mechanism[32];           /* that it has chosen */
    bool challenged;              /* server-first-message was sent */

    /* logging in for it */
    enum sess_secret secret;
    char *password; /* PASSWORD: the text; MD5: "md5..." */
    struct auth_keys keys;
    struct auth_scram_client *scram;
    struct sess_key_job *job; /* its keys are being made; or NULL */
    bool plus_used;           /* it bound the channel */
    bool upstream_proven;     /* the upstream knows the secret, too */

    struct buf answer; /* what a failed login is answered with, once the delay is over */
};

static inline bool sess_is_local(const struct sess *s)
{
    return s->peer.sa.ss_family == AF_UNIX;
}

/* prove.c: of our certificate, or the upstream's; len 0 without TLS */
void sess_login_binding(const struct sess_leg *leg, struct auth_binding *out);

/* prove.c: what an operator is told about a proof that failed, and the client is not; "": nothing
 */
const char *sess_prove_hint(const struct sess *s);

/* handshake.c: the host that was chosen is a Unix socket */
bool sess_upstream_is_local(const struct sess *s);

/* login.c */
const char *
sess_login_user(const struct sess *s); /* of the start-up packet, cut as the server does */
void sess_login_proven(struct sess *s);
void sess_login_to_console(struct sess *s); /* the upstream has said yes; its part is over */
/* The upstream has said yes to what it is to judge: whoever it has not asked is told of, once. */
void sess_login_unasked(struct sess *s);
void sess_login_afresh(struct sess *s); /* as if no upstream had said anything yet */
/* An ErrorResponse of the upstream to the login, whole. */
void sess_login_denied(struct sess *s, const char *msg, size_t total);

#endif
