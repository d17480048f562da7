/*
 * What the data plane is told at its start and on SIGHUP. Plain data: strings are the caller's
 * for the length of the call that takes it; the plane copies what it keeps and reads the files.
 */
#ifndef SEGUE_SESSION_OPTIONS_H
#define SEGUE_SESSION_OPTIONS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "segue/base/err.h"

#define SESS_HOSTS_MAX 8

/* libpq's sslmode, on both legs. Clients: allow is prefer, and the verifying modes ask for a
 * client certificate: verify-ca any that the CA vouches for, verify-full one that names the user.
 */
enum sess_tls_mode {
    SESS_TLS_DISABLE,
    SESS_TLS_ALLOW,
    SESS_TLS_PREFER,
    SESS_TLS_REQUIRE,
    SESS_TLS_VERIFY_CA,
    SESS_TLS_VERIFY_FULL,
};

/* How clients prove who they are. */
enum sess_auth_mode {
    SESS_AUTH_PASS,     /* to the upstream: segue only carries */
    SESS_AUTH_SCRAM,    /* to segue, by the user list */
    SESS_AUTH_PASSWORD, /* cleartext inside TLS; the upstream judges it */
    SESS_AUTH_CERT,     /* a client certificate; segue logs in by the user list */
};

/* libpq's target_session_attrs. */
enum sess_target {
    SESS_TARGET_ANY,
    SESS_TARGET_READ_WRITE,
    SESS_TARGET_READ_ONLY,
    SESS_TARGET_PRIMARY,
    SESS_TARGET_STANDBY,
    SESS_TARGET_PREFER_STANDBY,
};

struct sess_host {
    const char *name; /* host name, for SNI and verify-full; a directory: a Unix socket */
    const char *addr; /* hostaddr: where to connect instead of resolving `name`; NULL: none */
    const char *port;
    const char *probe; /* what `probe` below is given for this host; secret */
};

/* What a host is, as far as it can be asked. */
enum sess_role {
    SESS_ROLE_NOT_ASKED,
    SESS_ROLE_AWAY,       /* it does not answer, or takes no sessions */
    SESS_ROLE_UNKNOWN,    /* it answers, but does not let segue in */
    SESS_ROLE_READ_WRITE, /* a primary */
    SESS_ROLE_READ_ONLY,  /* a primary whose sessions begin read-only */
    SESS_ROLE_STANDBY,
};

/* Asks one host. Blocks, for at most `timeout_ms` or until *stop; AWAY and UNKNOWN come with err.
 */
typedef enum sess_role sess_probe(const char *how, unsigned timeout_ms, const atomic_bool *stop,
                                  struct err *err);

struct sess_upstream_options {
    struct sess_host hosts[SESS_HOSTS_MAX]; /* in the order in which they are tried */
    size_t nhosts;
    const char *database; /* whose tables migrate; NULL: sessions of any may concern the rules */
    bool shuffled;        /* load_balance_hosts=random: in another order for each session */
    enum sess_target target;
    sess_probe *probe; /* NULL only when target is ANY */
    /* As libpq: with ca_file the server's certificate is checked in modes below verify-ca, too. */
    enum sess_tls_mode tls;
    bool tls_direct; /* TLS at once, with ALPN, no SSLRequest */
    bool sni;
    bool channel_binding_required;
    const char *ca_file, *crl_file, *cert_file, *key_file; /* NULL or "": none; ca "system" */
    const char *tls_ciphers, *tls_suites;                  /* NULL or "": the standard ones */
    unsigned tls_version_min, tls_version_max;             /* 0x0303 or 0x0304 */
};

struct sess_client_tls_options {
    enum sess_tls_mode mode;
    const char *cert_file, *key_file, *ca_file, *crl_file; /* NULL or "": none */
    const char *ciphers, *suites;                          /* NULL or "": the standard ones */
    unsigned version_min, version_max;
    unsigned ticket_key_s; /* seconds between keys of session tickets; 0: no tickets */
};

struct sess_options {
    const char *listen; /* "host:port", "[v6]:port", "/directory:port"; several with commas; port
                           0: any */
    unsigned unix_socket_mode; /* permissions of Unix sockets listened on */
    gid_t unix_socket_group;   /* their group; (gid_t)-1: the process's */
    struct sess_upstream_options upstream;
    struct sess_client_tls_options client_tls;
    enum sess_auth_mode auth;
    const char *auth_file;                 /* userlist.txt; NULL or "": none */
    char *const *cert_map;                 /* "common name=user", NULL-terminated */
    const char *schema_rules;              /* JSON, as in session/versions.h; NULL: none */
    unsigned workers;                      /* 0: chosen by the number of cores */
    unsigned sessions_max;                 /* clients beyond it get 53300 */
    unsigned startup_open_max;             /* connections that have not finished their start-up */
    unsigned startup_open_per_address_max; /* of them, from one address; 0: nine tenths */
    unsigned startup_bytes_max;            /* of a start-up packet */
    unsigned login_timeout_ms;             /* from accept to the first ReadyForQuery */
    unsigned failed_login_delay_ms; /* before a failed login is answered, doubling by address */
    unsigned connect_timeout_ms;    /* to one address of the upstream */
    unsigned upstream_wait_ms;      /* new sessions wait so long for an upstream that is away */
    unsigned rules_wait_ms;         /* statements wait so long for the first rules; 0: not at all */
    unsigned idle_timeout_s;        /* client idle outside a transaction; 0: for ever */
    unsigned buffer_bytes_max;  /* unsent bytes a direction before the other side stops reading */
    unsigned inspect_bytes_max; /* statements longer than this are not looked at */
    unsigned cache_entries, cache_bytes; /* per worker (sql_cache_new) */
    unsigned usage_entries_max;          /* per worker: who uses which names */
    unsigned statements_bytes_max;       /* remembered named statements a session */
    unsigned keepalive_s;                /* TCP keepalive idle time on both legs; 0: the system's */
    unsigned user_timeout_ms;            /* TCP_USER_TIMEOUT on both legs; 0: the system's */
};

#endif
