#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "segue/base/log.h"
#include "segue/net/tls.h"
#include "tls_files.h"

static struct maker ca, other_ca, server, client;
static char ca_file[FILE_NAME], other_file[FILE_NAME], server_cert[FILE_NAME],
    server_key[FILE_NAME], client_cert[FILE_NAME], client_key[FILE_NAME];

static int make_files(void **state)
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

static int drop_files(void **state)
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

static struct net_tls_accept_options accept_options(void)
{
    return (struct net_tls_accept_options){
        .cert_file = server_cert, .key_file = server_key, .version_min = 0x0303};
}

static struct net_tls_connect_options connect_options(void)
{
    return (struct net_tls_connect_options){
        .verify = NET_TLS_VERIFY_FULL, .ca_file = ca_file, .version_min = 0x0303};
}

static struct net_tls_context *accepts(const struct net_tls_accept_options *options,
                                       const struct net_tls_context *before)
{
    struct err err = {0};
    struct net_tls_context *context = net_tls_accept_new(options, before, &err);

    assert_string_equal(err.text, "");
    assert_non_null(context);
    return context;
}

static struct net_tls_context *connects(const struct net_tls_connect_options *options)
{
    struct err err = {0};
    struct net_tls_context *context = net_tls_connect_new(options, &err);

    assert_string_equal(err.text, "");
    assert_non_null(context);
    return context;
}

static void sockets(int fd[2])
{
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fd), 0);
}

/* Both sides take turns until each knows how it ended. */
static void shake(struct pair *p)
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

static void begin(struct pair *p, const char *host)
{
    int fd[2];

    memset(&p->a_err, 0, sizeof(p->a_err));
    memset(&p->c_err, 0, sizeof(p->c_err));
    sockets(fd);
    net_stream_tls_accept(&p->a, fd[0], p->accepts, NULL, 0);
    net_stream_tls_connect(&p->c, fd[1], p->connects, host, false);
    shake(p);
}

static void begin_well(struct pair *p, const char *host)
{
    begin(p, host);
    assert_string_equal(p->a_err.text, "");
    assert_string_equal(p->c_err.text, "");
    assert_int_equal(p->a_rc, RC_OK);
    assert_int_equal(p->c_rc, RC_OK);
}

static void end(struct pair *p)
{
    net_close(&p->a);
    net_close(&p->c);
}

static void pair_fini(struct pair *p)
{
    end(p);
    net_tls_unref(p->accepts);
    net_tls_unref(p->connects);
}

static void pair_init(struct pair *p)
{
    struct net_tls_accept_options a = accept_options();
    struct net_tls_connect_options c = connect_options();

    *p = (struct pair){.accepts = accepts(&a, NULL), .connects = connects(&c)};
}

static void say(struct net_stream *from, const char *text)
{
    size_t put = 0;

    assert_int_equal(net_send(from, text, strlen(text), &put), RC_OK);
    assert_int_equal(put, strlen(text));
}

static void hear(struct net_stream *to, const char *text)
{
    char bytes[256];
    size_t got = 0;

    assert_int_equal(net_recv(to, bytes, sizeof(bytes) - 1, &got), RC_OK);
    bytes[got] = 0;
    assert_string_equal(bytes, text);
}

/* ---- the handshake ---- */

static void both_sides_agree_and_talk(void **state)
{
    struct pair p;
    struct net_tls_info info;

    (void)state;
    pair_init(&p);
    begin_well(&p, "localhost");
    assert_true(net_stream_is_tls(&p.a));
    net_tls_info(&p.a, &info);
    assert_string_equal(info.version, "TLSv1.3");
    assert_string_equal(info.alpn, "postgresql");
    assert_string_equal(info.sni, "localhost");
    assert_false(info.resumed);
    assert_false(info.peer_cert);
    net_tls_info(&p.c, &info);
    assert_true(info.peer_cert);
    assert_string_equal(info.peer_cn, "localhost");
    say(&p.c, "from the client");
    hear(&p.a, "from the client");
    say(&p.a, "from the server");
    hear(&p.c, "from the server");
    pair_fini(&p);
}

/* ---- client certificates ---- */

static void client_is(struct pair *p, const char *ca_of_clients, const char *crl,
                      const struct net_tls_context *before)
{
    struct net_tls_accept_options a = accept_options();
    struct net_tls_connect_options c = connect_options();

    a.ca_file = ca_of_clients;
    a.crl_file = crl;
    c.cert_file = client_cert;
    c.key_file = client_key;
    p->accepts = accepts(&a, before);
    p->connects = connects(&c);
}

static void a_client_certificate_gives_its_name(void **state)
{
    struct pair p = {0};
    struct net_tls_info info;

    (void)state;
    client_is(&p, ca_file, NULL, NULL);
    begin_well(&p, "localhost");
    net_tls_info(&p.a, &info);
    assert_true(info.peer_cert);
    assert_string_equal(info.peer_cn, "app");
    pair_fini(&p);
}

static void a_client_certificate_of_another_authority_is_refused(void **state)
{
    struct pair p = {0};

    (void)state;
    client_is(&p, other_file, NULL, NULL);
    begin(&p, "localhost");
    assert_int_equal(p.a_rc, RC_ERR);
    assert_string_equal(p.a_err.sqlstate, "08006");
    assert_string_equal(
        p.a_err.text,
        "the client's certificate was refused: self-signed certificate in certificate chain");
    pair_fini(&p);
}

static void a_revoked_client_certificate_is_refused(void **state)
{
    struct pair p = {0};
    char nobody[FILE_NAME], revoked[FILE_NAME];

    (void)state;
    file_crl("nobody.crl", &ca, NULL, nobody);
    file_crl("revoked.crl", &ca, &client, revoked);
    client_is(&p, ca_file, nobody, NULL);
    begin_well(&p, "localhost");
    pair_fini(&p);
    client_is(&p, ca_file, revoked, NULL);
    begin(&p, "localhost");
    assert_int_equal(p.a_rc, RC_ERR);
    assert_string_equal(p.a_err.text, "the client's certificate was refused: certificate revoked");
    pair_fini(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_sides_agree_and_talk),
        cmocka_unit_test(a_client_certificate_gives_its_name),
        cmocka_unit_test(a_client_certificate_of_another_authority_is_refused),
        cmocka_unit_test(a_revoked_client_certificate_is_refused),
    };

    return cmocka_run_group_tests_name("net/tls", tests, make_files, drop_files);
}
