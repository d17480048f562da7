/*
 * The bed of the tests of TLS: the files that a program works with, and two streams with a socket
 * pair between them. make_files() and drop_files() are the set-up and tear-down of a test program.
 */
#ifndef TESTS_UNIT_TLS_BED_H
#define TESTS_UNIT_TLS_BED_H

#include <errno.h>
#include <sys/socket.h>

#include <openssl/ssl.h>

#include "segue/base/log.h"
#include "segue/net/tls.h"
#include "tls_files.h"

/* ---- the files of a program ---- */

static struct maker ca, other_ca, server, client;
static char ca_file[FILE_NAME], other_file[FILE_NAME], server_cert[FILE_NAME],
    server_key[FILE_NAME], client_cert[FILE_NAME], client_key[FILE_NAME];

static inline int make_files(void **state)
{
    (void)state;
    log_level_set(LOG_ERROR);
    assert_non_null(mkdtemp(folder));
    ca = maker_new("authority", NULL, NULL, 0);
    other_ca = maker_new("another authority", NULL, NULL, 0);
    server = maker_new("localhost", &ca, "DNS:localhost,IP:127.0.0.1,DNS:*.eu.example", 0);
    client = maker_new("app", &ca, NULL, 0);
    file_cert("ca.crt", &ca, ca_file);
    file_cert("other.crt", &other_ca, other_file);
    file_cert("server.crt", &server, server_cert);
    file_key("server.key", &server, 0600, NULL, server_key);
    file_cert("client.crt", &client, client_cert);
    file_key("client.key", &client, 0600, NULL, client_key);
    return 0;
}

static inline int drop_files(void **state)
{
    char command[FILE_NAME];

    (void)state;
    maker_free(&ca);
    maker_free(&other_ca);
    maker_free(&server);
    maker_free(&client);
    snprintf(command, sizeof(command), "rm -r %s", folder);
    return system(command);
}

/* ---- two streams and what is between them ---- */

struct pair {
    struct net_tls_context *accepts, *connects;
    struct net_stream a, c; /* accepted, connected */
    struct err a_err, c_err;
    enum rc a_rc, c_rc;
};

/* A peer that is OpenSSL itself, for what segue's streams do not do. */
struct raw {
    SSL_CTX *context;
    SSL *ssl;
    int fd;
};

static inline struct net_tls_accept_options accept_options(void)
{
    return (struct net_tls_accept_options){.cert_file = server_cert,
                                           .key_file = server_key,
                                           .version_min = 0x0303,
                                           .ticket_key_s = 60};
}

static inline struct net_tls_connect_options connect_options(void)
{
    return (struct net_tls_connect_options){
        .verify = NET_TLS_VERIFY_FULL, .ca_file = ca_file, .version_min = 0x0303};
}

static inline struct net_tls_context *accepts(const struct net_tls_accept_options *options,
                                              const struct net_tls_context *before)
{
    struct err err = {0};
    struct net_tls_context *context = net_tls_accept_new(options, before, &err);

    assert_string_equal(err.text, "");
    assert_non_null(context);
    return context;
}

static inline struct net_tls_context *connects(const struct net_tls_connect_options *options)
{
    struct err err = {0};
    struct net_tls_context *context = net_tls_connect_new(options, &err);

    assert_string_equal(err.text, "");
    assert_non_null(context);
    return context;
}

static inline void sockets(int fd[2])
{
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fd), 0);
}

/* Both sides take turns until each knows how it ended. */
static inline void shake(struct pair *p)
{
    bool wants_write;

    p->a_rc = p->c_rc = RC_AGAIN;
    for (int turn = 0; turn < 20 && (p->a_rc == RC_AGAIN || p->c_rc == RC_AGAIN); turn++) {
        if (p->c_rc == RC_AGAIN)
            p->c_rc = net_tls_handshake(&p->c, &wants_write, &p->c_err);
        if (p->c_rc == RC_ERR)
            net_close(&p->c);
        if (p->a_rc == RC_AGAIN)
            p->a_rc = net_tls_handshake(&p->a, &wants_write, &p->a_err);
        if (p->a_rc == RC_ERR)
            net_close(&p->a);
    }
}

static inline void begin(struct pair *p, const char *host)
{
    int fd[2];

    memset(&p->a_err, 0, sizeof(p->a_err));
    memset(&p->c_err, 0, sizeof(p->c_err));
    sockets(fd);
    net_stream_tls_accept(&p->a, fd[0], p->accepts, NULL, 0);
    net_stream_tls_connect(&p->c, fd[1], p->connects, host, false);
    shake(p);
}

static inline void begin_well(struct pair *p, const char *host)
{
    begin(p, host);
    assert_string_equal(p->a_err.text, "");
    assert_string_equal(p->c_err.text, "");
    assert_int_equal(p->a_rc, RC_OK);
    assert_int_equal(p->c_rc, RC_OK);
}

static inline void end(struct pair *p)
{
    net_close(&p->a);
    net_close(&p->c);
}

static inline void pair_fini(struct pair *p)
{
    end(p);
    net_tls_unref(p->accepts);
    net_tls_unref(p->connects);
}

static inline void pair_init(struct pair *p)
{
    struct net_tls_accept_options a = accept_options();
    struct net_tls_connect_options c = connect_options();

    *p = (struct pair){.accepts = accepts(&a, NULL), .connects = connects(&c)};
}

static inline void say(struct net_stream *from, const char *text)
{
    size_t put = 0;

    assert_int_equal(net_send(from, text, strlen(text), &put), RC_OK);
    assert_int_equal(put, strlen(text));
}

static inline void hear(struct net_stream *to, const char *text)
{
    char bytes[256];
    size_t got = 0;

    assert_int_equal(net_recv(to, bytes, sizeof(bytes) - 1, &got), RC_OK);
    bytes[got] = 0;
    assert_string_equal(bytes, text);
}

/* Tickets of TLS 1.3 come behind the handshake, and are read with the first bytes. */
static inline void talk_and_end(struct pair *p)
{
    say(&p->a, "hello");
    hear(&p->c, "hello");
    end(p);
}

static inline bool resumes(struct pair *p, const char *host)
{
    struct net_tls_info a, c;

    begin_well(p, host);
    net_tls_info(&p->a, &a);
    net_tls_info(&p->c, &c);
    assert_int_equal(a.resumed, c.resumed);
    talk_and_end(p);
    return a.resumed;
}

/* A raw client on one end of a socket pair, the accepted stream p->a on the other. */
static inline struct raw raw_new(struct pair *p)
{
    struct raw r = {.context = SSL_CTX_new(TLS_client_method())};
    int fd[2];

    sockets(fd);
    memset(&p->a_err, 0, sizeof(p->a_err));
    net_stream_tls_accept(&p->a, fd[0], p->accepts, NULL, 0);
    r.ssl = SSL_new(r.context);
    r.fd = fd[1];
    SSL_set_fd(r.ssl, fd[1]);
    SSL_set_connect_state(r.ssl);
    return r;
}

/* Takes turns with it until the accepted side knows how the handshake ended. */
static inline enum rc raw_shake(struct raw *r, struct pair *p)
{
    bool wants_write;
    enum rc rc = RC_AGAIN;

    for (int turn = 0; turn < 20 && rc == RC_AGAIN; turn++) {
        SSL_do_handshake(r->ssl);
        rc = net_tls_handshake(&p->a, &wants_write, &p->a_err);
    }
    SSL_do_handshake(r->ssl);
    return rc;
}

static inline void raw_free(struct raw *r)
{
    SSL_free(r->ssl);
    SSL_CTX_free(r->context);
    close(r->fd);
}

#endif
